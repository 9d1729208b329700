// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * resolvers.c - Which resolver the address of --dns-forward leads to now, and
 * the change to the next one when it fails. In all functions, @visible is the
 * guest-visible address, and @real the real address of a resolver.
 */
#include "forward/nat.h"
#include "forward/resolvers.h"

/* resolvers_init() - Begin with the first resolver of each list; call this
 * again when the lists in @n have changed. Before the first call, @r is zero */
void resolvers_init(struct resolvers *r, const struct net *n)
{
	*r = (struct resolvers){ .net = n, .changes = r->changes + 1 };
}

/* list_len() - Return the number of resolvers for a guest-visible address */
static unsigned int list_len(const struct resolvers *r, enum ip_family f)
{
	unsigned int n = 0;

	while (n < LEASE_DNS && !addr_is_none(&r->net->forward[f][n]))
		n++;
	return n;
}

/* list_find() - Return the index of a resolver, or the length of the list if it
 * is not there */
static unsigned int list_find(const struct resolvers *r, enum ip_family f,
			      const struct in6_addr *real)
{
	unsigned int i, n = list_len(r, f);

	for (i = 0; i < n && !addr_eq(&r->net->forward[f][i], real); i++)
		;
	return i;
}

/**
 * resolvers_count() - Count the resolvers that traffic from the guest may go to
 * @port:	destination port
 *
 * Return: number of resolvers; 0: this address or port does not lead to
 *	   resolvers
 */
unsigned int resolvers_count(const struct resolvers *r,
			     const struct in6_addr *visible, uint16_t port)
{
	return nat_by_port(r->net, visible, port) ?
	       list_len(r, addr_ip(visible)) : 0;
}

/* resolvers_current() - Return the current resolver for an address that leads
 * to at least one */
struct in6_addr resolvers_current(const struct resolvers *r,
				  const struct in6_addr *visible)
{
	enum ip_family f = addr_ip(visible);

	return r->net->forward[f][r->at[f]];
}

/* resolvers_at() - Return the index of the current resolver in its list */
unsigned int resolvers_at(const struct resolvers *r,
			  const struct in6_addr *visible)
{
	return r->at[addr_ip(visible)];
}

/* resolvers_get() - Return the resolver with index @i, for an address that
 * leads to at least one; the first one follows the last one */
struct in6_addr resolvers_get(const struct resolvers *r,
			      const struct in6_addr *visible, unsigned int i)
{
	enum ip_family f = addr_ip(visible);

	return r->net->forward[f][i % MAX(list_len(r, f), 1)];
}

/* resolvers_has() - Whether a resolver is in the list */
bool resolvers_has(const struct resolvers *r, const struct in6_addr *visible,
		   const struct in6_addr *real)
{
	enum ip_family f = addr_ip(visible);

	return list_find(r, f, real) < list_len(r, f);
}

/* resolvers_after() - Return the resolver to ask after @real has failed. It is
 * the first one after the last one, or if @real is not in the list any more */
struct in6_addr resolvers_after(const struct resolvers *r,
				const struct in6_addr *visible,
				const struct in6_addr *real)
{
	enum ip_family f = addr_ip(visible);
	unsigned int i = list_find(r, f, real) + 1;

	return r->net->forward[f][i < list_len(r, f) ? i : 0];
}

/* is_current() - Whether a resolver is the current one */
static bool is_current(const struct resolvers *r, enum ip_family f,
		       const struct in6_addr *real)
{
	return addr_eq(&r->net->forward[f][r->at[f]], real);
}

/* resolvers_answered() - Note that a resolver has answered now */
void resolvers_answered(struct resolvers *r, const struct in6_addr *visible,
			const struct in6_addr *real, uint64_t now)
{
	enum ip_family f = addr_ip(visible);

	if (is_current(r, f, real))
		r->answered_at[f] = now;
}

/**
 * resolvers_failed() - Note that a resolver has not answered a query
 * @since:	when the query was sent, ms
 *
 * If the current resolver has answered nothing since then, the next one becomes
 * the current one. A resolver that answers other queries is slow with one
 * domain, and stays.
 */
void resolvers_failed(struct resolvers *r, const struct in6_addr *visible,
		      const struct in6_addr *real, uint64_t since)
{
	enum ip_family f = addr_ip(visible);

	if (!is_current(r, f, real) ||
	    (r->answered_at[f] && r->answered_at[f] >= since))
		return;
	r->at[f] = r->at[f] + 1 < list_len(r, f) ? r->at[f] + 1 : 0;
	r->answered_at[f] = 0;
}
