// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * send.c - Sends datagrams of the guest from sockets. The sockets read
 * the payload directly from the frames of the link.
 *
 * Consecutive datagrams of equal length, of which the last may be shorter, form
 * a GSO batch. This is one message, which the kernel cuts into datagrams as
 * late as it can (UDP_SEGMENT in udp(7)). One sendmmsg() sends all messages of
 * a batch of packets.
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

/* Limits of a GSO batch. Linux before 6.9 refuses more than 64 segments, and
 * all payload together has to fit in one IPv4 packet. */
#define GSO_SEGMENTS_MAX	64
#define GSO_BYTES_MAX		(IP_LEN_MAX - IP4_HLEN - UDP_HLEN)

/* Payload of a datagram that is not longer than any path MTU, bytes. */
#define DF_DEFAULT_MAX		512

/**
 * struct udp_path - Destination and control messages of a flow's datagrams.
 * Only a socket that is not connected needs them: a listener's socket, which
 * many flows share, or the own socket of a flow with @all_ports
 * @to:		the peer's real address and port
 * @tolen:	bytes of @to; 0: the socket is connected, and the other fields
 *		are not used
 * @len:	bytes of @control; 0: the flow has its own socket, which has
 *		these values as options
 * @control:	source address, interface, TTL and type of service
 */
struct udp_path {
	union sockaddr_any to;
	socklen_t tolen;
	size_t len;
	union sock_control control;
};

/**
 * struct tx_burst - Messages for one sendmmsg()
 * @msg, @nmsg:	the messages, and their number
 * @datagrams:	number of datagrams in each message
 * @iov, @niov:	pieces of all GSO batches in the burst, and their number
 * @control, @ncontrol: control messages of the GSO batches in the burst, and
 *		the number of these batches
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
 * An older kernel would ignore the control message, and send a GSO batch as one
 * datagram.
 *
 * Return: true if this kernel has UDP_SEGMENT
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
 * udp_has_df() - Find out whether a new UDP socket sends IPv4 datagrams with DF
 *
 * Return: false if net.ipv4.ip_no_pmtu_disc is set, or if that can't be found
 *	   out
 */
bool udp_has_df(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
	int value = IP_PMTUDISC_DONT;
	socklen_t len = sizeof(value);

	if (fd < 0)
		return false;
	getsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &value, &len);
	close(fd);
	return value == IP_PMTUDISC_WANT;
}

/**
 * set_flow_path() - Fill in the destination and control messages of a flow that
 * uses a listener's socket
 * @p:		filled
 * @uf:		flow with a listener
 *
 * A listener's IPv6 socket may serve IPv4, too: it then accepts addresses and
 * control messages of both families. An interface is set only for link-local
 * addresses. If a peer on the host sends to the address of an interface, its
 * datagram arrives over loopback. An answer that is bound to that interface
 * could not reach this peer.
 */
static void set_flow_path(struct udp_path *p, const struct udp_flow *uf)
{
	struct sock_tx_info info = {
		.local = uf->local, .ifindex = uf->ifindex,
		.ttl = uf->ttl, .tos = uf->tos,
	};

	p->tolen = sockaddr_set(&p->to, &uf->peer, uf->port, uf->ifindex);
	p->len = sock_cmsg_put_info(&p->control, addr_is_v4(&uf->peer), &info);
}

/* set_udp_df() - Set whether datagrams of a socket leave with DF; without DF,
 * the host's kernel and IPv4 routers may fragment them */
static void set_udp_df(int fd, bool v4, bool df)
{
	sock_set_df(fd, v4, df ? SOCK_DF_PROBE : SOCK_DF_DONT);
}

/* outgoing_ttl() - Return the TTL to send a packet with. It is the guest's, but
 * 1 in place of 0, which no host may send (RFC 1122 3.2.1.7) */
static uint8_t outgoing_ttl(const struct pkt *pkt)
{
	return MAX(pkt->ttl, 1);
}

/**
 * is_df_default() - Whether a datagram leaves with DF although passt has not
 * set DF on its socket
 * @pkt:	the only datagram that is about to be sent
 *
 * It does, because no path MTU that the kernel knows is shorter than the
 * datagram: Linux believes in none below 552 bytes (net.ipv4.route.min_pmtu),
 * and for IPv6, 1280 is the least.
 */
static bool is_df_default(const struct udp *u, const struct pkt *pkt, bool v4)
{
	return pkt->df && pkt->len <= DF_DEFAULT_MAX && (u->df_default || !v4);
}

/* set_flow_options() - Set TTL, type of service and DF on a flow's own socket,
 * if they differ from those that the socket has. @pkt: the first datagram that
 * is about to be sent. @alone: it is the only one */
static void set_flow_options(const struct udp *u, struct udp_flow *uf,
			     const struct pkt *pkt, bool alone)
{
	/* A resolver may have another family than the guest's packets. */
	bool v4 = addr_is_v4(uf->dns ? &uf->peer : &uf->flow.key.peer);
	enum udp_df df = pkt->df ? UDP_DF : UDP_NO_DF;
	int fd = uf->flow.fd[SIDE_HOST];

	if (uf->ttl != outgoing_ttl(pkt))
		sock_set_ip(fd, v4, SOCK_IP_TTL, outgoing_ttl(pkt));
	if (uf->tos != pkt->tos)
		sock_set_ip(fd, v4, SOCK_IP_TOS, pkt->tos);
	if (uf->df_set == df || (uf->df_set == UDP_DF_UNSET && alone &&
				 is_df_default(u, pkt, v4)))
		return;
	set_udp_df(fd, v4, pkt->df);
	uf->df_set = df;
}

/* set_listener_df() - Set DF as an option of a listener's socket, because no
 * control message can set DF for a single datagram */
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
 * set_header_fields() - Take TTL, type of service and DF from the guest's
 * datagram, so that the datagrams to the peer have the same (U3)
 * @u:		UDP, which knows the listeners
 * @uf:		flow, which remembers the fields
 * @pkt:	the first of the datagrams that are about to be sent
 * @alone:	it is the only one
 */
static void set_header_fields(const struct udp *u, struct udp_flow *uf,
			      const struct pkt *pkt, bool alone)
{
	const struct listener *l;

	if (uf->listener == UDP_NO_LISTENER) {
		set_flow_options(u, uf, pkt, alone);
	} else {
		l = fwd_listener_from_token(u->fwd, uf->listener);
		set_listener_df(u, l, addr_is_v4(&uf->peer), pkt->df);
	}
	uf->ttl = outgoing_ttl(pkt);
	uf->tos = pkt->tos;
	uf->df = pkt->df;
}

/* count_alike() - Count the packets at the start of a batch that have the same
 * TTL, type of service and DF as the first */
static unsigned int count_alike(const struct pkt *batch, unsigned int n)
{
	unsigned int i = 1;

	while (i < n && batch[i].ttl == batch->ttl &&
	       batch[i].tos == batch->tos && batch[i].df == batch->df)
		i++;
	return i;
}

/* count_segments() - Return how many datagrams can leave as one message, 1 or
 * more. They have the same length, at most @longest bytes; the last may be
 * shorter */
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

/* gather_pieces() - Append the pieces of up to @n datagrams to the burst;
 * return how many datagrams fit */
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
 * add_gso_batch() - Make a message of a burst carry several datagrams
 * @b:		burst that @m is part of
 * @m:		message, which carries the first datagram and the control
 *		messages of @path
 * @path:	path of the flow
 * @batch:	datagrams that count_segments() has counted
 * @n:		number of datagrams, 2 or more
 *
 * Return: number of datagrams in @m; 1 if @b has no space for more, and @m is
 *	   unchanged
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

/* add_message() - Append a message with the first of @n datagrams. If the
 * datagrams after it can form a GSO batch with it, the message has these, too.
 * Return the number of datagrams in the message */
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
 * send_burst() - Send datagrams that have the same TTL, type of service and DF;
 * the socket may not take all of them
 * @path:	path of the flow
 * @batch:	datagrams
 * @n:		number of datagrams
 * @refused:	set to the length of the first datagram if the socket refused a
 *		GSO batch, else to 0
 *
 * Return: number of datagrams sent, 1 or more; or -errno
 */
static int send_burst(int fd, const struct udp_flow *uf, struct udp_path *path,
		      const struct pkt *batch, unsigned int n,
		      uint32_t *refused)
{
	UNINITIALIZED struct tx_burst b;
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

/* shrink_segment() - Learn from a refused GSO batch with datagrams of @len
 * bytes. @error: errno of the refusal. If @error means that the socket can't
 * send such a GSO batch, let the flow make GSO batches of shorter datagrams
 * only, or none, and return true. If @error has another cause, return false */
static bool shrink_segment(struct udp_flow *uf, int error, uint32_t len)
{
	switch (error) {
	case EIO:		/* interface without checksum offload, IPsec */
	case ENOPROTOOPT:
	case EOPNOTSUPP:
		uf->segment = 0;
		return true;
	case EINVAL:		/* a datagram is longer than the MTU */
	case EMSGSIZE:
		uf->segment = len - 1;
		return true;
	default:
		return false;
	}
}

/**
 * udp_send_batch() - Send the first datagrams of a batch to the peer
 * @u:		UDP, which knows the listeners
 * @uf:		flow
 * @batch:	packets of @uf
 * @n:		number of packets, at most LINK_BURST
 *
 * Return: number of datagrams that the socket took, 1 or more; or -errno. The
 *	   error is about the first datagram, or, if the socket had a pending
 *	   error, about an earlier one
 */
int udp_send_batch(const struct udp *u, struct udp_flow *uf,
		   const struct pkt *batch, unsigned int n)
{
	UNINITIALIZED struct udp_path path;
	int rc, fd = udp_flow_fd(u, uf);
	bool retried = false;
	uint32_t refused;

	path.tolen = 0;
	path.len = 0;
	n = count_alike(batch, n);
	set_header_fields(u, uf, batch, n == 1);
	if (uf->listener != UDP_NO_LISTENER)
		set_flow_path(&path, uf);
	else if (uf->all_ports)
		path.tolen = sockaddr_set(&path.to, &uf->peer, uf->port,
					  uf->ifindex);
	for (;;) {
		rc = send_burst(fd, uf, &path, batch, n, &refused);
		if (!refused || rc == -EAGAIN)
			return rc;
		if (retried && !shrink_segment(uf, -rc, refused))
			return rc;
		retried = !retried;
		if (retried)	/* the error may have been an older one */
			sock_clear_error(fd);
	}
}

/*
 * cut_headers() - Write to @hdr the IP and UDP headers of @pkt, a datagram that
 * is cut out of the GSO frame @gso
 *
 * The checksum field of a GSO frame holds the sum of the pseudo-header. The
 * pseudo-header contains the length, and @pkt is shorter than the whole payload
 * of the frame. So the field is updated for the length of @pkt.
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
 * @gso:	packet of the GSO frame
 * @off:	offset in the payload at which to begin, a multiple of
 *		@gso->gso_size
 *
 * udp_send_batch() later makes GSO batches of these datagrams again. All other
 * functions handle single datagrams only.
 *
 * Return: number of bytes of payload in these datagrams; 0 if the frame has too
 *	   many pieces
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
