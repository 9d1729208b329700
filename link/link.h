/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * link.h - The link, which carries Ethernet frames between the guest and passt.
 * The functions of a link are the same for every back-end. Each back-end is one
 * file in link/ and implements struct link_ops.
 *
 * Frames from the guest: link_refill() receives a burst of frames. The memory
 * of the frames belongs to the back-end, and stays valid until link_release().
 *
 * Frames to the guest: link_slots() hands out space for frames, link_commit()
 * commits a slot as a frame, and link_flush() sends all committed frames. The
 * back-end is called once for many slots and once for each flush, but not for
 * each frame.
 *
 * A link has one or more queues. Each queue carries frames in both directions,
 * independently of the other queues.
 */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#define LINK_BURST	256	/* frames in one refill */
#define LINK_FRAMES	1024	/* frames committed between two flushes */
#define LINK_FRAME_MIN	60	/* bytes of a frame to the guest, without FCS:
				 * IEEE 802.3 4.4.2 */
#define LINK_FRAME_MAX	65535	/* bytes, Ethernet header included */
#define LINK_GSO_MAX	(14 + 40 + 65535) /* bytes of a GSO frame, all headers
					   * included */
#define LINK_HEADERS	128	/* bytes at the start of a slot that lie in one
				 * piece */
#define LINK_QUEUES	16	/* queues of one link, at most */
#define LINK_FDS	(1 + 2 * LINK_QUEUES) /* descriptors of one link, at
					       * most */

/* The state of the transport checksum in a frame. */
enum link_csum {
	LINK_CSUM_FULL,		/* the checksum is complete. passt verifies the
				 * checksum if the frame is from the guest */
	LINK_CSUM_OK,		/* the frame is from the guest, and the link
				 * vouches for its checksum */
	LINK_CSUM_PARTIAL,	/* the field holds the sum of the pseudo-header.
				 * The receiver of the frame has to complete the
				 * checksum where this is necessary */
};

/* Which kind of segments or datagrams a GSO frame carries. */
enum link_gso {
	LINK_GSO_NONE,		/* the frame is no GSO frame */
	LINK_GSO_TCP4,		/* segments of TCP over IPv4 (TSO) */
	LINK_GSO_TCP6,		/* segments of TCP over IPv6 (TSO) */
	LINK_GSO_UDP,		/* datagrams over IPv4 or IPv6 (USO) */
};

/**
 * struct frame_meta - Properties of a frame that are not in its bytes. If all
 * fields are zero, the frame looks as it would on an Ethernet wire
 * @csum:	enum link_csum
 * @gso:	enum link_gso
 * @gso_size:	GSO frame: bytes of payload in each segment but the last
 * @csum_start:	partial checksum: offset in the frame of the first byte that the
 *		checksum covers
 * @csum_offset: partial checksum: offset of the checksum field, counted from
 *		@csum_start
 */
struct frame_meta {
	uint8_t csum, gso;
	uint16_t gso_size;
	uint16_t csum_start, csum_offset;
};

/**
 * struct frame - A frame from the guest or to the guest
 * @iov:	pieces of the frame, in order. passt may shorten the pieces of a
 *		frame from the guest while it reads the frame
 * @iovcnt:	number of pieces
 * @len:	bytes of the frame, the sum of all pieces
 * @meta:	properties that are not in the bytes
 */
struct frame {
	struct iovec *iov;
	unsigned int iovcnt;
	uint32_t len;
	struct frame_meta meta;
};

/**
 * struct link_slot - Space for one frame to the guest
 * @iov:	pieces of the slot. The first piece holds at least LINK_HEADERS
 *		bytes, or the whole slot if the slot is shorter
 * @cnt:	number of pieces
 */
struct link_slot {
	struct iovec *iov;
	unsigned int cnt;
};

/**
 * struct link_fd - A descriptor of a link that the event loop waits for
 * @fd:		descriptor, -1: none
 * @events:	events (EPOLL*) to wait for while the link is not blocked
 * @blocked:	events (EPOLL*) to wait for while the link is blocked
 */
struct link_fd {
	int fd;
	uint32_t events, blocked;
};

/**
 * struct link_caps - What a link can do. The values may change while the link
 * is open, but not while it has committed frames
 * @max_frame:	bytes of the longest frame to the guest that is no GSO frame
 * @gso_max:	bytes of the longest GSO frame to the guest, with TCP over IPv4
 *		or IPv6; 0: the link takes no GSO frames
 * @uso_to_guest: the link also takes GSO frames of UDP datagrams
 * @csum_to_guest: the link takes frames with partial checksums. A link that
 *		takes GSO frames always takes partial checksums
 * @shared:	the guest can write to the memory of received frames, so that
 *		passt must copy headers before it checks them
 */
struct link_caps {
	uint32_t max_frame, gso_max;
	bool uso_to_guest, csum_to_guest;
	bool shared;
};

struct link;
struct link_queue;

/**
 * struct link_observer - An observer, which sees all frames on a link
 * @see:	function that gets each burst of frames: frames from the guest
 *		before passt parses them, frames to the guest before they are
 *		sent
 * @next:	next observer in the list of the link; NULL: this is the last
 */
struct link_observer {
	void (*see)(struct link_observer *o, bool to_guest,
		    const struct frame *frames, unsigned int n);
	struct link_observer *next;
};

/**
 * struct link_ops - The functions of a back-end
 * @event:	handles @events of descriptor @i of the link, and sets @more of
 *		each queue that has frames from the guest. Returns 0, or -errno
 *		if the link failed
 * @refill:	receives frames into @from_guest of the queue, and sets @more.
 *		Returns the number of frames, 0 if there are none now (then
 *		@retry may be set), or -errno if the link failed (-ECONNRESET:
 *		the guest left)
 * @release:	tells the back-end that the frames of the last refill are no
 *		longer in use
 * @slots:	does what link_slots() says. @n is at least 1, and @to_guest of
 *		the queue has free entries for @n frames. If there is no space
 *		although no frame is committed, @blocked of the queue must be
 *		set
 * @flush:	sends the frames in @to_guest of the queue and empties the list.
 *		The back-end keeps bytes that the guest does not take yet.
 *		Returns 1 if all bytes were sent, 0 if some wait (then @blocked
 *		is set, and @retry if the host has no memory), or -errno if the
 *		link failed
 * @stalled:	does what link_stalled() says
 * @close:	frees the memory and the descriptors of the link
 */
struct link_ops {
	int (*event)(struct link *l, unsigned int i, uint32_t events);
	int (*refill)(struct link_queue *q);
	void (*release)(struct link_queue *q);
	unsigned int (*slots)(struct link_queue *q, size_t len, unsigned int n,
			      struct link_slot *slots);
	int (*flush)(struct link_queue *q);
	bool (*stalled)(struct link_queue *q);
	void (*close)(struct link *l);
};

/**
 * struct link_queue - A queue of a link, for frames in both directions
 * @link:	the link that the queue belongs to; NULL: no guest is connected
 * @from_guest, @nfrom_guest: frames of the last refill, and their number
 * @more:	there may be further frames from the guest. Call link_refill()
 *		again before waiting for events
 * @to_guest, @nto_guest: frames committed since the last flush, and their
 *		number
 * @pending:	bytes of the frames committed since the last flush
 * @unused:	the guest takes no frames from this queue: frames for it go to
 *		the first queue instead. The first queue is never unused
 * @blocked:	the guest takes no more frames for now
 * @retry:	the back-end could not send or receive, because the host had no
 *		memory: the caller must try again after a pause, and not wait
 *		for an event. The caller clears @retry
 * @low_latency: the caller asks the back-end for a short standing queue. The
 *		back-end reads this at each flush
 */
struct link_queue {
	struct link *link;
	struct frame from_guest[LINK_BURST];
	unsigned int nfrom_guest;
	bool more;
	struct frame to_guest[LINK_FRAMES];
	unsigned int nto_guest;
	size_t pending;
	bool unused, blocked, retry, low_latency;
};

/**
 * struct link - A link. It is a member of the back-end's own structure
 * @ops:	functions of the back-end; NULL: the link is closed
 * @caps:	what the link can do
 * @fds, @nfds:	descriptors to wait for, and their number. The first is the
 *		socket to the guest; link_set_fd() changes the others
 * @queues, @nqueues: queues of the link, and the number of those that are in
 *		use
 * @epfd, @epfd_blocked: epoll sets that wait for @fds while the link is not
 *		blocked, and while it is; valid if @watched
 * @watched:	link_watch() was called
 * @observers:	list of observers; NULL: there are none
 */
struct link {
	const struct link_ops *ops;
	struct link_caps caps;
	struct link_fd fds[LINK_FDS];
	unsigned int nfds;
	struct link_queue *queues;
	unsigned int nqueues;
	int epfd, epfd_blocked;
	bool watched;
	struct link_observer *observers;
};

/**
 * link_slot_cut() - Shorten a slot to its first bytes
 * @slot:	slot
 * @len:	bytes to keep: at least 1, at most the length of the slot
 *
 * Return: number of pieces that hold these bytes
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
 * link_slot_pad() - If a frame is too short for Ethernet, pad it with zeros
 * @slot:	slot of the frame; its first piece holds LINK_FRAME_MIN bytes
 * @len:	bytes of the frame
 *
 * Some network cards of guests, for example pcnet and ne2k of qemu, drop a
 * shorter frame, as real cards do.
 *
 * Return: bytes of the frame, with the padding
 */
static inline size_t link_slot_pad(const struct link_slot *slot, size_t len)
{
	if (len >= LINK_FRAME_MIN)
		return len;
	memset((uint8_t *)slot->iov->iov_base + len, 0, LINK_FRAME_MIN - len);
	return LINK_FRAME_MIN;
}

/**
 * link_commit() - Commit a slot as a frame, which the next link_flush() sends
 * @q:		queue
 * @slot:	a slot of the last call of link_slots(). Slots are committed in
 *		the order in which link_slots() returned them
 * @len:	bytes of the frame: at least 1, at most the length of the slot.
 *		If the frame is shorter than the slot, the caller must not use
 *		the slots after this slot any more
 * @meta:	properties of the frame that are not in its bytes
 *
 * A frame shorter than LINK_FRAME_MIN is padded, unless it is a GSO frame:
 * padding would make its last segment longer.
 */
static inline void link_commit(struct link_queue *q,
			       const struct link_slot *slot, size_t len,
			       struct frame_meta meta)
{
	if (!meta.gso)
		len = link_slot_pad(slot, len);
	q->to_guest[q->nto_guest++] = (struct frame){
		.iov = slot->iov, .iovcnt = link_slot_cut(slot, len),
		.len = (uint32_t)len, .meta = meta,
	};
	q->pending += len;
}

/* link_up() - Whether a guest is connected: the link is open */
static inline bool link_up(const struct link *l)
{
	return l->ops;
}

int link_watch(struct link *l, int epfd, int epfd_blocked);
void link_unwatch(struct link *l);
int link_set_fd(struct link *l, unsigned int i, struct link_fd f);
int link_event(struct link *l, unsigned int i, uint32_t events);
int link_refill(struct link_queue *q);
void link_release(struct link_queue *q);
unsigned int link_slots(struct link_queue *q, size_t len, unsigned int n,
			struct link_slot *slots);
void link_slot_write(const struct link_slot *slot, size_t off,
		     const void *data, size_t len);
int link_flush(struct link_queue *q);
bool link_stalled(struct link_queue *q);
bool link_blocked(const struct link *l);
void link_observe(struct link *l, struct link_observer *o);
void link_close(struct link *l);

#endif /* LINK_LINK_H */
