// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * listen.c - Binds ports on loopback, and checks what is logged about ports
 * that can't be bound.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "sock.h"

/* Messages that were logged since begin(). */
static char logged[1000];

/* Pretend to the code under test that the kernel has no IPv6. */
static bool no_ipv6;

__attribute__((format(printf, 2, 3)))
static void test_log(int prio, const char *fmt, ...)
{
	size_t len = strlen(logged);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(logged + len, sizeof(logged) - len, fmt, ap);
	va_end(ap);
	len = strlen(logged);
	snprintf(logged + len, sizeof(logged) - len, "\n");
}

static int test_open(int family, int type, int proto)
{
	if (no_ipv6 && family == AF_INET6)
		return -EAFNOSUPPORT;
	return sock_open(family, type, proto);
}

#define log_msg(...) test_log(__VA_ARGS__)
#define sock_open(family, type, proto) test_open(family, type, proto)
#include "../../forward/listen.c"
#include "../../forward/apply.c"
#include "../../forward/start.c"
#undef sock_open
#include "fds.h"
#include "unit.h"

#define SPAN	10	/* ports that a test case may use */

static uint16_t base;	/* first of the SPAN ports of a test case */
static int epfd;

/* is_free() - Whether a port is free, for both TCP and UDP */
static bool is_free(uint16_t port)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port) };
	int tcp = socket(AF_INET6, SOCK_STREAM, 0);
	int udp = socket(AF_INET6, SOCK_DGRAM, 0);
	bool good;

	good = !bind(tcp, (struct sockaddr *)&sa, sizeof(sa)) &&
	       !bind(udp, (struct sockaddr *)&sa, sizeof(sa));
	close(tcp);
	close(udp);
	return good;
}

/* find_ports() - Find SPAN consecutive free ports below the ephemeral ports,
 * and set @base to the first one */
static void find_ports(void)
{
	unsigned int tries, n;

	base = (uint16_t)(10000 + getpid() % 20000);
	for (tries = 0; tries < 1000; tries++, base += SPAN) {
		for (n = 0; n < SPAN && is_free((uint16_t)(base + n)); n++)
			;
		if (n == SPAN)
			return;
		if (base > 32000)
			base = 10000;
	}
	fail("some free ports", "none of many tries");
	exit(1);
}

/* The rules that listen_to() applies. */
static struct rule_set rules;

static struct net net;

/* begin() - Begin a test case: both families are in use, and there are no
 * rules */
static void begin(struct fwd *f)
{
	net.use[IP4] = net.use[IP6] = true;
	*f = (struct fwd){ .net = &net };
	rule_set_free(&rules);
	*logged = '\0';
	no_ipv6 = false;
}

/* listen_to() - Bind the ports of the rules, with at most @max sockets; return
 * what fwd_start() returns */
static int listen_to(struct fwd *f, unsigned int max)
{
	struct fwd_report r;
	int rc;

	fwd_init(f, max, epfd);
	rc = fwd_start(f, &rules, &r);
	fwd_print(f, &rules, &r);
	return rc;
}

/* parse() - Add rules; each %d in @fmt is a port: @base plus @a, @b or @c */
__attribute__((format(printf, 2, 0)))
static void parse(uint8_t proto, const char *fmt, int a, int b,
		  int c)
{
	char spec[200], why[100];

	snprintf(spec, sizeof(spec), fmt, base + a, base + b, base + c);
	if (rule_set_parse(&rules, proto, spec, why, sizeof(why)))
		fail(spec, "%s", why);
}

/* takes() - Open a foreign socket that occupies a port; the caller closes it */
static int takes(int type, const char *addr, int offset)
{
	union sockaddr_any sa;
	struct in6_addr a;
	socklen_t len;
	int fd;

	addr_parse(addr, &a);
	len = sockaddr_set(&sa, &a, (uint16_t)(base + offset), 0);
	fd = socket(addr_family(&a), type, 0);
	if (bind(fd, &sa.sa, len) || (type == SOCK_STREAM && listen(fd, 1)))
		fail("a port is taken", "%s", strerror(errno));
	return fd;
}

/* reach() - Connect a new socket to a port; -1 if the connection is refused */
static int reach(int type, const char *addr, int offset)
{
	union sockaddr_any sa;
	struct in6_addr a;
	socklen_t len;
	int fd;

	addr_parse(addr, &a);
	len = sockaddr_set(&sa, &a, (uint16_t)(base + offset), 0);
	fd = socket(addr_family(&a), type, 0);
	if (!connect(fd, &sa.sa, len))
		return fd;
	close(fd);
	return -1;
}

/* reaches() - Whether a TCP port accepts connections */
static bool reaches(const char *addr, int offset)
{
	int fd = reach(SOCK_STREAM, addr, offset);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static int get_option(int fd, int level, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	getsockopt(fd, level, option, &value, &len);
	return value;
}

static int family_of(const struct fwd *f, unsigned int i)
{
	return get_option(f->listeners[i].fd, SOL_SOCKET, SO_DOMAIN);
}

/**
 * expect_error() - Check that listening fails, logs one line, and leaves no
 * descriptor open
 * @name:	name of the check
 * @f:		set by begin(); freed here
 * @max:	limit of sockets
 * @where:	port that can't be bound, as the logged line names it
 * @error:	errno in the logged line
 * @remedy:	start of the advice in the logged line
 */
static void expect_error(const char *name, struct fwd *f, unsigned int max,
			 const char *where, int error, const char *remedy)
{
	unsigned int fds = count_fds();
	int rc = listen_to(f, max);
	char want[200];

	snprintf(want, sizeof(want), "%s can't be bound: %s: %s", where,
		 strerror(error), remedy);
	if (rc != -1)
		fail(name, "no error");
	else if (!strstr(logged, want))
		fail(name, "'%s' is not in: %s", want, logged);
	else if (strchr(logged, '\n') != strrchr(logged, '\n'))
		fail(name, "more than one line: %s", logged);
	else
		pass(name);

	fwd_free(f);
	if (count_fds() != fds)
		fail(name, "descriptors are left over");
}

static void tcp_port(void)
{
	struct epoll_event ev = { 0 };
	unsigned int fds = count_fds();
	int client, conn, fd;
	struct fwd f;

	begin(&f);
	parse(IPPROTO_TCP, "%d:%d", 0, 5, 0);
	check_eq("TCP: a port is bound", listen_to(&f, 100), 0);
	check_str("TCP: and nothing said", logged, "");
	check_eq("TCP: one socket for both families", f.nlisteners, 1);
	check_eq("TCP: an IPv6 one", family_of(&f, 0), AF_INET6);
	check_eq("TCP: it knows its port", f.listeners[0].port, base);
	check_eq("TCP: and the guest's", f.listeners[0].gport,
		 base + 5);
	fd = f.listeners[0].fd;
	check("TCP: it does not block", fcntl(fd, F_GETFL) & O_NONBLOCK);
	check("TCP: it is closed on exec", fcntl(fd, F_GETFD) & FD_CLOEXEC);
	check("TCP: it can be bound again at once",
	      get_option(fd, SOL_SOCKET, SO_REUSEADDR));

	check_eq("TCP: nobody there, no event", epoll_wait(epfd, &ev, 1, 0), 0);
	client = reach(SOCK_STREAM, "127.0.0.1", 0);
	check("TCP: reached over IPv4", client >= 0);
	check_eq("TCP: an event", epoll_wait(epfd, &ev, 1, 1000), 1);
	check_eq("TCP: of a listener", event_type(ev.data.u64),
		 EVENT_LISTENER);
	check_eq("TCP: of this one", event_index(ev.data.u64), 0);
	check_eq("TCP: again until accepted", epoll_wait(epfd, &ev, 1, 0), 1);
	conn = accept(fd, NULL, NULL);
	check("TCP: accepted", conn >= 0);
	check("TCP: without delay", get_option(conn, IPPROTO_TCP, TCP_NODELAY));
	check("TCP: reached over IPv6", reaches("::1", 0));
	close(client);
	close(conn);

	fwd_free(&f);
	check("TCP: closed", !reaches("127.0.0.1", 0));
	check_eq("TCP: no descriptor is left", count_fds(), fds);
}

static void tcp_again_at_once(void)
{
	int client, conn;
	struct fwd f;

	begin(&f);
	parse(IPPROTO_TCP, "%d", 0, 0, 0);
	listen_to(&f, 100);
	client = reach(SOCK_STREAM, "127.0.0.1", 0);
	while ((conn = accept(f.listeners[0].fd, NULL, NULL)) < 0)
		;
	fwd_free(&f);
	close(conn);
	close(client);

	begin(&f);
	parse(IPPROTO_TCP, "%d", 0, 0, 0);
	check_eq("TCP: started again while an old connection lingers",
		 listen_to(&f, 100), 0);
	fwd_free(&f);
}

static void udp_port(void)
{
	char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = "", data[10];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct in6_pktinfo info = { 0 };
	char buf[ADDR_STRLEN];
	struct cmsghdr *c;
	struct fwd f;
	int client;

	begin(&f);
	parse(IPPROTO_UDP, "%d-%d", 0, 2, 0);
	check_eq("UDP: three ports are bound", listen_to(&f, 100), 0);
	check_eq("UDP: one socket for each", f.nlisteners, 3);
	client = reach(SOCK_DGRAM, "127.0.0.9", 1);
	check_eq("UDP: a datagram to one of them", send(client, "x", 1, 0), 1);
	check_eq("UDP: it comes in",
		 recvmsg(f.listeners[1].fd, &msg, 0), 1);
	c = CMSG_FIRSTHDR(&msg);
	if (check("UDP: with the address that was addressed", c &&
		  c->cmsg_level == IPPROTO_IPV6 &&
		  c->cmsg_type == IPV6_PKTINFO))
		memcpy(&info, CMSG_DATA(c), sizeof(info));
	check_str("UDP: which is right", addr_str(&info.ipi6_addr, buf),
		  "127.0.0.9");
	check("UDP: no port is shared",
	      !get_option(f.listeners[1].fd, SOL_SOCKET, SO_REUSEADDR));
	close(client);
	fwd_free(&f);

	net.use[IP6] = false;
	parse(IPPROTO_UDP, "%d", 0, 0, 0);
	listen_to(&f, 100);
	check("UDP: IPv4 alone says so, too",
	      get_option(f.listeners[0].fd, IPPROTO_IP, IP_PKTINFO) == 1);
	fwd_free(&f);
}

static void families(void)
{
	struct fwd f;

	begin(&f);
	net.use[IP6] = false;
	parse(IPPROTO_TCP, "%d", 0, 0, 0);
	check_eq("IPv4 only: bound", listen_to(&f, 100), 0);
	check("IPv4 only: no other",
	      reaches("127.0.0.1", 0) && !reaches("::1", 0));
	fwd_free(&f);

	begin(&f);
	net.use[IP4] = false;
	parse(IPPROTO_TCP, "%d", 0, 0, 0);
	check_eq("IPv6 only: bound", listen_to(&f, 100), 0);
	check("IPv6 only: no other",
	      !reaches("127.0.0.1", 0) && reaches("::1", 0));
	fwd_free(&f);

	begin(&f);
	no_ipv6 = true;
	parse(IPPROTO_TCP, "%d", 0, 0, 0);
	check_eq("a kernel without IPv6: bound", listen_to(&f, 100), 0);
	check("a kernel without IPv6: IPv4 is served",
	      reaches("127.0.0.1", 0));
	fwd_free(&f);

	begin(&f);
	parse(IPPROTO_TCP, "%d:192.0.2.5", 0, 0, 0);
	check_eq("a target of IPv4: bound", listen_to(&f, 100), 0);
	check_eq("a target of IPv4: for IPv4", family_of(&f, 0), AF_INET);
	fwd_free(&f);

	begin(&f);
	net.use[IP4] = false;
	parse(IPPROTO_TCP, "127.0.0.1/%d", 0, 0, 0);
	expect_error("an address of a family not in use", &f, 100,
		     " of 127.0.0.1", EAFNOSUPPORT,
		     "give an address of a family in use");
}

static void addresses(void)
{
	struct fwd f;

	begin(&f);
	parse(IPPROTO_TCP, "127.0.0.9/%d", 0, 0, 0);
	check_eq("an address: bound", listen_to(&f, 100), 0);
	check("an address: no other",
	      reaches("127.0.0.9", 0) && !reaches("127.0.0.1", 0));
	fwd_free(&f);

	begin(&f);
	parse(IPPROTO_TCP, "::1/%d", 0, 0, 0);
	check_eq("an IPv6 address: bound", listen_to(&f, 100), 0);
	check("an IPv6 address: no other",
	      reaches("::1", 0) && !reaches("127.0.0.1", 0));
	fwd_free(&f);

	begin(&f);
	parse(IPPROTO_TCP, "%%lo/%d", 0, 0, 0);
	check_eq("an interface: bound", listen_to(&f, 100), 0);
	check("an interface: reached", reaches("127.0.0.1", 0));
	fwd_free(&f);

	begin(&f);
	parse(IPPROTO_TCP, "%%no_such_thing/%d", 0, 0, 0);
	expect_error("an interface that isn't there", &f, 100,
		     " of %no_such_thing", ENODEV,
		     "give an interface that the host has");

	begin(&f);
	parse(IPPROTO_UDP, "192.0.2.99/%d", 0, 0, 0);
	expect_error("an address that isn't there", &f, 100,
		     " of 192.0.2.99", EADDRNOTAVAIL,
		     "give an address that the host has");
}

static void named_and_taken(void)
{
	int tcp = takes(SOCK_STREAM, "127.0.0.1", 3);
	int udp = takes(SOCK_DGRAM, "::1", 4);
	struct fwd f;
	char where[30];

	begin(&f);
	parse(IPPROTO_TCP, "%d-%d", 0, 5, 0);
	snprintf(where, sizeof(where), "TCP port %u", base + 3);
	expect_error("a named port that is taken", &f, 100, where, EADDRINUSE,
		     "stop what uses it, or forward another port");

	begin(&f);
	parse(IPPROTO_UDP, "%d-%d", 0, 5, 0);
	snprintf(where, sizeof(where), "UDP port %u", base + 4);
	expect_error("likewise for UDP", &f, 100, where, EADDRINUSE,
		     "stop what uses it, or forward another port");

	begin(&f);
	parse(IPPROTO_TCP, "%d-%d", 0, 2, 0);
	snprintf(where, sizeof(where), "TCP port %u", base + 2);
	expect_error("a named port beyond the limit", &f, 2, where, EMFILE,
		     "raise the limit of open files (ulimit -n)");
	close(tcp);
	close(udp);
}

static void best_effort(void)
{
	int tcp = takes(SOCK_STREAM, "127.0.0.1", 1);
	int udp = takes(SOCK_DGRAM, "127.0.0.1", 3);
	char want[200];
	struct fwd f;

	begin(&f);
	parse(IPPROTO_TCP, "~1-%d,~%d-65535", -1, 4, 0);
	parse(IPPROTO_UDP, "~1-%d,~%d-65535", -1, 4, 0);
	check_eq("best effort: taken ports are no error",
		 listen_to(&f, 100), 0);
	check_str("best effort: what became of it is said", logged,
		  "ports forwarded: TCP 3 of 4, UDP 3 of 4\n");
	check("best effort: the ports around the taken one are bound",
	      reaches("::1", 0) && !reaches("::1", 1) && reaches("::1", 2));
	fwd_free(&f);

	begin(&f);
	parse(IPPROTO_TCP, "~1-%d,~%d-65535", -1, 4, 0);
	parse(IPPROTO_UDP, "~1-%d,~%d-65535", -1, 4, 0);
	check_eq("best effort: the limit is no error",
		 listen_to(&f, 3), 0);
	snprintf(want, sizeof(want),
		 "ports forwarded: TCP 1 of 4, UDP 2 of 4, "
		 "up to %u: descriptor limit\n", base + 1);
	check_str("best effort: TCP and UDP get equally far", logged, want);
	check_eq("best effort: the limit is kept", f.nlisteners, 3);
	fwd_free(&f);

	begin(&f);
	parse(IPPROTO_TCP, "~1-%d,~%d-65535", 0, 2, 0);
	check_eq("best effort: nothing at all is an error",
		 listen_to(&f, 100), -1);
	check_str("best effort: which is said", logged,
		  "no port can be forwarded: "
		  "all are taken or not permitted\n");
	fwd_free(&f);
	close(tcp);
	close(udp);
}

/* Given named ports and best-effort ports, then named ports are bound first,
 * whatever the order of the options. */
static void named_before_best_effort(void)
{
	struct fwd f;

	begin(&f);
	parse(IPPROTO_TCP, "~1-%d,~%d-65535", -1, 4, 0);
	parse(IPPROTO_TCP, "%d:%d", 2, 7, 0);
	check_eq("a named port among all: no error",
		 listen_to(&f, 100), 0);
	check_eq("a named port among all: it comes first",
		 f.listeners[0].port, base + 2);
	check_eq("a named port among all: leads where it was told to",
		 f.listeners[0].gport, base + 7);
	check_eq("a named port among all: each is there once", f.nlisteners, 4);
	fwd_free(&f);
}

/* Given named TCP ports and best-effort UDP ports, then one log line says how
 * many ports of each protocol are forwarded. */
static void named_beside_best_effort(void)
{
	int udp = takes(SOCK_DGRAM, "127.0.0.1", 1);
	struct fwd f;

	begin(&f);
	parse(IPPROTO_TCP, "%d,%d", 0, 1, 0);
	parse(IPPROTO_UDP, "~1-%d,~%d-65535", -1, 2, 0);
	check_eq("TCP named, UDP best effort: a taken UDP port is no error",
		 listen_to(&f, 100), 0);
	check_str("TCP named, UDP best effort: both are said", logged,
		  "ports forwarded: TCP 2, UDP 1 of 2\n");
	check_eq("TCP named, UDP best effort: the rest is bound",
		 f.nlisteners, 3);
	fwd_free(&f);
	close(udp);
}

static void nothing(void)
{
	struct fwd f;

	begin(&f);
	check_eq("nothing to forward: no error", listen_to(&f, 0), 0);
	check_str("nothing to forward: nothing said", logged, "");
	fwd_free(&f);
	fwd_free(&f);
	pass("freed twice: no harm");
}

static void not_permitted(void)
{
	struct fwd f;
	char why[100];

	begin(&f);
	rule_set_parse(&rules, IPPROTO_TCP, "1", why, sizeof(why));
	if (!listen_to(&f, 100)) {
		skip("a port that is not permitted",
		     "net.ipv4.ip_unprivileged_port_start permits all");
		fwd_free(&f);
		return;
	}
	fwd_free(&f);

	begin(&f);
	rule_set_parse(&rules, IPPROTO_TCP, "1", why, sizeof(why));
	expect_error("a port that is not permitted", &f, 100,
		     "TCP port 1", EACCES,
		     "sysctl net.ipv4.ip_unprivileged_port_start");
}

static void counts(void)
{
	char buf[COUNT_STRLEN];

	check_str("count: 0", count_str(0, buf), "0");
	check_str("count: 999", count_str(999, buf), "999");
	check_str("count: 1,000", count_str(1000, buf), "1,000");
	check_str("count: 37,303", count_str(37303, buf), "37,303");
	check_str("count: 4,294,967,295", count_str(UINT32_MAX, buf),
		  "4,294,967,295");
}

int main(void)
{
	/* Root may bind every port, so become nobody. */
	if (!getuid() && setuid(65534))
		fail("not root", "%s", strerror(errno));

	epfd = epoll_create1(0);
	find_ports();
	tcp_port();
	tcp_again_at_once();
	udp_port();
	families();
	addresses();
	named_and_taken();
	best_effort();
	named_before_best_effort();
	named_beside_best_effort();
	nothing();
	not_permitted();
	counts();
	return unit_end();
}
