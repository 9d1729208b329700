/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * lease.h - What the guest is given: made from the options and the host's own
 * configuration by conf/conf.c, handed out by answer/.
 */
#ifndef CONF_LEASE_H
#define CONF_LEASE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h"

#define LEASE_DNS	8
#define LEASE_SEARCH	256		/* bytes of a search list, dotted */
#define LEASE_NAME	256

/**
 * struct lease - What the guest is given, made by host/ from the host's own
 * configuration and the options
 * @addr4, @len4: IPv4 address and prefix length; none: no DHCP answer
 * @gw4:	router, option 3; also where our answers come from
 * @addr6, @len6: IPv6 address and prefix length; none: no DHCPv6 address,
 *		and router advertisements without a prefix
 * @gw6:	link-local source of RA, NDP and DHCPv6: our address
 * @dns4, @dns6: resolvers, none after the last
 * @search:	domains separated by one space
 * @hostname:	option 12, empty: none
 * @fqdn:	options 81 and DHCPv6 39, empty: none
 * @mtu:	option 26 and RA MTU; 0: not announced
 * @mac:	our MAC
 * @dhcp, @dhcpv6, @ndp, @ra: the service answers
 * @dhcp_dns, @dhcp_search: hand resolvers and domains out
 */
struct lease {
	struct in6_addr addr4, gw4, addr6, gw6;
	unsigned int len4, len6;
	struct in6_addr dns4[LEASE_DNS], dns6[LEASE_DNS];
	char search[LEASE_SEARCH];
	char hostname[LEASE_NAME], fqdn[LEASE_NAME];
	uint32_t mtu;
	uint8_t mac[MAC_LEN];
	bool dhcp, dhcpv6, ndp, ra;
	bool dhcp_dns, dhcp_search;
};

#endif /* CONF_LEASE_H */
