// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * host.c - Reads the host's addresses, routes and resolvers. These functions
 * keep no state, and log no message: struct host has fields for errors.
 */
/* syscalls: close socket */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/host.h"
#include "host/netlink.h"
#include "host/paths.h"
#include "sock.h"

#define LOOPBACK_IFINDEX	1	/* of lo in every network namespace:
					 * include/net/net_namespace.h */

/* is_shortage() - Whether an errno means that descriptors or memory are
 * short */
static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM ||
	       error == ENOBUFS;
}

/* family_exists() - Whether the kernel supports an address family */
static bool family_exists(int af)
{
	int s = socket(af, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return errno != EAFNOSUPPORT;
	close(s);
	return true;
}

/*
 * read_address() - Read the host's address of one family into @h. If @h has no
 *		interface yet, also set its interface
 * @src:	source address that the default route prefers; none: the route
 *		prefers none
 * @given:	the user named the interface
 *
 * The interface of the default route may have no address: a routed host often
 * has its addresses on the loopback interface. Then any global address of the
 * host is taken, as the kernel does when it chooses a source address. Without a
 * default route, this is done for IPv6 only: a guest uses IPv4 even if it has
 * only a link-local address, but it uses IPv6 only if it has a global one.
 */
static void read_address(struct host_family *h, struct nl *nl, int af,
			 const struct in6_addr *src, bool given)
{
	unsigned int at;

	if (h->ifindex &&
	    nl_address(nl, af, h->ifindex, src, &h->addr, &h->len))
		return;
	if (given || (!h->ifindex && af == AF_INET))
		return;
	at = nl_address(nl, af, 0, src, &h->addr, &h->len);
	if (!h->ifindex && at != LOOPBACK_IFINDEX)
		h->ifindex = at;
}

/* read_family() - Read address and gateway of one family from the interface
 * @ifname. If there is no interface of that name, use the one that
 * nl_default_if() finds. Returns 0, or -errno if the kernel could not be
 * asked */
static int read_family(struct host_family *h, struct nl *nl, int af,
			const char *ifname)
{
	struct in6_addr src = ADDR_NONE;

	h->exists = family_exists(af);
	if (!h->exists)
		return 0;

	h->ifindex = *ifname ? sock_ifindex(ifname) : 0;
	if (*ifname && !h->ifindex && errno != ENODEV)
		return -errno;
	if (!h->ifindex)
		h->ifindex = nl_default_if(nl, af);
	nl_gateway(nl, af, h->ifindex, &h->gateway, &src);
	read_address(h, nl, af, &src, *ifname);
	if (!h->ifindex || sock_ifname(h->ifindex, h->ifname))
		return 0;
	*h = (struct host_family){ .exists = true };
	return errno == ENODEV ? 0 : -errno;
}

/**
 * host_read() - Read the host's current addresses, routes and resolvers
 * @h:		filled
 * @nl:		what nl_open() returned: a netlink socket, or -errno
 * @ifname:	for each family, the interface to read address and gateway from.
 *		If the name is empty, or no interface has that name,
 *		nl_default_if() finds the interface
 */
void host_read(struct host *h, int nl, const char *const ifname[FAMILIES])
{
	struct nl socket = { .fd = nl, .error = MIN(nl, 0) };
	int rc4, rc6;

	*h = (struct host){ 0 };
	rc4 = read_family(&h->family[IP4], &socket, AF_INET, ifname[IP4]);
	rc6 = read_family(&h->family[IP6], &socket, AF_INET6, ifname[IP6]);
	h->nl_error = socket.error ? socket.error : rc4 ? rc4 : rc6;
	h->resolv_error = resolv_read(&h->resolv, paths_open_resolv());
}

/* host_is_known() - Whether host_read() had enough descriptors and memory to
 * read everything, and the kernel has answered all questions, so that the host
 * really lacks what is missing in @h */
bool host_is_known(const struct host *h)
{
	return !h->nl_error && !is_shortage(-h->resolv_error);
}
