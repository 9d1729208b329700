// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * vhost_ring.c - libFuzzer target: whatever a guest writes to its rings and
 * buffers, the vhost-user link does the same as a slow and simple model, byte
 * for byte, and the packets that tap makes of the guest's frames are valid.
 *
 * An input is a list of steps (steps.h) of a guest, of passt and of the
 * front-end. The first step selects features and rings. The model does each
 * step first, in a copy of the guest's memory, and then the link does it. After
 * GUEST_RACE, the guest changes its memory while the link reads it. The model
 * can't predict what the link reads then, so only limits are checked from there
 * on: for example, that the link writes only to buffers that it has looked up.
 */
#include "tap.h"
#include "test/fuzz/vhost_front.h"

#define SLOTS		16	/* slots of a link_slots() call, at most */
#define KEEP_OPEN	64	/* inputs that use one link, at most */

/* Addresses that the link may look up in one step, at most. */
#define CALLS_MAX	(LINK_BURST * (VHOST_FRAME_PIECES + 2))

/* Number of descriptors of an open link: two ends of its socket, and a kick and
 * a call descriptor for each ring. */
#define LINK_HAS	(2 + 2 * PAIRS * RINGS)

/* Steps. RING in seeds.py lists them in the same order. */
enum op {
	GUEST_DESC,		/* write a descriptor */
	GUEST_AVAIL,		/* make a chain available */
	GUEST_INDEX,		/* set the index of the available ring */
	GUEST_POST,		/* give passt receive buffers, as drivers do */
	GUEST_SEND,		/* send a frame, as drivers do */
	GUEST_POKE,		/* write any bytes to the guest's memory */
	GUEST_EVENT,		/* ask for notifications, or for none */
	GUEST_RACE,		/* write a byte while the link reads */
	PASST_REFILL,		/* receive frames */
	PASST_BURST,		/* receive frames, and parse them */
	PASST_SEND,		/* get slots, and commit some of them */
	PASST_FLUSH,		/* flush */
	PASST_STALLED,		/* call link_stalled() */
	FRONT_KICK,		/* kick a ring */
	FRONT_STOP,		/* stop a ring (GET_VRING_BASE) */
	FRONT_START,		/* give a ring a kick descriptor, and kick it */
	FRONT_ENABLE,		/* enable or disable a ring */
	FRONT_RESET,		/* reset the device */
	FRONT_FEATURES,		/* set other features */
	FRONT_MEMORY,		/* add, remove or replace regions of memory */
	FRONT_RING,		/* set size, base or addresses of a ring */
	FRONT_CUT,		/* truncate the file; this ends the input */
	OPS,
};

/* OP_OF() returns the step that the byte @op of an input stands for. Only bytes
 * from 192 on stand for steps of the front-end, so these steps are rare. */
#define OPS_OFTEN	FRONT_KICK
#define OP_OF(byte)	((byte) < 192 ? (byte) % OPS_OFTEN : (byte) % OPS)

/**
 * struct balance - State of a ring when it started
 * @runs:	the ring runs
 * @taken, @returned: indexes of the available ring and of the used ring when
 *		the ring started
 */
static struct balance {
	bool runs;
	uint16_t taken, returned;
} balance[RINGS];

static struct tap tap;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

UNCOUNTED

/*
 * passt.
 */

/* check_pieces() - Check that the pieces of a frame are the ranges @r of the
 * model, without the first @skip bytes of these ranges */
static void check_pieces(const struct iovec *iov, unsigned int cnt,
			 const struct range *r, size_t skip, size_t len)
{
	size_t n;

	for (; len; r++) {
		if (skip >= r->len) {
			skip -= r->len;
			continue;
		}
		n = MIN(len, r->len - skip);
		MUST(cnt-- && iov->iov_len == n &&
		     offset_of(iov->iov_base) == (int64_t)(r->off + skip));
		iov++;
		len -= n;
		skip = 0;
	}
	MUST(!cnt);
}

/* check_meta() - Check that the metadata of a frame from the guest says the
 * same as the frame's virtio-net header */
static void check_meta(const struct mframe *f, const struct frame_meta *m)
{
	static const uint8_t gso[] = {
		LINK_GSO_NONE, LINK_GSO_TCP4, VHOST_GSO_UNKNOWN,
		VHOST_GSO_UNKNOWN, LINK_GSO_TCP6, LINK_GSO_UDP,
	};
	struct virtio_net_hdr_v1 h;
	unsigned int type;

	memcpy(&h, f->head, sizeof(h));
	type = h.gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	MUST(m->gso == (type < sizeof(gso) ? gso[type] : VHOST_GSO_UNKNOWN));
	MUST(m->gso_size == h.gso_size);
	if (!(h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		MUST(m->csum == LINK_CSUM_FULL);
		return;
	}
	MUST(m->csum == LINK_CSUM_PARTIAL && m->csum_start == h.csum_start &&
	     m->csum_offset == h.csum_offset);
}

/* check_bounds() - Check that a frame lies in the guest's memory */
static void check_bounds(const struct frame *f)
{
	unsigned int i;
	size_t len = 0;

	for (i = 0; i < f->iovcnt; i++) {
		MUST(offset_of(f->iov[i].iov_base) >= 0);
		len += f->iov[i].iov_len;
	}
	MUST(len == f->len && len <= LINK_GSO_MAX);
}

/* see_frames() - Observe the link, and check frames from the guest before tap
 * parses them */
static void see_frames(struct link_observer *o, bool to_guest,
		       const struct frame *frames, unsigned int n)
{
	const struct mframe *f;
	unsigned int i;

	(void)o;
	for (i = 0; i < n && !to_guest; i++)
		check_bounds(&frames[i]);
	if (to_guest || !w.exact)
		return;
	MUST(n == model.nframes);
	for (i = 0; i < n; i++) {
		f = &model.frame[i];
		MUST(frames[i].len == f->len);
		check_pieces(frames[i].iov, frames[i].iovcnt, f->raw,
			     model.hdr_len, f->len);
		check_meta(f, &frames[i].meta);
	}
}

/* check_pkt() - Check the lengths in a packet, and read all its bytes, so that
 * the address sanitizer sees a pointer that is wrong */
static void check_pkt(const struct pkt *p)
{
	static uint8_t copy[IP_LEN_MAX];
	size_t len = 0;
	unsigned int i;

	for (i = 0; i < p->iovcnt; i++)
		len += p->iov[i].iov_len;
	MUST(len == p->len);
	MUST(pkt_copy(p, copy, sizeof(copy)) == len);
	csum_add(p->l3, (size_t)p->l3len + p->l4len, 0);
	if (p->csum_partial)
		pkt_csum(p);
	MUST(!p->gso_size || (p->gso_size <= p->len && p->csum_partial &&
			      (p->proto == IPPROTO_TCP ||
			       p->proto == IPPROTO_UDP)));
}

/* passt_refill() - Receive and release a burst of frames; @parse: tap receives
 * the frames, and parses them */
static void passt_refill(bool parse)
{
	bool ok = !w.exact || model_burst();
	struct link_queue *q = queue_now();
	unsigned int i;
	int rc;

	q->more = false;
	tap_use_queue(&tap, w.pair);
	rc = parse ? tap_recv_burst(&tap, w.now) : link_refill(q);
	settle(rc, ok);
	if (rc < 0)
		return;
	MUST(rc <= LINK_BURST && (!w.exact || rc == (int)model.nframes));
	MUST(!w.exact || q->more == !!model.ntaken);
	for (i = 0; parse && i < tap.npkt; i++)
		check_pkt(&tap.pkt[i]);
	if (w.exact)
		model_release();
	if (parse)
		tap_release(&tap);
	else
		link_release(q);
}

/* check_slots() - Check that the pieces of slots are those of the model */
static void check_slots(const struct link_slot *slot, unsigned int n)
{
	const struct mframe *s;
	unsigned int i;
	size_t first;

	for (i = 0; i < n && w.exact; i++) {
		s = &model.slot[model.nto + i];
		first = s->bounce ? MIN(s->len, LINK_HEADERS) : 0;
		if (s->bounce)
			MUST(slot[i].iov->iov_len == first &&
			     offset_of(slot[i].iov->iov_base) < 0);
		check_pieces(slot[i].iov + s->bounce, slot[i].cnt - s->bounce,
			     s->raw, model.hdr_len + first, s->len - first);
	}
}

/* meta_of() - Return metadata that the link accepts, chosen by bits of @a of
 * the step; @max is set to the length of the longest frame with such
 * metadata */
static struct frame_meta meta_of(const struct step *s, size_t *max)
{
	const struct link_caps *c = &v.link.caps;
	struct frame_meta m = { 0 };

	*max = c->max_frame;
	if (!c->csum_to_guest || !(s->a & 3))
		return m;
	m.csum = LINK_CSUM_PARTIAL;
	m.csum_start = ETH_HLEN + (s->a & 4 ? IP6_HLEN : IP4_HLEN);
	m.csum_offset = 16;
	if (!(s->a & 2) || !c->gso_max)
		return m;
	*max = c->gso_max;
	m.gso_size = 1000;
	m.gso = s->a & 4 ? LINK_GSO_TCP6 : LINK_GSO_TCP4;
	if (s->a & 8 && c->uso_to_guest)
		m.gso = LINK_GSO_UDP;
	return m;
}

/* next_pattern() - Return the bytes of the next frame */
static const uint8_t *next_pattern(void)
{
	return guest.pattern + w.drawn++ * 251 % LINK_GSO_MAX;
}

/* commit_frame() - Write a frame into a slot, and commit the slot unless @m is
 * NULL */
static void commit_frame(const struct link_slot *slot, size_t len,
			 const struct frame_meta *m)
{
	const uint8_t *bytes = next_pattern();

	link_slot_write(slot, 0, bytes, len);
	if (m)
		link_commit(queue_now(), slot, len, *m);
	if (m && w.exact)
		model_commit(bytes, len, *m);
	else if (w.exact)
		model_scribble(&model.slot[model.nto], bytes, len);
}

/* passt_flush() - Flush the queue, as at the end of a pass */
static void passt_flush(void)
{
	bool ok = !v.error;
	int rc;

	if (w.exact)
		model_flush();
	rc = link_flush(queue_now());
	MUST(!queue_now()->nto_guest);
	settle(rc, ok);
}

/* passt_send() - Send frames. Of the step, @a is passed to meta_of(), and the
 * frames are long if @a & 64; @b is the number of slots; @c is the number of
 * frames; @x is the length of each frame; @y says how many bytes shorter than
 * the others the last frame is. The slot after the last frame is written, but
 * not committed */
static void passt_send(const struct step *s)
{
	unsigned int n = s->b % SLOTS + 1U, got, want = 0, i;
	struct link_slot slot[SLOTS];
	struct frame_meta m;
	size_t len, least, max, shorter;
	bool ok = true;

	m = meta_of(s, &max);
	least = m.csum ? ETH_HLEN + IP6_HLEN + TCP_HLEN : ETH_HLEN;
	len = MIN(MAX(s->a & 64 ? s->x : s->x % 2000, least), max);
	if (w.exact)
		ok = model_slots(MAX(len, LINK_FRAME_MIN), n, &want);
	seen.slots = true;
	got = link_slots(queue_now(), len, n, slot);
	seen.slots = false;
	MUST(got <= n && (!w.exact || (got == want && !v.error == ok)));
	MUST(!w.exact || queue_now()->blocked == model.blocked);
	check_slots(slot, got);
	n = MIN(s->c % (SLOTS + 1U), got);
	shorter = n ? s->y % (len - least + 1) : 0;
	for (i = 0; i < n; i++)
		commit_frame(&slot[i], i < n - 1 ? len : len - shorter, &m);
	if (n < got && !shorter)
		commit_frame(&slot[n], len, NULL);
	if (v.error)
		passt_flush();
}

/* front_cut() - Truncate the file of the guest's memory, and go on until the
 * link fails. The first flush after an access to memory beyond the end of the
 * file must fail */
static void front_cut(const struct step *s)
{
	struct step send = { .x = s->y, .b = s->b, .c = s->c, .a = s->a };
	sig_atomic_t fault;
	unsigned int i;

	leave_model();
	shared_cut(s->x & 0x1ffff);
	for (i = 0; i < 4 && !w.dead; i++) {
		passt_refill(s->a & 1);
		if (!w.dead)
			passt_send(&send);
		if (w.dead)
			break;
		fault = faults;
		passt_flush();
		MUST(w.dead || !fault);
	}
	w.dead = w.dirty = true;
}

/* guest_step() - Do a step of the guest */
static void guest_step(enum op op, const struct step *s)
{
	unsigned int i = s->a & 1;

	if (op == GUEST_DESC)
		guest_desc(s);
	else if (op == GUEST_AVAIL)
		put_avail(i, s->b);
	else if (op == GUEST_INDEX)
		put_index(i, s->x);
	else if (op == GUEST_POST)
		guest_post(s);
	else if (op == GUEST_SEND)
		guest_send(s);
	else if (op == GUEST_POKE)
		guest_poke(s);
	else if (op == GUEST_EVENT)
		guest_event(s);
	if (op != GUEST_RACE)
		return;
	leave_model();
	guest_race(s);
}

/* passt_step() - Do a step of passt. A queue is not used before a ring of the
 * queue has started */
static void passt_step(enum op op, const struct step *s)
{
	if (!queue_now()->link)
		return;
	if (op == PASST_REFILL)
		passt_refill(false);
	else if (op == PASST_BURST)
		passt_refill(true);
	else if (op == PASST_SEND)
		passt_send(s);
	else if (op == PASST_FLUSH)
		passt_flush();
	else
		link_stalled(queue_now());
}

static void front_step(enum op op, const struct step *s)
{
	unsigned int i = s->a & 1;

	if (op == FRONT_START)
		give_kick(i);
	if (op == FRONT_KICK || (op == FRONT_START && !w.dead))
		kick_ring(i);
	else if (op == FRONT_STOP)
		front_stop(i);
	else if (op == FRONT_ENABLE)
		front_enable(i, s->b & 1);
	else if (op == FRONT_RESET)
		front_reset(i);
	else if (op == FRONT_FEATURES)
		front_features(s);
	else if (op == FRONT_MEMORY)
		front_memory(s);
	else if (op == FRONT_RING)
		front_ring(s);
	else if (op == FRONT_CUT)
		front_cut(s);
}

/* used_ring() - Return the range of the file that the used ring takes. The
 * range is empty if the ring does not run */
static struct range used_ring(unsigned int i)
{
	const struct ring *r = &model.ring[i];
	const struct virtqueue *q = &v.ring[ring_of(i)].vq;

	return (struct range){ r->used, q->desc ? used_len(r) : 0 };
}

/* check_balance() - Check that the link has returned as many chains of each
 * ring as it has taken since the ring started */
static void check_balance(void)
{
	struct balance *b;
	const struct virtqueue *q;
	unsigned int i;

	for (i = 0; i < RINGS; i++) {
		b = &balance[i];
		q = &v.ring[ring_of(i)].vq;
		if (q->desc && !b->runs)
			*b = (struct balance){
				true, q->next_avail, q->published,
			};
		b->runs = q->desc;
		MUST(!b->runs || (uint16_t)(q->next_avail - b->taken) ==
		     (uint16_t)(q->published - b->returned));
	}
}

/* check_rings() - Check that each ring of the link has the same state as in the
 * model */
static void check_rings(void)
{
	const struct virtqueue *q;
	const struct ring *r = &model.ring[GUEST];
	unsigned int i;

	MUST(!queue_now()->link || queue_now()->unused ==
	     (w.pair && !(r->runs && r->enabled)));
	for (i = 0; i < RINGS; i++) {
		r = &model.ring[i];
		q = &v.ring[ring_of(i)].vq;
		MUST(q->next_avail == r->next_avail && q->calls == r->calls &&
		     !!q->desc == r->runs);
		MUST(!r->runs || (q->published == r->published &&
				  q->next_used == r->next_used));
	}
}

/* run_step() - Do a step, and check that the link has done the same as the
 * model, and has written only where it may write */
static void run_step(const struct step *s)
{
	struct range used[] = {
		used_ring(0), used_ring(1), { 0, 0 }, { 0, 0 },
	};
	enum op op = OP_OF(s->op);
	unsigned int i;

	seen.calls = 0;
	w.now += 1 + s->w % 512;
	if (op < PASST_REFILL) {
		guest_step(op, s);
		return;
	}
	if (op < FRONT_KICK)
		passt_step(op, s);
	else
		front_step(op, s);
	MUST(seen.calls <= CALLS_MAX);
	used[2] = used_ring(0);
	used[3] = used_ring(1);
	for (i = 0; i < ARRAY_SIZE(used) && !w.exact; i++)
		may_write(used[i].off, used[i].len);
	if (!w.exact)
		may_write_grants();
	else if (!w.dead)
		check_rings();
	if (!w.dead)
		check_balance();
	check_memory();
	if (!queue_now()->nto_guest)
		seen.ngrants = 0;
}

/*
 * An input.
 */

/* stop_rings() - Stop the rings that the last input has used */
static void stop_rings(void)
{
	unsigned int i;

	for (i = 0; i < RINGS; i++) {
		if (v.ring[ring_of(i)].vq.desc)
			MUST(!say_state(SET_VRING_NUM, i, 1));
	}
}

/**
 * begin_input() - Set up the guest's memory, the link and the model
 * @s:		first step: @a is for features_of(), each half of @b is for the
 *		size of a ring, and @w is the first index of the rings. Bits of
 *		@c: 1, 2: the first, the second ring does not start; 4: the
 *		parts of the first ring are at @x, @y and @z; 8: the input uses
 *		the second pair
 */
static void begin_input(const struct step *s)
{
	unsigned int i;

	/* Count again for each input: between inputs, libFuzzer opens and
	 * closes descriptors, too. */
	w.closed = count_fds() - (w.open ? LINK_HAS : 0);
	shared_reset();
	if (!w.open)
		open_link();
	shared.present = (1U << PLACES) - 1;
	w.dead = false;
	w.now = 1;
	w.drawn = 0;
	memset(guest.at, 0, sizeof(guest.at));
	memset(&model, 0, offsetof(struct model, ring));
	model.nto = model.nchain = model.committed_chains = model.ntaken = 0;
	model.used = model.committed = model.nbounce = 0;
	tap_init(&tap, &v.link, v.queue, tap.net);

	MUST(!say_features(features_of(s)));
	stop_rings();
	w.pair = s->c >> 3 & 1;
	for (i = 0; i < RINGS; i++) {
		say_ring(i, 1U << (s->b >> 4 * i & 15) % 7, s->w);
		guest.avail[i] = s->w;
	}
	if (s->c & 4)
		MUST(!say_addr(0, s->x, s->y, s->z));
	w.exact = are_apart();
	for (i = 0; i < RINGS; i++) {
		guest_write(model.ring[i].avail + 2, &s->w, 2);
		guest_write(model.ring[i].used + 2, &s->w, 2);
	}
	memset(balance, 0, sizeof(balance));
	for (i = 0; i < RINGS && !w.dead; i++) {
		if (!(s->c >> i & 1))
			kick_ring(i);
	}
	if (!w.dead)
		check_balance();
}

/* forgive_guest() - If the link must be closed only because the guest broke a
 * rule of virtio, let the next input use it anyway. Opening a new link would
 * take as long as all steps of an input */
static void forgive_guest(void)
{
	if (!v.error || w.dirty)
		return;
	v.error = 0;
	v.pair[w.pair].ntaken = 0;
	queue_now()->nfrom_guest = queue_now()->nto_guest = 0;
	w.dead = false;
}

/* end_input() - Flush the link, close it if the next input can't use it, and
 * check that no descriptor is lost */
static void end_input(void)
{
	tap_guest_gone(&tap);
	if (!w.dead && queue_now()->nto_guest) {
		model_flush();
		MUST(link_flush(queue_now()) >= 0 || !w.exact);
	}
	forgive_guest();
	if (w.dead || w.dirty || ++w.inputs == KEEP_OPEN)
		close_link();
	else
		MUST(count_fds() == w.closed + LINK_HAS);
}

static void start_target(void)
{
	static struct net net;
	size_t i;

	csum_init();
	shared_open();
	tap.net = &net;
	w.kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w.call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	guest.pattern = malloc(PATTERN);
	MUST(w.kick >= 0 && w.call >= 0 && guest.pattern);
	for (i = 0; i < PATTERN; i++)
		guest.pattern[i] = (uint8_t)(i * 7 + i / 253);
}

/* The next function is instrumented, so that even an input that reaches no code
 * of passt covers some code: libFuzzer exits if no input covers anything. */
COUNTED

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int left = STEPS_MAX;
	struct step s;

	if (!guest.pattern)
		start_target();
	if (!next_step(&data, &size, &s))
		return 0;
	begin_input(&s);
	while (!w.dead && left-- && next_step(&data, &size, &s))
		run_step(&s);
	end_input();
	return 0;
}
