// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * tcp_dns.c - Tests of TCP connections to the address of --dns-forward, which
 * leads to several resolvers: which of them is tried after one has failed, and
 * which becomes the current one. No connection is really made: the test says
 * how connect() ends.
 */
#include <errno.h>
#include <sys/socket.h>

/* What connect() and SO_ERROR return to the code under test, and the address to
 * which it has connected last. */
static int connect_error, late_error;
static union {
	struct sockaddr sa;
	struct sockaddr_storage space;
} connected;

static int fake_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	__builtin_memcpy(&connected, sa, len);
	errno = connect_error;
	return -1;
}

static int fake_getsockopt(int fd, int level, int name, void *value,
			   socklen_t *len)
{
	*(int *)value = late_error;
	return 0;
}

#define connect fake_connect
#define getsockopt fake_getsockopt
#include "../../tcp.c"
#include "../../tcp/connect.c"
#undef connect
#undef getsockopt
#include "test/unit/cable.h"

#define VIA		"192.0.2.53"
#define RESOLVERS	3

static const char *const resolver[RESOLVERS] = {
	"127.0.0.11", "127.0.0.12", "127.0.0.13",
};

static struct world w;
static struct resolvers list;
static struct end end_one;

/* begins() - Let the guest begin a connection to a port of --dns-forward, whose
 * connect() returns @error */
static void begins(uint16_t port, int error)
{
	struct tcp_hdr h = { .sport = 40001, .dport = port, .seq = 1000,
			     .flags = SEG_SYN, .mss = 1460, .wscale = -1 };
	unsigned int i;

	world_open(&w, 16, 1 << 20);
	net_put_pair(&w.net, VIA, resolver[0], NAT_DNS_PORTS);
	for (i = 0; i < RESOLVERS; i++)
		w.net.forward[IP4][i] = addr(resolver[i]);
	resolvers_init(&list, &w.net);
	w.tcp.resolvers = &list;
	connect_error = error;
	memset(&connected, 0, sizeof(connected));
	end_init(&w, &end_one, NULL, 40001, VIA, port);
	sends(&end_one, &h, NULL, 0);
	to_us(&w);
}

/* fails() - Let connect(), which has returned EINPROGRESS before, fail now with
 * an error: epoll reports it, and SO_ERROR says which */
static void fails(int error)
{
	struct flow *flow = flow_next(&w.flows, NULL);

	late_error = error;
	if (flow)
		tcp_event(&w.tcp, flow, EPOLLERR | EPOLLHUP, w.now);
}

/* changes() - Replace the resolvers, which may be none */
static void changes(const char *const *to, unsigned int n)
{
	memset(w.net.forward, 0, sizeof(w.net.forward));
	while (n--)
		w.net.forward[IP4][n] = addr(to[n]);
	resolvers_init(&list, &w.net);
}

static void ends(const char *name)
{
	guest_leaves(&w);
	world_close(&w, name);
}

/* tried() - Whether this was the last address that passt has connected to */
static bool tried(const char *a)
{
	struct in6_addr is, want = addr(a);
	union sockaddr_any sa;
	uint16_t port;

	memcpy(&sa, &connected, sizeof(sa));
	return connected.sa.sa_family && sockaddr_get(&sa, &is, &port) &&
	       addr_eq(&is, &want);
}

static bool is_current(unsigned int i)
{
	struct in6_addr via = addr(VIA);

	return resolvers_at(&list, &via) == i;
}

/* Given resolvers that refuse a connection, then each is tried once, and the
 * next one becomes the current one. */
static void story_refused(void)
{
	begins(53, EINPROGRESS);
	check("the first is tried", tried(resolver[0]));
	fails(ECONNREFUSED);
	check("then the second", tried(resolver[1]));
	check("which is the current one now", is_current(1));
	fails(ECONNREFUSED);
	check("then the third", tried(resolver[2]));
	check_eq("and the guest waits", w.flows.used, 1);
	fails(ECONNREFUSED);
	check_eq("then the guest is refused", w.flows.used, 0);
	ends("refused");
}

/* Given resolvers that refuse connections to port 853, because they do not have
 * DNS over TLS, then queries to port 53 still go to the first one. */
static void story_no_tls(void)
{
	begins(853, EINPROGRESS);
	fails(ECONNREFUSED);
	check("the second is tried, too", tried(resolver[1]));
	check("but the first stays the current one", is_current(0));
	ends("no TLS");
}

/* Given a host that lacks something for any connection, then no resolver is
 * blamed for it, and no other is tried. */
static void story_no_resource(void)
{
	begins(53, ENOBUFS);
	check("the first is tried", tried(resolver[0]));
	check("and stays the current one", is_current(0));
	check_eq("the guest is refused", w.flows.used, 0);
	ends("no resource");
}

/* Given resolvers that change while a connection is under way, when it fails,
 * then no other address is tried, and no new resolver is blamed. */
static void story_change(void)
{
	const char *const other[] = { "127.0.0.21", "127.0.0.22" };

	begins(53, EINPROGRESS);
	changes(other, 2);
	fails(ECONNREFUSED);
	check("the first new one is the current one", is_current(0));
	check("no other was tried", tried(resolver[0]));
	check_eq("the guest is refused", w.flows.used, 0);
	ends("a change");

	begins(53, EINPROGRESS);
	changes(NULL, 0);
	fails(ECONNREFUSED);
	check("without resolvers, nothing was tried", tried(resolver[0]));
	check_eq("the guest is refused again", w.flows.used, 0);
	ends("no resolver");
}

int main(void)
{
	story_refused();
	story_no_tls();
	story_no_resource();
	story_change();
	return unit_end();
}
