/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * guest_mem.h - The memory of a guest that shares it with passt. A front-end
 * passes the memory as regions, each with a file descriptor; every address that
 * comes from the guest or from the front-end is checked against these regions.
 */
#ifndef LINK_GUEST_MEM_H
#define LINK_GUEST_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_REGIONS	64	/* regions of one guest, at most */

/**
 * struct guest_region - A range of the guest's memory
 * @guest:	physical address in the guest
 * @user:	address in the front-end's own address space
 * @size:	bytes, never 0
 * @data:	address of the region's first byte in passt's address space
 * @map, @map_len: start and length of the mapping that contains the region
 */
struct guest_region {
	uint64_t guest, user, size;
	uint8_t *data;
	void *map;
	size_t map_len;
};

/**
 * struct guest_mem - The memory of a guest
 * @region, @n:	regions in no order, and their number. They don't overlap
 */
struct guest_mem {
	struct guest_region region[GUEST_REGIONS];
	unsigned int n;
};

int guest_mem_add(struct guest_mem *m, const struct guest_region *r, int fd,
		  uint64_t offset);
bool guest_mem_remove(struct guest_mem *m, const struct guest_region *r);
void guest_mem_free(struct guest_mem *m);
void *guest_mem_at(const struct guest_mem *m, uint64_t addr, size_t *len);
void *guest_mem_at_user(const struct guest_mem *m, uint64_t addr, size_t len);

void guest_mem_catch_faults(void);
bool guest_mem_faulted(void);

#endif /* LINK_GUEST_MEM_H */
