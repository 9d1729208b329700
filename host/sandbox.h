/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * sandbox.h - Gives up what the process does not need.
 * Called by passt.c at start-up, in the order of this file.
 */
#ifndef HOST_SANDBOX_H
#define HOST_SANDBOX_H

#include <sys/types.h>

void sandbox_close_fds(int keep);
int sandbox_drop_root(uid_t uid, gid_t gid);
int sandbox_lock(void);
unsigned int sandbox_raise_nofile(void);

#endif /* HOST_SANDBOX_H */
