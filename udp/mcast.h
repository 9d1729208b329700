/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * mcast.h - Datagrams to and from multicast groups. Without --multicast, passt
 * drops them. With --multicast, passt relays those of mDNS, SSDP and LLMNR, by
 * which machines on a network find each other and their services.
 */
#ifndef UDP_MCAST_H
#define UDP_MCAST_H

#include <stdint.h>

#include "udp/flow.h"

int mcast_open(struct udp *u);
void mcast_follow(struct udp *u);
void mcast_forget(struct udp *u);
void mcast_close(struct udp *u);
void mcast_group_event(struct udp *u, unsigned int index, uint64_t now);

bool mcast_from_guest(struct udp *u, const struct pkt *batch, unsigned int n,
		      uint64_t now);
bool mcast_event(struct udp *u, struct udp_flow *uf, uint32_t events,
		 uint64_t now);

#endif /* UDP_MCAST_H */
