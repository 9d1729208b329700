// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * reassemble_headers.c - Tests of the headers of fragments: a datagram gets the
 * headers of its first fragment (RFC 791 3.2, RFC 8200 4.5), and the first
 * fragment must have all headers (RFC 7112). A fragment may be a whole datagram
 * (RFC 6946). Neighbour discovery in fragments is dropped (RFC 6980).
 */
#include "../../tap/reassemble.c"
#include "test/unit/fragments.h"

/* Given IPv4 fragments with different headers, then the datagram has the
 * options, TTL and TOS of the first fragment (RFC 791 3.2). */
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

/* ext6() - Write a destination options header of @len bytes, whose Next Header
 * is @next */
static void ext6(uint8_t *p, uint8_t next, size_t len)
{
	memset(p, 0, len);
	p[0] = next;
	p[1] = (uint8_t)(len / 8 - 1);
	p[2] = 1;			/* PadN */
	p[3] = (uint8_t)(len - 4);
}

/* Given extension headers before the fragment header, or after it, then the
 * reassembled datagram has them, and its transport header is found after them
 * (RFC 8200 4.5). */
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

/* cut_headers() - Check that a datagram is discarded if its first fragment has
 * only the first @at bytes, in which not all headers are complete */
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

/* Given a first fragment that ends before the end of the transport header, then
 * the datagram is discarded (RFC 7112 5). */
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

/* Given an atomic fragment, which is a whole datagram, then it is not joined
 * with other fragments that have the same identification (RFC 6946). */
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

/* Given a neighbour solicitation in fragments, then it is dropped (RFC 6980
 * 5). */
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
	test_header4();
	test_header6();
	test_chain6();
	test_atomic6();
	test_ndp6();
	return unit_end();
}
