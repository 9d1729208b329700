// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * probe.c - Ask the guest to show which MTU it has.
 */
#include <netinet/icmp6.h>

#include "icmp/error.h"

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
 * icmp_probe_mtu() - If many packets were sent to the guest in fragments, find
 * out whether it takes longer packets
 *
 * A guest shows its MTU by the lengths of its packets and by its MSS (see
 * tap_show_mtu()). If it has not done so, it is sent an echo request as long as
 * the MTU that was announced to it. If it answers, the reply is as long, or its
 * fragments have the length of its MTU.
 *
 * That is for the speed of bulk flows only, so it is not done for the first
 * fragments. A card that can't take the request may lose other frames with it:
 * qemu's ne2k_pci writes it over all of its buffer.
 */
void icmp_probe_mtu(struct icmp_errors *e)
{
	struct tap *t = e->tap;

	if (t->ncut < e->probe_at)
		return;
	e->probe_at = e->probe_at < ICMP_PROBE_LAST ?
		      e->probe_at * ICMP_PROBE_NEXT : UINT64_MAX;
	if (!addr_is_none(&e->net->lease.router[addr_ip(&t->cut_for)]))
		send_probe(e, &t->cut_for);
}
