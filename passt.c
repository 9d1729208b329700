// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * passt.c - The main program. It starts up, gives up privileges, goes to the
 * background, and handles guests that connect and leave. The event loop is in
 * loop.c.
 */
/* syscalls: start: chdir clone dup2 ftruncate getpid listen lchown newfstatat
 *	     openat poll rt_sigaction rt_sigprocmask setsid signalfd4
 *	     socketpair; run: accept4 close read write */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checksum.h"
#include "host/netlink.h"
#include "log.h"
#include "host/paths.h"
#include "host/process.h"
#include "host/rights.h"
#include "host/seccomp.h"
#include "link/guest_mem.h"
#include "passt.h"
#include "sock.h"
#include "tap/trace.h"
#include "udp/mcast.h"

#define DEFAULT_SOCKET	"/tmp/passt_%u.socket"
#define DEFAULT_SOCKETS	64	/* the highest number in DEFAULT_SOCKET */

/* How many times passt tries to bind the path that --socket gives, and the wait
 * between two attempts, ms. When a process is killed, the kernel closes its
 * sockets one after another: with 25 sockets and an inotify descriptor, the
 * listening socket was closed up to 0.9 s after the socket of the guest
 * (measured). */
#define SOCKET_TRIES	200
#define SOCKET_STEP_MS	10

#define PID_STRLEN	sizeof("-2147483648\n")

/* guest_up() - Open the link for a guest that has connected on socket @fd; the
 * link closes @fd */
static void guest_up(struct program *p, int fd, uint64_t now)
{
	int rc;

	if (p->conf.vhost_user) {
		vhost_user_open(&p->vhost, fd);
	} else if (stream_open(&p->stream, fd)) {
		LOG_LIMITED(LOG_WARNING, "no memory for a guest");
		return;
	}
	if (p->pcap.fd >= 0)
		link_observe(p->worker.link, &p->pcap.observer);
	if (log_enabled(LOG_TRACE))
		link_observe(p->worker.link, &p->trace);
	rc = worker_guest_up(&p->worker, now);
	if (rc)
		LOG_LIMITED(LOG_WARNING, "can't wait for the guest: %s",
			    strerror(-rc));
}

/**
 * guest_hung_up() - Whether the guest closed its connection
 *
 * If a guest reconnects, epoll may report the new connection before passt has
 * read the end of the old connection. Sending no bytes sends nothing, but fails
 * on a closed connection.
 */
static bool guest_hung_up(const struct program *p)
{
	return sock_send(p->worker.link->fds[0].fd, NULL, 0,
			 MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN;
}

/* accept_guest() - Accept a connection at our listening socket; returns the new
 * socket or -errno. If no descriptors are left, the connection is closed */
static int accept_guest(struct program *p)
{
	int fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int rc = fd < 0 ? -errno : fd;

	if (rc != -EMFILE && rc != -ENFILE)
		return rc;
	fd = accept_last(p->listener, &p->spare);
	if (fd >= 0) {
		close(fd);
		rc = -EAGAIN;
	}
	p->spare = spare_open();
	return rc;
}

/* handle_guest() - Accept a guest; close the connection at once if another
 * guest is connected */
static void handle_guest(struct program *p, uint64_t now)
{
	const struct link *l = p->worker.link;
	int fd = accept_guest(p);

	if (fd == -EAGAIN || fd == -EINTR)
		return;
	if (fd < 0) {
		LOG_LIMITED(LOG_WARNING, "can't accept a guest: %s",
			    strerror(-fd));
		worker_rest(&p->worker, p->listener, now);
		return;
	}
	if (link_up(l) && guest_hung_up(p))
		worker_guest_down(&p->worker, -ECONNRESET);
	if (!link_up(l) && !p->worker.quit) {
		guest_up(p, fd, now);
		return;
	}
	close(fd);
	LOG_LIMITED(LOG_INFO, "a second guest was turned away: one is connected, and each needs a passt of its own");
}

/* log_state() - Log the network of the guest as it is now, and all counters,
 * even with --quiet */
static void log_state(const struct program *p)
{
	net_print(LOG_NOTICE, &p->net);
	log_msg(LOG_NOTICE, "Forwarding: listening sockets %u, ports that wait until they can be bound %u",
		p->fwd.nlisteners, p->fwd.waiting);
	worker_log_counters(&p->worker);
}

static void handle_signal(struct program *p)
{
	struct signalfd_siginfo si;

	if (read(p->signals, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGUSR1)
		log_state(p);
	else
		p->worker.quit = true;
}

/* handle_control() - Handle an event that the worker leaves to the program */
static void handle_control(void *owner, enum event_type type, uint64_t now)
{
	struct program *p = owner;

	if (type == EVENT_LINK_LISTEN)
		handle_guest(p, now);
	else if (type == EVENT_SIGNAL)
		handle_signal(p);
	else if (type == EVENT_HOST)
		follow_event(&p->follow, now);
	else if (type == EVENT_WAKE)
		follow_wake(&p->follow, now);
	else if (type == EVENT_CONTINUED)
		follow_stopped(&p->follow, p->worker.clock.pause, now);
}

/* derive_net() - Read the host's network, and derive the guest's network from
 * it; returns 0, or -1 after showing an error */
static int derive_net(struct program *p)
{
	const struct conf *c = &p->conf;
	const char *ifname[FAMILIES] = {
		conf_ifname(c, IP4), conf_ifname(c, IP6),
	};

	host_read(&p->host, p->nl, ifname);
	derive(c, &p->host, &p->net);
	if (p->net.use[IP4] || p->net.use[IP6])
		return 0;
	net_print_notes(&p->net, &p->host);
	err("Neither IPv4 nor IPv6 is there to connect the guest to");
	return -1;
}

/* read_rules() - Parse the values of -t and -u; returns 0, or -1 after showing
 * an error */
static int read_rules(struct program *p)
{
	const struct conf *c = &p->conf;
	struct rule_error e;

	p->fwd.net = &p->net;
	p->fwd.freebind = c->freebind;
	if (!rule_set_read(&p->rules, c->tcp ? c->tcp_spec : NULL,
			   c->udp ? c->udp_spec : NULL, &e))
		return 0;
	conf_error(e.option, e.spec, "%s", e.why);
	return -1;
}

/* is_limit() - Whether an error means that a limit of the process is too low */
static bool is_limit(int error)
{
	return error == EMFILE || error == ENOMEM;
}

/* start_failed() - Show that a step of start-up failed; returns -1 */
static int start_failed(const char *what, int error)
{
	const char *remedy = error == EMFILE ?
		": raise the limit of descriptors (ulimit -n)" :
		": raise the limit of address space (ulimit -v)";

	err("%s: %s%s", what, strerror(error), is_limit(error) ? remedy : "");
	return -1;
}

/* own_signals() - Return the signals that passt handles */
static sigset_t own_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	return set;
}

/* hold_signals() - Let signals wait until open_signals() was called. Without
 * this, a signal that comes right after the start would kill passt, and its pid
 * file and socket would be left */
static void hold_signals(void)
{
	sigset_t set = own_signals();

	sigprocmask(SIG_BLOCK, &set, NULL);
}

/**
 * open_signals() - From now on, receive signals as events; call this function
 * after going to the background
 *
 * epoll reports a signalfd only for signals of the process that added it to the
 * epoll set. If the parent process had added it, the daemon would get no event
 * for its own signals.
 *
 * Return: 0, or -1: an error was shown
 */
static int open_signals(struct program *p)
{
	sigset_t set = own_signals();

	p->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (p->signals < 0 ||
	    worker_watch(&p->worker, p->signals, EVENT_SIGNAL))
		return start_failed("signals", errno);
	return 0;
}

/* bind_as() - Bind the listening socket; rights_use() calls this function */
static int bind_as(void *arg, const char *path, bool as_root)
{
	struct program *p = arg;
	int fd = link_bind(path);
	struct stat st;

	if (fd < 0)
		return fd;
	/* @as_root means that only root can change the directory of @path, so
	 * @path still leads to the file that link_bind() has made. */
	if (as_root && lchown(path, p->conf.uid, p->conf.gid))
		debug("%s: %s", path, strerror(errno));
	if (!lstat(path, &st))
		p->socket_id = (struct file_id){ st.st_dev, st.st_ino };
	return fd;
}

static int bind_socket(struct program *p)
{
	return rights_use(p->conf.uid, p->conf.gid, p->socket_path, bind_as, p);
}

/* bind_named() - Bind the listening socket to the path that --socket gives. If
 * passt is killed, libvirt starts it again as soon as the old connection is
 * closed. The old listening socket may still be open then, so this function
 * tries again for a while if the path is in use. */
static int bind_named(struct program *p)
{
	unsigned int i;
	int fd = bind_socket(p);

	for (i = 1; fd == -EADDRINUSE && i < SOCKET_TRIES; i++) {
		poll(NULL, 0, SOCKET_STEP_MS);
		fd = bind_socket(p);
	}
	return fd;
}

/* bind_default() - Bind the listening socket to the first default path that is
 * free; returns the socket, or -errno of the last path */
static int bind_default(struct program *p)
{
	int fd = -EADDRINUSE;
	unsigned int i;

	for (i = 1; fd < 0 && i <= DEFAULT_SOCKETS; i++) {
		snprintf(p->socket_path, sizeof(p->socket_path), DEFAULT_SOCKET,
			 i);
		fd = bind_socket(p);
	}
	return fd;
}

/* keep_path() - Open the directory of a file that passt has made, to remove the
 * file at the end */
static void keep_path(const struct program *p, enum own_path which,
		      const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char parent[PATH_MAX];
	int dir;

	snprintf(parent, sizeof(parent), "%.*s", (int)(name - path), path);
	dir = rights_open(p->conf.uid, p->conf.gid, slash ? parent : ".",
			  O_PATH | O_DIRECTORY, 0);
	if (dir >= 0)
		dir = paths_keep(which, dir, name);
	if (dir < 0)
		debug("%s will not be removed: %s", path, strerror(-dir));
}

/**
 * open_listener() - Listen for the guest
 *
 * The file of the socket belongs to the user that passt becomes. But listen()
 * is called with the rights of the user that started passt: the kernel records
 * that user, and qrap checks it (SO_PEERCRED).
 *
 * Return: 0, or -1: an error was shown
 */
static int open_listener(struct program *p)
{
	if (p->conf.fd >= 0)
		return 0;

	snprintf(p->socket_path, sizeof(p->socket_path), "%s",
		 p->conf.socket_path);
	p->listener = *p->socket_path ? bind_named(p) : bind_default(p);
	if (is_limit(-p->listener))
		return start_failed("socket", -p->listener);
	if (p->listener < 0) {
		conf_error("--socket", p->socket_path, "%s: give a path that can be created and that no other passt uses",
			   strerror(-p->listener));
		return -1;
	}

	keep_path(p, PATH_SOCKET, p->socket_path);
	if (listen(p->listener, 4) ||
	    worker_watch(&p->worker, p->listener, EVENT_LINK_LISTEN))
		return start_failed("socket", errno);
	return 0;
}

/* open_file() - Open a file that an option names; returns the descriptor or
 * -errno */
static int open_file(const struct program *p, const char *path, int flags,
		     mode_t mode)
{
	return rights_open(p->conf.uid, p->conf.gid, path, flags, mode);
}

/* path_failed() - Show that the file of an option can't be opened; returns
 * -1 */
static int path_failed(const char *option, const char *path, int error)
{
	if (is_limit(error))
		return start_failed(option, error);
	conf_error(option, path, "%s: give a path that can be created",
		   strerror(error));
	return -1;
}

/* open_log() - Start the log file; returns 0, or -1 after showing an error */
static int open_log(const struct program *p)
{
	const char *path = p->conf.log_file;
	int rc;

	if (!path)
		return 0;
	rc = open_file(p, path, O_RDWR | O_CREAT, 0600);
	if (rc >= 0)
		rc = log_to_file(rc, p->conf.log_size);
	if (!rc)
		return 0;
	return path_failed("--log-file", path, -rc);
}

/* open_pcap() - Start to record frames, or go on without a recording if that
 * fails */
static void open_pcap(struct program *p)
{
	const char *path = p->conf.pcap;
	int rc;

	if (!path)
		return;
	rc = open_file(p, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (rc >= 0)
		rc = pcap_open(&p->pcap, rc);
	if (rc)
		warn("--pcap %s: %s: no frames are recorded; give a path that can be created",
		     path, strerror(-rc));
}

/**
 * open_pid_file() - Open the pid file. Its content stays until passt is ready,
 * because another passt may have written it
 *
 * Return: 0, or -1 after showing an error
 */
static int open_pid_file(struct program *p)
{
	const char *path = p->conf.pid_file;
	int fd;

	if (!path)
		return 0;
	fd = open_file(p, path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	p->pid_made = fd >= 0;
	if (fd == -EEXIST)
		fd = open_file(p, path, O_WRONLY | O_CREAT, 0644);
	p->pid_fd = fd;
	if (fd >= 0) {
		keep_path(p, PATH_PID, path);
		return 0;
	}
	return path_failed("--pid", path, -fd);
}

/* join_groups() - Open the sockets of --multicast; returns 0, or -1 after
 * showing an error */
static int join_groups(struct program *p)
{
	if (!p->conf.multicast || !p->conf.udp)
		return 0;
	if (mcast_open(&p->worker.udp))
		return start_failed("--multicast", ENOMEM);
	return 0;
}

/**
 * open_all() - Open the epoll sets, sockets and files that passt needs from the
 * start
 *
 * Forwarded ports may use at most three quarters of the descriptors, minus
 * those that passt itself needs, so that some are left for flows.
 *
 * The listening socket is opened before the forwarded ports, and so is closed
 * after them: if passt is killed, the kernel closes the descriptors with the
 * highest numbers first. So when a successor can bind the path, see
 * bind_named(), the forwarded ports are free, too.
 *
 * Return: 0, or -1: an error was shown
 */
static int open_all(struct program *p)
{
	unsigned int fds = process_raise_nofile(), ports = fds - fds / 4;
	int rc = worker_open(&p->worker, fds);

	if (rc)
		return start_failed("event loop", -rc);
	if (open_log(p) || open_listener(p) || open_pid_file(p))
		return -1;
	open_pcap(p);
	if (fwd_init(&p->fwd, ports - MIN(ports, FDS_OWN), p->worker.epfd))
		return start_failed("forwarding", ENOMEM);
	if (fwd_start(&p->fwd, &p->rules, &p->ports))
		return -1;
	if (join_groups(p))
		return -1;
	rc = follow_open(&p->follow);
	return rc ? start_failed("event loop", -rc) : 0;
}

/* write_pid() - Write the pid file. @pid is the process that runs the event
 * loop: this process, or its child if passt goes to the background */
static void write_pid(const struct program *p, pid_t pid)
{
	char line[PID_STRLEN];
	int len;

	if (p->pid_fd < 0)
		return;
	len = snprintf(line, sizeof(line), "%d\n", (int)pid);
	if ((ftruncate(p->pid_fd, 0) && errno != EINVAL) ||	/* a pipe */
	    write(p->pid_fd, line, (size_t)len) != len)
		warn("--pid %s: %s", p->conf.pid_file, strerror(errno));
}

/* close_pid() - Close the pid file, which has been written */
static void close_pid(struct program *p)
{
	if (p->pid_fd >= 0)
		close(p->pid_fd);
	p->pid_fd = -1;
}

/* wait_for_child() - In the process that was started: write the pid file, tell
 * the child its process ID, and end when the child is ready */
static void wait_for_child(const struct program *p, int fd, pid_t pid)
{
	char ready;

	write_pid(p, pid);
	if (write(fd, &pid, sizeof(pid)) == sizeof(pid) &&
	    read(fd, &ready, sizeof(ready)) == sizeof(ready))
		_exit(EXIT_SUCCESS);
	_exit(EXIT_FAILURE);
}

/**
 * go_background() - Continue as a daemon, unless --foreground is given
 *
 * The parent process exits once a guest can connect. A script can thus wait for
 * the end of the parent, and then start qemu. The child process can't find out
 * its own process ID, as others see it: it may be in a PID namespace.
 *
 * Return: 0 in the process that continues; -1 after showing an error
 */
static int go_background(struct program *p)
{
	int fds[2] = { -1, -1 };
	pid_t pid = -1;

	p->pid = getpid();
	if (p->conf.foreground) {
		write_pid(p, p->pid);
		close_pid(p);
		return 0;
	}

	if (!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		pid = fork();
	if (pid < 0)
		return start_failed("can't go to the background, use --foreground",
				    errno);
	close(fds[pid > 0]);
	if (pid)
		wait_for_child(p, fds[0], pid);

	close_pid(p);
	p->parent = fds[1];
	setsid();
	if (chdir("/"))		/* so that no file system is in use */
		debug("chdir: %s", strerror(errno));
	if (read(p->parent, &p->pid, sizeof(p->pid)) != sizeof(p->pid))
		return start_failed("the parent process", EPIPE);
	return 0;
}

/* leave_terminal() - In the background, replace standard descriptors by
 * /dev/null, and stderr by the system logger. --debug logs to stderr */
static void leave_terminal(struct program *p)
{
	if (p->conf.foreground)
		return;
	dup2(p->null, STDIN_FILENO);
	if (!p->conf.show_sandbox)
		dup2(p->null, STDOUT_FILENO);
	if (!p->conf.debug) {
		log_to_syslog("passt", (int)p->pid);
		dup2(p->null, STDERR_FILENO);
	}
	close(p->null);
}

/* remove_own() - Remove a file that passt has made */
static void remove_own(enum own_path which, const char *path)
{
	int rc = paths_remove_own(which);

	if (rc)
		debug("%s: can't be removed: %s", path, strerror(-rc));
}

/* remove_socket() - Remove our socket, unless the path leads to another file
 * now */
static void remove_socket(struct program *p)
{
	struct stat st;

	if (!paths_stat_own(PATH_SOCKET, &st) &&
	    st.st_dev == p->socket_id.dev && st.st_ino == p->socket_id.ino)
		remove_own(PATH_SOCKET, p->socket_path);
}

/* has_our_pid() - Whether the pid file still contains our process ID: another
 * passt may have written its own */
static bool has_our_pid(const struct program *p)
{
	char want[PID_STRLEN], got[PID_STRLEN] = "";
	int fd = paths_open_own(PATH_PID);
	ssize_t n;

	if (fd < 0)
		return false;
	snprintf(want, sizeof(want), "%d\n", (int)p->pid);
	n = read(fd, got, sizeof(got) - 1);
	close(fd);
	return n > 0 && !strcmp(got, want);
}

/* remove_pid_file() - Remove the pid file, if it contains our process ID, or if
 * passt has created it and not written it yet */
static void remove_pid_file(struct program *p)
{
	if (!p->conf.pid_file)
		return;
	if (p->pid_fd >= 0 ? p->pid_made : has_our_pid(p))
		remove_own(PATH_PID, p->conf.pid_file);
	close_pid(p);
}

/* finish_program() - End all flows, remove the socket and the pid file */
static void finish_program(struct program *p)
{
	worker_free(&p->worker);
	if (p->listener >= 0)
		remove_socket(p);
	remove_pid_file(p);
	follow_close(&p->follow);
	pcap_close(&p->pcap);
	fwd_free(&p->fwd);
	rule_set_free(&p->rules);
}

/* print_start() - Log where guests connect, in the words that scripts look for,
 * and what a guest will get */
static void print_start(const struct program *p)
{
	if (p->listener >= 0)
		info("UNIX domain socket bound at %s", p->socket_path);
	fwd_print(&p->fwd, &p->rules, &p->ports);
	net_print_notes(&p->net, &p->host);
	net_print(LOG_INFO, &p->net);
	if (*p->socket_path)
		net_print_qemu(p->socket_path, p->conf.vhost_user);
	debug("runs as user %u, group %u; descriptors: %u", p->conf.uid,
	      p->conf.gid, p->worker.udp.fds);
}

/* list_tcp_ports() - List the host ports that TCP sockets are bound to, for
 * the sandbox */
static void list_tcp_ports(struct program *p)
{
	struct sandbox *s = &p->sandbox;
	const struct rule *r;
	unsigned int port;

	for (r = p->rules.rules; r < p->rules.rules + p->rules.n; r++) {
		if (r->proto != IPPROTO_TCP)
			continue;
		for (port = r->first; port <= r->last; port++) {
			s->ntcp_ports += !(s->tcp_ports[port / 8] &
					   1 << port % 8);
			s->tcp_ports[port / 8] |= (uint8_t)(1 << port % 8);
		}
	}
}

/* enter_sandbox() - Give up the rights of root, and what else can be given up
 * before passt goes to the background; returns 0, or -1 after showing an
 * error */
static int enter_sandbox(struct program *p)
{
	bool mapped = process_can_become(p->conf.uid, p->conf.gid);

	list_tcp_ports(p);
	sandbox_isolate_root(&p->sandbox);
	if (process_drop_root(p->conf.uid, p->conf.gid, mapped))
		return -1;
	sandbox_isolate(&p->sandbox);
	return 0;
}

/* close_sandbox() - Give up all the rest; returns 0, or -1 after showing an
 * error */
static int close_sandbox(struct program *p)
{
	const struct sandbox *s = &p->sandbox;

	if (sandbox_drop(&p->sandbox) || !sandbox_report(s, p->conf.strict))
		return -1;
	leave_terminal(p);
	sandbox_run(&p->sandbox);
	if (!s->error[SANDBOX_RUN_CALLS])
		return 0;
	return sandbox_report(s, p->conf.strict) ? 0 : -1;
}

/* tell_parent() - Let the process that was started end: passt is ready */
static void tell_parent(struct program *p)
{
	if (p->parent < 0)
		return;
	if (write(p->parent, "", 1) < 0)
		debug("the parent process is gone: %s", strerror(errno));
	close(p->parent);
}

/* open_background() - Open what passt needs to go to the background, and can't
 * open in the sandbox; returns 0, or -1 after showing an error */
static int open_background(struct program *p)
{
	if (p->conf.foreground)
		return 0;
	p->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (p->null < 0)
		return start_failed("/dev/null", errno);
	if (!p->conf.debug)
		log_open_syslog();
	return 0;
}

/* prepare_program() - Set up the worker, and open all descriptors; returns 0,
 * or -1 after showing an error */
static int prepare_program(struct program *p)
{
	struct link *l = &p->stream.link;
	struct link_queue *q = &p->stream.queue;

	if (p->conf.vhost_user) {
		l = &p->vhost.link;
		q = p->vhost.queue;
		guest_mem_catch_faults();
	}
	p->worker.control = handle_control;
	p->worker.owner = p;
	p->trace.see = trace_frames;
	if ((!p->conf.vhost_user && stream_map(&p->stream)) ||
	    worker_init(&p->worker, &p->conf, &p->net, &p->fwd, l, q))
		return start_failed("start", ENOMEM);
	p->spare = spare_open();
	if (open_background(p) || open_all(p) || enter_sandbox(p))
		return -1;

	print_start(p);
	if (p->conf.icmp)
		icmp_check_allowed(&p->worker.echo);
	return 0;
}

/* call_groups() - Groups of system calls that the options need */
static unsigned int call_groups(const struct conf *c)
{
	return (c->vhost_user ? CALLS_VHOST : 0) |
	       (c->log_file ? CALLS_LOGFILE : 0) | (c->pcap ? CALLS_PCAP : 0) |
	       (log_shares_stderr() ? CALLS_STDERR : 0);
}

/* init_program() - Set what does not depend on the host, and open what start-up
 * uses; returns 0, or -1 after showing an error */
static int init_program(struct program *p)
{
	int rc;

	process_close_fds(p->conf.fd);
	log_own_stderr();
	p->parent = p->listener = p->pid_fd = p->pcap.fd = -1;
	p->sandbox.uid = p->conf.uid;
	p->sandbox.gid = p->conf.gid;
	p->sandbox.forks = !p->conf.foreground;
	p->sandbox.groups = call_groups(&p->conf);
	sandbox_start(&p->sandbox);
	rc = paths_open();
	if (rc)
		return start_failed("/", -rc);
	p->nl = nl_open();
	p->follow = (struct follow){
		.conf = &p->conf, .host = &p->host, .net = &p->net,
		.nl = p->nl, .worker = &p->worker, .fwd = &p->fwd,
		.rules = &p->rules, .watch = { .nl = -1, .inotify = -1 },
	};
	return 0;
}

/**
 * start_program() - Do all steps of start-up that follow the check of the
 * command line
 *
 * SIGPIPE and SIGXFSZ are ignored, so that a write to a closed pipe, or beyond
 * RLIMIT_FSIZE, returns an error and does not kill passt.
 *
 * Return: 0, or -1: an error was shown
 */
static int start_program(struct program *p)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (init_program(p) || derive_net(p) || read_rules(p))
		return -1;

	if (prepare_program(p)) {
		finish_program(p);
		return -1;
	}
	hold_signals();
	if (go_background(p) || open_signals(p) || close_sandbox(p)) {
		finish_program(p);
		return -1;
	}
	if (p->conf.show_sandbox)
		sandbox_print(&p->sandbox, STDOUT_FILENO);
	p->worker.quit = p->conf.show_sandbox;
	tell_parent(p);
	log_started();
	if (p->conf.fd >= 0)
		guest_up(p, p->conf.fd, now_ms());
	return 0;
}

int main(int argc, char **argv)
{
	static struct program p;	/* too large for the stack */

	memory_use_heap();
	csum_init();
	switch (conf_parse(&p.conf, argc, argv)) {
	case CONF_DONE:
		return EXIT_SUCCESS;
	case CONF_WRONG:
		return EXIT_FAILURE;
	case CONF_GO:
		break;
	}
	if (conf_check(&p.conf) == CONF_WRONG || start_program(&p))
		return EXIT_FAILURE;

	p.worker.quit |= p.conf.fd >= 0 && !link_up(p.worker.link);
	worker_run(&p.worker);
	finish_program(&p);
	return EXIT_SUCCESS;
}
