// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * from_guest.c - Datagrams of the guest: finds or opens the flow that they
 * belong to, and sends them. If the host's kernel refuses a datagram, the guest
 * is told by ICMP.
 */
#include <errno.h>

#include "udp/flow.h"
#include "udp/mcast.h"

/* report_unsent() - Tell the guest why a datagram could not be sent, unless
 * another resolver will be asked instead */
static void report_unsent(struct udp *u, struct udp_flow *uf, int error,
			  const struct pkt *pkt, uint64_t now)
{
	uint32_t mtu = udp_drain_sender(u, uf, now);

	u->count[UDP_SEND_ERROR]++;
	/* A listener's socket is not connected, so ECONNREFUSED on it was
	 * caused by an earlier datagram, maybe of another flow. */
	if (uf->listener != UDP_NO_LISTENER && error == ECONNREFUSED)
		return;
	if (uf->dns && udp_dns_error(u, uf, error))
		return;
	icmp_error_pkt(u->errors, error, error == EMSGSIZE ? mtu : 0, pkt, now);
}

/**
 * report_too_long() - Tell the guest that a datagram with DF is longer than the
 * MTU of the host's interface. If the guest had not been told this MTU before,
 * send the datagram in fragments
 * @unknown:	the guest did not know the MTU when it sent the batch to which
 *		@pkt belongs, as an earlier call for this batch has found
 *
 * Return: value of @unknown for the next call for this batch
 */
static bool report_too_long(struct udp *u, struct udp_flow *uf,
			    const struct pkt *pkt, bool unknown, uint64_t now)
{
	uint32_t mtu = udp_drain_sender(u, uf, now);
	struct pkt without_df = *pkt;

	if (icmp_error_too_big(u->errors, mtu, pkt, now))
		unknown = true;
	without_df.df = false;
	if (unknown && udp_send_batch(u, uf, &without_df, 1) == 1)
		u->count[UDP_FROM_GUEST]++;
	else
		u->count[UDP_SEND_ERROR]++;
	return unknown;
}

/**
 * retry_batch() - Send the first datagrams of a batch
 * @batch, @n:	packets of the flow @uf
 *
 * If the first call fails, its error may be about an earlier datagram, because
 * the socket had a pending error. That error is also in the error queue. If the
 * second call fails, its error is about the first datagram of @batch.
 *
 * Return: number of datagrams sent, 1 or more; or -errno for the first datagram
 */
static int retry_batch(struct udp *u, struct udp_flow *uf,
		       const struct pkt *batch, unsigned int n, uint64_t now)
{
	int rc = udp_send_batch(u, uf, batch, n);

	if (rc > 0 || rc == -EAGAIN)
		return rc;
	udp_drain_sender(u, uf, now);
	sock_clear_error(udp_flow_fd(u, uf));
	return udp_send_batch(u, uf, batch, n);
}

/* send_whole_batch() - Send a batch, and tell the guest which datagrams could
 * not be sent. If the socket has no space, the rest of the batch is silently
 * dropped, as by any full queue on the path */
static void send_whole_batch(struct udp *u, struct udp_flow *uf,
			     const struct pkt *batch, unsigned int n,
			     uint64_t now)
{
	bool mtu_unknown = false;
	int rc;

	for (; n; batch += rc, n -= (unsigned int)rc) {
		rc = retry_batch(u, uf, batch, n, now);
		if (rc == -EAGAIN || rc == -ENOBUFS) {
			u->count[UDP_SEND_ERROR] += n;
			return;
		}
		if (rc > 0) {
			u->count[UDP_FROM_GUEST] += (unsigned int)rc;
			continue;
		}
		if (rc == -EMSGSIZE && batch->df)
			mtu_unknown = report_too_long(u, uf, batch, mtu_unknown,
						      now);
		else
			report_unsent(u, uf, -rc, batch, now);
		rc = 1;
	}
}

/* refuse_batch() - Drop a batch for which there is no flow, because of the
 * error @rc (-errno): count the datagrams, and tell the guest by ICMP if there
 * is a message for the error */
static void refuse_batch(struct udp *u, int rc, const struct pkt *batch,
			 unsigned int n, uint64_t now)
{
	if (rc == -EINVAL)
		u->count[UDP_IMPOSSIBLE] += n;
	else if (rc == -ELOOP)
		u->count[UDP_OWN] += n;
	else if (!icmp_error_pkt(u->errors, -rc, 0, batch, now))
		u->count[UDP_REFUSED]++;
	else
		u->count[UDP_SEND_ERROR] += n;
}

/* open_udp_flow() - Open a flow for a batch; if that fails, drop the batch and
 * return NULL */
static struct udp_flow *open_udp_flow(struct udp *u, const struct flow_key *key,
				      const struct pkt *batch, unsigned int n,
				      uint64_t now)
{
	struct udp_flow *uf;
	int rc;

	rc = udp_flow_open(u, key, now, &uf);
	if (!rc)
		return uf;
	refuse_batch(u, rc, batch, n, now);
	return NULL;
}

static size_t payload_len(const struct pkt *batch, unsigned int n)
{
	size_t len = 0;

	while (n--)
		len += batch[n].len;
	return len;
}

/* is_dns_changed() - Whether a flow that the guest began has to end, because
 * its address has become that of --dns-forward, or is it no longer. A peer's
 * flow goes on: that peer waits for the guest's answers */
static bool is_dns_changed(const struct udp *u, const struct udp_flow *uf)
{
	return !uf->inbound && uf->dns != !!udp_resolvers(u, &uf->flow.key);
}

/* pass_batch() - Send datagrams through their flow */
static void pass_batch(struct udp *u, struct udp_flow *uf,
		       const struct pkt *batch, unsigned int n, uint64_t now)
{
	int rc = uf->dns ? udp_dns_ask(u, uf, batch, n, now) : 0;

	if (rc) {
		udp_flow_close(u, uf);
		refuse_batch(u, rc, batch, n, now);
		return;
	}
	uf->flow.queue = tap_queue(u->tap);
	udp_flow_used(u, uf, n, 0, payload_len(batch, n), now);
	if (uf->all_ports)
		udp_answer_expect(uf, n);
	send_whole_batch(u, uf, batch, n, now);
	if (uf->dns)
		udp_dns_go_on(u, uf, now);
}

/* begin_flow() - Send the first datagrams of a flow, unless the guest opens too
 * many flows */
static void begin_flow(struct udp *u, const struct flow_key *key,
		       const struct pkt *batch, unsigned int n, uint64_t now)
{
	struct udp_flow *uf;
	uint64_t begun;

	if (!sched_may_open(u->sched, SCHED_OPEN_OTHERS, now)) {
		u->count[UDP_REFUSED]++;
		return;
	}
	begun = now_us();
	uf = open_udp_flow(u, key, batch, n, now);
	if (uf)
		pass_batch(u, uf, batch, n, now);
	sched_opened(u->sched, SCHED_OPEN_OTHERS, now_us() - begun);
}

/* take_datagrams() - Send datagrams of the guest, none of them a GSO frame */
static void take_datagrams(struct udp *u, const struct pkt *batch,
			   unsigned int n, uint64_t now)
{
	struct flow_key key = {
		.guest = batch->src, .peer = batch->dst,
		.gport = batch->sport, .pport = batch->dport,
		.proto = IPPROTO_UDP,
	};
	struct udp_flow *uf;

	if (mcast_from_guest(u, batch, n, now))
		return;

	/* Source port 0 means that no reply is wanted (RFC 768). A socket
	 * always has a port, so it can't send such a datagram. */
	if (!batch->sport || !batch->dport || !addr_is_unicast(&batch->src) ||
	    !addr_is_unicast(&batch->dst)) {
		u->count[UDP_IMPOSSIBLE] += n;
		return;
	}

	uf = udp_flow_find(u, &key);
	if (uf && (udp_flow_fd(u, uf) < 0 ||	/* its listener was closed, or
						 * no resolver was found */
		   is_dns_changed(u, uf) || !udp_flow_allowed(u, uf, now))) {
		udp_flow_close(u, uf);
		uf = NULL;
	}
	if (uf)
		pass_batch(u, uf, batch, n, now);
	else
		begin_flow(u, &key, batch, n, now);
}

/* take_gso_frame() - Send the datagrams in a GSO frame of the guest */
static void take_gso_frame(struct udp *u, const struct pkt *gso, uint64_t now)
{
	UNINITIALIZED struct udp_cut cut;
	uint32_t off, len;

	for (off = 0; off < gso->len; off += len) {
		len = udp_cut_gso(&cut, gso, off);
		if (!len) {
			u->count[UDP_SEND_ERROR]++;
			return;
		}
		take_datagrams(u, cut.pkt, cut.n, now);
	}
}

/**
 * udp_from_guest() - Send datagrams of the guest through the socket of a flow
 * @batch, @n:	packets with the same addresses and ports
 */
void udp_from_guest(struct udp *u, const struct pkt *batch, unsigned int n,
		    uint64_t now)
{
	unsigned int i, first = 0;

	for (i = 0; i < n; i++) {
		if (!batch[i].gso_size)
			continue;
		if (first < i)
			take_datagrams(u, batch + first, i - first, now);
		take_gso_frame(u, &batch[i], now);
		first = i + 1;
	}
	if (first < n)
		take_datagrams(u, batch + first, n - first, now);
}
