// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * timer.c - Tests of the timer wheel: single cases, and random operations that
 * are compared with a model, which searches through all timers each time.
 */
#include <stdlib.h>

#include "../../flow/timer.c"
#include "random.h"
#include "unit.h"

#define TIMERS	500
#define STEPS	400000
#define HOUR	(3600 * SEC)
#define DAY	(24 * HOUR)

/* count_expired() - Take all timers that have expired at @now; returns their
 * number */
static unsigned int count_expired(struct timers *t, uint64_t now)
{
	unsigned int n = 0;

	while (timers_expire(t, now))
		n++;
	return n;
}

static void one_timer(void)
{
	struct timers t;
	struct timer a;

	timers_init(&t, 1000);
	timer_init(&a, 7);
	check_eq("an empty wheel: wait without end", timers_wait(&t, 1000), -1);
	check("an empty wheel: nothing expires", !timers_expire(&t, 5000));

	timer_arm(&t, &a, 5010);
	check("an armed timer says so", timer_armed(&a));
	check_eq("the next tick's row: the wait is exact",
		 timers_wait(&t, 5000), 10);
	check("one ms early: nothing expires", !timers_expire(&t, 5009));
	check_eq("one ms early: wait for that", timers_wait(&t, 5009), 1);
	check("in time: it expires", timers_expire(&t, 5010) == &a);
	check("it is disarmed then", !timer_armed(&a));
	check_eq("its type is kept", a.type, 7);
	check("it expires once", !timers_expire(&t, 5010));
	check_eq("after that: wait without end", timers_wait(&t, 5010), -1);

	timer_arm(&t, &a, 5100);
	timer_arm(&t, &a, 9000);
	check("armed again: the old time is void", !timers_expire(&t, 8999));
	check("armed again: the new time counts",
	      timers_expire(&t, 9000) == &a);

	timer_arm(&t, &a, 9500);
	timer_cancel(&t, &a);
	timer_cancel(&t, &a);
	check("cancelled, even twice: not armed", !timer_armed(&a));
	check_eq("cancelled: wait without end", timers_wait(&t, 9000), -1);
	check("cancelled: does not expire", !timers_expire(&t, 99999));
}

static void the_past(void)
{
	struct timer a, b, c;
	struct timers t;

	timers_init(&t, 100000);
	timer_init(&a, 0);
	timer_init(&b, 0);
	timer_init(&c, 0);
	timer_arm(&t, &a, 100000);
	timer_arm(&t, &b, 0);
	check_eq("armed for the past: no wait", timers_wait(&t, 100000), 0);
	check("armed for the present: expires",
	      timers_expire(&t, 100000) == &a);
	check("armed for the past: expires", timers_expire(&t, 100000) == &b);
	check("armed for the past: once", !timers_expire(&t, 100000));

	timer_arm(&t, &a, 5);
	timer_cancel(&t, &a);
	check_eq("late and cancelled: wait without end",
		 timers_wait(&t, 100000), -1);

	timer_arm(&t, &c, 100500);
	check("time does not go back", !timers_expire(&t, 50));
	check("and nothing is lost by it", timers_expire(&t, 100500) == &c);
}

static void changes_while_expiring(void)
{
	struct timer a, b, c;
	struct timers t;

	timers_init(&t, 0);
	timer_init(&a, 0);
	timer_init(&b, 0);
	timer_init(&c, 0);
	timer_arm(&t, &a, 20);
	timer_arm(&t, &b, 20);
	timer_arm(&t, &c, 30);

	check("first of three", timers_expire(&t, 100) == &a);
	timer_cancel(&t, &b);
	timer_arm(&t, &a, 25);
	check("the second was cancelled by the first, which comes again",
	      timers_expire(&t, 100) == &a);
	timer_arm(&t, &a, 150);
	check("then the third", timers_expire(&t, 100) == &c);
	check("the first waits for its new time", !timers_expire(&t, 100));
	check_eq("which is known", timers_wait(&t, 100), 28);
	check("and comes", timers_expire(&t, 150) == &a);
}

static void far_ahead(void)
{
	struct timer year, never, soon;
	unsigned int rounds = 0;
	uint64_t now = 12345;
	struct timers t;

	timers_init(&t, now);
	timer_init(&year, 0);
	timer_init(&never, 0);
	timer_init(&soon, 0);
	timer_arm(&t, &year, now + 365 * DAY);
	timer_arm(&t, &never, UINT64_MAX);
	check("a year: nothing a day before",
	      !timers_expire(&t, now + 364 * DAY));
	check("a year: not early by a ms",
	      !timers_expire(&t, now + 365 * DAY - 1));
	check("a year: in time, in one jump",
	      timers_expire(&t, now + 365 * DAY) == &year);
	check("the end of time does not come",
	      !timers_expire(&t, now + 10000 * 365 * DAY));
	timer_cancel(&t, &never);

	timers_init(&t, now);
	timer_arm(&t, &soon, now + 2 * HOUR);
	while (!timers_expire(&t, now) && rounds < 100) {
		now += (uint64_t)timers_wait(&t, now);
		rounds++;
	}
	check_eq("sleeping as told: two hours end in time", now,
		 12345 + 2 * HOUR);
	check("sleeping as told: woken at most once for each level",
	      rounds <= TIMER_LEVELS);
}

/* Given a timer so far ahead that it is near a border between two levels of the
 * wheel, then it expires in the right ms. */
static void borders(void)
{
	static const uint64_t starts[] = {
		0, 1, 63, 64, 4095, 4096, 262143, 262144, (1 << 24) - 1,
		1 << 24, (1 << 30) - 1, 1 << 30, 0x3fffffffffff,
	};
	unsigned int i, level, wrong = 0;
	struct timers t;
	struct timer a;
	int off;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		for (level = 1; level <= TIMER_LEVELS; level++) {
			for (off = -2; off <= 2; off++) {
				uint64_t ahead = (UINT64_C(1) << level *
						  TIMER_BITS) + (uint64_t)off;

				timers_init(&t, starts[i]);
				timer_init(&a, 0);
				timer_arm(&t, &a, starts[i] + ahead);
				if (timers_expire(&t, starts[i] + ahead - 1) ||
				    timers_expire(&t, starts[i] + ahead) != &a)
					wrong++;
			}
		}
	}
	check_eq("around the borders of levels: to the ms", wrong, 0);
}


static void order(void)
{
	static struct timer timer[TIMERS];
	uint64_t last = 0, wrong = 0;
	struct timer *expired;
	struct timers t;
	unsigned int i;

	timers_init(&t, 0);
	for (i = 0; i < TIMERS; i++) {
		timer_init(&timer[i], 0);
		timer_arm(&t, &timer[i], 1 + next_random() %
			  (UINT64_C(1) << next_random() % 32));
	}
	for (i = 0; (expired = timers_expire(&t, 200 * DAY)); i++) {
		wrong += expired->expires < last;
		last = expired->expires;
	}
	check_eq("one jump over all: each expires", i, TIMERS);
	check_eq("one jump over all: in the order of time", wrong, 0);
}

/**
 * struct model - What the timer wheel should know of each timer
 * @expires:	time at which the timer expires, ms
 * @armed:	the timer is armed
 */
struct model {
	uint64_t expires[TIMERS];
	bool armed[TIMERS];
};

/* model_next() - Return the time at which the first armed timer expires, ms;
 * UINT64_MAX: none is armed */
static uint64_t model_next(const struct model *m)
{
	uint64_t next = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < TIMERS; i++)
		if (m->armed[i])
			next = MIN(next, m->expires[i]);
	return next;
}

/* some_time() - Choose a random time: mostly soon after @now, sometimes long
 * after it, and sometimes before it */
static uint64_t some_time(uint64_t now)
{
	uint64_t r = next_random() % (UINT64_C(1) << (next_random() % 33));

	if (next_random() % 16 == 0)
		return now - MIN(now, r);
	return now + r;
}

/* run_expired() - Take all expired timers, compare each with the model, and arm
 * and cancel some at random; returns the number of deviations */
static unsigned int run_expired(struct timers *t, struct timer *timer,
				struct model *m, uint64_t now)
{
	unsigned int wrong = 0, i;
	struct timer *e;

	while ((e = timers_expire(t, now))) {
		i = (unsigned int)(e - timer);
		wrong += !m->armed[i] || m->expires[i] > now;
		wrong += timer_armed(e);
		m->armed[i] = false;

		if (next_random() % 4 == 0) {
			timer_arm(t, e, now + 1 + next_random() % 5000);
			m->armed[i] = true;
			m->expires[i] = e->expires;
		}
		i = next_random() % TIMERS;
		if (next_random() % 4 == 0) {
			timer_cancel(t, &timer[i]);
			m->armed[i] = false;
		}
	}

	return wrong + (model_next(m) <= now);
}

static void random_life(void)
{
	unsigned int step, wrong = 0, late = 0, odd = 0;
	static struct timer timer[TIMERS];
	static struct model m;
	uint64_t now = 1000000;
	struct timers t;

	timers_init(&t, now);
	for (step = 0; step < TIMERS; step++)
		timer_init(&timer[step], 0);

	for (step = 0; step < STEPS; step++) {
		unsigned int i = next_random() % TIMERS;

		odd += timer_armed(&timer[i]) != m.armed[i];
		if (next_random() % 3) {
			m.expires[i] = some_time(now);
			m.armed[i] = true;
			timer_arm(&t, &timer[i], m.expires[i]);
		} else {
			m.armed[i] = false;
			timer_cancel(&t, &timer[i]);
		}

		if (next_random() % 8 == 0) {
			uint64_t next = model_next(&m);
			int wait = timers_wait(&t, now);

			late += wait < 0 ? next != UINT64_MAX :
				next == UINT64_MAX ||
				now + (uint64_t)wait > MAX(next, now);
			now += next_random() %
			       (UINT64_C(1) << next_random() % 28);
			wrong += run_expired(&t, timer, &m, now);
		}
	}

	check_eq("a random life: none early, none missing, none twice",
		 wrong, 0);
	check_eq("a random life: the wait never ends too late", late, 0);
	check_eq("a random life: armed is armed", odd, 0);
}

/* Given a timer that is a day ahead, then the wheel jumps over the day at once.
 * The test does this a hundred thousand times: it would not end if the wheel
 * went through every ms. */
static void long_sleep(void)
{
	struct timer daily;
	unsigned int i, n = 0;
	struct timers t;

	timers_init(&t, 0);
	timer_init(&daily, 0);
	for (i = 1; i <= 100000; i++) {
		timer_arm(&t, &daily, i * DAY);
		n += count_expired(&t, i * DAY);
	}
	check_eq("a hundred thousand jumps of a day", n, 100000);
}

/* Given two timers that are armed again for one second and ten minutes later
 * whenever they expire, when the time jumps by an hour, then each expires
 * once. */
static void periodic_timers(void)
{
	struct timer each_second, each_ten, *timer;
	unsigned int n[2] = { 0 };
	struct timers t;

	timers_init(&t, 0);
	timer_init(&each_second, 0);
	timer_init(&each_ten, 1);
	timer_arm(&t, &each_second, SEC);
	timer_arm(&t, &each_ten, 600 * SEC);
	while ((timer = timers_expire(&t, HOUR))) {
		n[timer->type]++;
		timer_arm(&t, timer, HOUR + (timer->type ? 600 * SEC : SEC));
	}
	check_eq("a jump of an hour: once, not 3600 times", n[0], 1);
	check_eq("nor six times", n[1], 1);
	check("then not before its second",
	      !timers_expire(&t, HOUR + SEC - 1));
	check("but in time", timers_expire(&t, HOUR + SEC) == &each_second);
}

int main(void)
{
	periodic_timers();
	one_timer();
	the_past();
	changes_while_expiring();
	far_ahead();
	borders();
	order();
	random_life();
	long_sleep();
	return unit_end();
}
