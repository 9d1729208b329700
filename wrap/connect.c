// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * wrap/connect.c - Finds passt's socket, connects to it, and lets the command
 * inherit the connected socket as the descriptor number that the command
 * expects.
 */
/* syscalls: clock_gettime close connect dup2 fcntl geteuid getsockopt poll
 *	     recvfrom socket */

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

#define SOCKET_FORMAT	"/tmp/passt_%u.socket"	/* paths of passt's sockets */
#define SOCKET_MAX	64	/* the highest number in SOCKET_FORMAT */
#define SOCKET_ENV	"PASST_SOCKET"		/* path to try alone */

/* RETRY_MS: how long passt may take to restart, ms. RETRY_STEP_MS: time between
 * two attempts, ms. */
#define RETRY_MS	5000
#define RETRY_STEP_MS	100
/* If passt serves another guest, it closes a new connection. qrap waits this
 * long for that to happen, ms. */
#define HANG_UP_MS	200

#define EMULATOR_FD	5	/* lowest descriptor number for the emulator */

/* Result of trying one socket. */
enum try_result {
	TRY_OK,
	TRY_ABSENT,	/* the file does not exist */
	TRY_REFUSED,	/* no program listens: it has ended, or is restarting */
	TRY_BUSY,	/* passt serves another guest */
	TRY_FOREIGN,	/* another user listens */
	TRY_FAILED,	/* any other error, such as no permission */
};

/* passt_hung_up() - Whether passt has closed the connection. passt accepts the
 * connection of a second guest, and closes it at once. */
static bool passt_hung_up(int s)
{
	struct pollfd p = { .fd = s, .events = POLLIN };
	char c;

	if (poll(&p, 1, HANG_UP_MS) <= 0)
		return false;

	return recv(s, &c, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* is_trusted() - Whether our own user or root listens at a socket. Anyone else
 * could also create a socket in /tmp, and would then get the guest's frames. */
static bool is_trusted(int s)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return !getsockopt(s, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
	       (!peer.uid || peer.uid == geteuid());
}

static enum try_result result_of_errno(int err)
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

/*
 * try_socket() - Connect to the socket at one path. For TRY_OK, @s is set to
 * the connected socket, close-on-exec. For TRY_FAILED, errno is set. With
 * @anyone, any user may listen there.
 */
static enum try_result try_socket(const char *path, bool anyone, int *s)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	enum try_result result;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return TRY_FAILED;
	}
	strcpy(sun.sun_path, path);

	*s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*s < 0)
		qrap_die("can't open a socket: %s", strerror(errno));

	if (connect(*s, (struct sockaddr *)&sun, sizeof(sun)))
		result = result_of_errno(errno);
	else if (!anyone && !is_trusted(*s))
		result = TRY_FOREIGN;
	else
		result = passt_hung_up(*s) ? TRY_BUSY : TRY_OK;

	if (result != TRY_OK) {
		int err = errno;

		close(*s);
		errno = err;
	}
	return result;
}

/**
 * struct attempt - An attempt to connect to each of passt's sockets in turn
 * @only:	path of the only socket to try; NULL: try the usual paths
 * @reasons:	for the error message: each socket that exists, and why it can't
 *		be used
 * @retry:	a socket exists that may be usable later
 */
struct attempt {
	const char *only;
	char reasons[1024];
	bool retry;
};

static void attempt_note(struct attempt *a, const char *path, const char *why)
{
	size_t len = strlen(a->reasons);

	snprintf(a->reasons + len, sizeof(a->reasons) - len, "%s%s (%s)",
		 len ? ", " : "", path, why);
}

/* attempt_path() - Try the socket at one path, and set @s to the connected
 * socket. Returns false if the socket can't be used; if it exists, @a then has
 * the reason */
static bool attempt_path(struct attempt *a, const char *path, int *s)
{
	switch (try_socket(path, a->only, s)) {
	case TRY_OK:
		return true;
	case TRY_ABSENT:
		break;
	case TRY_REFUSED:
		a->retry = true;
		attempt_note(a, path, "nobody listens");
		break;
	case TRY_BUSY:
		a->retry = true;
		attempt_note(a, path, "serves another guest");
		break;
	case TRY_FOREIGN:
		attempt_note(a, path, "of another user: if you trust it, give its path in " SOCKET_ENV);
		break;
	case TRY_FAILED:
		attempt_note(a, path, strerror(errno));
		break;
	}
	return false;
}

/* attempt_all() - Try the sockets in turn until one is connected, and set @s to
 * the connected socket; returns false if none can be used */
static bool attempt_all(struct attempt *a, int *s)
{
	unsigned int i;

	a->reasons[0] = 0;
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
	const char *reasons = a->reasons[0] ? a->reasons : "none exists";

	if (a->only)
		qrap_die("no passt to connect to at %s=%s: %s; start it with: passt -s %s",
			 SOCKET_ENV, a->only, reasons, a->only);

	qrap_die("no passt to connect to: tried " SOCKET_FORMAT " to "
		 SOCKET_FORMAT ": %s; start it with: passt",
		 1, SOCKET_MAX, reasons);
}

static uint64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/**
 * passt_connect() - Connect to the first passt that has no guest, or exit
 *
 * While passt restarts, its socket first refuses connections, and then does not
 * exist for a moment. So if a socket was found that may be usable later, all
 * sockets are tried again and again, until RETRY_MS after the first attempt.
 *
 * Return: connected socket, blocking and close-on-exec
 */
int passt_connect(void)
{
	struct attempt a = { .only = getenv(SOCKET_ENV) };
	uint64_t deadline = monotonic_ms() + RETRY_MS;
	int s;

	while (!attempt_all(&a, &s)) {
		if (!a.retry || monotonic_ms() >= deadline)
			attempt_die(&a);
		poll(NULL, 0, RETRY_STEP_MS);
	}

	/* The program that inherits the socket expects it to be blocking. */
	fcntl(s, F_SETFL, fcntl(s, F_GETFL) & ~O_NONBLOCK);
	return s;
}

/**
 * socket_pass_as() - Let the command inherit a socket as descriptor @fd
 * @s:		socket, close-on-exec; this descriptor is closed unless it is
 *		@fd
 * @fd:		descriptor number for the socket; a file that has this number is
 *		closed first
 */
void socket_pass_as(int s, int fd)
{
	if (s == fd) {
		fcntl(fd, F_SETFD, 0);
		return;
	}
	if (dup2(s, fd) < 0)
		qrap_die("can't make the socket descriptor %d: %s", fd,
			 strerror(errno));
	close(s);
}

/**
 * socket_pass_free() - Let the command inherit a socket as a free descriptor
 * @s:		socket, close-on-exec; this descriptor is closed
 *
 * Return: descriptor that the command inherits: the first free number from
 *	   EMULATOR_FD on
 */
int socket_pass_free(int s)
{
	int fd = fcntl(s, F_DUPFD, EMULATOR_FD);

	if (fd < 0)
		qrap_die("no free descriptor for the socket: %s", strerror(errno));
	close(s);
	return fd;
}
