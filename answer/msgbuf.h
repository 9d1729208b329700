/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * msgbuf.h - Builds a message field by field in a buffer of fixed size.
 * Called by the answering services; calls util.h.
 *
 * What does not fit is left out and @full says so, so that a row of puts
 * needs one check at its end.
 */
#ifndef ANSWER_MSGBUF_H
#define ANSWER_MSGBUF_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "util.h"

/**
 * struct wire - A message being built
 * @buf:	where
 * @len:	bytes put so far
 * @size:	of @buf, bytes
 * @full:	something did not fit
 */
struct wire {
	uint8_t *buf;
	size_t len, size;
	bool full;
};

/**
 * wire_room() - Take the next bytes of the message
 * @w:		the message
 * @len:	how many
 *
 * Return: where they are to be written, NULL if there is no room
 */
static inline uint8_t *wire_room(struct wire *w, size_t len)
{
	uint8_t *p = w->buf + w->len;

	if (w->size - w->len < len) {
		w->full = true;
		return NULL;
	}
	w->len += len;
	return p;
}

static inline void wire_put(struct wire *w, const void *data, size_t len)
{
	uint8_t *p = wire_room(w, len);

	if (p && len)
		memcpy(p, data, len);
}

static inline void wire_zero(struct wire *w, size_t len)
{
	uint8_t *p = wire_room(w, len);

	if (p)
		memset(p, 0, len);
}

static inline void wire_u8(struct wire *w, uint8_t v)
{
	wire_put(w, &v, 1);
}

static inline void wire_be16(struct wire *w, uint16_t v)
{
	uint8_t *p = wire_room(w, 2);

	if (p)
		put_be16(p, v);
}

static inline void wire_be32(struct wire *w, uint32_t v)
{
	uint8_t *p = wire_room(w, 4);

	if (p)
		put_be32(p, v);
}

/* wire_addr4() - The 4 bytes of a mapped address */
static inline void wire_addr4(struct wire *w, const struct in6_addr *a)
{
	wire_put(w, &a->s6_addr[12], 4);
}

static inline void wire_addr6(struct wire *w, const struct in6_addr *a)
{
	wire_put(w, a, sizeof(*a));
}

#endif /* ANSWER_MSGBUF_H */
