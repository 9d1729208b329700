// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * guest.c - libFuzzer target: all of passt, with a link in memory and the
 * sockets of kernel.h. Whatever the guest, its peers and the kernel do, each
 * frame to the guest is valid, a datagram leaves only if the guest has sent it,
 * a TCP peer's bytes arrive in order, no call uses a closed descriptor, and in
 * the end no flow, descriptor or memory is left. With --multicast, groups.h says
 * what may pass; with --pcap, capture.h reads the file.
 *
 * Each input is a list of steps: frames of the guest, datagrams and connections
 * of peers, entries of error queues, calls that fail, and time that passes.
 *
 * link: -Wl,--wrap=close,--wrap=socket,--wrap=epoll_create1,--wrap=epoll_ctl
 * link: -Wl,--wrap=bind,--wrap=listen,--wrap=connect,--wrap=accept4
 * link: -Wl,--wrap=shutdown,--wrap=setsockopt,--wrap=getsockopt,--wrap=ioctl
 * link: -Wl,--wrap=getsockname,--wrap=sendmsg,--wrap=sendmmsg,--wrap=sendto
 * link: -Wl,--wrap=send,--wrap=recvmsg,--wrap=recvmmsg,--wrap=recv
 * link: -Wl,--wrap=now_ms,--wrap=getrandom,--wrap=udp_guest_ports_new
 * link: -Wl,--wrap=write,--wrap=writev
 */
#include "test/fuzz/kernel.h"

#include "../../loop.c"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <sys/mman.h>

#include "checksum.h"
#include "forward/apply.h"
#include "tap/parse.h"
#include "tcp/segment.h"
#include "test/fuzz/capture.h"
#include "test/fuzz/groups.h"
#include "test/fuzz/mutate.h"
#include "test/fuzz/peers.h"
#include "test/memory.h"

#define STEPS		32	/* limit for steps in an input, for speed */
#define PAYLOADS	64	/* payloads of the guest that are remembered */
#define SILENCE		(5ULL * 3600 * SEC)	/* after which all flows end */
#define FIRST_FREE	8	/* descriptors at start, as events.py says */
#define FDS_LIMIT	(FD_FIRST + FDS + FDS_KEPT)

/* struct conn - The guest's sequence number, and what it has received */
struct conn {
	uint32_t snd, rcv;
};

/**
 * struct world - passt and its guest
 * @conn:	connections by family, peer, guest's port and peer's port
 * @payload, @npayload: hashes of the payloads that the guest has sent by UDP
 * @fragments:	the guest has sent fragments, so payloads are not known
 */
static struct world {
	struct worker w;
	struct memory mem;
	struct fwd fwd;
	struct net net;
	struct conf conf;
	struct rule_set rules;
	struct conn conn[2][PEERS][PORTS][PORTS];
	uint64_t payload[PAYLOADS];
	unsigned int npayload;
	bool fragments;
} o;

UNCOUNTED

/* check_sent() - Check that the guest has sent a datagram that leaves */
static void check_sent(const struct ksock *s, const struct msghdr *m,
		       const uint8_t *p, size_t len)
{
	uint64_t h = hash_of(p, len);
	unsigned int i;

	groups_sent(s, m);
	for (i = 0; i < o.npayload && o.payload[i] != h; i++)
		;
	MUST(i < o.npayload || o.fragments || o.npayload == PAYLOADS);
}

/* The table of the guest's ports, which would take a third of the time to
 * allocate and free with ASan. Each input begins with fresh pages. */
#define PORTS_SIZE	(2 * (UINT16_MAX + 1) * 32)
static void *guest_ports;

struct udp_guest_port *__wrap_udp_guest_ports_new(void);
struct udp_guest_port *__wrap_udp_guest_ports_new(void)
{
	if (!guest_ports)
		guest_ports = memory_reserve(PORTS_SIZE);
	MUST(guest_ports && !madvise(guest_ports, PORTS_SIZE, MADV_DONTNEED));
	return guest_ports;
}

/* refuse_bind() - Refuse a port of UDP that another socket has, except for a
 * group's address: these sockets share the port */
static int refuse_bind(const struct ksock *s, const struct in6_addr *addr)
{
	unsigned int i;

	if (s->type != SOCK_DGRAM || !s->port || addr_is_multicast(addr))
		return 0;
	for (i = 0; i < FDS; i++)
		if (&kernel.fd[i] != s && kernel.fd[i].open &&
		    kernel.fd[i].type == SOCK_DGRAM &&
		    kernel.fd[i].port == s->port)
			return EADDRINUSE;
	return 0;
}

static void no_control(void *owner, enum event_type type, uint64_t now)
{
}

/* fill_net() - Set up the guest's network */
static void fill_net(struct net *n)
{
	struct lease *l = &n->lease;
	enum ip_family f;

	*n = (struct net){ .use = { true, true }, .mtu = 65520, .scope = 2,
			   .mcast_ifname = { "eth1", "eth2" } };
	*l = (struct lease){
		.addr = { guest_addr[0], guest_addr[1] }, .len = { 24, 64 },
		.router = { peer_addr[0][1], peer_addr[1][1] },
		.mtu = 65520, .time = LEASE_TIME, .dhcp = true,
		.dhcpv6 = true, .ndp = true, .ra = true, .dhcp_dns = true,
		.mac = { 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 },
	};
	for (f = IP4; f < FAMILIES; f++) {
		l->dns[f][0] = peer_addr[f][2];
		n->nat[n->npairs++] = (struct nat_pair){
			.visible = peer_addr[f][2], .real = peer_addr[f][3],
			.ports = NAT_DNS_PORTS };
		n->nat[n->npairs++] = (struct nat_pair){
			.visible = peer_addr[f][1], .real = net_loopback(f) };
		n->forward[f][0] = peer_addr[f][3];
		n->forward[f][1] = peer_addr[f][0];
	}
}

/* clear_worker() - Set all members to zero, except for large arrays, which
 * passt does not read before it writes them */
static void clear_worker(struct worker *w)
{
	size_t from = offsetof(struct worker, tap.pkt);
	size_t to = offsetof(struct worker, tap.count);

	memset(w, 0, from);
	w->tap.npkt = 0;
	memset((uint8_t *)w + to, 0, sizeof(*w) - to);
}

/* Bits of the first byte of an input. */
enum pick {
	PICK_PCAP	= 0x01,		/* record frames (--pcap). One more byte
					 * is the space of the file, in units of
					 * 16 bytes; 255: no limit */
	PICK_SEGMENTING	= 0x02,		/* the guest takes GSO frames */
	PICK_LOCAL	= 0x04,		/* all addresses are the host's */
	PICK_MULTICAST	= 0x08,
	PICK_NO_HOST	= 0xf0,		/* --no-host-access, if all are set */
};

/* open_guest() - Let a guest connect */
static void open_guest(bool segmenting)
{
	memory_open_as(&o.mem, 1 << 17, segmenting ? MEMORY_SEGMENTING :
		       MEMORY_CONTIGUOUS);
	capture_observe(&o.mem.link);
}

/* start_world() - Start passt as main() does, with some forwarded ports */
static void start_world(struct input *in)
{
	uint8_t pick = take_byte(in), space;
	struct fwd_report r = { 0 };

	kernel_start();
	kernel.sent = check_sent;
	kernel.bind = refuse_bind;
	kernel.route = pick & PICK_LOCAL ? RTN_LOCAL : RTN_UNICAST;
	clear_worker(&o.w);
	memset(&o.fwd, 0, sizeof(o.fwd));
	memset(o.conn, 0, sizeof(o.conn));
	fill_net(&o.net);
	o.npayload = 0;
	o.fragments = false;
	o.conf = (struct conf){ .tcp = true, .udp = true, .icmp = true,
				.max_flows = UINT32_MAX,
				.no_host_access = pick >= PICK_NO_HOST };
	o.w.control = no_control;
	capture.p.fd = -1;
	open_guest(pick & PICK_SEGMENTING);
	MUST(!worker_init(&o.w, &o.conf, &o.net, &o.fwd, &o.mem.link,
			  o.mem.queue));
	MUST(!worker_open(&o.w, FDS_LIMIT));
	clock_init(&o.w.clock, kernel.now);
	o.fwd.net = &o.net;
	MUST(!fwd_init(&o.fwd, 32, o.w.epfd));
	MUST(!fwd_start(&o.fwd, &o.rules, &r));
	MUST(kernel.nopen == FIRST_FREE + o.conf.no_host_access);
	groups_start(pick & PICK_MULTICAST);
	if (g.on)
		MUST(!mcast_open(&o.w.udp));
	if (pick & PICK_PCAP) {
		space = take_byte(in);
		capture_start(space < 255 ? space * 16U : SIZE_MAX);
		capture_observe(&o.mem.link);
	}
	MUST(!worker_guest_up(&o.w, kernel.now));
}

/* ---- Frames to the guest ---- */

static unsigned int index_of(const uint16_t *ports, uint16_t port)
{
	unsigned int i;

	for (i = 0; i < PORTS - 1 && ports[i] != port; i++)
		;
	return i;
}

/* learn_segment() - Note what the guest has received in a TCP segment, and
 * check that its payload is what any peer sends, without a gap */
static void learn_segment(const struct pkt *pkt)
{
	bool v6 = !addr_is_v4(&pkt->src);
	const uint8_t *p = pkt->iov[0].iov_base;
	struct tcp_seg seg;
	struct conn *c;
	unsigned int i;

	for (i = 1; i < pkt->len; i++)
		MUST(p[i] == (p[i - 1] + 1) % 251);
	for (i = 0; i < PEERS && !addr_eq(&peer_addr[v6][i], &pkt->src); i++)
		;
	if (i == PEERS)
		return;
	MUST(tcp_seg_parse(&seg, pkt->l4, pkt->l4len, pkt->len));
	c = &o.conn[v6][i][index_of(guest_port, pkt->dport)]
		   [index_of(peer_port, pkt->sport)];
	c->rcv = tcp_seg_end(&seg);
	if (seg.flags & SEG_RST && seg.flags & SEG_ACK)
		c->snd = seg.ack;
}

/* check_frame() - Check with passt's parser that a frame to the guest is
 * valid */
static void check_frame(struct iovec frame)
{
	uint8_t copy[PKT_HDR_MAX];
	struct frame f = { .iov = &frame, .iovcnt = 1,
			   .len = (uint32_t)frame.iov_len };
	struct fragment frag;
	enum tap_counter drop;
	uint8_t *end = (uint8_t *)frame.iov_base + frame.iov_len;
	struct pkt pkt;

	drop = parse_frame(&f, false, copy, &pkt, &frag);
	MUST(drop == DROP_NONE || drop == TAP_FRAGMENT);
	if (drop == TAP_FRAGMENT && !frag.off &&
	    (frag.proto ? frag.proto : frag.next) == IPPROTO_UDP)
		groups_got(&frag.src, &frag.dst, end - frag.len, frag.len);
	if (drop != DROP_NONE || pkt.etype == ETH_P_ARP)
		return;
	if (pkt.proto == IPPROTO_TCP)
		learn_segment(&pkt);
	else if (pkt.proto == IPPROTO_UDP)
		groups_got(&pkt.src, &pkt.dst, end - pkt.len - UDP_HLEN,
			   pkt.len + UDP_HLEN);
}

/* run_pass() - Handle frames, an event and timers as worker_run() does, and
 * check what went to the guest */
static void run_pass(const struct epoll_event *ev)
{
	unsigned int i;
	bool more;

	kernel.calls = g.nsent = 0;
	handle_frames(&o.w, kernel.now);
	if (ev)
		handle_event(&o.w, ev, kernel.now);
	run_timers(&o.w, 0, kernel.now);
	for (i = 0; i < 64; i++) {
		more = end_pass(&o.w, kernel.now);
		if (!more)
			break;
		handle_frames(&o.w, kernel.now);
	}
	kernel.event = -1;
	if (!link_up(&o.mem.link))
		return;
	for (i = 0; i < o.mem.nsent; i++)
		check_frame(o.mem.sent[i]);
	if (!o.mem.stalled)
		memory_clear(&o.mem);
}

/* ---- Frames from the guest ---- */

/* note_payload() - Remember the payload of a UDP datagram of the guest, or of
 * all datagrams in a GSO frame */
static void note_payload(uint8_t *frame, size_t len, struct frame_meta meta)
{
	static uint8_t payload[LINK_FRAME_MAX];
	uint8_t copy[PKT_HDR_MAX];
	struct iovec iov = { frame, len };
	struct frame f = { .iov = &iov, .iovcnt = 1, .len = (uint32_t)len,
			   .meta = meta };
	struct fragment frag;
	enum tap_counter drop;
	struct pkt pkt;
	size_t at = 0, n;

	drop = parse_frame(&f, false, copy, &pkt, &frag);
	o.fragments |= drop == TAP_FRAGMENT;
	g.unsure |= o.fragments;
	if (drop != DROP_NONE || pkt.etype == ETH_P_ARP ||
	    pkt.proto != IPPROTO_UDP)
		return;
	groups_note(&pkt);
	pkt_copy(&pkt, payload, pkt.len);
	do {
		n = pkt.len - at;
		if (pkt.gso_size)
			n = MIN(n, pkt.gso_size);
		if (o.npayload < PAYLOADS)
			o.payload[o.npayload++] = hash_of(payload + at, n);
		at += n;
	} while (at < pkt.len);
}

/* send_frame() - Let the guest send a frame */
static void send_frame(uint8_t *frame, size_t len, struct frame_meta meta)
{
	if (!link_up(&o.mem.link) || !len)
		return;
	fix_ip4(frame, len);
	note_payload(frame, len, meta);
	memory_put_meta(&o.mem, frame, len, meta);
	o.mem.queue[0].more = true;
	run_pass(NULL);
}

static void step_frame(struct input *in, uint8_t pick)
{
	size_t len = take_u16(in);
	uint8_t *frame = take_copy(in, &len);

	send_frame(frame, len, (struct frame_meta){
		.csum = pick & 64 ? LINK_CSUM_FULL : LINK_CSUM_OK });
	free(frame);
}

/* put_ip() - Write Ethernet and IP headers for a payload of @len bytes; returns
 * their length */
static size_t put_ip(uint8_t *p, const struct in6_addr *to, uint8_t proto,
		     size_t len)
{
	static const uint8_t macs[] = { 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55,
					0x52, 0x54, 0, 1, 2, 3 };
	struct in_addr src = addr_v4(&guest_addr[0]);
	struct in_addr dst = addr_v4(to);
	bool v6 = !addr_is_v4(to);
	uint8_t *ip = p + 14;

	memcpy(p, macs, sizeof(macs));
	put_be16(p + 12, v6 ? ETH_P_IPV6 : ETH_P_IP);
	memset(ip, 0, v6 ? 40 : 20);
	if (v6) {
		ip[0] = 0x60;
		put_be16(ip + 4, (uint16_t)len);
		ip[6] = proto;
		ip[7] = 64;
		memcpy(ip + 8, &guest_addr[1], 16);
		memcpy(ip + 24, to, 16);
		return 14 + 40;
	}
	ip[0] = 0x45;
	put_be16(ip + 2, (uint16_t)(20 + len));
	put_be16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, &src, 4);
	memcpy(ip + 16, &dst, 4);
	return 14 + 20;
}

/* put_tcp() - Write a TCP header by the guest's state; returns the length of
 * the payload that follows */
static size_t put_tcp(struct input *in, uint8_t *l4, struct conn *c, size_t len)
{
	static const uint8_t flags[] = { 2, 16, 24, 17, 4, 18, 16, 0 };
	uint8_t what = take_byte(in), f = flags[what & 7];
	int8_t off = (int8_t)(what & 64 ? take_byte(in) : 0);

	put_be32(l4 + 4, c->snd + (uint32_t)(int32_t)off);
	put_be32(l4 + 8, c->rcv - (what & 32 ? take_byte(in) : 0));
	l4[12] = 5 << 4;
	l4[13] = f;
	put_be16(l4 + 14, what & 16 ? take_byte(in) : 65535);
	put_be32(l4 + 16, 0);
	if (f != 24)
		len = 0;
	if (!off)
		c->snd += (uint32_t)len + (f & 1) + (f >> 1 & 1);
	return len;
}

/* gso_meta() - Make the metadata of a GSO frame */
static struct frame_meta gso_meta(struct input *in, bool v6, uint8_t proto)
{
	return (struct frame_meta){
		.csum = LINK_CSUM_PARTIAL,
		.gso = proto == IPPROTO_UDP ? LINK_GSO_UDP :
		       v6 ? LINK_GSO_TCP6 : LINK_GSO_TCP4,
		.gso_size = (uint16_t)(1 + take_byte(in)),
		.csum_start = v6 ? 54 : 34,
		.csum_offset = (uint16_t)l4_csum_offset(proto),
	};
}

/* step_packet() - Let the guest send a valid packet, made from a few bytes */
static void step_packet(struct input *in)
{
	uint8_t kind = take_byte(in), ports = take_byte(in);
	unsigned int peer = take_byte(in) % PEERS, g = ports & 3;
	unsigned int p = ports >> 2 & 3;
	size_t len = take_byte(in), at, i;
	static const uint8_t protos[] = { IPPROTO_UDP, IPPROTO_TCP,
					  IPPROTO_ICMP, IPPROTO_UDP };
	uint8_t proto = protos[kind >> 1 & 3], frame[14 + 40 + 20 + 4096], *l4;
	struct frame_meta meta = { .csum = LINK_CSUM_OK };
	bool v6 = kind & 1;

	if (kind & 8)
		len *= 16;
	if (proto == IPPROTO_ICMP && v6)
		proto = IPPROTO_ICMPV6;
	l4 = frame + (v6 ? 54 : 34);
	memset(l4, 0, 20 + 8);
	put_be16(l4, guest_port[g]);
	put_be16(l4 + 2, peer_port[p]);
	at = 8;
	if (proto == IPPROTO_TCP) {
		len = put_tcp(in, l4, &o.conn[v6][peer][g][p], len);
		at = 20;
	} else if (proto == IPPROTO_UDP) {
		put_be16(l4 + 4, (uint16_t)(8 + len));
	} else {
		put_be16(l4, (uint16_t)(v6 ? ICMP6_ECHO_REQUEST << 8 :
					ICMP_ECHO << 8));
		put_be16(l4 + 4, ports);
	}
	for (i = 0; i < len; i++)
		l4[at + i] = (uint8_t)(ports + i * 7);
	for (i = 0; i < MIN(len, 12) && kind & 16; i++)
		l4[at + i] = take_byte(in);
	if (kind & 32 && proto != IPPROTO_ICMP && proto != IPPROTO_ICMPV6)
		meta = gso_meta(in, v6, proto);
	at += put_ip(frame, &peer_addr[v6][peer], proto, at + len);
	send_frame(frame, at + len, meta);
}

/* ---- Peers ---- */

/* pick_socket() - Select an open socket that epoll watches; -1: there is none */
static int pick_socket(uint8_t pick, bool listening)
{
	unsigned int i, n;
	const struct ksock *s;

	for (i = 0; i < FDS; i++) {
		n = (pick + i) % FDS;
		s = &kernel.fd[n];
		if (s->open && s->in[0] && s->listening == listening)
			return FD_FIRST + (int)n;
	}
	return -1;
}

/* wake() - Let epoll report events of a socket */
static void wake(int fd, uint32_t events)
{
	const struct ksock *s = ksock_of(fd);
	unsigned int set = link_blocked(&o.mem.link);
	struct epoll_event ev;

	if (!s->in[set]) {
		run_pass(NULL);
		return;
	}
	events &= s->events[set] | EPOLLERR | EPOLLHUP;
	ev = (struct epoll_event){ .events = events,
				   .data.u64 = s->token[set] };
	kernel.event = fd;
	run_pass(events ? &ev : NULL);
}

static void step_socket(struct input *in)
{
	static const int errors[] = { 0, ECONNRESET, ECONNREFUSED, ETIMEDOUT,
				      EHOSTUNREACH, EMSGSIZE, EPIPE, ENETDOWN };
	uint8_t pick = take_byte(in), what = take_byte(in);
	int fd = pick_socket(pick, false);
	struct ksock *s;
	unsigned int i;
	bool v6;

	if (fd < 0)
		return;
	s = ksock_of(fd);
	v6 = s->family == AF_INET6;
	if (v6 && what & 128)		/* a wildcard socket gets IPv4, too */
		v6 = false;
	kernel.ndata = what & 3;
	kernel.nerrs = what >> 2 & 3;
	if (s->type == SOCK_STREAM)
		s->have += s->have < 200000 ? take_byte(in) * 64U : 0;
	else
		for (i = 0; i < kernel.ndata; i++)
			take_message(in, &kernel.data[i], v6);
	if (s->type == SOCK_DGRAM && s->proto == IPPROTO_UDP)
		screen_datagrams(s);
	for (i = 0; i < kernel.nerrs; i++)
		take_error(in, &kernel.errs[i], v6);
	if (what & 64) {
		i = take_byte(in);
		s->error = errors[i & 7];
		s->eof |= i >> 7;
	}
	wake(fd, EPOLLIN | (what & 16 ? EPOLLOUT : 0) |
	     (what & 32 ? EPOLLRDHUP : 0) |
	     (s->error || kernel.nerrs ? EPOLLERR : 0) |
	     (what & 64 && s->error ? EPOLLHUP : 0));
}

static void step_accept(struct input *in)
{
	int fd = pick_socket(take_byte(in), true);

	if (fd < 0)
		return;
	take_addr(in, &kernel.peer, ksock_of(fd)->family == AF_INET6);
	wake(fd, EPOLLIN);
}

/* ---- Multicast ---- */

/* must_leave() - Whether a datagram that the guest sends now must leave: to a
 * group by the socket of the service, or by that of a query, if that is possible
 * at all, or to a querier */
static bool must_leave(const struct ends *e)
{
	const struct querier_of *q;

	if (!g.on || o.mem.stalled || !link_up(&o.mem.link) || kernel.nfails)
		return false;
	if (is_many(&e->dst))
		return group_socket(&e->dst) &&
		       (e->sport == e->dport || kernel.nopen < FDS / 2);
	q = querier_find(&e->dst, e->dport, e->sport);
	return q && is_recent(q->at) && q->query->got &&
	       g.nqueriers < QUERIERS &&
	       has_service(addr_is_v4(&e->dst), e->sport) &&
	       !o.conf.no_host_access;
}

/* send_to_group() - Let the guest send a datagram to a group, or to the peer
 * that has sent the last query to one */
static void send_to_group(struct input *in)
{
	uint8_t pick = take_byte(in), frame[14 + 40 + 8 + 256], *l4;
	const struct group *to = &g.group[pick % GROUPS];
	bool v6 = !addr_is_v4(&to->addr), must;
	const struct querier_of *q = g.querier + g.nqueriers - 1;
	struct ends e = { guest_addr[v6], to->addr, to->port, to->port };
	size_t len = take_byte(in), at;

	if (pick & 64)
		e.sport = guest_port[pick >> 4 & 3];
	if (pick & 128 && g.nqueriers) {
		v6 = !addr_is_v4(&q->addr);
		e = (struct ends){ guest_addr[v6], q->addr, q->service,
				   q->port };
	}
	l4 = frame + (v6 ? 54 : 34);
	put_be16(l4, e.sport);
	put_be16(l4 + 2, e.dport);
	put_be16(l4 + 4, (uint16_t)(8 + len));
	memset(l4 + 6, pick, 2 + len);
	at = put_ip(frame, &e.dst, IPPROTO_UDP, 8 + len);
	must = must_leave(&e);
	send_frame(frame, at + 8 + len, (struct frame_meta){
		.csum = LINK_CSUM_OK });
	MUST(!must || g.nsent || kernel.nfails);
}

/* pick_multicast() - Select a socket for multicast; -1: there is none */
static int pick_multicast(uint8_t pick)
{
	unsigned int i, n;
	const struct ksock *s;

	for (i = 0; i < FDS; i++) {
		n = (pick + i) % FDS;
		s = &kernel.fd[n];
		if (s->open && s->in[0] && s->quiet)
			return FD_FIRST + (int)n;
	}
	return -1;
}

/* take_heard() - Read a datagram that comes to a multicast socket */
static void take_heard(struct input *in, const struct ksock *s,
		       struct kmessage *k)
{
	static uint8_t bytes[MESSAGES][GROUP_MAX + 16];
	uint8_t how = take_byte(in), *p = bytes[k - kernel.data];
	bool v6 = s->family == AF_INET6;
	struct in6_pktinfo p6 = { .ipi6_ifindex = kernel.eth + 2 };
	struct in_pktinfo p4 = { .ipi_ifindex = (int)kernel.eth + 1 };
	struct in6_addr dst = guest_addr[v6], from;
	uint16_t port;

	if (how & 1 && s->joined)
		dst = s->group;
	else if (how & 1)
		dst = g.group[v6 ? 1 : 2].addr;
	p4.ipi_ifindex += how >> 1 & 1;
	p6.ipi6_ifindex += how >> 1 & 1;
	k->data = p;
	k->len = how & 4 ? GROUP_MAX + (how >> 3 & 1) : 8U + take_byte(in);
	k->ncontrol = 0;
	k->from_len = take_addr(in, &k->from, v6);
	sockaddr_get(&k->from, &from, &port);
	if (addr_is_loopback(&from) || !addr_is_unicast(&from)) {
		/* the kernel drops such a sender */
		from = peer_addr[v6][0];
		sockaddr_set(&k->from, &from, port, v6 ? 2 : 0);
	}
	p4.ipi_addr = p4.ipi_spec_dst = addr_v4(&dst);
	if (how & 16)
		p4.ipi_addr.s_addr = INADDR_BROADCAST;
	p6.ipi6_addr = dst;
	if (v6)
		kernel_add_control(k, IPPROTO_IPV6, IPV6_PKTINFO, &p6,
				   sizeof(p6));
	else
		kernel_add_control(k, IPPROTO_IP, IP_PKTINFO, &p4, sizeof(p4));
	if (!v6)
		dst = addr_from_v4(p4.ipi_addr);
	put_be32(p, MARK);
	put_be32(p + 4, groups_heard(s, &from, port, &dst, v6 ?
				     p6.ipi6_ifindex :
				     (uint32_t)p4.ipi_ifindex, k->len));
}

/* hear_multicast() - Let datagrams come to a multicast socket. The guest gets
 * those that it may get */
static void hear_multicast(struct input *in)
{
	int fd = pick_multicast(take_byte(in));
	unsigned int first = g.nheard, i;
	bool must;

	if (fd < 0)
		return;
	kernel.nerrs = 0;
	kernel.ndata = 1U + take_byte(in) % MESSAGES;
	for (i = 0; i < kernel.ndata; i++)
		take_heard(in, ksock_of(fd), &kernel.data[i]);
	must = link_up(&o.mem.link) && !o.mem.stalled && !kernel.nfails &&
	       !ksock_of(fd)->error;
	wake(fd, EPOLLIN);
	for (i = first; must && i < g.nheard; i++)
		MUST(!g.heard[i].must || g.heard[i].got);
}

static void step_group(struct input *in, uint8_t op)
{
	if (op & 128)
		hear_multicast(in);
	else
		send_to_group(in);
}

/* ---- Other steps ---- */

/* pass_time() - Let time pass up to the next timer, or by @ms */
static void pass_time(uint64_t ms)
{
	int next = timers_wait(&o.w.timers, kernel.now);

	if (next >= 0 && (!ms || (uint64_t)next < ms))
		ms = (uint64_t)next;
	kernel.now += MAX(ms, 1);
	run_pass(NULL);
}

static void step_fail(struct input *in)
{
	static const int errors[] = { EAGAIN, EINTR, ENOBUFS, ENOMEM, EMFILE,
				      ECONNREFUSED, EHOSTUNREACH, EMSGSIZE,
				      EADDRINUSE, EACCES, EADDRNOTAVAIL,
				      ECONNABORTED, EPERM, ENODEV, EPIPE,
				      ENETUNREACH };
	uint8_t pick = take_byte(in);

	kernel.fail = errors[pick & 15];
	kernel.nfails = 1U + (pick >> 4);
	kernel.fail_at = 1U + take_byte(in) % 32;
}

/* is_lost() - Whether the host has lost the address of a socket */
static bool is_lost(const void *arg, int fd)
{
	return !(fd & 1);
}

/* change_net() - Let the addresses of the host change, or its interfaces */
static void change_net(uint8_t pick)
{
	struct net old = o.net;
	struct flow *at = NULL;

	if (pick & 128) {
		kernel.eth = pick & 1 ? UINT32_MAX : pick & 2;
		worker_host_changed(&o.w);
	}
	if (pick & 8)
		o.net.lease.addr[IP4].s6_addr[15] ^= 1;
	if (pick & 16)
		o.net.lease.addr[IP6].s6_addr[7] ^= 1;
	if (pick & 32)
		o.net.forward[IP4][1] = old.forward[IP4][0];
	worker_net_changed(&o.w, &old, kernel.now);
	worker_refresh_guest(&o.w, kernel.now);
	if (pick & 64)
		MUST(worker_end_lost(&o.w, &at, is_lost, NULL, kernel.now));
	run_pass(NULL);
}

/* step_link() - Let the guest stop or go on reading, or leave and come back, at
 * once or later, or let the network change */
static void step_link(struct input *in)
{
	uint8_t pick = take_byte(in);

	if (pick & 4) {
		change_net(pick);
		return;
	}

	if (pick & 1) {
		o.mem.stalled = !o.mem.stalled && link_up(&o.mem.link);
		run_pass(NULL);
		return;
	}
	o.mem.stalled = false;
	if (link_up(&o.mem.link))
		worker_guest_down(&o.w, -ECONNRESET);
	MUST(!o.w.flows.used);
	groups_forget();
	if (!(pick & 8)) {
		open_guest(pick & 2);
		MUST(!worker_guest_up(&o.w, kernel.now));
	}
	run_pass(NULL);
}

static void do_step(struct input *in)
{
	uint8_t op = take_byte(in);

	switch (op & 7) {
	case 0:
		step_frame(in, op);
		break;
	case 1: case 2:
		step_packet(in);
		break;
	case 3: case 4:
		step_socket(in);
		break;
	case 5:
		if (op & 64)
			step_group(in, op);
		else
			step_accept(in);
		break;
	case 6:
		pass_time(op & 64 ? 0 : take_u16(in));
		break;
	case 7:
		if (op & 64)
			step_link(in);
		else
			step_fail(in);
		break;
	}
}

/* break_connections() - Let the connections of all TCP sockets time out */
static void break_connections(void)
{
	unsigned int i;

	for (i = 0; i < FDS; i++) {
		if (!kernel.fd[i].open || kernel.fd[i].listening ||
		    kernel.fd[i].type != SOCK_STREAM)
			continue;
		kernel.fd[i].error = ETIMEDOUT;
		wake(FD_FIRST + (int)i, EPOLLERR | EPOLLHUP);
	}
}

/* end_world() - Let guest and peers be silent, and then end passt. Check that
 * nothing is left. A connection to a resolver that times out goes to the next
 * resolver */
static void end_world(void)
{
	uint64_t start = kernel.now;

	kernel.fail_at = kernel.nfails = 0;
	o.mem.stalled = false;
	run_pass(NULL);
	while (o.w.flows.used && kernel.now - start < SILENCE) {
		break_connections();
		pass_time(0);
	}
	MUST(!o.w.flows.used);
	MUST(!o.w.tap.fragments.bytes || kernel.now - start < 20 * SEC);
	o.w.udp.guest_ports = NULL;	/* passt must not free it */
	worker_free(&o.w);
	capture_end();
	fwd_free(&o.fwd);
	MUST(!kernel.nopen);
}

static void start_once(void)
{
	static const char *const tcp[] = { "22,80:22", NULL };
	static const char *const udp[] = { "53,5353", NULL };
	struct rule_error e;

	csum_init();
	log_set_level(LOG_EMERG);
	peers_init();
	MUST(!rule_set_read(&o.rules, tcp, udp, &e));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	static bool started;
	unsigned int i;

	if (!started)
		start_once();
	started = true;
	start_world(&in);
	for (i = 0; i < STEPS && in.left; i++)
		do_step(&in);
	end_world();
	return 0;
}

COUNTED
