// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * tcp_flight.c - Tests of how many bytes a TCP flow may send to the guest, as
 * the guest's window and the scheduler allow.
 */
#include "../../tcp/to_guest.c"
#include "test/unit/unit.h"

#define MSS	1460

static struct sched sched;
static struct tcp t = { .sched = &sched };
static struct tcp_flow f;

/* flying() - Give the flow a guest with a window of 8 MiB, and @bytes in
 * flight */
static void flying(uint32_t bytes)
{
	f.conn = (struct tcp_conn){
		.phase = CONN_OPEN, .mss = MSS, .snd_wnd = 8 << 20,
		.wnd_max = 8 << 20, .snd_una = UINT32_MAX - 1000,
		.snd_nxt = UINT32_MAX - 1000 + bytes,
	};
}

/* Given a flow alone, then only the guest's window limits it. */
static void story_alone(void)
{
	sched_init(&sched);
	flying(0);
	check_eq("nothing in flight", usable_window(&t, &f, 1000), 8 << 20);
	flying(1 << 20);
	check_eq("1 MiB in flight", usable_window(&t, &f, 1000), 7 << 20);
}

/* Given low-latency mode, then at most SCHED_FLIGHT_LOW bytes are in flight, in
 * whole segments, or fewer if the guest's window is smaller. */
static void story_low_latency(void)
{
	const uint32_t most = SCHED_FLIGHT_LOW / MSS * MSS;

	sched_init(&sched);
	sched.sparse_at = 1000;
	flying(0);
	check_eq("nothing in flight", usable_window(&t, &f, 1000), most);
	flying(100 * MSS);
	check_eq("some", usable_window(&t, &f, 1000), most - 100 * MSS);
	flying(SCHED_FLIGHT_LOW - MSS + 1);
	check_eq("space for less than a segment", usable_window(&t, &f, 1000),
		 0);
	flying(SCHED_FLIGHT_LOW + 5 * MSS);
	check_eq("more than that", usable_window(&t, &f, 1000), 0);
	flying(100 * MSS);
	f.conn.snd_wnd = 101 * MSS;
	check_eq("a small window", usable_window(&t, &f, 1000), MSS);

	flying(SCHED_FLIGHT_LOW);
	check_eq("the limit ends with the mode",
		 usable_window(&t, &f, 1000 + SCHED_ACTIVE),
		 (8 << 20) - SCHED_FLIGHT_LOW);
}

int main(void)
{
	story_alone();
	story_low_latency();
	return unit_end();
}
