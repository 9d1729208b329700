/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * fail.h - Ends the stand-in guest with a message, if something is not as it
 * must be.
 */
#ifndef TEST_NET_FAIL_H
#define TEST_NET_FAIL_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* fail() - Say why on stderr, as printf() would, and end the program */
static inline void __attribute__((format(printf, 1, 2), noreturn))
fail(const char *fmt, ...)
{
	va_list ap;

	fputs("standin: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

#endif /* TEST_NET_FAIL_H */
