// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * srcport.c - Which socket sends for a port of the guest: that of a forwarded
 * port, or one of several that share a port.
 *
 * A forwarded port is taken on the host, so no other socket can be bound to it,
 * and from another port the guest's datagrams would have a source that its peer
 * does not expect: the other end of a VPN, or of a telephone call. So they
 * leave by the forwarded port's own socket, which receives the answers as well.
 *
 * What the guest sends from one port to many peers has one port outside, too
 * (RFC 4787 REQ-1): a peer that learned the port from another peer reaches the
 * guest there, once the guest has sent to it. The first socket has to find the
 * port free, so no foreign socket has it; it then shares the port with the next
 * ones, and each receives from the peer that it is connected to only. No two
 * sockets may be connected to one peer: so a port is shared for one address of
 * the guest only, and not with addresses that are mapped (--dns-forward).
 * SO_REUSEPORT shares with sockets of our user only. SO_REUSEADDR would share
 * with any user, and the last socket that connects to a peer receives from it.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "forward/nat.h"
#include "udp/flow.h"

#define NPORTS	(IP_PORT_MAX + 1)

/**
 * struct udp_guest_port - The sockets that have a port of the guest
 * @n:		number of sockets
 * @sole_fd:	descriptor of the only one, which does not share the port yet;
 *		-1: they share it
 * @guest:	guest's address; the whole of it, as the addresses of one
 *		interface end alike
 */
struct udp_guest_port {
	uint32_t n;
	int sole_fd;
	struct in6_addr guest;
};

/* can_send_anywhere() - Whether a listener is for UDP, and not bound to an
 * address or interface */
static bool can_send_anywhere(const struct fwd *f, const struct listener *l)
{
	const struct rule_ends *e = listener_ends(f, l);

	return l->proto == IPPROTO_UDP && addr_is_none(&e->addr) && !*e->ifname;
}

/* index_ports() - Slot + 1 of the listener for each port, 0: none; or NULL */
static uint32_t *index_ports(const struct fwd *f)
{
	uint32_t *ports = calloc(NPORTS, sizeof(*ports)), *port;
	const struct listener *l = NULL;

	while (ports && (l = fwd_next_listener(f, l))) {
		port = &ports[l->gport];
		if (!*port && can_send_anywhere(f, l))
			*port = (uint32_t)(l - f->listeners) + 1;
	}
	return ports;
}

/* find_port_listener() - The first listener that can send for a port */
static const struct listener *find_port_listener(struct udp *u, uint16_t gport)
{
	const struct fwd *f = u->fwd;
	uint32_t n;

	if (u->port_listeners && u->port_listeners_of != f->changes) {
		free(u->port_listeners);
		u->port_listeners = NULL;
	}
	if (!u->port_listeners) {
		u->port_listeners = index_ports(f);
		u->port_listeners_of = f->changes;
	}
	n = u->port_listeners ? u->port_listeners[gport] : 0;
	return n ? &f->listeners[n - 1] : NULL;
}

/**
 * udp_port_listener() - Find the listener that can send for a flow of the guest
 *
 * Return: listener, NULL if there is none
 */
const struct listener *udp_port_listener(struct udp *u,
					 const struct flow_key *key)
{
	const struct fwd *f = u->fwd;
	const struct in6_addr *target;
	const struct listener *l;

	/* A listener is not bound to the interface of --outbound-if4 and 6. */
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
 * udp_guest_ports_new() - Allocate state for all ports, touched as it is used
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

/* can_share_port() - Whether the peer has one guest-visible address only */
static bool can_share_port(const struct udp *u, const struct flow_key *key)
{
	return !nat_by_port(u->net, &key->peer, key->pport);
}

/**
 * udp_port_share() - Make the sockets that have a port share it with a new flow
 * @key:	of the new flow
 *
 * Return: false if there are none, or they can't
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
 * udp_port_take() - Note that a flow's own socket has the guest's port
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
 * udp_port_give() - Note that a flow's socket no longer has the guest's port
 * @uf:		flow that ends
 */
void udp_port_give(struct udp *u, const struct udp_flow *uf)
{
	if (uf->has_port)
		find_guest_port(u, &uf->flow.key)->n--;
}
