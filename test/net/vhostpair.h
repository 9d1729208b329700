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
 * struct shape - How a buffer is divided into pieces
 * @first:	bytes of the first piece
 * @rest:	bytes of each further piece
 * @n:		number of pieces
 */
struct shape {
	uint32_t first, rest;
	unsigned int n;
};

/**
 * struct side - One direction of a pair of queues
 * @q:		queue
 * @front:	front-end that the queue belongs to
 * @shape:	shape of each buffer
 * @base:	offset of the first buffer in the memory for buffers
 * @step:	distance from one buffer to the next, bytes
 * @slots:	stack of the buffers that the back-end does not have
 * @n:		number of buffers in @slots
 * @faults:	faults that frames of this direction meet
 * @held:	a frame that waits until the next one has passed it
 * @held_len:	its length, 0: no frame waits
 * @frames, @bytes: number of frames and bytes moved so far
 * @buffers:	number of buffers that the back-end has used so far
 * @calls:	number of notifications from the back-end, as last counted
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
 * struct cut - A GSO frame from the tap, cut so that faults hit single frames
 * @vnet:	its virtio-net header
 * @super:	the GSO frame, or a single frame that needs no cutting
 * @len:	its length, 0: there is none
 * @done:	bytes of payload that are already cut off
 */
struct cut {
	struct virtio_net_hdr_v1 vnet;
	uint8_t super[FRAME_MAX];
	size_t len, done;
};

/**
 * struct pair - A pair of queues and its tap
 * @conf:	options of the guest
 * @front:	front-end
 * @tap:	descriptor of the tap
 * @readable:	the tap may have frames to read
 * @out, @in:	the two directions
 * @unshown:	bytes posted since the last frontq_show()
 * @average:	average length of frames from passt, times 64
 * @refused:	number of frames that the tap did not take
 * @join:	frames for the tap that are being joined into a GSO frame
 * @cut:	the frame from the tap that is being cut
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
