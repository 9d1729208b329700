// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * icmp.c - Echo requests of the guest over ping sockets (icmp(7)), and the
 * replies of those it asked, or the errors of routers on the way.
 * Called by passt.c; calls tap.c, the flow table, timers, forward.c and
 * sockets. Errors are in icmp/error.c and icmp/report.c.
 */
#include <errno.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "icmp.h"

/* Replies, and errors, taken in one turn of a socket. */
#define QUANTUM		32

/* Any group may open ping sockets; the range that the kernel takes at most. */
#define ALLOW_ALL	"sysctl -w net.ipv4.ping_group_range='0 2147483647'"

const char *const icmp_counter_name[ICMP_COUNTERS] = {
	[ICMP_OPENED]		= "icmp_opened",
	[ICMP_REFUSED]		= "icmp_refused",
	[ICMP_EVICTED]		= "icmp_evicted",
	[ICMP_FROM_GUEST]		= "icmp_from_guest",
	[ICMP_SEND_ERROR]	= "icmp_send_error",
	[ICMP_TO_GUEST]		= "icmp_to_guest",
	[ICMP_UNASKED]		= "icmp_unasked",
	[ICMP_IMPOSSIBLE]	= "icmp_impossible",
	[ICMP_ERRORS]		= "icmp_errors",
	[ICMP_LIMITED]		= "icmp_limited",
};

/**
 * struct icmp_flow - A ping socket of one identifier, or one host it asked
 * @f:		what all flows have; of a socket, the remote address is none.
 *		A host's @f.node is in the list of struct icmp
 * @hosts:	socket: how many hosts use it; it lives as long as any does
 * @df:		socket: the kernel does not fragment what it sends; host: the
 *		guest's last request said so
 * @ttl, @tos:	host: of the guest's last request
 * @socket:	host: the socket that asks it
 * @host:	host: its address as our sockets know it
 * @last:	host: when it was asked or answered last, ms
 */
struct icmp_flow {
	struct flow f;
	uint32_t hosts;
	bool df;
	uint8_t ttl, tos;
	struct icmp_flow *socket;
	struct in6_addr host;
	uint64_t last;
};

/**
 * icmp_flow_size() - Bytes a slot of the flow table needs
 */
size_t icmp_flow_size(void)
{
	return sizeof(struct icmp_flow);
}

/**
 * icmp_init() - Start without flows
 * @i:		ICMP, with what it works with filled in
 */
void icmp_init(struct icmp *i)
{
	list_init(&i->hosts);
	i->nsockets = i->nhosts = 0;
	i->tokens = ICMP_ERROR_BURST;
	i->refilled = 0;
	memset(i->count, 0, sizeof(i->count));
}

/* check_family() - Try one ping socket; false if there is none, and says so */
static bool check_family(int family, int proto, const char *name)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, proto);

	if (fd >= 0) {
		close(fd);
		return true;
	}
	if (errno == EACCES || errno == EPERM)
		warn("the guest can't ping: no ping sockets for group %u; to allow them: %s",
		     (unsigned int)getegid(), ALLOW_ALL);
	else
		warn("the guest can't ping over %s: no ping sockets: %s", name,
		     strerror(errno));
	return false;
}

/**
 * icmp_check_allowed() - Say at start if the guest won't be able to ping (I2)
 * @i:		ICMP
 *
 * One setting is for both families: it is named once.
 */
void icmp_check_allowed(const struct icmp *i)
{
	if (i->fwd->ipv4 && !check_family(AF_INET, IPPROTO_ICMP, "IPv4"))
		return;
	if (i->fwd->ipv6)
		check_family(AF_INET6, IPPROTO_ICMPV6, "IPv6");
}

static void close_socket(struct icmp *i, struct icmp_flow *s)
{
	if (s->f.fd[SIDE_HOST] >= 0)
		close(s->f.fd[SIDE_HOST]);
	flow_remove(i->flows, &s->f);
	i->nsockets--;
}

/* close_host() - Forget a host, and its socket if it was the last there */
static void close_host(struct icmp *i, struct icmp_flow *h)
{
	struct icmp_flow *s = h->socket;

	list_remove(&h->f.node);
	timer_cancel(i->timers, &h->f.timer);
	flow_remove(i->flows, &h->f);
	i->nhosts--;
	if (!--s->hosts)
		close_socket(i, s);
}

/* evict_host() - Forget the host that was asked the longest ago */
static void evict_host(struct icmp *i)
{
	close_host(i, container_of(i->hosts.next, struct icmp_flow, f.node));
	i->count[ICMP_EVICTED]++;
}

/* evict_socket() - Forget hosts until a socket is closed; false: has none */
static bool evict_socket(struct icmp *i)
{
	uint32_t before = i->nsockets;

	while (i->nsockets == before && !list_empty(&i->hosts))
		evict_host(i);
	return i->nsockets < before;
}

/* ping_socket() - Bound to the identifier where it is free; or -errno */
static int ping_socket(struct icmp *i, const struct flow_key *key,
		       const struct in6_addr *host)
{
	struct sock_source src = nat_source(&i->fwd->map, host);
	uint16_t id = key->gport;
	int fd = sock_open_bound(&src, SOCK_DGRAM, key->proto, &id, false);

	if ((fd == -EMFILE || fd == -ENFILE) && evict_socket(i))
		fd = sock_open_bound(&src, SOCK_DGRAM, key->proto, &id, false);
	return fd;
}

/* share() - Of a small table echo may take an eighth, not all that is usual */
static unsigned int share(const struct icmp *i, unsigned int usual)
{
	return MIN(usual, MAX(i->flows->max / 8, 1));
}

/**
 * set_df() - Who fragments what is too long for the path
 * @s:		socket
 * @df:		the guest, which is told: its packets go out as they are (RFC
 *		1191 3), or not at all (EMSGSIZE). Else the kernel does
 */
static void set_df(struct icmp_flow *s, bool df)
{
	sock_set_df(s->f.fd[SIDE_HOST], s->f.key.proto == IPPROTO_ICMP,
		    df ? SOCK_DF_PROBE : SOCK_DF_WANT);
	s->df = df;
}

/* set_options() - Replies with their TTL and TOS, and errors, are wanted */
static void set_options(struct icmp_flow *s)
{
	bool v4 = s->f.key.proto == IPPROTO_ICMP;

	sock_set_reports(s->f.fd[SIDE_HOST], v4, !v4);
	set_df(s, true);
}

/**
 * open_socket() - A new ping socket
 * @i:		ICMP
 * @key:	of the socket: identifier, no remote address
 * @host:	for the family
 *
 * Return: flow with no host yet, or NULL
 */
static struct icmp_flow *open_socket(struct icmp *i, const struct flow_key *key,
				     const struct in6_addr *host)
{
	struct icmp_flow *s;
	struct flow *f;
	int fd;

	if (i->nsockets >= share(i, ICMP_SOCKETS))
		evict_socket(i);
	fd = ping_socket(i, key, host);
	if (fd < 0) {
		LOG_LIMITED(LOG_DEBUG, "no ping socket: %s", strerror(-fd));
		return NULL;
	}
	f = flow_insert(i->flows, key, FLOW_ECHO);
	if (!f) {
		close(fd);
		return NULL;
	}

	s = container_of(f, struct icmp_flow, f);
	f->fd[SIDE_HOST] = fd;
	i->nsockets++;
	set_options(s);
	if (flow_watch(i->flows, f, SIDE_HOST, EPOLLIN)) {
		close_socket(i, s);
		return NULL;
	}
	i->count[ICMP_OPENED]++;
	return s;
}

/* find() - The flow with a key, or NULL */
static struct icmp_flow *find(const struct icmp *i, const struct flow_key *key)
{
	struct flow *f = flow_lookup(i->flows, key);

	return f ? container_of(f, struct icmp_flow, f) : NULL;
}

/* socket_of() - The socket for a host's key, opened if need be; or NULL */
static struct icmp_flow *socket_of(struct icmp *i, const struct flow_key *key,
				   const struct in6_addr *host)
{
	struct flow_key skey = *key;
	struct icmp_flow *s;

	skey.remote = ADDR_NONE;
	s = find(i, &skey);
	return s ? s : open_socket(i, &skey, host);
}

/**
 * open_host() - The guest asks a host for the first time
 * @i:		ICMP
 * @key:	of the host
 * @host:	its address as our sockets know it
 * @now:	ms
 *
 * Return: flow, or NULL
 */
static struct icmp_flow *open_host(struct icmp *i, const struct flow_key *key,
				   const struct in6_addr *host, uint64_t now)
{
	struct icmp_flow *h, *s;
	struct flow *f;

	/* First, because the socket may go with its last host. */
	if (i->nhosts >= share(i, ICMP_HOSTS))
		evict_host(i);
	s = socket_of(i, key, host);
	if (!s)
		return NULL;
	f = flow_insert(i->flows, key, FLOW_ECHO);
	if (!f) {
		if (!s->hosts)
			close_socket(i, s);
		return NULL;
	}

	h = container_of(f, struct icmp_flow, f);
	h->socket = s;
	h->host = *host;
	h->last = now;
	s->hosts++;
	i->nhosts++;
	list_push(&i->hosts, &f->node);
	timer_arm(i->timers, &f->timer, now + ICMP_ECHO_EXPIRE);
	return h;
}

/* used() - A host was asked, or has answered */
static void used(struct icmp *i, struct icmp_flow *h, uint64_t now)
{
	h->last = now;
	list_remove(&h->f.node);
	list_push(&i->hosts, &h->f.node);
}

/**
 * send_request() - Send an echo request, identifier aside as it is
 * @i:		ICMP
 * @h:		host
 * @pkt:	request
 *
 * Return: 0, or -errno
 */
static int send_request(const struct icmp *i, const struct icmp_flow *h,
			const struct pkt *pkt)
{
	struct sock_tx_info info = { .ttl = pkt->ttl, .tos = pkt->tos };
	uint8_t buf[LINK_FRAME_MAX];
	union sock_control control;
	union sockaddr_any sa;
	struct iovec iov = { .iov_base = buf };
	struct msghdr m = {
		.msg_name = &sa, .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control,
	};

	memcpy(buf, pkt->l4, ICMP_HLEN);
	iov.iov_len = ICMP_HLEN + pkt_copy(pkt, buf + ICMP_HLEN,
					   sizeof(buf) - ICMP_HLEN);
	m.msg_controllen = sock_cmsg_put_info(&control, addr_is_v4(&h->host),
					      &info);
	m.msg_namelen = sockaddr_set(&sa, &h->host, 0, i->fwd->map.scope);

	if (sendmsg(h->socket->f.fd[SIDE_HOST], &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

/**
 * asked() - The flow of a host that was asked
 * @i:		ICMP
 * @s:		socket by which
 * @host:	its address as our sockets know it
 *
 * Return: flow, NULL if that host was not asked
 */
static struct icmp_flow *asked(const struct icmp *i, const struct icmp_flow *s,
			       const struct in6_addr *host)
{
	struct flow_key key = s->f.key;
	struct icmp_flow *h;

	if (!nat_to_guest(&i->fwd->map, host, &key.remote))
		return NULL;
	h = find(i, &key);
	return h && addr_eq(&h->host, host) ? h : NULL;
}

/**
 * report() - Tell the guest of an error that came for one of its requests
 * @i:		ICMP
 * @s:		socket it came to
 * @e:		error
 * @now:	ms
 */
static void report(struct icmp *i, const struct icmp_flow *s,
		   const struct sock_error *e, uint64_t now)
{
	const struct icmp_flow *h = asked(i, s, &e->dest);
	struct icmp_quote q;

	if (!h) {
		i->count[ICMP_UNASKED]++;
		return;
	}
	q = (struct icmp_quote){
		.key = &h->f.key, .ttl = h->ttl, .tos = h->tos, .df = h->df,
	};
	icmp_report_send(i, e, &q, now);
}

/**
 * take_reports() - Tell the guest of the errors that wait at a socket
 * @i:		ICMP
 * @s:		socket
 * @now:	ms
 *
 * Those of the host's kernel were returned by sendmsg() already, but for one
 * thing.
 *
 * Return: MTU that a request was too long for, 0: none was, or not known
 */
static uint32_t take_reports(struct icmp *i, const struct icmp_flow *s,
			     uint64_t now)
{
	struct sock_error e;
	uint32_t mtu = 0;
	unsigned int n;

	for (n = 0; n < QUANTUM && sock_next_error(s->f.fd[SIDE_HOST], &e); n++) {
		if (e.from_network)
			report(i, s, &e, now);
		else if (e.error == EMSGSIZE)
			mtu = e.info;
	}
	return mtu;
}

/**
 * send_twice() - Send an echo request, or find out why not
 * @i:		ICMP
 * @h:		host
 * @pkt:	request
 * @mtu:	set if it was too long, 0: not known
 * @now:	ms
 *
 * What sendmsg() returns may be the pending error of another request.
 *
 * Return: 0, or -errno
 */
static int send_twice(struct icmp *i, const struct icmp_flow *h,
		      const struct pkt *pkt, uint32_t *mtu, uint64_t now)
{
	int rc = send_request(i, h, pkt);

	if (!rc || rc == -EAGAIN)
		return rc;
	take_reports(i, h->socket, now);
	sock_clear_error(h->socket->f.fd[SIDE_HOST]);
	rc = send_request(i, h, pkt);
	*mtu = rc == -EMSGSIZE ? take_reports(i, h->socket, now) : 0;
	return rc;
}

/* is_request() - Whether a packet of the guest is an echo request */
static bool is_request(const struct pkt *pkt)
{
	uint8_t type = pkt->proto == IPPROTO_ICMP ? ICMP4_ECHO_REQUEST :
						    ICMP6_ECHO_REQUEST;

	return pkt->l4[0] == type && !pkt->l4[1];
}

/**
 * asked_host() - The flow of the host that a request is for
 * @i:		ICMP
 * @pkt:	request
 * @now:	ms
 *
 * Return: flow, or NULL, counted
 */
static struct icmp_flow *asked_host(struct icmp *i, const struct pkt *pkt,
				    uint64_t now)
{
	struct flow_key key = {
		.guest = pkt->src, .remote = pkt->dst,
		.gport = pkt->sport, .proto = pkt->proto,
	};
	struct icmp_flow *h;
	struct in6_addr host;

	if (!pkt->ttl || !addr_is_unicast(&pkt->src) ||
	    !addr_is_unicast(&pkt->dst) ||
	    !nat_from_guest(&i->fwd->map, &pkt->dst, &host)) {
		i->count[ICMP_IMPOSSIBLE]++;
		return NULL;
	}

	h = find(i, &key);
	if (!h)
		h = open_host(i, &key, &host, now);
	if (!h)
		i->count[ICMP_REFUSED]++;
	return h;
}

/**
 * icmp_from_guest() - An ICMP or ICMPv6 packet from the guest
 * @i:		ICMP
 * @pkt:	packet; nothing but an echo request has a socket that could
 *		send it
 * @now:	ms
 */
void icmp_from_guest(struct icmp *i, const struct pkt *pkt, uint64_t now)
{
	struct icmp_flow *h;
	uint32_t mtu = 0;
	int rc;

	if (!is_request(pkt))
		return;
	h = asked_host(i, pkt, now);
	if (!h)
		return;

	used(i, h, now);
	h->ttl = pkt->ttl;
	h->tos = pkt->tos;
	h->df = pkt->df;
	if (h->socket->df != pkt->df)
		set_df(h->socket, pkt->df);
	rc = send_twice(i, h, pkt, &mtu, now);
	if (!rc) {
		i->count[ICMP_FROM_GUEST]++;
		return;
	}
	i->count[ICMP_SEND_ERROR]++;
	icmp_error_pkt(i, -rc, NULL, mtu, pkt, now);
}

/**
 * deliver() - Send an echo reply to the guest
 * @i:		ICMP
 * @s:		socket it came to
 * @m:		message as received
 * @buf:	ICMP header and payload; the identifier becomes the guest's
 * @len:	bytes
 * @now:	ms
 */
static void deliver(struct icmp *i, const struct icmp_flow *s, struct msghdr *m,
		    uint8_t *buf, size_t len, uint64_t now)
{
	uint8_t type = s->f.key.proto == IPPROTO_ICMP ? ICMP4_ECHO_REPLY :
							ICMP6_ECHO_REPLY;
	struct ip_hdr ip = {
		.dst = s->f.key.guest, .proto = s->f.key.proto,
	};
	struct sock_rx_info info;
	struct in6_addr peer;
	struct icmp_flow *h;
	uint16_t port;

	h = len >= ICMP_HLEN && buf[0] == type &&
	    sockaddr_get(m->msg_name, &peer, &port) ?
	    asked(i, s, &peer) : NULL;
	if (!h) {
		i->count[ICMP_UNASKED]++;
		return;
	}
	used(i, h, now);
	sock_cmsg_read(m, &info);
	ip.ttl = info.ttl;
	ip.tos = info.tos;
	ip.src = h->f.key.remote;
	put_be16(buf + 4, s->f.key.gport);
	if (!tap_ip_send(i->tap, &ip, buf, len))
		i->count[ICMP_TO_GUEST]++;
}

/**
 * receive() - Take one message from a ping socket
 * @i:		ICMP
 * @s:		socket
 * @now:	ms
 *
 * Return: false if there is none
 */
static bool receive(struct icmp *i, const struct icmp_flow *s, uint64_t now)
{
	union sock_control control;
	uint8_t buf[IP_LEN_MAX];
	union sockaddr_any sa;
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct msghdr m = {
		.msg_name = &sa, .msg_namelen = sizeof(sa),
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(s->f.fd[SIDE_HOST], &m, MSG_DONTWAIT);

	if (n < 0)
		return errno == EINTR;
	if (m.msg_flags & MSG_TRUNC)
		i->count[ICMP_UNASKED]++;	/* longer than any request */
	else
		deliver(i, s, &m, buf, (size_t)n, now);
	return true;
}

/**
 * icmp_event() - A ping socket has replies or an error
 * @i:		ICMP
 * @f:		flow of the socket
 * @events:	EPOLL*
 * @now:	ms
 */
void icmp_event(struct icmp *i, struct flow *f, uint32_t events, uint64_t now)
{
	struct icmp_flow *s = container_of(f, struct icmp_flow, f);
	unsigned int n;

	if (events & EPOLLERR)
		take_reports(i, s, now);
	if (!(events & EPOLLIN))
		return;
	for (n = 0; n < QUANTUM && receive(i, s, now); n++)
		;
}

/**
 * icmp_timer() - The timer of a host has expired
 * @i:		ICMP
 * @f:		flow of the host
 * @now:	ms
 */
void icmp_timer(struct icmp *i, struct flow *f, uint64_t now)
{
	struct icmp_flow *h = container_of(f, struct icmp_flow, f);

	if (h->last + ICMP_ECHO_EXPIRE > now)
		timer_arm(i->timers, &f->timer, h->last + ICMP_ECHO_EXPIRE);
	else
		close_host(i, h);
}

/**
 * icmp_guest_gone() - Close all flows
 * @i:		ICMP
 */
void icmp_guest_gone(struct icmp *i)
{
	while (!list_empty(&i->hosts))
		close_host(i, container_of(i->hosts.next, struct icmp_flow,
					   f.node));
}
