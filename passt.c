// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * passt.c - The program: start-up, the one epoll loop, and the only file that
 * sees every part.
 *
 * A pass of the loop: events are handed to the part that they are for, timers
 * that are due likewise; then what the pass owes the guest is sent, in one
 * system call.
 */
/* syscalls: start: chdir clone dup2 epoll_create1 geteuid getpid ioctl
 *	     lchown openat rt_sigaction rt_sigprocmask setsid signalfd4
 *	     socket write; run: accept4 close epoll_ctl epoll_wait poll read
 *	     unlink */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checksum.h"
#include "log.h"
#include "host/sandbox.h"
#include "passt.h"
#include "udp/mcast.h"

#define EVENTS		256	/* taken from epoll at once */
#define REFILLS		64	/* batches of frames before sockets' turn */
#define DESCRIPTORS	64	/* kept for what is neither flow nor port */

/* dispatch_udp() - What is for us is answered here, the rest goes out */
static void dispatch_udp(struct passt *p, const struct pkt *run, unsigned int n,
			 uint64_t now)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!dhcp_from_guest(&p->answer, &run[i]) &&
		    !dhcpv6_from_guest(&p->answer, &run[i]))
			break;
	}
	tcp_link_shared(&p->tcp, now);
	if (i < n && p->conf.udp)
		udp_from_guest(&p->udp, run + i, n - i, now);
}

static void dispatch_icmp(struct passt *p, const struct pkt *run,
			  unsigned int n, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!ndp_from_guest(&p->answer, &run[i], now) && p->conf.icmp)
			icmp_from_guest(&p->echo, &run[i], now);
	}
}

/**
 * dispatch() - Hand packets of one flow to the part they are for
 * @p:		the program
 * @run:	packets
 * @n:		how many
 * @now:	ms
 */
static void dispatch(struct passt *p, const struct pkt *run, unsigned int n,
		     uint64_t now)
{
	bool v4 = run->etype != ETH_P_IPV6;

	if (v4 ? !p->conf.ipv4 : !p->conf.ipv6)
		return;

	if (run->etype == ETH_P_ARP) {
		for (; n; n--, run++)
			arp_from_guest(&p->answer, run);
	} else if (run->proto == IPPROTO_UDP) {
		dispatch_udp(p, run, n, now);
	} else if (run->proto == IPPROTO_TCP) {
		if (p->conf.tcp)
			tcp_from_guest(&p->tcp, run, n, now);
	} else {
		dispatch_icmp(p, run, n, now);
	}
}

/* watch() - Wait for a descriptor that is no flow's; 0 or -errno */
static int watch(int epfd, int fd, uint32_t events, enum event_type type)
{
	struct epoll_event ev = {
		.events = events, .data.u64 = event_token(type, 0, 0, 0),
	};

	return epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

/* show_counters() - Those that are not zero, also for who wants quiet */
static void show_counters(const struct passt *p)
{
	const struct {
		const char *const *name;
		const uint64_t *count;
		unsigned int n;
	} part[] = {
		{ tap_counter_name, p->tap.count, TAP_COUNTERS },
		{ fragment_counter_name, p->tap.fragments.count,
		  FRAG_COUNTERS },
		{ tcp_counter_name, p->tcp.count, TCP_COUNTERS },
		{ udp_counter_name, p->udp.count, UDP_COUNTERS },
		{ icmp_counter_name, p->echo.count, ICMP_COUNTERS },
		{ icmp_error_counter_name, p->errors.count,
		  ICMP_ERROR_COUNTERS },
	};
	unsigned int i, j;

	log_msg(LOG_NOTICE, "counters: flows %u", p->flows.used);
	for (i = 0; i < ARRAY_SIZE(part); i++) {
		for (j = 0; j < part[i].n; j++) {
			if (part[i].count[j])
				log_msg(LOG_NOTICE, "counters: %s %llu",
					part[i].name[j],
					(unsigned long long)part[i].count[j]);
		}
	}
}

/* guest_up() - A guest has connected, on @fd, which is the link's now */
static void guest_up(struct passt *p, int fd, uint64_t now)
{
	struct lease *lease = &p->conf.lease;

	if (stream_open(&p->stream, fd)) {
		LOG_LIMITED(LOG_WARNING, "no memory for a guest");
		return;
	}
	if (p->conf.pcap)
		pcap_attach(&p->pcap, &p->stream.link);
	if (watch(p->epfd, fd, EPOLLIN, EVENT_LINK) ||
	    watch(p->epfd_link, fd, EPOLLIN | EPOLLOUT, EVENT_LINK)) {
		LOG_LIMITED(LOG_WARNING, "can't wait for the guest: %s",
			    strerror(errno));
		link_close(&p->stream.link);
		return;
	}

	tap_guest_new(&p->tap, &lease->addr[IP4], &lease->addr[IP6]);
	answer_guest_up(&p->answer, now);
	LOG_LIMITED(LOG_INFO, "guest connected");
}

/* guest_down() - The guest has left, or its link has failed */
static void guest_down(struct passt *p, int error)
{
	if (error == -ECONNRESET || error == -EPIPE)
		LOG_LIMITED(LOG_INFO, "guest disconnected");
	else if (error != -EPROTO)	/* the link has said what was wrong */
		LOG_LIMITED(LOG_WARNING, "guest's link closed: %s",
			    strerror(-error));

	tcp_guest_gone(&p->tcp);
	udp_guest_gone(&p->udp);
	icmp_guest_gone(&p->echo);
	tap_guest_gone(&p->tap);
	link_close(&p->stream.link);
	if (p->conf.one_off)
		p->quit = true;
}

/**
 * guest_left() - Whether the guest has closed its end, be it not read yet
 * @p:		the program
 *
 * A guest that comes back may be seen before its leaving is.
 */
static bool guest_left(const struct passt *p)
{
	struct pollfd pfd = { .fd = p->stream.link.fd };

	return poll(&pfd, 1, 0) > 0;	/* POLLHUP or POLLERR */
}

/* guest_accept() - One at a time: a second one is turned away */
static void guest_accept(struct passt *p, uint64_t now)
{
	int fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
		fd = accept_last(p->listener, &p->spare);
		if (fd >= 0)
			close(fd);
		p->spare = spare_open();
		return;
	}
	if (fd < 0)
		return;
	if (link_up(&p->stream.link) && guest_left(p))
		guest_down(p, -ECONNRESET);
	if (!link_up(&p->stream.link) && !p->quit) {
		guest_up(p, fd, now);
		return;
	}
	close(fd);
	LOG_LIMITED(LOG_INFO, "a second guest was turned away: one is connected, and each needs a passt of its own");
}

/* wait_for_fragments() - Until the oldest datagram's time is over */
static void wait_for_fragments(struct passt *p)
{
	uint64_t due = reassembly_due(&p->tap.fragments);

	if (due && !timer_armed(&p->fragments))
		timer_arm(&p->timers, &p->fragments, due);
}

/* guest_frames() - Frames wait on the link */
static void guest_frames(struct passt *p, uint64_t now)
{
	struct link *l = &p->stream.link;
	unsigned int i, n, refills;
	int rc;

	for (refills = 0; refills < REFILLS; refills++) {
		rc = tap_recv_burst(&p->tap, now);
		for (i = 0; i < p->tap.npkt; i += n) {
			n = tap_batch_len(&p->tap, i);
			dispatch(p, &p->tap.pkt[i], n, now);
		}
		if (rc < 0) {
			guest_down(p, rc);
			return;
		}
		tap_release(&p->tap);
		if (!l->more)
			break;
	}
	wait_for_fragments(p);
}

static void on_signal(struct passt *p)
{
	struct signalfd_siginfo si;

	if (read(p->signals, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGUSR1)
		show_counters(p);
	else
		p->quit = true;
}

static void on_listener(struct passt *p, uint32_t index, uint32_t events,
			uint64_t now)
{
	const struct listener *l = &p->fwd.listeners[index];

	if (l->proto == IPPROTO_TCP)
		tcp_listener(&p->tcp, index, now);
	else
		udp_listener(&p->udp, index, events, now);
}

static void on_flow(struct passt *p, uint64_t token, uint32_t events,
		    uint64_t now)
{
	struct flow *f = flow_from_token(&p->flows, token);

	if (!f)			/* gone, by an earlier event of this pass */
		return;
	if (f->key.proto == IPPROTO_TCP)
		tcp_event(&p->tcp, f, events, now);
	else if (f->key.proto == IPPROTO_UDP)
		udp_event(&p->udp, f, events, now);
	else
		icmp_event(&p->echo, f, events, now);
}

static void on_event(struct passt *p, const struct epoll_event *ev,
		     uint64_t now)
{
	uint64_t token = ev->data.u64;

	switch (event_type(token)) {
	case EVENT_LINK:
		if (ev->events & ~(uint32_t)EPOLLOUT)
			guest_frames(p, now);
		break;
	case EVENT_LINK_LISTEN:
		guest_accept(p, now);
		break;
	case EVENT_SIGNAL:
		on_signal(p);
		break;
	case EVENT_LISTENER:
		on_listener(p, event_index(token), ev->events, now);
		break;
	case EVENT_FLOW:
		on_flow(p, token, ev->events, now);
		break;
	case EVENT_GROUP:
		mcast_group_event(&p->udp, event_index(token), now);
		break;
	}
}

static void on_timer(struct passt *p, struct timer *timer, uint64_t now)
{
	struct flow *f;

	if (timer->type == TIMER_RA) {
		ndp_timer(&p->answer, now);
		return;
	}
	if (timer->type == TIMER_FRAGMENTS) {
		reassembly_expire(&p->tap.fragments, now);
		wait_for_fragments(p);
		return;
	}
	f = container_of(timer, struct flow, timer);
	if (f->key.proto == IPPROTO_TCP)
		tcp_timer(&p->tcp, f, now);
	else if (f->key.proto == IPPROTO_UDP)
		udp_timer(&p->udp, f, now);
	else
		icmp_timer(&p->echo, f, now);
}

/**
 * pass_end() - Send what the pass owes the guest
 * @p:		the program
 * @now:	ms
 *
 * While the link was blocked nobody looked at the sockets: where the link is
 * shared, what came there meanwhile goes before those that have more, which are
 * passed over, but not twice.
 *
 * Return: whether there is more to send that waits for nothing
 */
static bool pass_end(struct passt *p, uint64_t now)
{
	struct link *l = &p->stream.link;
	bool pass_over = l->blocked && l->shallow && !p->passed_over;
	bool more = pass_over;
	int rc;

	if (!link_up(l))
		return false;

	tcp_pass_end(&p->tcp, now);
	rc = tap_flush(&p->tap);
	if (rc > 0)
		p->passed_over = pass_over;
	if (rc > 0 && !pass_over) {
		more = tcp_resume(&p->tcp, now);
		tcp_pass_end(&p->tcp, now);
		rc = tap_flush(&p->tap);
	}
	if (rc < 0)
		guest_down(p, rc);
	return rc > 0 && (more || l->more);
}

static void show_stats(struct passt *p, uint64_t now)
{
	if (!p->conf.stats || now < p->stats_due)
		return;
	p->stats_due = now + p->conf.stats * SEC;
	show_counters(p);
}

static void loop(struct passt *p)
{
	struct epoll_event ev[EVENTS];
	struct timer *timer;
	bool more = false;
	uint64_t now;
	int i, n;

	while (!p->quit) {
		n = epoll_wait(p->stream.link.blocked ? p->epfd_link : p->epfd,
			       ev, EVENTS,
			       more ? 0 : timers_wait(&p->timers, now_ms()));
		now = now_ms();
		if (p->stream.link.more)	/* left by the last pass */
			guest_frames(p, now);
		for (i = 0; i < n; i++)
			on_event(p, &ev[i], now);
		while ((timer = timers_expire(&p->timers, now)))
			on_timer(p, timer, now);
		more = pass_end(p, now);
		show_stats(p, now);
	}
}

/* read_rules() - What -t and -u say; 0 or -1, an error was shown */
static int read_rules(struct passt *p)
{
	const struct conf *c = &p->conf;
	struct rule_error e;

	p->fwd.ipv4 = c->ipv4;
	p->fwd.ipv6 = c->ipv6;
	p->fwd.freebind = c->freebind;
	if (!rule_set_read(&p->rules, c->tcp ? c->tcp_spec : NULL,
			   c->udp ? c->udp_spec : NULL, &e))
		return 0;
	conf_error(e.option, e.spec, "%s", e.why);
	return -1;
}

/* either() - The first of two addresses that is one */
static struct in6_addr either(const struct in6_addr *a,
			      const struct in6_addr *b)
{
	return addr_is_none(a) ? *b : *a;
}

/* forward_map() - How addresses change on the way in and out */
static void forward_map(struct passt *p)
{
	struct in6_addr none = ADDR_NONE;
	struct fwd_map *m = &p->fwd.map;
	struct conf *c = &p->conf;

	if (!c->no_map_loopback) {
		m->host4 = either(&c->map_loopback4,
				  c->map_gw ? &c->gw4 : &none);
		m->host6 = either(&c->map_loopback6,
				  c->map_gw ? &c->gw6 : &none);
	}
	m->guest4 = c->lease.addr[IP4];
	m->guest6 = c->lease.addr[IP6];
	m->map_guest4 = c->map_guest4;
	m->map_guest6 = c->map_guest6;
	m->dns4 = c->dns_match4;
	m->dns6 = c->dns_match6;
	m->dns_host4 = c->dns_host4;
	m->dns_host6 = c->dns_host6;
	m->out4 = c->out4;
	m->out6 = c->out6;
	memcpy(m->if4, c->out_if4, sizeof(m->if4));
	memcpy(m->if6, c->out_if6, sizeof(m->if6));
	m->scope = c->ifindex;
}

/* connect_parts() - Each part learns what it works with; 0 or -ENOMEM */
static int connect_parts(struct passt *p)
{
	struct lease *lease = &p->conf.lease;
	struct link *l = &p->stream.link;

	l->fd = -1;
	tap_init(&p->tap, l, lease->mac);
	p->tap.own4 = lease->router[IP4];
	p->tap.own6 = lease->router[IP6];
	answer_init(&p->answer, &p->tap, lease, &p->timers, TIMER_RA);

	p->errors.tap = p->echo.tap = p->udp.tap = p->tcp.tap = &p->tap;
	p->echo.flows = p->udp.flows = p->tcp.flows = &p->flows;
	p->echo.timers = p->udp.timers = p->tcp.timers = &p->timers;
	p->errors.fwd = p->echo.fwd = p->udp.fwd = p->tcp.fwd = &p->fwd;
	p->echo.errors = p->udp.errors = p->tcp.errors = &p->errors;
	p->tcp.mtu = p->tap.mtu = lease->mtu ? lease->mtu : CONF_MTU;
	icmp_errors_init(&p->errors);
	icmp_init(&p->echo);
	tcp_init(&p->tcp);
	p->spare = spare_open();
	return udp_init(&p->udp);
}

/* failed() - A step of start-up failed */
static int failed(const char *what, int error)
{
	err("%s: %s", what, strerror(error));
	return -1;
}

/* open_events() - The two epoll sets; 0 or -1, an error was shown */
static int open_events(struct passt *p)
{
	p->epfd = epoll_create1(EPOLL_CLOEXEC);
	p->epfd_link = epoll_create1(EPOLL_CLOEXEC);
	if (p->epfd < 0 || p->epfd_link < 0)
		return failed("epoll", errno);
	return 0;
}

/**
 * open_signals() - Signals as events, of the process that goes on
 * @p:		the program
 *
 * epoll waits for the signals of the process that added the descriptor: a
 * child that inherits it would never hear of its own.
 *
 * Return: 0, or -1: an error was shown
 */
static int open_signals(struct passt *p)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);

	p->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (p->signals < 0 ||
	    watch(p->epfd, p->signals, EPOLLIN, EVENT_SIGNAL) ||
	    watch(p->epfd_link, p->signals, EPOLLIN, EVENT_SIGNAL))
		return failed("signals", errno);
	return 0;
}

/* open_socket() - Where the guest connects; 0 or -1, an error was shown */
static int open_socket(struct passt *p)
{
	char *path = p->conf.socket_path, used[sizeof(p->conf.socket_path)];

	if (p->conf.fd >= 0)
		return 0;

	p->listener = stream_listen(path, used, sizeof(used));
	if (p->listener < 0) {
		conf_error("--socket", used, "%s: give a path that can be created and that no other passt uses",
			   strerror(-p->listener));
		return -1;
	}
	memcpy(path, used, sizeof(used));

	/* So that it can be removed at the end, as the user we will be. */
	if (!geteuid() && lchown(path, p->conf.uid, p->conf.gid))
		debug("%s: %s", path, strerror(errno));
	if (watch(p->epfd, p->listener, EPOLLIN, EVENT_LINK_LISTEN) ||
	    watch(p->epfd_link, p->listener, EPOLLIN, EVENT_LINK_LISTEN))
		return failed("epoll", errno);
	return 0;
}

/* open_files() - Those that root may be needed for; 0 or -1, error shown */
static int open_files(struct passt *p)
{
	const char *pid = p->conf.pid_file, *pcap = p->conf.pcap;
	const char *log = p->conf.log_file;
	int rc;

	if (pid) {
		p->pid_fd = open(pid, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC,
				 0644);
		if (p->pid_fd < 0) {
			conf_error("--pid", pid, "%s: give a path that can be created",
				   strerror(errno));
			return -1;
		}
	}
	rc = pcap ? pcap_open(&p->pcap, pcap) : 0;
	if (rc) {
		conf_error("--pcap", pcap, "%s: give a path that can be created",
			   strerror(-rc));
		return -1;
	}
	rc = log ? log_to_file(log, p->conf.log_size) : 0;
	if (rc) {
		conf_error("--log-file", log, "%s: give a path that can be created",
			   strerror(-rc));
		return -1;
	}
	return 0;
}

/* join_groups() - For --multicast, where flows leave; 0 or -1, error shown */
static int join_groups(struct passt *p)
{
	const struct fwd_map *m = &p->fwd.map;
	const struct conf *c = &p->conf;

	if (!c->multicast || !c->udp)
		return 0;
	if (mcast_open(&p->udp,
			       *m->if4 ? if_nametoindex(m->if4) : c->ifindex4,
			       *m->if6 ? if_nametoindex(m->if6) : c->ifindex6))
		return failed("--multicast", ENOMEM);
	return 0;
}

/**
 * open_all() - Everything that start-up can fail at
 * @p:		the program, configured
 *
 * Flows get what forwarded ports leave: a quarter of the descriptors at least.
 *
 * Return: 0, or -1: one line was shown
 */
static int open_all(struct passt *p)
{
	size_t slot = MAX(tcp_flow_size(),
			  MAX(udp_flow_size(), icmp_flow_size()));
	unsigned int fds = sandbox_raise_nofile(), ports;

	if (open_events(p) || open_socket(p) || open_files(p))
		return -1;

	/* Flows of echo have no descriptor of their own: twice as many. */
	if (flow_table_init(&p->flows, slot, 2 * fds, p->epfd))
		return failed("flow table", ENOMEM);
	p->udp.fds = fds;
	p->tcp.max_fd = (int)(fds - MIN(fds / 8, DESCRIPTORS));
	ports = fds - fds / 4;
	if (fwd_listen(&p->fwd, &p->rules, ports - MIN(ports, DESCRIPTORS),
		       p->epfd))
		return -1;
	return join_groups(p);
}

/* write_pid() - Of the process that goes on */
static void write_pid(const struct passt *p, pid_t pid)
{
	if (p->pid_fd >= 0 && dprintf(p->pid_fd, "%d\n", (int)pid) < 0)
		warn("%s: %s", p->conf.pid_file, strerror(errno));
}

/**
 * background() - Go on as a daemon; the parent tells the shell that we accept
 * @p:		the program, ready
 *
 * Return: 0 in the daemon; -1 if there can't be one
 */
static int background(struct passt *p)
{
	pid_t pid;
	int null;

	if (p->conf.foreground) {
		write_pid(p, getpid());
		return 0;
	}

	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid = null < 0 ? -1 : fork();
	if (pid < 0)
		return failed("can't go to the background, use --foreground",
			      errno);
	if (pid) {
		write_pid(p, pid);
		_exit(EXIT_SUCCESS);
	}

	setsid();
	if (chdir("/"))
		debug("chdir: %s", strerror(errno));
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (!p->conf.debug) {		/* it was asked for on stderr */
		log_to_syslog("passt");
		dup2(null, STDERR_FILENO);
	}
	close(null);
	return 0;
}

/* finish() - Reset the peers, and leave nothing behind that we can remove */
static void finish(struct passt *p)
{
	if (p->flows.slots) {
		tcp_guest_gone(&p->tcp);
		udp_guest_gone(&p->udp);
		icmp_guest_gone(&p->echo);
	}
	if (p->listener >= 0)
		unlink(p->conf.socket_path);
	if (p->pid_fd >= 0)
		unlink(p->conf.pid_file);
	if (p->conf.pcap)
		pcap_close(&p->pcap);
	tap_guest_gone(&p->tap);
	link_close(&p->stream.link);
	fwd_free(&p->fwd);
	rule_set_free(&p->rules);
	udp_free(&p->udp);
	tcp_free(&p->tcp);
	flow_table_free(&p->flows);
}

/* prepare() - All that can fail, up to a process that is ready; 0 or -1 */
static int prepare(struct passt *p)
{
	p->listener = p->pid_fd = p->pcap.fd = -1;
	timers_init(&p->timers, now_ms());
	timer_init(&p->fragments, TIMER_FRAGMENTS);
	if (connect_parts(p))
		return failed("start", ENOMEM);
	if (open_all(p) || sandbox_drop_root(p->conf.uid, p->conf.gid) ||
	    sandbox_lock())
		return -1;

	conf_print(&p->conf);
	if (p->conf.icmp)
		icmp_check_allowed(&p->echo);
	return 0;
}

/**
 * start() - From the command line to the first pass
 * @p:		the program
 *
 * A reader that has left, and a file that may not grow (RLIMIT_FSIZE), are
 * errors of the call that meets them, and no reason to end.
 *
 * Return: 0, or -1: an error was shown
 */
static int start(struct passt *p)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (conf_complete(&p->conf) || read_rules(p))
		return -1;

	sandbox_close_fds(p->conf.fd);
	forward_map(p);
	if (prepare(p) || background(p) || open_signals(p)) {
		finish(p);
		return -1;
	}
	if (p->conf.fd >= 0)
		guest_up(p, p->conf.fd, now_ms());
	return 0;
}

int main(int argc, char **argv)
{
	static struct passt p;	/* half a megabyte: not for the stack */

	csum_init();
	switch (conf_parse(&p.conf, argc, argv)) {
	case CONF_DONE:
		return EXIT_SUCCESS;
	case CONF_WRONG:
		return EXIT_FAILURE;
	case CONF_GO:
		break;
	}
	if (conf_check(&p.conf) == CONF_WRONG || start(&p))
		return EXIT_FAILURE;

	p.quit = p.conf.fd >= 0 && !link_up(&p.stream.link);
	loop(&p);
	finish(&p);
	return EXIT_SUCCESS;
}
