// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * error.c - ICMP and ICMPv6 errors to the guest, each quoting its packet.
 * Called by icmp.c, TCP and UDP through icmp.h; calls tap.c.
 */
#include <errno.h>
#include <netinet/ip.h>
#include <string.h>

#include "checksum.h"
#include "icmp.h"
#include "icmp/type.h"

#define IP4_HLEN	20
#define IP6_HLEN	40
#define ICMP_HLEN	8

/* The whole error, IP header included (RFC 1812 4.3.2.3, RFC 4443 2.4 (c)). */
#define ERROR4_MAX	576
#define ERROR6_MAX	1280

/* Precedence of errors: internetwork control (RFC 1812 4.3.2.5). */
#define ERROR4_TOS	0xc0

#define MTU4_MIN	68		/* RFC 791 3.2 */
#define MTU6_MIN	1280		/* RFC 8200 5 */

/**
 * struct message - What an error says
 * @type, @code: of ICMP or ICMPv6
 * @rest:	second word of the header
 */
struct message {
	uint8_t type, code;
	uint32_t rest;
};

/**
 * struct quote - The start of the packet that an error is about
 * @src, @dst:	its addresses
 * @proto:	its transport protocol
 * @len:	bytes in @data, from the IP header on
 */
struct quote {
	struct in6_addr src, dst;
	uint8_t proto;
	size_t len;
	uint8_t data[ERROR6_MAX - IP6_HLEN - ICMP_HLEN];
};

/* What the host's errors about a destination stand for: the codes from which
 * the kernel makes them (net/ipv4/icmp.c, net/ipv6/icmp.c). */
static const struct {
	int error;
	uint8_t code4, code6;
} unreachable[] = {
	{ ENETUNREACH, ICMP4_UNREACH_NET, ICMP6_DST_UNREACH_NOROUTE },
	{ ENETDOWN, ICMP4_UNREACH_NET, ICMP6_DST_UNREACH_NOROUTE },
	{ EADDRNOTAVAIL, ICMP4_UNREACH_NET, ICMP6_DST_UNREACH_NOROUTE },
	{ EHOSTUNREACH, ICMP4_UNREACH_HOST, ICMP6_DST_UNREACH_ADDR },
	{ EHOSTDOWN, ICMP4_UNREACH_UNKNOWN, ICMP6_DST_UNREACH_ADDR },
	{ ENONET, ICMP4_UNREACH_ISOLATED, ICMP6_DST_UNREACH_ADDR },
	{ ECONNREFUSED, ICMP4_UNREACH_PORT, ICMP6_DST_UNREACH_NOPORT },
	{ EACCES, ICMP4_UNREACH_ADMIN, ICMP6_DST_UNREACH_ADMIN },
	{ EPERM, ICMP4_UNREACH_ADMIN, ICMP6_DST_UNREACH_ADMIN },
};

/**
 * set_message() - The error that an errno stands for
 * @m:		filled
 * @error:	errno
 * @v4:		for IPv4
 * @mtu:	for EMSGSIZE, 0: not known
 *
 * Return: false if it stands for none
 */
static bool set_message(struct message *m, int error, bool v4, uint32_t mtu)
{
	unsigned int i;

	memset(m, 0, sizeof(*m));
	if (error == EMSGSIZE && v4) {
		m->type = ICMP4_UNREACH;
		m->code = ICMP4_UNREACH_NEEDFRAG;
		m->rest = mtu ? MIN(MAX(mtu, MTU4_MIN), UINT16_MAX) : 0;
		return true;
	}
	if (error == EMSGSIZE) {
		m->type = ICMP6_PACKET_TOO_BIG;
		m->rest = MAX(mtu, MTU6_MIN);
		return true;
	}

	for (i = 0; i < ARRAY_SIZE(unreachable); i++) {
		if (unreachable[i].error != error)
			continue;
		m->type = v4 ? ICMP4_UNREACH : ICMP6_DST_UNREACH;
		m->code = v4 ? unreachable[i].code4 : unreachable[i].code6;
		return true;
	}
	return false;
}

/**
 * allowed() - Take a token for one more error (RFC 4443 2.4 (f))
 * @i:		ICMP
 * @now:	ms
 *
 * Return: false if there is none, counted
 */
static bool allowed(struct icmp *i, uint64_t now)
{
	uint64_t fresh = (now - i->refilled) * ICMP_ERROR_RATE / SEC;

	if (fresh) {
		i->tokens = (unsigned int)MIN(i->tokens + fresh,
					      ICMP_ERROR_BURST);
		i->refilled = now;
	}
	if (!i->tokens) {
		i->count[ICMP_LIMITED]++;
		return false;
	}
	i->tokens--;
	return true;
}

/**
 * source() - Who speaks, where that was not said
 * @i:		ICMP
 * @m:		error
 * @q:		packet it is about
 *
 * A closed port is reported by the host that has it, anything else by us, as
 * the guest's router.
 */
static struct in6_addr source(const struct icmp *i, const struct message *m,
			      const struct quote *q)
{
	bool v4 = addr_is_v4(&q->dst);
	const struct in6_addr *own = v4 ? &i->tap->own4 : &i->tap->own6;
	uint8_t port = v4 ? ICMP4_UNREACH_PORT : ICMP6_DST_UNREACH_NOPORT;
	uint8_t type = v4 ? ICMP4_UNREACH : ICMP6_DST_UNREACH;

	if (addr_is_none(own) || (m->type == type && m->code == port))
		return q->dst;
	return *own;
}

/**
 * send_error() - Send an error to the guest, if there may be one
 * @i:		ICMP
 * @m:		what it says
 * @from:	source, NULL: see source()
 * @q:		the packet it is about
 * @now:	ms
 *
 * There is none for what was sent to or from more than one host (RFC 1812
 * 4.3.2.7, RFC 4443 2.4 (e)).
 */
static void send_error(struct icmp *i, const struct message *m,
		       const struct in6_addr *from, const struct quote *q,
		       uint64_t now)
{
	bool v4 = addr_is_v4(&q->dst);
	uint8_t buf[ICMP_HLEN + sizeof(q->data)] = { m->type, m->code };
	struct tap_ip ip = {
		.src = from ? *from : source(i, m, q),
		.dst = q->src,
		.proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		.tos = v4 ? ERROR4_TOS : 0,
	};
	size_t len = q->len;

	if (!addr_is_unicast(&q->src) || !addr_is_unicast(&q->dst) ||
	    !allowed(i, now))
		return;

	if (v4)
		len = MIN(len, ERROR4_MAX - IP4_HLEN - ICMP_HLEN);
	put_be32(buf + 4, m->rest);
	memcpy(buf + ICMP_HLEN, q->data, len);
	if (!tap_ip_send(i->tap, &ip, buf, ICMP_HLEN + len))
		i->count[ICMP_ERRORS]++;
}

/* put_ip4() - The IPv4 header as the guest will have written it */
static void put_ip4(uint8_t *p, const struct quote *q, size_t total)
{
	struct in_addr src = addr_v4(&q->src), dst = addr_v4(&q->dst);
	uint16_t check;

	memset(p, 0, IP4_HLEN);
	p[0] = 0x45;
	put_be16(p + 2, (uint16_t)(IP4_HLEN + total));
	put_be16(p + 6, IP_DF);
	p[8] = TAP_TTL;
	p[9] = q->proto;
	memcpy(p + 12, &src, sizeof(src));
	memcpy(p + 16, &dst, sizeof(dst));
	check = csum_ip4(p, IP4_HLEN);
	memcpy(p + 10, &check, sizeof(check));
}

/* put_ip6() - The IPv6 header as the guest will have written it */
static void put_ip6(uint8_t *p, const struct quote *q, size_t total)
{
	memset(p, 0, IP6_HLEN);
	p[0] = 6 << 4;
	put_be16(p + 4, (uint16_t)total);
	p[6] = q->proto;
	p[7] = TAP_TTL;
	memcpy(p + 8, &q->src, sizeof(q->src));
	memcpy(p + 24, &q->dst, sizeof(q->dst));
}

/* put_l4() - The 8 bytes by which a guest finds the socket concerned */
static void put_l4(uint8_t *p, const struct icmp_quote *q)
{
	memset(p, 0, ICMP_HLEN);
	if (q->key->proto == IPPROTO_ICMP || q->key->proto == IPPROTO_ICMPV6) {
		p[0] = q->key->proto == IPPROTO_ICMP ? ICMP4_ECHO_REQUEST :
						       ICMP6_ECHO_REQUEST;
		put_be16(p + 4, q->key->gport);
		return;
	}
	put_be16(p, q->key->gport);
	put_be16(p + 2, q->key->rport);
	if (q->key->proto == IPPROTO_UDP)
		put_be16(p + 4, (uint16_t)q->total);
}

/* quote_key() - Rebuild the start of a packet from what is known of it */
static void quote_key(struct quote *q, const struct icmp_quote *from)
{
	bool v4 = addr_is_v4(&from->key->remote);
	size_t hlen = v4 ? IP4_HLEN : IP6_HLEN, len;

	q->src = from->key->guest;
	q->dst = from->key->remote;
	q->proto = from->key->proto;
	if (v4)
		put_ip4(q->data, q, from->total);
	else
		put_ip6(q->data, q, from->total);

	len = MIN(from->len, sizeof(q->data) - hlen);
	if (from->l4) {
		memcpy(q->data + hlen, from->l4, len);
	} else {
		put_l4(q->data + hlen, from);
		len = ICMP_HLEN;
	}
	q->len = hlen + len;
}

/**
 * icmp_error() - Tell the guest of an error, with its packet rebuilt
 * @i:		ICMP
 * @error:	errno, positive
 * @from:	source, NULL: not known; the host that was asked if its port is
 *		closed, else the guest's router
 * @mtu:	for EMSGSIZE, bytes, 0: not known
 * @q:		what is known of the packet
 * @now:	ms
 *
 * Return: false if @error stands for no ICMP error. If true it was sent, or
 *	   held back as the rate limit or RFC 1812 4.3.2.7 want it
 */
bool icmp_error(struct icmp *i, int error, const struct in6_addr *from,
		uint32_t mtu, const struct icmp_quote *q, uint64_t now)
{
	struct message m;
	struct quote quote;

	if (!set_message(&m, error, addr_is_v4(&q->key->remote), mtu))
		return false;
	quote_key(&quote, q);
	send_error(i, &m, from, &quote, now);
	return true;
}

/* is_error() - Whether a packet is an ICMP error, which never causes one */
static bool is_error(const struct pkt *pkt)
{
	if (pkt->proto == IPPROTO_ICMPV6)
		return !(pkt->l4[0] & ICMP6_INFOMSG_MASK);
	return pkt->proto == IPPROTO_ICMP && pkt->l4[0] != ICMP4_ECHO_REQUEST;
}

/**
 * icmp_error_pkt() - Tell the guest of an error, with its packet at hand
 * @i:		ICMP
 * @error:	errno, positive
 * @from:	as for icmp_error()
 * @mtu:	likewise
 * @pkt:	packet
 * @now:	ms
 *
 * Return: as icmp_error()
 */
bool icmp_error_pkt(struct icmp *i, int error, const struct in6_addr *from,
		    uint32_t mtu, const struct pkt *pkt, uint64_t now)
{
	size_t hlen = pkt->l3len + (size_t)pkt->l4len;
	struct message m;
	struct quote q = {
		.src = pkt->src, .dst = pkt->dst, .proto = pkt->proto,
	};

	if (!set_message(&m, error, addr_is_v4(&pkt->dst), mtu))
		return false;
	if (is_error(pkt))
		return true;

	memcpy(q.data, pkt->l3, hlen);		/* at most PKT_HDR_MAX */
	q.len = hlen + pkt_copy(pkt, q.data + hlen, sizeof(q.data) - hlen);
	send_error(i, &m, from, &q, now);
	return true;
}
