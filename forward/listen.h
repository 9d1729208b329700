/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * listen.h - The host's ports that lead to the guest, each a bound socket.
 */
#ifndef FORWARD_LISTEN_H
#define FORWARD_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "forward/nat.h"
#include "forward/rule.h"

/* Whether what leaves by a socket may be fragmented. */
enum listener_df {
	LISTENER_DF_UNSET,	/* as the host's default is */
	LISTENER_DF,
	LISTENER_NO_DF,
};

/**
 * struct inlet - What is known of a socket that datagrams come from (UDP)
 * @expected:	bytes in the link that one message is likely to take at most,
 *		0: nothing is known
 * @dropped:	datagrams that the kernel dropped for want of room, as it last
 *		said
 */
struct inlet {
	uint32_t expected, dropped;
};

/**
 * struct listener - One listening (TCP) or receiving (UDP) forwarded socket
 * @fd:		the socket, non-blocking
 * @rule:	index of its rule
 * @port:	host port, host order
 * @df4, @df6:	enum listener_df for each family (UDP)
 * @inlet:	see there
 */
struct listener {
	int fd;
	uint16_t rule;
	uint16_t port;
	uint8_t df4, df6;
	struct inlet inlet;
};

/**
 * struct fwd - Everything about forwarding
 * @rules, @nrules: in the order given
 * @listeners, @nlisteners: by the index in their epoll tokens
 * @map:	translation of addresses
 * @ipv4, @ipv6: families in use
 * @freebind:	addresses may be bound that the host does not have yet
 */
struct fwd {
	struct fwd_rule *rules;
	unsigned int nrules;
	struct listener *listeners;
	unsigned int nlisteners;
	struct fwd_map map;
	bool ipv4, ipv6, freebind;
};

int fwd_listen(struct fwd *f, unsigned int max, int epfd);
void fwd_free(struct fwd *f);

uint16_t fwd_guest_port(const struct fwd *f, const struct listener *l);

#endif /* FORWARD_LISTEN_H */
