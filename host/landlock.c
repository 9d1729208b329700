// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * landlock.c - Rules of Landlock: of all files, passt may open resolv.conf, and
 * remove its own ones. It may bind TCP sockets to the forwarded ports only, and
 * send no signal and reach no abstract UNIX socket outside of the sandbox.
 */
/* syscalls: start: close landlock_add_rule landlock_create_ruleset
 *	     landlock_restrict_self */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/landlock.h"
#include "host/paths.h"

#ifndef SYS_landlock_create_ruleset	/* the same on all architectures */
#define SYS_landlock_create_ruleset	444
#define SYS_landlock_add_rule		445
#define SYS_landlock_restrict_self	446
#endif

/* From linux/landlock.h, which may be older than the kernel. */
#define GET_VERSION	1U
#define RULE_PATH	1
#define RULE_PORT	2
#define FS_READ_FILE	(1ULL << 2)
#define FS_REMOVE_FILE	(1ULL << 5)
#define NET_BIND_TCP	1ULL
#define SCOPES		3ULL	/* abstract UNIX sockets, and signals */

/* Number of ports that are listed one by one, at most: the kernel needs memory
 * for each. If there are more, any port may be bound. */
#define PORTS_MAX	4096

/**
 * struct ruleset - struct landlock_ruleset_attr of the newest kernel
 * @fs, @net, @scoped: rights that nothing has unless a rule gives them
 */
struct ruleset {
	uint64_t fs, net, scoped;
};

struct path_rule {
	uint64_t rights;
	int32_t dir;
} __attribute__((packed));

struct port_rule {
	uint64_t rights, port;
};

/* fs_rights() - All rights to files that a version of Landlock knows */
static uint64_t fs_rights(long abi)
{
	unsigned int n = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;

	return (1ULL << n) - 1;
}

/* allow_path() - Give rights to all files below a directory */
static int allow_path(int set, int dir, uint64_t rights)
{
	const struct path_rule r = { rights, dir };

	return dir >= 0 && syscall(SYS_landlock_add_rule, set, RULE_PATH, &r,
				   0) ? -errno : 0;
}

static int allow_port(int set, uint64_t port)
{
	const struct port_rule r = { NET_BIND_TCP, port };

	return syscall(SYS_landlock_add_rule, set, RULE_PORT, &r, 0) ?
	       -errno : 0;
}

static int allow_paths(int set)
{
	struct path_dirs d;
	unsigned int i;
	int rc = 0;

	paths_dirs(&d);
	for (i = 0; i < PATH_READ_DIRS; i++)
		rc = rc ? rc : allow_path(set, d.read[i], FS_READ_FILE);
	for (i = 0; i < OWN_PATHS; i++)
		rc = rc ? rc : allow_path(set, d.own[i],
					  FS_READ_FILE | FS_REMOVE_FILE);
	return rc;
}

/* allow_ports() - Let TCP sockets be bound to the ports that are set in the
 * bits @ports, and to any port that the kernel chooses */
static int allow_ports(int set, const uint8_t *ports)
{
	unsigned int i;
	int rc = allow_port(set, 0);

	for (i = 1; i < 65536 && !rc; i++) {
		if (ports[i / 8] & 1 << i % 8)
			rc = allow_port(set, i);
	}
	return rc;
}

/**
 * landlock_enter() - Restrict the process by Landlock, as far as the kernel can
 * @tcp_ports, @ntcp_ports: see struct sandbox
 * @lacks:	set to what is not restricted, if there is such a thing
 *
 * The process must have no_new_privs set.
 *
 * Return: version of Landlock, 1 or more; or -errno. -ENOSYS, -EOPNOTSUPP: the
 *	   kernel has none
 */
int landlock_enter(const uint8_t *tcp_ports, unsigned int ntcp_ports,
		   const char **lacks)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, GET_VERSION);
	bool ports = abi >= 4 && ntcp_ports <= PORTS_MAX;
	struct ruleset r = {
		.fs = fs_rights(abi), .net = ports ? NET_BIND_TCP : 0,
		.scoped = abi >= 6 ? SCOPES : 0,
	};
	size_t size = abi >= 6 ? sizeof(r) : abi >= 4 ?
		      offsetof(struct ruleset, scoped) :
		      offsetof(struct ruleset, net);
	long set = abi < 0 ? -1 :
		   syscall(SYS_landlock_create_ruleset, &r, size, 0);
	int rc;

	if (set < 0)
		return -errno;
	if (abi < 4)
		*lacks = "but any TCP port, signals and abstract sockets: the kernel is too old";
	else if (!ports)
		*lacks = "but any TCP port: more than 4096 are forwarded";
	else if (abi < 6)
		*lacks = "but signals and abstract sockets: the kernel is too old";
	rc = allow_paths((int)set);
	if (!rc && ports)
		rc = allow_ports((int)set, tcp_ports);
	if (!rc && syscall(SYS_landlock_restrict_self, set, 0))
		rc = -errno;
	close((int)set);
	return rc ? rc : (int)abi;
}
