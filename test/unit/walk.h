/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * walk.h - One step of a TCP connection, drawn at random: the guest sends valid
 * or invalid segments, the socket takes or supplies data, or time passes.
 * conn_walk.c draws from a generator of random numbers, and the fuzz target
 * tcp_walk.c from its input: each has its own below() and next_random().
 */
#ifndef TEST_UNIT_WALK_H
#define TEST_UNIT_WALK_H

#include "test/unit/machine.h"

#define PATIENCE	(4ULL * 3600 * 1000)	/* ms of silence, at most */
#define LEN_MAX		4000		/* limit for bytes in a segment */

/* Situations that the random walks of this test must reach, each at least 20
 * times in all walks together. */
enum sight {
	SAW_CONNECTING, SAW_SYN_ACKED, SAW_SYN_SENT, SAW_OPEN, SAW_WAIT,
	SAW_BOTH_SYN, SAW_GUEST_FIN, SAW_PEER_FIN, SAW_RECOVERY, SAW_SACKED,
	SAW_REWIND, SAW_PERSIST, SAW_OOO, SAW_BACKLOG, SAW_CHALLENGE,
	SAW_REFUSED, SAW_FIN_OOO, SAW_NO_WINDOW, SAW_RST, SAW_WRAP_FROM_GUEST,
	SAW_WRAP_TO_GUEST, SAW_FIN_WAITS, SIGHTS,
};

static const char *const sight_name[SIGHTS] = {
	[SAW_CONNECTING] = "connecting", [SAW_SYN_ACKED] = "syn-acked",
	[SAW_SYN_SENT] = "syn-sent", [SAW_OPEN] = "open", [SAW_WAIT] = "wait",
	[SAW_BOTH_SYN] = "simultaneous open", [SAW_GUEST_FIN] = "guest's FIN",
	[SAW_PEER_FIN] = "peer's FIN", [SAW_RECOVERY] = "recovery",
	[SAW_SACKED] = "SACK blocks", [SAW_REWIND] = "timeout",
	[SAW_PERSIST] = "persist", [SAW_OOO] = "data after a gap",
	[SAW_BACKLOG] = "backlog", [SAW_CHALLENGE] = "challenge",
	[SAW_REFUSED] = "refused", [SAW_FIN_OOO] = "FIN after a gap",
	[SAW_NO_WINDOW] = "window of zero offered to the guest",
	[SAW_RST] = "RST to the guest",
	[SAW_WRAP_FROM_GUEST] = "wrap of the guest's numbers",
	[SAW_WRAP_TO_GUEST] = "wrap of our numbers",
	[SAW_FIN_WAITS] = "FIN after a backlog",
};

static struct machine m;
static unsigned long seen[SIGHTS];

/* The guest's next sequence number, and the window that the guest offers. */
static uint32_t guest_nxt;
static uint16_t guest_wnd;

/* one_in() - True with a probability of 1 / @n */
static bool one_in(uint32_t n)
{
	return !below(n);
}

/* near_wrap() - Choose an initial sequence number, mostly shortly before 2^32
 * or 2^31 */
static uint32_t near_wrap(void)
{
	switch (below(4)) {
	case 0:
		return (uint32_t)next_random();
	case 1:
		return INT32_MAX - below(100000);
	default:
		return UINT32_MAX - below(200000);
	}
}

/* look() - Count the situations (enum sight) that the connection is in */
static void look(void)
{
	const struct tcp_conn *c = &m.c;
	static const enum sight of[] = {
		[CONN_CONNECTING] = SAW_CONNECTING,
		[CONN_SYN_ACKED] = SAW_SYN_ACKED,
		[CONN_SYN_SENT] = SAW_SYN_SENT, [CONN_OPEN] = SAW_OPEN,
		[CONN_TIME_WAIT] = SAW_WAIT,
	};

	if (m.removed)
		return;
	seen[of[c->phase]]++;
	if (c->phase != CONN_OPEN)
		return;
	seen[SAW_GUEST_FIN] += c->fin_rcvd;
	seen[SAW_PEER_FIN] += c->eof;
	seen[SAW_RECOVERY] += c->recovering;
	seen[SAW_SACKED] += c->sacked.n > 0;
	seen[SAW_PERSIST] += c->timer == CONN_TIMER_PERSIST;
	seen[SAW_OOO] += c->ooo.n > 0;
	seen[SAW_BACKLOG] += c->rcv_queued > 0;
	seen[SAW_FIN_OOO] += c->fin_seen && !c->fin_queued;
	seen[SAW_FIN_WAITS] += c->fin_queued && !c->fin_rcvd;
	seen[SAW_NO_WINDOW] += c->rcv_adv == c->rcv_nxt;
	seen[SAW_WRAP_FROM_GUEST] += c->rcv_nxt < m.irs;
	seen[SAW_WRAP_TO_GUEST] += c->snd_nxt < c->isn;
}

/* some_seq() - Choose the sequence number of a segment, mostly near the edge of
 * the window or of received data */
static uint32_t some_seq(void)
{
	const struct tcp_conn *c = &m.c;
	uint32_t next = c->rcv_nxt + c->rcv_queued, span;

	switch (below(16)) {
	case 0: case 1: case 2: case 3: case 4:
		return guest_nxt;
	case 5: case 6: case 7:
		return next;
	case 8:
		return c->rcv_nxt - below(3);
	case 9:
		return next + 2 - below(5);
	case 10:
		return c->rcv_adv + 2 - below(5);
	case 11:
		if (c->ooo.n)
			return c->ooo.r[below(c->ooo.n)].end + 1 - below(3);
		return next;
	case 12:
		if (c->ooo.n)
			return c->ooo.r[below(c->ooo.n)].from -
			       below(3000);
		return next;
	case 13: case 14:
		span = c->rcv_adv - c->rcv_nxt + 4000;
		return c->rcv_nxt - 2000 + below(span);
	default:
		return one_in(8) ? (uint32_t)next_random() : guest_nxt;
	}
}

/* some_ack() - Choose the ACK of a segment, mostly of data that was sent */
static uint32_t some_ack(void)
{
	const struct tcp_conn *c = &m.c;
	uint32_t flight = c->snd_max - c->snd_una;

	switch (below(16)) {
	case 0: case 1: case 2: case 3:
		return c->snd_una;
	case 4: case 5: case 6: case 7:
		return c->snd_max;
	case 8:
		return c->snd_nxt;
	case 9: case 10: case 11: case 12:
		return c->snd_una + below(flight + 1);
	case 13:
		return c->snd_una + below(2 * c->mss);
	case 14:
		return c->snd_una - below(3000);
	default:
		return one_in(8) ? (uint32_t)next_random() : c->snd_max + 1;
	}
}

/* some_sacks() - Add SACK blocks, mostly of data in flight, sometimes at
 * random */
static void some_sacks(struct tcp_seg *seg)
{
	const struct tcp_conn *c = &m.c;
	uint32_t flight = c->snd_max - c->snd_una, start;
	unsigned int i;

	seg->nsack = (uint8_t)below(TCP_SACK_BLOCKS + 1);
	for (i = 0; i < seg->nsack; i++) {
		start = c->snd_una + below(flight + 1);
		if (one_in(20))
			start = (uint32_t)next_random();
		seg->sack[i] = (struct tcp_range){
			start, start + below(3 * c->mss) };
	}
}

/* some_flags() - Choose flags, mostly ACK alone, because RST or FIN would end
 * the connection early */
static uint8_t some_flags(void)
{
	switch (below(512)) {
	case 0:
		return SEG_RST;
	case 1:
		return SEG_RST | SEG_ACK;
	case 2:
		return SEG_SYN;
	case 3:
		return SEG_SYN | SEG_ACK;
	case 4:
		return 0;
	case 5:
		return SEG_FIN;
	case 6: case 7: case 8:
		return SEG_FIN | SEG_ACK;
	default:
		return SEG_ACK;
	}
}

static struct tcp_seg some_segment(void)
{
	uint32_t space = m.c.rcv_adv - guest_nxt;
	struct tcp_seg seg = {
		.seq = some_seq(), .ack = some_ack(), .flags = some_flags(),
		.wnd = guest_wnd, .wscale = -1,
	};

	if (!one_in(3))
		seg.len = below(LEN_MAX);
	if (one_in(20))
		guest_wnd = (uint16_t)(one_in(3) ? 0 : one_in(3) ? below(20) :
				       below(UINT16_MAX));
	if (m.c.sack_ok && one_in(3))
		some_sacks(&seg);
	if (seg.flags & SEG_RST && !one_in(3))
		seg.seq += 100;
	if (seg.seq == guest_nxt) {
		if (!one_in(10) && seq_lt(guest_nxt, m.c.rcv_adv))
			seg.len = MIN(seg.len, space);
		guest_nxt += seg.len;
	}
	return seg;
}

/* guest_sends() - Let the guest send a batch of segments, and lose some of
 * them */
static void guest_sends(void)
{
	static uint8_t data[LEN_MAX];
	unsigned int n = one_in(3) ? 1 + below(4) : 1;
	struct tcp_seg seg;

	for (; n && !m.removed; n--) {
		seg = some_segment();
		if (!one_in(6) && m.payload_len + LEN_MAX < MACHINE_PAYLOAD)
			machine_feed_segment(&m, &seg, data);
	}
	machine_finish_batch(&m);
}

/* guest_agrees() - Do the next step of the handshake */
static void guest_agrees(void)
{
	struct tcp_seg seg = { .wnd = UINT16_MAX, .wscale = -1 };

	if (m.c.phase == CONN_CONNECTING) {
		machine_connected(&m);
		return;
	}
	if (m.c.phase == CONN_SYN_SENT) {
		seg.flags = SEG_SYN | SEG_ACK;
		seg.wscale = (int8_t)(below(16) - 1);
		seg.sack_ok = !one_in(3);
		seg.seq = near_wrap();
		seg.ack = m.c.snd_nxt;
		if (one_in(3)) {
			seg.flags = SEG_SYN;
			seen[SAW_BOTH_SYN]++;
		}
		guest_nxt = seg.seq + 1;
	} else {
		seg.flags = SEG_ACK;
		seg.seq = m.c.rcv_nxt;
		seg.ack = m.c.snd_nxt;
	}
	machine_feed_segment(&m, &seg, NULL);
	machine_finish_batch(&m);
}

static void time_passes(void)
{
	uint64_t next = machine_next(&m);

	if (one_in(4) && next != GUEST_NEVER && next > m.now)
		m.now = next;
	else
		m.now += below(one_in(10) ? 3000 : 20);
	machine_timer(&m);
}

/* something_rare() - Let the peer send FIN or fail, abort the connection, or
 * let the guest send while other connections use up all memory */
static void something_rare(void)
{
	size_t others = TCP_RXRING_MAX - m.rxring_total;

	switch (below(24)) {
	case 0:
		machine_arrives(&m, 0, true);
		break;
	case 1:
		if (m.closed)
			break;
		if (m.c.phase == CONN_CONNECTING)
			conn_connect_failed(&m.c, one_in(2));
		else
			conn_peer_error(&m.c);
		machine_do_actions(&m);
		break;
	case 2:
		conn_abort(&m.c);
		machine_do_actions(&m);
		break;
	default:
		m.rxring_total += others;
		guest_sends();
		m.rxring_total -= others;
		break;
	}
}

static void step(void)
{
	bool open = m.c.phase == CONN_OPEN || m.c.phase == CONN_TIME_WAIT;

	if (!open && one_in(4)) {
		guest_agrees();
	} else if (one_in(200)) {
		something_rare();
	} else {
		switch (below(8)) {
		case 0:
			machine_drain(&m, below(m.sndbuf));
			break;
		case 1:
			if (!m.fin)
				machine_arrives(&m, below(20000), false);
			break;
		case 2:
			time_passes();
			break;
		default:
			guest_sends();
			break;
		}
	}
	if (one_in(2))
		machine_pass_end(&m);
	look();
}

static void begin(void)
{
	struct tcp_seg syn = {
		.seq = near_wrap(), .flags = SEG_SYN, .mss = 1460,
		.wnd = (uint16_t)next_random(), .sack_ok = !one_in(3),
		.wscale = (int8_t)(below(16) - 1),
	};

	m.now = 1000000;
	m.sndbuf = 1000 + below(one_in(2) ? 20000 : 300000);
	guest_wnd = (uint16_t)next_random();
	guest_nxt = syn.seq + 1;
	if (one_in(2))
		machine_opens(&m, &syn, near_wrap());
	else
		machine_accepted(&m, near_wrap());
}

/* sane() - Whether the guest has sent nothing beyond its FIN */
static bool sane(void)
{
	const struct tcp_conn *c = &m.c;
	uint32_t end = c->rcv_nxt + c->rcv_queued;

	if (!c->fin_seen)
		return true;
	if (c->ooo.n)
		end = c->ooo.r[c->ooo.n - 1].end;
	return seq_le(c->snd_wl1, c->guest_fin_seq + 1) &&
	       (c->fin_queued || seq_le(end, c->guest_fin_seq));
}

/* guest_ends() - Let the guest send missing data, or else FIN, and acknowledge
 * all */
static void guest_ends(void)
{
	static uint8_t data[LEN_MAX];
	const struct tcp_conn *c = &m.c;
	uint32_t next = c->rcv_nxt + c->rcv_queued, space = c->rcv_adv - next;
	struct tcp_seg seg = {
		.flags = SEG_ACK, .seq = next, .ack = c->snd_max,
		.wnd = UINT16_MAX, .wscale = -1,
	};

	if (c->fin_queued) {
		seg.seq += !c->fin_rcvd;
	} else if (c->fin_seen) {
		seg.len = MIN(c->guest_fin_seq - next, MIN(space, LEN_MAX));
	} else if (seq_lt(next, c->snd_wl1)) {
		seg.len = MIN(c->snd_wl1 - next, MIN(space, LEN_MAX));
	} else {
		seg.flags |= SEG_FIN;
	}
	machine_feed_segment(&m, &seg, data);
	machine_finish_batch(&m);
}

/* both_end() - Let both ends send all that they have to send, and then FIN;
 * check that the flow is closed within seconds */
static void both_end(void)
{
	uint64_t start = m.now;
	unsigned int i;

	for (i = 0; i < 2000 && !m.removed; i++) {
		if (m.c.phase <= CONN_SYN_SENT)
			guest_agrees();
		else if (m.c.phase == CONN_OPEN)
			guest_ends();
		if (!m.removed && !m.fin)
			machine_arrives(&m, 0, true);
		machine_drain(&m, m.sndbuf);
		m.now += 5;
		machine_timer(&m);
		machine_pass_end(&m);
		look();
	}
	MUST(&m, m.removed);
	MUST(&m, m.now - start <= 2 * TCP_TIMEWAIT_LEN + 6000);
}

/* silence() - Let both ends be silent; check that the flow is closed within
 * PATIENCE */
static void silence(void)
{
	uint64_t start = m.now;
	unsigned int i;

	if (m.c.phase == CONN_CONNECTING)
		conn_connect_failed(&m.c, false);
	for (i = 0; i < 100 && !m.removed; i++) {
		if (machine_next(&m) != GUEST_NEVER)
			m.now = MAX(m.now, machine_next(&m));
		machine_timer(&m);
		machine_pass_end(&m);
		look();
	}
	MUST(&m, m.removed);
	MUST(&m, m.now - start <= PATIENCE);
}

#endif /* TEST_UNIT_WALK_H */
