/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * loop.h - A worker: one event loop with the link, flows, timers and protocols
 * that it owns. There is only one worker now. State that several workers would
 * share is in struct program (passt.h).
 */
#ifndef LOOP_H
#define LOOP_H

#include "answer/answer.h"
#include "clock.h"
#include "conf/conf.h"
#include "conf/net.h"
#include "event.h"
#include "flow/sched.h"
#include "flow/table.h"
#include "flow/timer.h"
#include "icmp.h"
#include "tap.h"
#include "tcp.h"
#include "udp.h"

/* Descriptors that forwarded ports leave to passt itself: standard descriptors,
 * epoll sets, the sockets of the link, multicast groups, files, the log,
 * signals and some spare ones. */
#define FDS_OWN		29
/* Maximum number of flows that worker_end_lost() examines in one call. This
 * takes less than 1 ms. */
#define LOST_BATCH	1000
/* Maximum number of descriptors that TCP flows leave free for other uses. */
#define FDS_KEPT	64

/* What a timer is for. */
enum timer_type {
	TIMER_FLOW,		/* a timeout of a flow; the flow table sets this
				 * type */
	TIMER_RA,		/* the next router advertisement */
	TIMER_FRAGMENTS,	/* the timeout of the oldest incomplete
				 * datagram */
	TIMER_LINK,		/* the end of a pause of the link, see
				 * pause_link() */
	TIMER_REST,		/* the end of the pause of listening sockets */
	TIMER_WAKE,		/* the time that worker_wake() was given */
	TIMER_STATS,		/* the time to log counters again (--stats) */
};

/**
 * struct worker - An event loop and what it owns
 * @conf:	options
 * @net:	network of the guest
 * @link:	link to the guest; closed while no guest is connected
 * @queues:	queues of @link
 * @clock:	where @now of all functions comes from
 * @tap, @flows, @timers, @sched, @answer, @tcp, @udp, @errors, @echo: parts of
 *		the worker
 * @resolvers:	which resolver --dns-forward leads to now
 * @access:	keeps the guest from the host's addresses, with --no-host-access
 * @fragments:	timer that expires the oldest incomplete datagram of @tap
 * @retry:	timer that ends a pause of the link, see pause_link()
 * @rest:	timer that ends the pause of listening sockets
 * @stats:	timer that logs counters (--stats)
 * @wake:	timer of worker_wake()
 * @fwd:	forwarded ports
 * @resting:	the program's listening socket while it is paused; -1: it is not
 *		paused
 * @epfd:	epoll set of all descriptors
 * @epfd_link:	epoll set used while the link is blocked. It does not have the
 *		sockets of flows, so that their data stays in the kernel
 * @epfd_none:	empty epoll set, for a wait in which no event counts
 * @control:	called for an event of a descriptor that the program owns, and
 *		for EVENT_WAKE and EVENT_CONTINUED
 * @owner:	first argument of @control
 * @catch_up:	for how many more passes timers wait, at most. Not 0 after passt
 *		did not run for a while: events that came in that time are
 *		handled before the timers
 * @quit:	worker_run() must return after this pass
 */
struct worker {
	const struct conf *conf;
	const struct net *net;
	struct link *link;
	struct link_queue *queues;
	struct clock clock;
	struct tap tap;
	struct flow_table flows;
	struct timers timers;
	struct sched sched;
	struct answer answer;
	struct tcp tcp;
	struct udp udp;
	struct icmp_errors errors;
	struct icmp_echo echo;
	struct access access;
	struct resolvers resolvers;
	struct timer fragments, retry, rest, stats, wake;
	struct fwd *fwd;
	int resting;
	int epfd, epfd_link, epfd_none;
	void (*control)(void *owner, enum event_type type, uint64_t now);
	void *owner;
	unsigned int catch_up;
	bool quit;
};

int worker_init(struct worker *w, const struct conf *conf,
		const struct net *net, struct fwd *fwd,
		struct link *link, struct link_queue *queues);
int worker_open(struct worker *w, unsigned int fds);
int worker_watch(struct worker *w, int fd, enum event_type type);
void worker_rest(struct worker *w, int fd, uint64_t now);
void worker_wake(struct worker *w, uint64_t when);
bool worker_end_lost(struct worker *w, struct flow **at,
		     bool (*is_lost)(const void *arg, int fd), const void *arg,
		     uint64_t now);
void worker_host_changed(struct worker *w);
void worker_net_changed(struct worker *w, const struct net *old, uint64_t now);
void worker_refresh_guest(struct worker *w, uint64_t now);
int worker_guest_up(struct worker *w, uint64_t now);
void worker_guest_down(struct worker *w, int error);
void worker_log_counters(const struct worker *w);
void worker_run(struct worker *w);
void worker_free(struct worker *w);

#endif /* LOOP_H */
