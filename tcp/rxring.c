// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * rxring.c - A ring of bytes addressed by sequence number.
 * Called by socket.c; calls libc.
 */
#include <stdlib.h>
#include <string.h>

#include "tcp/rxring.h"
#include "util.h"

/**
 * rxring_grow() - Make room for a stretch of sequence space
 * @h:		ring
 * @total:	bytes of all rings, kept up to date
 * @from:	first sequence number that may be in use
 * @end:	the one after the last that will be
 *
 * Return: false: no memory, or too much of it in use; nothing was changed
 */
bool rxring_grow(struct tcp_rxring *h, size_t *total, uint32_t from, uint32_t end)
{
	struct tcp_rxring new = { .size = MAX(h->size, TCP_RXRING_MIN) };
	struct iovec iov[2];
	unsigned int i, n;

	if (end - from <= h->size)
		return true;
	while (new.size < end - from)
		new.size *= 2;
	if (*total - h->size + new.size > TCP_RXRING_MAX)
		return false;
	new.buf = malloc(new.size);
	if (!new.buf)
		return false;

	n = h->buf ? rxring_read(h, from, h->size, iov) : 0;
	for (i = 0; i < n; from += (uint32_t)iov[i++].iov_len)
		rxring_write(&new, from, iov[i].iov_base, iov[i].iov_len);
	rxring_free(h, total);
	*total += new.size;
	*h = new;
	return true;
}

/**
 * rxring_write() - Put bytes in their place
 * @h:		ring, with room for them
 * @seq:	sequence number of the first
 * @data:	bytes
 * @len:	how many
 */
void rxring_write(struct tcp_rxring *h, uint32_t seq, const void *data, size_t len)
{
	uint32_t at = seq & (h->size - 1);
	size_t n = MIN(len, h->size - at);

	memcpy(h->buf + at, data, n);
	memcpy(h->buf, (const uint8_t *)data + n, len - n);
}

/**
 * rxring_read() - Where bytes are
 * @h:		ring
 * @seq:	sequence number of the first
 * @len:	how many
 * @iov:	filled: the ring may have them in two pieces
 *
 * Return: number of pieces
 */
unsigned int rxring_read(const struct tcp_rxring *h, uint32_t seq, uint32_t len,
		       struct iovec iov[2])
{
	uint32_t at = seq & (h->size - 1), n = MIN(len, h->size - at);

	iov[0] = (struct iovec){ h->buf + at, n };
	iov[1] = (struct iovec){ h->buf, len - n };
	return len > n ? 2 : 1;
}

/**
 * rxring_free() - Give the memory back
 * @h:		ring
 * @total:	bytes of all rings, kept up to date
 */
void rxring_free(struct tcp_rxring *h, size_t *total)
{
	*total -= h->size;
	free(h->buf);
	*h = (struct tcp_rxring){ 0 };
}
