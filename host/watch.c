// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * watch.c - Watches the host's network: rtnetlink(7) multicasts changes of
 * links, addresses, routes, rules and neighbours, inotify(7) reports changes of
 * resolv.conf, and a timer reports that the host has slept. This file only says
 * that something has changed: the caller then reads everything again by
 * host_read(). So if the kernel could not queue a message, no change is missed:
 * this file reports the loss (ENOBUFS) as a change.
 */
/* syscalls: start: bind inotify_add_watch inotify_init1 readlink socket
 *	     timerfd_create timerfd_settime; run: close read */
#include <errno.h>
#include <limits.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host/paths.h"
#include "host/watch.h"
#include "log.h"
#include "sock.h"
#include "util.h"

#define LINKS_MAX	8	/* symbolic links that are followed */
#define DRAIN_MAX	64	/* datagrams read in one call */
#define FAILURES_MAX	16	/* reads that fail in a row */

/* What may happen to a name in a directory, or to the directory itself. */
#define DIR_EVENTS	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | \
			 IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB |	       \
			 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

#define GROUP(n)	(1U << ((n) - 1))

static int open_netlink(void)
{
	struct sockaddr_nl sa = {
		.nl_family = AF_NETLINK,
		.nl_groups = GROUP(RTNLGRP_LINK) | GROUP(RTNLGRP_IPV4_IFADDR) |
			     GROUP(RTNLGRP_IPV6_IFADDR) |
			     GROUP(RTNLGRP_IPV4_ROUTE) |
			     GROUP(RTNLGRP_IPV6_ROUTE) |
			     GROUP(RTNLGRP_IPV4_RULE) |
			     GROUP(RTNLGRP_IPV6_RULE) | GROUP(RTNLGRP_NEIGH),
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/**
 * open_wakeup() - Open a descriptor that becomes readable when the host wakes
 *
 * The kernel cancels such a timer whenever the real-time clock jumps
 * (timerfd_create(2)), and it jumps when the host wakes. So passt learns of the
 * sleep at once, and need not read another clock in each pass. The timer may
 * also expire, in 2038: this does no harm.
 *
 * Return: descriptor, -1: the kernel has no memory for it
 */
static int open_wakeup(void)
{
	const struct itimerspec never = { .it_value.tv_sec = INT32_MAX };
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd >= 0 &&
	    timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
			    &never, NULL)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* watch_nearest() - Watch the directory that a path is in or, if this directory
 * does not exist yet, the nearest existing directory above it, because the next
 * directory on the path will be made there. Returns the watch descriptor, or -1
 */
static int watch_nearest(const struct host_watch *w, const char *path)
{
	char at[PATH_MAX], *slash;
	int wd;

	strcpy(at, path);
	do {
		slash = strrchr(at, '/');
		if (!slash)
			return -1;
		slash[slash == at] = '\0';
		wd = inotify_add_watch(w->inotify, at, DIR_EVENTS);
	} while (wd < 0 && slash != at);
	return wd;
}

/* watch_parent() - Watch the directory of a path as watch_nearest() does, until
 * the result is the same twice: a directory on the path may be made after its
 * absence was noticed, but before the one above it was watched */
static void watch_parent(const struct host_watch *w, const char *path)
{
	int before, wd = watch_nearest(w, path);
	unsigned int i;

	for (i = 0, before = -1; i < LINKS_MAX && wd != before; i++) {
		before = wd;
		wd = watch_nearest(w, path);
	}
}

/* follow_link() - If a path is a symbolic link, replace the path by the link's
 * target; false if it is no symbolic link */
static bool follow_link(char path[PATH_MAX])
{
	char target[PATH_MAX], joined[2 * PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	char *slash = strrchr(path, '/');

	if (n < 0 || !slash)
		return false;
	target[n] = '\0';
	if (*target == '/')
		snprintf(joined, sizeof(joined), "%s", target);
	else
		snprintf(joined, sizeof(joined), "%.*s/%s",
			 (int)(slash - path), path, target);
	if (strlen(joined) >= PATH_MAX)
		return false;
	strcpy(path, joined);
	return true;
}

/**
 * watch_path() - Watch all directories on which the contents of a file depend:
 *		its own directory, and the directories of the symbolic links
 *		that lead to it
 * @path:	absolute path of the file, shorter than PATH_MAX. Links in the
 *		names of directories are followed, but not watched
 */
static void watch_path(const struct host_watch *w, const char *path)
{
	char at[PATH_MAX];
	unsigned int links;

	strcpy(at, path);
	for (links = 0; links <= LINKS_MAX; links++) {
		watch_parent(w, at);
		if (!follow_link(at))
			break;
	}
}

/**
 * host_watch_open() - Begin to watch the host's network
 * @w:		filled
 * @resolv_conf: path of resolv.conf
 *
 * Return: 0; or -errno if neither addresses nor resolvers can be watched
 */
int host_watch_open(struct host_watch *w, const char *resolv_conf)
{
	int rc;

	*w = (struct host_watch){
		.nl = open_netlink(),
		.inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
	};
	rc = w->nl < 0 && w->inotify < 0 ? -errno : 0;
	w->wakeup = open_wakeup();
	w->slept = slept_ms();
	if (w->inotify >= 0 && strlen(resolv_conf) < PATH_MAX)
		watch_path(w, resolv_conf);
	return rc;
}

/* is_linklocal_neighbour() - Whether a message about an IPv6 neighbour gives a
 * link-local address */
static bool is_linklocal_neighbour(const struct nlmsghdr *h)
{
	const struct ndmsg *n = NLMSG_DATA(h);
	int len = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof(*n)));
	const struct rtattr *a = (const void *)((const char *)n +
						NLMSG_ALIGN(sizeof(*n)));
	struct in6_addr addr = ADDR_NONE;

	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == NDA_DST && RTA_PAYLOAD(a) == sizeof(addr))
			memcpy(&addr, RTA_DATA(a), sizeof(addr));
	}
	return addr_is_linklocal(&addr);
}

/*
 * is_change() - Whether a message may mean that the host's network has changed
 *
 * If an IPv6 router does not answer, the kernel uses another default route,
 * even one with a higher metric (RFC 4861 6.3.6). There is no message about the
 * routes then, only one about the neighbour. When the router is back, its
 * address may be in any state. Messages about neighbours that are no routers
 * change nothing.
 */
static bool is_change(const struct nlmsghdr *h, size_t len)
{
	const struct ndmsg *n = NLMSG_DATA(h);

	if (len < NLMSG_LENGTH(sizeof(*n)) || h->nlmsg_len > len ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(*n)) ||
	    (h->nlmsg_type != RTM_NEWNEIGH && h->nlmsg_type != RTM_DELNEIGH))
		return true;
	return n->ndm_family == AF_INET6 &&
	       (n->ndm_flags & NTF_ROUTER || is_linklocal_neighbour(h));
}

/* drain_netlink() - Read the messages that the kernel has multicast; returns
 * true if one of them is a change, or if the kernel has lost one */
static bool drain_netlink(int fd)
{
	union {
		struct nlmsghdr h;
		char bytes[8192];
	} buf;
	bool changed = false;
	unsigned int i;
	ssize_t n = 0;

	for (i = 0; i < DRAIN_MAX && n >= 0; i++) {
		n = sock_recv(fd, &buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC);
		if (n >= 0)
			changed |= is_change(&buf.h, MIN((size_t)n,
							 sizeof(buf)));
	}
	return changed || (n < 0 && errno == ENOBUFS);
}

/* close_broken() - After a read has returned @n, close the descriptor if that
 * was the last of too many failures in a row, which @failures counts. If it
 * stayed open, epoll would report it again and again. @lost: what passt does
 * not hear of any more */
static void close_broken(int *fd, unsigned int *failures, ssize_t n,
			 const char *lost)
{
	if (n >= 0 || errno == EAGAIN || errno == EINTR) {
		*failures = 0;
		return;
	}
	if (++*failures < FAILURES_MAX)
		return;
	warn("passt does not hear of %s any more: %s", lost, strerror(errno));
	close(*fd);
	*fd = -1;
}

/* read_events() - Read events of inotify; returns whether any of them is a
 * change. IN_IGNORED is no change: it says that a watch has ended, and the
 * event before it has said why */
static bool read_events(const char *p, size_t left, bool *ended)
{
	struct inotify_event e;
	bool changed = false;

	while (left >= sizeof(e)) {
		memcpy(&e, p, sizeof(e));
		changed |= e.mask != IN_IGNORED;
		*ended |= e.mask & IN_IGNORED;
		left -= sizeof(e);
		if (e.len > left)
			break;
		p += sizeof(e) + e.len;
		left -= e.len;
	}
	return changed;
}

/* drain_inotify() - Read all events of inotify; returns whether any of them is
 * a change */
static bool drain_inotify(struct host_watch *w)
{
	bool changed = false;
	unsigned int i;
	char buf[4096];
	ssize_t n = 1;

	for (i = 0; i < DRAIN_MAX && n > 0; i++) {
		n = read(w->inotify, buf, sizeof(buf));
		if (n > 0)
			changed |= read_events(buf, (size_t)n, &w->ended);
	}
	close_broken(&w->inotify, &w->inotify_failures, n,
		     "changes of resolv.conf at once");
	w->ended |= w->inotify < 0;
	return changed || w->inotify < 0;
}

/**
 * host_watch_drain() - Read all reports of changes
 *
 * Return: whether something may have changed
 */
bool host_watch_drain(struct host_watch *w)
{
	bool network = w->nl >= 0 && drain_netlink(w->nl);
	bool file = w->inotify >= 0 && drain_inotify(w);

	if (file)
		host_watch_look(w);
	return network || file;
}

/**
 * host_watch_look() - Find out whether resolv.conf may change without a report
 *
 * The sandbox lets passt watch no more directories than at start.
 */
void host_watch_look(struct host_watch *w)
{
	w->blind = w->ended || !paths_resolv_is_plain();
}

/* drain_wakeup() - Let the timer descriptor be not readable any more, until the
 * clock jumps again */
static void drain_wakeup(struct host_watch *w)
{
	uint64_t count;
	ssize_t n;

	do
		n = read(w->wakeup, &count, sizeof(count));
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != ECANCELED)	/* the clock has jumped */
		close_broken(&w->wakeup, &w->wakeup_failures, n,
			     "the end of a sleep");
}

/**
 * host_watch_slept() - Tell for how long the host has slept since the last call
 *
 * The descriptor is also readable if somebody has set the host's clock. Then
 * the host has not slept.
 *
 * Return: time, ms
 */
uint64_t host_watch_slept(struct host_watch *w)
{
	int64_t before = w->slept;

	if (w->wakeup >= 0)
		drain_wakeup(w);
	w->slept = slept_ms();
	w->slept = MAX(before, w->slept);
	return (uint64_t)(w->slept - before);
}

/* host_watch_close() - Stop watching the host's network */
void host_watch_close(struct host_watch *w)
{
	if (w->nl >= 0)
		close(w->nl);
	if (w->inotify >= 0)
		close(w->inotify);
	if (w->wakeup >= 0)
		close(w->wakeup);
	w->nl = w->inotify = w->wakeup = -1;
}
