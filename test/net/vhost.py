#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""vhost.py - Tests a guest behind vhost-user, with and without each feature.

    tap0 == stand-in == virtqueues == passt == veth == servers
"""

import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
import time

from netlab import (FAMILIES, Lab, SERVER4, Server, check, expect,
                    expect_below, main, receive, rests, serves, tcp_each,
                    wait_for)

DATA = hashlib.shake_256(b"over virtqueues").digest(16 << 20)
UDP_SEGMENT = 103               # linux/udp.h
KIB = 1024
PAIRS = 4

# Options of the stand-in guest, for one guest after the other: features that it
# does not negotiate, sizes of rings and buffers, faults.
GUESTS = (
    (), ("--ring", "1024"), ("--ring", "64"),
    ("--without", "mrg_rxbuf"), ("--without", "mrg_rxbuf,indirect"),
    ("--without", "csum"), ("--without", "tso"), ("--without", "uso"),
    ("--without", "tso,uso,mrg_rxbuf"),
    ("--without", "event_idx"), ("--without", "indirect"),
    ("--without", "reply_ack,mem_slots,mq,reset,status,backend_req,mtu"),
    ("--rx-buffer", "512", "--ring", "1024"),
    ("--without", "indirect", "--tx-piece", "4096"),
    ("--drop-out", "1000", "--drop-in", "1000", "--dup-in", "1000",
     "--swap-out", "1000", "--corrupt-in", "1000"),
    ("--pairs", "2"), ("--pairs", "4"),
)


@tcp_each
def give(conn):
    conn.sendall(DATA)


@tcp_each
def take(conn):
    """Receives a stream, and answers whether it is DATA."""
    conn.sendall(b"y" if receive(conn, len(DATA)) == DATA else b"n")


def transfers(lab):
    """Fails unless 16 MiB arrive unchanged, in both directions and families."""
    for _, addr in FAMILIES:
        with Server(lab.outside.bind(addr), give) as server, \
                lab.guest.connect(addr, server.port) as s:
            expect("data to the guest", receive(s, len(DATA)) == DATA, True)
        with Server(lab.outside.bind(addr), take) as server, \
                lab.guest.connect(addr, server.port) as s:
            s.sendall(DATA)
            expect("data from the guest", receive(s, 1), b"y")


def batches(lab):
    """Fails unless GSO batches of datagrams arrive as they were sent."""
    sent = [bytes([n]) * (700 if n < 22 else 300) for n in range(23)]
    for _, addr in FAMILIES:
        with lab.outside.bind(addr, 0, socket.SOCK_DGRAM) as server, \
                lab.guest.connect(addr, server.getsockname()[1], 5,
                                  socket.SOCK_DGRAM) as s:
            batch = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("H", 700))]
            s.sendmsg([b"".join(sent)], batch)
            got = [server.recvfrom(2000) for _ in sent]
            expect("datagrams from the guest", [d for d, _ in got], sent)
            server.sendmsg([b"".join(sent)], batch, 0, got[0][1])
            expect("datagrams to the guest", [s.recv(2000) for _ in sent],
                   sent)


def negotiated(lab, options):
    """Given a guest with these options, when it transfers data, then all data
    arrive, and its tap takes every frame."""
    name = " ".join(options) or "everything"
    lossy = "--drop-out" in options
    for mtu in 1500, 65520:
        with check(f"{name}, MTU {mtu}"):
            p = lab.passt("--vhost-user", "-m", str(mtu))
            guest = lab.attach(*options, mtu=mtu, vhost=True)
            transfers(lab)
            if not lossy:
                batches(lab)
                expect("refused", lab.counts(guest)["refused"], 0)
            expect("end of the guest", guest.kill(signal.SIGTERM), 0)
            rests(p)
            p.kill()


def iperf(lab, way, *options):
    """Runs iperf3 for two seconds. Returns its report.

    @way: "out" from the guest, "in" to the guest
    """
    server = lab.outside.spawn("iperf3", "-s", "-1",
                               stdout=subprocess.DEVNULL)
    wait_for("iperf3 server", lambda: lab.outside.run(
        "ss", "-Hltn", "sport = 5201").strip())
    report = lab.guest.run("iperf3", "-c", SERVER4, "-t", "2", "-J",
                           *(["-R"] if way == "in" else []), *options)
    server.wait()
    return json.loads(report)


def flow_rates(lab, way):
    """Runs 16 transfers at once. Returns their rates, bits per second."""
    return [stream["receiver"]["bits_per_second"]
            for stream in iperf(lab, way, "-P", "16")["end"]["streams"]]


def bulk(lab, way, guest):
    """Transfers for two seconds. Returns how the counts of this direction
    grew."""
    before = lab.counts(guest)[way]
    iperf(lab, way)
    after = lab.counts(guest)[way]
    return {key: after[key] - before[key] for key in after}


def notifications(lab):
    """Given a bulk flow, then the side that sends notifies less than once per
    32 KiB, and so does the side that receives, about the buffers it used."""
    lab.passt("--vhost-user", "-m", "1500")
    guest = lab.attach(mtu=1500, vhost=True)
    for way, sender, other in ("out", "kicks", "calls"), \
            ("in", "calls", "kicks"):
        with check(f"notifications, {way}"):
            n = bulk(lab, way, guest)
            print(f"{way}: {n['bytes'] / KIB / max(n[sender], 1):.0f} KiB "
                  f"for each, {n[other]} the other way", flush=True)
            expect_below("notifications", n[sender], n["bytes"] / KIB / 32)
            expect_below("the other way", n[other], n["bytes"] / KIB / 32)
    guest.kill()


def steered(lab):
    """Given a guest with several pairs of rings, when it sends the packets of
    a flow by one pair, then it gets those of the flow by this pair, too. No
    pair starves another one."""
    lab.passt("--vhost-user", "-m", "1500")
    guest = lab.attach("--pairs", str(PAIRS), mtu=1500, vhost=True)

    def grown(work):
        """By how many bytes the counts of each pair grow meanwhile."""
        def counts():
            found = [lab.counts(guest, i) for i in range(PAIRS)]
            return [(c["out"]["bytes"], c["in"]["bytes"]) for c in found]
        before = counts()
        work()
        return [(out - out0, into - into0) for (out, into), (out0, into0)
                in zip(counts(), before)]

    def one():
        with Server(lab.outside.bind(SERVER4), give) as server, \
                lab.guest.connect(SERVER4, server.port) as s:
            expect("data", receive(s, len(DATA)) == DATA, True)

    # The hash of a flow chooses its pair by chance. 20 flows miss one of four
    # pairs once in 80 runs; 200 flows practically never do.
    used = set()
    with check("each flow comes by the pair that it goes by"):
        for flow in range(200):
            if flow >= 20 and len(used) == PAIRS:
                break
            out, into = zip(*grown(one))
            busiest = into.index(max(into))
            expect_below("bytes that came by other pairs",
                         sum(into) - into[busiest], sum(into) / 50)
            expect("pair with the ACKs", out.index(max(out)), busiest)
            used.add(busiest)
    with check("flows take all pairs"):
        expect("pairs in use", used, set(range(PAIRS)))
    for way in "out", "in":
        with check(f"no pair starves the flows on another one, {way}"):
            rates = flow_rates(lab, way)
            expect_below("the mean rate, by the lowest",
                         sum(rates) / len(rates) / min(rates), 10)
    expect("end of the guest", guest.kill(signal.SIGTERM), 0)


def interrupted(lab):
    """Given a guest that is paused, then reset, then finds a new passt, then it
    is served after each of these."""
    p = lab.passt("--vhost-user")
    guest = lab.attach("--reconnect", vhost=True)
    for what, sig in ("pause", signal.SIGUSR2), ("reset", signal.SIGHUP):
        with check(f"after a {what} of the guest"):
            starts = lab.counts(guest)["starts"]
            os.kill(guest.pid, sig)
            wait_for("start of the rings",
                     lambda: lab.counts(guest)["starts"] > starts)
            serves(lab)
            transfers(lab)
    with check("after a pause in a transfer"):
        with Server(lab.outside.bind(SERVER4), give) as server, \
                lab.guest.connect(SERVER4, server.port) as s:
            data = receive(s, 1 << 20)
            for _ in range(5):
                os.kill(guest.pid, signal.SIGUSR2)
                data += receive(s, 1 << 20)
            data += receive(s, len(DATA) - len(data))
            expect("data", data == DATA, True)
    with check("a daemon that was killed, and its successor"):
        p.kill()
        wait_for("carrier lost", lambda: "NO-CARRIER" in lab.guest.run(
            "ip", "link", "show", "tap0"))
        p = lab.passt("--vhost-user")
        began = time.monotonic()
        wait_for("carrier", lambda: "LOWER_UP" in lab.guest.run(
            "ip", "link", "show", "tap0"))
        serves(lab)
        expect_below("seconds without a link", time.monotonic() - began, 2)
        transfers(lab)
    expect("end of the guest", guest.kill(signal.SIGTERM), 0)
    rests(p)


def story():
    with Lab() as lab:
        for options in GUESTS:
            negotiated(lab, options)
        notifications(lab)
        steered(lab)
        interrupted(lab)


if __name__ == "__main__":
    main(story)
