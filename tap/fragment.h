/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * fragment.h - Sends packets that are longer than the guest's MTU in fragments.
 */
#ifndef TAP_FRAGMENT_H
#define TAP_FRAGMENT_H

#include <stddef.h>
#include <stdint.h>

struct tap;
struct tap_hdr;

/**
 * struct long_packet - A packet that goes to the guest in fragments
 * @hdr:	Ethernet and IP headers, as tap_hdr_init() prepared them
 * @proto:	transport protocol, IPPROTO_*
 * @l4, @len:	transport header and payload, and their length in bytes. The
 *		checksum field in the header is ignored
 * @check:	transport checksum of the packet, for the first fragment
 * @check_at:	offset of the checksum field in @l4. It is below 48, so that the
 *		field always lies in the first fragment
 */
struct long_packet {
	const struct tap_hdr *hdr;
	uint8_t proto;
	const uint8_t *l4;
	size_t len;
	uint16_t check;
	size_t check_at;
};

int fragment_to_guest(struct tap *t, const struct long_packet *w, size_t mtu);

#endif /* TAP_FRAGMENT_H */
