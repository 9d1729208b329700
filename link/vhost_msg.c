// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * vhost_msg.c - Receives and sends messages of the vhost-user protocol. A
 * message consists of a header, a payload, and descriptors. It may come in
 * parts.
 */
/* syscalls: vhost: close recvmsg sendmsg */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link/vhost_priv.h"

/* Flags of a message. */
#define MSG_VERSION_MASK	3U
#define MSG_VERSION		1U
#define MSG_REPLY		4U

#define MSG_HDR_LEN	12		/* bytes: request, flags, size */

/* vhost_close_fds() - Close the descriptors of a message that no function has
 * kept */
void vhost_close_fds(struct vhost_message *m)
{
	unsigned int i;

	for (i = 0; i < m->nfds; i++) {
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	}
	m->nfds = 0;
}

/* vhost_reply() - Send the message back as a reply; 0, or -EPROTO if the socket
 * did not take all of it */
int vhost_reply(struct vhost_user *v, struct vhost_message *m)
{
	struct iovec iov[] = {
		{ m, MSG_HDR_LEN }, { m->payload, m->size },
	};
	struct msghdr h = { .msg_iov = iov, .msg_iovlen = 2 };

	m->flags = MSG_VERSION | MSG_REPLY;
	return sendmsg(v->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)(MSG_HDR_LEN + m->size) ? 0 : -EPROTO;
}

/* collect_fds() - Add the descriptors of a received part to the message; false
 * if there are too many */
static bool collect_fds(struct vhost_message *m, struct msghdr *h)
{
	struct cmsghdr *c;
	size_t n, i;
	int fd;
	bool fit = !(h->msg_flags & MSG_CTRUNC);

	for (c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (m->nfds < VHOST_FDS) {
				m->fds[m->nfds++] = fd;
			} else {
				close(fd);
				fit = false;
			}
		}
	}
	return fit;
}

/* left_of_message() - Return how many bytes of the message are missing. Until
 * its header is complete, only the missing bytes of the header count, because
 * the header gives the length */
static size_t left_of_message(const struct vhost_user *v)
{
	size_t whole = MSG_HDR_LEN;

	if (v->have >= MSG_HDR_LEN)
		whole += v->msg.size;
	return whole - v->have;
}

/* is_header_valid() - Whether passt can receive the message that a header
 * announces */
static bool is_header_valid(const struct vhost_message *m)
{
	return (m->flags & MSG_VERSION_MASK) == MSG_VERSION &&
	       !(m->flags & MSG_REPLY) && m->size <= sizeof(m->payload);
}

/**
 * vhost_receive() - Receive a part of a message
 *
 * Return: 1 if the message is complete; 0 if further parts of it are missing;
 *	   -EAGAIN if nothing was received; -ECONNRESET if the front-end has
 *	   left; or -EPROTO if the message is malformed
 */
int vhost_receive(struct vhost_user *v)
{
	union {
		char buf[CMSG_SPACE(VHOST_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct vhost_message *m = &v->msg;
	struct iovec iov = { (uint8_t *)m + v->have, left_of_message(v) };
	struct msghdr h = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	if (v->have >= MSG_HDR_LEN)
		iov.iov_base = m->payload + (v->have - MSG_HDR_LEN);
	n = recvmsg(v->fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN :
		       -ECONNRESET;
	if (!collect_fds(m, &h))
		return -EPROTO;
	if (!n)
		return -ECONNRESET;
	v->have += (size_t)n;
	if (v->have < MSG_HDR_LEN)
		return 0;
	if (!is_header_valid(m))
		return -EPROTO;
	return v->have == MSG_HDR_LEN + m->size;
}
