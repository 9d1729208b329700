// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * derive.c - Completes what the options left open with the host's own
 * addresses, routes and resolvers.
 * Called by passt.c at start-up; calls netlink.c, resolv.c and the log.
 */
/* syscalls: start: close ioctl socket */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "log.h"
#include "host/netlink.h"
#include "host/resolv.h"

/* Offline (RFC 3927): any pair of link-local addresses does. */
#define OFFLINE_ADDR4	"169.254.2.1"
#define OFFLINE_LEN4	16
#define OFFLINE_GW4	"169.254.2.2"
#define OFFLINE_GW6	"fe80::1"

/**
 * struct side - What struct conf has for one of the two families
 * @af:		AF_INET or AF_INET6
 * @ifname:	interface to take addresses from, empty: by route
 * @ifindex:	its index
 * @addr, @len:	the guest's address
 * @gw:		the host's gateway
 * @dns:	resolvers of the guest
 * @loopback:	what --map-host-loopback gave
 * @match, @host: see @dns_match4 and @dns_host4 of struct conf
 */
struct side {
	int af;
	const char *ifname;
	unsigned int *ifindex;
	struct in6_addr *addr;
	unsigned int *len;
	struct in6_addr *gw;
	struct in6_addr *dns;
	const struct in6_addr *loopback;
	struct in6_addr *match, *host;
};

static struct side family4(struct conf *c)
{
	return (struct side) {
		.af = AF_INET,
		.ifname = c->ifname[0] ? c->ifname : c->out_if4,
		.ifindex = &c->ifindex4,
		.addr = &c->lease.addr[IP4], .len = &c->lease.len[IP4],
		.gw = &c->gw4,
		.dns = c->lease.dns[IP4],
		.loopback = &c->map_loopback4,
		.match = &c->dns_match4, .host = &c->dns_host4,
	};
}

static struct side family6(struct conf *c)
{
	return (struct side) {
		.af = AF_INET6,
		.ifname = c->ifname[0] ? c->ifname : c->out_if6,
		.ifindex = &c->ifindex6,
		.addr = &c->lease.addr[IP6], .len = &c->lease.len[IP6],
		.gw = &c->gw6,
		.dns = c->lease.dns[IP6],
		.loopback = &c->map_loopback6,
		.match = &c->dns_match6, .host = &c->dns_host6,
	};
}

/* class_len() - Prefix length by class, as before CIDR (RFC 791 3.2) */
static unsigned int class_len(const struct in6_addr *a)
{
	uint8_t first = a->s6_addr[12];

	return first < 128 ? 8 : first < 192 ? 16 : 24;
}

/**
 * complete_routes() - Interface, address and gateway of one family
 * @f:		family
 * @nl:		netlink socket, < 0: the kernel can't be asked
 *
 * Return: true if there is an address, given or the host's
 */
static bool complete_routes(struct side *f, int nl)
{
	bool have = !addr_is_none(f->addr);

	if (f->ifname[0])
		*f->ifindex = if_nametoindex(f->ifname);
	else
		*f->ifindex = nl_default_if(nl, f->af);

	if (!have)
		have = nl_address(nl, f->af, *f->ifindex, f->addr, f->len);
	if (addr_is_none(f->gw))
		nl_gateway(nl, f->af, *f->ifindex, f->gw);
	return have;
}

/* complete_ipv4() - The guest's IPv4 side; true if there is an address */
static bool complete_ipv4(struct conf *c, int nl)
{
	struct side f = family4(c);
	struct lease *l = &c->lease;
	bool have;

	have = complete_routes(&f, nl);
	if (!have) {
		addr_parse(OFFLINE_ADDR4, &l->addr[IP4]);
		l->len[IP4] = OFFLINE_LEN4;
	}
	if (c->netmask)
		l->len[IP4] = c->netmask;
	else if (!l->len[IP4])
		l->len[IP4] = class_len(&l->addr[IP4]);
	if (addr_is_none(&c->gw4))
		addr_parse(OFFLINE_GW4, &c->gw4);
	l->router[IP4] = c->gw4;
	return have;
}

/**
 * complete_ipv6() - The guest's IPv6 side
 * @c:		configuration
 * @nl:		netlink socket
 *
 * Router advertisements come from a link-local address (RFC 4861 4.2), so
 * with a gateway that has none, the router gets one of ours.
 *
 * Return: true if there is an address, given or the host's
 */
static bool complete_ipv6(struct conf *c, int nl)
{
	struct side f = family6(c);
	struct lease *l = &c->lease;
	bool have;

	have = complete_routes(&f, nl);
	if (have && !l->len[IP6])
		l->len[IP6] = 64;
	if (addr_is_none(&c->gw6))
		addr_parse(OFFLINE_GW6, &c->gw6);
	l->router[IP6] = c->gw6;
	if (!addr_is_linklocal(&l->router[IP6]))
		addr_parse(OFFLINE_GW6, &l->router[IP6]);
	return have;
}

/**
 * host_seen_as() - The address under which the guest reaches the host
 * @c:		configuration
 * @f:		family
 *
 * Return: that address, NULL if there is none
 */
static const struct in6_addr *host_seen_as(const struct conf *c,
					   const struct side *f)
{
	if (!addr_is_none(f->loopback))
		return f->loopback;
	return c->map_gw && !c->no_map_loopback ? f->gw : NULL;
}

/**
 * resolver_seen_as() - The address under which the guest reaches a resolver
 * @c:		configuration
 * @f:		family of the resolver
 * @dns:	its address on the host's side
 *
 * A resolver on the host's loopback, and one whose address the guest can't
 * reach as it leads to the host's loopback (the gateway at home, which is the
 * resolver, too), is reached through the DNS ports of an address alone.
 *
 * Return: that address, NULL if there is none
 */
static const struct in6_addr *resolver_seen_as(const struct conf *c,
					       const struct side *f,
					       const struct in6_addr *dns)
{
	const struct in6_addr *us = host_seen_as(c, f);

	if (!addr_is_loopback(dns) && (!us || !addr_eq(us, dns)))
		return dns;
	if (addr_is_none(f->match)) {
		if (!us)
			return NULL;
		*f->match = *us;
	}
	if (addr_is_none(f->host))
		*f->host = *dns;
	return f->match;
}

/**
 * complete_dns() - Hand out one of the host's resolvers
 * @c:		configuration
 * @f:		family of the resolver
 * @dns:	its address
 */
static void complete_dns(const struct conf *c, const struct side *f,
			 const struct in6_addr *dns)
{
	const struct in6_addr *seen = resolver_seen_as(c, f, dns);
	char text[ADDR_STRLEN];
	unsigned int i;

	if (!seen) {
		warn("resolver %s is out of the guest's reach: give "
		     "--map-host-loopback, --dns-forward or --dns",
		     addr_str(dns, text));
		return;
	}
	for (i = 0; i < LEASE_DNS && !addr_is_none(&f->dns[i]); i++) {
		if (addr_eq(&f->dns[i], seen))
			return;
	}
	if (i < LEASE_DNS)
		f->dns[i] = *seen;
}

/**
 * complete_forward() - The resolver of --dns-forward, if --dns-host is silent
 * @f:		family of the address given with --dns-forward
 * @r:		the host's resolvers
 */
static void complete_forward(const struct side *f, const struct resolv *r)
{
	unsigned int i;

	if (addr_is_none(f->match) || !addr_is_none(f->host) || !r->n)
		return;

	for (i = 0; i < r->n; i++) {
		if (addr_family(&r->dns[i]) == f->af)
			break;
	}
	*f->host = r->dns[i < r->n ? i : 0];
}

/**
 * complete_resolver() - Resolvers and search domains
 * @c:		configuration
 * @path:	resolv.conf
 */
static void complete_resolver(struct conf *c, const char *path)
{
	struct side f4 = family4(c), f6 = family6(c);
	struct resolv r;
	unsigned int i;
	int ret;

	ret = resolv_read(&r, path);
	if (ret)
		info("No resolvers known: %s: %s", path, strerror(-ret));

	complete_forward(&f4, &r);
	complete_forward(&f6, &r);
	for (i = 0; i < r.n && !c->dns_given; i++) {
		bool v4 = addr_is_v4(&r.dns[i]);

		if (v4 ? c->ipv4 : c->ipv6)
			complete_dns(c, v4 ? &f4 : &f6, &r.dns[i]);
	}
	if (!c->search_given)
		memcpy(c->lease.search, r.search, sizeof(r.search));
}

/* family_exists() - Whether the kernel has a family at all */
static bool family_exists(int af)
{
	int s = socket(af, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return errno != EAFNOSUPPORT;
	close(s);
	return true;
}

/**
 * complete_families() - Leave out a family the kernel does not have
 * @c:		configuration
 *
 * Return: 0, -1 if none is left
 */
static int complete_families(struct conf *c)
{
	if (c->ipv4 && !family_exists(AF_INET)) {
		info("No IPv4: the kernel has none");
		c->ipv4 = false;
	}
	if (c->ipv6 && !family_exists(AF_INET6)) {
		info("No IPv6: the kernel has none");
		c->ipv6 = c->lease.ndp = c->lease.ra = c->lease.dhcpv6 = false;
	}
	if (c->ipv4 || c->ipv6)
		return 0;
	err("Neither IPv4 nor IPv6 is there to connect the guest to");
	return -1;
}

/* drop_family() - What was given for a family that is not in use */
static void drop_family(const struct side *f)
{
	*f->addr = *f->gw = *f->match = *f->host = ADDR_NONE;
	memset(f->dns, 0, LEASE_DNS * sizeof(*f->dns));
}

/**
 * conf_complete() - Ask the host for what was not given
 * @c:		checked configuration, completed
 *
 * A host that is offline is not an error.
 *
 * Return: 0, -1 if no start is possible; one line was logged
 */
int conf_complete(struct conf *c)
{
	struct side f4 = family4(c), f6 = family6(c);
	int nl;

	if (complete_families(c))
		return -1;

	nl = nl_open();
	if (nl < 0)
		warn("the kernel does not tell its addresses and routes: %s",
		     strerror(-nl));
	if (!c->ipv4)
		drop_family(&f4);
	else if (complete_ipv4(c, nl))
		c->host_addr = true;
	if (!c->ipv6)
		drop_family(&f6);
	else if (complete_ipv6(c, nl))
		c->host_addr = true;
	if (nl >= 0)
		close(nl);

	c->ifindex = c->ifindex6 ? c->ifindex6 : c->ifindex4;
	complete_resolver(c, RESOLV_CONF);
	return 0;
}
