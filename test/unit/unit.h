/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * unit.h - What a unit test needs: named checks that say what they saw.
 * Included by the .c files beside it, once per program.
 *
 * A check prints one line, 'ok NAME', 'not ok NAME: why, file:line' or
 * 'skip NAME: why', and is an expression that is true when it held, so that
 * a story can stop early. NAME says what is promised, in plain words. Values
 * are evaluated once. A test ends with 'return unit_end();'.
 *
 *	check("a reset flow is gone", !flow_get(&t, idx));
 *	check_eq("the second half is acknowledged", ack, 1460);
 *
 * A check inside a long loop would print a line each turn: collect there and
 * check once, or use fail() at the first deviation.
 */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define UNIT_SHOWN	32	/* bytes printed where buffers differ */

static unsigned int unit_failed;

/**
 * unit_report() - Print the line of one check
 * @name:	what is promised
 * @good:	it held
 * @file:	where the check stands
 * @line:	likewise
 * @fmt:	why not, as for printf()
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

/* unit_integer() - Two integers, compared as 64 bits and shown in both bases */
__attribute__((unused))
static bool unit_integer(const char *name, uint64_t got, uint64_t want,
			 const char *file, int line)
{
	return unit_report(name, got == want, file, line,
			   "got %" PRId64 " (0x%" PRIx64 "), want %" PRId64
			   " (0x%" PRIx64 ")", (int64_t)got, got,
			   (int64_t)want, want);
}

/* unit_string() - Two strings, either of which may be NULL */
__attribute__((unused))
static bool unit_string(const char *name, const char *got, const char *want,
			const char *file, int line)
{
	bool same = got && want ? !strcmp(got, want) : got == want;

	return unit_report(name, same, file, line, "got '%s', want '%s'",
			   got ? got : "(null)", want ? want : "(null)");
}

/* unit_hex() - Up to UNIT_SHOWN bytes as hexadecimal digits in @buf */
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

/* unit_memory() - Two buffers; a failure shows where they begin to differ */
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

/* check() - A condition holds; a failure shows its text */
#define check(name, cond) \
	unit_report(name, (cond), __FILE__, __LINE__, "not: %s", #cond)

/* check_eq() - Two integers, of any width and signedness, are equal */
#define check_eq(name, got, want) \
	unit_integer(name, (uint64_t)(got), (uint64_t)(want), \
		     __FILE__, __LINE__)

/* check_str() - Two strings are equal */
#define check_str(name, got, want) \
	unit_string(name, got, want, __FILE__, __LINE__)

/* check_mem() - Two buffers of @len bytes are equal */
#define check_mem(name, got, want, len) \
	unit_memory(name, got, want, len, __FILE__, __LINE__)

/* fail() - Report a failure in words of one's own; ... as for printf() */
#define fail(name, ...) \
	unit_report(name, false, __FILE__, __LINE__, __VA_ARGS__)

/* pass() - Report that a check made by hand, in a loop say, held */
#define pass(name) \
	unit_report(name, true, __FILE__, __LINE__, " ")

/* skip() - Something this machine doesn't have, and what */
#define skip(name, why) \
	printf("skip %s: %s\n", name, why)

/**
 * unit_end() - The last line of main()
 *
 * Return: exit status, 0 when no check failed
 */
__attribute__((unused))
static int unit_end(void)
{
	return unit_failed ? 1 : 0;
}

#endif /* TEST_UNIT_H */
