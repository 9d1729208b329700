/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * conf.h - The command line, completed with what the host's own network says.
 * Called by passt.c at start-up; calls netlink.c, resolv.c, the log and libc.
 * options.c has the table of options, conf.c reads them and checks them
 * against each other, defaults.c asks the host, summary.c tells the user.
 *
 * Three steps, in this order: conf_parse() reads options and checks each on
 * its own, conf_check() checks them against each other, conf_complete() asks
 * the host for what was not given.
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
 * struct conf - Everything that was asked for
 * @lease:	what the guest is given
 * @foreground, @quiet, @debug, @trace, @one_off: as the options say
 * @socket_path: to listen on, empty: first free /tmp/passt_N.socket
 * @fd:		connected socket to use instead, -1: none
 * @pid_file, @pcap, @log_file: paths, NULL: none
 * @log_size:	bytes
 * @stats:	seconds between two lines of statistics, 0: none
 * @uid, @gid:	who to be when started as root
 * @ifname:	interface to take addresses and routes from, empty: by route
 * @ifindex4, @ifindex6: the one taken for each family, 0: none
 * @ifindex:	the one that link-local addresses are on, 0: none
 * @netmask:	IPv4 prefix length of --netmask, 0: not given
 * @ipv4, @ipv6: families in use
 * @tcp, @udp, @icmp: protocols in use
 * @tcp_spec, @udp_spec: forwarding as it was given, NULL after the last
 * @freebind:	forward from addresses that the host does not have yet
 * @multicast:	relay groups of services that find others on the same link
 * @gw4, @gw6:	the host's gateways, as the guest may address them
 * @map_gw:	the gateway's address leads to the host's loopback
 * @map_loopback4, @map_loopback6: addresses that do so instead
 * @no_map_loopback: --map-host-loopback none
 * @map_guest4, @map_guest6: addresses that lead to the host's own copy of
 *		the guest's
 * @dns_match4, @dns_match6: what the guest sends to the DNS ports of these
 *		goes to @dns_host4 and @dns_host6; none: off
 * @out4, @out6: source addresses
 * @out_if4, @out_if6: interfaces to send from
 * @dns_given, @search_given, @mtu_given: not to be taken from the host
 * @host_addr:	addresses were found on the host or given: not offline
 */
struct conf {
	struct lease lease;

	bool foreground, quiet, debug, trace, one_off;
	char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int fd;
	const char *pid_file, *pcap, *log_file;
	size_t log_size;
	unsigned int stats;
	uid_t uid;
	gid_t gid;

	char ifname[IFNAMSIZ];
	unsigned int ifindex4, ifindex6, ifindex;
	unsigned int netmask;
	bool ipv4, ipv6, tcp, udp, icmp;
	const char *tcp_spec[CONF_SPECS + 1], *udp_spec[CONF_SPECS + 1];
	bool freebind, multicast;
	struct in6_addr gw4, gw6;
	bool map_gw, no_map_loopback;
	struct in6_addr map_loopback4, map_loopback6;
	struct in6_addr map_guest4, map_guest6;
	struct in6_addr dns_match4, dns_match6, dns_host4, dns_host6;
	struct in6_addr out4, out6;
	char out_if4[IFNAMSIZ], out_if6[IFNAMSIZ];
	bool dns_given, search_given, mtu_given;
	bool host_addr;
};

/* What conf_parse() says the program should do next. */
enum conf_next {
	CONF_GO,	/* start */
	CONF_DONE,	/* help or version was printed: exit 0 */
	CONF_WRONG,	/* one line was printed: exit 1 */
};

enum conf_next conf_parse(struct conf *c, int argc, char **argv);
enum conf_next conf_check(struct conf *c);
int conf_complete(struct conf *c);
void conf_print(const struct conf *c);
void conf_error(const char *option, const char *value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif /* CONF_CONF_H */
