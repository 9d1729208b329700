// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conn_rx.c - What a TCP connection accepts from the guest, and what it
 * answers. Each test case is a story: a sequence of segments and events, and
 * what the connection must do after each. The stories test promises T4 to T6
 * and T13 of doc/design.md.
 */
#include "../../tcp/conn_rx.c"
#include "test/unit/story.h"

/* ---- T4: which segments are acceptable; RST and SYN ---- */

/* accepts() - Send a segment of @len bytes at @seq, and check that passt takes
 * exactly @data bytes of it as new. Return whether passt accepts the ACK in the
 * segment */
static bool accepts(uint32_t seq, uint32_t len, uint32_t data)
{
	struct new_payload t;
	bool acked;

	sent(10);
	t = got(SEG_ACK, seq, max(), len);
	acked = c.snd_una == c.snd_max;
	got(SEG_ACK, nxt(), max(), 0);
	EXPECT_EQ(t.len, data);
	c.rcv_queued = 0;
	c.actions = 0;
	return acked;
}

/* Given a window of 65,535 bytes from sequence number 1, then segments are
 * acceptable as RFC 9293 3.10.7.4 (table 6) says. An empty segment is
 * acceptable at the right edge, too: a guest that has used up its window sends
 * its ACKs there. */
static void t4_acceptable(void)
{
	const uint32_t edge = 1 + TCP_WND_INIT;

	opened();
	EXPECT_EQ(c.rcv_adv, G + edge);
	EXPECT(accepts(1, 0, 0));
	EXPECT(accepts(2, 0, 0));
	EXPECT(accepts(edge - 1, 0, 0));
	EXPECT(accepts(edge, 0, 0));
	EXPECT(!accepts(edge + 1, 0, 0));
	EXPECT(!accepts(0, 0, 0));
	EXPECT(!accepts(0x80000000, 0, 0));

	EXPECT(accepts(1, 1, 1));
	EXPECT(accepts(0, 2, 1));
	EXPECT(accepts(1 - 500, 501, 1));
	EXPECT(!accepts(0, 1, 0));
	EXPECT(!accepts(1 - 500, 500, 0));
	EXPECT(accepts(edge - 1, 1, 1));
	EXPECT(accepts(edge - 1, 100, 1));
	EXPECT(!accepts(edge + 1, 100, 0));
	EXPECT(accepts(1, TCP_WND_INIT, TCP_WND_INIT));
	EXPECT(accepts(1, TCP_WND_INIT + 1, TCP_WND_INIT));
	EXPECT(!accepts(0x80000000, 100, 0));
}

/* Given a window of zero, then the ACKs in the guest's segments still count. */
static void t4_window_zero(void)
{
	opened();
	got_data(1, TCP_WND_INIT);
	c.actions = 0;
	EXPECT_EQ(c.rcv_adv, c.rcv_nxt);
	EXPECT(accepts(nxt(), 0, 0));
	EXPECT(!accepts(nxt() - 1, 0, 0));
	EXPECT(!accepts(nxt() + 1, 0, 0));
	got(SEG_ACK, nxt(), una(), 1);		/* a window probe */
	EXPECT_EQ(c.rcv_queued, 0);
	DID(CONN_DO_ACK);
}

/* Given a backlog, when the guest sends the data of the backlog again, or an
 * empty segment with the sequence number of the first byte of this data, then
 * the ACK in the segment counts: passt has not acknowledged this data yet. */
static void t4_held(void)
{
	opened();
	got(SEG_ACK, 1, 1, 500);
	conn_delivered(&c, 0, now);
	sent(200);
	got(SEG_ACK, 1, 101, 500);
	EXPECT_EQ(c.snd_una, H + 101);
	got(SEG_ACK, 1, 201, 0);
	EXPECT_EQ(c.snd_una, H + 201);
	EXPECT_EQ(c.rcv_queued, 500);
}

/* Given RST with exactly the next sequence number, then the connection ends.
 * Given RST with another number in the window, then passt sends a challenge
 * ACK. RST outside the window is dropped (RFC 5961 3.2). */
static void t4_rst(void)
{
	const uint32_t edge = 1 + TCP_WND_INIT;

	opened();
	got(SEG_RST, 2, 0, 0);
	DID(CONN_DO_CHALLENGE);
	got(SEG_RST | SEG_ACK, edge - 1, 1, 0);
	DID(CONN_DO_CHALLENGE);
	got(SEG_RST, edge, 0, 0);
	got(SEG_RST, 0, 0, 0);
	got(SEG_RST, 1 + 0x80000000, 0, 0);
	DID(0);
	got(SEG_RST, 1, 0, 0);
	EXPECT_EQ(c.phase, CONN_CLOSED);
	DID(CONN_DO_RST_PEER | CONN_DO_REMOVE);

	opened();
	got(SEG_ACK, 1, 1, 500);
	conn_delivered(&c, 200, now);
	c.actions = 0;
	got(SEG_RST, 400, 0, 0);
	DID(CONN_DO_CHALLENGE);
	got(SEG_RST, 501, 0, 0);	/* right after the guest's data */
	EXPECT_EQ(c.phase, CONN_CLOSED);
	DID(CONN_DO_RST_PEER | CONN_DO_REMOVE);

	opened();
	got(SEG_ACK | SEG_FIN, 1, 1, 500);
	conn_delivered(&c, 200, now);
	got(SEG_RST, 500, 0, 0);
	EXPECT_EQ(c.phase, CONN_OPEN);
	got(SEG_RST, 502, 0, 0);	/* right after the guest's FIN */
	EXPECT_EQ(c.phase, CONN_CLOSED);
}

/* Given SYN in an open connection, at any sequence number, then passt sends a
 * challenge ACK, and nothing changes (RFC 5961 4.2). */
static void t4_syn(void)
{
	static const uint32_t at[] = { 0, 1, 2, 30000, 200000, 0x80000000 };
	struct tcp_conn before;
	unsigned int i;

	established();
	before = c;
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		got(SEG_SYN, at[i], 0, 0);
		DID(CONN_DO_CHALLENGE);
		got(SEG_SYN | SEG_ACK, at[i], 101, 100);
		DID(CONN_DO_CHALLENGE);
	}
	EXPECT(!memcmp(&before, &c, sizeof(c)));
}

/* Given an ACK of data that passt has sent, then the ACK counts if it is not
 * too old. Given an ACK that is too old, or of data that was never sent, then
 * passt sends a challenge ACK, and ignores the data in the segment (RFC 5961
 * 5.2). */
static void t4_ack(void)
{
	struct new_payload t;

	wnd = 3000;
	opened();
	sent(2000);
	got(SEG_ACK, 1, 2002, 0);
	DID(CONN_DO_CHALLENGE);
	t = got(SEG_ACK, 1, 2002, 50);
	EXPECT_EQ(t.len, 0);
	DID(CONN_DO_CHALLENGE);
	t = got(SEG_ACK, 1, 1 - 3001, 50);
	EXPECT_EQ(t.len, 0);
	DID(CONN_DO_CHALLENGE);
	t = got(SEG_ACK, 1, 1 - 3000, 50);
	EXPECT_EQ(t.len, 50);
	conn_delivered(&c, 50, now);
	DID(CONN_DO_ACK);
	got(SEG_ACK, 51, 2001, 0);
	EXPECT_EQ(c.snd_una, H + 2001);
	DID(CONN_DO_SEND | CONN_DO_DISCARD);
}

/* Given a timeout after which passt has repeated only a part of its data, then
 * an ACK of all data that was sent before the timeout counts. */
static void t4_ack_after_timeout(void)
{
	opened();
	sent(2000);
	at_deadline();
	sent(500);
	c.actions = 0;
	got(SEG_ACK, 1, 2001, 0);
	EXPECT_EQ(c.snd_una, H + 2001);
	EXPECT_EQ(c.snd_nxt, H + 2001);
	DID(CONN_DO_SEND | CONN_DO_DISCARD);
}

/* ---- T5: passt acknowledges only what the socket has taken ---- */

static void t5_taken(void)
{
	struct new_payload t;

	opened();
	t = got(SEG_ACK, 1, 1, 1000);
	EXPECT_EQ(t.skip, 0);
	EXPECT_EQ(t.len, 1000);
	EXPECT_EQ(t.seq, G + 1);
	EXPECT(!t.ooo);
	EXPECT_EQ(c.rcv_nxt, G + 1);
	EXPECT_EQ(c.rcv_queued, 1000);
	c.actions = 0;

	conn_delivered(&c, 0, now);
	DID(0);
	EXPECT_EQ(c.rcv_nxt, G + 1);
	conn_delivered(&c, 300, now);
	DID(CONN_DO_ACK);
	EXPECT_EQ(c.rcv_nxt, G + 301);
	EXPECT_EQ(c.rcv_queued, 700);

	t = got(SEG_ACK, 1001, 1, 500);
	EXPECT_EQ(t.len, 500);
	EXPECT_EQ(c.rcv_queued, 1200);
	c.actions = 0;
	conn_delivered(&c, 1200, now);
	DID(CONN_DO_ACK);
	EXPECT_EQ(c.rcv_nxt, G + 1501);
	EXPECT_EQ(c.rcv_queued, 0);
}

/* Given a segment with old data, new data, and data beyond the window, then
 * passt accepts only the new data inside the window. */
static void t5_trimmed(void)
{
	struct new_payload t;

	opened();
	got_data(1, 1000);
	t = got(SEG_ACK, 501, 1, 1000);
	EXPECT_EQ(t.skip, 500);
	EXPECT_EQ(t.len, 500);
	EXPECT_EQ(t.seq, G + 1001);
	conn_delivered(&c, 500, now);

	t = got(SEG_ACK, 1, 1, 100000);
	EXPECT_EQ(t.skip, 1500);
	EXPECT_EQ(t.len, TCP_WND_INIT - 1500);
	EXPECT_EQ(c.rcv_queued, TCP_WND_INIT - 1500);

	opened();
	got(SEG_ACK, 1, 1, 1000);
	t = got(SEG_ACK, 1, 1, 1200);	/* 1000 bytes wait for the socket */
	EXPECT_EQ(t.skip, 1000);
	EXPECT_EQ(t.len, 200);
	t = got(SEG_ACK, 1, 1, 1200);
	EXPECT_EQ(t.len, 0);
}

/* Given data that the socket does not take, when passt has no memory for the
 * data either, then passt drops the data, and accepts it when the guest sends
 * it again. */
static void t5_forgotten(void)
{
	struct tcp_range b[TCP_SACK_BLOCKS];
	struct new_payload t;

	opened();
	got(SEG_ACK | SEG_FIN, 1, 1, 1000);
	conn_delivered(&c, 400, now);
	EXPECT(!c.fin_rcvd);
	conn_drop_backlog(&c);
	EXPECT_EQ(c.rcv_nxt, G + 401);
	EXPECT_EQ(c.rcv_queued, 0);
	t = got(SEG_ACK | SEG_FIN, 1, 1, 1000);
	EXPECT_EQ(t.skip, 400);
	EXPECT_EQ(t.len, 600);
	conn_delivered(&c, 600, now);
	EXPECT(c.fin_rcvd);
	EXPECT_EQ(c.rcv_nxt, G + 1002);
	conn_drop_backlog(&c);
	EXPECT(c.fin_rcvd && c.fin_queued);

	opened();
	conn_ooo_stored(&c, G + 2001, 100);
	got(SEG_ACK, 1, 1, 1000);
	conn_delivered(&c, 0, now);
	conn_drop_backlog(&c);
	EXPECT_EQ(conn_sack_blocks(&c, b), 0);
	got_data(1, 2000);
	EXPECT_EQ(c.rcv_nxt, G + 2001);
	EXPECT_EQ(c.rcv_queued, 0);
}

/* Given data after a gap, then passt stores it and sends a duplicate ACK at
 * once. When the gap is filled, the stored data is next for the socket, and
 * passt acknowledges this data once the socket has taken it. */
static void t5_ahead(void)
{
	struct tcp_range b[TCP_SACK_BLOCKS];
	struct new_payload t;

	opened();
	t = got(SEG_ACK, 1001, 1, 500);
	EXPECT(t.ooo);
	EXPECT_EQ(t.seq, G + 1001);
	EXPECT_EQ(t.len, 500);
	DID(CONN_DO_DUP_ACK);
	conn_ooo_stored(&c, t.seq, t.len);
	EXPECT_EQ(c.rcv_queued, 0);
	t = got(SEG_ACK, 1501, 1, 500);
	conn_ooo_stored(&c, t.seq, t.len);
	DID(CONN_DO_DUP_ACK);

	t = got(SEG_ACK, 1, 1, 1000);
	EXPECT(!t.ooo);
	conn_delivered(&c, 1000, now);
	EXPECT_EQ(c.rcv_nxt, G + 1001);
	EXPECT_EQ(c.rcv_queued, 1000);	/* the stored data is in order now */
	EXPECT_EQ(conn_sack_blocks(&c, b), 0);
	conn_delivered(&c, 600, now);
	EXPECT_EQ(c.rcv_nxt, G + 1601);
	conn_delivered(&c, 400, now);
	EXPECT_EQ(c.rcv_nxt, G + 2001);
	EXPECT_EQ(c.rcv_queued, 0);
	EXPECT_EQ(c.ooo.n, 0);
}

/* Given data stored after two gaps, when the data that fills a gap overlaps the
 * stored data, or the socket takes only a part, then every byte counts once. */
static void t5_ahead_overlapped(void)
{
	struct tcp_range b[TCP_SACK_BLOCKS];
	struct new_payload t;

	opened();
	conn_ooo_stored(&c, G + 1001, 500);
	conn_ooo_stored(&c, G + 3001, 500);
	t = got(SEG_ACK, 1, 1, 2000);	/* covers the first stored range, too */
	EXPECT_EQ(t.len, 2000);
	conn_delivered(&c, 1200, now);
	EXPECT_EQ(c.rcv_queued, 800);
	EXPECT_EQ(conn_sack_blocks(&c, b), 1);
	EXPECT_EQ(b[0].from, G + 3001);
	conn_delivered(&c, 800, now);
	EXPECT_EQ(c.rcv_nxt, G + 2001);
	EXPECT_EQ(c.rcv_queued, 0);

	t = got(SEG_ACK, 2001, 1, 1200);
	EXPECT_EQ(t.len, 1200);
	conn_delivered(&c, 1200, now);
	EXPECT_EQ(c.rcv_nxt, G + 3201);
	EXPECT_EQ(c.rcv_queued, 300);
	conn_delivered(&c, 300, now);
	EXPECT_EQ(c.rcv_nxt, G + 3501);
}

/* Given gaps, then SACK blocks report the stored ranges: first the range with
 * the latest data, then the ranges that were reported before. Each block covers
 * a whole range (RFC 2018 4). */
static void t5_sacks(void)
{
	struct tcp_range b[TCP_SACK_BLOCKS];
	unsigned int i;

	opened();
	EXPECT_EQ(conn_sack_blocks(&c, b), 0);
	conn_ooo_stored(&c, G + 1001, 100);
	conn_ooo_stored(&c, G + 3001, 100);
	conn_ooo_stored(&c, G + 2001, 100);
	EXPECT_EQ(conn_sack_blocks(&c, b), 3);
	EXPECT_EQ(b[0].from, G + 2001);
	EXPECT_EQ(b[0].end, G + 2101);
	EXPECT_EQ(b[1].from, G + 3001);
	EXPECT_EQ(b[2].from, G + 1001);

	conn_ooo_stored(&c, G + 3101, 100);	/* extends a range */
	EXPECT_EQ(conn_sack_blocks(&c, b), 3);
	EXPECT_EQ(b[0].from, G + 3001);
	EXPECT_EQ(b[0].end, G + 3201);
	EXPECT_EQ(b[1].from, G + 2001);

	for (i = 0; i < 5; i++)
		conn_ooo_stored(&c, G + 5001 + 200 * i, 100);
	EXPECT_EQ(conn_sack_blocks(&c, b), TCP_SACK_BLOCKS);
	EXPECT_EQ(b[0].from, G + 5801);
	EXPECT_EQ(b[1].from, G + 5601);
	EXPECT_EQ(b[3].from, G + 5201);

	c.sack_ok = false;
	EXPECT_EQ(conn_sack_blocks(&c, b), 0);
}

/* Given more gaps than a connection can record, then passt drops the data after
 * each gap that is not recorded, and the guest has to send this data again. */
static void t5_many_gaps(void)
{
	unsigned int i;

	opened();
	for (i = 1; i <= TCP_RANGES + 3; i++)
		conn_ooo_stored(&c, G + 1 + 100 * i, 50);
	EXPECT_EQ(c.ooo.n, TCP_RANGES);
	got_data(1, 100);
	EXPECT_EQ(c.rcv_queued, 50);
}

/* ---- T6: the window that passt offers the guest ---- */

/* Given a socket with less and less space, then the right edge of the window
 * never moves back. */
static void t6_never_shrinks(void)
{
	uint32_t edge, left;

	opened();
	space(100000);
	conn_window_field(&c, false);
	edge = c.rcv_adv;
	EXPECT(edge - c.rcv_nxt >= 100000);
	for (left = 100000; left >= 5000; left -= 5000) {
		got_data(nxt(), 1000);
		space(left);
		conn_window_field(&c, false);
		EXPECT(!seq_lt(c.rcv_adv, edge));
		edge = c.rcv_adv;
	}
	got(SEG_ACK, nxt(), 1, 1000);
	conn_delivered(&c, 0, now);
	space(0);
	EXPECT_EQ(c.rcv_adv, edge);
}

/* Given a window that is no multiple of 256 bytes, then the window field in a
 * segment is rounded up, by at most 255 bytes, which then count as offered. */
static void t6_rounding(void)
{
	uint32_t w, field, told;

	for (w = 0; w < 3000; w++) {
		opened();
		c.rcv_adv = c.rcv_nxt + w;
		field = conn_window_field(&c, false);
		told = field << TCP_WSCALE;
		EXPECT(told >= w && told < w + 256);
		EXPECT_EQ(c.rcv_adv, c.rcv_nxt + told);
		EXPECT_EQ(conn_window_field(&c, false), field);
	}
	opened();
	c.rcv_adv = c.rcv_nxt + 1;
	got_data(1, 0);
	c.rcv_nxt++;
	EXPECT_EQ(conn_window_field(&c, false), 0);
	EXPECT_EQ(c.rcv_adv, c.rcv_nxt);
}

/* Given a guest without window scale, then passt offers it at most 65,535
 * bytes, without rounding. A SYN never offers more either. */
static void t6_unscaled(void)
{
	syn(MSS, -1, true);
	conn_connected(&c, now);
	EXPECT_EQ(conn_window_field(&c, true), TCP_WND_INIT);
	got(SEG_ACK, 1, 1, 0);
	got_data(1, 1000);
	EXPECT_EQ(conn_window_field(&c, false), TCP_WND_INIT - 1000);
	space(10000000);
	EXPECT_EQ(conn_window_field(&c, false), 65535);
	EXPECT_EQ(c.rcv_adv, c.rcv_nxt + 65535);

	opened();
	space(10000000);
	EXPECT_EQ(conn_window_field(&c, true), 65535);
	EXPECT(conn_window_field(&c, false) << TCP_WSCALE > 65535);
	EXPECT(c.rcv_adv - c.rcv_nxt <= TCP_WND_MAX);
}

/* Given a window of at most two segments, when the socket has space again, then
 * passt sends the guest a larger window at once. It sends no segment if the
 * window grows only a little. */
static void t6_opens_again(void)
{
	uint32_t left;

	opened();
	for (left = TCP_WND_INIT; left; left -= MIN(left, MSS))
		got_data(nxt(), MIN(left, MSS));
	EXPECT_EQ(c.rcv_adv, c.rcv_nxt);
	space(0);
	EXPECT(c.rcv_adv - c.rcv_nxt <= 2 * MSS);
	conn_ack_sent(&c, false);
	c.actions = 0;
	space(20000);
	DID(CONN_DO_ACK);
	EXPECT(c.rcv_adv - c.rcv_nxt >= 20000);
	space(21000);
	DID(0);
	space(60000);
	DID(CONN_DO_ACK);
}

/* Given a backlog, then the window does not grow. Given the guest's FIN, then
 * the guest needs no window, and passt does not ask the socket for its
 * space. */
static void t6_held(void)
{
	opened();
	got(SEG_ACK, 1, 1, 50000);
	conn_delivered(&c, 1000, now);
	space(0);
	EXPECT_EQ(c.rcv_adv, G + 1 + TCP_WND_INIT);

	close_wait();
	space(100000);
	DID(0);
	EXPECT(!conn_wants_space(&c));
}

/* Given data that the socket does not take, when the guest has repeated it for
 * a minute, then passt offers a window of zero, so that the guest sends probes
 * and does not give up. When the socket takes a byte, passt offers the whole
 * window again. */
static void t6_stalled(void)
{
	unsigned int i;

	opened();
	got(SEG_ACK, 1, 1, 5000);
	conn_delivered(&c, 0, now);
	now += 10 * TCP_STALL;
	EXPECT(conn_window_field(&c, false)); /* not repeated yet */
	for (i = 0; i < 2; i++) {
		got(SEG_ACK, 1, 1, 1000);
		EXPECT(conn_window_field(&c, false));
		now += TCP_STALL - 1 + i;
	}
	c.actions = 0;
	got(SEG_ACK, 1, 1, 1000);
	DID(CONN_DO_ACK);
	EXPECT_EQ(conn_window_field(&c, false), 0);
	got(SEG_ACK, 1, 1, 1);
	EXPECT_EQ(conn_window_field(&c, false), 0);

	c.actions = 0;
	conn_delivered(&c, 1, now);
	DID(CONN_DO_ACK);
	EXPECT(conn_window_field(&c, false) << TCP_WSCALE >= TCP_WND_INIT - 1);
}

/* Given data that the socket does not take and for which there is no memory,
 * when the guest has repeated the data for a minute, then passt offers a window
 * of zero. When the socket has space, passt offers the whole window again. */
static void t6_forgotten(void)
{
	unsigned int i;

	opened();
	for (i = 0; i < 3; i++) {
		got(SEG_ACK, 1, 1, 5000);
		conn_delivered(&c, 0, now);
		conn_drop_backlog(&c);
		space(0);
		EXPECT_EQ(conn_window_field(&c, false) == 0, i == 2);
		now += TCP_STALL - 1 + i;
	}

	c.actions = 0;
	space(5000);
	DID(CONN_DO_ACK);
	EXPECT(conn_window_field(&c, false) << TCP_WSCALE >= TCP_WND_INIT - 1);
}

/* Given a window that is mostly unused, then passt does not ask the socket for
 * its space. passt does not ask before the socket has connected, or after the
 * connection has ended, either. */
static void t6_asked(void)
{
	opened();
	space(80000);
	conn_window_field(&c, false);
	got_data(nxt(), 1000);
	EXPECT(!conn_wants_space(&c));
	got_data(nxt(), 14000);
	EXPECT(conn_wants_space(&c));
	space(80000);
	EXPECT(!conn_wants_space(&c));
	fin_wait_2();
	c.rcv_adv = c.rcv_nxt;
	EXPECT(conn_wants_space(&c));
	syn_acked();
	c.rcv_adv = c.rcv_nxt;
	EXPECT(conn_wants_space(&c));
	connecting();
	c.rcv_adv = c.rcv_nxt;
	EXPECT(!conn_wants_space(&c));
	closed();
	c.rcv_adv = c.rcv_nxt;
	EXPECT(!conn_wants_space(&c));
}

/* Given a guest whose segments are longer than the socket's space, then the
 * window has space for two of these segments: with a smaller window, the guest
 * might send nothing, and wait for a larger one. While there is a backlog, the
 * window may be smaller. */
static void t6_long_segments(void)
{
	opened();
	got_data(1, 30000);
	got_data(30001, 100);
	space(1000);
	EXPECT(c.rcv_adv - c.rcv_nxt >= 60000);
	got(SEG_ACK, 30101, 1, 30000);
	conn_delivered(&c, 10000, now);
	space(0);
	EXPECT(c.rcv_adv - c.rcv_nxt < 60000);
}

/* ---- T13: ACKs that wait for a segment to carry them ---- */

/* Open a connection in which the guest has sent a request, and the answer has
 * carried the ACK. */
static void answered(void)
{
	opened();
	got_data(1, 50);
	EXPECT(conn_ack_can_wait(&c, now));
	sent(100);
	conn_ack_sent(&c, true);
	got(SEG_ACK, 51, 101, 0);
	c.actions = 0;
}

/* Given a guest that got an answer to its last data, then the ACK of its next
 * data waits for the next answer, for TCP_ACK_DELAY ms at most. If no answer
 * comes in this time, the ACK of the data after that does not wait. */
static void t13_waits(void)
{
	answered();
	got_data(51, 50);
	EXPECT(conn_ack_can_wait(&c, now));
	EXPECT_EQ(c.ack_due, now + TCP_ACK_DELAY);
	now += TCP_ACK_DELAY - 1;
	EXPECT(conn_ack_can_wait(&c, now));
	c.actions = 0;
	conn_timeout(&c, now);
	DID(0);
	now++;
	c.actions = CONN_DO_SEND;
	conn_timeout(&c, now);
	DID(CONN_DO_SEND | CONN_DO_ACK);
	EXPECT(!conn_ack_can_wait(&c, now));
	conn_ack_sent(&c, false);
	EXPECT_EQ(c.ack_due, 0);

	got_data(101, 50);			/* no answer carried the ACK */
	EXPECT(!conn_ack_can_wait(&c, now));
}

/* Given a full segment, a gap, FIN, a window of which more than half is used,
 * or repeated data, then the ACK does not wait. */
static void t13_does_not_wait(void)
{
	answered();
	got_data(51, MSS);
	EXPECT(!conn_ack_can_wait(&c, now));

	answered();
	got_data(51, 50);
	conn_ooo_stored(&c, c.rcv_nxt + 100, 50);
	EXPECT(!conn_ack_can_wait(&c, now));

	answered();
	got_data(51, 50);
	got(SEG_FIN | SEG_ACK, 101, 101, 0);
	EXPECT(!conn_ack_can_wait(&c, now));

	answered();
	got_data(51, 50);
	c.rcv_adv = c.rcv_nxt + 30000;
	EXPECT(!conn_ack_can_wait(&c, now));

	answered();
	got(SEG_ACK, 1, 101, 50);		/* repeated data */
	DID(CONN_DO_ACK);
	EXPECT(!conn_ack_can_wait(&c, now));
}

/* Given the guest's FIN after passt's, then the ACK of the guest's FIN may wait
 * for another frame, to leave together with it, but at most TCP_ACK_LAST ms. If
 * the guest repeats FIN, passt sends the ACK at once. */
static void t13_last_waits(void)
{
	waiting();
	EXPECT(conn_ack_can_wait(&c, now));
	EXPECT_EQ(c.ack_due, now + TCP_ACK_LAST);
	now += TCP_ACK_LAST;
	conn_timeout(&c, now);
	EXPECT(c.actions & CONN_DO_ACK);
	EXPECT(!conn_ack_can_wait(&c, now));
	conn_ack_sent(&c, false);

	got(SEG_FIN | SEG_ACK, 101, 102, 0);
	EXPECT(c.actions & CONN_DO_ACK);
	EXPECT(!conn_ack_can_wait(&c, now));
}

/* Given an ACK that passt sends because of repeated data, then the ACK of the
 * next new data may wait as before. */
static void t13_not_about_data(void)
{
	answered();
	got(SEG_ACK, 1, 101, 50);
	EXPECT(c.actions & CONN_DO_ACK);
	conn_ack_sent(&c, false);
	got_data(51, 50);
	EXPECT(conn_ack_can_wait(&c, now));
	EXPECT_EQ(c.ack_due, now + TCP_ACK_DELAY);
}

static const struct {
	const char *name;
	void (*story)(void);
} stories[] = {
	{ "T4 segments that touch the window are acceptable", t4_acceptable },
	{ "T4 an ACK counts although our window is zero", t4_window_zero },
	{ "T4 the ACK of repeated data counts while the data is queued",
	  t4_held },
	{ "T4 only an RST with the exact sequence number is believed", t4_rst },
	{ "T4 SYN in an open connection gets an ACK and changes nothing",
	  t4_syn },
	{ "T4 an ACK of what was never sent, or a very old one, is challenged",
	  t4_ack },
	{ "T4 an ACK of what was sent before a timeout counts",
	  t4_ack_after_timeout },
	{ "T5 only what the socket has taken is acknowledged", t5_taken },
	{ "T5 a segment that overlaps is trimmed", t5_trimmed },
	{ "T5 what could not be stored is accepted again", t5_forgotten },
	{ "T5 data after a gap is stored until the gap is filled", t5_ahead },
	{ "T5 gaps filled by overlapping segments count each byte once",
	  t5_ahead_overlapped },
	{ "T5 SACK blocks report stored ranges, the latest first", t5_sacks },
	{ "T5 more gaps than can be remembered come again", t5_many_gaps },
	{ "T6 the window never shrinks", t6_never_shrinks },
	{ "T6 the window is rounded up, never down", t6_rounding },
	{ "T6 a guest without window scale is offered 65,535 bytes",
	  t6_unscaled },
	{ "T6 a window that opens is told at once", t6_opens_again },
	{ "T6 a backlog makes the window smaller, a FIN does not", t6_held },
	{ "T6 a peer that does not read for a minute closes the window",
	  t6_stalled },
	{ "T6 so does one for whose backlog there is no memory", t6_forgotten },
	{ "T6 the socket is asked only if most of the window is used",
	  t6_asked },
	{ "T6 the window has space for two of the guest's segments",
	  t6_long_segments },
	{ "T13 an ACK waits for an answer that carries it", t13_waits },
	{ "T13 an ACK that the guest needs does not wait", t13_does_not_wait },
	{ "T13 the last ACK waits for any other frame", t13_last_waits },
	{ "T13 an ACK that is not for data does not change the delay",
	  t13_not_about_data },
};

int main(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(stories); i++)
		tell_everywhere(stories[i].name, stories[i].story);
	return unit_end();
}
