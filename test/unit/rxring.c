// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * rxring.c - Tests of the receive ring of a flow: its content, its growth, its
 * bounds, and failures of malloc(). Each byte that the tests write is
 * a function of its sequence number.
 */
#include <stdlib.h>

static void *test_malloc(size_t size);

/* Let the code under test call test_malloc(), which fails if no_memory is
 * set. */
#define malloc(size) test_malloc(size)
#include "../../tcp/rxring.c"
#undef malloc
#include "test/unit/random.h"
#include "test/unit/unit.h"

#define REACH	(1024 * 1024)	/* most bytes in a ring at a time */
#define LIVES	8
#define STEPS	500

static bool no_memory;

static void *test_malloc(size_t size)
{
	return no_memory ? NULL : malloc(size);
}

/* byte_at() - Return the byte that the guest sent with this sequence number */
static uint8_t byte_at(uint32_t seq)
{
	return (uint8_t)(seq * 2654435761U >> 24);
}

/* put() - Write @len bytes of the guest to the ring, which has space for
 * them */
static void put(struct tcp_rxring *h, uint32_t seq, uint32_t len)
{
	static uint8_t buf[REACH];
	uint32_t i;

	for (i = 0; i < len; i++)
		buf[i] = byte_at(seq + i);
	rxring_write(h, seq, buf, len);
}

/* holds() - Whether the ring has the right @len bytes from @seq on, in one or
 * two pieces */
static bool holds(const struct tcp_rxring *h, uint32_t seq, uint32_t len)
{
	struct iovec iov[2];
	unsigned int n = rxring_read(h, seq, len, iov), i;
	uint32_t got = 0;
	size_t j;

	if (n < 1 || n > 2)
		return false;
	for (i = 0; i < n; i++)
		for (j = 0; j < iov[i].iov_len; j++, got++)
			if (((uint8_t *)iov[i].iov_base)[j] !=
			    byte_at(seq + got))
				return false;
	return got == len;
}

/**
 * random_life() - Write and read random numbers of bytes, as a flow does
 * @seq:	sequence number of the first byte
 *
 * The bytes in [from, end) are in the ring. Each step writes some at the end,
 * or reads and removes some at the start. Every eighth step compares all.
 *
 * Return: whether the ring always had the bytes that were written
 */
static bool random_life(uint32_t seq)
{
	uint32_t from = seq, end = seq, len, most;
	struct tcp_rxring h = { 0 };
	size_t total = 12345;		/* bytes of other flows' rings */
	unsigned int i;
	bool good = true;

	for (i = 0; i < STEPS && good; i++) {
		most = i < STEPS / 2 ? 3000 : 60000;
		len = 1 + (uint32_t)(next_random() % most);
		if (next_random() % 3 && end - from + len <= REACH) {
			good = rxring_grow(&h, &total, from, end + len);
			put(&h, end, len);
			end += len;
		} else if (end != from) {
			len = MIN(len, end - from);
			good = holds(&h, from, len);
			from += len;
		}
		good &= i % 8 || from == end || holds(&h, from, end - from);
		good &= total == 12345 + h.size;
		good &= end - from <= h.size;
	}
	rxring_free(&h, &total);
	return good && total == 12345 && !h.buf && !h.size;
}

static void story_random(const char *name, uint32_t seq)
{
	unsigned int i;

	for (i = 0; i < LIVES; i++) {
		if (random_life(seq ? seq : (uint32_t)next_random()))
			continue;
		fail(name, "life %u", i);
		return;
	}
	pass(name);
}

/* Given bytes after a gap, when the ring grows, then they can still be read by
 * their sequence numbers, and the gap can be filled. */
static void story_gap(void)
{
	const uint32_t seq = UINT32_MAX - 1000;
	struct tcp_rxring h = { 0 };
	size_t total = 0;

	check("a ring for bytes after a gap",
	      rxring_grow(&h, &total, seq, seq + 5000));
	check_eq("is as small as rings get", h.size, TCP_RXRING_MIN);
	put(&h, seq + 2000, 3000);
	check("it grows for more of them",
	      rxring_grow(&h, &total, seq, seq + TCP_RXRING_MIN + 1));
	check_eq("to twice the size", h.size, 2 * TCP_RXRING_MIN);
	check_eq("which is counted once", total, 2 * TCP_RXRING_MIN);
	check("the bytes that it had are still there",
	      holds(&h, seq + 2000, 3000));
	put(&h, seq, 2000);
	check("the gap is filled", holds(&h, seq, 5000));
	rxring_free(&h, &total);
	check("freeing it leaves nothing", !total && !h.buf && !h.size);
	rxring_free(&h, &total);
	check("it may be freed twice", !total);
}

/* Given a full ring, whose last byte is stored directly before its first, then
 * all bytes can be read. */
static void story_full(void)
{
	const uint32_t seq = 0xfffff123;
	struct tcp_rxring h = { 0 };
	size_t total = 0;

	rxring_grow(&h, &total, seq, seq + TCP_RXRING_MIN);
	check_eq("a ring is not larger than it must be",
		 h.size, TCP_RXRING_MIN);
	put(&h, seq, TCP_RXRING_MIN);
	check("a full ring has every byte", holds(&h, seq, TCP_RXRING_MIN));
	check("a ring with space does not grow",
	      rxring_grow(&h, &total, seq + 10, seq + 10 + TCP_RXRING_MIN) &&
	      h.size == TCP_RXRING_MIN);
	rxring_free(&h, &total);
}

/* Given that malloc() fails, or that the rings of all flows would have more
 * than TCP_RXRING_MAX bytes, when a ring must grow, then it does not change. */
static void story_bounds(void)
{
	struct tcp_rxring h = { 0 }, before;
	size_t total = 0;

	rxring_grow(&h, &total, 0, 1000);
	put(&h, 0, 1000);
	before = h;
	no_memory = true;
	check("without memory a ring does not grow",
	      !rxring_grow(&h, &total, 0, 100000));
	no_memory = false;
	check("and is as before", !memcmp(&h, &before, sizeof(h)) &&
	      holds(&h, 0, 1000) && total == TCP_RXRING_MIN);

	total = TCP_RXRING_MAX - TCP_RXRING_MIN;
	check("all flows together may have TCP_RXRING_MAX bytes",
	      rxring_grow(&h, &total, 0, 2 * TCP_RXRING_MIN) &&
	      total == TCP_RXRING_MAX);
	check("and not a byte more",
	      !rxring_grow(&h, &total, 0, 2 * TCP_RXRING_MIN + 1) &&
	      total == TCP_RXRING_MAX && h.size == 2 * TCP_RXRING_MIN);
	rxring_free(&h, &total);
	check_eq("all memory is freed", total,
		 TCP_RXRING_MAX - 2 * TCP_RXRING_MIN);
}

int main(void)
{
	story_gap();
	story_full();
	story_bounds();
	story_random("random lives anywhere", 0);
	story_random("random lives across the wrap", UINT32_MAX - REACH / 2);
	return unit_end();
}
