// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * ip.c - IPv4, IPv6 and UDP headers are what the RFCs say, byte by byte.
 */
#include "../../ip.c"

#include "test/unit/addr.h"
#include "test/unit/unit.h"

static void ip4_header(void)
{
	static const uint8_t bare[] = {
		0x45, 0xb8, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0,
		192, 0, 2, 1, 198, 51, 100, 2,
	};
	struct ip_hdr ip = {
		.src = addr("192.0.2.1"), .dst = addr("198.51.100.2"),
		.proto = IPPROTO_UDP, .tos = 0xb8,
	};
	uint8_t h[IP4_HLEN];

	memset(h, 0xaa, sizeof(h));
	check_eq("an IPv4 header has 20 bytes", ip_hdr_put(h, &ip), 20);
	check("all of them are written", !memcmp(h, bare, sizeof(bare)));

	ip_set_len(h, 1500);
	check_eq("its length is that of the packet", get_be16(h + 2), 1500);
	check_eq("its checksum is right", csum_ip4(h, sizeof(h)), 0);
	ip_set_len(h, 28);
	check_eq("another length replaces it", get_be16(h + 2), 28);
	check_eq("so that the checksum is right again",
		 csum_ip4(h, sizeof(h)), 0);

	ip.ttl = 3;
	ip_hdr_put(h, &ip);
	check_eq("a TTL that is given is kept", h[8], 3);
}

static void ip4_options(void)
{
	uint8_t h[24] = {
		0x46, 0, 0xff, 0xff, 0, 1, 0, 0, 64, 1, 0xff, 0xff,
		192, 0, 2, 1, 198, 51, 100, 2, 1, 1, 1, 0,
	};

	ip_set_len(h, 24);
	check_eq("options are part of what the checksum covers",
		 csum_ip4(h, sizeof(h)), 0);
	check_eq("and of the length", get_be16(h + 2), 24);
}

static void ip6_header(void)
{
	struct ip_hdr ip = {
		.src = addr("2001:db8::1"), .dst = addr("2001:db8::2"),
		.proto = IPPROTO_TCP, .ttl = 255, .tos = 0xb8,
	};
	static const uint8_t start[] = { 0x6b, 0x80, 0, 0, 0, 0, 6, 255 };
	uint8_t h[IP6_HLEN];

	memset(h, 0xaa, sizeof(h));
	check_eq("an IPv6 header has 40 bytes", ip_hdr_put(h, &ip), 40);
	check("class, no flow label, next header, hop limit",
	      !memcmp(h, start, sizeof(start)));
	check("source", !memcmp(h + 8, &ip.src, 16));
	check("and destination", !memcmp(h + 24, &ip.dst, 16));
	ip_set_len(h, 40 + 1000);
	check_eq("its length is that of the payload", get_be16(h + 4), 1000);
}

static void udp_header(void)
{
	static const uint8_t want[] = { 0, 53, 0xc0, 0, 0, 20, 0, 0 };
	uint8_t h[UDP_HLEN];

	memset(h, 0xaa, sizeof(h));
	udp_hdr_put(h, 53, 0xc000, 20);
	check("a UDP header starts without checksum",
	      !memcmp(h, want, sizeof(want)));
	check_eq("a checksum of zero is written as 0xffff",
		 csum_fold_udp(0xffff), 0xffff);
	check_eq("any other as it is", csum_fold_udp(1), csum_fold(1));
}

int main(void)
{
	ip4_header();
	ip4_options();
	ip6_header();
	udp_header();
	check_eq("checksum of TCP", l4_csum_offset(IPPROTO_TCP), 16);
	check_eq("of UDP", l4_csum_offset(IPPROTO_UDP), 6);
	check_eq("of ICMP", l4_csum_offset(IPPROTO_ICMP), 2);
	return unit_end();
}
