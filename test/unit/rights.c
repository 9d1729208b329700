// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * rights.c - Tests of which files passt opens, creates and removes while it is
 * still root: files that its later user may access, and files in directories
 * that only root can change. Needs root.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "../../host/rights.c"
#include "unit.h"

#define ALICE	4242

static char top[] = "/tmp/passt-rights-XXXXXX";

/* make() - Create a directory that belongs to user @uid */
static void make(const char *name, uid_t uid, mode_t mode)
{
	if (mkdir(name, 0700) || chown(name, uid, uid) || chmod(name, mode))
		fail(name, "can't be made: %s", strerror(errno));
}

/* owner_of() - Return the user ID of a file's owner, without following a link;
 * -1: there is no such file */
static int owner_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? -1 : (int)st.st_uid;
}

/* opens() - Open or create a file for the user alice; returns the user ID of
 * its owner, or -errno */
static int opens(const char *path)
{
	int fd = rights_open(ALICE, ALICE, path, O_WRONLY | O_CREAT, 0600);

	if (fd < 0)
		return fd;
	close(fd);
	return owner_of(path);
}

static void test_open(void)
{
	make("alice", ALICE, 0755);
	make("root", 0, 0755);
	make("hidden", 0, 0700);
	make("shared", 0, 01777);
	close(open("precious", O_CREAT | O_WRONLY, 0600));
	close(open("shared/precious", O_CREAT | O_WRONLY, 0600));

	check_eq("a file in the user's directory is the user's",
		 opens("alice/file"), ALICE);
	check_eq("one in root's is root's", opens("root/file"), 0);
	check_eq("also where the user can't look", opens("hidden/file"), 0);
	check_eq("and when it is there already", opens("root/file"), 0);
	check_eq("one in a directory for all is the user's",
		 opens("shared/file"), ALICE);
	check_eq("root's file in such a directory is not touched",
		 opens("shared/precious"), -EACCES);
	check("root is root again", !geteuid() && !getegid());
	check_eq("no directory is no directory", opens("none/file"), -ENOENT);
}

/* link_to() - Make a symbolic link @path to @target */
static void link_to(const char *target, const char *path)
{
	if (symlink(target, path))
		check(path, false);
}

static void test_links(void)
{
	check_eq("a link to root's file", symlink("../precious", "alice/link"),
		 0);
	check_eq("is not followed for the user", opens("alice/link"), -EACCES);
	link_to("../precious", "root/link");
	check_eq("nor is root's own, as the last part", opens("root/link"),
		 -ELOOP);
	link_to("../root", "alice/dir");
	check_eq("a directory that the user links to is not root's way",
		 opens("alice/dir/new"), -EACCES);
	link_to("alice/dir", "way");
	check_eq("nor is one behind root's link to the user's link",
		 opens("way/new"), -EACCES);
	check_eq("nothing was made there", owner_of("root/new"), -1);

	link_to("root", "short");
	check_eq("root's link to root's directory is", opens("short/new"), 0);
	check_eq("as is an absolute path", opens("/short/../hidden//other"),
		 0);
	link_to("loop", "loop");
	check_eq("a loop ends", opens("loop/file"), -ELOOP);
}

static int remove_path(void *arg, const char *path, bool as_root)
{
	return unlink(path) ? -errno : 0;
}

static void test_remove(void)
{
	check_eq("a file of root's behind the user's link is not removed",
		 rights_use(ALICE, ALICE, "alice/dir/file", remove_path, NULL),
		 -EACCES);
	check_eq("it is there", owner_of("root/file"), 0);
	check_eq("where only root has been, it is",
		 rights_use(ALICE, ALICE, "root/file", remove_path, NULL), 0);
	check_eq("it is gone", owner_of("root/file"), -1);
	check("the working directory is the same", !access("alice", F_OK));
}

/* in_own_root() - Run the tests with an empty directory of root's as /. They
 * need paths that only root can change: below /tmp, there is no such path,
 * because every user may write to /tmp */
static void in_own_root(void)
{
	char command[sizeof(top) + 16];
	int back = open("/", O_PATH | O_CLOEXEC);

	if (!mkdtemp(top) || chmod(top, 0755) || chroot(top) || chdir("/")) {
		fail("chroot", "%s", strerror(errno));
		return;
	}
	test_open();
	test_links();
	test_remove();
	check("the root is as before", !fchdir(back) && !chroot("."));
	snprintf(command, sizeof(command), "rm -r %s", top);
	check_eq("all is removed", system(command), 0);
}

int main(void)
{
	if (geteuid() || !process_can_become(ALICE, ALICE))
		skip("root uses paths as the user that it becomes", "not root");
	else
		in_own_root();
	return unit_end();
}
