/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * peers.h - The peers of the guest in guest.c: their addresses and ports, and a
 * reader that takes their datagrams, and entries of error queues, from an
 * input. guest.c includes this header once.
 */
#ifndef TEST_FUZZ_PEERS_H
#define TEST_FUZZ_PEERS_H

#include "test/fuzz/kernel.h"

#define PEERS		6
#define PORTS		4

static const char *const peer_text[2][PEERS] = {
	{ "198.51.100.1", "192.0.2.1", "192.0.2.53", "198.51.100.2",
	  "224.0.0.251", "127.0.0.1" },
	{ "2001:db8:2::1", "fe80::1", "2001:db8:1::53", "2001:db8:2::2",
	  "ff02::fb", "::1" },
};
static struct in6_addr peer_addr[2][PEERS], guest_addr[2];
static const uint16_t peer_port[PORTS] = { 53, 7, 853, 69 };
static const uint16_t guest_port[PORTS] = { 40000, 22, 53, 5353 };

UNCOUNTED

static void peers_init(void)
{
	unsigned int f, i;

	for (f = 0; f < 2; f++)
		for (i = 0; i < PEERS; i++)
			MUST(addr_parse(peer_text[f][i], &peer_addr[f][i]));
	MUST(addr_parse("192.0.2.2", &guest_addr[0]));
	MUST(addr_parse("2001:db8:1::2", &guest_addr[1]));
}

/* take_addr() - Read an address and a port of a peer */
static socklen_t take_addr(struct input *in, union sockaddr_any *sa, bool v6)
{
	uint8_t pick = take_byte(in);
	struct in6_addr a = peer_addr[v6][pick % PEERS];

	if (addr_is_multicast(&a))	/* the kernel drops such a sender */
		a = peer_addr[v6][0];
	if (pick & 128)		/* an address that nobody expects */
		a.s6_addr[15] ^= take_byte(in);
	return sockaddr_set(sa, &a, pick & 64 ? take_u16(in) :
			    peer_port[pick >> 3 & 3], v6 ? 2 : 0);
}

/* take_controls() - Read control messages that the kernel adds to datagrams */
static void take_controls(struct input *in, struct kmessage *k, bool v6)
{
	uint8_t which = take_byte(in);
	int n = take_byte(in);
	struct in_pktinfo p4 = { .ipi_ifindex = 1 };
	struct in6_pktinfo p6 = { .ipi6_ifindex = 2 };

	p4.ipi_spec_dst = p4.ipi_addr = addr_v4(&peer_addr[0][n % PEERS]);
	p6.ipi6_addr = peer_addr[1][n % PEERS];
	k->ncontrol = 0;
	if (which & 1 && !v6)
		kernel_add_control(k, IPPROTO_IP, IP_PKTINFO, &p4, sizeof(p4));
	if (which & 1 && v6)
		kernel_add_control(k, IPPROTO_IPV6, IPV6_PKTINFO, &p6,
				   sizeof(p6));
	if (which & 2)
		kernel_add_control(k, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
				   v6 ? IPV6_HOPLIMIT : IP_TTL, &n, sizeof(n));
	if (which & 4)
		kernel_add_control(k, IPPROTO_IP, IP_TOS, &n, 1);
	if (which & 8 && k->len > 1) {
		n = 1 + n % (int)k->len;
		kernel_add_control(k, IPPROTO_UDP, UDP_GRO, &n, sizeof(n));
	}
}

/* take_message() - Read a datagram of a peer */
static void take_message(struct input *in, struct kmessage *k, bool v6)
{
	static uint8_t zeros[3000];
	uint8_t len = take_byte(in);

	k->len = len & 128 ? (len & 127) * 20U : MIN(len, in->left);
	k->data = len & 128 ? zeros : in->at;
	if (!(len & 128)) {
		in->at += k->len;
		in->left -= k->len;
	}
	k->from_len = take_addr(in, &k->from, v6);
	take_controls(in, k, v6);
}

/* take_error() - Read an entry of an error queue */
static void take_error(struct input *in, struct kmessage *k, bool v6)
{
	static const int errors[] = { ECONNREFUSED, EHOSTUNREACH, ENETUNREACH,
				      EMSGSIZE, EPROTO, EACCES, ETIMEDOUT };
	uint8_t which = take_byte(in);
	struct {
		struct sock_extended_err e;
		union sockaddr_any from;
	} ee = {
		.e.ee_errno = (uint32_t)errors[which % ARRAY_SIZE(errors)],
		.e.ee_origin = which & 128 ? take_byte(in) & 7 :
			v6 ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP,
		.e.ee_type = take_byte(in), .e.ee_code = take_byte(in),
		.e.ee_info = which & 64 ? take_u32(in) : take_byte(in) * 64U,
	};

	take_message(in, k, v6);
	take_addr(in, &ee.from, v6);
	kernel_add_control(k, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
			   v6 ? IPV6_RECVERR : IP_RECVERR, &ee,
			   which & 32 ? sizeof(ee.e) : sizeof(ee));
}

/* screen_datagrams() - Let all datagrams that come to a connected socket be
 * those of its peer, as the kernel does */
static void screen_datagrams(const struct ksock *s)
{
	unsigned int i;

	for (i = 0; s->to.sa.sa_family && i < kernel.ndata; i++) {
		kernel.data[i].from = s->to;
		kernel.data[i].from_len = sizeof(s->to);
	}
}

COUNTED

#endif /* TEST_FUZZ_PEERS_H */
