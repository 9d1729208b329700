/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * parse.h - Checks a frame from the guest, and finds its headers and payload.
 */
#ifndef TAP_PARSE_H
#define TAP_PARSE_H

#include "tap.h"

enum tap_counter parse_frame(struct frame *f, bool shared, uint8_t *copy,
			     struct pkt *pkt, struct fragment *frag);

#endif /* TAP_PARSE_H */
