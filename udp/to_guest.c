// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * to_guest.c - Datagrams from sockets become frames to the guest.
 *
 * One recvmmsg() reads up to 64 messages into memory of our own, because their
 * lengths, and with them the frames to reserve on the link, are known only
 * afterwards; the copy to the frame is the pass over the data that the checksum
 * needs anyway. A message may be a GSO batch: datagrams of one length, the last
 * maybe shorter (UDP_GRO in udp(7)).
 */
/* syscalls: start: mmap; run: getsockopt munmap recvmmsg */
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "checksum.h"
#include "udp/flow.h"

/* Distance of messages in memory: the longest message, and not a power of two,
 * at which they would compete for the same cache lines. */
#define MESSAGE_STRIDE	(65536 + 1536)

/* Bytes that one socket may fill of the link before the next one's turn. */
#define UDP_QUANTUM	(256 * 1024)

/* Least space that a frame takes, bytes: the number of frames is limited. */
#define FRAME_SPACE_MIN	1024

/* The most space that one message can take, with headers. */
#define MESSAGE_MAX	(72 * 1024)

/* Ask for the kernel's drops (SO_MEMINFO) after reading this many messages. */
#define DROPS_CHECK_MIN	8

/**
 * struct udp_batch - What one recvmmsg() fills
 * @msg, @iov, @from, @control: for the call
 * @info:	what the control messages of each say
 * @ip, @hdr:	headers of the last datagram, which the next may share. Without
 *		source address: none yet in this batch
 * @data:	space for a UDP header and a message, for each
 */
struct udp_batch {
	struct mmsghdr msg[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	union sockaddr_any from[UDP_BATCH];
	union sock_control control[UDP_BATCH];
	struct sock_rx_info info[UDP_BATCH];
	struct ip_hdr ip;
	struct tap_hdr hdr;
	uint8_t data[UDP_BATCH][MESSAGE_STRIDE];
};

/**
 * udp_batch_new() - Allocate memory for messages, touched as it is used
 *
 * Return: batch, NULL if there is no memory
 */
struct udp_batch *udp_batch_new(void)
{
	struct udp_batch *b;
	unsigned int i;

	b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b == MAP_FAILED)
		return NULL;

	for (i = 0; i < UDP_BATCH; i++) {
		b->iov[i].iov_base = b->data[i] + UDP_HLEN;
		b->iov[i].iov_len = MESSAGE_STRIDE - UDP_HLEN;
		b->msg[i].msg_hdr.msg_iov = &b->iov[i];
		b->msg[i].msg_hdr.msg_iovlen = 1;
	}
	return b;
}

/* udp_batch_free() - Free it; @b may be NULL */
void udp_batch_free(struct udp_batch *b)
{
	if (b)
		munmap(b, sizeof(*b));
}

/* prepare_messages() - Reset what recvmmsg() changed in @n messages */
static void prepare_messages(struct udp_batch *b, unsigned int n, bool origin)
{
	struct msghdr *m;
	unsigned int i;

	for (i = 0; i < n; i++) {
		m = &b->msg[i].msg_hdr;
		m->msg_name = origin ? &b->from[i] : NULL;
		m->msg_namelen = origin ? sizeof(b->from[i]) : 0;
		m->msg_control = &b->control[i];
		m->msg_controllen = sizeof(b->control[i]);
	}
}

/* count_affordable() - How many messages the link has space for. The kernel
 * keeps the others. Without a guest all are read, to be dropped */
static unsigned int count_affordable(const struct udp *u,
				     const struct udp_rx *rx)
{
	uint32_t each = rx->space ? rx->space : MESSAGE_MAX;
	unsigned int most = MIN(UDP_BATCH, MAX(UDP_QUANTUM / each, 1));
	struct link_queue *q = u->tap->queue;
	struct link_slot slot[UDP_BATCH];

	if (!link_up(u->tap->link))
		return UDP_BATCH;

	most = MIN(most, (LINK_FRAMES - q->nto_guest) * FRAME_SPACE_MIN / each);
	return link_slots(q, each, most, slot);
}

/* limit_messages() - How many messages a socket may bring now: it may yield */
static unsigned int limit_messages(struct udp *u, int fd,
				   const struct udp_rx *rx)
{
	unsigned int n;

	if (sched_must_yield(u->sched, fd))
		return 0;
	n = count_affordable(u, rx);
	sched_found_space(u->sched, fd, n);
	return n;
}

/* space_of_message() - Bytes of the link that a message takes */
static uint32_t space_of_message(uint32_t len, uint32_t segment)
{
	uint32_t each = segment ? segment : len, n;

	n = segment ? (len + segment - 1) / segment : 1;
	return n * MAX(FRAME_SPACE_MIN, each + TAP_HDR_MAX + UDP_HLEN);
}

/* learn_message_space() - Update what a message of this socket is likely to
 * take. A larger one counts at once, so that the next read finds space, and
 * fades within a few reads */
static void learn_message_space(struct udp_rx *rx,
				const struct udp_batch *b, unsigned int n)
{
	uint32_t most = rx->space - rx->space / 4;
	unsigned int i;

	if (!rx->space)
		most = MESSAGE_MAX / 4;
	for (i = 0; i < n; i++)
		most = MAX(most, space_of_message(b->msg[i].msg_len,
						  b->info[i].segment));
	rx->space = most;
}

/* count_drops() - Count what the kernel dropped because the socket was full.
 * SO_RXQ_OVFL would cost a control message with every datagram */
static void count_drops(struct udp *u, int fd, struct udp_rx *rx)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len))
		return;			/* before Linux 4.12 */
	u->count[UDP_DROPPED] += info[SK_MEMINFO_DROPS] - rx->dropped;
	rx->dropped = info[SK_MEMINFO_DROPS];
}

/**
 * udp_recv_batch() - Read messages from a socket
 * @u:		holds the batch
 * @rx:		of the socket
 * @origin:	it is a listener: udp_origin() will be asked
 *
 * Return: number of messages, 0: none, or no space for one; or -errno
 */
int udp_recv_batch(struct udp *u, int fd, struct udp_rx *rx, bool origin)
{
	unsigned int max = limit_messages(u, fd, rx);
	struct udp_batch *b = u->batch;
	unsigned int i;
	int n;

	if (!max)
		return 0;

	prepare_messages(b, max, origin);
	n = recvmmsg(fd, b->msg, max, MSG_DONTWAIT, NULL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;

	b->ip.src = ADDR_NONE;	/* the guest's Ethernet address may change */
	for (i = 0; i < (unsigned int)n; i++)
		sock_cmsg_read(&b->msg[i].msg_hdr, &b->info[i]);
	learn_message_space(rx, b, (unsigned int)n);
	if (n >= (int)MIN(max, DROPS_CHECK_MIN))
		count_drops(u, fd, rx);
	return n;
}

/**
 * udp_origin() - Sender and destination of a message that a listener received
 * @u:		holds the batch, read with @origin set
 * @i:		index in the batch
 * @o:		filled
 *
 * Return: false if it can't be answered: it has no source port
 */
bool udp_origin(const struct udp *u, unsigned int i, struct udp_origin *o)
{
	const struct udp_batch *b = u->batch;

	if (!sockaddr_get(&b->from[i], &o->peer, &o->port) || !o->port)
		return false;

	o->ifindex = 0;
	if (!addr_is_v4(&o->peer) && addr_is_linklocal(&o->peer))
		o->ifindex = b->from[i].sin6.sin6_scope_id;
	o->local = b->info[i].local;
	return true;
}

/* set_headers() - Prepare Ethernet and IP headers, unless those of the last
 * datagram are the same */
static void set_headers(struct udp *u, const struct udp_flow *uf,
			const struct sock_rx_info *info)
{
	struct udp_batch *b = u->batch;

	/* Addresses and not the flow's pointer: its slot may be reused. */
	if (addr_eq(&b->ip.src, &uf->flow.key.peer) &&
	    addr_eq(&b->ip.dst, &uf->flow.key.guest) &&
	    b->ip.ttl == info->ttl && b->ip.tos == info->tos)
		return;
	b->ip = (struct ip_hdr){
		.src = uf->flow.key.peer, .dst = uf->flow.key.guest,
		.proto = IPPROTO_UDP, .ttl = info->ttl, .tos = info->tos,
	};
	tap_hdr_init(&b->hdr, u->tap, &b->ip);
}

/* deliver_datagram() - Send a datagram to the guest, in fragments if need be;
 * the UDP_HLEN bytes before @data are overwritten */
static void deliver_datagram(struct udp *u, const struct flow_key *key,
			     uint8_t *data, size_t len)
{
	const struct udp_batch *b = u->batch;
	uint8_t *l4 = data - UDP_HLEN;

	len += UDP_HLEN;
	udp_hdr_put(l4, key->pport, key->gport, len);
	if (b->hdr.len + len > tap_mtu(u->tap) + ETH_HLEN)
		tap_ip_send(u->tap, &b->ip, l4, len);
	else
		tap_l4_send(u->tap, &b->hdr, l4, len, 0);
}

/**
 * send_gso_frame() - Send the datagrams of a message in one GSO frame
 * @u:		for the headers in the batch
 * @key:	of its flow
 * @data:	payload, behind UDP_HLEN bytes that may be written
 * @len:	bytes of it
 * @size:	bytes of each datagram but the last
 *
 * Return: false: the link does not take it, or a datagram is too long for the
 *	   guest
 */
static bool send_gso_frame(struct udp *u, const struct flow_key *key,
			   uint8_t *data, size_t len, size_t size)
{
	const struct tap_hdr *h = &u->batch->hdr;
	uint8_t *l4 = data - UDP_HLEN;

	if (!u->tap->link->caps.uso_to_guest ||
	    h->len + UDP_HLEN + len > tap_gso_max(u->tap) ||
	    h->len + UDP_HLEN + size > tap_mtu(u->tap) + ETH_HLEN)
		return false;
	udp_hdr_put(l4, key->pport, key->gport, UDP_HLEN + len);
	tap_l4_send(u->tap, h, l4, UDP_HLEN + len, (uint16_t)size);
	return true;
}

/* udp_batch_len() - Bytes of payload in messages @first to @first + @n - 1 */
size_t udp_batch_len(const struct udp *u, unsigned int first, unsigned int n)
{
	size_t len = 0;

	while (n--)
		len += u->batch->msg[first + n].msg_len;
	return len;
}

/**
 * udp_to_guest() - Send the datagrams of one message to the guest
 * @u:		holds the batch
 * @uf:		flow they belong to
 * @i:		index of the message in the batch
 *
 * What the link has no space for is dropped and counted.
 *
 * Return: number of datagrams
 */
unsigned int udp_to_guest(struct udp *u, const struct udp_flow *uf,
			  unsigned int i)
{
	const struct sock_rx_info *info = &u->batch->info[i];
	uint8_t *data = u->batch->data[i] + UDP_HLEN;
	size_t left = u->batch->msg[i].msg_len, len;
	size_t size = info->segment ? info->segment : left;
	unsigned int n = left > size ?
			 (unsigned int)((left + size - 1) / size) : 1;

	set_headers(u, uf, info);
	u->count[UDP_TO_GUEST] += n;
	if (n > 1 && send_gso_frame(u, &uf->flow.key, data, left, size))
		return n;
	do {
		len = MIN(size, left);
		deliver_datagram(u, &uf->flow.key, data, len);
		data += len;
		left -= len;
	} while (left);
	return n;
}
