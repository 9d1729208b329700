/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * mutate.h - Corrects the IPv4 header checksum in most of libFuzzer's mutations
 * of frames, so that the parser does not drop them at its first check.
 * A fuzz target whose input is a frame includes this.
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

/* fix_ip4() - Correct the header checksum if the frame could be IPv4 */
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

/* libFuzzer calls this function to change an input. In seven of eight cases,
 * the function also corrects the IPv4 header checksum. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	size = LLVMFuzzerMutate(data, size, max);
	if (seed % 8)
		fix_ip4(data, size);
	return size;
}

#endif /* TEST_FUZZ_MUTATE_H */
