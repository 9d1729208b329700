// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * stream.c - Tests of the link over a stream socket: frames that arrive in
 * parts, a guest that does not read, and lack of memory.
 */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sock.h"

/* errno with which sock_recv() and sock_send() of the code under test fail; 0:
 * they do not fail. */
static int no_memory_errno;
#define sock_recv(...) \
	(no_memory_errno ? errno = no_memory_errno, -1 : sock_recv(__VA_ARGS__))
#define sock_send(...) \
	(no_memory_errno ? errno = no_memory_errno, -1 : sock_send(__VA_ARGS__))

#include "../../link/stream.c"

#undef sock_recv
#undef sock_send
#include "test/unit/unit.h"

static struct stream s;
static int guest;

static void begins(void)
{
	int ends[2];

	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);
	stream_open(&s, ends[0]);
	guest = ends[1];
}

static void ends(void)
{
	link_close(&s.link);
	close(guest);
}

/* frame() - Commit a frame to the guest; false: the link has no space for it */
static bool frame(size_t len)
{
	struct link_slot slot;

	if (!link_slots(&s.queue, len, 1, &slot))
		return false;
	memset(slot.iov->iov_base, 'f', len);
	link_commit(&s.queue, &slot, len, (struct frame_meta){ 0 });
	return true;
}

/* waits() - Send frames until the link takes no more, then let the guest read
 * all of them; returns how many bytes waited for the guest */
static size_t waits(void)
{
	static uint8_t buf[1 << 20];
	size_t total = 0;
	ssize_t n;

	while (frame(1000) && link_flush(&s.queue) == 1)
		;
	while ((n = recv(guest, buf, sizeof(buf), 0)) > 0)
		total += (size_t)n;
	link_flush(&s.queue);
	while (recv(guest, buf, sizeof(buf), 0) > 0)
		;
	return total;
}

/* Given a link in low-latency mode, then less than half as many bytes wait in
 * its socket as otherwise. */
static void story_low_latency(void)
{
	size_t deep, low;

	begins();
	deep = waits();
	s.queue.low_latency = true;
	low = waits();
	check("with low latency it keeps less", low < deep / 2 && low);
	check("and takes all in the end", !s.queue.blocked);
	s.queue.low_latency = false;
	link_flush(&s.queue);
	check("without it as much as before", waits() == deep);
	ends();
}

/* Given frames that arrive byte by byte, then each is handed out when it is
 * complete, and only once. */
static void story_pieces(void)
{
	uint8_t bytes[2 * (STREAM_PREFIX + 100)] = { 0 };
	unsigned int i, frames = 0, wrong = 0;
	int rc;

	begins();
	bytes[3] = bytes[STREAM_PREFIX + 100 + 3] = 100;
	for (i = 0; i < sizeof(bytes); i++) {
		send(guest, &bytes[i], 1, 0);
		rc = link_refill(&s.queue);
		wrong += rc && (i + 1) % (STREAM_PREFIX + 100);
		wrong += rc && s.queue.from_guest[0].len != 100;
		frames += rc == 1;
		link_release(&s.queue);
	}
	check_eq("each frame comes when it is whole", wrong, 0);
	check_eq("and once", frames, 2);
	ends();
}

/* Given a frame with an impossible length, then the frame before it is handed
 * out, and then the link fails. */
static void story_length(void)
{
	uint8_t bytes[STREAM_PREFIX + 60 + STREAM_PREFIX] = { [3] = 60 };

	begins();
	bytes[STREAM_PREFIX + 60] = 0xff;
	send(guest, bytes, sizeof(bytes), 0);
	check_eq("the frame before a bad length", link_refill(&s.queue), 1);
	check("and there is more", s.queue.more);
	link_release(&s.queue);
	check_eq("which ends the link", link_refill(&s.queue), -EPROTO);
	ends();
}

/* Given a guest that does not read, then the link is stalled, until the guest
 * reads again or sends a frame. */
static void story_stalled(void)
{
	static uint8_t buf[1 << 20];
	size_t total = 0;

	begins();
	check("nothing waits at first", !link_stalled(&s.queue));
	frame(60);
	link_flush(&s.queue);
	check("a frame that is not read stalls the link",
	      link_stalled(&s.queue));
	recv(guest, buf, sizeof(buf), 0);
	check("until it is read", !link_stalled(&s.queue));
	while (frame(1000) && link_flush(&s.queue) == 1)
		;
	check("a full socket stalls the link", link_stalled(&s.queue));
	for (; total < 4 * SOCKET_BUFFER; total += 10000) {
		recv(guest, buf, 10000, 0);
		while (frame(1000) && link_flush(&s.queue) == 1)
			;
		link_flush(&s.queue);
	}
	check("unless the guest goes on to read", !link_stalled(&s.queue));
	send(guest, "\0\0\0\1x", 5, 0);
	link_refill(&s.queue);
	check("a guest that has sent a frame", !link_stalled(&s.queue));
	ends();
}

/* Given that send() and recv() fail because the host lacks memory, then no
 * frame is lost, and the link asks its caller to try again later. */
static void story_no_memory(int error)
{
	uint8_t bytes[STREAM_PREFIX + 60] = { [3] = 60 };

	printf("# %s\n", strerror(error));
	begins();
	no_memory_errno = error;
	check("a frame that can't be sent for lack of memory", frame(60));
	check_eq("waits", link_flush(&s.queue), 0);
	check("the link is blocked, and will be tried again",
	      s.queue.blocked && s.queue.retry);
	s.queue.retry = false;
	check_eq("what can't be received", link_refill(&s.queue), 0);
	check("will be tried, too", s.queue.retry && !s.queue.more);

	no_memory_errno = 0;
	check_eq("later the frame is sent", link_flush(&s.queue), 1);
	check("and the link is free", !s.queue.blocked);
	check_eq("the guest has it", recv(guest, bytes, sizeof(bytes), 0),
		 sizeof(bytes));
	send(guest, bytes, sizeof(bytes), 0);
	check_eq("and is heard", link_refill(&s.queue), 1);
	link_release(&s.queue);
	ends();
	check("nothing is left for the next guest", !s.queue.retry);
}

int main(void)
{
	story_no_memory(ENOBUFS);
	story_no_memory(ENOMEM);
	story_low_latency();
	story_pieces();
	story_length();
	story_stalled();
	return unit_end();
}
