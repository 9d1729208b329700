// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * lengths.c - Tests of frames from the guest whose lengths contradict each
 * other. The link says that all transport checksums are right: otherwise such a
 * frame would be dropped because of its checksum, in which the lengths are
 * summed, and the tests would not show that the lengths are checked.
 */
#include <stdlib.h>

#include "../../tap/parse.c"
#include "test/memory.h"
#include "test/unit/net.h"
#include "test/unit/unit.h"

#define PAYLOAD		100	/* bytes */
#define ICMP4_ECHO	8	/* types of echo requests */
#define ICMP6_ECHO	128

static uint8_t frame[512];

/**
 * struct shape - The layout of a frame
 * @name:	for messages
 * @v4:		over IPv4
 * @proto:	transport protocol
 * @l4len:	bytes of the transport header
 */
struct shape {
	const char *name;
	bool v4;
	uint8_t proto;
	size_t l4len;
};

static const struct shape shapes[] = {
	{ "TCP over IPv4", true, IPPROTO_TCP, TCP_HLEN },
	{ "TCP over IPv6", false, IPPROTO_TCP, TCP_HLEN },
	{ "UDP over IPv4", true, IPPROTO_UDP, UDP_HLEN },
	{ "UDP over IPv6", false, IPPROTO_UDP, UDP_HLEN },
	{ "echo over IPv4", true, IPPROTO_ICMP, ICMP_HLEN },
	{ "echo over IPv6", false, IPPROTO_ICMPV6, ICMP_HLEN },
};

/* l4_at() - Return the offset of the transport header in the frame */
static size_t l4_at(const struct shape *s)
{
	return ETH_HLEN + (s->v4 ? IP4_HLEN : IP6_HLEN);
}

/* build() - Build a frame without a mistake; returns its length */
static size_t build(const struct shape *s)
{
	struct ip_hdr ip = { .proto = s->proto };
	size_t l4 = l4_at(s), len = l4 + s->l4len + PAYLOAD;

	addr_parse(s->v4 ? "192.0.2.15" : "2001:db8::15", &ip.src);
	addr_parse(s->v4 ? "198.51.100.1" : "2001:db8:1::1", &ip.dst);
	memset(frame, 2, sizeof(frame));
	put_be16(frame + 12, s->v4 ? ETH_P_IP : ETH_P_IPV6);
	ip_hdr_put(frame + ETH_HLEN, &ip);
	ip_set_len(frame + ETH_HLEN, len - ETH_HLEN);
	memset(frame + l4, 0, s->l4len);
	if (s->proto == IPPROTO_TCP)
		frame[l4 + 12] = TCP_HLEN / 4 << 4;
	else if (s->proto == IPPROTO_UDP)
		put_be16(frame + l4 + 4, UDP_HLEN + PAYLOAD);
	else
		frame[l4] = s->v4 ? ICMP4_ECHO : ICMP6_ECHO;
	if (s->proto == IPPROTO_UDP)
		put_be16(frame + l4 + 6, 1);	/* it has a checksum */
	return len;
}

/* parsed() - Parse the first @len bytes of the frame; return the length of the
 * payload, or -1 if the frame is dropped. The payload must lie in the frame */
static long parsed(size_t len)
{
	struct frame_meta meta = { .csum = LINK_CSUM_OK };
	static uint8_t copy[PKT_HDR_MAX];
	struct fragment frag;
	struct memory m;
	struct pkt pkt;
	uint8_t *bytes;
	long got = -1;

	memory_open_as(&m, 4096, MEMORY_CONTIGUOUS);
	memory_put_meta(&m, frame, len, meta);
	if (link_refill(m.queue) == 1) {
		bytes = m.queue->from_guest->iov->iov_base;
		if (parse_frame(m.queue->from_guest, false, copy, &pkt,
				&frag) == DROP_NONE)
			got = pkt.len;
		if (got > 0 && (pkt.iovcnt != 1 ||
		    (uint8_t *)pkt.iov->iov_base + got > bytes + len))
			got = -2;
		link_release(m.queue);
	}
	link_close(&m.link);
	return got;
}

/* expect() - Count a frame that was not handled as it must be; @want: -1 or the
 * length of the payload */
static unsigned int expect(size_t len, long want)
{
	long got = parsed(len);

	if (got == want)
		return 0;
	printf("# %zu bytes: %ld, not %ld\n", len, got, want);
	return 1;
}

/* Given a frame that ends anywhere before its packet does, then it is dropped.
 * With bytes after the packet, it is accepted. */
static void story_cut(const struct shape *s)
{
	unsigned int wrong = 0;
	size_t len = build(s), n;

	for (n = 1; n < len; n++)
		wrong += expect(n, -1);
	wrong += expect(len, PAYLOAD);
	wrong += expect(len + 40, PAYLOAD);
	check_eq("a frame that is cut short at any length", wrong, 0);
}

/* Given a length in the IP header, then it must hold the headers, and what the
 * headers say, and not go beyond the frame. */
static void story_ip_length(const struct shape *s)
{
	size_t len = build(s), ip = len - ETH_HLEN, n;
	size_t hlen = l4_at(s) - ETH_HLEN;
	unsigned int wrong = 0;
	long want;

	for (n = s->v4 ? 0 : hlen; n < 65536; n += n < 400 ? 1 : 997) {
		ip_set_len(frame + ETH_HLEN, n);
		want = (long)(n - hlen - s->l4len);
		if (n > ip || n < hlen + s->l4len ||
		    (s->proto == IPPROTO_UDP && n < ip))
			want = -1;
		wrong += expect(len, want);
	}
	check_eq("any length of the IP packet", wrong, 0);
}

/* Given a length in the UDP header, then it must hold this header, and not go
 * beyond the packet, even if the frame is longer. */
static void story_udp_length(const struct shape *s)
{
	size_t len = build(s), n;
	unsigned int wrong = 0;

	for (n = 0; n < 65536; n += n < 400 ? 1 : 997) {
		put_be16(frame + l4_at(s) + 4, (uint16_t)n);
		wrong += expect(len + 40, n < UDP_HLEN ||
				n > UDP_HLEN + PAYLOAD ?
				-1 : (long)(n - UDP_HLEN));
	}
	check_eq("any length of the UDP datagram", wrong, 0);
}

/* Given an offset in the TCP header, then it must hold this header, and not go
 * beyond the packet. */
static void story_tcp_offset(const struct shape *s)
{
	size_t len = build(s), n;
	unsigned int wrong = 0;

	ip_set_len(frame + ETH_HLEN, len - ETH_HLEN - PAYLOAD + 20);
	for (n = 0; n < 16; n++) {
		frame[l4_at(s) + 12] = (uint8_t)(n << 4);
		wrong += expect(len, n < 5 || n > 10 ? -1 :
				(long)(TCP_HLEN + 20 - n * 4));
	}
	check_eq("any offset of the TCP payload", wrong, 0);
}

/* Given a length of the IPv4 header below its minimum, or beyond the packet,
 * then the frame is dropped. */
static void story_ihl(const struct shape *s)
{
	unsigned int wrong = 0;
	uint16_t check;
	uint8_t *ip;
	size_t n;

	build(s);
	ip = frame + ETH_HLEN;
	ip_set_len(ip, IP4_HLEN + s->l4len);
	for (n = 0; n < 16; n++) {
		ip[0] = (uint8_t)(0x40 | n);
		memset(ip + 10, 0, 2);
		check = csum_ip4(ip, n * 4);
		memcpy(ip + 10, &check, 2);
		if (n != 5 || s->proto == IPPROTO_UDP)
			wrong += expect(ETH_HLEN + IP4_HLEN + s->l4len, -1);
	}
	check_eq("any length of the IPv4 header", wrong, 0);
}

int main(void)
{
	const struct shape *s;

	csum_init();
	for (s = shapes; s < shapes + ARRAY_SIZE(shapes); s++) {
		printf("# %s\n", s->name);
		story_cut(s);
		story_ip_length(s);
		if (s->proto == IPPROTO_UDP)
			story_udp_length(s);
		if (s->proto == IPPROTO_TCP)
			story_tcp_offset(s);
		if (s->v4)
			story_ihl(s);
	}
	return unit_end();
}
