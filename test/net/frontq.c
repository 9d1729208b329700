/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * frontq.c - The driver's side of a split virtqueue (virtio 1.2, 2.7): posts
 * buffers, takes back the used ones, and notifies only if the back-end asks for
 * it.
 * Called by vhostfront.c and vhostguest.c; calls the kernel.
 *
 * It keeps its own record of the buffers. It never reads from shared memory
 * what it wrote there itself, because the back-end might have changed it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "test/net/frontq.h"

static void __attribute__((noreturn))
violation(const struct frontq *q, const char *what, unsigned int number)
{
	fprintf(stderr, "back-end: %s ring: %s: %u\n", q->name, what, number);
	exit(1);
}

/**
 * frontq_memory() - Calculate how much shared memory the parts of a ring take
 * @size:	entries
 *
 * Return: bytes
 */
size_t frontq_memory(unsigned int size)
{
	return vring_size(size, VRING_DESC_ALIGN_SIZE);
}

/**
 * frontq_reset() - Empty the queue, as after a reset of the device
 * @q:		queue, with @ring, @size and the features set
 */
void frontq_reset(struct frontq *q)
{
	unsigned int i;

	for (i = 0; i < q->size; i++) {
		q->posted[i] = (struct posted){ 0 };
		q->next[i] = (uint16_t)(i + 1);
	}
	q->free_head = 0;
	q->free = q->size;
	q->avail = q->shown = q->last_used = 0;
	q->ring.avail->idx = q->ring.used->idx = 0;
	q->ring.avail->flags = q->ring.used->flags = 0;
	vring_avail_event(&q->ring) = 0;
	frontq_no_call(q);
}

/* write_desc() - Describe a piece; @next: index of the next descriptor, NULL:
 * none */
static void write_desc(struct vring_desc *d, const struct piece *piece,
		       bool write, const uint16_t *next)
{
	d->addr = piece->gpa;
	d->len = piece->len;
	d->flags = (uint16_t)((write ? VRING_DESC_F_WRITE : 0) |
			      (next ? VRING_DESC_F_NEXT : 0));
	d->next = next ? *next : 0;
}

/* post_direct() - Write the pieces to a chain in the descriptor table */
static void post_direct(struct frontq *q, const struct piece *pieces,
			unsigned int n, bool write)
{
	uint16_t at = q->free_head;
	unsigned int i;

	for (i = 0; i < n; i++) {
		write_desc(&q->ring.desc[at], &pieces[i], write,
			   i + 1 < n ? &q->next[at] : NULL);
		if (i + 1 < n)
			at = q->next[at];
	}
	q->free_head = q->next[at];
	q->free = (uint16_t)(q->free - n);
}

/* post_indirect() - Write the pieces to an indirect table */
static void post_indirect(struct frontq *q, const struct piece *pieces,
			  unsigned int n, bool write)
{
	size_t first = (size_t)q->free_head * FRONTQ_PIECES;
	struct vring_desc *d = &q->ring.desc[q->free_head];
	uint16_t i, next;

	for (i = 0; i < n; i++) {
		next = (uint16_t)(i + 1);
		write_desc(&q->tables[first + i], &pieces[i], write,
			   next < n ? &next : NULL);
	}
	d->addr = q->tables_gpa + first * sizeof(*d);
	d->len = (uint32_t)(n * sizeof(*d));
	d->flags = VRING_DESC_F_INDIRECT;
	d->next = 0;
	q->free_head = q->next[q->free_head];
	q->free--;
}

/**
 * frontq_post() - Post a buffer; the back-end sees it after frontq_show()
 * @q:		queue; frontq_fits() was true
 * @pieces:	pieces of the buffer
 * @n:		number of pieces, up to FRONTQ_PIECES
 * @write:	the back-end shall write to the buffer, not read it
 * @slot:	number that frontq_take() shall return for this buffer
 */
void frontq_post(struct frontq *q, const struct piece *pieces, unsigned int n,
		 bool write, uint16_t slot)
{
	uint16_t head = q->free_head;
	struct posted *posted = &q->posted[head];
	bool direct = n == 1 || !q->indirect;
	unsigned int i;

	*posted = (struct posted){
		.out = true, .slot = slot, .descs = direct ? (uint16_t)n : 1,
	};
	for (i = 0; i < n; i++)
		posted->bytes += pieces[i].len;
	if (direct)
		post_direct(q, pieces, n, write);
	else
		post_indirect(q, pieces, n, write);
	q->ring.avail->ring[q->avail++ & (q->size - 1)] = head;
}

/* wants_kick() - Whether the back-end wants to be notified of the buffers that
 * were shown since @old */
static bool wants_kick(const struct frontq *q, uint16_t old)
{
	uint16_t event;

	if (!q->event_idx)
		return !(__atomic_load_n(&q->ring.used->flags,
					 __ATOMIC_RELAXED) &
			 VRING_USED_F_NO_NOTIFY);
	event = __atomic_load_n(&vring_avail_event(&q->ring),
				__ATOMIC_RELAXED);
	return (uint16_t)(q->shown - event - 1) < (uint16_t)(q->shown - old);
}

/**
 * frontq_show() - Make posted buffers visible to the back-end, and notify it if
 * it asked for that
 * @q:		queue
 */
void frontq_show(struct frontq *q)
{
	const uint64_t one = 1;
	uint16_t old = q->shown;

	if (q->avail == old)
		return;
	q->shown = q->avail;
	__atomic_store_n(&q->ring.avail->idx, q->shown, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!wants_kick(q, old))
		return;
	q->kicks++;
	(void)!write(q->kick, &one, sizeof(one));
}

/**
 * frontq_used() - Return the number of buffers that can be taken back
 * @q:		queue
 */
unsigned int frontq_used(const struct frontq *q)
{
	uint16_t used = __atomic_load_n(&q->ring.used->idx, __ATOMIC_ACQUIRE);
	uint16_t n = (uint16_t)(used - q->last_used);

	if (n > (uint16_t)(q->shown - q->last_used))
		violation(q, "it used buffers that it does not have", n);
	return n;
}

/* free_chain() - Free the descriptors of a used buffer */
static void free_chain(struct frontq *q, uint16_t head)
{
	uint16_t at = head, i;

	for (i = 1; i < q->posted[head].descs; i++)
		at = q->next[at];
	q->next[at] = q->free_head;
	q->free_head = head;
	q->free = (uint16_t)(q->free + q->posted[head].descs);
	q->posted[head].out = false;
}

/**
 * frontq_take() - Take back the next used buffer; frontq_used() was not zero
 * @q:		queue
 * @len:	set to the number of bytes that the back-end wrote to the buffer
 *
 * Return: the number that frontq_post() was given
 */
uint16_t frontq_take(struct frontq *q, uint32_t *len)
{
	struct vring_used_elem e;

	e = q->ring.used->ring[q->last_used & (q->size - 1)];
	if (e.id >= q->size || !q->posted[e.id].out)
		violation(q, "no buffer was posted with this number", e.id);
	if (e.len > q->posted[e.id].bytes)
		violation(q, "it wrote more than the buffer takes", e.len);
	*len = e.len;
	q->last_used++;
	free_chain(q, (uint16_t)e.id);
	return q->posted[e.id].slot;
}

/**
 * frontq_want_call() - Ask the back-end for a notification, before sleeping
 * @q:		queue
 * @after:	with EVENT_IDX: notify when more than this many buffers are used
 *
 * Return: true if more than @after buffers are used already: don't wait for
 *	   the notification
 */
bool frontq_want_call(struct frontq *q, unsigned int after)
{
	if (q->event_idx)
		__atomic_store_n(&vring_used_event(&q->ring),
				 (uint16_t)(q->last_used + after),
				 __ATOMIC_RELAXED);
	else
		__atomic_store_n(&q->ring.avail->flags, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return frontq_used(q) > (q->event_idx ? after : 0);
}

/**
 * frontq_no_call() - Ask the back-end not to notify: this program is awake
 * @q:		queue
 */
void frontq_no_call(struct frontq *q)
{
	/* Ask for an index that is already in the past: the 16-bit index
	 * reaches this value again only 65,536 buffers later. */
	if (q->event_idx)
		__atomic_store_n(&vring_used_event(&q->ring),
				 (uint16_t)(q->last_used - 1),
				 __ATOMIC_RELAXED);
	else
		__atomic_store_n(&q->ring.avail->flags,
				 VRING_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
}
