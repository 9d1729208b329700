// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * reassemble.c - Tests of the reassembly of fragments from the guest (RFC 791
 * 3.2, RFC 8200 4.5, RFC 5722): the order of fragments, fragments that
 * contradict each other, datagrams that stay incomplete, and bounds of memory.
 * The headers of fragments are tested in reassemble_headers.c.
 */
#include "../../tap/reassemble.c"
#include "test/unit/fragments.h"

/* Given fragments in any order, then the datagram is reassembled (RFC 791 3.2,
 * RFC 8200 4.5). */
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

/* Given a datagram in fragments of 8 bytes, which are the shortest possible,
 * when the fragments with an even index arrive before all others, then the
 * datagram is reassembled. */
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

/* Given fragments of two datagrams, which differ in identification, an address
 * or (IPv4) the protocol, then they are not mixed up. */
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

/* Given an exact duplicate of a fragment, then it is ignored (RFC 8200 4.5). */
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
 * contradiction() - Check that a fragment which contradicts the others makes
 * passt discard the whole datagram (RFC 5722)
 * @v:		IP version, 4 or 6
 * @name:	what is wrong with the fragment
 * @off, @len:	offset of the fragment in the datagram, and its length, bytes
 * @more:	it has the flag More Fragments
 * @data:	its bytes; NULL: those of the datagram at @off
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

/* Given a last fragment that ends before the end of an earlier fragment, then
 * the datagram is discarded. The same holds if the last fragment has the same
 * bytes as an earlier one that was not marked as the last. */
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

/* Given a fragment that is empty, then only this fragment is discarded (RFC
 * 8200 4.5). The same holds for a fragment whose length is no multiple of 8,
 * unless it is the last of its datagram. */
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

/* in_pieces() - Send the whole datagram in fragments of 8000 bytes */
static void in_pieces(struct stage *s)
{
	size_t off, n;

	for (off = 0; off < s->len; off += n) {
		n = MIN(s->len - off, 8000);
		piece(s, off, n, off + n < s->len);
	}
}

/* Given a datagram of 65,535 bytes (including the header for IPv4), then it is
 * reassembled. A longer datagram is discarded. */
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

	/* Only the options in the first fragment make the datagram too long. */
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

/* Given 64 incomplete datagrams, when the 65th begins, then the oldest is
 * evicted. */
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

/* Given fragments at high offsets, which take memory for all bytes before them,
 * then all datagrams together take at most FRAG_BYTES. */
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

/* Given fragments of many datagrams in one burst, then each datagram is valid
 * until the burst is released. */
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
	check_eq(named(&s, "they are one batch"), tap_batch_len(&s.tap, 0), 100);
	stage_close(&s);
}

/* Given fragments of 64 datagrams in one burst, each a few bytes longer than
 * the MTU of 65520, then all datagrams are reassembled. */
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

/* Given a reassembled datagram with a wrong checksum or an impossible source
 * address, then it is dropped like a packet that came in one piece. */
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

/* Given fragments of a TCP segment or an echo request, then they are
 * reassembled. Fragments of a protocol that passt drops are not stored. */
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

/* Given a link whose frames are in memory that the guest can write to, then
 * datagrams are reassembled as on any other link. */
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

/* Given the first half of a datagram, when its guest is gone, then the memory
 * is freed, and the second half from a new guest completes nothing. */
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

/* Given random fragments, then passt stores no more of them than FRAG_DATAGRAMS
 * and FRAG_BYTES allow, and each reassembled datagram has the right bytes. */
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
	return unit_end();
}
