/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * fault.h - Faults of frames, chosen at random from a seed: the same seed and
 * the same frames give the same faults.
 */
#ifndef TEST_NET_FAULT_H
#define TEST_NET_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#define PPM	1000000

/* What happens to a frame. */
enum fault {
	FAULT_NONE,
	FAULT_DROP,		/* it is lost */
	FAULT_DUP,		/* it comes twice */
	FAULT_SWAP,		/* it comes after the next frame */
	FAULT_CORRUPT,		/* one bit is flipped */
	FAULTS,
};

/**
 * struct faults - Faults of one direction
 * @ppm:	how many of a million frames meet each type of fault
 * @any:	whether @ppm has an entry that is not zero
 * @rng:	state of the random number generator (xorshift64*), not zero
 * @count:	how many frames have met each type of fault
 */
struct faults {
	uint32_t ppm[FAULTS];
	bool any;
	uint64_t rng;
	uint64_t count[FAULTS];
};

static inline uint32_t fault_random(struct faults *f)
{
	f->rng ^= f->rng >> 12;
	f->rng ^= f->rng << 25;
	f->rng ^= f->rng >> 27;
	return (uint32_t)((f->rng * 0x2545f4914f6cdd1d) >> 32);
}

/**
 * fault_draw() - Choose the fault that the next frame meets
 * @f:		the faults
 */
static inline enum fault fault_draw(struct faults *f)
{
	enum fault what = FAULT_DROP;
	uint32_t n;

	if (!f->any)
		return FAULT_NONE;

	n = fault_random(f) % PPM;
	while (what < FAULTS && n >= f->ppm[what])
		n -= f->ppm[what++];
	if (what == FAULTS)
		what = FAULT_NONE;
	f->count[what]++;
	return what;
}

#endif /* TEST_NET_FAULT_H */
