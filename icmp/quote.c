// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * quote.c - The guest's packet, rebuilt from what is known of its flow, so that
 * an error can quote it.
 * Called by error.c and report.c; calls checksum.c.
 */
#include <netinet/icmp6.h>
#include <string.h>

#include "checksum.h"
#include "icmp/error.h"

/* put_ip4() - The IPv4 header as the guest will have written it */
static void put_ip4(uint8_t *h, const struct icmp_packet *p,
		    const struct icmp_quote *q)
{
	struct in_addr src = addr_v4(&p->src), dst = addr_v4(&p->dst);
	uint16_t check;

	memset(h, 0, IP4_HLEN);
	h[0] = 0x45;
	h[1] = q->tos;
	put_be16(h + 2, (uint16_t)(IP4_HLEN + q->total));
	put_be16(h + 6, q->df ? IP4_DF : 0);
	h[8] = q->ttl ? q->ttl : TAP_TTL;
	h[9] = p->proto;
	memcpy(h + 12, &src, sizeof(src));
	memcpy(h + 16, &dst, sizeof(dst));
	check = csum_ip4(h, IP4_HLEN);
	memcpy(h + 10, &check, sizeof(check));
}

/* put_ip6() - The IPv6 header as the guest will have written it */
static void put_ip6(uint8_t *h, const struct icmp_packet *p,
		    const struct icmp_quote *q)
{
	memset(h, 0, IP6_HLEN);
	put_be16(h, (uint16_t)(6 << 12 | q->tos << 4));
	put_be16(h + 4, (uint16_t)q->total);
	h[6] = p->proto;
	h[7] = q->ttl ? q->ttl : TAP_TTL;
	memcpy(h + 8, &p->src, sizeof(p->src));
	memcpy(h + 24, &p->dst, sizeof(p->dst));
}

/* put_l4() - The 8 bytes by which a guest finds the socket concerned */
static void put_l4(uint8_t *h, const struct icmp_quote *q)
{
	memset(h, 0, ICMP_HLEN);
	if (q->key->proto == IPPROTO_ICMP || q->key->proto == IPPROTO_ICMPV6) {
		h[0] = q->key->proto == IPPROTO_ICMP ? ICMP4_ECHO_REQUEST :
						       ICMP6_ECHO_REQUEST;
		put_be16(h + 4, q->key->gport);
		return;
	}
	put_be16(h, q->key->gport);
	put_be16(h + 2, q->key->rport);
	if (q->key->proto == IPPROTO_UDP)
		put_be16(h + 4, (uint16_t)q->total);
}

/**
 * icmp_rebuild() - Rebuild the start of a packet from what is known of it
 * @p:		filled
 * @q:		what is known
 */
void icmp_rebuild(struct icmp_packet *p, const struct icmp_quote *q)
{
	bool v4 = addr_is_v4(&q->key->remote);
	size_t hlen = ip_hlen(&q->key->remote), len;

	p->src = q->key->guest;
	p->dst = q->key->remote;
	p->proto = q->key->proto;
	if (v4)
		put_ip4(p->data, p, q);
	else
		put_ip6(p->data, p, q);

	len = MIN(q->len, sizeof(p->data) - hlen);
	if (q->l4) {
		memcpy(p->data + hlen, q->l4, len);
	} else {
		put_l4(p->data + hlen, q);
		len = ICMP_HLEN;
	}
	p->len = hlen + len;
}
