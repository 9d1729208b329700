// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * mcast.c - What the guest sends to groups, and what arrives for them.
 *
 * What the guest sends from the port of a service leaves by the group's own
 * socket, from the same port; so do its answers to a querier. A query from any
 * other port is a flow, whose socket is not connected: all answers are relayed
 * for as long as a one-shot flow lives. Only a few hosts look for each other,
 * so nothing is batched here.
 */
/* syscalls: start: ioctl socket; run: close epoll_ctl */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward/nat.h"
#include "log.h"
#include "udp/mcast_socket.h"
#include "udp/mcast.h"

/* Queriers remembered, of all services. */
#define QUERIERS	64

/**
 * struct querier - A host that sent to a group
 * @addr, @port: its address, and port in host order
 * @service:	port of the group, 0: entry not used
 * @at:		when it last sent, ms
 */
struct querier {
	struct in6_addr addr;
	uint16_t port, service;
	uint64_t at;
};

/**
 * struct mcast - What is relayed
 * @group:	the groups
 * @querier:	hosts that the guest may answer from a service's port
 * @next:	index of the querier to be replaced next
 */
struct mcast {
	struct udp_group group[UDP_GROUPS];
	struct querier querier[QUERIERS];
	unsigned int next;
};

/* is_group_address() - Whether a destination is a group or limited broadcast */
static bool is_group_address(const struct in6_addr *dst)
{
	return addr_is_multicast(dst) ||
	       (addr_is_v4(dst) && addr_v4(dst).s_addr == INADDR_BROADCAST);
}

/* find_group() - The group that is relayed for an address and port; or NULL */
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

/* find_group_by_port() - The first group of a family with a port; or NULL */
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

/* find_querier() - A host that has sent to a service's groups, maybe long ago;
 * or NULL */
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

/* note_querier() - Remember a host that sent to a service's groups */
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

/* send_from_socket() - Send datagrams of the guest through an interface; 0: by
 * the host's routes */
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

/* get_query_flow() - The flow of a query whose source port is not the
 * service's; or NULL, counted */
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
	int fd;

	if (f)
		return container_of(f, struct udp_flow, flow);

	fd = udp_flow_socket(u, &key.peer, &port, false);
	if (fd >= 0 && mcast_sock_options(fd, addr_is_v4(&key.peer))) {
		close(fd);
		fd = -1;
	}
	if (fd < 0 || udp_flow_open_fd(u, &key, fd, now, &uf)) {
		u->count[UDP_REFUSED]++;
		return NULL;
	}
	u->count[UDP_OPENED]++;
	return uf;
}

/* send_from_service() - Send from a service's port, and expect answers there */
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
	struct udp_flow *uf;

	if (batch->sport == g->port) {
		/* SSDP has two IPv6 groups on one port: use the one that
		 * receives unicast answers. */
		g = find_group_by_port(u, addr_is_v4(&batch->dst),
				       batch->sport);
		send_from_service(u, g, batch, n, now);
		return;
	}
	uf = get_query_flow(u, batch, now);
	if (!uf)
		return;
	udp_flow_used(u, uf, n, 0, batch->len, now);
	send_from_socket(u, uf->flow.fd[SIDE_HOST], g->ifindex, batch, n);
}

/**
 * send_to_querier() - Send datagrams of the guest from the port of a service to
 * a host that sent to its group
 * @batch, @n:	packets with the same addresses and ports
 *
 * Queriers ignore answers from any other port (RFC 6762 6), so this comes
 * before a port that is forwarded to the guest's.
 *
 * Return: false if there was no such query: the packets belong to a flow
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
	if (!q || now - q->at >= UDP_ONE_SHOT)
		return false;

	send_from_service(u, g, batch, n, now);
	return true;
}

/**
 * mcast_from_guest() - Take datagrams of the guest that are for a group, or for
 * a querier
 * @batch, @n:	packets with the same addresses and ports
 *
 * Return: true if they were, and are done with; false: udp_from_guest() goes on
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

/* deliver_mcast_msg() - Send a datagram to a guest-visible address and port of
 * the guest, or to a group */
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

/* can_deliver() - Whether a datagram can go to the guest; false: counted */
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
 * mcast_event() - Take answers to a query of the guest from its flow's socket
 *
 * The flow stays one-shot, however many hosts answer: nothing waits for more
 * answers after minutes.
 *
 * Return: true if it is the flow of a query to a group, and its datagrams are
 *	   taken; false: udp_event() goes on
 */
bool mcast_event(struct udp *u, struct udp_flow *uf, uint32_t events,
		 uint64_t now)
{
	const struct flow_key *key = &uf->flow.key;
	int fd = uf->flow.fd[SIDE_HOST];
	const struct udp_group *g;
	struct mcast_rx_msg m;
	unsigned int i;

	if (!addr_is_multicast(&key->peer))
		return false;

	g = find_group(u, &key->peer, key->pport);
	for (i = 0; i < UDP_BATCH && !mcast_sock_recv(fd, &m); i++) {
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

/* deliver_from_group() - Pass on a datagram that a group's socket received: for
 * the group in any case, for the host if the guest sent from that port lately
 */
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
 * mcast_group_event() - Take datagrams from the socket of a group
 * @index:	of the group
 */
void mcast_group_event(struct udp *u, unsigned int index, uint64_t now)
{
	const struct udp_group *g = &u->mcast->group[index];
	struct mcast_rx_msg m;
	unsigned int i;

	for (i = 0; i < UDP_BATCH && !mcast_sock_recv(g->fd, &m); i++) {
		if (can_deliver(u, &m))
			deliver_from_group(u, g, &m, now);
	}
}

/* open_group() - Join a group, and watch its socket; 0 or -errno */
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

/**
 * mcast_open() - Join the groups, for --multicast
 * @u:		UDP, after all ports are forwarded
 *
 * A group that can't be joined is named in a warning; the others are relayed.
 *
 * Return: 0, or -ENOMEM
 */
int mcast_open(struct udp *u)
{
	char text[ADDR_STRLEN];
	struct udp_group *g;
	unsigned int i;
	int rc;

	u->mcast = calloc(1, sizeof(*u->mcast));
	if (!u->mcast)
		return -ENOMEM;

	mcast_sock_init(u->mcast->group,
			if_nametoindex(u->net->mcast_ifname[IP4]),
			if_nametoindex(u->net->mcast_ifname[IP6]));
	for (i = 0; i < UDP_GROUPS; i++) {
		g = &u->mcast->group[i];
		if (!u->net->use[addr_ip(&g->addr)])
			continue;
		rc = open_group(u, i);
		if (rc)
			warn("--multicast: %s port %u (%s) is not relayed: %s",
			     addr_str(&g->addr, text), g->port, g->service,
			     strerror(-rc));
	}
	return 0;
}

/**
 * mcast_forget() - Forget queries and queriers: the guest has left
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
 * mcast_close() - Leave the groups
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
