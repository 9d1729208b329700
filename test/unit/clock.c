// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * clock.c - Tests of the worker's clock: it runs while passt waits or works,
 * and stands still while passt is stopped.
 */
#include "../../clock.c"
#include "test/unit/unit.h"

#define HOUR	(3600 * SEC)
#define START	1000000

/* waits() - End a wait; return whether timers have to wait for events */
static bool waits(struct clock *c, int timeout, bool interrupted, uint64_t now)
{
	return clock_waited(c, timeout, interrupted, now);
}

/* Given waits that end in time or a little late, then the clock counts all of
 * the time. If one ends late, events may have come meanwhile. */
static void story_running(void)
{
	uint64_t now = START;
	struct clock c;

	clock_init(&c, START);
	check_eq("the clock starts with the kernel's", clock_now(&c), START);
	check("an event ends a wait", !waits(&c, 600000, false, now += 10));
	check("a long wait ends in time",
	      !waits(&c, 600000, false, now += 600000));
	check("a wait without timeout", !waits(&c, -1, false, now += HOUR));
	check("one ends 49 ms late", !waits(&c, 100, false, now += 149));
	check("50 ms late: events may have come",
	      waits(&c, 100, false, now += 150));
	check("also if passt was late between two waits",
	      waits(&c, 0, false, now += 50));
	check("and at once if a signal interrupted it",
	      waits(&c, -1, true, now += 1));
	check("5 s late: the same", waits(&c, 100, false, now += 5099));
	check("or interrupted", waits(&c, -1, true, now += 4999));
	check_eq("passt was not stopped", c.pause, 0);
	check_eq("all of this time counts", clock_now(&c), now);
}

/* Given waits in which passt was stopped, then the clock says for how long, and
 * stands still. */
static void story_stopped(void)
{
	uint64_t now = START;
	struct clock c;

	clock_init(&c, START);
	check("an hour more than the timeout: events may have come",
	      waits(&c, 100, false, now += HOUR));
	check_eq("passt was stopped", c.pause, HOUR);
	check_eq("the clock stands still", clock_now(&c), START);
	waits(&c, 0, false, now += HOUR);
	check_eq("an hour between two waits", c.pause, HOUR);
	waits(&c, 2 * HOUR, true, now += HOUR);
	check_eq("an hour, interrupted before a timeout is over", c.pause,
		 HOUR);
	waits(&c, 100, false, now += 5100);
	check_eq("5 s more than the timeout", c.pause, 5100);
	waits(&c, -1, true, now += 5000);
	check_eq("5 s, interrupted without timeout", c.pause, 5000);
	check_eq("the clock still stands", clock_now(&c), START);
	check("then it goes on", !waits(&c, 100, false, now += 100));
	check_eq("passt is not stopped any more", c.pause, 0);
	check_eq("the clock runs from where it stood", clock_now(&c),
		 START + 100);
}

int main(void)
{
	story_running();
	story_stopped();
	return unit_end();
}
