/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * passt.h - The state of the whole program. Only passt.c includes this file.
 * Every other part gets only its own structure.
 */
#ifndef PASST_H
#define PASST_H

#include "conf/conf.h"
#include "conf/derive.h"
#include "conf/summary.h"
#include "forward/apply.h"
#include "forward/listen.h"
#include "forward/rule.h"
#include "follow.h"
#include "host/sandbox.h"
#include "link/bind.h"
#include "link/pcap.h"
#include "link/stream.h"
#include "link/vhost_user.h"
#include "loop.h"

/**
 * struct program - State that exists once, even if there were several workers
 * @conf:	options, constant once they are checked
 * @host:	what the host has
 * @net:	network of the guest, derived from @conf and @host
 * @rules:	the rules of -t and -u, by which @fwd forwards ports
 * @fwd, @ports: forwarded ports, and the report of fwd_start() about them
 * @stream, @vhost: links to the guest; one of them is used (--vhost-user)
 * @pcap, @trace: observers of the link, for --pcap and --trace
 * @worker:	the event loop
 * @socket_path: path at which guests connect; empty with --fd, because the
 *		guest is then connected from the start
 * @socket_id:	device and inode of the file at that path
 * @listener:	socket at which guests connect, -1: none
 * @signals:	signalfd
 * @follow:	follows the host's network
 * @nl:		netlink socket that the host is read from, or -errno; it stays
 *		open, because the sandbox lets passt open no other
 * @spare:	descriptor that accept_last() closes if no other descriptor is
 *		free, -1: none
 * @null:	/dev/null, for the background
 * @parent:	socket to the process that was started, which waits until passt
 *		is ready in the background; -1: none
 * @pid:	our process ID, as other processes see it
 * @sandbox:	what keeps passt from the host
 * @pid_fd:	pid file, which is opened before passt gives up root's rights,
 *		and closed once it is written; -1: none
 * @pid_made:	passt has created the pid file; false: the file existed before
 */
struct program {
	struct conf conf;
	struct host host;
	struct net net;
	struct rule_set rules;
	struct fwd fwd;
	struct fwd_report ports;
	struct stream stream;
	struct vhost_user vhost;
	struct pcap pcap;
	struct link_observer trace;
	struct worker worker;
	struct follow follow;
	char socket_path[sizeof(((struct conf *)0)->socket_path)];
	struct file_id {
		dev_t dev;
		ino_t ino;
	} socket_id;
	int listener, nl, signals, spare, null, parent, pid_fd;
	bool pid_made;
	pid_t pid;
	struct sandbox sandbox;
};

#endif /* PASST_H */
