/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * l4.h - Computes the transport checksum of a whole packet, for tests that make
 * or verify packets.
 */
#ifndef TEST_UNIT_L4_H
#define TEST_UNIT_L4_H

#include "checksum.h"

/**
 * csum_l4() - Compute the checksum of a whole TCP, UDP, ICMP or ICMPv6 packet
 * @src:	source address
 * @dst:	destination address, of the same family
 * @proto:	IPPROTO_*
 * @iov:	transport header and payload. To compute a checksum, the
 *		checksum field in the header must be 0; to verify a packet, it
 *		stays as received
 * @cnt:	number of pieces in @iov
 *
 * In a UDP header a checksum of zero means 'no checksum', so a caller that
 * builds a header stores 0xffff instead (RFC 768).
 *
 * Return: value of the checksum field; 0 if a received packet is correct
 */
__attribute__((unused))
static uint16_t csum_l4(const struct in6_addr *src, const struct in6_addr *dst,
			uint8_t proto, const struct iovec *iov,
			unsigned int cnt)
{
	uint64_t sum = 0;
	uint32_t len = 0;
	unsigned int i;

	for (i = 0; i < cnt; i++)
		len += (uint32_t)iov[i].iov_len;

	if (proto != IPPROTO_ICMP)
		sum = csum_pseudo(src, dst, proto, len);

	return csum_fold(csum_iov(iov, cnt, sum));
}

#endif /* TEST_UNIT_L4_H */
