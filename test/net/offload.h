/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * offload.h - Does in software what a network card with segmentation offload
 * does: cuts GSO frames of the kernel into single frames (TSO, USO), and joins
 * single frames into GSO frames for the kernel (LRO).
 */
#ifndef TEST_NET_OFFLOAD_H
#define TEST_NET_OFFLOAD_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define SUPER_MAX	(14 + 65535)	/* bytes: Ethernet and one IP packet */
#define JOIN_SEGMENTS	64		/* most segments in one GSO frame */

/**
 * struct seg - Layout of a frame with a TCP segment or UDP datagram
 * @l4:		offset of the TCP or UDP header in the frame
 * @hlen:	bytes of all headers
 * @len:	bytes of payload, not zero
 * @seq:	TCP sequence number, host order; 0 for UDP
 */
struct seg {
	unsigned int l4, hlen, len;
	uint32_t seq;
};

/**
 * struct join - A GSO frame for the kernel while it is being made
 * @tap:	tap to which it will be written
 * @iov:	virtio-net header, other headers, the payload of each segment
 * @n:		number of segments in it so far
 * @first:	layout of the first segment, whose headers the GSO frame gets
 * @frame:	the first frame; must stay valid until join_flush()
 * @vnet:	virtio-net header of the first frame
 * @next:	sequence number that the next segment must have; 0 for UDP
 * @total:	bytes of payload so far
 * @last:	nothing may follow the last segment: it is short, or has PSH
 * @joined:	how many segments were ever joined to an earlier one
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
