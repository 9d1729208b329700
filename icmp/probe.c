// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * probe.c - Probes the guest's MTU: sends the guest a long echo request. The
 * reply shows the MTU.
 */
#include <netinet/icmp6.h>

#include "icmp/error.h"

/* send_probe() - Send an echo request that is as long as the announced MTU to
 * the guest's address @dst */
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
 * out whether it accepts longer packets
 *
 * A guest shows its MTU by the lengths of its packets and by its MSS (see
 * tap_show_mtu()). If the guest has not shown its MTU, passt sends it an echo
 * request that is as long as the announced MTU. If the guest replies, the reply
 * is as long as the request, or its fragments have the length of the guest's
 * MTU.
 *
 * A probe has a risk: if the request is too long for the guest's network card,
 * the card may lose other frames, too. qemu's ne2k_pci overwrites all of its
 * buffer with the request. The gain is small, because a larger MTU only makes
 * bulk flows faster. So passt sends many packets in fragments before it probes.
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
