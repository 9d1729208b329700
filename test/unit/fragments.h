/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * fragments.h - A test bench for reassembly: a guest cuts a datagram into
 * fragments as a test case needs them, and its frames come through
 * tap_recv_burst() as from a real link. Tests include this file after the file
 * under test.
 */
#ifndef TEST_UNIT_FRAGMENTS_H
#define TEST_UNIT_FRAGMENTS_H

#include "checksum.h"
#include "test/memory.h"
#include "test/unit/addr.h"
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
 * struct stage - A guest, and passt's end of its link
 * @mem, @tap:	passt's end
 * @now:	simulated time, ms
 * @v:		IP version of the guest's packets, 4 or 6
 * @id, @proto, @ttl, @tos, @df: values for the IP header
 * @src, @dst:	addresses for the IP header
 * @ext, @extlen: IPv4 options, or IPv6 headers before the fragment header
 * @first:	IPv6: type of the first header in @ext
 * @l4, @len:	the datagram that the guest cuts, from the transport header on
 * @frames, @n:	frames that the guest has sent, and their number
 * @arrived:	passt has received these frames
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

/* named() - Append the IP version to a check's name */
static const char *named(const struct stage *s, const char *name)
{
	static char buf[200];

	snprintf(buf, sizeof(buf), "%s, v%d", name, s->v);
	return buf;
}

/* summed() - Compute the datagram's checksum, and write it at offset @at */
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

/* datagram() - Make a UDP datagram of @len bytes with its header, for the guest
 * to cut */
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

/* put_ip4() - Write the IPv4 header of a fragment; return its length */
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

/* put_ip6() - Write the IPv6 headers of a fragment (RFC 8200 4.5); return their
 * length */
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

/* piece_of() - Let the guest send a fragment with the payload @data */
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

/* piece() - Let the guest send a fragment of its datagram */
static void piece(struct stage *s, size_t off, size_t len, bool more)
{
	piece_of(s, off, s->l4 + off, len, more);
}

/* arrive() - Let passt receive the guest's frames; return how many packets it
 * gets */
static unsigned int arrive(struct stage *s)
{
	tap_release(&s->tap);
	tap_recv_burst(&s->tap, s->now);
	s->arrived = true;
	/* A reassembled packet is a copy, so its frames can be freed. */
	if (s->tap.fragments.reassembled)
		frames_free(s);
	return s->tap.npkt;
}

/* is_whole() - Whether a packet is the datagram that the guest has cut */
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

/* gets() - Check that passt gets one packet from the guest's frames: the
 * datagram that the guest has cut */
static void gets(struct stage *s, const char *name)
{
	if (check_eq(named(s, name), arrive(s), 1))
		check(named(s, "and it is as it was before it was cut"),
		      is_whole(s, &s->tap.pkt[0]));
}

/* gets_none() - Check that passt gets no packet from the guest's frames */
static void gets_none(struct stage *s, const char *name)
{
	check_eq(named(s, name), arrive(s), 0);
}

static void counted(const struct stage *s, const char *name,
		    enum fragment_counter c, uint64_t n)
{
	check_eq(named(s, name), s->tap.fragments.count[c], n);
}

#endif /* TEST_UNIT_FRAGMENTS_H */
