// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * bind.c - Tests of binding the UNIX socket at which a front-end connects: what
 * is replaced, what is not, and who may connect.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Wait between the check for a stale socket and its removal, so that other
 * processes run in between. */
#define unlink(path)	(poll(NULL, 0, 1), unlink(path))

#include "../../link/bind.c"

#undef unlink
#include "test/unit/unit.h"

#define STARTERS	24
#define ROUNDS		10

/* starter() - Run in a child process: when the pipe @start is closed, bind a
 * socket to @path, write to @said whether that succeeded (1 or 0), and keep the
 * socket until the pipe @end is closed */
static void starter(const char *path, int start, int said, int end)
{
	char c;
	int fd;

	if (read(start, &c, 1))
		_exit(1);
	fd = link_bind(path);
	c = fd >= 0 && !listen(fd, 1);
	if (write(said, &c, 1) != 1 || read(end, &c, 1))
		_exit(1);
	_exit(0);
}

/* race() - Let many processes bind sockets to a path at once; returns how many
 * succeeded, plus 100 if a client can't connect to the path */
static int race(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int start[2], said[2], end[2], i, bound = 0;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char c;

	if (pipe(start) || pipe(said) || pipe(end))
		return -1;
	for (i = 0; i < STARTERS; i++) {
		if (fork())
			continue;
		close(start[1]);
		close(end[1]);
		starter(path, start[0], said[1], end[0]);
	}
	close(start[1]);
	for (i = 0; i < STARTERS && read(said[0], &c, 1) == 1; i++)
		bound += c;
	strcpy(sa.sun_path, path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		bound += 100;
	close(end[1]);
	for (i = 0; i < STARTERS; i++)
		wait(NULL);
	close(start[0]);
	close(said[0]);
	close(said[1]);
	close(end[0]);
	close(fd);
	return bound;
}

/* Given a stale socket, when many processes start at once, then one of them
 * replaces it, and no other process removes the new socket. */
static void story_race(void)
{
	char path[] = "/tmp/passt-bind-XXXXXX";
	int round, wrong = 0, fd;

	close(mkstemp(path));
	check_eq("a file is not replaced", link_bind(path), -EADDRINUSE);
	unlink(path);
	fd = link_bind(path);
	check("a free path is bound", fd >= 0);
	check_eq("a path with a bound socket is taken, even before it listens",
		 link_bind(path), -EADDRINUSE);
	close(fd);
	for (round = 0; round < ROUNDS; round++)
		wrong += race(path) != 1;
	check_eq("of many that start over a stale socket, one gets it", wrong,
		 0);
	unlink(path);
}

/* Given another process that never releases its lock on the socket's directory,
 * then passt binds its socket nevertheless. */
static void story_locked(void)
{
	char dir[] = "/tmp/passt-bind-XXXXXX", path[64];
	int lock, fd;

	if (!mkdtemp(dir))
		fail("directory", "%s", strerror(errno));
	snprintf(path, sizeof(path), "%s/socket", dir);
	close(link_bind(path));
	lock = open(dir, O_RDONLY);
	flock(lock, LOCK_EX);
	fd = link_bind(path);
	check("passt starts although another process keeps the directory locked",
	      fd >= 0);
	close(fd);
	close(lock);
	unlink(path);
	rmdir(dir);
}

/* Given a umask, then it determines the mode of the socket, and so who may
 * connect. */
static void story_mode(void)
{
	char path[] = "/tmp/passt-bind-XXXXXX";
	struct stat st = { 0 };
	mode_t mask = umask(007);
	int fd;

	close(mkstemp(path));
	unlink(path);
	fd = link_bind(path);
	lstat(path, &st);
	check_eq("the mode of the socket is that of umask", st.st_mode & 0777,
		 0770);
	umask(mask);
	close(fd);
	unlink(path);
}

int main(void)
{
	story_race();
	story_locked();
	story_mode();
	return unit_end();
}
