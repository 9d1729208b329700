// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * dns.c - Queries to the address of --dns-forward, if it leads to several
 * resolvers: a query that its resolver does not answer goes to the next one.
 *
 * A flow sends to one resolver at a time, from a socket that is connected to
 * it, so no other host can answer. Each query of the guest is copied until its
 * answer comes. If no answer comes within UDP_DNS_WAIT, or if an ICMP error
 * says that the resolver can't be reached, the flow gets a new socket, with
 * another source port, and sends its open queries to the next resolver. Each
 * query goes to each resolver once. What has no copy, because it is too long or
 * because there are too many, is lost as without this file: then the guest asks
 * again.
 */
#include <errno.h>
#include <sys/socket.h>

#include "log.h"
#include "udp/flow.h"

#define DNS_PORT	53	/* RFC 1035 4.2.1 */

/**
 * resend_queries() - Send the queries of a flow to the resolver that the flow
 * sends to now
 *
 * An error is not handled here: if the resolver can't be reached, epoll reports
 * the error, or the query is not answered in time. The flow counts as used, so
 * that it does not end before its last resolver was asked.
 */
static void resend_queries(struct udp *u, struct udp_flow *uf, uint64_t now)
{
	struct udp_query *q;

	for (q = uf->queries; q; q = q->next) {
		q->sent_at = now;
		q->asked++;
		sock_send(uf->flow.fd[SIDE_HOST], q->data, q->len,
		     MSG_DONTWAIT | MSG_NOSIGNAL);
		u->count[UDP_RESOLVER_NEXT]++;
	}
	udp_flow_used(u, uf, 0, 0, 0, now);
	timer_arm(u->timers, &uf->flow.timer, now + UDP_DNS_WAIT);
}

/* has_untried() - Whether there is a resolver to which a query of the flow was
 * not sent yet */
static bool has_untried(const struct udp *u, const struct udp_flow *uf)
{
	unsigned int n = udp_resolvers(u, &uf->flow.key);
	const struct udp_query *q;

	for (q = uf->queries; q; q = q->next) {
		if (q->asked < n)
			return true;
	}
	return false;
}

/**
 * udp_dns_error() - Handle an ICMP error about a query
 *
 * Return: true if another resolver will be asked, in udp_dns_go_on(), so that
 *	   the guest must not be told of the error
 */
bool udp_dns_error(const struct udp *u, struct udp_flow *uf, int error)
{
	uf->resolver_failed |= error != EMSGSIZE && has_untried(u, uf);
	return uf->resolver_failed;
}

/* ask_next() - Send the flow's open queries to the next resolver that can be
 * reached. Queries that were sent to all resolvers are removed */
static void ask_next(struct udp *u, struct udp_flow *uf, uint64_t now)
{
	unsigned int n = udp_resolvers(u, &uf->flow.key), i;
	struct udp_query **at = &uf->queries;
	struct in6_addr next = uf->peer;
	int rc;

	while (*at) {
		if ((*at)->asked >= n)
			udp_query_remove(u, at);
		else
			at = &(*at)->next;
	}
	for (i = 1; i < n && uf->queries; i++) {
		next = resolvers_after(u->resolvers, &uf->flow.key.peer, &next);
		rc = udp_flow_move(u, uf, &next, now);
		if (!rc) {
			resend_queries(u, uf, now);
			return;
		}
		if (sock_lacks_resource(rc))
			break;
		resolvers_failed(u->resolvers, &uf->flow.key.peer, &next, now);
	}
	udp_query_forget(u, uf);
}

/* leave_resolver() - Note that the resolver of a flow has failed, and ask the
 * next one */
static void leave_resolver(struct udp *u, struct udp_flow *uf, uint64_t now)
{
	char text[ADDR_STRLEN];

	LOG_LIMITED(LOG_DEBUG, "resolver %s does not answer",
		    addr_str(&uf->peer, text));
	resolvers_failed(u->resolvers, &uf->flow.key.peer, &uf->peer,
			 udp_query_oldest(uf));
	ask_next(u, uf, now);
}

/* udp_dns_go_on() - Ask the next resolver, if errors about this flow say that
 * its resolver can't be reached. Call this after the flow's errors and answers
 * were read: if all queries were answered meanwhile, the resolver stays */
void udp_dns_go_on(struct udp *u, struct udp_flow *uf, uint64_t now)
{
	if (!uf->resolver_failed)
		return;
	uf->resolver_failed = false;
	if (has_untried(u, uf))
		leave_resolver(u, uf, now);
}

/**
 * udp_dns_timer() - Ask the next resolver, if a query was not answered in time
 *
 * While the guest takes no frames, passt reads no answers. An answer may wait
 * in the flow's socket then, so no other resolver is asked.
 *
 * Return: when to call this function again, ms; UINT64_MAX: never
 */
uint64_t udp_dns_timer(struct udp *u, struct udp_flow *uf, uint64_t now)
{
	uint64_t oldest = udp_query_oldest(uf);

	if (oldest == UINT64_MAX)
		return oldest;
	if (now >= oldest + UDP_DNS_WAIT) {
		if (tap_stalled(u->tap, now))
			return now + UDP_DNS_WAIT;
		leave_resolver(u, uf, now);
		oldest = udp_query_oldest(uf);
	}
	return oldest == UINT64_MAX ? oldest : oldest + UDP_DNS_WAIT;
}

/* udp_dns_answers() - Note what a resolver has sent: the first @n messages of
 * the batch, at least one */
void udp_dns_answers(struct udp *u, struct udp_flow *uf, unsigned int n,
		     uint64_t now)
{
	size_t len, each, at;
	const uint8_t *data;
	unsigned int i;

	resolvers_answered(u->resolvers, &uf->flow.key.peer, &uf->peer, now);
	for (i = 0; i < n && uf->queries; i++) {
		data = udp_batch_message(u, i, &len, &each);
		for (at = 0; at < len; at += each)
			udp_query_answered(u, uf, data + at,
					   MIN(each, len - at));
	}
}

/* has_old_resolver() - Whether a flow has to send to another resolver from now
 * on: its own is not in the list any more, or it waits for no answer, and
 * another one is the current one. A flow to port 853 carries a session (DNS
 * over QUIC, RFC 9250), which no other resolver knows, so it stays while it
 * can */
static bool has_old_resolver(const struct udp *u, const struct udp_flow *uf)
{
	const struct in6_addr *visible = &uf->flow.key.peer;
	struct in6_addr current = resolvers_current(u->resolvers, visible);

	return !addr_eq(&uf->peer, &current) &&
	       ((!uf->queries && uf->flow.key.pport == DNS_PORT) ||
		!resolvers_has(u->resolvers, visible, &uf->peer));
}

/**
 * udp_dns_ask() - Prepare a flow to --dns-forward for queries of the guest,
 * which the caller sends
 * @batch, @n:	queries
 *
 * The flow's address still leads to a resolver.
 *
 * Return: 0, or -errno if there is no socket for the flow, which must then end
 */
int udp_dns_ask(struct udp *u, struct udp_flow *uf, const struct pkt *batch,
		unsigned int n, uint64_t now)
{
	unsigned int i;
	int rc;

	if (has_old_resolver(u, uf)) {
		rc = udp_flow_move_to_current(u, uf, now);
		if (rc)
			return rc;
		if (uf->queries)
			resend_queries(u, uf, now);
	}
	if (udp_resolvers(u, &uf->flow.key) == 1 ||
	    uf->flow.key.pport != DNS_PORT)
		return 0;
	if (!uf->queries)
		timer_arm(u->timers, &uf->flow.timer, now + UDP_DNS_WAIT);
	for (i = 0; i < n; i++)
		udp_query_add(u, uf, &batch[i], now);
	return 0;
}
