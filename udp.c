// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * udp.c - What comes in for UDP, from either side, and to which flow it goes.
 * Called by passt.c; calls udp/, the flow table, forward.c and icmp.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "udp/flow.h"
#include "udp/multicast.h"

const char *const udp_counter_name[UDP_COUNTERS] = {
	[UDP_OPENED]		= "udp_opened",
	[UDP_ACCEPTED]		= "udp_accepted",
	[UDP_EVICTED]		= "udp_evicted",
	[UDP_REFUSED]		= "udp_refused",
	[UDP_SENT]		= "udp_sent",
	[UDP_SEND_ERROR]	= "udp_send_error",
	[UDP_RECEIVED]		= "udp_received",
	[UDP_NO_GUEST]		= "udp_no_guest",
	[UDP_IMPOSSIBLE]	= "udp_impossible",
	[UDP_TOO_BIG]		= "udp_too_big",
	[UDP_MULTICAST]		= "udp_multicast",
	[UDP_UNASKED]		= "udp_unasked",
};

/**
 * udp_flow_size() - Bytes a slot of the flow table needs
 */
size_t udp_flow_size(void)
{
	return sizeof(struct udp_flow);
}

/**
 * udp_init() - Start without flows
 * @u:		UDP, with what it works with filled in
 *
 * Return: 0, or -ENOMEM
 */
int udp_init(struct udp *u)
{
	list_init(&u->one_shot);
	list_init(&u->stream);
	u->alive = u->sockets = 0;
	u->expected = UDP_FIRST_GUESS;
	u->segment = udp_can_segment() ? UINT16_MAX : 0;
	u->ports = NULL;
	u->multicast = NULL;
	memset(u->count, 0, sizeof(u->count));
	u->batch = udp_batch_new();
	return u->batch ? 0 : -ENOMEM;
}

/**
 * udp_free() - Close all flows, give back memory
 * @u:		UDP
 */
void udp_free(struct udp *u)
{
	udp_guest_gone(u);
	udp_multicast_close(u);
	udp_batch_free(u->batch);
	free(u->ports);
	u->batch = NULL;
	u->ports = NULL;
}

/* find() - The flow with a key, or NULL */
static struct udp_flow *find(const struct udp *u, const struct flow_key *key)
{
	struct flow *f = flow_lookup(u->flows, key);

	return f ? container_of(f, struct udp_flow, f) : NULL;
}

/**
 * report_pending() - Tell the guest of an error that came for earlier datagrams
 * @u:		UDP
 * @uf:		flow
 * @error:	as the socket said, positive
 * @now:	ms
 */
static void report_pending(struct udp *u, const struct udp_flow *uf, int error,
			   uint64_t now)
{
	struct icmp_quote q = { .key = &uf->f.key, .total = UDP_HLEN };

	icmp_error(u->icmp, error, NULL, 0, &q, now);
}

/* path_mtu() - What the host knows of the MTU on a flow's path, 0: nothing */
static uint32_t path_mtu(const struct udp_flow *uf)
{
	bool v4 = addr_is_v4(&uf->f.key.remote);
	socklen_t len = sizeof(int);
	int mtu;

	if (getsockopt(uf->f.fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
		       v4 ? IP_MTU : IPV6_MTU, &mtu, &len) || mtu < 0)
		return 0;
	return (uint32_t)mtu;
}

/**
 * send_failed() - A datagram was not sent
 * @u:		UDP
 * @uf:		flow
 * @error:	why, positive
 * @pkt:	datagram
 * @now:	ms
 */
static void send_failed(struct udp *u, const struct udp_flow *uf, int error,
			const struct pkt *pkt, uint64_t now)
{
	uint32_t mtu = error == EMSGSIZE ? path_mtu(uf) : 0;

	u->count[UDP_SEND_ERROR]++;
	icmp_error_pkt(u->icmp, error, NULL, mtu, pkt, now);
}

/**
 * send_some() - Send the first datagrams of a run
 * @u:		UDP
 * @uf:		flow
 * @run:	packets of that flow
 * @n:		how many
 * @now:	ms
 *
 * The first error may be the pending one of an earlier datagram, which the
 * kernel hands out only once: the second is the datagram's own.
 *
 * Return: number sent, 1 or more, or -errno of the first datagram
 */
static int send_some(struct udp *u, struct udp_flow *uf,
		     const struct pkt *run, unsigned int n, uint64_t now)
{
	int pending = udp_send(u, uf, run, n), rc;

	if (pending > 0 || pending == -EAGAIN || uf->f.fd < 0)
		return pending;

	rc = udp_send(u, uf, run, n);
	if (rc != pending)
		report_pending(u, uf, -pending, now);
	return rc;
}

/**
 * send_run() - Send a run of datagrams, and answer for those that can't be
 * @u:		UDP
 * @uf:		flow
 * @run:	packets of that flow
 * @n:		how many
 * @now:	ms
 *
 * What a full socket does not take is dropped, as by a full queue on the way.
 */
static void send_run(struct udp *u, struct udp_flow *uf,
		     const struct pkt *run, unsigned int n, uint64_t now)
{
	int rc;

	for (; n; run += rc, n -= (unsigned int)rc) {
		rc = send_some(u, uf, run, n, now);
		if (rc == -EAGAIN || rc == -ENOBUFS) {
			u->count[UDP_SEND_ERROR] += n;
			return;
		}
		if (rc > 0) {
			u->count[UDP_SENT] += (unsigned int)rc;
		} else {
			send_failed(u, uf, -rc, run, now);
			rc = 1;
		}
	}
}

/**
 * open_flow() - A new flow for a run, or the guest hears why not
 * @u:		UDP
 * @key:	of the flow
 * @run:	packets
 * @n:		how many
 * @now:	ms
 *
 * Return: flow, or NULL
 */
static struct udp_flow *open_flow(struct udp *u, const struct flow_key *key,
				  const struct pkt *run, unsigned int n,
				  uint64_t now)
{
	struct udp_flow *uf;
	int rc;

	rc = udp_flow_open(u, key, now, &uf);
	if (!rc)
		return uf;

	if (rc == -EINVAL)
		u->count[UDP_IMPOSSIBLE] += n;
	else if (!icmp_error_pkt(u->icmp, -rc, NULL, 0, run, now))
		u->count[UDP_REFUSED]++;
	else
		u->count[UDP_SEND_ERROR] += n;
	return NULL;
}

/**
 * udp_input() - Datagrams from the guest
 * @u:		UDP
 * @run:	packets with the same addresses and ports
 * @n:		how many
 * @now:	ms
 */
void udp_input(struct udp *u, const struct pkt *run, unsigned int n,
	       uint64_t now)
{
	struct flow_key key = {
		.guest = run->src, .remote = run->dst,
		.gport = run->sport, .rport = run->dport,
		.proto = IPPROTO_UDP,
	};
	struct udp_flow *uf;

	if (udp_multicast_input(u, run, n, now))
		return;

	/* RFC 768: without a source port no reply is wanted, but a socket
	 * would have one. */
	if (!run->sport || !run->dport || !addr_is_unicast(&run->src) ||
	    !addr_is_unicast(&run->dst)) {
		u->count[UDP_IMPOSSIBLE] += n;
		return;
	}

	uf = find(u, &key);
	if (!uf)
		uf = open_flow(u, &key, run, n, now);
	if (!uf)
		return;
	udp_flow_used(u, uf, n, 0, now);
	send_run(u, uf, run, n, now);
}

/**
 * udp_event() - The socket of a flow has datagrams or an error
 * @u:		UDP
 * @f:		flow
 * @events:	EPOLL*
 * @now:	ms
 *
 * One batch at a time: what is left makes the next pass begin at once, after
 * the other flows had their turn.
 */
void udp_event(struct udp *u, struct flow *f, uint32_t events, uint64_t now)
{
	struct udp_flow *uf = container_of(f, struct udp_flow, f);
	socklen_t len = sizeof(int);
	struct tap_hdr h;
	int i, n, error;

	if (udp_multicast_event(u, uf, events, now))
		return;

	if (events & EPOLLERR &&
	    !getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &len) && error)
		report_pending(u, uf, error, now);
	if (!(events & EPOLLIN))
		return;

	n = udp_receive(u, f->fd, false);
	if (n < 0)
		report_pending(u, uf, -n, now);
	if (n <= 0)
		return;

	udp_flow_used(u, uf, 0, (unsigned int)n, now);
	udp_headers(u, uf, &h);
	for (i = 0; i < n; i++)
		udp_deliver(u, &h, uf, (unsigned int)i);
}

/**
 * forwarded_key() - The key of the flow that a datagram belongs to
 * @u:		UDP
 * @l:		listener it came to
 * @o:		where it came from
 * @key:	filled
 *
 * Return: false if there is no way to address it, counted
 */
static bool forwarded_key(struct udp *u, const struct listener *l,
			  const struct udp_origin *o, struct flow_key *key)
{
	const struct in6_addr *target = &u->fwd->rules[l->rule].target;

	memset(key, 0, sizeof(*key));
	key->proto = IPPROTO_UDP;
	key->rport = o->port;
	key->gport = fwd_guest_port(u->fwd, l);
	if (!fwd_in(&u->fwd->map, &o->peer, &key->remote)) {
		u->count[UDP_IMPOSSIBLE]++;
		return false;
	}
	key->guest = addr_is_none(target) ?
		     *tap_guest_addr(u->tap, &key->remote) : *target;
	if (addr_is_none(&key->guest)) {
		u->count[UDP_NO_GUEST]++;
		return false;
	}
	if (addr_is_v4(&key->remote) != addr_is_v4(&key->guest)) {
		u->count[UDP_IMPOSSIBLE]++;
		return false;
	}
	return true;
}

/**
 * forwarded_flow() - The flow that a datagram for a listener belongs to
 * @u:		UDP
 * @index:	of the listener
 * @o:		where the datagram came from
 * @now:	ms
 *
 * A flow that the guest opened keeps its own socket, whatever comes in through
 * a forwarded port for the same addresses: its sender could be forged.
 *
 * Return: flow, or NULL, counted
 */
static struct udp_flow *forwarded_flow(struct udp *u, uint32_t index,
				       const struct udp_origin *o, uint64_t now)
{
	struct udp_flow *uf;
	struct flow_key key;

	if (!forwarded_key(u, &u->fwd->listeners[index], o, &key))
		return NULL;

	uf = find(u, &key);
	if (!uf)
		uf = udp_flow_accept(u, &key, index, now);
	if (!uf) {
		u->count[UDP_REFUSED]++;
		return NULL;
	}
	if (uf->f.fd < 0) {
		uf->listener = index;
		uf->peer = o->peer;
		uf->local = o->local;
		uf->ifindex = o->ifindex;
	}
	return uf;
}

/* forward() - One datagram of the batch that came in through a listener */
static void forward(struct udp *u, uint32_t index, unsigned int i, uint64_t now)
{
	struct udp_origin o;
	struct udp_flow *uf;
	struct tap_hdr h;

	if (!udp_origin(u, i, &o)) {
		u->count[UDP_IMPOSSIBLE]++;
		return;
	}
	uf = forwarded_flow(u, index, &o, now);
	if (!uf)
		return;
	udp_flow_used(u, uf, 0, 1, now);
	udp_headers(u, uf, &h);
	udp_deliver(u, &h, uf, i);
}

/**
 * udp_listener() - A forwarded port has datagrams
 * @u:		UDP
 * @index:	of the listener
 * @now:	ms
 */
void udp_listener(struct udp *u, unsigned int index, uint64_t now)
{
	int i, n = udp_receive(u, u->fwd->listeners[index].fd, true);

	if (n > 0 && !link_up(u->tap->link)) {
		u->count[UDP_NO_GUEST] += (unsigned int)n;
		return;
	}
	for (i = 0; i < n; i++)
		forward(u, index, (unsigned int)i, now);
}

/**
 * udp_timer() - The timer of a flow has expired
 * @u:		UDP
 * @f:		flow
 * @now:	ms
 */
void udp_timer(struct udp *u, struct flow *f, uint64_t now)
{
	struct udp_flow *uf = container_of(f, struct udp_flow, f);
	uint64_t expires = udp_flow_expires(uf);

	if (expires > now)
		timer_arm(u->timers, &f->timer, expires);
	else
		udp_flow_close(u, uf);
}

/* close_all() - Close the flows of one list */
static void close_all(struct udp *u, struct list *head)
{
	while (!list_empty(head))
		udp_flow_close(u, container_of(head->next, struct udp_flow,
					       f.node));
}

/**
 * udp_guest_gone() - Close all flows
 * @u:		UDP
 */
void udp_guest_gone(struct udp *u)
{
	close_all(u, &u->one_shot);
	close_all(u, &u->stream);
	udp_multicast_forget(u);
}
