// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * flow.c - Begins, evicts and ends UDP flows, and makes streams of them.
 *
 * Each flow is in a list in order of last use, so the next flow to evict is at
 * the front. One-shot flows that peers began are kept apart from those that the
 * guest began: a flow of a peer can only evict another flow of a peer. A
 * datagram does not change the timer of its flow. When the timer expires, it is
 * armed again if the flow was used since.
 */
/* syscalls: close connect */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward/nat.h"
#include "log.h"
#include "udp/flow.h"

#define DNS_PORT	53		/* RFC 1035 4.2.1 */
#define TFTP_PORT	69		/* RFC 1350 4 */

/* A flow is a stream after this many datagrams from each side. Two are not
 * enough, because a DNS client sends two queries at once. */
#define STREAM_EACH_SIDE	3

/* Maximum number of flows among which evict_udp_socket() looks for one that has
 * a socket. */
#define EVICT_REACH	1024

/* Maximum number of datagrams that are discarded after connect(). The receive
 * buffer does not hold so many: it has 208 KiB by default, and even an empty
 * datagram takes 768 bytes of it. */
#define DRAIN_MAX	1024

/**
 * udp_flow_expires() - Return when a flow ends, unless it is used again (U4)
 *
 * Return: time, ms
 */
uint64_t udp_flow_expires(const struct udp_flow *uf)
{
	return uf->last + (uf->stream ? UDP_STREAM : UDP_ONE_SHOT);
}

/* udp_flow_find() - Return the flow with a key, or NULL */
struct udp_flow *udp_flow_find(const struct udp *u, const struct flow_key *key)
{
	struct flow *f = flow_lookup(u->flows, key);

	return f ? container_of(f, struct udp_flow, flow) : NULL;
}

/* list_add_flow() - Put a flow in its list, as the most recently used one */
static void list_add_flow(struct udp *u, struct udp_flow *uf)
{
	struct list *l = &uf->flow.node;

	if (uf->stream) {
		list_push(&u->stream, l);
	} else if (uf->inbound) {
		list_push(u->first_own ? u->first_own : &u->one_shot, l);
		u->ninbound++;
	} else {
		list_push(&u->one_shot, l);
		if (!u->first_own)
			u->first_own = l;
	}
}

static void list_remove_flow(struct udp *u, struct udp_flow *uf)
{
	struct list *l = &uf->flow.node;

	if (u->first_own == l)
		u->first_own = l->next == &u->one_shot ? NULL : l->next;
	if (uf->inbound && !uf->stream)
		u->ninbound--;
	list_remove(l);
}

/* close_flow_socket() - Close a flow's own socket, if it has one */
static void close_flow_socket(struct udp *u, struct udp_flow *uf)
{
	int fd = uf->flow.fd[SIDE_HOST];

	if (fd < 0)
		return;
	if (uf->rx.uncounted)
		udp_count_drops(u, fd, &uf->rx, uf->last);
	sched_close_fd(u->sched, fd);
	close(fd);
	uf->flow.fd[SIDE_HOST] = -1;
	u->nsockets--;
}

/**
 * udp_flow_close() - End a flow
 * @uf:		flow, invalid afterwards
 */
void udp_flow_close(struct udp *u, struct udp_flow *uf)
{
	list_remove_flow(u, uf);
	timer_cancel(u->timers, &uf->flow.timer);
	udp_port_give(u, uf);
	close_flow_socket(u, uf);
	udp_query_forget(u, uf);
	flow_remove(u->flows, &uf->flow);
	u->nflows--;
}

/* evict_one_shot() - End the one-shot flow that contains a list node, and count
 * it as evicted */
static void evict_one_shot(struct udp *u, struct list *l)
{
	udp_flow_close(u, container_of(l, struct udp_flow, flow.node));
	u->count[UDP_EVICTED]++;
}

/**
 * evict_udp_flow() - End the least recently used one-shot flow (U4)
 * @inbound:	evict only a flow that a peer began. false: evict a flow that
 *		the guest began, or if there is none, a flow that a peer began
 *
 * Return: false if no flow may be evicted
 */
static bool evict_udp_flow(struct udp *u, bool inbound)
{
	if (!inbound && u->first_own)
		evict_one_shot(u, u->first_own);
	else if (u->ninbound)
		evict_one_shot(u, u->one_shot.next);
	else
		return false;
	return true;
}

/* evict_udp_socket() - End the guest's least recently used one-shot flow that
 * has a socket; return false if none of the first EVICT_REACH flows has one */
static bool evict_udp_socket(struct udp *u)
{
	struct list *l = u->first_own;
	unsigned int i;

	for (i = 0; l && i < EVICT_REACH && l != &u->one_shot;
	     i++, l = l->next) {
		if (container_of(l, struct flow, node)->fd[SIDE_HOST] < 0)
			continue;
		evict_one_shot(u, l);
		return true;
	}
	return false;
}

/* is_share_used() - Whether UDP's share of the flow table is used up. For a
 * flow that a peer begins (@inbound), also true if the peers' part of that
 * share is used up */
static bool is_share_used(const struct udp *u, bool inbound)
{
	uint32_t share = u->flows->max / UDP_SHARE;

	return u->nflows >= share ||
	       (inbound && u->ninbound >= share / UDP_INBOUND_SHARE);
}

/* insert_udp_flow() - Insert a new flow, without socket or listener, in the
 * table, and evict another flow if necessary. @inbound: the peer began the
 * flow. Return NULL if the table has no space */
static struct udp_flow *insert_udp_flow(struct udp *u,
					const struct flow_key *key,
					bool inbound, uint64_t now)
{
	struct udp_flow *uf;
	struct flow *f;

	if (is_share_used(u, inbound) && !evict_udp_flow(u, inbound))
		return NULL;
	f = flow_insert(u->flows, key, FLOW_UDP);
	if (!f && evict_udp_flow(u, inbound))
		f = flow_insert(u->flows, key, FLOW_UDP);
	if (!f)
		return NULL;

	uf = container_of(f, struct udp_flow, flow);
	uf->last = now;
	uf->listener = UDP_NO_LISTENER;
	uf->segment = u->segment;
	uf->inbound = inbound;
	list_add_flow(u, uf);
	u->nflows++;
	timer_arm(u->timers, &f->timer, udp_flow_expires(uf));
	return uf;
}

/* max_udp_sockets() - Return how many flows may have a socket of their own,
 * which is UDP's share of the descriptors that forwarded ports do not use */
static unsigned int max_udp_sockets(const struct udp *u)
{
	return (u->fds - MIN(u->fds, u->fwd->nlisteners)) / UDP_SHARE;
}

/**
 * udp_flow_socket() - Open a socket for one flow, and evict another flow if
 * there are too many sockets
 * @peer:	real address that the socket is going to send to
 * @port:	source port, host order; set to 0 if another socket has the
 *		port, so that the kernel chose another one
 * @share:	sockets of other flows of the guest are bound to @port: share
 *		the port with them by SO_REUSEPORT
 *
 * Return: descriptor, or -errno
 */
int udp_flow_socket(struct udp *u, const struct in6_addr *peer, uint16_t *port,
		    bool share)
{
	struct sock_source src = nat_source(u->net, peer);
	int fd;

	if (u->nsockets >= max_udp_sockets(u) && !evict_udp_socket(u))
		return -EMFILE;
	fd = sock_open_bound(&src, SOCK_DGRAM, IPPROTO_UDP, port, share);
	if ((fd == -EMFILE || fd == -ENFILE) && evict_udp_socket(u))
		fd = sock_open_bound(&src, SOCK_DGRAM, IPPROTO_UDP, port,
				     share);
	return fd;
}

/**
 * connect_peer() - Connect a socket to a peer
 * @sa, @len:	real address and port of the peer
 *
 * Return: 0, or -errno. It is -EINVAL if @sa is the broadcast address of a
 *	   subnet. The kernel returns EACCES both for a broadcast address and
 *	   for a prohibited one. To distinguish them, this function tries again
 *	   with SO_BROADCAST, with which the kernel accepts a broadcast address
 *	   (udp(7))
 */
static int connect_peer(int fd, const union sockaddr_any *sa, socklen_t len)
{
	if (!connect(fd, &sa->sa, len))
		return 0;
	if (errno != EACCES)
		return -errno;
	if (sock_set(fd, SOL_SOCKET, SO_BROADCAST, 1) ||
	    connect(fd, &sa->sa, len))
		return -EACCES;
	return -EINVAL;
}

/* hears_all_ports() - Whether answers to the guest may come from any port of
 * the peer, because the peer is a TFTP server, which uses a new port for each
 * transfer (RFC 1350 4) */
static bool hears_all_ports(const struct flow_key *key)
{
	return key->pport == TFTP_PORT && key->gport != TFTP_PORT;
}

/* is_connected_to_itself() - Whether a connected socket receives what it sends.
 * @port: the source port that was asked for; 0 if the socket got another one */
static bool is_connected_to_itself(int fd, const struct flow_key *key,
				   const struct in6_addr *peer, uint16_t port)
{
	struct in6_addr own;

	if (port && port != key->pport)
		return false;
	return sock_name(fd, &own, &port) && port == key->pport &&
	       addr_eq(&own, peer);
}

/* drain_unconnected() - Discard datagrams that were queued before connect(),
 * when any host could send to the socket. The number is bounded, because the
 * peer may send all the time. A pending socket error does not end the loop */
static void drain_unconnected(int fd)
{
	unsigned int i;

	for (i = 0; i < DRAIN_MAX; i++) {
		if (sock_recv(fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC) < 0 &&
		    errno == EAGAIN)
			return;
	}
}

/* open_flow_socket() - Open a socket for a flow to the real address @peer, with
 * @port and @share as for udp_flow_socket(); return the descriptor, or -errno.
 * The socket is connected, unless answers may come from all ports of the
 * peer */
static int open_flow_socket(struct udp *u, const struct flow_key *key,
			    const struct in6_addr *peer, uint16_t *port,
			    bool share)
{
	union sockaddr_any sa;
	socklen_t len;
	int fd, rc;

	fd = udp_flow_socket(u, peer, port, share);
	if (fd < 0)
		return fd;

	sock_set_reports(fd, addr_is_v4(peer), !addr_is_v4(peer));
	if (hears_all_ports(key))
		return fd;
	len = sockaddr_set(&sa, peer, key->pport, nat_scope(u->net, peer));
	rc = connect_peer(fd, &sa, len);
	if (!rc && is_connected_to_itself(fd, key, peer, *port))
		rc = -ELOOP;
	if (rc) {
		close(fd);
		return rc;
	}
	drain_unconnected(fd);
	return fd;
}

/* peer_scope() - Return the index of the interface that leads to a link-local
 * peer; 0 for other peers */
static uint32_t peer_scope(const struct udp *u, const struct in6_addr *peer)
{
	return !addr_is_v4(peer) && addr_is_linklocal(peer) ?
	       nat_scope(u->net, peer) : 0;
}

/* open_by_listener() - Begin a flow of the guest to the real address @peer that
 * uses the socket of the listener @l; return 0 or -errno */
static int open_by_listener(struct udp *u, const struct flow_key *key,
			    const struct in6_addr *peer,
			    const struct listener *l, uint64_t now,
			    struct udp_flow **flow)
{
	uint32_t scope = peer_scope(u, peer);
	struct udp_flow *uf;

	if (udp_is_own_listener(u, peer, key->pport, scope))
		return -ELOOP;
	uf = insert_udp_flow(u, key, false, now);
	if (!uf)
		return -ENOBUFS;
	uf->listener = listener_token(u->fwd, l);
	uf->peer = *peer;
	uf->port = key->pport;
	if (!addr_is_loopback(peer))
		uf->local = u->net->source[addr_ip(peer)];
	uf->ifindex = scope;
	*flow = uf;
	return 0;
}

/**
 * udp_flow_open_fd() - Begin a flow of the guest with a socket that is already
 * open
 * @key:		key of the new flow, which is not in the table yet
 * @fd:		socket. The flow owns it afterwards; on failure, this function
 *		closes it
 * @flow:	set to the flow on success
 *
 * Return: 0, or -errno
 */
int udp_flow_open_fd(struct udp *u, const struct flow_key *key, int fd,
		     uint64_t now, struct udp_flow **flow)
{
	struct udp_flow *uf;
	int rc;

	uf = insert_udp_flow(u, key, false, now);
	if (!uf) {
		close(fd);
		return -ENOBUFS;
	}
	uf->flow.fd[SIDE_HOST] = fd;
	u->nsockets++;

	rc = flow_watch(u->flows, &uf->flow, SIDE_HOST, EPOLLIN);
	if (rc) {
		udp_flow_close(u, uf);
		return rc;
	}
	*flow = uf;
	return 0;
}

/* take_socket() - Begin a flow to the real address @peer with a socket of its
 * own; return 0, or close the socket and return -errno. @has_port: the socket
 * is bound to the guest's port number */
static int take_socket(struct udp *u, const struct flow_key *key, int fd,
		       const struct in6_addr *peer, bool has_port,
		       uint64_t now, struct udp_flow **flow)
{
	int rc = udp_flow_open_fd(u, key, fd, now, flow);
	struct udp_flow *uf = *flow;

	if (rc)
		return rc;
	uf->peer = *peer;
	uf->port = key->pport;
	uf->ifindex = peer_scope(u, peer);
	uf->all_ports = hears_all_ports(key);
	if (has_port)
		udp_port_take(u, uf);
	if (key->pport != DNS_PORT)	/* a resolver sends one answer */
		sock_set_bulk(fd);
	return 0;
}

/* open_with_socket() - Begin a flow of the guest to the real address @peer with
 * a new socket; return 0 or -errno */
static int open_with_socket(struct udp *u, const struct flow_key *key,
			    const struct in6_addr *peer, uint64_t now,
			    struct udp_flow **flow)
{
	uint16_t port = key->gport;
	int fd = open_flow_socket(u, key, peer, &port, udp_port_share(u, key));

	if (fd < 0)
		return fd;
	return take_socket(u, key, fd, peer, port, now, flow);
}

/**
 * udp_resolvers() - Count the resolvers to which traffic of the guest may go
 * @key:		key of a flow of the guest
 *
 * Return: number of resolvers; 0: the guest does not send to the address of
 *	   --dns-forward
 */
unsigned int udp_resolvers(const struct udp *u, const struct flow_key *key)
{
	return u->resolvers ? resolvers_count(u->resolvers, &key->peer,
					      key->pport) : 0;
}

/* open_resolver_socket() - Open a socket that is connected to the current
 * resolver of --dns-forward, or to another one if that one can't be reached.
 * Set @peer to its real address, and return the descriptor or -errno. The
 * kernel chooses the source port, so that nobody can guess it */
static int open_resolver_socket(struct udp *u, const struct flow_key *key,
				struct in6_addr *peer, uint64_t now)
{
	unsigned int n = udp_resolvers(u, key);
	uint16_t port;
	int fd;

	do {
		port = 0;
		*peer = resolvers_current(u->resolvers, &key->peer);
		fd = open_flow_socket(u, key, peer, &port, false);
		if (fd >= 0 || sock_lacks_resource(fd))
			return fd;
		resolvers_failed(u->resolvers, &key->peer, peer, now);
	} while (--n);
	return fd;
}

/* open_to_resolver() - Begin a flow of the guest to the address of
 * --dns-forward; return 0 or -errno */
static int open_to_resolver(struct udp *u, const struct flow_key *key,
			    uint64_t now, struct udp_flow **flow)
{
	struct in6_addr peer;
	int fd = open_resolver_socket(u, key, &peer, now), rc;

	if (fd < 0)
		return fd;
	rc = take_socket(u, key, fd, &peer, false, now, flow);
	if (!rc)
		(*flow)->dns = true;
	return rc;
}

/* open_limited() - Do as open_flow_socket(), for a further socket of a flow
 * that the guest has already: if the guest opens too many flows, return
 * -ENOBUFS */
static int open_limited(struct udp *u, const struct flow_key *key,
			const struct in6_addr *peer, uint16_t *port, bool share,
			uint64_t now)
{
	uint64_t begun;
	int fd;

	if (!sched_may_open(u->sched, SCHED_OPEN_OTHERS, now))
		return -ENOBUFS;
	begun = now_us();
	fd = open_flow_socket(u, key, peer, port, share);
	sched_opened(u->sched, SCHED_OPEN_OTHERS, now_us() - begun);
	return fd;
}

/* change_socket() - Let a flow that has no socket send to the real address
 * @peer from the socket @fd, which may be -errno instead; return 0, or -errno:
 * the flow still has no socket */
static int change_socket(struct udp *u, struct udp_flow *uf, int fd,
			 const struct in6_addr *peer)
{
	int rc;

	if (fd < 0)
		return fd;
	uf->flow.fd[SIDE_HOST] = fd;
	u->nsockets++;
	rc = flow_watch(u->flows, &uf->flow, SIDE_HOST, EPOLLIN);
	if (rc) {
		close_flow_socket(u, uf);
		return rc;
	}
	uf->peer = *peer;
	uf->resolver_failed = false;
	uf->ifindex = peer_scope(u, peer);
	uf->ttl = uf->tos = uf->df_set = 0;	/* no option is set on the new
						 * socket */
	if (uf->stream || uf->flow.key.pport != DNS_PORT)
		sock_set_bulk(fd);
	uf->rx = (struct udp_rx){ 0 };
	return 0;
}

/**
 * udp_flow_move() - Let a flow to --dns-forward send to another resolver, from
 * a new socket with another source port
 * @peer:	real address of the resolver
 *
 * Return: 0, or -errno; then the flow has no socket
 */
int udp_flow_move(struct udp *u, struct udp_flow *uf,
		  const struct in6_addr *peer, uint64_t now)
{
	uint16_t port = 0;
	int fd;

	close_flow_socket(u, uf);
	fd = open_limited(u, &uf->flow.key, peer, &port, false, now);
	return change_socket(u, uf, fd, peer);
}

/* udp_flow_move_to_current() - Do as udp_flow_move(), with the current
 * resolver, or with another one if that one can't be reached */
int udp_flow_move_to_current(struct udp *u, struct udp_flow *uf, uint64_t now)
{
	struct in6_addr peer;
	uint64_t begun;
	int fd;

	close_flow_socket(u, uf);
	if (!sched_may_open(u->sched, SCHED_OPEN_OTHERS, now))
		return -ENOBUFS;
	begun = now_us();
	fd = open_resolver_socket(u, &uf->flow.key, &peer, now);
	sched_opened(u->sched, SCHED_OPEN_OTHERS, now_us() - begun);
	return change_socket(u, uf, fd, &peer);
}

/**
 * udp_flow_open_answer() - Begin a flow for an answer to the flow @asked that
 * came from another port of the peer
 * @asked:	flow with @all_ports. This function may evict it
 * @port:	port of the peer that the answer came from, host order
 * @flow:	set to the flow on success. Its socket shares the port of the
 *		socket of @asked. The new socket is connected, so that the
 *		kernel gives it all further answers from @port
 *
 * Return: 0, or -errno
 */
int udp_flow_open_answer(struct udp *u, struct udp_flow *asked, uint16_t port,
			 uint64_t now, struct udp_flow **flow)
{
	int asked_fd = asked->flow.fd[SIDE_HOST], fd, rc;
	struct flow_key key = asked->flow.key;
	struct in6_addr peer = asked->peer, own;
	bool has_port = asked->has_port;
	uint16_t sport;

	key.pport = port;
	if (!sock_name(asked_fd, &own, &sport))
		return -EBADF;
	if (has_port)
		udp_port_share(u, &key);
	else
		sock_set(asked_fd, SOL_SOCKET, SO_REUSEPORT, 1);
	fd = open_limited(u, &key, &peer, &sport, true, now);
	if (fd < 0)
		return fd;
	if (!sport) {
		close(fd);
		return -EADDRINUSE;
	}
	rc = take_socket(u, &key, fd, &peer, has_port, now, flow);
	/* The guest's request, which went through the flow @asked, counts in
	 * this flow, too. */
	if (!rc)
		(*flow)->nasked = 1;
	return rc;
}

/**
 * udp_flow_allowed() - Whether the guest may send to the peer of a flow now
 *
 * With --no-host-access, the guest may not if the peer's address is the host's
 * own. The host may have got that address after the flow began, or a program on
 * the host may have begun the flow. The kernel is asked at most once in
 * ACCESS_VALID ms.
 *
 * Return: false if the flow has to end
 */
bool udp_flow_allowed(struct udp *u, struct udp_flow *uf, uint64_t now)
{
	const struct flow_key *key = &uf->flow.key;

	if (!u->access ||
	    (uf->allowed_at && now - uf->allowed_at < ACCESS_VALID))
		return true;
	uf->allowed_at = now;
	return !access_denied(u->access, &key->peer, key->pport, &uf->peer,
			      uf->ifindex);
}

/**
 * udp_flow_open() - Begin a flow of the guest
 * @key:		key of the new flow, which is not in the table yet
 * @flow:	set to the flow on success
 *
 * Return: 0, or -errno. -ENOBUFS: the table is full. -EINVAL: no peer can
 *	   have that address. -EACCES: the guest may not reach that address.
 *	   -ELOOP: a socket of passt would send to itself, or to a forwarded
 *	   port. Any other error comes from the host's kernel
 */
int udp_flow_open(struct udp *u, const struct flow_key *key, uint64_t now,
		  struct udp_flow **flow)
{
	const struct listener *l = udp_port_listener(u, key);
	struct in6_addr peer;
	int rc;

	if (!nat_from_guest(u->net, &key->peer, key->pport, &peer))
		return -EINVAL;
	if (access_denied(u->access, &key->peer, key->pport, &peer, 0))
		return -EACCES;
	/* A query to the address of --dns-forward can't use a listener: the
	 * guest would get the answer with the resolver's own address as
	 * source. */
	if (udp_resolvers(u, key))
		rc = open_to_resolver(u, key, now, flow);
	else if (l && !nat_by_port(u->net, &key->peer, key->pport))
		rc = open_by_listener(u, key, &peer, l, now, flow);
	else
		rc = open_with_socket(u, key, &peer, now, flow);
	if (rc)
		return rc;
	(*flow)->allowed_at = now;
	u->count[UDP_OPENED]++;
	return 0;
}

/**
 * udp_listening() - Find UDP's state of a listener
 *
 * Return: the state; it is reset if the slot belonged to an older listener
 */
struct udp_listening *udp_listening(const struct udp *u,
				    const struct listener *l)
{
	struct udp_listening *state = &u->listening[l - u->fwd->listeners];

	if (state->gen != l->gen)
		*state = (struct udp_listening){ .gen = l->gen };
	return state;
}

/**
 * udp_flow_accept() - Begin a flow through a forwarded port
 * @key:		key of the new flow, which is not in the table yet
 * @l:		listener of the port; its socket also sends the guest's answers
 * @o:		sender and destination of the first datagram
 *
 * Return: the flow; NULL if the table has no space for it
 */
struct udp_flow *udp_flow_accept(struct udp *u, const struct flow_key *key,
				 const struct listener *l,
				 const struct udp_origin *o, uint64_t now)
{
	struct udp_flow *uf = insert_udp_flow(u, key, true, now);

	if (!uf)
		return NULL;
	uf->listener = listener_token(u->fwd, l);
	uf->peer = o->peer;
	uf->port = o->port;
	uf->local = o->local;
	uf->ifindex = o->ifindex;
	u->count[UDP_ACCEPTED]++;
	return uf;
}

/* become_stream() - Make a one-shot flow a stream (U4) */
static void become_stream(struct udp *u, struct udp_flow *uf)
{
	char guest[ADDR_STRLEN], peer[ADDR_STRLEN];

	uf->stream = true;
	if (uf->flow.fd[SIDE_HOST] >= 0)
		sock_set_bulk(uf->flow.fd[SIDE_HOST]);
	LOG_LIMITED(LOG_DEBUG, "UDP flow %s port %u to %s port %u is a stream",
		    addr_str(&uf->flow.key.guest, guest), uf->flow.key.gport,
		    addr_str(&uf->flow.key.peer, peer), uf->flow.key.pport);
}

/**
 * udp_flow_used() - Note that datagrams went through a flow: it becomes the
 * most recently used one, and maybe a stream
 * @from_guest, @to_guest: number of datagrams in each direction
 * @len:		bytes of payload of all these datagrams
 */
void udp_flow_used(struct udp *u, struct udp_flow *uf, unsigned int from_guest,
		   unsigned int to_guest, size_t len, uint64_t now)
{
	unsigned int asked, answered;

	sched_active(u->sched, u->flows, &uf->flow, len, now);

	if (to_guest && !uf->inbound && !uf->nanswered)
		sched_answered(u->sched, SCHED_OPEN_OTHERS);
	asked = uf->nasked + (uf->inbound ? to_guest : from_guest);
	answered = uf->nanswered + (uf->inbound ? from_guest : to_guest);
	list_remove_flow(u, uf);
	uf->last = now;
	if (!uf->stream) {
		uf->nasked = (uint8_t)MIN(asked, UINT8_MAX);
		uf->nanswered = (uint8_t)MIN(answered, UINT8_MAX);
		if (uf->nanswered > uf->nasked ||
		    MIN(uf->nasked, uf->nanswered) >= STREAM_EACH_SIDE)
			become_stream(u, uf);
	}
	list_add_flow(u, uf);
}
