// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * range.c - Tests of lists of ranges of the sequence space. Each list is
 * compared with a model that has a flag for each sequence number, at random
 * sequence numbers and across the wrap.
 */
#include <stdlib.h>

#include "../../tcp/range.c"
#include "test/unit/random.h"
#include "test/unit/unit.h"

#define SPACE	2048		/* number of sequence numbers in the model */
#define LIVES	30
#define STEPS	2000

/**
 * struct model - A flag for each sequence number that a list may have
 * @base:	sequence number of the first flag
 * @set:	@set[i]: the sequence number @base + i is in a range
 */
struct model {
	uint32_t base;
	bool set[SPACE];
};

/* ranges() - Return the number of ranges in the model */
static unsigned int ranges(const struct model *m)
{
	unsigned int i, n = 0;

	for (i = 0; i < SPACE; i++)
		n += m->set[i] && (!i || !m->set[i - 1]);
	return n;
}

/* same() - Whether the list has the ranges of the model, in ascending order */
static bool same(const struct tcp_ranges *rs, const struct model *m)
{
	unsigned int i, n = 0, bytes = 0;
	uint32_t at = 0;

	if (rs->n != ranges(m))
		return false;
	for (i = 0; i < SPACE; i++) {
		bytes += m->set[i];
		at = m->base + i;
		if (m->set[i] && (!i || !m->set[i - 1]) &&
		    rs->r[n].from != at)
			return false;
		if (!m->set[i] && i && m->set[i - 1] && rs->r[n++].end != at)
			return false;
	}
	if (n < rs->n && rs->r[n].end != at + 1)
		return false;
	return ranges_bytes(rs) == bytes;
}

/* add() - Add the range from @from to @to, relative to @m->base, to list and
 * model if the list has space for it; returns whether the list is right then */
static bool add(struct tcp_ranges *rs, struct model *m, unsigned int from,
		unsigned int to)
{
	struct model after = *m;
	unsigned int i;
	bool fits;

	for (i = from; i < to; i++)
		after.set[i] = true;
	fits = ranges(&after) <= TCP_RANGES;
	if (ranges_add(rs, m->base + from, m->base + to) != fits)
		return false;
	if (fits)
		*m = after;
	return same(rs, m);
}

static bool trim(struct tcp_ranges *rs, struct model *m, unsigned int to)
{
	unsigned int i;

	for (i = 0; i < to; i++)
		m->set[i] = false;
	ranges_trim(rs, m->base + to);
	return same(rs, m);
}

/* random_step() - Add a short range, or sometimes a long one, or trim; returns
 * whether the list is right then */
static bool random_step(struct tcp_ranges *rs, struct model *m)
{
	unsigned int from = (unsigned int)(next_random() % SPACE);
	unsigned int len = 1 + (unsigned int)(next_random() % 24);
	uint64_t r = next_random() % 64;

	if (!r)
		return trim(rs, m, from);
	if (r == 1)
		len *= 40;
	if (from + len > SPACE)
		len = SPACE - from;
	return add(rs, m, from, from + len);
}

static void story_random(const char *name, uint32_t base)
{
	unsigned int life, i;
	struct tcp_ranges rs;
	struct model m;

	for (life = 0; life < LIVES; life++) {
		memset(&rs, 0, sizeof(rs));
		memset(&m, 0, sizeof(m));
		m.base = base ? base : (uint32_t)next_random();
		for (i = 0; i < STEPS; i++) {
			if (random_step(&rs, &m))
				continue;
			fail(name, "base %x, step %u", m.base, i);
			return;
		}
	}
	pass(name);
}

/* Given a range that touches or overlaps others, or fills the gap between them,
 * when it is added, then they are joined. If the list is full, a range that
 * can't be joined with others is refused. */
static void story_joined(void)
{
	struct tcp_ranges rs = { 0 }, before;
	struct model m = { .base = 0xfffffff0 };
	unsigned int i;

	check("a first range, across the wrap", add(&rs, &m, 10, 20));
	check("one that touches its end is joined", add(&rs, &m, 20, 25) &&
	      rs.n == 1);
	check("one that touches its start is joined", add(&rs, &m, 5, 10) &&
	      rs.n == 1);
	check("one inside changes nothing", add(&rs, &m, 7, 9) && rs.n == 1);
	check("one after a gap is separate", add(&rs, &m, 30, 40) && rs.n == 2);
	check("one before all is separate", add(&rs, &m, 1, 3) && rs.n == 3);
	check("a gap that is filled disappears", add(&rs, &m, 25, 30) &&
	      rs.n == 2);
	check("one around all replaces all", add(&rs, &m, 0, 60) &&
	      rs.n == 1);

	memset(&rs, 0, sizeof(rs));
	memset(&m, 0, sizeof(m));
	for (i = 0; i < TCP_RANGES; i++)
		add(&rs, &m, 10 + 4 * i, 12 + 4 * i);
	before = rs;
	check("as many as the list takes", rs.n == TCP_RANGES);
	check("one more is refused", !ranges_add(&rs, 2, 4) &&
	      !ranges_add(&rs, 500, 510));
	check("and changes nothing", !memcmp(&rs, &before, sizeof(rs)));
	check("one that joins others is still accepted", add(&rs, &m, 12, 14) &&
	      rs.n == TCP_RANGES - 1);
}

/* Given ranges, when everything before a sequence number is removed, then a
 * range that contains this number loses its first part, and a range that ends
 * there is gone. */
static void story_trimmed(void)
{
	struct tcp_ranges rs = { 0 };
	struct model m = { .base = 0xfffffff0 };

	check("an empty list can be trimmed", trim(&rs, &m, 3));
	add(&rs, &m, 10, 20);
	add(&rs, &m, 30, 40);
	check("trimmed before all, nothing is lost",
	      trim(&rs, &m, 9) && rs.n == 2);
	check("trimmed at the first, nothing is lost",
	      trim(&rs, &m, 10) && rs.n == 2);
	check("trimmed inside a range, the rest stays",
	      trim(&rs, &m, 19) && rs.n == 2 &&
	      ranges_bytes(&rs) == 11);
	check("trimmed at its end, a range is gone",
	      trim(&rs, &m, 20) && rs.n == 1);
	check("trimmed after all, none is left", trim(&rs, &m, 41) && !rs.n);
}

int main(void)
{
	story_joined();
	story_trimmed();
	story_random("random ranges anywhere", 0);
	story_random("random ranges across the wrap",
		     UINT32_MAX - SPACE / 2);
	story_random("random ranges across the change of sign",
		     INT32_MAX - SPACE / 2);
	return unit_end();
}
