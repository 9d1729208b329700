// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * arp.c - Which ARP requests of the guest passt answers, and what its replies
 * say.
 */
#include "../../answer/arp.c"
#include "test/unit/answer.h"

static bool deliver(struct world *w, const struct pkt *pkt)
{
	if (pkt->etype != ETH_P_ARP)
		return false;
	arp_from_guest(&w->answer, pkt);
	return true;
}

/* arp() - Make an ARP request in which the guest, as @sender, asks for the
 * Ethernet address of @target */
static struct arp_frame arp(const char *sender, const char *target)
{
	static const uint8_t all[MAC_LEN] = { 255, 255, 255, 255, 255, 255 };
	struct in6_addr s = addr(sender), t = addr(target);
	struct arp_frame f = {
		.smac = GUEST_MAC, .etype = htons(ETH_P_ARP),
		.arp = {
			.hrd = htons(1), .pro = htons(ETH_P_IP), .hln = 6,
			.pln = 4, .op = htons(1), .sha = GUEST_MAC,
			.spa = addr_v4(&s), .tpa = addr_v4(&t),
		},
	};

	memcpy(f.dmac, all, MAC_LEN);
	return f;
}

static void send_arp(struct world *w, const struct arp_frame *f)
{
	sends(w, (const uint8_t *)f, sizeof(*f));
}

static void ask(struct world *w, const char *sender, const char *target)
{
	struct arp_frame f = arp(sender, target);

	send_arp(w, &f);
}

/* Given a guest that uses the address of its lease, when it asks for its
 * router, then the reply says that the router is at passt's MAC address. */
static void story_gateway(struct world *w)
{
	static const uint8_t want[] = {
		0x52, 0x54, 0x00, 0x12, 0x34, 0x56,
		0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55, 0x08, 0x06,
		0, 1, 8, 0, 6, 4, 0, 2,
		0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55, 192, 0, 2, 1,
		0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 192, 0, 2, 15,
	};
	const uint8_t *reply;
	size_t len;

	ask(w, "192.0.2.15", "192.0.2.1");
	reply = gets_nth(w, 0, &len);
	if (check_eq("ARP for the gateway: one reply", w->mem.nsent, 1) &&
	    check_eq("ARP reply has its length", len, sizeof(want)))
		check_mem("ARP reply says our MAC", reply, want, sizeof(want));
}

static void story_others(struct world *w)
{
	ask(w, "192.0.2.15", "192.0.2.77");
	check("a neighbour is at our MAC", answered(w));
	ask(w, "192.0.2.15", "203.0.113.9");
	check("so is an address of another network", answered(w));
	ask(w, "192.0.2.15", "224.0.0.251");
	check("a group is not", !answered(w));
	ask(w, "192.0.2.15", "255.255.255.255");
	check("nor is broadcast", !answered(w));
	ask(w, "192.0.2.15", "127.0.0.1");
	check("nor is loopback", !answered(w));
	ask(w, "192.0.2.15", "0.0.0.0");
	check("nor is no address", !answered(w));
}

static void story_own(struct world *w)
{
	ask(w, "0.0.0.0", "192.0.2.15");
	check("a probe for its own address is unanswered", !answered(w));
	ask(w, "0.0.0.0", "192.0.2.77");
	check("a probe for a free address is unanswered", !answered(w));
	ask(w, "0.0.0.0", "192.0.2.1");
	check("a probe for the gateway's is answered", answered(w));

	ask(w, "192.0.2.15", "192.0.2.15");
	check("its announcement is unanswered", !answered(w));
	ask(w, "192.0.2.1", "192.0.2.1");
	check("announcing the gateway's is unanswered", !answered(w));

	ask(w, "192.0.2.40", "192.0.2.15");
	check("the assigned address is its own, whatever it uses",
	      !answered(w));
	ask(w, "192.0.2.40", "192.0.2.40");
	ask(w, "192.0.2.40", "192.0.2.41");
	check("with another address it gets answers", answered(w));
	ask(w, "0.0.0.0", "192.0.2.40");
	check("and that one is its own too", !answered(w));
}

/* When any one header field of an otherwise valid request is made invalid,
 * there is no reply. */
static void story_malformed(struct world *w)
{
	const struct arp_frame good = arp("192.0.2.15", "192.0.2.1");
	static const struct {
		const char *name;
		size_t at;
		uint8_t value;
	} bad[] = {
		{ "ARP: hardware is not Ethernet", 15, 6 },
		{ "ARP: protocol is not IPv4", 17, 0xdd },
		{ "ARP: hardware address length", 18, 8 },
		{ "ARP: protocol address length", 19, 16 },
		{ "ARP: a reply", 21, 2 },
		{ "ARP: a reverse request", 21, 3 },
		{ "ARP: no operation", 21, 0 },
	};
	struct arp_frame f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		f = good;
		((uint8_t *)&f)[bad[i].at] = bad[i].value;
		send_arp(w, &f);
		check(bad[i].name, !answered(w));
	}
}

static void story_lengths(struct world *w)
{
	struct arp_frame f = arp("192.0.2.15", "192.0.2.1");
	uint8_t padded[60] = { 0 };
	size_t len, wrong = 0;

	for (len = 0; len < sizeof(f); len++) {
		sends(w, (uint8_t *)&f, len);
		wrong += answered(w);
	}
	check_eq("ARP cut short at any length is unanswered", wrong, 0);

	memcpy(padded, &f, sizeof(f));
	sends(w, padded, sizeof(padded));
	check("ARP with Ethernet padding is answered", answered(w));
}

static void story_no_ipv4(struct world *w)
{
	w->net.lease.addr[IP4] = ADDR_NONE;
	ask(w, "192.0.2.15", "192.0.2.1");
	check("without IPv4 ARP is silent", !answered(w));
}

/* Given passt's MAC address that equals the guest's, as libvirt configures it,
 * then passt still answers, and its replies contain this address. */
static void story_shared_mac(struct world *w)
{
	const uint8_t *reply;
	size_t len;

	memcpy(w->net.lease.mac, guest_mac, MAC_LEN);
	ask(w, "192.0.2.15", "192.0.2.1");
	reply = gets_nth(w, 0, &len);
	if (check("with the guest's MAC as ours there is a reply", reply))
		check_mem("and it says that MAC", reply + 22, guest_mac,
			  MAC_LEN);
}

/* When the router's IP address or passt's MAC address changes, then passt
 * announces the router to the guest (RFC 5227 2.3). */
static void story_announced(struct world *w)
{
	static const uint8_t want[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55, 0x08, 0x06,
		0, 1, 8, 0, 6, 4, 0, 1,
		0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55, 192, 0, 2, 7,
		0, 0, 0, 0, 0, 0, 192, 0, 2, 7,
	};
	struct lease old = w->net.lease;
	const uint8_t *f;
	size_t len;

	w->net.lease.addr[IP4] = addr("192.0.2.16");
	change(w, &old);
	check("the same router is not announced", !answered(w));

	w->net.lease.router[IP4] = addr("192.0.2.7");
	change(w, &old);
	f = gets_nth(w, 0, &len);
	if (check_eq("another router is, once", w->mem.nsent, 1) &&
	    check("with all bytes of ARP", len >= sizeof(want)))
		check_mem("to all, at our MAC", f, want, sizeof(want));

	old = w->net.lease;
	old.mac[5]++;
	old.ndp = w->net.lease.ndp = false;
	change(w, &old);
	check_eq("so is the router if our MAC changes", w->mem.nsent, 1);

	w->net.lease.addr[IP4] = w->net.lease.router[IP4] = ADDR_NONE;
	change(w, &old);
	check("without IPv4 nothing is", !answered(w));
}

int main(void)
{
	static void (*const stories[])(struct world *w) = {
		story_gateway, story_others, story_own, story_malformed,
		story_lengths, story_no_ipv4, story_shared_mac,
		story_announced,
	};

	return tell(stories, ARRAY_SIZE(stories));
}
