// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * mcast_socket.c - The groups that --multicast relays, and their sockets: opened,
 * sent by, received from.
 * Called by multicast.c; calls sockets, and reads forwarding rules.
 *
 * A group's socket has the port of its service, from which many services want
 * to be answered, and shares it with whoever else on the host takes part: it
 * never takes from a responder of the host what is sent to that. If there is
 * none, the socket is bound to no address, and hears unicast answers as well;
 * otherwise to the group's address, and hears nothing else.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "udp/mcast_socket.h"

/* Address, TTL and type of service, of either family. */
#define CONTROL		(CMSG_SPACE(sizeof(struct in6_pktinfo)) + \
			 2 * CMSG_SPACE(sizeof(int)))

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
 * mcast_sock_init() - The groups, without sockets
 * @g:		filled
 * @if4, @if6:	interface outside for each family
 */
void mcast_sock_init(struct udp_group g[UDP_GROUPS], uint32_t if4, uint32_t if6)
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

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/**
 * ignore_host() - Don't hear what the host itself sends to groups
 * @fd:		socket
 *
 * Nor does the host hear the guest (IP_MULTICAST_LOOP). They have one address:
 * each would see the other claim it, and one's names lead the other to itself.
 *
 * Return: as setsockopt()
 */
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
			  sizeof(prog));
}

/**
 * mcast_sock_options() - What sockets for groups have in common
 * @fd:		socket, not bound to a port yet, or to one that was free
 * @v4:		it is of IPv4
 *
 * It hears its own groups only, not all that somebody on the host has joined
 * (ip(7); for IPv6 since Linux 4.20, before that they are told apart when they
 * come), and is told where a datagram went to, and with what header. It is not
 * told of errors: there are none about what went to many (RFC 1122 3.2.2).
 *
 * Return: 0, or -errno
 */
int mcast_sock_options(int fd, bool v4)
{
	if (v4) {
		if (set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0) ||
		    set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) ||
		    set_int(fd, IPPROTO_IP, IP_PKTINFO, 1) ||
		    set_int(fd, IPPROTO_IP, IP_RECVTTL, 1) ||
		    set_int(fd, IPPROTO_IP, IP_RECVTOS, 1) ||
		    set_int(fd, IPPROTO_IP, IP_RECVERR, 0))
			return -errno;
		return 0;
	}
	set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
	if (set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0) ||
	    set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) ||
	    set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) ||
	    set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1) ||
	    set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 0))
		return -errno;
	return 0;
}

/**
 * share() - Whether the group's port may be bound beside forwarded ones
 * @f:		for the forwarded ports
 * @g:		group
 * @on:		allow it, or not any longer: others must not get in
 *
 * A forwarded port does not hear groups by itself: see listen.c.
 */
static void share(const struct fwd *f, const struct udp_group *g, bool on)
{
	const struct listener *l;
	unsigned int i;

	for (i = 0; i < f->nlisteners; i++) {
		l = &f->listeners[i];
		if (l->port != g->port ||
		    f->rules[l->rule].proto != IPPROTO_UDP)
			continue;
		set_int(l->fd, SOL_SOCKET, SO_REUSEADDR, on);
	}
}

/* bind_to() - Bind to the group's port on an address; 0 or -errno */
static int bind_to(int fd, const struct udp_group *g,
		   const struct in6_addr *addr)
{
	union sockaddr_any sa;
	socklen_t len = sockaddr_set(&sa, addr, g->port, g->ifindex);

	return bind(fd, &sa.sa, len) ? -errno : 0;
}

/**
 * bind_group() - Take the group's port, as a whole or as one of several
 * @fd:		socket
 * @g:		group; @unicast is set
 * @f:		for the forwarded ports
 *
 * Once bound, others may bind too: what comes later than us has precedence for
 * what is sent to the host itself (Linux: the last that was bound).
 *
 * Return: 0, or -errno
 */
static int bind_group(int fd, struct udp_group *g, const struct fwd *f)
{
	struct in6_addr any4 = addr_from_v4((struct in_addr){ INADDR_ANY });
	int rc;

	g->unicast = !bind_to(fd, g, addr_is_v4(&g->addr) ? &any4 :
							    &in6addr_any);
	if (set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1))
		return -errno;
	if (g->unicast)
		return 0;

	share(f, g, true);
	rc = bind_to(fd, g, &g->addr);
	share(f, g, false);
	return rc;
}

/* join() - Become a member on the outside interface; 0 or -errno */
static int join(int fd, const struct udp_group *g)
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
 * mcast_sock_open() - A socket that hears a group, and sends from its port
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
	fd = socket(addr_family(&g->addr),
		    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd < 0)
		return -errno;

	if ((!v4 && set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) ||
	    ignore_host(fd))
		rc = -errno;
	else
		rc = mcast_sock_options(fd, v4);
	if (!rc)
		rc = bind_group(fd, g, f);
	if (!rc)
		rc = join(fd, g);
	if (rc) {
		close(fd);
		return rc;
	}
	g->fd = fd;
	return 0;
}

/**
 * struct departure - A message to outside
 * @msg:	for sendmsg()
 * @to:		where to
 * @control:	interface, source address, TTL, type of service
 */
struct departure {
	struct msghdr msg;
	union sockaddr_any to;
	union {
		char buf[CONTROL];
		struct cmsghdr align;
	} control;
};

/* put_control() - One more control message */
static void put_control(struct departure *d, int level, int type,
			const void *data, size_t len)
{
	struct cmsghdr *c;

	c = (struct cmsghdr *)(d->control.buf + d->msg.msg_controllen);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	d->msg.msg_controllen += CMSG_SPACE(len);
}

/* put_path4() - Source, interface, TTL and type of service over IPv4 */
static void put_path4(struct departure *d, const struct fwd_map *m,
		      uint32_t ifindex, const struct pkt *pkt)
{
	struct in_pktinfo info = {
		.ipi_ifindex = (int)ifindex, .ipi_spec_dst = addr_v4(&m->out4),
	};
	int ttl = pkt->ttl, tos = pkt->tos;

	put_control(d, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	put_control(d, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	put_control(d, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
}

/* put_path6() - Likewise over IPv6 */
static void put_path6(struct departure *d, const struct fwd_map *m,
		      uint32_t ifindex, const struct pkt *pkt)
{
	struct in6_pktinfo info = {
		.ipi6_ifindex = ifindex, .ipi6_addr = m->out6,
	};
	int ttl = pkt->ttl, tos = pkt->tos;

	put_control(d, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	put_control(d, IPPROTO_IPV6, IPV6_HOPLIMIT, &ttl, sizeof(ttl));
	put_control(d, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
}

/**
 * mcast_sock_send() - Send a datagram of the guest
 * @fd:		socket
 * @m:		for our source address
 * @ifindex:	interface to send by, 0: as the host's routes say
 * @pkt:	datagram: where to, its header and payload
 *
 * Return: 0, or -errno
 */
int mcast_sock_send(int fd, const struct fwd_map *m, uint32_t ifindex,
		   const struct pkt *pkt)
{
	struct departure d = {
		.msg = {
			.msg_name = &d.to, .msg_control = &d.control,
			.msg_iov = pkt->iov, .msg_iovlen = pkt->iovcnt,
		},
	};

	d.msg.msg_namelen = sockaddr_set(&d.to, &pkt->dst, pkt->dport, ifindex);
	if (addr_is_v4(&pkt->dst))
		put_path4(&d, m, ifindex, pkt);
	else
		put_path6(&d, m, ifindex, pkt);
	return sendmsg(fd, &d.msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno :
								      0;
}

/* read_control() - Destination, interface, TTL, type of service of a message */
static void read_control(struct msghdr *m, struct udp_arrival *a)
{
	struct in6_pktinfo info6;
	struct in_pktinfo info4;
	struct cmsghdr *c;
	int value;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		bool v4 = c->cmsg_level == IPPROTO_IP;

		if (v4 && c->cmsg_type == IP_PKTINFO) {
			memcpy(&info4, CMSG_DATA(c), sizeof(info4));
			a->dest = addr_from_v4(info4.ipi_addr);
			a->ifindex = (uint32_t)info4.ipi_ifindex;
		} else if (v4 && c->cmsg_type == IP_TOS) {
			a->tos = *CMSG_DATA(c);
		} else if (!v4 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info6, CMSG_DATA(c), sizeof(info6));
			a->dest = info6.ipi6_addr;
			a->ifindex = info6.ipi6_ifindex;
		} else if (c->cmsg_len >= CMSG_LEN(sizeof(value))) {
			memcpy(&value, CMSG_DATA(c), sizeof(value));
			if (c->cmsg_type == (v4 ? IP_TTL : IPV6_HOPLIMIT))
				a->ttl = (uint8_t)value;
			else if (!v4 && c->cmsg_type == IPV6_TCLASS)
				a->tos = (uint8_t)value;
		}
	}
}

/**
 * mcast_sock_recv() - Receive a datagram
 * @fd:		socket
 * @a:		filled
 *
 * Return: 0, or -errno, -EAGAIN if there is none
 */
int mcast_sock_recv(int fd, struct udp_arrival *a)
{
	union sockaddr_any from;
	union {
		char buf[CONTROL];
		struct cmsghdr align;
	} control;
	struct iovec iov = {
		a->l4 + sizeof(a->l4) - UDP_GROUP_LONGEST, UDP_GROUP_LONGEST,
	};
	struct msghdr m = {
		.msg_name = &from, .msg_namelen = sizeof(from),
		.msg_control = &control, .msg_controllen = sizeof(control),
		.msg_iov = &iov, .msg_iovlen = 1,
	};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	memset(a, 0, offsetof(struct udp_arrival, l4));
	a->len = (size_t)n;
	a->whole = !(m.msg_flags & MSG_TRUNC);
	sockaddr_get(&from, &a->peer, &a->port);
	read_control(&m, a);
	return 0;
}
