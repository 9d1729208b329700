/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * vhostguest.h - A guest behind vhost-user: the kernel of a namespace, whose
 * tap is connected to a front-end's virtqueues. Called by standin.c.
 */
#ifndef TEST_NET_VHOSTGUEST_H
#define TEST_NET_VHOSTGUEST_H

#include "test/net/fault.h"
#include "test/net/tapdev.h"
#include "test/net/vhostfront.h"

#define RX_BUFFER_MIN	256
#define TX_PIECE_MIN	4096

/**
 * struct vhost_guest - Options of a guest behind vhost-user
 * @front:	front-end: features, socket, rings; vhost_guest() sets @buffers
 * @dev:	tap
 * @reconnect:	connect again when the back-end goes away
 * @rx_buffer:	bytes of each receive buffer, 0: choose as Linux does
 * @tx_piece:	bytes of each piece of a send buffer, except the first
 * @out, @in:	faults that frames from the guest and to the guest meet
 */
struct vhost_guest {
	struct front front;
	struct tapdev dev;
	bool reconnect;
	unsigned int rx_buffer, tx_piece;
	struct faults out, in;
};

int vhost_guest(struct vhost_guest *conf);

#endif /* TEST_NET_VHOSTGUEST_H */
