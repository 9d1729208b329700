// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * qrap.c - A program that connects to passt and then runs qemu, which inherits
 * the connected socket. It is for versions of qemu without "-netdev stream",
 * and for management tools that do not know passt but can run qrap in place of
 * the emulator, such as old versions of libvirt.
 *
 *	qrap FD COMMAND [ARG...]
 * runs COMMAND, with the connected socket as descriptor FD. The arguments are
 * not changed.
 *
 *	qrap ARG...
 * runs the emulator with these arguments, in which one virtio network device
 * that is connected to passt replaces all networking options.
 */
/* syscalls: access execve newfstatat prlimit64 uname */

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

/* Folders in which qrap searches for an emulator after the folders in PATH. */
static const char usual_folders[] =
	"/usr/local/bin:/usr/bin:/bin:/usr/libexec:/usr/lib/qemu";

/* is_self() - Whether a file is the program that is running, qrap */
static bool is_self(const struct stat *file)
{
	struct stat self;

	return !stat("/proc/self/exe", &self) &&
	       self.st_dev == file->st_dev && self.st_ino == file->st_ino;
}

/* find_program() - Find a program in @folders, which are separated by colons.
 * Returns its path, allocated, or NULL. */
static char *find_program(const char *name, const char *folders)
{
	while (*folders) {
		size_t len = strcspn(folders, ":");
		struct stat file;
		char *path;

		if (asprintf(&path, "%.*s/%s", (int)len, folders, name) < 0)
			path = NULL;
		path = not_null(path);
		if (len && !stat(path, &file) && S_ISREG(file.st_mode) &&
		    !access(path, X_OK) && !is_self(&file))
			return path;

		free(path);
		folders += len + (folders[len] == ':');
	}
	return NULL;
}

static char *find_in_folders(const char *name)
{
	const char *env = getenv("PATH");
	char *path = env ? find_program(name, env) : NULL;

	return path ? path : find_program(name, usual_folders);
}

/* host_arch() - Return qemu's name for the host's architecture */
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
		qrap_die("can't tell the host's architecture: %s", strerror(errno));

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(host->machine, names[i].kernel))
			return names[i].qemu;
	}
	return host->machine;
}

/*
 * find_emulator() - Find the emulator to run, and return its path, allocated.
 * If the name @self of this program begins with "qemu-", the emulator of the
 * same name comes first. Emulators for the host's architecture come after it.
 */
static char *find_emulator(const char *self)
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
		char *path = names[i] ? find_in_folders(names[i]) : NULL;

		if (path)
			return path;
	}
	qrap_die("no emulator found: tried %s, qemu-kvm and kvm in PATH and %s; install qemu, or use: qrap FD COMMAND [ARG...]",
		 names[0] ? names[0] : system, usual_folders);
}

static void exec_program(const char *program, char **argv)
{
	execvp(program, argv);
	qrap_die("can't run %s: %s", program, strerror(errno));
}

/* run_emulator() - Run the emulator with one network device that is connected
 * to passt, as "qrap ARG..." asks for */
static void run_emulator(int argc, char **argv)
{
	char *emulator = find_emulator(argv[0]);
	const struct props *old;
	struct network net;
	struct cmdline c;
	int fd;

	cmdline_parse(&c, argc - 1, argv + 1);
	if (cmdline_is_query(&c)) {
		argv[0] = emulator;
		exec_program(emulator, argv);
	}

	fd = socket_pass_free(passt_connect());
	old = cmdline_remove_network(&c);
	net = network_choose(&c, old, fd);
	exec_program(emulator, cmdline_argv(&c, emulator, &net));
}

/* parse_fd() - Parse a descriptor number. Exit if it is that of a standard
 * stream, or is not below the limit of open files */
static int parse_fd(const char *s)
{
	struct rlimit lim;
	unsigned long fd;
	char *end;

	if (getrlimit(RLIMIT_NOFILE, &lim) || lim.rlim_cur > INT_MAX)
		lim.rlim_cur = INT_MAX;

	errno = 0;
	fd = strtoul(s, &end, 10);
	if (errno || *end || fd <= STDERR_FILENO || fd >= lim.rlim_cur)
		qrap_die("FD: '%s' is not a descriptor number from %d to %lu", s,
			 STDERR_FILENO + 1, (unsigned long)lim.rlim_cur - 1);
	return (int)fd;
}

/* run_command() - Run a command with the connected socket as descriptor FD, as
 * "qrap FD COMMAND [ARG...]" asks for */
static void run_command(int argc, char **argv)
{
	int fd = parse_fd(argv[1]);

	if (argc < 3)
		qrap_die("COMMAND is missing after FD '%s': qrap FD COMMAND [ARG...]",
			 argv[1]);

	socket_pass_as(passt_connect(), fd);
	exec_program(argv[2], argv + 2);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		qrap_die("nothing to run: qrap FD COMMAND [ARG...], or qrap ARG... with the emulator's arguments");

	if (argv[1][0] >= '0' && argv[1][0] <= '9')
		run_command(argc, argv);
	else
		run_emulator(argc, argv);
	return EXIT_FAILURE;
}
