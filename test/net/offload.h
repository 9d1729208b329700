/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * offload.h - What a network card with segmentation offload does for a guest:
 * cuts super-segments of the kernel into frames, joins frames into
 * super-segments. Called by standin.c; calls checksum.c and writes to the tap.
 */
#ifndef TEST_NET_OFFLOAD_H
#define TEST_NET_OFFLOAD_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define SUPER_MAX	(14 + 65535)	/* bytes: Ethernet and one IP packet */
#define JOIN_SEGMENTS	64

/**
 * struct seg - Where the parts of a TCP segment or UDP datagram with data are
 * in its frame
 * @l4:		offset of the TCP or UDP header
 * @hlen:	bytes of all headers
 * @len:	bytes of payload
 * @seq:	sequence number, host order; of UDP 0
 */
struct seg {
	unsigned int l4, hlen, len;
	uint32_t seq;
};

/**
 * struct join - The super-segment being put together, towards the kernel
 * @tap:	where it is written
 * @iov:	the virtio-net header, the headers, a payload for each segment
 * @n:		segments in it, 0: none
 * @first:	layout of the first, the headers of which it takes
 * @frame:	the first, borrowed until join_flush()
 * @vnet:	its virtio-net header
 * @next:	sequence number that goes on from it; of UDP 0
 * @total:	bytes of payload
 * @last:	a segment that may only be the last was taken
 * @joined:	counts segments that were joined to another
 */
struct join {
	int tap;
	struct iovec iov[JOIN_SEGMENTS + 2];
	unsigned int n;
	struct seg first;
	const uint8_t *frame;
	struct virtio_net_hdr_v1 vnet;
	uint32_t next, total;
	bool last;
	uint64_t joined;
};

void join_frame(struct join *j, const struct virtio_net_hdr_v1 *vnet,
		const uint8_t *frame, size_t len);
void join_flush(struct join *j);

bool cut_next(const struct virtio_net_hdr_v1 *vnet, const uint8_t *super,
	      size_t len, size_t *done, uint8_t *frame, size_t *flen);
void csum_finish(const struct virtio_net_hdr_v1 *vnet, uint8_t *frame,
		 size_t len);
void csum_trust(struct virtio_net_hdr_v1 *vnet, uint8_t *frame, size_t len);

#endif /* TEST_NET_OFFLOAD_H */
