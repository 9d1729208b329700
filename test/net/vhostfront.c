/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * vhostfront.c - A vhost-user front-end: connects to a back-end, with the
 * messages of qemu 10 in the same order, and shares memory and virtqueues with
 * the back-end.
 * Called by vhostguest.c; calls frontq.c and the kernel.
 *
 * The protocol is described in qemu's docs/interop/vhost-user.rst. The distance
 * between a guest-physical address and an address of this program is different
 * in each region, and no region begins at zero, so that the tests fail if
 * a back-end confuses these addresses.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "test/net/fail.h"
#include "test/net/vhostfront.h"
#include "util.h"

#define PATIENCE	5		/* s to wait for an answer */
#define ALIGN		4096
#define RINGS_GPA	0x40000000
#define BUFFERS_GPA	0x100000000	/* 4 GiB: above a PC's PCI hole */

#define F_PROTOCOL_FEATURES	30

enum protocol_feature {
	P_MQ		= 0,
	P_REPLY_ACK	= 3,
	P_MTU		= 4,
	P_BACKEND_REQ	= 5,
	P_RESET_DEVICE	= 13,
	P_MEM_SLOTS	= 15,
	P_STATUS	= 16,
};

enum request {
	GET_FEATURES		= 1,
	SET_FEATURES		= 2,
	SET_OWNER		= 3,
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
	SET_STATUS		= 39,
	GET_STATUS		= 40,
};

#define VERSION		1
#define REPLY		4
#define NEED_REPLY	8
#define STATUS_ALL	(VIRTIO_CONFIG_S_ACKNOWLEDGE | \
			 VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK)

struct header {
	uint32_t request, flags, size;
};

struct wire_state {
	uint32_t index, num;
};

struct wire_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};

struct wire_region {
	uint64_t gpa, size, user, offset;
};

struct wire_table {
	uint32_t n, padding;
	struct wire_region regions[FRONT_REGIONS];
};

struct wire_slot {
	uint64_t padding;
	struct wire_region region;
};

static const struct {
	const char *name;
	uint64_t features, protocol;
} names[] = {
	{ "csum", FEATURE(VIRTIO_NET_F_CSUM) |
		  FEATURE(VIRTIO_NET_F_GUEST_CSUM), 0 },
	{ "tso", FEATURE(VIRTIO_NET_F_HOST_TSO4) |
		 FEATURE(VIRTIO_NET_F_HOST_TSO6) |
		 FEATURE(VIRTIO_NET_F_GUEST_TSO4) |
		 FEATURE(VIRTIO_NET_F_GUEST_TSO6), 0 },
	{ "ecn", FEATURE(VIRTIO_NET_F_HOST_ECN) |
		 FEATURE(VIRTIO_NET_F_GUEST_ECN), 0 },
	{ "uso", FEATURE(NET_F_HOST_USO) | FEATURE(NET_F_GUEST_USO4) |
		 FEATURE(NET_F_GUEST_USO6), 0 },
	{ "mrg_rxbuf", FEATURE(VIRTIO_NET_F_MRG_RXBUF), 0 },
	{ "event_idx", FEATURE(VIRTIO_RING_F_EVENT_IDX), 0 },
	{ "indirect", FEATURE(VIRTIO_RING_F_INDIRECT_DESC), 0 },
	{ "announce", FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE), 0 },
	{ "mtu", FEATURE(VIRTIO_NET_F_MTU), FEATURE(P_MTU) },
	{ "mq", 0, FEATURE(P_MQ) },
	{ "reply_ack", 0, FEATURE(P_REPLY_ACK) },
	{ "backend_req", 0, FEATURE(P_BACKEND_REQ) },
	{ "reset", 0, FEATURE(P_RESET_DEVICE) },
	{ "mem_slots", 0, FEATURE(P_MEM_SLOTS) },
	{ "status", 0, FEATURE(P_STATUS) },
};

/**
 * front_defaults() - Want all features that this front-end knows
 * @f:		front-end
 */
void front_defaults(struct front *f)
{
	unsigned int i;

	f->wanted = FEATURE(VIRTIO_F_VERSION_1) | FEATURE(F_PROTOCOL_FEATURES);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		f->wanted |= names[i].features;
		f->wanted_protocol |= names[i].protocol;
	}
}

/* without() - Do not accept the feature @name; false: there is no such name */
static bool without(struct front *f, const char *name, size_t len)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (strlen(names[i].name) != len ||
		    memcmp(names[i].name, name, len))
			continue;
		f->wanted &= ~names[i].features;
		f->wanted_protocol &= ~names[i].protocol;
		return true;
	}
	return false;
}

/**
 * front_without() - Do not accept some features
 * @f:		front-end
 * @list:	names, with commas between them
 *
 * Return: false if there is no feature of one of these names
 */
bool front_without(struct front *f, const char *list)
{
	size_t len;

	for (;; list += len + 1) {
		len = strcspn(list, ",");
		if (!without(f, list, len))
			return false;
		if (!list[len])
			return true;
	}
}

/*
 * Memory.
 */

static size_t ring_bytes(const struct front *f)
{
	return (frontq_memory(f->size) + ALIGN - 1) / ALIGN * ALIGN;
}

static size_t table_bytes(const struct front *f)
{
	return f->size * FRONTQ_PIECES * sizeof(struct vring_desc);
}

/* place_queue() - Give a queue its part of the first region */
static void place_queue(struct front *f, unsigned int i)
{
	size_t step = ring_bytes(f) + table_bytes(f), offset = i * step;
	const struct region *r = &f->regions[0];
	struct frontq *q = &f->queues[i];

	q->name = i % 2 ? "TX" : "RX";
	q->size = (uint16_t)f->size;
	vring_init(&q->ring, f->size, r->p + offset, VRING_DESC_ALIGN_SIZE);
	offset += ring_bytes(f);
	q->tables = (void *)(r->p + offset);
	q->tables_gpa = r->gpa + offset;
	q->kick = q->call = -1;
}

/**
 * front_memory() - Make the memory that is shared with the back-end
 * @f:		front-end, with @size, @pairs and @buffers set
 */
void front_memory(struct front *f)
{
	size_t rings = 2 * f->pairs * (ring_bytes(f) + table_bytes(f));
	size_t size = rings + f->buffers;
	unsigned int i;
	uint8_t *p;

	f->memory = memfd_create("guest", MFD_CLOEXEC);
	if (f->memory < 0 || ftruncate(f->memory, (off_t)size))
		fail("memory: %s", strerror(errno));
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, f->memory, 0);
	if (p == MAP_FAILED)
		fail("memory: %s", strerror(errno));
	f->regions[0] = (struct region){ p, RINGS_GPA, 0, rings };
	f->regions[1] = (struct region){
		p + rings, BUFFERS_GPA, rings, f->buffers,
	};
	for (i = 0; i < 2 * f->pairs; i++)
		place_queue(f, i);
	f->requests = -1;
	f->errors = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

/*
 * Messages. Each function returns false if the connection is lost.
 */

static bool send_all(struct front *f, const struct header *h,
		     const void *payload, int fd)
{
	struct iovec iov[2] = {
		{ (void *)h, sizeof(*h) }, { (void *)payload, h->size },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(fd))];
	struct cmsghdr *c;

	if (fd >= 0) {
		memset(control, 0, sizeof(control));
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(f->sock, &msg, MSG_NOSIGNAL) ==
	       (ssize_t)(sizeof(*h) + h->size);
}

/* recv_exactly() - Receive @len bytes; fail if nothing comes within PATIENCE */
static bool recv_exactly(struct front *f, uint32_t request, void *p,
			 size_t len)
{
	ssize_t n = recv(f->sock, p, len, MSG_WAITALL);

	if (n < 0 && errno == EAGAIN)
		fail("no answer to message %u within %u s", request, PATIENCE);
	return n == (ssize_t)len;
}

/* get_reply() - Receive the answer to @request, with @len bytes of payload */
static bool get_reply(struct front *f, uint32_t request, void *p, uint32_t len)
{
	struct header h;

	if (!recv_exactly(f, request, &h, sizeof(h)))
		return false;
	if (h.request != request || h.flags != (VERSION | REPLY) ||
	    h.size != len)
		fail("answer to message %u: request %u, flags 0x%x, %u bytes",
		     request, h.request, h.flags, h.size);
	return recv_exactly(f, request, p, len);
}

static bool tell_fd(struct front *f, uint32_t request, const void *p,
		    size_t len, int fd)
{
	struct header h = { request, VERSION, (uint32_t)len };

	return send_all(f, &h, p, fd);
}

static bool tell(struct front *f, uint32_t request, const void *p, size_t len)
{
	return tell_fd(f, request, p, len, -1);
}

static bool tell_u64(struct front *f, uint32_t request, uint64_t value)
{
	return tell(f, request, &value, sizeof(value));
}

/* tell_sure() - Send a message; with REPLY_ACK, wait for its acknowledgement */
static bool tell_sure(struct front *f, uint32_t request, const void *p,
		      size_t len, int fd)
{
	struct header h = { request, VERSION | NEED_REPLY, (uint32_t)len };
	uint64_t failed;

	if (!(f->protocol & FEATURE(P_REPLY_ACK)))
		return tell_fd(f, request, p, len, fd);
	if (!send_all(f, &h, p, fd) ||
	    !get_reply(f, request, &failed, sizeof(failed)))
		return false;
	if (failed)
		fail("message %u failed", request);
	return true;
}

static bool ask_u64(struct front *f, uint32_t request, uint64_t *value)
{
	return tell(f, request, NULL, 0) &&
	       get_reply(f, request, value, sizeof(*value));
}

/*
 * The connection to the back-end.
 */

/* negotiate() - Accept the features that are offered and wanted, but offloads
 * only with the feature that they depend on: CSUM or GUEST_CSUM */
static uint64_t negotiate(const struct front *f, uint64_t offered)
{
	uint64_t got = offered & f->wanted;
	const uint64_t out = FEATURE(VIRTIO_NET_F_HOST_TSO4) |
		FEATURE(VIRTIO_NET_F_HOST_TSO6) | FEATURE(NET_F_HOST_USO);
	const uint64_t in = FEATURE(VIRTIO_NET_F_GUEST_TSO4) |
		FEATURE(VIRTIO_NET_F_GUEST_TSO6) | FEATURE(NET_F_GUEST_USO4) |
		FEATURE(NET_F_GUEST_USO6);

	if (!(got & FEATURE(VIRTIO_F_VERSION_1)))
		fail("the back-end does not offer VERSION_1");
	if (!(got & FEATURE(F_PROTOCOL_FEATURES)))
		fail("the back-end does not offer PROTOCOL_FEATURES");
	if (!(got & FEATURE(VIRTIO_NET_F_CSUM)))
		got &= ~(out | FEATURE(VIRTIO_NET_F_HOST_ECN));
	if (!(got & FEATURE(VIRTIO_NET_F_GUEST_CSUM)))
		got &= ~(in | FEATURE(VIRTIO_NET_F_GUEST_ECN));
	return got;
}

/* settle_protocol() - Negotiate protocol features, and do what they require */
static bool settle_protocol(struct front *f)
{
	uint64_t offered, n;
	int pair[2];
	bool sent;

	if (!ask_u64(f, GET_PROTOCOL_FEATURES, &offered))
		return false;
	f->protocol = offered & f->wanted_protocol;
	if (!tell_u64(f, SET_PROTOCOL_FEATURES, f->protocol))
		return false;
	if (f->protocol & FEATURE(P_MQ)) {
		if (!ask_u64(f, GET_QUEUE_NUM, &n))
			return false;
		if (n < f->pairs)
			fail("it has %u pairs of queues", (unsigned int)n);
	} else if (f->pairs > 1) {
		fail("it has only one pair of queues");
	}
	if (f->protocol & FEATURE(P_MEM_SLOTS)) {
		if (!ask_u64(f, GET_MAX_MEM_SLOTS, &n))
			return false;
		if (n < FRONT_REGIONS)
			fail("it takes %u memory regions", (unsigned int)n);
	}
	if (!(f->protocol & FEATURE(P_BACKEND_REQ)))
		return true;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		fail("socketpair: %s", strerror(errno));
	f->requests = pair[0];
	sent = tell_sure(f, SET_BACKEND_REQ_FD, NULL, 0, pair[1]);
	close(pair[1]);
	return sent;
}

static bool enable(struct front *f, bool on)
{
	struct wire_state state = { .num = on };

	for (; state.index < 2 * f->pairs; state.index++)
		if (!tell_sure(f, SET_VRING_ENABLE, &state, sizeof(state), -1))
			return false;
	return true;
}

/* early_calls() - Send eventfds for errors and, as qemu does, eventfds for
 * calls, which start_ring() replaces */
static bool early_calls(struct front *f)
{
	uint64_t i;
	bool sent;
	int fd;

	for (i = 0; i < 2 * f->pairs; i++) {
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		sent = tell_fd(f, SET_VRING_CALL, &i, sizeof(i), fd);
		close(fd);
		if (!sent || !tell_fd(f, SET_VRING_ERR, &i, sizeof(i),
				      f->errors))
			return false;
	}
	return true;
}

/* settle() - Exchange all messages that come before the guest's driver runs.
 * passt offers BACKEND_REQ only to a front-end that begins with SET_OWNER. qemu
 * sends SET_OWNER later. */
static bool settle(struct front *f)
{
	bool first = f->wanted_protocol & FEATURE(P_BACKEND_REQ);
	uint64_t offered;

	if (first && !tell(f, SET_OWNER, NULL, 0))
		return false;
	if (!ask_u64(f, GET_FEATURES, &offered))
		return false;
	f->features = negotiate(f, offered);
	if (!settle_protocol(f) || (!first && !tell(f, SET_OWNER, NULL, 0)) ||
	    !ask_u64(f, GET_FEATURES, &offered) || !early_calls(f))
		return false;
	if (f->protocol & FEATURE(P_RESET_DEVICE) &&
	    !tell(f, RESET_DEVICE, NULL, 0))
		return false;
	return enable(f, true);
}

/**
 * front_connect() - Connect to the back-end, and negotiate
 * @f:		front-end, not connected
 *
 * Return: false if there is no back-end, or it went away
 */
bool front_connect(struct front *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = PATIENCE };

	if (f->sock < 0) {
		if (!f->path || strlen(f->path) >= sizeof(sa.sun_path))
			fail("no path of a socket");
		strcpy(sa.sun_path, f->path);
		f->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(f->sock, (struct sockaddr *)&sa, sizeof(sa))) {
			front_lost(f);
			return false;
		}
	}
	setsockopt(f->sock, SOL_SOCKET, SO_RCVTIMEO, &patience,
		   sizeof(patience));
	if (settle(f))
		return true;
	front_lost(f);
	return false;
}

/**
 * front_lost() - Close the connection to a back-end that went away
 * @f:		front-end
 */
void front_lost(struct front *f)
{
	if (f->sock >= 0)
		close(f->sock);
	if (f->requests >= 0)
		close(f->requests);
	f->sock = f->requests = -1;
	f->running = f->shared = false;
}

/*
 * The rings.
 */

static struct wire_region wire_region(const struct region *r)
{
	return (struct wire_region){
		.gpa = r->gpa, .size = r->size, .user = (uintptr_t)r->p,
		.offset = r->offset,
	};
}

/* share_table() - Send all regions in one message, with a descriptor each */
static bool share_table(struct front *f)
{
	struct wire_table table = { .n = FRONT_REGIONS };
	struct header h = { SET_MEM_TABLE, VERSION, sizeof(table) };
	int fds[FRONT_REGIONS], i;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(fds))] = { 0 };
	struct iovec iov[2] = {
		{ &h, sizeof(h) }, { &table, sizeof(table) },
	};
	struct msghdr msg = {
		.msg_iov = iov, .msg_iovlen = 2,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	uint64_t failed = 0;
	bool sure = f->protocol & FEATURE(P_REPLY_ACK);

	for (i = 0; i < FRONT_REGIONS; i++) {
		table.regions[i] = wire_region(&f->regions[i]);
		fds[i] = f->memory;
	}
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	h.flags |= sure ? NEED_REPLY : 0;
	if (sendmsg(f->sock, &msg, MSG_NOSIGNAL) < 0 ||
	    (sure && !get_reply(f, SET_MEM_TABLE, &failed, sizeof(failed))))
		return false;
	if (failed)
		fail("SET_MEM_TABLE failed");
	return true;
}

static bool share_memory(struct front *f)
{
	struct wire_slot slot = { 0 };
	unsigned int i;

	if (!(f->protocol & FEATURE(P_MEM_SLOTS)))
		return share_table(f);
	if (f->shared)
		return true;
	f->shared = true;
	for (i = 0; i < FRONT_REGIONS; i++) {
		slot.region = wire_region(&f->regions[i]);
		if (!tell_sure(f, ADD_MEM_REG, &slot, sizeof(slot), f->memory))
			return false;
	}
	return true;
}

/* add_status() - Set bits of the device's status, and check the result */
static bool add_status(struct front *f, uint64_t bits)
{
	uint64_t old, now;

	if (!(f->protocol & FEATURE(P_STATUS)))
		return true;
	if (!ask_u64(f, GET_STATUS, &old) ||
	    !tell_u64(f, SET_STATUS, old | bits) ||
	    !ask_u64(f, GET_STATUS, &now))
		return false;
	if (now != (old | bits))
		fail("the status is 0x%x after 0x%x was set",
		     (unsigned int)now, (unsigned int)(old | bits));
	return true;
}

static bool tell_mtu(struct front *f)
{
	uint64_t mtu = f->mtu;

	if (!front_has(f, VIRTIO_NET_F_MTU) || !(f->protocol & FEATURE(P_MTU)))
		return true;
	return tell_sure(f, NET_SET_MTU, &mtu, sizeof(mtu), -1);
}

/* renew() - Replace an eventfd by a new one */
static void renew(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (*fd < 0)
		fail("eventfd: %s", strerror(errno));
}

/* start_ring() - Start a ring, empty or, if @again, at the last used buffer */
static bool start_ring(struct front *f, uint32_t i, bool again)
{
	struct frontq *q = &f->queues[i];
	struct wire_state num = { i, q->size }, base = { .index = i };
	struct wire_addr addr = {
		.index = i, .desc = (uintptr_t)q->ring.desc,
		.avail = (uintptr_t)q->ring.avail,
		.used = (uintptr_t)q->ring.used,
	};
	uint64_t index = i;

	q->event_idx = front_has(f, VIRTIO_RING_F_EVENT_IDX);
	q->indirect = front_has(f, VIRTIO_RING_F_INDIRECT_DESC);
	if (!again)
		frontq_reset(q);
	base.num = q->ring.used->idx;
	renew(&q->kick);
	if (q->call < 0)
		renew(&q->call);
	return tell(f, SET_VRING_NUM, &num, sizeof(num)) &&
	       tell(f, SET_VRING_BASE, &base, sizeof(base)) &&
	       tell(f, SET_VRING_ADDR, &addr, sizeof(addr)) &&
	       tell_fd(f, SET_VRING_KICK, &index, sizeof(index), q->kick) &&
	       tell_fd(f, SET_VRING_CALL, &index, sizeof(index), q->call);
}

/**
 * front_start() - Start the rings: the guest's driver is ready
 * @f:		front-end, connected
 * @again:	keep what is in the rings, as qemu does after a reconnection or
 *		a pause; otherwise they begin empty
 *
 * The back-end starts a ring at the first notification, so this sends one.
 *
 * Return: false if the back-end went away
 */
bool front_start(struct front *f, bool again)
{
	const uint64_t one = 1;
	uint32_t i;

	if (!tell_mtu(f) || !tell_u64(f, SET_FEATURES, f->features) ||
	    !add_status(f, VIRTIO_CONFIG_S_FEATURES_OK) || !share_memory(f))
		return false;
	for (i = 0; i < 2 * f->pairs; i++)
		if (!start_ring(f, i, again))
			return false;
	if (!add_status(f, STATUS_ALL) || !enable(f, true))
		return false;
	for (i = 0; i < 2 * f->pairs; i++)
		(void)!write(f->queues[i].kick, &one, sizeof(one));
	f->running = true;
	f->starts++;
	return true;
}

/**
 * front_stop() - Stop the rings, but keep what is in them
 * @f:		front-end, connected
 *
 * Return: false if the back-end went away
 */
bool front_stop(struct front *f)
{
	struct wire_state state = { 0 };
	const struct frontq *q;
	uint32_t i;

	f->running = false;
	for (i = 0; i < 2 * f->pairs; i++) {
		state = (struct wire_state){ .index = i };
		if (!tell(f, GET_VRING_BASE, &state, sizeof(state)) ||
		    !get_reply(f, GET_VRING_BASE, &state, sizeof(state)))
			return false;
		q = &f->queues[i];
		if (state.index != i || state.num != q->ring.used->idx)
			fail("%s ring %u stopped as %u at %u, used %u",
			     q->name, i, state.index, state.num,
			     q->ring.used->idx);
	}
	return true;
}

/**
 * front_reset() - Reset the device and start it again, as a guest's driver does
 * @f:		front-end, connected
 *
 * Return: false if the back-end went away
 */
bool front_reset(struct front *f)
{
	if (!front_stop(f))
		return false;
	if (f->protocol & FEATURE(P_STATUS) && !tell_u64(f, SET_STATUS, 0))
		return false;
	if (f->protocol & FEATURE(P_RESET_DEVICE) &&
	    !tell(f, RESET_DEVICE, NULL, 0))
		return false;
	return enable(f, true) && front_start(f, false);
}
