// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * util.c - Addresses, sockaddrs, numbers, the clock and random bytes.
 */
/* syscalls: start: getrandom mmap; run: accept4 clock_gettime close
 *	     madvise socket */
#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

/* Free bytes at the end of the heap that are kept, at most. A flow that loses
 * packets again and again needs the same memory each time. */
#define HEAP_SLACK	(16 << 20)

/* get_v4() - Return the IPv4 address of a mapped address, in host order */
static uint32_t get_v4(const struct in6_addr *a)
{
	return get_be32(&a->s6_addr[12]);
}

/**
 * addr_is_loopback() - Check for ::1 or 127.0.0.0/8 (RFC 1122 3.2.1.3)
 * @a:		address
 */
bool addr_is_loopback(const struct in6_addr *a)
{
	if (addr_is_v4(a))
		return get_v4(a) >> 24 == 127;

	return IN6_IS_ADDR_LOOPBACK(a);
}

/**
 * addr_is_linklocal() - Check for fe80::/10 or 169.254.0.0/16 (RFC 3927)
 * @a:		address
 */
bool addr_is_linklocal(const struct in6_addr *a)
{
	if (addr_is_v4(a))
		return get_v4(a) >> 16 == 0xa9fe;

	return IN6_IS_ADDR_LINKLOCAL(a);
}

/**
 * addr_is_multicast() - Check for ff00::/8 or 224.0.0.0/4 (RFC 5771)
 * @a:		address
 *
 * 255.255.255.255 is neither multicast nor unicast.
 */
bool addr_is_multicast(const struct in6_addr *a)
{
	if (addr_is_v4(a))
		return get_v4(a) >> 28 == 0xe;

	return IN6_IS_ADDR_MULTICAST(a);
}

/**
 * addr_is_unicast() - Check for an address that a guest or a peer can have as
 * its own
 * @a:		address
 *
 * Return: false for an all-zero address, multicast, loopback, 255.255.255.255
 *	   and 0.0.0.0/8 (RFC 1122 3.2.1.3); else true. It is also true for
 *	   directed broadcast addresses, which can't be recognised without a
 *	   prefix, and for 240.0.0.0/4, which some networks use
 */
bool addr_is_unicast(const struct in6_addr *a)
{
	if (addr_is_none(a) || addr_is_multicast(a) || addr_is_loopback(a))
		return false;

	return !addr_is_v4(a) ||
	       (get_v4(a) != INADDR_BROADCAST && get_v4(a) >> 24);
}

/**
 * addr_in_prefix() - Check whether an address is in a prefix
 * @a:		address
 * @net:	any address in the prefix
 * @len:	length of the prefix, at most 32 if @net is an IPv4 address,
 *		else 128. No address is in a longer prefix
 *
 * Return: whether @a is in the prefix; false if the families of @a and @net
 *	   differ, even for ::/0
 */
bool addr_in_prefix(const struct in6_addr *a, const struct in6_addr *net,
		    unsigned int len)
{
	unsigned int whole, rest;

	if (addr_is_v4(a) != addr_is_v4(net))
		return false;

	if (len > (addr_is_v4(net) ? 32U : 128U))
		return false;

	if (addr_is_v4(net))
		len += 96;

	whole = len / 8;
	rest = len % 8;
	if (memcmp(a, net, whole))
		return false;

	return !rest ||
	       !((a->s6_addr[whole] ^ net->s6_addr[whole]) >> (8 - rest));
}

/**
 * addr_parse() - Read an address: four decimals with dots, or IPv6
 * @s:		string that consists of an address without scope
 * @a:		set on success only; IPv4 mapped
 *
 * Return: whether @s is an address
 */
bool addr_parse(const char *s, struct in6_addr *a)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, s, &v4) == 1)
		v6 = addr_from_v4(v4);
	else if (inet_pton(AF_INET6, s, &v6) != 1)
		return false;

	*a = v6;
	return true;
}

/**
 * addr_str() - Write an address as text (RFC 5952)
 * @a:		address; a mapped one becomes four decimals with dots
 * @buf:	filled
 *
 * Return: @buf
 */
const char *addr_str(const struct in6_addr *a, char buf[ADDR_STRLEN])
{
	if (addr_is_v4(a))
		inet_ntop(AF_INET, &a->s6_addr[12], buf, ADDR_STRLEN);
	else
		inet_ntop(AF_INET6, a, buf, ADDR_STRLEN);

	return buf;
}

/* hex_digit() - Return the value of a hexadecimal digit, or -1 for another
 * character */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/**
 * mac_parse() - Read a MAC address: six pairs of digits, separated by colons
 * @s:		string that consists of an address
 * @mac:	set on success only
 *
 * Return: whether @s is a MAC address
 */
bool mac_parse(const char *s, uint8_t mac[MAC_LEN])
{
	uint8_t m[MAC_LEN];
	unsigned int i;

	if (strlen(s) != MAC_STRLEN - 1)
		return false;

	for (i = 0; i < MAC_LEN; i++, s += 3) {
		int hi = hex_digit(s[0]), lo = hex_digit(s[1]);

		if (hi < 0 || lo < 0 || s[2] != (i < MAC_LEN - 1 ? ':' : '\0'))
			return false;
		m[i] = (uint8_t)(hi << 4 | lo);
	}

	memcpy(mac, m, MAC_LEN);
	return true;
}

/**
 * mac_str() - Write a MAC address as text
 * @mac:	address
 * @buf:	filled
 *
 * Return: @buf
 */
const char *mac_str(const uint8_t mac[MAC_LEN], char buf[MAC_STRLEN])
{
	snprintf(buf, MAC_STRLEN, "%02x:%02x:%02x:%02x:%02x:%02x",
		 mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return buf;
}

/**
 * sockaddr_set() - Fill a socket address, of the same family as @addr
 * @sa:		filled; unused bytes become zero
 * @addr:	address; all zero gives the IPv6 wildcard address
 * @port:	port or ICMP identifier, host order
 * @scope:	interface index for link-local IPv6 addresses, 0: none
 *
 * Return: length of @sa for bind() and connect(), bytes
 */
socklen_t sockaddr_set(union sockaddr_any *sa, const struct in6_addr *addr,
		       uint16_t port, uint32_t scope)
{
	memset(sa, 0, sizeof(*sa));

	if (addr_is_v4(addr)) {
		sa->sin.sin_family = AF_INET;
		sa->sin.sin_port = htons(port);
		sa->sin.sin_addr = addr_v4(addr);
		return sizeof(sa->sin);
	}

	sa->sin6.sin6_family = AF_INET6;
	sa->sin6.sin6_port = htons(port);
	sa->sin6.sin6_addr = *addr;
	sa->sin6.sin6_scope_id = scope;
	return sizeof(sa->sin6);
}

/**
 * sockaddr_get() - Read address and port of a socket address
 * @sa:		socket address, as the kernel filled it
 * @addr:	set on success only; IPv4 mapped
 * @port:	set on success only, host order
 *
 * Return: false if @sa is neither an IPv4 nor an IPv6 address
 */
bool sockaddr_get(const union sockaddr_any *sa, struct in6_addr *addr,
		  uint16_t *port)
{
	if (sa->sa.sa_family == AF_INET) {
		*addr = addr_from_v4(sa->sin.sin_addr);
		*port = ntohs(sa->sin.sin_port);
		return true;
	}

	if (sa->sa.sa_family == AF_INET6) {
		*addr = sa->sin6.sin6_addr;
		*port = ntohs(sa->sin6.sin6_port);
		return true;
	}

	return false;
}

/**
 * number_parse() - Read a decimal number
 * @s:		string that consists of digits, without sign or spaces
 * @min:	smallest value accepted
 * @max:	largest value accepted
 * @n:		set on success only
 *
 * Return: whether @s is a number from @min to @max
 */
bool number_parse(const char *s, uint64_t min, uint64_t max, uint64_t *n)
{
	uint64_t v = 0;

	if (!*s)
		return false;

	for (; *s; s++) {
		unsigned int digit = (unsigned int)(*s - '0');

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}

	if (v < min || v > max)
		return false;

	*n = v;
	return true;
}

/* read_clock() - Return the time of one of the kernel's clocks, ms */
static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * SEC + (uint64_t)ts.tv_nsec / 1000000;
}

/**
 * now_ms() - Read the clock that the worker's clock (clock.h) is made from
 *
 * It is CLOCK_MONOTONIC, which epoll_wait() and the host's TCP timers use as
 * well. While the host is suspended, this clock and the guest both stand
 * still. Afterwards, all timers go on with the time that was left. With
 * CLOCK_BOOTTIME, the time of the suspend would count as idle time of all
 * flows, which could then time out before the guest can send anything.
 *
 * Return: ms since a fixed moment in the past
 */
uint64_t now_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/* now_us() - Read the same clock in microseconds, to measure how long something
 * takes */
uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/**
 * slept_ms() - Return for how long the host has slept, from any fixed moment
 * on, in ms
 *
 * Only the difference of two results has a meaning: in a time namespace, the
 * result may be negative. If the process does not run for a while between the
 * two reads, the result is too small, and never too large.
 */
int64_t slept_ms(void)
{
	uint64_t with_sleep = read_clock(CLOCK_BOOTTIME);

	return (int64_t)(with_sleep - now_ms());
}

/**
 * random_bytes() - Make random bytes for keys and other unpredictable numbers
 * @buf:	filled
 * @len:	number of bytes
 *
 * If getrandom() fails, this function aborts the program, because keys that an
 * attacker can guess would not be safe. Linux before 3.17 has no getrandom().
 */
void random_bytes(void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno != EINTR)
			abort();
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
}

/**
 * accept_last() - Accept a connection when no descriptors are left
 * @listener:	listening socket
 * @spare:	descriptor that this function closes to get a free one; set to
 *		-1
 *
 * This is necessary because epoll would report the connection again and again
 * while it is in the queue of @listener.
 *
 * Return: socket of the connection, or -1. The caller must close the socket at
 *	   once, so that spare_open() finds a free descriptor
 */
int accept_last(int listener, int *spare)
{
	if (*spare >= 0)
		close(*spare);
	*spare = -1;
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

/*
 * spare_open() - Open a descriptor that accept_last() can close; returns -1 on
 * failure
 *
 * The descriptor is a socket, because the sandbox allows passt to make sockets
 * but not to open files.
 */
int spare_open(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0) : fd;
}

/* swap_bytes() - Exchange two elements of an array */
static void swap_bytes(char *a, char *b, size_t size)
{
	char c;

	for (; size; size--, a++, b++) {
		c = *a;
		*a = *b;
		*b = c;
	}
}

/* sift_down() - Let the element @at of a heap of @n elements sink to its
 * place */
static void sift_down(char *base, size_t at, size_t n, size_t size,
		      int (*compare)(const void *a, const void *b))
{
	size_t child;

	for (; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && compare(base + child * size,
					     base + (child + 1) * size) < 0)
			child++;
		if (compare(base + at * size, base + child * size) >= 0)
			return;
		swap_bytes(base + at * size, base + child * size, size);
	}
}

/**
 * sort_array() - Sort as qsort() does, but without memory and without system
 *		calls, which the sandbox might not permit (heapsort)
 * @base:	array of @n elements of @size bytes
 * @compare:	as for qsort(); equal elements may change their order
 */
void sort_array(void *base, size_t n, size_t size,
		int (*compare)(const void *a, const void *b))
{
	size_t i;

	for (i = n / 2; i-- > 0; )
		sift_down(base, i, n, size, compare);
	for (i = n; i-- > 1; ) {
		swap_bytes(base, (char *)base + i * size, size);
		sift_down(base, 0, i, size, compare);
	}
}

/**
 * memory_reserve() - Map zeroed memory whose pages are allocated when they are
 * first written
 * @size:	bytes to map; munmap() frees them
 *
 * Huge pages are switched off: with them, the first byte that is written would
 * allocate 2 MiB.
 *
 * Return: the memory; NULL if there is not enough address space
 */
void *memory_reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;

	madvise(p, size, MADV_NOHUGEPAGE);
	return p;
}

/**
 * memory_use_heap() - Let malloc() take memory by brk() only: the sandbox
 *		permits no mmap()
 *
 * Another libc than glibc has no such choice, and no filter of system calls.
 */
void memory_use_heap(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, HEAP_SLACK);
#endif
}

/* memory_trim() - Give memory that free() has kept back to the kernel */
void memory_trim(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}
