#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""golden.py [--peer PATH] [--show] [TEXT...] - Tests results of command lines.

Starts passt with each command line in golden.txt, acts as a guest that asks for
all that passt announces, lists the sockets that passt has bound, ends it, and
compares all results with the table. The head of golden.txt describes its form.

TEXT	use only lines that contain one of these
--show	print the table with the present results instead of the expected ones
--peer	start each line with this program, too, and print where its results
	differ from ours, in groups. Only this option needs another program.
"""

import argparse
import collections
import contextlib
import ipaddress
import os
import re
import resource
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from netlab import (CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC, NOBODY, PASST,
                    TOP, USERNS, Namespace, call, check, children, expect,
                    main, spawn_user)

sys.path.insert(0, os.path.join(TOP, "test/wire"))
from lib import dhcp, packet  # noqa: E402

OURS = "/tmp/passt"     # a copy in our private /tmp, where any user can run it
TABLE = os.path.join(TOP, "test/net/golden.txt")
LIMITS = os.path.join(TOP, "doc/limits.md")
MAC, LINK_LOCAL = "52:54:00:12:34:56", "fe80::5054:ff:fe12:3456"
BUSY = 4321             # a port, TCP and UDP, that another program has bound
MARKS = {"=": "same", "+": "better", "!": "different on purpose"}

RESOLV = """nameserver 192.0.2.53
nameserver 2001:db8:1::53
search example.org
"""
LINKS = ("eth0", "eth1")
USUAL = (
    "addr add 192.0.2.2/24 dev eth0",
    "addr add 2001:db8:1::2/64 dev eth0 nodad",
    "addr add 198.51.100.2/24 dev eth1",
    "addr add 2001:db8:2::2/64 dev eth1 nodad",
    "route add default via 192.0.2.1",
    "-6 route add default via fe80::1 dev eth0",
)
PORTS = {"net__ipv4__ip_unprivileged_port_start": 1024,
         "net__ipv4__ip_local_port_range": "5000 65535",
         "net__ipv4__ping_group_range": "0 0" if USERNS else "0 2147483647"}

# For each kind of host: commands for ip(8), text of resolv.conf, sysctls.
HOSTS = {
    "usual": (USUAL, RESOLV, PORTS),
    "pod": (USUAL, RESOLV,
            {**PORTS, "net__ipv4__ip_unprivileged_port_start": 0}),
    "offline": ((), "", PORTS),
    "no-gateway": (("addr add 192.0.2.2/24 dev eth0",
                    "addr add 2001:db8:1::2/64 dev eth0 nodad"), RESOLV,
                   PORTS),
    "point-to-point": (("addr add 192.0.2.2 peer 192.0.2.1 dev eth0",
                        "route add default dev eth0"),
                       "nameserver 127.0.0.53\ndomain example.net\n", PORTS),
    "off-link": (("addr add 192.0.2.2/32 dev eth0",
                  "route add 203.0.113.1 dev eth0",
                  "route add default via 203.0.113.1 dev eth0"), RESOLV,
                 PORTS),
}


#
# The table.
#

class Line:
    """A line of the table: settings, options of passt, and expected result."""

    def __init__(self, mark, host, text, want):
        self.mark, self.host, self.text, self.want = mark, host, text, want
        self.because = None
        words = shlex.split(text)
        self.settings = {}
        while words and re.match(r"(root|bare|mute|nofile=\d+)$", words[0]):
            name, _, value = words.pop(0).partition("=")
            self.settings[name] = value
        self.options = words


def read_table(text):
    """Parses the table. Returns its lines, in order; the first of each host is
    its usual result, without options."""
    host, lines = None, []
    for row in re.sub(r"\n[ \t]+(?![ \t]|because)", " ", text).splitlines():
        if not row.strip() or row.startswith("#"):
            continue
        if because := re.match(r"\s+because (.*)$", row):
            lines[-1].mark, lines[-1].because = "!", because[1]
        elif begin := re.match(r"\[([a-z-]+)\] ->\s*(.*)$", row):
            host = begin[1]
            lines.append(Line("=", host, "", begin[2]))
        elif line := re.match(r"([=+!]) (.*?)(?: -> (.*))?$", row):
            lines.append(Line(line[1], host, line[2], line[3] or ""))
        else:
            raise ValueError(f"not a line of the table: {row}")
    return lines


def read_result(text):
    """Parses a result in the table. Returns a dictionary."""
    if refused := re.match(r"(\d+) (.*)", text):
        return {"exit": refused[1], "says": refused[2]}
    text, _, says = text.partition("says ")
    result = dict(word.split("=", 1) for word in text.split())
    return {**result, "says": says} if says else result


def write_result(result, usual):
    """Writes a result as in the table: only what differs from the usual one."""
    if "exit" in result:
        return f"{result['exit']} {result['says']}"
    words = [f"{key}={result.get(key, '')}"
             for key in dict.fromkeys([*usual, *result])
             if key != "says" and result.get(key) != usual.get(key)]
    if "says" in result:
        words.append(f"says {result['says']}")
    return " ".join(words)


#
# The host.
#

class Host:
    """A network namespace that is set up as HOSTS describes."""

    def __init__(self, name):
        commands, resolv, sysctls = HOSTS[name]
        self.space, self.beyond = Namespace(), Namespace()
        for link in LINKS:
            self.space.run("ip", "link", "add", link, "type", "veth", "peer",
                           "name", link, "netns",
                           f"/proc/{os.getpid()}/fd/{self.beyond.fd}")
            self.beyond.ip(f"link set {link} up")
            self.space.ip(f"link set {link} up")
        self.space.ip(*commands)
        self.space.sysctl(**sysctls)
        with open("/etc/resolv.conf", "w") as f:
            f.write(resolv)
        self.busy = [self.take(kind) for kind in (socket.SOCK_STREAM,
                                                  socket.SOCK_DGRAM)]
        self.before = set(self.sockets())

    def take(self, kind):
        """Binds the port BUSY. Returns the socket."""
        with self.space:
            s = socket.socket(socket.AF_INET6, kind)
        s.bind(("::", BUSY))
        if kind == socket.SOCK_STREAM:
            s.listen()
        return s

    def sockets(self):
        """(protocol, address, port) of each listening socket."""
        for row in self.space.run("ss", "-Hlntu").splitlines():
            proto, _, _, _, local, _ = row.split()
            addr, port = local.rsplit(":", 1)
            yield proto, addr, int(port)

    def bound(self):
        """The values tcp= and udp= of a result: sockets that were bound since
        the host was set up, as ranges of ports by address."""
        by_addr = collections.defaultdict(list)
        for proto, addr, port in sorted(set(self.sockets()) - self.before):
            ports = by_addr[proto, addr]
            if ports and ports[-1][1] == port - 1:
                ports[-1][1] = port
            elif not ports or ports[-1][1] != port:
                ports.append([port, port])
        out = collections.defaultdict(list)
        for (proto, addr), ports in sorted(by_addr.items()):
            text = "+".join(f"{a}-{b}" if a < b else f"{a}" for a, b in ports)
            out[proto].append(f"{addr}:{text}")
        return {proto: ",".join(texts) for proto, texts in out.items()}

    def close(self):
        for s in self.busy:
            s.close()
        self.space.close()
        self.beyond.close()


def private_files():
    """Mounts a private /tmp and /etc/resolv.conf."""
    call("unshare", CLONE_NEWNS)
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    call("mount", b"tmpfs", b"/tmp", b"tmpfs", 0, b"mode=1777")
    with open("/tmp/resolv.conf", "w"):
        pass
    call("mount", b"/tmp/resolv.conf", b"/etc/resolv.conf", None, MS_BIND,
         None)


#
# The guest, which asks for all that passt announces.
#

def questions():
    """Frames that ask for everything. passt answers in this order, and always
    answers the last two: a neighbour solicitation and an ARP request."""
    discover = dhcp.message(MAC, [dhcp.kind(dhcp.DISCOVER), dhcp.wanted(
        1, 3, 6, 12, 15, 26, 81, 119, 121), (81, b"\4\0\0")])
    solicit = bytes([dhcp.SOLICIT]) + b"abc" + dhcp.opt6(1, dhcp.duid(MAC)) \
        + dhcp.ia_na() + dhcp.oro(23, 24, 39) + dhcp.opt6(39, b"\1\1g")
    solicited = packet.icmp(LINK_LOCAL, "ff02::2", 133, 0, bytes(4))
    target = "fe80::77"
    neighbour = packet.icmp(
        LINK_LOCAL, packet.solicited_node(target), 135, 0, bytes(4) +
        packet.pton(target) + b"\x01\x01" + packet.mac(MAC))
    yield packet.eth(packet.BROADCAST, MAC, packet.ETH_IP, packet.ip4(
        "0.0.0.0", "255.255.255.255", packet.UDP, packet.udp(
            "0.0.0.0", "255.255.255.255", 68, 67, discover)))
    for dst, l4, proto in (
            (dhcp.SERVERS, packet.udp(LINK_LOCAL, dhcp.SERVERS, 546, 547,
                                      solicit), packet.UDP),
            ("ff02::2", solicited, packet.ICMPV6),
            (packet.solicited_node(target), neighbour, packet.ICMPV6)):
        yield packet.eth(packet.multicast_mac(dst), MAC, packet.ETH_IPV6,
                         packet.ip6(LINK_LOCAL, dst, proto, l4, ttl=255))
    yield packet.eth(packet.BROADCAST, MAC, packet.ETH_ARP, packet.arp(
        1, MAC, "192.0.2.99", "00:00:00:00:00:00", "192.0.2.77"))


def from_offer(m, p):
    mask = 0 if 1 not in m.opt else \
        bin(int.from_bytes(m.opt[1], "big")).count("1")
    yield "4", f"{m.yiaddr}/{mask}"
    yield "router4", ",".join(m.addrs(3))
    yield "routes4", ",".join(f"{to}>{by}" for to, by in m.routes()) \
        if 121 in m.opt else ""
    yield "dns4", ",".join(m.addrs(6))
    yield "search4", ",".join(dhcp.names(m.opt.get(119, b"")))
    yield "mtu4", str(m.number(26)) if 26 in m.opt else ""
    yield "name4", m.opt.get(12, b"").decode()
    yield "fqdn4", ",".join(dhcp.names(m.opt[81][3:])) if 81 in m.opt else ""
    yield "mac", p.eth_src


def from_advertise(m, p):
    yield "6", ",".join(a for ia in m.ias().values() for a, _, _ in ia[2])
    yield "dns6", ",".join(m.addrs(23))
    yield "search6", ",".join(dhcp.names(m.opt.get(24, b"")))
    yield "fqdn6", ",".join(dhcp.names(m.opt[39][1:])) if 39 in m.opt else ""


def from_advert(p):
    options, b = {}, p.l4[16:]
    while b:
        options[b[0]] = b[2:b[1] * 8]
        b = b[b[1] * 8:]
    yield "ra", p.src
    yield "prefix", str(ipaddress.ip_network(
        (options[3][14:30], options[3][0]), strict=False)) + (
            "" if options[3][1] & 0x40 else ":no-slaac") \
        if 3 in options else ""
    yield "dns-ra", ",".join(packet.ntop(options[25][i:i + 16]) for i in range(
        6, len(options[25]), 16)) if 25 in options else ""
    yield "search-ra", ",".join(dhcp.names(options[31][6:])) \
        if 31 in options else ""
    yield "mtu-ra", str(int.from_bytes(options[5][2:], "big")) \
        if 5 in options else ""
    yield "mac", p.eth_src


def read_answer(p):
    """Reads an answer of passt. Returns keys and values of the result."""
    if p.udp and p.udp.sport == 67:
        return dict(from_offer(dhcp.Message(p.udp.data), p))
    if p.udp and p.udp.sport == 547:
        return dict(from_advertise(dhcp.Message6(p.udp.data), p))
    if p.icmp and p.v == 6 and p.icmp.kind == 134 and p.dst == LINK_LOCAL:
        return dict(from_advert(p))
    return {}


def summed(frame):
    """Adds the UDP checksum to a frame, which another program than ours may
    leave out (RFC 768)."""
    if frame[12:14] != b"\x08\x00" or frame[23] != packet.UDP or \
            any(frame[40:42]):
        return frame
    addrs = [packet.ntop(frame[i:i + 4]) for i in (26, 30)]
    ports = struct.unpack("!HH", frame[34:38])
    return frame[:34] + packet.udp(*addrs, *ports, frame[42:])


class Guest:
    """Sends the questions on a connected socket, and collects the answers.

    @is_peer: this is not our program, so it may lose the first questions, and
        answer in another order
    """

    PATIENCE, AFTERWARDS = 8, 0.1       # seconds

    def __init__(self, sock, is_peer):
        self.sock, self.is_peer = sock, is_peer
        self.buf, self.result = b"", {}
        self.arp = self.neighbour = False

    def frames(self):
        while len(self.buf) >= 4:
            size, = struct.unpack("!I", self.buf[:4])
            if len(self.buf) < 4 + size:
                return
            yield self.buf[4:4 + size]
            self.buf = self.buf[4 + size:]

    def take(self, frame):
        p = packet.parse(summed(frame))
        self.arp |= bool(p.arp)
        self.neighbour |= bool(p.icmp and p.icmp.kind == 136)
        self.result.update((k, v) for k, v in read_answer(p).items() if v)

    def send(self):
        with contextlib.suppress(BrokenPipeError):
            self.sock.sendall(b"".join(struct.pack("!I", len(f)) + f
                                       for f in questions()))

    def receive(self, timeout):
        """Takes answers until the last one has come, or until a timeout.
        Returns whether the connection is still open."""
        self.sock.settimeout(timeout)
        try:
            while data := self.sock.recv(65536):
                self.buf += data
                for frame in self.frames():
                    self.take(frame)
                if self.arp and not self.is_peer:
                    return True
                if self.arp or self.neighbour:
                    self.sock.settimeout(self.AFTERWARDS)
        except TimeoutError:
            return True
        except ConnectionResetError:
            pass
        return False

    def ask(self):
        """Asks. Returns the result as far as the guest sees it, or None if the
        program closed the connection."""
        for _ in range(self.PATIENCE if self.is_peer else 1):
            self.send()
            if not self.receive(1 if self.is_peer else self.PATIENCE):
                return None
            if self.arp or self.neighbour:
                break
        return self.result


#
# One start.
#

class Start:
    """A program that is started with one line of the table."""

    def __init__(self, program, line, host):
        self.line, self.host, self.is_peer = line, host, program != OURS
        self.root = "root" in line.settings
        self.dir = tempfile.mkdtemp(prefix="golden-")
        if not USERNS:
            os.chown(self.dir, NOBODY, NOBODY)
        self.path = f"{self.dir}/s"
        self.ours, theirs = None, None
        options = line.options
        if any("$FD" in word for word in options):
            self.ours, theirs = socket.socketpair()
        fd = theirs.fileno() if theirs else -1
        options = [word.replace("$DIR", self.dir).replace("$FD", str(fd))
                   for word in options]
        self.daemon = any(word in ("-P", "--pid") for word in options)
        self.quiet = "bare" not in line.settings or any(
            word in ("-q", "--quiet") for word in options)
        if "bare" not in line.settings:
            options = ["-q", *(() if self.daemon else ("-f",)),
                       *(() if theirs else ("-s", self.path)), *options]
        self.err = open(f"{self.dir}/err", "w+")
        self.process = spawn_user(
            host.space, [program, *options], self.root, stdout=self.err,
            stderr=self.err, cwd=self.dir, pass_fds=(fd,) if theirs else (),
            preexec_fn=self.limit if "nofile" in line.settings else None)
        if theirs:
            theirs.close()

    def limit(self):
        n = int(self.line.settings["nofile"])
        resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))

    def connect(self):
        """Connects to the program. Returns the socket, or None if the program
        has ended."""
        if self.daemon and self.process.wait(10):
            return None
        if self.ours:
            return self.ours
        for path in self.paths():
            with contextlib.suppress(OSError):
                s = socket.socket(socket.AF_UNIX)
                s.connect(path)
                return s
        return None

    def paths(self):
        """Yields the paths at which it may listen, repeatedly, until it has
        ended or 10 s have passed."""
        names = self.path, f"{self.dir}/other", "/tmp/passt_1.socket"
        end = time.monotonic() + 10
        while time.monotonic() < end:
            ended = not self.daemon and self.process.poll() is not None
            yield from names
            if ended:
                return
            time.sleep(0.001)

    def result(self):
        """Asks as a guest, lists sockets. Returns the result, a dictionary."""
        sock = self.connect()
        if sock and "mute" in self.line.settings:
            result = self.host.bound()
            sock.close()
            return result
        if self.is_peer and self.ours:
            time.sleep(0.5)     # it loses frames that come before it is ready
        answer = Guest(sock, self.is_peer).ask() if sock else None
        if answer is None:
            status = self.process.wait(10)
            return {"exit": str(status), "says": self.said()}
        result = {**answer, **self.host.bound()}
        if self.quiet and self.said():
            result["says"] = self.said()
        return result

    def said(self):
        self.err.seek(0)
        lines = [line.removeprefix("passt: ").rstrip()
                 for line in self.err if line.strip()]
        text = " / ".join(lines).replace(self.dir, "$DIR")
        return text.replace(str(NOBODY), "NOBODY")

    def end_child(self, pid, sig):
        """Sends a signal to a child, and waits for its end, at most 3 s."""
        fd = os.pidfd_open(pid)
        if self.process.poll() is None or pid != self.process.pid:
            signal.pidfd_send_signal(fd, sig)
        if select.select([fd], [], [], 3)[0]:
            if pid == self.process.pid:
                self.process.wait()
            else:
                os.waitpid(pid, 0)
        os.close(fd)

    def end(self):
        """Ends the program. Returns the names of files that it leaves."""
        for sig in signal.SIGTERM, signal.SIGKILL:
            for pid in children():
                self.end_child(pid, sig)
        if self.ours:
            self.ours.close()
        self.err.close()
        left = sorted(set(os.listdir(self.dir)) - {"err"}) + [
            name for name in os.listdir("/tmp") if name.startswith("passt_")]
        shutil.rmtree(self.dir)
        for name in left:
            if name.startswith("passt_"):
                os.unlink(f"/tmp/{name}")
        return left


def try_line(program, line, host):
    start = Start(program, line, host)
    try:
        result = start.result()
    finally:
        left = start.end()
    if left:
        result["left"] = ",".join(left)
    return result


#
# Uses of the table.
#

def compare(results, ours):
    """Runs one check for each line: the result must be the expected one."""
    for line, usual in results:
        with check(f"{line.host}: {line.text or 'no option'}"[:120]):
            want = read_result(line.want)
            if "exit" not in want:
                want = {k: v for k, v in {**usual, **want}.items() if v}
            got = ours[line]
            if got != want:
                expect("result", write_result(got, usual),
                       write_result(want, usual))


def reasons(lines):
    """Fails unless doc/limits.md has the phrase after 'because' of each line
    with the mark '!'."""
    with open(LIMITS) as f:
        limits = " ".join(f.read().split())
    for line in lines:
        if line.mark == "!":
            with check(f"limits.md says why: {line.host}: {line.text}"[:120]):
                if not line.because or line.because not in limits:
                    raise AssertionError(f"no {line.because!r} there")


def show(results, ours):
    for line, usual in results:
        head = f"{line.mark} {line.text}" if line.text else f"[{line.host}]"
        result = write_result(ours[line], usual)
        print(f"{head} -> {result}" if result else head)
        if line.because:
            print(f"        because {line.because}")


def differ(ours, theirs):
    """Describes how two results differ; empty: they don't. Ignores messages and
    files that are left."""
    if "exit" in ours or "exit" in theirs:
        both = [f"ends with {r['exit']}: {r['says'][:200]}" if "exit" in r
                else "starts" for r in (ours, theirs)]
        same = "exit" in ours and "exit" in theirs and \
            (ours["exit"] == "0") == (theirs["exit"] == "0")
        return "" if same else f"ours {both[0]}; peer {both[1]}"
    return "; ".join(f"{k}: ours {ours.get(k, '-')}, peer {theirs.get(k, '-')}"
                     for k in dict.fromkeys([*ours, *theirs])
                     if k not in ("says", "left")
                     and (k, ours.get(k)) != ("ra", "fe80::1")
                     and ours.get(k) != theirs.get(k))


def report(results, ours, theirs):
    """Prints the lines whose results differ from the other program's, in groups
    by the mark in the table."""
    groups = collections.defaultdict(list)
    for line, _ in results:
        difference = differ(ours[line], theirs[line])
        groups[line.mark, bool(difference)].append((line, difference))
    for (mark, differs), found in sorted(groups.items()):
        print(f"\n{MARKS[mark]}, {'differs' if differs else 'no difference'}:"
              f" {len(found)} lines")
        if differs or mark != "=":
            for line, difference in found:
                print(f"  [{line.host}] {line.text}\n      {difference}")
    print(f"\nlines: {len(results)}; " + "; ".join(
        f"{name}: {sum(line.mark == m for line, _ in results)}"
        for m, name in MARKS.items()))


def run_all(program, lines):
    """Starts @program with each line. Returns the results by line."""
    host, results = None, {}
    for line in lines:
        if not host or host.name != line.host:
            if host:
                host.close()
            host = Host(line.host)
            host.name = line.host
        if "root" in line.settings and USERNS:
            continue
        results[line] = try_line(program, line, host)
    if host:
        host.close()
    return results


def story():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--table", default=TABLE)
    parser.add_argument("text", nargs="*")
    args = parser.parse_args()
    with open(args.table) as f:
        every = read_table(f.read())
    lines = [line for line in every if not args.text or
             not line.text or any(text in line.text for text in args.text)]

    private_files()
    ours = run_all(shutil.copy(PASST, OURS), lines)
    usual = {line.host: ours[line] for line in lines if not line.text}
    results = [(line, usual[line.host] if line.text and
                "mute" not in line.settings else {})
               for line in lines if line in ours]
    if args.peer:
        report(results, ours, run_all(args.peer, lines))
    elif args.show:
        show(results, ours)
    else:
        compare(results, ours)
        reasons(lines)


if __name__ == "__main__":
    main(story)
