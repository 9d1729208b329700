/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * tapdev.h - Makes a tap device in a network namespace, ready for frames.
 * For programs of the tests: ends them when that fails. Calls the kernel.
 */
#ifndef TEST_NET_TAPDEV_H
#define TEST_NET_TAPDEV_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct tapdev - What a tap shall be like
 * @netns:	path of its namespace, NULL: the current one
 * @name:	of the interface
 * @mac:	its address, NULL: the kernel chooses
 * @mtu:	bytes
 * @offload:	frames carry a virtio-net header, TCP and UDP come in
 *		super-segments
 */
struct tapdev {
	const char *netns, *name;
	const uint8_t *mac;
	int mtu;
	bool offload;
};

int tapdev_open(const struct tapdev *dev);

#endif /* TEST_NET_TAPDEV_H */
