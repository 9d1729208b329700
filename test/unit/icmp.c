// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * icmp.c - Tests of ICMP. One part is the guest's pings over real ping sockets:
 * replies, errors from routers, what passt drops, and how long flows live. The
 * other part is ICMP errors that passt itself makes for the guest: what they
 * quote, and how many of them are sent.
 */
#include "../../icmp.c"
#include "test/unit/flows.h"

#define ROOM	(1 << 20)
#define LIFE	8192

/* What differs between IPv4 and IPv6, for stories that run for both. */
struct family {
	const char *gw, *nowhere;
	uint8_t proto, request, reply;
	size_t hlen;
};

static const struct family v4 = { GW4, NOWHERE4, IPPROTO_ICMP, 8, 0, 20 };
static const struct family v6 = { GW6, NOWHERE6, IPPROTO_ICMPV6, 128, 129, 40 };

/* pings() - Let the guest send an echo request with @len bytes of payload */
static void pings(struct world *w, const struct family *f, const char *dst,
		  uint16_t id, uint16_t seq, size_t len)
{
	static uint8_t buf[65536];
	size_t i;

	memset(buf, 0, 8);
	buf[0] = f->request;
	put_be16(buf + 4, id);
	put_be16(buf + 6, seq);
	for (i = 0; i < len; i++)
		buf[8 + i] = (uint8_t)(i * 7 + seq);
	sends_ip(w, guest_of(dst), dst, f->proto, buf, 8 + len);
}

/* pings_with() - Like pings(), with a TOS or traffic class @tos, and with DF if
 * the packet is IPv4 and @df is true */
static void pings_with(struct world *w, const struct family *f, uint16_t seq,
		       size_t len, uint8_t tos, bool df)
{
	static uint8_t buf[65536];
	struct ip_hdr ip = { .src = addr(guest_of(f->gw)), .dst = addr(f->gw),
			     .proto = f->proto, .ttl = 61 };
	uint8_t *frame, *h;
	uint16_t check;

	memset(buf, 0, 8 + len);
	buf[0] = f->request;
	put_be16(buf + 4, 5);
	put_be16(buf + 6, seq);
	len = make_frame(&ip, buf, 8 + len, &frame);
	h = frame + ETH_LEN;
	if (f->hlen == 20) {
		h[1] = tos;
		h[6] = df ? 0x40 : 0;
		memset(h + 10, 0, 2);
		check = csum_ip4(h, 20);
		memcpy(h + 10, &check, 2);
	} else {
		put_be16(h, (uint16_t)(0x6000 | tos << 4));
	}
	memory_clear(&w->mem);
	memory_put(&w->mem, frame, len);
	hand_over(w);
	free(frame);
}

static struct icmp_flow *echo_of(struct world *w, const struct family *f,
				 const char *peer, uint16_t id)
{
	struct flow_key key = { .guest = addr(guest_of(f->gw)), .gport = id,
				.proto = f->proto };

	if (peer)
		key.peer = addr(peer);
	return find_echo_flow(&w->echo, &key);
}

/* Given a host that does not allow ping sockets, then a warning at start says
 * so, and the guest's pings get no reply. */
static void story_not_allowed(void)
{
	struct world w;

	printf("# ping sockets are not allowed\n");
	world_open(&w, LIFE, ROOM);
	check("start-up finds out that pings are not allowed",
	      !check_ping_family(AF_INET, IPPROTO_ICMP, "IPv4"));
	icmp_check_allowed(&w.echo);
	pings(&w, &v4, GW4, 1, 1, 8);
	check_eq("a ping is refused, and counted",
		 w.echo.count[ICMP_REFUSED], 1);
	check("without an answer", !w.mem.nsent);
	check_eq("or a flow", w.flows.used, 0);
	world_close(&w);
}

/* Given that the host lacks the interface or the address to which passt's
 * sockets are bound, when the guest pings, then it is told. When the host has
 * them again, then the guest can ping. */
static void story_no_source(const struct family *f)
{
	enum ip_family ip = f == &v4 ? IP4 : IP6;
	struct world w;
	struct seen s;

	printf("# ping without a source\n");
	world_open(&w, LIFE, ROOM);
	strcpy(w.net.source_ifname[ip], "no_such_thing");
	pings(&w, f, f->nowhere, 1, 1, 8);
	check("no interface: unreachable", nth(&w, 0, &s) && s.good &&
	      s.l4[0] == (ip == IP4 ? 3 : 1) && !s.l4[1]);
	*w.net.source_ifname[ip] = '\0';
	w.net.source[ip] = addr(f->nowhere);
	pings(&w, f, f->nowhere, 1, 2, 8);
	check("no address: unreachable", nth(&w, 0, &s) && s.good &&
	      s.l4[0] == (ip == IP4 ? 3 : 1) && !s.l4[1]);
	check_eq("both are counted", w.echo.count[ICMP_REFUSED], 2);
	check_eq("there is no flow", w.flows.used, 0);
	w.net.source[ip] = ADDR_NONE;
	pings(&w, f, f->gw, 1, 3, 8);
	events(&w, 1000);
	check("then the peer replies", nth(&w, 0, &s) && s.l4[0] == f->reply);
	world_close(&w);
}

/* Given a peer that replies, when the guest pings it, then the guest gets the
 * correct reply. */
static void story_echo(const struct family *f)
{
	static const size_t sizes[] = { 56, 0, 1, 1472, 9000 };
	struct world w;
	struct seen s;
	unsigned int i, j;
	bool same;

	printf("# ping %s\n", f->gw);
	world_open(&w, LIFE, ROOM);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		pings(&w, f, f->gw, 0x1234, (uint16_t)(i + 7), sizes[i]);
		events(&w, 1000);
		if (!check("a ping is answered", nth(&w, 0, &s)))
			continue;
		check("headers and checksums are right", s.good);
		check("by the peer that was pinged", is_from(&s, f->gw));
		check_eq("with an echo reply", s.l4[0], f->reply);
		check_eq("its identifier", get_be16(s.l4 + 4), 0x1234);
		check_eq("its sequence number", get_be16(s.l4 + 6), i + 7);
		check_eq("its length", s.len, 8 + sizes[i]);
		for (j = 0, same = true; j < sizes[i]; j++)
			same &= s.l4[8 + j] == (uint8_t)(j * 7 + i + 7);
		check("its payload", same);
		check_eq("and the peer's TTL", s.ttl, 64);
	}
	check_eq("all of that over one socket", w.echo.nsockets, 1);
	check_eq("and one peer", w.echo.npeers, 1);
	world_close(&w);
}

/* Given an identifier that another ping socket of the host uses, when the guest
 * pings with this identifier, then passt sends another one to the peer, and the
 * guest gets a reply with its own identifier. */
static void story_identifier_taken(void)
{
	struct in6_addr any = addr("0.0.0.0");
	union sockaddr_any sa;
	socklen_t len = sockaddr_set(&sa, &any, 77, 0);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
	struct world w;
	struct seen s;

	printf("# an identifier in use\n");
	world_open(&w, LIFE, ROOM);
	bind(fd, &sa.sa, len);
	pings(&w, &v4, GW4, 77, 1, 8);
	events(&w, 1000);
	check("an identifier in use still gets its reply", nth(&w, 0, &s) &&
	      s.good && get_be16(s.l4 + 4) == 77);
	pings(&w, &v4, GW4, 0, 1, 8);
	events(&w, 1000);
	check("so does identifier 0", nth(&w, 0, &s) && s.good &&
	      get_be16(s.l4 + 4) == 0);
	check_eq("each has its socket", w.echo.nsockets, 2);
	close(fd);
	world_close(&w);
}

/* forge() - Send an echo reply of @len bytes from the address @src to the
 * host's loopback; false if that fails */
static bool forge(const char *src, uint16_t id, size_t len)
{
	struct in6_addr from = addr(src), to = addr("127.0.0.1");
	uint8_t reply[9000] = { 0 };
	union sockaddr_any sa;
	socklen_t salen;
	uint16_t check;
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	bool good;

	put_be16(reply + 4, id);
	check = csum_fold(csum_add(reply, len, 0));
	memcpy(reply + 2, &check, 2);
	salen = sockaddr_set(&sa, &from, 0, 0);
	good = fd >= 0 && !bind(fd, &sa.sa, salen);
	salen = sockaddr_set(&sa, &to, 0, 0);
	good = good && sendto(fd, reply, len, 0, &sa.sa, salen) > 0;
	if (fd >= 0)
		close(fd);
	return good;
}

/* Given a peer that was pinged, when another peer sends a reply, then the guest
 * does not receive this reply (I1). */
static void story_unasked(void)
{
	struct world w;

	printf("# a reply of a peer that was not pinged\n");
	world_open(&w, LIFE, ROOM);
	net_put_pair(&w.net, "192.0.2.33", "127.0.0.33", NAT_ANY_PORT);
	pings(&w, &v4, GW4, 5, 1, 8);
	events(&w, 1000);
	check_eq("the reply of the peer is received", w.mem.nsent, 1);

	memory_clear(&w.mem);
	check("the test can forge", forge("127.0.0.33", 5, 16));
	events(&w, 1000);
	check_eq("that of another one is not", w.mem.nsent, 0);
	check_eq("and is counted", w.echo.count[ICMP_UNASKED], 1);

	/* 127.0.0.9 has the same guest-visible address as 127.0.0.1, which was
	 * pinged. */
	check("the test can forge", forge("127.0.0.9", 5, 16));
	events(&w, 1000);
	check_eq("nor that of one with the same guest-visible address",
		 w.mem.nsent, 0);
	check_eq("counted as well", w.echo.count[ICMP_UNASKED], 2);
	check("the test can forge", forge("127.0.0.1", 5, 16));
	events(&w, 1000);
	check_eq("a second reply of the peer is", w.mem.nsent, 1);
	world_close(&w);
}

/* Given a peer whose replies are shorter or longer than the request, then the
 * guest receives each reply as long as it came, and nothing else. */
static void story_other_length(void)
{
	static const size_t sizes[] = { 8, 9, 16, 1400, 9000 };
	struct world w;
	struct seen s;
	unsigned int i;

	printf("# replies of other lengths than the request\n");
	world_open(&w, LIFE, ROOM);
	pings(&w, &v4, GW4, 5, 1, 56);
	events(&w, 1000);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memory_clear(&w.mem);
		check("the test can forge", forge("127.0.0.1", 5, sizes[i]));
		events(&w, 1000);
		check_eq("there is one packet", w.mem.nsent, 1);
		check("headers and checksums are right",
		      nth(&w, 0, &s) && s.good);
		check_eq("as long as what the peer sent", s.len, sizes[i]);
		check("from the peer", is_from(&s, GW4));
	}
	world_close(&w);
}

/* tos_of() - Get the TOS or traffic class of a packet that the guest
 * received */
static uint8_t tos_of(const struct family *f, const struct seen *s)
{
	const uint8_t *ip = s->l4 - f->hlen;

	return f->hlen == 20 ? ip[1] : (uint8_t)(get_be16(ip) >> 4);
}

/* Given an echo request of the guest with a TOS, then the request leaves with
 * this TOS, and the reply comes back with it. */
static void story_tos(const struct family *f)
{
	static const uint8_t tos[] = { 0, 0xb8, 0x02, 0xff, 0 };
	struct world w;
	struct seen s;
	unsigned int i;

	printf("# the type of service of a ping %s\n", f->gw);
	world_open(&w, LIFE, ROOM);
	for (i = 0; i < ARRAY_SIZE(tos); i++) {
		pings_with(&w, f, 1, 8, tos[i], true);
		events(&w, 1000);
		if (check("a ping is answered", w.mem.nsent == 1))
			nth(&w, 0, &s);
		check_eq("with its type of service",
			 w.mem.nsent ? tos_of(f, &s) : 0, tos[i]);
	}
	world_close(&w);
}

/* Given an echo request that is longer than the MTU of the host's interface,
 * then the guest gets an ICMP error with this MTU. The guest still gets its
 * reply, unless it had got the same error within the last ten minutes. */
static void story_too_long(const struct family *f)
{
	bool four = f->hlen == 20;
	struct world w;
	struct seen s;

	printf("# a ping of %s that is too long\n", f->gw);
	world_open(&w, LIFE, ROOM);
	check("the test can set an MTU", set_mtu(1400));
	pings_with(&w, f, 9, 3000, 0, true);
	if (check("it is too long", nth(&w, 0, &s) && s.good)) {
		check("the guest is told so", is_from(&s, f->gw) &&
		      s.l4[0] == (four ? 3 : 2) && s.l4[1] == (four ? 4 : 0));
		check_eq("with the MTU", get_be32(s.l4 + 4), 1400);
		check_eq("and its request",
			 get_be16(s.l4 + 8 + f->hlen + 6), 9);
	}
	memory_clear(&w.mem);
	events(&w, 1000);
	check("it did not know, and gets its reply", nth(&w, 0, &s) &&
	      s.good && s.l4[0] == f->reply && s.len == 8 + 3000);
	check("it is told once", w.mem.nsent == 1);
	pings_with(&w, f, 9, 3000, 0, true);
	events(&w, 100);
	check("now it knows: it is told again, and gets no reply",
	      w.mem.nsent == 1 && nth(&w, 0, &s) &&
	      s.l4[0] == (four ? 3 : 2));
	later(&w, ICMP_MTU_KNOWN - 1);
	pings_with(&w, f, 9, 3000, 0, true);
	events(&w, 100);
	check("ten minutes later it still does", w.mem.nsent == 1);
	later(&w, ICMP_MTU_KNOWN);
	pings_with(&w, f, 9, 3000, 0, true);
	events(&w, 1000);
	check("then it has forgotten", w.mem.nsent == 2 && nth(&w, 1, &s) &&
	      s.l4[0] == f->reply);
	if (four) {
		pings_with(&w, f, 10, 3000, 0, false);
		events(&w, 1000);
		check("one that may be fragmented is, and gets a reply",
		      nth(&w, 0, &s) && s.good && s.l4[0] == f->reply);
	}
	pings_with(&w, f, 11, 1000, 0, true);
	events(&w, 1000);
	check("one that is short enough gets a reply",
	      nth(&w, 0, &s) && s.good && s.l4[0] == f->reply);
	set_mtu(65536);
	world_close(&w);
}

/**
 * router_says() - Let a router at 127.0.0.33 send an error about an echo
 * request
 * @type, @code: type and code of the error
 * @id, @seq:	identifier and sequence number of the request
 * @dst:	destination of the request
 */
static bool router_says(uint8_t type, uint8_t code, uint16_t id, uint16_t seq,
			const char *dst)
{
	struct in6_addr from = addr("127.0.0.33"), to = addr("127.0.0.1");
	struct in6_addr asked_of = addr(dst);
	uint8_t m[8 + 20 + 8 + 4] = { type, code, [8] = 0x45, [17] = 1,
				      [28] = 8, [36] = 'e', 'c', 'h', 'o' };
	uint8_t *ip = m + 8, *echo = m + 28;
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	union sockaddr_any sa;
	socklen_t len;
	uint16_t check;
	bool good;

	put_be16(ip + 2, 32);
	memcpy(ip + 12, &to.s6_addr[12], 4);
	memcpy(ip + 16, &asked_of.s6_addr[12], 4);
	check = csum_ip4(ip, 20);
	memcpy(ip + 10, &check, 2);
	put_be16(echo + 4, id);
	put_be16(echo + 6, seq);
	check = csum_fold(csum_add(echo, 12, 0));
	memcpy(echo + 2, &check, 2);
	check = csum_fold(csum_add(m, sizeof(m), 0));
	memcpy(m + 2, &check, 2);

	len = sockaddr_set(&sa, &from, 0, 0);
	good = fd >= 0 && !bind(fd, &sa.sa, len);
	len = sockaddr_set(&sa, &to, 0, 0);
	good = good && sendto(fd, m, sizeof(m), 0, &sa.sa, len) ==
	       (ssize_t)sizeof(m);
	if (fd >= 0)
		close(fd);
	return good;
}

/* seen_router() - Whether frame @n to the guest is an ICMP error about request
 * @seq, from a router on the path to the peer */
static bool seen_router(const struct world *w, unsigned int n, uint8_t type,
			uint8_t code, uint16_t seq)
{
	const uint8_t *echo;
	struct seen s;

	if (!nth(w, n, &s) || !s.good)
		return false;
	echo = s.l4 + 28;
	return is_from(&s, "192.0.2.33") && s.l4[0] == type &&
	       s.l4[1] == code && s.len == 40 &&
	       !csum_fold(csum_add(echo, 12, 0)) &&
	       get_be16(echo + 4) == 77 && get_be16(echo + 6) == seq &&
	       !memcmp(echo + 8, "echo", 4);
}

/* Given a router on the path that sends an error about a request, then the
 * guest receives the error from this router, with the guest's identifier in it,
 * and no request is lost. */
static void story_router(void)
{
	struct in6_addr any = addr("0.0.0.0");
	union sockaddr_any sa;
	socklen_t len = sockaddr_set(&sa, &any, 77, 0);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
	const struct icmp_flow *s;
	struct world w;
	struct seen reply;
	uint16_t id;

	printf("# errors of a router about a ping\n");
	world_open(&w, LIFE, ROOM);
	net_put_pair(&w.net, "192.0.2.33", "127.0.0.33", NAT_ANY_PORT);
	bind(fd, &sa.sa, len);
	pings(&w, &v4, GW4, 77, 1, 8);
	events(&w, 1000);
	s = echo_of(&w, &v4, NULL, 77);
	len = sizeof(sa);
	getsockname(s->flow.fd[SIDE_HOST], &sa.sa, &len);
	id = ntohs(sa.sin.sin_port);
	check("the host's identifier is another", id != 77);

	memory_clear(&w.mem);
	check("the test can be a router", router_says(11, 0, id, 1,
						      "127.0.0.1"));
	events(&w, 1000);
	check("TTL exceeded is relayed", seen_router(&w, 0, 11, 0, 1));

	memory_clear(&w.mem);
	check("the test can be a router", router_says(3, 13, id, 2,
						      "127.0.0.1"));
	pings(&w, &v4, GW4, 77, 3, 8);
	check("an error is relayed when the next request is sent",
	      seen_router(&w, 0, 3, 13, 2));
	memory_clear(&w.mem);
	events(&w, 1000);
	check("and that request leaves", nth(&w, 0, &reply) &&
	      reply.l4[0] == 0 && get_be16(reply.l4 + 6) == 3);

	memory_clear(&w.mem);
	check("the test can be a router", router_says(11, 0, id, 1,
						      "127.0.0.9"));
	events(&w, 1000);
	check_eq("an error about a peer that was not pinged is not",
		 w.mem.nsent, 0);
	check_eq("it is counted", w.echo.count[ICMP_UNASKED], 1);
	close(fd);
	world_close(&w);
}

/* Given peers that were pinged, then the flow of each peer ends a minute after
 * its last request, and the socket is closed with the last flow. */
static void story_expiry(void)
{
	struct world w;

	printf("# how long echo flows live\n");
	world_open(&w, LIFE, ROOM);
	pings(&w, &v4, GW4, 5, 1, 8);
	pings(&w, &v4, NOWHERE4, 5, 1, 8);
	check_eq("two peers, one identifier: one socket", w.echo.nsockets, 1);
	later(&w, 50 * SEC);
	pings(&w, &v4, GW4, 5, 2, 8);
	later(&w, 10 * SEC);
	check("not pinged for a minute: ended",
	      !echo_of(&w, &v4, NOWHERE4, 5));
	check("pinged in between: not ended", echo_of(&w, &v4, GW4, 5));
	check_eq("the socket is there for it", w.echo.nsockets, 1);
	later(&w, 50 * SEC);
	check("a minute later it is ended", !echo_of(&w, &v4, GW4, 5));
	check_eq("and the socket closed", w.echo.nsockets, 0);
	check_eq("nothing is left", w.flows.used, 0);
	world_close(&w);
}

/* Given a guest that pings with very many identifiers, or very many peers, then
 * passt evicts the least recently used flows, and the number of sockets is
 * limited. */
static void story_limits(void)
{
	char host[ADDR_STRLEN];
	unsigned int i, most;
	struct world w;

	printf("# many pings\n");
	world_open(&w, LIFE, ROOM);
	for (i = 0; i < ICMP_SOCKETS; i++)
		pings(&w, &v4, GW4, (uint16_t)(i + 1), 1, 8);
	check_eq("so many sockets", w.echo.nsockets, ICMP_SOCKETS);
	later(&w, ICMP_EVICT_MIN - 1);
	pings(&w, &v4, GW4, 60000, 1, 8);
	check("no other while all of them were used just now",
	      !echo_of(&w, &v4, NULL, 60000));
	check_eq("its request is refused", w.echo.count[ICMP_REFUSED], 1);
	later(&w, 1);
	pings(&w, &v4, GW4, 1, 2, 8);
	pings(&w, &v4, GW4, 60000, 1, 8);
	check_eq("and no more", w.echo.nsockets, ICMP_SOCKETS);
	check("the oldest is gone", !echo_of(&w, &v4, NULL, 2));
	check("one that was used since is not", echo_of(&w, &v4, NULL, 1));
	check("the new one is there", echo_of(&w, &v4, NULL, 60000));
	guest_leaves(&w);
	check_eq("with the guest, all are gone", w.flows.used, 0);

	/* Peers are limited to an eighth of the flow table here, which is less
	 * than ICMP_PEERS. */
	most = w.flows.max / 8;
	for (i = 0; i <= most; i++) {
		snprintf(host, sizeof(host), "10.0.%u.%u", i >> 8, i & 255);
		pings(&w, &v4, host, 3, 1, 8);
	}
	check_eq("so many peers", w.echo.npeers, most);
	check("without the oldest", !echo_of(&w, &v4, "10.0.0.0", 3) &&
	      echo_of(&w, &v4, "10.0.0.1", 3));
	check_eq("one socket", w.echo.nsockets, 1);
	check("not as many errors", w.errors.count[ICMP_ERRORS] < 100 &&
	      w.errors.count[ICMP_LIMITED]);
	world_close(&w);
}

/* Given a guest that opens too many flows, then its request is dropped; later,
 * one opens a flow. */
static void story_too_many_flows(void)
{
	struct world w;

	printf("# too many flows\n");
	world_open(&w, LIFE, ROOM);
	too_many(&w);
	pings(&w, &v4, GW4, 5, 1, 8);
	check_eq("no flow is opened", w.flows.used, 0);
	check_eq("that is counted", w.echo.count[ICMP_REFUSED], 1);
	later(&w, 700);
	pings(&w, &v4, GW4, 5, 2, 8);
	check("after a while, there is a flow", echo_of(&w, &v4, GW4, 5));
	check("its time is counted", w.sched.open_left[SCHED_OPEN_OTHERS] < SCHED_OPEN_MAX);
	events(&w, 1000);
	check_eq("and so is its reply", w.sched.answered[SCHED_OPEN_OTHERS], 1);
	world_close(&w);
}

/* Given a peer to which the host has no route, then the guest gets an error
 * that quotes its request. */
static void story_unreachable(const struct family *f)
{
	struct world w;
	struct seen s;

	printf("# ping %s, to which there is no route\n", f->nowhere);
	world_open(&w, LIFE, ROOM);
	pings(&w, f, f->nowhere, 5, 9, 2000);
	if (check("no route is reported", nth(&w, 0, &s))) {
		check("headers and checksums are right", s.good);
		check("by the guest's router", is_from(&s, f->gw));
		check_eq("of the right type", s.l4[0], f == &v4 ? 3 : 1);
		check_eq("and code", s.l4[1], 0);
		check_eq("of the greatest length allowed", s.len + f->hlen,
			 f == &v4 ? 576 : 1280);
		check_eq("about an echo request", s.l4[8 + f->hlen],
			 f->request);
		check_eq("of that sequence number",
			 get_be16(s.l4 + 8 + f->hlen + 6), 9);
	}
	world_close(&w);
}

/* Given ICMP packets that are no echo requests, then passt ignores them. */
static void story_others(void)
{
	uint8_t msg[36] = { 0 };
	struct world w;

	printf("# packets that are no echo requests\n");
	world_open(&w, LIFE, ROOM);
	sends_ip(&w, GUEST4, GW4, IPPROTO_ICMP, msg, sizeof(msg));
	msg[0] = 3;
	sends_ip(&w, GUEST4, NOWHERE4, IPPROTO_ICMP, msg, sizeof(msg));
	msg[0] = 1;
	sends_ip(&w, GUEST6, NOWHERE6, IPPROTO_ICMPV6, msg, sizeof(msg));
	msg[0] = 8;
	msg[1] = 1;
	sends_ip(&w, GUEST4, GW4, IPPROTO_ICMP, msg, sizeof(msg));
	check_eq("no flow", w.flows.used, 0);
	pings(&w, &v4, "224.0.0.1", 1, 1, 8);
	pings(&w, &v4, "255.255.255.255", 1, 1, 8);
	pings(&w, &v6, "ff02::1", 1, 1, 8);
	pings(&w, &v4, "127.0.0.1", 1, 1, 8);
	check_eq("nor for a request to a group or loopback", w.flows.used, 0);
	check_eq("it is counted", w.echo.count[ICMP_IMPOSSIBLE], 4);
	check("nothing comes back", !w.mem.nsent);
	world_close(&w);
}

/* tcp_key() - Make the flow key of a connection to a web server */
static struct flow_key tcp_key(const char *peer)
{
	return (struct flow_key){
		.guest = addr(guest_of(peer)), .peer = addr(peer),
		.gport = 40000, .pport = 80, .proto = IPPROTO_TCP,
	};
}

/* errs() - Clear what the guest has received, and send it the ICMP error for
 * @error about its SYN; @s is set to the error */
static bool errs(struct world *w, int error, uint32_t mtu, const char *peer,
		 struct seen *s)
{
	static const uint8_t syn[20] = { 0x9c, 0x40, 0, 80, 1, 2, 3, 4,
					 [12] = 0x50, [13] = 2 };
	struct flow_key key = tcp_key(peer);
	struct icmp_quote q = { .key = &key, .l4 = syn, .len = sizeof(syn),
				.total = sizeof(syn) };
	bool known;

	memory_clear(&w->mem);
	known = icmp_error(&w->errors, error, NULL, mtu, &q, w->now);
	link_flush(w->mem.queue);
	nth(w, 0, s);
	return known;
}

/* Given an errno of a socket, then the guest gets the ICMP error for it, if
 * any. */
static void story_errnos(void)
{
	static const struct {
		const char *name;
		int error;
		uint32_t mtu;
		uint8_t type4, code4, type6, code6;
		uint32_t rest4, rest6;
	} c[] = {
		{ "ENETUNREACH", ENETUNREACH, 0, 3, 0, 1, 0, 0, 0 },
		{ "EHOSTUNREACH", EHOSTUNREACH, 0, 3, 1, 1, 3, 0, 0 },
		{ "EADDRNOTAVAIL", EADDRNOTAVAIL, 0, 3, 0, 1, 0, 0, 0 },
		{ "ENODEV", ENODEV, 0, 3, 0, 1, 0, 0, 0 },
		{ "ECONNREFUSED", ECONNREFUSED, 0, 3, 3, 1, 4, 0, 0 },
		{ "EHOSTDOWN", EHOSTDOWN, 0, 3, 7, 1, 3, 0, 0 },
		{ "ENONET", ENONET, 0, 3, 8, 1, 3, 0, 0 },
		{ "EACCES", EACCES, 0, 3, 13, 1, 1, 0, 0 },
		{ "EPERM", EPERM, 0, 3, 13, 1, 1, 0, 0 },
		{ "EMSGSIZE", EMSGSIZE, 1400, 3, 4, 2, 0, 1400, 1400 },
		{ "EMSGSIZE, not known", EMSGSIZE, 0, 3, 4, 2, 0, 0, 1280 },
		{ "EMSGSIZE, absurd", EMSGSIZE, 20, 3, 4, 2, 0, 68, 1280 },
	};
	static const int silent[] = { ETIMEDOUT, ECONNRESET, EAGAIN, ENOBUFS,
				      EMFILE, EINVAL };
	struct world w;
	struct seen s;
	unsigned int i;

	printf("# the error that an errno means\n");
	world_open(&w, LIFE, ROOM);
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		errs(&w, c[i].error, c[i].mtu, NOWHERE4, &s);
		check(c[i].name, s.good && s.l4[0] == c[i].type4 &&
		      s.l4[1] == c[i].code4 &&
		      get_be32(s.l4 + 4) == c[i].rest4 &&
		      s.len == 8 + 20 + 20);
		errs(&w, c[i].error, c[i].mtu, NOWHERE6, &s);
		check(c[i].name, s.good && s.l4[0] == c[i].type6 &&
		      s.l4[1] == c[i].code6 &&
		      get_be32(s.l4 + 4) == c[i].rest6 &&
		      s.len == 8 + 40 + 20);
	}
	for (i = 0; i < ARRAY_SIZE(silent); i++)
		check(strerror(silent[i]),
		      !errs(&w, silent[i], 0, NOWHERE4, &s) && !w.mem.nsent);
	world_close(&w);
}

/* Given a SYN of the guest that fails, then the ICMP error quotes the
 * addresses, ports and sequence number of the SYN, with correct headers. */
static void story_quote(const struct family *f)
{
	struct flow_key key = tcp_key(f->nowhere);
	struct icmp_quote q = { .key = &key, .total = 44 };
	const uint8_t *ip;
	struct world w;
	struct seen s;

	printf("# what an error about %s quotes\n", f->nowhere);
	world_open(&w, LIFE, ROOM);
	errs(&w, EHOSTUNREACH, 0, f->nowhere, &s);
	ip = s.l4 + 8;
	check("it is sent to the guest", s.good && is_from(&s, f->gw));
	check("the quoted header is right", f == &v4 ?
	      !csum_ip4(ip, 20) && get_be16(ip + 2) == 40 && ip[9] == 6 :
	      ip[0] == 0x60 && get_be16(ip + 4) == 20 && ip[6] == 6);
	check("with source and destination", f == &v4 ?
	      !memcmp(ip + 12, &key.guest.s6_addr[12], 4) &&
	      !memcmp(ip + 16, &key.peer.s6_addr[12], 4) :
	      !memcmp(ip + 8, &key.guest, 16) &&
	      !memcmp(ip + 24, &key.peer, 16));
	check_eq("the guest's port", get_be16(ip + f->hlen), 40000);
	check_eq("the peer's port", get_be16(ip + f->hlen + 2), 80);
	check_eq("its sequence number", get_be32(ip + f->hlen + 4), 0x01020304);

	memory_clear(&w.mem);
	icmp_error(&w.errors, EHOSTUNREACH, &key.peer, 0, &q, w.now);
	link_flush(w.mem.queue);
	check("without the segment, 8 bytes are rebuilt", nth(&w, 0, &s) &&
	      s.good && s.len == 8 + f->hlen + 8 &&
	      get_be16(s.l4 + 8 + f->hlen) == 40000);
	check("it has the source that was given", is_from(&s, f->nowhere));
	world_close(&w);
}

/* Given a packet to a multicast or broadcast address, then passt sends no error
 * about it. */
static void story_never(void)
{
	static const char *const dst[] = { "224.0.0.1", "255.255.255.255",
					   "ff02::1" };
	struct world w;
	struct seen s;
	unsigned int i;

	printf("# what causes no error\n");
	world_open(&w, LIFE, ROOM);
	for (i = 0; i < ARRAY_SIZE(dst); i++) {
		errs(&w, EHOSTUNREACH, 0, dst[i], &s);
		check(dst[i], !w.mem.nsent);
	}
	world_close(&w);
}

/* Given a flood of errors, then the guest receives a burst, and then a limited
 * number each second (RFC 4443 2.4 (f)). */
static void story_rate(void)
{
	unsigned int i, sent = 0;
	struct world w;
	struct seen s;

	printf("# how many errors\n");
	world_open(&w, LIFE, ROOM);
	for (i = 0; i < 1000; i++) {
		errs(&w, EHOSTUNREACH, 0, NOWHERE4, &s);
		sent += w.mem.nsent;
	}
	check_eq("a burst at once", sent, ICMP_ERROR_BURST);
	check_eq("the others are counted", w.errors.count[ICMP_LIMITED],
		 1000 - ICMP_ERROR_BURST);
	for (i = sent = 0; i < 5000; i++) {
		w.now += i % 5 == 0;
		errs(&w, EHOSTUNREACH, 0, NOWHERE4, &s);
		sent += w.mem.nsent;
	}
	check_eq("so many in a second", sent, ICMP_ERROR_RATE);
	w.now += 3600 * SEC;
	for (i = sent = 0; i < 1000; i++) {
		errs(&w, EHOSTUNREACH, 0, NOWHERE4, &s);
		sent += w.mem.nsent;
	}
	check_eq("after an hour, a burst again", sent, ICMP_ERROR_BURST);
	world_close(&w);
}

/* with_sockets() - Run the stories that need ping sockets */
static void with_sockets(void)
{
	story_not_allowed();
	if (!put_file("/proc/sys/net/ipv4/ping_group_range", "0 0")) {
		skip("pings over real sockets", "the sysctl can't be set");
		return;
	}
	check("start-up finds that pings are allowed",
	      check_ping_family(AF_INET, IPPROTO_ICMP, "IPv4") &&
	      check_ping_family(AF_INET6, IPPROTO_ICMPV6, "IPv6"));
	story_no_source(&v4);
	story_no_source(&v6);
	story_echo(&v4);
	story_echo(&v6);
	story_identifier_taken();
	story_unasked();
	story_other_length();
	story_tos(&v4);
	story_tos(&v6);
	story_too_long(&v4);
	story_too_long(&v6);
	story_router();
	story_expiry();
	story_limits();
	story_too_many_flows();
	story_unreachable(&v4);
	story_unreachable(&v6);
	story_others();
}

int main(void)
{
	if (own_network())
		with_sockets();
	else
		skip("pings over real sockets", "no network namespace allowed");
	story_errnos();
	story_quote(&v4);
	story_quote(&v6);
	story_never();
	story_rate();
	return unit_end();
}
