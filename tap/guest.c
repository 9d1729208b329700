// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * guest.c - Learns which IP addresses the guest uses, and at which Ethernet
 * address each of them is.
 *
 * For each kind of address (IPv4, IPv6, link-local IPv6), new flows from peers
 * go to one address of the guest. A packet of the guest with another source
 * address does not always change this: it may come from a container whose
 * address the guest did not translate, or from a second machine behind the same
 * link. So addresses have ranks. An address that passt gave the guest
 * ranks above one that the guest chose itself, and both rank above one that is
 * used from another Ethernet address than the guest's.
 */
#include <string.h>

#include "tap/guest.h"

/* How well an address suits new flows, in ascending order. */
enum guest_rank {
	RANK_FOREIGN,		/* used from another Ethernet address than
				 * the guest's */
	RANK_CHOSEN,		/* in no announced prefix and not leased: the
				 * guest's user has set it */
	RANK_MADE,		/* link-local, or made from an announced prefix
				 * (RFC 4862) */
	RANK_LEASED,		/* an address of the lease */
};

static bool mac_eq(const uint8_t a[MAC_LEN], const uint8_t b[MAC_LEN])
{
	return !memcmp(a, b, MAC_LEN);
}

/* guest_kind() - Return the kind of a unicast address */
enum guest_kind guest_kind(const struct in6_addr *addr)
{
	if (addr_is_v4(addr))
		return GUEST_IP4;
	return addr_is_linklocal(addr) ? GUEST_IP6_LL : GUEST_IP6;
}

/* rank_address() - Rate an address that is used from @mac */
static enum guest_rank rank_address(const struct tap_guest *g,
				    const struct lease *l,
				    const struct in6_addr *addr,
				    const uint8_t mac[MAC_LEN])
{
	if (lease_has(l, addr))
		return RANK_LEASED;
	if (g->mac_known && !mac_eq(mac, g->mac))
		return RANK_FOREIGN;
	if (guest_kind(addr) == GUEST_IP6_LL || lease_announces(l, addr))
		return RANK_MADE;
	return RANK_CHOSEN;
}

/* other_index() - Return the index of the only entry in @other that an address
 * can be in. If several addresses have the same index, the entry holds the one
 * that was used last. */
static unsigned int other_index(const struct in6_addr *addr)
{
	uint32_t a[4], hash;

	memcpy(a, addr, sizeof(a));
	hash = (a[0] ^ a[1] ^ a[2] ^ a[3]) * 0x9e3779b1;	/* Fibonacci */
	return hash >> 24;
}

_Static_assert(NEIGHBOURS == 1 << 8, "as many as other_index() returns");

static void clear_rival(struct tap_guest *g, struct neighbour *n)
{
	g->rivals -= n->rival_at != 0;
	n->rival_at = 0;
}

static void set_neighbour(struct tap_guest *g, struct neighbour *n,
			  const struct in6_addr *addr,
			  const uint8_t mac[MAC_LEN])
{
	clear_rival(g, n);
	n->addr = *addr;
	memcpy(n->mac, mac, MAC_LEN);
}

/*
 * note_use() - Note that an address was used from @mac
 *
 * One packet from another Ethernet address does not change @n->mac: the other
 * address only becomes the rival. The rival replaces @n->mac if it uses the IP
 * address again after NEIGHBOUR_HOLD ms or more. If @n->mac uses the IP address
 * in between, the rival is forgotten.
 */
static void note_use(struct tap_guest *g, struct neighbour *n,
		     const uint8_t mac[MAC_LEN], uint64_t now)
{
	if (mac_eq(n->mac, mac)) {
		clear_rival(g, n);
	} else if (!n->rival_at || !mac_eq(n->rival, mac)) {
		clear_rival(g, n);
		memcpy(n->rival, mac, MAC_LEN);
		n->rival_at = now;
		g->rivals++;
	} else if (now - n->rival_at >= NEIGHBOUR_HOLD) {
		set_neighbour(g, n, &n->addr, mac);
	}
}

/* find_neighbour() - Find the entry of an address, and note that the address
 * was used from @mac; if there is no entry, add one. Return the entry */
static struct neighbour *find_neighbour(struct tap_guest *g,
					enum guest_kind kind,
					const struct in6_addr *addr,
					const uint8_t mac[MAC_LEN],
					uint64_t now)
{
	struct neighbour *n = &g->own[kind];

	if (g->used[kind] && addr_eq(&n->addr, addr)) {
		note_use(g, n, mac, now);
		return n;
	}
	n = &g->other[other_index(addr)];
	if (addr_eq(&n->addr, addr))
		note_use(g, n, mac, now);
	else
		set_neighbour(g, n, addr, mac);
	return n;
}

/* make_own() - Let new flows go to the address in entry @n */
static void make_own(struct tap_guest *g, enum guest_kind kind,
		     struct neighbour *n)
{
	struct neighbour *own = &g->own[kind], before = *own;

	if (n == own)
		return;
	set_neighbour(g, own, &n->addr, n->mac);
	clear_rival(g, n);
	n->addr = ADDR_NONE;
	if (g->used[kind])
		set_neighbour(g, &g->other[other_index(&before.addr)],
			      &before.addr, before.mac);
	g->used[kind] = true;
}

/**
 * guest_learn() - Note that an address on the guest's side was used, or is
 * about to be used
 * @g:		guest
 * @l:		lease of the guest
 * @addr:	unicast address
 * @mac:	Ethernet address that it was used from
 */
void guest_learn(struct tap_guest *g, const struct lease *l,
		 const struct in6_addr *addr, const uint8_t mac[MAC_LEN],
		 uint64_t now)
{
	enum guest_kind kind = guest_kind(addr);
	const struct neighbour *own = &g->own[kind];
	struct neighbour *n;
	enum guest_rank rank;

	/* Most packets return here, because they show nothing new. */
	if (!g->rivals && g->used[kind] && addr_eq(&own->addr, addr) &&
	    mac_eq(own->mac, mac))
		return;

	n = find_neighbour(g, kind, addr, mac, now);
	rank = rank_address(g, l, addr, n->mac);
	if (rank == RANK_LEASED || !g->mac_known) {
		memcpy(g->mac, n->mac, MAC_LEN);
		g->mac_known = rank >= RANK_MADE && kind != GUEST_IP6_LL;
	}
	if (!g->used[kind] ||
	    rank >= rank_address(g, l, &own->addr, own->mac))
		make_own(g, kind, n);
}

/**
 * guest_learn_mac() - Note that a frame came from an Ethernet address, if the
 * frame has no unicast source address
 */
void guest_learn_mac(struct tap_guest *g, const uint8_t mac[MAC_LEN])
{
	if (!g->mac_known)
		memcpy(g->mac, mac, MAC_LEN);
}

/**
 * guest_gave_back() - Note that the guest does not use an address of the lease
 * any more, so that new flows go to the next address of this kind that it uses
 * @addr:	address of the lease
 * @mac:	Ethernet address of the sender. Nothing happens if @addr is at
 *		another Ethernet address
 */
void guest_gave_back(struct tap_guest *g, const struct in6_addr *addr,
		     const uint8_t mac[MAC_LEN])
{
	enum guest_kind kind = guest_kind(addr);
	struct neighbour *own = &g->own[kind];

	if (!g->used[kind] || !addr_eq(&own->addr, addr) ||
	    !mac_eq(own->mac, mac))
		return;
	clear_rival(g, own);
	g->used[kind] = false;
}

/**
 * guest_find_mac() - Find the Ethernet destination address of a packet to the
 * guest
 * @addr:	unicast destination address
 *
 * Return: the Ethernet address at which @addr is; if this is not known, the
 *	   Ethernet address of the guest itself
 */
const uint8_t *guest_find_mac(const struct tap_guest *g,
			      const struct in6_addr *addr)
{
	enum guest_kind kind = guest_kind(addr);
	const struct neighbour *n;

	if (addr_eq(&g->own[kind].addr, addr))
		return g->used[kind] ? g->own[kind].mac : g->mac;
	n = &g->other[other_index(addr)];
	return addr_eq(&n->addr, addr) ? n->mac : g->mac;
}

/**
 * guest_reset() - Forget everything, for a new guest
 *
 * The new guest is assumed to have the addresses of its lease, until it uses
 * others.
 */
void guest_reset(struct tap_guest *g, const struct lease *l)
{
	memset(g, 0, sizeof(*g));
	memset(g->mac, 0xff, MAC_LEN);
	g->own[GUEST_IP4].addr = l->addr[IP4];
	g->own[GUEST_IP6].addr = l->addr[IP6];
}

/* guest_new_lease() - Let new flows go to the addresses of a new lease, if the
 * guest has used no address of the same kind */
void guest_new_lease(struct tap_guest *g, const struct lease *l)
{
	if (!g->used[GUEST_IP4])
		g->own[GUEST_IP4].addr = l->addr[IP4];
	if (!g->used[GUEST_IP6])
		g->own[GUEST_IP6].addr = l->addr[IP6];
}
