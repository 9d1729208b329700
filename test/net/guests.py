#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""guests.py - Tests that passt serves one guest at a time, one after another.

    guest ====.
               passt (host) ---- servers (outside)
    second ===' turned away
"""

import contextlib
import os
import signal
import socket
import time

from netlab import (FAMILIES, HOST4, Lab, Server, check, echo_tcp, echo_udp,
                    echoes, expect, expect_below, main, rests, serves,
                    wait_exit, wait_for)


def second_client(lab, passt):
    """Given a guest, when a second one connects, then passt turns it away."""
    with Server(lab.outside.bind(FAMILIES[0][1]), echo_tcp) as server, \
            lab.guest.connect(FAMILIES[0][1], server.port) as s:
        echoes(s)
        for number in range(3):
            with check(f"second client is turned away, {number + 1}"):
                with socket.socket(socket.AF_UNIX) as second:
                    second.settimeout(3)
                    second.connect(lab.socket)
                    try:
                        expect("read", second.recv(1), b"")
                    except ConnectionResetError:
                        pass
            with check(f"the first does not notice, {number + 1}"):
                echoes(s)
    with check("served after that"):
        serves(lab)
    with check("at rest after that"):
        rests(passt)


def guest_killed(lab, passt, guest, idle):
    """Given open connections, when the guest is killed, then all of them
    end."""
    ends = []
    listener = lab.outside.bind(FAMILIES[0][1])
    clients = []
    for _ in range(100):
        clients.append(lab.guest.connect(*listener.getsockname()))
        ends.append(listener.accept()[0])
    guest.kill()
    with check("guest killed: its servers' connections end"):
        for s in ends:
            s.settimeout(3)
            try:
                expect("read", s.recv(1), b"")
            except ConnectionResetError:
                pass
    with check("guest killed: its descriptors are given back"):
        wait_for("descriptors", lambda: passt.descriptors() <= idle)
    with check("guest killed: at rest without a guest"):
        rests(passt)
    for s in ends + clients + [listener]:
        s.close()


def without_guest(lab):
    """Given no guest, then clients of forwarded ports do not wait for one."""
    with check("without a guest: tcp to a forwarded port is not served"):
        start = time.monotonic()
        try:
            with lab.outside.connect(HOST4, 8001, 5) as s:
                expect("read", s.recv(1), b"")
        except (ConnectionResetError, ConnectionRefusedError):
            pass
        expect_below("time, s", time.monotonic() - start, 1)
    with check("without a guest: udp to a forwarded port is dropped"):
        with lab.outside.connect(HOST4, 8001, 1, socket.SOCK_DGRAM) as s:
            for _ in range(100):
                s.send(b"datagram")


def next_guest(lab):
    """Given that a guest left, then the next one gets a lease and a network."""
    with check("the next guest gets its addresses"):
        lab.attach("--mac", "52:54:00:65:43:21")
    with check("the next guest gets out"):
        serves(lab)
    with check("the next guest is reached, tcp and udp"):
        with Server(lab.guest.bind("::", 8001), echo_tcp), \
                Server(lab.guest.bind("::", 8001, socket.SOCK_DGRAM),
                       echo_udp):
            with lab.outside.connect(HOST4, 8001) as s:
                echoes(s)
            with lab.outside.connect(HOST4, 8001, 3,
                                     socket.SOCK_DGRAM) as s:
                s.send(b"datagram")
                expect("echo", s.recv(100), b"datagram")


def come_and_go(lab, passt, idle):
    """Given guests that connect and leave quickly, then no flow is left."""
    with check("200 guests that come and go leave nothing"):
        for i in range(200):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(lab.socket)
                with contextlib.suppress(BrokenPipeError):
                    s.send(b"\0\0\0\x2a" + b"half a frame" * (i % 2))
        wait_for("descriptors", lambda: passt.descriptors() <= idle)
        rests(passt, 1)


def story():
    with Lab() as lab:
        passt = lab.passt("-t", "8001", "-u", "8001")
        idle = passt.descriptors()
        guest = lab.attach()
        second_client(lab, passt)
        guest_killed(lab, passt, guest, idle)
        without_guest(lab)
        come_and_go(lab, passt, idle)
        next_guest(lab)
    for part in restart, stops:
        with check(f"{part.__name__} ran to its end"), Lab() as lab:
            part(lab)


def restart(lab):
    """Given a restart of passt, when the guest reconnects, then passt serves
    it."""
    passt = lab.passt()
    lab.attach("--reconnect")
    serves(lab)
    for time_ in "first", "second":
        with check(f"passt started anew, the guest goes on, {time_} time"):
            passt.kill()
            passt = lab.passt()
            wait_for("connection again", lambda: lab.guest.run(
                "ping", "-c1", "-W1", FAMILIES[0][1], status=None)
                .count(" 0% packet loss"), 15)
            serves(lab)


def stops(lab):
    """Given SIGTERM or SIGINT, then passt removes its files, exits with 0."""
    for sig in signal.SIGTERM, signal.SIGINT:
        name = signal.Signals(sig).name
        pid_file = f"{lab.dir}/pid"
        passt = lab.passt("-P", pid_file)
        guest = lab.attach()
        with check(f"{name}: the pid file is right"):
            with open(pid_file) as f:
                expect("pid file", int(f.read()), passt.pid)
        with check(f"{name}: exit status 0"):
            expect("exit status", passt.kill(sig), 0)
        with check(f"{name}: socket and pid file are removed"):
            expect("left", [f for f in (lab.socket, pid_file)
                            if os.path.exists(f)], [])
        with check(f"{name}: the guest's connection ends"):
            wait_exit(guest.pid)


if __name__ == "__main__":
    main(story)
