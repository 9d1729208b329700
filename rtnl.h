/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * rtnl.h - Requests of rtnetlink(7) for the route to an address.
 */
#ifndef RTNL_H
#define RTNL_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdint.h>

/**
 * struct route_request - A request for the route to an address
 * @h, @m:	headers
 * @attr:	attributes RTA_DST and RTA_OIF
 */
struct route_request {
	struct nlmsghdr h;
	struct rtmsg m;
	uint8_t attr[RTA_SPACE(sizeof(struct in6_addr)) +
		     RTA_SPACE(sizeof(uint32_t))];
};

void route_request_make(struct route_request *r, const struct in6_addr *dst,
			uint32_t oif, uint32_t seq);

#endif /* RTNL_H */
