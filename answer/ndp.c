// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * ndp.c - Answers neighbour solicitations and advertises a router (RFC 4861),
 * with prefix (RFC 4862), resolvers and search list (RFC 8106).
 *
 * passt claims all addresses except the guest's own, at its own MAC address.
 * When the guest checks an address for duplicates (RFC 4862 5.4), passt answers
 * only for the router's own addresses, because the guest may take any other
 * address.
 */
#include <netinet/icmp6.h>

#include "answer/answer.h"
#include "answer/domain.h"

#define NDP_HOPS	255	/* RFC 4861 6.1, 7.1: sent on this link */
#define NDP_MAX		IP6_MTU_MIN	/* bytes of the longest message */
#define NDP_OPT_UNIT	8	/* bytes: unit of an option's length field */

#define RDNSS		25	/* RFC 8106 5.1 */
#define DNSSL		31	/* RFC 8106 5.2 */

/* Constants of RFC 4861 6.2.1 and 10; times are in seconds */
#define RA_INTERVAL_MAX	600
#define RA_INTERVAL_MIN	200
#define RA_LIFETIME	(3 * RA_INTERVAL_MAX)
#define RA_INITIAL	3	/* MAX_INITIAL_RTR_ADVERTISEMENTS */
#define RA_INITIAL_GAP	16	/* MAX_INITIAL_RTR_ADVERT_INTERVAL */
#define RA_HOPS		64	/* AdvCurHopLimit */
#define PREFIX_VALID	2592000	/* AdvValidLifetime, 30 days */
#define PREFIX_PREFERRED 604800	/* AdvPreferredLifetime, 7 days */

static const struct in6_addr all_nodes = {
	.s6_addr = { 0xff, 2, [15] = 1 }
};

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

/* ndp_send() - Send a message to @dst, at the Ethernet address @dmac if @dst is
 * a unicast address */
static void ndp_send(struct answer *a, const struct in6_addr *src,
		     const struct in6_addr *dst, const uint8_t *dmac,
		     const struct msgbuf *w)
{
	struct ip_hdr ip = { .src = *src, .dst = *dst,
			     .proto = IPPROTO_ICMPV6, .ttl = NDP_HOPS };

	answer_send(a, &ip, dmac, w);
}

/* ndp_put_lladdr() - Append a source or target link-layer address option with
 * our MAC address (RFC 4861 4.6.1) */
static void ndp_put_lladdr(struct msgbuf *w, uint8_t type,
			   const struct answer *a)
{
	msgbuf_u8(w, type);
	msgbuf_u8(w, 1);
	msgbuf_put(w, a->lease->mac, MAC_LEN);
}

/* ndp_is_ours() - Whether an address is one of the router's own */
static bool ndp_is_ours(const struct answer *a, const struct in6_addr *addr)
{
	struct in6_addr ll = answer_own_ll(a);

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
 * @target:	address that the guest asked for; the answer gives our MAC
 *		address for @target
 * @ns:		solicitation. If its source address is none, the guest checks
 *		whether @target is a duplicate
 *
 * The router flag is set for our own addresses. Without the flag, the guest
 * would no longer use passt as its router. The override flag is always set,
 * because only passt answers on this link. The override flag makes the guest
 * replace a MAC address that it learned from an earlier passt.
 */
static void ndp_advertise(struct answer *a, const struct in6_addr *target,
			  const struct ndp_msg *ns)
{
	const struct in6_addr *to = &ns->src;
	uint8_t buf[sizeof(struct nd_neighbor_advert) + NDP_OPT_UNIT];
	struct msgbuf w = { .buf = buf, .size = sizeof(buf) };
	uint8_t flags = 1 << 5;			/* override */

	if (ndp_is_ours(a, target))
		flags |= 1 << 7;		/* router */
	if (addr_is_none(to))
		to = &all_nodes;
	else
		flags |= 1 << 6;		/* solicited */

	msgbuf_u8(&w, ND_NEIGHBOR_ADVERT);
	msgbuf_zero(&w, 3);			/* code, checksum */
	msgbuf_u8(&w, flags);
	msgbuf_zero(&w, 3);
	msgbuf_addr6(&w, target);
	ndp_put_lladdr(&w, ND_OPT_TARGET_LINKADDR, a);
	ndp_send(a, target, to, ns->smac, &w);
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
	ndp_advertise(a, &target, m);
}

/* ra_put_prefix() - Append prefix information (RFC 4861 4.6.2) for a prefix and
 * its length */
static void ra_put_prefix(struct msgbuf *w, const struct lease_addr *prefix)
{
	uint8_t flags = ND_OPT_PI_FLAG_ONLINK;

	if (prefix->len == LEASE_SLAAC_LEN)
		flags |= ND_OPT_PI_FLAG_AUTO;

	msgbuf_u8(w, ND_OPT_PREFIX_INFORMATION);
	msgbuf_u8(w, 4);
	msgbuf_u8(w, (uint8_t)prefix->len);
	msgbuf_u8(w, flags);
	msgbuf_be32(w, PREFIX_VALID);
	msgbuf_be32(w, PREFIX_PREFERRED);
	msgbuf_zero(w, 4);
	msgbuf_addr6(w, &prefix->addr);
}

/* ra_prefix() - Get the prefix of an address */
static struct lease_addr ra_prefix(struct lease_addr a)
{
	unsigned int i;

	for (i = a.len; i < 128; i++)
		a.addr.s6_addr[i / 8] &= (uint8_t)~(0x80 >> i % 8);
	return a;
}

/* ra_put_prefixes() - Append the prefix of each of the guest's addresses, each
 * prefix once. A prefix of 128 bits is left out */
static void ra_put_prefixes(struct msgbuf *w, const struct lease *l)
{
	struct lease_addr done[LEASE_ADDRS], a;
	unsigned int i, j, n = 0;

	for (i = 0; lease_addr(l, IP6, i, &a); i++) {
		a = ra_prefix(a);
		for (j = 0; j < n && (done[j].len != a.len ||
				      !addr_eq(&done[j].addr, &a.addr)); j++)
			;
		if (j < n || a.len >= 128)
			continue;
		done[n++] = a;
		ra_put_prefix(w, &a);
	}
}

/* ra_put_mtu() - Append the MTU (RFC 4861 4.6.4), unless it is below the
 * minimum of IPv6. The guest would ignore such an MTU (RFC 4861 6.3.4) */
static void ra_put_mtu(struct msgbuf *w, const struct lease *l)
{
	if (l->mtu < IP6_MTU_MIN)
		return;
	msgbuf_u8(w, ND_OPT_MTU);
	msgbuf_u8(w, 1);
	msgbuf_zero(w, 2);
	msgbuf_be32(w, l->mtu);
}

/* ra_put_rdnss() - Append the resolvers (RFC 8106 5.1) */
static void ra_put_rdnss(struct msgbuf *w, const struct lease *l)
{
	unsigned int n = 0, i;

	if (l->dhcp_dns)
		while (n < LEASE_DNS && !addr_is_none(&l->dns[IP6][n]))
			n++;
	if (!n)
		return;

	msgbuf_u8(w, RDNSS);
	msgbuf_u8(w, (uint8_t)(1 + 2 * n));
	msgbuf_zero(w, 2);
	msgbuf_be32(w, RA_LIFETIME);
	for (i = 0; i < n; i++)
		msgbuf_addr6(w, &l->dns[IP6][i]);
}

/* ra_put_dnssl() - Append the search list, without compression of names, and
 * padding (RFC 8106 5.2) */
static void ra_put_dnssl(struct msgbuf *w, const struct lease *l)
{
	uint8_t buf[LEASE_SEARCH + NDP_OPT_UNIT];
	struct msgbuf list = { .buf = buf, .size = sizeof(buf) };

	if (l->dhcp_search)
		domain_list_put(&list, l->search);
	if (!list.len || list.full)
		return;
	while (list.len % NDP_OPT_UNIT)
		msgbuf_u8(&list, 0);

	msgbuf_u8(w, DNSSL);
	msgbuf_u8(w, (uint8_t)(1 + list.len / NDP_OPT_UNIT));
	msgbuf_zero(w, 2);
	msgbuf_be32(w, RA_LIFETIME);
	msgbuf_put(w, list.buf, list.len);
}

/*
 * ra_put_header() - Append a router advertisement without options (RFC 4861
 *		4.2)
 *
 * While the lease has no IPv6 address, the router lifetime is 0, which means
 * that passt is not a default router. With another lifetime, the guest would
 * try to use IPv6 in vain.
 */
static void ra_put_header(struct msgbuf *w, const struct lease *l)
{
	bool address = !addr_is_none(&l->addr[IP6]);
	uint8_t flags = 0;

	if (l->dhcpv6 && address)
		flags |= ND_RA_FLAG_MANAGED;
	if (l->dhcpv6)
		flags |= ND_RA_FLAG_OTHER;

	msgbuf_u8(w, ND_ROUTER_ADVERT);
	msgbuf_zero(w, 3);			/* code, checksum */
	msgbuf_u8(w, RA_HOPS);
	msgbuf_u8(w, flags);
	msgbuf_be16(w, address ? RA_LIFETIME : 0);
	msgbuf_zero(w, 8);			/* reachable, retrans timer */
}

/* ra_send() - Send a router advertisement to the sender of the solicitation
 * @rs, or to all nodes if @rs is NULL */
static void ra_send(struct answer *a, const struct ndp_msg *rs)
{
	const struct in6_addr *to = rs ? &rs->src : &all_nodes;
	struct in6_addr src = answer_own_ll(a);
	uint8_t buf[NDP_MAX];
	struct msgbuf w = { .buf = buf, .size = sizeof(buf) };

	ra_put_header(&w, a->lease);
	ndp_put_lladdr(&w, ND_OPT_SOURCE_LINKADDR, a);
	ra_put_prefixes(&w, a->lease);
	ra_put_mtu(&w, a->lease);
	ra_put_rdnss(&w, a->lease);
	ra_put_dnssl(&w, a->lease);
	ndp_send(a, &src, to, rs ? rs->smac : NULL, &w);
}

/* ra_pick_interval() - Choose the time until the next router advertisement, ms,
 * after @sent initial ones (RFC 4861 6.2.4) */
static uint64_t ra_pick_interval(unsigned int sent)
{
	uint32_t r;

	if (sent < RA_INITIAL)
		return RA_INITIAL_GAP * SEC;
	random_bytes(&r, sizeof(r));
	return RA_INTERVAL_MIN * SEC +
	       r % ((RA_INTERVAL_MAX - RA_INTERVAL_MIN) * SEC + 1);
}

/**
 * ndp_timer() - Send a router advertisement to all nodes, and arm the timer for
 *		the next one, if a guest is connected
 * @a:		state of the services
 */
void ndp_timer(struct answer *a, uint64_t now)
{
	if (!a->lease->ndp || !a->lease->ra || !link_up(a->tap->link))
		return;

	ra_send(a, NULL);
	if (a->ra_sent < RA_INITIAL)
		a->ra_sent++;
	timer_arm(a->timers, &a->ra, now + ra_pick_interval(a->ra_sent));
}

/* ndp_answer_rs() - Answer a router solicitation (RFC 4861 6.1.1, 6.2.6) */
static void ndp_answer_rs(struct answer *a, const struct ndp_msg *m,
			  uint64_t now)
{
	if (!a->lease->ra ||
	    !ndp_check_options(m, sizeof(struct nd_router_solicit)))
		return;

	if (addr_is_none(&m->src))
		ndp_timer(a, now);
	else
		ra_send(a, m);
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
