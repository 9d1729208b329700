// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * wrap/die.c - End with a message.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "wrap/wrap.h"

#define DEVNO_MAX	0xffff	/* of a channel subsystem */

/* die() - One line about what is wrong and what would be right, exit 1 */
void die(const char *fmt, ...)
{
	va_list ap;

	fputs("qrap: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

void *must(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}
