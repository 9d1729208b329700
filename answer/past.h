/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * past.h - Remembers what is gone from the lease, as long as the guest may
 * still use it.
 */
#ifndef ANSWER_PAST_H
#define ANSWER_PAST_H

#include <stdbool.h>

#include "conf/lease.h"

#define PAST_MAX	8	/* entries of one kind; if one more is gone, the
				 * oldest entry is forgotten */

/**
 * struct past_list - Entries that are gone from the lease, the oldest first
 * @entry:	prefixes, or addresses with a prefix length of 0
 * @n:		number of entries
 */
struct past_list {
	struct lease_addr entry[PAST_MAX];
	unsigned int n;
};

/**
 * struct past - Entries that are gone from the lease since the guest connected,
 *		and have not come back
 * @prefix:	prefixes of router advertisements
 * @dns:	resolvers of router advertisements
 * @search:	domains of the search list, separated by one space
 * @server:	IPv4 addresses of passt as DHCP server, see dhcp_is_server()
 */
struct past {
	struct past_list prefix, dns, server;
	char search[LEASE_SEARCH];
};

void past_note(struct past *p, const struct lease *old, const struct lease *l);
bool past_has(const struct past_list *list, const struct in6_addr *addr);
bool past_is_announced(const struct past *p);
void past_forget_announced(struct past *p);

#endif /* ANSWER_PAST_H */
