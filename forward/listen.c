// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * listen.c - Opens and closes listeners: sockets bound to host ports that lead
 * to the guest.
 */
/* syscalls: run: close epoll_ctl listen; end: munmap */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "event.h"
#include "forward/listen.h"
#include "sock.h"
#include "util.h"

#define NO_SLOT		UINT32_MAX
#define LISTENERS_SIZE	(LISTENERS_MAX * sizeof(struct listener))

/* Bind a socket as a rule says; returns 0 or -errno. SO_REUSEADDR lets TCP bind
 * a port that still has connections in TIME-WAIT. It is not set for UDP,
 * because other programs could then bind the same port. */
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
		scope = sock_ifindex(r->ends.ifname);
	return sock_bind(fd, &addr, port, scope);
}

/*
 * Set the options of a bound socket, and let a TCP socket listen; 0 or -errno.
 *
 * Accepted connections inherit TCP_NODELAY from the listening socket (promise
 * T13 of doc/design.md). With SOCK_IP_PKTINFO, a UDP socket reports to which
 * address each datagram was sent, so that the answer has this address as its
 * source (U5). An IPv6 socket that also serves IPv4 has IP_PKTINFO set, too,
 * because IPV6_PKTINFO does not tell whether an IPv4 destination was our
 * address or a broadcast address. SOCK_IP_MULTICAST_ALL is switched off, so
 * that the socket gets no datagrams of multicast groups that other sockets on
 * the host have joined.
 */
static int start_receiving(int fd, uint8_t proto, int family, bool both)
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

/* Open and bind a socket of one family for a port; returns the socket or
 * -errno.
 * @both: the socket is an IPv6 socket and serves IPv4, too */
static int open_family(const struct fwd *f, const struct rule *r,
		       uint16_t port, int family, bool both)
{
	int type = r->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
	int fd, rc;

	fd = sock_open(family, type, r->proto);
	if (fd < 0)
		return fd;

	if (f->freebind)		/* works for IPv6, too: ip(7) */
		sock_set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	rc = bind_rule(fd, r, port, family, both);
	if (!rc)
		rc = start_receiving(fd, r->proto, family, both);
	if (rc) {
		close(fd);
		return rc;
	}

	return fd;
}

/* Open and bind a socket for a port. If the host has IPv6, one IPv6 socket
 * serves both families. Returns the socket or -errno: -EAFNOSUPPORT if the rule
 * is only for a family that passt does not use, by option or for lack of it on
 * the host. */
static int open_port(const struct fwd *f, const struct rule *r, uint16_t port)
{
	unsigned int families = rule_families(&r->ends);
	bool v4 = f->net->use[IP4] && families & RULE_V4;
	bool v6 = f->net->use[IP6] && families & RULE_V6;
	int fd = -EAFNOSUPPORT;

	if (v6)
		fd = open_family(f, r, port, AF_INET6, v4);
	if (fd == -EAFNOSUPPORT && v4)
		fd = open_family(f, r, port, AF_INET, false);
	return fd;
}

/**
 * listener_possible() - Whether the host has the address and the interface of a
 * rule now, so that its ports can be bound if they are free
 * @f:		listeners
 * @r:		rule
 */
bool listener_possible(const struct fwd *f, const struct rule *r)
{
	struct sock_source src = {
		.family = addr_is_none(&r->ends.addr) ? AF_INET :
			  addr_family(&r->ends.addr),
		.ifname = r->ends.ifname,
	};
	uint16_t any = 0;
	int fd;

	if (!f->freebind)
		src.addr = r->ends.addr;
	if (addr_is_none(&src.addr) && !*src.ifname)
		return true;
	if (*src.ifname && addr_is_linklocal(&src.addr))
		src.scope = sock_ifindex(src.ifname);
	fd = sock_open_bound(&src, SOCK_DGRAM, IPPROTO_UDP, &any, false);
	if (fd >= 0)
		close(fd);
	return fd != -ENODEV && fd != -EADDRNOTAVAIL;
}

/**
 * fwd_init() - Reserve the table of listeners
 * @f:		the caller has set @freebind and @net, and all other fields to
 *		zero
 * @max:	number of listeners that may be open at a time
 * @epfd:	epoll descriptor to which the socket of each listener is added,
 *		level-triggered. The token has type EVENT_LISTENER, and the slot
 *		and the generation of the listener
 *
 * Return: 0, or -ENOMEM
 */
int fwd_init(struct fwd *f, uint32_t max, int epfd)
{
	f->max = MIN(max, LISTENERS_MAX);
	f->top = f->nlisteners = f->nresting = f->absent = 0;
	f->free = NO_SLOT;
	f->epfd = epfd;
	f->listeners = memory_reserve(LISTENERS_SIZE);
	return f->listeners ? 0 : -ENOMEM;
}

/* Find a free slot; it stays in the list of free slots */
static uint32_t free_slot(const struct fwd *f)
{
	return f->free == NO_SLOT ? f->top : f->free;
}

static void take_listener_slot(struct fwd *f, uint32_t slot)
{
	if (slot == f->top)
		f->top++;
	else
		f->free = f->listeners[slot].ends;
	f->nlisteners++;
}

/**
 * listener_open() - Bind a socket to a host port, and add it to epoll
 * @f:		gets the listener
 * @r:		rule that has the port
 * @port:	host port
 * @ends:	index in @f->ends of the rule's address, interface and target
 *
 * The limit @f->max is checked after bind(). On -EMFILE, fwd_apply() may close
 * another listener and try again, which would be wrong for a port that can't be
 * bound in any case.
 *
 * Return: slot of the listener, or -errno: -EMFILE if @f->max listeners are
 *	   open
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
		rc = -EMFILE;
	} else {
		ev.data.u64 = event_token(EVENT_LISTENER, 0, l->gen + 1, slot);
		if (epoll_ctl(f->epfd, EPOLL_CTL_ADD, fd, &ev))
			rc = -errno;
	}
	if (rc) {
		close(fd);
		return rc;
	}

	take_listener_slot(f, slot);
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
 * listener_close() - Close a listener. Its token is not valid any more
 * @f:		has the listener
 * @slot:	slot of the listener
 */
void listener_close(struct fwd *f, uint32_t slot)
{
	struct listener *l = &f->listeners[slot];

	close(l->fd);
	l->fd = -1;
	f->nresting -= l->rests;
	l->rests = false;
	l->ends = f->free;
	f->free = slot;
	f->nlisteners--;
	f->changes++;
}

/* set_rest() - Pause a listener if @rests is true: epoll no longer reports its
 * socket. End the pause if @rests is false */
static void set_rest(struct fwd *f, struct listener *l, bool rests)
{
	struct epoll_event ev = {
		.events = rests ? 0 : EPOLLIN,
		.data.u64 = listener_token(f, l),
	};

	epoll_ctl(f->epfd, EPOLL_CTL_MOD, l->fd, &ev);
	f->nresting += rests - l->rests;
	l->rests = rests;
}

/**
 * listener_rest() - Pause a listener, because its connections can't be accepted
 * now: epoll does not report its socket until fwd_wake_listeners() is called
 * @f:		has the listener
 * @l:		listener
 */
void listener_rest(struct fwd *f, const struct listener *l)
{
	set_rest(f, &f->listeners[l - f->listeners], true);
}

/**
 * fwd_wake_listeners() - Let epoll report all paused listeners again
 * @f:		listeners
 */
void fwd_wake_listeners(struct fwd *f)
{
	uint32_t slot;

	for (slot = 0; f->nresting && slot < f->top; slot++) {
		if (f->listeners[slot].rests)
			set_rest(f, &f->listeners[slot], false);
	}
}

/**
 * listener_token() - Make the token of a listener. The token is valid until the
 * listener is closed
 * @f:		has the listener
 * @l:		listener
 *
 * Return: the token that epoll returns for the listener's socket; never 0
 */
uint64_t listener_token(const struct fwd *f, const struct listener *l)
{
	return event_token(EVENT_LISTENER, 0, l->gen,
			   (uint32_t)(l - f->listeners));
}

/**
 * fwd_listener_from_token() - Find the listener of a token
 * @f:		listeners
 * @token:	token from epoll or listener_token()
 *
 * Return: listener, a pointer that is valid until the listener is closed; NULL
 *	   if it was closed
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
 * fwd_next_listener() - Iterate over the listeners, in the order of the
 * array @f->listeners
 * @f:		listeners
 * @l:		the previous listener; NULL: begin with the first
 *
 * Return: the next listener, or NULL if @l is the last
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
 * fwd_free() - Close all listeners, and free the memory of fwd_init()
 * @f:		listeners
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
	if (f->scratch)
		munmap(f->scratch, f->scratch_size);
	free(f->ends);
	f->listeners = NULL;
	f->scratch = NULL;
	f->ends = NULL;
	f->top = f->nlisteners = 0;
}
