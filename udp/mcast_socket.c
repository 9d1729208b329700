// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * mcast_socket.c - Sockets of the groups that --multicast relays: opened, sent
 * by, read from.
 *
 * A group's socket has the port of its service, from which many services want
 * to be answered, and shares it with all programs of the host that take part:
 * it never takes what is sent to a responder of the host. If there is none, the
 * socket is bound to no address, and receives unicast answers as well;
 * otherwise to the group's address, and receives nothing else.
 */
/* syscalls: close recvmsg sendmsg setsockopt */
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sock.h"
#include "udp/mcast_socket.h"

static const struct {
	const char *service, *addr;
	uint16_t port;
} groups[UDP_GROUPS] = {
	{ "mDNS", "224.0.0.251", 5353 },	/* RFC 6762 3 */
	{ "mDNS", "ff02::fb", 5353 },
	{ "SSDP", "239.255.255.250", 1900 },	/* UPnP 2.0, 1.1.2, annex A */
	{ "SSDP", "ff02::c", 1900 },
	{ "SSDP", "ff05::c", 1900 },
	{ "LLMNR", "224.0.0.252", 5355 },	/* RFC 4795 2 */
	{ "LLMNR", "ff02::1:3", 5355 },
};

/**
 * mcast_sock_init() - List the groups, without sockets
 * @g:		filled
 * @if4, @if6:	index of the host's interface for each family
 */
void mcast_sock_init(struct udp_group g[UDP_GROUPS], uint32_t if4,
		     uint32_t if6)
{
	unsigned int i;

	for (i = 0; i < UDP_GROUPS; i++) {
		g[i] = (struct udp_group){
			.service = groups[i].service,
			.port = groups[i].port, .fd = -1,
		};
		addr_parse(groups[i].addr, &g[i].addr);
		g[i].ifindex = addr_is_v4(&g[i].addr) ? if4 : if6;
	}
}

/* ignore_host() - Don't receive what the host itself sends to groups, nor does
 * the host receive what the guest sends (IP_MULTICAST_LOOP). They have one
 * address: each would see the other claim it, and the names of one lead the
 * other to itself; 0 or -errno */
static int ignore_host(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_LOOPBACK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
			  sizeof(prog)) ? -errno : 0;
}

/**
 * mcast_sock_options() - Set what sockets for groups have in common
 * @fd:		socket, not bound to a port yet, or to one that was free
 * @v4:		it is of IPv4
 *
 * It receives its own groups only, and not all that any program of the host has
 * joined (ip(7); for IPv6 since Linux 4.20, so mcast.c compares the
 * destination, too), and is told destination and header fields of each
 * datagram. It is not told of errors: no host sends any about a group (RFC 1122
 * 3.2.2).
 *
 * Return: 0, or -errno
 */
int mcast_sock_options(int fd, bool v4)
{
	static const struct {
		enum sock_ip_option option;
		int value;
	} set[] = {
		{ SOCK_IP_MULTICAST_LOOP, 0 }, { SOCK_IP_MULTICAST_ALL, 0 },
		{ SOCK_IP_PKTINFO, 1 }, { SOCK_IP_RECVTTL, 1 },
		{ SOCK_IP_RECVTOS, 1 }, { SOCK_IP_RECVERR, 0 },
	};
	unsigned int i;
	int rc;

	for (i = 0; i < ARRAY_SIZE(set); i++) {
		rc = sock_set_ip(fd, v4, set[i].option, set[i].value);
		if (rc && (v4 || set[i].option != SOCK_IP_MULTICAST_ALL))
			return rc;
	}
	return 0;
}

/* allow_reuse() - Let the group's port be bound beside forwarded ones, or no
 * longer: foreign sockets must not get in. A forwarded port does not receive
 * groups by itself, see forward/listen.c */
static void allow_reuse(const struct fwd *f, const struct udp_group *g, bool on)
{
	const struct listener *l = NULL;

	while ((l = fwd_next_listener(f, l))) {
		if (l->port == g->port && l->proto == IPPROTO_UDP)
			sock_set(l->fd, SOL_SOCKET, SO_REUSEADDR, on);
	}
}

/**
 * bind_group() - Take the port on all addresses, or on the group's alone
 * @g:		group; @unicast is set
 * @f:		for the forwarded ports
 *
 * After it is bound, others may bind the port too, and a later socket than ours
 * has precedence for what is sent to the host itself (Linux: the last bound).
 *
 * Return: 0, or -errno
 */
static int bind_group(int fd, struct udp_group *g, const struct fwd *f)
{
	struct in6_addr any4 = addr_from_v4((struct in_addr){ INADDR_ANY });
	int rc;

	g->unicast = !sock_bind(fd, addr_is_v4(&g->addr) ? &any4 : &in6addr_any,
				g->port, g->ifindex);
	rc = sock_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (rc || g->unicast)
		return rc;

	allow_reuse(f, g, true);
	rc = sock_bind(fd, &g->addr, g->port, g->ifindex);
	allow_reuse(f, g, false);
	return rc;
}

/* join_group() - Become a member on the host's interface; 0 or -errno */
static int join_group(int fd, const struct udp_group *g)
{
	struct ipv6_mreq m6 = {
		.ipv6mr_multiaddr = g->addr, .ipv6mr_interface = g->ifindex,
	};
	struct ip_mreqn m4 = {
		.imr_multiaddr = addr_v4(&g->addr),
		.imr_ifindex = (int)g->ifindex,
	};
	int rc;

	if (addr_is_v4(&g->addr))
		rc = setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m4,
				sizeof(m4));
	else
		rc = setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m6,
				sizeof(m6));
	return rc ? -errno : 0;
}

/**
 * mcast_sock_open() - Open a socket to receive a group, and send from its port
 * @g:		group; @fd and @unicast are set on success
 * @f:		for the forwarded ports
 *
 * Return: 0, or -errno
 */
int mcast_sock_open(struct udp_group *g, const struct fwd *f)
{
	bool v4 = addr_is_v4(&g->addr);
	int fd, rc;

	if (!g->ifindex)
		return -ENODEV;
	fd = sock_open(addr_family(&g->addr), SOCK_DGRAM, IPPROTO_UDP);
	if (fd < 0)
		return fd;

	rc = v4 ? 0 : sock_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!rc)
		rc = ignore_host(fd);
	if (!rc)
		rc = mcast_sock_options(fd, v4);
	if (!rc)
		rc = bind_group(fd, g, f);
	if (!rc)
		rc = join_group(fd, g);
	if (rc) {
		close(fd);
		return rc;
	}
	g->fd = fd;
	return 0;
}

/**
 * mcast_sock_send() - Send a datagram of the guest
 * @n:		for our source address
 * @ifindex:	interface to send by, 0: by the host's routes
 * @pkt:	datagram: destination, header fields and payload
 *
 * Return: 0, or -errno
 */
int mcast_sock_send(int fd, const struct net *n, uint32_t ifindex,
		    const struct pkt *pkt)
{
	bool v4 = addr_is_v4(&pkt->dst);
	struct sock_tx_info info = {
		.local = n->source[addr_ip(&pkt->dst)], .ifindex = ifindex,
		.ttl = pkt->ttl, .tos = pkt->tos,
	};
	union sock_control control;
	union sockaddr_any to;
	struct msghdr msg = {
		.msg_name = &to, .msg_control = &control,
		.msg_iov = pkt->iov, .msg_iovlen = pkt->iovcnt,
	};

	msg.msg_namelen = sockaddr_set(&to, &pkt->dst, pkt->dport, ifindex);
	msg.msg_controllen = sock_cmsg_put_info(&control, v4, &info);
	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/**
 * mcast_sock_recv() - Read a datagram
 * @msg:	filled
 *
 * Return: 0, or -errno, -EAGAIN if there is none
 */
int mcast_sock_recv(int fd, struct mcast_rx_msg *msg)
{
	union sockaddr_any from;
	union sock_control control;
	struct iovec iov = {
		msg->l4 + sizeof(msg->l4) - UDP_GROUP_LONGEST,
		UDP_GROUP_LONGEST,
	};
	struct msghdr m = {
		.msg_name = &from, .msg_namelen = sizeof(from),
		.msg_control = &control, .msg_controllen = sizeof(control),
		.msg_iov = &iov, .msg_iovlen = 1,
	};
	struct sock_rx_info info;
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	memset(msg, 0, offsetof(struct mcast_rx_msg, l4));
	msg->len = (size_t)n;
	msg->truncated = m.msg_flags & MSG_TRUNC;
	sockaddr_get(&from, &msg->peer, &msg->port);
	sock_cmsg_read(&m, &info);
	msg->dest = info.dest;
	msg->ifindex = info.ifindex;
	msg->ttl = info.ttl;
	msg->tos = info.tos;
	return 0;
}
