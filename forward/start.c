// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * start.c - Binds all ports at start-up: applies a rule set while there are no
 * listeners, and logs one line about it. The first named port that can't be
 * bound ends it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "forward/apply.h"
#include "log.h"

#define COUNT_STRLEN	sizeof("4,294,967,295")
#define TALLY_STRLEN	(sizeof("TCP  of ") + 2 * COUNT_STRLEN)
#define FAILURE_STRLEN	(RULE_PORT_STRLEN + 200)

/* A number with commas between groups of digits: 37,303 */
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

static unsigned int count_asked(const struct rule_set *rules, uint8_t proto)
{
	unsigned int i, n = 0;

	for (i = 0; i < rules->n; i++) {
		if (rules->rules[i].proto == proto)
			n += rules->rules[i].last - rules->rules[i].first + 1U;
	}
	return n;
}

static unsigned int count_bound(const struct fwd *f, uint8_t proto)
{
	const struct listener *l = NULL;
	unsigned int n = 0;

	while ((l = fwd_next_listener(f, l)))
		n += l->proto == proto;
	return n;
}

/* 'TCP 12', or 'TCP 7 of 12', or nothing if none was asked for */
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

/* Log how many of the ports that were asked for are bound */
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

/* For fwd_apply(): end at the first failure */
static bool end_start(void *arg, const struct fwd_failure *e)
{
	char line[FAILURE_STRLEN];

	err("%s", fwd_failure_str(e, line, sizeof(line)));
	return false;
}

/**
 * fwd_start() - Bind all ports at start-up
 * @f:		fwd_init() has been called
 * @rules:	what to forward
 *
 * Return: 0, -1 if a named port or every port can't be bound, after a message.
 *	   fwd_free() is due in any case.
 */
int fwd_start(struct fwd *f, const struct rule_set *rules)
{
	struct fwd_report r = { .failed = end_start };
	int rc = fwd_apply(f, rules, &r);

	if (rc == -ENOMEM)
		err("no memory for forwarded ports");
	if (rc)
		return -1;

	if (f->nlisteners && has_best_effort(rules))
		log_tally(f, rules, &r);
	if (rules->n && !f->nlisteners) {
		err("no port can be forwarded: %s", r.exhausted ?
		    strerror(r.exhausted) :
		    "all are taken or not permitted");
		return -1;
	}
	return 0;
}
