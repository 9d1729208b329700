/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * steps.h - Inputs that are a list of steps of the same length. libFuzzer's
 * mutations of such an input add, remove, move or change one step, so that the
 * steps after it keep their meaning.
 * A fuzz target includes this once.
 */
#ifndef TEST_FUZZ_STEPS_H
#define TEST_FUZZ_STEPS_H

#include "test/fuzz/fuzz.h"

#define STEP_LEN	12	/* bytes */
#define STEPS_MAX	32	/* steps of an input, at most, for speed */

/* struct step - One step of an input. Each fuzz target gives the fields its own
 * meaning. step() in seeds.py writes the same structure. */
struct step {
	uint8_t op, a, b, c;
	uint16_t x, y, z, w;
};

_Static_assert(sizeof(struct step) == STEP_LEN, "a step has no padding");

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t asize,
				 const uint8_t *b, size_t bsize, uint8_t *out,
				 size_t max, unsigned int seed);

UNCOUNTED

/* next_step() - Read the next step of an input; false if there is none */
static bool next_step(const uint8_t **data, size_t *size, struct step *s)
{
	if (*size < STEP_LEN)
		return false;
	memcpy(s, *data, STEP_LEN);
	*data += STEP_LEN;
	*size -= STEP_LEN;
	return true;
}

/* insert_step() - Make space for a step at index @at; returns the new number of
 * steps */
static size_t insert_step(uint8_t *data, size_t n, size_t at)
{
	memmove(data + (at + 1) * STEP_LEN, data + at * STEP_LEN,
		(n - at) * STEP_LEN);
	return n + 1;
}

static void fill_step(uint8_t *at, uint32_t *seed)
{
	size_t i;

	for (i = 0; i < STEP_LEN; i++)
		at[i] = (uint8_t)draw_below(seed, 256);
}

/* libFuzzer calls this function to change an input. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	size_t n = MIN(size, max) / STEP_LEN, most = max / STEP_LEN, i, j;
	uint32_t r = seed | 1;
	uint8_t step[STEP_LEN];

	most = MIN(most, STEPS_MAX);
	n = MIN(n, most);
	if (!n) {
		fill_step(data, &r);
		return STEP_LEN;
	}
	i = draw_below(&r, n);
	j = draw_below(&r, n);
	memcpy(step, data + j * STEP_LEN, STEP_LEN);
	switch (draw_below(&r, 8)) {
	case 0:				/* add a step */
		if (n < most) {
			n = insert_step(data, n, i);
			fill_step(data + i * STEP_LEN, &r);
		}
		break;
	case 1:				/* repeat a step */
		if (n < most) {
			n = insert_step(data, n, i);
			memcpy(data + i * STEP_LEN, step, STEP_LEN);
		}
		break;
	case 2:				/* remove a step */
		if (n > 1) {
			n--;
			memmove(data + i * STEP_LEN, data + (i + 1) * STEP_LEN,
				(n - i) * STEP_LEN);
		}
		break;
	case 3:				/* exchange two steps */
		memcpy(data + j * STEP_LEN, data + i * STEP_LEN, STEP_LEN);
		memcpy(data + i * STEP_LEN, step, STEP_LEN);
		break;
	default:			/* change a step */
		LLVMFuzzerMutate(data + i * STEP_LEN, STEP_LEN, STEP_LEN);
	}
	return n * STEP_LEN;
}

/* libFuzzer calls this function to make one input from the inputs @a and @b:
 * the first steps are from @a, and the others are from @b. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t asize,
				 const uint8_t *b, size_t bsize, uint8_t *out,
				 size_t max, unsigned int seed)
{
	uint32_t r = seed | 1;
	size_t i = draw_below(&r, asize / STEP_LEN + 1);
	size_t j = draw_below(&r, bsize / STEP_LEN + 1);
	size_t n;

	i = MIN(i, max / STEP_LEN);
	n = MIN(bsize / STEP_LEN - j, max / STEP_LEN - i);
	memcpy(out, a, i * STEP_LEN);
	memcpy(out + i * STEP_LEN, b + j * STEP_LEN, n * STEP_LEN);
	return (i + n) * STEP_LEN;
}

COUNTED

#endif /* TEST_FUZZ_STEPS_H */
