// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * vhost_user.c - Handles the messages of a vhost-user front-end, as qemu's
 * document docs/interop/vhost-user describes them. A malformed message closes
 * the link. If passt can't do what a message asks for, and the front-end wants
 * a reply, the reply reports an error. vhost_msg.c receives and sends messages.
 *
 * Front-ends send messages in different orders, so each message only stores its
 * values. A ring starts when the guest first writes to its kick descriptor.
 */
/* syscalls: vhost: close fcntl */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ip.h"
#include "link/vhost_priv.h"
#include "log.h"
#include "util.h"

#define BIT(n)			(1ULL << (n))

#define F_PROTOCOL_FEATURES	30	/* VHOST_USER_F_PROTOCOL_FEATURES */

/* Features of the device. The control queue is not one of them: front-ends that
 * do not implement that queue would expect passt to serve it. */
#define FEATURES	(BIT(VIRTIO_NET_F_CSUM) |			\
			 BIT(VIRTIO_NET_F_GUEST_CSUM) |			\
			 BIT(VIRTIO_NET_F_MTU) |			\
			 BIT(VIRTIO_NET_F_GUEST_TSO4) |			\
			 BIT(VIRTIO_NET_F_GUEST_TSO6) |			\
			 BIT(VIRTIO_NET_F_GUEST_ECN) |			\
			 BIT(VIRTIO_NET_F_HOST_TSO4) |			\
			 BIT(VIRTIO_NET_F_HOST_TSO6) |			\
			 BIT(VIRTIO_NET_F_HOST_ECN) |			\
			 BIT(VIRTIO_NET_F_MRG_RXBUF) |			\
			 BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) |		\
			 BIT(VIRTIO_NET_F_MQ) |				\
			 BIT(VIRTIO_RING_F_INDIRECT_DESC) |		\
			 BIT(VIRTIO_RING_F_EVENT_IDX) |			\
			 BIT(F_PROTOCOL_FEATURES) |			\
			 BIT(VIRTIO_F_VERSION_1) |			\
			 BIT(VIRTIO_NET_F_GUEST_USO4) |			\
			 BIT(VIRTIO_NET_F_GUEST_USO6) |			\
			 BIT(VIRTIO_NET_F_HOST_USO))

/* Features for which the guest's driver needs a control queue. qemu implements
 * that queue itself. User-mode Linux passes our features to its driver as they
 * are, and the driver refuses a device with these features but without
 * a control queue. */
#define FEATURES_CTRL	(BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) |		\
			 BIT(VIRTIO_NET_F_MQ))

/* Protocol features that passt offers, as bits VHOST_USER_PROTOCOL_F_*: MQ,
 * REPLY_ACK, MTU, BACKEND_REQ, RESET_DEVICE, CONFIGURE_MEM_SLOTS, STATUS. */
#define F_BACKEND_REQ	5
#define PROTOCOL	(BIT(0) | BIT(3) | BIT(4) | BIT(F_BACKEND_REQ) | \
			 BIT(13) | BIT(15) | BIT(16))

#define MSG_BURST	64		/* messages handled in one event */

/* Bits in the payload of SET_VRING_KICK, _CALL and _ERR: the index of a ring,
 * and a flag that is set if the message has no descriptor. */
#define FD_INDEX	0xffU
#define FD_NONE		0x100U

#define TABLE_REGIONS	8		/* regions in SET_MEM_TABLE, at most */

#define ETH_FRAME_MTU	1500

/* Bytes of the longest frame that fits in a receive buffer, if the guest has no
 * mergeable buffers but GSO (virtio 1.2, 5.1.6.3.1). */
#define SINGLE_MAX	65550

/* Indexes in @fds of struct link. */
#define FD_SOCKET	0
#define FD_KICK		1		/* of the first ring */

enum vhost_request {
	GET_FEATURES		= 1,
	SET_FEATURES		= 2,
	SET_OWNER		= 3,
	RESET_OWNER		= 4,
	SET_MEM_TABLE		= 5,
	SET_VRING_NUM		= 8,
	SET_VRING_ADDR		= 9,
	SET_VRING_BASE		= 10,
	GET_VRING_BASE		= 11,
	SET_VRING_KICK		= 12,
	SET_VRING_CALL		= 13,
	SET_VRING_ERR		= 14,
	GET_PROTOCOL_FEATURES	= 15,
	SET_PROTOCOL_FEATURES	= 16,
	GET_QUEUE_NUM		= 17,
	SET_VRING_ENABLE	= 18,
	NET_SET_MTU		= 20,
	SET_BACKEND_REQ_FD	= 21,
	RESET_DEVICE		= 34,
	GET_MAX_MEM_SLOTS	= 36,
	ADD_MEM_REG		= 37,
	REM_MEM_REG		= 38,
	SET_STATUS		= 39,
	GET_STATUS		= 40,
	VHOST_REQUESTS,
};

/* Payload of SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE and
 * SET_VRING_ENABLE. */
struct vring_state {
	uint32_t index, num;
};

/* Payload of SET_VRING_ADDR. */
struct vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};

/* A region of memory, as messages describe it. */
struct mem_region {
	uint64_t guest, size, user, offset;
};

/* Payload of SET_MEM_TABLE, of which only the first @n regions are sent. */
struct mem_table {
	uint32_t n, padding;
	struct mem_region region[TABLE_REGIONS];
};

/* Payload of ADD_MEM_REG and REM_MEM_REG. */
struct mem_single {
	uint64_t padding;
	struct mem_region region;
};

_Static_assert(sizeof(struct mem_table) == VHOST_PAYLOAD,
	       "the longest payload fits");

static uint64_t get_u64(const struct vhost_message *m)
{
	uint64_t v;

	memcpy(&v, m->payload, sizeof(v));
	return v;
}

static void set_u64(struct vhost_message *m, uint64_t v)
{
	memcpy(m->payload, &v, sizeof(v));
	m->size = sizeof(v);
}

/* take_fd() - Keep a descriptor of a message: vhost_close_fds() does not close
 * it */
static int take_fd(struct vhost_message *m, unsigned int i)
{
	int fd = m->fds[i];

	m->fds[i] = -1;
	return fd;
}

/* find_ring() - Return the ring with an index, NULL if there is none */
static struct vhost_ring *find_ring(struct vhost_user *v, uint64_t index)
{
	return index < VHOST_RINGS ? &v->ring[index] : NULL;
}

/* queue_of() - Return the queue that a ring belongs to. The rings of each pair
 * have successive indexes (virtio 1.2, 5.1.2) */
static struct link_queue *queue_of(struct vhost_user *v,
				   const struct vhost_ring *r)
{
	return &v->queue[(r - v->ring) / 2];
}

/* flush_all() - Send the committed frames of all queues, before a change of
 * something that these frames depend on */
static void flush_all(struct vhost_user *v)
{
	unsigned int i;

	for (i = 0; i < v->link.nqueues; i++)
		link_flush(&v->queue[i]);
}

/**
 * place_ring() - Find the parts of a ring in the guest's memory
 *
 * Return: 0; -EFAULT if the size is not set, or if a part is not in the guest's
 *	   memory or not aligned (virtio 1.2, 2.7)
 */
static int place_ring(struct vhost_user *v, struct vhost_ring *r)
{
	struct virtqueue *q = &r->vq;
	size_t n = q->size;
	void *desc, *avail, *used;

	desc = guest_mem_at_user(&v->mem, r->desc, n * sizeof(*q->desc));
	avail = guest_mem_at_user(&v->mem, r->avail,
				  (3 + n) * sizeof(uint16_t));
	used = guest_mem_at_user(&v->mem, r->used, 3 * sizeof(uint16_t) +
				 n * sizeof(*q->used->ring));
	if (!n || !desc || !avail || !used ||
	    (uintptr_t)desc % VRING_DESC_ALIGN_SIZE ||
	    (uintptr_t)avail % VRING_AVAIL_ALIGN_SIZE ||
	    (uintptr_t)used % VRING_USED_ALIGN_SIZE)
		return -EFAULT;
	q->desc = desc;
	q->avail = avail;
	q->used = used;
	return 0;
}

/* set_kick() - Replace the kick descriptor of a ring, and close the old one.
 * @fd: the new descriptor, -1: none. Returns 0 or -errno */
static int set_kick(struct vhost_user *v, struct vhost_ring *r, int fd)
{
	const struct link_fd f = {
		fd, EPOLLIN | EPOLLET, EPOLLIN | EPOLLET,
	};
	int old = r->kick, rc;

	r->kick = fd;
	rc = link_set_fd(&v->link, FD_KICK + (unsigned int)(r - v->ring), f);
	if (old >= 0)
		close(old);
	return rc;
}

/* show_use() - Set @unused of the queue that a ring belongs to. The first queue
 * is never unused, because it takes the frames for all unused queues */
static void show_use(struct vhost_user *v, const struct vhost_ring *r)
{
	const struct vhost_ring *to = &v->ring[(r - v->ring) & ~1];
	struct link_queue *q = queue_of(v, r);

	q->unused = q != v->queue && (!vhost_runs(to) || !to->enabled);
	q->blocked = false;
}

/* stop_ring() - Send the committed frames, and stop a ring: passt does not use
 * the ring until the guest writes to its kick descriptor again */
static void stop_ring(struct vhost_user *v, struct vhost_ring *r)
{
	if (vhost_runs(r))
		link_flush(queue_of(v, r));
	r->kicked = false;
	r->vq.desc = NULL;
	r->vq.avail = NULL;
	r->vq.used = NULL;
	show_use(v, r);
}

/* end_ring() - Stop a ring until the front-end sends a new kick descriptor. In
 * this pass, there may still be an event of the old kick descriptor, which
 * vhost_event() ignores */
static void end_ring(struct vhost_user *v, struct vhost_ring *r)
{
	stop_ring(v, r);
	set_kick(v, r, -1);
}

/* open_queue() - Let the link have at least @i + 1 queues. A queue is a pair of
 * rings, one in each direction */
static void open_queue(struct vhost_user *v, unsigned int i)
{
	struct vhost_pair *p;
	unsigned int k;

	for (k = v->link.nqueues; k <= i; k++) {
		p = &v->pair[k];
		memset(p, 0, offsetof(struct vhost_pair, taken));
		p->user = v;
		p->queue = &v->queue[k];
		p->ring = &v->ring[2 * k];
		p->queue->link = &v->link;
		p->queue->unused = k;
		v->link.nqueues = k + 1;
	}
}

/**
 * start_ring() - Start a ring, if everything that it needs is known
 *
 * The front-end has given the index of the available ring. The index of the
 * used ring is read from the ring itself.
 *
 * Return: 0, or -EPROTO after a message was logged
 */
static int start_ring(struct vhost_user *v, struct vhost_ring *r)
{
	if (r->vq.desc || !r->kicked || !r->vq.size || !r->addressed ||
	    !v->mem.n)
		return 0;
	if (place_ring(v, r)) {
		LOG_LIMITED(LOG_WARNING, "vhost-user: a ring is not in the memory that the front-end shares; connection closed");
		return -EPROTO;
	}
	r->vq.next_used = r->vq.published = virtqueue_used_index(&r->vq);
	r->vq.event_idx = vhost_has(v, VIRTIO_RING_F_EVENT_IDX);
	open_queue(v, (unsigned int)(r - v->ring) / 2);
	queue_of(v, r)->more = true;
	show_use(v, r);
	return 0;
}

/* start_rings() - After a message of the front-end, start each ring for which
 * everything is known now. Returns 0, or -EPROTO after an error was logged */
static int start_rings(struct vhost_user *v)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < VHOST_RINGS && !rc; i++)
		rc = start_ring(v, &v->ring[i]);
	return rc;
}

/* set_caps() - Set the capabilities of the link to what the negotiated features
 * allow. A guest with neither mergeable buffers nor GSO has buffers that each
 * hold one frame of its MTU */
static void set_caps(struct vhost_user *v)
{
	struct link_caps *c = &v->link.caps;
	bool csum = vhost_has(v, VIRTIO_NET_F_GUEST_CSUM);
	bool tso = csum && vhost_has(v, VIRTIO_NET_F_GUEST_TSO4) &&
		   vhost_has(v, VIRTIO_NET_F_GUEST_TSO6);
	bool merge = vhost_has(v, VIRTIO_NET_F_MRG_RXBUF);

	c->shared = true;
	c->csum_to_guest = csum;
	c->gso_max = !tso ? 0 : merge ? LINK_GSO_MAX : SINGLE_MAX;
	c->uso_to_guest = tso && vhost_has(v, VIRTIO_NET_F_GUEST_USO4) &&
			  vhost_has(v, VIRTIO_NET_F_GUEST_USO6);
	c->max_frame = merge || tso ? LINK_FRAME_MAX :
		       ETH_HLEN + MAX(v->mtu, ETH_FRAME_MTU);
	v->hdr_len = merge || vhost_has(v, VIRTIO_F_VERSION_1) ?
		     sizeof(struct virtio_net_hdr_v1) :
		     sizeof(struct virtio_net_hdr);
}

/* The handlers of messages return 0; 1 if passt can't do what the message asks
 * for; or -EPROTO if the message is wrong. If a message has a reply, the
 * handler writes it over the message. */

/* get_features() - Offer features that need a control queue only to
 * a front-end that does not begin with SET_OWNER, as user-mode Linux does */
static int get_features(struct vhost_user *v, struct vhost_message *m)
{
	v->asked = true;
	set_u64(m, v->owned_first ? FEATURES & ~FEATURES_CTRL : FEATURES);
	return 0;
}

static int set_features(struct vhost_user *v, struct vhost_message *m)
{
	uint64_t features = get_u64(m);
	unsigned int i;

	if (features & ~FEATURES)
		return -EPROTO;
	flush_all(v);			/* with headers of the old features */
	v->features = features;
	set_caps(v);
	for (i = 0; i < VHOST_RINGS; i++) {
		v->ring[i].vq.event_idx = vhost_has(v, VIRTIO_RING_F_EVENT_IDX);
		if (vhost_has(v, F_PROTOCOL_FEATURES))
			continue;
		v->ring[i].enabled = true;
		show_use(v, &v->ring[i]);
	}
	return 0;
}

static int set_owner(struct vhost_user *v, struct vhost_message *m)
{
	if (!v->asked)
		v->owned_first = true;
	return 0;
}

/* get_protocol() - Offer BACKEND_REQ only to a front-end that begins with
 * SET_OWNER: user-mode Linux 6.1 does, and does not work without BACKEND_REQ.
 * qemu sends SET_OWNER later. If qemu 11.1 with -netdev passt,vhost-user=on is
 * offered BACKEND_REQ, it closes its end of the socket for such requests, but
 * goes on to read from the same descriptor number. This number then belongs to
 * the file of the guest's memory, and qemu closes this file. */
static int get_protocol(struct vhost_user *v, struct vhost_message *m)
{
	v->asked = true;
	set_u64(m, v->owned_first ? PROTOCOL : PROTOCOL & ~BIT(F_BACKEND_REQ));
	return 0;
}

static int set_protocol(struct vhost_user *v, struct vhost_message *m)
{
	v->protocol = get_u64(m);
	return v->protocol & ~PROTOCOL ? -EPROTO : 0;
}

static int get_queue_num(struct vhost_user *v, struct vhost_message *m)
{
	set_u64(m, VHOST_PAIRS);
	return 0;
}

static int do_nothing(struct vhost_user *v, struct vhost_message *m)
{
	return 0;
}

/* replace_rings() - Find the parts of running rings again, because the mappings
 * of the guest's memory have changed */
static int replace_rings(struct vhost_user *v)
{
	unsigned int i;

	for (i = 0; i < VHOST_RINGS; i++) {
		if (vhost_runs(&v->ring[i]) && place_ring(v, &v->ring[i]))
			return -EPROTO;
	}
	return 0;
}

static int add_region(struct guest_mem *mem, const struct mem_region *r, int fd)
{
	const struct guest_region new = {
		.guest = r->guest, .user = r->user, .size = r->size,
	};

	return guest_mem_add(mem, &new, fd, r->offset) ? -EPROTO : 0;
}

/* set_mem_table() - Replace the guest's memory. User-mode Linux 6.1 always
 * sends the bytes of two regions, although it has only one */
static int set_mem_table(struct vhost_user *v, struct vhost_message *m)
{
	struct guest_mem old = v->mem;
	struct mem_table t;
	unsigned int i;
	int rc = 0;

	memcpy(&t, m->payload, sizeof(t));
	if (t.n > TABLE_REGIONS || m->nfds != t.n ||
	    m->size < offsetof(struct mem_table, region) +
		      t.n * sizeof(*t.region))
		return -EPROTO;

	flush_all(v);
	v->mem.n = 0;
	for (i = 0; i < t.n && !rc; i++)
		rc = add_region(&v->mem, &t.region[i], m->fds[i]);
	if (!rc)
		rc = replace_rings(v);
	guest_mem_free(&old);
	return rc;
}

static int get_max_mem_slots(struct vhost_user *v, struct vhost_message *m)
{
	set_u64(m, GUEST_REGIONS);
	return 0;
}

static int add_mem_reg(struct vhost_user *v, struct vhost_message *m)
{
	struct mem_single s;

	memcpy(&s, m->payload, sizeof(s));
	return add_region(&v->mem, &s.region, m->fds[0]);
}

static int rem_mem_reg(struct vhost_user *v, struct vhost_message *m)
{
	struct guest_region old;
	struct mem_single s;

	memcpy(&s, m->payload, sizeof(s));
	old = (struct guest_region){
		.guest = s.region.guest, .user = s.region.user,
		.size = s.region.size,
	};
	flush_all(v);
	return guest_mem_remove(&v->mem, &old) ? replace_rings(v) : -EPROTO;
}

static int set_vring_num(struct vhost_user *v, struct vhost_message *m)
{
	struct vhost_ring *r;
	struct vring_state s;

	memcpy(&s, m->payload, sizeof(s));
	r = find_ring(v, s.index);
	if (!r || !s.num || s.num > VIRTQUEUE_MAX || s.num & (s.num - 1))
		return -EPROTO;
	stop_ring(v, r);
	r->vq.size = s.num;
	return 0;
}

static int set_vring_addr(struct vhost_user *v, struct vhost_message *m)
{
	struct vhost_ring *r;
	struct vring_addr a;

	memcpy(&a, m->payload, sizeof(a));
	r = find_ring(v, a.index);
	if (!r)
		return -EPROTO;
	if (vhost_runs(r))
		link_flush(queue_of(v, r));
	r->desc = a.desc;
	r->avail = a.avail;
	r->used = a.used;
	r->addressed = true;
	return vhost_runs(r) && place_ring(v, r) ? -EPROTO : 0;
}

static int set_vring_base(struct vhost_user *v, struct vhost_message *m)
{
	struct vhost_ring *r;
	struct vring_state s;

	memcpy(&s, m->payload, sizeof(s));
	r = find_ring(v, s.index);
	if (!r || s.num > UINT16_MAX)
		return -EPROTO;
	stop_ring(v, r);
	r->vq.next_avail = (uint16_t)s.num;
	return 0;
}

static int get_vring_base(struct vhost_user *v, struct vhost_message *m)
{
	struct vhost_ring *r;
	struct vring_state s;

	memcpy(&s, m->payload, sizeof(s));
	r = find_ring(v, s.index);
	if (!r)
		return -EPROTO;
	end_ring(v, r);
	s.num = r->vq.next_avail;
	memcpy(m->payload, &s, sizeof(s));
	return 0;
}

static int set_vring_enable(struct vhost_user *v, struct vhost_message *m)
{
	struct vhost_ring *r;
	struct vring_state s;

	memcpy(&s, m->payload, sizeof(s));
	r = find_ring(v, s.index);
	if (!r || s.num > 1)
		return -EPROTO;
	if (vhost_runs(r))
		link_flush(queue_of(v, r));
	r->enabled = s.num;
	show_use(v, r);
	return 0;
}

/**
 * take_ring_fd() - Keep the descriptor of a message about a ring
 * @fd:		set to the descriptor; -1 if the message says that there is none
 *
 * The descriptor is made non-blocking, so that the guest can't stop passt.
 *
 * Return: ring; NULL if the message is wrong
 */
static struct vhost_ring *take_ring_fd(struct vhost_user *v,
				       struct vhost_message *m, int *fd)
{
	uint64_t value = get_u64(m);
	struct vhost_ring *r = find_ring(v, value & FD_INDEX);
	int flags;

	if (!r || value & ~(uint64_t)(FD_INDEX | FD_NONE) ||
	    m->nfds != (value & FD_NONE ? 0 : 1))
		return NULL;
	*fd = -1;
	if (!m->nfds)
		return r;
	flags = fcntl(m->fds[0], F_GETFL);
	if (flags < 0 || (!(flags & O_NONBLOCK) &&
			  fcntl(m->fds[0], F_SETFL, flags | O_NONBLOCK)))
		return NULL;
	*fd = take_fd(m, 0);
	return r;
}

/* A ring without a kick descriptor is refused, because passt would have to poll
 * it all the time. */
static int set_vring_kick(struct vhost_user *v, struct vhost_message *m)
{
	struct vhost_ring *r;
	int fd;

	r = take_ring_fd(v, m, &fd);
	if (!r || set_kick(v, r, fd))
		return -EPROTO;
	if (fd >= 0)
		return 0;
	LOG_LIMITED(LOG_WARNING, "vhost-user: the front-end gives a ring no descriptor to wait for");
	return 1;
}

/* set_vring_call() - Replace the descriptor that notifies the guest, and notify
 * the guest at once: the last notification may have gone to the old descriptor
 * when the front-end no longer watched it. With EVENT_IDX, passt would then not
 * notify the guest of later frames. */
static int set_vring_call(struct vhost_user *v, struct vhost_message *m)
{
	struct vhost_ring *r;
	int fd;

	r = take_ring_fd(v, m, &fd);
	if (!r)
		return -EPROTO;
	if (r->vq.call >= 0)
		close(r->vq.call);
	r->vq.call = fd;
	virtqueue_notify(&r->vq);
	return 0;
}

/* passt closes the descriptor for errors, and never writes to it: on an error,
 * passt closes the link. */
static int set_vring_err(struct vhost_user *v, struct vhost_message *m)
{
	struct vhost_ring *r;
	int fd;

	r = take_ring_fd(v, m, &fd);
	if (!r)
		return -EPROTO;
	if (fd >= 0)
		close(fd);
	return 0;
}

static int net_set_mtu(struct vhost_user *v, struct vhost_message *m)
{
	uint64_t mtu = get_u64(m);

	if (mtu < IP4_MTU_MIN || mtu > UINT16_MAX)
		return 1;
	flush_all(v);		/* before the capabilities change */
	v->mtu = (uint32_t)mtu;
	set_caps(v);
	return 0;
}

static int set_backend_req_fd(struct vhost_user *v, struct vhost_message *m)
{
	if (v->backend_fd >= 0)
		close(v->backend_fd);
	v->backend_fd = take_fd(m, 0);
	return 0;
}

static int reset_device(struct vhost_user *v, struct vhost_message *m)
{
	unsigned int i;

	for (i = 0; i < VHOST_RINGS; i++) {
		end_ring(v, &v->ring[i]);
		v->ring[i].enabled = false;
	}
	v->status = 0;
	return 0;
}

static int set_status(struct vhost_user *v, struct vhost_message *m)
{
	uint64_t status = get_u64(m);

	if (status > UINT8_MAX)
		return -EPROTO;
	if (!status)
		reset_device(v, m);
	v->status = status;
	return 0;
}

static int get_status(struct vhost_user *v, struct vhost_message *m)
{
	set_u64(m, v->status);
	return 0;
}

/**
 * struct message_type - A message that passt knows
 * @name:	for the log
 * @size:	bytes of the payload; UINT32_MAX: @handle checks them
 * @fds_min, @fds_max: smallest and largest number of descriptors
 * @reply:	the message always has a reply, which the handler writes over it
 * @handle:	handler
 */
static const struct message_type {
	const char *name;
	uint32_t size;
	unsigned int fds_min, fds_max;
	bool reply;
	int (*handle)(struct vhost_user *v, struct vhost_message *m);
} message_type[VHOST_REQUESTS] = {
	[GET_FEATURES] = { "GET_FEATURES", 0, 0, 0, true, get_features },
	[SET_FEATURES] = { "SET_FEATURES", 8, 0, 0, false, set_features },
	[SET_OWNER] = { "SET_OWNER", 0, 0, 0, false, set_owner },
	[RESET_OWNER] = { "RESET_OWNER", 0, 0, 0, false, do_nothing },
	[SET_MEM_TABLE] = { "SET_MEM_TABLE", UINT32_MAX, 0, TABLE_REGIONS,
			    false, set_mem_table },
	[SET_VRING_NUM] = { "SET_VRING_NUM", 8, 0, 0, false, set_vring_num },
	[SET_VRING_ADDR] = { "SET_VRING_ADDR", sizeof(struct vring_addr), 0, 0,
			     false, set_vring_addr },
	[SET_VRING_BASE] = { "SET_VRING_BASE", 8, 0, 0, false, set_vring_base },
	[GET_VRING_BASE] = { "GET_VRING_BASE", 8, 0, 0, true, get_vring_base },
	[SET_VRING_KICK] = { "SET_VRING_KICK", 8, 0, 1, false, set_vring_kick },
	[SET_VRING_CALL] = { "SET_VRING_CALL", 8, 0, 1, false, set_vring_call },
	[SET_VRING_ERR] = { "SET_VRING_ERR", 8, 0, 1, false, set_vring_err },
	[GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES", 0, 0, 0, true,
				    get_protocol },
	[SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES", 8, 0, 0, false,
				    set_protocol },
	[GET_QUEUE_NUM] = { "GET_QUEUE_NUM", 0, 0, 0, true, get_queue_num },
	[SET_VRING_ENABLE] = { "SET_VRING_ENABLE", 8, 0, 0, false,
			       set_vring_enable },
	[NET_SET_MTU] = { "NET_SET_MTU", 8, 0, 0, false, net_set_mtu },
	[SET_BACKEND_REQ_FD] = { "SET_BACKEND_REQ_FD", 0, 1, 1, false,
				 set_backend_req_fd },
	[RESET_DEVICE] = { "RESET_DEVICE", 0, 0, 0, false, reset_device },
	[GET_MAX_MEM_SLOTS] = { "GET_MAX_MEM_SLOTS", 0, 0, 0, true,
				get_max_mem_slots },
	[ADD_MEM_REG] = { "ADD_MEM_REG", sizeof(struct mem_single), 1, 1, false,
			  add_mem_reg },
	[REM_MEM_REG] = { "REM_MEM_REG", sizeof(struct mem_single), 0, 1, false,
			  rem_mem_reg },
	[SET_STATUS] = { "SET_STATUS", 8, 0, 0, false, set_status },
	[GET_STATUS] = { "GET_STATUS", 0, 0, 0, true, get_status },
};

/* type_of() - Return the type of a message, NULL if passt does not know it */
static const struct message_type *type_of(const struct vhost_message *m)
{
	if (m->request >= VHOST_REQUESTS || !message_type[m->request].handle)
		return NULL;
	return &message_type[m->request];
}

/**
 * handle_message() - Do what a message asks for, and reply
 *
 * Return: 0, or -EPROTO if the link must be closed
 */
static int handle_message(struct vhost_user *v, struct vhost_message *m)
{
	const struct message_type *t = type_of(m);
	bool wants_ack = m->flags & VHOST_NEED_REPLY;
	int rc = 1;

	if (!t) {
		LOG_LIMITED(LOG_DEBUG, "vhost-user: message %u is not known",
			    m->request);
	} else if ((t->size != UINT32_MAX && m->size != t->size) ||
		   m->nfds < t->fds_min || m->nfds > t->fds_max) {
		rc = -EPROTO;
	} else {
		rc = t->handle(v, m);
	}
	if (rc < 0) {
		LOG_LIMITED(LOG_WARNING, "vhost-user: the front-end's %s is wrong (%u bytes, %u descriptors); connection closed",
			    t->name, m->size, m->nfds);
		return rc;
	}
	if (t && t->reply)
		return vhost_reply(v, m);
	if (!wants_ack)
		return 0;
	set_u64(m, (uint64_t)rc);
	return vhost_reply(v, m);
}

/* receive_messages() - Handle the messages that have come, up to MSG_BURST;
 * returns 0 or -errno */
static int receive_messages(struct vhost_user *v)
{
	unsigned int n = 0;
	int rc = 0;

	while (n < MSG_BURST) {
		rc = vhost_receive(v);
		if (rc == -EAGAIN)
			return 0;
		if (rc == -EPROTO)
			LOG_LIMITED(LOG_WARNING, "vhost-user: this is no message of a front-end; connection closed");
		if (rc < 0)
			break;
		if (!rc)
			continue;
		rc = handle_message(v, &v->msg);
		if (!rc)
			rc = start_rings(v);
		vhost_close_fds(&v->msg);
		v->have = 0;
		n++;
		if (rc)
			break;
	}
	return rc;
}

static int vhost_event(struct link *l, unsigned int i, uint32_t events)
{
	struct vhost_user *v = vhost_of_link(l);
	struct vhost_ring *r;

	if (i == FD_SOCKET)
		return receive_messages(v);
	r = &v->ring[i - FD_KICK];
	if (r->kick < 0)	/* closed by a message earlier in this pass */
		return 0;
	r->kicked = true;
	if (start_ring(v, r))
		return -EPROTO;
	if ((r - v->ring) % 2 == VHOST_FROM_GUEST)
		queue_of(v, r)->more = true;
	else
		queue_of(v, r)->blocked = false;
	return 0;
}

static void vhost_close(struct link *l)
{
	struct vhost_user *v = vhost_of_link(l);
	unsigned int i;

	vhost_close_fds(&v->msg);
	for (i = 0; i < VHOST_RINGS; i++) {
		if (v->ring[i].kick >= 0)
			close(v->ring[i].kick);
		if (v->ring[i].vq.call >= 0)
			close(v->ring[i].vq.call);
	}
	if (v->backend_fd >= 0)
		close(v->backend_fd);
	guest_mem_free(&v->mem);
	close(v->fd);
}

static const struct link_ops vhost_ops = {
	.event = vhost_event,
	.refill = vhost_refill,
	.release = vhost_release,
	.slots = vhost_slots,
	.flush = vhost_flush,
	.stalled = vhost_stalled,
	.close = vhost_close,
};

/**
 * vhost_user_open() - Open a link on the socket of a front-end
 * @v:		link; all fields except the arrays of pairs are overwritten
 * @fd:		connected socket; the link closes it
 *
 * Messages tell later where the rings are.
 *
 * Return: 0, always
 */
int vhost_user_open(struct vhost_user *v, int fd)
{
	unsigned int i;

	memset(v, 0, offsetof(struct vhost_user, queue));
	v->fd = fd;
	v->backend_fd = -1;
	v->link = (struct link){
		.ops = &vhost_ops, .queues = v->queue,
		.nfds = FD_KICK + VHOST_RINGS,
	};
	v->link.fds[FD_SOCKET] = (struct link_fd){ fd, EPOLLIN, EPOLLIN };
	for (i = 0; i < VHOST_RINGS; i++) {
		v->ring[i].kick = v->ring[i].vq.call = -1;
		v->link.fds[FD_KICK + i].fd = -1;
	}
	open_queue(v, 0);
	set_caps(v);
	return 0;
}
