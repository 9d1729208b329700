/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * unit.h - Checks for unit tests. Each test program includes this file once.
 *
 * A check prints one line: 'ok NAME' or 'not ok NAME: why, file:line'. NAME
 * says in plain words what must be true. The value of a check is true if it
 * succeeded, so that a test can stop early. The arguments are evaluated once.
 * skip() prints 'skip NAME: why'. main() ends with 'return unit_end();'.
 *
 *	check("a reset flow is gone", !flow_get(&t, idx));
 *	check_eq("the second half is acknowledged", ack, 1460);
 *
 * A check in a loop would print many lines. Instead, count the deviations and
 * check their number after the loop, or call fail() at the first one.
 */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define UNIT_SHOWN	32	/* most bytes that are printed of a buffer */

static unsigned int unit_failed;

/**
 * unit_report() - Print the line of one check, and count it if it failed
 * @name:	name of the check
 * @good:	the check succeeded
 * @file, @line: source file and line of the check
 * @fmt:	reason of a failure; it and the following arguments are as for
 *		printf()
 *
 * Return: @good
 */
__attribute__((format(printf, 5, 6), unused))
static bool unit_report(const char *name, bool good, const char *file,
			int line, const char *fmt, ...)
{
	va_list ap;

	if (good) {
		printf("ok %s\n", name);
	} else {
		unit_failed++;
		printf("not ok %s: ", name);
		va_start(ap, fmt);
		vprintf(fmt, ap);
		va_end(ap);
		printf(", %s:%d\n", file, line);
	}
	fflush(stdout);
	return good;
}

/* unit_integer() - Check that two integers are equal, with 64 bits; a failure
 * shows them in decimal and hexadecimal */
__attribute__((unused))
static bool unit_integer(const char *name, uint64_t got, uint64_t want,
			 const char *file, int line)
{
	return unit_report(name, got == want, file, line,
			   "got %" PRId64 " (0x%" PRIx64 "), want %" PRId64
			   " (0x%" PRIx64 ")", (int64_t)got, got,
			   (int64_t)want, want);
}

/* unit_string() - Check that two strings are equal, or both are NULL */
__attribute__((unused))
static bool unit_string(const char *name, const char *got, const char *want,
			const char *file, int line)
{
	bool same = got && want ? !strcmp(got, want) : got == want;

	return unit_report(name, same, file, line, "got '%s', want '%s'",
			   got ? got : "(null)", want ? want : "(null)");
}

/* unit_hex() - Write up to UNIT_SHOWN bytes to @buf as hexadecimal digits */
__attribute__((unused))
static const char *unit_hex(const uint8_t *p, size_t len,
			    char buf[2 * UNIT_SHOWN + 1])
{
	size_t i;

	buf[0] = '\0';
	for (i = 0; i < len && i < UNIT_SHOWN; i++)
		sprintf(buf + 2 * i, "%02x", p[i]);
	return buf;
}

/* unit_memory() - Check that two buffers are equal; a failure shows the bytes
 * from the first difference on */
__attribute__((unused))
static bool unit_memory(const char *name, const void *got, const void *want,
			size_t len, const char *file, int line)
{
	char g[2 * UNIT_SHOWN + 1], w[2 * UNIT_SHOWN + 1];
	const uint8_t *a = got, *b = want;
	size_t i = 0;

	while (i < len && a[i] == b[i])
		i++;

	return unit_report(name, i == len, file, line,
			   "differ at byte %zu of %zu: got %s, want %s", i, len,
			   unit_hex(a + i, len - i, g),
			   unit_hex(b + i, len - i, w));
}

/* check() - Check that a condition is true; a failure shows its source text */
#define check(name, cond) \
	unit_report(name, (cond), __FILE__, __LINE__, "not: %s", #cond)

/* check_eq() - Check that two integers, of any type, are equal */
#define check_eq(name, got, want) \
	unit_integer(name, (uint64_t)(got), (uint64_t)(want), \
		     __FILE__, __LINE__)

/* check_str() - Check that two strings are equal */
#define check_str(name, got, want) \
	unit_string(name, got, want, __FILE__, __LINE__)

/* check_mem() - Check that two buffers of @len bytes are equal */
#define check_mem(name, got, want, len) \
	unit_memory(name, got, want, len, __FILE__, __LINE__)

/* fail() - Report a failure with a custom message; the arguments after @name
 * are as for printf() */
#define fail(name, ...) \
	unit_report(name, false, __FILE__, __LINE__, __VA_ARGS__)

/* pass() - Report the success of a check that was made without these macros */
#define pass(name) \
	unit_report(name, true, __FILE__, __LINE__, " ")

/* skip() - Report that a check was not made, and what this machine lacks */
#define skip(name, why) \
	printf("skip %s: %s\n", name, why)

/**
 * unit_end() - Return the exit status of the test program
 *
 * Return: 0 if no check failed, else 1
 */
__attribute__((unused))
static int unit_end(void)
{
	return unit_failed ? 1 : 0;
}

#endif /* TEST_UNIT_H */
