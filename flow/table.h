/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * table.h - The flows of all protocols, found by key or by epoll token.
 *
 * Slots are in one reserved range of address space, which takes memory as
 * flows are added and gives it back when most are removed. So a pointer to a
 * flow stays valid as long as the flow, and an idle table is small. A slot has
 * the size of the largest protocol structure; each embeds struct flow first.
 */
#ifndef FLOW_TABLE_H
#define FLOW_TABLE_H

#include <netinet/in.h>
#include <stdint.h>

#include "event.h"
#include "flow/timer.h"
#include "siphash.h"

/* The type selects the functions that handle a flow (struct flow_class). */
enum flow_type {
	FLOW_TCP,
	FLOW_UDP,
	FLOW_ECHO,		/* an echo identifier, or a peer it pings */
	FLOW_TYPES,
};

/* The two ends of a flow that may have a descriptor. */
enum flow_side {
	SIDE_HOST,		/* a socket on the host, towards the peer */
	SIDE_GUEST,		/* a socket where the guest is, no link */
	FLOW_SIDES,
};

/**
 * struct flow_key - What tells flows apart, as the guest sees the addresses
 * @guest:	guest's address
 * @peer:	peer's address, before translation; echo identifier: none
 * @gport:	guest's port; echo: identifier
 * @pport:	peer's port; echo: zero
 * @proto:	IPPROTO_*
 * @zero:	zero: the key is hashed and compared as bytes
 */
struct flow_key {
	struct in6_addr guest, peer;
	uint16_t gport, pport;
	uint8_t proto;
	uint8_t zero[3];
};

/**
 * struct flow - What flows of all protocols share; each embeds it first
 * @key:	see struct flow_key
 * @hash:	of the key
 * @fd:		its socket on each side, see enum flow_side; -1: none
 * @gen:	generation, for the epoll token
 * @type:	enum flow_type
 * @bulk:	its last batch was part of a bulk transfer, see flow/sched.h
 * @node:	node in a list of the protocol
 * @ready:	node in the list of flows that wait for their turn to send
 * @timer:	the one timer of the flow
 */
struct flow {
	struct flow_key key;
	uint32_t hash;
	int fd[FLOW_SIDES];
	uint32_t gen : 23, type : 8, bulk : 1;
	struct list node;
	struct list ready;
	struct timer timer;
};

/**
 * struct flow_table - All flows
 * @slots:	reserved address space, takes memory on first use
 * @live:	one bit for each slot: it has a flow
 * @buckets:	hash table with linear probing: slot number + 1, 0: empty
 * @slot_size:	bytes
 * @max:	number of slots
 * @mask:	number of buckets - 1
 * @used:	number of flows
 * @peak:	largest @used since memory was last given back
 * @top:	slots from here on were never used
 * @full:	words of @live before this one have no free slot
 * @gen:	generation of the latest flow
 * @secret:	key of the hash
 * @epfd:	epoll set of their sockets
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
