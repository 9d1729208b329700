/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * passt.h - The program as a whole: one context that embeds each part's own.
 * For passt.c only; every other part gets its own context and nothing else.
 */
#ifndef PASST_H
#define PASST_H

#include "answer/answer.h"
#include "forward/listen.h"
#include "flow/table.h"
#include "flow/timer.h"
#include "conf/conf.h"
#include "icmp.h"
#include "link/pcap.h"
#include "link/stream.h"
#include "tap.h"
#include "tcp.h"
#include "udp.h"

/* Whom a timer wakes. */
enum timer_type {
	TIMER_FLOW,		/* what the flow table gives its timers */
	TIMER_RA,
	TIMER_FRAGMENTS,	/* datagrams that did not become whole */
};

/**
 * struct passt - The program
 * @conf:	what was asked for
 * @stream:	the link to the guest
 * @pcap:	capture of its frames, if asked for
 * @rules:	what @fwd forwards
 * @tap, @flows, @timers, @fwd, @answer, @tcp, @udp, @icmp: the parts
 * @fragments:	when the oldest datagram of @tap is given up
 * @epfd:	everything that is waited for
 * @epfd_link:	what is waited for while the guest takes no frames: sockets
 *		are not looked at then, and what they hold stays in the kernel
 * @listener:	socket where guests connect, -1: none
 * @signals:	signalfd
 * @spare:	a descriptor to give up when there are no more, -1: none
 * @pid_fd:	pid file, open since before root was given up, -1: none
 * @stats_due:	ms: when counters may be shown next
 * @passed_over: flows with more to send have been, see pass_end()
 * @quit:	leave the loop
 */
struct passt {
	struct conf conf;
	struct stream stream;
	struct pcap pcap;
	struct tap tap;
	struct flow_table flows;
	struct timers timers;
	struct rule_set rules;
	struct fwd fwd;
	struct answer answer;
	struct tcp tcp;
	struct udp udp;
	struct icmp_errors errors;
	struct icmp_echo echo;
	struct timer fragments;
	int epfd, epfd_link;
	int listener, signals, spare, pid_fd;
	uint64_t stats_due;
	bool passed_over, quit;
};

#endif /* PASST_H */
