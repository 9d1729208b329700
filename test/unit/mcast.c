// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * mcast.c - Relays multicast groups on the loopback interface of a network
 * namespace. It tests for how long passt relays answers, which socket has the
 * service's port, and which datagrams passt drops.
 */
#include "../../udp/mcast.c"
#include "test/unit/flows.h"

#define ROOM	(1 << 20)
#define LIFE	128		/* number of flows in the flow table */
#define GROUP	"224.0.0.251"
#define PORT	5353
#define NEIGHBOUR "198.18.0.1"	/* one more address on loopback (RFC 2544) */

/* relay_open() - Set up the test bench with multicast groups on one interface.
 * It is for IPv4 only, because loopback has no route to IPv6 groups */
static void relay_open(struct world *w, uint32_t ifindex)
{
	world_open(w, LIFE, ROOM);
	w->net.use[IP6] = false;
	if (ifindex)
		if_indextoname(ifindex, w->net.mcast_ifname[IP4]);
	if (mcast_open(&w->udp))
		exit(1);
}

/* member_open() - Open a foreign socket on the service's port, and join the
 * group; @shared: with SO_REUSEADDR, as a responder does */
static int member_open(bool shared)
{
	struct ip_mreqn m = { .imr_ifindex = 1 };
	struct in6_addr group = addr(GROUP), any = addr("0.0.0.0");
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	union sockaddr_any sa;
	socklen_t len = sockaddr_set(&sa, &any, PORT, 0);
	int one = shared;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &sa.sa, len)) {
		close(fd);
		return -1;
	}
	m.imr_multiaddr = addr_v4(&group);
	setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m));
	return fd;
}

/* asks() - Let the guest send a query to the group, and clear what the guest
 * then receives: on loopback, unlike on real interfaces, the query comes
 * back */
static void asks(struct world *w, uint16_t port)
{
	sends(w, port, GROUP, PORT, "who?", 4);
	events(w, 100);
	memory_clear(&w->mem);
}

/* heard_from() - Whether exactly one datagram reached the guest, from @src to
 * the guest's port @port */
static bool heard_from(struct world *w, const char *src, uint16_t port)
{
	struct seen s;

	events(w, 100);
	return w->mem.nsent == 1 && nth(w, 0, &s) && s.good &&
	       is_from(&s, src) && get_be16(s.l4 + 2) == port;
}

/* says_alone() - Clear what the guest has received, and let a peer send a
 * datagram to a port of the host */
static void says_alone(struct world *w, int peer, uint16_t port)
{
	memory_clear(&w->mem);
	peer_says(peer, "127.0.0.1", port, "answer", 6);
}

/* neighbour_up() - Add the address NEIGHBOUR to the loopback interface */
static bool neighbour_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo:1" };
	struct in6_addr a = addr(NEIGHBOUR);
	union sockaddr_any sa;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool good;

	sockaddr_set(&sa, &a, 0, 0);
	ifr.ifr_addr = sa.sa;
	good = fd >= 0 && !ioctl(fd, SIOCSIFADDR, &ifr);
	if (fd >= 0)
		close(fd);
	return good;
}

static struct udp_flow *query_of(struct world *w, uint16_t gport)
{
	struct flow_key key = { .guest = addr(GUEST4), .peer = addr(GROUP),
				.gport = gport, .pport = PORT,
				.proto = IPPROTO_UDP };
	struct flow *f = flow_lookup(&w->flows, &key);

	return f ? container_of(f, struct udp_flow, flow) : NULL;
}

/* Given the table of multicast groups, then each group has a multicast address,
 * no socket yet, and the interface of its family. */
static void story_table(void)
{
	struct udp_group g[UDP_GROUPS];
	unsigned int i, good = 0;

	printf("# the groups\n");
	mcast_sock_init(g, 4, 6);
	for (i = 0; i < UDP_GROUPS; i++)
		good += addr_is_multicast(&g[i].addr) && g[i].fd == -1 &&
			g[i].ifindex == (addr_is_v4(&g[i].addr) ? 4U : 6U);
	check_eq("all are groups, with the interface of their family", good,
		 UDP_GROUPS);
}

/* Given a guest that sends a query from the service's port, when a peer answers
 * to this port, then the guest receives the answers of the next ten seconds,
 * and no others. */
static void story_window(void)
{
	uint16_t port = 0;
	struct world w;
	int peer;

	printf("# answers to the service's port\n");
	relay_open(&w, 1);
	peer = peer_open("127.0.0.1", &port);
	says_alone(&w, peer, PORT);
	check("nothing before its query", !heard_from(&w, GW4, PORT));
	check_eq("it is counted", w.udp.count[UDP_UNASKED], 1);

	asks(&w, PORT);
	check_eq("the query leaves", w.udp.count[UDP_FROM_GUEST], 1);
	check_eq("without a flow", w.flows.used, 0);
	says_alone(&w, peer, PORT);
	check("an answer at once", heard_from(&w, GW4, PORT));
	later(&w, UDP_ONE_SHOT - 1);
	says_alone(&w, peer, PORT);
	check("an answer just in time", heard_from(&w, GW4, PORT));
	later(&w, 1);
	says_alone(&w, peer, PORT);
	check("no answer after ten seconds", !heard_from(&w, GW4, PORT));

	asks(&w, PORT);
	guest_leaves(&w);
	says_alone(&w, peer, PORT);
	check("nor an answer to another guest", !heard_from(&w, GW4, PORT));
	close(peer);
	world_close(&w);
}

/* Given a guest that sends a query from another port, when peers send many
 * answers, then the guest receives all of them, and the flow stays one-shot,
 * and ends. */
static void story_flow(void)
{
	uint16_t port = 0, from = 0;
	int ear, peer, other;
	unsigned int i, n = 0;
	struct in6_addr who;
	struct world w;
	char buf[8];

	printf("# answers to a query from any port\n");
	relay_open(&w, 1);
	ear = member_open(true);
	peer = peer_open("127.0.0.1", &port);
	port = 0;
	other = peer_open("127.0.0.2", &port);
	asks(&w, 40000);
	check_eq("the group receives it", peer_hears(ear, buf, sizeof(buf),
		 &who,
						  &from), 4);
	check_eq("from the guest's port", from, 40000);
	for (i = 0; i < 20; i++) {
		says_alone(&w, i % 2 ? peer : other, from);
		n += heard_from(&w, GW4, 40000);
	}
	check_eq("all answers are received", n, 20);
	check("it is still a one-shot flow", query_of(&w, 40000) &&
	      !query_of(&w, 40000)->stream);
	asks(&w, 40000);
	check_eq("the next query is the same flow", w.udp.nflows, 1);
	later(&w, UDP_ONE_SHOT - 1);
	check("which lives for ten seconds", query_of(&w, 40000));
	later(&w, 1);
	check("and ends", !query_of(&w, 40000) && !w.udp.nsockets);
	close(ear);
	close(peer);
	close(other);
	world_close(&w);
}

/* Given a querier, when the guest sends it an answer within ten seconds, then
 * the answer leaves from the service's port. Later answers, and datagrams to
 * other ports, need a flow as usual. */
static void story_answer(void)
{
	struct ip_mreqn m = { .imr_ifindex = 1 };
	uint16_t port = 0, from;
	struct in6_addr who;
	struct world w;
	char buf[8];
	int peer;

	printf("# a querier\n");
	relay_open(&w, 1);
	peer = peer_open(NEIGHBOUR, &port);
	setsockopt(peer, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof(m));
	peer_says(peer, GROUP, PORT, "who?", 4);
	events(&w, 1000);

	sends(&w, PORT, NEIGHBOUR, port, "me", 2);
	peer_hears(peer, buf, sizeof(buf), &who, &from);
	check_eq("the answer is from the service's port", from, PORT);
	check_eq("and no flow", w.flows.used, 0);
	later(&w, UDP_ONE_SHOT - 1);
	sends(&w, PORT, NEIGHBOUR, port, "me", 2);
	check_eq("nor just in time", w.flows.used, 0);
	sends(&w, PORT, NEIGHBOUR, port + 1, "me", 2);
	check_eq("another port is no querier", w.flows.used, 1);
	sends(&w, 1900, NEIGHBOUR, port, "me", 2);
	check_eq("nor is it one for another service", w.flows.used, 2);
	later(&w, 1);
	sends(&w, PORT, NEIGHBOUR, port, "me", 2);
	check_eq("ten seconds later it is a flow", w.flows.used, 3);
	close(peer);
	world_close(&w);
}

/* Given a responder on the host that has the service's port, then the responder
 * receives what the guest sends to the group, and what a peer sends to this
 * port of the host. The guest does not receive what that peer sends. */
static void story_responder(bool before)
{
	uint16_t port = 0, from;
	struct in6_addr who;
	struct world w;
	int own = -1, peer;
	char buf[8];

	printf("# a responder on the host, %s\n", before ? "before" : "after");
	if (before)
		own = member_open(true);
	relay_open(&w, 1);
	check("there is a port for the group", w.udp.mcast->group[0].fd >=
	      0);
	check_eq("on all addresses, if the port was free",
		 w.udp.mcast->group[0].unicast,
		 !before);
	if (!before)
		own = member_open(true);
	check("and one for the responder", own >= 0);

	peer = peer_open("127.0.0.1", &port);
	asks(&w, PORT);
	check_eq("the responder receives the guest's query",
		 peer_hears(own, buf, sizeof(buf), &who, &from), 4);
	check_eq("from the service's port", from, PORT);
	says_alone(&w, peer, PORT);
	check_eq("the responder receives what is sent to the host",
		 peer_hears(own, buf, sizeof(buf), &who, &from), 6);
	check("and the guest does not", !heard_from(&w, GW4, PORT));
	close(peer);
	close(own);
	world_close(&w);
}

/* Given a forwarded port that is also the service's port, then the listener of
 * this port and the group's socket share the port, and no foreign socket can
 * bind it. */
static void story_forwarded(void)
{
	socklen_t len = sizeof(int);
	struct world w;
	int fd, port, reuse = 1;

	printf("# a forwarded port of the same number\n");
	world_open(&w, LIFE, ROOM);
	w.net.use[IP6] = false;
	port = member_open(false);
	put_listener(&w.fwd, port, IPPROTO_UDP, PORT, PORT);
	if_indextoname(1, w.net.mcast_ifname[IP4]);
	mcast_open(&w.udp);
	check("the group has a socket", w.udp.mcast->group[0].fd >= 0);
	check("but not all of the port", !w.udp.mcast->group[0].unicast);
	getsockopt(port, SOL_SOCKET, SO_REUSEADDR, &reuse, &len);
	check_eq("the port is no longer open to others", reuse, 0);
	fd = member_open(true);
	check("no other socket can bind it", fd < 0);
	world_close(&w);
}

/* Given no interface for groups, or a foreign socket that does not share the
 * service's port, then passt can't join the group, and drops what the guest
 * sends to this group. */
static void story_refused(void)
{
	struct world w;
	int own;

	printf("# groups that can't be joined\n");
	relay_open(&w, 0);
	asks(&w, PORT);
	asks(&w, 40000);
	check_eq("without an interface it is dropped",
		 w.udp.count[UDP_MULTICAST], 2);
	world_close(&w);

	own = member_open(false);
	relay_open(&w, 1);
	asks(&w, PORT);
	check_eq("without a port likewise", w.udp.count[UDP_MULTICAST], 1);
	sends(&w, 1900, "239.255.255.250", 1900, "who?", 4);
	check_eq("while the others are relayed", w.udp.count[UDP_FROM_GUEST],
		 1);
	close(own);
	world_close(&w);
}

/* Given datagrams that passt can't relay to the guest, then each is dropped and
 * counted by its cause. */
static void story_dropped(void)
{
	static uint8_t data[UDP_GROUP_LONGEST + 1];
	uint16_t port = 0;
	struct world w;
	int peer;

	printf("# datagrams that can't be passed on\n");
	relay_open(&w, 1);
	peer = peer_open("127.0.0.1", &port);
	asks(&w, PORT);
	peer_says(peer, "127.0.0.1", PORT, data, sizeof(data));
	events(&w, 100);
	check_eq("too long", w.udp.count[UDP_TOO_BIG], 1);
	peer_says(peer, "127.0.0.1", PORT, data, sizeof(data) - 1);
	events(&w, 100);
	check_eq("not too long", w.mem.nsent, 1);

	w.net.nat[IP4].visible = ADDR_NONE;
	says_alone(&w, peer, PORT);
	events(&w, 100);
	check_eq("from an address that the guest can't answer",
		 w.udp.count[UDP_IMPOSSIBLE],
		 1);
	check("neither reaches the guest", !w.mem.nsent);
	close(peer);
	world_close(&w);
}

/* Given a full flow table, then a query from another port is refused and
 * counted. A query from the service's port needs no flow, and leaves. */
static void story_no_flows(void)
{
	struct world w;

	printf("# no space for flows\n");
	relay_open(&w, 1);
	w.flows.max = 0;
	asks(&w, 40000);
	check_eq("a query is refused", w.udp.count[UDP_REFUSED], 1);
	asks(&w, PORT);
	check_eq("one from the service's port leaves",
		 w.udp.count[UDP_FROM_GUEST],
		 1);
	check_eq("no socket is left", w.udp.nsockets, 0);
	w.flows.max = LIFE;
	world_close(&w);
}

int main(void)
{
	story_table();
	if (!own_network()) {
		skip("groups are joined", "no network namespace allowed");
		return unit_end();
	}
	story_window();
	story_flow();
	if (neighbour_up())
		story_answer();
	else
		skip("neighbours are answered", "no second address allowed");
	story_responder(true);
	story_responder(false);
	story_forwarded();
	story_refused();
	story_dropped();
	story_no_flows();
	return unit_end();
}
