// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * relay.c - Relays ICMP errors of the network to the guest. The kernel keeps
 * them in a socket's error queue (IP_RECVERR in ip(7)).
 */
#include <netinet/icmp6.h>
#include <string.h>

#include "checksum.h"
#include "forward/nat.h"
#include "icmp/error_priv.h"

/* can_relay() - Whether an error can go to the guest with the same type and
 * code: it came from the network, and its type is one that current hosts and
 * routers send */
static bool can_relay(const struct sock_error *s, bool v4)
{
	if (!s->from_network)
		return false;
	if (v4)
		return s->type == ICMP4_UNREACH ||
		       s->type == ICMP4_TIME_EXCEEDED ||
		       s->type == ICMP4_PARAM_PROB;
	return s->type >= ICMP6_DST_UNREACH && s->type <= ICMP6_PARAM_PROB;
}

/* ttl_expired() - Whether an error says that the guest's packet ran out of TTL
 * on its path */
static bool ttl_expired(const struct icmp_message *m, bool v4)
{
	return !m->code && m->type == (v4 ? ICMP4_TIME_EXCEEDED :
					    ICMP6_TIME_EXCEEDED);
}

/* relayed_rest() - Return the second word of the ICMP header for an error that
 * keeps its type and code */
static uint32_t relayed_rest(const struct sock_error *s, bool v4)
{
	if (v4 ? s->type == ICMP4_UNREACH && s->code == ICMP4_UNREACH_NEEDFRAG :
		 s->type == ICMP6_PACKET_TOO_BIG)
		return icmp_message_mtu(v4, s->info);
	if (v4)		/* RFC 792: the pointer has 8 bits */
		return s->type == ICMP4_PARAM_PROB ? s->info << 24 : 0;
	return s->type == ICMP6_PARAM_PROB ? s->info : 0;
}

/* set_message() - Fill in the ICMP header of the error for the guest; return
 * false if the guest should get no error */
static bool set_message(struct icmp_message *m, const struct sock_error *s,
			bool v4)
{
	if (can_relay(s, v4)) {
		m->type = s->type;
		m->code = s->code;
		m->rest = relayed_rest(s, v4);
	} else if (!icmp_message_from_errno(m, s->error, v4, s->info)) {
		return false;
	}
	m->ttl = s->ttl;
	return true;
}

/**
 * error_sender() - Find the guest-visible address of an error's sender
 * @s:		error
 * @key:	key of the flow that the error is about
 * @from:	on success, set to the address
 *
 * If the peer itself sent the error, the address is the one in @key. That may
 * be the address of --dns-forward, which nat_to_guest() does not return for the
 * peer. If the host sent the error, and host and guest have the same address,
 * the sender would be the guest itself; then this function fails.
 *
 * Return: false if the sender has no guest-visible address, or if its address
 *	   is the guest's own
 */
static bool error_sender(const struct icmp_errors *e,
			 const struct sock_error *s, const struct flow_key *key,
			 struct in6_addr *from)
{
	struct in6_addr seen;

	if (addr_is_none(&s->from) ||
	    addr_is_v4(&s->from) != addr_is_v4(&key->peer))
		return false;
	if (addr_eq(&s->from, &s->dest))
		seen = key->peer;
	else if (!nat_to_guest(e->net, &s->from, &seen))
		return false;
	if (!addr_is_unicast(&seen) || addr_eq(&seen, &key->guest))
		return false;
	*from = seen;
	return true;
}

/* restore_echo_id() - In an echo request that an error quotes, replace the
 * identifier of the ping socket by the one that the guest used */
static void restore_echo_id(uint8_t *l4, uint16_t id)
{
	uint16_t check, old, new = htons(id);

	memcpy(&check, l4 + 2, sizeof(check));
	memcpy(&old, l4 + 4, sizeof(old));
	check = csum_update16(check, old, new);
	memcpy(l4 + 2, &check, sizeof(check));
	memcpy(l4 + 4, &new, sizeof(new));
}

/**
 * rebuild_l4() - Rebuild the transport header and payload of the guest's packet
 * @l4:		filled; it has UDP_HLEN + SOCK_ERROR_DATA bytes
 * @s:		error, with the bytes of the packet that it quotes
 * @q:		what is known of the packet; this function sets @q->l4, @q->len
 *		and @q->total
 *
 * Return: false if the error of a ping socket quotes less than an ICMP header
 */
static bool rebuild_l4(uint8_t *l4, const struct sock_error *s,
		       struct icmp_quote *q)
{
	const struct flow_key *key = q->key;
	bool udp = key->proto == IPPROTO_UDP;
	size_t hlen = udp ? UDP_HLEN : 0;

	if (!udp && s->len < ICMP_HLEN)
		return false;
	q->l4 = l4;
	q->len = hlen + s->len;
	q->total = MAX(q->total, q->len);
	memcpy(l4 + hlen, s->data, s->len);
	if (!udp) {
		restore_echo_id(l4, key->gport);
		return true;
	}
	udp_hdr_put(l4, key->gport, key->pport, q->total);
	return true;
}

/**
 * icmp_error_relay() - Tell the guest of an error that a socket reported
 * @s:		error of a UDP, ping or connecting TCP socket
 * @q:		what is known of the guest's packet; if @q->l4 is NULL, the
 *		transport header and payload are rebuilt from @q->key and the
 *		bytes that the error quotes
 *
 * An ICMP message from the network keeps its type, code, MTU and pointer, and
 * its source is the router that sent it. If can_relay() rules out its type, or
 * if the host's kernel itself refused the packet, the guest gets the error that
 * icmp_error() would make from the errno.
 */
void icmp_error_relay(struct icmp_errors *e, const struct sock_error *s,
		      const struct icmp_quote *q, uint64_t now)
{
	uint8_t l4[UDP_HLEN + SOCK_ERROR_DATA];
	struct icmp_quote quote = *q;
	struct icmp_message m = { 0 };
	struct icmp_packet p;
	struct in6_addr from;
	bool v4 = addr_is_v4(&q->key->peer);

	if (!set_message(&m, s, v4) || (!q->l4 && !rebuild_l4(l4, s, &quote)))
		return;
	if (ttl_expired(&m, v4))
		quote.ttl = 1;
	icmp_quote_rebuild(&p, &quote);
	icmp_message_send(e, &m,
			  error_sender(e, s, q->key, &from) ? &from : NULL, &p,
			  now);
}
