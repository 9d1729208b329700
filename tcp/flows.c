// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * flows.c - Which TCP flows there are: begins, finds and removes them, and
 * makes space for new ones.
 */
#include "log.h"
#include "tcp/flow.h"

/* tcp_flow_find() - Return the flow with a key; NULL: there is none */
struct tcp_flow *tcp_flow_find(const struct tcp *t, const struct flow_key *key)
{
	struct flow *flow = flow_lookup(t->flows, key);

	return flow ? tcp_flow_of(flow) : NULL;
}

/**
 * tcp_flow_remove() - Close the socket of a flow, and remove the flow
 * @f:		flow, invalid afterwards
 * @reset:	the peer gets RST, not FIN
 */
void tcp_flow_remove(struct tcp *t, struct tcp_flow *f, bool reset)
{
	tcp_sock_close(t, f, reset);
	timer_cancel(t->timers, &f->flow.timer);
	list_remove(&f->flow.node);
	sched_forget(t->sched, &f->flow);
	t->naccepted -= f->accepted;
	t->nflows--;
	flow_remove(t->flows, &f->flow);
}

/**
 * tcp_flow_evict() - To make space, end the connection of the guest that has
 * waited longest for its peer's answer
 *
 * The guest is not told: it soon sends its SYN again. So a guest that sends
 * very many SYNs can still open connections to peers that answer at once. What
 * peers do never ends a connection to another peer.
 *
 * Return: false if no connection waits for its peer
 */
bool tcp_flow_evict(struct tcp *t)
{
	struct list *first = t->connecting.next;

	if (list_empty(&t->connecting))
		return false;
	LOG_LIMITED(LOG_WARNING, "too many connections of the guest wait for their peers: some are given up; raise the limit of descriptors (ulimit -n), and --max-flows");
	tcp_flow_remove(t, container_of(first, struct tcp_flow, flow.node),
			false);
	t->count[TCP_EVICTED]++;
	return true;
}

/* Insert a flow in the table, unless TCP's part of it is full. */
static struct flow *insert_tcp_flow(struct tcp *t, const struct flow_key *key)
{
	uint32_t max = t->flows->max;

	if (t->nflows >= max - max / TCP_OTHER_SHARE)
		return NULL;
	return flow_insert(t->flows, key, FLOW_TCP);
}

/**
 * tcp_flow_new() - Begin a flow
 * @key:	key of the new flow, which is not in the table yet
 * @evict:	if the table has no space, call tcp_flow_evict()
 *
 * Return: flow, all of whose other members are zero; NULL if the table has no
 *	   space
 */
struct tcp_flow *tcp_flow_new(struct tcp *t, const struct flow_key *key,
			      bool evict)
{
	struct flow *flow = insert_tcp_flow(t, key);

	if (!flow && evict && tcp_flow_evict(t))
		flow = insert_tcp_flow(t, key);
	if (!flow) {
		LOG_LIMITED(LOG_WARNING, "no flows left: connections are refused; raise --max-flows");
		return NULL;
	}
	t->nflows++;
	return tcp_flow_of(flow);
}
