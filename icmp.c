// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * icmp.c - Sends the guest's echo requests from ping sockets. Relays to the
 * guest the replies of the peers that it pinged, and the errors that routers
 * send about the guest's requests.
 */
/* syscalls: start: getegid socket; run: close recvmsg sendmsg */
#include <errno.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "icmp.h"
#include "forward/nat.h"
#include "ip.h"
#include "log.h"
#include "sock.h"

/* Maximum number of replies, and of errors, that are read from a socket at one
 * event. */
#define ECHO_BATCH	32

/* This command lets every group open ping sockets: it sets the largest range of
 * groups that the kernel accepts. */
#define ALLOW_ALL	"sysctl -w net.ipv4.ping_group_range='0 2147483647'"

const char *const icmp_counter_name[ICMP_COUNTERS] = {
	[ICMP_OPENED]		= "icmp_opened",
	[ICMP_REFUSED]		= "icmp_refused",
	[ICMP_EVICTED]		= "icmp_evicted",
	[ICMP_FROM_GUEST]	= "icmp_from_guest",
	[ICMP_SEND_ERROR]	= "icmp_send_error",
	[ICMP_TO_GUEST]		= "icmp_to_guest",
	[ICMP_UNASKED]		= "icmp_unasked",
	[ICMP_IMPOSSIBLE]	= "icmp_impossible",
};

/**
 * struct icmp_flow - One of two kinds of flow: the ping socket of one echo
 * identifier, or a peer that the guest pinged with that identifier. If only one
 * kind uses a member, its description begins with 'socket:' or 'peer:'
 * @flow:	common part of all flows. In the flow of a socket, the key's
 *		peer address is none. In the flow of a peer, @flow.node is in
 *		icmp_echo.peers
 *
 * Plain data, with no pointer or descriptor:
 * @df:		socket: whether the socket sends requests with DF; peer: DF of
 *		the guest's last request
 * @ttl, @tos:	peer: TTL and type of service of the guest's last request
 * @answered:	peer: it has sent a reply
 * @peer:	peer: the peer's real address
 * @last:	peer: when a request was last sent to the peer, or a reply came
 *		from the peer, ms
 * @allowed_at:	peer: when passt last found that the guest may reach the peer,
 *		ms
 *
 * Members that can be rebuilt from the keys of all flows:
 * @socket:	peer: flow of the socket that sends the requests to this peer;
 *		NULL in the flow of a socket
 * @npeers:	socket: number of peers that use the socket. The socket is
 *		closed when the last of these flows ends
 */
struct icmp_flow {
	struct flow flow;
	bool df, answered;
	uint8_t ttl, tos;
	struct in6_addr peer;
	uint64_t last, allowed_at;
	struct icmp_flow *socket;
	uint32_t npeers;
};

/**
 * icmp_flow_size() - Return the bytes that an echo flow needs in the flow table
 */
size_t icmp_flow_size(void)
{
	return sizeof(struct icmp_flow);
}

/**
 * icmp_init() - Initialise the state of echo, with no flows
 * @e:		echo; the caller has set all members from @tap to @errors
 */
void icmp_init(struct icmp_echo *e)
{
	list_init(&e->peers);
	e->nsockets = e->npeers = 0;
	memset(e->count, 0, sizeof(e->count));
}

/* check_ping_family() - Try to open a ping socket, and warn if that fails;
 * return whether it worked */
static bool check_ping_family(int family, int proto, const char *name)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, proto);

	if (fd >= 0) {
		close(fd);
		return true;
	}
	if (errno == EACCES || errno == EPERM)
		warn("the guest can't ping: no ping sockets for group %u; to allow them: %s",
		     (unsigned int)getegid(), ALLOW_ALL);
	else
		warn("the guest can't ping over %s: no ping sockets: %s", name,
		     strerror(errno));
	return false;
}

/**
 * icmp_check_allowed() - Warn at start if the guest won't be able to ping (I2)
 *
 * One sysctl permits ping sockets for both families, so if IPv4 fails, IPv6 is
 * not tried.
 */
void icmp_check_allowed(const struct icmp_echo *e)
{
	if (e->net->use[IP4] &&
	    !check_ping_family(AF_INET, IPPROTO_ICMP, "IPv4"))
		return;
	if (e->net->use[IP6])
		check_ping_family(AF_INET6, IPPROTO_ICMPV6, "IPv6");
}

static void close_ping_socket(struct icmp_echo *e, struct icmp_flow *s)
{
	if (s->flow.fd[SIDE_HOST] >= 0)
		close(s->flow.fd[SIDE_HOST]);
	flow_remove(e->flows, &s->flow);
	e->nsockets--;
}

/* close_peer() - End the flow of a peer; if it was the last peer of its socket,
 * also close the socket */
static void close_peer(struct icmp_echo *e, struct icmp_flow *p)
{
	struct icmp_flow *s = p->socket;

	list_remove(&p->flow.node);
	timer_cancel(e->timers, &p->flow.timer);
	flow_remove(e->flows, &p->flow);
	e->npeers--;
	if (!--s->npeers)
		close_ping_socket(e, s);
}

/* evict_peer() - End the flow of the least recently used peer */
static void evict_peer(struct icmp_echo *e)
{
	close_peer(e, container_of(e->peers.next, struct icmp_flow, flow.node));
	e->count[ICMP_EVICTED]++;
}

/* was_used() - Whether even the least recently used peer was used just now */
static bool was_used(const struct icmp_echo *e, uint64_t now)
{
	const struct icmp_flow *p = container_of(e->peers.next,
						 struct icmp_flow, flow.node);

	return now - p->last < ICMP_EVICT_MIN;
}

/* evict_ping_socket() - Evict peers until a socket is closed; return false if
 * no socket was closed. A peer that was used just now is not evicted: its reply
 * may be on its way; and during a flood of new identifiers, to open and close
 * sockets would take all of the processor's time */
static bool evict_ping_socket(struct icmp_echo *e, uint64_t now)
{
	uint32_t before = e->nsockets;

	while (e->nsockets == before && !list_empty(&e->peers) &&
	       !was_used(e, now))
		evict_peer(e);
	return e->nsockets < before;
}

/* bind_ping_socket() - Open a ping socket, bound to the guest's echo identifier
 * if no other socket has it; return the descriptor, or -errno */
static int bind_ping_socket(struct icmp_echo *e, const struct flow_key *key,
			    const struct in6_addr *peer, uint64_t now)
{
	struct sock_source src = nat_source(e->net, peer);
	uint16_t id = key->gport;
	int fd = sock_open_bound(&src, SOCK_DGRAM, key->proto, &id, false);

	if ((fd == -EMFILE || fd == -ENFILE) && evict_ping_socket(e, now))
		fd = sock_open_bound(&src, SOCK_DGRAM, key->proto, &id, false);
	return fd;
}

/* limit_flows() - Return the lower of a usual limit and an eighth of the flow
 * table, so that echo does not fill a small table */
static unsigned int limit_flows(const struct icmp_echo *e, unsigned int usual)
{
	return MIN(usual, MAX(e->flows->max / 8, 1));
}

/* set_ping_df() - Set whether requests leave with DF. With DF, the kernel
 * refuses a request that is too long (EMSGSIZE), and passt tells the guest (RFC
 * 1191 3). Without DF, the kernel fragments the request */
static void set_ping_df(struct icmp_flow *s, bool df)
{
	sock_set_df(s->flow.fd[SIDE_HOST], s->flow.key.proto == IPPROTO_ICMP,
		    df ? SOCK_DF_PROBE : SOCK_DF_WANT);
	s->df = df;
}

/* open_ping_socket() - Open the socket, and its flow, for an echo identifier;
 * return the flow, or NULL on failure. @key: key of the flow, which has no peer
 * address. @peer: real address of the first peer. @error: set to the errno if
 * there is no socket */
static struct icmp_flow *open_ping_socket(struct icmp_echo *e,
					  const struct flow_key *key,
					  const struct in6_addr *peer,
					  int *error, uint64_t now)
{
	bool v4 = key->proto == IPPROTO_ICMP;
	struct icmp_flow *s;
	struct flow *f;
	int fd;

	if (e->nsockets >= limit_flows(e, ICMP_SOCKETS) &&
	    !evict_ping_socket(e, now))
		return NULL;
	fd = bind_ping_socket(e, key, peer, now);
	if (fd < 0) {
		LOG_LIMITED(LOG_DEBUG, "no ping socket: %s", strerror(-fd));
		*error = -fd;
		return NULL;
	}
	f = flow_insert(e->flows, key, FLOW_ECHO);
	if (!f) {
		close(fd);
		return NULL;
	}

	s = container_of(f, struct icmp_flow, flow);
	f->fd[SIDE_HOST] = fd;
	e->nsockets++;
	sock_set_reports(fd, v4, !v4);
	set_ping_df(s, true);
	if (flow_watch(e->flows, f, SIDE_HOST, EPOLLIN)) {
		close_ping_socket(e, s);
		return NULL;
	}
	e->count[ICMP_OPENED]++;
	return s;
}

/* find_echo_flow() - Return the flow with a key, or NULL */
static struct icmp_flow *find_echo_flow(const struct icmp_echo *e,
					const struct flow_key *key)
{
	struct flow *f = flow_lookup(e->flows, key);

	return f ? container_of(f, struct icmp_flow, flow) : NULL;
}

/* get_ping_socket() - Find or open the socket for the identifier in a peer's
 * key; return the flow of the socket, or NULL. @error: as for
 * open_ping_socket() */
static struct icmp_flow *get_ping_socket(struct icmp_echo *e,
					 const struct flow_key *key,
					 const struct in6_addr *peer,
					 int *error, uint64_t now)
{
	struct flow_key skey = *key;
	struct icmp_flow *s;

	skey.peer = ADDR_NONE;
	s = find_echo_flow(e, &skey);
	return s ? s : open_ping_socket(e, &skey, peer, error, now);
}

/* open_peer() - Open the flow of a peer that the guest pings for the first
 * time; return the flow, or NULL. @error: as for open_ping_socket() */
static struct icmp_flow *open_peer(struct icmp_echo *e,
				   const struct flow_key *key,
				   const struct in6_addr *peer, int *error,
				   uint64_t now)
{
	struct icmp_flow *p, *s;
	struct flow *f;

	/* Evict before the socket is looked up, because eviction may close the
	 * socket. */
	if (e->npeers >= limit_flows(e, ICMP_PEERS))
		evict_peer(e);
	s = get_ping_socket(e, key, peer, error, now);
	if (!s)
		return NULL;
	f = flow_insert(e->flows, key, FLOW_ECHO);
	if (!f) {
		if (!s->npeers)
			close_ping_socket(e, s);
		return NULL;
	}

	p = container_of(f, struct icmp_flow, flow);
	p->socket = s;
	p->peer = *peer;
	p->last = p->allowed_at = now;
	s->npeers++;
	e->npeers++;
	list_push(&e->peers, &f->node);
	timer_arm(e->timers, &f->timer, now + ICMP_ECHO_EXPIRE);
	return p;
}

/* touch_peer() - Note that a request was sent to a peer, or that the peer has
 * replied: it becomes the most recently used peer */
static void touch_peer(struct icmp_echo *e, struct icmp_flow *p, size_t len,
		       uint64_t now)
{
	sched_active(e->sched, e->flows, &p->flow, len, now);
	p->last = now;
	list_remove(&p->flow.node);
	list_push(&e->peers, &p->flow.node);
}

/* send_request() - Send an echo request. In it, the kernel replaces the guest's
 * identifier by the socket's. Return 0 or -errno */
static int send_request(const struct icmp_echo *e, const struct icmp_flow *p,
			const struct pkt *pkt)
{
	struct sock_tx_info info = { .ttl = pkt->ttl, .tos = pkt->tos };
	UNINITIALIZED uint8_t buf[LINK_FRAME_MAX];
	union sock_control control;
	union sockaddr_any sa;
	struct iovec iov = { .iov_base = buf };
	struct msghdr m = {
		.msg_name = &sa, .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control,
	};

	memcpy(buf, pkt->l4, ICMP_HLEN);
	iov.iov_len = ICMP_HLEN + pkt_copy(pkt, buf + ICMP_HLEN,
					   sizeof(buf) - ICMP_HLEN);
	m.msg_controllen = sock_cmsg_put_info(&control, addr_is_v4(&p->peer),
					      &info);
	m.msg_namelen = sockaddr_set(&sa, &p->peer, 0,
				     nat_scope(e->net, &p->peer));

	if (sendmsg(p->socket->flow.fd[SIDE_HOST], &m,
		    MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

/* find_peer() - Return the flow of the peer with the real address @peer that
 * was pinged from the socket of @s; NULL if there is none */
static struct icmp_flow *find_peer(const struct icmp_echo *e,
				   const struct icmp_flow *s,
				   const struct in6_addr *peer)
{
	struct flow_key key = s->flow.key;
	struct icmp_flow *p;

	if (!nat_to_guest(e->net, peer, &key.peer))
		return NULL;
	p = find_echo_flow(e, &key);
	return p && addr_eq(&p->peer, peer) ? p : NULL;
}

/* relay_ping_error() - Tell the guest of an error that the network sent about a
 * request */
static void relay_ping_error(struct icmp_echo *e, const struct icmp_flow *s,
			     const struct sock_error *error, uint64_t now)
{
	const struct icmp_flow *p = find_peer(e, s, &error->dest);
	struct icmp_quote q;

	if (!p) {
		e->count[ICMP_UNASKED]++;
		return;
	}
	q = (struct icmp_quote){
		.key = &p->flow.key, .ttl = p->ttl, .tos = p->tos, .df = p->df,
	};
	icmp_error_relay(e->errors, error, &q, now);
}

/**
 * drain_ping_errors() - Empty a socket's error queue, and tell the guest of
 * errors that came from the network
 *
 * Errors of the host's own kernel are not relayed here, because sendmsg() has
 * returned them already. But only the error queue has the MTU.
 *
 * Return: the MTU, if the host's kernel refused a request that was too long; 0
 *	   if it refused none, or the MTU is not known
 */
static uint32_t drain_ping_errors(struct icmp_echo *e,
				  const struct icmp_flow *s, uint64_t now)
{
	int fd = s->flow.fd[SIDE_HOST];
	struct sock_error error;
	uint32_t mtu = 0;
	unsigned int n;

	for (n = 0; n < ECHO_BATCH && sock_next_error(fd, &error); n++) {
		if (error.from_network)
			relay_ping_error(e, s, &error, now);
		else if (error.error == EMSGSIZE)
			mtu = error.info;
	}
	return mtu;
}

/**
 * retry_request() - Send an echo request; if that fails, try once more
 * @mtu:	on failure, set to the MTU if the error is -EMSGSIZE and the MTU
 *		is known, else to 0
 *
 * If the first sendmsg() fails, its error may be about an earlier request,
 * because the socket had a pending error. If the second fails, its error is
 * about this request.
 *
 * Return: 0 if the request was sent, or -errno
 */
static int retry_request(struct icmp_echo *e, const struct icmp_flow *p,
			 const struct pkt *pkt, uint32_t *mtu, uint64_t now)
{
	int rc = send_request(e, p, pkt);

	if (!rc || rc == -EAGAIN)
		return rc;
	drain_ping_errors(e, p->socket, now);
	sock_clear_error(p->socket->flow.fd[SIDE_HOST]);
	rc = send_request(e, p, pkt);
	*mtu = rc == -EMSGSIZE ? drain_ping_errors(e, p->socket, now) : 0;
	return rc;
}

/* report_too_long_request() - Tell the guest that a request with DF is longer
 * than the MTU of the host's interface. If the guest had not been told this MTU
 * before, send the request in fragments. Return whether the request was sent */
static bool report_too_long_request(struct icmp_echo *e,
				    const struct icmp_flow *p,
				    const struct pkt *pkt, uint32_t mtu,
				    uint64_t now)
{
	if (!icmp_error_too_big(e->errors, mtu, pkt, now))
		return false;
	set_ping_df(p->socket, false);
	return !send_request(e, p, pkt);
}

static bool is_echo_request(const struct pkt *pkt)
{
	uint8_t type = pkt->proto == IPPROTO_ICMP ? ICMP4_ECHO_REQUEST :
						    ICMP6_ECHO_REQUEST;

	return pkt->l4[0] == type && !pkt->l4[1];
}

/* is_peer_allowed() - Whether the guest may ping a peer now (--no-host-access).
 * @p: flow of the peer, NULL if there is none yet. The kernel is asked at most
 * once in ACCESS_VALID ms */
static bool is_peer_allowed(struct icmp_echo *e, struct icmp_flow *p,
			    const struct in6_addr *visible,
			    const struct in6_addr *peer, uint64_t now)
{
	if (!e->access || (p && now - p->allowed_at < ACCESS_VALID))
		return true;
	if (access_denied(e->access, visible, 0, peer, 0))
		return false;
	if (p)
		p->allowed_at = now;
	return true;
}

/* refuse_request() - Count a request for which there can be no flow. @error:
 * errno with which no socket could be opened, or 0. If the host lacks the
 * address or interface to which sockets are bound, the guest is told. Other
 * errors say nothing about the way to the peer */
static void refuse_request(struct icmp_echo *e, const struct pkt *pkt,
			   int error, uint64_t now)
{
	e->count[ICMP_REFUSED]++;
	if (error == EADDRNOTAVAIL || error == ENODEV)
		icmp_error_pkt(e->errors, error, 0, pkt, now);
}

/* forbid_request() - Drop a request to a peer that the guest may not reach, and
 * tell the guest */
static void forbid_request(struct icmp_echo *e, const struct pkt *pkt,
			   uint64_t now)
{
	e->count[ICMP_REFUSED]++;
	icmp_error_pkt(e->errors, EACCES, 0, pkt, now);
}

/* begin_peer() - Open the flow of the peer that a request is for, unless the
 * guest opens too many flows, or may not reach the peer. @peer: the peer's real
 * address. If there can be no flow, count the dropped request and return
 * NULL */
static struct icmp_flow *begin_peer(struct icmp_echo *e,
				    const struct flow_key *key,
				    const struct in6_addr *peer,
				    const struct pkt *pkt, uint64_t now)
{
	struct icmp_flow *p = NULL;
	uint64_t begun;
	int error = 0;

	if (!sched_may_open(e->sched, SCHED_OPEN_OTHERS, now)) {
		refuse_request(e, pkt, error, now);
		return NULL;
	}
	begun = now_us();
	if (!is_peer_allowed(e, NULL, &pkt->dst, peer, now)) {
		forbid_request(e, pkt, now);
	} else {
		p = open_peer(e, key, peer, &error, now);
		if (!p)
			refuse_request(e, pkt, error, now);
	}
	sched_opened(e->sched, SCHED_OPEN_OTHERS, now_us() - begun);
	return p;
}

/* get_peer() - Find or open the flow of the peer that a request is for. If
 * there can be no flow, count the dropped request and return NULL */
static struct icmp_flow *get_peer(struct icmp_echo *e, const struct pkt *pkt,
				  uint64_t now)
{
	struct flow_key key = {
		.guest = pkt->src, .peer = pkt->dst,
		.gport = pkt->sport, .proto = pkt->proto,
	};
	struct icmp_flow *p;
	struct in6_addr peer;

	if (!pkt->ttl || !addr_is_unicast(&pkt->src) ||
	    !addr_is_unicast(&pkt->dst) ||
	    !nat_from_guest(e->net, &pkt->dst, 0, &peer)) {
		e->count[ICMP_IMPOSSIBLE]++;
		return NULL;
	}

	p = find_echo_flow(e, &key);
	if (!p)
		return begin_peer(e, &key, &peer, pkt, now);
	if (!is_peer_allowed(e, p, &pkt->dst, &peer, now)) {
		forbid_request(e, pkt, now);
		return NULL;
	}
	return p;
}

/**
 * icmp_from_guest() - Send an echo request of the guest
 * @pkt:	ICMP or ICMPv6 packet. Messages other than echo requests are
 *		ignored, because ping sockets can't send them
 */
void icmp_from_guest(struct icmp_echo *e, const struct pkt *pkt, uint64_t now)
{
	struct icmp_flow *p;
	bool sent = false;
	uint32_t mtu = 0;
	int rc;

	if (!is_echo_request(pkt))
		return;
	p = get_peer(e, pkt, now);
	if (!p)
		return;

	p->flow.queue = p->socket->flow.queue = tap_queue(e->tap);
	touch_peer(e, p, pkt->len, now);
	p->ttl = pkt->ttl;
	p->tos = pkt->tos;
	p->df = pkt->df;
	if (p->socket->df != pkt->df)
		set_ping_df(p->socket, pkt->df);
	rc = retry_request(e, p, pkt, &mtu, now);
	if (rc == -EMSGSIZE && pkt->df)
		sent = report_too_long_request(e, p, pkt, mtu, now);
	else if (rc)
		icmp_error_pkt(e->errors, -rc, mtu, pkt, now);
	else
		sent = true;
	e->count[sent ? ICMP_FROM_GUEST : ICMP_SEND_ERROR]++;
}

/**
 * deliver_reply() - Send an echo reply to the guest
 * @s:		flow of the socket that received the reply
 * @m:		message, as recvmsg() filled it
 * @buf:	ICMP header and payload of the reply; the guest's identifier is
 *		written into it
 * @len:	bytes in @buf
 */
static void deliver_reply(struct icmp_echo *e, const struct icmp_flow *s,
			  struct msghdr *m, uint8_t *buf, size_t len,
			  uint64_t now)
{
	uint8_t type = s->flow.key.proto == IPPROTO_ICMP ? ICMP4_ECHO_REPLY :
							   ICMP6_ECHO_REPLY;
	struct sock_rx_info info;
	struct icmp_flow *p;
	struct in6_addr peer;
	struct ip_hdr ip;
	uint16_t port;

	p = len >= ICMP_HLEN && buf[0] == type &&
	    sockaddr_get(m->msg_name, &peer, &port) ?
	    find_peer(e, s, &peer) : NULL;
	if (!p) {
		e->count[ICMP_UNASKED]++;
		return;
	}
	if (!p->answered)
		sched_answered(e->sched, SCHED_OPEN_OTHERS);
	p->answered = true;
	touch_peer(e, p, len, now);
	sock_cmsg_read(m, &info);
	ip = (struct ip_hdr){
		.src = p->flow.key.peer, .dst = s->flow.key.guest,
		.proto = s->flow.key.proto, .ttl = info.ttl, .tos = info.tos,
	};
	put_be16(buf + 4, s->flow.key.gport);
	if (!tap_ip_send(e->tap, &ip, buf, len))
		e->count[ICMP_TO_GUEST]++;
}

/* read_reply() - Read one message from a ping socket, and deliver it; return
 * false if there is none */
static bool read_reply(struct icmp_echo *e, const struct icmp_flow *s,
		       uint64_t now)
{
	union sock_control control;
	UNINITIALIZED uint8_t buf[IP_LEN_MAX];
	union sockaddr_any sa;
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct msghdr m = {
		.msg_name = &sa, .msg_namelen = sizeof(sa),
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(s->flow.fd[SIDE_HOST], &m, MSG_DONTWAIT);

	if (n < 0) {
		e->flows->no_memory |= sock_lacks_resource(-errno);
		return errno == EINTR;
	}
	/* A truncated reply is longer than any request that the guest can send,
	 * so it answers none. */
	if (m.msg_flags & MSG_TRUNC)
		e->count[ICMP_UNASKED]++;
	else
		deliver_reply(e, s, &m, buf, (size_t)n, now);
	return true;
}

/**
 * icmp_event() - Read replies and errors from a ping socket
 * @f:		flow of the socket
 */
void icmp_event(struct icmp_echo *e, struct flow *f, uint32_t events,
		uint64_t now)
{
	struct icmp_flow *s = container_of(f, struct icmp_flow, flow);
	unsigned int n;

	if (events & EPOLLERR)
		drain_ping_errors(e, s, now);
	if (!(events & EPOLLIN))
		return;
	for (n = 0; n < ECHO_BATCH && read_reply(e, s, now); n++)
		;
}

/**
 * icmp_timer() - Handle the expired timer of a peer's flow: end the flow,
 * unless it was used since the timer was armed
 * @f:		flow of the peer
 */
void icmp_timer(struct icmp_echo *e, struct flow *f, uint64_t now)
{
	struct icmp_flow *p = container_of(f, struct icmp_flow, flow);

	if (p->last + ICMP_ECHO_EXPIRE > now)
		timer_arm(e->timers, &f->timer, p->last + ICMP_ECHO_EXPIRE);
	else
		close_peer(e, p);
}

/**
 * icmp_end() - End the flow of a peer, because the guest has left
 * @f:		flow. If it is the flow of a socket, nothing happens, because
 *		such a flow ends with the last of its peers
 */
void icmp_end(struct icmp_echo *e, struct flow *f)
{
	struct icmp_flow *p = container_of(f, struct icmp_flow, flow);

	if (p->socket)
		close_peer(e, p);
}

/**
 * icmp_lost() - Close a ping socket, because the host has lost the address or
 * the interface that the socket is bound to: end the flows of all its peers.
 * The guest's next request opens another socket
 * @f:		flow of the socket
 */
void icmp_lost(struct icmp_echo *e, struct flow *f)
{
	struct icmp_flow *s = container_of(f, struct icmp_flow, flow), *p;
	struct list *l = e->peers.next, *next;
	uint32_t left = s->npeers;

	for (; left; l = next) {
		next = l->next;
		p = container_of(l, struct icmp_flow, flow.node);
		if (p->socket != s)
			continue;
		close_peer(e, p);
		left--;
	}
}
