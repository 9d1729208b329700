// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * mcast.c - Relays datagrams that the guest sends to multicast groups, and
 * datagrams that peers send to these groups.
 *
 * If the guest sends from the port of a service, to the group or to a querier,
 * its datagrams leave through the group's socket, which is bound to this port.
 * If the guest sends a query to a group from any other port, the query gets a
 * flow with a socket that is not connected. All answers that the socket
 * receives are relayed until the one-shot flow expires. There are few such
 * datagrams, so they are not sent or received in batches.
 */
/* syscalls: close epoll_ctl */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward/nat.h"
#include "log.h"
#include "sock.h"
#include "udp/mcast_socket.h"
#include "udp/mcast.h"

/* Number of queriers to remember, of all services together. */
#define QUERIERS	64

/**
 * struct querier - A peer that sent a datagram to a group
 * @addr, @port: the peer's real address, and source port in host order
 * @service:	port of the group; 0: the entry is not in use
 * @at:		when the peer last sent to the group, ms
 */
struct querier {
	struct in6_addr addr;
	uint16_t port, service;
	uint64_t at;
};

/**
 * struct mcast - State of --multicast
 * @group:	groups that are relayed
 * @querier:	peers to which the guest may send answers from a service's port
 * @next:	index of the entry of @querier that is replaced next
 */
struct mcast {
	struct udp_group group[UDP_GROUPS];
	struct querier querier[QUERIERS];
	unsigned int next;
};

/* is_group_address() - Whether an address is a multicast group, or the IPv4
 * limited broadcast address */
static bool is_group_address(const struct in6_addr *dst)
{
	return addr_is_multicast(dst) ||
	       (addr_is_v4(dst) && addr_v4(dst).s_addr == INADDR_BROADCAST);
}

/* find_group() - Return the relayed group with an address and a port, or
 * NULL */
static struct udp_group *find_group(const struct udp *u,
				    const struct in6_addr *addr, uint16_t port)
{
	struct udp_group *g;

	if (!u->mcast)
		return NULL;
	for (g = u->mcast->group; g < u->mcast->group + UDP_GROUPS; g++)
		if (g->fd >= 0 && g->port == port && addr_eq(&g->addr, addr))
			return g;
	return NULL;
}

/* find_group_by_port() - Return the first relayed group of a family that has a
 * port, or NULL */
static struct udp_group *find_group_by_port(const struct udp *u, bool v4,
					    uint16_t port)
{
	struct udp_group *g;

	if (!u->mcast)
		return NULL;
	for (g = u->mcast->group; g < u->mcast->group + UDP_GROUPS; g++)
		if (g->fd >= 0 && g->port == port &&
		    addr_is_v4(&g->addr) == v4)
			return g;
	return NULL;
}

/* find_querier() - Return the entry of a peer that sent to a group of a
 * service, or NULL; the caller checks how long ago that was */
static struct querier *find_querier(struct mcast *mc,
				    const struct in6_addr *addr, uint16_t port,
				    uint16_t service)
{
	struct querier *q;

	for (q = mc->querier; q < mc->querier + QUERIERS; q++)
		if (q->service == service && q->port == port &&
		    addr_eq(&q->addr, addr))
			return q;
	return NULL;
}

/* note_querier() - Remember that a peer has just sent to a group of a
 * service */
static void note_querier(struct mcast *mc, const struct in6_addr *addr,
			 uint16_t port, uint16_t service, uint64_t now)
{
	struct querier *q = find_querier(mc, addr, port, service);

	if (!q) {
		q = &mc->querier[mc->next];
		mc->next = (mc->next + 1) % QUERIERS;
	}
	*q = (struct querier){
		.addr = *addr, .port = port, .service = service, .at = now,
	};
}

/* send_from_socket() - Send datagrams of the guest from a socket, through the
 * interface @ifindex; if @ifindex is 0, the host's routes decide */
static void send_from_socket(struct udp *u, int fd, uint32_t ifindex,
			     const struct pkt *batch, unsigned int n)
{
	for (; n; n--, batch++) {
		if (mcast_sock_send(fd, u->net, ifindex, batch))
			u->count[UDP_SEND_ERROR]++;
		else
			u->count[UDP_FROM_GUEST]++;
	}
}

/* get_query_flow() - Find or open the flow of a query to a group, if the query
 * does not come from the port of the service. On failure, count UDP_REFUSED and
 * return NULL */
static struct udp_flow *get_query_flow(struct udp *u, const struct pkt *batch,
				       uint64_t now)
{
	struct flow_key key = {
		.guest = batch->src, .peer = batch->dst,
		.gport = batch->sport, .pport = batch->dport,
		.proto = IPPROTO_UDP,
	};
	struct flow *f = flow_lookup(u->flows, &key);
	uint16_t port = key.gport;
	struct udp_flow *uf;
	uint64_t begun;
	bool opened;
	int fd;

	if (f)
		return container_of(f, struct udp_flow, flow);
	if (!sched_may_open(u->sched, SCHED_OPEN_OTHERS, now)) {
		u->count[UDP_REFUSED]++;
		return NULL;
	}

	begun = now_us();
	fd = udp_flow_socket(u, &key.peer, &port, false);
	if (fd >= 0 && mcast_sock_options(fd, addr_is_v4(&key.peer))) {
		close(fd);
		fd = -1;
	}
	opened = fd >= 0 && !udp_flow_open_fd(u, &key, fd, now, &uf);
	sched_opened(u->sched, SCHED_OPEN_OTHERS, now_us() - begun);
	if (!opened) {
		u->count[UDP_REFUSED]++;
		return NULL;
	}
	u->count[UDP_OPENED]++;
	return uf;
}

/* send_from_service() - Send datagrams of the guest through a group's socket,
 * that is, from the service's port, and note the guest's address for answers */
static void send_from_service(struct udp *u, struct udp_group *g,
			      const struct pkt *batch, unsigned int n,
			      uint64_t now)
{
	g->guest = batch->src;
	g->guest_at = now;
	send_from_socket(u, g->fd, g->ifindex, batch, n);
}

static void send_to_group(struct udp *u, struct udp_group *g,
			  const struct pkt *batch, unsigned int n, uint64_t now)
{
	struct udp_group *first;
	struct udp_flow *uf;

	if (batch->sport == g->port) {
		/* SSDP has two IPv6 groups with the same port. Send through the
		 * socket of the first group, which receives the unicast
		 * answers. */
		first = find_group_by_port(u, addr_is_v4(&batch->dst),
					   batch->sport);
		send_from_service(u, first ? first : g, batch, n, now);
		return;
	}
	uf = get_query_flow(u, batch, now);
	if (!uf)
		return;
	udp_flow_used(u, uf, n, 0, batch->len, now);
	send_from_socket(u, uf->flow.fd[SIDE_HOST], g->ifindex, batch, n);
}

/**
 * send_to_querier() - Send datagrams through a group's socket, if the guest
 * sends them from the port of the service to a querier
 * @batch, @n:	packets with the same addresses and ports
 *
 * Queriers ignore answers from any other port than the service's (RFC 6762 6).
 * So this function is tried before the datagrams get a flow, which might use a
 * forwarded port's socket.
 *
 * Return: false if the destination is not a querier, or its last query is too
 *	   old. The packets then belong to a flow
 */
static bool send_to_querier(struct udp *u, const struct pkt *batch,
			    unsigned int n, uint64_t now)
{
	bool v4 = addr_is_v4(&batch->dst);
	struct udp_group *g = find_group_by_port(u, v4, batch->sport);
	const struct querier *q;

	if (!g)
		return false;
	q = find_querier(u->mcast, &batch->dst, batch->dport, batch->sport);
	if (!q || now - q->at >= UDP_ONE_SHOT ||
	    access_denied(u->access, &batch->dst, batch->dport, &batch->dst,
			  g->ifindex))
		return false;

	send_from_service(u, g, batch, n, now);
	return true;
}

/**
 * mcast_from_guest() - Handle datagrams of the guest that are for a group or
 * for a querier
 * @batch, @n:	packets with the same addresses and ports
 *
 * Return: true if the packets were for a group or a querier, and were sent or
 *	   dropped; false: udp_from_guest() has to handle them
 */
bool mcast_from_guest(struct udp *u, const struct pkt *batch, unsigned int n,
		      uint64_t now)
{
	struct udp_group *g;

	if (!batch->sport || !batch->dport || !addr_is_unicast(&batch->src))
		return false;
	if (!is_group_address(&batch->dst))
		return send_to_querier(u, batch, n, now);

	g = find_group(u, &batch->dst, batch->dport);
	if (g)
		send_to_group(u, g, batch, n, now);
	else
		u->count[UDP_MULTICAST] += n;
	return true;
}

/* deliver_mcast_msg() - Send a received datagram to the guest; @dst is the
 * guest's address or a group, @port the destination port that the guest sees */
static void deliver_mcast_msg(struct udp *u, struct mcast_rx_msg *m,
			      const struct in6_addr *dst, uint16_t port)
{
	struct ip_hdr ip = {
		.dst = *dst, .proto = IPPROTO_UDP, .ttl = m->ttl, .tos = m->tos,
	};

	if (!nat_to_guest(u->net, &m->peer, &ip.src)) {
		u->count[UDP_IMPOSSIBLE]++;
		return;
	}
	udp_hdr_put(m->l4, m->port, port, UDP_HLEN + m->len);
	tap_ip_send(u->tap, &ip, m->l4, UDP_HLEN + m->len);
}

/* mcast_read() - Read a datagram; returns false if there is none */
static bool mcast_read(struct udp *u, int fd, struct mcast_rx_msg *m)
{
	int rc = mcast_sock_recv(fd, m);

	u->flows->no_memory |= sock_lacks_resource(rc);
	return !rc;
}

/* can_deliver() - Whether a received datagram can go to the guest; if it can't,
 * count the reason */
static bool can_deliver(struct udp *u, const struct mcast_rx_msg *m)
{
	u->count[UDP_TO_GUEST]++;
	if (m->truncated)
		u->count[UDP_TOO_BIG]++;
	else if (!m->port)
		u->count[UDP_IMPOSSIBLE]++;
	else if (!link_up(u->tap->link))
		u->count[UDP_NO_GUEST]++;
	else
		return true;
	return false;
}

/**
 * mcast_event() - Relay answers that came to the socket of a flow, if the flow
 * is a query of the guest to a group
 *
 * The flow stays one-shot even if many peers answer, because no service answers
 * a query after minutes.
 *
 * Return: true if @uf is the flow of a query to a group, and its socket was
 *	   read; false: udp_event() has to handle the event
 */
bool mcast_event(struct udp *u, struct udp_flow *uf, uint32_t events,
		 uint64_t now)
{
	const struct flow_key *key = &uf->flow.key;
	int fd = uf->flow.fd[SIDE_HOST];
	const struct udp_group *g;
	UNINITIALIZED struct mcast_rx_msg m;
	unsigned int i;

	if (!addr_is_multicast(&key->peer))
		return false;

	g = find_group(u, &key->peer, key->pport);
	for (i = 0; i < UDP_BATCH && mcast_read(u, fd, &m); i++) {
		if (!can_deliver(u, &m))
			continue;
		if (!g || m.ifindex != g->ifindex ||
		    is_group_address(&m.dest)) {
			u->count[UDP_UNASKED]++;
			continue;
		}
		udp_flow_used(u, uf, 0, 0, 0, now);
		deliver_mcast_msg(u, &m, &key->guest, key->gport);
	}
	return true;
}

/* deliver_from_group() - Send the guest a datagram that a group's socket
 * received. A datagram to the group is always relayed. A unicast datagram to
 * the host is relayed only if the guest has sent through this socket in the
 * last UDP_ONE_SHOT ms */
static void deliver_from_group(struct udp *u, const struct udp_group *g,
			       struct mcast_rx_msg *m, uint64_t now)
{
	bool here = m->ifindex == g->ifindex;
	bool asked = !addr_is_none(&g->guest) &&
		     now - g->guest_at < UDP_ONE_SHOT;

	if (here && addr_eq(&m->dest, &g->addr)) {
		note_querier(u->mcast, &m->peer, m->port, g->port, now);
		deliver_mcast_msg(u, m, &g->addr, g->port);
	} else if (here && !is_group_address(&m->dest) && asked) {
		deliver_mcast_msg(u, m, &g->guest, g->port);
	} else {
		u->count[UDP_UNASKED]++;
	}
}

/**
 * mcast_group_event() - Read datagrams from the socket of a group, and relay
 * them
 * @index:	index of the group
 */
void mcast_group_event(struct udp *u, unsigned int index, uint64_t now)
{
	const struct udp_group *g = &u->mcast->group[index];
	struct mcast_rx_msg m;
	unsigned int i;

	for (i = 0; i < UDP_BATCH && mcast_read(u, g->fd, &m); i++) {
		if (can_deliver(u, &m))
			deliver_from_group(u, g, &m, now);
	}
}

/* open_group() - Open a group's socket, join the group, and add the socket to
 * epoll; return 0 or -errno */
static int open_group(struct udp *u, unsigned int index)
{
	struct udp_group *g = &u->mcast->group[index];
	struct epoll_event ev = {
		.events = EPOLLIN,
		.data.u64 = event_token(EVENT_GROUP, 0, 0, index),
	};
	int rc = mcast_sock_open(g, u->fwd);

	if (rc || !epoll_ctl(u->flows->epfd, EPOLL_CTL_ADD, g->fd, &ev))
		return rc;
	rc = -errno;
	close(g->fd);
	g->fd = -1;
	return rc;
}

/* start_group() - Relay a group from now on, if its family is in use; warn if
 * it can't be joined */
static void start_group(struct udp *u, unsigned int i)
{
	const struct udp_group *g = &u->mcast->group[i];
	char text[ADDR_STRLEN];
	int rc;

	if (!u->net->use[addr_ip(&g->addr)])
		return;
	rc = open_group(u, i);
	if (rc)
		warn("--multicast: %s port %u (%s) is not relayed: %s",
		     addr_str(&g->addr, text), g->port, g->service,
		     strerror(-rc));
}

/**
 * mcast_open() - Join the groups, for --multicast
 * @u:		UDP; the listeners of all forwarded ports are open already
 *
 * If a group can't be joined, a warning names it, and the other groups are
 * relayed.
 *
 * Return: 0, or -ENOMEM
 */
int mcast_open(struct udp *u)
{
	unsigned int i;

	u->mcast = calloc(1, sizeof(*u->mcast));
	if (!u->mcast)
		return -ENOMEM;

	mcast_sock_init(u->mcast->group,
			sock_ifindex(u->net->mcast_ifname[IP4]),
			sock_ifindex(u->net->mcast_ifname[IP6]));
	for (i = 0; i < UDP_GROUPS; i++)
		start_group(u, i);
	return 0;
}

/**
 * mcast_follow() - Join groups on another interface, because the host's network
 * has changed
 *
 * If an interface was deleted and made anew, it has another index, so its
 * groups are joined again. While the host does not have the interface, its
 * groups are not relayed. If the kernel does not tell passt whether the host
 * has the interface, nothing changes.
 */
void mcast_follow(struct udp *u)
{
	uint32_t ifindex[FAMILIES];
	bool unknown[FAMILIES];
	struct udp_group *g;
	enum ip_family f;
	unsigned int i;

	if (!u->mcast)
		return;
	for (f = IP4; f < FAMILIES; f++) {
		ifindex[f] = sock_ifindex(u->net->mcast_ifname[f]);
		unknown[f] = !ifindex[f] && errno != ENODEV;
	}
	for (i = 0; i < UDP_GROUPS; i++) {
		g = &u->mcast->group[i];
		f = addr_ip(&g->addr);
		if (unknown[f] || g->ifindex == ifindex[f])
			continue;
		if (g->fd >= 0)
			close(g->fd);
		g->fd = -1;
		g->ifindex = ifindex[f];
		if (g->ifindex)
			start_group(u, i);
	}
}

/**
 * mcast_forget() - Forget queries and queriers, because the guest has left
 */
void mcast_forget(struct udp *u)
{
	struct mcast *mc = u->mcast;
	unsigned int i;

	if (!mc)
		return;
	for (i = 0; i < UDP_GROUPS; i++)
		mc->group[i].guest = ADDR_NONE;
	memset(mc->querier, 0, sizeof(mc->querier));
}

/**
 * mcast_close() - Close the sockets of all groups and free the state of
 * --multicast. Closing a socket also leaves its group
 */
void mcast_close(struct udp *u)
{
	unsigned int i;

	for (i = 0; u->mcast && i < UDP_GROUPS; i++)
		if (u->mcast->group[i].fd >= 0)
			close(u->mcast->group[i].fd);
	free(u->mcast);
	u->mcast = NULL;
}
