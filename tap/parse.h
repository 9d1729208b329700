/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * parse.h - A frame of the guest, checked and taken apart. For tap.c.
 */
#ifndef TAP_PARSE_H
#define TAP_PARSE_H

#include "tap.h"

enum tap_counter parse_frame(struct frame *f, bool shared, uint8_t *copy,
			     struct pkt *pkt, struct fragment *frag);

#endif /* TAP_PARSE_H */
