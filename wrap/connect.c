// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * wrap/connect.c - Find passt's socket and connect to it.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "wrap/wrap.h"

#define SOCKET_FORMAT	"/tmp/passt_%u.socket"	/* as passt names them */
#define SOCKET_MAX	64
#define SOCKET_ENV	"PASST_SOCKET"		/* try this one only */

/* For how long a passt that is there, but does not take us, may restart. */
#define RETRY_MS	5000
#define RETRY_STEP_MS	100
/* passt hangs up on a second guest at once: a few passes of its loop. */
#define TURN_AWAY_MS	200

#define EMULATOR_FD	5	/* if free: the number in everyone's examples */

/* What became of an attempt on one socket. */
enum try {
	TRY_OK,
	TRY_ABSENT,	/* no such file */
	TRY_REFUSED,	/* a file, but nobody listens: stale, or restarting */
	TRY_BUSY,	/* passt serves another guest */
	TRY_FAILED,	/* anything else, such as a lack of permission */
};

/**
 * turned_away() - passt accepts a second guest only to hang up on it
 * @s:		connected socket
 *
 * Return: true if the other side has closed the connection
 */
static bool turned_away(int s)
{
	struct pollfd p = { .fd = s, .events = POLLIN };
	char c;

	if (poll(&p, 1, TURN_AWAY_MS) <= 0)
		return false;

	return recv(s, &c, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static enum try try_errno(int err)
{
	switch (err) {
	case ENOENT:
		return TRY_ABSENT;
	case ECONNREFUSED:
		return TRY_REFUSED;
	case EAGAIN:
		return TRY_BUSY;
	default:
		return TRY_FAILED;
	}
}

/**
 * try_socket() - Connect to one path
 * @path:	socket
 * @s:		set to the connection, close-on-exec, if the result is TRY_OK
 *
 * Return: what happened; errno tells more about TRY_FAILED
 */
static enum try try_socket(const char *path, int *s)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	enum try result;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return TRY_FAILED;
	}
	strcpy(sun.sun_path, path);

	*s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*s < 0)
		die("can't open a socket: %s", strerror(errno));

	if (connect(*s, (struct sockaddr *)&sun, sizeof(sun)))
		result = try_errno(errno);
	else
		result = turned_away(*s) ? TRY_BUSY : TRY_OK;

	if (result != TRY_OK) {
		int err = errno;

		close(*s);
		errno = err;
	}
	return result;
}

/**
 * struct attempt - The sockets tried, and what to tell about them
 * @only:	path to try instead of the usual ones, NULL: none
 * @told:	what was there and didn't serve, for the message
 * @seen:	a socket was there: worth trying again
 */
struct attempt {
	const char *only;
	char told[1024];
	bool seen;
};

static void attempt_tell(struct attempt *a, const char *path, const char *why)
{
	size_t len = strlen(a->told);

	snprintf(a->told + len, sizeof(a->told) - len, "%s%s (%s)",
		 len ? ", " : "", path, why);
}

/**
 * attempt_path() - Try one socket, note why it doesn't serve
 * @a:		the attempt
 * @path:	socket
 * @s:		set to the connection on success
 *
 * Return: true on success
 */
static bool attempt_path(struct attempt *a, const char *path, int *s)
{
	switch (try_socket(path, s)) {
	case TRY_OK:
		return true;
	case TRY_ABSENT:
		break;
	case TRY_REFUSED:
		a->seen = true;
		attempt_tell(a, path, "nobody listens");
		break;
	case TRY_BUSY:
		a->seen = true;
		attempt_tell(a, path, "serves another guest");
		break;
	case TRY_FAILED:
		attempt_tell(a, path, strerror(errno));
		break;
	}
	return false;
}

/* attempt_all() - One round over every socket; true when one is connected */
static bool attempt_all(struct attempt *a, int *s)
{
	unsigned int i;

	a->told[0] = 0;
	if (a->only)
		return attempt_path(a, a->only, s);

	for (i = 1; i <= SOCKET_MAX; i++) {
		char path[sizeof(SOCKET_FORMAT) + 8];

		snprintf(path, sizeof(path), SOCKET_FORMAT, i);
		if (attempt_path(a, path, s))
			return true;
	}
	return false;
}

static void attempt_die(const struct attempt *a)
{
	const char *told = a->told[0] ? a->told : "none exists";

	if (a->only)
		die("no passt to connect to at %s=%s: %s; start it with: passt -s %s",
		    SOCKET_ENV, a->only, told, a->only);

	die("no passt to connect to: tried " SOCKET_FORMAT " to " SOCKET_FORMAT
	    ": %s; start it with: passt", 1, SOCKET_MAX, told);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/**
 * passt_connect() - Connect to the first passt that takes us, or exit
 *
 * A passt that restarts leaves its socket's file behind for a moment, takes it
 * away and makes it anew: once a file was seen, keep trying for a while.
 *
 * Return: connected, blocking socket, close-on-exec
 */
int passt_connect(void)
{
	struct attempt a = { .only = getenv(SOCKET_ENV) };
	uint64_t deadline = now_ms() + RETRY_MS;
	int s;

	while (!attempt_all(&a, &s)) {
		if (!a.seen || now_ms() >= deadline)
			attempt_die(&a);
		poll(NULL, 0, RETRY_STEP_MS);
	}

	/* Who inherits it expects what a plain connect() gives. */
	fcntl(s, F_SETFL, fcntl(s, F_GETFL) & ~O_NONBLOCK);
	return s;
}

/**
 * fd_pass() - Make a socket the descriptor that the command will inherit
 * @s:		socket, close-on-exec; closed unless it is @fd itself
 * @fd:		number to give it
 */
void fd_pass(int s, int fd)
{
	if (s == fd) {
		fcntl(fd, F_SETFD, 0);
		return;
	}
	if (dup2(s, fd) < 0)
		die("can't make the socket descriptor %d: %s", fd,
		    strerror(errno));
	close(s);
}

/* fd_pass_free() - Likewise, as EMULATOR_FD or the first free one after it */
int fd_pass_free(int s)
{
	int fd = fcntl(s, F_DUPFD, EMULATOR_FD);

	if (fd < 0)
		die("no free descriptor for the socket: %s", strerror(errno));
	close(s);
	return fd;
}
