/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * pack.h - Writes the state of the world of world.h as a short string of bytes,
 * and sets the world from such a string. Two states have the same string if the
 * same may happen after them: the string has sequence numbers relative to the
 * initial ones, and instead of times, only what set_times() needs.
 *
 * Each move starts from a string. So a move can't depend on anything that is
 * not in the string. pack_world() checks that the string has the whole state.
 */
#ifndef TEST_UNIT_PACK_H
#define TEST_UNIT_PACK_H

#include <stddef.h>

#include "test/unit/world.h"

#define PACK_MAX	768	/* bytes of a string, at most */

/* What a member of a structure is: a value below 2^8 or below 2^16, or a
 * sequence number of the guest or of passt. */
enum kind { BYTE, WORD, GUESTS, OURS };

struct field {
	uint32_t at;
	uint8_t size;
	enum kind kind;
};

#define FIELD(type, name, what) { \
	offsetof(type, name), sizeof(((type *)NULL)->name), what }
#define CONN(name, kind)	FIELD(struct tcp_conn, name, kind)
#define MACHINE(name, kind)	FIELD(struct machine, name, kind)
#define MINI(name, kind)	FIELD(struct mini, name, kind)
#define SEG(name, kind)		FIELD(struct tcp_seg, name, kind)

static const struct field conn_fields[] = {
	CONN(phase, BYTE), CONN(actions, WORD), CONN(isn, OURS),
	CONN(rcv_nxt, GUESTS), CONN(rcv_queued, BYTE), CONN(rcv_adv, GUESTS),
	CONN(rcv_wnd, WORD), CONN(rcv_acked, GUESTS), CONN(rcv_mss, BYTE),
	CONN(rcv_wscale, BYTE), CONN(fin_queued, BYTE), CONN(fin_rcvd, BYTE),
	CONN(fin_seen, BYTE), CONN(sack_ok, BYTE), CONN(ack_delay, BYTE),
	CONN(guest_fin_seq, GUESTS), CONN(ooo_recent[0], GUESTS),
	CONN(ooo_recent[1], GUESTS), CONN(ooo_recent[2], GUESTS),
	CONN(ooo_recent[3], GUESTS), CONN(snd_wscale, BYTE), CONN(eof, BYTE),
	CONN(fin_first, BYTE), CONN(wnd_blocked, BYTE),
	CONN(recovering, BYTE), CONN(mss, WORD), CONN(snd_una, OURS),
	CONN(snd_nxt, OURS), CONN(snd_max, OURS), CONN(snd_wnd, WORD),
	CONN(snd_wl1, GUESTS), CONN(snd_wl2, OURS), CONN(wnd_max, WORD),
	CONN(fin_seq, OURS), CONN(discard, BYTE), CONN(recover, OURS),
	CONN(rtx_next, OURS), CONN(rtx_mark, OURS), CONN(dupacks, BYTE),
	CONN(tries, BYTE), CONN(timer, BYTE),
};

static const struct field machine_fields[] = {
	MACHINE(buffered, BYTE), MACHINE(shut, BYTE),
	MACHINE(want_epollout, BYTE), MACHINE(discarded, BYTE),
	MACHINE(readable, BYTE), MACHINE(closed, BYTE), MACHINE(irs, GUESTS),
	MACHINE(adv, GUESTS), MACHINE(phase, BYTE),
};

static const struct field mini_fields[] = {
	MINI(sack_ok, BYTE), MINI(fin, BYTE), MINI(passive, BYTE),
	MINI(rx_fin, BYTE), MINI(fin_seen, BYTE), MINI(snd_una, GUESTS),
	MINI(snd_nxt, GUESTS), MINI(snd_max, GUESTS), MINI(snd_wnd, WORD),
	MINI(snd_wl1, OURS), MINI(snd_wl2, GUESTS), MINI(rcv_nxt, OURS),
	MINI(unread, BYTE), MINI(fin_at, OURS), MINI(written, BYTE),
};

static const struct field seg_fields[] = {
	SEG(seq, WORD), SEG(ack, WORD), SEG(wnd, WORD), SEG(flags, BYTE),
	SEG(mss, WORD), SEG(len, BYTE), SEG(sack_ok, BYTE), SEG(nsack, BYTE),
};

/**
 * struct packer - A string that is being written or read
 * @p:		next byte
 * @reads:	the string is read
 * @bad:	a value did not fit
 */
struct packer {
	uint8_t *p;
	bool reads, bad;
};

static uint32_t base_of(enum kind kind)
{
	return kind == GUESTS ? MINI_ISS : kind == OURS ? MINI_IRS : 0;
}

/* pass_value() - Write or read a number of at most 8 or 16 bits */
static void pass_value(struct packer *k, enum kind kind, uint32_t *v)
{
	uint32_t rel = *v - base_of(kind);

	if (k->reads) {
		rel = *k->p++;
		if (kind != BYTE)
			rel |= (uint32_t)*k->p++ << 8;
		*v = rel + base_of(kind);
		return;
	}
	k->bad |= rel > (kind == BYTE ? UINT8_MAX : UINT16_MAX);
	*k->p++ = (uint8_t)rel;
	if (kind != BYTE)
		*k->p++ = (uint8_t)(rel >> 8);
}

/* pass_byte() - Write a byte, or return the byte that is read */
static uint8_t pass_byte(struct packer *k, uint8_t byte)
{
	uint32_t v = byte;

	pass_value(k, BYTE, &v);
	return (uint8_t)v;
}

/* pass_fields() - Write or read the fields of a structure; each is a number of
 * 8, 16 or 32 bits, or an enum of 32 bits */
static void pass_fields(struct packer *k, const struct field *f, size_t n,
			void *of)
{
	uint8_t *base = of;
	uint16_t v16;
	uint32_t v32;

	for (; n--; f++) {
		if (f->size == sizeof(v32)) {
			memcpy(&v32, base + f->at, sizeof(v32));
			pass_value(k, f->kind, &v32);
			memcpy(base + f->at, &v32, sizeof(v32));
		} else if (f->size == sizeof(v16)) {
			memcpy(&v16, base + f->at, sizeof(v16));
			v32 = v16;
			pass_value(k, f->kind, &v32);
			v16 = (uint16_t)v32;
			memcpy(base + f->at, &v16, sizeof(v16));
		} else {
			base[f->at] = pass_byte(k, base[f->at]);
		}
	}
}

/* pass_ranges() - Write or read ranges, of the sequence space that @kind
 * names */
static void pass_ranges(struct packer *k, enum kind kind, struct tcp_range *r,
			unsigned int n)
{
	for (; n--; r++) {
		pass_value(k, kind, &r->from);
		pass_value(k, kind, &r->end);
	}
}

/* pass_seg() - Write or read a segment on the link */
static void pass_seg(struct packer *k, enum way way, struct tcp_seg *s)
{
	enum kind seq = way == TO_GUEST ? OURS : GUESTS;
	enum kind ack = way == TO_GUEST ? GUESTS : OURS;
	struct tcp_seg rel = *s;

	rel.seq -= base_of(seq);
	rel.ack -= base_of(ack);
	pass_fields(k, seg_fields, ARRAY_SIZE(seg_fields), &rel);
	if (k->reads) {
		*s = rel;
		s->seq += base_of(seq);
		s->ack += base_of(ack);
	}
	s->wscale = (int8_t)(pass_byte(k, (uint8_t)(s->wscale + 1)) - 1);
	pass_ranges(k, ack, s->sack, s->nsack);
}

/* When the guest is told that the window is closed, see @stall_at: never,
 * later, with the next segment of the guest, from now on. */
enum stall { STALL_NEVER, STALL_LATER, STALL_NEXT, STALL_NOW };

static enum stall stall_of(const struct tcp_conn *c)
{
	if (!c->stall_at)
		return STALL_NEVER;
	if (c->heard_at >= c->stall_at)
		return STALL_NOW;
	return c->stall_at > NOW ? STALL_LATER : STALL_NEXT;
}

/* set_times() - Set all times of a connection from what its packed state says
 * of them: @stall, and whether an ACK is due */
static void set_times(struct tcp_conn *c, enum stall stall, bool ack_due)
{
	static const uint64_t at[] = { 0, NOW + TCP_STALL, NOW, NOW - 1 };

	c->heard_at = NOW - 1;
	c->stall_at = at[stall];
	c->ack_due = ack_due ? NOW + 1 : 0;
	c->deadline = c->timer == CONN_TIMER_NONE ? 0 : NOW + TCP_RTO_INIT;
	c->rto = TCP_RTO_INIT;
	c->srtt = c->rttvar = c->rtt_seq = 0;
	c->rtt_at = 0;
}

static void forget_ranges(struct tcp_ranges *rs)
{
	memset(&rs->r[rs->n], 0, (TCP_RANGES - rs->n) * sizeof(rs->r[0]));
}

/* forget_unused() - Clear what the connection does not read any more */
static void forget_unused(struct tcp_conn *c)
{
	forget_ranges(&c->ooo);
	forget_ranges(&c->sacked);
	if (!c->ooo.n)
		memset(c->ooo_recent, 0, sizeof(c->ooo_recent));
	if (!c->recovering)
		c->recover = c->rtx_next = c->rtx_mark = 0;
	c->tries = MIN(c->tries, TRIES_MANY);
}

/* pass_conn() - Write or read the connection */
static void pass_conn(struct packer *k, struct tcp_conn *c)
{
	enum stall stall = stall_of(c);
	bool due = c->ack_due;

	pass_fields(k, conn_fields, ARRAY_SIZE(conn_fields), c);
	stall = pass_byte(k, (uint8_t)stall);
	due = pass_byte(k, due);
	c->ooo.n = pass_byte(k, c->ooo.n);
	pass_ranges(k, GUESTS, c->ooo.r, c->ooo.n);
	c->sacked.n = pass_byte(k, c->sacked.n);
	pass_ranges(k, OURS, c->sacked.r, c->sacked.n);
	set_times(c, stall, due);
}

/* pass_world() - Write or read everything but the connection */
static void pass_world(struct packer *k)
{
	unsigned int way, i;

	w.faults = pass_byte(k, w.faults);
	w.may_reset = pass_byte(k, w.may_reset);
	w.may_lose = pass_byte(k, w.may_lose);
	w.opened = pass_byte(k, w.opened);
	m.removed = pass_byte(k, m.removed);
	m.arrived = pass_byte(k, (uint8_t)m.arrived);
	m.fin = pass_byte(k, m.fin);
	m.took = pass_byte(k, (uint8_t)m.took);
	w.written = pass_byte(k, (uint8_t)w.written);
	w.g.state = pass_byte(k, (uint8_t)w.g.state);
	if (w.g.state != MINI_CLOSED) {
		pass_fields(k, mini_fields, ARRAY_SIZE(mini_fields), &w.g);
		for (i = 0; i < sizeof(w.g.have); i++)
			w.g.have[i] = pass_byte(k, w.g.have[i]);
	}
	for (way = 0; way < 2; way++) {
		w.n[way] = pass_byte(k, w.n[way]);
		for (i = 0; i < w.n[way]; i++)
			pass_seg(k, way, &w.link[way][i]);
	}
}

/* ring_is_right() - Whether the receive ring has the bytes that the guest has
 * sent */
static bool ring_is_right(uint32_t from, uint32_t end)
{
	for (; from != end; from++)
		if (m.rxring.buf[from & (m.rxring.size - 1)] !=
		    stream_byte(GUEST_STREAM, from - MINI_ISS - 1))
			return false;
	return true;
}

/* check_ring() - Check the bytes that wait in the receive ring. They are not in
 * the string, because they follow from the sequence numbers */
static void check_ring(void)
{
	const struct tcp_conn *c = &m.c;
	unsigned int i;

	MUST(&m, ring_is_right(c->rcv_nxt, c->rcv_nxt + c->rcv_queued));
	for (i = 0; i < c->ooo.n; i++)
		MUST(&m, ring_is_right(c->ooo.r[i].from, c->ooo.r[i].end));
}

/* fill_ring() - Put the bytes that wait into the receive ring */
static void fill_ring(void)
{
	const struct tcp_conn *c = &m.c;
	uint32_t at = c->rcv_nxt, end = at + c->rcv_queued;
	uint8_t byte;

	rxring_free(&m.rxring, &m.rxring_total);
	if (c->ooo.n)
		end = c->ooo.r[c->ooo.n - 1].end;
	if (at == end)
		return;
	rxring_grow(&m.rxring, &m.rxring_total, at, end);
	for (; at != end; at++) {
		byte = stream_byte(GUEST_STREAM, at - MINI_ISS - 1);
		rxring_write(&m.rxring, at, &byte, 1);
	}
}

/* unpack_world() - Set the world from a string */
static void unpack_world(const struct bounds *b, const uint8_t *from)
{
	struct packer k = { .p = (uint8_t *)from, .reads = true };

	w = (struct world){
		.b = b, .g.sack = b->sack, .g.byte_probes = b->byte_probes,
		.g.rcvbuf = b->rcvbuf,
	};
	memset(&m.c, 0, sizeof(m.c));
	m.c.phase = CONN_CLOSED;
	m.buffered = m.discarded = m.adv = m.irs = m.payload_len = m.dups = 0;
	m.shut = m.want_epollout = m.readable = m.closed = false;
	m.rst_guest = m.rst_peer = false;
	m.rewinds = 0;
	m.wrong = NULL;
	m.now = NOW;
	m.sndbuf = b->sndbuf;
	pass_world(&k);
	if (w.opened && !m.removed) {
		pass_fields(&k, machine_fields, ARRAY_SIZE(machine_fields), &m);
		pass_conn(&k, &m.c);
	}
	fill_ring();
}

/* pack_world() - Write the world as a string; return its length. Nothing that
 * has an effect may be missing in it */
static size_t pack_world(uint8_t *to)
{
	struct packer k = { .p = to }, r = { .reads = true };
	struct tcp_conn copy;

	if (w.may_lose && m.removed)
		m.arrived = m.took = w.written = m.fin = 0;
	pass_world(&k);
	if (w.opened && !m.removed) {
		check_ring();
		forget_unused(&m.c);
		pass_fields(&k, machine_fields, ARRAY_SIZE(machine_fields), &m);
		r.p = k.p;
		memset(&copy, 0, sizeof(copy));
		pass_conn(&k, &m.c);
		pass_conn(&r, &copy);
		MUST(&m, !memcmp(&copy, &m.c, sizeof(copy)));
	}
	MUST(&m, !k.bad && k.p - to <= PACK_MAX);
	return (size_t)(k.p - to);
}

#endif /* TEST_UNIT_PACK_H */
