// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * range.c - Short sorted lists of ranges of the sequence space.
 */
#include <string.h>

#include "tcp/range.h"
#include "tcp/seq.h"

/* Remove @count ranges, from index @i on. */
static void remove_ranges(struct tcp_ranges *rs, unsigned int i,
			  unsigned int count)
{
	memmove(&rs->r[i], &rs->r[i + count],
		(rs->n - i - count) * sizeof(rs->r[0]));
	rs->n -= (uint8_t)count;
}

/**
 * ranges_add() - Add a range, and join it with all ranges that it overlaps or
 * touches
 * @rs:		list
 * @from:	first sequence number
 * @end:	sequence number after the last
 *
 * Return: false if the list is full; it is not changed then
 */
bool ranges_add(struct tcp_ranges *rs, uint32_t from, uint32_t end)
{
	unsigned int i, j;

	for (i = 0; i < rs->n && seq_lt(rs->r[i].end, from); i++)
		;
	for (j = i; j < rs->n && seq_le(rs->r[j].from, end); j++)
		;

	if (i == j) {			/* overlaps and touches none */
		if (rs->n == TCP_RANGES)
			return false;
		memmove(&rs->r[i + 1], &rs->r[i],
			(rs->n - i) * sizeof(rs->r[0]));
		rs->n++;
		rs->r[i] = (struct tcp_range){ from, end };
		return true;
	}

	if (seq_lt(from, rs->r[i].from))
		rs->r[i].from = from;
	rs->r[i].end = seq_max(rs->r[j - 1].end, end);
	remove_ranges(rs, i + 1, j - i - 1);
	return true;
}

/* ranges_trim() - Remove everything before a sequence number */
void ranges_trim(struct tcp_ranges *rs, uint32_t seq)
{
	unsigned int i;

	for (i = 0; i < rs->n && seq_le(rs->r[i].end, seq); i++)
		;
	remove_ranges(rs, 0, i);
	if (rs->n && seq_lt(rs->r[0].from, seq))
		rs->r[0].from = seq;
}

/* ranges_bytes() - Return the number of bytes in all ranges together */
uint32_t ranges_bytes(const struct tcp_ranges *rs)
{
	uint32_t bytes = 0;
	unsigned int i;

	for (i = 0; i < rs->n; i++)
		bytes += rs->r[i].end - rs->r[i].from;
	return bytes;
}
