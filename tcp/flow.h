/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * flow.h - A TCP flow: the core's state of the connection (conn.h), its socket
 * (connect.c, socket.c), and the segments to the guest (to_guest.c). Included
 * by tcp.c, flows.c and these files only.
 */
#ifndef TCP_FLOW_H
#define TCP_FLOW_H

#include <sys/epoll.h>

#include "flow/table.h"
#include "tcp.h"
#include "tcp/conn.h"
#include "tcp/rxring.h"

/* The epoll events that a flow's socket is watched for. They never change. If
 * EPOLL_CTL_MOD sets the same events again, epoll reports once more each event
 * whose condition holds. */
#define TCP_EVENTS \
	(EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET)

/* Maximum number of segments that one peek at the socket fills, and of their
 * pieces. These pieces and those of the scratch buffer (SKIP_IOV in socket.c)
 * are together fewer than UIO_MAXIOV. */
#define SEGS_PER_PEEK	192
#define PIECES_PER_PEEK	512

/**
 * struct tcp_flow - A TCP flow
 * @flow:	common part of all flows; @flow.node is in tcp.connecting, in
 *		tcp.acks, in tcp.last_acks or in no list
 *
 * The connection, which is plain data:
 * @conn:	the core's state
 *
 * Memory for bytes of the guest; @conn knows which of it is in use:
 * @rxring:	bytes that @conn.rcv_queued and @conn.ooo refer to
 *
 * All other members could be found out again, by system calls on the socket, or
 * because epoll reports every event whose condition holds when a socket is
 * added to it:
 * @space:	number of bytes that the socket can certainly take: its free
 *		space when it was last asked, minus the bytes written since
 * @readable:	the socket may have data that was not peeked yet, or the peer's
 *		FIN
 * @eof_uncertain: an error or urgent data was reported, so a short read does
 *		not prove that the socket has no more data
 * @peer_fin:	EPOLLRDHUP was reported: the peer's FIN comes after the data
 *		that the socket has now
 * @peek_off_set: SO_PEEK_OFF is set, and the kernel advances it with each peek
 * @peek_stale:	SO_PEEK_OFF differs from the offset of conn.snd_nxt, and has to
 *		be set before the next peek
 * @just_wrote:	the guest's latest batch had data for the socket
 * @acks_kept:	number of ACKs whose bytes are still in the socket
 * @discard_due: when these bytes are removed at the latest; 0: there are none
 * @want_epollout: epoll will report EPOLLOUT when the socket has space again
 * @written:	at least one write to the socket was tried
 * @nodelay:	TCP_NODELAY is set
 * @accepted:	a peer began the connection; counted in tcp.naccepted
 * @resolver:	while a connection to the address of --dns-forward is opened,
 *		index of the resolver that the socket connects to
 * @resolvers_left: how many more resolvers to try if that one fails
 * @resolvers_changes: resolvers.changes of the list that @resolver is in
 * @sock_failed: the socket had an error. Before the connection is reset, the
 *		guest gets the data that the socket still has, as far as window
 *		and quantum allow
 */
struct tcp_flow {
	struct flow flow;

	struct tcp_conn conn;

	struct tcp_rxring rxring;

	uint32_t space;
	bool readable, eof_uncertain, peer_fin, peek_off_set, peek_stale;
	bool want_epollout, written, nodelay, sock_failed, accepted, just_wrote;
	uint8_t resolver, resolvers_left, acks_kept;
	uint32_t resolvers_changes;
	uint64_t discard_due;
};

/* Return the TCP flow that contains a flow of the table. */
static inline struct tcp_flow *tcp_flow_of(struct flow *flow)
{
	return container_of(flow, struct tcp_flow, flow);
}

/* flows.c */
struct tcp_flow *tcp_flow_find(const struct tcp *t, const struct flow_key *key);
struct tcp_flow *tcp_flow_new(struct tcp *t, const struct flow_key *key,
			      bool evict);
void tcp_flow_remove(struct tcp *t, struct tcp_flow *f, bool reset);
bool tcp_flow_evict(struct tcp *t);

/* connect.c */
int tcp_connect(struct tcp *t, struct tcp_flow *f, struct in6_addr peer,
		uint64_t now);
int tcp_connect_again(struct tcp *t, struct tcp_flow *f, int error,
		      uint64_t now);

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
void tcp_sock_acked(const struct tcp *t, struct tcp_flow *f, uint64_t now);
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
