/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * listener.h - A listener of a socket that the test has bound itself, where
 * the kernel was to choose the port.
 */
#ifndef TEST_LISTENER_H
#define TEST_LISTENER_H

#include <sys/epoll.h>

#include "event.h"
#include "forward/listen.h"

/**
 * put_listener() - One more listener, as listener_open() makes it
 * @f:		set up by fwd_init(); the first one gives it ends of their own
 * @fd:		bound socket
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @port:	host port
 * @gport:	guest port
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
