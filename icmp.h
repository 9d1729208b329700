/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * icmp.h - Echo: the guest's requests leave through ping sockets (icmp(7)), and
 * replies go to the guest. For ICMP errors to the guest, see icmp/error.h.
 *
 * There are two kinds of flows (I1). For each echo identifier of the guest, one
 * flow owns the ping socket, and has no peer address. For each peer that the
 * guest pinged with that identifier, another flow has the peer's address, and
 * no socket. A reply goes to the guest only if its sender has such a flow.
 */
#ifndef ICMP_H
#define ICMP_H

#include <netinet/in.h>
#include <stdint.h>

#include "conf/net.h"
#include "forward/access.h"
#include "flow/sched.h"
#include "flow/table.h"
#include "icmp/error.h"
#include "list.h"
#include "tap.h"

#define ICMP_ECHO_EXPIRE	(60 * SEC)

/* Maximum number of all ping sockets, and of all peers that the guest pings.
 * The limits leave descriptors and flow slots to the guest's connections, even
 * if the guest pings many hosts. */
#define ICMP_SOCKETS		256
#define ICMP_PEERS		4096

/* How long a ping socket stays open for the sake of its latest request or
 * reply, even if another identifier needs a socket. */
#define ICMP_EVICT_MIN		250			/* ms */

/* Events that echo counts. */
enum icmp_counter {
	ICMP_OPENED,		/* ping sockets opened */
	ICMP_REFUSED,		/* requests dropped for lack of a flow slot or a
				 * ping socket */
	ICMP_EVICTED,		/* peers evicted to make space for others */
	ICMP_FROM_GUEST,	/* echo requests that ping sockets sent */
	ICMP_SEND_ERROR,	/* echo requests that ping sockets refused */
	ICMP_TO_GUEST,		/* echo replies to the guest */
	ICMP_UNASKED,		/* replies or errors that belong to no
				 * request */
	ICMP_IMPOSSIBLE,	/* echo requests with an invalid address */
	ICMP_COUNTERS,
};

extern const char *const icmp_counter_name[ICMP_COUNTERS];

/**
 * struct icmp_echo - All echo flows of a guest
 * @tap, @flows, @timers, @sched, @net, @errors: other parts of the worker, set
 *		by the caller before icmp_init()
 * @access:	says which peers the guest may not reach; NULL: it may reach
 *		every peer
 * @peers:	list of the flows of peers, the least recently used first
 * @nsockets, @npeers: number of ping sockets, and of flows in @peers
 * @count:	counters, see enum icmp_counter
 */
struct icmp_echo {
	struct tap *tap;
	struct flow_table *flows;
	struct timers *timers;
	const struct net *net;
	struct sched *sched;
	struct icmp_errors *errors;
	struct access *access;
	struct list peers;
	uint32_t nsockets, npeers;
	uint64_t count[ICMP_COUNTERS];
};

size_t icmp_flow_size(void);
void icmp_init(struct icmp_echo *e);
void icmp_check_allowed(const struct icmp_echo *e);
void icmp_from_guest(struct icmp_echo *e, const struct pkt *pkt, uint64_t now);
void icmp_event(struct icmp_echo *e, struct flow *f, uint32_t events,
		uint64_t now);
void icmp_timer(struct icmp_echo *e, struct flow *f, uint64_t now);
void icmp_end(struct icmp_echo *e, struct flow *f);
void icmp_lost(struct icmp_echo *e, struct flow *f);

#endif /* ICMP_H */
