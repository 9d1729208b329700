/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * icmp6.h - Messages of neighbour discovery that a guest sends. Included by
 * unit tests after answer.h.
 */
#ifndef TEST_UNIT_ICMP6_H
#define TEST_UNIT_ICMP6_H

#define GUEST_LL	"fe80::5054:ff:fe12:3456"

/* sends_icmp6() - Let the guest send an ICMPv6 message, with the hop limit of
 * 255 that neighbour discovery requires */
static void sends_icmp6(struct world *w, const char *src, const char *dst,
			const struct msgbuf *m)
{
	struct ip_hdr ip = { .src = addr(src), .dst = addr(dst),
			     .proto = IPPROTO_ICMPV6, .ttl = 255 };

	sends_ip(w, &ip, m->buf, m->len);
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

static void solicit_router(struct world *w, const char *src)
{
	uint8_t buf[256];
	struct msgbuf m = rs(buf, strcmp(src, "::"));

	sends_icmp6(w, src, "ff02::2", &m);
}

#endif /* TEST_UNIT_ICMP6_H */
