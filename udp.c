// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * udp.c - The entry points of UDP, for datagrams of the guest, and for
 * datagrams and errors of sockets. This file finds the flow of each.
 */
/* syscalls: munmap */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "udp/flow.h"
#include "udp/mcast.h"

#define LISTENING_SIZE	(LISTENERS_MAX * sizeof(struct udp_listening))

const char *const udp_counter_name[UDP_COUNTERS] = {
	[UDP_OPENED]		= "udp_opened",
	[UDP_ACCEPTED]		= "udp_accepted",
	[UDP_EVICTED]		= "udp_evicted",
	[UDP_REFUSED]		= "udp_refused",
	[UDP_FROM_GUEST]	= "udp_from_guest",
	[UDP_SEND_ERROR]	= "udp_send_error",
	[UDP_TO_GUEST]		= "udp_to_guest",
	[UDP_DROPPED]		= "udp_dropped",
	[UDP_NO_GUEST]		= "udp_no_guest",
	[UDP_IMPOSSIBLE]	= "udp_impossible",
	[UDP_TOO_BIG]		= "udp_too_big",
	[UDP_MULTICAST]		= "udp_multicast",
	[UDP_UNASKED]		= "udp_unasked",
	[UDP_OWN]		= "udp_from_own_port",
	[UDP_ALIKE]		= "udp_peers_alike",
};

/**
 * udp_flow_size() - Return the bytes that a UDP flow needs in the flow table
 */
size_t udp_flow_size(void)
{
	return sizeof(struct udp_flow);
}

/**
 * udp_init() - Start without flows
 * @u:		UDP; the caller has set all members from @tap to @errors. @fds
 *		is set later
 *
 * Return: 0, or -ENOMEM
 */
int udp_init(struct udp *u)
{
	list_init(&u->one_shot);
	list_init(&u->stream);
	u->nflows = u->nsockets = 0;
	u->segment = udp_can_segment() ? UINT16_MAX : 0;
	u->port_index = NULL;
	u->mcast = NULL;
	u->listening = memory_reserve(LISTENING_SIZE);
	memset(u->count, 0, sizeof(u->count));
	u->batch = udp_batch_new();
	u->guest_ports = udp_guest_ports_new();
	return u->batch && u->guest_ports && u->listening ? 0 : -ENOMEM;
}

/**
 * udp_free() - Close the sockets of groups, and free memory; all flows have
 * ended
 */
void udp_free(struct udp *u)
{
	mcast_close(u);
	udp_batch_free(u->batch);
	free(u->port_index);
	free(u->guest_ports);
	if (u->listening)
		munmap(u->listening, LISTENING_SIZE);
	u->listening = NULL;
	u->batch = NULL;
	u->port_index = NULL;
	u->guest_ports = NULL;
}

/* relay_udp_error() - Tell the guest of an error about a datagram of a flow */
static void relay_udp_error(struct udp *u, const struct udp_flow *uf,
			    const struct sock_error *e, uint64_t now)
{
	struct icmp_quote q = {
		.key = &uf->flow.key, .ttl = uf->ttl, .tos = uf->tos,
		.df = uf->df,
	};

	icmp_error_relay(u->errors, e, &q, now);
}

/* find_error_flow() - Return the flow of a listener to which the datagram
 * belongs that an error is about, or NULL */
static struct udp_flow *find_error_flow(const struct udp *u,
					const struct listener *l,
					const struct sock_error *e,
					uint64_t now)
{
	struct udp_origin o = {
		.peer = e->dest, .port = e->port, .local = e->local,
		.ifindex = e->ifindex,
	};

	return udp_inbound_find(u, l, &o, now);
}

/**
 * drain_udp_errors() - Empty a socket's error queue, and tell the guest of
 * errors that came from the network
 * @uf:		flow that owns the socket; NULL: the socket belongs to @l
 *
 * Errors of the host's own kernel are not relayed here: the failed system call
 * has returned them, and its caller tells the guest.
 *
 * Return: the MTU, if the last error of the host's own kernel was EMSGSIZE;
 *	   else 0
 */
static uint32_t drain_udp_errors(struct udp *u, int fd,
				 const struct udp_flow *uf,
				 const struct listener *l, uint64_t now)
{
	const struct udp_flow *of;
	struct sock_error e;
	uint32_t mtu = 0;
	unsigned int i;

	for (i = 0; i < UDP_BATCH && sock_next_error(fd, &e); i++) {
		if (!e.from_network) {
			mtu = e.error == EMSGSIZE ? e.info : 0;
			continue;
		}
		of = uf ? uf : find_error_flow(u, l, &e, now);
		if (of && addr_eq(&of->peer, &e.dest) && of->port == e.port)
			relay_udp_error(u, of, &e, now);
	}
	return mtu;
}

/* drain_sender_errors() - Empty the error queue of the socket that a flow sends
 * from, which may be a listener's. Return the MTU, if the last error of the
 * host's own kernel was EMSGSIZE; else 0 */
static uint32_t drain_sender_errors(struct udp *u, const struct udp_flow *uf,
				    uint64_t now)
{
	int fd = udp_flow_fd(u, uf);

	if (uf->listener == UDP_NO_LISTENER)
		return drain_udp_errors(u, fd, uf, NULL, now);
	return drain_udp_errors(u, fd, NULL,
				fwd_listener_from_token(u->fwd, uf->listener),
				now);
}

/* report_unsent() - Tell the guest why a datagram could not be sent */
static void report_unsent(struct udp *u, const struct udp_flow *uf, int error,
			  const struct pkt *pkt, uint64_t now)
{
	uint32_t mtu = drain_sender_errors(u, uf, now);

	u->count[UDP_SEND_ERROR]++;
	/* A listener's socket is not connected, so ECONNREFUSED on it was
	 * caused by an earlier datagram, maybe of another flow. */
	if (uf->listener != UDP_NO_LISTENER && error == ECONNREFUSED)
		return;
	icmp_error_pkt(u->errors, error, error == EMSGSIZE ? mtu : 0, pkt, now);
}

/**
 * report_too_long() - Tell the guest that a datagram with DF is longer than the
 * MTU of the host's interface, and send it in fragments if the guest could not
 * know that
 * @unknown:	the guest did not know the MTU when it sent the batch to which
 *		@pkt belongs
 *
 * Return: @unknown for the rest of the batch
 */
static bool report_too_long(struct udp *u, struct udp_flow *uf,
			    const struct pkt *pkt, bool unknown, uint64_t now)
{
	uint32_t mtu = drain_sender_errors(u, uf, now);
	struct pkt without_df = *pkt;

	if (icmp_error_too_big(u->errors, mtu, pkt, now))
		unknown = true;
	without_df.df = false;
	if (unknown && udp_send_batch(u, uf, &without_df, 1) == 1)
		u->count[UDP_FROM_GUEST]++;
	else
		u->count[UDP_SEND_ERROR]++;
	return unknown;
}

/**
 * retry_batch() - Send the first datagrams of a batch
 * @batch, @n:	packets of the flow @uf
 *
 * If the first call fails, its error may be about an earlier datagram, because
 * the socket had a pending error. That error is also in the error queue. If the
 * second call fails, its error is about the first datagram of @batch.
 *
 * Return: number of datagrams sent, 1 or more; or -errno for the first datagram
 */
static int retry_batch(struct udp *u, struct udp_flow *uf,
		       const struct pkt *batch, unsigned int n, uint64_t now)
{
	int rc = udp_send_batch(u, uf, batch, n);

	if (rc > 0 || rc == -EAGAIN)
		return rc;
	drain_sender_errors(u, uf, now);
	sock_clear_error(udp_flow_fd(u, uf));
	return udp_send_batch(u, uf, batch, n);
}

/* send_whole_batch() - Send a batch, and tell the guest which datagrams could
 * not be sent. If the socket has no space, the rest of the batch is silently
 * dropped, as by any full queue on the path */
static void send_whole_batch(struct udp *u, struct udp_flow *uf,
			     const struct pkt *batch, unsigned int n,
			     uint64_t now)
{
	bool mtu_unknown = false;
	int rc;

	for (; n; batch += rc, n -= (unsigned int)rc) {
		rc = retry_batch(u, uf, batch, n, now);
		if (rc == -EAGAIN || rc == -ENOBUFS) {
			u->count[UDP_SEND_ERROR] += n;
			return;
		}
		if (rc > 0) {
			u->count[UDP_FROM_GUEST] += (unsigned int)rc;
			continue;
		}
		if (rc == -EMSGSIZE && batch->df)
			mtu_unknown = report_too_long(u, uf, batch, mtu_unknown,
						      now);
		else
			report_unsent(u, uf, -rc, batch, now);
		rc = 1;
	}
}

/* open_udp_flow() - Open a flow for a batch. If that fails, count the dropped
 * datagrams, tell the guest by ICMP if there is a message for the error, and
 * return NULL */
static struct udp_flow *open_udp_flow(struct udp *u, const struct flow_key *key,
				      const struct pkt *batch, unsigned int n,
				      uint64_t now)
{
	struct udp_flow *uf;
	int rc;

	rc = udp_flow_open(u, key, now, &uf);
	if (!rc)
		return uf;

	if (rc == -EINVAL)
		u->count[UDP_IMPOSSIBLE] += n;
	else if (rc == -ELOOP)
		u->count[UDP_OWN] += n;
	else if (!icmp_error_pkt(u->errors, -rc, 0, batch, now))
		u->count[UDP_REFUSED]++;
	else
		u->count[UDP_SEND_ERROR] += n;
	return NULL;
}

static size_t payload_len(const struct pkt *batch, unsigned int n)
{
	size_t len = 0;

	while (n--)
		len += batch[n].len;
	return len;
}

/* take_datagrams() - Send datagrams of the guest, none of them a GSO frame */
static void take_datagrams(struct udp *u, const struct pkt *batch,
			   unsigned int n, uint64_t now)
{
	struct flow_key key = {
		.guest = batch->src, .peer = batch->dst,
		.gport = batch->sport, .pport = batch->dport,
		.proto = IPPROTO_UDP,
	};
	struct udp_flow *uf;

	if (mcast_from_guest(u, batch, n, now))
		return;

	/* Source port 0 means that no reply is wanted (RFC 768), but a socket
	 * always has a port. */
	if (!batch->sport || !batch->dport || !addr_is_unicast(&batch->src) ||
	    !addr_is_unicast(&batch->dst)) {
		u->count[UDP_IMPOSSIBLE] += n;
		return;
	}

	uf = udp_flow_find(u, &key);
	if (uf && (udp_flow_fd(u, uf) < 0 ||	/* its listener was closed */
		   !udp_flow_allowed(u, uf, now))) {
		udp_flow_close(u, uf);
		uf = NULL;
	}
	if (!uf)
		uf = open_udp_flow(u, &key, batch, n, now);
	if (!uf)
		return;
	uf->flow.queue = tap_queue(u->tap);
	udp_flow_used(u, uf, n, 0, payload_len(batch, n), now);
	if (uf->all_ports)
		udp_answer_expect(uf, n);
	send_whole_batch(u, uf, batch, n, now);
}

/* take_gso_frame() - Send the datagrams in a GSO frame of the guest */
static void take_gso_frame(struct udp *u, const struct pkt *gso, uint64_t now)
{
	struct udp_cut cut;
	uint32_t off, len;

	for (off = 0; off < gso->len; off += len) {
		len = udp_cut_gso(&cut, gso, off);
		if (!len) {
			u->count[UDP_SEND_ERROR]++;
			return;
		}
		take_datagrams(u, cut.pkt, cut.n, now);
	}
}

/**
 * udp_from_guest() - Send datagrams of the guest through the socket of a flow
 * @batch, @n:	packets with the same addresses and ports
 */
void udp_from_guest(struct udp *u, const struct pkt *batch, unsigned int n,
		    uint64_t now)
{
	unsigned int i, first = 0;

	for (i = 0; i < n; i++) {
		if (!batch[i].gso_size)
			continue;
		if (first < i)
			take_datagrams(u, batch + first, i - first, now);
		take_gso_frame(u, &batch[i], now);
		first = i + 1;
	}
	if (first < n)
		take_datagrams(u, batch + first, n - first, now);
}

/* get_origin() - Get sender and destination of a message. If the message can't
 * be answered, count it as dropped and return false */
static bool get_origin(struct udp *u, unsigned int i, struct udp_origin *o)
{
	if (udp_origin(u, i, o))
		return true;
	u->count[UDP_IMPOSSIBLE]++;
	return false;
}

/* deliver_message() - Send the guest one message of a flow; if @uf is NULL, do
 * nothing */
static void deliver_message(struct udp *u, struct udp_flow *uf, unsigned int i,
			    uint64_t now)
{
	if (!uf)
		return;
	tap_use_queue(u->tap, uf->flow.queue);
	udp_flow_used(u, uf, 0, udp_to_guest(u, uf, i), udp_batch_len(u, i, 1),
		      now);
}

/* deliver_answers() - Send the guest the messages of a batch that came from the
 * socket of a flow with @all_ports; @asked: key of that flow, which may end */
static void deliver_answers(struct udp *u, const struct flow_key *asked,
			    unsigned int n, uint64_t now)
{
	const struct flow_key key = *asked;
	struct udp_origin o;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (get_origin(u, i, &o))
			deliver_message(u, udp_answer_get(u, &key, &o, now), i,
					now);
	}
}

/**
 * udp_event() - Take datagrams and errors from the socket of a flow
 *
 * Each call makes one recvmmsg(). If the socket has more datagrams, epoll
 * reports it again in the next pass, so other flows have their turn before.
 */
void udp_event(struct udp *u, struct flow *f, uint32_t events, uint64_t now)
{
	struct udp_flow *uf = container_of(f, struct udp_flow, flow);
	unsigned int datagrams = 0;
	int i, n;

	if (mcast_event(u, uf, events, now))
		return;

	if (events & EPOLLERR)
		drain_udp_errors(u, f->fd[SIDE_HOST], uf, NULL, now);
	if (!(events & EPOLLIN))
		return;

	/* If a read fails, it returns the socket's pending error. That error is
	 * also in the error queue, from which it is taken at the next event. */
	n = udp_recv_batch(u, f->fd[SIDE_HOST], &uf->rx, uf->all_ports);
	if (n <= 0)
		return;
	if (uf->all_ports) {
		deliver_answers(u, &f->key, (unsigned int)n, now);
		return;
	}

	for (i = 0; i < n; i++)
		datagrams += udp_to_guest(u, uf, (unsigned int)i);
	udp_flow_used(u, uf, 0, datagrams, udp_batch_len(u, 0, (unsigned int)n),
		      now);
}

/* deliver_forwarded() - Send the guest one message that a listener received */
static void deliver_forwarded(struct udp *u, const struct listener *l,
			      unsigned int i, uint64_t now)
{
	struct udp_origin o;

	if (get_origin(u, i, &o))
		deliver_message(u, udp_inbound_get(u, l, &o, now), i, now);
}

/**
 * udp_listener() - Take datagrams and errors from a forwarded port's socket
 */
void udp_listener(struct udp *u, const struct listener *l, uint32_t events,
		  uint64_t now)
{
	int i, n;

	if (events & EPOLLERR)
		drain_udp_errors(u, l->fd, NULL, l, now);
	if (!(events & EPOLLIN))
		return;

	n = udp_recv_batch(u, l->fd, &udp_listening(u, l)->rx, true);
	if (n > 0 && !link_up(u->tap->link)) {
		u->count[UDP_NO_GUEST] += (unsigned int)n;
		return;
	}
	for (i = 0; i < n; i++)
		deliver_forwarded(u, l, (unsigned int)i, now);
}

/**
 * udp_timer() - Handle the expired timer of a flow: end the flow, unless it was
 * used after the timer was armed
 */
void udp_timer(struct udp *u, struct flow *f, uint64_t now)
{
	struct udp_flow *uf = container_of(f, struct udp_flow, flow);
	uint64_t expires = udp_flow_expires(uf);

	if (expires > now)
		timer_arm(u->timers, &f->timer, expires);
	else
		udp_flow_close(u, uf);
}

/**
 * udp_end() - Close a flow, because the guest has left
 */
void udp_end(struct udp *u, struct flow *f)
{
	udp_flow_close(u, container_of(f, struct udp_flow, flow));
}
