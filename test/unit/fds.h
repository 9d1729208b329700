/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * fds.h - Whether a unit test gives all descriptors back.
 */
#ifndef TEST_UNIT_FDS_H
#define TEST_UNIT_FDS_H

#include <dirent.h>

/* count_fds() - Descriptors of this program, plus 3: ., .. and the folder */
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
