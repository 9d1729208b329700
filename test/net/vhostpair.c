/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * vhostpair.c - Moves frames between a tap and a pair of virtqueues, without
 * copying them. A frame from the tap is read straight into a buffer that the
 * back-end reads; a frame to the tap is written straight from the buffers that
 * the back-end filled.
 * Called by vhostguest.c; calls frontq.c, offload.c, tapdev.c and the kernel.
 *
 * Buffers have the sizes that Linux's driver uses, but their pieces never lie
 * side by side. So a frame gets corrupted, and a test fails, if the back-end
 * reads or writes beyond the end of a piece.
 *
 *	out: from the guest to passt		in: from passt to the guest
 */
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/uio.h>

#include "test/net/fail.h"
#include "test/net/vhostpair.h"
#include "util.h"

#define HEADER		sizeof(struct virtio_net_hdr_v1)
#define BURST		256		/* most frames per call of pair_moves(),
					 * in each direction */
#define SHOW_OUT	(64 * 1024)	/* bytes posted before frontq_show() */
#define SHOW_IN		(128 * 1024)	/* bytes taken before their buffers are
					 * posted again */
#define GAP		64		/* bytes between pieces of a buffer */
#define HEAD_PIECE	128		/* bytes, for all headers of a frame */
#define RX_SMALL	1536		/* least bytes of a mergeable receive
					 * buffer, as in Linux: a frame at MTU
					 * 1500 */
#define RX_LARGE	4096		/* most bytes of a mergeable receive
					 * buffer, as in Linux: a page. Other
					 * buffers have pieces of that size */
#define PIECES_MAX	1024		/* pieces of one frame from passt */
#define LOSSY_FRAMES	3		/* most frames sent when a frame meets
					 * a fault: itself, a duplicate of it,
					 * and the frame that it overtook */

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4	/* since Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4	5
#endif

/*
 * Buffers.
 */

static uint32_t align_piece(uint32_t len)
{
	return (len + GAP - 1) / GAP * GAP;
}

/* shape_bytes() - Return the bytes that a buffer takes, with a gap after each
 * piece */
static size_t shape_bytes(const struct shape *s)
{
	return align_piece(s->first) + GAP +
	       (s->n - 1) * (size_t)(align_piece(s->rest) + GAP);
}

/* slot_piece() - Find piece @i of the buffer with index @slot */
static struct piece slot_piece(const struct side *s, unsigned int slot,
			       unsigned int i)
{
	size_t at = s->base + slot * s->step;

	if (!i)
		return front_buffer(s->front, at, s->shape.first);
	at += align_piece(s->shape.first) + GAP +
	      (i - 1) * (size_t)(align_piece(s->shape.rest) + GAP);
	return front_buffer(s->front, at, s->shape.rest);
}

/*
 * slot_pieces() - Fill @pieces with the pieces that hold the first @len bytes
 * of a buffer
 *
 * Return: number of pieces
 */
static unsigned int slot_pieces(const struct side *s, unsigned int slot,
				size_t len, struct piece *pieces)
{
	unsigned int n = 0;

	for (; len && n < s->shape.n; len -= pieces[n++].len) {
		pieces[n] = slot_piece(s, slot, n);
		pieces[n].len = (uint32_t)MIN(len, pieces[n].len);
	}
	if (len)
		fail("%zu bytes too many for a buffer", len);
	return n;
}

static unsigned int slots_of(const struct side *s)
{
	const struct frontq *q = s->q;

	return q->indirect ? q->size : q->size / s->shape.n;
}

static void slots_reset(struct side *s)
{
	for (s->n = 0; s->n < slots_of(s); s->n++)
		s->slots[s->n] = (uint16_t)s->n;
}

/*
 * Faults hit single frames, as on a wire. If a fault hits a part of a GSO
 * frame, the GSO frame is cut first.
 */

/* meets_fault() - Whether one of the next @n frames will meet a fault */
static bool meets_fault(struct faults *f, unsigned int n)
{
	struct faults before = *f;
	bool meets = false;

	while (n--)
		meets |= fault_draw(f) != FAULT_NONE;
	if (meets)
		*f = before;
	return meets;
}

/* frames_of() - Estimate how many frames a GSO frame will be cut into */
static unsigned int frames_of(const struct virtio_net_hdr_v1 *vnet, size_t len)
{
	if (vnet->gso_type == VIRTIO_NET_HDR_GSO_NONE || !vnet->gso_size ||
	    len < vnet->csum_start)
		return 1;
	return (unsigned int)((len - vnet->csum_start + vnet->gso_size - 1) /
			      vnet->gso_size);
}

typedef void (*emit_fn)(struct pair *p, const uint8_t *frame, size_t len);

/* fault_frame() - Apply the next fault to a frame, and send the frames that
 * result */
static void fault_frame(struct pair *p, struct side *s, uint8_t *frame,
			size_t len, emit_fn emit)
{
	enum fault fault = fault_draw(s->faults);
	bool held = s->held_len;

	if (fault == FAULT_DROP)
		return;
	if (fault == FAULT_SWAP && !held) {
		memcpy(s->held, frame, len);
		s->held_len = len;
		return;
	}
	if (fault == FAULT_CORRUPT)
		frame[fault_random(s->faults) % len] ^= 0x10;
	emit(p, frame, len);
	if (fault == FAULT_DUP)
		emit(p, frame, len);
	if (held)
		emit(p, s->held, s->held_len);
	s->held_len = 0;
}

/*
 * Out: from the tap to the back-end.
 */

/* out_shape() - Return the shape of buffers that Linux sends: only one piece if
 * CSUM was not negotiated */
static struct shape out_shape(const struct pair *p)
{
	uint32_t piece = p->conf->tx_piece;

	if (!front_has(p->front, VIRTIO_NET_F_CSUM))
		return (struct shape){ HEADER + FRAME_MAX, 0, 1 };
	return (struct shape){
		HEAD_PIECE, piece,
		1 + (uint32_t)(HEADER + FRAME_MAX - HEAD_PIECE + piece - 1) /
		piece,
	};
}

/* out_reclaim() - Take back the buffers that the back-end has read */
static void out_reclaim(struct side *s)
{
	unsigned int n = frontq_used(s->q);
	uint32_t len;

	s->buffers += n;
	while (n--)
		s->slots[s->n++] = frontq_take(s->q, &len);
}

static void out_show(struct pair *p)
{
	frontq_show(p->out.q);
	p->unshown = 0;
}

/* out_fits() - Whether any frame fits, even if a fault duplicates it */
static bool out_fits(const struct pair *p)
{
	unsigned int n = p->out.faults->any ? LOSSY_FRAMES : 1;

	return p->out.n >= n && frontq_fits(p->out.q, n * p->out.shape.n) &&
	       p->out.q->free >= n;
}

/* out_post() - Send the buffer on top of the stack of free buffers; the caller
 * has written @len bytes to it */
static void out_post(struct pair *p, size_t len)
{
	struct piece pieces[FRONTQ_PIECES];
	struct side *s = &p->out;
	uint16_t slot = s->slots[--s->n];

	frontq_post(s->q, pieces, slot_pieces(s, slot, len, pieces), false,
		    slot);
	p->unshown += len;
	if (p->unshown >= SHOW_OUT)
		out_show(p);
}

/* out_copy() - Copy a frame with a complete checksum to a buffer; send it */
static void out_copy(struct pair *p, const uint8_t *frame, size_t len)
{
	struct side *s = &p->out;
	struct piece pieces[FRONTQ_PIECES];
	unsigned int n = slot_pieces(s, s->slots[s->n - 1], HEADER + len,
				     pieces), i;
	size_t skip = HEADER;

	memset(pieces[0].p, 0, HEADER);
	for (i = 0; i < n; i++) {
		memcpy(pieces[i].p + skip, frame, pieces[i].len - skip);
		frame += pieces[i].len - skip;
		skip = 0;
	}
	out_post(p, HEADER + len);
}

/* out_cut() - Cut one frame off the GSO frame, apply faults, and send it */
static void out_cut(struct pair *p)
{
	struct cut *c = &p->cut;
	static uint8_t frame[FRAME_MAX];
	size_t len;

	if (c->vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		csum_finish(&c->vnet, c->super, c->len);
		fault_frame(p, &p->out, c->super, c->len, out_copy);
		c->len = 0;
	} else if (cut_next(&c->vnet, c->super, c->len, &c->done, frame,
			    &len)) {
		fault_frame(p, &p->out, frame, len, out_copy);
	} else {
		c->len = 0;
	}
}

/* cut_begin() - Copy a frame from @iov, so that it can be cut, because a fault
 * will hit a part of it */
static void cut_begin(struct pair *p, const struct virtio_net_hdr_v1 *vnet,
		      const struct iovec *iov, size_t len)
{
	struct cut *c = &p->cut;
	size_t skip = HEADER, n;
	uint8_t *to = c->super;

	c->vnet = *vnet;
	c->len = len;
	c->done = 0;
	for (; len; len -= n, to += n, iov++) {
		n = MIN(len, iov->iov_len - skip);
		memcpy(to, (uint8_t *)iov->iov_base + skip, n);
		skip = 0;
	}
}

/* out_read() - Read one frame from the tap; false: there is none */
static bool out_read(struct pair *p)
{
	struct side *s = &p->out;
	struct iovec iov[FRONTQ_PIECES];
	struct virtio_net_hdr_v1 *vnet;
	struct piece piece;
	unsigned int i;
	ssize_t n;

	for (i = 0; i < s->shape.n; i++) {
		piece = slot_piece(s, s->slots[s->n - 1], i);
		iov[i] = (struct iovec){ piece.p, piece.len };
	}
	n = readv(p->tap, iov, (int)s->shape.n);
	if (n <= (ssize_t)HEADER)
		return false;

	vnet = iov[0].iov_base;
	vnet->num_buffers = 0;
	s->frames++;
	s->bytes += (size_t)n - HEADER;
	if (s->faults->any && meets_fault(s->faults, frames_of(
			vnet, (size_t)n - HEADER)))
		cut_begin(p, vnet, iov, (size_t)n - HEADER);
	else
		out_post(p, (size_t)n);
	return true;
}

static void out_move(struct pair *p)
{
	unsigned int i;

	for (i = 0; i < BURST; i++) {
		if (!out_fits(p)) {
			out_reclaim(&p->out);
			if (!out_fits(p))
				break;
		}
		if (p->cut.len)
			out_cut(p);
		else if (!p->readable)
			break;
		else
			p->readable = out_read(p);
	}
	out_show(p);
}

/*
 * In: from the back-end to the tap.
 */

/* in_shape() - Return the shape of buffers that Linux posts with @p->front's
 * features */
static struct shape in_shape(const struct pair *p)
{
	const struct front *f = p->front;
	const uint64_t gso = FEATURE(VIRTIO_NET_F_GUEST_TSO4) |
		FEATURE(VIRTIO_NET_F_GUEST_TSO6) |
		FEATURE(NET_F_GUEST_USO4) | FEATURE(NET_F_GUEST_USO6);
	unsigned int frame = ETH_HLEN + f->mtu;

	if (front_has(f, VIRTIO_NET_F_MRG_RXBUF))
		return (struct shape){
			p->conf->rx_buffer ? p->conf->rx_buffer : RX_LARGE,
			0, 1,
		};
	if (f->features & gso)
		frame = FRAME_MAX;
	if (frame <= ETH_HLEN + ETH_DATA_LEN)
		return (struct shape){ (uint32_t)HEADER + frame, 0, 1 };
	return (struct shape){
		HEADER, RX_LARGE, 1 + (frame + RX_LARGE - 1) / RX_LARGE,
	};
}

/* in_length() - Return the bytes of each buffer to post, estimated as Linux
 * does */
static size_t in_length(const struct pair *p)
{
	const struct shape *shape = &p->in.shape;

	if (!front_has(p->front, VIRTIO_NET_F_MRG_RXBUF) || p->conf->rx_buffer)
		return shape->first + (size_t)(shape->n - 1) * shape->rest;
	return MAX(RX_SMALL, MIN(RX_LARGE, p->average / 64 + HEADER));
}

/* in_post() - Post all buffers again that were taken back */
static void in_post(struct pair *p)
{
	struct piece pieces[FRONTQ_PIECES];
	struct side *s = &p->in;
	size_t len = in_length(p);
	unsigned int i;

	join_flush(&p->join);
	for (i = 0; i < s->n; i++)
		frontq_post(s->q, pieces,
			    slot_pieces(s, s->slots[i], len, pieces), true,
			    s->slots[i]);
	s->n = 0;
	frontq_show(s->q);
}

static void tap_write(struct pair *p, const struct iovec *iov, int n)
{
	join_flush(&p->join);
	if (writev(p->tap, iov, n) < 0)
		p->refused++;
}

/* in_emit() - Write a frame with a complete checksum to the tap */
static void in_emit(struct pair *p, const uint8_t *frame, size_t len)
{
	struct virtio_net_hdr_v1 vnet = { 0 };
	struct iovec iov[2] = {
		{ &vnet, HEADER }, { (void *)frame, len },
	};

	tap_write(p, iov, 2);
}

/* in_lossy() - Cut a frame if it is a GSO frame, and apply the faults */
static void in_lossy(struct pair *p, const struct iovec *iov, int n,
		     size_t len)
{
	static uint8_t super[HEADER + FRAME_MAX], frame[FRAME_MAX];
	struct virtio_net_hdr_v1 vnet;
	size_t done = 0, flen;
	uint8_t *to = super;

	for (; n--; to += iov++->iov_len)
		memcpy(to, iov->iov_base, iov->iov_len);
	memcpy(&vnet, super, HEADER);
	if (vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		csum_finish(&vnet, super + HEADER, len);
		fault_frame(p, &p->in, super + HEADER, len, in_emit);
		return;
	}
	while (cut_next(&vnet, super + HEADER, len, &done, frame, &flen))
		fault_frame(p, &p->in, frame, flen, in_emit);
}

/* gso_allowed() - Whether the guest takes this type of GSO frame */
static bool gso_allowed(const struct front *f, uint8_t type)
{
	if (type & VIRTIO_NET_HDR_GSO_ECN &&
	    !front_has(f, VIRTIO_NET_F_GUEST_ECN))
		return false;
	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return front_has(f, VIRTIO_NET_F_GUEST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return front_has(f, VIRTIO_NET_F_GUEST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return front_has(f, NET_F_GUEST_USO4) &&
		       front_has(f, NET_F_GUEST_USO6);
	}
	return false;
}

/* in_verify() - End the program if a frame needs a feature that was not
 * negotiated */
static void in_verify(const struct front *f,
		      const struct virtio_net_hdr_v1 *vnet, size_t len)
{
	bool mergeable = front_has(f, VIRTIO_NET_F_MRG_RXBUF);
	bool gso = vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE;

	if (len < HEADER + ETH_HLEN || len > HEADER + FRAME_MAX)
		fail("passt sent a frame of %zu bytes", len);
	if (!mergeable && vnet->num_buffers != 1)
		fail("frame in %u buffers", vnet->num_buffers);
	if (!gso_allowed(f, vnet->gso_type) || (gso && !vnet->gso_size))
		fail("GSO type %u, size %u", vnet->gso_type, vnet->gso_size);
	if (vnet->flags && !front_has(f, VIRTIO_NET_F_GUEST_CSUM))
		fail("flags 0x%x without GUEST_CSUM", vnet->flags);
	if (gso && !(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		fail("GSO frame with a complete checksum");
}

/*
 * in_take() - Take back one used buffer, and append its pieces to @iov
 *
 * Return: bytes that the back-end wrote to it
 */
static size_t in_take(struct pair *p, struct iovec *iov, int *n)
{
	struct side *s = &p->in;
	struct piece pieces[FRONTQ_PIECES];
	unsigned int i, have;
	uint32_t len;
	uint16_t slot = frontq_take(s->q, &len);

	s->buffers++;
	s->slots[s->n++] = slot;
	have = slot_pieces(s, slot, len, pieces);
	if (*n + (int)have > PIECES_MAX)
		fail("a frame in more than %d pieces", PIECES_MAX);
	for (i = 0; i < have; i++)
		iov[(*n)++] = (struct iovec){ pieces[i].p, pieces[i].len };
	return len;
}

/* in_write() - Write a frame to the tap; @iov[0] has the virtio-net header, and
 * perhaps nothing else */
static void in_write(struct pair *p, const struct iovec *iov, int n,
		     size_t len)
{
	struct virtio_net_hdr_v1 *vnet = iov[0].iov_base;
	bool alone = iov[0].iov_len == HEADER;
	uint8_t *frame = alone ? iov[1].iov_base : (uint8_t *)vnet + HEADER;

	csum_trust(vnet, frame,
		   alone ? iov[1].iov_len : iov[0].iov_len - HEADER);
	if (p->in.faults->any &&
	    meets_fault(p->in.faults, frames_of(vnet, len)))
		in_lossy(p, iov, n, len);
	else if (n > 1 + alone || vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		tap_write(p, iov, n);
	else
		join_frame(&p->join, vnet, frame, len);
}

/*
 * in_frame() - Take one frame from the next used buffers, and deliver it
 *
 * Return: bytes that the back-end wrote to these buffers
 */
static size_t in_frame(struct pair *p, unsigned int used)
{
	static struct iovec iov[PIECES_MAX];
	const struct virtio_net_hdr_v1 *vnet;
	size_t len;
	unsigned int i;
	int n = 0;

	len = in_take(p, iov, &n);
	vnet = iov[0].iov_base;
	if (len < HEADER)
		fail("passt sent %zu bytes", len);
	if (!vnet->num_buffers || vnet->num_buffers > used)
		fail("frame in %u buffers, of which %u are used",
		     vnet->num_buffers, used);
	for (i = 1; i < vnet->num_buffers; i++)
		len += in_take(p, iov, &n);

	in_verify(p->front, vnet, len);
	p->in.frames++;
	p->in.bytes += len - HEADER;
	p->average += (uint32_t)(len - HEADER) - p->average / 64;
	in_write(p, iov, n, len - HEADER);
	return len;
}

static void in_move(struct pair *p)
{
	size_t bytes = 0;
	unsigned int i, used;

	for (i = 0; i < BURST; i++) {
		used = frontq_used(p->in.q);
		if (!used)
			break;
		bytes += in_frame(p, used);
		if (bytes < SHOW_IN)
			continue;
		in_post(p);
		bytes = 0;
	}
	if (p->in.n)
		in_post(p);
}

/*
 * The pair.
 */

/**
 * pairs_memory() - Calculate how much memory all buffers take
 * @conf:	guest; this function sets @front.buffers
 */
void pairs_memory(struct vhost_guest *conf)
{
	size_t most = FRONTQ_PIECES * (size_t)(RX_LARGE + 2 * GAP);

	most = MAX(most, conf->rx_buffer + 2 * GAP);
	conf->front.buffers = conf->front.pairs * conf->front.size * 2 * most;
}

/**
 * pair_open() - Make a tap device, and connect it to one pair of rings of
 * a front-end
 * @p:		pair
 * @conf:	stand-in guest to which the pair belongs
 * @i:		number of the pair
 */
void pair_open(struct pair *p, struct vhost_guest *conf, unsigned int i)
{
	p->conf = conf;
	p->front = &conf->front;
	p->in.front = p->out.front = p->front;
	p->in.q = &conf->front.queues[2 * i];
	p->out.q = &conf->front.queues[2 * i + 1];
	p->in.faults = &conf->in;
	p->out.faults = &conf->out;
	p->tap = p->join.tap = tapdev_open(&conf->dev);
}

/* tap_features() - Return the offloads that the guest's kernel leaves to the
 * back-end */
static unsigned long tap_features(const struct front *f)
{
	unsigned long got = 0;

	if (!front_has(f, VIRTIO_NET_F_CSUM))
		return 0;
	got |= TUN_F_CSUM;
	if (front_has(f, VIRTIO_NET_F_HOST_TSO4))
		got |= TUN_F_TSO4;
	if (front_has(f, VIRTIO_NET_F_HOST_TSO6))
		got |= TUN_F_TSO6;
	if (front_has(f, VIRTIO_NET_F_HOST_ECN) && got & ~TUN_F_CSUM)
		got |= TUN_F_TSO_ECN;
	if (front_has(f, NET_F_HOST_USO))
		got |= TUN_F_USO4 | TUN_F_USO6;
	return got;
}

/**
 * pair_settle() - Choose offloads and buffers by the negotiated features
 * @p:		pair
 * @i:		its number
 */
void pair_settle(struct pair *p, unsigned int i)
{
	const struct front *f = p->front;
	size_t share = f->buffers / f->pairs;

	tapdev_offload(p->tap, tap_features(f));
	p->in.shape = in_shape(p);
	p->out.shape = out_shape(p);
	p->in.step = shape_bytes(&p->in.shape);
	p->out.step = shape_bytes(&p->out.shape);
	p->in.base = share * i;
	p->out.base = p->in.base + f->size * p->in.step;
	if (p->out.base + f->size * p->out.step > share * (i + 1))
		fail("buffers of %zu and %zu bytes", p->in.step, p->out.step);
}

/**
 * pair_begin() - Start with empty rings: post buffers to receive into
 * @p:		pair
 */
void pair_begin(struct pair *p)
{
	slots_reset(&p->out);
	slots_reset(&p->in);
	p->cut.len = 0;
	in_post(p);
}

/**
 * pair_moves() - Move frames in both directions, at most BURST in each
 * @p:		pair
 *
 * Return: whether there may be more to move
 */
bool pair_moves(struct pair *p)
{
	in_move(p);
	out_reclaim(&p->out);
	out_move(p);
	return frontq_used(p->in.q) ||
	       ((p->readable || p->cut.len) && out_fits(p));
}

/**
 * pair_sleeps() - Ask the back-end to notify when there is something to do
 * @p:		pair
 *
 * Return: false if there already is something to do: don't wait for a
 *	   notification
 */
bool pair_sleeps(struct pair *p)
{
	bool full = (p->readable || p->cut.len) && !out_fits(p);

	if (full && frontq_want_call(p->out.q,
				     frontq_pending(p->out.q) * 3 / 4))
		return false;
	return !frontq_want_call(p->in.q, 0);
}

/**
 * pair_wakes() - Ask the back-end not to notify
 * @p:		pair
 */
void pair_wakes(struct pair *p)
{
	frontq_no_call(p->in.q);
	frontq_no_call(p->out.q);
}
