/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * udp.h - UDP: the guest's datagrams <-> a connected socket for each flow, or
 * the forwarded port's socket for flows that came in through one.
 * Called by passt.c; calls tap.c, the flow table, forward.c and icmp.c.
 */
#ifndef UDP_H
#define UDP_H

#include <stdint.h>

#include "flow/forward.h"
#include "flow/list.h"
#include "flow/table.h"
#include "icmp.h"
#include "tap.h"

#define UDP_ONE_SHOT	(10 * SEC)	/* a query and its reply */
#define UDP_STREAM	(180 * SEC)	/* RFC 4787 REQ-5: two minutes or more */

/* What is counted. */
enum udp_counter {
	UDP_OPENED,		/* flows from the guest */
	UDP_ACCEPTED,		/* flows through forwarded ports */
	UDP_EVICTED,		/* one-shot flows that made room (U4) */
	UDP_REFUSED,		/* no slot or descriptor */
	UDP_SEND_ERROR,		/* datagrams the host's socket refused */
	UDP_NO_GUEST,		/* came in while no guest was there */
	UDP_COUNTERS,
};

extern const char *const udp_counter_name[UDP_COUNTERS];

/**
 * struct udp - Everything UDP
 * @tap, @flows, @timers, @fwd, @icmp: what it works with
 * @one_shot, @stream: flows by age, the least recently used first (U4)
 * @count:	see enum udp_counter
 */
struct udp {
	struct tap *tap;
	struct flow_table *flows;
	struct timers *timers;
	const struct fwd *fwd;
	struct icmp *icmp;
	struct list one_shot, stream;
	uint64_t count[UDP_COUNTERS];
};

size_t udp_flow_size(void);
void udp_init(struct udp *u);
void udp_input(struct udp *u, const struct pkt *run, unsigned int n,
	       uint64_t now);
void udp_event(struct udp *u, struct flow *f, uint32_t events, uint64_t now);
void udp_listener(struct udp *u, unsigned int index, uint64_t now);
void udp_timer(struct udp *u, struct flow *f, uint64_t now);
void udp_guest_gone(struct udp *u);

#endif /* UDP_H */
