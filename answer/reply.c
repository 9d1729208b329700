// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * reply.c - Functions that several answering services use for replies: they
 * find our link-local address, and send messages.
 */
#include "answer/answer.h"

static const struct in6_addr all_nodes = {
	.s6_addr = { 0xff, 2, [15] = 1 }
};

/**
 * answer_own_ll() - Get our link-local IPv6 address
 * @l:		lease
 *
 * Router advertisements must have a link-local source address (RFC 4861 6.1.2),
 * even if the router's address is of global scope. The address is not made from
 * our MAC address, because the guest may have the same MAC address.
 *
 * Return: the router's address if it is link-local, else fe80::1
 */
struct in6_addr answer_own_ll(const struct lease *l)
{
	if (IN6_IS_ADDR_LINKLOCAL(&l->router[IP6]))
		return l->router[IP6];
	return (struct in6_addr){ .s6_addr = { 0xfe, 0x80, [15] = 1 } };
}

/**
 * answer_send() - Send a message to the guest
 * @a:		state of the services
 * @ip:		fields of the IP header
 * @dmac:	Ethernet address of the sender of the request. The message goes
 *		there, even if the IP destination address is not yet in use
 *		there, or is in use elsewhere. But a message to a multicast or
 *		broadcast IP address goes to the Ethernet address for that IP
 *		address
 * @w:		message, from the transport header on
 *
 * The message is never sent in fragments, even if it is longer than the MTU:
 * DHCP clients receive by packet sockets, which do not reassemble fragments.
 */
void answer_send(struct answer *a, const struct ip_hdr *ip, const uint8_t *dmac,
		 const struct msgbuf *w)
{
	struct tap_hdr h;

	tap_hdr_init(&h, a->tap, ip);
	if (addr_is_unicast(&ip->dst))
		memcpy(h.hdr, dmac, MAC_LEN);
	tap_l4_send(a->tap, &h, w->buf, w->len, 0);
}

/**
 * answer_udp_init() - Begin a UDP message
 * @w:		set to a message that contains only space for the UDP header
 * @buf:	memory for the message
 * @size:	bytes that @buf has space for
 */
void answer_udp_init(struct msgbuf *w, uint8_t *buf, size_t size)
{
	*w = (struct msgbuf){ .buf = buf, .size = size };
	msgbuf_zero(w, UDP_HLEN);
}

/**
 * answer_udp_send() - Send a UDP message to the guest
 * @a:		state of the services
 * @ip:		the caller sets @src and @dst; this function sets the protocol
 * @dmac:	Ethernet address of the sender of the request, see answer_send()
 * @sport:	source port, host order
 * @dport:	destination port, host order
 * @w:		message from answer_udp_init()
 */
void answer_udp_send(struct answer *a, struct ip_hdr *ip, const uint8_t *dmac,
		     uint16_t sport, uint16_t dport, struct msgbuf *w)
{
	ip->proto = IPPROTO_UDP;
	udp_hdr_put(w->buf, sport, dport, w->len);
	answer_send(a, ip, dmac, w);
}

/**
 * answer_ndp_send() - Send a message of neighbour discovery
 * @a:		state of the services
 * @src:	source address
 * @dst:	destination address; NULL: all nodes
 * @dmac:	Ethernet address of the guest, if @dst is a unicast address
 * @w:		message, from the ICMPv6 header on
 */
void answer_ndp_send(struct answer *a, const struct in6_addr *src,
		     const struct in6_addr *dst, const uint8_t *dmac,
		     const struct msgbuf *w)
{
	struct ip_hdr ip = { .src = *src, .dst = dst ? *dst : all_nodes,
			     .proto = IPPROTO_ICMPV6, .ttl = NDP_HOPS };

	answer_send(a, &ip, dmac, w);
}

/**
 * answer_put_lladdr() - Append a source or target link-layer address option
 *		(RFC 4861 4.6.1)
 * @w:		message
 * @type:	ND_OPT_SOURCE_LINKADDR or ND_OPT_TARGET_LINKADDR
 * @mac:	our MAC address
 */
void answer_put_lladdr(struct msgbuf *w, uint8_t type,
		       const uint8_t mac[MAC_LEN])
{
	msgbuf_u8(w, type);
	msgbuf_u8(w, 1);
	msgbuf_put(w, mac, MAC_LEN);
}
