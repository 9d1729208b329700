/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * way.h - One connection between a guest and a peer, for the unit tests of TCP:
 * how it opens, in which circumstances, and how it ends.
 */
#ifndef TEST_UNIT_WAY_H
#define TEST_UNIT_WAY_H

#include "test/unit/cable.h"

#define SPACE		(1 << 20)

#define V4	.host = "127.0.0.1", .gw = GW4
#define V6	.host = "::1", .gw = GW6

static struct world w;
static struct guest guest;
static struct end end_one;

/**
 * struct way - Circumstances of a transfer
 * @name:	name of the check
 * @host, @gw:	real and guest-visible address of the peer
 * @accepts:	the peer connects to the guest, instead of the guest to the peer
 * @no_peek_off: the kernel has no SO_PEEK_OFF
 * @space:	bytes of the link for frames to the guest, 0: SPACE
 * @loss:	how many of 1000 frames are lost, in each direction
 * @sndbuf:	send buffer of passt's socket, bytes; 0: the kernel's default
 * @deaf:	passes in which the peer does not read, at the beginning
 * @mss, @rcvbuf: MSS and receive buffer of the guest, bytes; 0: its default
 * @no_sack:	the guest does not use SACK
 * @no_fin:	no end sends FIN after its last byte, until the test says so
 * @up, @down:	number of bytes that the guest sends, and that it receives
 * @sees:	counter that must not be zero at the end: otherwise the transfer
 *		was not made in these circumstances
 */
struct way {
	const char *name, *host, *gw;
	bool accepts, no_peek_off;
	size_t space;
	unsigned int loss;
	int sndbuf;
	unsigned int deaf;
	uint16_t mss;
	uint32_t rcvbuf;
	bool no_sack, no_fin;
	uint32_t up, down;
	enum tcp_counter sees;
};

/* the_flow() - Return the only flow in the table, NULL: there is none */
__attribute__((unused))
static struct tcp_flow *the_flow(void)
{
	struct flow *flow = flow_next(&w.flows, NULL);

	return flow ? tcp_flow_of(flow) : NULL;
}

/* opens() - Start to open a connection; returns the listening socket of the
 * peer, -1 if the peer is the one that connects */
__attribute__((unused))
static int opens(const struct way *y)
{
	uint16_t port = 0;
	int fd = -1;

	if (y->accepts) {
		port = forward(&w, y->host, 5001);
		end_init(&w, &end_one, &guest, 5001, y->gw, 0);
		peer_connects(&end_one, y->host, port);
		guest.pport = peer_port(&end_one);
	} else {
		fd = listen_on(y->host, &port);
		end_init(&w, &end_one, &guest, 40001, y->gw, port);
	}
	guest.tx_total = y->up;
	guest.rx_total = end_one.tx_total = y->down;
	guest.sack = !y->no_sack;
	guest.tx_fin = !y->no_fin;
	end_one.shut = y->no_fin;
	if (y->mss)
		guest.mss = y->mss;
	if (y->rcvbuf)
		guest.rcvbuf = y->rcvbuf;
	guest_start(&guest, UINT32_MAX - 100000, !y->accepts, w.now);
	return fd;
}

/* transfer() - Let time pass until everything has arrived at both ends, but no
 * longer than 400 s */
__attribute__((unused))
static void transfer(const struct way *y, int listener)
{
	unsigned int i;

	for (i = 0; i < 400000 && !end_done(&end_one); i++) {
		if (end_one.fd < 0 && !peer_accepts(&end_one, listener) &&
		    i > 100000)
			break;
		if (y->sndbuf && the_flow())
			setsockopt(the_flow()->flow.fd[SIDE_HOST], SOL_SOCKET, SO_SNDBUF,
				   &y->sndbuf, sizeof(y->sndbuf));
		end_one.deaf = i < y->deaf;
		end_turn(&end_one);
		turn(&w);
	}
}

/* goes() - Let time pass until no flow is left. This may take TCP_RTO_MAX,
 * because each loss doubles the retransmission timeout, and then TIME-WAIT */
__attribute__((unused))
static void goes(void)
{
	unsigned int i;

	for (i = 0; i < TCP_RTO_MAX + TCP_TIMEWAIT_LEN && w.flows.used; i++) {
		if (end_one.guest)
			guest_timer(&guest, w.now);
		turn(&w);
	}
}

/* begins() - Open a connection of the guest, and let the peer accept it */
__attribute__((unused))
static void begins(const struct way *y)
{
	int listener;
	unsigned int i;

	world_open(&w, 16, SPACE);
	w.tcp.no_peek_off = y->no_peek_off;
	listener = opens(y);
	for (i = 0; i < 100 && (guest.state != GUEST_OPEN || end_one.fd < 0);
	     i++) {
		turn(&w);
		if (end_one.fd < 0)
			peer_accepts(&end_one, listener);
	}
	close(listener);
}

/* ends() - Let the connection end, and check that nothing is left of it */
__attribute__((unused))
static void ends(const char *name)
{
	goes();
	end_close(&end_one);
	unforward(&w);
	world_close(&w, name);
}

/* segment() - Send a segment from the guest, in the connection of by_hand() */
__attribute__((unused))
static void segment(uint8_t flags, uint32_t seq, uint32_t ack, size_t len)
{
	static const uint8_t data[2000];
	struct tcp_hdr h = {
		.sport = 40001, .dport = guest.pport, .seq = seq, .ack = ack,
		.flags = flags, .wnd = 60000, .wscale = -1,
	};

	if (flags & SEG_SYN)
		h.mss = 1460;
	sends(&end_one, &h, data, len);
}

/* by_hand() - Open a connection for which the test itself writes the guest's
 * segments; returns the sequence number of the first byte to the guest */
__attribute__((unused))
static uint32_t by_hand(int *listener)
{
	uint16_t port = 0;

	world_open(&w, 16, SPACE);
	*listener = listen_on("127.0.0.1", &port);
	end_init(&w, &end_one, NULL, 40001, GW4, port);
	guest.pport = port;
	segment(SEG_SYN, 1000, 0, 0);
	turns(&w, 2);
	segment(SEG_ACK, 1001, end_one.seen[0].seq + 1, 0);
	turns(&w, 2);
	peer_accepts(&end_one, *listener);
	return end_one.seen[0].seq + 1;
}

#endif /* TEST_UNIT_WAY_H */
