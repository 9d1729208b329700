// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conn_tx.c - What a TCP connection sends to the guest, and what it sends
 * again. Each test case is a story: a sequence of segments and events, and what
 * the connection must do after each. The stories test promises T7 to T9 of
 * doc/design.md.
 */
#include "../../tcp/conn_tx.c"
#include "test/unit/story.h"

/* ---- T7: data to the guest, its acknowledgements and its losses ---- */

static void t7_sent_and_discarded(void)
{
	wnd = 5000;
	opened();
	EXPECT_EQ(conn_usable_window(&c), 5000);
	sent(3000);
	EXPECT_EQ(conn_usable_window(&c), 2000);
	EXPECT_EQ(c.timer, CONN_TIMER_RTO);
	got(SEG_ACK, 1, 1001, 0);
	DID(CONN_DO_DISCARD | CONN_DO_SEND);
	EXPECT_EQ(c.discard, 1000);
	EXPECT_EQ(conn_usable_window(&c), 3000);
	/* The first 1000 bytes have not been removed from the socket yet. */
	got(SEG_ACK, 1, 2001, 0);
	EXPECT_EQ(c.discard, 2000);
	c.discard = 0;
	got(SEG_ACK, 1, 3001, 0);
	EXPECT_EQ(c.discard, 1000);
	EXPECT_EQ(c.timer, CONN_TIMER_IDLE);
	EXPECT_EQ(conn_usable_window(&c), 5000);
}

/* Given data in flight, when the rest of the window is smaller than a segment
 * and smaller than half of the largest window, then passt sends nothing (RFC
 * 9293 3.8.6.2.1). */
static void t7_crumbs(void)
{
	wnd = 5000;
	opened();
	sent(4500);
	EXPECT_EQ(conn_usable_window(&c), 0);
	got(SEG_ACK, 1, 501, 0);
	EXPECT_EQ(conn_usable_window(&c), 1000);
	wnd = 300;
	got(SEG_ACK, 1, 4501, 0);
	EXPECT_EQ(conn_usable_window(&c), 300);	/* nothing is in flight */
	wnd = 10000;
	got(SEG_ACK, 1, 4501, 0);
	sent(9200);
	EXPECT_EQ(conn_usable_window(&c), 0);

	wnd = 900;				/* less than the MSS */
	opened();
	sent(400);
	EXPECT_EQ(conn_usable_window(&c), 500);
	sent(51);
	EXPECT_EQ(conn_usable_window(&c), 0);
}

/* Given a guest that shrinks its window, then passt sends nothing beyond the
 * new window. When the window grows again, data in flight still takes a part of
 * it. */
static void t7_shrunk(void)
{
	wnd = 5000;
	opened();
	sent(4000);
	wnd = 1000;
	got(SEG_ACK, 1, 1, 0);
	EXPECT_EQ(conn_usable_window(&c), 0);
	c.actions = 0;
	wnd = 6000;
	got(SEG_ACK, 1, 1, 0);
	DID(CONN_DO_SEND);
	EXPECT_EQ(conn_usable_window(&c), 2000);
}

/* Given segments of the guest that come out of order, then passt uses the
 * window of the segment that the guest sent last (RFC 9293 3.10.7.4). */
static void t7_window_of_the_latest(void)
{
	wnd = 5000;
	opened();
	got_data(1, 100);
	wnd = 4000;
	got(SEG_ACK, 201, 1, 100);
	EXPECT_EQ(c.snd_wnd, 4000);
	wnd = 9000;
	got(SEG_ACK, 101, 1, 100);	/* the guest sent this segment first */
	EXPECT_EQ(c.snd_wnd, 4000);
	wnd = 3000;
	got(SEG_ACK, 201, 1, 0);
	EXPECT_EQ(c.snd_wnd, 3000);
}

/* Given a segment that the guest sends again, with an ACK of new data, then
 * passt uses the window of this segment, although its sequence number is
 * old. */
static void t7_window_of_a_retransmission(void)
{
	wnd = 5000;
	opened();
	got(SEG_ACK, 1001, 1, 100);
	sent(4000);
	wnd = 1000;
	got(SEG_ACK, 1, 4001, 1000);
	EXPECT_EQ(c.snd_una, H + 4001);
	EXPECT_EQ(c.snd_wnd, 1000);
}

/* Given an ACK that is older than one received before, then passt ignores its
 * window. */
static void t7_window_of_an_old_ack(void)
{
	wnd = 5000;
	opened();
	sent(4000);
	wnd = 1000;
	got(SEG_ACK, 1, 4001, 0);
	wnd = 5000;
	got(SEG_ACK, 101, 2001, 0);
	EXPECT_EQ(c.snd_una, H + 4001);
	EXPECT_EQ(c.snd_wnd, 1000);
}

/* Given three duplicate ACKs, then passt sends the oldest segment again, once.
 * An ACK is no duplicate if it has a new window, data or FIN, or if nothing is
 * in flight. */
static void t7_three_acks(void)
{
	wnd = 20000;
	opened();
	sent(5000);
	got(SEG_ACK, 1, 1, 0);
	got(SEG_ACK, 1, 1, 0);
	DID(0);
	wnd = 21000;
	got(SEG_ACK, 1, 1, 0);		/* no duplicate: new window */
	got(SEG_ACK, 1, 1, 40);		/* no duplicate: data */
	got(SEG_ACK | SEG_FIN, 100, 1, 0);
	c.actions = 0;
	EXPECT(no_hole());
	got(SEG_ACK, 41, 1, 0);
	DID(CONN_DO_RETRANSMIT);
	EXPECT(hole(1, MSS));
	EXPECT(no_hole());
	got(SEG_ACK, 41, 1, 0);
	got(SEG_ACK, 41, 1, 0);
	got(SEG_ACK, 41, 1, 0);
	EXPECT(no_hole());

	opened();
	for (wnd = 20000; c.dupacks < 3 && now < START + 5; now++)
		got(SEG_ACK, 1, 1, 0);
	EXPECT(no_hole());
}

/* Given recovery without SACK, when an ACK covers a part of the data that was
 * in flight, then passt sends the next segment again. When an ACK covers all of
 * that data, recovery is over (RFC 6582 3.2). */
static void t7_partial_acks(void)
{
	unsigned int i;

	wnd = 20000;
	syn(MSS, 0, false);
	conn_connected(&c, now);
	got(SEG_ACK, 1, 1, 0);
	sent(8000);
	for (i = 0; i < 3; i++)
		got(SEG_ACK, 1, 1, 0);
	EXPECT(hole(1, MSS));
	sent(1000);			/* new data, during recovery */
	c.actions = 0;

	got(SEG_ACK, 1, 3001, 0);
	DID(CONN_DO_DISCARD | CONN_DO_RETRANSMIT | CONN_DO_SEND);
	EXPECT(hole(3001, MSS));
	EXPECT(no_hole());
	got(SEG_ACK, 1, 3001, 0);
	EXPECT(no_hole());
	got(SEG_ACK, 1, 6001, 0);
	EXPECT(hole(6001, MSS));
	c.actions = 0;
	got(SEG_ACK, 1, 8001, 0);
	DID(CONN_DO_DISCARD | CONN_DO_SEND);
	EXPECT(no_hole());
	EXPECT(!c.recovering);

	for (i = 0; i < 2; i++)		/* duplicate ACKs count from zero */
		got(SEG_ACK, 1, 8001, 0);
	EXPECT(no_hole());
	got(SEG_ACK, 1, 8001, 0);
	EXPECT(hole(8001, MSS));
}

/* Given SACK blocks, then passt sends each hole below the highest block again,
 * once, in segments. */
static void t7_sack(void)
{
	wnd = 20000;
	opened();
	sent(10000);
	c.actions = 0;
	block(2001, 3001);
	got(SEG_ACK, 1, 1, 0);
	block(2001, 4001);
	got(SEG_ACK, 1, 1, 0);
	/* Only two segments above the hole: it may be reordering. */
	DID(0);
	block(6501, 7501);
	block(2001, 4001);
	got(SEG_ACK, 1, 1, 0);
	DID(CONN_DO_RETRANSMIT);
	EXPECT(hole(1, 1000));
	EXPECT(hole(1001, 1000));
	EXPECT(hole(4001, 1000));
	EXPECT(hole(5001, 1000));
	EXPECT(hole(6001, 500));
	EXPECT(no_hole());

	block(6501, 8501);		/* no new hole below this block */
	got(SEG_ACK, 1, 1, 0);
	EXPECT(no_hole());
	c.actions = 0;
	block(9501, 10001);
	got(SEG_ACK, 1, 4001, 0);
	DID(CONN_DO_DISCARD | CONN_DO_RETRANSMIT | CONN_DO_SEND);
	EXPECT(hole(8501, 1000));
	EXPECT(no_hole());
	got(SEG_ACK, 1, 10001, 0);
	EXPECT(!c.recovering);
	EXPECT_EQ(c.sacked.n, 0);

	/* One block that covers three whole segments shows a loss, too. */
	sent(5000);
	c.actions = 0;
	block(11001, 14000);
	got(SEG_ACK, 1, 10001, 0);
	DID(0);
	block(11001, 14001);
	got(SEG_ACK, 1, 10001, 0);
	DID(CONN_DO_RETRANSMIT);
}

/* Given SACK blocks that are below the ACK, beyond what was sent, backwards or
 * empty, or a guest without SACK, then passt ignores these blocks. */
static void t7_sack_impossible(void)
{
	wnd = 20000;
	opened();
	sent(10000);
	c.actions = 0;
	block(1 - 500, 4000);
	block(5001, 10002);
	block(7001, 6001);
	block(7001, 7001);
	got(SEG_ACK, 1, 1, 0);
	EXPECT_EQ(c.sacked.n, 0);
	block(0x80000000, 0x80001000);
	block(5001, 0x80001000);
	block(0x80000000, 8001);
	got(SEG_ACK, 1, 1, 0);
	EXPECT_EQ(c.sacked.n, 0);

	syn(MSS, 0, false);
	conn_connected(&c, now);
	got(SEG_ACK, 1, 1, 0);
	sent(10000);
	block(5001, 9001);
	got(SEG_ACK, 1, 1, 0);
	EXPECT(no_hole());
}

/* Given a retransmission that is lost, too, when the guest reports data that
 * passt sent after this retransmission, then passt sends the segment once
 * more. */
static void t7_sack_lost_again(void)
{
	wnd = 30000;
	opened();
	sent(5000);
	block(1001, 5001);
	got(SEG_ACK, 1, 1, 0);
	EXPECT(hole(1, 1000));
	EXPECT(no_hole());
	sent(3000);			/* new data, after the retransmission */
	block(1001, 5001);
	got(SEG_ACK, 1, 1, 0);
	EXPECT(no_hole());
	block(1001, 6001);
	got(SEG_ACK, 1, 1, 0);
	EXPECT(hole(1, 1000));
	EXPECT(no_hole());
	block(1001, 7001);
	got(SEG_ACK, 1, 1, 0);
	EXPECT(no_hole());
}

/* Given a guest that drops data which it has reported by SACK, then passt sends
 * all of it again after a timeout (RFC 2018 8). */
static void t7_reneging(void)
{
	wnd = 30000;
	opened();
	sent(5000);
	block(1001, 5001);
	got(SEG_ACK, 1, 1, 0);
	EXPECT(hole(1, 1000));
	got(SEG_ACK, 1, 1001, 0);	/* the guest has dropped the rest */
	EXPECT(no_hole());
	c.actions = 0;
	at_deadline();
	DID(CONN_DO_REWIND | CONN_DO_SEND);
	EXPECT_EQ(c.snd_nxt, H + 1001);
	EXPECT_EQ(c.snd_max, H + 5001);
	EXPECT_EQ(c.sacked.n, 0);
	EXPECT(conn_usable_window(&c) >= 4000);
}

/* Given measured round-trip times, then the retransmission timeout follows them
 * as RFC 6298 2 says. */
static void t7_rto(void)
{
	opened();
	EXPECT_EQ(c.rto, 1000);			/* RFC 6298 2.1 */
	sent(100);
	now += 400;
	got(SEG_ACK, 1, 101, 0);
	EXPECT_EQ(c.srtt, 400 * 8);		/* RFC 6298 2.2 */
	EXPECT_EQ(c.rttvar, 200 * 4);
	EXPECT_EQ(c.rto, 1200);
	sent(100);
	EXPECT_EQ(c.deadline, now + 1200);
	now += 600;
	got(SEG_ACK, 1, 201, 0);
	EXPECT_EQ(c.srtt, 425 * 8);		/* RFC 6298 2.3 */
	EXPECT_EQ(c.rttvar, 200 * 4);
	EXPECT_EQ(c.rto, 425 + 800);
	sent(100);
	now += 425;
	got(SEG_ACK, 1, 301, 0);
	EXPECT_EQ(c.rto, 425 + 600);
	sent(100);
	now += 25;
	got(SEG_ACK, 1, 401, 0);
	EXPECT_EQ(c.srtt, 375 * 8);
	EXPECT_EQ(c.rto, 375 + 850);

	opened();				/* RFC 6298 2.4, 2.5 */
	sent(100);
	got(SEG_ACK, 1, 101, 0);
	EXPECT_EQ(c.rto, TCP_RTO_MIN);
	opened();
	sent(100);
	now += 50000;
	got(SEG_ACK, 1, 101, 0);
	EXPECT_EQ(c.rto, TCP_RTO_MAX);
}

/* Given data in flight, then passt measures the round-trip time of one segment
 * at a time, from when it sends the segment until the ACK. It never measures a
 * segment that was sent again (RFC 6298 3). */
static void t7_samples(void)
{
	unsigned int i;

	opened();
	sent(100);
	now += 100;
	sent(100);
	now += 300;
	got(SEG_ACK, 1, 51, 0);
	EXPECT_EQ(c.srtt, 0);
	got(SEG_ACK, 1, 201, 0);
	EXPECT_EQ(c.srtt, 400 * 8);

	opened();				/* after a timeout */
	sent(100);
	at_deadline();
	sent(100);
	now += 10;
	got(SEG_ACK, 1, 101, 0);
	EXPECT_EQ(c.srtt, 0);

	opened();		/* after a timeout of several segments */
	wnd = 20000;
	sent(5000);
	at_deadline();
	sent(1000);
	got(SEG_ACK, 1, 1001, 0);
	sent(4000);
	now += 10;
	got(SEG_ACK, 1, 5001, 0);
	EXPECT_EQ(c.srtt, 0);

	opened();				/* after a fast retransmit */
	wnd = 20000;
	sent(5000);
	for (i = 0; i < 4; i++)
		got(SEG_ACK, 1, 1, 0);
	EXPECT(hole(1, MSS));
	sent(1000);
	now += 10;
	got(SEG_ACK, 1, 6001, 0);
	EXPECT_EQ(c.srtt, 0);
	sent(1000);
	now += 30;
	got(SEG_ACK, 1, 7001, 0);
	EXPECT_EQ(c.srtt, 30 * 8);
}

/* Given data that the guest does not acknowledge, then passt sends it again and
 * again. The time between two attempts doubles, up to a minute. After more than
 * 100 s in all (RFC 9293 3.8.3) the connection ends. */
static void t7_timeouts(void)
{
	unsigned int tries = 0;
	uint64_t wait = 1000;

	opened();
	sent(3000);
	while (c.phase == CONN_OPEN) {
		EXPECT_EQ(c.deadline - now, wait);
		conn_timeout(&c, c.deadline - 1);
		DID(0);
		at_deadline();
		if (c.phase != CONN_OPEN)
			break;
		DID(CONN_DO_REWIND | CONN_DO_SEND);
		EXPECT_EQ(c.snd_nxt, c.snd_una);
		sent(1000);
		sent(2000);
		wait = MIN(2 * wait, TCP_RTO_MAX);
		tries++;
	}
	EXPECT_EQ(tries, TCP_RTO_TRIES);
	EXPECT(now - START > 100000);
	DID(CONN_DO_RST_PEER | CONN_DO_RST_GUEST | CONN_DO_REMOVE);
}

/* Given an ACK of new data, then the timer starts again for the remaining data,
 * without the earlier back-off (RFC 6298 5.3). */
static void t7_timer_starts_again(void)
{
	opened();
	sent(100);
	now += 300;
	sent(100);
	EXPECT_EQ(c.deadline, START + 1000);
	wnd = 25000;
	got(SEG_ACK, 1, 1, 0);			/* new window: no restart */
	EXPECT_EQ(c.deadline, START + 1000);
	now += 200;
	got(SEG_ACK, 1, 101, 0);
	EXPECT_EQ(c.deadline, now + c.rto);
	at_deadline();
	at_deadline();
	EXPECT_EQ(c.deadline, now + 4 * (500 + 4 * 250));
	sent(100);
	got(SEG_ACK, 1, 201, 0);
	EXPECT_EQ(c.rto, 500 + 4 * 250);
	EXPECT_EQ(c.timer, CONN_TIMER_IDLE);
	EXPECT_EQ(c.tries, 0);
}

/* Given a hole, which is a range that the guest lacks, when passt can't send
 * the hole again, then this hole is still the next one to send. Once the hole
 * is sent, the hole after it is next. */
static void t7_hole_not_sent(void)
{
	struct tcp_range r;

	opened();
	sent(5000);
	block(1001, 2001);
	block(3001, 5001);
	got(SEG_ACK, 1, 1, 0);
	EXPECT(conn_next_hole(&c, &r) && r.from == H + 1);
	EXPECT(conn_next_hole(&c, &r) && r.from == H + 1);
	conn_hole_sent(&c, &r);
	EXPECT(conn_next_hole(&c, &r) && r.from == H + 2001);
	EXPECT(hole(2001, 1000));
	EXPECT(no_hole());
}

/* Given acknowledged bytes that the caller must remove from the socket, when
 * the caller takes their number, then the next number counts only the bytes
 * that are acknowledged later. */
static void t7_discard_taken(void)
{
	opened();
	sent(2000);
	got(SEG_ACK, 1, 1001, 0);
	EXPECT_EQ(conn_take_discard(&c), 1000);
	EXPECT_EQ(conn_take_discard(&c), 0);
	got(SEG_ACK, 1, 1501, 0);
	EXPECT_EQ(conn_take_discard(&c), 500);
}

/* Given a timeout in recovery, then recovery is over, and duplicate ACKs are
 * counted from zero. */
static void t7_timeout_in_recovery(void)
{
	unsigned int i;

	wnd = 20000;
	opened();
	sent(5000);
	for (i = 0; i < 3; i++)
		got(SEG_ACK, 1, 1, 0);
	EXPECT(c.recovering);
	at_deadline();
	EXPECT(!c.recovering);
	EXPECT(no_hole());
	EXPECT_EQ(c.dupacks, 0);
	EXPECT_EQ(conn_usable_window(&c), 20000);
}

/* Given a timeout, when an ACK then covers a part of the data that was sent
 * before the timeout, then passt continues to send after this part. */
static void t7_rewound(void)
{
	opened();
	sent(5000);
	at_deadline();
	sent(1000);
	EXPECT_EQ(c.snd_nxt, H + 1001);
	got(SEG_ACK, 1, 3001, 0);
	EXPECT_EQ(c.snd_nxt, H + 3001);
	EXPECT_EQ(c.discard, 3000);
	EXPECT_EQ(c.timer, CONN_TIMER_RTO);
	sent(2000);
	EXPECT_EQ(c.snd_max, H + 5001);
	sent(1000);
	EXPECT_EQ(c.snd_max, H + 6001);
}

/* ---- T8: a closed window ---- */

/* Given data that can't be sent because the guest's window is closed, then
 * passt probes the guest again and again. The time between two probes doubles,
 * up to a minute. As long as the guest answers, passt does not give up. */
static void t8_persist(void)
{
	uint64_t wait = 1000;
	unsigned int i;

	wnd = 0;
	opened();
	EXPECT_EQ(conn_usable_window(&c), 0);
	conn_window_closed(&c, now);
	EXPECT_EQ(c.timer, CONN_TIMER_PERSIST);
	for (i = 0; i < 300; i++) {
		EXPECT_EQ(c.deadline - now, wait);
		conn_window_closed(&c, now);		/* has no effect */
		c.actions = CONN_DO_ACK;
		at_deadline();
		DID(CONN_DO_PROBE | CONN_DO_ACK);
		got(SEG_ACK, 1, 1, 0);
		DID(0);
		wait = MIN(2 * wait, TCP_RTO_MAX);
	}
	EXPECT_EQ(c.phase, CONN_OPEN);

	wnd = 2000;
	got(SEG_ACK, 1, 1, 0);
	DID(CONN_DO_SEND);
	EXPECT_EQ(c.timer, CONN_TIMER_IDLE);
	EXPECT_EQ(conn_usable_window(&c), 2000);
	sent(2000);
	EXPECT_EQ(c.timer, CONN_TIMER_RTO);
	EXPECT_EQ(c.deadline - now, 1000);
	EXPECT_EQ(c.tries, 0);
	conn_window_closed(&c, now);
	got(SEG_ACK, 1, 2001, 0);
	sent(10);
	got(SEG_ACK, 1, 2011, 0);	/* there is no more data to send */
	EXPECT_EQ(c.timer, CONN_TIMER_IDLE);
}

/* Given a guest that does not answer window probes, then the connection ends
 * after 15 minutes. */
static void t8_silence(void)
{
	unsigned int probes = 0;

	wnd = 0;
	opened();
	conn_window_closed(&c, now);
	while (c.phase == CONN_OPEN && probes++ < 100) {
		c.actions = 0;
		at_deadline();
	}
	EXPECT_EQ(c.phase, CONN_CLOSED);
	EXPECT(now - START > TCP_PERSIST_MAX &&
	       now - START < TCP_PERSIST_MAX + 61000);
	DID(CONN_DO_RST_PEER | CONN_DO_RST_GUEST | CONN_DO_REMOVE);
}

/* Given a guest that is paused while passt probes it, then the time of the
 * pause does not count as silence, and the back-off does not change. */
static void t8_postponed(void)
{
	wnd = 0;
	opened();
	conn_window_closed(&c, now);
	at_deadline();
	c.actions = 0;
	EXPECT(!conn_try_due(&c, c.deadline - 1));
	for (now = c.deadline; now < START + 2 * TCP_PERSIST_MAX;
	     now = c.deadline) {
		EXPECT(conn_try_due(&c, now));
		conn_postpone(&c, now);
		conn_timeout(&c, now);
		DID(0);
	}
	EXPECT_EQ(c.rto, 2000);
	EXPECT_EQ(c.tries, 1);
	conn_timeout(&c, now);
	DID(CONN_DO_PROBE);
	EXPECT_EQ(c.phase, CONN_OPEN);
}

/* Given a window that closes while data is in flight, then passt first waits
 * for the ACK of this data, or for the timeout, and then probes the guest. */
static void t8_behind_data(void)
{
	wnd = 1000;
	opened();
	sent(1000);
	conn_window_closed(&c, now);
	EXPECT_EQ(c.timer, CONN_TIMER_RTO);
	wnd = 0;
	got(SEG_ACK, 1, 1001, 0);
	EXPECT_EQ(c.timer, CONN_TIMER_PERSIST);
	c.actions = 0;
	at_deadline();
	DID(CONN_DO_PROBE);
}

/* Given data that fills the guest's window exactly, when the guest acknowledges
 * it and opens the window again, then passt does not probe the guest, although
 * no data follows. */
static void t8_filled(void)
{
	wnd = 1000;
	opened();
	sent(1000);
	conn_window_closed(&c, now);	/* the socket may have more data */
	got(SEG_ACK, 1, 1001, 0);
	EXPECT(c.actions & CONN_DO_SEND);
	EXPECT_EQ(c.timer, CONN_TIMER_IDLE);

	sent(1000);			/* the same, but it opens later */
	conn_window_closed(&c, now);
	wnd = 0;
	got(SEG_ACK, 1, 2001, 0);
	EXPECT_EQ(c.timer, CONN_TIMER_PERSIST);
	wnd = 1000;
	got(SEG_ACK, 1, 2001, 0);
	EXPECT_EQ(c.timer, CONN_TIMER_IDLE);
	sent(1000);
	EXPECT_EQ(c.tries, 0);
}

/* Given a guest that closes its window while data is in flight, then passt
 * probes it after the timeout, and sends the lost data again once the window
 * opens. */
static void t8_taken_back(void)
{
	unsigned int i;

	wnd = 5000;
	opened();
	sent(5000);
	wnd = 0;
	got(SEG_ACK, 1, 1001, 0);
	c.actions = 0;
	at_deadline();
	DID(CONN_DO_REWIND | CONN_DO_SEND | CONN_DO_PROBE);
	EXPECT_EQ(c.timer, CONN_TIMER_PERSIST);
	EXPECT_EQ(c.snd_nxt, c.snd_una);
	EXPECT_EQ(conn_usable_window(&c), 0);
	conn_window_closed(&c, now);
	EXPECT_EQ(c.timer, CONN_TIMER_PERSIST);
	for (i = 0; i < 30; i++) {
		got(SEG_ACK, 1, 1001, 0);
		at_deadline();
	}
	EXPECT_EQ(c.phase, CONN_OPEN);
	c.actions = 0;
	wnd = 4000;
	got(SEG_ACK, 1, 1001, 0);
	EXPECT(c.actions & CONN_DO_SEND);
	EXPECT_EQ(conn_usable_window(&c), 4000);
	EXPECT_EQ(c.timer, CONN_TIMER_RTO);
}

/* Given FIN of the peer and a closed window of the guest, then passt sends FIN
 * to the guest only when the window is open again, as it would send data. */
static void t8_fin(void)
{
	wnd = 0;
	opened();
	conn_eof(&c);
	DID(CONN_DO_SEND);
	EXPECT(!conn_fin_due(&c));
	conn_window_closed(&c, now);
	EXPECT_EQ(c.timer, CONN_TIMER_PERSIST);
	wnd = 1;
	got(SEG_ACK, 1, 1, 0);
	DID(CONN_DO_SEND);
	EXPECT(conn_fin_due(&c));
	conn_fin_sent(&c, now);
	EXPECT_EQ(c.timer, CONN_TIMER_RTO);
}

/* ---- T9: data in flight is bounded ---- */

/* Given a guest with the largest possible window, then at most 16 MiB are in
 * flight. */
static void t9_bounded(void)
{
	wnd = 65535;
	syn(MSS, 14, true);
	conn_connected(&c, now);
	EXPECT_EQ(c.snd_wnd, 65535);		/* in a SYN: not scaled */
	got(SEG_ACK, 1, 1, 0);
	EXPECT(conn_usable_window(&c) > 8000000);
	EXPECT(conn_usable_window(&c) <= TCP_WND_MAX);
	sent(8000000);
	EXPECT(conn_usable_window(&c) <= TCP_WND_MAX - 8000000);
}

static const struct {
	const char *name;
	void (*story)(void);
} stories[] = {
	{ "T7 acknowledged data leaves the socket", t7_sent_and_discarded },
	{ "T7 a small window is not filled while data is in flight",
	  t7_crumbs },
	{ "T7 nothing is sent beyond a window that shrank", t7_shrunk },
	{ "T7 the window of the latest segment counts",
	  t7_window_of_the_latest },
	{ "T7 the window of a retransmission with a new ACK counts",
	  t7_window_of_a_retransmission },
	{ "T7 the window of an old ACK does not count",
	  t7_window_of_an_old_ack },
	{ "T7 three duplicate ACKs have the oldest segment sent again",
	  t7_three_acks },
	{ "T7 a partial ACK has the next segment sent again", t7_partial_acks },
	{ "T7 SACK has every hole sent again once", t7_sack },
	{ "T7 impossible SACK blocks are ignored", t7_sack_impossible },
	{ "T7 a retransmission that is lost is sent again",
	  t7_sack_lost_again },
	{ "T7 what a guest reneges on is sent again", t7_reneging },
	{ "T7 the timeout follows the round-trip time", t7_rto },
	{ "T7 only segments that were sent once are measured", t7_samples },
	{ "T7 timeouts back off, and end the connection", t7_timeouts },
	{ "T7 an ACK of new data restarts the timer", t7_timer_starts_again },
	{ "T7 a hole that was not sent stays the next one", t7_hole_not_sent },
	{ "T7 acknowledged bytes are removed from the socket once",
	  t7_discard_taken },
	{ "T7 a timeout ends recovery", t7_timeout_in_recovery },
	{ "T7 an ACK after a timeout moves on what is sent next", t7_rewound },
	{ "T8 a closed window is probed without end", t8_persist },
	{ "T8 a guest that does not answer probes is given up", t8_silence },
	{ "T8 a guest that is paused is not given up", t8_postponed },
	{ "T8 a window that closes behind data is probed after its ACK",
	  t8_behind_data },
	{ "T8 a window that was only filled is not probed", t8_filled },
	{ "T8 a window that is taken back is probed after the timeout",
	  t8_taken_back },
	{ "T8 FIN waits for a closed window", t8_fin },
	{ "T9 at most 16 MiB are in flight", t9_bounded },
};

int main(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(stories); i++)
		tell_everywhere(stories[i].name, stories[i].story);
	return unit_end();
}
