// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * listen.c - Opens and closes listeners: sockets bound to the host's ports that
 * lead to the guest.
 */
/* syscalls: start: ioctl listen socket; run: close epoll_ctl munmap */
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

/* SO_REUSEADDR lets TCP bind a port that still has connections in TIME-WAIT.
 * For UDP it would share the port with foreign sockets. */
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

/*
 * Make a bound socket receive.
 *
 * TCP_NODELAY is inherited by connections (T13). A UDP socket tells the address
 * that a datagram was sent to, so that the answer leaves from there (U5): for
 * IPv4 by IP_PKTINFO, also over IPv6, as the other form can't tell our address
 * from a broadcast one. It does not hear groups that others on the host have
 * joined.
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

/* A socket for a port, or -errno; @both: of AF_INET6, and serves IPv4, too */
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
		rc = start_receiving(fd, r->proto, family, both);
	if (rc) {
		close(fd);
		return rc;
	}

	return fd;
}

/* A socket for a port, or -errno: -EAFNOSUPPORT if none of the rule's families
 * is in use. Both families share one socket if the host has IPv6. */
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

static void take_listener_slot(struct fwd *f, uint32_t slot)
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
 * The limit is checked after bind(): fwd_apply() evicts another listener for
 * one that is over the limit, and not for a port that can't be bound.
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
 * listener_close() - Close a listener; its token stands for nothing then
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
 * fwd_next_listener() - Iterate over the listeners, in the order of slots
 * @f:		listeners
 * @l:		the previous one, NULL: begin
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
