// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * watch.c - libFuzzer target: whatever messages and events the kernel gives,
 * passt reads no byte that is not there, and says that the host's network may
 * have changed if, and only if, a second, simple reader says so. Whatever path
 * resolv.conf has, and wherever symbolic links lead, passt watches a few
 * directories that are on these paths.
 *
 * The first byte selects which descriptors there are, and some errors. Then
 * there are datagrams of netlink, reads of inotify, and names, each preceded by
 * its length in two bytes: see enum part.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "util.h"

static ssize_t fake_recv(int fd, void *buf, size_t len, int flags);
static ssize_t fake_read(int fd, void *buf, size_t len);
static ssize_t fake_readlink(const char *path, char *buf, size_t len);
static int fake_add_watch(int fd, const char *path, uint32_t mask);
static bool fake_plain(void);
static int64_t fake_slept(void);
static int fake_open(int fd);

#include "sock.h"

#define sock_recv		fake_recv
#define read			fake_read
#define readlink		fake_readlink
#define inotify_add_watch	fake_add_watch
#define inotify_init1(flags)	fake_open(INOTIFY)
#define timerfd_create(c, f)	fake_open(WAKEUP)
#define timerfd_settime(fd, flags, at, old)	fake_settime(at)
#define socket(...)		fake_open(NETLINK)
#define bind(fd, sa, len)	fake_bind(sa)
#define close(fd)		((void)(fd))
#define paths_resolv_is_plain	fake_plain
#define slept_ms		fake_slept

/* Descriptors of the fake kernel. */
enum { NETLINK = 10, INOTIFY, WAKEUP };

static int fake_settime(const void *at);
static int fake_bind(const void *sa);

#include "../../host/watch.c"

#undef read
#undef socket
#undef bind
#undef close

#include "log.h"
#include "test/fuzz/fuzz.h"

#define READS		(DRAIN_MAX + 8)	/* messages of an input, at most */
#define WATCHES		((LINKS_MAX + 1) * (LINKS_MAX + 1) * PATH_MAX / 2)

/* Bits of the first byte. */
enum pick {
	PICK_NO_NETLINK	= 0x01,
	PICK_NO_INOTIFY	= 0x02,
	PICK_NO_WAKEUP	= 0x04,
	PICK_BLIND	= 0x08,		/* resolv.conf leads elsewhere */
	PICK_LOST	= 0x10,		/* the kernel has lost a message */
	PICK_ODD	= 0x20,		/* in the end, read() fails by EINTR or,
					 * of inotify, by EIO */
	PICK_FALSE	= 0x40,		/* the clock goes backwards */
	PICK_FEW	= 0x80,		/* only few directories exist */
};

/* What a part of an input is. Its length is in the lower bits. */
enum part {
	PART_NETLINK	= 0x0000,
	PART_INOTIFY	= 0x4000,
	PART_LINK	= 0x8000,	/* the target of the next symbolic link */
	PART_PATH	= 0xc000,	/* the path of resolv.conf */
};

/* struct part_of - Parts of an input of one kind, and how many were given */
struct part_of {
	struct input in[READS];
	unsigned int n, given;
};

/**
 * struct fake - The fake kernel
 * @pick:	first byte of the input
 * @part:	parts, by the upper bits of their length
 * @interrupts:	how often read() fails by EINTR
 * @watched:	calls of inotify_add_watch()
 * @failures:	reads of inotify in a row that have failed by EIO
 */
static struct fake {
	uint8_t pick;
	struct part_of part[4];
	unsigned int interrupts, watched, failures;
	int64_t clock;
} k;

UNCOUNTED

/* next_part() - Return the next part of a kind; NULL: there is none */
static const struct input *next_part(enum part kind)
{
	struct part_of *p = &k.part[kind >> 14];

	return p->given < p->n ? &p->in[p->given++] : NULL;
}

static int fake_open(int fd)
{
	static const uint8_t missing[] = { PICK_NO_NETLINK, PICK_NO_INOTIFY,
					   PICK_NO_WAKEUP };

	errno = EMFILE;
	return k.pick & missing[fd - NETLINK] ? -1 : fd;
}

static int fake_settime(const void *at)
{
	return k.pick & PICK_ODD ? -1 : 0;
}

static int fake_bind(const void *sa)
{
	return (k.pick & (PICK_ODD | PICK_LOST)) == (PICK_ODD | PICK_LOST) ?
	       -1 : 0;
}

static ssize_t fake_recv(int fd, void *buf, size_t len, int flags)
{
	const struct input *in = next_part(PART_NETLINK);

	MUST(fd == NETLINK && flags & MSG_DONTWAIT);
	if (!in) {
		errno = k.pick & PICK_LOST ? ENOBUFS : EAGAIN;
		return -1;
	}
	memset(buf, 0x5a, len);
	memcpy(buf, in->at, MIN(in->left, len));
	return (ssize_t)(flags & MSG_TRUNC ? in->left : MIN(in->left, len));
}

static ssize_t fake_read(int fd, void *buf, size_t len)
{
	const struct input *in;

	if (fd == WAKEUP && !k.interrupts)
		return sizeof(uint64_t);
	errno = EINTR;
	if (fd == WAKEUP && k.interrupts--)
		return -1;
	MUST(fd == INOTIFY);
	in = next_part(PART_INOTIFY);
	errno = k.pick & PICK_ODD ? EIO : EAGAIN;
	if (!in)
		return -1;
	memset(buf, 0x5a, len);
	memcpy(buf, in->at, MIN(in->left, len));
	return (ssize_t)MIN(in->left, len);
}

static ssize_t fake_readlink(const char *path, char *buf, size_t len)
{
	const struct input *in = next_part(PART_LINK);
	size_t i;

	MUST(strlen(path) < PATH_MAX);
	errno = EINVAL;
	if (!in)
		return -1;
	for (i = 0; i < in->left && i < len && in->at[i]; i++)
		buf[i] = (char)in->at[i];
	return (ssize_t)i;
}

/* fake_add_watch() - Watch a directory, which exists if it is short */
static int fake_add_watch(int fd, const char *path, uint32_t mask)
{
	size_t len = strlen(path);

	MUST(fd == INOTIFY && len && len < PATH_MAX);
	MUST(mask & IN_ONLYDIR && ++k.watched <= WATCHES);
	errno = ENOENT;
	return k.pick & PICK_FEW && len > 4 ? -1 : (int)len;
}

static bool fake_plain(void)
{
	return !(k.pick & PICK_BLIND);
}

static int64_t fake_slept(void)
{
	k.clock += k.pick & PICK_FALSE ? -7 : 7;
	return k.clock;
}

/* word_at() - Read a number of @n bytes; 0 if it is not all there */
static uint32_t word_at(const struct input *in, size_t at, size_t n)
{
	uint16_t half;
	uint32_t word;

	if (at + n > in->left)
		return 0;
	if (n == 1)
		return in->at[at];
	memcpy(&half, in->at + at, sizeof(half));
	if (n == 2)
		return half;
	memcpy(&word, in->at + at, sizeof(word));
	return word;
}

/* is_router() - Whether a complete message about a neighbour is about an IPv6
 * router, or gives a link-local address */
static bool is_router(const struct input *in)
{
	size_t end = word_at(in, 0, 4), at, len;
	const uint8_t *a = NULL;

	if (word_at(in, 16, 1) != AF_INET6)
		return false;
	if (word_at(in, 26, 1) & 0x80)
		return true;
	for (at = 28; at + 4 <= end; at += (len + 3) & ~3U) {
		len = word_at(in, at, 2);
		if (len < 4 || at + len > end)
			break;
		if (word_at(in, at + 2, 2) == NDA_DST && len == 20)
			a = in->at + at + 4;
	}
	return a && a[0] == 0xfe && (a[1] & 0xc0) == 0x80;
}

/* means_change() - Whether a datagram of netlink means a change: all do, except
 * complete messages about neighbours that are no routers */
static bool means_change(struct input in)
{
	size_t len = word_at(&in, 0, 4);
	uint32_t type = word_at(&in, 4, 2);

	in.left = MIN(in.left, 8192);
	if (in.left < 28 || len < 28 || len > in.left ||
	    (type != RTM_NEWNEIGH && type != RTM_DELNEIGH))
		return true;
	return is_router(&in);
}

/* has_event() - Whether what inotify gives has an event that is a change, and
 * whether a watch has ended */
static bool has_event(const struct input *in, bool *ended)
{
	struct input part = { in->at, MIN(in->left, 4096) };
	bool changed = false;
	uint32_t mask, len;
	size_t at;

	for (at = 0; at + 16 <= part.left; at += 16 + (size_t)len) {
		mask = word_at(&part, at + 4, 4);
		len = word_at(&part, at + 12, 4);
		changed |= mask != 0x8000;
		*ended |= mask & 0x8000;
	}
	return changed;
}

/* expect_changes() - Say what the next host_watch_drain() must return, and
 * whether it has to report that a watch has ended */
static bool expect_changes(bool *file, bool *ended)
{
	const struct part_of *nl = &k.part[PART_NETLINK >> 14];
	const struct part_of *in = &k.part[PART_INOTIFY >> 14];
	unsigned int i, from = nl->given, end = MIN(nl->n, from + DRAIN_MAX);
	bool changed = false;

	for (i = from; i < end; i++)
		changed |= means_change(nl->in[i]);
	changed |= end - from < DRAIN_MAX && k.pick & PICK_LOST;
	*file = false;
	end = MIN(in->n, in->given + DRAIN_MAX);
	for (i = in->given; i < end && in->in[i].left; i++)
		*file |= has_event(&in->in[i], ended);
	k.failures = i == in->n && i - in->given < DRAIN_MAX &&
		     k.pick & PICK_ODD ? k.failures + 1 : 0;
	return changed;
}

/* check_drain() - Compare what host_watch_drain() says with what it must say.
 * If inotify can't be read for long, passt closes it, and says that resolv.conf
 * may have changed */
static void check_drain(struct host_watch *w)
{
	bool ended = w->ended, blind = w->blind, file, changed, broken;

	changed = expect_changes(&file, &ended);
	broken = k.failures == FAILURES_MAX;
	changed = changed && w->nl >= 0;
	file = (file || broken) && w->inotify >= 0;
	ended = w->inotify < 0 ? w->ended : ended || broken;
	MUST(host_watch_drain(w) == (changed || file));
	MUST(w->ended == ended && !(broken && w->inotify >= 0));
	MUST(w->blind == (file ? ended || k.pick & PICK_BLIND : blind));
}

/* read_parts() - Cut an input into its parts */
static void read_parts(struct input in)
{
	struct part_of *p;
	uint16_t head;
	size_t len;

	memset(&k, 0, sizeof(k));
	k.pick = take_byte(&in);
	k.interrupts = k.pick & PICK_ODD ? 3 : 0;
	while (in.left > 2) {
		head = take_u16(&in);
		p = &k.part[head >> 14];
		len = MIN((size_t)head & 0x3fff, in.left);
		if (p->n < READS)
			p->in[p->n++] = (struct input){ in.at, len };
		in.at += len;
		in.left -= len;
	}
}

/* open_watch() - Watch the path of the input */
static void open_watch(struct host_watch *w)
{
	const struct input *in = next_part(PART_PATH);
	char path[2 * PATH_MAX] = "/etc/resolv.conf";
	size_t n;

	if (in) {
		n = MIN(in->left, sizeof(path) - 2);
		memcpy(path + 1, in->at, n);
		path[n + 1] = '\0';
	}
	MUST(!host_watch_open(w, path) || (w->nl < 0 && w->inotify < 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host_watch w;
	uint64_t slept;
	unsigned int i;

	read_parts((struct input){ data, size });
	open_watch(&w);
	log_set_level(LOG_EMERG);
	for (i = 0; i < (k.pick & PICK_ODD ? FAILURES_MAX + 2U : 3); i++) {
		check_drain(&w);
		slept = host_watch_slept(&w);
		MUST(slept == (k.pick & PICK_FALSE ? 0 : 7));
	}
	host_watch_close(&w);
	MUST(w.nl == -1 && w.inotify == -1 && w.wakeup == -1);
	return 0;
}

COUNTED
