// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * rebind.c - Binds forwarded ports again after the host's network has changed.
 * A socket that is bound to an interface receives nothing any more once the
 * interface is deleted, even if a new interface gets the same name. The port
 * then waits until there is an interface of this name, and is bound again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "forward/apply.h"
#include "log.h"
#include "sock.h"

#define FAILURE_STRLEN	(RULE_PORT_STRLEN + 200)

/**
 * struct waiting - Named ports that could not be bound
 * @n:		number of ports
 * @first:	message about the first one
 */
struct waiting {
	unsigned int n;
	char first[FAILURE_STRLEN];
};

/* close_dead() - Close the listeners whose interface was deleted; returns
 * whether there were any */
static bool close_dead(struct fwd *f)
{
	const struct listener *l = NULL;
	bool any = false;

	while ((l = fwd_next_listener(f, l))) {
		if (!*listener_ends(f, l)->ifname ||
		    !sock_device_is_gone(l->fd))
			continue;
		listener_close(f, (uint32_t)(l - f->listeners));
		any = true;
	}
	return any;
}

/* note_waiting() - Count a port that can't be bound, and let fwd_apply() go on
 * with the next port. This is @failed of struct fwd_report */
static bool note_waiting(void *arg, const struct fwd_failure *e)
{
	struct waiting *w = arg;

	if (!w->n++)
		fwd_failure_str(e, w->first, sizeof(w->first));
	return true;
}

/**
 * fwd_rebind() - Close listeners whose interface was deleted, and bind their
 *		ports again once there is an interface of the same name
 * @f:		listeners
 * @rules:	rule set that was applied last
 *
 * This takes one system call for each listener with an interface, and more only
 * if there are ports to bind.
 */
void fwd_rebind(struct fwd *f, const struct rule_set *rules)
{
	struct waiting w = { 0 };
	struct fwd_report r = { .failed = note_waiting, .arg = &w };

	if (!close_dead(f) && !f->waiting)
		return;
	if (fwd_apply(f, rules, &r) == -ENOMEM) {
		f->waiting = MAX(f->waiting, 1);	/* try again later */
		return;
	}
	if (w.n && w.n != f->waiting)
		warn("%s; forwarded ports that wait until they can be bound: %u",
		     w.first, w.n);
	else if (!w.n)
		info("forwarded ports are bound again: %u", r.opened);
	f->waiting = w.n;
}
