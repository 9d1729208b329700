/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * floor.c - What moving the bytes costs if there were no protocol at all:
 *
 *	floor in PAYLOAD MS	receive from a TCP socket, sum, send frames
 *	floor out PAYLOAD MS	receive frames, sum, send to a TCP socket
 *
 * with [--addr ADDR] [--netns PATH] where the other end of the TCP connection
 * is. A frame is its length (4 bytes), headers nobody fills in, and PAYLOAD
 * bytes; it goes over a UNIX stream socket to a child that only drains or
 * fills it. Buffers are those of passt. Prints a line of JSON: bytes,
 * seconds, and the processor time of this loop alone, seconds.
 * A program of the benchmark; calls peer.c, checksum.c and the kernel, called
 * by items.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "checksum.h"
#include "link/stream.h"
#include "test/bench/peer.h"
#include "util.h"

#define PREFIX		4
#define HEADERS		54		/* Ethernet, IPv4, TCP */
#define OVERHEAD	(PREFIX + HEADERS)
#define FRAMES_MAX	(STREAM_OUT / (OVERHEAD + PAYLOAD_MIN))
#define SOCKET_BUFFER	(256 * 1024)	/* as in link/stream.c */
#define GUEST_BLOCK	(128 * 1024)	/* as the stand-in guest does */

/**
 * struct lift - One direction being carried
 * @tcp:	connected socket
 * @link:	UNIX stream socket
 * @payload:	bytes in a full frame
 * @bytes:	payload moved
 * @buf:	frames, each after its length
 * @have:	bytes in @buf, of frames to be sent to @tcp
 * @iov:	the payload in @buf, of one frame each
 */
struct lift {
	int tcp, link;
	size_t payload;
	uint64_t bytes;
	uint8_t *buf;
	size_t have;
	struct iovec iov[FRAMES_MAX];
};

/* send_all() - A whole buffer, to a socket that may wait */
static void send_all(int fd, const uint8_t *buf, size_t len)
{
	ssize_t n;

	for (; len; buf += n, len -= (size_t)n) {
		n = send(fd, buf, len, MSG_NOSIGNAL);
		if (n <= 0)
			die("send");
	}
}

/* frame_sum() - What a sender has to do with each byte, and the receiver */
static void frame_sum(uint8_t *payload, size_t len)
{
	uint16_t sum = csum_fold(csum_add(payload, len, 0));

	memcpy(payload - sizeof(sum) * 2, &sum, sizeof(sum));
}

/*
 * In: from the TCP socket to frames.
 */

/* in_prepare() - Where the payload of each frame goes. Returns frames. */
static int in_prepare(struct lift *l)
{
	size_t step = OVERHEAD + l->payload;
	int i, n = (int)(STREAM_OUT / step);

	for (i = 0; i < n; i++)
		l->iov[i] = (struct iovec){
			l->buf + (size_t)i * step + OVERHEAD, l->payload,
		};
	return n;
}

/* in_once() - Receive what is there, make frames of it, send them */
static void in_once(struct lift *l, int frames)
{
	struct msghdr msg = { .msg_iov = l->iov, .msg_iovlen = (size_t)frames };
	ssize_t n = recvmsg(l->tcp, &msg, 0);
	size_t left, len, total = 0;
	uint8_t *payload;

	if (n <= 0)
		die("recvmsg");
	for (left = (size_t)n; left; left -= len) {
		len = MIN(left, l->payload);
		payload = l->buf + total + OVERHEAD;
		put_be32(payload - OVERHEAD, (uint32_t)(HEADERS + len));
		frame_sum(payload, len);
		total += OVERHEAD + len;
	}
	send_all(l->link, l->buf, total);
	l->bytes += (size_t)n;
}

/*
 * Out: from frames to the TCP socket.
 */

/* tcp_send() - The first @cnt payloads, whatever the socket takes at once */
static void tcp_send(struct lift *l, size_t cnt, size_t total)
{
	struct msghdr msg = { .msg_iov = l->iov, .msg_iovlen = cnt };
	ssize_t n = sendmsg(l->tcp, &msg, MSG_NOSIGNAL);

	if (n != (ssize_t)total)
		die("sendmsg");
	l->bytes += total;
}

/* out_once() - Receive what is there, send the payload of whole frames */
static void out_once(struct lift *l)
{
	ssize_t n = recv(l->link, l->buf + l->have, STREAM_IN - l->have, 0);
	size_t done = 0, cnt = 0, total = 0, len;

	if (n <= 0)
		die("recv");
	for (l->have += (size_t)n; l->have - done >= PREFIX;
	     done += PREFIX + len) {
		len = get_be32(l->buf + done);
		if (l->have - done < PREFIX + len)
			break;
		l->iov[cnt] = (struct iovec){
			l->buf + done + OVERHEAD, len - HEADERS,
		};
		frame_sum(l->iov[cnt].iov_base, len - HEADERS);
		total += l->iov[cnt++].iov_len;
	}
	if (cnt)
		tcp_send(l, cnt, total);
	l->have -= done;
	memmove(l->buf, l->buf + done, l->have);
}

/*
 * The two ends.
 */

/* guest() - The other end of the link, in a child */
static void guest(struct lift *l, int fd, bool in)
{
	size_t step = OVERHEAD + l->payload, len, i;
	uint8_t *buf;

	if (!child())
		return;
	close(l->link);
	if (in)
		drain(fd, GUEST_BLOCK);

	buf = calloc(1, GUEST_BLOCK);
	len = GUEST_BLOCK / step * step;
	if (!buf)
		die("memory");
	for (i = 0; i < len; i += step)
		put_be32(buf + i, (uint32_t)(step - PREFIX));
	fill(fd, buf, len);
}

static void lift_open(struct lift *l, bool in)
{
	int size = SOCKET_BUFFER, ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		die("socketpair");
	l->link = ends[0];
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	guest(l, ends[1], in);
	close(ends[1]);
}

static void run(struct lift *l, bool in, int ms)
{
	double wall = seconds(CLOCK_MONOTONIC);
	double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	double end = wall + ms / 1e3;
	int frames = in ? in_prepare(l) : 0;

	while (seconds(CLOCK_MONOTONIC) < end) {
		if (in)
			in_once(l, frames);
		else
			out_once(l);
	}
	printf("{\"bytes\": %llu, \"seconds\": %.6f, \"cpu\": %.6f}\n",
	       (unsigned long long)l->bytes, seconds(CLOCK_MONOTONIC) - wall,
	       seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}

int main(int argc, char **argv)
{
	struct floor_args args;
	static struct lift l;

	if (!floor_arguments(&args, argc, argv)) {
		fputs("usage: floor {in|out} PAYLOAD MS [--addr ADDR] "
		      "[--netns PATH]\n", stderr);
		return 1;
	}

	csum_init();
	l.payload = args.payload;
	l.buf = malloc(MAX(STREAM_IN, STREAM_OUT));
	if (!l.buf)
		die("memory");
	l.tcp = peer_connect(&args);
	lift_open(&l, args.in);
	run(&l, args.in, args.ms);
	return 0;
}
