/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * world.h - The world of conn_model.c: the machine of machine.h with its
 * socket, the guest of mini.h, and a link between them that loses, reorders and
 * duplicates segments. A move is one thing that may happen in this world.
 *
 * No move depends on how much time has passed. A timer that runs may fire at
 * any time, before or after any other one, because the link and the event loop
 * may be slow.
 */
#ifndef TEST_UNIT_WORLD_H
#define TEST_UNIT_WORLD_H

#include "test/unit/machine.h"
#include "test/unit/mini.h"

#define LINK_MAX	7	/* limit for segments on their way, each way */
#define GUEST_STREAM	7	/* numbers of the streams, see stream_byte() */
#define PEER_STREAM	9

/* The time at the start of each move, ms. It is past all limits for silence. */
#define NOW		(1ULL << 30)

/* If the timer has fired so often without an answer, the number of tries does
 * not matter any more: the next time may be the last. */
#define TRIES_MANY	2

enum opening { OPENS_GUEST, OPENS_PEER, OPENS_BOTH };

/**
 * struct bounds - What may happen in a world
 * @name:	for messages
 * @opening:	who opens the connection
 * @sack, @byte_probes, @rcvbuf: see struct mini
 * @chunk:	bytes that the guest writes or the peer sends at a time
 * @up, @down:	how often the guest writes and the peer sends, at most
 * @sndbuf:	size of the socket's send buffer, bytes
 * @faults:	how often the link loses, reorders or duplicates a segment, a
 *		timer fires although segments are on their way, or there is no
 *		memory, in all
 * @queue:	segments on their way, each way; the link drops any more
 * @resets:	each end may reset the connection at any time
 */
struct bounds {
	const char *name;
	enum opening opening;
	bool sack, byte_probes;
	uint8_t rcvbuf, chunk, up, down, sndbuf, faults, queue;
	bool resets;
};

enum way { TO_GUEST, FROM_GUEST };

/**
 * struct world - The state of the world, except for the machine
 * @b:		bounds
 * @g:		guest
 * @n, @link:	segments on their way, in the order in which they were sent
 * @opened:	passt has a flow, or had one
 * @faults:	number of faults so far
 * @may_reset, @may_lose: something has happened after which an end may get
 *		RST, and after which bytes may be lost
 * @written:	bytes that the guest has written in all
 */
struct world {
	const struct bounds *b;
	struct mini g;
	uint8_t n[2];
	struct tcp_seg link[2][LINK_MAX];
	bool opened, may_reset, may_lose;
	uint8_t faults;
	uint32_t written;
};

static struct world w;
static struct machine m;

/* print_segments: print each segment that is sent */
static bool print_segments;

static void print_segment(enum way way, const struct tcp_seg *s)
{
	uint32_t seq = way == TO_GUEST ? MINI_IRS : MINI_ISS;
	uint32_t ack = way == TO_GUEST ? MINI_ISS : MINI_IRS;
	unsigned int i;

	printf("#        %s %s%s%s%s seq %u", way == TO_GUEST ? ">" : "  <",
	       s->flags & SEG_SYN ? "S" : "", s->flags & SEG_FIN ? "F" : "",
	       s->flags & SEG_RST ? "R" : "", s->flags & SEG_ACK ? "." : "",
	       s->seq - seq);
	printf(" len %u ack %u win %u", s->len,
	       s->flags & SEG_ACK ? s->ack - ack : 0, s->wnd);
	for (i = 0; i < s->nsack; i++)
		printf(" sack %u:%u", s->sack[i].from - ack,
		       s->sack[i].end - ack);
	printf("\n");
}

/* world_carry() - Put a segment on the link */
static void world_carry(enum way way, const struct tcp_seg *seg)
{
	if (print_segments)
		print_segment(way, seg);
	if (w.n[way] < w.b->queue)
		w.link[way][w.n[way]++] = *seg;
}

static void mini_out(const struct tcp_seg *seg)
{
	MUST(&m, !(seg->flags & SEG_RST) || w.may_reset ||
	     w.g.state == MINI_CLOSED);
	world_carry(FROM_GUEST, seg);
}

static void mini_wrong(const char *what)
{
	machine_wrong(&m, what, __LINE__);
}

/* mini_ends() - Check what the guest has when its connection ends. A flow that
 * has ended answers late segments by RST, but not before the guest has all */
static void mini_ends(const struct mini *g, bool reset)
{
	uint32_t all = m.arrived + 1 + g->rx_fin;

	MUST(&m, !reset || w.may_reset || g->state == MINI_TIME_WAIT);
	if (w.may_lose)
		return;
	MUST(&m, g->rx_fin && g->rcv_nxt == MINI_IRS + all);
	MUST(&m, reset || g->snd_una == MINI_ISS + 2 + g->written);
}

/* to_guest() - Check a segment of the machine, and put it on the link */
static void to_guest(void *arg, const uint8_t *p, size_t len)
{
	size_t hlen = (p[12] >> 4) * 4U, i;
	struct tcp_seg seg;
	uint32_t from;

	MUST(&m, tcp_seg_parse(&seg, p, hlen, (uint32_t)(len - hlen)));
	from = seg.seq - MINI_IRS - 1;
	for (i = 0; i < seg.len; i++)
		MUST(&m, p[hlen + i] == stream_byte(PEER_STREAM,
						    from + (uint32_t)i));
	MUST(&m, !seg.len || from + seg.len <= m.arrived);
	MUST(&m, !(seg.flags & SEG_FIN) || (m.fin &&
					    from + seg.len == m.arrived));
	MUST(&m, !(seg.flags & SEG_RST) || w.may_reset || m.removed);
	world_carry(TO_GUEST, &seg);
}

/* world_start() - Begin a new world */
static void world_start(const struct bounds *b)
{
	w = (struct world){
		.b = b, .g.sack = b->sack, .g.byte_probes = b->byte_probes,
		.g.rcvbuf = b->rcvbuf,
	};
	machine_clear(&m);
	m.now = NOW;
	m.sndbuf = b->sndbuf;
	m.gport = GUEST_STREAM;
	m.pport = PEER_STREAM;
	m.out = to_guest;
	if (b->opening != OPENS_GUEST) {
		w.opened = true;
		machine_accepted(&m, MINI_IRS);
	}
	mini_open(&w.g, b->opening != OPENS_PEER);
}

/* ---- The link ---- */

/* take() - Remove a segment from the link; @i: its index */
static struct tcp_seg take(enum way way, unsigned int i)
{
	struct tcp_seg seg = w.link[way][i];

	w.n[way]--;
	memmove(&w.link[way][i], &w.link[way][i + 1],
		(w.n[way] - i) * sizeof(seg));
	return seg;
}

/* feed() - Let passt receive a segment, as part of a batch. If passt never had
 * a flow, the guest's SYN opens one. Without a flow, passt refuses all other
 * segments. After the flow was removed, a late SYN is dropped here; passt would
 * open another flow for it */
static void feed(struct tcp_seg *seg)
{
	uint8_t data[2 * MINI_DATA];
	uint32_t i;

	if (!w.opened && seg->flags == SEG_SYN) {
		w.opened = true;
		machine_opens(&m, seg, MINI_IRS);
		return;
	}
	if (m.removed || !w.opened) {
		if (seg->flags != SEG_SYN)
			machine_refuse(&m, seg);
		return;
	}
	for (i = 0; i < seg->len; i++)
		data[i] = stream_byte(GUEST_STREAM,
				      seg->seq - MINI_ISS - 1 + i);
	machine_feed_segment(&m, seg, data);
}

/* deliver() - Let a segment arrive, and keep a copy of it on the link if @again
 * is true */
static void deliver(enum way way, unsigned int i, bool again)
{
	struct tcp_seg seg = again ? w.link[way][i] : take(way, i);

	if (way == TO_GUEST) {
		mini_gets(&w.g, &seg);
		return;
	}
	feed(&seg);
	machine_finish_batch(&m);
}

/* deliver_both() - Let passt receive two segments in one batch */
static void deliver_both(void)
{
	struct tcp_seg seg = take(FROM_GUEST, 0);

	feed(&seg);
	seg = take(FROM_GUEST, 0);
	feed(&seg);
	machine_finish_batch(&m);
}

/* deliver_without_memory() - Let passt receive a segment while other
 * connections use up all memory for receive rings */
static void deliver_without_memory(void)
{
	size_t others = TCP_RXRING_MAX - m.rxring_total;

	m.rxring_total += others;
	deliver(FROM_GUEST, 0, false);
	m.rxring_total -= others;
}

/* ---- Timers ---- */

/* limit_of() - Get the number of tries after which a timer gives up */
static uint8_t limit_of(enum conn_timer timer)
{
	if (timer == CONN_TIMER_SYN)
		return TCP_SYN_TRIES - 1;
	return timer == CONN_TIMER_RTO ? TCP_RTO_TRIES : TCP_PROBES;
}

/* ack_expires() - Let the time come when an ACK that waits is sent */
static void ack_expires(void)
{
	m.now = m.c.ack_due;
	m.c.deadline = m.now + TCP_RTO_INIT;
	machine_timer(&m);
}

/* timer_expires() - Let the timer of the connection expire; @last: it has
 * expired so often that it gives up */
static void timer_expires(bool last)
{
	struct tcp_conn *c = &m.c;

	if (c->timer == CONN_TIMER_IDLE)
		c->deadline = c->heard_at + TCP_IDLE;
	if (last && c->timer == CONN_TIMER_PERSIST)
		c->deadline = c->heard_at + TCP_PERSIST_MAX + 1;
	if (last)
		c->tries = limit_of(c->timer);
	m.now = c->deadline;
	if (c->ack_due)
		c->ack_due = m.now + 1;
	machine_timer(&m);
}

/* minute_passes() - Let the time come when the guest has to be told that the
 * window is closed, see @stall_at */
static void minute_passes(void)
{
	m.c.stall_at = m.now;
}

#endif /* TEST_UNIT_WORLD_H */
