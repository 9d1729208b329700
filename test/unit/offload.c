// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * offload.c - Tests of the metadata of frames from the guest: GSO frames and
 * frames with partial checksums are accepted, and a frame that contradicts its
 * metadata is dropped.
 */
#include <stdlib.h>

#include "../../tap/parse.c"
#include "test/memory.h"
#include "test/unit/net.h"
#include "test/unit/unit.h"

#define V4	"192.0.2.15", "198.51.100.1"
#define V6	"2001:db8::15", "2001:db8:1::1"
#define L4	(ETH_HLEN + IP4_HLEN)
#define L6	(ETH_HLEN + IP6_HLEN)
#define PARTIAL(start, offset) \
	.meta = { .csum = LINK_CSUM_PARTIAL, .csum_start = start, \
		  .csum_offset = offset
#define GSO(type, size)	.gso = LINK_GSO_##type, .gso_size = size }

static uint8_t frame[LINK_GSO_MAX];

/* build() - Build a frame with @len bytes of payload, whose checksum covers
 * only the pseudo-header; returns the length of the frame */
static size_t build(const char *src, const char *dst, uint8_t proto, size_t len)
{
	struct ip_hdr ip = { .proto = proto };
	size_t hlen = proto == IPPROTO_TCP ? TCP_HLEN : UDP_HLEN, l4;
	uint16_t check;

	addr_parse(src, &ip.src);
	addr_parse(dst, &ip.dst);
	memset(frame, 7, ETH_HLEN);
	put_be16(frame + 12, addr_is_v4(&ip.dst) ? ETH_P_IP : ETH_P_IPV6);
	l4 = ETH_HLEN + ip_hdr_put(frame + ETH_HLEN, &ip);
	ip_set_len(frame + ETH_HLEN, l4 - ETH_HLEN + hlen + len);
	memset(frame + l4, 0, hlen);
	put_be16(frame + l4, 1234);
	put_be16(frame + l4 + 2, 80);
	if (proto == IPPROTO_TCP)
		frame[l4 + 12] = TCP_HLEN / 4 << 4;
	else
		put_be16(frame + l4 + 4, (uint16_t)(hlen + len));
	memset(frame + l4 + hlen, 'x', len);
	check = (uint16_t)~csum_fold(csum_pseudo(&ip.src, &ip.dst, proto,
						 (uint32_t)(hlen + len)));
	memcpy(frame + l4 + l4_csum_offset(proto), &check, sizeof(check));
	return l4 + hlen + len;
}

/**
 * struct claim - A frame, its metadata, and what must become of it
 * @name:	name of the check
 * @src, @dst, @proto: addresses and protocol of the frame
 * @len:	length of its payload, bytes
 * @meta:	its metadata
 * @want:	counter of the reason to drop it, DROP_NONE: it is accepted
 */
struct claim {
	const char *name, *src, *dst;
	uint8_t proto;
	size_t len;
	struct frame_meta meta;
	enum tap_counter want;
};

static const struct claim claims[] = {
	{ "a partial checksum of TCP is taken", V4, IPPROTO_TCP, 100,
	  PARTIAL(L4, 16) } },
	{ "over IPv6", V6, IPPROTO_TCP, 100, PARTIAL(L6, 16) } },
	{ "of UDP", V4, IPPROTO_UDP, 100, PARTIAL(L4, 6) } },
	{ "without payload", V4, IPPROTO_TCP, 0, PARTIAL(L4, 16) } },
	{ "as a full one it is wrong", V4, IPPROTO_TCP, 100,
	  .want = TAP_CHECKSUM },
	{ "that is known to be right is not looked at", V4, IPPROTO_TCP, 100,
	  .meta.csum = LINK_CSUM_OK },
	{ "one that starts before the header is dropped", V4, IPPROTO_TCP, 100,
	  PARTIAL(L4 - 2, 16) }, TAP_OFFLOAD },
	{ "or in the payload", V4, IPPROTO_TCP, 100, PARTIAL(L4 + 30, 16) },
	  TAP_OFFLOAD },
	{ "or beyond the frame", V4, IPPROTO_TCP, 100, PARTIAL(60000, 16) },
	  TAP_OFFLOAD },
	{ "or whose field is elsewhere", V4, IPPROTO_TCP, 100, PARTIAL(L4, 6) },
	  TAP_OFFLOAD },

	{ "a GSO frame of TCP is one segment", V4, IPPROTO_TCP, 60000,
	  PARTIAL(L4, 16), GSO(TCP4, 1460) },
	{ "the longest there is, too", V4, IPPROTO_TCP, 65535 - 40,
	  PARTIAL(L4, 16), GSO(TCP4, 1460) },
	{ "over IPv6, too", V6, IPPROTO_TCP, 65535 - 20,
	  PARTIAL(L6, 16), GSO(TCP6, 1440) },
	{ "of one segment, too", V4, IPPROTO_TCP, 1460,
	  PARTIAL(L4, 16), GSO(TCP4, 1460) },
	{ "a GSO frame of UDP is many datagrams", V4, IPPROTO_UDP, 60000,
	  PARTIAL(L4, 6), GSO(UDP, 1400) },
	{ "one of the wrong family is dropped", V4, IPPROTO_TCP, 6000,
	  PARTIAL(L4, 16), GSO(TCP6, 1460), TAP_OFFLOAD },
	{ "or of the wrong protocol", V4, IPPROTO_UDP, 6000,
	  PARTIAL(L4, 6), GSO(TCP4, 1460), TAP_OFFLOAD },
	{ "or of UDP that is TCP", V6, IPPROTO_TCP, 6000,
	  PARTIAL(L6, 16), GSO(UDP, 1400), TAP_OFFLOAD },
	{ "or with segments of no size", V4, IPPROTO_TCP, 6000,
	  PARTIAL(L4, 16), GSO(TCP4, 0), TAP_OFFLOAD },
	{ "or of more than all of it", V4, IPPROTO_TCP, 6000,
	  PARTIAL(L4, 16), GSO(TCP4, 6001), TAP_OFFLOAD },
	{ "or of a type that does not exist", V4, IPPROTO_TCP, 6000,
	  .meta = { .csum = LINK_CSUM_OK, .gso = 77, .gso_size = 1000 },
	  TAP_OFFLOAD },
	{ "or with one checksum over all of it", V4, IPPROTO_TCP, 6000,
	  .meta = { GSO(TCP4, 1460), TAP_OFFLOAD },
};

/* parse() - Parse a frame that lies in memory as @mode says; returns DROP_NONE
 * or the counter of the reason to drop it */
static enum tap_counter parse(enum memory_mode mode, size_t len,
			      struct frame_meta meta, struct pkt *pkt)
{
	static uint8_t copy[PKT_HDR_MAX];
	static struct memory m;
	struct fragment frag;
	enum tap_counter drop;

	memory_open_as(&m, 4096, mode);
	memory_put_meta(&m, frame, len, meta);
	link_refill(m.queue);
	drop = parse_frame(m.queue->from_guest, m.link.caps.shared, copy, pkt,
			   &frag);
	if (drop == DROP_NONE)
		pkt->iovcnt = (unsigned int)iov_copy(frame, 4, pkt->iov,
						     pkt->iovcnt);
	link_release(m.queue);
	link_close(&m.link);
	return drop;
}

static void story_claims(enum memory_mode mode)
{
	const struct claim *c;
	enum tap_counter got;
	struct pkt pkt;
	size_t len;

	printf("# %s\n", memory_mode_name[mode]);
	for (c = claims; c < claims + ARRAY_SIZE(claims); c++) {
		len = build(c->src, c->dst, c->proto, c->len);
		got = parse(mode, len, c->meta, &pkt);
		if (got != c->want)
			fail(c->name, "got %u, want %u", got, c->want);
		else if (got != DROP_NONE || (pkt.len == c->len &&
			 pkt.gso_size == (c->meta.gso ? c->meta.gso_size : 0) &&
			 pkt.csum_partial ==
			 (c->meta.csum == LINK_CSUM_PARTIAL)))
			pass(c->name);
		else
			fail(c->name, "%u bytes of %u", pkt.len, pkt.gso_size);
	}
}

/* Given a length of zero in the IP header, by which kernels mark a GSO frame of
 * more than 64 KiB (BIG TCP), then the frame is dropped: passt does not offer
 * such frames to the guest. */
static void story_big_tcp(void)
{
	struct frame_meta meta = {
		.csum = LINK_CSUM_PARTIAL, .csum_start = L6, .csum_offset = 16,
		.gso = LINK_GSO_TCP6, .gso_size = 1440,
	};
	size_t len = build(V6, IPPROTO_TCP, 60000);
	struct pkt pkt;

	put_be16(frame + ETH_HLEN + 4, 0);
	check_eq("an IPv6 length of zero is dropped",
		 parse(MEMORY_CONTIGUOUS, len, meta, &pkt), TAP_SHORT);
	len = build(V4, IPPROTO_TCP, 60000);
	meta.csum_start = L4;
	meta.gso = LINK_GSO_TCP4;
	put_be16(frame + ETH_HLEN + 2, 0);
	check_eq("and one of IPv4",
		 parse(MEMORY_CONTIGUOUS, len, meta, &pkt), TAP_SHORT);
}

/* Given a fragment whose metadata says that its checksum is partial, or that it
 * is a GSO frame, then it is dropped: only a whole packet can have either. */
static void story_fragment(void)
{
	struct frame_meta meta = {
		.csum = LINK_CSUM_PARTIAL, .csum_start = L4, .csum_offset = 6,
	};
	size_t len = build(V4, IPPROTO_UDP, 800);
	struct pkt pkt;

	put_be16(frame + ETH_HLEN + 6, IP4_MF);
	ip_set_len(frame + ETH_HLEN, len - ETH_HLEN);
	check_eq("a fragment with a partial checksum is dropped",
		 parse(MEMORY_CONTIGUOUS, len, meta, &pkt), TAP_OFFLOAD);
	meta = (struct frame_meta){ .csum = LINK_CSUM_OK,
				    .gso = LINK_GSO_UDP, .gso_size = 400 };
	check_eq("and one that is a GSO frame",
		 parse(MEMORY_CONTIGUOUS, len, meta, &pkt), TAP_OFFLOAD);
	check_eq("without that it is a fragment",
		 parse(MEMORY_CONTIGUOUS, len, (struct frame_meta){ 0 }, &pkt),
		 TAP_FRAGMENT);
}

/* Given memory to which the guest can write, when the guest changes the headers
 * of a frame that passt has parsed, then the headers of the packet are those
 * that passt has checked. */
static void story_shared(const char *src, const char *dst, uint8_t proto)
{
	struct frame_meta meta = { .csum = LINK_CSUM_OK };
	size_t len = build(src, dst, proto, 100), l4;
	static uint8_t copy[PKT_HDR_MAX], was[PKT_HDR_MAX];
	struct fragment frag;
	struct memory m;
	struct pkt pkt;
	uint8_t *bytes;

	memcpy(was, frame, sizeof(was));
	memory_open_as(&m, 4096, MEMORY_CONTIGUOUS);
	memory_put_meta(&m, frame, len, meta);
	link_refill(m.queue);
	bytes = m.queue->from_guest->iov->iov_base;
	check_eq("a frame in memory of the guest",
		 parse_frame(m.queue->from_guest, true, copy, &pkt, &frag),
		 DROP_NONE);
	l4 = len - 100 - pkt.l4len;
	memset(bytes, 0xff, len - 100);
	check("has the addresses of a link that were checked",
	      !memcmp(pkt.dmac, was, MAC_LEN) &&
	      !memcmp(pkt.smac, was + MAC_LEN, MAC_LEN));
	check("the IP header", pkt.l3len == l4 - ETH_HLEN &&
	      !memcmp(pkt.l3, was + ETH_HLEN, pkt.l3len));
	check("the transport header", !memcmp(pkt.l4, was + l4, pkt.l4len));
	check("and its payload in place", pkt.len == 100 && pkt.iovcnt == 1 &&
	      pkt.iov->iov_base == bytes + len - 100);
	link_release(m.queue);
	link_close(&m.link);
}

int main(void)
{
	enum memory_mode mode;

	csum_init();
	for (mode = 0; mode < MEMORY_MODES; mode++)
		story_claims(mode);
	story_big_tcp();
	story_fragment();
	story_shared(V4, IPPROTO_TCP);
	story_shared(V6, IPPROTO_TCP);
	story_shared(V4, IPPROTO_UDP);
	story_shared(V6, IPPROTO_UDP);
	return unit_end();
}
