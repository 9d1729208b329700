/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * vhost_model.h - A slow and simple model of a vhost-user link and one pair of
 * its rings. It does what virtio 1.2 and link/link.h say. Numbers in
 * parentheses, such as (2.7.5), are sections of virtio 1.2.
 *
 * The model reads and writes only @want of struct shared, before the link reads
 * and writes the real memory, so that the two can be compared afterwards.
 * A fuzz target includes this once.
 */
#ifndef TEST_FUZZ_VHOST_MODEL_H
#define TEST_FUZZ_VHOST_MODEL_H

#include "test/fuzz/vhost.h"

#define RINGS		2		/* rings of a pair */
#define GUEST		VHOST_TO_GUEST
#define SPARE		(VHOST_PIECES - VHOST_FRAME_PIECES)

/* The result of a walk over a chain, or of making a slot. */
enum outcome {
	GOOD,			/* success */
	NONE,			/* the guest has not given enough buffers */
	LONG,			/* there are too many pieces */
	BAD,			/* the guest has broken a rule of virtio */
};

/**
 * struct ring - A ring in the model
 * @size:	number of entries
 * @desc, @avail, @used: offsets of the parts of the ring in the file
 * @next_avail, @next_used: index of the next entry to take from the available
 *		ring, and to write to the used ring
 * @published:	used entries before this index are visible to the guest
 * @runs:	the ring has started
 * @enabled:	the front-end has enabled the ring
 * @kicked:	the guest has kicked the ring
 * @has_kick:	the link has a kick descriptor for the ring
 * @calls:	number of notifications to the guest
 */
struct ring {
	uint32_t size, desc, avail, used;
	uint16_t next_avail, next_used, published;
	bool runs, enabled, kicked, has_kick;
	uint64_t calls;
};

/**
 * struct chain - A chain of a slot
 * @head:	index of its first descriptor
 * @len:	bytes of the chain
 */
struct chain {
	uint16_t head;
	size_t len;
};

/**
 * struct mframe - A slot or a frame in the model
 * @chain, @nchain: index of its first chain in @chain of struct model, and
 *		number of its chains
 * @raw, @nraw:	ranges of the file that hold the virtio-net header and the frame
 * @view:	index of the slot's first piece in the link's array of pieces
 * @bounce:	the link has the frame's headers in a buffer of its own
 * @head:	content of this buffer. If the frame is from the guest, @head is
 *		its virtio-net header
 * @len:	bytes of the slot or frame, without the virtio-net header
 * @meta:	metadata of the frame
 */
struct mframe {
	unsigned int chain, nchain;
	const struct range *raw;
	unsigned int nraw, view;
	bool bounce;
	uint8_t head[LINK_HEADERS];
	size_t len;
	struct frame_meta meta;
};

/**
 * struct model - State of the model
 * @features:	features that were negotiated
 * @hdr_len:	bytes of the virtio-net header
 * @ring:	the pair of rings
 * @taken, @ntaken: chains of the current burst from the guest, each given by
 *		the index of its first descriptor
 * @from:	ranges of the file that hold these chains
 * @frame, @nframes: frames of this burst
 * @chain, @nchain: chains of slots to the guest
 * @committed_chains: number of these chains that belong to committed frames
 * @to:		ranges of the file that hold these chains, at the index that the
 *		pieces have in the link's array
 * @slot:	slots to the guest
 * @nto:	number of slots that are committed
 * @used:	number of entries of the link's array of pieces that are in use
 * @committed:	number of these entries that belong to committed frames
 * @nbounce:	number of the link's buffers for headers that are in use
 * @blocked:	value that @blocked of the link's queue must have
 */
static struct model {
	uint64_t features;
	size_t hdr_len;
	struct ring ring[RINGS];
	uint16_t taken[LINK_BURST];
	unsigned int ntaken;
	struct range from[VHOST_PIECES];
	struct mframe frame[LINK_BURST];
	unsigned int nframes;
	struct chain chain[VHOST_CHAINS];
	unsigned int nchain, committed_chains;
	struct range to[VHOST_PIECES];
	struct mframe slot[LINK_FRAMES];
	unsigned int nto, used, committed, nbounce;
	bool blocked;
} model;

UNCOUNTED

static bool model_has(unsigned int feature)
{
	return model.features >> feature & 1;
}

static uint16_t read16(uint32_t off)
{
	uint16_t v;

	memcpy(&v, shared.want + off, sizeof(v));
	return v;
}

static void write16(uint32_t off, uint16_t v)
{
	memcpy(shared.want + off, &v, sizeof(v));
}

static void write32(uint32_t off, uint32_t v)
{
	memcpy(shared.want + off, &v, sizeof(v));
}

static uint32_t used_len(const struct ring *r)
{
	return 6 + 8 * r->size;
}

/* locate_guest() - Find the offset in the file of a physical address, and
 * reduce @len to the bytes that one region holds; -1: the address is in no
 * region */
static int64_t locate_guest(uint64_t addr, size_t *len)
{
	unsigned int i;

	for (i = 0; i < PLACES; i++) {
		if (!(shared.present >> i & 1) ||
		    addr - place[i].guest >= place[i].size)
			continue;
		*len = (size_t)MIN(*len,
				   place[i].guest + place[i].size - addr);
		return (int64_t)(addr - place[i].guest + place[i].offset);
	}
	return -1;
}

/* add_bytes() - Append to @to the parts of the file that descriptor @d covers,
 * and add their number to @n, up to @max. Return GOOD, LONG if there are more,
 * or BAD if a byte is in no region */
static enum outcome add_bytes(const struct vring_desc *d, struct range *to,
			      unsigned int max, unsigned int *n)
{
	uint64_t addr = d->addr;
	size_t left = d->len, len;
	int64_t off;

	for (; left; left -= len, addr += len) {
		len = left;
		off = locate_guest(addr, &len);
		if (off < 0)
			return BAD;
		if (*n == max)
			return LONG;
		to[(*n)++] = (struct range){ (uint32_t)off, (uint32_t)len };
	}
	return GOOD;
}

/**
 * model_walk() - Find the bytes of a chain (2.7.5)
 * @r:		ring
 * @write:	the device writes to the chain; false: it reads from the chain
 * @head:	index of the first descriptor
 * @to, @max:	array for the ranges of the chain, and its size
 * @n:		set to the number of ranges
 *
 * Return: GOOD, LONG or BAD
 */
static enum outcome model_walk(const struct ring *r, bool write, uint16_t head,
			       struct range *to, unsigned int max,
			       unsigned int *n)
{
	uint32_t table = r->desc, entries = r->size, at = head, seen_descs = 0;
	enum outcome rc = GOOD;
	bool indirect = false;
	struct vring_desc d;
	int64_t off;
	size_t len;

	for (*n = 0; rc == GOOD; at = d.next) {
		if (at >= entries || seen_descs++ == entries)
			return BAD;
		if (seen_descs > max)
			return LONG;
		memcpy(&d, shared.want + table + at * sizeof(d), sizeof(d));
		if (d.flags & VRING_DESC_F_INDIRECT) {
			len = d.len;
			off = locate_guest(d.addr, &len);
			if (indirect || d.flags & VRING_DESC_F_NEXT || !d.len ||
			    d.len % sizeof(d) || off < 0 || len < d.len)
				return BAD;
			indirect = true;
			table = (uint32_t)off;
			entries = d.len / (uint32_t)sizeof(d);
			seen_descs = 0;
			d.next = 0;
			continue;
		}
		if (!!(d.flags & VRING_DESC_F_WRITE) != write)
			return BAD;
		rc = add_bytes(&d, to, max, n);
		if (!(d.flags & VRING_DESC_F_NEXT))
			break;
	}
	return rc;
}

/* model_peek() - Walk over the chain that is @ahead chains after the next one
 * in the available ring; the other arguments are as for model_walk() */
static enum outcome model_peek(const struct ring *r, unsigned int ahead,
			       bool write, struct range *to, unsigned int max,
			       unsigned int *n, uint16_t *head)
{
	uint16_t avail = (uint16_t)(read16(r->avail + 2) - r->next_avail);
	uint16_t at = (uint16_t)(r->next_avail + ahead);

	if (avail > r->size)
		return BAD;
	if (avail <= ahead)
		return NONE;
	*head = read16(r->avail + 4 + at % r->size * 2);
	return model_walk(r, write, *head, to, max, n);
}

/* model_put() - Put a chain in the used ring (2.7.8) */
static void model_put(struct ring *r, uint16_t head, size_t len)
{
	uint32_t at = r->used + 4 + r->next_used++ % r->size * 8;

	write32(at, head);
	write32(at + 4, (uint32_t)len);
}

/* model_publish() - Set the index of the used ring, and count a notification if
 * the guest has asked for one (2.7.7) */
static void model_publish(struct ring *r)
{
	uint16_t old = r->published, event;

	if (old == r->next_used)
		return;
	write16(r->used + 2, r->next_used);
	event = read16(r->avail + 4 + r->size * 2);
	if (model_has(VIRTIO_RING_F_EVENT_IDX))
		r->calls += (uint16_t)(event - old) <
			    (uint16_t)(r->next_used - old);
	else
		r->calls += !(read16(r->avail) & VRING_AVAIL_F_NO_INTERRUPT);
	r->published = r->next_used;
}

/* model_await() - Ask for a notification when there are more than @known chains
 * in the available ring (2.7.10) */
static void model_await(struct ring *r, unsigned int known)
{
	if (model_has(VIRTIO_RING_F_EVENT_IDX))
		write16(r->used + 4 + r->size * 8,
			(uint16_t)(r->next_avail + known));
	else
		write16(r->used, 0);
}

/**
 * raw_bytes() - Copy bytes of a frame from or to @want of struct shared
 * @f:		frame
 * @off:	offset of the first byte, counted from the virtio-net header
 * @buf, @len:	buffer, and number of bytes
 * @write:	copy from the buffer to @want; false: copy from @want
 */
static void raw_bytes(const struct mframe *f, size_t off, void *buf, size_t len,
		      bool write)
{
	const struct range *r = f->raw;
	uint8_t *p = buf, *at;
	size_t n;

	for (; len; r++) {
		MUST(r < f->raw + f->nraw);
		if (off >= r->len) {
			off -= r->len;
			continue;
		}
		n = MIN(len, r->len - off);
		at = shared.want + r->off + off;
		memcpy(write ? at : p, write ? p : at, n);
		p += n;
		len -= n;
		off = 0;
	}
}

/* model_burst() - Take a burst of frames from the guest; false if the guest has
 * broken a rule of virtio */
static bool model_burst(void)
{
	struct ring *r = &model.ring[VHOST_FROM_GUEST];
	unsigned int pieces = 0, n, max, i;
	struct mframe *f;
	enum outcome rc;
	uint16_t head;
	size_t len;

	model.ntaken = model.nframes = 0;
	if (!r->runs)
		return true;
	while (model.ntaken < LINK_BURST) {
		max = MIN(VHOST_PIECES - pieces, VHOST_FRAME_PIECES);
		rc = model_peek(r, 0, false, model.from + pieces, max, &n,
				&head);
		if (rc == BAD)
			return false;
		if (rc == NONE || (rc == LONG && max < VHOST_FRAME_PIECES))
			break;
		r->next_avail++;
		model.taken[model.ntaken++] = head;
		for (i = 0, len = 0; i < n; i++)
			len += model.from[pieces + i].len;
		if (rc == LONG || !r->enabled || len <= model.hdr_len ||
		    len - model.hdr_len > LINK_GSO_MAX)
			continue;
		f = &model.frame[model.nframes++];
		*f = (struct mframe){
			.raw = model.from + pieces, .nraw = n,
			.len = len - model.hdr_len,
		};
		raw_bytes(f, 0, f->head, model.hdr_len, false);
		pieces += n;
	}
	if (!model.ntaken)
		model_await(r, 0);
	else if (!model_has(VIRTIO_RING_F_EVENT_IDX))
		write16(r->used, VRING_USED_F_NO_NOTIFY);
	return true;
}

/* model_release() - Return the chains of the burst to the guest */
static void model_release(void)
{
	struct ring *r = &model.ring[VHOST_FROM_GUEST];
	unsigned int i;

	for (i = 0; i < model.ntaken; i++)
		model_put(r, model.taken[i], 0);
	if (model.ntaken)
		model_publish(r);
	model.ntaken = 0;
}

/* chains_for() - Return the number of chains of a slot that a frame of @len
 * bytes fills */
static unsigned int chains_for(const struct mframe *s, size_t len)
{
	size_t have = 0;
	unsigned int n = 0;

	while (n < s->nchain && have < len + model.hdr_len)
		have += model.chain[s->chain + n++].len;
	return n;
}

/* view_pieces() - Return how many pieces hold the first @len bytes of a slot */
static unsigned int view_pieces(const struct mframe *s, size_t len)
{
	size_t skip = model.hdr_len, n;
	const struct range *r = s->raw;
	unsigned int pieces = 0;

	if (s->bounce) {
		n = MIN(len, MIN(s->len, LINK_HEADERS));
		skip += n;
		len -= n;
		pieces = 1;
	}
	for (; len; r++) {
		if (skip >= r->len) {
			skip -= r->len;
			continue;
		}
		len -= MIN(len, r->len - skip);
		skip = 0;
		pieces++;
	}
	return pieces;
}

/* slot_chains() - Add chains to a slot until they hold @len bytes and the
 * virtio-net header */
static enum outcome slot_chains(struct mframe *s, size_t len)
{
	struct ring *r = &model.ring[GUEST];
	size_t have = 0, chain;
	unsigned int n, i;
	enum outcome rc;
	uint16_t head;

	while (have < len + model.hdr_len) {
		if (have && !model_has(VIRTIO_NET_F_MRG_RXBUF))
			return BAD;
		if (model.nchain == VHOST_CHAINS)
			return LONG;
		rc = model_peek(r, model.nchain, true, model.to + model.used,
				MIN(SPARE - MIN(model.used, SPARE),
				    VHOST_FRAME_PIECES), &n, &head);
		if (rc != GOOD)
			return rc;
		for (i = 0, chain = 0; i < n; i++)
			chain += model.to[model.used + i].len;
		model.chain[model.nchain++] = (struct chain){ head, chain };
		s->nchain++;
		s->nraw += n;
		model.used += n;
		have += chain;
		if (!chain)
			return BAD;
	}
	return GOOD;
}

/* model_slot() - Make the slot with index @i, of @len bytes */
static enum outcome model_slot(unsigned int i, size_t len)
{
	struct mframe *s = &model.slot[i];
	size_t first = MIN(len, LINK_HEADERS);
	unsigned int pieces;
	enum outcome rc;

	*s = (struct mframe){
		.chain = model.nchain, .raw = model.to + model.used, .len = len,
	};
	rc = slot_chains(s, len);
	if (rc != GOOD)
		return rc;
	s->view = model.used;
	s->bounce = s->raw->len < model.hdr_len + first;
	if (s->bounce && model.nbounce == VHOST_BOUNCES)
		return LONG;
	model.nbounce += s->bounce;
	pieces = view_pieces(s, len);
	model.used += pieces;
	return model.used <= VHOST_PIECES ? GOOD : LONG;
}

/**
 * model_slots() - Make slots after the committed ones
 * @len:	bytes of each slot
 * @n:		number of slots that are wanted
 * @got:	set to the number of slots that were made
 *
 * Return: false if the guest has broken a rule of virtio
 */
static bool model_slots(size_t len, unsigned int n, unsigned int *got)
{
	struct ring *r = &model.ring[GUEST];
	enum outcome rc = GOOD;

	*got = 0;
	model.blocked = !model.nto;
	if (!r->runs || !r->enabled) {
		model.blocked = true;
		return true;
	}
	if (!model.nto)
		model.nbounce = 0;
	model.nchain = model.committed_chains;
	model.used = model.committed;
	while (*got < n && rc == GOOD) {
		rc = model_slot(model.nto + *got, len);
		*got += rc == GOOD;
	}
	if (rc == NONE && !*got && !model.nto)
		model_await(r, model.nchain);
	model.blocked = !*got && !model.nto;
	return rc != BAD;
}

/* model_scribble() - Write bytes to a slot, which may be committed or not */
static void model_scribble(struct mframe *s, const uint8_t *bytes, size_t len)
{
	size_t first = 0;

	if (s->bounce) {
		first = MIN(len, LINK_HEADERS);
		memcpy(s->head, bytes, first);
	}
	raw_bytes(s, model.hdr_len + first, (uint8_t *)bytes + first,
		  len - first, true);
}

/* model_commit() - Write a frame of @len bytes to the next slot, pad it, and
 * commit it */
static void model_commit(const uint8_t *bytes, size_t len,
			 struct frame_meta meta)
{
	static uint8_t padded[LINK_FRAME_MIN];
	struct mframe *s = &model.slot[model.nto++];

	model_scribble(s, bytes, len);
	if (len < LINK_FRAME_MIN && !meta.gso) {
		memset(padded, 0, sizeof(padded));
		memcpy(padded, bytes, len);
		len = LINK_FRAME_MIN;
		model_scribble(s, padded, len);
	}
	model.committed = MAX((unsigned int)(s->raw - model.to) + s->nraw,
			      s->view + view_pieces(s, len));
	s->nchain = chains_for(s, len);
	s->len = len;
	s->meta = meta;
	model.committed_chains = s->chain + s->nchain;
}

/* frame_byte() - Return the byte at an offset of a committed frame */
static uint8_t frame_byte(const struct mframe *f, size_t at)
{
	uint8_t byte;

	if (f->bounce && at < LINK_HEADERS)
		return f->head[at];
	raw_bytes(f, model.hdr_len + at, &byte, 1, false);
	return byte;
}

/* model_header() - Return the virtio-net header of a frame (5.1.6.4.1) */
static struct virtio_net_hdr_v1 model_header(const struct mframe *f)
{
	struct virtio_net_hdr_v1 h = { .num_buffers = (uint16_t)f->nchain };

	if (f->meta.csum == LINK_CSUM_PARTIAL) {
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.csum_start = f->meta.csum_start;
		h.csum_offset = f->meta.csum_offset;
	} else if (model_has(VIRTIO_NET_F_GUEST_CSUM)) {
		h.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if (!f->meta.gso)
		return h;
	h.gso_size = f->meta.gso_size;
	h.hdr_len = f->meta.csum_start;
	if (f->meta.gso == LINK_GSO_UDP) {
		h.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
		h.hdr_len += 8;
		return h;
	}
	h.gso_type = f->meta.gso == LINK_GSO_TCP4 ?
		     VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	h.hdr_len += frame_byte(f, f->meta.csum_start + 12U) / 16 * 4;
	return h;
}

/* model_flush() - Give the committed frames to the guest */
static void model_flush(void)
{
	struct ring *r = &model.ring[GUEST];
	struct virtio_net_hdr_v1 h;
	unsigned int i, k;
	struct mframe *f;
	size_t left, len;

	MUST(!model.nto || (r->runs && r->enabled));
	for (i = 0; i < model.nto; i++) {
		f = &model.slot[i];
		h = model_header(f);
		if (f->bounce)
			raw_bytes(f, model.hdr_len, f->head,
				  MIN(f->len, LINK_HEADERS), true);
		raw_bytes(f, 0, &h, model.hdr_len, true);
		left = model.hdr_len + f->len;
		for (k = 0; k < f->nchain; k++, left -= len) {
			len = MIN(left, model.chain[f->chain + k].len);
			model_put(r, model.chain[f->chain + k].head, len);
			r->next_avail++;
		}
	}
	if (model.nto)
		model_publish(r);
	model.nto = model.nchain = model.committed_chains = 0;
	model.used = model.committed = model.nbounce = 0;
}

COUNTED

#endif /* TEST_FUZZ_VHOST_MODEL_H */
