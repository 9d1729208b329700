// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * fragment.c - Packets longer than the guest's MTU go to the guest in fragments
 * (RFC 791 3.2, RFC 8200 4.5, RFC 6864).
 *
 * The test checks each byte of the fragments and joins them itself. Then it
 * gives them to passt's reassembly, which joins them again in place of a guest.
 */
#include "../../tap/fragment.c"

#include <stdlib.h>

#include "test/memory.h"
#include "test/unit/addr.h"
#include "test/unit/l4.h"
#include "test/unit/unit.h"

#define ETH_LEN		14
#define L4_MAX		65535

/**
 * struct stage - Both ends of a guest's link
 * @mem, @tap, @net: passt's end
 * @gmem, @gtap, @gnet: the guest's end
 * @v:		IP version, 4 or 6
 * @ip:		contents of the IP header to send
 * @l4, @len:	transport header and payload to send, and their length
 * @joined:	payloads of all fragments, joined by read_all()
 */
struct stage {
	struct memory mem, gmem;
	struct tap tap, gtap;
	struct net net, gnet;
	int v;
	struct ip_hdr ip;
	uint8_t l4[L4_MAX];
	size_t len;
	uint8_t joined[L4_MAX + 8];
	uint8_t covered[L4_MAX + 8];
};

static const char *named(const struct stage *s, const char *name)
{
	static char buf[200];

	snprintf(buf, sizeof(buf), "%s, v%d", name, s->v);
	return buf;
}

static void stage_open(struct stage *s, int v, uint32_t mtu)
{
	static const uint8_t mac[MAC_LEN] = { 0x9a, 0x55, 0x9a, 0x55, 0x9a };
	static const uint8_t guest[MAC_LEN] = { 0x52, 0x54, 0, 0x12 };

	memset(s, 0, sizeof(*s));
	csum_init();
	if (memory_open(&s->mem, 1 << 18) || memory_open(&s->gmem, 64))
		exit(1);
	memcpy(s->net.lease.mac, mac, MAC_LEN);
	memcpy(s->gnet.lease.mac, guest, MAC_LEN);
	s->net.mtu = mtu ? mtu : 65520;	/* with -m 0, passt uses 65520 */
	tap_init(&s->tap, &s->mem.link, s->mem.queue, &s->net);
	tap_init(&s->gtap, &s->gmem.link, s->gmem.queue, &s->gnet);
	memcpy(s->tap.guest.mac, guest, MAC_LEN);
	tap_show_mtu(&s->tap, s->net.mtu);
	s->v = v;
	s->ip = (struct ip_hdr){
		.src = addr(v == 4 ? "198.51.100.1" : "2001:db8:2::1"),
		.dst = addr(v == 4 ? "192.0.2.15" : "2001:db8::15"),
		.proto = IPPROTO_UDP, .ttl = 55, .tos = 0xb9,
	};
}

static void stage_close(struct stage *s)
{
	tap_guest_gone(&s->gtap);
	link_close(&s->mem.link);
	link_close(&s->gmem.link);
}

/* sends() - Send the guest a datagram of @len bytes, with its UDP header;
 * return the number of frames that were sent */
static unsigned int sends(struct stage *s, size_t len)
{
	size_t i;

	memory_clear(&s->mem);
	s->len = len;
	for (i = 8; i < len; i++)
		s->l4[i] = (uint8_t)(i * 11 + len);
	put_be16(s->l4, 7);
	put_be16(s->l4 + 2, 4000);
	put_be16(s->l4 + 4, (uint16_t)len);
	/* A wrong checksum, which passt must replace. */
	put_be16(s->l4 + 6, 0xdead);
	if (tap_ip_send(&s->tap, &s->ip, s->l4, len))
		return 0;
	link_flush(s->mem.queue);
	return s->mem.nsent;
}

/* frame_of() - Get the IP packet in frame @i; @len is set to its length */
static uint8_t *frame_of(const struct stage *s, unsigned int i, size_t *len)
{
	*len = s->mem.sent[i].iov_len - ETH_LEN;
	return (uint8_t *)s->mem.sent[i].iov_base + ETH_LEN;
}

/* read4() - Parse an IPv4 fragment (RFC 791); return what is wrong, or NULL */
static const char *read4(const struct stage *s, const uint8_t *p, size_t len,
			 struct fragment *f)
{
	struct in_addr src = addr_v4(&s->ip.src), dst = addr_v4(&s->ip.dst);

	if (len < 20 || p[0] != 0x45 || csum_ip4(p, 20) ||
	    get_be16(p + 2) != len)
		return "header";
	if (p[1] != s->ip.tos || p[8] != s->ip.ttl || p[9] != s->ip.proto ||
	    memcmp(p + 12, &src, 4) || memcmp(p + 16, &dst, 4))
		return "not that of the datagram";
	if (p[6] & 0xc0)
		return "DF, or the bit that must be zero";
	f->id = get_be16(p + 4);
	f->off = (get_be16(p + 6) & 0x1fff) * 8U;
	f->more = p[6] & 0x20;
	f->hdrlen = 20;
	return NULL;
}

/* read6() - Parse an IPv6 fragment (RFC 8200 4.5); return what is wrong, or
 * NULL */
static const char *read6(const struct stage *s, const uint8_t *p, size_t len,
			 struct fragment *f)
{
	if (len < 48 || p[0] >> 4 != 6 || get_be16(p + 4) != len - 40 ||
	    p[6] != 44)
		return "header";
	if ((get_be16(p) >> 4 & 0xff) != s->ip.tos || p[7] != s->ip.ttl ||
	    memcmp(p + 8, &s->ip.src, 16) || memcmp(p + 24, &s->ip.dst, 16))
		return "not that of the datagram";
	if (p[40] != s->ip.proto || p[41] || p[43] & 6)
		return "fragment header";
	f->id = get_be32(p + 44);
	f->off = get_be16(p + 42) & 0xfff8;
	f->more = p[43] & 1;
	f->hdrlen = 48;
	return NULL;
}

/**
 * read_all() - Join the fragments that were sent
 * @s:		test bench; @joined is filled
 * @mtu:	bytes that no fragment may exceed
 * @id:		set to the identification that all fragments have
 *
 * Return: what is wrong, or NULL
 */
static const char *read_all(struct stage *s, size_t mtu, uint32_t *id)
{
	struct fragment f;
	const char *wrong;
	size_t len, at = 0;
	unsigned int i;
	uint8_t *p;

	memset(s->joined, 0, sizeof(s->joined));
	for (i = 0; i < s->mem.nsent; i++) {
		p = frame_of(s, i, &len);
		wrong = (s->v == 4 ? read4 : read6)(s, p, len, &f);
		if (wrong)
			return wrong;
		if (len > mtu)
			return "longer than the MTU";
		if (i && f.id != *id)
			return "another number";
		if (f.off != at)
			return "not in order";
		if (f.more == (i == s->mem.nsent - 1))
			return "more fragments, or not";
		len -= f.hdrlen;
		if (f.more && (len % 8 || len + f.hdrlen + 8 <= mtu))
			return "not as long as can be";
		memcpy(s->joined + at, p + f.hdrlen, len);
		at += len;
		*id = f.id;
	}
	return at == s->len ? NULL : "length";
}

/* check_joined() - Check that @joined is the datagram, with a correct
 * checksum */
static void check_joined(struct stage *s)
{
	struct iovec iov = { s->joined, s->len };
	uint16_t check = s->ip.proto == IPPROTO_ICMP ?
		csum_fold(csum_add(s->joined, s->len, 0)) :
		csum_l4(&s->ip.src, &s->ip.dst, s->ip.proto, &iov, 1);
	size_t at = s->ip.proto == IPPROTO_UDP ? 6 : 2;

	check_eq(named(s, "the checksum is that of the whole"), check, 0);
	memcpy(s->joined + at, s->l4 + at, 2);
	check_mem(named(s, "and so are all other bytes"), s->joined, s->l4,
		  s->len);
}

/* check_put_together() - Let the guest receive the fragments, and check that it
 * reassembles the datagram */
static void check_put_together(struct stage *s)
{
	struct pkt *p = &s->gtap.pkt[0];
	static uint8_t buf[L4_MAX];
	unsigned int i, npkt = 0;

	for (i = 0; i < s->mem.nsent; i++) {
		memory_put(&s->gmem, s->mem.sent[i].iov_base,
			   s->mem.sent[i].iov_len);
		if (s->gmem.count == LINK_BURST || i == s->mem.nsent - 1)
			npkt += (tap_recv_burst(&s->gtap, 0), s->gtap.npkt);
	}
	if (check_eq(named(s, "the guest gets one datagram"), npkt, 1))
		check(named(s, "and it is the one that was sent"),
		      p->len == s->len - 8 && p->dport == 4000 &&
		      pkt_copy(p, buf, sizeof(buf)) == p->len &&
		      !memcmp(buf, s->l4 + 8, p->len));
	tap_release(&s->gtap);
}

/* Given a packet that is as long as the MTU, then it is sent in one frame.
 * Given a packet that is a byte longer, then it is sent in two fragments. */
static void test_border(int v)
{
	size_t hlen = v == 4 ? 20 : 40, len;
	struct stage s;
	uint32_t id, next;
	const char *wrong;
	uint8_t *p;

	stage_open(&s, v, 1500);
	check_eq(named(&s, "as long as the MTU: one frame"),
		 sends(&s, 1500 - hlen), 1);
	p = frame_of(&s, 0, &len);
	check_eq(named(&s, "which is no fragment"), len, 1500);
	check(named(&s, "and says so"), v == 4 ?
	      get_be16(p + 6) == 0x4000 && !get_be16(p + 4) : p[6] == 17);
	check_eq(named(&s, "nothing is counted"),
		 s.tap.fragments.count[FRAG_TO_GUEST], 0);

	check_eq(named(&s, "a byte more: two"), sends(&s, 1501 - hlen), 2);
	wrong = read_all(&s, 1500, &id);
	check(named(&s, wrong ? wrong : "each is as it should be"), !wrong);
	check_joined(&s);
	check_put_together(&s);
	check_eq(named(&s, "both are counted"),
		 s.tap.fragments.count[FRAG_TO_GUEST], 2);
	check_eq(named(&s, "as frames, too"), s.tap.count[TAP_TO_GUEST], 3);

	sends(&s, 3000);
	wrong = read_all(&s, 1500, &next);
	check(named(&s, wrong ? wrong : "the next one likewise"), !wrong);
	check(named(&s, "it has another number"), next != id);
	check(named(&s, "the Ethernet header is the same"),
	      !memcmp((uint8_t *)s.mem.sent[0].iov_base, s.tap.guest.mac, 6) &&
	      !memcmp((uint8_t *)s.mem.sent[0].iov_base,
		      (uint8_t *)s.mem.sent[1].iov_base, ETH_LEN));
	stage_close(&s);
}

/**
 * longest() - Send the longest possible datagram, and check its fragments
 * @v:		IP version
 * @mtu:	MTU of the guest, 0: not known
 * @most:	limit for bytes of a fragment
 * @frames:	number of fragments that are expected
 */
static void longest(int v, uint32_t mtu, size_t most, unsigned int frames)
{
	const char *wrong;
	struct stage s;
	char name[80];
	uint32_t id;

	stage_open(&s, v, mtu);
	snprintf(name, sizeof(name), "the longest with an MTU of %u", mtu);
	check_eq(named(&s, name), sends(&s, v == 4 ? 65515 : 65535), frames);
	wrong = read_all(&s, most, &id);
	check(named(&s, wrong ? wrong : "each is as it should be"), !wrong);
	check_joined(&s);
	check_put_together(&s);
	stage_close(&s);
}

/* Given a UDP checksum that is computed as 0, then 0xffff is sent (RFC 768). */
static void test_zero_checksum(int v)
{
	struct iovec iov;
	struct stage s;
	uint16_t check;
	uint32_t id;

	stage_open(&s, v, 1280);
	sends(&s, 3000);

	/* Set the last word of the data so that the checksum is 0. */
	memset(s.l4 + 6, 0, 2);
	memset(s.l4 + 2998, 0, 2);
	iov = (struct iovec){ s.l4, s.len };
	check = csum_l4(&s.ip.src, &s.ip.dst, IPPROTO_UDP, &iov, 1);
	memcpy(s.l4 + 2998, &check, 2);

	memory_clear(&s.mem);
	tap_ip_send(&s.tap, &s.ip, s.l4, s.len);
	link_flush(s.mem.queue);
	read_all(&s, 1280, &id);
	check_eq(named(&s, "a checksum of zero is sent as ones"),
		 get_be16(s.joined + 6), 0xffff);
	stage_close(&s);
}

/* Given an echo reply that consists of zeros except for its checksum, then the
 * guest gets the checksum 0xffff, and not 0: the sum of zeros is 0, and not
 * 0xffff, which is the other zero of the one's complement. */
static void test_zeros(size_t len)
{
	struct stage s;
	uint32_t id;
	uint8_t *p;
	size_t n;

	stage_open(&s, 4, 1500);
	s.ip.proto = IPPROTO_ICMP;
	s.len = len;
	put_be16(s.l4 + 2, 0xffff);
	memory_clear(&s.mem);
	tap_ip_send(&s.tap, &s.ip, s.l4, len);
	link_flush(s.mem.queue);
	p = frame_of(&s, 0, &n);
	if (len > 1480)
		check("and it may come in fragments", !read_all(&s, 1500, &id));
	check_eq("a message of zeros has a checksum of ones",
		 get_be16(p + 20 + 2), 0xffff);
	stage_close(&s);
}

static void test_icmp(int v)
{
	const char *wrong;
	struct stage s;
	uint32_t id;

	stage_open(&s, v, 1500);
	s.ip.proto = v == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	sends(&s, 5000);
	wrong = read_all(&s, 1500, &id);
	check(named(&s, wrong ? wrong : "an ICMP message likewise"), !wrong);
	check_joined(&s);
	stage_close(&s);
}

/* Given a guest that does not read, when the link has no space for all
 * fragments of a datagram, then none of them is sent. When the guest reads
 * again, later datagrams arrive. */
static void test_stalled(int v)
{
	struct stage s;
	unsigned int i;

	stage_open(&s, v, 1500);
	s.mem.stalled = true;
	for (i = 0; i < 4; i++)
		sends(&s, 60000);
	memory_clear(&s.mem);
	s.mem.size = 4000;
	check_eq(named(&s, "with space for two of them"),
		 tap_ip_send(&s.tap, &s.ip, s.l4, 60000), -ENOBUFS);
	check_eq(named(&s, "it is counted once"), s.tap.count[TAP_NO_SPACE], 1);
	s.mem.stalled = false;
	link_flush(s.mem.queue);
	memory_clear(&s.mem);
	check_eq(named(&s, "when it reads again all is well"),
		 sends(&s, 2000), 2);
	check_put_together(&s);
	stage_close(&s);
}

int main(void)
{
	int v;

	for (v = 4; v <= 6; v += 2) {
		test_border(v);
		longest(v, 1500, 1500, v == 4 ? 45 : 46);
		longest(v, 0, 65535 - ETH_LEN, 2);
		longest(v, 65520, 65520, 2);
		test_zero_checksum(v);
		test_icmp(v);
		test_stalled(v);
	}
	test_zeros(8);
	test_zeros(60);
	test_zeros(3000);
	longest(4, 576, 576, 119);	/* 552 bytes of data in each */
	longest(4, 100, 100, 819);	/* 80 bytes of data in each */
	longest(6, 1280, 1280, 54);	/* 1232 bytes of data in each */
	longest(6, 68, 1280, 54);	/* minimum MTU, RFC 8200 5 */
	return unit_end();
}
