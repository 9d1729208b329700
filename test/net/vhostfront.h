/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * vhostfront.h - A vhost-user front-end: connects to a back-end, with the
 * messages of qemu 10 in the same order, and shares memory and virtqueues with
 * the back-end.
 * For test programs only: a back-end that violates the protocol ends the
 * program.
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

/* Numbers of feature bits that Debian 12's kernel headers don't define. */
#define NET_F_GUEST_USO4	54
#define NET_F_GUEST_USO6	55
#define NET_F_HOST_USO		56

#define FEATURE(bit)	((uint64_t)1 << (bit))

/**
 * struct region - A region of guest memory
 * @p:		where this program has mapped it
 * @gpa:	guest-physical address
 * @offset:	offset in the file that the back-end maps
 * @size:	bytes
 */
struct region {
	uint8_t *p;
	uint64_t gpa, offset, size;
};

/**
 * struct front - A front-end
 * @path:	path of the back-end's socket, NULL: @sock is connected already
 * @wanted:	features to accept if the back-end offers them
 * @wanted_protocol: the same for protocol features
 * @size:	entries of each ring
 * @pairs:	number of pairs of queues
 * @mtu:	the guest's MTU, sent to the back-end
 * @buffers:	bytes of memory for buffers
 * @sock:	socket, -1: not connected
 * @features, @protocol: features and protocol features that both sides accept
 * @queues:	pair n has queue 2n to the guest, and 2n + 1 from the guest
 * @regions:	the first for rings, the second for buffers
 * @memory:	descriptor of the file that contains the regions
 * @requests:	socket for requests that the back-end sends, -1: none
 * @errors:	eventfd with which the back-end reports errors of rings
 * @running:	rings were started
 * @shared:	the back-end was given the memory on this connection
 * @starts:	how often the rings were started
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

/* front_buffer() - Find @len bytes at @offset in the region of the buffers */
static inline struct piece front_buffer(const struct front *f, size_t offset,
					uint32_t len)
{
	const struct region *r = &f->regions[1];

	return (struct piece){ r->p + offset, r->gpa + offset, len };
}

#endif /* TEST_NET_VHOSTFRONT_H */
