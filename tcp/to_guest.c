// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * to_guest.c - The guest's side of a TCP flow. Segments are built in the memory
 * of the link, from which the link sends them. Payload is peeked from the
 * socket directly into that memory.
 */
#include <errno.h>

#include "iov.h"
#include "tcp/flow.h"
#include "tcp/seq.h"

/* tcp_mss() - Return the bytes of the longest payload of a segment that fits in
 * a frame to the guest */
uint16_t tcp_mss(const struct tcp *t, const struct in6_addr *guest)
{
	return (uint16_t)(tap_mtu(t->tap) - ip_hlen(guest) - TCP_HLEN);
}

static void fill_ip_hdr(struct ip_hdr *ip, const struct flow_key *key)
{
	*ip = (struct ip_hdr){
		.src = key->peer, .dst = key->guest, .proto = IPPROTO_TCP,
	};
}

/* Return the TCP header of a segment of an established flow. @flags: SEG_* to
 * set in addition to ACK. */
static struct tcp_hdr make_header(struct tcp_flow *f, uint8_t flags,
				  uint32_t seq)
{
	return (struct tcp_hdr){
		.sport = f->flow.key.pport, .dport = f->flow.key.gport,
		.seq = seq, .ack = f->conn.rcv_nxt, .wscale = -1,
		.flags = flags | SEG_ACK,
		.wnd = conn_window_field(&f->conn, false),
	};
}

/* Note that a segment has carried the current acknowledgement number, so that
 * no ACK is pending any more. */
static void note_ack_sent(struct tcp_flow *f, bool with_data)
{
	conn_ack_sent(&f->conn, with_data);
	list_remove(&f->flow.node);
}

/**
 * tcp_to_guest_flags() - Send a segment without data
 * @flags:	SEG_* to set in addition to ACK
 *
 * Return: false if there is no space on the link
 */
bool tcp_to_guest_flags(struct tcp *t, struct tcp_flow *f, uint8_t flags,
			uint32_t seq)
{
	struct tcp_hdr h = make_header(f, flags, seq);
	uint8_t seg[TCP_HLEN_MAX];
	struct ip_hdr ip;

	h.nsack = (uint8_t)conn_sack_blocks(&f->conn, h.sack);
	fill_ip_hdr(&ip, &f->flow.key);
	if (tap_ip_send(t->tap, &ip, seg, tcp_hdr_put(&h, seg)))
		return false;
	note_ack_sent(f, false);
	return true;
}

/* tcp_to_guest_rst() - Send RST to the guest (T11) */
void tcp_to_guest_rst(struct tcp *t, struct tcp_flow *f)
{
	struct tcp_hdr h = make_header(f, SEG_RST, f->conn.snd_max);
	uint8_t seg[TCP_HLEN];
	struct ip_hdr ip;

	h.wnd = 0;
	if (f->conn.snd_max == f->conn.isn)
		h.seq = 0;			/* RFC 9293 3.10.7.1 */
	fill_ip_hdr(&ip, &f->flow.key);
	tcp_hdr_put(&h, seg);
	tap_ip_send(t->tap, &ip, seg, sizeof(seg));
	t->count[TCP_RESETS_TO_GUEST]++;
}

/**
 * tcp_to_guest_syn() - Send SYN-ACK in CONN_SYN_ACKED, otherwise SYN
 *
 * Return: false if there is no space on the link; the flow's timer sends the
 *	   segment later
 */
bool tcp_to_guest_syn(struct tcp *t, struct tcp_flow *f)
{
	struct tcp_conn *c = &f->conn;
	struct tcp_hdr h = {
		.sport = f->flow.key.pport, .dport = f->flow.key.gport,
		.seq = c->isn, .flags = SEG_SYN,
		.mss = tcp_mss(t, &f->flow.key.guest),
		.wnd = UINT16_MAX, .wscale = TCP_WSCALE, .sack_ok = true,
	};
	uint8_t seg[TCP_HLEN_MAX];
	struct ip_hdr ip;

	if (c->phase == CONN_SYN_ACKED) {
		h.flags |= SEG_ACK;
		h.ack = c->rcv_nxt;
		h.wnd = conn_window_field(c, true);
		h.wscale = (int8_t)(c->rcv_wscale ? c->rcv_wscale : -1);
		h.sack_ok = c->sack_ok;
	}
	fill_ip_hdr(&ip, &f->flow.key);
	return !tap_ip_send(t->tap, &ip, seg, tcp_hdr_put(&h, seg));
}

/**
 * tcp_to_guest_refuse() - Answer a segment that belongs to no connection by RST
 * @pkt:	packet of the guest
 * @seg:	segment in @pkt; if it is RST, there is no answer (RFC 9293
 *		3.10.7.1)
 */
void tcp_to_guest_refuse(struct tcp *t, const struct pkt *pkt,
			 const struct tcp_seg *seg)
{
	struct ip_hdr ip = {
		.src = pkt->dst, .dst = pkt->src, .proto = IPPROTO_TCP,
	};
	struct tcp_hdr h = {
		.sport = pkt->dport, .dport = pkt->sport,
		.flags = SEG_RST, .wscale = -1,
	};
	uint8_t rst[TCP_HLEN];

	if (seg->flags & SEG_RST)
		return;
	if (seg->flags & SEG_ACK) {
		h.seq = seg->ack;
	} else {
		h.flags |= SEG_ACK;
		h.ack = tcp_seg_end(seg);
	}
	tcp_hdr_put(&h, rst);
	tap_ip_send(t->tap, &ip, rst, sizeof(rst));
	t->count[TCP_RESETS_TO_GUEST]++;
}

/**
 * struct seg_batch - Segments whose payload is read in one peek
 * @ip:		Ethernet and IP headers, which are the same for all segments
 * @hdr:	TCP header of the next segment
 * @hlen:	bytes of all headers of one frame
 * @unit:	bytes of payload in each frame but the last
 * @mss:	bytes of payload in each segment of a GSO frame but the last
 * @slot:	slots of the link, one for each frame
 * @data, @ndata: pieces of these slots into which the payload is read, and
 *		their number
 */
struct seg_batch {
	struct tap_hdr ip;
	struct tcp_hdr hdr;
	uint32_t hlen, unit;
	uint16_t mss;
	struct link_slot slot[SEGS_PER_PEEK];
	struct iovec data[PIECES_PER_PEEK];
	unsigned int ndata;
};

/* A slot will hold @len bytes of payload: add its pieces to the pieces that the
 * peek fills. Return false if there are too many pieces. */
static bool add_slot(struct seg_batch *b, const struct link_slot *slot,
		     size_t len)
{
	struct iov_walk w = { slot->iov, slot->cnt, b->hlen, len };

	if (b->ndata + slot->cnt > PIECES_PER_PEEK)
		return false;
	while (iov_next(&w, &b->data[b->ndata]))
		b->ndata++;
	return true;
}

/*
 * Return the bytes of payload in the longest frame. If the link takes GSO
 * frames, these are as many full segments as fit in one GSO frame; else one
 * segment.
 */
static uint32_t frame_payload(const struct tcp *t, const struct seg_batch *b)
{
	uint32_t most = tap_gso_max(t->tap);

	if (most < b->hlen + 2 * b->mss)
		return b->mss;
	return (most - b->hlen) / b->mss * b->mss;
}

/*
 * Ask the link for slots for @len bytes of payload. If it has no space for a
 * long GSO frame, ask for shorter slots.
 * Return: number of slots.
 */
static unsigned int ask_slots(struct tcp *t, struct seg_batch *b, uint32_t len)
{
	unsigned int slots;

	for (;; b->unit = MAX(b->unit / 2 / b->mss, 1) * b->mss) {
		slots = MIN((len + b->unit - 1) / b->unit, SEGS_PER_PEEK);
		slots = link_slots(t->tap->queue, b->hlen + b->unit, slots,
				   b->slot);
		if (slots || b->unit <= b->mss)
			return slots;
	}
}

/*
 * Reserve space on the link for segments with @len bytes of payload.
 * Return: bytes of payload that fit in the reserved space.
 */
static uint32_t reserve_segments(struct tcp *t, struct tcp_flow *f,
				 struct seg_batch *b, uint32_t len)
{
	unsigned int slots, i;
	uint32_t left = len, n;

	b->hlen = (uint32_t)(ETH_HLEN + ip_hlen(&f->flow.key.guest) + TCP_HLEN);
	b->mss = f->conn.mss;
	b->unit = MIN(len, frame_payload(t, b));
	b->ndata = 0;
	slots = ask_slots(t, b, len);
	for (i = 0; i < slots; i++, left -= n) {
		n = MIN(left, b->unit);
		if (!add_slot(b, &b->slot[i], n))
			break;
	}
	return len - left;
}

/* Complete and commit the frame in a slot, which has @len bytes of payload. */
static void commit_frame(struct tcp *t, struct seg_batch *b,
			 const struct link_slot *slot, uint32_t len)
{
	tcp_hdr_put(&b->hdr, (uint8_t *)slot->iov->iov_base + b->ip.len);
	tap_l4_commit(t->tap, slot, &b->ip, TCP_HLEN + len,
		      len > b->mss ? b->mss : 0);
	b->hdr.seq += len;
}

/*
 * Send the segments whose payload was peeked.
 * @seq:	sequence number of the first byte of payload
 * @len:	bytes of payload in all; the last segment has PSH
 * @fin:	the last segment also has FIN
 */
static void commit_segments(struct tcp *t, struct tcp_flow *f,
			    struct seg_batch *b, uint32_t seq, uint32_t len,
			    bool fin)
{
	struct ip_hdr ip;
	unsigned int i;
	uint32_t n;

	fill_ip_hdr(&ip, &f->flow.key);
	tap_hdr_init(&b->ip, t->tap, &ip);
	b->hdr = make_header(f, 0, seq);
	for (i = 0; len; i++, len -= n) {
		n = MIN(len, b->unit);
		if (n == len)
			b->hdr.flags |= SEG_PSH | (fin ? SEG_FIN : 0);
		commit_frame(t, b, &b->slot[i], n);
	}
	note_ack_sent(f, true);
}

/*
 * Send one segment, or our FIN, again.
 * Return: false if there is no space on the link.
 */
static bool resend_hole(struct tcp *t, struct tcp_flow *f,
			const struct tcp_range *hole)
{
	uint32_t len = hole->end - hole->from;
	UNINITIALIZED struct seg_batch b;
	ssize_t n;

	if (!len)
		return tcp_to_guest_flags(t, f, SEG_FIN, hole->from);
	if (!reserve_segments(t, f, &b, len))
		return false;
	n = tcp_sock_peek_at(t, f, hole->from, b.data, b.ndata);
	if (n > 0)
		commit_segments(t, f, &b, hole->from, (uint32_t)n, false);
	return true;
}

/*
 * Send again all holes that conn_next_hole() returns (RFC 6675).
 * Return: false if the link had no space for one of them.
 */
static bool resend_holes(struct tcp *t, struct tcp_flow *f)
{
	struct tcp_range hole;

	while (conn_next_hole(&f->conn, &hole)) {
		if (!resend_hole(t, f, &hole))
			return false;
		conn_hole_sent(&f->conn, &hole);
		t->count[TCP_RETRANSMIT]++;
	}
	return true;
}

/*
 * Send @len bytes that were peeked into segments with space for @space bytes.
 * If @len is less than @space, the socket has no more data. If the peer's FIN
 * has come, too, our FIN follows: in the last segment, if the window has space
 * for the FIN.
 */
static void commit_peeked(struct tcp *t, struct tcp_flow *f,
			  struct seg_batch *b, uint32_t len, uint32_t space,
			  uint64_t now)
{
	struct tcp_conn *c = &f->conn;
	bool all = len < space && !f->eof_uncertain, fin;
	uint32_t end = c->snd_nxt + len;

	fin = c->eof ? end == c->fin_seq : all && f->peer_fin;
	if (fin && end - c->snd_una >= c->snd_wnd)
		fin = false;

	commit_segments(t, f, b, c->snd_nxt, len, fin);
	conn_data_sent(c, len, now);
	if (all && f->peer_fin)
		conn_eof(c);
	else if (all)
		f->readable = false;
	if (fin)
		conn_fin_sent(c, now);
}

/*
 * Peek at the socket into segments for the guest, and send them.
 * @len:	bytes, at most as many as the guest's window allows
 *
 * Return: bytes sent; 0 if the socket had no data, and f->readable then says
 *	   whether it may have some now; -ENOBUFS if the link has no space, or
 *	   the host no memory; another -errno if the socket has failed.
 */
static ssize_t send_peeked(struct tcp *t, struct tcp_flow *f, uint32_t len,
			   uint64_t now)
{
	uint32_t space;
	UNINITIALIZED struct seg_batch b;
	ssize_t n;

	space = reserve_segments(t, f, &b, len);
	if (!space)
		return -ENOBUFS;

	n = tcp_sock_peek(t, f, b.data, b.ndata);
	if (n > 0) {
		commit_peeked(t, f, &b, (uint32_t)n, space, now);
		return n;
	}

	if (n < 0 && sock_lacks_resource(-errno)) {
		t->flows->no_memory = true;
		return -ENOBUFS;
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	f->readable = n < 0 && errno == EINTR;
	if (!n && !f->sock_failed)	/* after an error, 0 does not mean
					 * FIN */
		conn_eof(&f->conn);
	return 0;
}

/*
 * Send FIN if all data was sent (T10).
 * Return: false if there is no space on the link.
 */
static bool send_fin(struct tcp *t, struct tcp_flow *f, uint64_t now)
{
	struct tcp_conn *c = &f->conn;

	if (!c->eof || c->snd_nxt != c->fin_seq || c->phase != CONN_OPEN)
		return true;
	if (!conn_fin_due(c)) {
		conn_window_closed(c, now);
		return true;
	}
	if (!tcp_to_guest_flags(t, f, SEG_FIN, c->fin_seq))
		return false;
	conn_fin_sent(c, now);
	return true;
}

/* usable_window() - How many bytes may be sent now, as the guest's window and
 * the scheduler allow. The scheduler's share is cut to whole segments */
static uint32_t usable_window(const struct tcp *t, const struct tcp_flow *f,
			      uint64_t now)
{
	const struct tcp_conn *c = &f->conn;
	uint32_t flight = c->snd_nxt - c->snd_una;
	uint32_t max = sched_flight_max(t->sched, now);

	max = flight < max ? (max - flight) / c->mss * c->mss : 0;
	return MIN(conn_usable_window(c), max);
}

/**
 * tcp_to_guest_data() - Send the data that the socket has, as far as the
 * guest's window and the flow's quantum allow
 *
 * Return: true if the flow has more to send, for which it only needs its next
 *	   turn or space on the link
 */
bool tcp_to_guest_data(struct tcp *t, struct tcp_flow *f, uint64_t now)
{
	struct tcp_conn *c = &f->conn;
	uint32_t budget = sched_quantum(t->sched, t->tap->queue->pending,
					c->mss, now), usable;
	ssize_t n;

	if (!resend_holes(t, f))
		return true;
	while (f->readable && budget && !conn_all_sent(c)) {
		usable = MIN(usable_window(t, f, now), budget);
		if (!usable) {
			conn_window_closed(c, now);
			return false;
		}
		n = send_peeked(t, f, usable, now);
		if (n == -ENOBUFS)
			return true;
		if (n < 0) {
			conn_peer_error(c);
			return false;
		}
		budget -= (uint32_t)n;
	}
	if (!send_fin(t, f, now))
		return true;
	return f->readable && !conn_all_sent(c);
}
