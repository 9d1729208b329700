// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * start.c - Binds all forwarded ports at start-up: fwd_start() applies the rule
 * set, and fwd_print() logs one line about the result. The start fails at the
 * first named port that can't be bound.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "forward/apply.h"
#include "log.h"

#define COUNT_STRLEN	sizeof("4,294,967,295")
#define TALLY_STRLEN	(sizeof("TCP  of ") + 2 * COUNT_STRLEN)
#define FAILURE_STRLEN	(RULE_PORT_STRLEN + 200)

/* Format a number with commas between groups of three digits: 37,303 */
static const char *count_str(unsigned int n, char buf[COUNT_STRLEN])
{
	char digits[COUNT_STRLEN], *out = buf;
	int len = snprintf(digits, sizeof(digits), "%u", n), i;

	for (i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
	return buf;
}

/* Count the ports of one protocol in a rule set */
static unsigned int count_asked(const struct rule_set *rules, uint8_t proto)
{
	unsigned int i, n = 0;

	for (i = 0; i < rules->n; i++) {
		if (rules->rules[i].proto == proto)
			n += rules->rules[i].last - rules->rules[i].first + 1U;
	}
	return n;
}

/* Count the ports of one protocol that are bound */
static unsigned int count_bound(const struct fwd *f, uint8_t proto)
{
	const struct listener *l = NULL;
	unsigned int n = 0;

	while ((l = fwd_next_listener(f, l)))
		n += l->proto == proto;
	return n;
}

/* Format 'TCP 12' if all 12 ports of a rule set are bound, 'TCP 7 of 12' if
 * some are not, or an empty string if it has no port of the protocol */
static const char *tally_str(const struct fwd *f, const struct rule_set *rules,
			     uint8_t proto, char buf[TALLY_STRLEN])
{
	unsigned int asked = count_asked(rules, proto);
	unsigned int bound = count_bound(f, proto);
	char text[2][COUNT_STRLEN];
	bool all = bound == asked;

	snprintf(buf, TALLY_STRLEN, "%s %s%s%s", rule_proto_name(proto),
		 count_str(bound, text[0]), all ? "" : " of ",
		 all ? "" : count_str(asked, text[1]));
	return asked ? buf : "";
}

/* Log how many ports the rule set has, and how many of them are bound */
static void log_tally(const struct fwd *f, const struct rule_set *rules,
		      const struct fwd_report *r)
{
	bool both = count_asked(rules, IPPROTO_TCP) &&
		    count_asked(rules, IPPROTO_UDP);
	bool some = count_bound(f, IPPROTO_TCP) && count_bound(f, IPPROTO_UDP);
	char tcp[TALLY_STRLEN], udp[TALLY_STRLEN], end[120] = "";

	if (r->exhausted)
		snprintf(end, sizeof(end), ", up to %u: %s", r->last,
			 r->exhausted == EMFILE ? "descriptor limit" :
						  strerror(r->exhausted));

	log_msg(both && !some ? LOG_WARNING : LOG_INFO,
		"ports forwarded: %s%s%s%s",
		tally_str(f, rules, IPPROTO_TCP, tcp), both ? ", " : "",
		tally_str(f, rules, IPPROTO_UDP, udp), end);
}

static bool has_best_effort(const struct rule_set *rules)
{
	unsigned int i = 0;

	while (i < rules->n && !rules->rules[i].best_effort)
		i++;
	return i < rules->n;
}

/**
 * fwd_print() - Log how many ports are forwarded, but only if a rule is best
 * effort: otherwise the user knows the number
 * @f:		listeners
 * @rules, @r:	rule set that fwd_start() has applied, and its report
 */
void fwd_print(const struct fwd *f, const struct rule_set *rules,
	       const struct fwd_report *r)
{
	if (f->nlisteners && has_best_effort(rules))
		log_tally(f, rules, r);
}

/* Log the first failure, and make fwd_apply() stop there. This is @failed of
 * struct fwd_report */
static bool end_start(void *arg, const struct fwd_failure *e)
{
	char line[FAILURE_STRLEN];

	err("%s", fwd_failure_str(e, line, sizeof(line)));
	return false;
}

/**
 * fwd_start() - Bind all forwarded ports at start-up
 * @f:		listeners; fwd_init() has been called, and the caller calls
 *		fwd_free() in any case
 * @rules:	rule set
 * @r:		filled, for fwd_print()
 *
 * Return: 0, or -1 if a named port can't be bound, if no port at all can be
 *	   bound, or if memory ran out; an error message was then logged
 */
int fwd_start(struct fwd *f, const struct rule_set *rules, struct fwd_report *r)
{
	int rc;

	*r = (struct fwd_report){ .failed = end_start };
	rc = fwd_apply(f, rules, r);
	if (rc == -ENOMEM)
		err("no memory for forwarded ports");
	if (rc)
		return -1;

	if (rules->n && !f->nlisteners) {
		err("no port can be forwarded: %s", r->exhausted ?
		    strerror(r->exhausted) : f->absent ?
		    "the host has no such address or interface" :
		    "all are taken or not permitted");
		return -1;
	}
	return 0;
}
