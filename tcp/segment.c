// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * segment.c - Reads and writes TCP headers and their options.
 * Called by tcp.c; calls nothing.
 */
#include <string.h>

#include "tcp/segment.h"
#include "util.h"

/* Kinds and lengths of options (RFC 9293 3.2, RFC 7323 2.2). */
#define OPT_END		0
#define OPT_NOP		1
#define OPT_MSS		2
#define OPT_MSS_LEN	4
#define OPT_WSCALE	3
#define OPT_WSCALE_LEN	3

/**
 * parse_options() - Find the options of a SYN that we know
 * @seg:	@mss and @wscale are set if they are there
 * @p:		options
 * @left:	bytes of them
 *
 * What is malformed ends the search; what was found before it counts
 * (RFC 9293 3.1: MUST-7, a host must survive any length).
 */
static void parse_options(struct tcp_seg *seg, const uint8_t *p, size_t left)
{
	size_t len;

	for (; left && *p != OPT_END; p += len, left -= len) {
		len = 1;
		if (*p == OPT_NOP)
			continue;
		if (left < 2 || p[1] < 2 || p[1] > left)
			return;
		len = p[1];
		if (*p == OPT_MSS && len == OPT_MSS_LEN)
			seg->mss = get_be16(p + 2);
		if (*p == OPT_WSCALE && len == OPT_WSCALE_LEN)
			seg->wscale = (int8_t)MIN(p[2], TCP_WSCALE_MAX);
	}
}

/**
 * tcp_seg_parse() - Read a TCP header
 * @seg:	filled
 * @hdr:	header, checked to be complete
 * @hlen:	bytes of it with options, 20 to 60
 * @len:	bytes of payload
 *
 * Return: false for combinations of control bits that no TCP sends: none at
 *	   all, SYN with FIN or RST, FIN without ACK
 */
bool tcp_seg_parse(struct tcp_seg *seg, const uint8_t *hdr, size_t hlen,
		   uint32_t len)
{
	uint8_t flags = hdr[13] & (SEG_FIN | SEG_SYN | SEG_RST | SEG_ACK);

	seg->seq = get_be32(hdr + 4);
	seg->ack = get_be32(hdr + 8);
	seg->flags = flags;
	seg->wnd = get_be16(hdr + 14);
	seg->len = len;
	seg->mss = 0;
	seg->wscale = -1;

	if (flags & SEG_SYN) {
		parse_options(seg, hdr + TCP_HLEN, hlen - TCP_HLEN);
		return !(flags & (SEG_FIN | SEG_RST));
	}
	return flags & (SEG_ACK | SEG_RST);
}

/* tcp_hdr_len() - Bytes that tcp_hdr_put() writes */
size_t tcp_hdr_len(const struct tcp_hdr *h)
{
	return TCP_HLEN + (h->mss ? OPT_MSS_LEN : 0U) +
	       (h->wscale >= 0 ? OPT_WSCALE_LEN + 1U : 0U);
}

/**
 * tcp_hdr_put() - Write a TCP header, the checksum zero
 * @h:		what it says
 * @p:		where to, tcp_hdr_len() bytes
 *
 * Return: bytes written
 */
size_t tcp_hdr_put(const struct tcp_hdr *h, uint8_t *p)
{
	size_t len = tcp_hdr_len(h);
	uint8_t *opt = p + TCP_HLEN;

	put_be16(p, h->sport);
	put_be16(p + 2, h->dport);
	put_be32(p + 4, h->seq);
	put_be32(p + 8, h->ack);
	p[12] = (uint8_t)(len / 4 << 4);
	p[13] = h->flags;
	put_be16(p + 14, h->wnd);
	put_be32(p + 16, 0);	/* checksum, urgent pointer */

	if (h->mss) {
		opt[0] = OPT_MSS;
		opt[1] = OPT_MSS_LEN;
		put_be16(opt + 2, h->mss);
		opt += OPT_MSS_LEN;
	}
	if (h->wscale >= 0) {
		opt[0] = OPT_NOP;
		opt[1] = OPT_WSCALE;
		opt[2] = OPT_WSCALE_LEN;
		opt[3] = (uint8_t)h->wscale;
	}
	return len;
}
