/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * nat.h - Translates between guest-visible and real addresses, by the table of
 * pairs in struct net.
 */
#ifndef FORWARD_NAT_H
#define FORWARD_NAT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/net.h"
#include "sock.h"

bool nat_from_guest(const struct net *n, const struct in6_addr *dst,
		    uint16_t port, struct in6_addr *real);
bool nat_by_port(const struct net *n, const struct in6_addr *dst,
		 uint16_t port);
bool nat_to_guest(const struct net *n, const struct in6_addr *peer,
		  struct in6_addr *visible);
uint32_t nat_scope(const struct net *n, const struct in6_addr *peer);
struct sock_source nat_source(const struct net *n,
			      const struct in6_addr *peer);

#endif /* FORWARD_NAT_H */
