# SPDX-License-Identifier: AGPL-3.0-or-later
"""netlab.py - A small internet of network namespaces around passt, for tests.

    guest               host                        outside
  +----------+        +------------------+        +-----------------------+
  |          | UNIX   |                  |  veth  |                       |
  | tap0 ====|socket==| passt      eth0 -|--------|- eth0        lo       |
  | DHCP,    | (stand | (as nobody)      |        | (the router) (servers)|
  | SLAAC    |  -in)  |                  |        |                       |
  +----------+        +------------------+        +-----------------------+
                       192.0.2.2/24                192.0.2.1/24, fe80::1
                       2001:db8:1::2/64            2001:db8:1::1/64
                                                   198.51.100.1/32
                                                   2001:db8:2::1/128

The guest uses the host's own address and gateway. What it sends to the
gateway, 192.0.2.1 or fe80::1, goes to the host's loopback, because passt
translates the address. So a test that needs a peer outside uses the servers'
addresses. Behind the router, packets to 203.0.113.0/24 and 2001:db8:dead::/64
vanish silently, and those to 203.0.114.0/24 and 2001:db8:bad::/64 are answered
with an ICMP error, "unreachable".

`with lab.guest:` moves the calling thread to a namespace. Sockets that it
creates there and programs that it starts there stay in the namespace, so that
a test can be one story in one program. A namespace ends with its last user.
Every program that was started here, including daemons, is killed by its pid.

The programs in test/net use this file. A program that is not started as root
starts itself again as root of a new user namespace.
"""

import contextlib
import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROUTER4, ROUTER6, NEIGHBOUR6 = "192.0.2.1", "fe80::1", "2001:db8:1::1"
HOST4, HOST6 = "192.0.2.2", "2001:db8:1::2"
SERVER4, SERVER6 = "198.51.100.1", "2001:db8:2::1"
DEAD4, DEAD6 = "203.0.113.1", "2001:db8:dead::1"
UNREACHABLE4, UNREACHABLE6 = "203.0.114.1", "2001:db8:bad::1"
FAMILIES = (("4", SERVER4), ("6", SERVER6))
NOBODY = 65534

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
B = os.path.join(TOP, os.environ.get("B", "build"))
PASST = os.path.join(TOP, os.environ.get("PASST", f"{B}/passt"))
STANDIN = os.path.join(TOP, os.environ.get("STANDIN", f"{B}/standin"))

try:
    with open(PASST, "rb") as binary:
        SANITIZED = b"__asan_init" in binary.read()
except FileNotFoundError:
    SANITIZED = False

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
PR_SET_CHILD_SUBREAPER = 36
# Whether we are root only in a user namespace that need_root() made.
USERNS = "NETLAB_USERNS" in os.environ
SO_ACCEPTCON = "00010000"       # flag of listening sockets, linux/net.h
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 0x40000, 2
libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    """Calls a function of libc; raises OSError if it returns -1."""
    if getattr(libc, name)(*args) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


#
# Checks: one line each on stdout.
#

WHY = 400       # characters of a reason that are printed at most
failed = 0


class Skip(Exception):
    """Raised by a check that can't run here, with the reason."""


@contextlib.contextmanager
def check(name):
    """Runs a block as one check. An exception fails it, and ends the block, but
    not the program."""
    global failed
    try:
        yield
        print(f"ok {name}", flush=True)
    except Skip as e:
        print(f"skip {name}: {e}", flush=True)
    except Exception as e:
        failed += 1
        traceback.print_exc()
        why = " ".join(str(e).split()) or "no further word"
        if len(why) > WHY:
            why = why[:WHY] + "..."
        print(f"not ok {name}: {type(e).__name__}: {why}", flush=True)


def expect(what, got, want):
    """Fails unless @got equals @want."""
    if got != want:
        raise AssertionError(f"{what} is {got!r}, not {want!r}")


def expect_below(what, got, limit):
    if not got < limit:
        raise AssertionError(f"{what} is {got}, not below {limit}")


def wait_for(what, condition, timeout=10.0, step=0.02):
    """Waits until @condition() returns a true value, and returns that."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(step)


def main(story):
    """Runs @story() as root with all descriptors that the limit permits; then
    ends all children, and exits."""
    need_root()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    try:
        name = os.path.basename(sys.argv[0]).removesuffix(".py")
        with check(f"{name} ran to its end"):
            story()
    finally:
        end_children()
    sys.exit(1 if failed else 0)


def need_root():
    """Unless we are root, starts again as root of a new user namespace."""
    if os.geteuid() == 0:
        return
    if USERNS:
        sys.exit("not root in a namespace of our own")
    os.environ["NETLAB_USERNS"] = "1"
    os.execvp("unshare", ["unshare", "-Urnm", sys.executable] + sys.argv)


#
# Processes.
#

def children():
    """Pids of all our children, and of daemons: we are their subreaper."""
    pids = []
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            with open(f"/proc/self/task/{task}/children") as f:
                pids += [int(pid) for pid in f.read().split()]
    return pids


def end_children():
    """Kills all children, and then those that become ours when they end."""
    for _ in range(10):
        pids = children()
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def wait_exit(pid, timeout=10.0):
    """Waits for a child to end. Returns its exit status, -N for signal N."""
    def ended():
        got, status = os.waitpid(pid, os.WNOHANG)
        return got and [os.waitstatus_to_exitcode(status)]
    return wait_for(f"end of process {pid}", ended, timeout)[0]


class Process:
    """A process, with what /proc says about it."""

    def __init__(self, pid):
        self.pid = pid

    def status(self, field):
        with open(f"/proc/{self.pid}/status") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return line.split(":", 1)[1].strip()
        raise KeyError(field)

    def rss(self):
        """Resident memory, bytes."""
        return int(self.status("VmRSS").split()[0]) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def started(self):
        """Whether passt has started: opening a signalfd is its last step."""
        links = []
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                links.append(os.readlink(f"/proc/{self.pid}/fd/{fd}"))
        return "anon_inode:[signalfd]" in links

    def cpu(self):
        """Seconds of processor time that the process has used so far."""
        with open(f"/proc/{self.pid}/schedstat") as f:
            return int(f.read().split()[0]) / 1e9

    def load(self, seconds):
        """Percentage of one processor that it uses in the next @seconds."""
        before = self.cpu()
        time.sleep(seconds)
        return (self.cpu() - before) / seconds * 100

    def alive(self):
        try:
            return self.status("State")[0] != "Z"
        except OSError:
            return False

    def kill(self, sig=signal.SIGKILL):
        """Sends a signal, and waits until it ends. Returns its exit status."""
        os.kill(self.pid, sig)
        return wait_exit(self.pid)


def rests(process, seconds=2.0):
    """Fails unless the process soon uses less than 1 % of a CPU.

    It has several attempts, because flows may need some seconds to expire,
    while a busy loop never ends.
    """
    for _ in range(4):
        load = process.load(seconds)
        if load < 1:
            return
    raise AssertionError(f"uses {load:.1f} % CPU, and does not settle")


#
# Namespaces.
#

class Namespace:
    """A network namespace without a name, which ends with its last user."""

    def __init__(self):
        self.outer = []
        with Namespace.kept():
            call("unshare", CLONE_NEWNET)
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            self.ip("link set lo up")

    @staticmethod
    @contextlib.contextmanager
    def kept():
        """Runs a block, then returns to the namespace of before."""
        fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            yield
        finally:
            call("setns", fd, CLONE_NEWNET)
            os.close(fd)

    def __enter__(self):
        self.outer.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        call("setns", self.fd, CLONE_NEWNET)
        return self

    def __exit__(self, *_):
        fd = self.outer.pop()
        call("setns", fd, CLONE_NEWNET)
        os.close(fd)

    def close(self):
        os.close(self.fd)

    def path(self):
        """A path of this namespace, as long as this program runs."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def spawn(self, *cmd, **kw):
        """Starts a program here. Returns its Popen."""
        with self:
            return subprocess.Popen(cmd, **{"stdin": subprocess.DEVNULL, **kw})

    def run(self, *cmd, timeout=60, status=0):
        """Runs a program here to its end. Returns its output."""
        p = self.spawn(*cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True)
        try:
            out, err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
            raise
        if status is not None and p.returncode != status:
            raise AssertionError(f"{' '.join(cmd)}: exit {p.returncode}: "
                                 f"{(err or out).strip()}")
        return out

    def ip(self, *commands):
        """Runs ip(8) with each of these command lines."""
        for command in commands:
            self.run("ip", *command.split())

    def sysctl(self, **settings):
        """Writes to /proc/sys: sysctl(net__ipv4__ip_forward=1)."""
        with self:
            for name, value in settings.items():
                with open("/proc/sys/" + name.replace("__", "/"), "w") as f:
                    f.write(str(value))

    def connect(self, addr, port, timeout=10, kind=socket.SOCK_STREAM):
        """Returns a socket of this namespace, connected."""
        family = socket.AF_INET6 if ":" in addr else socket.AF_INET
        addr, _, interface = addr.partition("%")
        with self:
            s = socket.socket(family, kind)
            to = (addr, port) if not interface else (
                addr, port, 0, socket.if_nametoindex(interface))
        s.settimeout(timeout)
        try:
            s.connect(to)
        except OSError:
            s.close()
            raise
        return s

    def bind(self, addr, port=0, kind=socket.SOCK_STREAM):
        """Returns a socket of this namespace, bound; TCP listens, too."""
        family = socket.AF_INET6 if ":" in addr else socket.AF_INET
        with self:
            s = socket.socket(family, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.settimeout(10)
        s.bind((addr, port))
        if kind == socket.SOCK_STREAM:
            s.listen(4096)
        return s


#
# Servers, each in a thread that ends with its socket.
#

class Server:
    """Calls @answer(socket) in a loop until the socket is closed."""

    def __init__(self, sock, answer):
        self.sock = sock
        self.answer = answer
        self.port = sock.getsockname()[1]
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        while self.sock.fileno() >= 0:
            try:
                self.answer(self.sock)
            except TimeoutError:
                continue
            except OSError:
                if self.sock.fileno() < 0:
                    return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def echo_udp(sock):
    data, peer = sock.recvfrom(65535)
    sock.sendto(data, peer)


def tcp_each(serve):
    """Makes an @answer for Server: it accepts a connection, and runs @serve(it)
    in a new thread."""
    def serve_and_close(conn):
        with conn, contextlib.suppress(OSError):
            conn.settimeout(60)
            serve(conn)

    def accept(sock):
        conn, _ = sock.accept()
        threading.Thread(target=serve_and_close, args=(conn,),
                         daemon=True).start()
    return accept


@tcp_each
def echo_tcp(conn):
    while data := conn.recv(65536):
        conn.sendall(data)


def receive(sock, size):
    """Receives exactly @size bytes of a stream."""
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise AssertionError(f"end after {len(data)} bytes of {size}")
        data += part
    return data


def echoes(sock, data=b"is anybody there?"):
    """Sends @data on a stream; fails unless the same comes back."""
    sock.sendall(data)
    expect("echo", receive(sock, len(data)), data)


def serves(lab):
    """Fails unless passt serves the guest: ARP works, and a TCP echo."""
    lab.guest.run("ip", "neigh", "flush", "dev", "tap0")
    for _, addr in FAMILIES:
        with Server(lab.outside.bind(addr), echo_tcp) as server:
            with lab.guest.connect(addr, server.port) as s:
                echoes(s)


#
# The topology.
#

UDHCPC = """#!/bin/sh
# udhcpc calls this: it applies the lease and writes it to a file.
[ "$1" = bound ] || exit 0
env >"$LEASE"
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "$router" dev "$interface"
"""


class Lab:
    """Three namespaces: guest (with a stand-in), host (with passt), outside."""

    def __init__(self, ping=True):
        need(PASST)
        need(STANDIN)
        need_tun()
        self.dir = tempfile.mkdtemp(prefix="passt-net-")
        os.chmod(self.dir, 0o777)
        self.socket = f"{self.dir}/socket"
        self.private_tmp = False
        # Copy them to a folder where an ordinary user can run them.
        self.passt_bin = shutil.copy(PASST, f"{self.dir}/passt")
        self.standin = shutil.copy(STANDIN, f"{self.dir}/standin")
        self.guest, self.host, self.outside = [
            Namespace() for _ in range(3)]
        self.build(ping)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_children()
        for ns in self.guest, self.host, self.outside:
            ns.close()
        if self.private_tmp:
            call("umount2", self.dir.encode(), 0)
            call("umount2", b"/tmp", MNT_DETACH)
        shutil.rmtree(self.dir, ignore_errors=True)

    def build(self, ping):
        """Sets the addresses and routes drawn above; @ping: permits passt to
        open ping sockets."""
        self.host.run("ip", "link", "add", "eth0", "type", "veth", "peer",
                      "name", "eth0", "netns", f"/proc/{os.getpid()}/fd/"
                      f"{self.outside.fd}")
        self.host.ip(f"addr add {HOST4}/24 dev eth0",
                     f"addr add {HOST6}/64 dev eth0 nodad",
                     "link set eth0 up",
                     f"route add default via {ROUTER4}",
                     f"route add default via {ROUTER6} dev eth0")
        self.outside.ip(f"addr add {ROUTER4}/24 dev eth0",
                        f"addr add {ROUTER6}/64 dev eth0 nodad",
                        f"addr add {NEIGHBOUR6}/64 dev eth0 nodad",
                        "link set eth0 up",
                        f"addr add {SERVER4}/32 dev lo",
                        f"addr add {SERVER6}/128 dev lo nodad",
                        "route add blackhole 203.0.113.0/24",
                        "route add blackhole 2001:db8:dead::/64",
                        "route add unreachable 203.0.114.0/24",
                        "route add unreachable 2001:db8:bad::/64")
        self.outside.sysctl(net__ipv4__ip_forward=1,
                            net__ipv6__conf__all__forwarding=1,
                            net__ipv4__icmp_ratelimit=0,
                            net__ipv6__icmp__ratelimit=0)
        if ping:
            self.host.sysctl(net__ipv4__ping_group_range="0 0" if USERNS
                             else "0 2147483647")
        for ns in self.guest, self.host, self.outside:
            with contextlib.suppress(OSError):
                ns.sysctl(net__ipv4__tcp_congestion_control="cubic")
        wait_for("way from host to servers",
                 lambda: self.host.run("ping", "-c1", "-W1", SERVER6,
                                       status=None).count(" 0% packet loss"))

    def passt(self, *options, root=False, wait=True, **kw):
        """Starts passt in the host's namespace, in the foreground.

        @root: start it as root, so that it must drop its privileges itself
        @wait: wait until it has started, and return its Process, not its Popen
        """
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)
        cmd = [program(self, kw.get("env")), "-f", "-s", self.socket, *options]
        self.log = new_log(f"{self.dir}/passt.log")
        p = spawn_user(self.host, cmd, root, stdout=self.log,
                       stderr=self.log, **kw)
        if not wait:
            return p
        wait_for("passt's socket", lambda: self.accepts()
                 or p.poll() is not None and self.no_passt())
        process = Process(p.pid)
        wait_for("passt's start", process.started)
        return process

    def accepts(self):
        """Whether passt's socket listens; looks in /proc, as connecting to it
        would make us its guest."""
        with self.host, open("/proc/thread-self/net/unix") as f:
            return any(line.endswith(f" {self.socket}\n")
                       and line.split()[3] == SO_ACCEPTCON for line in f)

    def own_tmp(self):
        """Makes /tmp empty, except for our own directory."""
        call("unshare", CLONE_NEWNS)
        call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
        fd = os.open(self.dir, os.O_PATH)
        call("mount", b"tmpfs", b"/tmp", b"tmpfs", 0, b"mode=1777")
        os.mkdir(self.dir)
        call("mount", f"/proc/self/fd/{fd}".encode(), self.dir.encode(), None,
             MS_BIND, None)
        os.close(fd)
        self.private_tmp = True

    def no_passt(self):
        raise AssertionError(f"passt did not start: {self.messages()}")

    def messages(self):
        """Messages that the last passt has printed so far."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def attach(self, *options, mtu=65520, configure=True, vhost=False):
        """Starts a stand-in guest. Returns its Process.

        @configure: give it addresses by DHCP and SLAAC
        @vhost: connect by vhost-user; passt needs the option --vhost-user
        """
        if vhost:
            options = ("--vhost-user", *options)
        self.pairs = int(dict(zip(options, options[1:])).get("--pairs", 1))
        self.guest_log = new_log(f"{self.dir}/standin.log")
        p = self.guest.spawn(self.standin, "--socket", self.socket, "--tap",
                             "tap0", "--mtu", str(mtu), *options,
                             stdout=subprocess.PIPE, stderr=self.guest_log)
        line = p.stdout.readline()
        p.stdout.close()
        if line != b"ready\n":
            raise AssertionError("the stand-in guest did not start: " +
                                 self.guest_messages())
        self.guest.ip("link set tap0 txqueuelen 20000")
        if configure:
            self.dhcp()
            self.slaac()
        return Process(p.pid)

    def guest_messages(self):
        """Messages that the last stand-in guest has printed so far."""
        self.guest_log.seek(0)
        return self.guest_log.read().decode(errors="replace")

    def counts(self, guest, pair=0):
        """The counts that a stand-in prints for one of its pairs of rings."""
        before = len(self.guest_messages())
        os.kill(guest.pid, signal.SIGUSR1)
        last = f'{{"pair": {self.pairs - 1}, '

        def lines():
            return self.guest_messages()[before:].split("\n")[:-1]
        wait_for("counts of the stand-in guest",
                 lambda: any(line.startswith(last) for line in lines()))
        return next(json.loads(line) for line in lines()
                    if line.startswith(f'{{"pair": {pair}, '))

    def dhcp(self):
        """Configures IPv4 by DHCP. Returns the lease, a dictionary."""
        script, lease = f"{self.dir}/udhcpc", f"{self.dir}/lease"
        if not os.path.exists(script):
            with open(os.open(script, os.O_CREAT | os.O_WRONLY, 0o755),
                      "w") as f:
                f.write(UDHCPC)
        self.guest.run("env", f"LEASE={lease}", "busybox", "udhcpc", "-i",
                       "tap0", "-s", script, "-f", "-q", "-n", "-t", "8",
                       "-T", "1", "-O", "mtu", "-O", "search")
        with open(lease) as f:
            return dict(line.rstrip("\n").split("=", 1) for line in f
                        if "=" in line)

    def addresses6(self):
        """Global IPv6 addresses of the guest, without tentative ones."""
        out = self.guest.run("ip", "-j", "-6", "addr", "show", "dev", "tap0",
                             "scope", "global")
        return [a["local"] for link in json.loads(out)
                for a in link.get("addr_info", ())
                if "local" in a and not a.get("tentative")]

    def slaac(self):
        """Waits for an IPv6 address by router advertisement, and returns it."""
        return wait_for("IPv6 address by router advertisement",
                        self.addresses6)[0]


def spawn_user(ns, cmd, root=False, **kw):
    """Starts a program as an unprivileged user. Returns its Popen.

    In our user namespace the program keeps the UID 0: outside of the namespace
    this is an unprivileged user already.
    """
    if not root and not USERNS:
        kw.update(user=NOBODY, group=NOBODY, extra_groups=[])
    return ns.spawn(*cmd, **kw)


def program(lab, env):
    """The passt to start in an environment: see preload()."""
    return (env or {}).get("PROGRAM", lab.passt_bin)


def preload(lab, source, **variables):
    """Makes a library of a C file, whose path begins at test/net. Returns the
    environment for lab.passt() that preloads it, with these variables."""
    headers = subprocess.run(["readelf", "-l", lab.passt_bin],
                             capture_output=True, text=True, check=True)
    if "INTERP" not in headers.stdout:
        raise Skip("passt is linked statically")
    library = f"{lab.dir}/{os.path.basename(source)}.so"
    if not os.path.exists(library):
        subprocess.run([shutil.which("cc") or "gcc", "-shared", "-fPIC", "-o",
                        library, os.path.join(TOP, "test/net", source)],
                       check=True)
    asan = os.environ.get("ASAN_OPTIONS", "")
    # The sandbox would kill passt for the library's system calls.
    unconfined = shutil.copy(os.path.join(os.path.dirname(PASST), "unconfined"),
                             f"{lab.dir}/unconfined")
    return dict(os.environ, LD_PRELOAD=library, **variables,
                PROGRAM=unconfined,
                ASAN_OPTIONS=f"{asan}:verify_asan_link_order=0")


def new_log(path):
    """Opens an empty file for a program's messages. The program appends,
    because it shares the file offset with us, and we move that to read."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return open(path, "a+b")


def need(path):
    if not os.path.exists(path):
        sys.exit(f"{path} is missing: test/run builds it")


def need_tun():
    """Makes /dev/net/tun if it is missing, as in some containers."""
    if not os.path.exists("/dev/net/tun"):
        os.makedirs("/dev/net", exist_ok=True)
        os.mknod("/dev/net/tun", 0o20666, os.makedev(10, 200))
