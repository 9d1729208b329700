/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * random.h - Pseudo-random numbers, which are the same whenever a test runs.
 */
#ifndef TEST_UNIT_RANDOM_H
#define TEST_UNIT_RANDOM_H

#include <stdint.h>

/* State of the generator; never zero. */
static uint64_t seed = 88172645463325252;

/* next_random() - Return the next 64 bits of the generator xorshift64* (Vigna,
 * "An experimental exploration of Marsaglia's xorshift generators, scrambled",
 * 2016) */
static uint64_t next_random(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * UINT64_C(2685821657736338717);
}

/* below() - Return a random number from 0 to @n - 1 */
__attribute__((unused))
static uint32_t below(uint32_t n)
{
	return (uint32_t)((next_random() >> 32) * n >> 32);
}

#endif /* TEST_UNIT_RANDOM_H */
