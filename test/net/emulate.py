#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""emulate.py - Tests the emulated link: it must do what its options say.

    left                              right
    emu0 == loss, rate, delay == emu0
    192.0.2.1                         192.0.2.2

An error of this link would look like an error of passt in other tests.
"""

import contextlib
import hashlib
import os
import re
import socket
import struct
import subprocess
import time

from netlab import (B, Namespace, Server, TOP, check, echo_udp, end_children,
                    expect, expect_below, main, need, need_tun, receive,
                    tcp_each)

EMULATE = os.path.join(TOP, os.environ.get("EMULATE", f"{B}/emulate"))
LEFT, RIGHT = "192.0.2.1", "192.0.2.2"
DATA = hashlib.shake_256(b"a long way").digest(8 << 20)


class Pair:
    """Two namespaces with the link between them."""

    def __init__(self, **options):
        self.left, self.right = Namespace(), Namespace()
        args = [f"--{name.replace('_', '-')}={value}"
                for name, value in options.items()]
        for ns in self.left, self.right:    # so that only the test sends
            ns.sysctl(net__ipv6__conf__default__disable_ipv6=1)
        self.process = subprocess.Popen(
            [EMULATE, "--tap-a=emu0", "--tap-b=emu0",
             f"--netns-a=/proc/{os.getpid()}/fd/{self.left.fd}",
             f"--netns-b=/proc/{os.getpid()}/fd/{self.right.fd}", *args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        expect("first line", self.process.stdout.readline(), b"ready\n")
        for ns, here, mac, there, its in (
                (self.left, LEFT, 1, RIGHT, 2),
                (self.right, RIGHT, 2, LEFT, 1)):
            ns.ip(f"link set emu0 address 02:00:00:00:00:0{mac}",
                  f"addr add {here}/24 dev emu0",
                  f"neigh add {there} lladdr 02:00:00:00:00:0{its} dev emu0")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_children()
        self.left.close()
        self.right.close()

    def counts(self):
        """Ends the link. Returns its counts: a dictionary per direction."""
        self.process.terminate()
        err = self.process.communicate()[1].decode()
        return [dict((name, int(n)) for n, name in
                     re.findall(r"(\d+) (\w+)", line))
                for line in err.splitlines()]


def arrivals(pair, count, size=100, burst=50):
    """Sends numbered datagrams from left to right. Returns the numbers that
    arrive, in their order."""
    got = []
    with pair.right.bind(RIGHT, 0, socket.SOCK_DGRAM) as sink, \
            pair.left.connect(RIGHT, sink.getsockname()[1],
                              kind=socket.SOCK_DGRAM) as s:
        sink.settimeout(0.2)
        for first in range(0, count, burst):
            for n in range(first, min(first + burst, count)):
                s.send(struct.pack("!I", n).ljust(size))
            with contextlib.suppress(TimeoutError):
                while not got or len(got) < first + burst:
                    got.append(struct.unpack("!I", sink.recv(size)[:4])[0])
    return got


def delays():
    """Given a delay of 5 ms each way, then an echo takes just above 10 ms."""
    with check("delay"), Pair(delay_us=5000) as pair, \
            Server(pair.right.bind(RIGHT, 0, socket.SOCK_DGRAM),
                   echo_udp) as server, \
            pair.left.connect(RIGHT, server.port,
                              kind=socket.SOCK_DGRAM) as s:
        took = []
        for _ in range(20):
            start = time.monotonic()
            s.send(b"x")
            s.recv(1)
            took.append((time.monotonic() - start) * 1e3)
        expect_below("10 ms", 10, min(took))
        expect_below("least round trip, ms", min(took), 13)


def losses():
    """Given a loss of 10 %, then about 10 % are lost, and the same ones if the
    seed is the same."""
    runs = []
    for seed in 1, 1, 2:
        with check(f"loss, seed {seed}"), \
                Pair(loss_ppm=100000, seed=seed) as pair:
            runs.append(arrivals(pair, 500))
            expect_below("400 datagrams", 400, len(runs[-1]))
            expect_below("datagrams", len(runs[-1]), 500)
            expect("lost", pair.counts()[0]["lost"], 500 - len(runs[-1]))
    with check("the same seed, the same losses"):
        expect("second run", runs[1], runs[0])
        if runs[2] == runs[0]:
            raise AssertionError("another seed gave the same")


def disorder():
    """Given a delay of some packets, then none is lost, and some are
    reordered."""
    with check("order"), Pair(reorder_ppm=100000, reorder_us=2000) as pair:
        got = arrivals(pair, 500)
        expect("datagrams", sorted(got), list(range(500)))
        if got == sorted(got):
            raise AssertionError("none was overtaken")


def paces():
    """Given 8 Mbit/s and a queue of 20 kB, when 100 kB are sent at once, then
    20 kB or a little more arrive, in 20 ms, and the others are dropped."""
    with check("rate, and a queue that is full"), \
            Pair(rate_bps=8000000, queue_bytes=20000) as pair:
        start = time.monotonic()
        got = arrivals(pair, 100, size=958, burst=100)
        took = time.monotonic() - start - 0.2
        expect("the first", got[:20], list(range(20)))
        expect_below("datagrams", len(got), 60)
        expect_below("18 ms", 0.018, took)
        expect("overflowed", pair.counts()[0]["overflowed"], 100 - len(got))


def carries():
    """Given loss and reordering, then TCP still transfers data unchanged."""
    @tcp_each
    def give(conn):
        conn.sendall(DATA)

    with check("TCP through loss and disorder"), \
            Pair(loss_ppm=1000, reorder_ppm=1000, delay_us=500) as pair, \
            Server(pair.right.bind(RIGHT), give) as server, \
            pair.left.connect(RIGHT, server.port, 60) as s:
        if receive(s, len(DATA)) != DATA:
            raise AssertionError("data differ")


def story():
    need(EMULATE)
    need_tun()
    delays()
    losses()
    disorder()
    paces()
    carries()


main(story)
