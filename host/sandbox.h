/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * sandbox.h - Takes from the process what it does not need: the host's files,
 * processes and keys, capabilities, and most system calls.
 */
#ifndef HOST_SANDBOX_H
#define HOST_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What holds for the process in the sandbox, in the order in which it is
 * done. */
enum sandbox_step {
	SANDBOX_START_CALLS,	/* only the system calls of start-up */
	SANDBOX_USER,		/* a user namespace of its own */
	SANDBOX_MOUNT,		/* likewise, a mount namespace */
	SANDBOX_PID,		/* a PID namespace */
	SANDBOX_IPC,		/* an IPC namespace */
	SANDBOX_UTS,		/* a UTS namespace */
	SANDBOX_CGROUP,		/* a cgroup namespace */
	SANDBOX_ROOT,		/* an empty root directory */
	SANDBOX_KEYRING,	/* a session keyring of its own */
	SANDBOX_CORE,		/* no core file */
	SANDBOX_PRIVILEGES,	/* no capabilities, and none to be had */
	SANDBOX_LANDLOCK,	/* rules of Landlock */
	SANDBOX_RUN_CALLS,	/* only the system calls of the event loop */
	SANDBOX_STEPS
};

/**
 * struct sandbox - A sandbox that is entered step by step
 * @forks:	the process forks before it runs; only then can it get a PID
 *		namespace
 * @uid, @gid:	user and group that the process has or will have
 * @apparmor:	AppArmor enforces a profile on the process
 * @groups:	groups of system calls that the event loop makes, CALLS_*
 * @tcp_ports:	a bit for each host port that a TCP socket may be bound to
 * @ntcp_ports:	number of those ports
 * @error:	for each step, 0 if it is done or was not tried; errno if it
 *		failed
 * @done:	for each step, whether it is done
 * @detail:	for each step, more about it; NULL: nothing
 */
struct sandbox {
	bool forks, apparmor;
	uid_t uid;
	gid_t gid;
	unsigned int groups;
	uint8_t tcp_ports[65536 / 8];
	unsigned int ntcp_ports;
	int error[SANDBOX_STEPS];
	bool done[SANDBOX_STEPS];
	const char *detail[SANDBOX_STEPS];
};

void sandbox_start(struct sandbox *s);
void sandbox_isolate_root(struct sandbox *s);
void sandbox_isolate(struct sandbox *s);
int sandbox_drop(struct sandbox *s);
void sandbox_run(struct sandbox *s);
void sandbox_print(const struct sandbox *s, int fd);
bool sandbox_report(const struct sandbox *s, bool strict);

#endif /* HOST_SANDBOX_H */
