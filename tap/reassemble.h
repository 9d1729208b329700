/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * reassemble.h - Reassembles datagrams that the guest sends in fragments.
 */
#ifndef TAP_REASSEMBLE_H
#define TAP_REASSEMBLE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAG_DATAGRAMS	64		/* incomplete datagrams, at most */
#define FRAG_BYTES	(1U << 20)	/* bytes of incomplete datagrams, at
					 * most */
#define FRAG_TIMEOUT_MS	15000		/* to wait for the other fragments,
					 * after the first came */

/* FRAG_FROM_GUEST and FRAG_TO_GUEST count fragments, the others datagrams. */
enum fragment_counter {
	FRAG_FROM_GUEST,	/* fragments from the guest */
	FRAG_REASSEMBLED,	/* datagrams reassembled */
	FRAG_TIMEOUT,		/* datagrams not complete within the timeout */
	FRAG_OVERLAP,		/* datagrams discarded because two fragments
				 * overlap, or disagree about the length */
	FRAG_MALFORMED,		/* datagrams discarded because they are too
				 * long, or their headers are truncated */
	FRAG_NO_SPACE,		/* datagrams discarded because a newer one
				 * needed the space, or for lack of memory */
	FRAG_TO_GUEST,		/* fragments to the guest */
	FRAG_COUNTERS,
};

extern const char *const fragment_counter_name[FRAG_COUNTERS];

struct frame;

/**
 * struct fragment - One fragment from the guest, in which lengths are checked
 * @src, @dst, @id, @proto: identify the datagram that the fragment belongs to
 *		(RFC 791 3.2, RFC 8200 4.5); @proto is 0 for IPv6
 * @off, @len:	offset of the fragment in the payload of the datagram, and
 *		length of the fragment, bytes. @len is a multiple of 8 if @more
 *		is set
 * @more:	more fragments of the datagram follow this fragment
 * @malformed:	the datagram would be too long, or this is the first fragment of
 *		the datagram and does not hold all headers (RFC 7112)
 * @eth:	Ethernet destination and source address
 * @hdr, @hdrlen: IP headers without the IPv6 fragment header, and their length
 *		in bytes
 * @next_at:	IPv6: offset in @hdr of the Next Header byte that announces the
 *		fragment header
 * @next:	IPv6: value of this byte in the reassembled datagram
 */
struct fragment {
	struct in6_addr src, dst;
	uint32_t id;
	uint8_t proto;
	uint32_t off, len;
	bool more, malformed;
	const uint8_t *eth, *hdr;
	uint16_t hdrlen;
	uint16_t next_at;
	uint8_t next;
};

struct datagram;

/**
 * struct reassembly - Datagrams of the guest that came in fragments
 * @held:	incomplete and discarded datagrams, oldest first
 * @n:		number of datagrams in @held
 * @bytes:	memory that the datagrams in @held take
 * @reassembled: list of the datagrams that were completed since the last
 *		reassembly_release(), which tap_release() calls after each burst
 * @count:	counters, indexed by enum fragment_counter
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
