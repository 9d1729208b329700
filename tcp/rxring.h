/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * rxring.h - The receive ring of a flow: memory for bytes of the guest that the
 * socket has not taken, and for bytes that came after a gap.
 *
 * The size of the ring is a power of two. The byte with sequence number s is at
 * offset s modulo the size, so no byte moves when the window does. Only the
 * core (conn.h) knows which bytes are in use.
 */
#ifndef TCP_RXRING_H
#define TCP_RXRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Maximum number of bytes of the rings of all flows together. It bounds the
 * memory that a hostile guest, or peers that read nothing, can make passt
 * use. */
#define TCP_RXRING_MAX	(64 * 1024 * 1024)
#define TCP_RXRING_MIN	(64 * 1024)	/* bytes of one ring, at least */

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
