// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * dhcp.c - Which reply DHCP and BOOTP clients in the guest get to each kind of
 * message.
 */
#include "../../answer/dhcp.c"
#include "test/unit/answer.h"
#include "test/unit/dhcp.h"

static void story_discover(struct world *w)
{
	static const uint8_t want[] = {
		0x52, 0x54, 0x00, 0x12, 0x34, 0x56,
		0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55, 8, 0, 0x45,
	};
	static const uint8_t fixed[] = {
		2, 1, 6, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0,
		0, 0, 0, 0, 192, 0, 2, 15, 0, 0, 0, 0, 0, 0, 0, 0,
		0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0, 0,
	};
	static const uint8_t options[] = {
		99, 130, 83, 99, 53, 1, 2, 54, 4, 192, 0, 2, 1,
		51, 4, 0, 1, 0x51, 0x80, 58, 4, 0, 0, 1, 44,
		59, 4, 0, 1, 0x27, 0x50, 1, 4, 255, 255, 255, 0,
		3, 4, 192, 0, 2, 1, 6, 8, 198, 51, 100, 53, 198, 51, 100, 54,
		26, 2, 0xff, 0xf0, 12, 5, 'g', 'u', 'e', 's', 't',
		15, 11, 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 'c', 'o', 'm',
		119, 19, 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e',
		3, 'c', 'o', 'm', 0, 3, 'l', 'a', 'b', 0xc0, 0, 255,
	};
	struct client c;
	const uint8_t *f;
	size_t len;

	message(&c, 1);
	done(w, &c);
	f = gets_nth(w, 0, &len);
	check("a message to the server is ours to take", w->consumed);
	if (!check_eq("DISCOVER: one reply", w->mem.nsent, 1) ||
	    !check_eq("OFFER has its length", len, MSG + 236 + sizeof(options)))
		return;
	check_mem("OFFER is a frame from us to the guest", f, want,
		  sizeof(want));
	check_mem("OFFER comes from the gateway to the address it offers",
		  f + L3 + 12, SERVER OURS, 8);
	check_mem("OFFER goes from port 67 to 68", f + L4, "\0\x43\0\x44", 4);
	check_eq("OFFER has its UDP length", get_be16(f + L4 + 4), len - L4);
	check("OFFER has the right checksums", checksum_right(f, len));
	check_mem("OFFER: xid, yiaddr and chaddr", f + MSG, fixed,
		  sizeof(fixed));
	check_mem("OFFER: all options when none is asked for",
		  f + MSG + 236, options, sizeof(options));
}

static void story_order(struct world *w)
{
	struct client c;
	char buf[256];

	message(&c, 1);
	opt(&c, 55, "\x77\x1a\x0f\1\3\xfc\6\x0c\x77", 9);
	done(w, &c);
	check_str("options come as asked for, each once, unknown ones not",
		  order(w, buf), "53 54 51 58 59 119 26 15 1 3 6 12 255");

	message(&c, 1);
	opt(&c, 55, "\3\6\1", 3);
	done(w, &c);
	check_str("but the mask before the router", order(w, buf),
		  "53 54 51 58 59 1 6 3 255");

	message(&c, 1);
	opt(&c, 55, "\3\6", 2);
	opt(&c, 55, "\x33\x35\x36\x3a\x3b\x1a", 6);
	done(w, &c);
	check_str("a list in two parts; mandatory ones only once",
		  order(w, buf), "53 54 51 58 59 3 6 26 255");

	message(&c, 1);
	opt(&c, 55, NULL, 0);
	done(w, &c);
	check_str("an empty list asks for nothing", order(w, buf),
		  "53 54 51 58 59 255");
}

static void story_request(struct world *w)
{
	struct client c;

	message(&c, 3);
	opt(&c, 54, SERVER, 4);
	opt(&c, 50, OURS, 4);
	done(w, &c);
	check_eq("SELECTING our offer: ACK", type_of(w), DHCP_ACK);
	check_eq("ACK has yiaddr", field(w, YIADDR), 0xc000020f);
	check("ACK names the server and a time",
	      gives(w, 54, SERVER, 4) && gives(w, 51, "\0\1\x51\x80", 4));
	check("ACK goes to the address", dst_is(w, "192.0.2.15"));

	message(&c, 3);
	opt(&c, 54, "\xc0\0\2\2", 4);
	opt(&c, 50, OURS, 4);
	done(w, &c);
	check("SELECTING another's offer: silence",
	      !answered(w) && w->consumed);

	message(&c, 3);
	opt(&c, 54, SERVER, 4);
	opt(&c, 50, OTHER, 4);
	done(w, &c);
	check_eq("SELECTING with a wrong address: NAK", type_of(w), DHCP_NAK);
	message(&c, 3);
	opt(&c, 54, SERVER, 4);
	done(w, &c);
	check_eq("SELECTING with none: NAK", type_of(w), DHCP_NAK);

	message(&c, 3);
	opt(&c, 50, OURS, 4);
	done(w, &c);
	check_eq("INIT-REBOOT with our address: ACK", type_of(w), DHCP_ACK);
}

static void story_nak(struct world *w)
{
	struct client c;
	char buf[256];

	message(&c, 3);
	opt(&c, 50, OTHER, 4);
	opt(&c, 55, "\1\3\6", 3);
	done(w, &c);
	check_eq("INIT-REBOOT with a wrong address: NAK", type_of(w), DHCP_NAK);
	check("NAK is broadcast", dst_is(w, "255.255.255.255"));
	check_str("NAK has nothing but type and server", order(w, buf),
		  "53 54 255");
	check_eq("NAK has no yiaddr", field(w, YIADDR), 0);
}

static void story_renew(struct world *w)
{
	const uint8_t *first, *second;
	struct client c;
	size_t len;

	message(&c, 3);
	c.h->ciaddr.s_addr = htonl(0xc000020f);
	c.src = "192.0.2.15";
	c.dst = "192.0.2.1";
	done(w, &c);
	check_eq("RENEWING: ACK", type_of(w), DHCP_ACK);
	check("ACK goes to ciaddr", dst_is(w, "192.0.2.15"));
	check_eq("ACK repeats ciaddr", field(w, CIADDR), 0xc000020f);

	c.dst = "255.255.255.255";
	post(w, &c);
	check_eq("REBINDING: ACK", type_of(w), DHCP_ACK);

	c.h->ciaddr.s_addr = htonl(0xc0000210);
	post(w, &c);
	check_eq("REBINDING a wrong address: NAK", type_of(w), DHCP_NAK);
	check("that NAK is broadcast too", dst_is(w, "255.255.255.255"));
	check_eq("and without ciaddr", field(w, CIADDR), 0);
	check_eq("and it is the only one", w->mem.nsent, 1);

	c.dst = "192.0.2.1";
	post(w, &c);
	check("RENEWING a wrong address: NAK is broadcast",
	      dst_is(w, "255.255.255.255"));
	first = gets_nth(w, 0, &len);
	second = gets_nth(w, 1, &len);
	if (check("and sent to ciaddr, where the client may listen",
		  nth_dst_is(w, 1, "192.0.2.16") && w->mem.nsent == 2))
		check_mem("with the same message", second + MSG, first + MSG,
			  len - MSG);
	c.h->ciaddr.s_addr = 0;
	post(w, &c);
	check_eq("without ciaddr there is only one", type_of(w), DHCP_NAK);
	c.h->ciaddr.s_addr = htonl(0xc0000210);

	c.dst = "192.0.2.9";
	post(w, &c);
	check("what goes to another server is not ours", !w->consumed);
}

static void story_destination(struct world *w)
{
	struct client c;

	message(&c, 1);
	c.h->flags = htons(0x8000);
	done(w, &c);
	check("broadcast flag: OFFER is broadcast",
	      type_of(w) == DHCP_OFFER && dst_is(w, "255.255.255.255"));
	check_eq("and repeats the flag", field(w, 8), 0x8000);

	message(&c, 1);
	c.h->giaddr.s_addr = htonl(0xc0000207);
	done(w, &c);
	check("a relay is ignored", dst_is(w, "192.0.2.15"));
}

static void story_inform(struct world *w)
{
	struct client c;
	char buf[256];

	message(&c, 8);
	c.h->ciaddr.s_addr = htonl(0xc0000263);
	c.h->flags = htons(0x8000);
	c.src = "192.0.2.99";
	opt(&c, 55, "\6\x33\x3a\x3b\x0f", 5);
	done(w, &c);
	check_eq("INFORM: ACK", type_of(w), DHCP_ACK);
	check_str("ACK has what was asked for, and no times", order(w, buf),
		  "53 54 6 15 255");
	check_eq("ACK gives no address", field(w, YIADDR), 0);
	check("ACK goes to ciaddr", dst_is(w, "192.0.2.99"));

	message(&c, 8);
	done(w, &c);
	check("INFORM without an address: silence", !answered(w));
}

static void story_no_reply(struct world *w)
{
	static const struct {
		const char *name;
		uint8_t type;
	} silent[] = {
		{ "DECLINE: silence", 4 },
		{ "RELEASE: silence", 7 },
		{ "a server's OFFER: silence", 2 },
		{ "a server's ACK: silence", 5 },
		{ "a server's NAK: silence", 6 },
		{ "a type that isn't one: silence", 9 },
		{ "type 255: silence", 255 },
	};
	struct client c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(silent); i++) {
		message(&c, silent[i].type);
		opt(&c, 54, SERVER, 4);
		opt(&c, 50, OURS, 4);
		done(w, &c);
		check(silent[i].name, w->consumed && !answered(w));
	}
	message(&c, 1);
	c.h->op = 2;
	done(w, &c);
	check("a server's message: silence", w->consumed && !answered(w));
}

static void story_rapid(struct world *w)
{
	struct client c;
	char buf[256];

	message(&c, 1);
	opt(&c, 80, NULL, 0);
	opt(&c, 55, "\1", 1);
	done(w, &c);
	check_eq("rapid commit: ACK to DISCOVER", type_of(w), DHCP_ACK);
	check_str("and option 80 in it", order(w, buf), "53 54 51 58 59 80 1 255");

	message(&c, 3);
	opt(&c, 80, NULL, 0);
	opt(&c, 50, OURS, 4);
	done(w, &c);
	check("in REQUEST it means nothing", lacks(w, 80));
}

static void story_bootp(struct world *w)
{
	struct client c;
	const uint8_t *f;
	size_t len;
	char buf[256];

	message(&c, 0);
	done(w, &c);
	f = gets_nth(w, 0, &len);
	if (!check_eq("BOOTP: a reply of 300 bytes", len, MSG + 300))
		return;
	check_eq("BOOTP gets the address", field(w, YIADDR), 0xc000020f);
	check_str("BOOTP gets what fits into 64 bytes, nothing of DHCP's",
		  order(w, buf), "1 3 6 26 12 15 255");

	message(&c, 0);
	memset(c.m.buf + 8 + 236, 0, 4);
	msgbuf_zero(&c.m, 60);
	post(w, &c);
	f = gets_nth(w, 0, &len);
	if (!check_eq("BOOTP without a cookie: the same length", len,
		      MSG + 300))
		return;
	check_eq("and no cookie", get_be32(f + MSG + 236), 0);
	check_eq("but the address", field(w, YIADDR), 0xc000020f);
}

/* Given a router outside the guest's prefix, then option 121 (RFC 3442) has a
 * route to the router and a default route. */
static void story_routes(struct world *w)
{
	static const uint8_t want[] = {
		32, 203, 0, 113, 1, 0, 0, 0, 0, 0, 203, 0, 113, 1
	};
	struct client c;
	char buf[256];

	message(&c, 1);
	opt(&c, 55, "\1\x79\3", 3);
	done(w, &c);
	check_str("gateway in the prefix: 3, not 121", order(w, buf),
		  "53 54 51 58 59 1 3 255");

	w->net.lease.len[IP4] = 32;
	w->net.lease.router[IP4] = addr("203.0.113.1");
	post(w, &c);
	check_str("gateway outside: 121 and 3", order(w, buf),
		  "53 54 51 58 59 1 121 3 255");
	check("each client has its router", gives(w, 3, "\xcb\0q\1", 4));
	check("a route to it, and by it", gives(w, 121, want, sizeof(want)));
	check("the mask is that of a host",
	      gives(w, 1, "\xff\xff\xff\xff", 4));
	check("the server is the gateway", gives(w, 54, "\xcb\0q\1", 4));

	message(&c, 1);
	opt(&c, 55, "\3\1", 2);
	done(w, &c);
	check_str("a client that doesn't know 121 gets 3", order(w, buf),
		  "53 54 51 58 59 1 3 255");

	w->net.lease.len[IP4] = 0;
	post(w, &c);
	check("a prefix of no bits has a mask of none",
	      gives(w, 1, "\0\0\0\0", 4));
}

static void story_fqdn(struct world *w)
{
	struct client c;

	message(&c, 1);
	opt(&c, 81, "\5\0\0\1x\0", 6);
	done(w, &c);
	check("option 81: our name in labels, we update nothing",
	      gives(w, 81, "\x0e\xff\xff\5guest\7example\3com\0", 22));
	message(&c, 1);
	opt(&c, 81, "\0\0\0x", 4);
	opt(&c, 55, "\1\3", 2);
	done(w, &c);
	check("from an old client: in ASCII",
	      gives(w, 81, "\x08\xff\xffguest.example.com", 20));
	message(&c, 1);
	opt(&c, 55, "\x51", 1);
	done(w, &c);
	check("only asked for: in labels",
	      gives(w, 81, "\x0c\xff\xff\5guest\7example\3com\0", 22));
	w->net.lease.fqdn[0] = '\0';
	post(w, &c);
	check("no --fqdn: no option", lacks(w, 81));
}

static void story_lease(struct world *w)
{
	struct client c;

	message(&c, 1);
	done(w, &c);
	w->net.lease.mtu = 0;
	w->net.lease.hostname[0] = '\0';
	post(w, &c);
	check("no MTU, no host name: no options", lacks(w, 26) && lacks(w, 12));
	w->net.lease.dhcp_dns = false;
	post(w, &c);
	check("--no-dhcp-dns: no resolvers", lacks(w, 6));
	w->net.lease.dhcp_search = false;
	post(w, &c);
	check("--no-dhcp-search: no domains", lacks(w, 15) && lacks(w, 119));

	w->net.lease.dhcp = false;
	post(w, &c);
	check("--no-dhcp: not ours to take", !answered(w) && !w->consumed);
	w->net.lease.dhcp = true;
	w->net.lease.addr[IP4] = ADDR_NONE;
	post(w, &c);
	check("no address: likewise", !answered(w) && !w->consumed);
}

static size_t reply_len(const struct world *w)
{
	size_t len;

	gets_nth(w, 0, &len);
	return len ? len - L3 : 0;
}

/* story_size_lease() - Make a lease whose options need more than 576 bytes */
static void story_size_lease(struct world *w)
{
	size_t i, n = 0;

	w->net.lease.search[0] = '\0';
	for (i = 0; n < LEASE_SEARCH - 20; i++)
		n += (size_t)sprintf(w->net.lease.search + n, "%sx%zu.d%zu.e%zu",
				     i ? " " : "", i, i, i);
	memset(w->net.lease.hostname, 'h', 255);
}

/* Given a lease whose options need more than 576 bytes, then the reply is no
 * longer than option 57 of the client allows. If the client sends no option 57,
 * the reply has at most 576 bytes. */
static void story_size(struct world *w)
{
	struct client c;
	size_t n;

	story_size_lease(w);
	message(&c, 1);
	done(w, &c);
	check("without option 57 a reply has 576 bytes at most",
	      type_of(w) == DHCP_OFFER && reply_len(w) <= 576);
	check("what fits is there, even behind what doesn't",
	      given(w, 12, &n) && n == 255 && lacks(w, 119));

	message(&c, 1);
	opt(&c, 57, "\0\x64", 2);
	done(w, &c);
	check("less than 576 is taken as that",
	      given(w, 12, &n) && reply_len(w) <= 576);

	message(&c, 1);
	opt(&c, 57, "\3\xe8", 2);
	done(w, &c);
	check("with 1000 bytes all fits", given(w, 119, &n) && given(w, 12, &n));
	check("and takes them", reply_len(w) > 576 && reply_len(w) <= 1000);

	message(&c, 1);
	opt(&c, 57, "\xff\xff", 2);
	done(w, &c);
	check("with 65535 bytes too", given(w, 119, &n));
}

/* wants_all() - Begin a message that asks for every option, without option
 * 57 */
static void wants_all(struct client *c)
{
	message(c, 1);
	opt(c, 55, "\x77\x51\x0f\x0c\x3b\x3a\x1a\6\x79\3\1", 11);
	opt(c, 81, "\5\0\0\1x\0", 6);
}

/* Given more options than the options field holds, then some are in the fields
 * file and sname. */
static void story_full(struct world *w)
{
	static const uint8_t codes[] = {
		1, 3, 121, 6, 26, 58, 59, 12, 15, 81, 119
	};
	struct client c;
	size_t i, len;
	bool all;

	w->net.lease.len[IP4] = 32;
	w->net.lease.router[IP4] = addr("203.0.113.1");
	snprintf(w->net.lease.search, sizeof(w->net.lease.search),
		 "a.b %063d.%063d.%060d", 1, 2, 3);
	memset(w->net.lease.hostname, 'h', 63);
	w->net.lease.hostname[63] = '\0';

	wants_all(&c);
	done(w, &c);
	for (all = true, i = 0; i < sizeof(codes); i++)
		all = all && given(w, codes[i], &len);
	check("a reply of 576 bytes at most has all options",
	      all && reply_len(w) <= 576);
	check("option 52 says where they are", gives(w, 52, "\3", 1));

	wants_all(&c);
	opt(&c, 57, "\5\xdc", 2);
	done(w, &c);
	check("where all fit in the options field, nothing else is used",
	      lacks(w, 52) && given(w, 119, &len));

	memset(w->net.lease.fqdn, 'f', 63);
	w->net.lease.fqdn[63] = '.';
	memset(w->net.lease.fqdn + 64, 'f', 63);
	memset(w->net.lease.hostname, 'h', 127);
	wants_all(&c);
	done(w, &c);
	for (all = true, i = 0; i < 8; i++)
		all = all && given(w, codes[i], &len);
	check("even then, what a guest needs comes before what it may lack",
	      all && lacks(w, 119) && reply_len(w) <= 576);
}

/* Given an MTU up to 576, then a reply is one unfragmented packet of at most
 * 576 bytes, which every host has to accept. Given a larger MTU, then a reply
 * is no longer than the MTU. */
static void story_mtu(struct world *w)
{
	static const uint32_t mtu[] = { 68, 300, 576 };
	struct client c;
	size_t i, len;

	story_size_lease(w);
	for (i = 0; i < ARRAY_SIZE(mtu); i++) {
		w->net.lease.mtu = w->net.mtu = mtu[i];
		wants_all(&c);
		opt(&c, 57, "\5\xdc", 2);
		done(w, &c);
		check("one packet of 576 bytes at most, whatever the MTU",
		      type_of(w) == DHCP_OFFER && reply_len(w) <= 576);
		check("which is no fragment",
		      !(get_be16(gets_nth(w, 0, &len) + L3 + 6) & 0x3fff));
	}
	w->net.lease.mtu = w->net.mtu = 900;
	post(w, &c);
	check("one packet of no more than the MTU",
	      type_of(w) == DHCP_OFFER && reply_len(w) > 576 &&
	      reply_len(w) <= 900);
}

/* Given a search list of more than 255 bytes, then two options carry it (RFC
 * 3396). */
static void story_long(struct world *w)
{
	static const uint8_t label[] = { 63 };
	const uint8_t *o;
	struct client c;
	size_t len;

	snprintf(w->net.lease.search, sizeof(w->net.lease.search),
		 "%063d.%063d.%063d.%062d", 1, 2, 3, 4);
	message(&c, 1);
	opt(&c, 57, "\5\xdc", 2);
	done(w, &c);
	o = given(w, 119, &len);
	check("a name too long for DNS is left out", answered(w) && !o);

	snprintf(w->net.lease.search, sizeof(w->net.lease.search),
		 "%063d.%063d.%063d %058d b", 1, 2, 3, 4);
	done(w, &c);
	o = given(w, 119, &len);
	if (!check("a longer list is there", o) ||
	    !check_eq("its first part is full", len, 255))
		return;
	check_mem("it begins with the first name", o, label, 1);
	check_mem("and goes on in a second part", o + 255, "\x77\1\0\xff", 4);
}

/* Given a message with options in the fields sname and file, then passt reads
 * these options if option 52 of the message says that they are there. */
static void story_overload(struct world *w)
{
	struct client c;
	char buf[256];

	message(&c, 1);
	opt(&c, 52, "\3", 1);
	memcpy(c.h->file, "\x37\1\6\xff", 4);
	memcpy(c.h->sname, "\x37\1\x0c\xff", 4);
	done(w, &c);
	check_str("options in file, then sname", order(w, buf),
		  "53 54 51 58 59 6 12 255");

	message(&c, 1);
	memcpy(c.h->file, "\x37\1\6\xff", 4);
	done(w, &c);
	check("not when 52 doesn't say so", given(w, 1, &(size_t){ 0 }));

	message(&c, 1);
	opt(&c, 52, "\1", 1);
	memset(c.h->file, 0, sizeof(c.h->file));
	memcpy(c.h->file + 126, "\x37\2", 2);
	done(w, &c);
	check("an option beyond the end of file: dropped", !answered(w));

	message(&c, 1);
	opt(&c, 52, "\2", 1);
	memset(c.h->sname, 0, sizeof(c.h->sname));
	memcpy(c.h->sname, "\x34\1\3", 3);
	done(w, &c);
	check("52 inside of sname is harmless", answered(w));
}

static void story_malformed(struct world *w)
{
	static const struct {
		const char *name;
		uint8_t code, len;
	} bad[] = {
		{ "option 50 of 3 bytes: dropped", 50, 3 },
		{ "option 52 of none: dropped", 52, 0 },
		{ "option 53 of 2: dropped", 53, 2 },
		{ "option 54 of 5: dropped", 54, 5 },
		{ "option 57 of 1: dropped", 57, 1 },
		{ "option 80 of 1: dropped", 80, 1 },
		{ "option 81 of 2: dropped", 81, 2 },
	};
	struct client c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		message(&c, 1);
		opt(&c, bad[i].code, "\1\1\1\1\1", bad[i].len);
		done(w, &c);
		check(bad[i].name, w->consumed && !answered(w));
	}
	message(&c, 1);
	c.h->hlen = 17;
	done(w, &c);
	check("a hardware address of 17 bytes: dropped", !answered(w));

	message(&c, 1);
	msgbuf_put(&c.m, "\x0c\4abc", 5);
	post(w, &c);
	check("an option beyond the end: dropped", !answered(w));
	message(&c, 1);
	post(w, &c);
	check("no end, but whole options: answered", answered(w));
	message(&c, 1);
	msgbuf_zero(&c.m, 1464 - 1 - (c.m.len - 8));
	done(w, &c);
	check("padding to 1464 bytes: answered", answered(w));
	message(&c, 1);
	msgbuf_zero(&c.m, 1473 - (c.m.len - 8));
	post(w, &c);
	check("more than fits a frame of 1500: dropped", !answered(w));
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
	c->m.len = whole;
	return n;
}

static void story_lengths(struct world *w)
{
	static const struct {
		const char *name;
		uint8_t type;
		unsigned int replies;
	} all[] = {
		/* A message that is truncated to 236 to 240 bytes is BOOTP, so
		 * 5 lengths get a reply. Longer ones get a reply only if they
		 * end after a whole option. */
		{ "DISCOVER at every length", 1, 5 + 6 },
		{ "REQUEST at every length", 3, 5 + 6 },
		{ "DECLINE at every length", 4, 5 },
		{ "RELEASE at every length", 7, 5 },
		{ "INFORM at every length", 8, 5 + 6 },
	};
	struct client c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		message(&c, all[i].type);
		c.h->ciaddr.s_addr = htonl(0xc000020f);
		opt(&c, 50, OURS, 4);
		opt(&c, 55, "\1\3\6\x0c", 4);
		opt(&c, 57, "\5\xdc", 2);
		opt(&c, 81, "\5\0\0\1x\0", 6);
		msgbuf_u8(&c.m, 255);
		check_eq(all[i].name, every_length(w, &c), all[i].replies);
	}
}

int main(void)
{
	static void (*const stories[])(struct world *w) = {
		story_discover, story_order, story_request, story_nak,
		story_renew, story_destination, story_inform, story_no_reply,
		story_rapid, story_bootp, story_routes, story_fqdn,
		story_lease, story_size, story_full, story_mtu, story_long, story_overload,
		story_malformed, story_lengths,
	};

	return tell(stories, ARRAY_SIZE(stories));
}
