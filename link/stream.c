// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * stream.c - Frames over a UNIX stream socket, each after its length.
 * Called through struct link_ops, and by passt.c to listen and to open; calls
 * libc and the log.
 *
 * One recv() brings what the socket holds, and frames are handed out where
 * they lie; only the incomplete one at the end is moved, when the buffer is
 * filled again. Frames to the guest are written one behind the other with
 * room for the length before each, so that one send() takes them all.
 */
/* syscalls: start: bind connect listen newfstatat socket umask unlink; run:
 *	     close mmap munmap recvfrom sendto setsockopt */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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

/* The kernel counts twice that. More gains nothing, and whatever waits in it
 * delays what comes after; less costs throughput (doc/performance.md). */
#define SOCKET_BUFFER	(256 * 1024)
#define SOCKET_SHALLOW	(64 * 1024)

_Static_assert(STREAM_IN >= STREAM_PREFIX + LINK_FRAME_MAX,
	       "the longest frame fits");

/**
 * take_frame() - Hand out the next complete frame of the buffer
 * @s:		stream
 *
 * Return: 1: one more in @in, 0: none complete, -EPROTO: length is impossible
 */
static int take_frame(struct stream *s)
{
	size_t left = s->have - s->parsed;
	struct link *l = &s->link;
	struct iovec *iov;
	uint32_t len;

	if (left < STREAM_PREFIX)
		return 0;

	len = get_be32(s->in + s->parsed);
	if (!len || len > LINK_FRAME_MAX)
		return -EPROTO;
	if (left < STREAM_PREFIX + len)
		return 0;

	iov = &s->iov[l->nin];
	iov->iov_base = s->in + s->parsed + STREAM_PREFIX;
	iov->iov_len = len;
	l->in[l->nin++] = (struct frame){ .iov = iov, .iovcnt = 1, .len = len };
	s->parsed += STREAM_PREFIX + len;
	return 1;
}

/**
 * take_frames() - Hand out complete frames, a batch at most
 * @s:		stream
 *
 * Return: number of frames; -EPROTO if the first thing found is impossible
 */
static int take_frames(struct stream *s)
{
	struct link *l = &s->link;
	int rc = 1;

	while (l->nin < LINK_BURST && (rc = take_frame(s)) > 0)
		;
	if (rc < 0 && !l->nin) {
		LOG_LIMITED(LOG_WARNING, "guest announced a frame of %u bytes, 1 to %u are possible: not a qemu socket, or out of step; connection closed",
			    get_be32(s->in + s->parsed), LINK_FRAME_MAX);
		return rc;
	}

	/* An impossible length behind good frames: report it next time. */
	l->more = rc != 0;
	return (int)l->nin;
}

static int stream_refill(struct link *l)
{
	struct stream *s = container_of(l, struct stream, link);
	ssize_t n;
	int rc;

	rc = take_frames(s);
	if (rc)
		return rc;

	memmove(s->in, s->in + s->parsed, s->have - s->parsed);
	s->have -= s->parsed;
	s->parsed = 0;

	n = recv(l->fd, s->in + s->have, STREAM_IN - s->have, MSG_DONTWAIT);
	if (!n)
		return -ECONNRESET;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;

	s->have += (size_t)n;
	return take_frames(s);
}

static void stream_release(struct link *l)
{
	/* Nothing to do: refill moves on by itself. */
}

/* set_depth() - How much the socket takes; best effort */
static void set_depth(struct stream *s)
{
	int size = s->link.shallow ? SOCKET_SHALLOW : SOCKET_BUFFER;

	setsockopt(s->link.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	s->shallow = s->link.shallow;
}

static int stream_flush(struct link *l)
{
	struct stream *s = container_of(l, struct stream, link);
	unsigned int i;
	ssize_t n;

	if (s->shallow != l->shallow)
		set_depth(s);
	link_cancel(l);
	for (i = 0; i < l->nout; i++)
		put_be32((uint8_t *)l->out[i].iov_base - STREAM_PREFIX,
			 (uint32_t)l->out[i].iov_len);
	l->nout = 0;

	while (s->sent < l->room) {
		n = send(l->fd, s->sent, (size_t)(l->room - s->sent),
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			l->blocked = true;
			return 0;
		}
		if (n < 0)
			return -errno;
		s->sent += n;
	}

	s->sent = l->room = l->reserved = s->out;
	l->blocked = false;
	return 1;
}

static void stream_close(struct link *l)
{
	struct stream *s = container_of(l, struct stream, link);

	munmap(s->in, STREAM_IN);
	munmap(s->out, STREAM_OUT);
	close(l->fd);
}

static const struct link_ops stream_ops = {
	.refill = stream_refill,
	.release = stream_release,
	.flush = stream_flush,
	.close = stream_close,
};

/* buffer() - Address space, touched as it is used; NULL if there is none */
static uint8_t *buffer(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/**
 * stream_open() - Make a link of a connected socket
 * @s:		stream, its content of no matter
 * @fd:		the socket, the link's from now on
 *
 * Return: 0, or -ENOMEM: @fd is closed
 */
int stream_open(struct stream *s, int fd)
{
	int size = SOCKET_BUFFER;

	memset(s, 0, sizeof(*s));
	s->in = buffer(STREAM_IN);
	s->out = buffer(STREAM_OUT);
	if (!s->in || !s->out) {
		if (s->in)
			munmap(s->in, STREAM_IN);
		if (s->out)
			munmap(s->out, STREAM_OUT);
		close(fd);
		s->link.fd = -1;
		return -ENOMEM;
	}

	/* Best effort: a smaller buffer costs wake-ups, not frames. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	s->link.ops = &stream_ops;
	s->link.fd = fd;
	set_depth(s);
	s->link.max_frame = LINK_FRAME_MAX;
	s->link.headroom = STREAM_PREFIX;
	s->sent = s->link.room = s->link.reserved = s->out;
	s->link.end = s->out + STREAM_OUT;
	return 0;
}

/**
 * in_use() - Whether a socket is bound to a path; a stale one is removed
 * @sa:		address
 *
 * A datagram socket can't connect to a stream one: the kernel says so if there
 * is one, and that it is refused if nobody holds it. So the daemon that may be
 * there sees no guest come and go.
 *
 * Return: true if somebody holds it, or if it is no socket
 */
static bool in_use(const struct sockaddr_un *sa)
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

/* bind_path() - Bind, in the place of a stale socket if need be; 0 or -errno */
static int bind_path(int fd, const struct sockaddr_un *sa)
{
	const struct sockaddr *addr = (const struct sockaddr *)sa;

	if (!bind(fd, addr, sizeof(*sa)))
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	if (in_use(sa))
		return -EADDRINUSE;
	return bind(fd, addr, sizeof(*sa)) ? -errno : 0;
}

/**
 * listen_at() - Bind and listen at one path
 * @path:	of the socket; a stale one is replaced
 *
 * Return: listening socket, or -errno
 */
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

	/* Whoever may connect has the network of this process's user. */
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
 * @path:	of the socket, or empty: the first free /tmp/passt_N.socket
 * @used:	filled with the path bound
 * @size:	bytes there
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
