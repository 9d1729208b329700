/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * interpose.h - The memory that interpose.c shares with the test that gives it
 * orders: calls.py has the same structures.
 */
#ifndef TEST_NET_FAULT_INTERPOSE_H
#define TEST_NET_FAULT_INTERPOSE_H

#include <stdint.h>

/* Functions of libc that can fail: NAME(type, name, parameters, arguments). */
#define FAILING_CALLS(CALL)						       \
	CALL(int, accept4, (int a, struct sockaddr *b, socklen_t *c, int d),   \
	     (a, b, c, d))						       \
	CALL(int, bind, (int a, const struct sockaddr *b, socklen_t c),	       \
	     (a, b, c))							       \
	CALL(int, chdir, (const char *a), (a))				       \
	CALL(int, connect, (int a, const struct sockaddr *b, socklen_t c),     \
	     (a, b, c))							       \
	CALL(int, dup2, (int a, int b), (a, b))				       \
	CALL(int, epoll_create1, (int a), (a))				       \
	CALL(int, epoll_ctl, (int a, int b, int c, struct epoll_event *d),     \
	     (a, b, c, d))						       \
	CALL(int, epoll_wait, (int a, struct epoll_event *b, int c, int d),    \
	     (a, b, c, d))						       \
	CALL(int, fchdir, (int a), (a))					       \
	CALL(int, flock, (int a, int b), (a, b))			       \
	CALL(int, fstat, (int a, struct stat *b), (a, b))		       \
	CALL(int, fstatat, (int a, const char *b, struct stat *c, int d),      \
	     (a, b, c, d))						       \
	CALL(int, ftruncate, (int a, off_t b), (a, b))			       \
	CALL(ssize_t, getrandom, (void *a, size_t b, unsigned int c),	       \
	     (a, b, c))							       \
	CALL(int, getpeername, (int a, struct sockaddr *b, socklen_t *c),      \
	     (a, b, c))							       \
	CALL(int, getsockname, (int a, struct sockaddr *b, socklen_t *c),      \
	     (a, b, c))							       \
	CALL(int, inotify_add_watch, (int a, const char *b, uint32_t c),       \
	     (a, b, c))							       \
	CALL(int, inotify_init1, (int a), (a))				       \
	CALL(int, inotify_rm_watch, (int a, int b), (a, b))		       \
	CALL(int, listen, (int a, int b), (a, b))			       \
	CALL(int, lstat, (const char *a, struct stat *b), (a, b))	       \
	CALL(int, madvise, (void *a, size_t b, int c), (a, b, c))	       \
	CALL(int, munmap, (void *a, size_t b), (a, b))			       \
	CALL(int, poll, (struct pollfd *a, nfds_t b, int c), (a, b, c))	       \
	CALL(ssize_t, pread, (int a, void *b, size_t c, off_t d),	       \
	     (a, b, c, d))						       \
	CALL(ssize_t, read, (int a, void *b, size_t c), (a, b, c))	       \
	CALL(ssize_t, readlink, (const char *a, char *b, size_t c), (a, b, c)) \
	CALL(ssize_t, readlinkat, (int a, const char *b, char *c, size_t d),   \
	     (a, b, c, d))						       \
	CALL(ssize_t, recv, (int a, void *b, size_t c, int d), (a, b, c, d))   \
	CALL(ssize_t, recvmsg, (int a, struct msghdr *b, int c), (a, b, c))    \
	CALL(int, setresgid, (gid_t a, gid_t b, gid_t c), (a, b, c))	       \
	CALL(int, setresuid, (uid_t a, uid_t b, uid_t c), (a, b, c))	       \
	CALL(int, shutdown, (int a, int b), (a, b))			       \
	CALL(int, signalfd, (int a, const sigset_t *b, int c), (a, b, c))      \
	CALL(int, timerfd_create, (clockid_t a, int b), (a, b))		       \
	CALL(int, timerfd_settime, (int a, int b, const struct itimerspec *c,  \
	     struct itimerspec *d), (a, b, c, d))			       \
	CALL(int, unlink, (const char *a), (a))				       \
	CALL(int, unlinkat, (int a, const char *b, int c), (a, b, c))

/* Those that can also transfer less than they were asked to, or that are
 * written out in interpose.c because they differ from the others otherwise. */
#define OTHER_CALLS(CALL)						       \
	CALL(pwrite) CALL(recvmmsg) CALL(send) CALL(sendmmsg) CALL(sendmsg)    \
	CALL(write) CALL(writev) CALL(close) CALL(fcntl) CALL(getsockopt)      \
	CALL(ioctl) CALL(mmap) CALL(open) CALL(openat) CALL(prctl)	       \
	CALL(setsockopt) CALL(socket) CALL(syscall)			       \
	CALL(malloc) CALL(calloc) CALL(realloc)

#define SHORT		0xfffe	/* no errno: the call transfers only a part */
#define ANY		0xffffffffU
#define RULES		32
#define SITES		1024

/**
 * struct fail_rule - Which calls fail
 * @times:	how many of them fail; 0: this rule is not in force
 * @call:	number of the function
 * @error:	errno, or SHORT
 * @first:	how many of the calls that match succeed before
 * @site:	address in the program that the function returns to, from the
 *		program's first byte; ANY
 * @level:	level of getsockopt() and setsockopt(), family of socket(),
 *		operation of fcntl(), ioctl(), prctl() and syscall(); ANY
 * @name:	option of getsockopt() and setsockopt(), protocol of socket();
 *		ANY
 * @seen:	how many calls have matched
 * @failed:	how many calls have failed
 */
struct fail_rule {
	uint32_t times, call, error, first, site, level, name, seen, failed;
};

/* struct call_site - A place of the program that calls a function, with @level
 * and @name as in a rule */
struct call_site {
	uint32_t call, site, level, name, count;
};

/**
 * struct orders - What the test and the library share
 * @live:	number of blocks that malloc() has given out and free() has not
 *		taken back, from any fixed number on
 * @nsites:	entries of @sites in use
 */
struct orders {
	int64_t live;
	uint32_t nsites, unused;
	struct fail_rule rules[RULES];
	struct call_site sites[SITES];
};

#endif /* TEST_NET_FAULT_INTERPOSE_H */
