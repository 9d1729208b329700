/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * udp.h - UDP: datagrams of the guest leave through sockets, and datagrams that
 * the sockets receive go to the guest. A flow has a connected socket of its
 * own, or uses the socket of the forwarded port that it came through.
 *
 * A flow begins as one-shot: a query and its answer. It becomes a stream (U4)
 * - when the answering side has sent more datagrams than the side that began
 *   the flow: one query has many answers (SIP ringing, TFTP, media), or
 * - when each side has sent three. Two are not enough, because a DNS client
 *   sends two queries at once, for A and AAAA.
 * A flow in which only one side ever sends stays one-shot.
 */
#ifndef UDP_H
#define UDP_H

#include <stdint.h>

#include "conf/net.h"
#include "forward/access.h"
#include "forward/listen.h"
#include "forward/resolvers.h"
#include "list.h"
#include "flow/sched.h"
#include "flow/table.h"
#include "icmp/error.h"
#include "tap.h"

#define UDP_ONE_SHOT	(10 * SEC)	/* timeout of one-shot flows, ms */
#define UDP_DNS_WAIT	(2 * SEC)	/* wait for a resolver's answer, before
					 * the next one is asked, ms */
#define UDP_STREAM	(180 * SEC)	/* timeout of streams, ms; RFC 4787
					 * REQ-5 demands 120 s or more */

/* UDP may use at most half of the flow table, and half of the descriptors that
 * forwarded ports do not use. So a flood of UDP leaves the other half to
 * TCP. */
#define UDP_SHARE	2

/* At most half of UDP's share of the flow table is for one-shot flows that
 * peers began. So a flood at a forwarded port leaves the other half to the
 * guest's own queries. */
#define UDP_INBOUND_SHARE	2

/* Events that UDP counts, and reasons to drop a datagram. */
enum udp_counter {
	UDP_DROP_NONE = 0,	/* the datagram is not dropped; never counted */
	UDP_OPENED,		/* flows that the guest began */
	UDP_ACCEPTED,		/* flows through forwarded ports */
	UDP_EVICTED,		/* one-shot flows evicted to make space (U4) */
	UDP_REFUSED,		/* flows not opened for lack of a slot, a
				 * descriptor, or time */
	UDP_FROM_GUEST,		/* datagrams of the guest that sockets have
				 * taken */
	UDP_SEND_ERROR,		/* datagrams of the guest that sockets
				 * refused */
	UDP_TO_GUEST,		/* datagrams from sockets to the guest */
	UDP_DROPPED,		/* datagrams that the kernel dropped, because
				 * the buffer of a socket was full */
	UDP_NO_GUEST,		/* datagrams from sockets, dropped because no
				 * guest was connected */
	UDP_IMPOSSIBLE,		/* datagrams dropped: port 0 or an invalid
				 * address */
	UDP_TOO_BIG,		/* multicast datagrams dropped: longer than
				 * UDP_GROUP_LONGEST */
	UDP_MULTICAST,		/* datagrams of the guest, dropped because passt
				 * does not relay the group */
	UDP_UNASKED,		/* datagrams dropped: they came to a socket that
				 * is not connected, and the guest had not asked
				 * for them */
	UDP_OWN,		/* datagrams dropped: from or to a forwarded
				 * port of this host, which would be a loop */
	UDP_ALIKE,		/* datagrams dropped: to the guest, the sender
				 * would look like the peer of another flow */
	UDP_RESOLVER_NEXT,	/* queries sent to another resolver, because
				 * the one before has failed */
	UDP_COUNTERS,
};

extern const char *const udp_counter_name[UDP_COUNTERS];

struct udp_batch;
struct udp_listening;
struct udp_guest_port;
struct udp_port_index;
struct mcast;

/**
 * struct udp - All UDP flows of a guest
 * @tap, @flows, @timers, @sched, @net, @fwd, @errors: other parts of the
 *		worker, set by the caller before udp_init()
 * @access:	says which peers the guest may not reach; NULL: it may reach
 *		every peer
 * @resolvers:	the resolvers of --dns-forward; NULL: that address leads to the
 *		one that the network names
 * @nqueries:	number of queries in all flows, see udp/dns.c
 * @fds:		limit of descriptors of the process (RLIMIT_NOFILE)
 * @one_shot, @stream: lists of flows in order of last use, the least recently
 *		used first (U4). In @one_shot, flows that peers began come
 *		before flows that the guest began
 * @first_own:	first flow in @one_shot that the guest began; NULL: none
 * @ninbound:	number of flows in @one_shot that peers began
 * @nflows, @nsockets: number of flows in both lists, and number of flows with a
 *		socket of their own
 * @batch:	messages that one recvmmsg() reads, see udp/to_guest.c
 * @listening:	UDP's state of each listener, indexed by the listener's slot
 * @port_index:	the listeners by port, see udp/srcport.c; NULL: not made yet
 * @guest_ports: for each port of the guest and each family, the flows whose
 *		sockets are bound to the same port number on the host
 * @mcast:	groups that --multicast relays, see udp/mcast.c; NULL: no
 *		--multicast
 * @segment:	initial value of @segment in a new flow: bytes of the longest
 *		datagram that may be part of a GSO batch; 0: this kernel has no
 *		UDP_SEGMENT
 * @df_default:	a new socket sends short IPv4 datagrams with DF
 * @count:	counters, see enum udp_counter
 */
struct udp {
	struct tap *tap;
	struct flow_table *flows;
	struct timers *timers;
	const struct net *net;
	struct sched *sched;
	const struct fwd *fwd;
	struct icmp_errors *errors;
	struct access *access;
	struct resolvers *resolvers;
	unsigned int nqueries;
	struct list one_shot, stream, *first_own;
	uint32_t ninbound;
	uint32_t nflows, nsockets;
	unsigned int fds;
	struct udp_batch *batch;
	struct udp_listening *listening;
	struct udp_port_index *port_index;
	struct udp_guest_port *guest_ports;
	struct mcast *mcast;
	uint32_t segment;
	bool df_default;
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
