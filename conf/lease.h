/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * lease.h - What the guest is given by the services in answer/. derive() makes
 * it from the options and the host's configuration.
 */
#ifndef CONF_LEASE_H
#define CONF_LEASE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h"

#define LEASE_DNS	8		/* resolvers of one family */
#define LEASE_SEARCH	256		/* bytes of a search list, dotted */
#define LEASE_NAME	256

/**
 * struct lease - What the guest is given; arrays have one element per family
 * @addr:	the guest's address; none: no DHCP answer, no DHCPv6 address,
 *		and router advertisements without a prefix
 * @len:	its prefix length
 * @router:	our address: DHCP option 3 and the source of DHCP; for IPv6 the
 *		link-local source of RA, NDP and DHCPv6
 * @dns:	resolvers, none after the last
 * @search:	domains separated by one space
 * @hostname:	option 12, empty: none
 * @fqdn:	options 81 and DHCPv6 39, empty: none
 * @mtu:	option 26 and RA MTU; 0: not announced
 * @mac:	our MAC
 * @dhcp, @dhcpv6, @ndp, @ra: the service answers
 * @dhcp_dns, @dhcp_search: hand resolvers and domains out
 */
struct lease {
	struct in6_addr addr[FAMILIES];
	unsigned int len[FAMILIES];
	struct in6_addr router[FAMILIES];
	struct in6_addr dns[FAMILIES][LEASE_DNS];
	char search[LEASE_SEARCH];
	char hostname[LEASE_NAME], fqdn[LEASE_NAME];
	uint32_t mtu;
	uint8_t mac[MAC_LEN];
	bool dhcp, dhcpv6, ndp, ra;
	bool dhcp_dns, dhcp_search;
};

#endif /* CONF_LEASE_H */
