/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * seccomp.h - Filters of system calls, made from the "syscalls:" lines in the
 * files of passt.
 */
#ifndef HOST_SECCOMP_H
#define HOST_SECCOMP_H

#include <stdbool.h>

/* Groups of system calls, as the declarations name them. */
#define CALLS_START	1	/* only before the event loop runs */
#define CALLS_RUN	2	/* at any time */
#define CALLS_VHOST	4	/* with --vhost-user */
#define CALLS_LOGFILE	8	/* with --log-file */
#define CALLS_PCAP	16	/* with --pcap */
#define CALLS_STDERR	32	/* stderr can't be opened a second time */
#define CALLS_END	64	/* only after the event loop; they may fail */

int seccomp_install(unsigned int groups);

#endif /* HOST_SECCOMP_H */
