/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * nat.h - Pairs of a guest-visible and a real address.
 */
#ifndef FORWARD_NAT_H
#define FORWARD_NAT_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "sock.h"

/**
 * struct fwd_map - Translation of addresses between the guest's and our side
 * @host4, @host6: the guest reaches the host's loopback under these, and
 *		sees traffic from the host itself coming from them; none: off
 * @guest4, @guest6: addresses that guest and host share
 * @map_guest4, @map_guest6: the guest reaches the host's own copy of the
 *		shared address under these; none: off
 * @dns4, @dns6: what the guest sends to the DNS ports of these goes to
 *		@dns_host4 and @dns_host6; none: off
 * @out4, @out6: source addresses of our sockets; none: kernel's choice
 * @if4, @if6:	interfaces our sockets are bound to; empty: none
 * @scope:	interface index for link-local destinations
 */
struct fwd_map {
	struct in6_addr host4, host6;
	struct in6_addr guest4, guest6;
	struct in6_addr map_guest4, map_guest6;
	struct in6_addr dns4, dns6, dns_host4, dns_host6;
	struct in6_addr out4, out6;
	char if4[IFNAMSIZ], if6[IFNAMSIZ];
	uint32_t scope;
};

bool nat_from_guest(const struct fwd_map *m, const struct in6_addr *dst,
	     struct in6_addr *host);
const struct in6_addr *nat_resolver(const struct fwd_map *m,
			       const struct in6_addr *dst, uint16_t port);
bool nat_from_guest_port(const struct fwd_map *m, const struct in6_addr *dst,
		  uint16_t port, struct in6_addr *host);
bool nat_to_guest(const struct fwd_map *m, const struct in6_addr *peer,
	    struct in6_addr *seen);
struct sock_source nat_source(const struct fwd_map *m,
			      const struct in6_addr *peer);

#endif /* FORWARD_NAT_H */
