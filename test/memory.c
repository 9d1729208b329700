// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * memory.c - A link in memory, for tests and fuzzers.
 */
#include <net/ethernet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "checksum.h"
#include "iov.h"
#include "ip.h"
#include "tap.h"
#include "test/memory.h"
#include "util.h"

#define PIECES_MAX	128	/* pieces of a frame */
#define PIECE_MAX	2048	/* most bytes of a piece, except a frame's
				 * last piece */

const char *const memory_mode_name[MEMORY_MODES] = {
	[MEMORY_CONTIGUOUS]	= "contiguous",
	[MEMORY_SCATTERED]	= "scattered",
	[MEMORY_SEGMENTING]	= "segmenting",
};

static uint64_t seed = 0x9e3779b97f4a7c15;

static size_t memory_random(size_t n)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (size_t)((seed >> 32) * n >> 32);
}

/* need_memory() - Allocate memory, or abort the test */
static void *need_memory(size_t size)
{
	void *p = malloc(MAX(size, 1));

	if (!p)
		abort();
	return p;
}

static struct memory *of_queue(const struct link_queue *q)
{
	return container_of(q->link, struct memory, link);
}

/**
 * pieces_new() - Allocate the pieces of a frame or slot
 * @m:		memory link
 * @len:	bytes of all pieces
 * @first:	least bytes of the first piece, unless @len is less
 */
static struct memory_frame pieces_new(const struct memory *m, size_t len,
				      size_t first)
{
	struct memory_frame f = {
		.iov = need_memory(PIECES_MAX * sizeof(*f.iov)),
		.piece = need_memory(PIECES_MAX * sizeof(*f.piece)),
	};
	size_t n, most;

	do {
		most = memory_random(4) ? PIECE_MAX : 16;
		n = 1 + memory_random(most);
		n = MIN(len, MAX(first, n));
		if (m->mode == MEMORY_CONTIGUOUS || f.cnt == PIECES_MAX - 1)
			n = len;
		f.piece[f.cnt] = need_memory(n);
		f.iov[f.cnt] = (struct iovec){ f.piece[f.cnt], n };
		f.cnt++;
		len -= n;
		first = 0;
	} while (len);
	return f;
}

static void pieces_free(struct memory_frame *f)
{
	while (f->cnt)
		free(f->piece[--f->cnt]);
	free(f->piece);
	free(f->iov);
}

static int memory_event(struct link *l, unsigned int i, uint32_t events)
{
	l->queues[i].more = true;
	return 0;
}

static void memory_release(struct link_queue *q)
{
	struct memory *m = of_queue(q);
	struct memory_queue *mq = &m->of[q - m->queue];

	while (mq->ngiven)
		pieces_free(&mq->given[--mq->ngiven]);
	while (q == m->queue && !m->count && m->njoined)
		free(m->joined[--m->njoined]);
}

/* give_frame() - Add a frame from the guest, in pieces, to a queue's refill */
static void give_frame(struct memory *m, struct link_queue *q,
		       struct memory_queue *mq, const struct iovec *put,
		       struct frame_meta meta)
{
	struct memory_frame *f = &mq->given[mq->ngiven++];

	*f = pieces_new(m, put->iov_len, 0);
	link_slot_write(&(struct link_slot){ f->iov, f->cnt }, 0,
			put->iov_base, put->iov_len);
	q->from_guest[q->nfrom_guest++] = (struct frame){
		.iov = f->iov, .iovcnt = f->cnt, .len = (uint32_t)put->iov_len,
		.meta = meta,
	};
}

static int memory_refill(struct link_queue *q)
{
	struct memory *m = of_queue(q);
	struct memory_queue *mq = &m->of[q - m->queue];
	unsigned int i;

	memory_release(q);
	if (q != m->queue)
		return 0;
	for (i = 0; i < m->count; i++) {
		if (m->mode == MEMORY_CONTIGUOUS)
			q->from_guest[q->nfrom_guest++] = (struct frame){
				.iov = &m->put[i], .iovcnt = 1,
				.len = (uint32_t)m->put[i].iov_len,
				.meta = m->put_meta[i],
			};
		else
			give_frame(m, q, mq, &m->put[i], m->put_meta[i]);
	}
	m->count = 0;
	return (int)q->nfrom_guest;
}

/* drop_slots() - Free the slots that were not committed */
static void drop_slots(struct link_queue *q, struct memory_queue *mq)
{
	while (mq->nslot > q->nto_guest)
		pieces_free(&mq->slot[--mq->nslot]);
}

static unsigned int memory_slots(struct link_queue *q, size_t len,
				 unsigned int n, struct link_slot *slots)
{
	struct memory *m = of_queue(q);
	struct memory_queue *mq = &m->of[q - m->queue];
	size_t left = m->size - MIN(m->size, m->used + m->queue[0].pending +
				    m->queue[1].pending);
	struct memory_frame *f;
	unsigned int i;

	drop_slots(q, mq);
	for (i = 0; i < n && left >= len; i++, left -= len) {
		f = &mq->slot[mq->nslot++];
		*f = pieces_new(m, len, LINK_HEADERS);
		slots[i] = (struct link_slot){ f->iov, f->cnt };
	}
	return i;
}

/* hold_bytes() - Remember a frame to the guest; takes ownership of @p */
static void hold_bytes(struct memory *m, uint8_t *p, size_t len)
{
	if (m->nheld == MEMORY_SENT)
		abort();
	m->sent[m->nheld++] = (struct iovec){ p, len };
}

/* wrong_frame() - Abort, because passt sent a frame that it must not send */
static void wrong_frame(const char *why, const struct frame_meta *meta)
{
	fprintf(stderr, "memory link: %s (csum %u, start %u, offset %u, gso %u, size %u)\n",
		why, meta->csum, meta->csum_start, meta->csum_offset,
		meta->gso, meta->gso_size);
	abort();
}

/* pseudo_sum() - Return the sum of the pseudo-header for @len bytes after the
 * IP header */
static uint64_t pseudo_sum(const uint8_t *frame, uint8_t proto, size_t len)
{
	const uint8_t *ip = frame + ETH_HLEN;
	bool v4 = ip[0] >> 4 == 4;
	struct in6_addr src, dst;
	struct in_addr a;

	if (proto == IPPROTO_ICMP)
		return 0;
	if (v4) {
		memcpy(&a, ip + 12, sizeof(a));
		src = addr_from_v4(a);
		memcpy(&a, ip + 16, sizeof(a));
		dst = addr_from_v4(a);
	} else {
		memcpy(&src, ip + 8, sizeof(src));
		memcpy(&dst, ip + 24, sizeof(dst));
	}
	return csum_pseudo(&src, &dst, proto, (uint32_t)len);
}

/* check_partial() - Check that a partial checksum is the pseudo-header's sum */
static void check_partial(const uint8_t *p, size_t len,
			  const struct frame_meta *meta)
{
	bool v4 = p[ETH_HLEN] >> 4 == 4;
	uint8_t proto = v4 ? p[ETH_HLEN + 9] : p[ETH_HLEN + 6];
	size_t start = ETH_HLEN + (v4 ? IP4_HLEN : IP6_HLEN);
	uint16_t field, want;

	if (meta->csum_start != start ||
	    meta->csum_offset != l4_csum_offset(proto))
		wrong_frame("partial checksum elsewhere", meta);
	memcpy(&field, p + start + meta->csum_offset, sizeof(field));
	want = (uint16_t)~csum_fold(pseudo_sum(p, proto, len - start));
	if (field != want)
		wrong_frame("partial checksum is not the pseudo-header's",
			    meta);
}

/* complete_csum() - Complete a partial checksum */
static void complete_csum(uint8_t *p, size_t len, const struct frame_meta *meta)
{
	uint8_t *field = p + meta->csum_start + meta->csum_offset;
	uint16_t check = csum_fold(csum_add(p + meta->csum_start,
					    len - meta->csum_start, 0));

	if (!check && meta->csum_offset == l4_csum_offset(IPPROTO_UDP))
		check = 0xffff;
	memcpy(field, &check, sizeof(check));
}

/* cut_segment() - Remember one segment of the GSO frame @p. @hlen is the length
 * of the frame's headers. The segment's payload begins @off bytes after them */
static void cut_segment(struct memory *m, const uint8_t *p, size_t hlen,
			size_t len, size_t off, const struct frame_meta *meta)
{
	size_t n = MIN(meta->gso_size, len - hlen - off);
	size_t l4 = meta->csum_start;
	uint8_t *seg = need_memory(hlen + n);
	uint16_t check;
	uint8_t proto;

	memcpy(seg, p, hlen);
	memcpy(seg + hlen, p + hlen + off, n);
	ip_set_len(seg + ETH_HLEN, hlen + n - ETH_HLEN);
	if (meta->gso == LINK_GSO_UDP) {
		proto = IPPROTO_UDP;
		put_be16(seg + l4 + 4, (uint16_t)(UDP_HLEN + n));
	} else {
		proto = IPPROTO_TCP;
		put_be32(seg + l4 + 4, get_be32(p + l4 + 4) + (uint32_t)off);
		if (hlen + off + n < len)
			seg[l4 + 13] &= (uint8_t)~(TH_FIN | TH_PUSH);
	}
	check = (uint16_t)~csum_fold(pseudo_sum(p, proto, hlen + n - l4));
	memcpy(seg + l4 + meta->csum_offset, &check, sizeof(check));
	complete_csum(seg, hlen + n, meta);
	hold_bytes(m, seg, hlen + n);
}

/* cut_frame() - Cut a GSO frame as the guest's network stack would */
static void cut_frame(struct memory *m, const uint8_t *p, size_t len,
		      const struct frame_meta *meta)
{
	bool v4 = p[ETH_HLEN] >> 4 == 4;
	size_t l4 = meta->csum_start, hlen, off;
	uint8_t proto = v4 ? p[ETH_HLEN + 9] : p[ETH_HLEN + 6];

	if (meta->csum != LINK_CSUM_PARTIAL || len > m->link.caps.gso_max ||
	    meta->gso != (proto == IPPROTO_UDP ? LINK_GSO_UDP :
			  v4 ? LINK_GSO_TCP4 : LINK_GSO_TCP6))
		wrong_frame("GSO frame that is none", meta);
	hlen = l4 + (proto == IPPROTO_UDP ? UDP_HLEN : (p[l4 + 12] >> 4) * 4U);
	if (!meta->gso_size || hlen + meta->gso_size >= len)
		wrong_frame("GSO frame of one segment", meta);
	for (off = 0; hlen + off < len; off += meta->gso_size)
		cut_segment(m, p, hlen, len, off, meta);
	m->gso_frames++;
}

/* unpadded_len() - Return the length of a frame without Ethernet's padding;
 * check that the padding is zero */
static size_t unpadded_len(const uint8_t *p, size_t len,
			   const struct frame_meta *meta)
{
	uint16_t etype = get_be16(p + 2 * MAC_LEN);
	size_t end = len, i;

	if (len < LINK_FRAME_MIN)
		wrong_frame("shorter than Ethernet's minimum", meta);
	if (etype == ETH_P_ARP)
		end = ETH_HLEN + ARP_LEN;
	else if (etype == ETH_P_IP)
		end = ETH_HLEN + get_be16(p + ETH_HLEN + 2);
	else if (etype == ETH_P_IPV6)
		end = ETH_HLEN + IP6_HLEN + get_be16(p + ETH_HLEN + 4);
	if (len > LINK_FRAME_MIN || end > len)
		return len;
	for (i = end; i < len; i++) {
		if (p[i])
			wrong_frame("padding that is not zero", meta);
	}
	return end;
}

/* hold_frame() - Remember a frame to the guest as the guest sees it */
static void hold_frame(struct memory *m, const struct frame *f)
{
	uint8_t *p = need_memory(f->len);
	size_t len = f->len;

	if (iov_copy(p, len, f->iov, f->iovcnt) != len)
		abort();
	m->used += len;
	if (!f->meta.gso)
		len = unpadded_len(p, len, &f->meta);
	if (f->meta.csum == LINK_CSUM_PARTIAL)
		check_partial(p, len, &f->meta);
	if (f->meta.gso) {
		cut_frame(m, p, len, &f->meta);
		free(p);
		return;
	}
	if (len > m->link.caps.max_frame)
		wrong_frame("longer than the longest frame", &f->meta);
	if (f->meta.csum == LINK_CSUM_PARTIAL)
		complete_csum(p, len, &f->meta);
	hold_bytes(m, p, len);
}

static int memory_flush(struct link_queue *q)
{
	struct memory *m = of_queue(q);
	struct memory_queue *mq = &m->of[q - m->queue];
	unsigned int i;

	for (i = 0; i < q->nto_guest; i++)
		hold_frame(m, &q->to_guest[i]);
	q->nto_guest = 0;
	drop_slots(q, mq);

	q->blocked = m->stalled;
	if (!m->stalled)
		m->nsent = m->nheld;
	return !m->stalled;
}

static bool memory_stalled(struct link_queue *q)
{
	return of_queue(q)->stalled;
}

static void memory_close(struct link *l)
{
	struct memory *m = container_of(l, struct memory, link);
	unsigned int i;

	memory_clear(m);
	m->count = 0;
	for (i = 0; i < MEMORY_QUEUES; i++)
		memory_release(&m->queue[i]);
}

static const struct link_ops memory_ops = {
	.event = memory_event,
	.refill = memory_refill,
	.release = memory_release,
	.slots = memory_slots,
	.flush = memory_flush,
	.stalled = memory_stalled,
	.close = memory_close,
};

/**
 * memory_open_as() - Make a memory link
 * @m:		the link, overwritten
 * @size:	bytes of space for frames to the guest
 * @mode:	how frames lie in memory
 */
void memory_open_as(struct memory *m, size_t size, enum memory_mode mode)
{
	unsigned int i;

	/* Don't clear the arrays: that would slow down fuzzers, which call this
	 * for each input. */
	m->mode = mode;
	m->size = size;
	m->used = 0;
	m->gso_frames = m->joins = m->njoined = 0;
	m->count = m->nsent = m->nheld = 0;
	m->stalled = false;
	m->link = (struct link){
		.ops = &memory_ops, .caps.max_frame = LINK_FRAME_MAX,
		.caps.shared = mode != MEMORY_CONTIGUOUS,
		.caps.gso_max = mode == MEMORY_SEGMENTING ? LINK_GSO_MAX : 0,
		.caps.uso_to_guest = mode == MEMORY_SEGMENTING,
		.caps.csum_to_guest = mode == MEMORY_SEGMENTING,
		.queues = m->queue, .nqueues = MEMORY_QUEUES,
	};
	for (i = 0; i < MEMORY_QUEUES; i++) {
		m->of[i].ngiven = m->of[i].nslot = 0;
		m->queue[i].link = &m->link;
		m->queue[i].nfrom_guest = m->queue[i].nto_guest = 0;
		m->queue[i].pending = 0;
		m->queue[i].more = m->queue[i].blocked = false;
		m->queue[i].low_latency = false;
		m->link.fds[m->link.nfds++] = (struct link_fd){
			.fd = -1, .events = EPOLLIN, .blocked = EPOLLIN,
		};
	}
}

/**
 * memory_open() - Make a memory link of the mode that LINK_MODE names
 * @m:		the link, overwritten
 * @size:	bytes of space for frames to the guest
 *
 * Return: 0
 */
int memory_open(struct memory *m, size_t size)
{
	const char *name = getenv("LINK_MODE");
	enum memory_mode mode = MEMORY_CONTIGUOUS;

	while (name && strcmp(name, memory_mode_name[mode]))
		if (++mode == MEMORY_MODES)
			abort();
	memory_open_as(m, size, mode);
	return 0;
}

/**
 * memory_put() - Add a frame from the guest for the next refill
 * @m:		memory link
 * @frame:	Ethernet frame. In contiguous mode it must stay valid until the
 *		release; in the other modes until the refill, which copies it
 * @len:	bytes of the frame
 */
void memory_put(struct memory *m, void *frame, size_t len)
{
	memory_put_meta(m, frame, len, (struct frame_meta){ 0 });
}

/* memory_put_meta() - Add a frame from the guest that has metadata */
void memory_put_meta(struct memory *m, void *frame, size_t len,
		     struct frame_meta meta)
{
	if (m->count == LINK_BURST)
		return;
	m->put_meta[m->count] = meta;
	m->put[m->count++] = (struct iovec){ frame, len };
}

/**
 * memory_clear() - Forget all frames to the guest; all space is free again
 * @m:		memory link
 */
void memory_clear(struct memory *m)
{
	struct link_queue *q;

	while (m->nheld)
		free(m->sent[--m->nheld].iov_base);
	m->nsent = 0;
	m->used = 0;
	for (q = m->queue; q < m->queue + MEMORY_QUEUES; q++) {
		q->nto_guest = 0;
		q->pending = 0;
		drop_slots(q, &m->of[q - m->queue]);
	}
}

/**
 * struct joinable - Layout of a frame that may become a part of a GSO frame
 * @hlen:	bytes of all headers
 * @l4:		offset of the transport header
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 */
struct joinable {
	size_t hlen, l4;
	uint8_t proto;
};

/* is_joinable() - Whether a frame is a TCP segment with payload, or a UDP
 * datagram, with a right checksum; if so, fills in @j */
static bool is_joinable(const struct iovec *f, struct joinable *j)
{
	const uint8_t *p = f->iov_base, *ip = p + ETH_HLEN;
	bool v4;

	if (f->iov_len < ETH_HLEN + IP6_HLEN + TCP_HLEN)
		return false;
	v4 = get_be16(p + 12) == ETH_P_IP;
	if (v4 ? ip[0] != 0x45 || get_be16(ip + 6) & ~IP4_DF :
		 get_be16(p + 12) != ETH_P_IPV6)
		return false;
	j->proto = v4 ? ip[9] : ip[6];
	j->l4 = ETH_HLEN + (v4 ? IP4_HLEN : IP6_HLEN);
	if (j->proto == IPPROTO_TCP && (p[j->l4 + 13] & ~TH_PUSH) == TH_ACK)
		j->hlen = j->l4 + (p[j->l4 + 12] >> 4) * 4U;
	else if (j->proto == IPPROTO_UDP && get_be16(p + j->l4 + 6))
		j->hlen = j->l4 + UDP_HLEN;
	else
		return false;
	if (f->iov_len <= j->hlen || f->iov_len !=
	    ETH_HLEN + (v4 ? 0U : IP6_HLEN) + get_be16(ip + (v4 ? 2 : 4)))
		return false;
	return !csum_fold(csum_add(p + j->l4, f->iov_len - j->l4,
				   pseudo_sum(p, j->proto,
					      f->iov_len - j->l4)));
}

/* mask_headers() - Copy the headers, and set those fields to zero that may
 * differ between segments of one GSO frame */
static void mask_headers(const uint8_t *p, const struct joinable *j,
			 uint8_t *hdr)
{
	uint8_t *ip = hdr + ETH_HLEN, *l4 = hdr + j->l4;

	memcpy(hdr, p, j->hlen);
	if (j->l4 == ETH_HLEN + IP4_HLEN) {
		put_be32(ip + 2, 0);		/* length, ID */
		put_be16(ip + 10, 0);
	} else {
		put_be16(ip + 4, 0);
	}
	if (j->proto == IPPROTO_UDP) {
		put_be32(l4 + 4, 0);		/* length, checksum */
		return;
	}
	put_be32(l4 + 4, 0);			/* sequence number */
	l4[13] &= (uint8_t)~TH_PUSH;
	put_be16(l4 + 16, 0);
}

/* goes_on() - Whether @f continues the frames from @first to @last, whose
 * payloads have @payload bytes in all */
static bool goes_on(const struct iovec *first, const struct iovec *last,
		    const struct joinable *j, size_t payload,
		    const struct iovec *f)
{
	const uint8_t *a = first->iov_base, *z = last->iov_base;
	size_t size = first->iov_len - j->hlen;
	uint8_t one[PKT_HDR_MAX], other[PKT_HDR_MAX];
	const uint8_t *p = f->iov_base;
	struct joinable k;

	if (last->iov_len != first->iov_len || f->iov_len > first->iov_len ||
	    j->hlen + payload + size > ETH_HLEN + IP_LEN_MAX ||
	    !is_joinable(f, &k) || k.hlen != j->hlen || k.proto != j->proto)
		return false;
	mask_headers(a, j, one);
	mask_headers(p, j, other);
	if (memcmp(one, other, j->hlen))
		return false;
	return j->proto == IPPROTO_UDP ||
	       (!(z[j->l4 + 13] & TH_PUSH) &&
		get_be32(p + j->l4 + 4) ==
		get_be32(a + j->l4 + 4) + (uint32_t)payload);
}

/* join_frames() - Join @n frames into a GSO frame, and add it for the refill */
static void join_frames(struct memory *m, const struct iovec *f, unsigned int n,
			const struct joinable *j, size_t payload)
{
	uint8_t *p = need_memory(j->hlen + payload), *at = p + j->hlen, *l4;
	size_t len = j->hlen + payload;
	uint16_t check;
	unsigned int i;

	m->joined[m->njoined++] = p;
	memcpy(p, f->iov_base, j->hlen);
	for (i = 0; i < n; i++) {
		memcpy(at, (uint8_t *)f[i].iov_base + j->hlen,
		       f[i].iov_len - j->hlen);
		at += f[i].iov_len - j->hlen;
	}

	l4 = p + j->l4;
	ip_set_len(p + ETH_HLEN, len - ETH_HLEN);
	if (j->proto == IPPROTO_UDP)
		put_be16(l4 + 4, (uint16_t)(len - j->l4));
	else
		l4[13] = ((uint8_t *)f[n - 1].iov_base)[j->l4 + 13];
	check = (uint16_t)~csum_fold(pseudo_sum(p, j->proto, len - j->l4));
	memcpy(l4 + l4_csum_offset(j->proto), &check, sizeof(check));
	memory_put_meta(m, p, len, (struct frame_meta){
		.csum = LINK_CSUM_PARTIAL, .csum_start = (uint16_t)j->l4,
		.csum_offset = (uint16_t)l4_csum_offset(j->proto),
		.gso_size = (uint16_t)(f->iov_len - j->hlen),
		.gso = j->proto == IPPROTO_UDP ? LINK_GSO_UDP :
		       j->l4 == ETH_HLEN + IP4_HLEN ? LINK_GSO_TCP4 :
		       LINK_GSO_TCP6 });
	m->joins++;
}

/**
 * memory_join() - Join consecutive frames for the next refill into GSO frames
 * @m:		memory link; nothing happens unless its mode is segmenting
 */
void memory_join(struct memory *m)
{
	unsigned int i, n, count = m->count;
	struct frame_meta meta[LINK_BURST];
	struct iovec f[LINK_BURST];
	struct joinable j;
	size_t payload;

	if (m->mode != MEMORY_SEGMENTING)
		return;
	memcpy(f, m->put, sizeof(f));
	memcpy(meta, m->put_meta, sizeof(meta));
	m->count = 0;
	for (i = 0; i < count; i += n) {
		n = 1;
		if (!meta[i].csum && is_joinable(&f[i], &j)) {
			payload = f[i].iov_len - j.hlen;
			for (; i + n < count && goes_on(&f[i], &f[i + n - 1],
							&j, payload, &f[i + n]);
			     n++)
				payload += f[i + n].iov_len - j.hlen;
		}
		if (n > 1)
			join_frames(m, &f[i], n, &j, payload);
		else
			memory_put_meta(m, f[i].iov_base, f[i].iov_len,
					meta[i]);
	}
}
