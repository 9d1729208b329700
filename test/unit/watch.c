// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * watch.c - Tests that each way in which resolv.conf can change is reported,
 * and so are each kind of change of the host's network, and a sleep of the
 * host.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define slept_ms	simulated_sleep
#define paths_resolv_is_plain	simulated_plain

/* racing_add_watch() - Do as inotify_add_watch(); but if @dir is the directory
 * in make_late, which does not exist, then this directory is made a moment
 * later */
static int racing_add_watch(int fd, const char *dir, uint32_t mask);

#define inotify_add_watch racing_add_watch
#include "../../host/watch.c"
#undef inotify_add_watch
#include "test/unit/netns.h"
#include "test/unit/unit.h"

static char top[] = "/tmp/passt-watch-XXXXXX";
static char path[PATH_MAX];
static struct host_watch w;
static const char *make_late = "";

static int racing_add_watch(int fd, const char *dir, uint32_t mask)
{
	int wd = inotify_add_watch(fd, dir, mask);

	if (wd < 0 && !strcmp(dir, make_late))
		mkdir(dir, 0755);
	return wd;
}

static int64_t slept;
static int64_t falling;		/* how much less each call returns */

/* Whether resolv.conf leads to the file that it led to at start */
static bool plain = true;

bool simulated_plain(void)
{
	return plain;
}

/* simulated_sleep() - Return what the product takes for slept_ms() */
int64_t simulated_sleep(void)
{
	slept -= falling;
	return slept;
}

/* in_top() - Return the path of a file in the directory of this test; valid
 * until the call after the next one */
static const char *in_top(const char *name)
{
	static char buf[2][PATH_MAX];
	static unsigned int i;

	i = !i;
	snprintf(buf[i], sizeof(buf[i]), "%s/%s", top, name);
	return buf[i];
}

static void write_file(const char *name)
{
	int fd = open(in_top(name), O_WRONLY | O_CREAT, 0644);

	if (fd < 0 || write(fd, "nameserver ::1\n", 15) != 15)
		exit(1);
	close(fd);
}

/* reports() - Check that a change was reported, and whether changes may come
 * without a report from now on */
static void reports(const char *what, bool blind)
{
	check(what, host_watch_drain(&w));
	check("nothing more", !host_watch_drain(&w));
	check_eq("the caller has to look", w.blind, blind);
}

/* Given a path in a directory, when the file changes in any way, then this is
 * reported. */
static void story_file(void)
{
	snprintf(path, sizeof(path), "%s", in_top("etc/resolv.conf"));
	mkdir(in_top("etc"), 0755);
	host_watch_open(&w, path);
	check("nothing has changed", !host_watch_drain(&w));

	write_file("etc/resolv.conf");
	reports("the file is created", false);
	write_file("etc/resolv.conf");
	reports("it is written again, in place", false);
	write_file("etc/new");
	host_watch_drain(&w);
	rename(in_top("etc/new"), path);
	reports("another file is renamed to its name", false);
	chmod(path, 0600);
	reports("its permissions change", false);
	unlink(path);
	reports("it is deleted", false);
	host_watch_close(&w);
}

/* Given a symbolic link to a file in another directory, when the link or the
 * file changes, then this is reported. */
static void story_link(void)
{
	mkdir(in_top("run"), 0755);
	mkdir(in_top("other"), 0755);
	write_file("run/stub");
	write_file("other/real");
	if (symlink("../run/stub", path))
		exit(1);
	host_watch_open(&w, path);

	write_file("run/stub");
	reports("the target of the link is written", false);
	unlink(path);
	if (symlink(in_top("other/real"), path))
		exit(1);
	plain = false;
	reports("the link leads elsewhere", true);
	unlink(path);
	if (symlink("../run/stub", path))
		exit(1);
	plain = true;
	reports("the link leads to the first file again", false);
	host_watch_close(&w);

	unlink(in_top("other/real"));
	if (symlink("../run/stub", in_top("other/real")))
		exit(1);
	unlink(path);
	if (symlink(in_top("other/real"), path))
		exit(1);
	host_watch_open(&w, path);
	write_file("run/stub");
	reports("at the end of two links, the file is written", false);
	host_watch_close(&w);
	unlink(path);
}

/* Given a symbolic link to a file in a directory that is not there yet, when
 * the first directory on the way is made, then this is reported. When the
 * directory of the file is deleted, then this is reported, too. Later changes
 * may come without a report, so the caller has to look for them. */
static void story_later(void)
{
	if (symlink("../later/on/stub", path))
		exit(1);
	plain = false;
	host_watch_open(&w, path);
	mkdir(in_top("later"), 0755);
	reports("the first directory", true);
	mkdir(in_top("later/on"), 0755);
	write_file("later/on/stub");
	host_watch_close(&w);

	plain = true;
	host_watch_open(&w, path);
	write_file("later/on/stub");
	reports("the file", false);
	unlink(in_top("later/on/stub"));
	rmdir(in_top("later/on"));
	reports("the end of its directory", true);
	host_watch_look(&w);
	check("that directory does not come back", w.blind);
	host_watch_close(&w);
}

/* proc_line() - Whether the file of a descriptor in /proc has a line */
static bool proc_line(int fd, const char *want)
{
	char name[64], line[128];
	bool found = false;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	f = fopen(name, "r");
	while (f && fgets(line, sizeof(line), f))
		found |= !strcmp(line, want);
	if (f)
		fclose(f);
	return found;
}

/* Given a host that has slept, then host_watch_slept() returns the time of this
 * sleep once, and 0 after that. The descriptor @wakeup is a timer that the
 * kernel makes readable when the host wakes. */
static void story_sleep(void)
{
	slept = -7000;		/* as in a time namespace */
	host_watch_open(&w, path);
	check("the timer is cancelled when the real-time clock jumps",
	      proc_line(w.wakeup, "clockid: 0\n") &&
	      proc_line(w.wakeup, "settime flags: 03\n"));
	check_eq("no sleep", host_watch_slept(&w), 0);
	slept += 3600000;
	check_eq("an hour", host_watch_slept(&w), 3600000);
	check_eq("it is told once", host_watch_slept(&w), 0);
	slept -= 10000;		/* passt was stopped between two reads */
	check_eq("a result that is too small is no sleep",
		 host_watch_slept(&w), 0);
	slept += 10000;
	check_eq("nor is the right one after it", host_watch_slept(&w), 0);
	falling = 2;
	slept += 3;
	check("a clock that runs back meanwhile is no sleep of ages",
	      host_watch_slept(&w) <= 3);
	falling = 0;
	check("a sleep is no change", !host_watch_drain(&w));
	host_watch_close(&w);
}

/* Given a path in a directory that does not exist, when the directory is made
 * while passt looks for it, then changes in it are reported. */
static void story_race(void)
{
	static char late[PATH_MAX];

	snprintf(late, sizeof(late), "%s", in_top("late"));
	snprintf(path, sizeof(path), "%s", in_top("late/resolv.conf"));
	make_late = late;
	host_watch_open(&w, path);
	make_late = "";
	host_watch_drain(&w);
	write_file("late/resolv.conf");
	reports("a file in a directory that was made meanwhile", false);
	host_watch_close(&w);
}

/* Given a symbolic link to itself, then host_watch_open() does not follow it
 * forever, and watches the directory of the link. */
static void story_circle(void)
{
	unlink(path);
	if (symlink("resolv.conf", path))
		exit(1);
	check_eq("a link to itself", host_watch_open(&w, path), 0);
	host_watch_close(&w);
	check("it can't be drained any more", !host_watch_drain(&w));
}

/* set_neighbour() - Set the state of an IPv6 neighbour on loopback, NUD_* */
static void set_neighbour(const char *text, uint16_t state, uint8_t flags)
{
	struct {
		struct nlmsghdr h;
		struct ndmsg n;
		struct rtattr dst;
		struct in6_addr addr;
		struct rtattr lladdr;
		uint8_t mac[8];
	} m = {
		.h = {
			.nlmsg_len = sizeof(m) - 2, .nlmsg_type = RTM_NEWNEIGH,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE |
				       NLM_F_REPLACE,
		},
		.n = {
			.ndm_family = AF_INET6, .ndm_ifindex = 1,
			.ndm_state = state, .ndm_flags = flags,
		},
		.dst = { RTA_LENGTH(sizeof(m.addr)), NDA_DST },
		.lladdr = { RTA_LENGTH(6), NDA_LLADDR },
		.mac = { 2, 0, 0, 0, 0, 9 },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	addr_parse(text, &m.addr);
	if (fd < 0 || send(fd, &m, m.h.nlmsg_len, 0) < 0)
		exit(1);
	close(fd);
}

/* Given IPv6 neighbours, when one that may be a router stops answering or
 * answers again, then this is reported, and nothing about other neighbours. */
static void story_neighbours(void)
{
	host_watch_open(&w, path);
	set_neighbour("fe80::9", NUD_REACHABLE, 0);
	check("a link-local neighbour answers", host_watch_drain(&w));
	set_neighbour("fe80::9", NUD_FAILED, 0);
	check("it does not answer", host_watch_drain(&w));
	set_neighbour("fe80::9", NUD_STALE, 0);
	check("it has asked for an address itself", host_watch_drain(&w));
	set_neighbour("2001:db8::9", NUD_REACHABLE, 0);
	set_neighbour("2001:db8::9", NUD_FAILED, 0);
	check("a global one is no router", !host_watch_drain(&w));
	set_neighbour("2001:db8::9", NUD_REACHABLE, NTF_ROUTER);
	check("unless it says so", host_watch_drain(&w));
	host_watch_close(&w);
}

/* When an interface changes, then this is reported, even if the kernel could
 * not queue all its messages. The test runs in a new network namespace. */
static void story_network(void)
{
	unsigned int i;

	if (!own_network()) {
		skip("changes of the network", "needs a network namespace");
		return;
	}
	host_watch_open(&w, path);
	check("no change", !host_watch_drain(&w));
	set_mtu(9000);
	check("the MTU", host_watch_drain(&w));
	check("nothing more", !host_watch_drain(&w));

	for (i = 0; i < 1000; i++)
		set_mtu(2000 + (int)i);
	check("many changes", host_watch_drain(&w));
	for (i = 0; i < 1000 && host_watch_drain(&w); i++)
		;
	check("have an end", i < 1000);
	set_mtu(9000);
	check("a change after messages were lost", host_watch_drain(&w));
	host_watch_close(&w);
	story_neighbours();
}

int main(void)
{
	static char command[PATH_MAX];

	if (!mkdtemp(top))
		return 1;
	story_file();
	story_link();
	story_later();
	story_race();
	story_circle();
	story_sleep();
	story_network();
	snprintf(command, sizeof(command), "rm -r %s", top);
	check_eq("the test leaves nothing", system(command), 0);
	return unit_end();
}
