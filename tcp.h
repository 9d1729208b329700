/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * tcp.h - TCP: segments of the guest on one side, a stream socket for each
 * connection on the other. The core (tcp/conn.h) decides; tcp.c, tcp/socket.c
 * and tcp/to_guest.c carry it out.
 */
#ifndef TCP_H
#define TCP_H

#include <stdint.h>
#include <sys/uio.h>

#include "conf/net.h"
#include "forward/listen.h"
#include "list.h"
#include "siphash.h"
#include "flow/sched.h"
#include "flow/table.h"
#include "icmp/error.h"
#include "tap.h"

/* Pieces of payload written to a socket in one call; UIO_MAXIOV is 1,024. */
#define TCP_PAYLOAD_IOV		512

struct tcp_flow;

enum tcp_counter {
	TCP_OPENED,		/* flows from the guest */
	TCP_ACCEPTED,		/* flows to the guest */
	TCP_REFUSED,		/* no slot, descriptor or memory */
	TCP_MALFORMED,		/* impossible flags or addresses */
	TCP_RESETS_TO_GUEST,	/* RST segments */
	TCP_CHALLENGE,		/* challenge ACKs (RFC 5961) */
	TCP_RETRANSMIT,		/* segments sent to the guest again */
	TCP_TIMEOUT,		/* retransmission timeouts */
	TCP_BACKLOGGED,		/* batches that the socket did not take whole */
	TCP_OUT_OF_ORDER,	/* segments of the guest after a gap */
	TCP_COUNTERS,
};

extern const char *const tcp_counter_name[TCP_COUNTERS];

/**
 * struct tcp - TCP of one worker
 * @tap, @flows, @timers, @sched, @net, @fwd, @errors: set by the caller before
 *		tcp_init()
 * @secret:	for initial sequence numbers (RFC 6528)
 * @acks:	flows that send an ACK at the end of the pass
 * @last_acks:	flows whose final ACK waits for another frame to the guest, at
 *		most TCP_ACK_LAST
 * @challenge:	challenge ACKs in the current second (RFC 5961 7)
 * @no_peek_off: the kernel has no SO_PEEK_OFF for TCP (before Linux 6.9)
 * @max_fd:	descriptors from here on are for others: a flood of connections
 *		must not cost the guest its DNS
 * @spare_fd:	descriptor that is given up when there are no more, -1: none
 * @rxring_total: bytes of the receive rings of all flows
 * @payload, @npayload: pieces of the current batch for the socket
 * @payload_len: bytes of them
 * @count:	see enum tcp_counter
 */
struct tcp {
	struct tap *tap;
	struct flow_table *flows;
	struct timers *timers;
	struct sched *sched;
	const struct net *net;
	const struct fwd *fwd;
	struct icmp_errors *errors;
	struct siphash_key secret;
	struct list acks, last_acks;
	struct {
		uint64_t second;
		unsigned int count;
	} challenge;
	bool no_peek_off;
	int max_fd, spare_fd;
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
void tcp_listener(struct tcp *t, const struct listener *l, uint64_t now);
void tcp_timer(struct tcp *t, struct flow *f, uint64_t now);
void tcp_pass_end(struct tcp *t, uint64_t now);
void tcp_resume(struct tcp *t, struct flow *f, uint64_t now);
void tcp_end(struct tcp *t, struct flow *f);

#endif /* TCP_H */
