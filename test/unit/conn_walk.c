// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conn_walk.c - Random walks of a TCP connection, with millions of steps. In a
 * step the guest sends valid or invalid segments, the socket takes or supplies
 * data, or time passes. After each step machine.h checks what must always be
 * true. A walk consists of lives: each life is one connection, and must end
 * when both ends have sent all, or when both ends are silent.
 *
 *	conn_walk [STEPS [SEED]]
 */
#include <stdio.h>

#include "../../tcp/conn.c"
#include "../../tcp/conn_timer.c"
#include "../../tcp/conn_rx.c"
#include "../../tcp/conn_tx.c"
#include "test/unit/random.h"
#include "test/unit/unit.h"
#include "test/unit/walk.h"

#define STEPS		4000000
#define LIFE_MAX	1500		/* limit for steps of a connection */

static unsigned long steps;

/* life() - Run one connection from its beginning to its end */
static void life(void)
{
	unsigned int i, n = below(one_in(4) ? LIFE_MAX : 200);

	begin();
	for (i = 0; i < n && !m.removed && !m.wrong; i++, steps++)
		step();
	if (!m.removed && !m.wrong && sane() && one_in(2))
		both_end();
	else if (!m.removed && !m.wrong)
		silence();
	MUST(&m, !m.rxring_total && !m.rxring.buf);
	seen[SAW_REWIND] += m.rewinds;
	seen[SAW_CHALLENGE] += m.challenges;
	seen[SAW_REFUSED] += m.refused;
	seen[SAW_RST] += m.rst_guest;
}

int main(int argc, char **argv)
{
	unsigned long wanted = argc > 1 ? strtoul(argv[1], NULL, 0) : STEPS;
	unsigned long lives = 0;
	uint64_t before = 0;
	unsigned int i;

	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0) * 2 + 1;
	for (; steps < wanted && !m.wrong; lives++) {
		before = seed;
		life();
	}
	printf("# %lu steps in %lu lives\n", steps, lives);
	if (m.wrong)
		fail("every invariant holds at each step",
		     "%s, line %d; life %lu, seed %" PRIu64 ", phase %s",
		     m.wrong, m.line, lives, before,
		     tcp_phase_name[m.c.phase]);
	else
		pass("every invariant holds at each step");
	for (i = 0; i < SIGHTS && seen[i] >= 20; i++)
		;
	if (i < SIGHTS)
		fail("the walks have reached every state", "%lu times at: %s",
		     seen[i], sight_name[i]);
	else
		pass("the walks have reached every state");
	return unit_end();
}
