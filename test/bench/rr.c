/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * rr.c - Request and response over TCP, one byte each, for the benchmark:
 *
 *	rr serve ADDR PORT	the server. On PORT it answers each byte, and
 *				closes the connection at a 'q'. On PORT + 1 it
 *				answers one byte, then closes the connection
 *	rr rr ADDR PORT MS	sends requests one by one on one connection
 *	rr crr ADDR PORT MS	opens a connection for each request
 *	rr hold ADDR PORT N	opens N connections, and keeps them open.
 *				Then it reads commands from stdin: 'echo' sends
 *				one request on each connection, 'close' lets the
 *				server close all
 *
 * Results are lines of JSON. The server closes connections first, so that
 * TIME_WAIT does not occupy ports of the client.
 * A program of the benchmark; calls the kernel only, called by items.py.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/bench/bench.h"

#define SAMPLES	(1 << 20)	/* most latencies that are recorded: 10 s
				 * at 100,000 requests per second */
#define EVENTS	256
#define BACKLOG	4096
#define AHEAD	64		/* most connections with an operation that
				 * has begun, but not ended */
#define PATIENCE 20000		/* ms without any event until we give up */

static struct sockaddr_in6 address(const char *addr, const char *port, int add)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6 };
	char mapped[INET6_ADDRSTRLEN + 8];

	snprintf(mapped, sizeof(mapped), "%s%s",
		 strchr(addr, ':') ? "" : "::ffff:", addr);
	if (inet_pton(AF_INET6, mapped, &sa.sin6_addr) != 1) {
		errno = EINVAL;
		die(addr);
	}
	sa.sin6_port = htons((uint16_t)(atoi(port) + add));
	return sa;
}

static int tcp_socket(int flags)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	int one = 1;

	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/*
 * The server. Epoll data is twice the descriptor, plus one if the server shall
 * close the connection after its first answer.
 */

static void watch(int epoll, int fd, bool once)
{
	struct epoll_event ev = {
		.events = EPOLLIN, .data.u64 = (uint64_t)fd * 2 + once,
	};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl");
}

static int listen_on(int epoll, struct sockaddr_in6 sa, bool once)
{
	int fd = tcp_socket(SOCK_NONBLOCK), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    listen(fd, BACKLOG))
		die("listen");
	watch(epoll, fd, once);
	return fd;
}

static void serve_accept(int epoll, int listener, bool once)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(epoll, fd, once);
	}
}

static void serve_answer(int fd, bool once)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n == 1 && byte != 'q')
		n = send(fd, &byte, 1, MSG_NOSIGNAL);
	if (n != 1 || once || byte == 'q')
		close(fd);
}

static void __attribute__((noreturn))
serve(const char *addr, const char *port)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), listener[2], i, n, fd;
	struct epoll_event ev[EVENTS];

	listener[0] = listen_on(epoll, address(addr, port, 0), false);
	listener[1] = listen_on(epoll, address(addr, port, 1), true);
	puts("ready");
	fflush(stdout);

	for (;;) {
		n = epoll_wait(epoll, ev, EVENTS, -1);
		for (i = 0; i < n; i++) {
			fd = (int)(ev[i].data.u64 / 2);
			if (fd == listener[0] || fd == listener[1])
				serve_accept(epoll, fd, fd == listener[1]);
			else
				serve_answer(fd, ev[i].data.u64 & 1);
		}
	}
}

/*
 * The commands 'rr' and 'crr': requests one by one.
 */

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/**
 * report() - Print a distribution of latencies
 * @ns:		latencies; this function sorts them
 * @n:		number of latencies
 * @total:	duration of all requests, ns
 */
static void report(uint32_t *ns, size_t n, uint64_t total)
{
	qsort(ns, n, sizeof(*ns), compare);
	printf("{\"count\": %zu, \"seconds\": %.6f, \"p50\": %.3f, "
	       "\"p90\": %.3f, \"p99\": %.3f, \"max\": %.3f}\n", n,
	       (double)total / 1e9, ns[n / 2] / 1e3, ns[n * 9 / 10] / 1e3,
	       ns[n * 99 / 100] / 1e3, ns[n - 1] / 1e3);
}

static int connect_to(const struct sockaddr_in6 *sa)
{
	int fd = tcp_socket(0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)sa, sizeof(*sa)))
		die("connect");
	return fd;
}

static void ask(int fd)
{
	char byte = 'x';

	if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
		die("send");
	if (recv(fd, &byte, 1, 0) != 1)
		die("recv");
}

/* connect_ask() - Open a connection, send one request, wait for EOF */
static void connect_ask(const struct sockaddr_in6 *sa)
{
	int fd = connect_to(sa);
	char byte;

	ask(fd);
	if (recv(fd, &byte, 1, 0))
		die("the server did not close");
	close(fd);
}

/**
 * repeat() - Send requests one by one, and print their latencies
 * @sa:		server
 * @ms:		duration
 * @fd:		connection for all requests, -1: open one for each
 */
static int repeat(const struct sockaddr_in6 *sa, const char *ms, int fd)
{
	uint64_t start = now_ns(), t = start, end, next;
	uint32_t *ns = malloc(SAMPLES * sizeof(*ns));
	size_t n;

	if (!ns)
		die("memory");
	end = start + (uint64_t)atoi(ms) * 1000000;
	for (n = 0; n < SAMPLES && t < end; t = next) {
		if (fd < 0)
			connect_ask(sa);
		else
			ask(fd);
		next = now_ns();
		ns[n++] = (uint32_t)(next - t);
	}
	report(ns, n, t - start);
	return 0;
}

/*
 * The command 'hold': many connections at the same time.
 */

/**
 * struct held - Connections of 'hold', which all exist at the same time
 * @fd:		descriptor of each, -1: closed
 * @n:		number of connections
 * @epoll:	epoll descriptor with all connections
 */
struct held {
	int *fd;
	unsigned int n;
	int epoll;
};

static void held_event(const struct held *h, unsigned int i, uint32_t events,
		       int op)
{
	struct epoll_event ev = { .events = events, .data.u32 = i };

	if (epoll_ctl(h->epoll, op, h->fd[i], &ev))
		die("epoll_ctl");
}

static void held_open(struct held *h, unsigned int i,
		      const struct sockaddr_in6 *sa)
{
	h->fd[i] = tcp_socket(SOCK_NONBLOCK);
	if (h->fd[i] < 0 ||
	    (connect(h->fd[i], (const struct sockaddr *)sa, sizeof(*sa)) &&
	     errno != EINPROGRESS))
		die("connect");
	held_event(h, i, EPOLLOUT, EPOLL_CTL_ADD);
}

static void held_fail(struct held *h, unsigned int i)
{
	close(h->fd[i]);
	h->fd[i] = -1;
}

static bool held_opened(struct held *h, unsigned int i)
{
	socklen_t len = sizeof(int);
	int error = 0;

	getsockopt(h->fd[i], SOL_SOCKET, SO_ERROR, &error, &len);
	if (error)
		held_fail(h, i);
	else
		held_event(h, i, EPOLLIN, EPOLL_CTL_MOD);
	return !error;
}

static bool held_answered(struct held *h, unsigned int i)
{
	char byte;

	if (recv(h->fd[i], &byte, 1, 0) == 1)
		return true;
	held_fail(h, i);
	return false;
}

/* start_*() - Begin an operation on a connection; false: the connection is
 * closed, or send() failed */

static bool start_open(struct held *h, unsigned int i,
		       const struct sockaddr_in6 *sa)
{
	held_open(h, i, sa);
	return true;
}

static bool start_echo(struct held *h, unsigned int i,
		       const struct sockaddr_in6 *sa)
{
	return h->fd[i] >= 0 && send(h->fd[i], "x", 1, MSG_NOSIGNAL) == 1;
}

static bool start_close(struct held *h, unsigned int i,
			const struct sockaddr_in6 *sa)
{
	return h->fd[i] >= 0 && send(h->fd[i], "q", 1, MSG_NOSIGNAL) == 1;
}

/**
 * held_all() - Do an operation on every connection, on at most AHEAD
 *		connections at the same time
 * @h:		connections
 * @what:	name of the operation, for the report
 * @start:	begins the operation
 * @done:	is called when epoll reports a connection; returns true if the
 *		operation succeeded
 * @sa:		argument for @start
 *
 * The duration in the report ends at the last event, because some operations
 * may never end.
 */
static void held_all(struct held *h, const char *what,
		     bool (*start)(struct held *, unsigned int,
				   const struct sockaddr_in6 *),
		     bool (*done)(struct held *, unsigned int),
		     const struct sockaddr_in6 *sa)
{
	unsigned int next = 0, waiting = 0, well = 0;
	struct epoll_event ev[EVENTS];
	uint64_t begin = now_ns(), last = begin;
	int i, n = 1;

	while (n > 0 && (next < h->n || waiting)) {
		for (; next < h->n && waiting < AHEAD; next++)
			waiting += start(h, next, sa);
		n = waiting ? epoll_wait(h->epoll, ev, EVENTS, PATIENCE) : 1;
		for (i = 0; waiting && i < n; i++, waiting--)
			well += done(h, ev[i].data.u32);
		if (n > 0)
			last = now_ns();
	}
	printf("{\"what\": \"%s\", \"well\": %u, \"seconds\": %.6f}\n", what,
	       well, (double)(last - begin) / 1e9);
	fflush(stdout);
}

/* held_closed() - Check that the server has closed a connection; close it */
static bool held_closed(struct held *h, unsigned int i)
{
	char byte;
	bool well = recv(h->fd[i], &byte, 1, 0) == 0;

	held_fail(h, i);
	return well;
}

static int hold(const struct sockaddr_in6 *sa, const char *count)
{
	struct held h = {
		.n = (unsigned int)atoi(count),
		.epoll = epoll_create1(EPOLL_CLOEXEC),
	};
	char line[16];

	h.fd = calloc(h.n, sizeof(*h.fd));
	if (!h.fd)
		die("memory");
	held_all(&h, "open", start_open, held_opened, sa);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "echo\n"))
			held_all(&h, "echo", start_echo, held_answered, sa);
		else if (!strcmp(line, "close\n"))
			held_all(&h, "close", start_close, held_closed, sa);
	}
	return 0;
}

/* descriptors_raise() - Raise the limit of descriptors as far as allowed */
static void descriptors_raise(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 3 ? argv[1] : "";
	struct sockaddr_in6 sa;

	descriptors_raise();
	if (argc == 4 && !strcmp(mode, "serve"))
		serve(argv[2], argv[3]);
	if (argc == 5) {
		sa = address(argv[2], argv[3], !strcmp(mode, "crr"));
		if (!strcmp(mode, "rr"))
			return repeat(&sa, argv[4], connect_to(&sa));
		if (!strcmp(mode, "crr"))
			return repeat(&sa, argv[4], -1);
		if (!strcmp(mode, "hold"))
			return hold(&sa, argv[4]);
	}
	fputs("usage: rr {serve ADDR PORT | {rr|crr} ADDR PORT MS | "
	      "hold ADDR PORT N}\n", stderr);
	return 1;
}
