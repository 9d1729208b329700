/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * follow.h - Follows the host's network while passt runs: when addresses,
 * routes or resolvers of the host change, so does the network of the guest.
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

/* How long changes are gathered, ms. Several often come together: an interface
 * gets its address, then its routes, then the host gets its resolvers. */
#define FOLLOW_GATHER	100

/* How long an address is gone before flows that use it are ended, ms: DHCP
 * clients and link managers may remove an address and set it again. */
#define FOLLOW_LOST	1000

/**
 * struct follow - What is followed, and what follows
 * @conf:	options; what they give does not change
 * @host:	what the host had when it was last read
 * @net:	network of the guest
 * @worker:	event loop, whose guest is told
 * @fwd, @rules: forwarded ports, and their rules
 * @watch:	tells that something has changed
 * @addrs:	all addresses that the host had when it was last read
 * @left:	all addresses that it still had when some were lost; valid if
 *		@check_at is set
 * @at:		flow whose source address was examined last
 * @read_at:	when to read the host again, ms; 0: only after a report
 * @check_at:	when to end flows whose source address is lost, ms; 0: never
 */
struct follow {
	const struct conf *conf;
	struct host *host;
	struct net *net;
	struct worker *worker;
	struct fwd *fwd;
	const struct rule_set *rules;
	struct host_watch watch;
	struct host_addrs addrs, left;
	struct flow *at;
	uint64_t read_at, check_at;
};

int follow_open(struct follow *f);
void follow_event(struct follow *f, uint64_t now);
void follow_wake(struct follow *f, uint64_t now);
void follow_close(struct follow *f);

#endif /* FOLLOW_H */
