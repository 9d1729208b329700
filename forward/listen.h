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
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @port:	host port
 * @gport:	guest port
 * @ends:	index of what it has in common with others, see listener_ends()
 * @df4, @df6:	enum listener_df for each family (UDP)
 * @inlet:	see there
 */
struct listener {
	int fd;
	uint8_t proto;
	uint16_t port, gport;
	uint32_t ends;
	uint8_t df4, df6;
	struct inlet inlet;
};

/**
 * struct fwd - Everything about forwarding
 * @listeners, @nlisteners: by the index in their epoll tokens
 * @ends:	where listeners are bound and lead to
 * @map:	translation of addresses
 * @ipv4, @ipv6: families in use
 * @freebind:	addresses may be bound that the host does not have yet
 */
struct fwd {
	struct listener *listeners;
	unsigned int nlisteners;
	struct rule_ends *ends;
	struct fwd_map map;
	bool ipv4, ipv6, freebind;
};

int fwd_listen(struct fwd *f, const struct rule_set *rules, unsigned int max,
	       int epfd);
void fwd_free(struct fwd *f);

/* listener_ends() - Where a listener is bound, and where it leads */
static inline const struct rule_ends *listener_ends(const struct fwd *f,
						    const struct listener *l)
{
	return &f->ends[l->ends];
}

#endif /* FORWARD_LISTEN_H */
