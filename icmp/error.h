/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * error.h - ICMP and ICMPv6 errors to the guest. Each quotes the packet that it
 * is about. passt makes an error from an errno (error.c), or relays it as the
 * network sent it (relay.c).
 */
#ifndef ICMP_ERROR_H
#define ICMP_ERROR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/net.h"
#include "flow/table.h"
#include "siphash.h"
#include "sock.h"
#include "tap.h"

/* Rate limit of errors to the guest: number per second, and in one burst. The
 * values are Linux's defaults of icmp_msgs_per_sec and icmp_msgs_burst. */
#define ICMP_ERROR_RATE		1000
#define ICMP_ERROR_BURST	50

/* How long passt assumes that the guest remembers an MTU that it was told, ms.
 * This is Linux's default of net.ipv4.route.mtu_expires and
 * net.ipv6.route.mtu_expires. */
#define ICMP_MTU_KNOWN		(600 * SEC)

/* Maximum number of destinations that passt remembers because it has told the
 * guest their MTU. If a new destination replaces an old one in the table, passt
 * may have to tell the guest the MTU of the old one again. This costs a few
 * system calls. */
#define ICMP_MTUS		512

/* passt probes the guest's MTU when it has sent the guest ICMP_PROBE_FIRST
 * packets in fragments. After each probe, this number is multiplied by
 * ICMP_PROBE_NEXT. ICMP_PROBE_LAST is the number for the last probe. */
#define ICMP_PROBE_FIRST	32
#define ICMP_PROBE_NEXT		32
#define ICMP_PROBE_LAST		32768

/* Events that are counted. */
enum icmp_error_counter {
	ICMP_ERRORS,		/* errors sent to the guest */
	ICMP_LIMITED,		/* errors not sent, because of the rate limit */
	ICMP_ERROR_COUNTERS,
};

extern const char *const icmp_error_counter_name[ICMP_ERROR_COUNTERS];

/**
 * struct icmp_mtu - A destination whose MTU the guest was told
 * @dst:	guest-visible address; none: the entry is not used
 * @until:	time from which on the guest may have forgotten the MTU, ms
 */
struct icmp_mtu {
	struct in6_addr dst;
	uint64_t until;
};

/**
 * struct icmp_errors - State of all ICMP errors to the guest
 * @tap, @net:	other parts of the worker, set by the caller before
 *		icmp_errors_init()
 * @tokens, @refilled: the rate limit (RFC 4443 2.4 (f)): how many errors may be
 *		sent now, and when this number was last raised, ms
 * @mtu:	hash table of the destinations whose MTU the guest knows, with
 *		one entry per bucket
 * @secret:	key of the hash function
 * @probe_at:	passt probes the guest's MTU next when it has sent this many
 *		packets in fragments because of that MTU (@tap->ncut)
 * @count:	counters, see enum icmp_error_counter
 */
struct icmp_errors {
	struct tap *tap;
	const struct net *net;
	unsigned int tokens;
	uint64_t refilled;
	struct icmp_mtu mtu[ICMP_MTUS];
	struct siphash_key secret;
	uint64_t probe_at;
	uint64_t count[ICMP_ERROR_COUNTERS];
};

/**
 * struct icmp_quote - What is known of the guest's packet that an error is
 * about
 * @key:	key of the packet's flow, with addresses and ports as the guest
 *		wrote them
 * @l4:		start of the packet's transport header as the guest wrote it, 8
 *		bytes or more; NULL: the header is not in memory, and its first
 *		8 bytes are rebuilt from @key, whose protocol is TCP or UDP
 * @len:	bytes at @l4
 * @total:	bytes of the packet's transport header and payload; 0: not
 *		known. icmp_error_relay() raises @total to the number of bytes
 *		that the network's error quotes
 * @ttl:	TTL or hop limit, 0: IP_TTL_OWN
 * @tos:	type of service or traffic class
 * @df:		the packet has DF (IPv4)
 */
struct icmp_quote {
	const struct flow_key *key;
	const uint8_t *l4;
	size_t len, total;
	uint8_t ttl, tos;
	bool df;
};

void icmp_errors_init(struct icmp_errors *e);
void icmp_errors_forget(struct icmp_errors *e);
bool icmp_error(struct icmp_errors *e, int error, const struct in6_addr *from,
		uint32_t mtu, const struct icmp_quote *q, uint64_t now);
bool icmp_error_pkt(struct icmp_errors *e, int error, uint32_t mtu,
		    const struct pkt *pkt, uint64_t now);
bool icmp_error_too_big(struct icmp_errors *e, uint32_t mtu,
			const struct pkt *pkt, uint64_t now);
void icmp_probe_mtu(struct icmp_errors *e);
void icmp_error_relay(struct icmp_errors *e, const struct sock_error *s,
		      const struct icmp_quote *q, uint64_t now);

#endif /* ICMP_ERROR_H */
