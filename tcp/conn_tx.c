// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conn_tx.c - To the guest: processes the guest's ACKs and windows, and decides
 * what may be sent and what has to be sent again.
 */
#include "tcp/conn_priv.h"
#include "tcp/seq.h"
#include "util.h"

/* Begin recovery, because a segment was lost: ask the caller to send again what
 * the guest does not have. */
static void start_recovery(struct tcp_conn *c)
{
	c->recovering = true;
	c->recover = c->rtx_mark = c->snd_max;
	c->rtx_next = c->snd_una;
	c->rtt_seq = 0;				/* Karn's algorithm */
	c->actions |= CONN_DO_RETRANSMIT;
}

/* Handle an ACK of new data: if the connection is in recovery, end it, or ask
 * the caller to send the next hole again (RFC 6582 3.2). */
static void recovery_ack(struct tcp_conn *c)
{
	c->dupacks = 0;
	if (!c->recovering)
		return;
	if (seq_le(c->recover, c->snd_una))
		c->recovering = false;
	else
		c->actions |= CONN_DO_RETRANSMIT;
}

/* Process an ACK of new data. */
static void take_new_ack(struct tcp_conn *c, uint32_t ack, uint64_t now)
{
	uint32_t len = ack - c->snd_una;

	if (c->eof && seq_lt(c->fin_seq, ack))
		len--;				/* FIN is not data */
	c->discard += len;
	if (c->discard)
		c->actions |= CONN_DO_DISCARD;

	if (c->rtt_seq && seq_le(c->rtt_seq, ack)) {
		conn_add_rtt(c, (uint32_t)(now - c->rtt_at));
		c->rtt_seq = 0;
	}
	c->snd_una = ack;
	c->snd_nxt = seq_max(c->snd_nxt, ack);
	ranges_trim(&c->sacked, ack);
	conn_reset_rto(c);
	recovery_ack(c);
	c->actions |= CONN_DO_SEND;
	if (c->snd_wnd)
		c->wnd_blocked = false;		/* sending may set it again */
	conn_rearm_timer(c, now);
}

/**
 * conn_take_discard() - Get the number of bytes that CONN_DO_DISCARD asks the
 * caller to remove
 *
 * Return: number of acknowledged bytes, which the caller must remove from the
 *	   socket
 */
uint32_t conn_take_discard(struct tcp_conn *c)
{
	uint32_t bytes = c->discard;

	c->discard = 0;
	return bytes;
}

/* Count a duplicate ACK, which says that the guest got a segment after a gap
 * (RFC 5681 3.2). */
static void count_dup_ack(struct tcp_conn *c)
{
	if (!c->recovering && c->snd_una != c->snd_max &&
	    ++c->dupacks >= TCP_DUPACKS)
		start_recovery(c);
}

/*
 * Add the guest's SACK blocks to @sacked (RFC 2018 4). The guest may put any
 * values in the blocks. The ends of a block are compared by their unsigned
 * distances from @snd_una. If the sequence numbers were compared in pairs, a
 * block that wraps around the whole sequence space would seem valid.
 */
static void note_sacks(struct tcp_conn *c, const struct tcp_seg *seg)
{
	uint32_t flight = c->snd_max - c->snd_una, start, end;
	unsigned int i;

	for (i = 0; c->sack_ok && i < seg->nsack; i++) {
		start = seg->sack[i].from - c->snd_una;
		end = seg->sack[i].end - c->snd_una;
		if (start < end && end <= flight)
			ranges_add(&c->sacked, c->snd_una + start,
				   c->snd_una + end);
	}
	ranges_trim(&c->sacked, c->snd_una);
}

/*
 * Begin or continue recovery because of SACK. A segment is lost if the guest
 * has TCP_DUPACKS or more segments that come after it (IsLost() in RFC 6675 4).
 * The path to the guest does not reorder, so if the first hole is lost, all
 * holes are.
 */
static void check_sack_loss(struct tcp_conn *c)
{
	uint32_t high;

	if (!c->sacked.n)
		return;
	high = c->sacked.r[c->sacked.n - 1].end;
	if (!c->recovering) {
		if (ranges_bytes(&c->sacked) >= TCP_DUPACKS * c->mss)
			start_recovery(c);
		return;
	}
	if (seq_lt(c->rtx_mark, high)) {	/* a segment that was sent again
						 * was lost, too */
		c->rtx_mark = c->snd_max;
		c->rtx_next = c->snd_una;
	}
	c->actions |= CONN_DO_RETRANSMIT;
}

/**
 * conn_next_hole() - Find the next range that has to be sent again
 * @hole:	set to the range, which is at most one segment long; an empty
 *		range means our FIN
 *
 * With SACK, this function returns the holes below the highest reported range,
 * each once. Without SACK, it returns only the oldest segment; if the next ACK
 * shows that another segment is missing, it then returns that one (RFC 6582).
 * The result stays the same until conn_hole_sent() is called.
 *
 * Return: false if nothing has to be sent again
 */
bool conn_next_hole(const struct tcp_conn *c, struct tcp_range *hole)
{
	uint32_t limit = c->snd_una + 1, end = c->snd_max;
	uint32_t seq = seq_max(c->rtx_next, c->snd_una);
	unsigned int i;

	if (!c->recovering || c->snd_una == c->snd_max)
		return false;
	if (c->sacked.n)
		limit = c->sacked.r[c->sacked.n - 1].from;

	for (i = 0; i < c->sacked.n; i++) {
		if (seq_lt(seq, c->sacked.r[i].from)) {
			end = c->sacked.r[i].from;
			break;
		}
		seq = seq_max(seq, c->sacked.r[i].end);
	}
	if (seq_le(limit, seq))
		return false;

	if (c->eof && seq_lt(c->fin_seq, end))
		end = c->fin_seq;
	hole->from = seq;
	hole->end = seq + MIN(end - seq, c->mss);
	return true;
}

/* conn_hole_sent() - Note that a hole was sent again, so that conn_next_hole()
 * continues after it */
void conn_hole_sent(struct tcp_conn *c, const struct tcp_range *hole)
{
	c->rtx_next = hole->end + (hole->end == hole->from);
}

/*
 * Whether a segment's window is newer than the current one, as RFC 9293
 * 3.10.7.4 says. It is also newer if the segment acknowledges new data, because
 * a window counts from the acknowledgement number.
 */
static bool is_newer_window(const struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (seg->ack != c->snd_una)
		return seq_lt(c->snd_una, seg->ack);
	return seq_lt(c->snd_wl1, seg->seq) ||
	       (c->snd_wl1 == seg->seq && seq_le(c->snd_wl2, seg->ack));
}

/*
 * Take over the window of a segment.
 * Return: whether the guest's window changed.
 */
static bool update_window(struct tcp_conn *c, const struct tcp_seg *seg,
			  uint64_t now)
{
	uint32_t wnd = MIN((uint32_t)seg->wnd << c->snd_wscale, TCP_WND_MAX);

	if (!is_newer_window(c, seg))
		return false;
	c->snd_wl1 = seg->seq;
	c->snd_wl2 = seg->ack;
	if (wnd == c->snd_wnd)
		return false;

	if (wnd > c->snd_wnd)
		c->actions |= CONN_DO_SEND;
	c->snd_wnd = wnd;
	c->wnd_max = MAX(c->wnd_max, wnd);
	if (c->timer == CONN_TIMER_PERSIST && wnd) {
		c->wnd_blocked = false;	/* sending may set it again */
		conn_reset_rto(c);
		conn_rearm_timer(c, now);
	}
	return true;
}

/**
 * conn_process_ack() - Process the acknowledgement number, the SACK blocks and
 * the window of an acceptable segment
 * @seg:	segment with ACK, whose acknowledgement number is not after
 *		@snd_max
 */
void conn_process_ack(struct tcp_conn *c, const struct tcp_seg *seg,
		      uint64_t now)
{
	bool moved = update_window(c, seg, now);

	note_sacks(c, seg);
	if (seq_lt(c->snd_una, seg->ack))
		take_new_ack(c, seg->ack, now);
	else if (seg->ack == c->snd_una && !moved && !seg->len &&
		 !(seg->flags & SEG_FIN))
		count_dup_ack(c);
	check_sack_loss(c);
}

/* conn_eof() - Note that the peer has sent FIN, and that all its data is before
 * @snd_nxt */
void conn_eof(struct tcp_conn *c)
{
	if (c->eof)
		return;
	c->eof = true;
	c->fin_seq = c->snd_nxt;
	c->actions |= CONN_DO_SEND;
}

/**
 * conn_usable_window() - Return how many bytes of data may be sent now, as the
 * guest's window allows
 *
 * While data is in flight, a segment must be at least as long as the MSS, or as
 * half of the largest window that the guest has announced. If the window does
 * not allow that, nothing is sent (silly window avoidance, RFC 9293 3.8.6.2.1).
 *
 * Return: bytes
 */
uint32_t conn_usable_window(const struct tcp_conn *c)
{
	uint32_t flight = c->snd_nxt - c->snd_una, usable;

	if (c->phase != CONN_OPEN || flight >= c->snd_wnd || conn_all_sent(c))
		return 0;

	usable = c->snd_wnd - flight;
	if (flight && usable < c->mss && usable < c->wnd_max / 2)
		return 0;
	return usable;
}

/* conn_all_sent() - Whether the peer has sent FIN, and all data before it was
 * sent to the guest */
bool conn_all_sent(const struct tcp_conn *c)
{
	return c->eof && seq_le(c->fin_seq, c->snd_nxt);
}

/* conn_fin_due() - Whether all data was sent, and the window has space for FIN
 * (T10) */
bool conn_fin_due(const struct tcp_conn *c)
{
	return c->phase == CONN_OPEN && c->eof && c->snd_nxt == c->fin_seq &&
	       c->snd_nxt - c->snd_una < c->snd_wnd;
}

/* conn_data_sent() - Note that @len bytes from @snd_nxt on were sent to the
 * guest */
void conn_data_sent(struct tcp_conn *c, uint32_t len, uint64_t now)
{
	c->snd_nxt += len;
	c->wnd_blocked = false;
	if (seq_lt(c->snd_max, c->snd_nxt)) {
		c->snd_max = c->snd_nxt;
		if (!c->rtt_seq && !c->recovering && !c->tries) {
			c->rtt_seq = c->snd_nxt;
			c->rtt_at = now;
		}
	}
	if (c->timer == CONN_TIMER_RTO)
		return;
	if (c->timer == CONN_TIMER_IDLE)
		c->tries = 0;		/* @tries counted keep-alive probes */
	conn_arm_timer(c, CONN_TIMER_RTO, now + c->rto);
}

/* conn_fin_sent() - Note that our FIN was sent to the guest */
void conn_fin_sent(struct tcp_conn *c, uint64_t now)
{
	conn_data_sent(c, 1, now);
}

/**
 * conn_window_closed() - Note that data or FIN waits, because the guest's
 * window is closed (T8)
 *
 * If data is in flight, the guest's ACK brings a new window, or the
 * retransmission timer fires. If no data is in flight, a timer is set to probe
 * the guest.
 */
void conn_window_closed(struct tcp_conn *c, uint64_t now)
{
	if (c->phase != CONN_OPEN)
		return;
	c->wnd_blocked = true;
	if (c->snd_nxt == c->snd_una && c->timer != CONN_TIMER_PERSIST)
		conn_arm_timer(c, CONN_TIMER_PERSIST, now + c->rto);
}
