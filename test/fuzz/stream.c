// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * stream.c - libFuzzer target: wherever the guest's bytes are cut, and whatever
 * recv() and send() do, the link over a stream socket hands out each frame
 * once, whole and in order, it ends at the first length that is not possible,
 * and the guest gets each committed frame, with its length before it.
 *
 * The first byte of an input is the number of steps. The steps follow, two
 * bytes each, and then what the guest sends. When all of that was sent, the
 * guest goes on with frames of FILL_LEN bytes, so that the buffer fills up.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

static ssize_t fake_recv(int fd, void *buf, size_t len, int flags);
static ssize_t fake_send(int fd, const void *buf, size_t len, int flags);
static int fake_unread(int *n);

#include "sock.h"

#define sock_recv	fake_recv
#define sock_send	fake_send
#define setsockopt(fd, level, option, value, size) ((void)*(value), 0)
#define ioctl(fd, request, n)	((void)(fd), fake_unread(n))
#define close(fd)	((void)(fd))
#define madvise(...)	0
#include "../../link/stream.c"
#undef sock_recv
#undef sock_send
#undef setsockopt
#undef ioctl
#undef close
#undef madvise

#include "test/fuzz/fuzz.h"

#define STEPS		48		/* limit for steps, for speed */
#define FILL_LEN	0x1010		/* bytes; the prefix is not symmetric */
#define OUT		(1 << 18)	/* bytes to the guest in an input */

enum op { OP_RECV, OP_RECV_FILL, OP_RECV_ERROR, OP_SLOTS, OP_FLUSH, OP_REFILL,
	  OP_SEND_ERROR, OP_EVENT, OPS };

/**
 * struct guest - The guest's end of the socket
 * @from:	what the guest still sends from the input
 * @fill:	bytes of fill frames sent so far
 * @quota:	bytes that the next recv() returns at most
 * @error:	errno of the next recv(); 0: none; -1: the guest has left
 * @send_quota, @send_error: bytes that send() takes until it fails with this
 *		errno, or 0: with EAGAIN
 * @unread:	bytes to the guest that it has not read; -1: the kernel does not
 *		tell
 * @quiet:	bytes that send() has taken since the guest last sent bytes
 * @want, @nwant: what the guest must get, in all
 * @got:	bytes that it has got
 * @next, @skip: the next frame that must be handed out begins @skip bytes after
 *		@next of the input, or in fill frames
 */
static struct guest {
	struct input from;
	size_t fill, quota, send_quota;
	int error, send_error, unread;
	size_t quiet;
	uint8_t want[OUT];
	size_t nwant, got;
	struct input next;
	size_t next_fill;
	bool wrong;
} guest;

static struct stream stream;

UNCOUNTED

/* fill_frame: a fill frame, with its length before it. */
static uint8_t fill_frame[STREAM_PREFIX + FILL_LEN];

static void make_fill_frame(void)
{
	size_t i;

	put_be32(fill_frame, FILL_LEN);
	for (i = STREAM_PREFIX; i < sizeof(fill_frame); i++)
		fill_frame[i] = (uint8_t)(i * i / 7);
}

/* next_bytes() - Read bytes of the guest's stream from a position */
static void next_bytes(struct input *in, size_t *fill, uint8_t *buf, size_t len)
{
	size_t n = MIN(len, in->left), at, more;

	memcpy(buf, in->at, n);
	in->at += n;
	in->left -= n;
	for (; n < len; n += more, *fill += more) {
		at = *fill % sizeof(fill_frame);
		more = MIN(len - n, sizeof(fill_frame) - at);
		memcpy(buf + n, fill_frame + at, more);
	}
}

static ssize_t fake_recv(int fd, void *buf, size_t len, int flags)
{
	size_t n = MIN(guest.quota, len);

	MUST(len);			/* else passt takes 0 for the end */
	if (guest.error < 0)
		return 0;
	if (guest.error || !n) {
		errno = guest.error ? guest.error : EAGAIN;
		return -1;
	}
	guest.quota -= n;
	guest.quiet = 0;
	next_bytes(&guest.from, &guest.fill, buf, n);
	return (ssize_t)n;
}

static ssize_t fake_send(int fd, const void *buf, size_t len, int flags)
{
	size_t n = MIN(guest.send_quota, len);

	MUST(len && flags & MSG_NOSIGNAL);
	if (!n) {
		errno = guest.send_error ? guest.send_error : EAGAIN;
		if (errno == EINTR)
			guest.send_error = 0;
		return -1;
	}
	guest.send_quota -= n;
	guest.quiet += n;
	MUST(guest.got + n <= guest.nwant);
	MUST(!memcmp(guest.want + guest.got, buf, n));
	guest.got += n;
	return (ssize_t)n;
}

static int fake_unread(int *n)
{
	*n = MAX(guest.unread, 0);
	return guest.unread < 0 ? -1 : 0;
}

/* check_frame() - Check that a frame is the next one of the guest's stream */
static void check_frame(const struct frame *f)
{
	static uint8_t want[LINK_FRAME_MAX];
	uint8_t prefix[STREAM_PREFIX];
	uint32_t len;

	MUST(!guest.wrong);
	next_bytes(&guest.next, &guest.next_fill, prefix, sizeof(prefix));
	len = get_be32(prefix);
	MUST(len && len <= LINK_FRAME_MAX && f->len == len);
	MUST(f->iovcnt == 1 && f->iov->iov_len == len);
	next_bytes(&guest.next, &guest.next_fill, want, len);
	MUST(!memcmp(f->iov->iov_base, want, len));
}

/* check_refused() - Check that the next frame's length is not possible */
static void check_refused(void)
{
	uint8_t prefix[STREAM_PREFIX];
	struct input in = guest.next;
	size_t fill = guest.next_fill;
	uint32_t len;

	next_bytes(&in, &fill, prefix, sizeof(prefix));
	len = get_be32(prefix);
	MUST(!len || len > LINK_FRAME_MAX);
	guest.wrong = true;
}

/* refill() - Take frames, and check them; false if the link has ended */
static bool refill(void)
{
	struct link_queue *q = &stream.queue;
	int rc = link_refill(q);
	unsigned int i;

	if (rc == -EPROTO) {
		check_refused();
		return false;
	}
	if (rc == -ECONNRESET)
		MUST(guest.error < 0 || guest.error == ECONNRESET);
	if (rc < 0) {
		MUST(guest.error);
		return false;
	}
	MUST((unsigned int)rc == q->nfrom_guest && rc <= LINK_BURST);
	for (i = 0; i < q->nfrom_guest; i++)
		check_frame(&q->from_guest[i]);
	MUST(stream.have <= STREAM_IN && stream.parsed <= stream.have);
	link_release(q);
	return true;
}

/* commit() - Commit @n frames of @len bytes to the guest, if there is space;
 * @shorter: commit one frame, which is shorter than its slot */
static void commit(unsigned int n, size_t len, bool shorter)
{
	struct link_slot slots[16];
	unsigned int i, have;
	size_t used;

	if (stream.queue.nto_guest + n > LINK_FRAMES)
		return;
	have = link_slots(&stream.queue, len, n, slots);
	MUST(have <= n);
	for (i = 0; i < have; i++) {
		used = shorter ? (len + LINK_FRAME_MIN) / 2 : len;
		if (guest.nwant + STREAM_PREFIX + used > OUT)
			return;
		put_be32(guest.want + guest.nwant, (uint32_t)used);
		guest.nwant += STREAM_PREFIX;
		memset(guest.want + guest.nwant, (int)(guest.nwant % 251), used);
		memcpy(slots[i].iov->iov_base, guest.want + guest.nwant, used);
		guest.nwant += used;
		link_commit(&stream.queue, &slots[i], used,
			    (struct frame_meta){ 0 });
		if (shorter)	/* the other slots must not be used */
			return;
	}
}

/* flush() - Send what was committed; false if the link is at its end */
static bool flush(size_t quota, int error)
{
	bool memory = error == ENOBUFS || error == ENOMEM;
	int rc;

	guest.send_quota = quota;
	guest.send_error = error;
	stream.queue.retry = false;
	rc = link_flush(&stream.queue);
	if (rc < 0) {
		MUST(rc == -error && error != EINTR && !memory);
		return false;
	}
	MUST(rc == 0 || rc == 1);
	MUST(rc == (guest.got == guest.nwant));
	MUST(stream.queue.blocked == !rc);
	MUST(stream.queue.retry == (!rc && memory));
	return true;
}

/* check_event() - Check that an event makes passt read if it may mean that the
 * guest has sent something or has left, and that the link counts as stalled
 * only if the guest has bytes that it has not read */
static void check_event(uint8_t arg)
{
	uint32_t events = (arg & 1 ? EPOLLIN : 0) | (arg & 2 ? EPOLLOUT : 0) |
			  (arg & 4 ? EPOLLHUP : 0) | (arg & 8 ? EPOLLERR : 0);
	bool before = stream.queue.more;

	MUST(!link_event(&stream.link, 0, events));
	MUST(stream.queue.more == (before || events & ~(uint32_t)EPOLLOUT));
	guest.unread = arg & 16 ? -1 : arg >> 5;
	MUST(link_stalled(&stream.queue) ==
	     (guest.unread > 0 && guest.quiet &&
	      guest.quiet <= 2 * SOCKET_BUFFER));
	stream.queue.low_latency = arg & 32;
}

/* do_step() - Do one step; false if the link is at its end */
static bool do_step(uint8_t op, uint8_t arg)
{
	static const int errors[] = { EAGAIN, EINTR, ENOBUFS, ENOMEM, ECONNRESET,
				      EPIPE, -1, 0 };
	bool fatal;

	switch ((enum op)(op % OPS)) {
	case OP_RECV:
		guest.quota = arg % 64 * (arg & 64 ? 16 : 1);
		if (!(arg & 128) && guest.quota > guest.from.left)
			guest.quota = guest.from.left;
		return refill();
	case OP_RECV_FILL:
		guest.quota = arg * (arg % 8 ? 64U : 1024U);
		return refill();
	case OP_RECV_ERROR:
		guest.error = errors[arg % ARRAY_SIZE(errors)];
		fatal = guest.error < 0 || guest.error == ECONNRESET ||
			guest.error == EPIPE;
		if (!refill())
			return false;
		MUST(!fatal || stream.queue.more || stream.parsed);
		if (guest.error == ENOBUFS || guest.error == ENOMEM)
			stream.queue.retry = false;
		guest.error = 0;
		return true;
	case OP_SLOTS:
		if (!stream.queue.blocked)
			commit(arg % 16 + 1, LINK_FRAME_MIN +
			       arg * (op & 64 ? 250U : 4U), op >> 7);
		return true;
	case OP_FLUSH:
		return flush(arg == 255 ? SIZE_MAX :
			     arg * (op & 64 ? 999U : 1U), 0);
	case OP_REFILL:
		guest.quota = 0;
		return refill();
	case OP_SEND_ERROR:
		return flush(arg / 8 * (op & 64 ? 999U : 1U),
			     errors[arg % 8 % 6]);
	case OP_EVENT:
		check_event(arg);
		return true;
	case OPS:
		break;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct input in = { data, size };
	unsigned int n = take_byte(&in);
	const uint8_t *steps = in.at;

	if (!started)
		make_fill_frame();
	started = true;
	MUST(!stream_open(&stream, 3));
	n = (unsigned int)MIN(MIN(n, STEPS), in.left / 2);
	in.at += 2 * n;
	in.left -= 2 * n;
	guest.from = guest.next = in;
	guest.fill = guest.next_fill = guest.quota = guest.send_quota = 0;
	guest.error = guest.send_error = guest.unread = 0;
	guest.quiet = 0;
	guest.nwant = guest.got = 0;
	guest.wrong = false;
	while (n-- && do_step(steps[0], steps[1]))
		steps += 2;
	link_close(&stream.link);
	return 0;
}

COUNTED
