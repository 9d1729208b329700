/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * spray.c - Sends numbered datagrams in one direction, and counts losses:
 *
 *	spray serve ADDR PORT				the other end of one run
 *	spray out ADDR PORT SIZE FLOWS RATE MS HOW	to the server
 *	spray in ADDR PORT SIZE FLOWS RATE MS HOW	from the server
 *
 * If RATE is not 0, the sender sends RATE datagrams per second, even if some
 * are lost. If it is 0, it sends as fast as the receiver takes them: the
 * receiver reports the highest number that it has seen, and the sender keeps at
 * most a window ahead of that, as QUIC would. (A sender without a window would
 * only measure how fast a machine drops datagrams.) Lost datagrams are not sent
 * again.
 *
 * If HOW is 'rows', the sender sends GSO batches (UDP_SEGMENT), as QUIC does;
 * if HOW is 'single', it sends single datagrams, as most other programs do. The
 * receiver uses UDP_GRO. With GSO and GRO, both ends need much less CPU time
 * than the programs that they measure.
 *
 * 'out' and 'in' print a line of JSON: datagrams sent and received, bytes of
 * payload received, seconds from the first to the last datagram received, and
 * datagrams per second that were sent.
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

#include "test/bench/bench.h"
#include "util.h"

#define SIZE_MIN	64
#define SIZE_MAX_UDP	65507
#define FLOWS_MAX	256
#define BURST		16		/* datagrams of one flow sent together,
					 * as implementations of QUIC do */
#define WINDOW		1024		/* most datagrams in flight */
#define WINDOW_BYTES	(1024 * 1024)	/* most bytes in flight */
#define TELLS		8		/* reports per window */
#define SOCKET_BUFFER	(16 * 1024 * 1024)
#define BATCH		32		/* buffers of one recvmmsg() */
#define SEEN_MAX	(1UL << 28)	/* limit for datagrams in a run */
#define BEHIND		(2 * NSEC / 1000)	/* ns: the sender catches up on
						 * this much delay at most */
#define LOST_MS		20		/* ms without a report, after which all
					 * datagrams in flight count as lost */
#define RETRY_MS	100
#define RETRIES		50
#define DRAIN_MS	100		/* wait after the last datagram, before
					 * the message END */

enum kind { HELLO = 0x73707261, READY, GO, DATA, SO_FAR, END, RESULT };

/**
 * struct order - What the client asks the server to do
 * @flow:	number of the flow that this order was sent on
 * @flows:	number of flows
 * @size:	bytes of payload of each datagram
 * @rate:	datagrams per second, 0: as fast as the receiver takes them
 * @ms:		duration
 * @in:		the server sends, not the client
 * @single:	send single datagrams, not GSO batches
 */
struct order {
	uint32_t flow, flows, size, rate, ms;
	uint16_t in, single;
};

/**
 * struct result - What a receiver has received
 * @received:	number of datagrams, without duplicates
 * @ns:		time from the first to the last datagram
 * @next:	the highest number seen, plus one
 */
struct result {
	uint64_t received, ns, next;
};

/**
 * struct note - A message; datagrams with data begin with @kind and @number
 * @kind:	enum kind
 * @number:	DATA: number of this datagram; END: number of datagrams sent
 * @order:	in HELLO, READY, GO
 * @result:	in SO_FAR, RESULT
 */
struct note {
	uint64_t kind, number;
	union {
		struct order order;
		struct result result;
	};
};

/**
 * struct flow - A flow between client and server
 * @fd:		socket; the server has one socket for all flows
 * @to:		address of the other end
 * @len:	length of @to; 0: the socket is connected
 * @known:	a message of the other end has arrived on this flow
 */
struct flow {
	int fd;
	union sockaddr_any to;
	socklen_t len;
	bool known;
};

/**
 * struct side - This program, the client or the server
 * @serving:	it is the server
 * @epoll:	epoll descriptor with all sockets
 * @order:	what to do
 * @flow:	flows; the first @order.flows are used
 */
struct side {
	bool serving;
	int epoll;
	struct order order;
	struct flow flow[FLOWS_MAX];
};

/**
 * struct sender - State of a sender
 * @next:	number of the next datagram
 * @passed:	all datagrams below this number have arrived or are lost
 * @start:	start of the run, ns; if the sender is late by more than BEHIND,
 *		the excess is added
 * @burst:	datagrams in a burst
 * @fd:		socket of the flow that the next burst uses
 * @single:	send single datagrams: the order or the kernel demands it
 * @buf:	datagrams of one burst
 */
struct sender {
	uint64_t next, passed, start;
	unsigned int burst;
	int fd;
	bool single;
	uint8_t buf[SIZE_MAX_UDP];
};

/**
 * struct receiver - State of a receiver
 * @result:	what has arrived
 * @first:	time of the first datagram, ns
 * @told:	@result.received in the last report to the sender
 * @seen:	a bit for each number, set when the datagram has arrived
 */
struct receiver {
	struct result result;
	uint64_t first, told;
	uint64_t seen[SEEN_MAX / 64];
};

/* window() - Return the number of datagrams that may be in flight */
static uint64_t window(const struct order *o)
{
	return MIN(WINDOW, WINDOW_BYTES / o->size);
}

/* say() - Send a message, which may get lost like any datagram */
static void say(const struct flow *f, const struct note *n)
{
	(void)!sendto(f->fd, n, sizeof(*n), MSG_NOSIGNAL,
		      f->len ? &f->to.sa : NULL, f->len);
}

/* heard() - Receive a message if there is one; returns its kind, or 0 */
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

/* fill() - Write a number to each datagram of a burst */
static void fill(struct sender *x, size_t size)
{
	struct note n = { .kind = DATA };
	unsigned int i;

	for (i = 0; i < x->burst; i++) {
		n.number = x->next + i;
		memcpy(x->buf + i * size, &n, offsetof(struct note, order));
	}
}

/* send_single() - Send a burst as single datagrams */
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

/* send_row() - Send a burst as a GSO batch; false: the kernel can't do that */
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

/* send_burst() - Send a burst on one flow; flows take turns */
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

/* wait_turn() - Wait until the next burst is due at the rate of the order */
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

/* wait_word() - Wait for the receiver's report of the highest number seen */
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
 * sender_finish() - Send END to the receiver, and get the receiver's result
 * @x:		sender
 * @s:		this program
 * @n:		set to the message with the result
 *
 * Return: false if the receiver does not answer
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

/* count() - Count a datagram with data, unless it is a duplicate */
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

/* segment_size() - Return the size of each datagram in a GRO batch; @len if the
 * message is no GRO batch */
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
 * take_one() - Handle a datagram: count data, answer messages
 * @s:		this program
 * @r:		receiver
 * @buf:	datagram
 * @len:	its length
 *
 * Return: number of datagrams that the sender has sent, if this datagram is its
 *	   END; else 0
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

/* take_batch() - Receive and handle datagrams. Returns the number of datagrams
 * that the sender has sent, if its END is among them; else 0 */
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

/* after_batch() - Note the time; report to the sender if a report is due */
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

/* receive_all() - Receive until END. A server then goes on to answer each END
 * until nothing more arrives, because its RESULT may get lost */
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

/* side_socket() - Make a socket: the server binds it, the client connects it */
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

/* order_valid() - Check an order, which may come from any program */
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

/* greet() - Say HELLO on all flows until the server has answered on each */
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

/* order_parse() - Parse the arguments SIZE FLOWS RATE MS HOW */
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
