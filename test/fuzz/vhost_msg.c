// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * vhost_msg.c - libFuzzer target: whatever messages a front-end sends, in
 * whatever order and with whatever descriptors, the worst that happens is that
 * passt closes its link, and then no descriptor and no mapping is left.
 *
 * An input is a list of steps (steps.h) of a front-end, its guest and passt.
 * Each input begins with the messages that qemu sends, so that rings run in
 * most inputs. The first step can spoil one of these messages. Messages go
 * through a socket, and epoll reports them, as when passt runs.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "event.h"
#include "test/fuzz/vhost.h"

static ssize_t count_recvmsg(int fd, struct msghdr *h, int flags);

#define recvmsg		count_recvmsg
#include "../../link/vhost_msg.c"
#undef recvmsg

#define FDS_IN_MESSAGE	16	/* descriptors in a message, at most */
#define EVENTS		8	/* events of one epoll_wait(), at most */
#define SENT_MAX	512	/* messages of an input, at most */
#define SLOTS		8	/* slots of a link_slots() call, at most */
#define RINGS		4	/* rings that the guest uses: two pairs */
#define RING		16	/* entries of each of these rings */
#define STATUS_RUNS	15	/* status of a running device: ACKNOWLEDGE,
				 * DRIVER, DRIVER_OK and FEATURES_OK (section
				 * 2.1 of virtio 1.2) */

/* Limits of passt's work: passes of the loop until there are no more events,
 * bursts until a ring from the guest is empty, and calls of recvmsg() for one
 * event. */
#define PASSES		16
#define BURSTS		140
#define PARTS_MAX	(MSG_BURST * (MSG_HDR_LEN + VHOST_PAYLOAD) + 1)

/* Addresses of ring @i and of the buffers, as arguments of guest_addr(). */
#define RING_AT(i)	((i) * 0x1000U)
#define BUFFERS		0x4000

/* Steps. MSG in seeds.py lists them in the same order. */
enum op {
	SAY,			/* send a message */
	HEAR,			/* let passt handle its events */
	GUEST_KICK,		/* kick a ring */
	GUEST_POST,		/* give passt receive buffers */
	GUEST_SEND,		/* send frames */
	GUEST_POKE,		/* write any bytes to the guest's memory */
	PASST_REFILL,		/* receive frames */
	PASST_SEND,		/* get slots, and commit some of them */
	PASST_FLUSH,		/* flush */
	SAY_RAW,		/* send a message header with any values */
	CUT,			/* truncate a file */
	LEAVE,			/* shut down the front-end's socket */
	OPS,
};

/* OP_OF() returns the step that the byte @op of an input stands for. Only bytes
 * from 192 on stand for CUT and LEAVE, so these steps, which mostly end the
 * link, are rare. */
#define OPS_OFTEN	CUT
#define OP_OF(byte)	((byte) < 192 ? (byte) % OPS_OFTEN : (byte) % OPS)

/* How to send a message, and what to spoil: bits of @a of a step. The other
 * fields of the step give the details. */
enum wrong {
	WANT_REPLY	= 0x01,	/* ask for a reply */
	WRONG_BYTES	= 0x02,	/* change bytes of the payload: @y, @z, @w */
	WRONG_SIZE	= 0x04,	/* add @w to the size */
	WRONG_COUNT	= 0x08,	/* other number of fds: high bits of @c */
	WRONG_FD	= 0x10,	/* replace a descriptor: low bits of @c */
	NOT_HEARD	= 0x20,	/* handled together with the next message */
	IN_TWO		= 0x40,	/* send two parts, the first of @w bytes */
	FDS_TWICE	= 0x80,	/* send the descriptors with both parts */
};

/* Descriptors that the front-end has. */
enum pool {
	FD_GUEST,		/* file of the guest's memory */
	FD_EVENT,		/* eventfd */
	FD_EVENT2,		/* eventfd */
	FD_SMALL,		/* file of one page */
	FD_EMPTY,		/* file without bytes */
	FD_READ_ONLY,		/* file of the guest's memory, read-only */
	FD_SEALED,		/* file that is sealed against writing */
	FD_FULL,		/* eventfd whose counter is at its maximum */
	FD_PIPE,		/* end of a pipe for reading */
	FD_BROKEN,		/* end of a pipe for writing, without reader */
	FD_UNIX,		/* UNIX socket */
	FD_SELF,		/* the front-end's end of the link's socket */
	FD_EPOLL,		/* epoll set */
	FD_NULL,		/* /dev/null */
	FD_PATH,		/* O_PATH */
	FD_FOLDER,		/* directory */
	POOL,
};

/**
 * struct said - A message that the front-end sends
 * @head:	request, flags, size
 * @payload:	payload, in an array longer than any payload that passt accepts
 * @fds, @nfds:	descriptors, and their number
 */
struct said {
	uint32_t head[3];
	uint8_t payload[VHOST_PAYLOAD + 128];
	int fds[FDS_IN_MESSAGE];
	unsigned int nfds;
};

/**
 * struct front - State of the front-end, of the guest and of passt's loop
 * @sock:	the front-end's end of the link's socket
 * @pool:	descriptors, with enum pool as index
 * @epfd:	epoll sets of the loop: [1] is for a blocked link
 * @others:	number of open descriptors that do not belong to the link
 * @sent, @nsent: requests of the messages that were sent, and their number
 * @answered:	number of these requests up to the last one that got a reply
 * @raw:	some bytes that were sent are no message, so passt may take
 *		bytes of other messages for a header
 * @avail, @at:	for each ring: index of the available ring, and next descriptor
 * @dead:	the link was closed
 * @parts:	calls of recvmsg() for the current event
 */
static struct front {
	int sock, pool[POOL], epfd[2];
	unsigned int others;
	uint32_t sent[SENT_MAX];
	unsigned int nsent, answered;
	bool raw;
	uint16_t avail[RINGS], at[RINGS];
	bool dead;
	unsigned int parts;
} f;

static struct vhost_user v;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

UNCOUNTED

/* count_recvmsg() - link/vhost_msg.c calls this function instead of recvmsg().
 * It must not make too many calls for one event */
static ssize_t count_recvmsg(int fd, struct msghdr *h, int flags)
{
	MUST(++f.parts <= PARTS_MAX);
	return recvmsg(fd, h, flags);
}

/*
 * Messages.
 */

static void put_payload(struct said *m, const void *payload, size_t size)
{
	memcpy(m->payload, payload, size);
	m->head[2] = (uint32_t)size;
}

static void put_u64(struct said *m, uint64_t value)
{
	put_payload(m, &value, sizeof(value));
}

static void put_fd(struct said *m, enum pool fd)
{
	m->fds[m->nfds++] = f.pool[fd];
}

/* put_table() - Make the payload and the descriptors of SET_MEM_TABLE. Bit i of
 * @present is set if region i is in the table */
static void put_table(struct said *m, unsigned int present)
{
	struct mem_table t = { 0 };
	unsigned int i;

	for (i = 0; i < PLACES; i++) {
		if (!(present >> i & 1))
			continue;
		t.region[t.n++] = region_of(i);
		put_fd(m, FD_GUEST);
	}
	put_payload(m, &t, offsetof(struct mem_table, region) +
			   t.n * sizeof(*t.region));
}

static void put_addr(struct said *m, unsigned int i)
{
	const uint64_t at = place[0].user + RING_AT(i);
	const struct vring_addr a = {
		.index = i, .desc = at, .avail = at + 0x800, .used = at + 0xa00,
	};

	put_payload(m, &a, sizeof(a));
}

/* make_ring_message() - Make a message about ring @i, with a value that depends
 * on @x; 0 stands for what qemu would send */
static void make_ring_message(struct said *m, unsigned int i, uint16_t x)
{
	struct vring_state state = { i, x };

	switch (m->head[0]) {
	case SET_VRING_ADDR:
		put_addr(m, i);
		break;
	case SET_VRING_KICK:
	case SET_VRING_CALL:
	case SET_VRING_ERR:
		put_u64(m, i | (x & 1 ? FD_NONE : 0));
		if (!(x & 1))
			put_fd(m, FD_EVENT + (i & 1));
		break;
	case SET_VRING_NUM:
		state.num = 1U << (x + 4) % 16;
		put_payload(m, &state, sizeof(state));
		break;
	case SET_VRING_ENABLE:
		state.num = !(x & 1);
		put_payload(m, &state, sizeof(state));
		break;
	case SET_VRING_BASE:
	case GET_VRING_BASE:
		put_payload(m, &state, sizeof(state));
	}
}

/**
 * make_message() - Make a valid message
 * @m:		filled
 * @request:	type of the message
 * @i:		ring that the message is about, if it is about a ring
 * @x:		selects the value in the message; 0 stands for what qemu would
 *		send
 */
static void make_message(struct said *m, uint32_t request, unsigned int i,
			 uint16_t x)
{
	const struct mem_single one = { .region = region_of(x % PLACES) };

	*m = (struct said){ .head = { request, MSG_VERSION, 0 } };
	switch (request) {
	case SET_FEATURES:
		put_u64(m, FEATURES & ~((uint64_t)(x & 0xff00) << 20 |
					(x & 0xff)));
		break;
	case SET_PROTOCOL_FEATURES:
		put_u64(m, PROTOCOL & ~(uint64_t)x);
		break;
	case SET_MEM_TABLE:
		put_table(m, ~x & 7U);
		break;
	case NET_SET_MTU:
		put_u64(m, x);
		break;
	case SET_STATUS:
		put_u64(m, x ^ STATUS_RUNS);
		break;
	case SET_BACKEND_REQ_FD:
		put_fd(m, FD_UNIX);
		break;
	case ADD_MEM_REG:
		put_fd(m, FD_GUEST);
		put_payload(m, &one, sizeof(one));
		break;
	case REM_MEM_REG:
		put_payload(m, &one, sizeof(one));
		break;
	default:
		make_ring_message(m, i, x);
	}
}

/* spoil_message() - Change a message as a step says (enum wrong) */
static void spoil_message(struct said *m, const struct step *s)
{
	unsigned int i, n = m->nfds;
	uint32_t size = MAX(m->head[2], 1);

	if (s->a & WANT_REPLY)
		m->head[1] |= VHOST_NEED_REPLY;
	if (s->a & WRONG_BYTES) {
		m->payload[s->y % size] ^= (uint8_t)s->z;
		m->payload[(s->y + 1U) % size] ^= (uint8_t)(s->z >> 8);
		m->payload[(s->y + 8U) % size] ^= (uint8_t)(s->w >> 8);
	}
	if (s->a & WRONG_SIZE)
		m->head[2] += (uint32_t)(int8_t)s->w;
	if (s->a & WRONG_COUNT)
		m->nfds = s->c >> 4;
	for (i = n; i < m->nfds; i++)
		m->fds[i] = f.pool[FD_GUEST];
	if (s->a & WRONG_FD && m->nfds)
		m->fds[s->y % m->nfds] = f.pool[s->c & 15];
}

/* send_part() - Send @len bytes of a message, with @n descriptors. Nothing is
 * sent if the front-end has left */
static void send_part(const void *data, size_t len, const int *fds,
		      unsigned int n)
{
	union {
		char buf[CMSG_SPACE(FDS_IN_MESSAGE * sizeof(int))];
		struct cmsghdr h;
	} c;
	struct iovec iov = { (void *)data, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		c.h.cmsg_len = CMSG_LEN(n * sizeof(int));
		c.h.cmsg_level = SOL_SOCKET;
		c.h.cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(&c.h), fds, n * sizeof(int));
		m.msg_control = &c;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	if (len)
		sendmsg(f.sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void hear_events(void);

/* send_message() - Send a message, in two parts if the step says so. passt
 * handles the first part before the second is sent */
static void send_message(const struct said *m, const struct step *s)
{
	size_t len = MSG_HDR_LEN + MIN(m->head[2], sizeof(m->payload));
	size_t first = s->a & IN_TWO ? s->w % len : 0;
	uint8_t bytes[sizeof(*m)];

	memcpy(bytes, m->head, MSG_HDR_LEN);
	memcpy(bytes + MSG_HDR_LEN, m->payload, len - MSG_HDR_LEN);
	f.sent[f.nsent++] = m->head[0];
	if (first) {
		send_part(bytes, first, m->fds, m->nfds);
		hear_events();
	}
	if (!f.dead)
		send_part(bytes + first, len - first, m->fds,
			  !first || s->a & FDS_TWICE ? m->nfds : 0);
}

/* check_replies() - Receive what passt has sent, and check that it consists of
 * replies to messages that were sent, in the order of these messages */
static void check_replies(void)
{
	uint8_t bytes[8192];
	ssize_t n = recv(f.sock, bytes, sizeof(bytes), MSG_DONTWAIT);
	const uint8_t *p = bytes;
	uint32_t head[3];

	for (; n > 0; n -= MSG_HDR_LEN + head[2], p += MSG_HDR_LEN + head[2]) {
		MUST(n >= MSG_HDR_LEN);
		memcpy(head, p, sizeof(head));
		MUST(head[1] == (MSG_VERSION | MSG_REPLY) && head[2] == 8 &&
		     n >= MSG_HDR_LEN + 8);
		while (f.answered < f.nsent && f.sent[f.answered] != head[0])
			f.answered++;
		MUST(f.raw || f.answered++ < f.nsent);
	}
}

/*
 * The loop.
 */

static void end_link(void)
{
	link_close(&v.link);
	f.dead = true;
}

/* hear_once() - Handle the events that epoll reports, as in one pass of the
 * loop; returns the number of events */
static int hear_once(void)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(f.epfd[link_blocked(&v.link)], ev, EVENTS, 0), i;

	MUST(n >= 0);
	for (i = 0; i < n && !f.dead; i++) {
		f.parts = 0;
		MUST(event_type(ev[i].data.u64) == EVENT_LINK);
		if (link_event(&v.link, event_index(ev[i].data.u64),
			       ev[i].events))
			end_link();
	}
	check_replies();
	return n;
}

static void hear_events(void)
{
	if (!f.dead)
		hear_once();
}

/* refill_queue() - Receive frames from a queue until there are no more; false
 * if the link failed */
static bool refill_queue(struct link_queue *q)
{
	unsigned int bursts, i, k;
	const struct frame *fr;
	int n;

	for (bursts = 0; q->more; bursts++) {
		MUST(bursts < BURSTS);
		n = link_refill(q);
		if (n < 0)
			return false;
		for (i = 0; i < (unsigned int)n; i++) {
			fr = &q->from_guest[i];
			for (k = 0; k < fr->iovcnt; k++)
				MUST(fr->iov[k].iov_len);
		}
		link_release(q);
	}
	return true;
}

static void passt_refill(void)
{
	unsigned int i;

	for (i = 0; i < v.link.nqueues && !f.dead; i++) {
		if (!refill_queue(&v.queue[i]))
			end_link();
	}
}

/* passt_send() - Send frames of zeros. In the step, @a is the number of slots,
 * @b the number of frames, and @x their length. Bits of @c: 1 for the second
 * queue, 64 for GSO frames */
static void passt_send(const struct step *s)
{
	struct link_queue *q = &v.queue[(s->c & 1) < v.link.nqueues ?
					s->c & 1 : 0];
	static const uint8_t bytes[LINK_GSO_MAX];
	const struct link_caps *c = &v.link.caps;
	bool gso = s->c & 64 && c->gso_max;
	size_t len = MIN(MAX(s->x, 80U), gso ? c->gso_max : c->max_frame);
	struct frame_meta m = { 0 };
	struct link_slot slot[SLOTS];
	unsigned int n, i;

	if (gso)
		m = (struct frame_meta){
			LINK_CSUM_PARTIAL, LINK_GSO_TCP4, 1448, 34, 16,
		};
	seen.slots = true;
	n = link_slots(q, len, s->a % SLOTS + 1U, slot);
	seen.slots = false;
	for (i = 0; i < n && i < s->b % (SLOTS + 1U); i++) {
		link_slot_write(&slot[i], 0, bytes, len);
		link_commit(q, &slot[i], len, m);
	}
}

static void passt_flush(void)
{
	unsigned int i;

	for (i = 0; i < v.link.nqueues && !f.dead; i++) {
		if (link_flush(&v.queue[i]) < 0)
			end_link();
	}
}

/*
 * The guest.
 */

/* guest_offer() - Make a buffer at guest_addr(@x) available in ring @i. The
 * buffer has two descriptors, of @first and @len bytes */
static void guest_offer(unsigned int i, uint32_t x, uint32_t first,
			uint32_t len)
{
	const uint16_t flags = i % 2 == VHOST_TO_GUEST ? VRING_DESC_F_WRITE : 0;
	const uint32_t ring = place[0].offset + RING_AT(i);
	uint16_t head = f.at[i], second = (uint16_t)((head + 1U) % RING);
	const struct vring_desc d[] = {
		{ guest_addr(x), first, flags | VRING_DESC_F_NEXT, second },
		{ guest_addr(x + first), len, flags, 0 },
	};

	guest_write(ring + head * 16U, &d[0], sizeof(*d));
	guest_write(ring + second * 16U, &d[1], sizeof(*d));
	guest_write(ring + 0x804 + f.avail[i] % RING * 2, &head, 2);
	f.avail[i]++;
	guest_write(ring + 0x802, &f.avail[i], 2);
	f.at[i] = (uint16_t)((second + 1U) % RING);
}

/* guest_buffers() - Make buffers available in a ring. In the step, @a is the
 * number of buffers. Each buffer has two descriptors, of @b and @y bytes. @x
 * tells where the first buffer is. If @c is odd, the ring belongs to the second
 * pair of rings, otherwise to the first */
static void guest_buffers(const struct step *s, unsigned int ring)
{
	unsigned int n = s->a % 8 + 1U, i;

	for (i = 0; i < n; i++)
		guest_offer(2 * (s->c & 1) + ring, BUFFERS +
			    (s->x + i * s->y) % 0xb000, s->b, s->y);
}

static void guest_kick(unsigned int i)
{
	MUST(!eventfd_write(f.pool[FD_EVENT + i], 1));
	hear_events();
}

static void guest_poke(const struct step *s)
{
	const uint16_t bytes[] = { s->y, s->z, s->w };

	if (s->a & 8)
		guest_write(place[0].offset + RING_AT(s->b & 1) + s->x % 0xc00,
			    bytes, s->a % 7);
	else
		guest_fill(s->x, bytes, s->a % 7);
}

/*
 * Steps.
 */

/* say_step() - Send a message. In the step, the lower six bits of @b are the
 * request, and the upper two are the ring. @x is for make_message() */
static void say_step(const struct step *s)
{
	struct said m;

	if (f.nsent == SENT_MAX)
		return;
	make_message(&m, s->b & 63, s->b >> 6, s->x);
	spoil_message(&m, s);
	send_message(&m, s);
	if (!(s->a & NOT_HEARD))
		hear_events();
}

/* say_raw() - Send a header with any values, and @z bytes. In the step, @b, @w,
 * @x and @y are the values, and the upper half of @a is the number of
 * descriptors */
static void say_raw(const struct step *s)
{
	struct said m = {
		.head = { s->b, s->x & 0xf, s->a & 1 ? s->y : s->z % 300U },
	};

	if (s->a & 2)
		m.head[0] |= (uint32_t)s->w << 8;
	memset(m.payload, s->c, sizeof(m.payload));
	f.raw = true;
	send_part(&m, MSG_HDR_LEN, NULL, 0);
	send_part(m.payload, s->z % 300U, f.pool, s->a >> 4);
	hear_events();
}

static void cut_file(const struct step *s)
{
	if (s->a & 1)
		MUST(!ftruncate(f.pool[FD_SMALL], s->x % PAGE));
	else
		shared_cut(s->x & 0x1ffff);
}

static void do_step(const struct step *s)
{
	switch ((enum op)OP_OF(s->op)) {
	case SAY:
		say_step(s);
		break;
	case HEAR:
		hear_events();
		break;
	case GUEST_KICK:
		guest_kick(s->a & 1);
		break;
	case GUEST_POST:
		guest_buffers(s, VHOST_TO_GUEST);
		break;
	case GUEST_SEND:
		guest_buffers(s, VHOST_FROM_GUEST);
		break;
	case GUEST_POKE:
		guest_poke(s);
		break;
	case PASST_REFILL:
		passt_refill();
		break;
	case PASST_SEND:
		passt_send(s);
		break;
	case PASST_FLUSH:
		passt_flush();
		break;
	case SAY_RAW:
		say_raw(s);
		break;
	case CUT:
		cut_file(s);
		break;
	case LEAVE:
		shutdown(f.sock, SHUT_WR);
		hear_events();
		break;
	case OPS:
		break;
	}
}

/* used_rings() - Fill @used with the range of the file that each used ring
 * takes. The range is empty if the ring does not run or is in another file */
static void used_rings(struct range *used)
{
	const struct virtqueue *q;
	unsigned int i;
	int64_t off;

	for (i = 0; i < VHOST_RINGS; i++) {
		q = &v.ring[i].vq;
		off = f.dead || !q->desc ? -1 : offset_of(q->used);
		used[i] = (struct range){ 0, 0 };
		if (off >= 0)
			used[i] = (struct range){
				(uint32_t)off, 6 + 8 * q->size,
			};
	}
}

/* check_fds() - Check that the open descriptors are @others and those of the
 * link, and that exactly the regions of the link's memory table are mapped */
static void check_fds(void)
{
	unsigned int n = f.others, i;

	if (!f.dead) {
		n += 1 + (v.backend_fd >= 0) + v.msg.nfds;
		for (i = 0; i < VHOST_RINGS; i++)
			n += (v.ring[i].kick >= 0) + (v.ring[i].vq.call >= 0);
	}
	MUST(count_fds() == n);
	MUST(nmaps == (f.dead ? 0 : v.mem.n));
}

/* run_step() - Do a step, and check that passt has written to no memory of the
 * guest except the used rings that run and the buffers that the guest has
 * given */
static void run_step(const struct step *s)
{
	struct range used[2 * VHOST_RINGS];
	unsigned int i;

	used_rings(used);
	do_step(s);
	used_rings(used + VHOST_RINGS);
	for (i = 0; i < ARRAY_SIZE(used); i++)
		may_write(used[i].off, used[i].len);
	may_write_grants();
	check_memory();
	if (!v.queue[0].nto_guest && !v.queue[1].nto_guest)
		seen.ngrants = 0;
}

/* The messages that start the first pair of rings, in the order in which qemu
 * sends them. */
static const struct {
	uint8_t request, ring;
} beginning[] = {
	{ GET_FEATURES, 0 }, { GET_PROTOCOL_FEATURES, 0 },
	{ SET_PROTOCOL_FEATURES, 0 }, { GET_QUEUE_NUM, 0 },
	{ GET_MAX_MEM_SLOTS, 0 }, { SET_OWNER, 0 }, { NET_SET_MTU, 0 },
	{ SET_VRING_CALL, 0 }, { SET_VRING_CALL, 1 }, { SET_FEATURES, 0 },
	{ SET_MEM_TABLE, 0 },
	{ SET_VRING_NUM, 0 }, { SET_VRING_BASE, 0 }, { SET_VRING_ADDR, 0 },
	{ SET_VRING_KICK, 0 }, { SET_VRING_CALL, 0 },
	{ SET_VRING_NUM, 1 }, { SET_VRING_BASE, 1 }, { SET_VRING_ADDR, 1 },
	{ SET_VRING_KICK, 1 }, { SET_VRING_CALL, 1 },
	{ SET_VRING_ENABLE, 0 }, { SET_VRING_ENABLE, 1 }, { SET_STATUS, 0 },
};

/* say_beginning() - Send the messages that start the first pair of rings, and
 * kick its rings. If @op of the step is the index of a message, this message is
 * left out (if @b is odd) or spoilt. Otherwise check that the rings run */
static void say_beginning(const struct step *s)
{
	const struct step right = { .a = NOT_HEARD };
	const struct step *how;
	struct said m;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(beginning) && !f.dead; i++) {
		how = s->op == i ? s : &right;
		if (how == s && s->b & 1)	/* it is left out */
			continue;
		make_message(&m, beginning[i].request, beginning[i].ring,
			     how->x);
		if (beginning[i].request == NET_SET_MTU && how != s)
			put_u64(&m, 1500);
		spoil_message(&m, how);
		send_message(&m, how);
	}
	hear_events();
	for (i = 0; i < 2 && !f.dead; i++) {
		guest_kick(i);
		MUST(s->op < ARRAY_SIZE(beginning) || v.ring[i].vq.desc);
	}
	MUST(s->op < ARRAY_SIZE(beginning) || !f.dead);
}

/* restore_file() - Restore the length of a file, and move its file offset far
 * beyond its end. If a message gives passt the file as a call descriptor, passt
 * writes at this offset, which must not be in the guest's memory */
static void restore_file(enum pool fd, off_t size)
{
	MUST(!ftruncate(f.pool[fd], size));
	MUST(lseek(f.pool[fd], 16 * FILE_SIZE, SEEK_SET) > 0);
}

static void begin_input(const struct step *s)
{
	static const struct step none = { .op = HEAR };
	unsigned int i;
	int ends[2];

	shared_reset();
	restore_file(FD_GUEST, FILE_SIZE);
	restore_file(FD_SMALL, PAGE);
	f.others = count_fds() + 1;
	f.nsent = f.answered = 0;
	f.dead = f.raw = false;
	for (i = FD_EVENT; i <= FD_BROKEN; i++)
		fcntl(f.pool[i], F_SETFL, 0);	/* undo passt's O_NONBLOCK */
	memset(f.avail, 0, sizeof(f.avail));
	memset(f.at, 0, sizeof(f.at));
	MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	f.sock = f.pool[FD_SELF] = ends[1];
	guest_mem_catch_faults();
	MUST(!vhost_user_open(&v, ends[0]) &&
	     !link_watch(&v.link, f.epfd[0], f.epfd[1]));
	if (s->op != 255)
		say_beginning(s);
	run_step(&none);
}

/* check_silence() - Check that the epoll sets have no descriptor of the closed
 * link. The eventfds are still open here, so epoll would report them */
static void check_silence(void)
{
	struct epoll_event ev;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		MUST(!eventfd_write(f.pool[FD_EVENT + i], 1));
		MUST(!epoll_wait(f.epfd[i], &ev, 1, 0));
	}
	MUST(!epoll_wait(f.epfd[0], &ev, 1, 0));
}

/* end_input() - Check that there are no more events after at most PASSES
 * passes, close the link, and check that it has left nothing open */
static void end_input(void)
{
	unsigned int passes = 0;

	while (!f.dead && hear_once()) {
		MUST(++passes < PASSES);
		passt_refill();
	}
	check_fds();
	if (!f.dead)
		end_link();
	check_closed(f.others);
	check_silence();
	close(f.sock);
}

/*
 * The beginning.
 */

static int make_file(off_t size)
{
	int fd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	MUST(fd >= 0 && !ftruncate(fd, size));
	return fd;
}

static void make_pipes(void)
{
	int ends[2];

	MUST(!pipe2(ends, O_CLOEXEC));
	f.pool[FD_PIPE] = ends[0];
	MUST(!pipe2(ends, O_CLOEXEC));
	f.pool[FD_BROKEN] = ends[1];
	close(ends[0]);
	MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	f.pool[FD_UNIX] = ends[0];
}

static void start_target(void)
{
	char path[32];
	unsigned int i;

	signal(SIGPIPE, SIG_IGN);	/* as passt.c does */
	shared_open();
	f.pool[FD_GUEST] = shared.fd;
	f.pool[FD_EVENT] = eventfd(0, EFD_CLOEXEC);
	f.pool[FD_EVENT2] = eventfd(0, EFD_CLOEXEC);
	f.pool[FD_SMALL] = make_file(PAGE);
	f.pool[FD_EMPTY] = make_file(0);
	f.pool[FD_SEALED] = make_file(FILE_SIZE);
	MUST(!fcntl(f.pool[FD_SEALED], F_ADD_SEALS, F_SEAL_WRITE));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", shared.fd);
	f.pool[FD_READ_ONLY] = open(path, O_RDONLY | O_CLOEXEC);
	f.pool[FD_FULL] = eventfd(0, EFD_CLOEXEC);
	MUST(!eventfd_write(f.pool[FD_FULL], UINT64_MAX - 1));
	make_pipes();
	f.pool[FD_EPOLL] = epoll_create1(EPOLL_CLOEXEC);
	f.pool[FD_NULL] = open("/dev/null", O_RDWR | O_CLOEXEC);
	f.pool[FD_PATH] = open(path, O_PATH | O_CLOEXEC);
	have_paths = true;
	f.pool[FD_FOLDER] = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (i = 0; i < POOL; i++)
		MUST(f.pool[i] >= 0);
	for (i = 0; i < 2; i++)
		f.epfd[i] = epoll_create1(EPOLL_CLOEXEC);
}

/* The next function is instrumented, so that even an input that reaches no code
 * of passt covers some code: libFuzzer exits if no input covers anything. */
COUNTED

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int left = STEPS_MAX;
	struct step s;

	if (!shared.now)
		start_target();
	if (!next_step(&data, &size, &s))
		return 0;
	begin_input(&s);
	while (!f.dead && left-- && next_step(&data, &size, &s))
		run_step(&s);
	end_input();
	return 0;
}
