/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * conn.h - The core of TCP: the state of one connection between the guest's
 * stack and a socket of the host. The core only decides: it makes no system
 * call, reads no clock and allocates no memory. The caller reports each event
 * by calling one of the functions below. The function sets bits in @actions,
 * which tell the caller what to do, see enum conn_action.
 *
 * From the guest: the bytes with sequence numbers in [rcv_nxt, rcv_nxt +
 * rcv_queued) were accepted and wait for the socket. A byte is acknowledged
 * only after the socket has taken it (T5). Ranges of bytes that came after a
 * gap are recorded in @ooo until the gap is filled.
 *
 * To the guest: the bytes with sequence numbers in [snd_una, snd_max) were
 * peeked from the socket and sent. They are removed from the socket when the
 * guest has acknowledged them (T7), so passt keeps no copy of them.
 */
#ifndef TCP_CONN_H
#define TCP_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "tcp/range.h"
#include "tcp/segment.h"

#define TCP_RTO_INIT	1000		/* ms, RFC 6298 2.1 */
#define TCP_RTO_LOST_SYN 3000		/* ms, RFC 6298 5.7 */
#define TCP_RTO_MIN	200		/* ms, as in Linux (RFC 6298: 1000) */
#define TCP_RTO_MAX	60000		/* ms, RFC 6298 2.4 */
#define TCP_SYN_TRIES	6		/* times that SYN or SYN-ACK is sent
					 * before passt gives up, after 63 s */
#define TCP_RTO_TRIES	12		/* retransmissions, which take more than
					 * 100 s (R2 in RFC 9293 3.8.3) */
/* ms without traffic after which the guest is probed (keep-alive). RFC 5382
 * REQ-5 demands that a flow without traffic lives for 2:04 hours or more. The
 * flow ends after 11 more minutes if the guest does not answer the probes. */
#define TCP_IDLE	(7200 * 1000)
/* How long, in ms, the guest may repeat data that the socket does not take,
 * before passt tells the guest that the window is closed. If a guest's data is
 * not acknowledged, the guest gives up after about 10 minutes. */
#define TCP_STALL	(60 * 1000)
#define TCP_PROBE_INTERVAL 75000	/* ms between keep-alive probes */
#define TCP_PROBES	9		/* unanswered probes that end a flow */
/* How long, in ms, the guest may leave persist probes without an answer before
 * the flow ends. */
#define TCP_PERSIST_MAX	(900 * 1000)
#define TCP_TIMEWAIT_LEN 2000		/* ms that CONN_TIME_WAIT lasts */
#define TCP_WSCALE	8		/* window scale that passt offers */
/* Maximum number of bytes in flight to the guest, even if its window is
 * larger. */
#define TCP_WND_MAX	(16 * 1024 * 1024 - 256)
/* Largest window that the guest is offered, bytes. A larger one would not help,
 * because the guest is near. */
#define TCP_WND_OURS	(1024 * 1024)
#define TCP_WND_LOW	(128 * 1024)	/* largest window in low latency mode */
/* Window that the guest is offered until the socket was first asked for the
 * space in its send buffer. */
#define TCP_WND_INIT	65535
/* How long an ACK may wait for data that carries it, ms. 40 is Linux's usual
 * value; RFC 9293 3.8.6.3 demands less than 500. */
#define TCP_ACK_DELAY	40
#define TCP_ACK_FIRST	2		/* ms that the first ACK may wait */
#define TCP_ACK_LAST	2		/* ms that the final ACK may wait */
#define TCP_MSS_MIN	48		/* a smaller MSS is raised to this */
/* Number of duplicate ACKs that show a loss (RFC 5681 3.2). */
#define TCP_DUPACKS	3

enum conn_phase {
	CONN_CONNECTING,	/* guest sent SYN, the socket is connecting */
	CONN_SYN_ACKED,		/* the socket is connected, SYN-ACK sent */
	CONN_SYN_SENT,		/* a peer connected, SYN sent to the guest */
	CONN_OPEN,		/* both SYNs are acknowledged */
	CONN_TIME_WAIT,		/* both FINs are acknowledged, but the guest may
				 * not have received the ACK of its FIN */
	CONN_CLOSED,		/* the caller has to remove the flow */
};

/* Why a connection changes its phase; used only in log messages. */
enum conn_cause {
	CAUSE_GUEST_SYN, CAUSE_ACCEPTED, CAUSE_CONNECTED, CAUSE_FAILED,
	CAUSE_GUEST_ACK, CAUSE_GUEST_RST, CAUSE_GUEST_SILENT,
	CAUSE_PEER_RESET, CAUSE_BOTH_FIN, CAUSE_WAITED, CAUSE_ABORTED,
};

/* What the caller has to do. All segments mentioned go to the guest. */
enum conn_action {
	CONN_DO_DISCARD	= 1 << 0,	/* remove acknowledged bytes from the
					 * socket, see conn_take_discard() */
	CONN_DO_REWIND	= 1 << 1,	/* @snd_nxt went back to @snd_una: let
					 * the next peek start there */
	CONN_DO_SHUTDOWN = 1 << 2,	/* send FIN to the peer:
					 * shutdown(SHUT_WR) */
	CONN_DO_KEEPALIVE = 1 << 3,	/* set SO_KEEPALIVE on the socket */
	CONN_DO_SYN	= 1 << 4,	/* send SYN, or SYN-ACK, as the phase
					 * requires */
	CONN_DO_RETRANSMIT = 1 << 5,	/* send all ranges again that
					 * conn_next_hole() returns */
	CONN_DO_PROBE	= 1 << 6,	/* send an empty segment whose sequence
					 * number is below the window */
	CONN_DO_SEND	= 1 << 7,	/* send data or FIN, if there is any */
	CONN_DO_ACK	= 1 << 8,	/* send an ACK by the end of the pass */
	CONN_DO_DUP_ACK	= 1 << 9,	/* answer the segment just handled with
					 * an ACK of its own */
	CONN_DO_CHALLENGE = 1 << 10,	/* send a challenge ACK at once, if the
					 * rate limit allows it */
	CONN_DO_REFUSE	= 1 << 11,	/* answer the segment just handled with
					 * RST */
	CONN_DO_RST_GUEST = 1 << 12,	/* send RST */
	CONN_DO_RST_PEER = 1 << 13,	/* close the socket with RST */
	CONN_DO_CLOSE	= 1 << 14,	/* close the socket, keep the flow */
	CONN_DO_REMOVE	= 1 << 15,	/* close the socket, remove the flow */
};

enum conn_timer {
	CONN_TIMER_NONE,
	CONN_TIMER_SYN,		/* SYN or SYN-ACK is not acknowledged */
	CONN_TIMER_RTO,		/* data or FIN is not acknowledged */
	CONN_TIMER_PERSIST,	/* data or FIN waits for the guest's window */
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
 * @isn:	our initial sequence number; also identifies the connection in
 *		the log
 *
 * From the guest:
 * @rcv_nxt:	next sequence number to acknowledge: the socket has taken all
 *		bytes before it
 * @rcv_queued:	number of bytes from @rcv_nxt on that were accepted and wait for
 *		the socket
 * @rcv_adv:	right edge of the window that was offered to the guest
 * @rcv_wnd:	size of the window that was computed when the socket was last
 *		asked for its space
 * @rcv_acked:	acknowledgement number in the last segment to the guest
 * @rcv_mss:	longest payload in a segment of the guest, bytes
 * @rcv_wscale:	window scale (RFC 7323) of the windows that we offer, 0 if
 *		window scaling was not agreed on
 * @fin_queued:	the guest's FIN was accepted and waits until the socket has
 *		taken @rcv_queued bytes
 * @fin_rcvd:	the guest's FIN is acknowledged: @rcv_nxt is past it
 * @fin_seen:	the guest's FIN has come, possibly after a gap
 * @guest_fin_seq: sequence number of the guest's FIN, if @fin_seen
 * @sack_ok:	SACK was agreed on (RFC 2018)
 * @ooo:	ranges that came after a gap and are in the receive ring
 * @ooo_recent:	one sequence number in each of the ranges of @ooo that grew
 *		last; the range that grew most recently comes first
 * @ack_delay:	how long the next ACK may wait for data that carries it, ms;
 *		0: not at all
 * @ack_due:	when the ACK that waits has to be sent, ms; 0: no ACK waits
 * @stall_at:	time from which on the guest is told that the window is closed,
 *		ms, because the guest repeats data that the socket does not
 *		take, see conn_window_field(); 0: never
 *
 * To the guest:
 * @snd_una, @snd_nxt, @snd_max: sequence numbers: the oldest that is not
 *		acknowledged, the next to send, and the highest that was sent
 *		plus one (RFC 9293 3.3.1). After a timeout, @snd_nxt is lower
 *		than @snd_max
 * @snd_wnd:	the guest's window, bytes
 * @snd_wl1, @snd_wl2: sequence and acknowledgement number of the segment that
 *		@snd_wnd is from
 * @wnd_max:	largest window that the guest has offered (RFC 9293 3.8.6.2.1)
 * @snd_wscale:	window scale of the windows that the guest offers
 * @mss:	longest payload of a segment to the guest, bytes
 * @eof:	the peer has sent FIN: no data comes after @fin_seq
 * @fin_seq:	sequence number of our FIN, if @eof
 * @fin_first:	our FIN was sent before the guest's came
 * @wnd_blocked: data or FIN waits for the guest's window
 * @discard:	bytes that the guest has acknowledged, and that are still in the
 *		socket
 *
 * Recovery (RFC 5681, 6582, 6298, 6675):
 * @dupacks:	duplicate ACKs in a row
 * @recovering:	a loss was detected, and @recover is not acknowledged yet
 * @recover:	@snd_max when recovery began (RFC 6582)
 * @sacked:	ranges after @snd_una that the guest has reported by SACK
 * @rtx_next:	in recovery: holes before this sequence number were sent again
 *		already
 * @rtx_mark:	value of @snd_max when passt began to send holes again. If the
 *		guest reports data after @rtx_mark by SACK and a hole is still
 *		open, a segment that was sent again was lost, too
 * @rto:	retransmission timeout, ms
 * @srtt:	smoothed round-trip time, ms * 8; 0: no sample yet
 * @rttvar:	variation of the round-trip time, ms * 4
 * @rtt_seq:	acknowledgement number that ends the current measurement of the
 *		round-trip time, 0: none is going on
 * @rtt_at:	when the segment of that measurement was sent, ms
 * @tries:	how often @timer has fired without an answer of the guest
 * @timer, @deadline: what the connection waits for, and the time at which it
 *		stops waiting, ms
 * @heard_at:	when the guest's last segment came, or conn_postpone() was last
 *		called, whichever was later, ms
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
 * struct new_payload - The part of a segment's payload that has not been
 * received before
 * @skip:	bytes at the start of the payload that were received before
 * @len:	new bytes, 0: none
 * @seq:	sequence number of the first new byte
 * @ooo:	the new bytes come after a gap: store them and call
 *		conn_ooo_stored(); false: write them to the socket and call
 *		conn_delivered()
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
bool conn_try_due(const struct tcp_conn *c, uint64_t now);
void conn_postpone(struct tcp_conn *c, uint64_t now);
void conn_timeout(struct tcp_conn *c, uint64_t now);

#endif /* TCP_CONN_H */
