// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conn_rx.c - The half-pipe from the guest: which segments are acceptable,
 * what of them is new, and the window it is told (RFC 9293 3.10.7.4).
 * Called by tcp.c; calls the other files of the connection.
 */
#include <string.h>

#include "tcp/conn_priv.h"
#include "tcp/seq.h"
#include "util.h"

/* next_expected() - Sequence number that the guest's next new byte has */
static uint32_t next_expected(const struct tcp_conn *c)
{
	return c->rcv_nxt + c->rcv_queued + (c->fin_queued && !c->fin_rcvd);
}

/* seg_end() - Sequence number after a segment */
static uint32_t seg_end(const struct tcp_seg *seg)
{
	return seg->seq + seg->len + !!(seg->flags & SEG_SYN) +
	       !!(seg->flags & SEG_FIN);
}

/**
 * is_acceptable() - Whether a segment touches the window (RFC 9293 3.10.7.4)
 * @c:		connection
 * @seg:	segment
 *
 * The window begins at what was acknowledged: what is queued and comes again
 * has an ACK and a window that count. At its right edge an empty segment is
 * acceptable, too: that is where a guest stands that has used it up.
 */
static bool is_acceptable(const struct tcp_conn *c, const struct tcp_seg *seg)
{
	uint32_t end = seg_end(seg);

	if (!seq_le(seg->seq, c->rcv_adv))
		return false;
	return end == seg->seq ? seq_le(c->rcv_nxt, end) :
				 seq_lt(c->rcv_nxt, end);
}

/* is_keepalive_probe() - A probe: the byte before the next, or none (RFC 9293 3.8.4) */
static bool is_keepalive_probe(const struct tcp_conn *c, const struct tcp_seg *seg)
{
	return seg->seq == c->rcv_nxt - 1 && seg->len <= 1 &&
	       !(seg->flags & (SEG_FIN | SEG_SYN | SEG_RST));
}

/* segment_rst() - RFC 5961 3.2: only an exact one is believed */
static void segment_rst(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (seg->seq == c->rcv_nxt || seg->seq == next_expected(c))
		conn_guest_reset(c);
	else if (seq_lt(c->rcv_nxt, seg->seq) && seq_lt(seg->seq, c->rcv_adv))
		c->actions |= CONN_DO_CHALLENGE;
}

/**
 * segment_syn() - A SYN where none is expected (RFC 5961 4.2)
 * @c:		connection in CONN_SYN_ACKED or CONN_OPEN
 * @seg:	segment with SYN
 *
 * The guest's own SYN again means that our SYN-ACK was lost; with an ACK, that
 * both sides asked at once and the guest has heard (RFC 9293 3.5, figure 8).
 * Any other gets an ACK: a guest that was restarted answers it with RST, and
 * asks again.
 */
static void segment_syn(struct tcp_conn *c, const struct tcp_seg *seg,
			uint64_t now)
{
	if (c->phase != CONN_SYN_ACKED || seg->seq != c->rcv_nxt - 1) {
		c->actions |= CONN_DO_CHALLENGE;
	} else if (!(seg->flags & SEG_ACK)) {
		c->actions |= CONN_DO_SYN;
	} else if (seg->ack == c->snd_nxt) {
		conn_handshake_done(c, now);
		c->actions |= CONN_DO_ACK;
	} else {
		c->actions |= CONN_DO_REFUSE;
	}
}

/**
 * segment_ack() - The ACK field, before anything else is believed
 * @c:		connection
 * @seg:	acceptable segment with ACK
 * @now:	ms
 *
 * Return: whether the rest of the segment counts
 */
static bool segment_ack(struct tcp_conn *c, const struct tcp_seg *seg,
			uint64_t now)
{
	if (c->phase == CONN_SYN_ACKED) {
		if (seg->ack != c->snd_nxt) {
			c->actions |= CONN_DO_REFUSE;
			return false;
		}
		conn_handshake_done(c, now);
	}
	/* RFC 5961 5.2; snd_nxt goes back after a timeout, snd_max does not. */
	if (seq_lt(c->snd_max, seg->ack) ||
	    seq_lt(seg->ack, c->snd_una - c->wnd_max)) {
		c->actions |= CONN_DO_CHALLENGE;
		return false;
	}
	conn_process_ack(c, seg, now);
	return true;
}

/**
 * segment_data() - The payload, if any of it is new (T5)
 * @c:		connection
 * @seg:	acceptable segment
 *
 * Return: which part of it goes to the socket, or is to be kept
 */
static struct new_payload segment_data(struct tcp_conn *c,
				    const struct tcp_seg *seg)
{
	uint32_t nxt = next_expected(c), start = seq_max(nxt, seg->seq);
	uint32_t end = seg->seq + seg->len;
	struct new_payload new = { 0 };

	if (!seg->len || c->fin_queued)
		return new;

	c->rcv_mss = MAX(c->rcv_mss, seg->len);
	new.ooo = seq_lt(nxt, start);
	c->actions |= new.ooo ? CONN_DO_DUP_ACK : CONN_DO_ACK;
	if (seq_lt(c->rcv_adv, end))
		end = c->rcv_adv;
	if (c->fin_seen && seq_lt(c->guest_fin_seq, end))
		end = c->guest_fin_seq;
	if (!seq_lt(start, end)) {
		if (c->rcv_queued && !c->stall_at)
			c->stall_at = c->heard_at + TCP_STALL;
		return new;
	}

	new.seq = start;
	new.skip = start - seg->seq;
	new.len = end - start;
	if (!new.ooo)
		c->rcv_queued += new.len;
	return new;
}

/* check_guest_fin() - FIN counts once all data before it was accepted (T10) */
static void check_guest_fin(struct tcp_conn *c)
{
	if (!c->fin_seen || c->fin_queued || next_expected(c) != c->guest_fin_seq)
		return;

	c->fin_queued = true;
	c->ooo.n = 0;
	if (!c->rcv_queued)
		conn_guest_fin(c);
}

/* segment_fin() - FIN, maybe ahead of a gap, maybe once more */
static void segment_fin(struct tcp_conn *c, const struct tcp_seg *seg)
{
	c->actions |= CONN_DO_ACK;
	if (c->fin_seen || seq_lt(c->rcv_adv, seg->seq + seg->len))
		return;
	c->fin_seen = true;
	c->guest_fin_seq = seg->seq + seg->len;
	check_guest_fin(c);
}

/* segment_open() - RFC 9293 3.10.7.4, in its order */
static struct new_payload segment_open(struct tcp_conn *c,
				    const struct tcp_seg *seg, uint64_t now)
{
	struct new_payload new = { 0 };

	if (seg->flags & SEG_RST) {
		segment_rst(c, seg);
		return new;
	}
	if (seg->flags & SEG_SYN) {
		segment_syn(c, seg, now);
		return new;
	}
	if (!is_acceptable(c, seg)) {
		c->actions |= CONN_DO_ACK;
		if (is_keepalive_probe(c, seg))
			c->actions |= CONN_DO_KEEPALIVE;
		return new;
	}
	if (!(seg->flags & SEG_ACK) || !segment_ack(c, seg, now))
		return new;

	new = segment_data(c, seg);
	if (seg->flags & SEG_FIN)
		segment_fin(c, seg);
	conn_check_done(c, now);
	return new;
}

/* segment_connecting() - The guest can only give up, or ask again */
static void segment_connecting(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (seg->flags & SEG_RST && seg->seq == c->rcv_nxt)
		conn_guest_reset(c);
}

/* segment_time_wait() - RFC 9293 3.10.7.4, TIME-WAIT: acknowledge FIN again */
static void segment_time_wait(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (seg->flags & SEG_RST)
		segment_rst(c, seg);
	else if (seg->flags & (SEG_SYN | SEG_FIN) || seg->len)
		c->actions |= CONN_DO_ACK;
}

/**
 * conn_segment() - A segment of the guest came
 * @c:		connection
 * @seg:	segment
 * @now:	ms
 *
 * Return: the part of the payload that is to go to the socket; once it was
 *	   tried, conn_delivered() says how much went
 */
struct new_payload conn_segment(struct tcp_conn *c, const struct tcp_seg *seg,
			     uint64_t now)
{
	c->heard_at = now;

	switch (c->phase) {
	case CONN_CONNECTING:
		segment_connecting(c, seg);
		break;
	case CONN_SYN_SENT:
		conn_segment_syn_sent(c, seg, now);
		break;
	case CONN_SYN_ACKED:
	case CONN_OPEN:
		return segment_open(c, seg, now);
	case CONN_TIME_WAIT:
		segment_time_wait(c, seg);
		break;
	case CONN_CLOSED:
		break;
	}
	return (struct new_payload){ 0 };
}

/* queue_ooo() - What came ahead of a gap that is filled now joins the queue */
static void queue_ooo(struct tcp_conn *c)
{
	struct tcp_range r;

	if (!c->ooo.n || c->ooo.r[0].from != c->rcv_nxt)
		return;

	r = c->ooo.r[0];
	ranges_trim(&c->ooo, r.end);
	c->rcv_queued = r.end - r.from;
}

/**
 * conn_delivered() - The socket took bytes, which may now be acknowledged (T5)
 * @c:		connection
 * @taken:	bytes, at most @rcv_queued
 * @now:	ms
 *
 * If @rcv_queued is not zero afterwards, there is more to be tried: it was not
 * taken, or kept before and its turn has come.
 */
void conn_delivered(struct tcp_conn *c, uint32_t taken, uint64_t now)
{
	c->rcv_nxt += taken;
	c->rcv_queued -= taken;
	if (taken) {
		c->actions |= CONN_DO_ACK;
		c->stall_at = 0;
	}
	ranges_trim(&c->ooo, c->rcv_nxt + c->rcv_queued);
	if (c->rcv_queued)
		return;

	queue_ooo(c);
	check_guest_fin(c);
	if (!c->rcv_queued && c->fin_queued && !c->fin_rcvd)
		conn_guest_fin(c);
	conn_check_done(c, now);
}

/**
 * conn_drop_backlog() - What was accepted and not taken could not be kept
 * @c:		connection; the guest will send it again, maybe for long
 */
void conn_drop_backlog(struct tcp_conn *c)
{
	if (!c->stall_at)
		c->stall_at = c->heard_at + TCP_STALL;
	c->rcv_queued = 0;
	c->ooo.n = 0;
	c->fin_queued = c->fin_rcvd;
	c->fin_seen = c->fin_rcvd;
}

/**
 * conn_ooo_stored() - What came ahead of a gap was kept
 * @c:		connection
 * @seq:	sequence number of the first byte
 * @len:	bytes
 */
void conn_ooo_stored(struct tcp_conn *c, uint32_t seq, uint32_t len)
{
	if (!ranges_add(&c->ooo, seq, seq + len))
		return;
	memmove(&c->ooo_recent[1], &c->ooo_recent[0],
		sizeof(c->ooo_recent) - sizeof(c->ooo_recent[0]));
	c->ooo_recent[0] = seq;
}

/* add_sack_block() - The stretch that @seq is in, unless it is listed already */
static unsigned int add_sack_block(const struct tcp_ranges *rs, uint32_t seq,
			      struct tcp_range *block, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (seq_le(block[i].from, seq) && seq_lt(seq, block[i].end))
			return n;
	}
	for (i = 0; i < rs->n && n < TCP_SACK_BLOCKS; i++) {
		if (seq_le(rs->r[i].from, seq) && seq_lt(seq, rs->r[i].end))
			block[n++] = rs->r[i];
	}
	return n;
}

/**
 * conn_sack_blocks() - SACK blocks for an ACK (RFC 2018 4)
 * @c:		connection
 * @block:	filled: what came last first, then what was reported last
 *
 * Return: number of blocks
 */
unsigned int conn_sack_blocks(const struct tcp_conn *c,
			struct tcp_range block[TCP_SACK_BLOCKS])
{
	unsigned int i, n = 0;

	if (!c->sack_ok || !c->ooo.n)
		return 0;
	for (i = 0; i < TCP_SACK_BLOCKS; i++)
		n = add_sack_block(&c->ooo, c->ooo_recent[i], block, n);
	for (i = 0; i < c->ooo.n; i++)
		n = add_sack_block(&c->ooo, c->ooo.r[i].from, block, n);
	return n;
}

/**
 * conn_wants_space() - Whether to ask the socket what it can take
 * @c:		connection
 *
 * Not while most of what it was last told is left: a system call for each
 * small message would tell nothing.
 */
bool conn_wants_space(const struct tcp_conn *c)
{
	return (c->phase == CONN_OPEN || c->phase == CONN_SYN_ACKED) &&
	       !c->fin_rcvd &&
	       c->rcv_adv - c->rcv_nxt < c->rcv_wnd - c->rcv_wnd / 8;
}

/**
 * conn_set_space() - What the socket can new beyond what is queued (T6)
 * @c:		connection
 * @space:	bytes
 * @limit:	bytes that are worth having on the way
 *
 * The right edge never moves back (RFC 9293 3.8.6). A window that more than
 * doubles is worth an ACK of its own: the guest may be waiting for it.
 *
 * What was forgotten can be sent again once there is space, and the guest may
 * be waiting to hear that, see conn_window_field().
 *
 * Two segments of the guest are always welcome, unless some wait already: with
 * an MSS of 64 kB and a socket that has room for less, the guest would wait
 * for a better offer until its timer tells it to stop (RFC 9293 3.8.6.2.1).
 */
void conn_set_space(struct tcp_conn *c, uint32_t space, uint32_t limit)
{
	uint32_t most = MIN((uint32_t)UINT16_MAX << c->rcv_wscale, limit);
	uint32_t least = c->rcv_queued ? 0 : 2 * c->rcv_mss;
	uint32_t wnd = MIN(c->rcv_queued + MAX(space, least), most);
	uint32_t old = c->rcv_adv - c->rcv_nxt;

	c->rcv_wnd = wnd;
	if (space && c->stall_at) {
		c->stall_at = 0;
		c->actions |= CONN_DO_ACK;
	}
	if (c->fin_rcvd || wnd <= old)
		return;
	c->rcv_adv = c->rcv_nxt + wnd;
	if (c->phase == CONN_OPEN && old < wnd / 2)
		c->actions |= CONN_DO_ACK;
}

/**
 * conn_window_field() - The window field for a segment that is about to be sent
 * @c:		connection
 * @syn:	it goes into a SYN, where it is not scaled (RFC 7323 2.2)
 *
 * Rounding down to the scale would move the right edge back; rounding up gives
 * away less than 256 bytes more.
 *
 * A guest whose data waits for the socket that long sends it again and again,
 * and would give up after a while, its window being open. It must not: the peer
 * is slow, not gone. Told that the window is closed it asks for ever (RFC 9293
 * 3.8.6.1). That takes back what was offered, which RFC 9293 3.8.6 discourages
 * and every sender has to survive (MUST-34): so it is the last resort.
 *
 * Return: field, host order
 */
uint16_t conn_window_field(struct tcp_conn *c, bool syn)
{
	uint32_t wnd = c->rcv_adv - c->rcv_nxt, field;

	if (c->stall_at && c->heard_at >= c->stall_at)
		return 0;
	if (syn)
		return (uint16_t)MIN(wnd, UINT16_MAX);

	field = (wnd + (1U << c->rcv_wscale) - 1) >> c->rcv_wscale;
	field = MIN(field, UINT16_MAX);
	c->rcv_adv = seq_max(c->rcv_adv,
			     c->rcv_nxt + (field << c->rcv_wscale));
	return (uint16_t)field;
}

/**
 * conn_ack_can_wait() - Whether an ACK that is owed may go with data
 * @c:		connection with CONN_DO_ACK
 * @now:	ms
 *
 * RFC 9293 3.8.6.3: for less than two full segments. As Linux does, only where
 * the guest's data was answered by data the last time: a guest that waits for
 * the ACK with more data to send (RFC 896) would wait in vain. The first time
 * it is worth a short wait to see which it is. The ACK of the guest's FIN, after
 * ours, is one that nobody waits for.
 *
 * Return: true: not now, @ack_due says till when
 */
bool conn_ack_can_wait(struct tcp_conn *c, uint64_t now)
{
	uint32_t unacked = c->rcv_nxt - c->rcv_acked;

	if (!c->ack_delay || !unacked)
		return false;
	if (c->phase != CONN_TIME_WAIT &&
	    (unacked >= c->mss || c->ooo.n || c->fin_rcvd ||
	     c->phase != CONN_OPEN || c->rcv_adv - c->rcv_nxt < c->rcv_wnd / 2))
		return false;
	if (!c->ack_due)
		c->ack_due = now + c->ack_delay;
	return now < c->ack_due;
}

/**
 * conn_ack_sent() - A segment with all that is to be acknowledged was sent
 * @c:		connection
 * @with_data:	it would have been sent anyway
 */
void conn_ack_sent(struct tcp_conn *c, bool with_data)
{
	if (c->actions & CONN_DO_ACK && c->rcv_acked != c->rcv_nxt)
		c->ack_delay = with_data ? TCP_ACK_DELAY : 0;
	c->actions &= ~(uint32_t)CONN_DO_ACK;
	c->rcv_acked = c->rcv_nxt;
	c->ack_due = 0;
}
