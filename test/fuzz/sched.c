// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * sched.c - libFuzzer target: whatever happens to flows and sockets, in any
 * order, the scheduler says the same as a slow and simple model.
 *
 * Each input is a list of steps (steps.h).
 */
#include "flow/sched.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/steps.h"

#define FLOWS	6

enum op { OP_ACTIVE, OP_WAIT, OP_NEXT, OP_REMOVE, OP_QUANTUM, OP_SKIP,
	  OP_YIELD, OP_SPACE, OP_CLOSE, OP_CARRY, OP_OPEN, OPS };

/**
 * struct model - What the scheduler must know
 * @now:	time, ms
 * @flow:	flows, NULL: does not exist
 * @born:	number of flows that existed before this one, so that a later
 *		flow in the same slot differs from it
 * @bulk:	the flow was bulk in its last batch
 * @batches:	number of batches that the flow has carried
 * @wait, @nwait: indices of the flows that wait, the oldest first
 * @last:	@born of the flow that was active last, 0: none
 * @sparse_at:	time of the last sparse flow beside another flow, 0: never
 * @skipped:	bulk flows missed their last turn
 * @starved, @yields: socket that found no space, -1: none; and how many more
 *		times others yield
 * @settled_at:	time of the last batch of a settled flow, 0: never
 * @opened, @answered: new flows of each part, and those of them that a peer has
 *		answered
 * @left, @left_at: us that each part may take, and since when it has not grown
 */
static struct model {
	uint64_t now;
	struct flow *flow[FLOWS];
	uint64_t born[FLOWS], births;
	bool bulk[FLOWS];
	unsigned int batches[FLOWS];
	unsigned int wait[FLOWS], nwait;
	uint64_t last, sparse_at;
	bool skipped;
	int starved;
	unsigned int yields;
	uint64_t settled_at;
	unsigned int opened[SCHED_OPENERS], answered[SCHED_OPENERS];
	int64_t left[SCHED_OPENERS];
	uint64_t left_at[SCHED_OPENERS];
} model;

static struct flow_table table;
static struct sched sched;

UNCOUNTED

static bool model_waits(unsigned int i)
{
	unsigned int at;

	for (at = 0; at < model.nwait; at++)
		if (model.wait[at] == i)
			return true;
	return false;
}

static void model_forget(unsigned int i)
{
	unsigned int at, n = 0;

	for (at = 0; at < model.nwait; at++)
		if (model.wait[at] != i)
			model.wait[n++] = model.wait[at];
	model.nwait = n;
}

static bool model_low(void)
{
	return model.sparse_at && model.now < model.sparse_at + SCHED_ACTIVE;
}

/* flow_of() - Return a flow, and add it if it does not exist */
static struct flow *flow_of(unsigned int i)
{
	struct flow_key k = { .gport = (uint16_t)i, .pport = 1, .proto = 6 };

	if (model.flow[i])
		return model.flow[i];
	model.flow[i] = flow_insert(&table, &k, FLOW_TCP);
	MUST(model.flow[i]);
	model.born[i] = ++model.births;
	model.bulk[i] = false;
	model.batches[i] = 0;
	return model.flow[i];
}

static void be_active(const struct step *s)
{
	unsigned int i = s->a % (FLOWS + 1);
	size_t queued = s->x * 2U;
	bool none = i == FLOWS, bulk, was;
	uint64_t who;

	sched_active(&sched, &table, none ? NULL : flow_of(i), queued,
		     model.now);
	who = none ? 0 : model.born[i];
	bulk = queued >= SCHED_BULK || (!none && model_waits(i));
	was = !none && model.bulk[i];
	if (who != model.last && !bulk && !was)
		model.sparse_at = model.now;
	model.last = who;
	if (none)
		return;
	model.bulk[i] = bulk;
	if (++model.batches[i] > SCHED_SETTLED)
		model.settled_at = model.now;
}

/* carry() - Let a flow carry several batches */
static void carry(const struct step *s)
{
	unsigned int n;

	for (n = s->y % (SCHED_SETTLED + 8); n; n--)
		be_active(s);
}

/* may_open() - Whether the model allows another new flow */
static bool may_open(enum sched_opener who)
{
	uint64_t ms = model.now - model.left_at[who];

	while (ms-- && model.left[who] < SCHED_OPEN_MAX)
		model.left[who] += SCHED_OPEN_GAIN;
	model.left[who] = MIN(model.left[who], SCHED_OPEN_MAX);
	model.left_at[who] = model.now;
	if (model.left[who] > 0)
		return true;
	if (model.settled_at &&
	    model.now < model.settled_at + SCHED_SETTLED_ACTIVE)
		return false;
	if (model.answered[who] < model.opened[who] / 2)
		return false;
	model.left[who] = 0;
	return true;
}

/* open_flow() - Let the guest open a flow of a part, which takes @us. @ask:
 * only if it may; @answers: a peer answers */
static void open_flow(enum sched_opener who, bool ask, uint64_t us,
		      bool answers)
{
	bool may = !ask || may_open(who);

	if (ask)
		MUST(sched_may_open(&sched, who, model.now) == may);
	if (may) {
		sched_opened(&sched, who, us);
		model.left[who] -= (int64_t)MIN(us, SCHED_OPEN_LONGEST);
		model.left[who] = MAX(model.left[who], -SCHED_OPEN_MAX);
		model.opened[who]++;
	}
	if (may && model.opened[who] == SCHED_COUNTED) {
		model.opened[who] = SCHED_COUNTED / 2;
		model.answered[who] /= 2;
	}
	if (!answers)
		return;
	sched_answered(&sched, who);
	model.answered[who] += model.answered[who] < model.opened[who];
}

static void open_many(const struct step *s)
{
	unsigned int n;

	for (n = s->y % 512; n; n--)
		open_flow(s->a & 1 ? SCHED_OPEN_TCP : SCHED_OPEN_OTHERS,
			  !(s->a & 2), s->x % (2 * SCHED_OPEN_LONGEST), n % 8 < s->b % 16);
}

static void wait_turn(unsigned int i)
{
	sched_wait(&sched, flow_of(i));
	if (!model_waits(i))
		model.wait[model.nwait++] = i;
}

static void next_turn(void)
{
	struct flow *f = sched_next(&sched);

	if (!model.nwait) {
		MUST(!f);
		return;
	}
	MUST(f && f == model.flow[model.wait[0]]);
	model_forget(model.wait[0]);
}

static void remove_flow(unsigned int i)
{
	if (!model.flow[i])
		return;
	sched_forget(&sched, model.flow[i]);
	flow_remove(&table, model.flow[i]);
	model.flow[i] = NULL;
	model_forget(i);
}

static void ask_quantum(const struct step *s)
{
	uint32_t unit = MAX(s->x, 1U), n, limit = SCHED_QUANTUM;
	size_t pending = s->y * 2U;

	n = sched_quantum(&sched, pending, unit, model.now);
	MUST(n % unit == 0);
	if (model_low()) {
		MUST(sched_flight_max(&sched, model.now) == SCHED_FLIGHT_LOW);
		MUST(!n == (pending >= SCHED_QUANTUM_LOW));
		limit = SCHED_QUANTUM_LOW - (uint32_t)MIN(pending,
							  SCHED_QUANTUM_LOW);
	} else {
		MUST(sched_flight_max(&sched, model.now) == UINT32_MAX && n);
	}
	MUST(n <= MAX(limit, unit) && (!n || n + unit > limit));
}

static void found_space(int fd, bool found)
{
	sched_found_space(&sched, fd, found);
	if (found) {
		model.starved = -1;
	} else if (model.starved != fd) {
		model.starved = fd;
		model.yields = SCHED_YIELDS;
	}
}

static void must_yield(int fd, unsigned int times)
{
	bool yields;

	while (times--) {
		yields = model.starved >= 0 && model.starved != fd &&
			 model.yields;
		model.yields -= yields;
		MUST(sched_must_yield(&sched, fd) == yields);
	}
}

static void skip_bulk(bool blocked)
{
	model.skipped = blocked && !model.skipped && model_low();
	MUST(sched_skip_bulk(&sched, blocked, model.now) == model.skipped);
}

/* time_of() - How much time passes before a step, ms: little, much, or just so
 * much that a settled flow counts as active or not */
static uint64_t time_of(uint16_t w)
{
	if (w & 0x1000)
		return w;
	return w & 0x2000 ? SCHED_SETTLED_ACTIVE - 1 + w % 3U : w % 64U;
}

static void do_step(const struct step *s)
{
	unsigned int i = s->a % FLOWS;

	model.now += time_of(s->w);
	switch ((enum op)(s->op % OPS)) {
	case OP_ACTIVE:
		be_active(s);
		break;
	case OP_WAIT:
		wait_turn(i);
		break;
	case OP_NEXT:
		next_turn();
		break;
	case OP_REMOVE:
		remove_flow(i);
		break;
	case OP_QUANTUM:
		ask_quantum(s);
		break;
	case OP_SKIP:
		skip_bulk(s->b & 1);
		break;
	case OP_YIELD:
		must_yield((int)i, s->y % (SCHED_YIELDS + 9));
		break;
	case OP_SPACE:
		found_space((int)i, s->b & 1);
		break;
	case OP_CLOSE:
		sched_close_fd(&sched, (int)i);
		if (model.starved == (int)i)
			model.starved = -1;
		break;
	case OP_CARRY:
		carry(s);
		break;
	case OP_OPEN:
		open_many(s);
		break;
	case OPS:
		break;
	}
}

static void check_all(void)
{
	unsigned int i;

	MUST(sched.nready == model.nwait);
	for (i = 0; i < SCHED_OPENERS; i++)
		MUST(sched.open_left[i] == model.left[i]);
	MUST(sched_low_latency(&sched, model.now) == model_low());
	for (i = 0; i < FLOWS; i++)
		if (model.flow[i])
			MUST(sched_waits(model.flow[i]) == model_waits(i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct step s;
	unsigned int i;

	if (!started)
		MUST(!flow_table_init(&table, sizeof(struct flow), 64, -1));
	started = true;
	model = (struct model){ .now = 1000000, .starved = -1 };
	sched_init(&sched);
	while (next_step(&data, &size, &s)) {
		do_step(&s);
		check_all();
	}
	for (i = 0; i < FLOWS; i++)
		remove_flow(i);
	MUST(!table.used && !sched.nready);
	return 0;
}

COUNTED
