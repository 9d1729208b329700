/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * flow.h - What the files of UDP share: a flow, and what is done with it.
 * Included by udp.c and udp/ only.
 */
#ifndef UDP_FLOW_H
#define UDP_FLOW_H

#include "udp.h"

#define UDP_CUT_MAX	64	/* datagrams cut out of a GSO frame at once */
#define UDP_CUT_PIECES	512	/* pieces of these */
#define UDP_BATCH	64	/* messages in one recvmmsg() */

#define UDP_NO_LISTENER	0	/* no listener has this token */

/**
 * struct udp_rx - What is known of a socket from earlier reads
 * @space:	bytes of the link that one message is likely to take at most,
 *		0: not known
 * @dropped:	datagrams that the kernel has dropped because the socket's
 *		buffer was full, as it last said
 */
struct udp_rx {
	uint32_t space, dropped;
};

/* Whether the host's kernel and routers may fragment what a listener sends. */
enum udp_df {
	UDP_DF_UNSET,		/* as the host's default is */
	UDP_DF,
	UDP_NO_DF,
};

/**
 * struct udp_listening - What UDP knows of a listener
 * @gen:	generation of that listener
 * @df4, @df6:	enum udp_df for each family
 * @rx:		of its socket
 */
struct udp_listening {
	uint32_t gen;
	uint8_t df4, df6;
	struct udp_rx rx;
};

/**
 * struct udp_flow - One flow (U1)
 * @flow:	what all flows have; @flow.node is in a list of struct udp
 *
 * Plain data:
 * @last:	when it was last used, ms
 * @listener:	token of the listener that it came through or leaves by, which
 *		may have been closed; UDP_NO_LISTENER: it has its own socket
 * @ifindex:	interface of a listener's link-local peer, else 0
 * @peer:	peer of a listener: its real address
 * @local:	our address that a listener sends from, because the peer sent
 *		to it (U5); none: the kernel's choice
 * @ttl, @tos, @df: of the guest's last datagram; @ttl is 0 before the first
 * @has_port:	its own socket has the guest's port, see udp/srcport.c
 * @inbound:	the peer began
 * @stream:	no longer one-shot, see udp.h
 * @nasked:	datagrams from the side that began, at most UINT8_MAX
 * @nanswered:	datagrams from the other side, at most UINT8_MAX
 *
 * Learned again if lost:
 * @segment:	longest datagram for a GSO batch, bytes
 * @rx:	of its own socket
 */
struct udp_flow {
	struct flow flow;
	uint64_t last;
	uint64_t listener;
	uint32_t ifindex;
	struct in6_addr peer, local;
	uint8_t ttl, tos;
	bool df;
	bool has_port;
	bool inbound, stream;
	uint8_t nasked, nanswered;

	uint32_t segment;
	struct udp_rx rx;
};

/**
 * struct udp_origin - Sender and destination of a datagram for a listener
 * @peer, @port: its sender, port in host order
 * @local:	our unicast address that it was sent to, or that may answer for
 *		it; none: the kernel's choice
 * @ifindex:	interface, if @peer is link-local, else 0
 */
struct udp_origin {
	struct in6_addr peer, local;
	uint16_t port;
	uint32_t ifindex;
};

/**
 * struct udp_cut - Datagrams cut out of a GSO frame
 * @pkt, @n:	datagrams
 * @iov:	their pieces
 * @hdr:	their headers: those of full length, and of a shorter last one
 */
struct udp_cut {
	struct pkt pkt[UDP_CUT_MAX];
	unsigned int n;
	struct iovec iov[UDP_CUT_PIECES];
	uint8_t hdr[2][PKT_HDR_MAX];
};

/* udp_flow_fd() - The socket that the guest's datagrams leave by; -1: its
 * listener is closed */
static inline int udp_flow_fd(const struct udp *u, const struct udp_flow *uf)
{
	const struct listener *l;

	if (uf->listener == UDP_NO_LISTENER)
		return uf->flow.fd[SIDE_HOST];
	l = fwd_listener_from_token(u->fwd, uf->listener);
	return l ? l->fd : -1;
}

/* flow.c: how flows begin and end */
int udp_flow_open(struct udp *u, const struct flow_key *key, uint64_t now,
		  struct udp_flow **flow);
int udp_flow_socket(struct udp *u, const struct in6_addr *peer, uint16_t *port,
		    bool share);
int udp_flow_open_fd(struct udp *u, const struct flow_key *key, int fd,
		     uint64_t now, struct udp_flow **flow);
struct udp_flow *udp_flow_accept(struct udp *u, const struct flow_key *key,
				 const struct listener *l, uint64_t now);
void udp_flow_used(struct udp *u, struct udp_flow *uf, unsigned int from_guest,
		   unsigned int to_guest,
		   size_t len, uint64_t now);
uint64_t udp_flow_expires(const struct udp_flow *uf);
void udp_flow_close(struct udp *u, struct udp_flow *uf);
struct udp_listening *udp_listening(const struct udp *u,
				    const struct listener *l);

/* srcport.c: which socket sends for a port of the guest */
const struct listener *udp_port_listener(struct udp *u,
					 const struct flow_key *key);
struct udp_guest_port *udp_guest_ports_new(void);
bool udp_port_share(struct udp *u, const struct flow_key *key);
void udp_port_take(struct udp *u, struct udp_flow *uf);
void udp_port_give(struct udp *u, const struct udp_flow *uf);

/* from_guest.c: datagrams of the guest to sockets */
bool udp_can_segment(void);
uint32_t udp_cut_gso(struct udp_cut *c, const struct pkt *gso, uint32_t off);
int udp_send_batch(const struct udp *u, struct udp_flow *uf,
		   const struct pkt *batch, unsigned int n);

/* to_guest.c: datagrams from sockets, and on to the guest */
struct udp_batch *udp_batch_new(void);
void udp_batch_free(struct udp_batch *b);
int udp_recv_batch(struct udp *u, int fd, struct udp_rx *rx, bool origin);
bool udp_origin(const struct udp *u, unsigned int i, struct udp_origin *o);
size_t udp_batch_len(const struct udp *u, unsigned int first, unsigned int n);
unsigned int udp_to_guest(struct udp *u, const struct udp_flow *uf,
			  unsigned int i);

#endif /* UDP_FLOW_H */
