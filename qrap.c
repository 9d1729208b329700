// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * qrap.c - The wrapper that starts qemu connected to passt, for emulators
 * without -netdev stream and for management tools that know nothing of passt.
 * A program of its own: calls only libc; run by users and, in the place of
 * the emulator, by the likes of libvirt.
 *
 *	qrap FD COMMAND [ARG...]
 * runs COMMAND with passt's socket as descriptor FD, and leaves its arguments
 * alone.
 *
 *	qrap ARG...
 * runs the emulator with ARG..., where all networking is replaced by one
 * virtio network device on passt's socket. The new device takes the identity
 * (id, MAC address, slot) of the first one it replaces, the back-end that of
 * its back-end, so that whatever refers to them by name still finds them.
 */

#include <errno.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "wrap/wrap.h"

/*
 * The emulator
 */

/* Folders looked through after those of PATH. */
static const char usual_folders[] =
	"/usr/local/bin:/usr/bin:/bin:/usr/libexec:/usr/lib/qemu";

/* is_self() - Is this file the running program? */
static bool is_self(const struct stat *file)
{
	struct stat self;

	return !stat("/proc/self/exe", &self) &&
	       self.st_dev == file->st_dev && self.st_ino == file->st_ino;
}

/**
 * program_find() - Find a program that isn't this one
 * @name:	file name
 * @folders:	separated by colons
 *
 * Return: path, allocated, NULL if it is nowhere
 */
static char *program_find(const char *name, const char *folders)
{
	while (*folders) {
		size_t len = strcspn(folders, ":");
		struct stat file;
		char *path;

		if (asprintf(&path, "%.*s/%s", (int)len, folders, name) < 0)
			path = NULL;
		must(path);
		if (len && !stat(path, &file) && S_ISREG(file.st_mode) &&
		    !access(path, X_OK) && !is_self(&file))
			return path;

		free(path);
		folders += len + (folders[len] == ':');
	}
	return NULL;
}

static char *program_find_all(const char *name)
{
	const char *env = getenv("PATH");
	char *path = env ? program_find(name, env) : NULL;

	return path ? path : program_find(name, usual_folders);
}

/* host_arch() - What qemu calls the architecture we run on */
static const char *host_arch(struct utsname *host)
{
	static const struct {
		const char *kernel, *qemu;
	} names[] = {
		{ "i486",	"i386" },
		{ "i586",	"i386" },
		{ "i686",	"i386" },
		{ "armv6l",	"arm" },
		{ "armv7l",	"arm" },
		{ "armv8l",	"arm" },
		{ "ppc64le",	"ppc64" },
	};
	unsigned int i;

	if (uname(host))
		die("can't tell the host's architecture: %s", strerror(errno));

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(host->machine, names[i].kernel))
			return names[i].qemu;
	}
	return host->machine;
}

/**
 * emulator_find() - Find the emulator, or exit
 * @self:	the name we were called by: if it is an emulator's, that one
 *
 * Return: path, allocated
 */
static char *emulator_find(const char *self)
{
	char system[sizeof("qemu-system-") + sizeof(struct utsname)];
	const char *slash = strrchr(self, '/');
	const char *name = slash ? slash + 1 : self;
	const char *names[] = { NULL, system, "qemu-kvm", "kvm" };
	struct utsname host;
	unsigned int i;

	snprintf(system, sizeof(system), "qemu-system-%s", host_arch(&host));
	if (!strncmp(name, "qemu-", strlen("qemu-")))
		names[0] = name;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		char *path = names[i] ? program_find_all(names[i]) : NULL;

		if (path)
			return path;
	}
	die("no emulator found: tried %s, qemu-kvm and kvm in PATH and %s; install qemu, or use: qrap FD COMMAND [ARG...]",
	    names[0] ? names[0] : system, usual_folders);
}

static void run(const char *program, char **argv)
{
	execvp(program, argv);
	die("can't run %s: %s", program, strerror(errno));
}

/* emulate() - Be the emulator: qrap ARG... */
static void emulate(int argc, char **argv)
{
	char *emulator = emulator_find(argv[0]);
	const struct props *old;
	struct network net;
	struct cmdline c;
	int fd;

	cmdline_parse(&c, argc - 1, argv + 1);
	if (cmdline_probes(&c)) {
		argv[0] = emulator;
		run(emulator, argv);
	}

	fd = fd_pass_free(passt_connect());
	old = cmdline_take_network(&c);
	net = network_new(&c, old, fd);
	run(emulator, cmdline_argv(&c, emulator, &net));
}

/**
 * fd_parse() - Read the number that the socket shall have, or exit
 * @s:		begins with a digit
 *
 * Return: descriptor that the limits allow, none of the standard streams
 */
static int fd_parse(const char *s)
{
	struct rlimit lim;
	unsigned long fd;
	char *end;

	if (getrlimit(RLIMIT_NOFILE, &lim) || lim.rlim_cur > INT_MAX)
		lim.rlim_cur = INT_MAX;

	errno = 0;
	fd = strtoul(s, &end, 10);
	if (errno || *end || fd <= STDERR_FILENO || fd >= lim.rlim_cur)
		die("FD: '%s' is not a descriptor number from %d to %lu", s,
		    STDERR_FILENO + 1, (unsigned long)lim.rlim_cur - 1);
	return (int)fd;
}

/* wrap() - Run a command with the socket: qrap FD COMMAND [ARG...] */
static void wrap(int argc, char **argv)
{
	int fd = fd_parse(argv[1]);

	if (argc < 3)
		die("COMMAND is missing after FD '%s': qrap FD COMMAND [ARG...]",
		    argv[1]);

	fd_pass(passt_connect(), fd);
	run(argv[2], argv + 2);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		die("nothing to run: qrap FD COMMAND [ARG...], or qrap ARG... with the emulator's arguments");

	if (argv[1][0] >= '0' && argv[1][0] <= '9')
		wrap(argc, argv);
	else
		emulate(argc, argv);
	return EXIT_FAILURE;
}
