/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * answer.h - What passt answers the guest itself: ARP, NDP, DHCP, DHCPv6. A
 * service reads struct lease and changes nothing but its state in struct
 * answer.
 */
#ifndef ANSWER_ANSWER_H
#define ANSWER_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "answer/msgbuf.h"
#include "flow/timer.h"
#include "conf/lease.h"
#include "tap.h"

#define ANSWER_RA_DELAY	500	/* ms, MAX_RA_DELAY_TIME of RFC 4861 10 */

/**
 * struct answer - State of the answering services
 * @tap:	where replies go
 * @lease:	what the guest is told
 * @timers:	for periodic router advertisements
 * @ra:		when the next one is due
 * @ra_sent:	number of initial ones sent so far (RFC 4861 6.2.4)
 */
struct answer {
	struct tap *tap;
	const struct lease *lease;
	struct timers *timers;
	struct timer ra;
	unsigned int ra_sent;
};

void answer_init(struct answer *a, struct tap *tap, const struct lease *lease,
		 struct timers *timers, uint8_t timer_type);
void answer_guest_up(struct answer *a, uint64_t now);

bool answer_from_guest(struct answer *a, const struct pkt *pkt, uint64_t now);
void ndp_timer(struct answer *a, uint64_t now);

/* For the services only. */
void arp_from_guest(struct answer *a, const struct pkt *pkt);
bool ndp_from_guest(struct answer *a, const struct pkt *pkt, uint64_t now);
bool dhcp_from_guest(struct answer *a, const struct pkt *pkt);
bool dhcpv6_from_guest(struct answer *a, const struct pkt *pkt);

/* reply.c */
struct in6_addr answer_own_ll(const struct answer *a);
void answer_udp_init(struct msgbuf *w, uint8_t *buf, size_t size);
void answer_udp_send(struct answer *a, struct ip_hdr *ip, uint16_t sport,
		     uint16_t dport, struct msgbuf *w);

#endif /* ANSWER_ANSWER_H */
