// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * rule_set.c - Tests of several options -t and -u together: which contradict
 * each other, and when two sets of rules are equal.
 */
#include "../../forward/rule_set.c"
#include "unit.h"

/* parse() - Add the rules of options; they are written 'tcp SPEC' or 'udp
 * SPEC', with spaces between them */
static void parse(struct rule_set *s, const char *options)
{
	char text[300], why[200], *word, *spec, *rest;

	snprintf(text, sizeof(text), "%s", options);
	for (word = strtok_r(text, " ", &rest); word;
	     word = strtok_r(NULL, " ", &rest)) {
		spec = strtok_r(NULL, " ", &rest);
		if (rule_set_parse(s, strcmp(word, "udp") ? IPPROTO_TCP :
							    IPPROTO_UDP,
				   spec, why, sizeof(why)))
			fail(spec, "%s", why);
	}
}

/* Options, and the error message for them; NULL: they are valid. */
static const struct {
	const char *options, *why;
} checks[] = {
	{ "", NULL },
	{ "tcp 22 tcp 23 udp 22", NULL },
	{ "tcp 22 tcp 22", "TCP port 22 is given twice: give it once" },
	{ "tcp 22:23 tcp 22:24", "TCP port 22 is given twice: give it once" },
	{ "udp 53 udp 50-60", "UDP port 53 is given twice: give it once" },
	{ "tcp 20-30 tcp 25-35", "TCP port 25 is given twice: give it once" },
	{ "tcp 1-9 tcp 5 tcp 20", "TCP port 5 is given twice: give it once" },
	{ "tcp 20-30,~25 tcp 25", NULL },
	{ "tcp 22 tcp 192.0.2.1/22",
	  "TCP port 22 and TCP port 22 of 192.0.2.1 overlap: give one of them" },
	{ "tcp 0.0.0.0/22 tcp 192.0.2.1/22",
	  "TCP port 22 of 0.0.0.0 and TCP port 22 of 192.0.2.1 overlap: "
	  "give one of them" },
	{ "tcp 0.0.0.0/22 tcp 22",
	  "TCP port 22 of 0.0.0.0 and TCP port 22 overlap: give one of them" },
	{ "tcp 192.0.2.1/22 tcp 192.0.2.2/22", NULL },
	{ "tcp 192.0.2.1/22 tcp ::1/22", NULL },
	{ "tcp 0.0.0.0/22 tcp ::1/22", NULL },
	{ "tcp 22:192.0.2.5 tcp 22:2001:db8::5", NULL },
	{ "tcp 22:192.0.2.5 tcp 127.0.0.1/22",
	  "TCP port 22 and TCP port 22 of 127.0.0.1 overlap: give one of them" },
	{ "tcp 22:192.0.2.5 tcp ::1/22", NULL },
	{ "tcp 22:192.0.2.5 tcp 22", "TCP port 22 is given twice: give it once" },
	{ "tcp %eth0/22 tcp %eth1/22", NULL },
	{ "tcp %eth0/22 tcp %eth0/22",
	  "TCP port 22 of %eth0 is given twice: give it once" },
	{ "tcp %eth0/22 tcp 22",
	  "TCP port 22 of %eth0 and TCP port 22 overlap: give one of them" },
	{ "tcp 192.0.2.1%eth0/22 tcp 192.0.2.1/22",
	  "TCP port 22 of 192.0.2.1%eth0 and TCP port 22 of 192.0.2.1 overlap: "
	  "give one of them" },
	{ "tcp fe80::1%eth0/22 tcp fe80::1%eth1/22", NULL },
	{ "tcp all tcp 22 tcp all", NULL },
	{ "tcp all tcp 192.0.2.1/all udp ~22", NULL },
};

static void check_sets(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
		struct rule_set s = { 0 };
		char why[200] = "";
		int rc;

		parse(&s, checks[i].options);
		rc = rule_set_check(&s, why, sizeof(why));
		check_str(checks[i].options, why,
			  checks[i].why ? checks[i].why : "");
		if (rc != (checks[i].why ? -1 : 0))
			fail(checks[i].options, "returned %d", rc);
		rule_set_free(&s);
	}
}

/* Options of two sets of rules, and whether the sets are equal. */
static const struct {
	const char *one, *other;
	bool same;
} pairs[] = {
	{ "", "", true },
	{ "tcp 22", "", false },
	{ "tcp 22", "tcp 22", true },
	{ "tcp none", "", true },
	{ "tcp 22,~22", "", true },
	{ "tcp 22", "udp 22", false },
	{ "tcp 22", "tcp 22:23", false },
	{ "tcp 22:22", "tcp 22", true },
	{ "tcp 22", "tcp 22-23", false },
	{ "tcp 22", "tcp 22:192.0.2.5", false },
	{ "tcp 22:192.0.2.6", "tcp 22:192.0.2.5", false },
	{ "tcp 127.0.0.1/22", "tcp 22", false },
	{ "tcp %eth0/22", "tcp %eth1/22", false },
	{ "tcp 22 tcp 23", "tcp 22,23", true },
	{ "tcp 22 tcp 23", "tcp 23,22", false },
	{ "tcp all", "tcp all", true },
	{ "tcp all", "tcp 1-65535", false },
	{ "tcp 20-30,~25", "tcp 20-24,26-30", true },
};

static void compare_sets(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		struct rule_set one = { 0 }, other = { 0 };
		char name[200];

		parse(&one, pairs[i].one);
		parse(&other, pairs[i].other);
		snprintf(name, sizeof(name), "'%s' and '%s'", pairs[i].one,
			 pairs[i].other);
		check_eq(name, rule_set_equal(&one, &other), pairs[i].same);
		check_eq(name, rule_set_equal(&other, &one), pairs[i].same);
		rule_set_free(&one);
		rule_set_free(&other);
	}
}

static void read_options(void)
{
	const char *const tcp[] = { "22", "25:26", NULL };
	const char *const twice[] = { "22", "20-30", NULL };
	const char *const port_none[] = { "22", "none", NULL };
	const char *const none_port[] = { "none", "22", NULL };
	const char *const none_none[] = { "none", "none", NULL };
	const char *const wrong[] = { "22", "x", NULL };
	const char *const udp[] = { "53", NULL }, *const none[] = { NULL };
	struct rule_set s = { 0 }, want = { 0 };
	struct rule_error e;

	check_eq("both protocols", rule_set_read(&s, tcp, udp, &e), 0);
	parse(&want, "tcp 22 tcp 25:26 udp 53");
	check("both protocols: as given", rule_set_equal(&s, &want));
	rule_set_free(&s);

	check_eq("no -u", rule_set_read(&s, tcp, none, &e), 0);
	check_eq("no -u: no rules for UDP", s.n, 2);
	check("no -u: those of TCP", s.rules[0].proto == IPPROTO_TCP &&
	      s.rules[1].proto == IPPROTO_TCP);
	rule_set_free(&s);

	check_eq("UDP not in use", rule_set_read(&s, tcp, NULL, &e), 0);
	check_eq("UDP not in use: no rules for it", s.n, 2);
	rule_set_free(&s);

	check_eq("TCP not in use", rule_set_read(&s, NULL, udp, &e), 0);
	check_eq("TCP not in use: no rules for it", s.n, 1);
	rule_set_free(&s);

	check_eq("a wrong one", rule_set_read(&s, udp, wrong, &e), -1);
	check_str("a wrong one: its option", e.option, "--udp-ports");
	check_str("a wrong one: its value", e.spec, "x");
	rule_set_free(&s);

	check_eq("one twice", rule_set_read(&s, twice, NULL, &e), -1);
	check_str("one twice: its option", e.option, "--tcp-ports");
	check_str("one twice: said", e.why,
		  "TCP port 22 is given twice: give it once");
	check("one twice: it is no single value", !e.spec);
	rule_set_free(&s);

	check_eq("none and a port", rule_set_read(&s, port_none, udp, &e), -1);
	check_str("none and a port: said", e.why,
		  "'none' contradicts the value before it: leave it out");
	check("none and a port: it is no single value", !e.spec);
	check_eq("none before a port", rule_set_read(&s, none_port, NULL, &e),
		 0);
	check_eq("none before a port: has no effect", s.n, 1);
	rule_set_free(&s);
	check_eq("none twice", rule_set_read(&s, none_none, udp, &e), 0);
	check_eq("none twice: is none", s.n, 1);
	rule_set_free(&s);
	rule_set_free(&want);
}

int main(void)
{
	check_sets();
	compare_sets();
	read_options();
	return unit_end();
}
