/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * frontq.h - The driver's side of a split virtqueue (virtio 1.2, 2.7): posts
 * buffers, takes back the used ones, and notifies only if the back-end asks for
 * it. For test programs only: a back-end that violates the format ends the
 * program.
 */
#ifndef TEST_NET_FRONTQ_H
#define TEST_NET_FRONTQ_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRONTQ_PIECES	20	/* pieces of a buffer: Linux posts up to 19 */
#define FRONTQ_MAX	1024	/* entries of a ring: qemu's maximum */

/**
 * struct piece - A part of a buffer
 * @p:		address in this program
 * @gpa:	guest-physical address of the same memory
 * @len:	bytes
 */
struct piece {
	uint8_t *p;
	uint64_t gpa;
	uint32_t len;
};

/**
 * struct posted - A buffer that was posted
 * @out:	the back-end has not given it back yet
 * @descs:	number of entries that it takes in the descriptor table
 * @slot:	the caller's number for it
 * @bytes:	length of all its pieces
 */
struct posted {
	bool out;
	uint16_t descs, slot;
	uint32_t bytes;
};

/**
 * struct frontq - One virtqueue
 * @name:	name for error messages
 * @size:	entries, a power of two
 * @event_idx, @indirect: whether these features were negotiated
 * @ring:	descriptor table, available and used ring, in shared memory
 * @tables:	an indirect table for each entry, in shared memory
 * @tables_gpa:	guest-physical address of @tables
 * @posted:	posted buffers, by the index of the first descriptor
 * @next:	private copy of the links between descriptors
 * @free_head:	first descriptor of the list of free ones
 * @free:	number of free descriptors
 * @avail:	index after the last buffer that was posted
 * @shown:	index after the last buffer that the back-end was shown
 * @last_used:	index in the used ring of the next buffer to take back
 * @kick:	eventfd that notifies the back-end
 * @call:	eventfd with which the back-end notifies
 * @kicks:	number of notifications sent to the back-end
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

/* frontq_fits() - Whether there are descriptors for a buffer of @n pieces */
static inline bool frontq_fits(const struct frontq *q, unsigned int n)
{
	return q->free >= (q->indirect ? 1 : n);
}

/* frontq_pending() - Return the number of posted buffers that were not taken
 * back yet */
static inline uint16_t frontq_pending(const struct frontq *q)
{
	return (uint16_t)(q->avail - q->last_used);
}

#endif /* TEST_NET_FRONTQ_H */
