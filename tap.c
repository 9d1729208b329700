// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * tap.c - The guest's side: frames in, checked, parsed once, handed on; frames
 * out, with their headers and checksums.
 * Called by passt.c, the protocols and the answering services; calls the link
 * and checksum.c.
 *
 * After tap_parse() nobody looks at raw lengths again: what struct pkt says is
 * inside the frame, and where the guest could still write to it, the headers
 * are our copy.
 */
#include <errno.h>
#include <netinet/ip.h>
#include <stdlib.h>
#include <string.h>

#include "checksum.h"
#include "host/log.h"
#include "tap.h"

#define IP6_HLEN	40
#define IP4_HLEN	20
#define UDP_HLEN	8
#define ICMP_HLEN	8
#define ARP_LEN		28
#define TCP_HLEN_MIN	20

/* IPv4 flags and fragment offset (RFC 791 3.1). */
#define IP4_DF		0x4000
#define IP4_FRAGMENT	0x3fff		/* more fragments, or an offset */

const char *const tap_counter_name[TAP_COUNTERS] = {
	[TAP_IN]	= "frames_in",
	[TAP_OUT]	= "frames_out",
	[TAP_NO_ROOM]	= "out_no_room",
	[TAP_SHORT]	= "in_truncated",
	[TAP_HEADERS]	= "in_headers_too_long",
	[TAP_ETYPE]	= "in_ethertype_unknown",
	[TAP_VERSION]	= "in_ip_version",
	[TAP_CHECKSUM]	= "in_checksum",
	[TAP_FRAGMENT]	= "in_fragment",
	[TAP_PROTO]	= "in_protocol_unknown",
	[TAP_ADDRESS]	= "in_address",
};

/**
 * struct cursor - Where parsing stands in the headers of a frame
 * @at:		next byte
 * @left:	bytes of the packet from there on, as far as lengths say
 * @end:	end of the bytes that may be looked at
 */
struct cursor {
	const uint8_t *at;
	size_t left;
	const uint8_t *end;
};

/**
 * need() - Check that a header is there
 * @c:		cursor
 * @len:	bytes of it
 *
 * Return: TAP_COUNTERS if it is, else the reason to drop
 */
static enum tap_counter need(const struct cursor *c, size_t len)
{
	if (len > c->left)
		return TAP_SHORT;
	if (len > (size_t)(c->end - c->at))
		return TAP_HEADERS;
	return TAP_COUNTERS;
}

static void skip(struct cursor *c, size_t len)
{
	c->at += len;
	c->left -= len;
}

/* parse_arp() - Only Ethernet and IPv4 (RFC 826) */
static enum tap_counter parse_arp(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = need(c, ARP_LEN);

	if (drop != TAP_COUNTERS)
		return drop;

	pkt->l3 = c->at;
	pkt->l3len = ARP_LEN;
	skip(c, ARP_LEN);
	pkt->l4 = c->at;
	return TAP_COUNTERS;
}

/* parse_ip4() - RFC 791 3.1; options are skipped, padding is cut off */
static enum tap_counter parse_ip4(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = need(c, IP4_HLEN);
	size_t hlen, total;
	struct in_addr v4;
	uint16_t off;

	if (drop != TAP_COUNTERS)
		return drop;

	hlen = (c->at[0] & 0xf) * 4U;
	total = get_be16(c->at + 2);
	if (c->at[0] >> 4 != 4 || hlen < IP4_HLEN)
		return TAP_VERSION;
	drop = need(c, hlen);
	if (drop != TAP_COUNTERS)
		return drop;
	if (total < hlen || total > c->left)
		return TAP_SHORT;
	if (csum_ip4(c->at, hlen))
		return TAP_CHECKSUM;

	off = get_be16(c->at + 6);
	if (off & IP4_FRAGMENT)
		return TAP_FRAGMENT;

	pkt->tos = c->at[1];
	pkt->df = off & IP4_DF;
	pkt->ttl = c->at[8];
	pkt->proto = c->at[9];
	memcpy(&v4, c->at + 12, sizeof(v4));
	pkt->src = addr_from_v4(v4);
	memcpy(&v4, c->at + 16, sizeof(v4));
	pkt->dst = addr_from_v4(v4);
	pkt->l3len = (uint16_t)hlen;

	c->left = total;
	skip(c, hlen);
	return TAP_COUNTERS;
}

/**
 * parse_ip6_ext() - Skip extension headers (RFC 8200 4)
 * @c:		cursor, behind the fixed header
 * @next:	Next Header field; out: the transport protocol
 *
 * Return: TAP_COUNTERS, or the reason to drop
 */
static enum tap_counter parse_ip6_ext(struct cursor *c, uint8_t *next)
{
	enum tap_counter drop;
	size_t len;

	for (;;) {
		if (*next == IPPROTO_FRAGMENT)
			return TAP_FRAGMENT;
		if (*next != IPPROTO_HOPOPTS && *next != IPPROTO_ROUTING &&
		    *next != IPPROTO_DSTOPTS)
			return TAP_COUNTERS;

		drop = need(c, 8);
		if (drop != TAP_COUNTERS)
			return drop;
		*next = c->at[0];
		len = (c->at[1] + 1U) * 8;
		drop = need(c, len);
		if (drop != TAP_COUNTERS)
			return drop;
		skip(c, len);
	}
}

static enum tap_counter parse_ip6(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = need(c, IP6_HLEN);
	const uint8_t *ip = c->at;
	size_t len;

	if (drop != TAP_COUNTERS)
		return drop;
	if (ip[0] >> 4 != 6)
		return TAP_VERSION;
	len = get_be16(ip + 4);
	if (len > c->left - IP6_HLEN)
		return TAP_SHORT;

	pkt->tos = (uint8_t)(get_be16(ip) >> 4);
	pkt->df = true;
	pkt->proto = ip[6];
	pkt->ttl = ip[7];
	memcpy(&pkt->src, ip + 8, sizeof(pkt->src));
	memcpy(&pkt->dst, ip + 24, sizeof(pkt->dst));

	/* On the wire it would be an attempt to pass for IPv4. */
	if (addr_is_v4(&pkt->src) || addr_is_v4(&pkt->dst))
		return TAP_ADDRESS;

	c->left = IP6_HLEN + len;
	skip(c, IP6_HLEN);
	drop = parse_ip6_ext(c, &pkt->proto);
	pkt->l3len = (uint16_t)(c->at - ip);
	return drop;
}

static enum tap_counter parse_tcp(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = need(c, TCP_HLEN_MIN);

	if (drop != TAP_COUNTERS)
		return drop;

	pkt->sport = get_be16(c->at);
	pkt->dport = get_be16(c->at + 2);
	pkt->l4len = (uint16_t)((c->at[12] >> 4) * 4);
	if (pkt->l4len < TCP_HLEN_MIN)
		return TAP_SHORT;
	return need(c, pkt->l4len);
}

static enum tap_counter parse_udp(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = need(c, UDP_HLEN);
	size_t len;

	if (drop != TAP_COUNTERS)
		return drop;

	pkt->sport = get_be16(c->at);
	pkt->dport = get_be16(c->at + 2);
	len = get_be16(c->at + 4);
	if (len < UDP_HLEN || len > c->left)
		return TAP_SHORT;
	c->left = len;
	pkt->l4len = UDP_HLEN;

	/* RFC 8200 8.1: zero is no checksum over IPv6. */
	if (!addr_is_v4(&pkt->src) && !get_be16(c->at + 6))
		return TAP_CHECKSUM;
	return TAP_COUNTERS;
}

static enum tap_counter parse_icmp(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = need(c, ICMP_HLEN);
	bool v4 = addr_is_v4(&pkt->src);
	uint8_t type;

	if (drop != TAP_COUNTERS)
		return drop;

	type = c->at[0];
	if (v4 ? type == 8 || !type : type == 128 || type == 129)
		pkt->sport = get_be16(c->at + 4);
	pkt->l4len = ICMP_HLEN;
	return TAP_COUNTERS;
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
	if (drop != TAP_COUNTERS)
		return drop;

	pkt->l4 = c->at;
	skip(c, pkt->l4len);
	return TAP_COUNTERS;
}

/* address_ok() - Whether a guest may write these (RFC 1122 3.2.1.3) */
static bool address_ok(const struct pkt *pkt)
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
 * trim() - Cut an array of pieces down to the payload
 * @f:		frame
 * @off:	bytes to drop in front
 * @len:	bytes to keep after them; both are inside the frame
 */
static void trim(struct frame *f, size_t off, size_t len)
{
	unsigned int i;

	for (; f->iovcnt && off >= f->iov->iov_len; f->iov++, f->iovcnt--)
		off -= f->iov->iov_len;
	if (!f->iovcnt)
		return;
	f->iov->iov_base = (uint8_t *)f->iov->iov_base + off;
	f->iov->iov_len -= off;

	for (i = 0; i < f->iovcnt && len; i++) {
		f->iov[i].iov_len = MIN(f->iov[i].iov_len, len);
		len -= f->iov[i].iov_len;
	}
	f->iovcnt = i;
}

/**
 * checksum_ok() - Check the transport checksum of a parsed packet
 * @pkt:	packet
 *
 * TCP would have to (RFC 9293 3.1): what is damaged inside the guest must not
 * leave it under a checksum that is right. The pass over the payload brings it
 * into the cache from which send() copies it.
 *
 * Return: whether it is right, or not used
 */
static bool checksum_ok(const struct pkt *pkt)
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

/* parse_headers() - Everything but the payload; the reason to drop, if any */
static enum tap_counter parse_headers(struct cursor *c, struct pkt *pkt)
{
	enum tap_counter drop = need(c, ETH_HLEN);

	if (drop != TAP_COUNTERS)
		return drop;

	pkt->dmac = c->at;
	pkt->smac = c->at + MAC_LEN;
	pkt->etype = get_be16(c->at + 2 * MAC_LEN);
	skip(c, ETH_HLEN);
	pkt->l3 = c->at;

	if (pkt->etype == ETH_P_ARP)
		return parse_arp(c, pkt);
	if (pkt->etype == ETH_P_IP)
		drop = parse_ip4(c, pkt);
	else if (pkt->etype == ETH_P_IPV6)
		drop = parse_ip6(c, pkt);
	else
		drop = TAP_ETYPE;
	if (drop == TAP_COUNTERS)
		drop = parse_l4(c, pkt);
	if (drop == TAP_COUNTERS && !address_ok(pkt))
		drop = TAP_ADDRESS;
	return drop;
}

/**
 * gather() - Copy the start of a frame
 * @f:		frame
 * @copy:	PKT_HDR_MAX bytes
 *
 * Return: bytes copied
 */
static size_t gather(const struct frame *f, uint8_t *copy)
{
	size_t len = 0, n;
	unsigned int i;

	for (i = 0; i < f->iovcnt && len < PKT_HDR_MAX; i++) {
		n = MIN(f->iov[i].iov_len, PKT_HDR_MAX - len);
		memcpy(copy + len, f->iov[i].iov_base, n);
		len += n;
	}
	return len;
}

/**
 * tap_parse() - Check a frame and take it apart
 * @t:		for the counters, and for whether memory is shared
 * @f:		frame; its pieces become the payload of @pkt
 * @copy:	PKT_HDR_MAX bytes that live as long as @pkt; the headers go
 *		there where the guest could change them, or they are scattered
 * @pkt:	filled
 *
 * Return: true, or false: dropped and counted
 */
bool tap_parse(struct tap *t, struct frame *f, uint8_t *copy, struct pkt *pkt)
{
	struct cursor c = { .left = f->len };
	enum tap_counter drop;

	if (t->link->shared || f->iovcnt != 1) {
		c.at = copy;
		c.end = copy + gather(f, copy);
	} else {
		c.at = f->iov->iov_base;
		c.end = c.at + MIN(f->len, PKT_HDR_MAX);
	}

	memset(pkt, 0, sizeof(*pkt));
	drop = parse_headers(&c, pkt);
	if (drop == TAP_COUNTERS) {
		trim(f, (size_t)(pkt->l4 + pkt->l4len - pkt->dmac), c.left);
		pkt->iov = f->iov;
		pkt->iovcnt = c.left ? f->iovcnt : 0;
		pkt->len = (uint32_t)c.left;
		if (pkt->etype != ETH_P_ARP && !f->csum_ok && !checksum_ok(pkt))
			drop = TAP_CHECKSUM;
	}
	if (drop == TAP_COUNTERS)
		return true;

	t->count[drop]++;
	LOG_LIMITED(LOG_DEBUG, "frame of %u bytes dropped: %s", f->len,
		    tap_counter_name[drop]);
	return false;
}

/**
 * tap_learn() - One more address that is the guest's
 * @t:		the guest's side
 * @addr:	what it uses, or is about to use
 */
void tap_learn(struct tap *t, const struct in6_addr *addr)
{
	if (!addr_is_unicast(addr))
		return;
	if (addr_is_v4(addr))
		t->addr4 = *addr;
	else if (addr_is_linklocal(addr))
		t->addr6_ll = *addr;
	else
		t->addr6 = *addr;
}

/* learn() - The guest's addresses are those it sends from */
static void learn(struct tap *t, const struct pkt *pkt)
{
	struct in6_addr sender;
	struct in_addr v4;

	if (!(pkt->smac[0] & 1))
		memcpy(t->guest_mac, pkt->smac, MAC_LEN);

	if (pkt->etype == ETH_P_ARP) {
		memcpy(&v4, pkt->l3 + 14, sizeof(v4));
		sender = addr_from_v4(v4);
		tap_learn(t, &sender);
	} else {
		tap_learn(t, &pkt->src);
	}
}

/* trace_pkt() - A line about a packet, for --trace */
static void trace_pkt(const char *dir, const struct pkt *pkt)
{
	char src[ADDR_STRLEN], dst[ADDR_STRLEN];

	if (pkt->etype == ETH_P_ARP)
		log_msg(LOG_TRACE, "%s ARP operation %u", dir,
			get_be16(pkt->l3 + 6));
	else
		log_msg(LOG_TRACE, "%s %s.%u > %s.%u protocol %u, %u bytes",
			dir, addr_str(&pkt->src, src), pkt->sport,
			addr_str(&pkt->dst, dst), pkt->dport, pkt->proto,
			pkt->len);
}

/* trace_out() - Lines about the frames that are to be sent */
static void trace_out(struct tap *t)
{
	const struct link *l = t->link;
	uint8_t copy[PKT_HDR_MAX];
	unsigned int i;
	struct pkt pkt;

	for (i = 0; i < l->nout; i++) {
		struct iovec iov = l->out[i];
		struct frame f = {
			.iov = &iov, .iovcnt = 1,
			.len = (uint32_t)iov.iov_len, .csum_ok = true,
		};

		if (tap_parse(t, &f, copy, &pkt))
			trace_pkt("to guest:", &pkt);
	}
}

/**
 * tap_flush() - Send what was committed to the link
 * @t:		the guest's side
 *
 * Return: as link_flush()
 */
int tap_flush(struct tap *t)
{
	if (log_enabled(LOG_TRACE))
		trace_out(t);
	return link_flush(t->link);
}

/**
 * tap_init() - Start with a guest unknown
 * @t:		the guest's side
 * @link:	what will carry its frames
 * @mac:	our address
 */
void tap_init(struct tap *t, struct link *link, const uint8_t mac[MAC_LEN])
{
	/* Not the packets, whose memory is not needed before they come. */
	memset(t, 0, offsetof(struct tap, pkt));
	memset(t->count, 0, sizeof(t->count));
	t->npkt = 0;
	t->link = link;
	memcpy(t->mac, mac, MAC_LEN);
	memset(t->guest_mac, 0xff, MAC_LEN);
}

/**
 * tap_guest_new() - Another guest: what was learned of the last one is gone
 * @t:		the guest's side
 * @addr4:	the IPv4 address it is going to be given, none: none
 * @addr6:	likewise for IPv6
 */
void tap_guest_new(struct tap *t, const struct in6_addr *addr4,
		   const struct in6_addr *addr6)
{
	memset(t->guest_mac, 0xff, MAC_LEN);
	t->addr4 = *addr4;
	t->addr6 = *addr6;
	t->addr6_ll = ADDR_NONE;
}

/**
 * tap_input() - Receive a batch of frames and parse them into @t->pkt
 * @t:		the guest's side
 * @now:	ms
 *
 * The packets are good until link_release().
 *
 * Return: frames received, parsed or dropped; 0: none now; < 0: -errno, the
 *	   link is gone
 */
int tap_input(struct tap *t, uint64_t now)
{
	struct link *l = t->link;
	struct pkt *pkt;
	int n, i;

	t->npkt = 0;
	n = link_refill(l);
	for (i = 0; i < n; i++) {
		pkt = &t->pkt[t->npkt];
		if (!tap_parse(t, &l->in[i], t->hdr[t->npkt], pkt))
			continue;
		learn(t, pkt);
		t->npkt++;
		if (log_enabled(LOG_TRACE))
			trace_pkt("from guest:", pkt);
	}
	if (n > 0)
		t->count[TAP_IN] += (unsigned int)n;
	return n;
}

/**
 * tap_run() - How many packets from one on belong to the same flow
 * @t:		the guest's side
 * @first:	index in @t->pkt
 *
 * Return: 1 or more
 */
unsigned int tap_run(const struct tap *t, unsigned int first)
{
	const struct pkt *a = &t->pkt[first], *b;
	unsigned int i;

	for (i = first + 1; i < t->npkt; i++) {
		b = &t->pkt[i];
		if (b->proto != a->proto || b->etype != a->etype ||
		    b->sport != a->sport || b->dport != a->dport ||
		    !addr_eq(&b->src, &a->src) || !addr_eq(&b->dst, &a->dst))
			break;
	}
	return i - first;
}

/**
 * pkt_copy() - Copy the payload of a packet
 * @pkt:	packet
 * @buf:	where to
 * @size:	bytes there; what goes beyond is left out
 *
 * Return: bytes copied
 */
size_t pkt_copy(const struct pkt *pkt, void *buf, size_t size)
{
	size_t len = 0, n;
	unsigned int i;

	for (i = 0; i < pkt->iovcnt && len < size; i++) {
		n = MIN(pkt->iov[i].iov_len, size - len);
		memcpy((uint8_t *)buf + len, pkt->iov[i].iov_base, n);
		len += n;
	}
	return len;
}

/**
 * room() - Room for one frame that is not bulk data
 * @t:		the guest's side
 * @len:	bytes
 *
 * Return: where to write it, or NULL, counted: the guest does not read
 */
static uint8_t *room(struct tap *t, size_t len)
{
	struct iovec iov;

	if (link_reserve(t->link, len, &iov))
		return iov.iov_base;
	/* Behind bulk data of this pass: make way for it. */
	if (tap_flush(t) > 0 && link_reserve(t->link, len, &iov))
		return iov.iov_base;

	t->count[TAP_NO_ROOM]++;
	return NULL;
}

/**
 * tap_send() - Send one whole frame
 * @t:		the guest's side
 * @frame:	Ethernet frame, checksums and all
 * @len:	bytes
 *
 * Return: 0, or -ENOBUFS: dropped and counted, the guest does not read
 */
int tap_send(struct tap *t, const void *frame, size_t len)
{
	uint8_t *p = room(t, len);

	if (!p)
		return -ENOBUFS;
	memcpy(p, frame, len);
	link_commit(t->link, len);
	t->count[TAP_OUT]++;
	return 0;
}

/* csum_offset() - Where the checksum is in a transport header */
static size_t csum_offset(uint8_t proto)
{
	if (proto == IPPROTO_TCP)
		return 16;
	return proto == IPPROTO_UDP ? 6 : 2;
}

/**
 * tap_ip_send() - Send one packet, given from the transport header on
 * @t:		the guest's side
 * @ip:		what the IP header says
 * @l4:		TCP, UDP, ICMP or ICMPv6 header and payload; whatever is in
 *		its checksum field is replaced
 * @len:	bytes, at least those of the header
 *
 * Return: 0, or -ENOBUFS: dropped and counted, the guest does not read
 */
int tap_ip_send(struct tap *t, const struct tap_ip *ip, const void *l4,
		size_t len)
{
	size_t off = csum_offset(ip->proto);
	struct tap_hdr h;
	uint8_t *frame;
	uint16_t check;
	uint64_t sum;

	tap_hdr_init(&h, t, ip);
	frame = room(t, h.len + len);
	if (!frame)
		return -ENOBUFS;

	sum = tap_hdr_put(&h, frame, len);
	memcpy(frame + h.len, l4, len);
	memset(frame + h.len + off, 0, sizeof(check));
	if (ip->proto == IPPROTO_ICMP)
		sum = 0;
	check = csum_fold(csum_add(frame + h.len, len, sum));
	if (!check && ip->proto == IPPROTO_UDP)
		check = 0xffff;			/* RFC 768: zero is none */
	memcpy(frame + h.len + off, &check, sizeof(check));

	link_commit(t->link, h.len + len);
	t->count[TAP_OUT]++;
	return 0;
}

/**
 * dest_mac() - The Ethernet address for a packet to the guest
 * @t:		the guest's side
 * @dst:	IP destination
 * @mac:	filled: a group's own address (RFC 1112 6.4, RFC 2464 7), for
 *		what the guest bridges; else the guest's
 */
static void dest_mac(const struct tap *t, const struct in6_addr *dst,
		     uint8_t mac[MAC_LEN])
{
	const uint8_t *a = dst->s6_addr;

	memcpy(mac, t->guest_mac, MAC_LEN);
	if (addr_is_v4(dst) && get_be32(a + 12) == INADDR_BROADCAST) {
		memset(mac, 0xff, MAC_LEN);
	} else if (addr_is_v4(dst) && addr_is_multicast(dst)) {
		put_be32(mac, 0x01005e00);
		mac[3] = a[13] & 0x7f;
		put_be16(mac + 4, get_be16(a + 14));
	} else if (addr_is_multicast(dst)) {
		put_be16(mac, 0x3333);
		memcpy(mac + 2, a + 12, 4);
	}
}

/**
 * tap_hdr_init() - Prepare the headers of a row of packets to the guest
 * @h:		filled
 * @t:		for the Ethernet addresses
 * @ip:		what the IP header says
 */
void tap_hdr_init(struct tap_hdr *h, const struct tap *t,
		  const struct tap_ip *ip)
{
	uint8_t ttl = ip->ttl ? ip->ttl : TAP_TTL, *p = h->hdr + ETH_HLEN;
	struct in_addr v4;

	dest_mac(t, &ip->dst, h->hdr);
	memcpy(h->hdr + MAC_LEN, t->mac, MAC_LEN);

	if (addr_is_v4(&ip->dst)) {
		put_be16(h->hdr + 2 * MAC_LEN, ETH_P_IP);
		p[0] = 0x45;
		p[1] = ip->tos;
		put_be32(p + 2, 0);	/* no ID: never fragmented (RFC 6864) */
		put_be16(p + 6, IP4_DF);
		p[8] = ttl;
		p[9] = ip->proto;
		put_be16(p + 10, 0);
		v4 = addr_v4(&ip->src);
		memcpy(p + 12, &v4, sizeof(v4));
		v4 = addr_v4(&ip->dst);
		memcpy(p + 16, &v4, sizeof(v4));
		h->len = ETH_HLEN + IP4_HLEN;
		h->ip4 = csum_add(p, IP4_HLEN, 0);
	} else {
		put_be16(h->hdr + 2 * MAC_LEN, ETH_P_IPV6);
		put_be32(p, 6U << 28 | (uint32_t)ip->tos << 20);
		put_be16(p + 4, 0);
		p[6] = ip->proto;
		p[7] = ttl;
		memcpy(p + 8, &ip->src, sizeof(ip->src));
		memcpy(p + 24, &ip->dst, sizeof(ip->dst));
		h->len = ETH_HLEN + IP6_HLEN;
		h->ip4 = 0;
	}
	h->pseudo = csum_pseudo(&ip->src, &ip->dst, ip->proto, 0);
}

/**
 * tap_hdr_put() - Write the Ethernet and IP headers of one packet
 * @h:		prepared headers
 * @frame:	where to, @h->len bytes
 * @l4len:	transport header and payload, bytes
 *
 * Return: sum of the pseudo-header, for the transport checksum to go on from
 */
uint64_t tap_hdr_put(const struct tap_hdr *h, uint8_t *frame, size_t l4len)
{
	uint8_t *ip = frame + ETH_HLEN;
	uint16_t check, total;

	if (h->len == ETH_HLEN + IP4_HLEN) {
		memcpy(frame, h->hdr, ETH_HLEN + IP4_HLEN);
		total = htons((uint16_t)(IP4_HLEN + l4len));
		check = csum_fold(h->ip4 + total);
		memcpy(ip + 2, &total, sizeof(total));
		memcpy(ip + 10, &check, sizeof(check));
	} else {
		memcpy(frame, h->hdr, ETH_HLEN + IP6_HLEN);
		put_be16(ip + 4, (uint16_t)l4len);
	}
	return csum_sum_add(h->pseudo, htons((uint16_t)l4len));
}

/**
 * tap_guest_addr() - The guest's address that a peer's packets go to
 * @t:		the guest's side
 * @peer:	source, as the guest will see it
 *
 * Return: address of the same family and scope, none if it is not known
 */
const struct in6_addr *tap_guest_addr(const struct tap *t,
				      const struct in6_addr *peer)
{
	if (addr_is_v4(peer))
		return &t->addr4;
	return addr_is_linklocal(peer) ? &t->addr6_ll : &t->addr6;
}
