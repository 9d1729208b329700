// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * sandbox.c - Gives up what the process does not need: inherited descriptors,
 * the user root, capabilities, and every way to get them back.
 */
/* syscalls: start: capset close close_range fstat getdents64 geteuid getuid
 *	     openat prctl prlimit64 read setgroups setresgid setresuid setuid */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "host/sandbox.h"
#include "util.h"

#ifndef SYS_close_range
#define SYS_close_range		436	/* Linux 5.9, the same everywhere */
#endif

/* close_listed() - Close all in /proc/self/fd above stderr, except @keep */
static void close_listed(int keep)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (fd > STDERR_FILENO && fd != keep && fd != dirfd(dir))
			close(fd);
	}
	closedir(dir);
}

/**
 * sandbox_close_fds() - Close inherited descriptors above stderr
 * @keep:	descriptor to keep, -1: none
 *
 * Standard descriptors that are not open are opened on /dev/null, so that no
 * socket gets their numbers.
 */
void sandbox_close_fds(int keep)
{
	unsigned int first = STDERR_FILENO + 1, last = first;
	int null;

	if (keep > STDERR_FILENO) {
		last = (unsigned int)keep + 1;
		if ((unsigned int)keep > first)
			syscall(SYS_close_range, first, keep - 1, 0);
	}
	if (syscall(SYS_close_range, last, UINT_MAX, 0))
		close_listed(keep);

	do
		null = open("/dev/null", O_RDWR);
	while (null >= 0 && null <= STDERR_FILENO);
	if (null >= 0)
		close(null);
}

/*
 * id_mapped() - Whether our user namespace has user or group @id, by its map
 * (/proc/self/uid_map or gid_map); true if there is no map
 */
static bool id_mapped(const char *path, unsigned int id)
{
	unsigned int inside, outside, count;
	FILE *map = fopen(path, "re");
	bool found = false;

	if (!map)
		return true;
	while (fscanf(map, "%u %u %u", &inside, &outside, &count) == 3) {
		if (id >= inside && id - inside < count)
			found = true;
	}
	fclose(map);
	return found;
}

/* sandbox_failed() - Log which step failed, and errno; returns -errno */
static int sandbox_failed(const char *what)
{
	int ret = -errno;

	err("%s: %s", what, strerror(-ret));
	return ret;
}

/**
 * drop_bounding() - Clear the bounding set, capabilities(7)
 *
 * This needs CAP_SETPCAP: it works for root, before it changes its user. For
 * all others PR_SET_NO_NEW_PRIVS has the same effect.
 */
static void drop_bounding(void)
{
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

/**
 * sandbox_drop_root() - Change from root to a user without privilege
 * @uid:	user
 * @gid:	its only group
 *
 * A user namespace in which only root exists has no such user: passt then
 * remains root, which is an ordinary user outside of the namespace.
 *
 * Return: 0, also if we are not root; -errno on failure, which was logged
 */
int sandbox_drop_root(uid_t uid, gid_t gid)
{
	if (geteuid())
		return 0;
	drop_bounding();
	if (!id_mapped("/proc/self/uid_map", uid) ||
	    !id_mapped("/proc/self/gid_map", gid)) {
		info("This user namespace has no user %u: going on as its root",
		     uid);
		return 0;
	}

	if (setgroups(0, NULL) && errno != EPERM)
		return sandbox_failed("Can't leave the groups of root");
	if (setresgid(gid, gid, gid))
		return sandbox_failed("Can't change the group");
	if (setresuid(uid, uid, uid))
		return sandbox_failed("Can't change the user");
	if (uid && (getuid() != uid || geteuid() != uid || !setuid(0))) {
		errno = EPERM;
		return sandbox_failed("Still root after changing the user");
	}
	return 0;
}

/* drop_capabilities() - Clear all sets of capabilities; 0 or -errno */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	drop_bounding();
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &hdr, none) ? -errno : 0;
}

/**
 * sandbox_lock() - Drop all capabilities, and rule out new ones
 *
 * The process becomes undumpable, too: no core file with the guest's data, and
 * no ptrace() by other processes of the same user.
 *
 * Return: 0, -errno on failure, which was logged
 */
int sandbox_lock(void)
{
	int ret;

	ret = drop_capabilities();
	if (ret) {
		err("Can't drop capabilities: %s", strerror(-ret));
		return ret;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return sandbox_failed("Can't rule out new privileges");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return sandbox_failed("Can't become undumpable");
	return 0;
}

/**
 * sandbox_raise_nofile() - Raise the limit of open descriptors to the maximum
 *
 * Return: the limit
 */
unsigned int sandbox_raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 1024;	/* INR_OPEN_CUR of linux/fs.h */

	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	return (unsigned int)MIN(limit.rlim_cur, (rlim_t)INT_MAX);
}
