/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * tapdev.c - Makes a tap device in a network namespace, and sets it up.
 * Called by standin.c and emulate.c; calls the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/net/tapdev.h"

#define QUEUE	20000		/* frames that the tap queues for us */

static void __attribute__((noreturn)) fail(const char *name, const char *what)
{
	fprintf(stderr, "tap %s: %s: %s\n", name, what, strerror(errno));
	exit(1);
}

static void if_ioctl(int fd, unsigned long request, struct ifreq *ifr,
		     const char *what)
{
	if (ioctl(fd, request, ifr))
		fail(ifr->ifr_name, what);
}

/* configure() - Set the tap's MAC address, MTU and queue length, and bring it
 * up */
static void configure(const struct tapdev *dev)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };

	if (fd < 0)
		fail(dev->name, "socket");
	strncpy(ifr.ifr_name, dev->name, IFNAMSIZ - 1);

	if (dev->mac) {
		ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
		memcpy(ifr.ifr_hwaddr.sa_data, dev->mac, ETH_ALEN);
		if_ioctl(fd, SIOCSIFHWADDR, &ifr, "address");
	}
	ifr.ifr_mtu = dev->mtu;
	if_ioctl(fd, SIOCSIFMTU, &ifr, "MTU");
	/* Root in a user namespace gets EPERM here: the kernel lets it set the
	 * queue length by netlink only, as ip(8) does. */
	ifr.ifr_qlen = QUEUE;
	if (ioctl(fd, SIOCSIFTXQLEN, &ifr) && errno != EPERM)
		fail(dev->name, "queue");
	if_ioctl(fd, SIOCGIFFLAGS, &ifr, "flags");
	ifr.ifr_flags |= IFF_UP;
	if_ioctl(fd, SIOCSIFFLAGS, &ifr, "up");
	close(fd);
}

/* offload() - Let the kernel send us GSO frames: TCP, and UDP if it can */
static int offload(int fd)
{
	const unsigned long tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

	if (!ioctl(fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6))
		return 0;
	return ioctl(fd, TUNSETOFFLOAD, tcp);
}

/**
 * tapdev_offload() - Choose the offloads that the kernel leaves to us
 * @fd:		tap with virtio-net headers
 * @features:	TUN_F_...
 */
void tapdev_offload(int fd, unsigned long features)
{
	if (ioctl(fd, TUNSETOFFLOAD, features))
		fail("offload", "TUNSETOFFLOAD");
}

/**
 * tapdev_carrier() - Switch a tap's carrier on or off
 * @fd:		tap
 * @on:		whether to switch it on
 */
void tapdev_carrier(int fd, bool on)
{
	int carrier = on;

	if (ioctl(fd, TUNSETCARRIER, &carrier))
		fail("carrier", "TUNSETCARRIER");
}

static int create(const struct tapdev *dev)
{
	int size = sizeof(struct virtio_net_hdr_v1);
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		fail(dev->name, "/dev/net/tun");
	strncpy(ifr.ifr_name, dev->name, IFNAMSIZ - 1);
	if (dev->offload)
		ifr.ifr_flags |= IFF_VNET_HDR;
	if (dev->queues)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	if_ioctl(fd, TUNSETIFF, &ifr, "TUNSETIFF");
	if (dev->offload && (ioctl(fd, TUNSETVNETHDRSZ, &size) || offload(fd)))
		fail(dev->name, "TUNSETOFFLOAD");
	configure(dev);
	return fd;
}

/**
 * tapdev_open() - Make a tap device; this process keeps its own namespace
 * @dev:	options of the tap
 *
 * Return: descriptor of the tap, non-blocking
 */
int tapdev_open(const struct tapdev *dev)
{
	int here, there, fd;

	if (!dev->netns)
		return create(dev);
	here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	there = open(dev->netns, O_RDONLY | O_CLOEXEC);
	if (here < 0 || there < 0 || setns(there, CLONE_NEWNET))
		fail(dev->name, dev->netns);
	fd = create(dev);
	if (setns(here, CLONE_NEWNET))
		fail(dev->name, "the way back");
	close(there);
	close(here);
	return fd;
}
