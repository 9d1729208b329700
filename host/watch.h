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

/**
 * struct host_watch - Descriptors by which the kernel reports changes
 * @nl:		netlink socket for links, addresses, routes and rules; -1: none
 * @inotify:	inotify descriptor for resolv.conf; -1: none
 * @wakeup:	timer descriptor that is readable after the host has slept; -1:
 *		none
 * @slept:	slept_ms() when it was read last
 * @inotify_failures, @wakeup_failures: how many reads of these descriptors have
 *		failed, in a row
 * @ended:	a directory that was watched was deleted
 * @blind:	resolv.conf may change without a report, because it leads to
 *		another file than at start, or a directory that was watched was
 *		deleted: the caller has to look from time to time
 */
struct host_watch {
	int nl, inotify, wakeup;
	int64_t slept;
	unsigned int inotify_failures, wakeup_failures;
	bool ended, blind;
};

int host_watch_open(struct host_watch *w, const char *resolv_conf);
bool host_watch_drain(struct host_watch *w);
uint64_t host_watch_slept(struct host_watch *w);
void host_watch_look(struct host_watch *w);
void host_watch_close(struct host_watch *w);

#endif /* HOST_WATCH_H */
