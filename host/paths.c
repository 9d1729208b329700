// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * paths.c - Uses the few paths of the host that passt needs after it has
 * entered the sandbox. The sandbox has an empty root directory, so each path
 * starts from a directory that was opened before. All paths are in one piece of
 * memory that becomes read-only: the filter of system calls permits these paths
 * by their addresses, and no others.
 */
/* syscalls: start: close dup3 fcntl fstat lseek mount_setattr mprotect
 *	     open_tree openat readlink;
 *	     run: newfstatat openat2 unlinkat */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/paths.h"
#include "host/resolv.h"
#include "host/rights.h"

#ifndef SYS_open_tree
#define SYS_open_tree		428	/* on all architectures */
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr	442	/* likewise */
#endif

/* From linux/mount.h, which may be older than the kernel. */
#define TREE_CLONE		1	/* OPEN_TREE_CLONE */
#define TAME_MOUNTS		0xf	/* MOUNT_ATTR_RDONLY, _NOSUID, _NODEV,
					 * _NOEXEC */

#define DIR_FLAGS	(O_PATH | O_DIRECTORY | O_CLOEXEC)
#define READ_FLAGS	(O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define PAGE_MAX	65536	/* bytes of a page, at most */
#define FILE_FDS	64	/* files have descriptors below this */

/* struct mount_attr of linux/mount.h */
struct mount_attributes {
	uint64_t set, clear, propagation, userns_fd;
};

/**
 * struct fixed - Paths and flags that passt passes to system calls in the
 *		sandbox, in memory that the kernel reads
 * @empty:	path for fstatat() with AT_EMPTY_PATH
 * @resolv:	path of resolv.conf, without the first slash
 * @real:	absolute path of the file that @resolv led to at start, without
 *		symbolic links; PLAIN is the same without the first slash
 * @own:	names of passt's own files
 * @follow:	how to open @resolv: symbolic links are followed, and absolute
 *		ones start from the host's root, not from the sandbox's
 * @no_links:	how to open PLAIN: fails if it has become a symbolic link
 * @no_link:	how to open an own file
 */
struct fixed {
	char empty[1];
	char resolv[sizeof(RESOLV_CONF)];
	char real[PATH_MAX];
	char own[OWN_PATHS][NAME_MAX + 1];
	struct open_how follow, no_links, no_link;
};

/* Space in which a struct fixed lies on pages of its own. It is a part of the
 * program's image, which the filter of system calls lets nobody unmap, empty or
 * replace. */
static uint8_t space[2 * PAGE_MAX + sizeof(struct fixed)];

#define PLAIN	(fixed->real + 1)

/* The struct fixed; the host's root directory; whether the kernel lacks
 * openat2(); whether an empty root is mounted over the host's; and directories
 * of own files, -1: there is no such file. */
static struct fixed *fixed;
static int root = -1;
static bool no_openat2, covered;
static int dirs[OWN_PATHS] = { -1, -1 };

/* Files and directories that paths_note_files() has noted, by descriptor. */
static struct file_id {
	dev_t dev;
	ino_t ino;
} files[FILE_FDS];

/* Directories below which resolv.conf is looked for: those of its path and of
 * the file that it led to at start, and one that many programs write it to.
 * They are open until paths_seal(). */
static int read_dirs[PATH_READ_DIRS];

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* find_plain() - Find where resolv.conf leads to. If that can't be found out,
 * it is taken for a plain file */
static void find_plain(void)
{
	char *real = realpath(RESOLV_CONF, NULL);
	const char *path = real && strlen(real) < PATH_MAX ? real : RESOLV_CONF;

	strcpy(fixed->real, path);
	free(real);
}

/* open_dir_of() - Open the directory of an absolute path, O_PATH; or return
 * -1 */
static int open_dir_of(const char *path)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "/%.*s",
		 (int)(strrchr(path, '/') - path), path);
	return open(dir, DIR_FLAGS);
}

/**
 * paths_open() - Open the host's root directory, and find resolv.conf
 *
 * Return: 0, or -errno
 */
int paths_open(void)
{
	uintptr_t page = page_size();

	fixed = (struct fixed *)(((uintptr_t)space + page - 1) & ~(page - 1));
	*fixed = (struct fixed){
		.follow = { .flags = READ_FLAGS, .resolve = RESOLVE_IN_ROOT |
			    RESOLVE_NO_MAGICLINKS },
		.no_links = { .flags = READ_FLAGS,
			      .resolve = RESOLVE_IN_ROOT |
					 RESOLVE_NO_SYMLINKS },
		.no_link = { .flags = READ_FLAGS | O_NOFOLLOW },
	};
	strcpy(fixed->resolv, &RESOLV_CONF[1]);
	find_plain();
	read_dirs[0] = open_dir_of(RESOLV_CONF);
	read_dirs[1] = open_dir_of(fixed->real);
	read_dirs[2] = open("/run", DIR_FLAGS);
	root = open("/", DIR_FLAGS);
	if (root < 0)
		return -errno;
	no_openat2 = syscall(SYS_openat2, -1, "", NULL, 0) && errno == ENOSYS;
	return 0;
}

/**
 * paths_clone_root() - Hold a copy of the tree of all mounts, in place of the
 *		root directory, which is going to be unmounted. Needs
 *		CAP_SYS_ADMIN in the mount namespace
 *
 * If the kernel can't do this (before Linux 5.2), the directory stays, and may
 * lack what was mounted below it.
 */
void paths_clone_root(void)
{
	const struct mount_attributes tame = { .set = TAME_MOUNTS };
	long tree = syscall(SYS_open_tree, AT_FDCWD, "/",
			    TREE_CLONE | AT_RECURSIVE | O_CLOEXEC);

	if (tree < 0)
		return;
	/* Who gets hold of the copy must gain little by it. */
	syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE,
		&tame, sizeof(tame));
	close(root);
	root = (int)tree;
}

/**
 * paths_note_files() - Note which files and directories are open
 *
 * passt has opened them before any socket, so they have low descriptors. Those
 * of standard input, output and error are not noted.
 */
void paths_note_files(void)
{
	struct stat st;
	int fd;

	for (fd = STDERR_FILENO + 1; fd < FILE_FDS; fd++) {
		if (!fstat(fd, &st) &&
		    (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
			files[fd] = (struct file_id){ st.st_dev, st.st_ino };
	}
}

/* reopen_file() - Open a file again by its path, with the same descriptor, mode
 * and position; it stays as it is if the path leads to another file */
static void reopen_file(int fd, uid_t uid, gid_t gid)
{
	int flags = fcntl(fd, F_GETFL), new;
	char proc[32], target[PATH_MAX];
	struct stat st;
	ssize_t n;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, target, sizeof(target) - 1);
	if (n < 0 || flags < 0)
		return;
	target[n] = '\0';
	new = rights_open(uid, gid, target, flags, 0);
	if (new < 0)
		return;
	if (!fstat(new, &st) && st.st_dev == files[fd].dev &&
	    st.st_ino == files[fd].ino) {
		lseek(new, lseek(fd, 0, SEEK_CUR), SEEK_SET);
		dup3(new, fd, O_CLOEXEC);
	}
	close(new);
}

/**
 * paths_reopen() - Open all noted files again, so that they are files of the
 *		mount namespace that the process has entered; the sandbox is
 *		going to cover the root directory there
 * @uid, @gid:	user whose files they are
 */
void paths_reopen(uid_t uid, gid_t gid)
{
	int fd;

	covered = true;
	for (fd = 0; fd < FILE_FDS; fd++) {
		if (files[fd].ino)
			reopen_file(fd, uid, gid);
	}
}

/**
 * paths_keep() - Note a file that passt removes at its end
 * @dir:	directory of the file, O_PATH; it stays open
 * @name:	name of the file in that directory
 *
 * Return: 0, or -ENAMETOOLONG
 */
int paths_keep(enum own_path which, int dir, const char *name)
{
	if (strlen(name) >= sizeof(fixed->own[which]))
		return -ENAMETOOLONG;
	strcpy(fixed->own[which], name);
	dirs[which] = dir;
	return 0;
}

/* paths_dirs() - List the directories in which passt uses files */
void paths_dirs(struct path_dirs *d)
{
	memcpy(d->read, read_dirs, sizeof(d->read));
	memcpy(d->own, dirs, sizeof(d->own));
}

/**
 * paths_seal() - Let no one change the paths from now on, and close directories
 *		that no function below uses
 *
 * Return: 0, or -errno
 */
int paths_seal(void)
{
	size_t page = page_size();
	size_t len = (sizeof(*fixed) + page - 1) & ~(page - 1);
	unsigned int i;

	for (i = 0; i < PATH_READ_DIRS; i++) {
		if (read_dirs[i] >= 0)
			close(read_dirs[i]);
	}
	return mprotect(fixed, len, PROT_READ) ? -errno : 0;
}

/* open_call() - Return the call by which open_how() opens a file */
static struct path_call open_call(int dir, const char *path,
				  const struct open_how *how)
{
	return (struct path_call){
		no_openat2 ? SYS_openat : SYS_openat2, dir, path,
		no_openat2 ? NULL : how,
		no_openat2 ? READ_FLAGS | O_NOFOLLOW : 0,
	};
}

/**
 * paths_calls() - List the system calls that the functions below make
 * @call:	filled
 *
 * Return: number of calls
 */
unsigned int paths_calls(struct path_call call[PATH_CALLS])
{
	unsigned int i, n = 0;

	call[n++] = open_call(root, fixed->resolv, &fixed->follow);
	call[n++] = open_call(root, PLAIN, &fixed->no_links);
	call[n++] = (struct path_call){ SYS_newfstatat, -1, fixed->empty,
					NULL, 0 };
	for (i = 0; i < OWN_PATHS; i++) {
		if (dirs[i] < 0)
			continue;
		call[n++] = (struct path_call){ SYS_newfstatat, dirs[i],
						fixed->own[i], NULL, 0 };
		call[n++] = (struct path_call){ SYS_unlinkat, dirs[i],
						fixed->own[i], NULL, 0 };
	}
	if (dirs[PATH_PID] >= 0)
		call[n++] = open_call(dirs[PATH_PID], fixed->own[PATH_PID],
				      &fixed->no_link);
	return n;
}

/* stat_file() - Do as fstatat(2), by the same system call with any libc */
static int stat_file(int dir, const char *path, struct stat *st, int flags)
{
	return syscall(SYS_newfstatat, dir, path, st, flags) ? -errno : 0;
}

/* open_how() - Open a file by openat2(); the descriptor, or -errno. Before
 * Linux 5.6, there is only openat(), which follows no link here */
static int open_how(int dir, const char *path, const struct open_how *how)
{
	long fd = no_openat2 ? openat(dir, path, READ_FLAGS | O_NOFOLLOW) :
		  syscall(SYS_openat2, dir, path, how, sizeof(*how));

	return fd < 0 ? -errno : (int)fd;
}

/**
 * paths_open_resolv() - Open the host's resolv.conf, wherever it leads to now
 *
 * Before Linux 5.6, this is the file that it led to at start. If the root
 * directory is covered, a relative link that leads to the root by "..", leads
 * into the empty root: then it is that file, too.
 *
 * Return: descriptor, or -errno
 */
int paths_open_resolv(void)
{
	int fd = open_how(root, no_openat2 ? PLAIN : fixed->resolv,
			  &fixed->follow);

	if (fd == -ENOENT && covered)
		fd = open_how(root, PLAIN, &fixed->no_links);
	return fd;
}

/**
 * paths_resolv_is_plain() - Whether resolv.conf leads to the file that it led
 *		to at start, so that the directories that were watched from then
 *		on show each change
 */
bool paths_resolv_is_plain(void)
{
	int a = paths_open_resolv();
	int b = open_how(root, PLAIN, &fixed->no_links);
	struct stat sa, sb;
	bool same = a >= 0 && b >= 0 &&
		    !stat_file(a, fixed->empty, &sa, AT_EMPTY_PATH) &&
		    !stat_file(b, fixed->empty, &sb, AT_EMPTY_PATH) &&
		    sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;

	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	return same;
}

/* paths_open_own() - Open an own file for reading; the descriptor, or -errno */
int paths_open_own(enum own_path which)
{
	if (dirs[which] < 0)
		return -ENOENT;
	return open_how(dirs[which], fixed->own[which], &fixed->no_link);
}

/* paths_stat_own() - Do as fstatat(2) for an own file; 0 or -errno */
int paths_stat_own(enum own_path which, struct stat *st)
{
	if (dirs[which] < 0)
		return -ENOENT;
	return stat_file(dirs[which], fixed->own[which], st,
			 AT_SYMLINK_NOFOLLOW);
}

/* paths_remove_own() - Remove an own file; 0 or -errno */
int paths_remove_own(enum own_path which)
{
	if (dirs[which] < 0)
		return -ENOENT;
	return unlinkat(dirs[which], fixed->own[which], 0) ? -errno : 0;
}
