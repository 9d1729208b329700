# SPDX-License-Identifier: AGPL-3.0-or-later
"""
Two network namespaces for the tests, so that no packet leaves the machine:

      host                                   outside
      passt runs here                        peers live here, on lo
      192.0.2.2/24            veth           192.0.2.1/24 (the gateway)
      2001:db8:1::2/64  v0 ---------- v1     fe80::1/64   (the gateway)
                                             198.51.100.0/24, 2001:db8:2::/64

The thread that creates a Topology stays in 'host'. A socket belongs to the
namespace in which it was created, so one process can have sockets on both
sides: it creates those outside by in_ns().
"""
import ctypes
import os
import socket
import subprocess
import tempfile

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000

HOST = {4: "192.0.2.2", 6: "2001:db8:1::2"}
GATEWAY = {4: "192.0.2.1", 6: "fe80::1"}
LEN = {4: 24, 6: 64}
PEER = {4: "198.51.100.1", 6: "2001:db8:2::1"}
PEER2 = {4: "198.51.100.2", 6: "2001:db8:2::2"}
# No machine has these addresses, and no router sends an ICMP error.
DEAD = {4: "203.0.113.1", 6: "2001:db8:dead::1"}
# The host's own routing table refuses these.
UNREACHABLE = {4: "203.0.113.66", 6: "2001:db8:dead::66"}
PROHIBITED = {4: "203.0.113.67", 6: "2001:db8:dead::67"}
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
DNS = {4: "192.0.2.53", 6: "2001:db8:1::53"}
SEARCH = ["example.org", "corp.example.net"]
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}

_libc = ctypes.CDLL(None, use_errno=True)


def _check(ret, what):
    if ret:
        e = ctypes.get_errno()
        raise OSError(e, f"{what}: {os.strerror(e)}")


def unshare(flags):
    _check(_libc.unshare(flags), "unshare")


def prctl(option, arg):
    _check(_libc.prctl(option, arg, 0, 0, 0), "prctl")


def become_subreaper():
    """Makes orphaned descendants our children, so that we can end them."""
    prctl(36, 1)    # PR_SET_CHILD_SUBREAPER


def _new_netns():
    unshare(CLONE_NEWNET)
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def run(cmd):
    p = subprocess.run(cmd.split(), capture_output=True, text=True)
    if p.returncode:
        raise RuntimeError(f"{cmd}: {p.stderr.strip()}")
    return p.stdout


def sysctl(name, value):
    with open("/proc/sys/" + name.replace(".", "/"), "w") as f:
        f.write(str(value))


class Topology:
    """The two namespaces; the caller's thread is left in 'host'."""

    def __init__(self):
        self.outside = _new_netns()
        self.host = _new_netns()
        run("ip link set lo up")
        run("ip link add v0 type veth peer name v1 netns "
            f"/proc/{os.getpid()}/fd/{self.outside}")
        self._quiet()
        # In a user namespace the kernel accepts only groups that it maps.
        for span in ("0 2147483647", "0 0"):
            try:
                sysctl("net.ipv4.ping_group_range", span)
                break
            except OSError:
                pass
        # The same buffer sizes on all machines, whatever their defaults are.
        sysctl("net.ipv4.tcp_rmem", "4096 131072 6291456")
        sysctl("net.ipv4.tcp_wmem", "4096 16384 4194304")
        self.in_ns(self.outside, self._outside)
        run(f"ip addr add {HOST[4]}/{LEN[4]} dev v0")
        run(f"ip addr add {HOST[6]}/{LEN[6]} dev v0 nodad")
        run("ip link set v0 up")
        run(f"ip route add default via {GATEWAY[4]} dev v0")
        run(f"ip route add default via {GATEWAY[6]} dev v0")
        for f, bits in ((4, 32), (6, 128)):
            run(f"ip -{f} route add unreachable {UNREACHABLE[f]}/{bits}")
            run(f"ip -{f} route add prohibit {PROHIBITED[f]}/{bits}")

    @staticmethod
    def _quiet():
        """Turns duplicate address detection off, so that addresses work at
        once."""
        for scope in ("all", "default"):
            sysctl(f"net.ipv6.conf.{scope}.accept_dad", 0)
            sysctl(f"net.ipv6.conf.{scope}.accept_ra", 0)

    def _outside(self):
        run("ip link set lo up")
        self._quiet()
        sysctl("net.ipv6.conf.v1.accept_dad", 0)
        sysctl("net.ipv4.tcp_rmem", "4096 131072 6291456")
        run(f"ip addr add {GATEWAY[4]}/{LEN[4]} dev v1")
        run("ip link set v1 up")
        run(f"ip addr add {GATEWAY[6]}/64 dev v1 nodad")
        run(f"ip route add 2001:db8:1::/64 dev v1")
        # Without this route, Linux would answer with an ICMP error.
        run(f"ip route add blackhole {DEAD[6]}")
        for f in (4, 6):
            self.add_peer(PEER[f])
            self.add_peer(PEER2[f])

    def in_ns(self, ns, fn, *args, **kw):
        """Runs fn in namespace ns. Returns its result."""
        _check(_libc.setns(ns, CLONE_NEWNET), "setns")
        try:
            return fn(*args, **kw)
        finally:
            _check(_libc.setns(self.host, CLONE_NEWNET), "setns")

    def add_peer(self, addr):
        """Adds an address to the outside namespace."""
        v6 = ":" in addr
        self.in_ns(self.outside, run, f"ip addr add {addr}/"
                   + ("128 dev lo nodad" if v6 else "32 dev lo"))

    def socket(self, fam, kind, where=None, proto=0):
        """Makes a socket outside, or in the namespace @where."""
        return self.in_ns(where or self.outside, socket.socket, FAMILY[fam],
                          kind, proto)


def own_resolv_conf():
    """Replaces /etc/resolv.conf, only for this process and its children."""
    unshare(CLONE_NEWNS)
    run("mount --make-rprivate /")
    with tempfile.NamedTemporaryFile("w", prefix="resolv.") as f:
        f.write(f"search {' '.join(SEARCH)}\n")
        for fam in (4, 6):
            f.write(f"nameserver {DNS[fam]}\n")
        f.flush()
        os.chmod(f.name, 0o644)
        run(f"mount --bind {f.name} {os.path.realpath('/etc/resolv.conf')}")
