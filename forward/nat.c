// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * nat.c - Addresses on the way out and in, and the sockets of flows.
 * Called by the protocols for each new flow; calls sockets.
 *
 * A guest that shares the host's address can't name the host itself: an
 * address of its own, usually the gateway's, stands for the host's loopback,
 * and the host's traffic to the guest seems to come from there.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward/nat.h"
#include "util.h"

#define PORT_DNS	53
#define PORT_DNS_TLS	853

/* Asked for: what a sender at 10 Gbit/s sends in 2 ms, as the kernel counts.
 * The host allows less, mostly (net.core.rmem_max). */
#define UDP_BUFFER	(4 * 1024 * 1024)

/* same() - Whether two addresses are the same and not "none" */
static bool same(const struct in6_addr *a, const struct in6_addr *b)
{
	return !addr_is_none(a) && addr_eq(a, b);
}

/**
 * nat_from_guest() - Where a destination of the guest really is
 * @m:		translation
 * @dst:	address the guest sends to
 * @host:	set to the address to connect to, on success only
 *
 * The guest reaches the host's loopback by the address that stands for it and
 * in no other way: services that listen there trust who can reach them.
 *
 * Return: false if no flow can lead there: none, multicast, broadcast, loopback
 */
bool nat_from_guest(const struct fwd_map *m, const struct in6_addr *dst,
	     struct in6_addr *host)
{
	struct in6_addr to = *dst;

	if (same(dst, &m->host4))
		to = addr_from_v4((struct in_addr){ htonl(INADDR_LOOPBACK) });
	else if (same(dst, &m->host6))
		to = in6addr_loopback;
	else if (same(dst, &m->map_guest4))
		to = m->guest4;
	else if (same(dst, &m->map_guest6))
		to = m->guest6;
	else if (addr_is_loopback(dst))
		return false;

	if (!addr_is_unicast(&to) && !addr_is_loopback(&to))
		return false;

	*host = to;
	return true;
}

/**
 * nat_resolver() - The resolver that an address of ours stands for
 * @m:		translation
 * @dst:	address the guest sends to
 * @port:	host order
 *
 * On the ports of DNS and of DNS over TLS (RFC 7858), and on no other.
 *
 * Return: address of the resolver, NULL: that is not what is meant
 */
const struct in6_addr *nat_resolver(const struct fwd_map *m,
			       const struct in6_addr *dst, uint16_t port)
{
	if (port != PORT_DNS && port != PORT_DNS_TLS)
		return NULL;
	if (same(dst, &m->dns4) && !addr_is_none(&m->dns_host4))
		return &m->dns_host4;
	if (same(dst, &m->dns6) && !addr_is_none(&m->dns_host6))
		return &m->dns_host6;
	return NULL;
}

/**
 * nat_from_guest_port() - Where a destination of TCP or UDP really is
 * @m:		translation
 * @dst:	address the guest sends to
 * @port:	host order
 * @host:	set to the address to connect to, on success only
 *
 * Return: false if no flow can lead there, as with nat_from_guest()
 */
bool nat_from_guest_port(const struct fwd_map *m, const struct in6_addr *dst,
		  uint16_t port, struct in6_addr *host)
{
	const struct in6_addr *dns = nat_resolver(m, dst, port);

	if (!dns)
		return nat_from_guest(m, dst, host);
	*host = *dns;
	return true;
}

/**
 * nat_to_guest() - As whom the guest sees a peer of the host
 * @m:		translation
 * @peer:	source address of what came in
 * @seen:	set to the source address for the guest, on success only
 *
 * The host's loopback and the addresses that guest and host share mean the
 * guest itself inside of it. An address that leads back to where the peer is
 * stands for it: for the shared ones, that of --map-guest-addr comes first.
 *
 * Return: false if there is none, so that the guest can't be reached from
 *	   there: the flow is refused
 */
bool nat_to_guest(const struct fwd_map *m, const struct in6_addr *peer,
	    struct in6_addr *seen)
{
	const struct in6_addr *as = peer;
	bool v4 = addr_is_v4(peer);

	if (same(peer, &m->guest4) && !addr_is_none(&m->map_guest4))
		as = &m->map_guest4;
	else if (same(peer, &m->guest6) && !addr_is_none(&m->map_guest6))
		as = &m->map_guest6;
	else if (addr_is_loopback(peer) || same(peer, &m->guest4) ||
		 same(peer, &m->guest6))
		as = v4 ? &m->host4 : &m->host6;

	if (addr_is_none(as))
		return false;

	*seen = *as;
	return true;
}

/* set_number() - Set a socket option, as far as this kernel has it */
static void set_number(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

/**
 * bind_port() - Give a socket its source address and port
 * @fd:		socket
 * @addr:	address of the family of @fd, may be its wildcard
 * @port:	host order, 0: any; set to 0 if it can't be had
 * @scope:	interface index for a link-local address
 *
 * A port that is taken or not permitted is no error: the kernel chooses one
 * that is not shared. If it may choose at connect(), a TCP port is taken for
 * that destination only.
 *
 * Return: 0, or -errno
 */
static int bind_port(int fd, const struct in6_addr *addr, uint16_t *port,
		     uint32_t scope)
{
	union sockaddr_any sa;
	socklen_t len;
	int one = 1;

	len = sockaddr_set(&sa, addr, *port, scope);
	if (*port) {
		if (!bind(fd, &sa.sa, len))
			return 0;
		if (errno != EADDRINUSE && errno != EACCES)
			return -errno;
		len = sockaddr_set(&sa, addr, 0, scope);
		set_number(fd, SOL_SOCKET, SO_REUSEPORT, 0);
		*port = 0;
	}

	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	return bind(fd, &sa.sa, len) ? -errno : 0;
}

/**
 * bind_source() - Bind a flow's socket as asked for
 * @fd:		socket
 * @m:		translation
 * @host:	where it is going to be connected to
 * @port:	source port, host order, 0: any; set to 0 if it can't be had
 *
 * What is said about our source does not apply on the way to the host's
 * loopback, which is on no other interface and takes no other's address.
 *
 * Return: 0, or -errno
 */
static int bind_source(int fd, const struct fwd_map *m,
		       const struct in6_addr *host, uint16_t *port)
{
	bool v4 = addr_is_v4(host), local = addr_is_loopback(host);
	struct in6_addr addr = v4 ? m->out4 : m->out6;
	const char *ifname = v4 ? m->if4 : m->if6;
	int one = 1;

	/* An IPv6 wildcard would take the port for IPv4, too. */
	if (!v4)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));

	if (!local && *ifname &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname,
		       (socklen_t)strlen(ifname)))
		return -errno;

	if (local || addr_is_none(&addr)) {
		if (!*port)
			return 0;
		addr = v4 ? addr_from_v4((struct in_addr){ INADDR_ANY }) :
			    in6addr_any;
	}

	return bind_port(fd, &addr, port, m->scope);
}

/**
 * own_identifier() - Have an identifier of echo for one socket alone
 * @fd:		ping socket
 *
 * Ping sockets share theirs unless told not to (INET_PROTOSW_REUSE in the
 * kernel's net/ipv4/af_inet.c), and one of them gets the replies of all.
 */
static void own_identifier(int fd)
{
	int zero = 0;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &zero, sizeof(zero));
}

/* open_socket() - As fwd_socket(), @port to be shared on request; see there */
static int open_socket(const struct fwd_map *m, const struct in6_addr *host,
		       int type, int proto, uint16_t *port, bool share)
{
	int fd, rc;

	fd = socket(addr_family(host), type | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    proto);
	if (fd < 0)
		return -errno;

	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		own_identifier(fd);
	if (share)
		set_number(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	rc = bind_source(fd, m, host, port);
	if (rc) {
		close(fd);
		return rc;
	}

	return fd;
}

/**
 * fwd_socket() - A socket for a flow from the guest, to be connected
 * @m:		translation
 * @host:	where to, from nat_from_guest()
 * @type:	SOCK_*; the socket is non-blocking and closed on exec
 * @proto:	IPPROTO_*
 * @port:	source port or echo identifier to have if it is free, host
 *		order; 0: any
 *
 * Return: socket of the family of @host, or -errno: -EMFILE, -ENFILE, -ENOBUFS
 *	   and -ENOMEM if there are too many, -EADDRNOTAVAIL or -ENODEV if the
 *	   host does not have the source address or interface (any more)
 */
int fwd_socket(const struct fwd_map *m, const struct in6_addr *host,
	       int type, int proto, uint16_t port)
{
	return open_socket(m, host, type, proto, &port, false);
}

/**
 * fwd_udp_socket() - A UDP socket for a flow from the guest, to be connected
 * @m:		translation
 * @host:	where to, from nat_from_guest()
 * @port:	source port to have if it is free, host order; set to 0 if it
 *		is not
 * @ours:	sockets of ours have it already, and SO_REUSEPORT: share it
 *
 * A port is not shared with others: it has to be free for the first socket,
 * which then allows the next ones of our user by SO_REUSEPORT.
 *
 * Return: as fwd_socket()
 */
int fwd_udp_socket(const struct fwd_map *m, const struct in6_addr *host,
		   uint16_t *port, bool ours)
{
	return open_socket(m, host, SOCK_DGRAM, IPPROTO_UDP, port, ours);
}

/**
 * fwd_udp_options() - Have a UDP socket say what the guest is to hear
 * @fd:		socket
 * @v4, @v6:	families it serves
 *
 * TTL and type of service of what comes in, and errors in full.
 */
void fwd_udp_options(int fd, bool v4, bool v6)
{
	if (v4) {
		set_number(fd, IPPROTO_IP, IP_RECVERR, 1);
		set_number(fd, IPPROTO_IP, IP_RECVTTL, 1);
		set_number(fd, IPPROTO_IP, IP_RECVTOS, 1);
	}
	if (v6) {
		set_number(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
		set_number(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
		set_number(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	}
}

/**
 * fwd_udp_bulk() - Make a UDP socket ready for more than an answer
 * @fd:		socket
 *
 * A large buffer, which takes no memory before it is used, and datagrams that
 * came in a row as one message (UDP_GRO, since Linux 5.0).
 */
void fwd_udp_bulk(int fd)
{
	set_number(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER);
	set_number(fd, IPPROTO_UDP, UDP_GRO, 1);
}
