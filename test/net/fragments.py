#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""fragments.py - Datagrams longer than the MTU, with a real network stack.

The guest's kernel fragments what it sends, and reassembles what it receives:
UDP datagrams of many sizes, alone and in bursts, and pings, with IPv4 and IPv6,
and MTUs from 1280 on. passt must count all fragments, and no error.
"""

import os
import random
import re
import signal
import socket

from netlab import (FAMILIES, Lab, Server, check, echo_udp, expect, main,
                    wait_for)
from traffic import echo

DATA = random.Random(7).randbytes(65507)
SIZES = (1, 1232, 1233, 1452, 1453, 1472, 1473, 2961, 9000, 32768, 65487,
         65507)


def udp(lab, mtu):
    """Given a UDP echo server, then every size comes back unchanged."""
    for family, addr in FAMILIES:
        sock = lab.outside.bind(addr, 0, socket.SOCK_DGRAM)
        with check(f"UDP over IPv{family}, MTU {mtu}"), \
                Server(sock, echo_udp) as server, \
                lab.guest.connect(addr, server.port, 5,
                                  socket.SOCK_DGRAM) as s:
            for size in SIZES:
                if echo(s, DATA[:size]) != DATA[:size]:
                    raise AssertionError(f"other bytes, of {size}")


def burst(lab, mtu):
    """Given 20 datagrams of 9,000 bytes in a row, then all come back."""
    for family, addr in FAMILIES:
        sock = lab.outside.bind(addr, 0, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        with check(f"20 of 9,000 bytes at once over IPv{family}, MTU {mtu}"), \
                Server(sock, echo_udp) as server, \
                lab.guest.connect(addr, server.port, 5,
                                  socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            for i in range(20):
                s.send(bytes((i,)) + DATA[1:9000])
            expect("datagrams", {s.recv(65536)[0] for _ in range(20)},
                   set(range(20)))


def ping(lab, mtu):
    for family, addr in FAMILIES:
        for size in 3000, 30000, 65507:
            with check(f"ping of {size} bytes over IPv{family}, MTU {mtu}"):
                out = lab.guest.run("ping", "-c", "2", "-i", "0.2", "-W", "2",
                                    "-s", str(size), addr)
                expect("replies", out.count(f"{size + 8} bytes from"), 2)


def counters(lab, passt):
    """Makes passt log its counters. Returns those of fragments, by name."""
    os.kill(passt.pid, signal.SIGUSR1)
    wait_for("counters", lambda: "fragments_from_guest" in lab.messages())
    return {name: int(n) for name, n in
            re.findall(r"fragments_(\w+) (\d+)", lab.messages())}


def story():
    for mtu in 1280, 1500, 65520:
        with Lab() as lab:
            passt = lab.passt("-m", str(mtu))
            lab.attach(mtu=mtu)
            udp(lab, mtu)
            ping(lab, mtu)
            if mtu == 65520:
                continue
            burst(lab, mtu)
            with check(f"all were put together, MTU {mtu}"):
                n = counters(lab, passt)
                if not n["from_guest"] > n["reassembled"] > 50 or \
                   not n["to_guest"]:
                    raise AssertionError(str(n))
                for bad in ("overlapping", "malformed", "no_space",
                            "timed_out"):
                    expect(bad, n.get(bad, 0), 0)


if __name__ == "__main__":
    main(story)
