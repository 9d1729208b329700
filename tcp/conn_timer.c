// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conn_timer.c - The timers of a connection: the retransmission timeout (RTO)
 * and how it is computed, probes of a closed window and of a silent guest, and
 * delayed ACKs.
 */
#include "tcp/conn_priv.h"
#include "util.h"

/**
 * conn_add_rtt() - Update the smoothed round-trip time and its variation
 * @rtt:	sample, ms (RFC 6298 2)
 */
void conn_add_rtt(struct tcp_conn *c, uint32_t rtt)
{
	uint32_t r = MAX(rtt, 1), diff;

	if (!c->srtt) {
		c->srtt = r << 3;
		c->rttvar = r << 1;
		return;
	}
	diff = c->srtt >> 3 > r ? (c->srtt >> 3) - r : r - (c->srtt >> 3);
	c->rttvar += diff - (c->rttvar >> 2);
	c->srtt += r - (c->srtt >> 3);
}

/* conn_reset_rto() - Set the retransmission timeout from the round-trip time,
 * and end the back-off (RFC 6298 2) */
void conn_reset_rto(struct tcp_conn *c)
{
	uint32_t rto = TCP_RTO_INIT;

	if (c->srtt)
		rto = (c->srtt >> 3) + MAX(c->rttvar, 1);
	c->rto = MIN(MAX(rto, TCP_RTO_MIN), TCP_RTO_MAX);
	c->tries = 0;
}

/* Close the connection, because the guest has not answered for too long. */
static void close_silent(struct tcp_conn *c)
{
	conn_close(c, CAUSE_GUEST_SILENT, CONN_DO_RST_PEER | CONN_DO_RST_GUEST);
}

/* Count a try, and double the timeout for the next one (RFC 6298 5.5). */
static void back_off_timer(struct tcp_conn *c, uint64_t now)
{
	c->tries++;
	c->rto = MIN(c->rto * 2, TCP_RTO_MAX);
	c->deadline = now + c->rto;
}

static void timeout_syn(struct tcp_conn *c, uint64_t now)
{
	if (c->tries + 1 >= TCP_SYN_TRIES) {
		close_silent(c);
		return;
	}
	back_off_timer(c, now);
	c->actions |= CONN_DO_SYN;
}

/* Handle that data or FIN was not acknowledged in time: send again, from the
 * oldest byte on (RFC 6298 5.4). */
static void timeout_rto(struct tcp_conn *c, uint64_t now)
{
	if (c->tries >= TCP_RTO_TRIES) {
		close_silent(c);
		return;
	}
	back_off_timer(c, now);
	c->snd_nxt = c->snd_una;
	c->sacked.n = 0;	/* RFC 2018 8: the guest may discard data */
	c->recovering = false;
	c->dupacks = 0;
	c->rtt_seq = 0;
	c->actions |= CONN_DO_REWIND | CONN_DO_SEND;
	if (!c->snd_wnd) {	/* the guest has closed its window: only
				 * probe */
		c->timer = CONN_TIMER_PERSIST;
		c->wnd_blocked = true;
		c->actions |= CONN_DO_PROBE;
	}
}

static void timeout_persist(struct tcp_conn *c, uint64_t now)
{
	if (now - c->heard_at > TCP_PERSIST_MAX) {
		close_silent(c);
		return;
	}
	back_off_timer(c, now);
	c->actions |= CONN_DO_PROBE;
}

static void timeout_idle(struct tcp_conn *c, uint64_t now)
{
	if (now < c->heard_at + TCP_IDLE) {
		c->tries = 0;
		c->deadline = c->heard_at + TCP_IDLE;
		return;
	}
	if (c->tries++ >= TCP_PROBES) {
		close_silent(c);
		return;
	}
	c->deadline = now + TCP_PROBE_INTERVAL;
	c->actions |= CONN_DO_PROBE;
}

/* conn_try_due() - Whether the guest has not answered in time, so that
 * conn_timeout() would send again or give up */
bool conn_try_due(const struct tcp_conn *c, uint64_t now)
{
	return c->timer != CONN_TIMER_NONE &&
	       c->timer != CONN_TIMER_TIME_WAIT && now >= c->deadline;
}

/**
 * conn_postpone() - Wait longer for the guest's answer, without counting a try:
 * the guest takes no frames now, so it can't have seen what was sent last
 */
void conn_postpone(struct tcp_conn *c, uint64_t now)
{
	c->heard_at = now;
	c->deadline = now + MAX(c->rto, TCP_RTO_INIT);
}

/* conn_timeout() - Do what is due at this time: ask for an ACK that has waited,
 * or handle the connection's timer */
void conn_timeout(struct tcp_conn *c, uint64_t now)
{
	if (c->ack_due && now >= c->ack_due) {
		c->actions |= CONN_DO_ACK;
		c->ack_due = c->ack_delay = 0;
	}
	if (c->timer == CONN_TIMER_NONE || now < c->deadline)
		return;

	switch (c->timer) {
	case CONN_TIMER_SYN:
		timeout_syn(c, now);
		break;
	case CONN_TIMER_RTO:
		timeout_rto(c, now);
		break;
	case CONN_TIMER_PERSIST:
		timeout_persist(c, now);
		break;
	case CONN_TIMER_IDLE:
		timeout_idle(c, now);
		break;
	case CONN_TIMER_TIME_WAIT:
		conn_close(c, CAUSE_WAITED, 0);
		break;
	case CONN_TIMER_NONE:
		break;
	}
}
