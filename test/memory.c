// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * memory.c - A link between two arrays, for tests and fuzzers.
 * Called by tests only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/memory.h"

static int memory_refill(struct link *l)
{
	struct memory *m = (struct memory *)l;
	unsigned int i;

	for (i = 0; i < m->count; i++)
		l->in[i] = (struct frame){
			.iov = &m->iov[i], .iovcnt = 1,
			.len = (uint32_t)m->iov[i].iov_len,
		};
	l->nin = m->count;
	m->count = 0;
	return (int)l->nin;
}

static void memory_release(struct link *l)
{
}

/* memory_flush() - What was committed is remembered, in the arena, till clear */
static int memory_flush(struct link *l)
{
	struct memory *m = (struct memory *)l;
	unsigned int i;

	link_cancel(l);
	l->blocked = m->stalled;
	if (m->stalled)
		return 0;

	for (i = 0; i < l->nout && m->nsent < LINK_OUT; i++)
		m->sent[m->nsent++] = l->out[i];
	l->nout = 0;
	return 1;
}

static void memory_close(struct link *l)
{
	struct memory *m = (struct memory *)l;

	free(m->arena);
	m->arena = NULL;
}

static const struct link_ops memory_ops = {
	.refill = memory_refill,
	.release = memory_release,
	.flush = memory_flush,
	.close = memory_close,
};

/**
 * memory_open() - Make a memory link
 * @m:		the link, its content of no matter
 * @size:	bytes of room for frames to the guest
 *
 * Return: 0, or -ENOMEM
 */
int memory_open(struct memory *m, size_t size)
{
	memset(m, 0, sizeof(*m));
	m->arena = malloc(size);
	if (!m->arena)
		return -ENOMEM;

	m->size = size;
	m->link.ops = &memory_ops;
	m->link.fd = -1;
	m->link.max_frame = LINK_FRAME_MAX;
	memory_clear(m);
	return 0;
}

/**
 * memory_put() - One more frame from the guest at the next refill
 * @m:		memory link
 * @frame:	Ethernet frame; stays the caller's, and is read in place
 * @len:	bytes
 */
void memory_put(struct memory *m, void *frame, size_t len)
{
	if (m->count < LINK_BURST)
		m->iov[m->count++] = (struct iovec){ frame, len };
}

/**
 * memory_clear() - Forget the frames sent, all room is free again
 * @m:		memory link
 */
void memory_clear(struct memory *m)
{
	m->nsent = 0;
	m->link.nout = 0;
	m->link.room = m->arena;
	m->link.end = m->arena + m->size;
	link_cancel(&m->link);
}
