// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * socket.c - The host's side of a TCP flow. Payload of the guest is written to
 * the socket. Payload for the guest is peeked from the socket, and removed from
 * it later. The free space of the socket determines the window that the guest
 * is offered.
 */
/* syscalls: close getsockopt ioctl recvmsg sendmsg setsockopt */
#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iov.h"
#include "tcp/flow.h"
#include "tcp/seq.h"

/* SKIP_SIZE: bytes of the scratch buffer. A peek without SO_PEEK_OFF also reads
 * the bytes that were sent before; they go to the scratch buffer. SKIP_IOV:
 * maximum number of pieces for these bytes. */
#define SKIP_SIZE	(64 * 1024)
#define SKIP_IOV	(TCP_WND_MAX / SKIP_SIZE + 1)

/* Limits of the bytes that the guest has acknowledged and that stay in the
 * socket: how many, of how many ACKs, and for how many milliseconds. */
#define KEPT_BYTES_MAX	4096
#define KEPT_ACKS_MAX	8
#define DISCARD_MS	100

/*
 * Return the free bytes of a socket's send buffer, and set *size to the size of
 * the buffer. This function counts memory and not payload, as the kernel does
 * when it decides whether to take more (sk_stream_memory_free() in
 * include/net/sock.h).
 */
static uint32_t send_buffer_space(int fd, uint32_t *size)
{
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);
	int used = 0, total = 0;

	if (!getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len)) {
		used = (int)mem[SK_MEMINFO_WMEM_QUEUED];
		total = (int)mem[SK_MEMINFO_SNDBUF];
	} else {	/* Linux before 4.12 has no SO_MEMINFO */
		len = sizeof(total);
		getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &total, &len);
		ioctl(fd, SIOCOUTQ, &used);
	}
	*size = (uint32_t)MAX(total, 0);
	return (uint32_t)MAX(total - used, 0);
}

/**
 * tcp_sock_space() - Ask the socket for its free space, and set the window from
 * it (T6)
 *
 * The socket is asked only if it might take less than the largest window. If
 * the socket has little space, passt waits for EPOLLOUT. The kernel reports
 * EPOLLOUT only after a poll that found too little space; EPOLL_CTL_MOD makes
 * such a poll.
 */
void tcp_sock_space(struct tcp *t, struct tcp_flow *f, uint64_t now)
{
	uint32_t limit = sched_low_latency(t->sched, now) ?
			 TCP_WND_LOW : TCP_WND_OURS;
	uint32_t size = 0;

	if (f->space < limit || f->conn.rcv_queued)
		f->space = send_buffer_space(f->flow.fd[SIDE_HOST], &size);
	conn_set_space(&f->conn, f->conn.rcv_queued ? 0 : f->space, limit);
	if (f->space < size / 3 && !f->want_epollout) {
		f->want_epollout = true;
		flow_rewatch(t->flows, &f->flow, SIDE_HOST, TCP_EVENTS);
	}
}

/* Free the receive ring if it is empty. */
static void release_rxring(struct tcp *t, struct tcp_flow *f)
{
	if (f->rxring.buf && !f->conn.rcv_queued && !f->conn.ooo.n)
		rxring_free(&f->rxring, &t->rxring_total);
}

/*
 * Store in the receive ring the bytes of the batch's payload that the socket
 * did not take: all bytes except the first @skip. @seq is the sequence number
 * of the first byte of the payload.
 * Return: false if there is no memory.
 */
static bool store_payload(struct tcp *t, struct tcp_flow *f, uint32_t seq,
			  uint32_t skip)
{
	struct iov_walk w = { t->payload, t->npayload, skip, SIZE_MAX };
	uint32_t end = seq + t->payload_len;
	struct iovec piece;

	if (!rxring_grow(&f->rxring, &t->rxring_total, f->conn.rcv_nxt, end))
		return false;

	for (seq += skip; iov_next(&w, &piece); seq += (uint32_t)piece.iov_len)
		rxring_write(&f->rxring, seq, piece.iov_base,
			     (uint32_t)piece.iov_len);
	t->count[TCP_BACKLOGGED]++;
	return true;
}

/*
 * Write to the socket. @more: the next write will follow immediately (T13).
 * Return: number of bytes that the socket took.
 */
static uint32_t write_socket(struct tcp_flow *f, struct iovec *iov,
			     unsigned int cnt, bool more)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = cnt };
	int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0);
	int fd = f->flow.fd[SIDE_HOST], on = 1;
	ssize_t n;

	/* The kernel sends the first write at once even without TCP_NODELAY. So
	 * this setsockopt() is saved if a flow only writes one request. */
	if (f->written && !f->nodelay)
		f->nodelay = !setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
					 sizeof(on));
	do
		n = sendmsg(fd, &msg, flags);
	while (n < 0 && errno == EINTR);
	f->written = true;
	if (n > 0)	/* the kernel needs about a quarter more memory */
		f->space -= MIN(f->space, (uint32_t)n + (uint32_t)n / 4);

	if (n < 0 && errno != EAGAIN)
		f->sock_failed = true;
	return n < 0 ? 0 : (uint32_t)n;
}

/*
 * Write the backlog from the receive ring to the socket. The backlog is all
 * bytes of conn.rcv_queued except the last @beyond, which are not in the ring.
 * Return: whether the socket took the whole backlog.
 */
static bool write_backlog(struct tcp_flow *f, uint32_t beyond, uint64_t now)
{
	struct tcp_conn *c = &f->conn;
	struct iovec iov[2];
	unsigned int cnt;
	uint32_t len, n;

	while (c->rcv_queued > beyond) {
		len = c->rcv_queued - beyond;
		cnt = rxring_read(&f->rxring, c->rcv_nxt, len, iov);
		n = write_socket(f, iov, cnt, false);
		conn_delivered(c, n, now);
		if (n < len)
			return false;
	}
	return true;
}

/**
 * tcp_sock_add_payload() - Add the new payload of a segment to the batch that
 * tcp_sock_deliver() writes to the socket
 * @pkt:	packet of the segment; its bytes are not copied
 *
 * If the batch has no space for all pieces, it is written first.
 */
void tcp_sock_add_payload(struct tcp *t, struct tcp_flow *f,
			  const struct pkt *pkt, struct new_payload new,
			  uint64_t now)
{
	struct iov_walk w = { pkt->iov, pkt->iovcnt, new.skip, new.len };
	struct iovec piece;
	uint32_t left;

	for (left = new.len; iov_next(&w, &piece); left = (uint32_t)w.left) {
		if (t->npayload == TCP_PAYLOAD_IOV &&
		    !tcp_sock_deliver(t, f, left, now))
			return;
		t->payload[t->npayload++] = piece;
		t->payload_len += (uint32_t)piece.iov_len;
	}
}

/* tcp_sock_store_ooo() - Store out-of-order payload, if there is memory */
void tcp_sock_store_ooo(struct tcp *t, struct tcp_flow *f,
			const struct pkt *pkt, struct new_payload new)
{
	struct iov_walk w = { pkt->iov, pkt->iovcnt, new.skip, new.len };
	uint32_t seq = new.seq;
	struct iovec piece;

	t->count[TCP_OUT_OF_ORDER]++;
	if (!rxring_grow(&f->rxring, &t->rxring_total, f->conn.rcv_nxt,
			 seq + new.len))
		return;

	for (; iov_next(&w, &piece); seq += (uint32_t)piece.iov_len)
		rxring_write(&f->rxring, seq, piece.iov_base,
			     (uint32_t)piece.iov_len);
	conn_ooo_stored(&f->conn, new.seq, new.len);
}

/**
 * tcp_sock_deliver() - Write the payload of the batch to the socket, in one
 * system call
 * @later:	number of bytes at the end of conn.rcv_queued that are not part
 *		of t->payload yet
 *
 * The guest sends what its window allows, but the socket may take less: the
 * socket counts memory, and small segments use more memory than their payload.
 * The bytes that the socket does not take go into the receive ring, and are
 * acknowledged when the socket has taken them. If they were dropped, the guest
 * would find out only by a timeout.
 *
 * Return: false if there was no memory for these bytes, and the backlog was
 *	   dropped
 */
bool tcp_sock_deliver(struct tcp *t, struct tcp_flow *f, uint32_t later,
		      uint64_t now)
{
	struct tcp_conn *c = &f->conn;
	uint32_t seq = c->rcv_nxt + c->rcv_queued - later - t->payload_len;
	uint32_t n = 0;
	bool stored = true;

	f->just_wrote = t->npayload;
	if (!t->npayload)
		return true;
	if (write_backlog(f, t->payload_len + later, now))
		n = write_socket(f, t->payload, t->npayload, later);
	if (n < t->payload_len)
		stored = store_payload(t, f, seq, n);
	t->npayload = 0;
	t->payload_len = 0;

	conn_delivered(c, n, now);
	if (!stored)
		conn_drop_backlog(c);
	else if (n)	/* these bytes may have filled a gap */
		write_backlog(f, later, now);
	if (!stored || c->rcv_queued > later)
		f->want_epollout = true;	/* EPOLLOUT comes after a short
						 * write */
	release_rxring(t, f);
	return stored;
}

/* tcp_sock_writable() - Write the backlog, because EPOLLOUT has reported that
 * the socket has space again */
void tcp_sock_writable(struct tcp *t, struct tcp_flow *f, uint64_t now)
{
	f->want_epollout = !write_backlog(f, 0, now);
	release_rxring(t, f);
	if (f->conn.phase == CONN_OPEN && !f->conn.fin_rcvd)
		tcp_sock_space(t, f, now);
}

/**
 * tcp_sock_discard() - Remove the acknowledged bytes from the socket (T7)
 *
 * With MSG_TRUNC, recv() on a TCP socket discards bytes instead of copying them
 * (tcp(7)).
 */
void tcp_sock_discard(struct tcp_flow *f)
{
	uint32_t left = conn_take_discard(&f->conn);
	ssize_t n;

	f->discard_due = 0;
	f->acks_kept = 0;
	while (left) {
		n = sock_recv(f->flow.fd[SIDE_HOST], NULL, left,
			 MSG_TRUNC | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		left -= (uint32_t)n;
	}
}

/**
 * tcp_sock_acked() - The guest has acknowledged bytes: remove them from the
 * socket, now or later (T7)
 *
 * If the guest acknowledges each short answer of a peer with its next request,
 * to remove each answer alone would take a system call for each request. A few
 * answers are therefore removed together, after DISCARD_MS at the latest. All
 * other bytes are removed at once:
 * - without a request: when bytes are removed, the kernel acknowledges them to
 *   the peer, which may wait for that; a request acknowledges them, too
 * - longer answers, or if more is in the socket: they could keep a buffer of
 *   64 KiB allocated, and the peer's window closed
 * - after the peer's FIN: if bytes are left, close() sends RST
 * - without SO_PEEK_OFF: the next peek would copy them again
 */
void tcp_sock_acked(const struct tcp *t, struct tcp_flow *f, uint64_t now)
{
	const struct tcp_conn *c = &f->conn;
	bool more = f->readable || c->snd_una != c->snd_max;

	if (!f->just_wrote || more || c->eof || t->no_peek_off ||
	    c->discard >= KEPT_BYTES_MAX || ++f->acks_kept >= KEPT_ACKS_MAX)
		tcp_sock_discard(f);
	else if (!f->discard_due)
		f->discard_due = now + DISCARD_MS;
}

/*
 * Make the next peek start @off bytes after the first byte in the socket; the
 * kernel then advances the offset with each peek. If @off is 0, and no offset
 * was ever set, peeks start there anyway.
 * Return: false if the kernel has no SO_PEEK_OFF for TCP (before Linux 6.9).
 */
static bool set_peek_off(struct tcp *t, struct tcp_flow *f, uint32_t off)
{
	int v = (int)off;

	if (!off && !f->peek_off_set)
		return true;
	if (t->no_peek_off && !f->peek_off_set)
		return false;
	if (setsockopt(f->flow.fd[SIDE_HOST], SOL_SOCKET, SO_PEEK_OFF, &v,
		       sizeof(v))) {
		t->no_peek_off = true;
		return false;
	}
	f->peek_off_set = true;
	return true;
}

/*
 * Peek without SO_PEEK_OFF at the bytes from @seq on: remove those that are
 * acknowledged, read those that were sent after them into a scratch buffer, and
 * the bytes from @seq on into @iov.
 *
 * Like any read, a peek that has read some data stops before urgent data. Bytes
 * from there on, or FIN, can be read only after the guest has acknowledged all
 * bytes before them.
 *
 * Return: number of bytes read into @iov; 0 for the peer's FIN; -1 on error,
 * with errno: EAGAIN if there are no bytes.
 */
static ssize_t peek_over(struct tcp_flow *f, uint32_t seq, struct iovec *iov,
			 unsigned int cnt)
{
	uint32_t off = seq - f->conn.snd_una;
	static uint8_t skip[SKIP_SIZE];
	UNINITIALIZED struct iovec all[SKIP_IOV + PIECES_PER_PEEK];
	struct msghdr msg = { .msg_iov = all };
	uint32_t left;
	ssize_t n;

	tcp_sock_discard(f);
	for (left = off; left; left -= MIN(left, SKIP_SIZE))
		all[msg.msg_iovlen++] = (struct iovec){
			skip, MIN(left, SKIP_SIZE) };
	memcpy(&all[msg.msg_iovlen], iov, cnt * sizeof(*iov));
	msg.msg_iovlen += cnt;

	n = recvmsg(f->flow.fd[SIDE_HOST], &msg, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return n;
	if (n > (ssize_t)off)
		return n - (ssize_t)off;
	if (f->peer_fin && !f->eof_uncertain)
		return 0;
	errno = EAGAIN;
	return -1;
}

/* Return how many bytes the socket has before the byte with this sequence
 * number. */
static uint32_t peek_offset(const struct tcp_conn *c, uint32_t seq)
{
	return seq - c->snd_una + c->discard;
}

/**
 * tcp_sock_peek() - Peek at data for the guest, from conn.snd_nxt on
 * @iov, @cnt:	pieces of space for the data
 *
 * Return: number of bytes; 0 for the peer's FIN; -1 on error, with errno:
 *	   EAGAIN if there is no data
 */
ssize_t tcp_sock_peek(struct tcp *t, struct tcp_flow *f, struct iovec *iov,
		      unsigned int cnt)
{
	uint32_t off = peek_offset(&f->conn, f->conn.snd_nxt);
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = cnt };

	if (!f->peek_off_set || f->peek_stale) {
		if (!set_peek_off(t, f, off))
			return peek_over(f, f->conn.snd_nxt, iov, cnt);
		f->peek_stale = false;
	}
	return recvmsg(f->flow.fd[SIDE_HOST], &msg, MSG_PEEK | MSG_DONTWAIT);
}

/**
 * tcp_sock_peek_at() - Peek again at data that was already sent to the guest
 * @seq:	sequence number of the first byte, not before conn.snd_una
 * @iov:	pieces of space for the data
 *
 * Return: number of bytes; -1 on error, with errno
 */
ssize_t tcp_sock_peek_at(struct tcp *t, struct tcp_flow *f, uint32_t seq,
			 struct iovec *iov, unsigned int cnt)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = cnt };
	uint32_t off = peek_offset(&f->conn, seq);

	f->peek_stale = true;
	if (!set_peek_off(t, f, off))
		return peek_over(f, seq, iov, cnt);
	return recvmsg(f->flow.fd[SIDE_HOST], &msg, MSG_PEEK | MSG_DONTWAIT);
}

/* tcp_sock_reset() - Close a socket with RST to the peer (T11) */
void tcp_sock_reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

/**
 * tcp_sock_close() - Close the flow's socket, if it has one, and free its
 * receive ring
 * @reset:	send RST to the peer
 */
void tcp_sock_close(struct tcp *t, struct tcp_flow *f, bool reset)
{
	int fd = f->flow.fd[SIDE_HOST];

	if (fd >= 0 && reset)
		tcp_sock_reset(fd);
	else if (fd >= 0)
		close(fd);
	f->flow.fd[SIDE_HOST] = -1;
	rxring_free(&f->rxring, &t->rxring_total);
}
