// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * virtqueue.c - The device's side of a split virtqueue. Section numbers are
 * those of virtio 1.2.
 *
 * Fields of a ring are little-endian. Each is read or written once, by a
 * single access, so that the value that was checked is the value that is used.
 */
/* syscalls: vhost: write */
#include <endian.h>
#include <errno.h>
#include <unistd.h>

#include "link/virtqueue.h"
#include "util.h"

#define LOAD(field)		(*(const volatile typeof(field) *)&(field))
#define STORE(field, value)	(*(volatile typeof(field) *)&(field) = (value))

/* Return the index of the used ring at which the guest wants to be notified
 * (virtio 1.2, 2.7.7.2). The guest writes it after the last entry of the
 * available ring. */
static uint16_t used_event(const struct virtqueue *q)
{
	return le16toh(LOAD(q->avail->ring[q->size]));
}

/* set_avail_event() - Ask the guest to notify passt when the guest has filled
 * the entry @index of the available ring (virtio 1.2, 2.7.10) */
static void set_avail_event(struct virtqueue *q, uint16_t index)
{
	uint16_t *at = (uint16_t *)&q->used->ring[q->size];

	STORE(*at, htole16(index));
}

/* virtqueue_index() - Return the index of the next entry of the available ring
 * that the guest will fill */
uint16_t virtqueue_index(const struct virtqueue *q)
{
	return le16toh(__atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE));
}

/* virtqueue_used_index() - Read from the ring the index of the next entry of
 * the used ring that passt will fill */
uint16_t virtqueue_used_index(const struct virtqueue *q)
{
	return le16toh(LOAD(q->used->idx));
}

/* count_avail() - Return how many chains are available, or -EPROTO if the guest
 * claims more than the ring has */
static int count_avail(const struct virtqueue *q)
{
	uint16_t n = (uint16_t)(virtqueue_index(q) - q->next_avail);

	return n <= q->size ? n : -EPROTO;
}

/* struct packed_desc - struct vring_desc at any address: an indirect table need
 * not be aligned (virtio 1.2, 2.7.5.3) */
struct packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
} __attribute__((packed));

static struct vring_desc load_desc(const volatile struct packed_desc *d)
{
	return (struct vring_desc){
		.addr = le64toh(d->addr), .len = le32toh(d->len),
		.flags = le16toh(d->flags), .next = le16toh(d->next),
	};
}

/* add_desc() - Add the bytes of a descriptor to a chain. The bytes may lie in
 * several adjacent regions of the guest's memory. Returns 0 or -errno */
static int add_desc(const struct guest_mem *m, const struct vring_desc *d,
		    unsigned int max, struct vq_chain *c)
{
	uint64_t addr = d->addr;
	size_t left = d->len, n;
	void *p;

	for (; left; left -= n, addr += n) {
		n = left;
		p = guest_mem_at(m, addr, &n);
		if (!p)
			return -EFAULT;
		if (c->cnt == max)
			return -ENOBUFS;
		c->iov[c->cnt++] = (struct iovec){ p, n };
		c->len += n;
	}
	return 0;
}

/**
 * struct desc_table - The table that the descriptors of a chain are in
 * @desc, @n:	descriptors, and their number
 * @indirect:	a descriptor of the ring refers to the table; false: the table
 *		is that of the ring itself
 */
struct desc_table {
	const volatile struct packed_desc *desc;
	uint32_t n;
	bool indirect;
};

/* enter_table() - Go on in the indirect table that a descriptor refers to
 * (virtio 1.2, 2.7.5.3); returns 0 or -errno */
static int enter_table(const struct guest_mem *m, const struct vring_desc *d,
		       struct desc_table *t)
{
	size_t len = d->len;

	if (t->indirect || !len || len % sizeof(*t->desc) ||
	    len / sizeof(*t->desc) > VIRTQUEUE_MAX)
		return -EPROTO;
	t->desc = guest_mem_at(m, d->addr, &len);
	if (!t->desc || len < d->len)
		return -EFAULT;
	t->n = (uint32_t)(len / sizeof(*t->desc));
	t->indirect = true;
	return 0;
}

/**
 * walk_chain() - Collect the bytes of a chain
 * @writable:	the device writes to the chain; false: the device reads from the
 *		chain
 * @c:		chain, whose @head is set
 *
 * A chain has at most as many descriptors as its table, so this function ends
 * even if the descriptors form a loop. Descriptors without bytes count towards
 * @max, too: a table can have 32,768 entries, and reading so many of them for
 * each frame would take too long.
 *
 * Return: 0; -EPROTO or -EFAULT if the guest has broken a rule of virtio;
 *	   -ENOBUFS if the chain has more than @max pieces or descriptors
 */
static int walk_chain(const struct virtqueue *q, const struct guest_mem *m,
		      bool writable, unsigned int max, struct vq_chain *c)
{
	struct desc_table t = { (const void *)q->desc, q->size, false };
	uint32_t at = c->head, seen = 0;
	struct vring_desc d;
	int rc = 0;

	c->cnt = 0;
	c->len = 0;
	do {
		if (at >= t.n || seen++ >= t.n)
			return -EPROTO;
		if (seen > max)
			return -ENOBUFS;
		d = load_desc(&t.desc[at]);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			rc = d.flags & VRING_DESC_F_NEXT ? -EPROTO :
			     enter_table(m, &d, &t);
			seen = 0;
			d.flags = VRING_DESC_F_NEXT;
			d.next = 0;
		} else if (!(d.flags & VRING_DESC_F_WRITE) != !writable) {
			rc = -EPROTO;
		} else {
			rc = add_desc(m, &d, max, c);
		}
		at = d.next;
	} while (!rc && d.flags & VRING_DESC_F_NEXT);
	return rc;
}

/**
 * virtqueue_peek() - Read an available chain, without taking it from the ring
 * @q:		ring, whose parts are set
 * @m:		memory of the guest
 * @ahead:	number of available chains to skip before the one to read
 * @writable:	the device writes to the chain; false: the device reads from the
 *		chain
 * @max:	number of pieces that @c->iov has space for
 * @c:		chain; @iov is set, and the other fields are filled
 *
 * Return: 1 if there is a chain; 0 if there is none; -ENOBUFS if it has more
 *	   than @max pieces, and then @head is valid; -EPROTO or -EFAULT if the
 *	   guest has broken a rule of virtio, and the ring can't be used any
 *	   more
 */
int virtqueue_peek(const struct virtqueue *q, const struct guest_mem *m,
		   unsigned int ahead, bool writable, unsigned int max,
		   struct vq_chain *c)
{
	int n = count_avail(q), rc;
	uint16_t slot;

	if (n <= (int)ahead)
		return MIN(n, 0);
	slot = (uint16_t)(q->next_avail + ahead) & (uint16_t)(q->size - 1);
	c->head = le16toh(LOAD(q->avail->ring[slot]));
	rc = walk_chain(q, m, writable, max, c);
	return rc ? rc : 1;
}

/**
 * virtqueue_put() - Put a chain in the used ring. The guest gets it at the next
 * virtqueue_publish()
 * @q:		ring
 * @head:	index of the chain's first descriptor
 * @len:	bytes that were written to the chain
 */
void virtqueue_put(struct virtqueue *q, uint16_t head, uint32_t len)
{
	struct vring_used_elem *e =
		&q->used->ring[q->next_used++ & (q->size - 1)];

	STORE(e->id, htole32(head));
	STORE(e->len, htole32(len));
}

/* wants_call() - Whether the guest wants to be notified of the used entries
 * from @published to @next_used (virtio 1.2, 2.7.7) */
static bool wants_call(const struct virtqueue *q)
{
	if (q->event_idx)
		return vring_need_event(used_event(q), q->next_used,
					q->published);
	return !(le16toh(LOAD(q->avail->flags)) & VRING_AVAIL_F_NO_INTERRUPT);
}

/* virtqueue_taken() - Whether the guest has certainly taken all chains that
 * virtqueue_publish() has given to it. Only EVENT_IDX shows that: a driver that
 * has taken them asks to be notified of the next one (virtio 1.2, 2.7.7.1) */
bool virtqueue_taken(const struct virtqueue *q)
{
	return q->event_idx && used_event(q) == q->published;
}

/* virtqueue_notify() - Notify the guest of used chains, even if it does not
 * want that */
void virtqueue_notify(struct virtqueue *q)
{
	static const uint64_t one = 1;

	if (q->call < 0)
		return;
	q->calls++;
	/* If the eventfd's counter is full (EAGAIN), the guest has earlier
	 * notifications to read. */
	if (write(q->call, &one, sizeof(one)) < 0 && errno == EINTR)
		q->calls--;
}

/* virtqueue_publish() - Give the guest all chains that virtqueue_put() has put
 * in the used ring, and notify the guest if it wants that */
void virtqueue_publish(struct virtqueue *q)
{
	if (q->published == q->next_used)
		return;
	__atomic_store_n(&q->used->idx, htole16(q->next_used),
			 __ATOMIC_RELEASE);
	/* The guest first asks for a notification and then reads the index.
	 * With this fence, either the guest sees the new index, or passt sees
	 * that the guest asks for a notification. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (wants_call(q))
		virtqueue_notify(q);
	q->published = q->next_used;
}

/**
 * virtqueue_await() - Ask the guest to notify passt when another chain is
 * available
 * @q:		ring
 * @known:	number of available chains that the caller has seen
 *
 * Return: true if more than @known chains are available already; the guest will
 *	   not notify passt of these
 */
bool virtqueue_await(struct virtqueue *q, unsigned int known)
{
	if (q->event_idx)
		set_avail_event(q, (uint16_t)(q->next_avail + known));
	else
		STORE(q->used->flags, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return count_avail(q) != (int)known;
}

/* virtqueue_ignore() - Ask the guest not to notify passt of available chains,
 * because passt is going to look for them. With EVENT_IDX, this function leaves
 * the old index in the ring, which has the same effect */
void virtqueue_ignore(struct virtqueue *q)
{
	if (!q->event_idx)
		STORE(q->used->flags, htole16(VRING_USED_F_NO_NOTIFY));
}
