// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * reassemble.c - Reassembles datagrams from the guest's fragments (RFC 791 3.2,
 * RFC 8200 4.5), because passt's sockets can only send whole datagrams.
 *
 * Each datagram has one buffer, with space for the headers in front. The
 * payload of each fragment is copied to its final place in the buffer. One bit
 * for each unit of 8 bytes says whether the unit was received, so that the cost
 * of a fragment does not depend on the number of earlier fragments. A second
 * bit says whether a fragment begins at the unit. It is needed to distinguish a
 * duplicate of a fragment from an overlap.
 *
 * A datagram whose fragments overlap is discarded (RFC 5722). The entry of a
 * discarded datagram stays in the list until its timeout, without a buffer.
 * Later fragments of the datagram find this entry and are dropped; otherwise
 * they would begin a new datagram.
 */
#include <stdlib.h>
#include <string.h>

#include "iov.h"
#include "tap.h"

/* Bytes of a datagram's buffer in front of the payload, for the headers. */
#define HEADROOM	PKT_HDR_MAX
#define FRAG_UNITS	((IP_LEN_MAX + IP_FRAG_UNIT) / IP_FRAG_UNIT)

/**
 * struct datagram - A datagram of which at least one fragment was received
 * @next:	next datagram in the list of reassembled datagrams
 * @src, @dst, @id, @proto: as in struct fragment
 * @due:	time at which the entry is removed, ms
 * @csum_ok:	the link vouches for the checksum of each fragment received so
 *		far
 * @buf:	HEADROOM bytes for the headers, then the payload; NULL: the
 *		datagram was discarded
 * @size:	bytes of @buf
 * @hdrlen:	bytes of the IP headers, which end where the payload begins and
 *		follow the Ethernet header; set when the first fragment of the
 *		datagram was received
 * @next_at, @next_hdr: as @next_at and @next in struct fragment, of the first
 *		fragment of the datagram
 * @end:	bytes of the whole payload; 0 until the last fragment of the
 *		datagram was received
 * @top:	highest offset at which a received fragment ends, bytes
 * @have:	bytes of payload received so far
 * @got:	one bit for each unit of 8 bytes of payload, set if the unit was
 *		received
 * @start:	one bit for each such unit, set if a received fragment begins
 *		there
 * @iov, @frame: the reassembled datagram, in the form of a frame of the link
 */
struct datagram {
	struct datagram *next;
	struct in6_addr src, dst;
	uint32_t id;
	uint8_t proto;
	uint64_t due;
	bool csum_ok;
	uint8_t *buf;
	size_t size;
	uint16_t hdrlen, next_at;
	uint8_t next_hdr;
	uint32_t end, top, have;
	uint8_t got[FRAG_UNITS / 8], start[FRAG_UNITS / 8];
	struct iovec iov;
	struct frame frame;
};

const char *const fragment_counter_name[FRAG_COUNTERS] = {
	[FRAG_FROM_GUEST]	= "fragments_from_guest",
	[FRAG_REASSEMBLED]	= "fragments_reassembled",
	[FRAG_TIMEOUT]	= "fragments_timed_out",
	[FRAG_OVERLAP]	= "fragments_overlapping",
	[FRAG_MALFORMED]	= "fragments_malformed",
	[FRAG_NO_SPACE]	= "fragments_no_space",
	[FRAG_TO_GUEST]	= "fragments_to_guest",
};

static bool has_unit(const uint8_t *bits, unsigned int i)
{
	return i < FRAG_UNITS && bits[i / 8] >> i % 8 & 1;
}

static void set_unit(uint8_t *bits, unsigned int i)
{
	bits[i / 8] |= (uint8_t)(1 << i % 8);
}

/* unlink_datagram() - Remove a datagram from @r->held, and subtract its memory
 * from @r->bytes */
static void unlink_datagram(struct reassembly *r, const struct datagram *d)
{
	unsigned int i;

	for (i = 0; r->held[i] != d; i++)
		;
	r->n--;
	memmove(&r->held[i], &r->held[i + 1],
		(r->n - i) * sizeof(r->held[0]));
	r->bytes -= sizeof(*d) + d->size;
}

static void free_datagram(struct datagram *d)
{
	free(d->buf);
	free(d);
}

/* evict_oldest() - Free the oldest datagram, and count the reason @why, unless
 * discard_datagram() has counted it already */
static void evict_oldest(struct reassembly *r, enum fragment_counter why)
{
	struct datagram *d = r->held[0];

	r->count[why] += d->buf != NULL;
	unlink_datagram(r, d);
	free_datagram(d);
}

/* discard_datagram() - Free the buffer of a datagram, count the reason @why,
 * and keep the entry, so that later fragments of the datagram are dropped */
static void discard_datagram(struct reassembly *r, struct datagram *d,
			     enum fragment_counter why)
{
	r->count[why]++;
	r->bytes -= d->size;
	free(d->buf);
	d->buf = NULL;
	d->size = 0;
}

/**
 * reassembly_expire() - Remove all datagrams whose timeout has passed
 * @r:		datagrams
 */
void reassembly_expire(struct reassembly *r, uint64_t now)
{
	while (r->n && r->held[0]->due <= now)
		evict_oldest(r, FRAG_TIMEOUT);
}

/**
 * reassembly_due() - Tell when to call reassembly_expire() next
 * @r:		datagrams
 *
 * Return: time at which the oldest datagram times out, ms; 0 if there is no
 *	   datagram
 */
uint64_t reassembly_due(const struct reassembly *r)
{
	return r->n ? r->held[0]->due : 0;
}

/**
 * reassembly_release() - Free the reassembled datagrams
 * @r:		datagrams
 */
void reassembly_release(struct reassembly *r)
{
	struct datagram *d;

	while ((d = r->reassembled)) {
		r->reassembled = d->next;
		free_datagram(d);
	}
}

/**
 * reassembly_free() - Free everything but the counters
 * @r:		datagrams
 */
void reassembly_free(struct reassembly *r)
{
	reassembly_release(r);
	while (r->n)
		free_datagram(r->held[--r->n]);
	r->bytes = 0;
}

/* claim_memory() - Add @bytes to @r->bytes without exceeding FRAG_BYTES. If
 * necessary, evict the oldest datagrams, but neither @keep nor newer ones.
 * Returns false if this is not enough */
static bool claim_memory(struct reassembly *r, size_t bytes,
			 const struct datagram *keep)
{
	while (r->bytes + bytes > FRAG_BYTES) {
		if (!r->n || r->held[0] == keep)
			return false;
		evict_oldest(r, FRAG_NO_SPACE);
	}
	r->bytes += bytes;
	return true;
}

/* grow_buffer() - Make space for a fragment in the buffer of a datagram. If the
 * length of the datagram is not known yet, make twice as much space as needed,
 * for later fragments. Returns false if there is no memory */
static bool grow_buffer(struct reassembly *r, struct datagram *d,
			const struct fragment *frag)
{
	size_t need = frag->off + frag->len, size;
	uint8_t *buf;

	if (d->buf && HEADROOM + need <= d->size)
		return true;
	if (frag->more && !d->end)
		need = MIN(2 * need, IP_LEN_MAX);
	size = HEADROOM + MAX(need, d->end);
	if (!claim_memory(r, size - d->size, d))
		return false;

	buf = realloc(d->buf, size);
	if (!buf) {
		r->bytes -= size - d->size;
		return false;
	}
	d->buf = buf;
	d->size = size;
	return true;
}

/* add_datagram() - Add an entry for the datagram of a fragment; NULL if there
 * is no memory */
static struct datagram *add_datagram(struct reassembly *r,
				     const struct fragment *frag, uint64_t now)
{
	struct datagram *d;

	if (r->n == FRAG_DATAGRAMS)
		evict_oldest(r, FRAG_NO_SPACE);
	if (!claim_memory(r, sizeof(*d), NULL))
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d) {
		r->bytes -= sizeof(*d);
		return NULL;
	}
	d->src = frag->src;
	d->dst = frag->dst;
	d->id = frag->id;
	d->proto = frag->proto;
	d->due = now + FRAG_TIMEOUT_MS;
	d->csum_ok = true;
	r->held[r->n++] = d;
	return d;
}

/* find_datagram() - Find the datagram that a fragment belongs to, beginning the
 * search at the newest datagram; NULL if there is none */
static struct datagram *find_datagram(const struct reassembly *r,
				      const struct fragment *frag)
{
	struct datagram *d;
	unsigned int i;

	for (i = r->n; i; i--) {
		d = r->held[i - 1];
		if (d->id == frag->id && d->proto == frag->proto &&
		    addr_eq(&d->src, &frag->src) &&
		    addr_eq(&d->dst, &frag->dst))
			return d;
	}
	return NULL;
}

/* units_end() - Return the number of the first unit of 8 bytes after a
 * fragment */
static unsigned int units_end(const struct fragment *frag)
{
	return (frag->off + frag->len + IP_FRAG_UNIT - 1) / IP_FRAG_UNIT;
}

/* has_overlap() - Whether a part of a fragment was received before */
static bool has_overlap(const struct datagram *d, const struct fragment *frag)
{
	unsigned int i;

	for (i = frag->off / IP_FRAG_UNIT; i < units_end(frag); i++) {
		if (has_unit(d->got, i))
			return true;
	}
	return false;
}

/* is_duplicate() - Whether a fragment has the same offset, length and bytes as
 * a fragment received before. RFC 8200 4.5 allows us to ignore such a
 * fragment. */
static bool is_duplicate(const struct datagram *d, const struct fragment *frag,
			 const struct frame *payload)
{
	unsigned int i = frag->off / IP_FRAG_UNIT, end = units_end(frag);

	if (!has_unit(d->got, i) || !has_unit(d->start, i))
		return false;
	for (i++; i < end; i++) {
		if (!has_unit(d->got, i) || has_unit(d->start, i))
			return false;
	}
	if (has_unit(d->got, end) && !has_unit(d->start, end))
		return false;
	if (!frag->more && d->end != frag->off + frag->len)
		return false;
	return iov_equal(d->buf + HEADROOM + frag->off, payload->iov,
			 payload->iovcnt);
}

/* end_contradicts() - Whether a fragment and the fragments received before it
 * disagree about the length of the datagram */
static bool end_contradicts(const struct datagram *d,
			    const struct fragment *frag)
{
	uint32_t end = frag->off + frag->len;

	if (frag->more)
		return d->end && end >= d->end;
	return d->top > end || (d->end && d->end != end);
}

static void store_fragment(struct datagram *d, const struct fragment *frag,
			   const struct frame *payload)
{
	uint32_t end = frag->off + frag->len;
	unsigned int i;
	uint8_t *hdr;

	iov_copy(d->buf + HEADROOM + frag->off, frag->len, payload->iov,
		 payload->iovcnt);
	set_unit(d->start, frag->off / IP_FRAG_UNIT);
	for (i = frag->off / IP_FRAG_UNIT; i < units_end(frag); i++)
		set_unit(d->got, i);
	d->have += frag->len;
	d->top = MAX(d->top, end);
	d->csum_ok = d->csum_ok && payload->meta.csum == LINK_CSUM_OK;
	if (!frag->more)
		d->end = end;
	if (!frag->off) {
		hdr = d->buf + HEADROOM - frag->hdrlen;
		memcpy(hdr, frag->hdr, frag->hdrlen);
		memcpy(hdr - ETH_HLEN, frag->eth, 2 * MAC_LEN);
		d->hdrlen = frag->hdrlen;
		d->next_at = frag->next_at;
		d->next_hdr = frag->next;
	}
}

/* restore_headers() - Write the headers that the datagram had before it was
 * fragmented; returns false if the datagram is too long for IP */
static bool restore_headers(struct datagram *d)
{
	uint8_t *ip = d->buf + HEADROOM - d->hdrlen, *frame = ip - ETH_HLEN;
	size_t len = d->hdrlen + d->end;
	bool v4 = !d->next_at;

	if (v4)
		put_be16(ip + 6, 0);
	else
		ip[d->next_at] = d->next_hdr;
	put_be16(frame + 2 * MAC_LEN, v4 ? ETH_P_IP : ETH_P_IPV6);
	ip_set_len(ip, len);
	d->iov = (struct iovec){ frame, ETH_HLEN + len };
	d->frame = (struct frame){
		.iov = &d->iov, .iovcnt = 1, .len = (uint32_t)(ETH_HLEN + len),
		.meta.csum = d->csum_ok ? LINK_CSUM_OK : LINK_CSUM_FULL,
	};
	return len <= IP_LEN_MAX + (v4 ? 0 : IP6_HLEN);
}

/* complete_datagram() - Make a frame of a datagram whose fragments were all
 * received; NULL if the datagram is too long for IP */
static struct frame *complete_datagram(struct reassembly *r,
				       struct datagram *d)
{
	if (!restore_headers(d)) {
		discard_datagram(r, d, FRAG_MALFORMED);
		return NULL;
	}
	unlink_datagram(r, d);
	d->next = r->reassembled;
	r->reassembled = d;
	r->count[FRAG_REASSEMBLED]++;
	return &d->frame;
}

/**
 * reassemble() - Add one fragment to its datagram
 * @r:		datagrams
 * @frag:	the fragment
 * @payload:	payload of the fragment, @frag->len bytes
 *
 * Return: the whole datagram as one frame, if no other fragment is missing;
 *	   else NULL. The frame is valid until reassembly_release()
 */
struct frame *reassemble(struct reassembly *r, const struct fragment *frag,
			 const struct frame *payload, uint64_t now)
{
	struct datagram *d = find_datagram(r, frag);

	r->count[FRAG_FROM_GUEST]++;
	if (!d)
		d = add_datagram(r, frag, now);
	else if (!d->buf)
		return NULL;

	if (!d) {
		r->count[FRAG_NO_SPACE]++;
	} else if (frag->malformed) {
		discard_datagram(r, d, FRAG_MALFORMED);
	} else if (end_contradicts(d, frag)) {
		discard_datagram(r, d, FRAG_OVERLAP);
	} else if (has_overlap(d, frag)) {
		if (!is_duplicate(d, frag, payload))
			discard_datagram(r, d, FRAG_OVERLAP);
	} else if (!grow_buffer(r, d, frag)) {
		discard_datagram(r, d, FRAG_NO_SPACE);
	} else {
		store_fragment(d, frag, payload);
		if (d->have == d->end)
			return complete_datagram(r, d);
	}
	return NULL;
}
