/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * icmp.h - Echo over ping sockets, and ICMP and ICMPv6 errors to the guest.
 * Called by passt.c; icmp_error() by TCP and UDP. Calls tap.c and the flow
 * table.
 */
#ifndef ICMP_H
#define ICMP_H

#include <netinet/in.h>
#include <stdint.h>

#include "flow/forward.h"
#include "flow/table.h"
#include "tap.h"

#define ICMP_ECHO_EXPIRE	(60 * SEC)

/* What is counted. */
enum icmp_counter {
	ICMP_OPENED,		/* ping sockets */
	ICMP_REFUSED,		/* no slot or descriptor, or not allowed */
	ICMP_UNASKED,		/* replies from a host that was not asked */
	ICMP_ERRORS,		/* errors sent to the guest */
	ICMP_LIMITED,		/* errors not sent: rate limit */
	ICMP_COUNTERS,
};

extern const char *const icmp_counter_name[ICMP_COUNTERS];

/**
 * struct icmp - Everything ICMP
 * @tap, @flows, @timers, @fwd: what it works with
 * @tokens, @refilled: bucket of errors to the guest (RFC 4443 2.4 (f))
 * @count:	see enum icmp_counter
 */
struct icmp {
	struct tap *tap;
	struct flow_table *flows;
	struct timers *timers;
	const struct fwd *fwd;
	unsigned int tokens;
	uint64_t refilled;
	uint64_t count[ICMP_COUNTERS];
};

/**
 * struct icmp_quote - The packet of the guest that an error is about
 * @key:	its flow: addresses and ports as the guest wrote them
 * @l4:		the start of its transport header, 8 bytes or more, as it was;
 *		rebuilt from @key where it is not at hand
 * @len:	bytes at @l4
 * @total:	bytes its transport header and payload had in all
 */
struct icmp_quote {
	const struct flow_key *key;
	const uint8_t *l4;
	size_t len, total;
};

size_t icmp_flow_size(void);
void icmp_init(struct icmp *i);
void icmp_check_allowed(const struct icmp *i);
void icmp_input(struct icmp *i, const struct pkt *pkt, uint64_t now);
void icmp_event(struct icmp *i, struct flow *f, uint32_t events, uint64_t now);
void icmp_timer(struct icmp *i, struct flow *f, uint64_t now);
bool icmp_error(struct icmp *i, int error, const struct in6_addr *from,
		uint32_t mtu, const struct icmp_quote *q, uint64_t now);
void icmp_guest_gone(struct icmp *i);

#endif /* ICMP_H */
