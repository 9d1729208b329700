// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * parse.c - Checks a frame from the guest, and finds its headers and payload.
 *
 * Only this file reads the length fields in headers. All headers and payloads
 * that struct pkt points to lie inside the frame. If the guest can still write
 * to the frame, the headers are copied before they are checked.
 */
#include <netinet/icmp6.h>
#include <string.h>

#include "checksum.h"
#include "iov.h"
#include "tap/parse.h"

#define VLAN_TAG_LEN	4	/* IEEE 802.1Q 9.3: TCI and next EtherType */
#define VLAN_ID		0x0fff	/* bits of the TCI */

/**
 * struct cursor - The position of the parser in the headers of a frame
 * @at:		next byte to parse
 * @left:	bytes of the packet from @at on, according to the length fields
 *		parsed so far
 * @end:	end of the bytes that may be read
 * @next:	IPv6: pointer to the Next Header byte that gives the type of the
 *		header at @at
 * @frag:	filled if the frame is a fragment
 */
struct cursor {
	const uint8_t *at;
	size_t left;
	const uint8_t *end;
	const uint8_t *next;
	struct fragment *frag;
};

/* check_space() - Check that @len bytes of header can be read at the cursor;
 * returns DROP_NONE, or the reason to drop the frame */
static enum tap_counter check_space(const struct cursor *c, size_t len)
{
	if (len > c->left)
		return TAP_SHORT;
	if (len > (size_t)(c->end - c->at))
		return TAP_HEADERS;
	return DROP_NONE;
}

static void skip_bytes(struct cursor *c, size_t len)
{
	c->at += len;
	c->left -= len;
}

/* parse_arp() - Parse an ARP packet for IPv4 over Ethernet (RFC 826) */
static enum tap_counter parse_arp(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = check_space(c, ARP_LEN);

	if (drop != DROP_NONE)
		return drop;

	pkt->l3 = c->at;
	pkt->l3len = ARP_LEN;
	skip_bytes(c, ARP_LEN);
	pkt->l4 = c->at;
	return DROP_NONE;
}

/* is_known_proto() - Whether passt handles a transport protocol */
static bool is_known_proto(uint8_t proto, bool v4)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP ||
	       proto == (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/**
 * set_fragment() - Fill in struct fragment for a fragment of IPv4 or IPv6
 * @c:		cursor, which is at the payload of the fragment
 * @pkt:	packet with the addresses and the Ethernet header
 * @off:	offset of the fragment in the payload of the datagram, bytes
 * @hdrlen:	bytes of the IP headers that the reassembled datagram will have
 * @counted:	number of bytes of these headers that are included in the length
 *		field of the IP header
 *
 * Return: always TAP_FRAGMENT. If the length of the fragment is not valid,
 *	   @c->frag->len stays 0
 */
static enum tap_counter set_fragment(struct cursor *c, const struct pkt *pkt,
				     uint32_t off, size_t hdrlen,
				     size_t counted)
{
	struct fragment *f = c->frag;

	if (f->more && c->left % IP_FRAG_UNIT)
		return TAP_FRAGMENT;
	f->src = pkt->src;
	f->dst = pkt->dst;
	f->off = off;
	f->len = (uint32_t)c->left;
	f->eth = pkt->dmac;
	f->hdr = pkt->l3;
	f->hdrlen = (uint16_t)hdrlen;
	f->malformed = f->malformed || counted + off + c->left > IP_LEN_MAX;
	return TAP_FRAGMENT;
}

/* parse_fragment4() - Parse an IPv4 fragment (RFC 791 3.2); the cursor is after
 * the IPv4 header at @ip */
static enum tap_counter parse_fragment4(struct cursor *c, struct pkt *pkt,
					const uint8_t *ip)
{
	uint16_t off = get_be16(ip + 6);

	if (!is_known_proto(pkt->proto, true))
		return TAP_PROTO;
	c->frag->id = get_be16(ip + 4);
	c->frag->proto = pkt->proto;
	c->frag->more = off & IP4_MF;
	return set_fragment(c, pkt, (off & IP4_OFFSET) * IP_FRAG_UNIT,
			    pkt->l3len, pkt->l3len);
}

/* parse_ip4() - Parse an IPv4 header (RFC 791 3.1). Its options are skipped,
 * and Ethernet padding after the packet is ignored */
static enum tap_counter parse_ip4(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = check_space(c, IP4_HLEN);
	const uint8_t *ip = c->at;
	size_t hlen, total;
	struct in_addr v4;

	if (drop != DROP_NONE)
		return drop;

	hlen = (c->at[0] & 0xf) * 4U;
	total = get_be16(c->at + 2);
	if (c->at[0] >> 4 != 4 || hlen < IP4_HLEN)
		return TAP_VERSION;
	drop = check_space(c, hlen);
	if (drop != DROP_NONE)
		return drop;
	if (total < hlen || total > c->left)
		return TAP_SHORT;
	if (csum_ip4(c->at, hlen))
		return TAP_CHECKSUM;

	pkt->tos = c->at[1];
	pkt->df = get_be16(c->at + 6) & IP4_DF;
	pkt->ttl = c->at[8];
	pkt->proto = c->at[9];
	memcpy(&v4, c->at + 12, sizeof(v4));
	pkt->src = addr_from_v4(v4);
	memcpy(&v4, c->at + 16, sizeof(v4));
	pkt->dst = addr_from_v4(v4);
	pkt->l3len = (uint16_t)hlen;

	c->left = total;
	skip_bytes(c, hlen);
	if (get_be16(ip + 6) & (IP4_MF | IP4_OFFSET))
		return parse_fragment4(c, pkt, ip);
	return DROP_NONE;
}

/* parse_ip6_ext() - Skip extension headers (RFC 8200 4), until the cursor is at
 * a fragment header or at a header that is no extension header */
static enum tap_counter parse_ip6_ext(struct cursor *c)
{
	enum tap_counter drop;
	size_t len;

	while (*c->next == IPPROTO_HOPOPTS || *c->next == IPPROTO_ROUTING ||
	       *c->next == IPPROTO_DSTOPTS) {
		drop = check_space(c, 8);
		if (drop != DROP_NONE)
			return drop;
		len = (c->at[1] + 1U) * 8;
		drop = check_space(c, len);
		if (drop != DROP_NONE)
			return drop;
		c->next = c->at;
		skip_bytes(c, len);
	}
	return DROP_NONE;
}

/* has_all_headers() - Whether the first fragment of a datagram holds all
 * headers, as RFC 7112 5 demands; the cursor is after the fragment header */
static bool has_all_headers(struct cursor c)
{
	if (parse_ip6_ext(&c) != DROP_NONE || !is_known_proto(*c.next, false))
		return false;
	if (*c.next != IPPROTO_TCP)
		return check_space(&c, UDP_HLEN) == DROP_NONE;
	return check_space(&c, TCP_HLEN) == DROP_NONE &&
	       check_space(&c, (c.at[12] >> 4) * 4U) == DROP_NONE;
}

/**
 * parse_fragment6() - Parse the IPv6 fragment header at the cursor (RFC 8200
 * 4.5)
 *
 * A fragment that holds a whole datagram must not be combined with other
 * fragments of the same ID (RFC 6946). Such a fragment is parsed like a packet
 * without a fragment header.
 */
static enum tap_counter parse_fragment6(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = check_space(c, IP6_FRAG_HLEN);
	const uint8_t *h = c->at;
	size_t unfrag = (size_t)(h - pkt->l3) - IP6_HLEN;
	uint16_t off;

	if (drop != DROP_NONE)
		return drop;

	off = get_be16(h + 2);
	c->frag->id = get_be32(h + 4);
	c->frag->more = off & IP6_MF;
	c->frag->next_at = (uint16_t)(c->next - pkt->l3);
	c->frag->next = h[0];
	c->next = h;
	skip_bytes(c, IP6_FRAG_HLEN);
	pkt->df = false;
	if (!(off & (IP6_OFFSET | IP6_MF))) {
		drop = parse_ip6_ext(c);
		/* A second fragment header has no use but to evade filters. */
		return *c->next == IPPROTO_FRAGMENT ? TAP_FRAGMENT : drop;
	}
	c->frag->malformed = !(off & IP6_OFFSET) && !has_all_headers(*c);
	return set_fragment(c, pkt, off & IP6_OFFSET, IP6_HLEN + unfrag,
			    unfrag);
}

static enum tap_counter parse_ip6(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = check_space(c, IP6_HLEN);
	const uint8_t *ip = c->at;
	size_t len;

	if (drop != DROP_NONE)
		return drop;
	if (ip[0] >> 4 != 6)
		return TAP_VERSION;
	len = get_be16(ip + 4);
	if (len > c->left - IP6_HLEN)
		return TAP_SHORT;

	pkt->tos = (uint8_t)(get_be16(ip) >> 4);
	pkt->df = true;
	pkt->ttl = ip[7];
	memcpy(&pkt->src, ip + 8, sizeof(pkt->src));
	memcpy(&pkt->dst, ip + 24, sizeof(pkt->dst));

	/* passt represents IPv4 addresses as mapped addresses, so it would
	 * mistake a mapped address in an IPv6 packet for an IPv4 address. */
	if (addr_is_v4(&pkt->src) || addr_is_v4(&pkt->dst))
		return TAP_ADDRESS;

	c->left = IP6_HLEN + len;
	skip_bytes(c, IP6_HLEN);
	c->next = ip + 6;
	drop = parse_ip6_ext(c);
	if (drop == DROP_NONE && *c->next == IPPROTO_FRAGMENT)
		drop = parse_fragment6(c, pkt);
	pkt->proto = *c->next;
	pkt->l3len = (uint16_t)(c->at - ip);
	return drop;
}

static enum tap_counter parse_tcp(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = check_space(c, TCP_HLEN);

	if (drop != DROP_NONE)
		return drop;

	pkt->sport = get_be16(c->at);
	pkt->dport = get_be16(c->at + 2);
	pkt->l4len = (uint16_t)((c->at[12] >> 4) * 4);
	if (pkt->l4len < TCP_HLEN)
		return TAP_SHORT;
	return check_space(c, pkt->l4len);
}

static enum tap_counter parse_udp(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = check_space(c, UDP_HLEN);
	size_t len;

	if (drop != DROP_NONE)
		return drop;

	pkt->sport = get_be16(c->at);
	pkt->dport = get_be16(c->at + 2);
	len = get_be16(c->at + 4);
	if (len < UDP_HLEN || len > c->left)
		return TAP_SHORT;
	c->left = len;
	pkt->l4len = UDP_HLEN;

	/* A UDP checksum of zero is not allowed over IPv6 (RFC 8200 8.1). */
	if (!addr_is_v4(&pkt->src) && !get_be16(c->at + 6))
		return TAP_CHECKSUM;
	return DROP_NONE;
}

static enum tap_counter parse_icmp(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = check_space(c, ICMP_HLEN);
	bool v4 = addr_is_v4(&pkt->src);
	uint8_t type;

	if (drop != DROP_NONE)
		return drop;

	type = c->at[0];
	if (v4 ? type == ICMP4_ECHO_REQUEST || type == ICMP4_ECHO_REPLY :
		 type == ICMP6_ECHO_REQUEST || type == ICMP6_ECHO_REPLY)
		pkt->sport = get_be16(c->at + 4);
	pkt->l4len = ICMP_HLEN;
	return DROP_NONE;
}

static enum tap_counter parse_l4(struct cursor *c, struct pkt *pkt)
{
	bool v4 = addr_is_v4(&pkt->src);
	enum tap_counter drop;

	if (pkt->proto == IPPROTO_TCP)
		drop = parse_tcp(c, pkt);
	else if (pkt->proto == IPPROTO_UDP)
		drop = parse_udp(c, pkt);
	else if (pkt->proto == (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		drop = parse_icmp(c, pkt);
	else
		drop = TAP_PROTO;
	if (drop != DROP_NONE)
		return drop;

	pkt->l4 = c->at;
	skip_bytes(c, pkt->l4len);
	return DROP_NONE;
}

/* are_addrs_valid() - Whether the guest may send a packet with these addresses
 * (RFC 1122 3.2.1.3) */
static bool are_addrs_valid(const struct pkt *pkt)
{
	struct in6_addr any4 = addr_from_v4((struct in_addr){ INADDR_ANY });

	if (addr_is_none(&pkt->dst) || addr_eq(&pkt->dst, &any4))
		return false;
	if (addr_eq(&pkt->src, &any4))			/* DHCP */
		return pkt->proto == IPPROTO_UDP;
	if (addr_is_none(&pkt->src))			/* DAD */
		return pkt->proto == IPPROTO_ICMPV6;
	return addr_is_unicast(&pkt->src);
}

/**
 * is_csum_right() - Check the transport checksum of a parsed packet
 *
 * A receiver of TCP must check the checksum (RFC 9293 3.1). The host sends the
 * payload with a new checksum, which would hide damage that happened inside the
 * guest. The check costs little more than reading the payload, which sendmsg()
 * then finds in the cache.
 *
 * Return: true if the checksum is right, or if a UDP datagram has none
 */
static bool is_csum_right(const struct pkt *pkt)
{
	size_t len = pkt->l4len + pkt->len;
	uint64_t sum = 0;

	if (pkt->proto == IPPROTO_UDP && !get_be16(pkt->l4 + 6))
		return true;
	if (pkt->proto != IPPROTO_ICMP)
		sum = csum_pseudo(&pkt->src, &pkt->dst, pkt->proto,
				  (uint32_t)len);
	sum = csum_add(pkt->l4, pkt->l4len, sum);
	return !csum_fold(csum_iov(pkt->iov, pkt->iovcnt, sum));
}

/*
 * skip_tags() - Skip tags after the Ethernet header that only give a priority.
 * Such a tag has VLAN identifier 0, so the frame belongs to no VLAN (IEEE
 * 802.1Q 9.6). Linux also skips any number of such tags.
 */
static enum tap_counter skip_tags(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop;

	while (pkt->etype == ETH_P_8021Q || pkt->etype == ETH_P_8021AD) {
		drop = check_space(c, VLAN_TAG_LEN);
		if (drop != DROP_NONE)
			return drop;
		if (get_be16(c->at) & VLAN_ID)
			return TAP_VLAN;
		pkt->etype = get_be16(c->at + 2);
		skip_bytes(c, VLAN_TAG_LEN);
	}
	return DROP_NONE;
}

static enum tap_counter parse_headers(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = check_space(c, ETH_HLEN);

	if (drop != DROP_NONE)
		return drop;

	pkt->dmac = c->at;
	pkt->smac = c->at + MAC_LEN;
	pkt->etype = get_be16(c->at + 2 * MAC_LEN);
	skip_bytes(c, ETH_HLEN);
	drop = skip_tags(c, pkt);
	if (drop != DROP_NONE)
		return drop;
	pkt->l3 = c->at;

	if (pkt->etype == ETH_P_ARP)
		return parse_arp(c, pkt);
	if (pkt->etype == ETH_P_IP)
		drop = parse_ip4(c, pkt);
	else if (pkt->etype == ETH_P_IPV6)
		drop = parse_ip6(c, pkt);
	else
		drop = TAP_ETYPE;
	if (drop == DROP_NONE)
		drop = parse_l4(c, pkt);
	if (drop == DROP_NONE && !are_addrs_valid(pkt))
		drop = TAP_ADDRESS;
	return drop;
}

/**
 * check_offload() - Check that the metadata of a frame match its packet
 *
 * A partial checksum must be that of the packet's own TCP or UDP header: passt
 * completes no other, for example one in the payload of a tunnel. A GSO frame
 * must have the type and a segment size that fit the packet. It must not have a
 * complete checksum, because one over all segments has no meaning.
 *
 * Return: DROP_NONE; TAP_OFFLOAD if the frame must be dropped
 */
static enum tap_counter check_offload(const struct frame_meta *m,
				      const struct pkt *pkt)
{
	enum link_gso tcp = pkt->etype == ETH_P_IP ? LINK_GSO_TCP4 :
						     LINK_GSO_TCP6;

	if (m->csum == LINK_CSUM_PARTIAL &&
	    (pkt->etype == ETH_P_ARP ||
	     m->csum_start != pkt->l4 - pkt->dmac ||
	     m->csum_offset != l4_csum_offset(pkt->proto)))
		return TAP_OFFLOAD;
	if (!m->gso)
		return DROP_NONE;
	if (pkt->proto == IPPROTO_TCP ? m->gso != tcp :
	    pkt->proto != IPPROTO_UDP || m->gso != LINK_GSO_UDP)
		return TAP_OFFLOAD;
	return m->csum != LINK_CSUM_FULL && m->gso_size &&
	       m->gso_size <= pkt->len ? DROP_NONE : TAP_OFFLOAD;
}

/**
 * parse_frame() - Check a frame, and find its headers and payload
 * @f:		frame. Its pieces are shortened to the payload, and @pkt->iov
 *		then points to them
 * @shared:	the guest can write to the frame while passt parses it
 * @copy:	buffer of PKT_HDR_MAX bytes that must stay valid as long as
 *		@pkt. The headers are copied there if the frame is shared, or
 *		if the frame has several pieces
 * @pkt:	filled
 * @frag:	filled if the frame is a fragment. The pieces of @f are then
 *		shortened to the payload of the fragment
 *
 * Return: DROP_NONE if the frame holds a valid packet; TAP_FRAGMENT if the
 *	   frame holds a fragment, which is malformed if @frag->len is 0; else
 *	   the reason to drop the frame
 */
enum tap_counter parse_frame(struct frame *f, bool shared, uint8_t *copy,
			     struct pkt *pkt, struct fragment *frag)
{
	struct cursor c = { .left = f->len, .frag = frag };
	enum tap_counter drop;

	if (shared || f->iovcnt != 1) {
		c.at = copy;
		c.end = copy + iov_copy(copy, PKT_HDR_MAX, f->iov, f->iovcnt);
	} else {
		c.at = f->iov->iov_base;
		c.end = c.at + MIN(f->len, PKT_HDR_MAX);
	}

	memset(pkt, 0, sizeof(*pkt));
	memset(frag, 0, sizeof(*frag));
	drop = parse_headers(&c, pkt);
	/* A fragment has no transport checksum or segments of its own, so its
	 * metadata must not name any. */
	if (drop == TAP_FRAGMENT &&
	    (f->meta.gso || f->meta.csum == LINK_CSUM_PARTIAL))
		drop = TAP_OFFLOAD;
	if (drop == TAP_FRAGMENT)
		f->iovcnt = iov_slice(f->iov, f->iovcnt,
				      (size_t)(c.at - pkt->dmac), frag->len);
	if (drop != DROP_NONE)
		return drop;

	f->iovcnt = iov_slice(f->iov, f->iovcnt,
			      (size_t)(c.at - pkt->dmac), c.left);
	pkt->iov = f->iov;
	pkt->iovcnt = f->iovcnt;
	pkt->len = (uint32_t)c.left;
	pkt->gso_size = f->meta.gso ? f->meta.gso_size : 0;
	pkt->csum_partial = f->meta.csum == LINK_CSUM_PARTIAL;
	drop = check_offload(&f->meta, pkt);
	if (drop != DROP_NONE)
		return drop;
	if (pkt->etype != ETH_P_ARP && f->meta.csum == LINK_CSUM_FULL &&
	    !is_csum_right(pkt))
		return TAP_CHECKSUM;
	return DROP_NONE;
}
