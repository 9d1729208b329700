// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * report.c - Errors off the error queue of a socket (IP_RECVERR in ip(7)), as
 * the network sent them, and on to the guest.
 * Called by icmp.c, TCP and UDP through icmp.h; calls forward.c, quote.c,
 * error.c and sockets.
 */
#include <errno.h>
#include <time.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>

#include "checksum.h"
#include "icmp/error.h"

/* Room for all that a socket may have asked to be told with its datagrams:
 * the kernel tells that with errors as well, and before what they are. */
#define CONTROL_MAX	512

/**
 * struct extended_err - What the kernel says of an error, and who sent it
 * @e:		the error
 * @from:	SO_EE_OFFENDER(@e): follows it
 */
struct extended_err {
	struct sock_extended_err e;
	union sockaddr_any from;
};

/**
 * icmp_report_on() - Ask for a socket's errors in full
 * @fd:		socket
 * @v4:		it is of IPv4; else of IPv6, and of IPv4 if it serves both
 *
 * Return: 0, or -errno
 */
int icmp_report_on(int fd, bool v4)
{
	int one = 1;

	if (setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one)) && v4)
		return -errno;
	if (!v4 && setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &one,
			      sizeof(one)))
		return -errno;
	return 0;
}

/**
 * read_error() - What a control message says of an error
 * @r:		filled
 * @c:		IP_RECVERR or IPV6_RECVERR
 */
static void read_error(struct icmp_report *r, const struct cmsghdr *c)
{
	struct extended_err x = { 0 };
	uint16_t port;

	memcpy(&x, CMSG_DATA(c), MIN(c->cmsg_len - CMSG_LEN(0), sizeof(x)));
	r->error = (int)x.e.ee_errno;
	r->wire = x.e.ee_origin == SO_EE_ORIGIN_ICMP ||
		  x.e.ee_origin == SO_EE_ORIGIN_ICMP6;
	r->type = x.e.ee_type;
	r->code = x.e.ee_code;
	r->info = x.e.ee_info;
	sockaddr_get(&x.from, &r->from, &port);
}

/* read_control() - One control message of a report */
static void read_control(struct icmp_report *r, const struct cmsghdr *c)
{
	int ttl;

	if (c->cmsg_level != IPPROTO_IP && c->cmsg_level != IPPROTO_IPV6)
		return;
	if (c->cmsg_level == IPPROTO_IP ? c->cmsg_type == IP_RECVERR :
					  c->cmsg_type == IPV6_RECVERR)
		read_error(r, c);
	if (c->cmsg_level == IPPROTO_IP ? c->cmsg_type == IP_TTL :
					  c->cmsg_type == IPV6_HOPLIMIT) {
		memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
		r->ttl = (uint8_t)ttl;
	}
}

/**
 * icmp_report_settle() - Forget the pending error of a socket
 * @fd:		socket
 *
 * What it is about waits in the queue, be that long: for who forges ICMP
 * messages it is easy to fill. Each entry taken makes the next one pending, so
 * only after this is the error of a call its own.
 */
void icmp_report_settle(int fd)
{
	socklen_t len = sizeof(int);
	int error;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

/**
 * icmp_report_next() - Take an entry off the error queue of a socket
 * @fd:		socket
 * @r:		filled
 *
 * To call it until it returns false is what EPOLLERR asks for: with the last
 * entry goes the pending error, too, which the kernel leaves alone where an
 * entry found no room.
 *
 * Return: false if there is none
 */
bool icmp_report_next(int fd, struct icmp_report *r)
{
	union {
		char buf[CONTROL_MAX];
		struct cmsghdr c;
	} control;
	union sockaddr_any sa = { .sa.sa_family = AF_UNSPEC };
	struct iovec iov = { .iov_base = r->data, .iov_len = sizeof(r->data) };
	struct msghdr m = {
		.msg_name = &sa, .msg_namelen = sizeof(sa),
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	ssize_t n;

	n = recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
	if (n < 0) {
		icmp_report_settle(fd);
		return false;
	}
	memset(r, 0, offsetof(struct icmp_report, data));
	r->len = (size_t)n;
	sockaddr_get(&sa, &r->dest, &r->port);
	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		read_control(r, c);
	return true;
}

/* can_pass() - Whether a message goes on as it is: errors of today's hosts */
static bool can_pass(const struct icmp_report *r, bool v4)
{
	if (!r->wire)
		return false;
	if (v4)
		return r->type == ICMP4_UNREACH ||
		       r->type == ICMP4_TIME_EXCEEDED ||
		       r->type == ICMP4_PARAM_PROB;
	return r->type >= ICMP6_DST_UNREACH && r->type <= ICMP6_PARAM_PROB;
}

/* expired() - Whether the guest's packet ran out of TTL on its way */
static bool expired(const struct icmp_message *m, bool v4)
{
	return !m->code && m->type == (v4 ? ICMP4_TIME_EXCEEDED :
					    ICMP6_TIME_EXCEEDED);
}

/* rest() - Second word of the header of a message that goes on as it is */
static uint32_t rest(const struct icmp_report *r, bool v4)
{
	if (v4 ? r->type == ICMP4_UNREACH && r->code == ICMP4_UNREACH_NEEDFRAG :
		 r->type == ICMP6_PACKET_TOO_BIG)
		return icmp_mtu(v4, r->info);
	if (v4)		/* RFC 792: the pointer has 8 bits */
		return r->type == ICMP4_PARAM_PROB ? r->info << 24 : 0;
	return r->type == ICMP6_PARAM_PROB ? r->info : 0;
}

/**
 * set_message() - What the guest is told
 * @m:		filled
 * @r:		report
 * @v4:		of IPv4
 *
 * Return: false if nothing can be
 */
static bool set_message(struct icmp_message *m, const struct icmp_report *r,
			bool v4)
{
	if (can_pass(r, v4)) {
		m->type = r->type;
		m->code = r->code;
		m->rest = rest(r, v4);
	} else if (!icmp_errno(m, r->error, v4, r->info)) {
		return false;
	}
	m->ttl = r->ttl;
	return true;
}

/**
 * sender() - The address that an error comes from, as the guest knows it
 * @i:		ICMP
 * @r:		report
 * @key:	flow that it is about
 * @from:	set on success only
 *
 * The host that was asked may go by an address that only this flow has for it
 * (--dns-forward). An error of our host comes from the guest's own address if
 * they share it.
 *
 * Return: false if there is none, or the guest has it itself
 */
static bool sender(const struct icmp *i, const struct icmp_report *r,
		   const struct flow_key *key, struct in6_addr *from)
{
	struct in6_addr seen;

	if (addr_is_none(&r->from) ||
	    addr_is_v4(&r->from) != addr_is_v4(&key->remote))
		return false;
	if (addr_eq(&r->from, &r->dest))
		seen = key->remote;
	else if (!nat_to_guest(&i->fwd->map, &r->from, &seen))
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
 * @l4:		filled: UDP_HLEN + ICMP_REPORT_DATA bytes
 * @r:		report
 * @q:		what is known of the packet; @q->len and @q->total are set
 *
 * Return: false if too little came back to tell
 */
static bool put_back(uint8_t *l4, const struct icmp_report *r,
		     struct icmp_quote *q)
{
	const struct flow_key *key = q->key;
	bool udp = key->proto == IPPROTO_UDP;
	size_t hlen = udp ? UDP_HLEN : 0;

	if (!udp && r->len < ICMP_HLEN)
		return false;
	q->l4 = l4;
	q->len = hlen + r->len;
	q->total = MAX(q->total, q->len);
	memcpy(l4 + hlen, r->data, r->len);
	if (!udp) {
		echo_back(l4, key->gport);
		return true;
	}
	put_be16(l4, key->gport);
	put_be16(l4 + 2, key->rport);
	put_be16(l4 + 4, (uint16_t)q->total);
	put_be16(l4 + 6, 0);
	return true;
}

/**
 * icmp_report_send() - Tell the guest of an error that a socket was told of
 * @i:		ICMP
 * @r:		report; of UDP, or of a ping socket
 * @q:		what is known of the guest's packet: without @q->l4 it is
 *		rebuilt, with what came back of it
 * @now:	ms
 *
 * The message goes on as it came, with its type, code and MTU, from the router
 * that sent it; what can't, and what the host's kernel said itself, as
 * icmp_error() has it.
 */
void icmp_report_send(struct icmp *i, const struct icmp_report *r,
		      const struct icmp_quote *q, uint64_t now)
{
	uint8_t l4[UDP_HLEN + ICMP_REPORT_DATA];
	struct icmp_quote quote = *q;
	struct icmp_message m = { 0 };
	struct icmp_packet p;
	struct in6_addr from;
	bool v4 = addr_is_v4(&q->key->remote);

	if (!set_message(&m, r, v4) || (!q->l4 && !put_back(l4, r, &quote)))
		return;
	if (expired(&m, v4))
		quote.ttl = 1;
	icmp_rebuild(&p, &quote);
	icmp_send(i, &m, sender(i, r, q->key, &from) ? &from : NULL, &p, now);
}
