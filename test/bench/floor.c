/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * floor.c - Measures the lower limit of the cost of passt: it moves data
 * between a TCP socket and frames, with checksums, but without any protocol:
 *
 *	floor in PAYLOAD MS	receive from the TCP socket, send frames
 *	floor out PAYLOAD MS	receive frames, send to the TCP socket
 *
 * The options [--addr ADDR] [--netns PATH] say where the other end of the TCP
 * connection is. A frame consists of its length (4 bytes), headers that nobody
 * fills in, and PAYLOAD bytes. Frames go over a UNIX stream socket, at whose
 * other end a child only reads or only writes them. Buffers have the same sizes
 * as in passt.
 * The program prints a line of JSON: bytes, seconds, and seconds of CPU time,
 * without those of the child.
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
#define GUEST_BLOCK	(128 * 1024)	/* bytes per call, as in standin.c */

/**
 * struct lift - State of a transfer in one direction
 * @tcp:	connected TCP socket
 * @link:	UNIX stream socket
 * @payload:	bytes of payload in a full frame
 * @bytes:	bytes of payload moved so far
 * @buf:	frames, each after its length
 * @have:	bytes in @buf of frames that are to be sent to @tcp
 * @iov:	payload of each frame in @buf
 */
struct lift {
	int tcp, link;
	size_t payload;
	uint64_t bytes;
	uint8_t *buf;
	size_t have;
	struct iovec iov[FRAMES_MAX];
};

/* send_all() - Send a whole buffer on a blocking socket */
static void send_all(int fd, const uint8_t *buf, size_t len)
{
	ssize_t n;

	for (; len; buf += n, len -= (size_t)n) {
		n = send(fd, buf, len, MSG_NOSIGNAL);
		if (n <= 0)
			die("send");
	}
}

/* frame_sum() - Write the checksum of the payload to the TCP header: passt must
 * compute checksums in both directions */
static void frame_sum(uint8_t *payload, size_t len)
{
	uint16_t sum = csum_fold(csum_add(payload, len, 0));

	memcpy(payload - sizeof(sum) * 2, &sum, sizeof(sum));
}

/*
 * In: from the TCP socket to frames.
 */

/* in_prepare() - Let @iov point to the memory for the payload of each frame;
 * returns the number of frames */
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

/* in_once() - Receive data, make frames of them, send the frames */
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

/* tcp_send() - Send the first @cnt payloads by one call; the socket blocks
 * until it has taken all */
static void tcp_send(struct lift *l, size_t cnt, size_t total)
{
	struct msghdr msg = { .msg_iov = l->iov, .msg_iovlen = cnt };
	ssize_t n = sendmsg(l->tcp, &msg, MSG_NOSIGNAL);

	if (n != (ssize_t)total)
		die("sendmsg");
	l->bytes += total;
}

/* out_once() - Receive frames, and send the payload of the complete ones */
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

/* guest() - Fork a child that reads or writes frames at the link's other end */
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
