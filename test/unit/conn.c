// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conn.c - How a TCP connection begins and ends. Each test case is a story: a
 * sequence of segments and events, and what the connection must do after each.
 * The stories test promises T1, T2 and T10 to T13 of doc/design.md;
 * conn_events.c tests every event in every phase.
 */
#include "../../tcp/conn.c"
#include "../../tcp/conn_timer.c"
#include "test/unit/story.h"

/* ---- T1: the guest connects ---- */

/* Given the guest's SYN, then passt sends SYN-ACK when the socket has
 * connected, and not before. The guest's ACK then opens the connection. */
static void t1_connects(void)
{
	syn(MSS, 0, true);
	EXPECT_EQ(c.phase, CONN_CONNECTING);
	DID(0);
	/* connect() has a timeout of its own. */
	EXPECT_EQ(c.timer, CONN_TIMER_NONE);

	conn_connected(&c, now);
	EXPECT_EQ(c.phase, CONN_SYN_ACKED);
	DID(CONN_DO_SYN);
	EXPECT_EQ(c.isn, H);
	EXPECT_EQ(c.rcv_nxt, G + 1);
	EXPECT_EQ(conn_usable_window(&c), 0);

	now += 10;
	got(SEG_ACK, 1, 1, 0);
	EXPECT_EQ(c.phase, CONN_OPEN);
	DID(CONN_DO_SEND);
	EXPECT_EQ(c.snd_una, H + 1);
	EXPECT_EQ(c.snd_nxt, H + 1);
	EXPECT_EQ(c.timer, CONN_TIMER_IDLE);
	EXPECT_EQ(c.tries, 0);
}

/* Given a SYN-ACK that is lost, then passt sends it again at once if the guest
 * repeats its SYN, and otherwise after 1 s, and after 2, 4, 8 and 16 s more.
 * 32 s later the connection ends. */
static void t1_syn_ack_lost(void)
{
	static const unsigned int after[] = { 1000, 2000, 4000, 8000, 16000 };
	unsigned int i;

	syn_acked();
	now += 500;
	got(SEG_SYN, 0, 0, 0);
	DID(CONN_DO_SYN);
	now -= 500;
	for (i = 0; i < ARRAY_SIZE(after); i++) {
		conn_timeout(&c, now + after[i] - 1);
		DID(0);
		now += after[i];
		conn_timeout(&c, now);
		DID(CONN_DO_SYN);
	}
	conn_timeout(&c, now + 31999);
	DID(0);
	conn_timeout(&c, now + 32000);
	EXPECT_EQ(c.phase, CONN_CLOSED);
	DID(CONN_DO_RST_PEER | CONN_DO_RST_GUEST | CONN_DO_REMOVE);
}

/* Given a guest that sends RST while the socket connects, then the socket is
 * closed, but only if RST has exactly the next sequence number. */
static void t1_gives_up(void)
{
	connecting();
	got(SEG_RST, 0, 0, 0);
	got(SEG_RST, 2, 0, 0);
	DID(0);
	got(SEG_RST | SEG_ACK, 1, 0, 0);
	EXPECT_EQ(c.phase, CONN_CLOSED);
	DID(CONN_DO_RST_PEER | CONN_DO_REMOVE);
}

/* Given the ACK that completes the handshake, when it carries data, or data and
 * FIN, then passt accepts these, too. */
static void t1_data_with_ack(void)
{
	struct new_payload t;

	syn_acked();
	t = got(SEG_ACK, 1, 1, 300);
	EXPECT_EQ(t.len, 300);
	EXPECT_EQ(c.phase, CONN_OPEN);
	DID(CONN_DO_SEND | CONN_DO_ACK);
	conn_delivered(&c, 300, now);
	EXPECT_EQ(c.rcv_nxt, G + 301);
	DID(CONN_DO_ACK);

	syn_acked();
	got(SEG_ACK | SEG_FIN, 1, 1, 300);
	conn_delivered(&c, 300, now);
	EXPECT_EQ(c.phase, CONN_OPEN);
	EXPECT(c.fin_rcvd);
	DID(CONN_DO_SEND | CONN_DO_ACK | CONN_DO_SHUTDOWN);
}

/* Given a repeated SYN and the ACK that completes the handshake in one batch,
 * then passt does not answer the SYN: a SYN-ACK can't follow any more, and a
 * SYN would be wrong. */
static void t1_syn_and_ack(void)
{
	syn_acked();
	got(SEG_SYN, 0, 0, 0);
	got(SEG_ACK, 1, 1, 0);
	EXPECT_EQ(c.phase, CONN_OPEN);
	DID(CONN_DO_SEND);

	syn_sent();			/* a simultaneous open */
	got(SEG_SYN, 0, 0, 0);
	got(SEG_SYN | SEG_ACK, 0, 1, 0);
	EXPECT_EQ(c.phase, CONN_OPEN);
	DID(CONN_DO_ACK | CONN_DO_SEND);
}

/* Given a segment with a wrong ACK before the handshake is complete, then passt
 * answers with RST, and accepts none of the segment's data. */
static void t1_wrong_ack(void)
{
	struct new_payload t;

	syn_acked();
	t = got(SEG_ACK, 1, 2, 300);
	EXPECT_EQ(t.len, 0);
	EXPECT_EQ(c.phase, CONN_SYN_ACKED);
	DID(CONN_DO_REFUSE);
	got(SEG_ACK, 1, 0, 0);
	DID(CONN_DO_REFUSE);
	got(SEG_ACK, 1, 1, 0);
	EXPECT_EQ(c.phase, CONN_OPEN);
}

/* ---- T2: a peer connects to the guest ---- */

static void t2_accepted(void)
{
	conn_accepted(&c, H, PAYLOAD, now);
	EXPECT_EQ(c.phase, CONN_SYN_SENT);
	DID(CONN_DO_SYN);
	EXPECT_EQ(c.snd_nxt, H + 1);

	wnd = 7000;
	got(SEG_SYN | SEG_ACK, 0, 1, 0);
	EXPECT_EQ(c.phase, CONN_OPEN);
	DID(CONN_DO_ACK | CONN_DO_SEND);
	EXPECT_EQ(c.rcv_nxt, G + 1);
	EXPECT_EQ(c.snd_una, H + 1);
	EXPECT_EQ(c.mss, MSS);
	EXPECT_EQ(conn_usable_window(&c), 7000);
}

/* Given a guest that does not answer, then passt repeats SYN for 63 s, and then
 * resets the peer. */
static void t2_silence(void)
{
	unsigned int tries = 0;

	syn_sent();
	while (c.phase == CONN_SYN_SENT) {
		tries++;
		at_deadline();
		if (c.phase == CONN_SYN_SENT)
			DID(CONN_DO_SYN);
	}
	EXPECT_EQ(tries, TCP_SYN_TRIES);
	EXPECT_EQ(now - START, 63000);
	EXPECT_EQ(c.phase, CONN_CLOSED);
	DID(CONN_DO_RST_PEER | CONN_DO_RST_GUEST | CONN_DO_REMOVE);
}

/* Given a SYN or SYN-ACK that timed out at least once, then the timeout of the
 * first data is 3 s (RFC 6298 5.7), not the last timeout of SYN. */
static void t2_first_timeout(void)
{
	unsigned int i;

	syn_sent();
	for (i = 0; i < 4; i++)
		at_deadline();
	got(SEG_SYN | SEG_ACK, 0, 1, 0);
	sent(100);
	EXPECT_EQ(c.deadline - now, 3000);

	syn_acked();
	at_deadline();
	got(SEG_ACK, 1, 1, 0);
	sent(100);
	EXPECT_EQ(c.deadline - now, 3000);

	opened();
	sent(100);
	EXPECT_EQ(c.deadline - now, TCP_RTO_INIT);
}

/* Given a guest that does not listen, when its RST acknowledges passt's SYN,
 * then passt resets the peer; any other RST is ignored (RFC 9293 3.10.7.3). */
static void t2_refused(void)
{
	syn_sent();
	got(SEG_RST, 0, 0, 0);
	got(SEG_RST | SEG_ACK, 0, 0, 0);
	got(SEG_RST | SEG_ACK, 0, 2, 0);
	DID(0);
	EXPECT_EQ(c.phase, CONN_SYN_SENT);
	got(SEG_RST | SEG_ACK, 0, 1, 0);
	EXPECT_EQ(c.phase, CONN_CLOSED);
	DID(CONN_DO_RST_PEER | CONN_DO_REMOVE);
}

/* Given a guest that still has an old connection on the ports of passt's SYN,
 * then passt answers the guest's wrong ACKs with RST (RFC 9293 3.5, figure 9),
 * and accepts the guest's next SYN-ACK. */
static void t2_old_connection(void)
{
	syn_sent();
	got(SEG_ACK, 900, 500, 0);
	DID(CONN_DO_REFUSE);
	got(SEG_SYN | SEG_ACK, 0, 500, 0);
	DID(CONN_DO_REFUSE);
	got(SEG_FIN | SEG_ACK, 900, 1, 0);
	DID(0);
	got(SEG_SYN | SEG_ACK, 0, 1, 0);
	EXPECT_EQ(c.phase, CONN_OPEN);
}

/* Given a simultaneous open (RFC 9293 3.5, figure 8), then passt answers the
 * guest's SYN with SYN-ACK, and a SYN-ACK or ACK of the guest opens the
 * connection. */
static void t2_both_at_once(void)
{
	unsigned int i;

	syn_sent();
	got(SEG_SYN, 0, 0, 0);
	EXPECT_EQ(c.phase, CONN_SYN_ACKED);
	DID(CONN_DO_SYN);
	EXPECT_EQ(c.rcv_nxt, G + 1);
	EXPECT_EQ(c.snd_nxt, H + 1);
	got(SEG_SYN | SEG_ACK, 0, 1, 0);
	EXPECT_EQ(c.phase, CONN_OPEN);
	DID(CONN_DO_ACK | CONN_DO_SEND);
	got_data(1, 10);
	EXPECT_EQ(c.rcv_nxt, G + 11);

	syn_sent();
	for (i = 1; i < TCP_SYN_TRIES; i++)
		at_deadline();
	got(SEG_SYN, 0, 0, 0);
	EXPECT_EQ(c.deadline - now, TCP_RTO_INIT);
	for (i = 1; i < TCP_SYN_TRIES; i++)	/* tries count from 0 again */
		at_deadline();
	c.actions = 0;
	got(SEG_ACK, 1, 1, 0);
	EXPECT_EQ(c.phase, CONN_OPEN);
	DID(CONN_DO_SEND);
}

/* ---- T10: how a connection ends ---- */

/* Given several pending actions, when the caller takes some of them, then only
 * those that it has not taken are still pending. */
static void t13_actions_taken(void)
{
	established();
	got(SEG_ACK, 101, 101, 100);
	conn_delivered(&c, 100, now);
	EXPECT_EQ(conn_take_actions(&c, ~(uint32_t)CONN_DO_ACK),
		  CONN_DO_DISCARD | CONN_DO_SEND);
	EXPECT_EQ(conn_take_actions(&c, ~(uint32_t)CONN_DO_ACK), 0);
	DID(CONN_DO_ACK);
}

/* Given a guest that sends FIN first, with its last data, then passt
 * acknowledges FIN and shuts down the socket's sending side (SHUT_WR) once the
 * socket has taken all data before FIN. */
static void t10_guest_first(void)
{
	established();
	got(SEG_ACK | SEG_FIN, 101, 101, 500);
	EXPECT(!c.fin_rcvd);
	EXPECT_EQ(c.rcv_queued, 500);
	DID(CONN_DO_DISCARD | CONN_DO_SEND | CONN_DO_ACK);
	conn_delivered(&c, 200, now);
	EXPECT(!c.fin_rcvd);
	DID(CONN_DO_ACK);
	conn_delivered(&c, 300, now);
	EXPECT(c.fin_rcvd);
	EXPECT_EQ(c.rcv_nxt, G + 602);
	DID(CONN_DO_ACK | CONN_DO_SHUTDOWN);

	sent(1000);			/* the guest still receives data */
	got(SEG_ACK, 602, 1101, 0);
	EXPECT_EQ(c.discard, 1100);
	peer_ends();
	got(SEG_ACK, 602, 1102, 0);
	EXPECT_EQ(c.phase, CONN_CLOSED);
	EXPECT_EQ(c.discard, 1100);
	DID(CONN_DO_DISCARD | CONN_DO_REMOVE);
}

/* Given the peer's FIN that can't be sent yet because the guest's window is
 * closed, when the guest sends FIN, then the guest's FIN counts as the first,
 * and there is no time-wait. */
static void t10_peer_waits(void)
{
	wnd = 0;
	opened();
	conn_eof(&c);
	conn_window_closed(&c, now);
	got(SEG_ACK | SEG_FIN, 1, 1, 0);
	wnd = 100;
	got(SEG_ACK, 2, 1, 0);
	conn_fin_sent(&c, now);
	got(SEG_ACK, 2, 2, 0);
	EXPECT_EQ(c.phase, CONN_CLOSED);
}

/* Given a peer that sends FIN first, then passt still accepts the guest's data,
 * and the connection ends with a time-wait, because the last ACK may be
 * lost. */
static void t10_peer_first(void)
{
	uint64_t end;

	opened();
	sent(100);
	peer_ends();
	got_data(1, 1000);
	got(SEG_ACK, 1001, 102, 0);
	EXPECT_EQ(c.discard, 100);	/* FIN does not count */
	got_data(1001, 1000);
	EXPECT_EQ(c.rcv_nxt, G + 2001);
	c.actions = 0;
	got(SEG_ACK | SEG_FIN, 2001, 102, 0);
	EXPECT_EQ(c.phase, CONN_TIME_WAIT);
	DID(CONN_DO_SHUTDOWN | CONN_DO_ACK | CONN_DO_CLOSE);
	end = c.deadline;
	EXPECT_EQ(end, now + TCP_TIMEWAIT_LEN);

	now += 500;
	got(SEG_ACK | SEG_FIN, 2001, 102, 0);
	DID(CONN_DO_ACK);
	got(SEG_ACK, 2002, 102, 0);
	DID(0);
	EXPECT_EQ(c.deadline, end);
	conn_timeout(&c, end - 1);
	EXPECT_EQ(c.phase, CONN_TIME_WAIT);
	conn_timeout(&c, end);
	EXPECT_EQ(c.phase, CONN_CLOSED);
	DID(CONN_DO_REMOVE);
}

/* Given a guest that has not got the ACK of its FIN, and was told that the
 * window is closed, when it probes, then passt acknowledges its FIN again, as
 * any segment that is not acceptable has an answer (RFC 9293 3.10.7.4). */
static void t10_probe_in_time_wait(void)
{
	waiting();
	got(SEG_ACK, 100, 102, 0);
	DID(CONN_DO_ACK);
	got(SEG_ACK, 102, 102, 0);
	DID(0);
	got(SEG_RST, 100, 0, 0);
	DID(0);
	EXPECT_EQ(c.phase, CONN_TIME_WAIT);
}

/* Given a guest and a peer that send FIN at the same time, then the connection
 * ends as RFC 9293 3.6 says, in whichever order the ACKs come. */
static void t10_both_at_once(void)
{
	fin_wait_1();
	got(SEG_ACK | SEG_FIN, 101, 101, 0);	/* does not ACK passt's FIN */
	EXPECT_EQ(c.phase, CONN_OPEN);
	DID(CONN_DO_DISCARD | CONN_DO_SEND | CONN_DO_ACK | CONN_DO_SHUTDOWN);
	got(SEG_ACK, 102, 102, 0);
	EXPECT_EQ(c.phase, CONN_TIME_WAIT);
	EXPECT(c.actions & CONN_DO_CLOSE);

	fin_wait_1();				/* this FIN ACKs passt's FIN */
	got(SEG_ACK | SEG_FIN, 101, 102, 0);
	EXPECT_EQ(c.phase, CONN_TIME_WAIT);
	DID(CONN_DO_DISCARD | CONN_DO_SEND | CONN_DO_ACK | CONN_DO_SHUTDOWN | CONN_DO_CLOSE);
}

/* Given an ACK of the guest for both the last data and FIN, then passt removes
 * the data from the socket before it closes the socket: close() with unread
 * data would reset the peer. */
static void t10_last_ack_of_all(void)
{
	close_wait();
	sent(400);
	peer_ends();
	got(SEG_ACK, 102, 502, 0);
	EXPECT_EQ(c.phase, CONN_CLOSED);
	EXPECT_EQ(c.discard, 500);
	DID(CONN_DO_DISCARD | CONN_DO_REMOVE);
}

/* Given FIN after a gap, then passt accepts FIN once all data before it has
 * arrived, and accepts no data beyond FIN. */
static void t10_fin_ahead(void)
{
	struct new_payload t;

	opened();
	got(SEG_ACK | SEG_FIN, 1001, 1, 0);
	EXPECT(c.actions & (CONN_DO_ACK | CONN_DO_DUP_ACK));
	EXPECT(!c.fin_queued);
	t = got(SEG_ACK | SEG_FIN, 501, 1, 500);	/* FIN, with data */
	EXPECT(t.ooo);
	conn_ooo_stored(&c, t.seq, t.len);
	t = got(SEG_ACK, 901, 1, 400);
	EXPECT_EQ(t.len, 100);
	got(SEG_ACK, 1, 1, 500);
	conn_delivered(&c, 500, now);
	EXPECT_EQ(c.rcv_queued, 500);
	EXPECT(!c.fin_rcvd);
	c.actions = 0;
	conn_delivered(&c, 500, now);
	EXPECT(c.fin_rcvd);
	EXPECT_EQ(c.rcv_nxt, G + 1002);
	DID(CONN_DO_ACK | CONN_DO_SHUTDOWN);
}

/* Given a segment with FIN whose data fills the window exactly, then passt
 * accepts FIN. Given one byte more than the window, then passt does not accept
 * FIN, and the guest has to send it again. */
static void t10_fin_at_the_edge(void)
{
	opened();
	got(SEG_ACK | SEG_FIN, 1, 1, TCP_WND_INIT + 1);
	conn_delivered(&c, TCP_WND_INIT, now);
	EXPECT(!c.fin_rcvd);
	EXPECT_EQ(c.rcv_nxt, c.rcv_adv);

	opened();
	got(SEG_ACK | SEG_FIN, 1, 1, TCP_WND_INIT);
	conn_delivered(&c, TCP_WND_INIT, now);
	EXPECT(c.fin_rcvd);
	EXPECT(seq_le(c.rcv_nxt, c.rcv_adv));
	EXPECT_EQ(conn_window_field(&c, false), 0);
}

/* Given passt's FIN that is lost, then passt sends it again by the same rules
 * as data: after a timeout, and in recovery. */
static void t10_fin_lost(void)
{
	unsigned int i;

	fin_wait_1();
	at_deadline();
	DID(CONN_DO_REWIND | CONN_DO_SEND);
	EXPECT_EQ(c.snd_nxt, H + 1);
	EXPECT(!conn_fin_due(&c));
	EXPECT(!conn_all_sent(&c));
	sent(100);
	EXPECT(conn_fin_due(&c));
	EXPECT(conn_all_sent(&c));
	EXPECT_EQ(conn_usable_window(&c), 0);
	conn_fin_sent(&c, now);
	EXPECT(!conn_fin_due(&c));

	got(SEG_ACK, 101, 101, 0);		/* all but passt's FIN
						 * is acknowledged */
	for (i = 0; i < 3; i++)
		got(SEG_ACK, 101, 101, 0);
	EXPECT(hole(101, 0));
	EXPECT(no_hole());
	got(SEG_ACK, 101, 102, 0);
	EXPECT_EQ(c.snd_una, c.snd_max);
	EXPECT(no_hole());
}

/* Given data and FIN that are lost, then passt sends FIN again in a segment of
 * its own, after the data. Given a SACK block that covers FIN, then passt does
 * not send FIN again. */
static void t10_fin_after_holes(void)
{
	unsigned int i;

	wnd = 20000;
	opened();
	sent(1500);
	peer_ends();
	for (i = 0; i < 3; i++)
		got(SEG_ACK, 1, 1, 0);
	EXPECT(hole(1, 1000));
	got(SEG_ACK, 1, 1001, 0);
	EXPECT(hole(1001, 500));
	got(SEG_ACK, 1, 1501, 0);
	EXPECT(hole(1501, 0));
	EXPECT(no_hole());

	opened();
	sent(5000);
	peer_ends();
	block(1001, 5002);
	got(SEG_ACK, 1, 1, 0);
	EXPECT(hole(1, 1000));
	EXPECT(no_hole());
}

/* Given no traffic for two hours, then passt probes the guest. After an answer
 * the two hours begin again; without answers the connection ends (RFC 5382
 * REQ-5). */
static void t10_idle(void)
{
	unsigned int probes = 0;

	opened();
	now += 3600 * 1000;
	got_data(1, 10);
	c.actions = 0;
	conn_timeout(&c, START + TCP_IDLE);
	DID(0);
	EXPECT_EQ(c.deadline, now + TCP_IDLE);
	at_deadline();
	DID(CONN_DO_PROBE);
	now += 5;
	got(SEG_ACK, 11, 1, 0);
	at_deadline();
	DID(0);
	EXPECT_EQ(c.deadline, c.heard_at + TCP_IDLE);

	while (c.phase == CONN_OPEN && probes < 100) {
		c.actions = 0;
		at_deadline();
		probes += c.actions == CONN_DO_PROBE;
	}
	EXPECT_EQ(probes, TCP_PROBES);
	EXPECT_EQ(now - c.heard_at, TCP_IDLE + TCP_PROBES * TCP_PROBE_INTERVAL);
	DID(CONN_DO_RST_PEER | CONN_DO_RST_GUEST | CONN_DO_REMOVE);
}

/* Given a guest that has closed its direction, and then has forgotten the
 * connection (FIN-WAIT-2 does not last), while the peer says nothing and does
 * not close, then a probe finds out, and the socket does not outlive it. If the
 * guest is not there any more, the connection ends without an answer. */
static void t10_guest_forgets(void)
{
	unsigned int i, probes = 0;

	opened();
	got(SEG_ACK | SEG_FIN, 1, 1, 0);
	DID(CONN_DO_ACK | CONN_DO_SHUTDOWN);
	at_deadline();
	DID(CONN_DO_PROBE);
	EXPECT(now >= START + TCP_IDLE);
	got(SEG_RST, 2, 0, 0);
	EXPECT_EQ(c.phase, CONN_CLOSED);
	DID(CONN_DO_RST_PEER | CONN_DO_REMOVE);

	opened();
	got(SEG_ACK | SEG_FIN, 1, 1, 0);
	for (i = 0; c.phase == CONN_OPEN && i < 100; i++) {
		c.actions = 0;
		at_deadline();
		probes += c.actions == CONN_DO_PROBE;
	}
	EXPECT_EQ(probes, TCP_PROBES);
	DID(CONN_DO_RST_PEER | CONN_DO_RST_GUEST | CONN_DO_REMOVE);
}

/* Given keep-alive probes that the guest answers late, then passt repeats later
 * data as often as without these probes before it gives up. */
static void t10_idle_costs_no_patience(void)
{
	unsigned int i, tries = 0;

	opened();
	for (i = 0; i < TCP_PROBES - 1; i++)
		at_deadline();
	got_data(1, 10);
	sent(100);
	while (c.phase == CONN_OPEN && tries < 100) {
		at_deadline();
		tries++;
	}
	EXPECT_EQ(tries, TCP_RTO_TRIES + 1);
}

/* Given a keep-alive probe of the guest, with or without one byte of data, then
 * passt answers it, and has the kernel probe the peer from then on. */
static void t10_guest_asks(void)
{
	established();
	got(SEG_ACK, 100, 1, 0);
	DID(CONN_DO_ACK | CONN_DO_KEEPALIVE);
	got(SEG_ACK, 100, 1, 1);
	DID(CONN_DO_ACK | CONN_DO_KEEPALIVE);
	got(SEG_ACK, 99, 1, 1);
	DID(CONN_DO_ACK);
	got(SEG_ACK | SEG_FIN, 100, 1, 0);
	DID(CONN_DO_ACK);
}

/* ---- T11: RST ---- */

/* Given RST from the guest, then passt resets the peer. Given an error of the
 * peer's socket, then passt resets the guest. After that, neither time nor
 * later segments cause another action. */
static void t11_reset(void)
{
	established();
	got(SEG_ACK, 101, 51, 700);
	conn_ooo_stored(&c, c.rcv_nxt + 1000, 50);
	got(SEG_RST, 801, 0, 0);
	EXPECT_EQ(c.phase, CONN_CLOSED);
	EXPECT_EQ(c.timer, CONN_TIMER_NONE);
	DID(CONN_DO_RST_PEER | CONN_DO_REMOVE);
	conn_timeout(&c, now + 10 * TCP_IDLE);
	got(SEG_ACK, 801, 51, 10);
	DID(0);

	established();
	got(SEG_ACK, 101, 51, 700);
	conn_peer_error(&c);
	EXPECT_EQ(c.phase, CONN_CLOSED);
	DID(CONN_DO_RST_GUEST | CONN_DO_REMOVE);
	EXPECT_EQ(conn_usable_window(&c), 0);
	conn_window_closed(&c, now);
	EXPECT_EQ(c.timer, CONN_TIMER_NONE);
}

/* ---- T12: options ---- */

/* Given the guest's MSS, then segments to the guest are no longer than this
 * MSS, and fit into a frame to the guest. An MSS below 48 counts as 48. */
static void t12_mss(void)
{
	static const struct {
		uint16_t guest, way, mss;
	} m[] = {
		{ 1000, 1460, 1000 }, { 1460, 1000, 1000 },
		{ 65495, 1460, 1460 }, { 88, 65495, 88 }, { 1, 1460, 48 },
		{ 48, 1460, 48 },
	};
	struct tcp_seg seg = { .flags = SEG_SYN, .wscale = -1 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(m); i++) {
		seg.mss = m[i].guest;
		seg.seq = G;
		seg.flags = SEG_SYN;
		conn_guest_syn(&c, &seg, H, m[i].way, now);
		EXPECT_EQ(c.mss, m[i].mss);
		conn_accepted(&c, H, m[i].way, now);
		seg.flags = SEG_SYN | SEG_ACK;
		seg.ack = H + 1;
		conn_segment(&c, &seg, now);
		EXPECT_EQ(c.mss, m[i].mss);
	}
}

/* Given a guest whose SYN has the window scale option, then both ends scale
 * their windows; otherwise neither end does. The window of a SYN itself is
 * never scaled (RFC 7323 2.2). */
static void t12_wscale(void)
{
	wnd = 500;
	syn(MSS, 7, true);
	conn_connected(&c, now);
	EXPECT_EQ(c.rcv_wscale, TCP_WSCALE);
	EXPECT_EQ(c.snd_wnd, 500);
	got(SEG_ACK, 1, 1, 0);
	EXPECT_EQ(c.snd_wnd, 500 << 7);

	syn(MSS, -1, true);
	conn_connected(&c, now);
	got(SEG_ACK, 1, 1, 0);
	EXPECT_EQ(c.rcv_wscale, 0);
	EXPECT_EQ(c.snd_wnd, 500);

	syn_sent();
	got(SEG_SYN | SEG_ACK, 0, 1, 0);
	EXPECT_EQ(c.rcv_wscale, TCP_WSCALE);
	EXPECT_EQ(c.snd_wnd, 500);
}

static const struct {
	const char *name;
	void (*story)(void);
} stories[] = {
	{ "T1 SYN-ACK is sent once the socket has connected", t1_connects },
	{ "T1 a SYN-ACK that is lost is sent again", t1_syn_ack_lost },
	{ "T1 RST while the socket connects ends the connection", t1_gives_up },
	{ "T1 data and FIN with the handshake's ACK count", t1_data_with_ack },
	{ "T1 a SYN that the next ACK overtakes has no answer", t1_syn_and_ack },
	{ "T1 a wrong ACK in the handshake is refused", t1_wrong_ack },
	{ "T2 a peer's connection sends SYN to the guest", t2_accepted },
	{ "T2 a guest that does not answer SYN resets the peer", t2_silence },
	{ "T2 after a lost SYN the first data waits 3 s", t2_first_timeout },
	{ "T2 a guest that refuses resets the peer", t2_refused },
	{ "T2 an old connection on the same ports is reset",
	  t2_old_connection },
	{ "T2 a simultaneous open succeeds", t2_both_at_once },
	{ "T10 the guest's FIN first leaves no time-wait", t10_guest_first },
	{ "T10 the peer's FIN first leaves a time-wait", t10_peer_first },
	{ "T10 a probe in time-wait is answered", t10_probe_in_time_wait },
	{ "T10 a peer's FIN that was not sent is not the first",
	  t10_peer_waits },
	{ "T10 both FINs at once end the connection", t10_both_at_once },
	{ "T10 data leaves the socket before it is closed",
	  t10_last_ack_of_all },
	{ "T10 FIN after a gap waits until the gap is filled", t10_fin_ahead },
	{ "T10 FIN at the edge of the window counts", t10_fin_at_the_edge },
	{ "T10 a FIN of ours that is lost is sent again", t10_fin_lost },
	{ "T10 a FIN of ours after lost data is a hole of its own",
	  t10_fin_after_holes },
	{ "T10 an idle flow lives as long as the guest answers probes",
	  t10_idle },
	{ "T10 a half-closed flow ends if the guest has forgotten it",
	  t10_guest_forgets },
	{ "T10 unanswered keep-alives do not count as retransmissions",
	  t10_idle_costs_no_patience },
	{ "T10 the guest's keep-alives have the peer probed", t10_guest_asks },
	{ "T11 RST of either end resets the other", t11_reset },
	{ "T12 segments are no longer than the guest's MSS", t12_mss },
	{ "T12 both ends scale windows, or neither does", t12_wscale },
	{ "T13 an action that was taken over is not done twice",
	  t13_actions_taken },
};

int main(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(stories); i++)
		tell_everywhere(stories[i].name, stories[i].story);
	return unit_end();
}
