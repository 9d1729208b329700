/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * bench.h - What programs of the benchmark share: a clock, and a function that
 * ends the program with the kernel's error.
 */
#ifndef TEST_BENCH_BENCH_H
#define TEST_BENCH_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NSEC		1000000000ULL	/* in a second */

static inline void __attribute__((noreturn)) die(const char *what)
{
	perror(what);
	exit(1);
}

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec;
}

#endif /* TEST_BENCH_BENCH_H */
