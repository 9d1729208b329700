// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * tap.c - The guest's side: frames in, checked, parsed once, handed on; frames
 * out, with their headers and checksums.
 */
#include <errno.h>
#include <netinet/icmp6.h>
#include <stdlib.h>
#include <string.h>

#include "checksum.h"
#include "iov.h"
#include "log.h"
#include "tap/fragment.h"
#include "tap/parse.h"

const char *const tap_counter_name[TAP_COUNTERS] = {
	[TAP_FROM_GUEST]	= "frames_from_guest",
	[TAP_TO_GUEST]	= "frames_to_guest",
	[TAP_NO_SPACE]	= "to_guest_no_space",
	[TAP_SHORT]	= "from_guest_truncated",
	[TAP_HEADERS]	= "from_guest_headers_too_long",
	[TAP_ETYPE]	= "from_guest_ethertype_unknown",
	[TAP_VERSION]	= "from_guest_ip_version",
	[TAP_CHECKSUM]	= "from_guest_checksum",
	[TAP_FRAGMENT]	= "from_guest_fragment",
	[TAP_OFFLOAD]	= "from_guest_offload",
	[TAP_PROTO]	= "from_guest_protocol_unknown",
	[TAP_ADDRESS]	= "from_guest_address",
};

/* count_drop() - Count a dropped frame of @len bytes */
static void count_drop(struct tap *t, enum tap_counter why, uint32_t len)
{
	t->count[why]++;
	LOG_LIMITED(LOG_DEBUG, "frame of %u bytes dropped: %s", len,
		    tap_counter_name[why]);
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
		t->addr[IP4] = *addr;
	else if (addr_is_linklocal(addr))
		t->addr6_ll = *addr;
	else
		t->addr[IP6] = *addr;
}

/* learn_sender() - The guest's addresses are those it sends from */
static void learn_sender(struct tap *t, const struct pkt *pkt)
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

/**
 * tap_flush() - Send what was committed to the link
 * @t:		the guest's side
 *
 * Return: as link_flush()
 */
int tap_flush(struct tap *t)
{
	return link_flush(t->queue);
}

/**
 * tap_init() - Start with a guest unknown
 * @t:		the guest's side
 * @link:	link that will carry its frames
 * @queue:	the queue of it to use
 * @net:	network of the guest
 */
void tap_init(struct tap *t, struct link *link, struct link_queue *queue,
	      const struct net *net)
{
	/* Not the packets, whose memory is not needed before they come. */
	memset(t, 0, offsetof(struct tap, pkt));
	memset(t->count, 0, sizeof(t->count));
	t->npkt = 0;
	t->link = link;
	t->queue = queue;
	t->net = net;
	memset(t->guest_mac, 0xff, MAC_LEN);
	random_bytes(&t->ident, sizeof(t->ident));
}

/**
 * tap_guest_new() - Another guest: what was learned of the last one is gone
 * @t:		the guest's side
 *
 * Its addresses are those that it is going to be given, until others are seen.
 */
void tap_guest_new(struct tap *t)
{
	memset(t->guest_mac, 0xff, MAC_LEN);
	memcpy(t->addr, t->net->lease.addr, sizeof(t->addr));
	t->addr6_ll = ADDR_NONE;
}

/* tap_guest_gone() - What it left of fragments is given back */
void tap_guest_gone(struct tap *t)
{
	reassembly_free(&t->fragments);
}

/* ndp_cut() - Neighbour discovery in fragments is dropped (RFC 6980 5) */
static bool ndp_cut(const struct pkt *pkt)
{
	return pkt->etype == ETH_P_IPV6 && pkt->proto == IPPROTO_ICMPV6 &&
	       !pkt->df && pkt->l4[0] >= ND_ROUTER_SOLICIT &&
	       pkt->l4[0] <= ND_REDIRECT;
}

/**
 * parse_input() - One frame of a batch
 * @t:		the guest's side
 * @f:		frame
 * @copy:	as for parse_frame()
 * @pkt:	filled: what the frame is, or was the last fragment of
 * @now:	ms
 *
 * Return: whether it is a packet
 */
static bool parse_input(struct tap *t, struct frame *f, uint8_t *copy,
			struct pkt *pkt, uint64_t now)
{
	struct fragment frag;
	enum tap_counter drop;

	drop = parse_frame(f, t->link->caps.shared, copy, pkt, &frag);
	if (drop == TAP_FRAGMENT && frag.len) {
		f = reassemble(&t->fragments, &frag, f, now);
		if (!f)
			return false;
		drop = parse_frame(f, false, copy, pkt, &frag);
		pkt->df = false;
	}
	if (drop == DROP_NONE && ndp_cut(pkt))
		drop = TAP_FRAGMENT;
	if (drop != DROP_NONE)
		count_drop(t, drop, f->len);
	return drop == DROP_NONE;
}

/**
 * tap_recv_burst() - Receive a batch of frames and parse them into @t->pkt
 * @t:		the guest's side
 * @now:	ms
 *
 * The packets are good until tap_release().
 *
 * Return: frames received, parsed or dropped; 0: none now; < 0: -errno, the
 *	   link is gone
 */
int tap_recv_burst(struct tap *t, uint64_t now)
{
	struct link_queue *q = t->queue;
	struct pkt *pkt;
	int n, i;

	t->npkt = 0;
	reassembly_release(&t->fragments);
	reassembly_expire(&t->fragments, now);
	n = link_refill(q);
	for (i = 0; i < n; i++) {
		pkt = &t->pkt[t->npkt];
		if (!parse_input(t, &q->from_guest[i], t->hdr[t->npkt], pkt,
				 now))
			continue;
		learn_sender(t, pkt);
		t->npkt++;
	}
	if (n > 0)
		t->count[TAP_FROM_GUEST] += (unsigned int)n;
	return n;
}

/**
 * tap_release() - The packets of the last batch are done with
 * @t:		the guest's side
 */
void tap_release(struct tap *t)
{
	reassembly_release(&t->fragments);
	link_release(t->queue);
}

/**
 * tap_batch_len() - How many packets from one on belong to the same flow
 * @t:		the guest's side
 * @first:	index in @t->pkt
 *
 * Return: 1 or more
 */
unsigned int tap_batch_len(const struct tap *t, unsigned int first)
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

/* csum_field() - The checksum field of a transport header for a sum */
static uint16_t csum_field(uint8_t proto, uint64_t sum)
{
	return proto == IPPROTO_UDP ? csum_fold_udp(sum) : csum_fold(sum);
}

/**
 * pkt_csum() - The complete checksum of a packet whose checksum is partial
 * @pkt:	packet
 *
 * Return: the field, as it is stored
 */
uint16_t pkt_csum(const struct pkt *pkt)
{
	uint64_t sum = csum_add(pkt->l4, pkt->l4len, 0);

	return csum_field(pkt->proto, csum_iov(pkt->iov, pkt->iovcnt, sum));
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
	return iov_copy(buf, size, pkt->iov, pkt->iovcnt);
}

/**
 * tap_slot() - Space for one frame that is not bulk data
 * @t:		the guest's side
 * @len:	bytes
 * @slot:	filled
 *
 * Return: false, counted: the guest does not read
 */
bool tap_slot(struct tap *t, size_t len, struct link_slot *slot)
{
	if (link_slots(t->queue, len, 1, slot))
		return true;
	/* Behind bulk data of this pass: make space for it. */
	if (tap_flush(t) > 0 && link_slots(t->queue, len, 1, slot))
		return true;

	t->count[TAP_NO_SPACE]++;
	return false;
}

/**
 * tap_send() - Send one whole frame
 * @t:		the guest's side
 * @frame:	Ethernet frame with its checksums
 * @len:	bytes
 *
 * Return: 0, or -ENOBUFS: dropped and counted, the guest does not read
 */
int tap_send(struct tap *t, const void *frame, size_t len)
{
	struct link_slot slot;

	if (!tap_slot(t, len, &slot))
		return -ENOBUFS;
	link_slot_write(&slot, 0, frame, len);
	tap_commit(t, &slot, len, (struct frame_meta){ 0 });
	return 0;
}

/* csum_without() - Take a field at an even offset out of a sum */
static uint64_t csum_without(uint64_t sum, const uint8_t *field)
{
	uint16_t value;

	memcpy(&value, field, sizeof(value));
	return csum_sum_add(sum, (uint16_t)~value);
}

/**
 * csum_partial() - Whether checksums to the guest cover the pseudo-header only
 *
 * The one place where that is decided: the guest, or its device, completes them
 * where it has to.
 */
static bool csum_partial(const struct tap *t)
{
	return t->link->caps.csum_to_guest;
}

/* l4_write() - Copy a packet into a slot; the sum that its checksum takes */
static uint64_t l4_write(const struct tap *t, const struct link_slot *slot,
			 size_t off, const uint8_t *l4, size_t len,
			 uint64_t pseudo)
{
	if (slot->cnt == 1 && !csum_partial(t))
		return csum_copy((uint8_t *)slot->iov->iov_base + off, l4, len,
				 pseudo);
	link_slot_write(slot, off, l4, len);
	return csum_partial(t) ? pseudo : csum_add(l4, len, pseudo);
}

/* l4_sum() - The same for a packet that is in the slot, @len bytes from @off */
static uint64_t l4_sum(const struct tap *t, const struct link_slot *slot,
		       size_t off, size_t len, uint64_t pseudo)
{
	struct iovec first = *slot->iov;
	unsigned int cnt;
	uint64_t sum;

	if (csum_partial(t))
		return pseudo;
	if (off + len <= first.iov_len)
		return csum_add((uint8_t *)first.iov_base + off, len, pseudo);

	cnt = link_slot_cut(slot, off + len);
	slot->iov->iov_base = (uint8_t *)first.iov_base + off;
	slot->iov->iov_len -= off;
	sum = csum_iov(slot->iov, cnt, pseudo);
	*slot->iov = first;
	return sum;
}

/**
 * l4_finish() - Set the checksum of a packet in a slot, and make a frame of it
 * @t:		the guest's side
 * @slot:	slot with the packet
 * @h:		its Ethernet and IP headers
 * @len:	bytes from the transport header on
 * @sum:	of l4_write() or l4_sum()
 * @gso_size:	as for tap_l4_commit()
 */
static void l4_finish(struct tap *t, const struct link_slot *slot,
		      const struct tap_hdr *h, size_t len, uint64_t sum,
		      uint16_t gso_size)
{
	uint8_t *l4 = (uint8_t *)slot->iov->iov_base + h->len;
	size_t at = l4_csum_offset(h->proto);
	uint16_t check = csum_field(h->proto, sum);
	struct frame_meta meta = { 0 };

	if (csum_partial(t)) {
		check = (uint16_t)~csum_fold(sum);
		meta.csum = LINK_CSUM_PARTIAL;
		meta.csum_start = (uint16_t)h->len;
		meta.csum_offset = (uint16_t)at;
	}
	if (gso_size) {
		meta.gso_size = gso_size;
		meta.gso = h->proto == IPPROTO_UDP ? LINK_GSO_UDP :
			   h->len == ETH_HLEN + IP4_HLEN ? LINK_GSO_TCP4 :
			   LINK_GSO_TCP6;
	}
	memcpy(l4 + at, &check, sizeof(check));
	tap_commit(t, slot, h->len + len, meta);
}

/**
 * tap_l4_commit() - Make a frame of a packet that is in a slot
 * @t:		the guest's side
 * @slot:	slot with the transport header, its checksum field zero, and the
 *		payload in place
 * @h:		Ethernet and IP headers, not in place
 * @len:	bytes from the transport header on
 * @gso_size:	bytes of payload of each segment in a GSO frame, 0: it is none
 */
void tap_l4_commit(struct tap *t, const struct link_slot *slot,
		   const struct tap_hdr *h, size_t len, uint16_t gso_size)
{
	uint64_t pseudo = tap_hdr_put(h, slot->iov->iov_base, len);

	l4_finish(t, slot, h, len, l4_sum(t, slot, h->len, len, pseudo),
		  gso_size);
}

/**
 * tap_l4_send() - Send one packet that fits in a frame
 * @t:		the guest's side
 * @h:		its Ethernet and IP headers
 * @l4:		transport header and payload; the value of the checksum field
 *		does not matter
 * @len:	bytes of these
 * @gso_size:	as for tap_l4_commit()
 *
 * Return: 0, or -ENOBUFS: dropped and counted, the guest does not read
 */
int tap_l4_send(struct tap *t, const struct tap_hdr *h, const uint8_t *l4,
		size_t len, uint16_t gso_size)
{
	struct link_slot slot;
	uint64_t sum;

	if (!tap_slot(t, h->len + len, &slot))
		return -ENOBUFS;

	sum = tap_hdr_put(h, slot.iov->iov_base, len);
	sum = l4_write(t, &slot, h->len, l4, len, sum);
	if (!csum_partial(t))
		sum = csum_without(sum, l4 + l4_csum_offset(h->proto));
	l4_finish(t, &slot, h, len, sum, gso_size);
	return 0;
}

/**
 * tap_mtu() - The longest packet that guest and link take, bytes
 * @t:		the guest's side
 */
size_t tap_mtu(const struct tap *t)
{
	return MIN(t->net->mtu, t->link->caps.max_frame - ETH_HLEN);
}

/* unfragmented_max() - The longest packet that is sent in one piece, bytes */
static size_t unfragmented_max(const struct tap *t, bool v4)
{
	return MAX(tap_mtu(t), v4 ? IP4_MTU_MIN : IP6_MTU_MIN);
}

/**
 * tap_ip_send() - Send one packet, given from the transport header on
 * @t:		the guest's side
 * @ip:		what the IP header says
 * @l4:		TCP, UDP, ICMP or ICMPv6 header and payload; whatever is in
 *		its checksum field is replaced
 * @len:	bytes, at least those of the header; with the IPv4 header, or
 *		without that of IPv6, at most 65,535
 *
 * It goes in fragments if it is longer than the guest's MTU.
 *
 * Return: 0, or -ENOBUFS: dropped and counted, the guest does not read
 */
int tap_ip_send(struct tap *t, const struct ip_hdr *ip, const void *l4,
		size_t len)
{
	struct long_packet w = { .proto = ip->proto, .l4 = l4, .len = len };
	size_t mtu = unfragmented_max(t, addr_is_v4(&ip->dst));
	struct tap_hdr h;
	uint64_t sum = 0;

	tap_hdr_init(&h, t, ip);
	if (h.len - ETH_HLEN + len <= mtu)
		return tap_l4_send(t, &h, l4, len, 0);

	w.hdr = &h;
	w.check_at = l4_csum_offset(ip->proto);
	if (ip->proto != IPPROTO_ICMP)
		sum = csum_pseudo(&ip->src, &ip->dst, ip->proto, (uint32_t)len);
	sum = csum_without(csum_add(l4, len, sum), w.l4 + w.check_at);
	w.check = csum_field(ip->proto, sum);
	return fragment_to_guest(t, &w, mtu);
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
		  const struct ip_hdr *ip)
{
	bool v4 = addr_is_v4(&ip->dst);
	uint8_t *p = h->hdr + ETH_HLEN;

	dest_mac(t, &ip->dst, h->hdr);
	memcpy(h->hdr + MAC_LEN, t->net->lease.mac, MAC_LEN);
	put_be16(h->hdr + 2 * MAC_LEN, v4 ? ETH_P_IP : ETH_P_IPV6);
	h->len = (unsigned int)(ETH_HLEN + ip_hdr_put(p, ip));
	h->proto = ip->proto;
	h->ip4 = v4 ? csum_add(p, IP4_HLEN, 0) : 0;
	h->pseudo = csum_pseudo(&ip->src, &ip->dst, ip->proto, 0);
}

/**
 * tap_hdr_put() - Write the Ethernet and IP headers of one packet
 * @h:		prepared headers
 * @frame:	where to, @h->len bytes
 * @l4len:	transport header and payload, bytes
 *
 * Return: sum of the pseudo-header; 0 for ICMP, which has none
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
	if (h->proto == IPPROTO_ICMP)
		return 0;
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
		return &t->addr[IP4];
	return addr_is_linklocal(peer) ? &t->addr6_ll : &t->addr[IP6];
}
