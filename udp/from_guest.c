// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * from_guest.c - Runs of the guest's datagrams leave, straight from the link's
 * frames.
 * Called by udp.c; calls sockets.
 *
 * A row of datagrams of one size, of which the last may be shorter, is one
 * message, which the kernel cuts up as late as it can (UDP_SEGMENT in udp(7));
 * all messages of a batch go with one sendmmsg().
 */
/* syscalls: start: close getsockopt socket; run: sendmmsg */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "udp/flow.h"

/* What the kernel cuts up at most: 64 pieces before Linux 6.9, and as many
 * bytes as an IPv4 packet can have. */
#define GSO_SEGMENTS_MAX	64
#define GSO_BYTES_MAX	(IP_LEN_MAX - IP4_HLEN - UDP_HLEN)

/**
 * struct udp_path - What a socket that serves many flows has to be told for one
 * @to:		the other end
 * @tolen:	bytes of it, 0: the socket is connected
 * @len:	bytes of @control, 0: none
 * @control:	source address, TTL and type of service
 */
struct udp_path {
	union sockaddr_any to;
	socklen_t tolen;
	size_t len;
	union sock_control control;
};

/**
 * struct tx_burst - Messages for one sendmmsg()
 * @msg, @nmsg:	the messages
 * @datagrams:	how many each is
 * @iov, @niov:	pieces of those that are more than one
 * @control, @ncontrol: control messages of those
 */
struct tx_burst {
	struct mmsghdr msg[LINK_BURST];
	uint8_t datagrams[LINK_BURST];
	struct iovec iov[LINK_BURST];
	union sock_control control[LINK_BURST / 2];
	unsigned int nmsg, niov, ncontrol;
};

/**
 * udp_can_segment() - Whether this kernel knows UDP_SEGMENT (since 4.18)
 *
 * One that does not would ignore the control message, and send what was meant
 * to be many datagrams as one.
 */
bool udp_can_segment(void)
{
	socklen_t len = sizeof(int);
	int fd, size;
	bool can;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd < 0)
		fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd < 0)
		return false;
	can = !getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, &len);
	close(fd);
	return can;
}

/**
 * set_path() - Where datagrams of a forwarded port's flow go, from, and how
 * @p:		filled
 * @uf:		flow
 *
 * An IPv6 socket that serves IPv4 too takes the address and the control
 * messages of either family, and no interface is named but for link-local
 * addresses: what came in over loopback for an address of another interface
 * has to go back the same way.
 */
static void set_path(struct udp_path *p, const struct udp_flow *uf)
{
	struct sock_tx_info info = {
		.local = uf->local, .ifindex = uf->ifindex,
		.ttl = uf->ttl, .tos = uf->tos,
	};

	p->tolen = sockaddr_set(&p->to, &uf->peer, uf->flow.key.rport,
				uf->ifindex);
	p->len = sock_cmsg_put_info(&p->control, addr_is_v4(&uf->peer), &info);
}

/* set_udp_df() - Whether the host's kernel, and routers, may fragment */
static void set_udp_df(int fd, bool v4, bool df)
{
	sock_set_df(fd, v4, df ? SOCK_DF_PROBE : SOCK_DF_DONT);
}

/* outgoing_ttl() - RFC 1122 3.2.1.7: no host sends zero; it gets no farther */
static uint8_t outgoing_ttl(const struct pkt *pkt)
{
	return MAX(pkt->ttl, 1);
}

/* mark_flow_socket() - Have a flow's retried socket write what the guest wrote */
static void mark_flow_socket(const struct udp_flow *uf, const struct pkt *pkt)
{
	bool v4 = addr_is_v4(&uf->flow.key.remote);
	int fd = uf->flow.fd[SIDE_HOST];

	if (uf->ttl != outgoing_ttl(pkt))
		sock_set_ip(fd, v4, SOCK_IP_TTL, outgoing_ttl(pkt));
	if (uf->tos != pkt->tos)
		sock_set_ip(fd, v4, SOCK_IP_TOS, pkt->tos);
	if (!uf->ttl || uf->df != pkt->df)
		set_udp_df(fd, v4, pkt->df);
}

/* mark_listener() - Of what a flow writes, that which no message can say */
static void mark_listener(const struct udp *u, const struct listener *l,
			  bool v4, bool df)
{
	struct udp_listening *state = udp_listening(u, l);
	uint8_t *is = v4 ? &state->df4 : &state->df6;
	enum udp_df want = df ? UDP_DF : UDP_NO_DF;

	if (*is != want)
		set_udp_df(l->fd, v4, df);
	*is = want;
}

/**
 * mark_sender() - Carry TTL, type of service and DF of the guest's datagrams out
 * @u:		for its listeners
 * @uf:		flow; remembers them
 * @pkt:	datagram
 */
static void mark_sender(const struct udp *u, struct udp_flow *uf,
		 const struct pkt *pkt)
{
	if (uf->listener == UDP_NO_LISTENER)
		mark_flow_socket(uf, pkt);
	else
		mark_listener(u, fwd_listener_from_token(u->fwd, uf->listener),
			      addr_is_v4(&uf->peer), pkt->df);
	uf->ttl = outgoing_ttl(pkt);
	uf->tos = pkt->tos;
	uf->df = pkt->df;
}

/* count_alike() - How many of a batch have the TTL, type of service and DF of @batch */
static unsigned int count_alike(const struct pkt *batch, unsigned int n)
{
	unsigned int i = 1;

	while (i < n && batch[i].ttl == batch->ttl && batch[i].tos == batch->tos &&
	       batch[i].df == batch->df)
		i++;
	return i;
}

/**
 * count_segments() - How many datagrams can leave as one message
 * @batch:	datagrams
 * @n:		how many
 * @longest:	that may be a segment, bytes
 *
 * Return: 1 or more: all of one length, but for the last, which may be shorter
 */
static unsigned int count_segments(const struct pkt *batch, unsigned int n, uint32_t longest)
{
	uint32_t total = batch->len;
	unsigned int i = 1;

	if (!batch->len || batch->len > longest)
		return 1;
	for (; i < MIN(n, GSO_SEGMENTS_MAX) && batch[i - 1].len == batch->len; i++) {
		total += batch[i].len;
		if (!batch[i].len || batch[i].len > batch->len ||
		    total > GSO_BYTES_MAX)
			break;
	}
	return i;
}

/**
 * gather_pieces() - Put the pieces of several datagrams behind each other
 * @b:		where to
 * @batch:	datagrams
 * @n:		how many there may be
 *
 * Return: how many there was room for
 */
static unsigned int gather_pieces(struct tx_burst *b, const struct pkt *batch,
			   unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n && b->niov + batch[i].iovcnt <= LINK_BURST; i++) {
		memcpy(b->iov + b->niov, batch[i].iov,
		       batch[i].iovcnt * sizeof(*b->iov));
		b->niov += batch[i].iovcnt;
	}
	return i;
}

/**
 * add_gso_batch() - Have a message carry several datagrams
 * @b:		burst; @m is in it
 * @m:		message, with the control messages of @path
 * @path:	of the flow
 * @batch:	datagrams, see count_segments()
 * @n:		how many, 2 or more
 *
 * Return: how many it carries, 1: as it is if there is no room for more
 */
static unsigned int add_gso_batch(struct tx_burst *b, struct msghdr *m,
			    const struct udp_path *path, const struct pkt *batch,
			    unsigned int n)
{
	unsigned int first = b->niov;
	uint16_t size = (uint16_t)batch->len;
	union sock_control *c;

	n = gather_pieces(b, batch, n);
	if (n < 2) {
		b->niov = first;
		return 1;
	}
	c = &b->control[b->ncontrol++];
	memcpy(c, &path->control, path->len);
	m->msg_iov = b->iov + first;
	m->msg_iovlen = b->niov - first;
	m->msg_control = c;
	m->msg_controllen = sock_cmsg_put(c, path->len, IPPROTO_UDP,
					  UDP_SEGMENT, &size, sizeof(size));
	return n;
}

/**
 * add_message() - One more message
 * @b:		burst
 * @uf:		flow
 * @path:	of the flow
 * @batch:	datagrams that are left
 * @n:		how many, 1 or more
 *
 * Return: how many of them the message is
 */
static unsigned int add_message(struct tx_burst *b, const struct udp_flow *uf,
			struct udp_path *path, const struct pkt *batch,
			unsigned int n)
{
	struct msghdr *m = &b->msg[b->nmsg].msg_hdr;

	memset(m, 0, sizeof(*m));
	m->msg_iov = batch->iov;
	m->msg_iovlen = batch->iovcnt;
	if (path->tolen) {
		m->msg_name = &path->to;
		m->msg_namelen = path->tolen;
		m->msg_control = &path->control;
		m->msg_controllen = path->len;
	}
	n = count_segments(batch, n, uf->segment);
	if (n > 1)
		n = add_gso_batch(b, m, path, batch, n);
	b->datagrams[b->nmsg++] = (uint8_t)n;
	return n;
}

/**
 * send_burst() - Send datagrams that are alike, as many as the socket takes
 * @fd:		socket
 * @uf:		flow
 * @path:	of the flow
 * @batch:	datagrams
 * @n:		how many
 * @refused_len:	set to the length of the segments if a row was refused
 *
 * Return: number sent, 1 or more, or -errno
 */
static int send_burst(int fd, const struct udp_flow *uf, struct udp_path *path,
		      const struct pkt *batch, unsigned int n, uint32_t *refused_len)
{
	struct tx_burst b;
	unsigned int i;
	int rc, sent;

	b.nmsg = b.niov = b.ncontrol = 0;
	for (i = 0; i < n; )
		i += add_message(&b, uf, path, batch + i, n - i);

	do
		rc = sendmmsg(fd, b.msg, b.nmsg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (rc < 0 && errno == EINTR);

	*refused_len = rc < 0 && b.datagrams[0] > 1 ? batch->len : 0;
	if (rc < 0)
		return -errno;
	for (sent = 0; rc > 0; )
		sent += b.datagrams[--rc];
	return sent;
}

/**
 * shrink_segment() - A row was refused: learn which to try
 * @uf:		flow
 * @error:	why, positive
 * @len:	bytes of its segments
 *
 * Return: whether it is worth to try again, with less
 */
static bool shrink_segment(struct udp_flow *uf, int error, uint32_t len)
{
	switch (error) {
	case EIO:		/* no checksum offload, or IPsec */
	case ENOPROTOOPT:
	case EOPNOTSUPP:
		uf->segment = 0;
		return true;
	case EINVAL:		/* beyond the MTU: single ones are fragmented */
	case EMSGSIZE:
		uf->segment = len - 1;
		return true;
	default:
		return false;
	}
}

/**
 * udp_send_batch() - Send the first datagrams of a batch, as many as the socket takes
 * @u:		for its listeners
 * @uf:		flow
 * @batch:	packets of that flow
 * @n:		how many, at most LINK_BURST
 *
 * Return: number sent, 1 or more, or -errno: of the first one, or of an
 *	   earlier one if an error was pending
 */
int udp_send_batch(const struct udp *u, struct udp_flow *uf, const struct pkt *batch,
	     unsigned int n)
{
	struct udp_path path = { .tolen = 0 };
	int rc, fd = udp_flow_fd(u, uf);
	bool retried = false;
	uint32_t refused_len;

	n = count_alike(batch, n);
	mark_sender(u, uf, batch);
	if (uf->listener != UDP_NO_LISTENER)
		set_path(&path, uf);
	for (;;) {
		rc = send_burst(fd, uf, &path, batch, n, &refused_len);
		if (!refused_len || rc == -EAGAIN)
			return rc;
		if (retried && !shrink_segment(uf, -rc, refused_len))
			return rc;
		retried = !retried;
		if (retried)	/* it may have been pending */
			sock_clear_error(fd);
	}
}
