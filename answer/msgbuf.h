/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * msgbuf.h - Builds a message field by field in a buffer of fixed size.
 *
 * If a field does not fit, it is left out, and @full of struct msgbuf is set.
 * So the caller checks @full once, after the last field.
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
 * struct msgbuf - A message being built
 * @buf:	memory for the message
 * @len:	bytes of the message so far
 * @size:	bytes that @buf has space for
 * @full:	a field did not fit, and was left out
 */
struct msgbuf {
	uint8_t *buf;
	size_t len, size;
	bool full;
};

/**
 * msgbuf_reserve() - Append bytes that the caller fills in
 * @w:		the message
 * @len:	number of bytes
 *
 * Return: the first of these bytes, or NULL if they do not fit
 */
static inline uint8_t *msgbuf_reserve(struct msgbuf *w, size_t len)
{
	uint8_t *p = w->buf + w->len;

	if (w->size - w->len < len) {
		w->full = true;
		return NULL;
	}
	w->len += len;
	return p;
}

static inline void msgbuf_put(struct msgbuf *w, const void *data, size_t len)
{
	uint8_t *p = msgbuf_reserve(w, len);

	if (p && len)
		memcpy(p, data, len);
}

static inline void msgbuf_zero(struct msgbuf *w, size_t len)
{
	uint8_t *p = msgbuf_reserve(w, len);

	if (p)
		memset(p, 0, len);
}

static inline void msgbuf_u8(struct msgbuf *w, uint8_t v)
{
	msgbuf_put(w, &v, 1);
}

static inline void msgbuf_be16(struct msgbuf *w, uint16_t v)
{
	uint8_t *p = msgbuf_reserve(w, 2);

	if (p)
		put_be16(p, v);
}

static inline void msgbuf_be32(struct msgbuf *w, uint32_t v)
{
	uint8_t *p = msgbuf_reserve(w, 4);

	if (p)
		put_be32(p, v);
}

/* msgbuf_addr4() - Append an IPv4-mapped address as 4 bytes */
static inline void msgbuf_addr4(struct msgbuf *w, const struct in6_addr *a)
{
	msgbuf_put(w, &a->s6_addr[12], 4);
}

static inline void msgbuf_addr6(struct msgbuf *w, const struct in6_addr *a)
{
	msgbuf_put(w, a, sizeof(*a));
}

#endif /* ANSWER_MSGBUF_H */
