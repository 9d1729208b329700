// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * process.c - Gives up what the process does not need: inherited descriptors,
 * the user root and capabilities. Afterwards the process can't get them back.
 */
/* syscalls: start: capset close close_range fstat getdents64 getresgid
 *	     getresuid openat prctl prlimit64 read setgroups setresgid setresuid
 *	     setuid */
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
#include "host/process.h"
#include "util.h"

#ifndef SYS_close_range
#define SYS_close_range		436	/* on all architectures */
#endif

/* close_listed() - Close all descriptors that /proc/self/fd lists, except @keep
 * and standard descriptors */
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
 * process_close_fds() - Close inherited descriptors above stderr
 * @keep:	descriptor to keep, -1: none
 *
 * A standard descriptor that is closed is opened on /dev/null: if it stayed
 * closed, a socket could get its number, and messages would go to this socket.
 */
void process_close_fds(int keep)
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
 * id_mapped() - Whether our user namespace has the user or group @id. @path is
 * /proc/self/uid_map or /proc/self/gid_map. Also true if that file can't be
 * opened.
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

/* process_can_become() - Whether user ID @uid and group ID @gid exist in our
 * user namespace, that is, whether both are mapped */
bool process_can_become(uid_t uid, gid_t gid)
{
	return id_mapped("/proc/self/uid_map", uid) &&
	       id_mapped("/proc/self/gid_map", gid);
}

/* process_in_namespace() - Whether the process is in a user namespace other
 * than the first. Only the first namespace has all user IDs
 * (user_namespaces(7)). Root of another namespace is an ordinary user outside
 * of it */
bool process_in_namespace(void)
{
	return !process_can_become(UINT32_MAX - 1, 0);
}

/* process_is_root() - Whether one of the process's three user IDs is root. The
 * process could make any of the three its effective user ID */
bool process_is_root(void)
{
	uid_t real, effective, saved;

	return getresuid(&real, &effective, &saved) || !real || !effective ||
	       !saved;
}

/* process_failed() - Log which step failed, with errno; returns -errno */
static int process_failed(const char *what)
{
	int ret = -errno;

	err("%s: %s", what, strerror(-ret));
	return ret;
}

/**
 * drop_bounding() - Clear the capability bounding set, capabilities(7)
 *
 * This needs CAP_SETPCAP, which a process of root has until it changes its
 * user. In a process without CAP_SETPCAP the set does not change, but
 * PR_SET_NO_NEW_PRIVS, which is set later, has the same effect.
 */
static void drop_bounding(void)
{
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

/* has_become() - Whether all user and group IDs of the process are @uid and
 * @gid, and it can't become root again */
static bool has_become(uid_t uid, gid_t gid)
{
	uid_t u[3];
	gid_t g[3];
	int i;

	if (getresuid(&u[0], &u[1], &u[2]) || getresgid(&g[0], &g[1], &g[2]))
		return false;
	for (i = 0; i < 3; i++) {
		if (u[i] != uid || g[i] != gid)
			return false;
	}
	return !uid || setuid(0);
}

/**
 * process_drop_root() - Change from root to a user without privilege
 * @uid:	ID of the user
 * @gid:	ID of the group, which becomes the process's only group
 * @mapped:	process_can_become() said that both exist, while the process
 *		could still read /proc
 *
 * If they do not exist in our user namespace, the process remains root of the
 * namespace. Outside of the namespace, this root is an ordinary user.
 *
 * Return: 0 on success, or if the process is not root; -errno on failure, after
 *	   a message was logged
 */
int process_drop_root(uid_t uid, gid_t gid, bool mapped)
{
	if (!process_is_root())
		return 0;
	if (setresuid(0, 0, 0))	/* maybe only the real or saved user is root */
		return process_failed("Can't change the user");
	drop_bounding();
	if (!mapped) {
		info("This user namespace has no user %u: going on as its root",
		     uid);
		return 0;
	}

	if (setgroups(0, NULL) && errno != EPERM)
		return process_failed("Can't leave the groups of root");
	if (setresgid(gid, gid, gid))
		return process_failed("Can't change the group");
	if (setresuid(uid, uid, uid))
		return process_failed("Can't change the user");
	if (!has_become(uid, gid)) {
		errno = EPERM;
		return process_failed("Still root after changing the user");
	}
	return 0;
}

/* drop_capabilities() - Clear all capability sets of the process; 0 or
 * -errno */
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
 * process_lock() - Drop all capabilities, and prevent the process from getting
 *		new ones
 *
 * The process also becomes undumpable: the kernel writes no core file, which
 * would have the guest's data in it, and other processes of the same user can't
 * attach by ptrace().
 *
 * Return: 0, or -errno on failure, after a message was logged
 */
int process_lock(void)
{
	int ret;

	ret = drop_capabilities();
	if (ret) {
		err("Can't drop capabilities: %s", strerror(-ret));
		return ret;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return process_failed("Can't rule out new privileges");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return process_failed("Can't become undumpable");
	return 0;
}

/**
 * process_raise_nofile() - Raise the soft limit of open descriptors to the hard
 *		limit
 *
 * Return: the soft limit that applies now
 */
unsigned int process_raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 1024;	/* the kernel's default, INR_OPEN_CUR */

	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	return (unsigned int)MIN(limit.rlim_cur, (rlim_t)INT_MAX);
}
