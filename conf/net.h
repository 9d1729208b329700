/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * net.h - The network of the guest, and how its addresses lead to addresses of
 * the host's network. derive() makes struct net from struct conf and struct
 * host. All other parts read struct net, and keep no copies of its values.
 */
#ifndef CONF_NET_H
#define CONF_NET_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/lease.h"

#define NET_PAIRS	((2 + LEASE_ADDRS) * FAMILIES)
#define NET_SCOPES	(2 * LEASE_DNS)
#define NET_NOTES	(2 * LEASE_DNS + FAMILIES)

/* Which traffic a pair of addresses applies to. */
enum nat_ports {
	NAT_ANY_PORT,		/* all traffic from and to the guest */
	NAT_DNS_PORTS,		/* only traffic from the guest to ports 53 and
				 * 853 */
	NAT_TO_GUEST,		/* only traffic that the peer begins: the guest
				 * can't open flows to the peer */
};

/**
 * struct nat_pair - Two addresses for the same peer, see forward/nat.c
 * @visible:	guest-visible address of the peer. If it is none, flows from the
 *		peer to the guest are refused
 * @real:	real address of the peer, for our sockets. If @real is none,
 *		flows from the guest to the peer are refused. If @real is the
 *		address that net_loopback() returns, it stands for all loopback
 *		addresses of the family
 * @ports:	which traffic the pair applies to
 */
struct nat_pair {
	struct in6_addr visible, real;
	enum nat_ports ports;
};

/* What a note tells the user about the network of the guest. */
enum net_note_type {
	NOTE_NO_IPV4,		/* the host's kernel has no IPv4 */
	NOTE_NO_IPV6,		/* the host's kernel has no IPv6 */
	NOTE_RESOLVER,		/* the guest can't reach the resolver @addr */
};

/**
 * struct net_note - A note of derive() for the user, see net_print_notes()
 * @type:	what the note says
 * @addr:	address that the note is about; none: the note is not about an
 *		address
 */
struct net_note {
	enum net_note_type type;
	struct in6_addr addr;
};

/**
 * struct net_scope - The interface of a link-local resolver
 * @addr:	real address of the resolver
 * @ifindex:	index of the host's interface that it is reached by
 */
struct net_scope {
	struct in6_addr addr;
	uint32_t ifindex;
};

/**
 * struct net - The network of the guest; arrays of FAMILIES have one element
 * per family
 * @lease:	what the answering services tell the guest
 * @use:	whether a family is in use
 * @gateway:	gateways, from options or else from the host's default routes
 * @ifname:	host's interfaces that the guest's addresses and the gateways
 *		come from, empty: none
 * @mtu:	longest packet that the guest takes, bytes, never 0
 * @nat:	pairs of addresses; the first that matches counts
 * @npairs:	number of pairs in @nat
 * @source:	source addresses of our sockets; none: the kernel chooses
 * @source_ifname: interfaces that our sockets are bound to, empty: none
 * @scope:	index of the host's interface that link-local peers are reached
 *		by, 0: none
 * @resolver, @nresolvers: link-local resolvers for which resolv.conf names an
 *		interface, and their number
 * @forward:	for the family of each guest-visible address with a pair of
 *		NAT_DNS_PORTS, real addresses of the resolvers that it leads to,
 *		in the order in which they are asked. The first is the pair's
 *		real address. Unused elements are zero
 * @mcast_ifname: interfaces on which --multicast relays, empty: none
 * @note:	what derive() has to tell the user
 * @nnotes:	number of notes in @note
 */
struct net {
	struct lease lease;
	bool use[FAMILIES];
	struct in6_addr gateway[FAMILIES];
	char ifname[FAMILIES][IFNAMSIZ];
	uint32_t mtu;
	struct nat_pair nat[NET_PAIRS];
	unsigned int npairs;
	struct in6_addr source[FAMILIES];
	char source_ifname[FAMILIES][IFNAMSIZ];
	uint32_t scope;
	struct net_scope resolver[NET_SCOPES];
	unsigned int nresolvers;
	struct in6_addr forward[FAMILIES][LEASE_DNS];
	char mcast_ifname[FAMILIES][IFNAMSIZ];
	struct net_note note[NET_NOTES];
	unsigned int nnotes;
};

/* net_loopback() - Return the loopback address of a family: 127.0.0.1 or ::1 */
static inline struct in6_addr net_loopback(enum ip_family f)
{
	struct in_addr v4 = { htonl(INADDR_LOOPBACK) };

	return f == IP4 ? addr_from_v4(v4) : in6addr_loopback;
}

#endif /* CONF_NET_H */
