// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * nat.c - Translation between guest-visible and real addresses.
 *
 * Most peers have one address for guest and host. The exceptions are pairs in a
 * table, of which the first that matches counts. A guest that shares the host's
 * address can't name the host itself: an address of its own, usually the
 * gateway's, stands for the host's loopback, and traffic from the host itself
 * to the guest seems to come from there.
 */
#include "forward/nat.h"
#include "util.h"

#define PORT_DNS	53
#define PORT_DNS_TLS	853	/* RFC 7858 */

/* pair_has_port() - Whether a pair applies to a port of the guest's peer */
static bool pair_has_port(const struct nat_pair *p, uint16_t port)
{
	return p->ports == NAT_ANY_PORT || port == PORT_DNS ||
	       port == PORT_DNS_TLS;
}

/* pair_has_peer() - Whether a pair applies to a real address */
static bool pair_has_peer(const struct nat_pair *p, const struct in6_addr *peer)
{
	struct in6_addr loopback = net_loopback(addr_ip(peer));

	if (p->ports != NAT_ANY_PORT || addr_is_none(&p->real))
		return false;
	return addr_eq(&p->real, peer) ||
	       (addr_eq(&p->real, &loopback) && addr_is_loopback(peer));
}

/* pair_find() - Find the pair of a destination of the guest, NULL: none */
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
 * @port:	destination port, 0: none, as with ICMP
 * @real:	set to the address to connect to, on success only
 *
 * The guest reaches the host's loopback by the address that stands for it, and
 * by no other: services that listen there trust everyone who reaches them.
 *
 * Return: false if no flow can lead there: a loopback, multicast or broadcast
 *	   address, or none
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
 * nat_by_port() - Whether a destination leads elsewhere because of its port
 * @n:		network
 * @dst:	guest-visible address
 * @port:	destination port
 *
 * Return: whether other ports of @dst may have another real address
 */
bool nat_by_port(const struct net *n, const struct in6_addr *dst,
		 uint16_t port)
{
	const struct nat_pair *p = pair_find(n, dst, port);

	return p && p->ports != NAT_ANY_PORT;
}

/**
 * nat_to_guest() - Find the guest-visible address of a peer
 * @n:		network
 * @peer:	real address
 * @visible:	set to the source address for the guest, on success only
 *
 * Return: false if the guest has no address for this peer: the flow is refused
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
 * nat_source() - Find what a socket to a peer is bound to
 * @n:		network
 * @peer:	real address, from nat_from_guest()
 *
 * Options about our source do not apply to the host's loopback: it is on no
 * other interface, and no other source address works there.
 *
 * Return: source, with @ifname in @n
 */
struct sock_source nat_source(const struct net *n, const struct in6_addr *peer)
{
	enum ip_family f = addr_ip(peer);
	struct sock_source src = {
		.family = addr_family(peer), .ifname = "", .scope = n->scope,
	};

	if (!addr_is_loopback(peer)) {
		src.addr = n->source[f];
		src.ifname = n->source_ifname[f];
	}
	return src;
}
