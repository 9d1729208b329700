// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * rights.c - Uses paths with the rights of the user that passt becomes. If
 * passt used root's rights, that user could trick it into writing to any file,
 * with a symbolic link in a directory that the user owns. If the user has no
 * right to a path, passt uses root's rights after all, but only if nobody but
 * root can change where the path leads.
 */
/* syscalls: start: close fchdir fstat geteuid openat readlinkat
 *	     setgroups setresgid setresuid */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/rights.h"
#include "host/process.h"
#include "util.h"

#define LINKS_MAX	40	/* as MAXSYMLINKS in linux/namei.h */
#define DIR_FLAGS	(O_PATH | O_DIRECTORY | O_CLOEXEC)

static int walk_path(int dir, const char *path, unsigned int links);

/* only_root_changes() - Whether only root can change the entries of a
 * directory. If an access control list lets others change them, the mode's bits
 * for the group show that */
static bool only_root_changes(int dir)
{
	struct stat st;

	return !fstat(dir, &st) && !st.st_uid &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/* walk_step() - Enter the directory @name in @dir, and close @dir. If @name is
 * a symbolic link, walk_path() follows it. Returns the directory or -errno */
static int walk_step(int dir, const char *name, unsigned int links)
{
	char target[PATH_MAX];
	int next = -EACCES;
	ssize_t n;

	if (only_root_changes(dir)) {
		n = readlinkat(dir, name, target, sizeof(target) - 1);
		if (n >= 0) {
			target[n] = '\0';
			return walk_path(dir, target, links + 1);
		}
		next = openat(dir, name, DIR_FLAGS | O_NOFOLLOW);
		if (next < 0)
			next = -errno;
	}
	close(dir);
	return next;
}

/**
 * walk_path() - Enter the directory at a path, if only root can change where
 * each step of the path leads
 * @dir:	directory to start from, O_PATH; this function closes it
 * @links:	number of links followed so far
 *
 * Return: directory, O_PATH; or -errno: -EACCES if a user other than root can
 *	   change a step
 */
static int walk_path(int dir, const char *path, unsigned int links)
{
	char name[NAME_MAX + 1];
	size_t len;

	if (*path == '/') {
		close(dir);
		dir = open("/", DIR_FLAGS);
	}
	if (links > LINKS_MAX) {
		close(dir);
		return -ELOOP;
	}
	while (dir >= 0 && *(path += strspn(path, "/"))) {
		len = strcspn(path, "/");
		if (len > NAME_MAX) {
			close(dir);
			return -ENAMETOOLONG;
		}
		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		dir = walk_step(dir, name, links);
		path += len;
	}
	return dir;
}

/* open_parent() - Open the directory that contains the last part of a path;
 * -EACCES if a user other than root can change where the path leads */
static int open_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];
	int dir;

	if (strlen(path) >= sizeof(parent))
		return -ENAMETOOLONG;
	snprintf(parent, sizeof(parent), "%.*s",
		 slash ? (int)(slash - path + 1) : 0, path);
	dir = open(".", DIR_FLAGS);
	if (dir < 0)
		return -errno;
	dir = walk_path(dir, parent, 0);
	if (dir >= 0 && !only_root_changes(dir)) {
		close(dir);
		return -EACCES;
	}
	return dir;
}

/* use_as_root() - Call @use with root's rights, in the directory that contains
 * the last part of @path, if only root can change where @path leads */
static int use_as_root(const char *path, path_use use, void *arg)
{
	const char *slash = strrchr(path, '/');
	int back = open(".", DIR_FLAGS), dir, rc;

	if (back < 0)
		return -errno;
	dir = open_parent(path);
	rc = dir < 0 ? dir : fchdir(dir) ? -errno : 0;
	if (!rc)
		rc = use(arg, slash ? slash + 1 : path, true);
	if (dir >= 0)
		close(dir);
	if (fchdir(back) && rc >= 0)
		rc = -errno;
	close(back);
	return rc;
}

/* set_rights() - Change the effective user and group. If @uid is not root, also
 * give up the supplementary groups that the process has from root. Returns 0 or
 * -errno */
static int set_rights(uid_t uid, gid_t gid)
{
	if (uid && setgroups(0, NULL) && errno != EPERM)
		return -errno;
	if (uid && setresgid(-1, gid, -1))
		return -errno;
	if (setresuid(-1, uid, -1))
		return -errno;
	return !uid && setresgid(-1, gid, -1) ? -errno : 0;
}

/**
 * rights_use() - Use a path with the rights of the user that passt becomes
 * @uid, @gid:	user and group that process_drop_root() is going to change to
 * @path:	path
 * @use:	function that uses the path. If @use returns -EACCES with the
 *		user's rights, and only root can change where the path leads,
 *		rights_use() calls @use again as root
 * @arg:	first argument of @use
 *
 * If the process is not root, or after process_drop_root(), this function only
 * calls @use.
 *
 * Return: what @use returns; or -errno
 */
int rights_use(uid_t uid, gid_t gid, const char *path, path_use use, void *arg)
{
	int rc, back;

	if (geteuid() || !uid || !process_can_become(uid, gid))
		return use(arg, path, false);

	rc = set_rights(uid, gid);
	if (!rc)
		rc = use(arg, path, false);
	back = set_rights(0, 0);
	if (back)
		return back;
	return rc == -EACCES ? use_as_root(path, use, arg) : rc;
}

/* How to open a file: the arguments of open(2) after the path. */
struct how {
	int flags;
	mode_t mode;
};

static int open_path(void *arg, const char *path, bool as_root)
{
	const struct how *how = arg;
	int fd = open(path, how->flags | (as_root ? O_NOFOLLOW : 0), how->mode);

	return fd < 0 ? -errno : fd;
}

/**
 * rights_open() - Open a file with the rights of the user that passt becomes
 * @uid, @gid:	user and group that process_drop_root() is going to change to
 * @path:	path
 * @flags:	flags of open(2)
 * @mode:	permissions of a new file, before umask
 *
 * Return: descriptor, close-on-exec and non-blocking, so that no pipe and no
 *	   terminal can block passt; or -errno
 */
int rights_open(uid_t uid, gid_t gid, const char *path, int flags,
		mode_t mode)
{
	struct how how = {
		.flags = flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.mode = mode,
	};

	return rights_use(uid, gid, path, open_path, &how);
}
