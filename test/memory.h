/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * memory.h - A link in memory, for tests and fuzzers: the test puts frames of
 * the guest in, and looks at the frames that were sent to the guest.
 *
 * Every piece of a frame or slot is allocated separately, so that the address
 * sanitizer detects any access beyond the end of a piece.
 */
#ifndef TEST_MEMORY_H
#define TEST_MEMORY_H

#include "link/link.h"

#define MEMORY_QUEUES	2
#define MEMORY_SENT	8192	/* frames to the guest that are remembered */

/* How frames lie in memory. The environment's LINK_MODE selects a mode. */
enum memory_mode {
	MEMORY_CONTIGUOUS,	/* each frame and slot is one piece */
	MEMORY_SCATTERED,	/* each frame and slot consists of pieces of
				 * random size */
	MEMORY_SEGMENTING,	/* like MEMORY_SCATTERED, and the guest takes
				 * GSO frames. @sent of struct memory has the
				 * single frames that they are cut into */
	MEMORY_MODES,
};

extern const char *const memory_mode_name[MEMORY_MODES];

/**
 * struct memory_frame - Memory of a frame or slot
 * @iov:	its pieces; the reader of a frame may trim them
 * @piece:	the pieces as they were allocated
 * @cnt:	number of pieces
 */
struct memory_frame {
	struct iovec *iov;
	uint8_t **piece;
	unsigned int cnt;
};

/**
 * struct memory_queue - Memory that a queue has allocated
 * @given, @ngiven: frames of the last refill
 * @slot, @nslot: slots that were handed out, the committed ones first
 */
struct memory_queue {
	struct memory_frame given[LINK_BURST];
	unsigned int ngiven;
	struct memory_frame slot[LINK_FRAMES];
	unsigned int nslot;
};

/**
 * struct memory - A memory link
 * @link:	the link
 * @queue:	its queues; tests use the first one
 * @mode:	see enum memory_mode
 * @of:		memory of each queue
 * @put, @put_meta, @count: frames from the guest, which the next refill of the
 *		first queue returns
 * @joined, @njoined: memory of the GSO frames that memory_join() made and that
 *		are not released yet
 * @joins:	how many GSO frames memory_join() has ever made
 * @size:	bytes that slots may take until memory_clear()
 * @used:	bytes that flushed frames have taken
 * @gso_frames:	how many GSO frames were flushed to the guest
 * @sent:	flushed frames, oldest first, each in one piece, with Ethernet's
 *		padding removed
 * @nsent:	number of frames in @sent that the guest has taken
 * @nheld:	number of all frames in @sent; those from index @nsent on are
 *		flushed, but the guest has not taken them
 * @stalled:	the guest takes no frames now, so the link is blocked
 */
struct memory {
	struct link link;
	struct link_queue queue[MEMORY_QUEUES];
	enum memory_mode mode;
	struct memory_queue of[MEMORY_QUEUES];
	struct iovec put[LINK_BURST];
	struct frame_meta put_meta[LINK_BURST];
	unsigned int count;
	uint8_t *joined[LINK_BURST];
	unsigned int njoined;
	size_t size, used;
	unsigned int gso_frames, joins;
	struct iovec sent[MEMORY_SENT];
	unsigned int nsent, nheld;
	bool stalled;
};

void memory_join(struct memory *m);
int memory_open(struct memory *m, size_t size);
void memory_open_as(struct memory *m, size_t size, enum memory_mode mode);
void memory_put(struct memory *m, void *frame, size_t len);
void memory_put_meta(struct memory *m, void *frame, size_t len,
		     struct frame_meta meta);
void memory_clear(struct memory *m);

#endif /* TEST_MEMORY_H */
