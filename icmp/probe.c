// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * probe.c - Ask the guest to show which MTU it has.
 */
#include <netinet/icmp6.h>

#include "icmp/error.h"

/* How many times one guest is asked, and how long each time it gets to answer,
 * ms. It may have a firewall, or be busy. */
#define PROBES_MAX	3
#define PROBE_INTERVAL	SEC

/* send_probe() - Send an echo request of the announced MTU to the address @dst
 * of the guest */
static void send_probe(struct icmp_errors *e, const struct in6_addr *dst)
{
	bool v4 = addr_is_v4(dst);
	struct ip_hdr ip = {
		.src = e->net->lease.router[addr_ip(dst)], .dst = *dst,
		.proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
	};
	uint8_t request[IP_LEN_MAX] = {
		v4 ? ICMP4_ECHO_REQUEST : ICMP6_ECHO_REQUEST,
	};
	struct tap_hdr h;

	tap_hdr_init(&h, e->tap, &ip);
	tap_l4_send(e->tap, &h, request, tap_mtu(e->tap) + ETH_HLEN - h.len, 0);
}

/**
 * icmp_probe_mtu() - If a packet was sent to the guest in fragments, and the
 * guest may take longer ones, find that out
 *
 * A guest shows its MTU by the lengths of its packets and by its MSS (see
 * tap_show_mtu()). If it has not done so, it is sent an echo request as long as
 * the MTU that was announced to it. If its network card drops the request,
 * nothing else is lost. If it answers, the reply is as long, or its fragments
 * have the length of its MTU.
 */
void icmp_probe_mtu(struct icmp_errors *e, uint64_t now)
{
	struct in6_addr dst = e->tap->cut_for;

	if (addr_is_none(&dst))
		return;
	e->tap->cut_for = ADDR_NONE;
	if (e->probes == PROBES_MAX || now < e->probe_due ||
	    addr_is_none(&e->net->lease.router[addr_ip(&dst)]))
		return;
	e->probes++;
	e->probe_due = now + PROBE_INTERVAL;
	send_probe(e, &dst);
}
