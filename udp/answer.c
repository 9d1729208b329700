// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * answer.c - Handles answers that come from another port than the one that the
 * guest asked. A TFTP server uses a new port for each transfer (RFC 1350 4), so
 * a flow to port 69 has a socket that is not connected. A datagram from another
 * port of the same peer begins a flow of its own. The socket of this new flow
 * has the same port of the host as the first socket, and the transfer goes on
 * there.
 */
#include "forward/nat.h"
#include "udp/flow.h"

/* Maximum number of requests of one flow that wait for an answer. */
#define UNANSWERED_MAX	16

/**
 * udp_answer_expect() - Note that the guest has sent @n datagrams through a
 * flow that may be answered from all ports of its peer
 *
 * Each of them allows an answer from one new port. So the peer can't open more
 * flows than the guest has sent requests.
 */
void udp_answer_expect(struct udp_flow *uf, unsigned int n)
{
	uf->unanswered = (uint8_t)MIN(uf->unanswered + n, UNANSWERED_MAX);
}

/* find_asked() - Return the flow in which the guest has asked the sender of a
 * datagram, NULL if there is none. @asked: key of the flow whose socket
 * received the datagram. That flow may be to another peer: flows to several
 * peers share the port, and the kernel may give the datagram to any of their
 * sockets */
static struct udp_flow *find_asked(const struct udp *u,
				   const struct flow_key *asked,
				   const struct udp_origin *o)
{
	struct flow_key key = *asked;
	struct udp_flow *uf = udp_flow_find(u, &key);

	if (!uf || !addr_eq(&uf->peer, &o->peer)) {
		if (!nat_to_guest(u->net, &o->peer, &key.peer))
			return NULL;
		uf = udp_flow_find(u, &key);
	}
	return uf && uf->all_ports && addr_eq(&uf->peer, &o->peer) &&
	       uf->ifindex == o->ifindex ? uf : NULL;
}

/* open_answer() - Begin the flow of an answer from a new port; return the flow,
 * or count the answer as dropped and return NULL */
static struct udp_flow *open_answer(struct udp *u, struct udp_flow *asked,
				    const struct udp_origin *o, uint64_t now)
{
	struct udp_flow *uf;

	if (!asked->unanswered) {
		u->count[UDP_UNASKED]++;
		return NULL;
	}
	if (udp_is_own_listener(u, &o->peer, o->port, o->ifindex)) {
		u->count[UDP_OWN]++;
		return NULL;
	}
	asked->unanswered--;
	if (udp_flow_open_answer(u, asked, o->port, now, &uf)) {
		u->count[UDP_REFUSED]++;
		return NULL;
	}
	u->count[UDP_OPENED]++;
	return uf;
}

/**
 * udp_answer_get() - Find or begin the flow of a datagram that arrived at the
 * socket of a flow with @all_ports
 * @asked:	key of the flow with that socket. It must be a copy, because
 *		this function may evict the flow
 * @o:		sender of the datagram
 *
 * Return: flow; NULL if the datagram must be dropped. This function has then
 *	   counted the drop
 */
struct udp_flow *udp_answer_get(struct udp *u, const struct flow_key *asked,
				const struct udp_origin *o, uint64_t now)
{
	struct udp_flow *from = find_asked(u, asked, o), *uf;
	struct flow_key key;

	if (!from) {
		u->count[UDP_UNASKED]++;
		return NULL;
	}
	key = from->flow.key;
	key.pport = o->port;
	uf = udp_flow_find(u, &key);
	if (!uf)
		return open_answer(u, from, o, now);
	if (addr_eq(&uf->peer, &o->peer) && uf->port == o->port)
		return uf;
	u->count[UDP_ALIKE]++;
	return NULL;
}
