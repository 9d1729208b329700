// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * udp_flow.c - Which port a flow of the guest has outside, with whom it shares
 * it, and who is heard there: with real sockets of ours, of peers and of
 * strangers, one of whom is as quick as can be.
 */
#include <sys/socket.h>

static int late_connect(int fd, const struct sockaddr *sa, socklen_t len);
static ssize_t more(int fd, void *buf, size_t len, int flags);

#define connect	late_connect
#define recv	more
#include "../../udp/flow.c"
#undef recv
#undef connect
#include "test/unit/flows.h"

#define ROOM	(1 << 20)
#define LIFE	128
#define PEERS	5

static struct udp_flow *flow_of(struct world *w, uint16_t gport,
				const char *remote, uint16_t rport)
{
	struct flow_key key = { .guest = addr(guest_of(remote)),
				.remote = addr(remote), .gport = gport,
				.rport = rport, .proto = IPPROTO_UDP };
	struct flow *f = flow_lookup(&w->flows, &key);

	return f ? container_of(f, struct udp_flow, flow) : NULL;
}

/* EUI-64: a guest's addresses end alike under all prefixes. */
#define ALIKE_A		"2001:db8:1::5054:ff:fe12:3456"
#define ALIKE_B		"2001:db8:2::5054:ff:fe12:3456"

static int quick = -1;		/* a stranger's socket, -1: nobody's */

static unsigned int flood;	/* datagrams that come as fast as they are read */

/* more() - As recv(), with a flood */
static ssize_t more(int fd, void *buf, size_t len, int flags)
{
	if (!flood)
		return recv(fd, buf, len, flags);
	flood--;
	return 0;
}

/* late_connect() - As connect(), after a stranger has sent to the socket */
static int late_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	union sockaddr_any own;
	socklen_t size = sizeof(own);
	struct in6_addr a;
	uint16_t port;

	if (quick >= 0 && !getsockname(fd, &own.sa, &size) &&
	    sockaddr_get(&own, &a, &port)) {
		peer_says(quick, "127.0.0.1", port, "forged", 6);
		peer_says(quick, "127.0.0.1", port, "", 0);
	}
	return connect(fd, sa, len);
}

/* asks() - The guest asks a peer; the port that it comes from */
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

/* asks_as() - As asks(), from an address of the guest's choice to @GW6 */
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

/* stranger() - Somebody on the host who shares a port with whoever likes */
static int stranger(const char *any, uint16_t port)
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

/* exclusive() - Whether nobody has a port */
static bool exclusive(const char *any, uint16_t port)
{
	int fd = peer_open(any, &port);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Given one port of the guest and many peers, then all see the same port, each
 * answer is that of its peer, and in the end the port is free. */
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
	other = stranger(any, 4500);
	same = asks(&w, fd[0], 4500, gw, port[0]);
	check("and not the guest's if a stranger has it", same && same != 4500);
	close(other);
	for (i = 0; i < PEERS; i++)
		close(fd[i]);
	world_close(&w);
}

/* Given a stranger who shares his port with anybody, then the guest does not
 * get it: what is sent to him stays his. */
static void story_stranger_first(const char *gw, const char *host,
				 const char *any)
{
	uint16_t port = 0, at;
	struct in6_addr from;
	struct world w;
	char buf[8];
	int fd, other;

	printf("# a stranger has the port on %s\n", any);
	world_open(&w, LIFE, ROOM);
	fd = peer_open(host, &port);
	other = stranger(any, 4501);
	at = asks(&w, fd, 4501, gw, port);
	check("the guest has another port", at && at != 4501);
	peer_says(fd, host, 4501, "yours", 5);
	check_eq("the stranger keeps what is sent to him",
		 peer_hears(other, buf, sizeof(buf), &from, &at), 5);
	events(&w, 0);
	check_eq("the guest does not hear it", w.mem.nsent, 0);
	close(other);
	close(fd);
	world_close(&w);
}

/* Given a stranger who comes to share the guest's port, then each hears what is
 * for him. */
static void story_stranger_later(const char *gw, const char *host,
				 const char *any)
{
	uint16_t port = 0, third = 0, at;
	struct in6_addr from;
	struct world w;
	char buf[8];
	int fd, other, who;

	printf("# a stranger comes to the port on %s\n", any);
	world_open(&w, LIFE, ROOM);
	fd = peer_open(host, &port);
	who = peer_open(host, &third);
	asks(&w, fd, 4502, gw, port);
	other = stranger(any, 4502);
	memory_clear(&w.mem);
	peer_says(fd, host, 4502, "answer", 6);
	events(&w, 1000);
	check_eq("the guest hears its peer", w.mem.nsent, 1);
	memory_clear(&w.mem);
	peer_says(who, host, 4502, "yours", 5);
	check("the stranger hears others", other < 0 ||
	      peer_hears(other, buf, sizeof(buf), &from, &at) == 5);
	events(&w, 0);
	check_eq("the guest does not", w.mem.nsent, 0);
	if (other >= 0)
		close(other);
	close(who);
	close(fd);
	world_close(&w);
}

/* Given two flows that share the guest's port, then no stranger comes to share
 * it: connected to a peer of the guest's, he would hear that instead of it. */
static void story_thief(const char *gw, const char *host, const char *any)
{
	uint16_t port[2] = { 0 }, i;
	struct world w;
	int fd[2], other;

	printf("# a stranger wants the guest's peer on %s\n", any);
	world_open(&w, LIFE, ROOM);
	for (i = 0; i < 2; i++) {
		fd[i] = peer_open(host, &port[i]);
		check_eq("the guest's port is shared",
			 asks(&w, fd[i], 4507, gw, port[i]), 4507);
	}
	other = stranger(any, 4507);
	check("but not with a stranger", other < 0);
	memory_clear(&w.mem);
	peer_says(fd[0], host, 4507, "answer", 6);
	events(&w, 1000);
	check_eq("and the guest hears its peer", w.mem.nsent, 1);
	if (other >= 0)
		close(other);
	close(fd[0]);
	close(fd[1]);
	world_close(&w);
}

/* Given two addresses of the guest, or one host under two addresses, then they
 * have no port in common: their answers could not be told apart. */
static void story_alike(void)
{
	static uint8_t l4[64];
	uint16_t port = 0, at = 0;
	struct in6_addr from;
	struct world w;
	char buf[8];
	size_t len;
	int fd;

	printf("# what would be alike outside\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("127.0.0.1", &port);
	check_eq("the first address has the port",
		 asks(&w, fd, 4503, GW4, port), 4503);
	len = make_udp(l4, 4503, port, "hello", 5);
	sends_ip(&w, "192.0.2.16", GW4, IPPROTO_UDP, l4, len);
	peer_hears(fd, buf, sizeof(buf), &from, &at);
	check("another has another", at && at != 4503);
	close(fd);

	port = 53;
	fd = peer_open("127.0.0.1", &port);
	if (fd < 0) {
		skip("a resolver under two addresses", "port 53 is not free");
		world_close(&w);
		return;
	}
	net_put_pair(&w.net, "192.0.2.3", "127.0.0.1", NAT_DNS_PORTS);
	check_eq("a resolver under its own name",
		 asks(&w, fd, 4504, "192.0.2.3", 53), 4504);
	at = asks(&w, fd, 4504, GW4, 53);
	check("under the host's name it sees another port", at && at != 4504);
	peer_says(fd, "127.0.0.1", 4504, "answer", 6);
	events(&w, 1000);
	check("and is heard under the name it was asked by",
	      flow_of(&w, 4504, "192.0.2.3", 53)->nanswered == 1 &&
	      flow_of(&w, 4504, GW4, 53)->nanswered == 0);
	check_eq("the host under its name", asks(&w, fd, 4506, GW4, 53), 4506);
	at = asks(&w, fd, 4506, "192.0.2.3", 53);
	check("as a resolver it sees another port", at && at != 4506);
	close(fd);
	world_close(&w);
}

/* Given two addresses of the guest that end alike, then each has a port of its
 * own, and hears what is for it. */
static void story_end_alike(void)
{
	struct in6_addr first = addr(ALIKE_A), second = addr(ALIKE_B);
	uint16_t port = 0, at;
	struct world w;
	struct seen s;
	int fd;

	printf("# addresses that end alike\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("::1", &port);
	check_eq("the first address has the port",
		 asks_as(&w, fd, ALIKE_A, 4508, port), 4508);
	at = asks_as(&w, fd, ALIKE_B, 4508, port);
	check("another has another", at && at != 4508);
	memory_clear(&w.mem);
	peer_says(fd, "::1", 4508, "answer", 6);
	events(&w, 1000);
	check("the first hears its answer", nth(&w, 0, &s) &&
	      addr_eq(&s.dst, &first));
	memory_clear(&w.mem);
	peer_says(fd, "::1", at, "answer", 6);
	events(&w, 1000);
	check("and the other its own", nth(&w, 0, &s) &&
	      addr_eq(&s.dst, &second));
	close(fd);
	world_close(&w);
}

/* Given a datagram that somebody sent before a socket was connected, then it
 * is not the peer's. */
static void story_early(void)
{
	uint16_t port = 0, other = 0;
	struct world w;
	int fd;

	printf("# what came before connect()\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("127.0.0.1", &port);
	quick = peer_open("127.0.0.1", &other);
	check_eq("the guest asks", asks(&w, fd, 4505, GW4, port), 4505);
	events(&w, 0);
	check_eq("what was there before is forgotten", w.mem.nsent, 0);
	peer_says(fd, "127.0.0.1", 4505, "answer", 6);
	events(&w, 1000);
	check_eq("an answer is heard", w.mem.nsent, 1);
	close(quick);
	quick = -1;
	close(fd);
	world_close(&w);
}

/* Given a peer who sends faster than can be forgotten what came before him, then
 * that is left at some time. */
static void story_flood(void)
{
	uint16_t port = 0;
	struct world w;
	int fd;

	printf("# a flood before the first datagram\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("127.0.0.1", &port);
	flood = 1000000;
	check_eq("the guest asks", asks(&w, fd, 4509, GW4, port), 4509);
	check("not all of the flood was waited for", flood);
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
	story_flood();
	return unit_end();
}
