/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * rule.h - What -t and -u ask for, as a value: a set of rules, each a range of
 * host ports and where at the guest it leads. It owns its memory and knows no
 * sockets. rule.c parses, rule_set.c has the rest.
 */
#ifndef FORWARD_RULE_H
#define FORWARD_RULE_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

#define RULE_SET_MAX	65536	/* rules of a set */

/* Families that a socket is for, as bits. */
#define RULE_V4		1U
#define RULE_V6		2U

/* Bytes of the longest name of a port. */
#define RULE_PORT_STRLEN \
	(sizeof("TCP port 65535 of %") + ADDR_STRLEN + IFNAMSIZ)

/**
 * struct rule_ends - Where the ports of a rule are bound, and where they lead
 * @addr:	to bind to, none: any, of both families where enabled
 * @target:	guest's address, none: the one that the guest uses
 * @ifname:	to bind to, empty: any
 */
struct rule_ends {
	struct in6_addr addr, target;
	char ifname[IFNAMSIZ];
};

/**
 * struct rule - A range of host ports and where it leads
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @best_effort: from 'all' or '~', or UDP because of TCP: a port that is
 *		taken is no error
 * @first, @last: host ports, inclusive
 * @to:		guest port for @first; the others follow
 * @ends:	see there
 */
struct rule {
	uint8_t proto;
	bool best_effort;
	uint16_t first, last, to;
	struct rule_ends ends;
};

/**
 * struct rule_set - Rules in the order given; all zero: none
 * @rules, @n:	the rules, how many there are
 */
struct rule_set {
	struct rule *rules;
	unsigned int n;
};

/**
 * struct rule_error - What is wrong with the options that a set is made of
 * @option:	its name
 * @spec:	its value, NULL: several together
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
int rule_set_mirror_udp(struct rule_set *s, char *why, size_t size);
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
