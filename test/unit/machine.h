/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * machine.h - A connection of tcp/conn.h together with a model of a socket. It
 * does the actions of the connection as tcp.c does, but without system calls,
 * and checks invariants after each step. conn_walk.c, conn_transfer.c and
 * conn_model.c include this file.
 *
 * @wrong says which invariant was violated first.
 */
#ifndef TEST_UNIT_MACHINE_H
#define TEST_UNIT_MACHINE_H

#include <stdlib.h>
#include <string.h>

#include "tcp/conn.h"
#include "tcp/rxring.h"
#include "tcp/seq.h"
#include "test/unit/guest.h"
#include "util.h"

#define MACHINE_PAYLOAD	(1U << 20)	/* limit for bytes in a batch */

/**
 * struct machine - A connection and its socket
 * @c:		the connection
 * @rxring, @rxring_total: receive ring, and memory of all receive rings, as in
 *		tcp.c
 * @now:	simulated time, ms
 *
 * Data from the guest:
 * @gport:	number of the guest's stream, see stream_byte(); if it is not 0,
 *		bytes are checked
 * @took:	bytes that the socket has taken in all
 * @buffered, @sndbuf: bytes in the socket's send buffer, and the size of this
 *		buffer
 * @shut:	shutdown(SHUT_WR) was done
 * @want_epollout: the socket has to report when it has space again
 *
 * Data to the guest:
 * @pport:	number of the peer's stream, see stream_byte()
 * @arrived:	bytes that the peer has sent in all
 * @discarded:	bytes that were removed from the socket in all
 * @fin:	FIN of the peer has come, after @arrived bytes
 * @readable:	the socket may have data to read, as in tcp.c
 *
 * Actions that were done:
 * @out, @arg:	function that receives segments to the guest, and its first
 *		argument; NULL: segments are dropped
 * @challenges, @refused, @rewinds: number of such actions
 * @retransmits: number of holes that were sent again
 * @rst_guest, @rst_peer: which end was reset
 * @closed, @removed: the socket is closed, the flow is removed
 *
 * The current batch:
 * @payload, @payload_len: payload for the socket
 * @dups:	number of duplicate ACKs to send
 *
 * Invariants:
 * @irs:	initial sequence number of the guest
 * @adv, @phase: right edge of the window offered to the guest, and phase, after
 *		the last step
 * @wrong, @line: invariant that was violated first, and its line; NULL: none
 */
struct machine {
	struct tcp_conn c;
	struct tcp_rxring rxring;
	size_t rxring_total;
	uint64_t now;

	uint16_t gport;
	uint32_t took, buffered, sndbuf;
	bool shut, want_epollout;

	uint16_t pport;
	uint32_t arrived, discarded;
	bool fin, readable;

	void (*out)(void *arg, const uint8_t *seg, size_t len);
	void *arg;
	unsigned int challenges, refused, rewinds, retransmits;
	bool rst_guest, rst_peer, closed, removed;

	uint8_t payload[MACHINE_PAYLOAD];
	uint32_t payload_len;
	unsigned int dups;

	uint32_t irs, adv;
	enum conn_phase phase;
	const char *wrong;
	int line;
};

static void machine_wrong(struct machine *m, const char *what, int line)
{
	if (m->wrong)
		return;
	m->wrong = what;
	m->line = line;
}

/* MUST() - Check an invariant */
#define MUST(m, cond) \
	((cond) ? (void)0 : machine_wrong(m, "not: " #cond, __LINE__))

/* machine_moves() - Whether one phase may follow another */
static bool machine_moves(enum conn_phase from, enum conn_phase to)
{
	static const bool may[CONN_CLOSED + 1][CONN_CLOSED + 1] = {
		[CONN_CONNECTING] = { [CONN_SYN_ACKED] = true },
		[CONN_SYN_ACKED]	= { [CONN_OPEN] = true, [CONN_TIME_WAIT] = true },
		[CONN_SYN_SENT]	= { [CONN_SYN_ACKED] = true, [CONN_OPEN] = true },
		[CONN_OPEN]	= { [CONN_TIME_WAIT] = true },
	};

	return from == to || to == CONN_CLOSED || may[from][to];
}

static bool ranges_ordered(const struct tcp_ranges *rs)
{
	unsigned int i;

	for (i = 0; i < rs->n; i++) {
		if (!seq_lt(rs->r[i].from, rs->r[i].end))
			return false;
		if (i && !seq_lt(rs->r[i - 1].end, rs->r[i].from))
			return false;
	}
	return rs->n <= TCP_RANGES;
}

/* machine_check_from_guest() - Check invariants of the data from the guest */
static void machine_check_from_guest(struct machine *m)
{
	const struct tcp_conn *c = &m->c;
	uint32_t limit = (uint32_t)UINT16_MAX << c->rcv_wscale;

	/* passt acknowledges only what the socket has taken (T5). */
	MUST(m, c->rcv_nxt == m->irs + 1 + m->took + c->fin_rcvd);
	MUST(m, !c->fin_rcvd || c->fin_queued);
	MUST(m, !c->fin_queued || c->fin_seen);
	MUST(m, m->shut == c->fin_rcvd || m->removed);

	/* The window does not shrink (T6). */
	MUST(m, seq_le(m->adv, c->rcv_adv));
	MUST(m, seq_le(c->rcv_nxt + c->rcv_queued, c->rcv_adv));
	MUST(m, c->rcv_adv - c->rcv_nxt <= MAX(limit, TCP_WND_INIT));
	m->adv = c->rcv_adv;

	/* Out-of-order ranges are sorted, and inside the window. */
	MUST(m, ranges_ordered(&c->ooo));
	if (c->ooo.n) {
		MUST(m, seq_lt(c->rcv_nxt, c->ooo.r[0].from));
		MUST(m, seq_le(c->ooo.r[c->ooo.n - 1].end, c->rcv_adv));
		MUST(m, !c->fin_queued);
	}
	MUST(m, m->rxring.buf || (!c->ooo.n && !c->rcv_queued) || m->removed);
}

/* machine_check_to_guest() - Check invariants of the data to the guest */
static void machine_check_to_guest(struct machine *m)
{
	const struct tcp_conn *c = &m->c;
	uint32_t first = c->isn + 1, fin = c->eof && seq_lt(c->fin_seq,
							    c->snd_una);

	MUST(m, seq_le(c->snd_una, c->snd_nxt));
	MUST(m, seq_le(c->snd_nxt, c->snd_max));
	MUST(m, seq_le(first, c->snd_una));
	MUST(m, !c->eof || seq_le(c->snd_max, c->fin_seq + 1));
	/* Only bytes that the socket has are sent, and no byte is lost (T7). */
	MUST(m, c->snd_max - first <= m->arrived + c->eof);
	MUST(m, c->snd_una - first - fin == m->discarded + c->discard);

	MUST(m, ranges_ordered(&c->sacked));
	if (c->sacked.n) {
		MUST(m, seq_le(c->snd_una, c->sacked.r[0].from));
		MUST(m, seq_le(c->sacked.r[c->sacked.n - 1].end, c->snd_max));
	}
}

/* machine_check_time() - Check that the right timer runs for the phase, and
 * that it does not expire too late */
static void machine_check_time(struct machine *m)
{
	const struct tcp_conn *c = &m->c;

	MUST(m, c->rto >= TCP_RTO_MIN && c->rto <= TCP_RTO_MAX);
	MUST(m, c->timer != CONN_TIMER_RTO || c->tries <= TCP_RTO_TRIES);
	MUST(m, c->timer == CONN_TIMER_NONE || c->deadline <= m->now + TCP_IDLE);
	MUST(m, c->timer != CONN_TIMER_PERSIST || !c->snd_wnd);

	switch (c->phase) {
	case CONN_CONNECTING:
	case CONN_CLOSED:
		MUST(m, c->timer == CONN_TIMER_NONE);
		break;
	case CONN_SYN_ACKED:
	case CONN_SYN_SENT:
		MUST(m, c->timer == CONN_TIMER_SYN);
		break;
	case CONN_OPEN:
		MUST(m, c->timer == CONN_TIMER_RTO || c->timer == CONN_TIMER_PERSIST ||
		     (c->timer == CONN_TIMER_IDLE && c->snd_una == c->snd_max));
		break;
	case CONN_TIME_WAIT:
		MUST(m, c->timer == CONN_TIMER_TIME_WAIT);
		break;
	}
}

/* machine_check() - Check all invariants after a step */
static void machine_check(struct machine *m)
{
	const struct tcp_conn *c = &m->c;

	MUST(m, machine_moves(m->phase, c->phase));
	m->phase = c->phase;
	MUST(m, (c->phase == CONN_CLOSED) == m->removed);
	machine_check_time(m);
	if (c->phase == CONN_CONNECTING || c->phase == CONN_SYN_SENT)
		m->adv = c->rcv_adv;
	else if (c->phase != CONN_CLOSED)
		machine_check_from_guest(m);
	if (c->phase == CONN_OPEN || c->phase == CONN_TIME_WAIT)
		machine_check_to_guest(m);
}

/* machine_emit() - Send a segment to the guest, as tcp/to_guest.c does. Its
 * payload is what the socket has at this distance from its first byte */
static void machine_emit(struct machine *m, uint8_t flags, uint32_t seq,
			 uint32_t len)
{
	static uint8_t seg[TCP_HLEN_MAX + UINT16_MAX];
	struct tcp_conn *c = &m->c;
	struct tcp_hdr h = {
		.sport = m->pport, .dport = m->gport, .seq = seq,
		.ack = c->rcv_nxt, .wscale = -1, .flags = flags | SEG_ACK,
		.wnd = conn_window_field(c, false),
	};
	uint32_t edge = c->rcv_nxt + ((uint32_t)h.wnd << c->rcv_wscale), i;
	size_t hlen;

	/* The window field gives the right edge of the window. But it is 0 if
	 * the guest has repeated the same data for too long, see
	 * conn_window_field(). */
	if (c->stall_at && c->heard_at >= c->stall_at)
		MUST(m, !h.wnd);
	else
		MUST(m, edge == c->rcv_adv);
	if (!len)
		h.nsack = (uint8_t)conn_sack_blocks(c, h.sack);
	conn_ack_sent(c, len);
	if (!m->out)
		return;
	hlen = tcp_hdr_put(&h, seg);
	for (i = 0; i < len; i++)
		seg[hlen + i] = stream_byte(m->pport, m->discarded + seq + i -
					    c->snd_una);
	m->out(m->arg, seg, hlen + len);
}

/* machine_emit_rst() - Send RST to the guest, as tcp_to_guest_rst() does */
static void machine_emit_rst(struct machine *m)
{
	struct tcp_conn *c = &m->c;
	struct tcp_hdr h = {
		.sport = m->pport, .dport = m->gport, .ack = c->rcv_nxt,
		.seq = c->snd_max == c->isn ? 0 : c->snd_max, .wscale = -1,
		.flags = SEG_RST | SEG_ACK,
	};
	uint8_t seg[TCP_HLEN];

	if (m->out)
		m->out(m->arg, seg, tcp_hdr_put(&h, seg));
}

/* machine_refuse() - Answer a segment by RST, as tcp_to_guest_refuse() does */
static void machine_refuse(struct machine *m, const struct tcp_seg *in)
{
	struct tcp_hdr h = {
		.sport = m->pport, .dport = m->gport, .wscale = -1,
		.flags = SEG_RST,
	};
	uint8_t seg[TCP_HLEN];

	m->refused++;
	if (in->flags & SEG_RST || !m->out)
		return;
	if (in->flags & SEG_ACK) {
		h.seq = in->ack;
	} else {
		h.flags |= SEG_ACK;
		h.ack = tcp_seg_end(in);
	}
	m->out(m->arg, seg, tcp_hdr_put(&h, seg));
}

static void machine_emit_syn(struct machine *m)
{
	struct tcp_conn *c = &m->c;
	struct tcp_hdr h = {
		.sport = m->pport, .dport = m->gport, .seq = c->isn,
		.flags = SEG_SYN, .mss = 1460, .wnd = TCP_WND_INIT,
		.wscale = TCP_WSCALE, .sack_ok = true,
	};
	uint8_t seg[TCP_HLEN_MAX];

	MUST(m, c->phase == CONN_SYN_ACKED || c->phase == CONN_SYN_SENT);
	if (c->phase == CONN_SYN_ACKED) {
		h.flags |= SEG_ACK;
		h.ack = c->rcv_nxt;
		h.wnd = conn_window_field(c, true);
		h.wscale = c->rcv_wscale ? (int8_t)c->rcv_wscale : -1;
		h.sack_ok = c->sack_ok;
	}
	if (m->out)
		m->out(m->arg, seg, tcp_hdr_put(&h, seg));
}

/* machine_write() - Write to the socket; return how many bytes it took */
static uint32_t machine_write(struct machine *m, const uint8_t *p, uint32_t len)
{
	uint32_t n = MIN(len, m->sndbuf - m->buffered), i;
	bool same = true;

	for (i = 0; m->gport && i < n; i++)
		same &= p[i] == stream_byte(m->gport, m->took + i);
	MUST(m, same);
	MUST(m, !n || !m->shut);
	m->buffered += n;
	m->took += n;
	if (n < len)
		m->want_epollout = true;
	return n;
}

/* machine_write_backlog() - Write the backlog to the socket, except for its
 * last @beyond bytes; return whether the socket took all */
static bool machine_write_backlog(struct machine *m, uint32_t beyond)
{
	struct tcp_conn *c = &m->c;
	uint32_t len, n;
	struct iovec iov[2];

	while (c->rcv_queued > beyond) {
		len = c->rcv_queued - beyond;
		rxring_read(&m->rxring, c->rcv_nxt, len, iov);
		n = machine_write(m, iov[0].iov_base, (uint32_t)iov[0].iov_len);
		if (n == iov[0].iov_len && n < len)
			n += machine_write(m, iov[1].iov_base, len - n);
		conn_delivered(c, n, m->now);
		if (n < len)
			return false;
	}
	return true;
}

static void machine_release_rxring(struct machine *m)
{
	if (m->rxring.buf && !m->c.rcv_queued && !m->c.ooo.n)
		rxring_free(&m->rxring, &m->rxring_total);
}

/* machine_deliver() - Write the batch to the socket, and store what it does not
 * take */
static void machine_deliver(struct machine *m)
{
	struct tcp_conn *c = &m->c;
	uint32_t seq = c->rcv_nxt + c->rcv_queued - m->payload_len, n = 0;
	bool stored = true;

	if (!m->payload_len)
		return;
	if (machine_write_backlog(m, m->payload_len))
		n = machine_write(m, m->payload, m->payload_len);
	if (n < m->payload_len)
		stored = rxring_grow(&m->rxring, &m->rxring_total, c->rcv_nxt,
				 seq + m->payload_len);
	if (n < m->payload_len && stored)
		rxring_write(&m->rxring, seq + n, m->payload + n,
			     m->payload_len - n);
	m->payload_len = 0;
	conn_delivered(c, n, m->now);
	if (!stored)
		conn_drop_backlog(c);
	if (n)
		machine_write_backlog(m, 0);
	machine_release_rxring(m);
}

/* machine_space() - Set the window that passt offers from the space in the
 * socket's send buffer */
static void machine_space(struct machine *m)
{
	uint32_t space = m->sndbuf - m->buffered;

	conn_set_space(&m->c, m->c.rcv_queued ? 0 : space, TCP_WND_OURS);
	if (space < m->sndbuf / 3)
		m->want_epollout = true;
}

static void machine_retransmit(struct machine *m)
{
	struct tcp_conn *c = &m->c;
	struct tcp_range hole;
	unsigned int n = 0;

	while (conn_next_hole(c, &hole)) {
		MUST(m, seq_le(c->snd_una, hole.from));
		MUST(m, seq_le(hole.end, c->snd_max));
		MUST(m, hole.end - hole.from <= c->mss);
		MUST(m, seq_le(hole.end, c->isn + 1 + m->arrived));
		if (hole.end == hole.from) {
			MUST(m, c->eof && hole.from == c->fin_seq);
			machine_emit(m, SEG_FIN, hole.from, 0);
		} else {
			machine_emit(m, 0, hole.from, hole.end - hole.from);
		}
		conn_hole_sent(c, &hole);
		m->retransmits++;
		if (n++ > 20000) {
			machine_wrong(m, "holes without end", __LINE__);
			return;
		}
	}
}

/* machine_send_segment() - Send @len bytes, and FIN with them if it comes next,
 * as commit_peeked() does; @all: the socket has no more data */
static void machine_send_segment(struct machine *m, uint32_t len, bool all)
{
	struct tcp_conn *c = &m->c;
	uint32_t end = c->snd_nxt + len;
	bool fin = c->eof ? end == c->fin_seq : all && m->fin;

	if (end - c->snd_una >= c->snd_wnd)
		fin = false;
	machine_emit(m, fin ? SEG_FIN : 0, c->snd_nxt, len);
	conn_data_sent(c, len, m->now);
	if (all && m->fin)
		conn_eof(c);
	else if (all)
		m->readable = false;
	if (fin)
		conn_fin_sent(c, m->now);
}

/* machine_send() - Send as much as the socket has and the guest's window
 * allows */
static void machine_send(struct machine *m)
{
	struct tcp_conn *c = &m->c;
	uint32_t usable, left, n;

	machine_retransmit(m);
	while (m->readable && !conn_all_sent(c)) {
		left = c->isn + 1 + m->arrived - c->snd_nxt;
		usable = conn_usable_window(c);
		if (!usable) {
			conn_window_closed(c, m->now);
			return;
		}
		MUST(m, c->snd_nxt + usable - c->snd_una <= c->snd_wnd);
		n = MIN(MIN(usable, left), c->mss);
		if (!n) {
			m->readable = false;
			if (m->fin)
				conn_eof(c);
			break;
		}
		machine_send_segment(m, n, n == left && n < usable);
	}
	if (!c->eof || c->snd_nxt != c->fin_seq || c->phase != CONN_OPEN)
		return;
	if (!conn_fin_due(c)) {
		conn_window_closed(c, m->now);
		return;
	}
	machine_emit(m, SEG_FIN, c->fin_seq, 0);
	conn_fin_sent(c, m->now);
}

/* machine_finish_closed() - Record how the connection ended, and remove the
 * flow */
static void machine_finish_closed(struct machine *m, uint32_t actions)
{
	MUST(m, actions & CONN_DO_REMOVE);
	m->rst_guest = actions & CONN_DO_RST_GUEST;
	m->rst_peer = actions & CONN_DO_RST_PEER;
	if (m->rst_guest)
		machine_emit_rst(m);
	else if (actions & CONN_DO_ACK && !m->rst_peer)
		machine_emit(m, 0, m->c.snd_nxt, 0);
	m->removed = true;
	rxring_free(&m->rxring, &m->rxring_total);
}

/* machine_do_actions() - Do the pending actions, then check invariants */
static void machine_do_actions(struct machine *m)
{
	struct tcp_conn *c = &m->c;
	uint32_t actions = conn_take_actions(c, ~(uint32_t)CONN_DO_ACK);

	if (actions & CONN_DO_DISCARD) {
		MUST(m, c->discard <= m->arrived - m->discarded);
		m->discarded += conn_take_discard(c);
	}
	if (actions & CONN_DO_REWIND) {
		m->rewinds++;
		m->readable = true;
	}
	if (actions & CONN_DO_SHUTDOWN) {
		MUST(m, !m->shut);
		m->shut = true;
	}
	if (actions & CONN_DO_SYN)
		machine_emit_syn(m);
	if (actions & CONN_DO_PROBE)
		machine_emit(m, 0, c->snd_una - 1, 0);
	if (actions & CONN_DO_CHALLENGE) {
		m->challenges++;
		machine_emit(m, 0, c->snd_nxt, 0);
	}
	if (actions & (CONN_DO_RETRANSMIT | CONN_DO_SEND) && c->phase == CONN_OPEN)
		machine_send(m);
	if (actions & CONN_DO_CLOSE) {
		MUST(m, !m->closed && !c->rcv_queued);
		m->closed = true;
	}
	if (c->phase == CONN_CLOSED && !m->removed)
		machine_finish_closed(m, c->actions | actions);
	machine_check(m);
}

/* machine_pass_end() - Send the ACK that no other segment has carried */
static void machine_pass_end(struct machine *m)
{
	if (!m->removed && m->c.actions & CONN_DO_ACK &&
	    !conn_ack_can_wait(&m->c, m->now))
		machine_emit(m, 0, m->c.snd_nxt, 0);
	if (!m->removed)
		machine_check(m);
}

/* machine_clear() - Free the receive ring, and set counts to 0, flags to false
 * and @wrong to NULL, for a new connection */
static void machine_clear(struct machine *m)
{
	rxring_free(&m->rxring, &m->rxring_total);
	m->took = m->buffered = m->arrived = m->discarded = m->payload_len = 0;
	m->dups = 0;
	m->shut = m->want_epollout = m->fin = m->readable = false;
	m->challenges = m->refused = m->rewinds = m->retransmits = 0;
	m->rst_guest = m->rst_peer = m->closed = m->removed = false;
	m->wrong = NULL;
}

/* machine_opens() - Begin a connection with the guest's SYN */
static void machine_opens(struct machine *m, struct tcp_seg *seg, uint32_t isn)
{
	machine_clear(m);
	if (!seg->mss)
		seg->mss = 536;
	m->irs = seg->seq;
	m->phase = CONN_CONNECTING;
	conn_guest_syn(&m->c, seg, isn, 1460, m->now);
	m->adv = m->c.rcv_adv;
	machine_do_actions(m);
}

/* machine_connected() - Tell the connection that its socket has connected */
static void machine_connected(struct machine *m)
{
	conn_connected(&m->c, m->now);
	m->readable = true;
	machine_do_actions(m);
}

/* machine_accepted() - Begin a connection whose socket comes from a listener */
static void machine_accepted(struct machine *m, uint32_t isn)
{
	machine_clear(m);
	m->phase = CONN_SYN_SENT;
	conn_accepted(&m->c, isn, 1460, m->now);
	m->readable = true;
	machine_do_actions(m);
}

/* machine_store_ooo() - Store out-of-order payload, if there is memory */
static void machine_store_ooo(struct machine *m, struct new_payload new,
			 const uint8_t *data)
{
	struct tcp_conn *c = &m->c;

	if (!rxring_grow(&m->rxring, &m->rxring_total, c->rcv_nxt,
			 new.seq + new.len))
		return;
	rxring_write(&m->rxring, new.seq, data + new.skip, new.len);
	conn_ooo_stored(c, new.seq, new.len);
}

/**
 * machine_feed_segment() - Receive one segment of a batch
 * @m:		machine
 * @seg:	segment
 * @data:	its payload
 */
static void machine_feed_segment(struct machine *m, struct tcp_seg *seg,
			 const uint8_t *data)
{
	struct tcp_conn *c = &m->c;
	uint32_t next = c->rcv_nxt + c->rcv_queued;
	bool first = c->phase == CONN_SYN_SENT;
	struct new_payload new;
	uint32_t actions;

	if (m->removed)
		return;
	if (seg->flags & SEG_SYN && !seg->mss)
		seg->mss = 536;
	new = conn_segment(c, seg, m->now);
	if (first && c->phase != CONN_SYN_SENT) {
		m->irs = seg->seq;
		m->adv = c->rcv_adv;
	}
	if (new.len) {
		MUST(m, new.seq == seg->seq + new.skip);
		MUST(m, new.skip + new.len <= seg->len);
		MUST(m, seq_le(new.seq + new.len, c->rcv_adv));
		MUST(m, new.ooo ? seq_lt(next, new.seq) :
		     new.seq == next);
	}
	if (new.len && new.ooo) {
		machine_store_ooo(m, new, data);
	} else if (new.len) {
		memcpy(m->payload + m->payload_len, data + new.skip, new.len);
		m->payload_len += new.len;
	}
	actions = conn_take_actions(c, CONN_DO_REFUSE | CONN_DO_DUP_ACK);
	if (actions & CONN_DO_REFUSE)
		machine_refuse(m, seg);
	m->dups += actions & CONN_DO_DUP_ACK ? 1 : 0;
	if (c->phase == CONN_CLOSED) {
		machine_deliver(m);
		machine_do_actions(m);
	}
}

/* machine_finish_batch() - Write the batch to the socket, send duplicate ACKs,
 * and do the pending actions */
static void machine_finish_batch(struct machine *m)
{
	unsigned int n;

	if (m->removed)
		return;
	machine_deliver(m);
	if (conn_wants_space(&m->c))
		machine_space(m);
	for (n = MIN(m->dups, m->c.sack_ok ? 1 : 8); n; n--)
		machine_emit(m, 0, m->c.snd_nxt, 0);
	m->dups = 0;
	machine_do_actions(m);
}

/* machine_drain() - Let the peer take bytes from the socket's send buffer */
static void machine_drain(struct machine *m, uint32_t bytes)
{
	m->buffered -= MIN(bytes, m->buffered);
	if (m->removed || m->closed || !m->want_epollout ||
	    m->buffered > m->sndbuf / 3 * 2)
		return;
	m->want_epollout = false;
	if (!machine_write_backlog(m, 0))
		m->want_epollout = true;
	machine_release_rxring(m);
	if (m->c.phase == CONN_OPEN && !m->c.fin_rcvd)
		machine_space(m);
	machine_do_actions(m);
}

/* machine_arrives() - Let bytes of the peer arrive at the socket, and FIN if
 * @fin is true */
static void machine_arrives(struct machine *m, uint32_t bytes, bool fin)
{
	m->arrived += bytes;
	m->fin |= fin;
	m->readable = true;
	if (m->removed || m->closed)
		return;
	if (m->c.phase == CONN_OPEN)
		machine_send(m);
	if (m->c.phase != CONN_CONNECTING)
		machine_do_actions(m);
}

/* machine_timer() - Tell the connection that it is @now, and do the actions
 * that are due */
static void machine_timer(struct machine *m)
{
	if (m->removed)
		return;
	conn_timeout(&m->c, m->now);
	MUST(m, m->c.timer == CONN_TIMER_NONE || m->now < m->c.deadline);
	machine_do_actions(m);
}

/* machine_next() - Get the time in ms of the next timeout, before which
 * machine_timer() has nothing to do */
__attribute__((unused))
static uint64_t machine_next(const struct machine *m)
{
	uint64_t due = m->c.timer == CONN_TIMER_NONE ? GUEST_NEVER : m->c.deadline;

	if (m->removed)
		return GUEST_NEVER;
	return m->c.ack_due ? MIN(due, m->c.ack_due) : due;
}

#endif /* TEST_UNIT_MACHINE_H */
