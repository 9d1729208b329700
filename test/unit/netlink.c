// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * netlink.c - Tests that the right interface, gateway and address are taken
 * from a dump of the kernel's routes and addresses, and that malformed dumps do
 * no harm.
 */
#include <stdlib.h>

#include <errno.h>
#include <sys/socket.h>

ssize_t fake_recv(int fd, void *buf, size_t len, int flags);
ssize_t fake_send(int fd, const void *buf, size_t len, int flags);

#include "sock.h"
#define sock_recv	fake_recv
#define sock_send	fake_send
#include "../../host/netlink.c"
#undef sock_recv
#undef sock_send
#include "unit.h"

/* Errors of the calls on netlink sockets, 0: they are the kernel's own. */
static struct {
	int recv_error, send_error;
} fake;

ssize_t fake_recv(int fd, void *buf, size_t len, int flags)
{
	errno = fake.recv_error;
	return errno ? -1 : sock_recv(fd, buf, len, flags);
}

ssize_t fake_send(int fd, const void *buf, size_t len, int flags)
{
	errno = fake.send_error;
	return errno ? -1 : sock_send(fd, buf, len, flags);
}

#define SEQ	7

/* The answer of the kernel that a test builds: @ans_len bytes of messages, of
 * which @msg is the last. */
static union {
	struct nlmsghdr h;
	uint8_t bytes[8192];
} ans;
static size_t ans_len;
static struct nlmsghdr *msg;

static void ans_start(void)
{
	memset(&ans, 0, sizeof(ans));
	ans_len = 0;
}

/* put() - Append data and padding to the last message; returns a pointer to the
 * appended data */
static void *put(const void *data, size_t len)
{
	uint8_t *to = ans.bytes + ans_len;

	if (data)
		memcpy(to, data, len);
	msg->nlmsg_len += (uint32_t)NLMSG_ALIGN(len);
	ans_len += NLMSG_ALIGN(len);
	return to;
}

static void start_msg(uint16_t type, const void *body, size_t len)
{
	msg = (struct nlmsghdr *)(ans.bytes + ans_len);
	put(&(struct nlmsghdr){ .nlmsg_type = type, .nlmsg_seq = SEQ },
	    sizeof(*msg));
	put(body, len);
}

static void attr(uint16_t type, const void *data, size_t len)
{
	struct rtattr rta = {
		.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type,
	};

	put(&rta, sizeof(rta));
	put(data, len);
}

static void attr_u32_put(uint16_t type, uint32_t n)
{
	attr(type, &n, sizeof(n));
}

static struct in6_addr ip(const char *s)
{
	struct in6_addr a = ADDR_NONE;

	addr_parse(s, &a);
	return a;
}

/* attr_ip() - Append an attribute that has an address; NULL: append none */
static void attr_ip(uint16_t type, const char *s)
{
	struct in6_addr a;

	if (!s)
		return;
	a = ip(s);
	if (addr_is_v4(&a))
		attr(type, &a.s6_addr[12], 4);
	else
		attr(type, &a, 16);
}

/* route() - Append a route of the main table. The caller may append more
 * attributes; @ifindex 0: the route has no interface yet */
static void route(int family, unsigned int dst_len, const char *gw,
		  unsigned int ifindex, uint32_t metric)
{
	struct rtmsg m = {
		.rtm_family = (uint8_t)family, .rtm_dst_len = (uint8_t)dst_len,
		.rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST,
	};

	start_msg(RTM_NEWROUTE, &m, sizeof(m));
	attr_ip(RTA_GATEWAY, gw);
	if (ifindex)
		attr_u32_put(RTA_OIF, ifindex);
	attr_u32_put(RTA_PRIORITY, metric);
}

/* hop() - Put an IPv4 next hop into @buf after the first @len bytes; returns
 * the number of bytes in @buf then */
static size_t hop(uint8_t *buf, size_t len, int ifindex, int weight,
		  const char *gw)
{
	struct in6_addr a = ip(gw);
	struct {
		struct rtnexthop nh;
		struct rtattr rta;
		uint8_t gw[4];
	} h = {
		.nh = { .rtnh_len = sizeof(h), .rtnh_ifindex = ifindex,
			.rtnh_hops = (uint8_t)(weight - 1) },
		.rta = { .rta_len = RTA_LENGTH(4), .rta_type = RTA_GATEWAY },
	};

	memcpy(h.gw, &a.s6_addr[12], 4);
	memcpy(buf + len, &h, sizeof(h));
	return len + sizeof(h);
}

static void done(void)
{
	start_msg(NLMSG_DONE, &(int){ 0 }, sizeof(int));
}

/* read_routes() - Parse the answer as a dump of routes; @ifindex: only routes
 * of this interface count, 0: all do */
static struct routes read_routes(int family, unsigned int ifindex)
{
	struct routes s = { .family = family, .ifindex = ifindex };

	nl_parse(&ans, ans_len, SEQ, routes_visit, &s);
	return s;
}

static bool gw_is(const struct routes *s, const char *gw)
{
	struct in6_addr a = ip(gw);

	return s->have_def && addr_eq(&s->def.gw, &a);
}

static void test_default_route(void)
{
	struct routes s;

	ans_start();
	route(AF_INET, 24, NULL, 2, 0);
	route(AF_INET, 0, "192.0.2.1", 3, 100);
	route(AF_INET, 0, "192.0.2.2", 4, 100);
	route(AF_INET, 0, "192.0.2.3", 5, 50);
	route(AF_INET, 0, "192.0.2.4", 6, 50);
	done();
	s = read_routes(AF_INET, 0);
	check("the first default route of lowest metric is taken",
	      gw_is(&s, "192.0.2.3") && s.def.ifindex == 5);
	s = read_routes(AF_INET, 4);
	check("or that of the interface asked for", gw_is(&s, "192.0.2.2"));
	s = read_routes(AF_INET, 2);
	check("which may have none", !s.have_def);
	s = read_routes(AF_INET6, 0);
	check("routes of another family don't count", !s.have_def && !s.only);

	ans_start();
	route(AF_INET6, 0, "fe80::1", 3, 1024);
	s = read_routes(AF_INET6, 0);
	check("IPv6 goes the same way", gw_is(&s, "fe80::1"));

	ans_start();
	route(AF_INET, 0, NULL, 3, 0);
	s = read_routes(AF_INET, 0);
	check("a point-to-point link has no gateway", s.have_def &&
	      s.def.ifindex == 3 && addr_is_none(&s.def.gw));

	ans_start();
	route(AF_INET, 0, "2001:db8::1", 3, 0);
	s = read_routes(AF_INET, 0);
	check("a gateway of the other family is none", s.have_def &&
	      addr_is_none(&s.def.gw));
}

static void test_multipath(void)
{
	uint8_t hops[64];
	struct routes s;
	size_t len = 0;

	len = hop(hops, len, 3, 10, "192.0.2.1");
	len = hop(hops, len, 4, 20, "192.0.2.2");
	len = hop(hops, len, 5, 20, "192.0.2.3");
	ans_start();
	route(AF_INET, 0, NULL, 0, 0);
	attr(RTA_MULTIPATH, hops, len);
	s = read_routes(AF_INET, 0);
	check("of several next hops, the first heaviest is taken",
	      gw_is(&s, "192.0.2.2") && s.def.ifindex == 4);
	s = read_routes(AF_INET, 3);
	check("or the one by the interface asked for",
	      gw_is(&s, "192.0.2.1") && s.def.ifindex == 3);
	s = read_routes(AF_INET, 9);
	check("if there is one", !s.have_def);

	((struct rtnexthop *)(hops + 16))->rtnh_flags = RTNH_F_DEAD;
	ans_start();
	route(AF_INET, 0, NULL, 0, 0);
	attr(RTA_MULTIPATH, hops, len);
	s = read_routes(AF_INET, 0);
	check("a dead one is not", gw_is(&s, "192.0.2.3"));
}

static void test_only_route(void)
{
	struct routes s;

	ans_start();
	route(AF_INET, 24, NULL, 3, 0);
	route(AF_INET, 16, "192.0.2.1", 3, 0);
	s = read_routes(AF_INET, 0);
	check("without a default route, the only interface with any",
	      !s.have_def && s.only == 3 && !s.several);

	route(AF_INET, 24, NULL, 4, 0);
	route(AF_INET, 24, NULL, 3, 0);
	s = read_routes(AF_INET, 0);
	check("of two, neither", s.several);

	ans_start();
	route(AF_INET6, 64, NULL, 3, 256);
	attr_ip(RTA_DST, "fe80::");
	route(AF_INET6, 64, NULL, 4, 256);
	attr_ip(RTA_DST, "2001:db8::");
	s = read_routes(AF_INET6, 0);
	check("a link-local prefix leads nowhere", s.only == 4 && !s.several);
}

static void test_other_routes(void)
{
	struct routes s;
	struct rtmsg *m;

	ans_start();
	route(AF_INET, 0, "192.0.2.1", 3, 0);
	attr_u32_put(RTA_TABLE, 1234);
	s = read_routes(AF_INET, 0);
	check("routes of other tables don't count", !s.have_def && !s.only);

	ans_start();
	route(AF_INET6, 0, NULL, 1, 0);
	m = NLMSG_DATA(msg);
	m->rtm_type = RTN_UNREACHABLE;
	s = read_routes(AF_INET6, 0);
	check("nor do unreachable ones", !s.have_def && !s.only);

	ans_start();
	route(AF_INET6, 0, "fe80::1", 3, 0);
	m = NLMSG_DATA(msg);
	m->rtm_flags = RTM_F_CLONED;
	s = read_routes(AF_INET6, 0);
	check("nor cached ones", !s.have_def && !s.only);
}

/* address_of() - Append an address of interface @ifindex, with the prefix
 * length @len, scope RT_SCOPE_* and flags IFA_F_* */
static void address_of(unsigned int ifindex, const char *a,
		       unsigned int len, uint8_t scope,
		       uint32_t flags)
{
	struct in6_addr addr = ip(a);
	struct ifaddrmsg m = {
		.ifa_family = (uint8_t)addr_family(&addr),
		.ifa_prefixlen = (uint8_t)len, .ifa_scope = scope,
		.ifa_index = ifindex,
	};

	start_msg(RTM_NEWADDR, &m, sizeof(m));
	attr_ip(IFA_ADDRESS, a);
	attr_u32_put(IFA_FLAGS, flags);
}

/* address() - Append an address of interface 3 */
static void address(const char *a, unsigned int len, uint8_t scope,
		    uint32_t flags)
{
	address_of(3, a, len, scope, flags);
}

/* best_is() - Whether the address that is taken for interface 3 is @a, with the
 * prefix length @len; if @a is "", whether no address is taken */
static bool best_is(int family, const char *a, unsigned int len)
{
	struct addrs s = { .family = family, .ifindex = 3 };
	struct in6_addr want = ip(a);

	nl_parse(&ans, ans_len, SEQ, addrs_visit, &s);
	if (!*a)
		return !s.rank;
	return s.rank && addr_eq(&s.addr, &want) && s.len == len;
}

static void test_address(void)
{
	ans_start();
	address("169.254.3.4", 16, RT_SCOPE_LINK, 0);
	address("192.0.2.7", 24, 0, IFA_F_SECONDARY);
	address("192.0.2.5", 25, 0, IFA_F_PERMANENT);
	address("192.0.2.6", 24, 0, 0);
	check("the first primary address of global scope is taken",
	      best_is(AF_INET, "192.0.2.5", 25));
	check("no other family's", best_is(AF_INET6, "", 0));

	ans_start();
	address("192.0.2.9", 32, 0, 0);
	attr_ip(IFA_LOCAL, "198.51.100.1");
	check("on a point-to-point link, our end",
	      best_is(AF_INET, "198.51.100.1", 32));

	ans_start();
	address("169.254.3.4", 16, RT_SCOPE_LINK, 0);
	check("a link-local IPv4 address is better than none",
	      best_is(AF_INET, "169.254.3.4", 16));
	ans_start();
	address("127.0.0.1", 8, RT_SCOPE_HOST, 0);
	check("a loopback one is none", best_is(AF_INET, "", 0));
	ans_start();
	address("192.0.2.1", 33, 0, 0);
	check("a prefix length that can't be is none",
	      best_is(AF_INET, "", 0));
}

static void test_address6(void)
{
	ans_start();
	address("fe80::1", 64, RT_SCOPE_LINK, 0);
	check("a link-local IPv6 address is none", best_is(AF_INET6, "", 0));
	address("2001:db8::1", 64, 0, IFA_F_TENTATIVE);
	address("2001:db8::2", 64, 0, IFA_F_DADFAILED);
	check("nor is one not yet certain, or a duplicate",
	      best_is(AF_INET6, "", 0));
	address("2001:db8::3", 64, 0, IFA_F_DEPRECATED);
	check("a deprecated one is better than none",
	      best_is(AF_INET6, "2001:db8::3", 64));
	address("2001:db8::4", 64, 0, IFA_F_TEMPORARY);
	check("a temporary one better than that",
	      best_is(AF_INET6, "2001:db8::4", 64));
	address("fd00::5", 64, 0, 0);
	check("a unique local one that lasts is better",
	      best_is(AF_INET6, "fd00::5", 64));
	address("2001:db8::6", 128, 0, 0);
	check("a global one that lasts is best",
	      best_is(AF_INET6, "2001:db8::6", 128));
}

/* count_addr() - Count an address of the host; @arg: the number so far */
static bool count_addr(void *arg, const struct in6_addr *a)
{
	++*(unsigned int *)arg;
	return true;
}

/* Given IPv6 addresses that stand for IPv4 addresses, which a user can give to
 * an interface and to a route, then they are taken for neither family. */
static void test_mapped(void)
{
	struct in6_addr a = ip("192.0.2.5");
	struct ifaddrmsg m = {
		.ifa_family = AF_INET6, .ifa_prefixlen = 128, .ifa_index = 3,
	};
	unsigned int n = 0;
	struct collection c = { .add = count_addr, .arg = &n };
	struct routes s;

	ans_start();
	start_msg(RTM_NEWADDR, &m, sizeof(m));
	attr(IFA_ADDRESS, &a, sizeof(a));
	check("an IPv6 address that stands for an IPv4 address is none",
	      best_is(AF_INET6, "", 0) && best_is(AF_INET, "", 0));
	nl_parse(&ans, ans_len, SEQ, collect_visit, &c);
	check_eq("nor is it one of the host's", n, 0);

	ans_start();
	route(AF_INET6, 0, NULL, 3, 0);
	attr(RTA_GATEWAY, &a, sizeof(a));
	s = read_routes(AF_INET6, 0);
	check("nor is it a gateway", s.have_def && addr_is_none(&s.def.gw));
}

/* Given a default route at an interface that has no global address, then the
 * address that the route prefers as source is taken, whichever interface has
 * it. If no interface has the preferred address, and addresses of all
 * interfaces may be taken, then the first global address is taken. */
static void test_elsewhere(void)
{
	struct addrs s = { .family = AF_INET6, .ifindex = 3 };
	struct in6_addr src = ip("2001:db8::9");
	struct routes r;

	ans_start();
	route(AF_INET6, 0, "fe80::1", 3, 0);
	attr_ip(RTA_PREFSRC, "2001:db8::9");
	r = read_routes(AF_INET6, 0);
	check("a route names its source", r.have_def &&
	      addr_eq(&r.def.src, &src));

	ans_start();
	address_of(1, "::1", 128, RT_SCOPE_HOST, 0);
	address_of(1, "2001:db8::9", 128, 0, 0);
	address_of(2, "2001:db8::2", 64, 0, 0);
	address("fe80::3", 64, RT_SCOPE_LINK, 0);
	check("an interface may have no address", best_is(AF_INET6, "", 0));

	s.prefer = ip("2001:db8::9");
	nl_parse(&ans, ans_len, SEQ, addrs_visit, &s);
	check("the preferred source counts on any interface", s.rank &&
	      addr_eq(&s.addr, &s.prefer) && s.len == 128 && s.at == 1);
	address("2001:db8::3", 64, 0, 0);
	nl_parse(&ans, ans_len, SEQ, addrs_visit, &s);
	check("before those of the interface", addr_eq(&s.addr, &s.prefer));

	s = (struct addrs){ .family = AF_INET6,
			    .prefer = ip("2001:db8::77") };
	nl_parse(&ans, ans_len, SEQ, addrs_visit, &s);
	check("else, on no interface in particular, the first global one",
	      s.rank && s.at == 1 && s.len == 128);

	ans_start();
	address_of(2, "169.254.3.4", 16, RT_SCOPE_LINK, 0);
	address_of(1, "127.0.0.1", 8, RT_SCOPE_HOST, 0);
	s = (struct addrs){ .family = AF_INET };
	nl_parse(&ans, ans_len, SEQ, addrs_visit, &s);
	check("which must be global", !s.rank);
}

static void test_ends(void)
{
	struct routes s = { .family = AF_INET };
	struct nlmsgerr e = { .error = -EPERM };

	ans_start();
	route(AF_INET, 0, "192.0.2.1", 3, 0);
	check_eq("without an end, more is to come",
		 nl_parse(&ans, ans_len, SEQ, routes_visit, &s), 1);
	done();
	check_eq("an end is an end",
		 nl_parse(&ans, ans_len, SEQ, routes_visit, &s), 0);
	s = (struct routes){ .family = AF_INET };
	check_eq("another's answer is passed over",
		 nl_parse(&ans, ans_len, SEQ + 1, routes_visit, &s), 1);
	check("all of it", !s.have_def);

	ans_start();
	start_msg(NLMSG_ERROR, &e, sizeof(e));
	check_eq("an error is passed up",
		 nl_parse(&ans, ans_len, SEQ, routes_visit, &s), -EPERM);
	ans_start();
	e.error = 0;
	start_msg(NLMSG_ERROR, &e, sizeof(e));
	check_eq("an acknowledgement was not asked for",
		 nl_parse(&ans, ans_len, SEQ, routes_visit, &s), -EPROTO);
	ans_start();
	start_msg(NLMSG_ERROR, NULL, 0);
	check_eq("an error cut short is one",
		 nl_parse(&ans, ans_len, SEQ, routes_visit, &s), -EPROTO);
	check_eq("no bytes, no message",
		 nl_parse(&ans, 0, SEQ, routes_visit, &s), 1);
}

/*
 * Given an answer that is truncated at any byte, or has any one byte changed,
 * then nothing beyond its end is read. The test parses a copy in heap memory of
 * exactly the same length, so that AddressSanitizer reports such a read.
 */
static void test_mutilated(void)
{
	static const uint8_t values[] = { 0, 1, 3, 0x7f, 0x80, 0xff };
	uint8_t hops[64], *copy;
	size_t len = 0, i, v;

	len = hop(hops, len, 3, 10, "192.0.2.1");
	len = hop(hops, len, 4, 20, "192.0.2.2");
	ans_start();
	route(AF_INET, 0, NULL, 0, 0);
	attr(RTA_MULTIPATH, hops, len);
	route(AF_INET, 0, "192.0.2.1", 3, 100);
	address("192.0.2.5", 25, 0, 0);
	done();

	for (i = 0; i <= ans_len; i++) {
		struct routes s = { .family = AF_INET };
		struct addrs a = { .family = AF_INET, .ifindex = 3 };

		copy = malloc(i ? i : 1);
		memcpy(copy, &ans, i);
		nl_parse(copy, i, SEQ, routes_visit, &s);
		nl_parse(copy, i, SEQ, addrs_visit, &a);
		free(copy);
	}
	copy = malloc(ans_len);
	for (i = 0; i < ans_len; i++) {
		for (v = 0; v < sizeof(values); v++) {
			struct routes s = { .family = AF_INET };
			struct addrs a = { .family = AF_INET, .ifindex = 3 };

			memcpy(copy, &ans, ans_len);
			copy[i] = values[v];
			nl_parse(copy, ans_len, SEQ, routes_visit, &s);
			nl_parse(copy, ans_len, SEQ, addrs_visit, &a);
		}
	}
	free(copy);
	pass("answers cut short or changed anywhere do no harm");
}

/* Given the kernel of this machine, which may have no interface but loopback,
 * then an address is found if there is a default interface. */
static void test_real(void)
{
	struct nl nl = { .fd = nl_open() }, none = { .fd = -1 };
	unsigned int ifindex, len = 0;
	struct in6_addr addr, src;

	check("the kernel can be asked", nl.fd >= 0);
	ifindex = nl_default_if(&nl, AF_INET);
	if (ifindex)
		nl_address(&nl, AF_INET, ifindex, &ADDR_NONE, &addr, &len);
	check("an IPv4 interface with routes has an address",
	      !ifindex || (len && len <= 32));
	check("an interface that can't be has none",
	      !nl_address(&nl, AF_INET, 0x7fffffff, &ADDR_NONE, &addr, &len) &&
	      !nl_address(&nl, AF_INET6, 0x7fffffff, &ADDR_NONE, &addr, &len));
	check("nor a gateway",
	      !nl_gateway(&nl, AF_INET, 0x7fffffff, &addr, &src));
	check_eq("all questions were answered", nl.error, 0);
	close(nl.fd);
	check("no socket, no answer", !nl_default_if(&none, AF_INET) &&
	      !nl_gateway(&none, AF_INET, 1, &addr, &src) &&
	      !nl_address(&none, AF_INET, 1, &ADDR_NONE, &addr, &len));
}

/* Given a kernel that lacks memory for one question, or for its answer, when
 * the host is read, then what is missing does not count as what the host
 * lacks. */
static void test_silence(void)
{
	struct nl nl = { .fd = nl_open() };

	fake.recv_error = ENOBUFS;
	check("no answer to a dump", nl_dump(&nl, RTM_GETADDR, AF_INET,
					     addrs_visit, NULL) == -ENOBUFS);
	check_eq("this is noted", nl.error, -ENOBUFS);
	fake.recv_error = nl.error = 0;

	fake.send_error = ENOMEM;
	check("no question", !nl_default_if(&nl, AF_INET));
	fake.send_error = 0;
	nl_default_if(&nl, AF_INET);
	check_eq("is noted, and later answers do not hide it", nl.error,
		 -ENOMEM);
	close(nl.fd);
}

int main(void)
{
	test_default_route();
	test_multipath();
	test_only_route();
	test_other_routes();
	test_address();
	test_address6();
	test_mapped();
	test_elsewhere();
	test_ends();
	test_mutilated();
	test_real();
	test_silence();
	return unit_end();
}
