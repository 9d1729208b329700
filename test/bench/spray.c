/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * spray.c - Datagrams in one direction, numbered, so that what is lost shows:
 *
 *	spray serve ADDR PORT				the other end of one run
 *	spray out ADDR PORT SIZE FLOWS RATE MS HOW	to the server
 *	spray in ADDR PORT SIZE FLOWS RATE MS HOW	from the server
 *
 * RATE is datagrams a second, whatever arrives of them; 0: as many as are
 * taken. The receiver then tells now and then how far it is, and the sender
 * keeps no more than a window ahead of it, as QUIC would: what floods a path
 * without asking measures how well a machine throws datagrams away. What is
 * lost is not sent again. HOW is 'rows' or 'single': the kernel's segmentation
 * makes datagrams of what was sent (UDP_SEGMENT), as with QUIC, or they are
 * datagrams from the beginning, as with most others. The receiver takes them
 * together where they came so (UDP_GRO). So both ends take a fraction of the
 * time of what they measure.
 *
 * 'out' and 'in' print a line of JSON: datagrams sent and received, bytes of
 * payload received, seconds from the first to the last of them, and datagrams
 * a second that were offered.
 * A program of the benchmark; calls util.c and the kernel, called by items.py.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define SIZE_MIN	64
#define SIZE_MAX_UDP	65507
#define FLOWS_MAX	256
#define BURST		16		/* datagrams in a row of one flow: what
					 * implementations of QUIC send */
#define WINDOW		1024		/* datagrams on their way, at most */
#define WINDOW_BYTES	(1024 * 1024)
#define TELLS		8		/* reports of a receiver in a window */
#define SOCKET_BUFFER	(16 * 1024 * 1024)
#define BATCH		32		/* received in one call */
#define SEEN_MAX	(1UL << 28)	/* numbers of datagrams in a run */
#define NSEC		1000000000ULL
#define BEHIND		(2 * NSEC / 1000)	/* not made good by a burst */
#define LOST_MS		20		/* no report: what is ahead was lost */
#define RETRY_MS	100
#define RETRIES		50
#define DRAIN_MS	100		/* before the sender asks what came */

enum kind { HELLO = 0x73707261, READY, GO, DATA, SO_FAR, END, RESULT };

/**
 * struct order - What the client wants
 * @flow:	this one
 * @flows:	how many there are
 * @size:	bytes of payload
 * @rate:	datagrams a second, 0: as many as are taken
 * @ms:		for how long
 * @in:		to the client, else from it
 * @single:	no segmentation by the kernel
 */
struct order {
	uint32_t flow, flows, size, rate, ms;
	uint16_t in, single;
};

/**
 * struct result - What has arrived
 * @received:	datagrams, each counted once
 * @ns:		from the first to the last
 * @next:	one after the highest number seen
 */
struct result {
	uint64_t received, ns, next;
};

/**
 * struct note - The start of every datagram; of data, up to @number only
 * @kind:	enum kind
 * @number:	DATA: its own; END: how many there were
 * @order:	HELLO, READY, GO
 * @result:	SO_FAR, RESULT
 */
struct note {
	uint64_t kind, number;
	union {
		struct order order;
		struct result result;
	};
};

/**
 * struct flow - A way to the other end
 * @fd:		socket; that of the server is the same for all
 * @to:		address, of no length where the socket is connected
 * @known:	the other end has said a word
 */
struct flow {
	int fd;
	union sockaddr_any to;
	socklen_t len;
	bool known;
};

/**
 * struct side - This end
 * @serving:	it is the server
 * @epoll:	all sockets
 * @order:	what is to be done
 * @flow:	of which order.flows are used
 */
struct side {
	bool serving;
	int epoll;
	struct order order;
	struct flow flow[FLOWS_MAX];
};

/**
 * struct sender - A run of datagrams
 * @next:	number of the next
 * @passed:	number up to which they have arrived, or were lost
 * @start:	ns, moved on by what can't be made good
 * @burst:	datagrams in a row
 * @fd:		socket of the flow whose turn it is
 * @single:	the kernel does not segment, or shall not
 * @buf:	a burst
 */
struct sender {
	uint64_t next, passed, start;
	unsigned int burst;
	int fd;
	bool single;
	uint8_t buf[SIZE_MAX_UDP];
};

/**
 * struct receiver - What arrives of it
 * @first:	ns
 * @told:	@result.received as the sender knows
 * @seen:	a bit for each number
 */
struct receiver {
	struct result result;
	uint64_t first, told;
	uint64_t seen[SEEN_MAX / 64];
};

static void __attribute__((noreturn)) die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec;
}

/* window() - Datagrams that may be on their way */
static uint64_t window(const struct order *o)
{
	return MIN(WINDOW, WINDOW_BYTES / o->size);
}

/* say() - One short datagram; it may get lost like any other */
static void say(const struct flow *f, const struct note *n)
{
	(void)!sendto(f->fd, n, sizeof(*n), MSG_NOSIGNAL,
		      f->len ? &f->to.sa : NULL, f->len);
}

/* heard() - Take a short datagram, if there is one. Returns its kind, or 0 */
static uint64_t heard(int fd, struct note *n, struct flow *from)
{
	ssize_t len;

	from->len = sizeof(from->to);
	len = recvfrom(fd, n, sizeof(*n), MSG_DONTWAIT, &from->to.sa,
		       &from->len);
	return len == sizeof(*n) ? n->kind : 0;
}

/*
 * Sending.
 */

/* fill() - Number the datagrams of a burst */
static void fill(struct sender *x, size_t size)
{
	struct note n = { .kind = DATA };
	unsigned int i;

	for (i = 0; i < x->burst; i++) {
		n.number = x->next + i;
		memcpy(x->buf + i * size, &n, offsetof(struct note, order));
	}
}

/* send_single() - A burst, each by itself */
static void send_single(struct sender *x, struct msghdr *to, size_t size)
{
	struct mmsghdr msg[BURST];
	struct iovec iov[BURST];
	unsigned int i;

	for (i = 0; i < x->burst; i++) {
		iov[i] = (struct iovec){ x->buf + i * size, size };
		msg[i].msg_hdr = (struct msghdr){
			.msg_name = to->msg_name,
			.msg_namelen = to->msg_namelen,
			.msg_iov = &iov[i], .msg_iovlen = 1,
		};
	}
	sendmmsg(x->fd, msg, x->burst, MSG_NOSIGNAL);
}

/* send_row() - A burst, cut by the kernel; false: it does not do that here */
static bool send_row(const struct sender *x, struct msghdr *msg, size_t size)
{
	char control[CMSG_SPACE(sizeof(uint16_t))] = { 0 };
	struct cmsghdr *c = (struct cmsghdr *)control;
	uint16_t segment = (uint16_t)size;
	struct iovec iov = { (void *)x->buf, size * x->burst };

	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(c), &segment, sizeof(segment));
	msg->msg_iov = &iov;
	msg->msg_iovlen = 1;
	msg->msg_control = control;
	msg->msg_controllen = sizeof(control);
	return sendmsg(x->fd, msg, MSG_NOSIGNAL) >= 0 ||
	       (errno != EIO && errno != EINVAL);
}

/* send_burst() - To one flow; the next goes to the next one */
static void send_burst(struct sender *x, const struct side *s)
{
	unsigned int turn = (unsigned int)(x->next / x->burst);
	const struct flow *f = &s->flow[turn % s->order.flows];
	struct msghdr msg = {
		.msg_name = f->len ? (void *)&f->to : NULL,
		.msg_namelen = f->len,
	};

	x->fd = f->fd;
	fill(x, s->order.size);
	if (!x->single)
		x->single = !send_row(x, &msg, s->order.size);
	if (x->single)
		send_single(x, &msg, s->order.size);
	x->next += x->burst;
}

/* wait_turn() - Until datagrams are due, at a rate */
static void wait_turn(struct sender *x, const struct order *o)
{
	uint64_t due = x->start + (x->next + x->burst) * NSEC / o->rate + 1;
	uint64_t late;
	struct timespec ts = {
		.tv_sec = (time_t)(due / NSEC), .tv_nsec = (long)(due % NSEC),
	};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	late = now_ns() - due;
	if (late > BEHIND)
		x->start += late - BEHIND;
}

/* wait_word() - Until the receiver tells how far it is */
static void wait_word(struct sender *x, const struct side *s)
{
	int fd = s->flow[0].fd;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	struct flow from;
	uint64_t kind;
	struct note n;

	if (!poll(&pfd, 1, LOST_MS))
		x->passed = x->next;
	while ((kind = heard(fd, &n, &from))) {
		if (kind == SO_FAR)
			x->passed = MAX(x->passed, n.result.next);
	}
}

/**
 * sender_finish() - Ask what has arrived until there is an answer
 * @x:		sender
 * @s:		this end
 * @n:		filled in with the answer
 *
 * Return: true if there was one
 */
static bool sender_finish(const struct sender *x, const struct side *s,
			  struct note *n)
{
	struct pollfd pfd = { .fd = s->flow[0].fd, .events = POLLIN };
	const struct note end = { .kind = END, .number = x->next };
	struct flow from;
	uint64_t kind;
	int i;

	poll(NULL, 0, DRAIN_MS);
	for (i = 0; i < RETRIES; i++) {
		say(&s->flow[0], &end);
		poll(&pfd, 1, RETRY_MS);
		while ((kind = heard(pfd.fd, n, &from))) {
			if (kind == RESULT)
				return true;
		}
	}
	return false;
}

static void print(const struct order *o, uint64_t sent,
		  const struct result *r)
{
	printf("{\"sent\": %llu, \"received\": %llu, \"bytes\": %llu, "
	       "\"seconds\": %.6f, \"offered\": %.0f}\n",
	       (unsigned long long)sent, (unsigned long long)r->received,
	       (unsigned long long)r->received * o->size, (double)r->ns / 1e9,
	       (double)sent * 1e3 / o->ms);
}

static int send_all(const struct side *s)
{
	const struct order *o = &s->order;
	static struct sender x;
	uint64_t t, end, may;
	struct note n;

	x.burst = MIN(BURST, SIZE_MAX_UDP / o->size);
	x.single = o->single;
	x.start = t = now_ns();
	end = t + o->ms * NSEC / 1000;
	for (; t < end && x.next + x.burst < SEEN_MAX; t = now_ns()) {
		may = o->rate ? (t - x.start) * o->rate / NSEC :
				x.passed + window(o);
		if (x.next + x.burst <= may)
			send_burst(&x, s);
		else if (o->rate)
			wait_turn(&x, o);
		else
			wait_word(&x, s);
	}
	if (!sender_finish(&x, s, &n)) {
		fputs("no word of the receiver\n", stderr);
		return 1;
	}
	if (!s->serving)
		print(o, x.next, &n.result);
	return 0;
}

/*
 * Receiving.
 */

/* count() - A datagram with data */
static void count(struct receiver *r, uint64_t number)
{
	uint64_t *word = &r->seen[number / 64 % ARRAY_SIZE(r->seen)];
	uint64_t bit = 1ULL << number % 64;

	r->result.received += !(*word & bit);
	*word |= bit;
	r->result.next = MAX(r->result.next, number + 1);
}

static void tell(const struct side *s, const struct receiver *r,
		 enum kind kind)
{
	const struct note n = { .kind = kind, .result = r->result };

	say(&s->flow[0], &n);
}

/* segment_size() - Of what the kernel has joined; @len: of what it has not */
static size_t segment_size(struct msghdr *msg, size_t len)
{
	struct cmsghdr *c;
	int size;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&size, CMSG_DATA(c), sizeof(size));
			return (size_t)size;
		}
	}
	return len;
}

/**
 * take_one() - Look at a datagram
 * @s:		this end
 * @r:		receiver
 * @buf:	datagram
 * @len:	bytes of it
 *
 * Return: how many the sender says it has sent, 0: this was not the end
 */
static uint64_t take_one(const struct side *s, struct receiver *r,
			 const uint8_t *buf, size_t len)
{
	struct note n;

	memcpy(&n, buf, MIN(len, sizeof(n)));
	if (n.kind == DATA && len == s->order.size)
		count(r, n.number);
	if (len != sizeof(n))
		return 0;
	if (n.kind == END)
		tell(s, r, RESULT);
	if (n.kind == HELLO && n.order.flow < s->order.flows) {
		n.kind = READY;
		say(&s->flow[n.order.flow], &n);
	}
	return n.kind == END ? n.number : 0;
}

/* take_batch() - What a socket has. Returns as take_one() does. */
static uint64_t take_batch(const struct side *s, struct receiver *r, int fd)
{
	static uint8_t buf[BATCH][UINT16_MAX + 1];
	static char control[BATCH][64];
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	size_t at, size;
	uint64_t sent = 0;
	int i, n;

	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ buf[i], sizeof(buf[i]) };
		msg[i].msg_hdr = (struct msghdr){
			.msg_iov = &iov[i], .msg_iovlen = 1,
			.msg_control = control[i],
			.msg_controllen = sizeof(control[i]),
		};
	}
	n = recvmmsg(fd, msg, BATCH, MSG_DONTWAIT, NULL);
	for (i = 0; i < n; i++) {
		size = segment_size(&msg[i].msg_hdr, msg[i].msg_len);
		for (at = 0; at < msg[i].msg_len; at += size)
			sent |= take_one(s, r, buf[i] + at,
					 MIN(size, msg[i].msg_len - at));
	}
	return sent;
}

/* after_batch() - Note the time, tell the sender */
static void after_batch(const struct side *s, struct receiver *r)
{
	uint64_t t = now_ns(), new = r->result.received - r->told;

	if (!new)
		return;
	if (!r->first)
		r->first = t;
	r->result.ns = t - r->first;
	if (s->order.rate || new < MAX(window(&s->order) / TELLS, 1))
		return;
	tell(s, r, SO_FAR);
	r->told = r->result.received;
}

/* receive_all() - Until the sender says that it was all, and knows what came */
static int receive_all(const struct side *s)
{
	const struct note go = { .kind = GO, .order = s->order };
	static struct receiver r;
	struct epoll_event ev[BATCH];
	uint64_t sent = 0;
	int i, n, quiet;

	for (quiet = 0; quiet < RETRIES; quiet = n ? 0 : quiet + 1) {
		if (!s->serving && !r.first)
			say(&s->flow[0], &go);
		n = epoll_wait(s->epoll, ev, BATCH, RETRY_MS);
		for (i = 0; i < n; i++)
			sent |= take_batch(s, &r, ev[i].data.fd);
		after_batch(s, &r);
		if (sent && !s->serving) {
			print(&s->order, sent, &r.result);
			return 0;
		}
	}
	fputs("no word of the sender\n", stderr);
	return 1;
}

/*
 * The two ends.
 */

/* side_socket() - Bind or connect one */
static int side_socket(const struct side *s, const union sockaddr_any *sa,
		       socklen_t len)
{
	int fd = socket(sa->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };
	int size = SOCKET_BUFFER, one = 1;

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one));
	if (s->serving ? bind(fd, &sa->sa, len) : connect(fd, &sa->sa, len))
		die(s->serving ? "bind" : "connect");
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl");
	return fd;
}

/* order_valid() - Whether an order can be carried out; it came from outside */
static bool order_valid(const struct order *o)
{
	return o->flows && o->flows <= FLOWS_MAX && o->flow < o->flows &&
	       o->size >= SIZE_MIN && o->size <= SIZE_MAX_UDP && o->ms;
}

static int serve(struct side *s, const union sockaddr_any *sa, socklen_t len)
{
	int fd = side_socket(s, sa, len);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	unsigned int known = 0;
	struct flow from = { .fd = fd };
	struct note n;

	puts("ready");
	fflush(stdout);
	while (poll(&pfd, 1, -1) > 0) {
		if (!heard(fd, &n, &from) || !order_valid(&n.order))
			continue;
		if (n.kind == GO && n.order.in)
			return send_all(s);
		if (n.kind != HELLO)
			continue;
		s->order = n.order;
		known += !s->flow[n.order.flow].known;
		from.known = true;
		s->flow[n.order.flow] = from;
		n.kind = READY;
		say(&from, &n);
		if (known == n.order.flows && !n.order.in)
			return receive_all(s);
	}
	die("poll");
}

/* greet() - Open all flows: each is known to the server, and has answered */
static void greet(struct side *s)
{
	struct note n = { .kind = HELLO, .order = s->order };
	struct pollfd pfd = { .fd = s->epoll, .events = POLLIN };
	unsigned int i, missing = s->order.flows, tries;
	struct flow from;

	for (tries = 0; missing && tries < RETRIES; tries++) {
		for (i = 0; i < s->order.flows; i++) {
			n.kind = HELLO;
			n.order.flow = i;
			if (!s->flow[i].known)
				say(&s->flow[i], &n);
		}
		poll(&pfd, 1, RETRY_MS);
		poll(NULL, 0, 1);
		for (i = 0; i < s->order.flows; i++) {
			if (s->flow[i].known ||
			    heard(s->flow[i].fd, &n, &from) != READY)
				continue;
			s->flow[i].known = true;
			missing--;
		}
	}
	if (missing) {
		fprintf(stderr, "%u flows without an answer\n", missing);
		exit(1);
	}
}

static int client(struct side *s, const union sockaddr_any *sa, socklen_t len)
{
	unsigned int i;

	for (i = 0; i < s->order.flows; i++)
		s->flow[i].fd = side_socket(s, sa, len);
	greet(s);
	return s->order.in ? receive_all(s) : send_all(s);
}

static bool address(const char *addr, const char *port,
		    union sockaddr_any *sa, socklen_t *len)
{
	struct in6_addr a;
	uint64_t n;

	if (!addr_parse(addr, &a) || !number_parse(port, 1, 65535, &n))
		return false;
	*len = sockaddr_set(sa, &a, (uint16_t)n, 0);
	return true;
}

/* order_parse() - SIZE FLOWS RATE MS HOW */
static bool order_parse(char **argv, struct order *o)
{
	uint64_t size, flows, rate, ms;

	if (!number_parse(argv[0], SIZE_MIN, SIZE_MAX_UDP, &size) ||
	    !number_parse(argv[1], 1, FLOWS_MAX, &flows) ||
	    !number_parse(argv[2], 0, UINT32_MAX, &rate) ||
	    !number_parse(argv[3], 1, 60000, &ms) ||
	    (strcmp(argv[4], "rows") && strcmp(argv[4], "single")))
		return false;
	o->size = (uint32_t)size;
	o->flows = (uint32_t)flows;
	o->rate = (uint32_t)rate;
	o->ms = (uint32_t)ms;
	o->single = !strcmp(argv[4], "single");
	return true;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 3 ? argv[1] : "";
	static struct side s;
	union sockaddr_any sa;
	socklen_t len;

	prctl(PR_SET_TIMERSLACK, 1000);
	s.serving = !strcmp(mode, "serve");
	s.order.in = !strcmp(mode, "in");
	s.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (argc == 4 && s.serving && address(argv[2], argv[3], &sa, &len))
		return serve(&s, &sa, len);
	if (argc == 9 && (s.order.in || !strcmp(mode, "out")) &&
	    address(argv[2], argv[3], &sa, &len) &&
	    order_parse(argv + 4, &s.order))
		return client(&s, &sa, len);
	fputs("usage: spray {serve ADDR PORT | {out|in} ADDR PORT SIZE FLOWS "
	      "RATE MS {rows|single}}\n", stderr);
	return 1;
}
