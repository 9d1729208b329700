// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * udp_answer.c - Tests of TFTP, where a server answers each request from a new
 * port: the guest receives these answers, but none from other hosts, and not
 * from more new ports than it has sent requests.
 */
#include "../../udp/answer.c"
#include "test/unit/flows.h"

#define ROOM	(1 << 20)
#define LIFE	128
#define TFTP	69
#define GPORT	40200
#define GW4_2	"192.0.2.9"	/* leads to 127.0.0.2 */

/* server_open() - Open the socket of a TFTP server for requests, on port 69 */
static int server_open(const char *host)
{
	uint16_t port = TFTP;
	int fd = peer_open(host, &port);

	if (fd < 0)
		fail("the test can bind port 69", "%s", strerror(errno));
	return fd;
}

/* asks() - Let the guest send a datagram to the port @to of @gw. Return the
 * source port with which the socket @fd receives it, 0: @fd receives nothing */
static uint16_t asks(struct world *w, int fd, const char *gw, uint16_t to)
{
	struct in6_addr from;
	uint16_t sport = 0;
	char buf[8];

	sends(w, GPORT, gw, to, "read", 4);
	return peer_hears(fd, buf, sizeof(buf), &from, &sport) == 4 ? sport : 0;
}

/* answers() - Send a datagram from @fd to the port @to of the host. Returns
 * whether the guest receives it, with @gw and @port as its source */
static bool answers(struct world *w, int fd, const char *host, uint16_t to,
		    const char *gw, uint16_t port)
{
	struct seen s;

	memory_clear(&w->mem);
	peer_says(fd, host, to, "data", 4);
	events(w, 200);
	return nth(w, 0, &s) && s.good && is_from(&s, gw) && s.len == 12 &&
	       get_be16(s.l4) == port && get_be16(s.l4 + 2) == GPORT;
}

/**
 * struct transfers - A TFTP server with two transfers
 * @w:		test bench
 * @gw, @host:	guest-visible and real address of the server
 * @server:	socket of the server for requests
 * @fd, @port:	socket and port of the server for each transfer
 * @at:		source port of the guest's requests, as the server sees it
 */
struct transfers {
	struct world w;
	const char *gw, *host;
	int server, fd[2];
	uint16_t port[2], at;
};

/* goes_on() - Whether a datagram in each direction of transfer @i arrives */
static bool goes_on(struct transfers *t, unsigned int i)
{
	return answers(&t->w, t->fd[i], t->host, t->at, t->gw, t->port[i]) &&
	       asks(&t->w, t->fd[i], t->gw, t->port[i]) == t->at;
}

static void check_first(struct transfers *t, bool port_taken)
{
	t->at = asks(&t->w, t->server, t->gw, TFTP);
	check("the server receives the request", t->at);
	check_eq("from the guest's port, if that is free", t->at == GPORT,
		 !port_taken);
	check("the guest receives the answer",
	      answers(&t->w, t->fd[0], t->host, t->at, t->gw, t->port[0]));
	check_eq("the server's new port receives what the guest sends to it",
		 asks(&t->w, t->fd[0], t->gw, t->port[0]), t->at);
	check("and goes on",
	      answers(&t->w, t->fd[0], t->host, t->at, t->gw, t->port[0]));
}

static void check_second(struct transfers *t)
{
	check("one request allows no second new port",
	      !answers(&t->w, t->fd[1], t->host, t->at, t->gw, t->port[1]));
	check_eq("it is counted", t->w.udp.count[UDP_UNASKED], 1);
	check_eq("another request leaves from the same port",
		 asks(&t->w, t->server, t->gw, TFTP), t->at);
	check("and allows a second transfer", goes_on(t, 1));
	check("beside the first", goes_on(t, 0));
	check("the server may answer from port 69, too",
	      answers(&t->w, t->server, t->host, t->at, t->gw, TFTP));
}

/* is_refused() - Send a datagram from the guest to a port of the server;
 * returns whether the guest receives an ICMP error for it */
static bool is_refused(struct transfers *t, uint16_t port)
{
	struct seen s;

	sends(&t->w, GPORT, t->gw, port, "ack", 3);
	events(&t->w, 1000);
	return nth(&t->w, 0, &s) && s.good &&
	       (s.proto == IPPROTO_ICMP || s.proto == IPPROTO_ICMPV6);
}

static void check_end(struct transfers *t)
{
	close(t->fd[0]);
	check("a closed port is reported", is_refused(t, t->port[0]));
	close(t->server);
	check("a host without a server, too", is_refused(t, TFTP));
	check_eq("the other transfer lives on",
		 asks(&t->w, t->fd[1], t->gw, t->port[1]), t->at);

	later(&t->w, 200 * SEC);
	check_eq("in the end no flow is left", t->w.udp.nflows, 0);
	check_eq("and no socket", t->w.udp.nsockets, 0);
	close(t->fd[1]);
}

/* Given a request, when the server answers from a new port, then datagrams
 * between this port and the guest's port arrive in both directions. */
static void story_transfer(const char *gw, const char *host, bool port_taken)
{
	struct transfers t = { .gw = gw, .host = host };
	uint16_t taken = GPORT, sport;
	struct in6_addr from;
	int foreign = -1;
	char buf[8];

	printf("# a transfer from %s%s\n", host,
	       port_taken ? ", where the guest's port is taken" : "");
	world_open(&t.w, LIFE, ROOM);
	t.server = server_open(host);
	if (port_taken)
		foreign = peer_open(host, &taken);
	t.fd[0] = peer_open(host, &t.port[0]);
	t.fd[1] = peer_open(host, &t.port[1]);
	check_first(&t, port_taken);
	check_second(&t);
	check_end(&t);
	if (foreign >= 0) {
		check("what was for a foreign socket reaches it alone",
		      peer_hears(foreign, buf, sizeof(buf), &from, &sport) < 0);
		close(foreign);
	}
	world_close(&t.w);
}

/* Given a request to a server, when another host sends an answer, then the
 * guest does not receive it. */
static void story_other_hosts(void)
{
	uint16_t port = 0, same = TFTP, at;
	struct world w;
	int server, fd[2];

	printf("# answers of other hosts\n");
	world_open(&w, LIFE, ROOM);
	net_put_pair(&w.net, GW4_2, "127.0.0.2", NAT_ANY_PORT);
	server = server_open("127.0.0.1");
	fd[0] = peer_open("127.0.0.2", &port);
	fd[1] = peer_open("127.0.0.2", &same);
	at = asks(&w, server, GW4, TFTP);
	answers(&w, fd[0], "127.0.0.1", at, GW4_2, port);
	check_eq("from a new port: nothing arrives", w.mem.nsent, 0);
	answers(&w, fd[1], "127.0.0.1", at, GW4_2, TFTP);
	check_eq("from port 69: nothing arrives", w.mem.nsent, 0);
	check_eq("both are counted", w.udp.count[UDP_UNASKED], 2);
	check("the server can still answer",
	      answers(&w, server, "127.0.0.1", at, GW4, TFTP));
	close(server);
	close(fd[0]);
	close(fd[1]);
	world_close(&w);
}

/* Given requests from one port of the guest to two servers, then all transfers
 * work, whichever of passt's sockets receives an answer. */
static void story_two_servers(void)
{
	uint16_t new[16] = { 0 }, right = 0;
	int server[2], fd[16];
	struct world w;
	unsigned int i;

	printf("# two servers\n");
	world_open(&w, LIFE, ROOM);
	net_put_pair(&w.net, GW4_2, "127.0.0.2", NAT_ANY_PORT);
	server[0] = server_open("127.0.0.1");
	server[1] = server_open("127.0.0.2");
	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = peer_open(i % 2 ? "127.0.0.2" : "127.0.0.1", &new[i]);
		if (asks(&w, server[i % 2], i % 2 ? GW4_2 : GW4, TFTP) == GPORT)
			right++;
	}
	check_eq("all requests leave from the guest's port", right,
		 ARRAY_SIZE(fd));
	for (i = right = 0; i < ARRAY_SIZE(fd); i++)
		right += answers(&w, fd[i], "127.0.0.1", GPORT,
				 i % 2 ? GW4_2 : GW4, new[i]);
	check_eq("each answer comes from its server", right, ARRAY_SIZE(fd));
	for (i = right = 0; i < ARRAY_SIZE(fd); i++) {
		right += asks(&w, fd[i], i % 2 ? GW4_2 : GW4, new[i]) == GPORT;
		close(fd[i]);
	}
	check_eq("and each transfer goes on", right, ARRAY_SIZE(fd));
	close(server[0]);
	close(server[1]);
	world_close(&w);
}

/* Given a server that answers from more and more ports, then these answers open
 * at most as many flows as the guest has sent requests. */
static void story_many_ports(void)
{
	struct world w;
	uint16_t port, at;
	unsigned int i;
	int server, fd;

	printf("# a server with many ports\n");
	world_open(&w, LIFE, ROOM);
	server = server_open("127.0.0.1");
	for (i = 0; i < 3; i++)
		at = asks(&w, server, GW4, TFTP);
	for (i = 0; i < 20; i++) {
		port = 0;
		fd = peer_open("127.0.0.1", &port);
		answers(&w, fd, "127.0.0.1", at, GW4, port);
		close(fd);
	}
	check_eq("there is a flow for each request, and that of the requests",
		 w.udp.nflows, 3 + 1);
	check_eq("the others are counted", w.udp.count[UDP_UNASKED], 17);
	close(server);
	world_close(&w);
}

/* Given a limit of one socket, then an answer evicts the flow of its request,
 * and only the socket of the answer is open. */
static void story_no_descriptor(void)
{
	uint16_t port[4] = { 0 }, at;
	struct world w;
	unsigned int i;
	int server, fd;

	printf("# a transfer and no descriptor\n");
	world_open(&w, LIFE, ROOM);
	w.udp.fds = UDP_SHARE;
	server = server_open("127.0.0.1");
	for (i = 0; i < ARRAY_SIZE(port); i++) {
		at = asks(&w, server, GW4, TFTP);
		fd = peer_open("127.0.0.1", &port[i]);
		check("the answer arrives in place of the request's flow",
		      at && answers(&w, fd, "127.0.0.1", at, GW4, port[i]));
		check_eq("with one socket", w.udp.nsockets, 1);
		close(fd);
	}
	close(server);
	world_close(&w);
}

/* Given a guest that has opened too many flows, then an answer from a new port
 * is dropped. */
static void story_too_many(void)
{
	uint16_t port = 0, at;
	struct world w;
	int server, fd;

	printf("# a transfer of a guest that opens too many flows\n");
	world_open(&w, LIFE, ROOM);
	server = server_open("127.0.0.1");
	fd = peer_open("127.0.0.1", &port);
	at = asks(&w, server, GW4, TFTP);
	too_many(&w);
	check("the answer is dropped",
	      !answers(&w, fd, "127.0.0.1", at, GW4, port));
	check_eq("and counted", w.udp.count[UDP_REFUSED], 1);
	check_eq("it has no socket", w.udp.nsockets, 1);
	close(fd);
	close(server);
	world_close(&w);
}

int main(void)
{
	if (!own_network()) {
		skip("transfers", "no network namespace allowed");
		return unit_end();
	}
	story_transfer(GW4, "127.0.0.1", false);
	story_transfer(GW6, "::1", false);
	story_transfer(GW4, "127.0.0.1", true);
	story_transfer(GW6, "::1", true);
	story_other_hosts();
	story_two_servers();
	story_many_ports();
	story_no_descriptor();
	story_too_many();
	return unit_end();
}
