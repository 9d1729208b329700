// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * access.c - How forward/access.c decides from the kernel's answer whether the
 * guest may reach an address. This test makes most of these answers itself,
 * among them malformed ones that no kernel would send.
 * test/wire/cases/access.py tests the same decision with a guest.
 */
#include <stdlib.h>

#include "../../forward/access.c"
#include "test/unit/addr.h"
#include "test/unit/unit.h"

#define SEQ	7

static struct net net;
static struct access a = { .net = &net, .seq = SEQ };

/* An answer of the kernel with one route; own() sets the type of the route. */
static struct {
	struct nlmsghdr h;
	struct rtmsg m;
} route = {
	.h = { .nlmsg_len = sizeof(route), .nlmsg_type = RTM_NEWROUTE,
	       .nlmsg_seq = SEQ },
};

static bool own(unsigned char type)
{
	bool is = false;

	route.m.rtm_type = type;
	if (!read_route(&a, &route.h, sizeof(route), &is))
		fail("an answer of the kernel", "type %u is none", type);
	return is;
}

static void test_types(void)
{
	check("what is local, anycast or broadcast is the host's",
	      own(RTN_LOCAL) && own(RTN_ANYCAST) && own(RTN_BROADCAST) &&
	      own(RTN_MULTICAST));
	check("what is elsewhere, or nowhere, is not",
	      !own(RTN_UNICAST) && !own(RTN_UNREACHABLE) &&
	      !own(RTN_PROHIBIT) && !own(RTN_BLACKHOLE) && !own(RTN_THROW));
	check("a type that nobody knows counts as the host's", own(200));
}

static void test_errors(void)
{
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} m = {
		.h = { .nlmsg_len = sizeof(m), .nlmsg_type = NLMSG_ERROR,
		       .nlmsg_seq = SEQ },
		.e.error = -ENETUNREACH,
	};
	bool is = true;

	check("without a route, it is not the host's",
	      read_route(&a, &m.h, sizeof(m), &is) && !is);
	m.e.error = -ENOMEM;
	check("without memory, nobody knows, and it is closed",
	      read_route(&a, &m.h, sizeof(m), &is) && is);
	m.h.nlmsg_seq = SEQ - 1;
	check("an earlier answer is none",
	      !read_route(&a, &m.h, sizeof(m), &is));
}

/* Given an answer that is truncated to any length, then passt refuses it. Each
 * truncated copy has memory of exactly its length, so that AddressSanitizer
 * reports a read beyond its end. */
static void test_truncated(void)
{
	uint8_t *copy;
	size_t len;
	bool is, any = false;

	own(RTN_UNICAST);
	for (len = 0; len < sizeof(route); len++) {
		copy = malloc(len ? len : 1);
		memcpy(copy, &route, len);
		any = any || read_route(&a, (struct nlmsghdr *)copy, len, &is);
		free(copy);
	}
	check("an answer that is cut short is none", !any);
	route.h.nlmsg_len = NLMSG_LENGTH(0);
	check("nor is one without its header",
	      !read_route(&a, &route.h, sizeof(route), &is));
	route.h.nlmsg_len = sizeof(route);
}

static void test_kernel(void)
{
	struct in6_addr lo = addr("127.0.0.1");
	struct in6_addr gw = addr("192.0.2.1"), all = addr("255.255.255.255");
	struct access k;

	check("without the option every address is open",
	      !access_denied(NULL, &lo, 80, &lo, 0));
	if (access_open(&k, &net)) {
		skip("the kernel of this machine", "no netlink socket");
		return;
	}
	check("the host's loopback is closed",
	      access_denied(&k, &gw, 80, &lo, 0) &&
	      access_denied(&k, &gw, 0, &lo, 0));
	check("so is limited broadcast", access_denied(&k, &all, 80, &all, 0));
	net.nat[net.npairs++] = (struct nat_pair){ gw, lo, NAT_DNS_PORTS };
	check("a resolver that was asked for is open",
	      !access_denied(&k, &gw, 53, &lo, 0) &&
	      access_denied(&k, &gw, 80, &lo, 0));
	ask_route(&k, &gw, 0);
	check("an answer that is left over is passed over",
	      access_denied(&k, &gw, 80, &lo, 0));
	access_close(&k);
	access_close(&k);
	k = (struct access){ .net = &net, .nl = -1 };
	check("if the kernel does not answer, every address is closed",
	      access_denied(&k, &all, 80, &gw, 0));
}

int main(void)
{
	test_types();
	test_errors();
	test_truncated();
	test_kernel();
	return unit_end();
}
