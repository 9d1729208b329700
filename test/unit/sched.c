// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * sched.c - Tests of the scheduler: which flow may send how many bytes to the
 * guest. No link and no clock are needed, because the scheduler gets lengths
 * and times as arguments.
 */
#include "../../flow/sched.c"

#include "test/unit/unit.h"

#define MSS	1460

static struct flow_table table;
static struct sched s;
static uint64_t now;

static void sched_world(void)
{
	flow_table_free(&table);
	flow_table_init(&table, sizeof(struct flow), 64, -1);
	sched_init(&s);
	now = 1000000;
}

static struct flow *add_flow(uint16_t port)
{
	struct flow_key k = { .gport = port, .pport = 1, .proto = 6 };

	return flow_insert(&table, &k, FLOW_TCP);
}

static void remove_flow(struct flow *f)
{
	sched_forget(&s, f);
	flow_remove(&table, f);
}

static void active(struct flow *f, size_t queued)
{
	sched_active(&s, &table, f, queued, now);
}

static bool low(void)
{
	return sched_low_latency(&s, now);
}

/* Given one flow alone, sparse or bulk, then the link is not in low-latency
 * mode, and the flow's quantum is SCHED_QUANTUM. */
static void story_alone(void)
{
	struct flow *f;
	unsigned int i;

	sched_world();
	check("no low latency before anybody was active", !low());
	f = add_flow(1);
	active(f, 100);
	now += SCHED_ACTIVE;
	for (i = 0; i < 10; i++, now++)
		active(f, 100);
	check("a sparse flow alone needs no low latency", !low());
	for (i = 0; i < 10; i++, now++)
		active(f, SCHED_BULK);
	check("nor does a bulk flow alone", !low());
	check_eq("its quantum is a whole number of segments",
		 sched_quantum(&s, 0, MSS, now), SCHED_QUANTUM / MSS * MSS);
	check_eq("whatever is pending",
		 sched_quantum(&s, SCHED_QUANTUM, MSS, now),
		 SCHED_QUANTUM / MSS * MSS);
	check_eq("only the guest's window limits what is in flight",
		 sched_flight_max(&s, now), UINT32_MAX);
}

/* Given a sparse flow beside a bulk flow, then the link is in low-latency mode,
 * and all flows share SCHED_QUANTUM_LOW, until the sparse flow is silent. */
static void story_beside_bulk(void)
{
	struct flow *bulk, *sparse;

	sched_world();
	bulk = add_flow(1);
	sparse = add_flow(2);
	active(bulk, SCHED_BULK);
	active(sparse, 100);
	check("a sparse flow beside a bulk flow: low latency", low());
	check_eq("the quantum is small",
		 sched_quantum(&s, 0, MSS, now),
		 SCHED_QUANTUM_LOW / MSS * MSS);
	check_eq("and all flows share it until the flush",
		 sched_quantum(&s, 60000, MSS, now), 3 * MSS);
	check_eq("one segment at least, however long",
		 sched_quantum(&s, SCHED_QUANTUM_LOW - 1, 65000, now), 65000);
	check_eq("then nobody sends more",
		 sched_quantum(&s, SCHED_QUANTUM_LOW, MSS, now), 0);
	check_eq("little may be in flight",
		 sched_flight_max(&s, now), SCHED_FLIGHT_LOW);

	now += SCHED_ACTIVE - 1;
	active(bulk, SCHED_BULK);
	check("low latency stays while the sparse flow is remembered", low());
	now++;
	active(bulk, SCHED_BULK);
	check("and ends when it is silent", !low());
	active(sparse, 100);
	check("until it comes back", low());
}

/* Given many bulk flows, then the link is not in low-latency mode, unless one
 * of them becomes sparse. */
static void story_many_bulks(void)
{
	struct flow *f[8];
	unsigned int i, round;

	sched_world();
	for (i = 0; i < 8; i++) {
		f[i] = add_flow((uint16_t)(i + 1));
		active(f[i], SCHED_BULK);
	}
	for (round = 0; round < 50; round++, now++) {
		for (i = 0; i < 8; i++)
			active(f[i], SCHED_BULK);
	}
	check("many bulk flows need no low latency", !low());

	active(f[3], 10);
	active(f[4], SCHED_BULK);
	check("a bulk flow that pauses for one batch is still bulk", !low());
	active(f[3], 10);
	check("one that stays small has turned sparse", low());

	now += SCHED_ACTIVE;
	sched_wait(&s, f[5]);
	active(f[5], 10);
	active(f[6], SCHED_BULK);
	active(f[5], 10);
	active(f[6], SCHED_BULK);
	active(f[5], 10);
	check("a flow that waits for its turn is bulk", !low());
}

/* Given a packet that has no flow yet, then it counts as a sparse flow. */
static void story_no_flow(void)
{
	struct flow *bulk;

	sched_world();
	active(NULL, 0);
	check("a first packet has nobody beside it", !low());
	bulk = add_flow(1);
	active(bulk, SCHED_BULK);
	active(NULL, 40);
	check("a connection request beside a bulk flow: low latency", low());
}

/* When the flow that was most recently active ends, then the scheduler does not
 * read the memory of the ended flow, and does not mistake a new flow in the
 * same slot of the flow table for it. */
static void story_last_dies(void)
{
	struct flow *f, *next;

	sched_world();
	f = add_flow(1);
	active(f, 100);
	now += SCHED_ACTIVE;
	remove_flow(f);
	next = add_flow(1);
	check("another flow has its slot", next == f);
	active(next, 100);
	check("and is not taken for it", low());

	sched_world();
	f = add_flow(1);
	active(f, SCHED_BULK);
	remove_flow(f);
	flow_table_free(&table);
	flow_table_init(&table, sizeof(struct flow), 64, -1);
	active(NULL, 0);
	pass("the memory of the last flow is not touched");
}

/* Given flows that wait, then they get their turns in the order in which they
 * began to wait. */
static void story_turns(void)
{
	struct flow *a, *b, *c;

	sched_world();
	check("nobody waits at first", !sched_next(&s));
	a = add_flow(1);
	b = add_flow(2);
	c = add_flow(3);
	sched_wait(&s, a);
	sched_wait(&s, b);
	sched_wait(&s, a);
	sched_wait(&s, c);
	check_eq("a flow waits once", s.nready, 3);
	check("the oldest is first", sched_next(&s) == a && !sched_waits(a));
	sched_wait(&s, a);
	remove_flow(b);
	check("one that ended has no turn", sched_next(&s) == c);
	check("who waits again is last", sched_next(&s) == a);
	check_eq("then nobody waits", s.nready, 0);
}

/* Given a sparse flow and a link that was blocked, then the bulk flows miss one
 * turn, but not two in a row. */
static void story_skip(void)
{
	sched_world();
	check("without a sparse flow nobody is skipped",
	      !sched_skip_bulk(&s, true, now));
	active(add_flow(1), SCHED_BULK);
	active(add_flow(2), 10);
	check("not if the link was not blocked",
	      !sched_skip_bulk(&s, false, now));
	check("bulk flows are skipped after it was blocked",
	      sched_skip_bulk(&s, true, now));
	check("but not twice in a row", !sched_skip_bulk(&s, true, now));
	check("and again later", sched_skip_bulk(&s, true, now));
}

/* Given a socket that found no space on the link, then other sockets yield to
 * it, at most SCHED_YIELDS times. */
static void story_starved(void)
{
	unsigned int n = 0;

	sched_world();
	check("nobody yields at first", !sched_must_yield(&s, 4));
	sched_found_space(&s, 5, false);
	check("the starved one goes on", !sched_must_yield(&s, 5));
	while (sched_must_yield(&s, 4) && n < 10000) {
		n++;
		sched_found_space(&s, 5, false);
	}
	check_eq("others yield so often", n, SCHED_YIELDS);
	sched_found_space(&s, 6, false);
	check("and to the next one that is starved", sched_must_yield(&s, 5));
	sched_found_space(&s, 6, true);
	check("until it has space", !sched_must_yield(&s, 5));
	sched_found_space(&s, 6, false);
	sched_close_fd(&s, 5);
	check("another one may be closed", sched_must_yield(&s, 5));
	sched_close_fd(&s, 6);
	check("nobody yields to one that is closed", !sched_must_yield(&s, 5));
}

/* Of how many new flows one is answered; 0: none is. */
static unsigned int one_answered_of;

/* opens() - Let the guest open flows, each in @us, until it may not; returns
 * how many, but at most 10000 */
static unsigned int opens(enum sched_opener who, uint64_t us)
{
	unsigned int n;

	for (n = 0; n < 10000 && sched_may_open(&s, who, now); n++) {
		sched_opened(&s, who, us);
		if (one_answered_of && n % one_answered_of == 0)
			sched_answered(&s, who);
	}
	return n;
}

/* settle() - Let a flow carry so many batches that it is settled, and active */
static void settle(struct flow *f)
{
	unsigned int i;

	for (i = 0; i <= SCHED_SETTLED; i++)
		active(f, 100);
}

/* Given a guest that opens flows all the time, and peers that answer half of
 * them, then they take all of the time, unless another flow is settled and was
 * active in the last 2 s. */
static void story_opens_alone(enum sched_opener who)
{
	struct flow *f;
	unsigned int i, n;

	sched_world();
	one_answered_of = 2;
	check_eq("no limit at first", opens(who, 100), 10000);
	f = add_flow(1);
	for (i = 0; i < SCHED_SETTLED; i++)
		active(f, 100);
	check_eq("nor beside a flow that is not settled", opens(who, 100),
		 10000);
	active(f, 100);
	check_eq("none is open beside a settled one", opens(who, 100), 0);
	now++;
	check_eq("of the time before, only the last flow counts",
		 opens(who, 100), 3);
	now += 1999;
	active(f, 100);
	opens(who, 100);
	now += 1999;
	check("a limit for 2 s", opens(who, 100) < 10000);
	now++;
	check_eq("and no longer", opens(who, 100), 10000);
	remove_flow(f);

	one_answered_of = 5;
	for (i = 0; i < 1000; i++, now++)
		n = opens(who, 100);
	check_eq("400 us of each ms if peers answer fewer", n, 4);
	one_answered_of = 1;
	for (n = 0; n < 10000 && opens(who, 100) < 10000; n++)
		now++;
	check("until they answer again", n > 10 && n < 1000);
	one_answered_of = 0;
	sched_world();
	check_eq("a limit if none answers", opens(who, 100), 2500);
}

/* Given a guest with another flow, if it opens flows all the time, then they
 * take 400 us of each ms, and 250 ms at once. */
static void story_opens(enum sched_opener who, enum sched_opener other)
{
	unsigned int i, n;
	struct flow *f;

	sched_world();
	f = add_flow(1);
	settle(f);
	check_eq("250 ms at once", opens(who, 100), 2500);
	check_eq("then none", opens(who, 100), 0);
	now++;
	check_eq("and 400 us of each ms", opens(who, 100), 4);
	for (i = n = 0; i < 1000; i++, now++)
		n += opens(who, 30);
	active(f, 100);
	check("400 ms of each second", n >= 13320 && n <= 13334);
	check_eq("the others have their own part", opens(other, 100), 2500);
	now += 3600 * SEC;
	active(f, 100);
	check_eq("after an hour, 250 ms", opens(who, 100), 2500);
	now += 3600 * SEC;
	active(f, 100);
	check_eq("a flow counts as 1 ms at most", opens(who, 60 * 1000 * 1000),
		 250);
	now += 1;
	check("the last may take more than is left",
	      sched_may_open(&s, who, now));
	sched_opened(&s, who, 1000);
	now += 1;
	check("then none", !sched_may_open(&s, who, now));
	now += 1;
	check("until that is made up for", sched_may_open(&s, who, now));
	remove_flow(f);
}

int main(void)
{
	story_alone();
	story_beside_bulk();
	story_many_bulks();
	story_no_flow();
	story_last_dies();
	story_turns();
	story_skip();
	story_starved();
	story_opens_alone(SCHED_OPEN_TCP);
	story_opens_alone(SCHED_OPEN_OTHERS);
	story_opens(SCHED_OPEN_TCP, SCHED_OPEN_OTHERS);
	story_opens(SCHED_OPEN_OTHERS, SCHED_OPEN_TCP);
	flow_table_free(&table);
	return unit_end();
}
