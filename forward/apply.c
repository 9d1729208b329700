// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * apply.c - Applies a rule set: closes each listener that no rule asks for,
 * opens each listener that is missing, and keeps all other listeners open.
 *
 * Named ports are bound first. Ports that are best effort are bound after that,
 * in ascending order, until descriptors run out. Each port is bound for TCP and
 * UDP before the next port, so that both protocols get equally far. When the
 * rule set changes later, a listener that is best effort may have to be closed:
 * if a named port needs the listener's port or descriptor, or if a lower port
 * needs the listener's descriptor. The listener with the highest port is closed
 * first.
 */
/* syscalls: run: madvise */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "forward/apply.h"
#include "ip.h"

#define PORTS		(IP_PORT_MAX + 1)

/**
 * struct entry - What is known of a listener while a rule set is applied
 * @next:	slot + 1 of the next listener with the same protocol and port;
 *		0: there is none
 * @rule:	index + 1 of the rule that the listener is for; 0: no rule
 */
struct entry {
	uint32_t next, rule;
};

/**
 * struct change - A rule set while it is applied
 * @f, @rules, @report: arguments @f, @rules and @r of fwd_apply()
 * @ends:	copy of address, interface and target of each rule, in the order
 *		of @rules; listeners refer to it later
 * @entries:	one entry for each slot of a listener
 * @heads:	for each port, slot + 1 of its first listener, 0: none. The
 *		ports of UDP come first, then those of TCP
 * @highest:	no port above this one has a listener that is best effort
 * @order:	rules that are best effort, sorted by first port
 * @active:	array that struct sweep uses: the rules of @order that have the
 *		port which the sweep has reached
 * @best:	number of rules in @order
 */
struct change {
	struct fwd *f;
	const struct rule_set *rules;
	struct fwd_report *report;
	struct rule_ends *ends;
	struct entry *entries;
	uint32_t *heads;
	unsigned int highest;
	const struct rule **order, **active;
	unsigned int best;
};

/**
 * struct sweep - Iterates over the ports of rules that are best effort, in
 *		ascending order
 * @c:		has the rules
 * @next:	index in @c->order of the first rule that begins above @port
 * @n:		number of rules in @c->active. These are the rules that have
 *		@port, in the order of the rule set
 * @port:	host port that the iteration has reached
 */
struct sweep {
	const struct change *c;
	unsigned int next, n, port;
};

static size_t entries_size(const struct fwd *f)
{
	return MAX(1, f->max) * sizeof(struct entry);
}

static size_t heads_size(void)
{
	return 2 * PORTS * sizeof(uint32_t);
}

static uint32_t *port_head(const struct change *c, uint8_t proto, uint16_t port)
{
	return &c->heads[port + (proto == IPPROTO_TCP ? PORTS : 0)];
}

static const struct rule *entry_rule(const struct change *c, uint32_t slot)
{
	return &c->rules->rules[c->entries[slot].rule - 1];
}

static uint32_t rule_index(const struct change *c, const struct rule *r)
{
	return (uint32_t)(r - c->rules->rules);
}

/* Add a listener to the list of its port. @rule is the index + 1 of the
 * listener's rule, or 0 if it has no rule yet. */
static void add_entry(struct change *c, uint32_t slot, uint32_t rule)
{
	const struct listener *l = &c->f->listeners[slot];
	uint32_t *head = port_head(c, l->proto, l->port);

	c->entries[slot] = (struct entry){ .next = *head, .rule = rule };
	*head = slot + 1;
	c->highest = MAX(c->highest, l->port);
}

static void close_entry(struct change *c, uint32_t slot)
{
	const struct listener *l = &c->f->listeners[slot];
	uint32_t *link = port_head(c, l->proto, l->port);

	while (*link != slot + 1)
		link = &c->entries[*link - 1].next;
	*link = c->entries[slot].next;
	listener_close(c->f, slot);
	c->report->closed++;
}

/* Find the listener for one port of a rule; returns its slot + 1, or 0 if there
 * is none */
static uint32_t find_entry(const struct change *c, const struct rule *r,
			   uint16_t port)
{
	uint32_t n = *port_head(c, r->proto, port);
	const struct fwd *f = c->f;

	while (n && !rule_same_binding(listener_ends(f, &f->listeners[n - 1]),
				       &r->ends))
		n = c->entries[n - 1].next;
	return n;
}

/* Compare two rules for sort_array(): by first port, then by place in the rule
 * set */
static int compare_rules(const void *a, const void *b)
{
	const struct rule *x = *(const struct rule *const *)a;
	const struct rule *y = *(const struct rule *const *)b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (x > y) - (x < y);
}

/* Remove from the list of rules that contain port @s->port those that end
 * before it */
static void end_rules(struct sweep *s)
{
	const struct rule **active = s->c->active;
	unsigned int i, kept = 0;

	for (i = 0; i < s->n; i++) {
		if (active[i]->last >= s->port)
			active[kept++] = active[i];
	}
	s->n = kept;
}

/* Add a rule to the list of rules that contain port @s->port. The list is in
 * the order of the rule set */
static void begin_rule(struct sweep *s, const struct rule *r)
{
	const struct rule **active = s->c->active;
	unsigned int i;

	for (i = s->n++; i && active[i - 1] > r; i--)
		active[i] = active[i - 1];
	active[i] = r;
}

/* Go on to the next port that a best-effort rule has; false: no port is left */
static bool next_port(struct sweep *s)
{
	const struct change *c = s->c;

	s->port++;
	end_rules(s);
	if (!s->n && s->next == c->best)
		return false;
	if (!s->n)
		s->port = c->order[s->next]->first;
	while (s->next < c->best && c->order[s->next]->first <= s->port)
		begin_rule(s, c->order[s->next++]);
	return true;
}

/* Assign a rule to the listener of one of its ports, if there is a listener and
 * it has no rule yet */
static void mark_entry(struct change *c, const struct rule *r, uint16_t port)
{
	uint32_t n = find_entry(c, r, port);

	if (n && !c->entries[n - 1].rule)
		c->entries[n - 1].rule = rule_index(c, r) + 1;
}

/* Assign to each listener the first rule that has its port and binding. Named
 * rules go first. */
static void mark_wanted(struct change *c)
{
	struct sweep s = { .c = c };
	const struct rule *r;
	unsigned int i, port;

	for (i = 0; i < c->rules->n; i++) {
		r = &c->rules->rules[i];
		if (r->best_effort)
			continue;
		for (port = r->first; port <= r->last; port++)
			mark_entry(c, r, (uint16_t)port);
	}
	while (next_port(&s)) {
		for (i = 0; i < s.n; i++)
			mark_entry(c, c->active[i], (uint16_t)s.port);
	}
}

/* Give a listener the target of the rule that is assigned to the listener */
static void move_listener(struct change *c, uint32_t slot)
{
	struct listener *l = &c->f->listeners[slot];
	const struct rule *r = entry_rule(c, slot);
	uint16_t gport = (uint16_t)(r->to + (l->port - r->first));

	if (l->gport != gport ||
	    !addr_eq(&listener_ends(c->f, l)->target, &r->ends.target)) {
		c->report->moved++;
		c->f->changes++;
	}
	l->gport = gport;
	l->ends = rule_index(c, r);
}

/* Close the listeners that have no rule. Give all others the targets of their
 * rules in the new set. The array @c->ends replaces the array that was made for
 * the old rule set. */
static void keep_wanted(struct change *c)
{
	uint32_t slot;

	for (slot = 0; slot < c->f->top; slot++) {
		if (c->f->listeners[slot].fd < 0)
			continue;
		if (c->entries[slot].rule)
			move_listener(c, slot);
		else
			close_entry(c, slot);
	}
	free(c->f->ends);
	c->f->ends = c->ends;
	c->ends = NULL;
}

/* Of the listeners of one port that are best effort, close the one whose rule
 * is last in the set; false: there is no such listener */
static bool evict_one(struct change *c, uint8_t proto, uint16_t port)
{
	uint32_t n = *port_head(c, proto, port), last = 0, rule = 0;

	for (; n; n = c->entries[n - 1].next) {
		if (!entry_rule(c, n - 1)->best_effort ||
		    c->entries[n - 1].rule < rule)
			continue;
		last = n;
		rule = c->entries[n - 1].rule;
	}
	if (last)
		close_entry(c, last - 1);
	return last;
}

/* Of the listeners that are best effort, close the one with the highest port,
 * if that port is above @port; false: there is no such listener */
static bool evict_above(struct change *c, unsigned int port)
{
	for (; c->highest > port; c->highest--) {
		if (evict_one(c, IPPROTO_UDP, (uint16_t)c->highest) ||
		    evict_one(c, IPPROTO_TCP, (uint16_t)c->highest))
			return true;
	}
	return false;
}

/* Close the listeners that are best effort and prevent a named port from being
 * bound */
static void evict_overlaps(struct change *c, const struct rule *r,
			   uint16_t port)
{
	uint32_t n = *port_head(c, r->proto, port), next;

	for (; n; n = next) {
		next = c->entries[n - 1].next;
		if (entry_rule(c, n - 1)->best_effort &&
		    rule_overlap(&entry_rule(c, n - 1)->ends, &r->ends))
			close_entry(c, n - 1);
	}
}

/* Open a listener for a port of a rule; 0 or -errno */
static int open_entry(struct change *c, const struct rule *r, uint16_t port)
{
	uint32_t rule = rule_index(c, r);
	int slot = listener_open(c->f, r, port, rule);

	if (slot < 0)
		return slot;
	add_entry(c, (uint32_t)slot, rule + 1);
	c->report->opened++;
	c->report->last = port;
	return 0;
}

static const char *failure_remedy(int error)
{
	switch (error) {
	case EACCES:
		return ": sysctl net.ipv4.ip_unprivileged_port_start tells the first port allowed to all";
	case EADDRINUSE:
		return ": stop what uses it, or forward another port";
	case EADDRNOTAVAIL:
		return ": give an address that the host has";
	case ENODEV:
		return ": give an interface that the host has";
	case EAFNOSUPPORT:
		return ": give an address of a family in use";
	case EMFILE:
		return ": raise the limit of open files (ulimit -n), or forward fewer ports";
	default:
		return "";
	}
}

/* Open a listener for a named port, unless it has one already. Returns false if
 * this failed, and the caller of fwd_apply() does not want to go on. */
static bool open_named(struct change *c, const struct rule *r, uint16_t port)
{
	struct fwd_failure e = { .rule = r, .port = port };
	int rc;

	if (find_entry(c, r, port))
		return true;

	evict_overlaps(c, r, port);
	rc = open_entry(c, r, port);
	if (rc == -EMFILE && evict_above(c, 0))
		rc = open_entry(c, r, port);
	if (!rc)
		return true;

	e.error = -rc;
	e.remedy = failure_remedy(-rc);
	return c->report->failed(c->report->arg, &e);
}

static bool open_all_named(struct change *c)
{
	const struct rule *r;
	unsigned int i, port;

	for (i = 0; i < c->rules->n; i++) {
		r = &c->rules->rules[i];
		port = r->first;
		while (!r->best_effort && port <= r->last) {
			if (!open_named(c, r, (uint16_t)port++))
				return false;
		}
	}
	return true;
}

/* Whether an error means that a resource such as descriptors or memory ran out,
 * so that opening another port would fail, too */
static bool is_exhausted(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM ||
	       error == ENOBUFS || error == ENOSPC;
}

/* Open a listener for a port that is best effort, unless it has one already.
 * Returns -errno if a resource ran out, see is_exhausted(); else 0, even if the
 * port can't be bound. */
static int open_best(struct change *c, const struct rule *r, uint16_t port)
{
	int rc;

	if (find_entry(c, r, port)) {
		c->report->last = port;
		return 0;
	}

	rc = open_entry(c, r, port);
	if (rc == -EMFILE && c->f->nlisteners == c->f->max &&
	    evict_above(c, port))
		rc = open_entry(c, r, port);
	return is_exhausted(-rc) ? rc : 0;
}

/* Leave out rules that are best effort, and whose address or interface the host
 * lacks: each attempt to bind one of their many ports would fail */
static void skip_absent(struct change *c)
{
	const struct rule *r, *last = NULL;
	unsigned int i, kept = 0;
	bool possible = false;

	for (i = 0; i < c->best; i++) {
		r = c->order[i];
		if (!last || !rule_same_binding(&last->ends, &r->ends))
			possible = listener_possible(c->f, r);
		last = r;
		if (possible)
			c->order[kept++] = r;
	}
	c->f->absent = c->best - kept;
	c->best = kept;
}

static void open_all_best(struct change *c)
{
	struct sweep s = { .c = c };
	unsigned int i;
	int rc = 0;

	skip_absent(c);
	while (!rc && next_port(&s)) {
		for (i = 0; i < s.n && !rc; i++)
			rc = open_best(c, c->active[i], (uint16_t)s.port);
	}
	c->report->exhausted = -rc;
}

/* Sort the rules that are best effort, and list the listeners by port */
static void fill_change(struct change *c)
{
	const struct rule *r;
	unsigned int i;
	uint32_t slot;

	for (i = 0; i < c->rules->n; i++) {
		r = &c->rules->rules[i];
		c->ends[i] = r->ends;
		if (r->best_effort)
			c->order[c->best++] = r;
	}
	sort_array(c->order, c->best, sizeof(*c->order), compare_rules);
	for (slot = 0; slot < c->f->top; slot++) {
		if (c->f->listeners[slot].fd >= 0)
			add_entry(c, slot, 0);
	}
}

/* map_scratch() - Let the tables of a change use the memory that the first
 * change has reserved. All of it is zero. Returns false if there is not enough
 * address space */
static bool map_scratch(struct change *c)
{
	struct fwd *f = c->f;
	size_t size = heads_size() + entries_size(f);

	if (!f->scratch) {
		f->scratch = memory_reserve(size);
		f->scratch_size = size;
	}
	if (!f->scratch || size > f->scratch_size)
		return false;
	c->heads = f->scratch;
	c->entries = (void *)((char *)f->scratch + heads_size());
	return true;
}

/* Allocate all memory of a change; 0 or -ENOMEM */
static int alloc_change(struct change *c)
{
	size_t n = MAX(1, c->rules->n);

	c->ends = calloc(n, sizeof(*c->ends));
	c->order = calloc(n, sizeof(*c->order));
	c->active = calloc(n, sizeof(*c->active));
	return c->ends && c->order && c->active && map_scratch(c) ? 0 : -ENOMEM;
}

static void free_change(struct change *c)
{
	if (c->f->scratch)
		madvise(c->f->scratch, c->f->scratch_size, MADV_DONTNEED);
	free(c->active);
	free(c->order);
	free(c->ends);
}

/**
 * fwd_failure_str() - Say which port can't be bound, why, and what helps
 * @e:		failure
 * @buf:	filled with the message
 * @size:	bytes that @buf has space for
 *
 * Return: @buf
 */
const char *fwd_failure_str(const struct fwd_failure *e, char *buf, size_t size)
{
	char port[RULE_PORT_STRLEN];

	snprintf(buf, size, "%s can't be bound: %s%s",
		 rule_port_str(e->rule, e->port, port), strerror(e->error),
		 e->remedy);
	return buf;
}

/**
 * fwd_apply() - Open and close listeners until they match a rule set
 * @f:		listeners; fwd_init() has been called
 * @rules:	rule set that rule_set_check() accepted; not used after return
 * @r:		the caller sets @failed and @arg; this function sets all other
 *		fields
 *
 * A listener stays open if the set has a rule with its port and binding. It
 * then keeps its slot and its socket, with all connections or datagrams that
 * wait there. Only its target may change. If a port can't be bound, all other
 * ports are still bound, unless @r->failed returns false.
 *
 * Return: 0; -ENOMEM if memory ran out and no listener has changed; -ECANCELED
 *	   if @r->failed returned false
 */
int fwd_apply(struct fwd *f, const struct rule_set *rules,
	      struct fwd_report *r)
{
	struct change c = { .f = f, .rules = rules, .report = r };
	int rc = alloc_change(&c);

	r->opened = r->closed = r->moved = 0;
	r->exhausted = 0;
	r->last = 0;
	if (!rc) {
		fill_change(&c);
		mark_wanted(&c);
		keep_wanted(&c);
		if (open_all_named(&c))
			open_all_best(&c);
		else
			rc = -ECANCELED;
	}
	free_change(&c);
	return rc;
}
