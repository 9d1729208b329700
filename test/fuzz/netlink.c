// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * netlink.c - libFuzzer target: whatever the kernel answers, passt reads no
 * byte that is not there, takes only addresses and interfaces that are in the
 * answer and that a guest can use, and takes the same ones if the same messages
 * come in other datagrams.
 *
 * The first byte selects the question, the family and the interface. The rest
 * is datagrams, each preceded by its length in two bytes. When all were
 * received, recv() fails. If the next one is empty, send() fails.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

static ssize_t fake_recv(int fd, void *buf, size_t len, int flags);
static ssize_t fake_send(int fd, const void *p, size_t len, int flags);

#include "sock.h"

#define sock_recv	fake_recv
#define sock_send	fake_send
#include "../../host/netlink.c"
#undef sock_recv
#undef sock_send

#include "test/fuzz/fuzz.h"

#define DATAGRAMS	8	/* limit for datagrams in an input, for speed */
#define NL		3	/* any descriptor */

enum question { ASK_DEFAULT_IF, ASK_GATEWAY, ASK_ADDRESS, ASK_ADDRESSES };

UNCOUNTED

/* What recv() returns: the datagrams of the input, or one message each. */
static struct input answer;
static unsigned int datagrams;
static bool left_over, unsent;
static uint32_t last_seq;

/* fix_seq() - Give the messages that have the number 0 the one that was asked
 * with, so that libFuzzer need not find it */
static void fix_seq(uint8_t *p, size_t len)
{
	struct nlmsghdr h;

	while (len >= sizeof(h)) {
		memcpy(&h, p, sizeof(h));
		if (!h.nlmsg_seq)
			h.nlmsg_seq = last_seq;
		memcpy(p, &h, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len >= len)
			return;
		h.nlmsg_len = MIN(NLMSG_ALIGN(h.nlmsg_len), (uint32_t)len);
		p += h.nlmsg_len;
		len -= h.nlmsg_len;
	}
}

/* fake_send() - Take a question; an error if the next datagram of the input has
 * the length 0 */
static ssize_t fake_send(int fd, const void *p, size_t len, int flags)
{
	if (answer.left < 2 || answer.at[0] || answer.at[1])
		return (ssize_t)len;
	take_u16(&answer);
	unsent = true;
	errno = ENOBUFS;
	return -1;
}

/* fake_recv() - Give the next datagram; an error if there is none, or if passt
 * looks whether an answer to an earlier question is left, unless the input says
 * that there is one */
static ssize_t fake_recv(int fd, void *buf, size_t len, int flags)
{
	size_t n;

	if ((flags & MSG_DONTWAIT && !left_over) || answer.left < 2 ||
	    !datagrams--) {
		errno = EAGAIN;
		return -1;
	}
	n = take_u16(&answer);
	if (n == 0xffff)		/* longer than the buffer */
		return (ssize_t)len + 1;
	n = MIN(n, answer.left);
	memcpy(buf, answer.at, MIN(n, len));
	answer.at += n;
	answer.left -= n;
	fix_seq(buf, MIN(n, len));
	return (ssize_t)n;
}

/* has_bytes() - Whether the input has these bytes somewhere */
static bool has_bytes(const uint8_t *data, size_t size, const void *p,
		      size_t len)
{
	return memmem(data, size, p, len);
}

/* check_addr() - Check that an address was in the answer */
static void check_addr(const uint8_t *data, size_t size,
		       const struct in6_addr *a)
{
	struct in_addr v4 = addr_v4(a);

	if (addr_is_none(a))
		return;
	if (addr_is_v4(a))
		MUST(has_bytes(data, size, &v4, sizeof(v4)));
	else
		MUST(has_bytes(data, size, a, sizeof(*a)));
}

/* struct found - What a question has found */
struct found {
	unsigned int ifindex, len, n;
	bool ok;
	struct in6_addr a, b;
};

static bool add_addr(void *arg, const struct in6_addr *a)
{
	struct found *f = arg;

	f->a = *a;
	return ++f->n < 5;
}

/* ask() - Ask the question that @pick selects */
static struct found ask(uint8_t pick, const struct input *in)
{
	struct nl nl = { .fd = NL };
	int family = pick & 4 ? AF_INET6 : AF_INET;
	unsigned int ifindex = pick >> 3 & 3;
	struct in6_addr prefer = ADDR_NONE;
	struct found f = { 0 };

	if (pick & 0x80)
		addr_parse(family == AF_INET ? "192.0.2.5" : "2001:db8::5",
			   &prefer);
	left_over = pick & 0x40;
	unsent = false;
	answer = *in;
	datagrams = DATAGRAMS;
	switch ((enum question)(pick & 3)) {
	case ASK_DEFAULT_IF:
		last_seq = MATCH_SEQ;
		if (pick & 0x20)	/* let all questions but the dump fail */
			last_seq = (uint32_t)RTM_GETROUTE << 8 |
				   (uint32_t)family;
		f.ifindex = nl_default_if(&nl, family);
		break;
	case ASK_GATEWAY:
		last_seq = MATCH_SEQ;
		if (pick & 0x20)
			last_seq = (uint32_t)RTM_GETROUTE << 8 |
				   (uint32_t)family;
		f.ok = nl_gateway(&nl, family, ifindex, &f.a, &f.b);
		break;
	case ASK_ADDRESS:
		last_seq = (uint32_t)RTM_GETADDR << 8 | (uint32_t)family;
		f.ifindex = nl_address(&nl, family, ifindex, &prefer, &f.a,
				       &f.len);
		break;
	case ASK_ADDRESSES:
		last_seq = (uint32_t)RTM_GETADDR << 8;
		f.ok = !nl_addresses(&nl, add_addr, &f);
		break;
	}
	return f;
}

/* check_found() - Check that what was found is in the input, and that a guest
 * can use it */
static void check_found(uint8_t pick, const uint8_t *data, size_t size,
			const struct found *f)
{
	bool v4 = !(pick & 4);

	check_addr(data, size, &f->a);
	check_addr(data, size, &f->b);
	if (unsent && (pick & 3) >= ASK_ADDRESS)	/* it is one question */
		MUST(!f->ifindex && !f->ok && !f->n);
	if (f->ifindex)
		MUST(has_bytes(data, size, &f->ifindex, 4));
	if ((pick & 3) == ASK_ADDRESS && f->ifindex) {
		MUST(addr_is_unicast(&f->a) && addr_is_v4(&f->a) == v4);
		MUST(f->len <= (v4 ? 32 : 128));
		MUST(!addr_is_loopback(&f->a));
		MUST(v4 || !addr_is_linklocal(&f->a));
	}
	if ((pick & 3) == ASK_GATEWAY) {
		MUST(f->ok || addr_is_none(&f->a));
		MUST(addr_is_none(&f->a) || addr_is_v4(&f->a) == v4);
		MUST(!f->ok || pick >> 3 & 3);
	}
}

/* visit_all() - Give datagrams to @visit: whole, or one message at a time in
 * memory of exactly its length. Returns false if the answer ended early */
static bool visit_all(struct input in, bool whole, nl_visit visit, void *seen)
{
	const struct nlmsghdr *h;
	uint8_t *p, *one;
	size_t len, at, n;
	int rc = 1;

	while (in.left > 2 && rc > 0) {
		len = take_u16(&in);
		p = take_copy(&in, &len);
		if (whole)
			rc = nl_parse(p, len, 0, visit, seen);
		for (at = 0; !whole && rc > 0 && len - at >= sizeof(*h);
		     at += MIN(NLMSG_ALIGN(n), len - at)) {
			h = (const struct nlmsghdr *)(p + at);
			n = h->nlmsg_len;
			if (n < sizeof(*h) || n > len - at)
				break;
			one = malloc(n);
			memcpy(one, h, n);
			rc = nl_parse(one, n, 0, visit, seen);
			free(one);
		}
		free(p);
	}
	return rc > 0;
}

/* check_same() - Check that routes and addresses do not depend on how messages
 * are distributed to datagrams */
static void check_same(uint8_t pick, const struct input *in)
{
	int family = pick & 4 ? AF_INET6 : AF_INET;
	struct routes r[2];
	struct addrs a[2];
	int i;

	memset(r, 0, sizeof(r));
	memset(a, 0, sizeof(a));
	for (i = 0; i < 2; i++) {
		r[i].family = a[i].family = family;
		r[i].ifindex = a[i].ifindex = pick >> 3 & 3;
		visit_all(*in, !i, routes_visit, &r[i]);
		visit_all(*in, !i, addrs_visit, &a[i]);
	}
	MUST(r[0].have_def == r[1].have_def && r[0].only == r[1].only &&
	     r[0].several == r[1].several);
	MUST(r[0].def.ifindex == r[1].def.ifindex &&
	     r[0].def.metric == r[1].def.metric &&
	     addr_eq(&r[0].def.gw, &r[1].def.gw));
	MUST(a[0].rank == a[1].rank && a[0].at == a[1].at &&
	     addr_eq(&a[0].addr, &a[1].addr) && a[0].len == a[1].len);
	MUST(!r[0].have_def || r[0].def.ifindex);
	MUST(!r[0].several || r[0].only);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data + 1, size - 1 };
	struct found f;

	if (!size)
		return 0;
	f = ask(data[0], &in);
	check_found(data[0], data, size, &f);
	check_same(data[0], &in);
	return 0;
}

COUNTED
