// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conf.c - Reads the command line according to the table in options.c, checks
 * options against each other, and prints the help.
 */
/* syscalls: start: close connect fstat getegid geteuid ioctl lseek openat
 *	     read socket write */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ip.h"
#include "log.h"
#include "sock.h"
#include "conf/options.h"
#include "host/process.h"

#define OPTIONS_MAX	128	/* rows of conf_options, at most */
#define LONG_BASE	256	/* getopt_long()'s value for conf_options[0] */
#define NOBODY		65534	/* user ID if no user is called 'nobody' */

/**
 * conf_error() - Print one line on stderr about an option
 * @option:	name of the option, with dashes
 * @value:	value of the option, NULL: none
 * @fmt:	what is wrong and what would be right: a format of printf()
 */
void conf_error(const char *option, const char *value, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	size_t n;

	if (value && !*value)
		value = "''";
	snprintf(line, sizeof(line) / 2, "passt: %s%s%s: ", option,
		 value ? " " : "", value ? value : "");
	n = strlen(line);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);

	log_one_line(line);
	fprintf(stderr, "%s\n", line);
}

/* help_line() - Print one line of the help: the option in a column of @width
 * characters, then @len bytes of @help */
static void help_line(const char *option, int width, const char *help,
		      size_t len)
{
	printf("  %-*s  %.*s\n", width, option, (int)len, help);
}

/* help_name() - Format the left column of the help for an option; returns its
 * length, bytes */
static int help_name(const struct opt *o, char *buf, size_t size)
{
	char letter[] = "-x, ";

	letter[1] = o->letter;
	return snprintf(buf, size, "%s--%s%s%s%s%s",
			o->letter ? letter : "    ", o->name,
			o->also ? ", --" : "", o->also ? o->also : "",
			o->arg ? " " : "", o->arg ? o->arg : "");
}

/* help_option() - Print an option with all lines of its description */
static void help_option(const struct opt *o, int width)
{
	const char *help = o->help;
	char name[80];

	help_name(o, name, sizeof(name));
	for (;;) {
		size_t len = strcspn(help, "\n");

		help_line(name, width, help, len);
		if (!help[len])
			return;
		help += len + 1;
		name[0] = '\0';
	}
}

static void print_help(void)
{
	const struct opt *o;
	int width = 0, n;
	char name[80];
	unsigned int i;

	for (i = 0; i < conf_option_count; i++) {
		o = &conf_options[i];
		if (!o->name || !o->help)
			continue;
		n = help_name(o, name, sizeof(name));
		width = MAX(width, n);
	}

	puts("Usage: passt [OPTION]...\n"
	     "Connect a virtual machine to the network, without privilege.");
	for (i = 0; i < conf_option_count; i++) {
		o = &conf_options[i];
		if (!o->name)
			printf("\n%s:\n", o->help);
		else if (o->help)
			help_option(o, width);
	}
}

static void print_version(void)
{
	printf("passt " VERSION "\n"
	       "Licence: GNU AGPL, version 3 or later "
	       "<https://www.gnu.org/licenses/agpl-3.0.html>\n"
	       "This is free software: you may change and share it.\n"
	       "There is no warranty, as far as the law permits.\n");
}

/* print_capabilities() - Print what passt can do as a vhost-user back-end, in
 * the format of docs/interop/vhost-user.json of qemu. passt lists no features,
 * because the features in that document do not concern network devices. */
static void print_capabilities(void)
{
	printf("{\n  \"type\": \"net\"\n}\n");
}

/* take_option() - Carry out an option of the command line: print something, or
 * store its value */
static enum conf_next take_option(struct conf *c, const struct opt *o,
				  const char *arg)
{
	if (o->type == OPT_HELP)
		print_help();
	else if (o->type == OPT_VERSION)
		print_version();
	else if (o->type == OPT_CAPABILITIES)
		print_capabilities();
	else
		return opt_set(c, o, arg);
	return CONF_DONE;
}

/* default_user() - Set the user and group that passt runs as without --runas:
 * the effective ones of the process, or those of the user 'nobody' if the
 * effective user is root */
static void default_user(struct conf *c)
{
	const struct passwd *pw;

	c->uid = geteuid();
	c->gid = getegid();
	if (c->uid)
		return;

	pw = getpwnam("nobody");
	c->uid = pw ? pw->pw_uid : NOBODY;
	c->gid = pw ? pw->pw_gid : NOBODY;
}

static void conf_defaults(struct conf *c)
{
	*c = (struct conf) {
		.fd = -1,
		.log_size = LOG_FILE_SIZE, .max_flows = UINT32_MAX,
		.use = { true, true },
		.tcp = true, .udp = true, .icmp = true,
		.mac = CONF_MAC,
		.lease_time = LEASE_TIME,
		.dhcp = true, .dhcpv6 = true, .ndp = true, .ra = true,
		.dhcp_dns = true, .dhcp_search = true,
		.map_gw = true,
	};
	default_user(c);
}

/* getopt_long_row() - Make a row for getopt_long(3) from row @i of our table */
static struct option getopt_long_row(const char *name, unsigned int i)
{
	return (struct option) {
		.name = name,
		.has_arg = conf_options[i].arg ? required_argument :
						 no_argument,
		.val = LONG_BASE + (int)i,
	};
}

/*
 * getopt_tables() - Fill the tables of getopt_long(3). For a long option,
 * getopt_long() returns LONG_BASE plus the number of its row in our table. This
 * is larger than all letters of short options.
 */
static void getopt_tables(struct option *longs, char *shorts)
{
	unsigned int i;

	*shorts++ = ':';
	for (i = 0; i < conf_option_count; i++) {
		const struct opt *o = &conf_options[i];

		if (!o->name)
			continue;
		*longs++ = getopt_long_row(o->name, i);
		if (o->also)
			*longs++ = getopt_long_row(o->also, i);
		if (o->letter)
			*shorts++ = o->letter;
		if (o->letter && o->arg)
			*shorts++ = ':';
	}
	*shorts = '\0';
	*longs = (struct option) { 0 };
}

/* opt_find() - Find the row for a value that getopt_long() returned; NULL:
 * there is none */
static const struct opt *opt_find(int val)
{
	unsigned int i;

	if (val >= LONG_BASE)
		return &conf_options[val - LONG_BASE];

	for (i = 0; i < conf_option_count; i++) {
		if (conf_options[i].letter == val && val)
			return &conf_options[i];
	}
	return NULL;
}

/* list_candidates() - List the options whose names begin with the first @len
 * bytes of @part; returns the number of these options */
static unsigned int list_candidates(const char *part, size_t len, char *list,
				    size_t size)
{
	unsigned int i, n = 0;
	size_t used = 0;

	for (i = 0; i < conf_option_count; i++) {
		const struct opt *o = &conf_options[i];

		if (!o->name || !len || strncmp(part, o->name, len))
			continue;
		used += (size_t)snprintf(list + used, size - used, "%s--%s",
					 n ? ", " : "", o->name);
		used = MIN(used, size - 1);
		n++;
	}
	return n;
}

/* getopt_error() - Print an error after getopt_long() returned ':' or '?' for
 * the argument @word */
static void getopt_error(int val, const char *word)
{
	const struct opt *o = opt_find(optopt);
	char name[64], list[512];

	if (o) {
		snprintf(name, sizeof(name), "--%s", o->name);
		if (val == ':')
			conf_error(name, NULL, "needs a value: %s", o->arg);
		else
			conf_error(name, strchr(word, '=') + 1,
				   "takes no value");
		return;
	}

	/* If @optopt is 0, @word is a long option with two dashes, maybe with a
	 * value after '='. */
	snprintf(name, sizeof(name), "-%c", optopt);
	if (!optopt && list_candidates(word + 2, strcspn(word, "=") - 2, list,
				       sizeof(list)) > 1)
		conf_error(word, NULL, "can mean %s: give one of them", list);
	else
		conf_error(optopt ? name : word, NULL,
			   "is not an option: try passt --help");
}

/**
 * conf_parse() - Read the command line and check each option on its own
 * @c:		filled with values of options, and defaults of other options
 * @argc, @argv: arguments of main(); @c keeps pointers to the strings in @argv
 *
 * Return: CONF_GO, or what the program should do instead of starting
 */
enum conf_next conf_parse(struct conf *c, int argc, char **argv)
{
	struct option longs[2 * OPTIONS_MAX + 1];
	char shorts[2 * OPTIONS_MAX + 2];
	const struct opt *o;
	enum conf_next next;
	int val;

	conf_defaults(c);
	getopt_tables(longs, shorts);
	opterr = 0;
	optind = 0;	/* makes glibc and musl start from the first argument */

	while ((val = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		o = opt_find(val);
		if (!o) {	/* '?' or ':' */
			getopt_error(val, argv[optind - 1]);
			return CONF_WRONG;
		}
		next = take_option(c, o, optarg);
		if (next != CONF_GO)
			return next;
	}

	if (optind < argc) {
		conf_error(argv[optind], NULL,
			   "is not an option: try passt --help");
		return CONF_WRONG;
	}
	return CONF_GO;
}

/* warn_outbound_if() - Warn if an outbound interface does not exist yet */
static void warn_outbound_if(const char *option, const char *ifname)
{
	if (*ifname && !if_nametoindex(ifname))
		warn("%s %s: the host has no such interface yet: until then, the guest reaches nothing beyond the host",
		     option, ifname);
}

/* warn_outbound() - Warn if the host does not have the source address of our
 * sockets yet. A link-local address can't be checked, because its interface is
 * not known yet */
static void warn_outbound(const struct in6_addr *addr)
{
	char text[ADDR_STRLEN];

	if (!addr_is_none(addr) && !addr_is_linklocal(addr) &&
	    !sock_addr_is_own(addr, 0))
		warn("--outbound %s: the host has no such address yet: until then, the guest reaches nothing beyond the host",
		     addr_str(addr, text));
}

/* conf_mtu() - Warn of an MTU that is too small for a family. An MTU that is
 * too small for IPv4 is raised to IPv4's minimum. */
static void conf_mtu(struct conf *c)
{
	if (!c->mtu)
		return;
	if (c->mtu < IP4_MTU_MIN) {
		warn("--mtu %u: the least for IPv4 is %u (RFC 791 3.2), which is taken",
		     c->mtu, IP4_MTU_MIN);
		c->mtu = IP4_MTU_MIN;
	}
	if (c->use[IP6] && c->mtu < IP6_MTU_MIN)
		warn("--mtu %u: guests use no IPv6 below %u (RFC 8200 5)",
		     c->mtu, IP6_MTU_MIN);
}

/* conf_imply() - Change options that depend on other options */
static void conf_imply(struct conf *c)
{
	conf_mtu(c);
	warn_outbound(&c->out[IP4]);
	warn_outbound(&c->out[IP6]);
	warn_outbound_if("--outbound-if4", c->out_ifname[IP4]);
	warn_outbound_if("--outbound-if6", c->out_ifname[IP6]);

	c->dhcp = c->dhcp && c->use[IP4];
	c->dhcpv6 = c->dhcpv6 && c->use[IP6];
	c->ndp = c->ndp && c->use[IP6] && c->icmp;
	c->ra = c->ra && c->ndp;
}

/* check_ports() - Print an error, and return false, if ports are forwarded for
 * a protocol that another option excludes */
static bool check_ports(const char *option, const char *const *spec,
			const char *contradicts)
{
	for (; *spec; spec++) {
		if (strcmp(*spec, "none")) {
			conf_error(option, *spec,
				   "contradicts %s: give one of them",
				   contradicts);
			return false;
		}
	}
	return true;
}

/* check_gateway() - Print an error, and return false, if --gateway gives one of
 * the guest's own addresses */
static bool check_gateway(const struct in6_addr addr[LEASE_ADDRS],
			  const struct in6_addr *gw)
{
	char text[ADDR_STRLEN];
	unsigned int i;

	for (i = 0; i < LEASE_ADDRS; i++) {
		if (addr_is_none(gw) || !addr_eq(&addr[i], gw))
			continue;
		conf_error("--gateway", addr_str(gw, text),
			   "is the address of the guest: give another one");
		return false;
	}
	return true;
}

/* check_user() - Print an error, and return false, if passt can't become the
 * user of --runas, or would remain root. passt may remain root of a user
 * namespace, because outside of the namespace that is an ordinary user */
static bool check_user(const struct conf *c)
{
	const char *why = NULL;
	char number[16];

	if (!process_is_root() && c->uid != geteuid())
		why = "needs a start as root";
	else if (!c->uid && !process_in_namespace())
		why = "is root, and passt does not stay root: name another user";
	if (!why)
		return true;
	snprintf(number, sizeof(number), "%u", c->uid);
	conf_error("--runas", number, "%s", why);
	return false;
}

/* check_host_access() - Print an error, and return false, if --no-host-access
 * is given with an option that leads to an address of the host */
static bool check_host_access(const struct conf *c)
{
	const struct {
		const char *option;
		const struct in6_addr *addr;
	} opens[] = {
		{ "--map-host-loopback", c->map_loopback },
		{ "--map-guest-addr", c->map_guest },
	};
	char text[ADDR_STRLEN];
	unsigned int i;
	enum ip_family f;

	for (i = 0; c->no_host_access && i < ARRAY_SIZE(opens); i++) {
		for (f = IP4; f < FAMILIES; f++) {
			if (addr_is_none(&opens[i].addr[f]))
				continue;
			conf_error(opens[i].option,
				   addr_str(&opens[i].addr[f], text),
				   "contradicts --no-host-access: give one of them");
			return false;
		}
	}
	return true;
}

/* conf_verbosity() - Set the log level that options ask for */
static void conf_verbosity(const struct conf *c)
{
	if (c->trace)
		log_set_level(LOG_TRACE);
	else if (c->debug)
		log_set_level(LOG_DEBUG);
	else
		/* Statistics are logged as NOTICE. --quiet does not suppress
		 * them, because the user has asked for them. */
		log_set_level(c->quiet || c->show_sandbox ? LOG_NOTICE :
			      LOG_INFO);
}

/**
 * conf_check() - Check options against each other, and set the log level
 * @c:		options from conf_parse(). This function changes options that
 *		depend on others
 *
 * Return: CONF_GO, or CONF_WRONG after an error was printed
 */
enum conf_next conf_check(struct conf *c)
{
	char number[16];

	conf_verbosity(c);
	if (!c->use[IP4] && !c->use[IP6]) {
		conf_error("--ipv4-only", NULL,
			   "contradicts --ipv6-only: give one of them");
		return CONF_WRONG;
	}
	if (c->netmask && c->len[IP4][0]) {
		snprintf(number, sizeof(number), "%u", c->netmask);
		conf_error("--netmask", number, "is a second length after "
			   "--address ADDR/LEN: give one of them");
		return CONF_WRONG;
	}
	if (!check_user(c))
		return CONF_WRONG;
	if ((!c->tcp && !check_ports("--tcp-ports", c->tcp_spec, "--no-tcp")) ||
	    (!c->udp && !check_ports("--udp-ports", c->udp_spec, "--no-udp")))
		return CONF_WRONG;
	if (!check_gateway(c->addr[IP4], &c->gateway[IP4]) ||
	    !check_gateway(c->addr[IP6], &c->gateway[IP6]) ||
	    !check_host_access(c))
		return CONF_WRONG;

	conf_imply(c);
	return CONF_GO;
}
