// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conn_rx.c - From the guest: decides which segments are acceptable, which
 * bytes of their payload are new, which window the guest is offered, and when
 * ACKs are sent (RFC 9293 3.10.7.4).
 */
#include <string.h>

#include "tcp/conn_priv.h"
#include "tcp/seq.h"
#include "util.h"

/* Return the sequence number of the next byte that is expected from the
 * guest. */
static uint32_t next_expected(const struct tcp_conn *c)
{
	return c->rcv_nxt + c->rcv_queued + (c->fin_queued && !c->fin_rcvd);
}

/*
 * Whether a segment is in the receive window (RFC 9293 3.10.7.4). The window
 * begins at @rcv_nxt, although bytes from there on may be accepted already and
 * wait for the socket. If the guest repeats such bytes, the segment is
 * acceptable, so its ACK and window are used. An empty segment may be at the
 * right edge of the window: it comes from a guest that has used its whole
 * window.
 */
static bool is_acceptable(const struct tcp_conn *c, const struct tcp_seg *seg)
{
	uint32_t end = tcp_seg_end(seg);

	if (!seq_le(seg->seq, c->rcv_adv))
		return false;
	return end == seg->seq ? seq_le(c->rcv_nxt, end) :
				 seq_lt(c->rcv_nxt, end);
}

/* Whether a segment is a keep-alive probe: it repeats the last byte that was
 * acknowledged, or has no data (RFC 9293 3.8.4). */
static bool is_keepalive_probe(const struct tcp_conn *c,
			       const struct tcp_seg *seg)
{
	return seg->seq == c->rcv_nxt - 1 && seg->len <= 1 &&
	       !(seg->flags & (SEG_FIN | SEG_SYN | SEG_RST));
}

/* Handle RST. Only an RST with the exact sequence number closes the connection,
 * because other hosts can forge an RST (RFC 5961 3.2). */
static void segment_rst(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (seg->seq == c->rcv_nxt || seg->seq == next_expected(c))
		conn_guest_reset(c);
	else if (seq_lt(c->rcv_nxt, seg->seq) && seq_lt(seg->seq, c->rcv_adv))
		c->actions |= CONN_DO_CHALLENGE;
}

/*
 * Handle a SYN in CONN_SYN_ACKED or CONN_OPEN (RFC 5961 4.2).
 *
 * If the guest repeats its SYN, our SYN-ACK was lost, and is sent again. If the
 * repeated SYN has an ACK, this is a simultaneous open, and the guest has
 * received our SYN (RFC 9293 3.5, figure 8). Any other SYN gets a challenge
 * ACK. If the guest was restarted, it answers the challenge ACK by RST, and
 * then sends SYN again.
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

/*
 * Check the ACK field of a segment, and process it, but not the payload.
 * Return: false if the rest of the segment must be ignored.
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
	/* This is the check of RFC 5961 5.2, but with snd_max in place of
	 * SND.NXT, because snd_nxt goes back after a timeout. */
	if (seq_lt(c->snd_max, seg->ack) ||
	    seq_lt(seg->ack, c->snd_una - c->wnd_max)) {
		c->actions |= CONN_DO_CHALLENGE;
		return false;
	}
	conn_process_ack(c, seg, now);
	return true;
}

/* Find the part of a segment's payload that is new, if there is one (T5). */
static struct new_payload segment_data(struct tcp_conn *c,
				       const struct tcp_seg *seg)
{
	uint32_t nxt = next_expected(c), start = seq_max(nxt, seg->seq);
	uint32_t end = seg->seq + seg->len;
	struct new_payload new = { 0 };

	if (!seg->len || c->fin_queued)
		return new;

	c->rcv_mss = MAX(c->rcv_mss, seg->gso_size ? seg->gso_size : seg->len);
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

/* Accept the guest's FIN, if all data before it was accepted (T10). */
static void check_guest_fin(struct tcp_conn *c)
{
	if (!c->fin_seen || c->fin_queued ||
	    next_expected(c) != c->guest_fin_seq)
		return;

	c->fin_queued = true;
	c->ooo.n = 0;
	if (!c->rcv_queued)
		conn_guest_fin(c);
}

/* Handle a segment with FIN. The FIN may come after a gap, or be a repetition
 * of an earlier FIN. */
static void segment_fin(struct tcp_conn *c, const struct tcp_seg *seg)
{
	c->actions |= CONN_DO_ACK;
	if (c->fin_seen || seq_lt(c->rcv_adv, seg->seq + seg->len))
		return;
	c->fin_seen = true;
	c->guest_fin_seq = seg->seq + seg->len;
	check_guest_fin(c);
}

/* Handle a segment in CONN_SYN_ACKED or CONN_OPEN: the checks of RFC 9293
 * 3.10.7.4, in the same order. */
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

/* Handle a segment in CONN_CONNECTING. The guest has no SYN-ACK yet, so it can
 * only send RST, or its SYN again, which is ignored. */
static void segment_connecting(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (seg->flags & SEG_RST && seg->seq == c->rcv_nxt)
		conn_guest_reset(c);
}

/* Handle a segment in CONN_TIME_WAIT: acknowledge the guest's FIN again (RFC
 * 9293 3.10.7.4). A guest that was told that the window is closed does not
 * repeat its FIN, but probes by an empty segment, which is not acceptable. */
static void segment_time_wait(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (seg->flags & SEG_RST)
		segment_rst(c, seg);
	else if (seg->flags & (SEG_SYN | SEG_FIN) || seg->len ||
		 !is_acceptable(c, seg))
		c->actions |= CONN_DO_ACK;
}

/**
 * conn_segment() - Handle a segment of the guest
 *
 * Return: the new part of the segment's payload. The caller stores this part,
 *	   or writes it to the socket, and then reports what it has done, see
 *	   struct new_payload
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

/* If the gap before the first out-of-order range was filled, add the range to
 * the bytes that wait for the socket. */
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
 * conn_delivered() - Acknowledge bytes of @rcv_queued, because the socket has
 * taken them (T5)
 * @len:	number of bytes; 0 if the socket took none
 *
 * If @rcv_queued is not 0 afterwards, there is more to write to the socket:
 * bytes that the socket did not take, or a range whose gap was just filled.
 */
void conn_delivered(struct tcp_conn *c, uint32_t len, uint64_t now)
{
	c->rcv_nxt += len;
	c->rcv_queued -= len;
	if (len) {
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
 * conn_drop_backlog() - Forget all bytes that are not acknowledged, because
 * there is no memory for those that the socket did not take
 * @c:		connection
 *
 * The guest sends the bytes again. If the socket takes none of them for
 * TCP_STALL ms, the guest is told that the window is closed.
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

/* conn_ooo_stored() - Record that out-of-order payload is in the receive
 * ring */
void conn_ooo_stored(struct tcp_conn *c, uint32_t seq, uint32_t len)
{
	if (!ranges_add(&c->ooo, seq, seq + len))
		return;
	memmove(&c->ooo_recent[1], &c->ooo_recent[0],
		sizeof(c->ooo_recent) - sizeof(c->ooo_recent[0]));
	c->ooo_recent[0] = seq;
}

/*
 * Append the range of @rs that contains @seq to @block, which has @n SACK
 * blocks, unless one of these contains @seq. Return: new number of blocks.
 */
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
 * conn_sack_blocks() - Make the SACK blocks of an ACK (RFC 2018 4)
 * @block:	filled; the ranges that grew last come first
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
 * conn_wants_space() - Whether the caller should ask the socket for its free
 * space
 *
 * While the guest has used little of the last window, the socket is not asked.
 * Asking would cost a system call for each small message of the guest, and
 * change the window by little.
 */
bool conn_wants_space(const struct tcp_conn *c)
{
	return (c->phase == CONN_OPEN || c->phase == CONN_SYN_ACKED) &&
	       !c->fin_rcvd &&
	       c->rcv_adv - c->rcv_nxt < c->rcv_wnd - c->rcv_wnd / 8;
}

/**
 * conn_set_space() - Set the window from the free space of the socket (T6)
 * @space:	bytes that the socket takes in addition to @rcv_queued
 * @limit:	largest window that may be offered, bytes
 *
 * The right edge never moves back (RFC 9293 3.8.6). The guest gets an ACK if
 * the window more than doubles, because the guest may be waiting for a larger
 * window. It also gets an ACK when the socket has space again after the guest
 * repeated data, because the window may have been closed meanwhile, see
 * conn_window_field().
 *
 * Unless bytes wait for the socket, the window has space for at least two
 * segments of the guest. With less space, a guest with an MSS of 64 kB would
 * wait until its timer lets it send a shorter segment (RFC 9293 3.8.6.2.1).
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
 * conn_window_field() - Make the window field of a segment that is about to be
 * sent
 * @syn:	the segment is a SYN, whose window is not scaled (RFC 7323 2.2)
 *
 * The window is rounded up to the scale, which adds less than 256 bytes.
 * Rounding down would move the right edge back.
 *
 * If the window is open, but the socket takes no data, the guest sends the same
 * data again and again, and would give up after some minutes, although the peer
 * is only slow. A guest that is told that the window is closed probes without
 * end instead (RFC 9293 3.8.6.1). But to close the window takes back what was
 * offered. RFC 9293 3.8.6 discourages that, although every sender has to
 * survive it (MUST-34). So the window is closed only after TCP_STALL ms.
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
 * conn_ack_can_wait() - Whether a pending ACK may wait for a segment with data
 * to carry it
 * @c:		connection with CONN_DO_ACK
 *
 * RFC 9293 3.8.6.3 lets an ACK wait if it is for less than two full segments.
 * passt lets it wait only if it is for less than one segment, and if the
 * guest's last data was answered by data, as Linux does. Any other ACK is sent
 * at once, because a guest that has more to send may be waiting for it (RFC
 * 896). The first ACK of a connection waits TCP_ACK_FIRST ms, to see whether
 * data answers. If the guest's FIN came after ours, the ACK of the guest's FIN
 * may wait, too, because the guest sends nothing more.
 *
 * Return: true if the ACK must not be sent before @ack_due
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
 * conn_ack_sent() - Note that a segment with the current acknowledgement
 * number, @rcv_nxt, was sent
 * @with_data:	the segment had data and was not sent for the ACK alone
 */
void conn_ack_sent(struct tcp_conn *c, bool with_data)
{
	if (c->actions & CONN_DO_ACK && c->rcv_acked != c->rcv_nxt)
		c->ack_delay = with_data ? TCP_ACK_DELAY : 0;
	c->actions &= ~(uint32_t)CONN_DO_ACK;
	c->rcv_acked = c->rcv_nxt;
	c->ack_due = 0;
}
