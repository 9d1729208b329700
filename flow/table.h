/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * table.h - A table of the flows of all protocols. A flow is found by its key
 * or by its epoll token.
 *
 * The slots lie in one reserved range of address space. The range takes memory
 * as flows are added, and gives memory back after most flows were removed.
 * Therefore a flow never moves while it exists, and an idle table is small.
 * Each protocol has its own structure for a flow, which begins with struct
 * flow. A slot has the size of the largest of these structures.
 */
#ifndef FLOW_TABLE_H
#define FLOW_TABLE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "event.h"
#include "flow/timer.h"
#include "siphash.h"

/* The type selects the functions that handle a flow (struct flow_class). */
enum flow_type {
	FLOW_TCP,
	FLOW_UDP,
	FLOW_ECHO,		/* an ICMP echo identifier of the guest, or a
				 * peer that the guest pings */
	FLOW_TYPES,
};

/* The two sides of a flow, each of which may have a descriptor. */
enum flow_side {
	SIDE_HOST,		/* a socket towards the peer */
	SIDE_GUEST,		/* a socket towards the guest, for flows that do
				 * not use the link */
	FLOW_SIDES,
};

/**
 * struct flow_key - The addresses and ports that identify a flow
 * @guest:	guest's address
 * @peer:	guest-visible address of the peer; all zero for a flow that
 *		stands for an echo identifier
 * @gport:	guest's port; the identifier for ICMP echo
 * @pport:	peer's port; 0 for ICMP echo
 * @proto:	IPPROTO_*
 * @zero:	always zero, because keys are hashed and compared as bytes
 */
struct flow_key {
	struct in6_addr guest, peer;
	uint16_t gport, pport;
	uint8_t proto;
	uint8_t zero[3];
};

/**
 * struct flow - The fields that flows of all protocols have. The structure of
 * each protocol's flows begins with it
 * @key:	identifies the flow
 * @hash:	hash of @key
 * @fd:		the flow's socket on each side, indexed by enum flow_side; -1:
 *		none
 * @gen:	generation, for the epoll token
 * @type:	enum flow_type
 * @queue:	number of the link's queue on which the guest last sent packets
 *		of the flow. Packets of the flow to the guest take the same
 *		queue
 * @batches:	number of batches that the flow has carried, at most
 *		SCHED_SETTLED, see flow/sched.h
 * @bulk:	the flow was a bulk flow when its last batch was sent, see
 *		flow/sched.h
 * @node:	node in a list of the protocol
 * @ready:	node in the scheduler's list of flows that wait for their turn
 *		to send to the guest
 * @timer:	the one timer of the flow
 */
struct flow {
	struct flow_key key;
	uint32_t hash;
	int fd[FLOW_SIDES];
	uint32_t gen;
	uint8_t type, queue, batches;
	bool bulk;
	struct list node;
	struct list ready;
	struct timer timer;
};

/**
 * struct flow_table - All flows
 * @slots:	reserved address space, which takes memory on first use
 * @live:	one bit for each slot, set if the slot has a flow
 * @buckets:	hash table with linear probing. A bucket has the number of a
 *		slot plus 1, or 0 if it is empty
 * @slot_size:	bytes of one slot
 * @max:	number of slots
 * @mask:	number of buckets - 1
 * @used:	number of flows
 * @peak:	largest @used since memory was last given back
 * @top:	slots from this number on have no flow
 * @full:	index of a word of @live. All slots whose bits are in earlier
 *		words have flows
 * @gen:	generation of the newest flow
 * @secret:	key of the hash function
 * @epfd:	epoll set that watches the flows' sockets
 * @no_memory:	the host had no memory to read a socket of a flow or of a
 *		forwarded port; see await_memory() in loop.c, which resets this
 */
struct flow_table {
	char *slots;
	uint64_t *live;
	uint32_t *buckets;
	size_t slot_size;
	uint32_t max, mask;
	uint32_t used, peak;
	uint32_t top;
	uint32_t full;
	uint32_t gen;
	struct siphash_key secret;
	int epfd;
	bool no_memory;
};

int flow_table_init(struct flow_table *t, size_t slot_size, uint32_t max,
		    int epfd);
void flow_table_free(struct flow_table *t);
struct flow *flow_lookup(const struct flow_table *t, const struct flow_key *k);
struct flow *flow_insert(struct flow_table *t, const struct flow_key *k,
			 enum flow_type type);
void flow_remove(struct flow_table *t, struct flow *f);
struct flow *flow_next(const struct flow_table *t, const struct flow *f);
struct flow *flow_from_token(const struct flow_table *t, uint64_t token);
uint64_t flow_token(const struct flow_table *t, const struct flow *f,
		    enum flow_side side);
int flow_watch(struct flow_table *t, struct flow *f, enum flow_side side,
	       uint32_t events);
int flow_rewatch(struct flow_table *t, struct flow *f, enum flow_side side,
		 uint32_t events);

#endif /* FLOW_TABLE_H */
