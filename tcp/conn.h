/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * conn.h - The core of TCP: one connection between the guest's stack and a
 * socket of the host. It decides and does nothing: no system call, no clock,
 * no allocation. The caller reports each event with one function below; each
 * sets bits in @actions for what the caller has to do, see enum conn_action.
 *
 * From the guest: the payload of [rcv_nxt, rcv_nxt + rcv_queued) was accepted
 * and waits for the socket; only what the socket has taken is acknowledged
 * (T5). Bytes that come after a gap are recorded in @ooo until it is filled.
 *
 * To the guest: [snd_una, snd_max) was peeked from the socket and sent. It is
 * removed from the socket when the guest acknowledges it (T7), so there is no
 * copy of it here.
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
#define TCP_IDLE	(7200 * 1000)	/* ms; RFC 5382 REQ-5 asks for 2:04 h */
#define TCP_STALL	(60 * 1000)	/* ms; guests give up at 10 minutes */
#define TCP_PROBE_INTERVAL 75000	/* ms between keep-alive probes */
#define TCP_PROBES	9		/* unanswered ones that end a flow */
#define TCP_PERSIST_MAX	(900 * 1000)	/* ms of persist probes unanswered */
#define TCP_TIMEWAIT_LEN 2000		/* ms to acknowledge a FIN once more */
#define TCP_WSCALE	8		/* ours: windows to 16 MiB */
#define TCP_WND_MAX	(16 * 1024 * 1024 - 256) /* to guest, in flight */
#define TCP_WND_OURS	(1024 * 1024)	/* enough: the guest is near */
#define TCP_WND_LOW	(128 * 1024)	/* likewise, for low latency */
#define TCP_WND_INIT	65535		/* until the socket was asked */
#define TCP_ACK_DELAY	40		/* ms, as Linux; RFC 9293: below 500 */
#define TCP_ACK_FIRST	2		/* ms: the request may have an answer */
#define TCP_ACK_LAST	2		/* ms: nothing waits for the last ACK */
#define TCP_MSS_MIN	48		/* a smaller MSS is raised to this */
#define TCP_DUPACKS	3		/* RFC 5681 3.2 */

enum conn_phase {
	CONN_CONNECTING,	/* guest sent SYN, the socket is connecting */
	CONN_SYN_ACKED,		/* the socket is connected, SYN-ACK sent */
	CONN_SYN_SENT,		/* socket was accepted, SYN sent to the guest */
	CONN_OPEN,		/* both SYNs are acknowledged */
	CONN_TIME_WAIT,		/* both FINs are; the ACK may have been lost */
	CONN_CLOSED,		/* to be removed */
};

/* Why a connection changes its phase: for the log. */
enum conn_cause {
	CAUSE_GUEST_SYN, CAUSE_ACCEPTED, CAUSE_CONNECTED, CAUSE_FAILED,
	CAUSE_GUEST_ACK, CAUSE_GUEST_RST, CAUSE_GUEST_SILENT,
	CAUSE_PEER_RESET, CAUSE_BOTH_FIN, CAUSE_WAITED, CAUSE_ABORTED,
};

/* What the caller has to do. Segments go to the guest. */
enum conn_action {
	CONN_DO_DISCARD	= 1 << 0,	/* remove acknowledged bytes from the
					 * socket, see conn_take_discard() */
	CONN_DO_REWIND	= 1 << 1,	/* peek from @snd_nxt on again */
	CONN_DO_SHUTDOWN = 1 << 2,	/* guest's FIN: shutdown(SHUT_WR) */
	CONN_DO_KEEPALIVE = 1 << 3,	/* set SO_KEEPALIVE */
	CONN_DO_SYN	= 1 << 4,	/* send SYN or SYN-ACK, by phase */
	CONN_DO_RETRANSMIT = 1 << 5,	/* send conn_next_hole() again */
	CONN_DO_PROBE	= 1 << 6,	/* send an empty segment whose sequence
					 * number is below the window */
	CONN_DO_SEND	= 1 << 7,	/* data or FIN may be sent */
	CONN_DO_ACK	= 1 << 8,	/* send an ACK by the end of the pass */
	CONN_DO_DUP_ACK	= 1 << 9,	/* send an ACK for this segment alone */
	CONN_DO_CHALLENGE = 1 << 10,	/* send a challenge ACK at once, if the
					 * rate limit allows it */
	CONN_DO_REFUSE	= 1 << 11,	/* answer this segment with RST */
	CONN_DO_RST_GUEST = 1 << 12,	/* send RST */
	CONN_DO_RST_PEER = 1 << 13,	/* close the socket with RST */
	CONN_DO_CLOSE	= 1 << 14,	/* close the socket, keep the flow */
	CONN_DO_REMOVE	= 1 << 15,	/* close the socket, remove the flow */
};

enum conn_timer {
	CONN_TIMER_NONE,
	CONN_TIMER_SYN,		/* SYN or SYN-ACK not acknowledged */
	CONN_TIMER_RTO,		/* data or FIN not acknowledged */
	CONN_TIMER_PERSIST,	/* data waits behind a closed window */
	CONN_TIMER_IDLE,	/* no traffic: probe the guest */
	CONN_TIMER_TIME_WAIT,	/* end of CONN_TIME_WAIT */
};

/**
 * struct tcp_conn - A connection
 *
 * Plain data: no pointer, no descriptor. Only the core writes it.
 *
 * @phase:	see enum conn_phase; written by conn_set_phase() only
 * @actions:	bits of enum conn_action that the caller has not taken yet
 * @isn:	our initial sequence number; identifies us in the log, too
 *
 * From the guest:
 * @rcv_nxt:	next sequence number to acknowledge: the socket has all before
 * @rcv_queued:	bytes from there on that were accepted and wait for the socket
 * @rcv_adv:	right edge of the window that was offered to the guest
 * @rcv_wnd:	the window when the socket was last asked for its space
 * @rcv_acked:	acknowledgement number that was last sent
 * @rcv_mss:	length of the guest's longest segment
 * @rcv_wscale:	shift of the windows that we send, 0 if not agreed on
 * @fin_queued:	the guest's FIN was accepted, after @rcv_queued bytes
 * @fin_rcvd:	the guest's FIN is acknowledged: @rcv_nxt is past it
 * @fin_seen:	the guest's FIN came, possibly after a gap
 * @guest_fin_seq: its sequence number, if @fin_seen
 * @sack_ok:	SACK was agreed on (RFC 2018)
 * @ooo:	ranges that came after a gap and are stored (out of order)
 * @ooo_recent:	a sequence number in each of the latest of them, newest first
 * @ack_delay:	how long the next ACK may wait for data that carries it, ms;
 *		0: not at all
 * @ack_due:	when a waiting ACK has to be sent, 0: none waits
 * @stall_at:	when the guest, which keeps sending again what we can't take,
 *		has to be told a closed window: conn_window_field(); 0: never
 *
 * To the guest:
 * @snd_una, @snd_nxt, @snd_max: oldest not acknowledged, next to send, highest
 *		sent; the last two differ after a timeout (RFC 9293 3.3.1)
 * @snd_wnd:	the guest's window, bytes
 * @snd_wl1, @snd_wl2: SEG.SEQ and SEG.ACK of the segment that said so
 * @wnd_max:	largest window of the guest (RFC 9293 3.8.6.2.1)
 * @snd_wscale:	shift of the windows that the guest sends
 * @mss:	longest payload to the guest
 * @eof:	the peer has sent FIN: no data comes after @fin_seq
 * @fin_seq:	sequence number of our FIN, if @eof
 * @fin_first:	our FIN was sent before the guest's came
 * @wnd_blocked: data or FIN waits for the guest's window
 * @discard:	acknowledged bytes that are still in the socket
 *
 * Recovery (RFC 5681, 6582, 6298, 6675):
 * @dupacks:	duplicate ACKs in a row
 * @recovering:	until @recover is acknowledged
 * @recover:	@snd_max when recovery began (RFC 6582)
 * @sacked:	ranges after @snd_una that the guest has reported by SACK
 * @rtx_next:	holes before this were sent again
 * @rtx_mark:	@snd_max at that time: if the guest has data after this but
 *		still not the hole, the retransmission was lost, too
 * @rto:	retransmission timeout, ms
 * @srtt:	smoothed round-trip time, ms * 8; 0: no sample yet
 * @rttvar:	its variation, ms * 4
 * @rtt_seq:	the ACK that ends the current sample, 0: none
 * @rtt_at:	when its segment was sent
 * @tries:	how often the timer has repeated what it repeats
 * @timer, @deadline: what the connection waits for, and how long
 * @heard_at:	when the guest's last segment came
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
 * @skip:	bytes in front that we have already
 * @len:	new bytes, 0: none
 * @seq:	sequence number of the first new byte
 * @ooo:	out of order: store them and report conn_ooo_stored(); otherwise
 *		write them to the socket and report conn_delivered()
 */
struct new_payload {
	uint32_t skip, len;
	uint32_t seq;
	bool ooo;
};

extern const char *const tcp_phase_name[];
extern const char *const tcp_cause_name[];

void conn_guest_syn(struct tcp_conn *c, const struct tcp_seg *seg,
		    uint32_t isn, uint16_t mss, uint64_t now);
void conn_accepted(struct tcp_conn *c, uint32_t isn, uint16_t mss,
		   uint64_t now);
void conn_connected(struct tcp_conn *c, uint64_t now);
void conn_connect_failed(struct tcp_conn *c, bool refused);
struct new_payload conn_segment(struct tcp_conn *c, const struct tcp_seg *seg,
				uint64_t now);
uint32_t conn_take_actions(struct tcp_conn *c, uint32_t which);
void conn_delivered(struct tcp_conn *c, uint32_t len, uint64_t now);
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
