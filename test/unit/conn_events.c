// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conn_events.c - One table says what a TCP connection does on each event in
 * each state; the test tries all combinations.
 */
#include "../../tcp/conn.c"
#include "../../tcp/conn_timer.c"
#include "test/unit/story.h"

/* ---- Events ---- */

static void own_syn(void)
{
	got(SEG_SYN, 0, 0, 0);
}

static void new_syn(void)
{
	got(SEG_SYN, nxt() + 5000, 0, 0);
}

static void syn_ack(void)
{
	got(SEG_SYN | SEG_ACK, 0, max(), 0);
}

static void syn_ack_wrong(void)
{
	got(SEG_SYN | SEG_ACK, 0, max() + 1, 0);
}

static void ack_all(void)
{
	got(SEG_ACK, nxt(), max(), 0);
}

static void ack_unsent(void)
{
	got(SEG_ACK, nxt(), max() + 1, 0);
}

static void ack_stale(void)
{
	got(SEG_ACK, nxt(), una() - c.wnd_max - 1, 0);
}

static void wider(void)
{
	wnd = 30000;
	got(SEG_ACK, nxt(), una(), 0);
}

static void data_next(void)
{
	struct new_payload t = got(SEG_ACK, nxt(), max(), 100);

	if (t.len)
		conn_delivered(&c, t.len, now);
}

static void data_ahead(void)
{
	struct new_payload t = got(SEG_ACK, nxt() + 100, max(), 100);

	if (t.len)
		conn_ooo_stored(&c, t.seq, t.len);
}

static void data_again(void)
{
	got(SEG_ACK, nxt() - 50, max(), 50);
}

static void fin(void)
{
	got(SEG_FIN | SEG_ACK, nxt(), una(), 0);
}

static void fin_again(void)
{
	got(SEG_FIN | SEG_ACK, nxt() - 1, una(), 0);
}

static void rst_exact(void)
{
	got(SEG_RST, nxt(), 0, 0);
}

static void rst_inside(void)
{
	got(SEG_RST, nxt() + 1, 0, 0);
}

static void rst_outside(void)
{
	got(SEG_RST, nxt() - 1, 0, 0);
}

static void rst_ack(void)
{
	got(SEG_RST | SEG_ACK, nxt(), max(), 0);
}

static void no_bits(void)
{
	got(0, nxt(), 0, 10);
}

static void keepalive(void)
{
	got(SEG_ACK, nxt() - 1, una(), 0);
}

static void connected(void)
{
	conn_connected(&c, now);
}

static void refused(void)
{
	conn_connect_failed(&c, true);
}

static void unreachable(void)
{
	conn_connect_failed(&c, false);
}

static void peer_fin(void)
{
	conn_eof(&c);
}

static void peer_rst(void)
{
	conn_peer_error(&c);
}

static void aborted(void)
{
	conn_abort(&c);
}

static void more_space(void)
{
	space(200000);
}

static void time_passes(void)
{
	if (c.timer == CONN_TIMER_NONE)
		conn_timeout(&c, now + TCP_IDLE);
	else
		at_deadline();
}

/* ---- The table ----
 *
 * Each cell is for one event in one state. It has the phase after the event,
 * and the actions that the event causes. The columns are the states of the
 * array states[], in this order.
 *
 * Phases: = unchanged, s syn-acked, o open, w time-wait, x closed; ! means that
 * the event can't happen in this state (conn.h).
 *
 * Actions (CONN_DO_*): D discard, W rewind, F shut down, K keep-alive, S SYN,
 * R retransmit, P probe, T send, A ACK, U duplicate ACK, C challenge ACK,
 * X refuse, G RST to the guest, H RST to the peer, L close the socket,
 * Z remove.
 */
static const struct {
	void (*event)(void);
	const char *name, *cells;
} table[] = {
	/* The columns are the states of the connection, from left to right:
	 * connecting, syn-acked, syn-sent, established, close-wait,
	 * fin-wait-1, fin-wait-2, closing, last-ack, time-wait, closed. */
	{ own_syn, "its own SYN again",
	  "=    =S   sS   =C   =C   =C   =C   =C   =C   =A   =" },
	{ new_syn, "another SYN",
	  "=    =C   sS   =C   =C   =C   =C   =C   =C   =A   =" },
	{ syn_ack, "a SYN-ACK",
	  "=    oTA  oTA  =C   =C   =C   =C   =C   =C   =A   =" },
	{ syn_ack_wrong, "a SYN-ACK for no SYN of ours",
	  "=    =X   =X   =C   =C   =C   =C   =C   =C   =A   =" },
	{ ack_all, "an ACK of all that was sent",
	  "=    oT   =    =DT  =DT  =DT  =    wTL  xDZ  =    =" },
	{ ack_unsent, "an ACK of what was never sent",
	  "=    =X   =X   =C   =C   =C   =C   =C   =C   =    =" },
	{ ack_stale, "an ACK older than any window",
	  "=    =X   =X   =C   =C   =C   =C   =C   =C   =    =" },
	{ wider, "a wider window",
	  "=    =X   =X   =T   =T   =T   =T   =T   =T   =    =" },
	{ data_next, "data",
	  "=    oTA  =    =DTA =DT  =DTA =A   wTL  xDZ  =A   =" },
	{ data_ahead, "data after a gap",
	  "=    oTU  =    =DTU =DT  =DTU =U   wTL  xDZ  =A   =" },
	{ data_again, "data again",
	  "=    =A   =    =A   =A   =A   =A   =A   =A   =A   =" },
	{ fin, "FIN",
	  "=    =X   =X   =FA  =A   =FA  wFAL =A   =A   =A   =" },
	{ fin_again, "FIN again",
	  "=    =A   =X   =A   =A   =A   =A   =A   =A   =A   =" },
	{ rst_exact, "RST",
	  "xHZ  xHZ  =    xHZ  xHZ  xHZ  xHZ  xHZ  xHZ  xHZ  =" },
	{ rst_inside, "RST in the window, with a wrong number",
	  "=    =C   =    =C   =C   =C   =C   =C   =C   =C   =" },
	{ rst_outside, "RST outside the window",
	  "=    =    =    =    =    =    =    =    =    =    =" },
	{ rst_ack, "RST with an ACK",
	  "xHZ  xHZ  xHZ  xHZ  xHZ  xHZ  xHZ  xHZ  xHZ  xHZ  =" },
	{ no_bits, "data without ACK",
	  "=    =    =    =    =    =    =    =    =    =A   =" },
	{ keepalive, "a keep-alive probe",
	  "=    =KA  =X   =KA  =KA  =KA  =KA  =KA  =KA  =A   =" },
	{ connected, "the socket has connected",
	  "sS   !    !    !    !    !    !    !    !    !    !" },
	{ refused, "it was refused",
	  "xGZ  !    !    !    !    !    !    !    !    !    !" },
	{ unreachable, "it could not connect",
	  "xZ   !    !    !    !    !    !    !    !    !    !" },
	{ peer_fin, "the peer's FIN",
	  "!    !    !    =T   =T   =    =    =    =    !    !" },
	{ peer_rst, "the peer's RST",
	  "!    xGZ  xGZ  xGZ  xGZ  xGZ  xGZ  xGZ  xGZ  !    !" },
	{ aborted, "the guest has left",
	  "xGHZ xGHZ xGHZ xGHZ xGHZ xGHZ xGHZ xGHZ xGHZ xGHZ !" },
	{ more_space, "the socket has more space",
	  "!    =    =    =A   =    =A   =A   =    =    !    !" },
	{ time_passes, "time passes",
	  "=    =S   =S   =WT  =WT  =WT  =P   =WT  =WT  xZ   =" },
};

static void (*const states[])(void) = {
	connecting, syn_acked, syn_sent, established, close_wait, fin_wait_1,
	fin_wait_2, closing, last_ack, waiting, closed,
};

static char phase_letter(enum conn_phase before)
{
	static const char letter[] = {
		[CONN_CONNECTING] = 'c', [CONN_SYN_ACKED] = 's',
		[CONN_SYN_SENT] = 't', [CONN_OPEN] = 'o', [CONN_TIME_WAIT] = 'w',
		[CONN_CLOSED] = 'x',
	};

	return c.phase == before ? '=' : letter[c.phase];
}

/* run_cell() - Bring the connection into a state with the pending actions
 * @pending, and let the event happen; return the phase before the event */
static enum conn_phase run_cell(unsigned int state, void (*event)(void),
			       uint32_t pending)
{
	enum conn_phase before;

	now = START;
	wnd = 20000;
	nsack = 0;
	states[state]();
	before = c.phase;
	c.actions = pending;
	event();
	return before;
}

/**
 * cell() - Whether an event in a state does what the table says
 * @state:	index of the state in @states
 * @event:	function that makes the event happen
 * @want:	the table's cell
 * @got_cell:	set to a cell that says what happened
 *
 * The function also checks that the event keeps all other actions that were
 * pending, unless the event closes the connection. If the event opens it, no
 * SYN has to be sent any more.
 */
static bool cell(unsigned int state, void (*event)(void), const char *want,
		 char got_cell[32])
{
	uint32_t actions, keeps = CONN_DO_REMOVE - 1;
	enum conn_phase before;

	got_cell[0] = '!';
	got_cell[1] = '\0';
	if (*want == '!')
		return true;
	before = run_cell(state, event, 0);
	actions = c.actions;
	got_cell[0] = phase_letter(before);
	letters(actions, got_cell + 1);
	if (strcmp(want, got_cell))
		return false;

	run_cell(state, event, ~actions & (CONN_DO_REMOVE - 1));
	strcpy(got_cell, "forgets what was to be done");
	if (c.phase == CONN_OPEN && before != CONN_OPEN)
		keeps &= ~(uint32_t)CONN_DO_SYN;
	return c.phase == CONN_CLOSED || c.actions == keeps;
}

/* story_event() - Check one row of the table, which is one event in every
 * state */
static void story_event(unsigned int row)
{
	char cells[128], name[96], was[32], *want, *left = cells;
	unsigned int i;

	snprintf(name, sizeof(name), "%s, in every state", table[row].name);
	snprintf(cells, sizeof(cells), "%s", table[row].cells);
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		want = strtok_r(left, " ", &left);
		if (!want) {
			fail(name, "the table has no cell %u", i);
			return;
		}
		if (!cell(i, table[row].event, want, was)) {
			fail(name, "state %u: %s, not %s", i, was, want);
			return;
		}
	}
	pass(name);
}

int main(void)
{
	unsigned int i;

	G = 1000;
	H = 5000;
	for (i = 0; i < ARRAY_SIZE(table); i++)
		story_event(i);
	return unit_end();
}
