// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * tcp_walk.c - libFuzzer target: whatever segments a guest sends, valid or not,
 * and whatever its socket does, in any order, the invariants of machine.h hold
 * for a TCP connection, and the connection ends when both ends have sent all,
 * or when both are silent.
 *
 * Each input replaces the random numbers of test/unit/conn_walk.c: it says what
 * walk.h draws. When the input is used up, the connection has to end.
 */
#include "../../tcp/conn.c"
#include "../../tcp/conn_timer.c"
#include "../../tcp/conn_rx.c"
#include "../../tcp/conn_tx.c"

#include <stdio.h>

#include "test/fuzz/steps.h"
#undef MUST

UNCOUNTED

/* Random numbers of the input; afterwards, those of a generator. */
static struct input draws;
static uint32_t other_draws;

static uint64_t next_random(void)
{
	uint64_t high;

	if (draws.left) {
		high = take_u32(&draws);
		return high << 32 | take_u32(&draws);
	}
	return (uint64_t)draw_below(&other_draws, UINT32_MAX) << 32 |
	       draw_below(&other_draws, UINT32_MAX);
}

/* below() - Return a number from 0 to @n - 1: two bytes of the input */
static uint32_t below(uint32_t n)
{
	if (!draws.left)
		return (uint32_t)draw_below(&other_draws, n);
	if (n <= 256)
		return take_byte(&draws) % n;
	return (n <= 65536 ? take_u16(&draws) : take_u32(&draws)) % n;
}

#include "test/unit/walk.h"

/* check_walk() - Stop the target if an invariant was violated */
static void check_walk(void)
{
	if (!m.wrong)
		return;
	fprintf(stderr, "tcp_walk: %s, line %d, phase %s\n", m.wrong, m.line,
		tcp_phase_name[m.c.phase]);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool honest;

	draws = (struct input){ data, size };
	other_draws = 1 + (uint32_t)size;
	honest = take_byte(&draws) & 1;
	begin();
	while (draws.left && !m.removed && !m.wrong)
		step();
	check_walk();
	if (!m.removed && honest && sane())
		both_end();
	else if (!m.removed)
		silence();
	MUST(&m, !m.rxring_total && !m.rxring.buf);
	check_walk();
	return 0;
}

COUNTED
