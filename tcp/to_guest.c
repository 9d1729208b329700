// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * to_guest.c - The guest's side of a TCP flow: segments are built in the memory
 * that the link sends them from, with payload peeked straight into it.
 */
#include <errno.h>

#include "iov.h"
#include "tcp/flow.h"
#include "tcp/seq.h"

/* tcp_mss() - Longest payload that a frame to or from the guest takes */
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

/* Header of a segment of an established flow; @flags besides ACK. */
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

/* A segment has carried the current ACK: none is pending. */
static void note_ack_sent(struct tcp_flow *f, bool with_data)
{
	conn_ack_sent(&f->conn, with_data);
	list_remove(&f->flow.node);
}

/**
 * tcp_to_guest_flags() - Send a segment without data
 * @flags:	SEG_*, ACK is added
 *
 * Return: false: no space on the link
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

/* tcp_to_guest_rst() - Reset the guest's end (T11) */
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
 * Return: false: no space on the link; the timer sends it again
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
		h.wscale = c->rcv_wscale ? (int8_t)c->rcv_wscale : -1;
		h.sack_ok = c->sack_ok;
	}
	fill_ip_hdr(&ip, &f->flow.key);
	return !tap_ip_send(t->tap, &ip, seg, tcp_hdr_put(&h, seg));
}

/**
 * tcp_to_guest_refuse() - Answer a segment that belongs to no connection by RST
 * @pkt:	packet of the guest
 * @seg:	its segment; a RST gets no answer (RFC 9293 3.10.7.1)
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
 * struct seg_batch - Segments that are made from one peek
 * @ip:		Ethernet and IP header of all of them
 * @hdr:	TCP header of the next one
 * @hlen:	bytes of the headers of one
 * @unit:	bytes of payload of each frame but the last
 * @mss:	bytes of payload of each segment in a GSO frame
 * @slot:	space for them
 * @data, @ndata: the pieces of it that payload is read into
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

/* Have payload read into a slot; false: there are too many pieces. */
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
 * Payload of the longest frame: one segment, or where the link takes GSO frames
 * as many full segments as go in one.
 */
static uint32_t frame_payload(const struct tcp *t, const struct seg_batch *b)
{
	uint32_t most = tap_gso_max(t->tap);

	if (most < b->hlen + 2 * b->mss)
		return b->mss;
	return (most - b->hlen) / b->mss * b->mss;
}

/*
 * Ask for slots for @len bytes of payload. Where there is no space for a long
 * GSO frame, a shorter one is better than none.
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
 * Return: bytes of payload that there is space for.
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

/* Make a frame of a slot with @len bytes of payload. */
static void commit_frame(struct tcp *t, struct seg_batch *b,
			 const struct link_slot *slot, uint32_t len)
{
	tcp_hdr_put(&b->hdr, (uint8_t *)slot->iov->iov_base + b->ip.len);
	tap_l4_commit(t->tap, slot, &b->ip, TCP_HLEN + len,
		      len > b->mss ? b->mss : 0);
	b->hdr.seq += len;
}

/*
 * Send the segments that were filled.
 * @seq:	sequence number of the first byte
 * @len:	bytes of payload; the last segment has PSH
 * @fin:	the last segment has FIN, too
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

/* Send one segment, or our FIN, again. Return: false: no space on the link. */
static bool resend_hole(struct tcp *t, struct tcp_flow *f,
			const struct tcp_range *hole)
{
	uint32_t len = hole->end - hole->from;
	struct seg_batch b;
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
 * Send again what the guest is missing (RFC 6675).
 * Return: false: there was no space on the link for all of it.
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
 * Send @len bytes that were peeked into @space bytes of segments. If @len is
 * less, the socket has no more; if the peer's FIN has come, FIN is next, and
 * goes with the data if the window has space for it.
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
 * @len:	bytes, at most what the window takes
 *
 * Return: bytes sent; 0: none, @readable says if there might be more; -ENOBUFS:
 * no space on the link; another -errno: the socket failed.
 */
static ssize_t send_peeked(struct tcp *t, struct tcp_flow *f, uint32_t len,
			   uint64_t now)
{
	uint32_t space;
	struct seg_batch b;
	ssize_t n;

	space = reserve_segments(t, f, &b, len);
	if (!space)
		return -ENOBUFS;

	n = tcp_sock_peek(t, f, b.data, b.ndata);
	if (n > 0) {
		commit_peeked(t, f, &b, (uint32_t)n, space, now);
		return n;
	}

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	f->readable = n < 0 && errno == EINTR;
	if (!n && !f->sock_failed)	/* EOF after an error is not FIN */
		conn_eof(&f->conn);
	return 0;
}

/*
 * Send FIN once all data was sent (T10). Return: false: no space on the link.
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

/**
 * tcp_to_guest_data() - Send what the socket has and the guest's window takes
 *
 * Return: whether there is more to send that waits for nothing but the flow's
 * turn, or for space on the link
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
		usable = MIN(conn_usable_window(c), budget);
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
