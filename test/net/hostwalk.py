#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""hostwalk.py - The host's network changes at random while passt runs.

    guest ==== passt (host) ---- eth0, eth1, eth2 ---- servers (outside)

After each group of changes, and a quiet second, passt has the network that a
passt which starts now has, the guest gets this network, and its connections
reach the server as those of the host do. Meanwhile the guest sends and receives
TCP, UDP and pings. WALK=N sets the number of changes, SEED=N seeds the random
numbers, and ONLY=A-B takes the steps of the groups A to B only. After a
difference, the steps of its group are printed.
"""

import collections
import contextlib
import errno
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import threading
import time

import ownroot
from hoststeps import (NETS4, NETS6, RESOLV, Taker, Walk, base_commands,
                       clear_commands, make_commands)
from netlab import (CLONE_NEWNET, FAMILIES, Lab, SERVER4, SERVER6, Server,
                    call, check, echo_udp, expect, expect_below, main,
                    rests, spawn_user, tcp_each, wait_for)

SEED = int(os.environ.get("SEED", 1))
CHANGES = int(os.environ.get("WALK", 60))
ONLY = os.environ.get("ONLY")
SHORT, WARM = 60, 20    # changes, groups
TIME = 20               # s: a walk of the default length ends after that
PORT, UDP_PORT, BOUND_PORT = 7000, 7001, 7002
OPTIONS = ("--multicast",)
FORWARD = ("-t", f"{PORT}", "-t", f"%eth1/{BOUND_PORT}", "-u", f"{UDP_PORT}")
OWN6 = "fd99::1"
QUIET = 1.0             # s
GUEST_TIME = 4.5        # s: RAs are at least 3 s apart
GROWTH = 128            # KiB of the heap, at most; the pages of other memory
                        # belong to tables of a fixed size
PER_GROUP = 25          # messages of a group that are no changes, at most
UDHCPC = """#!/bin/sh
# udhcpc calls this: it applies the lease, and writes it to a file.
[ "$1" = bound ] || exit 0
env >"$LEASE"
ip -4 addr flush dev "$interface"
ip addr add "$ip/$mask" dev "$interface"
ip route replace default via "$router" dev "$interface" onlink
"""
FAR = "default", "::/1", "8000::/1"
RTNLGRPS = 1, 5, 7, 8, 9, 11, 19, 32    # links, addresses, routes, rules, hops

# Steps that made a difference once.
FIXED = {
    "an interface is renamed": (
        ("host", "link set eth1 name lan1"),
        ("outside", "link set o.eth1 name o.lan1")),
    "another interface takes its name": (
        *make_commands(1), ("host", f"addr add {NETS4[1]}.2/24 dev eth1")),
    "two interfaces exchange their names": (
        ("host", "link set eth1 name swap"),
        ("host", "link set lan1 name eth1"),
        ("host", "link set swap name lan1")),
    "resolv.conf is a named pipe": (("resolv", "pipe", ""),),
    "resolv.conf is a file again": (
        ("resolv", "write", "nameserver 198.51.100.53\n"),),
}


@tcp_each
def tell_peer(conn):
    """Answers each byte with the address that it came from."""
    peer = conn.getpeername()[0].encode() + b"\n"
    while conn.recv(1):
        conn.sendall(peer)


class Monitor:
    """Tells how long the host's network has been quiet."""

    def __init__(self, lab):
        self.lab = lab
        with lab.host:
            self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
        self.sock.settimeout(0.05)
        self.sock.bind((0, 0))
        for group in RTNLGRPS:
            self.sock.setsockopt(270, 1, group)     # NETLINK_ADD_MEMBERSHIP

    def silent(self, passt):
        """Waits for a second. Returns the share of a CPU that passt used in its
        last seven tenths; None if the host changed before."""
        began, cpu = time.monotonic(), None
        while time.monotonic() < began + QUIET:
            if cpu is None and time.monotonic() > began + 0.3 * QUIET:
                at, cpu = time.monotonic(), passt.cpu()
            try:
                self.sock.recv(1 << 20)
                return None
            except TimeoutError:
                continue
            except OSError:     # ENOBUFS
                return None
        return (passt.cpu() - cpu) / (time.monotonic() - at)

    def changes_soon(self):
        """Whether the kernel still looks for duplicates of an address, or will
        soon deprecate one."""
        addrs = [(link, a) for link in json.loads(self.lab.host.run(
            "ip", "-j", "addr", "show")) for a in link.get("addr_info", ())]
        return any("LOWER_UP" in link["flags"] and a.get("tentative")
                   and not a.get("dadfailed")
                   or 0 < a.get("preferred_life_time", 0) < 60
                   for link, a in addrs)

    def quiet(self, passt):
        """Waits for a second without a change, but at most 12 s. Returns the
        share of a CPU that passt used at its end."""
        end = time.monotonic() + 12
        while time.monotonic() < end:
            load = self.silent(passt)
            if load is not None and not self.changes_soon():
                return load
        raise AssertionError("the host never becomes quiet")


class Traffic:
    """Threads that send to and from the guest as long as the walk lasts."""

    def __init__(self, lab):
        self.lab, self.going, self.over = lab, threading.Event(), False
        self.counts, self.busy = collections.Counter(), 0
        self.lock = threading.Lock()
        guest, outside = lab.guest.fd, lab.outside.fd
        jobs = [(guest, self.held, 0), (guest, self.held, 1),
                (guest, self.tcp, 0), (guest, self.tcp, 1),
                (guest, self.udp, 0), (guest, self.udp, 1),
                (guest, self.ping, 0), (guest, self.ping, 1),
                (outside, self.to_tcp, 0), (outside, self.to_tcp, 1),
                (outside, self.to_udp, 0), (outside, self.to_udp, 1)]
        self.threads = [threading.Thread(target=self.run, args=job, daemon=True)
                        for job in jobs]
        for thread in self.threads:
            thread.start()

    def run(self, fd, job, n):
        call("setns", fd, CLONE_NEWNET)
        state = {}
        turn = 0
        while not self.over:
            self.going.wait()
            with self.lock:
                self.busy += 1
            turn += 1
            name = f"{job.__name__}{'46'[n]}"
            try:
                job(n, state, turn)
                self.counts[name] += 1
            except OSError:
                self.counts[name + " failed"] += 1
                if "s" in state:
                    state.pop("s").close()
            with self.lock:
                self.busy -= 1
            time.sleep(0.15)

    def pause(self):
        self.going.clear()
        wait_for("traffic's pause", lambda: not self.busy)

    def end(self):
        self.over = True
        self.going.set()
        for thread in self.threads:
            thread.join()

    @staticmethod
    def open(n, addr, port, kind, proto=0):
        s = socket.socket((socket.AF_INET, socket.AF_INET6)[n], kind, proto)
        s.settimeout(0.5)
        with contextlib.ExitStack() as stack:
            stack.callback(s.close)
            s.connect((addr, port))
            stack.pop_all()
        return s

    def held(self, n, state, _):
        """One connection, as long as it lives."""
        if "s" not in state:
            state["s"] = self.open(n, FAMILIES[n][1], PORT, socket.SOCK_STREAM)
        state["s"].sendall(b"x")
        if not state["s"].recv(100):
            raise ConnectionResetError

    def tcp(self, n, *_):
        with self.open(n, FAMILIES[n][1], PORT, socket.SOCK_STREAM) as s:
            s.sendall(b"x")
            s.recv(100)

    def udp(self, n, state, turn):
        """Datagrams of one flow, and queries to the server's DNS port."""
        if turn % 2:
            with self.open(n, FAMILIES[n][1], 53, socket.SOCK_DGRAM) as s:
                s.send(b"\0" * 12)
                s.recv(100)
            return
        if "s" not in state:
            state["s"] = self.open(n, FAMILIES[n][1], PORT, socket.SOCK_DGRAM)
        state["s"].send(b"x")
        state["s"].recv(100)

    def ping(self, n, *_):
        proto = (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6)[n]
        kind = b"\x08\x80"[n]
        with self.open(n, FAMILIES[n][1], 0, socket.SOCK_DGRAM, proto) as s:
            s.send(bytes((kind, 0, 0, 0, 0, 0, 0, 1)) + b"x" * 40)
            s.recv(100)

    def to_tcp(self, n, _, turn):
        net = turn % 3
        addr = (NETS4[net] + ".2", NETS6[net] + "::2")[n]
        port = BOUND_PORT if turn % 2 else PORT
        with self.open(n, addr, port, socket.SOCK_STREAM) as s:
            s.sendall(b"x")
            s.recv(100)

    def to_udp(self, n, _, turn):
        net = turn % 3
        addr = (NETS4[net] + ".2", NETS6[net] + "::2")[n]
        with self.open(n, addr, UDP_PORT, socket.SOCK_DGRAM) as s:
            s.send(b"x")
            s.recv(100)


class Summary:
    """A network of the guest, as passt logs it."""

    def __init__(self, text):
        self.text = text
        self.common, _, rest = text.partition("IPv4, ")
        four, _, six = rest.partition("IPv6, ")
        self.family = four, six

    @staticmethod
    def item(text, name):
        found = re.search(rf"^  {name} +(.*)$", text, re.M)
        return found[1] if found else ""

    def get(self, n, name):
        return self.item(self.family[n], name)

    def interface(self, n):
        found = re.match(r"as on (.*):", self.family[n])
        return found[1] if found else None


def ms(seconds):
    return round(seconds * 1000)


class Test:
    """Takes the walk, and compares passt with what it should have after each
    group of steps.

    @read: bytes of passt's messages that the test has read
    @times: seconds until a new connection of the guest worked
    @loads: shares of a CPU that passt used when all was quiet
    @heap: KiB of passt's heap after the first group of steps; after group WARM,
        the value of that time
    @rss: bytes of passt's memory, at the same time as @heap
    @findings: messages of the comparisons that failed
    """

    def __init__(self, lab, passt):
        self.lab, self.passt = lab, passt
        self.taker = Taker(lab)
        self.read = 0
        self.times = []
        self.heap = self.rss = None
        self.findings, self.loads = [], []
        self.monitor = Monitor(lab)
        lab.guest.sysctl(net__ipv4__ping_group_range="0 2147483647")

    #
    # What passt says.
    #

    def said(self):
        """What passt has logged since the last call."""
        text = os.pread(self.lab.log.fileno(), 1 << 26, self.read)
        self.read += len(text)
        return text.decode(errors="replace")

    def in_force(self):
        """The network that passt shows on SIGUSR1, and what it said before."""
        before = self.said()
        os.kill(self.passt.pid, signal.SIGUSR1)
        got = [""]

        def more():
            got[0] += self.said()
            return "counters: flows" in got[0]
        wait_for("passt's answer to SIGUSR1", more, 5)
        text = got[0]
        return Summary(text[text.index("Guest:"):text.index("Forwarding:")]), \
            before + text[:text.index("Guest:")]

    def of_new(self):
        """The network of a passt that starts now."""
        path = f"{self.lab.dir}/new"
        with open(path + ".log", "w+b") as log:
            p = spawn_user(self.lab.host, [
                self.lab.passt_bin, "-f", "-s", path], stdout=log, stderr=log)
            try:
                wait_for("another passt's start",
                         lambda: b"Now start a guest" in os.pread(
                             log.fileno(), 1 << 20, 0), 5)
            finally:
                p.kill()
                p.wait()
            text = os.pread(log.fileno(), 1 << 20, 0).decode()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return Summary(text[text.index("Guest:"):
                            text.index("Now start a guest")])

    #
    # What the guest has.
    #

    def lease4(self, s):
        """Fails unless DHCP gives what @s says."""
        lease = self.lab.dhcp()
        expect("DHCP's address", f"{lease['ip']}/{lease['mask']}",
               s.get(0, "address"))
        expect("DHCP's router", lease.get("router"), s.get(0, "router"))
        expect("DHCP's resolvers", lease.get("dns", "").split(),
               s.get(0, "DNS").replace(",", "").split())
        expect("DHCP's search list", lease.get("search", "").split(),
               Summary.item(s.common, "search").split())

    def prefixes6(self):
        """Prefixes of the guest's preferred addresses. The kernel may be late
        with the flag 'deprecated', so the lifetime counts."""
        out = self.lab.guest.run("ip", "-j", "-6", "addr", "show", "dev",
                                 "tap0", "scope", "global")
        return sorted({prefix_of(a["local"]) for link in json.loads(out)
                       for a in link.get("addr_info", ())
                       if a.get("dynamic") and a["preferred_life_time"]})

    def routers6(self):
        out = self.lab.guest.run("ip", "-j", "-6", "route", "show", "default")
        return sorted(r["gateway"] for r in json.loads(out) if "gateway" in r)

    def lease6(self, s):
        """Fails unless router advertisements soon give what @s says."""
        addr, _, length = s.get(1, "address").partition("/")
        want = [prefix_of(addr)] if length == "64" else []
        routers = [s.get(1, "router").split(",")[0]] if addr else []
        try:
            wait_for("RA", lambda: self.prefixes6() == want and
                     self.routers6() == routers, GUEST_TIME, 0.1)
        except AssertionError:
            expect("the guest's prefixes", self.prefixes6(), want)
            expect("the guest's routers", self.routers6(), routers)

    #
    # Connections.
    #

    def try_connect(self, ns, n, timeout):
        """Returns the address that the server sees, and why not."""
        try:
            with ns.connect(FAMILIES[n][1], PORT, timeout) as s:
                s.sendall(b"x")
                return s.recv(100).decode().strip() or None, "end"
        except TimeoutError:
            return None, "time"
        except OSError as e:
            return None, e.errno

    def has_hops(self):
        """Whether some route has several next hops, so that the source may
        differ between connections."""
        return any("nexthop" in self.lab.host.run(
            "ip", f, "route", "show", "table", "all") for f in ("-4", "-6"))

    def has_rivals(self, n):
        """Whether the host has several routes of a family between which the
        kernel may change at any time: they have the same metric (see
        doc/limits.md), or the router of one does not answer."""
        family = ("-4", "-6")[n]
        out = self.lab.host.run("ip", "-j", family, "route", "show", "table",
                                "all")
        routes = [r for r in json.loads(out) if r["dst"] in FAR]
        seen = collections.Counter((r["dst"], r.get("table"), r.get("metric"))
                                   for r in routes)
        out = self.lab.host.run("ip", "-j", family, "neigh", "show")
        silent = {(a["dst"], a["dev"]) for a in json.loads(out)
                  if {"FAILED", "INCOMPLETE", "PROBE"} & set(a["state"])}
        return any(count > 1 for count in seen.values()) or \
            len(routes) > 1 and any((r.get("gateway"), r.get("dev")) in silent
                                    for r in routes)

    def host_connects(self, n):
        """As try_connect() from the host; again if a neighbour did not answer,
        because the next attempt asks it anew."""
        seen, why = self.try_connect(self.lab.host, n, 1.5)
        if why == errno.EHOSTUNREACH:
            seen, why = self.try_connect(self.lab.host, n, 1.5)
        return seen, why

    def connects(self, n, s):
        """Fails unless the guest reaches the server if the host does, as the
        same address, and does not wait if the host does not wait."""
        host, why = self.host_connects(n)
        if why == "time" or n and not s.get(1, "address"):
            return
        guest, other = self.try_connect(self.lab.guest, n, 3)
        if host is None and guest is not None:
            host, why = self.host_connects(n)
        if host is None and other == "time" and why != errno.EHOSTUNREACH:
            raise AssertionError(f"IPv{'46'[n]}: the guest's connection hangs, "
                                 f"the host's fails: {why}")
        if (host is None) != (guest is None) or not self.has_hops():
            expect(f"IPv{'46'[n]}: the source ({why}, {other})", guest, host)

    def first_success(self):
        """Measures the time until a new connection of the guest works, if the
        host's work."""
        began = time.monotonic()
        if self.try_connect(self.lab.host, 0, 0.3)[0] is None:
            return
        while time.monotonic() < began + 3:
            if self.try_connect(self.lab.guest, 0, 0.2)[0]:
                self.times.append(time.monotonic() - began)
                return
            time.sleep(0.01)

    #
    # Sockets of passt.
    #

    def links(self):
        out = self.lab.host.run("ip", "-j", "link", "show")
        return {link["ifname"]: link for link in json.loads(out)}

    def bound(self):
        """The interfaces to which the port is bound that is to be bound to
        eth1."""
        out = self.lab.host.run("ss", "-Hltn", f"sport = :{BOUND_PORT}")
        return sorted(set(re.findall(r"%(\S+):", out)))

    def sockets(self, s):
        """Fails unless the port is bound and the groups are joined on the right
        interfaces."""
        want = ["eth1"] if "eth1" in self.links() else []
        expect("interfaces of the bound port", self.bound(), want)
        if self.taker.low or self.has_rivals(1):
            return
        for n, group in enumerate(("224.0.0.251", "ff02::fb")):
            name = s.interface(n)
            if name and not (n and self.disabled6(name)):
                out = self.lab.host.run("ip", "maddr", "show", "dev", name)
                expect(f"{group} is joined on {name}", group in out, True)

    def disabled6(self, name):
        try:
            with self.lab.host, open(
                    f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6") as file:
                return file.read().strip() != "0"
        except FileNotFoundError:
            return True

    #
    # The walk.
    #

    def messages(self, text, load):
        """Fails if passt says too much about one group of changes, or does not
        rest afterwards."""
        rest = [line for line in text.split("\n")
                if line and "The host has changed" not in line]
        expect_below("messages of one group: " + " / ".join(rest[:3]),
                     len(rest), PER_GROUP)
        expect_below("share of a CPU when quiet", load, 0.01)

    @staticmethod
    def same(have, new, rivals):
        """Fails unless two summaries are equal, except for a family with
        rivals."""
        expect("the network in force, in common", have.common, new.common)
        for n in 0, 1:
            if not rivals[n]:
                expect(f"the network in force, IPv{'46'[n]}", have.family[n],
                       new.family[n])

    def part(self, number, what, *args):
        """Runs one comparison; a difference is a finding."""
        try:
            what(*args)
        except (AssertionError, subprocess.TimeoutExpired) as e:
            self.findings.append(f"group {number}: {what.__name__}: {e}")
            print(self.findings[-1], flush=True)

    def agrees(self, number, load):
        """Compares all after group @number."""
        before = len(self.findings)
        self.loads.append(load)
        have, text = self.in_force()
        new = self.of_new()
        if have.text != new.text:       # a neighbour may have answered now
            time.sleep(0.3)
            (have, _), new = self.in_force(), self.of_new()
        self.part(number, self.messages, text, load)
        rivals = self.has_rivals(0), self.has_rivals(1)
        self.part(number, self.same, have, new, rivals)
        self.part(number, self.lease4, have)
        if not rivals[1]:
            self.part(number, self.lease6, have)
        for n in 0, 1:
            if not rivals[n]:
                self.part(number, self.connects, n, have)
        self.part(number, self.sockets, have)
        if not rivals[1] and self.has_rivals(1):
            del self.findings[before:]  # it was changing meanwhile

    def step_on(self, number, steps, traffic):
        """Takes the steps of group @number, and compares all."""
        before = len(self.findings)
        traffic.going.set()
        self.taker.take_all(steps)
        if not self.has_hops():
            self.first_success()
        traffic.pause()
        self.agrees(number, self.monitor.quiet(self.passt))
        if len(self.findings) > before:
            for step in steps:
                print("    ", str(step)[:300], flush=True)

    def fixed(self, traffic):
        """Takes the steps of FIXED."""
        for name, steps in FIXED.items():
            with check(name):
                self.findings = []
                self.step_on(name, steps, traffic)
                expect("findings", self.findings, [])

    def walk(self, traffic):
        """Takes the steps of the seed."""
        number = changes = 0
        end = time.monotonic() + TIME
        self.findings = []
        for number, steps in enumerate(Walk(SEED).groups(CHANGES)):
            if CHANGES <= SHORT and time.monotonic() > end:
                break
            if not self.chosen(number):
                continue
            changes += sum(step[0] != "sleep" for step in steps)
            self.step_on(number, steps, traffic)
            if self.heap is None or number == WARM:
                self.heap, self.rss = self.heap_size(), self.passt.rss()
        self.report(number, changes)
        expect("findings", self.findings, [])

    @staticmethod
    def chosen(number):
        """Whether to take the steps of group @number."""
        if not ONLY:
            return True
        first, _, last = ONLY.partition("-")
        return int(first) <= number <= int(last or first)

    def heap_size(self):
        """KiB of passt's heap that are in memory."""
        with open(f"/proc/{self.passt.pid}/smaps") as file:
            found = re.search(r"\[heap\]\nSize:.*\n(?:.*\n)*?Rss: +(\d+) kB",
                              file.read())
        return int(found[1])

    def report(self, number, changes):
        times = sorted(self.times) or [0]
        print(f"seed {SEED}: {number + 1} groups, {changes} steps; heap "
              f"{self.heap} -> {self.heap_size()} KiB, memory {self.rss} -> "
              f"{self.passt.rss()}; first new connection after "
              f"{ms(statistics.median(times))} ms (median), {ms(times[-1])} ms "
              f"(worst); CPU when quiet {max(self.loads) * 100:.2f} % (worst)")


def prefix_of(addr):
    return socket.inet_pton(socket.AF_INET6, addr)[:8].hex() if addr else ""


def answers(conn):
    """Fails unless the peer answers a byte; closes the connection."""
    with conn:
        conn.send(b"x")
        expect("whether there is an answer", len(conn.recv(100)) > 0, True)


def works(test, lab):
    """Given the host in order, then all works."""
    with check("at the end, TCP, UDP and DNS work"):
        have, _ = test.in_force()
        test.lease4(have)
        test.lease6(have)
        for n, (name, addr) in enumerate(FAMILIES):
            expect(f"IPv{name}", test.try_connect(lab.guest, n, 5)[0],
                   (NETS4[0] + ".2", NETS6[0] + "::2")[n])
            for port in PORT, 53:
                answers(lab.guest.connect(addr, port, 5, socket.SOCK_DGRAM))
            lab.guest.run("ping", "-c1", "-W5", addr)
        expect("interface", have.interface(0), "eth0")
    with check("at the end, forwarded ports work"):
        for addr in NETS4[0] + ".2", NETS6[0] + "::2":
            answers(lab.outside.connect(addr, PORT, 5))
            answers(lab.outside.connect(addr, UDP_PORT, 5, socket.SOCK_DGRAM))
        answers(lab.outside.connect(NETS4[1] + ".2", BOUND_PORT, 5))


def story():
    ownroot.enter()
    os.chmod("/run", 0o755)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(RESOLV)
    with open(RESOLV, "w", encoding="ascii") as file:
        file.write(f"nameserver {SERVER4}\n")
    with Lab() as lab, contextlib.ExitStack() as stack:
        walk(lab, stack)


def serve(lab, stack):
    for addr in SERVER4, SERVER6:
        stack.enter_context(Server(lab.outside.bind(addr, PORT), tell_peer))
        for port in PORT, 53:
            stack.enter_context(Server(lab.outside.bind(
                addr, port, socket.SOCK_DGRAM), echo_udp))
    stack.enter_context(Server(lab.guest.bind("::", PORT), tell_peer))
    stack.enter_context(Server(lab.guest.bind("::", BOUND_PORT), tell_peer))
    stack.enter_context(Server(lab.guest.bind(
        "::", UDP_PORT, socket.SOCK_DGRAM), echo_udp))


def walk(lab, stack):
    with open(os.open(f"{lab.dir}/udhcpc", os.O_CREAT | os.O_WRONLY, 0o755),
              "w") as f:
        f.write(UDHCPC)
    lab.outside.run("ip", "link", "set", "eth0", "name", "o.eth0")
    order = sum((base_commands(n) for n in (2, 1, 0)), clear_commands())
    Taker(lab).take_all(order)
    passt = lab.passt(*OPTIONS, *FORWARD)
    test = Test(lab, passt)
    serve(lab, stack)
    descriptors = passt.descriptors()
    guest = lab.attach()
    # A source for IPv6 while no prefix of the host permits SLAAC.
    lab.guest.ip(f"addr add {OWN6}/128 dev tap0 nodad")
    traffic = Traffic(lab)
    test.fixed(traffic)
    with check(f"a walk of {CHANGES} changes, seed {SEED}"):
        test.walk(traffic)
    traffic.end()
    print(dict(sorted(traffic.counts.items())))
    with check("memory stays flat"):
        expect_below("KiB more", test.heap_size() - test.heap, GROWTH)
    test.taker.take_all(order)
    test.monitor.quiet(passt)
    works(test, lab)
    with check("after all, passt rests and holds nothing"):
        rests(passt)
        guest.kill()
        wait_for(f"{descriptors} descriptors",
                 lambda: passt.descriptors() <= descriptors)


if __name__ == "__main__":
    main(story)
