// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * fragment.c - Sends packets that are longer than the guest's MTU to the guest
 * in fragments (RFC 791 3.2, RFC 8200 4.5).
 */
#include <errno.h>
#include <string.h>

#include "tap.h"
#include "tap/fragment.h"

/**
 * put_frag_headers() - Write the Ethernet and IP headers of one fragment
 * @h:		Ethernet and IP headers of the whole packet
 * @proto:	transport protocol of the packet, IPPROTO_*
 * @frame:	buffer for the headers
 * @frag:	the fragment; only @id, @off, @len and @more are used
 *
 * Return: number of bytes written
 */
static size_t put_frag_headers(const struct tap_hdr *h, uint8_t proto,
			       uint8_t *frame, const struct fragment *frag)
{
	uint8_t *ip = frame + ETH_HLEN, *f = frame + h->len;
	bool v4 = h->len == ETH_HLEN + IP4_HLEN;
	size_t hlen = h->len + (v4 ? 0 : IP6_FRAG_HLEN);

	memcpy(frame, h->hdr, h->len);
	if (v4) {
		put_be16(ip + 4, (uint16_t)frag->id);
		put_be16(ip + 6, (uint16_t)(frag->off / IP_FRAG_UNIT |
					    (frag->more ? IP4_MF : 0)));
	} else {
		ip[6] = IPPROTO_FRAGMENT;
		f[0] = proto;
		f[1] = 0;
		put_be16(f + 2, (uint16_t)(frag->off |
					   (frag->more ? IP6_MF : 0)));
		put_be32(f + 4, frag->id);
	}
	ip_set_len(ip, hlen - ETH_HLEN + frag->len);
	return hlen;
}

/**
 * fragment_to_guest() - Send a packet to the guest in fragments
 * @t:		the guest's side
 * @w:		packet
 * @mtu:	bytes of the longest fragment, IP header included
 *
 * The fragments are sent in order. All fragments except the last are as long as
 * @mtu allows. The fragments of an IPv4 packet have an ID and no DF flag (RFC
 * 6864 4), so that the guest can forward them into a network with a smaller
 * MTU.
 *
 * Return: 0 if all fragments were committed; -ENOBUFS if the link had no space
 *	   for a fragment: this one and all later ones are dropped
 */
int fragment_to_guest(struct tap *t, const struct long_packet *w, size_t mtu)
{
	bool v4 = w->hdr->len == ETH_HLEN + IP4_HLEN;
	size_t hlen = v4 ? IP4_HLEN : IP6_HLEN + IP6_FRAG_HLEN;
	struct fragment f = { .id = t->ident++, .more = true };
	uint32_t most = (uint32_t)((mtu - hlen) / IP_FRAG_UNIT * IP_FRAG_UNIT);
	struct link_slot slot;
	size_t at;

	for (; f.more; f.off += f.len) {
		f.more = w->len - f.off > most;
		f.len = f.more ? most : (uint32_t)w->len - f.off;
		if (!tap_slot(t, ETH_HLEN + hlen + f.len, &slot))
			return -ENOBUFS;

		at = put_frag_headers(w->hdr, w->proto, slot.iov->iov_base, &f);
		link_slot_write(&slot, at, w->l4 + f.off, f.len);
		if (!f.off)
			link_slot_write(&slot, at + w->check_at, &w->check,
					sizeof(w->check));
		tap_commit(t, &slot, at + f.len, (struct frame_meta){ 0 });
		t->fragments.count[FRAG_TO_GUEST]++;
	}
	return 0;
}
