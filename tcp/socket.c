// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * socket.c - The host's side of a TCP flow: data into the socket, data peeked
 * from it, and what it has room for.
 * Called by tcp.c and output.c; calls the connection and libc.
 */
/* syscalls: close getsockopt ioctl recvfrom recvmsg sendmsg setsockopt */
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

/* Scratch that a peek without SO_PEEK_OFF reads over what was sent before. */
#define SKIP_SIZE	(64 * 1024)
#define SKIP_IOV	(TCP_WND_MAX / SKIP_SIZE + 1)

/**
 * send_buffer_space() - Free and total bytes of a socket's send buffer
 * @fd:		socket
 * @size:	out: bytes in all
 *
 * What counts is what the kernel counts before it takes more: memory, not
 * payload (sk_stream_memory_free() in include/net/sock.h).
 *
 * Return: bytes
 */
static uint32_t send_buffer_space(int fd, uint32_t *size)
{
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);
	int used = 0, total = 0;

	if (!getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len)) {
		used = (int)mem[SK_MEMINFO_WMEM_QUEUED];
		total = (int)mem[SK_MEMINFO_SNDBUF];
	} else {			/* before Linux 4.12 */
		len = sizeof(total);
		getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &total, &len);
		ioctl(fd, SIOCOUTQ, &used);
	}
	*size = (uint32_t)MAX(total, 0);
	return (uint32_t)MAX(total - used, 0);
}

/**
 * tcp_sock_space() - Tell the connection what the socket can new (T6)
 * @t:		TCP
 * @f:		flow
 * @now:	ms
 *
 * It is asked only if there might be less than the guest could use.
 *
 * Where that is little, EPOLLOUT has to come when it is more. It does so only
 * once the kernel has been asked in vain, and registering again asks.
 */
void tcp_sock_space(struct tcp *t, struct tcp_flow *f, uint64_t now)
{
	uint32_t limit = tcp_shared(t, now) ? TCP_WND_SHARED : TCP_WND_OURS;
	uint32_t size = 0;

	if (f->space < limit || f->conn.rcv_queued)
		f->space = send_buffer_space(f->flow.fd[SIDE_HOST], &size);
	conn_set_space(&f->conn, f->conn.rcv_queued ? 0 : f->space, limit);
	if (f->space < size / 3 && !f->want_epollout) {
		f->want_epollout = true;
		flow_rewatch(t->flows, &f->flow, SIDE_HOST, TCP_EVENTS);
	}
}

/* release_rxring() - Give up the ring, if nothing is in it */
static void release_rxring(struct tcp *t, struct tcp_flow *f)
{
	if (f->rxring.buf && !f->conn.rcv_queued && !f->conn.ooo.n)
		rxring_free(&f->rxring, &t->rxring_total);
}

/**
 * store_payload() - Keep the rest of a run until the socket takes it
 * @t:		TCP, with the run
 * @f:		flow
 * @seq:	sequence number of the run's first byte
 * @skip:	bytes of the run that the socket took
 *
 * Return: false: no memory
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

/**
 * write_socket() - Hand bytes to the socket
 * @f:		flow; its connection is told if the socket failed
 * @iov:	pieces of them
 * @cnt:	how many
 * @more:	further ones follow at once (T13)
 *
 * Return: bytes taken
 */
static uint32_t write_socket(struct tcp_flow *f, struct iovec *iov, unsigned int cnt,
		    bool more)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = cnt };
	int on = 1, flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0);
	ssize_t n;

	/* The first bytes go at once anyway: no call for a lone request. */
	if (f->written && !f->nodelay)
		f->nodelay = !setsockopt(f->flow.fd[SIDE_HOST], IPPROTO_TCP, TCP_NODELAY,
					 &on, sizeof(on));
	do
		n = sendmsg(f->flow.fd[SIDE_HOST], &msg, flags);
	while (n < 0 && errno == EINTR);
	f->written = true;
	if (n > 0)	/* with what the kernel adds for its own */
		f->space -= MIN(f->space, (uint32_t)n + (uint32_t)n / 4);

	if (n < 0 && errno != EAGAIN)
		f->sock_failed = true;
	return n < 0 ? 0 : (uint32_t)n;
}

/**
 * write_backlog() - Hand what is held, and in order, to the socket
 * @f:		flow
 * @beyond:	bytes of conn.rcv_queued that are not held
 * @now:	ms
 *
 * Return: whether nothing is left
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
 * tcp_sock_add_payload() - One more piece of a run for the socket
 * @t:		TCP, with the run
 * @f:		flow
 * @pkt:	packet
 * @take:	which part of its payload
 * @now:	ms
 */
void tcp_sock_add_payload(struct tcp *t, struct tcp_flow *f, const struct pkt *pkt,
		  struct new_payload new, uint64_t now)
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

/**
 * tcp_sock_store_ooo() - Keep what came ahead of a gap, if there is memory
 * @t:		TCP
 * @f:		flow
 * @pkt:	packet
 * @take:	which part of its payload
 */
void tcp_sock_store_ooo(struct tcp *t, struct tcp_flow *f, const struct pkt *pkt,
		   struct new_payload new)
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
 * tcp_sock_deliver() - Hand the run to the socket, in one call
 * @t:		TCP, with the run
 * @f:		flow
 * @later:	bytes of conn.rcv_queued that are not in the run yet
 * @now:	ms
 *
 * The guest was told that there is room for all of it. If the socket takes
 * less all the same (it counts memory, small segments cost more than their
 * payload), the rest is held here, and acknowledged when the socket has it:
 * else the guest would have to find out by a timeout.
 *
 * Return: false: there was no memory for that, all that waits is forgotten
 */
bool tcp_sock_deliver(struct tcp *t, struct tcp_flow *f, uint32_t later,
		      uint64_t now)
{
	struct tcp_conn *c = &f->conn;
	uint32_t seq = c->rcv_nxt + c->rcv_queued - later - t->payload_len, n = 0;
	bool kept = true;

	if (!t->npayload)
		return true;
	if (write_backlog(f, t->payload_len + later, now))
		n = write_socket(f, t->payload, t->npayload, later);
	if (n < t->payload_len)
		kept = store_payload(t, f, seq, n);
	t->npayload = 0;
	t->payload_len = 0;

	conn_delivered(c, n, now);
	if (!kept)
		conn_drop_backlog(c);
	else if (n)	/* may have filled a gap */
		write_backlog(f, later, now);
	if (!kept || c->rcv_queued > later)
		f->want_epollout = true;	/* EPOLLOUT follows a short write */
	release_rxring(t, f);
	return kept;
}

/**
 * tcp_sock_writable() - EPOLLOUT came: the socket has room again
 * @t:		TCP
 * @f:		flow
 * @now:	ms
 */
void tcp_sock_writable(struct tcp *t, struct tcp_flow *f, uint64_t now)
{
	f->want_epollout = !write_backlog(f, 0, now);
	release_rxring(t, f);
	if (f->conn.phase == CONN_OPEN && !f->conn.fin_rcvd)
		tcp_sock_space(t, f, now);
}

/**
 * tcp_sock_discard() - The guest has it: remove it from the socket (T7)
 * @f:		flow
 *
 * MSG_TRUNC on a TCP socket throws away instead of copying (tcp(7)). At once:
 * a few bytes left can hold a buffer of 64 KiB, and keep the window shut.
 */
void tcp_sock_discard(struct tcp_flow *f)
{
	uint32_t left = conn_take_discard(&f->conn);
	ssize_t n;

	while (left) {
		n = recv(f->flow.fd[SIDE_HOST], NULL, left,
			 MSG_TRUNC | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		left -= (uint32_t)n;
	}
}

/**
 * set_peek_off() - Say where peeks start; the kernel moves it on with each
 * @t:		TCP
 * @f:		flow
 * @off:	bytes after @conn.snd_una
 *
 * While nothing is in flight a plain peek will do, with no call.
 *
 * Return: false: the kernel can't (before Linux 6.9)
 */
static bool set_peek_off(struct tcp *t, struct tcp_flow *f, uint32_t off)
{
	int v = (int)off;

	if (!off && !f->peek_off_set)
		return true;
	if (t->no_peek_off)
		return false;
	if (setsockopt(f->flow.fd[SIDE_HOST], SOL_SOCKET, SO_PEEK_OFF, &v, sizeof(v))) {
		t->no_peek_off = true;
		return false;
	}
	f->peek_off_set = true;
	return true;
}

/**
 * peek_over() - Peek without SO_PEEK_OFF: read over what was sent before
 * @f:		flow
 * @off:	bytes to read over
 * @iov:	pieces of room for what follows
 * @cnt:	how many
 *
 * It stops at urgent data, like any read that has something already: what comes
 * after that, be it FIN, is found once the guest has all before it.
 *
 * Return: bytes after @off; 0: the peer's FIN; -1 with errno: EAGAIN if there
 *	   is nothing
 */
static ssize_t peek_over(struct tcp_flow *f, uint32_t off, struct iovec *iov,
			 unsigned int cnt)
{
	static uint8_t skip[SKIP_SIZE];
	struct iovec all[SKIP_IOV + SEGS_PER_PEEK];
	struct msghdr msg = { .msg_iov = all };
	uint32_t left;
	ssize_t n;

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

/**
 * tcp_sock_peek() - Peek at data for the guest, from @conn.snd_nxt on
 * @t:		TCP
 * @f:		flow
 * @iov:	pieces of room
 * @cnt:	how many
 *
 * Return: bytes; 0: the peer's FIN; -1 with errno: EAGAIN if there is nothing
 */
ssize_t tcp_sock_peek(struct tcp *t, struct tcp_flow *f, struct iovec *iov,
		      unsigned int cnt)
{
	uint32_t off = f->conn.snd_nxt - f->conn.snd_una;
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = cnt };

	if (!f->peek_off_set || f->peek_stale) {
		if (!set_peek_off(t, f, off))
			return peek_over(f, off, iov, cnt);
		f->peek_stale = false;
	}
	return recvmsg(f->flow.fd[SIDE_HOST], &msg, MSG_PEEK | MSG_DONTWAIT);
}

/**
 * tcp_sock_peek_at() - Peek at data for the guest that was sent before
 * @t:		TCP
 * @f:		flow
 * @seq:	sequence number, from @conn.snd_una on
 * @iov:	room
 *
 * Return: bytes; -1 with errno
 */
ssize_t tcp_sock_peek_at(struct tcp *t, struct tcp_flow *f, uint32_t seq,
			 struct iovec *iov)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1 };
	uint32_t off = seq - f->conn.snd_una;

	f->peek_stale = true;
	if (!set_peek_off(t, f, off))
		return peek_over(f, off, iov, 1);
	return recvmsg(f->flow.fd[SIDE_HOST], &msg, MSG_PEEK | MSG_DONTWAIT);
}

/**
 * tcp_sock_reset() - Close a socket with RST to the peer (T11)
 * @fd:		socket
 */
void tcp_sock_reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

/**
 * tcp_sock_close() - Close the flow's socket; harmless if it is
 * @t:		TCP
 * @f:		flow
 * @reset:	with RST
 */
void tcp_sock_close(struct tcp *t, struct tcp_flow *f, bool reset)
{
	if (f->flow.fd[SIDE_HOST] >= 0 && reset)
		tcp_sock_reset(f->flow.fd[SIDE_HOST]);
	else if (f->flow.fd[SIDE_HOST] >= 0)
		close(f->flow.fd[SIDE_HOST]);
	f->flow.fd[SIDE_HOST] = -1;
	rxring_free(&f->rxring, &t->rxring_total);
}
