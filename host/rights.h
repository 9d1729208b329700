/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * rights.h - Uses paths with the rights of the user that passt becomes, while
 * passt is still root.
 */
#ifndef HOST_RIGHTS_H
#define HOST_RIGHTS_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * typedef path_use - What rights_use() does with a path
 * @arg:	argument of rights_use()
 * @path:	the path, or its last part, relative to the working directory
 * @as_root:	the function runs as root, and must not follow @path if it is a
 *		symbolic link
 *
 * Return: 0 or a descriptor on success, -errno on failure
 */
typedef int (*path_use)(void *arg, const char *path, bool as_root);

int rights_use(uid_t uid, gid_t gid, const char *path, path_use use, void *arg);
int rights_open(uid_t uid, gid_t gid, const char *path, int flags,
		mode_t mode);

#endif /* HOST_RIGHTS_H */
