/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * cable.h - A test bench for TCP with real sockets. It has guests (guest.h),
 * peers with sockets on loopback, and tcp.c between them. A cable, which is two
 * links in memory (memory.h), carries frames between the guests and tcp.c. The
 * test controls time: each turn of the event loop takes one millisecond. Tests
 * include this file after tcp.c.
 *
 * At the guests' end of the cable a second struct tap makes the guests' frames,
 * and checks all lengths and checksums of the frames that they receive.
 */
#ifndef TEST_UNIT_CABLE_H
#define TEST_UNIT_CABLE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checksum.h"
#include "icmp/error.h"
#include "test/memory.h"
#include "tcp.h"
#include "tcp/flow.h"
#include "test/unit/addr.h"
#include "test/unit/fds.h"
#include "test/unit/guest.h"
#include "test/unit/listener.h"
#include "test/unit/net.h"
#include "test/unit/unit.h"
#include "udp.h"

#define OUR_MAC		{ 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 }
#define GUEST_MAC	{ 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 }

#define GUEST4		"192.0.2.15"
#define GUEST6		"2001:db8::15"
#define GW4		"192.0.2.1"	/* leads to the host's loopback */
#define GW6		"2001:db8::1"

#define GPORTS		65536
#define PORTS_MAX	16		/* number of forwarded ports, at most */

/**
 * struct world - The test bench
 * @mem, @tap:	link and tap at passt's end of the cable
 * @gmem, @gtap: link and tap at the guests' end
 * @gnet:	network as @gtap sees it
 * @tcp:	what is tested
 * @timers, @sched, @flows, @net, @fwd, @errors: objects that @tcp uses
 * @now:	simulated time, ms
 * @loss:	how many of 1000 segments are lost, in each direction
 * @ends:	connection that each port of the guest has, NULL: none
 * @fds:	result of count_fds() before the test
 */
struct world {
	struct memory mem, gmem;
	struct tap tap, gtap;
	struct tcp tcp;
	struct timers timers;
	struct sched sched;
	struct flow_table flows;
	struct net net, gnet;
	struct fwd fwd;
	struct icmp_errors errors;
	uint64_t now;
	unsigned int loss;
	struct end *ends[GPORTS];
	unsigned int fds;
};

/**
 * struct end - A connection between a guest and a peer
 * @w:		test bench
 * @ip:		IP header of the guest's packets
 * @guest:	the guest's TCP, NULL: the test makes the guest's segments
 *		itself
 * @seen, @nseen: if @guest is NULL, the segments that the guest received, and
 *		their number
 * @fd:		the peer's socket, -1: not open
 * @tx, @tx_total: bytes that the peer has sent so far, and is to send in all
 * @rx:		bytes that the peer has received
 * @eof, @error: whether the peer has received FIN, and the errno of its socket
 * @shut:	the peer has sent FIN
 * @wrong:	the peer received a wrong byte, or the guest a packet with wrong
 *		addresses
 * @deaf:	the peer does not read
 */
struct end {
	struct world *w;
	struct ip_hdr ip;
	struct guest *guest;
	struct tcp_seg seen[64];
	unsigned int nseen;
	int fd;
	uint32_t tx, tx_total, rx;
	bool eof, shut, wrong, deaf;
	int error;
};

static uint64_t cable_seed = 88172645463325252;

static uint32_t cable_random(uint32_t n)
{
	cable_seed ^= cable_seed >> 12;
	cable_seed ^= cable_seed << 25;
	cable_seed ^= cable_seed >> 27;
	return (uint32_t)((cable_seed >> 32) * n >> 32);
}

/**
 * world_open() - Set up the test bench
 * @w:		filled
 * @max_flows:	number of flows that the table holds
 * @room:	bytes of frames that the link to the guests holds
 */
static void world_open(struct world *w, uint32_t max_flows, size_t room)
{
	static const uint8_t our_mac[MAC_LEN] = OUR_MAC;
	static const uint8_t guest_mac[MAC_LEN] = GUEST_MAC;

	memset(w, 0, sizeof(*w));
	csum_init();
	w->now = 1000000;
	w->fds = count_fds();
	timers_init(&w->timers, w->now);
	sched_init(&w->sched);
	if (memory_open(&w->mem, room) || memory_open(&w->gmem, 1 << 21) ||
	    flow_table_init(&w->flows, tcp_flow_size(), max_flows,
			    epoll_create1(EPOLL_CLOEXEC)))
		exit(1);
	net_init(&w->net, our_mac, GW4, GW6);
	net_init(&w->gnet, guest_mac, GUEST4, GUEST6);
	tap_init(&w->tap, &w->mem.link, w->mem.queue, &w->net);
	tap_init(&w->gtap, &w->gmem.link, w->gmem.queue, &w->gnet);
	memcpy(w->tap.guest.mac, guest_mac, MAC_LEN);
	memcpy(w->gtap.guest.mac, our_mac, MAC_LEN);
	w->tap.guest.own[GUEST_IP4].addr = addr(GUEST4);
	w->tap.guest.own[GUEST_IP6].addr = addr(GUEST6);
	w->fwd.net = &w->net;
	fwd_init(&w->fwd, PORTS_MAX, w->flows.epfd);
	w->errors = (struct icmp_errors){ .tap = &w->tap, .net = &w->net };
	icmp_errors_init(&w->errors);
	w->tcp = (struct tcp){ .tap = &w->tap, .flows = &w->flows,
			       .timers = &w->timers, .sched = &w->sched,
			       .net = &w->net, .fwd = &w->fwd,
			       .errors = &w->errors, .max_fd = INT32_MAX };
	tcp_init(&w->tcp);
}

/* guest_leaves() - End all flows, as passt does when the guest disconnects */
__attribute__((unused))
static void guest_leaves(struct world *w)
{
	struct flow *f = NULL;

	while ((f = flow_next(&w->flows, f)))
		tcp_end(&w->tcp, f);
}

/* world_close() - Free the test bench; check that no flow, no timer, no byte in
 * a receive ring and no descriptor is left */
static void world_close(struct world *w, const char *name)
{
	char all[128];
	bool left;

	snprintf(all, sizeof(all), "%s: nothing is left", name);
	left = w->flows.used || w->tcp.rxring_total ||
	       timers_wait(&w->timers, w->now) >= 0;
	if (left)
		fail(all, "%u flows, %zu bytes, %d ms", w->flows.used,
		     w->tcp.rxring_total, timers_wait(&w->timers, w->now));
	free(w->fwd.ends);
	tcp_free(&w->tcp);
	close(w->flows.epfd);
	flow_table_free(&w->flows);
	link_close(&w->mem.link);
	link_close(&w->gmem.link);
	if (count_fds() != w->fds)
		fail(all, "%d descriptors", (int)(count_fds() - w->fds));
	else if (!left)
		pass(all);
}

/* guest_frame() - Put a segment of a guest on the cable, or lose it at
 * random */
static void guest_frame(void *arg, const uint8_t *seg, size_t len)
{
	struct end *e = arg;
	struct world *w = e->w;

	if (cable_random(1000) < w->loss)
		return;
	tap_ip_send(&w->gtap, &e->ip, seg, len);
}

/* to_us() - Let tcp.c receive the guests' frames, in bursts as from a real
 * link */
static void to_us(struct world *w)
{
	unsigned int i, n, at;

	link_flush(w->gmem.queue);
	for (at = 0; at < w->gmem.nsent;) {
		for (i = 0; i < LINK_BURST && at < w->gmem.nsent; i++, at++)
			memory_put(&w->mem, w->gmem.sent[at].iov_base,
				   w->gmem.sent[at].iov_len);
		memory_join(&w->mem);
		tap_recv_burst(&w->tap, w->now);
		for (i = 0; i < w->tap.npkt; i += n) {
			n = tap_batch_len(&w->tap, i);
			tcp_from_guest(&w->tcp, &w->tap.pkt[i], n, w->now);
		}
		link_release(w->mem.queue);
	}
	memory_clear(&w->gmem);
}

/* see() - Store a segment for a guest whose segments the test makes itself */
static void see(struct end *e, const struct pkt *pkt)
{
	if (e->nseen < ARRAY_SIZE(e->seen))
		tcp_seg_parse(&e->seen[e->nseen++], pkt->l4, pkt->l4len,
			      pkt->len);
}

/* guest_gets() - Let a guest receive a packet, or lose it at random */
static void guest_gets(struct world *w, const struct pkt *pkt)
{
	static uint8_t seg[TCP_HLEN_MAX + UINT16_MAX];
	struct end *e = w->ends[pkt->dport];

	if (pkt->proto != IPPROTO_TCP || !e || cable_random(1000) < w->loss)
		return;
	if (!addr_eq(&pkt->src, &e->ip.dst) || !addr_eq(&pkt->dst, &e->ip.src))
		e->wrong = true;
	if (!e->guest) {
		see(e, pkt);
		return;
	}
	memcpy(seg, pkt->l4, pkt->l4len);
	pkt_copy(pkt, seg + pkt->l4len, UINT16_MAX);
	guest_input(e->guest, seg, pkt->l4len, pkt->len, w->now);
}

/* to_guests() - Let the guests receive their frames, unless the link is
 * blocked */
static void to_guests(struct world *w)
{
	unsigned int i, at;

	if (link_flush(w->mem.queue) != 1)
		return;
	for (at = 0; at < w->mem.nsent;) {
		for (i = 0; i < LINK_BURST && at < w->mem.nsent; i++, at++)
			memory_put(&w->gmem, w->mem.sent[at].iov_base,
				   w->mem.sent[at].iov_len);
		tap_recv_burst(&w->gtap, w->now);
		for (i = 0; i < w->gtap.npkt; i++)
			guest_gets(w, &w->gtap.pkt[i]);
	}
	memory_clear(&w->mem);
}

/* sockets() - Handle the events that epoll reports */
static void sockets(struct world *w)
{
	struct epoll_event ev[256];
	struct flow *f;
	int i, n;

	n = epoll_wait(w->flows.epfd, ev, ARRAY_SIZE(ev), 0);
	for (i = 0; i < n; i++) {
		if (event_type(ev[i].data.u64) == EVENT_LISTENER) {
			tcp_listener(&w->tcp,
				     fwd_listener_from_token(&w->fwd,
							     ev[i].data.u64),
				     w->now);
			continue;
		}
		f = flow_from_token(&w->flows, ev[i].data.u64);
		if (f)
			tcp_event(&w->tcp, f, ev[i].events, w->now);
	}
}

/* turn() - Advance time by 1 ms and do one pass of the event loop */
static void turn(struct world *w)
{
	struct timer *t;
	unsigned int n;

	w->now++;
	to_us(w);
	sockets(w);
	while ((t = timers_expire(&w->timers, w->now)))
		tcp_timer(&w->tcp, container_of(t, struct flow, timer), w->now);
	tcp_pass_end(&w->tcp, w->now);
	to_guests(w);
	w->mem.queue->low_latency = sched_low_latency(&w->sched, w->now);
	for (n = w->sched.nready; n && !w->mem.queue->blocked; n--)
		tcp_resume(&w->tcp, sched_next(&w->sched), w->now);
	tcp_pass_end(&w->tcp, w->now);
	to_guests(w);
}

/* turns() - Do @n turns */
__attribute__((unused))
static void turns(struct world *w, unsigned int n)
{
	while (n--)
		turn(w);
}

/* listen_on() - Open a listening socket of a peer; @port may be 0, and is set
 * to the socket's port */
static int listen_on(const char *host, uint16_t *port)
{
	struct in6_addr a = addr(host);
	union sockaddr_any sa;
	socklen_t len = sockaddr_set(&sa, &a, *port, 0);
	int fd = socket(sa.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC |
			SOCK_NONBLOCK, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, &sa.sa, len) || listen(fd, 4096))
		fail("the test can listen", "%s", strerror(errno));
	len = sizeof(sa);
	getsockname(fd, &sa.sa, &len);
	sockaddr_get(&sa, &a, port);
	return fd;
}

/**
 * forward() - Forward one more TCP port of the host to the guest
 * @w:		test bench
 * @host:	address to bind to
 * @to:		port of the guest
 *
 * Return: the host's port, which the kernel chooses
 */
__attribute__((unused))
static uint16_t forward(struct world *w, const char *host, uint16_t to)
{
	uint16_t port = 0;
	int fd = listen_on(host, &port);

	put_listener(&w->fwd, fd, IPPROTO_TCP, port, to);
	return port;
}

/* end_init() - Set up a connection between a port of the guest and a peer */
static void end_init(struct world *w, struct end *e, struct guest *g,
		     uint16_t gport, const char *peer, uint16_t pport)
{
	memset(e, 0, sizeof(*e));
	e->w = w;
	e->fd = -1;
	e->ip = (struct ip_hdr){
		.src = addr(strchr(peer, ':') ? GUEST6 : GUEST4),
		.dst = addr(peer), .proto = IPPROTO_TCP,
	};
	w->ends[gport] = e;
	if (!g)
		return;
	memset(g, 0, sizeof(*g));
	*g = (struct guest){
		.gport = gport, .pport = pport, .mss = 1460, .wscale = 7,
		.sack = true, .rcvbuf = 300000, .reads = UINT32_MAX,
		.tx_fin = true, .out = guest_frame, .arg = e,
	};
	e->guest = g;
}

/**
 * sends() - Send a segment that the test has made in the guest's name
 * @e:		connection
 * @h:		TCP header
 * @data, @len:	payload
 */
__attribute__((unused))
static void sends(struct end *e, const struct tcp_hdr *h, const void *data,
		  size_t len)
{
	static uint8_t seg[TCP_HLEN_MAX + UINT16_MAX];
	size_t hlen = tcp_hdr_put(h, seg);

	if (len)
		memcpy(seg + hlen, data, len);
	guest_frame(e, seg, hlen + len);
}

/* peer_accepts() - Let the peer accept a connection; false if none is
 * pending */
__attribute__((unused))
static bool peer_accepts(struct end *e, int listener)
{
	e->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return e->fd >= 0;
}

/* peer_connects() - Let the peer connect to a port of the host */
__attribute__((unused))
static void peer_connects(struct end *e, const char *host, uint16_t port)
{
	struct in6_addr a = addr(host);
	union sockaddr_any sa;
	socklen_t len = sockaddr_set(&sa, &a, port, 0);

	e->fd = socket(sa.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC |
		       SOCK_NONBLOCK, 0);
	connect(e->fd, &sa.sa, len);
}

/* peer_port() - Get the port that the peer's socket is bound to */
__attribute__((unused))
static uint16_t peer_port(const struct end *e)
{
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);
	struct in6_addr a;
	uint16_t port = 0;

	getsockname(e->fd, &sa.sa, &len);
	sockaddr_get(&sa, &a, &port);
	return port;
}

/* peer_sends() - Let the peer send as much as its socket takes, and FIN after
 * the last byte */
static void peer_sends(struct end *e)
{
	uint8_t buf[65536];
	uint32_t n, i;
	ssize_t sent;

	while (e->tx < e->tx_total) {
		n = MIN(e->tx_total - e->tx, sizeof(buf));
		for (i = 0; i < n; i++)
			buf[i] = stream_byte(e->guest->pport, e->tx + i);
		sent = send(e->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		e->tx += (uint32_t)sent;
	}
	if (!e->shut) {
		shutdown(e->fd, SHUT_WR);
		e->shut = true;
	}
}

/* peer_reads() - Let the peer read all that has arrived, and check each byte */
static void peer_reads(struct end *e)
{
	uint8_t buf[65536];
	ssize_t n, i;

	while (!e->deaf && !e->eof && !e->error) {
		n = recv(e->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			e->error = errno;
		if (n < 0)
			return;
		e->eof = !n;
		for (i = 0; i < n; i++, e->rx++)
			e->wrong |= buf[i] != stream_byte(e->guest->gport,
							  e->rx);
	}
}

/* end_turn() - Let the guest and the peer of a connection do their part of a
 * turn */
__attribute__((unused))
static void end_turn(struct end *e)
{
	struct guest *g = e->guest;

	if (e->fd >= 0) {
		peer_sends(e);
		peer_reads(e);
	}
	guest_read(g);
	guest_pump(g, e->w->now);
	guest_timer(g, e->w->now);
}

/* end_done() - Whether all bytes and both FINs have arrived */
__attribute__((unused))
static bool end_done(const struct end *e)
{
	return guest_done(e->guest) && e->eof && e->rx == e->guest->tx_total &&
	       guest_received(e->guest) == e->tx_total;
}

/* end_well() - Whether all has arrived, without an error; if not, report a
 * failed check */
__attribute__((unused))
static bool end_well(const char *name, const struct end *e)
{
	const struct guest *g = e->guest;

	if (end_done(e) && !e->wrong && !e->error && !g->wrong)
		return true;
	return fail(name, "peer has %u of %u%s, guest %u of %u%s, %s, %s, %s",
		    e->rx, g->tx_total, e->eof ? " and FIN" : "",
		    guest_received(g), e->tx_total, g->rx_fin ? " and FIN" : "",
		    g->wrong ? g->wrong : "guest content",
		    e->wrong ? "wrong bytes" : "right bytes",
		    e->error ? strerror(e->error) : "no error");
}

/* end_close() - Close the peer's socket */
static void end_close(struct end *e)
{
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
}

/* end_reset() - Close the peer's socket so that the kernel sends RST */
__attribute__((unused))
static void end_reset(struct end *e)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	end_close(e);
}

/* unforward() - Close all forwarded ports */
__attribute__((unused))
static void unforward(struct world *w)
{
	while (w->fwd.top)
		listener_close(&w->fwd, --w->fwd.top);
}

#endif /* TEST_UNIT_CABLE_H */
