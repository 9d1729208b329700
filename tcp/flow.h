/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * flow.h - A TCP flow: the connection as conn.h decides it, and what carries
 * that out: its socket (socket.c) and its frames (output.c).
 * Shared by tcp.c and those two.
 */
#ifndef TCP_FLOW_H
#define TCP_FLOW_H

#include <sys/epoll.h>

#include "flow/table.h"
#include "tcp.h"
#include "tcp/conn.h"
#include "tcp/rxring.h"

/* What a socket is watched for; it changes never, only asks again. */
#define TCP_EVENTS \
	(EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET)

/* Bytes that a flow may send in a turn: as much as the link takes at once, or,
 * while others use the link, what all may send between two flushes: it waits
 * in front of what comes after it. */
#define TCP_QUANTUM	(1024 * 1024)
#define TCP_QUANTUM_SHARED (64 * 1024)

/* Bytes on their way from which on a flow is a transfer: it makes others wait,
 * and does not mind to wait itself. */
#define TCP_BULK	(32 * 1024)

/* How long somebody counts as sending, ms: who waits longer than that for an
 * answer does not notice what a deep link adds. */
#define TCP_SHARED	100

/* Segments to the guest made from one read of the socket. */
#define SEGS_PER_PEEK	192

/**
 * struct tcp_flow - A TCP flow
 * @flow:	common part; its @node hangs in the list of ACKs owed
 * @conn:	the connection
 * @ready:	node in the list of flows that wait for their turn to send
 * @space:	bytes that the socket is sure to take: what it had room for when
 *		it was asked, less what it took since
 * @rxring:	bytes of the guest that can't go to the socket yet: those that
 *		conn.rcv_queued counts, and those in conn.ooo
 * @readable:	the socket may have more data, or EOF
 * @eof_uncertain:	a short read does not mean that the socket is empty: an error
 *		or urgent data comes after it
 * @peer_fin:	the peer's FIN came: what comes at the end, else, is that
 * @peek_off_set:	SO_PEEK_OFF is set; it follows conn.snd_nxt
 * @peek_stale:	but not now
 * @want_epollout:	EPOLLOUT will come
 * @written:	something was handed to the socket
 * @nodelay:	TCP_NODELAY is set
 * @sock_failed:	the socket is of no use any more; what it still holds is sent
 * @bulk:	its last run was part of a bulk transfer
 */
struct tcp_flow {
	struct flow flow;
	struct tcp_conn conn;
	struct list ready;
	uint32_t space;
	struct tcp_rxring rxring;
	bool readable, eof_uncertain, peek_off_set, peek_stale, want_epollout, sock_failed;
	bool peer_fin, written, nodelay, bulk;
};

/* tcp_flow_of() - The TCP flow that a flow of the table is part of */
static inline struct tcp_flow *tcp_flow_of(struct flow *flow)
{
	return container_of(flow, struct tcp_flow, flow);
}

/* tcp_shared() - Whether somebody who minds to wait has sent lately */
static inline bool tcp_shared(const struct tcp *t, uint64_t now)
{
	return now - t->shared_at < TCP_SHARED;
}

/* socket.c */
void tcp_sock_space(struct tcp *t, struct tcp_flow *f, uint64_t now);
void tcp_sock_add_payload(struct tcp *t, struct tcp_flow *f, const struct pkt *pkt,
		  struct new_payload new, uint64_t now);
void tcp_sock_store_ooo(struct tcp *t, struct tcp_flow *f, const struct pkt *pkt,
		   struct new_payload new);
bool tcp_sock_deliver(struct tcp *t, struct tcp_flow *f, uint32_t later,
		      uint64_t now);
void tcp_sock_writable(struct tcp *t, struct tcp_flow *f, uint64_t now);
void tcp_sock_discard(struct tcp_flow *f);
ssize_t tcp_sock_peek(struct tcp *t, struct tcp_flow *f, struct iovec *iov,
		      unsigned int cnt);
ssize_t tcp_sock_peek_at(struct tcp *t, struct tcp_flow *f, uint32_t seq,
			 struct iovec *iov);
void tcp_sock_reset(int fd);
void tcp_sock_close(struct tcp *t, struct tcp_flow *f, bool reset);

/* output.c */
bool tcp_to_guest_flags(struct tcp *t, struct tcp_flow *f, uint8_t flags,
		   uint32_t seq);
bool tcp_to_guest_syn(struct tcp *t, struct tcp_flow *f);
void tcp_to_guest_rst(struct tcp *t, struct tcp_flow *f);
bool tcp_to_guest_data(struct tcp *t, struct tcp_flow *f, uint64_t now);
void tcp_to_guest_refuse(struct tcp *t, const struct pkt *pkt,
		    const struct tcp_seg *seg);
uint16_t tcp_mss(const struct tcp *t, const struct in6_addr *guest);

#endif /* TCP_FLOW_H */
