/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * clock.h - The clock of a worker, which gives all parts their @now. It stands
 * still while the host sleeps, and while passt is stopped.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

/* How much longer than its timeout a wait must take before passt counts as
 * stopped, ms. A pass takes a few ms, and a busy host delays it by less than
 * 1 s. */
#define CLOCK_STOPPED	5000

/* How much longer than its timeout a wait must take before events may have come
 * meanwhile, ms: much less than the shortest timeout of TCP (TCP_RTO_MIN). The
 * wait may have ended just before passt was stopped, so that its events do not
 * tell what came later. */
#define CLOCK_LATE	50

/**
 * struct clock - The clock of a worker
 * @last:	CLOCK_MONOTONIC when the last wait for events ended, ms
 * @stopped:	how long passt was stopped in all, ms
 * @pause:	how much of @stopped passed in the last wait, ms; 0: passt was
 *		not stopped, or for less than CLOCK_STOPPED
 */
struct clock {
	uint64_t last, stopped, pause;
};

/* clock_init() - Set the clock to the time of CLOCK_MONOTONIC, ms */
static inline void clock_init(struct clock *c, uint64_t monotonic)
{
	*c = (struct clock){ .last = monotonic };
}

/**
 * clock_read() - Read the clock
 *
 * Return: time that is valid for timers, ms
 */
static inline uint64_t clock_read(const struct clock *c)
{
	return now_ms() - c->stopped;
}

/* clock_now() - Return the time at which the last wait ended, ms */
static inline uint64_t clock_now(const struct clock *c)
{
	return c->last - c->stopped;
}

bool clock_waited(struct clock *c, int timeout, bool interrupted,
		  uint64_t monotonic);

#endif /* CLOCK_H */
