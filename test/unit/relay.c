// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * relay.c - Tests of ICMP errors that are relayed to the guest: the source
 * address, type and code of an error, what it quotes, and when none is sent.
 */
#include "../../icmp/relay.c"
#include "test/unit/flows.h"

#define ROOM		(1 << 20)
#define LIFE		64

#define ROUTER4		"198.51.100.7"
#define ROUTER6		"2001:db8:7::7"

/* Addresses and IP header length (@hlen, bytes) of one IP version, for tests
 * that run with both versions. */
struct family {
	const char *gw, *nowhere, *router, *guest, *loopback;
	bool v4;
	size_t hlen;
};

static const struct family v4 = {
	GW4, NOWHERE4, ROUTER4, GUEST4, "127.0.0.1", true, 20,
};

static const struct family v6 = {
	GW6, NOWHERE6, ROUTER6, GUEST6, "::1", false, 40,
};

/* udp_key() - Make the key of a UDP flow to a peer to which the host has no
 * route */
static struct flow_key udp_key(const struct family *f)
{
	return (struct flow_key){
		.guest = addr(f->guest), .peer = addr(f->nowhere),
		.gport = 40000, .pport = 33434, .proto = IPPROTO_UDP,
	};
}

/* router_error() - Make an ICMP error from a router, about a datagram with 12
 * bytes of payload; @info: the MTU or the pointer in the error */
static struct sock_error router_error(const struct family *f, uint8_t type,
				      uint8_t code, uint32_t info)
{
	struct sock_error r = {
		.from_network = true, .type = type, .code = code, .info = info,
		.error = EHOSTUNREACH, .from = addr(f->router),
		.dest = addr(f->nowhere), .port = 33434, .len = 12,
	};

	memcpy(r.data, "traceroute..", 12);
	return r;
}

/* told() - Relay an error; true if the guest received one correct packet */
static bool told(struct world *w, const struct sock_error *r,
		 const struct icmp_quote *q, struct seen *s)
{
	memory_clear(&w->mem);
	icmp_error_relay(&w->errors, r, q, w->now++);
	link_flush(w->mem.queue);
	return nth(w, 0, s) && w->mem.nsent == 1 && s->good;
}

/* Given an error from a router, then the guest receives an error with the same
 * type and code. */
static void story_messages(const struct family *f)
{
	static const struct {
		const char *name;
		bool v4;
		uint8_t type, code;
		uint32_t info, rest;
	} c[] = {
		{ "network unreachable", true, 3, 0, 0, 0 },
		{ "port unreachable", true, 3, 3, 0, 0 },
		{ "fragmentation needed", true, 3, 4, 1400, 1400 },
		{ "fragmentation needed, of an old router", true, 3, 4, 0, 0 },
		{ "fragmentation needed, absurd", true, 3, 4, 1, 68 },
		{ "source route failed", true, 3, 5, 0, 0 },
		{ "network prohibited", true, 3, 9, 0, 0 },
		{ "filtered", true, 3, 13, 0, 0 },
		{ "TTL exceeded", true, 11, 0, 0, 0 },
		{ "reassembly time exceeded", true, 11, 1, 0, 0 },
		{ "parameter problem", true, 12, 0, 9, 9 << 24 },
		{ "no route", false, 1, 0, 0, 0 },
		{ "prohibited", false, 1, 1, 0, 0 },
		{ "source address failed policy", false, 1, 5, 0, 0 },
		{ "too big", false, 2, 0, 1400, 1400 },
		{ "too big, absurd", false, 2, 0, 600, 1280 },
		{ "hop limit exceeded", false, 3, 0, 0, 0 },
		{ "unknown next header", false, 4, 1, 40, 40 },
	};
	struct flow_key key = udp_key(f);
	struct icmp_quote q = { .key = &key };
	struct sock_error r;
	struct world w;
	struct seen s;
	unsigned int i;

	printf("# errors of a router, IPv%d\n", f->v4 ? 4 : 6);
	world_open(&w, LIFE, ROOM);
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		if (c[i].v4 != f->v4)
			continue;
		r = router_error(f, c[i].type, c[i].code, c[i].info);
		check(c[i].name, told(&w, &r, &q, &s) &&
		      is_from(&s, f->router) && s.l4[0] == c[i].type &&
		      s.l4[1] == c[i].code &&
		      get_be32(s.l4 + 4) == c[i].rest);
	}
	world_close(&w);
}

/* Given a redirect or an obsolete ICMP message from a router, then the guest
 * receives nothing, unless the kernel gives an errno that means an error. */
static void story_obsolete(const struct family *f)
{
	struct flow_key key = udp_key(f);
	struct icmp_quote q = { .key = &key };
	struct sock_error r;
	struct world w;
	struct seen s;

	printf("# messages that hosts no longer use, IPv%d\n", f->v4 ? 4 : 6);
	world_open(&w, LIFE, ROOM);
	r = router_error(f, f->v4 ? 5 : 137, 0, 0);
	r.error = EREMOTEIO;
	check("a redirect is not relayed", !told(&w, &r, &q, &s) &&
	      !w.mem.nsent);
	r = router_error(f, f->v4 ? 4 : 100, 0, 0);
	r.error = EPROTO;
	check("nor is a message that has no meaning today",
	      !told(&w, &r, &q, &s) && !w.mem.nsent);
	r.error = EHOSTUNREACH;
	check("unless its errno means an error", told(&w, &r, &q, &s) &&
	      s.l4[0] == (f->v4 ? 3 : 1) && s.l4[1] == (f->v4 ? 1 : 3));
	world_close(&w);
}

/* Given an error from the host's kernel, then the guest receives an error whose
 * type and code follow from errno, and whose source is the guest's router. */
static void story_local(const struct family *f)
{
	struct flow_key key = udp_key(f);
	struct icmp_quote q = { .key = &key };
	struct sock_error r = router_error(f, 0, 0, 1400);
	struct world w;
	struct seen s;

	printf("# errors of the host's kernel, IPv%d\n", f->v4 ? 4 : 6);
	world_open(&w, LIFE, ROOM);
	r.from_network = false;
	r.from = ADDR_NONE;
	r.error = EMSGSIZE;
	check("too long", told(&w, &r, &q, &s) && is_from(&s, f->gw) &&
	      s.l4[0] == (f->v4 ? 3 : 2) && s.l4[1] == (f->v4 ? 4 : 0) &&
	      get_be32(s.l4 + 4) == 1400);
	r.error = ENETUNREACH;
	check("no route", told(&w, &r, &q, &s) && is_from(&s, f->gw) &&
	      s.l4[0] == (f->v4 ? 3 : 1) && s.l4[1] == 0);
	r.error = ENOBUFS;
	check("an errno that does not concern the guest",
	      !told(&w, &r, &q, &s) && !w.mem.nsent);
	world_close(&w);
}

/* Given an error from a router, then the guest receives it with the
 * guest-visible address of this router as source. */
static void story_sender(const struct family *f)
{
	struct flow_key key = udp_key(f);
	struct icmp_quote q = { .key = &key };
	struct sock_error r = router_error(f, f->v4 ? 11 : 3, 0, 0);
	struct world w;
	struct seen s;
	unsigned int i;

	printf("# the source of an error, IPv%d\n", f->v4 ? 4 : 6);
	world_open(&w, LIFE, ROOM);
	check("a router has its own address", told(&w, &r, &q, &s) &&
	      is_from(&s, f->router));
	r.from = addr(f->loopback);
	check("the host's loopback has the address that leads there",
	      told(&w, &r, &q, &s) && is_from(&s, f->gw));
	r.from = addr(f->guest);
	check("the guest itself is never the source", told(&w, &r, &q, &s) &&
	      is_from(&s, f->gw));
	net_put_pair(&w.net, GW4, GUEST4, NAT_ANY_PORT);
	net_put_pair(&w.net, GW6, GUEST6, NAT_ANY_PORT);
	check("an address that host and guest share is mapped, too",
	      told(&w, &r, &q, &s) && is_from(&s, f->gw));
	for (i = 0; i < w.net.npairs; i++)
		w.net.nat[i].visible = ADDR_NONE;
	check("without such an address it is the guest's router",
	      told(&w, &r, &q, &s) && is_from(&s, f->gw));
	r.from = ADDR_NONE;
	check("an unknown sender is the guest's router",
	      told(&w, &r, &q, &s) && is_from(&s, f->gw));
	r.from = addr(f->v4 ? "224.0.0.1" : "ff02::1");
	check("so is an impossible one", told(&w, &r, &q, &s) &&
	      is_from(&s, f->gw));
	r.from = addr(f->v4 ? ROUTER6 : ROUTER4);
	check("so is one of the other family", told(&w, &r, &q, &s) &&
	      is_from(&s, f->gw));
	r.dest = r.from = addr(f->loopback);
	check("the peer has the address that the guest used for it",
	      told(&w, &r, &q, &s) && is_from(&s, f->nowhere));
	world_close(&w);
}

/* Given an error that reached the host with some TTL, then it reaches the guest
 * with the same TTL. */
static void story_ttl(const struct family *f)
{
	struct flow_key key = udp_key(f);
	struct icmp_quote q = { .key = &key };
	struct sock_error r = router_error(f, f->v4 ? 11 : 3, 0, 0);
	struct world w;
	struct seen s;

	printf("# the TTL of a message, IPv%d\n", f->v4 ? 4 : 6);
	world_open(&w, LIFE, ROOM);
	r.ttl = 251;
	told(&w, &r, &q, &s);
	check_eq("it is that of the message", s.ttl, 251);
	r.ttl = 0;
	told(&w, &r, &q, &s);
	check_eq("or the default", s.ttl, IP_TTL_OWN);
	world_close(&w);
}

/* Given an error that quotes a datagram of a socket, then the guest receives an
 * error that quotes the datagram as the guest sent it. */
static void story_quote_udp(const struct family *f)
{
	struct flow_key key = udp_key(f);
	struct icmp_quote q = { .key = &key, .ttl = 9, .tos = 0xb9 };
	struct sock_error r = router_error(f, f->v4 ? 3 : 1, 1, 0);
	size_t most = (f->v4 ? 576 : 1280) - f->hlen;
	const uint8_t *ip, *l4;
	struct world w;
	struct seen s;

	printf("# what is quoted of a datagram, IPv%d\n", f->v4 ? 4 : 6);
	world_open(&w, LIFE, ROOM);
	check("it is sent", told(&w, &r, &q, &s));
	ip = s.l4 + 8;
	l4 = ip + f->hlen;
	check_eq("as long as what came back", s.len, 8 + f->hlen + 8 + 12);
	check("its header is right", f->v4 ? !csum_ip4(ip, 20) &&
	      ip[0] == 0x45 && get_be16(ip + 2) == 20 + 8 + 12 && ip[9] == 17 :
	      ip[0] >> 4 == 6 && get_be16(ip + 4) == 8 + 12 && ip[6] == 17);
	check_eq("with the guest's type of service",
		 f->v4 ? ip[1] : get_be16(ip) >> 4 & 0xff, 0xb9);
	check_eq("and TTL", f->v4 ? ip[8] : ip[7], 9);
	check("its addresses", f->v4 ?
	      !memcmp(ip + 12, &key.guest.s6_addr[12], 4) &&
	      !memcmp(ip + 16, &key.peer.s6_addr[12], 4) :
	      !memcmp(ip + 8, &key.guest, 16) &&
	      !memcmp(ip + 24, &key.peer, 16));
	check("its ports", get_be16(l4) == 40000 && get_be16(l4 + 2) == 33434);
	check_eq("its length", get_be16(l4 + 4), 8 + 12);
	check_mem("and its payload", l4 + 8, "traceroute..", 12);
	if (f->v4)
		check_eq("no DF", get_be16(ip + 6), 0);

	q.df = true;
	r.type = f->v4 ? 11 : 3;
	r.code = 0;
	told(&w, &r, &q, &s);
	ip = s.l4 + 8;
	if (f->v4)
		check_eq("DF where the guest set it", get_be16(ip + 6), 0x4000);
	check_eq("a TTL that expired is quoted as 1", f->v4 ? ip[8] : ip[7], 1);

	q.total = 1008;
	told(&w, &r, &q, &s);
	check_eq("a length that is known is quoted",
		 get_be16(s.l4 + 8 + f->hlen + 4), 1008);
	r.len = sizeof(r.data);
	told(&w, &r, &q, &s);
	check_eq("no error is longer than allowed", s.len, most);
	r.len = 0;
	check("without payload, the ports are quoted", told(&w, &r, &q, &s) &&
	      s.len == 8 + f->hlen + 8 &&
	      get_be16(s.l4 + 8 + f->hlen) == 40000);
	world_close(&w);
}

/* Given an error that quotes an echo request with the ping socket's identifier,
 * then the guest receives a quote with its own identifier and a correct
 * checksum. */
static void story_quote_echo(void)
{
	struct flow_key key = {
		.guest = addr(GUEST4), .peer = addr(NOWHERE4),
		.gport = 0x1234, .proto = IPPROTO_ICMP,
	};
	struct icmp_quote q = { .key = &key };
	struct sock_error r = router_error(&v4, 11, 0, 0);
	uint8_t echo[64] = { 8, 0, 0, 0, 0xbe, 0xef, 0, 7 };
	const uint8_t *l4;
	uint16_t check;
	struct world w;
	struct seen s;
	unsigned int i;

	printf("# what is quoted of an echo request\n");
	world_open(&w, LIFE, ROOM);
	for (i = 8; i < sizeof(echo); i++)
		echo[i] = (uint8_t)(i * 11);
	check = csum_fold(csum_add(echo, sizeof(echo), 0));
	memcpy(echo + 2, &check, 2);
	memcpy(r.data, echo, sizeof(echo));
	r.len = sizeof(echo);
	check("it is sent", told(&w, &r, &q, &s));
	l4 = s.l4 + 8 + 20;
	check_eq("everything that came back is quoted", s.len,
		 8 + 20 + sizeof(echo));
	check_eq("the guest's identifier", get_be16(l4 + 4), 0x1234);
	check_eq("its sequence number", get_be16(l4 + 6), 7);
	check_mem("its payload", l4 + 8, echo + 8, sizeof(echo) - 8);
	check_eq("a checksum that is right",
		 csum_fold(csum_add(l4, sizeof(echo), 0)), 0);

	r.len = 7;
	check("less than a header is not relayed", !told(&w, &r, &q, &s) &&
	      !w.mem.nsent);
	world_close(&w);
}

/* Given an error for which tcp.c provides the guest's segment, then the guest
 * receives an error that quotes this segment. */
static void story_quote_given(void)
{
	static const uint8_t syn[20] = { 0x9c, 0x40, 0, 80, 1, 2, 3, 4,
					 [12] = 0x50, [13] = 2 };
	struct flow_key key = {
		.guest = addr(GUEST4), .peer = addr(NOWHERE4),
		.gport = 40000, .pport = 80, .proto = IPPROTO_TCP,
	};
	struct icmp_quote q = { .key = &key, .l4 = syn, .len = sizeof(syn),
				.total = sizeof(syn), .df = true };
	struct sock_error r = router_error(&v4, 3, 13, 0);
	struct world w;
	struct seen s;

	printf("# what is quoted of a segment\n");
	world_open(&w, LIFE, ROOM);
	check("it is sent", told(&w, &r, &q, &s) && is_from(&s, ROUTER4));
	check_eq("as long as the segment", s.len, 8 + 20 + sizeof(syn));
	check_mem("the segment itself", s.l4 + 28, syn, sizeof(syn));
	world_close(&w);
}

/* Given an error about a multicast or broadcast datagram, or more errors than
 * the rate limit allows, then none is sent to the guest. */
static void story_never(void)
{
	static const char *const many[] = { "224.0.0.251", "255.255.255.255",
					    "ff02::fb" };
	struct flow_key key = udp_key(&v4);
	struct icmp_quote q = { .key = &key };
	struct sock_error r = router_error(&v4, 11, 0, 0);
	unsigned int i, sent = 0;
	struct world w;
	struct seen s;

	printf("# what causes no error, and how many there are\n");
	world_open(&w, LIFE, ROOM);
	for (i = 0; i < ARRAY_SIZE(many); i++) {
		key.peer = addr(many[i]);
		key.guest = addr(guest_of(many[i]));
		told(&w, &r, &q, &s);
		check(many[i], !w.mem.nsent);
	}
	key = udp_key(&v4);
	for (i = 0; i < 1000; i++) {
		told(&w, &r, &q, &s);
		w.now--;
		sent += w.mem.nsent;
	}
	check_eq("a burst at once", sent, ICMP_ERROR_BURST);
	check_eq("the others are counted", w.errors.count[ICMP_LIMITED],
		 1000 - ICMP_ERROR_BURST);
	world_close(&w);
}

int main(void)
{
	story_messages(&v4);
	story_messages(&v6);
	story_obsolete(&v4);
	story_obsolete(&v6);
	story_local(&v4);
	story_local(&v6);
	story_sender(&v4);
	story_sender(&v6);
	story_ttl(&v4);
	story_ttl(&v6);
	story_quote_udp(&v4);
	story_quote_udp(&v6);
	story_quote_echo();
	story_quote_given();
	story_never();
	return unit_end();
}
