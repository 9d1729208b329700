// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * rule.c - Tests of the values of -t and -u: which rules they mean, and the
 * error messages for wrong ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Content of /proc/sys/net/ipv4/ip_local_port_range; NULL: it can't be read. */
static const char *ephemeral = "32768\t60999\n";

static FILE *test_fopen(const char *path, const char *mode)
{
	return ephemeral ? fmemopen((char *)ephemeral, strlen(ephemeral), "r") :
			   NULL;
}

#define fopen(path, mode) test_fopen(path, mode)
#include "../../forward/rule.c"
#undef fopen
#include "random.h"
#include "unit.h"

/* put_rule() - Write a rule, in the style of 'tcp 22>23 %eth0 to 192.0.2.5' */
static void put_rule(FILE *out, const struct rule *r)
{
	char buf[ADDR_STRLEN];

	fprintf(out, "%s", r->proto == IPPROTO_TCP ? "tcp " : "udp ");
	if (!addr_is_none(&r->ends.addr) || r->ends.any6)
		fprintf(out, "%s ", addr_str(&r->ends.addr, buf));
	if (*r->ends.ifname)
		fprintf(out, "%%%s ", r->ends.ifname);
	fprintf(out, "%u", r->first);
	if (r->last != r->first)
		fprintf(out, "-%u", r->last);
	if (r->to != r->first)
		fprintf(out, ">%u", r->to);
	if (!addr_is_none(&r->ends.target))
		fprintf(out, " to %s", addr_str(&r->ends.target, buf));
	if (r->best_effort)
		fprintf(out, " if free");
}

/* rules() - Write all rules of a set as text, with commas between them */
static const char *rules(const struct rule_set *f)
{
	static char buf[4096];
	FILE *out = fmemopen(buf, sizeof(buf), "w");
	unsigned int i;

	for (i = 0; i < f->n; i++) {
		if (i)
			fputs(", ", out);
		put_rule(out, &f->rules[i]);
	}
	fputc('\0', out);
	fclose(out);
	return buf;
}

/* means() - Parse a value of -t; return the rules that it means, as text, or
 * the error message for it */
static const char *means(const char *spec)
{
	struct rule_set f = { 0 };
	static char why[200];
	const char *result;

	strcpy(why, "nothing was said");
	if (rule_set_parse(&f, IPPROTO_TCP, spec, why, sizeof(why)))
		result = f.n ? "rules were left" : why;
	else
		result = rules(&f);
	rule_set_free(&f);
	return result;
}

/* check_spec() - Check the rules of a value of -t, or the error message for it;
 * the name of the check is the value */
#define check_spec(spec, want) check_str("'" spec "'", means(spec), want)

static void ports(void)
{
	check_spec("22, 23,\t+24- 25", "tcp 22, tcp 23, tcp 24-25");
	check_spec("/22", "tcp 22");
	check_spec("*/22", "tcp 22");
	check_spec("*%eth0/22", "tcp %eth0 22");
	check_spec("22,~22", "");
	check_spec("22-23,~22", "tcp 23");
	check_spec("22:+23, 80: 90", "tcp 22>23, tcp 80>90");
	check_spec("::/22", "tcp :: 22");
	check_spec("[::]%eth0/22", "tcp :: %eth0 22");
	check_spec("::/22:192.0.2.5", "192.0.2.5 is of another family than "
		   "the host's address before '/'");
	check_spec("none", "");
	check_spec("22", "tcp 22");
	check_spec("1", "tcp 1");
	check_spec("65535", "tcp 65535");
	check_spec("22,25", "tcp 22, tcp 25");
	check_spec("22-80", "tcp 22-80");
	check_spec("22-22", "tcp 22");
	check_spec("22:23", "tcp 22>23");
	check_spec("22-80:32-90", "tcp 22-80>32");
	check_spec("65535:1", "tcp 65535>1");
	check_spec("22-80:32-90,443,8080:80",
		   "tcp 22-80>32, tcp 443, tcp 8080>80");
	check_spec("40000", "tcp 40000");
	check_spec("1-65535", "tcp 1-65535");
}

static void targets(void)
{
	check_spec("5000:192.0.2.5/6000", "tcp 5000>6000 to 192.0.2.5");
	check_spec("5000:192.0.2.5", "tcp 5000 to 192.0.2.5");
	check_spec("22,5000:192.0.2.5/6000",
		   "tcp 22, tcp 5000>6000 to 192.0.2.5");
	check_spec("5000-5001:192.0.2.5/6000-6001",
		   "tcp 5000-5001>6000 to 192.0.2.5");
	check_spec("5000:2001:db8::5", "tcp 5000 to 2001:db8::5");
	check_spec("5000:[2001:db8::5]", "tcp 5000 to 2001:db8::5");
	check_spec("5000:[2001:db8::5]/6000", "tcp 5000>6000 to 2001:db8::5");
	check_spec("::1/5000:2001:db8::5/6000",
		   "tcp ::1 5000>6000 to 2001:db8::5");
	check_spec("198.51.100.1/5000:192.0.2.5/6000,22",
		   "tcp 198.51.100.1 5000>6000 to 192.0.2.5, "
		   "tcp 198.51.100.1 22");
}

static void prefixes(void)
{
	check_spec("192.0.2.1/22", "tcp 192.0.2.1 22");
	check_spec("192.0.2.1/22,25:26",
		   "tcp 192.0.2.1 22, tcp 192.0.2.1 25>26");
	check_spec("%eth0/22", "tcp %eth0 22");
	check_spec("192.0.2.1%eth0/22", "tcp 192.0.2.1 %eth0 22");
	check_spec("::1/22", "tcp ::1 22");
	check_spec("[::1]/22", "tcp ::1 22");
	check_spec("fe80::1%eth0/22", "tcp fe80::1 %eth0 22");
	check_spec("[fe80::1]%eth0/22", "tcp fe80::1 %eth0 22");
	check_spec("0.0.0.0/22", "tcp 0.0.0.0 22");
	check_spec("%name_15_letters/22", "tcp %name_15_letters 22");
}

static void all(void)
{
	check_spec("all", "tcp 1-32767 if free, tcp 61000-65535 if free");
	check_spec("::1/all", "tcp ::1 1-32767 if free, "
		   "tcp ::1 61000-65535 if free");
	check_spec("all:192.0.2.5", "tcp 1-32767 to 192.0.2.5 if free, "
		   "tcp 61000-65535 to 192.0.2.5 if free");
	check_spec("all:[2001:db8::5]", "tcp 1-32767 to 2001:db8::5 if free, "
		   "tcp 61000-65535 to 2001:db8::5 if free");
	check_spec("all,~25", "tcp 1-24 if free, tcp 26-32767 if free, "
		   "tcp 61000-65535 if free");
	check_spec("all,22,5000:6000,40000",
		   "tcp 22, tcp 5000>6000, tcp 40000, tcp 1-21 if free, "
		   "tcp 23-4999 if free, tcp 5001-32767 if free, "
		   "tcp 61000-65535 if free");

	ephemeral = "1024 65535\n";
	check_spec("all", "tcp 1-1023 if free");
	ephemeral = "garbage";
	check_spec("all", "tcp 1-32767 if free, tcp 61000-65535 if free");
	ephemeral = NULL;
	check_spec("all", "tcp 1-32767 if free, tcp 61000-65535 if free");
	ephemeral = "1 65535\n";
	check_spec("all", "");
	ephemeral = "32768\t60999\n";
}

static void exclusions(void)
{
	check_spec("~25", "tcp 1-24 if free, tcp 26-32767 if free, "
		   "tcp 61000-65535 if free");
	check_spec("~20000-20010", "tcp 1-19999 if free, "
		   "tcp 20011-32767 if free, tcp 61000-65535 if free");
	check_spec("~1,~3-65000", "tcp 2 if free, tcp 65001-65535 if free");
	check_spec("~20-30,~25", "tcp 1-19 if free, tcp 31-32767 if free, "
		   "tcp 61000-65535 if free");
	check_spec("2000-5000,~3000-3010", "tcp 2000-2999, tcp 3011-5000");
	check_spec("~3000-3010,2000-5000:3000-6000",
		   "tcp 2000-2999>3000, tcp 3011-5000>4011");
	check_spec("192.0.2.1/2000-2002,~2000,~2002", "tcp 192.0.2.1 2001");
	check_spec("192.0.2.1%eth0/1000-1010:2000-2010,~1005",
		   "tcp 192.0.2.1 %eth0 1000-1004>2000, "
		   "tcp 192.0.2.1 %eth0 1006-1010>2006");
	check_spec("22,~25", "tcp 22");
	check_spec("~1-65535", "");
}

static void wrong_ports(void)
{
	check_spec("70000", "port 70000 is not between 1 and 65535");
	check_spec("65536", "port 65536 is not between 1 and 65535");
	check_spec("0", "port 0 is not between 1 and 65535");
	check_spec("99999999999999999999999",
		   "port 99999999999999999999999 is not between 1 and 65535");
	check_spec("22:0", "port 0 is not between 1 and 65535");
	check_spec("22-70000", "port 70000 is not between 1 and 65535");
	check_spec("ssh", "'ssh' is not a port, a number between 1 and 65535");
	check_spec("22x", "'22x' is not a port, a number between 1 and 65535");
	check_spec("22 ", "'22 ' is not a port, a number between 1 and 65535");
	check_spec("22-", "a port is missing, a number between 1 and 65535");
	check_spec("-22", "a port is missing, a number between 1 and 65535");
	check_spec("22:", "a port is missing, a number between 1 and 65535");
	check_spec("~", "a port is missing, a number between 1 and 65535");
	check_spec("~25:30",
		   "'25:30' is not a port, a number between 1 and 65535");
	check_spec("1-2-3",
		   "'2-3' is not a port, a number between 1 and 65535");
	check_spec("80-22", "range 80-22 is reversed: 22-80 would be right");
	check_spec("1-2:4-3", "range 4-3 is reversed: 3-4 would be right");
	check_spec("22-80:32",
		   "22-80 and 32-32 are not equally many ports");
	check_spec("22-80:32-91",
		   "22-80 and 32-91 are not equally many ports");
	check_spec("22:23-24", "22-22 and 23-24 are not equally many ports");
}

static void wrong_lists(void)
{
	static const char empty[] =
		"an entry is empty: ports have one comma between them";

	check_spec("", empty);
	check_spec(",", empty);
	check_spec("22,", empty);
	check_spec(",22", empty);
	check_spec("22,,23", empty);
	check_spec("192.0.2.1/", empty);
	check_spec("22,22", "port 22 is given twice");
	check_spec("20-30,25", "port 25 is given twice");
	check_spec("20-30,30-40", "port 30 is given twice");
	check_spec("22:23,22:24", "port 22 is given twice");
	check_spec("all,all", "'all' is given twice");
	check_spec("all,all:192.0.2.5", "'all' is given twice");
	check_spec("22,none", "'none' has to stand alone");
	check_spec("192.0.2.1/none", "'none' has to stand alone");
	check_spec("auto", "'auto' is for network namespaces only: "
		   "give ports, or 'all'");
	check_spec("allow",
		   "'allow' is not a port, a number between 1 and 65535");
}

static void wrong_addresses(void)
{
	check_spec("192.0.2.256/22",
		   "'192.0.2.256' before '/' is not an address");
	check_spec("localhost/22", "'localhost' before '/' is not an address");
	check_spec("[192.0.2.1]/22",
		   "'[192.0.2.1]' before '/' is not an address");
	check_spec("[::1/22", "'[::1' before '/' is not an address");
	check_spec("[/22", "'[' before '/' is not an address");
	check_spec("[]/22", "'[]' before '/' is not an address");
	check_spec("::1]/22",
		   "a port is missing, a number between 1 and 65535");
	check_spec("%/22", "'' is no interface name");
	check_spec("%../22", "'..' is no interface name");
	check_spec("%a b/22", "'a b' is no interface name");
	check_spec("%sixteen_letters_/22",
		   "'sixteen_letters_' is no interface name");
	check_spec("fe80::1/22", "link-local address without interface: "
		   "fe80::1%INTERFACE/ would be right");
	check_spec("22:localhost",
		   "'localhost' is neither a port nor an address");
	check_spec("22:192.0.2.5/", "a port is missing, "
		   "a number between 1 and 65535");
	check_spec("22:127.0.0.1",
		   "127.0.0.1 is no address that a guest could have");
	check_spec("22:224.0.0.1",
		   "224.0.0.1 is no address that a guest could have");
	check_spec("all:", "'' is neither a port nor an address");
	check_spec("all:192.0.2.5/80",
		   "'192.0.2.5/80' is neither a port nor an address");
	check_spec("::1/22:192.0.2.5", "192.0.2.5 is of another family than "
		   "the host's address before '/'");
	check_spec("192.0.2.1/22:[2001:db8::5]", "[2001:db8::5] is of another "
		   "family than the host's address before '/'");
}

/* parse() - Add the rules of a value of -t or -u, which must be valid */
static void parse(struct rule_set *f, uint8_t proto, const char *spec)
{
	char why[200];

	if (rule_set_parse(f, proto, spec, why, sizeof(why)))
		fail(spec, "%s", why);
}

static void several(void)
{
	struct rule_set f = { 0 };
	char why[200];

	parse(&f, IPPROTO_TCP, "22");
	parse(&f, IPPROTO_UDP, "53:5353");
	parse(&f, IPPROTO_TCP, "192.0.2.1/80,81");
	check_str("several options add up", rules(&f), "tcp 22, udp 53>5353, "
		  "tcp 192.0.2.1 80, tcp 192.0.2.1 81");
	check_eq("a wrong one is refused", rule_set_parse(&f, IPPROTO_TCP,
		 "1000,1001,x", why, sizeof(why)), -1);
	check_eq("and leaves nothing behind", f.n, 4);
	parse(&f, IPPROTO_TCP, "none");
	check_eq("'none' has no rules", f.n, 4);
	rule_set_free(&f);
}

static void many(void)
{
	char *spec = malloc(65536 * 6), why[100], *p = spec;
	struct rule_set f = { 0 };
	unsigned int i;

	for (i = 1; i < 65536; i += 2)
		p += sprintf(p, "%s%u", i > 1 ? "," : "", i);
	parse(&f, IPPROTO_TCP, spec);
	parse(&f, IPPROTO_UDP, spec);
	check_eq("each other port, for both protocols", f.n, 65536);
	check_eq("the last rule is right", f.rules[65535].first, 65535);
	check_eq("one more is too many",
		 rule_set_parse(&f, IPPROTO_TCP, "2", why, sizeof(why)), -1);
	check_str("which is said", why,
		  "more than 65536 ranges of ports in all");
	f.n--;
	check_eq("room for one, two wanted",
		 rule_set_parse(&f, IPPROTO_TCP, "2,4", why, sizeof(why)), -1);
	check_eq("none of them is left behind", f.n, 65535);
	rule_set_free(&f);
	free(spec);
}

/* sane() - Whether the ports and the length of the interface name of a rule are
 * within their bounds, and its protocol is TCP */
static bool sane(const struct rule *r)
{
	return r->first >= 1 && r->first <= r->last && r->to >= 1 &&
	       r->to + (r->last - r->first) <= IP_PORT_MAX &&
	       r->proto == IPPROTO_TCP && strlen(r->ends.ifname) < IFNAMSIZ;
}

static void garbage(void)
{
	static const char *const words[] = {
		"22", "1-9", "65535", "70000", "all", "none", "auto", "~", ",",
		":", "/", "%", "-", "[", "]", "192.0.2.1", "::1", "2001:db8::1",
		"eth0", "lo", "x", "", "0", "1000-2000", "500", "~3",
	};
	unsigned int i, j, good = 0, insane = 0, silent = 0;

	for (i = 0; i < 200000; i++) {
		char spec[200] = "", why[50] = "";
		struct rule_set f = { 0 };

		for (j = next_random() % 10; j; j--)
			strcat(spec, words[next_random() % ARRAY_SIZE(words)]);
		if (rule_set_parse(&f, IPPROTO_TCP, spec, why, sizeof(why)))
			silent += !*why;
		else
			good++;
		for (j = 0; j < f.n; j++)
			insane += !sane(&f.rules[j]);
		rule_set_free(&f);
	}
	check("garbage: some of it is good by chance", good > 1000);
	check_eq("garbage: no rule comes of it that can't be", insane, 0);
	check_eq("garbage: it is said what is wrong", silent, 0);
}

int main(void)
{
	ports();
	targets();
	prefixes();
	all();
	exclusions();
	wrong_ports();
	wrong_lists();
	wrong_addresses();
	several();
	many();
	garbage();
	return unit_end();
}
