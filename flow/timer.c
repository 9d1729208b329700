// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * timer.c - The hierarchical timing wheel (Varghese and Lauck, 1987, scheme 7).
 *
 * A slot of level L stands for 64^L ms. A timer hangs in the level of the
 * highest digit, to base 64, in which its time differs from the wheel's: so
 * every level only holds times beyond the slot the wheel is in, and the first
 * level that isn't empty holds the next time of all. The wheel moves from one
 * used slot to the next, never tick by tick; a timer moves down a level when
 * the wheel comes to its slot, at most TIMER_LEVELS times in its life.
 */
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "flow/timer.h"
#include "util.h"

#define DUE		TIMER_LEVELS	/* level of timers in the due list */
#define TOP		(TIMER_LEVELS - 1)

/* The highest level goes round: at most to the slot behind the current one. */
#define SPAN	((uint64_t)(TIMER_SLOTS - 1) << (TOP * TIMER_BITS))

_Static_assert(TIMER_SLOTS == 64, "a level's slots are the bits of a word");
_Static_assert(SPAN <= INT_MAX, "epoll_wait() can wait for the furthest slot");

/* timers_init() - Make an empty wheel */
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
 * @type:	what to wake, for the caller of timers_expire()
 */
void timer_init(struct timer *timer, uint8_t type)
{
	list_init(&timer->node);
	timer->expires = 0;
	timer->type = type;
	timer->level = DUE;
	timer->slot = 0;
}

/* slot_number() - The slot of a level that a time in ms falls into */
static unsigned int slot_number(unsigned int level, uint64_t time)
{
	return (time >> (level * TIMER_BITS)) & (TIMER_SLOTS - 1);
}

/*
 * place_timer() - Put a timer that is in no list into the slot of its time
 *
 * A timer beyond the span of the wheel goes to the last slot, and is placed
 * again when the wheel gets there.
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
 * timer_arm() - Set when a timer expires, whether it is armed already or not
 * @expires:	ms. A time that has passed expires in the next timers_expire(),
 *		even with the same @now: a timer that re-arms itself when it
 *		expires has to choose a later time
 */
void timer_arm(struct timers *t, struct timer *timer, uint64_t expires)
{
	timer_cancel(t, timer);
	timer->expires = expires;
	place_timer(t, timer);
}

/* timer_cancel() - Disarm a timer; harmless if it is not armed */
void timer_cancel(struct timers *t, struct timer *timer)
{
	bool armed = timer_armed(timer);

	list_remove(&timer->node);
	if (armed && timer->level != DUE &&
	    list_empty(&t->slot[timer->level][timer->slot]))
		t->used[timer->level] &= ~(UINT64_C(1) << timer->slot);
}

/*
 * next_slot() - The next used slot: returns its level, -1 if there is none
 * @start:	set to the time in ms at which the slot begins
 */
static int next_slot(const struct timers *t, uint64_t *start)
{
	unsigned int level;

	for (level = 0; level < TIMER_LEVELS; level++) {
		unsigned int current = slot_number(level, t->now);
		uint64_t ahead = t->used[level];

		if (!ahead)
			continue;

		/* Bit n: the slot n after the current one, which is unused. */
		ahead = ahead >> current | ahead << (-current & 63);
		*start = ((t->now >> (level * TIMER_BITS)) +
			  (unsigned int)__builtin_ctzll(ahead))
			 << (level * TIMER_BITS);
		return (int)level;
	}

	return -1;
}

/* enter_slot() - The wheel reached a slot: move its timers to lower levels */
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
 * @now:	if it is before that of the last call, that one counts
 *
 * Call it until it returns NULL. Between calls any timer may be armed and
 * cancelled, the returned one as well. Timers come in the order of their times,
 * however far @now jumps; those armed for a time that had passed come first.
 *
 * Return: a timer, disarmed; NULL if no other has expired
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
 * timers_wait() - How long to wait for the next timer
 *
 * The wait may end before a timer expires, as timers_expire() has to move it
 * down a level: at most once for each level.
 *
 * Return: timeout for epoll_wait() in ms, -1 if no timer is armed
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
