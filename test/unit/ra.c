// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * ra.c - Router advertisements: what they say, and when they are sent.
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

/* Given router advertisements that are off, then there is no timer */
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

int main(void)
{
	static void (*const stories[])(struct world *w) = {
		story_router, story_prefix, story_lease, story_bad_names,
		story_off, story_periodic,
	};

	return tell(stories, ARRAY_SIZE(stories));
}
