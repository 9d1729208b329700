// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * loop.c - The event loop of a worker. Each pass hands events and expired
 * timers to the parts that handle them. At the end of the pass, the loop
 * flushes the link, which sends the frames of all parts together.
 */
/* syscalls: start: epoll_create1; run: close epoll_ctl epoll_wait */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"
#include "udp/mcast.h"

#define EVENTS_MAX	256	/* events that one epoll_wait() returns */
#define BURSTS_MAX	64	/* bursts that handle_queue() takes at most */
#define CATCH_UP_MAX	64	/* passes in which timers wait at most */
#define LINK_RETRY_MS	10	/* how long pause_link() lets the link rest */
#define MEMORY_REST_MS	10	/* how long await_memory() lets passt rest */
#define LISTEN_REST_MS	100	/* how long a listening socket rests */

static void tcp_class_event(struct worker *w, struct flow *f,
			    enum flow_side side, uint32_t events, uint64_t now)
{
	tcp_event(&w->tcp, f, events, now);
}

static void tcp_class_timer(struct worker *w, struct flow *f, uint64_t now)
{
	tcp_timer(&w->tcp, f, now);
}

static void tcp_class_end(struct worker *w, struct flow *f)
{
	tcp_end(&w->tcp, f);
}

static void tcp_class_lost(struct worker *w, struct flow *f, uint64_t now)
{
	tcp_lost(&w->tcp, f, now);
}

static void tcp_class_resume(struct worker *w, struct flow *f, uint64_t now)
{
	tcp_resume(&w->tcp, f, now);
}

static void udp_class_event(struct worker *w, struct flow *f,
			    enum flow_side side, uint32_t events, uint64_t now)
{
	udp_event(&w->udp, f, events, now);
}

static void udp_class_timer(struct worker *w, struct flow *f, uint64_t now)
{
	udp_timer(&w->udp, f, now);
}

static void udp_class_end(struct worker *w, struct flow *f)
{
	udp_end(&w->udp, f);
}

/* udp_class_lost() - End the flow. The guest's next datagram opens another one,
 * with the source address and interface that the host has then */
static void udp_class_lost(struct worker *w, struct flow *f, uint64_t now)
{
	udp_end(&w->udp, f);
}

static void echo_class_event(struct worker *w, struct flow *f,
			     enum flow_side side, uint32_t events, uint64_t now)
{
	icmp_event(&w->echo, f, events, now);
}

static void echo_class_timer(struct worker *w, struct flow *f, uint64_t now)
{
	icmp_timer(&w->echo, f, now);
}

static void echo_class_end(struct worker *w, struct flow *f)
{
	icmp_end(&w->echo, f);
}

static void echo_class_lost(struct worker *w, struct flow *f, uint64_t now)
{
	icmp_lost(&w->echo, f);
}

/**
 * struct flow_class - How flows of one type are handled
 * @size:	bytes of a flow in the table
 * @event:	handles events of a socket of the flow
 * @timer:	handles the flow's expired timer
 * @end:	ends the flow because the guest is gone; the peer of a TCP
 *		connection is reset
 * @lost:	ends the flow because the host has lost the address or the
 *		interface that its socket is bound to; the guest is told
 * @resume:	sends more data when it is the flow's turn; NULL: flows of this
 *		type never wait for a turn
 */
static const struct flow_class {
	size_t (*size)(void);
	void (*event)(struct worker *w, struct flow *f, enum flow_side side,
		      uint32_t events, uint64_t now);
	void (*timer)(struct worker *w, struct flow *f, uint64_t now);
	void (*end)(struct worker *w, struct flow *f);
	void (*lost)(struct worker *w, struct flow *f, uint64_t now);
	void (*resume)(struct worker *w, struct flow *f, uint64_t now);
} flow_class[FLOW_TYPES] = {
	[FLOW_TCP] = { tcp_flow_size, tcp_class_event, tcp_class_timer,
		       tcp_class_end, tcp_class_lost, tcp_class_resume },
	[FLOW_UDP] = { udp_flow_size, udp_class_event, udp_class_timer,
		       udp_class_end, udp_class_lost, NULL },
	[FLOW_ECHO] = { icmp_flow_size, echo_class_event, echo_class_timer,
			echo_class_end, echo_class_lost, NULL },
};

/* dispatch_udp() - Let the answering services handle DHCP and DHCPv6, and
 * forward other datagrams */
static void dispatch_udp(struct worker *w, const struct pkt *batch,
			 unsigned int n, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!answer_from_guest(&w->answer, &batch[i], now))
			break;
	}
	if (i < n && w->conf->udp)
		udp_from_guest(&w->udp, batch + i, n - i, now);
}

static void dispatch_icmp(struct worker *w, const struct pkt *batch,
			  unsigned int n, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!answer_from_guest(&w->answer, &batch[i], now) &&
		    w->conf->icmp)
			icmp_from_guest(&w->echo, &batch[i], now);
	}
}

/* dispatch_batch() - Hand packets of one flow to the part that handles them */
static void dispatch_batch(struct worker *w, const struct pkt *batch,
			   unsigned int n, uint64_t now)
{
	bool v4 = batch->etype != ETH_P_IPV6;

	if (!w->net->use[v4 ? IP4 : IP6])
		return;

	if (batch->etype == ETH_P_ARP) {
		for (; n; n--, batch++)
			answer_from_guest(&w->answer, batch, now);
	} else if (batch->proto == IPPROTO_UDP) {
		dispatch_udp(w, batch, n, now);
	} else if (batch->proto == IPPROTO_TCP) {
		if (w->conf->tcp)
			tcp_from_guest(&w->tcp, batch, n, now);
	} else {
		dispatch_icmp(w, batch, n, now);
	}
}

/* watch_fd() - Add a descriptor to an epoll set, or change its events (@op);
 * 0 or -errno */
static int watch_fd(int epfd, int op, int fd, uint32_t events,
		    enum event_type type, uint32_t index)
{
	struct epoll_event ev = {
		.events = events, .data.u64 = event_token(type, 0, 0, index),
	};

	return epoll_ctl(epfd, op, fd, &ev) ? -errno : 0;
}

/**
 * worker_watch() - Wait for events of a descriptor that the program owns, even
 * while the link is blocked
 * @type:	type of event that is passed to the worker's @control
 *
 * Return: 0, or -errno
 */
int worker_watch(struct worker *w, int fd, enum event_type type)
{
	int rc = watch_fd(w->epfd, EPOLL_CTL_ADD, fd, EPOLLIN, type, 0);

	if (rc)
		return rc;
	return watch_fd(w->epfd_link, EPOLL_CTL_ADD, fd, EPOLLIN, type, 0);
}

/* set_control_events() - Change the events that the program's listening socket
 * is watched for */
static void set_control_events(struct worker *w, int fd, uint32_t events)
{
	watch_fd(w->epfd, EPOLL_CTL_MOD, fd, events, EVENT_LINK_LISTEN, 0);
	watch_fd(w->epfd_link, EPOLL_CTL_MOD, fd, events, EVENT_LINK_LISTEN, 0);
}

/* arm_rest() - Arm the timer that ends the pauses of all listening sockets
 * after LISTEN_REST_MS */
static void arm_rest(struct worker *w, uint64_t now)
{
	if (!timer_armed(&w->rest))
		timer_arm(&w->timers, &w->rest, now + LISTEN_REST_MS);
}

/**
 * worker_rest() - Pause the socket at which guests connect: epoll does not
 * report it for LISTEN_REST_MS
 * @fd:		descriptor that was given to worker_watch()
 *
 * If accept4() fails, the connection stays in the queue, and epoll would report
 * it again and again.
 */
void worker_rest(struct worker *w, int fd, uint64_t now)
{
	set_control_events(w, fd, 0);
	w->resting = fd;
	arm_rest(w, now);
}

/* worker_wake() - Have @control called with EVENT_WAKE at the time @when. Only
 * the time of the latest call of this function counts */
void worker_wake(struct worker *w, uint64_t when)
{
	timer_arm(&w->timers, &w->wake, when);
}

/* worker_host_changed() - Join multicast groups again if the host's interfaces
 * have changed */
void worker_host_changed(struct worker *w)
{
	mcast_follow(&w->udp);
}

/**
 * worker_net_changed() - Tell the guest that its network has changed
 * @old:	network before the change; w->net is the one after it
 */
void worker_net_changed(struct worker *w, const struct net *old, uint64_t now)
{
	tap_use_queue(&w->tap, 0);
	if (memcmp(old->forward, w->net->forward, sizeof(old->forward)))
		resolvers_init(&w->resolvers, w->net);
	tap_lease_changed(&w->tap);
	answer_lease_changed(&w->answer, &old->lease, now);
}

/* worker_refresh_guest() - Tell the guest its network again, because the time
 * for which it was told may have passed while the host slept, or while passt
 * was stopped */
void worker_refresh_guest(struct worker *w, uint64_t now)
{
	tap_use_queue(&w->tap, 0);
	answer_refresh(&w->answer, now);
}

/**
 * worker_end_lost() - End flows for whose sockets the host has lost the source
 * address or the interface
 * @at:		flow after which to begin, NULL: begin with the first; set to
 *		the last flow that was examined, or to NULL at the end
 * @is_lost:	tells whether to end the flow that has the socket @fd
 * @arg:	first argument of @is_lost
 *
 * @is_lost makes one or two system calls for each flow, so one call of this
 * function examines at most LOST_BATCH flows, and the caller calls it again.
 *
 * Return: whether all flows have been examined
 */
bool worker_end_lost(struct worker *w, struct flow **at,
		     bool (*is_lost)(const void *arg, int fd), const void *arg,
		     uint64_t now)
{
	unsigned int i;

	for (i = 0; i < LOST_BATCH; i++) {
		*at = flow_next(&w->flows, *at);
		if (!*at)
			return true;
		if ((*at)->fd[SIDE_HOST] < 0 ||
		    !is_lost(arg, (*at)->fd[SIDE_HOST]))
			continue;
		tap_use_queue(&w->tap, (*at)->queue);
		flow_class[(*at)->type].lost(w, *at, now);
	}
	return false;
}

/* end_rest() - Let epoll report all paused listening sockets again */
static void end_rest(struct worker *w)
{
	if (w->resting >= 0)
		set_control_events(w, w->resting, EPOLLIN);
	w->resting = -1;
	fwd_wake_listeners(w->fwd);
}

/* worker_log_counters() - Log all counters that are not zero, even with
 * --quiet */
void worker_log_counters(const struct worker *w)
{
	const struct {
		const char *const *name;
		const uint64_t *count;
		unsigned int n;
	} part[] = {
		{ tap_counter_name, w->tap.count, TAP_COUNTERS },
		{ fragment_counter_name, w->tap.fragments.count,
		  FRAG_COUNTERS },
		{ tcp_counter_name, w->tcp.count, TCP_COUNTERS },
		{ udp_counter_name, w->udp.count, UDP_COUNTERS },
		{ icmp_counter_name, w->echo.count, ICMP_COUNTERS },
		{ icmp_error_counter_name, w->errors.count,
		  ICMP_ERROR_COUNTERS },
	};
	unsigned int i, j;

	log_msg(LOG_NOTICE, "counters: flows %u", w->flows.used);
	for (i = 0; i < ARRAY_SIZE(part); i++) {
		for (j = 0; j < part[i].n; j++) {
			if (part[i].count[j])
				log_msg(LOG_NOTICE, "counters: %s %llu",
					part[i].name[j],
					(unsigned long long)part[i].count[j]);
		}
	}
}

/* end_flows() - End all flows, and forget what is known of the guest: its
 * multicast queries, the MTUs that it was told, and its fragments */
static void end_flows(struct worker *w)
{
	struct flow *f = NULL;

	while ((f = flow_next(&w->flows, f)))
		flow_class[f->type].end(w, f);
	mcast_forget(&w->udp);
	icmp_errors_forget(&w->errors);
	tap_guest_gone(&w->tap);
}

/**
 * pause_link() - Wait for no events of the link until LINK_RETRY_MS have passed
 *
 * This is done if the host had no memory for a call on the link. Without the
 * pause, epoll would report the link again at once, because the guest can take
 * frames and may have sent some.
 */
static void pause_link(struct worker *w, uint64_t now)
{
	if (!link_up(w->link) || timer_armed(&w->retry))
		return;
	link_unwatch(w->link);
	timer_arm(&w->timers, &w->retry, now + LINK_RETRY_MS);
}

/* retry_link() - End the pause of the link: register again for its events.
 * After that, end_pass() sends the frames that wait */
static void retry_link(struct worker *w, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < w->link->nqueues; i++)
		w->queues[i].retry = false;
	if (!link_up(w->link) ||
	    !link_watch(w->link, w->epfd, w->epfd_link))
		return;
	link_unwatch(w->link);		/* epoll has no memory for all of the
					 * link's descriptors: none is watched
					 * until the next attempt */
	timer_arm(&w->timers, &w->retry, now + LINK_RETRY_MS);
}

/**
 * worker_guest_up() - Begin to serve a guest whose link was just opened
 *
 * Return: 0 on success; -errno if epoll can't watch the link, which is then
 *	   closed
 */
int worker_guest_up(struct worker *w, uint64_t now)
{
	int rc = link_watch(w->link, w->epfd, w->epfd_link);

	if (rc) {
		link_close(w->link);
		return rc;
	}

	tap_guest_new(&w->tap);
	answer_guest_up(&w->answer, now);
	LOG_LIMITED(LOG_INFO, "guest connected");
	return 0;
}

/**
 * worker_guest_down() - End all flows and close the link, after the guest has
 * left or the link has failed
 * @error:	reason, -errno. For -EPROTO nothing is logged, because the
 *		back-end has logged the error
 */
void worker_guest_down(struct worker *w, int error)
{
	if (error == -ECONNRESET || error == -EPIPE)
		LOG_LIMITED(LOG_INFO, "guest disconnected");
	else if (error != -EPROTO)
		LOG_LIMITED(LOG_WARNING, "guest's link closed: %s",
			    strerror(-error));

	end_flows(w);
	timer_cancel(&w->timers, &w->retry);
	link_close(w->link);
	if (w->conf->one_off)
		w->quit = true;
}

/* arm_fragments() - Arm the timer for the timeout of the oldest incomplete
 * datagram */
static void arm_fragments(struct worker *w)
{
	uint64_t due = reassembly_due(&w->tap.fragments);

	if (due && !timer_armed(&w->fragments))
		timer_arm(&w->timers, &w->fragments, due);
}

/* handle_queue() - Handle frames that the guest has sent on one queue, in at
 * most BURSTS_MAX bursts */
static void handle_queue(struct worker *w, unsigned int queue, uint64_t now)
{
	unsigned int i, n, bursts;
	int rc;

	tap_use_queue(&w->tap, queue);
	for (bursts = 0; bursts < BURSTS_MAX; bursts++) {
		rc = tap_recv_burst(&w->tap, now);
		for (i = 0; i < w->tap.npkt; i += n) {
			n = tap_batch_len(&w->tap, i);
			dispatch_batch(w, &w->tap.pkt[i], n, now);
		}
		if (rc < 0) {
			worker_guest_down(w, rc);
			return;
		}
		tap_release(&w->tap);
		if (!w->queues[queue].more)
			break;
	}
	arm_fragments(w);
}

/* handle_frames() - Handle frames that the guest has sent on any queue, in at
 * most BURSTS_MAX bursts from each queue */
static void handle_frames(struct worker *w, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < w->link->nqueues && link_up(w->link); i++) {
		if (w->queues[i].more)
			handle_queue(w, i, now);
	}
}

/* has_frames() - Whether the guest may have sent frames that passt has not
 * received */
static bool has_frames(const struct worker *w)
{
	unsigned int i;

	for (i = 0; i < w->link->nqueues; i++) {
		if (w->queues[i].more)
			return true;
	}
	return false;
}

/* handle_link() - Handle events of a descriptor of the link */
static void handle_link(struct worker *w, uint32_t index, uint32_t events,
			uint64_t now)
{
	int rc = link_up(w->link) ? link_event(w->link, index, events) : 0;

	if (rc < 0)
		worker_guest_down(w, rc);
	else
		handle_frames(w, now);
}

static void handle_listener(struct worker *w, uint64_t token, uint32_t events,
			    uint64_t now)
{
	const struct listener *l = fwd_listener_from_token(w->tcp.fwd, token);

	if (!l)			/* the listener was closed earlier in this
				 * pass */
		return;
	if (l->proto == IPPROTO_UDP) {
		udp_listener(&w->udp, l, events, now);
	} else if (tcp_listener(&w->tcp, l, now)) {
		listener_rest(w->fwd, l);
		arm_rest(w, now);
	}
}

static void handle_event(struct worker *w, const struct epoll_event *ev,
			 uint64_t now)
{
	uint64_t token = ev->data.u64;
	struct flow *f;

	tap_use_queue(&w->tap, 0);
	switch (event_type(token)) {
	case EVENT_LINK:
		handle_link(w, event_index(token), ev->events, now);
		break;
	case EVENT_LINK_LISTEN:
	case EVENT_SIGNAL:
	case EVENT_HOST:
		w->control(w->owner, event_type(token), now);
		break;
	case EVENT_LISTENER:
		handle_listener(w, token, ev->events, now);
		break;
	case EVENT_FLOW:
		f = flow_from_token(&w->flows, token);
		if (!f)
			break;
		tap_use_queue(&w->tap, f->queue);
		flow_class[f->type].event(w, f, event_side(token), ev->events,
					  now);
		break;
	case EVENT_GROUP:
		mcast_group_event(&w->udp, event_index(token), now);
		break;
	case EVENT_WAKE:	/* no descriptor has these types */
	case EVENT_CONTINUED:
		break;
	}
}

/* arm_stats() - Arm the timer that logs counters (--stats) */
static void arm_stats(struct worker *w, uint64_t now)
{
	if (w->conf->stats)
		timer_arm(&w->timers, &w->stats, now + w->conf->stats * SEC);
}

static void handle_timer(struct worker *w, struct timer *timer, uint64_t now)
{
	struct flow *f;

	tap_use_queue(&w->tap, 0);
	switch ((enum timer_type)timer->type) {
	case TIMER_FLOW:
		f = container_of(timer, struct flow, timer);
		tap_use_queue(&w->tap, f->queue);
		flow_class[f->type].timer(w, f, now);
		break;
	case TIMER_RA:
		ra_timer(&w->answer, now);
		break;
	case TIMER_FRAGMENTS:
		reassembly_expire(&w->tap.fragments, now);
		arm_fragments(w);
		break;
	case TIMER_LINK:
		retry_link(w, now);
		break;
	case TIMER_REST:
		end_rest(w);
		break;
	case TIMER_WAKE:
		w->control(w->owner, EVENT_WAKE, now);
		break;
	case TIMER_STATS:
		worker_log_counters(w);
		arm_stats(w, now);
		break;
	}
}

/* resume_flows() - Give each flow that waits one turn to send; returns whether
 * flows still have more to send */
static bool resume_flows(struct worker *w, uint64_t now)
{
	unsigned int n = w->sched.nready;
	struct flow *f;

	while (n-- && !link_blocked(w->link) && (f = sched_next(&w->sched))) {
		tap_use_queue(&w->tap, f->queue);
		flow_class[f->type].resume(w, f, now);
	}
	return w->sched.nready;
}

/* set_latency() - Set the queues' mode: low latency, or full throughput */
static void set_latency(struct worker *w, bool low)
{
	unsigned int i;

	for (i = 0; i < w->link->nqueues; i++)
		w->queues[i].low_latency = low;
}

/* wants_pause() - Whether the link needs a pause, because the host had no
 * memory for a call on it */
static bool wants_pause(const struct worker *w)
{
	unsigned int i;

	for (i = 0; i < w->link->nqueues; i++) {
		if (w->queues[i].retry)
			return true;
	}
	return false;
}

/* await_memory() - Do nothing for a moment, because the host had no memory to
 * read a socket. The socket still has data, so epoll would report it at once,
 * again and again */
static void await_memory(struct worker *w)
{
	struct epoll_event ev;

	w->flows.no_memory = false;
	epoll_wait(w->epfd_none, &ev, 1, MEMORY_REST_MS);
}

/**
 * end_pass() - Send the frames of this pass, and give waiting flows their turn
 *
 * Return: true if the next pass must start at once, because flows have more to
 *	   send or the link has more frames from the guest
 */
static bool end_pass(struct worker *w, uint64_t now)
{
	bool was_blocked = link_blocked(w->link), more = false;
	int rc;

	if (!link_up(w->link))
		return false;

	icmp_probe_mtu(&w->errors);
	tcp_pass_end(&w->tcp, now);
	rc = tap_flush(&w->tap);
	if (rc > 0 && sched_skip_bulk(&w->sched, was_blocked, now)) {
		more = true;
	} else if (rc > 0) {
		set_latency(w, sched_low_latency(&w->sched, now));
		more = resume_flows(w, now);
		tcp_pass_end(&w->tcp, now);
		rc = tap_flush(&w->tap);
	}
	if (rc < 0)
		worker_guest_down(w, rc);
	return rc > 0 && (more || has_frames(w));
}

/**
 * wait_events() - Wait for events, at most until the next timer is due
 * @more:	do not wait, because there is more to do
 * @now:	set to the time at which the wait ended
 *
 * If passt was stopped meanwhile, the program is told. If events may have come
 * while passt did not run, timers wait until the pass after this one, or longer
 * if it does not handle all events, see run_timers().
 *
 * Return: number of events in @ev, -1: none, because passt was stopped
 */
static int wait_events(struct worker *w, struct epoll_event ev[EVENTS_MAX],
		       bool more, uint64_t *now)
{
	int timeout = more || w->catch_up ? 0 :
		      timers_wait(&w->timers, clock_read(&w->clock));
	int n = epoll_wait(link_blocked(w->link) ? w->epfd_link : w->epfd,
			   ev, EVENTS_MAX, timeout);

	/* While timers wait already, another late pass does not make them wait
	 * longer: on a host where all passes are late, they must run, too. */
	if (clock_waited(&w->clock, timeout, n < 0, now_ms()) && !w->catch_up)
		w->catch_up = CATCH_UP_MAX;
	*now = clock_now(&w->clock);
	if (w->clock.pause)
		w->control(w->owner, EVENT_CONTINUED, *now);
	return n;
}

/**
 * run_timers() - Run all timers that are due
 * @events:	what wait_events() has returned in this pass
 *
 * If passt did not run for a while, timers wait until all events that came
 * meanwhile are handled. Otherwise TCP would send again what the guest has
 * acknowledged, and a flow could end although its datagrams wait.
 */
static void run_timers(struct worker *w, int events, uint64_t now)
{
	struct timer *timer;

	if (w->catch_up < CATCH_UP_MAX && events < EVENTS_MAX && !has_frames(w))
		w->catch_up = 0;
	else if (w->catch_up)
		w->catch_up--;
	while (!w->catch_up && (timer = timers_expire(&w->timers, now)))
		handle_timer(w, timer, now);
}

/* worker_run() - Handle events until @quit is set */
void worker_run(struct worker *w)
{
	struct epoll_event ev[EVENTS_MAX];
	bool more = false;
	uint64_t now;
	int i, n;

	clock_init(&w->clock, now_ms());
	arm_stats(w, clock_now(&w->clock));
	while (!w->quit) {
		n = wait_events(w, ev, more, &now);
		handle_frames(w, now);	/* the last pass may have left some */
		for (i = 0; i < n; i++)
			handle_event(w, &ev[i], now);
		run_timers(w, n, now);
		more = end_pass(w, now);
		if (wants_pause(w))
			pause_link(w, now);
		if (w->flows.no_memory)
			await_memory(w);
	}
}

/* connect_parts() - Give each part the pointers that it works with */
static void connect_parts(struct worker *w, const struct fwd *fwd)
{
	tap_init(&w->tap, w->link, w->queues, w->net);
	answer_init(&w->answer, &w->tap, &w->net->lease, &w->timers, TIMER_RA);

	resolvers_init(&w->resolvers, w->net);
	w->udp.resolvers = w->tcp.resolvers = &w->resolvers;
	if (w->conf->no_host_access)
		w->echo.access = w->udp.access = w->tcp.access = &w->access;
	w->errors.tap = w->echo.tap = w->udp.tap = w->tcp.tap = &w->tap;
	w->echo.flows = w->udp.flows = w->tcp.flows = &w->flows;
	w->echo.timers = w->udp.timers = w->tcp.timers = &w->timers;
	w->echo.sched = w->udp.sched = w->tcp.sched = &w->sched;
	w->errors.net = w->echo.net = w->udp.net = w->tcp.net = w->net;
	w->udp.fwd = w->tcp.fwd = fwd;
	w->echo.errors = w->udp.errors = w->tcp.errors = &w->errors;
}

/**
 * worker_init() - Initialise the worker and its parts, without opening
 * descriptors
 * @w:		worker, whose members are all zero except @control and @owner
 *
 * Return: 0, or -ENOMEM
 */
int worker_init(struct worker *w, const struct conf *conf,
		const struct net *net, struct fwd *fwd,
		struct link *link, struct link_queue *queues)
{
	w->conf = conf;
	w->net = net;
	w->link = link;
	w->queues = queues;
	w->fwd = fwd;
	w->epfd = w->epfd_link = w->epfd_none = w->resting = -1;
	timers_init(&w->timers, now_ms());
	timer_init(&w->fragments, TIMER_FRAGMENTS);
	timer_init(&w->retry, TIMER_LINK);
	timer_init(&w->rest, TIMER_REST);
	timer_init(&w->stats, TIMER_STATS);
	timer_init(&w->wake, TIMER_WAKE);
	sched_init(&w->sched);
	connect_parts(w, fwd);
	icmp_errors_init(&w->errors);
	icmp_init(&w->echo);
	tcp_init(&w->tcp);
	return udp_init(&w->udp);
}

/* flow_size_max() - Return the bytes of a flow of the largest type */
static size_t flow_size_max(void)
{
	size_t max = 0;
	unsigned int i;

	for (i = 0; i < FLOW_TYPES; i++)
		max = MAX(max, flow_class[i].size());
	return max;
}

/**
 * worker_open() - Open the epoll sets and make the flow table
 * @fds:	limit of descriptors of the process
 *
 * The table has twice as many slots as there are descriptors, because flows of
 * echo peers and of forwarded UDP ports have no descriptor of their own. With
 * --max-flows, it may have fewer.
 *
 * Return: 0 on success, -errno on failure
 */
int worker_open(struct worker *w, unsigned int fds)
{
	int rc;

	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	w->epfd_link = epoll_create1(EPOLL_CLOEXEC);
	w->epfd_none = epoll_create1(EPOLL_CLOEXEC);
	if (w->epfd < 0 || w->epfd_link < 0 || w->epfd_none < 0)
		return -errno;
	rc = w->conf->no_host_access ? access_open(&w->access, w->net) : 0;
	if (rc)
		return rc;
	w->udp.fds = fds;
	w->tcp.max_fd = (int)(fds - MIN(fds / 8, FDS_KEPT));
	return flow_table_init(&w->flows, flow_size_max(),
			       MIN(2 * fds, w->conf->max_flows), w->epfd);
}

/* worker_free() - End all flows, close the link, and free all memory and
 * descriptors */
void worker_free(struct worker *w)
{
	if (!w->link)		/* start-up has failed before worker_init() */
		return;
	if (w->flows.slots)
		end_flows(w);
	link_close(w->link);
	udp_free(&w->udp);
	tcp_free(&w->tcp);
	access_close(&w->access);
	flow_table_free(&w->flows);
	if (w->epfd >= 0)
		close(w->epfd);
	if (w->epfd_link >= 0)
		close(w->epfd_link);
	if (w->epfd_none >= 0)
		close(w->epfd_none);
}
