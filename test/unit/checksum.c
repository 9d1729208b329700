// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * checksum.c - Compares every routine that computes a sum with a simple routine
 * that does what RFC 1071 says. Then it tests the functions that use these
 * routines, with packets whose checksums are known to be correct.
 */
#include "../../checksum.c"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "addr.h"
#include "l4.h"
#include "random.h"
#include "unit.h"

#define LEN_MAX		4200	/* bytes; more than a page or an MTU of 1500 */
#define ALIGN_MAX	64
#define LONG_MAX	(1 << 20)

typedef uint64_t (*adder)(const void *buf, size_t len, uint64_t sum);
typedef uint64_t (*copier)(void *restrict dst, const void *restrict src,
			   size_t len, uint64_t sum);

static uint64_t add_words(const void *buf, size_t len, uint64_t sum)
{
	return sum_words(NULL, buf, len, sum);
}

static uint64_t copy_words(void *restrict dst, const void *restrict src,
			   size_t len, uint64_t sum)
{
	return sum_words(dst, src, len, sum);
}

/* Sums to start from: zero, ordinary ones, and ones near 2^16, 2^32 or 2^64, at
 * which a carry follows soon. */
static const uint64_t start[] = {
	0, 1, 0xffff, 0xfffe, 0x10000, 0xffffffff, UINT64_MAX, UINT64_MAX - 1,
	0x8000000000000000, 0x123456789abcdef0,
};

static void fill_random(uint8_t *buf, size_t len)
{
	while (len--)
		*buf++ = (uint8_t)(next_random() >> 32);
}

static void fill_zero(uint8_t *buf, size_t len)
{
	memset(buf, 0, len);
}

static void fill_ones(uint8_t *buf, size_t len)
{
	memset(buf, 0xff, len);
}

/* Fill @buf with bytes whose sum often, but not always, causes a carry. */
static void fill_carries(uint8_t *buf, size_t len)
{
	static const uint8_t bytes[] = { 0xff, 0xff, 0xff, 0xfe, 0x01, 0x00 };

	while (len--)
		*buf++ = bytes[(next_random() >> 32) % sizeof(bytes)];
}

static const struct pattern {
	const char *name;
	void (*fill)(uint8_t *buf, size_t len);
} patterns[] = {
	{ "random data", fill_random },
	{ "all zero", fill_zero },
	{ "all 0xff", fill_ones },
	{ "carries", fill_carries },
};

/* Add two 16-bit words, and add the carry at the low end. The simple routine,
 * with which all others are compared, consists of this. */
static uint16_t ref_add(uint16_t sum, uint16_t word)
{
	uint32_t s = (uint32_t)sum + word;

	return (uint16_t)(s > 0xffff ? s - 0xffff : s);
}

static uint16_t ref_sum(const uint8_t *buf, size_t len, uint64_t from)
{
	uint16_t sum = 0, word;
	unsigned int shift;

	for (shift = 0; shift < 64; shift += 16)
		sum = ref_add(sum, (uint16_t)(from >> shift));

	for (; len > 1; len -= 2, buf += 2) {
		memcpy(&word, buf, 2);
		sum = ref_add(sum, word);
	}

	if (len) {
		word = 0;
		memcpy(&word, buf, 1);
		sum = ref_add(sum, word);
	}

	return sum;
}

static uint16_t ref_check(const uint8_t *buf, size_t len, uint64_t from)
{
	return (uint16_t)~ref_sum(buf, len, from);
}

/* Convert a computed checksum from network order to host order, as packet dumps
 * show it. */
static uint16_t shown(uint16_t field)
{
	return get_be16(&field);
}

/* Allocate @len bytes that end right before a page without access, so that any
 * access beyond their end is a fault. */
static uint8_t *guarded(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (len + page - 1) / page * page;
	uint8_t *p = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + room, page, PROT_NONE))
		abort();
	return p + room - len;
}

/* Given data of any length at any alignment, then the sum equals that of the
 * simple routine. */
static void test_add(const char *name, adder add, const struct pattern *pat)
{
	static uint8_t data[LEN_MAX], buf[LEN_MAX + ALIGN_MAX];
	unsigned int align;
	char label[128];
	size_t len;

	snprintf(label, sizeof(label),
		 "%s: %s, lengths 0 to %d at %d alignments", name, pat->name,
		 LEN_MAX, ALIGN_MAX);

	pat->fill(data, LEN_MAX);
	for (len = 0; len <= LEN_MAX; len++) {
		uint64_t from = start[len % ARRAY_SIZE(start)];
		uint16_t want = ref_check(data, len, from);

		for (align = 0; align < ALIGN_MAX; align++) {
			uint8_t *p = buf + align;
			uint16_t got;

			/* The bytes before and after the data must not
			 * matter */
			memset(buf, 0xa5, align);
			memcpy(p, data, len);
			memset(p + len, 0xa5, ALIGN_MAX - align);

			got = csum_fold(add(p, len, from));
			if (got == want)
				continue;
			fail(label, "length %zu, alignment %u, start 0x%" PRIx64
			     ": got 0x%04x, want 0x%04x", len, align, from, got,
			     want);
			return;
		}
	}
	pass(label);
}

/* Given data of any length, when it is copied to any alignment, then the copy
 * is exact, no other byte is written, and the sum equals that of the simple
 * routine. */
static void test_copy(const char *name, copier copy)
{
	static uint8_t src[LEN_MAX + 8], dst[LEN_MAX + ALIGN_MAX];
	static uint8_t want[LEN_MAX + ALIGN_MAX];
	unsigned int align;
	char label[128];
	size_t len;

	snprintf(label, sizeof(label), "%s: lengths 0 to %d at %d alignments",
		 name, LEN_MAX, ALIGN_MAX);

	fill_random(src, sizeof(src));
	for (len = 0; len <= LEN_MAX; len++) {
		const uint8_t *from = src + len % 8;
		uint16_t field = ref_check(from, len, 7);

		for (align = 0; align < ALIGN_MAX; align++) {
			memset(dst, 0xa5, sizeof(dst));
			memset(want, 0xa5, sizeof(want));
			memcpy(want + align, from, len);

			if (csum_fold(copy(dst + align, from, len, 7)) ==
			    field && !memcmp(dst, want, len + ALIGN_MAX))
				continue;
			fail(label, "length %zu, alignment %u", len, align);
			return;
		}
	}
	pass(label);
}

/* Given data that ends right before a page without access, then no routine
 * accesses this page, which would be a fault. */
static void test_bounds(const char *name, adder add, copier copy)
{
	uint8_t *src = guarded(LEN_MAX), *dst = guarded(LEN_MAX);
	char label[128];
	size_t len;

	snprintf(label, sizeof(label), "%s: to the end of a page", name);

	fill_random(src, LEN_MAX);
	for (len = 0; len <= LEN_MAX; len++) {
		const uint8_t *s = src + LEN_MAX - len;
		uint8_t *d = dst + LEN_MAX - len;
		uint16_t want = ref_check(s, len, 0);

		if (csum_fold(add(s, len, 0)) == want &&
		    csum_fold(copy(d, s, len, 0)) == want &&
		    !memcmp(d, s, len))
			continue;
		fail(label, "length %zu", len);
		return;
	}
	pass(label);
}

/* Given buffers of up to 1 MiB, even of 0xff alone, then the sum is correct: no
 * intermediate sum overflows. */
static void test_long(const char *name, adder add)
{
	static const size_t lens[] = {
		65000, 65535, 65536, 65537, LONG_MAX - 1, LONG_MAX,
	};
	uint8_t *buf = guarded(LONG_MAX);
	unsigned int i, j, bad = 0;
	char label[128];

	for (i = 0; i < ARRAY_SIZE(patterns); i++) {
		patterns[i].fill(buf, LONG_MAX);
		for (j = 0; j < ARRAY_SIZE(lens); j++)
			bad += csum_fold(add(buf, lens[j], 1)) !=
			       ref_check(buf, lens[j], 1);
	}

	snprintf(label, sizeof(label), "%s: wrong sums of long buffers", name);
	check_eq(label, bad, 0);
}

static void test_routine(const char *name, adder add, copier copy)
{
	char copy_name[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(patterns); i++)
		test_add(name, add, &patterns[i]);

	snprintf(copy_name, sizeof(copy_name), "%s with copy", name);
	test_copy(copy_name, copy);
	test_bounds(name, add, copy);
	test_long(name, add);
}

static void test_avx2(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2")) {
		test_routine("avx2", add_avx2, copy_avx2);
		return;
	}
#endif
	skip("avx2", "this processor doesn't have it");
}

/* csum_fold() gives the complement of a sum modulo 65535. A sum of 0 gives
 * 0xffff, and any other multiple of 65535 gives 0. */
static void test_fold(void)
{
	unsigned int i;

	check_eq("fold: nothing", csum_fold(0), 0xffff);
	check_eq("fold: the largest sum", csum_fold(UINT64_MAX), 0);
	check_eq("fold: the other zero", csum_fold(0xffff), 0);
	check_eq("fold: a carry that makes a carry",
		 csum_fold(0xfffffffffffe0002), (uint16_t)~1);

	for (i = 0; i < 1000000; i++) {
		uint64_t sum = next_random() >> next_random() % 64;
		uint16_t want = (uint16_t)~ref_sum(NULL, 0, sum);

		if (csum_fold(sum) == want)
			continue;
		fail("fold: a million sums", "0x%" PRIx64 " gives 0x%04x, want "
		     "0x%04x", sum, csum_fold(sum), want);
		return;
	}
	pass("fold: a million sums");
}

static void test_sum_add(void)
{
	check_eq("sum of two sums: no carry", csum_sum_add(2, 3), 5);
	check_eq("sum of two sums: the carry comes round",
		 csum_sum_add(UINT64_MAX, 1), 1);
	check_eq("sum of two sums: twice the largest",
		 csum_sum_add(UINT64_MAX, UINT64_MAX), UINT64_MAX);
}

/* Given data in two pieces, then the sum does not depend on where the cut
 * is. */
static void test_iov_cut(void)
{
	uint16_t want, got;
	uint8_t buf[301];
	size_t cut;

	fill_random(buf, sizeof(buf));
	want = ref_check(buf, sizeof(buf), 9);

	for (cut = 0; cut <= sizeof(buf); cut++) {
		const struct iovec iov[] = {
			{ buf, cut }, { buf + cut, sizeof(buf) - cut },
		};

		got = csum_fold(csum_iov(iov, 2, 9));
		if (got == want)
			continue;
		fail("pieces: two, cut anywhere", "cut at %zu: got 0x%04x, "
		     "want 0x%04x", cut, got, want);
		return;
	}
	pass("pieces: two, cut anywhere");
}

/* Given data in many pieces, some of odd length and some empty, then the sum
 * does not depend on the cuts. */
static void test_iov_many(void)
{
	unsigned int turn, cnt, bad = 0;
	struct iovec iov[400];
	uint8_t buf[5000];

	fill_random(buf, sizeof(buf));

	for (turn = 0; turn < 2000; turn++) {
		size_t off = 0, mask = turn & 1 ? 7 : 127;

		for (cnt = 0; cnt < ARRAY_SIZE(iov) && off < 4800; cnt++) {
			size_t len = (next_random() >> 32) & mask;

			iov[cnt] = (struct iovec){ buf + off, len };
			off += len;
		}
		bad += csum_fold(csum_iov(iov, cnt, 0)) !=
		       ref_check(buf, off, 0);
	}

	check_eq("pieces: wrong sums of 2000 ways to cut", bad, 0);
	check_eq("pieces: none at all", csum_iov(NULL, 0, 77), 77);
}

/*
 * Given a checksum, when one of the words that it covers changes, then
 * csum_update16() gives the same checksum as a new computation. Each element of
 * @others is the sum of all words that do not change.
 */
static void test_update16(void)
{
	static const uint16_t words[] = {
		0, 1, 0xff, 0x100, 0x7fff, 0x8000, 0xfffe, 0xffff, 0x1234,
	};
	static const uint16_t others[] = { 1, 0x5555, 0x8000, 0xfffe, 0xffff };
	const char *name = "update: one word, equal to computing anew";
	unsigned int i, j;
	uint32_t old;

	for (i = 0; i < ARRAY_SIZE(others); i++) {
		for (j = 0; j < ARRAY_SIZE(words); j++) {
			uint16_t want = ~ref_add(others[i], words[j]);

			for (old = 0; old <= 0xffff; old++) {
				uint16_t was = ~ref_add(others[i], old), got;

				got = csum_update16(was, old, words[j]);
				if (got == want)
					continue;
				fail(name, "others 0x%x, 0x%x to 0x%x: got "
				     "0x%04x, want 0x%04x", others[i], old,
				     words[j], got, want);
				return;
			}
		}
	}
	pass(name);
}

/* Given the example of RFC 1624 section 4, then csum_update16() gives 0. The
 * older equation of RFC 1141 would give a wrong checksum, 0xffff. */
static void test_update_corner(void)
{
	check_eq("update: the example of RFC 1624",
		 shown(csum_update16(htons(0xdd2f), htons(0x5555),
				     htons(0x3285))), 0x0000);
	check_eq("update: back again",
		 shown(csum_update16(0, htons(0x3285), htons(0x5555))), 0xdd2f);

	/* 0xffff and 0 are the same number in ones' complement: a change from
	 * one to the other does not change the checksum */
	check_eq("update: 0xffff to zero", csum_update16(0x1234, 0xffff, 0),
		 0x1234);
	check_eq("update: zero to 0xffff", csum_update16(0x1234, 0, 0xffff),
		 0x1234);
	check_eq("update: to the same", csum_update16(0, 0x1234, 0x1234), 0);
}

/* Given the eight bytes of the example in RFC 1071 section 3, then csum_add()
 * gives the same sum as the RFC. */
static void test_rfc1071(void)
{
	static const uint8_t data[] = {
		0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7,
	};

	check_eq("the example of RFC 1071",
		 shown(csum_fold(csum_add(data, sizeof(data), 0))),
		 (uint16_t)~0xddf2);
}

/* csum_pseudo() gives the sum of a pseudo-header that is laid out as in the
 * RFCs. */
static void test_pseudo(void)
{
	const struct in6_addr src4 = addr("192.0.2.2");
	const struct in6_addr dst4 = addr("10.255.0.1");
	const struct in6_addr src6 = addr("2001:db8::2");
	const struct in6_addr dst6 = addr("ff02::1");
	uint8_t v4[12] = { 192, 0, 2, 2, 10, 255, 0, 1, 0, IPPROTO_TCP };
	uint8_t v6[40] = { [39] = IPPROTO_ICMPV6 };
	uint64_t sum;

	put_be16(v4 + 10, 65515);
	sum = csum_pseudo(&src4, &dst4, IPPROTO_TCP, 65515);
	check_eq("pseudo-header: IPv4", shown(csum_fold(sum)),
		 shown(ref_check(v4, sizeof(v4), 0)));

	memcpy(v6, &src6, 16);
	memcpy(v6 + 16, &dst6, 16);
	put_be32(v6 + 32, 0x10203);
	sum = csum_pseudo(&src6, &dst6, IPPROTO_ICMPV6, 0x10203);
	check_eq("pseudo-header: IPv6", shown(csum_fold(sum)),
		 shown(ref_check(v6, sizeof(v6), 0)));
}

/* Packets whose checksums Wireshark reports as correct. */
static const struct known {
	const char *name;
	const char *hex;
	uint8_t proto;
	uint8_t field;	/* offset of the checksum in the transport header */
} known[] = {
	{ "TCP over IPv4",
	  "450000341c46400040063241c0000202c6336407"
	  "c000005001020304000000008002faf0c78e0000020405b40103030701010000",
	  IPPROTO_TCP, 16 },
	{ "UDP over IPv4, odd length",
	  "450000211c46400040113249c0000202c6336407"
	  "14e90035000dbaa668656c6c6f",
	  IPPROTO_UDP, 6 },
	{ "ICMP",
	  "450000241c46400040013256c0000202c6336407"
	  "0800661c004d00016162636465666768",
	  IPPROTO_ICMP, 2 },
	{ "TCP over IPv6",
	  "600000000020064020010db800000000000000000000000220010db80001000000"
	  "00000000000007"
	  "c000005001020304000000008002faf058500000020405b40103030701010000",
	  IPPROTO_TCP, 16 },
	{ "UDP over IPv6, odd length",
	  "60000000000d114020010db800000000000000000000000220010db80001000000"
	  "00000000000007"
	  "14e90035000d4b6868656c6c6f",
	  IPPROTO_UDP, 6 },
	{ "ICMPv6 neighbour solicitation",
	  "6000000000203afffe800000000000000000000000000002ff0200000000000000"
	  "000001ff000001"
	  "87007a9700000000fe8000000000000000000000000000010101020000000002",
	  IPPROTO_ICMPV6, 2 },
};

static size_t from_hex(const char *hex, uint8_t *buf)
{
	size_t len = 0;
	int used;

	while (sscanf(hex, " %2hhx%n", &buf[len], &used) == 1) {
		hex += used;
		len++;
	}
	return len;
}

/* A packet in @buf, its transport header and payload, and its addresses. */
struct packet {
	uint8_t buf[128];
	uint8_t *l4;
	size_t l4len;
	struct in6_addr src, dst;
};

static void packet_read(struct packet *p, const char *hex)
{
	size_t len = from_hex(hex, p->buf);
	bool v4 = p->buf[0] >> 4 == 4;

	p->l4 = p->buf + (v4 ? 20 : 40);
	p->l4len = len - (size_t)(p->l4 - p->buf);
	if (v4) {
		struct in_addr a;

		memcpy(&a, p->buf + 12, 4);
		p->src = addr_from_v4(a);
		memcpy(&a, p->buf + 16, 4);
		p->dst = addr_from_v4(a);
	} else {
		memcpy(&p->src, p->buf + 8, 16);
		memcpy(&p->dst, p->buf + 24, 16);
	}
}

/* Compute a packet's transport checksum, with the packet in pieces of odd
 * length. */
static uint16_t packet_check(const struct packet *p, uint8_t proto)
{
	const struct iovec iov[] = {
		{ p->l4, 5 }, { p->l4 + 5, 0 }, { p->l4 + 5, p->l4len - 5 },
	};

	return csum_l4(&p->src, &p->dst, proto, iov, ARRAY_SIZE(iov));
}

/*
 * Given a valid packet, then its computed checksum is 0. With any one bit
 * flipped it is not 0, and with the checksum field set to 0 it is the original
 * checksum.
 */
static void test_known(const struct known *k)
{
	unsigned int bit, missed = 0;
	struct packet p;
	uint16_t field;
	char label[96];

	packet_read(&p, k->hex);
	snprintf(label, sizeof(label), "%s: received, is right", k->name);
	check_eq(label, packet_check(&p, k->proto), 0);

	for (bit = 0; bit < 8 * p.l4len; bit++) {
		p.l4[bit / 8] ^= (uint8_t)(1 << bit % 8);
		missed += !packet_check(&p, k->proto);
		p.l4[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	snprintf(label, sizeof(label), "%s: wrong bits not seen", k->name);
	check_eq(label, missed, 0);

	field = get_be16(p.l4 + k->field);
	put_be16(p.l4 + k->field, 0);
	snprintf(label, sizeof(label), "%s: built", k->name);
	check_eq(label, shown(packet_check(&p, k->proto)), field);
}

/* Verify the IPv4 header of the first known packet, and compute its
 * checksum. */
static void test_ip4(void)
{
	struct packet p;

	packet_read(&p, known[0].hex);
	check_eq("IPv4 header: received, is right", csum_ip4(p.buf, 20), 0);
	put_be16(p.buf + 10, 0);
	check_eq("IPv4 header: built", shown(csum_ip4(p.buf, 20)), 0x3241);
	p.buf[8]--;
	check_eq("IPv4 header: TTL one less", shown(csum_ip4(p.buf, 20)),
		 0x3341);
}

/* In a UDP header 0 means 'no checksum', so whoever computes 0 sends 0xffff.
 * Given a received packet with 0xffff, then csum_l4() finds the packet correct.
 * Given the same packet to send, then csum_l4() returns 0, and the caller has
 * to store 0xffff. */
static void test_udp_zero(void)
{
	const char *hex = "4500001e1c4640004011324cc0000202c6336407"
			  "14e90035000afffffe7e";
	struct packet p;

	packet_read(&p, hex);
	check_eq("UDP with a sum of zero: received, is right",
		 packet_check(&p, IPPROTO_UDP), 0);
	put_be16(p.l4 + 6, 0);
	check_eq("UDP with a sum of zero: left to the caller",
		 packet_check(&p, IPPROTO_UDP), 0);
}

/* Given csum_init(), which chooses routines for this processor, then csum_add()
 * and csum_copy() are correct both before and after it is called. */
static void test_doors(const char *when)
{
	char label[64];

	snprintf(label, sizeof(label), "csum_add() %s csum_init()", when);
	test_add(label, csum_add, &patterns[0]);
	snprintf(label, sizeof(label), "csum_copy() %s csum_init()", when);
	test_copy(label, csum_copy);
}

int main(void)
{
	unsigned int i;

	test_doors("before");
	csum_init();
	test_doors("after");

	test_routine("words", add_words, copy_words);
	test_routine("vec16", add_vec16, copy_vec16);
	test_avx2();

	test_fold();
	test_sum_add();
	test_iov_cut();
	test_iov_many();
	test_update16();
	test_update_corner();
	test_rfc1071();
	test_pseudo();
	test_ip4();
	test_udp_zero();
	for (i = 0; i < ARRAY_SIZE(known); i++)
		test_known(&known[i]);

	return unit_end();
}
