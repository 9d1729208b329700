/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * host.h - What the host has: addresses, routes and resolvers, as the kernel
 * and resolv.conf say.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>

#include "host/resolv.h"
#include "util.h"

/**
 * struct host_family - What the host has of one family
 * @exists:	the kernel has the family
 * @ifindex, @ifname: the interface that the rest is about, 0 and empty: none
 * @addr:	the address that suits the guest best, none: none
 * @len:	its prefix length
 * @gateway:	gateway of the default route, none: none
 */
struct host_family {
	bool exists;
	unsigned int ifindex;
	char ifname[IFNAMSIZ];
	struct in6_addr addr;
	unsigned int len;
	struct in6_addr gateway;
};

/**
 * struct host - What the host has
 * @family:	per family
 * @resolv:	resolvers and search list
 * @nl_error:	-errno: the kernel can't be asked for addresses and routes
 * @resolv_error: -errno: resolv.conf can't be read
 */
struct host {
	struct host_family family[FAMILIES];
	struct resolv resolv;
	int nl_error, resolv_error;
};

void host_read(struct host *h, const char *const ifname[FAMILIES]);

#endif /* HOST_HOST_H */
