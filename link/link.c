// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * link.c - The operations of a link, whatever its kind. A queue without a guest
 * has none, which is no error of the caller.
 */
#include <errno.h>
#include <string.h>

#include "link/link.h"
#include "util.h"

/* link_show() - Let the observers see a burst of frames */
static void link_show(const struct link *l, bool to_guest,
		      const struct frame *frames, unsigned int n)
{
	struct link_observer *o;

	for (o = l->observers; o; o = o->next)
		o->see(o, to_guest, frames, n);
}

/**
 * link_observe() - Let an observer see all frames from now on
 * @l:		open link
 * @o:		observer of this link and no other; forgotten when it closes
 */
void link_observe(struct link *l, struct link_observer *o)
{
	o->next = l->observers;
	l->observers = o;
}

/**
 * link_event() - A descriptor of the link has events
 * @l:		open link
 * @i:		index in @l->fds
 * @events:	EPOLL*
 *
 * Queues that have frames now have @more set.
 *
 * Return: 0, or -errno: the link is gone
 */
int link_event(struct link *l, unsigned int i, uint32_t events)
{
	return l->ops->event(l, i, events);
}

/**
 * link_refill() - Receive a burst of frames into @q->from_guest
 * @q:		queue
 *
 * Return: number of frames, 0: none now, < 0: -errno, the link is gone
 */
int link_refill(struct link_queue *q)
{
	int n;

	q->nfrom_guest = 0;
	q->more = false;
	if (!q->link)
		return -ENOTCONN;
	n = q->link->ops->refill(q);
	if (n > 0)
		link_show(q->link, false, q->from_guest, (unsigned int)n);
	return n;
}

/**
 * link_release() - Give the frames of the last refill back
 * @q:		queue
 */
void link_release(struct link_queue *q)
{
	if (q->link)
		q->link->ops->release(q);
	q->nfrom_guest = 0;
}

/**
 * link_slots() - Space for frames to the guest
 * @q:		queue
 * @len:	bytes of each, Ethernet header included
 * @n:		number of slots wanted
 * @slots:	filled; their pieces are the back-end's, and stay in place until
 *		the next link_flush()
 *
 * Slots are committed in their order, each once or not at all; those that have
 * not been committed by the next link_slots() or link_flush() are given back.
 *
 * Return: number of slots, 0: no space
 */
unsigned int link_slots(struct link_queue *q, size_t len, unsigned int n,
			struct link_slot *slots)
{
	n = MIN(n, LINK_FRAMES - q->nto_guest);
	return n && q->link ? q->link->ops->slots(q, len, n, slots) : 0;
}

/**
 * link_slot_write() - Write into a slot
 * @slot:	slot
 * @off:	offset in it
 * @data:	bytes
 * @len:	number of bytes; they end inside the slot
 */
void link_slot_write(const struct link_slot *slot, size_t off,
		     const void *data, size_t len)
{
	const struct iovec *iov = slot->iov;
	const uint8_t *p = data;
	size_t n;

	for (; off >= iov->iov_len && len; iov++)
		off -= iov->iov_len;
	for (; len; iov++, p += n, len -= n, off = 0) {
		n = MIN(len, iov->iov_len - off);
		memcpy((uint8_t *)iov->iov_base + off, p, n);
	}
}

/**
 * link_flush() - Send what was committed
 * @q:		queue
 *
 * Return: 1: all sent, 0: the guest takes no more for now (@q->blocked),
 *	   < 0: -errno, the link is gone
 */
int link_flush(struct link_queue *q)
{
	q->pending = 0;
	if (!q->link)
		return -ENOTCONN;
	if (q->nto_guest)
		link_show(q->link, true, q->to_guest, q->nto_guest);
	return q->link->ops->flush(q);
}

/**
 * link_close() - Close the link, give back its memory and descriptors
 * @l:		link; nothing happens if it is closed
 */
void link_close(struct link *l)
{
	struct link_queue *q;
	unsigned int i;

	if (!l->ops)
		return;
	l->ops->close(l);
	l->ops = NULL;
	l->nfds = 0;
	l->observers = NULL;
	for (i = 0; i < l->nqueues; i++) {
		q = &l->queues[i];
		q->link = NULL;
		q->nfrom_guest = q->nto_guest = 0;
		q->pending = 0;
		q->blocked = q->more = q->low_latency = false;
	}
}
