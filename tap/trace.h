/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * trace.h - An observer that logs a line for each frame on a link, for --trace.
 */
#ifndef TAP_TRACE_H
#define TAP_TRACE_H

#include "link/link.h"

void trace_frames(struct link_observer *o, bool to_guest,
		  const struct frame *frames, unsigned int n);

#endif /* TAP_TRACE_H */
