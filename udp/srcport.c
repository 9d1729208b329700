// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * srcport.c - Chooses the socket for datagrams of a port of the guest. If the
 * port is forwarded, this is the socket of the listener. Otherwise each peer
 * has a socket of its own, and all these sockets share one port of the host.
 * TCP does not do this: the kernel chooses the port of a TCP socket.
 *
 * If the guest's port is forwarded, a listener has that port on the host, and
 * no other socket can be bound to it. If the guest's datagrams left from
 * another port, a peer such as the other side of a VPN or of a telephone call
 * would not accept them. So these datagrams leave through the listener's
 * socket, which also receives the answers.
 *
 * If the guest's port is not forwarded, all datagrams from it also have one
 * source port on the host, for all peers (RFC 4787 REQ-1). A peer that learns
 * the port from another peer can then reach the guest, once the guest has sent
 * to the peer that has learned it.
 *
 * The first flow's socket is bound to the guest's port number without
 * SO_REUSEPORT. If a foreign socket has that port, bind_port() in sock.c lets
 * the kernel choose another one. For the next flow, SO_REUSEPORT is set on both
 * sockets, which then share the port. Each socket is connected, and receives
 * only from its own peer. No two sockets may be connected to the same peer. So
 * only flows of one address of the guest share a port, and flows to the address
 * of --dns-forward do not. With SO_REUSEPORT, only sockets of passt's user can
 * share the port. With SO_REUSEADDR, those of any user could, and the socket
 * that connects to a peer last would receive the peer's datagrams.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "forward/nat.h"
#include "udp/flow.h"

#define NPORTS	(IP_PORT_MAX + 1)

/**
 * struct udp_port_index - The listeners of UDP by port. The index is made when
 * it is first needed, and again after the listeners have changed
 * @changes:	value of fwd->changes when the index was made
 * @by_gport:	for each port of the guest, slot + 1 of the first listener that
 *		can send the guest's datagrams from this port; 0: none
 * @by_port:	for each port of the host, slot + 1 of a listener; 0: none
 * @next:	for each slot, slot + 1 of another listener with the same port
 *		of the host; 0: none
 */
struct udp_port_index {
	uint32_t changes;
	uint32_t by_gport[NPORTS], by_port[NPORTS];
	uint32_t next[];
};

/**
 * struct udp_guest_port - The sockets of flows that are bound, on the host, to
 * the number of one of the guest's ports
 * @n:		number of sockets
 * @sole_fd:	descriptor of the only socket, which does not have SO_REUSEPORT
 *		yet; -1: all sockets share the port
 * @guest:	the guest's address in the keys of these flows
 */
struct udp_guest_port {
	uint32_t n;
	int sole_fd;
	struct in6_addr guest;
};

/* can_send_anywhere() - Whether a listener is bound neither to an address nor
 * to an interface, so that it can send to any peer */
static bool can_send_anywhere(const struct fwd *f, const struct listener *l)
{
	const struct rule_ends *e = listener_ends(f, l);

	return addr_is_none(&e->addr) && !e->any6 && !*e->ifname;
}

/* add_to_index() - Add a listener of UDP to the index */
static void add_to_index(struct udp_port_index *x, const struct fwd *f,
			 const struct listener *l)
{
	uint32_t slot = (uint32_t)(l - f->listeners);

	if (!x->by_gport[l->gport] && can_send_anywhere(f, l))
		x->by_gport[l->gport] = slot + 1;
	x->next[slot] = x->by_port[l->port];
	x->by_port[l->port] = slot + 1;
}

/* make_index() - Make the index of the listeners, or return NULL if there is no
 * memory */
static struct udp_port_index *make_index(const struct fwd *f)
{
	struct udp_port_index *x;
	const struct listener *l = NULL;

	x = calloc(1, sizeof(*x) + f->top * sizeof(*x->next));
	if (!x)
		return NULL;
	x->changes = f->changes;
	while ((l = fwd_next_listener(f, l))) {
		if (l->proto == IPPROTO_UDP)
			add_to_index(x, f, l);
	}
	return x;
}

/* get_index() - Return the index of the listeners as they are now; NULL if
 * there is no memory */
static const struct udp_port_index *get_index(struct udp *u)
{
	if (u->port_index && u->port_index->changes != u->fwd->changes) {
		free(u->port_index);
		u->port_index = NULL;
	}
	if (!u->port_index)
		u->port_index = make_index(u->fwd);
	return u->port_index;
}

/* find_port_listener() - Return the first listener that can send the datagrams
 * of a port of the guest, or NULL */
static const struct listener *find_port_listener(struct udp *u, uint16_t gport)
{
	const struct udp_port_index *x = get_index(u);
	uint32_t n = x ? x->by_gport[gport] : 0;

	return n ? &u->fwd->listeners[n - 1] : NULL;
}

/**
 * udp_is_own_listener() - Whether an address and port belong to one of our
 * listeners
 * @addr, @port: real address, and port in host order
 * @scope:	interface index for a link-local address
 *
 * If a datagram from our own listener reached the guest, the guest's answer
 * would come back as the next datagram, and so on without an end.
 *
 * Return: true if @addr is the host's and @port is forwarded
 */
bool udp_is_own_listener(struct udp *u, const struct in6_addr *addr,
			 uint16_t port, uint32_t scope)
{
	const struct udp_port_index *x = get_index(u);
	const struct listener *l = u->fwd->listeners;
	struct rule_ends there = { .addr = *addr };
	uint32_t n;

	for (n = x ? x->by_port[port] : 0; n; n = x->next[n - 1]) {
		if (rule_overlap(listener_ends(u->fwd, &l[n - 1]), &there))
			return sock_addr_is_own(addr, scope);
	}
	return false;
}

/**
 * udp_port_listener() - Find the listener whose socket sends the datagrams of a
 * flow that the guest begins
 *
 * Return: listener, NULL if there is none
 */
const struct listener *udp_port_listener(struct udp *u,
					 const struct flow_key *key)
{
	const struct fwd *f = u->fwd;
	const struct in6_addr *target;
	const struct listener *l;

	/* With --outbound-if4 or --outbound-if6, a flow needs a socket that is
	 * bound to that interface, and a listener's is not. */
	if (!f->nlisteners ||
	    *u->net->source_ifname[addr_ip(&key->peer)])
		return NULL;
	l = find_port_listener(u, key->gport);
	if (!l)
		return NULL;

	target = &listener_ends(f, l)->target;
	return addr_is_none(target) || addr_eq(target, &key->guest) ? l : NULL;
}

/**
 * udp_guest_ports_new() - Allocate one struct udp_guest_port for each port and
 * family; the kernel provides memory only for entries that are used
 *
 * Return: zeroed array, NULL if there is no memory
 */
struct udp_guest_port *udp_guest_ports_new(void)
{
	return calloc(2 * NPORTS, sizeof(struct udp_guest_port));
}

static struct udp_guest_port *find_guest_port(const struct udp *u,
					      const struct flow_key *key)
{
	size_t first = addr_is_v4(&key->peer) ? 0 : NPORTS;

	return &u->guest_ports[first + key->gport];
}

/* can_share_port() - Whether the socket of a flow may share its port with other
 * flows. It may not if the peer's address in @key is that of --dns-forward:
 * another guest-visible address then leads to the same peer */
static bool can_share_port(const struct udp *u, const struct flow_key *key)
{
	return !nat_by_port(u->net, &key->peer, key->pport);
}

/**
 * udp_port_share() - Let the socket of a new flow be bound to the same port of
 * the host as the sockets of other flows from the guest's port
 * @key:		key of the new flow
 *
 * Return: true if the new socket has to set SO_REUSEPORT; false if no flow has
 *	   a socket on that port, or the port can't be shared
 */
bool udp_port_share(struct udp *u, const struct flow_key *key)
{
	struct udp_guest_port *p = find_guest_port(u, key);

	if (!p->n || !addr_eq(&p->guest, &key->guest) ||
	    !can_share_port(u, key))
		return false;
	if (p->sole_fd >= 0 &&
	    sock_set(p->sole_fd, SOL_SOCKET, SO_REUSEPORT, 1))
		return false;
	p->sole_fd = -1;
	return true;
}

/**
 * udp_port_take() - Note that a flow's own socket is bound to the guest's port
 * number
 */
void udp_port_take(struct udp *u, struct udp_flow *uf)
{
	struct udp_guest_port *p = find_guest_port(u, &uf->flow.key);

	if (!can_share_port(u, &uf->flow.key))
		return;
	p->sole_fd = p->n ? -1 : uf->flow.fd[SIDE_HOST];
	p->guest = uf->flow.key.guest;
	p->n++;
	uf->has_port = true;
}

/**
 * udp_port_give() - Note that a flow ends, whose socket may be bound to the
 * guest's port number
 * @uf:		flow that ends
 */
void udp_port_give(struct udp *u, const struct udp_flow *uf)
{
	if (uf->has_port)
		find_guest_port(u, &uf->flow.key)->n--;
}
