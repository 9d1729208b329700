/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * frontq.h - The driver's side of a split virtqueue (virtio 1.2, 2.7): posts
 * buffers, takes back the used ones, and notifies no more than is asked for.
 * For programs of the tests: a back-end that violates the format ends them.
 */
#ifndef TEST_NET_FRONTQ_H
#define TEST_NET_FRONTQ_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRONTQ_PIECES	20	/* of one chain: Linux posts up to 19 */
#define FRONTQ_MAX	1024	/* entries of a ring, as qemu has it */

/**
 * struct piece - A part of a buffer
 * @p:		in the memory of this program
 * @gpa:	the same as a guest-physical address
 * @len:	bytes
 */
struct piece {
	uint8_t *p;
	uint64_t gpa;
	uint32_t len;
};

/**
 * struct posted - A buffer that the back-end has
 * @out:	it has it
 * @descs:	entries of the descriptor table that it takes
 * @slot:	what the caller calls it
 * @bytes:	of all its pieces
 */
struct posted {
	bool out;
	uint16_t descs, slot;
	uint32_t bytes;
};

/**
 * struct frontq - One virtqueue
 * @name:	for messages
 * @size:	entries, a power of two
 * @event_idx, @indirect: features that were negotiated
 * @ring:	the three parts in shared memory
 * @tables:	an indirect table for each entry, in shared memory
 * @tables_gpa:	its guest-physical address
 * @posted:	by index of the first descriptor
 * @next:	own copy of the links between descriptors
 * @free_head, @free: descriptors that nobody uses
 * @avail:	index after the last buffer posted
 * @shown:	the part of it that the back-end was shown
 * @last_used:	index of the next used buffer to take
 * @kick, @call: eventfds, from here and to here
 * @kicks:	notifications sent
 */
struct frontq {
	const char *name;
	uint16_t size;
	bool event_idx, indirect;
	struct vring ring;
	struct vring_desc *tables;
	uint64_t tables_gpa;
	struct posted posted[FRONTQ_MAX];
	uint16_t next[FRONTQ_MAX];
	uint16_t free_head, free;
	uint16_t avail, shown, last_used;
	int kick, call;
	uint64_t kicks;
};

size_t frontq_memory(unsigned int size);
void frontq_reset(struct frontq *q);
void frontq_post(struct frontq *q, const struct piece *pieces, unsigned int n,
		 bool write, uint16_t slot);
void frontq_show(struct frontq *q);
unsigned int frontq_used(const struct frontq *q);
uint16_t frontq_take(struct frontq *q, uint32_t *len);
bool frontq_want_call(struct frontq *q, unsigned int after);
void frontq_no_call(struct frontq *q);

/* frontq_fits() - Whether a chain of @n pieces finds descriptors */
static inline bool frontq_fits(const struct frontq *q, unsigned int n)
{
	return q->free >= (q->indirect ? 1 : n);
}

/* frontq_pending() - Buffers that the back-end has not used yet */
static inline uint16_t frontq_pending(const struct frontq *q)
{
	return (uint16_t)(q->avail - q->last_used);
}

#endif /* TEST_NET_FRONTQ_H */
