#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""routers.py - Tests tools that look for routers on the path, in the guest.

    guest ==== passt (host) ---- outside ---- second ---- third ---- far
                                 (first)             |           (server)
                                              MTU 1400

The MTU between the second and the third router is 1400. For some destinations
the third router answers that they are prohibited or unreachable. Each tool must
print in the guest what it prints on the host, except for times, and must see
all three routers.
"""

import contextlib
import os
import re
import socket
import struct
import sys

from netlab import (HOST4, HOST6, Lab, NEIGHBOUR6, Namespace, ROUTER4, check,
                    expect, main, wait_for)

MTU = 1400
FIRST, SECOND, THIRD = ((ROUTER4, NEIGHBOUR6),
                        ("100.64.12.2", "2001:db8:12::2"),
                        ("100.64.23.3", "2001:db8:23::3"))
FAR = "198.51.100.4", "2001:db8:4::4"
PROHIBITED = "203.0.115.1", "2001:db8:ad::1"
NOWHERE = "203.0.116.1", "2001:db8:fa::1"
FAMILIES = (("4", 0), ("6", 1))
ECHO = 8, 128
IP_RECVERR, IPV6_RECVERR = 11, 25       # linux/in.h, linux/in6.h
IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_DO = 10, 0, 2
TOS = 0xb9              # expedited forwarding, and ECT(1) of ECN


def link(a, b, name, net4, net6, left, right, mtu=1500):
    """Connects two namespaces by a veth pair; @a gets addresses that end in
    @left, @b those that end in @right."""
    a.run("ip", "link", "add", name, "mtu", str(mtu), "type", "veth", "peer",
          "name", name, "mtu", str(mtu), "netns",
          f"/proc/{os.getpid()}/fd/{b.fd}")
    for ns, n in (a, left), (b, right):
        ns.ip(f"addr add {net4}.{n}/24 dev {name}",
              f"addr add {net6}::{n}/64 dev {name} nodad",
              f"link set {name} up")


class Chain:
    """The second and third router, and the server behind them."""

    def __init__(self, lab):
        first = lab.outside
        self.all = second, third, far = [Namespace() for _ in range(3)]
        self.third, self.far = third, far
        for ns in self.all:
            ns.sysctl(net__ipv4__ip_forward=1,
                      net__ipv6__conf__all__forwarding=1,
                      net__ipv4__icmp_ratemask=0,
                      net__ipv6__icmp__ratelimit=0)
        link(first, second, "e12", "100.64.12", "2001:db8:12", 1, 2)
        link(second, third, "e23", "100.64.23", "2001:db8:23", 2, 3, MTU)
        link(third, far, "e34", "100.64.34", "2001:db8:34", 3, 4)
        for ns, via in (first, "12::2"), (second, "23::3"), (third, "34::4"):
            self.routes(ns, FAR, via)
        for dst in PROHIBITED, NOWHERE:
            self.routes(first, dst, "12::2")
            self.routes(second, dst, "23::3")
        for ns, via in (second, "12::1"), (third, "23::2"), (far, "34::3"):
            self.routes(ns, ("default", "default"), via)
        for kind, dst in ("prohibit", PROHIBITED), ("unreachable", NOWHERE):
            third.ip(*(f"route add {kind} {a}" for a in dst))
        far.ip(*(f"addr add {a} dev lo" for a in FAR))
        wait_for("way from host to the far end", lambda: all(
            " 0% packet loss" in lab.host.run("ping", "-c1", "-W1", a,
                                              status=None) for a in FAR))

    @staticmethod
    def routes(ns, dst, via):
        """Adds routes of both families to @dst.

        @via: "NET::HOST" for 100.64.NET.HOST and 2001:db8:NET::HOST
        """
        net, host = via.split("::")
        ns.ip(f"route add {dst[0]} via 100.64.{net}.{host}",
              f"-6 route add {dst[1]} via 2001:db8:{net}::{host}")

    def close(self):
        for ns in self.all:
            ns.close()


def forget(*namespaces):
    """Makes the kernels forget the path MTUs that they have learned."""
    for ns in namespaces:
        ns.ip("route flush cache", "-6 route flush cache")


def plain(text):
    """A tool's output, without times and other values that vary."""
    text = re.sub(r"[<~]?[0-9.]+ ?ms", "ms", text)
    text = re.sub(r"Start: .*", "", text)
    text = re.sub(r"rtt .*", "", text)
    return "\n".join(" ".join(line.split()) for line in text.splitlines()
                     if line.strip())


def same(lab, *cmd, see=()):
    """Fails unless a tool prints the same in the guest as on the host, and
    prints all of @see."""
    said = []
    for ns in lab.host, lab.guest:
        forget(lab.host, lab.guest)
        said.append(plain(ns.run(*cmd, status=None, timeout=60)))
    host, guest = said
    for what in see:
        if what not in host:
            raise AssertionError(f"the host does not see {what}: {host}")
    expect("what the guest sees", guest, host)


def hops(n):
    return [router[n] for router in (FIRST, SECOND, THIRD)] + [FAR[n]]


def traces(lab):
    """Given three routers, then each tool shows all of them."""
    for family, n in FAMILIES:
        for name, options in ("icmp", ["-I"]), ("udp", []):
            with check(f"traceroute{family} by {name}"):
                same(lab, "traceroute", f"-{family}", "-n", "-w", "2",
                     *options, FAR[n], see=hops(n))
        with check(f"tracepath{family}"):
            same(lab, "tracepath", f"-{family}", "-n", "-m", "8", FAR[n],
                 see=[*hops(n), f"pmtu {MTU}"])
        for name, options in ("icmp", []), ("udp", ["-u"]):
            with check(f"mtr{family} by {name}"):
                mtr(lab, family, FAR[n], options, hops(n))


def mtr(lab, family, addr, options, see):
    """Fails unless mtr sees these routers, without loss, on host and guest."""
    def table(ns):
        out = ns.run("mtr", f"-{family}", "-n", "-r", "-C", "-c", "3", "-i",
                     "0.2", "-G", "1", *options, addr)
        rows = [line.split(",") for line in out.splitlines()[1:]]
        return [(int(row[4]), row[5], float(row[6])) for row in rows]

    want = [(i + 1, hop, 0.0) for i, hop in enumerate(see)]
    expect("what the host sees", table(lab.host), want)
    expect("what the guest sees", table(lab.guest), want)


def pings(lab):
    """Given an ICMP error of a router, then the guest's ping shows it."""
    for family, n in FAMILIES:
        def ping(*args, see=(), count=2):
            same(lab, "ping", f"-{family}", "-n", "-c", str(count), "-i",
                 "0.3", "-W", "1", *args, see=see)

        for i, router in enumerate((FIRST, SECOND, THIRD)):
            with check(f"ping{family} with a TTL of {i + 1}"):
                ping("-t", str(i + 1), FAR[n], see=[router[n], "exceeded"])
        with check(f"ping{family} with a TTL that is enough"):
            ping("-t", "4", FAR[n], see=["2 received", "ttl=61"])
        # One ping only: a Linux router limits these errors to a burst of five,
        # and then one per second.
        with check(f"ping{family} to what is prohibited"):
            ping(PROHIBITED[n], count=1, see=[
                THIRD[n], "filtered" if n == 0 else "prohibited"])
        with check(f"ping{family} to what can't be reached"):
            ping(NOWHERE[n], count=1, see=[
                THIRD[n], "nreachable" if n == 0 else "No route"])
        with check(f"ping{family} too long for the path"):
            ping("-M", "do", "-s", "1440", FAR[n],
                 see=[SECOND[n], str(MTU), "100% packet loss"])
        with check(f"ping{family} just as long as the path takes"):
            ping("-M", "do", "-s", str(MTU - (48 if n else 28)), FAR[n],
                 see=["2 received"])
    with check("ping4 that may be fragmented on the way"):
        same(lab, "ping", "-n", "-c", "2", "-i", "0.3", "-W", "1", "-M",
             "dont", "-s", "1440", FAR[0], see=["2 received"])


def connects(lab):
    """Given a router that prohibits a destination, when the guest connects to
    it, then it gets the ICMP error from that router's address. (With IPv6, the
    error comes from passt's own address, which is not checked.)"""
    for family, n in FAMILIES:
        with check(f"tcp{family} to what is prohibited"), lab.guest:
            with socket.socket(socket.AF_INET6 if n else
                               socket.AF_INET) as s:
                s.setsockopt(*((socket.IPPROTO_IPV6, IPV6_RECVERR) if n else
                               (socket.IPPROTO_IP, IP_RECVERR)), 1)
                s.settimeout(5)
                with contextlib.suppress(OSError):
                    s.connect((PROHIBITED[n], 80))
                _, control, _, _ = s.recvmsg(2000, 500, socket.MSG_ERRQUEUE)
            # struct sock_extended_err, then the sender's socket address.
            error = control[0][2]
            expect("type, code", tuple(error[5:7]), ((3, 13), (1, 1))[n])
            if n == 0:
                expect("sender", socket.inet_ntoa(error[20:24]), THIRD[0])


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def raw(ns, n):
    """A raw socket for ICMP that reports TTL and TOS of received packets."""
    with ns:
        if n == 0:
            s = socket.socket(socket.AF_INET, socket.SOCK_RAW,
                              socket.IPPROTO_ICMP)
        else:
            s = socket.socket(socket.AF_INET6, socket.SOCK_RAW,
                              socket.IPPROTO_ICMPV6)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
    s.settimeout(5)
    return s


def receive(s, n, kind, ident):
    """Waits for an echo message of type @kind. Returns its TTL, TOS and DF;
    with IPv6, DF is always true."""
    while True:
        data, control, _, _ = s.recvmsg(4096, 512)
        if n == 0:
            tos, ttl, df = data[1], data[8], bool(data[6] & 0x40)
            data = data[20:]
        else:
            fields = {c[1]: struct.unpack("i", c[2])[0] for c in control}
            ttl = fields[socket.IPV6_HOPLIMIT]
            tos, df = fields[socket.IPV6_TCLASS], True
        if data[0] == kind and (ident is None or data[4:6] == ident):
            return ttl, tos, df


def header(lab, chain, n, ttl, tos, df):
    """Sends an echo request of the guest with this TTL, TOS and DF. Returns
    these three of the request as it arrives, and of the reply."""
    ident = b"pt"
    echo = struct.pack("!BBH2sH", ECHO[n], 0, 0, ident, 1) + b"payload."
    echo = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
    with contextlib.closing(raw(lab.guest, n)) as guest, \
            contextlib.closing(raw(chain.far, n)) as far:
        if n == 0:
            guest.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            guest.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
            guest.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER,
                             IP_PMTUDISC_DO if df else IP_PMTUDISC_DONT)
        else:
            guest.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS,
                             ttl)
            guest.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)
        guest.sendto(echo, (FAR[n], 0))
        there = receive(far, n, ECHO[n], None)
        back = receive(guest, n, ECHO[n] + 1 if n else 0, ident)
    return there, back


def headers(lab, chain):
    """Given TTL, TOS and DF of an echo request, then the server gets the same,
    with TTL less by the three routers."""
    for family, n in FAMILIES:
        for ttl, tos, df in (64, 0, True), (9, TOS, True), (255, 0x20, False):
            if n and not df:
                continue
            with check(f"echo{family} with TTL {ttl}, TOS {tos}, DF {df}"):
                there, back = header(lab, chain, n, ttl, tos, df)
                expect("TTL, TOS, DF there", there, (ttl - 3, tos, df))
                expect("TTL and TOS of the reply", back[:2], (61, tos))


def large(lab):
    """Given a guest with a large MTU, when it pings with packets that are too
    long for the host's interface, then passt sends the first one in fragments,
    so that it is answered, and tells the guest the interface's MTU. Later
    pings, which the guest fragments, are answered, too."""
    for family, n in FAMILIES:
        def ping(ns, *args):
            return ns.run("ping", f"-{family}", "-n", "-c", "3", "-i", "0.3",
                          "-W", "1", "-s", "5000", *args, FAR[n], status=None)

        # First let both ends learn the path MTU: IPv6 routers don't fragment.
        ping(lab.host)
        with check(f"ping{family} too long for the host's interface"):
            out = ping(lab.guest, "-M", "do")
            expect("replies", re.search(r"(\d+) received", out)[1], "1")
            expect("MTUs", re.findall(r"mtu ?= ?(\d+)", out), ["1500"])
        with check(f"ping{family} in fragments"):
            expect("no reply", " 0 received" in ping(lab.guest), False)


def story():
    with Lab() as lab, contextlib.closing(Chain(lab)) as chain:
        passt = lab.passt("-m", "1500")
        guest = lab.attach(mtu=1500)
        pings(lab)
        headers(lab, chain)
        connects(lab)
        traces(lab)
        guest.kill()
        passt.kill()
        lab.passt()
        lab.attach()
        large(lab)


main(story)
