/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * iov.h - Functions for bytes that lie in several pieces. The functions that
 * run for each packet are inline, because most packets have only one piece.
 */
#ifndef IOV_H
#define IOV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util.h"

/**
 * struct iov_walk - A walk over a part of the bytes that lie in some pieces
 * @iov, @cnt:	pieces not visited yet; some may be empty
 * @skip:	bytes of these pieces that lie before the part
 * @left:	bytes of the part that are not visited yet
 */
struct iov_walk {
	const struct iovec *iov;
	unsigned int cnt;
	size_t skip, left;
};

/**
 * iov_next() - Take one step of a walk
 * @w:		walk
 * @piece:	filled with the next bytes of the part, at least one byte. It
 *		may be an entry of the array that @w walks over, if @w has
 *		already passed this entry
 *
 * Return: false if the walk is at its end
 */
static inline bool iov_next(struct iov_walk *w, struct iovec *piece)
{
	const struct iovec *v;

	while (w->cnt && w->left) {
		v = w->iov++;
		w->cnt--;
		if (w->skip >= v->iov_len) {
			w->skip -= v->iov_len;
			continue;
		}
		piece->iov_base = (uint8_t *)v->iov_base + w->skip;
		piece->iov_len = MIN(v->iov_len - w->skip, w->left);
		w->left -= piece->iov_len;
		w->skip = 0;
		return true;
	}
	return false;
}

/**
 * iov_slice() - Reduce an array of pieces to a part of its bytes
 * @iov:	pieces, changed in place
 * @cnt:	number of pieces
 * @skip:	bytes to drop at the start
 * @len:	bytes to keep after the dropped ones; if there are fewer, all of
 *		these are kept
 *
 * Return: number of pieces that are left, none of which is empty
 */
static inline unsigned int iov_slice(struct iovec *iov, unsigned int cnt,
				     size_t skip, size_t len)
{
	struct iov_walk w = { iov, cnt, skip, len };
	unsigned int n = 0;

	while (iov_next(&w, &iov[n]))
		n++;
	return n;
}

size_t iov_copy(void *buf, size_t size, const struct iovec *iov,
		unsigned int cnt);
bool iov_equal(const void *buf, const struct iovec *iov, unsigned int cnt);

#endif /* IOV_H */
