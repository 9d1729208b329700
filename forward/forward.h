/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * forward.h - Which host ports lead to the guest, and how addresses change on
 * the way in and out. Specifications are read by portspec.c, ports bound by
 * listen.c, addresses translated by forward.c.
 * Called by tcp.c, udp.c and icmp.c for each new flow, by passt.c at start-up;
 * calls sockets and the log.
 */
#ifndef FORWARD_FORWARD_H
#define FORWARD_FORWARD_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h"

/**
 * struct fwd_rule - A range of host ports and where it leads
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @best_effort: from 'all' or '~', or UDP because of TCP: a port that is
 *		taken is no error
 * @first, @last: host ports, inclusive, host order
 * @to:		guest port for @first; the others follow
 * @addr:	to bind to, none: any, of both families where enabled
 * @ifname:	to bind to, empty: any
 * @target:	address on the guest's side, none: the guest's own
 */
struct fwd_rule {
	uint8_t proto;
	bool best_effort;
	uint16_t first, last, to;
	struct in6_addr addr, target;
	char ifname[IFNAMSIZ];
};

/* Whether what leaves by a socket may be fragmented. */
enum listener_df {
	LISTENER_DF_UNSET,	/* as the host's default is */
	LISTENER_DF,
	LISTENER_NO_DF,
};

/**
 * struct inlet - What is known of a socket that datagrams come from (UDP)
 * @expected:	bytes in the link that one message is likely to take at most,
 *		0: nothing is known
 * @dropped:	datagrams that the kernel dropped for want of room, as it last
 *		said
 */
struct inlet {
	uint32_t expected, dropped;
};

/**
 * struct listener - One listening (TCP) or receiving (UDP) forwarded socket
 * @fd:		the socket, non-blocking
 * @rule:	index of its rule
 * @port:	host port, host order
 * @df4, @df6:	enum listener_df for each family (UDP)
 * @inlet:	see there
 */
struct listener {
	int fd;
	uint16_t rule;
	uint16_t port;
	uint8_t df4, df6;
	struct inlet inlet;
};

/**
 * struct fwd_map - Translation of addresses between the guest's and our side
 * @host4, @host6: the guest reaches the host's loopback under these, and
 *		sees traffic from the host itself coming from them; none: off
 * @guest4, @guest6: addresses that guest and host share
 * @map_guest4, @map_guest6: the guest reaches the host's own copy of the
 *		shared address under these; none: off
 * @dns4, @dns6: what the guest sends to the DNS ports of these goes to
 *		@dns_host4 and @dns_host6; none: off
 * @out4, @out6: source addresses of our sockets; none: kernel's choice
 * @if4, @if6:	interfaces our sockets are bound to; empty: none
 * @scope:	interface index for link-local destinations
 */
struct fwd_map {
	struct in6_addr host4, host6;
	struct in6_addr guest4, guest6;
	struct in6_addr map_guest4, map_guest6;
	struct in6_addr dns4, dns6, dns_host4, dns_host6;
	struct in6_addr out4, out6;
	char if4[IFNAMSIZ], if6[IFNAMSIZ];
	uint32_t scope;
};

/**
 * struct fwd - Everything about forwarding
 * @rules, @nrules: in the order given
 * @listeners, @nlisteners: by the index in their epoll tokens
 * @map:	translation of addresses
 * @ipv4, @ipv6: families in use
 * @freebind:	addresses may be bound that the host does not have yet
 */
struct fwd {
	struct fwd_rule *rules;
	unsigned int nrules;
	struct listener *listeners;
	unsigned int nlisteners;
	struct fwd_map map;
	bool ipv4, ipv6, freebind;
};

int fwd_parse(struct fwd *f, uint8_t proto, const char *spec,
	      char *why, size_t size);
int fwd_mirror_udp(struct fwd *f);
int fwd_listen(struct fwd *f, unsigned int max, int epfd);
void fwd_free(struct fwd *f);

uint16_t fwd_guest_port(const struct fwd *f, const struct listener *l);

bool nat_from_guest(const struct fwd_map *m, const struct in6_addr *dst,
	     struct in6_addr *host);
const struct in6_addr *nat_resolver(const struct fwd_map *m,
			       const struct in6_addr *dst, uint16_t port);
bool nat_from_guest_port(const struct fwd_map *m, const struct in6_addr *dst,
		  uint16_t port, struct in6_addr *host);
bool nat_to_guest(const struct fwd_map *m, const struct in6_addr *peer,
	    struct in6_addr *seen);
int fwd_socket(const struct fwd_map *m, const struct in6_addr *host,
	       int type, int proto, uint16_t port);
int fwd_udp_socket(const struct fwd_map *m, const struct in6_addr *host,
		   uint16_t *port, bool ours);
void fwd_udp_options(int fd, bool v4, bool v6);
void fwd_udp_bulk(int fd);

#endif /* FORWARD_FORWARD_H */
