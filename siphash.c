// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * siphash.c - SipHash-2-4, with two rounds for each word and four rounds at
 * the end. passt uses it for hash tables, and for numbers that an attacker must
 * not be able to guess.
 *
 * Names and steps are those of Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF", 2012, section 2.
 */
#include <endian.h>
#include <string.h>

#include "siphash.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate_left(uint64_t v, unsigned int bits)
{
	return v << bits | v >> (64 - bits);
}

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate_left(s->v1, 13) ^ s->v0;
	s->v3 = rotate_left(s->v3, 16) ^ s->v2;
	s->v0 = rotate_left(s->v0, 32);

	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate_left(s->v1, 17) ^ s->v2;
	s->v3 = rotate_left(s->v3, 21) ^ s->v0;
	s->v2 = rotate_left(s->v2, 32);
}

/* sip_word() - Add one word of the message */
static inline void sip_word(struct sip *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

/**
 * siphash() - Compute a keyed hash of a few bytes
 * @key:	key, made by random_bytes()
 * @data:	message at any alignment. If it is a structure, it must have no
 *		padding between its fields
 * @len:	bytes of the message
 *
 * Return: hash; without the key, nobody can predict it
 */
uint64_t siphash(const struct siphash_key *key, const void *data, size_t len)
{
	struct sip s = {
		.v0 = key->k0 ^ 0x736f6d6570736575,
		.v1 = key->k1 ^ 0x646f72616e646f6d,
		.v2 = key->k0 ^ 0x6c7967656e657261,
		.v3 = key->k1 ^ 0x7465646279746573,
	};
	uint64_t m, last = 0;
	size_t i;

	for (i = 0; len - i >= sizeof(m); i += sizeof(m)) {
		memcpy(&m, (const uint8_t *)data + i, sizeof(m));
		sip_word(&s, le64toh(m));
	}

	if (i < len)
		memcpy(&last, (const uint8_t *)data + i, len - i);
	sip_word(&s, le64toh(last) | (uint64_t)len << 56);

	s.v2 ^= 0xff;
	for (i = 0; i < 4; i++)
		sip_round(&s);

	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
