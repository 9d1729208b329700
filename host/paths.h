/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * paths.h - The few paths of the host that passt uses after it has entered the
 * sandbox: resolv.conf, the listening socket and the pid file.
 */
#ifndef HOST_PATHS_H
#define HOST_PATHS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* A file that passt removes when it ends. */
enum own_path {
	PATH_SOCKET,	/* the listening socket */
	PATH_PID,	/* the pid file */
	OWN_PATHS
};

/**
 * struct path_call - A system call that uses a path in the sandbox
 * @nr:		number of the call (__NR_*)
 * @dir:	its first argument, a directory; -1: any descriptor
 * @path:	its second argument, in memory that can't be changed
 * @how:	its third argument if that points to memory that can't be
 *		changed; NULL: it does not
 * @flags:	its third argument if it is a number; 0: any
 */
struct path_call {
	int nr, dir;
	const void *path, *how;
	uint32_t flags;
};

/* Directories below which resolv.conf may be read. */
#define PATH_READ_DIRS	3

/**
 * struct path_dirs - Directories that the functions below use; -1: there is no
 *		such one
 * @read:	passt may read files below them
 * @own:	passt may read and remove files in them
 */
struct path_dirs {
	int read[PATH_READ_DIRS], own[OWN_PATHS];
};

/* Calls that paths_calls() returns, at most. */
#define PATH_CALLS	8

int paths_open(void);
void paths_clone_root(void);
void paths_note_files(void);
void paths_reopen(uid_t uid, gid_t gid);
int paths_keep(enum own_path which, int dir, const char *name);
int paths_seal(void);
void paths_dirs(struct path_dirs *d);
unsigned int paths_calls(struct path_call call[PATH_CALLS]);

int paths_open_resolv(void);
bool paths_resolv_is_plain(void);

int paths_open_own(enum own_path which);
int paths_stat_own(enum own_path which, struct stat *st);
int paths_remove_own(enum own_path which);

#endif /* HOST_PATHS_H */
