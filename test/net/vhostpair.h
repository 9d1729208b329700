/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * vhostpair.h - Moves frames between a tap and a pair of virtqueues, without
 * copying them. Called by vhostguest.c.
 */
#ifndef TEST_NET_VHOSTPAIR_H
#define TEST_NET_VHOSTPAIR_H

#include "test/net/offload.h"
#include "test/net/vhostguest.h"

#define FRAME_MAX	SUPER_MAX

/**
 * struct shape - Of a buffer
 * @first:	bytes of the first piece
 * @rest:	bytes of each further piece
 * @n:		pieces
 */
struct shape {
	uint32_t first, rest;
	unsigned int n;
};

/**
 * struct side - One direction of a pair of queues
 * @q:		queue
 * @front:	front-end that it belongs to
 * @shape:	of its buffers
 * @base, @step: where the buffers are: offset of the first, distance
 * @slots, @n:	buffers that the back-end does not have
 * @faults:	what happens to frames
 * @held, @held_len: a frame to come after the next one
 * @frames, @bytes: what went through
 * @buffers:	that the back-end used
 * @calls:	notifications received, counted so far
 */
struct side {
	struct frontq *q;
	const struct front *front;
	struct shape shape;
	size_t base, step;
	uint16_t slots[FRONTQ_MAX];
	unsigned int n;
	struct faults *faults;
	uint8_t held[FRAME_MAX];
	size_t held_len;
	uint64_t frames, bytes, buffers, calls;
};

/**
 * struct cut - A GSO frame from the tap that meets faults, frame by frame
 * @vnet:	its virtio-net header
 * @super:	the frame
 * @len:	its length, 0: there is none
 * @done:	bytes of payload that were cut
 */
struct cut {
	struct virtio_net_hdr_v1 vnet;
	uint8_t super[FRAME_MAX];
	size_t len, done;
};

/**
 * struct pair - A pair of queues and its tap
 * @conf:	what is asked for
 * @front:	front-end
 * @tap:	descriptor
 * @readable:	it may have frames
 * @out, @in:	the two directions
 * @unshown:	bytes posted that the back-end was not shown
 * @average:	length of frames from passt, times 64
 * @refused:	frames that the tap did not take
 */
struct pair {
	const struct vhost_guest *conf;
	struct front *front;
	int tap;
	bool readable;
	struct side out, in;
	size_t unshown;
	uint32_t average;
	uint64_t refused;
	struct join join;
	struct cut cut;
};

void pairs_memory(struct vhost_guest *conf);
void pair_open(struct pair *p, struct vhost_guest *conf, unsigned int i);
void pair_settle(struct pair *p, unsigned int i);
void pair_begin(struct pair *p);
bool pair_moves(struct pair *p);
bool pair_sleeps(struct pair *p);
void pair_wakes(struct pair *p);

#endif /* TEST_NET_VHOSTPAIR_H */
