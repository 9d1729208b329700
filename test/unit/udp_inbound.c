// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * udp_inbound.c - Tests of peers of a forwarded port which have the same
 * guest-visible address and the same port: each has a flow of its own.
 */
#include "../../udp/inbound.c"
#include "test/unit/flows.h"

#define ROOM	(1 << 20)
#define LIFE	128
#define GPORT	5000

/* sees() - Let a peer send a datagram to a forwarded port. Return the source
 * port with which the guest receives it, 0: the guest receives nothing */
static uint16_t sees(struct world *w, int fd, const char *to, uint16_t port)
{
	struct seen s;

	memory_clear(&w->mem);
	peer_says(fd, to, port, "hi", 2);
	events(w, 1000);
	return nth(w, 0, &s) && s.good && s.proto == IPPROTO_UDP ?
	       get_be16(s.l4) : 0;
}

/* answered() - Let the guest send an answer to a port of @gw. Return whether
 * the peer receives it from the host's address @from */
static bool answered(struct world *w, int fd, const char *gw, uint16_t to,
		     const char *from)
{
	struct in6_addr is, want = addr(from);
	uint16_t sport;
	char buf[8];

	sends(w, GPORT, gw, to, "ok", 2);
	return peer_hears(fd, buf, sizeof(buf), &is, &sport) == 2 &&
	       addr_eq(&is, &want);
}

/* asks() - Let the guest send a datagram to a port of @gw. Return whether the
 * peer receives it */
static bool asks(struct world *w, int fd, const char *gw, uint16_t to)
{
	struct in6_addr from;
	uint16_t sport;
	char buf[8];

	sends(w, GPORT, gw, to, "hello", 5);
	return peer_hears(fd, buf, sizeof(buf), &from, &sport) == 5;
}

/* Given two peers with the same guest-visible address and the same port, when
 * both send, then the guest sees different source ports, and each peer receives
 * its own answers. */
static void story_two_peers(const char *a, const char *b, const char *gw)
{
	uint16_t port = 0, forwarded, other;
	struct world w;
	int fd[2];

	printf("# %s and %s look like %s\n", a, b, gw);
	world_open(&w, LIFE, ROOM);
	forwarded = forward_port(&w, GPORT);
	fd[0] = peer_open(a, &port);
	fd[1] = peer_open(b, &port);
	check_eq("the first peer has its own port",
		 sees(&w, fd[0], a, forwarded), port);
	other = sees(&w, fd[1], a, forwarded);
	check("the second has another port", other && other != port);
	check("which is not a privileged one", other >= 1024);
	check_eq("the first keeps its port", sees(&w, fd[0], a, forwarded),
		 port);
	check_eq("and the second, too", sees(&w, fd[1], a, forwarded), other);
	check_eq("these are two flows", w.udp.nflows, 2);
	check("the first receives its answer",
	      answered(&w, fd[0], gw, port, a));
	check("the second receives its own",
	      answered(&w, fd[1], gw, other, a));

	close(fd[1]);
	sends(&w, GPORT, gw, other, "gone?", 5);
	events(&w, 1000);
	check("an error is about the flow that caused it", w.mem.nsent == 1 &&
	      get_be16((uint8_t *)w.mem.sent[0].iov_base + ETH_LEN + 20 + 8 +
		       20 + 2) == other);
	later(&w, 10 * SEC);
	check_eq("flows that ended give way",
		 sees(&w, fd[0], a, forwarded), port);
	close(fd[0]);
	world_close(&w);
}

/* Given a peer that sends to two addresses of the host, then it has two flows,
 * and each answer leaves from the address to which the peer sent. */
static void story_two_addresses(void)
{
	uint16_t port = 0, forwarded, other;
	struct world w;
	int fd;

	printf("# one peer and two addresses of the host\n");
	world_open(&w, LIFE, ROOM);
	forwarded = forward_port(&w, GPORT);
	fd = peer_open("127.0.0.1", &port);
	check_eq("by the first address the peer has its own port",
		 sees(&w, fd, "127.0.0.7", forwarded), port);
	other = sees(&w, fd, "127.0.0.8", forwarded);
	check("by the second another one", other && other != port);
	check("answers leave from the first address",
	      answered(&w, fd, GW4, port, "127.0.0.7"));
	check("and from the second",
	      answered(&w, fd, GW4, other, "127.0.0.8"));
	close(fd);
	world_close(&w);
}

/* Given a peer that sends to two forwarded ports, which lead to the same port
 * of the guest, then each answer leaves from the right one. */
static void story_two_ports(void)
{
	uint16_t port = 0, first, second, other, sport;
	struct in6_addr from;
	struct world w;
	char buf[8];
	int fd;

	printf("# one peer and two forwarded ports\n");
	world_open(&w, LIFE, ROOM);
	first = forward_port(&w, GPORT);
	second = forward_port(&w, GPORT);
	fd = peer_open("127.0.0.1", &port);
	check_eq("by the first port the peer has its own port",
		 sees(&w, fd, "127.0.0.1", first), port);
	other = sees(&w, fd, "127.0.0.1", second);
	check("by the second another one", other && other != port);
	sends(&w, GPORT, GW4, port, "ok", 2);
	peer_hears(fd, buf, sizeof(buf), &from, &sport);
	check_eq("the answer leaves from the first port", sport, first);
	sends(&w, GPORT, GW4, other, "ok", 2);
	peer_hears(fd, buf, sizeof(buf), &from, &sport);
	check_eq("and from the second", sport, second);
	close(fd);
	world_close(&w);
}

/* Given a flow that the guest began, when another peer with the same
 * guest-visible address and port sends to a forwarded port, then the guest's
 * flow still leads to the first peer. */
static void story_guests_own(bool forwarded_first)
{
	uint16_t port = 0, forwarded = 0, other;
	struct world w;
	int fd[2];

	printf("# a flow of the guest, %s socket\n",
	       forwarded_first ? "by the forwarded port's" : "with its own");
	world_open(&w, LIFE, ROOM);
	fd[0] = peer_open("127.0.0.1", &port);
	fd[1] = peer_open("127.0.0.2", &port);
	if (forwarded_first)
		forwarded = forward_port(&w, GPORT);
	check("the peer hears the guest", asks(&w, fd[0], GW4, port));
	if (!forwarded_first)
		forwarded = forward_port(&w, GPORT);
	other = sees(&w, fd[1], "127.0.0.1", forwarded);
	check("the other one has another port", other && other != port);
	check("the guest's datagrams go where they went",
	      answered(&w, fd[0], GW4, port, "127.0.0.1"));
	check("and do not come from another address, either",
	      sees(&w, fd[0], "127.0.0.9", forwarded) &&
	      answered(&w, fd[0], GW4, port, "127.0.0.1"));
	close(fd[0]);
	close(fd[1]);
	world_close(&w);
}

/* Given a peer for which no source port towards the guest is free, then its
 * datagrams are dropped and counted. */
static void story_no_port_left(void)
{
	struct udp_origin o = { .peer = addr("127.0.0.2"),
				.local = addr("127.0.0.1") };
	uint16_t port = 0, forwarded, other;
	struct world w;
	int fd[2];

	printf("# no source port left\n");
	world_open(&w, LIFE, ROOM);
	forwarded = forward_port(&w, GPORT);
	fd[0] = peer_open("127.0.0.1", &port);
	fd[1] = peer_open("127.0.0.2", &port);
	o.port = port;
	other = visible_port(&w.udp, w.fwd.listeners, &o, 1);
	sends(&w, GPORT, GW4, port, "hello", 5);
	sends(&w, GPORT, GW4, other, "hello", 5);
	check_eq("nothing arrives", sees(&w, fd[1], "127.0.0.1", forwarded), 0);
	check_eq("it is counted", w.udp.count[UDP_ALIKE], 1);
	check_eq("the guest's flows stay", w.udp.nflows, 2);
	later(&w, 10 * SEC);
	check_eq("once they are over, the peer has its own port",
		 sees(&w, fd[1], "127.0.0.1", forwarded), port);
	close(fd[0]);
	close(fd[1]);
	world_close(&w);
}

int main(void)
{
	own_network();

	story_two_peers("127.0.0.1", "127.0.0.2", GW4);
	story_two_addresses();
	story_two_ports();
	story_guests_own(false);
	story_guests_own(true);
	story_no_port_left();
	return unit_end();
}
