/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * rxring.h - Bytes of the guest that can't go to the socket yet: it took less
 * than it had room for, or they came ahead of a gap.
 *
 * A ring with a power of two of bytes: sequence number @s is at @s modulo its
 * size, so that nothing moves as the window does. It does not know which of
 * its bytes are there: the connection does.
 */
#ifndef TCP_RXRING_H
#define TCP_RXRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* In all flows: a bound on what hostile guests and dead peers can cost. */
#define TCP_RXRING_MAX	(64 * 1024 * 1024)
#define TCP_RXRING_MIN	(64 * 1024)

/**
 * struct tcp_rxring - Bytes held for one flow
 * @buf:	ring, NULL: none
 * @size:	bytes of it
 */
struct tcp_rxring {
	uint8_t *buf;
	uint32_t size;
};

bool rxring_grow(struct tcp_rxring *h, size_t *total, uint32_t from, uint32_t end);
void rxring_write(struct tcp_rxring *h, uint32_t seq, const void *data, size_t len);
unsigned int rxring_read(const struct tcp_rxring *h, uint32_t seq, uint32_t len,
		       struct iovec iov[2]);
void rxring_free(struct tcp_rxring *h, size_t *total);

#endif /* TCP_RXRING_H */
