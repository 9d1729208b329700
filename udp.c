// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * udp.c - Handles events of UDP sockets: finds the flow that a datagram or an
 * error belongs to. Datagrams of the guest are handled in udp/from_guest.c.
 */
/* syscalls: end: munmap */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "udp/flow.h"
#include "udp/mcast.h"

#define LISTENING_SIZE	(LISTENERS_MAX * sizeof(struct udp_listening))

const char *const udp_counter_name[UDP_COUNTERS] = {
	[UDP_OPENED]		= "udp_opened",
	[UDP_ACCEPTED]		= "udp_accepted",
	[UDP_EVICTED]		= "udp_evicted",
	[UDP_REFUSED]		= "udp_refused",
	[UDP_FROM_GUEST]	= "udp_from_guest",
	[UDP_SEND_ERROR]	= "udp_send_error",
	[UDP_TO_GUEST]		= "udp_to_guest",
	[UDP_DROPPED]		= "udp_dropped",
	[UDP_NO_GUEST]		= "udp_no_guest",
	[UDP_IMPOSSIBLE]	= "udp_impossible",
	[UDP_TOO_BIG]		= "udp_too_big",
	[UDP_MULTICAST]		= "udp_multicast",
	[UDP_UNASKED]		= "udp_unasked",
	[UDP_OWN]		= "udp_from_own_port",
	[UDP_ALIKE]		= "udp_peers_alike",
	[UDP_RESOLVER_NEXT]	= "udp_resolver_next",
};

/**
 * udp_flow_size() - Return the bytes that a UDP flow needs in the flow table
 */
size_t udp_flow_size(void)
{
	return sizeof(struct udp_flow);
}

/**
 * udp_init() - Initialise the state of UDP, with no flows
 * @u:		UDP; the caller has set all members from @tap to @errors. @fds
 *		is set later
 *
 * Return: 0, or -ENOMEM
 */
int udp_init(struct udp *u)
{
	list_init(&u->one_shot);
	list_init(&u->stream);
	u->nflows = u->nsockets = 0;
	u->segment = udp_can_segment() ? UINT16_MAX : 0;
	u->df_default = udp_has_df();
	u->port_index = NULL;
	u->mcast = NULL;
	u->listening = memory_reserve(LISTENING_SIZE);
	memset(u->count, 0, sizeof(u->count));
	u->batch = udp_batch_new();
	u->guest_ports = udp_guest_ports_new();
	return u->batch && u->guest_ports && u->listening ? 0 : -ENOMEM;
}

/**
 * udp_free() - Close the sockets of groups, and free memory; all flows have
 * ended
 */
void udp_free(struct udp *u)
{
	mcast_close(u);
	udp_batch_free(u->batch);
	free(u->port_index);
	free(u->guest_ports);
	if (u->listening)
		munmap(u->listening, LISTENING_SIZE);
	u->listening = NULL;
	u->batch = NULL;
	u->port_index = NULL;
	u->guest_ports = NULL;
}

/* get_origin() - Get sender and destination of a message. If the message can't
 * be answered, count it as dropped and return false */
static bool get_origin(struct udp *u, unsigned int i, struct udp_origin *o)
{
	if (udp_origin(u, i, o))
		return true;
	u->count[UDP_IMPOSSIBLE]++;
	return false;
}

/* deliver_message() - Send the guest one message of a flow; if @uf is NULL, do
 * nothing */
static void deliver_message(struct udp *u, struct udp_flow *uf, unsigned int i,
			    uint64_t now)
{
	if (!uf)
		return;
	tap_use_queue(u->tap, uf->flow.queue);
	udp_flow_used(u, uf, 0, udp_to_guest(u, uf, i), udp_batch_len(u, i, 1),
		      now);
}

/* deliver_answers() - Send the guest the messages of a batch that came from the
 * socket of a flow with @all_ports; @asked: key of that flow. This function
 * copies the key, because the flow may end meanwhile */
static void deliver_answers(struct udp *u, const struct flow_key *asked,
			    unsigned int n, uint64_t now)
{
	const struct flow_key key = *asked;
	struct udp_origin o;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (get_origin(u, i, &o))
			deliver_message(u, udp_answer_get(u, &key, &o, now), i,
					now);
	}
}

/* take_from_socket() - Send the guest the datagrams that the socket of a flow
 * has, by one recvmmsg() */
static void take_from_socket(struct udp *u, struct udp_flow *uf, uint64_t now)
{
	unsigned int datagrams = 0;
	int i, n;

	/* If a read fails, it returns the socket's pending error. That error is
	 * also in the error queue, from which it is taken at the next event. */
	n = udp_recv_batch(u, uf->flow.fd[SIDE_HOST], &uf->rx, uf->all_ports,
			   now);
	if (n <= 0)
		return;
	if (uf->all_ports) {
		deliver_answers(u, &uf->flow.key, (unsigned int)n, now);
		return;
	}

	if (uf->dns)
		udp_dns_answers(u, uf, (unsigned int)n, now);
	for (i = 0; i < n; i++)
		datagrams += udp_to_guest(u, uf, (unsigned int)i);
	udp_flow_used(u, uf, 0, datagrams, udp_batch_len(u, 0, (unsigned int)n),
		      now);
}

/**
 * udp_event() - Take datagrams and errors from the socket of a flow
 *
 * Each call makes one recvmmsg(). If the socket has more datagrams, epoll
 * reports it again in the next pass, so other flows have their turn before.
 */
void udp_event(struct udp *u, struct flow *f, uint32_t events, uint64_t now)
{
	struct udp_flow *uf = container_of(f, struct udp_flow, flow);
	bool dns = uf->dns;	/* then take_from_socket() does not end @uf */

	if (mcast_event(u, uf, events, now))
		return;

	if (events & EPOLLERR)
		udp_drain_errors(u, f->fd[SIDE_HOST], uf, NULL, now);
	if (events & EPOLLIN)
		take_from_socket(u, uf, now);
	if (dns)
		udp_dns_go_on(u, uf, now);
}

/* deliver_forwarded() - Send the guest one message that a listener received */
static void deliver_forwarded(struct udp *u, const struct listener *l,
			      unsigned int i, uint64_t now)
{
	struct udp_origin o;

	if (get_origin(u, i, &o))
		deliver_message(u, udp_inbound_get(u, l, &o, now), i, now);
}

/**
 * udp_listener() - Take datagrams and errors from a forwarded port's socket
 */
void udp_listener(struct udp *u, const struct listener *l, uint32_t events,
		  uint64_t now)
{
	int i, n;

	if (events & EPOLLERR)
		udp_drain_errors(u, l->fd, NULL, l, now);
	if (!(events & EPOLLIN))
		return;

	n = udp_recv_batch(u, l->fd, &udp_listening(u, l)->rx, true, now);
	if (n > 0 && !link_up(u->tap->link)) {
		u->count[UDP_NO_GUEST] += (unsigned int)n;
		return;
	}
	for (i = 0; i < n; i++)
		deliver_forwarded(u, l, (unsigned int)i, now);
}

/**
 * udp_timer() - Handle the expired timer of a flow: end the flow, unless it was
 * used after the timer was armed
 */
void udp_timer(struct udp *u, struct flow *f, uint64_t now)
{
	struct udp_flow *uf = container_of(f, struct udp_flow, flow);
	uint64_t due = uf->dns ? udp_dns_timer(u, uf, now) : UINT64_MAX;
	uint64_t expires = udp_flow_expires(uf);

	if (expires > now)
		timer_arm(u->timers, &f->timer, MIN(expires, due));
	else
		udp_flow_close(u, uf);
}

/**
 * udp_end() - Close a flow, because the guest has left
 */
void udp_end(struct udp *u, struct flow *f)
{
	udp_flow_close(u, container_of(f, struct udp_flow, flow));
}
