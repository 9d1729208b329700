/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * addrs.h - All addresses of the host, of every interface.
 */
#ifndef HOST_ADDRS_H
#define HOST_ADDRS_H

#include <netinet/in.h>
#include <stdbool.h>

/**
 * struct host_addrs - Addresses of the host
 * @addr:	addresses, sorted
 * @n, @max:	number of addresses in @addr, and number of addresses that @addr
 *		has memory for
 */
struct host_addrs {
	struct in6_addr *addr;
	unsigned int n, max;
};

int host_addrs_read(struct host_addrs *a, int nl);
bool host_addrs_has(const struct host_addrs *a, const struct in6_addr *addr);
bool host_addrs_lost(const struct host_addrs *before,
		     const struct host_addrs *now);
void host_addrs_copy(struct host_addrs *to, const struct host_addrs *from);
void host_addrs_free(struct host_addrs *a);

#endif /* HOST_ADDRS_H */
