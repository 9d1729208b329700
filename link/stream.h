/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * stream.h - The link over a UNIX stream socket, as qemu speaks it with
 * -netdev socket and -netdev stream: before each frame its length, 4 bytes,
 * big-endian. A length of 0 or above LINK_FRAME_MAX means that the two ends are
 * out of step, and closes the link; a frame too short for its headers is still
 * a frame, which tap.c drops.
 */
#ifndef LINK_STREAM_H
#define LINK_STREAM_H

#include "link/link.h"

#define STREAM_PREFIX	4

/* Received at once, and held for a guest that does not read. */
#define STREAM_IN	(1024 * 1024)
#define STREAM_OUT	(1024 * 1024)

/**
 * struct stream - A stream link
 * @link, @queue: the link and its one queue
 * @fd:		socket
 * @in:		bytes received, STREAM_IN of space
 * @parsed:	offset in @in of the first byte not yet handed out
 * @have:	offset in @in of the end of what was received
 * @piece:	one piece for each frame from the guest
 * @out:	frames to the guest with their prefixes, STREAM_OUT of space
 * @sent, @end:	[@sent, @end) of @out waits to be sent
 * @slot:	one piece for each frame to the guest
 * @low_latency: the socket's send buffer is the smaller one
 */
struct stream {
	struct link link;
	struct link_queue queue;
	int fd;
	uint8_t *in;
	size_t parsed, have;
	struct iovec piece[LINK_BURST];
	uint8_t *out, *sent, *end;
	struct iovec slot[LINK_FRAMES];
	bool low_latency;
};

int stream_listen(const char *path, char *used, size_t size);
int stream_open(struct stream *s, int fd);

#endif /* LINK_STREAM_H */
