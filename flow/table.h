/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * table.h - The flows of all protocols: slots, a hash over their keys, and
 * the tokens that epoll gives back.
 * Called by the protocols; calls timer_init(), siphash and util.c only.
 *
 * Slots live in one reserved stretch of address space that is touched as
 * flows come and given back when most have gone, so a pointer to a flow stays
 * good, and an idle table is small.
 * A flow's slot is as large as the largest protocol structure, which embeds
 * struct flow first.
 */
#ifndef FLOW_TABLE_H
#define FLOW_TABLE_H

#include <netinet/in.h>
#include <stdint.h>

#include "siphash.h"
#include "event.h"
#include "flow/timer.h"

/* What a flow is: decides which functions handle it (struct flow_class). */
enum flow_type {
	FLOW_TCP,
	FLOW_UDP,
	FLOW_ECHO,		/* an echo identifier, or a peer that it pings */
	FLOW_TYPES,
};

/* The two ends of a flow that may have a descriptor. */
enum flow_side {
	SIDE_HOST,		/* a socket on the host, towards the peer */
	SIDE_GUEST,		/* a socket where the guest is: no link between */
	FLOW_SIDES,
};

/**
 * struct flow_key - What tells flows apart, as the guest sees the addresses
 * @guest:	guest's address
 * @remote:	the other end's address, before any translation
 * @gport:	guest's port, host order; echo: identifier
 * @rport:	other end's port, host order; echo: zero
 * @proto:	IPPROTO_*
 * @zero:	no holes: the key is hashed and compared as bytes
 */
struct flow_key {
	struct in6_addr guest, remote;
	uint16_t gport, rport;
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
 * @node:	a list of the protocol's own
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
 * @slots:	reserved address space, touched on demand
 * @live:	a bit for each slot: a flow is in it
 * @buckets:	slot number + 1, 0: empty; linear probing
 * @slot_size:	bytes
 * @max:	number of slots
 * @mask:	number of buckets - 1
 * @used:	flows alive
 * @peak:	the most of them since memory was last given back
 * @top:	slots from here on have not been touched
 * @full:	words of @live before this one have no slot to spare
 * @gen:	generation of the latest flow
 * @secret:	key of the hash
 * @epfd:	where sockets are watched
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
