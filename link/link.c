// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * link.c - The operations of a link. Each calls a function of the back-end, and
 * does the work that is the same for all back-ends. While no guest is
 * connected, a queue has no link; callers may still call these functions.
 */
/* syscalls: run: epoll_ctl */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "event.h"
#include "link/link.h"
#include "util.h"

/* link_show() - Show a burst of frames to all observers of a link */
static void link_show(const struct link *l, bool to_guest,
		      const struct frame *frames, unsigned int n)
{
	struct link_observer *o;

	for (o = l->observers; o; o = o->next)
		o->see(o, to_guest, frames, n);
}

/**
 * link_observe() - Show all frames of a link to an observer from now on
 * @l:		open link
 * @o:		observer, which must not observe any other link. Closing the
 *		link removes the observer
 */
void link_observe(struct link *l, struct link_observer *o)
{
	o->next = l->observers;
	l->observers = o;
}

/* watch_one() - Add descriptor @i of a link to both epoll sets; 0 or -errno */
static int watch_one(const struct link *l, unsigned int i)
{
	const struct link_fd *f = &l->fds[i];
	struct epoll_event ev = {
		.events = f->events,
		.data.u64 = event_token(EVENT_LINK, 0, 0, i),
	};

	if (f->fd < 0)
		return 0;
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, f->fd, &ev))
		return -errno;
	ev.events = f->blocked;
	return epoll_ctl(l->epfd_blocked, EPOLL_CTL_ADD, f->fd, &ev) ?
	       -errno : 0;
}

static void unwatch_one(const struct link *l, int fd)
{
	if (fd < 0)
		return;
	epoll_ctl(l->epfd, EPOLL_CTL_DEL, fd, NULL);
	epoll_ctl(l->epfd_blocked, EPOLL_CTL_DEL, fd, NULL);
}

/**
 * link_watch() - Register the descriptors of a link in both epoll sets
 * @l:		open link
 * @epfd, @epfd_blocked: epoll sets, as in struct link
 *
 * Return: 0 or -errno
 */
int link_watch(struct link *l, int epfd, int epfd_blocked)
{
	unsigned int i;
	int rc = 0;

	l->epfd = epfd;
	l->epfd_blocked = epfd_blocked;
	l->watched = true;
	for (i = 0; i < l->nfds && !rc; i++)
		rc = watch_one(l, i);
	return rc;
}

/* link_unwatch() - Remove the descriptors of a link from the two epoll sets to
 * which link_watch() has added them */
void link_unwatch(struct link *l)
{
	unsigned int i;

	for (i = 0; i < l->nfds && l->watched; i++)
		unwatch_one(l, l->fds[i].fd);
	l->watched = false;
}

/**
 * link_set_fd() - Replace a descriptor that the event loop waits for
 * @l:		open link
 * @i:		index of the descriptor
 * @f:		the new descriptor. The caller closes the old one after this
 *		call
 *
 * The old descriptor is removed from the epoll sets here: closing it would not
 * remove it if another process has it open.
 *
 * Return: 0 or -errno
 */
int link_set_fd(struct link *l, unsigned int i, struct link_fd f)
{
	int old = l->fds[i].fd;

	l->fds[i] = f;
	if (!l->watched)
		return 0;
	unwatch_one(l, old);
	return watch_one(l, i);
}

/**
 * link_event() - Handle events of a descriptor of the link
 * @l:		open link
 * @i:		index of the descriptor in @l->fds
 * @events:	events (EPOLL*) that epoll reported
 *
 * Sets @more of each queue from which frames can be received now.
 *
 * Return: 0; or -errno if the link failed and must be closed
 */
int link_event(struct link *l, unsigned int i, uint32_t events)
{
	return l->ops->event(l, i, events);
}

/**
 * link_refill() - Receive a burst of frames into @q->from_guest
 * @q:		queue
 *
 * Return: number of frames received; 0 if there are none now; -errno if the
 *	   guest left or the link failed, and -ENOTCONN if no guest is connected
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
 * link_release() - Give the frames of the last refill back to the back-end
 * @q:		queue
 */
void link_release(struct link_queue *q)
{
	if (q->link)
		q->link->ops->release(q);
	q->nfrom_guest = 0;
}

/**
 * link_slots() - Get slots; each slot is space for one frame to the guest
 * @q:		queue
 * @len:	bytes of each slot, Ethernet header included; at most the length
 *		of the longest frame or GSO frame that the link takes
 * @n:		number of slots wanted
 * @slots:	array of @n slots to fill. The pieces of the slots belong to the
 *		back-end, and stay in place until the next link_flush()
 *
 * A slot has at least LINK_FRAME_MIN bytes, even if @len is less, so that every
 * frame can be padded to the minimum of Ethernet.
 *
 * The caller commits slots in their order, each at most once. The next call of
 * link_slots() or link_flush() takes back all slots that are not committed.
 *
 * Return: number of slots filled, at most @n; 0 if the link has no space
 */
unsigned int link_slots(struct link_queue *q, size_t len, unsigned int n,
			struct link_slot *slots)
{
	n = MIN(n, LINK_FRAMES - q->nto_guest);
	len = MAX(len, LINK_FRAME_MIN);
	return n && q->link ? q->link->ops->slots(q, len, n, slots) : 0;
}

/**
 * link_slot_write() - Copy bytes into a slot, across its pieces
 * @slot:	slot
 * @off:	offset in the slot of the first byte to write
 * @data:	bytes to copy
 * @len:	number of bytes; @off + @len must not exceed the slot
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
 * link_flush() - Send all committed frames to the guest
 * @q:		queue
 *
 * Return: 1 if all frames were sent; 0 if the guest takes no more bytes for now
 *	   (then @q->blocked is set); -errno if the link failed, and -ENOTCONN
 *	   if no guest is connected
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
 * link_stalled() - Whether the guest may have stopped taking frames
 * @q:		queue
 *
 * This function may make a system call, so it is for timers, not for each
 * frame.
 *
 * Return: true if frames wait for the guest, and the guest may have taken none
 *	   since it sent its last frame; false if no frame waits, if the guest
 *	   has certainly taken frames since then, or if no guest is connected
 */
bool link_stalled(struct link_queue *q)
{
	return q->link && q->link->ops->stalled(q);
}

/* link_blocked() - Whether the guest takes no more frames for now from one of
 * the queues that are in use */
bool link_blocked(const struct link *l)
{
	unsigned int i;

	for (i = 0; i < l->nqueues; i++) {
		if (l->queues[i].blocked && !l->queues[i].unused)
			return true;
	}
	return false;
}

/**
 * link_close() - Close a link, and free its memory and descriptors
 * @l:		link; nothing happens if the link is closed already
 */
void link_close(struct link *l)
{
	struct link_queue *q;
	unsigned int i;

	if (!l->ops)
		return;
	link_unwatch(l);
	l->ops->close(l);
	l->ops = NULL;
	l->nfds = 0;
	l->observers = NULL;
	for (i = 0; i < l->nqueues; i++) {
		q = &l->queues[i];
		q->link = NULL;
		q->nfrom_guest = q->nto_guest = 0;
		q->pending = 0;
		q->unused = q->blocked = q->more = false;
		q->retry = q->low_latency = false;
	}
}
