/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * resolvers.h - Which resolver the address of --dns-forward leads to now.
 *
 * There may be several resolvers. All traffic to ports 53 and 853 of the
 * address goes to one of them, the current one, until that fails. Then the next
 * one in the list becomes the current one, and stays it until it fails, too.
 */
#ifndef FORWARD_RESOLVERS_H
#define FORWARD_RESOLVERS_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/net.h"

/**
 * struct resolvers - The current resolvers
 * @net:	network, which has the lists of resolvers
 * @at:		for each family of the guest-visible address, index of the
 *		current resolver in @net->forward
 * @answered_at: for each family, when the current resolver last answered, ms;
 *		0: never
 * @changes:	how many times the lists have changed: an index in a list is
 *		valid as long as this is the same
 */
struct resolvers {
	const struct net *net;
	uint32_t changes;
	unsigned int at[FAMILIES];
	uint64_t answered_at[FAMILIES];
};

void resolvers_init(struct resolvers *r, const struct net *n);
unsigned int resolvers_count(const struct resolvers *r,
			     const struct in6_addr *visible, uint16_t port);
struct in6_addr resolvers_current(const struct resolvers *r,
				  const struct in6_addr *visible);
bool resolvers_has(const struct resolvers *r, const struct in6_addr *visible,
		   const struct in6_addr *real);
unsigned int resolvers_at(const struct resolvers *r,
			  const struct in6_addr *visible);
struct in6_addr resolvers_get(const struct resolvers *r,
			      const struct in6_addr *visible, unsigned int i);
struct in6_addr resolvers_after(const struct resolvers *r,
				const struct in6_addr *visible,
				const struct in6_addr *real);
void resolvers_answered(struct resolvers *r, const struct in6_addr *visible,
			const struct in6_addr *real, uint64_t now);
void resolvers_failed(struct resolvers *r, const struct in6_addr *visible,
		      const struct in6_addr *real, uint64_t since);

#endif /* FORWARD_RESOLVERS_H */
