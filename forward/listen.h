/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * listen.h - Listeners: the host's ports that lead to the guest, each a bound
 * socket. They live in slots that do not move, so a token with slot and
 * generation stands for a listener until it is closed, and never for the next
 * one in its slot. Only fwd_apply() opens and closes them.
 */
#ifndef FORWARD_LISTEN_H
#define FORWARD_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/net.h"
#include "forward/rule.h"

#define LISTENERS_MAX	(1U << 20)	/* slots at most */

/**
 * struct listener - One listening (TCP) or receiving (UDP) forwarded socket
 * @fd:		the socket, non-blocking; -1: the slot is free
 * @gen:	generation, another one for each listener of a slot
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @port:	host port
 * @gport:	guest port
 * @ends:	index of what it has in common with others, see listener_ends();
 *		of a free slot: the next free one
 *
 * All ports of both protocols together take little more than a megabyte.
 */
struct listener {
	int fd;
	uint32_t gen : 24, proto : 8;
	uint16_t port, gport;
	uint32_t ends;
};

/**
 * struct fwd - Everything about forwarding
 * @listeners:	slots, in reserved address space
 * @top:	slots from here on were never used
 * @max:	slots that may be used
 * @free:	first free slot below @top, UINT32_MAX: none
 * @nlisteners:	slots in use
 * @changes:	differs after a listener was opened, closed or given another
 *		target: what was derived from listeners before is out of date
 * @ends:	where listeners are bound, and where they lead
 * @epfd:	where they are watched
 * @freebind:	addresses may be bound that the host does not have yet
 * @net:	for the families in use
 */
struct fwd {
	struct listener *listeners;
	uint32_t top, max, free, nlisteners;
	uint32_t changes;
	struct rule_ends *ends;
	int epfd;
	bool freebind;
	const struct net *net;
};

int fwd_init(struct fwd *f, uint32_t max, int epfd);
void fwd_free(struct fwd *f);
int listener_open(struct fwd *f, const struct rule *r, uint16_t port,
		  uint32_t ends);
void listener_close(struct fwd *f, uint32_t slot);
uint64_t listener_token(const struct fwd *f, const struct listener *l);
const struct listener *fwd_listener_from_token(const struct fwd *f,
					       uint64_t token);
const struct listener *fwd_next_listener(const struct fwd *f,
					 const struct listener *l);

/* listener_ends() - Where a listener is bound, and where it leads */
static inline const struct rule_ends *listener_ends(const struct fwd *f,
						    const struct listener *l)
{
	return &f->ends[l->ends];
}

#endif /* FORWARD_LISTEN_H */
