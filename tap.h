/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * tap.h - The guest's side of passt: receives, checks and parses frames from
 * the guest, and sends frames to the guest. The event loop, the protocols and
 * the answering services call these functions.
 */
#ifndef TAP_H
#define TAP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "conf/net.h"
#include "ip.h"
#include "link/link.h"
#include "tap/guest.h"
#include "tap/reassemble.h"
#include "util.h"

/* Bytes of the longest Ethernet and IP headers that passt writes. */
#define TAP_HDR_MAX	(ETH_HLEN + IP6_HLEN)

/* Maximum bytes of all headers in a frame from the guest. A frame with longer
 * headers is dropped. */
#define PKT_HDR_MAX	256

/**
 * struct pkt - A parsed packet from the guest, in which every length is checked
 * @etype:	ETH_P_ARP, ETH_P_IP or ETH_P_IPV6
 * @proto:	IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP or IPPROTO_ICMPV6
 * @ttl:	TTL or hop limit
 * @tos:	type of service or traffic class
 * @df:		the packet must not be fragmented. IPv4: the DF flag. IPv6:
 *		set, unless the packet came in fragments. Not set in a
 *		reassembled packet
 * @src, @dst:	IP addresses
 * @sport, @dport: ports of TCP and UDP. For an ICMP echo request or reply,
 *		@sport is the identifier and @dport is 0. Both are 0 for other
 *		ICMP messages
 * @smac, @dmac: Ethernet addresses
 * @l3:		IP header or ARP packet, in memory that the guest can't change
 * @l3len:	bytes from @l3 to @l4: the IP header with options or extension
 *		headers
 * @l4:		TCP, UDP or ICMP header, in memory that the guest can't change
 * @l4len:	bytes of the header at @l4: of TCP with options, 8 for UDP and
 *		ICMP, 0 for ARP
 * @iov:	payload after the header at @l4. It lies in memory of the link,
 *		or of the reassembly if the packet came in fragments
 * @iovcnt:	number of pieces of the payload
 * @len:	bytes of the payload
 * @gso_size:	GSO frame: bytes of payload in each segment or datagram but the
 *		last; 0: the frame is no GSO frame
 * @csum_partial: the checksum field at @l4 only holds the sum of the
 *		pseudo-header
 */
struct pkt {
	uint16_t etype;
	uint8_t proto;
	uint8_t ttl, tos;
	bool df;
	struct in6_addr src, dst;
	uint16_t sport, dport;
	const uint8_t *smac, *dmac;
	const uint8_t *l3, *l4;
	uint16_t l3len, l4len;
	struct iovec *iov;
	unsigned int iovcnt;
	uint32_t len;
	uint16_t gso_size;
	bool csum_partial;
};

/* Counters of frames on the guest's side. The counters from TAP_SHORT on are
 * reasons to drop a frame from the guest. */
enum tap_counter {
	DROP_NONE = 0,		/* the frame is not dropped; never counted */
	TAP_FROM_GUEST,		/* frames received from the guest */
	TAP_TO_GUEST,		/* frames committed to the link */
	TAP_NO_SPACE,		/* frames to the guest that were dropped,
				 * because the guest does not read */
	TAP_SHORT,		/* a length field is too small, or goes beyond
				 * the frame */
	TAP_HEADERS,		/* the headers are longer than PKT_HDR_MAX */
	TAP_ETYPE,		/* the frame is not of ARP, IPv4 or IPv6 */
	TAP_VLAN,		/* the frame belongs to a VLAN (802.1Q) */
	TAP_VERSION,		/* the IP version, or the length of the IPv4
				 * header, is wrong */
	TAP_CHECKSUM,		/* the checksum of the IPv4, TCP, UDP, ICMP or
				 * ICMPv6 header is wrong */
	TAP_FRAGMENT,		/* the IP fragment is malformed, or Neighbour
				 * Discovery came in fragments */
	TAP_OFFLOAD,		/* the metadata do not match the packet */
	TAP_PROTO,		/* passt does not know the IP protocol */
	TAP_ADDRESS,		/* the guest must not use this source or
				 * destination address */
	TAP_COUNTERS,
};

extern const char *const tap_counter_name[TAP_COUNTERS];

/**
 * struct tap - The guest's side
 * @link:	link that carries the guest's frames
 * @queues:	queues of @link
 * @from, @queue: queue from which frames are received, and queue to which
 *		frames are sent, see tap_use_queue()
 * @net:	network of the guest: its lease, its MTU, and passt's Ethernet
 *		address
 * @guest:	addresses that the guest uses, and where they are
 * @mtu_shown:	length in bytes of the longest packet that the guest is known to
 *		accept, see tap_show_mtu()
 * @ncut, @cut_for: number of packets that were sent in fragments although the
 *		MTU that passt announced is large enough for them; and the
 *		destination address of the last such packet
 * @heard_at:	when the guest's last frame came, ms
 * @fragments:	datagrams from the guest that came in fragments
 * @ident:	IP identification of the next packet that is sent to the guest
 *		in fragments
 * @pkt, @npkt:	packets of the current burst, and their number
 * @hdr:	headers of each packet in @pkt, if they had to be copied
 * @count:	counters, indexed by enum tap_counter
 */
struct tap {
	struct link *link;
	struct link_queue *queues, *from, *queue;
	const struct net *net;
	struct tap_guest guest;
	size_t mtu_shown;
	uint64_t ncut;
	struct in6_addr cut_for;
	uint64_t heard_at;
	struct reassembly fragments;
	uint32_t ident;
	struct pkt pkt[LINK_BURST];
	unsigned int npkt;
	uint8_t hdr[LINK_BURST][PKT_HDR_MAX];
	uint64_t count[TAP_COUNTERS];
};

/**
 * struct tap_hdr - Ethernet and IP headers that several packets share
 * @hdr:	bytes of the headers. The length of the packet and the IPv4
 *		checksum are zero
 * @len:	bytes of the headers, ETH_HLEN + IP4_HLEN or ETH_HLEN + IP6_HLEN
 * @proto:	transport protocol, IPPROTO_*
 * @pseudo:	sum of the pseudo-header with a length of zero, see checksum.h
 * @ip4:	sum of the IPv4 header with a length of zero
 */
struct tap_hdr {
	uint8_t hdr[TAP_HDR_MAX];
	unsigned int len;
	uint8_t proto;
	uint64_t pseudo, ip4;
};

/**
 * tap_use_queue() - From now on, receive frames from queue @i of the link, and
 * send frames to it. If the guest takes no frames from queue @i, send frames to
 * the first queue
 * @t:		the guest's side
 * @i:		number of the queue
 */
static inline void tap_use_queue(struct tap *t, unsigned int i)
{
	t->from = &t->queues[i < t->link->nqueues ? i : 0];
	t->queue = t->from->unused ? t->queues : t->from;
}

/* tap_queue() - Return the number of the queue from which frames are
 * received */
static inline unsigned int tap_queue(const struct tap *t)
{
	return (unsigned int)(t->from - t->queues);
}

/**
 * tap_commit() - Commit a slot as a frame, and count the frame
 * @t:		the guest's side
 * @slot, @len, @meta: as for link_commit()
 */
static inline void tap_commit(struct tap *t, const struct link_slot *slot,
			      size_t len, struct frame_meta meta)
{
	link_commit(t->queue, slot, len, meta);
	t->count[TAP_TO_GUEST]++;
}

/*
 * tap_gso_max() - Return the bytes of the longest GSO frame to the guest; 0 if
 * the link takes no GSO frames
 *
 * The length field in the IP header of a GSO frame holds the length of the
 * whole frame, so IP_LEN_MAX bounds the frame as well.
 */
static inline uint32_t tap_gso_max(const struct tap *t)
{
	return MIN(t->link->caps.gso_max, ETH_HLEN + IP_LEN_MAX);
}

void tap_init(struct tap *t, struct link *link, struct link_queue *queues,
	      const struct net *net);
void tap_guest_new(struct tap *t);
size_t tap_mtu(const struct tap *t);
size_t tap_unfragmented_max(const struct tap *t);
void tap_guest_gone(struct tap *t);
void tap_learn(struct tap *t, const struct in6_addr *addr,
	       const uint8_t mac[MAC_LEN], uint64_t now);
void tap_gave_back(struct tap *t, const struct in6_addr *addr,
		   const uint8_t mac[MAC_LEN]);
void tap_lease_changed(struct tap *t);
void tap_show_mtu(struct tap *t, size_t len);
int tap_recv_burst(struct tap *t, uint64_t now);
bool tap_stalled(const struct tap *t, uint64_t now);
void tap_release(struct tap *t);
unsigned int tap_batch_len(const struct tap *t, unsigned int first);
uint16_t pkt_csum(const struct pkt *pkt);
size_t pkt_copy(const struct pkt *pkt, void *buf, size_t size);

int tap_flush(struct tap *t);
bool tap_slot(struct tap *t, size_t len, struct link_slot *slot);
int tap_send(struct tap *t, const void *frame, size_t len);
void tap_l4_commit(struct tap *t, const struct link_slot *slot,
		   const struct tap_hdr *h, size_t len, uint16_t gso_size);
int tap_l4_send(struct tap *t, const struct tap_hdr *h, const uint8_t *l4,
		size_t len, uint16_t gso_size);
void tap_udp_send_each(struct tap *t, const struct tap_hdr *h,
		       const uint8_t hdr[UDP_HLEN], const uint8_t *data,
		       size_t size, unsigned int n);
int tap_ip_send(struct tap *t, const struct ip_hdr *ip, const void *l4,
		size_t len);
void tap_hdr_init(struct tap_hdr *h, const struct tap *t,
		  const struct ip_hdr *ip);
uint64_t tap_hdr_put(const struct tap_hdr *h, uint8_t *frame, size_t l4len);

const struct in6_addr *tap_guest_addr(const struct tap *t,
				      const struct in6_addr *peer);

#endif /* TAP_H */
