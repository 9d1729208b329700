// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * udp_send.c - Tests of sending the guest's datagrams: in how many calls and
 * messages, with which header fields, and what happens if the kernel refuses a
 * GSO batch. The sockets are real. sendmmsg() and setsockopt() are counted, and
 * sendmmsg() and getsockopt() fail where a test says so.
 */
#include <sys/socket.h>

static int told_sendmmsg(int fd, struct mmsghdr *m, unsigned int n, int flags);
static int told_setsockopt(int fd, int level, int name, const void *value,
			   socklen_t len);
static int told_getsockopt(int fd, int level, int name, void *value,
			   socklen_t *len);

#define sendmmsg	told_sendmmsg
#define setsockopt	told_setsockopt
#define getsockopt	told_getsockopt
#include "../../sock.c"
#include "../../udp/send.c"
#undef sendmmsg
#undef setsockopt
#undef getsockopt
#include "test/unit/flows.h"

#define ROOM	(1 << 20)
#define LIFE	128
#define MOST	256

/* Counted since forget(): calls of sendmmsg(), messages that they sent, GSO
 * batches among these, and calls of setsockopt(). */
static unsigned int calls, messages, gso, options;

/* errno with which sendmmsg() refuses GSO batches, and with which getsockopt()
 * fails for UDP_SEGMENT; 0: they do not fail. */
static int refuse_gso, refuse_probe;

static void forget(void)
{
	calls = messages = gso = options = 0;
}

/* is_gso() - Whether a message is a GSO batch */
static bool is_gso(struct msghdr *m)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT)
			return true;
	return false;
}

static int told_sendmmsg(int fd, struct mmsghdr *m, unsigned int n, int flags)
{
	unsigned int i;

	calls++;
	for (i = 0; i < n; i++) {
		if (is_gso(&m[i].msg_hdr) && refuse_gso)
			break;
		messages++;
		gso += is_gso(&m[i].msg_hdr);
	}
	errno = refuse_gso;
	return i ? sendmmsg(fd, m, i, flags) : -1;
}

static int told_setsockopt(int fd, int level, int name, const void *value,
			   socklen_t len)
{
	options++;
	return setsockopt(fd, level, name, value, len);
}

static int told_getsockopt(int fd, int level, int name, void *value,
			   socklen_t *len)
{
	if (refuse_probe && level == IPPROTO_UDP && name == UDP_SEGMENT) {
		errno = refuse_probe;
		return -1;
	}
	return getsockopt(fd, level, name, value, len);
}

/* The batch that a test builds, of @npkt datagrams. */
static struct pkt batch[MOST];
static struct iovec pieces[MOST];
static uint8_t data[MOST][2048];
static unsigned int npkt;

/* begin() - Start an empty batch from a port of the guest to a peer */
static void begin(uint16_t sport, const char *dst, uint16_t dport)
{
	unsigned int i;

	for (i = 0; i < MOST; i++)
		batch[i] = (struct pkt){
			.proto = IPPROTO_UDP, .ttl = 61, .df = true,
			.src = addr(guest_of(dst)), .dst = addr(dst),
			.sport = sport, .dport = dport, .l4len = UDP_HLEN,
		};
	npkt = 0;
	forget();
}

/* with() - Add @n datagrams of @len bytes to the batch; each byte of a datagram
 * is the datagram's index in the batch. Return the first of these datagrams */
static struct pkt *with(unsigned int n, size_t len)
{
	struct pkt *first = &batch[npkt], *p;

	for (; n--; npkt++) {
		p = &batch[npkt];
		memset(data[npkt], (int)npkt, sizeof(data[npkt]));
		pieces[npkt] = (struct iovec){ data[npkt], len };
		p->iov = &pieces[npkt];
		p->iovcnt = len ? 1 : 0;
		p->len = (uint32_t)len;
	}
	return first;
}

/* arrives() - Whether the peer receives the batch, unchanged and in order */
static bool arrives(int fd)
{
	uint8_t buf[65536];
	struct in6_addr from;
	unsigned int i;
	uint16_t port;
	ssize_t n;

	for (i = 0; i < npkt; i++) {
		n = peer_hears(fd, buf, sizeof(buf), &from, &port);
		if (n != (ssize_t)batch[i].len ||
		    (n && memcmp(buf, data[i], (size_t)n)))
			return false;
	}
	return true;
}

/* wide() - Open a peer's socket that has space for a whole batch, and reports
 * TTL and TOS of datagrams; returns the socket */
static int wide(const char *host, uint16_t *port)
{
	int fd = peer_open(host, port), size = 1 << 20, one = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one));
	if (strchr(host, ':')) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &one,
			   sizeof(one));
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &one,
			   sizeof(one));
	}
	return fd;
}

/* Given a batch of datagrams with equal lengths, then it is sent in one call as
 * few GSO batches, and arrives as separate datagrams. */
static void story_gso(const char *gw, const char *host)
{
	uint16_t port = 0;
	struct world w;
	int fd;

	printf("# GSO batches to %s\n", host);
	world_open(&w, LIFE, ROOM);
	if (!w.udp.segment) {
		skip("GSO batches", "this kernel has no UDP_SEGMENT");
		world_close(&w);
		return;
	}
	fd = wide(host, &port);
	begin(4000, gw, port);
	with(100, 500);
	udp_from_guest(&w.udp, batch, npkt, w.now);
	check("a hundred equal datagrams arrive", arrives(fd));
	check_eq("one call sent them", calls, 1);
	check_eq("as GSO batches of at most 64", gso, 2);
	check_eq("all are counted", w.udp.count[UDP_FROM_GUEST], 100);

	begin(4000, gw, port);
	with(60, 1400);
	udp_from_guest(&w.udp, batch, npkt, w.now);
	check("more bytes than one packet may have arrive", arrives(fd));
	check_eq("as two GSO batches", gso, 2);
	check_eq("in one call", calls, 1);
	check_eq("no option is set, as no header field changed",
		 options, 0);

	begin(4000, gw, port);
	with(20, 1000);
	with(1, 500);
	with(5, 1000);
	with(1, 0);
	with(1, 3);
	with(2, 1400);
	udp_from_guest(&w.udp, batch, npkt, w.now);
	check("all lengths arrive", arrives(fd));
	check_eq("one call", calls, 1);
	check_eq("a shorter one ends a GSO batch, an empty one is single",
		 messages, 5);
	check_eq("three of them are GSO batches", gso, 3);
	close(fd);
	world_close(&w);
}

/* Given a batch of datagrams in several pieces each, then all of them are sent
 * in one call, and arrive. */
static void story_pieces(void)
{
	static struct iovec split[MOST][4];
	uint16_t port = 0;
	unsigned int i, j;
	struct world w;
	int fd;

	printf("# datagrams in pieces\n");
	world_open(&w, LIFE, ROOM);
	fd = wide("127.0.0.1", &port);
	begin(4000, GW4, port);
	with(100, 400);
	for (i = 0; i < npkt; i++) {
		for (j = 0; j < 4; j++)
			split[i][j] = (struct iovec){ data[i] + 100 * j, 100 };
		batch[i].iov = split[i];
		batch[i].iovcnt = 4;
	}
	udp_from_guest(&w.udp, batch, npkt, w.now);
	check("datagrams in pieces arrive", arrives(fd));
	check_eq("in one call", calls, 1);
	close(fd);
	world_close(&w);
}

/* Given a kernel or device that refuses GSO batches, then the datagrams are
 * sent at once as single messages. If the errno means that GSO batches never
 * work, then passt does not try them again. */
static void story_refused(int error, bool for_good)
{
	uint16_t port = 0;
	struct world w;
	int fd;

	printf("# GSO batches are refused: %s\n", strerror(error));
	world_open(&w, LIFE, ROOM);
	w.udp.segment = UINT16_MAX;
	fd = wide("127.0.0.1", &port);
	refuse_gso = error;
	begin(4000, GW4, port);
	with(10, 1400);
	udp_from_guest(&w.udp, batch, npkt, w.now);
	check("all arrive singly", arrives(fd));
	check_eq("after two attempts: the first error may be an older one",
		 calls, 3);
	check_eq("all are counted", w.udp.count[UDP_FROM_GUEST], 10);
	check_eq("none as an error", w.udp.count[UDP_SEND_ERROR], 0);
	begin(4000, GW4, port);
	with(10, 1400);
	udp_from_guest(&w.udp, batch, npkt, w.now);
	check("the next batch, too", arrives(fd));
	check_eq("without an attempt", calls, 1);

	refuse_gso = 0;
	begin(4000, GW4, port);
	with(10, 1000);
	udp_from_guest(&w.udp, batch, npkt, w.now);
	check("shorter ones arrive", arrives(fd));
	if (for_good)
		check_eq("still singly", gso, 0);
	else
		check_eq("as a GSO batch", gso, 1);
	close(fd);
	world_close(&w);
}

/* Given a kernel without UDP_SEGMENT, then no GSO batch is sent: the kernel
 * would send it as one datagram. */
static void story_unknown(void)
{
	uint16_t port = 0;
	struct world w;
	int fd;

	printf("# an old kernel\n");
	refuse_probe = ENOPROTOOPT;
	world_open(&w, LIFE, ROOM);
	refuse_probe = 0;
	fd = wide("127.0.0.1", &port);
	begin(4000, GW4, port);
	with(10, 1000);
	udp_from_guest(&w.udp, batch, npkt, w.now);
	check("datagrams arrive singly", arrives(fd) && !gso);
	check_eq("in one call", calls, 1);
	close(fd);
	world_close(&w);
}

/**
 * header() - Receive a datagram, and return its TTL and TOS
 * @fd:		socket of the peer, opened by wide()
 *
 * Return: TTL << 8 | TOS, -1 if no datagram arrives within a second
 */
static int header(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	union {
		char buf[256];
		struct cmsghdr align;
	} control;
	struct msghdr m = { .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	int ttl = 0, tos = 0, value;
	struct cmsghdr *c;

	if (poll(&p, 1, 1000) != 1 || recvmsg(fd, &m, 0) < 0)
		return -1;
	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		bool v4 = c->cmsg_level == IPPROTO_IP;

		memcpy(&value, CMSG_DATA(c), sizeof(value));
		if (c->cmsg_type == (v4 ? IP_TTL : IPV6_HOPLIMIT))
			ttl = value;
		if (c->cmsg_type == (v4 ? IP_TOS : IPV6_TCLASS))
			tos = v4 ? *CMSG_DATA(c) : value;
	}
	return ttl << 8 | tos;
}

/* mode() - Get the value of a socket's option IP_MTU_DISCOVER or
 * IPV6_MTU_DISCOVER */
static int mode(int fd, bool v4)
{
	socklen_t len = sizeof(int);
	int value = -1;

	getsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
		   v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &value, &len);
	return value;
}

/* marked() - Send five datagrams with different TTL, TOS and DF, and check that
 * the peer receives them with the same TTL and TOS */
static void marked(struct world *w, int fd, const char *gw, uint16_t sport,
		   uint16_t port)
{
	struct pkt *p;

	begin(sport, gw, port);
	p = with(5, 100);
	p[0].ttl = p[1].ttl = p[2].ttl = 3;
	p[0].tos = p[1].tos = 0xb8;		/* EF */
	p[2].tos = p[3].tos = p[4].tos = 0x02;	/* ECT(0) */
	p[3].ttl = p[4].ttl = 200;
	p[4].df = false;
	udp_from_guest(&w->udp, batch, npkt, w->now);
	check_eq("TTL and type of service as the guest wrote them",
		 header(fd), 3 << 8 | 0xb8);
	check_eq("of the second, too", header(fd), 3 << 8 | 0xb8);
	check_eq("the third has another type of service", header(fd),
		 3 << 8 | 0x02);
	check_eq("the fourth another TTL", header(fd), 200 << 8 | 0x02);
	check_eq("so has the fifth", header(fd), 200 << 8 | 0x02);
	check_eq("those with equal fields leave together", calls, 4);
}

/* Given datagrams with different TTL, TOS and DF, then they are sent with the
 * same values, and passt sets a socket option only if its value changes. */
static void story_marks(const char *gw, const char *host)
{
	bool v4 = !strchr(host, ':');
	uint16_t port = 0;
	struct world w;
	int fd, own;

	printf("# headers to %s\n", host);
	world_open(&w, LIFE, ROOM);
	fd = wide(host, &port);
	marked(&w, fd, gw, 4000, port);
	own = flow_of(&w, 4000, gw, port)->flow.fd[SIDE_HOST];
	check_eq("without DF the kernel may fragment", mode(own, v4),
		 IP_PMTUDISC_DONT);
	begin(4000, gw, port);
	with(1, 100)->tos = 0x02;
	batch[0].ttl = 200;
	udp_from_guest(&w.udp, batch, npkt, w.now);
	check_eq("then only DF is set", options, v4 ? 1 : 2);
	check_eq("which the socket has", mode(own, v4), IP_PMTUDISC_PROBE);
	check_eq("and the headers are as before", header(fd), 200 << 8 | 0x02);

	begin(4000, gw, port);
	with(1, 100)->ttl = 0;
	udp_from_guest(&w.udp, batch, npkt, w.now);
	check_eq("a TTL of zero, which no host may send, becomes 1",
		 header(fd) >> 8, 1);
	close(fd);
	world_close(&w);
}

/* first() - Let the guest send a first datagram of @len bytes in a new flow,
 * and return the DF setting of its socket */
static int first(struct world *w, const char *gw, uint16_t sport, uint16_t port,
		 uint32_t len, bool df)
{
	begin(sport, gw, port);
	with(1, len)->df = df;
	udp_from_guest(&w->udp, batch, npkt, w->now);
	return mode(flow_of(w, sport, gw, port)->flow.fd[SIDE_HOST],
		    !strchr(gw, ':'));
}

/* Given the first datagram of a flow, if it is short and has DF, then the
 * socket stays as it is, because it sends DF anyway. */
static void story_df_default(const char *gw, const char *host)
{
	uint16_t port = 0;
	struct world w;
	int fd;

	printf("# DF of the first datagram to %s\n", host);
	world_open(&w, LIFE, ROOM);
	fd = wide(host, &port);
	check_eq("a short one with DF", first(&w, gw, 4000, port, 512, true),
		 IP_PMTUDISC_WANT);
	check_eq("another", first(&w, gw, 4000, port, 512, true),
		 IP_PMTUDISC_WANT);
	check_eq("a longer one after it",
		 first(&w, gw, 4000, port, 513, true), IP_PMTUDISC_PROBE);
	check_eq("a longer one", first(&w, gw, 4001, port, 513, true),
		 IP_PMTUDISC_PROBE);
	check_eq("a short one without DF",
		 first(&w, gw, 4002, port, 100, false), IP_PMTUDISC_DONT);
	w.udp.df_default = false;
	check_eq("where IPv4 sockets do not send DF",
		 first(&w, gw, 4003, port, 100, true),
		 strchr(gw, ':') ? IP_PMTUDISC_WANT : IP_PMTUDISC_PROBE);
	close(fd);
	world_close(&w);
}

/* forwarded() - Forward a port of the host, which the kernel chooses, to the
 * guest's port @to; @port is set to the host's port */
static void forwarded(struct world *w, int family, const char *bound,
		      uint16_t *port, uint16_t to)
{
	struct in6_addr at = addr(bound);
	union sockaddr_any sa;
	socklen_t len = sockaddr_set(&sa, &at, 0, 0);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, &sa.sa, len))
		fail("the test can bind a port", "%s", strerror(errno));
	len = sizeof(sa);
	getsockname(fd, &sa.sa, &len);
	sockaddr_get(&sa, &at, port);
	put_listener(&w->fwd, fd, IPPROTO_UDP, *port, to);
}

/* Given a flow that sends from the socket of a forwarded port, which many flows
 * share, then each datagram has its own TTL, TOS and DF, and GSO batches are
 * sent, too. */
static void story_listener(int family, const char *bound, const char *gw,
			   const char *host)
{
	bool v4 = !strchr(host, ':');
	uint16_t port = 0, at = 0;
	struct world w;
	int fd;

	printf("# headers from a port on %s to %s\n", bound, host);
	world_open(&w, LIFE, ROOM);
	forwarded(&w, family, bound, &port, 5000);
	fd = wide(host, &at);
	marked(&w, fd, gw, 5000, at);
	check_eq("without DF the kernel may fragment",
		 mode(w.fwd.listeners[0].fd, v4), IP_PMTUDISC_DONT);

	begin(5000, gw, at);
	with(30, 1000);
	udp_from_guest(&w.udp, batch, npkt, w.now);
	check("a batch arrives", arrives(fd));
	check_eq("in one call", calls, 1);
	check_eq("as one GSO batch", messages, w.udp.segment ? 1 : 30);
	check_eq("with DF the kernel may not",
		 mode(w.fwd.listeners[0].fd, v4), IP_PMTUDISC_PROBE);
	forget();
	udp_from_guest(&w.udp, batch, npkt, w.now);
	check_eq("it is set once", options, 0);
	close(fd);
	world_close(&w);
}

int main(void)
{
	own_network();

	story_gso(GW4, "127.0.0.1");
	story_gso(GW6, "::1");
	story_pieces();
	story_refused(EIO, true);
	story_refused(ENOPROTOOPT, true);
	story_refused(EINVAL, false);
	story_refused(EMSGSIZE, false);
	story_unknown();
	story_marks(GW4, "127.0.0.1");
	story_marks(GW6, "::1");
	story_df_default(GW4, "127.0.0.1");
	story_df_default(GW6, "::1");
	story_listener(AF_INET, "0.0.0.0", GW4, "127.0.0.1");
	story_listener(AF_INET6, "::", GW4, "127.0.0.1");
	story_listener(AF_INET6, "::", GW6, "::1");
	return unit_end();
}
