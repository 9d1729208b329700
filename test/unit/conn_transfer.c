// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conn_transfer.c - Transfers data both ways through a TCP connection, between
 * the TCP of a guest (guest.h) and a model of a socket (machine.h). The link
 * between them is simulated: it delays, loses, duplicates and reorders
 * segments. Every byte and both FINs must arrive once and in order, and a
 * stream may stand still only as long as lost segments explain. With TRACE=1, a
 * transfer that fails is repeated, and its segments are printed.
 *
 *	[TRACE=1] conn_transfer [COUNT [SEED]]
 */
#include <stdio.h>

#include "../../tcp/conn.c"
#include "../../tcp/conn_timer.c"
#include "../../tcp/conn_rx.c"
#include "../../tcp/conn_tx.c"
#include "test/unit/guest.h"
#include "test/unit/machine.h"
#include "test/unit/random.h"
#include "test/unit/unit.h"

#define RANDOM		400	/* number of random transfers */
#define QUEUE		16384		/* limit for segments on their way */
#define FOREVER		(3600ULL * 1000)	/* limit for a transfer, ms */
#define BASE		1000000		/* ms, time when a transfer starts */
#define LOST_MAX	5	/* losses in a row without progress, at most */

enum way { TO_GUEST, FROM_GUEST };

/**
 * struct setup - The circumstances of a transfer
 * @passive:	the peer connects to the guest
 * @isn, @iss:	initial sequence numbers of passt, and of the guest
 * @mss, @wscale, @sack, @delay_ack, @rcvbuf, @reads: for the guest, see struct
 *		guest
 * @sndbuf:	size of the socket's send buffer, bytes
 * @drains:	number of bytes that the peer reads per ms, 0: all
 * @down, @up:	number of bytes that the peer sends, and that the guest sends
 * @feeds:	number of bytes that the peer sends per ms, 0: all at once
 * @delay:	ms that a segment takes to arrive, each way
 * @loss, @dup, @late: how many of 1000 segments are lost, duplicated, or late
 *		by up to 3 * @delay + 1 ms
 * @drop_way, @drop: direction and number of one more segment that is lost,
 *		counted from 1; 0: none
 * @late_way, @late_at, @late_by: direction and number of one more segment that
 *		is late, and by how many ms
 * @pause_at, @pause: ms from the start until the peer stops reading, and ms
 *		that it does not read
 * @guest_pause_at, @guest_pause: the same for the guest's application
 * @renege:	the guest drops data that it has after a gap, and has reported
 *		by SACK
 */
struct setup {
	bool passive;
	uint32_t isn, iss;
	uint16_t mss;
	int8_t wscale;
	bool sack, delay_ack;
	uint32_t rcvbuf, reads, sndbuf, drains;
	uint32_t down, up, feeds;
	unsigned int delay, loss, dup, late;
	enum way drop_way, late_way;
	unsigned int drop, late_at, late_by;
	unsigned int pause_at, pause, guest_pause_at, guest_pause;
	bool renege;
};

/**
 * struct packet - A segment on its way
 * @at:		time when it arrives, ms
 * @way:	direction
 * @len:	bytes in @seg
 * @seg:	header and payload
 */
struct packet {
	uint64_t at;
	enum way way;
	size_t len;
	uint8_t *seg;
};

/**
 * struct sim - The state of a transfer
 * @s:		circumstances
 * @now:	simulated time, ms
 * @opened:	passt has a flow for the connection
 * @queue, @head, @tail: segments on their way, sorted by time of arrival
 * @count:	number of segments sent so far, each way
 * @lost:	number of segments lost so far, both ways together
 * @last:	only a timeout repairs the latest loss, see is_last()
 * @syn_lost:	a SYN was lost
 * @watch:	for each stream: its progress (the sequence number up to which
 *		all is acknowledged, and the states of both ends), the time in
 *		ms of the last progress, and the number of segments lost since
 * @longest:	longest time between two changes of a stream's progress, ms
 * @stall:	time without progress that losses do not explain, ms; 0: none
 * @wrong:	the first thing that went wrong, NULL: nothing
 */
struct sim {
	const struct setup *s;
	uint64_t now;
	bool opened;
	struct packet queue[QUEUE];
	unsigned int head, tail;
	unsigned int count[2];
	unsigned int lost;
	bool last, syn_lost;
	struct watch {
		uint64_t progress, since;
		unsigned int lost;
	} watch[2];
	uint64_t longest, stall;
	const char *wrong;
};

static struct sim sim;
static struct machine m;
static struct guest guest;
static bool tracing;

static void broke(const char *what)
{
	if (!sim.wrong)
		sim.wrong = what;
}

/* enqueue() - Put a segment into the queue, which is sorted by time of
 * arrival */
static void enqueue(enum way way, const uint8_t *seg, size_t len, uint64_t at)
{
	struct packet *q = sim.queue, p = { at, way, len, malloc(len) };
	unsigned int i;

	if (sim.tail - sim.head == QUEUE) {
		broke("too many segments at once");
		free(p.seg);
		return;
	}
	memcpy(p.seg, seg, len);
	for (i = sim.tail++; i != sim.head; i--) {
		if (q[(i - 1) % QUEUE].at <= at)
			break;
		q[i % QUEUE] = q[(i - 1) % QUEUE];
	}
	q[i % QUEUE] = p;
}

/* trace() - Print a line about a segment */
static void trace(enum way way, const uint8_t *p, size_t len, const char *what)
{
	uint32_t ours = m.c.isn, theirs = guest.iss;
	size_t hlen = (p[12] >> 4) * 4U, i;
	struct tcp_seg seg;

	tcp_seg_parse(&seg, p, hlen, (uint32_t)(len - hlen));
	printf("# %6" PRIu64 " %s%s%s%s%s %u:%u(%u) ack %u win %u",
	       sim.now - BASE, way == TO_GUEST ? "> " : "   < ",
	       seg.flags & SEG_SYN ? "S" : "", seg.flags & SEG_FIN ? "F" : "",
	       seg.flags & SEG_RST ? "R" : "", seg.flags & SEG_ACK ? "." : "",
	       seg.seq - (way == TO_GUEST ? ours : theirs),
	       seg.seq - (way == TO_GUEST ? ours : theirs) + seg.len, seg.len,
	       seg.ack - (way == TO_GUEST ? theirs : ours), seg.wnd);
	for (i = 0; i < seg.nsack; i++)
		printf(" sack %u:%u",
		       seg.sack[i].from - (way == TO_GUEST ? theirs : ours),
		       seg.sack[i].end - (way == TO_GUEST ? theirs : ours));
	printf("%s\n", what);
}

/* is_last() - Whether only a timeout can tell that this segment was lost: it is
 * SYN, or fewer than four full segments follow it in its stream */
static bool is_last(enum way way, const uint8_t *p, size_t len)
{
	uint32_t first = way == TO_GUEST ? m.c.isn : guest.iss;
	uint32_t total = way == TO_GUEST ? sim.s->down : sim.s->up;
	size_t hlen = (p[12] >> 4) * 4U;
	struct tcp_seg seg;

	tcp_seg_parse(&seg, p, hlen, (uint32_t)(len - hlen));
	return seg.flags & SEG_SYN ||
	       seg.seq - first + seg.len + 4 * 1460 > total;
}

/* weary() - Whether one more loss might make the guest or passt give up the
 * connection */
static bool weary(void)
{
	return sim.watch[TO_GUEST].lost >= LOST_MAX ||
	       sim.watch[FROM_GUEST].lost >= LOST_MAX;
}

/* carry() - Send a segment over the simulated link */
static void carry(enum way way, const uint8_t *seg, size_t len)
{
	const struct setup *s = sim.s;
	uint64_t at = sim.now + s->delay;
	bool lost;

	sim.count[way]++;
	lost = (below(1000) < s->loss && !weary()) ||
	       (s->drop == sim.count[way] && s->drop_way == way);
	if (tracing)
		trace(way, seg, len, lost ? " lost" : "");
	if (lost) {
		sim.last = is_last(way, seg, len);
		sim.syn_lost |= seg[13] & SEG_SYN;
		sim.watch[TO_GUEST].lost++;
		sim.watch[FROM_GUEST].lost++;
		sim.lost++;
		return;
	}
	if (below(1000) < s->late)
		at += below(3 * s->delay + 2);
	if (s->late_at == sim.count[way] && s->late_way == way)
		at += s->late_by;
	enqueue(way, seg, len, at);
	if (below(1000) < s->dup)
		enqueue(way, seg, len, at + below(s->delay + 2));
}

static void to_guest(void *arg, const uint8_t *seg, size_t len)
{
	carry(TO_GUEST, seg, len);
}

static void from_guest(void *arg, const uint8_t *seg, size_t len)
{
	carry(FROM_GUEST, seg, len);
}

/* machine_gets() - Let passt receive a segment of the guest, as part of a
 * batch */
static void machine_gets(const struct packet *p)
{
	size_t hlen = (p->seg[12] >> 4) * 4U;
	struct tcp_seg seg;

	tcp_seg_parse(&seg, p->seg, hlen, (uint32_t)(p->len - hlen));
	if (!sim.opened)
		machine_opens(&m, &seg, sim.s->isn);
	else if (!m.removed)
		machine_feed_segment(&m, &seg, p->seg + hlen);
	sim.opened = true;
}

/* arrivals() - Deliver all segments that arrive now */
static void arrivals(void)
{
	bool run = false;
	struct packet p;
	size_t hlen;

	while (sim.head != sim.tail) {
		p = sim.queue[sim.head % QUEUE];
		if (p.at > sim.now)
			break;
		sim.head++;
		if (p.way == FROM_GUEST) {
			machine_gets(&p);
			run = true;
		} else {
			hlen = (p.seg[12] >> 4) * 4U;
			guest_input(&guest, p.seg, hlen,
				    (uint32_t)(p.len - hlen), sim.now);
		}
		free(p.seg);
	}
	if (run)
		machine_finish_batch(&m);
}

/* within() - Whether it is now the time of a pause that begins @at ms after the
 * start of the transfer and lasts for @ms ms */
static bool within(unsigned int at, unsigned int ms)
{
	return ms && sim.now >= BASE + at && sim.now < BASE + at + ms;
}

/* applications() - Let the peer and the guest's application send and read as
 * much as they can in @ms milliseconds */
static void applications(uint64_t ms)
{
	const struct setup *s = sim.s;
	uint32_t left = s->down - m.arrived, n = left;

	if (s->feeds)
		n = MIN(left, s->feeds * (uint32_t)ms);
	if (sim.opened && !m.removed && (n || (!left && !m.fin)))
		machine_arrives(&m, n, n == left);
	if (!within(s->pause_at, s->pause))
		machine_drain(&m, s->drains ? s->drains * (uint32_t)ms :
			      m.buffered);
	guest.reads = within(s->guest_pause_at, s->guest_pause) ? 0 : s->reads;
	guest_read(&guest);
	if (s->renege && guest.ooo > 5000 && sim.now > BASE + 100) {
		memset(guest.have, 0, sizeof(guest.have));
		guest.ooo = 0;
	}
	guest_pump(&guest, sim.now);
}

/* busy() - Whether an application may send or read in the next millisecond,
 * even if no segment arrives and no timer expires until then */
static bool busy(void)
{
	const struct setup *s = sim.s;

	return m.buffered || guest.unread || s->feeds || s->pause ||
	       s->guest_pause;
}

/* next_time() - Get the time when the next segment arrives, the next timer
 * expires, or an application next sends or reads */
static uint64_t next_time(void)
{
	uint64_t next = MIN(machine_next(&m), guest_next(&guest));

	if (sim.head != sim.tail)
		next = MIN(next, sim.queue[sim.head % QUEUE].at);
	if (busy())
		next = MIN(next, sim.now + 1);
	return MAX(next, sim.now);
}

/**
 * patience() - Get the longest time that a stream may stand still, given the
 * losses since it last moved
 * @s:		circumstances
 * @w:		stream
 *
 * This is the first timeout, and for each loss one more, each twice as long as
 * the one before. The first timeout is longer if a SYN was lost (3 s, RFC 6298
 * 5.7), or if a long wait for an ACK counted as round-trip time (three times
 * this wait, RFC 6298 2.2). A pause of an application adds twice its length:
 * when it ends, the next window probe may be as far away as the pause was long.
 *
 * Return: ms
 */
static uint64_t patience(const struct setup *s, const struct watch *w)
{
	uint64_t ms = (sim.syn_lost ? 3300 : 1300) + 10ULL * s->delay;

	return MAX(ms, 3 * sim.longest + 300) * ((2U << w->lost) - 1) +
	       2ULL * s->pause + 2ULL * s->guest_pause;
}

/**
 * complete() - Whether both streams, and both FINs, have arrived
 *
 * The ACK of the guest's FIN may be missing if passt has removed the flow. A
 * real guest repeats its FIN then, and gets RST.
 */
static bool complete(void)
{
	return (guest_done(&guest) || (m.removed && guest.rx_fin)) && m.shut &&
	       m.fin;
}

/* watch() - Record the progress of a stream, or that it stands still for too
 * long */
static void watch(enum way way, uint64_t progress, bool ended,
		  unsigned int lost)
{
	struct watch *w = &sim.watch[way];

	if (progress != w->progress) {
		if (!ended)
			sim.longest = MAX(sim.longest, sim.now - w->since);
		*w = (struct watch){ progress, sim.now, w->lost - lost };
	} else if (!ended && sim.now - w->since > patience(sim.s, w)) {
		sim.stall = sim.now - w->since;
		broke("a stall that losses do not explain");
	}
}

/* watch_all() - Record the progress of both streams, and errors that the guest
 * or the machine (machine.h) has found */
static void watch_all(const struct watch before[2])
{
	uint64_t state = (uint64_t)guest.state << 40 |
			 (uint64_t)m.c.phase << 44;

	watch(TO_GUEST, state | (m.c.snd_una - m.c.isn), guest.rx_fin && m.fin,
	      before[TO_GUEST].lost);
	watch(FROM_GUEST, state | (guest.snd_una - guest.iss), m.shut,
	      before[FROM_GUEST].lost);
	if (m.wrong)
		broke(m.wrong);
	if (guest.wrong)
		broke(guest.wrong);
	if (guest.state == GUEST_RESET)
		broke("the guest was sent RST");
}

static void sim_clear(const struct setup *s)
{
	for (; sim.head != sim.tail; sim.head++)
		free(sim.queue[sim.head % QUEUE].seg);
	sim.s = s;
	sim.now = m.now = BASE;
	sim.head = sim.tail = sim.lost = 0;
	memset(sim.watch, 0, sizeof(sim.watch));
	sim.count[TO_GUEST] = sim.count[FROM_GUEST] = 0;
	sim.stall = sim.longest = 0;
	sim.syn_lost = false;
	sim.opened = s && s->passive;
	sim.wrong = NULL;
}

static void ends_clear(const struct setup *s)
{
	memset(&guest, 0, sizeof(guest));
	guest.gport = 40000;
	guest.pport = 80;
	guest.mss = s->mss;
	guest.wscale = s->wscale;
	guest.sack = s->sack;
	guest.delay = s->delay_ack;
	guest.rcvbuf = s->rcvbuf;
	guest.reads = s->reads;
	guest.tx_total = s->up;
	guest.rx_total = s->down;
	guest.tx_fin = true;
	guest.out = from_guest;

	m.gport = guest.gport;
	m.pport = guest.pport;
	m.sndbuf = s->sndbuf;
	m.out = to_guest;
	machine_clear(&m);
	m.removed = true;
}

/* turn() - Advance time to next_time(), and do everything that is due then */
static void turn(void)
{
	const struct watch then[2] = { sim.watch[0], sim.watch[1] };
	uint64_t before = sim.now;

	sim.now = m.now = next_time();
	arrivals();
	if (!m.removed && m.c.phase == CONN_CONNECTING)
		machine_connected(&m);
	guest_timer(&guest, sim.now);
	machine_timer(&m);
	applications(sim.now - before);
	machine_pass_end(&m);
	watch_all(then);
}

/**
 * transfer() - Run a transfer, until passt has removed the flow
 * @s:		circumstances
 *
 * Return: ms until all had arrived; @sim.wrong says if something went wrong
 */
static uint64_t transfer(const struct setup *s)
{
	uint64_t took;

	sim_clear(s);
	ends_clear(s);
	guest_start(&guest, s->iss, !s->passive, sim.now);
	if (s->passive)
		machine_accepted(&m, s->isn);

	watch_all((const struct watch[2]){ 0 });

	while (!complete() && !sim.wrong && sim.now < BASE + FOREVER)
		turn();
	if (!complete())
		broke("it did not end");
	took = sim.now - BASE;
	if (m.took != s->up || guest_received(&guest) != s->down)
		broke("not all bytes arrived");

	/* Go on until passt has removed the flow, for example after a
	 * time-wait. */
	while (!m.removed && !sim.wrong && sim.now < BASE + FOREVER)
		turn();
	if (!m.removed || m.rst_guest || m.rst_peer)
		broke("a flow did not end by FIN");
	if (m.discarded != s->down)
		broke("not all bytes left the socket");
	if (m.rxring_total || m.rxring.buf)
		broke("a backlog is left");
	return took;
}

/* told() - Report a transfer as a check; return whether it went well */
static bool told(const char *name, uint64_t took)
{
	if (sim.wrong)
		return fail(name, "%s, line %d, after %" PRIu64 " ms, to guest %u, from it %u bytes, %u segments lost, phase %s, stall %" PRIu64,
			    sim.wrong, m.line, took, guest_received(&guest),
			    m.took, sim.lost, tcp_phase_name[m.c.phase],
			    sim.stall);
	return pass(name);
}

/* again_traced() - Repeat a transfer and print its segments, if TRACE is set */
static void again_traced(const struct setup *s)
{
	if (!getenv("TRACE"))
		return;
	tracing = true;
	transfer(s);
	tracing = false;
}

/* usual() - Get the circumstances of most transfers, which a story may
 * change */
static struct setup usual(void)
{
	return (struct setup){
		.isn = 0xfffff000, .iss = 0x7ffff000, .mss = 1460,
		.wscale = 7, .sack = true, .rcvbuf = 262144,
		.reads = UINT32_MAX, .sndbuf = 262144, .down = 300000,
		.up = 300000, .delay = 10,
	};
}

/* Given a link that loses nothing, then nothing is sent twice, and the transfer
 * takes at most @most ms. */
static void story_clean(const char *name, struct setup s, uint64_t most)
{
	uint64_t took = transfer(&s);

	if (!told(name, took))
		return;
	if (m.retransmits || m.rewinds || guest.bytes_again)
		fail("nothing is sent twice", "%u holes, %u timeouts, %u bytes",
		     m.retransmits, m.rewinds, guest.bytes_again);
	if (took > most)
		fail("it takes no longer than necessary", "%" PRIu64 " ms", took);
}

static void stories_clean(void)
{
	struct setup s = usual();

	printf("# a link that loses nothing\n");
	story_clean("the guest connects", s, 140);
	s.passive = true;
	story_clean("a peer connects", s, 140);
	s.sack = false;
	s.wscale = -1;
	story_clean("without SACK and window scale", s, 300);
	s = usual();
	s.mss = 88;
	story_clean("an MSS of 88", s, 150);
	s = usual();
	s.delay_ack = true;
	story_clean("delayed ACKs", s, 250);
	s = usual();
	s.down = 0;
	story_clean("nothing to the guest", s, 140);
	s.up = 0;
	story_clean("nothing at all", s, 100);
	s = usual();
	s.up = 0;
	story_clean("nothing from the guest", s, 140);
	s = usual();
	s.down = s.up = 3000000;
	s.drains = s.reads = 2000;
	story_clean("slow readers at both ends", s, 1900);
	s = usual();
	s.sndbuf = 3000;
	s.rcvbuf = 4000;
	story_clean("little space at both ends", s, 3500);
	s = usual();
	s.delay = 0;
	story_clean("no delay", s, 10);
}

/* Given a peer or a guest that does not read for a while, then the connection
 * lives, and the transfer goes on at once when this end reads again. */
static void stories_pause(void)
{
	struct setup s = usual();

	printf("# applications that pause\n");
	s.pause_at = 50;
	s.pause = 5000;
	s.up = 1000000;
	told("the peer does not read for 5 s", transfer(&s));
	s.pause = 1200000;
	told("the peer does not read for 20 minutes", transfer(&s));
	s = usual();
	s.guest_pause_at = 50;
	s.guest_pause = 5000;
	s.down = 1000000;
	if (told("the guest does not read for 5 s", transfer(&s)) &&
	    sim.now > BASE + 50 + 5000 + 200 + TCP_TIMEWAIT_LEN)
		fail("and the rest comes at once when it does", "after %" PRIu64
		     " ms", sim.now - BASE);
	s.loss = 100;
	told("the same, and a tenth of all segments is lost", transfer(&s));
	s.loss = 0;
	s.guest_pause = 1200000;
	told("the guest does not read for 20 minutes", transfer(&s));
}

/**
 * story_each() - Given any one segment that is lost, then the transfer takes
 * longer by a timeout at most, and by much less if other segments follow
 * @name:	name of the check
 * @way:	direction of the segment
 * @s:		circumstances
 * @most:	ms that the loss of a segment may cost
 * @middle:	the same for a segment after which others follow, see is_last()
 */
static void story_each(const char *name, enum way way, struct setup s,
		       uint64_t most, uint64_t middle)
{
	uint64_t clean = transfer(&s), took, limit;
	unsigned int n = sim.count[way], i;

	if (sim.wrong) {
		told(name, clean);
		return;
	}
	for (i = 1; i <= n; i++) {
		s.drop_way = way;
		s.drop = i;
		took = transfer(&s);
		limit = sim.last ? most : middle;
		if (!sim.wrong && took > clean + limit)
			broke("it takes too long");
		if (!sim.wrong)
			continue;
		told(name, took);
		printf("# segment %u of %u, %" PRIu64 " ms instead of %"
		       PRIu64 "\n", i, n, took, clean);
		again_traced(&s);
		return;
	}
	pass(name);
}

/* small() - Get the circumstances of a short transfer, which can be repeated
 * often */
static struct setup small(void)
{
	struct setup s = usual();

	s.down = s.up = 120000;
	s.rcvbuf = s.sndbuf = 40000;
	return s;
}

static void stories_each(void)
{
	struct setup s = small();

	printf("# each segment lost once\n");
	story_each("one to the guest is lost", TO_GUEST, s, 1100, 100);
	story_each("one from the guest is lost", FROM_GUEST, s, 1100, 100);
	s.sack = false;
	story_each("one to the guest is lost, without SACK", TO_GUEST, s, 1100,
		   100);
	story_each("one from the guest is lost, without SACK",
		   FROM_GUEST, s, 1100, 100);
	s.passive = true;
	s.wscale = -1;
	story_each("a peer connects, one to the guest is lost", TO_GUEST, s,
		   1100, 100);
	story_each("a peer connects, one from the guest is lost",
		   FROM_GUEST, s, 1100, 100);
	s = small();
	s.down = s.up = 40;
	story_each("few bytes: to the guest", TO_GUEST, s, 1100, 1100);
	story_each("few bytes: from the guest", FROM_GUEST, s, 1100, 1100);
}

/* Given any one segment that is late by @by ms, then the transfer takes at most
 * @by + 300 ms longer. passt must not send any segment again, unless @again is
 * true. */
static void story_late(const char *name, enum way way, unsigned int by,
		       bool again)
{
	struct setup s = small();
	uint64_t clean = transfer(&s), took;
	unsigned int n = sim.count[way], i;

	s.late_way = way;
	s.late_by = by;
	for (i = 1; i <= n; i++) {
		s.late_at = i;
		took = transfer(&s);
		if (!sim.wrong && took > clean + by + 300)
			broke("it takes too long");
		if (!sim.wrong && !again && (m.retransmits || m.rewinds))
			broke("something was sent again");
		if (!sim.wrong)
			continue;
		told(name, took);
		printf("# segment %u of %u, %" PRIu64 " ms instead of %"
		       PRIu64 "\n", i, n, took, clean);
		again_traced(&s);
		return;
	}
	pass(name);
}

static void stories_late(void)
{
	printf("# each segment late once\n");
	story_late("one to the guest is late", TO_GUEST, 15, true);
	story_late("one from the guest is late", FROM_GUEST, 15, false);
	story_late("one to the guest is very late", TO_GUEST, 150, true);
	story_late("one from the guest is very late", FROM_GUEST, 150, true);
}

/* Given a guest that drops data which it has reported by SACK, then this data
 * is sent again after a timeout (RFC 2018 8). */
static void story_renege(void)
{
	struct setup s = usual();

	s.renege = true;
	s.loss = 30;
	s.down = 1000000;
	told("a guest that reneges on its SACK blocks", transfer(&s));
}

static void story_losses(const char *name, unsigned int loss, unsigned int dup,
			 unsigned int late)
{
	struct setup s = usual();
	unsigned int i;

	s.loss = loss;
	s.dup = dup;
	s.late = late;
	for (i = 0; i < 8; i++) {
		s.sack = i & 1;
		s.passive = i & 2;
		s.delay_ack = i & 4;
		transfer(&s);
		if (sim.wrong)
			break;
	}
	told(name, sim.now - BASE);
}

static void stories_lossy(void)
{
	printf("# a link that loses, doubles and reorders\n");
	story_losses("of a thousand segments one is lost", 1, 0, 0);
	story_losses("of a hundred segments one is lost", 10, 0, 0);
	story_losses("a tenth of the segments is lost", 100, 0, 0);
	story_losses("a third of the segments is lost", 333, 0, 0);
	story_losses("half of the segments are duplicated", 0, 500, 0);
	story_losses("half of the segments are late", 0, 0, 500);
	story_losses("a bit of everything", 50, 50, 50);
}

/* pick() - Choose one of four values at random */
static uint32_t pick(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	const uint32_t of[] = { a, b, c, d };

	return of[below(4)];
}

static struct setup any_setup(void)
{
	return (struct setup){
		.passive = below(2),
		.isn = pick(0, UINT32_MAX, UINT32_MAX - below(300000),
			    (uint32_t)next_random()),
		.iss = pick(0, INT32_MAX - below(300000),
			    UINT32_MAX - below(300000),
			    (uint32_t)next_random()),
		.mss = (uint16_t)pick(88, 536, 1460, 9000),
		.wscale = (int8_t)(below(11) - 1),
		.sack = below(2), .delay_ack = below(2),
		.rcvbuf = pick(1000, 8000, 65536, 300000),
		.reads = pick(1000, 20000, UINT32_MAX, UINT32_MAX),
		.sndbuf = pick(2000, 16384, 100000, 400000),
		.drains = pick(50, 1000, 0, 0),
		.down = pick(0, below(100), below(10000), below(200000)),
		.up = pick(0, below(100), below(10000), below(200000)),
		.feeds = pick(0, 0, 100, 1),
		.delay = pick(0, 1, 10, 50),
		.loss = pick(0, 10, 100, 250), .dup = pick(0, 0, 10, 100),
		.late = pick(0, 0, 10, 200),
		.pause_at = below(300), .pause = pick(0, 0, 0, 2000),
		.guest_pause_at = below(300),
		.guest_pause = pick(0, 0, 0, 2000),
	};
}

static void story_random(unsigned int count)
{
	uint64_t before = seed;
	struct setup s;
	unsigned int i;

	for (i = 0; i < count; i++) {
		before = seed;
		s = any_setup();
		/* One byte per ms: more than 3000 bytes would take too long. */
		s.down = s.feeds == 1 ? MIN(s.down, 3000) : s.down;
		transfer(&s);
		if (sim.wrong)
			break;
	}
	told("transfers under random circumstances", sim.now - BASE);
	if (!sim.wrong)
		return;
	printf("# transfer %u, seed %" PRIu64 "\n", i, before);
	seed = before;
	s = any_setup();
	s.down = s.feeds == 1 ? MIN(s.down, 3000) : s.down;
	again_traced(&s);
}

int main(int argc, char **argv)
{
	unsigned int count = argc > 1 ? (unsigned int)atoi(argv[1]) : RANDOM;

	if (argc > 2) {
		seed = strtoull(argv[2], NULL, 0);
		story_random(count);
		return unit_end();
	}
	stories_clean();
	stories_pause();
	stories_each();
	stories_late();
	stories_lossy();
	story_renege();
	story_random(count);
	sim_clear(NULL);
	return unit_end();
}
