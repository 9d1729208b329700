// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * trace.c - Logs a line for each frame on a link, for --trace.
 */
#include "log.h"
#include "tap/parse.h"
#include "tap/trace.h"

#define TRACE_PIECES	16	/* pieces to look at for headers */

/* trace_packet() - Log a parsed packet */
static void trace_packet(const char *way, const struct pkt *pkt)
{
	char src[ADDR_STRLEN], dst[ADDR_STRLEN];

	if (pkt->etype == ETH_P_ARP)
		log_msg(LOG_TRACE, "%s ARP operation %u", way,
			get_be16(pkt->l3 + 6));
	else
		log_msg(LOG_TRACE, "%s %s.%u > %s.%u protocol %u, %u bytes",
			way, addr_str(&pkt->src, src), pkt->sport,
			addr_str(&pkt->dst, dst), pkt->dport, pkt->proto,
			pkt->len);
}

/* trace_frame() - Log a frame. parse_frame() changes the pieces of the frame
 * that it parses, so this function passes it a copy of the pieces */
static void trace_frame(const char *way, const struct frame *frame)
{
	unsigned int cnt = MIN(frame->iovcnt, TRACE_PIECES);
	struct iovec iov[TRACE_PIECES];
	struct frame f = {
		.iov = iov, .iovcnt = cnt, .len = frame->len,
		.meta.csum = LINK_CSUM_OK,
	};
	uint8_t copy[PKT_HDR_MAX];
	enum tap_counter drop;
	struct fragment frag;
	struct pkt pkt;

	memcpy(iov, frame->iov, cnt * sizeof(*iov));
	drop = parse_frame(&f, true, copy, &pkt, &frag);
	if (drop == DROP_NONE)
		trace_packet(way, &pkt);
	else
		log_msg(LOG_TRACE, "%s %s", way, drop == TAP_FRAGMENT ?
			"fragment" : tap_counter_name[drop]);
}

/**
 * trace_frames() - Log a burst of frames
 * @o:		observer whose member @see points to this function
 * @to_guest:	true: the frames go to the guest; false: they come from the
 *		guest
 * @frames:	frames of the burst
 * @n:		number of frames
 */
void trace_frames(struct link_observer *o, bool to_guest,
		  const struct frame *frames, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		trace_frame(to_guest ? "to guest:" : "from guest:",
			    &frames[i]);
}
