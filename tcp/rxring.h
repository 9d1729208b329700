/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * rxring.h - The receive ring of a flow: memory for bytes of the guest that the
 * socket has not taken, or that came after a gap.
 *
 * The ring has a power of two of bytes, and sequence number @s is at @s modulo
 * its size, so nothing moves when the window does. Which bytes are in use is
 * known to the connection only.
 */
#ifndef TCP_RXRING_H
#define TCP_RXRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Bytes in all flows: bounds what hostile guests and dead peers can cost. */
#define TCP_RXRING_MAX	(64 * 1024 * 1024)
#define TCP_RXRING_MIN	(64 * 1024)	/* bytes of one ring */

/**
 * struct tcp_rxring - Receive ring of one flow
 * @buf:	memory, NULL: none
 * @size:	bytes, a power of two; 0: none
 */
struct tcp_rxring {
	uint8_t *buf;
	uint32_t size;
};

bool rxring_grow(struct tcp_rxring *ring, size_t *total, uint32_t from,
		 uint32_t end);
void rxring_write(struct tcp_rxring *ring, uint32_t seq, const void *data,
		  size_t len);
unsigned int rxring_read(const struct tcp_rxring *ring, uint32_t seq,
			 uint32_t len, struct iovec iov[2]);
void rxring_free(struct tcp_rxring *ring, size_t *total);

#endif /* TCP_RXRING_H */
