// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * multicast.c - What the guest sends to more than one host, and what comes for
 * groups.
 * Called by udp.c and passt.c; calls udp/flow.c, tap.c, forward.c and sockets.
 */
#include "udp/multicast.h"

/* to_many() - Whether a destination is a group or limited broadcast */
static bool to_many(const struct in6_addr *dst)
{
	return addr_is_multicast(dst) ||
	       (addr_is_v4(dst) && addr_v4(dst).s_addr == INADDR_BROADCAST);
}

/**
 * udp_multicast_input() - Datagrams from the guest that may be for many
 * @u:		UDP
 * @run:	packets with the same addresses and ports
 * @n:		how many
 * @now:	ms
 *
 * Return: whether they were, and are done with; false: udp_input() goes on
 */
bool udp_multicast_input(struct udp *u, const struct pkt *run, unsigned int n,
			 uint64_t now)
{
	if (!to_many(&run->dst))
		return false;
	u->count[UDP_MULTICAST] += n;
	return true;
}

/**
 * udp_multicast_event() - A flow's socket has something to say
 * @u:		UDP
 * @uf:		flow
 * @events:	EPOLL*
 * @now:	ms
 *
 * Return: whether it is one of a query to a group, and done with; false:
 *	   udp_event() goes on
 */
bool udp_multicast_event(struct udp *u, struct udp_flow *uf, uint32_t events,
			 uint64_t now)
{
	return false;
}

/**
 * udp_multicast_open() - Join the groups, for --multicast
 * @u:		UDP
 * @if4, @if6:	interface for each family, 0: none
 *
 * Return: 0, or -ENOMEM
 */
int udp_multicast_open(struct udp *u, uint32_t if4, uint32_t if6)
{
	return 0;
}

/**
 * udp_multicast_close() - Leave the groups
 * @u:		UDP
 */
void udp_multicast_close(struct udp *u)
{
}

/**
 * udp_multicast_group() - The socket of a group has datagrams
 * @u:		UDP
 * @index:	of the group
 * @now:	ms
 */
void udp_multicast_group(struct udp *u, unsigned int index, uint64_t now)
{
}
