// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * arp.c - Answers ARP requests (RFC 826): passt says that all addresses except
 * the guest's own are at the MAC address of passt.
 *
 * A probe (RFC 5227 2.1.1) asks whether an address is in use. A probe is
 * answered for the router's address only, because the guest may take any other
 * address. If the router's address changes, passt announces it (RFC 5227 2.3).
 */
#include <net/if_arp.h>

#include "answer/answer.h"

/**
 * struct arp_packet - ARP for IPv4 over Ethernet, integers in network order
 * @hrd, @pro:	hardware type, protocol type
 * @hln, @pln:	length of a hardware address, of a protocol address, bytes
 * @op:		operation, ARPOP_*
 * @sha, @spa:	MAC address and IPv4 address of the sender
 * @tha, @tpa:	MAC address and IPv4 address of the target
 */
struct arp_packet {
	uint16_t hrd, pro;
	uint8_t hln, pln;
	uint16_t op;
	uint8_t sha[MAC_LEN];
	struct in_addr spa;
	uint8_t tha[MAC_LEN];
	struct in_addr tpa;
} __attribute__((packed));

struct arp_frame {
	uint8_t dmac[MAC_LEN], smac[MAC_LEN];
	uint16_t etype;
	struct arp_packet arp;
} __attribute__((packed));

_Static_assert(sizeof(struct arp_packet) == ARP_LEN, "RFC 826");

/* is_arp_request() - Whether an ARP packet is a request about an IPv4
 * address */
static bool is_arp_request(const struct arp_packet *p)
{
	return p->hrd == htons(ARPHRD_ETHER) && p->pro == htons(ETH_P_IP) &&
	       p->hln == MAC_LEN && p->pln == sizeof(p->tpa) &&
	       p->op == htons(ARPOP_REQUEST);
}

static bool wants_arp_reply(const struct answer *a, const struct arp_packet *p)
{
	struct in6_addr sender = addr_from_v4(p->spa);
	struct in6_addr target = addr_from_v4(p->tpa);

	if (addr_eq(&sender, &target))		/* an announcement */
		return false;
	if (addr_eq(&target, &a->lease->router[IP4]))
		return true;
	if (p->spa.s_addr == INADDR_ANY)	/* a probe */
		return false;
	return addr_is_unicast(&target) &&
	       !lease_has(a->lease, &target) &&
	       !addr_eq(&target, tap_guest_addr(a->tap, &target));
}

static void send_arp_reply(struct answer *a, const struct arp_packet *p)
{
	struct arp_frame f = { .etype = htons(ETH_P_ARP), .arp = *p };

	memcpy(f.dmac, p->sha, MAC_LEN);
	memcpy(f.smac, a->lease->mac, MAC_LEN);
	f.arp.op = htons(ARPOP_REPLY);
	memcpy(f.arp.sha, a->lease->mac, MAC_LEN);
	f.arp.spa = p->tpa;
	memcpy(f.arp.tha, p->sha, MAC_LEN);
	f.arp.tpa = p->spa;
	tap_send(a->tap, &f, sizeof(f));
}

/**
 * arp_from_guest() - Answer an ARP request for an address other than the
 *		guest's own, if the lease has an IPv4 address
 * @a:		state of the services
 * @pkt:	ARP packet
 *
 * An announcement is not answered. A probe is answered only if it is for the
 * router's address.
 */
void arp_from_guest(struct answer *a, const struct pkt *pkt)
{
	struct arp_packet p;

	if (addr_is_none(&a->lease->addr[IP4]) || pkt->l3len < sizeof(p))
		return;

	memcpy(&p, pkt->l3, sizeof(p));
	if (is_arp_request(&p) && wants_arp_reply(a, &p))
		send_arp_reply(a, &p);
}

/**
 * arp_lease_changed() - Announce the router by a gratuitous ARP request, if its
 *		IPv4 address or our MAC address has changed
 * @a:		state of the services
 * @old:	lease that was in force until now
 */
void arp_lease_changed(struct answer *a, const struct lease *old)
{
	const struct lease *l = a->lease;
	struct in_addr router = addr_v4(&l->router[IP4]);
	struct arp_frame f = {
		.etype = htons(ETH_P_ARP),
		.arp = {
			.hrd = htons(ARPHRD_ETHER), .pro = htons(ETH_P_IP),
			.hln = MAC_LEN, .pln = sizeof(f.arp.spa),
			.op = htons(ARPOP_REQUEST),
			.spa = router, .tpa = router,
		},
	};

	if (addr_is_none(&l->addr[IP4]) ||
	    (addr_eq(&l->router[IP4], &old->router[IP4]) &&
	     !memcmp(l->mac, old->mac, MAC_LEN)))
		return;
	memset(f.dmac, 0xff, MAC_LEN);
	memcpy(f.smac, l->mac, MAC_LEN);
	memcpy(f.arp.sha, l->mac, MAC_LEN);
	tap_send(a->tap, &f, sizeof(f));
}
