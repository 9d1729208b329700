// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * udp_to_guest.c - Tests of datagrams to the guest: GSO batches, header fields,
 * the count of drops, and how several flows take turns. The sockets are real,
 * and messages that recvmmsg() returns are counted.
 */
#include <netinet/udp.h>
#include <sys/socket.h>

static int told_recvmmsg(int fd, struct mmsghdr *m, unsigned int n, int flags,
			 struct timespec *t);

#define recvmmsg	told_recvmmsg
#include "../../udp/to_guest.c"
#undef recvmmsg
#include "test/unit/flows.h"

#define ROOM	(1 << 20)
#define LIFE	128
#define FLOWS	4

static unsigned int messages;

static int told_recvmmsg(int fd, struct mmsghdr *m, unsigned int n, int flags,
			 struct timespec *t)
{
	int got = recvmmsg(fd, m, n, flags, t);

	messages += got > 0 ? (unsigned int)got : 0;
	return got;
}

/* begins() - Send datagrams in both directions, until passt counts the flow as
 * a stream; returns the peer's socket */
static int begins(struct world *w, uint16_t sport, const char *gw,
		  const char *host, uint16_t *port)
{
	int fd = peer_open(host, port), size = 1 << 20;
	struct in6_addr a = addr(host), from;
	union sockaddr_any sa;
	socklen_t len;
	uint16_t at;
	char buf[8];

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	sends(w, sport, gw, *port, "hello", 5);
	peer_hears(fd, buf, sizeof(buf), &from, &at);
	len = sockaddr_set(&sa, &a, at, 0);
	connect(fd, &sa.sa, len);
	while (w->mem.nsent < 2 && send(fd, "hi", 2, 0) == 2)
		events(w, 1000);
	w->udp.count[UDP_TO_GUEST] = 0;
	memory_clear(&w->mem);
	messages = 0;
	return fd;
}

/* says_gso() - Let a peer send a GSO batch, of datagrams with @segment bytes
 * each; false: this failed, as on a kernel without UDP_SEGMENT */
static bool says_gso(int fd, const void *data, size_t len, int segment)
{
	if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment,
		       sizeof(segment)))
		return false;
	return send(fd, data, len, 0) == (ssize_t)len;
}

/* reaches() - Handle events until the guest has @n packets, or receives no
 * more; returns how many it has */
static unsigned int reaches(struct world *w, unsigned int n)
{
	unsigned int before;

	do {
		before = w->mem.nsent;
		events(w, 1000);
	} while (w->mem.nsent > before && w->mem.nsent < n);
	return w->mem.nsent;
}

/* in_order() - Whether the guest received @data, in datagrams of @segment bytes
 * each, of which only the last may be shorter */
static bool in_order(const struct world *w, const uint8_t *data, size_t len,
		     size_t segment)
{
	struct seen s;
	unsigned int i;
	size_t n;

	for (i = 0; len; i++, data += n, len -= n) {
		n = MIN(len, segment);
		if (!nth(w, i, &s) || !s.good || s.len != UDP_HLEN + n ||
		    memcmp(s.l4 + UDP_HLEN, data, n))
			return false;
	}
	return i == w->mem.nsent;
}

/* Given a GSO batch from a peer, then passt reads it as one message, and the
 * guest receives each datagram. */
static void story_gso(const char *gw, const char *host)
{
	static uint8_t data[20 * 1000 + 300];
	uint16_t port = 0;
	struct world w;
	unsigned int i;
	int fd, off = 0;

	printf("# GSO batches from %s\n", host);
	world_open(&w, LIFE, ROOM);
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 1000);
	fd = begins(&w, 4000, gw, host, &port);
	if (!says_gso(fd, data, sizeof(data), 1000)) {
		skip("GSO batches are read", "this kernel has no UDP_SEGMENT");
		close(fd);
		world_close(&w);
		return;
	}
	check_eq("all of a GSO batch reaches the guest", reaches(&w, 21), 21);
	check("unchanged, with right checksums",
	      in_order(&w, data, sizeof(data), 1000));
	check_eq("it was read as one message", messages, 1);
	check_eq("each is counted", w.udp.count[UDP_TO_GUEST], 21);

	memory_clear(&w.mem);
	setsockopt(flow_of(&w, 4000, gw, port)->flow.fd[SIDE_HOST], IPPROTO_UDP,
		   UDP_GRO,
		   &off, sizeof(off));
	messages = 0;
	says_gso(fd, data, sizeof(data), 1000);
	check_eq("without UDP_GRO, too", reaches(&w, 21), 21);
	check("unchanged", in_order(&w, data, sizeof(data), 1000));
	check_eq("but singly", messages, 21);

	memory_clear(&w.mem);
	w.net.mtu = 576;
	if (!strchr(host, ':')) {
		says_gso(fd, data, 4000, 1000);
		check_eq("a datagram longer than the guest's MTU in fragments",
			 reaches(&w, 8), 8);
	}
	close(fd);
	world_close(&w);
}

/* tos() - Get the type of service or traffic class of the nth packet */
static int tos(const struct world *w, unsigned int n)
{
	const uint8_t *ip = (uint8_t *)w->mem.sent[n].iov_base + ETH_LEN;

	return *ip >> 4 == 4 ? ip[1] : get_be16(ip) >> 4 & 0xff;
}

/* Given datagrams with different TTL and TOS, including the ECN bits (RFC
 * 3168), then the guest receives them with the same TTL and TOS. */
static void story_headers(const char *gw, const char *host)
{
	static const int ttl[] = { 9, 9, 200 }, dscp[] = { 0xb8, 0xbb, 0x02 };
	bool v4 = !strchr(host, ':'), same = true;
	int level = v4 ? IPPROTO_IP : IPPROTO_IPV6, fd;
	uint16_t port = 0;
	struct world w;
	struct seen s;
	unsigned int i;

	printf("# headers from %s\n", host);
	world_open(&w, LIFE, ROOM);
	fd = begins(&w, 4001, gw, host, &port);
	for (i = 0; i < ARRAY_SIZE(ttl); i++) {
		setsockopt(fd, level, v4 ? IP_TTL : IPV6_UNICAST_HOPS,
			   &ttl[i], sizeof(ttl[i]));
		setsockopt(fd, level, v4 ? IP_TOS : IPV6_TCLASS, &dscp[i],
			   sizeof(dscp[i]));
		send(fd, "hi", 2, 0);
	}
	check_eq("three datagrams reach the guest",
		 reaches(&w, ARRAY_SIZE(ttl)), ARRAY_SIZE(ttl));
	for (i = 0; i < ARRAY_SIZE(ttl) && same; i++)
		same = nth(&w, i, &s) && s.good && s.ttl == ttl[i] &&
		       tos(&w, i) == dscp[i];
	check("with their TTL and type of service", same);
	close(fd);
	world_close(&w);
}

/* Given more datagrams than a socket's receive buffer takes, then passt counts
 * the datagrams that the kernel drops. */
static void story_dropped(void)
{
	enum { SENT = 200 };
	static uint8_t data[1000];
	uint16_t port = 0;
	int fd, small = 16384;
	unsigned int i;
	struct world w;

	printf("# drops\n");
	world_open(&w, LIFE, ROOM);
	fd = begins(&w, 4002, GW4, "127.0.0.1", &port);
	setsockopt(flow_of(&w, 4002, GW4, port)->flow.fd[SIDE_HOST], SOL_SOCKET,
		   SO_RCVBUF,
		   &small, sizeof(small));
	for (i = 0; i < SENT; i++)
		send(fd, data, sizeof(data), 0);
	reaches(&w, SENT);
	send(fd, "last", 4, 0);
	reaches(&w, SENT);
	check("some were dropped", w.udp.count[UDP_DROPPED] > 0);
	check_eq("the flow counts as answered, once",
		 w.sched.answered[SCHED_OPEN_OTHERS], 1);
	check_eq("all are accounted for", w.udp.count[UDP_TO_GUEST] +
		 w.udp.count[UDP_DROPPED], SENT + 1);
	i = (unsigned int)w.udp.count[UDP_DROPPED];
	send(fd, "last", 4, 0);
	reaches(&w, SENT);
	check_eq("once", w.udp.count[UDP_DROPPED], i);

	for (i = 0; i < SENT; i++)
		send(fd, data, sizeof(data), 0);
	reaches(&w, SENT);
	check("those of the next 10 ms are counted later",
	      w.udp.count[UDP_TO_GUEST] + w.udp.count[UDP_DROPPED] <
	      2 * SENT + 2);
	guest_leaves(&w);
	check_eq("at the end of the flow at the latest",
		 w.udp.count[UDP_TO_GUEST] + w.udp.count[UDP_DROPPED],
		 2 * SENT + 2);
	close(fd);
	world_close(&w);
}

/* Given GSO batches of many tiny datagrams, and a guest that does not read,
 * then passt reads no more datagrams than the link has slots for. One batch is
 * read before, so that passt knows how many datagrams a batch has. */
static void story_tiny(void)
{
	static uint8_t data[64];
	uint16_t port = 0;
	struct world w;
	unsigned int i;
	int fd;

	printf("# tiny datagrams\n");
	world_open(&w, LIFE, ROOM);
	fd = begins(&w, 4006, GW4, "127.0.0.1", &port);
	if (says_gso(fd, data, sizeof(data), 1))
		events(&w, 1000);
	w.mem.stalled = true;
	for (i = 0; i < 60 && says_gso(fd, data, sizeof(data), 1); i++)
		;
	for (i = 0; i < 60; i++)
		events(&w, 0);
	check_eq("nothing is dropped for lack of slots",
		 w.tap.count[TAP_NO_SPACE], 0);
	close(fd);
	world_close(&w);
}

/* fill() - Fill the receive buffer of a flow's socket with datagrams of a
 * peer */
static void fill(int fd)
{
	static uint8_t data[1400];
	unsigned int i;

	for (i = 0; i < 100; i++)
		send(fd, data, sizeof(data), MSG_DONTWAIT);
}

/**
 * served() - Handle the events of one pass
 * @w:		test bench; frames that the guest has received are cleared
 * @port:	port of the peer of each flow
 *
 * Return: a mask; bit i is set if the guest received something of flow i
 */
static unsigned int served(struct world *w, const uint16_t *port)
{
	unsigned int bits = 0, i, j;
	struct seen s;

	events(w, 0);
	for (i = 0; nth(w, i, &s); i++)
		for (j = 0; j < FLOWS; j++)
			bits |= (unsigned int)(get_be16(s.l4) == port[j]) << j;
	memory_clear(&w->mem);
	return bits;
}

/* Given more data than the link takes in a pass, then all flows get similar
 * numbers of turns. Flows do not yield to a starved socket that has nothing to
 * read or was closed. */
static void story_turns(void)
{
	unsigned int had[FLOWS] = { 0 }, pass, i, bits, least = 100, most = 0;
	uint16_t port[FLOWS] = { 0 };
	struct udp_flow *uf;
	int fd[FLOWS];
	struct world w;
	char buf[2048];

	printf("# turns\n");
	world_open(&w, LIFE, 100 * 1024);
	for (i = 0; i < FLOWS; i++)
		fd[i] = begins(&w, 4003, GW4, "127.0.0.1", &port[i]);
	for (pass = 0; pass < 40; pass++) {
		for (i = 0; i < FLOWS; i++)
			fill(fd[i]);
		bits = served(&w, port);
		for (i = 0; i < FLOWS; i++)
			had[i] += bits >> i & 1;
	}
	for (i = 0; i < FLOWS; i++) {
		least = MIN(least, had[i]);
		most = MAX(most, had[i]);
	}
	check("no flow has more than twice the turns of another",
	      most <= 2 * least);
	check("a full link starves a socket", w.sched.starved_fd >= 0);

	for (i = 0; i < FLOWS; i++) {
		uf = flow_of(&w, 4003, GW4, port[i]);
		if (uf->flow.fd[SIDE_HOST] == w.sched.starved_fd)
			break;
	}
	while (i < FLOWS && recv(uf->flow.fd[SIDE_HOST], buf, sizeof(buf),
	       MSG_DONTWAIT) > 0)
		;
	for (bits = pass = 0; !bits && pass < SCHED_YIELDS; pass++)
		bits = served(&w, port);
	check("the others do not yield to one that has nothing left", bits);

	while (w.sched.starved_fd < 0) {
		for (i = 0; i < FLOWS; i++)
			fill(fd[i]);
		served(&w, port);
	}
	for (i = 0; i < FLOWS; i++) {
		uf = flow_of(&w, 4003, GW4, port[i]);
		if (uf->flow.fd[SIDE_HOST] == w.sched.starved_fd)
			break;
	}
	udp_flow_close(&w.udp, uf);
	check_eq("nor to one that was closed", w.sched.starved_fd, -1);
	for (i = 0; i < FLOWS; i++)
		close(fd[i]);
	world_close(&w);
}

int main(void)
{
	own_network();

	story_gso(GW4, "127.0.0.1");
	story_gso(GW6, "::1");
	story_headers(GW4, "127.0.0.1");
	story_headers(GW6, "::1");
	story_dropped();
	story_tiny();
	story_turns();
	return unit_end();
}
