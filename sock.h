/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * sock.h - Socket options, control messages, error queues and bound sockets. No
 * other file has to know which of these have different names for IPv4 and for
 * IPv6. A leaf: it holds no state, calls only util.c and libc, and any other
 * module may call it.
 */
#ifndef SOCK_H
#define SOCK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "util.h"

/* How many bytes are kept of a packet that an ICMP error quotes. An error to
 * the guest quotes no more, because it is not longer than IPv6's minimum MTU
 * (RFC 4443 2.4 (c)). */
#define SOCK_ERROR_DATA		1280

/* Options that exist for IPv4 and for IPv6. */
enum sock_ip_option {
	SOCK_IP_TTL,		/* TTL of unicast packets; IPv6: hop limit */
	SOCK_IP_TOS,		/* type of service; IPv6: traffic class */
	SOCK_IP_RECVTTL,	/* tell the TTL of received packets */
	SOCK_IP_RECVTOS,	/* tell the type of service of received
				 * packets */
	SOCK_IP_RECVERR,	/* keep an error queue */
	SOCK_IP_PKTINFO,	/* tell the destination and interface of
				 * received packets */
	SOCK_IP_MULTICAST_LOOP,	/* let the host receive the multicasts that
				 * this socket sends */
	SOCK_IP_MULTICAST_ALL,	/* receive groups that any program joined; for
				 * IPv6, Linux has it since 4.20 */
};

/* What the kernel does with a packet that is longer than the path's MTU. */
enum sock_df {
	SOCK_DF_PROBE,	/* send the packet with DF; but if it is longer than the
			 * MTU of the interface, fail (EMSGSIZE) */
	SOCK_DF_DONT,	/* fragment the packet: IP_PMTUDISC_DONT for IPv4,
			 * IPV6_PMTUDISC_DONT for IPv6 */
	SOCK_DF_WANT,	/* fragment the packet: IP_PMTUDISC_DONT for IPv4,
			 * IPV6_PMTUDISC_WANT for IPv6 */
};

/**
 * struct sock_source - Address and interface to bind a socket to
 * @family:	AF_INET or AF_INET6
 * @addr:	source address, of @family; none: the kernel chooses
 * @ifname:	interface, empty: any
 * @scope:	interface index for a link-local @addr, 0: none
 */
struct sock_source {
	int family;
	struct in6_addr addr;
	const char *ifname;
	uint32_t scope;
};

/* Space for the control messages of one message: the destination as IPv4 and as
 * IPv6 (an IPv6 socket that receives IPv4 reports both), TTL, type of service
 * and segment size. */
union sock_control {
	char buf[CMSG_SPACE(sizeof(struct in_pktinfo)) +
		 CMSG_SPACE(sizeof(struct in6_pktinfo)) +
		 3 * CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/**
 * struct sock_tx_info - Source address, interface and header fields of a
 * message to send
 * @local:	source address, none: the kernel chooses
 * @ifindex:	interface to send through, 0: by the host's routes
 * @ttl:	TTL or hop limit
 * @tos:	type of service or traffic class
 */
struct sock_tx_info {
	struct in6_addr local;
	uint32_t ifindex;
	uint8_t ttl, tos;
};

/**
 * struct sock_rx_info - What the kernel says about a received message
 * @ttl, @tos:	TTL and type of service of its IP header, 0: not known
 * @segment:	bytes of each datagram in the message but the last (UDP_GRO); 0:
 *		the message is one datagram
 * @ifindex:	interface that the message arrived on, 0: not known
 * @dest:	destination address of its IP header, none: not known
 * @local:	unicast address of the host that an answer may have as its
 *		source; none: not known, or @dest is an IPv6 group
 */
struct sock_rx_info {
	uint8_t ttl, tos;
	uint32_t segment;
	uint32_t ifindex;
	struct in6_addr dest, local;
};

/**
 * struct sock_error - An entry of a socket's error queue
 * @error:	errno, positive
 * @from_network: an ICMP message caused the error; false: the host's kernel
 *		refused to send, and the system call failed with @error
 * @type, @code: type and code of the ICMP message, which is of the same IP
 *		version as @dest
 * @ttl:	TTL or hop limit that the ICMP message arrived with, 0: not
 *		known (the socket does not have SOCK_IP_RECVTTL)
 * @info:	if our packet was too long, the MTU, 0: not known; if it had a
 *		parameter problem, the pointer, in bytes
 * @from:	source address of the ICMP message, none: not known
 * @dest, @port: destination of our packet, port in host order
 * @local:	source address of our packet, none: not known (the socket does
 *		not have SOCK_IP_PKTINFO, or the host's kernel refused to send)
 * @ifindex:	interface of a link-local @dest, else 0
 * @data:	bytes of our packet that the ICMP message quotes. UDP sockets:
 *		the payload. Ping and TCP sockets: the transport header and the
 *		payload
 * @len:	number of bytes in @data
 */
struct sock_error {
	int error;
	bool from_network;
	uint8_t type, code;
	uint8_t ttl;
	uint32_t info;
	struct in6_addr from, dest, local;
	uint16_t port;
	uint32_t ifindex;
	uint8_t data[SOCK_ERROR_DATA];
	size_t len;
};

int sock_set(int fd, int level, int option, int value);
int sock_set_ip(int fd, bool v4, enum sock_ip_option option, int value);
void sock_set_df(int fd, bool v4, enum sock_df df);
void sock_set_reports(int fd, bool v4, bool v6);
void sock_set_bulk(int fd);

int sock_open(int family, int type, int proto);
int sock_open_bound(const struct sock_source *src, int type, int proto,
		    uint16_t *port, bool share);
int sock_bind(int fd, const struct in6_addr *addr, uint16_t port,
	      uint32_t scope);
int sock_device(int fd, char *ifname);
uint32_t sock_ifindex(const char *ifname);
bool sock_ifname(uint32_t ifindex, char *ifname);
int sock_bind_device(int fd, const char *ifname);
bool sock_addr_is_own(const struct in6_addr *addr, uint32_t scope);
bool sock_name(int fd, struct in6_addr *addr, uint16_t *port);

ssize_t sock_recv(int fd, void *buf, size_t len, int flags);
ssize_t sock_send(int fd, const void *data, size_t len, int flags);

size_t sock_cmsg_put(union sock_control *c, size_t len, int level, int type,
		     const void *data, size_t size);
size_t sock_cmsg_put_info(union sock_control *c, bool v4,
			  const struct sock_tx_info *info);
void sock_cmsg_read(struct msghdr *m, struct sock_rx_info *info);

bool sock_next_error(int fd, struct sock_error *e);
bool sock_lacks_resource(int rc);
void sock_clear_error(int fd);

#endif /* SOCK_H */
