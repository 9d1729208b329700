// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * tcp_many.c - Tests of many TCP flows with real sockets: the memory of all
 * receive rings, bulk flows beside a sparse one, and FLOWS flows that begin and
 * end, of which nothing must be left.
 *
 *	tcp_many [FLOWS]
 */
#include "../../tcp.c"
#include "test/unit/cable.h"

#define SPACE		(1 << 20)
#define FLOWS		100000
#define AT_ONCE		300		/* most flows at the same time */
#define LISTENERS	16		/* several, because TIME-WAIT keeps
					 * pairs of ports in use */
#define PEERS		(4 * AT_ONCE)

static struct world w;

/* more_files() - Raise the limit of descriptors as far as possible; returns the
 * limit */
static rlim_t more_files(void)
{
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	return r.rlim_cur;
}

/* connects_with_gap() - Let the guest open a connection, and send one byte
 * after a gap of 1000 bytes. @h has the ports, and is set to the header of the
 * segment with this byte */
static void connects_with_gap(struct end *e, struct tcp_hdr *h, int listener)
{
	h->flags = SEG_SYN;
	h->seq = 1000;
	sends(e, h, NULL, 0);
	turns(&w, 2);
	h->flags = SEG_ACK;
	h->seq = 1001;
	h->ack = e->seen[0].seq + 1;
	sends(e, h, NULL, 0);
	h->seq = 2001;
	sends(e, h, "x", 1);
	turn(&w);
	peer_accepts(e, listener);
}

/* Given many flows that each need a receive ring, then all rings together have
 * at most TCP_RXRING_MAX bytes, and when the flows end, all memory is freed. */
static void story_rxring_max(void)
{
	const unsigned int n = TCP_RXRING_MAX / TCP_RXRING_MIN + 50;
	struct tcp_hdr h = { .wnd = 60000, .wscale = -1 };
	struct end *e = calloc(n, sizeof(*e));
	uint16_t port = 0;
	unsigned int i, within = 0;
	int listener;

	world_open(&w, 2 * n, SPACE);
	listener = listen_on("127.0.0.1", &port);
	h.dport = port;
	for (i = 0; i < n; i++) {
		end_init(&w, &e[i], NULL, (uint16_t)(10000 + i), GW4, port);
		h.sport = (uint16_t)(10000 + i);
		connects_with_gap(&e[i], &h, listener);
		within += w.tcp.rxring_total <= TCP_RXRING_MAX;
	}
	check_eq("all of them are open", w.flows.used, n);
	check_eq("receive rings never exceed TCP_RXRING_MAX", within, n);
	check_eq("all of TCP_RXRING_MAX is used",
		 w.tcp.rxring_total, TCP_RXRING_MAX);

	/* The last flow got no ring, so its byte after the gap was dropped. */
	h.seq = 1001;
	sends(&e[n - 1], &h, e, 1000);
	turns(&w, 2);
	check_eq("data that could not be stored is not acknowledged",
		 e[n - 1].seen[e[n - 1].nseen - 1].ack, 2001);
	h.sport = 10000;
	h.ack = e[0].seen[0].seq + 1;
	sends(&e[0], &h, e, 1000);
	turns(&w, 2);
	check_eq("stored data is, once the gap is filled",
		 e[0].seen[e[0].nseen - 1].ack, 2002);
	check_eq("the memory of its ring is freed", w.tcp.rxring_total,
		 TCP_RXRING_MAX - TCP_RXRING_MIN);

	for (i = 0; i < n; i++) {
		end_reset(&e[i]);
		if (i % 100 == 0)
			turn(&w);
	}
	turns(&w, 5);
	check_eq("all memory of rings is freed", w.tcp.rxring_total, 0);
	close(listener);
	world_close(&w, "flows that use all memory for rings");
	free(e);
}

/* ---- Bulk flows and a sparse flow beside them ---- */

#ifdef __SANITIZE_ADDRESS__
#define MEMORY_IS_KEPT	1
#else
#define MEMORY_IS_KEPT	0
#endif

#define TRANSFERS	2

static struct end transfer[TRANSFERS];
static struct guest getter[TRANSFERS];

/* moves() - Let the bulk flows go on for one pass; returns how many bytes the
 * guest received in it */
static uint32_t moves(void)
{
	uint32_t bytes = 0;
	unsigned int i;

	for (i = 0; i < TRANSFERS; i++) {
		bytes -= getter[i].rcv_nxt;
		end_turn(&transfer[i]);
	}
	turn(&w);
	for (i = 0; i < TRANSFERS; i++)
		bytes += getter[i].rcv_nxt;
	return bytes;
}

/* most() - Let the bulk flows go on for @n passes; returns the most bytes that
 * the guest received in one of them */
static uint32_t most(unsigned int n)
{
	uint32_t max = 0, bytes;

	while (n--) {
		bytes = moves();
		max = MAX(max, bytes);
	}
	return max;
}

/* start_transfers() - Open bulk flows, in which peers send to the guest */
static void start_transfers(int listener, uint16_t port)
{
	unsigned int i;

	for (i = 0; i < TRANSFERS; i++) {
		end_init(&w, &transfer[i], &getter[i], (uint16_t)(20000 + i),
			 GW4, port);
		getter[i].rx_total = transfer[i].tx_total = UINT32_MAX / 2;
		guest_start(&getter[i], 5000, true, w.now);
		turns(&w, 3);
		peer_accepts(&transfer[i], listener);
	}
}

/* pause_is_short() - Whether the link stays out of low-latency mode when a bulk
 * flow has only one small batch, in at least one of ten attempts */
static bool pause_is_short(void)
{
	unsigned int i;

	/* Several attempts, because the kernel may deliver the data in more
	 * than one batch. test/unit/sched.c tests without sockets that one
	 * small batch does not lead to low-latency mode. */
	for (i = 0; i < 10; i++) {
		most(20);
		turns(&w, 200);
		end_turn(&transfer[1]);
		turns(&w, 3);
		send(transfer[0].fd, "x", 1, 0);
		turns(&w, 3);
		if (!sched_low_latency(&w.sched, w.now))
			return true;
	}
	return false;
}

/* Given bulk flows to the guest, then the link is not in low-latency mode. When
 * a sparse flow is active beside them, then the link is in low-latency mode,
 * until the sparse flow is silent. */
static void story_shared(void)
{
	struct tcp_hdr h = {
		.sport = 21000, .wnd = 60000, .wscale = -1, .flags = SEG_SYN,
		.mss = 1460, .seq = 1000,
	};
	static struct end talk;
	uint32_t gso = 0;	/* bytes of payload that a pass may carry
				 * above the quantum, because GSO frames
				 * have fewer headers */
	uint16_t port = 0;
	unsigned int i;
	int listener;

	world_open(&w, 16, SPACE);
	if (w.mem.link.caps.gso_max)
		gso = 2 * 1460;
	listener = listen_on("127.0.0.1", &port);
	start_transfers(listener, port);
	turns(&w, SCHED_ACTIVE);
	check("bulk flows alone need no low latency",
	      most(100) > 2 * SCHED_QUANTUM_LOW &&
	      !sched_low_latency(&w.sched, w.now) && !w.mem.queue->low_latency);

	check("nor if one of them pauses", pause_is_short());

	h.dport = port;
	end_init(&w, &talk, NULL, h.sport, GW4, port);
	sends(&talk, &h, NULL, 0);
	moves();
	moves();
	if (check("a sparse flow beside them is answered", talk.nseen == 1))
		h.ack = talk.seen[0].seq + 1;
	h.flags = SEG_ACK;
	h.seq = 1001;
	sends(&talk, &h, NULL, 0);
	w.now += SCHED_ACTIVE - 10;
	sends(&talk, &h, "x", 1);
	moves();
	w.now += SCHED_ACTIVE - 10;
	check("low latency from then on",
	      most(5) <= 2 * SCHED_QUANTUM_LOW + gso &&
	      sched_low_latency(&w.sched, w.now) && w.mem.queue->low_latency);
	w.now += 10;
	check("until the sparse flow is silent",
	      most(20) > 2 * SCHED_QUANTUM_LOW &&
	      !sched_low_latency(&w.sched, w.now) && !w.mem.queue->low_latency);

	guest_leaves(&w);
	for (i = 0; i < TRANSFERS; i++)
		close(transfer[i].fd);
	close(listener);
	world_close(&w, "transfers and a connection beside them");
}

/* ---- Many flows that begin and end, see churn() ---- */

/* How the guest ends a flow, unless the peer ends it before: it sends FIN, it
 * waits for the peer's FIN, it sends RST, its port has no listener, or it never
 * completes the handshake and sends RST. */
enum fate { CLOSES, WAITS, RESETS, NOBODY, ONLY_SYN, FATES };

/**
 * struct member - One flow of churn(), on the guest's side
 * @e:		connection; the test makes the guest's segments itself
 * @h:		header of the next segment that the guest sends
 * @fate:	how the guest ends the flow
 * @age:	number of passes since SYN
 * @open:	the handshake is complete
 * @fin_sent, @fin_acked: the guest has sent FIN; passt has acknowledged it
 * @fin_rcvd:	the guest has received FIN
 * @over:	the flow has ended
 */
struct member {
	struct end e;
	struct tcp_hdr h;
	enum fate fate;
	unsigned int age;
	bool open, fin_sent, fin_rcvd, fin_acked, over;
};

/**
 * struct peer - One flow of churn(), on the peer's side
 * @fd:		socket of the peer, -1: this entry is free
 * @age:	number of passes since accept()
 * @fate:	1: the peer resets the connection; 0, 2 or 3: the peer closes
 *		its socket. This happens after FIN or RST from the guest, but at
 *		the latest after 6 + 20 * @fate passes
 */
struct peer {
	int fd;
	unsigned int age, fate;
};

static struct member member[AT_ONCE];
static struct peer peer[PEERS];
static int listener[LISTENERS];
static uint16_t port[LISTENERS];

/* says() - Let the guest send the next segment of a flow, with @len bytes */
static void says(struct member *m, uint8_t flags, size_t len)
{
	static const uint8_t data[1000];

	m->h.flags = flags;
	sends(&m->e, &m->h, data, len);
	m->h.seq += (uint32_t)len + !!(flags & (SEG_SYN | SEG_FIN));
}

static void starts(struct member *m, unsigned int n)
{
	uint16_t to = port[n % LISTENERS];

	memset(m, 0, sizeof(*m));
	m->fate = (enum fate)(n / 7 % FATES);
	if (m->fate == NOBODY)
		to = 1;
	m->h = (struct tcp_hdr){
		.sport = (uint16_t)(1024 + n % 60000), .dport = to,
		.seq = n * 2654435761U, .wnd = 60000, .wscale = -1,
	};
	end_init(&w, &m->e, NULL, m->h.sport, GW4, to);
	says(m, SEG_SYN, 0);
}

/* hears() - Let the guest receive a segment of a flow */
static void hears(struct member *m, const struct tcp_seg *seg)
{
	if (seg->flags & SEG_RST) {
		m->over = true;
		return;
	}
	if (seg->flags & SEG_SYN && !m->open && m->fate != ONLY_SYN) {
		m->h.ack = seg->seq + 1;
		m->open = true;
		says(m, SEG_ACK, m->h.sport % 1000);
	} else if (seg->seq == m->h.ack && m->open) {
		m->h.ack += seg->len + (seg->flags & SEG_FIN);
		m->fin_rcvd |= seg->flags & SEG_FIN;
		if (seg->len || seg->flags & SEG_FIN)
			says(m, SEG_ACK, 0);
	}
	m->fin_acked |= m->fin_sent && seg->ack == m->h.seq;
}

/* member_turn() - Let the guest read and send segments of a flow for one pass;
 * return whether the flow has ended */
static bool member_turn(struct member *m)
{
	bool closes = m->fate == CLOSES || m->fin_rcvd;
	unsigned int i;

	for (i = 0; i < m->e.nseen; i++)
		hears(m, &m->e.seen[i]);
	m->e.nseen = 0;
	m->age++;
	if (m->over || (m->fin_acked && m->fin_rcvd))
		return true;
	if (m->age < 5U + m->h.sport % 5)
		return false;
	if (m->fate == RESETS || m->fate == ONLY_SYN || m->age > 100) {
		says(m, SEG_RST, 0);
		return true;
	}
	if (m->open && closes && !m->fin_sent) {
		m->fin_sent = true;
		says(m, SEG_FIN | SEG_ACK, 0);
	}
	return false;
}

/* accepts() - Let the peers accept all connections that wait */
static void accepts(void)
{
	unsigned int i, j = 0;

	for (i = 0; i < LISTENERS; i++) {
		for (; j < PEERS; j++) {
			if (peer[j].fd >= 0)
				continue;
			peer[j].fd = accept4(listener[i], NULL, NULL,
					     SOCK_NONBLOCK | SOCK_CLOEXEC);
			peer[j].age = 0;
			peer[j].fate = cable_random(4);
			if (peer[j].fd < 0)
				break;
		}
	}
}

/* peer_turn() - Let a peer send some data, read, and end its connection when
 * @p->fate says so */
static void peer_turn(struct peer *p)
{
	struct end e = { .fd = p->fd };
	uint8_t buf[2000] = { 0 };
	ssize_t n;

	if (p->age++ == 2)
		send(p->fd, buf, cable_random(sizeof(buf)), MSG_NOSIGNAL);
	do
		n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
	while (n > 0);
	if (n < 0 && errno == EAGAIN && p->age < 6 + p->fate * 20)
		return;
	if (p->fate == 1)
		end_reset(&e);
	else
		end_close(&e);
	p->fd = -1;
}

/* churn() - Open and end @flows flows in total, at most AT_ONCE at a time */
static void churn(unsigned int flows)
{
	unsigned int i, n = 0, left = 0, idle = 0;

	for (i = 0; i < AT_ONCE; i++)
		member[i].over = true;
	while (n < flows || left || idle++ < 50) {
		for (left = i = 0; i < AT_ONCE; i++) {
			if (member[i].over && n < flows)
				starts(&member[i], n++);
			if (!member[i].over)
				member[i].over = member_turn(&member[i]);
			left += !member[i].over;
		}
		turn(&w);
		accepts();
		for (i = 0; i < PEERS; i++) {
			if (peer[i].fd >= 0)
				peer_turn(&peer[i]);
		}
	}
}

/* resident() - Return how many KiB of this process are resident */
static unsigned int resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned int all, pages = 0;

	if (f && fscanf(f, "%u %u", &all, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (unsigned int)(sysconf(_SC_PAGESIZE) / 1024);
}

/* Given many flows that end in all possible ways, then no flow is left, and
 * passt uses as much memory as before. */
static void story_churn(unsigned int flows)
{
	unsigned int i, before;

	for (i = 0; i < PEERS; i++)
		peer[i].fd = -1;
	/* The table of flows is large, because flows stay in TIME-WAIT. */
	world_open(&w, 1 << 17, SPACE);
	for (i = 0; i < LISTENERS; i++)
		listener[i] = listen_on("127.0.0.1", &port[i]);
	churn(1000);
	before = resident();
	churn(flows);
	turns(&w, TCP_TIMEWAIT_LEN);
	check_eq("no flow is left of all of them", w.flows.used, 0);
	check("nearly all of them were open",
	      w.tcp.count[TCP_OPENED] > flows / 20 * 19);
	/* AddressSanitizer keeps freed memory for a while, and each piece of
	 * a frame is allocated separately, except in contiguous mode. So the
	 * process gets larger, although no memory is lost. */
	if (MEMORY_IS_KEPT && w.mem.mode != MEMORY_CONTIGUOUS)
		skip("no memory was lost", "ASan keeps what the link freed");
	else
		check("no memory was lost", resident() < before + flows / 10);
	for (i = 0; i < LISTENERS; i++)
		close(listener[i]);
	world_close(&w, "a hundred thousand flows");
}

int main(int argc, char **argv)
{
	unsigned int flows = argc > 1 ? (unsigned int)atoi(argv[1]) : FLOWS;

	if (more_files() < 4096) {
		skip("crowds of flows", "4,096 descriptors are needed");
		return unit_end();
	}
	story_rxring_max();
	story_shared();
	story_churn(flows);
	return unit_end();
}
