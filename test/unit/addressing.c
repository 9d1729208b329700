// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * addressing.c - The specification of addressing, as a table. Each row says
 * which network derive() makes for the guest, given options and a host.
 *
 * Options are written as on the command line; _ stands for a space inside a
 * value.
 *
 * The host is described by parts with semicolons between them:
 *	4 ADDR/LEN via GATEWAY on N	address, gateway and interface index
 *					for IPv4; each may be left out
 *	6 ...				the same for IPv6
 *	no4, no6			the kernel does not support the family
 *	dns ADDR[%N]..., search NAME...	lines of resolv.conf
 *
 * The network is described by words with spaces between them. If a word has
 * several values, there are commas between them:
 *	4=, 6=		addresses of the guest and their prefix lengths
 *	r4=, r6=	address of the guest's router, which is passt
 *	gw6=		address of the gateway that this router stands for
 *	mtu=, link=	MTU that passt announces, and MTU that passt uses
 *	time=		lease time that passt announces, s
 *	dns=, search=	resolvers, those for IPv4 first, and search domains
 *	use=, serve=	families in use, and services that answer
 *	src4=, src6=	source address of passt's sockets
 *	if4=, if6=	interface that passt's sockets are bound to
 *	mcast4=, mcast6= interface on which passt joins multicast groups
 *	scope=		index of the interface that link-local peers are on
 *	note=		what the user is told
 *	A>B, A,PORT>B	packets from the guest to A (and PORT) go to B
 *	A<B		packets from peer B reach the guest with source A
 *	A>!, !<B	passt refuses such packets
 *	A%N		sockets to peer A use interface N as scope
 *	A%N!		the same, and options set the source address or the
 *			interface of these sockets
 */
#include <stdlib.h>

#include "../../conf/derive.c"
#include "forward/nat.h"
#include "unit.h"

#define TEXT	512

static char *next_part(char **s, const char *separators)
{
	char *part;

	do
		part = strsep(s, separators);
	while (part && !*part);
	return part;
}

static struct in6_addr ip(const char *s)
{
	struct in6_addr a = ADDR_NONE;

	if (!addr_parse(s, &a)) {
		fail("addresses of this test", "'%s' is not one", s);
		exit(1);
	}
	return a;
}

/* parse_options() - Parse a row's options into @c */
static void parse_options(const char *options, struct conf *c)
{
	char *argv[32] = { "passt" }, *rest, *word, *s;
	static char copy[TEXT];		/* @c keeps pointers into this copy */
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", options);
	for (rest = copy; (word = next_part(&rest, " ")); ) {
		for (s = word; (s = strchr(s, '_')); )
			*s = ' ';
		argv[argc++] = word;
	}
	if (conf_parse(c, argc, argv) != CONF_GO || conf_check(c) != CONF_GO) {
		fail("options of this test", "%s", options);
		exit(1);
	}
}

static void parse_family(char *part, struct host_family *h)
{
	char *word, *len;

	while ((word = next_part(&part, " "))) {
		if (!strcmp(word, "via")) {
			h->gateway = ip(next_part(&part, " "));
		} else if (!strcmp(word, "on")) {
			h->ifindex = (unsigned int)atoi(next_part(&part, " "));
			snprintf(h->ifname, IFNAMSIZ, "eth%u", h->ifindex);
		} else {
			len = strchr(word, '/');
			*len = '\0';
			h->addr = ip(word);
			h->len = (unsigned int)atoi(len + 1);
		}
	}
}

/* parse_resolver() - Add a resolver that is written as ADDR or ADDR%N */
static void parse_resolver(char *word, struct resolv *r)
{
	char *scope = strchr(word, '%');

	if (scope) {
		*scope++ = '\0';
		r->scope[r->n] = (uint32_t)atoi(scope);
	}
	r->dns[r->n++] = ip(word);
}

/* parse_host() - Parse a row's description of the host */
static void parse_host(const char *text, struct host *h)
{
	char copy[TEXT], *rest = copy, *part, *word;

	*h = (struct host){ .family = { { .exists = true },
					{ .exists = true } } };
	snprintf(copy, sizeof(copy), "%s", text);
	while ((part = next_part(&rest, ";"))) {
		word = next_part(&part, " ");
		if (!strcmp(word, "4") || !strcmp(word, "6"))
			parse_family(part,
				     &h->family[*word == '4' ? IP4 : IP6]);
		else if (!strcmp(word, "no4") || !strcmp(word, "no6"))
			h->family[word[2] == '4' ? IP4 : IP6].exists = false;
		else if (!strcmp(word, "search"))
			snprintf(h->resolv.search, LEASE_SEARCH, "%s", part);
		else
			while ((word = next_part(&part, " ")))
				parse_resolver(word, &h->resolv);
	}
}

/* add_text() - Append a value to @buf, with a comma before it unless it is the
 * first */
static void add_text(char buf[TEXT], const char *value)
{
	size_t n = strlen(buf);

	snprintf(buf + n, TEXT - n, "%s%s", n ? "," : "", value);
}

static void add_addr(char buf[TEXT], const struct in6_addr *a)
{
	char text[ADDR_STRLEN];

	add_text(buf, addr_is_none(a) ? "none" : addr_str(a, text));
}

static void add_if(char buf[TEXT], bool is, const char *value)
{
	if (is)
		add_text(buf, value);
}

static void say_dns(const struct net *n, char buf[TEXT])
{
	enum ip_family f;
	unsigned int i;

	for (f = IP4; f < FAMILIES; f++) {
		for (i = 0; i < LEASE_DNS; i++) {
			if (!addr_is_none(&n->lease.dns[f][i]))
				add_addr(buf, &n->lease.dns[f][i]);
		}
	}
}

static void say_notes(const struct net *n, char buf[TEXT])
{
	unsigned int i;

	for (i = 0; i < n->nnotes; i++) {
		add_if(buf, n->note[i].type == NOTE_NO_IPV4, "no4");
		add_if(buf, n->note[i].type == NOTE_NO_IPV6, "no6");
		if (n->note[i].type == NOTE_RESOLVER)
			add_addr(buf, &n->note[i].addr);
	}
}

static void say_number(char buf[TEXT], unsigned int number)
{
	snprintf(buf, TEXT, "%u", number);
}

/* say_value() - Write the value of a word such as "dns=" to @buf; false if
 * there is no word with this @key */
static bool say_value(const struct net *n, const char *key, char buf[TEXT])
{
	enum ip_family f = key[strlen(key) - 1] == '4' ? IP4 : IP6;
	const struct lease *l = &n->lease;
	struct lease_addr a;
	unsigned int i;
	char *s;

	*buf = '\0';
	if (!strcmp(key, "4") || !strcmp(key, "6")) {
		for (i = 0; lease_addr(l, f, i, &a); i++) {
			add_addr(buf, &a.addr);
			sprintf(buf + strlen(buf), "/%u", a.len);
		}
		if (!i)
			add_text(buf, "none");
	} else if (!strncmp(key, "gw", 2)) {
		add_addr(buf, &n->gateway[f]);
	} else if (*key == 'r') {
		add_addr(buf, &l->router[f]);
	} else if (!strcmp(key, "mtu")) {
		say_number(buf, l->mtu);
	} else if (!strcmp(key, "link")) {
		say_number(buf, n->mtu);
	} else if (!strcmp(key, "time")) {
		say_number(buf, l->time);
	} else if (!strcmp(key, "dns")) {
		say_dns(n, buf);
	} else if (!strcmp(key, "search")) {
		add_text(buf, l->search);
		for (s = buf; (s = strchr(s, ' ')); )
			*s = ',';
	} else if (!strcmp(key, "use")) {
		add_if(buf, n->use[IP4], "4");
		add_if(buf, n->use[IP6], "6");
	} else if (!strcmp(key, "serve")) {
		add_if(buf, l->dhcp, "dhcp");
		add_if(buf, l->dhcpv6, "dhcpv6");
		add_if(buf, l->ndp, "ndp");
		add_if(buf, l->ra, "ra");
	} else if (!strncmp(key, "src", 3)) {
		add_addr(buf, &n->source[f]);
	} else if (!strncmp(key, "if", 2)) {
		add_text(buf, n->source_ifname[f]);
	} else if (!strncmp(key, "mcast", 5)) {
		add_text(buf, n->mcast_ifname[f]);
	} else if (!strcmp(key, "scope")) {
		say_number(buf, n->scope);
	} else if (!strcmp(key, "note")) {
		say_notes(n, buf);
	} else {
		return false;
	}
	return true;
}

/* say_from_guest() - Write to @buf where packets from the guest to @dst go,
 * which is "A" or "A,PORT"; "!" if passt refuses them */
static void say_from_guest(const struct net *n, char *dst, char buf[TEXT])
{
	char *port = strchr(dst, ',');
	struct in6_addr a, real;

	if (port)
		*port++ = '\0';
	a = ip(dst);
	*buf = '\0';
	if (nat_from_guest(n, &a, port ? (uint16_t)atoi(port) : 0, &real))
		add_addr(buf, &real);
	else
		add_text(buf, "!");
}

/* say_to_guest() - Write to @buf the guest-visible address of a peer; "!" if
 * there is none */
static void say_to_guest(const struct net *n, const char *peer, char buf[TEXT])
{
	struct in6_addr a = ip(peer), visible;

	*buf = '\0';
	if (nat_to_guest(n, &a, &visible))
		add_addr(buf, &visible);
	else
		add_text(buf, "!");
}

/* say_scope() - Write to @buf the scope that passt's sockets to a peer use, and
 * "!" if options set the source address or the interface of these sockets */
static void say_scope(const struct net *n, const char *peer, char buf[TEXT])
{
	struct in6_addr a = ip(peer);
	struct sock_source src = nat_source(n, &a);

	snprintf(buf, TEXT, "%u%s", nat_scope(n, &a),
		 !addr_is_none(&src.addr) || *src.ifname ? "!" : "");
}

/**
 * holds() - Whether one word of a row is true for a network
 * @n:		network
 * @word:	"KEY=VALUE", "A>B", "A<B" or "A%VALUE"
 * @buf:	set to what the network really has: for VALUE, for B in "A>B",
 *		or for A in "A<B"
 */
static bool holds(const struct net *n, const char *word, char buf[TEXT])
{
	char copy[TEXT], *sign;

	snprintf(copy, sizeof(copy), "%s", word);
	sign = strpbrk(copy, "=<>%");
	if (!sign)
		return false;
	switch (*sign) {
	case '%':
		*sign = '\0';
		say_scope(n, copy, buf);
		return !strcmp(buf, sign + 1);
	case '=':
		*sign = '\0';
		return say_value(n, copy, buf) && !strcmp(buf, sign + 1);
	case '>':
		*sign = '\0';
		say_from_guest(n, copy, buf);
		return !strcmp(buf, sign + 1);
	default:
		*sign = '\0';
		say_to_guest(n, sign + 1, buf);
		return !strcmp(buf, copy);
	}
}

#define FAM4	"4 192.0.2.2/24 via 192.0.2.1 on 3;"
#define FAM6	"6 2001:db8::2/56 via fe80::7 on 3;"
#define DNS	"dns 203.0.113.53 2001:db8::53; search example.org"
#define USUAL	FAM4 FAM6 DNS

static const struct row {
	const char *name, *options, *host, *follows;
} table[] = {
	/* Rows about the guest's addresses, MTU, lease time and services */
	{ "the guest has the host's addresses", "", USUAL,
	  "4=192.0.2.2/24 6=2001:db8::2/56 use=4,6 note=" },
	{ "its routers have the addresses of the host's gateways", "", USUAL,
	  "r4=192.0.2.1 r6=fe80::7 gw6=fe80::7" },
	{ "it has the host's resolvers and search domains", "", USUAL,
	  "dns=203.0.113.53,2001:db8::53 search=example.org" },
	{ "an MTU of 65520", "", USUAL, "mtu=65520 link=65520" },
	{ "a given MTU", "-m 1500", USUAL, "mtu=1500 link=1500" },
	{ "no more than a frame holds", "-m 65521", USUAL,
	  "mtu=65521 link=65521" },
	{ "none is announced: it chooses", "-m 0", USUAL,
	  "mtu=0 link=65520" },
	{ "its lease lasts a day", "", USUAL, "time=86400" },
	{ "or as long as is given", "--lease-time 600", USUAL, "time=600" },
	{ "a given address, class A", "-a 10.1.2.3", USUAL, "4=10.1.2.3/8" },
	{ "up to its end", "-a 126.0.0.1", USUAL, "4=126.0.0.1/8" },
	{ "class B", "-a 172.16.0.1", USUAL, "4=172.16.0.1/16" },
	{ "class C", "-a 192.168.0.1", USUAL, "4=192.168.0.1/24" },
	{ "with its length", "-a 10.1.2.3/30", USUAL, "4=10.1.2.3/30" },
	{ "with a mask", "-a 10.1.2.3 -n 255.255.255.0", USUAL,
	  "4=10.1.2.3/24" },
	{ "the host's address with another mask", "-n 28", USUAL,
	  "4=192.0.2.2/28 6=2001:db8::2/56" },
	{ "a given IPv6 address", "-a fd00::3", USUAL,
	  "6=fd00::3/64 4=192.0.2.2/24" },
	{ "with its length", "-a fd00::3/48", USUAL, "6=fd00::3/48" },
	{ "several addresses", "-a 10.1.2.3 -a fd00::3 -a 172.16.0.1 "
	  "-a fd01::3/48 -a 10.1.2.4/30", USUAL,
	  "4=10.1.2.3/8,172.16.0.1/16,10.1.2.4/30 6=fd00::3/64,fd01::3/48" },
	{ "a mask is that of the first", "-a 10.1.2.3 -n 24 -a 10.2.0.1", USUAL,
	  "4=10.1.2.3/24,10.2.0.1/8" },
	{ "each may be shared with the host", "-a 192.0.2.3 -a 192.0.2.2 "
	  "-a 2001:db8::2", USUAL,
	  "192.0.2.1<192.0.2.3 192.0.2.1<192.0.2.2 fe80::7<2001:db8::2" },
	{ "the host's copy is that of the first",
	  "-a 192.0.2.2 -a 192.0.2.3 --map-guest-addr 192.0.2.77", USUAL,
	  "192.0.2.77>192.0.2.2 192.0.2.77<192.0.2.2 192.0.2.77<192.0.2.3" },
	{ "a given router", "-g 192.0.2.254", USUAL,
	  "r4=192.0.2.254 r6=fe80::7" },
	{ "a given IPv6 router", "-g fe80::9", USUAL,
	  "r6=fe80::9 gw6=fe80::9" },
	{ "that is not link-local: we advertise as another one",
	  "-g 2001:db8::9", USUAL, "r6=fe80::1 gw6=2001:db8::9" },
	{ "likewise the host's gateway", "",
	  "6 2001:db8::2/64 via 2001:db8::1 on 3",
	  "r6=fe80::1 gw6=2001:db8::1" },
	{ "an address of the host without a length", "", "4 10.0.0.1/0 on 3",
	  "4=10.0.0.1/8" },
	{ "an IPv6 address without a length", "", "6 2001:db8::2/0 on 3",
	  "6=2001:db8::2/64" },
	{ "a host without a gateway", "",
	  "4 192.0.2.2/24 on 3; 6 2001:db8::2/64 on 3",
	  "4=192.0.2.2/24 r4=169.254.2.2 r6=fe80::1" },
	{ "a host that is offline", "", "",
	  "4=169.254.2.1/16 r4=169.254.2.2 6=none r6=fe80::1 dns= search=" },
	{ "offline, with an address", "-a 10.1.2.3/24", "",
	  "4=10.1.2.3/24 r4=169.254.2.2" },
	{ "offline, with a mask", "-n 24", "", "4=169.254.2.1/24" },
	{ "a host with IPv4 alone", "", FAM4,
	  "4=192.0.2.2/24 6=none r6=fe80::1 use=4,6" },
	{ "a host with IPv6 alone", "", FAM6,
	  "4=169.254.2.1/16 6=2001:db8::2/56 r6=fe80::7" },
	{ "-4", "-4", USUAL,
	  "4=192.0.2.2/24 6=none r6=none dns=203.0.113.53 use=4 note=" },
	{ "-6", "-6", USUAL,
	  "6=2001:db8::2/56 4=none r4=none dns=2001:db8::53 use=6 note=" },
	{ "-4, and things of IPv6", "-4 -a fd00::1 -g fe80::3 -D 2001:db8::1",
	  USUAL, "6=none r6=none dns=203.0.113.53 use=4" },
	{ "a kernel without IPv6", "", FAM4 "no6;" DNS,
	  "use=4 6=none r6=none dns=203.0.113.53 note=no6 serve=dhcp" },
	{ "a kernel without IPv4", "", "no4;" FAM6 DNS,
	  "use=6 4=none r4=none dns=2001:db8::53 note=no4 "
	  "serve=dhcpv6,ndp,ra" },
	{ "that nobody asked for", "-6", "no4;" FAM6, "use=6 note=" },
	{ "a kernel with neither", "", "no4; no6", "use= note=no4,no6" },
	{ "a kernel without what was asked for", "-4", "no4;" FAM6,
	  "use= note=no4" },
	{ "all services answer", "", USUAL, "serve=dhcp,dhcpv6,ndp,ra" },
	{ "those of one family", "-6", USUAL, "serve=dhcpv6,ndp,ra" },
	{ "without ICMP", "--no-icmp", USUAL, "serve=dhcp,dhcpv6" },
	{ "without neighbour discovery", "--no-ndp", USUAL,
	  "serve=dhcp,dhcpv6" },
	{ "without router advertisements", "--no-ra --no-dhcp", USUAL,
	  "serve=dhcpv6,ndp" },

	/* Rows about resolvers and search domains */
	{ "given resolvers", "-D 198.51.100.1 -D fd00::53 -D 198.51.100.2",
	  USUAL, "dns=198.51.100.1,198.51.100.2,fd00::53 search=example.org" },
	{ "of one family, beside the host's of the other", "-D 198.51.100.1",
	  USUAL, "dns=198.51.100.1,2001:db8::53" },
	{ "on its own loopback", "-D 127.0.0.1 -D ::1", USUAL,
	  "dns=127.0.0.1,::1 127.0.0.1,53>!" },
	{ "no resolver", "-D none", USUAL, "dns= 192.0.2.1,53>127.0.0.1" },
	{ "given domains", "-S a.example_b.example", USUAL,
	  "search=a.example,b.example dns=203.0.113.53,2001:db8::53" },
	{ "no domain", "-S none", USUAL, "search=" },
	{ "a resolver that is named twice", "",
	  FAM4 "dns 203.0.113.1 203.0.113.2 203.0.113.1",
	  "dns=203.0.113.1,203.0.113.2" },
	{ "more resolvers than eight", "",
	  FAM4 "dns 203.0.113.1 203.0.113.2 203.0.113.3 203.0.113.4 "
	  "203.0.113.5 203.0.113.6 203.0.113.7 203.0.113.8 203.0.113.9",
	  "dns=203.0.113.1,203.0.113.2,203.0.113.3,203.0.113.4,203.0.113.5,"
	  "203.0.113.6,203.0.113.7,203.0.113.8 note=" },
	{ "a resolver on the host's loopback is the gateway, on DNS ports", "",
	  FAM4 "dns 127.0.0.53",
	  "dns=192.0.2.1 192.0.2.1,53>127.0.0.53 192.0.2.1,853>127.0.0.53 "
	  "192.0.2.1,80>127.0.0.1 192.0.2.1>127.0.0.1" },
	{ "and what comes from it comes from there", "", FAM4 "dns 127.0.0.53",
	  "192.0.2.1<127.0.0.53" },
	{ "likewise over IPv6", "", FAM6 "dns ::1",
	  "dns=fe80::7 fe80::7,53>::1 fe80::7<::1" },
	{ "the first of several counts", "",
	  FAM4 "dns 127.0.0.53 127.0.0.1 203.0.113.53",
	  "dns=192.0.2.1,203.0.113.53 192.0.2.1,53>127.0.0.53" },
	{ "it is where the host's loopback is", "--map-host-loopback 192.0.2.9",
	  FAM4 "dns 127.0.0.53",
	  "dns=192.0.2.9 192.0.2.9,53>127.0.0.53 192.0.2.1,53>192.0.2.1" },
	{ "which may be nowhere", "--no-map-gw",
	  FAM4 "dns 127.0.0.53 203.0.113.53 ::1",
	  "dns=203.0.113.53 note=127.0.0.53,::1 192.0.2.1,53>192.0.2.1" },
	{ "or by --dns-forward", "--no-map-gw --dns-forward 192.0.2.8",
	  FAM4 "dns 127.0.0.53",
	  "dns=192.0.2.8 note= 192.0.2.8,53>127.0.0.53 "
	  "192.0.2.8,80>192.0.2.8 192.0.2.8>192.0.2.8" },
	{ "the gateway as resolver is not the host's loopback", "",
	  FAM4 "dns 192.0.2.1",
	  "dns=192.0.2.1 192.0.2.1,53>192.0.2.1 192.0.2.1,80>127.0.0.1" },
	{ "which is needless if the gateway is only itself", "--no-map-gw",
	  FAM4 "dns 192.0.2.1", "dns=192.0.2.1 192.0.2.1,80>192.0.2.1" },
	{ "--dns-forward leads to the first of its family",
	  "--dns-forward 192.0.2.8 --dns-forward fd00::8",
	  FAM4 FAM6 "dns 2001:db8::53 203.0.113.53 203.0.113.54",
	  "192.0.2.8,53>203.0.113.53 fd00::8,853>2001:db8::53" },
	{ "or of any", "--dns-forward fd00::8", FAM4 "dns 203.0.113.53",
	  "fd00::8,53>203.0.113.53 dns=203.0.113.53" },
	{ "or to that of --dns-host",
	  "--dns-forward 192.0.2.8 --dns-host 203.0.113.1", USUAL,
	  "192.0.2.8,53>203.0.113.1 dns=203.0.113.53,2001:db8::53" },
	{ "which also is the one behind the gateway", "--dns-host 203.0.113.1",
	  FAM4 "dns 127.0.0.53", "dns=192.0.2.1 192.0.2.1,53>203.0.113.1" },
	{ "with nowhere to lead to, it is an address like any",
	  "--dns-forward 192.0.2.8", FAM4, "192.0.2.8,53>192.0.2.8" },
	{ "it does without resolvers of the guest",
	  "-D none --dns-forward 192.0.2.8", USUAL,
	  "dns= 192.0.2.8,53>203.0.113.53" },
	{ "what comes from a resolver comes from itself",
	  "--dns-forward 192.0.2.8", USUAL, "203.0.113.53<203.0.113.53" },
	{ "of a family that is not in use it is nothing",
	  "-4 --dns-forward fd00::8", USUAL, "fd00::8,53>fd00::8" },

	{ "a link-local resolver is asked on its own interface", "",
	  FAM6 "dns fe80::53%5 fe80::54 203.0.113.53",
	  "dns=203.0.113.53,fe80::53,fe80::54 fe80::53,53>fe80::53 "
	  "fe80::53%5 fe80::54%3 fe80::7%3 203.0.113.53%3" },
	{ "also by --dns-forward", "--dns-forward fd00::8",
	  FAM6 "dns fe80::53%5", "fd00::8,53>fe80::53 fe80::53%5" },
	{ "also if it is the gateway's address", "", FAM6 "dns fe80::7%5",
	  "dns=fe80::7 fe80::7,53>fe80::7 fe80::7%5 fe80::7,80>::1" },
	{ "whatever interface and source our sockets have otherwise",
	  "-o 2001:db8::2 --outbound-if6 lo", FAM6 "dns fe80::53%5",
	  "fe80::53%5 2001:db8::9%3! fe80::54%3!" },
	{ "two with the same address: the first", "",
	  FAM6 "dns fe80::53%5 fe80::53%6", "dns=fe80::53 fe80::53%5" },

	{ "with --no-host-access the guest does not reach the host",
	  "--no-host-access", USUAL,
	  "192.0.2.1>192.0.2.1 fe80::7>fe80::7 127.0.0.1>! ::1>!" },
	{ "but the host reaches the guest", "--no-host-access", USUAL,
	  "192.0.2.1<127.0.0.1 192.0.2.1<192.0.2.2 fe80::7<::1 "
	  "fe80::7<2001:db8::2" },
	{ "a resolver on the host is out of reach", "--no-host-access",
	  FAM4 "dns 127.0.0.53 203.0.113.53",
	  "dns=203.0.113.53 note=127.0.0.53 192.0.2.1,53>192.0.2.1" },
	{ "unless --dns-forward leads there",
	  "--no-host-access --dns-forward 192.0.2.8", FAM4 "dns 127.0.0.53",
	  "dns=192.0.2.8 note= 192.0.2.8,53>127.0.0.53 192.0.2.8,80>192.0.2.8" },

	/* Rows about the real address that a guest-visible address leads to */
	{ "a peer is itself, both ways", "", USUAL,
	  "198.51.100.7>198.51.100.7 198.51.100.7<198.51.100.7 "
	  "2001:db8:1::7>2001:db8:1::7 2001:db8:1::7<2001:db8:1::7 "
	  "fe80::99>fe80::99" },
	{ "the gateway's address leads to the host's loopback", "", USUAL,
	  "192.0.2.1>127.0.0.1 192.0.2.1,80>127.0.0.1 fe80::7>::1" },
	{ "and what comes from there comes from it", "", USUAL,
	  "192.0.2.1<127.0.0.1 192.0.2.1<127.255.0.9 fe80::7<::1" },
	{ "as does what comes from the shared addresses", "", USUAL,
	  "192.0.2.1<192.0.2.2 fe80::7<2001:db8::2" },
	{ "no other address leads to the host's loopback", "", USUAL,
	  "127.0.0.1>! 127.255.0.53>! ::1>! 127.0.0.1,53>!" },
	{ "what is no host's address is refused", "", USUAL,
	  "224.0.0.251>! ff02::1>! 255.255.255.255>! 0.0.0.0>! ::>! "
	  "0.1.2.3>!" },
	{ "--no-map-gw: the gateway is only itself", "--no-map-gw", USUAL,
	  "192.0.2.1>192.0.2.1 fe80::7>fe80::7 127.0.0.1>!" },
	{ "and what only it could stand for is refused", "--no-map-gw", USUAL,
	  "!<127.0.0.1 !<::1 !<192.0.2.2 !<2001:db8::2 "
	  "198.51.100.7<198.51.100.7 192.0.2.1<192.0.2.1" },
	{ "--map-host-loopback none is the same", "--map-host-loopback none",
	  USUAL, "192.0.2.1>192.0.2.1 !<127.0.0.1 !<192.0.2.2 !<::1" },
	{ "--map-host-loopback takes the gateway's place",
	  "--map-host-loopback 192.0.2.9", USUAL,
	  "192.0.2.9>127.0.0.1 192.0.2.1>192.0.2.1 192.0.2.9<127.0.0.1 "
	  "192.0.2.9<192.0.2.2" },
	{ "in its family", "--map-host-loopback 192.0.2.9", USUAL,
	  "fe80::7>::1 fe80::7<::1 fe80::7<2001:db8::2" },
	{ "with --no-map-gw the other family has none",
	  "--no-map-gw --map-host-loopback 192.0.2.9", USUAL,
	  "192.0.2.9<127.0.0.1 !<::1 fe80::7>fe80::7" },
	{ "the last one wins",
	  "--map-host-loopback none --map-host-loopback 192.0.2.9", USUAL,
	  "192.0.2.9>127.0.0.1 fe80::7>::1" },
	{ "a given router does what the gateway did", "-g 192.0.2.254", USUAL,
	  "192.0.2.254>127.0.0.1 192.0.2.1>192.0.2.1 192.0.2.254<127.0.0.1" },
	{ "the gateway, not the address that we advertise from",
	  "-g 2001:db8::9", USUAL,
	  "2001:db8::9>::1 fe80::1>fe80::1 2001:db8::9<::1" },
	{ "offline, too", "", "",
	  "169.254.2.2>127.0.0.1 169.254.2.2<127.0.0.1 fe80::1>::1 "
	  "fe80::1<::1 169.254.2.2<169.254.2.1" },
	{ "a given address is the shared one", "-a 10.1.2.3", USUAL,
	  "192.0.2.1<10.1.2.3 192.0.2.2<192.0.2.2 192.0.2.2>192.0.2.2" },
	{ "--map-guest-addr leads to the host's copy, and back",
	  "--map-guest-addr 192.0.2.77", USUAL,
	  "192.0.2.77>192.0.2.2 192.0.2.77<192.0.2.2" },
	{ "and to nothing else", "--map-guest-addr 192.0.2.77", USUAL,
	  "192.0.2.1<127.0.0.1 192.0.2.1>127.0.0.1 fe80::7<2001:db8::2" },
	{ "over IPv6 likewise", "--map-guest-addr 2001:db8::77", USUAL,
	  "2001:db8::77>2001:db8::2 2001:db8::77<2001:db8::2 "
	  "192.0.2.1<192.0.2.2" },
	{ "it needs no gateway", "--no-map-gw --map-guest-addr 192.0.2.77",
	  USUAL, "192.0.2.77<192.0.2.2 !<127.0.0.1 !<2001:db8::2" },
	{ "none takes it back",
	  "--map-guest-addr 192.0.2.77 --map-guest-addr none", USUAL,
	  "192.0.2.77>192.0.2.77 192.0.2.1<192.0.2.2" },
	{ "without an address it is a copy of nothing",
	  "-6 --map-guest-addr 192.0.2.77", USUAL, "192.0.2.77>! " },
	{ "for the guest, the host's loopback comes first",
	  "--map-guest-addr 192.0.2.1", USUAL,
	  "192.0.2.1>127.0.0.1 192.0.2.1<192.0.2.2 192.0.2.1<127.0.0.1" },
	{ "and the DNS ports before both",
	  "--map-guest-addr 192.0.2.1 --dns-forward 192.0.2.1", USUAL,
	  "192.0.2.1,53>203.0.113.53 192.0.2.1,80>127.0.0.1" },
	{ "the loopback of a family that is not in use is refused", "-6",
	  USUAL, "!<127.0.0.1 fe80::7<::1" },

	/* Rows about the addresses and interfaces that passt binds its sockets
	 * to */
	{ "nothing is bound by itself", "", USUAL,
	  "src4=none src6=none if4= if6= scope=3" },
	{ "source addresses", "-o 192.0.2.3 -o 2001:db8::3", USUAL,
	  "src4=192.0.2.3 src6=2001:db8::3" },
	{ "groups are joined where the address is from", "", USUAL,
	  "mcast4=eth3 mcast6=eth3" },
	{ "or where sockets are bound", "--outbound-if4 lo", USUAL,
	  "if4=lo if6= mcast4=lo mcast6=eth3" },
	{ "link-local peers are where IPv6 is", "",
	  "4 192.0.2.2/24 on 3; 6 2001:db8::2/64 on 4", "scope=4" },
	{ "or IPv4", "-4", "4 192.0.2.2/24 on 3; 6 2001:db8::2/64 on 4",
	  "scope=3 mcast6=" },
	{ "or nowhere", "", "", "scope=0 mcast4= mcast6=" },
};

static void run_row(const struct row *r)
{
	char copy[2 * TEXT], got[TEXT], *rest = copy, *word;
	struct host h;
	struct conf c;
	struct net n;

	parse_options(r->options, &c);
	parse_host(r->host, &h);
	derive(&c, &h, &n);
	snprintf(copy, sizeof(copy), "%s", r->follows);
	while ((word = next_part(&rest, " "))) {
		*got = '\0';
		if (!holds(&n, word, got)) {
			fail(r->name, "'%s': not %s, but '%s'", r->options,
			     word, got);
			return;
		}
	}
	pass(r->name);
}

/* add_changed() - Append @key to @buf if two networks have different values for
 * it */
static void add_changed(char buf[TEXT], const char *key, const struct net *a,
			const struct net *b)
{
	char was[TEXT] = "", is[TEXT] = "";

	if (!say_value(a, key, was) || !say_value(b, key, is))
		fail("keys of this test", "%s", key);
	add_if(buf, strcmp(was, is), key);
}

/* net_diff() - List in which values two networks differ, by the keys that the
 * table has for them, and "nat" if their pairs of addresses differ */
static void net_diff(const struct net *a, const struct net *b, char buf[TEXT])
{
	static const char *const keys[] = {
		"4", "6", "r4", "r6", "mtu", "dns", "search", "use", "serve",
		"scope", "note",
	};
	unsigned int i;

	*buf = '\0';
	for (i = 0; i < ARRAY_SIZE(keys); i++)
		add_changed(buf, keys[i], a, b);
	add_if(buf, a->npairs != b->npairs ||
	       memcmp(a->nat, b->nat, sizeof(a->nat)), "nat");
}

static const struct change {
	const char *name, *options, *before, *after, *changed;
} changes[] = {
	{ "nothing happened", "", USUAL, USUAL, "" },
	{ "the host's address changed", "", USUAL,
	  "4 192.0.2.3/24 via 192.0.2.1 on 3;" FAM6 DNS, "4,nat" },
	{ "only its length", "", USUAL,
	  "4 192.0.2.2/25 via 192.0.2.1 on 3;" FAM6 DNS, "4" },
	{ "an address that was given did not", "-a 10.1.2.3", USUAL,
	  "4 192.0.2.3/24 via 192.0.2.1 on 3;" FAM6 DNS, "" },
	{ "the gateway changed", "", USUAL,
	  "4 192.0.2.2/24 via 192.0.2.254 on 3;" FAM6 DNS, "r4,nat" },
	{ "the gateway went away", "", USUAL, "4 192.0.2.2/24 on 3;" FAM6 DNS,
	  "r4,nat" },
	{ "a router that was given did not", "-g 192.0.2.9", USUAL,
	  "4 192.0.2.2/24 on 3;" FAM6 DNS, "" },
	{ "the host went online", "", "", USUAL,
	  "4,6,r4,r6,dns,search,scope,nat" },
	{ "the host went offline", "", USUAL, "",
	  "4,6,r4,r6,dns,search,scope,nat" },
	{ "IPv6 appeared", "", FAM4 DNS, USUAL, "6,r6,nat" },
	{ "which nobody wants", "-4", FAM4 DNS, USUAL, "" },
	{ "the kernel got IPv6", "", FAM4 "no6", FAM4,
	  "r6,use,serve,note,nat" },
	{ "a resolver was replaced", "", FAM4 "dns 203.0.113.53",
	  FAM4 "dns 203.0.113.54", "dns" },
	{ "by one on the host's loopback", "", FAM4 "dns 203.0.113.53",
	  FAM4 "dns 127.0.0.53", "dns,nat" },
	{ "by one out of reach", "--no-map-gw", FAM4 "dns 203.0.113.53",
	  FAM4 "dns 127.0.0.53", "dns,note" },
	{ "one behind --dns-forward", "-D 192.0.2.8 --dns-forward 192.0.2.8",
	  FAM4 "dns 203.0.113.53", FAM4 "dns 203.0.113.54", "nat" },
	{ "resolvers that were given did not change",
	  "-D 198.51.100.1 -D fd00::53 -S none", USUAL,
	  FAM4 FAM6 "dns 203.0.113.99; search lan", "" },
	{ "search domains changed", "", USUAL,
	  FAM4 FAM6 "dns 203.0.113.53 2001:db8::53; search lan", "search" },
	{ "the host moved to another interface", "", FAM4,
	  "4 192.0.2.2/24 via 192.0.2.1 on 5", "scope" },
};

static void run_change(const struct change *r)
{
	struct net before, after;
	char got[TEXT];
	struct host h;
	struct conf c;

	parse_options(r->options, &c);
	parse_host(r->before, &h);
	derive(&c, &h, &before);
	parse_host(r->after, &h);
	derive(&c, &h, &after);
	net_diff(&before, &after, got);
	check_str(r->name, got, r->changed);
}

int main(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		run_row(&table[i]);
	for (i = 0; i < ARRAY_SIZE(changes); i++)
		run_change(&changes[i]);
	return unit_end();
}
