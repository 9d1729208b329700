/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * mcast_socket.h - The groups that --multicast relays, and their sockets.
 * Called by multicast.c; calls sockets, and reads forwarding rules.
 */
#ifndef UDP_MCAST_SOCKET_H
#define UDP_MCAST_SOCKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "forward/listen.h"
#include "tap.h"

#define UDP_GROUPS	7

/**
 * struct udp_group - A group of one family, and its socket
 * @service:	what it is for
 * @addr, @port: of the group, port in host order
 * @ifindex:	interface outside, 0: none
 * @fd:		socket, -1: it could not be opened
 * @unicast:	@fd has the port on every address, so that answers to the host
 *		itself come in by it; else another program has
 * @guest, @guest_at: address of the guest that last sent from @port by @fd, and
 *		when, ms; none: nobody
 */
struct udp_group {
	const char *service;
	struct in6_addr addr;
	uint16_t port;
	uint32_t ifindex;
	int fd;
	bool unicast;
	struct in6_addr guest;
	uint64_t guest_at;
};

/* RFC 6762 17: 9,000 bytes with all headers; RFC 4795 2.1: 9,194. */
#define UDP_GROUP_LONGEST	9216

/**
 * struct mcast_rx_msg - A datagram from outside
 * @peer, @port: who sent it, port in host order; 0: it can't be answered
 * @dest:	address it was sent to
 * @ifindex:	interface it came in by
 * @ttl, @tos:	of its header
 * @truncated:	it is not longer than what there is room for
 * @len:	bytes of payload
 * @l4:		room for a header, and the payload
 */
struct mcast_rx_msg {
	struct in6_addr peer, dest;
	uint16_t port;
	uint32_t ifindex;
	uint8_t ttl, tos;
	bool truncated;
	size_t len;
	uint8_t l4[8 + UDP_GROUP_LONGEST];
};

void mcast_sock_init(struct udp_group g[UDP_GROUPS], uint32_t if4, uint32_t if6);
int mcast_sock_open(struct udp_group *g, const struct fwd *f);
int mcast_sock_options(int fd, bool v4);
int mcast_sock_send(int fd, const struct fwd_map *m, uint32_t ifindex,
		   const struct pkt *pkt);
int mcast_sock_recv(int fd, struct mcast_rx_msg *a);

#endif /* UDP_MCAST_SOCKET_H */
