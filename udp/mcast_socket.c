// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * mcast_socket.c - Opens the sockets of the groups that --multicast relays, and
 * sends and receives through them.
 *
 * A group's socket is bound to the port of its service, because many services
 * expect answers from and to that port. The socket shares the port with all
 * programs on the host that take part in the service, and does not take away
 * unicast datagrams from them. If no program on the host has the port yet, the
 * socket is bound to all addresses, and also receives unicast answers.
 * Otherwise, the socket is bound to the group's address, and receives only
 * datagrams for the group.
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
 * mcast_sock_init() - Fill in the list of groups, which have no sockets yet
 * @g:		list to fill in
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

/* ignore_host() - Make a socket ignore datagrams that the host itself sends to
 * a group. IP_MULTICAST_LOOP is off as well, so that the host does not receive
 * the guest's datagrams. Host and guest have the same address. If each received
 * the other's datagrams, each would see the other claim this address, and the
 * other's name would lead back to itself. Return 0 or -errno */
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
 * mcast_sock_options() - Set the options of a socket that sends to or receives
 * from groups
 * @fd:		socket, which is not bound, or was bound to a port that was free
 * @v4:		@fd is an IPv4 socket
 *
 * The socket receives only datagrams for groups that it has joined itself, and
 * not for all groups that any program on the host has joined: IP_MULTICAST_ALL
 * is off (ip(7)). For IPv6, Linux has this option since 4.20, so mcast.c also
 * compares the destination. The kernel reports the destination and header
 * fields of each datagram. The socket has no error queue, because no host sends
 * ICMP errors about a datagram to a group (RFC 1122 3.2.2).
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

/* allow_reuse() - Switch SO_REUSEADDR on or off for the listeners that have the
 * group's port. It is on only during the bind() of the group's socket, so that
 * no foreign socket can share a forwarded port. Listeners do not receive
 * datagrams for groups, see forward/listen.c */
static void allow_reuse(const struct fwd *f, const struct udp_group *g, bool on)
{
	const struct listener *l = NULL;

	while ((l = fwd_next_listener(f, l))) {
		if (l->port == g->port && l->proto == IPPROTO_UDP)
			sock_set(l->fd, SOL_SOCKET, SO_REUSEADDR, on);
	}
}

/**
 * bind_group() - Bind a socket to the group's port on all addresses, or if
 * another socket has that port, on the group's address
 * @g:		group; this function sets @g->unicast
 * @f:		list of the listeners
 *
 * After that, other programs can bind the port, too. They then get the unicast
 * datagrams to the host, because Linux delivers these to the socket that was
 * bound last.
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

/* join_group() - Join the group on its interface; return 0 or -errno */
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
 * mcast_sock_open() - Open a socket that receives datagrams for a group, and
 * sends from the group's port
 * @g:		group; @fd and @unicast are set on success
 * @f:		list of the listeners
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
 * @n:		network, which says which source address to use
 * @ifindex:	interface to send through, 0: by the host's routes
 * @pkt:	packet of the guest; its destination, TTL, type of service and
 *		payload are used
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
 * Return: 0, or -errno; -EAGAIN if the socket has no datagram
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
