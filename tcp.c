// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * tcp.c - Decides when TCP flows begin and end. Reports segments of the guest,
 * events of sockets and expired timers to the core (tcp/conn.h), and does the
 * actions that the core asks for.
 */
/* syscalls: accept4 close getsockopt setsockopt shutdown */
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checksum.h"
#include "forward/nat.h"
#include "log.h"
#include "tcp.h"
#include "tcp/flow.h"
#include "tcp/seq.h"

/* Maximum number of connections that are accepted from one listener before it
 * is the turn of other descriptors. */
#define ACCEPT_MAX	32

/* Maximum number of duplicate ACKs in answer to the out-of-order segments of
 * one batch, if the guest has no SACK. Three make the guest retransmit; each
 * further one lets it send one more new segment (RFC 5681 3.2). */
#define DUP_ACKS_MAX	8

/* Maximum number of challenge ACKs per second, of all flows together (RFC 5961
 * 7). */
#define CHALLENGES_MAX	100

/* MSS of the guest if its SYN has no MSS option (RFC 9293 3.7.1). */
#define MSS_DEFAULT4	536
#define MSS_DEFAULT6	1220

const char *const tcp_counter_name[TCP_COUNTERS] = {
	[TCP_OPENED]	= "tcp_opened",
	[TCP_ACCEPTED]	= "tcp_accepted",
	[TCP_REFUSED]	= "tcp_refused",
	[TCP_EVICTED]	= "tcp_evicted",
	[TCP_MALFORMED]	= "tcp_malformed",
	[TCP_RESETS_TO_GUEST] = "tcp_resets_to_guest",
	[TCP_CHALLENGE]	= "tcp_challenge_acks",
	[TCP_RETRANSMIT] = "tcp_retransmits",
	[TCP_TIMEOUT]	= "tcp_timeouts",
	[TCP_BACKLOGGED] = "tcp_backlogged",
	[TCP_OUT_OF_ORDER] = "tcp_out_of_order",
};

/* tcp_flow_size() - Bytes that a TCP flow needs in the flow table */
size_t tcp_flow_size(void)
{
	return sizeof(struct tcp_flow);
}

/* Return an initial sequence number (T3): the sum of a hash of the flow's key
 * and a clock with ticks of 4 us (RFC 6528). */
static uint32_t initial_seq(const struct tcp *t, const struct flow_key *key,
			    uint64_t now)
{
	return (uint32_t)(now * 250 + siphash(&t->secret, key, sizeof(*key)));
}

/* Arm the flow's timer for the core's deadline, for the delayed ACK or for the
 * removal of acknowledged bytes, whichever comes first. If the timer is armed
 * for an earlier time already, it stays as it is: it then fires early, and is
 * armed again. */
static void set_flow_timer(struct tcp *t, struct tcp_flow *f)
{
	struct timer *timer = &f->flow.timer;
	struct tcp_conn *c = &f->conn;
	uint64_t due = c->timer == CONN_TIMER_NONE ? UINT64_MAX : c->deadline;

	if (c->ack_due && c->ack_due < due)
		due = c->ack_due;
	if (f->discard_due && f->discard_due < due)
		due = f->discard_due;
	if (due != UINT64_MAX &&
	    (!timer_armed(timer) || due < timer->expires))
		timer_arm(t->timers, timer, due);
}

/* Send a challenge ACK (RFC 5961), unless CHALLENGES_MAX were sent in this
 * second. */
static void send_challenge_ack(struct tcp *t, struct tcp_flow *f, uint64_t now)
{
	if (now / SEC != t->challenge.second) {
		t->challenge.second = now / SEC;
		t->challenge.count = 0;
	}
	if (t->challenge.count >= CHALLENGES_MAX)
		return;
	t->challenge.count++;
	t->count[TCP_CHALLENGE]++;
	tcp_to_guest_flags(t, f, 0, f->conn.snd_nxt);
}

/* Send data to the guest. If more is left, the flow waits for its next turn. */
static void send_and_requeue(struct tcp *t, struct tcp_flow *f, uint64_t now)
{
	sched_forget(t->sched, &f->flow);
	if (f->flow.fd[SIDE_HOST] >= 0 && tcp_to_guest_data(t, f, now))
		sched_wait(t->sched, &f->flow);
}

/* Tell the guest and the peer that the connection is closed, and remove the
 * flow. */
static void finish_closed(struct tcp *t, struct tcp_flow *f, uint32_t actions)
{
	if (actions & CONN_DO_RST_GUEST)
		tcp_to_guest_rst(t, f);
	else if (actions & CONN_DO_ACK && !(actions & CONN_DO_RST_PEER))
		tcp_to_guest_flags(t, f, 0, f->conn.snd_nxt);
	tcp_flow_remove(t, f, actions & CONN_DO_RST_PEER);
}

/* Do the actions that need the socket. */
static void do_socket_actions(struct tcp *t, struct tcp_flow *f,
			      uint32_t actions, uint64_t now)
{
	int fd = f->flow.fd[SIDE_HOST], on = 1;

	if (actions & CONN_DO_DISCARD)
		tcp_sock_acked(t, f, now);
	/* The last peek may have ended before urgent data, which can be read
	 * now. */
	if (actions & CONN_DO_DISCARD && f->eof_uncertain && t->no_peek_off)
		f->readable = true;
	if (actions & CONN_DO_REWIND) {
		t->count[TCP_TIMEOUT]++;
		f->readable = f->peek_stale = true;
	}
	if (actions & CONN_DO_SHUTDOWN &&
	    !(actions & (CONN_DO_CLOSE | CONN_DO_REMOVE)))
		shutdown(fd, SHUT_WR);
	if (actions & CONN_DO_KEEPALIVE)
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

/*
 * Do the actions that the core asks for.
 * Return: false if the flow was removed.
 */
static bool do_actions(struct tcp *t, struct tcp_flow *f, uint64_t now)
{
	struct tcp_conn *c = &f->conn;
	uint32_t actions = conn_take_actions(c, ~(uint32_t)CONN_DO_ACK);

	if (f->flow.fd[SIDE_HOST] >= 0)
		do_socket_actions(t, f, actions, now);
	if (actions & CONN_DO_SYN)
		tcp_to_guest_syn(t, f);
	if (actions & CONN_DO_PROBE)
		tcp_to_guest_flags(t, f, 0, c->snd_una - 1);
	if (actions & CONN_DO_CHALLENGE)
		send_challenge_ack(t, f, now);
	if (actions & (CONN_DO_RETRANSMIT | CONN_DO_SEND) &&
	    c->phase == CONN_OPEN)
		send_and_requeue(t, f, now);
	if (actions & CONN_DO_CLOSE)
		tcp_sock_close(t, f, false);

	if (c->phase == CONN_CLOSED) {
		finish_closed(t, f, actions | c->actions);
		return false;
	}
	if (c->actions & CONN_DO_ACK && list_empty(&f->flow.node))
		list_push(&t->acks, &f->flow.node);
	set_flow_timer(t, f);
	return true;
}

/*
 * Tell the guest by ICMP why its connection failed. @q describes its SYN, which
 * the ICMP error quotes.
 *
 * Since 5.11, Linux puts the ICMP message that ended a connect() in the error
 * queue, for IPv4 even without IP_RECVERR. If there is such a message, passt
 * relays it to the guest, with the router that sent the message as the source.
 *
 * Return: false if @error stands for no ICMP error.
 */
static bool report_unreachable(struct tcp *t, const struct tcp_flow *f,
			       int error, const struct icmp_quote *q,
			       uint64_t now)
{
	enum ip_family family = addr_ip(&q->key->guest);
	struct sock_error e;

	if (sock_next_error(f->flow.fd[SIDE_HOST], &e) && e.from_network) {
		icmp_error_relay(t->errors, &e, q, now);
		return true;
	}
	return icmp_error(t->errors, error, &t->net->lease.router[family], 0,
			  q, now);
}

/*
 * Handle a failed connect() (T1). Depending on the errno, answer the guest's
 * SYN by RST or by an ICMP error, or not at all if the peer did not answer.
 *
 * RST also answers the SYN if the peer reset the connection right after the
 * peer had accepted it, and for errors of the host itself for which there is no
 * ICMP error (ENOBUFS, EMFILE).
 */
static void connect_failed(struct tcp *t, struct tcp_flow *f, int error,
			   uint64_t now)
{
	const struct flow_key *key = &f->flow.key;
	struct tcp_hdr h = {
		.sport = key->gport, .dport = key->pport,
		.seq = f->conn.rcv_nxt - 1, .flags = SEG_SYN, .wscale = -1,
	};
	uint8_t syn[TCP_HLEN];
	struct icmp_quote quote = {
		.key = key, .l4 = syn, .len = sizeof(syn),
		.total = sizeof(syn), .df = true,
	};
	bool refused = error != ETIMEDOUT;

	tcp_hdr_put(&h, syn);
	if (refused && error != ECONNREFUSED)
		refused = !report_unreachable(t, f, error, &quote, now);
	conn_connect_failed(&f->conn, refused);
	do_actions(t, f, now);
}

/* Complete the MSS of the guest's SYN. If the SYN has the option, the MSS shows
 * which MTU the guest has. If not, the MSS is a default. */
static void complete_mss(struct tcp *t, const struct pkt *pkt,
			 struct tcp_seg *seg)
{
	bool v4 = addr_is_v4(&pkt->src);

	if (seg->mss)
		tap_show_mtu(t->tap, (v4 ? IP4_HLEN : IP6_HLEN) + TCP_HLEN +
				     seg->mss);
	else
		seg->mss = v4 ? MSS_DEFAULT4 : MSS_DEFAULT6;
}

/*
 * Open a flow for the guest's SYN (T1).
 * Return: the flow, or NULL if it could not be opened.
 */
static struct tcp_flow *begin_guest_flow(struct tcp *t,
					const struct flow_key *key,
					const struct pkt *pkt,
					struct tcp_seg *seg, uint64_t now)
{
	struct in6_addr peer;
	struct tcp_flow *f;
	int rc;

	if (!key->gport || !key->pport ||
	    !nat_from_guest(t->net, &key->peer, key->pport, &peer)) {
		t->count[TCP_MALFORMED]++;
		return NULL;
	}
	f = tcp_flow_new(t, key, true);
	if (!f) {
		t->count[TCP_REFUSED]++;
		tcp_to_guest_refuse(t, pkt, seg);
		return NULL;
	}

	complete_mss(t, pkt, seg);
	conn_guest_syn(&f->conn, seg, initial_seq(t, key, now),
		       tcp_mss(t, &key->guest), now);
	rc = tcp_connect(t, f, peer, now);
	if (rc < 0) {
		t->count[TCP_REFUSED]++;
		LOG_LIMITED(LOG_DEBUG, "tcp: no connection: %s", strerror(-rc));
		connect_failed(t, f, -rc, now);
		return NULL;
	}
	t->count[TCP_OPENED]++;
	return f;
}

/* Open a flow for the guest's SYN, unless the guest opens too many: then the
 * SYN is dropped, and the guest sends it again. */
static struct tcp_flow *open_guest_flow(struct tcp *t,
					const struct flow_key *key,
					const struct pkt *pkt,
					struct tcp_seg *seg, uint64_t now)
{
	struct tcp_flow *f;
	uint64_t begun;

	if (!sched_may_open(t->sched, SCHED_OPEN_TCP, now)) {
		t->count[TCP_REFUSED]++;
		return NULL;
	}
	begun = now_us();
	f = begin_guest_flow(t, key, pkt, seg, now);
	sched_opened(t->sched, SCHED_OPEN_TCP, now_us() - begun);
	return f;
}

/*
 * Handle a segment that belongs to no flow (T4). A SYN opens a flow; any other
 * segment is answered by RST.
 * Return: the new flow, or NULL.
 */
static struct tcp_flow *segment_without_flow(struct tcp *t,
					     const struct flow_key *key,
					     const struct pkt *pkt,
					     struct tcp_seg *seg, uint64_t now)
{
	if ((seg->flags & (SEG_SYN | SEG_ACK | SEG_RST)) == SEG_SYN)
		return open_guest_flow(t, key, pkt, seg, now);

	if (addr_is_unicast(&key->peer))
		tcp_to_guest_refuse(t, pkt, seg);
	return NULL;
}

/* Whether a segment is a SYN for a new connection, while the flow with the same
 * addresses and ports is in CONN_TIME_WAIT. */
static bool reuses_ports(const struct tcp_flow *f, const struct tcp_seg *seg)
{
	return f->conn.phase == CONN_TIME_WAIT &&
	       (seg->flags & (SEG_SYN | SEG_ACK | SEG_RST)) == SEG_SYN &&
	       seq_lt(f->conn.rcv_nxt, seg->seq);
}

/*
 * Pass one segment of a batch to the core.
 * Return: 1 if a duplicate ACK has to answer the segment, else 0.
 */
static unsigned int feed_segment(struct tcp *t, struct tcp_flow *f,
				 const struct pkt *pkt, struct tcp_seg *seg,
				 uint64_t now)
{
	struct tcp_conn *c = &f->conn;
	struct new_payload new;
	uint32_t actions;

	if (seg->flags & SEG_SYN)
		complete_mss(t, pkt, seg);
	new = conn_segment(c, seg, now);
	if (new.len && new.ooo)
		tcp_sock_store_ooo(t, f, pkt, new);
	else if (new.len)
		tcp_sock_add_payload(t, f, pkt, new, now);
	actions = conn_take_actions(c, CONN_DO_REFUSE | CONN_DO_DUP_ACK);
	if (actions & CONN_DO_REFUSE)
		tcp_to_guest_refuse(t, pkt, seg);
	return actions & CONN_DO_DUP_ACK ? 1 : 0;
}

/*
 * Write the payload of a batch to the socket, send duplicate ACKs, and do the
 * actions that the core asks for. @dups: number of segments of the batch that a
 * duplicate ACK has to answer.
 */
static void finish_batch(struct tcp *t, struct tcp_flow *f, unsigned int dups,
			 uint64_t now)
{
	struct tcp_conn *c = &f->conn;

	tcp_sock_deliver(t, f, 0, now);
	if (f->sock_failed && c->phase != CONN_CLOSED)
		conn_peer_error(c);
	if (conn_wants_space(c))
		tcp_sock_space(t, f, now);

	/* With SACK, one ACK tells the guest all that several would. */
	for (dups = MIN(dups, c->sack_ok ? 1 : DUP_ACKS_MAX); dups; dups--)
		tcp_to_guest_flags(t, f, 0, c->snd_nxt);
	do_actions(t, f, now);
}

/* tell_active() - Tell the scheduler that the guest has sent a batch. @f: flow
 * of the batch, NULL if there is none yet */
static void tell_active(struct tcp *t, struct tcp_flow *f,
			const struct pkt *batch, unsigned int n, uint64_t now)
{
	size_t len = f ? f->conn.snd_nxt - f->conn.snd_una : 0;

	while (n--)
		len += batch[n].len;
	sched_active(t->sched, t->flows, f ? &f->flow : NULL, len, now);
}

/**
 * tcp_from_guest() - Handle a batch of segments of one flow
 * @batch:	packets, all with the same addresses and ports
 * @n:		number of packets
 */
void tcp_from_guest(struct tcp *t, const struct pkt *batch, unsigned int n,
		    uint64_t now)
{
	struct flow_key key = {
		.guest = batch->src, .gport = batch->sport,
		.peer = batch->dst, .pport = batch->dport,
		.proto = IPPROTO_TCP,
	};
	struct tcp_flow *f = tcp_flow_find(t, &key);
	unsigned int i, dups = 0;
	struct tcp_seg seg;

	tell_active(t, f, batch, n, now);
	for (i = 0; i < n; i++) {
		if (!tcp_seg_parse(&seg, batch[i].l4, batch[i].l4len,
				   batch[i].len)) {
			t->count[TCP_MALFORMED]++;
			continue;
		}
		seg.gso_size = batch[i].gso_size;
		if (f && reuses_ports(f, &seg)) {
			tcp_flow_remove(t, f, false);
			f = NULL;
		}
		if (!f) {
			f = segment_without_flow(t, &key, &batch[i], &seg, now);
			continue;
		}
		dups += feed_segment(t, f, &batch[i], &seg, now);
		if (f->conn.phase == CONN_CLOSED) {
			finish_batch(t, f, 0, now);
			f = NULL;
			dups = 0;
		}
	}
	if (!f)
		return;
	f->flow.queue = tap_queue(t->tap);
	finish_batch(t, f, dups, now);
}

/* connected_to_host() - Whether a new connection has to end, because the host
 * itself got the peer's address while the socket was connecting
 * (--no-host-access) */
static bool connected_to_host(const struct tcp *t, const struct tcp_flow *f)
{
	const struct flow_key *key = &f->flow.key;
	struct in6_addr peer;

	return t->access &&
	       nat_from_guest(t->net, &key->peer, key->pport, &peer) &&
	       access_denied(t->access, &key->peer, key->pport, &peer, 0);
}

/* Handle an event of a socket that is connecting. */
static void connect_event(struct tcp *t, struct tcp_flow *f, uint32_t events,
			  uint64_t now)
{
	socklen_t len = sizeof(int);
	uint64_t begun;
	int error = 0;

	if (events & EPOLLERR)
		getsockopt(f->flow.fd[SIDE_HOST], SOL_SOCKET, SO_ERROR, &error,
			   &len);
	if (error) {
		begun = now_us();
		error = tcp_connect_again(t, f, error, now);
		sched_opened(t->sched, SCHED_OPEN_TCP, now_us() - begun);
		events = 0;		/* they were the old socket's */
	}
	if (error) {
		connect_failed(t, f, error, now);
	} else if (events & EPOLLOUT && connected_to_host(t, f)) {
		connect_failed(t, f, EACCES, now);
	} else if (events & EPOLLOUT) {
		list_remove(&f->flow.node);
		sched_answered(t->sched, SCHED_OPEN_TCP);
		conn_connected(&f->conn, now);
		do_actions(t, f, now);
	}
}

/* Remember the events of a socket, because with EPOLLET epoll reports each
 * event only once. */
static void note_events(struct tcp_flow *f, uint32_t events)
{
	int on = 1;

	if (events & EPOLLPRI)		/* receive urgent data as normal
					 * data (T12) */
		setsockopt(f->flow.fd[SIDE_HOST], SOL_SOCKET, SO_OOBINLINE,
			   &on, sizeof(on));
	if (events & (EPOLLERR | EPOLLPRI))
		f->eof_uncertain = true;
	if (events & EPOLLERR)
		f->sock_failed = true;
	else if (events & EPOLLRDHUP)
		f->peer_fin = true;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLPRI))
		f->readable = true;
}

/* waits_for_turn() - Whether the link is in low-latency mode, and a flow that
 * has used up its quantum waits for its next turn */
static bool waits_for_turn(const struct tcp *t, const struct tcp_flow *f,
			   uint64_t now)
{
	return sched_low_latency(t->sched, now) && sched_waits(&f->flow);
}

/**
 * tcp_event() - Handle events of a flow's socket
 * @events:	events that epoll reported
 */
void tcp_event(struct tcp *t, struct flow *flow, uint32_t events, uint64_t now)
{
	struct tcp_flow *f = tcp_flow_of(flow);

	if (f->conn.phase == CONN_CONNECTING) {
		if (!(events & EPOLLERR))
			note_events(f, events);
		connect_event(t, f, events, now);
		return;
	}

	note_events(f, events);
	if (events & EPOLLOUT && f->want_epollout && !f->sock_failed)
		tcp_sock_writable(t, f, now);
	if (f->readable && f->conn.phase == CONN_OPEN &&
	    (f->sock_failed || !waits_for_turn(t, f, now)))
		send_and_requeue(t, f, now);
	if (f->sock_failed && f->conn.phase != CONN_CLOSED)
		conn_peer_error(&f->conn);
	do_actions(t, f, now);
}

/* Reset an accepted connection that can't be passed to the guest. */
static void refuse_accepted(struct tcp *t, int fd)
{
	t->count[TCP_REFUSED]++;
	tcp_sock_reset(fd);
}

/* Whether connections that peers opened use all descriptors that they may use.
 * A part of the descriptors is left to connections that the guest opens, so
 * that the guest can open connections even during a flood at a forwarded
 * port. */
static bool is_peers_share_used(const struct tcp *t)
{
	uint32_t max = (uint32_t)t->max_fd;
	uint32_t left = MIN(max - MIN(max, t->fwd->nlisteners), t->flows->max);

	if (t->naccepted < left - left / TCP_GUEST_SHARE)
		return false;
	LOG_LIMITED(LOG_WARNING, "too many connections to the guest: more are refused; raise the limit of descriptors (ulimit -n), and --max-flows");
	return true;
}

/*
 * Open a flow for a peer that has connected to a forwarded port (T2). @fd is
 * the socket of the connection, which this function owns. @sa is the peer's
 * real address.
 */
static void accept_peer(struct tcp *t, const struct listener *l, int fd,
			const union sockaddr_any *sa, uint64_t now)
{
	const struct in6_addr *target = &listener_ends(t->fwd, l)->target;
	struct flow_key key = { .proto = IPPROTO_TCP };
	struct in6_addr peer;
	struct tcp_flow *f;

	if (fd >= t->max_fd || is_peers_share_used(t) ||
	    !link_up(t->tap->link) ||
	    !sockaddr_get(sa, &peer, &key.pport) ||
	    !nat_to_guest(t->net, &peer, &key.peer)) {
		refuse_accepted(t, fd);
		return;
	}
	key.guest = addr_is_none(target) ?
		*tap_guest_addr(t->tap, &key.peer) : *target;
	key.gport = l->gport;
	if (addr_is_none(&key.guest)) {	/* no address of the guest is known
					 * yet */
		refuse_accepted(t, fd);
		return;
	}

	f = tcp_flow_find(t, &key);
	if (f && f->conn.phase == CONN_TIME_WAIT)
		tcp_flow_remove(t, f, false);
	else if (f || addr_is_v4(&key.guest) != addr_is_v4(&key.peer)) {
		refuse_accepted(t, fd);
		return;
	}

	f = tcp_flow_new(t, &key, false);
	if (!f) {
		refuse_accepted(t, fd);
		return;
	}
	f->flow.fd[SIDE_HOST] = fd;
	f->nodelay = true;		/* inherited from the listener */
	f->accepted = true;
	t->naccepted++;
	conn_accepted(&f->conn, initial_seq(t, &key, now),
		      tcp_mss(t, &key.guest), now);
	if (flow_watch(t->flows, &f->flow, SIDE_HOST, TCP_EVENTS))
		conn_abort(&f->conn);
	t->count[TCP_ACCEPTED]++;
	do_actions(t, f, now);
}

/* If no descriptors are left, use the spare descriptor to accept one connection
 * and refuse it. Returns false if this failed, too. */
static bool refuse_without_fd(struct tcp *t, int listener)
{
	int fd = accept_last(listener, &t->spare_fd);

	LOG_LIMITED(LOG_WARNING, "no descriptors left: connections to the guest are refused; raise the limit (ulimit -n)");
	if (fd >= 0)
		refuse_accepted(t, fd);
	t->spare_fd = spare_open();
	return fd >= 0;
}

/* accept_one() - Accept a connection that waits at a forwarded port, or refuse
 * it if there are no descriptors; 0 or -errno */
static int accept_one(struct tcp *t, const struct listener *l, uint64_t now)
{
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);
	int fd = accept4(l->fd, &sa.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int error = fd < 0 ? errno : 0;

	if (!error)
		accept_peer(t, l, fd, &sa, now);
	if ((error == EMFILE || error == ENFILE) && refuse_without_fd(t, l->fd))
		return 0;
	return -error;
}

/**
 * tcp_listener() - Accept the connections that wait at a forwarded port
 *
 * Return: 0; or -errno if connections wait that can't be accepted now. The
 *	   caller must then pause before it tries again
 */
int tcp_listener(struct tcp *t, const struct listener *l, uint64_t now)
{
	int i, rc = 0;

	for (i = 0; i < ACCEPT_MAX; i++) {
		rc = accept_one(t, l, now);
		if (rc == -EAGAIN)
			return 0;
		if (rc && rc != -ECONNABORTED && rc != -EINTR)
			return rc;
	}
	return rc;
}

/* tcp_timer() - Handle the expired timer of a flow */
void tcp_timer(struct tcp *t, struct flow *flow, uint64_t now)
{
	struct tcp_flow *f = tcp_flow_of(flow);

	list_remove(&f->flow.node);	/* if a final ACK waits, it is sent
					 * now */
	if (f->discard_due && f->discard_due <= now)
		tcp_sock_discard(f);
	if (conn_try_due(&f->conn, now) && tap_stalled(t->tap, now))
		conn_postpone(&f->conn, now);
	conn_timeout(&f->conn, now);
	do_actions(t, f, now);
}

/**
 * tcp_pass_end() - Send the pending ACKs that no other segment of this pass has
 * carried (T13)
 *
 * If the link has no space, the ACKs wait. The final ACK of a connection is not
 * sent alone, so that it does not wake the guest. The final ACK waits for any
 * other frame to the guest, which often is the first frame of the next
 * connection.
 */
void tcp_pass_end(struct tcp *t, uint64_t now)
{
	struct list *from;
	struct tcp_flow *f;

	for (;;) {
		from = !list_empty(&t->acks) ? &t->acks : &t->last_acks;
		if (list_empty(from) ||
		    (from == &t->last_acks && !t->tap->queue->pending))
			return;

		f = container_of(from->next, struct tcp_flow, flow.node);
		tap_use_queue(t->tap, f->flow.queue);
		if (from == &t->acks && conn_ack_can_wait(&f->conn, now)) {
			list_remove(&f->flow.node);
			if (f->conn.phase == CONN_TIME_WAIT)
				list_push(&t->last_acks, &f->flow.node);
			set_flow_timer(t, f);
		} else if (!tcp_to_guest_flags(t, f, 0, f->conn.snd_nxt)) {
			return;
		}
	}
}

/* tcp_resume() - Continue to send data of a flow, because it is the flow's
 * turn */
void tcp_resume(struct tcp *t, struct flow *flow, uint64_t now)
{
	struct tcp_flow *f = tcp_flow_of(flow);

	send_and_requeue(t, f, now);
	do_actions(t, f, now);
}

/* tcp_end() - Reset the connection with the peer and remove the flow, because
 * the guest has left (T2, T11) */
void tcp_end(struct tcp *t, struct flow *f)
{
	tcp_flow_remove(t, tcp_flow_of(f), true);
}

/* tcp_lost() - Tell the guest that the peer can't be reached any more, and
 * reset the connection, because the host has lost the address or interface of
 * the flow's socket: no answer of the peer can reach this socket */
void tcp_lost(struct tcp *t, struct flow *flow, uint64_t now)
{
	struct tcp_flow *f = tcp_flow_of(flow);
	const struct icmp_quote q = { .key = &flow->key, .df = true };

	icmp_error(t->errors, EHOSTUNREACH,
		   &t->net->lease.router[addr_ip(&flow->key.guest)], 0, &q,
		   now);
	conn_abort(&f->conn);
	do_actions(t, f, now);
}

/* tcp_free() - Close the spare descriptor; all flows have ended */
void tcp_free(struct tcp *t)
{
	if (t->spare_fd >= 0)
		close(t->spare_fd);
}

/**
 * tcp_init() - Initialise the state of TCP, with no flows
 * @t:		TCP; the caller has set all members from @tap to @errors, and
 *		@max_fd
 */
void tcp_init(struct tcp *t)
{
	list_init(&t->connecting);
	list_init(&t->acks);
	list_init(&t->last_acks);
	random_bytes(&t->secret, sizeof(t->secret));
	t->spare_fd = spare_open();
}
