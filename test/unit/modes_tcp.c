// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * modes_tcp.c - TCP carries the same bytes both ways, however the link lays out
 * frames in memory, and whether or not the link carries GSO frames.
 */
#include "../../tcp.c"
#include "test/unit/cable.h"

#define SPACE	(1 << 20)
#define BYTES	2000000

static struct world w;
static struct end end_one;
static struct guest guest;

/* transfer() - Run the event loop until all data has arrived at both ends, but
 * at most for 100,000 turns */
static void transfer(int listener)
{
	unsigned int i;

	for (i = 0; i < 100000 && !end_done(&end_one); i++) {
		if (end_one.fd < 0)
			peer_accepts(&end_one, listener);
		end_turn(&end_one);
		turn(&w);
	}
}

/* Given a connection, when both ends send, then the peer gets the bytes of the
 * guest, and the guest gets the bytes of the peer. If the link carries GSO
 * frames in this mode, they are used both ways. If it does not, none is
 * used. */
static void story_mode(enum memory_mode mode, const char *host, const char *gw)
{
	bool gso = mode == MEMORY_SEGMENTING;
	uint16_t port = 0;
	unsigned int i;
	char name[64];
	int listener;

	snprintf(name, sizeof(name), "%s, by %s", memory_mode_name[mode], gw);
	printf("# %s\n", name);
	setenv("LINK_MODE", memory_mode_name[mode], 1);
	world_open(&w, 16, SPACE);
	listener = listen_on(host, &port);
	end_init(&w, &end_one, &guest, 40001, gw, port);
	guest.tx_total = guest.rx_total = end_one.tx_total = BYTES;
	guest_start(&guest, UINT32_MAX - 100000, true, w.now);
	transfer(listener);

	if (end_well(name, &end_one))
		pass(name);
	check("GSO frames reach a guest that takes them, and no other",
	      gso == (w.mem.gso_frames > 0));
	check("and come from it", gso == (w.mem.joins > 0));
	check_eq("nothing is dropped", w.tap.count[TAP_OFFLOAD] +
		 w.tap.count[TAP_CHECKSUM] + w.tcp.count[TCP_RETRANSMIT], 0);

	for (i = 0; i < 3 * TCP_TIMEWAIT_LEN && w.flows.used; i++) {
		guest_timer(&guest, w.now);
		turn(&w);
	}
	end_close(&end_one);
	close(listener);
	world_close(&w, name);
}

int main(void)
{
	enum memory_mode mode;

	for (mode = 0; mode < MEMORY_MODES; mode++) {
		story_mode(mode, "127.0.0.1", GW4);
		story_mode(mode, "::1", GW6);
	}
	return unit_end();
}
