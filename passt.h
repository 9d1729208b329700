/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * passt.h - The program as a whole. For passt.c only: every other part gets
 * its own context and nothing else.
 */
#ifndef PASST_H
#define PASST_H

#include "conf/conf.h"
#include "forward/listen.h"
#include "forward/rule.h"
#include "link/pcap.h"
#include "link/stream.h"
#include "loop.h"

/**
 * struct program - What exists once, however many workers there are
 * @conf:	options
 * @rules:	what @fwd forwards
 * @fwd:	forwarded ports
 * @stream:	link to the guest
 * @pcap, @trace: observers of its frames: --pcap, --trace
 * @worker:	the event loop
 * @listener:	socket where guests connect, -1: none
 * @signals:	signalfd
 * @spare:	a descriptor to give up when there are no more, -1: none
 * @pid_fd:	pid file, opened while root's rights last, -1: none
 */
struct program {
	struct conf conf;
	struct rule_set rules;
	struct fwd fwd;
	struct stream stream;
	struct pcap pcap;
	struct link_observer trace;
	struct worker worker;
	int listener, signals, spare, pid_fd;
};

#endif /* PASST_H */
