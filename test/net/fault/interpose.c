// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * interpose.c - Makes functions of libc fail in passt, as the test orders. This
 * library is preloaded into passt. The orders are in the file that FAULT_ORDERS
 * names, which is mapped when the library is loaded. After that the library
 * makes no system call of its own, so that a filter of system calls may be on.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "interpose.h"

#define NUMBER(type, name, parameters, arguments)	CALL_##name,
#define OTHER_NUMBER(name)				CALL_##name,
#define NAME(type, name, parameters, arguments)		#name,
#define OTHER_NAME(name)				#name,

enum { FAILING_CALLS(NUMBER) OTHER_CALLS(OTHER_NUMBER) CALLS };

static const char *const names[CALLS] = {
	FAILING_CALLS(NAME) OTHER_CALLS(OTHER_NAME)
};

static struct orders *orders;		/* NULL before init_library() */
static void *real[CALLS];
static uintptr_t start, end;		/* of the program's code */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

/* find_program() - Note where the program is: it is the first object */
static int find_program(struct dl_phdr_info *info, size_t size, void *arg)
{
	int i;

	start = info->dlpi_addr;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && start + p->p_vaddr + p->p_memsz > end)
			end = start + p->p_vaddr + p->p_memsz;
	}
	return 1;
}

__attribute__((constructor))
static void init_library(void)
{
	int (*open_)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
	void *(*map)(void *, size_t, int, int, int, off_t);
	int (*close_)(int) = dlsym(RTLD_NEXT, "close");
	int i, fd = open_(getenv("FAULT_ORDERS"), O_RDWR | O_CLOEXEC);
	struct orders *mapped;

	for (i = 0; i < CALLS; i++)
		real[i] = dlsym(RTLD_NEXT, names[i]);
	dl_iterate_phdr(find_program, NULL);
	map = real[CALL_mmap];
	mapped = map(NULL, sizeof(*orders), PROT_READ | PROT_WRITE, MAP_SHARED,
		     fd, 0);
	if (mapped == MAP_FAILED)
		abort();
	close_(fd);
	orders = mapped;
}

/* real_call() - Return libc's own function, even before init_library() */
static void *real_call(int call)
{
	return real[call] ? real[call] : dlsym(RTLD_NEXT, names[call]);
}

/* count_site() - Count a call at its place in the program */
static void count_site(uint32_t call, uint32_t site, uint32_t level,
		       uint32_t name)
{
	uint32_t i;

	for (i = 0; i < orders->nsites; i++) {
		struct call_site *s = &orders->sites[i];

		if (s->call == call && s->site == site && s->level == level &&
		    s->name == name) {
			s->count++;
			return;
		}
	}
	if (i < SITES) {
		orders->sites[i] = (struct call_site){ call, site, level, name,
						       1 };
		orders->nsites++;
	}
}

static bool rule_fails(struct fail_rule *r, uint32_t call, uint32_t site,
		       uint32_t level, uint32_t name)
{
	if (!r->times || r->call != call ||
	    (r->site != ANY && r->site != site) ||
	    (r->level != ANY && r->level != level) ||
	    (r->name != ANY && r->name != name))
		return false;
	if (r->seen++ < r->first)
		return false;
	if (r->times != ANY && r->seen > r->first + r->times)
		return false;
	r->failed++;
	return true;
}

/* fails_with() - Return 0 if a call shall do its work, or else SHORT or the
 * errno, which is also set */
static int fails_with(uint32_t call, const void *from, uint32_t level,
		      uint32_t name)
{
	uintptr_t at = (uintptr_t)from;
	uint32_t site = at >= start && at < end ? (uint32_t)(at - start) : 0;
	int i;

	if (!orders)
		return 0;
	count_site(call, site, level, name);
	for (i = 0; i < RULES; i++) {
		struct fail_rule *r = &orders->rules[i];

		if (rule_fails(r, call, site, level, name)) {
			if (r->error != SHORT)
				errno = (int)r->error;
			return (int)r->error;
		}
	}
	return 0;
}

#define FROM	__builtin_return_address(0)

#define WRAPPER(type, name, parameters, arguments)			       \
type name parameters							       \
{									       \
	type (*call) parameters = real_call(CALL_##name);		       \
									       \
	return fails_with(CALL_##name, FROM, ANY, ANY) ? -1 : call arguments;  \
}

FAILING_CALLS(WRAPPER)

/* part_of() - Return how many bytes of @len are transferred */
static size_t part_of(size_t len, int error)
{
	return error == SHORT && len > 1 ? len / 2 : len;
}

ssize_t write(int fd, const void *buf, size_t len)
{
	ssize_t (*call)(int, const void *, size_t) = real_call(CALL_write);
	int error = fails_with(CALL_write, FROM, ANY, ANY);

	return error && error != SHORT ? -1 :
	       call(fd, buf, part_of(len, error));
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
	ssize_t (*call)(int, const void *, size_t, off_t) =
		real_call(CALL_pwrite);
	int error = fails_with(CALL_pwrite, FROM, ANY, ANY);

	return error && error != SHORT ? -1 :
	       call(fd, buf, part_of(len, error), at);
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	ssize_t (*call)(int, const void *, size_t, int) = real_call(CALL_send);
	int error = fails_with(CALL_send, FROM, ANY, ANY);

	return error && error != SHORT ? -1 :
	       call(fd, buf, part_of(len, error), flags);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	ssize_t (*call)(int, const struct iovec *, int) =
		real_call(CALL_writev);
	int error = fails_with(CALL_writev, FROM, ANY, ANY);
	struct iovec one = *iov;

	if (error && error != SHORT)
		return -1;
	one.iov_len = part_of(one.iov_len, error);
	return error ? call(fd, &one, 1) : call(fd, iov, n);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	ssize_t (*call)(int, const struct msghdr *, int) =
		real_call(CALL_sendmsg);
	int error = fails_with(CALL_sendmsg, FROM, ANY, ANY);
	struct msghdr part = *m;
	struct iovec one;

	if (error && error != SHORT)
		return -1;
	if (error && m->msg_iovlen) {
		one = m->msg_iov[0];
		one.iov_len = part_of(one.iov_len, error);
		part.msg_iov = &one;
		part.msg_iovlen = 1;
	}
	return call(fd, &part, flags);
}

int sendmmsg(int fd, struct mmsghdr *m, unsigned int n, int flags)
{
	int (*call)(int, struct mmsghdr *, unsigned int, int) =
		real_call(CALL_sendmmsg);
	int error = fails_with(CALL_sendmmsg, FROM, ANY, ANY);

	return error && error != SHORT ? -1 :
	       call(fd, m, (unsigned int)part_of(n, error), flags);
}

int recvmmsg(int fd, struct mmsghdr *m, unsigned int n, int flags,
	     struct timespec *timeout)
{
	int (*call)(int, struct mmsghdr *, unsigned int, int,
		    struct timespec *) = real_call(CALL_recvmmsg);
	int error = fails_with(CALL_recvmmsg, FROM, ANY, ANY);

	return error && error != SHORT ? -1 :
	       call(fd, m, error ? 1 : n, flags, timeout);
}

int socket(int domain, int type, int protocol)
{
	int (*call)(int, int, int) = real_call(CALL_socket);

	return fails_with(CALL_socket, FROM, (uint32_t)domain,
			  (uint32_t)protocol) ? -1 :
	       call(domain, type, protocol);
}

/* close() - Close the descriptor even if the call fails, as Linux does */
int close(int fd)
{
	int (*call)(int) = real_call(CALL_close);
	int rc = call(fd);

	return fails_with(CALL_close, FROM, ANY, ANY) ? -1 : rc;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int (*call)(int, int, int, void *, socklen_t *) =
		real_call(CALL_getsockopt);

	return fails_with(CALL_getsockopt, FROM, (uint32_t)level,
			  (uint32_t)name) ? -1 :
	       call(fd, level, name, value, len);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int (*call)(int, int, int, const void *, socklen_t) =
		real_call(CALL_setsockopt);

	return fails_with(CALL_setsockopt, FROM, (uint32_t)level,
			  (uint32_t)name) ? -1 :
	       call(fd, level, name, value, len);
}

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t off)
{
	void *(*call)(void *, size_t, int, int, int, off_t) =
		real_call(CALL_mmap);

	return fails_with(CALL_mmap, FROM, ANY, ANY) ? MAP_FAILED :
	       call(at, len, prot, flags, fd, off);
}

/* LONGS() - Read six of a variable number of arguments; none is wider than a
 * long, and those that the caller has not given are not used */
#define LONGS(last)							       \
	long a[6];							       \
	va_list ap;							       \
									       \
	va_start(ap, last);						       \
	for (int i = 0; i < 6; i++)					       \
		a[i] = va_arg(ap, long);				       \
	va_end(ap)

int fcntl(int fd, int what, ...)
{
	int (*call)(int, int, ...) = real_call(CALL_fcntl);
	LONGS(what);

	return fails_with(CALL_fcntl, FROM, (uint32_t)what, ANY) ? -1 :
	       call(fd, what, a[0]);
}

int ioctl(int fd, unsigned long what, ...)
{
	int (*call)(int, unsigned long, ...) = real_call(CALL_ioctl);
	LONGS(what);

	return fails_with(CALL_ioctl, FROM, (uint32_t)what, ANY) ? -1 :
	       call(fd, what, a[0]);
}

int open(const char *path, int flags, ...)
{
	int (*call)(const char *, int, ...) = real_call(CALL_open);
	LONGS(flags);

	return fails_with(CALL_open, FROM, ANY, ANY) ? -1 :
	       call(path, flags, (mode_t)a[0]);
}

int openat(int dir, const char *path, int flags, ...)
{
	int (*call)(int, const char *, int, ...) = real_call(CALL_openat);
	LONGS(flags);

	return fails_with(CALL_openat, FROM, ANY, ANY) ? -1 :
	       call(dir, path, flags, (mode_t)a[0]);
}

int prctl(int what, ...)
{
	int (*call)(int, ...) = real_call(CALL_prctl);
	LONGS(what);

	return fails_with(CALL_prctl, FROM, (uint32_t)what, ANY) ? -1 :
	       call(what, a[0], a[1], a[2], a[3]);
}

long syscall(long number, ...)
{
	long (*call)(long, ...) = real_call(CALL_syscall);
	LONGS(number);

	return fails_with(CALL_syscall, FROM, (uint32_t)number, ANY) ? -1 :
	       call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void *count_block(void *p)
{
	if (p && orders)
		orders->live++;
	return p;
}

void *malloc(size_t size)
{
	return fails_with(CALL_malloc, FROM, ANY, ANY) ? NULL :
	       count_block(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
	return fails_with(CALL_calloc, FROM, ANY, ANY) ? NULL :
	       count_block(__libc_calloc(n, size));
}

void *realloc(void *p, size_t size)
{
	void *q;

	if (fails_with(CALL_realloc, FROM, ANY, ANY))
		return NULL;
	q = __libc_realloc(p, size);
	return p ? q : count_block(q);
}

void free(void *p)
{
	if (p && orders)
		orders->live--;
	__libc_free(p);
}
