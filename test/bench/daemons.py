# SPDX-License-Identifier: AGPL-3.0-or-later
"""daemons.py - The daemons to compare, which connect the guest to the servers.

    stream    guest = tap0 == stand-in == UNIX socket == daemon = host
    vhost     guest = tap0 == stand-in == virtqueues == daemon = host
    slirp     guest = tap0 (its own) == slirp4netns = host
    veth      guest = tap0 (a veth pair) = outside: the limit of the kernel
    relay     guest = tap0 == stand-in == stand-in == tap1 = outside: the limit
              of the stand-in
    routed    guest = tap0 == stand-in == stand-in == tap1 = host, which routes:
              the limit of the stand-in over an emulated link
    host      the client runs in the host's namespace itself

The namespaces are those of netlab.py, with an additional, emulated link between
host and outside. Every measurement starts a new daemon, so that all have the
same conditions.
"""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections import namedtuple

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "net"))

from netlab import (B, HOST4, Lab, PASST, PR_SET_CHILD_SUBREAPER,  # noqa: E402
                    Process, ROUTER4, SERVER4, STANDIN, TOP, call, need_root,
                    need_tun, wait_for)

EMULATE = os.path.join(TOP, os.environ.get("EMULATE", f"{B}/emulate"))
FLOOR, RING_FLOOR, RR, POUR, QUERY, SPRAY = [f"{B}/bench/{name}" for name in (
    "floor", "ring_floor", "rr", "pour", "query", "spray")]
SERVER_EMULATED = "198.51.100.2"
EMULATED, DIRECT = "192.0.3", "192.0.4"      # networks of 256 addresses
QUEUE = 20000
SOFT_LIMIT = 1024       # soft limit of descriptors for daemons
HARD_LIMIT = 65536      # enough for daemons with two per connection

# @delay_ms: round trip; @loss: fraction of frames; @rate: bit/s, None: no limit
Link = namedtuple("Link", "delay_ms loss rate")


class Failed(Exception):
    """A measurement that could not be made, with the reason."""


def prepare(*programs):
    """Sets up a program that will create a Site."""
    need_root()
    need_tun()
    for path in (PASST, STANDIN, *programs):
        if not os.path.exists(path):
            sys.exit(f"{path} is missing: make benches builds it")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):
        hard = max(hard, HARD_LIMIT)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))


def end(pid):
    """Kills a process that we started, and its children."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            for child in f.read().split():
                end(int(child))
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 9)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


@contextlib.contextmanager
def ended(process):
    """Kills a process, Popen or Process, at the end of a block."""
    try:
        yield process
    finally:
        end(process.pid)


def cpu(pid):
    """Seconds of CPU time that a process, its threads and children used."""
    total = 0.0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0]) / 1e9
        with open(f"/proc/{pid}/task/{task}/children") as f:
            total += sum(cpu(child) for child in f.read().split())
    return total


def soft_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT_LIMIT, hard))


class Site(Lab):
    """The namespaces of a benchmark, and links with delay and loss."""

    def build(self, *args):
        super().build(*args)
        self.copy = self.passt_bin
        self.outside.ip(f"addr add {SERVER_EMULATED}/32 dev lo")
        for ns in self.guest, self.host, self.outside:
            # The kernel must not apply metrics of a lossy run to the next run.
            ns.sysctl(net__ipv4__tcp_no_metrics_save=1)
            # A large range of ports: connect() takes ports of one parity first,
            # and gets slow when it has to search the others.
            ns.sysctl(net__ipv4__ip_local_port_range="1024 65535")

    def path(self, ns):
        """A path by which other programs can enter a namespace."""
        return f"/proc/{os.getpid()}/fd/{ns.fd}"

    @contextlib.contextmanager
    def wire(self, mtu):
        """Sets the MTU between host and outside during a block."""
        try:
            self.wire_mtu(mtu)
            yield
        finally:
            self.wire_mtu(1500)

    def wire_mtu(self, mtu):
        for ns in self.host, self.outside:
            ns.ip(f"link set eth0 mtu {mtu}")

    @contextlib.contextmanager
    def link(self, link, seed):
        """Emulates a link from the host to SERVER_EMULATED during a block."""
        options = ["--delay-us", int(link.delay_ms * 500), "--loss-ppm",
                   int(link.loss * 1e6), "--seed", seed]
        if link.rate:
            # The queue has one bandwidth-delay product, but at least 5 ms.
            ms = max(link.delay_ms, 5)
            options += ["--rate-bps", link.rate,
                        "--queue-bytes", int(link.rate / 8e3 * ms)]
        p = subprocess.Popen(
            [EMULATE, "--tap-a", "emu0", "--tap-b", "emu0", "--netns-a",
             self.path(self.host), "--netns-b", self.path(self.outside),
             *map(str, options)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with ended(p):
            started(p, "emulate")
            self.outside.ip(f"addr add {EMULATED}.1/24 dev emu0")
            self.host.ip(f"addr add {EMULATED}.2/24 dev emu0",
                         f"route add {SERVER_EMULATED} via {EMULATED}.1")
            yield


def started(p, name):
    """Waits until a program of ours reports that it is ready."""
    line = p.stdout.readline()
    if line != b"ready\n":
        why = p.stderr.read().decode().strip() if p.stderr else "see above"
        raise Failed(f"{name} did not start: {why}")


class Daemon:
    """A daemon, or something else that connects the guest to the servers.

    @name: name for --without and in the results
    @title: title for the reader
    @limit: this is not a peer, but shows what the machine can do
    @vhost: it uses vhost-user; its reference is a peer that does so, too
    """

    limit = vhost = False
    version = ""

    def __init__(self, name, title):
        self.name, self.title = name, title

    @contextlib.contextmanager
    def up(self, site, mtu, *standin):
        """Connects the guest. Yields the daemon's Process, None: no daemon.

        @standin: options for the stand-in, if there is one
        """
        raise NotImplementedError

    def client(self, site):
        """The namespace that clients run in."""
        return site.guest


class Stream(Daemon):
    """passt, or another daemon for qemu's stream socket."""

    def __init__(self, name, title, path):
        super().__init__(name, title)
        self.path = path
        self.version = version(path)

    @contextlib.contextmanager
    def up(self, site, mtu, *standin):
        # Ours was copied to a folder that the user nobody can read.
        site.passt_bin = site.copy if self.path == PASST else self.path
        # Don't let netlab.py wait for the start: it waits for a signalfd, which
        # only our passt opens.
        p = Process(site.passt("-m", str(mtu), *self.options(), wait=False,
                               preexec_fn=soft_limit).pid)
        with ended(p):
            wait_for("daemon to listen", lambda: accepts(p.pid, site.socket),
                     step=0.005)
            with ended(self.attach(site, mtu, *standin)):
                site.guest.ip(f"addr add {HOST4}/24 dev tap0",
                              f"route add default via {ROUTER4}")
                yield p

    def options(self):
        return ()

    def attach(self, site, mtu, *standin):
        return site.attach("--offload", *standin, mtu=mtu, configure=False)


class Vhost(Stream):
    """passt, or another daemon, over vhost-user.

    @standin_options: options of the stand-in, for features and rings
    """

    vhost = True

    def __init__(self, name, title, path, *standin_options):
        super().__init__(name, title, path)
        self.standin_options = standin_options
        self.guest = None

    def options(self):
        return ("--vhost-user",)

    def attach(self, site, mtu, *standin):
        self.guest = site.attach(*self.standin_options, *standin, mtu=mtu,
                                 configure=False, vhost=True)
        return self.guest

    def counts(self, site):
        return site.counts(self.guest)


def speaks_vhost(path):
    """Whether a passt has --vhost-user."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        out = subprocess.run([path, "--help"], capture_output=True, text=True,
                             timeout=10)
        return "--vhost-user" in out.stdout + out.stderr
    return False


def accepts(pid, path):
    """Whether the UNIX socket @path listens, in the namespace of @pid."""
    with open(f"/proc/{pid}/net/unix") as f:
        return any(line.endswith(f" {path}\n") and
                   line.split()[3] == "00010000" for line in f)


class Slirp(Daemon):
    """slirp4netns. It does not raise its soft limit of descriptors, so it
    starts with the hard one."""

    def __init__(self):
        super().__init__("slirp4netns", "slirp4netns")
        self.version = version("slirp4netns")

    @contextlib.contextmanager
    def up(self, site, mtu, *standin):
        ready, tell = os.pipe()
        p = site.host.spawn("slirp4netns", "-c", "-m", str(mtu), "-r",
                            str(tell), "--netns-type=path",
                            site.path(site.guest), "tap0",
                            pass_fds=[tell],
                            stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
        os.close(tell)
        with ended(p), open(ready, "rb") as f:
            if not f.read(1):
                raise Failed("slirp4netns did not start")
            site.guest.ip(f"link set tap0 txqueuelen {QUEUE}")
            yield Process(p.pid)


class Veth(Daemon):
    limit = True

    def __init__(self):
        super().__init__("veth", "kernel veth")

    @contextlib.contextmanager
    def up(self, site, mtu, *standin):
        site.guest.ip(f"link add tap0 mtu {mtu} type veth peer name tap1 "
                      f"mtu {mtu} netns {site.path(site.outside)}")
        try:
            direct(site, "tap1")
            yield None
        finally:
            site.guest.ip("link del tap0")


class Standins(Daemon):
    """Two stand-ins that are connected to each other, without a daemon."""

    limit = True

    def beyond(self, site):
        """The namespace of the second stand-in."""
        raise NotImplementedError

    @contextlib.contextmanager
    def up(self, site, mtu, *standin):
        ends = socket.socketpair()
        with contextlib.ExitStack() as stack:
            for ns, name, end_, more in (
                    (site.guest, "tap0", ends[0], standin),
                    (self.beyond(site), "tap1", ends[1], ())):
                mac = f"02:00:00:00:00:0{name[-1]}"
                p = ns.spawn(STANDIN, "--fd", str(end_.fileno()),
                             "--tap", name, "--mtu", str(mtu), "--offload",
                             "--mac", mac, *more, pass_fds=[end_.fileno()],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                stack.enter_context(ended(p))
                started(p, "stand-in")
                end_.close()
            direct(site, "tap1", self.beyond(site))
            yield None


class Relay(Standins):
    def __init__(self):
        super().__init__("relay", "stand-in alone")

    def beyond(self, site):
        return site.outside


class Routed(Standins):
    """The host's kernel routes in place of a daemon; for emulated links."""

    def __init__(self):
        super().__init__("routed", "stand-in, routed by the kernel")

    def beyond(self, site):
        site.host.sysctl(net__ipv4__ip_forward=1)
        site.outside.ip(f"route replace {DIRECT}.0/24 via {EMULATED}.2")
        return site.host


class Host(Daemon):
    limit = True

    def __init__(self):
        super().__init__("host", "host itself")

    @contextlib.contextmanager
    def up(self, site, mtu, *standin):
        yield None

    def client(self, site):
        return site.host


def direct(site, outer, beyond=None):
    """Sets addresses and routes for a guest whose tap0 leads directly to the
    outside namespace, or to @beyond."""
    (beyond or site.outside).ip(f"addr add {DIRECT}.1/24 dev {outer}",
                                f"link set {outer} up")
    site.guest.ip(f"addr add {DIRECT}.2/24 dev tap0", "link set tap0 up",
                  f"route add default via {DIRECT}.1")


def version(path):
    """The first line of PROGRAM --version; empty if there is none."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        out = subprocess.run([path, "--version"], capture_output=True,
                             text=True, timeout=10)
        lines = (out.stdout or out.stderr).splitlines()
        return lines[0].strip() if lines else ""
    return ""


def run_json(ns, *cmd, timeout):
    """Runs a program that prints JSON. Returns the parsed output."""
    try:
        return json.loads(ns.run(*map(str, cmd), timeout=timeout))
    except subprocess.TimeoutExpired:
        raise Failed(f"no end within {timeout} s") from None
    except AssertionError as e:
        raise Failed(str(e)) from None


@contextlib.contextmanager
def iperf_server(site):
    """Runs an iperf3 server for one client, on every address outside."""
    with ended(site.outside.spawn("iperf3", "-s", "-1",
                                  stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)) as p:
        wait_for("iperf3 server", lambda: listening(p.pid, 5201), step=0.005)
        yield


def listening(pid, port):
    """Whether a program listens on a TCP port in a process's namespace."""
    for family in "tcp", "tcp6":
        with open(f"/proc/{pid}/net/{family}") as f:
            if any(line.split()[1].endswith(f":{port:04X}") and
                   line.split()[3] == "0A" for line in f):
                return True
    return False


def iperf_client(ns, way, seconds, addr=SERVER4, *options):
    """Starts an iperf3 client, which prints JSON. Returns its Popen.

    @seconds is rounded to a whole number, at least 1, because iperf3 reads 0.8
    as 0, which means: no end.
    """
    return ns.spawn("iperf3", "-c", addr, "-J",
                    "-t", str(max(1, round(seconds))),
                    *(["-R"] if way == "in" else []), *options,
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                    text=True)


def iperf_result(client, timeout=30):
    """Waits for an iperf3 client. Returns (bit/s, bytes), as received."""
    try:
        out = json.loads(client.communicate(timeout=timeout)[0])
    except subprocess.TimeoutExpired:
        raise Failed(f"iperf3: no end within {timeout} s") from None
    except ValueError:
        raise Failed("iperf3 ended without a result") from None
    if "error" in out:
        raise Failed(f"iperf3: {out['error']}")
    received = out["end"]["sum_received"]
    return received["bits_per_second"], received["bytes"]


def iperf(site, ns, way, seconds, addr=SERVER4, *options):
    """Runs iperf3 to its end. Returns (bit/s, bytes), as received."""
    with iperf_server(site), \
         ended(iperf_client(ns, way, seconds, addr, *options)) as client:
        return iperf_result(client, seconds + 30)
