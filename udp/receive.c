// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * receive.c - Datagrams from the host's sockets become frames to the guest.
 * Called by udp.c; calls sockets, tap.c, the link and checksum.c.
 *
 * recvmmsg() brings a batch into memory of our own, because the sizes, and so
 * the places in the link's room, are known only after that; the copy to the
 * room is the pass over the data that the checksum needs anyway.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "checksum.h"
#include "udp/flow.h"

/* The longest datagram there is, and such that slots don't fall on each other
 * in a cache, as they would at a distance of a power of two. */
#define SLOT		(65536 + 1536)

/* Room for what a listener is told: both forms for IPv4 over an IPv6 socket. */
#define CONTROL		(CMSG_SPACE(sizeof(struct in_pktinfo)) + \
			 CMSG_SPACE(sizeof(struct in6_pktinfo)))

struct udp_batch {
	struct mmsghdr msg[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	union sockaddr_any from[UDP_BATCH];
	union {
		char buf[CONTROL];
		struct cmsghdr align;
	} control[UDP_BATCH];
	uint8_t data[UDP_BATCH][SLOT];
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
		b->iov[i].iov_base = b->data[i];
		b->iov[i].iov_len = SLOT;
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

/* prepare() - The fields of @n messages that the last recvmmsg() changed */
static void prepare(struct udp_batch *b, unsigned int n, bool origin)
{
	struct msghdr *m;
	unsigned int i;

	for (i = 0; i < n; i++) {
		m = &b->msg[i].msg_hdr;
		m->msg_name = origin ? &b->from[i] : NULL;
		m->msg_namelen = origin ? sizeof(b->from[i]) : 0;
		m->msg_control = origin ? &b->control[i] : NULL;
		m->msg_controllen = origin ? sizeof(b->control[i]) : 0;
	}
}

/**
 * affordable() - How many datagrams the link has room for
 * @u:		for the link and the size to expect
 *
 * What is not read stays in the kernel. With no guest all of it is read, to be
 * dropped: it is for nobody.
 */
static unsigned int affordable(const struct udp *u)
{
	size_t frame = TAP_HDR_MAX + UDP_HLEN + u->expected;
	struct link *l = u->tap->link;
	struct iovec iov;
	unsigned int n = 0;

	if (!link_up(l))
		return UDP_BATCH;

	while (n < UDP_BATCH && link_reserve(l, frame, &iov))
		n++;
	link_cancel(l);
	return n;
}

/**
 * expect() - Learn how large datagrams are, from those just received
 * @u:		keeps it
 * @n:		how many there are in the batch
 *
 * Large ones count at once, so that the next batch finds room; they are
 * forgotten within some tens of batches.
 */
static void expect(struct udp *u, unsigned int n)
{
	uint32_t largest = u->expected - u->expected / 8;
	unsigned int i;

	for (i = 0; i < n; i++)
		largest = MAX(largest, u->batch->msg[i].msg_len);
	u->expected = MAX(largest, UDP_FIRST_GUESS);
}

/**
 * udp_receive() - Receive a batch of datagrams
 * @u:		holds the batch
 * @fd:		socket
 * @origin:	it is a listener: udp_origin() will be asked
 *
 * Return: how many there are, 0: none, or no room for them; or -errno
 */
int udp_receive(struct udp *u, int fd, bool origin)
{
	unsigned int max = affordable(u);
	int n;

	if (!max)
		return 0;

	prepare(u->batch, max, origin);
	n = recvmmsg(fd, u->batch->msg, max, MSG_DONTWAIT, NULL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;

	expect(u, (unsigned int)n);
	u->count[UDP_RECEIVED] += (unsigned int)n;
	return n;
}

/**
 * read_local() - The address that a datagram was sent to
 * @m:		message as received
 * @local:	set, if it is one that answers may come from
 *
 * For IPv4, ipi_spec_dst is right also for what was sent to a broadcast or
 * multicast address (ip(7)); IPv6 has no such thing.
 */
static void read_local(struct msghdr *m, struct in6_addr *local)
{
	struct in6_pktinfo info6;
	struct in_pktinfo info4;
	struct cmsghdr *c;

	*local = ADDR_NONE;
	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&info4, CMSG_DATA(c), sizeof(info4));
			*local = addr_from_v4(info4.ipi_spec_dst);
			return;
		}
		if (c->cmsg_level == IPPROTO_IPV6 &&
		    c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info6, CMSG_DATA(c), sizeof(info6));
			if (!addr_is_multicast(&info6.ipi6_addr))
				*local = info6.ipi6_addr;
		}
	}
}

/**
 * udp_origin() - Who sent a datagram of the batch, and to which address
 * @u:		holds the batch, received with @origin set
 * @i:		index in the batch
 * @o:		filled
 *
 * Return: false if nobody could answer it: there is no port
 */
bool udp_origin(const struct udp *u, unsigned int i, struct udp_origin *o)
{
	struct udp_batch *b = u->batch;

	if (!sockaddr_get(&b->from[i], &o->peer, &o->port) || !o->port)
		return false;

	o->ifindex = 0;
	if (!addr_is_v4(&o->peer) && addr_is_linklocal(&o->peer))
		o->ifindex = b->from[i].sin6.sin6_scope_id;
	read_local(&b->msg[i].msg_hdr, &o->local);
	return true;
}

/**
 * udp_headers() - Ethernet and IP headers of a flow's datagrams to the guest
 * @u:		for the Ethernet addresses
 * @uf:		flow
 * @h:		filled
 */
void udp_headers(const struct udp *u, const struct udp_flow *uf,
		 struct tap_hdr *h)
{
	struct tap_ip ip = {
		.src = uf->f.key.remote,
		.dst = uf->f.key.guest,
		.proto = IPPROTO_UDP,
	};

	tap_hdr_init(h, u->tap, &ip);
}

/* room() - For one frame; behind others of this pass, make way for it */
static bool room(struct link *l, size_t len, struct iovec *iov)
{
	return link_reserve(l, len, iov) ||
	       (link_flush(l) > 0 && link_reserve(l, len, iov));
}

/**
 * udp_deliver() - Send a datagram of the batch to the guest
 * @u:		holds the batch
 * @h:		headers of the flow
 * @uf:		flow it belongs to
 * @i:		index in the batch
 *
 * One that can't be sent is dropped and counted.
 */
void udp_deliver(struct udp *u, const struct tap_hdr *h,
		 const struct udp_flow *uf, unsigned int i)
{
	size_t len = u->batch->msg[i].msg_len;
	struct link *l = u->tap->link;
	struct iovec iov;
	uint16_t check;
	uint64_t sum;
	uint8_t *p;

	if (h->len + UDP_HLEN + len > l->max_frame) {
		u->count[UDP_TOO_BIG]++;
		return;
	}
	if (!room(l, h->len + UDP_HLEN + len, &iov)) {
		u->tap->count[TAP_NO_ROOM]++;
		return;
	}

	sum = tap_hdr_put(h, iov.iov_base, UDP_HLEN + len);
	p = (uint8_t *)iov.iov_base + h->len;
	put_be16(p, uf->f.key.rport);
	put_be16(p + 2, uf->f.key.gport);
	put_be16(p + 4, (uint16_t)(UDP_HLEN + len));
	put_be16(p + 6, 0);
	sum = csum_add(p, UDP_HLEN, sum);
	sum = csum_copy(p + UDP_HLEN, u->batch->data[i], len, sum);

	check = csum_fold(sum);
	if (!check)
		check = 0xffff;		/* RFC 768: zero is none */
	memcpy(p + 6, &check, sizeof(check));

	link_commit(l, h->len + UDP_HLEN + len);
	u->tap->count[TAP_OUT]++;
}
