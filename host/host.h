/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * host.h - The host's addresses and routes, from the kernel, and the host's
 * resolvers, from resolv.conf.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>

#include "host/resolv.h"
#include "util.h"

/**
 * struct host_family - An interface of the host, with its address and gateway
 *		of one family
 * @exists:	the kernel supports the family
 * @ifindex, @ifname: index and name of the interface; 0 and empty: no interface
 *		was found
 * @addr:	address of the interface; if it has several, the one that suits
 *		the guest best. If the interface has no address, @addr is an
 *		address of another interface, or none
 * @len:	prefix length of @addr
 * @gateway:	gateway of the interface's default route, or none
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
 * struct host - Addresses, routes and resolvers of the host
 * @family:	interface, address and gateway of each family
 * @resolv:	resolvers and search list
 * @nl_error:	-errno if there is no socket to read addresses and routes from,
 *		if the kernel did not answer on it, or if descriptors were
 *		short; else 0
 * @resolv_error: -errno if resolv.conf can't be read; else 0
 */
struct host {
	struct host_family family[FAMILIES];
	struct resolv resolv;
	int nl_error, resolv_error;
};

void host_read(struct host *h, int nl, const char *const ifname[FAMILIES]);
bool host_is_known(const struct host *h);

#endif /* HOST_HOST_H */
