// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * virtqueue.c - Tests of a virtqueue in the guest's memory: chains as drivers
 * write them, as a hostile guest may write them and may change them meanwhile,
 * notifications in both directions, and regions of memory.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "link/guest_mem.h"
#include "test/unit/unit.h"

static void *race_mem_at(const struct guest_mem *m, uint64_t addr, size_t *len);

#define guest_mem_at	race_mem_at
#include "../../link/virtqueue.c"
#undef guest_mem_at

#define GUEST	0x100000000ULL		/* guest physical address */
#define USER	0x7f0000000000ULL	/* address in the front-end */
#define SIZE	(256 * 1024)
#define RING	8			/* number of entries */
#define PIECES	16

/* Offsets in the memory: of the three parts of the ring, of an indirect table
 * of descriptors, and of data. */
#define DESC	0
#define AVAIL	1024
#define USED	2048
#define TABLE	4096
#define DATA	8192

static struct guest_mem mem;
static struct virtqueue q;
static struct iovec iov[PIECES];
static struct vq_chain chain = { .iov = iov };
static uint8_t *base;

/* What the guest does to its ring when passt has read the first descriptor of a
 * chain and translates the address in it; NULL: nothing. */
static void (*guest_acts)(void);

/* race_mem_at() - virtqueue.c calls this instead of guest_mem_at() */
static void *race_mem_at(const struct guest_mem *m, uint64_t addr, size_t *len)
{
	void (*act)(void) = guest_acts;

	guest_acts = NULL;
	if (act)
		act();
	return guest_mem_at(m, addr, len);
}

static struct vring_desc *desc(unsigned int i)
{
	return (struct vring_desc *)(base + DESC) + i;
}

static struct vring_desc *table(unsigned int i)
{
	return (struct vring_desc *)(base + TABLE) + i;
}

static void set_desc(struct vring_desc *d, uint64_t addr, uint32_t len,
		     uint16_t flags, uint16_t next)
{
	*d = (struct vring_desc){ addr, len, flags, next };
}

/* begins() - Set up memory of two regions that are adjacent for the guest, and
 * an empty ring whose indices are @start */
static void begins(uint16_t start)
{
	struct guest_region r = { .guest = GUEST, .user = USER, .size = SIZE };
	int fd = memfd_create("guest", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 2 * SIZE))
		exit(1);
	guest_mem_add(&mem, &r, fd, 0);
	r.guest += SIZE;
	r.user += 2 * SIZE;		/* not adjacent in the front-end */
	guest_mem_add(&mem, &r, fd, SIZE);
	close(fd);

	base = mem.region[0].data;
	q = (struct virtqueue){
		.size = RING, .desc = desc(0),
		.avail = (struct vring_avail *)(base + AVAIL),
		.used = (struct vring_used *)(base + USED),
		.next_avail = start, .next_used = start, .published = start,
		.call = eventfd(0, EFD_NONBLOCK),
	};
	q.avail->idx = q.used->idx = start;
}

static void ends(void)
{
	close(q.call);
	guest_mem_free(&mem);
}

/* offers() - Let the guest make the chain at @head available */
static void offers(uint16_t head)
{
	q.avail->ring[q.avail->idx % RING] = head;
	q.avail->idx++;
}

static int peek(bool writable)
{
	return virtqueue_peek(&q, &mem, 0, writable, PIECES, &chain);
}

/* told() - Whether passt has notified the guest since the last call of this
 * function */
static bool told(void)
{
	uint64_t n;

	return read(q.call, &n, sizeof(n)) == sizeof(n);
}

/* Given chains as drivers write them, then passt finds all their pieces. */
static void story_chains(void)
{
	begins(65533);			/* so that indices wrap around */
	check_eq("an empty ring has no chain", peek(false), 0);

	set_desc(desc(3), GUEST + DATA, 12, VRING_DESC_F_NEXT, 5);
	set_desc(desc(5), GUEST + DATA + 100, 1000, 0, 0);
	offers(3);
	check_eq("a chain of two descriptors", peek(false), 1);
	check("has two pieces", chain.cnt == 2 && chain.len == 1012 &&
	      chain.head == 3 && iov[0].iov_base == base + DATA &&
	      iov[1].iov_base == base + DATA + 100 && iov[1].iov_len == 1000);
	check_eq("is still there after a look", peek(false), 1);

	set_desc(desc(1), GUEST + TABLE, 3 * sizeof(struct vring_desc),
		 VRING_DESC_F_INDIRECT, 0);
	set_desc(table(0), GUEST + DATA, 10, VRING_DESC_F_NEXT, 2);
	set_desc(table(2), GUEST + DATA + 10, 20, VRING_DESC_F_NEXT, 1);
	set_desc(table(1), GUEST + DATA + 30, 30, 0, 0);
	offers(1);
	check_eq("the next chain can be looked at before the first is taken",
		 virtqueue_peek(&q, &mem, 1, false, PIECES, &chain), 1);
	check("an indirect table is followed", chain.cnt == 3 &&
	      chain.len == 60 && iov[2].iov_len == 30);
	virtqueue_take(&q, 2);
	check_eq("after both, the ring is empty", peek(false), 0);

	set_desc(desc(4), GUEST + TABLE + 1, sizeof(struct vring_desc),
		 VRING_DESC_F_INDIRECT, 0);
	memmove(base + TABLE + 1, table(1), sizeof(struct vring_desc));
	offers(4);
	check_eq("an indirect table at an odd address", peek(false), 1);
	check("is followed, too", chain.cnt == 1 && chain.len == 30);
	virtqueue_take(&q, 1);

	set_desc(desc(0), GUEST + SIZE - 100, 300, VRING_DESC_F_WRITE, 0);
	offers(0);
	check_eq("a descriptor across two regions", peek(true), 1);
	check("has two pieces, too", chain.cnt == 2 && iov[0].iov_len == 100 &&
	      iov[1].iov_len == 200 && iov[1].iov_base == mem.region[1].data);
	virtqueue_take(&q, 1);

	ends();
}

/* Given a chain with descriptors of length zero, then they make no pieces, but
 * each counts towards the limit of descriptors. */
static void story_empty(void)
{
	unsigned int i;

	begins(0);
	set_desc(desc(2), GUEST + DATA, 100, VRING_DESC_F_NEXT, 6);
	set_desc(desc(6), GUEST + DATA, 0, VRING_DESC_F_NEXT, 7);
	set_desc(desc(7), GUEST + DATA + 200, 100, 0, 0);
	offers(2);
	check_eq("a descriptor without bytes", peek(false), 1);
	check("is no piece", chain.cnt == 2 && chain.len == 200);
	check_eq("more pieces than there is space for",
		 virtqueue_peek(&q, &mem, 0, false, 1, &chain), -ENOBUFS);
	check_eq("leave the head known", chain.head, 2);
	virtqueue_take(&q, 1);

	set_desc(desc(1), GUEST + TABLE, (PIECES + 1) *
		 sizeof(struct vring_desc), VRING_DESC_F_INDIRECT, 0);
	for (i = 0; i <= PIECES; i++)
		set_desc(table(i), GUEST + DATA, 0, i < PIECES ?
			 VRING_DESC_F_NEXT : 0, (uint16_t)(i + 1));
	offers(1);
	check_eq("more descriptors than pieces, although they have no bytes",
		 peek(false), -ENOBUFS);
	ends();
}

/* Descriptors of a hostile guest, and the error that each must cause. */
static const struct {
	const char *name;
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next, head;
	int want;
} hostile[] = {
	{ "a chain that is a loop", GUEST + DATA, 1, VRING_DESC_F_NEXT, 0, 0,
	  -EPROTO },
	{ "a descriptor that is not in the table", GUEST + DATA, 1,
	  VRING_DESC_F_NEXT, RING, 0, -EPROTO },
	{ "a head that is not in the table", GUEST + DATA, 1, 0, 0, RING,
	  -EPROTO },
	{ "a head far outside", GUEST + DATA, 1, 0, 0, 65535, -EPROTO },
	{ "an address below the memory", GUEST - 1, 10, 0, 0, 0, -EFAULT },
	{ "an address after the memory", GUEST + 2 * SIZE, 1, 0, 0, 0,
	  -EFAULT },
	{ "bytes after the memory", GUEST + 2 * SIZE - 1, 2, 0, 0, 0,
	  -EFAULT },
	{ "bytes that wrap around", UINT64_MAX, UINT32_MAX, 0, 0, 0, -EFAULT },
	{ "a buffer for the device among those to read", GUEST + DATA, 10,
	  VRING_DESC_F_WRITE, 0, 0, -EPROTO },
	{ "an indirect table that another follows", GUEST + TABLE, 16,
	  VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1, 0, -EPROTO },
	{ "an empty indirect table", GUEST + TABLE, 0, VRING_DESC_F_INDIRECT,
	  0, 0, -EPROTO },
	{ "half a descriptor in a table", GUEST + TABLE, 24,
	  VRING_DESC_F_INDIRECT, 0, 0, -EPROTO },
	{ "a table of too many", GUEST, (VIRTQUEUE_MAX + 1) * 16,
	  VRING_DESC_F_INDIRECT, 0, 0, -EPROTO },
	{ "a table outside", GUEST + 2 * SIZE - 16, 32, VRING_DESC_F_INDIRECT,
	  0, 0, -EFAULT },
};

/* Given descriptors or indices that violate the rules of a ring, then passt
 * finds the error, and touches nothing outside the guest's memory. */
static void story_hostile(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hostile); i++) {
		begins(0);
		set_desc(table(0), GUEST + DATA, 10, 0, 0);
		set_desc(desc(0), hostile[i].addr, hostile[i].len,
			 hostile[i].flags, hostile[i].next);
		offers(hostile[i].head);
		check_eq(hostile[i].name, peek(false), hostile[i].want);
		ends();
	}

	begins(0);
	set_desc(desc(0), GUEST + TABLE, 32, VRING_DESC_F_INDIRECT, 0);
	set_desc(table(0), GUEST + TABLE, 32, VRING_DESC_F_INDIRECT, 0);
	offers(0);
	check_eq("a table in a table", peek(false), -EPROTO);
	set_desc(table(0), GUEST + DATA, 1, VRING_DESC_F_NEXT, 0);
	check_eq("a loop in a table", peek(false), -EPROTO);
	set_desc(table(0), GUEST + DATA, 1, VRING_DESC_F_NEXT, 2);
	check_eq("a descriptor after the table", peek(false), -EPROTO);
	set_desc(desc(0), GUEST + DATA, 10, 0, 0);
	check_eq("none of these", peek(false), 1);
	q.avail->idx = RING + 1;
	check_eq("more chains than the ring has", peek(false), -EPROTO);
	q.avail->idx = 65535;
	check_eq("an index that went back", peek(false), -EPROTO);
	set_desc(desc(1), GUEST + DATA, 10, 0, 0);
	q.avail->idx = 1;
	q.avail->ring[0] = 1;
	check_eq("a buffer to read among those for the device", peek(true),
		 -EPROTO);
	ends();
}

static void grow_desc(void)
{
	desc(0)->len = 2 * SIZE;
}

static void grow_table(void)
{
	desc(0)->len = VIRTQUEUE_MAX * sizeof(struct vring_desc);
}

static void redirect_desc(void)
{
	desc(0)->next = UINT16_MAX;
	desc(0)->flags = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE;
}

static void replace_head(void)
{
	q.avail->ring[0] = 5;
	q.avail->idx += 100;
}

/* reads_while() - Read the chain at descriptor 0 while the guest does something
 * to it */
static int reads_while(void (*act)(void))
{
	int rc;

	guest_acts = act;
	rc = peek(false);
	check("the guest has acted", !guest_acts);
	return rc;
}

/* Given a guest that changes its ring while passt reads it, then passt reads
 * each value once, so the value that it has checked is the value that it
 * uses. */
static void story_race(void)
{
	begins(0);
	set_desc(desc(0), GUEST + 2 * SIZE - 10, 10, 0, 0);
	offers(0);
	check_eq("a buffer that grows after it was read",
		 reads_while(grow_desc), 1);
	check("is as long as it was", chain.cnt == 1 && chain.len == 10 &&
	      iov[0].iov_len == 10);
	ends();

	begins(0);
	set_desc(desc(0), GUEST + TABLE, 32, VRING_DESC_F_INDIRECT, 0);
	set_desc(table(0), GUEST + DATA, 10, VRING_DESC_F_NEXT, 1);
	set_desc(table(1), GUEST + DATA, 10, VRING_DESC_F_NEXT, 2);
	set_desc(table(2), GUEST + DATA, 10, 0, 0);
	offers(0);
	check_eq("a table that grows after it was read has no more entries",
		 reads_while(grow_table), -EPROTO);
	ends();

	begins(0);
	set_desc(desc(0), GUEST + DATA, 10, VRING_DESC_F_NEXT, 1);
	set_desc(desc(1), GUEST + DATA + 10, 20, 0, 0);
	offers(0);
	check_eq("a descriptor that leads elsewhere after it was read",
		 reads_while(redirect_desc), 1);
	check("leads where it did", chain.cnt == 2 && chain.len == 30);
	ends();

	begins(0);
	set_desc(desc(0), GUEST + DATA, 10, 0, 0);
	offers(0);
	check_eq("a head that is replaced after it was read",
		 reads_while(replace_head), 1);
	check_eq("is the one that was read", chain.head, 0);
	ends();
}

/* returns() - Give a chain back to the guest, and publish that */
static void returns(uint16_t head)
{
	virtqueue_put(&q, head, 60);
	virtqueue_publish(&q);
}

/* When passt returns chains to the guest, then it notifies the guest, unless
 * the guest suppresses notifications or has asked to be notified later. */
static void story_calls(void)
{
	begins(65535);
	virtqueue_publish(&q);
	check("nothing returned is nothing to tell", !told());
	virtqueue_put(&q, 4, 1000);
	check_eq("a chain is not visible before", q.used->idx, 65535);
	virtqueue_put(&q, 6, 2000);
	virtqueue_publish(&q);
	check("both are visible then", q.used->idx == 1 &&
	      q.used->ring[7].id == 4 && q.used->ring[7].len == 1000 &&
	      q.used->ring[0].id == 6 && q.used->ring[0].len == 2000);
	check("and the guest is told", told());
	check("once", !told());
	q.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	returns(1);
	check("a guest that is awake is not told", !told());
	ends();

	begins(65534);
	q.event_idx = true;
	q.avail->ring[RING] = 65534;	/* used_event: the next entry */
	returns(0);
	check("with an index, at that index", told());
	returns(1);
	check("not again until it asks", !told());
	q.avail->ring[RING] = 2;
	returns(2);
	returns(3);
	check("not before the index", !told());
	returns(4);
	check("but at it, also after the indices wrapped", told());
	check_eq("calls are counted", q.calls, 2);
	ends();
}

/* When passt begins to wait for chains, then it asks the guest to notify it,
 * and sees whether the guest has added a chain in the meantime. */
static void story_await(void)
{
	uint16_t *event;

	begins(65535);
	virtqueue_ignore(&q);
	check_eq("passt does not want to be told while it looks",
		 q.used->flags, VRING_USED_F_NO_NOTIFY);
	check("it waits", !virtqueue_await(&q, 0));
	check_eq("and asks to be told", q.used->flags, 0);
	set_desc(desc(0), GUEST + DATA, 10, VRING_DESC_F_WRITE, 0);
	offers(0);
	check("what came in between is seen", virtqueue_await(&q, 0));
	check("what is known is not new", !virtqueue_await(&q, 1));

	q.event_idx = true;
	event = (uint16_t *)&q.used->ring[RING];
	virtqueue_await(&q, 1);
	check_eq("with an index, at the next entry", *event, 0);
	virtqueue_ignore(&q);
	check_eq("which stays behind while passt looks", *event, 0);
	q.avail->idx = 200;
	check("a ring that claims too much is looked at",
	      virtqueue_await(&q, 1));
	ends();
}

/* Given impossible regions from a hostile front-end, then they are refused. */
static void story_regions(void)
{
	struct guest_region r = { .guest = 0x1000, .user = 0x2000,
				  .size = 4096 };
	int fd = memfd_create("guest", MFD_CLOEXEC), pipes[2];
	size_t len = 10;

	check_eq("a file", ftruncate(fd, 8192), 0);
	check_eq("a region", guest_mem_add(&mem, &r, fd, 4096), 0);
	check_eq("the same again", guest_mem_add(&mem, &r, fd, 0), -EINVAL);
	r.guest = 0x1fff;
	r.user = 0x8000;
	check_eq("one that overlaps", guest_mem_add(&mem, &r, fd, 0), -EINVAL);
	r.guest = 0x8000;
	r.user = 0x1001;
	check_eq("one that overlaps for the front-end",
		 guest_mem_add(&mem, &r, fd, 0), -EINVAL);
	r.user = 0x8000;
	check_eq("one longer than the file",
		 guest_mem_add(&mem, &r, fd, 4097), -EINVAL);
	check_eq("an offset that wraps around",
		 guest_mem_add(&mem, &r, fd, UINT64_MAX - 100), -EINVAL);
	r.size = 0;
	check_eq("an empty one", guest_mem_add(&mem, &r, fd, 0), -EINVAL);
	r.size = UINT64_MAX - 0x7000;
	check_eq("one that wraps around", guest_mem_add(&mem, &r, fd, 0),
		 -EINVAL);
	check_eq("no file", pipe(pipes), 0);
	r.size = 4096;
	check_eq("a pipe", guest_mem_add(&mem, &r, pipes[0], 0), -EINVAL);
	check("an address is found",
	      guest_mem_at(&mem, 0x1ffe, &len) == mem.region[0].data + 0xffe &&
	      len == 2);
	check("one after it is not", !guest_mem_at(&mem, 0x2000, &len));
	check("nor one before", !guest_mem_at(&mem, 0xfff, &len));
	check("the front-end's address, too",
	      guest_mem_at_user(&mem, 0x2000, 4096) == mem.region[0].data);
	check("if all bytes are there",
	      !guest_mem_at_user(&mem, 0x2001, 4096));

	r = (struct guest_region){ .guest = 0x1000, .user = 0x2001,
				   .size = 4096 };
	check("another region can't be removed", !guest_mem_remove(&mem, &r));
	r.user = 0x2000;
	check("this one can", guest_mem_remove(&mem, &r) && !mem.n);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}

/* Given a file of guest memory that is truncated while it is mapped, when passt
 * accesses the memory, then passt survives, and guest_mem_faulted() reports the
 * fault once. */
static void story_truncated(void)
{
	struct guest_region r = { .guest = GUEST, .user = USER, .size = SIZE };
	int fd = memfd_create("guest", MFD_CLOEXEC);

	guest_mem_catch_faults();
	check_eq("a file grows", ftruncate(fd, SIZE), 0);
	guest_mem_add(&mem, &r, fd, 0);
	check_eq("it is truncated", ftruncate(fd, 0), 0);
	check("a file that is only truncated is no fault yet",
	      !guest_mem_faulted());
	mem.region[0].data[SIZE - 1] = 'x';
	check_eq("access is survived", mem.region[0].data[SIZE - 1], 'x');
	check("and known", guest_mem_faulted());
	check("once", !guest_mem_faulted());
	guest_mem_free(&mem);
	close(fd);
}

int main(void)
{
	story_chains();
	story_empty();
	story_hostile();
	story_race();
	story_calls();
	story_await();
	story_regions();
	story_truncated();
	return unit_end();
}
