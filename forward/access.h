/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * access.h - Keeps the guest from the host's own addresses (--no-host-access).
 */
#ifndef FORWARD_ACCESS_H
#define FORWARD_ACCESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/net.h"

/* How long an answer of the kernel about a flow's peer is valid, ms. If the
 * host gets the address of the peer while the flow is open, the guest's packets
 * are refused after this time at the latest. */
#define ACCESS_VALID	1000

/**
 * struct access - Asks the kernel which addresses are the host's
 * @net:	network of the guest
 * @nl:		netlink socket
 * @seq:	netlink sequence number of the last question
 */
struct access {
	const struct net *net;
	int nl;
	uint32_t seq;
};

int access_open(struct access *a, const struct net *net);
void access_close(struct access *a);
bool access_denied(struct access *a, const struct in6_addr *visible,
		   uint16_t port, const struct in6_addr *real, uint32_t scope);

#endif /* FORWARD_ACCESS_H */
