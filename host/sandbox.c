// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * sandbox.c - Takes from the process what it does not need. What the kernel
 * does not let passt give up is reported, and passt goes on without it, unless
 * --strict is given.
 *
 * The order matters. The namespaces come first, because to enter them is a
 * privilege, which the process has as root, or as root of a user namespace of
 * its own. The root directory can be left only in a mount namespace of its own.
 * Then the privileges are dropped. Landlock comes after that, because with it
 * no file system can be mounted. The last filter of system calls comes at the
 * end, because it permits none of all this.
 */
/* syscalls: start: chdir chroot close fchdir fsconfig fsmount fsopen getegid
 *	     geteuid keyctl mount newfstatat openat pivot_root prctl prlimit64
 *	     read umount2 unshare write */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/landlock.h"
#include "host/paths.h"
#include "host/process.h"
#include "host/sandbox.h"
#include "host/seccomp.h"
#include "log.h"
#include "util.h"

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP		0x02000000
#endif

/* From linux/mount.h, which may be older than the kernel. */
#ifndef SYS_fsopen	/* the same on all architectures */
#define SYS_fsopen		430
#define SYS_fsconfig		431
#define SYS_fsmount		432
#endif
#define FS_CLOEXEC		1	/* FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC */
#define FS_SET_STRING		1	/* FSCONFIG_SET_STRING */
#define FS_CREATE		6	/* FSCONFIG_CMD_CREATE */

/* As flags of mount(), and as those of fsmount() */
#define MOUNT_FLAGS	(MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* What each step gives, for the user. */
static const char *const step_name[SANDBOX_STEPS] = {
	[SANDBOX_START_CALLS]	= "system calls of start-up only",
	[SANDBOX_USER]		= "user namespace",
	[SANDBOX_MOUNT]		= "mount namespace",
	[SANDBOX_PID]		= "PID namespace",
	[SANDBOX_IPC]		= "IPC namespace",
	[SANDBOX_UTS]		= "UTS namespace",
	[SANDBOX_CGROUP]	= "cgroup namespace",
	[SANDBOX_ROOT]		= "empty root directory",
	[SANDBOX_KEYRING]	= "keyring of its own",
	[SANDBOX_CORE]		= "no core file",
	[SANDBOX_PRIVILEGES]	= "no capabilities",
	[SANDBOX_LANDLOCK]	= "Landlock",
	[SANDBOX_RUN_CALLS]	= "system calls of the event loop only",
};

/* Namespaces, apart from the user namespace, and their steps. */
static const struct namespace {
	int flag;
	enum sandbox_step step;
} namespaces[] = {
	{ CLONE_NEWNS, SANDBOX_MOUNT }, { CLONE_NEWPID, SANDBOX_PID },
	{ CLONE_NEWIPC, SANDBOX_IPC }, { CLONE_NEWUTS, SANDBOX_UTS },
	{ CLONE_NEWCGROUP, SANDBOX_CGROUP },
};

/* Options of a tmpfs in which nothing can be made. enter_detached() has them
 * one by one. */
#define EMPTY		"mode=0555,nr_inodes=1,size=4k"

/* Directories on which the empty root may be mounted for a moment. */
static const char *const places[] = { "/tmp", "/run", "/proc", "/mnt" };

/* note_step() - Note how a step went: @rc is 0 or -errno */
static void note_step(struct sandbox *s, enum sandbox_step step, int rc)
{
	s->error[step] = -rc;
	s->done[step] = !rc;
}

#ifdef UNCONFINED

/* A build for tools that need what the sandbox takes: valgrind, and preloaded
 * libraries that make system calls of their own. */
static bool is_built(struct sandbox *s)
{
	enum sandbox_step i;

	for (i = 0; i < SANDBOX_STEPS; i++)
		s->detail[i] = "this build has no sandbox";
	return false;
}

#else

static bool is_built(struct sandbox *s)
{
	return true;
}

#endif

/* keeps_proc() - Whether this build needs /proc at its end, because a sanitizer
 * looks for leaks then */
static bool keeps_proc(struct sandbox *s)
{
#ifdef __SANITIZE_ADDRESS__
	s->detail[SANDBOX_ROOT] = "a sanitizer needs /proc";
	s->detail[SANDBOX_LANDLOCK] = s->detail[SANDBOX_ROOT];
	return true;
#else
	return false;
#endif
}

/* is_in_apparmor() - Whether AppArmor enforces a profile on the process. Its
 * label then is the name of the profile, and its mode in parentheses */
static bool is_in_apparmor(void)
{
	int fd = open("/proc/self/attr/current", O_RDONLY | O_CLOEXEC);
	char label[1024] = "";
	ssize_t n;

	if (fd < 0)
		return errno == EACCES;		/* by its profile */
	n = read(fd, label, sizeof(label) - 1);
	close(fd);
	return n > 0 && strstr(label, " (") && !strstr(label, " (complain)") &&
	       !strstr(label, " (unconfined)");
}

/**
 * sandbox_start() - Permit only the system calls that passt makes at start, and
 *		later
 */
void sandbox_start(struct sandbox *s)
{
	int rc = 0;

	if (!is_built(s))
		return;
	s->apparmor = is_in_apparmor();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		rc = -errno;
	if (!rc)
		rc = seccomp_install(CALLS_START | s->groups | CALLS_RUN);
	note_step(s, SANDBOX_START_CALLS, rc);
}

/* write_proc() - Write a line to a file in /proc; 0 or -errno */
static int write_proc(const char *path, const char *line)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, line, strlen(line)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/**
 * map_user() - In the new user namespace, let our user and group have the same
 *		numbers as outside
 * @uid, @gid:	IDs before the namespace was entered
 *
 * The files belong to root if the process is not dumpable, as after a change of
 * its user.
 */
static int map_user(uid_t uid, gid_t gid)
{
	char line[64];
	int rc;

	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	snprintf(line, sizeof(line), "%u %u 1\n", uid, uid);
	rc = write_proc("/proc/self/uid_map", line);
	if (!rc)
		rc = write_proc("/proc/self/setgroups", "deny");
	snprintf(line, sizeof(line), "%u %u 1\n", gid, gid);
	if (!rc)
		rc = write_proc("/proc/self/gid_map", line);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return rc;
}

/**
 * enter_user() - Enter a user namespace, which gives the privileges for the
 *		other ones
 *
 * If the process has left the host's root directory already, /proc is out of
 * reach. Our user and group then have no number in the namespace, but outside
 * they stay what they are.
 */
static void enter_user(struct sandbox *s)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int rc = unshare(CLONE_NEWUSER) ? -errno : 0;

	if (!rc && !s->done[SANDBOX_ROOT])
		rc = map_user(uid, gid);
	note_step(s, SANDBOX_USER, rc);
}

/* enter_others() - Enter the other namespaces, each for itself */
static void enter_others(struct sandbox *s)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(namespaces); i++) {
		const struct namespace *n = &namespaces[i];

		if (n->step == SANDBOX_PID && !s->forks)
			s->detail[n->step] = "with --foreground, passt does not fork, so it stays in the PID namespace";
		else if (!s->done[n->step])
			note_step(s, n->step, unshare(n->flag) ? -errno : 0);
	}
}

/**
 * enter_detached() - Change the root directory to an empty file system that is
 *		mounted nowhere
 *
 * The root directory of a chroot is no mount point, so nothing can be mounted
 * below it without appearing on the host, and it can't be unmounted. It stays
 * where it is, but can't be reached without CAP_SYS_CHROOT.
 *
 * Return: 0, or -errno. -ENOSYS: before Linux 5.2
 */
static int enter_detached(void)
{
	static const char *const option[][2] = {
		{ "mode", "0555" }, { "nr_inodes", "1" }, { "size", "4k" },
	};
	long fs = syscall(SYS_fsopen, "tmpfs", FS_CLOEXEC), root = -1;
	bool good = fs >= 0;
	size_t i;
	int rc;

	for (i = 0; i < ARRAY_SIZE(option); i++)
		good = good && !syscall(SYS_fsconfig, fs, FS_SET_STRING,
					option[i][0], option[i][1], 0);
	good = good && !syscall(SYS_fsconfig, fs, FS_CREATE, NULL, NULL, 0);
	if (good)
		root = syscall(SYS_fsmount, fs, FS_CLOEXEC,
			       MOUNT_FLAGS | MS_RDONLY);
	rc = root < 0 || fchdir((int)root) || chroot(".") || chdir("/") ?
	     -errno : 0;
	if (root >= 0)
		close((int)root);
	if (fs >= 0)
		close((int)fs);
	return rc;
}

/* mount_empty() - Mount an empty file system on a directory */
static int mount_empty(const char *place)
{
	return mount("passt", place, "tmpfs", MOUNT_FLAGS | MS_RDONLY,
		     EMPTY) ? -errno : 0;
}

/* replace_root() - Change the root directory to an empty file system, and
 * unmount the old one. -EINVAL: the old root can't be unmounted, as in an
 * initramfs */
static int replace_root(void)
{
	int rc = -ENOENT;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places) && rc; i++) {
		rc = mount_empty(places[i]);
		if (!rc && chdir(places[i]))
			return -errno;
	}
	if (!rc && (syscall(SYS_pivot_root, ".", ".") ||
		    umount2(".", MNT_DETACH) || chdir("/")))
		rc = -errno;
	return rc;
}

/**
 * cover_root() - Change the root directory to an empty file system that is
 *		mounted over the old one, which then can't be reached without
 *		CAP_SYS_CHROOT
 *
 * "/" still is the old root until chroot(), but the kernel follows mounts at
 * the end of "/..".
 */
static int cover_root(void)
{
	struct stat old, new = { 0 };
	int rc = stat("/", &old) ? -errno : mount_empty("/");

	if (!rc && (chdir("/..") || stat(".", &new)))
		rc = -errno;
	if (!rc && old.st_dev == new.st_dev)
		rc = -ENOTSUP;
	if (!rc && (chroot(".") || chdir("/")))
		rc = -errno;
	return rc;
}

/**
 * leave_root() - Replace the root directory by an empty one, or cover it
 *
 * First, all mounts become private, so that what passt mounts does not appear
 * on the host. AppArmor checks a file by its path from the root of the
 * process's mount namespace, and denies a file that has no such path: one that
 * was opened in another mount namespace, or whose root was unmounted. So under
 * AppArmor, passt opens its files again, and covers the old root instead of
 * unmounting it.
 */
static int leave_root(struct sandbox *s)
{
	int rc;

	if (s->apparmor)
		paths_reopen(s->uid, s->gid);
	else
		paths_clone_root();
	rc = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ? -errno : 0;
	if (rc == -EINVAL) {		/* the root is no mount point */
		s->detail[SANDBOX_ROOT] = "in a chroot";
		return enter_detached();
	}
	if (rc)
		return rc;
	if (s->apparmor) {
		s->detail[SANDBOX_ROOT] = "over the host's, for AppArmor";
		return cover_root();
	}
	rc = replace_root();
	if (rc != -EINVAL)
		return rc;
	s->detail[SANDBOX_ROOT] = "over the host's, which can't be unmounted";
	return cover_root();
}

/* forbid_core() - Let the kernel write no core file */
static int forbid_core(void)
{
	const struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_CORE, &none) ? -errno : 0;
}

/* enter_all() - Enter namespaces and leave the root directory, as far as our
 * privileges allow and it is not done yet */
static void enter_all(struct sandbox *s)
{
	if (s->apparmor && !s->done[SANDBOX_MOUNT])
		paths_note_files();
	enter_others(s);
	if (!s->done[SANDBOX_MOUNT] || s->done[SANDBOX_ROOT] || keeps_proc(s))
		return;
	note_step(s, SANDBOX_ROOT, leave_root(s));
}

/* sandbox_isolate_root() - If the process is root, do now what root needs no
 * user namespace for, see sandbox_isolate() */
void sandbox_isolate_root(struct sandbox *s)
{
	if (is_built(s) && process_is_root())
		enter_all(s);
}

/**
 * sandbox_isolate() - Enter namespaces, and leave the host's root directory
 *
 * The process is no longer root, unless it is only root of a user namespace.
 */
void sandbox_isolate(struct sandbox *s)
{
	long key;

	if (!is_built(s))
		return;
	enter_user(s);
	enter_all(s);
	if (!s->done[SANDBOX_MOUNT])
		s->error[SANDBOX_ROOT] = s->error[SANDBOX_MOUNT];
	key = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	note_step(s, SANDBOX_KEYRING, key < 0 ? -errno : 0);
	note_step(s, SANDBOX_CORE, forbid_core());
}

/**
 * sandbox_drop() - Drop all privileges
 *
 * Return: 0; or -errno if capabilities could not be dropped, after a message
 *	   was logged
 */
int sandbox_drop(struct sandbox *s)
{
	int rc = process_lock();

	if (rc)
		return rc;
	note_step(s, SANDBOX_PRIVILEGES, 0);
	if (!is_built(s) || keeps_proc(s))
		return 0;
	rc = landlock_enter(s->tcp_ports, s->ntcp_ports,
			    &s->detail[SANDBOX_LANDLOCK]);
	note_step(s, SANDBOX_LANDLOCK, MIN(rc, 0));
	return 0;
}

/* sandbox_run() - Permit only the system calls of the event loop */
void sandbox_run(struct sandbox *s)
{
	int rc;

	if (!is_built(s))
		return;
	rc = paths_seal();
	if (!rc)
		rc = seccomp_install(CALLS_RUN | s->groups);
	note_step(s, SANDBOX_RUN_CALLS, rc);
}

/* describe_step() - Describe how a step went, in one line */
static void describe_step(const struct sandbox *s, enum sandbox_step step,
			  char line[256])
{
	int error = s->error[step];

	if (s->done[step] && s->detail[step])
		snprintf(line, 256, "%s: yes, %s", step_name[step],
			 s->detail[step]);
	else if (s->done[step])
		snprintf(line, 256, "%s: yes", step_name[step]);
	else
		snprintf(line, 256, "%s: no: %s", step_name[step],
			 error ? strerror(error) : s->detail[step]);
}

/* sandbox_print() - Write one line for each step to a file */
void sandbox_print(const struct sandbox *s, int fd)
{
	enum sandbox_step i;
	char line[256];

	for (i = 0; i < SANDBOX_STEPS; i++) {
		describe_step(s, i, line);
		strcat(line, "\n");
		if (write(fd, line, strlen(line)) < 0)
			return;
	}
}

/**
 * sandbox_report() - Log each step that failed
 * @strict:	it is an error
 *
 * Return: whether passt may go on
 */
bool sandbox_report(const struct sandbox *s, bool strict)
{
	bool good = true;
	enum sandbox_step i;
	char line[256];

	for (i = 0; i < SANDBOX_STEPS; i++) {
		if (!s->error[i])
			continue;
		describe_step(s, i, line);
		log_msg(strict ? LOG_ERR : LOG_INFO, "Sandbox: %s", line);
		good = false;
	}
	return good || !strict;
}
