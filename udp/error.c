// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * error.c - Errors about datagrams of the guest, from the error queues of
 * sockets (IP_RECVERR in ip(7)). Each error is assigned to its flow.
 */
#include <errno.h>

#include "udp/flow.h"

/* relay_udp_error() - Tell the guest of an error about a datagram of a flow,
 * unless another resolver will be asked instead */
static void relay_udp_error(struct udp *u, struct udp_flow *uf,
			    const struct sock_error *e, uint64_t now)
{
	struct icmp_quote q = {
		.key = &uf->flow.key, .ttl = uf->ttl, .tos = uf->tos,
		.df = uf->df,
	};

	if (!uf->dns || !udp_dns_error(u, uf, e->error))
		icmp_error_relay(u->errors, e, &q, now);
}

/* find_error_flow() - Return the flow of the datagram that caused an error at
 * the socket of a listener, or NULL */
static struct udp_flow *find_error_flow(const struct udp *u,
					const struct listener *l,
					const struct sock_error *e,
					uint64_t now)
{
	struct udp_origin o = {
		.peer = e->dest, .port = e->port, .local = e->local,
		.ifindex = e->ifindex,
	};

	return udp_inbound_find(u, l, &o, now);
}

/**
 * udp_drain_errors() - Empty a socket's error queue, and tell the guest of
 * errors that came from the network
 * @uf:		flow that owns the socket; NULL: the socket belongs to @l
 *
 * Errors of the host's own kernel are not relayed here: the failed system call
 * has returned them, and the caller of that system call tells the guest.
 *
 * Return: the MTU, if the last error of the host's own kernel was EMSGSIZE;
 *	   else 0
 */
uint32_t udp_drain_errors(struct udp *u, int fd, struct udp_flow *uf,
			  const struct listener *l, uint64_t now)
{
	struct udp_flow *of;
	struct sock_error e;
	uint32_t mtu = 0;
	unsigned int i;

	for (i = 0; i < UDP_BATCH && sock_next_error(fd, &e); i++) {
		if (!e.from_network) {
			mtu = e.error == EMSGSIZE ? e.info : 0;
			continue;
		}
		of = uf ? uf : find_error_flow(u, l, &e, now);
		if (of && addr_eq(&of->peer, &e.dest) && of->port == e.port)
			relay_udp_error(u, of, &e, now);
	}
	return mtu;
}

/* udp_drain_sender() - Empty the error queue of the socket that a flow sends
 * from, which may be a listener's. Return the MTU, if the last error of the
 * host's own kernel was EMSGSIZE; else 0 */
uint32_t udp_drain_sender(struct udp *u, struct udp_flow *uf, uint64_t now)
{
	int fd = udp_flow_fd(u, uf);

	if (uf->listener == UDP_NO_LISTENER)
		return udp_drain_errors(u, fd, uf, NULL, now);
	return udp_drain_errors(u, fd, NULL,
				fwd_listener_from_token(u->fwd, uf->listener),
				now);
}
