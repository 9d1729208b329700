/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * mini.h - The smallest TCP that is honest (RFC 9293), as the guest of
 * conn_model.c. Unlike the one in guest.h, it has no clock, and its state has
 * few bytes, so that many states can be stored. It has no congestion control
 * and no fast retransmit, and it acknowledges each segment with data at once.
 * Its application closes after some of MINI_DATA bytes, and reads everything or
 * nothing. mini_wrong() is called if the other end breaks the rules.
 */
#ifndef TEST_UNIT_MINI_H
#define TEST_UNIT_MINI_H

#include <string.h>

#include "tcp/segment.h"
#include "tcp/seq.h"
#include "util.h"

#define MINI_MSS	48u		/* bytes, TCP_MSS_MIN */
#define MINI_DATA	(5 * MINI_MSS)	/* limit for bytes of a stream */

/* Initial sequence numbers of the guest and of passt. The numbers wrap in the
 * first segment of the guest, and in the second of passt. */
#define MINI_ISS	(UINT32_MAX - 32)
#define MINI_IRS	(UINT32_MAX - 80)

enum mini_state { MINI_CLOSED, MINI_LISTEN, MINI_SYN_SENT, MINI_SYN_RCVD,
		  MINI_OPEN, MINI_TIME_WAIT };

/**
 * struct mini - A guest with one connection
 *
 * Members with names of RFC 9293 3.3.1 are not listed.
 *
 * @sack:	the guest knows SACK
 * @byte_probes: the guest probes a closed window by a byte of data (RFC 9293
 *		3.8.6.1), not by an empty segment, as Linux does
 * @rcvbuf:	size of the receive buffer, bytes
 * @sack_ok:	both ends know SACK
 * @fin:	the application has closed; FIN comes after @written bytes
 * @passive:	the other end's FIN came before the guest sent its FIN
 * @rx_fin:	all data and FIN of the other end have come
 * @fin_seen, @fin_at: FIN has come, perhaps after a gap, and its sequence
 *		number
 * @written:	bytes that the application has written in all
 * @unread:	bytes in order that it has not read
 * @have:	for each byte of the other end's stream: it has come
 */
struct mini {
	enum mini_state state;
	bool sack, byte_probes, sack_ok, fin, passive, rx_fin, fin_seen;
	uint32_t written, snd_una, snd_nxt, snd_max, snd_wnd, snd_wl1, snd_wl2;
	uint32_t rcvbuf, rcv_nxt, unread, fin_at;
	uint8_t have[MINI_DATA / 8];
};

/* Functions that the test defines. mini_ends() is called before the guest
 * enters MINI_TIME_WAIT, or MINI_CLOSED. */
static void mini_out(const struct tcp_seg *seg);
static void mini_wrong(const char *what);
static void mini_ends(const struct mini *g, bool reset);

/* mini_fin_seq() - Get the sequence number of the guest's FIN */
static uint32_t mini_fin_seq(const struct mini *g)
{
	return MINI_ISS + 1 + g->written;
}

/* mini_end() - Get the sequence number after all that the guest may send */
static uint32_t mini_end(const struct mini *g)
{
	return mini_fin_seq(g) + g->fin;
}

/* mini_edge() - Get the right edge of the window that the guest offers */
static uint32_t mini_edge(const struct mini *g)
{
	return g->rcv_nxt + g->rcvbuf - g->unread;
}

/* mini_has() - Whether the byte with a sequence number has come */
static bool mini_has(const struct mini *g, uint32_t seq)
{
	uint32_t at = seq - MINI_IRS - 1;

	return at < MINI_DATA && g->have[at / 8] & 1 << at % 8;
}

/* mini_blocks() - Write SACK blocks; return their number */
static uint8_t mini_blocks(const struct mini *g, struct tcp_range *block)
{
	uint32_t s = g->rcv_nxt, end = MINI_IRS + 1 + MINI_DATA;
	uint8_t n = 0;

	if (!g->sack_ok)
		return 0;
	while (seq_lt(s, end) && n < TCP_SACK_BLOCKS) {
		for (; seq_lt(s, end) && !mini_has(g, s); s++)
			;
		block[n].from = s;
		for (; seq_lt(s, end) && mini_has(g, s); s++)
			;
		block[n].end = s;
		n += s != block[n].from;
	}
	return n;
}

/* mini_emit() - Send a segment; @flags: SEG_* */
static void mini_emit(struct mini *g, uint8_t flags, uint32_t seq, uint32_t len)
{
	struct tcp_seg seg = {
		.seq = seq, .flags = flags, .len = len, .wscale = -1,
		.wnd = (uint16_t)(g->rcvbuf - g->unread),
	};

	if (flags & SEG_SYN) {
		seg.mss = MINI_MSS;
		seg.sack_ok = flags & SEG_ACK ? g->sack_ok : g->sack;
	}
	if (flags & SEG_ACK)
		seg.ack = g->rcv_nxt;
	if (flags == SEG_ACK && !len)
		seg.nsack = mini_blocks(g, seg.sack);
	mini_out(&seg);
}

static void mini_ack(struct mini *g)
{
	mini_emit(g, SEG_ACK, g->snd_nxt, 0);
}

/* mini_refuse() - Answer a segment by RST (RFC 9293 3.10.7.1) */
static void mini_refuse(const struct tcp_seg *in)
{
	struct tcp_seg rst = { .flags = SEG_RST, .wscale = -1 };

	if (in->flags & SEG_RST)
		return;
	if (in->flags & SEG_ACK) {
		rst.seq = in->ack;
	} else {
		rst.flags |= SEG_ACK;
		rst.ack = tcp_seg_end(in);
	}
	mini_out(&rst);
}

/* mini_close() - Enter MINI_CLOSED, and forget the connection */
static void mini_close(struct mini *g, bool reset)
{
	mini_ends(g, reset);
	*g = (struct mini){
		.sack = g->sack, .byte_probes = g->byte_probes,
		.rcvbuf = g->rcvbuf,
	};
}

/* mini_pump() - Send what the window allows: whole segments, and a shorter one
 * only if it is the last, or nothing is in flight */
static void mini_pump(struct mini *g)
{
	uint32_t space, left, len;
	bool fin;

	while (g->state == MINI_OPEN && seq_lt(g->snd_nxt, mini_end(g)) &&
	       seq_lt(g->snd_nxt, g->snd_una + g->snd_wnd)) {
		space = g->snd_una + g->snd_wnd - g->snd_nxt;
		left = mini_fin_seq(g) - g->snd_nxt;
		len = MIN(MIN(left, space), MINI_MSS);
		if (len < MINI_MSS && len < left && g->snd_nxt != g->snd_una)
			return;
		fin = g->fin && len == left && space > len;
		if (!len && !fin)
			return;
		mini_emit(g, SEG_ACK | (fin ? SEG_FIN : 0), g->snd_nxt, len);
		if (fin && seq_lt(g->snd_max, mini_end(g)))
			g->passive = g->rx_fin;
		g->snd_nxt += len + fin;
		g->snd_max = seq_max(g->snd_max, g->snd_nxt);
	}
}

/* mini_open() - Send SYN if @connects, else wait for SYN */
static void mini_open(struct mini *g, bool connects)
{
	g->state = MINI_LISTEN;
	g->snd_una = g->snd_nxt = g->snd_max = MINI_ISS;
	if (!connects)
		return;
	g->state = MINI_SYN_SENT;
	g->snd_nxt = g->snd_max = MINI_ISS + 1;
	mini_emit(g, SEG_SYN, MINI_ISS, 0);
}

/* mini_take_syn() - Record what the other end's SYN says */
static void mini_take_syn(struct mini *g, const struct tcp_seg *seg)
{
	g->rcv_nxt = seg->seq + 1;
	g->sack_ok = g->sack && seg->sack_ok;
	g->snd_wnd = seg->wnd;
	g->snd_wl1 = seg->seq;
	g->snd_wl2 = seg->ack;
	if (seg->seq != MINI_IRS || seg->mss < MINI_MSS || seg->wscale > 8)
		mini_wrong("a wrong SYN");
}

/* mini_unopened() - Receive a segment in MINI_LISTEN or MINI_SYN_SENT (RFC 9293
 * 3.10.7.2 and 3.10.7.3) */
static void mini_unopened(struct mini *g, const struct tcp_seg *seg)
{
	bool ack = seg->flags & SEG_ACK, syn = seg->flags & SEG_SYN;
	bool sent = g->state == MINI_SYN_SENT;

	if (seg->flags & SEG_RST) {
		if (sent && ack && seg->ack == g->snd_nxt)
			mini_close(g, true);
	} else if (ack && (!sent || seg->ack != g->snd_nxt)) {
		mini_refuse(seg);
	} else if (syn && ack) {
		mini_take_syn(g, seg);
		g->snd_una = seg->ack;
		g->state = MINI_OPEN;
		mini_ack(g);
	} else if (syn) {
		mini_take_syn(g, seg);
		g->state = MINI_SYN_RCVD;
		g->snd_nxt = g->snd_max = MINI_ISS + 1;
		mini_emit(g, SEG_SYN | SEG_ACK, MINI_ISS, 0);
	}
}

/* mini_acceptable() - Whether a segment is in the window (RFC 9293 3.10.7.4) */
static bool mini_acceptable(const struct mini *g, const struct tcp_seg *seg)
{
	uint32_t end = tcp_seg_end(seg), edge = mini_edge(g);

	if (end == seg->seq)
		return seq_le(g->rcv_nxt, seg->seq) && seq_le(seg->seq, edge);
	return seq_lt(g->rcv_nxt, end) && seq_lt(seg->seq, edge);
}

/* mini_take_ack() - Process ACK and window; false if the segment has to be
 * ignored */
static bool mini_take_ack(struct mini *g, const struct tcp_seg *seg)
{
	uint32_t old = g->snd_wnd;
	unsigned int i;

	if (seq_lt(g->snd_max, seg->ack)) {
		mini_wrong("an ACK of what was never sent");
		return false;
	}
	if (seq_lt(seg->ack, g->snd_una))
		return true;
	for (i = 0; i < seg->nsack; i++) {
		if (!g->sack_ok || !seq_lt(seg->ack, seg->sack[i].from) ||
		    !seq_lt(seg->sack[i].from, seg->sack[i].end) ||
		    seq_lt(g->snd_max, seg->sack[i].end))
			mini_wrong("an impossible SACK block");
	}
	if (seq_lt(g->snd_una, seg->ack) || seq_lt(g->snd_wl1, seg->seq) ||
	    (seg->seq == g->snd_wl1 && seq_le(g->snd_wl2, seg->ack))) {
		g->snd_wnd = seg->wnd;
		g->snd_wl1 = seg->seq;
		g->snd_wl2 = seg->ack;
	}
	g->snd_una = seg->ack;
	g->snd_nxt = seq_max(g->snd_nxt, seg->ack);
	if (g->snd_wnd && !old)		/* send again what may be lost */
		g->snd_nxt = g->snd_una;
	return true;
}

/* mini_take_data() - Receive the payload and FIN of a segment. The bytes of the
 * payload were checked when passt sent them */
static void mini_take_data(struct mini *g, const struct tcp_seg *seg)
{
	uint32_t s = seg->seq, end = seg->seq + seg->len;

	if (seq_lt(mini_edge(g), end))
		mini_wrong("data beyond the window");
	for (; seq_lt(s, end) && s - MINI_IRS - 1 < MINI_DATA; s++)
		g->have[(s - MINI_IRS - 1) / 8] |=
			(uint8_t)(1 << (s - MINI_IRS - 1) % 8);
	if (seg->flags & SEG_FIN) {
		if (g->fin_seen && g->fin_at != end)
			mini_wrong("FIN moved");
		g->fin_seen = true;
		g->fin_at = end;
	}
	for (; !g->rx_fin && mini_has(g, g->rcv_nxt); g->rcv_nxt++)
		g->unread++;
	if (g->fin_seen && g->fin_at == g->rcv_nxt && !g->rx_fin) {
		g->rx_fin = true;
		g->rcv_nxt++;
	}
	mini_ack(g);
}

/* mini_done() - Whether the guest's data and FIN are acknowledged */
static bool mini_done(const struct mini *g)
{
	return g->fin && g->snd_una == mini_end(g);
}

/* mini_check_done() - After both FINs, end the connection */
static void mini_check_done(struct mini *g)
{
	if (!g->rx_fin || !mini_done(g))
		return;
	if (g->passive) {
		mini_close(g, false);
	} else {
		mini_ends(g, false);
		g->state = MINI_TIME_WAIT;
	}
}

/* mini_opened() - Receive a segment in MINI_SYN_RCVD or later (RFC 9293
 * 3.10.7.4, RFC 5961) */
static void mini_opened(struct mini *g, const struct tcp_seg *seg)
{
	bool again = g->state == MINI_SYN_RCVD && seg->seq + 1 == g->rcv_nxt;

	if (seg->flags & SEG_RST) {
		if (seg->seq == g->rcv_nxt)
			mini_close(g, true);
		else if (mini_acceptable(g, seg))
			mini_ack(g);
		return;
	}
	if (seg->flags & SEG_SYN && !(again && seg->flags & SEG_ACK)) {
		if (again)
			mini_emit(g, SEG_SYN | SEG_ACK, MINI_ISS, 0);
		else
			mini_ack(g);
		return;
	}
	if (!(seg->flags & SEG_SYN) && !mini_acceptable(g, seg)) {
		mini_ack(g);
		return;
	}
	if (g->state == MINI_SYN_RCVD) {
		if (seg->ack != g->snd_nxt) {
			mini_refuse(seg);
			return;
		}
		g->state = MINI_OPEN;
	}
	if (!mini_take_ack(g, seg))
		return;
	if (seg->flags & SEG_SYN)
		mini_ack(g);		/* both ends opened (figure 8) */
	else if (seg->len || seg->flags & SEG_FIN)
		mini_take_data(g, seg);
	mini_pump(g);
	if (g->state == MINI_OPEN)
		mini_check_done(g);
}

/* mini_gets() - Receive a segment */
static void mini_gets(struct mini *g, const struct tcp_seg *seg)
{
	switch (g->state) {
	case MINI_CLOSED:
		mini_refuse(seg);
		break;
	case MINI_LISTEN:
	case MINI_SYN_SENT:
		mini_unopened(g, seg);
		break;
	case MINI_SYN_RCVD:
	case MINI_OPEN:
	case MINI_TIME_WAIT:
		mini_opened(g, seg);
		break;
	}
}

/* mini_waits() - Whether the guest's retransmission timer runs */
static bool mini_waits(const struct mini *g)
{
	if (g->state == MINI_SYN_SENT || g->state == MINI_SYN_RCVD)
		return true;
	return g->state == MINI_OPEN && g->snd_una != mini_end(g);
}

/* mini_keepalive() - Send an empty segment below the window, to find out
 * whether the other end still exists */
static void mini_keepalive(struct mini *g)
{
	mini_emit(g, SEG_ACK, g->snd_una - 1, 0);
}

/* mini_probe() - Probe a window that is closed */
static void mini_probe(struct mini *g)
{
	if (!g->byte_probes || g->snd_una == mini_fin_seq(g)) {
		mini_keepalive(g);
		return;
	}
	mini_emit(g, SEG_ACK, g->snd_una, 1);
	g->snd_nxt = seq_max(g->snd_nxt, g->snd_una + 1);
	g->snd_max = seq_max(g->snd_max, g->snd_nxt);
}

/* mini_timeout() - Send again from the oldest byte on, or probe a window that
 * is closed */
static void mini_timeout(struct mini *g)
{
	if (g->state == MINI_SYN_SENT) {
		mini_emit(g, SEG_SYN, MINI_ISS, 0);
	} else if (g->state == MINI_SYN_RCVD) {
		mini_emit(g, SEG_SYN | SEG_ACK, MINI_ISS, 0);
	} else if (!g->snd_wnd) {
		mini_probe(g);
	} else {
		g->snd_nxt = g->snd_una;
		mini_pump(g);
	}
}

#endif /* TEST_UNIT_MINI_H */
