/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * vhost.h - A guest's memory for the fuzz targets of vhost-user. It lets them
 * check that the link writes only to the memory that it may write to, and that
 * the link leaks no descriptor and no mapping.
 *
 * The memory is a file. Its three regions have other bytes of the file around
 * them, which the guest does not share. @want of struct shared is a copy of the
 * file. Each write that is allowed is made in the copy, too. So if the file and
 * the copy differ, the link has made another write.
 *
 * This header includes some files of the product, so that it can replace the
 * calls of mmap(), munmap() and guest_mem_at() in them. A fuzz target includes
 * this header once.
 */
#ifndef TEST_FUZZ_VHOST_H
#define TEST_FUZZ_VHOST_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "link/guest_mem.h"
#include "test/fuzz/steps.h"
#include "util.h"

#define PAGE		4096
#define PLACES		3
#define FILE_SIZE	0x14000
#define FDS_MAX		96	/* descriptors that count_fds() looks at */
#define MAPS_MAX	160	/* most mappings of guest memory that
					 * the link may have at once */
#define GRANTS_MAX	16384	/* ranges of @grant in struct seen */

/**
 * struct place - A region of the guest's memory
 * @guest:	physical address in the guest
 * @user:	address in the front-end
 * @size:	bytes
 * @offset:	position in the file at which the region begins
 */
struct place {
	uint64_t guest, user;
	uint32_t size, offset;
};

/* The first two regions are adjacent in the guest, but neither in the front-end
 * nor in the file. The second region begins and ends within a page, and the
 * third one ends within a page. */
static const struct place place[PLACES] = {
	{ 0x40000000, 0x7f0000000000, 0x8000, 0x1000 },
	{ 0x40008000, 0x7e0000000010, 0x5ff0, 0xa010 },
	{ 0x100000000, 0x7d0000001000, 0x2001, 0x11000 },
};

/* struct range - A range of the file: offset and bytes */
struct range {
	uint32_t off, len;
};

/**
 * struct shared - The guest's memory
 * @fd, @inode:	file
 * @now:	bytes of the file, in a mapping of the target's own
 * @want:	what these bytes must be
 * @present:	bit i is set if the link knows region i of @place
 * @cut:	the file was truncated, so access to @now would raise SIGBUS
 */
static struct shared {
	int fd;
	ino_t inode;
	uint8_t *now, *want;
	unsigned int present;
	bool cut;
} shared;

/**
 * struct map - A mapping that the link has made
 * @at, @len:	address and bytes of the mapping
 * @off:	offset in the file of the first byte
 * @ours:	the file is that of struct shared; false: it is another file
 */
static struct map {
	uint8_t *at;
	size_t len;
	off_t off;
	bool ours;
} maps[MAPS_MAX];
static unsigned int nmaps;

/* count_mmap() - guest_mem.c calls this instead of mmap(). It must not map a
 * page beyond the end of a file, except with MAP_FIXED, which repairs a mapping
 * after SIGBUS */
static void *count_mmap(void *at, size_t len, int prot, int flags, int fd,
			off_t off)
{
	void *p = mmap(at, len, prot, flags, fd, off);
	struct stat st;

	if (p == MAP_FAILED || flags & MAP_FIXED)
		return p;
	MUST(nmaps < MAPS_MAX && !fstat(fd, &st));
	MUST(off + (off_t)len < st.st_size + PAGE);
	maps[nmaps++] = (struct map){ p, len, off, st.st_ino == shared.inode };
	return p;
}

/* count_munmap() - guest_mem.c calls this instead of munmap(), and must unmap
 * each mapping once, as a whole */
static int count_munmap(void *at, size_t len)
{
	unsigned int i;

	for (i = 0; i < nmaps && maps[i].at != at; i++)
		;
	MUST(i < nmaps && maps[i].len == len);
	maps[i] = maps[--nmaps];
	return munmap(at, len);
}

static void *see_mem_at(const struct guest_mem *m, uint64_t addr, size_t *len);

/* After a SIGBUS that it can't handle, guest_mem.c calls signal() to let the
 * process die of it. libFuzzer would not store the input then. It does so on
 * abort(). */
#define mmap		count_mmap
#define munmap		count_munmap
#define signal(n, how)	abort()
#include "../../link/guest_mem.c"
#undef mmap
#undef munmap
#undef signal

#define guest_mem_at	see_mem_at
#include "../../link/virtqueue.c"
#undef guest_mem_at

#include "../../link/vhost_user.c"

UNCOUNTED

/**
 * struct seen - What virtqueue.c has looked up in the guest's memory
 * @calls:	number of look-ups since the last step
 * @slots:	the link is making slots, so it may write to what it looks up
 * @grant, @ngrants: ranges of the file that the link may write to
 * @race:	the guest will write @byte to offset @at of the file, when
 *		@calls is @when
 */
static struct seen {
	unsigned int calls;
	bool slots;
	struct range grant[GRANTS_MAX];
	unsigned int ngrants;
	bool race;
	unsigned int when;
	uint32_t at;
	uint8_t byte;
} seen;

/* offset_of() - Return the offset in the file of the byte at a pointer of the
 * link; -1: the byte is not in the file */
static int64_t offset_of(const void *p)
{
	const uint8_t *at = p;
	unsigned int i;

	for (i = 0; i < nmaps; i++) {
		if (maps[i].ours && at >= maps[i].at &&
		    at < maps[i].at + maps[i].len)
			return maps[i].off + (at - maps[i].at);
	}
	return -1;
}

/* guest_write() - The guest writes bytes at an offset of the file */
static void guest_write(uint32_t off, const void *data, size_t len)
{
	if (shared.cut || off >= FILE_SIZE)
		return;
	len = MIN(len, FILE_SIZE - off);
	memcpy(shared.now + off, data, len);
	memcpy(shared.want + off, data, len);
}

/* see_mem_at() - virtqueue.c calls this instead of guest_mem_at(). If @race is
 * set, the guest may write to its memory before virtqueue.c goes on */
static void *see_mem_at(const struct guest_mem *m, uint64_t addr, size_t *len)
{
	void *p = guest_mem_at(m, addr, len);
	int64_t off = p ? offset_of(p) : -1;

	if (off >= 0 && seen.slots && seen.ngrants < GRANTS_MAX)
		seen.grant[seen.ngrants++] = (struct range){
			(uint32_t)off, (uint32_t)*len,
		};
	if (seen.calls++ == seen.when && seen.race) {
		seen.race = false;
		guest_write(seen.at, &seen.byte, 1);
	}
	return p;
}

/* guest_addr() - Return the physical address that the number @x of a step
 * stands for. For most numbers below 65,536, the address is in a region of
 * @place */
static uint64_t guest_addr(uint32_t x)
{
	uint32_t two = place[0].size + place[1].size;

	if (x >= two && x - two < place[2].size)
		return place[2].guest + x - two;
	return place[0].guest + x;
}

/* file_offset() - Return the offset in the file of the byte at guest_addr(@x),
 * and reduce @len to the bytes that one region holds; FILE_SIZE: the byte is in
 * no region */
static uint32_t file_offset(uint32_t x, size_t *len)
{
	uint64_t addr = guest_addr(x), off;
	unsigned int i;

	for (i = 0; i < PLACES; i++) {
		off = addr - place[i].guest;
		if (off >= place[i].size)
			continue;
		*len = (size_t)MIN(*len, place[i].size - off);
		return (uint32_t)off + place[i].offset;
	}
	return FILE_SIZE;
}

/* guest_fill() - The guest writes bytes from guest_addr(@x) on, up to the first
 * address that is in no region */
static void guest_fill(uint32_t x, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t off;
	size_t n;

	for (; len; x += (uint32_t)n, p += n, len -= n) {
		n = len;
		off = file_offset(x, &n);
		if (off == FILE_SIZE)
			return;
		guest_write(off, p, n);
	}
}

/* shared_open() - Create the file of the guest's memory, before the first
 * input */
static void shared_open(void)
{
	struct stat st;

	shared.fd = memfd_create("guest", MFD_CLOEXEC);
	MUST(shared.fd >= 0 && !ftruncate(shared.fd, FILE_SIZE) &&
	     !fstat(shared.fd, &st));
	shared.inode = st.st_ino;
	shared.now = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			  shared.fd, 0);
	shared.want = malloc(FILE_SIZE);
	MUST(shared.now != MAP_FAILED && shared.want);
}

/* shared_reset() - Give the memory the contents that it has before each input:
 * zeros where rings are, so that their descriptors are empty, and a pattern
 * everywhere else */
static void shared_reset(void)
{
	if (shared.cut)
		MUST(!ftruncate(shared.fd, FILE_SIZE));
	shared.cut = false;
	memset(shared.want, 0xa5, FILE_SIZE);
	memset(shared.want + place[0].offset, 0, place[0].size / 2);
	memcpy(shared.now, shared.want, FILE_SIZE);
	memset(&seen, 0, offsetof(struct seen, grant));
	seen.ngrants = 0;
	seen.race = false;
}

/* shared_cut() - The front-end truncates the file to @size bytes */
static void shared_cut(uint32_t size)
{
	MUST(!ftruncate(shared.fd, MIN(size, FILE_SIZE - 1)));
	shared.cut = true;
}

/* may_write() - Accept whatever the link has written to a range of the file, by
 * copying this range to @want */
static void may_write(uint32_t off, uint32_t len)
{
	if (shared.cut || off >= FILE_SIZE)
		return;
	len = MIN(len, FILE_SIZE - off);
	memcpy(shared.want + off, shared.now + off, len);
}

/* may_write_grants() - Accept whatever the link has written to pieces of
 * slots */
static void may_write_grants(void)
{
	unsigned int i;

	if (seen.ngrants == GRANTS_MAX)		/* there may be more */
		may_write(0, FILE_SIZE);
	for (i = 0; i < seen.ngrants; i++)
		may_write(seen.grant[i].off, seen.grant[i].len);
}

/* check_memory() - Check that the link has written only where it was allowed
 * to */
static void check_memory(void)
{
	MUST(shared.cut || !memcmp(shared.now, shared.want, FILE_SIZE));
}

/* Whether a descriptor may have been opened with O_PATH. poll() reports such a
 * descriptor as not open. */
static bool have_paths;

/* count_fds() - Return how many descriptors are open */
static unsigned int count_fds(void)
{
	struct pollfd fds[FDS_MAX];
	unsigned int i, n = 0;

	for (i = 0; i < FDS_MAX; i++)
		fds[i] = (struct pollfd){ .fd = (int)i };
	MUST(poll(fds, FDS_MAX, 0) >= 0);
	for (i = 0; i < FDS_MAX; i++)
		n += !(fds[i].revents & POLLNVAL) ||
		     (have_paths && fcntl((int)i, F_GETFD) >= 0);
	return n;
}

/* check_closed() - Check that the closed link has no descriptor and no mapping
 * left; @fds: number of open descriptors that do not belong to the link */
static void check_closed(unsigned int fds)
{
	unsigned int i;

	MUST(count_fds() == fds);
	MUST(!nmaps);
	for (i = 0; i < FAULTY_MAX; i++)
		MUST(!faulty[i].map);
	guest_mem_faulted();
}

/* region_of() - Return the description of region @i for a message */
static struct mem_region region_of(unsigned int i)
{
	return (struct mem_region){
		place[i].guest, place[i].size, place[i].user, place[i].offset,
	};
}

COUNTED

#endif /* TEST_FUZZ_VHOST_H */
