/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * addr.h - Lets unit tests write addresses as text.
 */
#ifndef TEST_UNIT_ADDR_H
#define TEST_UNIT_ADDR_H

#include <stdlib.h>

#include "test/unit/unit.h"
#include "util.h"

/* addr() - Parse an address. "" gives ADDR_NONE; a malformed address ends the
 * test */
static struct in6_addr addr(const char *s)
{
	struct in6_addr a = ADDR_NONE;

	if (*s && !addr_parse(s, &a)) {
		fail("the test knows its addresses", "'%s' is none", s);
		exit(1);
	}
	return a;
}

#endif /* TEST_UNIT_ADDR_H */
