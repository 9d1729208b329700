/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * sandbox.h - Gives up descriptors, privileges and capabilities that the
 * process does not need.
 */
#ifndef HOST_SANDBOX_H
#define HOST_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

void sandbox_close_fds(int keep);
bool sandbox_is_root(void);
bool sandbox_in_namespace(void);
bool sandbox_can_become(uid_t uid, gid_t gid);
int sandbox_drop_root(uid_t uid, gid_t gid);
int sandbox_lock(void);
unsigned int sandbox_raise_nofile(void);

#endif /* HOST_SANDBOX_H */
