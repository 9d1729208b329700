// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * arp.c - Answers ARP requests (RFC 826): every address is at our MAC, except
 * those of the guest. Called by passt.c; calls tap_send().
 *
 * A probe (RFC 5227 2.1.1) asks whether an address is in use, and is answered
 * only for the gateway's: any other the guest may take.
 */
#include <net/if_arp.h>

#include "answer/answer.h"

/**
 * struct arp_packet - ARP for IPv4 over Ethernet, integers in network order
 * @hrd, @pro:	hardware and protocol type
 * @hln, @pln:	length of their addresses
 * @op:		ARPOP_*
 * @sha, @spa:	sender's MAC and IPv4 address
 * @tha, @tpa:	target's
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

/* arp_request() - Whether this is a request for an IPv4 address */
static bool arp_request(const struct arp_packet *p)
{
	return p->hrd == htons(ARPHRD_ETHER) && p->pro == htons(ETH_P_IP) &&
	       p->hln == MAC_LEN && p->pln == sizeof(p->tpa) &&
	       p->op == htons(ARPOP_REQUEST);
}

/**
 * arp_wanted() - Decide whether a request is answered
 * @a:		state of the services
 * @p:		the request
 *
 * Return: true if it is
 */
static bool arp_wanted(const struct answer *a, const struct arp_packet *p)
{
	struct in6_addr sender = addr_from_v4(p->spa);
	struct in6_addr target = addr_from_v4(p->tpa);

	if (addr_eq(&sender, &target))		/* it announces itself */
		return false;
	if (addr_eq(&target, &a->lease->router[IP4]))
		return true;
	if (p->spa.s_addr == INADDR_ANY)	/* it probes */
		return false;
	return addr_is_unicast(&target) &&
	       !addr_eq(&target, &a->lease->addr[IP4]) &&
	       !addr_eq(&target, &a->tap->addr4);
}

/**
 * arp_reply() - Say that an address is at our MAC
 * @a:		state of the services
 * @p:		request for it
 */
static void arp_reply(struct answer *a, const struct arp_packet *p)
{
	struct arp_frame f = { .etype = htons(ETH_P_ARP), .arp = *p };

	memcpy(f.dmac, p->sha, MAC_LEN);
	memcpy(f.smac, a->tap->mac, MAC_LEN);
	f.arp.op = htons(ARPOP_REPLY);
	memcpy(f.arp.sha, a->tap->mac, MAC_LEN);
	f.arp.spa = p->tpa;
	memcpy(f.arp.tha, p->sha, MAC_LEN);
	f.arp.tpa = p->spa;
	tap_send(a->tap, &f, sizeof(f));
}

/**
 * arp_from_guest() - Take an ARP packet from the guest
 * @a:		state of the services; without IPv4 nothing is answered
 * @pkt:	the packet
 */
void arp_from_guest(struct answer *a, const struct pkt *pkt)
{
	struct arp_packet p;

	if (addr_is_none(&a->lease->addr[IP4]) || pkt->l3len < sizeof(p))
		return;

	memcpy(&p, pkt->l3, sizeof(p));
	if (arp_request(&p) && arp_wanted(a, &p))
		arp_reply(a, &p);
}
