// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * stream.c - Frames over a UNIX stream socket, each after its length.
 *
 * One recv() brings what the socket holds, and frames are handed out where
 * they lie; only the incomplete one at the end is moved, when the buffer is
 * filled again. Frames to the guest are written one behind the other with
 * space for the length before each, so that one send() takes them all.
 */
/* syscalls: start: bind connect listen newfstatat socket umask unlink; run:
 *	     close mmap munmap recvfrom sendto setsockopt */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "link/stream.h"
#include "util.h"

#define SOCKET_NAME	"/tmp/passt_%u.socket"
#define SOCKET_MAX	64

/* The kernel counts twice that. More gains nothing, and the bytes in it delay
 * the next frame; less costs throughput (doc/performance.md). */
#define SOCKET_BUFFER	(256 * 1024)
#define SNDBUF_LOW_LATENCY (64 * 1024)

_Static_assert(STREAM_IN >= STREAM_PREFIX + LINK_FRAME_MAX,
	       "the longest frame fits");

/**
 * stream_take() - Hand out the next complete frame of the buffer
 * @s:		stream
 *
 * Return: 1: one more in @from_guest, 0: none complete, -EPROTO: its length is
 *	   impossible
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
 * stream_take_all() - Hand out complete frames, at most one burst
 * @s:		stream
 *
 * Return: number of frames; -EPROTO if the first length is impossible
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

	/* An impossible length behind good frames: report it next time. */
	q->more = rc != 0;
	return (int)q->nfrom_guest;
}

static int stream_event(struct link *l, unsigned int i, uint32_t events)
{
	if (events & ~(uint32_t)EPOLLOUT)
		l->queues->more = true;
	return 0;
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

	n = recv(s->fd, s->in + s->have, STREAM_IN - s->have, MSG_DONTWAIT);
	if (!n)
		return -ECONNRESET;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;

	s->have += (size_t)n;
	return stream_take_all(s);
}

static void stream_release(struct link_queue *q)
{
	/* Nothing to do: refill moves on by itself. */
}

/* stream_end() - Where the next frame's prefix goes */
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

/* set_sndbuf() - Set how much the socket takes; best effort */
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
		n = send(s->fd, s->sent, (size_t)(s->end - s->sent),
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			q->blocked = true;
			return 0;
		}
		if (n < 0)
			return -errno;
		s->sent += n;
	}

	s->sent = s->end = s->out;
	q->blocked = false;
	return 1;
}

static void stream_close(struct link *l)
{
	struct stream *s = container_of(l, struct stream, link);

	munmap(s->in, STREAM_IN);
	munmap(s->out, STREAM_OUT);
	close(s->fd);
}

static const struct link_ops stream_ops = {
	.event = stream_event,
	.refill = stream_refill,
	.release = stream_release,
	.slots = stream_slots,
	.flush = stream_flush,
	.close = stream_close,
};

/* map_buffer() - Address space, touched as it is used; NULL: there is none */
static uint8_t *map_buffer(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/**
 * stream_open() - Make a link of a connected socket
 * @s:		stream, overwritten
 * @fd:		socket, owned by the link from now on
 *
 * Return: 0, or -ENOMEM: @fd is closed
 */
int stream_open(struct stream *s, int fd)
{
	int size = SOCKET_BUFFER;

	memset(s, 0, sizeof(*s));
	s->in = map_buffer(STREAM_IN);
	s->out = map_buffer(STREAM_OUT);
	if (!s->in || !s->out) {
		if (s->in)
			munmap(s->in, STREAM_IN);
		if (s->out)
			munmap(s->out, STREAM_OUT);
		close(fd);
		return -ENOMEM;
	}

	/* Best effort: a smaller buffer costs wake-ups, not frames. */
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

/* path_in_use() - Whether a socket is bound to a path; a stale one is removed
 *
 * A datagram socket can't connect to a stream socket: connect() fails with
 * another error if a process listens there than if none does. So a daemon that
 * listens there sees no guest come and go. A file that is no socket is in use.
 */
static bool path_in_use(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct stat st;
	bool used;

	if (fd < 0)
		return true;
	used = !connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) ||
	       errno != ECONNREFUSED ||
	       lstat(sa->sun_path, &st) || !S_ISSOCK(st.st_mode);
	close(fd);
	return used || unlink(sa->sun_path);
}

/* bind_path() - Bind, replacing a stale socket; 0 or -errno */
static int bind_path(int fd, const struct sockaddr_un *sa)
{
	const struct sockaddr *addr = (const struct sockaddr *)sa;

	if (!bind(fd, addr, sizeof(*sa)))
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	if (path_in_use(sa))
		return -EADDRINUSE;
	return bind(fd, addr, sizeof(*sa)) ? -errno : 0;
}

/* listen_at() - Bind and listen at one path; listening socket, or -errno */
static int listen_at(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, rc;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, path);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;

	/* A process that can connect gets the network of this user. */
	mask = umask(077);
	rc = bind_path(fd, &sa);
	umask(mask);

	if (!rc && listen(fd, 4))
		rc = -errno;
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

/**
 * stream_listen() - Listen for a guest
 * @path:	path to bind, or empty: the first free /tmp/passt_N.socket
 * @used:	filled with the path bound
 * @size:	size of @used
 *
 * Return: listening socket, non-blocking, or -errno; with an empty @path,
 *	   -EADDRINUSE if all of them are taken
 */
int stream_listen(const char *path, char *used, size_t size)
{
	int fd = -EADDRINUSE;
	unsigned int i;

	if (*path) {
		snprintf(used, size, "%s", path);
		return listen_at(path);
	}

	for (i = 1; fd < 0 && i <= SOCKET_MAX; i++) {
		snprintf(used, size, SOCKET_NAME, i);
		fd = listen_at(used);
	}
	return fd;
}
