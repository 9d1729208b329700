// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * derive.c - Makes a struct net from the options (struct conf) and from the
 * host's addresses, routes and resolvers (struct host).
 *
 * derive() is a pure function: it makes no system call, prints no message and
 * keeps no state. So it can be called again whenever the host changes. The
 * table in test/unit/addressing.c lists its results for many cases, and is the
 * specification of addressing.
 */
#include <string.h>

#include "conf/derive.h"

/* Addresses for a guest whose host has no addresses or no default route. Any
 * link-local addresses would do (RFC 3927). */
#define OFFLINE_ADDR4		"169.254.2.1"
#define OFFLINE_LEN4		16
#define OFFLINE_GATEWAY4	"169.254.2.2"
#define OFFLINE_GATEWAY6	"fe80::1"

/**
 * struct dns_map - For each family, a guest-visible address whose ports 53 and
 *		853 lead to resolvers
 * @visible:	guest-visible address; none: no traffic to these ports is
 *		translated
 * @real:	real addresses of the resolvers, of any family; unused elements
 *		are zero
 */
struct dns_map {
	struct in6_addr visible[FAMILIES], real[FAMILIES][LEASE_DNS];
};

/* addr_fixed() - Convert a valid address from text */
static struct in6_addr addr_fixed(const char *text)
{
	struct in6_addr a = ADDR_NONE;

	addr_parse(text, &a);
	return a;
}

/* addr_or() - Return the address @a, or @b if @a is none */
static struct in6_addr addr_or(struct in6_addr a, struct in6_addr b)
{
	return addr_is_none(&a) ? b : a;
}

static void net_add_note(struct net *n, enum net_note_type type,
			 const struct in6_addr *addr)
{
	if (n->nnotes < NET_NOTES)
		n->note[n->nnotes++] = (struct net_note){ type, *addr };
}

static void net_add_pair(struct net *n, struct in6_addr visible,
			 struct in6_addr real, enum nat_ports ports)
{
	n->nat[n->npairs++] = (struct nat_pair){ visible, real, ports };
}

/* class_len() - Return the prefix length of an IPv4 address by its class (RFC
 * 791 3.2) */
static unsigned int class_len(const struct in6_addr *a)
{
	uint8_t first = a->s6_addr[12];

	return first < 128 ? 8 : first < 192 ? 16 : 24;
}

/* derive_common() - Set which families are in use, and the fields of @n that do
 * not depend on addresses */
static void derive_common(const struct conf *c, const struct host *h,
			  struct net *n)
{
	struct lease *l = &n->lease;
	enum ip_family f;

	for (f = IP4; f < FAMILIES; f++) {
		n->use[f] = c->use[f] && h->family[f].exists;
		if (c->use[f] && !n->use[f])
			net_add_note(n, f == IP4 ? NOTE_NO_IPV4 : NOTE_NO_IPV6,
				     &ADDR_NONE);
	}

	l->dhcp = c->dhcp && n->use[IP4];
	l->dhcpv6 = c->dhcpv6 && n->use[IP6];
	l->ndp = c->ndp && n->use[IP6];
	l->ra = c->ra && n->use[IP6];
	l->dhcp_dns = c->dhcp_dns;
	l->dhcp_search = c->dhcp_search;
	memcpy(l->mac, c->mac, sizeof(l->mac));
	memcpy(l->hostname, c->hostname, sizeof(l->hostname));
	memcpy(l->fqdn, c->fqdn, sizeof(l->fqdn));
	l->mtu = c->mtu_given ? c->mtu : CONF_MTU;
	l->time = c->lease_time;
	n->mtu = l->mtu ? l->mtu : CONF_MTU;
}

/* default_len() - Return the prefix length of an address that was given without
 * one */
static unsigned int default_len(const struct in6_addr *a)
{
	return addr_is_v4(a) ? class_len(a) : LEASE_SLAAC_LEN;
}

/* derive_addr() - Set the guest's first address of one family, and its prefix
 * length */
static void derive_addr(const struct conf *c, const struct host_family *h,
			enum ip_family f, struct lease *l)
{
	bool given = !addr_is_none(&c->addr[f][0]);

	l->addr[f] = given ? c->addr[f][0] : h->addr;
	l->len[f] = given ? c->len[f][0] : h->len;
	if (f == IP4 && addr_is_none(&l->addr[f])) {
		l->addr[f] = addr_fixed(OFFLINE_ADDR4);
		l->len[f] = OFFLINE_LEN4;
	}
	if (f == IP4 && c->netmask)
		l->len[f] = c->netmask;
	else if (!addr_is_none(&l->addr[f]) && !l->len[f])
		l->len[f] = default_len(&l->addr[f]);
}

/* derive_more_addrs() - Set the guest's further addresses of one family */
static void derive_more_addrs(const struct conf *c, enum ip_family f,
			      struct lease *l)
{
	const struct in6_addr *a = &c->addr[f][1];
	unsigned int i;

	for (i = 0; i < LEASE_ADDRS - 1 && !addr_is_none(&a[i]); i++) {
		l->more[f][i] = a[i];
		l->more_len[f][i] = c->len[f][i + 1] ? c->len[f][i + 1] :
				    default_len(&a[i]);
	}
}

/*
 * derive_router() - Set the gateway, and our address as the guest's router
 *
 * Our address is the gateway's, with one exception. For IPv6, our address must
 * be link-local, because it is the source of router advertisements (RFC 4861
 * 4.2). If the gateway's address is not link-local, our address is
 * OFFLINE_GATEWAY6.
 */
static void derive_router(const struct conf *c, const struct host_family *h,
			  enum ip_family f, struct net *n)
{
	struct in6_addr offline = addr_fixed(f == IP4 ? OFFLINE_GATEWAY4 :
							OFFLINE_GATEWAY6);
	struct in6_addr *gateway = &n->gateway[f];

	*gateway = addr_or(addr_or(c->gateway[f], h->gateway), offline);
	if (f == IP6 && !addr_is_linklocal(gateway))
		n->lease.router[f] = offline;
	else
		n->lease.router[f] = *gateway;
}

/* derive_family() - Set addresses and interfaces of one family */
static void derive_family(const struct conf *c, const struct host_family *h,
			  enum ip_family f, struct net *n)
{
	const char *mcast = c->out_ifname[f];

	n->source[f] = c->out[f];
	memcpy(n->source_ifname[f], c->out_ifname[f], IFNAMSIZ);
	if (!n->use[f])
		return;

	derive_addr(c, h, f, &n->lease);
	derive_more_addrs(c, f, &n->lease);
	derive_router(c, h, f, n);
	memcpy(n->ifname[f], h->ifname, IFNAMSIZ);
	memcpy(n->mcast_ifname[f], *mcast ? mcast : h->ifname, IFNAMSIZ);
	if (h->ifindex)		/* called last for IPv6, which overrides IPv4 */
		n->scope = h->ifindex;
}

/* derive_host_addr() - Return the guest-visible address of the host's loopback,
 * or none */
static struct in6_addr derive_host_addr(const struct conf *c,
					const struct net *n, enum ip_family f)
{
	if (c->no_map_loopback)
		return ADDR_NONE;
	return addr_or(c->map_loopback[f],
		       c->map_gw ? n->gateway[f] : ADDR_NONE);
}

/* derive_host_ports() - Find out for which traffic passt translates between the
 * host's address and the address by which the guest reaches the host: for all
 * traffic, or, with --no-host-access, only for traffic that the host begins */
static enum nat_ports derive_host_ports(const struct conf *c)
{
	return c->no_host_access ? NAT_TO_GUEST : NAT_ANY_PORT;
}

/* add_resolver() - Add a resolver to a list, unless the list has it or is
 * full */
static void add_resolver(struct in6_addr list[LEASE_DNS],
			 const struct in6_addr *addr)
{
	unsigned int i;

	for (i = 0; i < LEASE_DNS && !addr_is_none(&list[i]); i++) {
		if (addr_eq(&list[i], addr))
			return;
	}
	if (i < LEASE_DNS)
		list[i] = *addr;
}

/* add_resolvers() - Add the host's resolvers to a list: first those of family
 * @f, then all others */
static void add_resolvers(struct in6_addr list[LEASE_DNS],
			  const struct resolv *r, enum ip_family f)
{
	unsigned int i;

	for (i = 0; i < r->n; i++) {
		if (addr_ip(&r->dns[i]) == f)
			add_resolver(list, &r->dns[i]);
	}
	for (i = 0; i < r->n; i++)
		add_resolver(list, &r->dns[i]);
}

/*
 * resolver_visible() - Return the guest-visible address of a resolver, or none
 *
 * For most resolvers, the guest-visible address is the real address. In two
 * cases the guest can't reach the real address: if it is a loopback address, or
 * if it is the same as @host, the address that leads the guest to the host's
 * loopback. (In home networks, the gateway often is the resolver.) Ports 53 and
 * 853 of @map->visible then lead to the resolver. This function sets
 * @map->visible, unless it is set already, and adds the resolver to @map->real,
 * unless --dns-forward or --dns-host says what belongs there (@given).
 */
static struct in6_addr resolver_visible(const struct in6_addr *dns,
					const struct in6_addr *host,
					enum ip_family f, bool given,
					struct dns_map *map)
{
	if (!addr_is_loopback(dns) && !addr_eq(dns, host))
		return *dns;
	map->visible[f] = addr_or(map->visible[f], *host);
	if (!addr_is_none(&map->visible[f]) && !given)
		add_resolver(map->real[f], dns);
	return map->visible[f];
}

/* derive_host_dns() - Add the host's resolvers to the lease, in families for
 * which no option gives resolvers. Add a note for each resolver that the guest
 * can't reach. */
static void derive_host_dns(const struct conf *c, const struct resolv *r,
			    struct net *n, struct dns_map *map)
{
	unsigned int i;

	for (i = 0; i < r->n; i++) {
		enum ip_family f = addr_ip(&r->dns[i]);
		bool given = !addr_is_none(&c->dns_match[f]) ||
			     !addr_is_none(c->dns_host[f]);
		struct in6_addr visible, host;

		if (!n->use[f] || c->dns_given[f])
			continue;
		host = c->no_host_access ? ADDR_NONE :
		       derive_host_addr(c, n, f);
		visible = resolver_visible(&r->dns[i], &host, f, given, map);
		if (addr_is_none(&visible))
			net_add_note(n, NOTE_RESOLVER, &r->dns[i]);
		else
			add_resolver(n->lease.dns[f], &visible);
	}
}

/* derive_scopes() - For each link-local resolver for which resolv.conf names an
 * interface, store that interface. If several of these resolvers have the same
 * address, the first one counts. */
static void derive_scopes(const struct resolv *r, struct net *n)
{
	unsigned int i;

	for (i = 0; i < r->n && n->nresolvers < NET_SCOPES; i++) {
		if (r->scope[i])
			n->resolver[n->nresolvers++] = (struct net_scope){
				r->dns[i], r->scope[i],
			};
	}
}

/* derive_dns() - Set resolvers and search list of the lease, and set in @map
 * which guest-visible addresses lead to a resolver */
static void derive_dns(const struct conf *c, const struct resolv *r,
		       struct net *n, struct dns_map *map)
{
	struct lease *l = &n->lease;
	enum ip_family f;

	for (f = IP4; f < FAMILIES; f++) {
		if (!n->use[f])
			continue;
		map->visible[f] = c->dns_match[f];
		memcpy(map->real[f], c->dns_host[f], sizeof(map->real[f]));
		if (!addr_is_none(&map->visible[f]) &&
		    addr_is_none(map->real[f]))
			add_resolvers(map->real[f], r, f);
		memcpy(l->dns[f], c->dns[f], sizeof(l->dns[f]));
	}
	derive_host_dns(c, r, n, map);
	memcpy(l->search, c->search_given ? c->search : r->search,
	       sizeof(l->search));
}

/*
 * derive_shared() - Add the pairs whose real address is one of the guest's
 *
 * The guest can't have a peer with the guest's own address. If the host has an
 * address of the guest, and sends from it, the guest must see another source
 * address. This is the address of --map-guest-addr. Without the option, it is
 * the guest-visible address of the host's loopback.
 */
static void derive_shared(const struct conf *c, enum ip_family f, struct net *n)
{
	struct in6_addr visible = addr_or(c->map_guest[f],
					  derive_host_addr(c, n, f));
	struct lease_addr a;
	unsigned int i;

	for (i = 0; lease_addr(&n->lease, f, i, &a); i++)
		net_add_pair(n, visible, a.addr, derive_host_ports(c));
	/* A guest without an address shares none with the host, so flows to the
	 * address of --map-guest-addr are refused. */
	if (!i && !addr_is_none(&c->map_guest[f]))
		net_add_pair(n, c->map_guest[f], ADDR_NONE, NAT_ANY_PORT);
}

/* derive_nat() - Fill the table of address pairs, in the order of precedence */
static void derive_nat(const struct conf *c, const struct dns_map *map,
		       struct net *n)
{
	enum ip_family f;

	for (f = IP4; f < FAMILIES; f++) {
		if (addr_is_none(&map->visible[f]) ||
		    addr_is_none(map->real[f]))
			continue;
		net_add_pair(n, map->visible[f], map->real[f][0],
			     NAT_DNS_PORTS);
		memcpy(n->forward[f], map->real[f], sizeof(n->forward[f]));
	}
	for (f = IP4; f < FAMILIES; f++)
		net_add_pair(n, derive_host_addr(c, n, f), net_loopback(f),
			     derive_host_ports(c));
	for (f = IP4; f < FAMILIES; f++)
		derive_shared(c, f, n);
}

/**
 * derive() - Derive the network of the guest
 * @c:		options that conf_check() accepted
 * @h:		addresses, routes and resolvers of the host
 * @n:		filled with the network
 *
 * If the host has no address or no default route, defaults are used, such as a
 * link-local IPv4 address for the guest. If no family is in use, @n->use has no
 * true element, and passt can't start.
 */
void derive(const struct conf *c, const struct host *h, struct net *n)
{
	struct dns_map map = { 0 };
	enum ip_family f;

	*n = (struct net){ 0 };
	derive_common(c, h, n);
	for (f = IP4; f < FAMILIES; f++)
		derive_family(c, &h->family[f], f, n);
	derive_scopes(&h->resolv, n);
	derive_dns(c, &h->resolv, n, &map);
	derive_nat(c, &map, n);
}
