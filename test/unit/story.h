/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * story.h - A test bench for one TCP connection. A story is a function that
 * passes segments of a guest and events of a socket to the connection, and
 * states what it expects. Each story is run with many initial sequence numbers
 * of both ends (T3), across the wrap and the change of sign. Tests of TCP
 * connections include this file after the file under test.
 */
#ifndef TEST_UNIT_STORY_H
#define TEST_UNIT_STORY_H

#include "tcp/conn.h"
#include "tcp/seq.h"
#include "test/unit/unit.h"
#include "util.h"

#define MSS		1000
#define PAYLOAD		1460		/* longest TCP payload of a frame */
#define START		5000000		/* time when a story begins, ms */

/* The connection, the time in ms, and the initial sequence numbers of the guest
 * (G) and of passt (H). */
static struct tcp_conn c;
static uint64_t now;
static uint32_t G, H;

/* Window and SACK blocks of the guest's next segment, see got(). */
static uint16_t wnd;
static struct tcp_range sack[TCP_SACK_BLOCKS];
static uint8_t nsack;

/* The first expectation of a story that was not met; "": all were met. */
static char wrong[200];

/* EXPECT() - Expect that a condition is true */
#define EXPECT(cond) expect((cond), #cond, __LINE__)

/* EXPECT_EQ() - Expect that two numbers are equal */
#define EXPECT_EQ(got, want) \
	expect_eq((uint64_t)(got), (uint64_t)(want), #got, __LINE__)

/* DID() - Expect exactly these pending actions, CONN_DO_*, and clear them */
#define DID(what) expect_actions((what), __LINE__)

static void expect(bool good, const char *what, int line)
{
	if (!good && !*wrong)
		snprintf(wrong, sizeof(wrong), "not: %s, line %d", what, line);
}

__attribute__((unused))
static void expect_eq(uint64_t got, uint64_t want, const char *what, int line)
{
	if (got != want && !*wrong)
		snprintf(wrong, sizeof(wrong),
			 "%s is %" PRIu64 ", not %" PRIu64 ", line %d", what,
			 got, want, line);
}

/* letters() - Write one letter for each action: a comment in conn_events.c says
 * which */
static const char *letters(uint32_t actions, char buf[20])
{
	static const char letter[] = "DWFKSRPTAUCXGHLZ";
	unsigned int i, n = 0;

	for (i = 0; i < 16; i++) {
		if (actions & 1U << i)
			buf[n++] = letter[i];
	}
	buf[n] = '\0';
	return buf;
}

__attribute__((unused))
static void expect_actions(uint32_t want, int line)
{
	char got[20], should[20];

	if (c.actions != want && !*wrong)
		snprintf(wrong, sizeof(wrong),
			 "actions are '%s', not '%s', line %d",
			 letters(c.actions, got), letters(want, should), line);
	c.actions = 0;
}

/* ---- Segments of the guest and events of the socket ---- */

/**
 * got() - Let a segment from the guest arrive
 * @flags:	SEG_*
 * @seq:	sequence number relative to the guest's initial one: the first
 *		byte of the guest has 1
 * @ack:	acknowledgement number relative to passt's initial sequence
 *		number: the first byte to the guest has 1
 * @len:	length of the payload, bytes
 *
 * Return: the new part of the payload
 */
static struct new_payload got(uint8_t flags, uint32_t seq, uint32_t ack,
			      uint32_t len)
{
	struct tcp_seg seg = {
		.flags = flags, .seq = G + seq, .ack = H + ack, .len = len,
		.wnd = wnd, .wscale = -1, .nsack = nsack,
	};
	struct new_payload new;

	if (flags & SEG_SYN) {
		seg.mss = MSS;
		seg.wscale = 0;
		seg.sack_ok = true;
	}
	memcpy(seg.sack, sack, sizeof(sack));
	new = conn_segment(&c, &seg, now);
	nsack = 0;
	return new;
}

/* block() - Add a SACK block to the guest's next segment */
__attribute__((unused))
static void block(uint32_t start, uint32_t end)
{
	sack[nsack++] = (struct tcp_range){ H + start, H + end };
}

/* got_data() - Let data from the guest arrive in order, and let the socket take
 * all of it */
__attribute__((unused))
static void got_data(uint32_t seq, uint32_t len)
{
	got(SEG_ACK, seq, c.snd_una - H, len);
	conn_delivered(&c, len, now);
}

/* sent() - Send @len bytes of data to the guest */
__attribute__((unused))
static void sent(uint32_t len)
{
	EXPECT(conn_usable_window(&c) >= len);
	conn_data_sent(&c, len, now);
}

/* space() - Tell the connection that its socket has space for @bytes more
 * bytes */
__attribute__((unused))
static void space(uint32_t bytes)
{
	conn_set_space(&c, bytes, TCP_WND_OURS);
}

/* peer_ends() - Let the peer send FIN, and send FIN to the guest */
__attribute__((unused))
static void peer_ends(void)
{
	conn_eof(&c);
	EXPECT(conn_fin_due(&c));
	conn_fin_sent(&c, now);
	c.actions = 0;
}

/* at_deadline() - Let time pass until the timer of the connection expires */
__attribute__((unused))
static void at_deadline(void)
{
	now = c.deadline;
	conn_timeout(&c, now);
}

/* hole() - Send the next range of lost data again; return whether this range
 * has @len bytes and begins at @start, relative to passt's initial sequence
 * number */
__attribute__((unused))
static bool hole(uint32_t start, uint32_t len)
{
	struct tcp_range r;

	if (!conn_next_hole(&c, &r))
		return false;
	conn_hole_sent(&c, &r);
	return r.from == H + start && r.end == H + start + len;
}

__attribute__((unused))
static bool no_hole(void)
{
	struct tcp_range r;

	return !conn_next_hole(&c, &r);
}

/* syn() - Let a SYN from the guest arrive, with these options */
__attribute__((unused))
static void syn(uint16_t mss, int8_t wscale, bool sack_ok)
{
	struct tcp_seg seg = {
		.flags = SEG_SYN, .seq = G, .mss = mss, .wscale = wscale,
		.sack_ok = sack_ok, .wnd = wnd,
	};

	conn_guest_syn(&c, &seg, H, PAYLOAD, now);
}

/* ---- Functions that bring the connection to a state. The names from
 * established() on are the names of states in RFC 9293, but waiting() is
 * TIME-WAIT ---- */

__attribute__((unused))
static void connecting(void)
{
	syn(MSS, 0, true);
}

__attribute__((unused))
static void syn_acked(void)
{
	connecting();
	conn_connected(&c, now);
	c.actions = 0;
}

__attribute__((unused))
static void syn_sent(void)
{
	conn_accepted(&c, H, PAYLOAD, now);
	c.actions = 0;
}

/* opened() - Open a connection, over which no data has been sent yet */
__attribute__((unused))
static void opened(void)
{
	syn_acked();
	got(SEG_ACK, 1, 1, 0);
	c.actions = 0;
}

/* established() - Open a connection, let the guest send 100 bytes, and send it
 * 100 bytes, which it does not acknowledge yet */
__attribute__((unused))
static void established(void)
{
	opened();
	got_data(1, 100);
	sent(100);
	c.actions = 0;
}

/* close_wait() - Do as established(), and let the guest send FIN */
__attribute__((unused))
static void close_wait(void)
{
	established();
	got(SEG_FIN | SEG_ACK, 101, 1, 0);
	c.actions = 0;
}

__attribute__((unused))
static void fin_wait_1(void)
{
	established();
	peer_ends();
}

__attribute__((unused))
static void fin_wait_2(void)
{
	fin_wait_1();
	got(SEG_ACK, 101, 102, 0);
	c.discard = c.actions = 0;
}

__attribute__((unused))
static void closing(void)
{
	fin_wait_1();
	got(SEG_FIN | SEG_ACK, 101, 101, 0);
	c.discard = c.actions = 0;
}

__attribute__((unused))
static void last_ack(void)
{
	close_wait();
	peer_ends();
}

__attribute__((unused))
static void waiting(void)
{
	fin_wait_2();
	got(SEG_FIN | SEG_ACK, 101, 102, 0);
	c.actions = 0;
}

__attribute__((unused))
static void closed(void)
{
	established();
	conn_abort(&c);
	c.actions = 0;
}

/* nxt(), una(), max() - Return rcv_nxt, snd_una and snd_max, relative to the
 * initial sequence numbers. While the guest's number is not known, nxt()
 * returns 77, which no story expects */
__attribute__((unused))
static uint32_t nxt(void)
{
	return c.phase == CONN_SYN_SENT ? 77 : c.rcv_nxt - G;
}

__attribute__((unused))
static uint32_t una(void)
{
	return c.snd_una - H;
}

__attribute__((unused))
static uint32_t max(void)
{
	return c.snd_max - H;
}

/* tell() - Run a story with these initial sequence numbers; returns whether all
 * expectations were met */
static bool tell(void (*story)(void), uint32_t guest, uint32_t ours)
{
	G = guest;
	H = ours;
	now = START;
	wnd = 20000;
	nsack = 0;
	*wrong = '\0';
	story();
	return !*wrong;
}

/* tell_everywhere() - Run a story with many initial sequence numbers (T3), and
 * report the result as one check */
__attribute__((unused))
static void tell_everywhere(const char *name, void (*story)(void))
{
	static const uint32_t at[] = {
		1000, 0, UINT32_MAX, UINT32_MAX - 50, UINT32_MAX - 1500,
		UINT32_MAX - 40000, INT32_MAX - 1500, 0x80000000,
	};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		for (j = 0; j < ARRAY_SIZE(at); j++) {
			if (tell(story, at[i], at[j]))
				continue;
			fail(name, "%s, guest from %u, we from %u", wrong,
			     at[i], at[j]);
			return;
		}
	}
	pass(name);
}

#endif /* TEST_UNIT_STORY_H */
