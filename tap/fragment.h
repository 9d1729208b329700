/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * fragment.h - Packets to the guest that are longer than its MTU.
 */
#ifndef TAP_FRAGMENT_H
#define TAP_FRAGMENT_H

#include <stddef.h>
#include <stdint.h>

struct tap;
struct tap_hdr;

/**
 * struct long_packet - A packet that goes to the guest in fragments
 * @hdr:	its headers, as tap_hdr_init() made them
 * @proto:	IPPROTO_*
 * @l4, @len:	transport header, whatever its checksum is, and payload
 * @check:	its checksum
 * @check_at:	offset of the checksum in @l4, below 48: in the first fragment
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
