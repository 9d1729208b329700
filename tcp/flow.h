/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * flow.h - A TCP flow: the connection of the core (conn.h) and what carries out
 * its decisions, the socket (socket.c) and the segments to the guest
 * (to_guest.c). Private to tcp.c and these two.
 */
#ifndef TCP_FLOW_H
#define TCP_FLOW_H

#include <sys/epoll.h>

#include "flow/table.h"
#include "tcp.h"
#include "tcp/conn.h"
#include "tcp/rxring.h"

/* epoll events of a flow's socket: they never change, EPOLL_CTL_MOD only has
 * them reported again. */
#define TCP_EVENTS \
	(EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET)

/* Segments to the guest made from one peek at the socket. */
#define SEGS_PER_PEEK	192
#define PIECES_PER_PEEK	512	/* with the scratch below UIO_MAXIOV */

/**
 * struct tcp_flow - A TCP flow
 * @flow:	common part; @node is in tcp.acks, in tcp.last_acks, or in none
 *
 * What the flow is; plain data:
 * @conn:	state of the connection
 *
 * Memory for its backlog; which bytes are in use is in @conn:
 * @rxring:	bytes of @conn.rcv_queued and @conn.ooo
 *
 * All the rest can be found out again from the socket and from epoll, which
 * reports all that is true of a socket when it is added:
 * @space:	bytes that the socket is known to take: its space when it was
 *		last asked, less what was written since
 * @readable:	the socket may have more data, or EOF
 * @eof_uncertain: a short read does not prove that the socket is empty: an
 *		error or urgent data may follow
 * @peer_fin:	EPOLLRDHUP came: EOF follows the data that is queued now
 * @peek_off_set: SO_PEEK_OFF is set, and follows conn.snd_nxt
 * @peek_stale:	but it differs from conn.snd_nxt now
 * @want_epollout: EPOLLOUT is going to come
 * @written:	something was written to the socket
 * @nodelay:	TCP_NODELAY is set
 * @sock_failed: the socket had an error; data that it still has is sent on
 */
struct tcp_flow {
	struct flow flow;

	struct tcp_conn conn;

	struct tcp_rxring rxring;

	uint32_t space;
	bool readable, eof_uncertain, peer_fin, peek_off_set, peek_stale;
	bool want_epollout, written, nodelay, sock_failed;
};

/* The TCP flow that a flow of the table is part of. */
static inline struct tcp_flow *tcp_flow_of(struct flow *flow)
{
	return container_of(flow, struct tcp_flow, flow);
}

/* socket.c */
void tcp_sock_space(struct tcp *t, struct tcp_flow *f, uint64_t now);
void tcp_sock_add_payload(struct tcp *t, struct tcp_flow *f,
			  const struct pkt *pkt, struct new_payload new,
			  uint64_t now);
void tcp_sock_store_ooo(struct tcp *t, struct tcp_flow *f,
			const struct pkt *pkt, struct new_payload new);
bool tcp_sock_deliver(struct tcp *t, struct tcp_flow *f, uint32_t later,
		      uint64_t now);
void tcp_sock_writable(struct tcp *t, struct tcp_flow *f, uint64_t now);
void tcp_sock_discard(struct tcp_flow *f);
ssize_t tcp_sock_peek(struct tcp *t, struct tcp_flow *f, struct iovec *iov,
		      unsigned int cnt);
ssize_t tcp_sock_peek_at(struct tcp *t, struct tcp_flow *f, uint32_t seq,
			 struct iovec *iov, unsigned int cnt);
void tcp_sock_reset(int fd);
void tcp_sock_close(struct tcp *t, struct tcp_flow *f, bool reset);

/* to_guest.c */
bool tcp_to_guest_flags(struct tcp *t, struct tcp_flow *f, uint8_t flags,
			uint32_t seq);
bool tcp_to_guest_syn(struct tcp *t, struct tcp_flow *f);
void tcp_to_guest_rst(struct tcp *t, struct tcp_flow *f);
bool tcp_to_guest_data(struct tcp *t, struct tcp_flow *f, uint64_t now);
void tcp_to_guest_refuse(struct tcp *t, const struct pkt *pkt,
			 const struct tcp_seg *seg);
uint16_t tcp_mss(const struct tcp *t, const struct in6_addr *guest);

#endif /* TCP_FLOW_H */
