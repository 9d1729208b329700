// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * ndp.c - Tests of the answers to neighbour and router solicitations of a
 * guest, and of the router advertisements that a timer sends.
 */
#include "../../answer/ndp.c"
#include "test/unit/answer.h"

#define GUEST_LL	"fe80::5054:ff:fe12:3456"
#define L3		14
#define L4		(14 + 40)

static bool deliver(struct world *w, const struct pkt *pkt)
{
	return ndp_from_guest(&w->answer, pkt, w->now);
}

/* sends_icmp6() - The guest sends an ICMPv6 message, with the hop limit of 255
 * that neighbour discovery requires */
static void sends_icmp6(struct world *w, const char *src, const char *dst,
			const struct msgbuf *m)
{
	struct ip_hdr ip = { .src = addr(src), .dst = addr(dst),
			     .proto = IPPROTO_ICMPV6, .ttl = 255 };

	sends_ip(w, &ip, m->buf, m->len);
}

static struct msgbuf ns(uint8_t *buf, const char *target, bool lladdr)
{
	struct msgbuf m = { .buf = buf, .size = 256 };
	struct in6_addr t = addr(target);

	msgbuf_u8(&m, 135);
	msgbuf_zero(&m, 7);
	msgbuf_addr6(&m, &t);
	if (lladdr) {
		msgbuf_be16(&m, 0x0101);
		msgbuf_put(&m, guest_mac, MAC_LEN);
	}
	return m;
}

static struct msgbuf rs(uint8_t *buf, bool lladdr)
{
	struct msgbuf m = { .buf = buf, .size = 256 };

	msgbuf_u8(&m, 133);
	msgbuf_zero(&m, 7);
	if (lladdr) {
		msgbuf_be16(&m, 0x0101);
		msgbuf_put(&m, guest_mac, MAC_LEN);
	}
	return m;
}

static void solicit(struct world *w, const char *src, const char *target)
{
	struct in6_addr t = addr(target);
	char group[ADDR_STRLEN];
	struct msgbuf m;
	uint8_t buf[256];

	snprintf(group, sizeof(group), "ff02::1:ff%02x:%02x%02x",
		 t.s6_addr[13], t.s6_addr[14], t.s6_addr[15]);
	m = ns(buf, target, strcmp(src, "::"));
	sends_icmp6(w, src, group, &m);
}

/* is_na() - Whether the guest received a neighbour advertisement with these
 * flags, sent to @dst */
static bool is_na(const struct world *w, uint8_t flags, const char *dst)
{
	struct in6_addr to = addr(dst);
	const uint8_t *f;
	size_t len;

	f = gets_nth(w, 0, &len);
	return f && len == L4 + 32 && f[L4] == 136 && f[L4 + 4] == flags &&
	       !memcmp(f + L3 + 24, &to, 16);
}

static void story_gateway(struct world *w)
{
	static const uint8_t want[] = {
		0x52, 0x54, 0x00, 0x12, 0x34, 0x56,
		0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55, 0x86, 0xdd,
		0x60, 0, 0, 0, 0, 32, 58, 255,
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		0xfe, 0x80, 0, 0, 0, 0, 0, 0,
		0x50, 0x54, 0, 0xff, 0xfe, 0x12, 0x34, 0x56,
		136, 0,
	};
	static const uint8_t rest[] = {
		0xe0, 0, 0, 0,
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		2, 1, 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55,
	};
	const uint8_t *f;
	size_t len;

	solicit(w, GUEST_LL, "fe80::1");
	f = gets_nth(w, 0, &len);
	check("a solicitation is ours to take", w->consumed);
	if (!check_eq("NA has its length", len, L4 + 32))
		return;
	check_mem("NA begins as it should", f, want, sizeof(want));
	check_mem("NA is router, solicited, override, from our MAC",
		  f + L4 + 4, rest, sizeof(rest));
	check("NA has the right checksum", checksum_right(f, len));
}

static void story_others(struct world *w)
{
	solicit(w, "2001:db8::15", "2001:db8::77");
	check("a neighbour is at our MAC, and no router",
	      is_na(w, 0x60, "2001:db8::15"));
	solicit(w, "2001:db8::15", "2001:db8:1::1");
	check("so is an address of another network",
	      is_na(w, 0x60, "2001:db8::15"));
	solicit(w, GUEST_LL, "fe80::77");
	check("so is a link-local one", is_na(w, 0x60, GUEST_LL));
	solicit(w, GUEST_LL, "ff02::1");
	check("a group is not", !answered(w));
	solicit(w, GUEST_LL, "::");
	check("nor is no address", !answered(w));
	solicit(w, GUEST_LL, "::1");
	check("nor is loopback", !answered(w));
}

static void story_dad(struct world *w)
{
	solicit(w, "::", "2001:db8::15");
	check("DAD for its own address is unanswered", !answered(w));
	solicit(w, "::", GUEST_LL);
	check("DAD for its link-local address is unanswered", !answered(w));
	solicit(w, "::", "2001:db8::77");
	check("DAD for a free address is unanswered", !answered(w));
	solicit(w, "::", "fe80::1");
	check("DAD for ours is answered to all nodes, not as solicited",
	      is_na(w, 0xa0, "ff02::1"));

	w->net.lease.router[IP6] = addr("2001:db8::1");
	solicit(w, "::", "2001:db8::1");
	check("DAD for a global gateway of ours is answered",
	      is_na(w, 0xa0, "ff02::1"));
	solicit(w, "::", "fe80::1");
	check("then fe80::1 is ours as well", is_na(w, 0xa0, "ff02::1"));
}

static void story_own(struct world *w)
{
	solicit(w, GUEST_LL, "2001:db8::15");
	check("the assigned address is the guest's", !answered(w));
	solicit(w, "2001:db8::abcd", GUEST_LL);
	check("the link-local one it used is the guest's", !answered(w));
	solicit(w, GUEST_LL, "2001:db8::abcd");
	check("the global one it used is the guest's", !answered(w));
}

/* Given a valid message, when any one field of it is made invalid, then there
 * is no reply. */
static void story_invalid(struct world *w)
{
	struct ip_hdr ip = { .src = addr(GUEST_LL), .dst = addr("fe80::1"),
			     .proto = IPPROTO_ICMPV6, .ttl = 254 };
	uint8_t buf[256];
	struct msgbuf m = ns(buf, "fe80::1", true);

	sends_ip(w, &ip, m.buf, m.len);
	check("NS that was forwarded is dropped", !answered(w) && w->consumed);
	ip.ttl = 255;
	sends_ip(w, &ip, m.buf, m.len);
	check("NS that was not is answered", answered(w));

	m.buf[1] = 1;
	sends_ip(w, &ip, m.buf, m.len);
	check("NS with a code is dropped", !answered(w));
	m.buf[1] = 0;
	m.buf[25] = 0;
	sends_ip(w, &ip, m.buf, m.len);
	check("NS with an option of no length is dropped", !answered(w));
	m.buf[25] = 2;
	sends_ip(w, &ip, m.buf, m.len);
	check("NS with an option beyond its end is dropped", !answered(w));
	m.buf[25] = 1;
	sends_icmp6(w, "::", "ff02::1:ff00:1", &m);
	check("DAD with a source link-layer address is dropped", !answered(w));
	m.len = 24;
	sends_icmp6(w, "::", "ff02::1", &m);
	check("DAD to another group is dropped", !answered(w));
	sends_icmp6(w, "::", "ff02::1:ff00:1", &m);
	check("DAD as it should be is answered", answered(w));

	m = rs(buf, true);
	sends_icmp6(w, "::", "ff02::2", &m);
	check("RS without source but with a link-layer address is dropped",
	      !answered(w));
	m.buf[9] = 0;
	sends_icmp6(w, GUEST_LL, "ff02::2", &m);
	check("RS with an option of no length is dropped", !answered(w));
}

static void story_not_ours(struct world *w)
{
	uint8_t buf[256];
	struct msgbuf m = rs(buf, false);

	m.buf[0] = 128;
	sends_icmp6(w, GUEST_LL, "fe80::1", &m);
	check("echo is not neighbour discovery", !w->consumed);
	m.buf[0] = 134;
	sends_icmp6(w, GUEST_LL, "ff02::1", &m);
	check("a guest's own RA is taken in silence",
	      w->consumed && !answered(w));
	m.buf[0] = 137;
	sends_icmp6(w, GUEST_LL, "fe80::1", &m);
	check("so is its redirect", w->consumed && !answered(w));
}

/* lengths() - Send the first n bytes of a message, for each n up to its length.
 * Returns a mask, in which bit n is set if there was a reply to n bytes */
static uint64_t lengths(struct world *w, const struct msgbuf *whole)
{
	struct msgbuf m = *whole;
	uint64_t good = 0;

	for (m.len = 0; m.len <= whole->len; m.len++) {
		sends_icmp6(w, GUEST_LL, "ff02::2", &m);
		if (answered(w))
			good |= (uint64_t)1 << m.len;
	}
	return good;
}

static void story_lengths(struct world *w)
{
	uint8_t buf[256];
	struct msgbuf m = ns(buf, "fe80::1", true);

	check_eq("NS is answered with its option or without, at no other "
		 "length", lengths(w, &m),
		 (uint64_t)1 << 24 | (uint64_t)1 << 32);
	m = rs(buf, true);
	check_eq("so is RS", lengths(w, &m), 1 << 8 | 1 << 16);
}

static void story_longest(struct world *w)
{
	uint8_t buf[2048];
	struct msgbuf m = ns(buf, "fe80::1", false);

	m.size = sizeof(buf);
	while (m.len < 1280) {
		msgbuf_be16(&m, 0xfd01);
		msgbuf_zero(&m, 6);
	}
	sends_icmp6(w, GUEST_LL, "fe80::1", &m);
	check("NS of 1280 bytes with unknown options is answered", answered(w));
	msgbuf_be16(&m, 0xfd01);
	msgbuf_zero(&m, 6);
	sends_icmp6(w, GUEST_LL, "fe80::1", &m);
	check("a longer one is dropped", !answered(w));
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

static void solicit_router(struct world *w, const char *src)
{
	uint8_t buf[256];
	struct msgbuf m = rs(buf, strcmp(src, "::"));

	sends_icmp6(w, src, "ff02::2", &m);
}

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

static void story_silent(struct world *w)
{
	w->net.lease.ra = false;
	solicit_router(w, GUEST_LL);
	check("--no-ra: RS is unanswered", w->consumed && !answered(w));
	solicit(w, GUEST_LL, "fe80::1");
	check("--no-ra: NS is answered", answered(w));
	answer_guest_up(&w->answer, w->now);
	check("--no-ra: no timer", !timer_armed(&w->answer.ra));

	w->net.lease.ra = true;
	w->net.lease.ndp = false;
	solicit(w, GUEST_LL, "fe80::1");
	check("--no-ndp: NS is unanswered", w->consumed && !answered(w));
	solicit_router(w, GUEST_LL);
	check("--no-ndp: RS is unanswered", w->consumed && !answered(w));
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
	ndp_timer(&w->answer, w->now);
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
	ndp_timer(&w->answer, w->now);
	check("with no guest the timer stops", !timer_armed(&w->answer.ra));
}

int main(void)
{
	static void (*const stories[])(struct world *w) = {
		story_gateway, story_others, story_dad, story_own,
		story_invalid, story_not_ours, story_lengths, story_longest,
		story_router, story_prefix, story_lease, story_bad_names,
		story_silent, story_periodic,
	};

	return tell(stories, ARRAY_SIZE(stories));
}
