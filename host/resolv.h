/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * resolv.h - Reads the host's resolver configuration (resolv.conf(5)). Checks
 * the addresses of resolvers and the domain names that resolv.conf and options
 * give.
 */
#ifndef HOST_RESOLV_H
#define HOST_RESOLV_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/lease.h"

#define RESOLV_CONF	"/etc/resolv.conf"
#define RESOLV_DNS	(2 * LEASE_DNS)
#define DOMAIN_MAX	253	/* RFC 1035 2.3.4: 255 bytes on the wire */

/**
 * struct resolv - Resolvers and search list of resolv.conf
 * @dns:	resolvers of both families, in the order of the file
 * @scope:	for each resolver with a link-local address that names an
 *		interface, the index of that interface; else 0
 * @n:		number of resolvers
 * @search:	domains of the search list, separated by one space
 */
struct resolv {
	struct in6_addr dns[RESOLV_DNS];
	uint32_t scope[RESOLV_DNS];
	unsigned int n;
	char search[LEASE_SEARCH];
};

int resolv_read(struct resolv *r, int fd);
bool resolver_ok(const struct in6_addr *a);
bool domain_ok(const char *s, size_t len);
bool search_add(char list[LEASE_SEARCH], const char *s, size_t len);

#endif /* HOST_RESOLV_H */
