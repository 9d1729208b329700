// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * from_guest.c - The guest's datagrams go to sockets, straight from the link's
 * frames.
 *
 * Consecutive datagrams of one length, the last maybe shorter, make a GSO
 * batch: one message that the kernel cuts as late as it can (UDP_SEGMENT in
 * udp(7)). All messages of a batch take one sendmmsg().
 */
/* syscalls: start: close getsockopt socket; run: sendmmsg */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checksum.h"
#include "iov.h"
#include "udp/flow.h"

/* The longest GSO batch: 64 segments before Linux 6.9, and the payload of one
 * IPv4 packet. */
#define GSO_SEGMENTS_MAX	64
#define GSO_BYTES_MAX		(IP_LEN_MAX - IP4_HLEN - UDP_HLEN)

/**
 * struct udp_path - Destination and control messages of one flow's datagrams,
 * for a socket that many flows share
 * @to:		peer
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
 * @datagrams:	number of datagrams in each
 * @iov, @niov:	pieces of GSO batches
 * @control, @ncontrol: control messages of GSO batches
 */
struct tx_burst {
	struct mmsghdr msg[LINK_BURST];
	uint8_t datagrams[LINK_BURST];
	struct iovec iov[LINK_BURST];
	union sock_control control[LINK_BURST / 2];
	unsigned int nmsg, niov, ncontrol;
};

/**
 * udp_can_segment() - Find out whether this kernel has UDP_SEGMENT (since 4.18)
 *
 * An older kernel ignores the control message, and would send a GSO batch as
 * one datagram.
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
 * set_flow_path() - Fill in destination and control messages for a flow
 * @p:		filled
 * @uf:		flow of a forwarded port
 *
 * An IPv6 socket that serves IPv4 too accepts addresses and control messages of
 * both families. An interface is named for link-local addresses only: what
 * arrived over loopback for an address of another interface has to return the
 * same way.
 */
static void set_flow_path(struct udp_path *p, const struct udp_flow *uf)
{
	struct sock_tx_info info = {
		.local = uf->local, .ifindex = uf->ifindex,
		.ttl = uf->ttl, .tos = uf->tos,
	};

	p->tolen = sockaddr_set(&p->to, &uf->peer, uf->flow.key.pport,
				uf->ifindex);
	p->len = sock_cmsg_put_info(&p->control, addr_is_v4(&uf->peer), &info);
}

/* set_udp_df() - Without DF the host's kernel and IPv4 routers may fragment */
static void set_udp_df(int fd, bool v4, bool df)
{
	sock_set_df(fd, v4, df ? SOCK_DF_PROBE : SOCK_DF_DONT);
}

/* outgoing_ttl() - No host may send TTL 0 (RFC 1122 3.2.1.7); 1 gets as far */
static uint8_t outgoing_ttl(const struct pkt *pkt)
{
	return MAX(pkt->ttl, 1);
}

/* set_flow_options() - Tell a flow's own socket the fields that changed */
static void set_flow_options(const struct udp_flow *uf, const struct pkt *pkt)
{
	bool v4 = addr_is_v4(&uf->flow.key.peer);
	int fd = uf->flow.fd[SIDE_HOST];

	if (uf->ttl != outgoing_ttl(pkt))
		sock_set_ip(fd, v4, SOCK_IP_TTL, outgoing_ttl(pkt));
	if (uf->tos != pkt->tos)
		sock_set_ip(fd, v4, SOCK_IP_TOS, pkt->tos);
	if (!uf->ttl || uf->df != pkt->df)
		set_udp_df(fd, v4, pkt->df);
}

/* set_listener_df() - Set DF on a listener: no control message can say it */
static void set_listener_df(const struct udp *u, const struct listener *l,
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
 * set_header_fields() - Have datagrams leave with TTL, type of service and DF
 * that the guest wrote (U3)
 * @u:		for its listeners
 * @uf:		flow; remembers them
 * @pkt:	first datagram
 */
static void set_header_fields(const struct udp *u, struct udp_flow *uf,
			      const struct pkt *pkt)
{
	const struct listener *l;

	if (uf->listener == UDP_NO_LISTENER) {
		set_flow_options(uf, pkt);
	} else {
		l = fwd_listener_from_token(u->fwd, uf->listener);
		set_listener_df(u, l, addr_is_v4(&uf->peer), pkt->df);
	}
	uf->ttl = outgoing_ttl(pkt);
	uf->tos = pkt->tos;
	uf->df = pkt->df;
}

/* count_alike() - Length of the first part of a batch that has one TTL, type of
 * service and DF */
static unsigned int count_alike(const struct pkt *batch, unsigned int n)
{
	unsigned int i = 1;

	while (i < n && batch[i].ttl == batch->ttl &&
	       batch[i].tos == batch->tos && batch[i].df == batch->df)
		i++;
	return i;
}

/* count_segments() - How many datagrams can leave as one message, 1 or more:
 * all of one length, at most @longest bytes, the last maybe shorter */
static unsigned int count_segments(const struct pkt *batch, unsigned int n,
				   uint32_t longest)
{
	uint32_t total = batch->len;
	unsigned int i = 1;

	if (!batch->len || batch->len > longest)
		return 1;
	n = MIN(n, GSO_SEGMENTS_MAX);
	for (; i < n && batch[i - 1].len == batch->len; i++) {
		total += batch[i].len;
		if (!batch[i].len || batch[i].len > batch->len ||
		    total > GSO_BYTES_MAX)
			break;
	}
	return i;
}

/* gather_pieces() - Append the pieces of up to @n datagrams; how many fit */
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
 * @n:		number of datagrams, 2 or more
 *
 * Return: number of datagrams in @m; 1: no space for more, @m is unchanged
 */
static unsigned int add_gso_batch(struct tx_burst *b, struct msghdr *m,
				  const struct udp_path *path,
				  const struct pkt *batch, unsigned int n)
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

/* add_message() - Append a message that carries the first of @n datagrams, or
 * more; how many it carries */
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
 * send_burst() - Send datagrams with equal header fields, as many as the socket
 * takes
 * @path:	of the flow
 * @batch:	datagrams
 * @n:		number of datagrams
 * @refused:	set to the segment length if a GSO batch was refused, else 0
 *
 * Return: number sent, 1 or more, or -errno
 */
static int send_burst(int fd, const struct udp_flow *uf, struct udp_path *path,
		      const struct pkt *batch, unsigned int n,
		      uint32_t *refused)
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

	*refused = rc < 0 && b.datagrams[0] > 1 ? batch->len : 0;
	if (rc < 0)
		return -errno;
	for (sent = 0; rc > 0; )
		sent += b.datagrams[--rc];
	return sent;
}

/* shrink_segment() - A GSO batch with segments of @len bytes was refused: send
 * shorter segments from now on, or none; false: that would not help */
static bool shrink_segment(struct udp_flow *uf, int error, uint32_t len)
{
	switch (error) {
	case EIO:		/* no checksum offload, or IPsec */
	case ENOPROTOOPT:
	case EOPNOTSUPP:
		uf->segment = 0;
		return true;
	case EINVAL:		/* beyond the MTU: a datagram is fragmented */
	case EMSGSIZE:
		uf->segment = len - 1;
		return true;
	default:
		return false;
	}
}

/**
 * udp_send_batch() - Send the first datagrams of a batch to the peer
 * @u:		for its listeners
 * @batch:	packets of that flow
 * @n:		number of packets, at most LINK_BURST
 *
 * Return: number that the socket took, 1 or more, or -errno: of the first one,
 *	   or of an earlier one if an error was pending
 */
int udp_send_batch(const struct udp *u, struct udp_flow *uf,
		   const struct pkt *batch, unsigned int n)
{
	struct udp_path path = { .tolen = 0 };
	int rc, fd = udp_flow_fd(u, uf);
	bool retried = false;
	uint32_t refused;

	n = count_alike(batch, n);
	set_header_fields(u, uf, batch);
	if (uf->listener != UDP_NO_LISTENER)
		set_flow_path(&path, uf);
	for (;;) {
		rc = send_burst(fd, uf, &path, batch, n, &refused);
		if (!refused || rc == -EAGAIN)
			return rc;
		if (retried && !shrink_segment(uf, -rc, refused))
			return rc;
		retried = !retried;
		if (retried)	/* the error may have been pending */
			sock_clear_error(fd);
	}
}

/*
 * cut_headers() - Headers of a datagram in a GSO frame
 *
 * The pseudo-header has the length, too, and so has a checksum of it only.
 */
static void cut_headers(struct pkt *pkt, uint8_t *hdr, const struct pkt *gso)
{
	uint16_t whole, len = htons((uint16_t)(UDP_HLEN + pkt->len)), field;
	uint8_t *l4 = hdr + gso->l3len;
	uint64_t sum;

	memcpy(hdr, gso->l3, gso->l3len + UDP_HLEN);
	ip_set_len(hdr, gso->l3len + UDP_HLEN + pkt->len);
	memcpy(&whole, l4 + 4, sizeof(whole));
	memcpy(l4 + 4, &len, sizeof(len));
	memcpy(&field, l4 + 6, sizeof(field));
	sum = (uint64_t)field + (uint16_t)~whole + len;
	field = (uint16_t)~csum_fold(sum);
	memcpy(l4 + 6, &field, sizeof(field));
	pkt->l3 = hdr;
	pkt->l4 = l4;
}

/**
 * udp_cut_gso() - Cut a GSO frame into datagrams
 * @c:		filled
 * @gso:	the frame
 * @off:	bytes of payload to begin with, a multiple of its @gso_size
 *
 * udp_send_batch() makes GSO batches of them again, as large as the socket
 * takes; everything else handles datagrams one by one.
 *
 * Return: bytes of payload cut, 0: the frame has too many pieces
 */
uint32_t udp_cut_gso(struct udp_cut *c, const struct pkt *gso, uint32_t off)
{
	struct iovec *iov = c->iov, *end = c->iov + UDP_CUT_PIECES;
	uint32_t start = off, len;
	struct iov_walk w;
	struct pkt *pkt;

	for (c->n = 0; off < gso->len && c->n < UDP_CUT_MAX; off += len) {
		len = MIN(gso->gso_size, gso->len - off);
		pkt = &c->pkt[c->n];
		*pkt = *gso;
		pkt->len = len;
		pkt->gso_size = 0;
		pkt->iov = iov;
		w = (struct iov_walk){ gso->iov, gso->iovcnt, off, len };
		while (iov < end && iov_next(&w, iov))
			iov++;
		if (w.left)
			break;
		pkt->iovcnt = (unsigned int)(iov - pkt->iov);
		cut_headers(pkt, c->hdr[len < gso->gso_size], gso);
		c->n++;
	}
	return off - start;
}
