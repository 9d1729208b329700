// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * addrs.c - All addresses of the host, of every interface, from the kernel.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/addrs.h"
#include "host/netlink.h"
#include "util.h"

static int compare_addrs(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct in6_addr));
}

/* add_addr() - Append an address; nl_addresses() calls this function */
static bool add_addr(void *arg, const struct in6_addr *addr)
{
	struct host_addrs *a = arg;
	struct in6_addr *more;

	if (a->n == a->max) {
		more = realloc(a->addr, (a->max + 64) * sizeof(*more));
		if (!more)
			return false;
		a->addr = more;
		a->max += 64;
	}
	a->addr[a->n++] = *addr;
	return true;
}

/**
 * host_addrs_read() - Read the host's addresses
 * @a:		filled; all zero, or filled by an earlier call
 * @nl:		what nl_open() returned
 *
 * Return: 0, or -errno: then @a is empty
 */
int host_addrs_read(struct host_addrs *a, int nl)
{
	struct nl socket = { .fd = nl };
	int rc;

	a->n = 0;
	if (nl < 0)
		return nl;
	rc = nl_addresses(&socket, add_addr, a);
	if (rc)
		a->n = 0;
	else if (a->n)
		sort_array(a->addr, a->n, sizeof(*a->addr), compare_addrs);
	return rc;
}

/* host_addrs_has() - Whether an address is one of the host's */
bool host_addrs_has(const struct host_addrs *a, const struct in6_addr *addr)
{
	return a->n && bsearch(addr, a->addr, a->n, sizeof(*addr),
			       compare_addrs);
}

/* host_addrs_lost() - Whether the host has lost one of the addresses that it
 * had before */
bool host_addrs_lost(const struct host_addrs *before,
		     const struct host_addrs *now)
{
	unsigned int i;

	for (i = 0; i < before->n; i++) {
		if (!host_addrs_has(now, &before->addr[i]))
			return true;
	}
	return false;
}

/* host_addrs_copy() - Make @to a copy of @from; if there is no memory, make it
 * empty */
void host_addrs_copy(struct host_addrs *to, const struct host_addrs *from)
{
	unsigned int i;

	to->n = 0;
	for (i = 0; i < from->n && add_addr(to, &from->addr[i]); i++)
		;
	if (i < from->n)
		to->n = 0;
}

/* host_addrs_free() - Free the memory of @a, and make it empty */
void host_addrs_free(struct host_addrs *a)
{
	free(a->addr);
	*a = (struct host_addrs){ 0 };
}
