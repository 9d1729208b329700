// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * tcp_connecting.c - Tests of connections of the guest that wait for their
 * peers: if they take all flows or descriptors, those that wait longest are
 * closed, and others can be opened. The peer that does not answer is a real
 * socket, which listens, but whose queue is full.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "../../tcp.c"
#include "test/unit/way.h"

#define FLOWS	16
#define MOST	(FLOWS - FLOWS / TCP_OTHER_SHARE)	/* flows of TCP */
#define FIRST	41000					/* port of the guest */

static int silent[2];
static uint16_t silent_port;

/* silence() - Open a peer that does not answer. Linux ignores a SYN if the
 * queue of the listening socket is full, and a queue of length 0 takes one
 * connection */
static void silence(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	silent[0] = socket(AF_INET, SOCK_STREAM, 0);
	silent[1] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(silent[0], (struct sockaddr *)&sin, len) ||
	    listen(silent[0], 0) ||
	    getsockname(silent[0], (struct sockaddr *)&sin, &len) ||
	    connect(silent[1], (struct sockaddr *)&sin, len))
		fail("silent peer", "%s", strerror(errno));
	silent_port = ntohs(sin.sin_port);
}

/* syn() - Let the guest send a SYN */
static void syn(uint16_t sport, uint16_t dport)
{
	struct tcp_hdr h = {
		.sport = sport, .dport = dport, .seq = 1000, .mss = 1460,
		.flags = SEG_SYN, .wnd = 60000, .wscale = -1,
	};

	w.ends[sport] = &end_one;
	sends(&end_one, &h, NULL, 0);
	turn(&w);
}

static bool is_there(uint16_t sport, uint16_t dport)
{
	struct flow_key key = {
		.guest = addr(GUEST4), .peer = addr(GW4), .gport = sport,
		.pport = dport, .proto = IPPROTO_TCP,
	};

	return flow_lookup(&w.flows, &key);
}

static void bench_open(void)
{
	world_open(&w, FLOWS, SPACE);
	end_init(&w, &end_one, NULL, FIRST, GW4, 0);
	silence();
}

static void bench_close(const char *name)
{
	close(silent[0]);
	close(silent[1]);
	guest_leaves(&w);
	ends(name);
}

/* wait_for_most() - Let the guest begin @n connections that wait */
static void wait_for_most(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		syn((uint16_t)(FIRST + i), silent_port);
	check_eq("so many wait", w.flows.used, n);
	check_eq("none was closed", w.tcp.count[TCP_EVICTED], 0);
}

/* Given connections that wait and take all flows, when the guest opens another
 * one, then the one that waits longest is closed, and the guest is not told. */
static void story_flows(void)
{
	uint16_t port = 0;
	int listener;

	bench_open();
	listener = listen_on("127.0.0.1", &port);
	wait_for_most(MOST);
	syn(FIRST + MOST, port);
	check_eq("as many as before", w.flows.used, MOST);
	check("the first is gone", !is_there(FIRST, silent_port));
	check("the second is not", is_there(FIRST + 1, silent_port));
	turns(&w, 2);
	check_eq("the guest hears one thing", end_one.nseen, 1);
	check_eq("SYN-ACK", end_one.seen[0].flags, SEG_SYN | SEG_ACK);
	check_eq("one counts as answered", w.sched.answered[SCHED_OPEN_TCP], 1);
	syn(FIRST, silent_port);
	check("its next SYN begins the first again",
	      is_there(FIRST, silent_port));
	check("and ends the second", !is_there(FIRST + 1, silent_port));
	check("what is connected stays", is_there(FIRST + MOST, port));
	check_eq("both are counted", w.tcp.count[TCP_EVICTED], 2);
	check_eq("none was refused", w.tcp.count[TCP_REFUSED], 0);
	close(listener);
	bench_close("flows");
}

/* Given connections that wait and take all descriptors, then likewise: no more
 * descriptors than those are used. */
static void story_descriptors(void)
{
	uint16_t port = 0;
	int listener, fd[4], i;

	bench_open();
	listener = listen_on("127.0.0.1", &port);
	for (i = 0; i < 4; i++)
		fd[i] = dup(0);
	w.tcp.max_fd = fd[3] + 1;
	while (i--)
		close(fd[i]);
	wait_for_most(4);
	for (i = 0; i < 100; i++)
		syn((uint16_t)(FIRST + 4 + i), silent_port);
	check_eq("as many as before", w.flows.used, 4);
	check("the last is there", is_there(FIRST + 103, silent_port));
	check_eq("the others are counted", w.tcp.count[TCP_EVICTED], 100);
	syn(FIRST + 104, port);
	turns(&w, 2);
	check_eq("the guest hears one thing", end_one.nseen, 1);
	check_eq("SYN-ACK", end_one.seen[0].flags, SEG_SYN | SEG_ACK);
	check_eq("none was refused", w.tcp.count[TCP_REFUSED], 0);
	close(listener);
	bench_close("descriptors");
}

/* Given the same, when a peer opens a connection, then it is refused, and none
 * is closed. */
static void story_peer(void)
{
	uint16_t forwarded;

	bench_open();
	forwarded = forward(&w, "127.0.0.1", 7000);
	wait_for_most(MOST);
	peer_connects(&end_one, "127.0.0.1", forwarded);
	turns(&w, 2);
	check_eq("the peer is refused", w.tcp.count[TCP_REFUSED], 1);
	check_eq("no connection is closed", w.tcp.count[TCP_EVICTED], 0);
	check_eq("all are there", w.flows.used, MOST);
	bench_close("peer");
}

/* Given connections to peers that answer, and that take all flows, then another
 * one is refused. */
static void story_connected(void)
{
	uint16_t port = 0;
	unsigned int i;
	int listener;

	bench_open();
	listener = listen_on("127.0.0.1", &port);
	for (i = 0; i < MOST; i++)
		syn((uint16_t)(FIRST + i), port);
	turns(&w, 2);
	syn(FIRST + MOST, port);
	check_eq("it is refused", w.tcp.count[TCP_REFUSED], 1);
	check_eq("none is closed", w.tcp.count[TCP_EVICTED], 0);
	check_eq("all are there", w.flows.used, MOST);
	close(listener);
	bench_close("connected");
}

int main(void)
{
	story_flows();
	story_descriptors();
	story_peer();
	story_connected();
	return unit_end();
}
