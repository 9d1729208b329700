/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * segment.h - TCP headers, read from and written to the wire (RFC 9293 3.1).
 */
#ifndef TCP_SEGMENT_H
#define TCP_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ip.h"
#include "tcp/range.h"

#define TCP_WSCALE_MAX	14	/* RFC 7323 2.3 */
#define TCP_SACK_BLOCKS	4	/* at most, without timestamps: RFC 2018 3 */

/* Control bits (RFC 9293 3.1). */
#define SEG_FIN		0x01
#define SEG_SYN		0x02
#define SEG_RST		0x04
#define SEG_PSH		0x08
#define SEG_ACK		0x10

/**
 * struct tcp_seg - Header of a segment that was read
 * @seq, @ack:	sequence and acknowledgement number, host order
 * @wnd:	window field, not scaled
 * @flags:	SEG_*
 * @mss:	MSS option of a SYN, 0: absent
 * @wscale:	window scale option of a SYN, -1: absent
 * @sack_ok:	SACK-permitted option of a SYN is present
 * @sack, @nsack: SACK blocks, which are not checked, and their number
 * @len:	bytes of payload
 * @gso_size:	GSO frame: bytes of payload in each of its segments but the
 *		last; 0: it is no GSO frame
 */
struct tcp_seg {
	uint32_t seq, ack;
	uint16_t wnd;
	uint8_t flags;
	int8_t wscale;
	uint16_t mss;
	uint32_t len;
	uint16_t gso_size;
	bool sack_ok;
	uint8_t nsack;
	struct tcp_range sack[TCP_SACK_BLOCKS];
};

/**
 * struct tcp_hdr - Header of a segment to be written
 * @sport, @dport: ports, host order
 * @seq, @ack, @wnd: as they go into the header fields, but in host order
 * @flags:	SEG_*
 * @mss:	MSS option, 0: none
 * @wscale:	window scale option, -1: none
 * @sack_ok:	write the SACK-permitted option
 * @sack, @nsack: SACK blocks, and their number
 */
struct tcp_hdr {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t wnd;
	uint8_t flags;
	int8_t wscale;
	uint16_t mss;
	bool sack_ok;
	uint8_t nsack;
	struct tcp_range sack[TCP_SACK_BLOCKS];
};

/* tcp_seg_end() - Return the sequence number after a segment; SYN and FIN take
 * one sequence number each */
static inline uint32_t tcp_seg_end(const struct tcp_seg *seg)
{
	return seg->seq + seg->len + !!(seg->flags & SEG_SYN) +
	       !!(seg->flags & SEG_FIN);
}

bool tcp_seg_parse(struct tcp_seg *seg, const uint8_t *hdr, size_t hlen,
		   uint32_t len);
size_t tcp_hdr_put(const struct tcp_hdr *h, uint8_t *p);

#endif /* TCP_SEGMENT_H */
