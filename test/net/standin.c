/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * standin.c - Stands in for a virtual machine: makes a tap device in a network
 * namespace, connects to passt's UNIX socket, and relays frames both ways as
 * qemu does, each after its length (4 bytes, big-endian). The guest's TCP/IP
 * stack is the one of the namespace.
 * A program of the tests; calls offload.c, tapdev.c, vhostguest.c, checksum.c
 * and the kernel.
 *
 * A benchmark shall measure passt, not this program, so it is fast: one thread,
 * which sends all frames that the tap had with one system call, and also
 * receives many frames with one system call. With --offload the tap carries GSO
 * frames, which cost the namespace's kernel much less than single frames; this
 * program cuts and joins them. With --vhost-user, frames go through shared
 * memory instead of the socket: see vhostguest.c.
 *
 *	out: from the guest to passt		in: from passt to the guest
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "checksum.h"
#include "test/net/fail.h"
#include "test/net/fault.h"
#include "test/net/offload.h"
#include "test/net/tapdev.h"
#include "test/net/vhostguest.h"
#include "util.h"

#define PREFIX		4
#define FRAME_MAX	65535
#define BATCH		(512 * 1024)	/* bytes sent by one call: they fit in
					 * the L2 cache */
#define BUFFER		(2 * BATCH)	/* so that the last GSO frame fits,
					 * even if each of its frames is
					 * duplicated */
#define TAKEN		(128 * 1024)	/* bytes per recv(); qemu: 68 KiB */
#define SOCKET_BUFFER	(4 * 1024 * 1024)
#define RETRY		100		/* ms between attempts to connect */

/**
 * struct way - One direction
 * @buf:	frames, each after its length
 * @done, @have: bytes [@done, @have) of @buf wait to be sent, or to be parsed
 * @held:	length of a frame, and then the frame itself, which waits until
 *		the next frame has overtaken it
 * @holding:	@held has a frame
 * @faults:	faults that frames of this direction meet
 * @frames, @bytes: number of frames and bytes that went through
 */
struct way {
	uint8_t *buf;
	size_t done, have;
	uint8_t held[PREFIX + FRAME_MAX];
	bool holding;
	struct faults faults;
	uint64_t frames, bytes;
};

/**
 * struct standin - Options and state of the program
 * @path:	path of passt's socket, NULL: @sock was inherited
 * @netns:	path of the tap's namespace, NULL: the current one
 * @name:	name of the tap
 * @mac:	MAC address of the tap
 * @mtu:	MTU of the tap
 * @offload:	frames on the tap have a virtio-net header
 * @reconnect:	connect again when passt closes the connection
 * @tap, @sock:	descriptors, -1: none
 * @super:	one GSO frame from the tap, before it is cut
 * @out, @in:	the two directions
 * @join:	the GSO frame for the tap that is being made
 * @cut:	number of frames that were cut off GSO frames
 * @vhost:	speak vhost-user, with the options in @guest
 */
struct standin {
	const char *path, *netns, *name;
	uint8_t mac[MAC_LEN];
	int mtu;
	bool offload, reconnect;
	int tap, sock;
	uint8_t super[SUPER_MAX];
	struct way out, in;
	struct join join;
	uint64_t cut;
	bool vhost;
	struct vhost_guest guest;
};

static volatile sig_atomic_t told, stopped;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		told = 1;
	else
		stopped = 1;
}

static void print_way(const char *name, const struct way *w)
{
	fprintf(stderr, "%s: %llu frames, %llu bytes; %llu dropped, "
		"%llu doubled, %llu swapped, %llu corrupted\n", name,
		(unsigned long long)w->frames, (unsigned long long)w->bytes,
		(unsigned long long)w->faults.count[FAULT_DROP],
		(unsigned long long)w->faults.count[FAULT_DUP],
		(unsigned long long)w->faults.count[FAULT_SWAP],
		(unsigned long long)w->faults.count[FAULT_CORRUPT]);
}

static void print_counts(const struct standin *s)
{
	print_way("out", &s->out);
	print_way("in", &s->in);
	if (s->offload)
		fprintf(stderr, "offload: %llu cut, %llu joined\n",
			(unsigned long long)s->cut,
			(unsigned long long)s->join.joined);
}

static void tap_open(struct standin *s)
{
	struct tapdev dev = {
		.netns = s->netns, .name = s->name, .mac = s->mac,
		.mtu = s->mtu, .offload = s->offload,
	};

	s->tap = tapdev_open(&dev);
	s->join.tap = s->tap;
}

/*
 * The socket.
 */

static void sock_prepare(const struct standin *s)
{
	int size = SOCKET_BUFFER;

	setsockopt(s->sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	fcntl(s->sock, F_SETFL, O_NONBLOCK);
}

static bool sock_connect(struct standin *s)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(s->path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	strcpy(sa.sun_path, s->path);
	s->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->sock < 0 ||
	    connect(s->sock, (struct sockaddr *)&sa, sizeof(sa))) {
		close(s->sock);
		s->sock = -1;
		return false;
	}
	sock_prepare(s);
	return true;
}

/* sock_lost() - Close the socket, and drop the frames that wait in both
 * directions */
static void sock_lost(struct standin *s)
{
	close(s->sock);
	s->sock = -1;
	s->out.done = s->out.have = 0;
	s->in.done = s->in.have = 0;
	s->out.holding = s->in.holding = false;
	if (!s->reconnect)
		stopped = 1;
}

/* sock_retry() - Connect as soon as passt listens, and drop what the guest sent
 * until then */
static void sock_retry(struct standin *s)
{
	while (!stopped && !sock_connect(s))
		poll(NULL, 0, RETRY);
	while (s->tap >= 0 && read(s->tap, s->super, sizeof(s->super)) > 0)
		;
}

/* copies_of() - Apply the next fault to a frame; returns how many copies of it
 * go on now */
static unsigned int copies_of(struct way *w, uint8_t *frame, size_t len)
{
	enum fault fault = fault_draw(&w->faults);

	w->frames++;
	w->bytes += len;
	if (fault == FAULT_DROP)
		return 0;
	if (fault == FAULT_SWAP && !w->holding) {
		put_be32(w->held, (uint32_t)len);
		memcpy(w->held + PREFIX, frame, len);
		w->holding = true;
		return 0;
	}
	if (fault == FAULT_CORRUPT)
		frame[fault_random(&w->faults) % len] ^= 0x10;
	return fault == FAULT_DUP ? 2 : 1;
}

/*
 * Out: from the guest to passt.
 */

/* out_put() - Copy a frame to the end of the buffer, after its length */
static void out_put(struct way *w, const uint8_t *frame, size_t len)
{
	put_be32(w->buf + w->have, (uint32_t)len);
	memcpy(w->buf + w->have + PREFIX, frame, len);
	w->have += PREFIX + len;
}

/**
 * out_commit() - Apply faults to a frame, and add what results to the buffer
 * @w:		direction. The caller has written the frame into the buffer of
 *		@w, at the offset w->have + PREFIX
 * @len:	bytes of the frame
 */
static void out_commit(struct way *w, size_t len)
{
	uint8_t *frame = w->buf + w->have + PREFIX;
	unsigned int copies = copies_of(w, frame, len);

	if (!copies)
		return;
	put_be32(w->buf + w->have, (uint32_t)len);
	w->have += PREFIX + len;
	if (copies > 1)
		out_put(w, frame, len);
	if (w->holding)
		out_put(w, w->held + PREFIX, get_be32(w->held));
	w->holding = false;
}

/* out_plain() - Read a frame from the tap to the buffer; false: none there */
static bool out_plain(struct standin *s)
{
	struct way *w = &s->out;
	ssize_t n = read(s->tap, w->buf + w->have + PREFIX, FRAME_MAX);

	if (n <= 0)
		return false;
	out_commit(w, (size_t)n);
	return true;
}

/* out_super() - Read a GSO frame from the tap, and cut it; false: none there */
static bool out_super(struct standin *s)
{
	struct way *w = &s->out;
	struct virtio_net_hdr_v1 vnet;
	struct iovec iov[2] = {
		{ &vnet, sizeof(vnet) }, { s->super, sizeof(s->super) },
	};
	ssize_t n = readv(s->tap, iov, 2);
	size_t len = (size_t)n - sizeof(vnet), done = 0, flen;

	if (n <= (ssize_t)sizeof(vnet))
		return false;

	if (vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		memcpy(w->buf + w->have + PREFIX, s->super, len);
		csum_finish(&vnet, w->buf + w->have + PREFIX, len);
		out_commit(w, len);
		return true;
	}
	while (cut_next(&vnet, s->super, len, &done,
			w->buf + w->have + PREFIX, &flen)) {
		s->cut++;
		out_commit(w, flen);
	}
	return true;
}

/* out_flush() - Send what the socket takes; false: the connection is lost */
static bool out_flush(struct standin *s)
{
	struct way *w = &s->out;
	ssize_t n;

	if (w->done == w->have)
		return true;
	n = send(s->sock, w->buf + w->done, w->have - w->done, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	w->done += (size_t)n;
	if (w->done == w->have)
		w->done = w->have = 0;
	return true;
}

/* out_move() - Move frames, up to BATCH bytes, from the tap to the socket */
static bool out_move(struct standin *s)
{
	bool (*next)(struct standin *) = s->offload ? out_super : out_plain;

	while (s->out.have < BATCH && next(s))
		;
	return out_flush(s);
}

/*
 * In: from passt to the guest.
 */

static void in_write(struct standin *s, const uint8_t *frame, size_t len)
{
	static const struct virtio_net_hdr_v1 complete;

	if (s->offload)
		join_frame(&s->join, &complete, frame, len);
	else
		(void)!write(s->tap, frame, len);
}

/**
 * in_deliver() - Apply faults to a frame, and write what results to the tap
 * @s:		program
 * @frame:	frame
 * @len:	its length
 */
static void in_deliver(struct standin *s, uint8_t *frame, size_t len)
{
	struct way *w = &s->in;
	unsigned int copies = copies_of(w, frame, len);

	if (!copies)
		return;
	for (; copies; copies--)
		in_write(s, frame, len);
	if (w->holding) {
		in_write(s, w->held + PREFIX, get_be32(w->held));
		join_flush(&s->join);
	}
	w->holding = false;
}

/* in_parse() - Deliver the complete frames in the buffer; keep a partial one */
static void in_parse(struct standin *s)
{
	struct way *w = &s->in;
	uint32_t len;

	while (w->have - w->done >= PREFIX) {
		len = get_be32(w->buf + w->done);
		if (len < ETH_HLEN || len > FRAME_MAX)
			fail("passt sent a frame of %u bytes", len);
		if (w->have - w->done < PREFIX + len)
			break;
		in_deliver(s, w->buf + w->done + PREFIX, len);
		w->done += PREFIX + len;
	}
	join_flush(&s->join);
	memmove(w->buf, w->buf + w->done, w->have - w->done);
	w->have -= w->done;
	w->done = 0;
}

/* in_move() - Move frames from the socket to the tap; false: connection lost */
static bool in_move(struct standin *s)
{
	struct way *w = &s->in;
	ssize_t n = recv(s->sock, w->buf + w->have, TAKEN, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!n)
		return false;
	w->have += (size_t)n;
	in_parse(s);
	return true;
}

/*
 * The loop.
 */

/**
 * relay_once() - Wait, then move what can be moved
 * @s:		program
 * @mask:	signal mask while waiting
 *
 * The tap is not read while the socket is full. Frames then wait in the tap's
 * queue, and are lost there, as in the queue of a guest's network card.
 *
 * Return: false if the connection is lost
 */
static bool relay_once(struct standin *s, const sigset_t *mask)
{
	bool waits = s->out.have;
	struct pollfd fds[2] = {
		{ s->sock, (short)(POLLIN | (waits ? POLLOUT : 0)), 0 },
		{ waits ? -1 : s->tap, POLLIN, 0 },
	};

	if (ppoll(fds, 2, NULL, mask) < 0)
		return errno == EINTR;
	if (fds[0].revents & POLLOUT && !out_flush(s))
		return false;
	if (fds[1].revents & POLLIN && !out_move(s))
		return false;
	if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
		return in_move(s);
	return true;
}

static void relay(struct standin *s)
{
	sigset_t block, open;

	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, &open);

	while (!stopped) {
		if (!relay_once(s, &open))
			sock_lost(s);
		if (told)
			print_counts(s);
		told = 0;
		if (s->sock < 0 && !stopped) {
			sigprocmask(SIG_SETMASK, &open, NULL);
			sock_retry(s);
			sigprocmask(SIG_BLOCK, &block, NULL);
		}
	}
}

static void signals_init(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
}

/*
 * The command line.
 */

enum { OPT_SOCKET = 256, OPT_FD, OPT_TAP, OPT_MTU, OPT_MAC, OPT_NETNS,
       OPT_OFFLOAD, OPT_RECONNECT, OPT_SEED, OPT_VHOST, OPT_WITHOUT, OPT_RING,
       OPT_PAIRS, OPT_RX_BUFFER, OPT_TX_PIECE,
       OPT_OUT, OPT_IN = OPT_OUT + FAULTS };

static const struct option options[] = {
	{ "socket",	required_argument,	NULL, OPT_SOCKET },
	{ "fd",		required_argument,	NULL, OPT_FD },
	{ "tap",	required_argument,	NULL, OPT_TAP },
	{ "mtu",	required_argument,	NULL, OPT_MTU },
	{ "mac",	required_argument,	NULL, OPT_MAC },
	{ "netns",	required_argument,	NULL, OPT_NETNS },
	{ "offload",	no_argument,		NULL, OPT_OFFLOAD },
	{ "reconnect",	no_argument,		NULL, OPT_RECONNECT },
	{ "seed",	required_argument,	NULL, OPT_SEED },
	{ "vhost-user",	no_argument,		NULL, OPT_VHOST },
	{ "without",	required_argument,	NULL, OPT_WITHOUT },
	{ "ring",	required_argument,	NULL, OPT_RING },
	{ "pairs",	required_argument,	NULL, OPT_PAIRS },
	{ "rx-buffer",	required_argument,	NULL, OPT_RX_BUFFER },
	{ "tx-piece",	required_argument,	NULL, OPT_TX_PIECE },
	{ "drop-out",	required_argument,	NULL, OPT_OUT + FAULT_DROP },
	{ "dup-out",	required_argument,	NULL, OPT_OUT + FAULT_DUP },
	{ "swap-out",	required_argument,	NULL, OPT_OUT + FAULT_SWAP },
	{ "corrupt-out", required_argument,	NULL, OPT_OUT + FAULT_CORRUPT },
	{ "drop-in",	required_argument,	NULL, OPT_IN + FAULT_DROP },
	{ "dup-in",	required_argument,	NULL, OPT_IN + FAULT_DUP },
	{ "swap-in",	required_argument,	NULL, OPT_IN + FAULT_SWAP },
	{ "corrupt-in",	required_argument,	NULL, OPT_IN + FAULT_CORRUPT },
	{ 0 },
};

static void __attribute__((noreturn)) usage(void)
{
	fputs("usage: standin {--socket PATH | --fd N} --tap NAME [--mtu N]\n"
	      "    [--mac MAC] [--netns PATH] [--offload] [--reconnect]\n"
	      "    [--seed N]\n"
	      "    [--{drop,dup,swap,corrupt}-{in,out} PPM]...\n"
	      "    [--vhost-user [--without FEATURE[,...]] [--ring N]\n"
	      "    [--pairs N] [--rx-buffer BYTES] [--tx-piece BYTES]]\n",
	      stderr);
	exit(1);
}

static uint32_t number(const char *arg, uint32_t min, uint32_t max)
{
	uint64_t n;

	if (!number_parse(arg, min, max, &n))
		fail("not a number from %u to %u: %s", min, max, arg);
	return (uint32_t)n;
}

static void fault_option(struct standin *s, int opt, const char *arg)
{
	struct faults *f = opt >= OPT_IN ? &s->in.faults : &s->out.faults;
	int fault = opt - (opt >= OPT_IN ? OPT_IN : OPT_OUT);

	f->ppm[fault] = number(arg, 0, PPM);
	f->any = true;
}

/* vhost_option() - Store the value of an option that has an effect only with
 * --vhost-user */
static void vhost_option(struct standin *s, int opt, const char *arg)
{
	struct vhost_guest *g = &s->guest;

	if (opt == OPT_VHOST)
		s->vhost = true;
	else if (opt == OPT_RING)
		g->front.size = number(arg, 2, FRONTQ_MAX);
	else if (opt == OPT_PAIRS)
		g->front.pairs = number(arg, 1, FRONT_PAIRS);
	else if (opt == OPT_RX_BUFFER)
		g->rx_buffer = number(arg, RX_BUFFER_MIN, 1 << 16);
	else if (opt == OPT_TX_PIECE)
		g->tx_piece = number(arg, TX_PIECE_MIN, 1 << 16);
	else if (!front_without(&g->front, arg))
		usage();
}

static void option(struct standin *s, int opt, const char *arg)
{
	if (opt >= OPT_OUT)
		fault_option(s, opt, arg);
	else if (opt >= OPT_VHOST)
		vhost_option(s, opt, arg);
	else if (opt == OPT_SOCKET)
		s->path = arg;
	else if (opt == OPT_FD)
		s->sock = (int)number(arg, 0, INT32_MAX);
	else if (opt == OPT_TAP)
		s->name = arg;
	else if (opt == OPT_MTU)
		s->mtu = (int)number(arg, 68, 65521);
	else if (opt == OPT_NETNS)
		s->netns = arg;
	else if (opt == OPT_OFFLOAD)
		s->offload = true;
	else if (opt == OPT_RECONNECT)
		s->reconnect = true;
	else if (opt == OPT_SEED)
		s->out.faults.rng = number(arg, 1, UINT32_MAX);
	else if (opt != OPT_MAC || !mac_parse(arg, s->mac))
		usage();
}

/* run_vhost() - Relay frames by vhost-user; returns the exit status */
static int run_vhost(struct standin *s)
{
	struct vhost_guest *g = &s->guest;

	g->dev = (struct tapdev){
		.netns = s->netns, .name = s->name, .mac = s->mac,
		.mtu = s->mtu, .offload = true, .queues = g->front.pairs > 1,
	};
	g->front.path = s->path;
	g->front.sock = s->sock;
	g->front.mtu = (unsigned int)s->mtu;
	g->reconnect = s->reconnect;
	g->out = s->out.faults;
	g->in = s->in.faults;
	return vhost_guest(g);
}

int main(int argc, char **argv)
{
	static struct standin s = {
		.mtu = 1500, .tap = -1, .sock = -1,
		.mac = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 },
		.out.faults.rng = 1,
		.guest = { .tx_piece = 32768, .front = {
			.size = 256, .pairs = 1,
		} },
	};
	int opt;

	front_defaults(&s.guest.front);
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		option(&s, opt, optarg);
	if (optind < argc || !s.path == (s.sock < 0) || !s.name ||
	    (s.reconnect && !s.path) ||
	    s.guest.front.size & (s.guest.front.size - 1))
		usage();
	s.in.faults.rng = ~s.out.faults.rng;

	csum_init();
	if (s.vhost)
		return run_vhost(&s);
	signals_init();
	s.out.buf = malloc(BUFFER);
	s.in.buf = malloc(BUFFER);
	if (!s.out.buf || !s.in.buf)
		fail("memory: %s", strerror(errno));
	if (s.sock >= 0)
		sock_prepare(&s);
	else if (s.reconnect)
		sock_retry(&s);
	else if (!sock_connect(&s))
		fail("%s: %s", s.path, strerror(errno));
	tap_open(&s);
	puts("ready");
	fflush(stdout);

	relay(&s);
	print_counts(&s);
	return 0;
}
