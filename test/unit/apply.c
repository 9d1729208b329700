// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * apply.c - What happens to listeners when a new rule set replaces the old one:
 * passt opens, closes, keeps or redirects each of them. The test uses real
 * sockets in a network namespace of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../forward/apply.c"
#include "event.h"
#include "log.h"
#include "test/unit/fds.h"
#include "test/unit/netns.h"
#include "unit.h"

#define FAILURES	8

static struct fwd f;
static const struct net both = { .use = { true, true } };
static struct fwd_report report;

/* Failures that the last call of fwd_apply() has reported */
static struct fwd_failure failures[FAILURES];
static char lines[FAILURES][200];
static unsigned int nfailures;
static bool patient;		/* tells fwd_apply() to go on after a failure */

static bool note_failure(void *arg, const struct fwd_failure *e)
{
	fwd_failure_str(e, lines[nfailures], sizeof(lines[0]));
	failures[nfailures++] = *e;
	return patient;
}

/* begin() - Start without listeners, and with a limit of @max listeners */
static void begin(unsigned int max)
{
	static int epfd = -1;

	if (epfd < 0)
		epfd = epoll_create1(EPOLL_CLOEXEC);
	f = (struct fwd){ .net = &both };
	if (fwd_init(&f, max, epfd))
		exit(1);
	patient = true;
}

/* apply() - Apply rules, written as 'tcp VALUE udp VALUE ...', where each VALUE
 * is one of -t or -u; return what fwd_apply() returns */
static int apply(const char *options)
{
	char text[300], why[200], *word, *spec, *rest;
	struct rule_set s = { 0 };
	int rc;

	snprintf(text, sizeof(text), "%s", options);
	for (word = strtok_r(text, " ", &rest); word;
	     word = strtok_r(NULL, " ", &rest)) {
		spec = strtok_r(NULL, " ", &rest);
		if (rule_set_parse(&s, strcmp(word, "udp") ? IPPROTO_TCP :
							     IPPROTO_UDP,
				   spec, why, sizeof(why)))
			fail(spec, "%s", why);
	}
	report = (struct fwd_report){ .failed = note_failure };
	nfailures = 0;
	rc = fwd_apply(&f, &s, &report);
	rule_set_free(&s);
	return rc;
}

/* listener_of() - Find the listener of a port; NULL if there is none */
static const struct listener *listener_of(uint8_t proto, uint16_t port)
{
	const struct listener *l = NULL;

	while ((l = fwd_next_listener(&f, l)) &&
	       (l->proto != proto || l->port != port))
		;
	return l;
}

/* takes() - Open a foreign socket that occupies a TCP port of 127.0.0.1 */
static int takes(uint16_t port)
{
	struct in6_addr a;
	union sockaddr_any sa;
	socklen_t len;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	addr_parse("127.0.0.1", &a);
	len = sockaddr_set(&sa, &a, port, 0);
	if (bind(fd, &sa.sa, len) || listen(fd, 1))
		fail("the test can take a port", "%s", strerror(errno));
	return fd;
}

/* reach() - Connect to a TCP port of 127.0.0.1; -1 if it is refused */
static int reach(uint16_t port)
{
	struct in6_addr a;
	union sockaddr_any sa;
	socklen_t len;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	addr_parse("127.0.0.1", &a);
	len = sockaddr_set(&sa, &a, port, 0);
	if (!connect(fd, &sa.sa, len))
		return fd;
	close(fd);
	return -1;
}

/* Each row has the rules before and after a change, the numbers of listeners
 * that the change opens, closes and moves to another target, and the number of
 * listeners after the change. */
static const struct {
	const char *before, *after;
	unsigned int opened, closed, moved, left;
} changes[] = {
	{ "", "", 0, 0, 0, 0 },
	{ "", "tcp 22", 1, 0, 0, 1 },
	{ "tcp 22", "tcp 22", 0, 0, 0, 1 },
	{ "tcp 22", "", 0, 1, 0, 0 },
	{ "tcp 22", "tcp 23", 1, 1, 0, 1 },
	{ "tcp 22", "udp 22", 1, 1, 0, 1 },
	{ "tcp 22", "udp 22 tcp 22", 1, 0, 0, 2 },
	{ "tcp 20-29", "tcp 25-34", 5, 5, 0, 10 },
	{ "tcp 20-29", "tcp 20-24 tcp 25-29", 0, 0, 0, 10 },
	{ "tcp 20-29", "tcp 20-29,~25", 0, 1, 0, 9 },
	{ "tcp 20-29,~25", "tcp 20-29", 1, 0, 0, 10 },
	{ "tcp 22", "tcp 22:23", 0, 0, 1, 1 },
	{ "tcp 22:23", "tcp 22:24", 0, 0, 1, 1 },
	{ "tcp 20-29", "tcp 20-29:30-39", 0, 0, 10, 10 },
	{ "tcp 22:192.0.2.5", "tcp 22:192.0.2.6", 0, 0, 1, 1 },
	{ "udp 22:192.0.2.5", "udp 22:192.0.2.5", 0, 0, 0, 1 },
	{ "tcp 22", "tcp 22:192.0.2.5", 1, 1, 0, 1 },
	{ "tcp 127.0.0.1/22", "tcp 127.0.0.1/22:192.0.2.5", 0, 0, 1, 1 },
	{ "tcp 22", "tcp 127.0.0.1/22", 1, 1, 0, 1 },
	{ "tcp 127.0.0.1/22", "tcp 127.0.0.2/22", 1, 1, 0, 1 },
	{ "tcp 127.0.0.1/22", "tcp 127.0.0.1/22 tcp 127.0.0.2/22", 1, 0, 0, 2 },
	{ "tcp 22", "tcp %lo/22", 1, 1, 0, 1 },
	{ "tcp %lo/22", "tcp 127.0.0.1%lo/22", 1, 1, 0, 1 },
	{ "tcp ~31-65535", "tcp ~31-65535", 0, 0, 0, 30 },
	{ "tcp ~31-65535", "tcp ~31-65535,~25", 0, 1, 0, 29 },
	{ "tcp ~31-65535", "tcp ~31-65535 tcp 25", 0, 0, 0, 30 },
	{ "tcp ~31-65535", "tcp ~31-65535 tcp 25:26", 0, 0, 1, 30 },
	{ "tcp ~31-65535", "tcp ~31-65535 tcp 127.0.0.1/25", 1, 1, 0, 30 },
	{ "tcp ~31-65535 tcp 127.0.0.1/25", "tcp ~31-65535", 1, 1, 0, 30 },
	{ "tcp 127.0.0.1/~31-65535", "tcp 127.0.0.1/~31-65535 tcp ~31-65535",
	  0, 0, 0, 30 },
};

static void apply_changes(void)
{
	unsigned int i, fds;
	char name[200];

	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		begin(1000);
		fds = count_fds();
		apply(changes[i].before);
		snprintf(name, sizeof(name), "'%s', then '%s'",
			 changes[i].before, changes[i].after);
		check_eq(name, apply(changes[i].after), 0);
		check_eq("opened", report.opened, changes[i].opened);
		check_eq("closed", report.closed, changes[i].closed);
		check_eq("moved", report.moved, changes[i].moved);
		check_eq("failed", nfailures, 0);
		check_eq("listeners", f.nlisteners, changes[i].left);
		check_eq("descriptors", count_fds(), fds + changes[i].left);
		fwd_free(&f);
	}
}

/* Given a listener with a connection that is not accepted yet, when a new rule
 * set redirects this listener and closes all others, then the connection can
 * still be accepted. */
static void listener_stays(void)
{
	const struct listener *l;
	uint64_t token;
	int fd, client, conn;

	begin(100);
	apply("tcp 20-30");
	l = listener_of(IPPROTO_TCP, 25);
	token = listener_token(&f, l);
	fd = l->fd;
	client = reach(25);
	apply("udp 20-60 tcp 25:2500");
	l = fwd_listener_from_token(&f, token);
	check("a listener that leads elsewhere keeps its token", l);
	check_eq("and its socket", l->fd, fd);
	check_eq("and has the new port of the guest", l->gport, 2500);
	conn = accept(fd, NULL, NULL);
	check("a connection that waited there is still to be had", conn >= 0);
	apply("");
	check("a closed listener's token stands for nothing",
	      !fwd_listener_from_token(&f, token));
	check_eq("a connection outlives the listener it came through",
		 write(client, "x", 1) + read(conn, &(char){ 0 }, 1), 2);
	check_eq("which refuses others", reach(25), -1);
	close(conn);
	close(client);
	fwd_free(&f);
}

/* Given a pending event of a listener, when the listener is closed and another
 * one takes its slot before the event is handled, then the token of the event
 * belongs to no listener. */
static void slot_reused(void)
{
	struct epoll_event ev = { 0 };
	const struct listener *l;
	int client;

	begin(100);
	apply("tcp 22");
	client = reach(22);
	check_eq("a connection is an event", epoll_wait(f.epfd, &ev, 1, 1000),
		 1);
	check_eq("of a listener", event_type(ev.data.u64), EVENT_LISTENER);
	check("of that port", fwd_listener_from_token(&f, ev.data.u64) ==
			      listener_of(IPPROTO_TCP, 22));
	apply("tcp 23");
	l = listener_of(IPPROTO_TCP, 23);
	check_eq("another listener has the slot", l - f.listeners,
		 event_index(ev.data.u64));
	check("the event is not its", !fwd_listener_from_token(&f,
							       ev.data.u64));
	check("its own token is", fwd_listener_from_token(&f,
			listener_token(&f, l)) == l);
	close(client);
	fwd_free(&f);
}

/* Given named ports, when a foreign socket occupies one of them, then passt
 * reports a failure and forwards the other ports. Once the occupied port is
 * free, the next change of the rules forwards it, too. */
static void failure_reported(void)
{
	int fd = takes(23);

	begin(100);
	check_eq("one of several is taken: applied", apply("tcp 22-24"), 0);
	check_eq("one of several is taken: reported", nfailures, 1);
	check_eq("its port", failures[0].port, 23);
	check_eq("its errno", failures[0].error, EADDRINUSE);
	check_str("its remedy", failures[0].remedy,
		  ": stop what uses it, or forward another port");
	check_str("as a line", lines[0], "TCP port 23 can't be bound: "
		  "Address already in use: "
		  "stop what uses it, or forward another port");
	check_eq("the others are forwarded", f.nlisteners, 2);

	apply("tcp 22-24 tcp 127.0.0.9/30 tcp 192.0.2.9/31 tcp %nosuch/32");
	check_eq("several failures: each is reported", nfailures, 3);
	check_eq("an address that the host does not have", failures[1].error,
		 EADDRNOTAVAIL);
	check_str("as a line", lines[2], "TCP port 32 of %nosuch can't be "
		  "bound: No such device: give an interface that the host has");
	check_eq("what can be is forwarded", f.nlisteners, 3);

	close(fd);
	apply("tcp 22-24");
	check_eq("once it is free, it is bound", report.opened, 1);
	check_eq("and nothing else is touched", report.closed, 1);

	patient = false;
	fd = takes(30);
	check_eq("the caller can end it", apply("tcp 30-40"), -ECANCELED);
	check_eq("at the first failure", nfailures, 1);
	check_eq("then nothing more is opened", f.nlisteners, 0);
	close(fd);
	fwd_free(&f);
}

/* Given more ports than the limit of listeners allows, then named ports get
 * listeners first, even if they are added after best-effort ports. The
 * remaining listeners go to the lowest best-effort ports. */
static void limit_kept(void)
{
	begin(10);
	apply("tcp ~31-65535 udp ~31-65535");
	check_eq("as many as there may be", f.nlisteners, 10);
	check_eq("no descriptors for more: said", report.exhausted, EMFILE);
	check_eq("and how far it went", report.last, 5);
	check("both protocols went there", listener_of(IPPROTO_TCP, 5) &&
					   listener_of(IPPROTO_UDP, 5));

	apply("tcp ~31-65535 udp ~31-65535 tcp 100-102");
	check_eq("named ports come in", nfailures, 0);
	check("they are there", listener_of(IPPROTO_TCP, 102));
	check_eq("for the highest of the others", report.closed, 3);
	check("these are gone", !listener_of(IPPROTO_UDP, 4) &&
				!listener_of(IPPROTO_TCP, 5));

	apply("tcp ~31-65535 udp ~31-65535,~2-3 tcp 100-102");
	check_eq("an exclusion makes space", report.opened, 2);
	check("for the lowest that are missing", listener_of(IPPROTO_TCP, 5) &&
						 listener_of(IPPROTO_UDP, 4));
	apply("tcp ~31-65535 udp ~31-65535 tcp 100-102");
	check("lower ones come before higher ones",
	      listener_of(IPPROTO_UDP, 3) && !listener_of(IPPROTO_TCP, 5));

	apply("tcp ~31-65535 tcp 100-112");
	check_eq("named ports alone are too many: reported", nfailures, 3);
	check_eq("why", failures[0].error, EMFILE);
	check_eq("nothing else is left", f.nlisteners, 10);
	fwd_free(&f);
}

/* Given a best-effort port that a foreign socket occupies, then passt reports
 * no failure, and the next change of the rules tries to bind the port again. */
static void best_effort(void)
{
	int fd = takes(3);

	begin(100);
	apply("tcp ~6-65535");
	check_eq("all but the one that is taken", f.nlisteners, 4);
	check_eq("no failure", nfailures, 0);
	close(fd);
	apply("tcp ~6-65535");
	check_eq("then that, too", report.opened, 1);
	fwd_free(&f);
}

static void changes_counted(void)
{
	uint32_t before;

	begin(100);
	apply("udp 20-29");
	before = f.changes;
	apply("udp 20-29");
	check_eq("nothing new, no change counted", f.changes, before);
	apply("udp 20-29:30-39");
	check("other targets are a change", f.changes != before);
	fwd_free(&f);
}

int main(void)
{
	if (!own_network()) {
		skip("all", "no network namespace of its own");
		return unit_end();
	}
	apply_changes();
	listener_stays();
	slot_reused();
	failure_reported();
	limit_kept();
	best_effort();
	changes_counted();
	return unit_end();
}
