// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * wrap/die.c - Ends the program with an error message.
 */
/* syscalls: fstat write */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "wrap/wrap.h"

/**
 * qrap_die() - Print one line that says what is wrong and what would be right,
 *		and exit with status 1
 * @fmt:	format of printf(), without newline
 */
void qrap_die(const char *fmt, ...)
{
	va_list ap;

	fputs("qrap: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

/**
 * not_null() - Exit with a message if an allocation failed
 * @p:		result of the allocation, NULL if it failed
 *
 * Return: @p
 */
void *not_null(void *p)
{
	if (!p)
		qrap_die("out of memory");
	return p;
}
