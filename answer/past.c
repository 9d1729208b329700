// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * past.c - Compares a lease with the one before it, and remembers the entries
 * that are gone, until they come back or the guest knows that they are gone.
 */
#include <string.h>
#include <strings.h>

#include "answer/past.h"

/*
 * Lists of addresses and prefixes that are gone from the lease.
 */

static void entry_remove(struct past_list *list, const struct lease_addr *a)
{
	unsigned int i, n = 0;

	for (i = 0; i < list->n; i++) {
		if (!lease_addr_eq(&list->entry[i], a))
			list->entry[n++] = list->entry[i];
	}
	list->n = n;
}

static void entry_add(struct past_list *list, const struct lease_addr *a)
{
	const struct lease_addr oldest = list->entry[0];

	entry_remove(list, a);
	if (list->n == PAST_MAX)
		entry_remove(list, &oldest);
	list->entry[list->n++] = *a;
}

/**
 * past_has() - Whether a list has an address
 * @list:	list of addresses
 * @addr:	address
 */
bool past_has(const struct past_list *list, const struct in6_addr *addr)
{
	unsigned int i;

	for (i = 0; i < list->n; i++) {
		if (addr_eq(&list->entry[i].addr, addr))
			return true;
	}
	return false;
}

/* Gets an entry of a lease by its index; false: there is none. */
typedef bool get_entry(const struct lease *l, unsigned int i,
		       struct lease_addr *a);

/* lease_get_dns() - Get the IPv6 resolver with index @i of the router
 * advertisements */
static bool lease_get_dns(const struct lease *l, unsigned int i,
			  struct lease_addr *a)
{
	if (!l->dhcp_dns || i >= LEASE_DNS)
		return false;
	*a = (struct lease_addr){ l->dns[IP6][i], 0 };
	return !addr_is_none(&a->addr);
}

/* lease_get_server() - Get our address as DHCP server, which is the only entry,
 * with index 0 */
static bool lease_get_server(const struct lease *l, unsigned int i,
			     struct lease_addr *a)
{
	*a = (struct lease_addr){ l->router[IP4], 0 };
	return !i && !addr_is_none(&a->addr);
}

static bool lease_lists(const struct lease *l, get_entry *get,
			const struct lease_addr *wanted)
{
	struct lease_addr a;
	unsigned int i;

	for (i = 0; get(l, i, &a); i++) {
		if (lease_addr_eq(&a, wanted))
			return true;
	}
	return false;
}

/* note_entries() - Remove from @list the entries that the new lease @l has, and
 * add to it the entries that only the former lease @old has. Prefixes of 128
 * bits are never added, because router advertisements do not announce them. */
static void note_entries(struct past_list *list, get_entry *get,
			 const struct lease *old, const struct lease *l)
{
	struct lease_addr a;
	unsigned int i;

	for (i = 0; get(l, i, &a); i++)
		entry_remove(list, &a);
	for (i = 0; get(old, i, &a); i++) {
		if (a.len < 128 && !lease_lists(l, get, &a))
			entry_add(list, &a);
	}
}

/*
 * Search lists.
 */

/* lease_search() - Return the search list of the router advertisements */
static const char *lease_search(const struct lease *l)
{
	return l->dhcp_search ? l->search : "";
}

/* name_end() - Return the end of the name at the start of a list */
static const char *name_end(const char *list)
{
	return list + strcspn(list, " ");
}

/* name_next() - Return the name after the one at the start of a list */
static const char *name_next(const char *list)
{
	list = name_end(list);
	return list + strspn(list, " ");
}

/* name_len() - Return the length of the name at the start of a list, without a
 * final dot */
static size_t name_len(const char *list)
{
	size_t len = (size_t)(name_end(list) - list);

	return len && list[len - 1] == '.' ? len - 1 : len;
}

/* name_find() - Find a name in a list; NULL: it is not there */
static const char *name_find(const char *list, const char *name)
{
	size_t len = name_len(name);

	for (; *list; list = name_next(list)) {
		if (name_len(list) == len && !strncasecmp(list, name, len))
			return list;
	}
	return NULL;
}

/* name_remove() - Remove a name from a list, if it is there */
static void name_remove(char list[LEASE_SEARCH], const char *name)
{
	const char *found = name_find(list, name), *next;
	size_t at;

	if (!found)
		return;
	at = (size_t)(found - list);
	next = name_next(found);
	memmove(list + at, next, strlen(next) + 1);
	at = strlen(list);
	if (at && list[at - 1] == ' ')
		list[at - 1] = '\0';
}

/* name_add() - Append a name to a list. If there is no space, the first names
 * of the list are removed. */
static void name_add(char list[LEASE_SEARCH], const char *name)
{
	size_t len = name_len(name), at;

	if (!len)
		return;
	name_remove(list, name);
	while (*list && strlen(list) + 1 + len >= LEASE_SEARCH)
		memmove(list, name_next(list), strlen(name_next(list)) + 1);
	at = strlen(list);
	if (at)
		list[at++] = ' ';
	memcpy(list + at, name, len);
	list[at + len] = '\0';
}

/* note_search() - Remove from @list the names that are in @l, and add to it the
 * names that are only in @old */
static void note_search(char list[LEASE_SEARCH], const char *old, const char *l)
{
	const char *name;

	for (name = l; *name; name = name_next(name))
		name_remove(list, name);
	for (name = old; *name; name = name_next(name)) {
		if (!name_find(l, name))
			name_add(list, name);
	}
}

/**
 * past_note() - Remember the entries that are gone from the lease, and forget
 *		those that have come back
 * @p:		entries that are remembered; updated
 * @old:	lease that was in force before
 * @l:		lease that is in force now
 */
void past_note(struct past *p, const struct lease *old, const struct lease *l)
{
	note_entries(&p->prefix, lease_prefix, old, l);
	note_entries(&p->dns, lease_get_dns, old, l);
	note_entries(&p->server, lease_get_server, old, l);
	note_search(p->search, lease_search(old), lease_search(l));
}

/**
 * past_is_announced() - Whether router advertisements had announced one of the
 *		entries that are gone
 * @p:		entries that are remembered
 */
bool past_is_announced(const struct past *p)
{
	return p->prefix.n || p->dns.n || *p->search;
}

/**
 * past_forget_announced() - Forget the entries that router advertisements had
 *		announced, because the guest has been told that they are gone
 * @p:		entries that are remembered
 */
void past_forget_announced(struct past *p)
{
	p->prefix.n = 0;
	p->dns.n = 0;
	p->search[0] = '\0';
}
