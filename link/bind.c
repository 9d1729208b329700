// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * bind.c - Binds the UNIX socket at which a front-end connects, and replaces a
 * socket that a passt has left behind.
 */
/* syscalls: start: bind close connect flock newfstatat openat poll socket
 *	     unlink */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "link/bind.h"

/* How many times passt tries to lock the directory in which it replaces a stale
 * socket, and how many ms it waits between two tries. */
#define LOCK_TRIES	100
#define LOCK_STEP_MS	10

/* is_stale() - Whether a path leads to a socket that no process uses any more
 *
 * This function tries to connect a datagram socket. A datagram socket can never
 * connect to a stream socket, so another passt that listens there does not
 * notice the check. But connect() fails with ECONNREFUSED if no process has a
 * socket bound to the path, and with another error if one has. A path that
 * leads to a file other than a socket counts as taken.
 */
static bool is_stale(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct stat st;
	bool stale;

	if (fd < 0)
		return false;
	stale = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) &&
		errno == ECONNREFUSED &&
		!lstat(sa->sun_path, &st) && S_ISSOCK(st.st_mode);
	close(fd);
	return stale;
}

/**
 * lock_parent() - Lock the directory that a path is in
 *
 * Without a lock, another passt could replace a stale socket after this passt
 * has examined it. This passt would then remove the new socket of the other
 * passt. A lock on the directory leaves no file behind. Any user who may read
 * the directory can hold this lock, so passt waits for at most LOCK_TRIES times
 * LOCK_STEP_MS, and then goes on without the lock.
 *
 * Return: descriptor of the directory, whose close() ends the lock; or -1
 */
static int lock_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[sizeof(((struct sockaddr_un *)0)->sun_path)];
	unsigned int i;
	int fd;

	snprintf(parent, sizeof(parent), "%.*s",
		 slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	for (i = 0; i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB); i++) {
		if (errno != EWOULDBLOCK)	/* file system without locks */
			break;
		poll(NULL, 0, LOCK_STEP_MS);
	}
	return fd;
}

/* replace_stale() - Bind a socket to the path of a stale one; 0 or -errno */
static int replace_stale(int fd, const struct sockaddr_un *sa)
{
	int lock = lock_parent(sa->sun_path), rc = 0;

	if (!is_stale(sa) || unlink(sa->sun_path))
		rc = -EADDRINUSE;
	else if (bind(fd, (const struct sockaddr *)sa, sizeof(*sa)))
		rc = -errno;
	if (lock >= 0)
		close(lock);
	return rc;
}

/**
 * link_bind() - Bind a socket at which the front-end will connect
 * @path:	path to bind. A socket there that no process uses any more is
 *		replaced
 *
 * The caller calls listen(), with the rights of the user that started passt:
 * SO_PEERCRED tells the front-end which user has called listen().
 *
 * Return: socket, which is non-blocking; or -errno: -EADDRINUSE if the path
 *	   leads to another kind of file, or to a socket that a process uses
 */
int link_bind(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, rc = 0;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, path);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;

	if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)))
		rc = -errno;
	if (rc == -EADDRINUSE && is_stale(&sa))
		rc = replace_stale(fd, &sa);
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}
