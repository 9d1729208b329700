// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * reassemble.c - The guest's fragments become datagrams again (RFC 791 3.2,
 * RFC 8200 4.5), because a socket takes nothing less.
 * Called by tap.c; calls libc.
 *
 * The bytes of a datagram lie where they will be in the end, in one buffer
 * with room for the headers in front, and a bit for each unit of 8 bytes says
 * what is there: a fragment costs the same whatever came before it. Another
 * bit says where fragments begin, so that one that comes twice is told from
 * one that overlaps.
 *
 * A datagram whose fragments overlap is given up (RFC 5722). It keeps its
 * place, without a buffer, until it would have timed out: what comes of it
 * later is dropped and does not begin a new one.
 */
#include <stdlib.h>
#include <string.h>

#include "iov.h"
#include "tap.h"

#define HDR_ROOM	PKT_HDR_MAX	/* in front of a buffer */
#define UNITS		((IP_LEN_MAX + IP_FRAG_UNIT) / IP_FRAG_UNIT)

/**
 * struct datagram - One of which fragments came
 * @next:	in the list of whole ones
 * @src, @dst, @id, @proto: which it is
 * @due:	ms: when it is given up
 * @csum_ok:	no fragment's checksum needs a check
 * @buf:	HDR_ROOM and what came; NULL: given up, for the time being
 * @size:	bytes of @buf
 * @hdrlen:	headers, at the end of HDR_ROOM
 * @next_at, @next_hdr: as in struct fragment; all three from the first one
 * @end:	bytes in all, 0: the last fragment is not here
 * @top:	where the furthest of those that are here ends
 * @have:	bytes that are here
 * @got:	units that are here
 * @start:	those at which a fragment begins
 * @iov, @frame: the whole, as if it had come like that
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
	uint8_t got[UNITS / 8], start[UNITS / 8];
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

static bool bit(const uint8_t *bits, unsigned int i)
{
	return i < UNITS && bits[i / 8] >> i % 8 & 1;
}

static void bit_set(uint8_t *bits, unsigned int i)
{
	bits[i / 8] |= (uint8_t)(1 << i % 8);
}

/* take_out() - A datagram is held no more, and its memory does not count */
static void take_out(struct reassembly *r, const struct datagram *d)
{
	unsigned int i;

	for (i = 0; r->held[i] != d; i++)
		;
	r->n--;
	memmove(&r->held[i], &r->held[i + 1],
		(r->n - i) * sizeof(r->held[0]));
	r->bytes -= sizeof(*d) + d->size;
}

static void datagram_free(struct datagram *d)
{
	free(d->buf);
	free(d);
}

/* forget() - The oldest datagram goes, counted unless it had been given up */
static void forget(struct reassembly *r, enum fragment_counter why)
{
	struct datagram *d = r->held[0];

	r->count[why] += d->buf != NULL;
	take_out(r, d);
	datagram_free(d);
}

/**
 * give_up() - A datagram can't become whole, and nor can what comes of it
 * @r:		for the counters
 * @d:		datagram
 * @why:	counter
 */
static void give_up(struct reassembly *r, struct datagram *d,
		    enum fragment_counter why)
{
	r->count[why]++;
	r->bytes -= d->size;
	free(d->buf);
	d->buf = NULL;
	d->size = 0;
}

/**
 * reassembly_expire() - Forget datagrams that did not become whole in time
 * @r:		datagrams
 * @now:	ms
 */
void reassembly_expire(struct reassembly *r, uint64_t now)
{
	while (r->n && r->held[0]->due <= now)
		forget(r, FRAG_TIMEOUT);
}

/**
 * reassembly_due() - When reassembly_expire() has something to do
 * @r:		datagrams
 *
 * Return: ms, 0: nothing is waited for
 */
uint64_t reassembly_due(const struct reassembly *r)
{
	return r->n ? r->held[0]->due : 0;
}

/**
 * reassembly_release() - The whole datagrams are done with
 * @r:		datagrams
 */
void reassembly_release(struct reassembly *r)
{
	struct datagram *d;

	while ((d = r->whole)) {
		r->whole = d->next;
		datagram_free(d);
	}
}

/**
 * reassembly_free() - Forget everything but the counters
 * @r:		datagrams
 */
void reassembly_free(struct reassembly *r)
{
	reassembly_release(r);
	while (r->n)
		datagram_free(r->held[--r->n]);
	r->bytes = 0;
}

/**
 * make_room() - Memory for one more thing, at the cost of the oldest
 * @r:		datagrams
 * @bytes:	of it
 * @for_whom:	datagram that is not to be forgotten, or NULL
 *
 * Return: whether it may be taken
 */
static bool make_room(struct reassembly *r, size_t bytes,
		      const struct datagram *for_whom)
{
	while (r->bytes + bytes > FRAG_BYTES) {
		if (!r->n || r->held[0] == for_whom)
			return false;
		forget(r, FRAG_NO_SPACE);
	}
	r->bytes += bytes;
	return true;
}

/**
 * grow() - Room for the bytes of a datagram
 * @r:		datagrams
 * @d:		the one
 * @frag:	up to whose end there is to be room; if there are more to come,
 *		for as much again
 *
 * Return: false if there is none
 */
static bool grow(struct reassembly *r, struct datagram *d,
		 const struct fragment *frag)
{
	size_t need = frag->off + frag->len, size;
	uint8_t *buf;

	if (d->buf && HDR_ROOM + need <= d->size)
		return true;
	if (frag->more && !d->end)
		need = MIN(2 * need, IP_LEN_MAX);
	size = HDR_ROOM + MAX(need, d->end);
	if (!make_room(r, size - d->size, d))
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

/* begin() - The first fragment to come of a datagram; NULL: no memory */
static struct datagram *begin(struct reassembly *r, const struct fragment *frag,
			      uint64_t now)
{
	struct datagram *d;

	if (r->n == FRAG_DATAGRAMS)
		forget(r, FRAG_NO_SPACE);
	if (!make_room(r, sizeof(*d), NULL))
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

/* find() - The datagram that a fragment is of, most likely the last; or NULL */
static struct datagram *find(const struct reassembly *r,
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

/* units_end() - The first unit that a fragment does not touch */
static unsigned int units_end(const struct fragment *frag)
{
	return (frag->off + frag->len + IP_FRAG_UNIT - 1) / IP_FRAG_UNIT;
}

/* overlaps() - Whether something of a fragment is here already */
static bool overlaps(const struct datagram *d, const struct fragment *frag)
{
	unsigned int i;

	for (i = frag->off / IP_FRAG_UNIT; i < units_end(frag); i++) {
		if (bit(d->got, i))
			return true;
	}
	return false;
}

/**
 * again() - Whether a fragment that overlaps is one that has come before
 * @d:		datagram
 * @frag:	the fragment
 * @payload:	its bytes
 *
 * RFC 8200 4.5 lets exact duplicates be ignored: the same place, the same
 * length, and the same bytes.
 */
static bool again(const struct datagram *d, const struct fragment *frag,
		  const struct frame *payload)
{
	unsigned int i = frag->off / IP_FRAG_UNIT, end = units_end(frag);

	if (!bit(d->got, i) || !bit(d->start, i))
		return false;
	for (i++; i < end; i++) {
		if (!bit(d->got, i) || bit(d->start, i))
			return false;
	}
	if (bit(d->got, end) && !bit(d->start, end))
		return false;
	if (!frag->more && d->end != frag->off + frag->len)
		return false;
	return iov_equal(d->buf + HDR_ROOM + frag->off, payload->iov,
			 payload->iovcnt);
}

/* contradicts() - Whether a fragment ends the datagram elsewhere than others */
static bool contradicts(const struct datagram *d, const struct fragment *frag)
{
	uint32_t end = frag->off + frag->len;

	if (frag->more)
		return d->end && end >= d->end;
	return d->top > end || (d->end && d->end != end);
}

/* store() - What a fragment brings is here now */
static void store(struct datagram *d, const struct fragment *frag,
		  const struct frame *payload)
{
	uint32_t end = frag->off + frag->len;
	unsigned int i;

	iov_copy(d->buf + HDR_ROOM + frag->off, frag->len, payload->iov,
		 payload->iovcnt);
	bit_set(d->start, frag->off / IP_FRAG_UNIT);
	for (i = frag->off / IP_FRAG_UNIT; i < units_end(frag); i++)
		bit_set(d->got, i);
	d->have += frag->len;
	d->top = MAX(d->top, end);
	d->csum_ok = d->csum_ok && payload->csum_ok;
	if (!frag->more)
		d->end = end;
	if (!frag->off) {
		memcpy(d->buf + HDR_ROOM - frag->hdrlen, frag->hdr,
		       frag->hdrlen);
		d->hdrlen = frag->hdrlen;
		d->next_at = frag->next_at;
		d->next_hdr = frag->next;
	}
}

/* finish() - Headers as if it had never been cut; false: it is too long */
static bool finish(struct datagram *d)
{
	uint8_t *frame = d->buf + HDR_ROOM - d->hdrlen, *ip = frame + ETH_HLEN;
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
		.csum_ok = d->csum_ok,
	};
	return len <= IP_LEN_MAX + (v4 ? 0 : IP6_HLEN);
}

/* complete() - Nothing is missing any more; the whole, NULL: it is too long */
static struct frame *complete(struct reassembly *r, struct datagram *d)
{
	if (!finish(d)) {
		give_up(r, d, FRAG_MALFORMED);
		return NULL;
	}
	take_out(r, d);
	d->next = r->whole;
	r->whole = d;
	r->count[FRAG_REASSEMBLED]++;
	return &d->frame;
}

/**
 * reassemble() - One more fragment
 * @r:		datagrams
 * @frag:	what it says
 * @payload:	its bytes, @frag->len of them
 * @now:	ms
 *
 * Return: the whole datagram, as one frame, if this was the last one missing:
 *	   good until reassembly_release(). Else NULL
 */
struct frame *reassemble(struct reassembly *r, const struct fragment *frag,
			 const struct frame *payload, uint64_t now)
{
	struct datagram *d = find(r, frag);

	r->count[FRAG_FROM_GUEST]++;
	if (!d)
		d = begin(r, frag, now);
	else if (!d->buf)
		return NULL;

	if (!d) {
		r->count[FRAG_NO_SPACE]++;
	} else if (frag->broken) {
		give_up(r, d, FRAG_MALFORMED);
	} else if (contradicts(d, frag)) {
		give_up(r, d, FRAG_OVERLAP);
	} else if (overlaps(d, frag)) {
		if (!again(d, frag, payload))
			give_up(r, d, FRAG_OVERLAP);
	} else if (!grow(r, d, frag)) {
		give_up(r, d, FRAG_NO_SPACE);
	} else {
		store(d, frag, payload);
		if (d->have == d->end)
			return complete(r, d);
	}
	return NULL;
}
