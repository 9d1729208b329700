/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * rule.h - Sets of rules: what the options -t and -u ask for. A rule has a
 * range of host ports, and the guest's address and ports that these lead to. A
 * set owns its memory and has no sockets. rule.c parses options into sets,
 * rule_set.c has all other functions.
 */
#ifndef FORWARD_RULE_H
#define FORWARD_RULE_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

#define RULE_SET_MAX	65536	/* rules that one set may have */

/* Address families that the sockets of a rule serve, as bits. */
#define RULE_V4		1U
#define RULE_V6		2U

/* Bytes that rule_port_str() needs for the longest name of a port. */
#define RULE_PORT_STRLEN \
	(sizeof("TCP port 65535 of %") + ADDR_STRLEN + IFNAMSIZ)

/**
 * struct rule_ends - Binding and target of a rule, except for ports
 * @addr:	host's address that sockets are bound to; none: any address
 * @target:	guest's address that traffic goes to; none: the address that the
 *		guest uses
 * @ifname:	host's interface that sockets are bound to; empty: any interface
 * @any6:	@addr is none because it was given as '::': any address of IPv6,
 *		and no IPv4
 *
 * The binding of a rule is @addr, @ifname and rule_families(): it says which
 * traffic reaches the sockets on the host. The target says where in the guest
 * this traffic goes.
 */
struct rule_ends {
	struct in6_addr addr, target;
	char ifname[IFNAMSIZ];
	bool any6;
};

/**
 * struct rule - A range of host ports, and where they lead
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @best_effort: 'all' or '~' made the rule, so a port that can't be bound is
 *		not an error
 * @first, @last: first and last host port of the range
 * @to:		guest port that @first leads to; the next host port leads to the
 *		next guest port, and so on
 * @ends:	address, interface and target
 */
struct rule {
	uint8_t proto;
	bool best_effort;
	uint16_t first, last, to;
	struct rule_ends ends;
};

/**
 * struct rule_set - Rules in the order of the options; all zero: an empty set
 * @rules:	array, allocated
 * @n:		number of rules
 */
struct rule_set {
	struct rule *rules;
	unsigned int n;
};

/**
 * struct rule_error - Why options can't be made into a rule set
 * @option:	name of the option that is wrong
 * @spec:	the option's wrong value; NULL: several values contradict each
 *		other
 * @why:	what is wrong, and what would be right
 */
struct rule_error {
	const char *option, *spec;
	char why[256];
};

/* rule.c */
int rule_set_parse(struct rule_set *s, uint8_t proto, const char *spec,
		   char *why, size_t size);
int rule_set_read(struct rule_set *s, const char *const *tcp,
		  const char *const *udp, struct rule_error *e);

/* rule_set.c */
int rule_set_add(struct rule_set *s, const struct rule *r, char *why,
		 size_t size);
int rule_set_check(const struct rule_set *s, char *why, size_t size);
bool rule_set_equal(const struct rule_set *a, const struct rule_set *b);
void rule_set_free(struct rule_set *s);

unsigned int rule_families(const struct rule_ends *e);
bool rule_same_binding(const struct rule_ends *a, const struct rule_ends *b);
bool rule_overlap(const struct rule_ends *a, const struct rule_ends *b);
const char *rule_proto_name(uint8_t proto);
const char *rule_port_str(const struct rule *r, uint16_t port,
			  char buf[RULE_PORT_STRLEN]);

#endif /* FORWARD_RULE_H */
