// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * link.c - The four operations of a link, whatever its kind; a link without a
 * guest has none, and that is no error of the caller.
 */
#include <errno.h>

#include "link/link.h"

/**
 * link_refill() - Receive a batch of frames into @l->in
 * @l:		the link
 *
 * Return: number of frames, 0: none now, < 0: -errno, the link is gone
 */
int link_refill(struct link *l)
{
	l->nin = 0;
	l->more = false;
	return l->ops ? l->ops->refill(l) : -ENOTCONN;
}

/**
 * link_release() - Give the frames of the last refill back
 * @l:		the link
 */
void link_release(struct link *l)
{
	if (l->ops)
		l->ops->release(l);
	l->nin = 0;
}

/**
 * link_flush() - Send what was committed
 * @l:		the link
 *
 * Return: 1: all sent, 0: the guest takes no more for now (@l->blocked),
 *	   < 0: -errno, the link is gone
 */
int link_flush(struct link *l)
{
	return l->ops ? l->ops->flush(l) : -ENOTCONN;
}

/**
 * link_close() - Close the link, give back its memory and descriptor
 * @l:		the link; harmless on one that is closed
 */
void link_close(struct link *l)
{
	if (l->ops)
		l->ops->close(l);
	l->ops = NULL;
	l->fd = -1;
	l->nin = l->nout = l->nreserved = 0;
	l->room = l->end = l->reserved = NULL;
	l->blocked = l->more = l->shallow = false;
}
