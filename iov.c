// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * iov.c - Copies and compares bytes that lie in pieces.
 */
#include <string.h>

#include "iov.h"

/**
 * iov_copy() - Copy pieces into one buffer
 * @buf:	buffer to fill
 * @size:	size of @buf; bytes of the pieces beyond this are not copied
 * @iov:	pieces
 * @cnt:	number of pieces
 *
 * Return: number of bytes copied
 */
size_t iov_copy(void *buf, size_t size, const struct iovec *iov,
		unsigned int cnt)
{
	struct iov_walk w = { iov, cnt, 0, size };
	struct iovec piece;
	uint8_t *p = buf;

	while (iov_next(&w, &piece)) {
		memcpy(p, piece.iov_base, piece.iov_len);
		p += piece.iov_len;
	}
	return (size_t)(p - (uint8_t *)buf);
}

/**
 * iov_equal() - Compare pieces with one buffer
 * @buf:	buffer, as long as all pieces together
 * @iov:	pieces
 * @cnt:	number of pieces
 *
 * Return: whether the pieces and the buffer hold the same bytes
 */
bool iov_equal(const void *buf, const struct iovec *iov, unsigned int cnt)
{
	struct iov_walk w = { iov, cnt, 0, SIZE_MAX };
	const uint8_t *p = buf;
	struct iovec piece;

	while (iov_next(&w, &piece)) {
		if (memcmp(p, piece.iov_base, piece.iov_len))
			return false;
		p += piece.iov_len;
	}
	return true;
}
