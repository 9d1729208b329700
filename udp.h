/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * udp.h - UDP: the guest's datagrams <-> a connected socket for each flow, or
 * the forwarded port's socket for flows that came in through one.
 * Called by passt.c; calls tap.c, the flow table, forward.c and icmp.c. The
 * insides are in udp/.
 *
 * A flow begins as one-shot: a query and its answer. It is a stream as soon as
 * there is more to it (U4):
 * - more datagrams came from the side that was asked than from the one that
 *   began: answers go on (SIP ringing, TFTP, media), or
 * - each side has sent three: two queries at once, for A and AAAA, are what a
 *   resolver sends for one name.
 * What only one side sends stays one-shot: it lives while it goes on.
 */
#ifndef UDP_H
#define UDP_H

#include <stdint.h>

#include "forward/listen.h"
#include "list.h"
#include "flow/table.h"
#include "icmp/error.h"
#include "tap.h"

#define UDP_ONE_SHOT	(10 * SEC)	/* a query and its reply */
#define UDP_STREAM	(180 * SEC)	/* RFC 4787 REQ-5: 120 s or more */

/* Of the flow table, and of the descriptors that forwarded ports leave, at most
 * half is for UDP: a flood leaves the rest to TCP. */
#define UDP_SHARE	2

/* Of that, at most half is for one-shot flows that others began: a crowd at a
 * forwarded port leaves the rest to what the guest asks. */
#define UDP_INBOUND_SHARE	2

/* What is counted. */
enum udp_counter {
	UDP_DROP_NONE = 0,	/* not dropped; its count stays 0 */
	UDP_OPENED,		/* flows from the guest */
	UDP_ACCEPTED,		/* flows through forwarded ports */
	UDP_EVICTED,		/* one-shot flows that made room (U4) */
	UDP_REFUSED,		/* no slot or descriptor */
	UDP_FROM_GUEST,		/* datagrams to the host's sockets */
	UDP_SEND_ERROR,		/* those that the host's socket refused */
	UDP_TO_GUEST,		/* datagrams from the host's sockets */
	UDP_DROPPED,		/* there, because nobody read them in time */
	UDP_NO_GUEST,		/* came in while no guest was there */
	UDP_IMPOSSIBLE,		/* port 0, or an address nobody can have */
	UDP_TOO_BIG,		/* longer than a frame to the guest may be */
	UDP_MULTICAST,		/* from the guest to many: not relayed */
	UDP_UNASKED,		/* for a relayed service's port, not asked for */
	UDP_COUNTERS,
};

extern const char *const udp_counter_name[UDP_COUNTERS];

struct udp_batch;
struct udp_listening;
struct udp_guest_port;
struct mcast;

/**
 * struct udp - Everything UDP
 * @tap, @flows, @timers, @fwd, @errors: what it works with
 * @one_shot, @stream: flows by age, the least recently used first (U4); of the
 *		one-shot flows first those that the other end began, then the
 *		guest's own
 * @first_own:	the first of the guest's own one-shot flows, NULL: none
 * @ninbound:	how many one-shot flows are before it
 * @nflows, @nsockets: how many there are in both, and with a socket
 * @fds:	how many descriptors the process may have
 * @batch:	what one recvmmsg() fills, see udp/to_guest.c
 * @listening:	what is known of each listener, by its slot
 * @port_listeners:	for each port of the guest, which listener can send for it, see
 *		udp/srcport.c; NULL until that was asked
 * @port_listeners_of: fwd->changes when it was made
 * @guest_ports:	for each port of the guest and family, whose sockets have it
 * @mcast:	groups that are relayed, see udp/mcast.c; NULL: none
 * @segment:	the longest datagram that new flows send in one message with
 *		others, bytes; 0: this kernel can't
 * @starved_fd:	socket that found no room in the link to the guest, -1: none
 * @yields_left:	how many times others still wait for it
 * @count:	see enum udp_counter
 */
struct udp {
	struct tap *tap;
	struct flow_table *flows;
	struct timers *timers;
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
	int starved_fd;
	unsigned int yields_left;
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
