// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * segment.c - Tests of TCP headers: which values are parsed from valid and from
 * malformed headers, and that a header that passt wrote is parsed into the same
 * values.
 */
#include <stdlib.h>

#include "../../tcp/segment.c"
#include "test/unit/random.h"
#include "test/unit/unit.h"

#define OPTIONS_MAX	40		/* bytes, with a data offset of 15 */
#define FUZZ		400000		/* number of random headers */

/**
 * parse() - Parse a header with these control bits and options
 * @seg:	set from the header
 * @flags:	SEG_*
 * @opt:	options
 * @len:	length of the options, bytes
 *
 * The header has memory of exactly its length, so that a sanitizer notices a
 * read beyond it.
 *
 * Return: whether the header was accepted
 */
static bool parse(struct tcp_seg *seg, uint8_t flags, const void *opt,
		  size_t len)
{
	uint8_t *hdr = malloc(TCP_HLEN + len);
	bool good;

	memset(hdr, 0, TCP_HLEN);
	memcpy(hdr + TCP_HLEN, opt, len);
	hdr[13] = flags;
	memset(seg, 0x5a, sizeof(*seg));
	good = tcp_seg_parse(seg, hdr, TCP_HLEN + len, 0);
	free(hdr);
	return good;
}

/* Given a header, when it is parsed, then struct tcp_seg has its fields, in
 * host order. */
static void story_fields(void)
{
	static const uint8_t hdr[TCP_HLEN] = {
		0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
		0x0f, 0xed, 0xcb, 0xa9, 0x50, SEG_ACK | SEG_FIN, 0x87, 0x65,
		0xff, 0xff, 0xff, 0xff,
	};
	struct tcp_seg seg;

	memset(&seg, 0x5a, sizeof(seg));
	check("a header is read", tcp_seg_parse(&seg, hdr, TCP_HLEN, 1460));
	check_eq("its sequence number", seg.seq, 0x9abcdef0);
	check_eq("its acknowledgement", seg.ack, 0x0fedcba9);
	check_eq("its window", seg.wnd, 0x8765);
	check_eq("its control bits", seg.flags, SEG_ACK | SEG_FIN);
	check_eq("the length of its payload", seg.len, 1460);
	check("an option that is not there is absent",
	      !seg.mss && seg.wscale == -1 &&
	      !seg.sack_ok && !seg.nsack);
}

/* Given each combination of control bits, then only headers with SYN and FIN,
 * or SYN and RST, are refused. Of the bits, only FIN, SYN, RST and ACK are in
 * struct tcp_seg. */
static void story_flags(void)
{
	bool refused, good = true, clean = true;
	struct tcp_seg seg;
	unsigned int f;

	for (f = 0; f < 256; f++) {
		refused = f & SEG_SYN && f & (SEG_FIN | SEG_RST);
		good &= parse(&seg, (uint8_t)f, "", 0) == !refused;
		clean &= seg.flags == (f & (SEG_FIN | SEG_SYN | SEG_RST |
					    SEG_ACK));
	}
	check("SYN with FIN or RST is refused, nothing else", good);
	check("PSH, URG and the bits of ECN go no further", clean);
}

/**
 * struct option_case - Options of a guest's header, and the result of parsing
 * @name:	name of the check
 * @flags:	control bits of the header, SEG_*
 * @len, @opt:	length of the options in bytes, and the options
 * @mss, @wscale, @sack_ok, @nsack: values that struct tcp_seg must have then
 * @block:	first SACK block that it must have if @nsack is not 0
 */
struct option_case {
	const char *name;
	uint8_t flags, len;
	uint8_t opt[OPTIONS_MAX];
	uint16_t mss;
	int8_t wscale;
	bool sack_ok;
	uint8_t nsack;
	struct tcp_range block;
};

#define SYN	.flags = SEG_SYN
#define ACK	.flags = SEG_ACK
#define OPT(...) \
	.len = sizeof((uint8_t[]){ __VA_ARGS__ }), .opt = { __VA_ARGS__ }
#define NONE	.wscale = -1

#define MSS	2, 4, 0x05, 0xb4
#define WSCALE	3, 3, 7
#define STAMPS	8, 10, 1, 2, 3, 4, 0, 0, 0, 0
#define BLOCK	0, 0, 0x10, 0, 0, 0, 0x20, 0
#define LATER	0, 0, 0x30, 0, 0, 0, 0x40, 0

static const struct option_case options[] = {
	{ "MSS", SYN, OPT(MSS), NONE, .mss = 1460 },
	{ "MSS of a segment that is no SYN is ignored",
	  ACK, OPT(MSS), NONE },
	{ "MSS one byte short is ignored", SYN, OPT(2, 3, 0x05), NONE },
	{ "MSS one byte long is ignored",
	  SYN, OPT(2, 5, 0x05, 0xb4, 0), NONE },
	{ "MSS of zero is none", SYN, OPT(2, 4, 0, 0), NONE },
	{ "MSS of 65,535", SYN, OPT(2, 4, 0xff, 0xff), NONE, .mss = 65535 },
	{ "the last of two MSS counts",
	  SYN, OPT(MSS, 2, 4, 0x02, 0x18), NONE, .mss = 536 },
	{ "window scale", SYN, OPT(WSCALE), .wscale = 7 },
	{ "window scale of 0 is not none",
	  SYN, OPT(3, 3, 0), .wscale = 0 },
	{ "window scale of 14", SYN, OPT(3, 3, 14), .wscale = 14 },
	{ "window scale of 15 is taken for 14 (RFC 7323 2.3)",
	  SYN, OPT(3, 3, 15), .wscale = 14 },
	{ "window scale of 255 is taken for 14",
	  SYN, OPT(3, 3, 255), .wscale = 14 },
	{ "window scale of a segment without SYN is ignored",
	  ACK, OPT(WSCALE), NONE },
	{ "window scale one byte short is ignored", SYN, OPT(3, 2), NONE },
	{ "window scale one byte long is ignored",
	  SYN, OPT(3, 4, 7, 7), NONE },
	{ "SACK permitted", SYN, OPT(4, 2), NONE, .sack_ok = true },
	{ "SACK permitted of a segment that is no SYN is ignored",
	  ACK, OPT(4, 2), NONE },
	{ "SACK permitted one byte long is ignored",
	  SYN, OPT(4, 3, 0), NONE },
	{ "a SACK block", ACK, OPT(1, 1, 5, 10, BLOCK), NONE, .nsack = 1,
	  .block = { 0x1000, 0x2000 } },
	{ "two SACK blocks, the first one first",
	  ACK, OPT(5, 18, LATER, BLOCK), NONE, .nsack = 2,
	  .block = { 0x3000, 0x4000 } },
	{ "four SACK blocks",
	  ACK, OPT(5, 34, BLOCK, LATER, BLOCK, LATER), NONE, .nsack = 4,
	  .block = { 0x1000, 0x2000 } },
	{ "three SACK blocks behind timestamps",
	  ACK, OPT(1, 1, STAMPS, 1, 1, 5, 26, BLOCK, BLOCK, LATER), NONE,
	  .nsack = 3, .block = { 0x1000, 0x2000 } },
	{ "no more than four SACK blocks in two options",
	  ACK, OPT(5, 18, BLOCK, LATER, 5, 18, BLOCK, LATER), NONE, .nsack = 4,
	  .block = { 0x1000, 0x2000 } },
	{ "SACK without a block", ACK, OPT(5, 2), NONE },
	{ "SACK with seven bytes of a block",
	  ACK, OPT(5, 9, 0, 0, 0x10, 0, 0, 0, 0x20), NONE },
	{ "SACK of a SYN is ignored", SYN, OPT(5, 10, BLOCK), NONE },
	{ "all that a Linux guest sends",
	  SYN, OPT(MSS, 4, 2, STAMPS, 1, WSCALE), .mss = 1460, .wscale = 7,
	  .sack_ok = true },
	{ "an option behind one that we don't know",
	  SYN, OPT(254, 6, 0xf9, 0x89, 2, 4, MSS), NONE, .mss = 1460 },
	{ "the content of an unknown option is no option",
	  SYN, OPT(253, 6, MSS, 3, 3, 1), .wscale = 1 },
	{ "forty bytes of padding",
	  SYN, OPT(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
		   1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, MSS), NONE,
	  .mss = 1460 },
	{ "bytes after the end of the list are no options",
	  SYN, OPT(WSCALE, 0, MSS), .wscale = 7 },
	{ "a length of zero ends the search",
	  SYN, OPT(WSCALE, 254, 0, MSS), .wscale = 7 },
	{ "a length of one ends the search",
	  SYN, OPT(WSCALE, 254, 1, MSS), .wscale = 7 },
	{ "a known option of length zero ends the search",
	  SYN, OPT(WSCALE, 2, 0, 5, 0xb4), .wscale = 7 },
	{ "a length beyond the header ends the search",
	  SYN, OPT(WSCALE, 254, 6, 1, 1, 1), .wscale = 7 },
	{ "a length of 255 ends the search",
	  SYN, OPT(WSCALE, 254, 255, MSS), .wscale = 7 },
	{ "a kind without a length ends the search",
	  SYN, OPT(WSCALE, 2), .wscale = 7 },
	{ "MSS whose value is missing does, too",
	  SYN, OPT(WSCALE, 2, 4), .wscale = 7 },
	{ "SACK beyond the header does, too",
	  ACK, OPT(5, 18, BLOCK), NONE },
};

static void story_options(void)
{
	const struct option_case *o;
	struct tcp_seg seg;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		o = &options[i];
		if (!parse(&seg, o->flags, o->opt, o->len))
			fail(o->name, "refused");
		else if (seg.mss != o->mss || seg.wscale != o->wscale ||
			 seg.sack_ok != o->sack_ok || seg.nsack != o->nsack)
			fail(o->name, "MSS %u, scale %d, SACK %d, %u blocks",
			     seg.mss, seg.wscale, seg.sack_ok, seg.nsack);
		else if (seg.nsack && (seg.sack[0].from != o->block.from ||
				       seg.sack[0].end != o->block.end))
			fail(o->name, "block %x to %x", seg.sack[0].from,
			     seg.sack[0].end);
		else
			pass(o->name);
	}
}

/* Given a list of options that is truncated at any byte, then the options
 * before that byte are parsed, and nothing is read beyond the end. */
static void story_truncated(void)
{
	static const uint8_t opt[] = { MSS, 4, 2, STAMPS, 1, WSCALE };
	static const uint8_t sack[] = { 1, 1, 5, 18, BLOCK, LATER };
	bool good = true, blocks = true;
	struct tcp_seg seg;
	size_t len;

	for (len = 0; len <= sizeof(opt); len++) {
		good &= parse(&seg, SEG_SYN, opt, len);
		good &= seg.mss == (len >= 4 ? 1460 : 0);
		good &= seg.sack_ok == (len >= 6);
		good &= seg.wscale == (len >= 20 ? 7 : -1);
	}
	check("options of a SYN may be truncated at any byte", good);
	for (len = 0; len <= sizeof(sack); len++) {
		parse(&seg, SEG_ACK, sack, len);
		blocks &= seg.nsack == (len == sizeof(sack) ? 2 : 0);
	}
	check("SACK blocks, cut off at every byte", blocks);
}

/* Given random bytes as options, most of them below 16 like real kinds and
 * lengths, then all values in struct tcp_seg are within their bounds. */
static void story_random(void)
{
	uint8_t opt[OPTIONS_MAX];
	struct tcp_seg seg;
	bool good = true;
	unsigned int i, j;
	uint64_t r;

	for (i = 0; i < FUZZ && good; i++) {
		for (j = 0; j < OPTIONS_MAX; j++) {
			r = next_random();
			opt[j] = (uint8_t)(r & 3 ? r >> 8 & 15 : r >> 8);
		}
		r = next_random();
		parse(&seg, r & 1 ? SEG_SYN : SEG_ACK, opt,
		      (r >> 8) % (OPTIONS_MAX + 1));
		good = seg.wscale >= -1 && seg.wscale <= TCP_WSCALE_MAX &&
		       seg.nsack <= TCP_SACK_BLOCKS &&
		       (r & 1 ? !seg.nsack : !seg.mss && !seg.sack_ok);
	}
	check("random bytes as options do no harm", good);
}

/* read_back() - Whether a header, when it is written and then parsed, has the
 * same values */
static bool read_back(const struct tcp_hdr *h)
{
	uint8_t buf[TCP_HLEN_MAX];
	struct tcp_seg seg;
	size_t len;

	memset(buf, 0xee, sizeof(buf));
	len = tcp_hdr_put(h, buf);
	if (len < TCP_HLEN || len > TCP_HLEN_MAX || len % 4 ||
	    buf[12] != len / 4 << 4 || get_be16(buf + 16) || get_be16(buf + 18))
		return false;
	if (get_be16(buf) != h->sport || get_be16(buf + 2) != h->dport ||
	    !tcp_seg_parse(&seg, buf, len, 7))
		return false;
	return seg.seq == h->seq && seg.ack == h->ack && seg.wnd == h->wnd &&
	       seg.flags == h->flags && seg.mss == h->mss &&
	       seg.wscale == h->wscale && seg.sack_ok == h->sack_ok &&
	       seg.nsack == h->nsack &&
	       !memcmp(seg.sack, h->sack, h->nsack * sizeof(h->sack[0]));
}

static struct tcp_hdr any_header(uint8_t flags)
{
	return (struct tcp_hdr){
		.sport = 0xfedc, .dport = 0x0102, .seq = 0xf1e2d3c4,
		.ack = 0x05162738, .wnd = 0xabcd, .flags = flags, .wscale = -1,
		.sack = { { 0xfffffff0, 5 }, { 0x100, 0x200 },
			  { 0x300, 0x400 }, { 0x7fffffff, 0x80000000 } },
	};
}

/* Given a header with any combination of options, when it is written and then
 * parsed, then it has the same values. */
static void story_written(void)
{
	static const uint16_t mss[] = { 0, 48, 536, 1460, 65495 };
	static const int8_t wscale[] = { -1, 0, 8, 14 };
	struct tcp_hdr h = any_header(SEG_SYN);
	uint8_t buf[TCP_HLEN_MAX];
	unsigned int i, j;
	bool good = true;

	for (i = 0; i < ARRAY_SIZE(mss); i++) {
		for (j = 0; j < 2 * ARRAY_SIZE(wscale); j++) {
			h.mss = mss[i];
			h.wscale = wscale[j / 2];
			h.sack_ok = j & 1;
			good &= read_back(&h);
		}
	}
	check("a SYN with any options is read back as written", good);

	h = any_header(SEG_ACK);
	for (good = true; h.nsack <= TCP_SACK_BLOCKS; h.nsack++)
		good &= read_back(&h);
	check("SACK blocks are read back as written", good);

	h = any_header(SEG_ACK | SEG_PSH);
	check_eq("a header without options is 20 bytes long",
		 tcp_hdr_put(&h, buf), TCP_HLEN);
	check_eq("and has PSH if asked for", buf[13], SEG_ACK | SEG_PSH);
}

int main(void)
{
	story_fields();
	story_flags();
	story_options();
	story_truncated();
	story_random();
	story_written();
	return unit_end();
}
