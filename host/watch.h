/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * watch.h - Tells when the host's addresses, routes or resolvers may have
 * changed, so that host_read() may find something new; and when the host has
 * slept.
 */
#ifndef HOST_WATCH_H
#define HOST_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#define WATCH_DIRS	16	/* directories that are watched, at most */

/**
 * struct host_watch - Descriptors by which the kernel reports changes
 * @nl:		netlink socket for links, addresses, routes and rules; -1: none
 * @inotify:	inotify descriptor for resolv.conf; -1: none
 * @wakeup:	timer descriptor that is readable after the host has slept; -1:
 *		none
 * @slept:	slept_ms() when it was read last
 * @wd, @nwd:	watch descriptors of directories, and their number
 */
struct host_watch {
	int nl, inotify, wakeup;
	int64_t slept;
	int wd[WATCH_DIRS];
	unsigned int nwd;
};

int host_watch_open(struct host_watch *w, const char *resolv_conf);
bool host_watch_drain(struct host_watch *w);
uint64_t host_watch_slept(struct host_watch *w);
void host_watch_path(struct host_watch *w, const char *path);
void host_watch_close(struct host_watch *w);

#endif /* HOST_WATCH_H */
