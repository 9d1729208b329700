// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conn.c - The phases of a connection: how it opens and closes. conn_rx.c
 * decides about segments from the guest, conn_tx.c about segments to the guest,
 * and conn_timer.c what is done when the guest does not answer in time.
 */
#include <string.h>

#include "log.h"
#include "tcp/conn_priv.h"
#include "tcp/seq.h"
#include "util.h"

const char *const tcp_phase_name[] = {
	[CONN_CONNECTING]	= "connecting",
	[CONN_SYN_ACKED]	= "syn-acked",
	[CONN_SYN_SENT]		= "syn-sent",
	[CONN_OPEN]		= "open",
	[CONN_TIME_WAIT]		= "time-wait",
	[CONN_CLOSED]		= "closed",
};

const char *const tcp_cause_name[] = {
	[CAUSE_GUEST_SYN]	= "guest sent SYN",
	[CAUSE_ACCEPTED]	= "peer connected",
	[CAUSE_CONNECTED]	= "socket connected",
	[CAUSE_FAILED]		= "socket did not connect",
	[CAUSE_GUEST_ACK]	= "guest acknowledged",
	[CAUSE_GUEST_RST]	= "guest sent RST",
	[CAUSE_GUEST_SILENT]	= "guest does not answer",
	[CAUSE_PEER_RESET]	= "socket failed",
	[CAUSE_BOTH_FIN]	= "both FINs acknowledged",
	[CAUSE_WAITED]		= "last ACK arrived",
	[CAUSE_ABORTED]		= "aborted",
};

/**
 * conn_set_phase() - Change the phase of a connection; no other function does
 * this
 * @cause:	why the phase changes, for the log
 */
void conn_set_phase(struct tcp_conn *c, enum conn_phase phase,
		    enum conn_cause cause)
{
	debug("tcp %08x: %s -> %s: %s", c->isn, tcp_phase_name[c->phase],
	      tcp_phase_name[phase], tcp_cause_name[cause]);
	c->phase = phase;
}

/**
 * conn_arm_timer() - Set the timer of a connection
 * @deadline:	when it fires, ms of CLOCK_MONOTONIC
 */
void conn_arm_timer(struct tcp_conn *c, enum conn_timer timer,
		    uint64_t deadline)
{
	c->timer = timer;
	c->deadline = deadline;
}

/**
 * conn_rearm_timer() - Set the timer after an ACK or a change of the window. If
 * data is in flight, the timer waits for its ACK; else if data waits for the
 * guest's window, for a larger window; else for any traffic of the guest
 */
void conn_rearm_timer(struct tcp_conn *c, uint64_t now)
{
	if (c->phase != CONN_OPEN)
		return;
	if (c->snd_una != c->snd_max)
		conn_arm_timer(c, CONN_TIMER_RTO, now + c->rto);
	else if (c->wnd_blocked)
		conn_arm_timer(c, CONN_TIMER_PERSIST, now + c->rto);
	else
		conn_arm_timer(c, CONN_TIMER_IDLE, now + TCP_IDLE);
}

/**
 * conn_close() - Enter CONN_CLOSED
 * @cause:	why, for the log
 * @actions:	what the caller has to do, so that the guest and the peer learn
 *		that the connection is closed
 */
void conn_close(struct tcp_conn *c, enum conn_cause cause, uint32_t actions)
{
	conn_set_phase(c, CONN_CLOSED, cause);
	conn_arm_timer(c, CONN_TIMER_NONE, 0);
	c->actions = actions | CONN_DO_REMOVE;
}

/**
 * conn_take_actions() - Get pending actions, which the caller must then do
 * @which:	actions that the caller can do now; all others stay pending
 *
 * Return: those actions of @which that were pending
 */
uint32_t conn_take_actions(struct tcp_conn *c, uint32_t which)
{
	uint32_t actions = c->actions & which;

	c->actions &= ~which;
	return actions;
}

/* Take over the options and the window of the guest's SYN or SYN-ACK (RFC 7323
 * 2.2). */
static void take_syn_options(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (seg->wscale < 0) {
		c->rcv_wscale = 0;
	} else {
		c->rcv_wscale = TCP_WSCALE;
		c->snd_wscale = (uint8_t)seg->wscale;
	}
	c->mss = MIN(c->mss, MAX(seg->mss, TCP_MSS_MIN));
	c->sack_ok = seg->sack_ok;

	c->rcv_nxt = c->rcv_acked = seg->seq + 1;
	c->rcv_adv = c->rcv_nxt + TCP_WND_INIT;
	c->rcv_wnd = TCP_WND_INIT;
	c->snd_wnd = c->wnd_max = seg->wnd;	/* not scaled in a SYN */
	c->snd_wl1 = seg->seq;
	c->snd_wl2 = seg->ack;
}

static void conn_init(struct tcp_conn *c, enum conn_phase phase,
		     enum conn_cause cause, uint32_t isn, uint16_t mss,
		     uint64_t now)
{
	memset(c, 0, sizeof(*c));
	c->isn = c->snd_una = c->snd_nxt = c->snd_max = isn;
	c->mss = mss;
	c->rto = TCP_RTO_INIT;
	c->ack_delay = TCP_ACK_FIRST;
	c->heard_at = now;
	conn_set_phase(c, phase, cause);
}

/* Ask the caller to send our SYN or SYN-ACK for the first time. */
static void start_syn(struct tcp_conn *c, uint64_t now)
{
	c->snd_nxt = c->snd_max = c->snd_una + 1;
	c->tries = 0;
	c->rto = TCP_RTO_INIT;
	c->actions |= CONN_DO_SYN;
	conn_arm_timer(c, CONN_TIMER_SYN, now + c->rto);
}

/**
 * conn_guest_syn() - Begin a connection, because the guest has sent SYN (T1)
 * @c:		connection; its old content does not matter
 * @seg:	the guest's SYN. If it has no MSS option, @seg->mss is the
 *		default
 * @isn:	our initial sequence number
 * @mss:	longest payload that a frame to the guest takes
 */
void conn_guest_syn(struct tcp_conn *c, const struct tcp_seg *seg,
		    uint32_t isn, uint16_t mss, uint64_t now)
{
	conn_init(c, CONN_CONNECTING, CAUSE_GUEST_SYN, isn, mss, now);
	take_syn_options(c, seg);
}

/**
 * conn_accepted() - Begin a connection, because a peer has connected to a
 * forwarded port (T2)
 * @c:		connection; its old content does not matter
 * @isn:	our initial sequence number
 * @mss:	longest payload that a frame to the guest takes
 */
void conn_accepted(struct tcp_conn *c, uint32_t isn, uint16_t mss,
		   uint64_t now)
{
	conn_init(c, CONN_SYN_SENT, CAUSE_ACCEPTED, isn, mss, now);
	c->rcv_wscale = TCP_WSCALE;
	start_syn(c, now);
}

/* conn_connected() - Ask for SYN-ACK to the guest, because the socket has
 * connected (T1) */
void conn_connected(struct tcp_conn *c, uint64_t now)
{
	conn_set_phase(c, CONN_SYN_ACKED, CAUSE_CONNECTED);
	start_syn(c, now);
}

/**
 * conn_connect_failed() - Close the connection, because the socket did not
 * connect
 * @refused:	the guest gets RST; false: it gets none
 */
void conn_connect_failed(struct tcp_conn *c, bool refused)
{
	conn_close(c, CAUSE_FAILED, refused ? CONN_DO_RST_GUEST : 0);
}

/**
 * conn_peer_error() - Close the connection, because the socket has failed: the
 * peer has sent RST, or is gone (T11)
 */
void conn_peer_error(struct tcp_conn *c)
{
	conn_close(c, CAUSE_PEER_RESET, CONN_DO_RST_GUEST);
}

/* conn_guest_reset() - Close the connection, because the guest has sent a valid
 * RST (T11) */
void conn_guest_reset(struct tcp_conn *c)
{
	conn_close(c, CAUSE_GUEST_RST, CONN_DO_RST_PEER);
}

/* conn_abort() - Reset the connection towards the guest and the peer, because
 * of an error of the host */
void conn_abort(struct tcp_conn *c)
{
	conn_close(c, CAUSE_ABORTED, CONN_DO_RST_PEER | CONN_DO_RST_GUEST);
}

/* conn_guest_fin() - Acknowledge the guest's FIN, because the socket has taken
 * all data before it (T10) */
void conn_guest_fin(struct tcp_conn *c)
{
	c->fin_rcvd = true;
	c->fin_first = c->eof && seq_lt(c->fin_seq, c->snd_max);
	c->rcv_nxt++;
	c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt);
	c->actions |= CONN_DO_SHUTDOWN | CONN_DO_ACK;
}

/**
 * conn_check_done() - End the connection once both FINs are acknowledged (RFC
 * 9293 3.6)
 *
 * If our FIN was sent first, the guest is in LAST-ACK until it gets our ACK of
 * its FIN. This ACK may be lost; in CONN_TIME_WAIT, passt can send it again.
 * CONN_TIME_WAIT can be short: the path to the guest holds no old segments, and
 * towards the peer the host's kernel has a TIME-WAIT of its own.
 */
void conn_check_done(struct tcp_conn *c, uint64_t now)
{
	if (c->phase != CONN_OPEN || !c->fin_rcvd || !c->eof ||
	    !seq_lt(c->fin_seq, c->snd_una))
		return;

	if (!c->fin_first) {
		conn_close(c, CAUSE_BOTH_FIN,
			   c->actions & (CONN_DO_ACK | CONN_DO_DISCARD));
		return;
	}
	conn_set_phase(c, CONN_TIME_WAIT, CAUSE_BOTH_FIN);
	conn_arm_timer(c, CONN_TIMER_TIME_WAIT, now + TCP_TIMEWAIT_LEN);
	c->ack_delay = TCP_ACK_LAST;
	c->actions |= CONN_DO_CLOSE;
}

/* Enter CONN_OPEN. If our SYN or SYN-ACK was sent more than once, the first
 * retransmission timeout is TCP_RTO_LOST_SYN (RFC 6298 5.7). If an earlier
 * segment of this batch repeated the guest's SYN, passt does not answer it: the
 * guest has the SYN-ACK by now. */
static void enter_open(struct tcp_conn *c, uint64_t now)
{
	conn_set_phase(c, CONN_OPEN, CAUSE_GUEST_ACK);
	c->rto = c->tries ? TCP_RTO_LOST_SYN : TCP_RTO_INIT;
	c->tries = 0;
	c->actions &= ~(uint32_t)CONN_DO_SYN;
	c->actions |= CONN_DO_SEND;
	conn_rearm_timer(c, now);
}

/* conn_segment_syn_sent() - Handle a segment of the guest in CONN_SYN_SENT (RFC
 * 9293 3.10.7.3) */
void conn_segment_syn_sent(struct tcp_conn *c, const struct tcp_seg *seg,
			   uint64_t now)
{
	bool ack = seg->flags & SEG_ACK, rst = seg->flags & SEG_RST;

	if (ack && seg->ack != c->snd_nxt) {
		c->actions |= rst ? 0 : CONN_DO_REFUSE;
		return;
	}
	if (rst) {
		if (ack)
			conn_guest_reset(c);
		return;
	}
	if (!(seg->flags & SEG_SYN))
		return;

	take_syn_options(c, seg);
	if (!ack) {			/* simultaneous open (RFC 9293 3.5) */
		conn_set_phase(c, CONN_SYN_ACKED, CAUSE_GUEST_SYN);
		start_syn(c, now);
		return;
	}
	c->snd_una = seg->ack;
	c->actions |= CONN_DO_ACK;
	enter_open(c, now);
}

/* conn_handshake_done() - Open the connection, because the guest has
 * acknowledged our SYN-ACK */
void conn_handshake_done(struct tcp_conn *c, uint64_t now)
{
	c->snd_una = c->snd_nxt;
	enter_open(c, now);
}
