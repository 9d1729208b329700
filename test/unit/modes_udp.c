// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * modes_udp.c - UDP carries the same datagrams both ways, however the link lays
 * out frames in memory, and whether or not the link carries GSO frames.
 */
#include <netinet/udp.h>

#include "../../udp.c"
#include "test/unit/flows.h"

#define SPACE	(1 << 20)
#define ROUNDS	40
#define MOST	40	/* datagrams in a round, at most */

static struct world w;
static uint64_t seed;

static uint32_t random_below(uint32_t n)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed >> 32) * n >> 32);
}

/* fill() - Make random data */
static void fill(uint8_t *data, size_t len)
{
	while (len--)
		*data++ = (uint8_t)random_below(256);
}

/* guest_says() - Let the guest send datagrams of one size; the last may be
 * shorter */
static void guest_says(const char *gw, uint16_t port, const uint8_t *data,
		       size_t len, size_t size)
{
	static uint8_t l4[UDP_HLEN + UINT16_MAX];
	uint8_t *frame[MOST];
	struct ip_hdr ip = {
		.src = addr(guest_of(gw)), .dst = addr(gw),
		.proto = IPPROTO_UDP, .ttl = 64,
	};
	unsigned int n = 0;
	size_t part, flen;

	memory_clear(&w.mem);
	for (; len; data += part, len -= part) {
		part = MIN(size, len);
		flen = make_frame(&ip, l4, make_udp(l4, 40001, port, data,
						    part), &frame[n]);
		memory_put(&w.mem, frame[n++], flen);
	}
	hand_over(&w);
	while (n)
		free(frame[--n]);
}

/* peer_gets() - Whether the peer receives @data in datagrams of @size bytes,
 * and nothing else */
static bool peer_gets(int fd, const uint8_t *data, size_t len, size_t size)
{
	static uint8_t buf[UINT16_MAX];
	struct in6_addr from;
	uint16_t port;
	size_t part;

	for (; len; data += part, len -= part) {
		part = MIN(size, len);
		if (peer_hears(fd, buf, sizeof(buf), &from, &port) !=
		    (ssize_t)part || memcmp(buf, data, part))
			return false;
	}
	return recv(fd, buf, sizeof(buf), MSG_DONTWAIT) < 0;
}

/* guest_gets() - Whether the guest receives @data in datagrams of @size bytes,
 * and nothing else */
static bool guest_gets(const uint8_t *data, size_t len, size_t size)
{
	unsigned int i, before, want = (unsigned int)((len + size - 1) / size);
	struct seen s;
	size_t part;

	do {
		before = w.mem.nsent;
		events(&w, w.mem.nsent < want ? 1000 : 5);
	} while (w.mem.nsent > before);
	for (i = 0; len; i++, data += part, len -= part) {
		part = MIN(size, len);
		if (!nth(&w, i, &s) || !s.good || s.len != UDP_HLEN + part ||
		    memcmp(s.l4 + UDP_HLEN, data, part))
			return false;
	}
	return i == w.mem.nsent;
}

/* one_round() - Send a GSO batch of random size each way; false if other bytes
 * arrive */
static bool one_round(int fd, const char *gw, uint16_t port)
{
	static uint8_t data[UINT16_MAX];
	int size = (int)(20 + random_below(1400));
	size_t len = random_below(MIN((uint32_t)size * MOST, 60000)) + 1;
	bool good;

	fill(data, len);
	guest_says(gw, port, data, len, (size_t)size);
	good = peer_gets(fd, data, len, (size_t)size);

	memory_clear(&w.mem);
	setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
	if (send(fd, data, len, 0) != (ssize_t)len)
		return false;
	return guest_gets(data, len, (size_t)size) && good;
}

/* Given a peer, when the guest and the peer send, then each receives the
 * datagrams of the other, with their original sizes. If the link carries GSO
 * frames in this mode, they are used both ways. If it does not, none is
 * used. */
static void story_mode(enum memory_mode mode, const char *host, const char *gw)
{
	bool gso = mode == MEMORY_SEGMENTING;
	struct in6_addr a = addr(host), from;
	int space = 8 << 20;
	union sockaddr_any sa;
	uint16_t port = 0, at;
	struct flow *f;
	unsigned int i;
	char name[64], buf[8];
	int fd;

	snprintf(name, sizeof(name), "%s, by %s", memory_mode_name[mode], gw);
	printf("# %s\n", name);
	setenv("LINK_MODE", memory_mode_name[mode], 1);
	world_open(&w, 16, SPACE);
	fd = peer_open(host, &port);
	seed = 4711;
	guest_says(gw, port, (const uint8_t *)"hello", 5, 5);
	peer_hears(fd, buf, sizeof(buf), &from, &at);
	connect(fd, &sa.sa, sockaddr_set(&sa, &a, at, 0));

	/* The send buffers must be large, because data of the previous round
	 * that the kernel has not freed yet still takes space in them. */
	for (f = flow_next(&w.flows, NULL); f; f = flow_next(&w.flows, f))
		setsockopt(f->fd[SIDE_HOST], SOL_SOCKET, SO_SNDBUFFORCE, &space,
			   sizeof(space));
	for (i = 0; i < ROUNDS && one_round(fd, gw, port); i++)
		;
	check_eq(name, i, ROUNDS);
	check("GSO frames reach a guest that takes them, and no other",
	      gso == (w.mem.gso_frames > 0));
	check("and come from it", gso == (w.mem.joins > 0));
	check_eq("nothing is dropped", w.tap.count[TAP_OFFLOAD] +
		 w.tap.count[TAP_CHECKSUM] + w.udp.count[UDP_SEND_ERROR], 0);
	close(fd);
	world_close(&w);
}

int main(void)
{
	enum memory_mode mode;

	if (!own_network()) {
		skip("UDP in all modes of the link", "no namespaces here");
		return unit_end();
	}
	if (!udp_can_segment()) {
		skip("UDP in all modes of the link", "no UDP_SEGMENT here");
		return unit_end();
	}
	for (mode = 0; mode < MEMORY_MODES; mode++) {
		story_mode(mode, "127.0.0.1", GW4);
		story_mode(mode, "::1", GW6);
	}
	return unit_end();
}
