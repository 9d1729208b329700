/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * netns.h - Moves a test of real sockets to a new network namespace, in which
 * loopback is the only interface.
 */
#ifndef TEST_UNIT_NETNS_H
#define TEST_UNIT_NETNS_H

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* put_file() - Write a string to a file of /proc; false: it can't be written */
static bool put_file(const char *path, const char *text)
{
	ssize_t len = (ssize_t)strlen(text);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, (size_t)len) == len;

	if (fd >= 0)
		close(fd);
	return good;
}

/* loopback_up() - Set loopback up, the only interface; false: that failed */
static bool loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool good = fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &ifr);

	if (fd >= 0)
		close(fd);
	return good;
}

/* set_mtu() - Set the MTU of loopback, bytes; false: that failed */
__attribute__((unused))
static bool set_mtu(int mtu)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_mtu = mtu };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool good = fd >= 0 && !ioctl(fd, SIOCSIFMTU, &ifr);

	if (fd >= 0)
		close(fd);
	return good;
}

/**
 * own_network() - Move to a network namespace in which only loopback exists
 *
 * Return: false if the kernel does not allow it
 */
__attribute__((unused))
static bool own_network(void)
{
	char map[64];
	unsigned int uid = geteuid(), gid = getegid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return false;
	put_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	put_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	put_file("/proc/self/gid_map", map);
	return loopback_up();
}

#endif /* TEST_UNIT_NETNS_H */
