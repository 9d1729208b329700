// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conf.c - libFuzzer target: whatever command line passt is given, it either
 * refuses it with one printable line, or has values that are possible, and has
 * the same values if it reads the command line again.
 *
 * Each line of an input is an argument. Names of interfaces are the letters a
 * to z. There is one user, and one group.
 */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <net/if.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/resolv.h"
#include "host/sandbox.h"
#include "ip.h"
#include "log.h"
#include "sock.h"

#define ARGS	10	/* limit for arguments in an input, for speed */

/* What passt has printed on stderr, and how many times. */
static char said[2048];
static unsigned int nsaid;

__attribute__((format(printf, 1, 2)))
static int say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
	nsaid++;
	return 0;
}

static unsigned int fake_index(const char *name)
{
	if (name[0] < 'a' || name[0] > 'z' || name[1])
		return 0;
	return (unsigned int)(name[0] - 'a' + 1);
}

/* Descriptors that passt inherits: a connected stream socket, one that is not
 * connected, and a connected one of datagrams. */
enum { CONNECTED = 3, UNCONNECTED, DATAGRAMS };

/* fake_getsockopt() - Give the type of a socket */
static int fake_getsockopt(int fd, int level, int option, int *type,
			   socklen_t *len)
{
	*type = fd == DATAGRAMS ? SOCK_DGRAM : SOCK_STREAM;
	errno = fd % 2 ? EBADF : ENOTSOCK;
	return fd <= DATAGRAMS ? 0 : -1;
}

static int fake_getpeername(int fd, const struct sockaddr *sa, socklen_t *len)
{
	return fd == UNCONNECTED ? -1 : 0;
}

/* ignore_args() - Stands for log_msg() */
static void ignore_args(int prio, ...)
{
}

static struct passwd user = { .pw_uid = 65534, .pw_gid = 65534 };
static struct group group = { .gr_gid = 65533 };

#define fprintf(f, ...)		say(__VA_ARGS__)
#define printf(...)		((void)0)
#define puts(s)			((void)(s))
#define log_msg(prio, ...)	ignore_args(prio, __VA_ARGS__)
#define if_nametoindex		fake_index
#define getpwnam(s)		(strcmp(s, "nobody") ? NULL : &user)
#define getpwuid(id)		((id) == user.pw_uid ? &user : NULL)
#define getgrnam(s)		(strcmp(s, "nogroup") ? NULL : &group)
#define geteuid()		0
#define getegid()		0
#define sandbox_is_root()	true
#define sandbox_in_namespace()	false
#define sock_addr_is_own(...)	false
#define getpeername		fake_getpeername
#define getsockopt		fake_getsockopt
#define log_set_level(prio)	((void)(prio))
#include "../../conf/options.c"
#include "../../conf/values.c"
#include "../../conf/conf.c"
#undef fprintf
#undef printf
#undef puts

#include "test/fuzz/fuzz.h"

UNCOUNTED

/* check_family() - Check that an address is none, or of a family */
static void check_family(const struct in6_addr *a, enum ip_family f)
{
	MUST(addr_is_none(a) || addr_is_v4(a) == (f == IP4));
}

/* check_addresses() - Check the addresses of a family */
static void check_addresses(const struct conf *c, enum ip_family f)
{
	unsigned int i;

	for (i = 0; i < LEASE_ADDRS; i++) {
		check_family(&c->addr[f][i], f);
		MUST(addr_is_none(&c->addr[f][i]) ||
		     addr_is_unicast(&c->addr[f][i]));
		MUST(c->len[f][i] <= (f == IP4 ? 32 : 128));
		MUST(addr_is_none(&c->gateway[f]) ||
		     !addr_eq(&c->gateway[f], &c->addr[f][i]));
	}
	for (i = 0; i < LEASE_DNS; i++) {
		check_family(&c->dns[f][i], f);
		MUST(addr_is_none(&c->dns_host[f][i]) ||
		     resolver_ok(&c->dns_host[f][i]));
	}
	check_family(&c->gateway[f], f);
	check_family(&c->out[f], f);
	check_family(&c->map_loopback[f], f);
	check_family(&c->map_guest[f], f);
	check_family(&c->dns_match[f], f);
	MUST(memchr(c->out_ifname[f], '\0', IFNAMSIZ));
}

/* check_names() - Check the search list and both names */
static void check_names(const struct conf *c)
{
	const char *s = c->search;
	size_t len;

	MUST(memchr(c->search, '\0', sizeof(c->search)));
	for (; *s; s += len + (s[len] == ' ')) {
		len = strcspn(s, " ");
		MUST(domain_ok(s, len));
	}
	MUST(memchr(c->hostname, '\0', LEASE_NAME));
	MUST(memchr(c->fqdn, '\0', LEASE_NAME));
	MUST(!*c->hostname || domain_ok(c->hostname, strlen(c->hostname)));
	MUST(!*c->fqdn || domain_ok(c->fqdn, strlen(c->fqdn)));
}

/* check_specs() - Check that the values of -t or -u end, and are arguments */
static void check_specs(const char *const spec[CONF_SPECS + 1])
{
	unsigned int n = 0;

	while (n <= CONF_SPECS && spec[n])
		n++;
	MUST(n <= CONF_SPECS && n <= ARGS);
}

/* check_conf() - Check that all values are possible */
static void check_conf(const struct conf *c)
{
	MUST(c->use[IP4] || c->use[IP6]);
	MUST(c->mtu <= CONF_MTU_MAX && (!c->mtu || c->mtu >= IP4_MTU_MIN));
	MUST(c->lease_time >= CONF_LEASE_MIN);
	MUST(c->log_size >= LOG_FILE_MIN);
	MUST(c->netmask <= 32 && !(c->netmask && c->len[IP4][0]));
	MUST(c->uid);				/* not root */
	MUST(!(c->mac[0] & 1));			/* unicast */
	MUST(c->fd == -1 || (c->fd == CONNECTED && c->one_off));
	MUST(memchr(c->socket_path, '\0', sizeof(c->socket_path)));
	MUST(!c->ra || c->ndp);
	MUST(!c->ndp || (c->icmp && c->use[IP6]));
	check_addresses(c, IP4);
	check_addresses(c, IP6);
	check_names(c);
	check_specs(c->tcp_spec);
	check_specs(c->udp_spec);
}

/* check_said() - Check that passt printed one line, which a terminal can
 * show */
static void check_said(void)
{
	size_t len = strlen(said), i;

	MUST(nsaid == 1 && len > 1 && said[len - 1] == '\n');
	for (i = 0; i < len - 1; i++)
		MUST((uint8_t)said[i] >= 32 && said[i] != 127);
	MUST(!strncmp(said, "passt: ", 7));
}

/* read_args() - Do what main() does with a command line, whose order
 * getopt_long() changes */
static enum conf_next read_args(struct conf *c, int argc, char **argv)
{
	char *copy[ARGS + 2] = { NULL };
	enum conf_next next;

	memcpy(copy, argv, (size_t)argc * sizeof(*argv));
	nsaid = 0;
	next = conf_parse(c, argc, copy);
	if (next == CONF_GO)
		next = conf_check(c);
	return next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf c, again;
	struct input in = { data, size };
	char *argv[ARGS + 2] = { (char[]){ "passt" } };
	enum conf_next next;
	int argc;

	for (argc = 1; argc <= ARGS && in.left; argc++)
		argv[argc] = take_string(&in);
	next = read_args(&c, argc, argv);
	if (next == CONF_WRONG)
		check_said();
	else if (next == CONF_GO)
		check_conf(&c);
	MUST(next == CONF_WRONG || !nsaid);
	MUST(read_args(&again, argc, argv) == next);
	MUST(!memcmp(&c, &again, sizeof(c)));
	while (--argc)
		free(argv[argc]);
	return 0;
}

COUNTED
