// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * guest_mem.c - Maps the memory of a guest, and translates addresses in it.
 *
 * The front-end may truncate a file of this memory after passt has mapped the
 * file. Access to a page that is gone raises SIGBUS. The handler puts an empty
 * page in its place, so that passt can go on, and the link is closed soon
 * after.
 */
/* syscalls: start: rt_sigaction; vhost: fstat mmap munmap */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "link/guest_mem.h"
#include "util.h"

/* While a table of regions is replaced, the regions of the old table and those
 * of the new table are mapped. */
#define FAULTY_MAX	(2 * GUEST_REGIONS)

/* The mappings of guests' memory, which the handler of SIGBUS may repair. A
 * handler gets no argument from us, so this is a global variable. */
static struct {
	uint8_t *map;
	size_t len;
} faulty[FAULTY_MAX];

static volatile sig_atomic_t faults;

/* put_page() - Handle SIGBUS: if a page of a guest's memory is gone, put an
 * empty page in its place. Any other SIGBUS ends passt, as it would without a
 * handler */
static void put_page(int sig, siginfo_t *info, void *context)
{
	uint8_t *at = info->si_addr;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned int i;

	for (i = 0; i < FAULTY_MAX; i++) {
		if (!faulty[i].map || at < faulty[i].map ||
		    at >= faulty[i].map + faulty[i].len)
			continue;
		at = faulty[i].map + (size_t)(at - faulty[i].map) / page * page;
		if (mmap(at, page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		    MAP_FAILED)
			break;
		faults = 1;
		return;
	}
	signal(sig, SIG_DFL);
}

/* guest_mem_catch_faults() - From now on, survive access to pages of a guest's
 * memory that no longer exist. Call this function before the first region is
 * added */
void guest_mem_catch_faults(void)
{
	struct sigaction sa = {
		.sa_sigaction = put_page, .sa_flags = SA_SIGINFO,
	};

	sigaction(SIGBUS, &sa, NULL);
}

/* guest_mem_faulted() - Whether passt has accessed memory that was gone, since
 * the last call of this function */
bool guest_mem_faulted(void)
{
	bool yes = faults;

	faults = 0;
	return yes;
}

/* note_mapping() - Add a mapping to the list of the SIGBUS handler; false if
 * there are too many */
static bool note_mapping(uint8_t *map, size_t len)
{
	unsigned int i;

	for (i = 0; i < FAULTY_MAX; i++) {
		if (faulty[i].map)
			continue;
		faulty[i].len = len;
		faulty[i].map = map;
		return true;
	}
	return false;
}

/* unmap_region() - Unmap a region, and take it from the handler's list */
static void unmap_region(struct guest_region *r)
{
	unsigned int i;

	for (i = 0; i < FAULTY_MAX; i++) {
		if (faulty[i].map == r->map)
			faulty[i].map = NULL;
	}
	munmap(r->map, r->map_len);
}

/* do_overlap() - Whether two ranges have a byte in common */
static bool do_overlap(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	return a < b + blen && b < a + alen;
}

/* is_region_valid() - Whether a region can be added: it is not empty, it does
 * not wrap around the end of an address space, and it overlaps no other
 * region */
static bool is_region_valid(const struct guest_mem *m,
			    const struct guest_region *r)
{
	const struct guest_region *o;
	unsigned int i;

	if (!r->size || r->guest + r->size < r->guest ||
	    r->user + r->size < r->user)
		return false;
	for (i = 0; i < m->n; i++) {
		o = &m->region[i];
		if (do_overlap(r->guest, r->size, o->guest, o->size) ||
		    do_overlap(r->user, r->size, o->user, o->size))
			return false;
	}
	return true;
}

/**
 * map_file() - Map the bytes of a region
 * @r:		region; this function sets @data, @map and @map_len
 * @fd:		file
 * @offset:	where in the file the region begins
 *
 * The mapping begins at a multiple of the file's block size. A file of huge
 * pages can be mapped only at multiples of the size of a huge page, and this is
 * the block size of such a file.
 *
 * Return: 0; -EINVAL if the file is shorter than the region; or another -errno
 */
static int map_file(struct guest_region *r, int fd, uint64_t offset)
{
	uint64_t align, start;
	struct stat st = { 0 };	/* MSan does not see syscall() fill it */

	/* Not by fstat(): some libc use newfstatat(), which takes a path. */
	if (syscall(SYS_fstat, fd, &st))
		return -errno;
	if (offset + r->size < offset || !S_ISREG(st.st_mode) ||
	    offset + r->size > (uint64_t)st.st_size)
		return -EINVAL;

	align = MAX((uint64_t)st.st_blksize, (uint64_t)sysconf(_SC_PAGESIZE));
	start = offset / align * align;
	r->map_len = (size_t)((offset + r->size - start + align - 1) / align *
			      align);
	r->map = mmap(NULL, r->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      (off_t)start);
	if (r->map == MAP_FAILED)
		return -errno;
	r->data = (uint8_t *)r->map + (offset - start);
	return 0;
}

/**
 * guest_mem_add() - Map a region
 * @m:		memory of a guest
 * @r:		@guest, @user and @size of the region
 * @fd:		file that holds the region; the caller still owns the descriptor
 * @offset:	where in the file the region begins, bytes
 *
 * Return: 0; -ENOSPC if there are too many regions; -EINVAL if the region is
 *	   empty, wraps around, overlaps another, or is not in the file; or
 *	   another -errno
 */
int guest_mem_add(struct guest_mem *m, const struct guest_region *r, int fd,
		  uint64_t offset)
{
	struct guest_region new = *r;
	int rc;

	if (m->n == GUEST_REGIONS)
		return -ENOSPC;
	if (!is_region_valid(m, r))
		return -EINVAL;
	rc = map_file(&new, fd, offset);
	if (rc)
		return rc;
	if (!note_mapping(new.map, new.map_len)) {
		munmap(new.map, new.map_len);
		return -ENOSPC;
	}
	m->region[m->n++] = new;
	return 0;
}

/* guest_mem_remove() - Unmap the region with the same addresses and size as @r;
 * false if there is none */
bool guest_mem_remove(struct guest_mem *m, const struct guest_region *r)
{
	struct guest_region *o;
	unsigned int i;

	for (i = 0; i < m->n; i++) {
		o = &m->region[i];
		if (o->guest != r->guest || o->user != r->user ||
		    o->size != r->size)
			continue;
		unmap_region(o);
		*o = m->region[--m->n];
		return true;
	}
	return false;
}

/* guest_mem_free() - Unmap all regions */
void guest_mem_free(struct guest_mem *m)
{
	while (m->n)
		unmap_region(&m->region[--m->n]);
}

/**
 * guest_mem_at() - Translate a physical address of the guest
 * @m:		memory of the guest
 * @addr:	physical address
 * @len:	bytes wanted; reduced to what lies in one region
 *
 * Return: pointer to the byte at @addr, NULL if no region holds it
 */
void *guest_mem_at(const struct guest_mem *m, uint64_t addr, size_t *len)
{
	const struct guest_region *r;
	uint64_t off;

	for (r = m->region; r < m->region + m->n; r++) {
		off = addr - r->guest;
		if (off >= r->size)
			continue;
		*len = (size_t)MIN((uint64_t)*len, r->size - off);
		return r->data + off;
	}
	return NULL;
}

/**
 * guest_mem_at_user() - Translate an address of the front-end
 * @m:		memory of the guest
 * @addr:	address in the front-end's address space
 * @len:	bytes
 *
 * Return: pointer to the byte at @addr; NULL if not all of the bytes lie in one
 *	   region
 */
void *guest_mem_at_user(const struct guest_mem *m, uint64_t addr, size_t len)
{
	const struct guest_region *r;
	uint64_t off;

	for (r = m->region; r < m->region + m->n; r++) {
		off = addr - r->user;
		if (off < r->size && len <= r->size - off)
			return r->data + off;
	}
	return NULL;
}
