// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * apply.c - libFuzzer target: whatever rule set follows another, and whichever
 * ports other programs have, after fwd_apply() there are exactly the listeners
 * that a slow and simple model asks for, those that stay have their old
 * sockets, each port that can't be bound was reported, and applying the same
 * set again changes nothing.
 *
 * Each input is a list of steps (steps.h): rules that are added to the next
 * set, ports that other programs take or give back, and the application.
 *
 * link: -Wl,--wrap=close,--wrap=socket,--wrap=epoll_create1,--wrap=epoll_ctl
 * link: -Wl,--wrap=bind,--wrap=listen,--wrap=setsockopt,--wrap=getsockopt
 * link: -Wl,--wrap=ioctl,--wrap=now_ms,--wrap=getrandom
 */
#include "test/fuzz/kernel.h"

#include "forward/apply.h"
#include "log.h"
#include "test/fuzz/steps.h"

#define PORTS		16	/* ports 1 to 16 are used */
#define RULES		8	/* limit for rules of a set, for speed */
#define LISTENERS	12	/* limit; rules can ask for more */

enum op { OP_RULE, OP_RULE_AGAIN, OP_TAKE, OP_GIVE, OP_APPLY, OPS };

/* Addresses and interfaces that rules bind to, and their families. */
static const struct {
	const char *addr, *ifname;
} bindings[] = {
	{ "", "" }, { "", "a" }, { "127.0.0.1", "" }, { "127.0.0.2", "" },
	{ "127.0.0.1", "a" }, { "127.0.0.1", "b" }, { "::1", "" },
	{ "0.0.0.0", "" },
};
static const char *const targets[] = { "", "192.0.2.5", "2001:db8::5" };

static struct fwd fwd;
static struct net net;
static struct rule_set next_set;
static bool taken[2][PORTS + 1];	/* by other programs: TCP, UDP */
static unsigned int base;		/* descriptors without listeners */

/* struct kept - A listener before the set was applied */
static struct kept {
	struct listener l;
	struct rule_ends ends;
} kept[LISTENERS];
static unsigned int nkept;

/* What fwd_apply() has reported as not bound. */
static struct {
	const struct rule *rule;
	uint16_t port;
} failures[RULES * PORTS];
static unsigned int nfailures;

UNCOUNTED

/* bound: address of each descriptor that is bound */
static struct in6_addr bound[FDS];

static bool is_any(const struct in6_addr *a)
{
	static const struct in6_addr any4 = { { { [10] = 0xff, [11] = 0xff } } };

	return addr_is_none(a) || addr_eq(a, &any4);
}

/* serves() - Whether a socket gets packets of a family */
static bool serves(const struct ksock *s, const struct in6_addr *a, bool v6)
{
	if (s->family == AF_INET)
		return !v6;
	return v6 ? !addr_is_v4(a) : is_any(a) && !s->v6only;
}

/* conflict() - Whether two sockets can't have the same port */
static bool conflict(const struct ksock *a, const struct in6_addr *x,
		     const struct ksock *b, const struct in6_addr *y)
{
	if (a->type != b->type || (*a->dev && *b->dev && strcmp(a->dev, b->dev)))
		return false;
	if (!(serves(a, x, true) && serves(b, y, true)) &&
	    !(serves(a, x, false) && serves(b, y, false)))
		return false;
	return is_any(x) || is_any(y) || addr_eq(x, y);
}

/* fake_bind() - Bind a socket, unless another one has the port */
static int fake_bind(const struct ksock *s, const struct in6_addr *addr)
{
	unsigned int i, self = (unsigned int)(s - kernel.fd);

	MUST(s->port <= PORTS);
	if (!s->port)			/* passt asks if the address exists */
		return 0;
	if (taken[s->type == SOCK_DGRAM][s->port])
		return EADDRINUSE;
	for (i = 0; i < FDS; i++)
		if (i != self && kernel.fd[i].open &&
		    kernel.fd[i].port == s->port &&
		    conflict(s, addr, &kernel.fd[i], &bound[i]))
			return EADDRINUSE;
	bound[self] = *addr;
	return 0;
}

static bool note_failure(void *arg, const struct fwd_failure *e)
{
	char line[256];

	MUST(strlen(fwd_failure_str(e, line, sizeof(line))));
	MUST(nfailures < ARRAY_SIZE(failures) && !e->rule->best_effort);
	MUST(e->error == EADDRINUSE || (e->error == EMFILE &&
					fwd.nlisteners == fwd.max));
	failures[nfailures].rule = e->rule;
	failures[nfailures++].port = e->port;
	return true;
}

/* add_rule() - Add the rule that a step describes to the next set */
static void add_rule(const struct step *s)
{
	struct rule r = { .proto = s->a & 1 ? IPPROTO_TCP : IPPROTO_UDP,
			  .best_effort = s->a & 2 };
	char why[256];

	if (next_set.n == RULES)
		return;
	r.first = (uint16_t)(1 + s->b % PORTS);
	r.last = (uint16_t)(r.first + s->c % 4);
	r.last = MIN(r.last, PORTS);
	r.to = (uint16_t)(1 + s->x % 99);
	addr_parse(bindings[s->a >> 2 & 7].addr, &r.ends.addr);
	strcpy(r.ends.ifname, bindings[s->a >> 2 & 7].ifname);
	addr_parse(targets[s->a >> 5 & 1 ? s->y % 3 : 0], &r.ends.target);
	if (!addr_is_none(&r.ends.target) && !addr_is_none(&r.ends.addr) &&
	    addr_is_v4(&r.ends.target) != addr_is_v4(&r.ends.addr))
		r.ends.target = ADDR_NONE;
	MUST(!rule_set_add(&next_set, &r, why, sizeof(why)));
	if (rule_set_check(&next_set, why, sizeof(why)))
		next_set.n--;		/* contradicts an earlier rule */
}

static bool has_port(const struct rule *r, uint8_t proto, uint16_t port)
{
	return r->proto == proto && r->first <= port && port <= r->last;
}

/* rule_of() - Find the rule that a listener must be for: a named one, or else
 * the first best-effort one with its port and binding */
static const struct rule *rule_of(const struct rule_set *s,
				  const struct listener *l)
{
	const struct rule_ends *e = listener_ends(&fwd, l);
	const struct rule *best = NULL, *r;

	for (r = s->rules; r < s->rules + s->n; r++) {
		if (!has_port(r, l->proto, l->port) ||
		    !rule_same_binding(&r->ends, e))
			continue;
		if (!r->best_effort)
			return r;
		best = best ? best : r;
	}
	return best;
}

static const struct listener *find_listener(const struct rule *r, uint16_t port)
{
	const struct listener *l = NULL;

	while ((l = fwd_next_listener(&fwd, l)))
		if (l->proto == r->proto && l->port == port &&
		    rule_same_binding(&r->ends, listener_ends(&fwd, l)))
			return l;
	return NULL;
}

/* check_listener() - Check that a rule asks for a listener. If the listener
 * existed before the set was applied, check that it still has its socket */
static void check_listener(const struct rule_set *s, const struct listener *l)
{
	const struct rule *r = rule_of(s, l);
	unsigned int i;

	MUST(r && l->gport == r->to + (l->port - r->first));
	MUST(addr_eq(&listener_ends(&fwd, l)->target, &r->ends.target));
	MUST(kernel.fd[l->fd - FD_FIRST].open && find_listener(r, l->port) == l);
	MUST(fwd_listener_from_token(&fwd, listener_token(&fwd, l)) == l);
	for (i = 0; i < nkept; i++)
		if (kept[i].l.proto == l->proto && kept[i].l.port == l->port &&
		    rule_same_binding(&kept[i].ends, listener_ends(&fwd, l)) &&
		    !r->best_effort)
			MUST(kept[i].l.fd == l->fd && kept[i].l.gen == l->gen);
}

static bool was_reported(const struct rule *r, uint16_t port)
{
	unsigned int i;

	for (i = 0; i < nfailures; i++)
		if (failures[i].rule == r && failures[i].port == port)
			return true;
	return false;
}

/* check_rule() - Check that each named port is bound or was reported, and that
 * it is bound if no other program has it, and if there may be more listeners */
static void check_rule(const struct rule *r)
{
	unsigned int port;
	bool free, open;

	for (port = r->first; port <= r->last && !r->best_effort; port++) {
		open = find_listener(r, (uint16_t)port);
		free = !taken[r->proto == IPPROTO_UDP][port];
		MUST(open || was_reported(r, (uint16_t)port));
		MUST(open || !free || fwd.nlisteners == fwd.max);
	}
}

/* remember() - Remember all listeners, to compare them afterwards */
static void remember(void)
{
	const struct listener *l = NULL;

	nkept = 0;
	while ((l = fwd_next_listener(&fwd, l))) {
		MUST(nkept < LISTENERS);
		kept[nkept++] = (struct kept){ *l, *listener_ends(&fwd, l) };
	}
}

/* apply() - Apply a set, and check what fwd_apply() reports and does */
static void apply(const struct rule_set *s)
{
	struct fwd_report r = { .failed = note_failure };
	const struct listener *l = NULL;
	unsigned int i, before, n = 0;

	remember();
	before = fwd.nlisteners;
	kernel.calls = nfailures = 0;
	MUST(!fwd_apply(&fwd, s, &r));
	MUST(fwd.nlisteners == before + r.opened - r.closed);
	while ((l = fwd_next_listener(&fwd, l))) {
		check_listener(s, l);
		n++;
	}
	MUST(n == fwd.nlisteners && kernel.nopen == base + n);
	for (i = 0; i < s->n; i++)
		check_rule(&s->rules[i]);

	remember();
	before = nfailures;
	nfailures = 0;
	MUST(!fwd_apply(&fwd, s, &r));
	MUST(!r.opened && !r.closed && !r.moved && nfailures == before);
}

static void do_step(const struct step *s)
{
	static struct step last;

	switch ((enum op)(s->op % OPS)) {
	case OP_RULE:
		last = *s;
		add_rule(s);
		break;
	case OP_RULE_AGAIN:
		last.b = s->b;
		add_rule(&last);
		break;
	case OP_TAKE:
	case OP_GIVE:
		taken[s->a & 1][1 + s->b % PORTS] = s->op % OPS == OP_TAKE;
		break;
	case OP_APPLY:
		apply(&next_set);
		if (s->a & 1)
			next_set.n = 0;
		break;
	case OPS:
		break;
	}
}

/* clear_taken() - Give back all ports of other programs */
static void clear_taken(void)
{
	memset(taken, 0, sizeof(taken));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct step s;

	if (!started)
		log_set_level(LOG_EMERG);
	started = true;
	kernel_start();
	kernel.bind = fake_bind;
	clear_taken();
	memset(&fwd, 0, sizeof(fwd));
	net = (struct net){ .use = { true, true } };
	fwd.net = &net;
	MUST(!fwd_init(&fwd, LISTENERS, epoll_create1(0)));
	base = kernel.nopen;
	next_set.n = 0;
	while (next_step(&data, &size, &s))
		do_step(&s);
	next_set.n = 0;
	apply(&next_set);
	MUST(!fwd.nlisteners);
	fwd_free(&fwd);
	return 0;
}

COUNTED
