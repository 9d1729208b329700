/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * sched.h - Fairness and latency on the link to the guest. Every protocol
 * reports the activity of its flows to the scheduler, and asks the scheduler
 * how many bytes a flow may send.
 *
 * A flow is bulk or sparse (compare fq_codel, RFC 8290 4.1). Bulk flows take
 * turns of one quantum each, and waiting costs them little. A sparse flow is
 * limited by latency: each of its frames waits behind the bytes that are
 * already in the link's socket, the standing queue.
 *
 * If a sparse flow was active beside another flow in the last 100 ms, the link
 * is in low-latency mode. In this mode all bulk flows together send 64 KiB
 * between two flushes, each TCP flow has at most 512 KiB in flight to the
 * guest, the send buffer of the link's socket and TCP's windows are small, and
 * bulk flows are skipped once after the link was blocked. A bulk flow that is
 * alone on the link is not restricted in any of these ways.
 *
 * The scheduler keeps pointers only to the flows that wait in @ready. It keeps
 * the token of the last active flow, not a pointer: a later flow in the same
 * slot of the table has another token.
 */
#ifndef FLOW_SCHED_H
#define FLOW_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/table.h"
#include "list.h"

/* SCHED_QUANTUM: bytes that one bulk flow may send to the guest in its turn.
 * SCHED_QUANTUM_LOW: bytes that all flows together may send between two flushes
 * in low-latency mode. */
#define SCHED_QUANTUM		(1024 * 1024)
#define SCHED_QUANTUM_LOW	(64 * 1024)

/* Bytes of one TCP flow that may be in flight to the guest in low-latency mode.
 * This limits the standing queue of a link that has no send buffer of its own:
 * with vhost-user, frames wait in the guest's receive buffers. */
#define SCHED_FLIGHT_LOW	(512 * 1024)

/* Bytes of the link that the datagrams of one UDP socket may take before it is
 * the next socket's turn. */
#define SCHED_QUANTUM_UDP	(256 * 1024)

/* A flow is bulk if its batch, plus the bytes that a TCP flow has in flight to
 * the guest, has at least this many bytes. */
#define SCHED_BULK		(32 * 1024)

/* A sparse flow counts as active for this long after its last batch, ms. If an
 * answer takes longer than this, a long standing queue adds little to that
 * time. */
#define SCHED_ACTIVE		100

/* How many times other sockets yield to a starved socket. */
#define SCHED_YIELDS		256

/* A flow is settled once it has carried SCHED_SETTLED batches. A DNS query with
 * its answer has two, and a short HTTP connection about five. A settled flow
 * counts as active for SCHED_SETTLED_ACTIVE ms after a batch. TCP retransmits
 * sooner than that (RFC 6298), unless it has lost several segments in a row. */
#define SCHED_SETTLED		32
#define SCHED_SETTLED_ACTIVE	2000

/* The guest's new flows may take only a part of the time if a settled flow is
 * active, or if peers answer fewer than half of the new flows. The numbers of
 * new and of answered flows are halved when there are SCHED_COUNTED new ones.
 * TCP has a part of its own, so that a flood of datagrams leaves time for new
 * connections. */
#define SCHED_COUNTED		1024

enum sched_opener {
	SCHED_OPEN_TCP,
	SCHED_OPEN_OTHERS,	/* UDP and pings */
	SCHED_OPENERS
};

/* Each part is SCHED_OPEN_GAIN us of each ms, and up to SCHED_OPEN_MAX us at
 * once, which it has after SCHED_OPEN_FULL ms at the latest. One new flow
 * counts as SCHED_OPEN_LONGEST us at most: the process may have waited for a
 * processor. */
#define SCHED_OPEN_GAIN		400
#define SCHED_OPEN_MAX		250000
#define SCHED_OPEN_FULL		(2 * SCHED_OPEN_MAX / SCHED_OPEN_GAIN)
#define SCHED_OPEN_LONGEST	1000

/**
 * struct sched - The state of the scheduler
 * @last:	token of the flow that was active last; 0 if the last packet had
 *		no flow, or if there was none yet
 * @sparse_at:	time at which a sparse flow was last active beside another flow,
 *		ms; 0: never
 * @ready:	flows that had more to send than their quantum; the flow that
 *		waits longest is first
 * @nready:	number of flows in @ready
 * @starved_fd:	socket that found no space on the link, -1: none
 * @yields_left: how many times other sockets still yield to @starved_fd
 * @skipped:	bulk flows were skipped in the last pass
 * @settled_at:	time at which a settled flow was last active, ms; 0: never
 * @opened, @answered: numbers of flows that the guest has opened, and of those
 *		that a peer has answered, for each part; see SCHED_COUNTED
 * @open_left:	how much time new flows may take now, for each part, us;
 *		negative: they took more
 * @open_at:	time at which @open_left was last increased, ms
 */
struct sched {
	uint64_t last;
	uint64_t sparse_at;
	struct list ready;
	unsigned int nready;
	int starved_fd;
	unsigned int yields_left;
	bool skipped;
	uint64_t settled_at;
	unsigned int opened[SCHED_OPENERS], answered[SCHED_OPENERS];
	int64_t open_left[SCHED_OPENERS];
	uint64_t open_at[SCHED_OPENERS];
};

void sched_init(struct sched *s);
void sched_active(struct sched *s, const struct flow_table *t, struct flow *f,
		  size_t queued, uint64_t now);
bool sched_low_latency(const struct sched *s, uint64_t now);
uint32_t sched_quantum(const struct sched *s, size_t pending, uint32_t unit,
		       uint64_t now);
uint32_t sched_flight_max(const struct sched *s, uint64_t now);
bool sched_skip_bulk(struct sched *s, bool blocked, uint64_t now);

bool sched_may_open(struct sched *s, enum sched_opener who, uint64_t now);
void sched_opened(struct sched *s, enum sched_opener who, uint64_t us);
void sched_answered(struct sched *s, enum sched_opener who);

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
