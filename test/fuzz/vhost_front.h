/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * vhost_front.h - The front-end for the fuzz target vhost_ring.c. Each function
 * gives a message to the link, and the same information to the model. While the
 * model is exact, the link must accept a message if and only if the model does.
 * A fuzz target includes this once.
 */
#ifndef TEST_FUZZ_VHOST_FRONT_H
#define TEST_FUZZ_VHOST_FRONT_H

#include <sys/epoll.h>

#include "test/fuzz/vhost_guest.h"

#define PAIRS		2	/* pairs of rings; each input uses one */

/* Address of ring @i, which has at most 64 entries, as an argument of
 * guest_addr(). */
#define RING_AT(i)	((i) * 0x1000U)

/**
 * struct world - State of an input, and of the link, which several inputs use
 * @sock:	the front-end's end of the link's socket
 * @kick, @call: eventfds for all rings
 * @pair:	pair of rings that this input uses
 * @closed:	number of open descriptors that do not belong to the link
 * @inputs:	number of inputs that have used the link
 * @open:	the link is open
 * @dirty:	the next input needs a new link
 * @exact:	the model does exactly what the link must do; false: only limits
 *		are checked
 * @dead:	the link has failed
 * @drawn:	number of frames that passt has sent in this input
 * @now:	simulated time, ms
 */
static struct world {
	int sock, kick, call;
	unsigned int pair, closed, inputs;
	bool open, dirty, exact, dead;
	unsigned int drawn;
	uint64_t now;
} w;

static struct vhost_user v;

UNCOUNTED

/* ring_of() - Return the number that messages use for ring @i of the pair */
static unsigned int ring_of(unsigned int i)
{
	return 2 * w.pair + i;
}

/* queue_now() - Return the link's queue for the pair of rings in use */
static struct link_queue *queue_now(void)
{
	return &v.queue[w.pair];
}

/**
 * say_message() - Let the link handle a message as receive_messages() does, but
 * without a socket, which would take most of the time. (vhost_msg.c in this
 * folder sends messages through a socket.)
 * @fds, @n:	descriptors of the message, and their number
 *
 * Return: 0, or -EPROTO if the link must be closed
 */
static int say_message(uint32_t request, const void *payload, uint32_t size,
		       const int *fds, unsigned int n)
{
	struct vhost_message *m = &v.msg;
	unsigned int i;
	int rc;

	m->request = request;
	m->flags = 1;
	m->size = size;
	memcpy(m->payload, payload, size);
	for (i = 0; i < n; i++)
		m->fds[i] = dup(fds[i]);
	m->nfds = n;
	rc = handle_message(&v, m);
	if (!rc)
		rc = start_rings(&v);
	vhost_close_fds(m);
	return rc;
}

static int say_u64(uint32_t request, uint64_t value)
{
	return say_message(request, &value, sizeof(value), NULL, 0);
}

static int say_state(uint32_t request, unsigned int i, uint32_t num)
{
	const struct vring_state s = { ring_of(i), num };

	return say_message(request, &s, sizeof(s), NULL, 0);
}

/* say_fd() - Give the link the kick or call descriptor of ring @i */
static int say_fd(uint32_t request, unsigned int i, int fd)
{
	const uint64_t index = ring_of(i);

	return say_message(request, &index, sizeof(index), &fd, 1);
}

/* user_addr() - Return the address in the front-end of the byte that has the
 * physical address guest_addr(@x) */
static uint64_t user_addr(uint32_t x)
{
	uint64_t addr = guest_addr(x);
	unsigned int i;

	for (i = 0; i < PLACES; i++) {
		if (addr - place[i].guest < place[i].size)
			return addr - place[i].guest + place[i].user;
	}
	return x;
}

/* say_addr() - Tell the link and the model where the parts of ring @i are.
 * @desc, @avail and @used are arguments of guest_addr() */
static int say_addr(unsigned int i, uint32_t desc, uint32_t avail,
		     uint32_t used)
{
	struct ring *r = &model.ring[i];
	const struct vring_addr a = {
		.index = ring_of(i), .desc = user_addr(desc),
		.avail = user_addr(avail), .used = user_addr(used),
	};
	size_t one = 1;

	r->desc = file_offset(desc, &one);
	r->avail = file_offset(avail, &one);
	r->used = file_offset(used, &one);
	return say_message(SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
}

/* is_shared() - Whether a range of the file lies in one region that the link
 * knows */
static bool is_shared(uint32_t off, uint32_t len)
{
	unsigned int i;

	for (i = 0; i < PLACES; i++) {
		if (shared.present >> i & 1 && off >= place[i].offset &&
		    off + len <= place[i].offset + place[i].size)
			return true;
	}
	return false;
}

/* is_placed() - Whether all parts of a ring are aligned and in shared memory */
static bool is_placed(const struct ring *r)
{
	return !(r->desc % 16) && !(r->avail % 2) && !(r->used % 4) &&
	       is_shared(r->desc, 16 * r->size) &&
	       is_shared(r->avail, 6 + 2 * r->size) &&
	       is_shared(r->used, used_len(r));
}

/* model_start() - Start a ring in the model if it can start now; false if the
 * link must fail instead. Called after each kick and each message */
static bool model_start(struct ring *r)
{
	if (r->runs || !r->kicked || !r->size || !shared.present)
		return true;
	if (!is_placed(r))
		return false;
	r->runs = true;
	r->next_used = r->published = read16(r->used + 2);
	model.blocked = false;
	return true;
}

static bool model_starts(void)
{
	return model_start(&model.ring[0]) && model_start(&model.ring[1]);
}

static void model_stop(struct ring *r)
{
	if (r->runs)
		model_flush();
	r->runs = r->kicked = false;
	model.blocked = false;
}

static void model_end(struct ring *r)
{
	model_stop(r);
	r->has_kick = false;
}

/* leave_model() - Stop using the model in this input, because the model can't
 * predict what the link does from here on */
static void leave_model(void)
{
	w.exact = false;
	model.nto = 0;
}

/* settle() - Note whether the link has failed (@rc < 0). While the model is
 * exact, the link must fail exactly if the model has rejected the step
 * (!@ok) */
static void settle(int rc, bool ok)
{
	if (w.exact)
		MUST((rc < 0) == !ok);
	w.dead = w.dead || rc < 0;
}

/* kick_ring() - Let the link handle an event of a kick descriptor */
static void kick_ring(unsigned int i)
{
	struct ring *r = &model.ring[i];
	bool ok = true;

	if (r->has_kick) {
		r->kicked = true;
		ok = model_start(r);
		if (i == GUEST)
			model.blocked = false;
	}
	settle(link_event(&v.link, FD_KICK + ring_of(i), EPOLLIN), ok);
}

static void give_kick(unsigned int i)
{
	model.ring[i].has_kick = true;
	settle(say_fd(SET_VRING_KICK, i, w.kick), model_starts());
}

/*
 * The link.
 */

static void see_frames(struct link_observer *o, bool to_guest,
		       const struct frame *frames, unsigned int n);
static struct link_observer observer = { .see = see_frames };

/* say_memory() - Give the link a table of regions. Bit i of @present is set if
 * region i is in the table */
static int say_memory(unsigned int present)
{
	struct mem_table t = { 0 };
	int fds[PLACES];
	unsigned int i;

	for (i = 0; i < PLACES; i++) {
		if (!(present >> i & 1))
			continue;
		fds[t.n] = shared.fd;
		t.region[t.n++] = region_of(i);
	}
	shared.present = present;
	return say_message(SET_MEM_TABLE, &t,
			   (uint32_t)(offsetof(struct mem_table, region) +
				      t.n * sizeof(*t.region)), fds, t.n);
}

/* open_link() - Open a link, and send the messages that are the same for all
 * inputs */
static void open_link(void)
{
	unsigned int i;
	int ends[2];

	MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	w.sock = ends[1];
	guest_mem_catch_faults();
	MUST(!vhost_user_open(&v, ends[0]));
	link_observe(&v.link, &observer);
	MUST(!say_memory((1U << PLACES) - 1));
	for (w.pair = 0; w.pair < PAIRS; w.pair++) {
		for (i = 0; i < RINGS; i++) {
			MUST(!say_fd(SET_VRING_CALL, i, w.call));
			MUST(!say_fd(SET_VRING_KICK, i, w.kick));
		}
	}
	w.pair = 0;
	w.open = true;
	w.dirty = false;
	w.inputs = 0;
}

static void close_link(void)
{
	link_close(&v.link);
	MUST(!v.queue->link);
	close(w.sock);
	check_closed(w.closed);
	w.open = false;
}

/* do_overlap_ranges() - Whether any two of @n ranges have a byte in common */
static bool do_overlap_ranges(const struct range *r, unsigned int n)
{
	unsigned int i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; k < i; k++) {
			if (r[i].off < r[k].off + r[k].len &&
			    r[k].off < r[i].off + r[i].len)
				return true;
		}
	}
	return false;
}

/* are_apart() - Whether all parts of the rings are apart. If two parts overlap,
 * passt changes one of them by writing to the other, in an order that the model
 * does not know */
static bool are_apart(void)
{
	const struct ring *a = &model.ring[0], *b = &model.ring[1];
	const struct range r[] = {
		{ a->desc, 16 * a->size }, { a->avail, 6 + 2 * a->size },
		{ a->used, used_len(a) }, { b->desc, 16 * b->size },
		{ b->avail, 6 + 2 * b->size }, { b->used, used_len(b) },
	};

	return !do_overlap_ranges(r, ARRAY_SIZE(r));
}

/* say_ring() - Send the messages that set up ring @i. The link has the ring's
 * kick descriptor already */
static void say_ring(unsigned int i, unsigned int size, uint16_t base)
{
	struct ring *r = &model.ring[i];

	*r = (struct ring){
		.size = size, .next_avail = base, .has_kick = true,
		.enabled = true, .calls = v.ring[ring_of(i)].vq.calls,
	};
	MUST(!say_state(SET_VRING_NUM, i, size));
	MUST(!say_state(SET_VRING_BASE, i, base));
	MUST(!say_addr(i, RING_AT(i), RING_AT(i) + 0x400, RING_AT(i) + 0x600));
	if (!v.ring[ring_of(i)].enabled)
		MUST(!say_state(SET_VRING_ENABLE, i, 1));
}

static int say_features(uint64_t features)
{
	model.features = features;
	model.hdr_len = model_has(VIRTIO_NET_F_MRG_RXBUF) ||
			model_has(VIRTIO_F_VERSION_1) ? 12 : 10;
	if (!model_has(F_PROTOCOL_FEATURES))
		model.ring[0].enabled = model.ring[1].enabled = true;
	return say_u64(SET_FEATURES, features);
}

/* features_of() - Return all features except those that the bits of @a of the
 * step name */
static uint64_t features_of(const struct step *s)
{
	uint64_t less = 0;
	unsigned int i;
	static const unsigned int bit[] = {
		VIRTIO_NET_F_MRG_RXBUF, VIRTIO_RING_F_EVENT_IDX,
		VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4,
		VIRTIO_NET_F_GUEST_USO4, VIRTIO_F_VERSION_1,
		F_PROTOCOL_FEATURES, VIRTIO_RING_F_INDIRECT_DESC,
	};

	for (i = 0; i < ARRAY_SIZE(bit); i++) {
		if (s->a >> i & 1)
			less |= BIT(bit[i]);
	}
	return FEATURES & ~less;
}

/*
 * Messages of the front-end while rings run.
 */

static void front_stop(unsigned int i)
{
	struct ring *r = &model.ring[i];
	uint8_t reply[20];
	uint32_t num;
	int rc;

	model_end(r);
	rc = say_state(GET_VRING_BASE, i, 0);
	settle(rc, model_starts());
	if (rc < 0)
		return;
	MUST(recv(w.sock, reply, sizeof(reply), MSG_DONTWAIT) ==
	     sizeof(reply));
	memcpy(&num, reply + 16, sizeof(num));
	MUST(!w.exact || num == r->next_avail);
	w.dirty = true;
}

static void front_enable(unsigned int i, bool on)
{
	if (model.ring[i].runs)
		model_flush();
	model.ring[i].enabled = on;
	model.blocked = false;
	settle(say_state(SET_VRING_ENABLE, i, on), model_starts());
}

static void front_features(const struct step *s)
{
	model_flush();
	settle(say_features(features_of(s)), model_starts());
}

static void front_reset(bool status)
{
	unsigned int i;

	for (i = 0; i < RINGS; i++) {
		model_end(&model.ring[i]);
		model.ring[i].enabled = false;
	}
	settle(status ? say_u64(SET_STATUS, 0) :
	       say_message(RESET_DEVICE, "", 0, NULL, 0), true);
	w.dirty = true;
}

/* are_placed() - Whether is_placed() holds for all rings that run */
static bool are_placed(void)
{
	unsigned int i;

	for (i = 0; i < RINGS; i++) {
		if (model.ring[i].runs && !is_placed(&model.ring[i]))
			return false;
	}
	return true;
}

/* front_memory() - Change the shared memory. If the lower two bits of @a are 0,
 * @b is the argument of say_memory(). Otherwise @b is the index of a region,
 * which is removed (if @a is odd) or added */
static void front_memory(const struct step *s)
{
	struct mem_single m = { .region = region_of(s->b % PLACES) };
	unsigned int bit = 1U << s->b % PLACES;
	bool ok, gone = shared.present & bit;
	int rc;

	w.dirty = true;
	if (!(s->a & 3)) {
		model_flush();
		rc = say_memory(s->b % (1U << PLACES));
		settle(rc, are_placed() && model_starts());
		return;
	}
	if (s->a & 1) {
		model_flush();
		shared.present &= ~bit;
		rc = say_message(REM_MEM_REG, &m, sizeof(m), NULL, 0);
		ok = gone && are_placed() && model_starts();
	} else {
		shared.present |= bit;
		rc = say_message(ADD_MEM_REG, &m, sizeof(m), &shared.fd, 1);
		ok = !gone && model_starts();
	}
	settle(rc, ok);
}

/* front_ring() - Set the size, the base or the addresses of a ring again. In
 * the step, @a is the ring, and @b tells what is set */
static void front_ring(const struct step *s)
{
	unsigned int i = s->a & 1;
	struct ring *r = &model.ring[i];
	int rc;

	switch (s->b % 3) {
	case 0:
		model_stop(r);
		r->size = 1U << s->c % 7;
		guest.at[i] = 0;
		rc = say_state(SET_VRING_NUM, i, r->size);
		break;
	case 1:
		model_stop(r);
		r->next_avail = s->x;
		rc = say_state(SET_VRING_BASE, i, s->x);
		break;
	default:
		if (r->runs)
			model_flush();
		rc = say_addr(i, s->x, s->y, s->z);
	}
	settle(rc, are_placed() && model_starts());
	if (!are_apart())
		leave_model();
}

COUNTED

#endif /* TEST_FUZZ_VHOST_FRONT_H */
