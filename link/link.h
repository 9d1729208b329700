/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * link.h - What carries frames to and from the guest, whatever it is. A
 * back-end (one file each in link/) fills in the operations.
 *
 * From the guest: link_refill() yields a burst of borrowed frames, which stay
 * valid until link_release().
 * To the guest: link_slots() hands out space for frames, link_commit() makes a
 * frame of a slot, link_flush() sends what was committed. The back-end is
 * called once for many slots and once per flush, never for a single frame.
 *
 * A link has one or more queues, each of which carries frames both ways and
 * knows nothing of the others.
 */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define LINK_BURST	256	/* frames in one refill */
#define LINK_FRAMES	1024	/* frames committed between two flushes */
#define LINK_FRAME_MAX	65535	/* bytes, Ethernet header included */
#define LINK_GSO_MAX	(14 + 40 + 65535) /* bytes of any GSO frame, likewise */
#define LINK_HEADERS	128	/* bytes of a slot that are in one piece */
#define LINK_FDS	4	/* descriptors of one link */

/* What is known of a frame's transport checksum. */
enum link_csum {
	LINK_CSUM_FULL,		/* complete; from the guest: verify it */
	LINK_CSUM_OK,		/* from the guest: known to be right */
	LINK_CSUM_PARTIAL,	/* the pseudo-header's sum: to be completed */
};

/* Whether a frame carries several segments, and of what. */
enum link_gso {
	LINK_GSO_NONE,
	LINK_GSO_TCP4,		/* TCP over IPv4: long payload, one header */
	LINK_GSO_TCP6,
	LINK_GSO_UDP,		/* datagrams, over either family (USO) */
};

/**
 * struct frame_meta - What is known of a frame beside its bytes; all zero: it
 * is as it would be on a wire
 * @csum:	enum link_csum
 * @gso:	enum link_gso
 * @gso_size:	bytes of payload of each segment but the last
 * @csum_start:	partial: offset from which on the checksum covers the frame
 * @csum_offset: partial: offset of the field from there
 */
struct frame_meta {
	uint8_t csum, gso;
	uint16_t gso_size;
	uint16_t csum_start, csum_offset;
};

/**
 * struct frame - A frame, either way
 * @iov:	its pieces in order, as long as the frame in all; the reader
 *		of a frame from the guest may trim them
 * @iovcnt:	number of pieces
 * @len:	bytes
 * @meta:	what is known of it
 */
struct frame {
	struct iovec *iov;
	unsigned int iovcnt;
	uint32_t len;
	struct frame_meta meta;
};

/**
 * struct link_slot - Space for one frame to the guest
 * @iov:	pieces; the first holds LINK_HEADERS bytes or the whole slot
 * @cnt:	number of pieces
 */
struct link_slot {
	struct iovec *iov;
	unsigned int cnt;
};

/**
 * struct link_fd - A descriptor of a link for the loop to wait for
 * @fd:		descriptor
 * @events:	EPOLL* to wait for
 * @blocked:	EPOLL* to wait for while the guest takes no frames
 */
struct link_fd {
	int fd;
	uint32_t events, blocked;
};

/**
 * struct link_caps - What a link can do, fixed while it is open
 * @max_frame:	longest frame to the guest that is no GSO frame, bytes
 * @gso_max:	longest GSO frame to the guest, TCP of both families, bytes; 0:
 *		it takes none
 * @uso_to_guest: it takes GSO frames of UDP, too
 * @csum_to_guest: it takes partial checksums; always if it takes GSO frames
 * @shared:	the guest can write to borrowed frames: copy before checking
 */
struct link_caps {
	uint32_t max_frame, gso_max;
	bool uso_to_guest, csum_to_guest;
	bool shared;
};

struct link;
struct link_queue;

/**
 * struct link_observer - Sees the frames that pass a link
 * @see:	told of a burst of frames: from the guest before they are
 *		parsed, to the guest before they are sent
 * @next:	in the list of the link's observers
 */
struct link_observer {
	void (*see)(struct link_observer *o, bool to_guest,
		    const struct frame *frames, unsigned int n);
	struct link_observer *next;
};

/**
 * struct link_ops - What a back-end does
 * @event:	descriptor @i of the link has @events; sets @more of the queues
 *		that have frames; < 0: -errno, the link is gone
 * @refill:	receive, fill @from_guest and @more; > 0: frames, 0: none now,
 *		< 0: -errno, the link is gone (-ECONNRESET: the guest left)
 * @release:	the frames of the last refill are no longer in use
 * @slots:	see link_slots(); @n is at least 1, and @to_guest has space. If
 *		there is none though nothing was committed, @blocked is set
 * @flush:	send @to_guest, or keep it until the guest takes it: the list is
 *		empty afterwards; 1: all sent, 0: some wait (@blocked is set),
 *		< 0: -errno, the link is gone
 * @close:	give back everything
 */
struct link_ops {
	int (*event)(struct link *l, unsigned int i, uint32_t events);
	int (*refill)(struct link_queue *q);
	void (*release)(struct link_queue *q);
	unsigned int (*slots)(struct link_queue *q, size_t len, unsigned int n,
			      struct link_slot *slots);
	int (*flush)(struct link_queue *q);
	void (*close)(struct link *l);
};

/**
 * struct link_queue - Frames in both directions
 * @link:	the link it is of; NULL: no guest
 * @from_guest, @nfrom_guest: frames of the last refill
 * @more:	further frames are at hand: refill before waiting
 * @to_guest, @nto_guest: frames committed since the last flush
 * @pending:	bytes of them
 * @blocked:	the guest takes no more frames for now
 * @low_latency: a wish, effective from the next flush on: let fewer bytes wait
 *		in front of the next frame to the guest
 */
struct link_queue {
	struct link *link;
	struct frame from_guest[LINK_BURST];
	unsigned int nfrom_guest;
	bool more;
	struct frame to_guest[LINK_FRAMES];
	unsigned int nto_guest;
	size_t pending;
	bool blocked, low_latency;
};

/**
 * struct link - A link; the back-end's own structure embeds it
 * @ops:	operations; NULL: no guest
 * @caps:	what it can do
 * @fds, @nfds:	descriptors to wait for, fixed while it is open
 * @queues, @nqueues: its queues
 * @observers:	list, NULL: none
 */
struct link {
	const struct link_ops *ops;
	struct link_caps caps;
	struct link_fd fds[LINK_FDS];
	unsigned int nfds;
	struct link_queue *queues;
	unsigned int nqueues;
	struct link_observer *observers;
};

/**
 * link_slot_cut() - Cut the pieces of a slot
 * @slot:	slot
 * @len:	bytes to leave, 1 to those of the slot
 *
 * Return: number of pieces left
 */
static inline unsigned int link_slot_cut(const struct link_slot *slot,
					 size_t len)
{
	struct iovec *last = slot->iov;

	for (; len > last->iov_len; last++)
		len -= last->iov_len;
	last->iov_len = len;
	return (unsigned int)(last - slot->iov) + 1;
}

/**
 * link_commit() - Make a frame of a slot
 * @q:		queue
 * @slot:	one of those that link_slots() gave last, in their order
 * @len:	bytes of the frame, 1 to those of the slot. If less, all slots
 *		after this one are given back
 * @meta:	what is known of the frame
 */
static inline void link_commit(struct link_queue *q,
			       const struct link_slot *slot, size_t len,
			       struct frame_meta meta)
{
	q->to_guest[q->nto_guest++] = (struct frame){
		.iov = slot->iov, .iovcnt = link_slot_cut(slot, len),
		.len = (uint32_t)len, .meta = meta,
	};
	q->pending += len;
}

/* link_up() - Whether a guest is there */
static inline bool link_up(const struct link *l)
{
	return l->ops;
}

int link_event(struct link *l, unsigned int i, uint32_t events);
int link_refill(struct link_queue *q);
void link_release(struct link_queue *q);
unsigned int link_slots(struct link_queue *q, size_t len, unsigned int n,
			struct link_slot *slots);
void link_slot_write(const struct link_slot *slot, size_t off,
		     const void *data, size_t len);
int link_flush(struct link_queue *q);
void link_observe(struct link *l, struct link_observer *o);
void link_close(struct link *l);

#endif /* LINK_LINK_H */
