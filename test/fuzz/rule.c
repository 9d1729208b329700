// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * rule.c - libFuzzer target: whatever the values of -t and -u are, passt either
 * refuses them with a message and changes nothing, or makes rules that are
 * possible. Each rule, written as a value, gives the same rule again. passt
 * refuses rules that contradict each other exactly if a slow and simple model
 * finds a port that the kernel would not bind for both.
 *
 * Each line of an input is a value. Values of -t begin with t, all others are
 * of -u. While a value that begins with ! is parsed, memory runs out once.
 * To be fast, this target has ports up to PORT_MAX only, and sets of RULES_MAX
 * rules at most.
 */
#include <stdio.h>
#include <stdlib.h>

#include "forward/rule.h"
#include "ip.h"

#define PORT_MAX	255
#define RULES_MAX	100

/* The next call that allocates memory for a set of rules fails. */
static bool no_memory;

static void *get_memory(void *old, size_t size)
{
	bool fails = no_memory;

	no_memory = false;
	return fails ? NULL : realloc(old, size);
}

static void *get_zeroed(size_t size)
{
	void *p = get_memory(NULL, size);

	return p ? memset(p, 0, size) : NULL;
}

#undef RULE_SET_MAX
#define RULE_SET_MAX	RULES_MAX
#define realloc(p, size)	get_memory(p, size)
#define calloc(n, size)	get_zeroed((n) * (size))
#include "../../forward/rule_set.c"
#undef realloc
#undef calloc

/* Ephemeral ports of the fake kernel. */
static char ephemeral[] = "200 220\n";

#undef IP_PORT_MAX
#define IP_PORT_MAX	PORT_MAX
#define fopen(...)	fmemopen(ephemeral, sizeof(ephemeral) - 1, "r")
#include "../../forward/rule.c"
#undef fopen

#include "test/fuzz/fuzz.h"

#define VALUES	6	/* limit for values in an input, for speed */

UNCOUNTED

/* check_rule() - Check that a rule is possible */
static void check_rule(const struct rule *r, uint8_t proto)
{
	const struct rule_ends *e = &r->ends;

	MUST(r->proto == proto);
	MUST(r->first && r->first <= r->last && r->last <= PORT_MAX);
	MUST(r->to && r->to + (r->last - r->first) <= PORT_MAX);
	MUST(memchr(e->ifname, '\0', sizeof(e->ifname)));
	MUST(!strpbrk(e->ifname, "/: \t\n"));
	MUST(addr_is_none(&e->target) || addr_is_unicast(&e->target));
	MUST(addr_is_none(&e->target) ||
	     rule_families(e) == (addr_is_v4(&e->target) ? RULE_V4 : RULE_V6));
	MUST(!e->any6 || addr_is_none(&e->addr));
	MUST(!addr_is_linklocal(&e->addr) || addr_is_v4(&e->addr) ||
	     *e->ifname);
	/* 'all' leaves out ephemeral ports. */
	MUST(!r->best_effort || r->last < 200 || r->first > 220);
	MUST(!r->best_effort || r->first == r->to);
}

/* write_target() - Write the guest's address of a rule, with a slash after it;
 * an IPv6 address is in brackets */
static void write_target(const struct in6_addr *a, char *buf, size_t size)
{
	char text[ADDR_STRLEN];
	bool v4 = addr_is_v4(a);

	*buf = '\0';
	if (!addr_is_none(a))
		snprintf(buf, size, "%s%s%s/", v4 ? "" : "[", addr_str(a, text),
			 v4 ? "" : "]");
}

/* write_rule() - Write a rule as a value that names its ports */
static void write_rule(const struct rule *r, char *buf, size_t size)
{
	const struct rule_ends *e = &r->ends;
	char addr[ADDR_STRLEN] = "*", target[ADDR_STRLEN + 3];

	if (!addr_is_none(&e->addr) || e->any6)
		addr_str(&e->addr, addr);
	write_target(&e->target, target, sizeof(target));
	snprintf(buf, size, "%s%s%s/%u-%u:%s%u-%u", addr, *e->ifname ? "%" : "",
		 e->ifname, r->first, r->last, target, r->to,
		 r->to + r->last - r->first);
}

/* check_again() - Check that a rule, written as a value, gives the same rule */
static void check_again(const struct rule *r)
{
	struct rule_set again = { 0 };
	struct rule want = *r;
	struct rule_set one = { &want, 1 };
	char value[256], why[256] = "";

	want.best_effort = false;
	write_rule(r, value, sizeof(value));
	MUST(!rule_set_parse(&again, r->proto, value, why, sizeof(why)));
	MUST(rule_set_equal(&one, &again));
	rule_set_free(&again);
}

/* check_value() - Parse a value after the rules that are in the set already;
 * returns whether passt accepts it */
static bool check_value(struct rule_set *s, uint8_t proto, const char *value)
{
	struct rule_set before = *s;
	char why[256] = "";
	bool lacks = *value == '!';
	unsigned int i;
	int rc;

	no_memory = lacks;
	rc = rule_set_parse(s, proto, value + lacks, why, sizeof(why));
	MUST(!lacks || no_memory || rc);
	no_memory = false;
	MUST(!rc == !*why && memchr(why, '\0', sizeof(why)));
	MUST(s->n <= RULES_MAX);
	MUST(!rc || s->n == before.n);
	for (i = before.n; i < s->n; i++)
		check_rule(&s->rules[i], proto);
	for (i = before.n; i < s->n && i < before.n + 4; i++)
		check_again(&s->rules[i]);
	return !rc;
}

/* contradict() - Whether two named rules have a port in common that the kernel
 * would not bind for both */
static bool contradict(const struct rule *a, const struct rule *b)
{
	unsigned int port;

	if (a->best_effort || b->best_effort || a->proto != b->proto ||
	    !rule_overlap(&a->ends, &b->ends))
		return false;
	MUST(rule_overlap(&b->ends, &a->ends));
	for (port = a->first; port <= a->last; port++)
		if (port >= b->first && port <= b->last)
			return true;
	return false;
}

/* check_set() - Check what passt says about the whole set */
static void check_set(const struct rule_set *s)
{
	struct rule_set fewer = { s->rules, s->n - 1 };
	bool wrong = false;
	char why[256] = "";
	unsigned int i, j;

	for (i = 0; i < s->n && !wrong; i++)
		for (j = i + 1; j < s->n && !wrong; j++)
			wrong = contradict(&s->rules[i], &s->rules[j]);
	MUST(!rule_set_check(s, why, sizeof(why)) == !wrong);
	MUST(wrong == (*why != '\0'));
	no_memory = true;
	MUST(rule_set_check(s, why, sizeof(why)) && !no_memory);
	MUST(rule_set_equal(s, s));
	MUST(!s->n || !rule_set_equal(s, &fewer));
}

/* check_read() - Check that rule_set_read() agrees with the values one by one:
 * if it accepts all values, it makes the same set */
static void check_read(const char *const *tcp, const char *const *udp,
		       const struct rule_set *want, bool all)
{
	struct rule_set s = { 0 };
	struct rule_error e = { 0 };
	int rc = rule_set_read(&s, tcp, udp, &e);

	MUST(rc ? *e.why && e.option : all);
	MUST(rc || rule_set_equal(&s, want));
	rule_set_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const char *value[2][VALUES + 1] = { { NULL }, { NULL } };
	char *line[VALUES] = { NULL };
	struct rule_set s = { 0 };
	unsigned int n[2] = { 0, 0 }, i, u;
	bool all = true;

	for (i = 0; i < VALUES && in.left; i++) {
		line[i] = take_string(&in);
		u = *line[i] != 't';
		value[u][n[u]++] = line[i] + (*line[i] != '\0');
	}
	for (u = 0; u < 2; u++) {
		for (i = 0; i < n[u]; i++)
			all &= check_value(&s, u ? IPPROTO_UDP : IPPROTO_TCP,
					   value[u][i]);
	}
	check_set(&s);
	check_read(value[0], value[1], &s, all);
	rule_set_free(&s);
	for (i = 0; i < VALUES; i++)
		free(line[i]);
	return 0;
}

COUNTED
