/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * log.h - Messages to stderr, the system logger or a file. The state of the log
 * is global, because every function must be able to log.
 *
 * LOG_LIMITED() logs the messages that a guest or a peer can cause. Only two
 * kinds of these have no limit: the line for each packet (--trace), and the
 * line for each new phase of a TCP connection (--debug). Each place in the code
 * that uses LOG_LIMITED() may log its first LOG_BURST lines at any rate. After
 * that it logs at most one line in LOG_INTERVAL ms, which also says how many
 * lines were suppressed.
 */
#ifndef LOG_H
#define LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#define LOG_TRACE	(LOG_DEBUG + 1)	/* priority: a line for each packet */
#define LOG_BURST	5
#define LOG_INTERVAL	10000	/* ms */
/* Maximum length of the log file, bytes: the default, and the least value that
 * the user can choose. */
#define LOG_FILE_SIZE	(1024 * 1024)
#define LOG_FILE_MIN	4096

struct log_limit {
	uint64_t next;		/* ms: when the next line is allowed */
	uint32_t burst, suppressed;
};

void log_msg(int prio, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
bool log_allowed(struct log_limit *l);
void log_set_level(int prio);
void log_own_stderr(void);
int log_to_file(int fd, size_t size);
void log_started(void);
bool log_shares_stderr(void);
void log_open_syslog(void);
void log_to_syslog(const char *ident, int pid);
bool log_enabled(int prio);
void log_one_line(char *s);

#define err(...)	log_msg(LOG_ERR, __VA_ARGS__)
#define warn(...)	log_msg(LOG_WARNING, __VA_ARGS__)
#define info(...)	log_msg(LOG_INFO, __VA_ARGS__)
#define debug(...)							\
	do {								\
		if (log_enabled(LOG_DEBUG))				\
			log_msg(LOG_DEBUG, __VA_ARGS__);		\
	} while (0)

#define LOG_LIMITED(prio, ...)						\
	do {								\
		static struct log_limit limit_;				\
									\
		if (log_enabled(prio) && log_allowed(&limit_))		\
			log_msg(prio, __VA_ARGS__);			\
	} while (0)

#endif /* LOG_H */
