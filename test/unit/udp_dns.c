// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * udp_dns.c - Tests of queries to the address of --dns-forward, which leads to
 * three resolvers: which of them is asked, and what passt remembers of queries.
 * The sockets of passt and of resolvers are real, and the time is simulated.
 */
#include "../../udp/dns.c"
#include "../../udp/query.c"
#include "test/unit/flows.h"

#define SPACE		(1 << 20)
#define FLOWS		2100
#define VIA		"192.0.2.53"
#define RESOLVERS	3

static const char *const resolver[RESOLVERS] = {
	"127.0.0.11", "127.0.0.12", "127.0.0.13",
};

static struct world w;
static struct resolvers current;
static int socket_of[RESOLVERS], silent[LEASE_DNS];

/* bench_open() - Set up the test bench; all resolvers are there */
static void bench_open(void)
{
	uint16_t port = DNS_PORT;
	unsigned int i;

	world_open(&w, FLOWS, SPACE);
	net_put_pair(&w.net, VIA, resolver[0], NAT_DNS_PORTS);
	for (i = 0; i < RESOLVERS; i++) {
		w.net.forward[IP4][i] = addr(resolver[i]);
		socket_of[i] = peer_open(resolver[i], &port);
	}
	resolvers_init(&current, &w.net);
	w.udp.resolvers = &current;
}

static void bench_close(void)
{
	unsigned int i;

	for (i = 0; i < RESOLVERS; i++)
		close(socket_of[i]);
	world_close(&w);
	check_eq("no query is left behind", w.udp.nqueries, 0);
}

/* query() - Let the guest send a query of @len bytes with an identifier */
static void query(uint16_t sport, uint16_t id, size_t len)
{
	uint8_t message[QUERY_MAX + 1] = { (uint8_t)(id >> 8), (uint8_t)id };

	sends(&w, sport, VIA, DNS_PORT, message, len);
}

/* asked() - Which resolver has a query with this identifier, and no other has
 * one; -1: none has. The query is taken, and @port set to its source port */
static int asked(uint16_t id, uint16_t *port)
{
	struct in6_addr from;
	uint8_t buf[2048];
	int i, found = -1;

	for (i = 0; i < RESOLVERS; i++) {
		struct pollfd p = { .fd = socket_of[i], .events = POLLIN };

		if (poll(&p, 1, 0) != 1)
			continue;
		if (peer_hears(socket_of[i], buf, sizeof(buf), &from, port) < 2 ||
		    get_be16(buf) != id || found >= 0)
			return -2;
		found = i;
	}
	return found;
}

/* answers() - Let a resolver answer; true if the guest gets the answer from the
 * address of --dns-forward */
static bool answers(int i, uint16_t id, uint16_t port)
{
	uint8_t message[DNS_HLEN] = { (uint8_t)(id >> 8), (uint8_t)id, 0x80 };
	struct seen s;

	memory_clear(&w.mem);
	peer_says(socket_of[i], "127.0.0.1", port, message, sizeof(message));
	events(&w, 1000);
	return nth(&w, 0, &s) && s.good && is_from(&s, VIA) &&
	       get_be16(s.l4 + 8) == id;
}

/* Given resolvers that do not answer, then each gets the query once, from ports
 * that differ, and then passt forgets it. The first that answers is asked
 * first from then on. */
static void story_silent(void)
{
	uint16_t port[4];

	bench_open();
	query(5000, 1, 30);
	check_eq("the first is asked", asked(1, &port[0]), 0);
	check("not from the guest's port", port[0] != 5000);
	later(&w, UDP_DNS_WAIT - 1);
	check_eq("nobody else within the time", asked(1, &port[1]), -1);
	later(&w, 1);
	check_eq("then the second", asked(1, &port[1]), 1);
	query(5001, 2, 30);
	check_eq("which is the current one now", asked(2, &port[2]), 1);
	later(&w, UDP_DNS_WAIT);
	later(&w, 1);
	check("from another port", port[1] != port[0]);
	bench_close();

	bench_open();
	query(5000, 1, 30);
	asked(1, &port[0]);
	later(&w, UDP_DNS_WAIT);
	asked(1, &port[1]);
	later(&w, UDP_DNS_WAIT);
	check_eq("then the third", asked(1, &port[2]), 2);
	later(&w, UDP_DNS_WAIT);
	check_eq("and nobody a second time", asked(1, &port[3]), -1);
	check_eq("the query is forgotten", w.udp.nqueries, 0);
	check_eq("queries that went to another resolver",
		 w.udp.count[UDP_RESOLVER_NEXT], 2);
	query(5000, 3, 30);
	check_eq("the guest's next one goes to the first again",
		 asked(3, &port[3]), 0);
	check("whose answer it gets", answers(0, 3, port[3]));
	check_eq("and which is not remembered", w.udp.nqueries, 0);
	later(&w, UDP_DNS_WAIT);
	check_eq("nor sent again", asked(3, &port[3]), -1);
	bench_close();
}

/* Given a resolver that answers all queries but one, then this one goes to the
 * next resolver, and the first stays the current one. An answer counts for the
 * query with its identifier only, and only if it is an answer. */
static void story_one_of_many(void)
{
	uint8_t echo[DNS_HLEN] = { 0, 1 };
	uint16_t port, other;

	bench_open();
	query(5000, 1, 30);
	asked(1, &port);
	w.now += 1000;
	query(5001, 2, 30);
	asked(2, &other);
	check("another query is answered", answers(0, 2, other));
	peer_says(socket_of[0], "127.0.0.1", port, echo, sizeof(echo));
	events(&w, 1000);
	check_eq("a query that comes back is no answer", w.udp.nqueries, 1);
	check("nor is the answer to another", answers(0, 9, port));
	check_eq("so the first stays", w.udp.nqueries, 1);
	later(&w, UDP_DNS_WAIT - 1000);
	check_eq("and goes to the second resolver", asked(1, &port), 1);
	check("which answers", answers(1, 1, port));
	query(5002, 3, 30);
	check_eq("all others go on to the first", asked(3, &port), 0);
	bench_close();
}

/* Given resolvers whose ports are closed, then the next one is asked at once;
 * if all are closed, the guest gets an ICMP error. */
static void story_closed(void)
{
	struct seen s;
	uint16_t port;

	bench_open();
	close(socket_of[0]);
	socket_of[0] = -1;
	query(5000, 1, 30);
	events(&w, 1000);
	check_eq("the second is asked", asked(1, &port), 1);
	check("the guest hears of no error", !nth(&w, 0, &s));
	check("but of the answer", answers(1, 1, port));

	close(socket_of[1]);
	close(socket_of[2]);
	socket_of[1] = socket_of[2] = -1;
	query(5000, 2, 30);
	events(&w, 1000);
	events(&w, 1000);
	events(&w, 1000);
	check("if all are closed, the guest gets port unreachable",
	      nth(&w, 0, &s) && s.proto == IPPROTO_ICMP && s.l4[0] == 3 &&
	      s.l4[1] == 3);
	later(&w, 3 * UDP_DNS_WAIT);
	check_eq("and the query is forgotten", w.udp.nqueries, 0);
	bench_close();
}

/* Given many queries without answers, then passt keeps at most 8 of a flow and
 * 1,024 in all, none that is too long or too short, and each only once. */
static void story_limits(void)
{
	unsigned int i;
	uint16_t port;

	bench_open();
	for (i = 0; i < 20; i++)
		query(5000, (uint16_t)i, 30);
	check_eq("of one flow", w.udp.nqueries, QUERIES_OF_FLOW);
	query(5001, 1, 30);
	query(5001, 1, 30);
	check_eq("a query that is repeated",
		 w.udp.nqueries, QUERIES_OF_FLOW + 1);
	query(5002, 1, QUERY_MAX + 1);
	query(5002, 1, DNS_HLEN - 1);
	check_eq("too long, too short",
		 w.udp.nqueries, QUERIES_OF_FLOW + 1);
	for (i = 0; i < QUERIES_MAX; i++)
		query((uint16_t)(6000 + i), 1, QUERY_MAX);
	check_eq("of all flows", w.udp.nqueries, QUERIES_MAX);
	sends(&w, 5003, VIA, 853, "0123456789012345678901234567890", 30);
	check_eq("of other ports than 53", w.udp.nqueries, QUERIES_MAX);
	later(&w, UDP_DNS_WAIT);
	check("all are sent again", w.udp.count[UDP_RESOLVER_NEXT] ==
				    QUERIES_MAX && asked(0, &port));
	later(&w, UDP_DNS_WAIT);
	later(&w, UDP_DNS_WAIT);
	check_eq("and then forgotten", w.udp.nqueries, 0);
	bench_close();
}

/* Given eight resolvers, when the first seven do not answer, then the eighth
 * gets the query, too. This takes 14 s, which is longer than a one-shot flow
 * lives without a datagram (10 s). */
static void story_eight(void)
{
	unsigned int i;
	char text[16];
	uint16_t port;

	bench_open();
	for (i = 0; i < LEASE_DNS - 1; i++) {
		snprintf(text, sizeof(text), "127.0.0.%u", 21 + i);
		w.net.forward[IP4][i] = addr(text);
		port = DNS_PORT;
		silent[i] = peer_open(text, &port);
	}
	w.net.forward[IP4][i] = addr(resolver[0]);
	resolvers_init(&current, &w.net);
	query(5000, 1, 30);
	for (i = 0; i < LEASE_DNS - 1; i++)
		later(&w, UDP_DNS_WAIT);
	check_eq("the eighth is asked", asked(1, &port), 0);
	check("and its answer arrives", answers(0, 1, port));
	for (i = 0; i < LEASE_DNS - 1; i++)
		close(silent[i]);
	bench_close();
}

/* hop_limit() - Receive a datagram by IPv6; return its hop limit, -1: none
 * came */
static int hop_limit(int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr h;
	} c;
	char data[2048];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = &c, .msg_controllen = sizeof(c) };
	int hops = -1;

	if (recvmsg(fd, &m, MSG_DONTWAIT) >= 0 && CMSG_FIRSTHDR(&m))
		memcpy(&hops, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(hops));
	return hops;
}

/* Given a guest that asks by IPv4, and resolvers with IPv6 addresses, then the
 * queries keep their TTL, also after a move to another resolver. */
static void story_other_family(void)
{
	uint16_t port = DNS_PORT;
	int fd, on = 1;

	bench_open();
	w.net.forward[IP4][0] = addr(resolver[0]);
	w.net.forward[IP4][1] = addr("::1");
	resolvers_init(&current, &w.net);
	fd = peer_open("::1", &port);
	setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on));
	query(5000, 1, 30);
	later(&w, UDP_DNS_WAIT);
	check("the second is asked", hop_limit(fd) > 0);
	query(5000, 2, 30);
	check_eq("the guest's next query has its TTL", hop_limit(fd), 61);
	close(fd);
	bench_close();
}

/* Given a flow of the guest, when the host's resolvers change, then its next
 * query goes to a new one; when the address leads to no resolver any more, then
 * the flow ends. */
static void story_change(void)
{
	uint16_t port;

	bench_open();
	query(5000, 1, 30);
	check_eq("the first is asked", asked(1, &port), 0);
	memset(w.net.forward, 0, sizeof(w.net.forward));
	w.net.forward[IP4][0] = addr(resolver[2]);
	resolvers_init(&current, &w.net);
	query(5000, 2, 30);
	check_eq("the new one gets both, the old query first",
		 asked(1, &port), 2);
	check_eq("on the same flow", asked(2, &port), 2);
	check("and its answer arrives", answers(2, 2, port));
	check_eq("with one resolver, queries are not kept",
		 (query(5001, 3, 30), w.udp.nqueries), 1);

	memset(w.net.forward, 0, sizeof(w.net.forward));
	w.net.npairs = 0;
	query(5000, 4, 30);
	check("without --dns-forward, the flow is another one",
	      !flow_of(&w, 5000, VIA, DNS_PORT) ||
	      !flow_of(&w, 5000, VIA, DNS_PORT)->dns);
	later(&w, 2 * UDP_DNS_WAIT);
	check_eq("and nothing of it is kept", w.udp.nqueries, 0);
	bench_close();
}

/* Given a flow to which, in one pass, an answer comes and an ICMP error, then
 * the query without answer goes to the next resolver at once, and this one gets
 * the flow's next query, too. */
static void story_answer_and_error(void)
{
	uint8_t message[DNS_HLEN] = { 0, 2, 0x80 };
	uint16_t port;

	bench_open();
	query(5000, 1, 30);
	query(5000, 2, 30);
	asked(1, &port);
	asked(2, &port);
	peer_says(socket_of[0], "127.0.0.1", port, message, sizeof(message));
	close(socket_of[0]);
	socket_of[0] = -1;
	query(5000, 3, 30);
	events(&w, 1000);
	check_eq("the answer counts", w.udp.nqueries, 2);
	check_eq("both others go to the second resolver", asked(1, &port), 1);
	check_eq("at once", asked(3, &port), 1);
	later(&w, 1000);
	query(5000, 4, 30);
	events(&w, 0);
	check_eq("which gets the next query", asked(4, &port), 1);
	check_eq("and stays", asked(4, &port), -1);
	bench_close();
}

/* Given a flow whose resolver answers all its queries in the pass in which an
 * ICMP error comes, then this resolver stays the current one. */
static void story_answer_to_all_and_error(void)
{
	uint8_t message[DNS_HLEN] = { 0, 1, 0x80 };
	uint16_t port, same = DNS_PORT;

	bench_open();
	query(5000, 1, 30);
	asked(1, &port);
	peer_says(socket_of[0], "127.0.0.1", port, message, sizeof(message));
	close(socket_of[0]);
	query(5000, 1, 30);
	events(&w, 1000);
	check_eq("the answer counts", w.udp.nqueries, 0);
	socket_of[0] = peer_open(resolver[0], &same);
	later(&w, 1000);
	query(5000, 4, 30);
	events(&w, 0);
	check_eq("the first gets the next query", asked(4, &port), 0);
	query(5001, 5, 30);
	check_eq("and those of other flows", asked(5, &port), 0);
	bench_close();
}

/* Given a peer on the host that sends from port 53 to a forwarded port, and
 * looks to the guest like the address of --dns-forward, then the guest's answer
 * goes to this peer. */
static void story_inbound(void)
{
	uint16_t port = DNS_PORT, from;
	struct in6_addr a;
	struct seen s;
	uint8_t buf[64];
	int peer;

	bench_open();
	net_put_pair(&w.net, GW4, resolver[0], NAT_DNS_PORTS);
	peer = peer_open("127.0.0.1", &port);
	port = forward_port(&w, 5353);
	memory_clear(&w.mem);
	peer_says(peer, "127.0.0.1", port, "ask", 3);
	events(&w, 1000);
	check("the guest gets it", nth(&w, 0, &s) && is_from(&s, GW4));
	sends(&w, 5353, GW4, DNS_PORT, "answer", 6);
	check_eq("the answer comes back",
		 peer_hears(peer, buf, sizeof(buf), &a, &from), 6);
	check_eq("to the peer only",
		 asked(get_be16((const uint8_t *)"an"), &from), -1);
	close(peer);
	bench_close();
}

/* Given new resolvers, of which the first can't be reached, then the next query
 * of a flow that is open goes to the second. */
static void story_change_to_unreachable(void)
{
	uint16_t port;
	struct seen s;

	bench_open();
	query(5000, 1, 30);
	asked(1, &port);
	check("answered", answers(0, 1, port));
	w.net.forward[IP4][0] = addr(NOWHERE4);
	resolvers_init(&current, &w.net);
	query(5000, 2, 30);
	check_eq("the second is asked", asked(2, &port), 1);
	check("and the guest hears of no error", !nth(&w, 0, &s));
	bench_close();
}

/* Given a resolver that does not answer, and no descriptor for a new socket,
 * then no further resolver is blamed. */
static void story_no_descriptor(void)
{
	struct in6_addr via = addr(VIA);

	bench_open();
	query(5000, 1, 30);
	w.udp.fds = 0;
	later(&w, UDP_DNS_WAIT);
	check_eq("the second is the current one",
		 resolvers_at(&current, &via), 1);
	check_eq("and the query is forgotten", w.udp.nqueries, 0);
	bench_close();
}

/* Given a guest that has opened too many flows, when a resolver can't be
 * reached, then the query is not sent to another one. */
static void story_too_many(void)
{
	uint16_t port;

	bench_open();
	close(socket_of[0]);
	socket_of[0] = -1;
	query(5000, 1, 30);
	too_many(&w);
	events(&w, 1000);
	check_eq("nobody is asked", asked(1, &port), -1);
	check_eq("and the query is forgotten", w.udp.nqueries, 0);
	check_eq("no socket is open", w.udp.nsockets, 0);
	bench_close();
}

/* Given a guest that has opened too many flows, when there are other resolvers,
 * then its query is not sent to them, and the flow ends. */
static void story_change_too_many(void)
{
	uint16_t port;

	bench_open();
	query(5000, 1, 30);
	check_eq("the first is asked", asked(1, &port), 0);
	memset(w.net.forward, 0, sizeof(w.net.forward));
	w.net.forward[IP4][0] = addr(resolver[2]);
	resolvers_init(&current, &w.net);
	too_many(&w);
	query(5000, 2, 30);
	check_eq("the new one is not", asked(2, &port), -1);
	check("the flow has ended", !flow_of(&w, 5000, VIA, DNS_PORT));
	check_eq("no socket is open", w.udp.nsockets, 0);
	bench_close();
}

/* Given a flow to port 853, when another resolver becomes the current one, then
 * the flow stays, because the two ends have a session; a new one goes to the
 * current resolver. */
static void story_session(void)
{
	uint16_t port853 = 853, port;
	struct in6_addr a;
	uint8_t buf[64];
	int tls[2];

	bench_open();
	tls[0] = peer_open(resolver[0], &port853);
	tls[1] = peer_open(resolver[1], &port853);
	sends(&w, 7000, VIA, 853, "hello", 5);
	check_eq("a session begins",
		 peer_hears(tls[0], buf, sizeof(buf), &a, &port), 5);
	query(5000, 1, 30);
	asked(1, &port);
	later(&w, UDP_DNS_WAIT);
	check_eq("a query goes to the second", asked(1, &port), 1);
	sends(&w, 7000, VIA, 853, "more", 4);
	check_eq("the session stays",
		 peer_hears(tls[0], buf, sizeof(buf), &a, &port), 4);
	sends(&w, 7001, VIA, 853, "new", 3);
	check_eq("a new one goes to the second",
		 peer_hears(tls[1], buf, sizeof(buf), &a, &port), 3);
	close(tls[0]);
	close(tls[1]);
	bench_close();
}

/* Given a guest that is paused, so that answers wait, then no other resolver is
 * asked meanwhile, and the guest gets them later. */
static void story_paused(void)
{
	uint8_t message[DNS_HLEN] = { 0, 1, 0x80 };
	uint16_t port;

	bench_open();
	query(5000, 1, 30);
	asked(1, &port);
	w.mem.stalled = true;
	peer_says(socket_of[0], "127.0.0.1", port, message, sizeof(message));
	later(&w, UDP_DNS_WAIT);
	check_eq("nobody else is asked", asked(1, &port), -1);
	later(&w, UDP_DNS_WAIT);
	check_eq("nor later", asked(1, &port), -1);
	w.mem.stalled = false;
	memory_clear(&w.mem);
	events(&w, 1000);
	check_eq("the guest gets the answer", w.mem.nsent, 1);
	bench_close();
}

int main(void)
{
	own_network();
	story_silent();
	story_one_of_many();
	story_closed();
	story_limits();
	story_eight();
	story_other_family();
	story_change();
	story_answer_and_error();
	story_answer_to_all_and_error();
	story_inbound();
	story_change_to_unreachable();
	story_no_descriptor();
	story_too_many();
	story_change_too_many();
	story_session();
	story_paused();
	return unit_end();
}
