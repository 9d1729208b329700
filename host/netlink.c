// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * netlink.c - Reads the host's addresses and routes over rtnetlink(7).
 * Called by defaults.c; calls libc and util.c.
 *
 * A question is a dump: the kernel's answers are read message by message,
 * each is checked and parsed once, and the best one by the rules below stays.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "host/netlink.h"
#include "util.h"

#define NL_BUF		32768	/* what the kernel fills at most in a dump */
#define NL_TIMEOUT	2	/* seconds; it answers at once or never */

/**
 * struct route - A unicast route of the main table
 * @dst_len:	prefix length, 0: a default route
 * @local:	its prefix is link-local
 * @metric:	priority: the lowest wins
 * @ifindex:	interface of its heaviest next hop
 * @gw:		gateway of that, none: directly connected
 */
struct route {
	unsigned int dst_len;
	bool local;
	uint32_t metric;
	unsigned int ifindex;
	struct in6_addr gw;
};

/**
 * struct routes - What was seen in a dump of routes
 * @family:	AF_INET or AF_INET6
 * @ifindex:	count this interface only, 0: any
 * @def:	the default route, if @have_def
 * @only:	interface of all routes, 0: there is none
 * @several:	there are routes by other interfaces than @only
 */
struct routes {
	int family;
	unsigned int ifindex;
	struct route def;
	bool have_def;
	unsigned int only;
	bool several;
};

/**
 * struct addrs - What was seen in a dump of addresses
 * @family:	AF_INET or AF_INET6
 * @ifindex:	interface
 * @addr, @len:	the best address so far, and its prefix length
 * @rank:	how good it is, 0: there is none
 */
struct addrs {
	int family;
	unsigned int ifindex;
	struct in6_addr addr;
	unsigned int len;
	unsigned int rank;
};

/* Called with each message of a dump. */
typedef void (*nl_visit)(const struct nlmsghdr *h, void *seen);

/**
 * attr_addr() - An address from an attribute
 * @rta:	attribute
 * @family:	family it has to be of
 * @addr:	set if it is one
 */
static void attr_addr(const struct rtattr *rta, int family,
		      struct in6_addr *addr)
{
	struct in_addr v4;

	if (family == AF_INET && RTA_PAYLOAD(rta) == sizeof(v4)) {
		memcpy(&v4, RTA_DATA(rta), sizeof(v4));
		*addr = addr_from_v4(v4);
	}
	if (family == AF_INET6 && RTA_PAYLOAD(rta) == sizeof(*addr))
		memcpy(addr, RTA_DATA(rta), sizeof(*addr));
}

/* attr_u32() - A number from an attribute, @other if it isn't one */
static uint32_t attr_u32(const struct rtattr *rta, uint32_t other)
{
	uint32_t n;

	if (RTA_PAYLOAD(rta) < sizeof(n))
		return other;
	memcpy(&n, RTA_DATA(rta), sizeof(n));
	return n;
}

/**
 * hops_heaviest() - The next hop that most of the traffic takes
 * @rta:	RTA_MULTIPATH
 * @only:	interface to look at, 0: any
 * @r:		interface and gateway are set
 */
static void hops_heaviest(const struct rtattr *rta, const struct routes *only,
			  struct route *r)
{
	const struct rtnexthop *hop = RTA_DATA(rta);
	int left = (int)RTA_PAYLOAD(rta), best = -1;

	for (; left >= (int)sizeof(*hop) && RTNH_OK(hop, left);
	     left -= (int)RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		const struct rtattr *a = RTNH_DATA(hop);
		int len = hop->rtnh_len - (int)RTNH_LENGTH(0);

		if (hop->rtnh_hops <= best || hop->rtnh_flags & RTNH_F_DEAD ||
		    (only->ifindex &&
		     (unsigned int)hop->rtnh_ifindex != only->ifindex))
			continue;
		best = hop->rtnh_hops;
		r->ifindex = (unsigned int)hop->rtnh_ifindex;
		r->gw = ADDR_NONE;
		for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
			if (a->rta_type == RTA_GATEWAY)
				attr_addr(a, only->family, &r->gw);
		}
	}
}

/**
 * route_parse() - One route
 * @h:		RTM_NEWROUTE, its length checked against what was received
 * @want:	family and interface that are looked for
 * @r:		filled
 *
 * Return: false if it is not a unicast route of the main table that leads
 *	   where it is looked for
 */
static bool route_parse(const struct nlmsghdr *h, const struct routes *want,
			struct route *r)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	int len = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof(*m)));
	struct in6_addr dst = ADDR_NONE;
	const struct rtattr *a;
	uint32_t table;

	if (h->nlmsg_type != RTM_NEWROUTE ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
	    m->rtm_family != want->family || m->rtm_type != RTN_UNICAST ||
	    m->rtm_flags & (RTM_F_CLONED | RTNH_F_DEAD))
		return false;

	*r = (struct route) { .dst_len = m->rtm_dst_len };
	table = m->rtm_table;
	for (a = RTM_RTA(m); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == RTA_TABLE)
			table = attr_u32(a, table);
		else if (a->rta_type == RTA_PRIORITY)
			r->metric = attr_u32(a, 0);
		else if (a->rta_type == RTA_OIF)
			r->ifindex = attr_u32(a, 0);
		else if (a->rta_type == RTA_DST)
			attr_addr(a, want->family, &dst);
		else if (a->rta_type == RTA_GATEWAY)
			attr_addr(a, want->family, &r->gw);
		else if (a->rta_type == RTA_MULTIPATH)
			hops_heaviest(a, want, r);
	}
	r->local = addr_is_linklocal(&dst);
	return table == RT_TABLE_MAIN && r->ifindex &&
	       (!want->ifindex || r->ifindex == want->ifindex);
}

/**
 * routes_visit() - Take note of one route
 * @h:		message
 * @seen:	struct routes
 *
 * A default route counts if it is the first or has a lower metric. Every
 * interface that is up has a route to fe80::/64, which leads nowhere.
 */
static void routes_visit(const struct nlmsghdr *h, void *seen)
{
	struct routes *s = seen;
	struct route r;

	if (!route_parse(h, s, &r))
		return;

	if (!r.dst_len && (!s->have_def || r.metric < s->def.metric)) {
		s->def = r;
		s->have_def = true;
	}
	if (r.local)
		return;
	if (s->only && s->only != r.ifindex)
		s->several = true;
	s->only = r.ifindex;
}

/**
 * addr_rank() - How well an address suits the guest
 * @a:		address
 * @scope:	enum rt_scope_t
 * @flags:	IFA_F_*
 *
 * One that lasts is better than one that is about to go; of IPv6 addresses, a
 * global one better than a unique local one (RFC 4193), with which guests
 * would avoid IPv6 (RFC 6724 10.6).
 *
 * Return: 0 if not at all, else the higher the better
 */
static unsigned int addr_rank(const struct in6_addr *a, unsigned int scope,
			      uint32_t flags)
{
	unsigned int rank = 1;

	if (!addr_is_unicast(a) || scope >= RT_SCOPE_HOST)
		return 0;
	if (!addr_is_v4(a) && addr_is_linklocal(a))
		return 0;
	if (flags & IFA_F_DADFAILED ||
	    (flags & IFA_F_TENTATIVE && !(flags & IFA_F_OPTIMISTIC)))
		return 0;

	if (scope == RT_SCOPE_UNIVERSE)
		rank += 8;
	if (!(flags & IFA_F_DEPRECATED))
		rank += 4;
	if (!(flags & IFA_F_SECONDARY))	/* IPv6: IFA_F_TEMPORARY, the same */
		rank += 2;
	if (addr_is_v4(a) || (a->s6_addr[0] & 0xfe) != 0xfc)
		rank += 1;
	return rank;
}

/**
 * addrs_visit() - Take note of one address, if it is better than those before
 * @h:		message
 * @seen:	struct addrs
 */
static void addrs_visit(const struct nlmsghdr *h, void *seen)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	int len = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof(*m)));
	struct in6_addr addr = ADDR_NONE, local = ADDR_NONE;
	struct addrs *s = seen;
	const struct rtattr *a;
	unsigned int rank;
	uint32_t flags;

	if (h->nlmsg_type != RTM_NEWADDR ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
	    m->ifa_family != s->family || m->ifa_index != s->ifindex)
		return;

	flags = m->ifa_flags;
	for (a = IFA_RTA(m); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == IFA_FLAGS)
			flags = attr_u32(a, flags);
		else if (a->rta_type == IFA_LOCAL)
			attr_addr(a, s->family, &local);
		else if (a->rta_type == IFA_ADDRESS)
			attr_addr(a, s->family, &addr);
	}

	/* On a point-to-point link, IFA_ADDRESS is the other end. */
	if (!addr_is_none(&local))
		addr = local;
	rank = addr_rank(&addr, m->ifa_scope, flags);
	if (rank <= s->rank ||
	    m->ifa_prefixlen > (s->family == AF_INET ? 32 : 128))
		return;
	s->rank = rank;
	s->addr = addr;
	s->len = m->ifa_prefixlen;
}

/* msg_ok() - NLMSG_OK() for a length that NLMSG_NEXT() may take below zero */
static bool msg_ok(const struct nlmsghdr *h, int left)
{
	return left >= (int)sizeof(*h) && h->nlmsg_len >= sizeof(*h) &&
	       h->nlmsg_len <= (unsigned int)left;
}

/**
 * nl_parse() - The messages of one datagram from the kernel
 * @buf:	datagram, aligned as struct nlmsghdr
 * @len:	its length, bytes
 * @seq:	sequence number of the question
 * @visit:	called with each message that answers it
 * @seen:	its second argument
 *
 * What changed during a dump (NLM_F_DUMP_INTR) is not told from what changes
 * right after it.
 *
 * Return: 1 if more is to come, 0 at the end, -errno on failure
 */
static int nl_parse(const void *buf, size_t len, uint32_t seq, nl_visit visit,
		    void *seen)
{
	const struct nlmsghdr *h = buf;
	int left = (int)len;

	for (; msg_ok(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_seq != seq)
			continue;
		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *e = NLMSG_DATA(h);

			if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)) ||
			    e->error >= 0)
				return -EPROTO;
			return e->error;
		}
		visit(h, seen);
	}
	return 1;
}

/**
 * nl_read() - Read all answers to a question
 * @nl:		socket
 * @seq:	sequence number of the question
 * @visit, @seen: as for nl_parse()
 *
 * Return: 0, -errno on failure
 */
static int nl_read(int nl, uint32_t seq, nl_visit visit, void *seen)
{
	union {
		struct nlmsghdr h;
		char bytes[NL_BUF];
	} buf;
	int more;

	do {
		ssize_t n = recv(nl, &buf, sizeof(buf), MSG_TRUNC);

		if (n < 0)
			return -errno;
		if ((size_t)n > sizeof(buf))
			return -EMSGSIZE;
		more = nl_parse(&buf, (size_t)n, seq, visit, seen);
	} while (more > 0);
	return more;
}

/**
 * nl_dump() - Ask for everything of one kind
 * @nl:		socket, < 0: no answer
 * @type:	RTM_GETROUTE or RTM_GETADDR
 * @family:	AF_INET or AF_INET6
 * @visit, @seen: as for nl_parse()
 *
 * Return: 0, -errno on failure
 */
static int nl_dump(int nl, uint16_t type, int family, nl_visit visit,
		   void *seen)
{
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g;
	} ask = {
		.h = {
			.nlmsg_len = NLMSG_LENGTH(sizeof(ask.g)),
			.nlmsg_type = type,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			.nlmsg_seq = (uint32_t)type << 8 | (uint32_t)family,
		},
		.g = { .rtgen_family = (unsigned char)family },
	};

	if (send(nl, &ask, ask.h.nlmsg_len, 0) < 0)
		return -errno;
	return nl_read(nl, ask.h.nlmsg_seq, visit, seen);
}

/**
 * nl_open() - A socket to ask the kernel with
 *
 * Return: descriptor, to be closed by the caller, -errno on failure
 */
int nl_open(void)
{
	struct timeval patience = { .tv_sec = NL_TIMEOUT };
	int nl;

	nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (nl < 0)
		return -errno;
	setsockopt(nl, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return nl;
}

/**
 * nl_default_if() - The interface that leads to the network
 * @nl:		socket
 * @family:	AF_INET or AF_INET6
 *
 * Return: index of the one with the first default route of lowest metric,
 *	   else of the only one with any route, else 0
 */
unsigned int nl_default_if(int nl, int family)
{
	struct routes s = { .family = family };

	if (nl_dump(nl, RTM_GETROUTE, family, routes_visit, &s))
		return 0;
	if (s.have_def)
		return s.def.ifindex;
	return s.several ? 0 : s.only;
}

/**
 * nl_gateway() - The gateway of an interface's default route
 * @nl:		socket
 * @family:	AF_INET or AF_INET6
 * @ifindex:	interface
 * @gw:		set on success; of several next hops, the heaviest
 *
 * Return: false if there is no default route by a gateway
 */
bool nl_gateway(int nl, int family, unsigned int ifindex, struct in6_addr *gw)
{
	struct routes s = { .family = family, .ifindex = ifindex };

	if (!ifindex || nl_dump(nl, RTM_GETROUTE, family, routes_visit, &s) ||
	    addr_is_none(&s.def.gw))
		return false;
	*gw = s.def.gw;
	return true;
}

/**
 * nl_address() - The address of an interface that suits the guest best
 * @nl:		socket
 * @family:	AF_INET or AF_INET6
 * @ifindex:	interface
 * @addr:	set on success
 * @len:	its prefix length, likewise
 *
 * Return: false if it has none
 */
bool nl_address(int nl, int family, unsigned int ifindex,
		struct in6_addr *addr, unsigned int *len)
{
	struct addrs s = { .family = family, .ifindex = ifindex };

	if (!ifindex || nl_dump(nl, RTM_GETADDR, family, addrs_visit, &s) ||
	    !s.rank)
		return false;
	*addr = s.addr;
	*len = s.len;
	return true;
}
