/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * siphash.h - SipHash-2-4 (Aumasson and Bernstein, 2012), a hash with a key. A
 * guest or a peer does not know the key, so it can't choose values that have
 * the same hash.
 */
#ifndef SIPHASH_H
#define SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1;
};

uint64_t siphash(const struct siphash_key *key, const void *data, size_t len);

#endif /* SIPHASH_H */
