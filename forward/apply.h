/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * apply.h - Make the listeners those of a rule set, at start-up and later.
 */
#ifndef FORWARD_APPLY_H
#define FORWARD_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "forward/listen.h"
#include "forward/rule.h"

/**
 * struct fwd_failure - A named port that can't be bound
 * @rule:	that has it
 * @port:	host port
 * @error:	errno
 * @remedy:	how to end a message about it: ': what helps', may be empty
 */
struct fwd_failure {
	const struct rule *rule;
	uint16_t port;
	int error;
	const char *remedy;
};

/**
 * struct fwd_report - What fwd_apply() tells its caller
 * @failed:	called for each named port that can't be bound; returns whether
 *		to go on with the others
 * @arg:	for @failed
 * @opened, @closed: number of listeners
 * @moved:	number of listeners that got another target
 * @exhausted:	errno of what ran out for ports that are best effort, 0: nothing
 * @last:	the last port that was bound, or was found bound
 */
struct fwd_report {
	bool (*failed)(void *arg, const struct fwd_failure *e);
	void *arg;
	unsigned int opened, closed, moved;
	int exhausted;
	uint16_t last;
};

int fwd_apply(struct fwd *f, const struct rule_set *rules,
	      struct fwd_report *r);
const char *fwd_failure_str(const struct fwd_failure *e, char *buf,
			    size_t size);
int fwd_start(struct fwd *f, const struct rule_set *rules);

#endif /* FORWARD_APPLY_H */
