/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * l4.h - Checksums of whole packets, which tests make and check.
 * Included by them; calls checksum.c.
 */
#ifndef TEST_UNIT_L4_H
#define TEST_UNIT_L4_H

#include "checksum.h"

/**
 * csum_l4() - Checksum of a whole TCP, UDP, ICMP or ICMPv6 packet
 * @src:	source address
 * @dst:	destination address, of the same family
 * @proto:	IPPROTO_*
 * @iov:	transport header, the field zero or as received, and data
 * @cnt:	pieces of it
 *
 * In a UDP header zero means that there is none: who builds one stores 0xffff
 * instead (RFC 768).
 *
 * Return: the field; 0 for a received packet that is right
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
