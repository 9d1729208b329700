/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * answer.h - A test bench for the answering services: a guest with a lease
 * sends frames over a link in memory (memory.h), and the test reads the
 * replies. Unit tests of answer/ include it after the file under test. Each
 * test case is a story: a function that runs with a fresh struct world.
 */
#ifndef TEST_UNIT_ANSWER_H
#define TEST_UNIT_ANSWER_H

#include <stdlib.h>

#include "answer/answer.h"
#include "checksum.h"
#include "test/memory.h"
#include "test/unit/addr.h"
#include "test/unit/l4.h"
#include "test/unit/unit.h"

#define OUR_MAC		{ 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 }
#define GUEST_MAC	{ 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 }

static const uint8_t our_mac[MAC_LEN] = OUR_MAC;
static const uint8_t guest_mac[MAC_LEN] = GUEST_MAC;

/**
 * struct world - The objects of the test bench, fresh for each story
 * @mem:	link to the guest
 * @tap, @timers, @answer: objects that the service under test uses
 * @net:	network of the guest; a story may change its lease
 * @now:	simulated time, ms
 * @consumed:	the service under test took the last packet, so that no other
 *		module gets it
 */
struct world {
	struct memory mem;
	struct tap tap;
	struct timers timers;
	struct answer answer;
	struct net net;
	uint64_t now;
	bool consumed;
};

/* Each test defines deliver(): it hands a packet to the service under test, and
 * returns whether the service took the packet. */
static bool deliver(struct world *w, const struct pkt *pkt);

static void world_lease(struct lease *l)
{
	*l = (struct lease){
		.addr[IP4] = addr("192.0.2.15"), .len[IP4] = 24,
		.router[IP4] = addr("192.0.2.1"),
		.addr[IP6] = addr("2001:db8::15"), .len[IP6] = 64,
		.router[IP6] = addr("fe80::1"),
		.dns[IP4] = { addr("198.51.100.53"), addr("198.51.100.54") },
		.dns[IP6] = { addr("2001:db8:53::1"), addr("2001:db8:53::2") },
		.search = "example.com lab.example.com",
		.hostname = "guest", .fqdn = "guest.example.com",
		.mtu = 65520, .time = LEASE_TIME, .mac = OUR_MAC,
		.dhcp = true, .dhcpv6 = true, .ndp = true, .ra = true,
		.dhcp_dns = true, .dhcp_search = true,
	};
}

static void world_open(struct world *w)
{
	memset(w, 0, sizeof(*w));
	csum_init();
	if (memory_open(&w->mem, 1 << 20))
		exit(1);
	world_lease(&w->net.lease);
	w->net.mtu = w->net.lease.mtu;
	tap_init(&w->tap, &w->mem.link, w->mem.queue, &w->net);
	w->now = 1000000;
	timers_init(&w->timers, w->now);
	answer_init(&w->answer, &w->tap, &w->net.lease, &w->timers, 7);
}

static void world_close(struct world *w)
{
	link_close(&w->mem.link);
}

/* sends() - Clear all earlier replies, and let the guest send a frame */
static void sends(struct world *w, const uint8_t *frame, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	unsigned int i;

	memcpy(exact, frame, len);
	memory_clear(&w->mem);
	memory_put(&w->mem, exact, len);
	w->consumed = false;
	tap_recv_burst(&w->tap, w->now);
	for (i = 0; i < w->tap.npkt; i++)
		w->consumed = deliver(w, &w->tap.pkt[i]);
	link_release(w->mem.queue);
	link_flush(w->mem.queue);
	free(exact);
}

/* gets_nth() - Get the reply with index @n; NULL, and a length of 0, if there
 * is none */
static const uint8_t *gets_nth(const struct world *w, unsigned int n,
			       size_t *len)
{
	*len = n < w->mem.nsent ? w->mem.sent[n].iov_len : 0;
	return n < w->mem.nsent ? w->mem.sent[n].iov_base : NULL;
}

static bool answered(const struct world *w)
{
	return w->mem.nsent;
}

/* change() - Clear all earlier replies, and tell the services that the lease
 * has changed from @old to the current one in @w */
__attribute__((unused))
static void change(struct world *w, const struct lease *old)
{
	memory_clear(&w->mem);
	answer_lease_changed(&w->answer, old, w->now);
	link_flush(w->mem.queue);
}

static void put_eth(struct msgbuf *f, const uint8_t dst[MAC_LEN], uint16_t type)
{
	msgbuf_put(f, dst, MAC_LEN);
	msgbuf_put(f, guest_mac, MAC_LEN);
	msgbuf_be16(f, type);
}

/* put_ip4() - Append an IPv4 header for a payload of @len bytes */
static void put_ip4(struct msgbuf *f, const struct in6_addr *src,
		    const struct in6_addr *dst, size_t len)
{
	uint16_t check;
	uint8_t *h;

	msgbuf_be16(f, 0x4500);
	msgbuf_be16(f, (uint16_t)(20 + len));
	msgbuf_be32(f, 0);
	msgbuf_u8(f, 64);
	msgbuf_u8(f, IPPROTO_UDP);
	msgbuf_be16(f, 0);
	msgbuf_addr4(f, src);
	msgbuf_addr4(f, dst);
	h = f->buf + f->len - 20;
	check = csum_ip4(h, 20);
	memcpy(h + 10, &check, sizeof(check));
}

static void put_ip6(struct msgbuf *f, const struct ip_hdr *ip, size_t len)
{
	msgbuf_be32(f, 6U << 28);
	msgbuf_be16(f, (uint16_t)len);
	msgbuf_u8(f, ip->proto);
	msgbuf_u8(f, ip->ttl);
	msgbuf_addr6(f, &ip->src);
	msgbuf_addr6(f, &ip->dst);
}

/* sends_ip() - Let the guest send a packet with correct checksums */
__attribute__((unused))
static void sends_ip(struct world *w, const struct ip_hdr *ip,
		     const uint8_t *l4, size_t len)
{
	static const uint8_t multicast[MAC_LEN] = { 0x33, 0x33, 0, 0, 0, 1 };
	size_t at = ip->proto == IPPROTO_UDP ? 6 : 2;
	uint8_t buf[4096], *p;
	struct msgbuf f = { .buf = buf, .size = sizeof(buf) };
	struct iovec iov;
	uint16_t check;

	if (addr_is_v4(&ip->dst)) {
		put_eth(&f, our_mac, ETH_P_IP);
		put_ip4(&f, &ip->src, &ip->dst, len);
	} else {
		put_eth(&f, multicast, ETH_P_IPV6);
		put_ip6(&f, ip, len);
	}
	p = f.buf + f.len;
	msgbuf_put(&f, l4, len);
	iov = (struct iovec){ p, len };
	if (len >= at + 2) {
		memset(p + at, 0, 2);
		check = csum_l4(&ip->src, &ip->dst, ip->proto, &iov, 1);
		memcpy(p + at, &check, sizeof(check));
	}
	sends(w, f.buf, f.len);
}

/* checksum_right() - Whether a reply's transport checksum is correct, and its
 * IPv4 header checksum, too */
__attribute__((unused))
static bool checksum_right(const uint8_t *frame, size_t len)
{
	bool v4 = get_be16(frame + 12) == ETH_P_IP;
	size_t off = v4 ? 34 : 54;
	struct iovec iov = { (uint8_t *)frame + off, len - off };
	struct in6_addr src, dst;
	struct in_addr v;

	if (v4) {
		memcpy(&v, frame + 26, 4);
		src = addr_from_v4(v);
		memcpy(&v, frame + 30, 4);
		dst = addr_from_v4(v);
	} else {
		memcpy(&src, frame + 22, 16);
		memcpy(&dst, frame + 38, 16);
	}
	return !csum_l4(&src, &dst, frame[v4 ? 23 : 20], &iov, 1) &&
	       (!v4 || !csum_ip4(frame + 14, 20));
}

/* tell() - Run all stories, each with a fresh struct world; return the exit
 * status */
static int tell(void (*const stories[])(struct world *w), size_t n)
{
	static struct world w;
	size_t i;

	for (i = 0; i < n; i++) {
		world_open(&w);
		stories[i](&w);
		world_close(&w);
	}
	return unit_end();
}

#endif /* TEST_UNIT_ANSWER_H */
