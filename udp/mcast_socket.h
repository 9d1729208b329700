/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * mcast_socket.h - The groups that --multicast relays, and their sockets.
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
 * @service:	name of the service
 * @addr, @port: of the group, port in host order
 * @ifindex:	the host's interface, 0: none
 * @fd:		socket, -1: it could not be opened
 * @unicast:	@fd has the port on every address, so it also receives answers
 *		to the host; else another program does
 * @guest, @guest_at: guest's address that last sent from @port by @fd, none: no
 *		such address; and when, ms
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
 * struct mcast_rx_msg - A received datagram
 * @peer, @port: its sender, port in host order; 0: it can't be answered
 * @dest:	its destination
 * @ifindex:	interface that it arrived on
 * @ttl, @tos:	of its IP header
 * @truncated:	it was longer than UDP_GROUP_LONGEST
 * @len:	bytes of payload
 * @l4:		space for a UDP header, and the payload
 */
struct mcast_rx_msg {
	struct in6_addr peer, dest;
	uint16_t port;
	uint32_t ifindex;
	uint8_t ttl, tos;
	bool truncated;
	size_t len;
	uint8_t l4[UDP_HLEN + UDP_GROUP_LONGEST];
};

void mcast_sock_init(struct udp_group g[UDP_GROUPS], uint32_t if4,
		     uint32_t if6);
int mcast_sock_open(struct udp_group *g, const struct fwd *f);
int mcast_sock_options(int fd, bool v4);
int mcast_sock_send(int fd, const struct net *n, uint32_t ifindex,
		    const struct pkt *pkt);
int mcast_sock_recv(int fd, struct mcast_rx_msg *a);

#endif /* UDP_MCAST_SOCKET_H */
