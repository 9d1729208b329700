// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * error.c - ICMP and ICMPv6 errors to the guest that passt makes from an errno,
 * and the rate limit and source address of all errors.
 */
#include <errno.h>
#include <netinet/icmp6.h>
#include <string.h>

#include "icmp/error_priv.h"

/* Precedence of errors: internetwork control (RFC 1812 4.3.2.5). */
#define ERROR4_TOS	0xc0

const char *const icmp_error_counter_name[ICMP_ERROR_COUNTERS] = {
	[ICMP_ERRORS]		= "icmp_errors",
	[ICMP_LIMITED]		= "icmp_limited",
};

/* What the host's errors about a destination mean: the codes from which the
 * kernel makes them (net/ipv4/icmp.c, net/ipv6/icmp.c). */
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
 * icmp_errors_init() - Start with a full token bucket
 * @e:		errors, with @tap and @fwd set
 */
void icmp_errors_init(struct icmp_errors *e)
{
	e->tokens = ICMP_ERROR_BURST;
	e->refilled = 0;
	memset(e->count, 0, sizeof(e->count));
}

/**
 * icmp_message_mtu() - The MTU that the guest is told, as a message has it
 * @v4:		for IPv4
 * @mtu:	bytes, 0: not known
 *
 * Return: second word of the header, host order (RFC 1191 4, RFC 4443 3.2)
 */
uint32_t icmp_message_mtu(bool v4, uint32_t mtu)
{
	if (!v4)
		return MAX(mtu, IP6_MTU_MIN);
	return mtu ? MIN(MAX(mtu, IP4_MTU_MIN), UINT16_MAX) : 0;
}

/**
 * icmp_message_from_errno() - The ICMP error that an errno means
 * @m:		filled
 * @error:	errno, positive
 * @v4:		for IPv4
 * @mtu:	for EMSGSIZE, 0: not known
 *
 * Return: false if it means none
 */
bool icmp_message_from_errno(struct icmp_message *m, int error, bool v4,
			     uint32_t mtu)
{
	unsigned int i;

	memset(m, 0, sizeof(*m));
	if (error == EMSGSIZE) {
		m->type = v4 ? ICMP4_UNREACH : ICMP6_PACKET_TOO_BIG;
		m->code = v4 ? ICMP4_UNREACH_NEEDFRAG : 0;
		m->rest = icmp_message_mtu(v4, mtu);
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

/* take_token() - Whether one more error may be sent (RFC 4443 2.4 (f)); counts
 * it if not */
static bool take_token(struct icmp_errors *e, uint64_t now)
{
	uint64_t fresh = (now - e->refilled) * ICMP_ERROR_RATE / SEC;

	if (fresh) {
		e->tokens = (unsigned int)MIN(e->tokens + fresh,
					      ICMP_ERROR_BURST);
		e->refilled = now;
	}
	if (!e->tokens) {
		e->count[ICMP_LIMITED]++;
		return false;
	}
	e->tokens--;
	return true;
}

/* error_source() - Source of an error whose sender is not known: the peer if
 * its port is closed, else the guest's router */
static struct in6_addr error_source(const struct icmp_errors *e,
				    const struct icmp_message *m,
				    const struct icmp_packet *p)
{
	bool v4 = addr_is_v4(&p->dst);
	const struct in6_addr *router = &e->net->lease.router[addr_ip(&p->dst)];
	uint8_t port = v4 ? ICMP4_UNREACH_PORT : ICMP6_DST_UNREACH_NOPORT;
	uint8_t type = v4 ? ICMP4_UNREACH : ICMP6_DST_UNREACH;

	if (addr_is_none(router) || (m->type == type && m->code == port))
		return p->dst;
	return *router;
}

/**
 * icmp_message_send() - Send an error to the guest, if there may be one
 * @m:		what it says
 * @from:	guest-visible source, NULL: see error_source()
 * @p:		the packet it is about
 *
 * No error is sent about a packet from or to a group or broadcast address
 * (RFC 1812 4.3.2.7, RFC 4443 2.4 (e)).
 */
void icmp_message_send(struct icmp_errors *e, const struct icmp_message *m,
		       const struct in6_addr *from,
		       const struct icmp_packet *p, uint64_t now)
{
	bool v4 = addr_is_v4(&p->dst);
	uint8_t buf[ICMP_HLEN + sizeof(p->data)] = { m->type, m->code };
	struct ip_hdr ip = {
		.src = from ? *from : error_source(e, m, p),
		.dst = p->src,
		.proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		.ttl = m->ttl, .tos = v4 ? ERROR4_TOS : 0,
	};
	size_t len = p->len;

	if (!addr_is_unicast(&p->src) || !addr_is_unicast(&p->dst) ||
	    !take_token(e, now))
		return;

	if (v4)
		len = MIN(len, ERROR4_MAX - IP4_HLEN - ICMP_HLEN);
	put_be32(buf + 4, m->rest);
	memcpy(buf + ICMP_HLEN, p->data, len);
	if (!tap_ip_send(e->tap, &ip, buf, ICMP_HLEN + len))
		e->count[ICMP_ERRORS]++;
}

/**
 * icmp_error() - Tell the guest of an error, with its packet rebuilt
 * @error:	errno, positive
 * @from:	guest-visible source, NULL: not known; the peer if its port is
 *		closed, else the guest's router
 * @mtu:	for EMSGSIZE, bytes, 0: not known
 * @q:		what is known of the packet
 *
 * Return: false if @error means no ICMP error. True: it was sent, or withheld
 *	   by the rate limit or RFC 1812 4.3.2.7
 */
bool icmp_error(struct icmp_errors *e, int error, const struct in6_addr *from,
		uint32_t mtu, const struct icmp_quote *q, uint64_t now)
{
	struct icmp_message m;
	struct icmp_packet p;

	if (!icmp_message_from_errno(&m, error, addr_is_v4(&q->key->peer),
				     mtu))
		return false;
	icmp_quote_rebuild(&p, q);
	icmp_message_send(e, &m, from, &p, now);
	return true;
}

/* is_error_packet() - An ICMP error must not cause another one */
static bool is_error_packet(const struct pkt *pkt)
{
	if (pkt->proto == IPPROTO_ICMPV6)
		return !(pkt->l4[0] & ICMP6_INFOMSG_MASK);
	return pkt->proto == IPPROTO_ICMP && pkt->l4[0] != ICMP4_ECHO_REQUEST;
}

/**
 * icmp_error_pkt() - Tell the guest of an error, with its packet at hand
 * @error:	errno, positive
 * @mtu:	for EMSGSIZE, bytes, 0: not known
 *
 * Return: as icmp_error()
 */
bool icmp_error_pkt(struct icmp_errors *e, int error, uint32_t mtu,
		    const struct pkt *pkt, uint64_t now)
{
	size_t hlen = pkt->l3len + (size_t)pkt->l4len;
	struct icmp_message m;
	struct icmp_packet p = {
		.src = pkt->src, .dst = pkt->dst, .proto = pkt->proto,
	};
	uint16_t check;

	if (!icmp_message_from_errno(&m, error, addr_is_v4(&pkt->dst), mtu))
		return false;
	if (is_error_packet(pkt))
		return true;

	memcpy(p.data, pkt->l3, hlen);		/* at most PKT_HDR_MAX */
	if (pkt->csum_partial) {
		check = pkt_csum(pkt);
		memcpy(p.data + pkt->l3len + l4_csum_offset(pkt->proto),
		       &check, sizeof(check));
	}
	p.len = hlen + pkt_copy(pkt, p.data + hlen, sizeof(p.data) - hlen);
	icmp_message_send(e, &m, NULL, &p, now);
	return true;
}
