/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * tapdev.h - Makes a tap device in a network namespace, and sets it up.
 * For test programs only: any failure ends the program.
 */
#ifndef TEST_NET_TAPDEV_H
#define TEST_NET_TAPDEV_H

#include <linux/if_tun.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef TUN_F_USO4		/* since Linux 6.2, not in Debian 12 */
#define TUN_F_USO4	0x20
#define TUN_F_USO6	0x40
#endif

/**
 * struct tapdev - Options of a tap
 * @netns:	path of its namespace, NULL: the current one
 * @name:	name of the interface
 * @mac:	its MAC address, NULL: the kernel chooses
 * @mtu:	bytes
 * @offload:	each frame has a virtio-net header of 12 bytes, and the kernel
 *		may send GSO frames
 * @queues:	the tap can be opened several times, once for each queue
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
