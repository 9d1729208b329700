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
#define RA_HOPS		64	/* AdvCurHopLimit */
#define PREFIX_VALID	2592000	/* AdvValidLifetime, 30 days */
#define PREFIX_PREFERRED 604800	/* AdvPreferredLifetime, 7 days */

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

/**
 * ra_send() - Send a router advertisement
 * @a:		state of the services
 * @to:		address of the guest that has asked for it; NULL: all nodes
 * @dmac:	Ethernet address of that guest
 */
void ra_send(struct answer *a, const struct in6_addr *to, const uint8_t *dmac)
{
	struct in6_addr src = answer_own_ll(a);
	uint8_t buf[NDP_MAX];
	struct msgbuf w = { .buf = buf, .size = sizeof(buf) };

	ra_put_header(&w, a->lease);
	answer_put_lladdr(&w, ND_OPT_SOURCE_LINKADDR, a->lease->mac);
	ra_put_prefixes(&w, a->lease);
	ra_put_mtu(&w, a->lease);
	ra_put_rdnss(&w, a->lease);
	ra_put_dnssl(&w, a->lease);
	answer_ndp_send(a, &src, to, dmac, &w);
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
 * ra_timer() - Send a router advertisement to all nodes, and arm the timer for
 *		the next one, if a guest is connected
 * @a:		state of the services
 */
void ra_timer(struct answer *a, uint64_t now)
{
	if (!a->lease->ndp || !a->lease->ra || !link_up(a->tap->link))
		return;

	ra_send(a, NULL, NULL);
	if (a->ra_sent < RA_INITIAL)
		a->ra_sent++;
	timer_arm(a->timers, &a->ra, now + ra_pick_interval(a->ra_sent));
}
