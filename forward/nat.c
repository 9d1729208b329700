// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * nat.c - Translation between guest-visible and real addresses.
 *
 * Most peers have the same address for the guest and for the host. For all
 * other peers a table has a pair of a guest-visible and a real address. The
 * first pair that matches counts. A guest with the same address as the host
 * can't reach the host by that address. So another guest-visible address,
 * usually the gateway's, leads to the host's loopback, and is the source of
 * what the host sends to the guest.
 */
#include "forward/nat.h"
#include "util.h"

#define PORT_DNS	53
#define PORT_DNS_TLS	853	/* RFC 7858 */

static bool is_dns_port(uint16_t port)
{
	return port == PORT_DNS || port == PORT_DNS_TLS;
}

/* pair_has_port() - Whether a pair applies to traffic from the guest to a
 * port */
static bool pair_has_port(const struct nat_pair *p, uint16_t port)
{
	if (p->ports == NAT_TO_GUEST)
		return false;
	return p->ports == NAT_ANY_PORT || is_dns_port(port);
}

/* pair_has_peer() - Whether a pair applies to traffic to the guest from the
 * real address @peer */
static bool pair_has_peer(const struct nat_pair *p, const struct in6_addr *peer)
{
	struct in6_addr loopback = net_loopback(addr_ip(peer));

	if (p->ports == NAT_DNS_PORTS || addr_is_none(&p->real))
		return false;
	return addr_eq(&p->real, peer) ||
	       (addr_eq(&p->real, &loopback) && addr_is_loopback(peer));
}

/* pair_find() - Find the first pair that applies to traffic from the guest to
 * port @port of @dst; NULL: none */
static const struct nat_pair *pair_find(const struct net *n,
					const struct in6_addr *dst,
					uint16_t port)
{
	unsigned int i;

	for (i = 0; i < n->npairs; i++) {
		const struct nat_pair *p = &n->nat[i];

		if (!addr_is_none(&p->visible) && addr_eq(&p->visible, dst) &&
		    pair_has_port(p, port))
			return p;
	}
	return NULL;
}

/**
 * nat_from_guest() - Find the real address of a destination of the guest
 * @n:		network
 * @dst:	guest-visible address
 * @port:	destination port; 0: the protocol has no ports, such as ICMP
 * @real:	on success, set to the address for sockets
 *
 * The guest reaches the host's loopback only by the guest-visible address of a
 * pair, because services that listen there trust all their clients.
 *
 * Return: false if no flow is possible, because the destination is a loopback,
 *	   multicast or broadcast address, or its pair has no real address
 */
bool nat_from_guest(const struct net *n, const struct in6_addr *dst,
		    uint16_t port, struct in6_addr *real)
{
	const struct nat_pair *p = pair_find(n, dst, port);
	const struct in6_addr *to = p ? &p->real : dst;

	if (!addr_is_unicast(to) && !(p && addr_is_loopback(to)))
		return false;

	*real = *to;
	return true;
}

/**
 * nat_by_port() - Whether a pair applies because of the destination port
 * @n:		network
 * @dst:	guest-visible address
 * @port:	destination port
 *
 * Return: true if other ports of @dst may have another real address
 */
bool nat_by_port(const struct net *n, const struct in6_addr *dst,
		 uint16_t port)
{
	const struct nat_pair *p;

	if (!is_dns_port(port))		/* nearly always: no search */
		return false;
	p = pair_find(n, dst, port);
	return p && p->ports != NAT_ANY_PORT;
}

/**
 * nat_to_guest() - Find the guest-visible address of a peer
 * @n:		network
 * @peer:	real address
 * @visible:	on success, set to the source address that the guest sees
 *
 * Return: false if the guest has no address for this peer, so that the caller
 *	   must refuse the flow
 */
bool nat_to_guest(const struct net *n, const struct in6_addr *peer,
		  struct in6_addr *visible)
{
	const struct in6_addr *from = peer;
	unsigned int i;

	for (i = 0; i < n->npairs && from == peer; i++) {
		if (pair_has_peer(&n->nat[i], peer))
			from = &n->nat[i].visible;
	}
	if (addr_is_none(from))
		return false;

	*visible = *from;
	return true;
}

/**
 * nat_scope() - Find the interface that leads to a peer with a link-local
 * address
 * @n:		network
 * @peer:	real address
 *
 * Return: index of the interface that resolv.conf names for the resolver @peer,
 *	   or else of the interface of the guest's addresses; 0: there is none
 */
uint32_t nat_scope(const struct net *n, const struct in6_addr *peer)
{
	unsigned int i;

	for (i = 0; i < n->nresolvers; i++) {
		if (addr_eq(&n->resolver[i].addr, peer))
			return n->resolver[i].ifindex;
	}
	return n->scope;
}

/**
 * nat_source() - Find the address and the interface that a socket must be bound
 *		to before it is connected to a peer
 * @n:		network
 * @peer:	real address, from nat_from_guest()
 *
 * The options for source address and outbound interface have no effect if @peer
 * is on the host's loopback, or is a resolver for which resolv.conf names an
 * interface. A socket that is bound to another address or interface can't reach
 * such a peer.
 *
 * Return: address and interface; @ifname is valid as long as @n
 */
struct sock_source nat_source(const struct net *n, const struct in6_addr *peer)
{
	enum ip_family f = addr_ip(peer);
	struct sock_source src = {
		.family = addr_family(peer), .ifname = "",
		.scope = nat_scope(n, peer),
	};

	if (!addr_is_loopback(peer) && src.scope == n->scope) {
		src.addr = n->source[f];
		src.ifname = n->source_ifname[f];
	}
	return src;
}
