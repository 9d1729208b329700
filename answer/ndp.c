// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * ndp.c - Answers neighbour solicitations (RFC 4861), and passes on router
 * solicitations to ra.c.
 *
 * passt says that all addresses except the guest's own are at the MAC address
 * of passt. When the guest checks an address for duplicates (RFC 4862 5.4),
 * passt answers only for the router's own addresses, because the guest may take
 * any other address.
 */
#include <netinet/icmp6.h>

#include "answer/answer.h"

/**
 * struct ndp_msg - Copy of a message of the guest
 * @data:	the message, from its ICMPv6 header on
 * @len:	bytes of @data
 * @src, @dst:	source and destination address of the message's IPv6 header
 * @smac:	Ethernet address of the message's sender
 */
struct ndp_msg {
	uint8_t data[NDP_MAX];
	size_t len;
	struct in6_addr src, dst;
	const uint8_t *smac;
};

/* ndp_check_options() - Check the options after a header of @hlen bytes (RFC
 * 4861 4.6, 6.1, 7.1). Returns false if an option has a length of zero or is
 * truncated, or if an option gives the sender's link-layer address although the
 * source address is ::. */
static bool ndp_check_options(const struct ndp_msg *m, size_t hlen)
{
	const uint8_t *p = m->data + hlen;
	size_t left, len;

	if (m->len < hlen)
		return false;

	for (left = m->len - hlen; left; p += len, left -= len) {
		if (left < 2)
			return false;
		len = (size_t)p[1] * NDP_OPT_UNIT;
		if (!len || len > left)
			return false;
		if (p[0] == ND_OPT_SOURCE_LINKADDR && addr_is_none(&m->src))
			return false;
	}
	return true;
}

/* ndp_is_ours() - Whether an address is one of the router's own */
static bool ndp_is_ours(const struct answer *a, const struct in6_addr *addr)
{
	struct in6_addr ll = answer_own_ll(a->lease);

	return addr_eq(addr, &ll) || addr_eq(addr, &a->lease->router[IP6]);
}

static bool ndp_is_guests(const struct answer *a, const struct in6_addr *addr)
{
	return lease_has(a->lease, addr) ||
	       addr_eq(addr, tap_guest_addr(a->tap, addr));
}

/**
 * ndp_advertise() - Send a neighbour advertisement (RFC 4861 4.4, 7.2.4)
 * @a:		state of the services
 * @target:	address for which the advertisement gives our MAC address
 * @to:		address of the guest that has asked for @target; NULL: all nodes
 * @dmac:	Ethernet address of that guest
 *
 * The router flag is set for our own addresses. Without the flag, the guest
 * would no longer use passt as its router. The override flag is always set,
 * because only passt answers on this link. The override flag makes the guest
 * replace a MAC address that it learned from an earlier passt.
 */
static void ndp_advertise(struct answer *a, const struct in6_addr *target,
			  const struct in6_addr *to, const uint8_t *dmac)
{
	uint8_t buf[sizeof(struct nd_neighbor_advert) + NDP_OPT_UNIT];
	struct msgbuf w = { .buf = buf, .size = sizeof(buf) };
	uint8_t flags = 1 << 5;			/* override */

	if (ndp_is_ours(a, target))
		flags |= 1 << 7;		/* router */
	if (to)
		flags |= 1 << 6;		/* solicited */

	msgbuf_u8(&w, ND_NEIGHBOR_ADVERT);
	msgbuf_zero(&w, 3);			/* code, checksum */
	msgbuf_u8(&w, flags);
	msgbuf_zero(&w, 3);
	msgbuf_addr6(&w, target);
	answer_put_lladdr(&w, ND_OPT_TARGET_LINKADDR, a->lease->mac);
	answer_ndp_send(a, target, to, dmac, &w);
}

/* ndp_is_solicited_node() - Whether a group is a solicited-node multicast
 * address (RFC 4291 2.7.1) */
static bool ndp_is_solicited_node(const struct in6_addr *group)
{
	static const uint8_t prefix[13] = { 0xff, 2, [11] = 1, 0xff };

	return !memcmp(group, prefix, sizeof(prefix));
}

/*
 * ndp_answer_ns() - Answer a neighbour solicitation (RFC 4861 7.1.1, 7.2.3)
 *
 * When the guest checks an address for duplicates, passt learns that the guest
 * is about to use this address. passt can't wait for another packet with this
 * address: if the guest made the address from a router advertisement, such a
 * packet may come much later.
 */
static void ndp_answer_ns(struct answer *a, const struct ndp_msg *m,
			  uint64_t now)
{
	const size_t hlen = sizeof(struct nd_neighbor_solicit);
	bool dad = addr_is_none(&m->src);
	struct in6_addr target;

	if (!ndp_check_options(m, hlen))
		return;
	if (dad && !ndp_is_solicited_node(&m->dst))
		return;

	memcpy(&target, m->data + 8, sizeof(target));
	if (!addr_is_unicast(&target) || addr_is_v4(&target))
		return;
	if (dad && !ndp_is_ours(a, &target)) {
		tap_learn(a->tap, &target, m->smac, now);
		return;
	}
	if (!ndp_is_ours(a, &target) && ndp_is_guests(a, &target))
		return;
	ndp_advertise(a, &target, dad ? NULL : &m->src, m->smac);
}

/**
 * ndp_lease_changed() - Send an unsolicited neighbour advertisement (RFC 4861
 *		7.2.6), if our link-local address or our MAC address has changed
 * @a:		state of the services
 * @old:	lease that was in force until now
 */
void ndp_lease_changed(struct answer *a, const struct lease *old)
{
	struct in6_addr ll = answer_own_ll(a->lease);
	struct in6_addr before = answer_own_ll(old);

	if (!a->lease->ndp || (addr_eq(&ll, &before) &&
			       !memcmp(a->lease->mac, old->mac, MAC_LEN)))
		return;
	ndp_advertise(a, &ll, NULL, NULL);
}

/* ndp_answer_rs() - Answer a router solicitation (RFC 4861 6.1.1, 6.2.6) */
static void ndp_answer_rs(struct answer *a, const struct ndp_msg *m,
			  uint64_t now)
{
	if (!a->lease->ra ||
	    !ndp_check_options(m, sizeof(struct nd_router_solicit)))
		return;

	if (addr_is_none(&m->src))
		ra_timer(a, now);
	else
		ra_send(a, &m->src, m->smac);
}

/* ndp_is_type() - Whether an ICMPv6 type belongs to neighbour discovery */
static bool ndp_is_type(uint8_t type)
{
	return type >= ND_ROUTER_SOLICIT && type <= ND_REDIRECT;
}

/* ndp_copy_msg() - Copy a message out of a packet; false if the message came
 * through a router, has a code other than 0 or is too long (RFC 4861 6.1,
 * 7.1) */
static bool ndp_copy_msg(struct ndp_msg *m, const struct pkt *pkt)
{
	const size_t space = sizeof(m->data) - ICMP_HLEN;

	if (pkt->ttl != NDP_HOPS || pkt->l4[1] || pkt->len > space)
		return false;

	m->src = pkt->src;
	m->dst = pkt->dst;
	m->smac = pkt->smac;
	memcpy(m->data, pkt->l4, ICMP_HLEN);
	m->len = ICMP_HLEN + pkt_copy(pkt, m->data + ICMP_HLEN, space);
	return true;
}

/**
 * ndp_from_guest() - Answer neighbour discovery
 * @a:		state of the services
 * @pkt:	packet
 *
 * Return: true if @pkt is a neighbour discovery message, even if it is not
 *	   answered; such a message never leaves the link
 */
bool ndp_from_guest(struct answer *a, const struct pkt *pkt, uint64_t now)
{
	struct ndp_msg m;

	if (pkt->proto != IPPROTO_ICMPV6 || !ndp_is_type(pkt->l4[0]))
		return false;
	if (!a->lease->ndp || !ndp_copy_msg(&m, pkt))
		return true;

	if (m.data[0] == ND_NEIGHBOR_SOLICIT)
		ndp_answer_ns(a, &m, now);
	else if (m.data[0] == ND_ROUTER_SOLICIT)
		ndp_answer_rs(a, &m, now);
	return true;
}
