/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * landlock.h - Rules of Landlock, landlock(7).
 */
#ifndef HOST_LANDLOCK_H
#define HOST_LANDLOCK_H

#include <stdint.h>

int landlock_enter(const uint8_t *tcp_ports, unsigned int ntcp_ports,
		   const char **lacks);

#endif /* HOST_LANDLOCK_H */
