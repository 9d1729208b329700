/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * guest.h - Records which IP addresses the guest uses, and at which Ethernet
 * address each of them is.
 */
#ifndef TAP_GUEST_H
#define TAP_GUEST_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/lease.h"

#define NEIGHBOURS	256	/* entries of @other in struct tap_guest */
#define NEIGHBOUR_HOLD	1000	/* ms, as Linux's locktime in arp(7) */

/* Kinds of the guest's addresses. New flows go to one address of each kind. */
enum guest_kind {
	GUEST_IP4 = IP4,
	GUEST_IP6 = IP6,	/* global and unique local addresses */
	GUEST_IP6_LL,		/* link-local addresses */
	GUEST_KINDS,
};

/**
 * struct neighbour - IP address on the guest's side, with its Ethernet address
 * @addr:	IP address; none: the entry is not in use
 * @mac:	Ethernet address at which @addr is
 * @rival:	another Ethernet address that has used @addr since @mac did.
 *		note_use() says when @rival replaces @mac
 * @rival_at:	when @rival first used @addr, ms; 0: there is no rival
 */
struct neighbour {
	struct in6_addr addr;
	uint8_t mac[MAC_LEN], rival[MAC_LEN];
	uint64_t rival_at;
};

/**
 * struct tap_guest - What is known of the guest's addresses
 * @own:	for each kind of address, the one that new flows go to
 * @used:	for each kind of address, whether the guest uses the address in
 *		@own. If not, @own is none, or the lease's address, which the
 *		guest has not used yet or has given back; @own.mac is then not
 *		valid
 * @mac:	Ethernet address of the guest itself; broadcast until the guest
 *		has sent a frame
 * @mac_known:	the guest has used an address of the lease, or one from an
 *		announced prefix, from @mac
 * @other:	other addresses on the guest's side: of containers and machines
 *		behind the guest, or addresses that were in @own before
 * @rivals:	number of entries in @own and @other that have a rival, that is,
 *		a second Ethernet address that uses the same IP address
 */
struct tap_guest {
	struct neighbour own[GUEST_KINDS];
	bool used[GUEST_KINDS];
	uint8_t mac[MAC_LEN];
	bool mac_known;
	struct neighbour other[NEIGHBOURS];
	unsigned int rivals;
};

void guest_new_lease(struct tap_guest *g, const struct lease *l);
void guest_reset(struct tap_guest *g, const struct lease *l);
void guest_learn(struct tap_guest *g, const struct lease *l,
		 const struct in6_addr *addr, const uint8_t mac[MAC_LEN],
		 uint64_t now);
void guest_learn_mac(struct tap_guest *g, const uint8_t mac[MAC_LEN]);
void guest_gave_back(struct tap_guest *g, const struct in6_addr *addr,
		     const uint8_t mac[MAC_LEN]);
const uint8_t *guest_find_mac(const struct tap_guest *g,
			      const struct in6_addr *addr);
enum guest_kind guest_kind(const struct in6_addr *addr);

#endif /* TAP_GUEST_H */
