/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * util.h - Small functions for all parts: byte order, addresses, sockaddrs.
 */
#ifndef UTIL_H
#define UTIL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)		((a) < (b) ? (a) : (b))
#define MAX(a, b)		((a) > (b) ? (a) : (b))
#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))

#define SEC			((uint64_t)1000)	/* in ms, as 'now' */

/* For a large local variable in a function that runs for each burst or frame,
 * and that writes what it reads. With -ftrivial-auto-var-init=zero, the
 * compiler would set all of the variable to zero on each call: 39 KiB for a
 * burst of UDP take 230 ns, and push all else out of the nearest cache. */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define UNINITIALIZED		__attribute__((uninitialized))
#endif
#endif
#ifndef UNINITIALIZED
#define UNINITIALIZED
#endif

#define MAC_LEN			6
#define MAC_STRLEN		sizeof("00:11:22:33:44:55")
#define ADDR_STRLEN		INET6_ADDRSTRLEN

/* Read and write big-endian fields at any alignment. The values are in host
 * order. */

static inline uint16_t get_be16(const void *p)
{
	const uint8_t *b = p;

	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t get_be32(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	       (uint32_t)b[2] << 8 | b[3];
}

static inline void put_be16(void *p, uint16_t v)
{
	uint8_t *b = p;

	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static inline void put_be32(void *p, uint32_t v)
{
	uint8_t *b = p;

	b[0] = (uint8_t)(v >> 24);
	b[1] = (uint8_t)(v >> 16);
	b[2] = (uint8_t)(v >> 8);
	b[3] = (uint8_t)v;
}

/*
 * Addresses are struct in6_addr throughout, IPv4 as ::ffff:a.b.c.d (RFC 4291
 * 2.5.5.2), so that one path serves both families. All zero is "none".
 */

#define ADDR_NONE		((struct in6_addr){ 0 })

/* The two address families, as indices of arrays with one element for each. */
enum ip_family { IP4, IP6, FAMILIES };

static inline bool addr_is_v4(const struct in6_addr *a)
{
	return IN6_IS_ADDR_V4MAPPED(a);
}

static inline bool addr_is_none(const struct in6_addr *a)
{
	return IN6_IS_ADDR_UNSPECIFIED(a);
}

static inline bool addr_eq(const struct in6_addr *a, const struct in6_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* addr_ip() - Return the family of an address; an all-zero address counts as
 * IPv6 */
static inline enum ip_family addr_ip(const struct in6_addr *a)
{
	return addr_is_v4(a) ? IP4 : IP6;
}

/* addr_v4() - Return the IPv4 address of a mapped address, in network order */
static inline struct in_addr addr_v4(const struct in6_addr *a)
{
	struct in_addr v4;

	memcpy(&v4, &a->s6_addr[12], sizeof(v4));
	return v4;
}

/* addr_from_v4() - Return the mapped form of an IPv4 address, which is in
 * network order */
static inline struct in6_addr addr_from_v4(struct in_addr v4)
{
	struct in6_addr a = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	memcpy(&a.s6_addr[12], &v4, sizeof(v4));
	return a;
}

bool addr_is_loopback(const struct in6_addr *a);
bool addr_is_linklocal(const struct in6_addr *a);
bool addr_is_multicast(const struct in6_addr *a);
bool addr_is_unicast(const struct in6_addr *a);
bool addr_in_prefix(const struct in6_addr *a, const struct in6_addr *net,
		    unsigned int len);
bool addr_parse(const char *s, struct in6_addr *a);
const char *addr_str(const struct in6_addr *a, char buf[ADDR_STRLEN]);

bool mac_parse(const char *s, uint8_t mac[MAC_LEN]);
const char *mac_str(const uint8_t mac[MAC_LEN], char buf[MAC_STRLEN]);

/* A socket address of either family. */
union sockaddr_any {
	struct sockaddr sa;
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;
};

socklen_t sockaddr_set(union sockaddr_any *sa, const struct in6_addr *addr,
		       uint16_t port, uint32_t scope);
bool sockaddr_get(const union sockaddr_any *sa, struct in6_addr *addr,
		  uint16_t *port);

/* addr_family() - AF_INET for a mapped address, else AF_INET6 */
static inline int addr_family(const struct in6_addr *a)
{
	return addr_is_v4(a) ? AF_INET : AF_INET6;
}

bool number_parse(const char *s, uint64_t min, uint64_t max, uint64_t *n);
int accept_last(int listener, int *spare);
int spare_open(void);
uint64_t now_ms(void);
uint64_t now_us(void);
int64_t slept_ms(void);
void random_bytes(void *buf, size_t len);
void sort_array(void *base, size_t n, size_t size,
		int (*compare)(const void *a, const void *b));

void *memory_reserve(size_t size);
void memory_use_heap(void);
void memory_trim(void);

#endif /* UTIL_H */
