// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * reassemble.c - The guest's fragments become datagrams again (RFC 791 3.2,
 * RFC 8200 4.5), because a socket takes nothing less.
 *
 * The payload of a datagram lies in one buffer, each byte where it belongs in
 * the end, after space for the headers. One bit for each unit of 8 bytes says
 * that the unit was received, so that a fragment costs the same however many
 * came before it. A second bit says that a fragment begins at the unit, which
 * tells a duplicate from an overlap.
 *
 * A datagram whose fragments overlap is discarded (RFC 5722). Its entry stays,
 * without a buffer, until it would have timed out, so that later fragments of
 * it are dropped and do not begin a new datagram.
 */
#include <stdlib.h>
#include <string.h>

#include "iov.h"
#include "tap.h"

#define HEADROOM	PKT_HDR_MAX	/* headers, before the payload */
#define FRAG_UNITS	((IP_LEN_MAX + IP_FRAG_UNIT) / IP_FRAG_UNIT)

/**
 * struct datagram - A datagram of which fragments were received
 * @next:	in the list of reassembled ones
 * @src, @dst, @id, @proto: as in struct fragment
 * @due:	ms: when it is discarded
 * @csum_ok:	the link vouches for the checksum of each fragment
 * @buf:	HEADROOM and payload; NULL: the datagram was discarded
 * @size:	of @buf, bytes
 * @hdrlen:	headers, at the end of HEADROOM
 * @next_at, @next_hdr: as in struct fragment; all three are known once the
 *		first fragment is here
 * @end:	bytes of payload, 0: not known before the last fragment is here
 * @top:	highest end of a fragment so far
 * @have:	bytes received
 * @got:	units received
 * @start:	units at which a fragment begins
 * @iov, @frame: the reassembled datagram, as if the link had delivered it
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

/* unlink_datagram() - Remove from those held, and from the memory counted */
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

/* evict_oldest() - If it was discarded before, it has been counted then */
static void evict_oldest(struct reassembly *r, enum fragment_counter why)
{
	struct datagram *d = r->held[0];

	r->count[why] += d->buf != NULL;
	unlink_datagram(r, d);
	free_datagram(d);
}

/* discard_datagram() - Count why, and keep its entry: see the top */
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
 * reassembly_expire() - Remove datagrams that were not completed in time
 * @r:		datagrams
 */
void reassembly_expire(struct reassembly *r, uint64_t now)
{
	while (r->n && r->held[0]->due <= now)
		evict_oldest(r, FRAG_TIMEOUT);
}

/**
 * reassembly_due() - Tell when reassembly_expire() has something to do
 * @r:		datagrams
 *
 * Return: ms, 0: no datagram is held
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

/* claim_memory() - Count @bytes more within the bound: if necessary, at the
 * cost of the oldest datagrams, but not of @keep; false: not possible */
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

/* grow_buffer() - Make space for a fragment, and for as much again if others
 * will follow; false: no memory */
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

/* add_datagram() - For a fragment that belongs to none; NULL: no memory */
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

/* find_datagram() - Of a fragment: most likely the latest; NULL: none */
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

/* units_end() - The first unit after a fragment */
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

/* is_duplicate() - Whether a fragment repeats another one exactly: place,
 * length and bytes. RFC 8200 4.5 allows to ignore it. */
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

/* end_contradicts() - Whether another fragment says that it ends elsewhere */
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
		memcpy(d->buf + HEADROOM - frag->hdrlen, frag->hdr,
		       frag->hdrlen);
		d->hdrlen = frag->hdrlen;
		d->next_at = frag->next_at;
		d->next_hdr = frag->next;
	}
}

/* restore_headers() - As they were before fragmentation; false: too long */
static bool restore_headers(struct datagram *d)
{
	uint8_t *frame = d->buf + HEADROOM - d->hdrlen, *ip = frame + ETH_HLEN;
	size_t len = d->hdrlen - ETH_HLEN + d->end;
	bool v4 = !d->next_at;

	if (v4)
		put_be16(ip + 6, 0);
	else
		frame[d->next_at] = d->next_hdr;
	ip_set_len(ip, len);
	d->iov = (struct iovec){ frame, d->hdrlen + d->end };
	d->frame = (struct frame){
		.iov = &d->iov, .iovcnt = 1, .len = d->hdrlen + d->end,
		.meta.csum = d->csum_ok ? LINK_CSUM_OK : LINK_CSUM_FULL,
	};
	return len <= IP_LEN_MAX + (v4 ? 0 : IP6_HLEN);
}

/* complete_datagram() - All fragments are here; NULL: it is too long */
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
 * @payload:	its bytes, @frag->len of them
 *
 * Return: the datagram as one frame, valid until reassembly_release(), if this
 *	   was the last fragment missing; else NULL
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
