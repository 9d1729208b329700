// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * netlink.c - Reads the host's addresses and routes over rtnetlink(7).
 *
 * nl_dump() asks the kernel for all its routes or addresses, and nl_match() for
 * the route to one address. Each message of the answer is checked and parsed
 * once, and only the best route or address so far is kept.
 */
/* syscalls: start: setsockopt socket */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "host/netlink.h"
#include "rtnl.h"
#include "sock.h"
#include "util.h"

#define NL_BUF		32768	/* bytes of the longest datagram of a dump */
#define NL_TIMEOUT	2	/* seconds to wait for a datagram */
/* A sequence number that nl_dump() does not use. */
#define MATCH_SEQ	1

/* Addresses that stand for all peers outside of the host's own networks: one in
 * each half of the unicast addresses, because the routes of a VPN may cover
 * only one of the halves. No packet is sent to them. */
static const char *const far_addr[][2] = {
	[IP4] = { "1.0.0.1", "193.0.0.1" },
	[IP6] = { "2400::1", "2a00::1" },
};

/**
 * struct route - A unicast route
 * @dst_len:	prefix length of the destination, 0: a default route
 * @local:	the destination is link-local
 * @metric:	priority; the route with the lowest value is used
 * @ifindex:	interface of the route, or of its next hop with the largest
 *		weight
 * @gw:		gateway at that interface; none: directly connected
 * @src:	address that the host prefers as source on this route; none: the
 *		route names none
 */
struct route {
	unsigned int dst_len;
	bool local;
	uint32_t metric;
	unsigned int ifindex;
	struct in6_addr gw, src;
};

/**
 * struct routes - Which routes to look for in a dump, and what was found so far
 * @family:	AF_INET or AF_INET6
 * @ifindex:	ignore routes of other interfaces, 0: ignore none
 * @any_table:	take routes of all tables, and not only of the main one
 * @def:	best default route so far; for nl_match(), the route of the
 *		answer, which need not be a default route
 * @have_def:	@def was found
 * @only:	interface of the last route that was found and is not
 *		link-local, 0: none was found
 * @several:	routes that are not link-local were found for more than one
 *		interface
 */
struct routes {
	int family;
	unsigned int ifindex;
	bool any_table;
	struct route def;
	bool have_def;
	unsigned int only;
	bool several;
};

/**
 * struct addrs - Which addresses to look for in a dump, and the best one so far
 * @family:	AF_INET or AF_INET6
 * @ifindex:	ignore addresses of other interfaces; 0: take the global
 *		addresses of all interfaces
 * @prefer:	address that is better than all others, if any interface has it
 * @addr, @len, @at: best address, its prefix length and its interface
 * @rank:	addr_rank() of @addr, 0: no address was found
 */
struct addrs {
	int family;
	unsigned int ifindex;
	struct in6_addr prefer;
	struct in6_addr addr;
	unsigned int len, at;
	unsigned int rank;
};

/* Type of the functions that read one message of an answer and update @seen,
 * which is a struct routes, a struct addrs or a struct collection. */
typedef void (*nl_visit)(const struct nlmsghdr *h, void *seen);

/* attr_addr() - Set @addr to an attribute's address, if the attribute has the
 * length of an address of @family. An IPv6 address in ::ffff:0:0/96 is ignored:
 * passt would take it for an IPv4 address */
static void attr_addr(const struct rtattr *rta, int family,
		      struct in6_addr *addr)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (family == AF_INET && RTA_PAYLOAD(rta) == sizeof(v4)) {
		memcpy(&v4, RTA_DATA(rta), sizeof(v4));
		*addr = addr_from_v4(v4);
	}
	if (family == AF_INET6 && RTA_PAYLOAD(rta) == sizeof(v6)) {
		memcpy(&v6, RTA_DATA(rta), sizeof(v6));
		if (!addr_is_v4(&v6))
			*addr = v6;
	}
}

/* attr_u32() - Return the number in an attribute, or @other if the attribute is
 * too short */
static uint32_t attr_u32(const struct rtattr *rta, uint32_t other)
{
	uint32_t n;

	if (RTA_PAYLOAD(rta) < sizeof(n))
		return other;
	memcpy(&n, RTA_DATA(rta), sizeof(n));
	return n;
}

/*
 * route_heaviest_hop() - Take the interface and the gateway of a route from the
 * next hop with the largest weight in @rta (RTA_MULTIPATH). Most of the host's
 * traffic goes to that hop.
 */
static void route_heaviest_hop(const struct rtattr *rta,
			       const struct routes *want, struct route *r)
{
	const struct rtnexthop *hop = RTA_DATA(rta);
	int left = (int)RTA_PAYLOAD(rta), best = -1;

	for (; left >= (int)sizeof(*hop) && RTNH_OK(hop, left);
	     left -= (int)RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		const struct rtattr *a = RTNH_DATA(hop);
		int len = hop->rtnh_len - (int)RTNH_LENGTH(0);

		if (hop->rtnh_hops <= best || hop->rtnh_flags & RTNH_F_DEAD ||
		    (want->ifindex &&
		     (unsigned int)hop->rtnh_ifindex != want->ifindex))
			continue;
		best = hop->rtnh_hops;
		r->ifindex = (unsigned int)hop->rtnh_ifindex;
		r->gw = ADDR_NONE;
		for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
			if (a->rta_type == RTA_GATEWAY)
				attr_addr(a, want->family, &r->gw);
		}
	}
}

/*
 * route_parse() - Parse a message as a route; false if the message is not a
 * unicast route, or not of the table, family and interface in @want
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
		else if (a->rta_type == RTA_PREFSRC)
			attr_addr(a, want->family, &r->src);
		else if (a->rta_type == RTA_MULTIPATH)
			route_heaviest_hop(a, want, r);
	}
	r->local = addr_is_linklocal(&dst);
	return (want->any_table || table == RT_TABLE_MAIN) && r->ifindex &&
	       (!want->ifindex || r->ifindex == want->ifindex);
}

/*
 * routes_visit() - Update @seen, a struct routes, with one message; nl_dump()
 * calls this function. Link-local routes do not change @only and @several,
 * because every interface that is up has a route to fe80::/64.
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
 * addr_rank() - Rate how well an address of the host suits the guest
 * @a:		address
 * @scope:	scope of the address, enum rt_scope_t
 * @flags:	flags of the address, IFA_F_*
 *
 * A permanent address is better than a deprecated or temporary one. A global
 * IPv6 address is better than a unique local one (RFC 4193): a guest that has
 * only a unique local address avoids IPv6 (RFC 6724 10.6).
 *
 * Return: 0 if the guest can't use the address; else a number that is higher
 *	   for a better address
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
	if (!(flags & IFA_F_SECONDARY))	/* IPv6: the bit is IFA_F_TEMPORARY */
		rank += 2;
	if (addr_is_v4(a) || (a->s6_addr[0] & 0xfe) != 0xfc)
		rank += 1;
	return rank;
}

/*
 * addr_rank_for() - Rate an address of interface @ifindex for a search @s.
 * Returns UINT32_MAX if @s prefers the address; 0 if @s does not want the
 * address or the guest can't use it; else addr_rank()
 */
static unsigned int addr_rank_for(const struct addrs *s, unsigned int ifindex,
				  const struct in6_addr *a, unsigned int scope,
				  uint32_t flags)
{
	unsigned int rank = addr_rank(a, scope, flags);

	if (rank && addr_eq(a, &s->prefer))
		return UINT32_MAX;
	if (s->ifindex)
		return ifindex == s->ifindex ? rank : 0;
	return scope == RT_SCOPE_UNIVERSE ? rank : 0;
}

/*
 * addr_parse_msg() - Parse a message as an address of the host; false if the
 * message is about something else
 */
static bool addr_parse_msg(const struct nlmsghdr *h, struct in6_addr *addr,
			   uint32_t *flags)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	int len = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof(*m)));
	struct in6_addr local = ADDR_NONE;
	const struct rtattr *a;

	if (h->nlmsg_type != RTM_NEWADDR ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return false;

	*addr = ADDR_NONE;
	*flags = m->ifa_flags;
	for (a = IFA_RTA(m); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == IFA_FLAGS)
			*flags = attr_u32(a, *flags);
		else if (a->rta_type == IFA_LOCAL)
			attr_addr(a, m->ifa_family, &local);
		else if (a->rta_type == IFA_ADDRESS)
			attr_addr(a, m->ifa_family, addr);
	}
	/* On a point-to-point link, IFA_ADDRESS is the address of the far end,
	 * and IFA_LOCAL is the host's. */
	if (!addr_is_none(&local))
		*addr = local;
	return true;
}

/*
 * addrs_visit() - Store the address of one message in @seen, a struct addrs, if
 * its rank is higher than that of all earlier addresses; nl_dump() calls this
 * function
 */
static void addrs_visit(const struct nlmsghdr *h, void *seen)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	struct addrs *s = seen;
	struct in6_addr addr;
	unsigned int rank;
	uint32_t flags;

	if (!addr_parse_msg(h, &addr, &flags) || m->ifa_family != s->family)
		return;
	rank = addr_rank_for(s, m->ifa_index, &addr, m->ifa_scope, flags);
	if (rank <= s->rank ||
	    m->ifa_prefixlen > (s->family == AF_INET ? 32 : 128))
		return;
	s->rank = rank;
	s->addr = addr;
	s->len = m->ifa_prefixlen;
	s->at = m->ifa_index;
}

/* nl_msg_ok() - Does the same as NLMSG_OK(), but also accepts a negative @left.
 * After NLMSG_NEXT(), @left can be negative */
static bool nl_msg_ok(const struct nlmsghdr *h, int left)
{
	return left >= (int)sizeof(*h) && h->nlmsg_len >= sizeof(*h) &&
	       h->nlmsg_len <= (unsigned int)left;
}

/**
 * nl_parse() - Call a function for each message in one datagram of the kernel
 * @buf:	datagram, aligned as struct nlmsghdr
 * @len:	length of the datagram, bytes
 * @seq:	sequence number of the request; other messages are ignored
 * @visit:	function that is called for each message of the answer
 * @seen:	second argument of @visit
 *
 * The flag NLM_F_DUMP_INTR says that something changed during the dump, so the
 * answer may be outdated. The flag is ignored, because a change right after the
 * dump would make the answer outdated, too.
 *
 * Return: 1 if more datagrams follow, 0 at the end, -errno on failure
 */
static int nl_parse(const void *buf, size_t len, uint32_t seq, nl_visit visit,
		    void *seen)
{
	const struct nlmsghdr *h = buf;
	int left = (int)len;

	for (; nl_msg_ok(h, left); h = NLMSG_NEXT(h, left)) {
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

/* nl_failed() - Note that the kernel has not answered a question; returns
 * @error, -errno */
static int nl_failed(struct nl *nl, int error)
{
	if (!nl->error)
		nl->error = error;
	return error;
}

/* nl_read_one() - Receive one datagram of the answer to a request, and pass it
 * to nl_parse(). Returns 1 if more datagrams may follow, 0 at the end, or
 * -errno. If the kernel answers with an error, this is an answer, "no route",
 * unless it says that memory is short */
static int nl_read_one(struct nl *nl, uint32_t seq, nl_visit visit, void *seen)
{
	union {
		struct nlmsghdr h;
		char bytes[NL_BUF];
	} buf;
	ssize_t n = sock_recv(nl->fd, &buf, sizeof(buf), MSG_TRUNC);
	int rc;

	if (n < 0)
		return nl_failed(nl, -errno);
	if ((size_t)n > sizeof(buf))
		return nl_failed(nl, -EMSGSIZE);
	rc = nl_parse(&buf, (size_t)n, seq, visit, seen);
	if (rc == -ENOMEM || rc == -ENOBUFS)
		nl_failed(nl, rc);
	return rc;
}

/* nl_read() - Receive all datagrams of the answer to a request, and pass them
 * to nl_parse(); 0 or -errno */
static int nl_read(struct nl *nl, uint32_t seq, nl_visit visit, void *seen)
{
	int more;

	do
		more = nl_read_one(nl, seq, visit, seen);
	while (more > 0);
	return more;
}

/* nl_drain() - Discard what is left of the answer to an earlier request that
 * failed. The kernel takes a new request only after that */
static void nl_drain(int nl)
{
	char byte;

	while (sock_recv(nl, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) > 0)
		;
}

/* nl_ask() - Send a request; 0 or -errno */
static int nl_ask(struct nl *nl, const struct nlmsghdr *request)
{
	nl_drain(nl->fd);
	if (sock_send(nl->fd, request, request->nlmsg_len, 0) < 0)
		return nl_failed(nl, -errno);
	return 0;
}

/*
 * nl_dump() - Call @visit for all routes (@type RTM_GETROUTE) or addresses
 * (RTM_GETADDR) of a family. Returns 0 or -errno: -EBADF if @nl is not open.
 */
static int nl_dump(struct nl *nl, uint16_t type, int family, nl_visit visit,
		   void *seen)
{
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g;
	} request = {
		.h = {
			.nlmsg_len = NLMSG_LENGTH(sizeof(request.g)),
			.nlmsg_type = type,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			.nlmsg_seq = (uint32_t)type << 8 | (uint32_t)family,
		},
		.g = { .rtgen_family = (unsigned char)family },
	};
	int rc = nl_ask(nl, &request.h);

	return rc ? rc : nl_read(nl, request.h.nlmsg_seq, visit, seen);
}

/* match_visit() - Store the route of one message in @seen, a struct routes,
 * whatever its destination is; nl_read_one() calls this function */
static void match_visit(const struct nlmsghdr *h, void *seen)
{
	struct routes *s = seen;

	if (route_parse(h, s, &s->def))
		s->have_def = true;
}

/*
 * nl_match() - Ask the kernel which route a packet to @dst takes according to
 * all rules and tables, and set @s->def to this route. If @s->ifindex is not 0,
 * the packet is to leave by that interface. The answer is the entry of the
 * routing table, and not a route to @dst alone that the kernel made from it
 * (RTM_F_FIB_MATCH, since Linux 4.13). Returns whether there is a route
 */
static bool nl_match(struct nl *nl, const struct in6_addr *dst,
		     struct routes *s)
{
	struct route_request r;

	route_request_make(&r, dst, s->ifindex, MATCH_SEQ);
	r.m.rtm_flags = RTM_F_FIB_MATCH;
	s->any_table = true;
	s->have_def = false;
	return !nl_ask(nl, &r.h) &&
	       nl_read_one(nl, MATCH_SEQ, match_visit, s) >= 0 && s->have_def;
}

/* nl_match_far() - Do as nl_match(), for packets to far peers: the first
 * address in far_addr that has a route counts */
static bool nl_match_far(struct nl *nl, struct routes *s)
{
	enum ip_family f = s->family == AF_INET ? IP4 : IP6;
	struct in6_addr dst;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(far_addr[f]); i++) {
		if (addr_parse(far_addr[f][i], &dst) && nl_match(nl, &dst, s))
			return true;
	}
	return false;
}

/**
 * nl_open() - Open a netlink socket for the functions below
 *
 * Return: descriptor, which the caller closes, or -errno
 */
int nl_open(void)
{
	struct timeval timeout = { .tv_sec = NL_TIMEOUT };
	int nl;

	nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (nl < 0)
		return -errno;
	setsockopt(nl, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return nl;
}

/**
 * nl_default_if() - Find the interface that connects the host to its network
 * @nl:		netlink socket
 * @family:	AF_INET or AF_INET6
 *
 * Return: index of the interface by which the kernel sends packets to far
 *	   peers. If it names no route to them: index of the interface of the
 *	   best default route, or else of the only interface that has routes.
 *	   0: there is no such interface
 */
unsigned int nl_default_if(struct nl *nl, int family)
{
	struct routes s = { .family = family };

	if (nl_match_far(nl, &s))
		return s.def.ifindex;
	s = (struct routes){ .family = family };
	if (nl_dump(nl, RTM_GETROUTE, family, routes_visit, &s))
		return 0;
	if (s.have_def)
		return s.def.ifindex;
	return s.several ? 0 : s.only;
}

/**
 * nl_gateway() - Find the gateway by which an interface sends packets to far
 *		peers
 * @nl:		netlink socket
 * @family:	AF_INET or AF_INET6
 * @ifindex:	index of the interface; if 0, nothing is found
 * @gw:		set to the gateway, or none. If the route has several next hops,
 *		this is the gateway of the one with the largest weight
 * @src:	set to the source address that the route prefers, or none
 *
 * Return: false if the interface has no route to far peers
 */
bool nl_gateway(struct nl *nl, int family, unsigned int ifindex,
		struct in6_addr *gw, struct in6_addr *src)
{
	struct routes s = { .family = family, .ifindex = ifindex };

	if (ifindex && !nl_match_far(nl, &s)) {
		s = (struct routes){ .family = family, .ifindex = ifindex };
		if (nl_dump(nl, RTM_GETROUTE, family, routes_visit, &s))
			s.have_def = false;
	}
	*gw = s.have_def ? s.def.gw : ADDR_NONE;
	*src = s.have_def ? s.def.src : ADDR_NONE;
	return s.have_def;
}

/**
 * nl_address() - Find the address that suits the guest best
 * @nl:		netlink socket
 * @family:	AF_INET or AF_INET6
 * @ifindex:	index of the interface to search; 0: search the global addresses
 *		of all interfaces
 * @prefer:	this address is taken if any interface has it
 * @addr:	on success, set to the address
 * @len:	on success, set to the prefix length of @addr
 *
 * Return: index of the interface of the address; 0 if there is no address that
 *	   a guest can use
 */
unsigned int nl_address(struct nl *nl, int family, unsigned int ifindex,
			const struct in6_addr *prefer, struct in6_addr *addr,
			unsigned int *len)
{
	struct addrs s = {
		.family = family, .ifindex = ifindex, .prefer = *prefer,
	};

	if (nl_dump(nl, RTM_GETADDR, family, addrs_visit, &s) || !s.rank)
		return 0;
	*addr = s.addr;
	*len = s.len;
	return s.at;
}

/**
 * struct collection - Where nl_addresses() delivers addresses
 * @add, @arg:	arguments of nl_addresses()
 * @full:	@add has refused an address
 */
struct collection {
	bool (*add)(void *arg, const struct in6_addr *addr);
	void *arg;
	bool full;
};

/* collect_visit() - Deliver the address of one message to @seen, a struct
 * collection; nl_dump() calls this function */
static void collect_visit(const struct nlmsghdr *h, void *seen)
{
	struct collection *c = seen;
	struct in6_addr addr;
	uint32_t flags;

	if (!c->full && addr_parse_msg(h, &addr, &flags) &&
	    !addr_is_none(&addr))
		c->full = !c->add(c->arg, &addr);
}

/**
 * nl_addresses() - Read all addresses of the host
 * @nl:		netlink socket
 * @add:	called for each address; returns false if there is no memory,
 *		and is then not called again
 * @arg:	first argument of @add
 *
 * Return: 0, or -errno
 */
int nl_addresses(struct nl *nl,
		 bool (*add)(void *arg, const struct in6_addr *addr),
		 void *arg)
{
	struct collection c = { .add = add, .arg = arg };
	int rc = nl_dump(nl, RTM_GETADDR, AF_UNSPEC, collect_visit, &c);

	return rc ? rc : c.full ? -ENOMEM : 0;
}
