// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * sock.c - Socket options, control messages, error queues and bound sockets.
 * A leaf: see sock.h.
 */
/* syscalls: bind close connect getsockname getsockopt ioctl recvmsg sendmsg
 *	     setsockopt socket */
#include <errno.h>
#include <time.h>
#include <linux/errqueue.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sock.h"

/* Size of the receive buffer to ask for. It holds the datagrams that a sender
 * at 10 Gbit/s sends in 2 ms, with the overhead that the kernel counts. Most
 * hosts allow less (net.core.rmem_max). */
#define BULK_BUFFER	(4 * 1024 * 1024)

/* Bytes for the control messages of an error queue entry. These are all control
 * messages that the socket has enabled for received datagrams, and then the
 * error itself. */
#define ERROR_CONTROL	512

/**
 * struct extended_error - Data of the control message IP_RECVERR or
 * IPV6_RECVERR
 * @e:		the error
 * @from:	address of the ICMP message's sender: SO_EE_OFFENDER(@e)
 */
struct extended_error {
	struct sock_extended_err e;
	union sockaddr_any from;
};

static const struct {
	int v4, v6;
} ip_option[] = {
	[SOCK_IP_TTL]		= { IP_TTL, IPV6_UNICAST_HOPS },
	[SOCK_IP_TOS]		= { IP_TOS, IPV6_TCLASS },
	[SOCK_IP_RECVTTL]	= { IP_RECVTTL, IPV6_RECVHOPLIMIT },
	[SOCK_IP_RECVTOS]	= { IP_RECVTOS, IPV6_RECVTCLASS },
	[SOCK_IP_RECVERR]	= { IP_RECVERR, IPV6_RECVERR },
	[SOCK_IP_PKTINFO]	= { IP_PKTINFO, IPV6_RECVPKTINFO },
	[SOCK_IP_MULTICAST_LOOP] = { IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP },
	[SOCK_IP_MULTICAST_ALL]	= { IP_MULTICAST_ALL, IPV6_MULTICAST_ALL },
};

/**
 * sock_set() - Set a socket option whose value is an int
 * @level, @option, @value: as for setsockopt()
 *
 * Return: 0, or -errno
 */
int sock_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno :
								      0;
}

/**
 * sock_set_ip() - Set a socket option that has one name for IPv4 and another
 * for IPv6
 * @v4:		set the option of IPv4; an IPv6 socket that serves IPv4 has this
 *		option, too
 * @option:	option to set
 * @value:	as for setsockopt()
 *
 * Return: 0, or -errno
 */
int sock_set_ip(int fd, bool v4, enum sock_ip_option option, int value)
{
	return sock_set(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
			v4 ? ip_option[option].v4 : ip_option[option].v6,
			value);
}

/**
 * sock_set_df() - Choose what the kernel does with a packet that is longer than
 * the path's MTU
 * @v4:		set the option of IPv4; false: that of IPv6
 * @df:		see enum sock_df
 *
 * SOCK_DF_PROBE is IP_PMTUDISC_PROBE. With IP_PMTUDISC_DO, the kernel would
 * refuse packets that are longer than the path MTU that it remembers. But the
 * guest remembers path MTUs itself, and may probe whether one has grown (RFC
 * 4821, RFC 8899).
 */
void sock_set_df(int fd, bool v4, enum sock_df df)
{
	static const int mode4[] = {
		[SOCK_DF_PROBE] = IP_PMTUDISC_PROBE,
		[SOCK_DF_DONT] = IP_PMTUDISC_DONT,
		[SOCK_DF_WANT] = IP_PMTUDISC_DONT,
	};
	static const int mode6[] = {
		[SOCK_DF_PROBE] = IPV6_PMTUDISC_PROBE,
		[SOCK_DF_DONT] = IPV6_PMTUDISC_DONT,
		[SOCK_DF_WANT] = IPV6_PMTUDISC_WANT,
	};

	if (v4) {
		sock_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, mode4[df]);
		return;
	}
	sock_set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, mode6[df]);
	sock_set(fd, IPPROTO_IPV6, IPV6_DONTFRAG, df == SOCK_DF_PROBE);
}

/**
 * sock_set_reports() - Let a socket report what the guest has to learn of
 * received packets
 * @v4, @v6:	IP versions that the socket serves
 *
 * The socket then reports TTL and type of service of each received packet, and
 * ICMP errors with the data that they quote.
 */
void sock_set_reports(int fd, bool v4, bool v6)
{
	static const enum sock_ip_option reports[] = {
		SOCK_IP_RECVERR, SOCK_IP_RECVTTL, SOCK_IP_RECVTOS,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(reports); i++) {
		if (v4)
			sock_set_ip(fd, true, reports[i], 1);
		if (v6)
			sock_set_ip(fd, false, reports[i], 1);
	}
}

/**
 * sock_set_bulk() - Prepare a UDP socket to receive many datagrams
 *
 * The socket gets a large receive buffer, which takes no memory while it is
 * empty. The kernel may deliver consecutive datagrams as one message (UDP_GRO,
 * since Linux 5.0).
 */
void sock_set_bulk(int fd)
{
	sock_set(fd, SOL_SOCKET, SO_RCVBUF, BULK_BUFFER);
	sock_set(fd, IPPROTO_UDP, UDP_GRO, 1);
}

/**
 * sock_open() - Open a non-blocking socket with close-on-exec
 * @family, @type, @proto: as for socket()
 *
 * Return: socket, or -errno
 */
int sock_open(int family, int type, int proto)
{
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);

	return fd < 0 ? -errno : fd;
}

/**
 * sock_bind() - Bind a socket to an address and port
 * @addr:	address of the socket's family; "none" is the IPv6 wildcard
 * @port:	host order, 0: any
 * @scope:	interface index for a link-local address
 *
 * Return: 0, or -errno
 */
int sock_bind(int fd, const struct in6_addr *addr, uint16_t port,
	      uint32_t scope)
{
	union sockaddr_any sa;
	socklen_t len = sockaddr_set(&sa, addr, port, scope);

	return bind(fd, &sa.sa, len) ? -errno : 0;
}

/**
 * sock_bind_device() - Bind a socket to an interface
 * @ifname:	interface, empty: any
 *
 * Return: 0, or -errno
 */
int sock_bind_device(int fd, const char *ifname)
{
	if (!*ifname)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname,
			  (socklen_t)strlen(ifname)) ? -errno : 0;
}

/**
 * sock_device() - Find the interface that a socket is bound to
 * @ifname:	has space for IFNAMSIZ bytes; set to the name that the interface
 *		has now, which may not be the one that the socket was bound by;
 *		empty: the socket is bound to none
 *
 * Return: 0, or -errno. -ENODEV: the interface was deleted. The socket then
 *	   never works again, even if another interface gets the same name,
 *	   because the kernel binds sockets to the index of an interface
 */
int sock_device(int fd, char *ifname)
{
	socklen_t len = IFNAMSIZ;

	*ifname = '\0';
	return getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, &len) ?
	       -errno : 0;
}

/* ask_interface() - Ask the kernel about an interface by an ioctl() @cmd of
 * netdevice(7), on a socket of either family; false with errno on failure */
static bool ask_interface(unsigned long cmd, struct ifreq *r)
{
	int fd = sock_open(AF_INET, SOCK_DGRAM, IPPROTO_UDP), error;

	if (fd == -EAFNOSUPPORT)
		fd = sock_open(AF_INET6, SOCK_DGRAM, IPPROTO_UDP);
	if (fd < 0) {
		errno = -fd;
		return false;
	}
	error = ioctl(fd, cmd, r) ? errno : 0;
	close(fd);
	errno = error;
	return !error;
}

/**
 * sock_ifindex() - Find the index of an interface, as if_nametoindex(3) does,
 *		but by a socket that the sandbox permits
 *
 * Return: index; 0 with errno on failure. ENODEV: there is no such interface
 */
uint32_t sock_ifindex(const char *ifname)
{
	struct ifreq r = { 0 };

	if (strlen(ifname) >= sizeof(r.ifr_name)) {
		errno = ENODEV;
		return 0;
	}
	strcpy(r.ifr_name, ifname);
	return ask_interface(SIOCGIFINDEX, &r) ? (uint32_t)r.ifr_ifindex : 0;
}

/**
 * sock_ifname() - Find the name of an interface, as if_indextoname(3) does
 * @ifname:	has space for IFNAMSIZ bytes
 *
 * Return: false with errno on failure. ENODEV: there is no such interface
 */
bool sock_ifname(uint32_t ifindex, char *ifname)
{
	struct ifreq r = { .ifr_ifindex = (int)ifindex };

	if (!ask_interface(SIOCGIFNAME, &r))
		return false;
	memcpy(ifname, r.ifr_name, IFNAMSIZ);
	return true;
}

/**
 * sock_recv() - Receive as recv() does, by recvmsg(): one system call for all
 *		keeps the list of those that the sandbox permits short
 */
ssize_t sock_recv(int fd, void *buf, size_t len, int flags)
{
	struct iovec iov = { buf, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	return recvmsg(fd, &m, flags);
}

/* sock_send() - Send as send() does, by sendmsg(), see sock_recv() */
ssize_t sock_send(int fd, const void *data, size_t len, int flags)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	const struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	return sendmsg(fd, &m, flags);
}

/**
 * sock_name() - Get the address and port that a socket is bound to
 * @addr:	set to the address, a wildcard if the socket is bound to all
 * @port:	set to the port, host order
 *
 * Return: false on failure
 */
bool sock_name(int fd, struct in6_addr *addr, uint16_t *port)
{
	union sockaddr_any sa = { .sa.sa_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);

	return !getsockname(fd, &sa.sa, &len) && sockaddr_get(&sa, addr, port);
}

/* is_own4() - Whether @addr is an address of one of the host's interfaces.
 * bind() can't tell: with net.ipv4.ip_nonlocal_bind it accepts any address */
static bool is_own4(int fd, struct in_addr addr)
{
	return !setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &addr,
			   sizeof(addr));
}

/* is_own6() - Whether @addr is an address of one of the host's interfaces. If
 * so, the kernel also uses @addr as the source of packets to @addr (RFC 6724 5,
 * rule 1) */
static bool is_own6(int fd, const struct in6_addr *addr, uint32_t scope)
{
	union sockaddr_any sa;
	socklen_t len = sockaddr_set(&sa, addr, 1, scope);
	struct in6_addr name;
	uint16_t port;

	return !connect(fd, &sa.sa, len) && sock_name(fd, &name, &port) &&
	       addr_eq(&name, addr);
}

/**
 * sock_addr_is_own() - Whether @addr is an address of the host itself now
 * @addr:	unicast address
 * @scope:	interface index for a link-local address
 *
 * Return: true if the host has the address; false if it has not, or if no
 *	   socket could be opened to find out
 */
bool sock_addr_is_own(const struct in6_addr *addr, uint32_t scope)
{
	int fd = sock_open(addr_family(addr), SOCK_DGRAM, IPPROTO_UDP);
	bool own;

	if (fd < 0)
		return false;
	own = addr_is_v4(addr) ? is_own4(fd, addr_v4(addr)) :
				 is_own6(fd, addr, scope);
	close(fd);
	return own;
}

/**
 * bind_port() - Bind a socket to an address, and to a port if the port is free
 * @addr:	address of the socket's family, may be its wildcard
 * @port:	host order, 0: any; set to 0 if the kernel chooses another port
 * @scope:	interface index for a link-local address
 *
 * It is no error if another socket has the port, or if passt may not bind the
 * port: the kernel then chooses another port, which is not shared. With
 * IP_BIND_ADDRESS_NO_PORT, the kernel chooses the port of a TCP socket only in
 * connect(), so that other sockets can have the same port for other
 * destinations.
 *
 * Return: 0, or -errno
 */
static int bind_port(int fd, const struct in6_addr *addr, uint16_t *port,
		     uint32_t scope)
{
	int rc;

	if (*port) {
		rc = sock_bind(fd, addr, *port, scope);
		if (rc != -EADDRINUSE && rc != -EACCES)
			return rc;
		sock_set(fd, SOL_SOCKET, SO_REUSEPORT, 0);
		*port = 0;
	}
	sock_set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	return sock_bind(fd, addr, 0, scope);
}

/* bind_source() - Bind a socket to interface, address and port, as described
 * for sock_open_bound(); return 0 or -errno */
static int bind_source(int fd, const struct sock_source *src, uint16_t *port)
{
	struct in6_addr addr = src->addr;
	int rc;

	/* Without IPV6_V6ONLY, an IPv6 socket on the wildcard address would
	 * also take the port of IPv4. */
	if (src->family == AF_INET6)
		sock_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);

	rc = sock_bind_device(fd, src->ifname);
	if (rc || (!*port && addr_is_none(&addr)))
		return rc;
	if (addr_is_none(&addr) && src->family == AF_INET)
		addr = addr_from_v4((struct in_addr){ INADDR_ANY });
	return bind_port(fd, &addr, port, src->scope);
}

/**
 * sock_open_bound() - Open a socket for a flow from the guest
 * @src:	address and interface to bind the socket to
 * @type, @proto: as for socket(); the socket is non-blocking and is closed on
 *		exec
 * @port:	source port or echo identifier, host order, 0: any; set to 0 if
 *		another socket has it, so that the kernel chose another one
 * @share:	share @port with other sockets of this process, which have
 *		SO_REUSEPORT
 *
 * The first socket with a port is bound without SO_REUSEPORT, so it gets the
 * port only if no other socket has it. The caller may then set SO_REUSEPORT, so
 * that further sockets of the same user can share the port.
 *
 * Ping sockets have SO_REUSEADDR by default (INET_PROTOSW_REUSE in the kernel's
 * net/ipv4/af_inet.c), so several sockets could have the same identifier, and
 * one of them would get the replies for all. Therefore SO_REUSEADDR is switched
 * off.
 *
 * Return: socket, or -errno. It is -EMFILE, -ENFILE, -ENOBUFS or -ENOMEM if
 *	   there are too many sockets; -EADDRNOTAVAIL or -ENODEV if the host
 *	   does not have the source address or the interface, or has them no
 *	   longer
 */
int sock_open_bound(const struct sock_source *src, int type, int proto,
		    uint16_t *port, bool share)
{
	int fd = sock_open(src->family, type, proto), rc;

	if (fd < 0)
		return fd;
	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		sock_set(fd, SOL_SOCKET, SO_REUSEADDR, 0);
	if (share)
		sock_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	rc = bind_source(fd, src, port);
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

/**
 * sock_cmsg_put() - Append a control message
 * @c:		control messages
 * @len:	bytes of control messages in @c so far
 * @level, @type: of the control message
 * @data, @size: data of the control message, and their length in bytes
 *
 * Return: bytes of control messages in @c now, for msg_controllen
 */
size_t sock_cmsg_put(union sock_control *c, size_t len, int level, int type,
		     const void *data, size_t size)
{
	struct cmsghdr *h = (struct cmsghdr *)(c->buf + len);

	memset(h, 0, CMSG_SPACE(size));
	h->cmsg_level = level;
	h->cmsg_type = type;
	h->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(h), data, size);
	return len + CMSG_SPACE(size);
}

static size_t put_number(union sock_control *c, size_t len, int level, int type,
			 int value)
{
	return sock_cmsg_put(c, len, level, type, &value, sizeof(value));
}

/* put_source() - If @info has a source address or an interface, write one
 * control message with both, and return its length in bytes; else return 0 */
static size_t put_source(union sock_control *c, bool v4,
			 const struct sock_tx_info *info)
{
	struct in_pktinfo info4 = {
		.ipi_ifindex = (int)info->ifindex,
		.ipi_spec_dst = addr_v4(&info->local),
	};
	struct in6_pktinfo info6 = {
		.ipi6_ifindex = info->ifindex, .ipi6_addr = info->local,
	};

	if (addr_is_none(&info->local) && !info->ifindex)
		return 0;
	if (v4)
		return sock_cmsg_put(c, 0, IPPROTO_IP, IP_PKTINFO, &info4,
				     sizeof(info4));
	return sock_cmsg_put(c, 0, IPPROTO_IPV6, IPV6_PKTINFO, &info6,
			     sizeof(info6));
}

/**
 * sock_cmsg_put_info() - Write the control messages that set source address,
 * interface, TTL and type of service of a message
 * @c:		filled
 * @v4:		the message goes over IPv4
 * @info:	values to set
 *
 * Return: bytes of control messages, for msg_controllen
 */
size_t sock_cmsg_put_info(union sock_control *c, bool v4,
			  const struct sock_tx_info *info)
{
	int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
	size_t len = put_source(c, v4, info);

	len = put_number(c, len, level, v4 ? IP_TTL : IPV6_HOPLIMIT, info->ttl);
	return put_number(c, len, level, v4 ? IP_TOS : IPV6_TCLASS, info->tos);
}

/* read_number() - Read a control message whose data is an int */
static uint32_t read_number(const struct cmsghdr *c)
{
	uint32_t n = 0;

	memcpy(&n, CMSG_DATA(c), MIN(sizeof(n), c->cmsg_len - CMSG_LEN(0)));
	return n;
}

/* read_pktinfo4() - Read IP_PKTINFO. ipi_spec_dst is a unicast address of the
 * host, even if the destination is a broadcast or multicast address (ip(7)) */
static void read_pktinfo4(const struct cmsghdr *c, struct sock_rx_info *info)
{
	struct in_pktinfo p;

	memcpy(&p, CMSG_DATA(c), sizeof(p));
	info->dest = addr_from_v4(p.ipi_addr);
	info->local = addr_from_v4(p.ipi_spec_dst);
	info->ifindex = (uint32_t)p.ipi_ifindex;
}

/* read_pktinfo6() - Read IPV6_PKTINFO. It has no field like ipi_spec_dst, so if
 * the destination is a group, no unicast address is known. If an IPv6 socket
 * has received IPv4, IP_PKTINFO comes as well, and IPV6_PKTINFO is ignored */
static void read_pktinfo6(const struct cmsghdr *c, struct sock_rx_info *info)
{
	struct in6_pktinfo p;

	memcpy(&p, CMSG_DATA(c), sizeof(p));
	if (addr_is_v4(&p.ipi6_addr))
		return;
	info->dest = p.ipi6_addr;
	if (!addr_is_multicast(&p.ipi6_addr))
		info->local = p.ipi6_addr;
	info->ifindex = p.ipi6_ifindex;
}

static void read_message(const struct cmsghdr *c, struct sock_rx_info *info)
{
	switch (c->cmsg_level) {
	case IPPROTO_IP:
		if (c->cmsg_type == IP_TTL)
			info->ttl = (uint8_t)read_number(c);
		else if (c->cmsg_type == IP_TOS)	/* one byte, no int */
			info->tos = *CMSG_DATA(c);
		else if (c->cmsg_type == IP_PKTINFO)
			read_pktinfo4(c, info);
		break;
	case IPPROTO_IPV6:
		if (c->cmsg_type == IPV6_HOPLIMIT)
			info->ttl = (uint8_t)read_number(c);
		else if (c->cmsg_type == IPV6_TCLASS)
			info->tos = (uint8_t)read_number(c);
		else if (c->cmsg_type == IPV6_PKTINFO)
			read_pktinfo6(c, info);
		break;
	case IPPROTO_UDP:
		if (c->cmsg_type == UDP_GRO)
			info->segment = read_number(c);
		break;
	}
}

/**
 * sock_cmsg_read() - Read the control messages of a received message
 * @m:		message, as recvmsg() filled it
 * @info:	filled
 */
void sock_cmsg_read(struct msghdr *m, struct sock_rx_info *info)
{
	struct cmsghdr *c;

	memset(info, 0, sizeof(*info));
	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		read_message(c, info);
}

/* read_error() - Read the control message IP_RECVERR or IPV6_RECVERR */
static void read_error(const struct cmsghdr *c, struct sock_error *e)
{
	struct extended_error x = { 0 };
	uint16_t port;

	memcpy(&x, CMSG_DATA(c), MIN(c->cmsg_len - CMSG_LEN(0), sizeof(x)));
	e->error = (int)x.e.ee_errno;
	e->from_network = x.e.ee_origin == SO_EE_ORIGIN_ICMP ||
			  x.e.ee_origin == SO_EE_ORIGIN_ICMP6;
	e->type = x.e.ee_type;
	e->code = x.e.ee_code;
	e->info = x.e.ee_info;
	sockaddr_get(&x.from, &e->from, &port);
}

static bool is_error(const struct cmsghdr *c)
{
	return (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
	       (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
}

/* sock_lacks_resource() - Whether an error (-errno) of a call that opens a
 * socket, connects it or adds it to epoll means that this host lacks something
 * for any socket, whatever its peer is */
bool sock_lacks_resource(int rc)
{
	return rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS ||
	       rc == -ENOMEM || rc == -ENOSPC;
}

/**
 * sock_clear_error() - Consume the pending error of a socket (SO_ERROR)
 *
 * When an entry is taken off the error queue, the kernel makes the error of the
 * next entry pending. The next system call on the socket returns this pending
 * error in place of its own. If this function is called before that system
 * call, the call returns its own error. Callers do not empty the queue instead,
 * because it may be long: forged ICMP messages can fill it.
 */
void sock_clear_error(int fd)
{
	socklen_t len = sizeof(int);
	int error;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

/**
 * sock_next_error() - Take the next entry off the error queue of a socket
 * @e:		filled
 *
 * After EPOLLERR, call this function until it returns false. The last call also
 * consumes the pending error. If the queue has no space for an entry, the
 * kernel only makes the error of that entry pending.
 *
 * Return: false if the queue is empty
 */
bool sock_next_error(int fd, struct sock_error *e)
{
	union {
		char buf[ERROR_CONTROL];
		struct cmsghdr align;
	} control;
	union sockaddr_any sa = { .sa.sa_family = AF_UNSPEC };
	struct iovec iov = { .iov_base = e->data, .iov_len = sizeof(e->data) };
	struct msghdr m = {
		.msg_name = &sa, .msg_namelen = sizeof(sa),
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct sock_rx_info info;
	struct cmsghdr *c;
	ssize_t n;

	n = recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
	if (n < 0) {
		sock_clear_error(fd);
		return false;
	}
	memset(e, 0, offsetof(struct sock_error, data));
	e->len = (size_t)n;
	sockaddr_get(&sa, &e->dest, &e->port);
	sock_cmsg_read(&m, &info);
	e->ttl = info.ttl;
	/* The destination of the ICMP message is the source address of our
	 * packet. The IP_PKTINFO of an error has no valid ipi_spec_dst. */
	e->local = info.dest;
	if (!addr_is_v4(&e->dest) && addr_is_linklocal(&e->dest))
		e->ifindex = sa.sin6.sin6_scope_id;
	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (is_error(c))
			read_error(c, e);
	return true;
}
