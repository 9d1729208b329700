// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * ra.c - Advertises passt as a router (RFC 4861), with prefixes (RFC 4862),
 * resolvers and search list (RFC 8106).
 */
#include <netinet/icmp6.h>

#include "answer/answer.h"
#include "answer/domain.h"

#define RDNSS		25	/* RFC 8106 5.1 */
#define DNSSL		31	/* RFC 8106 5.2 */

/* Constants of RFC 4861 6.2.1 and 10; times are in seconds */
#define RA_INTERVAL_MAX	600
#define RA_INTERVAL_MIN	200
#define RA_LIFETIME	(3 * RA_INTERVAL_MAX)
#define RA_INITIAL	3	/* MAX_INITIAL_RTR_ADVERTISEMENTS */
#define RA_INITIAL_GAP	16	/* MAX_INITIAL_RTR_ADVERT_INTERVAL */
#define RA_DELAY_MIN	3	/* MIN_DELAY_BETWEEN_RAS */
#define RA_HOPS		64	/* AdvCurHopLimit */
#define PREFIX_VALID	2592000	/* AdvValidLifetime, 30 days */
#define PREFIX_PREFERRED 604800	/* AdvPreferredLifetime, 7 days */

/* ra_put_prefix() - Append prefix information (RFC 4861 4.6.2), with lifetimes
 * in seconds */
static void ra_put_prefix(struct msgbuf *w, const struct lease_addr *prefix,
			  uint32_t valid, uint32_t preferred)
{
	uint8_t flags = ND_OPT_PI_FLAG_ONLINK;

	if (prefix->len == LEASE_SLAAC_LEN)
		flags |= ND_OPT_PI_FLAG_AUTO;

	msgbuf_u8(w, ND_OPT_PREFIX_INFORMATION);
	msgbuf_u8(w, 4);
	msgbuf_u8(w, (uint8_t)prefix->len);
	msgbuf_u8(w, flags);
	msgbuf_be32(w, valid);
	msgbuf_be32(w, preferred);
	msgbuf_zero(w, 4);
	msgbuf_addr6(w, &prefix->addr);
}

/* ra_put_prefixes() - Append the prefix of each of the guest's addresses, each
 * prefix once. A prefix of 128 bits is left out */
static void ra_put_prefixes(struct msgbuf *w, const struct lease *l)
{
	struct lease_addr done[LEASE_ADDRS], a;
	unsigned int i, j, n = 0;

	for (i = 0; lease_prefix(l, i, &a); i++) {
		for (j = 0; j < n && !lease_addr_eq(&done[j], &a); j++)
			;
		if (j < n || a.len >= 128)
			continue;
		done[n++] = a;
		ra_put_prefix(w, &a, PREFIX_VALID, PREFIX_PREFERRED);
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

/* ra_put_rdnss() - Append @n resolvers (RFC 8106 5.1), with a lifetime in
 * seconds */
static void ra_put_rdnss(struct msgbuf *w, const struct in6_addr *dns,
			 unsigned int n, uint32_t lifetime)
{
	unsigned int i;

	if (!n)
		return;
	msgbuf_u8(w, RDNSS);
	msgbuf_u8(w, (uint8_t)(1 + 2 * n));
	msgbuf_zero(w, 2);
	msgbuf_be32(w, lifetime);
	for (i = 0; i < n; i++)
		msgbuf_addr6(w, &dns[i]);
}

/* ra_put_resolvers() - Append the resolvers of the lease */
static void ra_put_resolvers(struct msgbuf *w, const struct lease *l)
{
	unsigned int n = 0;

	if (l->dhcp_dns)
		while (n < LEASE_DNS && !addr_is_none(&l->dns[IP6][n]))
			n++;
	ra_put_rdnss(w, l->dns[IP6], n, RA_LIFETIME);
}

/* ra_put_dnssl() - Append a search list, without compression of names, and
 * padding (RFC 8106 5.2), with a lifetime in seconds */
static void ra_put_dnssl(struct msgbuf *w, const char *search,
			 uint32_t lifetime)
{
	uint8_t buf[LEASE_SEARCH + NDP_OPT_UNIT];
	struct msgbuf list = { .buf = buf, .size = sizeof(buf) };

	domain_list_put(&list, search);
	if (!list.len || list.full)
		return;
	while (list.len % NDP_OPT_UNIT)
		msgbuf_u8(&list, 0);

	msgbuf_u8(w, DNSSL);
	msgbuf_u8(w, (uint8_t)(1 + list.len / NDP_OPT_UNIT));
	msgbuf_zero(w, 2);
	msgbuf_be32(w, lifetime);
	msgbuf_put(w, list.buf, list.len);
}

/* ra_put_header() - Append the header of a router advertisement (RFC 4861 4.2),
 * and our MAC address as its first option. @lifetime: router lifetime, seconds.
 * If it is 0, the guest does not use passt as a default router. */
static void ra_put_header(struct msgbuf *w, const struct lease *l,
			  uint16_t lifetime)
{
	uint8_t flags = 0;

	if (l->dhcpv6 && !addr_is_none(&l->addr[IP6]))
		flags |= ND_RA_FLAG_MANAGED;
	if (l->dhcpv6)
		flags |= ND_RA_FLAG_OTHER;

	msgbuf_u8(w, ND_ROUTER_ADVERT);
	msgbuf_zero(w, 3);			/* code, checksum */
	msgbuf_u8(w, RA_HOPS);
	msgbuf_u8(w, flags);
	msgbuf_be16(w, lifetime);
	msgbuf_zero(w, 8);		/* reachable time and retransmission
					 * timer: unspecified */
	answer_put_lladdr(w, ND_OPT_SOURCE_LINKADDR, l->mac);
}

/* ra_router_lifetime() - Return the router lifetime, seconds. It is 0 while the
 * lease has no IPv6 address: otherwise the guest would try to use IPv6 in
 * vain. */
static uint16_t ra_router_lifetime(const struct lease *l)
{
	return addr_is_none(&l->addr[IP6]) ? 0 : RA_LIFETIME;
}

/* ra_put_lease() - Append an advertisement of what is in the lease */
static void ra_put_lease(struct msgbuf *w, const struct lease *l)
{
	ra_put_header(w, l, ra_router_lifetime(l));
	ra_put_prefixes(w, l);
	ra_put_mtu(w, l);
	ra_put_resolvers(w, l);
	ra_put_dnssl(w, l->dhcp_search ? l->search : "", RA_LIFETIME);
}

/*
 * ra_put_past() - Append an advertisement that withdraws the entries that are
 *		gone from the lease, by lifetimes of zero
 *
 * The guest stops using addresses in a withdrawn prefix for new connections at
 * once, but keeps them for up to two hours, so that connections can end (RFC
 * 4862 5.5.3 (e)).
 */
static void ra_put_past(struct msgbuf *w, const struct answer *a,
			uint16_t router_lifetime)
{
	const struct past *p = &a->past;
	struct in6_addr dns[PAST_MAX];
	unsigned int i;

	ra_put_header(w, a->lease, router_lifetime);
	for (i = 0; i < p->prefix.n; i++)
		ra_put_prefix(w, &p->prefix.entry[i], 0, 0);
	for (i = 0; i < p->dns.n; i++)
		dns[i] = p->dns.entry[i].addr;
	ra_put_rdnss(w, dns, p->dns.n, 0);
	ra_put_dnssl(w, p->search, 0);
}

/* ra_send_last() - Withdraw the router @a->ra_src, because passt has another
 * link-local address now, or is no longer a router (RFC 4861 6.2.5, 6.2.8) */
static void ra_send_last(struct answer *a)
{
	uint8_t buf[NDP_MAX];
	struct msgbuf w = { .buf = buf, .size = sizeof(buf) };

	ra_put_past(&w, a, 0);
	answer_ndp_send(a, &a->ra_src, NULL, NULL, &w);
	a->ra_src = ADDR_NONE;
}

/**
 * ra_send() - Send a router advertisement. If entries are gone from the lease,
 *		send a second one, which withdraws them
 * @a:		state of the services
 * @to:		address of the guest that has asked for it; NULL: all nodes
 * @dmac:	Ethernet address of that guest
 *
 * There are two messages because one might exceed the MTU (RFC 4861 6.2.3). The
 * one that withdraws comes second, so that the guest never lacks a resolver or
 * an address.
 */
void ra_send(struct answer *a, const struct in6_addr *to, const uint8_t *dmac)
{
	struct in6_addr src = answer_own_ll(a->lease);
	uint8_t buf[NDP_MAX];
	struct msgbuf w = { .buf = buf, .size = sizeof(buf) };

	ra_put_lease(&w, a->lease);
	answer_ndp_send(a, &src, to, dmac, &w);
	if (past_is_announced(&a->past)) {
		w.len = 0;
		ra_put_past(&w, a, ra_router_lifetime(a->lease));
		answer_ndp_send(a, &src, to, dmac, &w);
	}
	if (!addr_is_none(&a->ra_src) && !addr_eq(&a->ra_src, &src))
		ra_send_last(a);
	a->ra_src = src;
}

/* ra_pick_interval() - Choose the time until the next router advertisement, ms
 * (RFC 4861 6.2.4) */
static uint64_t ra_pick_interval(struct answer *a)
{
	if (a->ra_sent < RA_INITIAL)
		return RA_INITIAL_GAP * SEC;
	/* A linear congruential generator (Knuth, MMIX) */
	a->random = a->random * 6364136223846793005ULL + 1;
	return RA_INTERVAL_MIN * SEC +
	       (a->random >> 32) %
	       ((RA_INTERVAL_MAX - RA_INTERVAL_MIN) * SEC + 1);
}

/* is_ra_on() - Whether passt advertises itself as a router */
static bool is_ra_on(const struct lease *l)
{
	return l->ndp && l->ra;
}

/**
 * ra_timer() - Send a router advertisement to all nodes, and arm the timer for
 *		the next one, if a guest is connected
 * @a:		state of the services
 */
void ra_timer(struct answer *a, uint64_t now)
{
	if (!link_up(a->tap->link))
		return;
	if (!is_ra_on(a->lease)) {
		if (!addr_is_none(&a->ra_src))
			ra_send_last(a);
		return;
	}

	ra_send(a, NULL, NULL);
	a->ra_next = now + RA_DELAY_MIN * SEC;
	if (a->ra_sent < RA_INITIAL)
		a->ra_sent++;
	if (a->ra_sent == RA_INITIAL)
		past_forget_announced(&a->past);
	timer_arm(a->timers, &a->ra, now + ra_pick_interval(a));
}

/* ra_send_soon() - Send the advertisement now, or RA_DELAY_MIN after the last
 * one (RFC 4861 6.2.6) */
static void ra_send_soon(struct answer *a, uint64_t now)
{
	if (now >= a->ra_next)
		ra_timer(a, now);
	else
		timer_arm(a->timers, &a->ra, a->ra_next);
}

/**
 * ra_refresh() - Send the advertisement again, so that its lifetimes start anew
 * @a:		state of the services; a guest is connected
 */
void ra_refresh(struct answer *a, uint64_t now)
{
	if (is_ra_on(a->lease))
		ra_send_soon(a, now);
}

/* is_ra_same() - Whether two leases lead to the same advertisement */
static bool is_ra_same(const struct lease *a, const struct lease *b)
{
	struct in6_addr ll_a = answer_own_ll(a), ll_b = answer_own_ll(b);
	uint8_t buf[2][NDP_MAX];
	struct msgbuf wa = { .buf = buf[0], .size = sizeof(buf[0]) };
	struct msgbuf wb = { .buf = buf[1], .size = sizeof(buf[1]) };

	ra_put_lease(&wa, a);
	ra_put_lease(&wb, b);
	return addr_eq(&ll_a, &ll_b) && wa.len == wb.len &&
	       !memcmp(wa.buf, wb.buf, wa.len);
}

/**
 * ra_lease_changed() - If the advertisement has changed, send it, and two more
 *		at the interval of the initial ones (RFC 4861 6.2.4)
 * @a:		state of the services
 * @old:	lease that was in force until now
 */
void ra_lease_changed(struct answer *a, const struct lease *old, uint64_t now)
{
	bool was_on = is_ra_on(old), is_on = is_ra_on(a->lease);

	if (!was_on && !is_on)
		return;
	if (was_on && is_on && is_ra_same(old, a->lease))
		return;

	a->ra_sent = 0;
	ra_send_soon(a, now);
}
