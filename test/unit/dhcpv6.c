// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * dhcpv6.c - Which reply a DHCPv6 client in the guest gets to each kind of
 * message.
 */
#include "../../answer/dhcpv6.c"
#include "test/unit/answer.h"

#define GUEST_LL	"fe80::5054:ff:fe12:3456"
#define L3		14
#define L4		(14 + 40)
#define MSG		(L4 + 8)

#define CLIENT		"\0\3\0\1\x52\x54\0\x12\x34\x56"
#define SERVER		"\0\3\0\1\x9a\x55\x9a\x55\x9a\x55"
#define OURS		"2001:db8::15"
#define NEIGHBOUR	"2001:db8::99"
#define ELSEWHERE	"2001:db8:1::15"
#define DAY		86400U
#define MINUTES_5	300U
#define HOURS_21	75600U

static bool deliver(struct world *w, const struct pkt *pkt)
{
	return dhcpv6_from_guest(&w->answer, pkt);
}

struct client {
	uint8_t buf[2048];
	struct msgbuf m;
	const char *src, *dst;
};

static void opt(struct client *c, uint16_t code, const void *data, size_t len)
{
	msgbuf_be16(&c->m, code);
	msgbuf_be16(&c->m, (uint16_t)len);
	msgbuf_put(&c->m, data, len);
}

/* message() - Begin a message; @client, @server: whether the message has the
 * identifier of the client, and the identifier of the server */
static void message(struct client *c, uint8_t type, bool client, bool server)
{
	c->src = GUEST_LL;
	c->dst = "ff02::1:2";
	c->m = (struct msgbuf){ .buf = c->buf, .size = sizeof(c->buf) };
	msgbuf_be16(&c->m, 546);
	msgbuf_be16(&c->m, 547);
	msgbuf_be32(&c->m, 0);
	msgbuf_be32(&c->m, (uint32_t)type << 24 | 0xabcdef);
	if (client)
		opt(c, 1, CLIENT, 10);
	if (server)
		opt(c, 2, SERVER, 10);
}

/* ia() - Append an IA (identity association) with up to two addresses, NULL:
 * none */
static void ia(struct client *c, uint16_t code, uint32_t iaid, const char *a,
	       const char *b)
{
	const char *s[2] = { a, b };
	struct in6_addr in;
	uint8_t buf[128];
	struct msgbuf m = { .buf = buf, .size = sizeof(buf) };
	int i;

	msgbuf_be32(&m, iaid);
	if (code != 4)
		msgbuf_zero(&m, 8);
	for (i = 0; i < 2 && s[i]; i++) {
		in = addr(s[i]);
		msgbuf_be32(&m, 5 << 16 | 24);
		msgbuf_addr6(&m, &in);
		msgbuf_zero(&m, 8);
	}
	opt(c, code, buf, m.len);
}

static void post(struct world *w, struct client *c)
{
	struct ip_hdr ip = { .src = addr(c->src), .dst = addr(c->dst),
			     .proto = IPPROTO_UDP, .ttl = 1 };

	put_be16(c->buf + 4, (uint16_t)c->m.len);
	sends_ip(w, &ip, c->buf, c->m.len);
}

/* options() - Get the options of the reply; an empty list if there is no
 * reply */
static struct opts6 options(const struct world *w)
{
	const uint8_t *f;
	size_t len;

	f = gets_nth(w, 0, &len);
	return len < MSG + 4 ? (struct opts6){ NULL, 0 } :
			       (struct opts6){ f + MSG + 4, len - MSG - 4 };
}

static bool find_in(struct opts6 o, uint16_t code, unsigned int n,
		    struct opt6 *found)
{
	while (opt6_next(&o, found)) {
		if (found->code == code && !n--)
			return true;
	}
	return false;
}

static bool gives(const struct world *w, uint16_t code, const void *want,
		  size_t len)
{
	struct opt6 o;

	return find_in(options(w), code, 0, &o) && o.len == len &&
	       !memcmp(o.data, want, len);
}

static bool lacks(const struct world *w, uint16_t code)
{
	struct opt6 o;

	return answered(w) && !find_in(options(w), code, 0, &o);
}

static uint8_t type_of(const struct world *w)
{
	const uint8_t *f;
	size_t len;

	f = gets_nth(w, 0, &len);
	return w->mem.nsent == 1 && len > MSG ? f[MSG] : 0;
}

/* order() - Write the codes of the reply's options, in order, with spaces
 * between */
static const char *order(const struct world *w, char buf[256])
{
	struct opts6 o = options(w);
	struct opt6 opt6;
	size_t n = 0;

	buf[0] = '\0';
	while (n < 200 && opt6_next(&o, &opt6))
		n += (size_t)snprintf(buf + n, 256 - n, "%s%u", n ? " " : "",
				      opt6.code);
	return buf;
}

/* top_status() - Get the status code of the reply as a whole; -1: it has
 * none */
static int top_status(const struct world *w)
{
	struct opt6 o;

	return find_in(options(w), 13, 0, &o) ? get_be16(o.data) : -1;
}

/* ia_status() - Get the status code of the nth IA with the option code @code;
 * -1: it has no status, -2: there is no such IA */
static int ia_status(const struct world *w, uint16_t code, unsigned int n)
{
	struct opt6 o, s;

	if (!find_in(options(w), code, n, &o))
		return -2;
	return find_in(ia_options(&o), 13, 0, &s) ? get_be16(s.data) : -1;
}

/* ia_gives() - Whether the nth IA_NA has the address @s with this lifetime, and
 * the T1 and T2 that belong to a lease of a day */
static bool ia_gives(const struct world *w, unsigned int n, const char *s,
		     uint32_t lifetime)
{
	struct in6_addr want = addr(s);
	struct opt6 o, a;
	unsigned int i;

	if (!find_in(options(w), 3, n, &o) ||
	    get_be32(o.data + 4) != MINUTES_5 ||
	    get_be32(o.data + 8) != HOURS_21)
		return false;
	for (i = 0; find_in(ia_options(&o), 5, i, &a); i++) {
		if (!memcmp(a.data, &want, 16))
			return get_be32(a.data + 16) == lifetime &&
			       get_be32(a.data + 20) == lifetime;
	}
	return false;
}

static void story_solicit(struct world *w)
{
	static const uint8_t head[] = {
		0x52, 0x54, 0x00, 0x12, 0x34, 0x56,
		0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55, 0x86, 0xdd, 0x60,
	};
	static const uint8_t want[] = {
		2, 0xab, 0xcd, 0xef,
		0, 1, 0, 10, 0, 3, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56,
		0, 2, 0, 10, 0, 3, 0, 1, 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55,
		0, 7, 0, 1, 255,
		0, 3, 0, 40, 0, 0, 0, 9, 0, 0, 1, 44, 0, 1, 0x27, 0x50,
		0, 5, 0, 24, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0x15,
		0, 1, 0x51, 0x80, 0, 1, 0x51, 0x80,
		0, 23, 0, 32,
		0x20, 1, 0x0d, 0xb8, 0, 0x53, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		0x20, 1, 0x0d, 0xb8, 0, 0x53, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
		0, 24, 0, 30,
		7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'c', 'o', 'm', 0,
		3, 'l', 'a', 'b', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e',
		3, 'c', 'o', 'm', 0,
	};
	struct in6_addr us = addr("fe80::1"), guest = addr(GUEST_LL);
	struct client c;
	const uint8_t *f;
	size_t len;

	message(&c, 1, true, false);
	ia(&c, 3, 9, NULL, NULL);
	post(w, &c);
	f = gets_nth(w, 0, &len);
	check("a message to all servers is ours to take", w->consumed);
	if (!check_eq("SOLICIT: one reply", w->mem.nsent, 1) ||
	    !check_eq("ADVERTISE has its length", len, MSG + sizeof(want)))
		return;
	check_mem("ADVERTISE is a frame to the guest", f, head, sizeof(head));
	check_mem("from our link-local address", f + L3 + 8, &us, 16);
	check_mem("to the guest's", f + L3 + 24, &guest, 16);
	check_mem("from port 547 to 546", f + L4, "\2\x23\2\x22", 4);
	check_eq("with its UDP length", get_be16(f + L4 + 4), len - L4);
	check("and the right checksum", checksum_right(f, len));
	check_mem("ADVERTISE: identifiers, preference, address, resolvers, "
		  "search list", f + MSG, want, sizeof(want));
}

static void story_rapid(struct world *w)
{
	struct client c;
	char buf[256];

	message(&c, 1, true, false);
	opt(&c, 14, NULL, 0);
	ia(&c, 3, 9, NULL, NULL);
	opt(&c, 6, "\0\x18", 2);
	post(w, &c);
	check_eq("rapid commit: REPLY to SOLICIT", type_of(w), 7);
	check_str("it says so, and has what was asked for", order(w, buf),
		  "1 2 14 3 24");
	check("and the address", ia_gives(w, 0, OURS, DAY));
}

static void story_request(struct world *w)
{
	struct client c;

	message(&c, 3, true, true);
	ia(&c, 3, 9, OURS, NULL);
	opt(&c, 14, NULL, 0);
	post(w, &c);
	check_eq("REQUEST: REPLY", type_of(w), 7);
	check("it has the address", ia_gives(w, 0, OURS, DAY));
	check("REQUEST is never a rapid commit", lacks(w, 14));
	check("REPLY has no preference", lacks(w, 7));

	message(&c, 3, true, true);
	ia(&c, 3, 9, NEIGHBOUR, NULL);
	post(w, &c);
	check("REQUEST for another of this link: it gets ours",
	      ia_gives(w, 0, OURS, DAY));

	message(&c, 3, true, true);
	ia(&c, 3, 9, ELSEWHERE, NULL);
	post(w, &c);
	check_eq("REQUEST for one of another link: NotOnLink",
		 ia_status(w, 3, 0), 4);
}

/* Given IAs for which passt has no address or no prefix, then each of these IAs
 * has a status code in the reply, which says why. */
static void story_refused(struct world *w)
{
	struct client c;

	message(&c, 1, true, false);
	ia(&c, 4, 1, NULL, NULL);
	ia(&c, 25, 2, NULL, NULL);
	ia(&c, 3, 3, NULL, NULL);
	ia(&c, 3, 4, NULL, NULL);
	post(w, &c);
	check_eq("a temporary address: NoAddrsAvail", ia_status(w, 4, 0), 2);
	check_eq("a prefix: NoPrefixAvail", ia_status(w, 25, 0), 6);
	check("the first IA_NA has the address",
	      ia_gives(w, 0, OURS, DAY));
	check_eq("the second: NoAddrsAvail", ia_status(w, 3, 1), 2);
	check("and the client need not ask again each minute", lacks(w, 82));
	check_eq("the whole has no status", top_status(w), -1);

	w->net.lease.addr[IP6] = ADDR_NONE;
	post(w, &c);
	check_eq("with no address to give: NoAddrsAvail", ia_status(w, 3, 0),
		 2);
	check("the client asks again each minute",
	      gives(w, 82, "\0\0\0\x3c", 4));
	message(&c, 1, true, false);
	ia(&c, 3, 3, NULL, NULL);
	opt(&c, 6, "\0\x17", 2);
	post(w, &c);
	check("unless it does not know how", lacks(w, 82));

	message(&c, 5, true, true);
	ia(&c, 3, 3, OURS, NULL);
	ia(&c, 25, 2, NULL, NULL);
	post(w, &c);
	check_eq("RENEW when there is none: NoBinding", ia_status(w, 3, 0), 3);
	check_eq("RENEW of a prefix: NoBinding", ia_status(w, 25, 0), 3);
}

static void story_renew(struct world *w)
{
	struct client c;
	struct opt6 o, a;

	message(&c, 5, true, true);
	ia(&c, 3, 9, OURS, NULL);
	post(w, &c);
	check_eq("RENEW: REPLY", type_of(w), 7);
	check("with the address", ia_gives(w, 0, OURS, DAY));

	message(&c, 6, true, false);
	ia(&c, 3, 9, OURS, NULL);
	post(w, &c);
	check("REBIND: the same", type_of(w) == 7 &&
	      ia_gives(w, 0, OURS, DAY));

	message(&c, 6, true, false);
	ia(&c, 3, 9, ELSEWHERE, NEIGHBOUR);
	post(w, &c);
	check("REBIND after a change: the old addresses end",
	      ia_gives(w, 0, ELSEWHERE, 0) && ia_gives(w, 0, NEIGHBOUR, 0));
	check("and the new one is there", ia_gives(w, 0, OURS, DAY));

	message(&c, 5, true, true);
	ia(&c, 3, 9, OURS, OURS);
	post(w, &c);
	check("an address given twice comes once",
	      find_in(options(w), 3, 0, &o) &&
	      !find_in(ia_options(&o), 5, 1, &a));
}

/* Given a lease time, then T1 is half of it, but at most 5 minutes, and T2 is
 * 7/8 of the lease time. */
static void story_times(struct world *w)
{
	static const struct {
		const char *name;
		uint32_t time, t1, t2;
	} all[] = {
		{ "a lease of 20 s: T1 is half of it", 20, 10, 18 },
		{ "the longest lease but an infinite one", 0xfffffffe, 300,
		  0xdfffffff },
		{ "an infinite lease: so are T1 and T2", LEASE_INFINITE,
		  LEASE_INFINITE, LEASE_INFINITE },
	};
	struct client c;
	struct opt6 o, a;
	size_t i;

	message(&c, 5, true, true);
	ia(&c, 3, 9, OURS, NULL);
	for (i = 0; i < ARRAY_SIZE(all); i++) {
		w->net.lease.time = all[i].time;
		post(w, &c);
		check(all[i].name, find_in(options(w), 3, 0, &o) &&
		      find_in(ia_options(&o), 5, 0, &a) &&
		      get_be32(o.data + 4) == all[i].t1 &&
		      get_be32(o.data + 8) == all[i].t2 &&
		      get_be32(a.data + 16) == all[i].time &&
		      get_be32(a.data + 20) == all[i].time);
	}
}

static void story_confirm(struct world *w)
{
	struct client c;
	char buf[256];

	message(&c, 4, true, false);
	ia(&c, 3, 9, OURS, NULL);
	post(w, &c);
	check("CONFIRM: Success", type_of(w) == 7 && top_status(w) == 0);
	check_str("and nothing but that", order(w, buf), "1 2 13");

	message(&c, 4, true, false);
	ia(&c, 3, 9, OURS, NULL);
	ia(&c, 4, 1, ELSEWHERE, NULL);
	post(w, &c);
	check_eq("CONFIRM with one of another link: NotOnLink", top_status(w),
		 4);

	message(&c, 4, true, false);
	ia(&c, 3, 9, OURS, NEIGHBOUR);
	post(w, &c);
	check_eq("CONFIRM with one of this link that is not ours: NotOnLink",
		 top_status(w), 4);

	message(&c, 4, true, false);
	ia(&c, 3, 9, NULL, NULL);
	post(w, &c);
	check("CONFIRM without addresses: silence", !answered(w));

	message(&c, 4, true, false);
	ia(&c, 3, 9, OURS, NULL);
	w->net.lease.addr[IP6] = ADDR_NONE;
	post(w, &c);
	check("CONFIRM when we have none: silence", !answered(w));
}

static void story_give_back(struct world *w)
{
	struct client c;
	char buf[256];
	uint8_t type;

	for (type = 8; type <= 9; type++) {
		message(&c, type, true, true);
		ia(&c, 3, 9, OURS, NULL);
		post(w, &c);
		check(type == 8 ? "RELEASE: Success" : "DECLINE: Success",
		      type_of(w) == 7 && top_status(w) == 0);
		check_str("and nothing but that", order(w, buf), "1 2 13");

		message(&c, type, true, true);
		ia(&c, 3, 9, NEIGHBOUR, NULL);
		ia(&c, 4, 8, OURS, NULL);
		ia(&c, 25, 7, NULL, NULL);
		post(w, &c);
		check("of what it doesn't have: Success, and NoBinding in each",
		      top_status(w) == 0 && ia_status(w, 3, 0) == 3 &&
		      ia_status(w, 4, 0) == 3 && ia_status(w, 25, 0) == 3);
	}
}

static void story_information(struct world *w)
{
	struct client c;
	char buf[256];

	message(&c, 11, false, false);
	opt(&c, 6, "\0\x17\0\x20", 4);
	post(w, &c);
	check("INFORMATION-REQUEST without identifiers: REPLY",
	      type_of(w) == 7);
	check_str("with ours and what was asked for", order(w, buf), "2 23 32");
	check("the client asks again after 10 minutes",
	      gives(w, 32, "\0\0\2\x58", 4));
	w->net.lease.time = LEASE_INFINITE;
	post(w, &c);
	check("but not if leases are infinite", lacks(w, 32));
	w->net.lease.time = DAY;

	message(&c, 11, true, true);
	post(w, &c);
	check_str("with both, and asking for nothing in particular",
		  order(w, buf), "1 2 23 24 32");

	message(&c, 11, true, false);
	ia(&c, 3, 9, NULL, NULL);
	post(w, &c);
	check("with an IA: silence", !answered(w));
}

/* Given a message of each type, with and without each identifier, then passt
 * answers only the combinations that RFC 8415 16 allows. */
static void story_identifiers(struct world *w)
{
	static const struct {
		uint8_t type;
		const char *name;
		/* A string of four characters, one for each of these messages:
		 * without an identifier, with the client's, with the server's,
		 * with both. '1': passt replies to the message; '0': it does
		 * not. */
		const char *good;
	} all[] = {
		{ 1, "SOLICIT wants a client and no server", "0100" },
		{ 2, "ADVERTISE is a server's", "0000" },
		{ 3, "REQUEST wants both", "0001" },
		{ 4, "CONFIRM wants a client and no server", "0100" },
		{ 5, "RENEW wants both", "0001" },
		{ 6, "REBIND wants a client and no server", "0100" },
		{ 7, "REPLY is a server's", "0000" },
		{ 8, "RELEASE wants both", "0001" },
		{ 9, "DECLINE wants both", "0001" },
		{ 10, "RECONFIGURE is a server's", "0000" },
		{ 12, "RELAY-FORW is a relay's", "0000" },
		{ 0, "type 0 is none", "0000" },
		{ 255, "type 255 is none", "0000" },
	};
	struct client c;
	char got[5];
	size_t i;
	int j;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		for (j = 0; j < 4; j++) {
			message(&c, all[i].type, j & 1, j & 2);
			ia(&c, 3, 9, OURS, NULL);
			post(w, &c);
			got[j] = answered(w) ? '1' : '0';
		}
		got[4] = '\0';
		check_str(all[i].name, got, all[i].good);
	}
}

static void story_other_server(struct world *w)
{
	struct client c;

	message(&c, 3, true, false);
	opt(&c, 2, "\0\3\0\1\x9a\x55\x9a\x55\x9a\x56", 10);
	ia(&c, 3, 9, OURS, NULL);
	post(w, &c);
	check("REQUEST to another server: silence",
	      w->consumed && !answered(w));
	message(&c, 11, true, false);
	opt(&c, 2, "\0\3\0\1\x9a\x55\x9a\x55\x9a", 9);
	post(w, &c);
	check("INFORMATION-REQUEST likewise", !answered(w));
}

static void story_destination(struct world *w)
{
	struct client c;

	message(&c, 1, true, false);
	ia(&c, 3, 9, NULL, NULL);
	c.dst = "fe80::1";
	post(w, &c);
	check("SOLICIT to one address is not ours to take",
	      !w->consumed && !answered(w));
	c.dst = "ff02::1:2";
	put_be16(c.buf + 2, 546);
	post(w, &c);
	check("nor what goes to the client's port", !w->consumed);
	put_be16(c.buf + 2, 547);
	w->net.lease.dhcpv6 = false;
	post(w, &c);
	check("--no-dhcpv6: nothing is", !w->consumed && !answered(w));
}

static void story_lease(struct world *w)
{
	struct client c;

	w->net.lease.router[IP6] = addr("2001:db8::1");
	message(&c, 11, true, false);
	post(w, &c);
	check("with a global gateway replies come from fe80::1",
	      answered(w) &&
	      !memcmp((uint8_t *)w->mem.sent[0].iov_base + L3 + 8,
		      "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16));
	w->net.lease.dhcp_dns = false;
	w->net.lease.dhcp_search = false;
	post(w, &c);
	check("--no-dhcp-dns: no resolvers", lacks(w, 23));
	check("--no-dhcp-search: no search list", lacks(w, 24));
}

static void story_fqdn(struct world *w)
{
	struct client c;

	message(&c, 1, true, false);
	opt(&c, 39, "\1\4name", 6);
	post(w, &c);
	check("the client's name: ours, we update nothing, against its wish",
	      gives(w, 39, "\6\5guest\7example\3com\0", 20));
	message(&c, 1, true, false);
	opt(&c, 6, "\0\x27", 2);
	post(w, &c);
	check("only asked for: ours, we update nothing",
	      gives(w, 39, "\4\5guest\7example\3com\0", 20));
	message(&c, 1, true, false);
	post(w, &c);
	check("neither: not there", lacks(w, 39));
	message(&c, 1, true, false);
	opt(&c, 39, "\1\4name", 6);
	w->net.lease.fqdn[0] = '\0';
	post(w, &c);
	check("no --fqdn: not there", lacks(w, 39));
}

static void story_malformed(struct world *w)
{
	static const struct {
		const char *name;
		uint16_t code, len;
	} bad[] = {
		{ "a client DUID of 2 bytes: dropped", 1, 2 },
		{ "a client DUID of 131: dropped", 1, 131 },
		{ "IA_NA of 11: dropped", 3, 11 },
		{ "IA_TA of 3: dropped", 4, 3 },
		{ "IA_PD of 11: dropped", 25, 11 },
		{ "IA_NA with half an option in it: dropped", 3, 15 },
		{ "options asked for, of 3: dropped", 6, 3 },
		{ "rapid commit of 1: dropped", 14, 1 },
		{ "a name of none: dropped", 39, 0 },
	};
	uint8_t zero[256] = { 0 };
	struct client c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		message(&c, 1, true, false);
		opt(&c, bad[i].code, zero, bad[i].len);
		post(w, &c);
		check(bad[i].name, w->consumed && !answered(w));
	}
	message(&c, 1, true, false);
	opt(&c, 1, zero, 130);
	post(w, &c);
	check("a client DUID of 130: answered", answered(w));
	message(&c, 1, true, false);
	opt(&c, 3, "\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\x17\0\0\0\0\0\0\0\0\0\0\0"
	    "\0\0\0\0\0\0\0\0\0\0\0\0", 39);
	post(w, &c);
	check("IAADDR of 23: dropped", !answered(w));
}

/* Given more IAs than a reply can hold, then passt sends no reply. */
static void story_too_much(struct world *w)
{
	struct client c;
	unsigned int i;

	message(&c, 1, true, false);
	for (i = 0; i < 50; i++)
		ia(&c, 3, i, NULL, NULL);
	post(w, &c);
	check("50 IAs are answered", answered(w));
	for (; i < 85; i++)
		ia(&c, 3, i, NULL, NULL);
	post(w, &c);
	check("85 are not", w->consumed && !answered(w));
	for (; i < 110; i++)
		ia(&c, 3, i, NULL, NULL);
	post(w, &c);
	check("a message longer than a frame of 1500: dropped", !answered(w));
}

/* every_length() - Send a message again and again, truncated to each length
 * from zero to all of it; return the number of replies */
static unsigned int every_length(struct world *w, struct client *c)
{
	size_t whole = c->m.len;
	unsigned int n = 0;

	for (c->m.len = 8; c->m.len <= whole; c->m.len++) {
		post(w, c);
		n += answered(w);
	}
	return n;
}

static void story_lengths(struct world *w)
{
	static const struct {
		const char *name;
		uint8_t type;
		bool server;
		unsigned int replies;	/* truncated messages that get a reply:
					 * those that end after an option */
	} all[] = {
		{ "SOLICIT at every length", 1, false, 6 },
		{ "REQUEST at every length", 3, true, 6 },
		{ "CONFIRM at every length", 4, false, 5 },
		{ "RENEW at every length", 5, true, 6 },
		{ "REBIND at every length", 6, false, 6 },
		{ "RELEASE at every length", 8, true, 6 },
		{ "DECLINE at every length", 9, true, 6 },
	};
	struct client c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		message(&c, all[i].type, true, all[i].server);
		ia(&c, 3, 9, OURS, NEIGHBOUR);
		ia(&c, 25, 8, NULL, NULL);
		opt(&c, 6, "\0\x17\0\x18", 4);
		opt(&c, 39, "\1\4name", 6);
		opt(&c, 14, NULL, 0);
		check_eq(all[i].name, every_length(w, &c), all[i].replies);
	}
	message(&c, 11, true, false);
	opt(&c, 6, "\0\x17\0\x18", 4);
	check_eq("INFORMATION-REQUEST at every length", every_length(w, &c), 3);
}

int main(void)
{
	static void (*const stories[])(struct world *w) = {
		story_solicit, story_rapid, story_request, story_refused,
		story_renew, story_times, story_confirm, story_give_back, story_information,
		story_identifiers, story_other_server, story_destination,
		story_lease, story_fqdn, story_malformed, story_too_much,
		story_lengths,
	};

	return tell(stories, ARRAY_SIZE(stories));
}
