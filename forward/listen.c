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
/* syscalls: start: ioctl listen socket; run: close epoll_ctl munmap */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "event.h"
#include "forward/listen.h"
#include "ip.h"
#include "log.h"
#include "sock.h"
#include "util.h"

#define NO_SLOT		UINT32_MAX
#define LISTENERS_SIZE	(LISTENERS_MAX * sizeof(struct listener))

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
 * fwd_init() - Start without listeners
 * @f:		what else it needs is filled in
 * @max:	listeners at most
 * @epfd:	epoll descriptor; tokens are of type EVENT_LISTENER, with the
 *		listener's slot and generation, and level triggered
 *
 * Return: 0, or -ENOMEM
 */
int fwd_init(struct fwd *f, uint32_t max, int epfd)
{
	f->max = MIN(max, LISTENERS_MAX);
	f->top = f->nlisteners = 0;
	f->free = NO_SLOT;
	f->epfd = epfd;
	f->listeners = memory_reserve(LISTENERS_SIZE);
	return f->listeners ? 0 : -ENOMEM;
}

/* A free slot, still in the list of them */
static uint32_t free_slot(const struct fwd *f)
{
	return f->free == NO_SLOT ? f->top : f->free;
}

static void take_slot(struct fwd *f, uint32_t slot)
{
	if (slot == f->top)
		f->top++;
	else
		f->free = f->listeners[slot].ends;
	f->nlisteners++;
}

/**
 * listener_open() - Bind a port and watch it
 * @f:		gets the listener
 * @r:		rule that has the port
 * @port:	host port
 * @ends:	index of its ends in @f
 *
 * The number of listeners is compared with the most there may be after bind():
 * a port that can't be bound costs no other its place.
 *
 * Return: slot, or -errno, -EMFILE if there are @f->max
 */
int listener_open(struct fwd *f, const struct rule *r, uint16_t port,
		  uint32_t ends)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = open_port(f, r, port), rc = 0;
	uint32_t slot = free_slot(f);
	struct listener *l = &f->listeners[slot];

	if (fd < 0)
		return fd;

	if (f->nlisteners == f->max) {
		close(fd);
		return -EMFILE;
	}
	ev.data.u64 = event_token(EVENT_LISTENER, 0, l->gen + 1, slot);
	if (epoll_ctl(f->epfd, EPOLL_CTL_ADD, fd, &ev)) {
		rc = -errno;
		close(fd);
		return rc;
	}

	take_slot(f, slot);
	l->fd = fd;
	l->gen++;
	l->proto = r->proto;
	l->port = port;
	l->gport = (uint16_t)(r->to + (port - r->first));
	l->ends = ends;
	f->changes++;
	return (int)slot;
}

/**
 * listener_close() - Close a listener; its token is no listener's any longer
 * @f:		has it
 * @slot:	its slot
 */
void listener_close(struct fwd *f, uint32_t slot)
{
	struct listener *l = &f->listeners[slot];

	close(l->fd);
	l->fd = -1;
	l->ends = f->free;
	f->free = slot;
	f->nlisteners--;
	f->changes++;
}

/**
 * listener_token() - Stands for a listener until it is closed
 * @f:		has it
 * @l:		listener
 *
 * Return: token, as epoll returns it; never 0
 */
uint64_t listener_token(const struct fwd *f, const struct listener *l)
{
	return event_token(EVENT_LISTENER, 0, l->gen,
			   (uint32_t)(l - f->listeners));
}

/**
 * fwd_listener_from_token() - The listener that a token stands for
 * @f:		listeners
 * @token:	from epoll or listener_token()
 *
 * Return: listener, good until it is closed; NULL if it was closed
 */
const struct listener *fwd_listener_from_token(const struct fwd *f,
					       uint64_t token)
{
	const struct listener *l;

	if (event_index(token) >= f->top)
		return NULL;
	l = &f->listeners[event_index(token)];
	if (l->fd < 0 || listener_token(f, l) != token)
		return NULL;
	return l;
}

/**
 * fwd_next_listener() - Go through all listeners
 * @f:		listeners
 * @l:		the one before, NULL: begin
 *
 * Return: listener, NULL after the last
 */
const struct listener *fwd_next_listener(const struct fwd *f,
					 const struct listener *l)
{
	for (l = l ? l + 1 : f->listeners; l < f->listeners + f->top; l++) {
		if (l->fd >= 0)
			return l;
	}
	return NULL;
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
 *
 * Return: 0, -1 if one can't be bound, after a message
 */
static int listen_named(struct fwd *f, const struct rule_set *rules,
			unsigned int rule)
{
	const struct rule *r = &rules->rules[rule];
	char buf[RULE_PORT_STRLEN];
	unsigned int port;

	for (port = r->first; port <= r->last; port++) {
		int rc = listener_open(f, r, (uint16_t)port, rule);

		if (rc >= 0)
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
 *
 * Return: 0, or -errno of what ran out
 */
static int listen_port(struct fwd *f, const struct rule_set *rules,
		       uint16_t port)
{
	unsigned int i;

	for (i = 0; i < rules->n; i++) {
		const struct rule *r = &rules->rules[i];
		int rc;

		if (!r->best_effort || port < r->first || port > r->last)
			continue;

		rc = listener_open(f, r, port, i);
		if (out_of(-rc))
			return rc;
	}

	return 0;
}

/**
 * listen_best() - Bind what can be bound of the rules that are best effort
 * @f:		rules and listeners
 *
 * Return: 0, or -errno of what ran out
 */
static int listen_best(struct fwd *f, const struct rule_set *rules)
{
	unsigned int port;
	int rc = 0;

	for (port = next_port(rules, 1); port <= IP_PORT_MAX && !rc;
	     port = next_port(rules, port + 1))
		rc = listen_port(f, rules, (uint16_t)port);

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
	const struct listener *l = NULL;
	unsigned int n = 0;

	while ((l = fwd_next_listener(f, l)))
		n += l->proto == proto;
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
 * fwd_listen() - Bind all ports, watch them
 * @f:		the listeners are set
 * @rules:	what to forward
 *
 * Return: 0, -1 if a port that was named or every port can't be bound, after
 *	   a message. fwd_free() is to be called in any case.
 */
int fwd_listen(struct fwd *f, const struct rule_set *rules)
{
	unsigned int i;
	int rc;

	f->ends = calloc(MAX(1, rules->n), sizeof(*f->ends));
	if (!f->ends) {
		err("no memory for forwarded ports");
		return -1;
	}
	for (i = 0; i < rules->n; i++)
		f->ends[i] = rules->rules[i].ends;

	for (i = 0; i < rules->n; i++)
		if (!rules->rules[i].best_effort && listen_named(f, rules, i))
			return -1;

	rc = listen_best(f, rules);
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
 * fwd_free() - Close all ports, give back memory
 * @f:		its listeners go; the rest stays
 */
void fwd_free(struct fwd *f)
{
	uint32_t slot;

	for (slot = 0; slot < f->top; slot++) {
		if (f->listeners[slot].fd >= 0)
			listener_close(f, slot);
	}
	if (f->listeners)
		munmap(f->listeners, LISTENERS_SIZE);
	free(f->ends);
	f->listeners = NULL;
	f->ends = NULL;
	f->top = f->nlisteners = 0;
}
