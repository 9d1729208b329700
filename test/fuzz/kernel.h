/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * kernel.h - Sockets for fuzz targets that run all of passt: no system call is
 * made. The linker replaces the calls of passt (option --wrap), so libc and
 * libFuzzer keep theirs.
 *
 * The target stops if a descriptor is used while it is not open, or is closed
 * twice. @event of struct kernel is the socket that the current event is about:
 * reads of this socket return the datagrams and errors of the event. A fuzz
 * target includes this header once.
 */
#ifndef TEST_FUZZ_KERNEL_H
#define TEST_FUZZ_KERNEL_H

#include <errno.h>
#include <time.h>
#include <linux/errqueue.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "sock.h"
#include "test/fuzz/fuzz.h"

#define FD_FIRST	1000	/* the first descriptor of this kernel */
#define FDS		96	/* descriptors at most */
#define SETS		3	/* epoll sets */
#define MESSAGES	4	/* datagrams or errors of an event, at most */
#define CALLS_MAX	20000	/* calls in one step of a target, at most */
#define SNDBUF		(1 << 18)

/**
 * struct ksock - A descriptor
 * @open:	it is open
 * @type:	SOCK_STREAM, SOCK_DGRAM or another type; 0: an epoll set
 * @family, @proto: as for socket()
 * @listening:	listen() was called
 * @events, @token: what each epoll set watches it for; @in: it is in the set
 * @have:	TCP: bytes in the receive buffer
 * @taken:	TCP: bytes that were removed from it in all
 * @peek:	TCP: offset of the next peek (SO_PEEK_OFF); -1: none
 * @eof:	TCP: the peer has closed
 * @port, @dev, @v6only: port that it is bound to, SO_BINDTODEVICE, IPV6_V6ONLY
 * @error:	SO_ERROR
 * @id:		number of the socket, which no other one ever has
 * @quiet:	IP_MULTICAST_LOOP is off
 * @group, @joined: multicast group that it has joined, on the interface with
 *		this index; 0: none
 * @to:		UDP: what it is connected to; @to.sa.sa_family is 0 if it is not
 */
struct ksock {
	bool open, listening, eof, quiet, in[SETS];
	int type, family, proto, error;
	uint32_t events[SETS];
	uint64_t token[SETS];
	uint32_t have, taken;
	int peek, v6only;
	uint16_t port;
	char dev[16];
	uint32_t id, joined;
	struct in6_addr group;
	union sockaddr_any to;
};

/**
 * struct kmessage - A datagram or an error that waits at a socket
 * @data, @len:	payload
 * @from:	sender, or destination of the packet that the error is about
 * @control, @ncontrol: control messages, and their length in bytes
 */
struct kmessage {
	const uint8_t *data;
	size_t len;
	union sockaddr_any from;
	socklen_t from_len;
	uint8_t control[256];
	size_t ncontrol;
};

/**
 * struct kernel - All descriptors
 * @fd:		descriptors
 * @nopen:	number of open ones
 * @set, @nsets: epoll sets
 * @calls:	number of calls since the step began
 * @nfails, @fail: this many calls fail with this errno, but not before
 *		@fail_at more calls were made
 * @bad:	the call is about the descriptor -1
 * @now:	what now_ms() returns
 * @event:	socket that has the messages, -1: none
 * @data, @ndata: datagrams; @errs, @nerrs: error queue
 * @asked:	sequence number of the last request of netlink, 0: none
 * @route:	type of the route in the answer (RTN_*)
 * @peer:	address of the next connection that is accepted
 * @bind:	called for each bind(): returns 0 or an errno; NULL: all succeed
 * @sent:	called for each datagram that goes to a socket, with the message
 *		that it came in
 * @eth:	interface "ethN" has the index N + @eth; UINT32_MAX: there are
 *		no interfaces
 * @opened:	number of sockets that were ever opened
 */
static struct kernel {
	struct ksock fd[FDS];
	int set[SETS];
	unsigned int nopen, nsets, calls, fail_at, nfails;
	int fail;
	bool bad;
	uint64_t now;
	int event;
	struct kmessage data[MESSAGES], errs[MESSAGES];
	unsigned int ndata, nerrs;
	uint32_t asked;
	uint8_t route;
	union sockaddr_any peer;
	int (*bind)(const struct ksock *s, const struct in6_addr *addr);
	void (*sent)(const struct ksock *s, const struct msghdr *m,
		     const uint8_t *p, size_t len);
	uint32_t eth, opened;
} kernel;

UNCOUNTED

/* stream_at() - Return the byte at an offset of what any TCP peer sends */
static uint8_t stream_at(uint32_t at)
{
	return (uint8_t)(at % 251);
}

/* call_fails() - Count a call; true with errno if it has to fail */
static bool call_fails(void)
{
	bool bad = kernel.bad;

	MUST(++kernel.calls < CALLS_MAX);
	kernel.bad = false;
	errno = EBADF;
	if (bad)
		return true;
	if (kernel.fail_at && --kernel.fail_at)
		return false;
	if (!kernel.nfails)
		return false;
	kernel.nfails--;
	errno = kernel.fail;
	return true;
}

/* ksock_of() - Return an open descriptor. -1 is no fault: the call fails */
static struct ksock *ksock_of(int fd)
{
	static struct ksock none;

	kernel.bad = fd == -1;
	if (kernel.bad)
		return &none;
	MUST(fd >= FD_FIRST && fd < FD_FIRST + FDS);
	MUST(kernel.fd[fd - FD_FIRST].open);
	return &kernel.fd[fd - FD_FIRST];
}

/* ksock_new() - Open the lowest free descriptor */
static int ksock_new(int family, int type, int proto)
{
	struct ksock *s = kernel.fd;

	while (s < kernel.fd + FDS && s->open)
		s++;
	if (s == kernel.fd + FDS) {
		errno = EMFILE;
		return -1;
	}
	*s = (struct ksock){ .open = true, .family = family, .peek = -1,
			     .type = type & 15, .proto = proto,
			     .id = ++kernel.opened };
	kernel.nopen++;
	return FD_FIRST + (int)(s - kernel.fd);
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	if (fd >= 0 && fd < FD_FIRST)
		return __real_close(fd);
	MUST(fd != -1);
	ksock_of(fd)->open = false;
	kernel.nopen--;
	return 0;
}

int __wrap_socket(int family, int type, int proto);
int __wrap_socket(int family, int type, int proto)
{
	return call_fails() ? -1 : ksock_new(family, type, proto);
}

int __wrap_epoll_create1(int flags);
int __wrap_epoll_create1(int flags)
{
	MUST(kernel.nsets < SETS);
	kernel.set[kernel.nsets] = ksock_new(0, 0, 0);
	return kernel.set[kernel.nsets++];
}

int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	unsigned int i = epfd != kernel.set[0];
	struct ksock *s;

	if (fd == -1)		/* of the memory link */
		return 0;
	MUST(epfd == kernel.set[i] && ksock_of(epfd));
	s = ksock_of(fd);
	if (op != EPOLL_CTL_DEL && call_fails())
		return -1;
	if (s->in[i] != (op != EPOLL_CTL_ADD)) {
		errno = op == EPOLL_CTL_ADD ? EEXIST : ENOENT;
		return -1;
	}
	s->in[i] = op != EPOLL_CTL_DEL;
	if (s->in[i]) {
		s->events[i] = ev->events;
		s->token[i] = ev->data.u64;
	}
	return 0;
}

int __wrap_bind(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct ksock *s = ksock_of(fd);
	struct in6_addr addr;

	if (call_fails())
		return -1;
	MUST(len <= sizeof(union sockaddr_any));
	sockaddr_get((const union sockaddr_any *)(const void *)sa, &addr,
		     &s->port);
	errno = kernel.bind ? kernel.bind(s, &addr) : 0;
	return errno ? -1 : 0;
}

int __wrap_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog)
{
	ksock_of(fd)->listening = true;
	return call_fails() ? -1 : 0;
}

int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct ksock *s = ksock_of(fd);

	if (call_fails())
		return -1;
	if (s->type != SOCK_STREAM) {
		memcpy(&s->to, sa, MIN(len, sizeof(s->to)));
		return 0;
	}
	errno = EINPROGRESS;
	return -1;
}

int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	struct ksock *s = ksock_of(fd);

	MUST(s->listening);
	if (call_fails())
		return -1;
	if (sa) {
		memcpy(sa, &kernel.peer, MIN(*len, sizeof(kernel.peer)));
		*len = sizeof(kernel.peer);
	}
	return ksock_new(s->family, SOCK_STREAM, s->proto);
}

int __wrap_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how)
{
	ksock_of(fd);
	return call_fails() ? -1 : 0;
}

/* note_multicast() - Remember what setsockopt() says of multicast */
static void note_multicast(struct ksock *s, int level, int option,
			   const void *v)
{
	struct ipv6_mreq m6;
	struct ip_mreqn m4;
	int on;

	if (level == IPPROTO_IP && option == IP_ADD_MEMBERSHIP) {
		memcpy(&m4, v, sizeof(m4));
		s->group = addr_from_v4(m4.imr_multiaddr);
		s->joined = (uint32_t)m4.imr_ifindex;
	} else if (level == IPPROTO_IPV6 && option == IPV6_JOIN_GROUP) {
		memcpy(&m6, v, sizeof(m6));
		s->group = m6.ipv6mr_multiaddr;
		s->joined = m6.ipv6mr_interface;
	} else if ((level == IPPROTO_IP && option == IP_MULTICAST_LOOP) ||
		   (level == IPPROTO_IPV6 && option == IPV6_MULTICAST_LOOP)) {
		memcpy(&on, v, sizeof(on));
		s->quiet = !on;
	}
}

int __wrap_setsockopt(int fd, int level, int option, const void *v,
		      socklen_t len);
int __wrap_setsockopt(int fd, int level, int option, const void *v,
		      socklen_t len)
{
	struct ksock *s = ksock_of(fd);

	if (call_fails())
		return -1;
	if (level == SOL_SOCKET && option == SO_PEEK_OFF)
		memcpy(&s->peek, v, sizeof(s->peek));
	if (level == SOL_SOCKET && option == SO_BINDTODEVICE)
		memcpy(s->dev, v, MIN(len, sizeof(s->dev) - 1));
	if (level == IPPROTO_IPV6 && option == IPV6_V6ONLY)
		memcpy(&s->v6only, v, sizeof(s->v6only));
	note_multicast(s, level, option, v);
	return 0;
}

int __wrap_getsockopt(int fd, int level, int option, void *v, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int option, void *v, socklen_t *len)
{
	struct ksock *s = ksock_of(fd);
	uint32_t mem[SK_MEMINFO_VARS] = {
		[SK_MEMINFO_SNDBUF] = SNDBUF, [SK_MEMINFO_DROPS] = 7,
	};

	if (call_fails())
		return -1;
	memset(v, 0, *len);
	if (level != SOL_SOCKET)
		return 0;
	if (option == SO_ERROR && *len >= sizeof(int)) {
		memcpy(v, &s->error, sizeof(int));
		s->error = 0;
	} else if (option == SO_MEMINFO) {
		memcpy(v, mem, MIN(*len, sizeof(mem)));
	}
	return 0;
}

int __wrap_getsockname(int fd, struct sockaddr *sa, socklen_t *len);
int __wrap_getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	union sockaddr_any any = { .sa.sa_family = AF_INET };

	if (ksock_of(fd)->family == AF_INET6)
		any.sin6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT,
			.sin6_port = htons((uint16_t)(40000 + fd)) };
	else
		any.sin = (struct sockaddr_in){
			.sin_family = AF_INET, .sin_addr = { htonl(0x7f000001) },
			.sin_port = htons((uint16_t)(40000 + fd)) };
	memcpy(sa, &any, MIN(*len, sizeof(any)));
	return call_fails() ? -1 : 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct ifreq *r;
	va_list ap;
	void *arg;

	ksock_of(fd);
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == SIOCOUTQ) {
		*(int *)arg = 0;
		return 0;
	}
	if (request == SIOCGIFINDEX) {
		if (call_fails())
			return -1;
		r = arg;
		r->ifr_ifindex = (int)(r->ifr_name[3] - '0' + kernel.eth);
		if (kernel.eth != UINT32_MAX)
			return 0;
	}
	errno = ENODEV;
	return -1;
}

/* segment_of() - Return UDP_SEGMENT in the control messages; 0: none */
static size_t segment_of(const struct msghdr *m)
{
	struct cmsghdr *c;
	uint16_t n = 0;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR((struct msghdr *)m, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT)
			memcpy(&n, CMSG_DATA(c), sizeof(n));
	return n;
}

/* give_message() - Copy a message to where recvmsg() wants it */
static ssize_t give_message(const struct kmessage *k, struct msghdr *m)
{
	size_t at = 0, n, i;

	for (i = 0; i < m->msg_iovlen && at < k->len; i++, at += n) {
		n = MIN(m->msg_iov[i].iov_len, k->len - at);
		if (n)
			memcpy(m->msg_iov[i].iov_base, k->data + at, n);
	}
	m->msg_flags = at < k->len ? MSG_TRUNC : 0;
	n = MIN(m->msg_controllen, k->ncontrol);
	if (n < k->ncontrol)
		m->msg_flags |= MSG_CTRUNC;
	if (n)
		memcpy(m->msg_control, k->control, n);
	m->msg_controllen = n;
	if (m->msg_name) {
		memcpy(m->msg_name, &k->from, MIN(m->msg_namelen, k->from_len));
		m->msg_namelen = k->from_len;
	}
	return (ssize_t)at;
}

/* give_route() - Answer the last request of netlink by a route of the type that
 * the target has chosen */
static ssize_t give_route(struct msghdr *m)
{
	struct {
		struct nlmsghdr h;
		struct rtmsg r;
	} answer = {
		.h = { .nlmsg_len = sizeof(answer), .nlmsg_seq = kernel.asked,
		       .nlmsg_type = RTM_NEWROUTE },
		.r = { .rtm_type = kernel.route },
	};
	struct kmessage k = { (uint8_t *)&answer, sizeof(answer),
			      .from_len = 0 };

	if (!kernel.asked) {
		errno = EAGAIN;
		return -1;
	}
	kernel.asked = 0;
	return give_message(&k, m);
}

/* send_message() - Take a message: a datagram, or bytes of a stream */
static ssize_t send_message(int fd, const struct msghdr *m)
{
	static uint8_t buf[1 << 17];
	struct ksock *s = ksock_of(fd);
	size_t len = 0, at, each, i;

	if (call_fails())
		return -1;
	for (i = 0; i < m->msg_iovlen; i++) {
		each = m->msg_iov[i].iov_len;
		MUST(len + each <= sizeof(buf));
		memcpy(buf + len, m->msg_iov[i].iov_base, each);
		len += each;
	}
	if (s->type == SOCK_STREAM)
		return (ssize_t)(len > 3000 ? len / 2 : len);
	if (s->family == AF_NETLINK && len >= sizeof(struct nlmsghdr))
		memcpy(&kernel.asked, buf + offsetof(struct nlmsghdr, nlmsg_seq),
		       sizeof(kernel.asked));
	each = segment_of(m);
	for (at = 0; kernel.sent && (at < len || !at); at += each) {
		if (!each)
			each = MAX(len, 1);
		if (s->proto == IPPROTO_UDP)
			kernel.sent(s, m, buf + at, MIN(each, len - at));
	}
	return (ssize_t)len;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	return send_message(fd, m);
}

int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned int n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned int n, int flags)
{
	unsigned int i;
	ssize_t len;

	for (i = 0; i < n; i++) {
		len = send_message(fd, &m[i].msg_hdr);
		if (len < 0)
			return i ? (int)i : -1;
		m[i].msg_len = (unsigned int)len;
	}
	return (int)n;
}

ssize_t __wrap_sendto(int fd, const void *p, size_t len, int flags,
		      const struct sockaddr *sa, socklen_t sa_len);
ssize_t __wrap_sendto(int fd, const void *p, size_t len, int flags,
		      const struct sockaddr *sa, socklen_t sa_len)
{
	struct iovec iov = { (void *)(uintptr_t)p, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_name = (void *)(uintptr_t)sa,
			    .msg_namelen = sa_len };

	return send_message(fd, &m);
}

ssize_t __wrap_send(int fd, const void *p, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t len, int flags)
{
	return __wrap_sendto(fd, p, len, flags, NULL, 0);
}

/* read_stream() - Read bytes of a TCP peer */
static ssize_t read_stream(struct ksock *s, struct msghdr *m, int flags)
{
	uint32_t from = 0, at, n;
	size_t i, j;

	if (flags & MSG_PEEK && s->peek > 0)
		from = (uint32_t)s->peek;
	if (from >= s->have) {
		if (s->eof)
			return 0;
		errno = EAGAIN;
		return -1;
	}
	for (i = 0, at = from; i < m->msg_iovlen; i++) {
		n = (uint32_t)MIN(m->msg_iov[i].iov_len, s->have - at);
		for (j = 0; j < n && m->msg_iov[i].iov_base; j++)
			((uint8_t *)m->msg_iov[i].iov_base)[j] =
				stream_at(s->taken + at + (uint32_t)j);
		at += n;
	}
	if (flags & MSG_PEEK && s->peek >= 0)
		s->peek = (int)at;
	if (!(flags & MSG_PEEK)) {
		s->taken += at;
		s->have -= at;
		s->peek = s->peek > (int)at ? s->peek - (int)at :
			  MIN(s->peek, 0);
	}
	return at - from;
}

/* receive() - Read a message from any socket */
static ssize_t receive(int fd, struct msghdr *m, int flags)
{
	struct ksock *s = ksock_of(fd);

	if (call_fails())
		return -1;
	m->msg_flags = 0;
	if (flags & MSG_ERRQUEUE) {
		if (kernel.event == fd && kernel.nerrs)
			return give_message(&kernel.errs[--kernel.nerrs], m);
	} else if (s->error && s->type != SOCK_STREAM) {
		errno = s->error;
		s->error = 0;
		return -1;
	} else if (s->family == AF_NETLINK) {
		return give_route(m);
	} else if (s->type == SOCK_STREAM) {
		return read_stream(s, m, flags);
	} else if (kernel.event == fd && kernel.ndata) {
		return give_message(&kernel.data[--kernel.ndata], m);
	}
	errno = EAGAIN;
	return -1;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
	return receive(fd, m, flags);
}

int __wrap_recvmmsg(int fd, struct mmsghdr *m, unsigned int n, int flags,
		    struct timespec *timeout);
int __wrap_recvmmsg(int fd, struct mmsghdr *m, unsigned int n, int flags,
		    struct timespec *timeout)
{
	unsigned int i;
	ssize_t len;

	for (i = 0; i < n; i++) {
		len = receive(fd, &m[i].msg_hdr, flags);
		if (len < 0)
			return i ? (int)i : -1;
		m[i].msg_len = (unsigned int)len;
	}
	return (int)n;
}

ssize_t __wrap_recv(int fd, void *p, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t len, int flags)
{
	struct iovec iov = { p, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	return receive(fd, &m, flags);
}

uint64_t __wrap_now_ms(void);
uint64_t __wrap_now_ms(void)
{
	return kernel.now;
}

ssize_t __wrap_getrandom(void *p, size_t len, unsigned int flags);
ssize_t __wrap_getrandom(void *p, size_t len, unsigned int flags)
{
	memset(p, 0x5a, len);
	return (ssize_t)len;
}

/* kernel_start() - Begin without any descriptor */
static void kernel_start(void)
{
	unsigned int i;

	for (i = 0; i < FDS; i++)
		kernel.fd[i].open = false;
	kernel.nopen = kernel.calls = kernel.fail_at = kernel.nfails = 0;
	kernel.now = 1000000;
	kernel.event = -1;
	kernel.nsets = 0;
	kernel.ndata = kernel.nerrs = 0;
	kernel.eth = 0;
}

/* kernel_add_control() - Append a control message to a message */
static void kernel_add_control(struct kmessage *k, int level, int type,
			       const void *p, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)(k->control + k->ncontrol);

	if (k->ncontrol + CMSG_SPACE(len) > sizeof(k->control))
		return;
	memset(c, 0, CMSG_SPACE(len));
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), p, len);
	k->ncontrol += CMSG_SPACE(len);
}

COUNTED

#endif /* TEST_FUZZ_KERNEL_H */
