// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * answer.c - Starts the answering services, and passes packets of the guest to
 * them.
 */
#include "answer/answer.h"

/**
 * answer_init() - Prepare the services
 * @a:		state of the services
 * @tap:	replies are sent here
 * @lease:	what the services tell the guest; it may change later
 * @timers:	timers of the worker
 * @timer_type:	type of the timer for router advertisements
 */
void answer_init(struct answer *a, struct tap *tap, const struct lease *lease,
		 struct timers *timers, uint8_t timer_type)
{
	*a = (struct answer){ .tap = tap, .lease = lease, .timers = timers };
	random_bytes(&a->random, sizeof(a->random));
	timer_init(&a->ra, timer_type);
}

/**
 * answer_guest_up() - Schedule the first router advertisement for a guest that
 *		has connected (RFC 4861 6.2.4), ANSWER_RA_DELAY from now
 * @a:		state of the services
 */
void answer_guest_up(struct answer *a, uint64_t now)
{
	a->ra_sent = 0;
	a->ra_next = now;
	a->ra_src = ADDR_NONE;
	a->past = (struct past){ .search = "" };
	if (a->lease->ndp && a->lease->ra)
		timer_arm(a->timers, &a->ra, now + ANSWER_RA_DELAY);
}

/**
 * answer_lease_changed() - Tell the guest that its lease has changed
 * @a:		state of the services. @a->lease is the new lease already
 * @old:	lease that was in force until now
 *
 * ARP and NDP announce our new address. Router advertisements withdraw the
 * entries that are gone. DHCP and DHCPv6 clients can't be told: they learn of
 * the change when they renew the lease, after T1. If no guest is connected,
 * this function does nothing.
 */
void answer_lease_changed(struct answer *a, const struct lease *old,
			  uint64_t now)
{
	if (!link_up(a->tap->link))
		return;

	past_note(&a->past, old, a->lease);
	arp_lease_changed(a, old);
	ndp_lease_changed(a, old);
	ra_lease_changed(a, old, now);
}

/**
 * answer_refresh() - Tell the guest its lease again, because it may have aged
 *		while the host slept, or while passt was stopped
 * @a:		state of the services
 *
 * The lifetimes of the router advertisement start anew. Clients of DHCP and
 * DHCPv6 renew their leases by their own clocks. If no guest is connected, this
 * function does nothing.
 */
void answer_refresh(struct answer *a, uint64_t now)
{
	if (link_up(a->tap->link))
		ra_refresh(a, now);
}

/**
 * answer_from_guest() - Offer a packet to the answering services
 * @a:		state of the services
 * @pkt:	packet of any protocol
 *
 * Return: true if the packet was for one of the services, even if the service
 *	   does not answer it
 */
bool answer_from_guest(struct answer *a, const struct pkt *pkt, uint64_t now)
{
	if (pkt->etype == ETH_P_ARP) {
		arp_from_guest(a, pkt);
		return true;
	}
	if (pkt->proto == IPPROTO_UDP)
		return dhcp_from_guest(a, pkt) || dhcpv6_from_guest(a, pkt);
	return ndp_from_guest(a, pkt, now);
}
