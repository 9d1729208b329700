// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * link.c - The stream back-end and the link in memory do what link/link.h
 * promises about slots, frames shorter than their slot, queues, descriptors and
 * observers.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../link/link.c"
#include "link/stream.h"
#include "test/memory.h"
#include "test/unit/unit.h"

#define SLOTS	8

static const struct frame_meta none;

/**
 * struct watcher - An observer that counts
 * @observer:	registered at the link
 * @bursts, @frames, @bytes: numbers that the observer has seen; index 0: from
 *		guest, 1: to guest
 */
struct watcher {
	struct link_observer observer;
	unsigned int bursts[2], frames[2];
	size_t bytes[2];
};

static void watch(struct link_observer *o, bool to_guest,
		  const struct frame *frames, unsigned int n)
{
	struct watcher *w = container_of(o, struct watcher, observer);

	w->bursts[to_guest]++;
	w->frames[to_guest] += n;
	while (n--)
		w->bytes[to_guest] += frames[n].len;
}

/* fills() - Whether a slot has @len bytes, with space for all headers in its
 * first piece */
static bool fills(const struct link_slot *s, size_t len)
{
	size_t total = 0;
	unsigned int i;

	for (i = 0; i < s->cnt; i++) {
		if (!s->iov[i].iov_len)
			return false;
		memset(s->iov[i].iov_base, 'x', s->iov[i].iov_len);
		total += s->iov[i].iov_len;
	}
	return total == len && s->iov->iov_len >= MIN(len, LINK_HEADERS);
}

/* story_slots() - Test the slots of a queue with space for some frames of 2000
 * bytes */
static void story_slots(const char *name, struct link_queue *q)
{
	static struct watcher watchers[2 * MEMORY_MODES + 1];
	static struct watcher *w = watchers;
	struct link_slot slot[SLOTS];
	unsigned int i, good = 0;

	printf("# %s\n", name);
	w->observer.see = watch;
	link_observe(q->link, &w->observer);
	check_eq("slots of one length are given at once",
		 link_slots(q, 2000, SLOTS, slot), SLOTS);
	for (i = 0; i < SLOTS; i++)
		good += fills(&slot[i], 2000);
	check_eq("each with space for its headers in one piece", good, SLOTS);

	link_commit(q, &slot[0], 2000, none);
	link_commit(q, &slot[1], 500, none);
	check_eq("a shorter frame is as long as it is", q->to_guest[1].len, 500);
	check_eq("what is committed is known", q->pending, 2500);
	check_eq("after it there are others", link_slots(q, 60, 2, slot), 2);
	check("of their length", fills(&slot[0], 60) && fills(&slot[1], 60));
	link_commit(q, &slot[0], 60, none);
	check_eq("one that is not committed costs nothing", link_flush(q), 1);
	check("the list is empty then", !q->nto_guest && !q->pending);
	check("an observer sees the frames once", w->bursts[1] == 1 &&
	      w->frames[1] == 3 && w->bytes[1] == 2560);
	check_eq("an empty flush is nothing", link_flush(q), 1);
	check_eq("to see", w->bursts[1], 1);
	w++;
}

static void story_stream(void)
{
	static struct stream s;
	static uint8_t got[8192];
	uint8_t frame[4 + 60] = { [3] = 60 };
	int ends[2];

	check_eq("a queue without a guest has no slot",
		 link_slots(&s.queue, 60, 1, &(struct link_slot){ 0 }), 0);
	check_eq("and no frame", link_refill(&s.queue), -ENOTCONN);
	check_eq("and sends nothing", link_flush(&s.queue), -ENOTCONN);

	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);
	stream_open(&s, ends[0]);
	story_slots("stream", &s.queue);
	check_eq("the wire has no gap", recv(ends[1], got, sizeof(got), 0),
		 3 * 4 + 2560);
	check("between a shorter frame and the next",
	      get_be32(got) == 2000 && get_be32(got + 2004) == 500 &&
	      get_be32(got + 2508) == 60);

	check("one descriptor", s.link.nfds == 1 && s.link.fds[0].fd == ends[0]);
	link_event(&s.link, 0, EPOLLOUT);
	check("that can be written says nothing of frames", !s.queue.more);
	send(ends[1], frame, sizeof(frame), 0);
	link_event(&s.link, 0, EPOLLIN);
	check("that can be read does", s.queue.more);
	check_eq("one", link_refill(&s.queue), 1);
	check("and no more", !s.queue.more);
	link_release(&s.queue);
	link_close(&s.link);
	check("a closed link is down", !link_up(&s.link) && !s.queue.link);
	close(ends[1]);
}

static void story_memory(enum memory_mode mode)
{
	static struct memory m;
	struct watcher w[2] = { { .observer.see = watch },
				{ .observer.see = watch } };
	uint8_t frame[2][100] = { { 1 }, { 2 } };

	memory_open_as(&m, 1 << 16, mode);
	story_slots(memory_mode_name[mode], m.queue);
	check("the guest got them", m.nsent == 3 && m.sent[0].iov_len == 2000 &&
	      m.sent[1].iov_len == 500 && m.sent[2].iov_len == 60);
	memory_clear(&m);
	story_slots("its other queue", &m.queue[1]);

	check_eq("each queue has a descriptor", m.link.nfds, 2);
	link_event(&m.link, 1, EPOLLIN);
	check("and an event is for one", !m.queue[0].more && m.queue[1].more);
	check_eq("that may have nothing", link_refill(&m.queue[1]), 0);

	link_observe(&m.link, &w[0].observer);
	link_observe(&m.link, &w[1].observer);
	memory_put(&m, frame[0], 100);
	memory_put(&m, frame[1], 60);
	check_eq("frames of the guest", link_refill(m.queue), 2);
	check("are seen by all observers", w[0].bursts[0] == 1 &&
	      w[1].frames[0] == 2 && w[1].bytes[0] == 160);
	link_release(m.queue);
	check_eq("and then gone", m.queue->nfrom_guest, 0);
	link_close(&m.link);
}

int main(void)
{
	enum memory_mode mode;

	story_stream();
	for (mode = 0; mode < MEMORY_MODES; mode++)
		story_memory(mode);
	return unit_end();
}
