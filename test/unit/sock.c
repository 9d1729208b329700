// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * sock.c - Tests with real sockets: what they are bound to, which control
 * messages they send and receive, and the errors in their queues.
 */
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>

#include "../../sock.c"
#include "addr.h"
#include "netns.h"
#include "unit.h"

/* has() - Write the local address and port of a socket, as "ADDR PORT" */
static const char *has(int fd)
{
	static char buf[ADDR_STRLEN + 10];
	union sockaddr_any sa = { 0 };
	socklen_t len = sizeof(sa);
	struct in6_addr a;
	char s[ADDR_STRLEN];
	uint16_t port;

	if (getsockname(fd, &sa.sa, &len) || !sockaddr_get(&sa, &a, &port))
		return "no name";
	snprintf(buf, sizeof(buf), "%s %u", addr_str(&a, s), port);
	return buf;
}

static int connects(int fd, const char *to, uint16_t port)
{
	struct in6_addr a = addr(to);
	union sockaddr_any sa;
	socklen_t len = sockaddr_set(&sa, &a, port, 0);

	return connect(fd, &sa.sa, len);
}

static int get_option(int fd, int level, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	getsockopt(fd, level, option, &value, &len);
	return value;
}

/* free_port() - Find a UDP port that no socket has at the moment */
static uint16_t free_port(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	union sockaddr_any sa = { .sin6.sin6_family = AF_INET6 };
	socklen_t len = sizeof(sa.sin6);
	struct in6_addr a;
	uint16_t port = 0;

	if (bind(fd, &sa.sa, len) || getsockname(fd, &sa.sa, &len) ||
	    !sockaddr_get(&sa, &a, &port))
		fail("a free port", "%s", strerror(errno));
	close(fd);
	return port;
}

/* opens() - Open a socket that is bound to an address, an interface and a port;
 * "" and 0: it is not bound to any */
static int opens(const char *source, const char *ifname, int family, int type,
		 int proto, uint16_t port)
{
	struct sock_source src = {
		.family = family, .addr = addr(source), .ifname = ifname,
	};

	return sock_open_bound(&src, type, proto, &port, false);
}

static int opens_udp(const char *source, int family, uint16_t port)
{
	return opens(source, "", family, SOCK_DGRAM, IPPROTO_UDP, port);
}

static int opens_tcp(const char *source, const char *ifname, int family)
{
	return opens(source, ifname, family, SOCK_STREAM, IPPROTO_TCP, 0);
}

static void plain_sockets(void)
{
	int fd;

	fd = opens_tcp("", "", AF_INET);
	check("socket: one for IPv4", fd >= 0);
	check_eq("of that family", get_option(fd, SOL_SOCKET, SO_DOMAIN),
		 AF_INET);
	check_eq("of that protocol", get_option(fd, SOL_SOCKET, SO_PROTOCOL),
		 IPPROTO_TCP);
	check("it does not block", fcntl(fd, F_GETFL) & O_NONBLOCK);
	check("it is closed on exec", fcntl(fd, F_GETFD) & FD_CLOEXEC);
	check_str("it is not bound", has(fd), "0.0.0.0 0");
	close(fd);

	fd = opens_udp("", AF_INET6, 0);
	check("socket: one for IPv6", fd >= 0);
	check_eq("of that family", get_option(fd, SOL_SOCKET, SO_DOMAIN),
		 AF_INET6);
	check_str("it is not bound", has(fd), ":: 0");
	close(fd);

	check_eq("socket: a protocol that isn't",
		 opens("", "", AF_INET, SOCK_STREAM, IPPROTO_UDP, 0),
		 -EPROTONOSUPPORT);
}

static void bound_to_port(void)
{
	uint16_t port = free_port();
	char want[60];
	int a, b, c;

	a = opens_udp("", AF_INET, port);
	snprintf(want, sizeof(want), "0.0.0.0 %u", port);
	check_str("port: a free one is taken", has(a), want);

	b = opens_udp("", AF_INET6, port);
	snprintf(want, sizeof(want), ":: %u", port);
	check_str("port: IPv6 has its own", has(b), want);

	c = opens_udp("", AF_INET, port);
	check("port: one that is taken is no error", c >= 0);
	check("port: it goes out by another", !connects(c, "127.0.0.1", 9) &&
	      strcmp(has(c), "127.0.0.1 0"));
	close(a);
	close(b);
	close(c);
}

static void not_permitted(void)
{
	int fd;

	fd = opens_udp("", AF_INET, 1);
	check("port: one that is not permitted is no error", fd >= 0);
	if (!strcmp(has(fd), "0.0.0.0 1"))
		skip("port: it goes out by another",
		     "net.ipv4.ip_unprivileged_port_start permits all");
	else
		check_str("port: it goes out by another", has(fd), "0.0.0.0 0");
	close(fd);
}

static void bound_to_address(void)
{
	uint16_t port = free_port();
	char want[60];
	int fd;

	fd = opens_tcp("127.0.0.9", "", AF_INET);
	check_str("source: its address, the port later", has(fd),
		  "127.0.0.9 0");
	close(fd);

	fd = opens_udp("127.0.0.9", AF_INET, port);
	snprintf(want, sizeof(want), "127.0.0.9 %u", port);
	check_str("source: its address and the port", has(fd), want);
	close(fd);

	check_eq("source: one that the host doesn't have",
		 opens_tcp("2001:db8:ffff::9", "", AF_INET6), -EADDRNOTAVAIL);
}

static void bound_to_interface(void)
{
	socklen_t len = IFNAMSIZ;
	char name[IFNAMSIZ] = "";
	int fd;

	fd = opens_tcp("", "lo", AF_INET);
	if (fd == -EPERM) {
		skip("interface: it is bound to", "needs Linux 5.7");
		return;
	}
	getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len);
	check_str("interface: it is bound to", name, "lo");
	close(fd);

	check_eq("interface: one that isn't there",
		 opens_tcp("", "no_such_thing", AF_INET6), -ENODEV);
}

/* Given a TCP socket that is bound to a source address, then it has no port
 * before connect(): many connections to different peers can share one port. */
static void same_port_twice(void)
{
	int fd = opens_tcp("127.0.0.9", "", AF_INET);
	int fd6 = opens_tcp("::1", "", AF_INET6);

	check_str("source: no port until it is known for what", has(fd),
		  "127.0.0.9 0");
	check_str("source: for IPv6 neither", has(fd6), "::1 0");
	close(fd);
	close(fd6);
}

/* Given a socket that has a port, when a second socket that may share the port
 * is opened, then the second socket has the same port if the first one has
 * SO_REUSEPORT. Otherwise the port is set to 0, and the second socket has
 * another port. */
static void shared_port(void)
{
	struct sock_source src = { .family = AF_INET, .ifname = "" };
	uint16_t port = free_port(), want = port;
	int a, b, c;

	a = sock_open_bound(&src, SOCK_DGRAM, IPPROTO_UDP, &port, false);
	check_eq("share: the first has the port", port, want);
	b = sock_open_bound(&src, SOCK_DGRAM, IPPROTO_UDP, &port, true);
	check_eq("share: not if the first does not let it", port, 0);
	check_eq("share: another port is not shared",
		 get_option(b, SOL_SOCKET, SO_REUSEPORT), 0);
	port = want;
	sock_set(a, SOL_SOCKET, SO_REUSEPORT, 1);
	c = sock_open_bound(&src, SOCK_DGRAM, IPPROTO_UDP, &port, true);
	check_eq("share: both have it if it does", port, want);
	close(a);
	close(b);
	close(c);
}

/* Given each value of enum sock_df, when a socket is set to it, then the
 * kernel's options of this socket have the values in the table. */
static void df_modes(void)
{
	static const struct {
		enum sock_df df;
		int mode4, mode6, dont6;
	} c[] = {
		{ SOCK_DF_PROBE, IP_PMTUDISC_PROBE, IPV6_PMTUDISC_PROBE, 1 },
		{ SOCK_DF_DONT, IP_PMTUDISC_DONT, IPV6_PMTUDISC_DONT, 0 },
		{ SOCK_DF_WANT, IP_PMTUDISC_DONT, IPV6_PMTUDISC_WANT, 0 },
	};
	int fd4 = opens_udp("", AF_INET, 0), fd6 = opens_udp("", AF_INET6, 0);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		sock_set_df(fd4, true, c[i].df);
		sock_set_df(fd6, false, c[i].df);
		check_eq("DF: over IPv4", get_option(fd4, IPPROTO_IP,
						     IP_MTU_DISCOVER),
			 c[i].mode4);
		check_eq("DF: over IPv6", get_option(fd6, IPPROTO_IPV6,
						     IPV6_MTU_DISCOVER),
			 c[i].mode6);
		check_eq("DF: by the fragment header, too",
			 get_option(fd6, IPPROTO_IPV6, IPV6_DONTFRAG),
			 c[i].dont6);
	}
	close(fd4);
	close(fd6);
}

/**
 * hears() - Receive a message, and read its control messages
 * @fd:		socket
 * @info:	set from the control messages
 *
 * Return: false if nothing came within a second
 */
static bool hears(int fd, struct sock_rx_info *info)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	union sock_control control;
	char buf[100];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	if (poll(&p, 1, 1000) != 1 || recvmsg(fd, &m, 0) < 0)
		return false;
	sock_cmsg_read(&m, info);
	return !(m.msg_flags & MSG_CTRUNC);
}

/* says() - Send a message to @to, with the source address, TTL and TOS that
 * @info has */
static bool says(int fd, const char *to, uint16_t port,
		 const struct sock_tx_info *info)
{
	struct in6_addr a = addr(to);
	union sockaddr_any sa;
	union sock_control control;
	struct iovec iov = { "hello", 5 };
	struct msghdr m = {
		.msg_name = &sa, .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control,
	};

	m.msg_namelen = sockaddr_set(&sa, &a, port, 0);
	m.msg_controllen = sock_cmsg_put_info(&control, addr_is_v4(&a), info);
	return sendmsg(fd, &m, 0) == 5;
}

/* Given a message that is sent with a TTL and a TOS in its control messages,
 * then the receiver reads both of them, and the destination, from its own
 * control messages. This holds for IPv4 between IPv6 sockets, too. */
static void there_and_back(const char *to, const char *source, int family)
{
	struct in6_addr dest = addr(to);
	bool v4 = addr_is_v4(&dest), both = family == AF_INET6;
	struct sock_tx_info tx = {
		.local = addr(source), .ttl = 7, .tos = 0xb8,
	};
	int rx = sock_open(family, SOCK_DGRAM, IPPROTO_UDP), fd;
	struct sock_rx_info info;
	uint16_t port = free_port();

	printf("# to %s by IPv%d\n", to, both ? 6 : 4);
	check_eq("it is bound", sock_bind(rx, v4 &&
		 !both ? &dest : &in6addr_any,
					  port, 0), 0);
	sock_set_reports(rx, v4, both);
	check_eq("it asks for destinations",
		 sock_set_ip(rx, true, SOCK_IP_PKTINFO, 1), 0);
	if (both)
		sock_set_ip(rx, false, SOCK_IP_PKTINFO, 1);
	fd = sock_open(family, SOCK_DGRAM, IPPROTO_UDP);
	check("a message leaves", says(fd, to, port, &tx));
	if (check("it comes with all of it", hears(rx, &info))) {
		check_eq("TTL", info.ttl, 7);
		check_eq("type of service", info.tos, 0xb8);
		check_mem("destination", &info.dest, &dest, sizeof(dest));
		check_mem("ours", &info.local, &dest, sizeof(dest));
		check_eq("by loopback", info.ifindex, 1);
		check_eq("one datagram", info.segment, 0);
	}
	close(fd);
	close(rx);
}

/* asks() - Open a socket that has an error queue, and send a datagram to the
 * closed port 9 of @dst; returns the socket */
static int asks(const char *dst, int family, const void *data, size_t len)
{
	struct in6_addr to = addr(dst);
	union sockaddr_any sa;
	socklen_t salen = sockaddr_set(&sa, &to, 9, 0);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (family == AF_INET6 && sa.sa.sa_family == AF_INET) {
		sa.sin6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6, .sin6_port = htons(9),
			.sin6_addr = to,
		};
		salen = sizeof(sa.sin6);
	}
	sock_set_reports(fd, true, family == AF_INET6);
	sock_set_ip(fd, true, SOCK_IP_PKTINFO, 1);
	sock_set_ip(fd, false, SOCK_IP_PKTINFO, 1);
	check_eq("the queue can be had",
		 get_option(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
			    family == AF_INET ? IP_RECVERR : IPV6_RECVERR), 1);
	check("a datagram leaves", sendto(fd, data, len, 0, &sa.sa, salen) ==
	      (ssize_t)len);
	return fd;
}

/* in_error() - Whether epoll would report an error of the socket */
static bool in_error(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && p.revents & POLLERR;
}

/* Given a datagram to a closed port, then the error queue of the socket has one
 * entry, with all details of the ICMP error. */
static void story_queue(const char *dst, int family)
{
	int fd = asks(dst, family, "hello", 5);
	struct in6_addr to = addr(dst);
	bool v4mapped = addr_is_v4(&to);
	struct sock_error e;

	printf("# a closed port of %s, by a socket of IPv%d\n", dst,
	       family == AF_INET ? 4 : 6);
	check("there is an error", in_error(fd));
	if (check("it is in the queue", sock_next_error(fd, &e))) {
		check_eq("refused", e.error, ECONNREFUSED);
		check("by a message", e.from_network);
		check("of the right type and code", v4mapped ?
		      e.type == 3 && e.code == 3 : e.type == 1 && e.code == 4);
		check_mem("of the host", &e.from, &to, sizeof(to));
		check_mem("that was asked", &e.dest, &to, sizeof(to));
		check_eq("on that port", e.port, 9);
		check_eq("the message's TTL", e.ttl, 64);
		check_eq("as much came back as was sent", e.len, 5);
		check_mem("the same", e.data, "hello", 5);
	}
	check("there is one", !sock_next_error(fd, &e));
	check("and then no error any more", !in_error(fd));
	close(fd);
}

/* Given a datagram that is longer than the MTU and must not be fragmented, then
 * the error queue of the socket has an entry with the MTU. */
static void story_queue_mtu(void)
{
	static const uint8_t big[3000];
	int fd = asks("127.0.0.1", AF_INET, "", 0);
	struct ifreq ifr = { .ifr_name = "lo", .ifr_mtu = 1500 };
	struct in6_addr to = addr("127.0.0.1");
	union sockaddr_any sa;
	socklen_t len = sockaddr_set(&sa, &to, 9, 0);
	struct sock_error e;

	printf("# a datagram that is too long\n");
	check("the test can set an MTU", !ioctl(fd, SIOCSIFMTU, &ifr));
	sock_set_df(fd, true, SOCK_DF_PROBE);
	while (sock_next_error(fd, &e))
		;
	check("it does not leave", sendto(fd, big, sizeof(big), 0, &sa.sa,
					  len) < 0 && errno == EMSGSIZE);
	if (check("that is in the queue", sock_next_error(fd, &e))) {
		check_eq("as too long", e.error, EMSGSIZE);
		check("by no message", !e.from_network &&
		      addr_is_none(&e.from));
		check_eq("with the MTU", e.info, 1500);
	}
	check("and then no error any more", !sock_next_error(fd, &e) &&
	      !in_error(fd));
	ifr.ifr_mtu = 65536;
	ioctl(fd, SIOCSIFMTU, &ifr);
	close(fd);
}

/* Given an error for which a socket's error queue has no space, then reading
 * the queue finds nothing, but clears the socket's pending error: otherwise
 * epoll would report it again and again. */
static void story_queue_full(void)
{
	static const uint8_t big[1400];
	int fd = asks("127.0.0.1", AF_INET, big, sizeof(big)), small = 1, i;
	struct in6_addr to = addr("127.0.0.1");
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);
	struct sock_error e;
	uint16_t own;

	printf("# an error that there is no room for\n");
	while (sock_next_error(fd, &e))
		;
	getsockname(fd, &sa.sa, &len);
	own = ntohs(sa.sin.sin_port);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	len = sockaddr_set(&sa, &to, own, 0);
	for (i = 0; i < 100; i++)
		sendto(fd, big, sizeof(big), 0, &sa.sa, len);
	check("no error yet", !in_error(fd));
	len = sockaddr_set(&sa, &to, 9, 0);
	sendto(fd, big, sizeof(big), 0, &sa.sa, len);
	check("there is one", in_error(fd));
	check("of which nothing is known", !sock_next_error(fd, &e));
	check("and then no error any more", !in_error(fd));
	close(fd);
}

/* bound_sockets() - Run the tests of bound sockets without root's rights,
 * because root may bind to every port */
static void bound_sockets(void)
{
	uid_t uid = geteuid();

	if (!uid && seteuid(65534))
		fail("not root", "%s", strerror(errno));
	plain_sockets();
	bound_to_port();
	not_permitted();
	bound_to_address();
	bound_to_interface();
	same_port_twice();
	shared_port();
	df_modes();
	if (seteuid(uid))
		fail("as before", "%s", strerror(errno));
}

/* Given addresses of the host and others, then sock_addr_is_own() tells which
 * are the host's, even if ip_nonlocal_bind lets sockets bind to any address. */
static void story_own_addresses(void)
{
	static const struct {
		const char *addr;
		bool own;
	} c[] = {
		{ "127.0.0.1", true }, { "127.0.0.9", true }, { "::1", true },
		{ "203.0.113.9", false }, { "2001:db8::9", false },
		{ "0.0.0.1", false }, { "fe80::9", false },
	};
	struct in6_addr a;
	unsigned int i;

	put_file("/proc/sys/net/ipv4/ip_nonlocal_bind", "1");
	put_file("/proc/sys/net/ipv6/ip_nonlocal_bind", "1");
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		a = addr(c[i].addr);
		check_eq(c[i].addr, sock_addr_is_own(&a, 0), c[i].own);
	}
}

int main(void)
{
	bound_sockets();
	there_and_back("127.0.0.1", "127.0.0.9", AF_INET);
	there_and_back("::1", "::1", AF_INET6);
	there_and_back("127.0.0.1", "127.0.0.9", AF_INET6);
	if (!own_network()) {
		skip("queues of real sockets", "no network namespace allowed");
		return unit_end();
	}
	put_file("/proc/sys/net/ipv4/icmp_ratelimit", "0");
	story_queue("127.0.0.1", AF_INET);
	story_queue("::1", AF_INET6);
	story_queue("127.0.0.1", AF_INET6);
	story_own_addresses();
	story_queue_mtu();
	story_queue_full();
	return unit_end();
}
