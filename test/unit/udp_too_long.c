// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * udp_too_long.c - Tests of datagrams with DF that are longer than the host's
 * MTU: which of them cause an ICMP error to the guest, and which arrive.
 */
#include "../../udp.c"
#include "test/unit/flows.h"

#define ROOM	(1 << 20)
#define LIFE	128

/* sends_df() - Let the guest send a datagram with DF */
static void sends_df(struct world *w, uint16_t sport, const char *dst,
		     uint16_t dport, size_t len)
{
	struct ip_hdr ip = { .src = addr(guest_of(dst)), .dst = addr(dst),
			     .proto = IPPROTO_UDP, .ttl = 61 };
	static uint8_t data[9000], buf[9000];
	uint8_t *frame, *h;
	uint16_t check;

	len = make_udp(buf, sport, dport, data, len);
	len = make_frame(&ip, buf, len, &frame);
	h = frame + ETH_LEN;
	if (addr_is_v4(&ip.dst)) {
		h[6] = 0x40;
		memset(h + 10, 0, 2);
		check = csum_ip4(h, 20);
		memcpy(h + 10, &check, 2);
	}
	memory_clear(&w->mem);
	memory_put(&w->mem, frame, len);
	hand_over(w);
	free(frame);
}

/* told_mtu() - Get the MTU in the ICMP error that the guest received; 0 unless
 * the guest received such an error and nothing else */
static uint32_t told_mtu(struct world *w)
{
	struct seen s;

	if (w->mem.nsent != 1 || !nth(w, 0, &s) || !s.good)
		return 0;
	return s.proto == IPPROTO_ICMP ?
	       s.l4[0] == 3 && s.l4[1] == 4 ? get_be32(s.l4 + 4) : 0 :
	       s.l4[0] == 2 ? get_be32(s.l4 + 4) : 0;
}

/* Given a datagram with DF that is longer than the host's MTU, when the guest
 * was not told this MTU before, then it receives an ICMP error with the MTU,
 * but the datagram arrives. The next such datagram is dropped. */
static void story_too_long(const char *gw, const char *host, uint16_t gport)
{
	uint16_t port = 0, sport;
	struct in6_addr from;
	struct world w;
	char buf[9000] = { 0 };
	unsigned int i;
	int fd;

	printf("# too long for the way to %s%s\n", host,
	       gport == 5000 ? ", from a forwarded port" : "");
	world_open(&w, LIFE, ROOM);
	forward_port(&w, 5000);
	fd = peer_open(host, &port);
	check("the test can set an MTU", set_mtu(1400));
	for (i = 0; i < 2; i++) {
		sends_df(&w, gport, gw, port, 3000);
		check_eq("the guest is told the MTU", told_mtu(&w), 1400);
		check_eq("the datagram arrives", peer_hears(fd, buf,
			 sizeof(buf), &from, &sport), 3000);
		sends_df(&w, gport, gw, port, 3000);
		check_eq("the next one is refused", told_mtu(&w), 1400);
		sends_df(&w, gport, gw, port, 1000);
		check_eq("and does not arrive", peer_hears(fd, buf,
			 sizeof(buf), &from, &sport), 1000);
		sends(&w, gport, gw, port, buf, 4000);
		check_eq("without DF over IPv4 it does", peer_hears(fd, buf,
			 sizeof(buf), &from, &sport),
			 strchr(gw, ':') ? -1 : 4000);
		later(&w, ICMP_MTU_KNOWN);
	}
	check_eq("what was lost is counted", w.udp.count[UDP_SEND_ERROR],
		 strchr(gw, ':') ? 4 : 2);
	guest_leaves(&w);
	sends_df(&w, gport, gw, port, 3000);
	check_eq("another guest does not know", peer_hears(fd, buf,
		 sizeof(buf), &from, &sport), 3000);
	set_mtu(65536);
	close(fd);
	world_close(&w);
}

/* Given a burst of datagrams to one peer that are longer than the host's MTU,
 * then all arrive, because the guest could not know the MTU before. */
static void story_too_long_burst(void)
{
	struct ip_hdr ip = { .src = addr(GUEST6), .dst = addr(GW6),
			     .proto = IPPROTO_UDP, .ttl = 61 };
	static uint8_t data[4000], buf[4000];
	uint16_t port = 0, sport;
	struct in6_addr from;
	uint8_t *frame[5];
	struct world w;
	unsigned int i;
	size_t len;
	int fd;

	printf("# a burst that is too long for the way\n");
	world_open(&w, LIFE, ROOM);
	fd = peer_open("::1", &port);
	check("the test can set an MTU", set_mtu(1400));
	for (i = 0; i < ARRAY_SIZE(frame); i++) {
		len = make_udp(buf, 4000, port, data, 3000 + i);
		len = make_frame(&ip, buf, len, &frame[i]);
		memory_put(&w.mem, frame[i], len);
	}
	hand_over(&w);
	for (i = 0; i < ARRAY_SIZE(frame); i++) {
		check_eq("a datagram arrives",
			 peer_hears(fd, buf, sizeof(buf), &from, &sport),
			 3000 + i);
		free(frame[i]);
	}
	set_mtu(65536);
	close(fd);
	world_close(&w);
}

int main(void)
{
	if (!own_network()) {
		skip("too long for the way", "no network namespace allowed");
		return unit_end();
	}
	story_too_long(GW4, "127.0.0.1", 4000);
	story_too_long(GW6, "::1", 4000);
	story_too_long(GW4, "127.0.0.1", 5000);
	story_too_long(GW6, "::1", 5000);
	story_too_long_burst();
	return unit_end();
}
