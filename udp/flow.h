/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * flow.h - A UDP flow, and the functions that the files of UDP call in each
 * other. Included by udp.c and udp/ only.
 */
#ifndef UDP_FLOW_H
#define UDP_FLOW_H

#include "udp.h"

#define UDP_CUT_MAX	64	/* datagrams in struct udp_cut, at most */
#define UDP_CUT_PIECES	512	/* pieces in struct udp_cut, at most */
#define UDP_BATCH	64	/* messages in one recvmmsg() */

#define UDP_NO_LISTENER	0	/* not the token of any listener */

/**
 * struct udp_rx - What passt has learned from earlier reads of a socket
 * @space:	estimate of how many bytes of the link one message of this
 *		socket takes at most; 0: no message was read yet
 * @dropped:	last value that passt has read of the kernel's counter of
 *		datagrams dropped because the socket's buffer was full
 *		(SK_MEMINFO_DROPS)
 * @counted_at:	when that counter was read last, ms, lower half; 0: never
 * @uncounted:	the kernel may have dropped datagrams since
 */
struct udp_rx {
	uint32_t space, dropped, counted_at;
	bool uncounted;
};

/* The DF setting of a socket. With DF, neither the host's kernel nor
 * a router may fragment a datagram. */
enum udp_df {
	UDP_DF_UNSET,		/* not set by passt: the host's default */
	UDP_DF,
	UDP_NO_DF,
};

/**
 * struct udp_listening - What UDP knows of a listener
 * @gen:		generation of the listener that this state belongs to
 * @df4, @df6:	enum udp_df of the listener's socket, for IPv4 and for IPv6
 * @rx:		what was learned from reads of the listener's socket
 */
struct udp_listening {
	uint32_t gen;
	uint8_t df4, df6;
	struct udp_rx rx;
};

/**
 * struct udp_flow - One flow (U1)
 * @flow:	common part of all flows; @flow.node is in udp.one_shot or in
 *		udp.stream
 *
 * Plain data, with no pointer or descriptor:
 * @last:	when a datagram last went through the flow, ms
 * @allowed_at:	when passt last found that the guest may reach the peer, ms; 0:
 *		not yet
 * @listener:	token of the listener whose socket sends the guest's datagrams;
 *		the listener may have been closed since. UDP_NO_LISTENER: the
 *		flow has its own socket
 * @ifindex:	interface of a link-local @peer; else 0
 * @peer, @port: the peer's real address, and port in host order; none and 0 for
 *		a flow to a multicast group
 * @local:	with @listener, source address for datagrams to the peer: the
 *		host's address that the peer sent to (U5); none: the kernel
 *		chooses
 * @ttl, @tos, @df: header fields of the guest's last datagram; @ttl is 0 before
 *		the first datagram
 * @df_set:	enum udp_df of the flow's own socket
 * @has_port:	the flow's own socket is bound to the guest's port number and
 *		counted in udp.guest_ports, see udp/srcport.c
 * @all_ports:	the flow's own socket is not connected: the answer may come from
 *		any port of the peer, and gets a flow of its own, see
 *		udp/answer.c
 * @unanswered:	with @all_ports, how many more ports of the peer may answer, at
 *		most UNANSWERED_MAX
 * @inbound:	the peer sent the first datagram, not the guest
 * @stream:	the flow is a stream; false: it is one-shot, see udp.h
 * @nasked:	datagrams from the side that began the flow, at most UINT8_MAX
 * @nanswered:	datagrams from the other side, at most UINT8_MAX
 * @dns:	the guest sends to the address of --dns-forward, and @peer is
 *		one of the resolvers that it leads to
 *
 * Members that passt would learn again if they were lost:
 * @segment:	bytes of the longest datagram that may be part of a GSO batch;
 *		0: no GSO batches
 * @rx:		what was learned from reads of the flow's own socket
 * @queries:	with @dns, queries that were not answered yet, see udp/dns.c
 * @resolver_failed: with @dns, an error says that @peer can't be reached
 */
struct udp_flow {
	struct flow flow;
	uint64_t last, allowed_at;
	uint64_t listener;
	uint32_t ifindex;
	struct in6_addr peer, local;
	uint16_t port;
	uint8_t ttl, tos, df_set;
	bool df;
	bool has_port;
	bool all_ports;
	uint8_t unanswered;
	bool inbound, stream;
	uint8_t nasked, nanswered;
	bool dns;

	uint32_t segment;
	struct udp_rx rx;
	struct udp_query *queries;
	bool resolver_failed;
};

/**
 * struct udp_query - A query of the guest that was not answered yet
 * @next:	the flow's next query, NULL: none
 * @sent_at:	when it was sent to the resolver that the flow sends to now, ms
 * @asked:	number of resolvers that it was sent to
 * @len:	bytes of @data
 * @data:	DNS message (RFC 1035 4.1)
 */
struct udp_query {
	struct udp_query *next;
	uint64_t sent_at;
	unsigned int asked;
	size_t len;
	uint8_t data[];
};

/**
 * struct udp_origin - Sender and destination of a datagram that came to a
 * socket that is not connected
 * @peer, @port: the sender's real address, and port in host order
 * @local:	unicast address of the host for the answer: the datagram's
 *		destination, or for IPv4 broadcast and multicast the address
 *		that the kernel names; none: the kernel chooses
 * @ifindex:	interface that a link-local @peer is on, else 0
 */
struct udp_origin {
	struct in6_addr peer, local;
	uint16_t port;
	uint32_t ifindex;
};

/**
 * struct udp_cut - Datagrams cut out of a GSO frame
 * @pkt, @n:	the datagrams, and their number
 * @iov:	pieces of the payload of all these datagrams
 * @hdr:	IP and UDP headers: [0] of datagrams of full length, [1] of a
 *		shorter last datagram
 */
struct udp_cut {
	struct pkt pkt[UDP_CUT_MAX];
	unsigned int n;
	struct iovec iov[UDP_CUT_PIECES];
	uint8_t hdr[2][PKT_HDR_MAX];
};

/* udp_flow_fd() - Return the socket that sends the guest's datagrams: the
 * flow's own, or its listener's; -1 if the listener was closed */
static inline int udp_flow_fd(const struct udp *u, const struct udp_flow *uf)
{
	const struct listener *l;

	if (uf->listener == UDP_NO_LISTENER)
		return uf->flow.fd[SIDE_HOST];
	l = fwd_listener_from_token(u->fwd, uf->listener);
	return l ? l->fd : -1;
}

/* flow.c: how flows begin and end */
struct udp_flow *udp_flow_find(const struct udp *u, const struct flow_key *key);
bool udp_flow_allowed(struct udp *u, struct udp_flow *uf, uint64_t now);
unsigned int udp_resolvers(const struct udp *u, const struct flow_key *key);
int udp_flow_open(struct udp *u, const struct flow_key *key, uint64_t now,
		  struct udp_flow **flow);
int udp_flow_socket(struct udp *u, const struct in6_addr *peer, uint16_t *port,
		    bool share);
int udp_flow_open_fd(struct udp *u, const struct flow_key *key, int fd,
		     uint64_t now, struct udp_flow **flow);
int udp_flow_open_answer(struct udp *u, struct udp_flow *asked, uint16_t port,
			 uint64_t now, struct udp_flow **flow);
struct udp_flow *udp_flow_accept(struct udp *u, const struct flow_key *key,
				 const struct listener *l,
				 const struct udp_origin *o, uint64_t now);
void udp_flow_used(struct udp *u, struct udp_flow *uf, unsigned int from_guest,
		   unsigned int to_guest,
		   size_t len, uint64_t now);
int udp_flow_move(struct udp *u, struct udp_flow *uf,
		  const struct in6_addr *peer, uint64_t now);
int udp_flow_move_to_current(struct udp *u, struct udp_flow *uf, uint64_t now);
uint64_t udp_flow_expires(const struct udp_flow *uf);
void udp_flow_close(struct udp *u, struct udp_flow *uf);
struct udp_listening *udp_listening(const struct udp *u,
				    const struct listener *l);

/* query.c: queries that were not answered yet */
void udp_query_add(struct udp *u, struct udp_flow *uf, const struct pkt *pkt,
		   uint64_t now);
void udp_query_remove(struct udp *u, struct udp_query **at);
void udp_query_forget(struct udp *u, struct udp_flow *uf);
void udp_query_answered(struct udp *u, struct udp_flow *uf, const uint8_t *data,
			size_t len);
uint64_t udp_query_oldest(const struct udp_flow *uf);

/* dns.c: queries to the address of --dns-forward */
int udp_dns_ask(struct udp *u, struct udp_flow *uf, const struct pkt *batch,
		unsigned int n, uint64_t now);
void udp_dns_answers(struct udp *u, struct udp_flow *uf, unsigned int n,
		     uint64_t now);
bool udp_dns_error(const struct udp *u, struct udp_flow *uf, int error);
void udp_dns_go_on(struct udp *u, struct udp_flow *uf, uint64_t now);
uint64_t udp_dns_timer(struct udp *u, struct udp_flow *uf, uint64_t now);

/* answer.c: answers from another port than the one that the guest asked */
void udp_answer_expect(struct udp_flow *uf, unsigned int n);
struct udp_flow *udp_answer_get(struct udp *u, const struct flow_key *asked,
				const struct udp_origin *o, uint64_t now);

/* inbound.c: which flow a datagram at a listener belongs to */
struct udp_flow *udp_inbound_find(const struct udp *u, const struct listener *l,
				  const struct udp_origin *o, uint64_t now);
struct udp_flow *udp_inbound_get(struct udp *u, const struct listener *l,
				 const struct udp_origin *o, uint64_t now);

/* srcport.c: which socket sends for a port of the guest */
const struct listener *udp_port_listener(struct udp *u,
					 const struct flow_key *key);
bool udp_is_own_listener(struct udp *u, const struct in6_addr *addr,
			 uint16_t port, uint32_t scope);
struct udp_guest_port *udp_guest_ports_new(void);
bool udp_port_share(struct udp *u, const struct flow_key *key);
void udp_port_take(struct udp *u, struct udp_flow *uf);
void udp_port_give(struct udp *u, const struct udp_flow *uf);

/* error.c: errors about datagrams of the guest */
uint32_t udp_drain_errors(struct udp *u, int fd, struct udp_flow *uf,
			  const struct listener *l, uint64_t now);
uint32_t udp_drain_sender(struct udp *u, struct udp_flow *uf, uint64_t now);

/* send.c: datagrams of the guest to sockets */
bool udp_can_segment(void);
bool udp_has_df(void);
uint32_t udp_cut_gso(struct udp_cut *c, const struct pkt *gso, uint32_t off);
int udp_send_batch(const struct udp *u, struct udp_flow *uf,
		   const struct pkt *batch, unsigned int n);

/* to_guest.c: datagrams from sockets, and on to the guest */
struct udp_batch *udp_batch_new(void);
void udp_batch_free(struct udp_batch *b);
int udp_recv_batch(struct udp *u, int fd, struct udp_rx *rx, bool origin,
		   uint64_t now);
void udp_count_drops(struct udp *u, int fd, struct udp_rx *rx, uint64_t now);
bool udp_origin(const struct udp *u, unsigned int i, struct udp_origin *o);
const uint8_t *udp_batch_message(const struct udp *u, unsigned int i,
				 size_t *len, size_t *each);
size_t udp_batch_len(const struct udp *u, unsigned int first, unsigned int n);
unsigned int udp_to_guest(struct udp *u, const struct udp_flow *uf,
			  unsigned int i);

#endif /* UDP_FLOW_H */
