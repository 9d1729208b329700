/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * guest.h - A small TCP implementation that is the guest in tests. It has one
 * connection and no congestion control. Otherwise it is correct, and strict
 * about what it receives.
 *
 * stream_byte() determines each byte that both ends send. So each byte is
 * checked when it arrives, and none has to be stored. @wrong names the first
 * thing that the other end did and that no TCP may do.
 */
#ifndef TEST_UNIT_GUEST_H
#define TEST_UNIT_GUEST_H

#include <stdlib.h>
#include <string.h>

#include "tcp/segment.h"
#include "tcp/seq.h"
#include "util.h"

#define GUEST_RING	(1U << 19)	/* sequence numbers in @have, @marked */
#define GUEST_NEVER	UINT64_MAX
#define GUEST_RTO	300		/* ms; doubled for each further try */
#define GUEST_RTO_MAX	20000
#define GUEST_TRIES	12		/* tries in about 160 s; no limit while
					 * the window is 0 */
#define GUEST_DELAY	40		/* ms that an ACK is delayed */

enum guest_state { GUEST_CLOSED, GUEST_SYN_SENT, GUEST_LISTEN,
		   GUEST_SYN_RCVD, GUEST_OPEN, GUEST_RESET };

/**
 * struct guest - A guest with one connection
 *
 * Members that the test sets:
 * @gport, @pport: ports of the guest, and of the other end
 * @mss:	MSS of the guest's interface
 * @wscale:	shift count of the window scale option, -1: the guest does not
 *		know this option
 * @sack:	the guest knows SACK
 * @delay:	the guest delays ACKs
 * @rcvbuf:	size of the receive buffer, bytes, less than GUEST_RING
 * @reads:	bytes that the application reads at a time, 0: none
 * @tx_total:	bytes that the guest sends in all
 * @tx_fin:	the guest sends FIN after @tx_total bytes
 * @rx_total:	bytes that the other end sends in all
 * @out, @arg:	function that receives the guest's segments, and its first
 *		argument
 *
 * State; members with names of RFC 9293 3.3.1 are not listed:
 * @edge:	right edge of the window that the guest has offered
 * @unread:	bytes in order that the application has not read
 * @their_ack:	latest ACK number of the other end
 * @their_edge:	right edge of the window that the other end has offered
 * @rx_fin:	all data and FIN of the other end have arrived
 * @fin_seen, @fin_at: FIN has arrived, perhaps after a gap, and its sequence
 *		number
 * @have:	for each sequence number modulo GUEST_RING: its byte arrived
 *		after a gap
 * @marked:	for each sequence number modulo GUEST_RING: the other end has
 *		reported its byte by SACK
 * @rtx_next:	in recovery: all holes before this sequence number were sent
 *		again
 * @deadline, @ack_at: times when the retransmission timer and the delayed ACK
 *		are due, ms
 * @bytes_again: number of bytes that came more than once
 * @wrong:	first error of the other end, NULL: none
 */
struct guest {
	uint16_t gport, pport, mss;
	int8_t wscale;
	bool sack, delay;
	uint32_t rcvbuf, reads;
	uint32_t tx_total;
	bool tx_fin;
	uint32_t rx_total;
	void (*out)(void *arg, const uint8_t *seg, size_t len);
	void *arg;

	enum guest_state state;
	uint32_t iss, snd_una, snd_nxt, snd_max, snd_wnd, snd_wl1, snd_wl2;
	uint32_t irs, rcv_nxt, edge, unread;
	uint32_t their_ack, their_edge;
	uint8_t snd_shift, rcv_shift;
	uint16_t peer_mss;
	bool sack_ok, rx_fin, fin_seen;
	uint32_t fin_at;
	uint8_t have[GUEST_RING], marked[GUEST_RING];
	uint32_t ooo, last_ooo, high_mark, marks;

	unsigned int dupacks, tries, unacked, bytes_again;
	bool recovering;
	uint32_t recover, rtx_next;
	uint64_t rto, deadline, ack_at;
	const char *wrong;
};

/* stream_byte() - Get the byte at an offset of a stream; the sender's port is
 * the number of the stream */
static uint8_t stream_byte(unsigned int stream, uint32_t off)
{
	return (uint8_t)((off + stream * 77777) * 2654435761U >> 24);
}

static void guest_wrong(struct guest *g, const char *what)
{
	if (!g->wrong)
		g->wrong = what;
}

/* guest_fin_seq() - Get the sequence number of the guest's FIN */
static uint32_t guest_fin_seq(const struct guest *g)
{
	return g->iss + 1 + g->tx_total;
}

/* guest_done() - Whether the other end has acknowledged all data and FIN, and
 * all data and FIN of the other end have arrived */
__attribute__((unused))
static bool guest_done(const struct guest *g)
{
	return g->state == GUEST_OPEN && g->rx_fin && g->tx_fin &&
	       g->snd_una == guest_fin_seq(g) + 1;
}

/* guest_received() - Get the number of bytes received in order */
__attribute__((unused))
static uint32_t guest_received(const struct guest *g)
{
	if (g->state != GUEST_OPEN && g->state != GUEST_RESET)
		return 0;
	return g->rcv_nxt - g->irs - 1 - g->rx_fin;
}

/* guest_blocks() - Write SACK blocks, first the one with the byte that arrived
 * last; return their number */
static uint8_t guest_blocks(const struct guest *g, struct tcp_range *block)
{
	uint32_t s = g->rcv_nxt, end = g->edge + 1, start;
	struct tcp_range first;
	uint8_t n = 0, i;

	if (!g->sack_ok || !g->ooo)
		return 0;
	while (seq_lt(s, end) && n < TCP_SACK_BLOCKS) {
		for (; seq_lt(s, end) && !g->have[s % GUEST_RING]; s++)
			;
		for (start = s; seq_lt(s, end) && g->have[s % GUEST_RING]; s++)
			;
		if (s != start)
			block[n++] = (struct tcp_range){ start, s };
	}
	for (i = 1; i < n; i++) {
		if (!seq_le(block[i].from, g->last_ooo) ||
		    !seq_lt(g->last_ooo, block[i].end))
			continue;
		first = block[i];
		memmove(&block[1], &block[0], i * sizeof(first));
		block[0] = first;
	}
	return n;
}

/* guest_window() - Get the window field of the next segment. The right edge of
 * the window never moves back */
static uint16_t guest_window(struct guest *g, bool syn)
{
	uint32_t space = g->rcvbuf - MIN(g->rcvbuf, g->unread), field;

	if (syn)
		return (uint16_t)MIN(space, UINT16_MAX);
	/* The right edge moves only if half of the buffer, or space for two
	 * segments, is free (RFC 9293 3.8.6.2.2). */
	if (seq_lt(g->edge, g->rcv_nxt + space) &&
	    (space >= g->rcvbuf / 2 || space >= 2U * g->mss))
		g->edge = g->rcv_nxt + space;
	field = (g->edge - g->rcv_nxt + (1U << g->rcv_shift) - 1) >>
		g->rcv_shift;
	field = MIN(field, UINT16_MAX);
	g->edge = seq_max(g->edge, g->rcv_nxt + (field << g->rcv_shift));
	return (uint16_t)field;
}

/**
 * guest_emit() - Send a segment
 * @g:		guest
 * @flags:	SEG_*
 * @seq:	sequence number
 * @len:	bytes of the guest's stream that the segment carries
 */
static void guest_emit(struct guest *g, uint8_t flags, uint32_t seq,
		       uint32_t len)
{
	static uint8_t seg[TCP_HLEN_MAX + UINT16_MAX];
	struct tcp_hdr h = {
		.sport = g->gport, .dport = g->pport, .seq = seq,
		.flags = flags, .wscale = -1,
	};
	uint32_t hlen, i;

	if (flags & SEG_SYN) {
		h.mss = g->mss;
		h.wscale = flags & SEG_ACK && !g->snd_shift ? -1 : g->wscale;
		h.sack_ok = g->sack;
	}
	if (flags & SEG_ACK) {
		h.ack = g->rcv_nxt;
		h.nsack = flags & SEG_SYN ? 0 : guest_blocks(g, h.sack);
		g->unacked = 0;
		g->ack_at = GUEST_NEVER;
	}
	h.wnd = guest_window(g, flags & SEG_SYN);
	hlen = (uint32_t)tcp_hdr_put(&h, seg);
	for (i = 0; i < len; i++)
		seg[hlen + i] = stream_byte(g->gport, seq + i - g->iss - 1);
	g->out(g->arg, seg, hlen + len);
}

/* guest_arm() - Start the retransmission timer */
static void guest_arm(struct guest *g, uint64_t now)
{
	g->deadline = now + g->rto;
}

/* guest_start() - Begin a connection: send SYN if @connects, else wait for
 * SYN */
__attribute__((unused))
static void guest_start(struct guest *g, uint32_t iss, bool connects,
			uint64_t now)
{
	g->iss = g->snd_una = g->snd_nxt = g->snd_max = g->high_mark = iss;
	g->rto = GUEST_RTO;
	g->deadline = g->ack_at = GUEST_NEVER;
	g->peer_mss = 536;
	g->state = GUEST_LISTEN;
	if (!connects)
		return;
	g->state = GUEST_SYN_SENT;
	g->snd_nxt = g->snd_max = iss + 1;
	guest_emit(g, SEG_SYN, iss, 0);
	guest_arm(g, now);
}

/* guest_send_one() - Send a segment from @seq on, with FIN after the last byte.
 * Return how many sequence numbers it takes, which are at most @most */
static uint32_t guest_send_one(struct guest *g, uint32_t seq, uint32_t most)
{
	uint32_t left = guest_fin_seq(g) - seq;
	uint32_t len = MIN(MIN(left, most), MIN(g->peer_mss, g->mss));
	bool fin = g->tx_fin && len == left && most > len;

	guest_emit(g, fin ? SEG_ACK | SEG_FIN : SEG_ACK, seq, len);
	return len + fin;
}

/**
 * guest_pump() - Send as much data as there is and as the window allows
 * @g:		guest
 * @now:	ms
 */
static void guest_pump(struct guest *g, uint64_t now)
{
	uint32_t end = guest_fin_seq(g) + g->tx_fin, flight, n;

	if (g->state != GUEST_OPEN)
		return;
	while (seq_lt(g->snd_nxt, end)) {
		flight = g->snd_nxt - g->snd_una;
		if (flight >= g->snd_wnd) {
			if (g->deadline == GUEST_NEVER)
				guest_arm(g, now);	/* to send a probe */
			return;
		}
		n = guest_send_one(g, g->snd_nxt, g->snd_wnd - flight);
		if (!n)
			return;
		g->snd_nxt += n;
		g->snd_max = seq_max(g->snd_max, g->snd_nxt);
		if (g->deadline == GUEST_NEVER)
			guest_arm(g, now);
	}
}

/* guest_read() - Let the application read. If the window then grows by two
 * segments or half of the buffer, send it to the other end */
static void guest_read(struct guest *g)
{
	uint32_t n = MIN(g->reads, g->unread), before = g->edge;

	g->unread -= n;
	if (!n || g->state != GUEST_OPEN)
		return;
	guest_window(g, false);
	if (g->edge - before >= MIN(2U * g->mss, g->rcvbuf / 2))
		guest_emit(g, SEG_ACK, g->snd_nxt, 0);
	else
		g->edge = before;
}

/* guest_options() - Record the options and the window in the other end's SYN */
static void guest_options(struct guest *g, const struct tcp_seg *seg)
{
	g->irs = seg->seq;
	g->rcv_nxt = g->edge = seg->seq + 1;
	g->edge += MIN(g->rcvbuf, UINT16_MAX);
	if (seg->wscale >= 0 && g->wscale >= 0) {
		g->snd_shift = (uint8_t)seg->wscale;
		g->rcv_shift = (uint8_t)g->wscale;
	}
	g->sack_ok = seg->sack_ok && g->sack;
	if (seg->mss)
		g->peer_mss = seg->mss;
	g->snd_wnd = seg->wnd;
	g->snd_wl1 = seg->seq;
	g->snd_wl2 = seg->ack;
	g->their_edge = g->iss + 1 + seg->wnd;
	g->their_ack = g->iss + 1;
}

static void guest_established(struct guest *g)
{
	g->state = GUEST_OPEN;
	g->snd_una = g->snd_nxt = g->iss + 1;
	g->tries = 0;
	g->rto = GUEST_RTO;
	g->deadline = GUEST_NEVER;
}

/* guest_syn() - Receive a segment with SYN */
static void guest_syn(struct guest *g, const struct tcp_seg *seg, uint64_t now)
{
	bool ack = seg->flags & SEG_ACK;

	if (g->state == GUEST_LISTEN && !ack) {
		guest_options(g, seg);
		g->state = GUEST_SYN_RCVD;
		g->snd_nxt = g->snd_max = g->iss + 1;
		guest_emit(g, SEG_SYN | SEG_ACK, g->iss, 0);
		guest_arm(g, now);
	} else if (g->state == GUEST_SYN_SENT && ack &&
		   seg->ack == g->iss + 1) {
		guest_options(g, seg);
		guest_established(g);
		guest_emit(g, SEG_ACK, g->snd_nxt, 0);
		guest_pump(g, now);
	} else if (g->state == GUEST_SYN_RCVD && seg->seq == g->irs) {
		guest_emit(g, SEG_SYN | SEG_ACK, g->iss, 0);
	} else if (g->state == GUEST_OPEN) {
		guest_emit(g, SEG_ACK, g->snd_nxt, 0);
	}
}

/* guest_mark() - Record the SACK blocks in a segment */
static void guest_mark(struct guest *g, const struct tcp_seg *seg)
{
	const struct tcp_range *r;
	unsigned int i;
	uint32_t s;

	for (i = 0; i < seg->nsack; i++) {
		r = &seg->sack[i];
		if (!g->sack_ok || !seq_lt(seg->ack, r->from) ||
		    !seq_lt(r->from, r->end) || seq_lt(g->snd_max, r->end)) {
			guest_wrong(g, "an impossible SACK block");
			return;
		}
		s = seq_max(r->from, g->snd_una);
		for (; seq_lt(s, r->end); s++) {
			g->marks += !g->marked[s % GUEST_RING];
			g->marked[s % GUEST_RING] = 1;
		}
		if (seq_lt(g->high_mark, r->end))
			g->high_mark = r->end;
	}
}

/* guest_fill() - Send missing data again, each range once in a recovery */
static void guest_fill(struct guest *g)
{
	uint32_t seq = seq_max(g->rtx_next, g->snd_una), len;
	uint32_t limit = g->snd_una + 1;
	bool fin;

	if (g->marks)
		limit = g->high_mark;
	while (seq_lt(seq, limit)) {
		if (g->marks && g->marked[seq % GUEST_RING]) {
			seq++;
			continue;
		}
		for (len = 1; len < MIN(g->peer_mss, g->mss) &&
		     seq_lt(seq + len, guest_fin_seq(g)) &&
		     seq_lt(seq + len, g->snd_max) &&
		     !(g->marks && g->marked[(seq + len) % GUEST_RING]); len++)
			;
		fin = seq_lt(guest_fin_seq(g), g->snd_max);
		seq += MAX(guest_send_one(g, seq, len + fin), 1);
		g->rtx_next = seq;
	}
}

/* guest_acked() - Receive an ACK of new data */
static void guest_acked(struct guest *g, uint32_t ack, uint64_t now)
{
	uint32_t s;

	for (s = g->snd_una; s != ack; s++) {
		g->marks -= g->marked[s % GUEST_RING];
		g->marked[s % GUEST_RING] = 0;
	}
	g->snd_una = ack;
	g->snd_nxt = seq_max(g->snd_nxt, ack);
	g->high_mark = seq_max(g->high_mark, ack);
	g->dupacks = g->tries = 0;
	g->rto = GUEST_RTO;
	if (g->recovering && seq_le(g->recover, ack))
		g->recovering = false;
	g->deadline = GUEST_NEVER;
	if (g->snd_una != g->snd_max)
		guest_arm(g, now);
}

/* guest_edge() - Check that the right edge of the window that the other end
 * offers does not move back (RFC 9293 3.8.6) */
static void guest_edge(struct guest *g, const struct tcp_seg *seg)
{
	uint32_t edge = seg->ack + ((uint32_t)seg->wnd << g->snd_shift);

	if (seq_lt(seg->ack, g->their_ack))
		return;				/* an older ACK that is late */
	if (g->their_ack != seg->ack && seq_lt(edge, g->their_edge))
		guest_wrong(g, "the window shrank");
	g->their_ack = seg->ack;
	g->their_edge = seq_max(g->their_edge, edge);
}

static void guest_ack(struct guest *g, const struct tcp_seg *seg, uint64_t now)
{
	uint32_t wnd = (uint32_t)seg->wnd << g->snd_shift, old = g->snd_wnd;

	if (seq_lt(g->snd_max, seg->ack)) {
		guest_wrong(g, "an ACK of what was never sent");
		return;
	}
	guest_edge(g, seg);
	if (seq_lt(seg->ack, g->snd_una))
		return;
	/* The first condition is not in RFC 9293, but in Linux. Without it, the
	 * window of a retransmission with a new ACK would be ignored, because
	 * the sequence number is old. */
	if (seq_lt(g->snd_una, seg->ack) || seq_lt(g->snd_wl1, seg->seq) ||
	    (seg->seq == g->snd_wl1 && seq_le(g->snd_wl2, seg->ack))) {
		g->snd_wnd = wnd;
		g->snd_wl1 = seg->seq;
		g->snd_wl2 = seg->ack;
	}
	guest_mark(g, seg);
	if (seq_lt(g->snd_una, seg->ack))
		guest_acked(g, seg->ack, now);
	else if (g->snd_una != g->snd_max && !seg->len && wnd == old)
		g->dupacks++;

	if (!g->recovering && g->snd_una != g->snd_max &&
	    (g->dupacks >= 3 || g->marks > 3U * g->mss)) {
		g->recovering = true;
		g->recover = g->snd_max;
		g->rtx_next = g->snd_una;
	}
	if (g->recovering)
		guest_fill(g);
	if (g->snd_wnd && !old)
		g->snd_nxt = g->snd_una;	/* resend the probe's byte */
	guest_pump(g, now);
}

/* guest_advance() - Make the data that is in order now available to the
 * application; after the last byte, accept FIN */
static void guest_advance(struct guest *g)
{
	uint32_t before = g->rcv_nxt;

	while (g->have[g->rcv_nxt % GUEST_RING]) {
		g->have[g->rcv_nxt % GUEST_RING] = 0;
		g->rcv_nxt++;
		g->ooo--;
	}
	g->unread += g->rcv_nxt - before;
	if (g->fin_seen && g->rcv_nxt == g->fin_at && !g->rx_fin) {
		g->rx_fin = true;
		g->rcv_nxt++;
		g->edge = seq_max(g->edge, g->rcv_nxt);
	}
}

/* guest_data() - Check and record each byte of a payload */
static void guest_data(struct guest *g, const struct tcp_seg *seg,
		       const uint8_t *data)
{
	uint32_t i, s, end = seg->seq + seg->len;

	if (seq_lt(g->edge, end) || end - g->irs - 1 > g->rx_total)
		guest_wrong(g, "data beyond window or end");
	for (i = 0; i < seg->len; i++) {
		s = seg->seq + i;
		if (data[i] != stream_byte(g->pport, s - g->irs - 1))
			guest_wrong(g, "a byte is not what was sent");
		if (seq_lt(s, g->rcv_nxt) || g->have[s % GUEST_RING]) {
			g->bytes_again++;
		} else if (seq_lt(s, g->edge)) {
			g->have[s % GUEST_RING] = 1;
			g->ooo++;
			g->last_ooo = s;
		}
	}
}

static void guest_fin(struct guest *g, const struct tcp_seg *seg)
{
	uint32_t at = seg->seq + seg->len;

	if (g->fin_seen && g->fin_at != at)
		guest_wrong(g, "FIN moved");
	if (at - g->irs - 1 != g->rx_total)
		guest_wrong(g, "FIN before the end");
	g->fin_seen = true;
	g->fin_at = at;
}

/* guest_payload() - Receive a segment with data or FIN */
static void guest_payload(struct guest *g, const struct tcp_seg *seg,
			  const uint8_t *data, uint64_t now)
{
	bool inorder = seg->seq == g->rcv_nxt && !g->ooo;

	guest_data(g, seg, data);
	if (seg->flags & SEG_FIN)
		guest_fin(g, seg);
	guest_advance(g);
	guest_read(g);
	if (inorder && g->delay && !g->unacked && !g->rx_fin) {
		g->unacked++;
		g->ack_at = now + GUEST_DELAY;
		return;
	}
	guest_emit(g, SEG_ACK, g->snd_nxt, 0);
}

/**
 * guest_input() - Receive a segment
 * @g:		guest
 * @p:		segment
 * @hlen:	bytes of its header
 * @len:	bytes of payload
 * @now:	ms
 */
__attribute__((unused))
static void guest_input(struct guest *g, const uint8_t *p, size_t hlen,
			uint32_t len, uint64_t now)
{
	struct tcp_seg seg;

	if (!tcp_seg_parse(&seg, p, hlen, len) || hlen != (p[12] >> 4) * 4U) {
		guest_wrong(g, "an impossible segment");
		return;
	}
	if (seg.flags & SEG_RST) {
		g->state = GUEST_RESET;
		g->deadline = g->ack_at = GUEST_NEVER;
		return;
	}
	if (seg.flags & SEG_SYN) {
		guest_syn(g, &seg, now);
		return;
	}
	if (g->state == GUEST_SYN_RCVD && seg.ack == g->iss + 1)
		guest_established(g);
	if (g->state != GUEST_OPEN)
		return;
	if (!(seg.flags & SEG_ACK)) {
		guest_wrong(g, "a segment without ACK");
		return;
	}
	/* An empty segment with an old sequence number is a late ACK or a
	 * probe. A probe has the sequence number RCV.NXT - 1, and is
	 * answered. */
	if (!seg.len && !(seg.flags & SEG_FIN) && seq_lt(seg.seq, g->rcv_nxt)) {
		if (seg.seq == g->rcv_nxt - 1)
			guest_emit(g, SEG_ACK, g->snd_nxt, 0);
		if (seq_le(g->snd_una, seg.ack))
			guest_ack(g, &seg, now);
		return;
	}
	guest_ack(g, &seg, now);
	if (seg.len || seg.flags & SEG_FIN)
		guest_payload(g, &seg, p + hlen, now);
}

/* guest_probe() - Send one byte into a closed window */
static void guest_probe(struct guest *g)
{
	uint32_t n = guest_send_one(g, g->snd_una, 1);

	g->snd_nxt = g->snd_una + n;
	g->snd_max = seq_max(g->snd_max, g->snd_nxt);
}

/**
 * guest_timer() - Send the delayed ACK or the retransmission that is due.
 * Nothing is due before the time that guest_next() returns
 * @g:		guest
 * @now:	ms
 */
__attribute__((unused))
static void guest_timer(struct guest *g, uint64_t now)
{
	if (now >= g->ack_at)
		guest_emit(g, SEG_ACK, g->snd_nxt, 0);
	if (now < g->deadline)
		return;

	g->tries = g->state == GUEST_OPEN && !g->snd_wnd ? 0 : g->tries + 1;
	if (g->tries > GUEST_TRIES)
		guest_wrong(g, "the guest gave up after too many tries");
	g->rto = MIN(2 * g->rto, GUEST_RTO_MAX);
	guest_arm(g, now);
	if (g->state == GUEST_SYN_SENT) {
		guest_emit(g, SEG_SYN, g->iss, 0);
		return;
	}
	if (g->state == GUEST_SYN_RCVD) {
		guest_emit(g, SEG_SYN | SEG_ACK, g->iss, 0);
		return;
	}
	g->recovering = false;
	g->dupacks = 0;
	memset(g->marked, 0, sizeof(g->marked));
	g->marks = 0;
	g->snd_nxt = g->snd_una;
	if (g->snd_wnd)
		guest_pump(g, now);
	else
		guest_probe(g);
}

/* guest_next() - Get the time when guest_timer() has something to do, ms */
__attribute__((unused))
static uint64_t guest_next(const struct guest *g)
{
	return MIN(g->deadline, g->ack_at);
}

#endif /* TEST_UNIT_GUEST_H */
