/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * query.c - Sends queries over UDP as resolvers do, each from its own port, for
 * the benchmark:
 *
 *	query serve ADDR PORT		the server
 *	query ask ADDR PORT MS AHEAD	sends queries; AHEAD of them wait for
 *					their answers at the same time
 *
 * 'ask' prints a line of JSON: queries answered, queries not answered within
 * a second, the duration in seconds, and the distribution of latencies in us,
 * measured from socket() to the answer.
 * A program of the benchmark; calls util.c and the kernel, called by items.py.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/bench/bench.h"
#include "util.h"

#define QUESTION	40		/* bytes of a query for one name */
#define ANSWER		120		/* bytes of an answer to such a query */
#define BATCH		64
#define AHEAD_MAX	1024
#define SAMPLES		(1 << 20)
#define SOCKET_BUFFER	(4 * 1024 * 1024)
#define PATIENCE	NSEC
#define TICK_MS		50		/* interval of the searches for lost
					 * queries */

/**
 * struct question - A query that waits for its answer
 * @fd:		its socket, -1: this entry is unused
 * @asked:	time at which it was sent, ns
 */
struct question {
	int fd;
	uint64_t asked;
};

/**
 * struct asker - The client
 * @sa:		address of the server
 * @len:	length of @sa
 * @epoll:	epoll descriptor with all sockets; its data is an index of @q
 * @ahead:	how many queries wait at the same time, each in an entry of @q
 * @q:		queries that wait
 * @n, @lost:	number of queries that were answered, and that were lost
 * @ns:		latencies of the answered ones
 */
struct asker {
	union sockaddr_any sa;
	socklen_t len;
	int epoll;
	unsigned int ahead;
	struct question q[AHEAD_MAX];
	size_t n, lost;
	uint32_t ns[SAMPLES];
};

/*
 * The server.
 */

static void serve_batch(int fd)
{
	static uint8_t buf[BATCH][ANSWER];
	union sockaddr_any from[BATCH];
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	int i, n;

	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ buf[i], ANSWER };
		msg[i].msg_hdr = (struct msghdr){
			.msg_name = &from[i], .msg_namelen = sizeof(from[i]),
			.msg_iov = &iov[i], .msg_iovlen = 1,
		};
	}
	n = recvmmsg(fd, msg, BATCH, MSG_WAITFORONE, NULL);
	if (n < 0 && errno != ECONNREFUSED)
		die("recvmmsg");
	if (n > 0)
		sendmmsg(fd, msg, (unsigned int)n, MSG_NOSIGNAL);
}

static void __attribute__((noreturn))
serve(const union sockaddr_any *sa, socklen_t len)
{
	int fd = socket(sa->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int size = SOCKET_BUFFER;

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, &sa->sa, len))
		die("bind");
	puts("ready");
	fflush(stdout);
	for (;;)
		serve_batch(fd);
}

/*
 * The client.
 */

/* ask() - Send a query from a port that the kernel chooses */
static void ask(struct asker *a, unsigned int i)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = i };
	struct question *q = &a->q[i];
	uint8_t buf[QUESTION] = { 0 };

	q->asked = now_ns();
	q->fd = socket(a->sa.sa.sa_family,
		       SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (q->fd < 0 || connect(q->fd, &a->sa.sa, a->len) ||
	    epoll_ctl(a->epoll, EPOLL_CTL_ADD, q->fd, &ev))
		die("a socket to ask with");
	(void)!send(q->fd, buf, sizeof(buf), MSG_NOSIGNAL);
}

/* answered() - Take the answer from a socket; an error means a lost query */
static void answered(struct asker *a, struct question *q)
{
	uint8_t buf[ANSWER];
	ssize_t n = recv(q->fd, buf, sizeof(buf), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n == ANSWER && a->n < SAMPLES)
		a->ns[a->n++] = (uint32_t)(now_ns() - q->asked);
	else
		a->lost++;
	close(q->fd);
	q->fd = -1;
}

/* give_up() - Give up queries that have waited for too long */
static void give_up(struct asker *a)
{
	uint64_t now = now_ns();
	unsigned int i;

	for (i = 0; i < a->ahead; i++) {
		if (a->q[i].fd < 0 || now - a->q[i].asked < PATIENCE)
			continue;
		close(a->q[i].fd);
		a->q[i].fd = -1;
		a->lost++;
	}
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int report(struct asker *a, uint64_t total)
{
	if (!a->n) {
		fputs("no question was answered\n", stderr);
		return 1;
	}
	qsort(a->ns, a->n, sizeof(*a->ns), compare);
	printf("{\"count\": %zu, \"lost\": %zu, \"seconds\": %.6f, "
	       "\"p50\": %.3f, \"p99\": %.3f}\n", a->n, a->lost,
	       (double)total / 1e9, a->ns[a->n / 2] / 1e3,
	       a->ns[a->n * 99 / 100] / 1e3);
	return 0;
}

static int ask_all(struct asker *a, uint64_t ms)
{
	uint64_t start = now_ns(), t = start, end = start + ms * 1000000;
	uint64_t look = start;
	struct epoll_event ev[BATCH];
	unsigned int i;
	int k, n;

	for (i = 0; i < a->ahead; i++)
		a->q[i].fd = -1;
	for (; t < end; t = now_ns()) {
		for (i = 0; i < a->ahead; i++) {
			if (a->q[i].fd < 0)
				ask(a, i);
		}
		n = epoll_wait(a->epoll, ev, BATCH, TICK_MS);
		for (k = 0; k < n; k++)
			answered(a, &a->q[ev[k].data.u32]);
		if (t - look > TICK_MS * 1000000ULL) {
			give_up(a);
			look = t;
		}
	}
	return report(a, t - start);
}

static bool address(const char *addr, const char *port, struct asker *a)
{
	struct in6_addr in6;
	uint64_t n;

	if (!addr_parse(addr, &in6) || !number_parse(port, 1, 65535, &n))
		return false;
	a->len = sockaddr_set(&a->sa, &in6, (uint16_t)n, 0);
	return true;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 3 ? argv[1] : "";
	static struct asker a;
	uint64_t ms, ahead;

	if (argc == 4 && !strcmp(mode, "serve") &&
	    address(argv[2], argv[3], &a))
		serve(&a.sa, a.len);
	if (argc == 6 && !strcmp(mode, "ask") &&
	    address(argv[2], argv[3], &a) &&
	    number_parse(argv[4], 1, 60000, &ms) &&
	    number_parse(argv[5], 1, AHEAD_MAX, &ahead)) {
		a.epoll = epoll_create1(EPOLL_CLOEXEC);
		a.ahead = (unsigned int)ahead;
		return ask_all(&a, ms);
	}
	fputs("usage: query {serve ADDR PORT | ask ADDR PORT MS AHEAD}\n",
	      stderr);
	return 1;
}
