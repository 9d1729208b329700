/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * virtqueue.h - The device's side of a split virtqueue (virtio 1.2, 2.7), in
 * memory that the guest can change at any time. Descriptors are copied once and
 * then checked, every address is looked up in the guest's memory, and chains
 * are bounded.
 *
 * A chain that was taken from the available ring belongs to passt until
 * virtqueue_put() and virtqueue_publish() return it to the guest. The caller
 * may look at chains before it takes them.
 */
#ifndef LINK_VIRTQUEUE_H
#define LINK_VIRTQUEUE_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "link/guest_mem.h"

#define VIRTQUEUE_MAX	32768	/* entries, at most (virtio 1.2, 2.7) */

/**
 * struct virtqueue - A ring
 * @size:	entries, a power of two; 0: not set
 * @desc, @avail, @used: parts of the ring in the guest's memory; NULL: not set
 * @next_avail:	index of the first entry of the available ring that passt has
 *		not taken yet. Indices count modulo 65536
 * @next_used:	index of the next entry of the used ring to write
 * @published:	used entries before this index were made visible to the guest
 * @event_idx:	VIRTIO_RING_F_EVENT_IDX was negotiated
 * @call:	descriptor to write to when the guest wants to be notified of
 *		used entries; -1: none
 * @calls:	how often passt has written to @call
 */
struct virtqueue {
	unsigned int size;
	const struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t next_avail, next_used, published;
	bool event_idx;
	int call;
	uint64_t calls;
};

/**
 * struct vq_chain - A chain of descriptors, checked
 * @head:	index of its first descriptor
 * @iov, @cnt:	its pieces, and their number; the caller provides the array
 * @len:	bytes in all
 */
struct vq_chain {
	uint16_t head;
	struct iovec *iov;
	unsigned int cnt;
	size_t len;
};

uint16_t virtqueue_index(const struct virtqueue *q);
uint16_t virtqueue_used_index(const struct virtqueue *q);
int virtqueue_peek(const struct virtqueue *q, const struct guest_mem *m,
		   unsigned int ahead, bool writable, unsigned int max,
		   struct vq_chain *c);
void virtqueue_put(struct virtqueue *q, uint16_t head, uint32_t len);
void virtqueue_notify(struct virtqueue *q);
void virtqueue_publish(struct virtqueue *q);
bool virtqueue_taken(const struct virtqueue *q);
bool virtqueue_await(struct virtqueue *q, unsigned int known);
void virtqueue_ignore(struct virtqueue *q);

/* virtqueue_take() - Take the next @n chains from the available ring */
static inline void virtqueue_take(struct virtqueue *q, unsigned int n)
{
	q->next_avail = (uint16_t)(q->next_avail + n);
}

#endif /* LINK_VIRTQUEUE_H */
