/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * link.h - What carries frames to and from the guest, whatever it is.
 * Called by tap.c, the protocols' bulk paths and passt.c; a back-end (one
 * file each in link/) fills in the operations and never names a protocol.
 *
 * In:	link_refill() yields a batch of borrowed frames in @in; they stay
 *	valid until link_release().
 * Out:	link_reserve() hands out room for a frame, link_commit() makes a
 *	frame of it, link_flush() sends what was committed. Reserve and commit
 *	are pointer moves; a system call is made once per flush. Several
 *	frames may be reserved in a row, they are committed in that order.
 */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define LINK_BURST	256	/* frames in one refill */
#define LINK_OUT	1024	/* frames committed between two flushes */
#define LINK_FRAME_MAX	65535	/* bytes, Ethernet header included */

/**
 * struct frame - One frame from the guest, borrowed from the link
 * @iov:	its pieces in order; the array is the reader's to trim
 * @iovcnt:	how many
 * @len:	bytes in all
 * @csum_ok:	checksums need no check (offloaded: the data never left memory)
 */
struct frame {
	struct iovec *iov;
	unsigned int iovcnt;
	uint32_t len;
	bool csum_ok;
};

struct link;

/**
 * struct link_ops - What a back-end does
 * @refill:	receive, fill @in and @nin; > 0: frames, 0: none now,
 *		< 0: -errno, the link is gone (-ECONNRESET: guest left)
 * @release:	the frames of the last refill are done with
 * @flush:	send committed frames; 1: all gone, 0: some wait for the guest
 *		(@blocked is set), < 0: -errno, the link is gone
 * @close:	give back everything
 */
struct link_ops {
	int (*refill)(struct link *l);
	void (*release)(struct link *l);
	int (*flush)(struct link *l);
	void (*close)(struct link *l);
};

/**
 * struct link - A link, embedded first in the back-end's own structure
 * @ops:	operations; NULL: no guest
 * @wrapped:	operations of the link that a decorator (capture) sits on
 * @decorator:	its state
 * @fd:		what epoll waits for, -1: none
 * Capabilities, fixed once open:
 * @max_frame:	longest frame, bytes
 * @gso_max:	longest frame the link can segment, 0: it can't
 * @csum_offload: the link or the guest fills in checksums
 * @shared:	the guest can write to borrowed frames: copy before checking
 * @headroom:	bytes before each frame that the back-end keeps for itself
 * State:
 * @in, @nin:	frames of the last refill
 * @more:	further frames are at hand: refill again before waiting
 * @room, @end:	free bytes for frames to the guest
 * @reserved:	where the next reservation starts
 * @out, @nout:	frames committed since the last flush
 * @blocked:	the guest takes no more for now
 * @shallow:	a wish, from the next flush on: let less wait for the guest, so
 *		that what comes after it comes soon
 */
struct link {
	const struct link_ops *ops;
	const struct link_ops *wrapped;
	void *decorator;
	int fd;

	uint32_t max_frame;
	uint32_t gso_max;
	bool csum_offload;
	bool shared;
	uint8_t headroom;

	struct frame in[LINK_BURST];
	unsigned int nin;
	bool more;

	uint8_t *room, *end;
	uint8_t *reserved;
	struct iovec out[LINK_OUT];
	unsigned int nout, nreserved;
	bool blocked, shallow;
};

/**
 * link_reserve() - Room for one more frame, after those already reserved
 * @l:		the link
 * @len:	bytes, Ethernet header included
 * @iov:	the pieces of the room; the first holds at least all headers.
 *		One piece today; callers pass the array on, so that a link
 *		whose room is scattered needs no change in them
 *
 * Return: number of pieces, 0 if there is no room
 */
static inline unsigned int link_reserve(struct link *l, size_t len,
					struct iovec *iov)
{
	if (l->nout + l->nreserved == LINK_OUT ||
	    (size_t)(l->end - l->reserved) < l->headroom + len)
		return 0;

	iov->iov_base = l->reserved + l->headroom;
	iov->iov_len = len;
	l->reserved += l->headroom + len;
	l->nreserved++;
	return 1;
}

/**
 * link_commit() - The oldest reservation is a frame now
 * @l:		the link
 * @len:	its length, at most what was reserved. If less, those reserved
 *		after it are given back
 */
static inline void link_commit(struct link *l, size_t len)
{
	struct iovec *out = &l->out[l->nout++];

	out->iov_base = l->room + l->headroom;
	out->iov_len = len;
	l->room += l->headroom + len;
	l->nreserved--;
}

/* link_cancel() - Give back what is reserved and not committed */
static inline void link_cancel(struct link *l)
{
	l->reserved = l->room;
	l->nreserved = 0;
}

/* link_pending() - Bytes committed since the last flush */
static inline size_t link_pending(const struct link *l)
{
	return l->nout ? (size_t)(l->room - (uint8_t *)l->out[0].iov_base) : 0;
}

/* link_up() - Whether a guest is there */
static inline bool link_up(const struct link *l)
{
	return l->ops;
}

int link_refill(struct link *l);
void link_release(struct link *l);
int link_flush(struct link *l);
void link_close(struct link *l);

#endif /* LINK_LINK_H */
