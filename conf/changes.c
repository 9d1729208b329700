// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * changes.c - Logs what has changed in the network of the guest, because the
 * host's network has changed: one line for each value that differs, with the
 * old value and the new one.
 */
#include <stdio.h>
#include <string.h>

#include "conf/summary.h"
#include "log.h"

#define LIST_STRLEN	(LEASE_DNS * (ADDR_STRLEN + sizeof("/128, ")))

static const char *const family_name[FAMILIES] = {
	[IP4] = "IPv4", [IP6] = "IPv6",
};

/* print_change() - Log a line, unless the value is the same as before */
static void print_change(const char *family, const char *what,
			 const char *before, const char *after)
{
	if (strcmp(before, after))
		info("The host has changed: %s%s%s %s -> %s", family,
		     *family ? " " : "", what, *before ? before : "none",
		     *after ? after : "none");
}

/* append_item() - Append a text to a list, with a comma before it unless the
 * list is empty */
static void append_item(char list[LIST_STRLEN], const char *text)
{
	size_t used = strlen(list);

	snprintf(list + used, LIST_STRLEN - used, "%s%s", used ? ", " : "",
		 text);
}

static const char *list_addrs(const struct lease *l, enum ip_family f,
			      char list[LIST_STRLEN])
{
	char text[ADDR_STRLEN], prefix[ADDR_STRLEN + sizeof("/128")];
	struct lease_addr a;
	unsigned int i;

	*list = '\0';
	for (i = 0; lease_addr(l, f, i, &a); i++) {
		snprintf(prefix, sizeof(prefix), "%s/%u",
			 addr_str(&a.addr, text), a.len);
		append_item(list, prefix);
	}
	return list;
}

static const char *list_dns(const struct in6_addr dns[LEASE_DNS],
			    char list[LIST_STRLEN])
{
	char text[ADDR_STRLEN];
	unsigned int i;

	*list = '\0';
	for (i = 0; i < LEASE_DNS && !addr_is_none(&dns[i]); i++)
		append_item(list, addr_str(&dns[i], text));
	return list;
}

static void print_family(const struct net *old, const struct net *new,
			 enum ip_family f)
{
	const struct lease *a = &old->lease, *b = &new->lease;
	char x[LIST_STRLEN], y[LIST_STRLEN];
	const char *name = family_name[f];

	print_change(name, "interface", old->ifname[f], new->ifname[f]);
	print_change(name, "address", list_addrs(a, f, x), list_addrs(b, f, y));
	print_change(name, "gateway", addr_str(&old->gateway[f], x),
		     addr_str(&new->gateway[f], y));
	print_change(name, "DNS", list_dns(a->dns[f], x),
		     list_dns(b->dns[f], y));
}

/**
 * net_print_changes() - Log the values that differ in the network of the guest
 * @old, @new:	network before and after a change of the host
 */
void net_print_changes(const struct net *old, const struct net *new)
{
	enum ip_family f;

	for (f = IP4; f < FAMILIES; f++) {
		if (old->use[f] || new->use[f])
			print_family(old, new, f);
	}
	print_change("", "search", old->lease.search, new->lease.search);
}
