// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * clockshift.c - Lets an hour pass in a moment, for passt only. This library is
 * preloaded into passt. It adds the two numbers in the file that
 * CLOCKSHIFT_FILE names, in ms, to CLOCK_MONOTONIC and CLOCK_BOOTTIME. Instead
 * of a timer, passt gets the FIFO that CLOCKSHIFT_WAKEUP names, so that a test
 * can say when the host wakes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift;	/* ms: monotonic, boottime */

__attribute__((constructor))
static void map_shift(void)
{
	int fd = open(getenv("CLOCKSHIFT_FILE"), O_RDONLY | O_CLOEXEC);
	void *p = mmap(NULL, 2 * sizeof(*shift), PROT_READ, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		abort();
	shift = p;
	close(fd);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*real)(clockid_t, struct timespec *);
	int rc;

	if (!real)
		real = dlsym(RTLD_NEXT, "clock_gettime");
	rc = real(id, ts);
	if (rc || !shift)
		return rc;
	if (id == CLOCK_MONOTONIC)
		ts->tv_sec += (time_t)(shift[0] / 1000);
	else if (id == CLOCK_BOOTTIME)
		ts->tv_sec += (time_t)(shift[1] / 1000);
	return 0;
}

int timerfd_create(int id, int flags)
{
	return open(getenv("CLOCKSHIFT_WAKEUP"),
		    O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new,
		    struct itimerspec *old)
{
	return 0;
}
