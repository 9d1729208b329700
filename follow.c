// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * follow.c - Follows the host's network while passt runs. A report of a change
 * only starts a timer. When the timer fires, passt reads the host again,
 * derives the guest's network again, and tells the guest what differs. So the
 * guest gets the same network as if passt had been started now, whatever
 * changes came before.
 */
#include <errno.h>
#include <string.h>

#include "conf/derive.h"
#include "conf/summary.h"
#include "follow.h"
#include "host/paths.h"
#include "host/resolv.h"
#include "log.h"
#include "sock.h"

static const char *const outbound_if[FAMILIES] = {
	[IP4] = "--outbound-if4", [IP6] = "--outbound-if6",
};

/* earlier_of() - Return the earlier of two times, of which 0 is never */
static uint64_t earlier_of(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

/* arm_wake() - Have follow_wake() called at the earliest of the times that are
 * set */
static void arm_wake(struct follow *f)
{
	uint64_t when = earlier_of(earlier_of(f->read_at, f->check_at),
				   f->look_at);

	if (when)
		worker_wake(f->worker, when);
}

/* find_outbound_if() - Find the interface that our sockets of a family are
 * bound to. Return its index; 0 if there is none now; @was if that can't be
 * found out */
static uint32_t find_outbound_if(const struct net *n, enum ip_family ip,
				 uint32_t was)
{
	const char *ifname = n->source_ifname[ip];
	uint32_t ifindex = *ifname ? sock_ifindex(ifname) : 0;

	return *ifname && !ifindex && errno != ENODEV ? was : ifindex;
}

/* has_outbound_addr() - Whether the host has the address that our sockets of a
 * family are bound to, or they are bound to none */
static bool has_outbound_addr(const struct net *n, enum ip_family ip)
{
	return addr_is_none(&n->source[ip]) ||
	       sock_addr_is_own(&n->source[ip], n->scope);
}

/* print_outbound() - Log that what our sockets are bound to has gone, or has
 * come */
static void print_outbound(const char *option, const char *value, bool there)
{
	if (there)
		info("%s %s is there: the guest can open connections", option,
		     value);
	else
		warn("%s %s is gone: until it is back, the guest can't open connections",
		     option, value);
}

/* read_outbound() - Find out whether the host has the address and the interface
 * that our sockets of a family are bound to. Sockets whose interface was
 * deleted never work again: note that there may be some */
static void read_outbound(struct follow *f, enum ip_family ip)
{
	uint32_t was = f->ifindex[ip], is = find_outbound_if(f->net, ip, was);
	bool has = has_outbound_addr(f->net, ip);
	char text[ADDR_STRLEN];

	if (was && is != was)
		f->dead = true;
	if (!was != !is)
		print_outbound(outbound_if[ip], f->net->source_ifname[ip], is);
	if (has == f->lacks[ip])
		print_outbound("--outbound",
			       addr_str(&f->net->source[ip], text), has);
	f->ifindex[ip] = is;
	f->lacks[ip] = !has;
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
	enum ip_family ip;

	for (ip = IP4; ip < FAMILIES; ip++) {
		f->ifindex[ip] = find_outbound_if(f->net, ip, 0);
		f->lacks[ip] = !has_outbound_addr(f->net, ip);
	}
	if (rc) {
		warn("changes of the host's network will not be followed: %s",
		     strerror(-rc));
		host_watch_close(&f->watch);
		return 0;
	}
	if (f->watch.nl >= 0)
		rc = worker_watch(f->worker, f->watch.nl, EVENT_HOST);
	if (!rc && f->watch.inotify >= 0)
		rc = worker_watch(f->worker, f->watch.inotify, EVENT_HOST);
	if (!rc && f->watch.wakeup >= 0)
		rc = worker_watch(f->worker, f->watch.wakeup, EVENT_HOST);
	/* The host may have changed since it was read. */
	f->read_at = now_ms() + FOLLOW_GATHER;
	arm_wake(f);
	return rc;
}

/* read_addrs() - Read all addresses of the host. If the host has lost some of
 * them, have the flows examined after FOLLOW_LOST. If an interface to which
 * sockets are bound was deleted, have the flows examined at once: for this
 * check, no address counts as lost yet. If the kernel does not answer, no
 * address counts as lost either */
static void read_addrs(struct follow *f, uint64_t now)
{
	struct host_addrs new = { 0 };

	if (host_addrs_read(&new, f->nl)) {
		host_addrs_free(&new);
		return;
	}
	if (!f->check_at && (f->dead || host_addrs_lost(&f->addrs, &new))) {
		f->check_at = f->dead ? now : now + FOLLOW_LOST;
		f->at = NULL;
		host_addrs_copy(&f->left, f->dead ? &f->addrs : &new);
	}
	host_addrs_free(&f->addrs);
	f->addrs = new;
}

/* is_kept() - Whether flows with this source address live on: either the host
 * has the address now, or it still had the address when this check was armed,
 * FOLLOW_LOST ago */
static bool is_kept(const struct follow *f, const struct in6_addr *addr)
{
	return host_addrs_has(&f->addrs, addr) ||
	       host_addrs_has(&f->left, addr);
}

/* is_lost() - Whether a socket gets no answers any more: its interface was
 * deleted, or the host has lost its source address */
static bool is_lost(const void *arg, int fd)
{
	const struct follow *f = arg;
	char ifname[IFNAMSIZ];
	struct in6_addr addr;
	uint16_t port;

	if ((*f->net->source_ifname[IP4] || *f->net->source_ifname[IP6]) &&
	    sock_device(fd, ifname) == -ENODEV)
		return true;
	return sock_name(fd, &addr, &port) && !addr_is_none(&addr) &&
	       !is_kept(f, &addr);
}

/* end_lost() - End the flows whose source address the host lost FOLLOW_LOST ago
 * or earlier, and those whose interface was deleted. If the host has lost more
 * addresses or interfaces since then, arm another check for these */
static void end_lost(struct follow *f, uint64_t now)
{
	bool again;

	if (!f->at) {
		f->dead = false;
		read_addrs(f, now);
	}
	if (!worker_end_lost(f->worker, &f->at, is_lost, f, now) || f->dead) {
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
	enum ip_family ip;

	host_read(&host, f->nl, ifname);
	if (!host_is_known(&host)) {
		f->read_at = now + FOLLOW_RETRY;
		return;
	}
	*f->host = host;
	for (ip = IP4; ip < FAMILIES; ip++)
		read_outbound(f, ip);
	read_addrs(f, now);
	fwd_rebind(f->fwd, f->rules);
	memset(&new, 0, sizeof(new));	/* with its padding */
	derive(f->conf, f->host, &new);
	*f->net = new;
	worker_host_changed(f->worker);
	/* NOLINTNEXTLINE(*-memory-comparison,cert-*): padding is zero */
	if (!memcmp(&new, &old, sizeof(new)))
		return;
	net_print_changes(&old, &new);
	worker_net_changed(f->worker, &old, now);
}

/**
 * handle_pause() - If the host has slept, or if passt was stopped, read the
 * host at once, and tell the guest its network again
 * @stopped:	how long passt was stopped, ms
 *
 * Meanwhile the host's network may have changed, and the guest's clock may have
 * run on.
 */
static void handle_pause(struct follow *f, uint64_t stopped, uint64_t now)
{
	uint64_t slept = host_watch_slept(&f->watch);

	if (slept >= FOLLOW_SLEPT)
		info("The host has slept for %llu s",
		     (unsigned long long)slept / SEC);
	else if (stopped)
		info("passt was stopped, for up to %llu s",
		     (unsigned long long)stopped / SEC);
	else
		return;
	if (f->watch.nl >= 0 || f->watch.inotify >= 0) {
		f->read_at = 0;
		read_host(f, now);
	}
	worker_refresh_guest(f->worker, now);
}

/* follow_event() - Take the reports of changes, and read the host again soon,
 * or at once if it has slept */
void follow_event(struct follow *f, uint64_t now)
{
	if (host_watch_drain(&f->watch) && !f->read_at)
		f->read_at = now + FOLLOW_GATHER;
	if (f->watch.blind && !f->look_at)
		f->look_at = now + FOLLOW_LOOK;
	handle_pause(f, 0, now);
	arm_wake(f);
}

/* follow_stopped() - Handle that passt was stopped, for @stopped ms at most */
void follow_stopped(struct follow *f, uint64_t stopped, uint64_t now)
{
	handle_pause(f, stopped, now);
	arm_wake(f);
}

/* look_at_resolv() - Read the host if resolv.conf has changed without a report
 * of the kernel */
static void look_at_resolv(struct follow *f, uint64_t now)
{
	struct resolv r;
	int rc = resolv_read(&r, paths_open_resolv());

	host_watch_look(&f->watch);
	f->look_at = f->watch.blind ? now + FOLLOW_LOOK : 0;
	if (rc != f->host->resolv_error ||
	    memcmp(&r, &f->host->resolv, sizeof(r)))
		read_host(f, now);
}

/* follow_wake() - Read the host, look at resolv.conf, or end flows, if that is
 * due */
void follow_wake(struct follow *f, uint64_t now)
{
	if (f->read_at && now >= f->read_at) {
		f->read_at = 0;
		read_host(f, now);
	}
	if (f->look_at && now >= f->look_at)
		look_at_resolv(f, now);
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
