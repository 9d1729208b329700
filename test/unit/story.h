/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * story.h - A test bench for stories of a TCP connection: segments of a guest,
 * events of a socket, states to begin in, and expectations. Each story is run
 * with many initial sequence numbers in both directions (T3), across the wrap
 * and the change of sign. conn.c, conn_events.c, conn_rx.c and conn_tx.c
 * include it after the file under test.
 */
#ifndef TEST_UNIT_STORY_H
#define TEST_UNIT_STORY_H

#include "tcp/conn.h"
#include "tcp/seq.h"
#include "test/unit/unit.h"
#include "util.h"

#define MSS		1000
#define PAYLOAD		1460		/* that a frame to the guest takes */
#define START		5000000		/* ms */

/* The connection, the time, and the initial sequence numbers of both ends. */
static struct tcp_conn c;
static uint64_t now;
static uint32_t G, H;

/* What the guest's next segments say in addition to got()'s arguments. */
static uint16_t wnd;
static struct tcp_range sack[TCP_SACK_BLOCKS];
static uint8_t nsack;

/* The first expectation of a story that was not met. */
static char wrong[200];

/* EXPECT() - A condition is true at this point of a story */
#define EXPECT(cond) expect((cond), #cond, __LINE__)

/* EXPECT_EQ() - Two numbers are the same */
#define EXPECT_EQ(got, want) \
	expect_eq((uint64_t)(got), (uint64_t)(want), #got, __LINE__)

/* DID() - The pending actions are exactly these; they are cleared */
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

/* letters() - Actions, a letter each: the legend is in conn_events.c */
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

/* ---- A guest and a socket by hand ---- */

/**
 * got() - A segment of the guest comes
 * @flags:	SEG_*
 * @seq:	counted from its initial sequence number: its first byte is 1
 * @ack:	counted from ours: our first byte is 1
 * @len:	bytes of payload
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

/* block() - The guest's next segment has another SACK block */
__attribute__((unused))
static void block(uint32_t start, uint32_t end)
{
	sack[nsack++] = (struct tcp_range){ H + start, H + end };
}

/* got_data() - Data comes in order, and the socket takes all of it */
__attribute__((unused))
static void got_data(uint32_t seq, uint32_t len)
{
	got(SEG_ACK, seq, c.snd_una - H, len);
	conn_delivered(&c, len, now);
}

/* sent() - So much data is sent to the guest */
__attribute__((unused))
static void sent(uint32_t len)
{
	EXPECT(conn_usable_window(&c) >= len);
	conn_data_sent(&c, len, now);
}

/* space() - The socket can take so many bytes more */
__attribute__((unused))
static void space(uint32_t bytes)
{
	conn_set_space(&c, bytes, TCP_WND_OURS);
}

/* peer_ends() - The peer's FIN, and ours to the guest */
__attribute__((unused))
static void peer_ends(void)
{
	conn_eof(&c);
	EXPECT(conn_fin_due(&c));
	conn_fin_sent(&c, now);
	c.actions = 0;
}

/* at_deadline() - Time passes until the connection's deadline */
__attribute__((unused))
static void at_deadline(void)
{
	now = c.deadline;
	conn_timeout(&c, now);
}

/* hole() - The next range to send again is this one; it is sent */
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

/* syn() - The guest's SYN */
__attribute__((unused))
static void syn(uint16_t mss, int8_t wscale, bool sack_ok)
{
	struct tcp_seg seg = {
		.flags = SEG_SYN, .seq = G, .mss = mss, .wscale = wscale,
		.sack_ok = sack_ok, .wnd = wnd,
	};

	conn_guest_syn(&c, &seg, H, PAYLOAD, now);
}

/* ---- States to begin in, as RFC 9293 names those after the handshake ---- */

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

/* opened() - Nothing was sent yet in either direction */
__attribute__((unused))
static void opened(void)
{
	syn_acked();
	got(SEG_ACK, 1, 1, 0);
	c.actions = 0;
}

/* established() - With 100 bytes in flight to the guest */
__attribute__((unused))
static void established(void)
{
	opened();
	got_data(1, 100);
	sent(100);
	c.actions = 0;
}

/* close_wait() - The guest's FIN came, 100 bytes are in flight to it */
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

/* nxt(), una(), max() - Where the connection stands, as got() counts */
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

/* tell() - Run a story with these initial sequence numbers; whether it held */
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

/* tell_everywhere() - Run a story with many sequence numbers (T3) */
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
