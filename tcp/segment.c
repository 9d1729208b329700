// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * segment.c - Reads and writes TCP headers and their options.
 */
#include <string.h>

#include "tcp/segment.h"
#include "util.h"

/* Kinds and lengths of options (RFC 9293 3.2, RFC 7323 2.2, RFC 2018). */
#define OPT_END		0
#define OPT_NOP		1
#define OPT_MSS		2
#define OPT_MSS_LEN	4
#define OPT_WSCALE	3
#define OPT_WSCALE_LEN	3
#define OPT_SACK_OK	4
#define OPT_SACK_OK_LEN	2
#define OPT_SACK	5
#define OPT_SACK_BLOCK	8

/* Read the blocks of a SACK option; each is a pair of sequence numbers (RFC
 * 2018 3). */
static void parse_sack(struct tcp_seg *seg, const uint8_t *p, size_t len)
{
	for (; len >= OPT_SACK_BLOCK && seg->nsack < TCP_SACK_BLOCKS;
	     p += OPT_SACK_BLOCK, len -= OPT_SACK_BLOCK)
		seg->sack[seg->nsack++] = (struct tcp_range){
			.from = get_be32(p), .end = get_be32(p + 4),
		};
}

/* Read one option, whose length was checked; an unknown kind is ignored. */
static void parse_tcp_option(struct tcp_seg *seg, const uint8_t *p, size_t len)
{
	bool syn = seg->flags & SEG_SYN;

	if (syn && *p == OPT_MSS && len == OPT_MSS_LEN)
		seg->mss = get_be16(p + 2);
	else if (syn && *p == OPT_WSCALE && len == OPT_WSCALE_LEN)
		seg->wscale = (int8_t)MIN(p[2], TCP_WSCALE_MAX);
	else if (syn && *p == OPT_SACK_OK && len == OPT_SACK_OK_LEN)
		seg->sack_ok = true;
	else if (!syn && *p == OPT_SACK)
		parse_sack(seg, p + 2, len - 2);
}

/*
 * Read all options. If an option is malformed, the options before it are used,
 * and the options after it are ignored: a host must survive an option of any
 * length (RFC 9293 3.1, MUST-7).
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
		parse_tcp_option(seg, p, len);
	}
}

/**
 * tcp_seg_parse() - Read a TCP header
 * @hdr:	header, which is complete
 * @hlen:	bytes of the header with its options, 20 to 60
 * @len:	bytes of payload
 *
 * Return: false if SYN is set together with FIN or RST, which no TCP sends
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
	seg->gso_size = 0;
	seg->mss = 0;
	seg->wscale = -1;
	seg->sack_ok = false;
	seg->nsack = 0;
	parse_options(seg, hdr + TCP_HLEN, hlen - TCP_HLEN);

	return !(flags & SEG_SYN && flags & (SEG_FIN | SEG_RST));
}

/*
 * Write the options, padded to words of four bytes.
 * Return: bytes written.
 */
static size_t put_options(const struct tcp_hdr *h, uint8_t *start)
{
	uint8_t *p = start;
	unsigned int i;

	if (h->mss) {
		*p++ = OPT_MSS;
		*p++ = OPT_MSS_LEN;
		put_be16(p, h->mss);
		p += 2;
	}
	if (h->wscale >= 0) {
		*p++ = OPT_NOP;
		*p++ = OPT_WSCALE;
		*p++ = OPT_WSCALE_LEN;
		*p++ = (uint8_t)h->wscale;
	}
	if (h->sack_ok) {
		*p++ = OPT_NOP;
		*p++ = OPT_NOP;
		*p++ = OPT_SACK_OK;
		*p++ = OPT_SACK_OK_LEN;
	}
	if (h->nsack) {
		*p++ = OPT_NOP;
		*p++ = OPT_NOP;
		*p++ = OPT_SACK;
		*p++ = (uint8_t)(2 + h->nsack * OPT_SACK_BLOCK);
	}
	for (i = 0; i < h->nsack; i++, p += OPT_SACK_BLOCK) {
		put_be32(p, h->sack[i].from);
		put_be32(p + 4, h->sack[i].end);
	}
	return (size_t)(p - start);
}

/**
 * tcp_hdr_put() - Write a TCP header with a checksum of zero
 * @p:		space for TCP_HLEN_MAX bytes, or for TCP_HLEN if there are no
 *		options
 *
 * Return: bytes written
 */
size_t tcp_hdr_put(const struct tcp_hdr *h, uint8_t *p)
{
	size_t len = TCP_HLEN + put_options(h, p + TCP_HLEN);

	put_be16(p, h->sport);
	put_be16(p + 2, h->dport);
	put_be32(p + 4, h->seq);
	put_be32(p + 8, h->ack);
	p[12] = (uint8_t)(len / 4 << 4);
	p[13] = h->flags;
	put_be16(p + 14, h->wnd);
	put_be32(p + 16, 0);	/* checksum, urgent pointer */
	return len;
}
