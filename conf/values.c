// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * values.c - Checks the values of options and stores them, with one function
 * for each type of value.
 *
 * Each of these functions looks at its own value only. conf_check() checks
 * options against each other. derive() has defaults that depend on the host.
 */
/* syscalls: start: close connect fstat getpeername getsockopt ioctl lseek
 *	     openat read socket */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ip.h"
#include "log.h"
#include "conf/options.h"
#include "host/resolv.h"


/* opt_error() - Print an error for an option of the table by conf_error(). The
 * value of this expression is CONF_WRONG */
#define opt_error(o, arg, ...)						\
	(opt_wrong((o), (arg), __VA_ARGS__), CONF_WRONG)

__attribute__((format(printf, 3, 4)))
static void opt_wrong(const struct opt *o, const char *arg,
		      const char *fmt, ...)
{
	char name[64], why[256];
	va_list ap;

	snprintf(name, sizeof(name), "--%s", o->name);
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	conf_error(name, arg, "%s", why);
}

/* opt_field() - Return a pointer to the field of @c that an option sets */
static void *opt_field(struct conf *c, size_t offset)
{
	return (char *)c + offset;
}

static enum conf_next set_true(struct conf *c, const struct opt *o,
			       const char *arg)
{
	*(bool *)opt_field(c, o->field) = true;
	return CONF_GO;
}

static enum conf_next set_false(struct conf *c, const struct opt *o,
				const char *arg)
{
	*(bool *)opt_field(c, o->field) = false;
	return CONF_GO;
}

/* set_nothing() - Accept an option that has no effect */
static enum conf_next set_nothing(struct conf *c, const struct opt *o,
				  const char *arg)
{
	return CONF_GO;
}

/* set_later() - Refuse an option that only later versions have */
static enum conf_next set_later(struct conf *c, const struct opt *o,
				const char *arg)
{
	return opt_error(o, arg, "is not available in this version");
}

static enum conf_next set_repair(struct conf *c, const struct opt *o,
				 const char *arg)
{
	if (!strcmp(arg, "none"))
		return CONF_GO;
	return opt_error(o, arg, "is not available in this version: only "
			 "'none' is");
}

static enum conf_next set_namespace(struct conf *c, const struct opt *o,
				    const char *arg)
{
	return opt_error(o, arg, "is for namespace mode only, and passt "
			 "connects a virtual machine: leave it out");
}

static enum conf_next set_vhost_user(struct conf *c, const struct opt *o,
				     const char *arg)
{
	return opt_error(o, arg, "is for vhost-user mode only, and for "
			 "migration, which is not available: leave it out");
}

/* set_verbose() - Set --debug or --trace. --trace implies --debug. */
static enum conf_next set_verbose(struct conf *c, const struct opt *o,
				  const char *arg)
{
	*(bool *)opt_field(c, o->field) = true;
	c->debug = true;
	c->quiet = false;
	return CONF_GO;
}

static enum conf_next set_quiet(struct conf *c, const struct opt *o,
				const char *arg)
{
	c->quiet = true;
	c->debug = c->trace = false;
	return CONF_GO;
}

/* set_path() - Store the path of a file, which other code opens later */
static enum conf_next set_path(struct conf *c, const struct opt *o,
			       const char *arg)
{
	if (!*arg)
		return opt_error(o, arg, "is empty: give the path of a file");

	*(const char **)opt_field(c, o->field) = arg;
	return CONF_GO;
}

static enum conf_next set_socket(struct conf *c, const struct opt *o,
				 const char *arg)
{
	size_t len = strlen(arg);

	if (!len)
		return opt_error(o, arg, "is empty: give the path of a socket");
	if (len >= sizeof(c->socket_path))
		return opt_error(o, arg, "is too long for a socket: at most "
				 "%zu bytes", sizeof(c->socket_path) - 1);

	memcpy(c->socket_path, arg, len + 1);
	return CONF_GO;
}

/**
 * set_fd() - Store the descriptor of a connected socket that is inherited from
 * the parent
 *
 * Descriptors 0 to 2 are refused, because a daemon redirects them. The option
 * implies --one-off: passt ends when the guest closes this socket, because
 * passt listens for no other guest.
 */
static enum conf_next set_fd(struct conf *c, const struct opt *o,
			     const char *arg)
{
	socklen_t len = sizeof(int), peer_len = sizeof(struct sockaddr);
	struct sockaddr peer;
	uint64_t n;
	int type;

	if (!number_parse(arg, STDERR_FILENO + 1, INT32_MAX, &n))
		return opt_error(o, arg, "is not the number of a descriptor: "
				 "3 or more");
	if (getsockopt((int)n, SOL_SOCKET, SO_TYPE, &type, &len))
		return opt_error(o, arg, errno == EBADF ?
				 "is not open: give an inherited socket" :
				 "is not a socket: give a connected one");
	if (type != SOCK_STREAM)
		return opt_error(o, arg, "is not a stream socket: give one");
	if (getpeername((int)n, &peer, &peer_len))
		return opt_error(o, arg, "is not connected: give a connected "
				 "socket");

	c->fd = (int)n;
	c->one_off = true;
	return CONF_GO;
}

static enum conf_next set_log_size(struct conf *c, const struct opt *o,
				   const char *arg)
{
	uint64_t n;

	if (!number_parse(arg, LOG_FILE_MIN, UINT32_MAX, &n))
		return opt_error(o, arg, "is not between %u and %u bytes",
				 LOG_FILE_MIN, UINT32_MAX);
	c->log_size = (size_t)n;
	return CONF_GO;
}

static enum conf_next set_max_flows(struct conf *c, const struct opt *o,
				    const char *arg)
{
	uint64_t n;

	if (!number_parse(arg, CONF_FLOWS_MIN, UINT32_MAX, &n))
		return opt_error(o, arg, "is not %u or more", CONF_FLOWS_MIN);
	c->max_flows = (uint32_t)n;
	return CONF_GO;
}

static enum conf_next set_stats(struct conf *c, const struct opt *o,
				const char *arg)
{
	uint64_t n;

	if (!number_parse(arg, 0, 86400, &n))
		return opt_error(o, arg, "is not between 1 and 86400 seconds, "
				 "or 0 for none");
	c->stats = (unsigned int)n;
	return CONF_GO;
}

/* user_parse() - Parse a number or name of a user, and set @uid and the ID of
 * the user's primary group; false if no user has that name. A number that no
 * user has is accepted, and is then also the ID of the group */
static bool user_parse(const char *s, uid_t *uid, gid_t *gid)
{
	const struct passwd *pw;
	uint64_t n;

	if (number_parse(s, 0, UINT32_MAX - 1, &n)) {
		pw = getpwuid((uid_t)n);
		*uid = (uid_t)n;
		*gid = pw ? pw->pw_gid : (gid_t)n;
		return true;
	}

	pw = getpwnam(s);
	if (!pw)
		return false;
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return true;
}

/* group_parse() - Parse a number or name of a group, and set @gid; false if no
 * group has that name */
static bool group_parse(const char *s, gid_t *gid)
{
	const struct group *gr;
	uint64_t n;

	if (number_parse(s, 0, UINT32_MAX - 1, &n)) {
		*gid = (gid_t)n;
		return true;
	}

	gr = getgrnam(s);
	if (gr)
		*gid = gr->gr_gid;
	return gr;
}

static enum conf_next set_runas(struct conf *c, const struct opt *o,
				const char *arg)
{
	const char *colon = strchr(arg, ':');
	char user[LEASE_NAME];
	size_t len = colon ? (size_t)(colon - arg) : strlen(arg);
	uid_t uid;
	gid_t gid;

	if (len >= sizeof(user))
		return opt_error(o, arg, "is too long for a user");
	memcpy(user, arg, len);
	user[len] = '\0';

	if (!user_parse(user, &uid, &gid))
		return opt_error(o, arg, "names no user: give UID[:GID] or "
				 "LOGIN[:GROUP]");
	if (colon && !group_parse(colon + 1, &gid))
		return opt_error(o, arg, "names no group: give UID[:GID] or "
				 "LOGIN[:GROUP]");
	c->uid = uid;
	c->gid = gid;
	return CONF_GO;
}

static enum conf_next set_mtu(struct conf *c, const struct opt *o,
			      const char *arg)
{
	uint64_t n;

	if (!number_parse(arg, 0, CONF_MTU_MAX, &n))
		return opt_error(o, arg, "is not between %u and %u, or 0",
				 IP4_MTU_MIN, CONF_MTU_MAX);
	c->mtu = (uint32_t)n;
	c->mtu_given = true;
	return CONF_GO;
}

static enum conf_next set_lease_time(struct conf *c, const struct opt *o,
				     const char *arg)
{
	uint64_t n = LEASE_INFINITE;

	if (strcmp(arg, "infinite") &&
	    !number_parse(arg, CONF_LEASE_MIN, LEASE_INFINITE - 1, &n))
		return opt_error(o, arg, "is not between %u and %u seconds, or "
				 "'infinite'", CONF_LEASE_MIN,
				 LEASE_INFINITE - 1);
	c->lease_time = (uint32_t)n;
	return CONF_GO;
}

/* address_parse() - Parse ADDR or ADDR/LENGTH, where ADDR is an address of the
 * guest. @len is set to the length, or to 0 if there is none */
static enum conf_next address_parse(const struct opt *o, const char *arg,
				    struct in6_addr *a, uint64_t *len)
{
	size_t n = strcspn(arg, "/");
	char text[ADDR_STRLEN];
	bool v4;

	*len = 0;
	snprintf(text, sizeof(text), "%.*s", (int)n, arg);
	if (n >= sizeof(text) || !addr_parse(text, a))
		return opt_error(o, arg, "is not an address: give ADDR or "
				 "ADDR/LENGTH");
	v4 = addr_is_v4(a);
	if (arg[n] && !number_parse(arg + n + 1, 0, v4 ? 32 : 128, len))
		return opt_error(o, arg, "has a prefix length that is not "
				 "between 1 and %d", v4 ? 32 : 128);
	if (!addr_is_unicast(a))
		return opt_error(o, arg, "can't be a guest's: give a unicast "
				 "address");
	if (!v4 && addr_is_linklocal(a))
		return opt_error(o, arg, "is link-local, which the guest makes "
				 "itself: give a global address");
	return CONF_GO;
}

/* set_address() - Add an address of the guest. If the address was given before,
 * only its prefix length changes. */
static enum conf_next set_address(struct conf *c, const struct opt *o,
				  const char *arg)
{
	struct in6_addr a, *list;
	unsigned int i;
	uint64_t len;

	if (address_parse(o, arg, &a, &len) != CONF_GO)
		return CONF_WRONG;
	list = c->addr[addr_ip(&a)];
	for (i = 0; i < LEASE_ADDRS && !addr_is_none(&list[i]); i++) {
		if (addr_eq(&list[i], &a))
			break;
	}
	if (i == LEASE_ADDRS)
		return opt_error(o, arg, "is one too many: give at most %d of "
				 "a family", LEASE_ADDRS);
	list[i] = a;
	c->len[addr_ip(&a)][i] = (unsigned int)len;
	return CONF_GO;
}

/* mask_parse() - Parse an IPv4 mask, which is dotted or a number of bits, and
 * set @bits to its number of bits; false if it is not a mask */
static bool mask_parse(const char *s, uint64_t *bits)
{
	struct in6_addr mask;
	uint32_t m, inverse;

	if (number_parse(s, 0, 32, bits))
		return true;
	if (!addr_parse(s, &mask) || !addr_is_v4(&mask))
		return false;

	m = get_be32(&mask.s6_addr[12]);
	inverse = ~m;
	*bits = (uint64_t)__builtin_popcount(m);
	return !(inverse & (inverse + 1));
}

static enum conf_next set_netmask(struct conf *c, const struct opt *o,
				  const char *arg)
{
	uint64_t n;

	if (!mask_parse(arg, &n))
		return opt_error(o, arg, "is not a mask: give 1 to 32 bits, or "
				 "255.255.255.0 and the like");
	c->netmask = (unsigned int)n;
	return CONF_GO;
}

/* store_addr() - Set an address in an array with one element per family. The
 * address must be unicast; if @loopback is true, it may also be a loopback
 * address. */
static enum conf_next store_addr(struct conf *c, const struct opt *o,
				 const char *arg, bool loopback)
{
	struct in6_addr a;

	if (!addr_parse(arg, &a))
		return opt_error(o, arg, "is not an address: give an IPv4 or "
				 "IPv6 one");
	if (!addr_is_unicast(&a) && !(loopback && addr_is_loopback(&a)))
		return opt_error(o, arg, "is no host's: give a unicast "
				 "address");

	((struct in6_addr *)opt_field(c, o->field))[addr_ip(&a)] = a;
	return CONF_GO;
}

static enum conf_next set_addr(struct conf *c, const struct opt *o,
			       const char *arg)
{
	return store_addr(c, o, arg, false);
}

/* set_outbound() - Set a source address of sockets. It may be a loopback
 * address: the sockets then reach only the host itself. */
static enum conf_next set_outbound(struct conf *c, const struct opt *o,
				   const char *arg)
{
	return store_addr(c, o, arg, true);
}

/* set_addr_or_none() - Store an address as set_addr() does; for 'none', clear
 * the elements of both families */
static enum conf_next set_addr_or_none(struct conf *c, const struct opt *o,
				       const char *arg)
{
	if (strcmp(arg, "none"))
		return set_addr(c, o, arg);

	memset(opt_field(c, o->field), 0, FAMILIES * sizeof(struct in6_addr));
	return CONF_GO;
}

static enum conf_next set_map_host(struct conf *c, const struct opt *o,
				   const char *arg)
{
	c->no_map_loopback = !strcmp(arg, "none");
	return set_addr_or_none(c, o, arg);
}

/* append_resolver() - Add a resolver to a list, unless the list is full */
static void append_resolver(struct in6_addr list[LEASE_DNS],
			 const struct in6_addr *a)
{
	unsigned int i;

	for (i = 0; i < LEASE_DNS && !addr_is_none(&list[i]); i++)
		;
	if (i < LEASE_DNS)
		list[i] = *a;
}

/* set_dns_host() - Add a resolver to which --dns-forward leads. It may have a
 * loopback address. Resolvers beyond LEASE_DNS are ignored, as they are in
 * resolv.conf. */
static enum conf_next set_dns_host(struct conf *c, const struct opt *o,
				   const char *arg)
{
	struct in6_addr a;

	if (!addr_parse(arg, &a) || !resolver_ok(&a))
		return opt_error(o, arg, "is not a resolver's address: give an "
				 "IPv4 or IPv6 one");

	append_resolver(c->dns_host[addr_ip(&a)], &a);
	return CONF_GO;
}

static enum conf_next set_mac(struct conf *c, const struct opt *o,
			      const char *arg)
{
	static const uint8_t zero[MAC_LEN];
	uint8_t mac[MAC_LEN];

	if (!mac_parse(arg, mac))
		return opt_error(o, arg, "is not a MAC address: six pairs of "
				 "hexadecimal digits with colons between");
	if (mac[0] & 1 || !memcmp(mac, zero, sizeof(mac)))
		return opt_error(o, arg, "is no single station's: give a "
				 "unicast MAC address");

	memcpy(c->mac, mac, sizeof(mac));
	return CONF_GO;
}

static enum conf_next set_interface(struct conf *c, const struct opt *o,
				    const char *arg)
{
	if (strlen(arg) >= IFNAMSIZ || !if_nametoindex(arg))
		return opt_error(o, arg, "is not an interface of this host");

	memcpy(opt_field(c, o->field), arg, strlen(arg) + 1);
	return CONF_GO;
}

/* set_outbound_if() - Set an interface to which sockets are bound. The
 * interface need not exist yet, because sockets are bound by its name. For
 * example, the interface of a VPN may come later. */
static enum conf_next set_outbound_if(struct conf *c, const struct opt *o,
				      const char *arg)
{
	size_t len = strlen(arg);

	if (!len || len >= IFNAMSIZ)
		return opt_error(o, arg, "can't be an interface: give a name "
				 "of 1 to %d bytes", IFNAMSIZ - 1);

	memcpy(opt_field(c, o->field), arg, len + 1);
	return CONF_GO;
}

/* dns_is_none() - Whether the last value of --dns was 'none' */
static bool dns_is_none(const struct conf *c)
{
	return c->dns_given[IP4] && addr_is_none(&c->dns[IP4][0]) &&
	       c->dns_given[IP6] && addr_is_none(&c->dns[IP6][0]);
}

/**
 * set_dns() - Add a resolver for the guest. 'none' clears the lists of both
 *		families; a resolver that follows cancels 'none'
 *
 * A resolver of this option replaces the host's resolvers of the same family. A
 * loopback address is allowed, because the resolver may be inside the guest.
 * Resolvers beyond LEASE_DNS are ignored, as they are in resolv.conf.
 */
static enum conf_next set_dns(struct conf *c, const struct opt *o,
			      const char *arg)
{
	struct in6_addr a;

	if (!strcmp(arg, "none")) {
		memset(c->dns, 0, sizeof(c->dns));
		c->dns_given[IP4] = c->dns_given[IP6] = true;
		return CONF_GO;
	}

	if (!addr_parse(arg, &a) || !resolver_ok(&a))
		return opt_error(o, arg, "is not a resolver's address: give an "
				 "IPv4 or IPv6 one, or none");

	if (dns_is_none(c))
		c->dns_given[IP4] = c->dns_given[IP6] = false;
	c->dns_given[addr_ip(&a)] = true;
	append_resolver(c->dns[addr_ip(&a)], &a);
	return CONF_GO;
}

/* set_name() - Set a name, without its final dot. An empty value means that
 * there is no name */
static enum conf_next set_name(struct conf *c, const struct opt *o,
			       const char *arg)
{
	size_t len = strlen(arg);

	if (len && !domain_ok(arg, len))
		return opt_error(o, arg, "is not a host name: letters, digits, "
				 "hyphens and dots, at most %d of them",
				 DOMAIN_MAX);

	if (len && arg[len - 1] == '.')
		len--;
	snprintf(opt_field(c, o->field), LEASE_NAME, "%.*s", (int)len, arg);
	return CONF_GO;
}

/* set_search() - Add domains to the search list; 'none' clears the list */
static enum conf_next set_search(struct conf *c, const struct opt *o,
				 const char *arg)
{
	char list[LEASE_SEARCH] = "";
	const char *s = arg;
	size_t len;

	memcpy(list, c->search, sizeof(list));
	if (!strcmp(arg, "none")) {
		list[0] = '\0';
		s = "";
	}
	for (s += strspn(s, " "); *s; s += len, s += strspn(s, " ")) {
		len = strcspn(s, " ");
		if (len == 1 && *s == '.')
			continue;	/* the DNS root, which resolvers search
					 * in any case */
		if (!domain_ok(s, len))
			return opt_error(o, arg, "has a part that is not a "
					 "domain: give domains with spaces "
					 "between, or none");
		if (!search_add(list, s, len))
			return opt_error(o, arg, "is too long: at most %zu "
					 "bytes", sizeof(list) - 1);
	}

	memcpy(c->search, list, sizeof(list));
	c->search_given = true;
	return CONF_GO;
}

/* set_spec() - Store a value of -t or -u; rule_set_read() parses it later */
static enum conf_next set_spec(struct conf *c, const struct opt *o,
			       const char *arg)
{
	const char **spec = opt_field(c, o->field);
	unsigned int i;

	for (i = 0; spec[i]; i++)
		;
	if (i == CONF_SPECS)
		return opt_error(o, arg, "is one too many: give at most %d",
				 CONF_SPECS);
	spec[i] = arg;
	return CONF_GO;
}

/* For each type of value, the function that checks and stores a value */
static enum conf_next (*const set_value[])(struct conf *c, const struct opt *o,
					   const char *arg) = {
	[OPT_TRUE] =		set_true,
	[OPT_FALSE] =		set_false,
	[OPT_NOTHING] =		set_nothing,
	[OPT_LATER] =		set_later,
	[OPT_REPAIR] =		set_repair,
	[OPT_NAMESPACE] =	set_namespace,
	[OPT_VHOST_USER] =	set_vhost_user,
	[OPT_QUIET] =		set_quiet,
	[OPT_VERBOSE] =		set_verbose,
	[OPT_PATH] =		set_path,
	[OPT_SOCKET] =		set_socket,
	[OPT_FD] =		set_fd,
	[OPT_LOG_SIZE] =	set_log_size,
	[OPT_STATS] =		set_stats,
	[OPT_MAX_FLOWS] =	set_max_flows,
	[OPT_RUNAS] =		set_runas,
	[OPT_MTU] =		set_mtu,
	[OPT_LEASE_TIME] =	set_lease_time,
	[OPT_MAC] =		set_mac,
	[OPT_ADDRESS] =		set_address,
	[OPT_NETMASK] =		set_netmask,
	[OPT_INTERFACE] =	set_interface,
	[OPT_OUTBOUND_IF] =	set_outbound_if,
	[OPT_ADDR] =		set_addr,
	[OPT_OUTBOUND] =	set_outbound,
	[OPT_ADDR_OR_NONE] =	set_addr_or_none,
	[OPT_MAP_HOST] =	set_map_host,
	[OPT_DNS] =		set_dns,
	[OPT_DNS_HOST] =	set_dns_host,
	[OPT_SEARCH] =		set_search,
	[OPT_NAME] =		set_name,
	[OPT_SPEC] =		set_spec,
};

/**
 * opt_set() - Check the value of an option on its own, and store it
 * @c:		options so far; this function may store a pointer to @arg in
 *		them
 * @o:		option, of a type that does not print something
 * @arg:	value of the option; NULL: it has none
 *
 * Return: CONF_GO, or CONF_WRONG after an error was printed
 */
enum conf_next opt_set(struct conf *c, const struct opt *o, const char *arg)
{
	return set_value[o->type](c, o, arg);
}
