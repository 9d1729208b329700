/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * fragment.h - IP fragments: the guest's are put together (reassemble.c), and
 * what is longer than its MTU is sent to it in fragments (fragment.c).
 * Called by tap.c and passt.c; calls libc, the link and checksum.c.
 *
 * What a fragment says has been checked by tap.c when it gets here: its bytes
 * are inside the frame, and there is at least one; all but the last of a
 * datagram are multiples of 8.
 */
#ifndef TAP_FRAGMENT_H
#define TAP_FRAGMENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link/link.h"
#include "util.h"

#define FRAG_DATAGRAMS	64		/* waited for at a time */
#define FRAG_BYTES	(1U << 20)	/* of memory that these take */
#define FRAG_TIMEOUT_MS	15000		/* from the first that came */

/* What is counted of fragments: the first and the last of frames, else of
 * datagrams. */
enum fragment_counter {
	FRAG_FROM_GUEST,		/* fragments from the guest */
	FRAG_REASSEMBLED,		/* put together */
	FRAG_TIMEOUT,		/* given up: the rest did not come */
	FRAG_OVERLAP,		/* given up: fragments overlap */
	FRAG_MALFORMED,		/* given up: too long, or headers cut */
	FRAG_NO_SPACE,		/* given up for another, or for want of memory */
	FRAG_TO_GUEST,		/* fragments to the guest */
	FRAG_COUNTERS,
};

extern const char *const fragment_counter_name[FRAG_COUNTERS];

/**
 * struct fragment - What one fragment says
 * @src, @dst, @id, @proto: which datagram it is of; @proto is 0 for IPv6
 *		(RFC 791 3.2, RFC 8200 4.5)
 * @off, @len:	its place in what was cut, bytes
 * @more:	it is not the last one
 * @broken:	its datagram can't be: it would be too long, or the first
 *		fragment does not hold all headers (RFC 7112)
 * @hdr, @hdrlen: Ethernet and IP headers, without the fragment header
 * @next_at:	IPv6: where in @hdr the number of the fragment header stands
 * @next:	IPv6: the number that it had in its place
 */
struct fragment {
	struct in6_addr src, dst;
	uint32_t id;
	uint8_t proto;
	uint32_t off, len;
	bool more, broken;
	const uint8_t *hdr;
	uint16_t hdrlen;
	uint16_t next_at;
	uint8_t next;
};

struct datagram;

/**
 * struct reassembly - Datagrams of which fragments came; all zero: none
 * @held:	those not whole yet, or given up; oldest first
 * @n:		how many
 * @bytes:	memory that they take
 * @whole:	those that have become whole since reassembly_release(); they
 *		take no more than twice what was held and what a batch brought
 * @count:	see enum fragment_counter
 */
struct reassembly {
	struct datagram *held[FRAG_DATAGRAMS];
	unsigned int n;
	size_t bytes;
	struct datagram *whole;
	uint64_t count[FRAG_COUNTERS];
};

struct frame *reassemble(struct reassembly *r, const struct fragment *frag,
			 const struct frame *payload, uint64_t now);
void reassembly_release(struct reassembly *r);
void reassembly_expire(struct reassembly *r, uint64_t now);
void reassembly_free(struct reassembly *r);
uint64_t reassembly_due(const struct reassembly *r);

struct tap;
struct tap_hdr;

/**
 * struct whole - A packet that is longer than the guest's MTU
 * @hdr:	its headers, as tap_hdr_init() made them
 * @proto:	IPPROTO_*
 * @l4, @len:	transport header, with any checksum, and payload
 * @check:	its checksum
 * @check_at:	where that belongs in @l4, below 48
 */
struct whole {
	const struct tap_hdr *hdr;
	uint8_t proto;
	const uint8_t *l4;
	size_t len;
	uint16_t check;
	size_t check_at;
};

int fragment_send(struct tap *t, const struct whole *w, size_t mtu);

#endif /* TAP_FRAGMENT_H */
