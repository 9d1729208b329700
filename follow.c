// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * follow.c - Follows the host's network while passt runs. A report of a change
 * only starts a timer. When the timer fires, passt reads the host again,
 * derives the guest's network again, and tells the guest what differs. So the
 * guest gets the same network as if passt had been started now, whatever
 * changes came before.
 */
#include <string.h>

#include "conf/derive.h"
#include "conf/summary.h"
#include "follow.h"
#include "host/resolv.h"
#include "log.h"

/* arm_wake() - Have follow_wake() called at @read_at or @check_at, whichever is
 * earlier */
static void arm_wake(struct follow *f)
{
	uint64_t when = f->read_at;

	if (f->check_at && (!when || f->check_at < when))
		when = f->check_at;
	if (when)
		worker_wake(f->worker, when);
}

/**
 * follow_open() - Begin to follow the host
 * @f:		all fields but @watch are set, and the host has been read
 *
 * If the kernel has no way to report changes, the guest's network stays as it
 * is, and a message says so.
 *
 * Return: 0, or -errno if epoll can't wait for the reports
 */
int follow_open(struct follow *f)
{
	int rc = host_watch_open(&f->watch, RESOLV_CONF);

	if (rc) {
		warn("changes of the host's network will not be followed: %s",
		     strerror(-rc));
		return 0;
	}
	if (f->watch.nl >= 0)
		rc = worker_watch(f->worker, f->watch.nl, EVENT_HOST);
	if (!rc && f->watch.inotify >= 0)
		rc = worker_watch(f->worker, f->watch.inotify, EVENT_HOST);
	/* The host may have changed since it was read. */
	f->read_at = now_ms() + FOLLOW_GATHER;
	arm_wake(f);
	return rc;
}

/* follow_event() - Take the reports of changes, and read the host again soon */
void follow_event(struct follow *f, uint64_t now)
{
	if (host_watch_drain(&f->watch) && !f->read_at)
		f->read_at = now + FOLLOW_GATHER;
	arm_wake(f);
}

/* read_addrs() - Read all addresses of the host. If the host has lost some of
 * them, have the flows examined after FOLLOW_LOST. If the kernel does not
 * answer, no address counts as lost */
static void read_addrs(struct follow *f, uint64_t now)
{
	struct host_addrs new = { 0 };

	if (host_addrs_read(&new)) {
		host_addrs_free(&new);
		return;
	}
	if (!f->check_at && host_addrs_lost(&f->addrs, &new)) {
		f->check_at = now + FOLLOW_LOST;
		f->at = NULL;
		host_addrs_copy(&f->left, &new);
	}
	host_addrs_free(&f->addrs);
	f->addrs = new;
}

/* is_kept() - Whether flows with this source address live on: either the host
 * has the address now, or it still had the address when this check was armed,
 * FOLLOW_LOST ago */
static bool is_kept(const void *arg, const struct in6_addr *addr)
{
	const struct follow *f = arg;

	return host_addrs_has(&f->addrs, addr) ||
	       host_addrs_has(&f->left, addr);
}

/* end_lost() - End the flows whose source address the host lost FOLLOW_LOST ago
 * or earlier. If the host has lost more addresses since then, arm another check
 * for these */
static void end_lost(struct follow *f, uint64_t now)
{
	bool again;

	if (!f->at)
		read_addrs(f, now);
	if (!worker_end_lost(f->worker, &f->at, is_kept, f, now)) {
		f->check_at = now + 1;
		return;
	}
	again = host_addrs_lost(&f->left, &f->addrs);
	f->check_at = again ? now + FOLLOW_LOST : 0;
	host_addrs_copy(&f->left, &f->addrs);
}

/**
 * read_host() - Read the host, and tell the guest what has changed
 *
 * If passt did not use IPv4 or IPv6 at start, it does not begin to use it here.
 * If descriptors or memory are short, the guest keeps its network, and passt
 * reads the host again later.
 */
static void read_host(struct follow *f, uint64_t now)
{
	const char *ifname[FAMILIES] = {
		conf_ifname(f->conf, IP4), conf_ifname(f->conf, IP6),
	};
	struct net old = *f->net, new;
	struct host host;

	host_watch_path(&f->watch, RESOLV_CONF);
	host_read(&host, ifname);
	if (!host_is_known(&host)) {
		f->read_at = now + FOLLOW_RETRY;
		return;
	}
	*f->host = host;
	read_addrs(f, now);
	fwd_rebind(f->fwd, f->rules);
	memset(&new, 0, sizeof(new));	/* with its padding */
	derive(f->conf, f->host, &new);
	*f->net = new;
	worker_host_changed(f->worker);
	if (!memcmp(&new, &old, sizeof(new)))
		return;
	net_print_changes(&old, &new);
	worker_net_changed(f->worker, &old, now);
}

/* follow_wake() - Read the host, or end flows, if that is due */
void follow_wake(struct follow *f, uint64_t now)
{
	if (f->read_at && now >= f->read_at) {
		f->read_at = 0;
		read_host(f, now);
	}
	if (f->check_at && now >= f->check_at)
		end_lost(f, now);
	arm_wake(f);
}

/* follow_close() - Follow the host no longer */
void follow_close(struct follow *f)
{
	host_watch_close(&f->watch);
	host_addrs_free(&f->addrs);
	host_addrs_free(&f->left);
}
