// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * report.c - What a socket's error queue says (IP_RECVERR in ip(7)) goes on to
 * the guest as the network sent it.
 */
#include <netinet/icmp6.h>
#include <string.h>

#include "checksum.h"
#include "icmp/error.h"

/* can_pass() - Whether a message goes on as it is: errors of today's hosts */
static bool can_pass(const struct sock_error *e, bool v4)
{
	if (!e->from_network)
		return false;
	if (v4)
		return e->type == ICMP4_UNREACH ||
		       e->type == ICMP4_TIME_EXCEEDED ||
		       e->type == ICMP4_PARAM_PROB;
	return e->type >= ICMP6_DST_UNREACH && e->type <= ICMP6_PARAM_PROB;
}

/* expired() - Whether the guest's packet ran out of TTL on its way */
static bool expired(const struct icmp_message *m, bool v4)
{
	return !m->code && m->type == (v4 ? ICMP4_TIME_EXCEEDED :
					    ICMP6_TIME_EXCEEDED);
}

/* rest() - Second word of the header of a message that goes on as it is */
static uint32_t rest(const struct sock_error *e, bool v4)
{
	if (v4 ? e->type == ICMP4_UNREACH && e->code == ICMP4_UNREACH_NEEDFRAG :
		 e->type == ICMP6_PACKET_TOO_BIG)
		return icmp_mtu(v4, e->info);
	if (v4)		/* RFC 792: the pointer has 8 bits */
		return e->type == ICMP4_PARAM_PROB ? e->info << 24 : 0;
	return e->type == ICMP6_PARAM_PROB ? e->info : 0;
}

/**
 * set_message() - What the guest is told
 * @m:		filled
 * @e:		report
 * @v4:		of IPv4
 *
 * Return: false if nothing can be
 */
static bool set_message(struct icmp_message *m, const struct sock_error *e,
			bool v4)
{
	if (can_pass(e, v4)) {
		m->type = e->type;
		m->code = e->code;
		m->rest = rest(e, v4);
	} else if (!icmp_errno(m, e->error, v4, e->info)) {
		return false;
	}
	m->ttl = e->ttl;
	return true;
}

/**
 * sender() - The address that an error comes from, as the guest knows it
 * @i:		ICMP
 * @e:		report
 * @key:	flow that it is about
 * @from:	set on success only
 *
 * The host that was asked may go by an address that only this flow has for it
 * (--dns-forward). An error of our host comes from the guest's own address if
 * they share it.
 *
 * Return: false if there is none, or the guest has it itself
 */
static bool sender(const struct icmp *i, const struct sock_error *e,
		   const struct flow_key *key, struct in6_addr *from)
{
	struct in6_addr seen;

	if (addr_is_none(&e->from) ||
	    addr_is_v4(&e->from) != addr_is_v4(&key->remote))
		return false;
	if (addr_eq(&e->from, &e->dest))
		seen = key->remote;
	else if (!nat_to_guest(&i->fwd->map, &e->from, &seen))
		return false;
	if (!addr_is_unicast(&seen) || addr_eq(&seen, &key->guest))
		return false;
	*from = seen;
	return true;
}

/**
 * echo_back() - Make what came back of an echo request the guest's again
 * @l4:		ICMP header
 * @id:		identifier of the guest, host order
 */
static void echo_back(uint8_t *l4, uint16_t id)
{
	uint16_t check, old, new = htons(id);

	memcpy(&check, l4 + 2, sizeof(check));
	memcpy(&old, l4 + 4, sizeof(old));
	check = csum_update16(check, old, new);
	memcpy(l4 + 2, &check, sizeof(check));
	memcpy(l4 + 4, &new, sizeof(new));
}

/**
 * put_back() - The transport header and payload of the guest's packet
 * @l4:		filled: UDP_HLEN + SOCK_ERROR_DATA bytes
 * @e:		report
 * @q:		what is known of the packet; @q->len and @q->total are set
 *
 * Return: false if too little came back to tell
 */
static bool put_back(uint8_t *l4, const struct sock_error *e,
		     struct icmp_quote *q)
{
	const struct flow_key *key = q->key;
	bool udp = key->proto == IPPROTO_UDP;
	size_t hlen = udp ? UDP_HLEN : 0;

	if (!udp && e->len < ICMP_HLEN)
		return false;
	q->l4 = l4;
	q->len = hlen + e->len;
	q->total = MAX(q->total, q->len);
	memcpy(l4 + hlen, e->data, e->len);
	if (!udp) {
		echo_back(l4, key->gport);
		return true;
	}
	udp_hdr_put(l4, key->gport, key->rport, q->total);
	return true;
}

/**
 * icmp_report_send() - Tell the guest of an error that a socket was told of
 * @i:		ICMP
 * @e:		report; of UDP, or of a ping socket
 * @q:		what is known of the guest's packet: without @q->l4 it is
 *		rebuilt, with what came back of it
 * @now:	ms
 *
 * The message goes on as it came, with its type, code and MTU, from the router
 * that sent it; what can't, and what the host's kernel said itself, as
 * icmp_error() has it.
 */
void icmp_report_send(struct icmp *i, const struct sock_error *e,
		      const struct icmp_quote *q, uint64_t now)
{
	uint8_t l4[UDP_HLEN + SOCK_ERROR_DATA];
	struct icmp_quote quote = *q;
	struct icmp_message m = { 0 };
	struct icmp_packet p;
	struct in6_addr from;
	bool v4 = addr_is_v4(&q->key->remote);

	if (!set_message(&m, e, v4) || (!q->l4 && !put_back(l4, e, &quote)))
		return;
	if (expired(&m, v4))
		quote.ttl = 1;
	icmp_rebuild(&p, &quote);
	icmp_send(i, &m, sender(i, e, q->key, &from) ? &from : NULL, &p, now);
}
