/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * net.h - The network that the guest gets, and how it leads to the host's: what
 * follows from struct conf and struct host. derive() makes it, all parts read
 * it, and it is the only place of each of these facts.
 */
#ifndef CONF_NET_H
#define CONF_NET_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/lease.h"

#define NET_PAIRS	(3 * FAMILIES)
#define NET_NOTES	(2 * LEASE_DNS + FAMILIES)

/* Which traffic of the guest a pair of addresses translates. */
enum nat_ports {
	NAT_ANY_PORT,
	NAT_DNS_PORTS,		/* from the guest to ports 53 and 853 only */
};

/**
 * struct nat_pair - Two addresses for the same peer, see forward/nat.c
 * @visible:	the guest-visible one; none: the guest has no address for it,
 *		so that no flow from it reaches the guest
 * @real:	the one that our sockets use; net_loopback() stands for all
 *		loopback addresses of its family; none: there is no such peer,
 *		so that no flow from the guest leads there
 * @ports:	where the pair applies
 */
struct nat_pair {
	struct in6_addr visible, real;
	enum nat_ports ports;
};

/* What the user should know about how a struct net came about. */
enum net_note_type {
	NOTE_NO_IPV4,		/* the kernel does not have the family */
	NOTE_NO_IPV6,
	NOTE_RESOLVER,		/* no guest-visible address leads to @addr */
};

struct net_note {
	enum net_note_type type;
	struct in6_addr addr;
};

/**
 * struct net - The network of the guest; arrays of FAMILIES have one element
 * per family
 * @lease:	what the answering services tell the guest; @lease.router are
 *		our addresses as the guest's router
 * @use:	families in use
 * @gateway:	the host's gateways, or the ones given
 * @ifname:	interfaces that address and gateway are from, empty: none
 * @mtu:	the longest packet that the guest takes, bytes, never 0
 * @nat, @npairs: pairs of addresses, the first that matches counts
 * @source:	source addresses of our sockets, none: the kernel's choice
 * @source_ifname: interfaces that our sockets are bound to, empty: none
 * @scope:	interface of link-local peers, by index, 0: none
 * @mcast_ifname: interfaces that --multicast relays from, empty: none
 * @note, @nnotes: what derive() has to tell the user
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
	char mcast_ifname[FAMILIES][IFNAMSIZ];
	struct net_note note[NET_NOTES];
	unsigned int nnotes;
};

/* net_loopback() - The host's loopback address in a family */
static inline struct in6_addr net_loopback(enum ip_family f)
{
	struct in_addr v4 = { htonl(INADDR_LOOPBACK) };

	return f == IP4 ? addr_from_v4(v4) : in6addr_loopback;
}

#endif /* CONF_NET_H */
