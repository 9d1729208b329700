/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * groups.h - A model of --multicast for guest.c. It knows which datagrams may
 * leave to a group or through a group's socket, and which of the datagrams that
 * come to multicast sockets the guest may get, and must get.
 *
 * Each datagram that step_group() in guest.c lets come to a multicast socket
 * begins with MARK and a number, by which it is recognised in a frame to the
 * guest. guest.c includes this header once.
 */
#ifndef TEST_FUZZ_GROUPS_H
#define TEST_FUZZ_GROUPS_H

#include "tap/parse.h"
#include "test/fuzz/kernel.h"

#define GROUPS		7
#define GROUP_MAX	9216		/* bytes that are relayed at most */
#define ASKED		(10 * SEC)	/* after this, no answer is expected */
#define MARK		0x6d636173	/* "mcas" */
#define HEARD		(32 * MESSAGES)	/* messages in an input, at most */
#define QUERIERS	64		/* that passt remembers at least */

static const struct {
	const char *addr;
	uint16_t port;
} group_text[GROUPS] = {
	{ "224.0.0.251", 5353 }, { "ff02::fb", 5353 },
	{ "239.255.255.250", 1900 }, { "ff02::c", 1900 }, { "ff05::c", 1900 },
	{ "224.0.0.252", 5355 }, { "ff02::1:3", 5355 },
};

/* struct ends - Addresses and ports of a datagram */
struct ends {
	struct in6_addr src, dst;
	uint16_t sport, dport;
};

/**
 * struct heard - A datagram that came to a multicast socket
 * @ends:	what the guest must see. If @ends.dst is none, the model does
 *		not know @ends.dst and @ends.dport
 * @may:	the guest may get it
 * @must:	the guest must get it if nothing fails
 * @got:	how often the guest has got it
 */
struct heard {
	struct ends ends;
	bool may, must;
	unsigned int got;
};

/**
 * struct group - A group
 * @addr, @port: its address, and the port of its service
 * @guest_at:	when the guest last sent from the service's port, ms; 0: never
 * @sent_at:	when that last went through this group's socket
 */
struct group {
	struct in6_addr addr;
	uint16_t port;
	uint64_t guest_at, sent_at;
};

/**
 * struct querier_of - A peer that sent to a group of a service
 * @at:		when, ms; 0: before this guest came
 * @query:	the datagram; passt may not have read it if a call has failed
 */
struct querier_of {
	struct in6_addr addr;
	uint16_t port, service;
	uint64_t at;
	const struct heard *query;
};

/* struct query_of - Who has sent a query, by the number of its socket, and to
 * which group */
struct query_of {
	uint32_t id;
	struct ends ends;
};

/**
 * struct groups - The model
 * @on:		passt runs with --multicast
 * @unsure:	the guest has sent fragments, which the model does not follow
 * @last:	ends of the guest's last datagram
 * @nsent:	datagrams that went to a group, or through a group's socket,
 *		since the step began
 */
static struct groups {
	bool on, unsure;
	struct ends last;
	struct group group[GROUPS];
	struct querier_of querier[QUERIERS];
	unsigned int nqueriers;
	struct query_of query[FDS];
	struct heard heard[HEARD];
	unsigned int nheard, nsent;
} g;

UNCOUNTED

static bool is_recent(uint64_t at)
{
	return at && kernel.now - at < ASKED;
}

static bool is_many(const struct in6_addr *a)
{
	return addr_is_multicast(a) ||
	       (addr_is_v4(a) && addr_v4(a).s_addr == INADDR_BROADCAST);
}

/* group_find() - Return a group; NULL: it is none of --multicast */
static struct group *group_find(const struct in6_addr *addr, uint16_t port)
{
	unsigned int i;

	for (i = 0; i < GROUPS; i++)
		if (g.group[i].port == port && addr_eq(&g.group[i].addr, addr))
			return &g.group[i];
	return NULL;
}

/* group_socket() - Return the open socket that has joined a group, or NULL */
static const struct ksock *group_socket(const struct in6_addr *addr)
{
	unsigned int i;

	for (i = 0; i < FDS; i++)
		if (kernel.fd[i].open && kernel.fd[i].joined &&
		    addr_eq(&kernel.fd[i].group, addr))
			return &kernel.fd[i];
	return NULL;
}

/* has_service() - Whether passt has joined a group of a service */
static bool has_service(bool v4, uint16_t port)
{
	unsigned int i;

	for (i = 0; i < FDS; i++)
		if (kernel.fd[i].open && kernel.fd[i].joined &&
		    kernel.fd[i].port == port &&
		    addr_is_v4(&kernel.fd[i].group) == v4)
			return true;
	return false;
}

/* groups_forget() - Note that the guest has left */
static void groups_forget(void)
{
	unsigned int i;

	for (i = 0; i < GROUPS; i++)
		g.group[i].guest_at = g.group[i].sent_at = 0;
	for (i = 0; i < g.nqueriers; i++)
		g.querier[i].at = 0;
}

static void groups_start(bool on)
{
	unsigned int i;

	for (i = 0; i < GROUPS; i++) {
		g.group[i].port = group_text[i].port;
		MUST(addr_parse(group_text[i].addr, &g.group[i].addr));
	}
	groups_forget();
	g.nqueriers = 0;
	memset(g.query, 0, sizeof(g.query));
	g.on = on;
	g.unsure = false;
	g.nheard = g.nsent = 0;
}

/* groups_note() - Note a datagram that the guest is about to send. What it
 * sends from a service's port may go through the socket of any group of the
 * service in this family */
static void groups_note(const struct pkt *pkt)
{
	bool v4 = addr_is_v4(&pkt->src);
	struct group *p;

	g.last = (struct ends){ pkt->src, pkt->dst, pkt->sport, pkt->dport };
	for (p = g.group; p < g.group + GROUPS; p++) {
		if (p->port == pkt->sport && addr_is_v4(&p->addr) == v4)
			p->guest_at = kernel.now;
	}
}

/* querier_find() - Return the last query of a peer to a service; NULL: none */
static const struct querier_of *querier_find(const struct in6_addr *addr,
					     uint16_t port, uint16_t service)
{
	unsigned int i = g.nqueriers;

	while (i--)
		if (g.querier[i].port == port &&
		    g.querier[i].service == service &&
		    addr_eq(&g.querier[i].addr, addr))
			return &g.querier[i];
	return NULL;
}

/* leaves_by() - Return the index of the interface that a message names */
static uint32_t leaves_by(const struct msghdr *m)
{
	struct in6_pktinfo p6 = { .ipi6_ifindex = 0 };
	struct in_pktinfo p4 = { .ipi_ifindex = 0 };
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR((struct msghdr *)m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			memcpy(&p4, CMSG_DATA(c), sizeof(p4));
		if (c->cmsg_level == IPPROTO_IPV6 &&
		    c->cmsg_type == IPV6_PKTINFO)
			memcpy(&p6, CMSG_DATA(c), sizeof(p6));
	}
	return (uint32_t)p4.ipi_ifindex + p6.ipi6_ifindex;
}

/* groups_sent() - Check that a datagram may leave as it does: to a group only
 * by the interface on which passt has joined the group, from the service's port
 * if the guest has used it, and not to programs of the host; through a group's
 * socket to a single peer only if this peer has just sent a query */
static void groups_sent(const struct ksock *s, const struct msghdr *m)
{
	const struct querier_of *q;
	const struct ksock *joined;
	struct in6_addr dst;
	bool service;
	uint16_t port;

	if (!m->msg_name) {
		MUST(!s->joined);
		return;
	}
	sockaddr_get(m->msg_name, &dst, &port);
	if (!is_many(&dst) && !s->joined)
		return;
	g.nsent++;
	MUST(g.on && s->quiet);
	MUST(g.unsure || (addr_eq(&dst, &g.last.dst) && port == g.last.dport));
	service = s->joined && (g.unsure || g.last.sport == s->port);
	if (service)
		group_find(&s->group, s->port)->sent_at = kernel.now;
	if (!is_many(&dst)) {
		q = querier_find(&dst, port, s->port);
		MUST(service);
		MUST(g.unsure || g.nqueriers == QUERIERS ||
		     (q && is_recent(q->at)));
		return;
	}
	joined = group_socket(&dst);
	MUST(group_find(&dst, port) && joined);
	MUST(leaves_by(m) == joined->joined);
	MUST(g.unsure || service == (g.last.sport == port));
	if (!s->joined)
		g.query[s - kernel.fd] = (struct query_of){ s->id, g.last };
}

/* expect_group() - Say what the guest must see of a datagram that came to a
 * group's socket */
static void expect_group(const struct ksock *s, const struct in6_addr *dst,
			 struct heard *h)
{
	const struct group *p = group_find(&s->group, s->port);

	MUST(p);
	if (addr_eq(dst, &s->group)) {
		h->ends.dst = *dst;
		h->ends.dport = s->port;
		h->may = h->must = true;
		if (g.nqueriers < QUERIERS)
			g.querier[g.nqueriers++] = (struct querier_of){
				h->ends.src, h->ends.sport, s->port,
				kernel.now, h };
	} else if (!is_many(dst)) {
		h->may = g.unsure || is_recent(p->guest_at);
		h->must = !g.unsure && is_recent(p->sent_at);
	}
}

/* expect_query() - The same for a socket of a query to a group */
static void expect_query(const struct ksock *s, const struct in6_addr *dst,
			 struct heard *h)
{
	const struct query_of *q = &g.query[s - kernel.fd];

	h->may = h->must = !is_many(dst);
	if (g.unsure || q->id != s->id) {
		h->must = false;
		return;
	}
	h->ends.dst = q->ends.src;
	h->ends.dport = q->ends.sport;
}

/* comes_by() - Whether a datagram that comes by an interface can be for a
 * multicast socket. It may be, too, if the model does not know which socket has
 * sent the query */
static bool comes_by(const struct ksock *s, uint32_t ifindex)
{
	const struct query_of *q = &g.query[s - kernel.fd];
	const struct ksock *of = s;

	if (!s->joined && (g.unsure || q->id != s->id))
		return true;
	if (!s->joined)
		of = group_socket(&q->ends.dst);
	return of && of->joined == ifindex;
}

/**
 * groups_heard() - Note that a datagram comes to a multicast socket
 * @s:		socket
 * @from, @port: the peer's address and port
 * @dst:	destination of the datagram
 * @ifindex:	interface that it comes by
 * @len:	bytes of payload
 *
 * Return: number of the datagram
 */
static unsigned int groups_heard(const struct ksock *s,
				 const struct in6_addr *from, uint16_t port,
				 const struct in6_addr *dst, uint32_t ifindex,
				 size_t len)
{
	struct heard *h = &g.heard[g.nheard];

	MUST(g.nheard < HEARD);
	*h = (struct heard){ .ends = { .src = *from, .sport = port } };
	if (!port || len > GROUP_MAX || !comes_by(s, ifindex))
		return g.nheard++;
	if (s->joined)
		expect_group(s, dst, h);
	else
		expect_query(s, dst, h);
	return g.nheard++;
}

/* groups_got() - Check the UDP datagram @l4, or its first fragment, that goes
 * to the guest from @src to @dst: if it came to a multicast socket, the guest
 * may get it, once, and with these addresses */
static void groups_got(const struct in6_addr *src, const struct in6_addr *dst,
		       const uint8_t *l4, size_t len)
{
	struct heard *h;

	if (len < 16 || get_be32(l4 + 8) != MARK)
		return;
	MUST(get_be32(l4 + 12) < g.nheard);
	h = &g.heard[get_be32(l4 + 12)];
	MUST(h->may && !h->got++);
	MUST(addr_eq(src, &h->ends.src) && get_be16(l4) == h->ends.sport);
	MUST(addr_is_none(&h->ends.dst) ||
	     (get_be16(l4 + 2) == h->ends.dport &&
	      addr_eq(dst, &h->ends.dst)));
}

COUNTED

#endif /* TEST_FUZZ_GROUPS_H */
