/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * mutate.h - Makes libFuzzer's mutations of frames get past the first check:
 * most of them with a right IPv4 header checksum.
 * Included once by a fuzz target whose input is a frame.
 */
#ifndef TEST_FUZZ_MUTATE_H
#define TEST_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "checksum.h"
#include "util.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed);

/* fix_ip4() - Put the checksum right, if this could be IPv4 */
static void fix_ip4(uint8_t *frame, size_t len)
{
	uint8_t *ip = frame + 14;
	uint16_t check = 0;
	size_t hlen;

	if (len < 14 + 20 || get_be16(frame + 12) != 0x0800)
		return;
	hlen = (ip[0] & 0xf) * 4U;
	if (hlen < 20 || len < 14 + hlen)
		return;
	memcpy(ip + 10, &check, sizeof(check));
	check = csum_ip4(ip, hlen);
	memcpy(ip + 10, &check, sizeof(check));
}

/* Called by libFuzzer in the place of its own mutation. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	size = LLVMFuzzerMutate(data, size, max);
	if (seed % 8)
		fix_ip4(data, size);
	return size;
}

#endif /* TEST_FUZZ_MUTATE_H */
