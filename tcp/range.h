/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * range.h - A short sorted list of ranges of the sequence space, which do not
 * overlap or touch. It records which bytes came out of order, and which bytes
 * the guest has reported by SACK.
 */
#ifndef TCP_RANGE_H
#define TCP_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/* Maximum number of ranges in a list. More gaps are rare. If a range can't be
 * recorded, its bytes are sent again. */
#define TCP_RANGES	16

/**
 * struct tcp_range - A range of the sequence space, [from, end)
 * @from:	first sequence number
 * @end:	sequence number after the last one
 */
struct tcp_range {
	uint32_t from, end;
};

/**
 * struct tcp_ranges - Sorted ranges, with gaps between them
 * @n:		number of ranges
 * @r:		the ranges
 */
struct tcp_ranges {
	uint8_t n;
	struct tcp_range r[TCP_RANGES];
};

bool ranges_add(struct tcp_ranges *rs, uint32_t from, uint32_t end);
void ranges_trim(struct tcp_ranges *rs, uint32_t seq);
uint32_t ranges_bytes(const struct tcp_ranges *rs);

#endif /* TCP_RANGE_H */
