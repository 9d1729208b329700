#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""hosts.py - Tests hosts with unusual addresses, routes and resolvers.

    guest ==== passt (host) ---- eth0 ---- outside
                            ---- eth1 ---- other

One host has its global addresses on lo, and only link-local ones on eth0.
Another has no default route, only routes of its two links. A third has
a resolver with a link-local address on eth1, while a different machine on eth0
has the same address.
"""

import contextlib
import json
import os
import socket
import struct
import tempfile

from netlab import (CLONE_NEWNS, HOST4, HOST6, Lab, MS_BIND, MS_PRIVATE,
                    MS_REC, Namespace, ROUTER4, ROUTER6, SERVER6, Server, call,
                    check, echo_tcp, echoes, expect, main, wait_for)

RESOLVER6 = "fe80::53"
RESOLV_CONF = os.path.realpath("/etc/resolv.conf")


def own_resolv(text):
    """Replaces resolv.conf, only for this program and those that it starts."""
    call("unshare", CLONE_NEWNS)
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    with tempfile.NamedTemporaryFile("w", prefix="resolv.") as f:
        f.write(text)
        f.flush()
        os.chmod(f.name, 0o644)
        call("mount", f.name.encode(), RESOLV_CONF.encode(), None, MS_BIND,
             None)


@contextlib.contextmanager
def running(lab, *options, **kw):
    """Runs passt with a guest during a block."""
    passt = lab.passt(*options)
    guest = lab.attach(**kw)
    yield
    guest.kill()
    passt.kill()


def second_link(lab):
    """Adds eth1 to the host. Returns the namespace at its other end."""
    other = Namespace()
    lab.host.run("ip", "link", "add", "eth1", "type", "veth", "peer", "name",
                 "eth1", "netns", f"/proc/{os.getpid()}/fd/{other.fd}")
    for ns in lab.host, other:
        ns.ip("link set eth1 up")
    return other


def serves6(lab):
    """Fails unless the guest reaches a server outside by IPv6."""
    with Server(lab.outside.bind(SERVER6), echo_tcp) as server, \
            lab.guest.connect(SERVER6, server.port) as s:
        echoes(s)


def routed(lab):
    """Given addresses on lo and a default route by eth0, then the guest gets
    those addresses, and IPv4 and IPv6 work."""
    lab.host.ip(f"addr del {HOST4}/24 dev eth0", f"addr del {HOST6}/64 dev eth0",
                f"addr add {HOST4}/32 dev lo", f"addr add {HOST6}/128 dev lo",
                f"route add {ROUTER4}/32 dev eth0",
                f"route add default via {ROUTER4} dev eth0",
                f"-6 route replace default via {ROUTER6} dev eth0")
    link = json.loads(lab.host.run("ip", "-j", "-6", "addr", "show", "dev",
                                   "eth0", "scope", "link"))
    ll = link[0]["addr_info"][0]["local"]
    lab.outside.ip(f"-6 route add {HOST6}/128 via {ll} dev eth0",
                   f"route replace {HOST4}/32 dev eth0")
    lab.host.sysctl(net__ipv4__conf__all__arp_ignore=0)
    for source in "", HOST6:
        lab.host.ip(f"-6 route replace default via {ROUTER6} dev eth0"
                    + (f" src {source}" if source else ""))
        name = "the preferred source" if source else "an address of lo"
        with running(lab, configure=False):
            with check(f"DHCP gives {name}"):
                expect("address", lab.dhcp()["ip"], HOST4)
            with check(f"IPv6: a router, and {name} works"):
                wait_for("router", lambda: lab.guest.run(
                    "ip", "-6", "route", "show", "default"))
                lab.guest.ip(f"addr add {HOST6}/128 dev tap0 nodad")
                serves6(lab)


def links(lab):
    """Given two links and no default route, then the guest gets an IPv6 prefix
    of one of the links, and a router."""
    second_link(lab)
    lab.host.ip("addr add 198.18.5.1/24 dev eth1",
                "addr add 2001:db8:5::1/64 dev eth1 nodad",
                "route del default", "-6 route del default",
                "-6 route add 2001:db8:2::/64 via 2001:db8:1::1")
    with running(lab, configure=False):
        with check("without a default route, SLAAC has a prefix and a router"):
            expect("prefix", lab.slaac().startswith("2001:db8:"), True)
            wait_for("router", lambda: lab.guest.run(
                "ip", "-6", "route", "show", "default"))
            serves6(lab)


def question(ident):
    """A DNS query for example.org, type A."""
    return struct.pack("!HHHHHH", ident, 0x100, 1, 0, 0, 0) + \
        b"\7example\3org\0" + struct.pack("!HH", 1, 1)


def answers_with(tag):
    """Handlers for UDP and TCP of a resolver that answers with the query and
    @tag, so that a test sees which resolver has answered."""
    def udp(sock):
        data, peer = sock.recvfrom(2000)
        sock.sendto(data + tag, peer)

    def tcp(sock):
        conn, _ = sock.accept()
        with conn:
            conn.sendall(conn.recv(2000) + tag)
    return udp, tcp


@contextlib.contextmanager
def resolver(ns, dev, tag):
    """Runs a resolver at RESOLVER6, on an interface of a namespace."""
    ns.ip(f"addr add {RESOLVER6}/64 dev {dev} nodad")
    with contextlib.ExitStack() as stack:
        for kind, answer in zip((socket.SOCK_DGRAM, socket.SOCK_STREAM),
                                answers_with(tag)):
            with ns:
                s = socket.socket(socket.AF_INET6, kind)
                s.settimeout(10)
                s.bind((RESOLVER6, 53, 0, socket.if_nametoindex(dev)))
                if kind == socket.SOCK_STREAM:
                    s.listen()
            stack.enter_context(Server(s, answer))
        yield


def answer_of(s):
    """Sends a query until it is answered. Returns the answer. It may need to
    repeat the query, as the host's address may still be tentative."""
    s.settimeout(2)
    for _ in range(4):
        s.send(question(7))
        with contextlib.suppress(TimeoutError):
            return s.recv(2000)
    raise TimeoutError("no answer to four questions")


def asks(lab, addr):
    """Asks a resolver by UDP and TCP. Returns the tags of the two answers."""
    out = []
    dev = "%tap0" if addr.startswith("fe80") else ""
    for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
        with lab.guest.connect(addr + dev, 53, kind=kind) as s:
            out.append(answer_of(s)[len(question(7)):])
    return out


def scoped(lab):
    """Given a resolver on eth1, then passt asks it, and not the machine on eth0
    that has the same address."""
    other = second_link(lab)
    with resolver(lab.outside, "eth0", b"wrong"), \
            resolver(other, "eth1", b"right"):
        for options, addr in (
                ([], RESOLVER6),
                (["--dns-forward", "2001:db8:1::8"], "2001:db8:1::8"),
                (["--outbound-if6", "eth0"], RESOLVER6)):
            name = " ".join(["a resolver on eth1 is asked there", *options])
            with running(lab, *options), check(name):
                expect("answers", asks(lab, addr), [b"right"] * 2)


def story():
    own_resolv(f"nameserver {RESOLVER6}%eth1\n")
    for part in routed, links, scoped:
        with check(f"{part.__name__} ran to its end"), Lab() as lab:
            part(lab)


if __name__ == "__main__":
    main(story)
