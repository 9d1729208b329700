// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * host.c - Reads what the host has. Nothing is kept between two calls, and no
 * message is logged: errors are values like the rest.
 */
/* syscalls: start: close ioctl socket */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/host.h"
#include "host/netlink.h"

/* family_exists() - Whether the kernel has a family at all */
static bool family_exists(int af)
{
	int s = socket(af, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return errno != EAFNOSUPPORT;
	close(s);
	return true;
}

/* read_family() - Read one family, from @ifname, empty: as its routes say */
static void read_family(struct host_family *h, int nl, int af,
			const char *ifname)
{
	h->exists = family_exists(af);
	if (!h->exists)
		return;

	if (*ifname)
		h->ifindex = if_nametoindex(ifname);
	else
		h->ifindex = nl_default_if(nl, af);
	if (!h->ifindex || !if_indextoname(h->ifindex, h->ifname))
		return;
	nl_address(nl, af, h->ifindex, &h->addr, &h->len);
	nl_gateway(nl, af, h->ifindex, &h->gateway);
}

/**
 * host_read() - Read what the host has at this moment
 * @h:		filled
 * @ifname:	interface to take address and gateway from, for each family;
 *		empty: the one that leads to the network
 */
void host_read(struct host *h, const char *const ifname[FAMILIES])
{
	int nl = nl_open();

	*h = (struct host){ .nl_error = MIN(nl, 0) };
	read_family(&h->family[IP4], nl, AF_INET, ifname[IP4]);
	read_family(&h->family[IP6], nl, AF_INET6, ifname[IP6]);
	if (nl >= 0)
		close(nl);
	h->resolv_error = resolv_read(&h->resolv, RESOLV_CONF);
}
