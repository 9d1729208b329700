// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * resolvers.c - Tests of the choice among the resolvers of --dns-forward.
 */
#include "../../forward/resolvers.c"
#include "test/unit/addr.h"
#include "test/unit/net.h"
#include "test/unit/unit.h"

#define VIA4	"192.0.2.53"
#define VIA6	"2001:db8::53"

static const struct in6_addr none;
static struct net n;
static struct resolvers r;
static struct in6_addr via4, via6, a, b, c, six;

/* set_up() - Make a network in which VIA4 leads to three resolvers, and VIA6 to
 * one */
static void set_up(void)
{
	via4 = addr(VIA4);
	via6 = addr(VIA6);
	a = addr("203.0.113.1");
	b = addr("203.0.113.2");
	c = addr("127.0.0.53");
	six = addr("2001:db8::1");
	n = (struct net){ .forward = { { a, b, c }, { six } } };
	net_put_pair(&n, VIA4, "203.0.113.1", NAT_DNS_PORTS);
	net_put_pair(&n, VIA6, "2001:db8::1", NAT_DNS_PORTS);
	resolvers_init(&r, &n);
}

static bool is_now(const struct in6_addr *visible, const struct in6_addr *want)
{
	struct in6_addr now = resolvers_current(&r, visible);

	return addr_eq(&now, want);
}

static bool follows(const struct in6_addr *before, const struct in6_addr *want)
{
	struct in6_addr next = resolvers_after(&r, &via4, before);

	return addr_eq(&next, want);
}

/* Given lists of resolvers, then each address has its own list, for the ports
 * of DNS only. */
static void story_lists(void)
{
	struct in6_addr got;

	set_up();
	check_eq("three for IPv4", resolvers_count(&r, &via4, 53), 3);
	check_eq("also by TLS", resolvers_count(&r, &via4, 853), 3);
	check_eq("one for IPv6", resolvers_count(&r, &via6, 53), 1);
	check_eq("none for another port", resolvers_count(&r, &via4, 80), 0);
	check_eq("none for another address", resolvers_count(&r, &a, 53), 0);
	check("the first of each", is_now(&via4, &a) && is_now(&via6, &six));
	check("one after the other", follows(&a, &b) && follows(&b, &c));
	check("the first follows the last, and one that is gone",
	      follows(&c, &a) && follows(&none, &a));
	check("whether a list has one", resolvers_has(&r, &via4, &c) &&
					!resolvers_has(&r, &via6, &c));
	got = resolvers_get(&r, &via4, 4);
	check("by index, and round", addr_eq(&got, &b));
}

/* Given a resolver that fails, then the next one is the current one, unless the
 * resolver has answered since, or was not the current one. */
static void story_failures(void)
{
	set_up();
	resolvers_failed(&r, &via4, &b, 100);
	check("another one fails: no change", is_now(&via4, &a));
	resolvers_answered(&r, &via4, &a, 200);
	resolvers_failed(&r, &via4, &a, 200);
	check("it has answered since: no change", is_now(&via4, &a));
	resolvers_answered(&r, &via4, &b, 300);
	resolvers_failed(&r, &via4, &a, 201);
	check("it has not: the next one", is_now(&via4, &b));
	check_eq("by its index", resolvers_at(&r, &via4), 1);
	resolvers_failed(&r, &via4, &b, 200);
	check("an answer of the one before does not count", is_now(&via4, &c));
	resolvers_failed(&r, &via4, &c, 200);
	check("and the first again", is_now(&via4, &a));
	resolvers_failed(&r, &via6, &six, 200);
	check("the only one stays", is_now(&via6, &six));
	check("one family does not change the other", is_now(&via4, &a));
}

/* Given a list that is empty, then nothing fails. */
static void story_empty(void)
{
	set_up();
	memset(n.forward, 0, sizeof(n.forward));
	resolvers_failed(&r, &via4, &a, 0);
	check_eq("no resolver", resolvers_count(&r, &via4, 53), 0);
	check("current", is_now(&via4, &none));
	check("after another", follows(&a, &none));
}

int main(void)
{
	story_lists();
	story_failures();
	story_empty();
	return unit_end();
}
