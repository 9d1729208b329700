/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * mutate.h - Mutations of frames that know their grammar. After most mutations,
 * length fields and checksums are corrected, so that parsers do not drop the
 * frame at their first check. Some mutations insert an option of TCP, DHCP,
 * DHCPv6 or NDP, or an IPv6 extension header, with a length that fits.
 */
#ifndef TEST_FUZZ_MUTATE_H
#define TEST_FUZZ_MUTATE_H

#include <net/ethernet.h>
#include <netinet/in.h>

#include "checksum.h"
#include "ip.h"
#include "test/fuzz/fuzz.h"

#define OPTION_MAX	40	/* bytes of an option that is inserted */

UNCOUNTED

/* fix_ip4() - Correct the header checksum if the frame could be IPv4 */
static void fix_ip4(uint8_t *frame, size_t len)
{
	uint8_t *ip = frame + 14;
	uint16_t check = 0;
	size_t hlen;

	if (len < 14 + 20 || get_be16(frame + 12) != ETH_P_IP)
		return;
	hlen = (ip[0] & 0xf) * 4U;
	if (hlen < 20 || len < 14 + hlen)
		return;
	memcpy(ip + 10, &check, sizeof(check));
	check = csum_ip4(ip, hlen);
	memcpy(ip + 10, &check, sizeof(check));
}

/* fix_l4() - Correct the length and the checksum of a transport header. @sum is
 * that of the addresses in the pseudo-header */
static void fix_l4(uint8_t *l4, size_t len, uint8_t proto, uint64_t sum)
{
	static const uint8_t least[] = {
		[IPPROTO_TCP] = 20, [IPPROTO_UDP] = 8, [IPPROTO_ICMP] = 8,
		[IPPROTO_ICMPV6] = 8,
	};
	uint8_t pseudo[8] = { 0 };
	uint16_t check = 0;
	uint8_t *field;

	if (proto >= sizeof(least) || !least[proto] || len < least[proto])
		return;
	if (proto == IPPROTO_UDP)
		put_be16(l4 + 4, (uint16_t)len);
	field = l4 + l4_csum_offset(proto);
	memcpy(field, &check, sizeof(check));
	put_be32(pseudo, (uint32_t)len);
	pseudo[7] = proto;
	sum = proto == IPPROTO_ICMP ? 0 : csum_add(pseudo, 8, sum);
	check = csum_fold(csum_add(l4, len, sum));
	if (proto == IPPROTO_UDP && !check)
		check = 0xffff;
	memcpy(field, &check, sizeof(check));
}

/* l4_of() - Find the transport header after IPv6 extension headers; returns its
 * offset from the IPv6 header, or 0 if it is not in the frame */
static size_t l4_of(const uint8_t *ip, size_t len, uint8_t *proto)
{
	size_t at = 40;

	*proto = ip[6];
	while (at + 8 <= len) {
		switch (*proto) {
		case IPPROTO_HOPOPTS: case IPPROTO_ROUTING: case IPPROTO_DSTOPTS:
			*proto = ip[at];
			at += (ip[at + 1] + 1U) * 8;
			break;
		case IPPROTO_FRAGMENT:
			if (get_be16(ip + at + 2) & 0xfff9)
				return 0;
			*proto = ip[at];
			at += 8;
			break;
		default:
			return at;
		}
	}
	return 0;
}

/* fix_frame() - Correct all length fields and checksums of a frame */
static void fix_frame(uint8_t *frame, size_t len)
{
	uint8_t *ip = frame + 14, proto;
	size_t n = len - 14, at;

	if (len < 14 + 40)
		return;
	if (get_be16(frame + 12) == ETH_P_IP) {
		at = (ip[0] & 15) * 4U;
		put_be16(ip + 2, (uint16_t)n);
		if (at >= 20 && at <= n && !(get_be16(ip + 6) & 0x3fff))
			fix_l4(ip + at, n - at, ip[9], csum_add(ip + 12, 8, 0));
		fix_ip4(frame, len);
	} else if (get_be16(frame + 12) == ETH_P_IPV6) {
		put_be16(ip + 4, (uint16_t)(n - 40));
		at = l4_of(ip, n, &proto);
		if (at && at <= n)
			fix_l4(ip + at, n - at, proto,
			       csum_add(ip + 8, 32, 0));
	}
}

/* make_option() - Make an option of one of the formats: type and length in one
 * byte each (TCP, DHCP), in two (DHCPv6), or the length in units of 8 bytes
 * (NDP, IPv6 extension headers); returns its length */
static size_t make_option(uint8_t *p, uint32_t *seed)
{
	size_t n = draw_below(seed, OPTION_MAX - 7), i;
	size_t format = draw_below(seed, 4);

	for (i = 0; i < OPTION_MAX; i++)
		p[i] = (uint8_t)draw_below(seed, 256);
	switch (format) {
	case 0:				/* TCP: the length counts all */
		p[0] &= 15;
		p[1] = (uint8_t)(n + 2);
		return n + 2;
	case 1:				/* DHCP */
		p[1] = (uint8_t)n;
		return n + 2;
	case 2:				/* DHCPv6 */
		put_be16(p, p[0] & 31);
		put_be16(p + 2, (uint16_t)n);
		return n + 4;
	default:			/* NDP; an extension header */
		n = n / 8 * 8;
		p[1] = (uint8_t)(n / 8 + (p[0] & 1));
		return n + 8;
	}
}

/* insert_option() - Insert an option behind the Ethernet header; returns the
 * new length */
static size_t insert_option(uint8_t *frame, size_t len, size_t max,
			    uint32_t *seed)
{
	uint8_t option[OPTION_MAX];
	size_t n = make_option(option, seed), at;

	if (len <= 34 || len + n > max)
		return len;
	at = 34 + draw_below(seed, len - 34);
	memmove(frame + at + n, frame + at, len - at);
	memcpy(frame + at, option, n);
	return len + n;
}

/* mutate_frame() - Change a frame, and in seven of eight cases correct it */
static size_t mutate_frame(uint8_t *frame, size_t len, size_t max,
			   uint32_t *seed)
{
	if (draw_below(seed, 5))
		len = LLVMFuzzerMutate(frame, len, max);
	else
		len = insert_option(frame, len, max, seed);
	if (draw_below(seed, 8))
		fix_frame(frame, len);
	else
		fix_ip4(frame, len);
	return len;
}

COUNTED

#endif /* TEST_FUZZ_MUTATE_H */
