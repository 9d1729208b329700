#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""slow.py - When a reader stops, its sender must stop, and memory stay bounded.

    guest reads nothing ==== passt (host) ---- server sends 256 MiB
    guest sends 256 MiB ==== passt (host) ---- server reads nothing
    guest's link stops =X=== passt (host) ---- all of that, and UDP
"""

import hashlib
import os
import signal
import socket
import threading
import time

from netlab import (FAMILIES, HOST4, Lab, SANITIZED, SERVER4, check, expect,
                    expect_below, main, rests, serves, wait_for)

SIZE = 256 << 20
CHUNK = hashlib.shake_256(b"chunk").digest(1 << 20)
MEMORY = 64 << 20 if not SANITIZED else 1 << 30
STOPPED = 64 << 20      # more than all socket buffers on the way


class Sender(threading.Thread):
    """Sends SIZE bytes on a socket, and counts them."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.sent, self.error = sock, 0, None
        self.start()

    def run(self):
        self.sock.settimeout(120)
        try:
            while self.sent < SIZE:
                at = self.sent % len(CHUNK)
                self.sent += self.sock.send(CHUNK[at:])
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as e:
            self.error = e


def stops(sender):
    """Waits until the sender makes no progress. Returns the bytes it sent."""
    def still():
        before = sender.sent
        time.sleep(1)
        return sender.sent == before and sender.sent > 0
    wait_for("sender stops", still, 20)
    return sender.sent


def read_all(sock):
    """Reads a stream to its end; fails unless it is what a Sender sends."""
    sock.settimeout(30)
    total = 0
    want = memoryview(CHUNK + CHUNK)
    while part := sock.recv(1 << 20):
        at = total % len(CHUNK)
        if part != want[at:at + len(part)]:
            raise AssertionError(f"data differ after {total} bytes")
        total += len(part)
    expect("bytes received", total, SIZE)


def one(lab, passt, name, from_guest, addr):
    """Given a reader that pauses, then its sender pauses, too, and continues
    later."""
    with lab.outside.bind(addr) as listener, \
            lab.guest.connect(addr, listener.getsockname()[1]) as guest:
        server, _ = listener.accept()
        source, sink = (guest, server) if from_guest else (server, guest)
        with server:
            with check(f"{name}: the sender stops"):
                sender = Sender(source)
                expect_below("bytes sent", stops(sender), STOPPED)
            with check(f"{name}: passt holds little, and does nothing"):
                expect_below("RSS, bytes", passt.rss(), MEMORY)
                rests(passt)
            with check(f"{name}: all data arrive when the reader goes on"):
                read_all(sink)
                sender.join(10)
                expect("sender's error", sender.error, None)


def link_stops(lab, passt, guest):
    """Given a guest that stops reading from its link, then senders stop, and
    passt's memory is bounded; when it reads again, then flows continue."""
    listener = lab.outside.bind(SERVER4)
    pairs = []
    for _ in range(20):
        c = lab.guest.connect(*listener.getsockname())
        pairs.append((c, listener.accept()[0]))
    guest_port = lab.guest.bind("::", 8001, socket.SOCK_DGRAM)
    os.kill(guest.pid, signal.SIGSTOP)
    with check("link stopped: senders stop"):
        senders = [Sender(server) for _, server in pairs]
        for sender in senders:
            expect_below("bytes sent", stops(sender), STOPPED)
    with check("link stopped: UDP that comes in is dropped"):
        with lab.outside.connect(HOST4, 8001, 1, socket.SOCK_DGRAM) as s:
            for _ in range(20000):
                s.send(CHUNK[:1400])
    with check("link stopped: passt holds little, and does nothing"):
        expect_below("RSS, bytes", passt.rss(), MEMORY)
        rests(passt)
    os.kill(guest.pid, signal.SIGCONT)
    with check("link goes on: all data arrive"):
        readers = [threading.Thread(target=read_all, args=(c,))
                   for c, _ in pairs[:4]]
        for r in readers:
            r.start()
        for r in readers:
            r.join(60)
        for sender in senders[:4]:
            sender.join(10)
            expect("sender's error", sender.error, None)
            expect("bytes sent", sender.sent, SIZE)
    for c, server in pairs:
        c.close()
        server.close()
    listener.close()
    guest_port.close()
    with check("link goes on: served"):
        serves(lab)


def story():
    with Lab() as lab:
        passt = lab.passt("-t", "none", "-u", "8001")
        guest = lab.attach()
        for family, addr in FAMILIES:
            one(lab, passt, f"tcp{family} guest reads nothing", False, addr)
            one(lab, passt, f"tcp{family} server reads nothing", True, addr)
        link_stops(lab, passt, guest)
        with check("at rest after all that"):
            rests(passt)


if __name__ == "__main__":
    main(story)
