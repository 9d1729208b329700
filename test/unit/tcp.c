// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * tcp.c - Tests of TCP flows between guests and real sockets on loopback:
 * transfers in all circumstances, resets, backlogs, urgent data, errors of the
 * host, and guests that are paused or leave. Each pass of the loop takes 1 ms.
 */
#include <errno.h>
#include <sys/socket.h>

/* errno with which connect() of the code under test fails; 0: it does not. */
static int connect_error;

static int failing_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	if (!connect_error)
		return connect(fd, sa, len);
	errno = connect_error;
	return -1;
}

#define connect failing_connect
#include "../../tcp.c"
#include "../../tcp/connect.c"
#undef connect
#include "test/unit/way.h"

#define PROBE		(256 * 1024)

/* Given data in both directions, then every byte and both FINs arrive, and
 * nothing is left of the flow. */
static void story_transfer(const struct way *y)
{
	int listener;

	world_open(&w, 16, y->space ? y->space : SPACE);
	w.tcp.no_peek_off = y->no_peek_off;
	w.loss = y->loss;
	listener = opens(y);
	transfer(y, listener);
	w.loss = 0;
	if (!w.tcp.count[y->sees])
		fail(y->name, "'%s' is zero", tcp_counter_name[y->sees]);
	else if (end_well(y->name, &end_one))
		pass(y->name);
	goes();
	end_close(&end_one);
	close(listener);
	unforward(&w);
	world_close(&w, y->name);
}

#define BOTH	.up = 3000000, .down = 3000000

static const struct way ways[] = {
	{ "the guest connects over IPv4", V4, BOTH },
	{ "the guest connects over IPv6", V6, BOTH },
	{ "a peer connects to the guest over IPv4", V4, BOTH, .accepts = true,
	  .sees = TCP_ACCEPTED },
	{ "a peer connects to the guest over IPv6", V6, BOTH, .accepts = true,
	  .sees = TCP_ACCEPTED },
	{ "without SO_PEEK_OFF", V4, BOTH, .no_peek_off = true },
	{ "hardly any space on the link", V4, BOTH, .space = 20000 },
	{ "hardly any space, without SO_PEEK_OFF", V4, BOTH, .space = 20000,
	  .no_peek_off = true },
	{ "an MSS of 65,435", V6, BOTH, .mss = 65435 },
	{ "an MSS of 88", V4, .up = 300000, .down = 300000, .mss = 88 },
	{ "a guest with a small window", V4, .down = 300000, .rcvbuf = 2000 },
	{ "frames are lost", V4, BOTH, .loss = 20, .sees = TCP_RETRANSMIT },
	{ "frames from the guest are lost", V4, .up = 3000000, .loss = 20,
	  .sees = TCP_OUT_OF_ORDER },
	{ "frames are lost, without SO_PEEK_OFF", V4, BOTH, .loss = 20,
	  .no_peek_off = true, .sees = TCP_RETRANSMIT },
	{ "frames are lost, without SACK", V4, BOTH, .loss = 20,
	  .no_sack = true, .sees = TCP_RETRANSMIT },
	{ "frames are lost, without SACK and SO_PEEK_OFF", V4, BOTH, .loss = 20,
	  .no_sack = true, .no_peek_off = true, .sees = TCP_RETRANSMIT },
	{ "many frames are lost, and there is hardly any space", V6,
	  .loss = 150, .up = 300000, .down = 300000, .space = 20000,
	  .sees = TCP_RETRANSMIT },
	{ "a small send buffer", V4, BOTH, .sndbuf = 4096, .sees = TCP_BACKLOGGED },
	{ "a peer that does not read for a while", V4, .up = 12000000,
	  .deaf = 3000, .sees = TCP_BACKLOGGED },
	{ "a small send buffer, and the peer does not read", V4, BOTH,
	  .sndbuf = 4096, .deaf = 3000, .sees = TCP_BACKLOGGED },
	{ "a small send buffer, a peer that does not read, and losses",
	  V4, BOTH, .sndbuf = 4096,
	  .deaf = 1000, .loss = 20, .space = 50000, .no_peek_off = true,
	  .sees = TCP_BACKLOGGED },
	{ "no data in either direction", V4 },
};


/* Given data in flight in both directions, when the peer resets the connection,
 * then the guest receives RST, and no FIN before. */
static void story_peer_resets(void)
{
	const struct way y = { V4, .up = 500000, .down = 500000 };

	begins(&y);
	end_one.deaf = true;
	guest.reads = 0;
	end_turn(&end_one);
	turns(&w, 20);
	end_reset(&end_one);
	turns(&w, 5);
	check("RST of the peer resets the guest", guest.state == GUEST_RESET);
	check("the guest gets no FIN before that RST", !guest.rx_fin);
	check_eq("the flow is gone", w.flows.used, 0);
	ends("RST of the peer");
}

/* Given a backlog of data from the guest, when the peer resets the connection,
 * then the memory is freed, and the guest receives RST, but no FIN. */
static void story_peer_resets_backlog(bool no_peek_off)
{
	const struct way y = { V4, .up = 9000000, .down = 1000,
			       .no_peek_off = no_peek_off };

	begins(&y);
	end_one.deaf = end_one.shut = true;	/* no read, no FIN */
	while (!w.tcp.rxring_total && w.now < 1010000) {
		end_turn(&end_one);
		turn(&w);
	}
	check("a peer that does not read causes a backlog", w.tcp.rxring_total);
	end_reset(&end_one);
	turns(&w, 5);
	check("RST of a peer with a backlog resets the guest",
	      guest.state == GUEST_RESET);
	check("its stream does not look complete", !guest.rx_fin);
	check_eq("the memory of its backlog is freed",
		 w.tcp.rxring_total, 0);
	ends("RST with a backlog");
}

/* Given a backlog of data from the guest, when the guest sends RST, then the
 * peer's connection is reset, and the memory of the backlog is freed. */
static void story_guest_resets(void)
{
	const struct way y = { V4, .up = 9000000, .down = 1000 };
	struct tcp_hdr h = { .sport = 40001, .flags = SEG_RST, .wscale = -1 };

	begins(&y);
	end_one.deaf = true;
	while (!w.tcp.rxring_total && w.now < 1010000) {
		end_turn(&end_one);
		turn(&w);
	}
	h.dport = guest.pport;
	h.seq = guest.rcv_nxt ? guest.snd_una : 0;
	sends(&end_one, &h, NULL, 0);
	end_one.guest = NULL;
	w.ends[40001] = NULL;
	turn(&w);
	end_one.guest = &guest;
	end_one.deaf = false;
	peer_reads(&end_one);
	check_eq("RST of the guest resets the peer", end_one.error, ECONNRESET);
	check_eq("the memory of the backlog is freed",
		 w.tcp.rxring_total, 0);
	end_one.guest = NULL;
	ends("RST of the guest");
}

/* Given many segments in one batch, then one ACK acknowledges all of them
 * (T13). */
static void story_one_ack(void)
{
	uint32_t ack;
	unsigned int i;
	int listener;

	ack = by_hand(&listener);
	end_one.nseen = 0;
	for (i = 0; i < 20; i++)
		segment(SEG_ACK, 1001 + 1000 * i, ack, 1000);
	turns(&w, 5);
	if (check("twenty segments in a batch get one ACK", end_one.nseen == 1))
		check_eq("the ACK covers all of them",
			 end_one.seen[0].ack, 21001);
	end_one.nseen = 0;
	segment(SEG_ACK, 22001, ack, 1000);
	segment(SEG_ACK, 21001, ack, 1000);
	turns(&w, 5);
	check_eq("two swapped segments are acknowledged together",
		 end_one.seen[end_one.nseen - 1].ack, 23001);
	segment(SEG_RST, 23001, 0, 0);
	turn(&w);
	close(listener);
	ends("a batch");
}

/* Given a flood of segments that require challenge ACKs, then passt sends a
 * hundred in a second, and the connection stays open (RFC 5961 7). */
static void story_challenges(void)
{
	uint32_t ack;
	unsigned int i;
	int listener;

	ack = by_hand(&listener);
	w.now += 1000 - w.now % 1000;
	for (i = 0; i < 300; i++) {
		segment(SEG_RST, 1500 + i, 0, 0);
		segment(SEG_SYN, 1500 + i, 0, 0);
		turn(&w);
	}
	check_eq("a hundred challenge ACKs in a second",
		 w.tcp.count[TCP_CHALLENGE], 100);
	w.now += 1000;
	segment(SEG_ACK, 1001, ack + 1, 0);
	turn(&w);
	check_eq("another one in the next second",
		 w.tcp.count[TCP_CHALLENGE], 101);
	check_eq("the connection lives on", w.flows.used, 1);
	segment(SEG_RST, 1001, 0, 0);
	turn(&w);
	check_eq("an RST with the exact number ends it", w.flows.used, 0);
	close(listener);
	ends("a flood");
}

/* Given a keep-alive probe from the guest, then passt answers it, and turns on
 * SO_KEEPALIVE towards the peer (T10). */
static void story_keepalive(void)
{
	socklen_t len = sizeof(int);
	int listener, on = 0;
	uint32_t ack = by_hand(&listener);

	getsockopt(the_flow()->flow.fd[SIDE_HOST], SOL_SOCKET, SO_KEEPALIVE, &on, &len);
	check("a peer is not probed while the guest does not probe", !on);
	end_one.nseen = 0;
	segment(SEG_ACK, 1000, ack, 0);
	turns(&w, 2);
	check("a keep-alive probe is answered", end_one.nseen == 1 &&
	      end_one.seen[0].ack == 1001);
	getsockopt(the_flow()->flow.fd[SIDE_HOST], SOL_SOCKET, SO_KEEPALIVE, &on, &len);
	check("the peer is probed from then on", on);
	segment(SEG_RST, 1001, 0, 0);
	turn(&w);
	close(listener);
	ends("a keep-alive probe");
}

/* Given a peer that has sent FIN, when the guest sends FIN, then the ACK waits
 * until other frames go to the guest, but only for a short time (T13). */
static void story_last_ack_waits(const char *name, bool another)
{
	static struct end next;
	struct tcp_hdr syn = {
		.sport = 40002, .dport = 0, .seq = 5000, .flags = SEG_SYN,
		.wnd = 60000, .wscale = -1, .mss = 1460,
	};
	int listener;
	uint32_t ack = by_hand(&listener);

	syn.dport = guest.pport;
	end_init(&w, &next, NULL, 40002, GW4, guest.pport);
	end_close(&end_one);
	turns(&w, 2);
	end_one.nseen = 0;
	segment(SEG_FIN | SEG_ACK, 1001, ack + 1, 0);
	turn(&w);
	check_eq("the last ACK waits", end_one.nseen, 0);
	if (another)
		sends(&next, &syn, NULL, 0);
	turn(&w);
	check_eq("a connection that comes next is answered", next.nseen,
		 another);
	if (!another)
		turn(&w);
	check(name, end_one.nseen == 1 && end_one.seen[0].ack == 1002 &&
	      end_one.seen[0].flags == SEG_ACK);
	syn.flags = SEG_RST;
	syn.seq++;
	sends(&next, &syn, NULL, 0);
	turn(&w);
	close(listener);
	ends(name);
}

/* Given data and after it RST in one batch, then passt sends nothing to the
 * guest. */
static void story_batch_with_rst(void)
{
	int listener;
	uint32_t ack = by_hand(&listener);

	end_one.nseen = 0;
	segment(SEG_ACK, 1001, ack, 100);
	segment(SEG_RST, 1101, 0, 0);
	turns(&w, 3);
	check_eq("RST after data gets no answer", end_one.nseen, 0);
	close(listener);
	ends("RST after data");
}

/* Given an open connection, when a restarted guest sends SYN with the same
 * ports, then it receives an ACK for the old connection. When it answers the
 * ACK with RST, and sends SYN in the same batch, a new connection opens. */
static void story_rebooted(void)
{
	int listener;
	uint32_t ack = by_hand(&listener);

	end_one.nseen = 0;
	segment(SEG_SYN, 700000, 0, 0);
	turn(&w);
	if (check("SYN in an open flow is answered", end_one.nseen == 1))
		check("by an ACK for the open connection",
		      end_one.seen[0].ack == 1001 &&
		      end_one.seen[0].flags == SEG_ACK);
	segment(SEG_RST, 1001, 0, 0);
	segment(SEG_SYN, 700000, 0, 0);
	end_one.nseen = 0;
	turns(&w, 3);
	if (check("after its RST, SYN opens another", end_one.nseen == 1))
		check("with an initial sequence number of its own",
		      end_one.seen[0].seq + 1 != ack &&
		      end_one.seen[0].flags == (SEG_SYN | SEG_ACK));
	segment(SEG_RST, 700001, 0, 0);
	turn(&w);
	close(listener);
	ends("a guest that was restarted");
}

/* Given a port of the peer at which nobody listens, when the guest sends SYN,
 * then it receives RST. */
static void story_refused(void)
{
	uint16_t port = 0;
	int fd;

	world_open(&w, 16, SPACE);
	fd = listen_on("127.0.0.1", &port);
	close(fd);
	end_init(&w, &end_one, NULL, 40001, GW4, port);
	guest.pport = port;
	segment(SEG_SYN, 1000, 0, 0);
	turns(&w, 2);
	if (check("SYN to a port without listener is answered",
		  end_one.nseen == 1))
		check("by a RST for that SYN",
		      end_one.seen[0].flags == (SEG_RST | SEG_ACK) &&
		      end_one.seen[0].ack == 1001);
	ends("a port without a listener");
}

/* Given a guest that has sent all its data, and has acknowledged the peer's
 * data and FIN in one segment, when the peer has not read everything yet, then
 * the peer can still read the rest. */
static void story_last_ack(void)
{
	const struct way y = { V4, .up = 200000, .down = 4 };
	unsigned int i;

	begins(&y);
	end_one.deaf = true;
	guest.delay = true;
	for (i = 0; i < 300 && !guest_done(&guest); i++) {
		end_turn(&end_one);
		turn(&w);
	}
	check("a guest that is done before the peer has read",
	      guest_done(&guest));
	turns(&w, 10);
	end_one.deaf = false;
	for (i = 0; i < 1000 && !end_one.eof && !end_one.error; i++) {
		peer_reads(&end_one);
		turn(&w);
	}
	if (end_well("the peer has all in the end", &end_one))
		pass("the peer has all in the end");
	ends("a last ACK of data and FIN");
}

/* Given urgent data between other data of the peer, then the guest receives all
 * bytes in order, as normal data, and FIN after them (T12). */
static void story_urgent(const char *name, bool no_peek_off)
{
	const struct way y = { V4, .up = 10, .down = 30001,
			       .no_peek_off = no_peek_off };
	uint8_t buf[15000], b;
	unsigned int i, part;

	begins(&y);
	guest.delay = true;
	for (part = 0; part < 2; part++) {
		for (i = 0; i < sizeof(buf); i++)
			buf[i] = stream_byte(guest.pport, end_one.tx + i);
		send(end_one.fd, buf, sizeof(buf), 0);
		end_one.tx += sizeof(buf);
		if (!part) {
			b = stream_byte(guest.pport, end_one.tx++);
			send(end_one.fd, &b, 1, MSG_OOB);
		}
		/* After the first part run passt for one pass only, so that the
		 * second part causes events while the first is in flight. */
		turns(&w, part ? 50 : 1);
	}
	check("urgent data is not taken for EOF", !guest.rx_fin);
	for (i = 0; i < 300 && !end_done(&end_one); i++) {
		end_turn(&end_one);
		turn(&w);
	}
	if (end_well(name, &end_one))
		pass(name);
	ends(name);
}

/* Given a guest that opens too many flows beside others, then its SYN is
 * dropped without an answer, and the next one opens the connection. */
static void story_too_many_flows(void)
{
	uint16_t port = 0;
	int listener;

	world_open(&w, 16, SPACE);
	listener = listen_on("127.0.0.1", &port);
	end_init(&w, &end_one, NULL, 40001, GW4, port);
	guest.pport = port;
	w.sched.open_left[SCHED_OPEN_TCP] = -SCHED_OPEN_MAX;
	w.sched.open_at[SCHED_OPEN_TCP] = w.sched.settled_at = w.now;
	segment(SEG_SYN, 1000, 0, 0);
	turns(&w, 2);
	check_eq("there is no flow", w.flows.used, 0);
	check_eq("the SYN is counted", w.tcp.count[TCP_REFUSED], 1);
	check_eq("and gets no answer", end_one.nseen, 0);
	turns(&w, 700);
	segment(SEG_SYN, 1000, 0, 0);
	turns(&w, 2);
	check_eq("another opens the flow", w.flows.used, 1);
	check("its time is counted", w.sched.open_left[SCHED_OPEN_TCP] < SCHED_OPEN_MAX);
	segment(SEG_RST, 1001, 0, 0);
	turn(&w);
	close(listener);
	ends("too many flows");
}

/* Given a guest that does not take frames, then passt stops reading from the
 * peer, so that the peer must stop, too. When the guest takes frames again,
 * then the transfer goes on (T9). */
static void story_stalled(void)
{
	const struct way y = { V4, .up = 10, .down = 60000000 };
	unsigned int i;
	uint32_t stopped;

	begins(&y);
	guest.rcvbuf = 400000;
	for (i = 0; i < 20; i++) {
		end_turn(&end_one);
		turn(&w);
	}
	w.mem.stalled = true;
	for (i = 0; i < 200; i++) {
		end_turn(&end_one);
		turn(&w);
	}
	stopped = end_one.tx;
	for (i = 0; i < 200; i++) {
		end_turn(&end_one);
		turn(&w);
	}
	/* The peer may still send up to PROBE bytes: its kernel sends window
	 * probes, and passt's socket may accept the data in them. */
	check("a guest that takes no frames stops the peer",
	      end_one.tx - stopped <= PROBE && stopped < end_one.tx_total / 2);
	w.mem.stalled = false;
	for (i = 0; i < 10000 && !end_done(&end_one); i++) {
		end_turn(&end_one);
		turn(&w);
	}
	if (end_well("the peer goes on when the guest does", &end_one))
		pass("the peer goes on when the guest does");
	ends("a guest that takes no frames");
}

/* pauses() - Pause the guest for so many seconds, in which it takes no frames
 * and sends none, while the peer sends data */
static void pauses(unsigned int seconds)
{
	w.mem.stalled = true;
	for (; seconds; seconds--) {
		w.now += 999;
		peer_sends(&end_one);
		turn(&w);
	}
	w.mem.stalled = false;
}

/* Given data for a guest that is paused for an hour, then the connection goes
 * on afterwards: a segment that the guest did not take counts as no attempt. */
static void story_paused(const char *name, const struct way *y)
{
	unsigned int i;

	begins(y);
	pauses(3600);
	check_eq("a pause of an hour leaves the flow", w.flows.used, 1);
	for (i = 0; i < 100000 && !end_done(&end_one); i++) {
		end_turn(&end_one);
		turn(&w);
	}
	if (end_well(name, &end_one))
		pass(name);
	ends(name);
}

/* Given a guest that is paused, when a peer connects to it, then the connection
 * waits until the guest takes the SYN. */
static void story_paused_syn(void)
{
	const struct way y = { V4, .accepts = true, .up = 1000, .down = 1000 };
	unsigned int i;

	world_open(&w, 16, SPACE);
	w.mem.stalled = true;
	opens(&y);
	turns(&w, 10);
	check_eq("a SYN waits for the guest", w.flows.used, 1);
	pauses(600);
	check_eq("for ten minutes", w.flows.used, 1);
	for (i = 0; i < 10000 && !end_done(&end_one); i++) {
		end_turn(&end_one);
		turn(&w);
	}
	if (end_well("and the connection opens when the guest goes on",
		     &end_one))
		pass("and the connection opens when the guest goes on");
	ends("a SYN for a paused guest");
}

/* Given a guest that takes frames, but never acknowledges data, then the
 * connection ends. */
static void story_silent(void)
{
	const struct way y = { V4, .down = 1000 };
	unsigned int i;

	begins(&y);
	w.loss = 1000;
	peer_sends(&end_one);
	for (i = 0; i < 600 && w.flows.used; i++) {
		w.now += 999;
		turn(&w);
	}
	w.loss = 0;
	check_eq("a guest that is only silent loses its connection",
		 w.flows.used, 0);
	ends("a silent guest");
}

/* Given a peer that does not read for minutes, and no memory for a backlog,
 * then the guest does not give up, and all its data arrives when the peer
 * reads. */
static void story_no_backlog(void)
{
	const struct way y = { V4, .up = 9000000, .down = 1000 };
	unsigned int i;

	begins(&y);
	w.tcp.rxring_total += TCP_RXRING_MAX;
	end_one.deaf = true;
	for (i = 0; i < 400000 && !guest.wrong; i++) {
		end_turn(&end_one);
		turn(&w);
	}
	check("a guest whose data can't be stored does not give up",
	      !guest.wrong && guest.state == GUEST_OPEN);
	end_one.deaf = false;
	for (i = 0; i < 100000 && !end_done(&end_one); i++) {
		end_turn(&end_one);
		turn(&w);
	}
	if (end_well("all its data arrives when there is space", &end_one))
		pass("all its data arrives when there is space");
	w.tcp.rxring_total -= TCP_RXRING_MAX;
	ends("a guest whose data can't be stored");
}

/* Given data in both directions, when the guest leaves, then its peer's
 * connection is reset. */
static void story_guest_gone(void)
{
	const struct way y = { V4, .up = 9000000, .down = 3000000 };
	struct pollfd p = { .events = POLLIN };
	unsigned int i;

	begins(&y);
	end_one.deaf = true;
	for (i = 0; i < 50; i++) {
		end_turn(&end_one);
		turn(&w);
	}
	guest_leaves(&w);
	check_eq("no flow is left when the guest leaves", w.flows.used, 0);
	p.fd = end_one.fd;
	poll(&p, 1, 1000);
	end_one.deaf = false;
	end_one.shut = true;
	end_one.tx = end_one.tx_total;
	peer_reads(&end_one);
	check_eq("its peer is reset", end_one.error, ECONNRESET);
	end_one.guest = NULL;
	ends("a guest that leaves");
}

/* Given a packet in more pieces than passt writes in one system call, then all
 * bytes reach the peer, in order. */
static void story_pieces(void)
{
	static uint8_t data[3 * TCP_PAYLOAD_IOV], got[3 * TCP_PAYLOAD_IOV + 1];
	struct iovec iov[3 * TCP_PAYLOAD_IOV / 2];
	struct pkt pkt = { .iov = iov, .iovcnt = ARRAY_SIZE(iov),
			   .len = sizeof(data) };
	struct tcp_seg seg = { .flags = SEG_ACK, .seq = 1001, .wnd = 1000,
			       .len = sizeof(data), .wscale = -1 };
	struct new_payload new;
	struct tcp_flow *f;
	unsigned int i;
	int listener;

	seg.ack = by_hand(&listener);
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	for (i = 0; i < ARRAY_SIZE(iov); i++)
		iov[i] = (struct iovec){ data + 2 * i, 2 };
	f = the_flow();
	new = conn_segment(&f->conn, &seg, w.now);
	tcp_sock_add_payload(&w.tcp, f, &pkt, new, w.now);
	tcp_sock_deliver(&w.tcp, f, 0, w.now);
	turn(&w);
	check_eq("a packet in many pieces arrives",
		 recv(end_one.fd, got, sizeof(got), MSG_DONTWAIT),
		 sizeof(data));
	check_mem("with the same bytes", got, data, sizeof(data));
	check_eq("and it is acknowledged",
		 f->conn.rcv_nxt, 1001 + sizeof(data));
	segment(SEG_RST, f->conn.rcv_nxt, 0, 0);
	turn(&w);
	close(listener);
	ends("a packet in many pieces");
}

/* Given that connect() fails, then the guest receives RST if the host lacks
 * a resource or the peer refuses, an ICMP error if the path has an error, and
 * nothing if connect() timed out (T1). */
static void story_host_errors(void)
{
	static const struct {
		int error;
		bool rst, icmp;
		const char *name;
	} row[] = {
		{ ENOBUFS, true, false, "ENOBUFS refuses" },
		{ ENOMEM, true, false, "ENOMEM refuses" },
		{ EMFILE, true, false, "EMFILE refuses" },
		{ EAGAIN, true, false, "EAGAIN refuses" },
		{ EINVAL, true, false, "EINVAL refuses" },
		{ EPROTONOSUPPORT, true, false, "EPROTONOSUPPORT refuses" },
		{ ECONNREFUSED, true, false, "ECONNREFUSED refuses" },
		{ ECONNRESET, true, false, "ECONNRESET refuses" },
		{ ENETUNREACH, false, true, "ENETUNREACH is an ICMP error" },
		{ EACCES, false, true, "EACCES is an ICMP error" },
		{ ETIMEDOUT, false, false, "ETIMEDOUT is silence" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(row); i++) {
		world_open(&w, 16, SPACE);
		end_init(&w, &end_one, NULL, 40001, GW4, 5001);
		guest.pport = 5001;
		connect_error = row[i].error;
		segment(SEG_SYN, 1000, 0, 0);
		turns(&w, 2);
		connect_error = 0;
		check_eq(row[i].name, end_one.nseen, row[i].rst);
		if (end_one.nseen)
			check_eq("with RST", end_one.seen[0].flags & SEG_RST,
				 SEG_RST);
		check_eq("and one ICMP error, or none",
			 w.errors.count[ICMP_ERRORS], row[i].icmp);
		check_eq("the flow is gone", w.flows.used, 0);
		ends("an error of the host");
	}
}

int main(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ways); i++)
		story_transfer(&ways[i]);
	story_peer_resets();
	story_peer_resets_backlog(false);
	story_peer_resets_backlog(true);
	story_guest_resets();
	story_one_ack();
	story_challenges();
	story_keepalive();
	story_batch_with_rst();
	story_rebooted();
	story_refused();
	story_last_ack();
	story_last_ack_waits("the last ACK goes with the next frame", true);
	story_last_ack_waits("without another frame it is sent soon", false);
	story_urgent("urgent data arrives in line", false);
	story_urgent("urgent data without SO_PEEK_OFF", true);
	story_too_many_flows();
	story_stalled();
	story_paused("a little data, and a pause", &(struct way){ V4, .down = 100 });
	story_paused("much data, and a pause", &(struct way){ V4, BOTH });
	story_paused_syn();
	story_silent();
	story_no_backlog();
	story_guest_gone();
	story_pieces();
	story_host_errors();
	return unit_end();
}
