/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * udp.h - UDP: the guest's datagrams <-> a connected socket for each flow, or
 * the socket of the forwarded port that the flow came through.
 *
 * A flow begins as one-shot: a query and its answer. It becomes a stream (U4)
 * - when more datagrams came from the side that was asked than from the side
 *   that began: answers go on (SIP ringing, TFTP, media), or
 * - when each side has sent three: a resolver sends two queries at once, for A
 *   and AAAA.
 * A flow that only one side uses stays one-shot, for as long as it is used.
 */
#ifndef UDP_H
#define UDP_H

#include <stdint.h>

#include "conf/net.h"
#include "forward/listen.h"
#include "list.h"
#include "flow/sched.h"
#include "flow/table.h"
#include "icmp/error.h"
#include "tap.h"

#define UDP_ONE_SHOT	(10 * SEC)	/* a query and its reply */
#define UDP_STREAM	(180 * SEC)	/* RFC 4787 REQ-5: 120 s or more */

/* UDP may use at most half of the flow table, and of the descriptors that
 * forwarded ports leave: a flood leaves the rest to TCP. */
#define UDP_SHARE	2

/* At most half of UDP's share is for one-shot flows that peers began: a flood
 * at a forwarded port leaves the rest to the guest's own queries. */
#define UDP_INBOUND_SHARE	2

/* What is counted. */
enum udp_counter {
	UDP_DROP_NONE = 0,	/* not dropped; its count stays 0 */
	UDP_OPENED,		/* flows that the guest began */
	UDP_ACCEPTED,		/* flows through forwarded ports */
	UDP_EVICTED,		/* one-shot flows evicted to make space (U4) */
	UDP_REFUSED,		/* no slot or descriptor */
	UDP_FROM_GUEST,		/* datagrams of the guest that sockets took */
	UDP_SEND_ERROR,		/* datagrams of the guest, refused by sockets */
	UDP_TO_GUEST,		/* datagrams from sockets, for the guest */
	UDP_DROPPED,		/* dropped by the kernel: a socket was full */
	UDP_NO_GUEST,		/* arrived while no guest was there */
	UDP_IMPOSSIBLE,		/* port 0, or an address that can't be */
	UDP_TOO_BIG,		/* longer than a frame to the guest may be */
	UDP_MULTICAST,		/* from the guest to a group: not relayed */
	UDP_UNASKED,		/* for a relayed service's port, no answer */
	UDP_COUNTERS,
};

extern const char *const udp_counter_name[UDP_COUNTERS];

struct udp_batch;
struct udp_listening;
struct udp_guest_port;
struct mcast;

/**
 * struct udp - All UDP flows of a guest
 * @tap, @flows, @timers, @sched, @net, @fwd, @errors: what it works with
 * @fds:	limit of descriptors of the process
 * @one_shot, @stream: flows by last use, the least recent first (U4); one-shot
 *		flows that peers began come before those that the guest began
 * @first_own:	first one-shot flow in the list that the guest began, NULL: none
 * @ninbound:	number of one-shot flows before it
 * @nflows, @nsockets: number of flows in both lists, and with own sockets
 * @batch:	what one recvmmsg() fills, see udp/to_guest.c
 * @listening:	what is known of each listener, by its slot
 * @port_listeners: for each port of the guest, the listener that can send for
 *		it, see udp/srcport.c; NULL: not needed yet
 * @port_listeners_of: fwd->changes when that was made
 * @guest_ports: for each port of the guest and family, the sockets that have it
 * @mcast:	groups that are relayed, see udp/mcast.c; NULL: none
 * @segment:	longest datagram for a GSO batch of a new flow, bytes; 0: this
 *		kernel has no UDP_SEGMENT
 * @count:	see enum udp_counter
 */
struct udp {
	struct tap *tap;
	struct flow_table *flows;
	struct timers *timers;
	const struct net *net;
	struct sched *sched;
	const struct fwd *fwd;
	struct icmp_errors *errors;
	struct list one_shot, stream, *first_own;
	uint32_t ninbound;
	uint32_t nflows, nsockets;
	unsigned int fds;
	struct udp_batch *batch;
	struct udp_listening *listening;
	uint32_t *port_listeners, port_listeners_of;
	struct udp_guest_port *guest_ports;
	struct mcast *mcast;
	uint32_t segment;
	uint64_t count[UDP_COUNTERS];
};

size_t udp_flow_size(void);
int udp_init(struct udp *u);
void udp_free(struct udp *u);
void udp_from_guest(struct udp *u, const struct pkt *batch, unsigned int n,
		    uint64_t now);
void udp_event(struct udp *u, struct flow *f, uint32_t events, uint64_t now);
void udp_listener(struct udp *u, const struct listener *l, uint32_t events,
		  uint64_t now);
void udp_timer(struct udp *u, struct flow *f, uint64_t now);
void udp_end(struct udp *u, struct flow *f);

#endif /* UDP_H */
