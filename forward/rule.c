// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * rule.c - Parses the values of -t and -u into rules.
 *
 * A specification is the value of one option: 'none', or a list of entries
 * separated by commas. A prefix [ADDRESS][%INTERFACE]/ before the list binds
 * its ports to one address or interface of the host. Entries are parsed one by
 * one. Two sets collect the ports of all entries: one has the ports that are
 * named, the other those that are excluded.
 */
/* syscalls: start: close fstat openat read */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "forward/rule.h"
#include "ip.h"
#include "util.h"

#define SHOWN		48	/* bytes of the user's text in a message, at
				 * most */
#define BLANKS		" \t"

/* EPHEMERAL_FIRST and _LAST: Linux's default range of ephemeral ports, used if
 * the file can't be read. */
#define EPHEMERAL	"/proc/sys/net/ipv4/ip_local_port_range"
#define EPHEMERAL_FIRST	32768
#define EPHEMERAL_LAST	60999

/* Kinds of entries in a value of -t or -u. */
enum entry_kind {
	ENTRY_PORTS,		/* ports that the entry names */
	ENTRY_ALL,		/* 'all': every port that is not ephemeral */
	ENTRY_EXCEPT,		/* '~': ports that 'all' leaves out */
};

/**
 * struct entry - One entry of a value of -t or -u, parsed
 * @kind:	says which of the fields below are used
 * @first, @last: first and last host port
 * @to:		guest port that @first leads to
 * @target:	address that the entry gives as its target; none: traffic goes
 *		to the address that the guest uses at that time
 */
struct entry {
	enum entry_kind kind;
	uint16_t first, last, to;
	struct in6_addr target;
};

/* A set of ports, one bit each. */
struct ports {
	uint64_t bits[(IP_PORT_MAX + 1) / 64];
};

/**
 * struct spec - One value of -t or -u, while it is parsed
 * @set:	set that the rules are added to
 * @rule:	protocol, address and interface, which all rules have in common
 * @entries:	entries of the value, parsed
 * @nentries:	number of @entries
 * @named:	ports that entries name
 * @except:	ports that entries exclude. Before the ports of 'all' become
 *		rules, add_all() adds ephemeral and named ports to this set
 * @why:	buffer for an error message
 * @size:	bytes that @why has space for
 */
struct spec {
	struct rule_set *set;
	struct rule rule;
	struct entry *entries;
	unsigned int nentries;
	struct ports named, except;
	char *why;
	size_t size;
};

/* Write an error message; returns -1, which the caller can return, too */
__attribute__((format(printf, 2, 3)))
static int spec_error(const struct spec *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, s->size, fmt, ap);
	va_end(ap);
	return -1;
}

static bool ports_has(const struct ports *p, unsigned int port)
{
	return p->bits[port / 64] >> (port % 64) & 1;
}

static void ports_add(struct ports *p, unsigned int port)
{
	p->bits[port / 64] |= UINT64_C(1) << (port % 64);
}

/* Add the ports that the kernel gives to sockets that do not ask for a port */
static void add_ephemeral(struct ports *p)
{
	unsigned int first, last, port;
	FILE *file;

	file = fopen(EPHEMERAL, "re");
	if (!file || fscanf(file, "%u %u", &first, &last) != 2 ||
	    last > IP_PORT_MAX) {
		first = EPHEMERAL_FIRST;
		last = EPHEMERAL_LAST;
	}
	if (file)
		fclose(file);

	for (port = first; port <= last; port++)
		ports_add(p, port);
}

/* Whether a string consists of digits only; the number may be too large */
static bool all_digits(const char *s)
{
	return *s && !s[strspn(s, "0123456789")];
}

/* Parse a port, which may have blanks and a plus sign before it */
static int parse_port(const struct spec *s, const char *text, uint16_t *port)
{
	uint64_t n;

	text += strspn(text, BLANKS);
	text += *text == '+';

	if (number_parse(text, 1, IP_PORT_MAX, &n)) {
		*port = (uint16_t)n;
		return 0;
	}

	if (all_digits(text))
		return spec_error(s, "port %.*s is not between 1 and %u",
				  SHOWN, text, IP_PORT_MAX);

	if (!*text)
		return spec_error(s, "a port is missing, a number between 1 and %u",
				  IP_PORT_MAX);

	return spec_error(s, "'%.*s' is not a port, a number between 1 and %u",
			  SHOWN, text, IP_PORT_MAX);
}

/* Parse PORT or FIRST-LAST. This and all parsers below write into @text. */
static int parse_range(const struct spec *s, char *text, uint16_t *first,
		       uint16_t *last)
{
	char *dash = strchr(text, '-');

	if (dash)
		*dash++ = '\0';

	if (parse_port(s, text, first) ||
	    parse_port(s, dash ? dash : text, last))
		return -1;

	if (*first > *last)
		return spec_error(s, "range %u-%u is reversed: %u-%u would be right",
				  *first, *last, *last, *first);

	return 0;
}

/* Parse an address. An IPv6 address may be in brackets. */
static bool parse_addr(const char *text, struct in6_addr *addr)
{
	size_t len = strlen(text);
	char inner[ADDR_STRLEN];

	if (*text != '[')
		return addr_parse(text, addr);

	if (text[len - 1] != ']' || len - 2 >= sizeof(inner))
		return false;

	memcpy(inner, text + 1, len - 2);
	inner[len - 2] = '\0';
	return strchr(inner, ':') && addr_parse(inner, addr);
}

/* Parse the guest's ports of an entry. The entry must have as many of them as
 * host ports */
static int parse_to(const struct spec *s, struct entry *e, char *text)
{
	uint16_t last;

	if (parse_range(s, text, &e->to, &last))
		return -1;

	if (last - e->to != e->last - e->first)
		return spec_error(s, "%u-%u and %u-%u are not equally many ports",
				  e->first, e->last, e->to, last);

	return 0;
}

/* Parse the guest's address of an entry. If the specification begins with an
 * address of the host, both addresses must be of the same family: passt does
 * not translate between families. */
static int parse_target(const struct spec *s, struct entry *e, const char *text)
{
	unsigned int family;

	if (!parse_addr(text, &e->target))
		return spec_error(s, "'%.*s' is neither a port nor an address",
				  SHOWN, text);

	if (!addr_is_unicast(&e->target))
		return spec_error(s, "%s is no address that a guest could have",
				  text);

	family = addr_is_v4(&e->target) ? RULE_V4 : RULE_V6;
	if (!(rule_families(&s->rule.ends) & family))
		return spec_error(s, "%s is of another family than the host's address before '/'",
				  text);

	return 0;
}

/* Parse the text after an entry's colon: PORTS, ADDRESS/PORTS or ADDRESS */
static int parse_guest_side(const struct spec *s, struct entry *e, char *text)
{
	char *slash = strchr(text, '/');

	if (!text[strspn(text, "0123456789-+" BLANKS)])
		return parse_to(s, e, text);

	if (!slash)
		return parse_target(s, e, text);

	*slash = '\0';
	if (parse_target(s, e, text))
		return -1;
	return parse_to(s, e, slash + 1);
}

/* Parse PORTS or PORTS:GUEST-SIDE, see parse_guest_side() */
static int parse_ports(const struct spec *s, struct entry *e, char *text)
{
	char *colon = strchr(text, ':');

	if (colon)
		*colon = '\0';

	e->kind = ENTRY_PORTS;
	if (parse_range(s, text, &e->first, &e->last))
		return -1;

	e->to = e->first;
	return colon ? parse_guest_side(s, e, colon + 1) : 0;
}

static int parse_entry(const struct spec *s, struct entry *e, char *text)
{
	if (!*text)
		return spec_error(s, "an entry is empty: ports have one comma between them");

	if (!strcmp(text, "none"))
		return spec_error(s, "'none' has to stand alone");

	if (!strcmp(text, "auto"))
		return spec_error(s, "'auto' is for network namespaces only: give ports, or 'all'");

	if (*text == '~') {
		e->kind = ENTRY_EXCEPT;
		return parse_range(s, text + 1, &e->first, &e->last);
	}

	if (strcmp(text, "all") && strncmp(text, "all:", 4))
		return parse_ports(s, e, text);

	e->kind = ENTRY_ALL;
	e->first = e->to = 1;
	e->last = IP_PORT_MAX;
	return text[3] ? parse_target(s, e, text + 4) : 0;
}

/* Add the ports of an entry to the set of named or of excluded ports. It is an
 * error if two entries name the same port, because a port can have only one
 * target. */
static int note_ports(struct spec *s, const struct entry *e)
{
	unsigned int port, i;

	switch (e->kind) {
	case ENTRY_PORTS:
		for (port = e->first; port <= e->last; port++) {
			if (ports_has(&s->named, port))
				return spec_error(s, "port %u is given twice", port);
			ports_add(&s->named, port);
		}
		return 0;
	case ENTRY_EXCEPT:
		for (port = e->first; port <= e->last; port++)
			ports_add(&s->except, port);
		return 0;
	case ENTRY_ALL:
		for (i = 0; i < s->nentries; i++)
			if (s->entries[i].kind == ENTRY_ALL)
				return spec_error(s, "'all' is given twice");
		return 0;
	}

	return 0;
}

/* Parse entries separated by commas; @s->entries has space for all of them */
static int parse_list(struct spec *s, char *text)
{
	bool except_only = true;
	char *comma;

	for (; text; text = comma) {
		struct entry e = { 0 };

		comma = strchr(text, ',');
		if (comma)
			*comma++ = '\0';

		if (parse_entry(s, &e, text) || note_ports(s, &e))
			return -1;
		except_only &= e.kind == ENTRY_EXCEPT;
		s->entries[s->nentries++] = e;
	}

	if (except_only)
		s->entries[s->nentries++] = (struct entry){
			.kind = ENTRY_ALL, .first = 1,
			.last = IP_PORT_MAX, .to = 1
		};
	return 0;
}

/* Whether a name has the form of an interface name: the same checks as in
 * dev_valid_name() of the kernel's net/core/dev.c. Whether the host has such an
 * interface is found out later, when a port is bound. */
static bool valid_ifname(const char *name)
{
	const char *c;

	if (!*name || strlen(name) >= IFNAMSIZ || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		return false;

	for (c = name; *c; c++)
		if (*c == '/' || *c == ':' || isspace((unsigned char)*c))
			return false;
	return true;
}

/* Parse the prefix of a specification, [ADDRESS][%INTERFACE] without the slash.
 * If ADDRESS is missing or '*', it means any address. */
static int parse_prefix(struct spec *s, char *text)
{
	struct in6_addr *addr = &s->rule.ends.addr;
	char *ifname = strchr(text, '%');

	if (ifname) {
		*ifname++ = '\0';
		if (!valid_ifname(ifname))
			return spec_error(s, "'%.*s' is no interface name",
					  SHOWN, ifname);
		strcpy(s->rule.ends.ifname, ifname);
	}

	if (!*text || !strcmp(text, "*"))
		return 0;
	if (!parse_addr(text, addr))
		return spec_error(s, "'%.*s' before '/' is not an address",
				  SHOWN, text);
	s->rule.ends.any6 = addr_is_none(addr);

	if (!addr_is_v4(addr) && addr_is_linklocal(addr) && !ifname)
		return spec_error(s, "link-local address without interface: %.*s%%INTERFACE/ would be right",
				  SHOWN, text);

	return 0;
}

/*
 * Find the slash that ends the prefix of a specification; NULL: no prefix.
 *
 * In 5000:192.0.2.5/6000 and 22,5000:192.0.2.5/6000 the slash belongs to an
 * entry, because the text before the slash is no address. In
 * 5000:2001:db8::5/6000 the text before the slash is an IPv6 address, so it is
 * a prefix. In 5000:[2001:db8::5]/6000 the text before the slash is no address,
 * so 5000 is a port.
 */
static char *prefix_end(char *text)
{
	char *slash = strchr(text, '/'), addr[ADDR_STRLEN];
	struct in6_addr unused;
	size_t len;

	if (!slash)
		return NULL;

	len = (size_t)(slash - text);
	if (memchr(text, ',', len))
		return NULL;
	if (!memchr(text, ':', len) || memchr(text, '%', len) || *text == '[')
		return slash;
	if (len >= sizeof(addr))
		return NULL;

	memcpy(addr, text, len);
	addr[len] = '\0';
	return addr_parse(addr, &unused) ? slash : NULL;
}

/* Add rules for all ports of an entry that are not excluded */
static int add_rules(struct spec *s, const struct entry *e)
{
	unsigned int first, last;
	struct rule rule = s->rule;

	rule.ends.target = e->target;
	rule.best_effort = e->kind == ENTRY_ALL;
	for (first = e->first; first <= e->last; first = last + 1) {
		last = first;
		if (ports_has(&s->except, first))
			continue;
		while (last < e->last && !ports_has(&s->except, last + 1))
			last++;

		rule.first = (uint16_t)first;
		rule.last = (uint16_t)last;
		rule.to = (uint16_t)(e->to + (first - e->first));
		if (rule_set_add(s->set, &rule, s->why, s->size))
			return -1;
	}

	return 0;
}

/* Add the rules of all entries of one kind */
static int add_kind(struct spec *s, enum entry_kind kind)
{
	unsigned int i;

	for (i = 0; i < s->nentries; i++)
		if (s->entries[i].kind == kind && add_rules(s, &s->entries[i]))
			return -1;
	return 0;
}

/* Add the rules of a specification. 'all' means all ports that are not
 * excluded, that no other entry of the same list names, and that are not
 * ephemeral. */
static int add_all(struct spec *s)
{
	unsigned int i;

	if (add_kind(s, ENTRY_PORTS))
		return -1;

	add_ephemeral(&s->except);
	for (i = 0; i < ARRAY_SIZE(s->except.bits); i++)
		s->except.bits[i] |= s->named.bits[i];
	return add_kind(s, ENTRY_ALL);
}

/* Parse a specification other than 'none', and add its rules */
static int parse_spec(struct spec *s, char *text)
{
	char *slash = prefix_end(text);

	if (slash) {
		*slash = '\0';
		if (parse_prefix(s, text))
			return -1;
		text = slash + 1;
	}

	if (parse_list(s, text))
		return -1;

	return add_all(s);
}

static bool is_none(const char *spec)
{
	return !strcmp(spec, "none");
}

/**
 * rule_set_parse() - Append the rules of one -t or -u option
 * @s:		set to append to; it is not changed if @spec is wrong
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @spec:	the option's value; 'none' has no rules
 * @why:	set on failure: what is wrong, and what would be right
 * @size:	bytes that @why has space for
 *
 * Return: 0, or -1 if @spec is wrong or memory ran out
 */
int rule_set_parse(struct rule_set *s, uint8_t proto, const char *spec,
		   char *why, size_t size)
{
	struct spec p = { .set = s, .rule.proto = proto,
			  .why = why, .size = size };
	unsigned int before = s->n;
	struct entry *entries;
	char *text;
	int rc;

	if (is_none(spec))
		return 0;

	/* A list of n characters has at most n + 1 entries. parse_list() may
	 * add one for 'all'. */
	text = strdup(spec);
	p.entries = entries = calloc(strlen(spec) + 2, sizeof(*entries));
	rc = text && entries ? parse_spec(&p, text) :
			       spec_error(&p, "out of memory");
	if (rc)
		s->n = before;

	free(entries);
	free(text);
	return rc;
}

/* Whether 'none' comes after another value. A 'none' before other values has no
 * effect. */
static bool contradicts_none(const char *const *spec)
{
	bool ports = false;

	for (; *spec; spec++) {
		if (is_none(*spec) && ports)
			return true;
		ports |= !is_none(*spec);
	}
	return false;
}

/* Parse all values of one option, and check that no two contradict each
 * other */
static int parse_option(struct rule_set *s, uint8_t proto, const char *option,
			const char *const *spec, struct rule_error *e)
{
	e->option = option;
	e->spec = NULL;
	if (!spec)
		return 0;
	if (contradicts_none(spec)) {
		snprintf(e->why, sizeof(e->why),
			 "'none' contradicts the value before it: leave it out");
		return -1;
	}

	for (; *spec; spec++) {
		e->spec = *spec;
		if (rule_set_parse(s, proto, *spec, e->why, sizeof(e->why)))
			return -1;
	}

	e->spec = NULL;
	return rule_set_check(s, e->why, sizeof(e->why));
}

/**
 * rule_set_read() - Make a rule set from all values of -t and -u
 * @s:		empty set; the caller frees it by rule_set_free() in any case
 * @tcp:	values of -t, NULL after the last; NULL: TCP is not in use
 * @udp:	values of -u, NULL after the last; NULL: UDP is not in use
 * @e:		on failure, set to what is wrong
 *
 * Return: 0, or -1 on failure
 */
int rule_set_read(struct rule_set *s, const char *const *tcp,
		  const char *const *udp, struct rule_error *e)
{
	if (parse_option(s, IPPROTO_TCP, "--tcp-ports", tcp, e))
		return -1;
	return parse_option(s, IPPROTO_UDP, "--udp-ports", udp, e);
}
