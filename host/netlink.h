/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * netlink.h - Reads the host's addresses and routes over rtnetlink(7).
 */
#ifndef HOST_NETLINK_H
#define HOST_NETLINK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

int nl_open(void);
unsigned int nl_default_if(int nl, int family);
bool nl_gateway(int nl, int family, unsigned int ifindex, struct in6_addr *gw,
		struct in6_addr *src);
unsigned int nl_address(int nl, int family, unsigned int ifindex,
			const struct in6_addr *prefer, struct in6_addr *addr,
			unsigned int *len);

int nl_addresses(int nl, bool (*add)(void *arg, const struct in6_addr *addr),
		 void *arg);

#endif /* HOST_NETLINK_H */
