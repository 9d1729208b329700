// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * table.c - The flows of all protocols: an array of slots, and a hash table
 * that finds a slot by the key of its flow.
 *
 * A new flow gets the lowest free slot, so flows gather at the front of the
 * array as their number falls. When the number of flows falls below a quarter
 * of its peak, pages without a flow go back to the kernel, and the hash table
 * is rebuilt. A rebuild costs little: it visits only the flows that are left,
 * and since the peak, at least three times as many flows were removed.
 */
/* syscalls: run: epoll_ctl madvise; end: munmap */
#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "flow/table.h"
#include "util.h"

/* Flows in a table, at most: four times the default of fs.nr_open, which limits
 * the descriptors of a process. */
#define FLOW_MAX	(UINT32_C(1) << 22)
#define SLOT_ALIGN	64	/* bytes of a cache line */

/* A table gives memory back only if its peak was above KEEP flows, or above
 * KEEP_EMPTY flows if the table is empty now. */
#define KEEP		256
#define KEEP_EMPTY	16

#define POISON		0xdb	/* fills removed flows, to expose their use */
#define WORD		64	/* bits in a word of @live, one for each slot */

_Static_assert(sizeof(struct flow_key) == 40, "the key has no holes");
_Static_assert(offsetof(struct flow, node) <= SLOT_ALIGN,
	       "a lookup reads one cache line of a flow");

/* live_words() - Length of @live in words */
static size_t live_words(const struct flow_table *t)
{
	return (t->max + WORD - 1) / WORD;
}

/* buckets_size() - Length of @buckets in bytes */
static size_t buckets_size(const struct flow_table *t)
{
	return ((size_t)t->mask + 1) * sizeof(*t->buckets);
}

static struct flow *slot_flow(const struct flow_table *t, uint32_t slot)
{
	return (struct flow *)(t->slots + slot * t->slot_size);
}

static uint32_t flow_slot(const struct flow_table *t, const struct flow *f)
{
	return (uint32_t)((size_t)((const char *)f - t->slots) / t->slot_size);
}

static bool slot_live(const struct flow_table *t, uint32_t slot)
{
	return t->live[slot / WORD] >> (slot % WORD) & 1;
}

/**
 * flow_table_init() - Make a table without flows
 * @slot_size:	bytes of the largest structure that embeds struct flow
 * @max:	number of flows that the table can hold. A value above FLOW_MAX
 *		is reduced to FLOW_MAX, to bound the address space of the table
 * @epfd:	epoll descriptor for flow_watch()
 *
 * Return: 0 on success, -EINVAL if @max is 0, -ENOMEM if there is not enough
 *	   address space
 */
int flow_table_init(struct flow_table *t, size_t slot_size, uint32_t max,
		    int epfd)
{
	uint32_t buckets = 2;

	if (!max)
		return -EINVAL;

	max = MIN(max, FLOW_MAX);
	while (buckets < 2 * max)
		buckets *= 2;

	slot_size = (slot_size + SLOT_ALIGN - 1) & ~(size_t)(SLOT_ALIGN - 1);
	*t = (struct flow_table){ .slot_size = slot_size, .max = max,
				  .mask = buckets - 1, .epfd = epfd };
	random_bytes(&t->secret, sizeof(t->secret));

	t->slots = memory_reserve(max * slot_size);
	t->live = memory_reserve(live_words(t) * sizeof(*t->live));
	t->buckets = memory_reserve(buckets_size(t));
	if (t->slots && t->live && t->buckets)
		return 0;

	flow_table_free(t);
	return -ENOMEM;
}

/* flow_table_free() - Free the table, but not the sockets of its flows */
void flow_table_free(struct flow_table *t)
{
	if (t->buckets)
		munmap(t->buckets, buckets_size(t));
	if (t->live)
		munmap(t->live, live_words(t) * sizeof(*t->live));
	if (t->slots)
		munmap(t->slots, t->max * t->slot_size);
	*t = (struct flow_table){ .epfd = -1 };
}

static uint32_t key_hash(const struct flow_table *t, const struct flow_key *k)
{
	return (uint32_t)siphash(&t->secret, k, sizeof(*k));
}

/* bucket_find() - Find the bucket of the flow with a key; if no flow has the
 * key, return the empty bucket in which such a flow belongs */
static uint32_t bucket_find(const struct flow_table *t,
			    const struct flow_key *k, uint32_t hash)
{
	uint32_t b;

	for (b = hash & t->mask; t->buckets[b]; b = (b + 1) & t->mask) {
		const struct flow *f = slot_flow(t, t->buckets[b] - 1);

		if (f->hash == hash && !memcmp(&f->key, k, sizeof(*k)))
			break;
	}

	return b;
}

/*
 * empty_bucket() - Empty a bucket, so that searches still find all other
 * entries
 *
 * A search ends at the first empty bucket, so this gap would hide later
 * entries. An entry after the gap moves into the gap, unless the search for
 * that entry begins after the gap (Knuth, The Art of Computer Programming,
 * volume 3, 6.4, algorithm R).
 */
static void empty_bucket(struct flow_table *t, uint32_t b)
{
	uint32_t next, home;

	for (next = (b + 1) & t->mask; t->buckets[next];
	     next = (next + 1) & t->mask) {
		home = slot_flow(t, t->buckets[next] - 1)->hash & t->mask;
		if (((next - home) & t->mask) < ((next - b) & t->mask))
			continue;
		t->buckets[b] = t->buckets[next];
		b = next;
	}

	t->buckets[b] = 0;
}

/* release_pages() - Give back to the kernel the pages that lie completely in
 * the slots from @from to @to - 1 */
static void release_pages(const struct flow_table *t, uint32_t from,
			  uint32_t to)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t start = (from * t->slot_size + page - 1) & ~(page - 1);
	size_t end = (to * t->slot_size) & ~(page - 1);

	if (start < end)
		madvise(t->slots + start, end - start, MADV_DONTNEED);
}

/* shrink_table() - Give back the memory of flows that were removed */
static void shrink_table(struct flow_table *t)
{
	uint32_t from = 0;
	struct flow *f;

	madvise(t->buckets, buckets_size(t), MADV_DONTNEED);
	for (f = flow_next(t, NULL); f; f = flow_next(t, f)) {
		uint32_t slot = flow_slot(t, f);

		release_pages(t, from, slot);
		t->buckets[bucket_find(t, &f->key, f->hash)] = slot + 1;
		from = slot + 1;
	}

	release_pages(t, from, t->top);
	memory_trim();
	t->top = from;
	t->peak = t->used;
}

/* flow_lookup() - Find the flow with a key; NULL if there is none */
struct flow *flow_lookup(const struct flow_table *t, const struct flow_key *k)
{
	uint32_t slot = t->buckets[bucket_find(t, k, key_hash(t, k))];

	return slot ? slot_flow(t, slot - 1) : NULL;
}

/*
 * take_flow_slot() - Take the lowest free slot of a table that is not full
 *
 * At worst this function reads one bit for each slot. For 20,000 slots, these
 * bits are in forty cache lines.
 */
static uint32_t take_flow_slot(struct flow_table *t)
{
	uint32_t slot;

	while (!~t->live[t->full])
		t->full++;

	slot = t->full * WORD + (uint32_t)__builtin_ctzll(~t->live[t->full]);
	t->live[t->full] |= UINT64_C(1) << (slot % WORD);
	t->top = MAX(t->top, slot + 1);
	t->used++;
	t->peak = MAX(t->peak, t->used);
	return slot;
}

/**
 * flow_insert() - Add a flow
 * @k:		key of the new flow
 * @type:	type of the new flow
 *
 * The protocol's fields, which follow struct flow in the slot, are zero. The
 * new flow has no socket and is in no list. Its timer is not armed, and has
 * type 0.
 *
 * Return: the new flow; NULL if the table is full, or has a flow with this key
 */
struct flow *flow_insert(struct flow_table *t, const struct flow_key *k,
			 enum flow_type type)
{
	uint32_t hash = key_hash(t, k), b = bucket_find(t, k, hash), slot;
	struct flow *f;

	if (t->used == t->max || t->buckets[b])
		return NULL;

	slot = take_flow_slot(t);
	t->buckets[b] = slot + 1;
	t->gen = (t->gen + 1) & EVENT_GEN_MASK;

	f = slot_flow(t, slot);
	memset(f, 0, t->slot_size);
	f->key = *k;
	f->hash = hash;
	f->fd[SIDE_HOST] = f->fd[SIDE_GUEST] = -1;
	f->gen = t->gen;
	f->type = (uint8_t)type;
	list_init(&f->node);
	list_init(&f->ready);
	timer_init(&f->timer, 0);
	return f;
}

/**
 * flow_remove() - Remove a flow from the table
 * @f:		the flow; the pointer is invalid afterwards
 *
 * Before the call, the protocol must close the sockets of the flow, cancel its
 * timer and remove the flow from all lists.
 */
void flow_remove(struct flow_table *t, struct flow *f)
{
	uint32_t slot = flow_slot(t, f);

	assert(slot_live(t, slot));
	assert(!timer_armed(&f->timer) && list_empty(&f->node) &&
	       list_empty(&f->ready));

	empty_bucket(t, bucket_find(t, &f->key, f->hash));
	memset(f, POISON, t->slot_size);
	t->live[slot / WORD] &= ~(UINT64_C(1) << (slot % WORD));
	t->full = MIN(t->full, slot / WORD);
	t->used--;

	if (t->peak > (t->used ? KEEP : KEEP_EMPTY) && t->used < t->peak / 4)
		shrink_table(t);
}

/**
 * flow_next() - Iterate over all flows, in the order of their slots
 * @f:		the flow that the last call returned, even if it was removed
 *		since; NULL to get the first flow
 *
 * Return: the next flow; NULL if @f was the last flow
 */
struct flow *flow_next(const struct flow_table *t, const struct flow *f)
{
	uint32_t slot = f ? flow_slot(t, f) + 1 : 0;

	while (slot < t->top) {
		uint64_t rest = t->live[slot / WORD] >> (slot % WORD);

		if (rest)
			return slot_flow(t, slot +
					 (uint32_t)__builtin_ctzll(rest));
		slot = (slot | (WORD - 1)) + 1;
	}

	return NULL;
}

/**
 * flow_from_token() - Find the flow that an event is for
 * @token:	token of type EVENT_FLOW, as epoll returned it
 *
 * Return: the flow; NULL if the flow was removed after the event occurred, even
 *	   if a newer flow has its slot now
 */
struct flow *flow_from_token(const struct flow_table *t, uint64_t token)
{
	uint32_t slot = event_index(token);
	struct flow *f;

	if (slot >= t->top || !slot_live(t, slot))
		return NULL;

	f = slot_flow(t, slot);
	return f->gen == event_gen(token) ? f : NULL;
}

/**
 * flow_token() - Make the epoll token for a side of a flow
 *
 * Return: a token of type EVENT_FLOW, which is never 0. A later flow in the
 *	   same slot has another token
 */
uint64_t flow_token(const struct flow_table *t, const struct flow *f,
		    enum flow_side side)
{
	return event_token(EVENT_FLOW, side, f->gen, flow_slot(t, f));
}

/* watch_side() - Tell epoll which events one side of a flow waits for; returns
 * 0 or -errno */
static int watch_side(const struct flow_table *t, const struct flow *f,
		      enum flow_side side, int op, uint32_t events)
{
	struct epoll_event ev = {
		.events = events,
		.data.u64 = flow_token(t, f, side),
	};

	return epoll_ctl(t->epfd, op, f->fd[side], &ev) ? -errno : 0;
}

/**
 * flow_watch() - Begin to watch a socket of a flow
 * @events:	EPOLL* flags of the events to wait for
 *
 * Closing the socket ends the watch.
 *
 * Return: 0, or -errno of epoll_ctl(): -ENOSPC if the user has too many epoll
 *	   watches, -ENOMEM if the kernel has no memory
 */
int flow_watch(struct flow_table *t, struct flow *f, enum flow_side side,
	       uint32_t events)
{
	return watch_side(t, f, side, EPOLL_CTL_ADD, events);
}

/**
 * flow_rewatch() - Change the events that a socket of a flow is watched for.
 * With EPOLLONESHOT or EPOLLET, a call with the same events makes epoll report
 * them once more
 * @events:	EPOLL* flags of the events to wait for
 *
 * Return: 0, or -errno of epoll_ctl()
 */
int flow_rewatch(struct flow_table *t, struct flow *f, enum flow_side side,
		 uint32_t events)
{
	return watch_side(t, f, side, EPOLL_CTL_MOD, events);
}
