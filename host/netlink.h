/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * netlink.h - Reads the host's addresses and routes over rtnetlink(7).
 */
#ifndef HOST_NETLINK_H
#define HOST_NETLINK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * struct nl - A netlink socket, while the host is read
 * @fd:		what nl_open() returned; if < 0, nothing is found
 * @error:	-errno if there is no socket, or if the kernel has not answered
 *		a question for lack of memory or another reason that may pass:
 *		the functions below may then have missed what the host has.
 *		Else 0
 */
struct nl {
	int fd, error;
};

int nl_open(void);
unsigned int nl_default_if(struct nl *nl, int family);
bool nl_gateway(struct nl *nl, int family, unsigned int ifindex,
		struct in6_addr *gw, struct in6_addr *src);
unsigned int nl_address(struct nl *nl, int family, unsigned int ifindex,
			const struct in6_addr *prefer, struct in6_addr *addr,
			unsigned int *len);

int nl_addresses(struct nl *nl,
		 bool (*add)(void *arg, const struct in6_addr *addr),
		 void *arg);

#endif /* HOST_NETLINK_H */
