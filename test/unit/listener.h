/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * listener.h - Lets a test add a listener for a socket that the test itself has
 * bound, for example to a port that the kernel chose.
 */
#ifndef TEST_LISTENER_H
#define TEST_LISTENER_H

#include <sys/epoll.h>

#include "event.h"
#include "forward/listen.h"

/**
 * put_listener() - Add a listener, as listener_open() does
 * @f:		set up by fwd_init(); its @ends are allocated if it has none
 * @fd:		bound socket
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @port:	port of the host
 * @gport:	port of the guest
 */
static inline void put_listener(struct fwd *f, int fd, uint8_t proto,
				uint16_t port, uint16_t gport)
{
	struct listener *l = &f->listeners[f->top++];
	struct epoll_event ev = { .events = EPOLLIN };

	if (!f->ends)
		f->ends = calloc(1, sizeof(*f->ends));
	*l = (struct listener){ .fd = fd, .gen = 1, .proto = proto,
				.port = port, .gport = gport };
	ev.data.u64 = listener_token(f, l);
	epoll_ctl(f->epfd, EPOLL_CTL_ADD, fd, &ev);
	f->nlisteners++;
	f->changes++;
}

#endif /* TEST_LISTENER_H */
