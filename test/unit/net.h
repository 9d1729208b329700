/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * net.h - Sets up a struct net for tests, in which the guest's routers lead to
 * the host's loopback addresses.
 */
#ifndef UNIT_NET_H
#define UNIT_NET_H

#include "conf/net.h"

/* net_put_pair() - Insert a pair of addresses before all others */
static inline void net_put_pair(struct net *n, const char *visible,
				const char *real, enum nat_ports ports)
{
	memmove(&n->nat[1], n->nat, n->npairs++ * sizeof(n->nat[0]));
	n->nat[0] = (struct nat_pair){ .ports = ports };
	addr_parse(visible, &n->nat[0].visible);
	addr_parse(real, &n->nat[0].real);
}

/* net_init() - Set up a network whose routers lead to the host's 127.0.0.1 and
 * ::1 */
static inline void net_init(struct net *n, const uint8_t mac[MAC_LEN],
			    const char *router4, const char *router6)
{
	*n = (struct net){ .use = { true, true }, .mtu = 65520 };
	memcpy(n->lease.mac, mac, MAC_LEN);
	addr_parse(router4, &n->lease.router[IP4]);
	addr_parse(router6, &n->lease.router[IP6]);
	net_put_pair(n, router6, "::1", NAT_ANY_PORT);
	net_put_pair(n, router4, "127.0.0.1", NAT_ANY_PORT);
}

#endif /* UNIT_NET_H */
