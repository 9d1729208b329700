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
 * struct udp_group - A multicast group of one service, and its socket
 * @service:	name of the service
 * @addr, @port: address and port of the group, port in host order
 * @ifindex:	the host's interface on which the group is joined, 0: none
 * @fd:		socket that receives datagrams for the group, -1: it could not
 *		be opened
 * @unicast:	@fd is bound to all addresses, so it also receives unicast
 *		answers to the host; false: another socket on the host has the
 *		port, and @fd is bound to the group's address
 * @guest, @guest_at: source address of the guest's last datagram that was sent
 *		through @fd, and when that was, ms; none: there was no such
 *		datagram
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

/* Longest payload that is relayed. mDNS messages have up to 9,000 bytes with
 * all headers (RFC 6762 17), LLMNR messages up to 9,194 (RFC 4795 2.1). */
#define UDP_GROUP_LONGEST	9216

/**
 * struct mcast_rx_msg - A datagram that a multicast socket has received
 * @peer, @port: the sender's real address, and port in host order; @port is 0
 *		if the datagram can't be answered
 * @dest:	destination address
 * @ifindex:	interface that the datagram arrived on
 * @ttl, @tos:	TTL and type of service of the IP header
 * @truncated:	the datagram was longer than UDP_GROUP_LONGEST
 * @len:	bytes of payload
 * @l4:		space for a UDP header, followed by the payload
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
int mcast_sock_recv(int fd, struct mcast_rx_msg *msg);

#endif /* UDP_MCAST_SOCKET_H */
