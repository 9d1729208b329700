/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * tcp.h - TCP: guest segments <-> a stream socket for each connection.
 * Called by passt.c. What decides is tcp/conn.h, without system calls; tcp.c
 * carries it out, with tcp/socket.c and tcp/to_guest.c.
 */
#ifndef TCP_H
#define TCP_H

#include <stdint.h>
#include <sys/uio.h>

#include "forward/listen.h"
#include "list.h"
#include "siphash.h"
#include "flow/table.h"
#include "icmp/error.h"
#include "tap.h"

/* Pieces of payload handed to a socket in one call; UIO_MAXIOV is 1,024. */
#define TCP_PAYLOAD_IOV		512

struct tcp_flow;

/* What is counted. */
enum tcp_counter {
	TCP_OPENED,		/* flows from the guest */
	TCP_ACCEPTED,		/* flows towards the guest */
	TCP_REFUSED,		/* no slot, descriptor or memory */
	TCP_MALFORMED,		/* flags or addresses that can't be */
	TCP_RESETS_TO_GUEST,
	TCP_CHALLENGE,		/* challenge ACKs (RFC 5961) */
	TCP_RETRANSMIT,		/* segments sent again to the guest */
	TCP_TIMEOUT,		/* retransmission timeouts */
	TCP_BACKLOGGED,		/* runs that waited for the socket */
	TCP_OUT_OF_ORDER,		/* segments that came ahead of a gap */
	TCP_COUNTERS,
};

extern const char *const tcp_counter_name[TCP_COUNTERS];

/**
 * struct tcp - Everything TCP
 * @tap, @flows, @timers, @fwd, @errors: what it works with
 * @mtu:	of the guest's interface, for the MSS we announce
 * @secret:	for initial sequence numbers (RFC 6528)
 * @acks:	flows that owe the guest an ACK at the end of the pass
 * @last_acks:	flows that owe it the last: soon, or with whatever goes before
 * @ready:	flows with data for the guest, waiting for their turn
 * @last, @shared_at: the flow that sent last, and when another one did that
 *		is no bulk transfer: then less of each may be on the way
 * @challenge:	budget of challenge ACKs in the current second (RFC 5961 7)
 * @no_peek_off: the kernel has no SO_PEEK_OFF for TCP (before Linux 6.9)
 * @max_fd:	descriptors from here on are left to others: a flood of
 *		connections must not cost the guest its DNS
 * @spare_fd:	a descriptor to give up when there are no more, -1: none
 * @rxring_total:	bytes held for sockets, all flows
 * @payload:	pieces of the payload that the current run delivers
 * @npayload:	how many
 * @payload_len:	bytes of them
 * @count:	see enum tcp_counter
 */
struct tcp {
	struct tap *tap;
	struct flow_table *flows;
	struct timers *timers;
	const struct fwd *fwd;
	struct icmp_errors *errors;
	uint32_t mtu;
	struct siphash_key secret;
	struct list acks, last_acks, ready;
	const struct tcp_flow *last;
	uint64_t shared_at;
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
void tcp_listener(struct tcp *t, unsigned int index, uint64_t now);
void tcp_timer(struct tcp *t, struct flow *f, uint64_t now);
void tcp_link_shared(struct tcp *t, uint64_t now);
void tcp_pass_end(struct tcp *t, uint64_t now);
bool tcp_resume(struct tcp *t, uint64_t now);
void tcp_end(struct tcp *t, struct flow *f);

#endif /* TCP_H */
