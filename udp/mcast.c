// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * mcast.c - What the guest sends to more than one host, and what comes for
 * groups.
 * Called by udp.c and passt.c; calls group.c, udp/flow.c, tap.c, forward.c and
 * sockets.
 *
 * What the guest sends from the port of a service leaves by the group's own
 * socket, from the same port; its answers to one who asked as well. A query
 * from any other port is a flow, with a socket that is not connected: whoever
 * answers is heard for as long as a one-shot flow lives. The rates are those of
 * a few hosts that look for each other: no batches here.
 */
/* syscalls: close epoll_ctl */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "udp/mcast_socket.h"
#include "udp/mcast.h"

/* Hosts to be answered, of all services: some pages of a busy network. */
#define QUERIERS		64

/**
 * struct querier - A host that sent to a group
 * @addr, @port: who, port in host order
 * @service:	port of the group, 0: nobody
 * @at:		when, ms
 */
struct querier {
	struct in6_addr addr;
	uint16_t port, service;
	uint64_t at;
};

/**
 * struct mcast - What is relayed
 * @group:	the groups
 * @querier:	who sent to them, the guest to answer
 * @next:	the one of them to be forgotten next
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

/* find_group() - The group that is relayed under an address; or NULL */
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

/* find_port_group() - The group whose socket has a port of a family; or NULL */
static struct udp_group *find_port_group(const struct udp *u, bool v4, uint16_t port)
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

/**
 * find_querier() - A host that has sent to a service's groups
 * @mc:		what is relayed
 * @addr, @port: who
 * @service:	port of the group
 *
 * Return: it, or NULL; maybe long ago
 */
static struct querier *find_querier(struct mcast *mc,
				const struct in6_addr *addr, uint16_t port,
				uint16_t service)
{
	struct querier *a;

	for (a = mc->querier; a < mc->querier + QUERIERS; a++)
		if (a->service == service && a->port == port &&
		    addr_eq(&a->addr, addr))
			return a;
	return NULL;
}

/* note_querier() - A host has sent to a service's groups: it may be answered */
static void note_querier(struct mcast *mc, const struct in6_addr *addr,
		      uint16_t port, uint16_t service, uint64_t now)
{
	struct querier *a = find_querier(mc, addr, port, service);

	if (!a) {
		a = &mc->querier[mc->next];
		mc->next = (mc->next + 1) % QUERIERS;
	}
	*a = (struct querier){
		.addr = *addr, .port = port, .service = service, .at = now,
	};
}

/**
 * send_from_socket() - Send datagrams of the guest from a socket
 * @u:		UDP
 * @fd:		socket
 * @ifindex:	interface to send by, 0: as the host's routes say
 * @batch:	packets
 * @n:		how many
 */
static void send_from_socket(struct udp *u, int fd, uint32_t ifindex,
		     const struct pkt *batch, unsigned int n)
{
	for (; n; n--, batch++) {
		if (mcast_sock_send(fd, &u->fwd->map, ifindex, batch))
			u->count[UDP_SEND_ERROR]++;
		else
			u->count[UDP_FROM_GUEST]++;
	}
}

/**
 * get_query_flow() - The flow of a query from a port that is not the service's
 * @u:		UDP
 * @batch:	query
 * @now:	ms
 *
 * Return: flow, or NULL, counted
 */
static struct udp_flow *get_query_flow(struct udp *u, const struct pkt *batch,
				   uint64_t now)
{
	struct flow_key key = {
		.guest = batch->src, .remote = batch->dst,
		.gport = batch->sport, .rport = batch->dport,
		.proto = IPPROTO_UDP,
	};
	struct flow *f = flow_lookup(u->flows, &key);
	uint16_t port = key.gport;
	struct udp_flow *uf;
	int fd;

	if (f)
		return container_of(f, struct udp_flow, flow);

	fd = udp_flow_socket(u, &key.remote, &port, false);
	if (fd >= 0 && mcast_sock_options(fd, addr_is_v4(&key.remote))) {
		close(fd);
		fd = -1;
	}
	if (fd < 0 || udp_flow_own(u, &key, fd, now, &uf)) {
		u->count[UDP_REFUSED]++;
		return NULL;
	}
	u->count[UDP_OPENED]++;
	return uf;
}

/* send_from_service() - Send from a service's port; what comes back is expected */
static void send_from_service(struct udp *u, struct udp_group *g, uint32_t ifindex,
			 const struct pkt *batch, unsigned int n, uint64_t now)
{
	g->guest = batch->src;
	g->guest_at = now;
	send_from_socket(u, g->fd, ifindex, batch, n);
}

/**
 * batch_to_group() - Datagrams from the guest to a group
 * @u:		UDP
 * @g:		group
 * @batch:	packets with the same addresses and ports
 * @n:		how many
 * @now:	ms
 */
static void batch_to_group(struct udp *u, struct udp_group *g, const struct pkt *batch,
		     unsigned int n, uint64_t now)
{
	struct udp_flow *uf;

	if (batch->sport == g->port) {
		/* That which hears the answers, if there are two. */
		g = find_port_group(u, addr_is_v4(&batch->dst), batch->sport);
		send_from_service(u, g, g->ifindex, batch, n, now);
		return;
	}
	uf = get_query_flow(u, batch, now);
	if (!uf)
		return;
	udp_flow_used(u, uf, n, 0, now);
	send_from_socket(u, uf->flow.fd[SIDE_HOST], g->ifindex, batch, n);
}

/**
 * batch_to_querier() - From the port of a service to a host that asked
 * @u:		UDP
 * @batch:	packets with the same addresses and ports
 * @n:		how many
 * @now:	ms
 *
 * An answer from another port would not be heard (RFC 6762 6), not even from
 * one that is forwarded to this of the guest.
 *
 * Return: false if they are a flow's, as others
 */
static bool batch_to_querier(struct udp *u, const struct pkt *batch, unsigned int n,
		   uint64_t now)
{
	bool v4 = addr_is_v4(&batch->dst);
	struct udp_group *g = find_port_group(u, v4, batch->sport);
	const struct querier *a;

	if (!g)
		return false;
	a = find_querier(u->mcast, &batch->dst, batch->dport, batch->sport);
	if (!a || now - a->at >= UDP_ONE_SHOT)
		return false;

	send_from_service(u, g, g->ifindex, batch, n, now);
	return true;
}

/**
 * mcast_from_guest() - Datagrams from the guest that may be for many
 * @u:		UDP
 * @batch:	packets with the same addresses and ports
 * @n:		how many
 * @now:	ms
 *
 * Return: whether they were, or belong to that, and are done with; false:
 *	   udp_from_guest() goes on
 */
bool mcast_from_guest(struct udp *u, const struct pkt *batch, unsigned int n,
			 uint64_t now)
{
	struct udp_group *g;

	if (!batch->sport || !batch->dport || !addr_is_unicast(&batch->src))
		return false;
	if (!is_group_address(&batch->dst))
		return batch_to_querier(u, batch, n, now);

	g = find_group(u, &batch->dst, batch->dport);
	if (g)
		batch_to_group(u, g, batch, n, now);
	else
		u->count[UDP_MULTICAST] += n;
	return true;
}

/**
 * deliver_group_msg() - Hand a datagram from outside to the guest
 * @u:		UDP
 * @a:		datagram
 * @dst, @port:	where to, as the guest knows it
 */
static void deliver_group_msg(struct udp *u, struct mcast_rx_msg *a,
		    const struct in6_addr *dst, uint16_t port)
{
	struct ip_hdr ip = {
		.dst = *dst, .proto = IPPROTO_UDP, .ttl = a->ttl, .tos = a->tos,
	};

	if (!nat_to_guest(&u->fwd->map, &a->peer, &ip.src)) {
		u->count[UDP_IMPOSSIBLE]++;
		return;
	}
	udp_hdr_put(a->l4, a->port, port, UDP_HLEN + a->len);
	tap_ip_send(u->tap, &ip, a->l4, UDP_HLEN + a->len);
}

/* can_deliver() - Whether a datagram can go to the guest; false: counted */
static bool can_deliver(struct udp *u, const struct mcast_rx_msg *a)
{
	u->count[UDP_TO_GUEST]++;
	if (a->truncated)
		u->count[UDP_TOO_BIG]++;
	else if (!a->port)
		u->count[UDP_IMPOSSIBLE]++;
	else if (!link_up(u->tap->link))
		u->count[UDP_NO_GUEST]++;
	else
		return true;
	return false;
}

/**
 * mcast_event() - A flow's socket has something to say
 * @u:		UDP
 * @uf:		flow
 * @events:	EPOLL*
 * @now:	ms
 *
 * However many answer, the flow stays one-shot: nobody waits for minutes.
 *
 * Return: whether it is one of a query to a group, and done with; false:
 *	   udp_event() goes on
 */
bool mcast_event(struct udp *u, struct udp_flow *uf, uint32_t events,
			 uint64_t now)
{
	const struct flow_key *key = &uf->flow.key;
	const struct udp_group *g;
	unsigned int i;
	struct mcast_rx_msg a;

	if (!addr_is_multicast(&key->remote))
		return false;

	g = find_group(u, &key->remote, key->rport);
	for (i = 0; i < UDP_BATCH && !mcast_sock_recv(uf->flow.fd[SIDE_HOST], &a); i++) {
		if (!can_deliver(u, &a))
			continue;
		if (!g || a.ifindex != g->ifindex || is_group_address(&a.dest)) {
			u->count[UDP_UNASKED]++;
			continue;
		}
		udp_flow_used(u, uf, 0, 0, now);
		deliver_group_msg(u, &a, &key->guest, key->gport);
	}
	return true;
}

/**
 * deliver_heard() - A datagram came in by the socket of a group
 * @u:		UDP
 * @g:		group
 * @a:		datagram
 * @now:	ms
 *
 * To the group, it is for all of it; to the host, it is for the guest if that
 * has asked from this port lately.
 */
static void deliver_heard(struct udp *u, const struct udp_group *g,
		  struct mcast_rx_msg *a, uint64_t now)
{
	bool asked = !addr_is_none(&g->guest) && now - g->guest_at < UDP_ONE_SHOT;

	if (a->ifindex == g->ifindex && addr_eq(&a->dest, &g->addr)) {
		note_querier(u->mcast, &a->peer, a->port, g->port, now);
		deliver_group_msg(u, a, &g->addr, g->port);
	} else if (a->ifindex == g->ifindex && !is_group_address(&a->dest) && asked) {
		deliver_group_msg(u, a, &g->guest, g->port);
	} else {
		u->count[UDP_UNASKED]++;
	}
}

/**
 * mcast_group_event() - The socket of a group has datagrams
 * @u:		UDP
 * @index:	of the group
 * @now:	ms
 */
void mcast_group_event(struct udp *u, unsigned int index, uint64_t now)
{
	const struct udp_group *g = &u->mcast->group[index];
	unsigned int i;
	struct mcast_rx_msg a;

	for (i = 0; i < UDP_BATCH && !mcast_sock_recv(g->fd, &a); i++) {
		if (can_deliver(u, &a))
			deliver_heard(u, g, &a, now);
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
 * @u:		UDP, with ports forwarded already
 * @if4, @if6:	interface outside for each family, 0: none
 *
 * One that can't be joined is named, and the others are relayed.
 *
 * Return: 0, or -ENOMEM
 */
int mcast_open(struct udp *u, uint32_t if4, uint32_t if6)
{
	char text[ADDR_STRLEN];
	struct udp_group *g;
	unsigned int i;
	int rc;

	u->mcast = calloc(1, sizeof(*u->mcast));
	if (!u->mcast)
		return -ENOMEM;

	mcast_sock_init(u->mcast->group, if4, if6);
	for (i = 0; i < UDP_GROUPS; i++) {
		g = &u->mcast->group[i];
		if (addr_is_v4(&g->addr) ? !u->fwd->ipv4 : !u->fwd->ipv6)
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
 * mcast_forget() - The guest has left
 * @u:		UDP
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
 * @u:		UDP
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
