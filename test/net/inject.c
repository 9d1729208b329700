// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * inject.c - Makes a system call of passt fail. This library is preloaded into
 * passt. While the file that INJECT_WHILE names exists, the system call that
 * INJECT_CALL names fails with the errno in INJECT_ERRNO. sendmsg() and
 * recvmsg() fail on UNIX sockets only, because the guest's link is one.
 * sigprocmask() does not fail, but takes DELAY longer: so signals come before
 * passt has blocked them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DELAY	500000		/* us */

/* fails() - Whether the system call @call shall fail now; if so, sets errno */
static int fails(const char *call)
{
	const char *name = getenv("INJECT_CALL"), *file = getenv("INJECT_WHILE");
	int saved = errno;

	if (!name || strcmp(name, call) || access(file, F_OK)) {
		errno = saved;
		return 0;
	}
	errno = atoi(getenv("INJECT_ERRNO"));
	return 1;
}

static int is_unix(int fd)
{
	socklen_t len = sizeof(int);
	int domain;

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) &&
	       domain == AF_UNIX;
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	int (*real)(int, struct sockaddr *, socklen_t *, int);

	if (fails("accept4"))
		return -1;
	real = dlsym(RTLD_NEXT, "accept4");
	return real(fd, addr, len, flags);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t (*real)(int, struct msghdr *, int);

	if (is_unix(fd) && fails("recvmsg"))
		return -1;
	real = dlsym(RTLD_NEXT, "recvmsg");
	return real(fd, m, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	ssize_t (*real)(int, const struct msghdr *, int);

	if (is_unix(fd) && fails("sendmsg"))
		return -1;
	real = dlsym(RTLD_NEXT, "sendmsg");
	return real(fd, m, flags);
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	int (*real)(int, const sigset_t *, sigset_t *);

	if (fails("sigprocmask"))
		usleep(DELAY);
	real = dlsym(RTLD_NEXT, "sigprocmask");
	return real(how, set, old);
}
