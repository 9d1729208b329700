/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * listen.h - Listeners: the bound sockets of forwarded ports. A listener has a
 * slot in a table, and never changes its slot. A token has the slot and the
 * generation of a listener, so the token is no longer valid once the listener
 * is closed, even if another listener takes the slot.
 * Only fwd_apply() opens listeners. Only fwd_apply() and fwd_free() close them.
 */
#ifndef FORWARD_LISTEN_H
#define FORWARD_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/net.h"
#include "forward/rule.h"

#define LISTENERS_MAX	(1U << 20)	/* slots of the table */

/**
 * struct listener - A socket that listens (TCP) or receives datagrams (UDP) on
 *		a forwarded port
 * @fd:		the socket, non-blocking; -1: the slot is free
 * @gen:	generation, which differs for each new listener in this slot
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @rests:	the listener is paused: epoll does not report its socket, see
 *		listener_rest()
 * @port:	host port
 * @gport:	guest port that @port leads to
 * @ends:	index in @ends of struct fwd, for address, interface and target,
 *		see listener_ends(). Many listeners may have the same index. In
 *		a free slot: number of the next free slot
 *
 * The structure is small: listeners for all ports of TCP and UDP together take
 * 2 MiB.
 */
struct listener {
	int fd;
	uint32_t gen : 24, proto : 7, rests : 1;
	uint16_t port, gport;
	uint32_t ends;
};

/**
 * struct fwd - The listeners of all forwarded ports
 * @listeners:	table of LISTENERS_MAX slots, in reserved address space
 * @top:	slots from this number on were never used
 * @max:	number of listeners that may be open at a time
 * @free:	number of the first free slot below @top, UINT32_MAX: none
 * @nlisteners:	number of open listeners
 * @nresting:	number of paused listeners
 * @waiting:	number of named ports that wait until they can be bound
 * @absent:	number of rules that are best effort and could not be applied,
 *		because the host did not have their address or interface
 * @changes:	number of times that a listener was opened, closed or given
 *		another target. A caller that keeps the results of a search
 *		through the listeners compares this number, to find out whether
 *		the results are still true
 * @ends:	array: address, interface and target of each rule in the set
 *		that was applied last
 * @scratch, @scratch_size: memory of a change while it is made, see
 *		forward/apply.c; kept, because the sandbox lets passt map no
 *		memory later
 * @epfd:	epoll descriptor that watches the listeners' sockets
 * @freebind:	sockets may be bound to addresses that the host does not have
 * @net:	network of the guest, which says which families are in use
 */
struct fwd {
	struct listener *listeners;
	uint32_t top, max, free, nlisteners, nresting, waiting, absent;
	uint32_t changes;
	struct rule_ends *ends;
	void *scratch;
	size_t scratch_size;
	int epfd;
	bool freebind;
	const struct net *net;
};

int fwd_init(struct fwd *f, uint32_t max, int epfd);
void fwd_free(struct fwd *f);
int listener_open(struct fwd *f, const struct rule *r, uint16_t port,
		  uint32_t ends);
bool listener_possible(const struct fwd *f, const struct rule *r);
void listener_close(struct fwd *f, uint32_t slot);
void listener_rest(struct fwd *f, const struct listener *l);
void fwd_wake_listeners(struct fwd *f);
uint64_t listener_token(const struct fwd *f, const struct listener *l);
const struct listener *fwd_listener_from_token(const struct fwd *f,
					       uint64_t token);
const struct listener *fwd_next_listener(const struct fwd *f,
					 const struct listener *l);

/* listener_ends() - Address and interface of a listener, and its target */
static inline const struct rule_ends *listener_ends(const struct fwd *f,
						    const struct listener *l)
{
	return &f->ends[l->ends];
}

#endif /* FORWARD_LISTEN_H */
