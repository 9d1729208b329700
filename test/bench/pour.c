/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * pour.c - Sends bytes through a TCP connection, and compares each of them at
 * the other end, for the soak test:
 *
 *	pour serve ADDR PORT			the server, for 'up' and 'down'
 *	pour up ADDR PORT SEED BYTES		sends to the server
 *	pour down ADDR PORT SEED BYTES		receives from the server
 *
 * Each byte is a function of the seed and of its offset in the stream, so that
 * the receiver detects bytes that are lost, duplicated or moved, and prints the
 * offset of the first wrong byte. 'up' and 'down' exit with status 0 if all
 * bytes arrived unchanged, and then the end of the stream.
 * A program of the benchmark; calls util.c and the kernel, called by soak.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/bench/bench.h"
#include "util.h"

#define BLOCK	(256 * 1024)	/* bytes, a multiple of 8 */
#define WELL	'+'		/* the server's answer if 'up' succeeded */

/**
 * struct order - The client's order, which it sends first
 * @seed:	seed of the bytes
 * @bytes:	number of bytes
 * @down:	the server sends them, not the client
 */
struct order {
	uint64_t seed, bytes, down;
};

/* block_fill() - Fill a block with the bytes from offset @at, a multiple of
 * BLOCK */
static void block_fill(uint64_t *block, uint64_t seed, uint64_t at)
{
	uint64_t word, first = seed * 0x100000001b3 + at / sizeof(word);
	size_t i;

	for (i = 0; i < BLOCK / sizeof(word); i++) {
		word = (first + i) * 0x9e3779b97f4a7c15;
		block[i] = word ^ word >> 29;
	}
}

static void send_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;
	ssize_t n;

	for (; len; p += n, len -= (size_t)n) {
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			die("send");
	}
}

static void recv_all(int fd, void *buf, size_t len)
{
	ssize_t n = recv(fd, buf, len, MSG_WAITALL);

	if (n < 0)
		die("recv");
	if (n != (ssize_t)len) {
		fprintf(stderr, "the end after %zd bytes of %zu\n", n, len);
		exit(1);
	}
}

static void pour(int fd, const struct order *o)
{
	static uint64_t block[BLOCK / sizeof(uint64_t)];
	uint64_t at;

	for (at = 0; at < o->bytes; at += BLOCK) {
		block_fill(block, o->seed, at);
		send_all(fd, block, MIN(o->bytes - at, BLOCK));
	}
	shutdown(fd, SHUT_WR);
}

/* differs() - Print where the first wrong byte is, and exit */
static void __attribute__((noreturn))
differs(const uint8_t *got, const uint8_t *want, uint64_t at)
{
	size_t i = 0;

	while (got[i] == want[i])
		i++;
	fprintf(stderr, "byte %llu is %02x, not %02x\n",
		(unsigned long long)(at + i), got[i], want[i]);
	exit(1);
}

/* gather() - Receive and compare all bytes; check that the stream then ends */
static void gather(int fd, const struct order *o)
{
	static uint64_t got[BLOCK / sizeof(uint64_t)], want[ARRAY_SIZE(got)];
	uint64_t at;
	size_t n;

	for (at = 0; at < o->bytes; at += n) {
		n = MIN(o->bytes - at, BLOCK);
		recv_all(fd, got, n);
		block_fill(want, o->seed, at);
		if (memcmp(got, want, n))
			differs((uint8_t *)got, (uint8_t *)want, at);
	}
	if (recv(fd, got, 1, 0)) {
		fprintf(stderr, "no end after %llu bytes\n",
			(unsigned long long)at);
		exit(1);
	}
}

static int tcp_socket(const char *addr, const char *port,
		      union sockaddr_any *sa, socklen_t *len)
{
	struct in6_addr a;
	uint64_t n;
	int fd;

	if (!addr_parse(addr, &a) || !number_parse(port, 1, 65535, &n)) {
		errno = EINVAL;
		die(addr);
	}
	*len = sockaddr_set(sa, &a, (uint16_t)n, 0);
	fd = socket(sa->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	return fd;
}

static void __attribute__((noreturn)) answer(int fd)
{
	struct order o;

	recv_all(fd, &o, sizeof(o));
	if (o.down) {
		pour(fd, &o);
		exit(0);
	}
	gather(fd, &o);
	send_all(fd, &(char){ WELL }, 1);
	exit(0);
}

static void __attribute__((noreturn)) serve(const char *addr, const char *port)
{
	union sockaddr_any sa;
	socklen_t len;
	int listener = tcp_socket(addr, port, &sa, &len), one = 1, fd;

	signal(SIGCHLD, SIG_IGN);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, &sa.sa, len) || listen(listener, 64))
		die("listen");
	puts("ready");
	fflush(stdout);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			answer(fd);
		}
		close(fd);
	}
	die("accept");
}

static int client(const char *addr, const char *port, const struct order *o)
{
	union sockaddr_any sa;
	socklen_t len;
	int fd = tcp_socket(addr, port, &sa, &len);
	char well = 0;

	if (connect(fd, &sa.sa, len))
		die("connect");
	send_all(fd, o, sizeof(*o));
	if (o->down) {
		gather(fd, o);
		return 0;
	}
	pour(fd, o);
	recv_all(fd, &well, 1);
	return well != WELL;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 3 ? argv[1] : "";
	struct order o = { .down = !strcmp(mode, "down") };

	if (argc == 4 && !strcmp(mode, "serve"))
		serve(argv[2], argv[3]);
	if (argc == 6 && (o.down || !strcmp(mode, "up")) &&
	    number_parse(argv[4], 0, UINT64_MAX, &o.seed) &&
	    number_parse(argv[5], 0, UINT64_MAX, &o.bytes))
		return client(argv[2], argv[3], &o);
	fputs("usage: pour {serve ADDR PORT | {up|down} ADDR PORT SEED BYTES}"
	      "\n", stderr);
	return 1;
}
