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
#include "flow/timer.h"

/* What an epoll token stands for. */
enum event_type {
	EVENT_LINK,		/* the guest's frames */
	EVENT_LINK_LISTEN,	/* a new guest */
	EVENT_SIGNAL,
	EVENT_LISTENER,		/* a forwarded port; index is the listener */
	EVENT_FLOW,		/* a flow's socket; index is the slot */
	EVENT_GROUP,		/* a multicast group; index is the group */
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
 * @fd:		its socket, -1 if it has none
 * @gen:	24 bits, another for each flow: tells a late event from one of ours
 * @node:	a list of the protocol's own
 * @timer:	the one timer of the flow
 */
struct flow {
	struct flow_key key;
	uint32_t hash;
	int fd;
	uint32_t gen;
	struct list node;
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
struct flow *flow_insert(struct flow_table *t, const struct flow_key *k);
void flow_remove(struct flow_table *t, struct flow *f);
struct flow *flow_next(const struct flow_table *t, const struct flow *f);
struct flow *flow_from_token(const struct flow_table *t, uint64_t token);
int flow_watch(struct flow_table *t, struct flow *f, uint32_t events);
int flow_rewatch(struct flow_table *t, struct flow *f, uint32_t events);

/* Tokens: 8 bits of type, 24 of generation, 32 of index. */

static inline uint64_t event_token(enum event_type type, uint32_t gen,
				   uint32_t index)
{
	return (uint64_t)type << 56 | (uint64_t)(gen & 0xffffff) << 32 | index;
}

static inline enum event_type event_type(uint64_t token)
{
	return (enum event_type)(token >> 56);
}

static inline uint32_t event_index(uint64_t token)
{
	return (uint32_t)token;
}

#endif /* FLOW_TABLE_H */
