/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * fragments.c - libFuzzer target: whatever fragments a guest sends, passt
 * reassembles the same datagrams from them as a slow and simple model does, and
 * never uses more memory than it may.
 *
 * If the first byte of an input is even, the input is a list of fragments,
 * OP_LEN bytes each, which go to passt's table of fragments and to the model.
 * With IS_FLOODS, it is a list of floods of fragments, which use up the table:
 * there are few such inputs, because they are slow. Otherwise the input is a
 * list of frames, each preceded by its length (2 bytes). They go one by one
 * through tap_recv_burst().
 */
#include "checksum.h"
#include "test/memory.h"
#include "tap.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/mutate.h"

#define KEYS		8	/* datagrams that the table has space for */
#define OPS		16	/* limit of fragments in an input, for speed */
#define FRAMES		16	/* limit of frames in an input, for speed */
#define IS_FLOODS	2	/* the first byte of an input */
#define FLOODS		4	/* limit of floods in an input, for speed */
#define FLOOD_MAX	80	/* fragments in a flood, at most */
#define OP_LEN		5	/* bytes of an input that describe 1 fragment */
#define HDR_LEN(key)	((key) & 1 ? 14 + 40 + ((key) & 2) * 4 : 14 + 20)
#define PERIOD		256	/* bytes after which content repeats */
#define INVERSE		223	/* 31 * INVERSE is 1 modulo PERIOD */

/**
 * struct op - A fragment
 * @key:	number of its datagram; odd: IPv6
 * @off, @len:	offset in the datagram, and length
 * @more:	it is not the last fragment
 * @variant:	which of two contents it has
 */
struct op {
	unsigned int key;
	uint32_t off, len;
	bool more, variant;
};

/**
 * struct model - Fragments of one datagram in the model
 * @op, @n:	fragments that have arrived, and their number
 * @since:	time at which the first fragment arrived, ms
 * @used:	at least one fragment has arrived
 * @dead:	fragments contradict each other, so the datagram is dropped
 */
struct model {
	struct op op[OPS];
	unsigned int n;
	uint64_t since;
	bool used, dead;
};

UNCOUNTED

/* pattern: the content of every datagram, which begins at an offset that its
 * key and variant select. */
static uint8_t pattern[65536 + 8 + 8 + PERIOD];

static void fill_pattern(void)
{
	size_t i;

	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 31);
}

/* content() - Return the bytes of a fragment's datagram from @op->off on: the
 * byte at offset x is 31 x + key + 128 variant */
static uint8_t *content(const struct op *op)
{
	uint32_t c = op->key + op->variant * 128U;

	return pattern + (op->off + c * INVERSE) % PERIOD;
}

static void read_op(const uint8_t *p, struct op *op)
{
	op->key = p[0] >> 1 & 7;
	op->variant = p[0] >> 4 & 1;
	op->more = p[0] >> 5 & 1;
	if (p[0] >> 6 & 1) {		/* anywhere in the datagram */
		op->off = (p[1] << 8 | p[2]) / 8 * 8U;
		op->len = (p[3] << 8 | p[4]) / 8 * 8U + 8;
		if (p[0] >> 7 || p[4] & 3)	/* mostly short, for speed */
			op->len = op->len % 1024 / 8 * 8 + 8;
	} else {			/* near its start, so many overlap */
		op->off = p[1] % 16 * 8U;
		op->len = p[2] % 16 * 8U + 8;
	}
	if (!op->more)
		op->len -= p[3] % 8;
}

/* ends() - Return the length of the datagram if @op is its last fragment; else
 * 0 */
static uint32_t ends(const struct op *op)
{
	return op->more ? 0 : op->off + op->len;
}

static bool identical(const struct op *a, const struct op *b)
{
	return a->off == b->off && a->len == b->len && a->more == b->more &&
	       a->variant == b->variant;
}

/* at_odds() - Whether two fragments contradict each other: they overlap, or one
 * is beyond the end that the other sets */
static bool at_odds(const struct op *a, const struct op *b)
{
	uint32_t enda = a->off + a->len, endb = b->off + b->len;

	if (a->off < endb && b->off < enda)
		return true;
	return (ends(a) && endb > ends(a)) || (ends(b) && enda > ends(b));
}

/* model_clear() - Forget the fragments of a datagram */
static void model_clear(struct model *m)
{
	m->n = 0;
	m->used = m->dead = false;
}

/**
 * model_input() - Give a fragment to the model
 * @m:		its datagram
 * @op:		fragment
 *
 * Return: length of the reassembled datagram, 0: it is not complete, or dropped
 */
static uint32_t model_input(struct model *m, const struct op *op)
{
	uint32_t have = 0, end = 0;
	unsigned int i;

	for (i = 0; i < m->n; i++) {
		if (identical(&m->op[i], op))
			return 0;
		m->dead = m->dead || at_odds(&m->op[i], op);
	}
	m->dead = m->dead || op->off + op->len > 65535;
	if (m->dead)
		return 0;

	m->op[m->n++] = *op;
	for (i = 0; i < m->n; i++) {
		have += m->op[i].len;
		end = MAX(end, ends(&m->op[i]));
	}
	return have == end ? end : 0;
}

/* check_whole() - Check that a reassembled datagram consists of the bytes of
 * its fragments */
static void check_whole(const struct model *m, const struct frame *f,
			uint32_t len)
{
	const struct op *op = m->op;
	const uint8_t *p = f->iov->iov_base;
	unsigned int i, hdrlen = HDR_LEN(op->key);

	MUST(f->iovcnt == 1 && f->len == hdrlen + len &&
	     f->iov->iov_len == f->len);
	for (i = 0; i < m->n; i++) {
		op = &m->op[i];
		MUST(!memcmp(p + hdrlen + op->off, content(op), op->len));
	}
	if (op->key & 1)
		MUST(get_be16(p + 18) == hdrlen - 54 + len);
	else
		MUST(get_be16(p + 16) == 20 + len && !csum_ip4(p + 14, 20));
}

/* hand_over() - Give a fragment to passt's table; returns the reassembled
 * datagram, if it is complete */
static struct frame *hand_over(struct reassembly *r, const struct op *op,
			       uint64_t now)
{
	static const uint8_t hdr[2][14 + 40 + 8] = {
		{ [14] = 0x45 }, { [14] = 0x60 },
	};
	uint8_t *data = content(op);
	struct iovec iov[2];
	struct frame f = { .iov = iov, .iovcnt = 2, .len = op->len };
	struct fragment frag = {
		.id = op->key, .off = op->off, .len = op->len,
		.more = op->more, .eth = hdr[op->key & 1],
		.hdr = hdr[op->key & 1] + ETH_HLEN,
		.hdrlen = (uint16_t)(HDR_LEN(op->key) - ETH_HLEN),
		.next_at = op->key & 1 ? 6 : 0,
		.malformed = op->off + op->len > 65535,
	};

	iov[0] = (struct iovec){ data, op->len / 3 };
	iov[1] = (struct iovec){ data + op->len / 3, op->len - op->len / 3 };
	return reassemble(r, &frag, &f, now);
}

static void check_bounds(const struct reassembly *r)
{
	MUST(r->n <= FRAG_DATAGRAMS);
	MUST(r->bytes <= FRAG_BYTES);
}

/* against_model() - Check that passt's table does the same as the model */
static void against_model(const uint8_t *data, size_t size)
{
	static struct model models[KEYS];
	static struct reassembly r;
	struct model *m;
	struct frame *f;
	unsigned int left = OPS;
	uint64_t now = 1;
	uint32_t len;
	struct op op;

	for (m = models; m < models + KEYS; m++)
		model_clear(m);
	memset(&r, 0, sizeof(r));
	for (; size >= OP_LEN && left--; data += OP_LEN, size -= OP_LEN) {
		read_op(data, &op);
		now += data[0] & 1 ? 4000 : 1;
		m = &models[op.key];
		if (m->used && now - m->since >= FRAG_TIMEOUT_MS)
			model_clear(m);
		if (!m->used)
			m->since = now;
		m->used = true;

		len = model_input(m, &op);
		reassembly_expire(&r, now);
		f = hand_over(&r, &op, now);
		check_bounds(&r);
		if (HDR_LEN(op.key) - (op.key & 1 ? 54 : 14) + len > 65535) {
			m->dead = true;
			len = 0;
		}
		MUST(!len == !f);
		if (f) {
			check_whole(m, f, len);
			model_clear(m);
		}
		reassembly_release(&r);
	}
	MUST(!r.count[FRAG_NO_SPACE]);
	reassembly_free(&r);
	MUST(!r.bytes && !r.n && !r.reassembled);
}

/* check_pair() - Give passt both fragments of a datagram, one after the other:
 * however full the table is, the datagram is reassembled */
static void check_pair(struct reassembly *r, unsigned int key, uint64_t now)
{
	struct op op = { .key = key, .len = 8, .more = true };
	struct model m = { .n = 0 };
	struct frame *f;

	model_input(&m, &op);
	MUST(!hand_over(r, &op, now));
	op.off = op.len;
	op.more = false;
	MUST(model_input(&m, &op) == 16);
	f = hand_over(r, &op, now);
	MUST(f);
	check_whole(&m, f, 16);
	reassembly_release(r);
}

/* as_floods() - Let floods of fragments come: each has many fragments, of new
 * datagrams or of the same ones again. Each is described by OP_LEN bytes */
static void as_floods(const uint8_t *data, size_t size)
{
	static struct reassembly r;
	unsigned int left = FLOODS, i, key = 8, from;
	uint64_t now = 1;
	struct op op;

	memset(&r, 0, sizeof(r));
	for (; size >= OP_LEN && left--; data += OP_LEN, size -= OP_LEN) {
		op.off = (uint32_t)get_be16(data + 1) / 8 * 8;
		op.len = 8 + data[3] / 8 * 8U;
		op.more = data[0] & 1;
		op.variant = data[0] & 2;
		from = data[0] & 4 ? 8 : key;
		for (i = 0; i < data[4] % FLOOD_MAX; i++) {
			op.key = from + i;
			hand_over(&r, &op, now);
			check_bounds(&r);
			reassembly_release(&r);
		}
		key = MAX(key, from + i);
		now += data[0] & 8 ? 4000 : 0;
		reassembly_expire(&r, now);
		check_pair(&r, data[0] >> 4 & 7, now);
	}
	reassembly_free(&r);
	MUST(!r.bytes && !r.n && !r.reassembled);
}

/* as_frames() - Let tap receive frames of a guest. Check that the resulting
 * packets can be read, and that the fragments use bounded memory */
static void as_frames(const uint8_t *data, size_t size)
{
	static const struct net net;
	static uint8_t buf[LINK_FRAME_MAX + 1];
	static struct memory m;
	static struct tap tap;
	unsigned int left = FRAMES;
	uint8_t *frame;
	size_t len;

	memory_open_as(&m, 64, MEMORY_CONTIGUOUS);
	tap_init(&tap, &m.link, m.queue, &net);
	while (size > 2 && left--) {
		len = MIN(get_be16(data), size - 2);
		frame = malloc(len ? len : 1);
		memcpy(frame, data + 2, len);
		fix_ip4(frame, len);
		memory_put(&m, frame, len);
		MUST(tap_recv_burst(&tap, 1) == 1);
		check_bounds(&tap.fragments);
		if (tap.npkt)
			MUST(pkt_copy(tap.pkt, buf, sizeof(buf)) ==
			     MIN(tap.pkt->len, sizeof(buf)));
		tap_release(&tap);
		free(frame);
		data += 2 + len;
		size -= 2 + len;
	}
	tap_guest_gone(&tap);
	MUST(!tap.fragments.bytes && !tap.fragments.reassembled);
	link_close(&m.link);
}

/* frame_at() - Find a frame of an input, which is preceded by its length;
 * returns the offset of the length, or 0 if there is no frame */
static size_t frame_at(const uint8_t *data, size_t size, size_t i)
{
	size_t at = 1;

	for (; at + 2 < size; i--, at += 2 + get_be16(data + at)) {
		if (at + 2 + get_be16(data + at) > size)
			return 0;
		if (!i)
			return at;
	}
	return 0;
}

/* libFuzzer calls this function to change an input: mostly one of the frames,
 * whose length is corrected. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	static uint8_t frame[LINK_FRAME_MAX];
	uint32_t r = seed | 1;
	size_t at = frame_at(data, size, draw_below(&r, 4)), len, rest, n;

	if (!at || !(data[0] & 1) || !draw_below(&r, 4))
		return LLVMFuzzerMutate(data, size, max);
	len = get_be16(data + at);
	rest = size - at - 2 - len;
	memcpy(frame, data + at + 2, len);
	n = mutate_frame(frame, len, MIN(max - (size - len), sizeof(frame)),
			 &r);
	memmove(data + at + 2 + n, data + at + 2 + len, rest);
	memcpy(data + at + 2, frame, n);
	put_be16(data + at, (uint16_t)n);
	return at + 2 + n + rest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;

	if (!started) {
		csum_init();
		fill_pattern();
	}
	started = true;
	if (!size)
		return 0;
	if (*data & 1)
		as_frames(data + 1, size - 1);
	else if (*data == IS_FLOODS)
		as_floods(data + 1, size - 1);
	else
		against_model(data + 1, size - 1);
	return 0;
}

COUNTED
