// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * log.c - Messages to stderr, the system logger or a file of bounded size.
 *
 * On stderr, warnings and errors begin with the program's name, because stderr
 * may also show messages of other programs. Each message is one line, even if
 * it contains text from a guest, and is written by one write().
 */
/* syscalls: start: fstat lseek openat read; run: clock_gettime close connect
 *	     ftruncate getpid pread64 pwrite64 sendto socket write */
/* At run time, only syslog() makes the calls socket() and connect(). If its
 * send() fails, because the system logger was restarted, syslog() closes its
 * socket and connects to /dev/log again. */
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
 * @background:	the program is a daemon: messages go to the system logger, not
 *		to stderr
 * @fd:		log file, -1: none
 * @size:	maximum length of the log file, bytes
 * @used:	length of the log file, bytes
 * @suppressed:	number of suppressed messages that the next message reports
 */
static struct log {
	int level;
	bool background;
	int fd;
	size_t size, used;
	uint32_t suppressed;
} state = { .level = LOG_INFO, .fd = -1 };

/* trim_file() - Shorten the log file to half of its maximum length, by dropping
 * the oldest lines. The file is changed in place, because the sandbox may not
 * let passt open another file at the path */
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

/* write_file() - Append a line with time (UTC), priority and message to the log
 * file. Errors are ignored, because the log is the only place to report them */
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
 * log_one_line() - Replace all control characters in a string by '?'
 * @s:		string, changed in place
 *
 * A newline from a guest could forge a log line, and other control characters
 * could control the terminal that shows the log.
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
	(void)n;	/* an error can't be reported anywhere */
}

/**
 * log_msg() - Log one message
 * @prio:	LOG_ERR to LOG_DEBUG of syslog(3), or LOG_TRACE
 * @fmt:	printf() format without newline
 *
 * This function does not change errno. While the program is in the foreground,
 * warnings and errors go to stderr even if there is a log file.
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
 * @l:		rate limit of the place in the code that logs the message
 *
 * Return: true if the message may be logged now. The caller then calls
 *	   log_msg(), which adds the number of suppressed messages
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
 * @prio:	least urgent priority that is logged; LOG_INFO until this
 *		function is called
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
 * @path:	path of the file
 * @size:	maximum length of the file, bytes, at least LOG_FILE_MIN. The
 *		oldest lines are dropped when the file would become longer
 *
 * Return: 0 on success; -EINVAL if @path is not a regular file; -errno if it
 *	   can't be opened
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
	/* tzset() reads the time zone file now. Otherwise gmtime_r() would read
	 * it later, in the sandbox. */
	tzset();
	return 0;
}

/**
 * log_to_syslog() - Use the system logger instead of stderr
 * @ident:	name of the program for the system logger
 *
 * If there is a log file, messages go to the log file and not to the system
 * logger. Otherwise this function connects to the system logger at once,
 * because the sandbox may keep passt from reaching /dev/log later.
 */
void log_to_syslog(const char *ident)
{
	state.background = true;
	/* syslog() needs the time zone file, and can't read it later. */
	tzset();
	if (state.fd < 0)
		openlog(ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}
