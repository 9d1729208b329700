// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * rule_set.c - Makes, compares and checks sets of rules, without a socket.
 *
 * Two named rules contradict each other if the kernel would not bind a socket
 * for each of them. That is so if they have a protocol and a port in common,
 * and rule_overlap() is true for their addresses and interfaces.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forward/rule.h"

/**
 * rule_proto_name() - Return the name of a protocol, for messages
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 *
 * Return: 'TCP' or 'UDP', constant
 */
const char *rule_proto_name(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "TCP" : "UDP";
}

/**
 * rule_port_str() - Write the name of a port of a rule, for messages: 'TCP port
 * 22 of 192.0.2.1%eth0'
 * @r:		rule
 * @port:	one of the rule's host ports
 * @buf:	filled with the name
 *
 * Return: @buf
 */
const char *rule_port_str(const struct rule *r, uint16_t port,
			  char buf[RULE_PORT_STRLEN])
{
	const struct rule_ends *e = &r->ends;
	bool any = addr_is_none(&e->addr) && !e->any6;
	char addr[ADDR_STRLEN] = "";

	snprintf(buf, RULE_PORT_STRLEN, "%s port %u%s%s%s%s",
		 rule_proto_name(r->proto), port,
		 any && !*e->ifname ? "" : " of ",
		 any ? "" : addr_str(&e->addr, addr), *e->ifname ? "%" : "",
		 e->ifname);
	return buf;
}

/**
 * rule_families() - Find the address families that a rule's sockets serve
 * @e:		address, interface and target of the rule
 *
 * A rule with an address, which may be 0.0.0.0 or '::', or with a target, is
 * for the family of that address or target: passt does not translate between
 * families. A rule with neither is for both families.
 *
 * Return: RULE_V4, RULE_V6, or both
 */
unsigned int rule_families(const struct rule_ends *e)
{
	const struct in6_addr *a = addr_is_none(&e->addr) ? &e->target :
							    &e->addr;

	if (addr_is_none(a))
		return e->any6 ? RULE_V6 : RULE_V4 | RULE_V6;
	return addr_is_v4(a) ? RULE_V4 : RULE_V6;
}

/**
 * rule_same_binding() - Whether two rules of one protocol have the same binding
 * @a, @b:	address, interface and target of each rule
 *
 * A socket that is bound for one rule can also be used for another rule with
 * the same binding.
 *
 * Return: true if address, interface and families are the same; the targets may
 *	   differ
 */
bool rule_same_binding(const struct rule_ends *a, const struct rule_ends *b)
{
	return addr_eq(&a->addr, &b->addr) && !strcmp(a->ifname, b->ifname) &&
	       rule_families(a) == rule_families(b);
}

/* Whether an address to bind to means all addresses: ADDR_NONE or 0.0.0.0 */
static bool is_wildcard(const struct in6_addr *a)
{
	struct in6_addr any4 = addr_from_v4((struct in_addr){ INADDR_ANY });

	return addr_is_none(a) || addr_eq(a, &any4);
}

/**
 * rule_overlap() - Whether the kernel refuses to bind one port for both rules
 * @a, @b:	address, interface and target of two rules of one protocol
 *
 * The kernel decides in inet_bind_conflict() of net/ipv4/inet_connection_sock.c
 * for TCP, and in udp_lib_lport_inuse() of net/ipv4/udp.c for UDP. This
 * function checks the conditions that these two check for sockets that do not
 * share ports.
 *
 * Return: true if a port can't be bound for one rule while it is bound for the
 *	   other
 */
bool rule_overlap(const struct rule_ends *a, const struct rule_ends *b)
{
	if (*a->ifname && *b->ifname && strcmp(a->ifname, b->ifname))
		return false;
	if (!(rule_families(a) & rule_families(b)))
		return false;
	return is_wildcard(&a->addr) || is_wildcard(&b->addr) ||
	       addr_eq(&a->addr, &b->addr);
}

/**
 * rule_set_add() - Append a rule to a set
 * @s:		set
 * @r:		rule, copied
 * @why:	on failure, set to an error message
 * @size:	bytes that @why has space for
 *
 * Return: 0, or -1 if the set has RULE_SET_MAX rules or memory ran out
 */
int rule_set_add(struct rule_set *s, const struct rule *r, char *why,
		 size_t size)
{
	if (s->n == RULE_SET_MAX) {
		snprintf(why, size, "more than %d ranges of ports in all",
			 RULE_SET_MAX);
		return -1;
	}

	/* The array is full if the number of rules is 0 or a power of two. Its
	 * size then doubles. */
	if (!(s->n & (s->n - 1))) {
		size_t n = MAX(1, 2 * (size_t)s->n);
		void *rules = realloc(s->rules, n * sizeof(*s->rules));

		if (!rules) {
			snprintf(why, size, "out of memory");
			return -1;
		}
		s->rules = rules;
	}

	s->rules[s->n++] = *r;
	return 0;
}

/* Compare two rules for sort_array(): by protocol, then by first port, then by
 * place in the rule set */
static int compare_first(const void *a, const void *b)
{
	const struct rule *x = *(const struct rule *const *)a;
	const struct rule *y = *(const struct rule *const *)b;

	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (x > y) - (x < y);
}

/* Write the error message for two named rules that overlap; returns -1 */
static int refuse_overlap(const struct rule *a, const struct rule *b, char *why,
			  size_t size)
{
	char one[RULE_PORT_STRLEN], other[RULE_PORT_STRLEN];
	uint16_t port = MAX(a->first, b->first);

	rule_port_str(a, port, one);
	rule_port_str(b, port, other);
	if (!strcmp(one, other))
		snprintf(why, size, "%s is given twice: give it once", one);
	else
		snprintf(why, size, "%s and %s overlap: give one of them", one,
			 other);
	return -1;
}

/* Check that no named rules overlap; @r is sorted by compare_first(). Returns
 * 0, or -1 after writing an error message */
static int check_sorted(const struct rule *const *r, unsigned int n, char *why,
			size_t size)
{
	unsigned int i, j;

	for (i = 0; i < n; i++) {
		for (j = i + 1; j < n && r[j]->proto == r[i]->proto &&
		     r[j]->first <= r[i]->last; j++) {
			if (rule_overlap(&r[i]->ends, &r[j]->ends))
				return refuse_overlap(r[i], r[j], why, size);
		}
	}

	return 0;
}

/**
 * rule_set_check() - Refuse a set with rules that contradict each other
 * @s:		set
 * @why:	on failure, set to what is wrong, and what would be right
 * @size:	bytes that @why has space for
 *
 * A rule that is best effort contradicts no other rule: if a named rule has the
 * same port, the named rule gets the port.
 *
 * Return: 0, or -1 if two named rules overlap in a port or memory ran out
 */
int rule_set_check(const struct rule_set *s, char *why, size_t size)
{
	const struct rule **named = calloc(MAX(1, s->n), sizeof(*named));
	unsigned int i, n = 0;
	int rc;

	if (!named) {
		snprintf(why, size, "out of memory");
		return -1;
	}

	for (i = 0; i < s->n; i++) {
		if (!s->rules[i].best_effort)
			named[n++] = &s->rules[i];
	}
	sort_array(named, n, sizeof(*named), compare_first);
	rc = check_sorted(named, n, why, size);
	free(named);
	return rc;
}

static bool same_rule(const struct rule *a, const struct rule *b)
{
	return a->proto == b->proto && a->best_effort == b->best_effort &&
	       a->first == b->first && a->last == b->last && a->to == b->to &&
	       rule_same_binding(&a->ends, &b->ends) &&
	       addr_eq(&a->ends.target, &b->ends.target);
}

/**
 * rule_set_equal() - Whether two sets have the same rules, in the same order
 * @a, @b:	sets
 *
 * Return: true if both sets are equal
 */
bool rule_set_equal(const struct rule_set *a, const struct rule_set *b)
{
	unsigned int i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n && same_rule(&a->rules[i], &b->rules[i]); i++)
		;
	return i == a->n;
}

/**
 * rule_set_free() - Free the memory of a set
 * @s:		set; empty afterwards
 */
void rule_set_free(struct rule_set *s)
{
	free(s->rules);
	*s = (struct rule_set){ 0 };
}
