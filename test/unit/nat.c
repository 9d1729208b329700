// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * nat.c - Tests of the translation between guest-visible and real addresses,
 * and of the source address and interface that sockets are bound to.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../forward/nat.c"
#include "conf/derive.h"
#include "addr.h"
#include "net.h"
#include "unit.h"

/**
 * net_of() - Derive the network of the guest from command-line options
 * @options:	options, with spaces between them
 *
 * The host has IPv4 and IPv6, but neither addresses nor routers.
 */
static struct net net_of(const char *options)
{
	static const struct host host = {
		.family = { { .exists = true }, { .exists = true } },
	};
	static char copy[1024];
	char *argv[32] = { "passt" }, *word;
	static struct conf c;
	struct net n;
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", options);
	for (word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	if (conf_parse(&c, argc, argv) != CONF_GO || conf_check(&c) != CONF_GO)
		fail("options", "%s", options);
	derive(&c, &host, &n);
	return n;
}

/* SHARED: options for a guest that has the same addresses as the host. COPIES:
 * options for two guest-visible addresses that lead to the host's addresses. */
#define SHARED	"-a 192.0.2.2 -a 2001:db8::2 -g 192.0.2.1 -g fe80::1 "
#define COPIES	"--map-guest-addr 192.0.2.77 --map-guest-addr 2001:db8::77 "

/* leads() - Get the real address of a destination of the guest, or "refused" */
static const char *leads(const struct net *n, const char *dst)
{
	struct in6_addr a = addr(dst), host;
	static char buf[ADDR_STRLEN];

	return nat_from_guest(n, &a, 0, &host) ? addr_str(&host, buf) : "refused";
}

/* seen() - Get the guest-visible address of a peer, or "refused" */
static const char *seen(const struct net *n, const char *peer)
{
	struct in6_addr a = addr(peer), as;
	static char buf[ADDR_STRLEN];

	return nat_to_guest(n, &a, &as) ? addr_str(&as, buf) : "refused";
}

static void way_out(void)
{
	struct net m = net_of(SHARED COPIES), plain = net_of("--no-map-gw");

	check_str("from guest: an address is itself", leads(&m, "198.51.100.7"),
		  "198.51.100.7");
	check_str("from guest: an IPv6 address, too", leads(&m, "2001:db8:1::7"),
		  "2001:db8:1::7");
	check_str("from guest: link-local, too", leads(&m, "fe80::7"), "fe80::7");
	check_str("from guest: the gateway is the host's loopback",
		  leads(&m, "192.0.2.1"), "127.0.0.1");
	check_str("from guest: over IPv6 likewise", leads(&m, "fe80::1"), "::1");
	check_str("from guest: the host's copy of the guest's address",
		  leads(&m, "192.0.2.77"), "192.0.2.2");
	check_str("from guest: over IPv6 likewise", leads(&m, "2001:db8::77"),
		  "2001:db8::2");
	check_str("from guest: loopback is never reached as such",
		  leads(&m, "127.0.0.1"), "refused");
	check_str("from guest: nor other loopback addresses", leads(&m, "127.255.0.53"),
		  "refused");
	check_str("from guest: nor that of IPv6", leads(&m, "::1"), "refused");
	check_str("from guest: no mapping: the gateway is the gateway",
		  leads(&plain, "192.0.2.1"), "192.0.2.1");
	check_str("from guest: no mapping: loopback is still refused",
		  leads(&plain, "127.0.0.1"), "refused");
	check_str("from guest: unspecified", leads(&plain, "0.0.0.0"), "refused");
	check_str("from guest: unspecified, IPv6", leads(&plain, "::"), "refused");
	check_str("from guest: this network", leads(&m, "0.1.2.3"), "refused");
	check_str("from guest: multicast", leads(&m, "224.0.0.251"), "refused");
	check_str("from guest: multicast, IPv6", leads(&m, "ff02::1"), "refused");
	check_str("from guest: broadcast", leads(&m, "255.255.255.255"), "refused");

	m = net_of("-6 " COPIES);
	check_str("from guest: the copy of an address that the guest lacks",
		  leads(&m, "192.0.2.77"), "refused");
	net_put_pair(&m, "127.0.0.9", "192.0.2.2", NAT_ANY_PORT);
	check_str("from guest: loopback that was asked to mean something else",
		  leads(&m, "127.0.0.9"), "192.0.2.2");
}

static void way_in(void)
{
	struct net m = net_of(SHARED COPIES), plain = net_of("--no-map-gw");

	check_str("to guest: a peer is itself", seen(&m, "198.51.100.7"),
		  "198.51.100.7");
	check_str("to guest: IPv6, too", seen(&m, "2001:db8:1::7"), "2001:db8:1::7");
	check_str("to guest: the host's loopback comes from the gateway",
		  seen(&m, "127.0.0.1"), "192.0.2.1");
	check_str("to guest: all of it", seen(&m, "127.0.0.53"), "192.0.2.1");
	check_str("to guest: that of IPv6, too", seen(&m, "::1"), "fe80::1");
	check_str("to guest: the shared address comes from its map",
		  seen(&m, "192.0.2.2"), "192.0.2.77");
	check_str("to guest: over IPv6 likewise", seen(&m, "2001:db8::2"),
		  "2001:db8::77");

	m = net_of(SHARED);
	check_str("to guest: if it has none, from the gateway",
		  seen(&m, "192.0.2.2"), "192.0.2.1");
	check_str("to guest: over IPv6 likewise", seen(&m, "2001:db8::2"),
		  "fe80::1");

	m = net_of(SHARED "--no-map-gw");
	check_str("to guest: no mapping: the shared address can't be shown",
		  seen(&m, "192.0.2.2"), "refused");
	check_str("to guest: without a mapping, loopback is refused", seen(&m, "127.0.0.1"),
		  "refused");
	check_str("to guest: no mapping: nor over IPv6", seen(&m, "::1"), "refused");
	check_str("to guest: no mapping: others can", seen(&m, "198.51.100.7"),
		  "198.51.100.7");
	check_str("to guest: no guest, no mapping: others can",
		  seen(&plain, "192.0.2.2"), "192.0.2.2");
}

/* Given a real address, when it is translated to a guest-visible one and back,
 * then the result is the same real address. */
static void there_and_back(void)
{
	static const char *const hosts[] = {
		"127.0.0.1", "::1", "192.0.2.2", "2001:db8::2", "198.51.100.7",
	};
	struct net m = net_of(SHARED COPIES);
	char name[100];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hosts); i++) {
		snprintf(name, sizeof(name), "to guest and back: %s", hosts[i]);
		check_str(name, leads(&m, seen(&m, hosts[i])), hosts[i]);
	}
}

/* from() - Get the address and the interface that a socket to a peer is bound
 * to, as "ADDR INTERFACE" */
static const char *from(const struct net *n, const char *peer)
{
	static char buf[ADDR_STRLEN + IFNAMSIZ];
	struct in6_addr a = addr(peer);
	struct sock_source src = nat_source(n, &a);
	char text[ADDR_STRLEN];

	snprintf(buf, sizeof(buf), "%s %s", addr_str(&src.addr, text),
		 src.ifname);
	return buf;
}

static void sources(void)
{
	struct net m = {
		.source = { addr("127.0.0.9"), addr("2001:db8:ffff::9") },
		.source_ifname = { "eth0", "eth1" }, .scope = 7,
	};
	struct in6_addr far = addr("198.51.100.7"), far6 = addr("fe80::7");
	struct net plain = { 0 };

	check_str("source: its address and interface", from(&m, "198.51.100.7"),
		  "127.0.0.9 eth0");
	check_str("source: over IPv6 likewise", from(&m, "2001:db8:1::1"),
		  "2001:db8:ffff::9 eth1");
	check_str("source: not to the host's loopback", from(&m, "127.0.0.1"),
		  ":: ");
	check_str("source: nor to that of IPv6", from(&m, "::1"), ":: ");
	check_str("source: none asked for", from(&plain, "198.51.100.7"),
		  ":: ");
	check_eq("source: of the peer's family", nat_source(&m, &far).family,
		 AF_INET);
	check_eq("source: over IPv6 likewise", nat_source(&m, &far6).family,
		 AF_INET6);
	check_eq("source: with the scope", nat_source(&m, &far6).scope, 7);
}

int main(void)
{
	way_out();
	way_in();
	there_and_back();
	sources();
	return unit_end();
}
