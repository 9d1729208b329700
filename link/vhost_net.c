// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * vhost_net.c - Carries frames in the rings of a virtio-net device (virtio 1.2,
 * 5.1). The virtio-net header before each frame says what struct frame_meta
 * says in the rest of passt. The pieces of a frame are in the guest's memory:
 * only headers are copied here.
 */
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "iov.h"
#include "link/vhost_priv.h"
#include "log.h"
#include "util.h"

#define TCP_OFFSET	12		/* byte with the TCP header's length */
#define UDP_HDR_LEN	8

_Static_assert(sizeof(struct virtio_net_hdr_v1) <=
	       sizeof(((struct vhost_bounce *)0)->bytes) - LINK_HEADERS,
	       "a bounce buffer holds both headers");

/* fail_link() - Log that the guest has broken a rule of virtio, and set
 * @v->error, so that the link will be closed; returns @v->error */
static int fail_link(struct vhost_user *v, int error)
{
	if (!v->error)
		LOG_LIMITED(LOG_WARNING, "guest's ring of virtio-net is wrong (%s); connection closed",
			    error == -EFAULT ? "address outside of its memory" :
			    "descriptor or index");
	v->error = -EPROTO;
	return v->error;
}

/* read_header() - Translate the virtio-net header of a frame from the guest */
static struct frame_meta read_header(const struct virtio_net_hdr_v1 *h)
{
	struct frame_meta m = { .gso_size = le16toh(h->gso_size) };

	switch (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		m.gso = LINK_GSO_NONE;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		m.gso = LINK_GSO_TCP4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		m.gso = LINK_GSO_TCP6;
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		m.gso = LINK_GSO_UDP;
		break;
	default:
		m.gso = VHOST_GSO_UNKNOWN;
	}
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		m.csum = LINK_CSUM_PARTIAL;
		m.csum_start = le16toh(h->csum_start);
		m.csum_offset = le16toh(h->csum_offset);
	}
	return m;
}

/* add_frame() - Add the frame in a chain to @from_guest; false if the chain
 * holds no frame */
static bool add_frame(struct vhost_pair *p, struct vq_chain *c)
{
	struct virtio_net_hdr_v1 h = { 0 };
	struct link_queue *q = p->queue;
	size_t len = c->len - MIN(c->len, p->user->hdr_len);

	if (!len || len > LINK_GSO_MAX)
		return false;
	iov_copy(&h, p->user->hdr_len, c->iov, c->cnt);
	q->from_guest[q->nfrom_guest++] = (struct frame){
		.iov = c->iov, .len = (uint32_t)len,
		.iovcnt = iov_slice(c->iov, c->cnt, p->user->hdr_len, len),
		.meta = read_header(&h),
	};
	return true;
}

/**
 * take_chain() - Take the next chain of a ring from the guest
 * @npieces:	number of entries of @p->from that are in use; updated
 *
 * Return: 1 if a chain was taken; 0 if there is none, or if @p->from has no
 *	   space for it in this burst; or -errno
 */
static int take_chain(struct vhost_pair *p, unsigned int *npieces)
{
	struct vhost_ring *r = &p->ring[VHOST_FROM_GUEST];
	struct vq_chain c = { .iov = p->from + *npieces };
	unsigned int max = MIN(VHOST_PIECES - *npieces, VHOST_FRAME_PIECES);
	int rc = virtqueue_peek(&r->vq, &p->user->mem, 0, false, max, &c);

	if (!rc || (rc == -ENOBUFS && max < VHOST_FRAME_PIECES))
		return 0;
	if (rc < 0 && rc != -ENOBUFS)
		return fail_link(p->user, rc);
	virtqueue_take(&r->vq, 1);
	p->taken[p->ntaken++] = c.head;
	if (rc == 1 && r->enabled && add_frame(p, &c))
		*npieces += c.cnt;
	return 1;
}

/* note_heard() - Note that the guest has sent a frame, for vhost_stalled() */
static void note_heard(struct vhost_pair *p)
{
	const struct vhost_ring *r = &p->ring[VHOST_TO_GUEST];

	p->unanswered = false;
	if (vhost_runs(r))
		p->heard_index = virtqueue_index(&r->vq);
}

/* vhost_refill() - Take a burst of frames from the guest; see link_refill() */
int vhost_refill(struct link_queue *q)
{
	struct vhost_pair *p = vhost_pair_of(q);
	struct vhost_ring *r = &p->ring[VHOST_FROM_GUEST];
	unsigned int npieces = 0;
	int rc = 1;

	if (guest_mem_faulted())
		return fail_link(p->user, -EFAULT);
	if (!vhost_runs(r))
		return 0;
	while (p->ntaken < LINK_BURST && rc > 0)
		rc = take_chain(p, &npieces);
	if (rc < 0)
		return rc;
	q->more = p->ntaken || virtqueue_await(&r->vq, 0);
	if (p->ntaken) {
		virtqueue_ignore(&r->vq);
		note_heard(p);
	}
	return (int)q->nfrom_guest;
}

/* vhost_release() - Return the chains of the last burst to the guest, after
 * their frames were handled. If passt dies before that, the chains are still in
 * the ring */
void vhost_release(struct link_queue *q)
{
	struct vhost_pair *p = vhost_pair_of(q);
	struct virtqueue *vq = &p->ring[VHOST_FROM_GUEST].vq;
	unsigned int i;

	for (i = 0; i < p->ntaken; i++)
		virtqueue_put(vq, p->taken[i], 0);
	if (p->ntaken)
		virtqueue_publish(vq);
	p->ntaken = 0;
}

/* count_chains() - Return how many chains of a slot are needed for a frame of
 * @len bytes and its virtio-net header */
static unsigned int count_chains(const struct vhost_pair *p,
				 const struct vhost_slot *s, size_t len)
{
	size_t left = len + p->user->hdr_len;
	unsigned int n;

	for (n = 0; left && n < s->nchain; n++)
		left -= MIN(left, p->chain[s->chain + n].len);
	return n;
}

/* take_back() - Forget all slots except those of committed frames */
static void take_back(struct vhost_pair *p)
{
	const struct link_queue *q = p->queue;
	const struct vhost_slot *last;
	const struct frame *f;

	p->nchain = p->nto = 0;
	if (!q->nto_guest)
		return;
	last = &p->slot[q->nto_guest - 1];
	f = &q->to_guest[q->nto_guest - 1];
	p->nchain = last->chain + count_chains(p, last, f->len);
	p->nto = (unsigned int)(MAX(last->raw + last->nraw,
				    f->iov + f->iovcnt) - p->to);
}

/* pieces_left() - Return how many pieces the next chain of a slot may have. The
 * last VHOST_FRAME_PIECES entries of @p->to are reserved for show_slot(), which
 * may have used some of them for the slot before */
static unsigned int pieces_left(const struct vhost_pair *p)
{
	const unsigned int max = VHOST_PIECES - VHOST_FRAME_PIECES;

	return MIN(max - MIN(p->nto, max), VHOST_FRAME_PIECES);
}

/**
 * collect_chains() - Add chains to a slot until they have space for a frame;
 * the chains are not taken from the ring yet
 * @s:		slot, whose @chain and @raw are set; its @nchain and @nraw are 0
 * @len:	bytes that the chains must hold, virtio-net header included
 *
 * Without mergeable buffers, one chain must hold a frame of any length that
 * passt sends (virtio 1.2, 5.1.6.3.1).
 *
 * Return: 1 on success; 0 if the guest has not given enough buffers; -ENOBUFS
 *	   if an array is full; or another -errno if the guest has broken a rule
 *	   of virtio
 */
static int collect_chains(struct vhost_pair *p, struct vhost_slot *s,
			  size_t len)
{
	struct vhost_ring *r = &p->ring[VHOST_TO_GUEST];
	bool merge = vhost_has(p->user, VIRTIO_NET_F_MRG_RXBUF);
	struct vq_chain c;
	size_t have = 0;
	int rc;

	for (; have < len; have += c.len) {
		if (have && !merge)
			return -EPROTO;
		if (p->nchain == VHOST_CHAINS)
			return -ENOBUFS;
		c.iov = p->to + p->nto;
		rc = virtqueue_peek(&r->vq, &p->user->mem, p->nchain, true,
				    pieces_left(p), &c);
		if (rc <= 0)
			return rc;
		p->chain[p->nchain++] = (struct vhost_chain){
			c.head, (uint32_t)MIN(c.len, UINT32_MAX),
		};
		p->nto += c.cnt;
		s->nchain++;
		s->nraw += c.cnt;
		if (!c.len)	/* empty chains would never end the loop */
			return -EPROTO;
	}
	return 1;
}

/**
 * show_slot() - Make the pieces of a slot from the buffers of its descriptor
 * chains
 * @len:	bytes of the slot
 *
 * The virtio-net header is before the slot's first byte. If the frame's
 * Ethernet, IP and TCP or UDP headers would lie in several pieces, the slot
 * begins with a buffer of passt's for them, from which vhost_flush() copies
 * them.
 *
 * Return: 1 on success; -ENOBUFS if no such buffer is left, or no entry of the
 *	   array @p->to, which holds the pieces of all slots
 */
static int show_slot(struct vhost_pair *p, struct vhost_slot *s, size_t len,
		      struct link_slot *slot)
{
	size_t first = MIN(len, LINK_HEADERS);
	struct iov_walk w = { s->raw, s->nraw, p->user->hdr_len, len };

	if (s->raw->iov_len >= p->user->hdr_len + first) {
		slot->iov = p->to + p->nto;
	} else {
		if (p->nbounce == VHOST_BOUNCES)
			return -ENOBUFS;
		s->bounce = p->bounce[p->nbounce++].bytes;
		slot->iov = p->to + p->nto;
		p->to[p->nto++] = (struct iovec){
			s->bounce + p->user->hdr_len, first,
		};
		w.skip += first;
		w.left -= first;
	}
	while (p->nto < VHOST_PIECES && iov_next(&w, &p->to[p->nto]))
		p->nto++;
	slot->cnt = (unsigned int)(p->to + p->nto - slot->iov);
	return w.left ? -ENOBUFS : 1;
}

/* make_slot() - Make a slot of @len bytes for the frame with index @i in
 * @to_guest. Returns 1 on success, 0 if the guest has not given enough buffers,
 * -ENOBUFS if an array is full, or another -errno if the guest has broken a
 * rule of virtio */
static int make_slot(struct vhost_pair *p, unsigned int i, size_t len,
		     struct link_slot *slot)
{
	struct vhost_slot *s = &p->slot[i];
	int rc;

	*s = (struct vhost_slot){ .chain = p->nchain, .raw = p->to + p->nto };
	rc = collect_chains(p, s, len + p->user->hdr_len);
	if (rc <= 0)
		return rc;
	return show_slot(p, s, len, slot);
}

/* vhost_slots() - Hand out slots; see struct link_ops */
unsigned int vhost_slots(struct link_queue *q, size_t len, unsigned int n,
			 struct link_slot *slots)
{
	struct vhost_pair *p = vhost_pair_of(q);
	struct vhost_ring *r = &p->ring[VHOST_TO_GUEST];
	unsigned int i;
	int rc = 1;

	if (!vhost_runs(r) || !r->enabled || p->user->error) {
		q->blocked = true;
		return 0;
	}
	if (!q->nto_guest)
		p->nbounce = 0;
	do {
		take_back(p);
		for (i = 0; i < n; i++) {
			rc = make_slot(p, q->nto_guest + i, len, &slots[i]);
			if (rc <= 0)
				break;
		}
		if (rc < 0 && rc != -ENOBUFS)
			fail_link(p->user, rc);
	} while (!i && !q->nto_guest && !rc &&
		 virtqueue_await(&r->vq, p->nchain));
	q->blocked = !i && !q->nto_guest;
	return i;
}

/* header_len() - Return the bytes of all headers in a GSO frame, which are a
 * hint for the guest. @l4: transport header of the frame */
static uint16_t header_len(const struct frame_meta *m, const uint8_t *l4)
{
	size_t len = m->gso == LINK_GSO_UDP ? UDP_HDR_LEN :
		     (l4[TCP_OFFSET] >> 4) * 4U;

	return (uint16_t)(m->csum_start + len);
}

/* write_header() - Translate the metadata of a frame to the guest */
static struct virtio_net_hdr_v1 write_header(const struct vhost_user *v,
					     const struct frame *f,
					     unsigned int nchain)
{
	static const uint8_t type[] = {
		[LINK_GSO_NONE] = VIRTIO_NET_HDR_GSO_NONE,
		[LINK_GSO_TCP4] = VIRTIO_NET_HDR_GSO_TCPV4,
		[LINK_GSO_TCP6] = VIRTIO_NET_HDR_GSO_TCPV6,
		[LINK_GSO_UDP] = VIRTIO_NET_HDR_GSO_UDP_L4,
	};
	const uint8_t *frame = f->iov->iov_base;
	const struct frame_meta *m = &f->meta;
	struct virtio_net_hdr_v1 h = {
		.gso_type = type[m->gso], .gso_size = htole16(m->gso_size),
		.num_buffers = htole16((uint16_t)nchain),
	};

	if (m->csum == LINK_CSUM_PARTIAL) {
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.csum_start = htole16(m->csum_start);
		h.csum_offset = htole16(m->csum_offset);
	} else if (vhost_has(v, VIRTIO_NET_F_GUEST_CSUM)) {
		h.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if (m->gso)
		h.hdr_len = htole16(header_len(m, frame + m->csum_start));
	return h;
}

/* finish_frame() - Write the virtio-net header of a committed frame, and put
 * its chains in the used ring; return the number of chains */
static unsigned int finish_frame(struct vhost_pair *p, unsigned int i)
{
	const struct frame *f = &p->queue->to_guest[i];
	const struct vhost_slot *s = &p->slot[i];
	unsigned int n = count_chains(p, s, f->len), k;
	struct virtio_net_hdr_v1 h = write_header(p->user, f, n);
	struct link_slot raw = { s->raw, s->nraw };
	size_t hlen = p->user->hdr_len, left = hlen + f->len, len;

	if (s->bounce)
		link_slot_write(&raw, hlen, s->bounce + hlen,
				MIN(f->len, LINK_HEADERS));
	link_slot_write(&raw, 0, &h, hlen);
	for (k = 0; k < n; k++, left -= len) {
		len = MIN(left, p->chain[s->chain + k].len);
		virtqueue_put(&p->ring[VHOST_TO_GUEST].vq,
			      p->chain[s->chain + k].head, (uint32_t)len);
	}
	return n;
}

/* vhost_flush() - Give all committed frames to the guest, with one
 * notification; see struct link_ops */
int vhost_flush(struct link_queue *q)
{
	struct vhost_pair *p = vhost_pair_of(q);
	struct virtqueue *vq = &p->ring[VHOST_TO_GUEST].vq;
	unsigned int i, chains = 0;

	if (guest_mem_faulted())
		fail_link(p->user, -EFAULT);
	if (q->nto_guest) {
		for (i = 0; i < q->nto_guest; i++)
			chains += finish_frame(p, i);
		virtqueue_take(vq, chains);
		virtqueue_publish(vq);
		p->unanswered = true;
	}
	q->nto_guest = 0;
	p->nchain = p->nto = p->nbounce = 0;
	if (p->user->error)
		return p->user->error;
	return q->blocked ? 0 : 1;
}

/* vhost_stalled() - Whether the guest may have stopped taking frames; see
 * link_stalled(). A guest that takes frames also gives new buffers, but Linux
 * does so only when it has used half of its buffers. Until then, this may be
 * true although the guest takes frames. */
bool vhost_stalled(struct link_queue *q)
{
	const struct vhost_pair *p = vhost_pair_of(q);
	const struct vhost_ring *r = &p->ring[VHOST_TO_GUEST];

	if (!vhost_runs(r) || !r->enabled || q->blocked)
		return true;
	return p->unanswered && !virtqueue_taken(&r->vq) &&
	       virtqueue_index(&r->vq) == p->heard_index;
}
