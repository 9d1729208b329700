// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * udp_flow.c - Tests of the port of the host that a guest's UDP flow has: which
 * one it is, which flows share it, and what is received there. The sockets of
 * passt, of peers and the foreign ones are real.
 */
#include <sys/socket.h>

static int late_connect(int fd, const struct sockaddr *sa, socklen_t len);
static ssize_t more(int fd, void *buf, size_t len, int flags);

#include "sock.h"

#define connect	late_connect
#define sock_recv	more
#include "../../udp/flow.c"
#undef sock_recv
#undef connect
#include "test/unit/flows.h"

#define ROOM	(1 << 20)
#define LIFE	128
#define PEERS	5

/* Two addresses of a guest with different prefixes, but the same interface
 * identifier (EUI-64). */
#define ALIKE_A		"2001:db8:1::5054:ff:fe12:3456"
#define ALIKE_B		"2001:db8:2::5054:ff:fe12:3456"

/* Foreign sockets that send to each socket of passt after bind(), but before
 * connect(), each from another port; the last has another address and the
 * peer's port; -1: none. */
#define QUICK	24
static int quick[QUICK] = { -1 };

/* What they send: to a resolver's client, it is the answer to the query 1. */
static const uint8_t forged[12] = { 0, 1, 0x80 };

/* How many more times sock_recv() of the code under test finds a datagram. */
static unsigned int flood;

/* more() - Do as sock_recv(), or return an empty datagram if @flood is not
 * zero */
static ssize_t more(int fd, void *buf, size_t len, int flags)
{
	if (!flood)
		return recv(fd, buf, len, flags);
	flood--;
	return 0;
}

/* quick_open() - Open foreign sockets beside the peer 127.0.0.1 with a port */
static void quick_open(uint16_t port)
{
	uint16_t other;
	unsigned int i;

	for (i = 0; i < QUICK - 1; i++) {
		other = 0;
		quick[i] = peer_open("127.0.0.1", &other);
	}
	quick[i] = peer_open("127.0.0.2", &port);
}

static void quick_close(void)
{
	unsigned int i;

	for (i = 0; i < QUICK; i++)
		close(quick[i]);
	quick[0] = -1;
}

/* late_connect() - Let the foreign sockets send to this socket, and then do as
 * connect(). If the socket has no port yet, connect() itself chooses one first,
 * as bind() does here */
static int late_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	static const struct sockaddr_in any = { .sin_family = AF_INET };
	struct in6_addr own;
	unsigned int i;
	uint16_t port;

	if (quick[0] >= 0 && sock_name(fd, &own, &port)) {
		if (!port)
			bind(fd, (const struct sockaddr *)&any, sizeof(any));
		sock_name(fd, &own, &port);
		for (i = 0; i < QUICK; i++)
			peer_says(quick[i], "127.0.0.1", port, forged,
				  sizeof(forged));
	}
	return connect(fd, sa, len);
}

/* asks() - Let the guest send a datagram to a peer; return the source port with
 * which the peer receives it */
static uint16_t asks(struct world *w, int fd, uint16_t sport, const char *gw,
		     uint16_t port)
{
	struct in6_addr from;
	uint16_t at = 0;
	char buf[8];

	sends(w, sport, gw, port, "hello", 5);
	peer_hears(fd, buf, sizeof(buf), &from, &at);
	return at;
}

/* asks_as() - Let the guest send a datagram from its address @guest to GW6, the
 * address by which it reaches the host. The peer is a socket of the host.
 * Return the source port with which the peer receives the datagram */
static uint16_t asks_as(struct world *w, int fd, const char *guest,
			uint16_t sport, uint16_t port)
{
	static uint8_t l4[64];
	struct in6_addr from;
	uint16_t at = 0;
	char buf[8];
	size_t len = make_udp(l4, sport, port, "hello", 5);

	sends_ip(w, guest, GW6, IPPROTO_UDP, l4, len);
	peer_hears(fd, buf, sizeof(buf), &from, &at);
	return at;
}

/* foreign_open() - Open a foreign socket that allows any other to share its
 * port; -1: it can't be bound to the port */
static int foreign_open(const char *any, uint16_t port)
{
	struct in6_addr a = addr(any);
	union sockaddr_any sa;
	socklen_t len = sockaddr_set(&sa, &a, port, 0);
	int fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (sa.sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (!bind(fd, &sa.sa, len))
		return fd;
	close(fd);
	return -1;
}

/* exclusive() - Whether a port is free: no socket has it */
static bool exclusive(const char *any, uint16_t port)
{
	int fd = peer_open(any, &port);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* When the guest sends from one port to many peers, then all of them see the
 * same source port, the guest receives each answer from the right peer, and
 * when the flows have ended, the port is free. */
static void story_one_port(const char *gw, const char *host, const char *any)
{
	uint16_t port[PEERS] = { 0 }, same = 0, right = 0;
	int fd[PEERS], other;
	struct world w;
	struct seen s;
	unsigned int i;

	printf("# one port to many at %s\n", host);
	world_open(&w, LIFE, ROOM);
	for (i = 0; i < PEERS; i++) {
		fd[i] = peer_open(host, &port[i]);
		same += asks(&w, fd[i], 4500, gw, port[i]) == 4500;
	}
	check_eq("all peers see the guest's port", same, PEERS);
	for (i = 0; i < PEERS; i++) {
		memory_clear(&w.mem);
		peer_says(fd[i], host, 4500, "answer", 6);
		events(&w, 1000);
		right += nth(&w, 0, &s) && s.good &&
			 get_be16(s.l4) == port[i] &&
			 get_be16(s.l4 + 2) == 4500;
	}
	check_eq("each answers as itself", right, PEERS);
	check("the port is taken", !exclusive(any, 4500));
	later(&w, 10 * SEC);
	check_eq("all flows end", w.udp.nflows, 0);
	check("then the port is free", exclusive(any, 4500));
	other = foreign_open(any, 4500);
	same = asks(&w, fd[0], 4500, gw, port[0]);
	check("and not the guest's if a foreign socket has it", same &&
	      same != 4500);
	close(other);
	for (i = 0; i < PEERS; i++)
		close(fd[i]);
	world_close(&w);
}

/* Given a foreign socket that allows others to share its port, then the guest's
 * flow has a different port, and the guest does not receive what is sent to the
 * foreign socket. */
static void story_stranger_first(const char *gw, const char *host,
				 const char *any)
{
	uint16_t port = 0, at;
	struct in6_addr from;
	struct world w;
	char buf[8];
	int fd, other;

	printf("# a foreign socket has the port on %s\n", any);
	world_open(&w, LIFE, ROOM);
	fd = peer_open(host, &port);
	other = foreign_open(any, 4501);
	at = asks(&w, fd, 4501, gw, port);
	check("the guest has another port", at && at != 4501);
	peer_says(fd, host, 4501, "yours", 5);
	check_eq("the foreign socket keeps what is sent to it",
		 peer_hears(other, buf, sizeof(buf), &from, &at), 5);
	events(&w, 0);
	check_eq("the guest does not receive it", w.mem.nsent, 0);
	close(other);
	close(fd);
	world_close(&w);
}

/* When a foreign socket is bound to the port of a guest's flow, to share it,
 * then the guest still receives from its peer, and the foreign socket from all
 * others. */
static void story_stranger_later(const char *gw, const char *host,
				 const char *any)
{
	uint16_t port = 0, third = 0, at;
	struct in6_addr from;
	struct world w;
	char buf[8];
	int fd, other, who;

	printf("# a foreign socket comes to the port on %s\n", any);
	world_open(&w, LIFE, ROOM);
	fd = peer_open(host, &port);
	who = peer_open(host, &third);
	asks(&w, fd, 4502, gw, port);
	other = foreign_open(any, 4502);
	memory_clear(&w.mem);
	peer_says(fd, host, 4502, "answer", 6);
	events(&w, 1000);
	check_eq("the guest receives from its peer", w.mem.nsent, 1);
	memory_clear(&w.mem);
	peer_says(who, host, 4502, "yours", 5);
	check("the foreign socket receives from others", other < 0 ||
	      peer_hears(other, buf, sizeof(buf), &from, &at) == 5);
	events(&w, 0);
	check_eq("the guest does not", w.mem.nsent, 0);
	if (other >= 0)
		close(other);
	close(who);
	close(fd);
	world_close(&w);
}

/* Given two flows that share a port of the host, then no foreign socket can be
 * bound to this port. If it could, and connected to a peer of the guest, then
 * it would receive the answers of that peer. */
static void story_thief(const char *gw, const char *host, const char *any)
{
	uint16_t port[2] = { 0 }, i;
	struct world w;
	int fd[2], other;

	printf("# a foreign socket wants the guest's peer on %s\n", any);
	world_open(&w, LIFE, ROOM);
	for (i = 0; i < 2; i++) {
		fd[i] = peer_open(host, &port[i]);
		check_eq("the guest's port is shared",
			 asks(&w, fd[i], 4507, gw, port[i]), 4507);
	}
	other = foreign_open(any, 4507);
	check("but not with a foreign socket", other < 0);
	memory_clear(&w.mem);
	peer_says(fd[0], host, 4507, "answer", 6);
	events(&w, 1000);
	check_eq("and the guest receives from its peer", w.mem.nsent, 1);
	if (other >= 0)
		close(other);
	close(fd[0]);
	close(fd[1]);
	world_close(&w);
}

/* Given flows from two addresses of the guest, or to two guest-visible
 * addresses of one peer, then they do not share a port of the host: passt could
 * not tell which flow an answer is for. */
static void story_alike(void)
{
	static uint8_t l4[64];
	uint16_t port = 0, at = 0;
	struct in6_addr from;
	struct world w;
	char buf[8];
	size_t len;
	int fd;

	printf("# flows that would look the same outside\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("127.0.0.1", &port);
	check_eq("the first address has the port",
		 asks(&w, fd, 4503, GW4, port), 4503);
	len = make_udp(l4, 4503, port, "hello", 5);
	sends_ip(&w, "192.0.2.16", GW4, IPPROTO_UDP, l4, len);
	peer_hears(fd, buf, sizeof(buf), &from, &at);
	check("another address has another port", at && at != 4503);
	close(fd);

	port = 53;
	fd = peer_open("127.0.0.1", &port);
	if (fd < 0) {
		skip("two addresses of a resolver", "port 53 is not free");
		world_close(&w);
		return;
	}
	net_put_pair(&w.net, "192.0.2.3", "127.0.0.1", NAT_DNS_PORTS);
	check_eq("a resolver by its own address",
		 asks(&w, fd, 4504, "192.0.2.3", 53), 4504);
	at = asks(&w, fd, 4504, GW4, 53);
	check("by the host's address it sees another port", at && at != 4504);
	peer_says(fd, "127.0.0.1", 4504, "answer", 6);
	events(&w, 1000);
	check("and answers from the address that was used",
	      flow_of(&w, 4504, "192.0.2.3", 53)->nanswered == 1 &&
	      flow_of(&w, 4504, GW4, 53)->nanswered == 0);
	check_eq("the host by its address", asks(&w, fd, 4506, GW4, 53), 4506);
	at = asks(&w, fd, 4506, "192.0.2.3", 53);
	check("as a resolver it sees another port", at && at != 4506);
	close(fd);
	world_close(&w);
}

/* Given two addresses of the guest with the same interface identifier, then
 * each has a different port of the host, and receives its own answers. */
static void story_end_alike(void)
{
	struct in6_addr first = addr(ALIKE_A), second = addr(ALIKE_B);
	uint16_t port = 0, at;
	struct world w;
	struct seen s;
	int fd;

	printf("# addresses with the same end\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("::1", &port);
	check_eq("the first address has the port",
		 asks_as(&w, fd, ALIKE_A, 4508, port), 4508);
	at = asks_as(&w, fd, ALIKE_B, 4508, port);
	check("another address has another port", at && at != 4508);
	memory_clear(&w.mem);
	peer_says(fd, "::1", 4508, "answer", 6);
	events(&w, 1000);
	check("the first receives its answer", nth(&w, 0, &s) &&
	      addr_eq(&s.dst, &first));
	memory_clear(&w.mem);
	peer_says(fd, "::1", at, "answer", 6);
	events(&w, 1000);
	check("and the other one its own", nth(&w, 0, &s) &&
	      addr_eq(&s.dst, &second));
	close(fd);
	world_close(&w);
}

/* events_all() - Handle all events of sockets, and those that they cause */
static void events_all(struct world *w)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		events(w, 10);
}

/* Given foreign datagrams that reach a socket before it is connected, then the
 * guest does not receive them, only those that the peer sends after them. */
static void story_early(void)
{
	uint16_t port = 0;
	struct world w;
	struct seen s;
	int fd;

	printf("# datagrams before connect()\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("127.0.0.1", &port);
	quick_open(port);
	check_eq("the guest sends a query", asks(&w, fd, 4505, GW4, port),
		 4505);
	events_all(&w);
	check_eq("earlier datagrams are dropped", w.mem.nsent, 0);
	peer_says(fd, "127.0.0.1", 4505, "answer", 6);
	events_all(&w);
	check_eq("an answer arrives", w.mem.nsent, 1);

	check_eq("the guest sends another query",
		 asks(&w, fd, 4506, GW4, port), 4506);
	peer_says(fd, "127.0.0.1", 4506, "answer", 6);
	memory_clear(&w.mem);
	events_all(&w);
	check_eq("if the answer waits behind them, one datagram arrives",
		 w.mem.nsent, 1);
	check("and that is the answer", nth(&w, 0, &s) && s.len == 8 + 6 &&
	      !memcmp(s.l4 + 8, "answer", 6));
	quick_close();
	close(fd);
	world_close(&w);
}

/* Given forged answers that reach a resolver's client before it is connected,
 * then they answer no query, neither in the first socket of the flow nor in the
 * next one, which leads to another resolver. */
static void story_early_answer(void)
{
	static const char *const resolver[] = { "127.0.0.11", "127.0.0.12" };
	static const uint8_t query[12] = { 0, 1 }, unasked[12] = { 0, 2, 0x80 };
	uint16_t dns = 53, port = 0;
	struct resolvers current;
	struct in6_addr from;
	unsigned int i;
	struct world w;
	uint8_t buf[16];
	int fd[2];

	printf("# answers before connect()\n");
	world_open(&w, LIFE, ROOM);
	net_put_pair(&w.net, "192.0.2.53", resolver[0], NAT_DNS_PORTS);
	for (i = 0; i < 2; i++) {
		w.net.forward[IP4][i] = addr(resolver[i]);
		fd[i] = peer_open(resolver[i], &dns);
	}
	resolvers_init(&current, &w.net);
	w.udp.resolvers = &current;
	quick_open(dns);

	sends(&w, 4510, "192.0.2.53", dns, query, sizeof(query));
	peer_hears(fd[0], buf, sizeof(buf), &from, &port);
	peer_says(fd[0], "127.0.0.1", port, unasked, sizeof(unasked));
	events_all(&w);
	check_eq("the guest gets only what the resolver sends", w.mem.nsent, 1);
	check_eq("and the query stays", w.udp.nqueries, 1);
	memory_clear(&w.mem);
	peer_says(fd[0], "127.0.0.1", port, forged, sizeof(forged));
	events_all(&w);
	check("until the resolver answers it",
	      !w.udp.nqueries && w.mem.nsent == 1);

	memory_clear(&w.mem);
	sends(&w, 4510, "192.0.2.53", dns, query, sizeof(query));
	later(&w, UDP_DNS_WAIT);
	check("the next query goes to the second resolver, too",
	      peer_hears(fd[1], buf, sizeof(buf), &from, &port) > 0);
	events_all(&w);
	check("there, too, forged answers are dropped",
	      !w.mem.nsent && w.udp.nqueries == 1);
	peer_says(fd[1], "127.0.0.1", port, forged, sizeof(forged));
	events_all(&w);
	check("until this resolver answers",
	      !w.udp.nqueries && w.mem.nsent == 1);
	quick_close();
	close(fd[0]);
	close(fd[1]);
	world_close(&w);
}

/* Given a TFTP server that answers from another port, and foreign datagrams
 * that reach the socket for this answer before it is connected, then the guest
 * receives only the answer. The sockets share a port, so the kernel gives some
 * of these datagrams to the first socket, and some to the new one. */
static void story_early_transfer(void)
{
	uint16_t server = 69, transfer = 0, at = 0;
	struct in6_addr from;
	int fd, answer;
	struct world w;
	char buf[8];

	printf("# datagrams before the answer of a TFTP server\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("127.0.0.1", &server);
	answer = peer_open("127.0.0.1", &transfer);
	sends(&w, 4511, GW4, server, "read", 4);
	peer_hears(fd, buf, sizeof(buf), &from, &at);
	check("the server has got the request", at);
	quick_open(transfer);
	peer_says(answer, "127.0.0.1", at, "data", 4);
	memory_clear(&w.mem);
	events_all(&w);
	check_eq("only the answer reaches the guest", w.mem.nsent, 1);
	check("some datagrams reached the first socket, and some the other",
	      w.udp.count[UDP_UNASKED] &&
	      w.udp.count[UDP_UNASKED] < QUICK);
	quick_close();
	close(fd);
	close(answer);
	world_close(&w);
}

/* Given a foreign socket that sends as fast as passt discards its datagrams,
 * then passt stops discarding them, and sends the guest's query. */
static void story_flood(void)
{
	uint16_t port = 0;
	struct world w;
	int fd;

	printf("# a flood before the first datagram\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("127.0.0.1", &port);
	flood = 1000000;
	check_eq("the guest sends a query", asks(&w, fd, 4509, GW4, port),
		 4509);
	check("not all of the flood is discarded", flood);
	flood = 0;
	close(fd);
	world_close(&w);
}

int main(void)
{
	own_network();

	story_one_port(GW4, "127.0.0.1", "0.0.0.0");
	story_one_port(GW6, "::1", "::");
	story_stranger_first(GW4, "127.0.0.1", "0.0.0.0");
	story_stranger_first(GW6, "::1", "::");
	story_stranger_later(GW4, "127.0.0.1", "0.0.0.0");
	story_stranger_later(GW6, "::1", "::");
	story_thief(GW4, "127.0.0.1", "0.0.0.0");
	story_thief(GW6, "::1", "::");
	story_alike();
	story_end_alike();
	story_early();
	story_early_answer();
	story_early_transfer();
	story_flood();
	return unit_end();
}
