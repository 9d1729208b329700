/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * lease.h - The lease: everything that the answering services tell the guest.
 * derive() makes it from the options and the host's configuration.
 */
#ifndef CONF_LEASE_H
#define CONF_LEASE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h"

#define LEASE_ADDRS	8		/* addresses of one family, at most */
#define LEASE_DNS	8		/* resolvers of one family, at most */
#define LEASE_SLAAC_LEN	64		/* prefix length that lets the guest
					 * make its own addresses: RFC 4291
					 * 2.5.1 */
#define LEASE_SEARCH	256		/* bytes of a search list as a string */
#define LEASE_NAME	256		/* bytes of a name as a string */
#define LEASE_TIME	86400U		/* s: default lease time, 24 hours, so
					 * that a guest can be paused for a
					 * night */
#define LEASE_INFINITE	0xffffffffU	/* lease time that never ends: RFC 2131
					 * 3.3, RFC 8415 7.7 */
#define LEASE_T1	300U		/* s: T1 at most. DHCP clients learn of
					 * a change of the host's network only
					 * when they renew the lease */

/**
 * struct lease - What the answering services tell the guest; arrays of FAMILIES
 *		have one element per family
 * @addr:	address of the guest. If it is none, DHCP does not answer,
 *		DHCPv6 gives no address, and router advertisements have no
 *		prefix
 * @len:	prefix length of @addr
 * @more, @more_len: further addresses of the guest, and their prefix lengths;
 *		unused elements are zero. DHCP gives the guest none of these
 * @router:	address of passt as the guest's router. IPv4: DHCP option 3, and
 *		source of DHCP messages. IPv6: link-local source of router
 *		advertisements and DHCPv6 messages
 * @dns:	resolvers; unused elements are zero
 * @search:	domains of the search list, separated by one space
 * @hostname:	DHCP option 12, empty: none
 * @fqdn:	DHCP option 81 and DHCPv6 option 39, empty: none
 * @mtu:	MTU in DHCP option 26 and in router advertisements, bytes; 0:
 *		not announced
 * @time:	lease time of DHCP, and lifetime of addresses of DHCPv6, s;
 *		LEASE_INFINITE: they never end
 * @mac:	MAC address of passt on the link
 * @dhcp, @dhcpv6, @ndp, @ra: this answering service is on
 * @dhcp_dns:	the services tell the guest resolvers
 * @dhcp_search: the services tell the guest the search list
 */
struct lease {
	struct in6_addr addr[FAMILIES];
	unsigned int len[FAMILIES];
	struct in6_addr more[FAMILIES][LEASE_ADDRS - 1];
	unsigned int more_len[FAMILIES][LEASE_ADDRS - 1];
	struct in6_addr router[FAMILIES];
	struct in6_addr dns[FAMILIES][LEASE_DNS];
	char search[LEASE_SEARCH];
	char hostname[LEASE_NAME], fqdn[LEASE_NAME];
	uint32_t mtu;
	uint32_t time;
	uint8_t mac[MAC_LEN];
	bool dhcp, dhcpv6, ndp, ra;
	bool dhcp_dns, dhcp_search;
};

/**
 * struct lease_addr - An address of the guest
 * @addr:	address
 * @len:	its prefix length
 */
struct lease_addr {
	struct in6_addr addr;
	unsigned int len;
};

static inline bool lease_addr_eq(const struct lease_addr *a,
				 const struct lease_addr *b)
{
	return a->len == b->len && addr_eq(&a->addr, &b->addr);
}

/**
 * lease_addr() - Get one of the guest's addresses
 * @l:		lease
 * @f:		family
 * @i:		index of the address, which begins at 0
 * @a:		set to the address
 *
 * Return: false if the lease has no address with this index
 */
static inline bool lease_addr(const struct lease *l, enum ip_family f,
			      unsigned int i, struct lease_addr *a)
{
	if (i >= LEASE_ADDRS)
		return false;
	a->addr = i ? l->more[f][i - 1] : l->addr[f];
	a->len = i ? l->more_len[f][i - 1] : l->len[f];
	return !addr_is_none(&a->addr);
}

/**
 * lease_prefix() - Get the prefix of one of the guest's IPv6 addresses
 * @l:		lease
 * @i:		index of the address, which begins at 0
 * @p:		set to the prefix: an address whose other bits are zero
 *
 * Return: false if the lease has no IPv6 address with this index
 */
static inline bool lease_prefix(const struct lease *l, unsigned int i,
				struct lease_addr *p)
{
	unsigned int bit;

	if (!lease_addr(l, IP6, i, p))
		return false;
	for (bit = p->len; bit < 128; bit++)
		p->addr.s6_addr[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
	return true;
}

/* lease_t1() - Get the seconds until the client asks the server that gave the
 * lease to renew it: T1 (RFC 2131 4.4.5, RFC 8415 14.2) */
static inline uint32_t lease_t1(const struct lease *l)
{
	return l->time == LEASE_INFINITE ? LEASE_INFINITE :
					   MIN(LEASE_T1, l->time / 2);
}

/* lease_t2() - Get the seconds until the client asks any server to renew the
 * lease: T2, 7/8 of the lease time (RFC 2131 4.4.5) */
static inline uint32_t lease_t2(const struct lease *l)
{
	return l->time == LEASE_INFINITE ? LEASE_INFINITE :
					   l->time - l->time / 8;
}

/* lease_has() - Whether an address is one of the guest's addresses */
static inline bool lease_has(const struct lease *l, const struct in6_addr *addr)
{
	struct lease_addr a;
	unsigned int i;

	for (i = 0; lease_addr(l, addr_ip(addr), i, &a); i++) {
		if (addr_eq(&a.addr, addr))
			return true;
	}
	return false;
}

/* lease_covers() - Whether an address is in the prefix of one of the guest's
 * addresses */
static inline bool lease_covers(const struct lease *l,
				const struct in6_addr *addr)
{
	struct lease_addr a;
	unsigned int i;

	for (i = 0; lease_addr(l, addr_ip(addr), i, &a); i++) {
		if (addr_in_prefix(addr, &a.addr, a.len))
			return true;
	}
	return false;
}

/* lease_announces() - Whether an address is one that the guest can make from a
 * prefix in our router advertisements (RFC 4862 5.5.3) */
static inline bool lease_announces(const struct lease *l,
				   const struct in6_addr *addr)
{
	struct lease_addr a;
	unsigned int i;

	for (i = 0; l->ra && lease_addr(l, IP6, i, &a); i++) {
		if (a.len == LEASE_SLAAC_LEN &&
		    addr_in_prefix(addr, &a.addr, a.len))
			return true;
	}
	return false;
}

#endif /* CONF_LEASE_H */
