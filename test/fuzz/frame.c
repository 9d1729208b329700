/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * frame.c - libFuzzer target: whatever frame a guest sends, all that struct pkt
 * points to is inside the frame, and the result of parsing does not depend on
 * how the frame lies in memory.
 *
 * Each input is one frame. The target parses it in one piece, in several
 * pieces, and in memory that the guest could change; each time it does so with
 * and without verifying checksums.
 */
#include <net/ethernet.h>

#include "checksum.h"
#include "test/memory.h"
#include "tap/parse.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/mutate.h"

#define PIECES	5
/* How a frame lies in memory. */
enum way {
	WAY_WHOLE,		/* in one piece */
	WAY_PIECES,		/* in several pieces */
	WAY_SHARED,		/* in memory that the guest could change */
	WAYS,
};

/**
 * struct parsed - Result of parsing a frame
 * @ok:		it was not dropped
 * @pkt:	parsed packet
 * @copy:	copy of its headers, if the parser has copied them
 * @payload:	copy of the payload of @pkt
 */
struct parsed {
	bool ok;
	struct pkt pkt;
	uint8_t copy[PKT_HDR_MAX];
	uint8_t *payload;
};

/**
 * cut() - Cut a frame into pieces, some of them empty
 * @iov:	set to PIECES pieces
 * @data:	frame
 * @size:	length of the frame
 */
static void cut(struct iovec *iov, uint8_t *data, size_t size)
{
	size_t at = 0, len, i;

	for (i = 0; i < PIECES; i++) {
		len = i == PIECES - 1 ? size - at :
		      (size * 7 + i * 13) % 40 % (size - at + 1);
		iov[i] = (struct iovec){ data + at, len };
		at += len;
	}
}

/* check_headers() - Check offsets and lengths of all headers */
static void check_headers(const struct pkt *pkt, const uint8_t *hdr,
			  size_t size)
{
	bool v4 = addr_is_v4(&pkt->src);
	size_t l2len = (size_t)(pkt->l3 - hdr);

	MUST(pkt->dmac == hdr && pkt->smac == hdr + MAC_LEN);
	MUST(l2len >= ETH_HLEN && !((l2len - ETH_HLEN) % 4));	/* VLAN tags */
	MUST(pkt->l4 == pkt->l3 + pkt->l3len);
	MUST(l2len + pkt->l3len + pkt->l4len <= PKT_HDR_MAX);
	MUST(l2len + pkt->l3len + pkt->l4len + pkt->len <= size);
	if (pkt->etype == ETH_P_ARP) {
		MUST(pkt->l3len >= 28 && !pkt->l4len);
		return;
	}
	MUST(pkt->etype == (v4 ? ETH_P_IP : ETH_P_IPV6));
	MUST(addr_is_v4(&pkt->dst) == v4);
	MUST(pkt->l3len >= (v4 ? 20 : 40));
	switch (pkt->proto) {
	case IPPROTO_TCP:
		MUST(pkt->l4len >= 20);
		break;
	case IPPROTO_UDP:
		MUST(pkt->l4len == 8);
		break;
	default:
		MUST(pkt->proto == (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6));
		MUST(pkt->l4len == 8);
	}
}

/**
 * check_payload() - Check that all pieces of the payload are inside the frame
 * @p:		parsed frame; this function allocates and fills its @payload
 * @data:	frame
 * @size:	length of the frame
 */
static void check_payload(struct parsed *p, const uint8_t *data, size_t size)
{
	const struct pkt *pkt = &p->pkt;
	const uint8_t *base;
	size_t len = 0, off;
	unsigned int i;

	for (i = 0; i < pkt->iovcnt; i++) {
		base = pkt->iov[i].iov_base;
		MUST(base >= data && base <= data + size);
		MUST(pkt->iov[i].iov_len <= (size_t)(data + size - base));
		len += pkt->iov[i].iov_len;
	}
	MUST(len == pkt->len);

	p->payload = malloc(len + 1);
	MUST(p->payload && pkt_copy(pkt, p->payload, len) == len);
	off = (size_t)(pkt->l4 - pkt->dmac) + pkt->l4len;
	MUST(!memcmp(p->payload, data + off, len));
}

/**
 * parse() - Parse a frame, and check the result
 * @way:	how the frame lies in memory
 * @csum_ok:	don't verify checksums
 * @data:	frame
 * @size:	length of the frame
 * @p:		result, filled in
 */
static void parse(enum way way, bool csum_ok, uint8_t *data, size_t size,
		  struct parsed *p)
{
	static struct memory m;
	struct iovec iov[PIECES];
	struct frame *f;
	const uint8_t *hdr;
	enum tap_counter drop;
	struct fragment frag;

	MUST(!memory_open(&m, 4096));
	m.link.caps.shared = way == WAY_SHARED;
	memory_put(&m, data, size);
	MUST(link_refill(m.queue) == 1);

	f = &m.queue->from_guest[0];
	f->meta.csum = csum_ok ? LINK_CSUM_OK : LINK_CSUM_FULL;
	if (way == WAY_PIECES) {
		cut(iov, data, size);
		f->iov = iov;
		f->iovcnt = PIECES;
	}
	p->payload = NULL;
	drop = parse_frame(f, m.link.caps.shared, p->copy, &p->pkt, &frag);
	p->ok = drop == DROP_NONE;
	MUST(p->ok || (drop >= TAP_SHORT && drop < TAP_COUNTERS));
	if (p->ok) {
		hdr = way == WAY_WHOLE ? data : p->copy;
		check_headers(&p->pkt, hdr, size);
		check_payload(p, data, size);
	}
	link_release(m.queue);
	link_close(&m.link);
}

/* check_same() - Check that two ways of parsing a frame had the same result */
static void check_same(const struct parsed *a, const struct parsed *b)
{
	const struct pkt *x = &a->pkt, *y = &b->pkt;

	MUST(a->ok == b->ok);
	if (!a->ok)
		return;
	MUST(x->etype == y->etype && x->proto == y->proto);
	MUST(x->ttl == y->ttl && x->tos == y->tos && x->df == y->df);
	MUST(addr_eq(&x->src, &y->src) && addr_eq(&x->dst, &y->dst));
	MUST(x->sport == y->sport && x->dport == y->dport);
	MUST(x->l3len == y->l3len && x->l4len == y->l4len);
	MUST(!memcmp(x->l3, y->l3, x->l3len));
	MUST(!memcmp(x->l4, y->l4, x->l4len));
	MUST(x->len == y->len && !memcmp(a->payload, b->payload, x->len));
}

/* ndp_cut() - Whether a packet is NDP in an atomic fragment, which passt drops
 * (RFC 6980) */
static bool ndp_cut(const struct pkt *pkt)
{
	return pkt->etype == ETH_P_IPV6 && pkt->proto == IPPROTO_ICMPV6 &&
	       !pkt->df && pkt->l4[0] >= 133 && pkt->l4[0] <= 137;
}

/* check_input() - Let tap receive a frame twice in one burst. Check the
 * counters of tap, and that the two packets are one batch */
static void check_input(uint8_t *data, size_t size, bool ok)
{
	static const struct net net;
	static struct memory m;
	static struct tap tap;

	MUST(!memory_open(&m, 4096));
	tap_init(&tap, &m.link, m.queue, &net);
	memory_put(&m, data, size);
	memory_put(&m, data, size);
	MUST(tap_recv_burst(&tap, 0) == 2);
	MUST(tap.npkt == (ok ? 2 : 0));
	MUST(tap.count[TAP_FROM_GUEST] == 2);
	MUST(!ok || tap_batch_len(&tap, 0) == 2);
	tap_release(&tap);
	tap_guest_gone(&tap);
	link_close(&m.link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct parsed p[WAYS];
	uint8_t *frame;
	int way, csum_ok;

	if (size > LINK_FRAME_MAX)
		return 0;
	if (!started)
		csum_init();
	started = true;

	/* Allocate exactly @size bytes, so that the address sanitizer detects
	 * any access beyond the end. */
	frame = malloc(size ? size : 1);
	MUST(frame);
	memcpy(frame, data, size);

	for (csum_ok = 0; csum_ok < 2; csum_ok++) {
		for (way = WAY_WHOLE; way < WAYS; way++)
			parse(way, csum_ok, frame, size, &p[way]);
		check_same(&p[WAY_WHOLE], &p[WAY_PIECES]);
		check_same(&p[WAY_WHOLE], &p[WAY_SHARED]);
		if (!csum_ok)
			check_input(frame, size, p[WAY_WHOLE].ok &&
				    !ndp_cut(&p[WAY_WHOLE].pkt));
		for (way = WAY_WHOLE; way < WAYS; way++)
			free(p[way].payload);
	}
	free(frame);
	return 0;
}

/* libFuzzer calls this function to change an input. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	uint32_t r = seed | 1;

	return mutate_frame(data, size, max, &r);
}
