/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * error_priv.h - Types and functions that the files of ICMP errors share: what
 * an error says, and the packet that it quotes. Included in icmp/ only.
 */
#ifndef ICMP_ERROR_PRIV_H
#define ICMP_ERROR_PRIV_H

#include "icmp/error.h"
#include "ip.h"

/* Longest error packet, bytes with the IP header (RFC 1812 4.3.2.3, RFC 4443
 * 2.4 (c)). */
#define ERROR4_MAX	576
#define ERROR6_MAX	IP6_MTU_MIN

/**
 * struct icmp_message - The header of an ICMP or ICMPv6 error
 * @type, @code: as in ICMP or ICMPv6
 * @ttl:	TTL or hop limit of the IP packet to the guest, 0: IP_TTL_OWN
 * @rest:	second word of the ICMP header, host order
 */
struct icmp_message {
	uint8_t type, code;
	uint8_t ttl;
	uint32_t rest;
};

/**
 * struct icmp_packet - The start of the packet that an error quotes
 * @src, @dst:	addresses of that packet
 * @proto:	transport protocol of that packet
 * @len:	bytes in @data, from the IP header on
 */
struct icmp_packet {
	struct in6_addr src, dst;
	uint8_t proto;
	size_t len;
	uint8_t data[ERROR6_MAX - IP6_HLEN - ICMP_HLEN];
};

/* error.c */
bool icmp_message_from_errno(struct icmp_message *m, int error, bool v4,
			     uint32_t mtu);
uint32_t icmp_message_mtu(bool v4, uint32_t mtu);
void icmp_message_send(struct icmp_errors *e, const struct icmp_message *m,
		       const struct in6_addr *from,
		       const struct icmp_packet *p, uint64_t now);

/* quote.c */
void icmp_quote_rebuild(struct icmp_packet *p, const struct icmp_quote *q);

#endif /* ICMP_ERROR_PRIV_H */
