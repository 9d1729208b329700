/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * vhost_user.h - The link to a guest that shares its memory. A front-end (qemu)
 * says over a UNIX socket where the memory and the rings of the guest's
 * virtio-net device are. The frames lie in that memory, and never go through
 * the socket.
 *
 * vhost_msg.c receives the messages of the front-end, vhost_user.c obeys them,
 * and vhost_net.c carries the frames.
 */
#ifndef LINK_VHOST_USER_H
#define LINK_VHOST_USER_H

#include "link/link.h"
#include "link/virtqueue.h"

#define VHOST_PAIRS		LINK_QUEUES
#define VHOST_RINGS		(2 * VHOST_PAIRS) /* one for each direction */
#define VHOST_FDS		8	/* descriptors in a message, at most */
#define VHOST_PAYLOAD		264	/* bytes of the longest payload */

#define VHOST_CHAINS		4096	/* chains in all slots, at most */
#define VHOST_PIECES		8192	/* pieces of a burst, in each
					 * direction */
#define VHOST_FRAME_PIECES	1024	/* pieces of one frame, at most */
#define VHOST_BOUNCES		64	/* buffers for headers of frames */

/**
 * struct vhost_ring - A ring, and what the front-end has said about it
 * @vq:		the ring. @vq.desc, @vq.avail and @vq.used are set while the
 *		ring runs
 * @desc, @avail, @used: addresses of the parts of the ring, in the front-end's
 *		address space
 * @addressed:	@desc, @avail and @used are set
 * @kick:	descriptor that the guest writes to; -1: none
 * @kicked:	the guest has written to @kick. The ring starts as soon as its
 *		size, its addresses and the guest's memory are known, too
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
 * @raw, @nraw:	pieces of these chains, and their number. They begin with the
 *		space for the virtio-net header
 * @bounce:	buffer for the virtio-net header and the frame's headers, if the
 *		first piece is too short for them; NULL: they are written to the
 *		first piece
 */
struct vhost_slot {
	unsigned int chain, nchain;
	struct iovec *raw;
	unsigned int nraw;
	uint8_t *bounce;
};

/* A buffer for the headers of a frame, from which they are copied to the
 * guest's memory when the frame is sent. */
struct vhost_bounce {
	uint8_t bytes[16 + LINK_HEADERS];
};

/**
 * struct vhost_chain - A chain that is part of a slot, and was not taken from
 * the ring yet
 * @head:	index of its first descriptor
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
 * @fds, @nfds:	descriptors that came with the message, and their number. A
 *		function that keeps a descriptor sets its entry to -1. All
 *		others are closed after the message was handled
 */
struct vhost_message {
	uint32_t request, flags, size;
	uint8_t payload[VHOST_PAYLOAD] __attribute__((aligned(8)));
	int fds[VHOST_FDS];
	unsigned int nfds;
};

/**
 * struct vhost_pair - A pair of rings, which carry the frames of one queue
 * @user, @queue: link and queue that the pair belongs to
 * @ring:	the two rings: [0] carries frames to the guest, [1] carries
 *		frames from the guest
 * @unanswered:	passt has given frames to the guest since the guest's last frame
 *		came
 * @heard_index: value of virtqueue_index() for the ring to the guest when the
 *		guest's last frame came
 * @taken, @ntaken: chains that hold the current burst from the guest, each
 *		given by the index of its first descriptor
 * @from:	pieces of these chains
 * @chain, @nchain: chains of slots that were handed out, and their number
 * @slot:	slots, with the same index as the frame in @to_guest of @queue
 * @to, @nto:	pieces of slots, and how many of them are in use
 * @bounce, @nbounce: buffers for headers, and how many of them are in use
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
 * @asked:	the front-end has asked for features or protocol features
 * @owned_first: the front-end sent SET_OWNER before it asked
 * @features, @protocol: features that were negotiated
 * @status:	status of the device, as the front-end has set it
 * @mtu:	MTU that the front-end has set, bytes; 0: none
 * @hdr_len:	bytes of the virtio-net header before each frame
 * @mem:	memory of the guest
 * @msg, @have:	message that is being received, and how many of its bytes were
 *		received so far
 * @error:	-EPROTO if the guest has broken a rule of virtio, and the link
 *		must be closed; else 0
 * @ring:	rings of all pairs
 * @queue, @pair: queues of the link, and the pair of rings of each queue
 */
struct vhost_user {
	struct link link;
	int fd, backend_fd;
	bool asked, owned_first;
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
