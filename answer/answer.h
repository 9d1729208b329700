/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * answer.h - The answering services: ARP, NDP, DHCP and DHCPv6, which passt
 * answers itself. They read struct lease. They change only struct answer, and
 * what struct tap knows of the guest's addresses.
 */
#ifndef ANSWER_ANSWER_H
#define ANSWER_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "answer/msgbuf.h"
#include "answer/past.h"
#include "flow/timer.h"
#include "conf/lease.h"
#include "tap.h"

#define ANSWER_RA_DELAY	500	/* ms: MAX_RA_DELAY_TIME of RFC 4861 10 */

#define NDP_HOPS	255	/* hop limit: a router would have reduced it,
				 * RFC 4861 6.1, 7.1 */
#define NDP_MAX		IP6_MTU_MIN	/* bytes of the longest message */
#define NDP_OPT_UNIT	8	/* bytes: unit of an option's length field */

/**
 * struct answer - State of the answering services
 * @tap:	replies are sent here
 * @lease:	what the services tell the guest
 * @timers:	timers of the worker; @ra is one of them
 * @ra:		timer for the next router advertisement to all nodes
 * @ra_sent:	number of router advertisements to all nodes since the guest has
 *		connected or the lease has changed, at most 3 (RFC 4861 6.2.4)
 * @ra_next:	when the next router advertisement to all nodes may be sent at
 *		the earliest, ms (RFC 4861 6.2.6)
 * @ra_src:	source address of the last router advertisement; none: no
 *		advertisement was sent
 * @random:	random number, changed by each use
 * @past:	entries that are gone from the lease
 */
struct answer {
	struct tap *tap;
	const struct lease *lease;
	struct timers *timers;
	struct timer ra;
	unsigned int ra_sent;
	uint64_t ra_next;
	struct in6_addr ra_src;
	uint64_t random;
	struct past past;
};

void answer_init(struct answer *a, struct tap *tap, const struct lease *lease,
		 struct timers *timers, uint8_t timer_type);
void answer_guest_up(struct answer *a, uint64_t now);

void answer_lease_changed(struct answer *a, const struct lease *old,
			  uint64_t now);
void answer_refresh(struct answer *a, uint64_t now);
bool answer_from_guest(struct answer *a, const struct pkt *pkt, uint64_t now);
void ra_timer(struct answer *a, uint64_t now);

/* Only the files of answer/ call the functions below. */
void arp_from_guest(struct answer *a, const struct pkt *pkt);
bool ndp_from_guest(struct answer *a, const struct pkt *pkt, uint64_t now);
bool dhcp_from_guest(struct answer *a, const struct pkt *pkt);
bool dhcpv6_from_guest(struct answer *a, const struct pkt *pkt);

void arp_lease_changed(struct answer *a, const struct lease *old);
void ndp_lease_changed(struct answer *a, const struct lease *old);
void ra_lease_changed(struct answer *a, const struct lease *old, uint64_t now);
void ra_refresh(struct answer *a, uint64_t now);

/* ra.c */
void ra_send(struct answer *a, const struct in6_addr *to, const uint8_t *dmac);

/* reply.c */
struct in6_addr answer_own_ll(const struct lease *l);
void answer_udp_init(struct msgbuf *w, uint8_t *buf, size_t size);
void answer_send(struct answer *a, const struct ip_hdr *ip, const uint8_t *dmac,
		 const struct msgbuf *w);
void answer_udp_send(struct answer *a, struct ip_hdr *ip, const uint8_t *dmac,
		     uint16_t sport, uint16_t dport, struct msgbuf *w);
void answer_ndp_send(struct answer *a, const struct in6_addr *src,
		     const struct in6_addr *dst, const uint8_t *dmac,
		     const struct msgbuf *w);
void answer_put_lladdr(struct msgbuf *w, uint8_t type,
		       const uint8_t mac[MAC_LEN]);

#endif /* ANSWER_ANSWER_H */
