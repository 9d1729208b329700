/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * emulate.c - Emulates a link of the real world between two taps in network
 * namespaces, as netem does, which the kernels of our test machines may lack.
 * Frames are lost, delayed and reordered. They leave at a limited rate, from
 * a queue that drops frames when it is full. Both directions are alike. The
 * same seed and the same frames give the same losses.
 *
 *	tap A -> loss -> queue, rate -> delay -> tap B, and the reverse
 *
 * A frame that shall come out of order is delayed for longer, so that later
 * frames overtake it. Such frames wait in a second ring. In each of the two
 * rings, frames are in the order in which they will arrive.
 * The taps carry GSO frames. This program cuts them into single frames, which
 * are lost or delayed separately, and joins those that arrive together, as
 * network cards do. Without GSO frames, a slow machine moves only 150,000
 * frames per second, less than 2 Gbit/s.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "checksum.h"
#include "test/net/fault.h"
#include "test/net/offload.h"
#include "test/net/tapdev.h"
#include "util.h"

#define RING		(64UL * 1024 * 1024)	/* bytes of each ring: frames of
						 * 50 ms at 10 Gbit/s */
#define BATCH		16		/* most reads from one tap in a row */
#define CUT_MAX		1024		/* most frames, of 64 bytes, that one
					 * GSO frame is cut into */
#define USEC		1000ULL		/* ns */
#define NSEC		1000000000ULL	/* in a second */
#define NEVER		UINT64_MAX
#define COALESCE	(50 * USEC)	/* sleep at least for so long, as a
					 * network card delays interrupts:
					 * with a wake-up for each frame, 1
					 * Gbit/s would keep a CPU busy */

/**
 * struct slot - A frame that waits
 * @due:	time at which it shall arrive, ns
 * @len:	bytes
 * @frame:	the frame
 */
struct slot {
	uint64_t due;
	size_t len;
	uint8_t frame[];
};

/**
 * struct ring - Frames in the order of arrival
 * @slots:	memory for @size slots of @step bytes
 * @step:	bytes of a slot
 * @size:	number of slots
 * @head, @tail: number of frames taken out and put in since the start
 */
struct ring {
	uint8_t *slots;
	size_t step, size, head, tail;
};

/**
 * struct way - One direction
 * @from:	tap from which frames are read
 * @join:	frames that are being joined and written to the other tap
 * @line:	frames that wait to arrive in the normal order
 * @late:	frames that wait to arrive later, because of FAULT_SWAP
 * @faults:	which frames are lost (FAULT_DROP) or late (FAULT_SWAP)
 * @free_at:	time at which the last frame leaves the queue, ns
 * @passed:	number of frames that arrived
 * @overflow:	number of frames dropped because the queue was full
 */
struct way {
	int from;
	struct join join;
	struct ring line, late;
	struct faults faults;
	uint64_t free_at, passed, overflow;
};

/**
 * struct link - State of the program
 * @way:	A to B, B to A
 * @frame_max:	longest frame, bytes
 * @super:	the GSO frame that was read, before it is cut
 * @delay:	delay of every frame, ns
 * @lag:	additional delay of late frames, ns
 * @rate:	bit/s, 0: no limit
 * @queue:	bytes that may wait to be sent at @rate
 */
struct link {
	struct way way[2];
	size_t frame_max;
	uint8_t super[SUPER_MAX];
	uint64_t delay, lag, rate, queue;
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = 1;
}

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "emulate: %s\n", what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec;
}

/*
 * Rings.
 */

static void ring_init(struct ring *r, size_t frame_max)
{
	r->step = (sizeof(struct slot) + frame_max + 63) & ~(size_t)63;
	r->size = RING / r->step;
	r->slots = malloc(r->size * r->step);
	if (!r->slots)
		die("memory");
}

static struct slot *ring_slot(const struct ring *r, size_t i)
{
	return (struct slot *)(r->slots + i % r->size * r->step);
}

/* ring_full() - Whether the frames of one read from a tap might not fit */
static bool ring_full(const struct ring *r)
{
	return r->tail - r->head > r->size - CUT_MAX;
}

/* ring_first() - Return the frame that arrives next, NULL: none */
static struct slot *ring_first(const struct ring *r)
{
	return r->head == r->tail ? NULL : ring_slot(r, r->head);
}

static uint64_t ring_due(const struct ring *r)
{
	const struct slot *s = ring_first(r);

	return s ? s->due : NEVER;
}

/*
 * One direction.
 */

/**
 * way_leaves() - Put a frame in the queue; calculate when it leaves the queue
 * @l:		link
 * @w:		direction
 * @len:	bytes of the frame
 * @now:	ns
 *
 * Return: time in ns; NEVER if the queue is full, so that the frame is dropped
 */
static uint64_t way_leaves(const struct link *l, struct way *w, size_t len,
			   uint64_t now)
{
	uint64_t wait = w->free_at > now ? w->free_at - now : 0;

	if (!l->rate)
		return now;
	if (wait / 8 * l->rate / NSEC + len > l->queue) {
		w->overflow++;
		return NEVER;
	}
	w->free_at = now + wait + len * 8 * NSEC / l->rate;
	return w->free_at;
}

/**
 * way_enter() - Drop, queue or delay the frame in the memory from way_put()
 * @l:		link
 * @w:		direction
 * @len:	bytes of the frame
 * @now:	ns
 */
static void way_enter(const struct link *l, struct way *w, size_t len,
		      uint64_t now)
{
	struct slot *s = ring_slot(&w->line, w->line.tail), *late;
	enum fault fault = fault_draw(&w->faults);

	if (fault == FAULT_DROP)
		return;
	s->due = way_leaves(l, w, len, now);
	if (s->due == NEVER)
		return;
	s->due += l->delay;
	s->len = len;
	if (fault != FAULT_SWAP || ring_full(&w->late)) {
		w->line.tail++;
		return;
	}
	late = ring_slot(&w->late, w->late.tail++);
	memcpy(late, s, sizeof(*s) + len);
	late->due += l->lag;
}

/* way_put() - Return the memory for the next frame; way_enter() then handles
 * it */
static uint8_t *way_put(const struct way *w)
{
	return ring_slot(&w->line, w->line.tail)->frame;
}

/* way_read_one() - Read and cut one frame from the tap; false: there is none */
static bool way_read_one(struct link *l, struct way *w, uint64_t now)
{
	struct virtio_net_hdr_v1 vnet;
	struct iovec iov[2] = {
		{ &vnet, sizeof(vnet) }, { l->super, sizeof(l->super) },
	};
	ssize_t n = readv(w->from, iov, 2);
	size_t len = (size_t)n - sizeof(vnet), done = 0, flen;

	if (n <= (ssize_t)sizeof(vnet))
		return false;
	if (vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		while (cut_next(&vnet, l->super, len, &done, way_put(w),
				&flen))
			way_enter(l, w, flen, now);
	} else if (len <= l->frame_max) {
		memcpy(way_put(w), l->super, len);
		csum_finish(&vnet, way_put(w), len);
		way_enter(l, w, len, now);
	}
	return true;
}

/* way_read() - Read up to BATCH times; returns whether there may be more */
static bool way_read(struct link *l, struct way *w)
{
	uint64_t now = now_ns();
	int i;

	for (i = 0; i < BATCH && !ring_full(&w->line); i++)
		if (!way_read_one(l, w, now))
			return false;
	return i == BATCH;
}

static void ring_deliver(struct way *w, struct ring *r)
{
	static const struct virtio_net_hdr_v1 complete;
	struct slot *s = ring_slot(r, r->head++);

	join_frame(&w->join, &complete, s->frame, s->len);
	w->passed++;
}

/* way_write() - Deliver the frames that are due at @now, ns */
static void way_write(struct way *w, uint64_t now)
{
	uint64_t line, late;

	for (;;) {
		line = ring_due(&w->line);
		late = ring_due(&w->late);
		if (MIN(line, late) > now)
			break;
		ring_deliver(w, line <= late ? &w->line : &w->late);
	}
	join_flush(&w->join);
}

static uint64_t way_due(const struct way *w)
{
	return MIN(ring_due(&w->line), ring_due(&w->late));
}

/*
 * The loop.
 */

/**
 * link_wait() - Wait until a tap has a frame, or a frame is due
 * @l:		link
 * @open:	signal mask while waiting
 *
 * A tap is not read while the ring of its direction is full; then frames are
 * lost in the tap's own queue.
 */
static void link_wait(const struct link *l, const sigset_t *open)
{
	uint64_t due = MIN(way_due(&l->way[0]), way_due(&l->way[1]));
	uint64_t now = now_ns(), left = due > now ? due - now : 0;
	struct timespec ts;
	struct pollfd fds[2];
	int i;

	left = MAX(left, COALESCE);
	ts = (struct timespec){ (time_t)(left / NSEC), (long)(left % NSEC) };
	for (i = 0; i < 2; i++)
		fds[i] = (struct pollfd){
			ring_full(&l->way[i].line) ? -1 : l->way[i].from,
			POLLIN, 0,
		};
	if (ppoll(fds, 2, due == NEVER ? NULL : &ts, open) < 0 &&
	    errno != EINTR)
		die("poll");
}

static void link_run(struct link *l)
{
	sigset_t block, open;
	bool more;

	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, &open);

	while (!stopped) {
		more = way_read(l, &l->way[0]);
		more |= way_read(l, &l->way[1]);
		way_write(&l->way[0], now_ns());
		way_write(&l->way[1], now_ns());
		if (!more)
			link_wait(l, &open);
	}
}

static void way_print(const char *name, const struct way *w)
{
	fprintf(stderr, "%s: %llu passed, %llu lost, %llu late, "
		"%llu overflowed\n", name, (unsigned long long)w->passed,
		(unsigned long long)w->faults.count[FAULT_DROP],
		(unsigned long long)w->faults.count[FAULT_SWAP],
		(unsigned long long)w->overflow);
}

/*
 * The command line.
 */

enum { OPT_TAP_A = 256, OPT_TAP_B, OPT_NETNS_A, OPT_NETNS_B, OPT_MTU,
       OPT_DELAY, OPT_LOSS, OPT_REORDER, OPT_LAG, OPT_RATE, OPT_QUEUE,
       OPT_SEED };

static const struct option options[] = {
	{ "tap-a",		required_argument,	NULL, OPT_TAP_A },
	{ "tap-b",		required_argument,	NULL, OPT_TAP_B },
	{ "netns-a",		required_argument,	NULL, OPT_NETNS_A },
	{ "netns-b",		required_argument,	NULL, OPT_NETNS_B },
	{ "mtu",		required_argument,	NULL, OPT_MTU },
	{ "delay-us",		required_argument,	NULL, OPT_DELAY },
	{ "loss-ppm",		required_argument,	NULL, OPT_LOSS },
	{ "reorder-ppm",	required_argument,	NULL, OPT_REORDER },
	{ "reorder-us",		required_argument,	NULL, OPT_LAG },
	{ "rate-bps",		required_argument,	NULL, OPT_RATE },
	{ "queue-bytes",	required_argument,	NULL, OPT_QUEUE },
	{ "seed",		required_argument,	NULL, OPT_SEED },
	{ 0 },
};

static void __attribute__((noreturn)) usage(void)
{
	fputs("usage: emulate --tap-a NAME --tap-b NAME [--netns-a PATH]\n"
	      "    [--netns-b PATH] [--mtu N] [--delay-us N] [--loss-ppm N]\n"
	      "    [--reorder-ppm N] [--reorder-us N] [--rate-bps N]\n"
	      "    [--queue-bytes N] [--seed N]\n", stderr);
	exit(1);
}

static uint64_t number(const char *arg, uint64_t min, uint64_t max)
{
	uint64_t n;

	if (!number_parse(arg, min, max, &n))
		usage();
	return n;
}

/**
 * option() - Store the value of an option
 * @l:		link; faults of both directions are stored in its first
 *		direction
 * @tap:	the two taps
 * @opt:	number of the option
 * @arg:	its argument
 */
static void option(struct link *l, struct tapdev *tap, int opt,
		   const char *arg)
{
	struct faults *f = &l->way[0].faults;

	if (opt == OPT_TAP_A || opt == OPT_TAP_B)
		tap[opt - OPT_TAP_A].name = arg;
	else if (opt == OPT_NETNS_A || opt == OPT_NETNS_B)
		tap[opt - OPT_NETNS_A].netns = arg;
	else if (opt == OPT_MTU)
		tap[0].mtu = tap[1].mtu = (int)number(arg, 68, 65521);
	else if (opt == OPT_DELAY)
		l->delay = number(arg, 0, 60000000) * USEC;
	else if (opt == OPT_LOSS)
		f->ppm[FAULT_DROP] = (uint32_t)number(arg, 0, PPM);
	else if (opt == OPT_REORDER)
		f->ppm[FAULT_SWAP] = (uint32_t)number(arg, 0, PPM);
	else if (opt == OPT_LAG)
		l->lag = number(arg, 0, 60000000) * USEC;
	else if (opt == OPT_RATE)
		l->rate = number(arg, 8000, 100000000000);
	else if (opt == OPT_QUEUE)
		l->queue = number(arg, 1514, RING);
	else if (opt == OPT_SEED)
		f->rng = number(arg, 1, UINT32_MAX);
	else
		usage();
}

static void link_open(struct link *l, const struct tapdev *tap)
{
	struct way *a = &l->way[0], *b = &l->way[1];
	int i;

	a->from = b->join.tap = tapdev_open(&tap[0]);
	b->from = a->join.tap = tapdev_open(&tap[1]);
	a->faults.any = true;
	b->faults = a->faults;
	b->faults.rng = ~a->faults.rng;

	l->frame_max = (size_t)tap[0].mtu + 18;	/* Ethernet and a VLAN tag */
	for (i = 0; i < 2; i++) {
		ring_init(&l->way[i].line, l->frame_max);
		ring_init(&l->way[i].late, l->frame_max);
	}
}

int main(int argc, char **argv)
{
	static struct link l = {
		.way[0].faults.rng = 1, .lag = USEC * 1000,
		.queue = 1024 * 1024,
	};
	struct tapdev tap[2] = {
		{ .mtu = 1500, .offload = true },
		{ .mtu = 1500, .offload = true },
	};
	struct sigaction sa = { .sa_handler = on_signal };
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		option(&l, tap, opt, optarg);
	if (optind < argc || !tap[0].name || !tap[1].name)
		usage();

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	prctl(PR_SET_TIMERSLACK, 1);
	csum_init();
	link_open(&l, tap);
	puts("ready");
	fflush(stdout);

	link_run(&l);
	way_print("A to B", &l.way[0]);
	way_print("B to A", &l.way[1]);
	return 0;
}
