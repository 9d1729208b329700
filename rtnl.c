// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * rtnl.c - Requests of rtnetlink(7) for the route to an address.
 */
#include <string.h>

#include "rtnl.h"
#include "util.h"

static void add_attr(struct route_request *r, uint16_t type, const void *data,
		     size_t len)
{
	struct rtattr rta = {
		.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type,
	};
	uint8_t *at = (uint8_t *)r + r->h.nlmsg_len;

	memcpy(at, &rta, sizeof(rta));
	memcpy(at + RTA_LENGTH(0), data, len);
	r->h.nlmsg_len += (uint32_t)RTA_SPACE(len);
}

/**
 * route_request_make() - Make a request for the route to an address
 * @r:		filled; the caller sends the first @r->h.nlmsg_len bytes of it
 * @dst:	address
 * @oif:	index of the interface by which packets are to leave, 0: any
 * @seq:	sequence number, which the answer will have, too
 */
void route_request_make(struct route_request *r, const struct in6_addr *dst,
			uint32_t oif, uint32_t seq)
{
	bool v4 = addr_is_v4(dst);
	struct in_addr dst4 = addr_v4(dst);

	*r = (struct route_request){
		.h = {
			.nlmsg_len = NLMSG_LENGTH(sizeof(r->m)),
			.nlmsg_type = RTM_GETROUTE,
			.nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = seq,
		},
		.m = {
			.rtm_family = (uint8_t)addr_family(dst),
			.rtm_dst_len = v4 ? 32 : 128,
		},
	};
	if (v4)
		add_attr(r, RTA_DST, &dst4, sizeof(dst4));
	else
		add_attr(r, RTA_DST, dst, sizeof(*dst));
	if (oif)
		add_attr(r, RTA_OIF, &oif, sizeof(oif));
}
