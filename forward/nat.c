// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * nat.c - Translation of addresses between the guest's side and ours.
 *
 * A guest that shares the host's address can't name the host itself: an
 * address of its own, usually the gateway's, stands for the host's loopback,
 * and the host's traffic to the guest seems to come from there.
 */
#include <netinet/in.h>

#include "forward/nat.h"
#include "util.h"

#define PORT_DNS	53
#define PORT_DNS_TLS	853

/* same() - Whether two addresses are the same and not "none" */
static bool same(const struct in6_addr *a, const struct in6_addr *b)
{
	return !addr_is_none(a) && addr_eq(a, b);
}

/**
 * nat_from_guest() - Where a destination of the guest really is
 * @m:		translation
 * @dst:	address the guest sends to
 * @host:	set to the address to connect to, on success only
 *
 * The guest reaches the host's loopback by the address that stands for it and
 * in no other way: services that listen there trust who can reach them.
 *
 * Return: false if no flow can lead there: none, multicast, broadcast, loopback
 */
bool nat_from_guest(const struct fwd_map *m, const struct in6_addr *dst,
	     struct in6_addr *host)
{
	struct in6_addr to = *dst;

	if (same(dst, &m->host4))
		to = addr_from_v4((struct in_addr){ htonl(INADDR_LOOPBACK) });
	else if (same(dst, &m->host6))
		to = in6addr_loopback;
	else if (same(dst, &m->map_guest4))
		to = m->guest4;
	else if (same(dst, &m->map_guest6))
		to = m->guest6;
	else if (addr_is_loopback(dst))
		return false;

	if (!addr_is_unicast(&to) && !addr_is_loopback(&to))
		return false;

	*host = to;
	return true;
}

/**
 * nat_resolver() - The resolver that an address of ours stands for
 * @m:		translation
 * @dst:	address the guest sends to
 * @port:	host order
 *
 * On the ports of DNS and of DNS over TLS (RFC 7858), and on no other.
 *
 * Return: address of the resolver, NULL: that is not what is meant
 */
const struct in6_addr *nat_resolver(const struct fwd_map *m,
			       const struct in6_addr *dst, uint16_t port)
{
	if (port != PORT_DNS && port != PORT_DNS_TLS)
		return NULL;
	if (same(dst, &m->dns4) && !addr_is_none(&m->dns_host4))
		return &m->dns_host4;
	if (same(dst, &m->dns6) && !addr_is_none(&m->dns_host6))
		return &m->dns_host6;
	return NULL;
}

/**
 * nat_from_guest_port() - Where a destination of TCP or UDP really is
 * @m:		translation
 * @dst:	address the guest sends to
 * @port:	host order
 * @host:	set to the address to connect to, on success only
 *
 * Return: false if no flow can lead there, as with nat_from_guest()
 */
bool nat_from_guest_port(const struct fwd_map *m, const struct in6_addr *dst,
		  uint16_t port, struct in6_addr *host)
{
	const struct in6_addr *dns = nat_resolver(m, dst, port);

	if (!dns)
		return nat_from_guest(m, dst, host);
	*host = *dns;
	return true;
}

/**
 * nat_to_guest() - As whom the guest sees a peer of the host
 * @m:		translation
 * @peer:	source address of what came in
 * @seen:	set to the source address for the guest, on success only
 *
 * The host's loopback and the addresses that guest and host share mean the
 * guest itself inside of it. An address that leads back to where the peer is
 * stands for it: for the shared ones, that of --map-guest-addr comes first.
 *
 * Return: false if there is none, so that the guest can't be reached from
 *	   there: the flow is refused
 */
bool nat_to_guest(const struct fwd_map *m, const struct in6_addr *peer,
	    struct in6_addr *seen)
{
	const struct in6_addr *as = peer;
	bool v4 = addr_is_v4(peer);

	if (same(peer, &m->guest4) && !addr_is_none(&m->map_guest4))
		as = &m->map_guest4;
	else if (same(peer, &m->guest6) && !addr_is_none(&m->map_guest6))
		as = &m->map_guest6;
	else if (addr_is_loopback(peer) || same(peer, &m->guest4) ||
		 same(peer, &m->guest6))
		as = v4 ? &m->host4 : &m->host6;

	if (addr_is_none(as))
		return false;

	*seen = *as;
	return true;
}

/**
 * nat_source() - What a socket to a peer is bound to
 * @m:		translation
 * @peer:	where to, from nat_from_guest()
 *
 * What is said about our source does not apply on the way to the host's
 * loopback, which is on no other interface and takes no other's address.
 *
 * Return: source, with @ifname in @m
 */
struct sock_source nat_source(const struct fwd_map *m,
			      const struct in6_addr *peer)
{
	bool v4 = addr_is_v4(peer);
	struct sock_source src = {
		.family = addr_family(peer), .ifname = "", .scope = m->scope,
	};

	if (!addr_is_loopback(peer)) {
		src.addr = v4 ? m->out4 : m->out6;
		src.ifname = v4 ? m->if4 : m->if6;
	}
	return src;
}
