/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * memory.h - A link between two arrays, for tests and fuzzers: the test puts
 * frames in, and looks at what came out.
 */
#ifndef TEST_MEMORY_H
#define TEST_MEMORY_H

#include "link/link.h"

/**
 * struct memory - A memory link
 * @link:	what others see
 * @iov:	frames to be given at the next refill, with @count of them
 * @arena:	room for frames to the guest
 * @sent:	frames flushed, oldest first, @nsent of them; the test may
 *		set @nsent to 0 and forget them
 * @stalled:	the guest does not take frames: flush says blocked
 */
struct memory {
	struct link link;
	struct iovec iov[LINK_BURST];
	unsigned int count;
	uint8_t *arena;
	size_t size;
	struct iovec sent[LINK_OUT];
	unsigned int nsent;
	bool stalled;
};

int memory_open(struct memory *m, size_t size);
void memory_put(struct memory *m, void *frame, size_t len);
void memory_clear(struct memory *m);

#endif /* TEST_MEMORY_H */
