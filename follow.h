/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * follow.h - Follows the host's network while passt runs: when addresses,
 * routes or resolvers of the host change, passt changes the network of the
 * guest accordingly.
 */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "conf/conf.h"
#include "conf/net.h"
#include "forward/apply.h"
#include "host/addrs.h"
#include "host/host.h"
#include "host/watch.h"
#include "loop.h"

/* How long passt gathers changes before it reads the host again, ms. Several
 * changes often come together: an interface gets its address, then its routes,
 * then the host gets its resolvers. */
#define FOLLOW_GATHER	100

/* The pause before the host is read again, if descriptors or memory were short,
 * ms. */
#define FOLLOW_RETRY	1000

/* How often passt looks at resolv.conf if the kernel can't report each of its
 * changes, ms. */
#define FOLLOW_LOOK	2000

/* How long an address must be gone before passt ends the flows that use it, ms:
 * DHCP clients and link managers may remove an address and set it again. */
#define FOLLOW_LOST	1000

/* The shortest sleep after which the guest is told its network again, ms: the
 * host's network rarely changes in less. */
#define FOLLOW_SLEPT	5000

/**
 * struct follow - State that is needed to follow the host's network
 * @conf:	options; a value that an option gives does not change
 * @host:	what the host had when it was last read
 * @net:	network of the guest
 * @worker:	event loop, whose guest is told
 * @fwd, @rules: forwarded ports, and their rules
 * @nl:		netlink socket that the host is read from, or -errno
 * @watch:	tells that something has changed
 * @addrs:	all addresses that the host had when it was last read
 * @left:	all addresses that the host still had when @check_at was set
 *		because it had lost others; valid if @check_at is not 0
 * @at:		flow that was examined last; NULL: the check of flows has not
 *		begun
 * @ifindex:	for each family, index of the interface that our sockets are
 *		bound to; 0: none, or the host does not have it
 * @lacks:	for each family, whether the host lacks the address that our
 *		sockets are bound to
 * @dead:	such an interface was deleted after the last check of flows
 *		began
 * @read_at:	when to read the host again, ms; 0: not before the next report
 *		of a change
 * @look_at:	when to look at resolv.conf, ms; 0: the kernel reports its
 *		changes
 * @check_at:	when to end flows whose source address or interface is lost, ms;
 *		0: never
 */
struct follow {
	const struct conf *conf;
	struct host *host;
	struct net *net;
	struct worker *worker;
	struct fwd *fwd;
	const struct rule_set *rules;
	int nl;
	struct host_watch watch;
	struct host_addrs addrs, left;
	struct flow *at;
	uint32_t ifindex[FAMILIES];
	bool lacks[FAMILIES], dead;
	uint64_t read_at, look_at, check_at;
};

int follow_open(struct follow *f);
void follow_event(struct follow *f, uint64_t now);
void follow_stopped(struct follow *f, uint64_t stopped, uint64_t now);
void follow_wake(struct follow *f, uint64_t now);
void follow_close(struct follow *f);

#endif /* FOLLOW_H */
