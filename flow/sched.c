// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * sched.c - Which flow may send how much to the guest, and when.
 */
#include "flow/sched.h"
#include "util.h"

/* sched_init() - Start with no flow */
void sched_init(struct sched *s)
{
	*s = (struct sched){ .starved_fd = -1 };
	list_init(&s->ready);
}

/**
 * sched_active() - A flow has sent something, in either direction
 * @t:		table, for the flow's token
 * @f:		the flow, NULL: a packet that has no flow yet
 * @queued:	bytes in flight to the guest, and in the batch that it sent
 *
 * A flow that is bulk stays bulk for one small batch: a transfer pauses at
 * times. A sparse flow alone is no reason for low latency: nobody is in front
 * of it.
 */
void sched_active(struct sched *s, const struct flow_table *t, struct flow *f,
		  size_t queued, uint64_t now)
{
	bool bulk = queued >= SCHED_BULK || (f && sched_waits(f));
	uint64_t token = f ? flow_token(t, f, SIDE_HOST) : 0;

	if (token != s->last && !bulk && !(f && f->bulk))
		s->sparse_at = now;
	s->last = token;
	if (f)
		f->bulk = bulk;
}

/* sched_low_latency() - Whether the standing queue is to be short */
bool sched_low_latency(const struct sched *s, uint64_t now)
{
	return s->sparse_at && now - s->sparse_at < SCHED_ACTIVE;
}

/**
 * sched_quantum() - How much a flow may send to the guest in its turn
 * @pending:	bytes that all flows have committed since the last flush
 * @unit:	bytes of a segment
 *
 * Return: bytes, a number of whole segments; 0: others were first, and the
 *	   link is to be flushed
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
 * sched_skip_bulk() - Whether ready flows are skipped in this pass
 * @blocked:	the link was blocked until now
 *
 * Nobody read the sockets while the link was blocked: what arrived there goes
 * before the bulk flows that wait. They are not skipped twice in a row.
 */
bool sched_skip_bulk(struct sched *s, bool blocked, uint64_t now)
{
	s->skipped = blocked && !s->skipped && sched_low_latency(s, now);
	return s->skipped;
}

/* sched_wait() - A flow has more to send: it waits for its next turn */
void sched_wait(struct sched *s, struct flow *f)
{
	if (sched_waits(f))
		return;
	list_push(&s->ready, &f->ready);
	s->nready++;
}

/* sched_forget() - A flow waits for no turn, or ends */
void sched_forget(struct sched *s, struct flow *f)
{
	if (!sched_waits(f))
		return;
	list_remove(&f->ready);
	s->nready--;
}

/* sched_next() - The flow whose turn it is, which waits no longer; or NULL */
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
 * sched_must_yield() - Whether a socket has to leave its turn to a starved one
 *
 * epoll reports ready sockets in the same order each time, so the first ones
 * could always fill the link. Therefore the others yield to one that found no
 * space, and the next pass begins with it. Yields are limited, as what it had
 * to read may be gone.
 */
bool sched_must_yield(struct sched *s, int fd)
{
	if (s->starved_fd < 0 || s->starved_fd == fd || !s->yields_left)
		return false;
	s->yields_left--;
	return true;
}

/**
 * sched_found_space() - A socket has looked for space on the link
 * @found:	whether there was some; if not, others yield to it from now on
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

/* sched_close_fd() - A socket is closed: nobody yields to it */
void sched_close_fd(struct sched *s, int fd)
{
	if (s->starved_fd == fd)
		s->starved_fd = -1;
}
