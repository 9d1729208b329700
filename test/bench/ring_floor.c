/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * ring_floor.c - Measures the lower limit of the cost of passt with vhost-user:
 * it moves data between a TCP socket and virtqueue buffers, without any
 * protocol, and without checksums:
 *
 *	ring_floor in PAYLOAD MS	receive from a TCP socket into buffers
 *	ring_floor out PAYLOAD MS	send to a TCP socket from buffers
 *
 * The options [--addr ADDR] [--netns PATH] say where the other end of the TCP
 * connection is. A frame consists of a virtio-net header, headers that nobody
 * fills in, and PAYLOAD bytes. The guest is a child with the driver's side of
 * the ring. It copies each frame once, as a tap would. The program prints
 * a line of JSON: bytes, seconds, and seconds of CPU time, without those of the
 * child.
 * A program of the benchmark; calls peer.c, frontq.c and the kernel, called by
 * items.py.
 */
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "test/bench/peer.h"
#include "test/net/frontq.h"
#include "util.h"

#define RING		256
#define HEADERS		(sizeof(struct virtio_net_hdr_v1) + 54)
#define RX_BUFFER	4096
#define TX_FIRST	128		/* bytes: a send buffer's first piece */
#define TX_REST		32768		/* bytes: each further piece, as in the
					 * stand-in guest */
#define SLOT		(80 * 1024)	/* bytes of memory for one buffer */
#define FRAMES		8		/* frames moved by one call */
#define PIECES		(FRAMES * FRONTQ_PIECES)

/**
 * struct lift - State of a transfer in one direction
 * @args:	command line
 * @tcp:	connected TCP socket
 * @q:		driver's side of the queue, for the child; the parent uses its
 *		ring and eventfds only
 * @buffers:	shared memory for RING buffers of SLOT bytes
 * @avail, @used: the parent's indices: next available and next used buffer
 * @bytes:	bytes of payload moved so far
 */
struct lift {
	struct floor_args args;
	int tcp;
	struct frontq q;
	uint8_t *buffers;
	uint16_t avail, used;
	uint64_t bytes;
};

static void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("memory");
	return p;
}

static void wait_event(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) != sizeof(n))
		die("eventfd");
}

/*
 * The guest.
 */

static struct piece guest_piece(const struct lift *l, unsigned int slot,
				size_t at, size_t len)
{
	uint8_t *p = l->buffers + (size_t)slot * SLOT + at;

	return (struct piece){ p, (uintptr_t)p, (uint32_t)len };
}

static void guest_post(struct lift *l, uint16_t slot)
{
	size_t len = HEADERS + l->args.payload;
	struct piece pieces[FRONTQ_PIECES] = {
		guest_piece(l, slot, 0, l->args.in ? RX_BUFFER : TX_FIRST),
	};
	unsigned int n = 1;
	size_t at;

	for (at = TX_FIRST; !l->args.in && at < len; at += TX_REST)
		pieces[n++] = guest_piece(l, slot, at,
					  MIN(TX_REST, len - at));
	frontq_post(&l->q, pieces, n, l->args.in, slot);
}

/* guest_copy() - Copy a buffer from or to other memory, as a tap does */
static void guest_copy(const struct lift *l, uint16_t slot, size_t len)
{
	static uint8_t block[SLOT];
	uint8_t *p = l->buffers + (size_t)slot * SLOT;

	if (l->args.in)
		memcpy(block, p, len);
	else
		memcpy(p, block, len);
}

/* guest_run() - Take used buffers, and post them again */
static void __attribute__((noreturn)) guest_run(struct lift *l)
{
	struct frontq *q = &l->q;
	uint16_t slot;
	uint32_t len;

	for (slot = 0; slot < RING; slot++)
		guest_post(l, slot);
	frontq_show(q);
	for (;;) {
		while (frontq_used(q)) {
			slot = frontq_take(q, &len);
			guest_copy(l, slot, l->args.in ? len : HEADERS +
				   l->args.payload);
			guest_post(l, slot);
			if ((uint16_t)(q->avail - q->shown) * (l->args.in ?
			    RX_BUFFER : SLOT) >= SLOT)
				frontq_show(q);
		}
		frontq_show(q);
		if (!frontq_want_call(q, 0))
			wait_event(q->call);
		frontq_no_call(q);
	}
}

/*
 * The device.
 */

static unsigned int buffers_there(const struct lift *l)
{
	return (uint16_t)(__atomic_load_n(&l->q.ring.avail->idx,
					  __ATOMIC_ACQUIRE) - l->avail);
}

/* buffers_wait() - Wait until the guest has posted at least @n buffers */
static void buffers_wait(struct lift *l, unsigned int n)
{
	while (buffers_there(l) < n) {
		__atomic_store_n(&vring_avail_event(&l->q.ring),
				 (uint16_t)(l->avail + n - 1),
				 __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (buffers_there(l) < n)
			wait_event(l->q.kick);
	}
}

/* next_desc() - Return the descriptor of the available buffer with index @i;
 * set @head to the index of this descriptor */
static const struct vring_desc *next_desc(const struct lift *l, unsigned int i,
					  uint16_t *head)
{
	*head = l->q.ring.avail->ring[(l->avail + i) % RING];
	return &l->q.ring.desc[*head];
}

static void put_used(struct lift *l, uint16_t head, uint32_t len)
{
	l->q.ring.used->ring[l->used++ % RING] =
		(struct vring_used_elem){ head, len };
	l->avail++;
}

/* show_used() - Show buffers used since @old; notify the guest if it asked for
 * that */
static void show_used(struct lift *l, uint16_t old)
{
	const uint64_t one = 1;
	uint16_t event;

	__atomic_store_n(&l->q.ring.used->idx, l->used, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = __atomic_load_n(&vring_used_event(&l->q.ring),
				__ATOMIC_RELAXED);
	if ((uint16_t)(l->used - event - 1) < (uint16_t)(l->used - old))
		(void)!write(l->q.call, &one, sizeof(one));
}

/* in_once() - Receive up to FRAMES frames with one call */
static void in_once(struct lift *l)
{
	unsigned int each = (unsigned int)((HEADERS + l->args.payload +
					    RX_BUFFER - 1) / RX_BUFFER);
	struct iovec iov[PIECES];
	struct msghdr msg = { .msg_iov = iov };
	unsigned int i, frames;
	uint16_t old = l->used, head;
	size_t skip, left;
	ssize_t n;

	buffers_wait(l, each);
	frames = MIN(FRAMES, buffers_there(l) / each);
	for (i = 0; i < frames * each; i++) {
		skip = i % each ? 0 : HEADERS;
		iov[i] = (struct iovec){
			(uint8_t *)(uintptr_t)next_desc(l, i, &head)->addr +
			skip, RX_BUFFER - skip,
		};
	}
	for (i = each - 1; i < frames * each; i += each)
		iov[i].iov_len = (HEADERS + l->args.payload - 1) % RX_BUFFER +
				 1;
	msg.msg_iovlen = frames * each;
	n = recvmsg(l->tcp, &msg, 0);
	if (n <= 0)
		die("recvmsg");
	for (left = (size_t)n, i = 0; left; i++) {
		skip = MIN(left, iov[i].iov_len);
		left -= skip;
		next_desc(l, 0, &head);
		put_used(l, head, (uint32_t)(skip + (i % each ? 0 : HEADERS)));
	}
	show_used(l, old);
	l->bytes += (size_t)n;
}

/* out_frame() - Set @iov to the payload of a buffer that has an indirect table;
 * returns the number of pieces */
static unsigned int out_frame(const struct vring_desc *d, struct iovec *iov)
{
	const struct vring_desc *table = (const void *)(uintptr_t)d->addr;
	unsigned int i, n = d->len / sizeof(*d);

	for (i = 0; i < n; i++)
		iov[i] = (struct iovec){
			(void *)(uintptr_t)table[i].addr, table[i].len,
		};
	iov[0].iov_base = (uint8_t *)iov[0].iov_base + HEADERS;
	iov[0].iov_len -= HEADERS;
	return n;
}

/* out_once() - Send up to FRAMES frames with one call */
static void out_once(struct lift *l)
{
	struct iovec iov[PIECES];
	struct msghdr msg = { .msg_iov = iov };
	uint16_t old = l->used, head;
	unsigned int i, frames;
	ssize_t n;

	buffers_wait(l, 1);
	frames = MIN(FRAMES, buffers_there(l));
	for (i = 0; i < frames; i++)
		msg.msg_iovlen += out_frame(next_desc(l, i, &head),
					    iov + msg.msg_iovlen);
	n = sendmsg(l->tcp, &msg, MSG_NOSIGNAL);
	if (n != (ssize_t)(frames * l->args.payload))
		die("sendmsg");
	for (i = 0; i < frames; i++) {
		next_desc(l, 0, &head);
		put_used(l, head, 0);
	}
	show_used(l, old);
	l->bytes += (size_t)n;
}

static void lift_open(struct lift *l)
{
	struct frontq *q = &l->q;

	l->tcp = peer_connect(&l->args);
	l->buffers = shared((size_t)RING * SLOT);
	q->name = "floor";
	q->size = RING;
	q->event_idx = q->indirect = true;
	vring_init(&q->ring, RING, shared(frontq_memory(RING)),
		   VRING_DESC_ALIGN_SIZE);
	q->tables = shared(RING * FRONTQ_PIECES * sizeof(*q->tables));
	q->tables_gpa = (uintptr_t)q->tables;
	q->kick = eventfd(0, EFD_CLOEXEC);
	q->call = eventfd(0, EFD_CLOEXEC);
	frontq_reset(q);
	if (child())
		guest_run(l);
}

int main(int argc, char **argv)
{
	static struct lift l;
	double wall, cpu, end;

	if (!floor_arguments(&l.args, argc, argv)) {
		fputs("usage: ring_floor {in|out} PAYLOAD MS [--addr ADDR] "
		      "[--netns PATH]\n", stderr);
		return 1;
	}
	lift_open(&l);
	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	end = wall + l.args.ms / 1e3;
	while (seconds(CLOCK_MONOTONIC) < end) {
		if (l.args.in)
			in_once(&l);
		else
			out_once(&l);
	}
	printf("{\"bytes\": %llu, \"seconds\": %.6f, \"cpu\": %.6f}\n",
	       (unsigned long long)l.bytes, seconds(CLOCK_MONOTONIC) - wall,
	       seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	return 0;
}
