// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * quote.c - Rebuilds a packet of the guest from what is known of its flow, so
 * that an ICMP error can quote it.
 */
#include <netinet/icmp6.h>
#include <string.h>

#include "icmp/error_priv.h"

/* quote_put_ip() - Write an IP header as the guest most likely wrote it; return
 * its length */
static size_t quote_put_ip(uint8_t *h, const struct icmp_packet *p,
			   const struct icmp_quote *q)
{
	struct ip_hdr ip = {
		.src = p->src, .dst = p->dst, .proto = p->proto,
		.ttl = q->ttl, .tos = q->tos,
	};
	size_t hlen = ip_hdr_put(h, &ip);

	if (addr_is_v4(&p->dst) && !q->df)
		put_be16(h + 6, 0);
	ip_set_len(h, hlen + q->total);
	return hlen;
}

/* quote_put_l4() - Write the first 8 bytes of a transport header, by which the
 * guest finds the socket that the error is for */
static void quote_put_l4(uint8_t *h, const struct icmp_quote *q)
{
	memset(h, 0, ICMP_HLEN);
	put_be16(h, q->key->gport);
	put_be16(h + 2, q->key->pport);
	if (q->key->proto == IPPROTO_UDP)
		put_be16(h + 4, (uint16_t)q->total);
}

/**
 * icmp_quote_rebuild() - Rebuild the start of a packet that an error quotes
 * @p:		filled
 * @q:		what is known of the packet
 */
void icmp_quote_rebuild(struct icmp_packet *p, const struct icmp_quote *q)
{
	size_t hlen, len;

	p->src = q->key->guest;
	p->dst = q->key->peer;
	p->proto = q->key->proto;
	hlen = quote_put_ip(p->data, p, q);

	len = MIN(q->len, sizeof(p->data) - hlen);
	if (q->l4) {
		memcpy(p->data + hlen, q->l4, len);
	} else {
		quote_put_l4(p->data + hlen, q);
		len = ICMP_HLEN;
	}
	p->len = hlen + len;
}
