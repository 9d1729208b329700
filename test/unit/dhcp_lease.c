// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * dhcp_lease.c - Times of a DHCP lease.
 */
#include "../../answer/dhcp.c"
#include "test/unit/answer.h"
#include "test/unit/dhcp.h"

/* Given a lease time, then T1 is 5 minutes at most, and T2 is 7/8 of it */
static void story_times(struct world *w)
{
	static const struct {
		const char *name;
		uint32_t time;
		const char *t1, *t2;
	} all[] = {
		{ "a lease of a day: T1 is 5 minutes, T2 is 21 hours",
		  86400, "\0\0\1\x2c", "\0\1\x27\x50" },
		{ "a lease of 20 s: T1 is half of it", 20, "\0\0\0\x0a",
		  "\0\0\0\x12" },
		{ "a lease of 600 s: T1 is both", 600, "\0\0\1\x2c",
		  "\0\0\2\x0d" },
		{ "the longest lease but an infinite one", 0xfffffffe,
		  "\0\0\1\x2c", "\xdf\xff\xff\xff" },
	};
	struct client c;
	uint8_t be[4];
	char buf[256];
	size_t i;

	message(&c, 3);
	opt(&c, 50, OURS, 4);
	opt(&c, 55, "\1", 1);
	done(w, &c);
	check_str("T1 and T2 come, although not asked for", order(w, buf),
		  "53 54 51 58 59 1 255");
	for (i = 0; i < ARRAY_SIZE(all); i++) {
		w->net.lease.time = all[i].time;
		put_be32(be, all[i].time);
		post(w, &c);
		check(all[i].name, gives(w, 51, be, 4) &&
		      gives(w, 58, all[i].t1, 4) && gives(w, 59, all[i].t2, 4));
	}

	w->net.lease.time = LEASE_INFINITE;
	post(w, &c);
	check_str("an infinite lease: no T1, no T2", order(w, buf),
		  "53 54 51 1 255");
	check("and a time without end", gives(w, 51, "\xff\xff\xff\xff", 4));
	message(&c, 1);
	opt(&c, 55, "\x3b\1\x3a", 3);
	done(w, &c);
	check_str("unless they are asked for", order(w, buf),
		  "53 54 51 59 1 58 255");
	check("then they are infinite, too",
	      gives(w, 58, "\xff\xff\xff\xff", 4) &&
	      gives(w, 59, "\xff\xff\xff\xff", 4));
}

int main(void)
{
	static void (*const stories[])(struct world *w) = {
		story_times,
	};

	return tell(stories, ARRAY_SIZE(stories));
}
