// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * tap.c - The guest's side of passt. Receives frames from the guest, and parses
 * and checks each frame once. Writes headers and checksums of frames to the
 * guest.
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

/* Time, ms. If a guest has sent nothing for this long, and has not taken the
 * frames that wait for it, passt assumes that the guest is paused. */
#define GUEST_SILENCE	1000

/* Maximum number of slots that tap_udp_send_each() asks the link for at
 * once. */
#define SLOTS_MAX	64

const char *const tap_counter_name[TAP_COUNTERS] = {
	[TAP_FROM_GUEST]	= "frames_from_guest",
	[TAP_TO_GUEST]	= "frames_to_guest",
	[TAP_NO_SPACE]	= "to_guest_no_space",
	[TAP_SHORT]	= "from_guest_truncated",
	[TAP_HEADERS]	= "from_guest_headers_too_long",
	[TAP_ETYPE]	= "from_guest_ethertype_unknown",
	[TAP_VLAN]	= "from_guest_vlan",
	[TAP_VERSION]	= "from_guest_ip_version",
	[TAP_CHECKSUM]	= "from_guest_checksum",
	[TAP_FRAGMENT]	= "from_guest_fragment",
	[TAP_OFFLOAD]	= "from_guest_offload",
	[TAP_PROTO]	= "from_guest_protocol_unknown",
	[TAP_ADDRESS]	= "from_guest_address",
};

/* count_drop() - Count and log a dropped frame of @len bytes */
static void count_drop(struct tap *t, enum tap_counter why, uint32_t len)
{
	t->count[why]++;
	LOG_LIMITED(LOG_DEBUG, "frame of %u bytes dropped: %s", len,
		    tap_counter_name[why]);
}

/**
 * tap_learn() - Note an address on the guest's side
 * @t:		the guest's side
 * @addr:	address that the guest uses or is about to use. If it is not a
 *		unicast address, only @mac is noted
 * @mac:	Ethernet address from which it is used
 */
void tap_learn(struct tap *t, const struct in6_addr *addr,
	       const uint8_t mac[MAC_LEN], uint64_t now)
{
	if (addr_is_unicast(addr))
		guest_learn(&t->guest, &t->net->lease, addr, mac, now);
	else
		guest_learn_mac(&t->guest, mac);
}

/**
 * tap_gave_back() - Note that the guest does not use an address of its lease
 * any more, because the guest has given the address back (DHCP, DHCPv6)
 * @t:		the guest's side
 * @addr, @mac: as for tap_learn()
 */
void tap_gave_back(struct tap *t, const struct in6_addr *addr,
		   const uint8_t mac[MAC_LEN])
{
	guest_gave_back(&t->guest, addr, mac);
}

/**
 * tap_show_mtu() - Note that the guest accepts packets of @len bytes
 * @t:		the guest's side
 * @len:	bytes of a packet that the guest has sent, or of the longest
 *		packet that the guest's MSS allows the peer to send
 *
 * The guest need not have taken the MTU that passt announced: some network
 * cards can't (e1000), and many DHCP clients ignore it. Such a guest would lose
 * a longer packet. So packets longer than ETH_DATA_LEN go to the guest in
 * fragments, until the guest has shown that it accepts longer packets.
 */
void tap_show_mtu(struct tap *t, size_t len)
{
	t->mtu_shown = MAX(t->mtu_shown, len);
}

/* learn_sender() - Note the source addresses of a packet as addresses on the
 * guest's side. A packet whose source is a group's Ethernet address is
 * ignored */
static void learn_sender(struct tap *t, const struct pkt *pkt, uint64_t now)
{
	struct in6_addr sender;
	struct in_addr v4;

	if (pkt->smac[0] & 1)
		return;
	if (pkt->etype == ETH_P_ARP) {
		memcpy(&v4, pkt->l3 + 14, sizeof(v4));
		sender = addr_from_v4(v4);
		tap_learn(t, &sender, pkt->smac, now);
	} else {
		tap_learn(t, &pkt->src, pkt->smac, now);
	}
}

/**
 * tap_flush() - Send all frames that were committed to any queue of the link
 * @t:		the guest's side
 *
 * Return: 1 if all frames were sent; 0 if the guest takes no more frames for
 *	   now from at least one of the queues; -ENOTCONN if no guest is
 *	   connected; another -errno if the link failed
 */
int tap_flush(struct tap *t)
{
	unsigned int i;
	int all = 1, rc;

	if (!link_up(t->link))
		return -ENOTCONN;
	for (i = 0; i < t->link->nqueues; i++) {
		rc = link_flush(&t->queues[i]);
		if (rc < 0)
			return rc;
		all = MIN(all, rc);
	}
	return all;
}

/**
 * tap_init() - Set up the guest's side before a guest has connected
 * @t:		the guest's side
 * @link:	link that will carry the guest's frames
 * @queues:	queues of @link
 * @net:	network of the guest
 */
void tap_init(struct tap *t, struct link *link, struct link_queue *queues,
	      const struct net *net)
{
	/* Do not clear @pkt and @hdr: the kernel provides memory for them only
	 * when they are first written. */
	memset(t, 0, offsetof(struct tap, pkt));
	memset(t->count, 0, sizeof(t->count));
	t->npkt = 0;
	t->link = link;
	t->queues = t->from = t->queue = queues;
	t->net = net;
	guest_reset(&t->guest, &net->lease);
	random_bytes(&t->ident, sizeof(t->ident));
	t->mtu_shown = ETH_DATA_LEN;
}

/* tap_lease_changed() - Take over a new lease of the guest. If the guest has
 * used other addresses, new flows go to those until the guest uses the
 * addresses of the new lease */
void tap_lease_changed(struct tap *t)
{
	guest_new_lease(&t->guest, &t->net->lease);
}

/**
 * tap_guest_new() - Forget the addresses and the MTU of the last guest, because
 * a new guest has connected
 * @t:		the guest's side
 */
void tap_guest_new(struct tap *t)
{
	guest_reset(&t->guest, &t->net->lease);
	t->mtu_shown = ETH_DATA_LEN;
	t->ncut = 0;
}

/* tap_guest_gone() - Free the fragments that the last guest has sent */
void tap_guest_gone(struct tap *t)
{
	reassembly_free(&t->fragments);
}

/* ndp_cut() - Whether a packet is a Neighbour Discovery message that came in
 * fragments, which must be dropped (RFC 6980 5) */
static bool ndp_cut(const struct pkt *pkt)
{
	return pkt->etype == ETH_P_IPV6 && pkt->proto == IPPROTO_ICMPV6 &&
	       !pkt->df && pkt->l4[0] >= ND_ROUTER_SOLICIT &&
	       pkt->l4[0] <= ND_REDIRECT;
}

/**
 * parse_input() - Parse one frame from the guest, and reassemble fragments
 * @t:		the guest's side
 * @f:		frame
 * @copy:	space for headers, as for parse_frame()
 * @pkt:	filled with the packet in the frame; if the frame is the last
 *		missing fragment of a packet, with the reassembled packet
 *
 * Return: true if @pkt holds a valid packet; false if the frame was dropped, or
 *	   is a fragment of a packet that is not complete yet
 */
static bool parse_input(struct tap *t, struct frame *f, uint8_t *copy,
			struct pkt *pkt, uint64_t now)
{
	struct fragment frag;
	enum tap_counter drop;

	if (f->len > ETH_HLEN && !f->meta.gso_size)
		tap_show_mtu(t, f->len - ETH_HLEN);
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
 * tap_recv_burst() - Receive a burst of frames and parse them into @t->pkt
 * @t:		the guest's side
 *
 * The packets in @t->pkt are valid until tap_release().
 *
 * Return: number of frames received, dropped frames included; 0 if there are
 *	   none now; -errno if the guest left or the link failed
 */
int tap_recv_burst(struct tap *t, uint64_t now)
{
	struct link_queue *q = t->from;
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
		learn_sender(t, pkt, now);
		t->npkt++;
	}
	if (n > 0) {
		t->count[TAP_FROM_GUEST] += (unsigned int)n;
		t->heard_at = now;
	}
	return n;
}

/**
 * tap_stalled() - Whether the guest does not take frames, for example because
 * it is paused
 * @t:		the guest's side
 *
 * Return: true if the guest has sent nothing for GUEST_SILENCE, and the link
 *	   holds frames that the guest has not taken
 */
bool tap_stalled(const struct tap *t, uint64_t now)
{
	return now - t->heard_at >= GUEST_SILENCE && link_stalled(t->queue);
}

/**
 * tap_release() - Free the memory of the packets of the last burst
 * @t:		the guest's side
 */
void tap_release(struct tap *t)
{
	reassembly_release(&t->fragments);
	link_release(t->from);
}

/**
 * tap_batch_len() - Count successive packets of the same flow
 * @t:		the guest's side
 * @first:	index in @t->pkt of the first packet
 *
 * Return: number of packets, the first one included
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

/* csum_field() - Make the checksum field of a transport header from a sum */
static uint16_t csum_field(uint8_t proto, uint64_t sum)
{
	return proto == IPPROTO_UDP ? csum_fold_udp(sum) : csum_fold(sum);
}

/**
 * pkt_csum() - Compute the complete checksum of a packet whose checksum is
 * partial
 * @pkt:	packet
 *
 * Return: the value of the checksum field, as it is stored
 */
uint16_t pkt_csum(const struct pkt *pkt)
{
	uint64_t sum = csum_add(pkt->l4, pkt->l4len, 0);

	return csum_field(pkt->proto, csum_iov(pkt->iov, pkt->iovcnt, sum));
}

/**
 * pkt_copy() - Copy the payload of a packet into one buffer
 * @pkt:	packet
 * @buf:	buffer to fill
 * @size:	size of @buf; only this many bytes of a longer payload are
 *		copied
 *
 * Return: number of bytes copied
 */
size_t pkt_copy(const struct pkt *pkt, void *buf, size_t size)
{
	return iov_copy(buf, size, pkt->iov, pkt->iovcnt);
}

/**
 * tap_slot() - Get a slot for one frame to the guest
 * @t:		the guest's side
 * @len:	bytes of the slot, Ethernet header included
 * @slot:	filled
 *
 * If the link has no space, this function flushes the link and tries again.
 *
 * Return: true if a slot was found; false if there is no space because the
 *	   guest does not read; this function has then counted TAP_NO_SPACE
 */
bool tap_slot(struct tap *t, size_t len, struct link_slot *slot)
{
	if (link_slots(t->queue, len, 1, slot))
		return true;
	/* Frames of this pass may take up all space: send them first. */
	if (link_flush(t->queue) > 0 && link_slots(t->queue, len, 1, slot))
		return true;

	t->count[TAP_NO_SPACE]++;
	return false;
}

/**
 * tap_send() - Send one complete frame to the guest
 * @t:		the guest's side
 * @frame:	Ethernet frame, with all checksums complete
 * @len:	bytes of the frame
 *
 * Return: 0 if the frame was committed; -ENOBUFS if the frame was dropped,
 *	   because the guest does not read
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

/**
 * csum_without() - Leave the checksum field out of a sum
 * @sum:	sum of transport header and payload, and of the pseudo-header
 * @proto:	transport protocol
 * @l4, @len:	transport header and payload, and their length in bytes
 *
 * The one's complement has two zeros, 0 and 0xffff, and a subtraction never
 * gives 0. But the sum is 0 if an ICMP message consists of zeros, and a
 * checksum of 0 would then be wrong. All other sums include a pseudo-header,
 * which is not zero.
 */
static uint64_t csum_without(uint64_t sum, uint8_t proto, const uint8_t *l4,
			     size_t len)
{
	size_t at = l4_csum_offset(proto);
	uint16_t value;

	memcpy(&value, l4 + at, sizeof(value));
	sum = csum_sum_add(sum, (uint16_t)~value);
	if (proto != IPPROTO_ICMP || csum_fold(sum))
		return sum;
	return csum_add(l4 + at + 2, len - at - 2, csum_add(l4, at, 0));
}

/**
 * csum_partial() - Whether frames to the guest get partial checksums
 *
 * A partial checksum covers only the pseudo-header. The guest or its device
 * completes the checksum where this is necessary.
 */
static bool csum_partial(const struct tap *t)
{
	return t->link->caps.csum_to_guest;
}

/* l4_write() - Copy transport header and payload into a slot, at offset @off;
 * returns the sum from which the checksum field is made */
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

/* l4_sum() - Compute the sum from which the checksum field is made, for a
 * transport header and payload of @len bytes at offset @off of a slot */
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
 * l4_finish() - Set the transport checksum of a packet in a slot, and commit
 * the slot as a frame
 * @t:		the guest's side
 * @slot:	slot that holds the complete packet
 * @h:		Ethernet and IP headers of the packet
 * @len:	bytes of transport header and payload
 * @sum:	sum that l4_write() or l4_sum() returned
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
 * tap_l4_commit() - Complete a packet that is in a slot, and commit the slot as
 * a frame
 * @t:		the guest's side
 * @slot:	slot that holds the transport header and the payload, after
 *		@h->len bytes of space. The checksum field is zero
 * @h:		Ethernet and IP headers, which this function writes
 * @len:	bytes of transport header and payload
 * @gso_size:	bytes of payload of each segment or datagram in a GSO frame; 0:
 *		the frame is no GSO frame
 */
void tap_l4_commit(struct tap *t, const struct link_slot *slot,
		   const struct tap_hdr *h, size_t len, uint16_t gso_size)
{
	uint64_t pseudo = tap_hdr_put(h, slot->iov->iov_base, len);

	l4_finish(t, slot, h, len, l4_sum(t, slot, h->len, len, pseudo),
		  gso_size);
}

/**
 * tap_l4_send() - Send one packet that is not too long for a frame
 * @t:		the guest's side
 * @h:		Ethernet and IP headers of the packet
 * @l4:		transport header and payload. The checksum field may have any
 *		value, because it is replaced
 * @len:	bytes at @l4
 * @gso_size:	as for tap_l4_commit()
 *
 * Return: 0 if the frame was committed; -ENOBUFS if the frame was dropped,
 *	   because the guest does not read
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
		sum = csum_without(sum, h->proto, l4, len);
	l4_finish(t, &slot, h, len, sum, gso_size);
	return 0;
}

/**
 * struct udp_alike - What frames with datagrams of the same flow and length
 *		have in common
 * @hdr:	Ethernet, IP and UDP headers, with a UDP checksum of zero
 * @len:	bytes of these headers
 * @size:	bytes of payload of each datagram
 * @pseudo:	sum of the pseudo-header
 * @sum:	sum of the pseudo-header and the UDP header
 */
struct udp_alike {
	uint8_t hdr[TAP_HDR_MAX + UDP_HLEN];
	size_t len, size;
	uint64_t pseudo, sum;
};

/* put_datagram() - Write a frame with one of several datagrams into a slot, and
 * commit the slot */
static void put_datagram(struct tap *t, const struct link_slot *slot,
			 const struct tap_hdr *h, const struct udp_alike *a,
			 const uint8_t *data)
{
	uint8_t *p = slot->iov->iov_base;
	uint16_t check;

	if (slot->cnt > 1 || csum_partial(t)) {
		link_slot_write(slot, 0, a->hdr, a->len);
		link_slot_write(slot, a->len, data, a->size);
		l4_finish(t, slot, h, UDP_HLEN + a->size, csum_partial(t) ?
			  a->pseudo : csum_add(data, a->size, a->sum), 0);
		return;
	}

	if (a->len == ETH_HLEN + IP4_HLEN + UDP_HLEN)
		memcpy(p, a->hdr, ETH_HLEN + IP4_HLEN + UDP_HLEN);
	else
		memcpy(p, a->hdr, ETH_HLEN + IP6_HLEN + UDP_HLEN);
	check = csum_fold_udp(csum_copy(p + a->len, data, a->size, a->sum));
	memcpy(p + h->len + l4_csum_offset(IPPROTO_UDP), &check, sizeof(check));
	tap_commit(t, slot, a->len + a->size, (struct frame_meta){ 0 });
}

/**
 * tap_udp_send_each() - Send datagrams of the same flow and length, each in a
 *		frame
 * @t:		the guest's side
 * @h:		Ethernet and IP headers of the datagrams
 * @hdr:	UDP header of the datagrams, with a checksum of zero
 * @data:	payloads, one after the other
 * @size:	bytes of each payload
 * @n:		number of datagrams
 *
 * The headers are made once for all datagrams, and the link is asked for many
 * slots at once. Datagrams for which the link has no space are dropped, and
 * counted.
 */
void tap_udp_send_each(struct tap *t, const struct tap_hdr *h,
		       const uint8_t hdr[UDP_HLEN], const uint8_t *data,
		       size_t size, unsigned int n)
{
	UNINITIALIZED struct udp_alike a;
	UNINITIALIZED struct link_slot slot[SLOTS_MAX];
	unsigned int i, got;

	a.len = h->len + UDP_HLEN;
	a.size = size;
	a.pseudo = tap_hdr_put(h, a.hdr, UDP_HLEN + size);
	memcpy(a.hdr + h->len, hdr, UDP_HLEN);
	a.sum = csum_add(hdr, UDP_HLEN, a.pseudo);

	for (; n; n -= MAX(got, 1)) {
		got = link_slots(t->queue, a.len + size, MIN(n, SLOTS_MAX),
				 slot);
		if (!got && tap_slot(t, a.len + size, slot))
			got = 1;
		for (i = 0; i < got; i++)
			put_datagram(t, &slot[i], h, &a, data + i * size);
		data += MAX(got, 1) * size;
	}
}

/**
 * tap_mtu() - Return the length of the longest packet that may be sent to the
 * guest
 * @t:		the guest's side
 *
 * Return: bytes, as the announced MTU and the link allow
 */
size_t tap_mtu(const struct tap *t)
{
	return MIN(t->net->mtu, t->link->caps.max_frame - ETH_HLEN);
}

/**
 * tap_unfragmented_max() - Return the length of the longest packet that is sent
 * to the guest without fragmentation
 * @t:		the guest's side
 *
 * Return: bytes, at most tap_mtu()
 */
size_t tap_unfragmented_max(const struct tap *t)
{
	return MIN(tap_mtu(t), t->mtu_shown);
}

/**
 * tap_ip_send() - Send one packet to the guest, in fragments if necessary
 * @t:		the guest's side
 * @ip:		fields of the IP header to write
 * @l4:		TCP, UDP, ICMP or ICMPv6 header and payload. The checksum field
 *		may have any value, because it is replaced
 * @len:	bytes at @l4: at least the length of the transport header, at
 *		most 65,535. Over IPv4, this maximum includes the IP header
 *
 * A packet is sent in fragments if it is longer than tap_unfragmented_max().
 *
 * Return: 0 if the packet was committed; -ENOBUFS if the packet or some of its
 *	   fragments were dropped, because the guest does not read
 */
int tap_ip_send(struct tap *t, const struct ip_hdr *ip, const void *l4,
		size_t len)
{
	struct long_packet w = { .proto = ip->proto, .l4 = l4, .len = len };
	size_t mtu = MAX(tap_unfragmented_max(t),
			 addr_is_v4(&ip->dst) ? IP4_MTU_MIN : IP6_MTU_MIN);
	struct tap_hdr h;
	uint64_t sum = 0;

	tap_hdr_init(&h, t, ip);
	if (h.len - ETH_HLEN + len <= mtu)
		return tap_l4_send(t, &h, l4, len, 0);

	if (h.len - ETH_HLEN + len <= tap_mtu(t)) {
		t->ncut++;
		t->cut_for = ip->dst;
	}
	w.hdr = &h;
	w.check_at = l4_csum_offset(ip->proto);
	if (ip->proto != IPPROTO_ICMP)
		sum = csum_pseudo(&ip->src, &ip->dst, ip->proto, (uint32_t)len);
	sum = csum_without(csum_add(l4, len, sum), ip->proto, l4, len);
	w.check = csum_field(ip->proto, sum);
	return fragment_to_guest(t, &w, mtu);
}

/**
 * dest_mac() - Find the Ethernet destination address of a packet to the guest
 * @t:		the guest's side
 * @dst:	IP destination address
 * @mac:	filled. For a multicast or broadcast destination, this is the
 *		Ethernet address of the group (RFC 1112 6.4, RFC 2464 7), so
 *		that a bridge inside the guest can forward the frame. Otherwise
 *		it is the Ethernet address at which the guest's side has @dst
 */
static void dest_mac(const struct tap *t, const struct in6_addr *dst,
		     uint8_t mac[MAC_LEN])
{
	const uint8_t *a = dst->s6_addr;

	if (addr_is_v4(dst) && get_be32(a + 12) == INADDR_BROADCAST) {
		memset(mac, 0xff, MAC_LEN);
	} else if (addr_is_v4(dst) && addr_is_multicast(dst)) {
		put_be32(mac, 0x01005e00);
		mac[3] = a[13] & 0x7f;
		put_be16(mac + 4, get_be16(a + 14));
	} else if (addr_is_multicast(dst)) {
		put_be16(mac, 0x3333);
		memcpy(mac + 2, a + 12, 4);
	} else {
		memcpy(mac, guest_find_mac(&t->guest, dst), MAC_LEN);
	}
}

/**
 * tap_hdr_init() - Prepare the headers that several packets to the guest share
 * @h:		filled
 * @t:		the guest's side, which knows the Ethernet addresses
 * @ip:		fields of the IP header
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
 * @h:		headers prepared by tap_hdr_init()
 * @frame:	buffer for the headers, @h->len bytes
 * @l4len:	bytes of transport header and payload
 *
 * Return: sum of the pseudo-header; 0 for ICMP over IPv4, which has no
 *	   pseudo-header
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
 * tap_guest_addr() - Find the guest's address for new flows of a peer
 * @t:		the guest's side
 * @peer:	guest-visible address of the peer
 *
 * Return: the guest's address of the same kind as @peer (IPv4, global IPv6, or
 *	   link-local IPv6); all zero if it is not known
 */
const struct in6_addr *tap_guest_addr(const struct tap *t,
				      const struct in6_addr *peer)
{
	return &t->guest.own[guest_kind(peer)].addr;
}
