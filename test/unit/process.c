// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * process.c - Tests that passt has no way back to the descriptors, user IDs and
 * capabilities that it gives up. A process can give them up only once, so each
 * test runs in a child process, and the parent checks its exit status.
 */
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "../../host/process.c"
#include "unit.h"

/* child() - Run a function in a child process; returns what the function
 * returned, -1: the child was killed */
static int child(int (*story)(void))
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(story());
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static bool open_fd(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Given open descriptors 3 to 40 and 100, and a closed standard input, when
 * passt keeps only descriptor 20, then the others from 3 on are closed, and
 * standard input is /dev/null. Returns the number of deviations. */
static int story_close(void)
{
	int fd, wrong = 0;
	struct stat st;

	for (fd = 3; fd <= 40; fd++)
		dup2(1, fd);
	dup2(1, 100);
	close(0);
	process_close_fds(20);

	for (fd = 0; fd <= 100; fd++)
		wrong += open_fd(fd) != (fd <= 2 || fd == 20);
	if (fstat(0, &st) || st.st_rdev != makedev(1, 3))
		wrong++;
	return wrong;
}

static int story_close_all(void)
{
	int fd, wrong = 0;

	for (fd = 3; fd <= 40; fd++)
		dup2(1, fd);
	process_close_fds(-1);
	for (fd = 3; fd <= 100; fd++)
		wrong += open_fd(fd);
	return wrong;
}

static int story_close_first(void)
{
	dup2(1, 3);
	dup2(1, 4);
	process_close_fds(3);
	return !open_fd(3) + open_fd(4);
}

/* Given a kernel without close_range(), when passt keeps only descriptor 20,
 * then the others from 3 on are closed. Returns the number of deviations. */
static int story_close_listed(void)
{
	int fd, wrong = 0;

	for (fd = 3; fd <= 40; fd++)
		dup2(1, fd);
	close_listed(20);
	for (fd = 3; fd <= 60; fd++)
		wrong += open_fd(fd) != (fd == 20);
	return wrong;
}

static void test_close(void)
{
	check_eq("of inherited descriptors, one stays; standard ones are open",
		 child(story_close), 0);
	check_eq("or none", child(story_close_all), 0);
	check_eq("the one that stays may be the first",
		 child(story_close_first), 0);
	check_eq("without close_range(), the same", child(story_close_listed),
		 0);
}

static int story_drop(void)
{
	gid_t groups[8];

	if (process_drop_root(4242, 4343,
			      process_can_become(4242, 4343)))
		return 1;
	if (getuid() != 4242 || geteuid() != 4242 || getgid() != 4343 ||
	    getegid() != 4343 || getgroups(8, groups))
		return 2;
	return setuid(0) && setgid(0) && seteuid(0) ? 0 : 3;
}

static int story_user(void)
{
	uid_t uid = getuid();

	if (!uid && (setgid(4343) || setuid(4242)))
		return 1;
	uid = getuid();
	return process_drop_root(1, 1,
			      process_can_become(1, 1)) || getuid() != uid;
}

/* write_to() - Write a line to a file of /proc; returns 0 on success */
static int write_to(const char *path, const char *line)
{
	int fd = open(path, O_WRONLY), ret;

	ret = fd < 0 || write(fd, line, strlen(line)) < 0;
	close(fd);
	return ret;
}

/* Given a user namespace in which root is the only user, as 'unshare -Ur' makes
 * it, when passt would drop root, then it stays root without an error. Returns
 * 0 if that is so, 77 if the kernel allows no user namespace. */
static int story_namespace(void)
{
	char line[32];
	uid_t uid = getuid();

	if (unshare(CLONE_NEWUSER))
		return 77;
	snprintf(line, sizeof(line), "0 %u 1", uid);
	if (write_to("/proc/self/uid_map", line))
		return 78;
	log_set_level(LOG_ERR);
	if (!process_in_namespace() || process_can_become(65534, 65534))
		return 2;
	return process_drop_root(65534, 65534,
			      process_can_become(65534, 65534)) || geteuid() ? 1 : 0;
}

/* Given a process whose effective user ID is a user's, but whose real or saved
 * one is root's, when it drops root, then it can't become root again. Returns 0
 * if that is so. */
static int story_acts_as_user(uid_t real, uid_t saved)
{
	uid_t u[3];

	if (setresuid(real, 4242, saved) || !process_is_root())
		return 1;
	if (process_drop_root(4242, 4343,
			      process_can_become(4242, 4343)) || getresuid(&u[0], &u[1], &u[2]))
		return 2;
	if (u[0] != 4242 || u[1] != 4242 || u[2] != 4242 || process_is_root())
		return 3;
	return setuid(0) && seteuid(0) && setresuid(0, 0, 0) ? 0 : 4;
}

static int story_real(void)
{
	return story_acts_as_user(0, 4242);
}

static int story_saved(void)
{
	return story_acts_as_user(4242, 0);
}

static void test_ids(void)
{
	if (geteuid()) {
		skip("root can't be had back by another ID", "not root");
		return;
	}
	check_eq("root can't be had back by the real ID", child(story_real),
		 0);
	check_eq("nor by the saved one", child(story_saved), 0);
}

static void test_drop(void)
{
	int ret;

	check_eq("a user stays who it is", child(story_user), 0);
	if (geteuid())
		skip("root becomes another user, for good", "not root");
	else
		check_eq("root becomes another user, for good",
			 child(story_drop), 0);

	ret = child(story_namespace);
	if (ret == 77)
		skip("where root is the only user, root goes on",
		     "no user namespaces");
	else
		check_eq("where root is the only user, root goes on", ret, 0);
}

static void test_id_mapped(void)
{
	char path[] = "/tmp/passt-map-XXXXXX";
	int fd = mkstemp(path);

	dprintf(fd, "         0       1000          1\n"
		"         1     100000      65536\n");
	close(fd);
	check("mapped numbers are known", id_mapped(path, 0) &&
	      id_mapped(path, 1) && id_mapped(path, 65536));
	check("others are not", !id_mapped(path, 65537));
	unlink(path);
	check("no map, no objection", id_mapped(path, 12));
}

/* status() - Read the number after @key in /proc/self/status; the file has this
 * number in base @base */
static unsigned long long status(const char *key, int base)
{
	unsigned long long n = ~0ULL;
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, strlen(key)))
			n = strtoull(line + strlen(key) + 1, NULL, base);
	}
	if (f)
		fclose(f);
	return n;
}

static int story_lock(void)
{
	bool root = !geteuid();

	if (process_lock())
		return 1;
	if (status("CapEff", 16) || status("CapPrm", 16) ||
	    status("CapInh", 16) || status("CapAmb", 16))
		return 2;
	if (root && status("CapBnd", 16))
		return 3;
	if (status("NoNewPrivs", 10) != 1)
		return 4;
	return prctl(PR_GET_DUMPABLE) ? 5 : 0;
}

static int story_drop_and_lock(void)
{
	if (process_drop_root(4242, 4343,
			      process_can_become(4242, 4343)) || process_lock())
		return 1;
	return status("CapBnd", 16) ? 2 : 0;
}

static int story_lock_in_namespace(void)
{
	return unshare(CLONE_NEWUSER) ? 77 : story_lock();
}

static void test_lock(void)
{
	int ret;

	check_eq("no capability, no new privilege, no core",
		 child(story_lock), 0);
	if (geteuid())
		skip("nor after root became another user", "not root");
	else
		check_eq("nor after root became another user",
			 child(story_drop_and_lock), 0);
	ret = child(story_lock_in_namespace);
	if (ret == 77)
		skip("likewise as root of a namespace", "no user namespaces");
	else
		check_eq("likewise as root of a namespace", ret, 0);
}

static int story_nofile(void)
{
	struct rlimit limit = { .rlim_cur = 100, .rlim_max = 321 };

	if (setrlimit(RLIMIT_NOFILE, &limit) || process_raise_nofile() != 321)
		return 1;
	return getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur != 321;
}

int main(void)
{
	test_close();
	test_drop();
	test_ids();
	test_id_mapped();
	test_lock();
	check_eq("as many descriptors as we may have", child(story_nofile), 0);
	return unit_end();
}
