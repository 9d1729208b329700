/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * vhost_priv.h - What vhost_user.c, vhost_msg.c and vhost_net.c share.
 */
#ifndef LINK_VHOST_PRIV_H
#define LINK_VHOST_PRIV_H

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "link/vhost_user.h"
#include "util.h"

/* Kernel headers before Linux 6.2 lack these (virtio 1.2, 5.1.3 and 5.1.6). */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4	5
#endif
#ifndef VIRTIO_NET_F_GUEST_USO4
#define VIRTIO_NET_F_GUEST_USO4		54
#define VIRTIO_NET_F_GUEST_USO6		55
#define VIRTIO_NET_F_HOST_USO		56
#endif

#define VHOST_GSO_UNKNOWN	UINT8_MAX	/* GSO type that passt does not
						 * know: tap.c drops such a
						 * frame */

/* Index of a ring in its pair. */
#define VHOST_TO_GUEST		0
#define VHOST_FROM_GUEST	1

static inline struct vhost_user *vhost_of_link(const struct link *l)
{
	return container_of(l, struct vhost_user, link);
}

/* vhost_pair_of() - Return the pair of rings of a queue */
static inline struct vhost_pair *vhost_pair_of(const struct link_queue *q)
{
	struct vhost_user *v = vhost_of_link(q->link);

	return &v->pair[q - v->queue];
}

/* vhost_has() - Whether a feature was negotiated; @bit: VIRTIO_* */
static inline bool vhost_has(const struct vhost_user *v, unsigned int bit)
{
	return v->features >> bit & 1;
}

/* vhost_runs() - Whether a ring has started. While a started ring is not
 * enabled, passt drops frames that come from the guest, and sends it none */
static inline bool vhost_runs(const struct vhost_ring *r)
{
	return r->vq.desc;
}

#define VHOST_NEED_REPLY	8U	/* flag: the front-end wants a reply to
					 * the message */

void vhost_close_fds(struct vhost_message *m);
int vhost_reply(struct vhost_user *v, struct vhost_message *m);
int vhost_receive(struct vhost_user *v);

int vhost_refill(struct link_queue *q);
void vhost_release(struct link_queue *q);
unsigned int vhost_slots(struct link_queue *q, size_t len, unsigned int n,
			 struct link_slot *slots);
int vhost_flush(struct link_queue *q);
bool vhost_stalled(struct link_queue *q);

#endif /* LINK_VHOST_PRIV_H */
