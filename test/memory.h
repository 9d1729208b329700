/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * memory.h - A link in memory, for tests and fuzzers: the test puts frames in,
 * and looks at those that were sent to the guest.
 *
 * Every piece of a frame or slot is allocated by itself, so that the address
 * sanitizer sees whatever is read or written beyond its end.
 */
#ifndef TEST_MEMORY_H
#define TEST_MEMORY_H

#include "link/link.h"

#define MEMORY_QUEUES	2
#define MEMORY_SENT	8192	/* frames remembered */

/* How frames lie in memory; LINK_MODE in the environment names one. */
enum memory_mode {
	MEMORY_CONTIGUOUS,	/* each frame and slot in one piece */
	MEMORY_SCATTERED,	/* in pieces of random size */
	MEMORY_SEGMENTING,	/* likewise, and the guest takes GSO frames: they
				 * are cut as its network stack would cut them */
	MEMORY_MODES,
};

extern const char *const memory_mode_name[MEMORY_MODES];

/**
 * struct memory_frame - Memory of a frame or slot
 * @iov:	its pieces, which the reader may trim
 * @piece:	the same as allocated
 * @cnt:	how many
 */
struct memory_frame {
	struct iovec *iov;
	uint8_t **piece;
	unsigned int cnt;
};

/**
 * struct memory_queue - What a queue has allocated
 * @given, @ngiven: pieces of the frames of the last refill
 * @slot, @nslot: pieces of the slots handed out, those of committed ones first
 */
struct memory_queue {
	struct memory_frame given[LINK_BURST];
	unsigned int ngiven;
	struct memory_frame slot[LINK_FRAMES];
	unsigned int nslot;
};

/**
 * struct memory - A memory link
 * @link, @queue: the link; tests use the first queue
 * @mode:	see enum memory_mode
 * @of:		memory of each queue
 * @put, @put_meta, @count: frames to be given at the next refill of the first
 *		queue
 * @joined, @njoined: memory of those that memory_join() made
 * @joins:	how many that were, in all
 * @size:	bytes that slots may take until memory_clear()
 * @used:	bytes that flushed frames have taken
 * @gso_frames:	GSO frames that were flushed
 * @sent, @nsent: frames flushed, oldest first, each in one piece and without
 *		the padding of short ones
 * @nheld:	those in @sent, and after them those that wait for the guest
 * @stalled:	the guest does not take frames: flush says blocked
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
