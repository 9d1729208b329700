// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * udp.c - Tests of UDP flows between a guest and real sockets as peers: which
 * datagrams arrive, with which source, how long flows live, and which are
 * evicted first.
 */
#include <sys/resource.h>

#include "../../udp.c"
#include "test/unit/flows.h"

#define ROOM	(1 << 20)
#define LIFE	128		/* flows in the table; half may be UDP flows */

/* listens() - Forward a port of the host, which the kernel chooses, to the
 * guest's port @to, as listener_open() does; @port is set to the host's port */
static void listens(struct world *w, int family, const char *a, uint16_t *port,
		    uint16_t to)
{
	struct in6_addr bound = addr(a);
	union sockaddr_any sa;
	socklen_t len = sockaddr_set(&sa, &bound, 0, 0);
	int fd, one = 1;

	fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one,
			   sizeof(one));
	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	if (bind(fd, &sa.sa, len))
		fail("the test can bind a port", "%s", strerror(errno));
	len = sizeof(sa);
	getsockname(fd, &sa.sa, &len);
	sockaddr_get(&sa, &bound, port);
	put_listener(&w->fwd, fd, IPPROTO_UDP, *port, to);
}

/* Given a service on the host's loopback, when the guest sends a query to the
 * guest-visible address of loopback, then the service receives the query, and
 * the guest receives the answer from this address. */
static void story_query(const char *gw, const char *host)
{
	struct in6_addr from, loopback = addr(host);
	uint16_t port = 0, sport, query = 40053;
	struct udp_flow *uf;
	struct world w;
	struct seen s;
	char buf[64];
	int fd;

	printf("# a query to %s\n", host);
	world_open(&w, LIFE, ROOM);
	fd = peer_open(host, &port);
	sends(&w, query, gw, port, "question", 8);
	check_eq("the service receives the query",
		 peer_hears(fd, buf, sizeof(buf), &from, &sport), 8);
	check("unchanged", !memcmp(buf, "question", 8));
	check("from loopback", addr_eq(&from, &loopback));
	check_eq("from the guest's own port", sport, query);

	peer_says(fd, host, sport, "an answer", 9);
	events(&w, 1000);
	if (check("the guest receives the answer", nth(&w, 0, &s))) {
		check("headers and checksums are right", s.good);
		check("from the address it sent to", is_from(&s, gw));
		check_eq("from the port it sent to", get_be16(s.l4), port);
		check_eq("on the port it sent from", get_be16(s.l4 + 2),
			 query);
		check("unchanged", s.len == 17 &&
		      !memcmp(s.l4 + 8, "an answer", 9));
	}
	uf = flow_of(&w, query, gw, port);
	check("that was one flow, one-shot", uf && !uf->stream &&
	      w.udp.nflows == 1);
	close(fd);
	world_close(&w);
}

/* Given datagrams of different lengths in one burst from the guest, then all of
 * them arrive at the peer, in order and with their lengths. */
static void story_run(void)
{
	static const size_t sizes[] = { 1, 1400, 0, 1400, 1400, 9000, 3 };
	struct ip_hdr ip = { .src = addr(GUEST4), .dst = addr(GW4),
			     .proto = IPPROTO_UDP, .ttl = 64 };
	static uint8_t data[16384], buf[16384];
	uint8_t *frame[ARRAY_SIZE(sizes)];
	bool same = true;
	struct in6_addr from;
	uint16_t port = 0, sport;
	struct world w;
	unsigned int i;
	ssize_t n = 0;
	int fd;

	printf("# a batch of datagrams\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("127.0.0.1", &port);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(data, (int)i + 'a', sizeof(data));
		n = (ssize_t)make_udp(buf, 4000, port, data, sizes[i]);
		n = (ssize_t)make_frame(&ip, buf, (size_t)n, &frame[i]);
		memory_put(&w.mem, frame[i], (size_t)n);
	}
	hand_over(&w);
	for (i = 0; i < ARRAY_SIZE(sizes) && same; i++) {
		memset(data, (int)i + 'a', sizeof(data));
		n = peer_hears(fd, buf, sizeof(buf), &from, &sport);
		same = n == (ssize_t)sizes[i] && !memcmp(buf, data, sizes[i]);
		free(frame[i]);
	}
	check_eq("the whole batch arrives, in order, with its lengths", i,
		 ARRAY_SIZE(sizes));
	check("unchanged", same);
	check_eq("it is counted", w.udp.count[UDP_FROM_GUEST],
		 ARRAY_SIZE(sizes));
	close(fd);
	world_close(&w);
}

/* arrives() - Handle the events of one pass; returns whether the guest received
 * more frames in it */
static bool arrives(struct world *w)
{
	unsigned int before = w->mem.nsent;

	events(w, 1000);
	return w->mem.nsent > before;
}

/* Given many answers of different lengths at once, then the guest receives all
 * of them. */
static void story_burst(void)
{
	static uint8_t data[65000];
	uint16_t port = 0, sport;
	struct in6_addr from;
	unsigned int i, good = 0;
	struct world w;
	struct seen s;
	char buf[8];
	int fd;

	printf("# a burst of answers\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("127.0.0.1", &port);
	sends(&w, 4001, GW4, port, "go", 2);
	peer_hears(fd, buf, sizeof(buf), &from, &sport);
	for (i = 0; i < 100; i++) {
		memset(data, (int)i, sizeof(data));
		peer_says(fd, "127.0.0.1", sport, data, i * 13);
	}
	events(&w, 1000);
	check("the first read is not all", w.mem.nsent < 100);
	while (w.mem.nsent < 100 && arrives(&w))
		;
	for (i = 0; nth(&w, i, &s); i++)
		good += s.good && s.len == 8 + i * 13 &&
			(!i || s.l4[s.len - 1] == i);
	check_eq("a burst of 100 reaches the guest", i, 100);
	check_eq("in order, with the right lengths and checksums", good, 100);

	memory_clear(&w.mem);
	peer_says(fd, "127.0.0.1", sport, data, sizeof(data));
	events(&w, 1000);
	check("a datagram of 65,000 bytes", nth(&w, 0, &s) && s.good &&
	      s.len == 8 + sizeof(data));
	memory_clear(&w.mem);
	w.net.mtu = 1500;
	peer_says(fd, "127.0.0.1", sport, data, 1472);
	arrives(&w);
	check_eq("a datagram as long as the guest's MTU is one frame",
		 w.mem.nsent, 1);
	peer_says(fd, "127.0.0.1", sport, data, 1473);
	arrives(&w);
	check_eq("a longer one goes in fragments", w.mem.nsent, 3);
	close(fd);
	world_close(&w);
}

/* Given a guest that does not read its link, then passt reads no datagrams from
 * its sockets. When the guest reads again, all of them arrive. */
static void story_no_room(void)
{
	enum { DATAGRAMS = 90 };
	static uint8_t data[1000];
	uint16_t port = 0, sport;
	struct in6_addr from;
	unsigned int i, got;
	struct world w;
	char buf[8];
	int fd;

	printf("# a guest that does not read\n");
	world_open(&w, LIFE, 80 * 1024);
	fd = peer_open("127.0.0.1", &port);
	sends(&w, 4002, GW4, port, "go", 2);
	peer_hears(fd, buf, sizeof(buf), &from, &sport);
	for (i = 0; i < DATAGRAMS; i++)
		peer_says(fd, "127.0.0.1", sport, data, sizeof(data));
	w.mem.stalled = true;
	for (i = 0; i < DATAGRAMS; i++)
		events(&w, 0);
	check("datagrams that find no space are not read",
	      w.udp.count[UDP_TO_GUEST] < 80);
	check_eq("nor dropped", w.tap.count[TAP_NO_SPACE], 0);

	w.mem.stalled = false;
	for (i = got = 0; i < DATAGRAMS && got < DATAGRAMS; i++) {
		link_flush(w.mem.queue);
		got += w.mem.nsent;
		memory_clear(&w.mem);
		events(&w, 0);
	}
	check_eq("once the guest reads, all of them arrive", got, DATAGRAMS);
	close(fd);
	world_close(&w);
}

/* Given a payload for which the UDP checksum would be zero, then the checksum
 * field is 0xffff (RFC 768). */
static void story_checksum_zero(const char *gw, const char *host)
{
	uint16_t port = 0, sport, v;
	struct in6_addr from;
	struct world w;
	struct seen s;
	uint8_t data[2] = { 0, 0 };
	int fd;

	world_open(&w, LIFE, ROOM);
	fd = peer_open(host, &port);
	sends(&w, 4003, gw, port, "go", 2);
	peer_hears(fd, data, sizeof(data), &from, &sport);
	memset(data, 0, sizeof(data));
	peer_says(fd, host, sport, data, 2);
	events(&w, 1000);
	if (!nth(&w, 0, &s))
		fail("an answer for the checksum", "none came");
	else
		memcpy(data, s.l4 + 6, sizeof(v));	/* makes the sum 0 */
	memory_clear(&w.mem);
	peer_says(fd, host, sport, data, 2);
	events(&w, 1000);
	check("a checksum of zero is sent as 0xffff", nth(&w, 0, &s) &&
	      s.good && get_be16(s.l4 + 6) == 0xffff);
	close(fd);
	world_close(&w);
}

/* Given a datagram to a closed port, then the guest receives an ICMP error that
 * quotes the datagram. */
static void story_refused(const char *gw, const char *host)
{
	bool v4 = !strchr(gw, ':');
	size_t hlen = v4 ? 20 : 40;
	uint16_t port = 0;
	struct world w;
	struct seen s;
	int fd;

	printf("# a closed port of %s\n", host);
	world_open(&w, LIFE, ROOM);
	fd = peer_open(host, &port);
	close(fd);
	sends(&w, 4004, gw, port, "anybody?", 8);
	events(&w, 1000);
	if (check("a closed port is reported", nth(&w, 0, &s))) {
		check("headers and checksums are right", s.good);
		check("by the peer", is_from(&s, gw));
		check_eq("as an ICMP error", s.proto,
			 v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
		check_eq("of the right type", s.l4[0], v4 ? 3 : 1);
		check_eq("port unreachable", s.l4[1], v4 ? 3 : 4);
		check_eq("with the guest's port", get_be16(s.l4 + 8 + hlen),
			 4004);
		check_eq("and the peer's", get_be16(s.l4 + 10 + hlen), port);
	}

	/* The first error is pending when the second datagram is sent. */
	sends(&w, 4004, gw, port, "anybody?", 8);
	sends(&w, 4004, gw, port, "anybody?", 8);
	check_eq("the next datagram causes another error", w.mem.nsent, 1);
	check_eq("and leaves in spite of the pending one",
		 w.udp.count[UDP_FROM_GUEST], 3);
	world_close(&w);
}

/* Given a datagram to a peer without a route, then the guest receives an ICMP
 * error at once, which quotes the datagram. */
static void story_unreachable(const char *nowhere)
{
	bool v4 = !strchr(nowhere, ':');
	size_t hlen = v4 ? 20 : 40;
	static uint8_t data[2000];
	struct world w;
	struct seen s;

	printf("# no route to %s\n", nowhere);
	world_open(&w, LIFE, ROOM);
	sends(&w, 4005, nowhere, 53, data, sizeof(data));
	if (check("no route is reported", nth(&w, 0, &s))) {
		check("headers and checksums are right", s.good);
		check("by the guest's router", is_from(&s, v4 ? GW4 : GW6));
		check_eq("of the right type", s.l4[0], v4 ? 3 : 1);
		check_eq("network unreachable, no route", s.l4[1], 0);
		check_eq("of the greatest length allowed", s.len + hlen,
			 v4 ? 576 : 1280);
		check_eq("with the length of the datagram",
			 get_be16(s.l4 + 8 + hlen + 4), 8 + sizeof(data));
		check_eq("with the TTL it had", s.l4[8 + (v4 ? 8 : 7)], 61);
	}
	check_eq("and there is no flow", w.udp.nflows, 0);
	world_close(&w);
}

/* exchange() - Let the guest send as many datagrams as @out says, and then let
 * as many answers arrive as @in says */
static void exchange(struct world *w, int fd, uint16_t sport, uint16_t port,
		     unsigned int out, unsigned int in)
{
	struct in6_addr from;
	uint16_t at = 0;
	char buf[8];

	while (out--) {
		sends(w, sport, GW4, port, "q", 1);
		peer_hears(fd, buf, sizeof(buf), &from, &at);
	}
	while (in--) {
		peer_says(fd, "127.0.0.1", at, "a", 1);
		events(w, 1000);
	}
}

/* Given flows with different traffic, then one-shot flows end after ten seconds
 * and streams after three minutes. */
static void story_expiry(void)
{
	struct world w;
	uint16_t port = 0;
	int fd;

	printf("# how long flows live\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("127.0.0.1", &port);
	exchange(&w, fd, 5001, port, 1, 1);
	exchange(&w, fd, 5002, port, 2, 2);
	exchange(&w, fd, 5003, port, 3, 3);
	exchange(&w, fd, 5004, port, 1, 2);
	exchange(&w, fd, 5005, port, 9, 0);
	check("a query and its answer are one-shot",
	      !flow_of(&w, 5001, GW4, port)->stream);
	check("so are two queries at once, as a resolver sends them",
	      !flow_of(&w, 5002, GW4, port)->stream);
	check("three datagrams each way are a stream",
	      flow_of(&w, 5003, GW4, port)->stream);
	check("so are more answers than questions",
	      flow_of(&w, 5004, GW4, port)->stream);
	check("without an answer it is none",
	      !flow_of(&w, 5005, GW4, port)->stream);

	later(&w, 6 * SEC);
	exchange(&w, fd, 5001, port, 1, 0);
	later(&w, 4 * SEC);
	check("after 10 s an idle one-shot flow is gone",
	      !flow_of(&w, 5002, GW4, port));
	check("one used in between is left", flow_of(&w, 5001, GW4, port));
	later(&w, 6 * SEC);
	check("and ends 10 s after that", !flow_of(&w, 5001, GW4, port));
	check_eq("streams are left", w.udp.nflows, 2);
	later(&w, 100 * SEC);
	exchange(&w, fd, 5003, port, 1, 0);
	later(&w, 70 * SEC);
	check("a stream idle for 180 s is gone",
	      !flow_of(&w, 5004, GW4, port));
	check("one used in between is left", flow_of(&w, 5003, GW4, port));
	later(&w, 110 * SEC);
	check_eq("in the end no flow is left", w.udp.nflows, 0);
	check_eq("not in the table either", w.flows.used, 0);
	close(fd);
	world_close(&w);
}

/* Given as many flows as UDP may have, when another one begins, then the least
 * recently used one-shot flow is evicted. */
static void story_eviction(void)
{
	struct world w;
	uint16_t port = 0;
	unsigned int i;
	int fd;

	printf("# eviction\n");
	world_open(&w, 4 * UDP_SHARE, ROOM);
	fd = peer_open("127.0.0.1", &port);
	for (i = 0; i < 4; i++)
		exchange(&w, fd, (uint16_t)(6000 + i), port, 1, 0);
	exchange(&w, fd, 6000, port, 0, 1);
	exchange(&w, fd, 6001, port, 3, 3);
	exchange(&w, fd, 6000, port, 1, 0);

	exchange(&w, fd, 6004, port, 1, 0);
	check_eq("no more flows than the share allows", w.udp.nflows, 4);
	check("the least recently used one-shot flow is evicted", !flow_of(&w,
	      6002, GW4, port));
	check("not one that was used since", flow_of(&w, 6000, GW4, port));
	check_eq("it is counted", w.udp.count[UDP_EVICTED], 1);
	exchange(&w, fd, 6005, port, 1, 0);
	check("then the next one", !flow_of(&w, 6003, GW4, port));
	check("a stream stays", flow_of(&w, 6001, GW4, port));

	for (i = 0; i < 4; i++)
		exchange(&w, fd, (uint16_t)(6100 + i), port, 3, 3);
	check("in the end a flow is refused", w.udp.count[UDP_REFUSED] > 0);
	check_eq("streams only", w.udp.nflows, 4);
	i = (unsigned int)w.udp.count[UDP_REFUSED];
	sends(&w, 6200, GW4, port, "q", 1);
	check("among streams a new flow is refused",
	      !flow_of(&w, 6200, GW4, port));
	check_eq("and that is counted", w.udp.count[UDP_REFUSED], i + 1);
	close(fd);
	world_close(&w);
}

/* knocks() - Let a new peer send to a forwarded port; return the peer's port */
static uint16_t knocks(struct world *w, uint16_t forwarded)
{
	uint16_t port = 0;
	int fd = peer_open("127.0.0.1", &port);

	peer_says(fd, "127.0.0.1", forwarded, "hi", 2);
	events(w, 1000);
	close(fd);
	return port;
}

/* Given a flood at a forwarded port, then the flows of the flood take at most
 * half of UDP's share of the table. A new flow of the flood evicts another flow
 * of the flood, but none that the guest began. */
static void story_crowd(void)
{
	uint16_t port = 0, forwarded = 0, came[10];
	struct world w;
	unsigned int i;
	int fd;

	printf("# a flood at a forwarded port\n");
	world_open(&w, 8 * UDP_SHARE, ROOM);
	listens(&w, AF_INET, "127.0.0.1", &forwarded, 5000);
	fd = peer_open("127.0.0.1", &port);
	came[0] = knocks(&w, forwarded);
	for (i = 0; i < 2; i++)
		exchange(&w, fd, (uint16_t)(6500 + i), port, 1, 0);
	for (i = 1; i < 10; i++)
		came[i] = knocks(&w, forwarded);
	check_eq("it has half of the share", w.udp.nflows, 2 + 4);
	check("for the latest peers", flow_of(&w, 5000, GW4, came[9]) &&
	      flow_of(&w, 5000, GW4, came[6]) &&
	      !flow_of(&w, 5000, GW4, came[5]) &&
	      !flow_of(&w, 5000, GW4, came[0]));
	check("the guest's queries stay", flow_of(&w, 6500, GW4, port) &&
	      flow_of(&w, 6501, GW4, port));

	for (i = 2; i < 5; i++)
		exchange(&w, fd, (uint16_t)(6500 + i), port, 1, 0);
	check_eq("the guest has the other half", w.udp.nflows, 8);
	check("its oldest query is evicted for its latest",
	      !flow_of(&w, 6500, GW4, port) && flow_of(&w, 6501, GW4, port) &&
	      flow_of(&w, 6504, GW4, port));
	check("not a flow of the flood", flow_of(&w, 5000, GW4, came[6]));
	came[0] = knocks(&w, forwarded);
	check("a flow of the flood is evicted for another one", flow_of(&w,
	      5000, GW4, came[0]) &&
	      !flow_of(&w, 5000, GW4, came[6]) &&
	      flow_of(&w, 6501, GW4, port));

	later(&w, 10 * SEC);
	check_eq("all expire", w.udp.nflows, 0);
	for (i = 0; i < 8; i++)
		exchange(&w, fd, (uint16_t)(6510 + i), port, 1, 0);
	came[0] = knocks(&w, forwarded);
	check("where the guest has the whole share no peer gets a flow",
	      !flow_of(&w, 5000, GW4, came[0]) && w.udp.nflows == 8);
	check_eq("it is counted", w.udp.count[UDP_REFUSED], 1);
	close(fd);
	world_close(&w);
}

/* Given a guest that opens too many flows, then its datagram is dropped; later,
 * one opens a flow. */
static void story_too_many_flows(void)
{
	uint16_t port = 0, sport;
	struct in6_addr from;
	struct world w;
	char buf[16];
	int fd;

	printf("# too many flows\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("127.0.0.1", &port);
	too_many(&w);
	sends(&w, 40000, GW4, port, "question", 8);
	check_eq("no flow is opened", w.flows.used, 0);
	check_eq("that is counted", w.udp.count[UDP_REFUSED], 1);
	later(&w, 700);
	sends(&w, 40000, GW4, port, "question", 8);
	check_eq("after a while, there is a flow", w.flows.used, 1);
	check_eq("which carries the datagram",
		 peer_hears(fd, buf, sizeof(buf), &from, &sport), 8);
	check("its time is counted", w.sched.open_left[SCHED_OPEN_OTHERS] < SCHED_OPEN_MAX);
	close(fd);
	world_close(&w);
}

/* Given that no descriptor is left, when a flow needs one, then the oldest flow
 * that has a descriptor is evicted. */
static void story_descriptors(void)
{
	struct rlimit few, before;
	uint16_t port = 0;
	struct world w;
	unsigned int i;
	int fd;

	printf("# no descriptor left\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("127.0.0.1", &port);
	exchange(&w, fd, 6300, port, 1, 0);
	exchange(&w, fd, 6301, port, 1, 0);
	getrlimit(RLIMIT_NOFILE, &before);
	few = before;
	few.rlim_cur = (rlim_t)flow_of(&w, 6301, GW4,
			port)->flow.fd[SIDE_HOST] + 1;
	setrlimit(RLIMIT_NOFILE, &few);
	exchange(&w, fd, 6302, port, 1, 0);
	check("the oldest flow is evicted for its descriptor",
	      !flow_of(&w, 6300, GW4, port) && flow_of(&w, 6301, GW4, port) &&
	      flow_of(&w, 6302, GW4, port));

	setrlimit(RLIMIT_NOFILE, &before);
	w.udp.fds = 80;
	for (i = 0; i < 60; i++)
		exchange(&w, fd, (uint16_t)(6310 + i), port, 1, 0);
	check_eq("half of the descriptors are not used", w.udp.nsockets, 40);
	check("the latest flows have them", flow_of(&w, 6369, GW4, port) &&
	      flow_of(&w, 6330, GW4, port) && !flow_of(&w, 6329, GW4, port));
	close(fd);
	world_close(&w);
}

/* Given that no descriptor is left, when a flow needs one, then flows without a
 * descriptor are not evicted, because that would not free one. */
static void story_no_descriptor_to_give(void)
{
	uint16_t port = 0, forwarded = 0, other;
	struct rlimit few, before;
	struct world w;
	int fd, peer[3];
	unsigned int i;

	printf("# no descriptor left, and flows that have none\n");
	world_open(&w, LIFE, ROOM);
	listens(&w, AF_INET, "127.0.0.1", &forwarded, 5000);
	fd = peer_open("127.0.0.1", &port);
	for (i = 0; i < ARRAY_SIZE(peer); i++) {
		other = 0;
		peer[i] = peer_open("127.0.0.1", &other);
		peer_says(peer[i], "127.0.0.1", forwarded, "hi", 2);
	}
	events(&w, 1000);
	check_eq("three flows of a forwarded port", w.udp.nflows, 3);
	exchange(&w, fd, 6400, port, 1, 0);
	getrlimit(RLIMIT_NOFILE, &before);
	few = before;
	few.rlim_cur = (rlim_t)flow_of(&w, 6400, GW4,
			port)->flow.fd[SIDE_HOST] + 1;
	setrlimit(RLIMIT_NOFILE, &few);
	exchange(&w, fd, 6401, port, 3, 3);
	check("the oldest flow that has one is evicted",
	      !flow_of(&w, 6400, GW4, port) && flow_of(&w, 6401, GW4, port));
	check_eq("and no other flow ends", w.udp.nflows, 4);
	sends(&w, 6402, GW4, port, "q", 1);
	check("if only streams have one, a new flow is refused",
	      !flow_of(&w, 6402, GW4, port));
	check_eq("and no other flow ends", w.udp.nflows, 4);
	setrlimit(RLIMIT_NOFILE, &before);
	for (i = 0; i < ARRAY_SIZE(peer); i++)
		close(peer[i]);
	close(fd);
	world_close(&w);
}

/* When the guest leaves, then its flows end, and their sockets are closed. */
static void story_guest_gone(void)
{
	uint16_t port = 0;
	struct world w;
	int fd, next;

	printf("# the guest leaves\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("127.0.0.1", &port);
	next = dup(fd);
	close(next);
	exchange(&w, fd, 6400, port, 1, 1);
	exchange(&w, fd, 6401, port, 3, 3);
	guest_leaves(&w);
	check_eq("all flows are closed", w.udp.nflows, 0);
	check_eq("none is in the table", w.flows.used, 0);
	check("no timer is armed", timers_wait(&w.timers, w.now) < 0);
	check_eq("descriptors are free again", dup(fd), next);
	close(next);
	close(fd);
	world_close(&w);
}

/* Given a datagram to an address or a port that no peer can have, or from port
 * 0, then passt drops it without an answer. */
static void story_impossible(void)
{
	static const struct {
		const char *what, *dst;
		uint16_t sport, dport;
	} c[] = {
		{ "to port 0", GW4, 7000, 0 },
		{ "from port 0", GW4, 0, 53 },
		{ "to a group", "224.0.0.251", 5353, 5353 },
		{ "to a group over IPv6", "ff02::fb", 5353, 5353 },
		{ "to everybody", "255.255.255.255", 7000, 53 },
		{ "to loopback", "127.0.0.1", 7000, 53 },
		{ "to loopback over IPv6", "::1", 7000, 53 },
		{ "to the subnet's broadcast", "127.255.255.255", 7000, 53 },
	};
	struct world w;
	unsigned int i;

	printf("# impossible addresses\n");
	world_open(&w, LIFE, ROOM);
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		sends(&w, c[i].sport, c[i].dst, c[i].dport, "x", 1);
		check_eq(c[i].what, w.udp.count[UDP_IMPOSSIBLE] +
			 w.udp.count[UDP_MULTICAST], i + 1);
	}
	check_eq("groups are counted by themselves",
		 w.udp.count[UDP_MULTICAST], 3);
	check("nothing is answered", !w.mem.nsent);
	check_eq("no flow begins", w.flows.used, 0);
	world_close(&w);
}

/* Given a forwarded port, when a peer sends a datagram to one of the host's
 * addresses, then the guest receives it, and the guest's answer leaves from the
 * same address of the host (U5). */
static void story_forward(int family, const char *bound, const char *local,
			  const char *gw)
{
	struct in6_addr from, want = addr(local);
	uint16_t port = 0, peer = 0, sport;
	struct world w;
	struct seen s;
	char buf[16];
	int fd;

	printf("# forwarded: socket on %s, sent to %s\n", bound, local);
	world_open(&w, LIFE, ROOM);
	listens(&w, family, bound, &port, 5000);
	fd = peer_open(strchr(local, ':') ? "::1" : "127.0.0.1", &peer);
	peer_says(fd, local, port, "knock", 5);
	events(&w, 1000);
	if (check("the guest receives the datagram", nth(&w, 0, &s))) {
		check("headers and checksums are right", s.good);
		check("from the host", is_from(&s, gw));
		check_eq("with the peer's port", get_be16(s.l4), peer);
		check_eq("on the port it leads to", get_be16(s.l4 + 2), 5000);
	}
	sends(&w, 5000, gw, peer, "who?", 4);
	check_eq("the peer receives the answer",
		 peer_hears(fd, buf, sizeof(buf), &from, &sport), 4);
	check("from the address it sent to", addr_eq(&from, &want));
	check_eq("and the port", sport, port);
	check_eq("all in one flow, without a descriptor", w.udp.nflows, 1);
	check("which is of the listener",
	      flow_of(&w, 5000, gw, peer)->flow.fd[SIDE_HOST] == -1);
	later(&w, 10 * SEC);
	check_eq("one-shot", w.udp.nflows, 0);
	close(fd);
	world_close(&w);
}

/* Given a flow through a forwarded port, when the port's listener is closed,
 * and another listener takes over the slot of the closed listener, then the
 * flow opens a socket of its own for the guest's next datagram. */
static void story_port_closed(void)
{
	uint16_t port = 0, other = 0, peer = 0, sport;
	struct in6_addr from;
	struct world w;
	char buf[16];
	int fd;

	printf("# a forwarded port is closed\n");
	world_open(&w, LIFE, ROOM);
	listens(&w, AF_INET6, "::", &port, 5000);
	fd = peer_open("127.0.0.1", &peer);
	peer_says(fd, "127.0.0.1", port, "knock", 5);
	events(&w, 1000);
	check("a flow of the port", flow_of(&w, 5000, GW4, peer));

	listener_close(&w.fwd, 0);
	w.fwd.top = 0;
	listens(&w, AF_INET6, "::", &other, 5001);
	w.fwd.listeners[0].gen = 2;
	check_eq("its flow sends by no socket",
		 udp_flow_fd(&w.udp, flow_of(&w, 5000, GW4, peer)), -1);
	sends(&w, 5000, GW4, peer, "who?", 4);
	check_eq("the peer hears the guest",
		 peer_hears(fd, buf, sizeof(buf), &from, &sport), 4);
	check("not from the closed port, and not from the port in its slot",
	      sport != port && sport != other);
	check("the flow has a socket of its own",
	      flow_of(&w, 5000, GW4, peer)->flow.fd[SIDE_HOST] >= 0);
	sends(&w, 5001, GW4, peer, "me?", 3);
	check_eq("the guest speaks from the port that is forwarded now",
		 peer_hears(fd, buf, sizeof(buf), &from, &sport), 3);
	check_eq("which is that of the host", sport, other);
	close(fd);
	world_close(&w);
}

/* Given a forwarded port, but no guest, or a guest whose address is not known,
 * then datagrams to the port are dropped. */
static void story_nobody(void)
{
	uint16_t port = 0, peer = 0;
	struct world w;
	int fd;

	printf("# forwarded without a guest\n");
	world_open(&w, LIFE, ROOM);
	listens(&w, AF_INET, "127.0.0.1", &port, 5000);
	fd = peer_open("127.0.0.1", &peer);
	w.tap.guest.own[GUEST_IP4].addr = ADDR_NONE;
	peer_says(fd, "127.0.0.1", port, "knock", 5);
	events(&w, 1000);
	check_eq("without an address of the guest it is dropped",
		 w.udp.count[UDP_NO_GUEST], 1);

	link_close(&w.mem.link);
	peer_says(fd, "127.0.0.1", port, "knock", 5);
	peer_says(fd, "127.0.0.1", port, "knock", 5);
	udp_listener(&w.udp, w.fwd.listeners, EPOLLIN, w.now);
	check_eq("without a guest, too", w.udp.count[UDP_NO_GUEST], 3);
	check_eq("no flow begins", w.udp.nflows, 0);
	close(fd);
	world_close(&w);
}

/* Given a flow that the guest began, when its peer sends a datagram through a
 * forwarded port, then the flow keeps its own socket. */
static void story_own_socket_stays(void)
{
	uint16_t port = 0, peer = 0, sport;
	struct in6_addr from;
	struct world w;
	char buf[8];
	int fd;

	printf("# a forwarded port and a flow that the guest began\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("127.0.0.1", &peer);
	sends(&w, 5000, GW4, peer, "first", 5);
	listens(&w, AF_INET, "127.0.0.1", &port, 5000);
	peer_hears(fd, buf, sizeof(buf), &from, &sport);
	peer_says(fd, "127.0.0.1", port, "knock", 5);
	events(&w, 1000);
	check_eq("the guest receives it", w.mem.nsent, 1);
	check_eq("in the same flow", w.udp.nflows, 1);
	sends(&w, 5000, GW4, peer, "again", 5);
	peer_hears(fd, buf, sizeof(buf), &from, &port);
	check_eq("which sends from the same port as before", port, sport);
	close(fd);
	world_close(&w);
}

/* Given a port of the host that is forwarded to a port of the guest, when the
 * guest sends from its port to a new peer, then the datagram leaves from the
 * forwarded port of the host. */
static void story_from_forwarded(int family, const char *bound,
				 const char *host, const char *gw)
{
	uint16_t port = 0, peer = 0, sport;
	struct in6_addr from;
	struct world w;
	struct seen s;
	char buf[8];
	int fd;

	printf("# from a forwarded port on %s to %s\n", bound, host);
	world_open(&w, LIFE, ROOM);
	listens(&w, family, bound, &port, 5000);
	fd = peer_open(host, &peer);
	sends(&w, 5000, gw, peer, "hello", 5);
	check_eq("the peer receives the datagram",
		 peer_hears(fd, buf, sizeof(buf), &from, &sport), 5);
	check_eq("from the forwarded port", sport, port);
	peer_says(fd, host, sport, "hi", 2);
	events(&w, 1000);
	check("the guest receives the answer", nth(&w, 0, &s) && s.good &&
	      is_from(&s, gw) && s.len == 8 + 2);
	check_eq("all in one flow", w.udp.nflows, 1);
	check("which is a query and its answer",
	      !flow_of(&w, 5000, gw, peer)->stream);

	sends(&w, 5001, gw, peer, "hello", 5);
	peer_hears(fd, buf, sizeof(buf), &from, &sport);
	check_eq("another port of the guest has its own socket", sport, 5001);
	strcpy(w.fwd.ends[0].ifname, "lo");
	free(w.udp.port_index);
	w.udp.port_index = NULL;
	later(&w, 10 * SEC);
	sends(&w, 5000, gw, peer, "hello", 5);
	peer_hears(fd, buf, sizeof(buf), &from, &sport);
	check("a port bound to one interface does not send to all peers",
	      sport != port);
	close(fd);
	world_close(&w);
}

int main(void)
{
	bool alone = own_network();

	story_query(GW4, "127.0.0.1");
	story_query(GW6, "::1");
	story_run();
	story_burst();
	story_no_room();
	story_checksum_zero(GW4, "127.0.0.1");
	story_checksum_zero(GW6, "::1");
	story_refused(GW4, "127.0.0.1");
	story_refused(GW6, "::1");
	if (alone) {
		story_unreachable(NOWHERE4);
		story_unreachable(NOWHERE6);
	} else {
		skip("no route is reported", "no network namespace allowed");
	}
	story_expiry();
	story_eviction();
	story_crowd();
	story_too_many_flows();
	story_descriptors();
	story_no_descriptor_to_give();
	story_guest_gone();
	story_impossible();
	story_forward(AF_INET, "0.0.0.0", "127.0.0.9", GW4);
	story_forward(AF_INET6, "::", "127.0.0.9", GW4);
	story_forward(AF_INET6, "::", "::1", GW6);
	story_port_closed();
	story_nobody();
	story_own_socket_stays();
	story_from_forwarded(AF_INET, "0.0.0.0", "127.0.0.1", GW4);
	story_from_forwarded(AF_INET6, "::", "127.0.0.1", GW4);
	story_from_forwarded(AF_INET6, "::", "::1", GW6);
	return unit_end();
}
