// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * sched.c - Decides which flow may send how many bytes to the guest, and when.
 */
#include "flow/sched.h"
#include "log.h"
#include "util.h"

/* sched_init() - Start with no flow that waits, and no starved socket */
void sched_init(struct sched *s)
{
	*s = (struct sched){ .starved_fd = -1 };
	list_init(&s->ready);
}

/**
 * sched_active() - Note that a flow carried a batch, and whether it is bulk
 * @t:		table that holds @f; needed to make the token of @f
 * @f:		the flow, or NULL if the packet belongs to no flow yet
 * @queued:	bytes of the batch; for TCP, plus the bytes that the flow has in
 *		flight to the guest
 *
 * The flow is bulk if @queued is SCHED_BULK or more, or if the flow waits for
 * its turn. When a bulk flow sends a smaller batch for the first time, the flow
 * does not yet count as an active sparse flow, because a bulk flow also pauses
 * at times. A sparse flow starts low-latency mode only if another flow was
 * active just before. If the sparse flow is the only active flow, no bytes of
 * other flows delay its frames, and a short queue would gain nothing.
 */
void sched_active(struct sched *s, const struct flow_table *t, struct flow *f,
		  size_t queued, uint64_t now)
{
	bool bulk = queued >= SCHED_BULK || (f && sched_waits(f));
	uint64_t token = f ? flow_token(t, f, SIDE_HOST) : 0;

	if (token != s->last && !bulk && !(f && f->bulk))
		s->sparse_at = now;
	s->last = token;
	if (!f)
		return;
	f->bulk = bulk;
	if (f->batches < SCHED_SETTLED)
		f->batches++;
	else
		s->settled_at = now;
}

/* sched_low_latency() - Whether the link should be in low-latency mode now */
bool sched_low_latency(const struct sched *s, uint64_t now)
{
	return s->sparse_at && now - s->sparse_at < SCHED_ACTIVE;
}

/**
 * sched_quantum() - How much a flow may send to the guest in its turn
 * @pending:	bytes that all flows have committed to the link since the last
 *		flush
 * @unit:	bytes of one segment of the flow
 *
 * Return: bytes that the flow may send, a multiple of @unit. 0 means that the
 *	   flows before this one have used up the bytes that low-latency mode
 *	   allows between two flushes. The link must then be flushed before this
 *	   flow may send
 */
uint32_t sched_quantum(const struct sched *s, size_t pending, uint32_t unit,
		       uint64_t now)
{
	if (!sched_low_latency(s, now))
		return MAX(SCHED_QUANTUM / unit, 1) * unit;
	if (pending >= SCHED_QUANTUM_LOW)
		return 0;
	return MAX((SCHED_QUANTUM_LOW - (uint32_t)pending) / unit, 1) * unit;
}

/**
 * sched_flight_max() - How many bytes one TCP flow may have in flight to the
 * guest
 *
 * Return: bytes; UINT32_MAX: as many as the guest's window allows
 */
uint32_t sched_flight_max(const struct sched *s, uint64_t now)
{
	return sched_low_latency(s, now) ? SCHED_FLIGHT_LOW : UINT32_MAX;
}

/**
 * sched_skip_bulk() - Whether the flows in @s->ready miss their turn in this
 * pass
 * @blocked:	the link was blocked when this pass began
 *
 * While the link is blocked, passt reads no socket of a flow. When the link
 * takes frames again, the sockets may hold data of sparse flows. Skipping the
 * bulk flows in @s->ready once lets that data go to the guest first. The bulk
 * flows are never skipped in two passes in a row.
 */
bool sched_skip_bulk(struct sched *s, bool blocked, uint64_t now)
{
	s->skipped = blocked && !s->skipped && sched_low_latency(s, now);
	return s->skipped;
}

/* is_limited() - Whether new flows may take only a part of the time now */
static bool is_limited(const struct sched *s, enum sched_opener who,
		       uint64_t now)
{
	if (s->settled_at && now - s->settled_at < SCHED_SETTLED_ACTIVE)
		return true;
	return s->answered[who] < s->opened[who] / 2;
}

/**
 * sched_may_open() - Whether the guest may open another flow
 * @who:	part of the time that this takes
 *
 * A new flow takes about a hundred times as long as a packet of another flow,
 * because it needs a socket. Without a limit, a guest that opens very many
 * flows leaves no time for the packets of its other flows. These wait in the
 * same queue, which then overflows. There is no limit while no settled flow is
 * active, and peers answer: then the guest may be a busy resolver.
 *
 * Return: false if new flows have used up this part. What would open a flow
 *	   must then be dropped
 */
bool sched_may_open(struct sched *s, enum sched_opener who, uint64_t now)
{
	uint64_t ms = MIN(now - s->open_at[who], SCHED_OPEN_FULL);
	int64_t *left = &s->open_left[who];

	*left = MIN(*left + (int64_t)ms * SCHED_OPEN_GAIN, SCHED_OPEN_MAX);
	s->open_at[who] = now;
	if (*left > 0)
		return true;
	if (!is_limited(s, who, now)) {
		*left = 0;
		return true;
	}
	LOG_LIMITED(LOG_WARNING, "the guest opens too many flows: for the sake of its other flows, some are dropped");
	return false;
}

/**
 * sched_opened() - Note that the guest has opened a flow, or has tried to
 * @who:	part of the time that this has taken
 * @us:		how long it took, us
 */
void sched_opened(struct sched *s, enum sched_opener who, uint64_t us)
{
	int64_t *left = &s->open_left[who];

	*left -= (int64_t)MIN(us, SCHED_OPEN_LONGEST);
	*left = MAX(*left, -SCHED_OPEN_MAX);
	if (++s->opened[who] == SCHED_COUNTED) {
		s->opened[who] /= 2;
		s->answered[who] /= 2;
	}
}

/* sched_answered() - Note that a peer has answered a new flow of the guest */
void sched_answered(struct sched *s, enum sched_opener who)
{
	if (s->answered[who] < s->opened[who])
		s->answered[who]++;
}

/* sched_wait() - Queue a flow that has more to send, until its next turn */
void sched_wait(struct sched *s, struct flow *f)
{
	if (sched_waits(f))
		return;
	list_push(&s->ready, &f->ready);
	s->nready++;
}

/* sched_forget() - Remove a flow from the queue of flows that wait, if it is
 * there */
void sched_forget(struct sched *s, struct flow *f)
{
	if (!sched_waits(f))
		return;
	list_remove(&f->ready);
	s->nready--;
}

/* sched_next() - Take the flow that waits longest from the queue; NULL if no
 * flow waits */
struct flow *sched_next(struct sched *s)
{
	struct flow *f;

	if (list_empty(&s->ready))
		return NULL;
	f = container_of(s->ready.next, struct flow, ready);
	sched_forget(s, f);
	return f;
}

/**
 * sched_must_yield() - Whether a socket must leave its turn to a starved socket
 * @fd:		the socket that is about to be read
 *
 * epoll reports ready sockets in the same order each time, so the first sockets
 * could fill the link in every pass. Therefore all other sockets yield to the
 * starved socket until it finds space. The number of yields is limited, because
 * the starved socket may have no data any more. It then never looks for space
 * again, and without a limit the other sockets would never be read.
 */
bool sched_must_yield(struct sched *s, int fd)
{
	if (s->starved_fd < 0 || s->starved_fd == fd || !s->yields_left)
		return false;
	s->yields_left--;
	return true;
}

/**
 * sched_found_space() - Note whether a socket found space on the link
 * @fd:		the socket
 * @found:	true: @fd found space, and no socket is starved now; false: @fd
 *		is starved, and other sockets yield to @fd from now on
 */
void sched_found_space(struct sched *s, int fd, bool found)
{
	if (found) {
		s->starved_fd = -1;
	} else if (s->starved_fd != fd) {
		s->starved_fd = fd;
		s->yields_left = SCHED_YIELDS;
	}
}

/* sched_close_fd() - Forget a closed socket, so that no socket yields to it */
void sched_close_fd(struct sched *s, int fd)
{
	if (s->starved_fd == fd)
		s->starved_fd = -1;
}
