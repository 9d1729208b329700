// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * srcport.c - Which socket sends for a port of the guest: that of a forwarded
 * port, or several that share it.
 * Called by flow.c; reads the listeners, calls sockets.
 *
 * A port that is forwarded is taken on the host, so a socket bound to it can't
 * be had, and what the guest sends from there would have a source that nobody
 * expects: a peer of its VPN, of its telephone, whoever it answers late. So it
 * leaves by the socket that has the port, from which answers come in as well.
 *
 * What the guest sends from one port to many hosts has one port outside, too
 * (RFC 4787 REQ-1): who was told of it by one can reach it, once the guest has
 * sent there. The first socket has to find the port free, so that it is not
 * somebody else's; it lets others share it when they come, and each hears the
 * host it is connected to and nobody else. No two may have the same host: so
 * only one address of the guest, and no address that stands for another.
 * SO_REUSEPORT asks who shares: nobody but our user. By SO_REUSEADDR anybody on
 * the host could, and whoever connects last to a peer hears it.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "udp/flow.h"

#define NPORTS	(IP_PORT_MAX + 1)

/**
 * struct udp_guest_port - The sockets that have a port of the guest
 * @n:		how many
 * @sole_fd:	descriptor of the only one, which does not share the port yet;
 *		-1: they do
 * @guest:	its address; all of it, as those of one interface end alike
 */
struct udp_guest_port {
	uint32_t n;
	int sole_fd;
	struct in6_addr guest;
};

/* Whether a listener is of UDP, and bound to no address or interface that a
 * destination may not be reached from */
static bool can_send_anywhere(const struct fwd *f, const struct listener *l)
{
	const struct rule_ends *e = listener_ends(f, l);

	return l->proto == IPPROTO_UDP && addr_is_none(&e->addr) && !*e->ifname;
}

/* Slot + 1 of the listener for each port, 0: none; or NULL */
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

/* The first listener that can send for a port, or NULL */
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
 * udp_port_listener() - The listener that can send for a flow of the guest
 * @u:		UDP
 * @key:	of the flow
 *
 * Return: listener, NULL if there is none
 */
const struct listener *udp_port_listener(struct udp *u,
					 const struct flow_key *key)
{
	const struct fwd *f = u->fwd;
	const struct in6_addr *target;
	const struct listener *l;

	/* A listener is not bound to the interface flows are to leave by. */
	if (!f->nlisteners ||
	    *(addr_is_v4(&key->remote) ? f->map.if4 : f->map.if6))
		return NULL;
	l = find_port_listener(u, key->gport);
	if (!l)
		return NULL;

	target = &listener_ends(f, l)->target;
	return addr_is_none(target) || addr_eq(target, &key->guest) ? l : NULL;
}

/**
 * udp_guest_ports_new() - No port is held
 *
 * Return: memory, touched as ports are used; NULL if there is none
 */
struct udp_guest_port *udp_guest_ports_new(void)
{
	return calloc(2 * NPORTS, sizeof(struct udp_guest_port));
}

/* guest_port() - Who has the port of a flow */
static struct udp_guest_port *guest_port(const struct udp *u, const struct flow_key *key)
{
	return &u->guest_ports[key->gport + (addr_is_v4(&key->remote) ? 0 : NPORTS)];
}

/* can_share_port() - Whether a flow's remote has no other address, see above */
static bool can_share_port(const struct udp *u, const struct flow_key *key)
{
	return !nat_resolver(&u->fwd->map, &key->remote, key->rport);
}

/**
 * udp_port_share() - Whether flows have the guest's port that one can share
 * @u:		UDP
 * @key:	of that flow
 *
 * Return: true: they let it
 */
bool udp_port_share(struct udp *u, const struct flow_key *key)
{
	struct udp_guest_port *h = guest_port(u, key);

	if (!h->n || !addr_eq(&h->guest, &key->guest) || !can_share_port(u, key))
		return false;
	if (h->sole_fd >= 0 && sock_set(h->sole_fd, SOL_SOCKET, SO_REUSEPORT, 1))
		return false;
	h->sole_fd = -1;
	return true;
}

/**
 * udp_port_take() - A flow's own socket has the guest's port
 * @u:		UDP
 * @uf:		flow
 */
void udp_port_take(struct udp *u, struct udp_flow *uf)
{
	struct udp_guest_port *h = guest_port(u, &uf->flow.key);

	if (!can_share_port(u, &uf->flow.key))
		return;
	h->sole_fd = h->n ? -1 : uf->flow.fd[SIDE_HOST];
	h->guest = uf->flow.key.guest;
	h->n++;
	uf->has_port = true;
}

/* udp_port_give() - The flow ends */
void udp_port_give(struct udp *u, const struct udp_flow *uf)
{
	if (uf->has_port)
		guest_port(u, &uf->flow.key)->n--;
}
