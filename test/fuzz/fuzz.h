/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * fuzz.h - What the fuzz targets have in common: a check that stops the target,
 * and a reader that takes numbers and bytes from an input.
 */
#ifndef TEST_FUZZ_FUZZ_H
#define TEST_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define MUST(cond)							\
	do {								\
		if (!(cond))						\
			abort();					\
	} while (0)

/* Functions between UNCOUNTED and COUNTED are not instrumented. So libFuzzer
 * looks for new branches in the product only, and runs more inputs. */
#ifdef __clang__
#define UNCOUNTED	_Pragma("clang attribute push(__attribute__((no_sanitize(\"coverage\"))), apply_to = function)")
#define COUNTED		_Pragma("clang attribute pop")
#else
#define UNCOUNTED
#define COUNTED
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed);

UNCOUNTED

/* draw_below() - Return a random number below @n, and advance @seed (xorshift).
 * @n must not be 0 */
static inline size_t draw_below(uint32_t *seed, size_t n)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed % n;
}

/* struct input - The rest of an input that has not been read yet */
struct input {
	const uint8_t *at;
	size_t left;
};

/* take_byte() - Read a byte; 0 if there is none left */
static inline uint8_t take_byte(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

/* take_u16() - Read a number of two bytes, big endian */
static inline uint16_t take_u16(struct input *in)
{
	uint16_t high = take_byte(in);

	return (uint16_t)(high << 8 | take_byte(in));
}

/* take_u32() - Read a number of four bytes, big endian */
static inline uint32_t take_u32(struct input *in)
{
	uint32_t high = take_u16(in);

	return high << 16 | take_u16(in);
}

/* take_copy() - Copy at most @len bytes to memory of exactly their length, so
 * that the address sanitizer detects any access beyond the end. The caller
 * frees the memory; @len is set to the number of bytes */
static inline uint8_t *take_copy(struct input *in, size_t *len)
{
	uint8_t *p;

	*len = MIN(*len, in->left);
	p = malloc(MAX(*len, 1));
	MUST(p);
	memcpy(p, in->at, *len);
	in->at += *len;
	in->left -= *len;
	return p;
}

/* take_string() - Copy bytes up to the first NUL or newline, and put a NUL at
 * the end. The caller frees the string */
static inline char *take_string(struct input *in)
{
	size_t n = 0;
	char *s;

	while (n < in->left && in->at[n] && in->at[n] != '\n')
		n++;
	s = malloc(n + 1);
	MUST(s);
	memcpy(s, in->at, n);
	s[n] = '\0';
	n += n < in->left;
	in->at += n;
	in->left -= n;
	return s;
}

COUNTED

#endif /* TEST_FUZZ_FUZZ_H */
