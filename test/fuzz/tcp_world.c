// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * tcp_world.c - libFuzzer target: whatever the link between passt and an honest
 * guest loses, reorders or duplicates, and whenever timers fire, both ends get
 * a prefix of what was sent to them, and the connection ends with all bytes
 * delivered as soon as the link loses nothing and both ends close.
 *
 * The worlds are those of test/unit/conn_model.c, but deeper. The first bytes
 * of an input select the bounds, and each other byte selects one of the moves
 * that are possible.
 */
#include "tcp/conn.h"

/* The connection begins with a window of two segments, as in conn_model.c. */
#undef TCP_WND_INIT
#define TCP_WND_INIT	96

#include "../../tcp/conn.c"
#include "../../tcp/conn_timer.c"
#include "../../tcp/conn_rx.c"
#include "../../tcp/conn_tx.c"

#include <stdio.h>

#include "test/fuzz/fuzz.h"
#undef MUST

UNCOUNTED

#include "test/unit/moves.h"
#include "test/unit/pack.h"

#define MOVES		96	/* limit for moves in an input, for speed */
#define HONEST_MAX	1000	/* limit for moves until an honest end */

/* check_world() - Stop the target if an invariant was violated */
static void check_world(const char *move)
{
	if (!m.wrong)
		return;
	fprintf(stderr, "tcp_world: %s, line %d, after: %s\n", m.wrong, m.line,
		move);
	abort();
}

/* pick_bounds() - Select bounds by the first bytes of an input */
static void pick_bounds(struct input *in, struct bounds *b)
{
	static const uint8_t chunks[] = { 24, 48, 1, 40 };
	uint8_t first = take_byte(in), second = take_byte(in);

	*b = (struct bounds){
		.name = "fuzz", .opening = first % 3, .sack = first >> 2 & 1,
		.byte_probes = first >> 3 & 1, .rcvbuf = 96,
		.resets = first >> 4 & 1, .chunk = chunks[first >> 6],
		.up = second & 3, .down = second >> 2 & 3,
		.sndbuf = second >> 4 & 1 ? 96 : 48,
		.queue = 2 + (second >> 5 & 3), .faults = take_byte(in) % 32,
	};
}

/* step() - Make a move; what happens next depends only on what pack_world()
 * writes */
static void step(const struct bounds *b, const struct move *move)
{
	uint8_t s[PACK_MAX];

	make_move(move);
	check_world(move->name);
	pack_world(s);
	check_world(move->name);
	unpack_world(b, s);
}

/* make_some() - Make the move that a byte selects among the possible ones */
static void make_some(const struct bounds *b, uint8_t byte)
{
	const struct move *can[ARRAY_SIZE(moves)];
	unsigned int n = 0, i;

	for (i = 0; i < ARRAY_SIZE(moves); i++)
		if (can_make(&moves[i]))
			can[n++] = &moves[i];
	if (n)
		step(b, can[byte % n]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const struct move *move;
	unsigned int i;
	struct bounds b;
	uint8_t s[PACK_MAX];

	pick_bounds(&in, &b);
	world_start(&b);
	pack_world(s);
	unpack_world(&b, s);
	for (i = 0; i < MOVES && in.left; i++)
		make_some(&b, take_byte(&in));
	for (i = 0; i < HONEST_MAX && (move = next_honest()); i++)
		step(&b, move);
	if (i == HONEST_MAX || !has_ended()) {
		fprintf(stderr, "tcp_world: no end\n");
		abort();
	}
	return 0;
}

COUNTED
