/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * process.h - Gives up descriptors, privileges and capabilities that the
 * process does not need.
 */
#ifndef HOST_PROCESS_H
#define HOST_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

void process_close_fds(int keep);
bool process_is_root(void);
bool process_in_namespace(void);
bool process_can_become(uid_t uid, gid_t gid);
int process_drop_root(uid_t uid, gid_t gid, bool mapped);
int process_lock(void);
unsigned int process_raise_nofile(void);

#endif /* HOST_PROCESS_H */
