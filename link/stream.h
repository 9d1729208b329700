/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * stream.h - The link over a UNIX stream socket. The format is that of qemu's
 * -netdev socket and -netdev stream: the length of each frame is sent before
 * the frame, as 4 bytes in big-endian order.
 *
 * A length of 0 or above LINK_FRAME_MAX shows that the guest and passt disagree
 * on where frames begin, and the link is closed. A frame that is too short for
 * its headers does not close the link: tap.c drops the frame.
 */
#ifndef LINK_STREAM_H
#define LINK_STREAM_H

#include "link/link.h"

#define STREAM_PREFIX	4	/* bytes of the length before each frame */

/* STREAM_IN: bytes that one recv() reads, at most. STREAM_OUT: bytes that can
 * wait for a guest that does not read. */
#define STREAM_IN	(1024 * 1024)
#define STREAM_OUT	(1024 * 1024)

/**
 * struct stream - A stream link
 * @link, @queue: the link and its one queue
 * @fd:		socket
 * @in:		buffer of STREAM_IN bytes for received bytes
 * @parsed:	offset in @in after the last frame that was handed over to the
 *		queue
 * @have:	offset in @in after the last received byte
 * @piece:	for each frame from the guest, its only piece
 * @out:	buffer of STREAM_OUT bytes for frames to the guest; the length
 *		of each frame stands before it
 * @sent, @end:	the bytes of @out from @sent to @end - 1 wait to be sent
 * @slot:	for each frame to the guest, its only piece
 * @unanswered:	bytes that the socket has taken since the last bytes from the
 *		guest
 * @low_latency: the socket's send buffer has the small size of low-latency mode
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
	size_t unanswered;
	bool low_latency;
};

int stream_map(struct stream *s);
int stream_open(struct stream *s, int fd);

#endif /* LINK_STREAM_H */
