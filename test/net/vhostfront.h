/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * vhostfront.h - A vhost-user front-end: connects to a back-end as qemu 10
 * does, with its order of messages, and shares memory and virtqueues with it.
 * For programs of the tests: a back-end that violates the protocol ends them.
 */
#ifndef TEST_NET_VHOSTFRONT_H
#define TEST_NET_VHOSTFRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "test/net/frontq.h"

#define FRONT_PAIRS	8
#define FRONT_QUEUES	(2 * FRONT_PAIRS)
#define FRONT_REGIONS	2

/* Bits of features that Debian 12's headers don't have. */
#define NET_F_GUEST_USO4	54
#define NET_F_GUEST_USO6	55
#define NET_F_HOST_USO		56

#define FEATURE(bit)	((uint64_t)1 << (bit))

/**
 * struct region - Guest memory, contiguous in all three spaces
 * @p:		in the memory of this program
 * @gpa:	guest-physical address
 * @offset:	in the file
 * @size:	bytes
 */
struct region {
	uint8_t *p;
	uint64_t gpa, offset, size;
};

/**
 * struct front - A front-end
 * @path:	socket of the back-end, NULL: @sock is connected
 * @wanted, @wanted_protocol: features to take, if they are offered
 * @size:	entries of each ring
 * @pairs:	of queues; queue 2n is n's way to the guest
 * @mtu:	to tell the back-end
 * @buffers:	bytes of memory for buffers
 * @sock:	socket, -1: not connected
 * @features, @protocol: what both sides take
 * @queues:	of all pairs
 * @regions:	the first for rings, the second for buffers
 * @memory:	file of the regions
 * @requests:	where the back-end's own requests would come, -1: nowhere
 * @errors:	eventfd by which the back-end reports errors of rings
 * @running:	rings were started
 * @shared:	the back-end of this connection has the memory
 * @starts:	counts that
 */
struct front {
	const char *path;
	uint64_t wanted, wanted_protocol;
	unsigned int size, pairs, mtu;
	size_t buffers;
	int sock;
	uint64_t features, protocol;
	struct frontq queues[FRONT_QUEUES];
	struct region regions[FRONT_REGIONS];
	int memory, requests, errors;
	bool running, shared;
	unsigned int starts;
};

void front_defaults(struct front *f);
bool front_without(struct front *f, const char *names);
void front_memory(struct front *f);
bool front_connect(struct front *f);
bool front_start(struct front *f, bool again);
bool front_stop(struct front *f);
bool front_reset(struct front *f);
void front_lost(struct front *f);

static inline bool front_has(const struct front *f, unsigned int feature)
{
	return f->features & FEATURE(feature);
}

/* front_buffer() - Memory for buffers, at @offset */
static inline struct piece front_buffer(const struct front *f, size_t offset,
					uint32_t len)
{
	const struct region *r = &f->regions[1];

	return (struct piece){ r->p + offset, r->gpa + offset, len };
}

#endif /* TEST_NET_VHOSTFRONT_H */
