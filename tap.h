/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * tap.h - The guest's side: frames in, checked and parsed once; frames out.
 * Called by passt.c, the protocols and the answering services; calls the
 * link and checksum.c.
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
#include "tap/reassemble.h"
#include "util.h"

#define TAP_HDR_MAX	(ETH_HLEN + IP6_HLEN)	/* as we write them */

/* The headers of one frame, copied out: more than this is dropped. */
#define PKT_HDR_MAX	256

/**
 * struct pkt - One frame of the guest, every length in it checked
 * @etype:	ETH_P_ARP, ETH_P_IP or ETH_P_IPV6
 * @proto:	IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP or IPPROTO_ICMPV6
 * @ttl:	TTL or hop limit
 * @tos:	type of service or traffic class
 * @df:		IPv4: don't fragment; IPv6: always set, but for what came in
 *		fragments
 * @src, @dst:	addresses, IPv4 mapped
 * @sport, @dport: TCP and UDP, host order; echo request and reply: the
 *		identifier and 0; other ICMP: 0 and 0
 * @smac, @dmac: Ethernet addresses
 * @l3:		IP header (ARP: the ARP packet), in private memory
 * @l3len:	bytes from @l3 to @l4: IP header with all its extensions
 * @l4:		TCP, UDP or ICMP header with options, in private memory
 * @l4len:	its length: TCP with options, UDP 8, ICMP 8 (ARP: 0)
 * @iov:	payload after @l4, in the link's memory, or in ours if the
 *		packet came in fragments
 * @iovcnt:	pieces of it
 * @len:	bytes of it
 * @gso_size:	it is a GSO frame: bytes of payload in each segment but the last;
 *		0: it is one segment or datagram
 * @csum_partial: the checksum in @l4 is only the sum of the pseudo-header
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

/* Why frames were dropped, and what else is counted on the guest's side. */
enum tap_counter {
	DROP_NONE = 0,		/* not dropped; its count stays 0 */
	TAP_FROM_GUEST,		/* frames received */
	TAP_TO_GUEST,		/* frames sent */
	TAP_NO_SPACE,		/* not sent: guest does not read */
	TAP_SHORT,		/* a length goes beyond the frame */
	TAP_HEADERS,		/* headers longer than PKT_HDR_MAX */
	TAP_ETYPE,		/* not ARP, IPv4 or IPv6 */
	TAP_VERSION,		/* IP version or header length wrong */
	TAP_CHECKSUM,		/* IPv4, TCP, UDP, ICMP or ICMPv6 checksum */
	TAP_FRAGMENT,		/* IP fragment that can't be one */
	TAP_OFFLOAD,		/* metadata that does not match the packet */
	TAP_PROTO,		/* no protocol of ours */
	TAP_ADDRESS,		/* source or destination that can't be */
	TAP_COUNTERS,
};

extern const char *const tap_counter_name[TAP_COUNTERS];

/**
 * struct tap - The guest's side
 * @link:	link that carries its frames
 * @queue:	the queue of it that is used here
 * @net:	our MAC, the guest's MTU and the address that it is given
 * @guest_mac:	the guest's, broadcast until it is known
 * @addr:	the guest's address per family, of global scope for IPv6: first
 *		the assigned one, then the last one it used
 * @addr6_ll:	its link-local IPv6 address, all zero until it is known
 * @fragments:	datagrams of which fragments came
 * @ident:	number of the next packet that is sent in fragments
 * @pkt, @npkt:	packets of the current batch
 * @hdr:		their headers, where they had to be copied
 * @count:	see enum tap_counter
 */
struct tap {
	struct link *link;
	struct link_queue *queue;
	const struct net *net;
	uint8_t guest_mac[MAC_LEN];
	struct in6_addr addr[FAMILIES], addr6_ll;
	struct reassembly fragments;
	uint32_t ident;
	struct pkt pkt[LINK_BURST];
	unsigned int npkt;
	uint8_t hdr[LINK_BURST][PKT_HDR_MAX];
	uint64_t count[TAP_COUNTERS];
};

/**
 * struct tap_hdr - Ethernet and IP headers prepared for a row of packets
 * @hdr:	the bytes, lengths and IPv4 checksum missing
 * @len:	ETH_HLEN + IP4_HLEN or ETH_HLEN + IP6_HLEN
 * @proto:	IPPROTO_*
 * @pseudo:	sum of the pseudo-header without the length
 * @ip4:	sum of the IPv4 header without the length
 */
struct tap_hdr {
	uint8_t hdr[TAP_HDR_MAX];
	unsigned int len;
	uint8_t proto;
	uint64_t pseudo, ip4;
};

/**
 * tap_commit() - Make a frame of a slot, and count it
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
 * tap_gso_max() - The longest GSO frame to the guest, bytes; 0: none
 *
 * The length fields of IP bound it: those of a GSO frame are of the whole.
 */
static inline uint32_t tap_gso_max(const struct tap *t)
{
	return MIN(t->link->caps.gso_max, ETH_HLEN + IP_LEN_MAX);
}

void tap_init(struct tap *t, struct link *link, struct link_queue *queue,
	      const struct net *net);
void tap_guest_new(struct tap *t);
size_t tap_mtu(const struct tap *t);
void tap_guest_gone(struct tap *t);
void tap_learn(struct tap *t, const struct in6_addr *addr);
int tap_recv_burst(struct tap *t, uint64_t now);
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
int tap_ip_send(struct tap *t, const struct ip_hdr *ip, const void *l4,
		size_t len);
void tap_hdr_init(struct tap_hdr *h, const struct tap *t,
		  const struct ip_hdr *ip);
uint64_t tap_hdr_put(const struct tap_hdr *h, uint8_t *frame, size_t l4len);

const struct in6_addr *tap_guest_addr(const struct tap *t,
				      const struct in6_addr *peer);

#endif /* TAP_H */
