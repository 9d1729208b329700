/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * apply.h - Opens and closes listeners until they match a rule set, at start-up
 * and when the rule set changes.
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
 * @rule:	rule that has the port
 * @port:	host port
 * @error:	errno of the system call that failed
 * @remedy:	what the user can do, after ': ', to append to an error message;
 *		may be empty
 */
struct fwd_failure {
	const struct rule *rule;
	uint16_t port;
	int error;
	const char *remedy;
};

/**
 * struct fwd_report - What fwd_apply() tells its caller
 * @failed:	called for each named port that can't be bound; returns true to
 *		go on with the next port, false to end
 * @arg:	first argument of @failed
 * @opened, @closed: number of listeners opened, and closed
 * @moved:	number of listeners whose target address or port has changed
 * @exhausted:	errno, such as EMFILE, if a resource ran out before all ports of
 *		rules that are best effort were bound; else 0
 * @last:	host port that was bound last, or found last to be bound already
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
int fwd_start(struct fwd *f, const struct rule_set *rules,
	      struct fwd_report *r);
void fwd_rebind(struct fwd *f, const struct rule_set *rules);
void fwd_print(const struct fwd *f, const struct rule_set *rules,
	       const struct fwd_report *r);

#endif /* FORWARD_APPLY_H */
