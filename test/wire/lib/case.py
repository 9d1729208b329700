# SPDX-License-Identifier: AGPL-3.0-or-later
"""
A test is a function with a decorator that names a promise of doc/design.md:

    @test("T1", both)
    def refused_gets_a_reset(w, v):
        ...

It runs once for each family v, and has the name 'T1 refused gets a reset v4'.
It passes unless it raises an exception. main() runs the tests of one file in
new namespaces, and checks passt after them.
"""
import atexit
import errno
import os
import re
import signal
import socket
import sys
import time
import traceback

from . import netns
from .guest import Guest
from .netns import Topology, own_resolv_conf
from .passt import Failure, Passt, SLOW, VHOST
from .vhost import VhostGuest

both = (4, 6)
only4 = (4,)
only6 = (6,)

_tests = []


class Skip(Exception):
    """Raised by a test that can't run here, with the reason."""


def test(rule, families=None):
    def add(fn):
        title = f"{rule} {fn.__name__.replace('_', ' ')}"
        for v in families or (None,):
            name = title if v is None or families != both else f"{title} v{v}"
            _tests.append((name, fn, v))
        return fn
    return add


def add_test(name, fn, v=None):
    _tests.append((name, fn, v))


def hears_nothing(sock, why):
    """Fails if a datagram comes to a socket within 0.3 s."""
    before = sock.gettimeout()
    sock.settimeout(0.3)
    try:
        data, who = sock.recvfrom(65536)
    except TimeoutError:
        sock.settimeout(before)
        return
    raise Failure(f"{why}, but {data[:40]!r} came from {who}")


class World:
    """What a test needs: namespaces, passt, guests and sockets (netns.py draws
    the topology)."""

    def __init__(self):
        self.net = Topology()
        self.running = {}           # options -> Passt
        self.guests, self.open, self.undo = [], [], []

    # --- the program

    def passt(self, *options):
        """Returns the passt with these options; a file's tests share it."""
        p = self.running.get(options)
        if p is None or not p.alive():
            p = self.running[options] = Passt(*options).wait_ready()
        return p

    def start(self, *options, **kw):
        """Starts a passt for this test only; it may fail."""
        p = Passt(*options, **kw)
        self.undo.append(p.cleanup)
        return p

    def guest(self, *options, **kw):
        """Connects a new guest to the passt with these options."""
        return self.join(self.passt(*options), **kw)

    def join(self, passt, hello=True, **kw):
        g = (VhostGuest if VHOST else Guest)(passt, **kw)
        self.guests.append(g)
        g.connect(hello)
        return g

    # --- the other end

    def keep(self, sock):
        """Notes a socket, to close it at the end of the test."""
        self.open.append(sock)
        sock.settimeout(5 * SLOW)
        return sock

    def sock(self, v, kind, where=None):
        return self.keep(self.net.socket(v, kind, where))

    def server(self, v, addr=None, port=0, backlog=16, where=None,
               rcvbuf=None):
        """Makes a listening TCP socket outside; getsockname() has its port."""
        s = self.sock(v, socket.SOCK_STREAM, where)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if v == 6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.bind((addr or netns.PEER[v], port))
        s.listen(backlog)
        return s

    def accept(self, server):
        s, who = server.accept()
        self.keep(s)
        return s, who

    def udp(self, v, addr=None, port=0, where=None):
        s = self.sock(v, socket.SOCK_DGRAM, where)
        s.bind((addr or netns.PEER[v], port))
        return s

    def local(self, v, kind=socket.SOCK_STREAM):
        """Makes a socket in the host's namespace."""
        return self.sock(v, kind, self.net.host)

    def free_port(self, v, addr=None, where=None):
        """Finds a port on which no program listens."""
        s = self.net.socket(v, socket.SOCK_STREAM, where)
        s.bind((addr or netns.PEER[v], 0))
        port = s.getsockname()[1]
        s.close()
        return port

    def end_test(self):
        for g in self.guests:
            g.close()
        for s in self.open:
            s.close()
        for fn in reversed(self.undo):
            fn()
        self.guests, self.open, self.undo = [], [], []

    def close(self):
        for p in self.running.values():
            p.cleanup()
        self.running.clear()


def _report(w, name, fn, v):
    """Runs one test, and prints its line. Returns whether it passed."""
    why = None
    try:
        fn(w) if v is None else fn(w, v)
    except Skip as e:
        print(f"skip {name}: {e}", flush=True)
        return True
    except (Failure, EOFError, OSError) as e:
        why = str(e) or repr(e)
        if not isinstance(e, Failure):
            why = f"{type(e).__name__}: {why}"
            traceback.print_exc()
    except Exception:       # a mistake in the test is a failure as well
        why = "error in the test: " + traceback.format_exc(limit=-1) \
            .strip().splitlines()[-1]
        traceback.print_exc()
    finally:
        if why:
            _explain(w, name)
        w.end_test()
    for options in [o for o, p in w.running.items() if not p.alive()]:
        p = w.running.pop(options)
        why = (why or "") + f" passt ended with {p.proc.returncode}: " \
            + p.log()[-600:]
        p.cleanup()
    if why:
        why = " / ".join(why.split("\n"))
        print(f"not ok {name}: {why}", flush=True)
    else:
        print(f"ok {name}", flush=True)
    return why is None


def _explain(w, name):
    """Prints the last frames and passt's last messages to stderr."""
    print(f"--- {name}", file=sys.stderr)
    for g in w.guests:
        for line in g.trace[-40:]:
            print("    " + line[:200], file=sys.stderr)
        for line in g.passt.log().splitlines()[-5:]:
            print("    passt: " + line, file=sys.stderr)
    sys.stderr.flush()


def _settles(p):
    """Fails unless passt becomes idle without a guest, and ends well."""
    end = time.monotonic() + 5 * SLOW
    while True:
        before = p.cpu()
        time.sleep(0.5)
        if p.cpu() - before < 0.02:
            break
        if time.monotonic() > end:
            raise Failure("processor time goes by with no guest")
    status = p.stop()
    if status not in (0, -signal.SIGTERM):
        raise Failure(f"exit status {status} on SIGTERM: {p.log()[-600:]}")
    for mark in ("Sanitizer", "runtime error"):
        if mark in p.log():
            raise Failure(f"{mark}: {p.log()[-2000:]}")


def unprivileged_reexec():
    """Unless we are root, starts again as root of a new user namespace."""
    if os.geteuid() == 0 or os.environ.get("WIRE_UNSHARED"):
        return
    os.environ["WIRE_UNSHARED"] = "1"
    try:
        os.execvp("unshare", ["unshare", "-Urnm", sys.executable, *sys.argv])
    except OSError as e:
        if e.errno != errno.ENOENT:
            raise


def selected(name, module, patterns):
    return not patterns or module in patterns or any(
        p == name or re.search(p, name, re.I) for p in patterns)


def main():
    module = os.path.basename(sys.argv[0]).removesuffix(".py")
    if sys.argv[1:] == ["-l"]:
        for name, _, _ in _tests:
            print(name)
        return
    tests = [t for t in _tests if selected(t[0], module, sys.argv[1:])]
    if not tests:
        return
    unprivileged_reexec()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    netns.become_subreaper()
    try:
        own_resolv_conf()
        w = World()
    except (OSError, RuntimeError) as e:
        for name, _, _ in tests:
            print(f"skip {name}: no namespaces here: {e}")
        return
    atexit.register(w.close)
    failed = 0
    for name, fn, v in tests:
        failed += not _report(w, name, fn, v)
    for options, p in list(w.running.items()):
        label = f"idle and in order after {module} ({' '.join(options)})"
        del w.running[options]
        w.undo.append(p.cleanup)
        failed += not _report(w, label, lambda w: _settles(p), None)
    sys.exit(failed > 0)
