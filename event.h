/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * event.h - The token that epoll returns with an event: 64 bits that say which
 * descriptor has the event. They contain no pointer, which could dangle. The
 * numbers are widths in bits:
 *
 *	type 8 | side 1 | generation 23 | index 32
 *
 * The side says which of the two sockets of a flow has the event, see enum
 * flow_side; it is 0 for other descriptors. The index is the number of a slot
 * in a table of flows, listeners or groups. The generation changes when a slot
 * is reused. If a descriptor was closed earlier in the same pass, later events
 * for it have an old generation and are ignored.
 */
#ifndef EVENT_H
#define EVENT_H

#include <stdint.h>

/* The kind of descriptor that has the event. */
enum event_type {
	EVENT_LINK,		/* the link; the index is that of the descriptor
				 * in struct link */
	EVENT_LINK_LISTEN,	/* socket at which guests connect */
	EVENT_SIGNAL,		/* signalfd */
	EVENT_HOST,		/* reports of changes of the host's network */
	EVENT_WAKE,		/* no descriptor: the time that worker_wake()
				 * was given has come */
	EVENT_CONTINUED,	/* no descriptor: passt was stopped, and runs
				 * again */
	EVENT_LISTENER,		/* socket of a forwarded port; the index is
				 * that of the listener */
	EVENT_FLOW,		/* socket of a flow; the index is the flow's */
	EVENT_GROUP,		/* multicast group; the index is the group's */
};

#define EVENT_GEN_MASK	0x7fffff

static inline uint64_t event_token(enum event_type type, unsigned int side,
				   uint32_t gen, uint32_t index)
{
	return (uint64_t)type << 56 | (uint64_t)(side & 1) << 55 |
	       (uint64_t)(gen & EVENT_GEN_MASK) << 32 | index;
}

static inline enum event_type event_type(uint64_t token)
{
	return (enum event_type)(token >> 56);
}

static inline unsigned int event_side(uint64_t token)
{
	return token >> 55 & 1;
}

static inline uint32_t event_gen(uint64_t token)
{
	return (uint32_t)(token >> 32) & EVENT_GEN_MASK;
}

static inline uint32_t event_index(uint64_t token)
{
	return (uint32_t)token;
}

#endif /* EVENT_H */
