// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * nat.c - Addresses on the way out and in, and sockets bound as asked for.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>

#include "../../forward/nat.c"
#include "unit.h"

/* addr() - An address from text; "" is none */
static struct in6_addr addr(const char *s)
{
	struct in6_addr a = ADDR_NONE;

	if (*s && !addr_parse(s, &a)) {
		fail("addresses of this test", "'%s' is not one", s);
		exit(1);
	}
	return a;
}

/* A guest that shares 192.0.2.2 and 2001:db8::2, behind a usual gateway. */
static struct fwd_map usual(void)
{
	return (struct fwd_map){
		.host4 = addr("192.0.2.1"), .host6 = addr("fe80::1"),
		.guest4 = addr("192.0.2.2"), .guest6 = addr("2001:db8::2"),
		.map_guest4 = addr("192.0.2.77"),
		.map_guest6 = addr("2001:db8::77"),
	};
}

/* leads() - Where a destination leads, "refused" or an address */
static const char *leads(const struct fwd_map *m, const char *dst)
{
	struct in6_addr a = addr(dst), host;
	static char buf[ADDR_STRLEN];

	return nat_from_guest(m, &a, &host) ? addr_str(&host, buf) : "refused";
}

/* seen() - As whom a peer is seen, "refused" or an address */
static const char *seen(const struct fwd_map *m, const char *peer)
{
	struct in6_addr a = addr(peer), as;
	static char buf[ADDR_STRLEN];

	return nat_to_guest(m, &a, &as) ? addr_str(&as, buf) : "refused";
}

static void way_out(void)
{
	struct fwd_map m = usual(), plain = { 0 };

	check_str("out: an address is itself", leads(&m, "198.51.100.7"),
		  "198.51.100.7");
	check_str("out: an IPv6 address, too", leads(&m, "2001:db8:1::7"),
		  "2001:db8:1::7");
	check_str("out: link-local, too", leads(&m, "fe80::7"), "fe80::7");
	check_str("out: the gateway is the host's loopback",
		  leads(&m, "192.0.2.1"), "127.0.0.1");
	check_str("out: over IPv6 likewise", leads(&m, "fe80::1"), "::1");
	check_str("out: the host's copy of the guest's address",
		  leads(&m, "192.0.2.77"), "192.0.2.2");
	check_str("out: over IPv6 likewise", leads(&m, "2001:db8::77"),
		  "2001:db8::2");
	check_str("out: loopback is never reached as such",
		  leads(&m, "127.0.0.1"), "refused");
	check_str("out: nor the rest of it", leads(&m, "127.255.0.53"),
		  "refused");
	check_str("out: nor that of IPv6", leads(&m, "::1"), "refused");
	check_str("out: no mapping: the gateway is the gateway",
		  leads(&plain, "192.0.2.1"), "192.0.2.1");
	check_str("out: no mapping: loopback is still refused",
		  leads(&plain, "127.0.0.1"), "refused");
	check_str("out: unspecified", leads(&plain, "0.0.0.0"), "refused");
	check_str("out: unspecified, IPv6", leads(&plain, "::"), "refused");
	check_str("out: this network", leads(&m, "0.1.2.3"), "refused");
	check_str("out: multicast", leads(&m, "224.0.0.251"), "refused");
	check_str("out: multicast, IPv6", leads(&m, "ff02::1"), "refused");
	check_str("out: broadcast", leads(&m, "255.255.255.255"), "refused");

	m.guest4 = ADDR_NONE;
	check_str("out: the copy of an address that isn't",
		  leads(&m, "192.0.2.77"), "refused");
	m.map_guest4 = addr("127.0.0.9");
	m.guest4 = addr("192.0.2.2");
	check_str("out: loopback that was asked to mean something else",
		  leads(&m, "127.0.0.9"), "192.0.2.2");
}

static void way_in(void)
{
	struct fwd_map m = usual(), plain = { 0 };

	check_str("in: a peer is itself", seen(&m, "198.51.100.7"),
		  "198.51.100.7");
	check_str("in: IPv6, too", seen(&m, "2001:db8:1::7"), "2001:db8:1::7");
	check_str("in: the host's loopback comes from the gateway",
		  seen(&m, "127.0.0.1"), "192.0.2.1");
	check_str("in: all of it", seen(&m, "127.0.0.53"), "192.0.2.1");
	check_str("in: that of IPv6, too", seen(&m, "::1"), "fe80::1");
	check_str("in: the shared address comes from its map",
		  seen(&m, "192.0.2.2"), "192.0.2.77");
	check_str("in: over IPv6 likewise", seen(&m, "2001:db8::2"),
		  "2001:db8::77");

	m.map_guest4 = m.map_guest6 = ADDR_NONE;
	check_str("in: if it has none, from the gateway",
		  seen(&m, "192.0.2.2"), "192.0.2.1");
	check_str("in: over IPv6 likewise", seen(&m, "2001:db8::2"),
		  "fe80::1");

	m.host4 = m.host6 = ADDR_NONE;
	check_str("in: no mapping: the shared address can't be shown",
		  seen(&m, "192.0.2.2"), "refused");
	check_str("in: no mapping: nor can loopback", seen(&m, "127.0.0.1"),
		  "refused");
	check_str("in: no mapping: nor over IPv6", seen(&m, "::1"), "refused");
	check_str("in: no mapping: others can", seen(&m, "198.51.100.7"),
		  "198.51.100.7");
	check_str("in: no guest, no mapping: others can",
		  seen(&plain, "192.0.2.2"), "192.0.2.2");
}

/* What comes in and what goes out have to be each other's reverse. */
static void there_and_back(void)
{
	static const char *const hosts[] = {
		"127.0.0.1", "::1", "192.0.2.2", "2001:db8::2", "198.51.100.7",
	};
	struct fwd_map m = usual();
	char name[100];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hosts); i++) {
		snprintf(name, sizeof(name), "in and out again: %s", hosts[i]);
		check_str(name, leads(&m, seen(&m, hosts[i])), hosts[i]);
	}
}

/* has() - Local address and port of a socket, as "ADDR PORT" */
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

static int connect_to(int fd, const char *to, uint16_t port)
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

/* free_port() - A port that nobody has at the moment, for UDP */
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

static void plain_sockets(void)
{
	struct in6_addr v4 = addr("198.51.100.7"), v6 = addr("2001:db8::7");
	struct fwd_map m = { 0 };
	int fd;

	fd = fwd_socket(&m, &v4, SOCK_STREAM, IPPROTO_TCP, 0);
	check("socket: one for IPv4", fd >= 0);
	check_eq("of that family", get_option(fd, SOL_SOCKET, SO_DOMAIN),
		 AF_INET);
	check_eq("of that protocol", get_option(fd, SOL_SOCKET, SO_PROTOCOL),
		 IPPROTO_TCP);
	check("it does not block", fcntl(fd, F_GETFL) & O_NONBLOCK);
	check("it is closed on exec", fcntl(fd, F_GETFD) & FD_CLOEXEC);
	check_str("it is not bound", has(fd), "0.0.0.0 0");
	close(fd);

	fd = fwd_socket(&m, &v6, SOCK_DGRAM, IPPROTO_UDP, 0);
	check("socket: one for IPv6", fd >= 0);
	check_eq("of that family", get_option(fd, SOL_SOCKET, SO_DOMAIN),
		 AF_INET6);
	check_str("it is not bound", has(fd), ":: 0");
	close(fd);

	check_eq("socket: a protocol that isn't",
		 fwd_socket(&m, &v4, SOCK_STREAM, IPPROTO_UDP, 0),
		 -EPROTONOSUPPORT);
}

static void bound_to_port(void)
{
	struct in6_addr v4 = addr("198.51.100.7"), v6 = addr("2001:db8::7");
	uint16_t port = free_port();
	struct fwd_map m = { 0 };
	char want[60];
	int a, b, c;

	a = fwd_socket(&m, &v4, SOCK_DGRAM, IPPROTO_UDP, port);
	snprintf(want, sizeof(want), "0.0.0.0 %u", port);
	check_str("port: a free one is taken", has(a), want);

	b = fwd_socket(&m, &v6, SOCK_DGRAM, IPPROTO_UDP, port);
	snprintf(want, sizeof(want), ":: %u", port);
	check_str("port: IPv6 has its own", has(b), want);

	c = fwd_socket(&m, &v4, SOCK_DGRAM, IPPROTO_UDP, port);
	check("port: one that is taken is no error", c >= 0);
	check("port: it goes out by another", !connect_to(c, "127.0.0.1", 9) &&
	      strcmp(has(c), "127.0.0.1 0"));
	close(a);
	close(b);
	close(c);
}

static void not_permitted(void)
{
	struct in6_addr v4 = addr("198.51.100.7");
	struct fwd_map m = { 0 };
	int fd;

	fd = fwd_socket(&m, &v4, SOCK_DGRAM, IPPROTO_UDP, 1);
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
	struct in6_addr out = addr("127.0.0.9"), far = addr("198.51.100.7");
	struct in6_addr local = addr("127.0.0.1"), local6 = addr("::1");
	struct fwd_map m = { .out4 = out, .out6 = addr("2001:db8:ffff::9") };
	uint16_t port = free_port();
	char want[60];
	int fd;

	fd = fwd_socket(&m, &far, SOCK_STREAM, IPPROTO_TCP, 0);
	check_str("source: its address, the port later", has(fd),
		  "127.0.0.9 0");
	close(fd);

	fd = fwd_socket(&m, &far, SOCK_DGRAM, IPPROTO_UDP, port);
	snprintf(want, sizeof(want), "127.0.0.9 %u", port);
	check_str("source: its address and the port", has(fd), want);
	close(fd);

	fd = fwd_socket(&m, &local, SOCK_DGRAM, IPPROTO_UDP, 0);
	check_str("source: not to the host's loopback", has(fd), "0.0.0.0 0");
	close(fd);

	fd = fwd_socket(&m, &local6, SOCK_DGRAM, IPPROTO_UDP, 0);
	check("source: nor to that of IPv6", fd >= 0);
	close(fd);

	far = addr("2001:db8:1::1");
	check_eq("source: one that the host doesn't have",
		 fwd_socket(&m, &far, SOCK_STREAM, IPPROTO_TCP, 0),
		 -EADDRNOTAVAIL);
}

static void bound_to_interface(void)
{
	struct in6_addr far = addr("198.51.100.7"), far6 = addr("2001:db8::7");
	struct fwd_map m = { .if4 = "lo", .if6 = "no_such_thing" };
	struct in6_addr local6 = addr("::1");
	socklen_t len = IFNAMSIZ;
	char name[IFNAMSIZ] = "";
	int fd;

	fd = fwd_socket(&m, &far, SOCK_STREAM, IPPROTO_TCP, 0);
	if (fd == -EPERM) {
		skip("interface: it is bound to", "needs Linux 5.7");
		return;
	}
	getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len);
	check_str("interface: it is bound to", name, "lo");
	close(fd);

	check_eq("interface: one that isn't there",
		 fwd_socket(&m, &far6, SOCK_STREAM, IPPROTO_TCP, 0), -ENODEV);

	fd = fwd_socket(&m, &local6, SOCK_STREAM, IPPROTO_TCP, 0);
	check("interface: the host's loopback is on none of them", fd >= 0);
	close(fd);
}

/* A source address must not cost a port for each connection. */
static void same_port_twice(void)
{
	struct in6_addr far = addr("198.51.100.7"), far6 = addr("2001:db8::7");
	struct fwd_map m = { .out4 = addr("127.0.0.9"), .out6 = addr("::1") };
	int fd = fwd_socket(&m, &far, SOCK_STREAM, IPPROTO_TCP, 0);
	int fd6 = fwd_socket(&m, &far6, SOCK_STREAM, IPPROTO_TCP, 0);

	check_str("source: no port until it is known for what", has(fd),
		  "127.0.0.9 0");
	check_str("source: for IPv6 neither", has(fd6), "::1 0");
	close(fd);
	close(fd6);
}

int main(void)
{
	/* As root every port is permitted: be nobody. */
	if (!getuid() && setuid(65534))
		fail("not root", "%s", strerror(errno));

	way_out();
	way_in();
	there_and_back();
	plain_sockets();
	bound_to_port();
	not_permitted();
	bound_to_address();
	bound_to_interface();
	same_port_twice();
	return unit_end();
}
