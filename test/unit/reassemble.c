// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * reassemble.c - Fragments of the guest become datagrams: every order, what
 * contradicts itself, what never ends, and what it all costs (RFC 791 3.2,
 * RFC 8200 4.5, RFC 5722, RFC 6946, RFC 6980, RFC 7112).
 *
 * The guest cuts a datagram as a story wants it, and its frames come through
 * tap_recv_burst() as they would from a link.
 */
#include "../../tap/reassemble.c"

#include "checksum.h"
#include "test/memory.h"
#include "test/unit/l4.h"
#include "test/unit/unit.h"

#define ETH_LEN		14
#define EXT_MAX		256
#define L4_MAX		65535
#define MORE		true
#define LAST		false

#define SRC4		"192.0.2.15"
#define DST4		"198.51.100.1"
#define SRC6		"2001:db8::15"
#define DST6		"2001:db8:2::1"

/**
 * struct stage - A guest, and our end of its link
 * @mem, @tap:	our end
 * @now:	ms
 * @v:		4 or 6, what the guest speaks now
 * @id, @proto, @ttl, @tos, @df: what it writes into its headers
 * @src, @dst:	likewise
 * @ext, @extlen: IPv4 options or IPv6 headers before the fragment header
 * @first:	IPv6: number of the first of @ext
 * @l4, @len:	the datagram that it cuts, from the transport header on
 * @frames, @n:	frames on their way, or that have @arrived
 */
struct stage {
	struct memory mem;
	struct tap tap;
	uint64_t now;
	int v;
	uint32_t id;
	uint8_t proto, ttl, tos;
	bool df;
	struct in6_addr src, dst;
	uint8_t ext[EXT_MAX], first;
	size_t extlen;
	uint8_t l4[L4_MAX + 16];
	size_t len;
	uint8_t *frames[LINK_BURST];
	unsigned int n;
	bool arrived;
};

static struct in6_addr addr(const char *s)
{
	struct in6_addr a = ADDR_NONE;

	if (!addr_parse(s, &a))
		fail("the test knows its addresses", "'%s' is none", s);
	return a;
}

/* named() - A check's name, with the family */
static const char *named(const struct stage *s, const char *name)
{
	static char buf[200];

	snprintf(buf, sizeof(buf), "%s, v%d", name, s->v);
	return buf;
}

/* summed() - Put the datagram's checksum right */
static void summed(struct stage *s, size_t at)
{
	struct iovec iov = { s->l4, s->len };
	uint16_t check;

	memset(s->l4 + at, 0, sizeof(check));
	check = s->proto == IPPROTO_ICMP ?
		csum_fold(csum_add(s->l4, s->len, 0)) :
		csum_l4(&s->src, &s->dst, s->proto, &iov, 1);
	memcpy(s->l4 + at, &check, sizeof(check));
}

/* datagram() - The guest has a UDP datagram of @len bytes in all to send */
static void datagram(struct stage *s, size_t len)
{
	size_t i;

	s->id++;
	s->proto = IPPROTO_UDP;
	s->len = len;
	for (i = 8; i < len; i++)
		s->l4[i] = (uint8_t)(i * 7 + s->id);
	put_be16(s->l4, 4000);
	put_be16(s->l4 + 2, 7);
	put_be16(s->l4 + 4, (uint16_t)len);
	summed(s, 6);
}

static void stage_family(struct stage *s, int v)
{
	s->v = v;
	s->src = addr(v == 4 ? SRC4 : SRC6);
	s->dst = addr(v == 4 ? DST4 : DST6);
	s->ttl = 61;
	s->tos = 0xb8;
	s->df = false;
	s->extlen = 0;
}

static void stage_open(struct stage *s, int v)
{
	static const struct net net = {
		.lease.mac = { 0x9a, 0x55, 0x9a, 0x55, 0x9a },
	};

	memset(s, 0, sizeof(*s));
	csum_init();
	if (memory_open(&s->mem, 1 << 16))
		exit(1);
	tap_init(&s->tap, &s->mem.link, s->mem.queue, &net);
	s->now = 1000000;
	stage_family(s, v);
	datagram(s, 3000);
}

static void frames_free(struct stage *s)
{
	for (; s->n; s->n--)
		free(s->frames[s->n - 1]);
	s->arrived = false;
}

static void stage_close(struct stage *s)
{
	frames_free(s);
	tap_guest_gone(&s->tap);
	check(named(s, "nothing is left of it"),
	      !s->tap.fragments.bytes && !s->tap.fragments.reassembled);
	link_close(&s->mem.link);
}

/* put_ip4() - IPv4 header of a fragment; its length */
static size_t put_ip4(const struct stage *s, uint8_t *p, size_t off,
		      size_t len, bool more)
{
	size_t hlen = 20 + s->extlen;
	struct in_addr src = addr_v4(&s->src), dst = addr_v4(&s->dst);
	uint16_t check = 0;

	p[0] = (uint8_t)(0x40 | hlen / 4);
	p[1] = s->tos;
	put_be16(p + 2, (uint16_t)(hlen + len));
	put_be16(p + 4, (uint16_t)s->id);
	put_be16(p + 6, (uint16_t)(off / 8 | (more ? 0x2000 : 0) |
				   (s->df ? 0x4000 : 0)));
	p[8] = s->ttl;
	p[9] = s->proto;
	memcpy(p + 10, &check, 2);
	memcpy(p + 12, &src, 4);
	memcpy(p + 16, &dst, 4);
	memcpy(p + 20, s->ext, s->extlen);
	check = csum_ip4(p, hlen);
	memcpy(p + 10, &check, 2);
	return hlen;
}

/* put_ip6() - IPv6 headers of a fragment, RFC 8200 4.5; their length */
static size_t put_ip6(const struct stage *s, uint8_t *p, size_t off,
		      size_t len, bool more)
{
	uint8_t *f = p + 40 + s->extlen;

	put_be32(p, 6U << 28 | (uint32_t)s->tos << 20);
	put_be16(p + 4, (uint16_t)(s->extlen + 8 + len));
	p[6] = s->extlen ? s->first : IPPROTO_FRAGMENT;
	p[7] = s->ttl;
	memcpy(p + 8, &s->src, 16);
	memcpy(p + 24, &s->dst, 16);
	memcpy(p + 40, s->ext, s->extlen);
	f[0] = s->proto;
	f[1] = 0;
	put_be16(f + 2, (uint16_t)(off | more));
	put_be32(f + 4, s->id);
	return 40 + s->extlen + 8;
}

/* piece_of() - A fragment with bytes of one's own is on its way */
static void piece_of(struct stage *s, size_t off, const void *data, size_t len,
		     bool more)
{
	uint8_t *p = malloc(ETH_LEN + 40 + EXT_MAX + 8 + len);
	uint8_t *exact;
	size_t at;

	if (s->arrived)
		frames_free(s);
	memset(p, 0x52, ETH_LEN);
	put_be16(p + 12, s->v == 4 ? ETH_P_IP : ETH_P_IPV6);
	at = ETH_LEN + (s->v == 4 ? put_ip4 : put_ip6)(s, p + ETH_LEN, off,
						       len, more);
	memcpy(p + at, data, len);
	exact = realloc(p, at + len);
	memory_put(&s->mem, exact, at + len);
	s->frames[s->n++] = exact;
}

/* piece() - A fragment of the datagram is on its way */
static void piece(struct stage *s, size_t off, size_t len, bool more)
{
	piece_of(s, off, s->l4 + off, len, more);
}

/* arrive() - They get here; how many packets come of them */
static unsigned int arrive(struct stage *s)
{
	tap_release(&s->tap);
	tap_recv_burst(&s->tap, s->now);
	s->arrived = true;
	if (s->tap.fragments.reassembled)	/* it has memory of its own */
		frames_free(s);
	return s->tap.npkt;
}

/* is_whole() - Whether a packet is the datagram as the guest had it */
static bool is_whole(const struct stage *s, const struct pkt *p)
{
	static uint8_t buf[L4_MAX];

	return p->etype == (s->v == 4 ? ETH_P_IP : ETH_P_IPV6) &&
	       p->proto == s->proto && p->ttl == s->ttl && p->tos == s->tos &&
	       !p->df && addr_eq(&p->src, &s->src) &&
	       addr_eq(&p->dst, &s->dst) && p->l4len + p->len == s->len &&
	       !memcmp(p->l4, s->l4, p->l4len) &&
	       pkt_copy(p, buf, sizeof(buf)) == p->len &&
	       !memcmp(buf, s->l4 + p->l4len, p->len);
}

/* gets() - What is on its way makes one packet, the datagram */
static void gets(struct stage *s, const char *name)
{
	if (check_eq(named(s, name), arrive(s), 1))
		check(named(s, "and it is as it was before it was cut"),
		      is_whole(s, &s->tap.pkt[0]));
}

/* gets_none() - What is on its way makes nothing */
static void gets_none(struct stage *s, const char *name)
{
	check_eq(named(s, name), arrive(s), 0);
}

static void counted(const struct stage *s, const char *name,
		    enum fragment_counter c, uint64_t n)
{
	check_eq(named(s, name), s->tap.fragments.count[c], n);
}

/* RFC 791 3.2, RFC 8200 4.5: what was cut is put together */
static void test_orders(int v)
{
	static const size_t off[] = { 0, 1000, 2000 };
	static const uint8_t order[6][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
		{ 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	struct stage s;
	char name[80];
	unsigned int i, j, k;

	stage_open(&s, v);
	piece(&s, 0, 1480, MORE);
	gets_none(&s, "a half is waited for");
	piece(&s, 1480, 1520, LAST);
	gets(&s, "with the other half it is whole");
	check(named(&s, "it is good for now"), s.tap.fragments.reassembled);
	check_eq(named(&s, "but held no longer"),
		 s.tap.fragments.bytes, 0);
	tap_release(&s.tap);
	check(named(&s, "and its memory is given back"),
	      !s.tap.fragments.reassembled);

	for (i = 0; i < 6; i++) {
		datagram(&s, 3000);
		for (j = 0; j < 3; j++) {
			k = order[i][j];
			piece(&s, off[k], 1000, k < 2);
		}
		snprintf(name, sizeof(name), "thirds %u, %u, %u", order[i][0],
			 order[i][1], order[i][2]);
		gets(&s, name);
	}
	counted(&s, "fragments are counted", FRAG_FROM_GUEST, 20);
	counted(&s, "and datagrams", FRAG_REASSEMBLED, 7);
	check_eq(named(&s, "no frame was dropped"),
		 s.tap.count[TAP_FRAGMENT], 0);
	stage_close(&s);
}

/* The smallest fragments there are, even ones first */
static void test_smallest(int v)
{
	unsigned int i, turn, n = 0;
	struct stage s;

	stage_open(&s, v);
	datagram(&s, 400 * 8 + 3);
	for (turn = 0; turn < 2; turn++) {
		for (i = turn; i < 400; i += 2) {
			piece(&s, i * 8, 8, MORE);
			if (s.n == LINK_BURST)
				n += arrive(&s);
		}
	}
	check_eq(named(&s, "400 of 8 bytes are not all"), n + arrive(&s), 0);
	piece(&s, 3200, 3, LAST);
	gets(&s, "with 3 more they are");
	stage_close(&s);
}

/* Two at a time are not mixed up */
static void test_keys(int v)
{
	struct in6_addr other = addr(v == 4 ? "192.0.2.16" : "2001:db8::16");
	struct stage s, b;

	stage_open(&s, v);
	b = s;
	datagram(&b, 3000);
	piece(&s, 0, 1480, MORE);
	gets_none(&s, "the first half of one");
	s.id = b.id;
	piece_of(&s, 1480, b.l4 + 1480, 1520, LAST);
	gets_none(&s, "and the second of another");
	s.id--;
	piece(&s, 1480, 1520, LAST);
	gets(&s, "are not joined by anything but their own");

	s.id = b.id;
	datagram(&s, 3000);
	piece(&s, 0, 1480, MORE);
	s.dst = other;
	piece(&s, 1480, 1520, LAST);
	gets_none(&s, "a half to another host is no part of it");
	stage_family(&s, v);
	s.src = other;
	piece(&s, 1480, 1520, LAST);
	gets_none(&s, "nor is one from another");
	stage_family(&s, v);
	piece(&s, 1480, 1520, LAST);
	gets(&s, "but the right one is");

	datagram(&s, 3000);
	piece(&s, 0, 1480, MORE);
	s.proto = IPPROTO_TCP;
	piece(&s, 1480, 1520, LAST);
	s.proto = IPPROTO_UDP;
	if (v == 4)
		gets_none(&s, "RFC 791: another protocol is another datagram");
	else
		gets(&s, "RFC 8200: only the first fragment says what is next");
	stage_close(&s);
}

/* RFC 8200 4.5: exact duplicates may be ignored */
static void test_duplicates(int v)
{
	struct stage s;
	int i;

	stage_open(&s, v);
	for (i = 0; i < 3; i++) {
		piece(&s, 0, 1000, MORE);
		piece(&s, 2000, 1000, LAST);
	}
	gets_none(&s, "what comes again is not counted twice");
	piece(&s, 1000, 1000, MORE);
	gets(&s, "and does no harm");
	counted(&s, "nor is it an overlap", FRAG_OVERLAP, 0);

	datagram(&s, 2003);
	piece(&s, 1000, 1003, LAST);
	piece(&s, 1000, 1003, LAST);
	piece(&s, 0, 1000, MORE);
	gets(&s, "the last one twice, of odd length");
	stage_close(&s);
}

/**
 * contradiction() - One fragment more, and all is lost (RFC 5722)
 * @v:		family
 * @name:	what is wrong
 * @off, @len, @more: that fragment
 * @data:	its bytes, NULL: the datagram's own
 */
static void contradiction(int v, const char *name, size_t off, size_t len,
			  bool more, const uint8_t *data)
{
	struct stage s;

	stage_open(&s, v);
	piece(&s, 1000, 1000, MORE);
	piece(&s, 2000, 1000, LAST);
	piece_of(&s, off, data ? data : s.l4 + off, len, more);
	piece(&s, 0, 1000, MORE);
	gets_none(&s, name);
	counted(&s, "it is counted once", FRAG_OVERLAP, 1);
	piece(&s, 0, 1000, MORE);
	piece(&s, 1000, 1000, MORE);
	piece(&s, 2000, 1000, LAST);
	gets_none(&s, "what comes of it later is dropped, too");

	s.now += FRAG_TIMEOUT_MS;
	piece(&s, 0, 1000, MORE);
	piece(&s, 1000, 1000, MORE);
	piece(&s, 2000, 1000, LAST);
	gets(&s, "until it is forgotten");
	counted(&s, "which is no timeout", FRAG_TIMEOUT, 0);
	stage_close(&s);
}

static void test_contradictions(int v)
{
	static uint8_t other[4096];

	contradiction(v, "overlap in front", 504, 1000, MORE, NULL);
	contradiction(v, "overlap by 8 bytes", 504, 504, MORE, NULL);
	contradiction(v, "overlap of two", 1496, 1000, MORE, NULL);
	contradiction(v, "inside of one", 1200, 400, MORE, NULL);
	contradiction(v, "the start of one", 1000, 400, MORE, NULL);
	contradiction(v, "the end of one", 1600, 400, MORE, NULL);
	contradiction(v, "around one", 504, 2000, MORE, NULL);
	contradiction(v, "two as one", 1000, 2000, LAST, NULL);
	contradiction(v, "the same place, other bytes", 1000, 1000, MORE,
		      other);
	contradiction(v, "the last one, other bytes", 2000, 1000, LAST, other);
	contradiction(v, "an earlier end", 2000, 504, LAST, NULL);
	contradiction(v, "a later end", 3000, 8, LAST, NULL);
	contradiction(v, "more after the end", 3000, 8, MORE, NULL);
	contradiction(v, "the last one with more", 2000, 1000, MORE, NULL);
}

/* An end before what is there already */
static void test_end_too_early(int v)
{
	struct stage s;

	stage_open(&s, v);
	piece(&s, 2000, 504, MORE);
	piece(&s, 1000, 1000, LAST);
	piece(&s, 0, 1000, MORE);
	gets_none(&s, "an end before what is there already");
	counted(&s, "which contradicts it", FRAG_OVERLAP, 1);

	datagram(&s, 3000);
	piece(&s, 1000, 2000, MORE);
	piece(&s, 1000, 2000, LAST);
	piece(&s, 0, 1000, MORE);
	gets_none(&s, "the same bytes, first with more and then without");
	counted(&s, "contradict each other", FRAG_OVERLAP, 2);
	stage_close(&s);
}

/* RFC 8200 4.5: "then that fragment must be discarded" */
static void test_lengths(int v)
{
	struct stage s;

	stage_open(&s, v);
	piece(&s, 0, 1001, MORE);
	piece(&s, 0, 0, MORE);
	piece(&s, 1000, 0, LAST);
	gets_none(&s, "odd length and more, or nothing at all");
	check_eq(named(&s, "these are dropped by themselves"),
		 s.tap.count[TAP_FRAGMENT], 3);
	check_eq(named(&s, "and take no memory"), s.tap.fragments.bytes, 0);
	piece(&s, 0, 1000, MORE);
	piece(&s, 1000, 2000, LAST);
	gets(&s, "and are in no other datagram's way");
	stage_close(&s);
}

/* in_pieces() - The whole datagram, in fragments of 8000 bytes */
static void in_pieces(struct stage *s)
{
	size_t off, n;

	for (off = 0; off < s->len; off += n) {
		n = MIN(s->len - off, 8000);
		piece(s, off, n, off + n < s->len);
	}
}

/* 65,535 bytes are the most there can be */
static void test_longest(int v)
{
	size_t most = v == 4 ? 65515 : 65535;
	struct stage s;

	stage_open(&s, v);
	datagram(&s, most);
	in_pieces(&s);
	gets(&s, "the longest there is");

	datagram(&s, most);
	piece(&s, 0, 65512, MORE);
	piece_of(&s, 65512, s.l4, most + 1 - 65512, LAST);
	gets_none(&s, "one byte more");
	counted(&s, "can't be", FRAG_MALFORMED, 1);
	datagram(&s, 3000);
	piece_of(&s, 65528, s.l4, 1000, LAST);
	gets_none(&s, "nor can the ping of death");
	counted(&s, "it is counted", FRAG_MALFORMED, 2);

	/* Only with the first fragment's headers is it too long. */
	datagram(&s, most);
	piece(&s, 8, most - 8, LAST);
	gets_none(&s, "with headers of the shortest it would be whole");
	s.extlen = 8;
	memset(s.ext, v == 4, 8);
	s.first = IPPROTO_DSTOPTS;
	s.ext[0] = v == 4 ? 1 : IPPROTO_FRAGMENT;
	piece(&s, 0, 8, MORE);
	gets_none(&s, "but those of the first are longer");
	counted(&s, "so it can't be", FRAG_MALFORMED, 3);
	stage_close(&s);
}

static void test_time(int v)
{
	struct stage s;

	stage_open(&s, v);
	check_eq(named(&s, "nothing is due"),
		 reassembly_due(&s.tap.fragments), 0);
	piece(&s, 0, 1000, MORE);
	gets_none(&s, "the first of three");
	s.now += FRAG_TIMEOUT_MS / 2;
	piece(&s, 1000, 1000, MORE);
	gets_none(&s, "the second, later");
	check_eq(named(&s, "it is due 15 s after the first"),
		 reassembly_due(&s.tap.fragments),
		 s.now + FRAG_TIMEOUT_MS - FRAG_TIMEOUT_MS / 2);
	s.now += FRAG_TIMEOUT_MS - FRAG_TIMEOUT_MS / 2 - 1;
	piece(&s, 2000, 1000, LAST);
	gets(&s, "and whole at the last moment");

	datagram(&s, 3000);
	piece(&s, 0, 1000, MORE);
	piece(&s, 1000, 1000, MORE);
	gets_none(&s, "another one");
	s.now += FRAG_TIMEOUT_MS;
	piece(&s, 2000, 1000, LAST);
	gets_none(&s, "is forgotten after 15 s");
	counted(&s, "it is counted", FRAG_TIMEOUT, 1);

	s.now += FRAG_TIMEOUT_MS;
	reassembly_expire(&s.tap.fragments, s.now);
	check_eq(named(&s, "without a frame, too"), s.tap.fragments.n, 0);
	check_eq(named(&s, "and no memory is kept"), s.tap.fragments.bytes, 0);
	stage_close(&s);
}

/* The 65th pushes the oldest out */
static void test_table_full(int v)
{
	uint32_t first;
	struct stage s;
	unsigned int i;

	stage_open(&s, v);
	first = s.id;
	for (i = 0; i < FRAG_DATAGRAMS; i++) {
		piece(&s, 0, 1000, MORE);
		arrive(&s);
		datagram(&s, 3000);
		s.now++;
	}
	counted(&s, "64 datagrams are held", FRAG_NO_SPACE, 0);
	piece(&s, 0, 1000, MORE);
	gets_none(&s, "one more");
	check_eq(named(&s, "the bound holds"), s.tap.fragments.n,
		 FRAG_DATAGRAMS);
	counted(&s, "the oldest is evicted", FRAG_NO_SPACE, 1);
	piece(&s, 1000, 2000, LAST);
	gets(&s, "it is not the new one");
	s.id = first + 1;
	for (i = 0; i < s.len - 8; i++)
		s.l4[8 + i] = (uint8_t)((i + 8) * 7 + s.id);
	summed(&s, 6);
	piece(&s, 1000, 2000, LAST);
	gets(&s, "nor the second oldest");
	s.id = first;
	piece(&s, 1000, 2000, LAST);
	gets_none(&s, "but the oldest");
	stage_close(&s);
}

/* Fragments far from the start take the memory of what is before them */
static void test_memory_full(int v)
{
	size_t most = 0;
	struct stage s;
	unsigned int i;

	stage_open(&s, v);
	for (i = 0; i < 3 * FRAG_DATAGRAMS; i++) {
		piece_of(&s, 65000, s.l4, 8, MORE);
		arrive(&s);
		most = MAX(most, s.tap.fragments.bytes);
		s.id++;
	}
	check(named(&s, "at most 1 MiB is taken"), most <= FRAG_BYTES);
	check(named(&s, "most of it can be"), most > FRAG_BYTES / 10 * 9);
	check(named(&s, "those evicted are counted"),
	      s.tap.fragments.count[FRAG_NO_SPACE] > 2 * FRAG_DATAGRAMS);
	datagram(&s, 60000);
	in_pieces(&s);
	gets(&s, "a new one finds its place");
	s.now += FRAG_TIMEOUT_MS;
	reassembly_expire(&s.tap.fragments, s.now);
	tap_release(&s.tap);
	check_eq(named(&s, "all of it comes back"), s.tap.fragments.bytes, 0);
	stage_close(&s);
}

/* Many in one batch: each is good until the batch is done with */
static void test_batch(int v)
{
	struct stage s;
	unsigned int i;
	bool good = true;

	stage_open(&s, v);
	for (i = 0; i < 100; i++) {
		piece(&s, 1000, 2000, LAST);
		piece(&s, 0, 1000, MORE);
		s.id++;
	}
	check_eq(named(&s, "100 datagrams at once"), arrive(&s), 100);
	for (i = 0; i < s.tap.npkt; i++)
		good = good && is_whole(&s, &s.tap.pkt[i]);
	check(named(&s, "all as they were"), good);
	check_eq(named(&s, "they are one run"), tap_batch_len(&s.tap, 0), 100);
	stage_close(&s);
}

/* A MiB of datagrams that are by a few bytes longer than the MTU of 65520 */
static void test_long_batch(int v)
{
	size_t cut = v == 4 ? 65496 : 65472;
	struct stage s;
	unsigned int i;

	stage_open(&s, v);
	datagram(&s, 65515);
	for (i = 0; i < 64; i++) {
		piece(&s, 0, cut, MORE);
		piece(&s, cut, s.len - cut, LAST);
		s.id++;
	}
	check_eq(named(&s, "64 of the longest at once"), arrive(&s), 64);
	counted(&s, "there was space for all", FRAG_NO_SPACE, 0);
	stage_close(&s);
}

/* What is wrong with the whole is found as with any other packet */
static void test_whole_is_checked(int v)
{
	struct stage s;

	stage_open(&s, v);
	s.l4[2500] ^= 1;
	piece(&s, 0, 1000, MORE);
	piece(&s, 1000, 2000, LAST);
	gets_none(&s, "a bit was wrong");
	check_eq(named(&s, "the checksum tells"), s.tap.count[TAP_CHECKSUM],
		 1);

	datagram(&s, 3000);
	s.src = addr(v == 4 ? "224.0.0.1" : "ff02::1");
	piece(&s, 0, 1000, MORE);
	piece(&s, 1000, 2000, LAST);
	gets_none(&s, "from a group");
	check_eq(named(&s, "which can't be"), s.tap.count[TAP_ADDRESS], 1);
	stage_close(&s);
}

/* TCP and ICMP are put together, too */
static void test_protocols(int v)
{
	struct stage s;

	stage_open(&s, v);
	datagram(&s, 3000);
	s.proto = IPPROTO_TCP;
	s.l4[12] = 0x50;
	s.l4[13] = 0x18;
	summed(&s, 16);
	piece(&s, 0, 1480, MORE);
	piece(&s, 1480, 1520, LAST);
	gets(&s, "a TCP segment");

	datagram(&s, 3000);
	s.proto = v == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	memcpy(s.l4, v == 4 ? "\x08\0\0\0\x12\x34\0\1" :
			      "\x80\0\0\0\x12\x34\0\1", 8);
	summed(&s, 2);
	piece(&s, 0, 1480, MORE);
	piece(&s, 1480, 1520, LAST);
	gets(&s, "an echo request");
	check_eq(named(&s, "its identifier is known"), s.tap.pkt[0].sport,
		 0x1234);

	datagram(&s, 3000);
	s.proto = 132;
	piece(&s, 0, 1480, MORE);
	gets_none(&s, "what is not passed on");
	check(named(&s, "is not waited for"),
	      s.tap.count[TAP_PROTO] == 1 ||
	      s.tap.fragments.count[FRAG_MALFORMED] == 1);
	stage_close(&s);
}

/* Where the guest could change its frames, ours can't be */
static void test_shared(int v)
{
	struct stage s;

	stage_open(&s, v);
	s.mem.link.caps.shared = true;
	piece(&s, 0, 1480, MORE);
	piece(&s, 1480, 1520, LAST);
	gets(&s, "from memory that is the guest's");
	stage_close(&s);
}

/* Another guest has nothing to do with what the last one left */
static void test_guest_gone(int v)
{
	struct stage s;

	stage_open(&s, v);
	piece(&s, 0, 1480, MORE);
	gets_none(&s, "a half, and its guest goes");
	tap_guest_gone(&s.tap);
	check_eq(named(&s, "it goes with it"), s.tap.fragments.bytes, 0);
	tap_guest_new(&s.tap);
	piece(&s, 1480, 1520, LAST);
	gets_none(&s, "the next one's half is no part of it");
	stage_close(&s);
}

/* Random pieces: bounds hold whatever comes; nothing whole is wrong */
static void test_random(int v)
{
	bool bounded = true, good = true;
	struct stage s;
	uint32_t x = 12345;
	unsigned int i, j;
	size_t off, len;

	stage_open(&s, v);
	for (i = 0; i < 20000; i++) {
		x = x * 1664525 + 1013904223;
		s.id = x >> 25;
		off = (x >> 8) % 400 * 8;
		len = 8 + (x >> 16) % 64 * 8;
		if (x >> 24 < 4)
			off += 60000;
		piece(&s, off, MIN(len, sizeof(s.l4) - off), x >> 22 & 7);
		s.now += x >> 30;
		for (j = s.n == 64 ? arrive(&s) : 0; j; j--)
			good = good && is_whole(&s, &s.tap.pkt[j - 1]);
		bounded = bounded && s.tap.fragments.n <= FRAG_DATAGRAMS &&
			  s.tap.fragments.bytes <= FRAG_BYTES;
	}
	check(named(&s, "random pieces keep within bounds"), bounded);
	check(named(&s, "and what becomes whole is what was cut"), good);
	stage_close(&s);
}

/* IPv4: options, TTL and TOS are the first fragment's (RFC 791 3.2) */
static void test_header4(void)
{
	struct stage s;

	stage_open(&s, 4);
	s.df = true;
	s.extlen = 8;
	memcpy(s.ext, "\x94\4\0\0\1\1\1\1", 8);
	piece(&s, 0, 1480, MORE);
	s.extlen = 0;
	s.ttl = 7;
	s.tos = 1;
	piece(&s, 1480, 1520, LAST);
	stage_family(&s, 4);
	gets(&s, "options in the first fragment only, and DF");
	check_eq("they are skipped as ever", s.tap.pkt[0].l3len, 28);
	check_eq("the length is that of the whole",
		 get_be16(s.tap.pkt[0].l3 + 2), 28 + s.len);
	check_eq("and no fragment any more", get_be16(s.tap.pkt[0].l3 + 6), 0);
	check_eq("the header's checksum is right",
		 csum_ip4(s.tap.pkt[0].l3, 28), 0);

	datagram(&s, 3000);
	piece(&s, 1480, 1520, LAST);
	piece(&s, 0, 8, MORE);
	piece(&s, 8, 1472, MORE);
	gets(&s, "RFC 791: the first may be as short as 8 bytes");
	stage_close(&s);
}

/* ext6() - A destination options header of @len bytes, @next behind it */
static void ext6(uint8_t *p, uint8_t next, size_t len)
{
	memset(p, 0, len);
	p[0] = next;
	p[1] = (uint8_t)(len / 8 - 1);
	p[2] = 1;			/* PadN */
	p[3] = (uint8_t)(len - 4);
}

/* RFC 8200 4.5: headers that every fragment has, and those that are cut */
static void test_header6(void)
{
	struct stage s;

	stage_open(&s, 6);
	ext6(s.ext, IPPROTO_DSTOPTS, 16);
	ext6(s.ext + 16, IPPROTO_FRAGMENT, 8);
	s.extlen = 24;
	s.first = IPPROTO_HOPOPTS;
	piece(&s, 1480, 1520, LAST);
	piece(&s, 0, 1480, MORE);
	gets(&s, "headers before the fragment header");
	check_eq("are skipped as ever, without that one",
		 s.tap.pkt[0].l3len, 64);
	check_eq("the length is that of the whole",
		 get_be16(s.tap.pkt[0].l3 + 4), 24 + s.len);
	check_eq("the last of them says UDP", s.tap.pkt[0].l3[56],
		 IPPROTO_UDP);

	stage_family(&s, 6);
	datagram(&s, 3000);
	memmove(s.l4 + 16, s.l4, 2984);
	put_be16(s.l4 + 16 + 4, 2984);
	s.len = 2984;
	memmove(s.l4, s.l4 + 16, 2984);
	summed(&s, 6);
	memmove(s.l4 + 16, s.l4, 2984);
	ext6(s.l4, IPPROTO_UDP, 16);
	s.proto = IPPROTO_DSTOPTS;
	piece(&s, 0, 1480, MORE);
	s.proto = 59;
	piece(&s, 1480, 1520, LAST);
	s.proto = IPPROTO_UDP;
	memmove(s.l4, s.l4 + 16, 2984);
	gets(&s, "a header behind the fragment header");
	check_eq("is skipped, too", s.tap.pkt[0].l3len, 56);
	stage_close(&s);
}

/* cut_headers() - A first fragment that ends within the headers; the rest */
static void cut_headers(struct stage *s, const char *name, uint8_t proto,
			size_t at)
{
	uint64_t before = s->tap.fragments.count[FRAG_MALFORMED];

	s->id++;
	s->proto = proto;
	piece(s, at, s->len - at, LAST);
	piece(s, 0, at, MORE);
	gets_none(s, name);
	counted(s, "it is given up", FRAG_MALFORMED, before + 1);
	piece(s, at, s->len - at, LAST);
	piece(s, 0, at, MORE);
	gets_none(s, "and so is what comes of it later");
	counted(s, "without counting that", FRAG_MALFORMED, before + 1);
}

/* RFC 7112 5: the first fragment has all headers, up to the transport's */
static void test_chain6(void)
{
	struct stage s;

	stage_open(&s, 6);
	s.l4[12] = 0x80;
	cut_headers(&s, "TCP's header is cut", IPPROTO_TCP, 16);
	cut_headers(&s, "TCP's options are cut", IPPROTO_TCP, 24);
	ext6(s.l4, IPPROTO_UDP, 16);
	cut_headers(&s, "an extension header is cut", IPPROTO_DSTOPTS, 8);
	cut_headers(&s, "UDP's header is not there", IPPROTO_DSTOPTS, 16);
	ext6(s.l4, IPPROTO_FRAGMENT, 8);
	cut_headers(&s, "a fragment of a fragment", IPPROTO_DSTOPTS, 1480);
	cut_headers(&s, "of one at once", IPPROTO_FRAGMENT, 1480);
	stage_close(&s);
}

/* RFC 6946: a fragment that is all of it has nothing to do with others */
static void test_atomic6(void)
{
	struct stage s;

	stage_open(&s, 6);
	piece(&s, 1000, 2000, LAST);
	gets_none(&s, "the end of one is waited for");
	s.proto = IPPROTO_UDP;
	s.len = 100;
	put_be16(s.l4 + 4, 100);
	summed(&s, 6);
	piece(&s, 0, 100, LAST);
	gets(&s, "an atomic fragment of the same number is whole");
	counted(&s, "it contradicts nothing", FRAG_OVERLAP, 0);
	check_eq("and the other one is still held",
		 s.tap.fragments.n, 1);
	s.l4[50] ^= 1;
	piece(&s, 0, 100, LAST);
	gets_none(&s, "its checksum is looked at");
	stage_close(&s);
}

/* RFC 6980 5: neighbour discovery is never in fragments */
static void test_ndp6(void)
{
	struct stage s;

	stage_open(&s, 6);
	s.dst = addr("ff02::1:ff00:1");
	s.ttl = 255;
	s.proto = IPPROTO_ICMPV6;
	s.len = 32;
	memset(s.l4, 0, s.len);
	s.l4[0] = 135;
	summed(&s, 2);
	piece(&s, 0, 32, LAST);
	gets_none(&s, "a solicitation in an atomic fragment");
	piece(&s, 0, 16, MORE);
	piece(&s, 16, 16, LAST);
	gets_none(&s, "or in two");
	check_eq("they are counted as fragments", s.tap.count[TAP_FRAGMENT], 2);
	stage_close(&s);
}

int main(void)
{
	int v;

	for (v = 4; v <= 6; v += 2) {
		test_orders(v);
		test_smallest(v);
		test_keys(v);
		test_duplicates(v);
		test_contradictions(v);
		test_end_too_early(v);
		test_lengths(v);
		test_longest(v);
		test_time(v);
		test_table_full(v);
		test_memory_full(v);
		test_batch(v);
		test_long_batch(v);
		test_whole_is_checked(v);
		test_protocols(v);
		test_shared(v);
		test_guest_gone(v);
		test_random(v);
	}
	test_header4();
	test_header6();
	test_chain6();
	test_atomic6();
	test_ndp6();
	return unit_end();
}
