/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * icmp.h - Echo over ping sockets, and ICMP and ICMPv6 errors to the guest.
 * Called by passt.c; icmp_error(), icmp_error_pkt() and icmp_report_*() by TCP
 * and UDP. Calls tap.c, forward.c and the flow table.
 *
 * Echo (I1): each identifier of the guest has one ping socket, a flow without
 * remote address, and each host it asked has a flow without socket. Nobody
 * but a host with such a flow is heard.
 */
#ifndef ICMP_H
#define ICMP_H

#include <netinet/in.h>
#include <stdint.h>

#include "forward/listen.h"
#include "list.h"
#include "flow/table.h"
#include "sock.h"
#include "tap.h"

#define ICMP_ECHO_EXPIRE	(60 * SEC)

/* At most, so that no guest's ping takes the descriptors of its connections. */
#define ICMP_SOCKETS		256
#define ICMP_HOSTS		4096

/* Errors to the guest: per second, and in one burst (Linux's defaults of
 * icmp_msgs_per_sec and icmp_msgs_burst). */
#define ICMP_ERROR_RATE		1000
#define ICMP_ERROR_BURST	50

/* What is counted. */
enum icmp_counter {
	ICMP_OPENED,		/* ping sockets */
	ICMP_REFUSED,		/* no slot or descriptor, or not allowed */
	ICMP_EVICTED,		/* hosts forgotten to make room for others */
	ICMP_FROM_GUEST,		/* echo requests to ping sockets */
	ICMP_SEND_ERROR,	/* those that the ping socket refused */
	ICMP_TO_GUEST,		/* echo replies to the guest */
	ICMP_UNASKED,		/* replies from a host that was not asked */
	ICMP_IMPOSSIBLE,	/* echo requests to where none can go */
	ICMP_ERRORS,		/* errors sent to the guest */
	ICMP_LIMITED,		/* errors not sent: rate limit */
	ICMP_COUNTERS,
};

extern const char *const icmp_counter_name[ICMP_COUNTERS];

/**
 * struct icmp - Everything ICMP
 * @tap, @flows, @timers, @fwd: what it works with
 * @hosts:	flows of hosts that were asked, the longest ago first
 * @nsockets, @nhosts: ping sockets, and hosts in @hosts
 * @tokens, @refilled: bucket of errors to the guest, and when the last one
 *		was put in, ms (RFC 4443 2.4 (f))
 * @count:	see enum icmp_counter
 */
struct icmp {
	struct tap *tap;
	struct flow_table *flows;
	struct timers *timers;
	const struct fwd *fwd;
	struct list hosts;
	uint32_t nsockets, nhosts;
	unsigned int tokens;
	uint64_t refilled;
	uint64_t count[ICMP_COUNTERS];
};

/**
 * struct icmp_quote - The packet of the guest that an error is about
 * @key:	its flow: addresses and ports as the guest wrote them
 * @l4:		the start of its transport header, 8 bytes or more, as it was;
 *		NULL: not at hand, 8 bytes are rebuilt from @key
 * @len:	bytes at @l4
 * @total:	bytes its transport header and payload had in all; of a report
 *		0: not known, as many as came back
 * @ttl:	TTL or hop limit, 0: IP_TTL_OWN
 * @tos:	type of service or traffic class
 * @df:		IPv4: don't fragment
 */
struct icmp_quote {
	const struct flow_key *key;
	const uint8_t *l4;
	size_t len, total;
	uint8_t ttl, tos;
	bool df;
};

size_t icmp_flow_size(void);
void icmp_init(struct icmp *i);
void icmp_check_allowed(const struct icmp *i);
void icmp_from_guest(struct icmp *i, const struct pkt *pkt, uint64_t now);
void icmp_event(struct icmp *i, struct flow *f, uint32_t events, uint64_t now);
void icmp_timer(struct icmp *i, struct flow *f, uint64_t now);
bool icmp_error(struct icmp *i, int error, const struct in6_addr *from,
		uint32_t mtu, const struct icmp_quote *q, uint64_t now);
bool icmp_error_pkt(struct icmp *i, int error, const struct in6_addr *from,
		    uint32_t mtu, const struct pkt *pkt, uint64_t now);
void icmp_report_send(struct icmp *i, const struct sock_error *e,
		      const struct icmp_quote *q, uint64_t now);
void icmp_guest_gone(struct icmp *i);

#endif /* ICMP_H */
