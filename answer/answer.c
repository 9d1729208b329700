// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * answer.c - What the answering services share: their start, what happens to
 * them, and the way out for those that use UDP. Called by passt.c and by the
 * services; calls tap.c and flow/timer.c.
 */
#include "answer/answer.h"

/**
 * answer_init() - Prepare the services
 * @a:		their state
 * @tap:	where replies go
 * @lease:	what is handed out; may change afterwards
 * @timers:	the program's timers
 * @timer_type:	what passt.c knows our timer by
 */
void answer_init(struct answer *a, struct tap *tap, const struct lease *lease,
		 struct timers *timers, uint8_t timer_type)
{
	*a = (struct answer){ .tap = tap, .lease = lease, .timers = timers };
	timer_init(&a->ra, timer_type);
}

/**
 * answer_guest_up() - A guest has connected: begin to advertise (RFC 4861
 *		6.2.4), after the pause that 6.2.6 asks for before an answer
 * @a:		state of the services
 * @now:	ms
 */
void answer_guest_up(struct answer *a, uint64_t now)
{
	a->ra_sent = 0;
	if (a->lease->ndp && a->lease->ra)
		timer_arm(a->timers, &a->ra, now + ANSWER_RA_DELAY);
}

/**
 * answer_ll() - Our link-local IPv6 address
 * @a:		state of the services
 *
 * Router advertisements must have a link-local source (RFC 4861 6.1.2) even
 * if the gateway that was given to us is of global scope. It is not made from
 * our MAC: that may be the guest's as well.
 *
 * Return: the gateway's address where that will do, else fe80::1
 */
struct in6_addr answer_ll(const struct answer *a)
{
	if (IN6_IS_ADDR_LINKLOCAL(&a->lease->router[IP6]))
		return a->lease->router[IP6];
	return (struct in6_addr){ .s6_addr = { 0xfe, 0x80, [15] = 1 } };
}

/**
 * answer_udp_init() - Begin a UDP message
 * @w:		set to an empty message, after room for the UDP header
 * @buf:	to build it in
 * @size:	of @buf, bytes
 */
void answer_udp_init(struct msgbuf *w, uint8_t *buf, size_t size)
{
	*w = (struct msgbuf){ .buf = buf, .size = size };
	msgbuf_zero(w, UDP_HLEN);
}

/**
 * answer_udp_send() - Send a UDP message to the guest
 * @a:		state of the services
 * @ip:		addresses; the rest is set here
 * @sport:	source port, host order
 * @dport:	destination port, host order
 * @w:		message from answer_udp_init()
 */
void answer_udp_send(struct answer *a, struct ip_hdr *ip, uint16_t sport,
		     uint16_t dport, struct msgbuf *w)
{
	ip->proto = IPPROTO_UDP;
	udp_hdr_put(w->buf, sport, dport, w->len);
	tap_ip_send(a->tap, ip, w->buf, w->len);
}
