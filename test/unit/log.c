// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * log.c - Where messages go, what they look like, that a log file stays
 * bounded and that nobody can flood it.
 */
#include <stdlib.h>
#include <syslog.h>

#include "util.h"

/* The clock, and the system logger. */
static uint64_t clock_ms;
#define now_ms()	clock_ms
static char sys_line[2048];
static const char *sys_ident;
#define openlog(ident, option, facility)	(sys_ident = (ident))
#define syslog(prio, fmt, msg)						\
	((void)(prio), (void)snprintf(sys_line, sizeof(sys_line), fmt, msg))

#include "../../log.c"
#include "unit.h"

static char path[] = "/tmp/passt-log-XXXXXX";
static char said[65536];

/* slurp() - The content of an open file, from its beginning, in @said */
static size_t slurp(int fd)
{
	ssize_t n = pread(fd, said, sizeof(said) - 1, 0);

	said[n > 0 ? n : 0] = '\0';
	return (size_t)n;
}

static int saved = -1, captured = -1;

static void stderr_start(void)
{
	char name[] = "/tmp/passt-err-XXXXXX";

	saved = dup(STDERR_FILENO);
	captured = mkstemp(name);
	unlink(name);
	dup2(captured, STDERR_FILENO);
}

/* stderr_end() - What went there, in @said */
static void stderr_end(void)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
	slurp(captured);
	close(captured);
}

static void test_stderr(void)
{
	stderr_start();
	info("all is well");
	warn("not so %s", "well");
	err("bad");
	debug("hidden");
	stderr_end();
	check_str("warnings and errors name the program, in order", said,
		  "all is well\npasst: not so well\npasst: bad\n");

	stderr_start();
	log_set_level(LOG_WARNING);
	info("hidden");
	log_set_level(LOG_DEBUG);
	debug("shown");
	log_set_level(LOG_INFO);
	stderr_end();
	check_str("the level decides what is logged", said, "shown\n");

	stderr_start();
	errno = ENOENT;
	info("two\nlines\x1b[2J");
	stderr_end();
	check_str("a message is one line, and harmless", said,
		  "two?lines?[2J\n");
	check_eq("errno survives", errno, ENOENT);

	stderr_start();
	info("%0*d", 5000, 1);
	stderr_end();
	check_eq("a long message is cut", strlen(said), LOG_LINE);
	check_eq("and still a line", said[LOG_LINE - 1], '\n');
}

/* burst() - How many of @n messages of one place are logged */
static unsigned int burst(unsigned int n)
{
	unsigned int i, lines = 0;
	const char *s;

	stderr_start();
	for (i = 0; i < n; i++)
		LOG_LIMITED(LOG_INFO, "frame %s", "malformed");
	stderr_end();
	for (s = said; (s = strchr(s, '\n')); s++)
		lines++;
	return lines;
}

static void test_limited(void)
{
	clock_ms = 1000000;
	check_eq("a thousand messages of one place: a burst", burst(1000),
		 LOG_BURST);
	clock_ms += LOG_INTERVAL - 1;
	check_eq("then none", burst(5), 0);
	clock_ms += 1;
	check_eq("until the interval is over: one", burst(5), 1);
	check_str("which says how many there were", said,
		  "frame malformed (and 1000 like it)\n");
	clock_ms += LOG_INTERVAL;
	check_eq("and so on", burst(1), 1);
	check_str("counting anew", said, "frame malformed (and 4 like it)\n");
	clock_ms += LOG_INTERVAL;
	check_eq("if there were no others", burst(1), 1);
	check_str("none are mentioned", said, "frame malformed\n");
}

static void test_file(void)
{
	int fd = mkstemp(path);
	const char *s;

	stderr_start();
	check_eq("a log file opens", log_to_file(path, LOG_FILE_MIN), 0);
	info("to the file");
	warn("to both");
	stderr_end();
	check_str("whoever waits for the start hears of warnings", said,
		  "passt: to both\n");
	slurp(fd);
	check("an entry has a time", said[4] == '-' && said[10] == 'T' &&
	      said[23] == 'Z');
	check("and an urgency", strstr(said, "Z info: to the file\n") &&
	      strstr(said, "Z warning: to both\n"));

	log_to_syslog("passt");
	stderr_start();
	err("in the background");
	stderr_end();
	check_str("in the background, stderr is silent", said, "");
	slurp(fd);
	s = strstr(said, "Z error: in the background\n");
	check("the log file remains in use", s && !sys_ident && !*sys_line);
	close(fd);
}

/* entries() - How many whole entries of test_bound() the file has; 0: broken */
static unsigned int entries(unsigned int *first, unsigned int *last)
{
	unsigned int n = 0, number;
	char *s = said, *end;

	for (; *s; s = end + 1, n++) {
		end = strchr(s, '\n');
		if (!end || sscanf(s, "%*s info: entry %u end", &number) != 1)
			return 0;
		if (!n)
			*first = number;
		else if (number != *last + 1)
			return 0;
		*last = number;
	}
	return n;
}

static void test_bound(void)
{
	unsigned int i, first = 0, last = 0, over = 0, few = 0;
	int fd = open(path, O_RDWR | O_TRUNC);

	log_to_file(path, LOG_FILE_MIN);
	for (i = 0; i < 1000; i++) {
		info("entry %u end", i);
		if (slurp(fd) > LOG_FILE_MIN)
			over++;
		if (!entries(&first, &last) || last != i)
			few++;
	}
	check_eq("a log file never exceeds its bound", over, 0);
	check_eq("it has the newest entries, whole and in order", few, 0);
	check("the oldest are gone, half of the bound is there",
	      first > 900 && slurp(fd) >= LOG_FILE_MIN / 2 - 64);

	log_to_file(path, LOG_FILE_MIN);
	info("entry %u end", i);
	slurp(fd);
	check("another start goes on after what is there",
	      entries(&first, &last) > 1 && last == i);
	close(fd);
}

static void test_large_before(void)
{
	int fd = open(path, O_RDWR | O_TRUNC), i;

	for (i = 0; i < 2000; i++)
		dprintf(fd, "line %d of another\n", i);
	log_to_file(path, LOG_FILE_MIN);
	info("hello");
	check("a file that was larger shrinks to its bound",
	      slurp(fd) <= LOG_FILE_MIN);
	check("keeping the end of it", strstr(said, "line 1999 of another\n") &&
	      !strncmp(said, "line ", 5));

	if (ftruncate(fd, 0))
		fail("truncate", "%s", strerror(errno));
	for (i = 0; i < LOG_FILE_MIN; i++)
		dprintf(fd, "x");
	log_to_file(path, LOG_FILE_MIN);
	info("hello");
	slurp(fd);
	check("a file without lines is forgotten",
	      said[4] == '-' && strstr(said, " info: hello\n"));
	close(fd);
}

static void test_bad_files(void)
{
	check_eq("a directory is no log file", log_to_file("/tmp", 4096),
		 -EISDIR);
	check_eq("nor is a device", log_to_file("/dev/null", 4096), -EINVAL);
	check_eq("nor what can't be created",
		 log_to_file("/nonesuch/log", 4096), -ENOENT);
}

static void test_syslog(void)
{
	state.fd = -1;
	log_to_syslog("passt");
	stderr_start();
	warn("to the %s", "system");
	stderr_end();
	check_str("the system logger gets it", sys_line, "to the system");
	check_str("under our name", sys_ident, "passt");
	check_str("and stderr does not", said, "");
}

int main(void)
{
	test_stderr();
	test_limited();
	test_file();
	test_bound();
	test_large_before();
	test_bad_files();
	test_syslog();
	unlink(path);
	return unit_end();
}
