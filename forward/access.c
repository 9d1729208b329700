// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * access.c - Keeps the guest from the host's own addresses (--no-host-access).
 *
 * For each flow that the guest opens, passt asks the kernel for the route to
 * the peer (RTM_GETROUTE). The kernel knows all addresses of the host,
 * including broadcast addresses and those that were added since the start. A
 * list of our own would miss some. The kernel writes the answer during send(),
 * so passt never waits for it.
 */
/* syscalls: start: socket; run: close */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward/access.h"
#include "forward/nat.h"
#include "rtnl.h"
#include "sock.h"
#include "util.h"

#define ANSWER_MAX	4096	/* bytes; Linux sends less than 300 per route */

/**
 * access_open() - Prepare to ask the kernel
 * @a:		filled
 * @net:	network of the guest
 *
 * Return: 0, or -errno
 */
int access_open(struct access *a, const struct net *net)
{
	*a = (struct access){ .net = net };
	a->nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return a->nl < 0 ? -errno : 0;
}

/* access_close() - Close the socket, if it is open */
void access_close(struct access *a)
{
	if (a->net)
		close(a->nl);
	a->net = NULL;
}

/* ask_route() - Ask the kernel for the route to @dst by the interface @oif (0:
 * by any interface); returns whether the request was sent */
static bool ask_route(struct access *a, const struct in6_addr *dst,
		      uint32_t oif)
{
	struct route_request r;

	route_request_make(&r, dst, oif, ++a->seq);
	return sock_send(a->nl, &r, r.h.nlmsg_len, MSG_DONTWAIT) >= 0;
}

/* is_own_route() - Whether a type of route (RTN_*) leads to the host itself: it
 * is local, anycast, broadcast, or a type that this code does not know */
static bool is_own_route(unsigned char type)
{
	return type != RTN_UNICAST && type != RTN_BLACKHOLE &&
	       type != RTN_UNREACHABLE && type != RTN_PROHIBIT &&
	       type != RTN_THROW;
}

/**
 * read_route() - Read one message as the answer to the last request
 * @a:		state
 * @h:		message
 * @len:	bytes of the message
 * @own:	set on success: whether the address in the last request is the
 *		host's
 *
 * If there is no route, the kernel answers with an error. The address is then
 * not the host's, and connect() or send() will fail with the same error. An
 * error that says that memory is short does not tell whose the address is. To
 * be safe, @own is then true.
 *
 * Return: false if the message is not the answer to the last request
 */
static bool read_route(const struct access *a, const struct nlmsghdr *h,
		       size_t len, bool *own)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);
	const struct rtmsg *m = NLMSG_DATA(h);

	if (len < sizeof(*h) || h->nlmsg_len > len ||
	    h->nlmsg_seq != a->seq)
		return false;
	if (h->nlmsg_type == NLMSG_ERROR &&
	    h->nlmsg_len >= NLMSG_LENGTH(sizeof(*e))) {
		*own = e->error == -ENOMEM || e->error == -ENOBUFS;
		return true;
	}
	if (h->nlmsg_type != RTM_NEWROUTE ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return false;
	*own = is_own_route(m->rtm_type);
	return true;
}

/* is_own_address() - Whether an address is the host's, for packets that leave
 * by the interface @oif (0: by any interface). Also true if the kernel does not
 * answer */
static bool is_own_address(struct access *a, const struct in6_addr *dst,
			   uint32_t oif)
{
	union {
		struct nlmsghdr h;
		uint8_t bytes[ANSWER_MAX];
	} answer;
	ssize_t n;
	bool own;

	if (!ask_route(a, dst, oif))
		return true;
	/* An answer to an earlier request may still wait in the socket. Then
	 * read_route() returns false. */
	while ((n = sock_recv(a->nl, &answer, sizeof(answer),
			      MSG_DONTWAIT)) > 0) {
		if (read_route(a, &answer.h, (size_t)n, &own))
			return own;
	}
	return true;
}

/**
 * access_denied() - Whether the guest may not reach a peer, because the address
 * is the host's
 * @a:		state; NULL: the guest may reach every address
 * @visible:	guest-visible address of the peer
 * @port:	destination port, 0: none
 * @real:	real address of the peer
 * @scope:	interface index for a link-local @real; 0: the interface that
 *		nat_scope() returns
 *
 * The resolver of --dns-forward is always allowed, even on the host, because
 * the user has asked for it.
 *
 * Return: true if @real is an address of the host now, and the guest may not
 *	   reach those
 */
bool access_denied(struct access *a, const struct in6_addr *visible,
		   uint16_t port, const struct in6_addr *real, uint32_t scope)
{
	const char *ifname;

	if (!a || nat_by_port(a->net, visible, port))
		return false;
	if (!addr_is_v4(real) && addr_is_linklocal(real))
		return is_own_address(a, real, scope ? scope :
				      nat_scope(a->net, real));
	if (is_own_address(a, real, 0))
		return true;
	/* The kernel finds an address of a VRF only if the request names an
	 * interface of this VRF. */
	ifname = a->net->source_ifname[addr_ip(real)];
	return *ifname && is_own_address(a, real, sock_ifindex(ifname));
}
