#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""standin.py - Tests the stand-in guest: connects two of them to each other.

    guest                                 other
   tap0 == stand-in == (bytes) == stand-in == tap0
   192.0.2.1                             192.0.2.2

An error of the stand-in would look like an error of passt in other tests.
"""

import contextlib
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import threading

from netlab import (Namespace, STANDIN, Server, check, end_children, expect,
                    expect_below, main, need, need_tun, receive, tcp_each,
                    wait_for)

DATA = hashlib.shake_256(b"back to back").digest(16 << 20)
UDP_SEGMENT = 103           # linux/udp.h
A4, A6, B4, B6 = "192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2"


def pump(source, sink):
    """Copies bytes from one socket to the other until it ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 18):
            sink.sendall(data)


class Pair:
    """Two namespaces with a stand-in in each; threads join their sockets."""

    def __init__(self, path, mtu, left=(), right=()):
        self.path = path
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        self.a, self.b = Namespace(), Namespace()
        self.processes, ends = [], []
        for ns, options, mac in ((self.a, left, 1), (self.b, right, 2)):
            self.processes.append(ns.spawn(
                STANDIN, "--socket", path, "--tap", "tap0", "--mtu", str(mtu),
                "--mac", f"02:00:00:00:00:0{mac}", *options,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE))
            ends.append(listener.accept()[0])
            expect("first line", self.processes[-1].stdout.readline(),
                   b"ready\n")
        for x, y in (ends, ends[::-1]):
            threading.Thread(target=pump, args=(x, y), daemon=True).start()
        for ns, a4, a6 in ((self.a, A4, A6), (self.b, B4, B6)):
            ns.ip(f"addr add {a4}/24 dev tap0",
                  f"addr add {a6}/64 dev tap0 nodad")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_children()
        os.unlink(self.path)
        self.a.close()
        self.b.close()

    def counts(self, which):
        """Counters that a stand-in prints on SIGUSR1: {direction: numbers}."""
        p = self.processes[which]
        p.send_signal(signal.SIGUSR1)
        return {line.split(":")[0]: [int(n) for n in re.findall(r"\d+", line)]
                for line in (p.stderr.readline().decode() for _ in range(2))}


@tcp_each
def give(conn):
    conn.sendall(DATA)


def transfers(pair, name):
    """Given a TCP sender, then the receiver gets the same data."""
    for ns, other, addr in ((pair.a, pair.b, B4), (pair.a, pair.b, B6),
                            (pair.b, pair.a, A4), (pair.b, pair.a, A6)):
        with check(f"{name}, data to {addr}"):
            with Server(other.bind(addr), give) as server, \
                    ns.connect(addr, server.port) as s:
                if receive(s, len(DATA)) != DATA:
                    raise AssertionError("data differ")


def rows(pair, name):
    """Given GSO batches (UDP_SEGMENT), then each datagram arrives unchanged.

    There are two batches; the last datagram of the second one is shorter. With
    --offload, the sending stand-in cuts each batch, and the receiving one joins
    datagrams again, which must not change any datagram.
    """
    sent = [bytes([n]) * (700 if n < 22 else 300) for n in range(23)]
    for ns, other, addr in ((pair.a, pair.b, B4), (pair.b, pair.a, A6)):
        with check(f"{name}, rows of datagrams to {addr}"), \
                other.bind(addr, 9, socket.SOCK_DGRAM) as server, \
                ns.connect(addr, 9, 1, socket.SOCK_DGRAM) as s:
            for row in sent[:11], sent[11:]:
                s.sendmsg([b"".join(row)], [(socket.IPPROTO_UDP, UDP_SEGMENT,
                                             struct.pack("H", 700))])
            expect("what came", [server.recv(2000) for _ in sent], sent)


def bulk(pair, name):
    """Given iperf3, then the pair is not too slow to be used in tests."""
    server = pair.b.spawn("iperf3", "-s", "-1", stdout=subprocess.DEVNULL)
    wait_for("iperf3 server", lambda: pair.b.run(
        "ss", "-Hltn", "sport = 5201").strip())
    with check(f"{name}, iperf3"):
        out = pair.a.run("iperf3", "-c", B4, "-t", "2", "-f", "m")
        speed = float(re.findall(r"([\d.]+) Mbits/sec +receiver", out)[0])
        print(f"{name}: {speed:.0f} Mbit/s", flush=True)
        expect_below("200 Mbit/s", 200, speed)
    server.wait()


def faults(path):
    """Given rates of faults, then about so many happen, and TCP still works."""
    with Pair(path, 1500, ("--seed", "7", "--drop-out", "100000",
                           "--dup-out", "100000")) as pair, \
            pair.b.bind(B4, 9, socket.SOCK_DGRAM), \
            pair.a.connect(B4, 9, 1, socket.SOCK_DGRAM) as s, \
            check("faults: a tenth dropped, a tenth doubled"):
        pair.a.ip(f"neigh replace {B4} lladdr 02:00:00:00:00:02 dev tap0")
        before = pair.counts(0)["out"]
        for _ in range(1000):
            s.send(b"discard")
        wait_for("frames counted",
                 lambda: pair.counts(0)["out"][0] >= before[0] + 1000)
        after = pair.counts(0)["out"]
        for what in (2, 3):
            expect_below("off from a hundred by",
                         abs(after[what] - before[what] - 100), 40)
    with Pair(path, 1500, ("--drop-out", "5000", "--swap-out", "5000"),
              ("--dup-out", "5000", "--corrupt-out", "2000")) as pair:
        transfers(pair, "faults")


def story():
    need(STANDIN)
    need_tun()
    path = f"/tmp/standin-{os.getpid()}"
    for mtu in 1500, 65520:
        for options in ((), ("--offload",)):
            name = " ".join([f"mtu {mtu}", *options])
            with Pair(path, mtu, options, options) as pair:
                transfers(pair, name)
                rows(pair, name)
                bulk(pair, name)
    with Pair(path, 1500, ("--offload",)) as pair:
        transfers(pair, "mtu 1500, one offloads")
        rows(pair, "mtu 1500, one offloads")
        bulk(pair, "mtu 1500, one offloads")
    faults(path)


if __name__ == "__main__":
    main(story)
