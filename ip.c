// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * ip.c - Writes IP headers: of packets to the guest, of packets that ICMP
 * errors quote, of fragments, and of reassembled datagrams.
 */
#include <string.h>

#include "checksum.h"
#include "ip.h"

static size_t put_ip4_hdr(uint8_t *p, const struct ip_hdr *ip, uint8_t ttl)
{
	struct in_addr src = addr_v4(&ip->src), dst = addr_v4(&ip->dst);

	p[0] = 4 << 4 | IP4_HLEN / 4;
	p[1] = ip->tos;
	put_be32(p + 2, 0);		/* length and ID */
	put_be16(p + 6, IP4_DF);
	p[8] = ttl;
	p[9] = ip->proto;
	put_be16(p + 10, 0);		/* checksum */
	memcpy(p + 12, &src, sizeof(src));
	memcpy(p + 16, &dst, sizeof(dst));
	return IP4_HLEN;
}

static size_t put_ip6_hdr(uint8_t *p, const struct ip_hdr *ip, uint8_t ttl)
{
	put_be32(p, 6U << 28 | (uint32_t)ip->tos << 20);
	put_be16(p + 4, 0);		/* length, written later */
	p[6] = ip->proto;
	p[7] = ttl;
	memcpy(p + 8, &ip->src, sizeof(ip->src));
	memcpy(p + 24, &ip->dst, sizeof(ip->dst));
	return IP6_HLEN;
}

/**
 * ip_hdr_put() - Write an IP header (RFC 791 3.1, RFC 8200 3)
 * @p:		buffer for the header, ip_hlen() bytes
 * @ip:		fields of the header
 *
 * Length and checksum are zero until ip_set_len() is called. An IPv4 header has
 * the DF flag, and therefore needs no ID (RFC 6864 4.1).
 *
 * Return: bytes written
 */
size_t ip_hdr_put(uint8_t *p, const struct ip_hdr *ip)
{
	uint8_t ttl = ip->ttl ? ip->ttl : IP_TTL_OWN;

	return addr_is_v4(&ip->dst) ? put_ip4_hdr(p, ip, ttl) :
				      put_ip6_hdr(p, ip, ttl);
}

/**
 * ip_set_len() - Complete an IP header: set its length, and the checksum of
 * IPv4
 * @p:		header, with options if it has some
 * @len:	bytes of the packet, from the header on
 */
void ip_set_len(uint8_t *p, size_t len)
{
	uint16_t check;

	if (p[0] >> 4 == 6) {
		put_be16(p + 4, (uint16_t)(len - IP6_HLEN));
		return;
	}
	put_be16(p + 2, (uint16_t)len);
	put_be16(p + 10, 0);
	check = csum_ip4(p, (p[0] & 0xf) * 4U);
	memcpy(p + 10, &check, sizeof(check));
}
