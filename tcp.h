/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * tcp.h - TCP: a guest's connection has segments on the guest's side, and a
 * stream socket on the host's side. The core (tcp/conn.h) makes the decisions
 * for a connection, and tcp.c, tcp/socket.c and tcp/to_guest.c carry them out.
 */
#ifndef TCP_H
#define TCP_H

#include <stdint.h>
#include <sys/uio.h>

#include "conf/net.h"
#include "forward/access.h"
#include "forward/listen.h"
#include "forward/resolvers.h"
#include "list.h"
#include "siphash.h"
#include "flow/sched.h"
#include "flow/table.h"
#include "icmp/error.h"
#include "tap.h"

/* Maximum number of pieces of payload that one system call writes to a socket.
 * The kernel accepts 1,024 (UIO_MAXIOV). */
#define TCP_PAYLOAD_IOV		512

/* Of the flows, and of the descriptors that forwarded ports do not use,
 * 1 / TCP_GUEST_SHARE is left to connections that the guest opens. Connections
 * that peers open may use all others. */
#define TCP_GUEST_SHARE		4

/* Of the flows, 1 / TCP_OTHER_SHARE is left to UDP and ping. */
#define TCP_OTHER_SHARE		8

struct tcp_flow;

enum tcp_counter {
	TCP_OPENED,		/* connections that the guest opened */
	TCP_ACCEPTED,		/* connections that peers opened */
	TCP_REFUSED,		/* connections that could not be opened */
	TCP_EVICTED,		/* connections of the guest that had no answer
				 * from their peer, and were closed to make
				 * space */
	TCP_MALFORMED,		/* segments with invalid flags or addresses */
	TCP_RESETS_TO_GUEST,	/* RST segments sent to the guest */
	TCP_CHALLENGE,		/* challenge ACKs to the guest (RFC 5961) */
	TCP_RETRANSMIT,		/* segments sent to the guest again */
	TCP_TIMEOUT,		/* retransmission timeouts */
	TCP_BACKLOGGED,		/* batches that the socket did not take whole */
	TCP_OUT_OF_ORDER,	/* segments of the guest that came after a
				 * gap */
	TCP_COUNTERS,
};

extern const char *const tcp_counter_name[TCP_COUNTERS];

/**
 * struct tcp - TCP of one worker
 * @tap, @flows, @timers, @sched, @net, @fwd, @errors: other parts of the
 *		worker, set by the caller before tcp_init()
 * @access:	says which peers the guest may not reach; NULL: it may reach
 *		every peer
 * @resolvers:	the resolvers of --dns-forward; NULL: that address leads to the
 *		one that the network names
 * @secret:	key of the hash in initial sequence numbers (RFC 6528)
 * @connecting:	flows of the guest whose socket is connecting; the one that
 *		waits longest is first
 * @acks:	flows that send an ACK at the end of the pass, unless another
 *		segment carries the ACK before
 * @last_acks:	flows whose final ACK waits, for at most TCP_ACK_LAST ms, until
 *		any other frame goes to the guest
 * @challenge:	the current second, and how many challenge ACKs were sent in it
 *		(RFC 5961 7)
 * @no_peek_off: the kernel does not support SO_PEEK_OFF on TCP sockets (Linux
 *		before 6.9)
 * @max_fd:	TCP uses only descriptors below this number. A flood of
 *		connections thus leaves some descriptors, for example for the
 *		guest's DNS queries
 * @spare_fd:	open descriptor that is closed when the process has no other
 *		left, to accept and refuse one connection; -1: none
 * @nflows:	number of current connections
 * @naccepted:	number of current connections that peers began
 * @rxring_total: bytes allocated for the receive rings of all flows
 * @payload, @npayload: pieces of payload of the current batch that are to be
 *		written to the socket
 * @payload_len: bytes in @payload
 * @count:	counters, see enum tcp_counter
 */
struct tcp {
	struct tap *tap;
	struct flow_table *flows;
	struct timers *timers;
	struct sched *sched;
	const struct net *net;
	const struct fwd *fwd;
	struct icmp_errors *errors;
	struct access *access;
	struct resolvers *resolvers;
	struct siphash_key secret;
	struct list connecting, acks, last_acks;
	struct {
		uint64_t second;
		unsigned int count;
	} challenge;
	bool no_peek_off;
	int max_fd, spare_fd;
	uint32_t nflows, naccepted;
	size_t rxring_total;
	struct iovec payload[TCP_PAYLOAD_IOV];
	unsigned int npayload;
	uint32_t payload_len;
	uint64_t count[TCP_COUNTERS];
};

size_t tcp_flow_size(void);
void tcp_init(struct tcp *t);
void tcp_free(struct tcp *t);
void tcp_from_guest(struct tcp *t, const struct pkt *batch, unsigned int n,
		    uint64_t now);
void tcp_event(struct tcp *t, struct flow *f, uint32_t events, uint64_t now);
int tcp_listener(struct tcp *t, const struct listener *l, uint64_t now);
void tcp_timer(struct tcp *t, struct flow *f, uint64_t now);
void tcp_pass_end(struct tcp *t, uint64_t now);
void tcp_resume(struct tcp *t, struct flow *f, uint64_t now);
void tcp_end(struct tcp *t, struct flow *f);
void tcp_lost(struct tcp *t, struct flow *f, uint64_t now);

#endif /* TCP_H */
