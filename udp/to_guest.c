// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * to_guest.c - Datagrams from the host's sockets become frames to the guest.
 * Called by udp.c; calls sockets, tap.c, the link and checksum.c.
 *
 * recvmmsg() brings a batch of messages into memory of our own, because their
 * sizes, and so the places in the link's room, are known only after that; the
 * copy to the room is the pass over the data that the checksum needs anyway.
 * A message may be many datagrams that came in a row, all of one size but the
 * last (UDP_GRO in udp(7)).
 */
/* syscalls: start: mmap; run: getsockopt munmap recvmmsg */
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "checksum.h"
#include "udp/flow.h"

/* The longest message there is, and such that slots don't fall on each other
 * in a cache, as they would at a distance of a power of two. */
#define MESSAGE_STRIDE		(65536 + 1536)

/* What a flow may fill of the link before it is another's turn, bytes. */
#define UDP_QUANTUM		(256 * 1024)

/* What a frame counts at least: a link has slots for so many, too. */
#define FRAME_SPACE_MIN	1024

/* The most that one message can fill, with headers. */
#define MESSAGE_MAX	(72 * 1024)

/* So many messages have waited where the kernel may have dropped others. */
#define DROPS_CHECK_MIN		8

/* How many others wait for one that found no room. */
#define YIELDS_MAX	256

/**
 * struct udp_batch - What one recvmmsg() fills
 * @msg, @iov, @from, @control: for the call
 * @info:	what came with each
 * @ip, @hdr:	headers of the last datagram, good for the next if that is
 *		alike. No source: none in this batch
 * @data:	room for a UDP header, and a message
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
 * udp_batch_new() - Memory for received datagrams, touched as it is used
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

void udp_batch_free(struct udp_batch *b)
{
	if (b)
		munmap(b, sizeof(*b));
}

/* prepare_messages() - The fields of @n messages that the last recvmmsg() changed */
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
 * count_affordable() - How many messages the link has room for
 * @u:		for the link
 * @rx:		for what to expect
 *
 * What is not read stays in the kernel. With no guest all of it is read, to be
 * dropped: it is for nobody.
 */
static unsigned int count_affordable(const struct udp *u, const struct udp_rx *rx)
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

/**
 * limit_messages() - How many messages a socket may bring now
 * @u:		remembers who found no room
 * @fd:		socket
 * @rx:		what is known of it
 *
 * epoll reports sockets that are ready in the same order each time, so those
 * in front could fill the link for ever. Who finds no room is waited for by
 * the others in the next pass, which then begins with it: but not for long, as
 * what it had to read may be gone.
 */
static unsigned int limit_messages(struct udp *u, int fd, const struct udp_rx *rx)
{
	unsigned int n;

	if (u->starved_fd >= 0 && u->starved_fd != fd && u->yields_left) {
		u->yields_left--;
		return 0;
	}
	n = count_affordable(u, rx);
	if (n) {
		u->starved_fd = -1;
	} else if (u->starved_fd != fd) {
		u->starved_fd = fd;
		u->yields_left = YIELDS_MAX;
	}
	return n;
}

/**
 * space_of_message() - What a message takes of the link's room
 * @len:	bytes of it
 * @segment:	see struct sock_rx_info
 *
 * Return: bytes
 */
static uint32_t space_of_message(uint32_t len, uint32_t segment)
{
	uint32_t each = segment ? segment : len, n;

	n = segment ? (len + segment - 1) / segment : 1;
	return n * MAX(FRAME_SPACE_MIN, each + TAP_HDR_MAX + UDP_HLEN);
}

/**
 * learn_message_space() - Learn how much messages of a socket fill, from those just received
 * @rx:		keeps it
 * @b:		batch
 * @n:		how many there are in it
 *
 * Large ones count at once, so that the next batch finds room; they are
 * forgotten within some batches.
 */
static void learn_message_space(struct udp_rx *rx, const struct udp_batch *b, unsigned int n)
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
 * count_drops() - Count what the kernel dropped, of a socket that was full
 * @u:		for the counter
 * @fd:		socket
 * @rx:		remembers how many it were
 *
 * SO_RXQ_OVFL would tell, too, but for a price with every single message.
 */
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
 * udp_recv_batch() - Receive a batch of messages
 * @u:		holds the batch
 * @fd:		socket
 * @rx:		what is known of it
 * @origin:	it is a listener: udp_origin() will be asked
 *
 * Return: how many there are, 0: none, or no room for them; or -errno
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
 * udp_origin() - Who sent a message of the batch, and to which address
 * @u:		holds the batch, received with @origin set
 * @i:		index in the batch
 * @o:		filled
 *
 * Return: false if nobody could answer it: there is no port
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

/**
 * set_headers() - Ethernet and IP headers of a datagram to the guest
 * @u:		for the Ethernet addresses; the batch keeps the headers
 * @uf:		flow
 * @a:		for TTL and type of service
 */
static void set_headers(struct udp *u, const struct udp_flow *uf,
			const struct sock_rx_info *a)
{
	struct udp_batch *b = u->batch;

	/* Not by the flow's place, which another may have by now. */
	if (addr_eq(&b->ip.src, &uf->flow.key.remote) &&
	    addr_eq(&b->ip.dst, &uf->flow.key.guest) &&
	    b->ip.ttl == a->ttl && b->ip.tos == a->tos)
		return;
	b->ip = (struct ip_hdr){
		.src = uf->flow.key.remote, .dst = uf->flow.key.guest,
		.proto = IPPROTO_UDP, .ttl = a->ttl, .tos = a->tos,
	};
	tap_hdr_init(&b->hdr, u->tap, &b->ip);
}

/* longest_frame() - The longest frame the guest takes for sure, bytes */
static size_t longest_frame(const struct tap *t)
{
	size_t most = t->link->caps.max_frame;

	return t->mtu ? MIN(most, t->mtu + (size_t)ETH_HLEN) : most;
}

/**
 * deliver_datagram() - Send one datagram to the guest
 * @u:		for the headers in the batch
 * @key:	of its flow
 * @data:	payload, behind UDP_HLEN bytes that may be written
 * @len:	bytes of it
 */
static void deliver_datagram(struct udp *u, const struct flow_key *key, uint8_t *data,
		    size_t len)
{
	const struct udp_batch *b = u->batch;
	uint8_t *l4 = data - UDP_HLEN;

	len += UDP_HLEN;
	udp_hdr_put(l4, key->rport, key->gport, len);
	if (b->hdr.len + len > longest_frame(u->tap))
		tap_ip_send(u->tap, &b->ip, l4, len);
	else
		tap_l4_send(u->tap, &b->hdr, IPPROTO_UDP, l4, len);
}

/**
 * udp_to_guest() - Send the datagrams of a message of the batch to the guest
 * @u:		holds the batch
 * @uf:		flow they belong to
 * @i:		index in the batch
 *
 * What the guest has no room for is dropped and counted.
 *
 * Return: how many datagrams they were
 */
unsigned int udp_to_guest(struct udp *u, const struct udp_flow *uf,
			 unsigned int i)
{
	const struct sock_rx_info *a = &u->batch->info[i];
	uint8_t *data = u->batch->data[i] + UDP_HLEN;
	size_t left = u->batch->msg[i].msg_len, len;
	unsigned int n = 0;

	set_headers(u, uf, a);
	do {
		len = a->segment ? MIN(a->segment, left) : left;
		deliver_datagram(u, &uf->flow.key, data, len);
		data += len;
		left -= len;
		n++;
	} while (left);

	u->count[UDP_TO_GUEST] += n;
	return n;
}
