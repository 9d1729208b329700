/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * tapdev.h - Makes a tap device in a network namespace, ready for frames.
 * For programs of the tests: ends them when that fails. Calls the kernel.
 */
#ifndef TEST_NET_TAPDEV_H
#define TEST_NET_TAPDEV_H

#include <linux/if_tun.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef TUN_F_USO4		/* Linux 6.2; Debian 12 has older headers */
#define TUN_F_USO4	0x20
#define TUN_F_USO6	0x40
#endif

/**
 * struct tapdev - What a tap shall be like
 * @netns:	path of its namespace, NULL: the current one
 * @name:	of the interface
 * @mac:	its address, NULL: the kernel chooses
 * @mtu:	bytes
 * @offload:	frames carry a virtio-net header of 12 bytes, TCP and UDP come
 *		in super-segments
 * @queues:	it can be opened several times, once for each queue
 */
struct tapdev {
	const char *netns, *name;
	const uint8_t *mac;
	int mtu;
	bool offload, queues;
};

int tapdev_open(const struct tapdev *dev);
void tapdev_offload(int fd, unsigned long features);
void tapdev_carrier(int fd, bool on);

#endif /* TEST_NET_TAPDEV_H */
