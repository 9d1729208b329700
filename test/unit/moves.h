/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * moves.h - All that may happen in the world of world.h. For each move there is
 * a function that says whether the move is possible, and one that makes it.
 */
#ifndef TEST_UNIT_MOVES_H
#define TEST_UNIT_MOVES_H

#include "test/unit/world.h"

/* Whether a move uses up one of the faults that the bounds allow: never,
 * always, or only while segments are on their way. */
enum cost { FREE, FAULT, EARLY };

struct move {
	const char *name;
	enum cost cost;
	bool (*can)(void);
	void (*make)(void);
};

/* ---- The link ---- */

static bool has_to_guest(void)
{
	return w.n[TO_GUEST];
}

static bool has_from_guest(void)
{
	return w.n[FROM_GUEST];
}

static bool has_two_to_guest(void)
{
	return w.n[TO_GUEST] > 1;
}

static bool has_two_from_guest(void)
{
	return w.n[FROM_GUEST] > 1;
}

static void guest_gets(void)
{
	deliver(TO_GUEST, 0, false);
}

static void passt_gets(void)
{
	deliver(FROM_GUEST, 0, false);
}

static void guest_gets_second(void)
{
	deliver(TO_GUEST, 1, false);
}

static void passt_gets_second(void)
{
	deliver(FROM_GUEST, 1, false);
}

static void guest_gets_copy(void)
{
	deliver(TO_GUEST, 0, true);
}

static void passt_gets_copy(void)
{
	deliver(FROM_GUEST, 0, true);
}

static void lose_to_guest(void)
{
	take(TO_GUEST, 0);
}

static void lose_from_guest(void)
{
	take(FROM_GUEST, 0);
}

static bool has_payload_from_guest(void)
{
	return w.n[FROM_GUEST] && w.link[FROM_GUEST][0].len && !m.rxring.buf;
}

/* ---- The guest ---- */

static bool guest_may_write(void)
{
	return w.g.state == MINI_OPEN && !w.g.fin &&
	       w.g.written < (uint32_t)w.b->up * w.b->chunk;
}

static void guest_writes(void)
{
	w.written += w.b->chunk;
	w.g.written += w.b->chunk;
	mini_pump(&w.g);
}

static bool guest_may_close(void)
{
	return w.g.state == MINI_OPEN && !w.g.fin;
}

static void guest_closes(void)
{
	w.g.fin = true;
	mini_pump(&w.g);
}

static bool guest_may_read(void)
{
	return w.g.unread;
}

static void guest_reads(void)
{
	w.g.unread = 0;
	mini_ack(&w.g);
}

/* excuse() - Allow that from now on an end gets RST and bytes are lost */
static void excuse(void)
{
	w.may_reset = w.may_lose = true;
}

static bool guest_may_abort(void)
{
	return w.b->resets && w.g.state != MINI_CLOSED;
}

static void guest_aborts(void)
{
	enum mini_state old = w.g.state;

	excuse();
	if (old == MINI_SYN_RCVD || old == MINI_OPEN)
		mini_emit(&w.g, SEG_RST | SEG_ACK, w.g.snd_nxt, 0);
	mini_close(&w.g, true);
}

static bool guest_timer_runs(void)
{
	return mini_waits(&w.g);
}

static void guest_times_out(void)
{
	mini_timeout(&w.g);
}

/* guest_may_probe() - Whether the guest has nothing to send, and nothing is on
 * its way */
static bool guest_may_probe(void)
{
	return w.g.state == MINI_OPEN && !mini_waits(&w.g);
}

static void guest_probes(void)
{
	mini_keepalive(&w.g);
}

static bool guest_in_time_wait(void)
{
	return w.g.state == MINI_TIME_WAIT;
}

/* guest_forgets() - Let the guest's TIME-WAIT end. If passt still repeats its
 * FIN, the guest answers it by RST */
static void guest_forgets(void)
{
	if (!m.removed)
		excuse();
	mini_close(&w.g, false);
}

/* guest_may_give_up() - Whether the guest waits for SYN-ACK, but there is no
 * flow any more */
static bool guest_may_give_up(void)
{
	return m.removed && w.may_lose &&
	       (w.g.state == MINI_SYN_SENT || w.g.state == MINI_LISTEN);
}

static void guest_gives_up(void)
{
	mini_close(&w.g, true);
}

/* ---- The peer and its socket ---- */

static bool connecting(void)
{
	return w.opened && !m.removed && m.c.phase == CONN_CONNECTING;
}

static void connects(void)
{
	machine_connected(&m);
}

static bool may_fail(void)
{
	return w.b->resets && connecting();
}

static void is_refused(void)
{
	excuse();
	conn_connect_failed(&m.c, true);
	machine_do_actions(&m);
}

static void is_unreachable(void)
{
	excuse();
	conn_connect_failed(&m.c, false);
	machine_do_actions(&m);
}

static bool peer_is_there(void)
{
	return w.opened && !m.removed && !m.closed && !connecting();
}

static bool peer_may_send(void)
{
	return peer_is_there() && !m.fin &&
	       m.arrived < (uint32_t)w.b->down * w.b->chunk;
}

static void peer_sends(void)
{
	machine_arrives(&m, w.b->chunk, false);
}

static bool peer_may_end(void)
{
	return peer_is_there() && !m.fin;
}

static void peer_ends(void)
{
	machine_arrives(&m, 0, true);
}

static void peer_sends_last(void)
{
	machine_arrives(&m, w.b->chunk, true);
}

static bool peer_may_reset(void)
{
	return w.b->resets && peer_is_there();
}

static void peer_resets(void)
{
	excuse();
	conn_peer_error(&m.c);
	machine_do_actions(&m);
}

static bool peer_may_read(void)
{
	return m.buffered;
}

static void peer_reads(void)
{
	machine_drain(&m, m.buffered);
}

/* ---- Timers of the connection ---- */

static bool ack_waits(void)
{
	return w.opened && !m.removed && m.c.ack_due;
}

static bool timer_runs(void)
{
	return w.opened && !m.removed && m.c.timer != CONN_TIMER_NONE;
}

static void timer_fires(void)
{
	if (m.c.timer == CONN_TIMER_TIME_WAIT)
		w.may_reset = true;
	timer_expires(false);
}

static bool may_be_last(void)
{
	return timer_runs() && m.c.tries >= TRIES_MANY &&
	       m.c.timer != CONN_TIMER_TIME_WAIT;
}

static void timer_gives_up(void)
{
	excuse();
	timer_expires(true);
	MUST(&m, m.removed && m.rst_guest && m.rst_peer);
}

static bool stall_runs(void)
{
	return !m.removed && m.c.stall_at > NOW;
}

static const struct move moves[] = {
	{ "the guest receives", FREE, has_to_guest, guest_gets },
	{ "passt receives", FREE, has_from_guest, passt_gets },
	{ "passt receives a batch", FREE, has_two_from_guest, deliver_both },
	{ "the socket connects", FREE, connecting, connects },
	{ "the guest reads", FREE, guest_may_read, guest_reads },
	{ "the peer reads", FREE, peer_may_read, peer_reads },
	{ "the guest writes", FREE, guest_may_write, guest_writes },
	{ "the peer sends", FREE, peer_may_send, peer_sends },
	{ "the guest closes", FREE, guest_may_close, guest_closes },
	{ "the peer closes", FREE, peer_may_end, peer_ends },
	{ "the peer sends and closes", FREE, peer_may_send, peer_sends_last },
	{ "the delayed ACK is due", FREE, ack_waits, ack_expires },
	{ "the guest gives up its SYN", FREE, guest_may_give_up,
	  guest_gives_up },
	{ "the guest's timer fires", EARLY, guest_timer_runs, guest_times_out },
	{ "passt's timer fires", EARLY, timer_runs, timer_fires },
	{ "the guest's TIME-WAIT ends", EARLY, guest_in_time_wait,
	  guest_forgets },
	{ "the guest probes", EARLY, guest_may_probe, guest_probes },
	{ "passt gives up", EARLY, may_be_last, timer_gives_up },
	{ "a minute passes", EARLY, stall_runs, minute_passes },
	{ "the connection is refused", FREE, may_fail, is_refused },
	{ "the peer is unreachable", FREE, may_fail, is_unreachable },
	{ "the guest resets", FREE, guest_may_abort, guest_aborts },
	{ "the peer resets", FREE, peer_may_reset, peer_resets },
	{ "the guest receives the second segment", FAULT, has_two_to_guest,
	  guest_gets_second },
	{ "passt receives the second segment", FAULT, has_two_from_guest,
	  passt_gets_second },
	{ "the guest receives a copy", FAULT, has_to_guest, guest_gets_copy },
	{ "passt receives a copy", FAULT, has_from_guest, passt_gets_copy },
	{ "a segment to the guest is lost", FAULT, has_to_guest,
	  lose_to_guest },
	{ "a segment from the guest is lost", FAULT, has_from_guest,
	  lose_from_guest },
	{ "passt receives, but has no memory", FAULT, has_payload_from_guest,
	  deliver_without_memory },
};

/* cost_of() - Number of faults that a move uses up now */
static uint8_t cost_of(const struct move *move)
{
	if (move->cost == EARLY)
		return w.n[TO_GUEST] || w.n[FROM_GUEST];
	return move->cost == FAULT;
}

/* can_make() - Whether a move is possible now, within the bounds */
static bool can_make(const struct move *move)
{
	return move->can() && w.faults + cost_of(move) <= w.b->faults;
}

/* check_close() - Check the socket when it is closed: it must have all data of
 * the guest, and its unread data would make the host's kernel send RST */
static void check_close(void)
{
	MUST(&m, !m.rst_peer);
	MUST(&m, m.took == w.written);
	MUST(&m, m.discarded == m.arrived);
}

/* make_move() - Make a move, and let the pass of the event loop end; check what
 * must be true afterwards */
static void make_move(const struct move *move)
{
	bool fresh = m.c.timer != CONN_TIMER_RTO;
	bool had_socket = w.opened && !m.removed && !m.closed;
	uint32_t acked = m.c.snd_una;

	w.faults += cost_of(move);
	move->make();
	if (!w.opened)
		return;
	machine_pass_end(&m);
	/* Without an answer of the guest, no try was counted. */
	MUST(&m, !m.c.tries || m.c.timer != CONN_TIMER_RTO ||
	     (!fresh && m.c.snd_una == acked));
	if (had_socket && (m.removed || m.closed) && !w.may_lose)
		check_close();
}

/*
 * next_honest() - Choose the move by which the world goes on if the link loses
 * nothing and both ends send all and close.
 * Return: NULL if no move is left
 *
 * The moves are tried in the order of the table. Only after a reset may one end
 * have to find out by a probe that the other has gone.
 */
static const struct move *next_honest(void)
{
	const struct move *move = moves;

	for (; move->make != timer_gives_up; move++) {
		if (!move->can() || move->make == deliver_both ||
		    move->make == peer_sends_last)
			continue;
		if (move->make == timer_fires && !w.may_lose &&
		    m.c.timer == CONN_TIMER_IDLE)
			continue;
		if (move->make == guest_probes && !w.may_lose)
			continue;
		if (move->make == guest_forgets && !w.may_lose && !m.removed)
			continue;
		return move;
	}
	return NULL;
}

/* has_ended() - Whether both ends have forgotten the connection, and no segment
 * is on its way */
static bool has_ended(void)
{
	return (m.removed || !w.opened) && w.g.state == MINI_CLOSED &&
	       !w.n[TO_GUEST] && !w.n[FROM_GUEST] &&
	       m.c.timer == CONN_TIMER_NONE && !m.rxring.buf;
}

#endif /* TEST_UNIT_MOVES_H */
