// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * log.c - Messages to stderr, the system logger or a file of bounded size.
 *
 * On stderr, warnings and errors begin with the program's name, because they
 * may be among messages of other programs. Each message is one line, whatever
 * text of a guest is in it, and one write().
 */
/* syscalls: start: fstat lseek openat read; run: clock_gettime close connect
 *	     ftruncate getpid pread64 pwrite64 sendto socket write */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#define LOG_LINE	1024	/* longest message, bytes */

/**
 * struct log - Where messages go
 * @level:	messages of this priority and more urgent ones are logged
 * @background:	use the system logger: nobody reads stderr
 * @fd:		log file, -1: none
 * @size:	bound of the log file, bytes
 * @used:	its length, bytes
 * @suppressed:	number of suppressed messages that the next one reports
 */
static struct log {
	int level;
	bool background;
	int fd;
	size_t size, used;
	uint32_t suppressed;
} state = { .level = LOG_INFO, .fd = -1 };

/* trim_file() - Drop the oldest entries, so that half of the bound is left; in
 * place, because the path may be out of reach by now */
static void trim_file(void)
{
	off_t from = (off_t)(state.used - state.size / 2), to = 0;
	char buf[4096], *start = NULL;
	ssize_t n;

	while ((n = pread(state.fd, buf, sizeof(buf), from)) > 0) {
		char *keep = buf;

		from += n;
		if (!start) {
			start = memchr(buf, '\n', (size_t)n);
			if (!start)
				continue;
			keep = start + 1;
			n -= keep - buf;
		}
		if (pwrite(state.fd, keep, (size_t)n, to) != n)
			break;
		to += n;
	}

	if (!ftruncate(state.fd, to))
		state.used = (size_t)to;
}

static const char *get_prio_name(int prio)
{
	static const char *const names[] = {
		[LOG_ERR] = "error", [LOG_WARNING] = "warning",
		[LOG_NOTICE] = "notice", [LOG_INFO] = "info",
		[LOG_DEBUG] = "debug", [LOG_TRACE] = "trace",
	};

	return names[prio];
}

/* write_file() - Append time (UTC), priority and message to the log file; there
 * is nobody to tell of errors */
static void write_file(int prio, const char *msg)
{
	char line[LOG_LINE + 64], stamp[32];
	struct timespec now;
	struct tm tm;
	ssize_t n;
	int len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	len = snprintf(line, sizeof(line), "%s.%03ldZ %s: %s\n", stamp,
		       now.tv_nsec / 1000000, get_prio_name(prio), msg);

	if (state.used + (size_t)len > state.size)
		trim_file();
	n = pwrite(state.fd, line, (size_t)len, (off_t)state.used);
	if (n > 0)
		state.used += (size_t)n;
}

/**
 * log_one_line() - Replace control characters: newlines, and those by which a
 *		guest could take over a terminal
 * @s:		string, changed in place
 */
void log_one_line(char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
	}
}

static void write_stderr(int prio, const char *msg)
{
	char line[LOG_LINE + 16];
	int len;
	ssize_t n;

	len = snprintf(line, sizeof(line), "%s%s\n",
		       prio <= LOG_WARNING ? "passt: " : "", msg);
	n = write(STDERR_FILENO, line, (size_t)len);
	(void)n;	/* there is nobody to tell */
}

/**
 * log_msg() - Log one message
 * @prio:	LOG_ERR to LOG_DEBUG of syslog(3), or LOG_TRACE
 * @fmt:	printf() format without newline
 *
 * Keeps errno. Even with a log file, warnings and errors go to stderr as well
 * while the program is in the foreground.
 */
void log_msg(int prio, const char *fmt, ...)
{
	char msg[LOG_LINE];
	int saved = errno;
	va_list ap;
	int n;

	if (!log_enabled(prio))
		return;

	va_start(ap, fmt);
	n = vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (state.suppressed && n >= 0 && (size_t)n < sizeof(msg))
		snprintf(msg + n, sizeof(msg) - (size_t)n,
			 " (and %u like it)", state.suppressed);
	state.suppressed = 0;
	log_one_line(msg);

	if (state.fd >= 0)
		write_file(prio, msg);
	else if (state.background)
		syslog(MIN(prio, LOG_DEBUG), "%s", msg);
	if (!state.background && (state.fd < 0 || prio <= LOG_WARNING))
		write_stderr(prio, msg);
	errno = saved;
}

/**
 * log_allowed() - Check the rate limit of a message, for LOG_LIMITED()
 * @l:		limit of the place that logs it
 *
 * Return: whether to log it: then log_msg() adds how many were suppressed
 */
bool log_allowed(struct log_limit *l)
{
	uint64_t now = now_ms();

	if (l->burst < LOG_BURST) {
		l->burst++;
		l->next = now + LOG_INTERVAL;
		return true;
	}
	if (now < l->next) {
		l->suppressed++;
		return false;
	}
	l->next = now + LOG_INTERVAL;
	state.suppressed = l->suppressed;
	l->suppressed = 0;
	return true;
}

/**
 * log_set_level() - Choose the messages that are logged
 * @prio:	the least urgent priority; LOG_INFO at first
 */
void log_set_level(int prio)
{
	state.level = prio;
}

/* log_enabled() - Whether messages of a priority are logged at all */
bool log_enabled(int prio)
{
	return prio <= state.level;
}

/**
 * log_to_file() - Append all messages to a file from now on
 * @path:	path
 * @size:	bound, bytes, LOG_FILE_MIN or more; the oldest entries are
 *		dropped first
 *
 * Return: 0, -errno on failure
 */
int log_to_file(const char *path, size_t size)
{
	struct stat st;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	state.fd = fd;
	state.size = size;
	state.used = (size_t)st.st_size;
	tzset();	/* reads a file, which gmtime_r() would do later */
	return 0;
}

/**
 * log_to_syslog() - Use the system logger instead of stderr
 * @ident:	name of the program for the system logger
 *
 * A log file, if there is one, stays in use. The system logger is connected to
 * at once, because /dev/log may be out of reach later.
 */
void log_to_syslog(const char *ident)
{
	state.background = true;
	tzset();	/* as in log_to_file(), for syslog() */
	if (state.fd < 0)
		openlog(ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}
