/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * checksum.h - The Internet checksum (RFC 1071). The functions sum bytes, copy
 * and sum bytes in one step, sum IPv4 headers and pseudo-headers, and update a
 * checksum after one word has changed (RFC 1624).
 *
 * A *sum* is a one's complement sum of 16-bit words that is not folded yet. The
 * words are read in the byte order of the machine. Two sums can be added. More
 * data can be added to a sum if the data so far has an even length. csum_fold()
 * makes the checksum field from a sum. The field is stored in the byte order of
 * the machine, so that no byte swap is needed.
 */
#ifndef CHECKSUM_H
#define CHECKSUM_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

void csum_init(void);
uint64_t csum_add(const void *buf, size_t len, uint64_t sum);
uint64_t csum_copy(void *restrict dst, const void *restrict src, size_t len,
		   uint64_t sum);
uint64_t csum_iov(const struct iovec *iov, unsigned int cnt, uint64_t sum);
uint64_t csum_pseudo(const struct in6_addr *src, const struct in6_addr *dst,
		     uint8_t proto, uint32_t len);
uint16_t csum_ip4(const void *hdr, size_t len);
uint16_t csum_update16(uint16_t check, uint16_t old, uint16_t new);

/**
 * csum_sum_add() - Add two sums, and then the carry of that addition
 * @a, @b:	sums
 */
static inline uint64_t csum_sum_add(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

/**
 * csum_fold() - Make the checksum field from a sum (RFC 1071)
 * @sum:	sum of all data that the checksum covers. To make a checksum,
 *		the checksum field must be zero in the data
 *
 * Return: complement of the folded sum, to be stored as it is. To check
 *	   received data, pass a sum that includes the received checksum field.
 *	   The result is then 0 if the checksum is right
 */
static inline uint16_t csum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)~sum;
}

/* csum_fold_udp() - Make the checksum field of UDP from a sum. In UDP, a field
 * of zero means that there is no checksum (RFC 768), so 0xffff replaces zero */
static inline uint16_t csum_fold_udp(uint64_t sum)
{
	uint16_t check = csum_fold(sum);

	return check ? check : 0xffff;
}

#endif /* CHECKSUM_H */
