/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * reassemble.h - Datagrams that the guest sends in fragments.
 */
#ifndef TAP_REASSEMBLE_H
#define TAP_REASSEMBLE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAG_DATAGRAMS	64		/* incomplete ones at a time */
#define FRAG_BYTES	(1U << 20)	/* memory for all of them */
#define FRAG_TIMEOUT_MS	15000		/* from the first fragment received */

/* The first and the last count frames, the others datagrams. */
enum fragment_counter {
	FRAG_FROM_GUEST,	/* fragments from the guest */
	FRAG_REASSEMBLED,	/* all fragments received */
	FRAG_TIMEOUT,		/* discarded: fragments missing for too long */
	FRAG_OVERLAP,		/* discarded: fragments contradict each other */
	FRAG_MALFORMED,		/* discarded: too long, or headers truncated */
	FRAG_NO_SPACE,		/* discarded: for another one, or no memory */
	FRAG_TO_GUEST,		/* fragments to the guest */
	FRAG_COUNTERS,
};

extern const char *const fragment_counter_name[FRAG_COUNTERS];

struct frame;

/**
 * struct fragment - One fragment of the guest, checked
 * @src, @dst, @id, @proto: identify its datagram (RFC 791 3.2, RFC 8200 4.5);
 *		@proto is 0 for IPv6
 * @off, @len:	its place in the datagram's payload, bytes; all but the last
 *		one are a multiple of 8 bytes long
 * @more:	it is not the last one
 * @malformed:	the datagram would be too long, or the first fragment does not
 *		hold all headers (RFC 7112)
 * @hdr, @hdrlen: Ethernet and IP headers, without the fragment header
 * @next_at:	IPv6: offset in @hdr of the byte that announces the fragment
 *		header
 * @next:	IPv6: what that byte is in the reassembled datagram
 */
struct fragment {
	struct in6_addr src, dst;
	uint32_t id;
	uint8_t proto;
	uint32_t off, len;
	bool more, malformed;
	const uint8_t *hdr;
	uint16_t hdrlen;
	uint16_t next_at;
	uint8_t next;
};

struct datagram;

/**
 * struct reassembly - Datagrams of the guest that came in fragments
 * @held:	incomplete or discarded ones, oldest first
 * @n:		how many
 * @bytes:	memory that they take
 * @reassembled: list of those completed since reassembly_release(); they take
 *		at most twice the memory of what was held before and of what
 *		the batch brought
 * @count:	see enum fragment_counter
 */
struct reassembly {
	struct datagram *held[FRAG_DATAGRAMS];
	unsigned int n;
	size_t bytes;
	struct datagram *reassembled;
	uint64_t count[FRAG_COUNTERS];
};

struct frame *reassemble(struct reassembly *r, const struct fragment *frag,
			 const struct frame *payload, uint64_t now);
void reassembly_release(struct reassembly *r);
void reassembly_expire(struct reassembly *r, uint64_t now);
void reassembly_free(struct reassembly *r);
uint64_t reassembly_due(const struct reassembly *r);

#endif /* TAP_REASSEMBLE_H */
