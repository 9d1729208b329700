/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * sched.h - Fairness and latency on the link to the guest: one policy, which
 * every protocol tells what its flows do, and asks how much they may send.
 *
 * Flows are bulk or sparse (fq_codel's words, RFC 8290 4.1). Bulk flows take
 * turns of one quantum each, and don't mind to wait. A sparse flow does: its
 * request waits behind whatever is in the link's socket, the standing queue.
 * So while a sparse flow was active beside another flow in the last 100 ms, the
 * link is in low-latency mode: all bulk flows together send 64 KiB between two
 * flushes, the link's socket and TCP's windows are small, and bulk flows are
 * skipped once after the link was blocked. Alone, a bulk flow pays none of it.
 *
 * The scheduler keeps no pointer to a flow but those of flows that wait in
 * @ready; the last active flow is remembered by its token, which no later flow
 * in the same slot has.
 */
#ifndef FLOW_SCHED_H
#define FLOW_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/table.h"
#include "list.h"

/* Bytes that a bulk flow may send to the guest in its turn: what the link's
 * socket takes at once. In low-latency mode, all flows between two flushes. */
#define SCHED_QUANTUM		(1024 * 1024)
#define SCHED_QUANTUM_LOW	(64 * 1024)

/* Bytes in flight, or in one batch, from which on a flow is bulk. */
#define SCHED_BULK		(32 * 1024)

/* How long a sparse flow counts as active, ms. It does not notice what a deep
 * queue adds to an answer that takes longer than that. */
#define SCHED_ACTIVE		100

/* How often other sockets yield to a starved one. */
#define SCHED_YIELDS		256

/**
 * struct sched - The state of the policy
 * @last:	token of the flow that was active last; 0: of none yet
 * @sparse_at:	when a sparse flow was active beside another one, ms
 * @ready:	flows with more to send than their quantum, oldest first
 * @nready:	how many
 * @starved_fd:	socket that found no space on the link, -1: none
 * @yields_left: how many turns of others still yield to it
 * @skipped:	bulk flows were skipped in the last pass
 */
struct sched {
	uint64_t last;
	uint64_t sparse_at;
	struct list ready;
	unsigned int nready;
	int starved_fd;
	unsigned int yields_left;
	bool skipped;
};

void sched_init(struct sched *s);
void sched_active(struct sched *s, const struct flow_table *t, struct flow *f,
		  size_t queued, uint64_t now);
bool sched_low_latency(const struct sched *s, uint64_t now);
uint32_t sched_quantum(const struct sched *s, size_t pending, uint32_t unit,
		       uint64_t now);
bool sched_skip_bulk(struct sched *s, bool blocked, uint64_t now);

void sched_wait(struct sched *s, struct flow *f);
void sched_forget(struct sched *s, struct flow *f);
struct flow *sched_next(struct sched *s);

bool sched_must_yield(struct sched *s, int fd);
void sched_found_space(struct sched *s, int fd, bool found);
void sched_close_fd(struct sched *s, int fd);

/* sched_waits() - Whether a flow waits for its next turn */
static inline bool sched_waits(const struct flow *f)
{
	return !list_empty(&f->ready);
}

#endif /* FLOW_SCHED_H */
