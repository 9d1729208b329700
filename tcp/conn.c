// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conn.c - What a connection does about what happens to it: phases, the
 * handshakes and ends, and time. Segments of an open connection are in
 * receive.c, what is sent in send.c.
 * Called by tcp.c; calls nothing but the log.
 */
#include <string.h>

#include "log.h"
#include "tcp/conn_priv.h"
#include "tcp/seq.h"
#include "util.h"

const char *const tcp_phase_name[] = {
	[CONN_CONNECTING]	= "connecting",
	[CONN_SYN_ACKED]		= "syn-acked",
	[CONN_SYN_SENT]		= "syn-sent",
	[CONN_OPEN]		= "open",
	[CONN_TIME_WAIT]		= "wait",
	[CONN_CLOSED]		= "closed",
};

const char *const tcp_cause_name[] = {
	[CAUSE_GUEST_SYN]	= "guest sent SYN",
	[CAUSE_ACCEPTED]	= "socket accepted",
	[CAUSE_CONNECTED]	= "socket connected",
	[CAUSE_FAILED]		= "socket did not connect",
	[CAUSE_GUEST_ACK]	= "guest acknowledged",
	[CAUSE_GUEST_RST]	= "guest sent RST",
	[CAUSE_GUEST_SILENT]	= "guest does not answer",
	[CAUSE_PEER_RESET]	= "socket failed",
	[CAUSE_BOTH_FIN]	= "both ends are done",
	[CAUSE_WAITED]		= "last ACK was not missed",
	[CAUSE_ABORTED]		= "aborted",
};

/**
 * conn_set_phase() - The one place that changes the phase
 * @c:		connection
 * @phase:	new one
 * @cause:	why
 */
void conn_set_phase(struct tcp_conn *c, enum conn_phase phase, enum conn_cause cause)
{
	debug("tcp %08x: %s -> %s: %s", c->isn, tcp_phase_name[c->phase],
	      tcp_phase_name[phase], tcp_cause_name[cause]);
	c->phase = phase;
}

/**
 * conn_arm_timer() - What is waited for next
 * @c:		connection
 * @timer:	for what
 * @deadline:	till when, ms
 */
void conn_arm_timer(struct tcp_conn *c, enum conn_timer timer, uint64_t deadline)
{
	c->timer = timer;
	c->deadline = deadline;
}

/* conn_rearm_timer() - Arm the timer for what is open after an ACK or a window */
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

/* conn_close() - Nothing more will happen; @actions says how it ends */
static void conn_close(struct tcp_conn *c, enum conn_cause cause, uint32_t actions)
{
	conn_set_phase(c, CONN_CLOSED, cause);
	conn_arm_timer(c, CONN_TIMER_NONE, 0);
	c->actions = actions | CONN_DO_REMOVE;
}

/**
 * conn_take_actions() - Take over actions: the caller is going to do them
 * @c:		connection
 * @which:	those that the caller can do now; others stay
 *
 * Return: those of them that were to be done
 */
uint32_t conn_take_actions(struct tcp_conn *c, uint32_t which)
{
	uint32_t actions = c->actions & which;

	c->actions &= ~which;
	return actions;
}

/* take_syn_options() - What the guest's SYN or SYN-ACK says (RFC 7323 2.2) */
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
	c->snd_wnd = c->wnd_max = seg->wnd;	/* of a SYN: never scaled */
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

/* start_syn() - SYN or SYN-ACK is to be sent, for the first time */
static void start_syn(struct tcp_conn *c, uint64_t now)
{
	c->snd_nxt = c->snd_max = c->snd_una + 1;
	c->tries = 0;
	c->rto = TCP_RTO_INIT;
	c->actions |= CONN_DO_SYN;
	conn_arm_timer(c, CONN_TIMER_SYN, now + c->rto);
}

/**
 * conn_guest_syn() - The guest asks for a connection (T1)
 * @c:		connection, its content of no matter
 * @seg:	its SYN, @mss set
 * @isn:	our initial sequence number
 * @mss:	longest payload that the way to the guest takes
 * @now:	ms
 */
void conn_guest_syn(struct tcp_conn *c, const struct tcp_seg *seg,
		    uint32_t isn, uint16_t mss, uint64_t now)
{
	conn_init(c, CONN_CONNECTING, CAUSE_GUEST_SYN, isn, mss, now);
	take_syn_options(c, seg);
}

/**
 * conn_accepted() - A peer asks for a connection to the guest (T2)
 * @c:		connection, its content of no matter
 * @isn:	our initial sequence number
 * @mss:	longest payload that the way to the guest takes
 * @now:	ms
 */
void conn_accepted(struct tcp_conn *c, uint32_t isn, uint16_t mss,
		   uint64_t now)
{
	conn_init(c, CONN_SYN_SENT, CAUSE_ACCEPTED, isn, mss, now);
	c->rcv_wscale = TCP_WSCALE;
	start_syn(c, now);
}

/**
 * conn_connected() - The socket has connected: now SYN-ACK is true (T1)
 * @c:		connection
 * @now:	ms
 */
void conn_connected(struct tcp_conn *c, uint64_t now)
{
	conn_set_phase(c, CONN_SYN_ACKED, CAUSE_CONNECTED);
	start_syn(c, now);
}

/**
 * conn_connect_failed() - The socket did not connect
 * @c:		connection
 * @refused:	by a RST, which goes on to the guest
 */
void conn_connect_failed(struct tcp_conn *c, bool refused)
{
	conn_close(c, CAUSE_FAILED, refused ? CONN_DO_RST_GUEST : 0);
}

/**
 * conn_peer_error() - The socket failed: the peer sent RST, or is gone (T11)
 * @c:		connection
 */
void conn_peer_error(struct tcp_conn *c)
{
	conn_close(c, CAUSE_PEER_RESET, CONN_DO_RST_GUEST);
}

/**
 * conn_guest_reset() - The guest sent RST (T11)
 * @c:		connection
 */
void conn_guest_reset(struct tcp_conn *c)
{
	conn_close(c, CAUSE_GUEST_RST, CONN_DO_RST_PEER);
}

/**
 * conn_abort() - End it from here: the guest left, or there is no memory
 * @c:		connection
 */
void conn_abort(struct tcp_conn *c)
{
	conn_close(c, CAUSE_ABORTED, CONN_DO_RST_PEER | CONN_DO_RST_GUEST);
}

/* close_silent() - It did not answer, for as long as TCP is patient */
static void close_silent(struct tcp_conn *c)
{
	conn_close(c, CAUSE_GUEST_SILENT, CONN_DO_RST_PEER | CONN_DO_RST_GUEST);
}

/**
 * conn_guest_fin() - All data before the guest's FIN has been taken (T10)
 * @c:		connection
 */
void conn_guest_fin(struct tcp_conn *c)
{
	c->fin_rcvd = true;
	c->fin_first = c->eof && seq_lt(c->fin_seq, c->snd_max);
	c->rcv_nxt++;
	c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt);
	c->actions |= CONN_DO_SHUTDOWN | CONN_DO_ACK;
}

/**
 * conn_check_done() - End the connection if both ends have (RFC 9293 3.6)
 * @c:		connection
 * @now:	ms
 *
 * Where our FIN came first, the guest waits in LAST-ACK for an ACK that may
 * be lost: it is there to be sent again for a while. The guest keeps its own
 * TIME-WAIT, and the peer's is the kernel's, so ours can be short.
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

/* enter_open() - Both SYNs are acknowledged (RFC 6298 5.7 for the timer) */
static void enter_open(struct tcp_conn *c, uint64_t now)
{
	conn_set_phase(c, CONN_OPEN, CAUSE_GUEST_ACK);
	c->rto = c->tries ? TCP_RTO_LOST_SYN : TCP_RTO_INIT;
	c->tries = 0;
	c->actions |= CONN_DO_SEND;
	conn_rearm_timer(c, now);
}

/**
 * conn_segment_syn_sent() - A segment for a SYN of ours (RFC 9293 3.10.7.3)
 * @c:		connection in CONN_SYN_SENT
 * @seg:	segment
 * @now:	ms
 */
void conn_segment_syn_sent(struct tcp_conn *c, const struct tcp_seg *seg, uint64_t now)
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
	if (!ack) {			/* both at once (RFC 9293 3.5) */
		conn_set_phase(c, CONN_SYN_ACKED, CAUSE_GUEST_SYN);
		start_syn(c, now);
		return;
	}
	c->snd_una = seg->ack;
	c->actions |= CONN_DO_ACK;
	enter_open(c, now);
}

/**
 * conn_handshake_done() - The guest acknowledged our SYN-ACK
 * @c:		connection in CONN_SYN_ACKED
 * @now:	ms
 */
void conn_handshake_done(struct tcp_conn *c, uint64_t now)
{
	c->snd_una = c->snd_nxt;
	enter_open(c, now);
}

/* back_off_timer() - Twice the time for the next try (RFC 6298 5.5) */
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

/**
 * timeout_rto() - Data or FIN was not acknowledged: go back (RFC 6298 5.4)
 * @c:		connection
 * @now:	ms
 */
static void timeout_rto(struct tcp_conn *c, uint64_t now)
{
	if (c->tries >= TCP_RTO_TRIES) {
		close_silent(c);
		return;
	}
	back_off_timer(c, now);
	c->snd_nxt = c->snd_una;
	c->sacked.n = 0;	/* it may have dropped them (RFC 2018 8) */
	c->recovering = false;
	c->dupacks = 0;
	c->rtt_seq = 0;
	c->actions |= CONN_DO_REWIND | CONN_DO_SEND;
	if (!c->snd_wnd) {	/* it took its window back: ask, don't send */
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

/**
 * conn_timeout() - Time passed
 * @c:		connection
 * @now:	ms; before @deadline nothing happens
 */
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
