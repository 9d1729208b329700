/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * passt.h - The program as a whole. For passt.c only: every other part gets
 * its own context and nothing else.
 */
#ifndef PASST_H
#define PASST_H

#include "conf/conf.h"
#include "conf/derive.h"
#include "conf/summary.h"
#include "forward/listen.h"
#include "forward/rule.h"
#include "link/pcap.h"
#include "link/stream.h"
#include "loop.h"

/**
 * struct program - What exists once, however many workers there are
 * @conf:	options, constant once they are checked
 * @host:	what the host has
 * @net:	network of the guest, derived from the two
 * @rules:	what @fwd forwards
 * @fwd:	forwarded ports
 * @stream:	link to the guest
 * @pcap, @trace: observers of its frames: --pcap, --trace
 * @worker:	the event loop
 * @socket_path: where guests connect, empty: on an inherited socket
 * @listener:	socket where guests connect, -1: none
 * @signals:	signalfd
 * @spare:	a descriptor to give up when there are no more, -1: none
 * @pid_fd:	pid file, opened while root's rights last, -1: none
 */
struct program {
	struct conf conf;
	struct host host;
	struct net net;
	struct rule_set rules;
	struct fwd fwd;
	struct stream stream;
	struct pcap pcap;
	struct link_observer trace;
	struct worker worker;
	char socket_path[sizeof(((struct conf *)0)->socket_path)];
	int listener, signals, spare, pid_fd;
};

#endif /* PASST_H */
