/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * vhost_user.h - The link to a guest that shares its memory. A front-end (qemu)
 * says over a UNIX socket where the memory and the rings of the guest's
 * virtio-net device are; frames then lie in that memory, and never pass the
 * socket.
 *
 * vhost_msg.c receives the messages of the front-end, vhost_user.c obeys them,
 * and vhost_net.c carries the frames.
 */
#ifndef LINK_VHOST_USER_H
#define LINK_VHOST_USER_H

#include "link/link.h"
#include "link/virtqueue.h"

#define VHOST_PAIRS		LINK_QUEUES
#define VHOST_RINGS		(2 * VHOST_PAIRS) /* a pair: one each way */
#define VHOST_FDS		8	/* descriptors in a message, at most */
#define VHOST_PAYLOAD		264	/* bytes of the longest payload */

#define VHOST_CHAINS		4096	/* of committed frames, see below */
#define VHOST_PIECES		8192	/* pieces of a burst, each way */
#define VHOST_FRAME_PIECES	1024	/* pieces of one frame, at most */
#define VHOST_BOUNCES		64	/* slots with headers in a buffer */

/**
 * struct vhost_ring - A ring, and what the front-end has said about it
 * @vq:		ring. Its parts are set while the ring runs
 * @desc, @avail, @used: addresses of its parts in the front-end's memory
 * @addressed:	@desc, @avail and @used are set
 * @kick:	descriptor that the guest writes to; -1: none
 * @kicked:	the guest has written to @kick, so the ring starts as soon as
 *		its size and addresses and the memory are known
 * @enabled:	the front-end has enabled the ring
 */
struct vhost_ring {
	struct virtqueue vq;
	uint64_t desc, avail, used;
	int kick;
	bool addressed, kicked, enabled;
};

/**
 * struct vhost_slot - Where the bytes of a slot are
 * @chain, @nchain: first chain of the slot in @chain of struct vhost_pair, and
 *		number of its chains
 * @raw, @nraw:	pieces of these chains, with the virtio-net header
 * @bounce:	buffer for virtio-net header and headers, because the first
 *		piece is too short for them; NULL: they are in place
 */
struct vhost_slot {
	unsigned int chain, nchain;
	struct iovec *raw;
	unsigned int nraw;
	uint8_t *bounce;
};

/* A buffer for the headers of a frame. */
struct vhost_bounce {
	uint8_t bytes[16 + LINK_HEADERS];
};

/**
 * struct vhost_chain - A chain that was looked at for a slot
 * @head:	its first descriptor
 * @len:	bytes of the chain
 */
struct vhost_chain {
	uint16_t head;
	uint32_t len;
};

/**
 * struct vhost_message - A message, as it is on the wire, and its descriptors
 * @request:	enum vhost_request
 * @flags:	version, and whether a reply is wanted
 * @size:	bytes of @payload
 * @payload:	depends on @request
 * @fds, @nfds:	descriptors that came with the message. Who takes one over sets
 *		its entry to -1; the others are closed
 */
struct vhost_message {
	uint32_t request, flags, size;
	uint8_t payload[VHOST_PAYLOAD] __attribute__((aligned(8)));
	int fds[VHOST_FDS];
	unsigned int nfds;
};

/**
 * struct vhost_pair - A pair of rings, which carry the frames of one queue
 * @user, @queue: the link, and the queue
 * @ring:	the two rings. [0]: frames to the guest; [1]: frames from the
 *		guest
 * @unanswered:	frames went to the guest since the last one from it
 * @heard_index: index of the available ring to the guest at that frame
 * @taken, @ntaken: chains of the current burst from the guest
 * @from:	pieces of these chains
 * @chain, @nchain: chains of slots that were handed out
 * @slot:	slots, with the same index as the frame in @to_guest of @queue
 * @to, @nto:	pieces of slots
 * @bounce, @nbounce: buffers that slots use
 *
 * The arrays take no memory as long as the guest does not use the pair.
 */
struct vhost_pair {
	struct vhost_user *user;
	struct link_queue *queue;
	struct vhost_ring *ring;
	bool unanswered;
	uint16_t heard_index;
	unsigned int ntaken, nchain, nto, nbounce;

	uint16_t taken[LINK_BURST];
	struct iovec from[VHOST_PIECES];
	struct vhost_chain chain[VHOST_CHAINS];
	struct vhost_slot slot[LINK_FRAMES];
	struct iovec to[VHOST_PIECES];
	struct vhost_bounce bounce[VHOST_BOUNCES];
};

/**
 * struct vhost_user - A link to a guest that shares its memory
 * @link:	the link
 * @fd:		socket to the front-end
 * @backend_fd:	socket for requests to the front-end, which passt never makes;
 *		-1: none
 * @features, @protocol: features that were negotiated
 * @status:	status of the device, as the front-end has set it
 * @mtu:	MTU that the front-end has set, bytes; 0: none
 * @hdr_len:	bytes of the virtio-net header before each frame
 * @mem:	memory of the guest
 * @msg, @have:	message that is being received, and how many bytes of it
 * @error:	the guest broke a rule, and the link must be closed; 0: no
 * @ring:	rings of all pairs
 * @queue, @pair: queues of the link, and the pair of rings of each
 */
struct vhost_user {
	struct link link;
	int fd, backend_fd;
	uint64_t features, protocol, status;
	uint32_t mtu;
	unsigned int hdr_len;
	struct guest_mem mem;
	struct vhost_message msg;
	size_t have;
	int error;
	struct vhost_ring ring[VHOST_RINGS];
	struct link_queue queue[VHOST_PAIRS];
	struct vhost_pair pair[VHOST_PAIRS];
};

int vhost_user_open(struct vhost_user *v, int fd);

#endif /* LINK_VHOST_USER_H */
