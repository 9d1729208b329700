/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * offload.c - Does in software what a network card with segmentation offload
 * does: cuts GSO frames of the kernel into single frames (TSO, USO), and joins
 * single frames into GSO frames for the kernel (LRO).
 *
 * It joins what the kernel's GRO would join: consecutive segments of a flow
 * whose headers are equal except for the sequence number, or consecutive
 * datagrams of a flow. All have the same length, but the last one may be
 * shorter, and the last segment may have PSH. A frame with a wrong checksum is
 * never joined, since that would hide the error: it goes on alone, and the
 * kernel drops it.
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
#define TCP_FLAGS	13		/* offset of the byte with the flags */
#define UDP_CHECK	offsetof(struct udphdr, check)

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4	/* since Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4	5
#endif

/* is_ip4() - Whether the frame's EtherType is that of IPv4 */
static bool is_ip4(const uint8_t *frame)
{
	return get_be16(frame + 12) == ETH_P_IP;
}

/* is_udp() - Whether a frame has a UDP header directly after its IP header */
static bool is_udp(const uint8_t *frame)
{
	return frame[L3 + (is_ip4(frame) ? 9 : 6)] == IPPROTO_UDP;
}

/* check_at() - Return the offset of the checksum in a frame's TCP or UDP
 * header */
static uint16_t check_at(const uint8_t *frame)
{
	return is_udp(frame) ? UDP_CHECK : TCP_CHECK;
}

/**
 * pseudo() - Sum the pseudo-header of a TCP segment or UDP datagram
 * @frame:	frame, from its Ethernet header
 * @l4len:	bytes of the TCP or UDP header and the payload
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
 * @frame:	frame, from its Ethernet header
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
 * seg_ip() - Find the TCP or UDP header in a frame
 * @frame:	frame
 * @len:	its length
 *
 * Return: offset of the TCP or UDP header; 0 if the frame has none, or has IP
 *	   options or extension headers, or is a fragment
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

/* seg_udp() - Fill in @s; true if the datagram has a checksum and a payload */
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
 * seg_parse() - Check whether a frame could be a part of a GSO frame
 * @frame:	frame
 * @len:	its length
 * @s:		layout of the frame, filled in
 *
 * Return: true if it could: it has payload, and TCP flags are ACK, or ACK and
 *	   PSH
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

/* seg_csum_ok() - Whether the TCP or UDP checksum is right, or partial (to be
 * completed by the network card) */
static bool seg_csum_ok(const struct virtio_net_hdr_v1 *vnet,
			const uint8_t *frame, const struct seg *s)
{
	size_t l4len = s->hlen - s->l4 + s->len;

	return vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ||
	       !csum_fold(csum_add(frame + s->l4, l4len,
				   pseudo(frame, l4len)));
}

/**
 * same_flow() - Whether the headers of two frames could be in one GSO frame:
 *		 they differ only in lengths, checksums, IPv4 ID, TCP sequence
 *		 number and TCP flags
 * @a, @b:	frames
 * @s:		layout of both frames
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

/* joins() - Whether @frame, of layout @s, can be appended to the GSO frame */
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

/* append() - Append the payload of @frame, of layout @s, to the GSO frame */
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

/* gso_type() - Return the type of a GSO frame that is made of frames like
 * this */
static uint8_t gso_type(const uint8_t *frame)
{
	if (is_udp(frame))
		return VIRTIO_NET_HDR_GSO_UDP_L4;
	return is_ip4(frame) ? VIRTIO_NET_HDR_GSO_TCPV4 :
			       VIRTIO_NET_HDR_GSO_TCPV6;
}

/**
 * join_headers() - Make the headers of the GSO frame from the headers of its
 *		first frame
 * @j:		the GSO frame
 * @hdr:	headers of the first frame, changed in place
 * @vnet:	virtio-net header, filled in
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
 * join_flush() - Write to the tap the GSO frame that is being made, if any
 * @j:		the GSO frame
 *
 * If the tap does not take the frame, it is lost, as with any network card.
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
 * join_frame() - Give a frame to the kernel, joined to others if possible
 * @j:		the GSO frame that is being made
 * @vnet:	virtio-net header of the frame, which is not a GSO frame
 * @frame:	frame; must stay valid until the next join_flush()
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

/* headers() - Return the number of bytes of all headers of a GSO frame */
static size_t headers(const uint8_t *super, size_t l4)
{
	if (is_udp(super))
		return l4 + sizeof(struct udphdr);
	return l4 + (size_t)(super[l4 + 12] >> 4) * 4;
}

/**
 * cut_l4() - Adapt a TCP or UDP header that was copied from a GSO frame: set
 *	      length, sequence number and flags, and zero the checksum
 * @frame:	frame
 * @l4:		offset of the TCP or UDP header
 * @l4len:	bytes from this header to the end of the frame
 * @done:	bytes of payload in the previous frames
 * @last:	this is the last frame
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
 * cut_next() - Cut the next frame off a GSO frame
 * @vnet:	virtio-net header of the GSO frame
 * @super:	the GSO frame, from its Ethernet header
 * @len:	its length
 * @done:	bytes of payload in the frames cut so far, 0 at first; updated
 * @frame:	the next frame, written with all checksums
 * @flen:	length of @frame, set
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
		check = 0xffff;		/* in UDP, 0 means: no checksum */
	memcpy(frame + l4 + check_at(frame), &check, sizeof(check));

	*done += n;
	*flen = hlen + n;
	return true;
}

/**
 * csum_finish() - Fill in a checksum that the kernel left to the network card
 * @vnet:	virtio-net header, which says where the checksum is
 * @frame:	frame; its checksum field has the sum of the pseudo-header
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
		check = 0xffff;		/* in UDP, 0 means: no checksum */
	memcpy(frame + start + vnet->csum_offset, &check, sizeof(check));
}

/**
 * csum_trust() - If a virtio-net header says that the checksum is valid, make
 *		  it a partial checksum. A tap does not know the flag for valid
 *		  checksums, but it does not verify a partial one.
 * @vnet:	virtio-net header
 * @frame:	frame
 * @len:	bytes that are contiguous at @frame; if they are too few for the
 *		headers, nothing is changed
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
	if (len < l4 + check_at(frame) + sizeof(check) ||
	    (is_udp(frame) && !get_be16(frame + l4 + UDP_CHECK)))
		return;

	total = ip4 ? get_be16(frame + L3 + 2) - sizeof(struct iphdr) :
		      get_be16(frame + L3 + 4);
	check = (uint16_t)~csum_fold(pseudo(frame, total));
	memcpy(frame + l4 + check_at(frame), &check, sizeof(check));
	vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vnet->csum_start = (uint16_t)l4;
	vnet->csum_offset = check_at(frame);
}
