// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * util.c - Tests of parsing and writing addresses and numbers, of properties of
 * addresses, and of small helpers.
 */
#include "../../util.c"

#include "addr.h"
#include "unit.h"

/* Kinds of addresses; an address may be of more than one kind. */
enum { LOOP = 1, LINK = 2, MULTI = 4, UNI = 8, V4 = 16, NONE = 32 };

/* kinds_of() - Return the kinds that the functions under test find for an
 * address */
static unsigned int kinds_of(const char *s)
{
	struct in6_addr a = addr(s);

	return (addr_is_loopback(&a) ? LOOP : 0) |
	       (addr_is_linklocal(&a) ? LINK : 0) |
	       (addr_is_multicast(&a) ? MULTI : 0) |
	       (addr_is_unicast(&a) ? UNI : 0) |
	       (addr_is_v4(&a) ? V4 : 0) |
	       (addr_is_none(&a) ? NONE : 0);
}

static void test_addr_kinds(void)
{
	static const struct {
		const char *addr;
		unsigned int kinds;
	} cases[] = {
		{ "::", NONE },
		{ "::1", LOOP },
		{ "::2", UNI },
		{ "fe7f:ffff::", UNI },
		{ "fe80::1", LINK | UNI },
		{ "febf:ffff::1", LINK | UNI },
		{ "fec0::1", UNI },
		{ "fd00::1", UNI },
		{ "2001:db8::1", UNI },
		{ "64:ff9b::192.0.2.1", UNI },
		{ "::192.0.2.1", UNI },
		{ "ff00::", MULTI },
		{ "ff02::1:ff00:1", MULTI },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", MULTI },
		{ "0.0.0.0", V4 },
		{ "0.255.255.255", V4 },
		{ "1.0.0.0", V4 | UNI },
		{ "126.255.255.255", V4 | UNI },
		{ "127.0.0.0", V4 | LOOP },
		{ "127.0.0.1", V4 | LOOP },
		{ "127.255.255.255", V4 | LOOP },
		{ "128.0.0.0", V4 | UNI },
		{ "169.253.255.255", V4 | UNI },
		{ "169.254.0.0", V4 | LINK | UNI },
		{ "169.254.255.255", V4 | LINK | UNI },
		{ "169.255.0.0", V4 | UNI },
		{ "192.0.2.1", V4 | UNI },
		{ "223.255.255.255", V4 | UNI },
		{ "224.0.0.0", V4 | MULTI },
		{ "239.255.255.255", V4 | MULTI },
		{ "240.0.0.0", V4 | UNI },
		{ "255.255.255.254", V4 | UNI },
		{ "255.255.255.255", V4 },
		{ "::ffff:127.0.0.1", V4 | LOOP },
	};
	unsigned int i;
	char name[96];

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(name, sizeof(name), "kinds of %s", cases[i].addr);
		check_eq(name, kinds_of(cases[i].addr), cases[i].kinds);
	}
}

/* Given an address and a prefix, then the address is in the prefix only if both
 * have the same IP version and all bits of the prefix are equal. */
static void test_addr_in_prefix(void)
{
	static const struct {
		const char *addr, *net;
		unsigned int len;
		bool in;
	} cases[] = {
		{ "192.0.2.255", "192.0.2.0", 24, true },
		{ "192.0.3.0", "192.0.2.0", 24, false },
		{ "192.0.2.1", "192.0.2.99", 24, true },
		{ "192.0.2.127", "192.0.2.1", 25, true },
		{ "192.0.2.128", "192.0.2.1", 25, false },
		{ "192.0.2.1", "192.0.2.1", 32, true },
		{ "192.0.2.0", "192.0.2.1", 32, false },
		{ "192.0.2.0", "192.0.2.1", 31, true },
		{ "127.255.255.255", "1.1.1.1", 1, true },
		{ "128.0.0.0", "1.1.1.1", 1, false },
		{ "255.255.255.255", "0.0.0.0", 0, true },
		{ "192.0.2.1", "192.0.2.1", 33, false },
		{ "192.0.2.1", "192.0.2.1", 128, false },
		{ "2001:db8:0:1::9", "2001:db8:0:1::", 64, true },
		{ "2001:db8:0:2::9", "2001:db8:0:1::", 64, false },
		{ "2001:db8:0:1::9", "2001:db8:0:3::", 62, true },
		{ "2001:db8::1", "2001:db8::1", 128, true },
		{ "2001:db8::1", "2001:db8::0", 128, false },
		{ "2001:db8::1", "2001:db8::0", 127, true },
		{ "2001:db8::1", "2001:db8::1", 129, false },
		{ "2001:db8::1", "::", 0, true },
		{ "192.0.2.1", "::", 0, false },
		{ "2001:db8::1", "0.0.0.0", 0, false },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct in6_addr a = addr(cases[i].addr);
		struct in6_addr net = addr(cases[i].net);
		char name[128];

		snprintf(name, sizeof(name), "%s is%s in %s/%u", cases[i].addr,
			 cases[i].in ? "" : " not", cases[i].net, cases[i].len);
		check(name, addr_in_prefix(&a, &net, cases[i].len) ==
			    cases[i].in);
	}
}

/* Given the text of an address, when it is parsed and written, then the result
 * is the usual form of the same address. */
static void test_addr_parse_good(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::FFFF:c000:201", "192.0.2.1" },
		{ "::", "::" },
		{ "2001:0DB8:0:0:0:0:0:1", "2001:db8::1" },
		{ "1111:2222:3333:4444:5555:6666:7777:8888",
		  "1111:2222:3333:4444:5555:6666:7777:8888" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		char buf[ADDR_STRLEN], name[96];
		struct in6_addr a;

		snprintf(name, sizeof(name), "address '%s' is one",
			 cases[i].in);
		if (!check(name, addr_parse(cases[i].in, &a)))
			continue;
		snprintf(name, sizeof(name), "address '%s' written",
			 cases[i].in);
		check_str(name, addr_str(&a, buf), cases[i].out);
	}
}

/* Given text that is not an address, then it is refused, and nothing is
 * stored. */
static void test_addr_parse_bad(void)
{
	static const char *const bad[] = {
		"", " ", "192.0.2", "192.0.2.256", "192.0.2.1.1", "192.0.2.1 ",
		" 192.0.2.1", "192.0.2.1/24", "192.0.02.1", "0x7f.0.0.1",
		"3221225985", "-1.0.0.0", "192.0.2.", ".192.0.2.1",
		"fe80::1%eth0", "fe80::1%2", "::1/128", "[::1]", ":::", ":",
		"1::2::3", "12345::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
		"::g", "::192.0.2.256", "localhost",
	};
	const struct in6_addr before = addr("2001:db8::77");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct in6_addr a = before;
		char name[96];

		snprintf(name, sizeof(name), "address '%s' isn't one", bad[i]);
		check(name, !addr_parse(bad[i], &a) && addr_eq(&a, &before));
	}
}

static void test_mac_good(void)
{
	static const uint8_t want[MAC_LEN] = {
		0x00, 0x1a, 0x2b, 0xc3, 0xd4, 0xff,
	};
	uint8_t mac[MAC_LEN];
	char buf[MAC_STRLEN];

	check("MAC address, large and small digits",
	      mac_parse("00:1A:2b:C3:d4:ff", mac));
	check_mem("MAC address, bytes in order", mac, want, MAC_LEN);
	check_str("MAC address written", mac_str(mac, buf),
		  "00:1a:2b:c3:d4:ff");
}

static void test_mac_bad(void)
{
	static const char *const bad[] = {
		"", "00:1a:2b:c3:d4", "00:1a:2b:c3:d4:", "00:1a:2b:c3:d4:f",
		"00:1a:2b:c3:d4:fff", "00:1a:2b:c3:d4:ff:00",
		"00-1a-2b-c3-d4-ff", "001a2bc3d4ff", "00:1a:2b:c3:d4:fg",
		"0:1a:2b:c3:d4:ff0", " 0:1a:2b:c3:d4:ff", "+0:1a:2b:c3:d4:ff",
		"00:1a:2b:c3:d4.ff", "0x:1a:2b:c3:d4:ff", ":::::::::::::::::",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		uint8_t mac[MAC_LEN] = { 1, 2, 3, 4, 5, 6 };
		char name[96];

		snprintf(name, sizeof(name), "MAC address '%s' isn't one",
			 bad[i]);
		check(name, !mac_parse(bad[i], mac) &&
			    !memcmp(mac, "\1\2\3\4\5\6", MAC_LEN));
	}
}

static void test_number(void)
{
	static const struct {
		const char *s;
		uint64_t min, max;
		bool good;
		uint64_t n;
	} cases[] = {
		{ "0", 0, 0, true, 0 },
		{ "1", 1, 65535, true, 1 },
		{ "65535", 1, 65535, true, 65535 },
		{ "0080", 1, 65535, true, 80 },
		{ "18446744073709551615", 0, UINT64_MAX, true, UINT64_MAX },
		{ "0", 1, 65535, false, 0 },
		{ "65536", 1, 65535, false, 0 },
		{ "18446744073709551616", 0, UINT64_MAX, false, 0 },
		{ "18446744073709551625", 0, UINT64_MAX, false, 0 },
		{ "99999999999999999999999", 0, UINT64_MAX, false, 0 },
		{ "4294967297", 0, 65535, false, 0 },
		{ "", 0, 10, false, 0 },
		{ " 1", 0, 10, false, 0 },
		{ "1 ", 0, 10, false, 0 },
		{ "+1", 0, 10, false, 0 },
		{ "-1", 0, UINT64_MAX, false, 0 },
		{ "0x1", 0, 10, false, 0 },
		{ "1e1", 0, 10, false, 0 },
		{ "1,2", 0, 10, false, 0 },
		{ "/", 0, 10, false, 0 },
		{ ":", 0, 10, false, 0 },
		{ "²", 0, 10, false, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t n = 4711;
		bool good = number_parse(cases[i].s, cases[i].min,
					 cases[i].max, &n);
		char name[128];

		snprintf(name, sizeof(name),
			 "number '%s' from %" PRIu64 " to %" PRIu64 ": %s",
			 cases[i].s, cases[i].min, cases[i].max,
			 cases[i].good ? "good" : "bad");
		check(name, good == cases[i].good &&
			    n == (good ? cases[i].n : 4711));
	}
}

/* Given an IPv4 address and a port in a socket address, then the socket address
 * is a struct sockaddr_in, from which the same values are read. */
static void test_sockaddr_v4(void)
{
	struct in6_addr a = addr("192.0.2.1"), got;
	union sockaddr_any sa;
	uint16_t port;

	memset(&sa, 0xff, sizeof(sa));
	check_eq("IPv4 sockaddr: length", sockaddr_set(&sa, &a, 8080, 7),
		 sizeof(struct sockaddr_in));
	check_eq("IPv4 sockaddr: family", sa.sa.sa_family, AF_INET);
	check_eq("IPv4 sockaddr: port", ntohs(sa.sin.sin_port), 8080);
	check_eq("IPv4 sockaddr: address", ntohl(sa.sin.sin_addr.s_addr),
		 0xc0000201);
	check("IPv4 sockaddr: read back", sockaddr_get(&sa, &got, &port) &&
	      addr_eq(&got, &a) && port == 8080);
}

static void test_sockaddr_v6(void)
{
	struct in6_addr a = addr("fe80::1"), got;
	union sockaddr_any sa;
	uint16_t port;

	memset(&sa, 0xff, sizeof(sa));
	check_eq("IPv6 sockaddr: length", sockaddr_set(&sa, &a, 8080, 7),
		 sizeof(struct sockaddr_in6));
	check_eq("IPv6 sockaddr: family", sa.sa.sa_family, AF_INET6);
	check_eq("IPv6 sockaddr: port", ntohs(sa.sin6.sin6_port), 8080);
	check_eq("IPv6 sockaddr: scope", sa.sin6.sin6_scope_id, 7);
	check_eq("IPv6 sockaddr: flow label", sa.sin6.sin6_flowinfo, 0);
	check("IPv6 sockaddr: read back", sockaddr_get(&sa, &got, &port) &&
	      addr_eq(&got, &a) && port == 8080);
}

/* Given an IPv4-mapped address in a struct sockaddr_in6, as an IPv6 socket has
 * for an IPv4 peer, then it is read as the IPv4 address. */
static void test_sockaddr_mapped(void)
{
	struct in6_addr a = addr("192.0.2.1"), got;
	union sockaddr_any sa = { .sin6 = {
		.sin6_family = AF_INET6, .sin6_addr = a, .sin6_port = htons(53),
	} };
	uint16_t port;

	check("mapped sockaddr: IPv4 address", sockaddr_get(&sa, &got, &port) &&
	      addr_is_v4(&got) && addr_eq(&got, &a) && port == 53);

	sa.sa.sa_family = AF_UNIX;
	check("sockaddr of another family: refused",
	      !sockaddr_get(&sa, &got, &port));
}

/* Given integers at odd addresses, then they are written and read in network
 * byte order. */
static void test_be(void)
{
	uint8_t buf[8] = { 0 };

	put_be16(buf + 1, 0x8001);
	put_be32(buf + 3, 0x80c0e0f1);
	check_mem("big-endian fields, written", buf,
		  "\x00\x80\x01\x80\xc0\xe0\xf1\x00", 8);
	check_eq("big-endian 16 bits, read", get_be16(buf + 1), 0x8001);
	check_eq("big-endian 32 bits, read", get_be32(buf + 3), 0x80c0e0f1);
}

static void test_clock(void)
{
	struct timespec pause = { .tv_nsec = 20 * 1000000 };
	uint64_t start = now_ms(), passed;

	nanosleep(&pause, NULL);
	passed = now_ms() - start;
	check("clock: 20 ms are 19 to 5000 ms", passed >= 19 && passed < 5000);
}

/* When a buffer is filled with random bytes several times, then each byte
 * changes at least once, and the bytes around the buffer never do. */
static void test_random(void)
{
	uint8_t buf[300] = { 0 }, seen[300] = { 0 };
	unsigned int i, j, still = 0;

	for (i = 0; i < 16; i++) {
		random_bytes(buf + 1, sizeof(buf) - 2);
		for (j = 0; j < sizeof(buf); j++)
			seen[j] |= buf[j];
	}
	for (j = 1; j < sizeof(buf) - 1; j++)
		still += !seen[j];

	check_eq("random: bytes that never changed", still, 0);
	check("random: nothing beyond", !seen[0] && !seen[sizeof(buf) - 1]);
}

static int compare_u16(const void *a, const void *b)
{
	uint16_t x = *(const uint16_t *)a, y = *(const uint16_t *)b;

	return (x > y) - (x < y);
}

/* Given arrays of 0 to 300 random numbers, sort_array() gives what qsort()
 * gives. */
static void test_sort(void)
{
	uint16_t a[300], b[300];
	unsigned int bad = 0;
	size_t n;

	for (n = 0; n <= ARRAY_SIZE(a); n++) {
		random_bytes(a, sizeof(a));
		memcpy(b, a, sizeof(b));
		sort_array(a, n, sizeof(*a), compare_u16);
		qsort(b, n, sizeof(*b), compare_u16);
		bad += memcmp(a, b, sizeof(a)) != 0;
	}
	check_eq("arrays that are not sorted", bad, 0);
}

int main(void)
{
	test_addr_kinds();
	test_addr_in_prefix();
	test_addr_parse_good();
	test_addr_parse_bad();
	test_mac_good();
	test_mac_bad();
	test_number();
	test_sockaddr_v4();
	test_sockaddr_v6();
	test_sockaddr_mapped();
	test_be();
	test_clock();
	test_random();
	test_sort();
	return unit_end();
}
