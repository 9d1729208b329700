// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * timer.c - The hierarchical timing wheel (Varghese and Lauck, 1987, scheme 7).
 *
 * A slot of level L covers 64^L ms. The time of a timer and the time of the
 * wheel are taken as numbers to base 64. The level of a timer is the position
 * of the highest digit in which the two numbers differ. So the timers of a
 * level are in later slots than the one that the wheel is in, and the lowest
 * level that is not empty holds the timer that expires next.
 *
 * The wheel moves from one used slot to the next, never tick by tick. When the
 * wheel comes to a slot, the timers of the slot move to lower levels. A timer
 * that expires within SPAN (12 days) moves at most TIMER_LEVELS times.
 */
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "flow/timer.h"
#include "util.h"

#define DUE		TIMER_LEVELS	/* level of timers in the list @due */
#define TOP		(TIMER_LEVELS - 1)

/* How many ms ahead a timer can be placed. The highest level is used as a ring,
 * whose furthest slot is the one just before the current one. */
#define SPAN	((uint64_t)(TIMER_SLOTS - 1) << (TOP * TIMER_BITS))

_Static_assert(TIMER_SLOTS == 64, "a level's slots are the bits of a word");
_Static_assert(SPAN <= INT_MAX, "epoll_wait() can wait for the furthest slot");

/* timers_init() - Make a wheel without timers, whose time is @now */
void timers_init(struct timers *t, uint64_t now)
{
	unsigned int level, slot;

	t->now = now;
	list_init(&t->due);
	for (level = 0; level < TIMER_LEVELS; level++) {
		t->used[level] = 0;
		for (slot = 0; slot < TIMER_SLOTS; slot++)
			list_init(&t->slot[level][slot]);
	}
}

/**
 * timer_init() - Make a timer that is not armed
 * @type:	tells the caller of timers_expire() what this timer is for
 */
void timer_init(struct timer *timer, uint8_t type)
{
	list_init(&timer->node);
	timer->expires = 0;
	timer->type = type;
	timer->level = DUE;
	timer->slot = 0;
}

/* slot_number() - Return the number of the slot of a level that covers a time
 * in ms */
static unsigned int slot_number(unsigned int level, uint64_t time)
{
	return (time >> (level * TIMER_BITS)) & (TIMER_SLOTS - 1);
}

/*
 * place_timer() - Put a timer, which is in no list, into the slot of its time
 *
 * A timer that expires more than SPAN ms from now goes to the furthest slot.
 * The timer is placed again when the wheel comes to that slot.
 */
static void place_timer(struct timers *t, struct timer *timer)
{
	uint64_t at = MIN(timer->expires, t->now + SPAN);
	unsigned int level;

	if (at <= t->now) {
		timer->level = DUE;
		list_push(&t->due, &timer->node);
		return;
	}

	level = (63 - (unsigned int)__builtin_clzll(at ^ t->now)) / TIMER_BITS;
	timer->level = (uint8_t)MIN(level, TOP);
	timer->slot = (uint8_t)slot_number(timer->level, at);
	list_push(&t->slot[timer->level][timer->slot], &timer->node);
	t->used[timer->level] |= UINT64_C(1) << timer->slot;
}

/**
 * timer_arm() - Set when a timer expires; the timer may be armed already
 * @expires:	time in ms. A timer armed for a time that has passed expires in
 *		the next call of timers_expire(), even in the same pass
 *
 * A handler that arms its own timer again has to choose a later time than now:
 * otherwise the pass never ends.
 */
void timer_arm(struct timers *t, struct timer *timer, uint64_t expires)
{
	timer_cancel(t, timer);
	timer->expires = expires;
	place_timer(t, timer);
}

/* timer_cancel() - Disarm a timer; does nothing if it is not armed */
void timer_cancel(struct timers *t, struct timer *timer)
{
	bool armed = timer_armed(timer);

	list_remove(&timer->node);
	if (armed && timer->level != DUE &&
	    list_empty(&t->slot[timer->level][timer->slot]))
		t->used[timer->level] &= ~(UINT64_C(1) << timer->slot);
}

/*
 * next_slot() - Find the used slot that the wheel comes to next
 * @start:	set to the time in ms at which the slot begins
 *
 * Return: level of the slot, -1 if no slot is used
 */
static int next_slot(const struct timers *t, uint64_t *start)
{
	unsigned int level;

	for (level = 0; level < TIMER_LEVELS; level++) {
		unsigned int current = slot_number(level, t->now);
		uint64_t ahead = t->used[level];

		if (!ahead)
			continue;

		/* Rotate the word, so that bit n is for the n-th slot after
		 * the current slot. The current slot itself is not used. */
		ahead = ahead >> current | ahead << (-current & 63);
		*start = ((t->now >> (level * TIMER_BITS)) +
			  (unsigned int)__builtin_ctzll(ahead))
			 << (level * TIMER_BITS);
		return (int)level;
	}

	return -1;
}

/* enter_slot() - Move all timers of the current slot of a level to lower
 * levels */
static void enter_slot(struct timers *t, unsigned int level)
{
	unsigned int number = slot_number(level, t->now);
	struct list *m, *slot = &t->slot[level][number];

	while ((m = list_pop(slot)))
		place_timer(t, container_of(m, struct timer, node));
	t->used[level] &= ~(UINT64_C(1) << number);
}

/**
 * timers_expire() - Take the next timer that has expired
 * @now:	time that the wheel moves to; the wheel never moves back
 *
 * Call this function until it returns NULL. Between two calls, the caller may
 * arm and cancel any timer, also the timer that the last call returned. Timers
 * expire in the order of their times, however far @now jumps. A timer that was
 * armed for a time in the past expires before the others.
 *
 * Return: the next expired timer, which is disarmed now; NULL if no further
 *	   timer has expired
 */
struct timer *timers_expire(struct timers *t, uint64_t now)
{
	while (list_empty(&t->due)) {
		uint64_t start;
		int level = next_slot(t, &start);

		if (level < 0 || start > now) {
			t->now = MAX(t->now, now);
			return NULL;
		}

		t->now = start;
		enter_slot(t, (unsigned int)level);
	}

	return container_of(list_pop(&t->due), struct timer, node);
}

/**
 * timers_wait() - Tell how long epoll_wait() may wait for the next timer
 *
 * The timeout ends when the wheel comes to the next used slot. If this slot is
 * not of the lowest level, its timers may expire later, and timers_expire()
 * only moves them to lower levels. A timer causes at most one such early
 * wake-up for each level.
 *
 * Return: timeout for epoll_wait() in ms; -1 if no timer is armed
 */
int timers_wait(const struct timers *t, uint64_t now)
{
	uint64_t start;

	if (!list_empty(&t->due))
		return 0;

	if (next_slot(t, &start) < 0)
		return -1;

	return start > now ? (int)MIN(start - now, SPAN) : 0;
}
