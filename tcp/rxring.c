// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * rxring.c - A ring buffer in which the sequence number of a byte, modulo the
 * size of the ring, is the offset of the byte.
 */
#include <stdlib.h>
#include <string.h>

#include "tcp/rxring.h"
#include "util.h"

/**
 * rxring_grow() - Make the ring large enough for a range
 * @ring:	ring; it may have no memory yet
 * @total:	bytes of all rings, kept up to date
 * @from:	first sequence number that is in use or about to be used
 * @end:	sequence number after the last that is about to be used
 *
 * Return: false if there is no memory, or TCP_RXRING_MAX is reached; the ring
 *	   is not changed then
 */
bool rxring_grow(struct tcp_rxring *ring, size_t *total, uint32_t from,
		 uint32_t end)
{
	struct tcp_rxring new = { .size = MAX(ring->size, TCP_RXRING_MIN) };
	struct iovec iov[2];
	unsigned int i, n;

	if (end - from <= ring->size)
		return true;
	while (new.size < end - from)
		new.size *= 2;
	if (*total - ring->size + new.size > TCP_RXRING_MAX)
		return false;
	new.buf = malloc(new.size);
	if (!new.buf)
		return false;

	n = ring->buf ? rxring_read(ring, from, ring->size, iov) : 0;
	for (i = 0; i < n; from += (uint32_t)iov[i++].iov_len)
		rxring_write(&new, from, iov[i].iov_base, iov[i].iov_len);
	rxring_free(ring, total);
	*total += new.size;
	*ring = new;
	return true;
}

/**
 * rxring_write() - Store bytes
 * @ring:	ring, which rxring_grow() has made large enough
 * @seq:	sequence number of the first byte
 */
void rxring_write(struct tcp_rxring *ring, uint32_t seq, const void *data,
		  size_t len)
{
	uint32_t at = seq & (ring->size - 1);
	size_t n = MIN(len, ring->size - at);

	memcpy(ring->buf + at, data, n);
	memcpy(ring->buf, (const uint8_t *)data + n, len - n);
}

/**
 * rxring_read() - Find stored bytes in the ring; they are not copied
 * @seq:	sequence number of the first byte
 * @len:	number of bytes
 * @iov:	filled; at the end of the ring, the bytes are in two pieces
 *
 * Return: number of pieces
 */
unsigned int rxring_read(const struct tcp_rxring *ring, uint32_t seq,
			 uint32_t len, struct iovec iov[2])
{
	uint32_t at = seq & (ring->size - 1), n = MIN(len, ring->size - at);

	iov[0] = (struct iovec){ ring->buf + at, n };
	iov[1] = (struct iovec){ ring->buf, len - n };
	return len > n ? 2 : 1;
}

/**
 * rxring_free() - Free the memory of the ring
 * @total:	bytes of all rings, kept up to date
 */
void rxring_free(struct tcp_rxring *ring, size_t *total)
{
	*total -= ring->size;
	free(ring->buf);
	*ring = (struct tcp_rxring){ 0 };
}
