// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conn_model.c - Explores all states that a TCP connection can reach in small
 * worlds (world.h), breadth first. In each state the invariants of machine.h
 * must be true, both ends have got a prefix of what was sent to them, and the
 * connection ends if from then on the link loses nothing and both ends send all
 * and close. The shortest list of moves that leads to a fault is printed.
 *
 *	conn_model [STATES [FAULTS [CHUNKS]]]
 *
 * STATES is the limit for the states of each world. FAULTS and CHUNKS replace
 * the limits in @worlds for faults, and for what each end sends.
 */
#include <stdio.h>
#include <time.h>

#include "tcp/conn.h"

/* The connection begins with a window of two segments, so that it is full after
 * a few moves. */
#undef TCP_WND_INIT
#define TCP_WND_INIT	96

#include "../../tcp/conn.c"
#include "../../tcp/conn_timer.c"
#include "../../tcp/conn_rx.c"
#include "../../tcp/conn_tx.c"
#include "siphash.h"
#include "test/unit/unit.h"

#include "test/unit/moves.h"
#include "test/unit/pack.h"

#define STATES		300000	/* limit for states of a world, if not given */
/* An honest end is what happens from a state on if the link loses nothing, and
 * both ends send all and close. */
#define STEPS_MAX	100	/* limit for moves until an honest end */
#define HONEST_SHOWN	40	/* moves of an honest end that are printed */

static struct bounds worlds[] = {
	{ "the guest opens and sends", OPENS_GUEST, .sack = true, .rcvbuf = 96,
	  .chunk = 48, .up = 2, .sndbuf = 48, .faults = 1, .queue = 3 },
	{ "a peer opens, the guest sends and probes by a byte", OPENS_PEER,
	  .byte_probes = true, .rcvbuf = 96, .chunk = 48, .up = 3,
	  .sndbuf = 72, .faults = 1, .queue = 2 },
	{ "a peer opens and sends", OPENS_PEER, .sack = true, .rcvbuf = 96,
	  .chunk = 48, .down = 2, .sndbuf = 48, .faults = 1, .queue = 3 },
	{ "the guest opens, both ends send", OPENS_GUEST, .rcvbuf = 96,
	  .chunk = 48, .up = 1, .down = 1, .sndbuf = 96, .faults = 1,
	  .queue = 2 },
	{ "the peer sends five segments, SACK", OPENS_GUEST, .sack = true,
	  .rcvbuf = 240, .chunk = 240, .down = 1, .sndbuf = 48, .faults = 1,
	  .queue = 7 },
	{ "the peer sends five segments, no SACK", OPENS_GUEST, .rcvbuf = 240,
	  .chunk = 240, .down = 1, .sndbuf = 48, .faults = 1, .queue = 7 },
	{ "the guest opens, an end resets", OPENS_GUEST, .rcvbuf = 96,
	  .chunk = 24, .up = 1, .down = 1, .sndbuf = 72, .queue = 3,
	  .resets = true },
	{ "a peer opens, an end resets", OPENS_PEER, .rcvbuf = 96, .chunk = 24,
	  .up = 1, .down = 1, .sndbuf = 72, .queue = 3, .resets = true },
	{ "both ends open", OPENS_BOTH, .rcvbuf = 96, .chunk = 48, .down = 1,
	  .sndbuf = 96, .faults = 1, .queue = 3 },
};

/**
 * struct entry - A state that is known
 * @hash:	hash of its string, 128 bits; 0: the entry is free
 * @parent:	entry of the state before it
 * @move:	move that leads here from @parent
 * @left:	number of moves until an honest end, plus 1; 0: not known yet
 * @reached:	the exploration has reached the state; false: it is only part of
 *		an honest end
 */
struct entry {
	uint64_t hash[2];
	uint32_t parent;
	uint8_t move, left;
	bool reached;
};

/* The table of states: open addressing. */
static struct entry *table;
static uint32_t table_size, used;

/**
 * struct frontier - States whose moves were not tried yet
 * @bytes:	for each state its entry, the length of its string, the string
 * @len, @space: bytes in use, and allocated
 */
struct frontier {
	uint8_t *bytes;
	size_t len, space;
};

static struct frontier now_tried, next_tried;
static unsigned long states, all_states, transitions, longest;
static size_t most_memory;

/* hash_string() - Compute the hash of a string */
static void hash_string(const uint8_t *s, size_t len, uint64_t hash[2])
{
	static const struct siphash_key key[2] = { { 1, 2 }, { 3, 4 } };

	hash[0] = siphash(&key[0], s, len) | 1;		/* not 0 */
	hash[1] = siphash(&key[1], s, len);
}

/* lookup() - Find the entry of a string, or make one; NULL if the table is
 * full */
static struct entry *lookup(const uint8_t *s, size_t len)
{
	uint64_t hash[2];
	uint32_t i;

	hash_string(s, len, hash);
	for (i = (uint32_t)hash[1] & (table_size - 1); table[i].hash[0];
	     i = (i + 1) & (table_size - 1))
		if (!memcmp(table[i].hash, hash, sizeof(hash)))
			return &table[i];
	if (used >= table_size / 8 * 7)
		return NULL;
	used++;
	memcpy(table[i].hash, hash, sizeof(hash));
	return &table[i];
}

/* add_frontier() - Note a state whose moves have to be tried */
static void add_frontier(struct frontier *f, uint32_t entry, const uint8_t *s,
			 size_t len)
{
	uint16_t n = (uint16_t)len;

	if (f->len + len + 8 > f->space) {
		f->space = f->space * 3 / 2 + 65536;
		f->bytes = realloc(f->bytes, f->space);
		if (!f->bytes)
			abort();
	}
	memcpy(f->bytes + f->len, &entry, 4);
	memcpy(f->bytes + f->len + 4, &n, 2);
	memcpy(f->bytes + f->len + 6, s, len);
	f->len += 6 + len;
}

/* ---- Situations that the exploration must reach ---- */

enum sight { SAW_OOO, SAW_BACKLOG, SAW_FIN_OOO, SAW_FIN_WAITS, SAW_PERSIST,
	     SAW_IDLE_PROBE, SAW_RECOVERY, SAW_SACKED, SAW_REWIND, SAW_WAIT,
	     SAW_STALL, SAW_DELAYED, SAW_HALF_UP, SAW_HALF_DOWN,
	     SAW_BOTH_SYN, SAW_FULL, SIGHTS };

static const char *const sight_name[SIGHTS] = {
	[SAW_OOO] = "data after a gap", [SAW_BACKLOG] = "backlog",
	[SAW_FIN_OOO] = "FIN after a gap",
	[SAW_FIN_WAITS] = "FIN after a backlog",
	[SAW_PERSIST] = "a closed window of the guest",
	[SAW_IDLE_PROBE] = "probes of a silent guest",
	[SAW_RECOVERY] = "recovery", [SAW_SACKED] = "SACK blocks",
	[SAW_REWIND] = "timeout", [SAW_WAIT] = "time-wait",
	[SAW_STALL] = "a window closed by a stall",
	[SAW_DELAYED] = "a delayed ACK", [SAW_HALF_UP] = "only the peer closed",
	[SAW_HALF_DOWN] = "only the guest closed",
	[SAW_BOTH_SYN] = "simultaneous open", [SAW_FULL] = "a full window",
};

static unsigned long seen[SIGHTS];

/* look() - Count the situations that the connection is in */
static void look(void)
{
	const struct tcp_conn *c = &m.c;
	bool open = w.opened && !m.removed && c->phase == CONN_OPEN;

	seen[SAW_WAIT] += !m.removed && c->phase == CONN_TIME_WAIT;
	seen[SAW_BOTH_SYN] += c->phase == CONN_SYN_ACKED &&
			      w.b->opening == OPENS_BOTH;
	if (!open)
		return;
	seen[SAW_OOO] += c->ooo.n > 0;
	seen[SAW_BACKLOG] += c->rcv_queued > 0;
	seen[SAW_FIN_OOO] += c->fin_seen && !c->fin_queued;
	seen[SAW_FIN_WAITS] += c->fin_queued && !c->fin_rcvd;
	seen[SAW_PERSIST] += c->timer == CONN_TIMER_PERSIST;
	seen[SAW_IDLE_PROBE] += c->timer == CONN_TIMER_IDLE && c->tries;
	seen[SAW_RECOVERY] += c->recovering;
	seen[SAW_SACKED] += c->sacked.n > 0;
	seen[SAW_REWIND] += m.rewinds;
	seen[SAW_STALL] += c->stall_at && c->heard_at >= c->stall_at;
	seen[SAW_DELAYED] += c->ack_due > 0;
	seen[SAW_HALF_UP] += c->eof && !c->fin_seen;
	seen[SAW_HALF_DOWN] += c->fin_rcvd && !m.fin;
	seen[SAW_FULL] += c->rcv_adv == c->rcv_nxt + c->rcv_queued;
}

/* ---- Counterexamples ---- */

static void print_state(void)
{
	const struct tcp_conn *c = &m.c;

	if (!w.opened || m.removed) {
		printf("#      passt: no flow; guest: %u\n", w.g.state);
		return;
	}
	printf("#      passt: %s, una %u nxt %u max %u wnd %u, rcv %u+%u adv %u, timer %u tries %u, buffered %u; guest: %u, una %u nxt %u max %u wnd %u, rcv %u, unread %u\n",
	       tcp_phase_name[c->phase], c->snd_una - c->isn,
	       c->snd_nxt - c->isn, c->snd_max - c->isn, c->snd_wnd,
	       c->rcv_nxt - m.irs, c->rcv_queued, c->rcv_adv - m.irs, c->timer,
	       c->tries, m.buffered, w.g.state, w.g.snd_una - MINI_ISS,
	       w.g.snd_nxt - MINI_ISS, w.g.snd_max - MINI_ISS, w.g.snd_wnd,
	       w.g.rcv_nxt - MINI_IRS, w.g.unread);
}

/* step() - From the state in @s, make a move, and write the new state to @s;
 * return its length */
static size_t step(uint8_t *s, const struct move *move)
{
	unpack_world(w.b, s);
	make_move(move);
	return pack_world(s);
}

/* print_step() - Make a move and print it */
static void print_step(uint8_t *s, const struct move *move)
{
	printf("#    %s\n", move->name);
	print_segments = true;
	step(s, move);
	print_segments = false;
	print_state();
}

/* print_path() - Make and print the moves that lead to the state @at, and then
 * the move @last, if it is not NULL; write the new state to @s */
static void print_path(uint8_t *s, uint32_t at, const struct move *last)
{
	uint8_t path[1024];
	unsigned int n = 0;

	for (; table[at].parent != at && n < sizeof(path);
	     at = table[at].parent)
		path[n++] = table[at].move;
	world_start(w.b);
	pack_world(s);
	while (n--)
		print_step(s, &moves[path[n]]);
	if (last)
		print_step(s, last);
}

/* print_honest() - Print how the world goes on from @s if it is honest */
static void print_honest(uint8_t *s)
{
	const struct move *move;
	unsigned int i;

	printf("#    from here on, honest:\n");
	for (i = 0; i < HONEST_SHOWN && !m.wrong; i++) {
		unpack_world(w.b, s);
		move = next_honest();
		if (!move)
			return;
		print_step(s, move);
	}
}

/* report_fault() - Report a fault of the move @last from the state @at, or, if
 * @last is NULL, of the honest end of this state; @what: name of the fault, if
 * it is no violated invariant */
static void report_fault(uint32_t at, const struct move *last, const char *what)
{
	const char *wrong = m.wrong ? m.wrong : what;
	uint8_t s[PACK_MAX];
	int line = m.line;

	printf("# world: %s\n", w.b->name);
	print_path(s, at, last);
	if (!last)
		print_honest(s);
	fail(w.b->name, "%s, line %d", wrong, m.wrong ? line : 0);
}

/* ---- Exploration ---- */

/*
 * ends_honestly() - Check that a state comes to an end within STEPS_MAX moves,
 * if from now on the link loses nothing and both ends send all and close. The
 * states on the way have entries, too, so each is examined once.
 * @from, @len:	string of the state
 * @at:		its entry
 *
 * Return: false if not; this was reported
 */
static bool ends_honestly(const uint8_t *from, size_t len, uint32_t at)
{
	struct entry *path[STEPS_MAX], *e;
	uint8_t s[PACK_MAX];
	const struct move *move;
	unsigned int n = 0, left = 0;

	memcpy(s, from, len);
	for (;;) {
		e = lookup(s, len);
		if (e && e->left) {
			left = e->left;
			break;
		}
		unpack_world(w.b, s);
		move = next_honest();
		if (n == STEPS_MAX || (!move && !has_ended())) {
			report_fault(at, NULL, move ? "no end" : "stuck");
			return false;
		}
		path[n++] = e;
		if (!move)
			break;
		make_move(move);
		len = pack_world(s);
		if (m.wrong) {
			report_fault(at, NULL, NULL);
			return false;
		}
	}
	while (n--) {
		left = MIN(left + 1, UINT8_MAX);
		if (path[n])
			path[n]->left = (uint8_t)left;
	}
	longest = MAX(longest, left - 1);
	return true;
}

/* reach() - Note that a move from the state @parent leads to the state @s */
static void reach(const uint8_t *s, size_t len, uint32_t parent, uint8_t move)
{
	struct entry *e = lookup(s, len);
	uint32_t at;

	if (!e || e->reached)
		return;
	at = (uint32_t)(e - table);
	e->reached = true;
	e->parent = states ? parent : at;
	e->move = move;
	states++;
	add_frontier(&next_tried, at, s, len);
}

/* try_moves() - Make all possible moves from the state @from, whose entry is
 * @at; false if one had a fault, which was reported */
static bool try_moves(const struct bounds *b, const uint8_t *from, uint32_t at)
{
	uint8_t s[PACK_MAX], i;
	size_t len;

	unpack_world(b, from);
	for (i = 0; i < ARRAY_SIZE(moves); i++) {
		if (!can_make(&moves[i]))
			continue;
		make_move(&moves[i]);
		transitions++;
		if (!m.wrong)
			look();
		len = pack_world(s);
		if (m.wrong) {
			report_fault(at, &moves[i], NULL);
			return false;
		}
		reach(s, len, at, i);
		unpack_world(b, from);
	}
	return true;
}

/* try_level() - Check all states of the frontier and make their moves; false
 * if one had a fault */
static bool try_level(const struct bounds *b, unsigned long limit)
{
	const uint8_t *p = now_tried.bytes, *end = p + now_tried.len;
	uint32_t at;
	uint16_t len;

	for (; p != end && states < limit; p += 6 + len) {
		memcpy(&at, p, 4);
		memcpy(&len, p + 4, 2);
		if (!ends_honestly(p + 6, len, at) || !try_moves(b, p + 6, at))
			return false;
	}
	return true;
}

/* explore() - Explore a world, up to @limit states */
static void explore(const struct bounds *b, unsigned long limit)
{
	clock_t start = clock();
	uint8_t s[PACK_MAX];
	struct frontier swap;
	unsigned int depth;
	bool good = true;

	memset(table, 0, table_size * sizeof(*table));
	used = 0;
	states = transitions = longest = 0;
	next_tried.len = 0;
	world_start(b);
	reach(s, pack_world(s), 0, 0);
	for (depth = 0; good && next_tried.len && states < limit; depth++) {
		swap = now_tried;
		now_tried = next_tried;
		next_tried = swap;
		next_tried.len = 0;
		good = try_level(b, limit);
	}
	all_states += states;
	most_memory = MAX(most_memory, table_size * sizeof(*table) +
			  now_tried.space + next_tried.space);
	printf("# %s: %lu states, %lu transitions, depth %u%s, an end after at most %lu moves, %.1f s\n",
	       b->name, states, transitions, depth,
	       next_tried.len ? " (not all)" : "", longest,
	       (double)(clock() - start) / CLOCKS_PER_SEC);
	if (good)
		pass(b->name);
}

/* make_table() - Allocate the table for @limit states */
static void make_table(unsigned long limit)
{
	for (table_size = 1 << 16; table_size / 8 * 7 < limit; table_size *= 2)
		;
	table = malloc(table_size * sizeof(*table));
	if (!table)
		abort();
}

/* check_sights() - Check that all situations were reached in some world */
static void check_sights(bool print)
{
	const char *missing = NULL;
	unsigned int i;

	for (i = 0; i < SIGHTS; i++) {
		if (print)
			printf("# %lu times: %s\n", seen[i], sight_name[i]);
		if (!seen[i])
			missing = sight_name[i];
	}
	if (missing)
		fail("the exploration has reached every situation", "not: %s",
		     missing);
	else
		pass("the exploration has reached every situation");
}

int main(int argc, char **argv)
{
	unsigned long limit = argc > 1 ? strtoul(argv[1], NULL, 0) : STATES;
	unsigned int i;

	make_table(limit + limit / 8);
	for (i = 0; i < ARRAY_SIZE(worlds); i++) {
		if (argc > 2)
			worlds[i].faults = (uint8_t)atoi(argv[2]);
		if (argc > 3 && worlds[i].chunk <= MINI_MSS)
			worlds[i].up = worlds[i].down = (uint8_t)atoi(argv[3]);
		explore(&worlds[i], limit);
	}
	printf("# %lu states, %zu MB of memory, %.1f s\n", all_states,
	       most_memory >> 20, (double)clock() / CLOCKS_PER_SEC);
	check_sights(argc > 1);
	return unit_end();
}
