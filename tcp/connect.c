// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * connect.c - Connects sockets to peers, for connections that the guest opens.
 * A connection to the address of --dns-forward goes to one resolver after the
 * other until one accepts it.
 */
/* syscalls: close connect */
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward/nat.h"
#include "log.h"
#include "tcp/flow.h"

#define DNS_PORT	53	/* RFC 1035 4.2.2 */

/* If there is another resolver to try, how many SYNs the host's kernel sends to
 * one of them: it gives up 2 or 3 s after the first. */
#define RESOLVER_SYNS	2

/* A resolver stays the current one although a connection to it has failed, if
 * it has answered a query by UDP within this time, ms. */
#define RESOLVER_HEARD	(2 * SEC)

/*
 * Open a socket for the guest's connection, and start to connect it to the
 * peer, whose real address is @peer.
 * Return: 0, or -errno.
 */
static int start_connect(struct tcp *t, struct tcp_flow *f,
			 const struct in6_addr *peer, uint16_t port)
{
	struct sock_source src = nat_source(t->net, peer);
	union sockaddr_any sa;
	uint16_t any = 0;
	socklen_t len;
	int fd;

	if (access_denied(t->access, &f->flow.key.peer, port, peer, 0))
		return -EACCES;
	fd = sock_open_bound(&src, SOCK_STREAM, IPPROTO_TCP, &any, false);
	if (sock_lacks_resource(fd) && tcp_flow_evict(t))
		fd = sock_open_bound(&src, SOCK_STREAM, IPPROTO_TCP, &any,
				     false);
	if (fd < 0)
		return fd;
	if (fd >= t->max_fd && tcp_flow_evict(t)) {
		close(fd);	/* the next one gets a lower number */
		fd = sock_open_bound(&src, SOCK_STREAM, IPPROTO_TCP, &any,
				     false);
		if (fd < 0)
			return fd;
	}
	f->flow.fd[SIDE_HOST] = fd;
	if (fd >= t->max_fd) {
		LOG_LIMITED(LOG_WARNING, "no descriptors left: connections of the guest are refused; raise the limit (ulimit -n)");
		return -EMFILE;
	}
	if (f->resolvers_left)
		sock_set(fd, IPPROTO_TCP, TCP_SYNCNT, RESOLVER_SYNS - 1);
	len = sockaddr_set(&sa, peer, port, nat_scope(t->net, peer));
	if (connect(fd, &sa.sa, len) && errno != EINPROGRESS)
		return -errno;
	return flow_watch(t->flows, &f->flow, SIDE_HOST, TCP_EVENTS);
}

/*
 * use_resolvers() - If the guest's connection is to the address of
 * --dns-forward, let it go to the current resolver, whose real address is then
 * @peer, and to the others if that one fails
 */
static void use_resolvers(struct tcp *t, struct tcp_flow *f,
			  struct in6_addr *peer)
{
	const struct in6_addr *visible = &f->flow.key.peer;
	unsigned int n = t->resolvers ?
		resolvers_count(t->resolvers, visible, f->flow.key.pport) : 0;

	if (!n)
		return;
	f->resolver = (uint8_t)resolvers_at(t->resolvers, visible);
	f->resolvers_left = (uint8_t)(n - 1);
	f->resolvers_changes = t->resolvers->changes;
	*peer = resolvers_current(t->resolvers, visible);
}

/**
 * next_resolver() - After a resolver has failed, close the flow's socket, and
 * take the next resolver
 * @peer:	set to the real address of the next resolver
 *
 * If the connection is to port 853, the current resolver stays: many resolvers
 * do not have DNS over TLS.
 *
 * Return: false if no resolver is left, or if the host has other resolvers by
 *	   now, or none
 */
static bool next_resolver(struct tcp *t, struct tcp_flow *f,
			  struct in6_addr *peer, uint64_t now)
{
	const struct in6_addr *visible = &f->flow.key.peer;

	if (!f->resolvers_left ||
	    f->resolvers_changes != t->resolvers->changes)
		return false;
	*peer = resolvers_get(t->resolvers, visible, f->resolver);
	if (f->flow.key.pport == DNS_PORT)
		resolvers_failed(t->resolvers, visible, peer,
				 now - MIN(now, RESOLVER_HEARD));
	f->resolvers_left--;
	f->resolver++;
	*peer = resolvers_get(t->resolvers, visible, f->resolver);
	tcp_sock_close(t, f, false);
	return true;
}

/* connect_any() - Start to connect the guest's connection to the real address
 * @peer, or if that fails at once, to the resolvers that are left; 0 or
 * -errno */
static int connect_any(struct tcp *t, struct tcp_flow *f, struct in6_addr *peer,
		       uint64_t now)
{
	int rc;

	list_remove(&f->flow.node);
	do {
		rc = start_connect(t, f, peer, f->flow.key.pport);
	} while (rc < 0 && !sock_lacks_resource(rc) &&
		 next_resolver(t, f, peer, now));
	if (!rc)
		list_push(&t->connecting, &f->flow.node);
	return rc;
}

/**
 * tcp_connect() - Open a socket for a connection of the guest, and start to
 * connect it to the peer
 * @f:		flow of the connection, which has no socket yet
 * @peer:	real address of the peer, if the guest does not connect to the
 *		address of --dns-forward
 *
 * Return: 0, or -errno
 */
int tcp_connect(struct tcp *t, struct tcp_flow *f, struct in6_addr peer,
		uint64_t now)
{
	use_resolvers(t, f, &peer);
	return connect_any(t, f, &peer, now);
}

/**
 * tcp_connect_again() - After the socket could not be connected, start to
 * connect another one to the next resolver, if there is one
 * @error:	errno of the socket
 *
 * Return: 0, or the errno for which the connection has failed
 */
int tcp_connect_again(struct tcp *t, struct tcp_flow *f, int error,
		      uint64_t now)
{
	struct in6_addr peer;

	if (!next_resolver(t, f, &peer, now))
		return error;
	return -connect_any(t, f, &peer, now);
}
