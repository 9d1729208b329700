// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * query.c - Copies of the guest's DNS queries that were not answered yet. Each
 * flow has a list. dns.c decides when to send a query again.
 */
#include <stdlib.h>
#include <string.h>

#include "udp/flow.h"

/* Limits for copies of queries: bytes of one query, and number of queries of
 * one flow and of all flows. */
#define QUERY_MAX	1500
#define QUERIES_OF_FLOW	8
#define QUERIES_MAX	1024

#define DNS_HLEN	12	/* RFC 1035 4.1.1 */
#define DNS_FLAG_QR	0x80	/* in the third byte: an answer */

/* udp_query_remove() - Remove and free the query that @at points to */
void udp_query_remove(struct udp *u, struct udp_query **at)
{
	struct udp_query *q = *at;

	*at = q->next;
	free(q);
	u->nqueries--;
}

/* udp_query_forget() - Remove and free all queries of a flow */
void udp_query_forget(struct udp *u, struct udp_flow *uf)
{
	while (uf->queries)
		udp_query_remove(u, &uf->queries);
}

/* is_same() - Whether a query is the same as one of the guest */
static bool is_same(const struct udp_query *q, const uint8_t *data, size_t len)
{
	return q->len == len && !memcmp(q->data, data, len);
}

/**
 * udp_query_add() - Keep a copy of a query of the guest
 * @uf:		flow to which it belongs
 * @pkt:	query
 *
 * If the guest sends a query again, the copy that is there stays, with its
 * time. If there are too many queries, or if memory is short, there is no copy.
 */
void udp_query_add(struct udp *u, struct udp_flow *uf, const struct pkt *pkt,
		   uint64_t now)
{
	struct udp_query **at = &uf->queries, *q;
	uint8_t data[QUERY_MAX];
	unsigned int n;

	if (pkt->len < DNS_HLEN || pkt->len > QUERY_MAX)
		return;
	pkt_copy(pkt, data, pkt->len);
	for (n = 0; *at && !is_same(*at, data, pkt->len); n++)
		at = &(*at)->next;
	if (*at || n >= QUERIES_OF_FLOW || u->nqueries >= QUERIES_MAX)
		return;
	q = malloc(sizeof(*q) + pkt->len);
	if (!q)
		return;
	*q = (struct udp_query){ .sent_at = now, .asked = 1, .len = pkt->len };
	memcpy(q->data, data, pkt->len);
	*at = q;
	u->nqueries++;
}

/* udp_query_oldest() - Return when the oldest query of the flow was sent, ms;
 * UINT64_MAX: there is none */
uint64_t udp_query_oldest(const struct udp_flow *uf)
{
	uint64_t oldest = UINT64_MAX;
	const struct udp_query *q;

	for (q = uf->queries; q; q = q->next)
		oldest = MIN(oldest, q->sent_at);
	return oldest;
}

/* is_answer() - Whether a datagram of a resolver answers a query: it is a
 * response (QR), and has the query's identifier */
static bool is_answer(const struct udp_query *q, const uint8_t *data,
		      size_t len)
{
	return len >= DNS_HLEN && data[2] & DNS_FLAG_QR &&
	       !memcmp(data, q->data, 2);
}

/* udp_query_answered() - Remove the query that a datagram answers */
void udp_query_answered(struct udp *u, struct udp_flow *uf, const uint8_t *data,
			size_t len)
{
	struct udp_query **at = &uf->queries;

	while (*at && !is_answer(*at, data, len))
		at = &(*at)->next;
	if (*at)
		udp_query_remove(u, at);
}
