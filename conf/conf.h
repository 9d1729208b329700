/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * conf.h - The values of the command line's options. Nothing here depends on
 * the host's addresses or routes.
 *
 * conf_parse() reads all options, and checks each of them on its own.
 * conf_check() checks options against each other. After that, struct conf does
 * not change. derive() combines it with the addresses, routes and resolvers of
 * the host, and makes a struct net.
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

#define CONF_SPECS	255		/* -t options at most; the same for
					 * -u */
#define CONF_MTU	65520
#define CONF_MTU_MAX	65521		/* bytes: the longest frame, 65,535,
					 * without its Ethernet header */
#define CONF_LEASE_MIN	20		/* s: the shortest lease time that
					 * every client of test/net/renewals.py
					 * accepts as it is */
/* The smallest number of flows that --max-flows takes. With fewer, a guest can
 * hardly look at one web page. */
#define CONF_FLOWS_MIN	16

#define CONF_MAC	{ 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 }

/**
 * struct conf - Values of options, or defaults. Arrays of FAMILIES have one
 * element per family. If no option gave an address, it is all zero ("none").
 * @foreground, @quiet, @debug, @trace, @one_off, @vhost_user, @strict,
 * @show_sandbox: the option was given
 * @socket_path: path of the socket that listens for the guest; empty: the first
 *		free /tmp/passt_N.socket
 * @fd:		connected socket to the guest, used without listening; -1: none
 * @pid_file, @pcap, @log_file: paths of files to write, NULL: none
 * @log_size:	size limit of the log file, bytes
 * @stats:	seconds between two lines of statistics, 0: no statistics
 * @max_flows:	maximum number of flows; UINT32_MAX: as many as descriptors
 *		allow
 * @uid, @gid:	user and group that passt changes to if it is started as root
 * @use:	no option excludes this family
 * @tcp, @udp, @icmp: no option excludes this protocol
 * @addr:	addresses of the guest, in the order of the options; unused
 *		elements are zero
 * @len:	prefix lengths that were given with @addr; 0: the option had no
 *		prefix length, or 0
 * @netmask:	IPv4 prefix length of --netmask; 0: the option was not given, or
 *		its value was 0
 * @gateway:	routers of the guest
 * @ifname:	host's interface whose addresses and routes the guest gets;
 *		empty: the interface that @out_ifname or the default route names
 * @mac:	MAC address of passt on the link
 * @mtu:	MTU that the guest is told, bytes; 0: none
 * @mtu_given:	an option set @mtu
 * @lease_time:	lease time that DHCP and DHCPv6 tell the guest, s;
 *		LEASE_INFINITE: the lease never ends
 * @dns:	resolvers that the guest is told; unused elements are zero
 * @dns_given:	an option set @dns of this family
 * @search:	domains of the search list, separated by one space
 * @search_given: an option set @search
 * @hostname, @fqdn: names that the guest is told, empty: none
 * @dhcp, @dhcpv6, @ndp, @ra: this answering service is on
 * @dhcp_dns:	the answering services tell the guest resolvers
 * @dhcp_search: the answering services tell the guest the search list
 * @out:	source addresses of our sockets
 * @out_ifname:	interfaces that our sockets are bound to, empty: none
 * @map_gw:	the gateway's address leads the guest to the host's loopback
 * @map_loopback: addresses that lead the guest to the host's loopback, in place
 *		of the gateway's
 * @no_map_loopback: no address leads the guest to the host's loopback
 * @no_host_access: the guest reaches no address of the host
 * @map_guest:	addresses that lead the guest to the address that guest and host
 *		share
 * @dns_match:	guest-visible addresses whose ports 53 and 853 lead to @dns_host
 * @dns_host:	real addresses of the resolvers that @dns_match of the same
 *		family leads to; unused elements are zero
 * @multicast:	relay multicast groups by which services are found on a network
 * @tcp_spec, @udp_spec: values of -t and -u, NULL after the last
 * @freebind:	bind forwarded ports also to addresses that the host does not
 *		have
 */
struct conf {
	bool foreground, quiet, debug, trace, one_off, vhost_user;
	bool strict, show_sandbox;
	char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int fd;
	const char *pid_file, *pcap, *log_file;
	size_t log_size;
	unsigned int stats;
	uint32_t max_flows;
	uid_t uid;
	gid_t gid;
	bool use[FAMILIES], tcp, udp, icmp;

	struct in6_addr addr[FAMILIES][LEASE_ADDRS];
	unsigned int len[FAMILIES][LEASE_ADDRS];
	unsigned int netmask;
	struct in6_addr gateway[FAMILIES];
	char ifname[IFNAMSIZ];
	uint8_t mac[MAC_LEN];
	uint32_t mtu;
	bool mtu_given;
	uint32_t lease_time;
	struct in6_addr dns[FAMILIES][LEASE_DNS];
	char search[LEASE_SEARCH];
	bool dns_given[FAMILIES], search_given;
	char hostname[LEASE_NAME], fqdn[LEASE_NAME];
	bool dhcp, dhcpv6, ndp, ra;
	bool dhcp_dns, dhcp_search;

	struct in6_addr out[FAMILIES];
	char out_ifname[FAMILIES][IFNAMSIZ];
	bool map_gw, no_map_loopback, no_host_access;
	struct in6_addr map_loopback[FAMILIES], map_guest[FAMILIES];
	struct in6_addr dns_match[FAMILIES], dns_host[FAMILIES][LEASE_DNS];
	bool multicast;

	const char *tcp_spec[CONF_SPECS + 1], *udp_spec[CONF_SPECS + 1];
	bool freebind;
};

/* What the program should do after conf_parse() or conf_check(). */
enum conf_next {
	CONF_GO,	/* go on and start */
	CONF_DONE,	/* help or version was printed: exit with status 0 */
	CONF_WRONG,	/* an error was printed: exit with status 1 */
};

enum conf_next conf_parse(struct conf *c, int argc, char **argv);
enum conf_next conf_check(struct conf *c);
void conf_error(const char *option, const char *value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* conf_ifname() - Get the name of the host's interface whose addresses and
 * routes of family @f the guest gets; empty: no option names one */
static inline const char *conf_ifname(const struct conf *c, enum ip_family f)
{
	return *c->ifname ? c->ifname : c->out_ifname[f];
}

#endif /* CONF_CONF_H */
