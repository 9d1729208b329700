// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * past.c - Tests of passt's list of entries that are gone from a changed lease:
 * which of them it remembers, and which it forgets.
 */
#include "../../answer/past.c"
#include "test/unit/addr.h"

static struct past p;
static struct lease now;

/* begins() - Let a guest connect, whose lease has only a search list */
static void begins(const char *search)
{
	p = (struct past){ .search = "" };
	now = (struct lease){ .dhcp_dns = true, .dhcp_search = true };
	snprintf(now.search, sizeof(now.search), "%s", search);
}

/* becomes() - Replace the search list of the lease; return the names that are
 * remembered as gone */
static const char *becomes(const char *search)
{
	struct lease old = now;

	snprintf(now.search, sizeof(now.search), "%s", search);
	past_note(&p, &old, &now);
	return p.search;
}

static void test_search(void)
{
	begins("a.example b.example c.example");
	check_str("the same list: nothing is gone",
		    becomes("a.example b.example c.example"), "");
	check_str("nor in another order",
		    becomes("c.example a.example b.example"), "");
	check_str("nor in other letters, or with a final dot",
		    becomes("C.Example a.example. b.example"), "");
	check_str("the first name is gone", becomes("a.example b.example"),
		    "C.Example");
	check_str("then the last", becomes("a.example"), "C.Example b.example");
	check_str("a name that is the end of another is another",
		    becomes("example"), "C.Example b.example a.example");
	check_str("one is back", becomes("b.example example"),
		    "C.Example a.example");
	check_str("the others, too", becomes("a.example c.example"),
		    "b.example example");
	check_str("a list of none", becomes(""),
		    "b.example example a.example c.example");
	check_str("and all back", becomes("example b.example c.example "
		    "a.example"), "");
}

/* Given that more names are gone than the list of remembered names has space
 * for, then the oldest are forgotten. */
static void test_long_search(void)
{
	char want[2 * LEASE_SEARCH], longest[LEASE_SEARCH], name[64];

	begins("first second");
	becomes("second");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	check_str("a list of one name", becomes(longest), "first second");
	check_str("as long as can be: it is the only one", becomes("a"),
		    longest);
	check_str("until another is gone", becomes("b"), "a");

	snprintf(name, sizeof(name), "%060u", 1);
	becomes(name);
	snprintf(longest, sizeof(longest), "%063u.%063u.%063u", 2, 3, 4);
	snprintf(want, sizeof(want), "a b %s", name);
	check_str("two names that fit", becomes(longest), want);
	snprintf(want, sizeof(want), "b %s %s", name, longest);
	check_str("with a third, all but the first fit", becomes(""), want);
	check_eq("and fill the list", strlen(p.search), LEASE_SEARCH - 2);
}

static void test_off(void)
{
	struct lease old;

	begins("a.example");
	now.dns[IP6][0] = addr("2001:db8::53");
	old = now;
	now.dhcp_search = now.dhcp_dns = false;
	past_note(&p, &old, &now);
	check_str("if no search list is announced any more, it is gone",
		    p.search, "a.example");
	check("and so are resolvers", p.dns.n == 1 && past_is_announced(&p));
	past_note(&p, &now, &old);
	check("until they are announced again", !past_is_announced(&p));
}

/* changes_resolver() - Replace the only resolver of the lease */
static void changes_resolver(unsigned int n)
{
	struct lease old = now;

	now.dns[IP6][0] = addr("2001:db8:53::");
	now.dns[IP6][0].s6_addr[15] = (uint8_t)n;
	past_note(&p, &old, &now);
}

static bool has_resolver(unsigned int n)
{
	struct in6_addr a = addr("2001:db8:53::");

	a.s6_addr[15] = (uint8_t)n;
	return past_has(&p.dns, &a);
}

static void test_bound(void)
{
	unsigned int i;

	begins("");
	for (i = 1; i <= PAST_MAX + 1; i++)
		changes_resolver(i);
	check("eight resolvers are remembered",
	      p.dns.n == 8 && has_resolver(1) && has_resolver(8));
	check("not the one that is in use", !has_resolver(9));
	changes_resolver(10);
	check("with one more, the oldest is forgotten",
	      p.dns.n == 8 && !has_resolver(1) && has_resolver(9));
	changes_resolver(5);
	check("one that is back in the middle is forgotten", p.dns.n == 8 &&
	      !has_resolver(5) && has_resolver(4) && has_resolver(6));
	changes_resolver(11);
	check("when it is gone again, it is the youngest",
	      addr_eq(&p.dns.entry[7].addr, &(struct in6_addr){
	      .s6_addr = { 0x20, 1, 0xd, 0xb8, 0, 0x53, [15] = 5 } }));
	past_forget_announced(&p);
	check("all can be forgotten", !p.dns.n && !past_is_announced(&p));
}

static void test_prefixes(void)
{
	struct lease old;

	begins("");
	now.addr[IP6] = addr("2001:db8:1::15");
	now.len[IP6] = 64;
	now.more[IP6][0] = addr("2001:db8:1::16");
	now.more_len[IP6][0] = 64;
	now.more[IP6][1] = addr("2001:db8:2::16");
	now.more_len[IP6][1] = 128;
	old = now;
	now.more[IP6][0] = now.more[IP6][1] = ADDR_NONE;
	past_note(&p, &old, &now);
	check_eq("of an address that is gone, the prefix may remain",
		 p.prefix.n, 0);
	old = now;
	now.len[IP6] = 56;
	past_note(&p, &old, &now);
	check("a prefix of another length is another", p.prefix.n == 1 &&
	      p.prefix.entry[0].len == 64);
	past_note(&p, &now, &old);
	check("which may come back", p.prefix.n == 1 &&
	      p.prefix.entry[0].len == 56);
}

int main(void)
{
	test_search();
	test_long_search();
	test_off();
	test_bound();
	test_prefixes();
	return unit_end();
}
