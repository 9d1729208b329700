// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * inbound.c - Finds the flow to which a datagram at a forwarded port belongs.
 *
 * The guest distinguishes peers by their guest-visible address and port.
 * Several peers may look the same to the guest. By default, the gateway's
 * address is also the guest-visible address of the host's loopback, and of the
 * address that host and guest share. A link-local address may exist on two
 * interfaces. One peer may also send to two addresses of the host. A flow keeps
 * the peer that it began with, because the guest's datagrams must not go to
 * another peer. So if another peer looks the same, the guest sees that peer
 * with another source port.
 */
#include <string.h>

#include "forward/nat.h"
#include "siphash.h"
#include "udp/flow.h"

/* Number of source ports that the guest may see for one peer: the peer's own
 * port, and one other. */
#define VISIBLE_PORTS	2

/* If the guest sees a source port other than the peer's own, it is at least
 * this, so that it is not privileged. */
#define VISIBLE_PORT_MIN	1024

/**
 * set_inbound_key() - Make the key of the flow between a listener and a peer,
 * without the peer's port
 * @o:		sender and destination of a datagram
 * @key:	filled
 *
 * Return: UDP_DROP_NONE; or, if there can be no such flow, the counter of the
 *	   reason to drop the datagram
 */
static enum udp_counter set_inbound_key(const struct udp *u,
					const struct listener *l,
					const struct udp_origin *o,
					struct flow_key *key)
{
	const struct in6_addr *target = &listener_ends(u->fwd, l)->target;

	memset(key, 0, sizeof(*key));
	key->proto = IPPROTO_UDP;
	key->gport = l->gport;
	if (!nat_to_guest(u->net, &o->peer, &key->peer))
		return UDP_IMPOSSIBLE;
	key->guest = addr_is_none(target) ?
		     *tap_guest_addr(u->tap, &key->peer) : *target;
	if (addr_is_none(&key->guest))
		return UDP_NO_GUEST;
	if (addr_is_v4(&key->peer) != addr_is_v4(&key->guest))
		return UDP_IMPOSSIBLE;
	return UDP_DROP_NONE;
}

/**
 * visible_port() - Get a port that the guest may see as a peer's source port
 * @i:		0: the peer's own port; 1 or more: another port, which is always
 *		the same for the same @l, @o and @i, and which nobody can
 *		predict
 */
static uint16_t visible_port(const struct udp *u, const struct listener *l,
			     const struct udp_origin *o, uint64_t i)
{
	struct {
		uint64_t listener, i;
		struct udp_origin o;
	} hashed;

	if (!i)
		return o->port;
	memset(&hashed, 0, sizeof(hashed));
	hashed.listener = listener_token(u->fwd, l);
	hashed.i = i;
	hashed.o.peer = o->peer;
	hashed.o.local = o->local;
	hashed.o.port = o->port;
	hashed.o.ifindex = o->ifindex;
	return (uint16_t)(VISIBLE_PORT_MIN +
			  siphash(&u->flows->secret, &hashed, sizeof(hashed)) %
			  (IP_PORT_MAX + 1 - VISIBLE_PORT_MIN));
}

/**
 * is_same_peer() - Whether a datagram at a listener belongs to a flow: its
 * sender is the flow's peer, and it was sent to the flow's listener and local
 * address
 *
 * A flow with a socket of its own has no listener, so only the sender is
 * compared. The guest's next datagram leaves from that socket, and reaches the
 * same peer.
 */
static bool is_same_peer(const struct udp *u, const struct udp_flow *uf,
			 const struct listener *l, const struct udp_origin *o)
{
	if (!addr_eq(&uf->peer, &o->peer) || uf->port != o->port)
		return false;
	if (uf->listener == UDP_NO_LISTENER)
		return true;
	return uf->listener == listener_token(u->fwd, l) &&
	       uf->ifindex == o->ifindex &&
	       (addr_is_none(&uf->local) || addr_is_none(&o->local) ||
		addr_eq(&uf->local, &o->local));
}

/* is_over() - Whether a flow can no longer be used: its listener was closed, or
 * its timer is about to end it */
static bool is_over(const struct udp *u, const struct udp_flow *uf,
		    uint64_t now)
{
	return udp_flow_fd(u, uf) < 0 || udp_flow_expires(uf) <= now;
}

/* find_inbound() - Find the flow of a datagram. @key: key that
 * set_inbound_key() has filled. If the datagram has no flow yet, return NULL,
 * and set the peer's port in @key to the port that the guest will see: the
 * first port of visible_port() that no flow in use has, or 0 if there is none.
 * The peer's own port may be in use by another peer that looks the same to the
 * guest */
static struct udp_flow *find_inbound(const struct udp *u,
				     const struct listener *l,
				     const struct udp_origin *o,
				     struct flow_key *key, uint64_t now)
{
	struct udp_flow *uf;
	uint16_t port = 0;
	uint64_t i;

	for (i = 0; i < VISIBLE_PORTS; i++) {
		key->pport = visible_port(u, l, o, i);
		uf = udp_flow_find(u, key);
		if (!uf || is_over(u, uf, now))
			port = port ? port : key->pport;
		else if (is_same_peer(u, uf, l, o))
			return uf;
	}
	key->pport = port;
	return NULL;
}

/**
 * udp_inbound_find() - Find the flow of a datagram that a listener has received
 * or sent
 * @o:		peer, and the host's address that the peer sends to
 *
 * Return: flow, NULL if there is none
 */
struct udp_flow *udp_inbound_find(const struct udp *u, const struct listener *l,
				  const struct udp_origin *o, uint64_t now)
{
	struct flow_key key;

	if (set_inbound_key(u, l, o, &key) != UDP_DROP_NONE)
		return NULL;
	return find_inbound(u, l, o, &key, now);
}

/* open_inbound() - Begin the flow of a datagram, and close a flow that is over
 * and has the same key. Return the flow; or count the datagram as dropped and
 * return NULL */
static struct udp_flow *open_inbound(struct udp *u, const struct listener *l,
				     const struct udp_origin *o,
				     const struct flow_key *key, uint64_t now)
{
	struct udp_flow *uf;

	if (!key->pport) {
		u->count[UDP_ALIKE]++;
		return NULL;
	}
	if (udp_is_own_listener(u, &o->peer, o->port, o->ifindex)) {
		u->count[UDP_OWN]++;
		return NULL;
	}
	uf = udp_flow_find(u, key);
	if (uf)
		udp_flow_close(u, uf);
	uf = udp_flow_accept(u, key, l, o, now);
	if (!uf)
		u->count[UDP_REFUSED]++;
	return uf;
}

/**
 * udp_inbound_get() - Find or begin the flow of a datagram that a listener
 * received
 * @o:		sender and destination of the datagram
 *
 * The flow may be one that the guest has begun. The datagram's source address
 * may be forged, so such a flow keeps its peer, and also its own socket if it
 * has one.
 *
 * Return: flow; NULL if the datagram must be dropped; the drop is then counted
 */
struct udp_flow *udp_inbound_get(struct udp *u, const struct listener *l,
				 const struct udp_origin *o, uint64_t now)
{
	enum udp_counter why;
	struct udp_flow *uf;
	struct flow_key key;

	why = set_inbound_key(u, l, o, &key);
	if (why != UDP_DROP_NONE) {
		u->count[why]++;
		return NULL;
	}
	uf = find_inbound(u, l, o, &key, now);
	return uf ? uf : open_inbound(u, l, o, &key, now);
}
