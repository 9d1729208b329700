#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""dnsforward.py - The address of --dns-forward leads to several resolvers. The
guest gets an answer as long as one of them answers, by UDP and TCP.

    guest ==== passt (host) ---- resolvers (outside), or on the host itself
"""

import contextlib
import os
import socket
import struct
import time

import ownroot
from netlab import (FAMILIES, Lab, NEIGHBOUR6, SERVER4,
                    SERVER6, Server, check, expect, main, rests, wait_for)

VIA = "192.0.2.53", "2001:db8:1::53"            # of --dns-forward
SILENT = "203.0.113.1", "2001:db8:dead::1"      # no answer at all
UNREACHABLE = "203.0.114.1", "2001:db8:bad::1"  # a router says so
CLOSED = "198.51.100.2", NEIGHBOUR6             # a machine without resolver
GOOD = SERVER4, SERVER6
NEAR6 = "fe80::53"                              # link-local
LOOPBACK = "127.0.0.53", "::1"
FORWARD = "--dns-forward", VIA[0], "--dns-forward", VIA[1]
RESOLV = "/etc/resolv.conf"
WAIT = 2.0      # s: passt waits for an answer
SOON = 0.9      # s: an answer without this wait
SYN = 1.5       # s: the host's kernel may notice an error at its next SYN
LATE = 3.5      # s: the kernel gives up a connection, at most


def write(*resolvers):
    with open(RESOLV, "w") as file:
        file.writelines(f"nameserver {r}\n" for r in resolvers)


def question(number):
    """A query for the A record of example.test (RFC 1035 4.1)."""
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + \
        b"\x07example\x04test\x00" + struct.pack("!2H", 1, 1)


def answer(query, mark=0):
    """An answer to it: the address 192.0.2.@mark."""
    end = query.index(b"\x00", 12) + 5         # of the question
    return query[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0) + \
        query[12:end] + b"\xc0\x0c" + struct.pack("!2HIH", 1, 1, 60, 4) + \
        bytes([192, 0, 2, mark])


class Resolver:
    """A resolver: it notes who asks by UDP, and answers unless @deaf."""

    def __init__(self, ns, addr, mark, delay=0.0):
        self.mark, self.delay = mark, delay
        self.asked, self.deaf = [], set()
        self.udp = Server(ns.bind(addr, 53, socket.SOCK_DGRAM), self.datagram)
        self.tcp = Server(ns.bind(addr, 53), self.connection)

    def datagram(self, sock):
        query, peer = sock.recvfrom(4096)
        self.asked.append((query, peer))
        if query[:2] not in self.deaf:
            time.sleep(self.delay)
            sock.sendto(answer(query, self.mark), peer)

    def connection(self, sock):
        conn, _ = sock.accept()
        with conn:
            conn.settimeout(5)
            query = conn.recv(4096)[2:]
            reply = answer(query, self.mark)
            conn.sendall(struct.pack("!H", len(reply)) + reply)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.udp.__exit__()
        self.tcp.__exit__()


class Asker:
    """A socket of the guest that sends queries."""

    def __init__(self, lab, i):
        self.sock = lab.guest.connect(VIA[i], 53, 12, socket.SOCK_DGRAM)
        self.number = int.from_bytes(os.urandom(2), "big")

    def ask(self):
        """Sends a query. Returns it."""
        self.number = (self.number + 1) % 65536
        query = question(self.number)
        self.sock.send(query)
        return query

    def hears(self, query):
        """The mark in the answer to a query."""
        got = self.sock.recv(4096)
        expect("answer", got[:-1], answer(query)[:-1])
        return got[-1]

    def __call__(self):
        """Asks. Returns the answer's mark, and how long it took."""
        began = time.monotonic()
        return self.hears(self.ask()), time.monotonic() - began

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


def expect_time(what, took, least, most):
    if not least <= took <= most:
        raise AssertionError(f"{what} took {took:.2f} s, "
                             f"not {least:g} to {most:g} s")


def given(lab, *resolvers):
    """Makes these the host's resolvers, and waits until passt uses them."""
    seen = len(lab.messages())
    write(*resolvers)
    shown = ", ".join(r.partition("%")[0] for r in resolvers)
    wait_for("new resolvers", lambda: f"-> {shown}\n" in
             lab.messages()[seen:], 2)


def fails_over(lab, i, name):
    """Given a first resolver that fails, then the second one is asked, and is
    the first to be asked from then on."""
    cases = (("is silent", SILENT, WAIT - 0.1, LATE),
             ("can't be reached", UNREACHABLE, 0, SOON),
             ("has closed its port", CLOSED, 0, SOON))
    for what, first, least, most in cases:
        with check(f"{name}: the first resolver {what}"), \
                Resolver(lab.outside, GOOD[i], 7) as good, \
                Asker(lab, i) as asker:
            given(lab, first[i], GOOD[i])
            mark, took = asker()
            expect("mark", mark, 7)
            expect_time("the first answer", took, least, most)
            mark, took = asker()
            expect_time("the second", took, 0, SOON)
            with Asker(lab, i) as other:
                expect_time("one for another socket", other()[1], 0, SOON)
            expect("queries", len(good.asked), 3)


def all_fail(lab, i, name):
    """Given resolvers that all fail, then the guest gets the ICMP error; when
    one of them comes up, it gets an answer."""
    with check(f"{name}: all resolvers have closed their ports"), \
            Asker(lab, i) as asker:
        given(lab, GOOD[i], CLOSED[i])
        asker.ask()
        try:
            got = asker.sock.recv(100)
        except ConnectionRefusedError:
            got = "refused"
        expect("answer", got, "refused")
        with Resolver(lab.outside, GOOD[i], 3):
            expect("mark", asker()[0], 3)


def slow(lab, i, name):
    """Given a resolver that is slow, then it stays the one that is asked."""
    with check(f"{name}: an answer after a second"), \
            Resolver(lab.outside, CLOSED[i], 1, 1.0), \
            Resolver(lab.outside, GOOD[i], 2), Asker(lab, i) as asker:
        given(lab, CLOSED[i], GOOD[i])
        for _ in range(2):
            mark, took = asker()
            expect("mark", mark, 1)
            expect_time("the answer", took, 1, 1 + SOON)


def deaf_once(lab, i, name):
    """Given a resolver that answers all queries but one, then that query goes
    to the next one, and all others go on to the first."""
    with check(f"{name}: one query that is not answered"), \
            Resolver(lab.outside, CLOSED[i], 1) as first, \
            Resolver(lab.outside, GOOD[i], 2) as second, \
            Asker(lab, i) as asker, Asker(lab, i) as other:
        given(lab, CLOSED[i], GOOD[i], SILENT[i])
        asker.number = 0x1233
        first.deaf.add(b"\x12\x34")
        query = asker.ask()
        began = time.monotonic()
        while time.monotonic() - began < WAIT - 0.5:
            expect("mark", other()[0], 1)
            time.sleep(0.2)
        expect("mark", asker.hears(query), 2)
        expect_time("it", time.monotonic() - began, WAIT - 0.1, LATE)
        expect("mark for the other", other()[0], 1)
        expect("queries to the second", len(second.asked), 1)


def forged(lab, i, name):
    """Given answers from another port, or another machine, then the guest does
    not get them. The source port of a query is not the guest's."""
    with check(f"{name}: only the resolver is believed"), \
            Resolver(lab.outside, GOOD[i], 9, 0.3) as good, \
            Asker(lab, i) as asker, \
            lab.outside.bind(GOOD[i], 0, socket.SOCK_DGRAM) as port, \
            lab.outside.bind(CLOSED[i], 53, socket.SOCK_DGRAM) as machine:
        given(lab, GOOD[i], SILENT[i])
        query = asker.ask()
        peer = wait_for("query", lambda: good.asked)[0][1]
        expect("guest's port", peer[1] == asker.sock.getsockname()[1], False)
        for liar in port, machine:
            liar.sendto(answer(query, 66), peer)
        expect("mark", asker.hears(query), 9)


def by_tcp(lab, i, name):
    """Given a first resolver that fails, then a connection goes to the
    second."""
    cases = (("is silent", SILENT, 1, LATE + 1),
             ("can't be reached", UNREACHABLE, 0, SYN),
             ("refuses", CLOSED, 0, SYN))
    for what, first, least, most in cases:
        with check(f"{name}: by TCP, the first resolver {what}"), \
                Resolver(lab.outside, GOOD[i], 5):
            given(lab, first[i], GOOD[i])
            began = time.monotonic()
            with lab.guest.connect(VIA[i], 53, 10) as conn:
                expect_time("the connection", time.monotonic() - began, least,
                            most)
                query = question(77)
                conn.sendall(struct.pack("!H", len(query)) + query)
                expect("mark", conn.recv(4096)[-1], 5)
    with check(f"{name}: by TCP, all resolvers refuse"):
        given(lab, GOOD[i], CLOSED[i])
        try:
            lab.guest.connect(VIA[i], 53, 10).close()
            raise AssertionError("the connection was accepted")
        except ConnectionRefusedError:
            pass


def changes(lab, i, name):
    """When the host's resolvers change, then the same socket of the guest is
    answered by the new one."""
    with check(f"{name}: resolv.conf changes"), \
            Resolver(lab.outside, GOOD[i], 1), \
            Resolver(lab.outside, CLOSED[i], 2), Asker(lab, i) as asker:
        given(lab, GOOD[i])
        expect("mark", asker()[0], 1)
        write(CLOSED[i])
        wait_for("answer of the new one", lambda: asker()[0] == 2, 1)


def link_local(lab):
    """Given a link-local resolver with its interface, then it is asked."""
    with check("a link-local resolver"), Resolver(lab.outside, "::", 6), \
            Asker(lab, 1) as asker:
        given(lab, f"{NEAR6}%eth0")
        expect("mark", asker()[0], 6)


def on_host(lab):
    """Given --dns-host, also for resolvers on the host itself, then these are
    asked."""
    write(GOOD[0])
    options = [word for addr in (SILENT[0], *LOOPBACK)
               for word in ("--dns-host", addr)]
    passt = lab.passt(*FORWARD, *options)
    lab.attach()
    for i, (digit, _) in enumerate(FAMILIES):
        with check(f"IPv{digit}: a resolver on the host's loopback"), \
                Resolver(lab.host, LOOPBACK[i], 4), Asker(lab, i) as asker:
            expect("mark", asker()[0], 4)
    with check("dig, with one try, while the first resolver is silent"), \
            Resolver(lab.host, LOOPBACK[0], 8):
        passt.kill()
        passt = lab.passt(*FORWARD, *options)
        lab.attach()
        out = lab.guest.run("dig", f"@{VIA[0]}", "example.test", "+short",
                            "+tries=1", "+time=5")
        expect("address", out.strip(), "192.0.2.8")
    return passt


def story():
    ownroot.enter()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(RESOLV)
    write(*GOOD)
    with Lab() as lab:
        lab.outside.ip(f"addr add {CLOSED[0]}/32 dev lo",
                       f"addr add {NEAR6}/64 dev eth0 nodad")
        passt = lab.passt(*FORWARD)
        guest = lab.attach()
        for i, (digit, _) in enumerate(FAMILIES):
            for part in (fails_over, all_fail, slow, deaf_once, forged, by_tcp,
                         changes):
                part(lab, i, f"IPv{digit}")
        link_local(lab)
        with check("after all, passt rests"):
            rests(passt)
        guest.kill()
        passt.kill()
        on_host(lab)


if __name__ == "__main__":
    main(story)
