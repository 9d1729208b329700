// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * tap_guest.c - Tests of two choices of passt: the guest's address to which new
 * flows lead, and the Ethernet address to which frames for an IP address go.
 */
#include "../../tap/guest.c"
#include "test/unit/addr.h"
#include "test/unit/unit.h"

#define LEASED4		"192.0.2.2"
#define LEASED6		"2001:db8:1::2"
#define SLAAC6		"2001:db8:1::5054:ff:fe12:3456"
#define LL6		"fe80::5054:ff:fe12:3456"
#define DOCKER4		"172.17.0.2"
#define DOCKER6		"fd00:17::2"

static struct tap_guest g;
static struct lease lease;
static uint64_t now;

/* mac() - Return the Ethernet address whose last byte is @n */
static const uint8_t *mac(uint8_t n)
{
	static uint8_t m[8][MAC_LEN];

	memcpy(m[n], (uint8_t[]){ 0x52, 0x54, 0, 0, 0, n }, MAC_LEN);
	return m[n];
}

/* start() - Begin with a new guest, whose lease has one address of each IP
 * version */
static void start(void)
{
	lease = (struct lease){
		.addr = { addr(LEASED4), addr(LEASED6) }, .len = { 24, 64 },
		.ra = true,
	};
	now = 1000;
	guest_reset(&g, &lease);
}

/* uses() - Let a packet with the source @a arrive from the Ethernet address
 * mac(@n) */
static void uses(const char *a, uint8_t n)
{
	struct in6_addr src = addr(a);

	guest_learn(&g, &lease, &src, mac(n), now);
}

/* goes() - Whether new flows lead to the address @a, and frames for it go to
 * the Ethernet address mac(@n) */
static bool goes(const char *a, uint8_t n)
{
	struct in6_addr want = addr(a);
	const struct in6_addr *to = &g.own[guest_kind(&want)].addr;

	return addr_eq(to, &want) && mac_eq(guest_find_mac(&g, to), mac(n));
}

/* is_at() - Whether frames for the address @a go to the Ethernet address
 * mac(@n) */
static bool is_at(const char *a, uint8_t n)
{
	struct in6_addr dst = addr(a);

	return mac_eq(guest_find_mac(&g, &dst), mac(n));
}

static void test_new(void)
{
	static const uint8_t all[MAC_LEN] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff
	};
	struct in6_addr a = addr(LEASED4);

	start();
	check("before it has sent, the guest has its lease, somewhere",
	      addr_eq(&g.own[GUEST_IP4].addr, &a) &&
	      mac_eq(guest_find_mac(&g, &a), all));
	guest_learn_mac(&g, mac(1));
	check("any frame tells where", goes(LEASED4, 1) && goes(LEASED6, 1));
	check("a link-local address is not known yet",
	      addr_is_none(&g.own[GUEST_IP6_LL].addr));
}

/* Given a guest that uses its lease, when it also sends packets of a container
 * without NAT, then new flows still lead to the guest's own addresses. */
static void test_leak(void)
{
	start();
	uses(LEASED4, 1);
	uses(SLAAC6, 1);
	uses(LL6, 1);
	uses(DOCKER4, 1);
	uses(DOCKER6, 1);
	check("a leaked packet moves no new flow of IPv4", goes(LEASED4, 1));
	check("nor of IPv6", goes(SLAAC6, 1) && goes(LL6, 1));
	check("its own flows are answered", is_at(DOCKER4, 1));
	uses(LEASED6, 1);
	uses(SLAAC6, 1);
	check("a leased address comes before one that the guest made",
	      goes(LEASED6, 1));
}

/* Given two machines behind one link, then each receives the frames for its
 * addresses, and new flows lead to the machine that uses the lease. */
static void test_second(void)
{
	start();
	uses(LEASED4, 1);
	uses(LL6, 1);
	uses(SLAAC6, 1);
	uses("192.0.2.77", 2);
	uses("2001:db8:1::77", 2);
	uses("fe80::77", 2);
	guest_learn_mac(&g, mac(2));
	check("the second takes over nothing",
	      goes(LEASED4, 1) && goes(LL6, 1) && goes(SLAAC6, 1));
	check("and has its own frames", is_at("192.0.2.77", 2) &&
	      is_at("2001:db8:1::77", 2) && is_at("fe80::77", 2));
	check("an address that nobody has used is the first's",
	      is_at("192.0.2.99", 1));

	start();
	uses("fe80::77", 2);
	uses("2001:db8:1::77", 2);
	uses(LEASED4, 1);
	uses(LL6, 1);
	uses(SLAAC6, 1);
	check("also if it was first", goes(LEASED4, 1) && goes(LL6, 1) &&
	      goes(SLAAC6, 1));
}

/* Given a guest that uses an address of its own choice, then new flows lead to
 * it, until the guest uses the leased address. */
static void test_chosen(void)
{
	struct in6_addr leased = addr(LEASED4);

	start();
	uses("10.0.0.5", 1);
	check("a guest may choose an address", goes("10.0.0.5", 1));
	uses("10.0.0.6", 1);
	check("and another", goes("10.0.0.6", 1) && is_at("10.0.0.5", 1));
	uses(LEASED4, 1);
	uses("10.0.0.6", 1);
	check("until it uses the one it was given", goes(LEASED4, 1));

	guest_gave_back(&g, &leased, mac(2));
	uses("10.0.0.6", 1);
	check("another can't give that back", goes(LEASED4, 1));
}

static void test_gave_back(void)
{
	struct in6_addr a = addr(LEASED4);

	start();
	uses(LEASED4, 1);
	guest_gave_back(&g, &a, mac(1));
	check("a lease that was given back is where new flows go for now",
	      goes(LEASED4, 1));
	uses("10.0.0.6", 1);
	check("until the guest uses another address", goes("10.0.0.6", 1));
	uses(LEASED4, 1);
	check("or the lease again", goes(LEASED4, 1));
}

/* Given an IP address that a second Ethernet address uses, then frames go to
 * the second Ethernet address only if it uses the IP address again after
 * NEIGHBOUR_HOLD ms, and no other Ethernet address has used the IP address in
 * between. */
static void test_moves(void)
{
	start();
	uses(LEASED4, 1);
	uses(LEASED4, 2);
	check("one packet does not move an address", goes(LEASED4, 1));
	now += NEIGHBOUR_HOLD - 1;
	uses(LEASED4, 2);
	check("nor do several at once", goes(LEASED4, 1));
	uses(LEASED4, 1);
	now += NEIGHBOUR_HOLD;
	uses(LEASED4, 2);
	check("nor while the first speaks", goes(LEASED4, 1));
	uses(LEASED4, 3);
	now += NEIGHBOUR_HOLD;
	uses(LEASED4, 2);
	check("nor two that disagree", goes(LEASED4, 1));
	now += NEIGHBOUR_HOLD;
	uses(LEASED4, 2);
	check("but one that stays does", goes(LEASED4, 2));
	check_eq("no rival is left", g.rivals, 0);
	uses("10.9.9.9", 2);
	uses("10.9.9.9", 3);
	now += NEIGHBOUR_HOLD;
	uses("10.9.9.9", 3);
	check("the same holds for any address", is_at("10.9.9.9", 3));
	check("and moves no other", goes(LEASED4, 2));
}

/* Given more addresses than passt can remember, then it never forgets the
 * addresses of the lease. */
static void test_many(void)
{
	char text[ADDR_STRLEN];
	unsigned int i;

	start();
	uses(LEASED4, 1);
	uses(LEASED6, 1);
	for (i = 0; i < 100000; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16 & 255,
			 i >> 8 & 255, i & 255);
		uses(text, (uint8_t)(2 + i % 3));
	}
	check("the lease is where it was",
	      goes(LEASED4, 1) && goes(LEASED6, 1));
	check("the last other address too", is_at(text, 2 + 99999 % 3));
	check_eq("nobody is a rival", g.rivals, 0);
}

static void test_several(void)
{
	start();
	lease.more[IP6][0] = addr("2001:db8:7::7");
	lease.more_len[IP6][0] = 64;
	lease.more[IP4][0] = addr("192.0.2.3");
	uses("192.0.2.3", 1);
	uses(DOCKER4, 1);
	check("a further address of the lease is given, too",
	      goes("192.0.2.3", 1));
	uses("2001:db8:7::1:2:3", 1);
	uses(DOCKER6, 1);
	check("and its prefix is announced", goes("2001:db8:7::1:2:3", 1));

	start();
	lease.ra = false;
	uses(SLAAC6, 1);
	uses(DOCKER6, 1);
	check("without announcements, no prefix is", goes(DOCKER6, 1));
}

/* Given a lease that changes, then new flows lead to its new address at once,
 * but if the guest has used the old address, not before it uses the new one. */
static void test_new_lease(void)
{
	start();
	uses(LEASED6, 1);
	lease.addr[IP4] = addr("192.0.2.9");
	lease.addr[IP6] = addr("2001:db8:9::2");
	guest_new_lease(&g, &lease);
	check("an address that the guest has not used is replaced",
	      addr_eq(&g.own[GUEST_IP4].addr, &lease.addr[IP4]));
	check("one that it uses stays", goes(LEASED6, 1));
	uses("2001:db8:9::2", 1);
	check("until it uses the new one", goes("2001:db8:9::2", 1));
}

int main(void)
{
	test_new();
	test_leak();
	test_second();
	test_chosen();
	test_gave_back();
	test_moves();
	test_many();
	test_several();
	test_new_lease();
	return unit_end();
}
