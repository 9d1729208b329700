// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * rebind.c - Binds forwarded ports again after the host's network has changed.
 * The kernel binds a socket to the index of an interface, and a rule gives the
 * name. So if the interface is deleted or renamed, the socket no longer does
 * what the rule says, even if another interface gets the name. The port then
 * waits until there is an interface of this name, and is bound again. A socket
 * that is bound to an address, but to no interface, needs no care: the kernel
 * keeps it bound while the host lacks the address.
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

/* is_astray() - Whether the interface that a socket is bound to was deleted, or
 * has another name than @want */
static bool is_astray(int fd, const char *want)
{
	char ifname[IFNAMSIZ];
	int rc = sock_device(fd, ifname);

	return rc ? rc == -ENODEV : strcmp(ifname, want);
}

/* close_astray() - Close the listeners whose interface was deleted or renamed;
 * returns their number */
static unsigned int close_astray(struct fwd *f)
{
	const struct listener *l = NULL;
	unsigned int n = 0;

	while ((l = fwd_next_listener(f, l))) {
		const char *ifname = listener_ends(f, l)->ifname;

		if (!*ifname || !is_astray(l->fd, ifname))
			continue;
		listener_close(f, (uint32_t)(l - f->listeners));
		n++;
	}
	return n;
}

/* count_absent() - Count the rules that are best effort, and whose address or
 * interface the host lacks now */
static unsigned int count_absent(const struct fwd *f,
				 const struct rule_set *rules)
{
	const struct rule *r, *last = NULL;
	unsigned int i, n = 0;
	bool possible = false;

	for (i = 0; i < rules->n; i++) {
		r = &rules->rules[i];
		if (!r->best_effort)
			continue;
		if (!last || !rule_same_binding(&last->ends, &r->ends))
			possible = listener_possible(f, r);
		last = r;
		n += !possible;
	}
	return n;
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
 * fwd_rebind() - Close listeners whose interface was deleted or renamed. Bind
 *		ports once the host has the address and the interface that it
 *		lacked
 * @f:		listeners
 * @rules:	rule set that was applied last
 *
 * This takes one system call for each listener with an interface, three for
 * each rule that is best effort and has an address or an interface, and more
 * only if there are ports to bind.
 */
void fwd_rebind(struct fwd *f, const struct rule_set *rules)
{
	struct waiting w = { 0 };
	struct fwd_report r = { .failed = note_waiting, .arg = &w };
	unsigned int closed = close_astray(f), absent = count_absent(f, rules);
	unsigned int before = f->absent;

	f->absent = absent;
	if (!closed && !f->waiting && absent >= before)
		return;
	if (fwd_apply(f, rules, &r) == -ENOMEM) {
		f->waiting = MAX(f->waiting, 1);	/* try again later */
		return;
	}
	if (closed && absent > before)
		warn("forwarded ports closed until their interface is back: %u",
		     closed);
	if (w.n && w.n != f->waiting)
		warn("%s; forwarded ports that wait until they can be bound: %u",
		     w.first, w.n);
	if (r.opened)
		info("forwarded ports are bound again: %u", r.opened);
	f->waiting = w.n;
}
