// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * answer.c - libFuzzer target: whatever a guest sends, ARP, NDP, DHCP and
 * DHCPv6 answer with at most three frames, which are valid and not too long.
 * Only DHCP's NAK, and router advertisements after the lease has changed, need
 * more than one.
 *
 * Each input is one frame. The target first parses the frame as it is, without
 * verifying checksums. Then it gives the bytes after the headers directly to
 * DHCP, DHCPv6 and NDP, so that mutations reach these services even if the
 * headers are not valid. Bits of the first byte select the lease and the source
 * address (enum pick). This byte is in the destination MAC address, which the
 * services hardly look at.
 */
#include "answer/answer.h"
#include "checksum.h"
#include "test/memory.h"
#include "tap/parse.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/mutate.h"

#define MTU		1500
#define NOW		1000000
#define SEED_LEN	16	/* last bytes of a frame, for search domains */
#define OUR_MAC		{ 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 }

#define ETH_IP4_UDP	(14 + 20 + 8)
#define ETH_IP6_UDP	(14 + 40 + 8)
#define ETH_IP6		(14 + 40)

/*
 * Bits of the first byte of a frame. A broadcast frame has all bits set, which
 * selects the usual lease.
 */
enum pick {
	PICK_ADDR4	= 0x01,		/* the lease has an IPv4 address */
	PICK_ADDR6	= 0x02,		/* the lease has an IPv6 address */
	PICK_PREFIX	= 0x04,		/* the IPv4 router is in the prefix */
	PICK_LL_GW	= 0x08,		/* the IPv6 router is link-local */
	PICK_LITTLE	= 0x10,		/* short names, and few resolvers */
	PICK_SOURCE	= 0x20,		/* NDP messages have a source address */
	PICK_SAME	= 0x40,		/* the lease has never changed */
	PICK_RA		= 0x80,		/* passt is a router */
};

/* struct world - The answering services, and a guest on a link in memory */
struct world {
	struct memory mem;
	struct tap tap;
	struct timers timers;
	struct net net;
	struct answer answer;
};

static struct in6_addr addr(const char *s)
{
	struct in6_addr a;

	MUST(addr_parse(s, &a));
	return a;
}

/* fill_search() - Fill the list of search domains with names that the input
 * determines, valid or not, such as a resolv.conf may have */
static void fill_search(struct lease *l, const uint8_t *seed)
{
	static const char chars[] = "aaaabc. ";
	char last = ' ', c;
	size_t i;

	for (i = 0; i < sizeof(l->search) - 1; i++) {
		c = chars[(seed[i % SEED_LEN] >> i / SEED_LEN % 6) & 7];
		if (c == ' ' && last == ' ')
			c = 'a';
		l->search[i] = last = c;
	}
}

/* fill_lease() - Fill the lease with the longest names, and as many addresses,
 * resolvers and search domains as it has space for */
static void fill_lease(struct lease *l, const uint8_t *seed)
{
	size_t i;

	memset(l->hostname, 'h', sizeof(l->hostname) - 1);
	memset(l->fqdn, 'f', sizeof(l->fqdn) - 1);
	for (i = 0; i < LEASE_DNS; i++) {
		l->dns[IP4][i] = addr("192.0.2.53");
		l->dns[IP6][i] = addr("2001:db8::53");
	}
	for (i = 0; i < LEASE_ADDRS - 1; i++) {
		l->more[IP6][i] = addr("2001:db8:1::3");
		l->more[IP6][i].s6_addr[5] = (uint8_t)(i / 2);
		l->more_len[IP6][i] = i % 3 ? 64 : 128;
	}
	fill_search(l, seed);
}

static void lease_pick(struct lease *l, uint8_t pick, const uint8_t *seed)
{
	*l = (struct lease){
		.addr[IP4] = addr("192.0.2.2"), .len[IP4] = 24,
		.router[IP4] = addr("192.0.2.1"),
		.addr[IP6] = addr("2001:db8:1::2"), .len[IP6] = 64,
		.router[IP6] = addr("fe80::1"),
		.dns[IP4] = { addr("192.0.2.53") },
		.dns[IP6] = { addr("2001:db8::53") },
		.search = "example.com lab.example.com",
		.hostname = "guest", .fqdn = "guest.example.com",
		.mtu = 65520, .time = LEASE_TIME, .mac = OUR_MAC,
		.dhcp = true, .dhcpv6 = true, .ndp = true, .ra = true,
		.dhcp_dns = true, .dhcp_search = true,
	};
	if (!(pick & PICK_ADDR4))
		l->addr[IP4] = ADDR_NONE;
	if (!(pick & PICK_ADDR6))
		l->addr[IP6] = ADDR_NONE;
	if (!(pick & PICK_PREFIX))
		l->len[IP4] = 32;
	if (!(pick & PICK_LL_GW))
		l->router[IP6] = addr("2001:db8:1::1");
	if (!(pick & PICK_LITTLE))
		fill_lease(l, seed);
	if (!(pick & PICK_PREFIX))
		l->mtu = 1000;
	l->ra = pick & PICK_RA;
}

/**
 * check_sound() - Check with passt's parser that an answer is valid
 * @frame:	frame that was sent to the guest
 */
static void check_sound(struct iovec frame)
{
	uint8_t copy[PKT_HDR_MAX];
	struct frame f = { .iov = &frame, .iovcnt = 1,
			   .len = (uint32_t)frame.iov_len };
	struct fragment frag;
	struct pkt pkt;

	MUST(frame.iov_len <= 14 + MTU);
	MUST(parse_frame(&f, false, copy, &pkt, &frag) == DROP_NONE);
}

/* check_answers() - Check that there are at most @most answers, and that each
 * is valid */
static void check_answers(struct world *w, unsigned int most)
{
	unsigned int i;

	link_flush(w->mem.queue);
	MUST(w->mem.nsent <= most);
	for (i = 0; i < w->mem.nsent; i++)
		check_sound(w->mem.sent[i]);
	memory_clear(&w->mem);
}

/* advertise() - Let the time come for the next router advertisement. It may
 * come with two more, which withdraw entries and the former router */
static void advertise(struct world *w)
{
	ra_timer(&w->answer, NOW);
	check_answers(w, 3);
}

/* world_open() - Start the services. Unless @pick says that the lease has never
 * changed, the lease first differs from that as much as possible */
static void world_open(struct world *w, uint8_t pick, const uint8_t *seed)
{
	bool same = pick & PICK_SAME;
	struct lease old;

	MUST(!memory_open(&w->mem, 16384));
	lease_pick(&w->net.lease, same ? pick : (uint8_t)~pick, seed);
	if (!same) {
		w->net.lease.router[IP4] = addr("192.0.2.3");
		w->net.lease.addr[IP6].s6_addr[0] ^= 0x01;
		w->net.lease.dns[IP6][0] = addr("2001:db8::54");
		w->net.lease.ra ^= !!(pick & PICK_SOURCE);
	}
	w->net.mtu = 65520;
	tap_init(&w->tap, &w->mem.link, w->mem.queue, &w->net);
	timers_init(&w->timers, NOW);
	answer_init(&w->answer, &w->tap, &w->net.lease, &w->timers, 0);
	answer_guest_up(&w->answer, NOW);
	if (same)
		return;
	advertise(w);
	old = w->net.lease;
	lease_pick(&w->net.lease, pick, seed);
	answer_lease_changed(&w->answer, &old, NOW);
	check_answers(w, 5);
	answer_lease_changed(&w->answer, &w->net.lease, NOW + 60 * SEC);
	check_answers(w, 0);	/* nothing has changed */
}

/* serve() - Give a packet to the answering services, and check the answers */
static void serve(struct world *w, const struct pkt *pkt)
{
	answer_from_guest(&w->answer, pkt, NOW);
	check_answers(w, 3);
}

/* serve_frame() - Parse a frame without verifying checksums, and give its
 * packet to the answering services */
static void serve_frame(struct world *w, uint8_t *frame, size_t size)
{
	uint8_t copy[PKT_HDR_MAX];
	struct iovec iov = { frame, size };
	struct frame f = { .iov = &iov, .iovcnt = 1, .len = (uint32_t)size,
			   .meta.csum = LINK_CSUM_OK };
	struct fragment frag;
	struct pkt pkt;

	if (parse_frame(&f, false, copy, &pkt, &frag) == DROP_NONE)
		serve(w, &pkt);
}

/**
 * serve_rest() - Give the last bytes of a frame to the answering services, as
 * if these bytes were a message to DHCP, DHCPv6 or NDP
 * @w:		the world
 * @pkt:	packet with valid headers for such a message; this function
 *		fills in its payload
 * @frame:	frame
 * @size:	length of the frame
 * @at:		offset of the UDP payload or of the ICMPv6 header
 */
static void serve_rest(struct world *w, struct pkt *pkt, uint8_t *frame,
		       size_t size, size_t at)
{
	static const uint8_t guest[MAC_LEN] = { 0x52, 0x54, 0, 1, 2, 3 };
	struct iovec iov;

	pkt->smac = guest;
	if (pkt->proto == IPPROTO_ICMPV6) {
		pkt->l4 = frame + at;
		pkt->l4len = 8;
		at += 8;
	}
	if (size < at)
		return;
	iov = (struct iovec){ frame + at, size - at };
	pkt->iov = &iov;
	pkt->iovcnt = size > at;
	pkt->len = (uint32_t)(size - at);
	serve(w, pkt);
}

static void serve_all(struct world *w, uint8_t *frame, size_t size)
{
	struct pkt dhcp = {
		.etype = ETH_P_IP, .proto = IPPROTO_UDP, .ttl = 64,
		.src = addr("0.0.0.0"), .dst = addr("255.255.255.255"),
		.sport = 68, .dport = 67,
	};
	struct pkt dhcpv6 = {
		.etype = ETH_P_IPV6, .proto = IPPROTO_UDP, .ttl = 1,
		.src = addr("fe80::2"), .dst = addr("ff02::1:2"),
		.sport = 546, .dport = 547,
	};
	struct pkt ndp = {
		.etype = ETH_P_IPV6, .proto = IPPROTO_ICMPV6, .ttl = 255,
		.src = addr("fe80::2"), .dst = addr("ff02::1:ff00:1"),
	};

	if (!(frame[0] & PICK_SOURCE))
		ndp.src = ADDR_NONE;
	serve_rest(w, &dhcp, frame, size, ETH_IP4_UDP);
	serve_rest(w, &dhcpv6, frame, size, ETH_IP6_UDP);
	serve_rest(w, &ndp, frame, size, ETH_IP6);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t seed[SEED_LEN] = { 0 };
	static struct world w;
	static bool started;
	unsigned int i;
	uint8_t *frame;

	if (!size || size > LINK_FRAME_MAX)
		return 0;
	if (!started)
		csum_init();
	started = true;

	/* Allocate exactly @size bytes, so that the address sanitizer detects
	 * any access beyond the end. */
	frame = malloc(size);
	MUST(frame);
	memcpy(frame, data, size);

	if (size > SEED_LEN)
		memcpy(seed, data + size - SEED_LEN, SEED_LEN);
	world_open(&w, data[0], seed);
	serve_frame(&w, frame, size);
	serve_all(&w, frame, size);
	for (i = 0; i < 3; i++)
		advertise(&w);
	answer_refresh(&w.answer, NOW);
	check_answers(&w, 3);
	link_close(&w.mem.link);
	free(frame);
	return 0;
}

/* libFuzzer calls this function to change an input. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	uint32_t r = seed | 1;

	return mutate_frame(data, size, max, &r);
}
