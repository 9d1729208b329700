/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * offload.c - What a network card with segmentation offload does for a guest:
 * cuts super-segments of the kernel into frames, joins frames into
 * super-segments. Called by standin.c; calls checksum.c and writes to the tap.
 *
 * Joining follows what GRO of the kernel takes together: segments in a row
 * that differ in nothing but their sequence number, the last one may be
 * shorter or carry PSH; datagrams in a row that are of one length, the last one
 * may be shorter. The checksum of every frame is verified first, so that
 * a wrong one is not hidden; the kernel drops it, as it is passed on alone.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#include "checksum.h"
#include "test/net/offload.h"
#include "util.h"

#define L3		ETH_HLEN
#define TCP_CHECK	offsetof(struct tcphdr, check)
#define TCP_FLAGS	13		/* offset of the byte of flags */
#define UDP_CHECK	offsetof(struct udphdr, check)

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4	/* Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4	5
#endif

/* is_ip4() - Whether the frame says that it is IPv4 */
static bool is_ip4(const uint8_t *frame)
{
	return get_be16(frame + 12) == ETH_P_IP;
}

/* is_udp() - Whether the packet in a frame is UDP, without other headers */
static bool is_udp(const uint8_t *frame)
{
	return frame[L3 + (is_ip4(frame) ? 9 : 6)] == IPPROTO_UDP;
}

/* check_at() - Where the checksum is, from the start of TCP or UDP header */
static uint16_t check_at(const uint8_t *frame)
{
	return is_udp(frame) ? UDP_CHECK : TCP_CHECK;
}

/**
 * pseudo() - Sum of the pseudo-header of a TCP segment or UDP datagram
 * @frame:	frame, Ethernet header first
 * @l4len:	TCP or UDP header and payload, bytes
 */
static uint64_t pseudo(const uint8_t *frame, size_t l4len)
{
	uint64_t sum = htons(is_udp(frame) ? IPPROTO_UDP : IPPROTO_TCP) +
		       htons((uint16_t)l4len);

	if (is_ip4(frame))
		return csum_add(frame + L3 + offsetof(struct iphdr, saddr),
				2 * sizeof(struct in_addr), sum);
	return csum_add(frame + L3 + offsetof(struct ip6_hdr, ip6_src),
			2 * sizeof(struct in6_addr), sum);
}

/**
 * set_length() - Write the length of the IP packet, and IPv4's checksum
 * @frame:	frame, Ethernet header first
 * @l4len:	bytes after the IP header
 */
static void set_length(uint8_t *frame, size_t l4len)
{
	uint8_t *ip = frame + L3;
	uint16_t check;

	if (!is_ip4(frame)) {
		put_be16(ip + offsetof(struct ip6_hdr, ip6_plen),
			 (uint16_t)l4len);
		return;
	}
	put_be16(ip + offsetof(struct iphdr, tot_len),
		 (uint16_t)(sizeof(struct iphdr) + l4len));
	memset(ip + offsetof(struct iphdr, check), 0, sizeof(check));
	check = csum_fold(csum_add(ip, sizeof(struct iphdr), 0));
	memcpy(ip + offsetof(struct iphdr, check), &check, sizeof(check));
}

/**
 * seg_ip() - Find the TCP or UDP header in a frame that could be joined
 * @frame:	frame
 * @len:	its length
 *
 * Return: its offset, 0 if this is not plain TCP or UDP
 */
static unsigned int seg_ip(const uint8_t *frame, size_t len)
{
	const uint8_t *ip = frame + L3;

	if (len < L3 + sizeof(struct ip6_hdr))
		return 0;
	if (is_ip4(frame)) {
		if (ip[0] != 0x45 ||
		    (ip[9] != IPPROTO_TCP && ip[9] != IPPROTO_UDP) ||
		    get_be16(ip + 6) & ~IP_DF || get_be16(ip + 2) != len - L3)
			return 0;
		return L3 + sizeof(struct iphdr);
	}
	if (get_be16(frame + 12) != ETH_P_IPV6 || ip[0] >> 4 != 6 ||
	    (ip[6] != IPPROTO_TCP && ip[6] != IPPROTO_UDP) ||
	    get_be16(ip + 4) != len - L3 - sizeof(struct ip6_hdr))
		return 0;
	return L3 + sizeof(struct ip6_hdr);
}

/* seg_udp() - The same for a datagram: it has a checksum, and data */
static bool seg_udp(const uint8_t *frame, size_t len, struct seg *s)
{
	const uint8_t *udp = frame + s->l4;

	s->hlen = s->l4 + sizeof(struct udphdr);
	if (len <= s->hlen || get_be16(udp + 4) != len - s->l4 ||
	    !get_be16(udp + UDP_CHECK))
		return false;
	s->len = (unsigned int)len - s->hlen;
	s->seq = 0;
	return true;
}

/**
 * seg_parse() - Look whether a frame has a segment that could be joined
 * @frame:	frame
 * @len:	its length
 * @s:		filled in
 *
 * Return: true if it has: data, and no flags of TCP but ACK and PSH
 */
static bool seg_parse(const uint8_t *frame, size_t len, struct seg *s)
{
	const uint8_t *tcp;

	s->l4 = seg_ip(frame, len);
	if (s->l4 && is_udp(frame))
		return seg_udp(frame, len, s);
	if (!s->l4 || len < s->l4 + sizeof(struct tcphdr))
		return false;

	tcp = frame + s->l4;
	s->hlen = s->l4 + (tcp[12] >> 4) * 4U;
	if (s->hlen < s->l4 + sizeof(struct tcphdr) || len <= s->hlen)
		return false;
	s->len = (unsigned int)len - s->hlen;
	s->seq = get_be32(tcp + 4);
	return (tcp[TCP_FLAGS] & ~TH_PUSH) == TH_ACK;
}

/* seg_csum_ok() - Whether the TCP or UDP checksum of a segment is right, or
 * is left to the card */
static bool seg_csum_ok(const struct virtio_net_hdr_v1 *vnet,
			const uint8_t *frame, const struct seg *s)
{
	size_t l4len = s->hlen - s->l4 + s->len;

	return vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ||
	       !csum_fold(csum_add(frame + s->l4, l4len,
				   pseudo(frame, l4len)));
}

/**
 * same_flow() - Whether two segments differ in sequence and length only
 * @a, @b:	frames
 * @s:		layout of both
 */
static bool same_flow(const uint8_t *a, const uint8_t *b, const struct seg *s)
{
	const uint8_t *ta = a + s->l4, *tb = b + s->l4;

	if (memcmp(a, b, L3 + 2))
		return false;
	if (is_ip4(a) && memcmp(a + L3 + 6, b + L3 + 6, 4))
		return false;
	if (is_ip4(a) && memcmp(a + L3 + 12, b + L3 + 12, 8))
		return false;
	if (!is_ip4(a) && (memcmp(a + L3, b + L3, 4) ||
			   memcmp(a + L3 + 6, b + L3 + 6, 34)))
		return false;

	if (memcmp(ta, tb, 4))				/* ports */
		return false;
	return is_udp(a) ||
	       (!memcmp(ta + 8, tb + 8, 5) &&		/* ack, offset */
		!memcmp(ta + 14, tb + 14, 2) &&		/* window */
		!memcmp(ta + 20, tb + 20, s->hlen - s->l4 - 20));
}

/* Whether @s of @frame goes on where the super-segment ends. */
static bool joins(const struct join *j, const struct virtio_net_hdr_v1 *vnet,
		  const uint8_t *frame, const struct seg *s)
{
	return j->n && j->n < JOIN_SEGMENTS && !j->last &&
	       s->seq == j->next && s->len <= j->first.len &&
	       s->l4 == j->first.l4 && s->hlen == j->first.hlen &&
	       s->hlen + j->total + s->len <= SUPER_MAX &&
	       same_flow(frame, j->frame, s) &&
	       (j->n > 1 || seg_csum_ok(&j->vnet, j->frame, &j->first)) &&
	       seg_csum_ok(vnet, frame, s);
}

/* append() - Take a segment into the super-segment */
static void append(struct join *j, const uint8_t *frame, const struct seg *s)
{
	struct iovec *iov = &j->iov[2 + j->n++];

	iov->iov_base = (void *)(frame + s->hlen);
	iov->iov_len = s->len;
	j->total += s->len;
	j->next = is_udp(frame) ? 0 : s->seq + s->len;
	j->last = s->len < j->first.len ||
		  (!is_udp(frame) && frame[s->l4 + TCP_FLAGS] & TH_PUSH);
}

/* gso_type() - Of super-segments like this frame */
static uint8_t gso_type(const uint8_t *frame)
{
	if (is_udp(frame))
		return VIRTIO_NET_HDR_GSO_UDP_L4;
	return is_ip4(frame) ? VIRTIO_NET_HDR_GSO_TCPV4 :
			       VIRTIO_NET_HDR_GSO_TCPV6;
}

/**
 * join_headers() - Make those of one frame those of the super-segment
 * @j:		what was joined
 * @hdr:	headers of the first frame, changed
 * @vnet:	filled in
 */
static void join_headers(const struct join *j, uint8_t *hdr,
			 struct virtio_net_hdr_v1 *vnet)
{
	size_t l4len = j->first.hlen - j->first.l4 + j->total;
	uint8_t *l4 = hdr + j->first.l4;
	uint16_t check;

	*vnet = (struct virtio_net_hdr_v1){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = gso_type(hdr),
		.gso_size = (uint16_t)j->first.len,
		.hdr_len = (uint16_t)j->first.hlen,
		.csum_start = (uint16_t)j->first.l4,
		.csum_offset = check_at(hdr),
	};
	set_length(hdr, l4len);
	check = (uint16_t)~csum_fold(pseudo(hdr, l4len));
	memcpy(l4 + check_at(hdr), &check, sizeof(check));
	if (is_udp(hdr))
		put_be16(l4 + 4, (uint16_t)l4len);
	else if (j->last)
		l4[TCP_FLAGS] |= TH_PUSH;
}

/**
 * join_flush() - Write what was joined to the tap
 * @j:		what was joined
 *
 * A lost write is a lost frame, as with any network card.
 */
void join_flush(struct join *j)
{
	uint8_t hdr[128];

	if (!j->n)
		return;

	memcpy(hdr, j->frame, j->first.hlen);
	j->iov[0] = (struct iovec){ &j->vnet, sizeof(j->vnet) };
	j->iov[1] = (struct iovec){ hdr, j->first.hlen };
	if (j->n > 1) {
		join_headers(j, hdr, &j->vnet);
		j->joined += j->n - 1;
	}
	(void)!writev(j->tap, j->iov, (int)j->n + 2);
	j->n = 0;
}

/**
 * join_frame() - Pass a frame on to the kernel, joined to others if it can be
 * @j:		what is being joined
 * @vnet:	virtio-net header: of no super-segment
 * @frame:	frame; stays valid until the next join_flush()
 * @len:	its length
 */
void join_frame(struct join *j, const struct virtio_net_hdr_v1 *vnet,
		const uint8_t *frame, size_t len)
{
	struct iovec iov[2] = {
		{ (void *)vnet, sizeof(*vnet) }, { (void *)frame, len },
	};
	struct seg s;

	if (!seg_parse(frame, len, &s)) {
		join_flush(j);
		(void)!writev(j->tap, iov, 2);
		return;
	}
	if (!joins(j, vnet, frame, &s)) {
		join_flush(j);
		j->first = s;
		j->frame = frame;
		j->vnet = *vnet;
		j->total = 0;
	}
	append(j, frame, &s);
}

/* headers() - Bytes of all headers of a super-segment */
static size_t headers(const uint8_t *super, size_t l4)
{
	if (is_udp(super))
		return l4 + sizeof(struct udphdr);
	return l4 + (size_t)(super[l4 + 12] >> 4) * 4;
}

/**
 * cut_l4() - Fill in a TCP or UDP header that was copied, but the checksum
 * @frame:	frame
 * @l4:		offset of that header
 * @l4len:	bytes from there on
 * @done:	bytes of payload in the frames before
 * @last:	there are none after it
 */
static void cut_l4(uint8_t *frame, size_t l4, size_t l4len, size_t done,
		   bool last)
{
	uint8_t *p = frame + l4;

	memset(p + check_at(frame), 0, sizeof(uint16_t));
	if (is_udp(frame)) {
		put_be16(p + 4, (uint16_t)l4len);
		return;
	}
	put_be32(p + 4, get_be32(p + 4) + (uint32_t)done);
	if (!last)
		p[TCP_FLAGS] &= (uint8_t)~(TH_FIN | TH_PUSH);
}

/**
 * cut_next() - Make the next frame of a super-segment
 * @vnet:	its virtio-net header
 * @super:	the super-segment, Ethernet header first
 * @len:	its length
 * @done:	bytes of payload already cut, 0 at first; moved on
 * @frame:	written, with all checksums
 * @flen:	its length
 *
 * Return: false if there is no further frame
 */
bool cut_next(const struct virtio_net_hdr_v1 *vnet, const uint8_t *super,
	      size_t len, size_t *done, uint8_t *frame, size_t *flen)
{
	size_t l4 = vnet->csum_start, hlen = headers(super, l4);
	size_t n = len - hlen - *done, l4len;
	bool last = n <= vnet->gso_size;
	uint16_t check;

	if (len - hlen <= *done)
		return false;
	if (!last)
		n = vnet->gso_size;
	l4len = hlen - l4 + n;

	memcpy(frame, super, hlen);
	if (is_ip4(frame))
		put_be16(frame + L3 + 4, (uint16_t)(get_be16(super + L3 + 4) +
						    *done / vnet->gso_size));
	set_length(frame, l4len);
	cut_l4(frame, l4, l4len, *done, last);
	check = csum_fold(csum_add(frame + l4, hlen - l4,
				   csum_copy(frame + hlen,
					     super + hlen + *done, n,
					     pseudo(frame, l4len))));
	if (!check)
		check = 0xffff;		/* UDP: zero would mean none */
	memcpy(frame + l4 + check_at(frame), &check, sizeof(check));

	*done += n;
	*flen = hlen + n;
	return true;
}

/**
 * csum_finish() - Fill in the checksum that the kernel left to the card
 * @vnet:	virtio-net header that says where
 * @frame:	frame; its field holds the sum of the pseudo-header
 * @len:	its length
 */
void csum_finish(const struct virtio_net_hdr_v1 *vnet, uint8_t *frame,
		 size_t len)
{
	size_t start = vnet->csum_start;
	uint16_t check;

	if (!(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
	    start + vnet->csum_offset + sizeof(check) > len)
		return;

	check = csum_fold(csum_add(frame + start, len - start, 0));
	if (!check)
		check = 0xffff;		/* UDP: zero would mean none */
	memcpy(frame + start + vnet->csum_offset, &check, sizeof(check));
}

/**
 * csum_trust() - A header that says "the checksum is right" shall say the same
 * in a way that a tap understands: that it is left to the card
 * @vnet:	virtio-net header
 * @frame:	frame
 * @len:	its length, or what there is of it in one piece
 */
void csum_trust(struct virtio_net_hdr_v1 *vnet, uint8_t *frame, size_t len)
{
	bool ip4 = len > L3 && is_ip4(frame);
	size_t l4 = L3 + (ip4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr));
	size_t total;
	uint16_t check;

	if (vnet->flags != VIRTIO_NET_HDR_F_DATA_VALID ||
	    len < l4 + sizeof(struct udphdr) ||
	    (!ip4 && get_be16(frame + 12) != ETH_P_IPV6) ||
	    (frame[L3 + (ip4 ? 9 : 6)] != IPPROTO_TCP && !is_udp(frame)) ||
	    (ip4 && (frame[L3] != 0x45 ||
		     get_be16(frame + L3 + 6) & ~IP_DF)))
		return;
	if (is_udp(frame) && !get_be16(frame + l4 + UDP_CHECK))
		return;

	total = ip4 ? get_be16(frame + L3 + 2) - sizeof(struct iphdr) :
		      get_be16(frame + L3 + 4);
	check = (uint16_t)~csum_fold(pseudo(frame, total));
	memcpy(frame + l4 + check_at(frame), &check, sizeof(check));
	vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vnet->csum_start = (uint16_t)l4;
	vnet->csum_offset = check_at(frame);
}
