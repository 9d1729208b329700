/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * peer.c - The far end of a TCP connection that only sends or only receives,
 * for programs of the benchmark. Called by floor.c and ring_floor.c; calls the
 * kernel.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/bench/peer.h"
#include "util.h"

#define PAYLOAD_MAX	65481
#define PEER_BLOCK	(128 * 1024)	/* bytes per call, as in iperf3 */

void __attribute__((noreturn)) die(const char *what)
{
	perror(what);
	exit(1);
}

/* seconds() - Read a clock */
double seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* child() - Fork a child that is killed when this process ends; returns true in
 * the child */
bool child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return !pid;
}

/* drain() - Receive data until the end, and discard them */
void __attribute__((noreturn)) drain(int fd, size_t block)
{
	uint8_t *buf = malloc(block);

	while (buf && recv(fd, buf, block, 0) > 0)
		;
	_exit(0);
}

/* fill() - Send the same data again and again, until the connection fails */
void __attribute__((noreturn)) fill(int fd, const uint8_t *buf, size_t len)
{
	while (send(fd, buf, len, MSG_NOSIGNAL) == (ssize_t)len)
		;
	_exit(0);
}

/* peer_serve() - Fork a child that accepts a connection, and then sends or
 * receives until it is killed */
static void peer_serve(int listener, bool in)
{
	static uint8_t block[PEER_BLOCK];
	int fd;

	if (!child())
		return;
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		die("accept");
	if (in)
		fill(fd, block, sizeof(block));
	drain(fd, sizeof(block));
}

/* peer_listen() - Make a listening socket in @netns; sets the port in @sa */
static int peer_listen(const char *netns, struct sockaddr_in *sa)
{
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there, fd;
	socklen_t len = sizeof(*sa);

	if (netns) {
		there = open(netns, O_RDONLY | O_CLOEXEC);
		if (there < 0 || setns(there, CLONE_NEWNET))
			die(netns);
		close(there);
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)sa, len) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)sa, &len))
		die("listen");
	if (setns(here, CLONE_NEWNET) && netns)
		die("setns");
	close(here);
	return fd;
}

/**
 * peer_connect() - Open a TCP connection to a child that sends or receives
 * @a:		address, namespace and direction
 *
 * Return: connected socket
 */
int peer_connect(const struct floor_args *a)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	struct in6_addr addr;
	int listener, fd;

	if (!addr_parse(a->addr, &addr))
		die(a->addr);
	sa.sin_addr = addr_v4(&addr);
	listener = peer_listen(a->netns, &sa);
	peer_serve(listener, a->in);
	close(listener);

	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("connect");
	return fd;
}

/**
 * floor_arguments() - Parse {in|out} PAYLOAD MS [--addr ADDR] [--netns PATH]
 * @a:		filled in
 * @argc, @argv: command line
 *
 * Return: false if the command line is not valid
 */
bool floor_arguments(struct floor_args *a, int argc, char **argv)
{
	uint64_t payload, ms;
	int i;

	if (argc < 4 || (strcmp(argv[1], "in") && strcmp(argv[1], "out")) ||
	    !number_parse(argv[2], PAYLOAD_MIN, PAYLOAD_MAX, &payload) ||
	    !number_parse(argv[3], 1, 60000, &ms))
		return false;
	*a = (struct floor_args){
		!strcmp(argv[1], "in"), payload, (int)ms, "127.0.0.1", NULL,
	};
	for (i = 4; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--addr"))
			a->addr = argv[i + 1];
		else if (!strcmp(argv[i], "--netns"))
			a->netns = argv[i + 1];
	}
	return true;
}
