// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * clock.c - Notices that passt was stopped: by SIGSTOP, by the freezer of a
 * cgroup, by a debugger, or because the host is a virtual machine itself that
 * was paused. The worker's clock leaves out such a time, because nobody could
 * reach passt then. If the clock counted it, timers would take it for silence
 * of the guest and its peers, and the worker would end flows for no reason.
 */
#include "clock.h"

/**
 * clock_waited() - Note that a wait for events has ended, and leave out its
 * time if passt was stopped
 * @c:		clock
 * @timeout:	timeout of the wait in ms, -1: none
 * @interrupted: the wait failed with EINTR. That happens only if a process was
 *		stopped and continues, because passt receives signals as events
 * @monotonic:	time of CLOCK_MONOTONIC now, ms
 *
 * The clock leaves out all of the time since the wait before. How much of it
 * passt spent waiting before it was stopped is unknown. If the clock leaves out
 * too much, timers only fire later.
 *
 * Return: whether events may have come while passt did not run, and timers have
 *	   to wait until these are handled
 */
bool clock_waited(struct clock *c, int timeout, bool interrupted,
		  uint64_t monotonic)
{
	uint64_t took = monotonic - c->last, planned = 0, late;

	if (!interrupted)
		planned = timeout < 0 ? took : (uint64_t)timeout;
	late = took - MIN(took, planned);
	c->last = monotonic;
	c->pause = late >= CLOCK_STOPPED ? took : 0;
	c->stopped += c->pause;
	return interrupted || late >= CLOCK_LATE;
}
