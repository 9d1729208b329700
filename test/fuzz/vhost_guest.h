/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * vhost_guest.h - A guest that writes chains and frames to its memory as
 * drivers do, and also any bytes anywhere. Most functions take their arguments
 * from the fields of a step.
 * A fuzz target includes this once.
 */
#ifndef TEST_FUZZ_VHOST_GUEST_H
#define TEST_FUZZ_VHOST_GUEST_H

#include "checksum.h"
#include "test/fuzz/vhost_model.h"

#define PATTERN		(2 * LINK_GSO_MAX)
#define FRAME_MAX	16384	/* bytes of payload in a frame from the guest,
				 * at most */
#define DESCS_MAX	2048	/* rough limit of descriptors in one step */
#define TABLE_AT	0x4000	/* where guest_send() puts indirect tables: an
				 * argument of guest_addr() */

/**
 * struct guest - State of the guest
 * @avail:	for each ring: index that the guest has written to the available
 *		ring
 * @at:		for each ring: next descriptor that the guest writes
 * @pattern:	PATTERN bytes, of which frames in both directions consist
 */
static struct guest {
	uint16_t avail[RINGS], at[RINGS];
	uint8_t *pattern;
} guest;

UNCOUNTED

static void put_index(unsigned int i, uint16_t index)
{
	guest.avail[i] = index;
	guest_write(model.ring[i].avail + 2, &index, 2);
}

static void put_avail(unsigned int i, uint16_t head)
{
	const struct ring *r = &model.ring[i];

	guest_write(r->avail + 4 + guest.avail[i] % r->size * 2, &head, 2);
	put_index(i, (uint16_t)(guest.avail[i] + 1));
}

/* guest_desc() - Write a descriptor. In the step, @b is its index, @c the next
 * index, @x its address, and @y its length. Bits of @a, as masks: 1 for the
 * ring, 2 for an indirect table at @z, 28 for flags, 32 for an address that is
 * in no region, and 64 for a length of more than 64 KiB */
static void guest_desc(const struct step *s)
{
	const struct ring *r = &model.ring[s->a & 1];
	const struct vring_desc d = {
		.addr = s->a & 32 ? 0 - (uint64_t)s->x : guest_addr(s->x),
		.len = s->a & 64 ? (uint32_t)s->y << 16 | s->w : s->y,
		.flags = s->a >> 2 & 7, .next = s->c,
	};

	if (s->a & 2)
		guest_fill(s->z + 16U * s->b, &d, sizeof(d));
	else
		guest_write(r->desc + s->b % r->size * 16, &d, sizeof(d));
}

/**
 * guest_chain() - Write a chain as a driver does, and make it available
 * @i:		ring
 * @x, @len:	address (an argument of guest_addr()) and bytes of the buffer
 * @first:	bytes of the first descriptor; 0: as many as in the others
 * @n:		number of the other descriptors
 * @table:	address of an indirect table (an argument of guest_addr()); 0:
 *		the descriptors are in the ring's table
 * @same:	all descriptors have the address of the first one
 */
static void guest_chain(unsigned int i, uint32_t x, uint32_t len,
			uint32_t first, unsigned int n, uint32_t table,
			bool same)
{
	const struct ring *r = &model.ring[i];
	uint16_t flags = i == GUEST ? VRING_DESC_F_WRITE : 0;
	uint16_t head = guest.at[i];
	uint32_t each = MAX(len / MAX(n, 1), 1), done, part, k;
	struct vring_desc d;

	for (done = 0, k = 0; done < len; done += part, k++) {
		part = !k && first ? first : each;
		part = MIN(part, len - done);
		d = (struct vring_desc){
			.addr = guest_addr(same ? x : x + done), .len = part,
			.flags = flags, .next = (uint16_t)(k + 1),
		};
		if (done + part < len)
			d.flags |= VRING_DESC_F_NEXT;
		if (table) {
			guest_fill(table + 16 * k, &d, sizeof(d));
			continue;
		}
		d.next = (uint16_t)((guest.at[i] + 1U) % r->size);
		guest_write(r->desc + guest.at[i] * 16U, &d, sizeof(d));
		guest.at[i] = d.next;
	}
	if (table) {
		d = (struct vring_desc){
			.addr = guest_addr(table), .len = 16 * k,
			.flags = VRING_DESC_F_INDIRECT,
		};
		guest_write(r->desc + head * 16U, &d, sizeof(d));
		guest.at[i] = (uint16_t)((head + 1U) % r->size);
	}
	put_avail(i, head);
}

/* guest_post() - Give passt receive buffers. In the step, the lower five bits
 * of @a are their number, and bit 32 is for @same of guest_chain(); @b and @c
 * are the length of the first descriptor and the number of the others, @x and
 * @y are address and length of the first buffer, @z is for the indirect table,
 * and @w is the distance from one buffer to the next */
static void guest_post(const struct step *s)
{
	unsigned int n = s->a % 32 + 1U, others = s->c;
	uint32_t x = s->x;

	if (others > 200)		/* very many small descriptors */
		others = (others - 200) * 20U;
	n = MIN(n, DESCS_MAX / MAX(others, 1) + 1);
	for (; n; n--, x += s->w)
		guest_chain(GUEST, x & 0xffff, MAX(s->y, 1), s->b, others,
			    s->z, s->a & 32);
}

/* frame_of() - Make a frame from the guest with @len bytes of payload, and
 * return its length. @kind is odd for IPv6; its upper bits select the
 * protocol */
static size_t frame_of(uint8_t *frame, unsigned int kind, size_t len,
		       bool partial)
{
	static const uint8_t proto[] = {
		IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6,
	};
	struct ip_hdr ip = { .proto = proto[kind >> 1 & 3], .ttl = 64 };
	size_t at = ETH_HLEN, hlen;
	uint16_t check;
	uint64_t sum;

	MUST(addr_parse(kind & 1 ? "2001:db8::2" : "192.0.2.2", &ip.src) &&
	     addr_parse(kind & 1 ? "2001:db8::3" : "192.0.2.3", &ip.dst));
	memcpy(frame, "\x9a\x55\x9a\x55\x9a\x55\x52\x54\0\x12\x34\x56", 12);
	put_be16(frame + 12, kind & 1 ? ETH_P_IPV6 : ETH_P_IP);
	at += ip_hdr_put(frame + at, &ip);
	hlen = ip.proto == IPPROTO_TCP ? TCP_HLEN : UDP_HLEN;
	len += hlen;
	ip_set_len(frame + ETH_HLEN, len);
	memset(frame + at, 0, hlen);
	memcpy(frame + at + hlen, guest.pattern, len - hlen);
	if (ip.proto == IPPROTO_TCP)
		frame[at + 12] = 5 << 4;
	else if (ip.proto == IPPROTO_UDP)
		udp_hdr_put(frame + at, 40000, 7, len);
	else
		frame[at] = ip.proto == IPPROTO_ICMP ? 8 : 128;
	sum = ip.proto == IPPROTO_ICMP ? 0 :
	      csum_pseudo(&ip.src, &ip.dst, ip.proto, (uint32_t)len);
	if (!partial)
		sum = csum_add(frame + at, len, sum);
	check = csum_fold(sum);
	if (partial)
		check = (uint16_t)~check;
	memcpy(frame + at + l4_csum_offset(ip.proto), &check, sizeof(check));
	return at + len;
}

/* guest_send() - Send a frame. In the step, @x is its address, @y the length of
 * its payload, and @b the length of the first descriptor. @c is the number of
 * other descriptors, and its bit 128 is for an indirect table. Bits of @a, as
 * masks: 14 for the kind of frame, 16 for a partial checksum, 32 for a GSO
 * frame, and 64 for a virtio-net header with wrong fields, which are @z and
 * @w */
static void guest_send(const struct step *s)
{
	static uint8_t bytes[sizeof(struct virtio_net_hdr_v1) + ETH_HLEN +
			     IP6_HLEN + TCP_HLEN + FRAME_MAX];
	static const uint8_t type[] = {
		VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6,
		VIRTIO_NET_HDR_GSO_UDP_L4, VIRTIO_NET_HDR_GSO_UDP_L4,
		VIRTIO_NET_HDR_GSO_UDP, 77, 0x80, 0,
	};
	unsigned int kind = s->a >> 1 & 7;
	bool partial = s->a & 48;
	struct virtio_net_hdr_v1 h = { 0 };
	uint32_t table = s->c & 128 ? TABLE_AT + s->c * 33U : 0;
	size_t len = frame_of(bytes + model.hdr_len, kind, s->y % FRAME_MAX,
			      partial);

	if (partial) {
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.csum_start = kind & 1 ? ETH_HLEN + IP6_HLEN :
			       ETH_HLEN + IP4_HLEN;
		h.csum_offset = kind < 2 ? 16 : kind < 4 ? 6 : 2;
	}
	if (s->a & 32) {
		h.gso_type = type[kind];
		h.gso_size = 536;
	}
	if (s->a & 64) {
		h.gso_size = s->z;
		h.csum_start = s->w;
	}
	memcpy(bytes, &h, model.hdr_len);
	guest_fill(s->x, bytes, model.hdr_len + len);
	guest_chain(VHOST_FROM_GUEST, s->x, (uint32_t)(model.hdr_len + len),
		    s->b, s->c & 127, table, false);
}

/* guest_poke() - Write up to six bytes: @y, @z and @w of the step. If bit 8 of
 * @a is clear, @x is an argument of guest_addr(). If it is set, @x is an offset
 * in a part of a ring: @b is the ring, and @c the part */
static void guest_poke(const struct step *s)
{
	const struct ring *r = &model.ring[s->b & 1];
	uint16_t bytes[] = { s->y, s->z, s->w };
	const uint32_t at[] = { r->desc, r->avail, r->used };

	if (s->a & 8)
		guest_write(at[s->c % 3] + s->x % (16 * r->size), bytes,
			    s->a % 7);
	else
		guest_fill(s->x, bytes, s->a % 7);
}

/* guest_event() - Let the guest write the flags of an available ring, and the
 * index in the used ring at which it asks for a notification (used_event). In
 * the step, bit 1 of @a selects the ring, and @x is the value of the flags. The
 * index is @y if bit 2 of @a is set; else the index that the guest has
 * published last, plus @b */
static void guest_event(const struct step *s)
{
	const struct ring *r = &model.ring[s->a & 1];
	uint16_t event = s->a & 2 ? s->y : (uint16_t)(r->published + s->b);

	guest_write(r->avail, &s->x, 2);
	guest_write(r->avail + 4 + 2 * r->size, &event, 2);
}

/* guest_race() - Let the guest write one byte while the link looks up an
 * address. The byte is @b of the step. The lower seven bits of @a say at which
 * look-up it is written, and the highest bit says where: if it is clear, at
 * guest_addr(@x); if it is set, at the offset @x in a part of a ring, where @c
 * selects the ring and the part */
static void guest_race(const struct step *s)
{
	const struct ring *r = &model.ring[s->c & 1];
	size_t one = 1;

	seen.race = true;
	seen.when = s->a & 127;
	seen.byte = s->b;
	seen.at = file_offset(s->x, &one);
	if (s->a & 128)
		seen.at = (s->c & 2 ? r->avail : r->desc) +
			  s->x % (16 * r->size);
}

COUNTED

#endif /* TEST_FUZZ_VHOST_GUEST_H */
