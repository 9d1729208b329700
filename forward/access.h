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

/* How long the answer for a flow is valid, ms: an address that the host gets
 * while a flow is open is closed to the flow after this time. */
#define ACCESS_VALID	1000

/**
 * struct access - Asks the kernel which addresses are the host's
 * @net:	network of the guest
 * @nl:		netlink socket
 * @seq:	sequence number of the last question
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
