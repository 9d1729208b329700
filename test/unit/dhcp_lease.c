// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * dhcp_lease.c - Times of a DHCP lease, and the reply that a client gets in
 * each of its states (RFC 2131 4.3.2) after the lease has changed.
 */
#include "../../answer/dhcp.c"
#include "test/unit/answer.h"
#include "test/unit/dhcp.h"

/* Given a lease time, then T1 is half of it, but at most 5 minutes, and T2 is
 * 7/8 of the lease time. */
static void story_times(struct world *w)
{
	static const struct {
		const char *name;
		uint32_t time;
		const char *t1, *t2;
	} all[] = {
		{ "a lease of a day: T1 is 5 minutes, T2 is 21 hours",
		  86400, "\0\0\1\x2c", "\0\1\x27\x50" },
		{ "a lease of 20 s: T1 is half of it", 20, "\0\0\0\x0a",
		  "\0\0\0\x12" },
		{ "a lease of 600 s: T1 is both", 600, "\0\0\1\x2c",
		  "\0\0\2\x0d" },
		{ "the longest lease but an infinite one", 0xfffffffe,
		  "\0\0\1\x2c", "\xdf\xff\xff\xff" },
	};
	struct client c;
	uint8_t be[4];
	char buf[256];
	size_t i;

	message(&c, 3);
	opt(&c, 50, OURS, 4);
	opt(&c, 55, "\1", 1);
	done(w, &c);
	check_str("T1 and T2 come, although not asked for", order(w, buf),
		  "53 54 51 58 59 1 255");
	for (i = 0; i < ARRAY_SIZE(all); i++) {
		w->net.lease.time = all[i].time;
		put_be32(be, all[i].time);
		post(w, &c);
		check(all[i].name, gives(w, 51, be, 4) &&
		      gives(w, 58, all[i].t1, 4) && gives(w, 59, all[i].t2, 4));
	}

	w->net.lease.time = LEASE_INFINITE;
	post(w, &c);
	check_str("an infinite lease: no T1, no T2", order(w, buf),
		  "53 54 51 1 255");
	check("and a time without end", gives(w, 51, "\xff\xff\xff\xff", 4));
	message(&c, 1);
	opt(&c, 55, "\x3b\1\x3a", 3);
	done(w, &c);
	check_str("unless they are asked for", order(w, buf),
		  "53 54 51 59 1 58 255");
	check("then they are infinite, too",
	      gives(w, 58, "\xff\xff\xff\xff", 4) &&
	      gives(w, 59, "\xff\xff\xff\xff", 4));
}

/* States of a client that sends REQUEST (RFC 2131 4.3.2). */
enum state { SELECTING, INIT_REBOOT, RENEWING, REBINDING, STATES };

/* request() - Send REQUEST for @address, as a client in @state whose server was
 * @server; return the type of the reply, 0: none */
static uint8_t request(struct world *w, enum state state, const char *address,
		       const char *server)
{
	struct in6_addr a = addr(address), s = addr(server);
	struct client c;

	message(&c, 3);
	if (state == SELECTING)
		opt(&c, 54, &s.s6_addr[12], 4);
	if (state == SELECTING || state == INIT_REBOOT) {
		opt(&c, 50, &a.s6_addr[12], 4);
	} else {
		c.src = address;
		c.h->ciaddr = addr_v4(&a);
	}
	if (state == RENEWING)
		c.dst = server;
	done(w, &c);
	return answered(w) && given(w, 53, &(size_t){ 0 }) ?
	       *given(w, 53, &(size_t){ 0 }) : 0;
}

/* answers() - Send REQUEST in each state; return the types of the replies, each
 * as a digit */
static const char *answers(struct world *w, const char *address,
			   const char *server)
{
	static char buf[STATES + 1];
	enum state s;

	for (s = SELECTING; s < STATES; s++)
		buf[s] = (char)('0' + request(w, s, address, server));
	return buf;
}

/* Given a lease whose address has changed, then REQUEST for the old address
 * gets NAK, and REQUEST for the new one gets ACK, in each state of the
 * client. */
static void story_address(struct world *w)
{
	struct lease old = w->net.lease;

	check_str("before the change: ACK in each state",
		  answers(w, "192.0.2.15", "192.0.2.1"), "5555");
	w->net.lease.addr[IP4] = addr("198.51.100.15");
	change(w, &old);
	check_str("after it: NAK in each state",
		  answers(w, "192.0.2.15", "192.0.2.1"), "6666");
	check_str("for the new address: ACK",
		  answers(w, "198.51.100.15", "192.0.2.1"), "5555");
}

/* Given a router whose address has changed, then passt, which is the DHCP
 * server at this address, still answers clients that know its old address. */
static void story_server(struct world *w)
{
	struct lease first = w->net.lease, old = first;

	w->net.lease.router[IP4] = addr("192.0.2.7");
	change(w, &old);
	check_str("another router: the address is acknowledged",
		  answers(w, "192.0.2.15", "192.0.2.1"), "5555");
	request(w, RENEWING, "192.0.2.15", "192.0.2.1");
	check("by the new server", gives(w, 54, "\xc0\0\2\7", 4) &&
	      gives(w, 3, "\xc0\0\2\7", 4));
	check_mem("from its address", gets_nth(w, 0, &(size_t){ 0 }) + L3 + 12,
		  "\xc0\0\2\7", 4);

	old = w->net.lease;
	w->net.lease.addr[IP4] = addr("198.51.100.15");
	w->net.lease.router[IP4] = addr("198.51.100.1");
	change(w, &old);
	check_str("another network: NAK to clients of the first server",
		  answers(w, "192.0.2.15", "192.0.2.1"), "6666");
	check_str("and to those of the second",
		  answers(w, "192.0.2.15", "192.0.2.7"), "6666");
	request(w, SELECTING, "192.0.2.15", "192.0.2.1");
	check("NAK in the name of the server that the client has selected",
	      gives(w, 54, "\xc0\0\2\1", 4));
	check_str("not to those of servers that were never ours",
		  answers(w, "192.0.2.15", "192.0.2.8"), "0606");

	answer_guest_up(&w->answer, w->now);
	check_str("the next guest knows the newest one only",
		  answers(w, "192.0.2.15", "192.0.2.7"), "0606");
}

/* Given no connected guest, when the router's address changes, then passt does
 * not remember the old address. */
static void story_nobody(struct world *w)
{
	struct lease old = w->net.lease;

	w->net.lease.router[IP4] = addr("192.0.2.7");
	link_close(&w->mem.link);
	answer_lease_changed(&w->answer, &old, w->now);
	check("no guest: no server is remembered", !w->answer.past.server.n);
}

int main(void)
{
	static void (*const stories[])(struct world *w) = {
		story_times, story_address, story_server, story_nobody,
	};

	return tell(stories, ARRAY_SIZE(stories));
}
