// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * stream.c - Carries frames over a UNIX stream socket. The length of each frame
 * is sent before the frame.
 *
 * One recv() reads all bytes that the socket holds into a buffer. Frames are
 * not copied out of the buffer. Only an incomplete frame at the end of the
 * buffer is moved to the start of the buffer before the next recv(). Frames to
 * the guest are written into another buffer one behind the other, with space
 * for the length before each frame, so that one send() sends all of them.
 */
/* syscalls: start: mmap; run: close ioctl madvise setsockopt */
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "link/stream.h"
#include "sock.h"
#include "util.h"

/* SOCKET_BUFFER: bytes of the socket's receive buffer, and of its send buffer
 * outside of low-latency mode. The kernel doubles the value that is set. A
 * larger buffer does not raise throughput, and the bytes in it delay the next
 * frame. A smaller buffer lowers throughput (doc/performance.md). */
#define SOCKET_BUFFER	(256 * 1024)
#define SNDBUF_LOW_LATENCY (64 * 1024)

_Static_assert(STREAM_IN >= STREAM_PREFIX + LINK_FRAME_MAX,
	       "the longest frame fits");

/**
 * stream_take() - Add the next complete frame of the buffer to @from_guest
 * @s:		stream
 *
 * Return: 1 if a frame was added; 0 if the buffer holds no further complete
 *	   frame; -EPROTO if the length before the next frame is not possible
 */
static int stream_take(struct stream *s)
{
	size_t left = s->have - s->parsed;
	struct link_queue *q = &s->queue;
	struct iovec *iov;
	uint32_t len;

	if (left < STREAM_PREFIX)
		return 0;

	len = get_be32(s->in + s->parsed);
	if (!len || len > LINK_FRAME_MAX)
		return -EPROTO;
	if (left < STREAM_PREFIX + len)
		return 0;

	iov = &s->piece[q->nfrom_guest];
	iov->iov_base = s->in + s->parsed + STREAM_PREFIX;
	iov->iov_len = len;
	q->from_guest[q->nfrom_guest++] = (struct frame){
		.iov = iov, .iovcnt = 1, .len = len,
	};
	s->parsed += STREAM_PREFIX + len;
	return 1;
}

/**
 * stream_take_all() - Add complete frames of the buffer to @from_guest, up to
 * LINK_BURST
 * @s:		stream
 *
 * Return: number of frames in @from_guest; -EPROTO if there is no frame,
 *	   because the length before the first one is not possible
 */
static int stream_take_all(struct stream *s)
{
	struct link_queue *q = &s->queue;
	int rc = 1;

	while (q->nfrom_guest < LINK_BURST && (rc = stream_take(s)) > 0)
		;
	if (rc < 0 && !q->nfrom_guest) {
		LOG_LIMITED(LOG_WARNING, "guest announced a frame of %u bytes, 1 to %u are possible: not a qemu socket, or out of step; connection closed",
			    get_be32(s->in + s->parsed), LINK_FRAME_MAX);
		return rc;
	}

	/* If a length that is not possible follows good frames, the good frames
	 * are returned first, and the next call reports the error. */
	q->more = rc != 0;
	return (int)q->nfrom_guest;
}

static int stream_event(struct link *l, unsigned int i, uint32_t events)
{
	if (events & ~(uint32_t)EPOLLOUT)
		l->queues->more = true;
	return 0;
}

/* no_memory() - Whether an errno says that the host had no memory for a call on
 * the socket: the guest is still there */
static bool no_memory(int error)
{
	return error == ENOBUFS || error == ENOMEM;
}

static int stream_refill(struct link_queue *q)
{
	struct stream *s = container_of(q, struct stream, queue);
	ssize_t n;
	int rc;

	rc = stream_take_all(s);
	if (rc)
		return rc;

	memmove(s->in, s->in + s->parsed, s->have - s->parsed);
	s->have -= s->parsed;
	s->parsed = 0;

	n = sock_recv(s->fd, s->in + s->have, STREAM_IN - s->have,
		      MSG_DONTWAIT);
	if (!n)
		return -ECONNRESET;
	if (n < 0) {
		if (no_memory(errno))
			q->retry = true;
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
		return 0;
	}

	s->have += (size_t)n;
	s->unanswered = 0;
	return stream_take_all(s);
}

static void stream_release(struct link_queue *q)
{
	/* Nothing to do: @parsed is after the released frames already. */
}

/* stream_end() - Return where in @out the next frame's length will stand */
static uint8_t *stream_end(const struct stream *s)
{
	const struct link_queue *q = &s->queue;
	const struct iovec *last;

	if (!q->nto_guest)
		return s->end;
	last = q->to_guest[q->nto_guest - 1].iov;
	return (uint8_t *)last->iov_base + last->iov_len;
}

static unsigned int stream_slots(struct link_queue *q, size_t len,
				 unsigned int n, struct link_slot *slots)
{
	struct stream *s = container_of(q, struct stream, queue);
	uint8_t *at = stream_end(s) + STREAM_PREFIX;
	struct iovec *iov = &s->slot[q->nto_guest];
	size_t left = (size_t)(s->out + STREAM_OUT + STREAM_PREFIX - at);
	unsigned int i;

	n = MIN(n, (unsigned int)(left / (STREAM_PREFIX + len)));
	for (i = 0; i < n; i++, at += STREAM_PREFIX + len) {
		iov[i] = (struct iovec){ at, len };
		slots[i] = (struct link_slot){ &iov[i], 1 };
	}
	return n;
}

/* set_sndbuf() - Set the size of the socket's send buffer, ignoring errors */
static void set_sndbuf(struct stream *s)
{
	int size = s->queue.low_latency ? SNDBUF_LOW_LATENCY : SOCKET_BUFFER;

	setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	s->low_latency = s->queue.low_latency;
}

static int stream_flush(struct link_queue *q)
{
	struct stream *s = container_of(q, struct stream, queue);
	unsigned int i;
	ssize_t n;

	if (s->low_latency != q->low_latency)
		set_sndbuf(s);
	s->end = stream_end(s);
	for (i = 0; i < q->nto_guest; i++)
		put_be32((uint8_t *)s->slot[i].iov_base - STREAM_PREFIX,
			 (uint32_t)s->slot[i].iov_len);
	q->nto_guest = 0;

	while (s->sent < s->end) {
		n = sock_send(s->fd, s->sent, (size_t)(s->end - s->sent),
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || no_memory(errno))) {
			q->blocked = true;
			q->retry |= errno != EAGAIN;
			return 0;
		}
		if (n < 0)
			return -errno;
		s->sent += n;
		s->unanswered += (size_t)n;
	}

	s->sent = s->end = s->out;
	q->blocked = false;
	return 1;
}

/* stream_stalled() - Whether the guest may have stopped reading; see
 * link_stalled(). The socket's buffer holds at most 2 * SOCKET_BUFFER bytes. If
 * the socket has taken more than that since the guest's last frame, the guest
 * must have read some of these bytes. SIOCOUTQ tells how many bytes the guest
 * has not read yet. */
static bool stream_stalled(struct link_queue *q)
{
	const struct stream *s = container_of(q, struct stream, queue);
	int unread = 0;

	return s->unanswered && s->unanswered <= 2 * SOCKET_BUFFER &&
	       !ioctl(s->fd, SIOCOUTQ, &unread) && unread;
}

static void stream_close(struct link *l)
{
	struct stream *s = container_of(l, struct stream, link);

	madvise(s->in, STREAM_IN, MADV_DONTNEED);
	madvise(s->out, STREAM_OUT, MADV_DONTNEED);
	close(s->fd);
}

static const struct link_ops stream_ops = {
	.event = stream_event,
	.refill = stream_refill,
	.release = stream_release,
	.slots = stream_slots,
	.flush = stream_flush,
	.stalled = stream_stalled,
	.close = stream_close,
};

/* map_buffer() - Map a buffer whose pages take memory only once they are
 * written; NULL if there is not enough address space */
static uint8_t *map_buffer(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/**
 * stream_map() - Map the buffers of a stream, which stay mapped for all its
 *		guests: the sandbox lets passt map no memory later
 * @s:		stream; zero before the first call
 *
 * Return: 0, or -ENOMEM
 */
int stream_map(struct stream *s)
{
	if (!s->in)
		s->in = map_buffer(STREAM_IN);
	if (!s->out)
		s->out = map_buffer(STREAM_OUT);
	return s->in && s->out ? 0 : -ENOMEM;
}

/**
 * stream_open() - Open a link on a connected socket
 * @s:		stream; all fields but the buffers are overwritten
 * @fd:		socket; the link closes it
 *
 * Return: 0 on success; -ENOMEM if there is not enough memory, and then @fd is
 *	   closed already
 */
int stream_open(struct stream *s, int fd)
{
	int size = SOCKET_BUFFER;

	if (stream_map(s)) {
		close(fd);
		return -ENOMEM;
	}
	*s = (struct stream){ .in = s->in, .out = s->out };

	/* An error is ignored, because a smaller buffer loses no frame: passt
	 * only wakes up more often. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	s->fd = fd;
	set_sndbuf(s);
	s->sent = s->end = s->out;
	s->queue.link = &s->link;
	s->link = (struct link){
		.ops = &stream_ops, .caps.max_frame = LINK_FRAME_MAX,
		.fds = { { fd, EPOLLIN, EPOLLIN | EPOLLOUT } }, .nfds = 1,
		.queues = &s->queue, .nqueues = 1,
	};
	return 0;
}
