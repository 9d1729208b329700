// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * tcp_discard.c - Tests of when passt removes bytes from its socket that the
 * guest has acknowledged. passt leaves short answers there for a short time,
 * and removes several in one call. It removes all other bytes immediately. Each
 * pass of the loop takes 1 ms.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "../../tcp.c"
#include "test/unit/way.h"

/* left_in_socket() - Return the number of bytes in the flow's socket */
static int left_in_socket(void)
{
	int n = -1;

	if (the_flow())
		ioctl(the_flow()->flow.fd[SIDE_HOST], FIONREAD, &n);
	return n;
}

/* exchange() - Have the guest send so many bytes, and with them the ACK that it
 * has delayed, and then the peer; then let @ms pass */
static void exchange(unsigned int request, unsigned int reply, unsigned int ms)
{
	guest.tx_total += request;
	end_turn(&end_one);
	turn(&w);
	end_one.tx_total = guest.rx_total = end_one.tx + reply;
	for (; ms; ms--) {
		end_turn(&end_one);
		turn(&w);
	}
}

/* finishes() - Let both ends send FIN, and check that all has arrived */
static void finishes(const struct way *y, const char *name)
{
	guest.tx_fin = true;
	end_one.shut = false;
	transfer(y, -1);
	if (end_well(name, &end_one))
		pass(name);
	ends(name);
}

/* Given short answers of the peer, each of which the guest acknowledges with
 * its next request, then passt leaves these answers in the socket for a short
 * time, and removes several in one call. It removes all other acknowledged
 * bytes at once. When the connection ends while such answers are in the socket,
 * then both ends get FIN, and no RST (T7). */
static void story_short_answers(void)
{
	const struct way y = { V4, .no_fin = true };
	unsigned int i;

	begins(&y);
	guest.delay = true;
	for (i = 0; i < 8; i++)
		exchange(10, 10, 3);
	check_eq("seven short answers, and one without ACK, are in the socket",
		 left_in_socket(), 80);
	exchange(10, 0, 3);
	check_eq("the eighth is removed with the others", left_in_socket(), 0);

	for (i = 0; i < 3; i++)
		exchange(10, 1400, 3);
	check_eq("two longer ones stay", left_in_socket(), 4200);
	exchange(10, 0, 3);
	check_eq("three do not", left_in_socket(), 0);

	exchange(10, 10, 3);
	exchange(10, 10, 90);
	check_eq("after 90 ms, no answer is in the socket but the first",
		 left_in_socket(), 0);
	exchange(10, 10, 3);
	exchange(10, 0, 90);
	check_eq("after 90 ms, an answer is still there", left_in_socket(), 10);
	turns(&w, 15);
	check_eq("after 105 ms, it is removed", left_in_socket(), 0);

	guest.delay = false;
	exchange(10, 10, 3);
	check_eq("an answer whose ACK comes alone is removed at once",
		 left_in_socket(), 0);
	guest.delay = true;
	exchange(10, 10, 3);
	exchange(10, 0, 3);
	check_eq("an answer is in the socket at the end", left_in_socket(), 10);
	finishes(&y, "an end after a short answer");
}

/* Given an answer that is lost on its way to the guest, while answers that the
 * guest has acknowledged are still in the socket before it, then the right
 * bytes are sent again. */
static void story_answer_lost(void)
{
	const struct way y = { V4, .no_fin = true };
	unsigned int i, kept = 0;
	int on = 1;

	begins(&y);
	setsockopt(end_one.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	guest.delay = true;
	for (i = 0; i < 5; i++)
		exchange(10, 100 + i, 3);
	exchange(10, 0, 3);
	check_eq("five answers are in the socket", the_flow()->conn.discard,
		 510);
	end_one.tx_total = guest.rx_total = end_one.tx + 200;
	w.loss = 1000;
	end_turn(&end_one);
	turn(&w);
	w.loss = 0;
	for (i = 0; i < 5 && !w.tcp.count[TCP_RETRANSMIT]; i++) {
		kept = the_flow()->conn.discard;
		exchange(0, 300, 1);
	}
	check_eq("the sixth, which was lost, is sent again",
		 w.tcp.count[TCP_RETRANSMIT], 1);
	check_eq("the five were still there", kept, 510);
	finishes(&y, "a lost answer behind others");
}

/* Given a kernel without SO_PEEK_OFF, which passt has found out while the
 * socket has an answer that the guest has acknowledged, when urgent data
 * follows, then the guest gets it at once. */
static void story_urgent_behind_answer(void)
{
	const struct way y = { V4, .no_fin = true };
	uint8_t b;

	begins(&y);
	guest.delay = true;
	exchange(10, 10, 3);
	exchange(10, 0, 3);
	check_eq("an answer is in the socket", left_in_socket(), 10);
	w.tcp.no_peek_off = true;
	b = stream_byte(guest.pport, end_one.tx++);
	end_one.tx_total = guest.rx_total = end_one.tx;
	send(end_one.fd, &b, 1, MSG_OOB);
	turns(&w, 5);
	check_eq("urgent data behind it arrives", guest_received(&guest), 11);
	finishes(&y, "urgent data behind an answer");
}

/* Given a guest that sends its last data, its FIN, and the ACK of the peer's
 * data and FIN in one segment, then the peer gets FIN, and no RST (T7, T10). */
static void story_all_in_last_segment(void)
{
	char buf[200] = { 0 };
	int listener, n;
	uint32_t ack = by_hand(&listener);

	send(end_one.fd, buf, 10, 0);
	turns(&w, 5);
	shutdown(end_one.fd, SHUT_WR);
	turns(&w, 5);
	segment(SEG_ACK | SEG_FIN, 1001, ack + 11, 100);
	turns(&w, 5);
	n = (int)recv(end_one.fd, buf, sizeof(buf), MSG_DONTWAIT);
	check_eq("the peer gets the guest's last data", n, 100);
	n = (int)recv(end_one.fd, buf, sizeof(buf), MSG_DONTWAIT);
	check_eq("and FIN, not RST", n, 0);
	close(listener);
	ends("a last segment with everything");
}

/* Given short answers, some of which are lost at random, then both ends get
 * every byte. */
static void story_short_answers_lost(const char *name, bool no_peek_off)
{
	const struct way y = { V4, .no_peek_off = no_peek_off, .no_fin = true };
	unsigned int i, kept = 0;

	begins(&y);
	w.loss = 100;
	guest.delay = true;
	for (i = 0; i < 1000; i++) {
		exchange(1, 1 + i % 100, i % 20 < 15 ? 3 : 1);
		kept += the_flow()->conn.discard != 0;
	}
	check(no_peek_off ? "without SO_PEEK_OFF no answer stays" :
	      "answers stay in the socket", no_peek_off ? !kept : kept > 100);
	w.loss = 0;
	finishes(&y, name);
}

int main(void)
{
	story_short_answers();
	story_answer_lost();
	story_urgent_behind_answer();
	story_all_in_last_segment();
	story_short_answers_lost("short answers, some lost", false);
	story_short_answers_lost("short answers, some lost, without SO_PEEK_OFF",
				 true);
	return unit_end();
}
