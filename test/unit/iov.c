// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * iov.c - Functions for buffers in pieces give the same result for pieces as
 * for one contiguous buffer, wherever the cuts are.
 */
#include "../../iov.c"

#include <stdlib.h>

#include "test/unit/unit.h"

#define LEN	64
#define PIECES	8
#define ROUNDS	20000

static uint8_t flat[LEN], own[PIECES][LEN];

/**
 * cut_flat() - Copy @flat, a contiguous buffer, into pieces of random size,
 * some of them empty
 * @iov:	set to the pieces
 *
 * Each piece has memory of its own, so that an access beyond the end of a piece
 * does not reach the next piece.
 *
 * Return: number of pieces
 */
static unsigned int cut_flat(struct iovec iov[PIECES])
{
	unsigned int cnt = 1 + (unsigned int)rand() % PIECES, i;
	size_t at = 0, n;

	for (i = 0; i < cnt; i++, at += n) {
		n = i == cnt - 1 ? LEN - at : (size_t)rand() % (LEN - at + 1);
		if (rand() % 4 == 0 && i < cnt - 1)
			n = 0;
		memcpy(own[i], flat + at, n);
		iov[i] = (struct iovec){ own[i], n };
	}
	return cnt;
}

/* joined() - Join pieces without the functions under test; return the length */
static size_t joined(uint8_t *buf, const struct iovec *iov, unsigned int cnt)
{
	size_t len = 0, i;
	unsigned int n;

	for (n = 0; n < cnt; n++) {
		for (i = 0; i < iov[n].iov_len; i++)
			buf[len++] = ((uint8_t *)iov[n].iov_base)[i];
	}
	return len;
}

static bool slices_well(void)
{
	size_t skip = (size_t)rand() % (LEN + 4), len = (size_t)rand() % LEN;
	size_t want = skip < LEN ? MIN(len, LEN - skip) : 0;
	struct iovec iov[PIECES];
	unsigned int cnt = cut_flat(iov), n, i;
	uint8_t got[LEN];

	n = iov_slice(iov, cnt, skip, len);
	if (n > cnt || joined(got, iov, n) != want)
		return false;
	for (i = 0; i < n; i++) {
		if (!iov[i].iov_len)
			return false;
	}
	return !want || !memcmp(got, flat + skip, want);
}

static bool walks_well(void)
{
	size_t skip = (size_t)rand() % LEN, len = (size_t)rand() % (LEN - skip);
	struct iovec iov[PIECES], before[PIECES], piece;
	unsigned int cnt = cut_flat(iov);
	struct iov_walk w = { iov, cnt, skip, len };
	size_t at = skip;

	memcpy(before, iov, sizeof(*iov) * cnt);
	while (iov_next(&w, &piece)) {
		if (memcmp(piece.iov_base, flat + at, piece.iov_len))
			return false;
		at += piece.iov_len;
	}
	return at == skip + len && !iov_next(&w, &piece) &&
	       !memcmp(before, iov, sizeof(*iov) * cnt);
}

static bool copies_well(void)
{
	size_t size = (size_t)rand() % (LEN + 8);
	struct iovec iov[PIECES];
	uint8_t got[LEN + 8];
	unsigned int cnt = cut_flat(iov);
	size_t n;

	memset(got, 0xee, sizeof(got));
	n = iov_copy(got, size, iov, cnt);
	return n == MIN(size, LEN) && !memcmp(got, flat, n) &&
	       (n == sizeof(got) || got[n] == 0xee);
}

static bool compares_well(void)
{
	struct iovec iov[PIECES];
	unsigned int cnt = cut_flat(iov);
	uint8_t other[LEN];

	memcpy(other, flat, LEN);
	other[rand() % LEN] ^= 1;
	return iov_equal(flat, iov, cnt) && !iov_equal(other, iov, cnt);
}

static bool always(bool (*well)(void))
{
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		if (!well())
			return false;
	}
	return true;
}

int main(void)
{
	struct iovec one = { flat, LEN };
	unsigned int i;

	srand(1);
	for (i = 0; i < LEN; i++)
		flat[i] = (uint8_t)(i + 0x20);

	check("a slice holds the bytes asked for, in no empty piece",
	      always(slices_well));
	check("a walk visits each byte of its part once, in order",
	      always(walks_well));
	check("a copy is as long as the buffer, or the pieces",
	      always(copies_well));
	check("a byte that differs is found, wherever the cuts are",
	      always(compares_well));

	check_eq("one piece is one piece", iov_slice(&one, 1, 14, 20), 1);
	check("that starts later", one.iov_base == flat + 14);
	check_eq("and ends earlier", one.iov_len, 20);
	check_eq("nothing is no piece", iov_slice(&one, 1, 0, 0), 0);
	check_eq("nor is what lies beyond the end",
		 iov_slice(&one, 1, 20, 1), 0);
	check_eq("no piece has no bytes", iov_copy(flat, LEN, NULL, 0), 0);
	check("and equals anything", iov_equal(flat, NULL, 0));
	return unit_end();
}
