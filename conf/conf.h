/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * conf.h - The command line: what was asked for, and nothing that was found.
 *
 * conf_parse() reads options and checks each on its own, conf_check() checks
 * them against each other. After that struct conf is constant: derive()
 * completes it with what the host has, in a struct net.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "conf/lease.h"

#define CONF_SPECS	255		/* -t and -u together, each */
#define CONF_MTU	65520
#define CONF_MAC	{ 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 }

/**
 * struct conf - What was asked for; arrays of FAMILIES have one element per
 * family, and an address that is none was not given
 * @foreground, @quiet, @debug, @trace, @one_off: as the options say
 * @socket_path: to listen on, empty: first free /tmp/passt_N.socket
 * @fd:		connected socket to use instead, -1: none
 * @pid_file, @pcap, @log_file: paths, NULL: none
 * @log_size:	bytes
 * @stats:	seconds between two lines of statistics, 0: none
 * @uid, @gid:	user and group to become when started as root
 * @use:	the family is not left out
 * @tcp, @udp, @icmp: protocols in use
 * @addr:	the guest's addresses
 * @len:	prefix lengths given with @addr, 0: not given
 * @netmask:	IPv4 prefix length of --netmask, 0: not given
 * @gateway:	the guest's routers
 * @ifname:	interface to take addresses and routes from, empty: by route
 * @mac:	our MAC
 * @mtu, @mtu_given: bytes, 0: don't announce one
 * @dns, @dns_given: resolvers of the guest, none after the last
 * @search, @search_given: domains separated by one space
 * @hostname, @fqdn: names of the guest, empty: none
 * @dhcp, @dhcpv6, @ndp, @ra: services that answer
 * @dhcp_dns, @dhcp_search: hand resolvers and domains out
 * @out:	source addresses of our sockets
 * @out_ifname:	interfaces that our sockets are bound to, empty: none
 * @map_gw:	the gateway's address leads to the host's loopback
 * @map_loopback: addresses that lead there instead
 * @no_map_loopback: --map-host-loopback none
 * @map_guest:	addresses that lead to the host's copy of the guest's address
 * @dns_match:	the DNS ports of these addresses lead to @dns_host
 * @dns_host:	resolvers on the host's side
 * @multicast:	relay groups of services that find others on the same link
 * @tcp_spec, @udp_spec: forwarding rules as given, NULL after the last
 * @freebind:	forward from addresses that the host does not have yet
 */
struct conf {
	bool foreground, quiet, debug, trace, one_off;
	char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int fd;
	const char *pid_file, *pcap, *log_file;
	size_t log_size;
	unsigned int stats;
	uid_t uid;
	gid_t gid;
	bool use[FAMILIES], tcp, udp, icmp;

	struct in6_addr addr[FAMILIES];
	unsigned int len[FAMILIES];
	unsigned int netmask;
	struct in6_addr gateway[FAMILIES];
	char ifname[IFNAMSIZ];
	uint8_t mac[MAC_LEN];
	uint32_t mtu;
	bool mtu_given;
	struct in6_addr dns[FAMILIES][LEASE_DNS];
	char search[LEASE_SEARCH];
	bool dns_given, search_given;
	char hostname[LEASE_NAME], fqdn[LEASE_NAME];
	bool dhcp, dhcpv6, ndp, ra;
	bool dhcp_dns, dhcp_search;

	struct in6_addr out[FAMILIES];
	char out_ifname[FAMILIES][IFNAMSIZ];
	bool map_gw, no_map_loopback;
	struct in6_addr map_loopback[FAMILIES], map_guest[FAMILIES];
	struct in6_addr dns_match[FAMILIES], dns_host[FAMILIES];
	bool multicast;

	const char *tcp_spec[CONF_SPECS + 1], *udp_spec[CONF_SPECS + 1];
	bool freebind;
};

/* What conf_parse() says the program should do next. */
enum conf_next {
	CONF_GO,	/* start */
	CONF_DONE,	/* help or version was printed: exit 0 */
	CONF_WRONG,	/* one line was printed: exit 1 */
};

enum conf_next conf_parse(struct conf *c, int argc, char **argv);
enum conf_next conf_check(struct conf *c);
void conf_error(const char *option, const char *value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* conf_ifname() - Interface to take a family's addresses and routes from */
static inline const char *conf_ifname(const struct conf *c, enum ip_family f)
{
	return *c->ifname ? c->ifname : c->out_ifname[f];
}

#endif /* CONF_CONF_H */
