// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * ports.c - Which forwarded port's socket sends for a port of the guest.
 * Called by flow.c; reads the listeners.
 *
 * A port that is forwarded is taken on the host, so a socket bound to it can't
 * be had, and what the guest sends from there would have a source that nobody
 * expects: a peer of its VPN, of its telephone, whoever it answers late. So it
 * leaves by the socket that has the port, from which answers come in as well.
 */
#include <stdlib.h>

#include "udp/flow.h"

#define PORTS	65536

/**
 * can_send() - Whether a forwarded port can send to anybody
 * @r:		its rule: it has to be of UDP, and bound to no address or
 *		interface that a destination may not be reached from
 */
static bool can_send(const struct fwd_rule *r)
{
	return r->proto == IPPROTO_UDP && addr_is_none(&r->addr) && !*r->ifname;
}

/* index_ports() - Index + 1 of the listener for each port, 0: none; or NULL */
static uint32_t *index_ports(const struct fwd *f)
{
	uint32_t *ports = calloc(PORTS, sizeof(*ports)), *port;
	unsigned int i;

	if (!ports)
		return NULL;
	for (i = 0; i < f->nlisteners; i++) {
		if (!can_send(&f->rules[f->listeners[i].rule]))
			continue;
		port = &ports[fwd_guest_port(f, &f->listeners[i])];
		if (!*port)
			*port = i + 1;
	}
	return ports;
}

/**
 * udp_port_listener() - The listener that can send for a flow of the guest
 * @u:		UDP
 * @key:	of the flow
 *
 * Return: index, UDP_NO_LISTENER if there is none
 */
uint32_t udp_port_listener(struct udp *u, const struct flow_key *key)
{
	const struct fwd *f = u->fwd;
	const struct in6_addr *target;
	uint32_t n;

	/* A listener is not bound to the interface flows are to leave by. */
	if (!f->nlisteners ||
	    *(addr_is_v4(&key->remote) ? f->map.if4 : f->map.if6))
		return UDP_NO_LISTENER;
	if (!u->ports)
		u->ports = index_ports(f);
	n = u->ports ? u->ports[key->gport] : 0;
	if (!n)
		return UDP_NO_LISTENER;

	target = &f->rules[f->listeners[n - 1].rule].target;
	if (!addr_is_none(target) && !addr_eq(target, &key->guest))
		return UDP_NO_LISTENER;
	return n - 1;
}
