// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * forged.c - Given many forged ICMP errors that wait at a socket, UDP and echo
 * still work. Given a new flow in the slot of an evicted flow, the datagrams of
 * the two flows are not mixed up.
 */
#include "../../udp.c"
#include "test/unit/flows.h"

#define ROOM	(1 << 20)

/**
 * forge() - Send ICMP errors about packets that were never sent
 * @raw:	raw socket
 * @code:	ICMP code; the type is 'destination unreachable'
 * @proto:	protocol of the quoted packet
 * @l4:		first bytes of the quoted transport header
 * @n:		number of errors, each about another destination
 */
static void forge(int raw, uint8_t code, uint8_t proto, const uint8_t l4[8],
		  unsigned int n)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	uint8_t p[36] = { [0] = 3, [8] = 0x45, [16] = 64, [24] = 198,
			  [25] = 51, [26] = 100 };
	uint16_t check;

	p[1] = code;
	p[17] = proto;
	put_be16(p + 10, 28);
	memcpy(p + 20, &to.sin_addr, 4);
	memcpy(p + 28, l4, 8);
	for (; n; n--) {
		p[27] = (uint8_t)n;
		put_be16(p + 2, 0);
		check = csum_fold(csum_add(p, sizeof(p), 0));
		memcpy(p + 2, &check, sizeof(check));
		sendto(raw, p, sizeof(p), 0, (struct sockaddr *)&to,
		       sizeof(to));
	}
}

/* forge_udp() - Send @n forged ICMP errors that quote UDP datagrams from
 * @port */
static void forge_udp(int raw, uint8_t code, uint16_t port, unsigned int n)
{
	uint8_t udp[8] = { 0 };

	put_be16(udp, port);
	put_be16(udp + 2, 9);
	put_be16(udp + 4, 8);
	forge(raw, code, IPPROTO_UDP, udp, n);
}

/* told() - Whether the guest received an ICMP error 'destination
 * unreachable' */
static bool told(const struct world *w)
{
	struct seen s;
	unsigned int i;

	for (i = 0; nth(w, i, &s); i++) {
		if (s.proto == IPPROTO_ICMP && s.l4[0] == 3)
			return true;
	}
	return false;
}

/* Given @n forged errors that wait at the socket of a forwarded port, then a
 * datagram that the guest sends through this socket still leaves. */
static void story_listener(unsigned int n)
{
	uint16_t port = 0, from_port;
	struct in6_addr from;
	struct world w;
	char buf[64];
	int raw, fd;

	printf("# %u forged errors wait at a forwarded port\n", n);
	world_open(&w, 128, ROOM);
	raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	fd = peer_open("127.0.0.1", &port);
	forge_udp(raw, 3, forward_port(&w, 7000), n);

	sends(&w, 7000, GW4, port, "hello", 5);
	check("the peer receives the datagram",
	      peer_hears(fd, buf, sizeof(buf), &from, &from_port) == 5);
	check("the guest is not told that its port is closed", !told(&w));
	close(fd);
	close(raw);
	world_close(&w);
}

/* Given a forged ICMP error 'protocol unreachable' that waits at the socket,
 * then passt still sends GSO batches through this socket. */
static void story_rows(void)
{
	struct ip_hdr ip = {
		.src = addr(GUEST4), .dst = addr(GW4), .proto = IPPROTO_UDP,
		.ttl = 64,
	};
	uint16_t port = 0, from_port, forwarded;
	struct in6_addr from;
	struct udp_flow *uf;
	static uint8_t d[64];
	uint8_t *frame[4];
	struct world w;
	unsigned int i;
	size_t n, len;
	char buf[64];
	int raw, fd;

	printf("# a forged error before a GSO batch\n");
	world_open(&w, 128, ROOM);
	forwarded = forward_port(&w, 7000);
	raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	fd = peer_open("127.0.0.1", &port);
	sends(&w, 7000, GW4, port, "hello", 5);
	peer_hears(fd, buf, sizeof(buf), &from, &from_port);
	uf = flow_of(&w, 7000, GW4, port);
	forge_udp(raw, 2, forwarded, 1);

	n = make_udp(d, 7000, port, "0123456789", 10);
	for (i = 0; i < ARRAY_SIZE(frame); i++) {
		len = make_frame(&ip, d, n, &frame[i]);
		memory_put(&w.mem, frame[i], len);
	}
	hand_over(&w);
	check("GSO batches are used as before", uf && uf->segment);
	for (i = 0; i < ARRAY_SIZE(frame); i++) {
		check("a datagram of the batch arrives",
		      peer_hears(fd, buf, sizeof(buf), &from, &from_port) == 10);
		free(frame[i]);
	}
	close(fd);
	close(raw);
	world_close(&w);
}

/* Given 40 forged errors that wait at a ping socket, then the guest's next
 * request gets its reply. */
static void story_echo(void)
{
	uint8_t request[16] = { 8, 0, 0, 0, 0x12, 0x34, 0, 1 };
	bool answered = false;
	struct seen s;
	struct world w;
	unsigned int i;
	int raw;

	printf("# 40 forged errors wait at a ping socket\n");
	put_file("/proc/sys/net/ipv4/ping_group_range", "0 0");
	world_open(&w, 128, ROOM);
	raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	sends_ip(&w, GUEST4, GW4, IPPROTO_ICMP, request, sizeof(request));
	events(&w, 500);
	memory_clear(&w.mem);
	forge(raw, 1, IPPROTO_ICMP, request, 40);

	request[7] = 2;
	sends_ip(&w, GUEST4, GW4, IPPROTO_ICMP, request, sizeof(request));
	check("the guest is not told of packets that it did not send",
	      !told(&w));
	events(&w, 500);
	for (i = 0; nth(&w, i, &s); i++)
		answered = answered || (s.proto == IPPROTO_ICMP && !s.l4[0]);
	check("its request gets a reply", answered);
	close(raw);
	world_close(&w);
}

/* Given a full flow table, when passt reads two datagrams at once that need new
 * flows, then each datagram reaches the guest with the address of its own
 * sender. */
static void story_place(void)
{
	uint16_t port, pa = 0, pb = 0, ps = 0, out;
	struct in6_addr from;
	struct world w;
	int a, b, stream;
	struct seen s;
	char buf[64];

	printf("# a flow in the slot of one that was evicted\n");
	world_open(&w, 4, ROOM);
	port = forward_port(&w, 7000);
	stream = peer_open("127.0.0.1", &ps);
	sends(&w, 4000, GW4, ps, "q", 1);
	peer_hears(stream, buf, sizeof(buf), &from, &out);
	peer_says(stream, "127.0.0.1", out, "1", 1);
	peer_says(stream, "127.0.0.1", out, "2", 1);
	events(&w, 1000);
	events(&w, 100);
	memory_clear(&w.mem);

	a = peer_open("127.0.0.1", &pa);
	b = peer_open("::1", &pb);
	peer_says(a, "127.0.0.1", port, "from a", 6);
	peer_says(b, "::1", port, "from b", 6);
	events(&w, 1000);
	check("there are two datagrams", nth(&w, 1, &s));
	check("the second comes from its own sender",
	      is_from(&s, GW6) && s.good);
	close(a);
	close(b);
	close(stream);
	world_close(&w);
}

int main(void)
{
	if (!own_network()) {
		skip("forged errors", "no network namespace allowed");
		return unit_end();
	}
	story_listener(30);
	story_listener(100);
	story_rows();
	story_echo();
	story_place();
	return unit_end();
}
