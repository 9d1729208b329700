// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * ndp.c - Tests of the answers to neighbour and router solicitations of a
 * guest.
 */
#include "../../answer/ndp.c"
#include "test/unit/answer.h"
#include "test/unit/icmp6.h"

#define L3		14
#define L4		(14 + 40)

static bool deliver(struct world *w, const struct pkt *pkt)
{
	return ndp_from_guest(&w->answer, pkt, w->now);
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

static void story_silent(struct world *w)
{
	w->net.lease.ra = false;
	solicit_router(w, GUEST_LL);
	check("--no-ra: RS is unanswered", w->consumed && !answered(w));
	solicit(w, GUEST_LL, "fe80::1");
	check("--no-ra: NS is answered", answered(w));

	w->net.lease.ra = true;
	w->net.lease.ndp = false;
	solicit(w, GUEST_LL, "fe80::1");
	check("--no-ndp: NS is unanswered", w->consumed && !answered(w));
	solicit_router(w, GUEST_LL);
	check("--no-ndp: RS is unanswered", w->consumed && !answered(w));
}

/* When passt's link-local address or MAC address changes, then passt announces
 * it (RFC 4861 7.2.6). */
static void story_announced(struct world *w)
{
	struct in6_addr target = addr("fe80::2");
	struct lease old = w->net.lease;
	const uint8_t *f;
	size_t len;

	w->net.lease.ra = old.ra = false;
	w->net.lease.addr[IP6] = addr("2001:db8:1::15");
	change(w, &old);
	check("the same router is not announced", !answered(w));

	w->net.lease.router[IP6] = target;
	change(w, &old);
	f = gets_nth(w, 0, &len);
	check_eq("another one is, once", w->mem.nsent, 1);
	if (check("by an advertisement to all: router, override, not solicited",
		  is_na(w, 0xa0, "ff02::1"))) {
		check_mem("from the new address", f + L3 + 8, &target, 16);
		check_mem("of the new address", f + L4 + 8, &target, 16);
		check_mem("at our MAC", f + L4 + 26, our_mac, MAC_LEN);
	}

	old = w->net.lease;
	old.mac[5]++;
	old.addr[IP4] = w->net.lease.addr[IP4] = ADDR_NONE;
	change(w, &old);
	check("so is the same address if our MAC changes",
	      is_na(w, 0xa0, "ff02::1") && w->mem.nsent == 1);

	w->net.lease.ndp = false;
	change(w, &old);
	check("--no-ndp: nothing is announced", !answered(w));
}

int main(void)
{
	static void (*const stories[])(struct world *w) = {
		story_gateway, story_others, story_dad, story_own,
		story_invalid, story_not_ours, story_lengths, story_longest,
		story_silent, story_announced,
	};

	return tell(stories, ARRAY_SIZE(stories));
}
