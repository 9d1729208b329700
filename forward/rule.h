/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * rule.h - What -t and -u ask for: rules, each a range of host ports and where
 * at the guest it leads.
 */
#ifndef FORWARD_RULE_H
#define FORWARD_RULE_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

struct fwd;

int fwd_parse(struct fwd *f, uint8_t proto, const char *spec,
	      char *why, size_t size);
int fwd_mirror_udp(struct fwd *f);

#endif /* FORWARD_RULE_H */
