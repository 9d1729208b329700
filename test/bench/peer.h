/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * peer.h - The far end of a TCP connection that only sends or only receives,
 * for programs of the benchmark. Calls the kernel.
 */
#ifndef TEST_BENCH_PEER_H
#define TEST_BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define PAYLOAD_MIN	512		/* least bytes of payload in a frame */

/**
 * struct floor_args - Command line of floor.c and ring_floor.c
 * @in:		data flows to the guest, and not from the guest
 * @payload:	bytes of payload in a full frame
 * @ms:		duration
 * @addr:	address at which the peer listens
 * @netns:	path of the peer's namespace, NULL: the namespace of this
 *		program
 */
struct floor_args {
	bool in;
	size_t payload;
	int ms;
	const char *addr, *netns;
};

void __attribute__((noreturn)) die(const char *what);
double seconds(clockid_t clock);
bool child(void);
void __attribute__((noreturn)) drain(int fd, size_t block);
void __attribute__((noreturn)) fill(int fd, const uint8_t *buf, size_t len);
bool floor_arguments(struct floor_args *a, int argc, char **argv);
int peer_connect(const struct floor_args *a);

#endif /* TEST_BENCH_PEER_H */
