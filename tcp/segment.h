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
#define TCP_SACK_BLOCKS	4	/* that fit without timestamps: RFC 2018 3 */

/* Control bits (RFC 9293 3.1). */
#define SEG_FIN		0x01
#define SEG_SYN		0x02
#define SEG_RST		0x04
#define SEG_PSH		0x08
#define SEG_ACK		0x10

/**
 * struct tcp_seg - Header of a segment that was read
 * @seq, @ack:	host order
 * @wnd:	window field, not scaled
 * @flags:	SEG_*
 * @mss:	option of a SYN, 0: absent
 * @wscale:	option of a SYN, -1: absent
 * @sack_ok:	option of a SYN: the sender understands SACK blocks
 * @sack, @nsack: SACK blocks, not checked
 * @len:	bytes of payload
 * @gso_size:	bytes of each segment in it but the last, 0: it is one
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
 * @sport, @dport: host order
 * @seq, @ack, @wnd: host order, @wnd as it goes into the field
 * @flags:	SEG_*
 * @mss:	option, 0: none
 * @wscale:	option, -1: none
 * @sack_ok:	option: we understand SACK blocks
 * @sack, @nsack: SACK blocks
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

/* tcp_seg_end() - Sequence number after a segment; SYN and FIN count */
static inline uint32_t tcp_seg_end(const struct tcp_seg *seg)
{
	return seg->seq + seg->len + !!(seg->flags & SEG_SYN) +
	       !!(seg->flags & SEG_FIN);
}

bool tcp_seg_parse(struct tcp_seg *seg, const uint8_t *hdr, size_t hlen,
		   uint32_t len);
size_t tcp_hdr_put(const struct tcp_hdr *h, uint8_t *p);

#endif /* TCP_SEGMENT_H */
