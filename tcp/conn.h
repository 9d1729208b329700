/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * conn.h - One TCP connection, as it stands between the guest's stack and a
 * host socket: what is to be done about what happened.
 * Called by tcp.c; calls nothing: no system call, no clock, no allocation.
 *
 * What happens is told by one function each: a segment came, the socket took
 * bytes, it has room, it connected, failed or ended, segments were sent, time
 * passed. Each adds to @actions what the caller is to do, see enum conn_action.
 *
 * Two half-pipes. From the guest: [rcv_nxt, rcv_nxt + rcv_queued) was accepted
 * and is on its way into the socket; what the socket took is acknowledged,
 * nothing else (T5). What comes ooo of a gap is kept in @ooo, and joins
 * the queue when the gap is filled. To the guest: [snd_una, snd_max) was peeked from the
 * socket and sent; it leaves the socket's buffer when the guest acknowledges
 * it (T7), so no byte is kept here.
 */
#ifndef TCP_CONN_H
#define TCP_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "tcp/range.h"
#include "tcp/segment.h"

#define TCP_RTO_INIT	1000		/* ms, RFC 6298 2.1 */
#define TCP_RTO_LOST_SYN 3000		/* ms, RFC 6298 5.7 */
#define TCP_RTO_MIN	200		/* ms, as Linux: the guest is near */
#define TCP_RTO_MAX	60000		/* ms, RFC 6298 2.4 */
#define TCP_SYN_TRIES	6		/* SYN or SYN-ACK: 63 s in all */
#define TCP_RTO_TRIES	12		/* RFC 9293 3.8.3 R2: over 100 s */
#define TCP_IDLE	(7200 * 1000)	/* ms, RFC 5382 REQ-5: 2:04 h at least */
#define TCP_STALL	(60 * 1000)	/* ms; guests give up after 10 minutes */
#define TCP_PROBE_INTERVAL	75000		/* ms between keep-alive probes */
#define TCP_PROBES	9		/* without an answer: the guest is gone */
#define TCP_PERSIST_MAX	(900 * 1000)	/* ms without an answer to persist probes */
#define TCP_TIMEWAIT_LEN	2000		/* ms to acknowledge a FIN once more */
#define TCP_WSCALE	8		/* ours: windows to 16 MiB */
#define TCP_WND_MAX	(16 * 1024 * 1024 - 256)	/* in flight to the guest */
#define TCP_WND_OURS	(1024 * 1024)	/* told to it: the way to us is short */
#define TCP_WND_SHARED	(128 * 1024)	/* where what waits delays others */
#define TCP_WND_INIT	65535		/* before the socket was asked */
#define TCP_ACK_DELAY	40		/* ms, as Linux; RFC 9293: below 500 */
#define TCP_ACK_FIRST	2		/* ms: a request may be answered at once */
#define TCP_ACK_LAST	2		/* ms: nobody waits for the last one */
#define TCP_MSS_MIN	48		/* a smaller one is not believed */
#define TCP_DUPACKS	3		/* RFC 5681 3.2 */

enum conn_phase {
	CONN_CONNECTING,		/* guest sent SYN, the socket connects */
	CONN_SYN_ACKED,		/* it has, SYN-ACK sent */
	CONN_SYN_SENT,		/* socket was accepted, SYN sent to the guest */
	CONN_OPEN,		/* both ends may send */
	CONN_TIME_WAIT,		/* all said; the last ACK may be needed again */
	CONN_CLOSED,		/* to be removed */
};

/* Why a connection moves on: for the log. */
enum conn_cause {
	CAUSE_GUEST_SYN, CAUSE_ACCEPTED, CAUSE_CONNECTED, CAUSE_FAILED,
	CAUSE_GUEST_ACK, CAUSE_GUEST_RST, CAUSE_GUEST_SILENT,
	CAUSE_PEER_RESET, CAUSE_BOTH_FIN, CAUSE_WAITED, CAUSE_ABORTED,
};

/* What the caller is to do. */
enum conn_action {
	CONN_DO_DISCARD	= 1 << 0,	/* @discard bytes leave the socket */
	CONN_DO_REWIND	= 1 << 1,	/* peek from @snd_nxt on again */
	CONN_DO_SHUTDOWN	= 1 << 2,	/* no more from the guest: SHUT_WR */
	CONN_DO_KEEPALIVE	= 1 << 3,	/* SO_KEEPALIVE */
	CONN_DO_SYN	= 1 << 4,	/* send SYN or SYN-ACK, as phase says */
	CONN_DO_RETRANSMIT	= 1 << 5,	/* send again what conn_next_hole() says */
	CONN_DO_PROBE	= 1 << 6,	/* send an empty segment, out of window */
	CONN_DO_SEND	= 1 << 7,	/* data or FIN may be sent */
	CONN_DO_ACK	= 1 << 8,	/* owe an ACK by the end of the pass */
	CONN_DO_DUP_ACK	= 1 << 9,	/* one ACK for this very segment */
	CONN_DO_CHALLENGE	= 1 << 10,	/* send one at once, if the rate allows */
	CONN_DO_REFUSE	= 1 << 11,	/* answer this segment with RST */
	CONN_DO_RST_GUEST	= 1 << 12,	/* send RST to the guest */
	CONN_DO_RST_PEER	= 1 << 13,	/* reset the socket */
	CONN_DO_CLOSE	= 1 << 14,	/* close the socket, the flow stays */
	CONN_DO_REMOVE	= 1 << 15,	/* close and forget the flow */
};

enum conn_timer {
	CONN_TIMER_NONE,
	CONN_TIMER_SYN,		/* SYN or SYN-ACK not answered */
	CONN_TIMER_RTO,		/* data or FIN not acknowledged */
	CONN_TIMER_PERSIST,		/* data waits behind a closed window */
	CONN_TIMER_IDLE,		/* nothing happens */
	CONN_TIMER_TIME_WAIT,		/* end of CONN_TIME_WAIT */
};

/**
 * struct tcp_conn - A connection
 * @phase:	see enum conn_phase; written by one function only
 * @actions:	see enum conn_action
 * @isn:	our initial sequence number, which names it in the log
 * From the guest:
 * @rcv_nxt:	next sequence number to acknowledge: the socket has the rest
 * @rcv_queued:	bytes after it that were accepted and wait for the socket
 * @rcv_adv:	right edge of the window told to the guest
 * @rcv_wnd:	the window when the socket was last asked
 * @rcv_mss:	longest segment of the guest
 * @stall_at:	ms: the guest sends again what waits, and has to be told
 *		from then on that there is no room, see conn_window_field(); 0: none
 * @rcv_acked:	the last ACK that was sent
 * @ack_due:	ms: till when an ACK may wait for something to go with, 0: none
 *		does
 * @ack_delay:	ms that an ACK may wait: the guest's data is likely to be
 *		answered by data, with which it can go; or it is the last
 * @rcv_wscale:	of the windows we send, 0 if not agreed
 * @fin_queued:	the guest's FIN was accepted, after @rcv_queued bytes
 * @fin_rcvd:	it is acknowledged, @rcv_nxt is past it
 * @fin_seen, @guest_fin_seq: a FIN came, with this sequence number
 * @sack_ok:	SACK was agreed on (RFC 2018)
 * @ooo:	stretches that came ooo of a gap, and were kept
 * @ooo_recent:	a sequence number in each of the latest of them, newest first
 * To the guest:
 * @snd_una, @snd_nxt, @snd_max: oldest not acknowledged, next to send,
 *		highest sent; differ after a timeout (RFC 9293 3.3.1)
 * @snd_wnd, @snd_wl1, @snd_wl2: guest's window, and where it was taken from
 * @wnd_max:	largest window seen (RFC 9293 3.8.6.2.1)
 * @snd_wscale:	of the windows it sends
 * @mss:	longest payload to the guest
 * @eof:	the peer has sent FIN: nothing follows @fin_seq
 * @fin_seq:	sequence number of our FIN, if @eof
 * @fin_first:	our FIN was sent before the guest's came
 * @wnd_blocked:	socket has data that waits for the guest's window
 * @discard:	acknowledged bytes still in the socket's buffer
 * Recovery (RFC 5681, 6582, 6298):
 * @dupacks:	in a row
 * @recovering, @recover: until an ACK reaches this
 * @sacked:	stretches after @snd_una that the guest says it has
 * @rtx_next:	holes before this one were sent again
 * @rtx_mark:	@snd_max when that began: if the guest has what was sent after
 *		this and still not the hole, the retransmission was lost, too
 * @rto, @srtt, @rttvar: ms, the latter two times 8 and 4; @srtt 0: none yet
 * @rtt_seq, @rtt_at: ACK awaited for a sample, 0: none; and when it was sent
 * @tries:	of whatever the timer repeats
 * @timer, @deadline: what is waited for, and till when, ms
 * @heard_at:	ms, last segment of the guest
 */
struct tcp_conn {
	enum conn_phase phase;
	uint32_t actions;

	uint32_t isn;
	uint32_t rcv_nxt, rcv_queued, rcv_adv, rcv_wnd, rcv_acked,
		 rcv_mss;
	uint8_t rcv_wscale;
	bool fin_queued, fin_rcvd, fin_seen, sack_ok;
	uint8_t ack_delay;
	uint32_t guest_fin_seq, ooo_recent[TCP_SACK_BLOCKS];

	uint8_t snd_wscale;
	bool eof, fin_first, wnd_blocked, recovering;
	uint16_t mss;
	uint32_t snd_una, snd_nxt, snd_max;
	uint32_t snd_wnd, snd_wl1, snd_wl2, wnd_max;
	uint32_t fin_seq, discard;

	uint32_t recover, rtx_next, rtx_mark;
	uint32_t rto, srtt, rttvar;
	uint32_t rtt_seq;
	uint64_t rtt_at;
	uint8_t dupacks, tries;
	enum conn_timer timer;
	uint64_t deadline, heard_at, ack_due, stall_at;
	struct tcp_ranges ooo, sacked;
};

/**
 * struct new_payload - The part of a segment's payload that is new
 * @skip:	bytes to leave out in front
 * @len:	bytes to hand to the socket, 0: none
 * @seq:	sequence number of the first of them
 * @ooo:	not yet: keep them, and tell conn_ooo_stored()
 */
struct new_payload {
	uint32_t skip, len;
	uint32_t seq;
	bool ooo;
};

extern const char *const tcp_phase_name[];
extern const char *const tcp_cause_name[];

void conn_guest_syn(struct tcp_conn *c, const struct tcp_seg *seg,
		    uint32_t isn, uint16_t mtu_mss, uint64_t now);
void conn_accepted(struct tcp_conn *c, uint32_t isn, uint16_t mtu_mss,
		   uint64_t now);
void conn_connected(struct tcp_conn *c, uint64_t now);
void conn_connect_failed(struct tcp_conn *c, bool reset);
struct new_payload conn_segment(struct tcp_conn *c, const struct tcp_seg *seg,
			     uint64_t now);
uint32_t conn_take_actions(struct tcp_conn *c, uint32_t which);
void conn_delivered(struct tcp_conn *c, uint32_t taken, uint64_t now);
void conn_drop_backlog(struct tcp_conn *c);
void conn_ooo_stored(struct tcp_conn *c, uint32_t seq, uint32_t len);
unsigned int conn_sack_blocks(const struct tcp_conn *c,
			struct tcp_range block[TCP_SACK_BLOCKS]);
bool conn_wants_space(const struct tcp_conn *c);
void conn_set_space(struct tcp_conn *c, uint32_t space, uint32_t limit);
bool conn_ack_can_wait(struct tcp_conn *c, uint64_t now);
void conn_ack_sent(struct tcp_conn *c, bool with_data);
void conn_eof(struct tcp_conn *c);
void conn_peer_error(struct tcp_conn *c);
void conn_abort(struct tcp_conn *c);
uint32_t conn_usable_window(const struct tcp_conn *c);
bool conn_all_sent(const struct tcp_conn *c);
bool conn_fin_due(const struct tcp_conn *c);
void conn_data_sent(struct tcp_conn *c, uint32_t len, uint64_t now);
bool conn_next_hole(const struct tcp_conn *c, struct tcp_range *hole);
void conn_hole_sent(struct tcp_conn *c, const struct tcp_range *hole);
uint32_t conn_take_discard(struct tcp_conn *c);
void conn_fin_sent(struct tcp_conn *c, uint64_t now);
void conn_window_closed(struct tcp_conn *c, uint64_t now);
uint16_t conn_window_field(struct tcp_conn *c, bool syn);
void conn_timeout(struct tcp_conn *c, uint64_t now);

#endif /* TCP_CONN_H */
