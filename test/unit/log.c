// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * log.c - Tests where messages go and what they look like, that a log file
 * stays below its size limit, and that repeated messages are limited.
 */
#include <paths.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>

#include "util.h"

/* Stand-ins for the clock, and for the path of the system logger's socket. */
static uint64_t clock_ms;
#define now_ms()	clock_ms
static char log_socket[] = "/tmp/passt-sys-XXXXXX";
#undef _PATH_LOG
#define _PATH_LOG	log_socket

#include "../../log.c"
#include "unit.h"

static char path[] = "/tmp/passt-log-XXXXXX";
static char said[65536];

/* slurp() - Read an open file from its beginning into @said; return the
 * length */
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

/* stderr_end() - Restore stderr, and read what was written to it into @said */
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
	warn("too");
	log_set_level(LOG_INFO);
	stderr_end();
	check("the level decides what is logged", strstr(said, "Z shown\n") &&
	      strstr(said, "Z passt: too\n") && !strstr(said, "hidden"));
	check("with --debug, a line begins with the time", said[4] == '-' &&
	      said[10] == 'T' && said[23] == 'Z');

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

/* burst() - Log the same message @n times; return the number of lines that were
 * logged */
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

/* to_file() - Log to the file @name; return 0 or -errno */
static int to_file(const char *name)
{
	int fd = open(name, O_RDWR | O_NONBLOCK);

	return fd < 0 ? -errno : log_to_file(fd, LOG_FILE_MIN);
}

static void test_file(void)
{
	int fd = mkstemp(path);
	const char *s;

	check_eq("a log file opens", to_file(path), 0);
	stderr_start();
	info("how it starts");
	stderr_end();
	check_str("whoever waits for the start hears of it", said,
		  "how it starts\n");

	log_started();
	stderr_start();
	info("to the file");
	warn("to both");
	stderr_end();
	check_str("and then of warnings", said, "passt: to both\n");

	log_set_level(LOG_DEBUG);
	stderr_start();
	info("to both of them");
	stderr_end();
	check("with --debug, of all", strstr(said, "Z to both of them\n"));
	log_set_level(LOG_INFO);

	slurp(fd);
	check("the file has all of it", strstr(said, " info: how it starts\n") &&
	      strstr(said, " info: to both of them\n"));
	check("an entry has a time", said[4] == '-' && said[10] == 'T' &&
	      said[23] == 'Z');
	check("and an urgency", strstr(said, "Z info: to the file\n") &&
	      strstr(said, "Z warning: to both\n"));

	log_open_syslog();
	log_to_syslog("passt", (int)getpid());
	stderr_start();
	err("in the background");
	stderr_end();
	check_str("in the background, stderr is silent", said, "");
	slurp(fd);
	s = strstr(said, "Z error: in the background\n");
	check("the log file remains in use", s && state.sys_fd < 0);
	close(fd);
}

/* entries() - Count the messages of test_bound() in @said, and set @first and
 * @last to their numbers; 0 if one is not whole or not in order */
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

	to_file(path);
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

	to_file(path);
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
	to_file(path);
	info("hello");
	check("a file that was larger shrinks to its bound",
	      slurp(fd) <= LOG_FILE_MIN);
	check("keeping the end of it", strstr(said, "line 1999 of another\n") &&
	      !strncmp(said, "line ", 5));

	if (ftruncate(fd, 0))
		fail("truncate", "%s", strerror(errno));
	for (i = 0; i < LOG_FILE_MIN; i++)
		dprintf(fd, "x");
	to_file(path);
	info("hello");
	slurp(fd);
	check("a file without lines is forgotten",
	      said[4] == '-' && strstr(said, " info: hello\n"));
	close(fd);
}

static void test_bad_files(void)
{
	char fifo[] = "/tmp/passt-log-XXXXXX";

	close(mkstemp(fifo));
	unlink(fifo);
	mkfifo(fifo, 0600);
	check_eq("a device is no log file", to_file("/dev/null"), -EINVAL);
	check_eq("nor is a pipe", to_file(fifo), -EINVAL);
	unlink(fifo);
}

/* logger() - Bind a socket to @log_socket, in place of the system logger;
 * return the socket */
static int logger(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	strcpy(sa.sun_path, log_socket);
	unlink(log_socket);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
		fail("the system logger", "%s", strerror(errno));
	return fd;
}

/* heard() - Receive the next message to the system logger into @said */
static const char *heard(int fd)
{
	ssize_t n = recv(fd, said, sizeof(said) - 1, 0);

	said[n > 0 ? n : 0] = '\0';
	return said;
}

static void test_syslog(void)
{
	char want[64];
	int fd;

	close(mkstemp(log_socket));
	fd = logger();
	state.fd = -1;
	log_open_syslog();
	log_to_syslog("passt", (int)getpid());
	stderr_start();
	warn("to the %s", "system");
	stderr_end();
	check_str("stderr does not get what the system logger gets", said, "");
	heard(fd);
	snprintf(want, sizeof(want), " passt[%d]: to the system", getpid());
	check("it has the priority", !strncmp(said, "<28>", 4));
	check("the time", said[4 + 6] == ' ' && said[4 + 9] == ':');
	check_str("our name, and the message", said + 4 + 15, want);

	close(fd);
	warn("nobody is there");
	fd = logger();
	warn("again");
	check("a new system logger is found, and told",
	      strstr(heard(fd), "]: 1 messages were lost: nobody read them"));
	check("and goes on", strstr(heard(fd), "]: again"));

	alarm(5);	/* kills this test if a message blocks */
	while (!state.lost)
		warn("a line of many");
	warn("and another one");
	alarm(0);
	check_eq("what a full system logger does not take is counted",
		 state.lost, 2);
	while (*heard(fd))
		;
	warn("after that");
	check("and told", strstr(heard(fd), "]: 2 messages were lost: "));
	close(fd);
	unlink(log_socket);
	state.ident = NULL;
	state.lost = 0;
}

/* fill_stderr() - Log to @out in place of stderr until @out is full, and check
 * that the lost messages are counted. Then read from @in, the other end of
 * @out, and check that the number of lost messages is logged */
static void fill_stderr(const char *name, int out, int in)
{
	struct pollfd p = { .fd = in, .events = POLLIN };
	char line[100];
	size_t have = 0;
	ssize_t n;

	saved = dup(STDERR_FILENO);
	dup2(out, STDERR_FILENO);
	close(out);
	log_own_stderr();
	alarm(5);
	while (!state.lost)
		warn("a line of many");
	warn("and another one");
	alarm(0);
	snprintf(line, sizeof(line), "%s that nobody reads: lines are lost",
		 name);
	check_eq(line, state.lost, 2);

	while (read(in, said, sizeof(said)) > 0)
		;
	warn("after that");
	while (poll(&p, 1, 1000) > 0 && (n = read(in, said + have, 100)) > 0) {
		have += (size_t)n;
		said[have] = '\0';
		if (strstr(said, "after that"))
			break;
	}
	snprintf(line, sizeof(line), "%s that is read again says how many",
		 name);
	check(line, strstr(said, "passt: 2 messages were lost: nobody read "
			   "them") && strstr(said, "passt: after that"));

	dup2(saved, STDERR_FILENO);
	close(saved);
	if (state.err_fd != STDERR_FILENO)
		close(state.err_fd);
	state.err_fd = STDERR_FILENO;
	close(in);
}

static void test_blocked(void)
{
	int p[2], flags, in, out;

	if (pipe(p) || fcntl(p[0], F_SETFL, O_NONBLOCK))
		fail("pipe", "%s", strerror(errno));
	flags = fcntl(p[1], F_GETFL);
	out = dup(p[1]);
	fill_stderr("a pipe", out, p[0]);
	check_eq("its flags, which others share, are as before",
		 fcntl(p[1], F_GETFL), flags);
	close(p[1]);

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, p))
		fail("sockets", "%s", strerror(errno));
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	fill_stderr("a socket", p[1], p[0]);

	in = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (in < 0 || grantpt(in) || unlockpt(in)) {
		skip("a terminal that nobody reads", "no pseudo-terminals");
		return;
	}
	fill_stderr("a terminal", open(ptsname(in), O_RDWR | O_NOCTTY), in);
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
	test_blocked();
	unlink(path);
	return unit_end();
}
