// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * listen_walk.c - Makes 10,000 random changes to what is forwarded, and
 * compares the result with a model that is slow and simple. It uses real
 * sockets in a network namespace of its own.
 *
 * After each change there are exactly the listeners of the model. A listener
 * that stays has its old socket, each socket is bound to the right address, a
 * foreign socket can bind a port only if the port is free in the model, and
 * there is one descriptor for each socket.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward/apply.h"
#include "log.h"
#include "test/unit/fds.h"
#include "test/unit/netns.h"
#include "test/unit/random.h"
#include "test/unit/unit.h"

#define STEPS		10000
#define PORTS		16	/* ports 1 to 16 are used */
#define OPTIONS		7
#define FOREIGN		6
#define LISTENERS	24	/* limit; 'all' for TCP and UDP would need 32 */
#define BOUND		(2 * LISTENERS)
#define OLD		64	/* old tokens that the test remembers */

/* Addresses and interfaces that options bind their ports to. */
static const struct prefix {
	const char *text, *addr, *ifname;
	bool v4, v6;
} prefixes[] = {
	{ "", "", "", true, true },
	{ "%lo/", "", "lo", true, true },
	{ "0.0.0.0/", "0.0.0.0", "", true, false },
	{ "127.0.0.1/", "127.0.0.1", "", true, false },
	{ "127.0.0.2/", "127.0.0.2", "", true, false },
	{ "127.0.0.1%lo/", "127.0.0.1", "lo", true, false },
	{ "::1/", "::1", "", false, true },
};

/* Addresses of the guest that options forward to. */
static const struct target {
	const char *text, *addr;
	bool v4, v6;
} targets[] = {
	{ "", "", true, true },
	{ "192.0.2.5", "192.0.2.5", true, false },
	{ "[2001:db8::5]", "2001:db8::5", false, true },
};

/**
 * struct option - A value of -t or -u
 * @proto:	IPPROTO_TCP or IPPROTO_UDP, 0: no option
 * @best:	the value is 'all', best effort; false: it names ports
 * @first, @last, @to: first and last port of the host, and the guest's port for
 *		the first
 * @except:	a port that is excluded, 0: none
 * @prefix, @target: index in @prefixes, and in @targets
 */
struct option {
	uint8_t proto;
	bool best;
	unsigned int first, last, to, except, prefix, target;
};

/**
 * struct bound - A port that is bound, in the model
 * @proto, @port: protocol and port of the host
 * @prefix:	index in @prefixes: address and interface
 * @v4, @v6:	families that the socket serves
 * @gport, @target: port of the guest, and index in @targets
 * @best, @rule: whether its rule is best effort, and the index of the rule
 * @fd:		its socket, -1: not known yet
 * @keep:	the new rule set has this port, too
 */
struct bound {
	uint8_t proto;
	unsigned int port, prefix;
	bool v4, v6;
	unsigned int gport, target;
	bool best;
	unsigned int rule;
	int fd;
	bool keep;
};

static struct option options[OPTIONS];
static struct bound foreign[FOREIGN];	/* entry is unused if its @proto is 0 */
static struct bound model[BOUND];
static unsigned int nmodel;
static unsigned int want_failed, got_failed, wrong_failed;
static uint64_t old_tokens[OLD];
static unsigned int nold;
static struct fwd f;
static struct net net;
static unsigned int base_fds;
static bool ipv6;
static struct in6_addr prefix_addr[ARRAY_SIZE(prefixes)];
static struct in6_addr target_addr[ARRAY_SIZE(targets)];

static unsigned int pick(unsigned int n)
{
	return (unsigned int)(next_random() >> 33) % n;
}

static void pick_target(struct option *o)
{
	const struct prefix *p = &prefixes[o->prefix];

	do
		o->target = pick(ARRAY_SIZE(targets));
	while ((!targets[o->target].v4 && !p->v6) ||
	       (!targets[o->target].v6 && !p->v4) ||
	       (!targets[o->target].v4 && !ipv6));
	o->to = o->best ? o->first : 1 + pick(1000);
}

static void pick_option(struct option *o)
{
	memset(o, 0, sizeof(*o));	/* memcmp() needs clean padding */
	o->proto = pick(2) ? IPPROTO_TCP : IPPROTO_UDP;
	o->best = !pick(3);
	o->first = o->best ? 1 : 1 + pick(PORTS);
	o->last = o->first + pick(2) * pick(8);
	if (o->best || o->last > PORTS)
		o->last = PORTS;
	if (!pick(3) && o->last > o->first)
		o->except = o->first + pick(o->last - o->first + 1);
	do
		o->prefix = pick(ARRAY_SIZE(prefixes));
	while (!prefixes[o->prefix].v4 && !ipv6);
	pick_target(o);
}

/* Write an option's value as the user would */
static void write_spec(const struct option *o, char spec[200])
{
	const struct target *t = &targets[o->target];
	char ports[100], except[20] = "";

	if (o->except)
		snprintf(except, sizeof(except), ",~%u", o->except);
	if (o->best)
		snprintf(ports, sizeof(ports), "all%s%s,~%u-65535",
			 *t->text ? ":" : "", t->text, PORTS + 1);
	else
		snprintf(ports, sizeof(ports), "%u-%u:%s%s%u-%u", o->first,
			 o->last, t->text, *t->text ? "/" : "", o->to,
			 o->to + o->last - o->first);
	snprintf(spec, 200, "%s%s%s", prefixes[o->prefix].text, ports, except);
}

/* Return the rules of an option. It is parsed only if it has changed since the
 * last call, because parsing is slow */
static const struct rule_set *parse_option(unsigned int i)
{
	static struct option done[OPTIONS];
	static struct rule_set rules[OPTIONS];
	char spec[200], why[200];

	if (!memcmp(&done[i], &options[i], sizeof(done[i])))
		return &rules[i];
	done[i] = options[i];
	rule_set_free(&rules[i]);
	write_spec(&options[i], spec);
	if (options[i].proto &&
	    rule_set_parse(&rules[i], options[i].proto, spec, why,
			   sizeof(why))) {
		fail(spec, "%s", why);
		exit(1);
	}
	return &rules[i];
}

/* Add the rules of all options to @s; false if they contradict each other */
static bool make_rules(struct rule_set *s)
{
	const struct rule_set *one;
	unsigned int i, j;
	char why[200];

	for (i = 0; i < OPTIONS; i++) {
		one = parse_option(i);
		for (j = 0; j < one->n; j++)
			rule_set_add(s, &one->rules[j], why, sizeof(why));
	}
	return !rule_set_check(s, why, sizeof(why));
}

/* Whether two ports can't be bound at the same time */
static bool collide(const struct bound *a, const struct bound *b)
{
	const struct prefix *p = &prefixes[a->prefix];
	const struct prefix *q = &prefixes[b->prefix];
	bool any = !*p->addr || !*q->addr || !strcmp(p->addr, "0.0.0.0") ||
		   !strcmp(q->addr, "0.0.0.0");

	return a->proto == b->proto && a->port == b->port &&
	       ((a->v4 && b->v4) || (a->v6 && b->v6)) &&
	       (any || !strcmp(p->addr, q->addr));
}

/* Whether two ports have the same binding, so that one socket can serve both */
static bool same_socket(const struct bound *a, const struct bound *b)
{
	return a->proto == b->proto && a->port == b->port &&
	       a->prefix == b->prefix && a->v4 == b->v4 && a->v6 == b->v6;
}

static bool is_foreign(const struct bound *b)
{
	unsigned int i;

	for (i = 0; i < FOREIGN; i++) {
		if (foreign[i].proto && collide(&foreign[i], b))
			return true;
	}
	return false;
}

static struct bound *find_bound(const struct bound *b)
{
	unsigned int i;

	for (i = 0; i < nmodel; i++) {
		if (same_socket(&model[i], b))
			return &model[i];
	}
	return NULL;
}

static void drop(unsigned int i)
{
	model[i] = model[--nmodel];
}

/* Make the model's entry for a port of an option */
static struct bound bound_of(const struct option *o, unsigned int rule,
			     unsigned int port)
{
	const struct prefix *p = &prefixes[o->prefix];
	const struct target *t = &targets[o->target];
	bool any = !*p->addr;

	return (struct bound){
		.proto = o->proto, .port = port, .prefix = o->prefix,
		.v4 = p->v4 && (t->v4 || !any), .v6 = p->v6 && (t->v6 || !any),
		.gport = o->to + port - o->first, .target = o->target,
		.best = o->best, .rule = rule, .fd = -1, .keep = true,
	};
}

/* Remove the highest best-effort port from the model; false if none is above
 * @port */
static bool model_evict(unsigned int port)
{
	unsigned int i, last = nmodel;

	for (i = 0; i < nmodel; i++) {
		const struct bound *a = &model[i], *b = &model[last];

		if (!a->best || a->port <= port)
			continue;
		if (last == nmodel || a->port > b->port ||
		    (a->port == b->port && a->proto > b->proto) ||
		    (a->port == b->port && a->proto == b->proto &&
		     a->rule > b->rule))
			last = i;
	}
	if (last == nmodel)
		return false;
	drop(last);
	return true;
}

static void model_named(const struct bound *b)
{
	unsigned int i;

	if (find_bound(b))
		return;
	for (i = nmodel; i--;) {
		if (model[i].best && collide(&model[i], b))
			drop(i);
	}
	if (is_foreign(b) || (nmodel == LISTENERS && !model_evict(0)))
		want_failed++;
	else
		model[nmodel++] = *b;
}

/* Add a best-effort port to the model if the port is free; false if there are
 * as many listeners as the limit allows */
static bool model_best(const struct bound *b)
{
	unsigned int i;

	if (find_bound(b) || is_foreign(b))
		return true;
	for (i = 0; i < nmodel; i++) {
		if (collide(&model[i], b))
			return true;
	}
	if (nmodel == LISTENERS && !model_evict(b->port))
		return false;
	model[nmodel++] = *b;
	return true;
}

/* If @best is true, call @call for each port of best-effort options, in the
 * order of ports. If it is false, call @call for each named port, in the order
 * of options. Stop if @call returns false. */
static bool each_port(bool best, bool (*call)(struct bound *b))
{
	unsigned int outer, inner, n = best ? PORTS : OPTIONS;

	for (outer = 0; outer < n; outer++) {
		for (inner = 0; inner < (best ? OPTIONS : PORTS); inner++) {
			unsigned int i = best ? inner : outer;
			unsigned int port = 1 + (best ? outer : inner);
			const struct option *o = &options[i];
			struct bound b;

			if (!o->proto || o->best != best || port < o->first ||
			    port > o->last || port == o->except)
				continue;
			b = bound_of(o, i, port);
			/* 'all' with an excluded port becomes two rules */
			b.rule = 2 * i + (o->except && port > o->except);
			if (!call(&b))
				return false;
		}
	}
	return true;
}

static bool keep_port(struct bound *b)
{
	struct bound *is = find_bound(b);

	if (is && !is->keep) {
		b->fd = is->fd;
		*is = *b;
	}
	return true;
}

static bool name_port(struct bound *b)
{
	model_named(b);
	return true;
}

static bool best_port(struct bound *b)
{
	return model_best(b);
}

static void model_apply(void)
{
	unsigned int i;

	want_failed = 0;
	for (i = 0; i < nmodel; i++)
		model[i].keep = false;
	each_port(false, keep_port);
	each_port(true, keep_port);
	for (i = nmodel; i--;) {
		if (!model[i].keep)
			drop(i);
	}
	each_port(false, name_port);
	each_port(true, best_port);
}

static bool note_failure(void *arg, const struct fwd_failure *e)
{
	got_failed++;
	wrong_failed += e->rule->best_effort || e->port < e->rule->first ||
			e->port > e->rule->last || !*e->remedy ||
			(e->error != EADDRINUSE && e->error != EMFILE);
	return true;
}

/* Whether a listener's socket is bound to the option's address and port */
static bool bound_right(const struct listener *l, const struct bound *b)
{
	const struct prefix *p = &prefixes[b->prefix];
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);
	struct in6_addr addr, want = prefix_addr[b->prefix];
	uint16_t port;

	if (getsockname(l->fd, &sa.sa, &len) || !sockaddr_get(&sa, &addr, &port))
		return false;
	if (!*p->addr && (!b->v6 || !ipv6))
		want = addr_from_v4((struct in_addr){ INADDR_ANY });
	return port == b->port && addr_eq(&addr, &want);
}

/* Whether a listener is in the model, and still has the same socket */
static bool listener_right(const struct listener *l)
{
	const struct rule_ends *e = listener_ends(&f, l);
	unsigned int i;

	for (i = 0; i < nmodel; i++) {
		struct bound *b = &model[i];

		if (l->proto != b->proto || l->port != b->port ||
		    !addr_eq(&prefix_addr[b->prefix], &e->addr) ||
		    strcmp(prefixes[b->prefix].ifname, e->ifname) ||
		    rule_families(e) != (b->v4 ? RULE_V4 : 0) +
					(b->v6 ? RULE_V6 : 0))
			continue;
		if (b->fd >= 0 && b->fd != l->fd)
			return false;
		b->fd = l->fd;
		return l->gport == b->gport &&
		       addr_eq(&target_addr[b->target], &e->target) &&
		       bound_right(l, b) &&
		       fwd_listener_from_token(&f, listener_token(&f, l)) == l;
	}
	return false;
}

/* Bind a foreign socket to a port; -1 if the port is not free */
static int bind_foreign(const struct bound *b)
{
	const struct prefix *p = &prefixes[b->prefix];
	struct in6_addr addr = prefix_addr[b->prefix];
	union sockaddr_any sa;
	socklen_t len;
	int fd, both = !b->v4;

	if (!*p->addr && !b->v6)
		addr = addr_from_v4((struct in_addr){ INADDR_ANY });
	len = sockaddr_set(&sa, &addr, (uint16_t)b->port, 0);
	fd = socket(sa.sa.sa_family, b->proto == IPPROTO_TCP ? SOCK_STREAM :
							       SOCK_DGRAM, 0);
	if (sa.sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof(both));
	if (!bind(fd, &sa.sa, len) &&
	    (b->proto == IPPROTO_UDP || !listen(fd, 1)))
		return fd;
	close(fd);
	return -1;
}

static struct bound pick_foreign(void)
{
	struct option o;

	do
		pick_option(&o);
	while (*prefixes[o.prefix].ifname);
	o.target = 0;
	return bound_of(&o, 0, 1 + pick(PORTS));
}

/* Whether the model is right about a random port: a foreign socket can bind it
 * if and only if it is free in the model */
static bool probe_right(void)
{
	struct bound b = pick_foreign();
	bool free = !is_foreign(&b);
	unsigned int i;
	int fd;

	if (!ipv6)
		b.v6 = false;
	for (i = 0; i < nmodel; i++)
		free &= !collide(&model[i], &b);
	fd = bind_foreign(&b);
	if (fd >= 0)
		close(fd);
	return free == (fd >= 0);
}

static void toggle_foreign(void)
{
	struct bound *b = &foreign[pick(FOREIGN)], new = pick_foreign();

	if (b->proto) {
		close(b->fd);
		b->proto = 0;
		return;
	}
	if (!ipv6)
		new.v6 = false;
	new.fd = bind_foreign(&new);
	if (new.fd >= 0)
		*b = new;
}

static void change_something(void)
{
	struct option *o = &options[pick(OPTIONS)];

	switch (pick(8)) {
	case 0:
	case 1:
	case 2:
		pick_option(o);
		break;
	case 3:
		o->proto = 0;
		break;
	case 4:
		if (o->proto)
			pick_target(o);
		break;
	case 5:
		if (o->last > o->first)
			o->except = o->first + pick(o->last - o->first + 1);
		break;
	case 6:
		toggle_foreign();
		break;
	default:		/* no change: apply the same rules again */
		break;
	}
}

static void remember_tokens(void)
{
	const struct listener *l = NULL;

	while ((l = fwd_next_listener(&f, l)) && pick(4))
		old_tokens[nold++ % OLD] = listener_token(&f, l);
}

/* Whether each old token stands for the listener that it was made for, or for
 * none */
static bool tokens_right(void)
{
	unsigned int i;

	for (i = 0; i < MIN(nold, OLD); i++) {
		const struct listener *l;

		l = fwd_listener_from_token(&f, old_tokens[i]);
		if (l && (l->fd < 0 || listener_token(&f, l) != old_tokens[i]))
			return false;
	}
	return true;
}

static const char *what_is_wrong(const struct fwd_report *r)
{
	const struct listener *l = NULL;
	unsigned int i, n = 0, others = 0;

	for (i = 0; i < FOREIGN; i++)
		others += foreign[i].proto != 0;
	while ((l = fwd_next_listener(&f, l))) {
		n++;
		if (!listener_right(l))
			return "a listener is not the model's";
	}
	if (n != nmodel || n != f.nlisteners)
		return "there are not as many listeners as in the model";
	if (count_fds() != base_fds + n + others)
		return "descriptors leak";
	if (got_failed != want_failed)
		return "failures are not those of the model";
	if (wrong_failed)
		return "a failure has wrong values";
	if (!probe_right())
		return "a port is not as free as it should be";
	if (!tokens_right())
		return "a token stands for another listener";
	if (r->closed > LISTENERS || r->opened > LISTENERS + r->closed)
		return "the report counts too much";
	return NULL;
}

/* Make one change; return what is wrong after it, or NULL */
static const char *step(void)
{
	struct fwd_report r = { .failed = note_failure };
	struct option before[OPTIONS];
	struct rule_set s = { 0 };
	const char *wrong = NULL;

	memcpy(before, options, sizeof(options));
	remember_tokens();
	change_something();
	if (!make_rules(&s)) {
		memcpy(options, before, sizeof(options));
		rule_set_free(&s);
		if (!make_rules(&s))
			return "a set that was right is no more";
	}
	model_apply();
	got_failed = 0;
	if (fwd_apply(&f, &s, &r))
		wrong = "it can't be applied";
	rule_set_free(&s);
	return wrong ? wrong : what_is_wrong(&r);
}

static void walk(void)
{
	unsigned int i, j, most = 0, failed = 0;
	const char *wrong = NULL;
	char spec[200];

	for (i = 0; i < STEPS && !wrong; i++) {
		wrong = step();
		most = MAX(most, nmodel);
		failed += got_failed;
	}
	if (wrong) {
		fail("10,000 changes", "%s, at %u", wrong, i);
		for (j = 0; j < OPTIONS; j++) {
			if (!options[j].proto)
				continue;
			write_spec(&options[j], spec);
			printf("# %u %s\n", options[j].proto, spec);
		}
		return;
	}
	pass("10,000 changes: listeners, sockets and descriptors are the model's");
	check_eq("the limit was reached", most, LISTENERS);
	check("some named ports were taken", failed > 100);
}

static void leave(void)
{
	struct fwd_report r = { .failed = note_failure };
	const struct rule_set none = { 0 };
	unsigned int i;

	check_eq("nothing is wanted: applied", fwd_apply(&f, &none, &r), 0);
	check_eq("nothing is wanted: no listener is left", f.nlisteners, 0);
	check_eq("nothing is wanted: all are closed", r.closed, nmodel);
	for (i = 0; i < FOREIGN; i++) {
		if (foreign[i].proto)
			close(foreign[i].fd);
	}
	check_eq("no descriptor is left", count_fds(), base_fds);
	memset(options, 0, sizeof(options));
	make_rules(&(struct rule_set){ 0 });
	check("no more slots than listeners were used", f.top <= LISTENERS);
	fwd_free(&f);
}

int main(void)
{
	unsigned int i;
	int epfd, fd;

	if (!own_network()) {
		skip("10,000 changes", "no network namespace of its own");
		return unit_end();
	}
	for (i = 0; i < ARRAY_SIZE(prefixes); i++)
		addr_parse(prefixes[i].addr, &prefix_addr[i]);
	for (i = 0; i < ARRAY_SIZE(targets); i++)
		addr_parse(targets[i].addr, &target_addr[i]);
	log_set_level(LOG_EMERG);
	fd = bind_foreign(&(struct bound){ .proto = IPPROTO_UDP, .port = 1,
					   .prefix = 6, .v6 = true });
	ipv6 = fd >= 0;
	if (ipv6)
		close(fd);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	net.use[IP4] = true;
	net.use[IP6] = ipv6;
	f = (struct fwd){ .net = &net };
	if (fwd_init(&f, LISTENERS, epfd))
		return 1;
	base_fds = count_fds();
	walk();
	leave();
	close(epfd);
	return unit_end();
}
