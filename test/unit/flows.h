/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * flows.h - A test bench for UDP and ICMP: a guest at the end of a link in
 * memory (memory.h), and real sockets on loopback. The test is in a network
 * namespace of its own, where nothing but loopback can be reached. Tests
 * include this file after the file under test.
 */
#ifndef TEST_UNIT_FLOWS_H
#define TEST_UNIT_FLOWS_H

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checksum.h"
#include "icmp.h"
#include "test/memory.h"
#include "test/unit/addr.h"
#include "test/unit/l4.h"
#include "test/unit/listener.h"
#include "test/unit/net.h"
#include "test/unit/netns.h"
#include "test/unit/unit.h"
#include "udp.h"
#include "udp/flow.h"
#include "udp/mcast.h"

#define OUR_MAC		{ 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 }
#define GUEST_MAC	{ 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 }

#define GUEST4		"192.0.2.15"
#define GUEST6		"2001:db8::15"
#define LISTENERS	16
#define GW4		"192.0.2.1"	/* leads to the host's loopback */
#define GW6		"2001:db8::1"
#define NOWHERE4	"203.0.113.9"		/* the host has no route */
#define NOWHERE6	"2001:db8:9::9"

#define ETH_LEN		14
#define SLOT_MAX	512		/* bytes; more than any flow needs */

/**
 * struct world - The test bench
 * @mem:	link to the guest
 * @errors, @echo, @udp: what is tested
 * @net, @tap, @timers, @sched, @flows, @fwd: objects that these use
 * @now:	simulated time, ms
 */
struct world {
	struct memory mem;
	struct net net;
	struct tap tap;
	struct timers timers;
	struct sched sched;
	struct flow_table flows;
	struct fwd fwd;
	struct icmp_errors errors;
	struct icmp_echo echo;
	struct udp udp;
	uint64_t now;
};

/**
 * struct seen - A packet that reached the guest, parsed
 * @src, @dst:	addresses
 * @proto, @ttl: protocol and TTL in the IP header
 * @l4, @len:	transport header and payload, and their length
 * @good:	lengths, checksums and Ethernet addresses are correct
 */
struct seen {
	struct in6_addr src, dst;
	uint8_t proto, ttl;
	const uint8_t *l4;
	size_t len;
	bool good;
};

static void world_open(struct world *w, uint32_t max_flows, size_t room)
{
	static const uint8_t our_mac[MAC_LEN] = OUR_MAC;
	static const uint8_t guest_mac[MAC_LEN] = GUEST_MAC;

	memset(w, 0, sizeof(*w));
	csum_init();
	w->now = 1000000;
	timers_init(&w->timers, w->now);
	sched_init(&w->sched);
	if (memory_open(&w->mem, room) ||
	    flow_table_init(&w->flows, SLOT_MAX, max_flows, epoll_create1(0)))
		exit(1);
	net_init(&w->net, our_mac, GW4, GW6);
	tap_init(&w->tap, &w->mem.link, w->mem.queue, &w->net);
	memcpy(w->tap.guest.mac, guest_mac, MAC_LEN);
	w->tap.guest.own[GUEST_IP4].addr = addr(GUEST4);
	w->tap.guest.own[GUEST_IP6].addr = addr(GUEST6);
	/* The guest accepts long packets, as if it had sent one. */
	tap_show_mtu(&w->tap, w->net.mtu);
	w->fwd.net = &w->net;
	fwd_init(&w->fwd, LISTENERS, w->flows.epfd);
	w->errors = (struct icmp_errors){ .tap = &w->tap, .net = &w->net };
	icmp_errors_init(&w->errors);
	w->echo = (struct icmp_echo){ .tap = &w->tap, .flows = &w->flows,
				      .timers = &w->timers, .sched = &w->sched,
			       .net = &w->net,
				      .errors = &w->errors };
	icmp_init(&w->echo);
	w->udp = (struct udp){ .tap = &w->tap, .flows = &w->flows,
			       .timers = &w->timers, .sched = &w->sched,
			       .net = &w->net,
			       .fwd = &w->fwd, .errors = &w->errors,
			       .fds = UINT32_MAX };
	if (udp_init(&w->udp))
		exit(1);
}

/* guest_leaves() - End all flows, as passt does when the guest disconnects */
static void guest_leaves(struct world *w)
{
	struct flow *f = NULL;

	while ((f = flow_next(&w->flows, f))) {
		if (f->type == FLOW_UDP)
			udp_end(&w->udp, f);
		else
			icmp_end(&w->echo, f);
	}
	mcast_forget(&w->udp);
	icmp_errors_forget(&w->errors);
}

/* too_many() - Let the guest have opened too many flows just now, while it has
 * others */
static inline void too_many(struct world *w)
{
	w->sched.settled_at = w->sched.open_at[SCHED_OPEN_OTHERS] = w->now;
	w->sched.open_left[SCHED_OPEN_OTHERS] = -SCHED_OPEN_MAX;
}

static void world_close(struct world *w)
{
	guest_leaves(w);
	udp_free(&w->udp);
	fwd_free(&w->fwd);
	check_eq("no flow is left behind", w->flows.used, 0);
	close(w->flows.epfd);
	flow_table_free(&w->flows);
	link_close(&w->mem.link);
}

/* put_ip() - Write Ethernet and IP headers of a packet from the guest; return
 * their length */
static size_t put_ip(uint8_t *p, const struct ip_hdr *ip, size_t len)
{
	static const uint8_t macs[2 * MAC_LEN] = {
		0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55,
		0x52, 0x54, 0x00, 0x12, 0x34, 0x56,
	};
	bool v4 = addr_is_v4(&ip->dst);
	struct in_addr src = addr_v4(&ip->src), dst = addr_v4(&ip->dst);
	uint16_t check;

	memset(p, 0, ETH_LEN + 40);
	memcpy(p, macs, sizeof(macs));
	put_be16(p + 12, v4 ? 0x0800 : 0x86dd);
	p += ETH_LEN;
	if (!v4) {
		p[0] = 0x60;
		put_be16(p + 4, (uint16_t)len);
		p[6] = ip->proto;
		p[7] = ip->ttl;
		memcpy(p + 8, &ip->src, 16);
		memcpy(p + 24, &ip->dst, 16);
		return ETH_LEN + 40;
	}
	p[0] = 0x45;
	put_be16(p + 2, (uint16_t)(20 + len));
	p[8] = ip->ttl;
	p[9] = ip->proto;
	memcpy(p + 12, &src, 4);
	memcpy(p + 16, &dst, 4);
	check = csum_ip4(p, 20);
	memcpy(p + 10, &check, 2);
	return ETH_LEN + 20;
}

/**
 * make_frame() - Make a frame of the guest, with correct checksums
 * @ip:		contents of the IP header
 * @l4:		transport header and payload
 * @len:	bytes in @l4
 * @frame:	set to the frame, in memory that the caller frees
 *
 * Return: length
 */
static size_t make_frame(const struct ip_hdr *ip, const uint8_t *l4, size_t len,
			 uint8_t **frame)
{
	size_t off = ip->proto == IPPROTO_UDP ? 6 : 2, hlen;
	struct iovec iov = { .iov_len = len };
	uint16_t check;

	hlen = addr_is_v4(&ip->dst) ? ETH_LEN + 20 : ETH_LEN + 40;
	*frame = malloc(MAX(hlen + len, ETH_LEN + 40));
	put_ip(*frame, ip, len);
	memcpy(*frame + hlen, l4, len);
	iov.iov_base = *frame + hlen;
	memset(*frame + hlen + off, 0, 2);
	check = csum_l4(&ip->src, &ip->dst, ip->proto, &iov, 1);
	if (ip->proto == IPPROTO_UDP && !check)
		check = 0xffff;		/* in UDP, 0 means: no checksum */
	memcpy(*frame + hlen + off, &check, 2);
	return hlen + len;
}

/* make_udp() - Make a UDP datagram in @buf; return its length */
static size_t make_udp(uint8_t *buf, uint16_t sport, uint16_t dport,
		       const void *data, size_t len)
{
	put_be16(buf, sport);
	put_be16(buf + 2, dport);
	put_be16(buf + 4, (uint16_t)(8 + len));
	put_be16(buf + 6, 0);
	memcpy(buf + 8, data, len);
	return 8 + len;
}

/* hand_over() - Receive the guest's frames, and hand their packets to UDP and
 * ICMP */
static void hand_over(struct world *w)
{
	const struct pkt *pkt;
	unsigned int i, n;

	memory_join(&w->mem);
	tap_recv_burst(&w->tap, w->now);
	for (i = 0; i < w->tap.npkt; i += n) {
		pkt = &w->tap.pkt[i];
		n = tap_batch_len(&w->tap, i);
		if (pkt->proto == IPPROTO_UDP) {
			udp_from_guest(&w->udp, pkt, n, w->now);
			continue;
		}
		n = 1;
		icmp_from_guest(&w->echo, pkt, w->now);
	}
	link_release(w->mem.queue);
	link_flush(w->mem.queue);
}

/* sends_ip() - Clear all frames that the guest has received, and let it send a
 * packet */
static void sends_ip(struct world *w, const char *src, const char *dst,
		     uint8_t proto, const uint8_t *l4, size_t len)
{
	struct ip_hdr ip = { .src = addr(src), .dst = addr(dst),
			     .proto = proto, .ttl = 61 };
	uint8_t *frame;

	len = make_frame(&ip, l4, len, &frame);
	memory_clear(&w->mem);
	memory_put(&w->mem, frame, len);
	hand_over(w);
	free(frame);
}

/* guest_of() - Get the guest's address in the same family as @other */
static const char *guest_of(const char *other)
{
	return strchr(other, ':') ? GUEST6 : GUEST4;
}

/* sends() - Let the guest send a UDP datagram */
__attribute__((unused))
static void sends(struct world *w, uint16_t sport, const char *dst,
		  uint16_t dport, const void *data, size_t len)
{
	static uint8_t buf[65536];

	len = make_udp(buf, sport, dport, data, len);
	sends_ip(w, guest_of(dst), dst, IPPROTO_UDP, buf, len);
}

/**
 * events() - Wait for events of sockets, and handle them
 * @w:		test bench
 * @wait:	ms to wait for an event, at most
 */
__attribute__((unused))
static void events(struct world *w, int wait)
{
	struct epoll_event ev[64];
	struct flow *f;
	int i, n;

	n = epoll_wait(w->flows.epfd, ev, ARRAY_SIZE(ev), wait);
	for (i = 0; i < n; i++) {
		if (event_type(ev[i].data.u64) == EVENT_LISTENER) {
			udp_listener(&w->udp,
				     fwd_listener_from_token(&w->fwd,
							     ev[i].data.u64),
				     ev[i].events, w->now);
			continue;
		}
		if (event_type(ev[i].data.u64) == EVENT_GROUP) {
			mcast_group_event(&w->udp,
					    event_index(ev[i].data.u64),
					    w->now);
			continue;
		}
		f = flow_from_token(&w->flows, ev[i].data.u64);
		if (!f)
			continue;
		if (f->key.proto == IPPROTO_UDP)
			udp_event(&w->udp, f, ev[i].events, w->now);
		else
			icmp_event(&w->echo, f, ev[i].events, w->now);
	}
	link_flush(w->mem.queue);
}

/* later() - Let @ms milliseconds pass, and handle the timers that expire */
__attribute__((unused))
static void later(struct world *w, uint64_t ms)
{
	struct timer *t;
	struct flow *f;

	w->now += ms;
	while ((t = timers_expire(&w->timers, w->now))) {
		f = container_of(t, struct flow, timer);
		if (f->key.proto == IPPROTO_UDP)
			udp_timer(&w->udp, f, w->now);
		else
			icmp_timer(&w->echo, f, w->now);
	}
}

/**
 * nth() - Parse a packet that reached the guest
 * @w:		test bench
 * @n:		index of the packet
 * @s:		filled
 *
 * Return: false if there is no such packet
 */
__attribute__((unused))
static bool nth(const struct world *w, unsigned int n, struct seen *s)
{
	static const uint8_t guest_mac[MAC_LEN] = GUEST_MAC;
	static const uint8_t our_mac[MAC_LEN] = OUR_MAC;
	const uint8_t *f, *ip;
	struct in_addr v4;
	struct iovec iov;
	size_t len;

	memset(s, 0, sizeof(*s));
	if (n >= w->mem.nsent)
		return false;
	f = w->mem.sent[n].iov_base;
	len = w->mem.sent[n].iov_len;
	ip = f + ETH_LEN;
	s->good = !memcmp(f, guest_mac, MAC_LEN) &&
		  !memcmp(f + MAC_LEN, our_mac, MAC_LEN);
	if (get_be16(f + 12) == 0x0800) {
		s->good &= ip[0] == 0x45 && !csum_ip4(ip, 20) &&
			   get_be16(ip + 2) == len - ETH_LEN;
		s->ttl = ip[8];
		s->proto = ip[9];
		memcpy(&v4, ip + 12, 4);
		s->src = addr_from_v4(v4);
		memcpy(&v4, ip + 16, 4);
		s->dst = addr_from_v4(v4);
		s->l4 = ip + 20;
	} else {
		s->good &= ip[0] >> 4 == 6 &&
			   get_be16(ip + 4) == len - ETH_LEN - 40;
		s->ttl = ip[7];
		s->proto = ip[6];
		memcpy(&s->src, ip + 8, 16);
		memcpy(&s->dst, ip + 24, 16);
		s->l4 = ip + 40;
	}
	s->len = len - (size_t)(s->l4 - f);
	iov = (struct iovec){ (uint8_t *)s->l4, s->len };
	s->good &= !csum_l4(&s->src, &s->dst, s->proto, &iov, 1);
	if (s->proto == IPPROTO_UDP)
		s->good &= get_be16(s->l4 + 4) == s->len &&
			   get_be16(s->l4 + 6);
	return true;
}

/* flow_of() - Find the UDP flow between the guest's port @gport and a peer;
 * NULL if there is none */
__attribute__((unused))
static struct udp_flow *flow_of(struct world *w, uint16_t gport,
				const char *peer, uint16_t pport)
{
	struct flow_key key = { .guest = addr(guest_of(peer)),
				.peer = addr(peer), .gport = gport,
				.pport = pport, .proto = IPPROTO_UDP };

	return udp_flow_find(&w->udp, &key);
}

/* is_from() - Whether a packet has the source @src, and the guest's address as
 * destination */
__attribute__((unused))
static bool is_from(const struct seen *s, const char *src)
{
	struct in6_addr a = addr(src), guest = addr(guest_of(src));

	return addr_eq(&s->src, &a) && addr_eq(&s->dst, &guest);
}

/**
 * forward_port() - Forward a UDP port that the kernel chooses, on all addresses
 * @w:		test bench
 * @to:		port of the guest
 *
 * Return: port of the host
 */
__attribute__((unused))
static uint16_t forward_port(struct world *w, uint16_t to)
{
	struct rule r = { .proto = IPPROTO_UDP, .to = to };
	struct in6_addr bound;
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);
	uint16_t port = 0;
	int slot;

	if (!w->fwd.ends)
		w->fwd.ends = calloc(1, sizeof(*w->fwd.ends));
	slot = listener_open(&w->fwd, &r, 0, 0);
	if (slot < 0)
		fail("the test can forward a port", "%s", strerror(-slot));
	getsockname(w->fwd.listeners[slot].fd, &sa.sa, &len);
	sockaddr_get(&sa, &bound, &port);
	w->fwd.listeners[slot].port = port;
	return port;
}

/**
 * peer_open() - Open a UDP socket of a peer on the host
 * @a:		address to bind to
 * @port:	port to bind to, 0: the kernel chooses; set to the port
 *
 * Return: socket, or -1
 */
__attribute__((unused))
static int peer_open(const char *a, uint16_t *port)
{
	struct in6_addr bound = addr(a);
	union sockaddr_any sa;
	socklen_t len = sockaddr_set(&sa, &bound, *port, 0);
	int fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, &sa.sa, len))
		return -1;
	len = sizeof(sa);
	getsockname(fd, &sa.sa, &len);
	sockaddr_get(&sa, &bound, port);
	return fd;
}

/**
 * peer_hears() - Receive a datagram at a peer's socket
 * @fd:		socket
 * @buf:	set to the payload
 * @size:	bytes in @buf
 * @from:	set to the sender's address
 * @port:	set to the sender's port
 *
 * Return: length, -1 if nothing came within a second
 */
__attribute__((unused))
static ssize_t peer_hears(int fd, void *buf, size_t size, struct in6_addr *from,
			  uint16_t *port)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);
	ssize_t n;

	if (poll(&p, 1, 1000) != 1)
		return -1;
	n = recvfrom(fd, buf, size, 0, &sa.sa, &len);
	if (n >= 0)
		sockaddr_get(&sa, from, port);
	return n;
}

/* peer_says() - Let a peer send a datagram to an address and port of the
 * host */
__attribute__((unused))
static bool peer_says(int fd, const char *to, uint16_t port, const void *data,
		      size_t len)
{
	struct in6_addr a = addr(to);
	union sockaddr_any sa;
	socklen_t salen = sockaddr_set(&sa, &a, port, 0);

	return sendto(fd, data, len, 0, &sa.sa, salen) == (ssize_t)len;
}

#endif /* TEST_UNIT_FLOWS_H */
