// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * listen.c - Binds the host's ports that lead to the guest.
 * Called by passt.c at start-up and at the end; calls sockets, epoll and the
 * log.
 *
 * Ports that were named come first, and each has to succeed. What 'all' means
 * is bound after that as far as descriptors go, port by port and not rule by
 * rule: so TCP and UDP get equally far.
 */
/* syscalls: start: ioctl listen socket; run: close epoll_ctl */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward/listen.h"
#include "flow/table.h"
#include "ip.h"
#include "log.h"
#include "sock.h"
#include "util.h"

#define COUNT_STRLEN	sizeof("4,294,967,295")
#define TALLY_STRLEN	(sizeof("TCP  of ") + 2 * COUNT_STRLEN)

/**
 * bind_rule() - Bind a socket as a rule says
 * @fd:		socket of family @family
 * @r:		rule
 * @port:	host order
 * @family:	AF_INET or AF_INET6
 * @both:	IPv4, too
 *
 * SO_REUSEADDR is for TCP connections that are still being forgotten. For UDP
 * it would mean to take the port together with somebody else.
 *
 * Return: 0, or -errno
 */
static int bind_rule(int fd, const struct rule *r, uint16_t port,
		     int family, bool both)
{
	struct in6_addr addr = r->ends.addr;
	uint32_t scope = 0;
	int rc;

	if (addr_is_none(&addr) && family == AF_INET)
		addr = addr_from_v4((struct in_addr){ INADDR_ANY });
	if (family == AF_INET6)
		sock_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !both);
	if (r->proto == IPPROTO_TCP)
		sock_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	rc = sock_bind_device(fd, r->ends.ifname);
	if (rc)
		return rc;

	if (*r->ends.ifname && addr_is_linklocal(&addr))
		scope = if_nametoindex(r->ends.ifname);
	return sock_bind(fd, &addr, port, scope);
}

/**
 * start() - Have a bound socket receive
 * @fd:		socket
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @family:	AF_INET or AF_INET6
 * @both:	AF_INET6 that serves IPv4, too
 *
 * TCP_NODELAY is inherited by connections (T13). A UDP socket says to which
 * address a datagram came, so that the answer leaves from there (U5): for IPv4
 * by IP_PKTINFO, also over IPv6, as the other form can't tell our address from
 * a broadcast one. It hears no groups that others on the host have joined.
 *
 * Return: 0, or -errno
 */
static int start(int fd, uint8_t proto, int family, bool both)
{
	bool v6 = family == AF_INET6, v4 = !v6 || both;

	if (proto == IPPROTO_TCP) {
		sock_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		return listen(fd, SOMAXCONN) ? -errno : 0;
	}

	if (v6) {
		sock_set_ip(fd, false, SOCK_IP_PKTINFO, 1);
		sock_set_ip(fd, false, SOCK_IP_MULTICAST_ALL, 0);
	}
	if (v4) {
		sock_set_ip(fd, true, SOCK_IP_PKTINFO, 1);
		sock_set_ip(fd, true, SOCK_IP_MULTICAST_ALL, 0);
	}
	sock_set_reports(fd, v4, v6);
	sock_set_bulk(fd);
	return 0;
}

/**
 * open_family() - A socket for a port, of a given family
 * @f:		for how it may be bound
 * @r:		rule
 * @port:	host order
 * @family:	AF_INET or AF_INET6
 * @both:	AF_INET6 that serves IPv4, too
 *
 * Return: socket, or -errno
 */
static int open_family(const struct fwd *f, const struct rule *r,
		       uint16_t port, int family, bool both)
{
	int type = r->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
	int fd, rc;

	fd = sock_open(family, type, r->proto);
	if (fd < 0)
		return fd;

	if (f->freebind)		/* of either family: ip(7) */
		sock_set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	rc = bind_rule(fd, r, port, family, both);
	if (!rc)
		rc = start(fd, r->proto, family, both);
	if (rc) {
		close(fd);
		return rc;
	}

	return fd;
}

/* A socket for a port, or -errno: -EAFNOSUPPORT if no family that the rule means
 * is in use. Both families share one socket if the host has IPv6. */
static int open_port(const struct fwd *f, const struct rule *r, uint16_t port)
{
	unsigned int families = rule_families(&r->ends);
	bool v4 = f->ipv4 && families & RULE_V4;
	bool v6 = f->ipv6 && families & RULE_V6;
	int fd = -EAFNOSUPPORT;

	if (v6)
		fd = open_family(f, r, port, AF_INET6, v4);
	if (fd == -EAFNOSUPPORT && v4)
		fd = open_family(f, r, port, AF_INET, false);
	return fd;
}

/**
 * add_listener() - Open a port and watch it
 * @f:		rules and listeners
 * @rule:	index of the rule
 * @port:	host order
 * @max:	listeners at most
 * @epfd:	epoll descriptor
 *
 * Return: 0, or -errno, -EMFILE if there are @max
 */
static int add_listener(struct fwd *f, const struct rule_set *rules,
			unsigned int rule, uint16_t port, unsigned int max,
			int epfd)
{
	struct epoll_event ev = {
		.events = EPOLLIN,
		.data.u64 = event_token(EVENT_LISTENER, 0, 0, f->nlisteners),
	};
	const struct rule *r = &rules->rules[rule];
	int fd;

	if (f->nlisteners == max)
		return -EMFILE;

	fd = open_port(f, r, port);
	if (fd < 0)
		return fd;

	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev)) {
		int rc = -errno;

		close(fd);
		return rc;
	}

	f->ends[rule] = r->ends;
	f->listeners[f->nlisteners++] = (struct listener){
		.fd = fd, .proto = r->proto, .port = port, .ends = rule,
		.gport = (uint16_t)(r->to + (port - r->first)),
	};
	return 0;
}

/**
 * remedy() - What helps when a port can't be bound
 * @error:	errno
 *
 * Return: end of a message, may be empty
 */
static const char *remedy(int error)
{
	switch (error) {
	case EACCES:
		return ": sysctl net.ipv4.ip_unprivileged_port_start tells the first port allowed to all";
	case EADDRINUSE:
		return ": stop what uses it, or forward another port";
	case EADDRNOTAVAIL:
		return ": give an address that the host has";
	case ENODEV:
		return ": give an interface that the host has";
	case EAFNOSUPPORT:
		return ": give an address of a family in use";
	case EMFILE:
		return ": raise the limit of open files (ulimit -n), or forward fewer ports";
	default:
		return "";
	}
}

/**
 * listen_named() - Bind all ports of a rule
 * @f:		rules and listeners
 * @rule:	index of the rule
 * @max:	listeners at most
 * @epfd:	epoll descriptor
 *
 * Return: 0, -1 if one can't be bound, after a message
 */
static int listen_named(struct fwd *f, const struct rule_set *rules,
			unsigned int rule, unsigned int max, int epfd)
{
	const struct rule *r = &rules->rules[rule];
	char buf[RULE_PORT_STRLEN];
	unsigned int port;

	for (port = r->first; port <= r->last; port++) {
		int rc = add_listener(f, rules, rule, (uint16_t)port, max,
				      epfd);

		if (!rc)
			continue;
		err("%s can't be bound: %s%s",
		    rule_port_str(r, (uint16_t)port, buf), strerror(-rc), remedy(-rc));
		return -1;
	}

	return 0;
}

/* out_of() - Whether an error means that no other port would do better */
static bool out_of(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM ||
	       error == ENOBUFS || error == ENOSPC;
}

/**
 * next_port() - The next port that some best-effort rule has
 * @f:		rules
 * @from:	port to begin with
 *
 * Return: port from @from on, above IP_PORT_MAX if there is none
 */
static unsigned int next_port(const struct rule_set *rules, unsigned int from)
{
	unsigned int next = IP_PORT_MAX + 1, i;

	for (i = 0; i < rules->n; i++) {
		const struct rule *r = &rules->rules[i];

		if (r->best_effort && r->last >= from)
			next = MIN(next, MAX(r->first, from));
	}

	return next;
}

/**
 * listen_port() - Bind a port for all best-effort rules that have it
 * @f:		rules and listeners
 * @port:	host order
 * @max:	listeners at most
 * @epfd:	epoll descriptor
 *
 * Return: 0, or -errno of what ran out
 */
static int listen_port(struct fwd *f, const struct rule_set *rules,
		       uint16_t port, unsigned int max, int epfd)
{
	unsigned int i;

	for (i = 0; i < rules->n; i++) {
		const struct rule *r = &rules->rules[i];
		int rc;

		if (!r->best_effort || port < r->first || port > r->last)
			continue;

		rc = add_listener(f, rules, i, port, max, epfd);
		if (out_of(-rc))
			return rc;
	}

	return 0;
}

/**
 * listen_best() - Bind what can be bound of the rules that are best effort
 * @f:		rules and listeners
 * @max:	listeners at most
 * @epfd:	epoll descriptor
 *
 * Return: 0, or -errno of what ran out
 */
static int listen_best(struct fwd *f, const struct rule_set *rules,
		       unsigned int max, int epfd)
{
	unsigned int port;
	int rc = 0;

	for (port = next_port(rules, 1); port <= IP_PORT_MAX && !rc;
	     port = next_port(rules, port + 1))
		rc = listen_port(f, rules, (uint16_t)port, max, epfd);

	return rc;
}

/* count_str() - A number with commas between groups of digits: 37,303 */
static const char *count_str(unsigned int n, char buf[COUNT_STRLEN])
{
	char digits[COUNT_STRLEN], *out = buf;
	int len = snprintf(digits, sizeof(digits), "%u", n), i;

	for (i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
	return buf;
}

/* ports_asked() - How many ports the rules of a protocol have */
static unsigned int ports_asked(const struct rule_set *rules, uint8_t proto)
{
	unsigned int i, n = 0;

	for (i = 0; i < rules->n; i++) {
		if (rules->rules[i].proto == proto)
			n += rules->rules[i].last - rules->rules[i].first + 1U;
	}
	return n;
}

/* ports_bound() - And how many of them are forwarded */
static unsigned int ports_bound(const struct fwd *f, uint8_t proto)
{
	unsigned int i, n = 0;

	for (i = 0; i < f->nlisteners; i++)
		n += f->listeners[i].proto == proto;
	return n;
}

/**
 * tally() - 'TCP 12', or 'TCP 7 of 12', or nothing if none was asked for
 * @f:		rules and listeners
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @buf:	filled
 *
 * Return: @buf
 */
static const char *tally(const struct fwd *f, const struct rule_set *rules,
			 uint8_t proto, char buf[TALLY_STRLEN])
{
	unsigned int asked = ports_asked(rules, proto);
	unsigned int bound = ports_bound(f, proto);
	char text[2][COUNT_STRLEN];
	bool all = bound == asked;

	snprintf(buf, TALLY_STRLEN, "%s %s%s%s", rule_proto_name(proto),
		 count_str(bound, text[0]), all ? "" : " of ",
		 all ? "" : count_str(asked, text[1]));
	return asked ? buf : "";
}

/**
 * report() - Say how many ports of those asked for are forwarded, in a line
 * @f:		rules and listeners, one at least
 * @error:	errno of what ran out, 0: nothing did
 *
 * Not where each was named: these are, or passt does not start.
 */
static void report(const struct fwd *f, const struct rule_set *rules,
		   int error)
{
	char tcp[TALLY_STRLEN], udp[TALLY_STRLEN], end[120] = "";
	bool both = ports_asked(rules, IPPROTO_TCP) && ports_asked(rules, IPPROTO_UDP);
	bool some = ports_bound(f, IPPROTO_TCP) && ports_bound(f, IPPROTO_UDP);

	if (error)
		snprintf(end, sizeof(end), ", up to %u: %s",
			 f->listeners[f->nlisteners - 1].port,
			 error == EMFILE ? "descriptor limit" :
					   strerror(error));

	log_msg(both && !some ? LOG_WARNING : LOG_INFO,
		"ports forwarded: %s%s%s%s", tally(f, rules, IPPROTO_TCP, tcp),
		both ? ", " : "", tally(f, rules, IPPROTO_UDP, udp), end);
}

/**
 * room_for_ports() - Room for listeners
 * @f:		rules; the listeners get room
 * @max:	listeners at most
 *
 * Return: 0, -1 if there is no memory, after a message
 */
static int room_for_ports(struct fwd *f, const struct rule_set *rules,
			  unsigned int max)
{
	size_t n = ports_asked(rules, IPPROTO_TCP) + ports_asked(rules, IPPROTO_UDP);

	/* Touched only as far as it is filled. */
	f->listeners = malloc(MAX(1, MIN(n, max)) * sizeof(*f->listeners));
	f->ends = malloc(MAX(1, rules->n) * sizeof(*f->ends));
	if (f->listeners && f->ends)
		return 0;

	err("no memory for %zu forwarded ports", n);
	return -1;
}

/**
 * fwd_listen() - Bind all ports, watch them
 * @f:		the listeners are set
 * @rules:	what to forward
 * @max:	sockets at most
 * @epfd:	epoll descriptor; tokens are of type EVENT_LISTENER, by the
 *		index of the listener, and level triggered
 *
 * Return: 0, -1 if a port that was named or every port can't be bound, after
 *	   a message. fwd_free() is to be called in any case.
 */
int fwd_listen(struct fwd *f, const struct rule_set *rules, unsigned int max,
	       int epfd)
{
	unsigned int i;
	int rc;

	if (room_for_ports(f, rules, max))
		return -1;

	for (i = 0; i < rules->n; i++)
		if (!rules->rules[i].best_effort &&
		    listen_named(f, rules, i, max, epfd))
			return -1;

	rc = listen_best(f, rules, max, epfd);
	if (f->nlisteners && next_port(rules, 1) <= IP_PORT_MAX)
		report(f, rules, -rc);
	if (rules->n && !f->nlisteners) {
		err("no port can be forwarded: %s", rc ? strerror(-rc) :
		    "all are taken or not permitted");
		return -1;
	}

	return 0;
}

/**
 * fwd_free() - Close all ports
 * @f:		its listeners go; the rest stays
 */
void fwd_free(struct fwd *f)
{
	unsigned int i;

	for (i = 0; i < f->nlisteners; i++)
		close(f->listeners[i].fd);
	free(f->listeners);
	free(f->ends);
	f->listeners = NULL;
	f->ends = NULL;
	f->nlisteners = 0;
}
