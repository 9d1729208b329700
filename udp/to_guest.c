// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * to_guest.c - Reads datagrams from sockets, and makes frames for the guest of
 * them.
 *
 * One recvmmsg() reads up to 64 messages into memory of struct udp_batch, and
 * not directly into frames. Only after the read does passt know how long the
 * messages are, and how many bytes to reserve on the link. The copy to the
 * frame costs little, because the checksum has to read the data anyway. A
 * message may be a GSO batch: datagrams of equal length, of which the last may
 * be shorter (UDP_GRO in udp(7)).
 */
/* syscalls: start: mmap; run: getsockopt recvmmsg; end: munmap */
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "checksum.h"
#include "udp/flow.h"

/* Bytes from the start of one message in memory to that of the next. This is
 * more than the longest message needs, and not a power of two. At distances of
 * a power of two, the messages would compete for the same cache lines. */
#define MESSAGE_STRIDE	(65536 + 1536)

/* A shorter frame counts as this many bytes of the link's space, because the
 * link also limits the number of frames. */
#define FRAME_SPACE_MIN	1024

/* Maximum space on the link, in bytes, for the frames of one message, with
 * their headers. A message is what recvmsg() returns: a datagram, or several
 * that the kernel has joined (UDP_GRO). */
#define MESSAGE_MAX	(72 * 1024)

/* Maximum number of frames for which count_affordable() asks the link for
 * space. A message has at most 49 frames of 1514 bytes. */
#define FRAMES_ASKED	256

/* If a read returns at least DROPS_CHECK_MIN messages, the kernel may have
 * dropped datagrams. It is asked at most once in DROPS_CHECK_MS. */
#define DROPS_CHECK_MIN	8
#define DROPS_CHECK_MS	10

/**
 * struct udp_batch - Messages that one recvmmsg() reads
 * @msg, @iov, @from, @control: arguments of recvmmsg()
 * @info:	for each message, what its control messages say
 * @ip, @hdr:	fields of the IP header, and complete Ethernet and IP headers,
 *		of the last datagram to the guest; the next datagram may have
 *		the same. If @ip.src is none, there was no datagram in this
 *		batch yet
 * @data:	for each message, space for a UDP header and the payload
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
 * udp_batch_new() - Allocate a batch; the kernel provides memory only for
 * messages that are used
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

/* udp_batch_free() - Free the memory of a batch; @b may be NULL */
void udp_batch_free(struct udp_batch *b)
{
	if (b)
		munmap(b, sizeof(*b));
}

/* prepare_messages() - Set the fields of @n messages that recvmmsg() changes.
 * @origin: ask for the sender's address */
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

/**
 * count_affordable() - Return how many messages the link has space for
 *
 * Further messages stay in the socket. While no guest is connected, all
 * messages are read and dropped. A message may need more space than one frame
 * can have, so this function asks for the space of several frames.
 */
static unsigned int count_affordable(const struct udp *u,
				     const struct udp_rx *rx)
{
	const struct link_caps *caps = &u->tap->link->caps;
	uint32_t each = rx->space ? rx->space : MESSAGE_MAX, frames;
	unsigned int most = MIN(UDP_BATCH, MAX(SCHED_QUANTUM_UDP / each, 1));
	struct link_queue *q = u->tap->queue;
	UNINITIALIZED struct link_slot slot[FRAMES_ASKED];

	if (!link_up(u->tap->link))
		return UDP_BATCH;

	most = MIN(most, (LINK_FRAMES - q->nto_guest) * FRAME_SPACE_MIN / each);
	frames = (each - 1) / MAX(caps->max_frame, caps->gso_max) + 1;
	most = MIN(most * frames, FRAMES_ASKED);
	return link_slots(q, (each - 1) / frames + 1, most, slot) / frames;
}

/* limit_messages() - Return how many messages may be read from a socket now; 0
 * if the link has no space, or it is the turn of another flow */
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

/* space_of_message() - Return the bytes of the link that a message takes;
 * @segment: bytes of each datagram in the message; 0: the message is one
 * datagram */
static uint32_t space_of_message(uint32_t len, uint32_t segment)
{
	uint32_t each = segment ? segment : len, n;

	n = segment ? (len + segment - 1) / segment : 1;
	return n * MAX(FRAME_SPACE_MIN, each + TAP_HDR_MAX + UDP_HLEN);
}

/* learn_message_space() - Update the estimate of the space that a message of
 * this socket takes. A larger message raises the estimate at once, so that
 * enough space is reserved for the next read. If all messages are smaller, the
 * estimate falls by up to a quarter at each read */
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

/**
 * udp_count_drops() - Count the datagrams that the kernel has dropped because
 * the socket was full
 * @rx:		what passt has learned from earlier reads of this socket
 *
 * SO_RXQ_OVFL would tell this, too, but would cost a control message with every
 * datagram.
 */
void udp_count_drops(struct udp *u, int fd, struct udp_rx *rx, uint64_t now)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	rx->counted_at = (uint32_t)now;
	rx->uncounted = false;
	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len))
		return;		/* Linux before 4.12 has no SO_MEMINFO */
	u->count[UDP_DROPPED] += info[SK_MEMINFO_DROPS] - rx->dropped;
	rx->dropped = info[SK_MEMINFO_DROPS];
}

/**
 * udp_recv_batch() - Read messages from a socket
 * @u:		UDP; its batch holds the messages
 * @rx:		what passt has learned from earlier reads of this socket
 * @origin:	the caller is going to call udp_origin(), because the socket is
 *		not connected
 *
 * Return: number of messages; 0 if the socket has none, if the link has no
 *	   space, or if it is the turn of another socket; or -errno
 */
int udp_recv_batch(struct udp *u, int fd, struct udp_rx *rx, bool origin,
		   uint64_t now)
{
	unsigned int max = limit_messages(u, fd, rx);
	struct udp_batch *b = u->batch;
	unsigned int i;
	int n;

	if (!max)
		return 0;

	prepare_messages(b, max, origin);
	n = recvmmsg(fd, b->msg, max, MSG_DONTWAIT, NULL);
	if (n < 0) {
		n = -errno;
		u->flows->no_memory |= sock_lacks_resource(n);
		return n == -EAGAIN || n == -EINTR ? 0 : n;
	}

	/* Make new headers for each batch, because the guest's Ethernet address
	 * may have changed. */
	b->ip.src = ADDR_NONE;
	for (i = 0; i < (unsigned int)n; i++)
		sock_cmsg_read(&b->msg[i].msg_hdr, &b->info[i]);
	learn_message_space(rx, b, (unsigned int)n);
	rx->uncounted |= n >= (int)MIN(max, DROPS_CHECK_MIN);
	if (rx->uncounted && (uint32_t)now - rx->counted_at >= DROPS_CHECK_MS)
		udp_count_drops(u, fd, rx, now);
	return n;
}

/**
 * udp_origin() - Get the sender and the destination of a message
 * @u:		UDP; udp_recv_batch() has read its batch with @origin true
 * @i:		index of the message in the batch
 * @o:		filled
 *
 * Return: false if the message has no source port, and can't be answered
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

/* set_headers() - Prepare Ethernet and IP headers for a datagram, unless the
 * last datagram had the same */
static void set_headers(struct udp *u, const struct udp_flow *uf,
			const struct sock_rx_info *info)
{
	struct udp_batch *b = u->batch;

	/* Compare addresses and not pointers to flows, because another flow may
	 * have got the slot of the last datagram's flow. */
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

/* send_fragments() - Send the datagrams of a message in fragments, because they
 * are longer than the MTU. The UDP header of each datagram is written to the
 * UDP_HLEN bytes before its payload */
static void send_fragments(struct udp *u, const struct flow_key *key,
			   uint8_t *data, size_t left, size_t size)
{
	size_t len;

	for (; left; data += len, left -= len) {
		len = MIN(size, left);
		udp_hdr_put(data - UDP_HLEN, key->pport, key->gport,
			    UDP_HLEN + len);
		tap_ip_send(u->tap, &u->batch->ip, data - UDP_HLEN,
			    UDP_HLEN + len);
	}
}

/* send_frames() - Send the @n datagrams of a message, each in a frame. All but
 * the last have @size bytes of payload, and the last has at most @size */
static void send_frames(struct udp *u, const struct flow_key *key,
			const uint8_t *data, size_t len, size_t size,
			unsigned int n)
{
	const struct tap_hdr *h = &u->batch->hdr;
	size_t last = len - (n - 1) * size;
	uint8_t hdr[UDP_HLEN];

	if (last == size)
		last = 0;
	n -= last > 0;
	udp_hdr_put(hdr, key->pport, key->gport, UDP_HLEN + size);
	tap_udp_send_each(u->tap, h, hdr, data, size, n);
	if (!last)
		return;
	udp_hdr_put(hdr, key->pport, key->gport, UDP_HLEN + last);
	tap_udp_send_each(u->tap, h, hdr, data + n * size, last, 1);
}

/**
 * send_gso_frame() - Send the datagrams of a message in one GSO frame
 * @u:		UDP; its batch has the headers
 * @key:	key of the message's flow
 * @data:	payload; the UDP header is written to the UDP_HLEN bytes before
 *		it
 * @len:	bytes of payload
 * @size:	bytes of each datagram but the last
 *
 * Return: false if the link does not take such a frame, so that nothing was
 *	   sent
 */
static bool send_gso_frame(struct udp *u, const struct flow_key *key,
			   uint8_t *data, size_t len, size_t size)
{
	const struct tap_hdr *h = &u->batch->hdr;
	uint8_t *l4 = data - UDP_HLEN;

	if (!u->tap->link->caps.uso_to_guest ||
	    h->len + UDP_HLEN + len > tap_gso_max(u->tap))
		return false;
	udp_hdr_put(l4, key->pport, key->gport, UDP_HLEN + len);
	tap_l4_send(u->tap, h, l4, UDP_HLEN + len, (uint16_t)size);
	return true;
}

/**
 * udp_batch_message() - Find the payload of a message, before udp_to_guest()
 * has sent it to the guest
 * @i:		index of the message in the batch
 * @len:	set to the bytes of the message
 * @each:	set to the bytes of each of its datagrams; the last one may be
 *		shorter
 *
 * Return: the payload
 */
const uint8_t *udp_batch_message(const struct udp *u, unsigned int i,
				 size_t *len, size_t *each)
{
	uint32_t segment = u->batch->info[i].segment;

	*len = u->batch->msg[i].msg_len;
	*each = segment ? segment : MAX(*len, 1);
	return u->batch->iov[i].iov_base;
}

/* udp_batch_len() - Return the bytes of payload in @n messages of the batch,
 * from number @first on */
size_t udp_batch_len(const struct udp *u, unsigned int first, unsigned int n)
{
	size_t len = 0;

	while (n--)
		len += u->batch->msg[first + n].msg_len;
	return len;
}

/**
 * udp_to_guest() - Send the datagrams of one message to the guest
 * @u:		UDP; its batch holds the messages
 * @uf:		flow that the datagrams belong to
 * @i:		index of the message in the batch
 *
 * If the link has no space for a datagram, tap drops and counts it.
 *
 * Return: number of datagrams in the message
 */
unsigned int udp_to_guest(struct udp *u, const struct udp_flow *uf,
			  unsigned int i)
{
	const struct sock_rx_info *info = &u->batch->info[i];
	uint8_t *data = u->batch->data[i] + UDP_HLEN;
	size_t len = u->batch->msg[i].msg_len;
	size_t size = info->segment && info->segment < len ? info->segment :
							     len;
	unsigned int n = len > size ?
			 (unsigned int)((len + size - 1) / size) : 1;

	set_headers(u, uf, info);
	u->count[UDP_TO_GUEST] += n;
	if (u->batch->hdr.len + UDP_HLEN + size >
	    tap_unfragmented_max(u->tap) + ETH_HLEN)
		send_fragments(u, &uf->flow.key, data, len, size);
	else if (n == 1 || !send_gso_frame(u, &uf->flow.key, data, len, size))
		send_frames(u, &uf->flow.key, data, len, size, n);
	return n;
}
