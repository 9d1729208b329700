/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * timer.h - A hierarchical timing wheel that holds all timers of a worker.
 * Arming or cancelling a timer takes constant time. The resolution is 1 ms.
 *
 * A timer is a member of the structure that it belongs to, for example of
 * struct flow. The type of a timer tells the event loop which handler to call
 * when the timer expires. The wheel itself does not use the type.
 */
#ifndef FLOW_TIMER_H
#define FLOW_TIMER_H

#include <stdint.h>

#include "list.h"

#define TIMER_BITS	6
#define TIMER_SLOTS	(1 << TIMER_BITS)
#define TIMER_LEVELS	5	/* 64^5 ms, which is 12 days */

struct timer {
	struct list node;
	uint64_t expires;	/* time in ms, as now_ms() returns it */
	uint8_t type;		/* as given to timer_init() */
	uint8_t level, slot;	/* place of the timer in the wheel */
};

struct timers {
	uint64_t now;			/* time of the wheel, ms */
	uint64_t used[TIMER_LEVELS];	/* bits of slots that have timers */
	struct list slot[TIMER_LEVELS][TIMER_SLOTS];
	struct list due;		/* timers that have expired */
};

void timers_init(struct timers *t, uint64_t now);
void timer_init(struct timer *timer, uint8_t type);
void timer_arm(struct timers *t, struct timer *timer, uint64_t expires);
void timer_cancel(struct timers *t, struct timer *timer);
struct timer *timers_expire(struct timers *t, uint64_t now);
int timers_wait(const struct timers *t, uint64_t now);

/* timer_armed() - Whether a timer is armed */
static inline bool timer_armed(const struct timer *timer)
{
	return !list_empty(&timer->node);
}

#endif /* FLOW_TIMER_H */
