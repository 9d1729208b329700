/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * ip.h - Headers from Ethernet to the transport protocols: lengths, limits,
 * offsets and flags, each defined only here. ETH_HLEN and ETH_P_* are those of
 * <net/ethernet.h>, MAC_LEN is in util.h, and the types of ICMPv6 are those of
 * <netinet/icmp6.h>.
 */
#ifndef IP_H
#define IP_H

#include <net/ethernet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

#define ARP_LEN		28	/* ARP for IPv4 over Ethernet, RFC 826 */

/* Lengths of IP headers and packets, bytes. Lengths of packets include the IP
 * header unless a comment says otherwise. */
#define IP4_HLEN	20	/* RFC 791 3.1, without options */
#define IP6_HLEN	40	/* RFC 8200 3 */
#define IP_LEN_MAX	65535	/* RFC 791 3.1; for IPv6, the fixed header does
				 * not count: RFC 8200 3 */
#define IP4_MTU_MIN	68	/* RFC 791 3.2 */
#define IP6_MTU_MIN	1280	/* RFC 8200 5 */
#define IP_TTL_OWN	64	/* TTL of packets that passt makes, RFC 1700 */

/* Fragments: flags and offset of IPv4 (RFC 791 3.1) */
#define IP4_DF		0x4000
#define IP4_MF		0x2000	/* more fragments */
#define IP4_OFFSET	0x1fff	/* in units of IP_FRAG_UNIT */
#define IP_FRAG_UNIT	8U	/* bytes; all fragments but the last end at a
				 * multiple of it */

/* The fragment header of IPv6 (RFC 8200 4.5) */
#define IP6_FRAG_HLEN	8
#define IP6_MF		0x0001
#define IP6_OFFSET	0xfff8	/* in bytes */

/* Transport headers, bytes without options */
#define TCP_HLEN	20	/* RFC 9293 3.1 */
#define TCP_HLEN_MAX	60	/* with options */
#define UDP_HLEN	8	/* RFC 768 */
#define ICMP_HLEN	8	/* RFC 792, RFC 4443: of echo messages and
				 * errors */

#define IP_PORT_MAX	65535

/* Types of ICMP (RFC 792), codes of Destination Unreachable (RFC 1812
 * 5.2.7.1). <linux/icmp.h>, which has them, conflicts with <net/if.h>. */
#define ICMP4_ECHO_REPLY	0
#define ICMP4_UNREACH		3
#define ICMP4_UNREACH_NET	0
#define ICMP4_UNREACH_HOST	1
#define ICMP4_UNREACH_PORT	3
#define ICMP4_UNREACH_NEEDFRAG	4
#define ICMP4_UNREACH_UNKNOWN	7	/* destination host unknown */
#define ICMP4_UNREACH_ISOLATED	8	/* source host isolated */
#define ICMP4_UNREACH_ADMIN	13	/* administratively prohibited */
#define ICMP4_ECHO_REQUEST	8
#define ICMP4_TIME_EXCEEDED	11
#define ICMP4_PARAM_PROB	12

/**
 * struct ip_hdr - Fields of an IP header, without the length
 * @src, @dst:	addresses, of one family
 * @proto:	IPPROTO_*
 * @ttl:	TTL or hop limit, 0: IP_TTL_OWN
 * @tos:	type of service or traffic class
 */
struct ip_hdr {
	struct in6_addr src, dst;
	uint8_t proto;
	uint8_t ttl, tos;
};

size_t ip_hdr_put(uint8_t *p, const struct ip_hdr *ip);
void ip_set_len(uint8_t *p, size_t len);

/* ip_hlen() - Return the bytes of an IP header without options, of the family
 * of @a */
static inline size_t ip_hlen(const struct in6_addr *a)
{
	return addr_is_v4(a) ? IP4_HLEN : IP6_HLEN;
}

/**
 * udp_hdr_put() - Write a UDP header (RFC 768) with a checksum field of zero,
 * which means that there is no checksum
 * @p:		buffer for the header, UDP_HLEN bytes
 * @sport:	source port, host order
 * @dport:	destination port, host order
 * @len:	bytes of the datagram, header included
 */
static inline void udp_hdr_put(uint8_t *p, uint16_t sport, uint16_t dport,
			       size_t len)
{
	put_be16(p, sport);
	put_be16(p + 2, dport);
	put_be16(p + 4, (uint16_t)len);
	put_be16(p + 6, 0);
}

/**
 * l4_csum_offset() - Where the checksum is in a transport header
 * @proto:	IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP or IPPROTO_ICMPV6
 *
 * Return: offset, bytes
 */
static inline size_t l4_csum_offset(uint8_t proto)
{
	if (proto == IPPROTO_TCP)
		return 16;
	return proto == IPPROTO_UDP ? 6 : 2;
}

#endif /* IP_H */
