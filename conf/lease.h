/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * lease.h - The lease: everything that the answering services tell the guest.
 * derive() makes it from the options and the host's configuration.
 */
#ifndef CONF_LEASE_H
#define CONF_LEASE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h"

#define LEASE_DNS	8		/* resolvers of one family, at most */
#define LEASE_SEARCH	256		/* bytes of a search list as a string */
#define LEASE_NAME	256		/* bytes of a name as a string */

/**
 * struct lease - What the answering services tell the guest; arrays of FAMILIES
 *		have one element per family
 * @addr:	address of the guest. If it is none, DHCP does not answer,
 *		DHCPv6 gives no address, and router advertisements have no
 *		prefix
 * @len:	prefix length of @addr
 * @router:	address of passt as the guest's router. IPv4: DHCP option 3, and
 *		source of DHCP messages. IPv6: link-local source of router
 *		advertisements and DHCPv6 messages
 * @dns:	resolvers; none after the last
 * @search:	domains of the search list, separated by one space
 * @hostname:	DHCP option 12, empty: none
 * @fqdn:	DHCP option 81 and DHCPv6 option 39, empty: none
 * @mtu:	MTU in DHCP option 26 and in router advertisements, bytes; 0:
 *		not announced
 * @mac:	MAC address of passt on the link
 * @dhcp, @dhcpv6, @ndp, @ra: this answering service is on
 * @dhcp_dns:	the services tell the guest resolvers
 * @dhcp_search: the services tell the guest the search list
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
