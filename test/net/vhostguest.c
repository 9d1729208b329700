/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * vhostguest.c - A guest behind vhost-user: the kernel of a namespace, whose
 * tap is connected to a front-end's virtqueues.
 * Called by standin.c; calls vhostfront.c, vhostpair.c, tapdev.c and the
 * kernel.
 *
 * Like a driver in the kernel, it asks the back-end for a notification (a
 * "call") only before it sleeps, when it has found nothing more to do.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "test/net/fail.h"
#include "test/net/vhostguest.h"
#include "test/net/vhostpair.h"
#include "util.h"

#define RETRY		100		/* ms between attempts to connect */

/**
 * struct guest - State of the program
 * @conf:	options
 * @front:	the front-end in @conf
 * @pairs:	pairs of queues
 * @poll:	epoll descriptor
 * @signals:	signalfd
 * @carrier:	the taps have carrier
 * @stopped:	a signal asked for the end, or the back-end went away
 */
struct guest {
	struct vhost_guest *conf;
	struct front *front;
	struct pair pairs[FRONT_PAIRS];
	int poll, signals;
	bool carrier, stopped;
};

/*
 * Where an event comes from: the lower half of its epoll data. The upper half
 * is the number of the pair (FROM_TAP) or of the queue (FROM_CALL).
 */
enum source { FROM_SOCKET, FROM_REQUESTS, FROM_ERRORS, FROM_SIGNALS, FROM_TAP,
	      FROM_CALL };

/*
 * The connection to the back-end.
 */

static void poll_add(struct guest *g, int fd, uint32_t events,
		     enum source source, unsigned int number)
{
	struct epoll_event e = {
		.events = events, .data.u64 = (uint64_t)number << 32 | source,
	};

	if (epoll_ctl(g->poll, EPOLL_CTL_ADD, fd, &e))
		fail("epoll: %s", strerror(errno));
}

static void set_carrier(struct guest *g, bool on)
{
	unsigned int i;

	for (i = 0; i < g->front->pairs && g->carrier != on; i++)
		tapdev_carrier(g->pairs[i].tap, on);
	g->carrier = on;
}

/* link_up() - Connect, and start the rings; false: there is no back-end */
static bool link_up(struct guest *g)
{
	struct front *f = g->front;
	uint64_t before = f->features;
	bool again = f->starts;
	unsigned int i;

	if (!front_connect(f))
		return false;
	if (again && f->features != before)
		fail("features 0x%llx, and 0x%llx before",
		     (unsigned long long)f->features,
		     (unsigned long long)before);
	for (i = 0; i < f->pairs && !again; i++)
		pair_settle(&g->pairs[i], i);
	if (!front_start(f, again)) {
		front_lost(f);
		return false;
	}
	for (i = 0; i < f->pairs && !again; i++)
		pair_begin(&g->pairs[i]);
	poll_add(g, f->sock, EPOLLIN | EPOLLRDHUP, FROM_SOCKET, 0);
	if (f->requests >= 0)
		poll_add(g, f->requests, EPOLLIN | EPOLLET, FROM_REQUESTS, 0);
	for (i = 0; i < 2 * f->pairs && !again; i++)
		poll_add(g, f->queues[i].call, EPOLLIN | EPOLLET, FROM_CALL,
			 i);
	set_carrier(g, true);
	return true;
}

static void link_lost(struct guest *g)
{
	front_lost(g->front);
	if (g->conf->reconnect)
		set_carrier(g, false);
	else
		g->stopped = true;
}

/*
 * Counts.
 */

/* side_counts() - Print the counts of one direction as a JSON object */
static void side_counts(const char *name, struct side *s)
{
	uint64_t calls;

	if (s->q->call >= 0 &&
	    read(s->q->call, &calls, sizeof(calls)) == sizeof(calls))
		s->calls += calls;
	fprintf(stderr, "\"%s\": {\"frames\": %llu, \"bytes\": %llu, "
		"\"buffers\": %llu, \"kicks\": %llu, \"calls\": %llu, "
		"\"dropped\": %llu}, ", name, (unsigned long long)s->frames,
		(unsigned long long)s->bytes, (unsigned long long)s->buffers,
		(unsigned long long)s->q->kicks, (unsigned long long)s->calls,
		(unsigned long long)s->faults->count[FAULT_DROP]);
}

/* print_counts() - Print one line of counts for each pair */
static void print_counts(struct guest *g)
{
	unsigned int i;
	struct pair *p;

	for (i = 0; i < g->front->pairs; i++) {
		p = &g->pairs[i];
		fprintf(stderr, "{\"pair\": %u, ", i);
		side_counts("out", &p->out);
		side_counts("in", &p->in);
		fprintf(stderr, "\"joined\": %llu, \"refused\": %llu, "
			"\"starts\": %u, \"features\": \"0x%llx\"}\n",
			(unsigned long long)p->join.joined,
			(unsigned long long)p->refused, g->front->starts,
			(unsigned long long)g->front->features);
	}
}

/*
 * The loop.
 */

/* guest_rests() - Move frames of all pairs; true: wait for an event now */
static bool guest_rests(struct guest *g)
{
	bool rests = true;
	unsigned int i;

	if (!g->front->running)
		return true;
	for (i = 0; i < g->front->pairs; i++)
		rests &= !pair_moves(&g->pairs[i]);
	for (i = 0; i < g->front->pairs && rests; i++)
		rests = pair_sleeps(&g->pairs[i]);
	return rests;
}

static void on_signal(struct guest *g)
{
	struct signalfd_siginfo info;
	bool alive = true;
	unsigned int i;

	if (read(g->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1) {
		print_counts(g);
	} else if (info.ssi_signo == SIGHUP && g->front->running) {
		alive = front_reset(g->front);
		for (i = 0; i < g->front->pairs && alive; i++)
			pair_begin(&g->pairs[i]);
	} else if (info.ssi_signo == SIGUSR2 && g->front->running) {
		alive = front_stop(g->front) && front_start(g->front, true);
	} else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
		g->stopped = true;
		alive = !g->front->running || front_stop(g->front);
	}
	if (!alive)
		link_lost(g);
}

/* on_socket() - Handle an event of the back-end's socket: as no answer is
 * pending, it must be EOF */
static void on_socket(struct guest *g)
{
	char c;

	if (g->front->sock < 0)
		return;
	if (recv(g->front->sock, &c, 1, MSG_DONTWAIT | MSG_PEEK) > 0)
		fail("the back-end sent a message that is no answer");
	link_lost(g);
}

static void on_event(struct guest *g, const struct epoll_event *e)
{
	enum source source = (uint32_t)e->data.u64;
	unsigned int number = (unsigned int)(e->data.u64 >> 32);

	switch (source) {
	case FROM_SOCKET:
		on_socket(g);
		break;
	case FROM_REQUESTS:
		if (!(e->events & EPOLLHUP))
			fail("a request of the back-end");
		break;
	case FROM_ERRORS:
		fail("the back-end reports an error of a ring");
	case FROM_SIGNALS:
		on_signal(g);
		break;
	case FROM_TAP:
		g->pairs[number].readable = true;
		break;
	case FROM_CALL:
		break;
	}
}

static void guest_loop(struct guest *g)
{
	struct epoll_event events[16];
	unsigned int i;
	int n, timeout;

	while (!g->stopped) {
		if (g->front->sock < 0)
			link_up(g);
		timeout = guest_rests(g) ? -1 : 0;
		if (g->front->sock < 0)
			timeout = RETRY;
		n = epoll_wait(g->poll, events, ARRAY_SIZE(events), timeout);
		for (i = 0; i < g->front->pairs && timeout < 0; i++)
			pair_wakes(&g->pairs[i]);
		for (i = 0; (int)i < n && !g->stopped; i++)
			on_event(g, &events[i]);
	}
}

static void signals_block(struct guest *g)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	g->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	poll_add(g, g->signals, EPOLLIN, FROM_SIGNALS, 0);
}

static void pairs_open(struct guest *g)
{
	unsigned int i;

	for (i = 0; i < g->front->pairs; i++) {
		pair_open(&g->pairs[i], g->conf, i);
		poll_add(g, g->pairs[i].tap, EPOLLIN | EPOLLET, FROM_TAP, i);
	}
	g->carrier = true;
}

/**
 * vhost_guest() - Be a guest behind vhost-user until a signal ends it
 * @conf:	options
 *
 * Prints "ready" when the rings have started. At the end and on SIGUSR1 it
 * prints counts to stderr, a line of JSON for each pair of queues. On SIGUSR2
 * it stops and starts the rings, as qemu does when a guest is paused; on SIGHUP
 * it resets the device.
 *
 * Return: exit status
 */
int vhost_guest(struct vhost_guest *conf)
{
	static struct guest g;

	g.conf = conf;
	g.front = &conf->front;
	g.poll = epoll_create1(EPOLL_CLOEXEC);
	if (g.poll < 0)
		fail("epoll: %s", strerror(errno));
	pairs_memory(conf);
	front_memory(&conf->front);
	signals_block(&g);
	pairs_open(&g);
	poll_add(&g, conf->front.errors, EPOLLIN, FROM_ERRORS, 0);

	while (!link_up(&g)) {
		if (!conf->reconnect)
			fail("%s: no back-end", conf->front.path);
		usleep(RETRY * 1000);
	}
	puts("ready");
	fflush(stdout);
	guest_loop(&g);
	print_counts(&g);
	return 0;
}
