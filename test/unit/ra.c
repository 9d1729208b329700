// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * ra.c - Tests of router advertisements: their content, and when they are sent.
 */
#include "../../answer/ra.c"
#include "test/unit/answer.h"
#include "test/unit/icmp6.h"

#define L3		14
#define L4		(14 + 40)

static bool deliver(struct world *w, const struct pkt *pkt)
{
	return ndp_from_guest(&w->answer, pkt, w->now);
}

static const uint8_t ra_want[] = {
	64, 0xc0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0,
	1, 1, 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55,
	3, 4, 64, 0xc0, 0, 0x27, 0x8d, 0, 0, 9, 0x3a, 0x80, 0, 0, 0, 0,
	0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	5, 1, 0, 0, 0, 0, 0xff, 0xf0,
	25, 5, 0, 0, 0, 0, 0x07, 0x08,
	0x20, 1, 0x0d, 0xb8, 0, 0x53, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	0x20, 1, 0x0d, 0xb8, 0, 0x53, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
	31, 5, 0, 0, 0, 0, 0x07, 0x08,
	7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'c', 'o', 'm', 0,
	3, 'l', 'a', 'b', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e',
	3, 'c', 'o', 'm', 0, 0, 0,
};

static void story_router(struct world *w)
{
	struct in6_addr us = addr("fe80::1"), to = addr(GUEST_LL);
	const uint8_t *f;
	size_t len;

	solicit_router(w, GUEST_LL);
	f = gets_nth(w, 0, &len);
	if (!check_eq("RS: one RA", w->mem.nsent, 1) ||
	    !check_eq("RA has its length", len, L4 + 4 + sizeof(ra_want)))
		return;
	check("RA is one", f[L4] == 134 && !f[L4 + 1]);
	check_eq("RA has hop limit 255", f[L3 + 7], 255);
	check_mem("RA comes from our link-local address", f + L3 + 8, &us, 16);
	check_mem("RA goes to the sender of the RS", f + L3 + 24, &to, 16);
	check_mem("RA: MAC, prefix, MTU, resolvers, search list", f + L4 + 4,
		  ra_want, sizeof(ra_want));
	check("RA has the right checksum", checksum_right(f, len));

	solicit_router(w, "::");
	f = gets_nth(w, 0, &len);
	to = addr("ff02::1");
	if (check("RS without source gets an RA, too", f))
		check_mem("which goes to all nodes", f + L3 + 24, &to, 16);
}

/* ra_option() - Send a router solicitation, and find an option in the reply;
 * NULL: the reply does not have it */
static const uint8_t *ra_option(struct world *w, uint8_t code)
{
	const uint8_t *f;
	size_t len, at;

	solicit_router(w, GUEST_LL);
	f = gets_nth(w, 0, &len);
	for (at = L4 + 16; at + 8 <= len && f[at + 1]; at += f[at + 1] * 8U) {
		if (f[at] == code)
			return f + at;
	}
	return NULL;
}

static uint8_t ra_flags(struct world *w)
{
	const uint8_t *f;
	size_t len;

	solicit_router(w, GUEST_LL);
	f = gets_nth(w, 0, &len);
	return f ? f[L4 + 5] : 0xff;
}

static void story_prefix(struct world *w)
{
	const uint8_t *o;
	struct in6_addr p;

	w->net.lease.addr[IP6] = addr("2001:db8:ffff:ffff:ffff::15");
	w->net.lease.len[IP6] = 61;
	o = ra_option(w, 3);
	p = addr("2001:db8:ffff:fff8::");
	if (check("a prefix of 61 bits is announced", o)) {
		check_eq("with its length", o[2], 61);
		check_eq("on link, but not to make addresses in", o[3], 0x80);
		check_mem("and nothing after its bits", o + 16, &p, 16);
	}
	w->net.lease.len[IP6] = 0;
	o = ra_option(w, 3);
	p = ADDR_NONE;
	if (check("a prefix of no bits is announced", o))
		check_mem("all zero", o + 16, &p, 16);
	w->net.lease.len[IP6] = 128;
	check("one of 128 is not", !ra_option(w, 3));
}

static void story_lease(struct world *w)
{
	const uint8_t *f;
	size_t len;

	w->net.lease.mtu = 0;
	check("no MTU: no option", !ra_option(w, 5));
	w->net.lease.mtu = 1279;
	check("an MTU below IPv6's least: no option", !ra_option(w, 5));
	w->net.lease.dhcp_dns = false;
	check("--no-dhcp-dns: no resolvers", !ra_option(w, 25));
	w->net.lease.dhcp_search = false;
	check("--no-dhcp-search: no search list", !ra_option(w, 31));
	w->net.lease.dhcpv6 = false;
	check_eq("no DHCPv6: neither M nor O", ra_flags(w), 0);

	w->net.lease.dhcpv6 = true;
	w->net.lease.addr[IP6] = ADDR_NONE;
	check_eq("no address: O without M", ra_flags(w), 0x40);
	check("and no prefix", !ra_option(w, 3));
	f = gets_nth(w, 0, &len);
	check_eq("and we are no default router", get_be16(f + L4 + 6), 0);

	w->net.lease.router[IP6] = addr("2001:db8::1");
	solicit_router(w, GUEST_LL);
	f = gets_nth(w, 0, &len);
	check("with a global gateway RA comes from fe80::1",
	      f[L3 + 8] == 0xfe && f[L3 + 9] == 0x80 && f[L3 + 23] == 1);
}

static void story_bad_names(struct world *w)
{
	const uint8_t *o;

	snprintf(w->net.lease.search, sizeof(w->net.lease.search),
		 "a..b .x %063d.ok %064d.bad x. good", 0, 0);
	o = ra_option(w, 31);
	if (!check("a list with bad names is announced", o))
		return;
	check_eq("from its first good name", o[8], 63);
	check_mem("to its last", o + 8 + 64, "\2ok\0\1x\0\4good\0", 13);

	strcpy(w->net.lease.search, "a..b");
	check("a list with none that is good is not", !ra_option(w, 31));
}

/* Given that router advertisements are switched off, then no timer runs. */
static void story_off(struct world *w)
{
	w->net.lease.ra = false;
	answer_guest_up(&w->answer, w->now);
	check("--no-ra: no timer", !timer_armed(&w->answer.ra));
	w->net.lease.ra = true;
	w->net.lease.ndp = false;
	answer_guest_up(&w->answer, w->now);
	check("--no-ndp: no timer", !timer_armed(&w->answer.ra));
}

/* next_ra() - Let time pass until the timer expires; returns how long that
 * took, ms, or 0 if no router advertisement was sent then */
static uint64_t next_ra(struct world *w)
{
	uint64_t start = w->now;
	struct timer *t;

	memory_clear(&w->mem);
	if (!timer_armed(&w->answer.ra))
		return 0;
	w->now = w->answer.ra.expires;
	t = timers_expire(&w->timers, w->now);
	if (t != &w->answer.ra)
		return 0;
	ra_timer(&w->answer, w->now);
	link_flush(w->mem.queue);
	return answered(w) ? w->now - start : 0;
}

/* Given a guest that has connected, when time passes, then it receives
 * unsolicited router advertisements at the intervals of RFC 4861 6.2.4. */
static void story_periodic(struct world *w)
{
	struct in6_addr all = addr("ff02::1");
	unsigned int i, wrong = 0;
	const uint8_t *f;
	uint64_t ms;
	size_t len;

	answer_guest_up(&w->answer, w->now);
	check_eq("the first RA comes after half a second", next_ra(w), 500);
	f = gets_nth(w, 0, &len);
	check_mem("it goes to all nodes", f + L3 + 24, &all, 16);
	check_eq("the second after 16 s", next_ra(w), 16000);
	check_eq("the third after 16 s", next_ra(w), 16000);
	for (i = 0; i < 100; i++) {
		ms = next_ra(w);
		wrong += ms < 200000 || ms > 600000;
	}
	check_eq("then in 200 to 600 s", wrong, 0);

	answer_guest_up(&w->answer, w->now);
	check_eq("a new guest hears after half a second", next_ra(w), 500);

	link_close(&w->mem.link);
	w->now = w->answer.ra.expires;
	timers_expire(&w->timers, w->now);
	ra_timer(&w->answer, w->now);
	check("with no guest the timer stops", !timer_armed(&w->answer.ra));
}

/* say_names() - Append the names of a search list as text */
static void say_names(char *buf, size_t size, const uint8_t *p,
		      const uint8_t *end)
{
	size_t n = strlen(buf), i;

	for (; p < end && *p; p++) {
		n += (size_t)snprintf(buf + n, size - n, " ");
		for (; p < end && *p; p += 1 + i) {
			i = *p;
			n += (size_t)snprintf(buf + n, size - n, "%s%.*s",
					      buf[n - 1] == ' ' ? "" : ".",
					      (int)i, p + 1);
		}
	}
}

/* say_option() - Append an option of an advertisement as text */
static void say_option(char *buf, size_t size, const uint8_t *o)
{
	size_t n = strlen(buf), i, len = o[1] * 8U;
	char text[ADDR_STRLEN];
	struct in6_addr a;

	switch (o[0]) {
	case 3:
		memcpy(&a, o + 16, 16);
		snprintf(buf + n, size - n, ", %s/%u %u %u", addr_str(&a, text),
			 o[2], get_be32(o + 4), get_be32(o + 8));
		break;
	case 25:
		n += (size_t)snprintf(buf + n, size - n, ", dns %u",
				      get_be32(o + 4));
		for (i = 8; i < len; i += 16) {
			memcpy(&a, o + i, 16);
			n += (size_t)snprintf(buf + n, size - n, " %s",
					      addr_str(&a, text));
		}
		break;
	case 31:
		snprintf(buf + n, size - n, ", search %u", get_be32(o + 4));
		say_names(buf, size, o + 8, o + len);
		break;
	}
}

/* said() - Write the advertisement with index @n as text: its source, router
 * lifetime, and options with their lifetimes, but not passt's MAC address and
 * the MTU */
static const char *said(const struct world *w, unsigned int n)
{
	static char buf[2048];
	char text[ADDR_STRLEN];
	struct in6_addr src;
	const uint8_t *f;
	size_t len, at;

	f = gets_nth(w, n, &len);
	if (!f)
		return "nothing";
	if (len < L4 + 16 || f[L4] != 134 || !checksum_right(f, len))
		return "no advertisement";
	memcpy(&src, f + L3 + 8, 16);
	snprintf(buf, sizeof(buf), "%s router %u", addr_str(&src, text),
		 get_be16(f + L4 + 6));
	for (at = L4 + 16; at + 8 <= len && f[at + 1]; at += f[at + 1] * 8U)
		say_option(buf, sizeof(buf), f + at);
	return buf;
}

#define DNS	", dns 1800 2001:db8:53::1 2001:db8:53::2"
#define SEARCH	", search 1800 example.com lab.example.com"
#define PREFIX	", 2001:db8::/64 2592000 604800"
#define USUAL	"fe80::1 router 1800" PREFIX DNS SEARCH
#define MOVED	"fe80::1 router 1800, 2001:db8:1::/64 2592000 604800" DNS SEARCH
#define GONE	"fe80::1 router 1800, 2001:db8::/64 0 0"

/* settled() - Let a guest connect and receive its initial advertisements;
 * return its lease */
static struct lease settled(struct world *w)
{
	answer_guest_up(&w->answer, w->now);
	while (w->answer.ra_sent < 3)
		next_ra(w);
	w->now += 100000;
	return w->net.lease;
}

/* Given a guest, when its prefix changes, then passt sends three advertisements
 * with the new prefix: at once, and twice more, 16 s apart. After each of them,
 * a second message withdraws the old prefix. */
static void story_moved(struct world *w)
{
	struct in6_addr all = addr("ff02::1");
	struct lease old = settled(w);
	const uint8_t *f;
	unsigned int i;
	size_t len;

	w->net.lease.addr[IP6] = addr("2001:db8:1::15");
	change(w, &old);
	check_eq("another prefix: two messages at once", w->mem.nsent, 2);
	check_str("the first has the new prefix", said(w, 0), MOVED);
	check_str("the second ends the old one", said(w, 1), GONE);
	f = gets_nth(w, 1, &len);
	check_mem("it goes to all nodes", f + L3 + 24, &all, 16);
	check_eq("the old prefix still has its flags", f[L4 + 16 + 8 + 3], 0xc0);

	solicit_router(w, GUEST_LL);
	check_eq("a guest that asks gets both", w->mem.nsent, 2);
	check_str("the second ends the old prefix", said(w, 1), GONE);

	for (i = 0; i < 2; i++) {
		check_eq("both come again after 16 s", next_ra(w), 16000);
		check_str("with the new prefix", said(w, 0), MOVED);
		check_str("and the end of the old one", said(w, 1), GONE);
	}
	check("then an advertisement in 200 to 600 s", next_ra(w) >= 200000);
	check_eq("which is one message", w->mem.nsent, 1);
	check_str("with the new prefix", said(w, 0), MOVED);
}

/* When resolvers and search domains of the lease change, then passt sends two
 * advertisements: the first has the new ones, and the second withdraws the ones
 * that are gone. */
static void story_resolvers(struct world *w)
{
	struct lease old = settled(w);

	w->net.lease.dns[IP6][0] = addr("2001:db8:53::2");
	w->net.lease.dns[IP6][1] = addr("2001:db8:53::3");
	strcpy(w->net.lease.search, "example.org EXAMPLE.com.");
	change(w, &old);
	check_str("other resolvers and domains come",
		  said(w, 0), "fe80::1 router 1800" PREFIX
		  ", dns 1800 2001:db8:53::2 2001:db8:53::3"
		  ", search 1800 example.org EXAMPLE.com");
	check_str("and those end that are gone", said(w, 1),
		  "fe80::1 router 1800, dns 0 2001:db8:53::1"
		  ", search 0 lab.example.com");

	old = w->net.lease;
	w->net.lease.dns[IP6][0] = ADDR_NONE;
	w->net.lease.search[0] = '\0';
	w->now += 3000;
	change(w, &old);
	check_str("if all are gone, none comes", said(w, 0),
		  "fe80::1 router 1800" PREFIX);
	check_str("and all end", said(w, 1), "fe80::1 router 1800"
		  ", dns 0 2001:db8:53::1 2001:db8:53::2 2001:db8:53::3"
		  ", search 0 lab.example.com example.org EXAMPLE.com");
}

/* Given a second change of the prefix less than 3 s after the first, then passt
 * waits, and announces it 3 s after the first one (RFC 4861 6.2.6). When an old
 * prefix comes back, passt does not withdraw it any more. */
static void story_soon(struct world *w)
{
	struct lease first = settled(w), old;

	w->net.lease.addr[IP6] = addr("2001:db8:1::15");
	change(w, &first);
	old = w->net.lease;
	w->net.lease.addr[IP6] = addr("2001:db8:2::15");
	w->now += 1000;
	change(w, &old);
	check("a change one second later is not sent yet", !answered(w));
	check_eq("but 3 s after the last advertisement", next_ra(w), 2000);
	check_str("with the newest prefix", said(w, 0), "fe80::1 router 1800"
		  ", 2001:db8:2::/64 2592000 604800" DNS SEARCH);
	check_str("and the end of both before it", said(w, 1), GONE
		  ", 2001:db8:1::/64 0 0");

	old = w->net.lease;
	w->net.lease = first;
	w->now += 3000;
	change(w, &old);
	check_str("a prefix that is back comes at once, 3 s later",
		  said(w, 0), USUAL);
	check_str("and does not end any more", said(w, 1),
		  "fe80::1 router 1800, 2001:db8:1::/64 0 0"
		  ", 2001:db8:2::/64 0 0");
	check("it is sent twice more", next_ra(w) == 16000 &&
	      next_ra(w) == 16000 && w->mem.nsent == 2);
	check("and then as usual", next_ra(w) >= 200000 && w->mem.nsent == 1);
}

/* When a change of the lease does not change the router advertisement, then
 * nothing is sent. */
static void story_same(struct world *w)
{
	struct lease old = settled(w);

	change(w, &old);
	check("nothing changed: nothing is sent", !answered(w));
	w->net.lease.addr[IP4] = addr("192.0.2.99");
	w->net.lease.dns[IP4][0] = addr("198.51.100.99");
	strcpy(w->net.lease.hostname, "other");
	change(w, &old);
	check("an IPv4 address, a resolver, a name: nothing", !answered(w));
	w->net.lease.addr[IP6] = addr("2001:db8::99");
	change(w, &old);
	check("another address of the same prefix: nothing", !answered(w));
	w->net.lease.mtu = 1400;
	change(w, &old);
	check_eq("another MTU: one message", w->mem.nsent, 1);

	old = w->net.lease;
	w->net.lease.dhcp_dns = w->net.lease.dhcp_search = false;
	w->now += 3000;
	change(w, &old);
	old = w->net.lease;
	w->net.lease.dns[IP6][0] = addr("2001:db8:53::9");
	w->now += 100000;
	change(w, &old);
	check("a resolver that is not announced: nothing", !answered(w));
}

/* When the host loses IPv6, then the guest loses its router and its prefix. */
static void story_no_router(struct world *w)
{
	struct lease first = settled(w), old;

	w->net.lease.addr[IP6] = ADDR_NONE;
	change(w, &first);
	check_str("without an address: no router, no prefix", said(w, 0),
		  "fe80::1 router 0" DNS SEARCH);
	check_str("the prefix ends", said(w, 1),
		  "fe80::1 router 0, 2001:db8::/64 0 0");
	old = w->net.lease;
	w->net.lease = first;
	w->now += 100000;
	change(w, &old);
	check_eq("it comes back in one message", w->mem.nsent, 1);
	check_str("as it was", said(w, 0), USUAL);

	w->net.lease.ra = w->net.lease.ndp = false;
	w->net.lease.addr[IP6] = ADDR_NONE;
	w->net.lease.router[IP6] = ADDR_NONE;
	w->now += 100000;
	change(w, &first);
	check_eq("if IPv6 is off, one last message", w->mem.nsent, 1);
	check_str("ends the router and the prefix", said(w, 0),
		  "fe80::1 router 0, 2001:db8::/64 0 0");
	check("and no other", next_ra(w) == 0);
	w->net.lease = first;
	old = first;
	old.ra = false;
	w->now += 100000;
	change(w, &old);
	check_str("if IPv6 is on again, the router is", said(w, 0), USUAL);
	check_eq("and again", next_ra(w), 16000);
}

/* When passt's link-local address changes, then a last advertisement from the
 * old address says that it is no router any more (RFC 4861 6.2.8). */
static void story_link_local(struct world *w)
{
	struct lease first = settled(w), old;

	w->net.lease.router[IP6] = addr("fe80::2");
	change(w, &first);
	check("the neighbour is announced before", !strcmp(said(w, 0),
	      "no advertisement") && w->mem.nsent == 3);
	check_str("the new router comes", said(w, 1),
		  "fe80::2 router 1800" PREFIX DNS SEARCH);
	check_str("the old one says that it is none any more", said(w, 2),
		  "fe80::1 router 0");
	check_eq("later only the new one comes", next_ra(w), 16000);
	check_eq("in one message", w->mem.nsent, 1);

	old = w->net.lease;
	w->net.lease.router[IP6] = addr("fe80::3");
	w->now += 1000;
	change(w, &old);
	old = w->net.lease;
	w->net.lease.router[IP6] = addr("fe80::4");
	change(w, &old);
	check_eq("of several changes in 3 s", next_ra(w), 2000);
	check_str("the last router comes", said(w, 0),
		  "fe80::4 router 1800" PREFIX DNS SEARCH);
	check_str("and that ends which the guest knows", said(w, 1),
		  "fe80::2 router 0");
	check_eq("and no other", w->mem.nsent, 2);
}

/* When a new guest connects, then passt forgets what it has announced to the
 * former guest. While no guest is connected, nothing is sent or
 * remembered. */
static void story_nobody(struct world *w)
{
	struct lease first = settled(w), old = first;

	w->net.lease.addr[IP6] = addr("2001:db8:1::15");
	change(w, &first);
	answer_guest_up(&w->answer, w->now);
	check_eq("the next guest hears after half a second", next_ra(w), 500);
	check_eq("one message", w->mem.nsent, 1);
	check_str("of what it has", said(w, 0), MOVED);

	link_close(&w->mem.link);
	old = w->net.lease;
	w->net.lease = first;
	w->net.lease.router[IP4] = addr("192.0.2.7");
	memory_clear(&w->mem);
	timer_cancel(&w->timers, &w->answer.ra);
	answer_lease_changed(&w->answer, &old, w->now);
	check("no guest: nothing is sent", !answered(w));
	check("no timer runs", !timer_armed(&w->answer.ra));
	check("nothing is remembered", !past_is_announced(&w->answer.past) &&
	      !w->answer.past.server.n);
}

/* refresh() - Tell the services that the host has slept; return the number of
 * messages that they send */
static unsigned int refresh(struct world *w)
{
	memory_clear(&w->mem);
	answer_refresh(&w->answer, w->now);
	link_flush(w->mem.queue);
	return w->mem.nsent;
}

/* Given a guest, when the host has slept or passt was stopped for an hour, then
 * the guest gets one advertisement at once, but not sooner than 3 s after the
 * one before. */
static void story_refresh(struct world *w)
{
	uint64_t ms;

	settled(w);
	w->now += 3600000;
	check_eq("after an hour: one message at once", refresh(w), 1);
	check_str("the advertisement", said(w, 0), USUAL);
	check("no timer is due", !timers_expire(&w->timers, w->now));
	w->now += 1000;
	check_eq("again 1 s later: nothing yet", refresh(w), 0);
	check_eq("it comes 3 s after the first", next_ra(w), 2000);
	check_eq("one message", w->mem.nsent, 1);
	ms = next_ra(w);
	check("then in 200 to 600 s", ms >= 200000 && ms <= 600000);

	w->now += 3600000;
	w->net.lease.ra = false;
	check_eq("--no-ra: nothing", refresh(w), 0);
	w->net.lease.ra = true;
	link_close(&w->mem.link);
	timer_cancel(&w->timers, &w->answer.ra);
	check_eq("no guest: nothing", refresh(w), 0);
	check("and no timer", !timer_armed(&w->answer.ra));
	w->now = w->answer.ra_next - 1;
	refresh(w);
	check("nor in the first 3 s", !timer_armed(&w->answer.ra));
}

/* large_lease() - Fill the IPv6 part of a lease; two leases with different @n
 * have no address, resolver or name in common */
static void large_lease(struct lease *l, unsigned int n)
{
	unsigned int i;

	l->addr[IP6].s6_addr[7] = (uint8_t)n;
	for (i = 0; i < LEASE_ADDRS - 1; i++) {
		l->more[IP6][i] = l->addr[IP6];
		l->more[IP6][i].s6_addr[5] = (uint8_t)(i + 1);
		l->more_len[IP6][i] = 64;
	}
	for (i = 0; i < LEASE_DNS; i++) {
		l->dns[IP6][i] = addr("2001:db8:53::");
		l->dns[IP6][i].s6_addr[15] = (uint8_t)(n << 4 | i);
	}
	snprintf(l->search, sizeof(l->search), "%063u.%063u.%063u %061u", n, n,
		 n, n);
}

/* Given two leases that are as large as possible, then each message fits the
 * IPv6 minimum MTU. */
static void story_large(struct world *w)
{
	struct lease old = settled(w);
	size_t len[2];

	large_lease(&old, 1);
	large_lease(&w->net.lease, 2);
	change(w, &old);
	check_eq("the largest lease: two messages", w->mem.nsent, 2);
	gets_nth(w, 0, &len[0]);
	gets_nth(w, 1, &len[1]);
	check("of no more than 1280 bytes", len[0] <= L3 + 1280 &&
	      len[1] <= L3 + 1280);
	check("the second ends all that is gone", len[1] > 600 &&
	      strstr(said(w, 1), ", 2001:db8:7:1::/64 0 0") &&
	      strstr(said(w, 1), " 2001:db8:53::17, search 0 000"));

	old = w->net.lease;
	large_lease(&w->net.lease, 3);
	w->now += 3000;
	change(w, &old);
	check("if more is gone, the oldest is forgotten",
	      !strstr(said(w, 1), ", 2001:db8:7:1::/64") &&
	      !strstr(said(w, 1), " 2001:db8:53::17") &&
	      strstr(said(w, 1), ", 2001:db8:7:2::/64") &&
	      strstr(said(w, 1), " 2001:db8:53::27, search 0 000"));
	gets_nth(w, 1, &len[1]);
	check("that message fits, too", len[1] <= L3 + 1280);
}

int main(void)
{
	static void (*const stories[])(struct world *w) = {
		story_router, story_prefix, story_lease, story_bad_names,
		story_off, story_periodic, story_moved, story_resolvers,
		story_soon, story_same, story_no_router, story_link_local,
		story_nobody, story_refresh, story_large,
	};

	return tell(stories, ARRAY_SIZE(stories));
}
