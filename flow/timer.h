/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * timer.h - All timers of the program in one hierarchical wheel: O(1) to arm
 * and to cancel, 1 ms ticks, and the timeout for epoll_wait() from bitmaps.
 *
 * A timer is embedded in what it belongs to. Its type tells the loop what to
 * wake; the wheel does not read it.
 */
#ifndef FLOW_TIMER_H
#define FLOW_TIMER_H

#include <stdint.h>

#include "list.h"

#define TIMER_BITS	6
#define TIMER_SLOTS	(1 << TIMER_BITS)
#define TIMER_LEVELS	5	/* 64^5 ms: 12 days, longer ones are clamped */

struct timer {
	struct list node;
	uint64_t expires;	/* ms, the clock of now_ms() */
	uint8_t type;
	uint8_t level, slot;	/* its place in the wheel */
};

struct timers {
	uint64_t now;			/* earlier timers have expired */
	uint64_t used[TIMER_LEVELS];		/* slots that are not empty */
	struct list slot[TIMER_LEVELS][TIMER_SLOTS];
	struct list due;
};

void timers_init(struct timers *t, uint64_t now);
void timer_init(struct timer *timer, uint8_t type);
void timer_arm(struct timers *t, struct timer *timer, uint64_t expires);
void timer_cancel(struct timers *t, struct timer *timer);
struct timer *timers_expire(struct timers *t, uint64_t now);
int timers_wait(const struct timers *t, uint64_t now);

/* timer_armed() - Whether the timer waits to expire */
static inline bool timer_armed(const struct timer *timer)
{
	return !list_empty(&timer->node);
}

#endif /* FLOW_TIMER_H */
