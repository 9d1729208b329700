// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * log.c - Messages to stderr, the system logger or a file of bounded size.
 *
 * On stderr, warnings and errors begin with the program's name, because stderr
 * may also show messages of other programs. Each message is one line, even if
 * it contains text from a guest, and is written by one call.
 *
 * passt does not wait until a message is read: otherwise the guest's traffic
 * would wait, too, and SIGTERM would not end passt. A line that stderr or the
 * system logger does not take at once is lost. The next line that is taken says
 * how many lines were lost.
 */
/* syscalls: start: close fstat lseek openat read socket; run: clock_gettime
 *	     connect sendmsg write; logfile: ftruncate pread64 pwrite64;
 *	     stderr: fcntl */
#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#define LOG_LINE	1024	/* longest message, bytes */
#define STAMP_STRLEN	sizeof("2026-11-29T23:59:59.999Z")

/**
 * struct log - Where messages go
 * @level:	least urgent priority that is logged
 * @started:	passt has started. If there is a log file, stderr then gets only
 *		warnings and errors
 * @ident:	name for the system logger; NULL: the program is not a daemon,
 *		and messages go to stderr
 * @fd:		log file, -1: none
 * @size:	maximum length of the log file, bytes
 * @used:	length of the log file, bytes
 * @err_fd:	stderr; or a second, non-blocking descriptor of the same file
 * @shared:	stderr is a pipe or a terminal, and could not be opened a second
 *		time
 * @socket:	stderr is a socket
 * @pid:	our process ID as other processes see it, for the system logger
 * @sys_fd:	socket to the system logger, -1: none
 * @lost:	number of lines that were lost since the last one that stderr or
 *		the system logger took
 * @suppressed:	number of suppressed messages that the next message reports
 */
static struct log {
	int level;
	bool started;
	const char *ident;
	int fd;
	size_t size, used;
	int err_fd, sys_fd;
	bool shared, socket;
	int pid;
	uint32_t lost, suppressed;
} state = {
	.level = LOG_INFO, .fd = -1, .err_fd = STDERR_FILENO, .sys_fd = -1,
};

/* trim_file() - Remove the oldest lines of the log file, so that half of its
 * maximum length is left. The file is changed in place, because the sandbox may
 * not let passt open another file at the path */
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

/* put_stamp() - Format the time (UTC) */
static const char *put_stamp(char buf[STAMP_STRLEN])
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(buf, STAMP_STRLEN, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, STAMP_STRLEN - n, ".%03uZ",
		 (unsigned int)(now.tv_nsec / 1000000) % 1000);
	return buf;
}

/* write_file() - Append a line with time, priority and message to the log file.
 * Errors are ignored, because the log is the only place to report them */
static void write_file(int prio, const char *msg)
{
	char line[LOG_LINE + 64], stamp[STAMP_STRLEN];
	ssize_t n;
	int len;

	len = snprintf(line, sizeof(line), "%s %s: %s\n", put_stamp(stamp),
		       get_prio_name(prio), msg);

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

/* write_shared() - Write a line to stderr without waiting, although other
 * programs share the flags of the file: it is made non-blocking for this call
 * only */
static ssize_t write_shared(const char *line, size_t len)
{
	int flags = fcntl(state.err_fd, F_GETFL);
	ssize_t n;

	if (flags >= 0)
		fcntl(state.err_fd, F_SETFL, flags | O_NONBLOCK);
	n = write(state.err_fd, line, len);
	if (flags >= 0)
		fcntl(state.err_fd, F_SETFL, flags);
	return n;
}

/* write_at_once() - Write a line to stderr without waiting */
static ssize_t write_at_once(const char *line, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)line, len };
	const struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (state.socket)
		return sendmsg(state.err_fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (state.shared)
		return write_shared(line, len);
	return write(state.err_fd, line, len);
}

/* write_stderr() - Write a line to stderr, with the time if --debug is given;
 * returns false if stderr does not take the line now */
static bool write_stderr(int prio, const char *msg)
{
	char line[LOG_LINE + 64], stamp[STAMP_STRLEN] = "";
	bool timed = log_enabled(LOG_DEBUG);
	int len;

	len = snprintf(line, sizeof(line), "%s%s%s%s\n",
		       timed ? put_stamp(stamp) : "", timed ? " " : "",
		       prio <= LOG_WARNING ? "passt: " : "", msg);
	return write_at_once(line, (size_t)len) == len;
}

/* connect_syslog() - Connect to the system logger, for the first time or after
 * it was restarted. From the sandbox, it can't be reached a second time */
static bool connect_syslog(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	strcpy(sa.sun_path, _PATH_LOG);
	return state.sys_fd >= 0 &&
	       !connect(state.sys_fd, (struct sockaddr *)&sa, sizeof(sa));
}

/* write_syslog() - Send a message to the system logger, in the format of
 * syslog(3). passt can't call syslog(3), because it would wait. Returns false
 * if the system logger does not take the message now */
static bool write_syslog(int prio, const char *msg)
{
	char line[LOG_LINE + 128], date[sizeof("Nov 29 23:59:59")];
	struct timespec now;
	struct tm tm;
	int len;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	strftime(date, sizeof(date), "%b %e %H:%M:%S", &tm);
	len = snprintf(line, sizeof(line), "<%d>%s %s[%d]: %s",
		       LOG_DAEMON | MIN(prio, LOG_DEBUG), date, state.ident,
		       state.pid, msg);
	if (write(state.sys_fd, line, (size_t)len) == len)
		return true;
	return errno != EAGAIN && connect_syslog() &&
	       write(state.sys_fd, line, (size_t)len) == len;
}

/* write_line() - Write a line to stderr or the system logger; returns false if
 * the line was not taken */
static bool write_line(int prio, const char *msg)
{
	return state.ident ? write_syslog(prio, msg) : write_stderr(prio, msg);
}

/* show_line() - Write a line to stderr or the system logger, or count it as
 * lost. If lines were lost before, first write a line that says how many */
static void show_line(int prio, const char *msg)
{
	char line[64];

	if (state.lost) {
		snprintf(line, sizeof(line),
			 "%u messages were lost: nobody read them", state.lost);
		if (write_line(LOG_WARNING, line))
			state.lost = 0;
	}
	if (state.lost || !write_line(prio, msg))
		state.lost++;
}

/* shown_too() - Whether stderr also gets a message that goes to the log file */
static bool shown_too(int prio)
{
	return !state.ident && (!state.started || prio <= LOG_WARNING ||
				log_enabled(LOG_DEBUG));
}

/**
 * log_msg() - Log one message
 * @prio:	LOG_ERR to LOG_DEBUG of syslog(3), or LOG_TRACE
 * @fmt:	printf() format without newline
 *
 * This function does not change errno. If there is a log file, and the program
 * is not a daemon, some messages also go to stderr: all messages before
 * log_started() is called, or with --debug; otherwise warnings and errors only.
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
	if (state.fd < 0 || shown_too(prio))
		show_line(prio, msg);
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
 * log_own_stderr() - If stderr is a pipe or a terminal, open it a second time,
 *		non-blocking
 *
 * O_NONBLOCK is a flag of the open file, which stderr shares with other
 * programs that do not expect the flag. A file of another user can't be opened
 * a second time.
 */
void log_own_stderr(void)
{
	struct stat st;
	int fd;

	if (fstat(STDERR_FILENO, &st))
		return;
	state.socket = S_ISSOCK(st.st_mode);
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	fd = open("/proc/self/fd/2",
		  O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		state.err_fd = fd;
	state.shared = fd < 0;
}

/**
 * log_to_file() - Append all messages to a file from now on
 * @fd:		file, open for reading and writing; the log owns it afterwards
 * @size:	maximum length of the file, bytes, at least LOG_FILE_MIN. When
 *		the file would become longer, its oldest lines are removed
 *
 * Return: 0 on success; -EINVAL if @fd is not a regular file; this function has
 *	   then closed it
 */
int log_to_file(int fd, size_t size)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	state.fd = fd;
	state.size = size;
	state.used = (size_t)st.st_size;
	/* tzset() reads the time zone file now. gmtime_r() would otherwise read
	 * it later, in the sandbox. */
	tzset();
	return 0;
}

/* log_started() - Note that the program has started; see log_msg() */
void log_started(void)
{
	state.started = true;
}

/* log_shares_stderr() - Whether log_own_stderr() failed, so that the flags of
 * stderr have to be changed for each message */
bool log_shares_stderr(void)
{
	return state.shared;
}

/**
 * log_open_syslog() - Connect to the system logger, which the sandbox keeps
 *		passt from reaching later
 *
 * If there is a log file, messages go to the log file and not to the system
 * logger.
 */
void log_open_syslog(void)
{
	/* tzset() reads the time zone file now, because localtime_r() can't
	 * read it later. */
	tzset();
	if (state.fd >= 0)
		return;
	state.sys_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC |
			      SOCK_NONBLOCK, 0);
	connect_syslog();
}

/**
 * log_to_syslog() - From now on, use the system logger instead of stderr
 * @ident:	name of the program for the system logger
 * @pid:	our process ID, as other processes see it
 */
void log_to_syslog(const char *ident, int pid)
{
	state.ident = ident;
	state.pid = pid;
	if (state.err_fd != STDERR_FILENO)
		close(state.err_fd);
	state.err_fd = STDERR_FILENO;
}
