/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * fds.h - Lets a unit test check that no file descriptor is left open.
 */
#ifndef TEST_UNIT_FDS_H
#define TEST_UNIT_FDS_H

#include <dirent.h>

/* count_fds() - Count the open descriptors; the result is 3 too high, for ".",
 * ".." and the descriptor of the folder */
static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

#endif /* TEST_UNIT_FDS_H */
