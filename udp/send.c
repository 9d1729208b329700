// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * send.c - A run of the guest's datagrams leaves, straight from the link's
 * frames.
 * Called by udp.c; calls sockets.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "udp/flow.h"

/**
 * struct path - Where a flow without a socket of its own sends, and from
 * @to:		the other end
 * @tolen:	bytes of it
 * @len:	bytes of @control, 0: none
 * @control:	source address, for sendmsg()
 */
struct path {
	union sockaddr_any to;
	socklen_t tolen;
	size_t len;
	union {
		char buf[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control;
};

/* put_source() - The control message that chooses the source address */
static void put_source(struct path *p, int level, int type, const void *info,
		       size_t len)
{
	struct cmsghdr *c = &p->control.align;

	memset(&p->control, 0, sizeof(p->control));
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), info, len);
	p->len = CMSG_SPACE(len);
}

/**
 * set_path() - Answer from the address that was addressed (U5)
 * @p:		filled
 * @uf:		flow that came in through a forwarded port
 *
 * An IPv6 socket that serves IPv4 too takes the address and the control
 * message of either family, and no interface is named but for link-local
 * addresses: what came in over loopback for an address of another interface
 * has to go back the same way.
 */
static void set_path(struct path *p, const struct udp_flow *uf)
{
	p->tolen = sockaddr_set(&p->to, &uf->peer, uf->f.key.rport,
				uf->ifindex);
	p->len = 0;
	if (addr_is_none(&uf->local))
		return;

	if (addr_is_v4(&uf->local)) {
		struct in_pktinfo info = {
			.ipi_spec_dst = addr_v4(&uf->local),
		};

		put_source(p, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	} else {
		struct in6_pktinfo info = {
			.ipi6_addr = uf->local,
			.ipi6_ifindex = uf->ifindex,
		};

		put_source(p, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
}

/**
 * udp_send() - Send the first datagrams of a run, as many as the socket takes
 * @u:		for its listeners
 * @uf:		flow
 * @run:	packets of that flow
 * @n:		how many, at most LINK_BATCH
 *
 * Return: number sent, 1 or more, or -errno: of the first one, or of an
 *	   earlier one if an error was pending
 */
int udp_send(const struct udp *u, const struct udp_flow *uf,
	     const struct pkt *run, unsigned int n)
{
	struct mmsghdr msgs[LINK_BATCH];
	bool own = uf->listener == UDP_NO_LISTENER;
	struct path path;
	struct msghdr *m;
	unsigned int i;
	int fd, rc;

	fd = own ? uf->f.fd : u->fwd->listeners[uf->listener].fd;
	if (!own)
		set_path(&path, uf);

	for (i = 0; i < n; i++) {
		m = &msgs[i].msg_hdr;
		memset(m, 0, sizeof(*m));
		m->msg_iov = run[i].iov;
		m->msg_iovlen = run[i].iovcnt;
		if (own)
			continue;
		m->msg_name = &path.to;
		m->msg_namelen = path.tolen;
		m->msg_control = path.len ? &path.control : NULL;
		m->msg_controllen = path.len;
	}

	do
		rc = sendmmsg(fd, msgs, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : rc;
}
