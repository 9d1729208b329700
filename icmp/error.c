// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * error.c - Makes ICMP and ICMPv6 errors for the guest from an errno. The rate
 * limit and the choice of the source address, which are the same for all errors
 * to the guest, are here, too.
 */
#include <errno.h>
#include <netinet/icmp6.h>
#include <string.h>

#include "icmp/error_priv.h"

/* IPv4 type of service of errors: precedence "internetwork control" (RFC 1812
 * 4.3.2.5). */
#define ERROR4_TOS	0xc0

const char *const icmp_error_counter_name[ICMP_ERROR_COUNTERS] = {
	[ICMP_ERRORS]		= "icmp_errors",
	[ICMP_LIMITED]		= "icmp_limited",
};

/* Codes of Destination Unreachable for the errnos that sockets return. If the
 * kernel makes an errno from received ICMP errors, the code beside the errno is
 * that of such an error (icmp_err_convert[] in net/ipv4/icmp.c, tab_unreach[]
 * in net/ipv6/icmp.c). EADDRNOTAVAIL and ENODEV mean that the host lacks the
 * address of --outbound, or the interface of --outbound-if4 or --outbound-if6:
 * no packet can leave the host then. */
static const struct {
	int error;
	uint8_t code4, code6;
} unreachable[] = {
	{ ENETUNREACH, ICMP4_UNREACH_NET, ICMP6_DST_UNREACH_NOROUTE },
	{ ENETDOWN, ICMP4_UNREACH_NET, ICMP6_DST_UNREACH_NOROUTE },
	{ EADDRNOTAVAIL, ICMP4_UNREACH_NET, ICMP6_DST_UNREACH_NOROUTE },
	{ ENODEV, ICMP4_UNREACH_NET, ICMP6_DST_UNREACH_NOROUTE },
	{ EHOSTUNREACH, ICMP4_UNREACH_HOST, ICMP6_DST_UNREACH_ADDR },
	{ EHOSTDOWN, ICMP4_UNREACH_UNKNOWN, ICMP6_DST_UNREACH_ADDR },
	{ ENONET, ICMP4_UNREACH_ISOLATED, ICMP6_DST_UNREACH_ADDR },
	{ ECONNREFUSED, ICMP4_UNREACH_PORT, ICMP6_DST_UNREACH_NOPORT },
	{ EACCES, ICMP4_UNREACH_ADMIN, ICMP6_DST_UNREACH_ADMIN },
	{ EPERM, ICMP4_UNREACH_ADMIN, ICMP6_DST_UNREACH_ADMIN },
};

/**
 * icmp_errors_init() - Start with a rate limit that allows a full burst of
 * errors
 * @e:		ICMP errors; the caller has set @tap and @net
 */
void icmp_errors_init(struct icmp_errors *e)
{
	e->tokens = ICMP_ERROR_BURST;
	e->refilled = 0;
	random_bytes(&e->secret, sizeof(e->secret));
	icmp_errors_forget(e);
	memset(e->count, 0, sizeof(e->count));
}

/**
 * icmp_errors_forget() - Forget which MTUs the guest knows, and how often the
 * guest's MTU was probed, because the guest has left
 */
void icmp_errors_forget(struct icmp_errors *e)
{
	memset(e->mtu, 0, sizeof(e->mtu));
	e->probe_at = ICMP_PROBE_FIRST;
}

/**
 * icmp_message_mtu() - Make the header field with the MTU, for an ICMP error to
 * the guest
 * @v4:		the error goes over IPv4
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
 * icmp_message_from_errno() - Find the ICMP error that an errno stands for
 * @m:		filled
 * @error:	errno, positive
 * @v4:		the error goes over IPv4
 * @mtu:	if @error is EMSGSIZE, MTU in bytes, 0: not known
 *
 * Return: false if @error stands for no ICMP error
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

/* take_token() - Apply the rate limit to one error (RFC 4443 2.4 (f)). Return
 * true if the error may be sent, which uses up one of the allowed errors.
 * Otherwise count the error as suppressed and return false */
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

/* error_source() - Choose the source address of an error whose sender is not
 * known: the peer's if the error says that the peer's port is closed, else that
 * of the guest's router */
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
 * icmp_message_send() - Send an error to the guest, unless the rate limit or an
 * RFC forbids that
 * @m:		type, code and second word of the error
 * @from:	guest-visible source address; NULL: error_source() chooses it
 * @p:		packet that the error is about
 *
 * No error is sent about a packet from or to a multicast or broadcast address
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
 * icmp_error() - Tell the guest of an error about a packet that is no longer in
 * memory
 * @error:	errno, positive
 * @from:	guest-visible source address; NULL: error_source() chooses it
 * @mtu:	for EMSGSIZE, the MTU in bytes, 0: not known
 * @q:		what is known of the packet, to quote it
 *
 * Return: false if @error stands for no ICMP error; else true, even if the rate
 *	   limit or an RFC forbids the error
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

/* is_error_packet() - Whether a packet may be an ICMP error, which must not
 * cause another ICMP error */
static bool is_error_packet(const struct pkt *pkt)
{
	if (pkt->proto == IPPROTO_ICMPV6)
		return !(pkt->l4[0] & ICMP6_INFOMSG_MASK);
	return pkt->proto == IPPROTO_ICMP && pkt->l4[0] != ICMP4_ECHO_REQUEST;
}

/**
 * icmp_error_pkt() - Tell the guest of an error about a packet that is still in
 * memory
 * @error:	errno, positive
 * @mtu:	for EMSGSIZE, the MTU in bytes, 0: not known
 *
 * Return: false if @error stands for no ICMP error; else true, even if the rate
 *	   limit or an RFC forbids the error
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

	memcpy(p.data, pkt->l3, hlen);		/* hlen <= PKT_HDR_MAX */
	if (pkt->csum_partial) {
		check = pkt_csum(pkt);
		memcpy(p.data + pkt->l3len + l4_csum_offset(pkt->proto),
		       &check, sizeof(check));
	}
	p.len = hlen + pkt_copy(pkt, p.data + hlen, sizeof(p.data) - hlen);
	icmp_message_send(e, &m, NULL, &p, now);
	return true;
}

/**
 * icmp_error_too_big() - Tell the guest that a packet with DF is longer than
 * the MTU on its path
 * @mtu:	bytes, 0: not known
 * @pkt:	packet, which the host's kernel refused
 *
 * The MTU that passt announces to the guest is usually larger than that of the
 * host's interface. On a real network, a router would drop a packet that is too
 * long. But here the caller can send the packet without DF, and the guest
 * learns the MTU before it sends its next packet.
 *
 * Return: true if the guest was not told an MTU for this destination in the
 *	   last ICMP_MTU_KNOWN ms. The caller should then send the packet in
 *	   fragments
 */
bool icmp_error_too_big(struct icmp_errors *e, uint32_t mtu,
			const struct pkt *pkt, uint64_t now)
{
	uint64_t hash = siphash(&e->secret, &pkt->dst, sizeof(pkt->dst));
	struct icmp_mtu *m = &e->mtu[hash % ICMP_MTUS];
	bool known = addr_eq(&m->dst, &pkt->dst) && now < m->until;
	uint64_t sent = e->count[ICMP_ERRORS];

	icmp_error_pkt(e, EMSGSIZE, mtu, pkt, now);
	if (e->count[ICMP_ERRORS] != sent)	/* the error was sent */
		*m = (struct icmp_mtu){ pkt->dst, now + ICMP_MTU_KNOWN };
	return !known;
}
