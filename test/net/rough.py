#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""rough.py - Guests and peers that are slow, leave at any moment, or come in
masses; and a guest that is paused for ten minutes.

    this program ==socket== passt (host) ---- this program (outside)

ROUGH=N makes each story N times as long.
"""

import contextlib
import hashlib
import os
import signal
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "fault"))
from guest import Conn, Gone, Guest, Silent  # noqa: E402
from netlab import (HOST4, Lab, SANITIZED, SERVER4, Server,  # noqa: E402
                    check, expect, expect_below, main, rests, serves, wait_for)
from rawguest import seeds, tcp, SYN, OPTIONS  # noqa: E402
from sleep import Clocks  # noqa: E402
from traffic import DATA, DIGEST, give, take_and_tell  # noqa: E402

LONGER = int(os.environ.get("ROUGH", 1))
PORT = 8001
ABORT = struct.pack("ii", 1, 0)         # SO_LINGER: close() is RST
TCP_REPAIR = 19                         # close() sends nothing, linux/tcp.h
MEMORY = 32 << 20 if not SANITIZED else 1 << 30
LOG = 8 << 10           # bytes that passt may log in one story
PAUSE, STEP = 600, 4    # s: of the guest; less than CLOCK_STOPPED of passt


@contextlib.contextmanager
def held(lab, passt):
    """Fails unless passt, after a block at whose end no guest is connected,
    has what it had before, rests, and has said little."""
    before, said = passt.descriptors(), len(lab.messages())
    yield
    wait_for("descriptors", lambda: passt.descriptors() == before)
    rests(passt, 0.5)
    expect_below("RSS, bytes", passt.rss(), MEMORY)
    expect_below("bytes it said", len(lab.messages()) - said, LOG)
    with contextlib.closing(Guest(lab.socket, 5)) as guest:
        guest.arp()
        guest.ping(SERVER4)
    wait_for("descriptors", lambda: passt.descriptors() == before)


def leaves(lab, passt):
    """Given a guest that leaves after any number of bytes of a frame, and
    comes back at once, then the next one is served."""
    frame = seeds.arp(1, "192.0.2.1") + tcp(seeds.A4, SERVER4, 1, 2, SYN, 3,
                                            options=OPTIONS)
    data = struct.pack("!I", len(frame)) + frame
    with check("a guest leaves in the middle of a frame, 1,000 times"), \
            held(lab, passt):
        for i in range(1000 * LONGER):
            with socket.socket(socket.AF_UNIX) as s, \
                    contextlib.suppress(BrokenPipeError):
                s.connect(lab.socket)
                s.sendall(data[:i % len(data)])
    with check("a guest comes back 1,000 times, with an open connection"), \
            held(lab, passt), lab.outside.bind(SERVER4) as listener:
        for _ in range(1000 * LONGER):
            with contextlib.closing(Guest(lab.socket, 5)) as guest:
                guest.arp()
                Conn.open(guest, SERVER4, listener.getsockname()[1])
            with listener.accept()[0] as peer:
                peer.settimeout(5)
                with contextlib.suppress(ConnectionResetError):
                    expect("read by the peer", peer.recv(1), b"")


def byte_by_byte(lab, passt):
    """Given a guest that reads a byte from time to time, then passt holds
    little for it, and does nothing meanwhile."""
    with check("a guest reads single bytes"), held(lab, passt), \
            lab.outside.bind(SERVER4) as listener, \
            contextlib.closing(Guest(lab.socket, 5)) as guest:
        conn = Conn.open(guest, SERVER4, listener.getsockname()[1])
        peer, _ = listener.accept()
        peer.setblocking(False)
        with peer, lab.outside.connect(HOST4, PORT, 1,
                                       socket.SOCK_DGRAM) as s:
            conn.say(16, b"x")
            for i in range(20 * LONGER):
                with contextlib.suppress(BlockingIOError):
                    peer.send(bytes(1 << 20))
                for _ in range(50):
                    s.send(bytes(1400))
                guest.sock.recv(1)
                if i == 5:
                    before = passt.cpu()
                time.sleep(0.05)
            expect_below("its share of a CPU, %", (passt.cpu() - before) / (
                (20 * LONGER - 6) * 0.05) * 100, 3)


def end_quietly(sock):
    """Closes a connection without a word to the peer, as a host that has lost
    its power."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    sock.close()


def end_with_reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    sock.close()


def end_half(sock):
    sock.shutdown(socket.SHUT_WR)


def masses(lab, passt):
    """Given peers by the thousand at a forwarded port, which reset, close one
    half, or vanish, before or after the guest has answered, then passt serves
    on, and nothing is left of them when the guest has left."""
    for name, end in (("reset", end_with_reset), ("close one half", end_half),
                      ("vanish", end_quietly)):
        with check(f"1,000 peers {name}"), held(lab, passt), \
                contextlib.closing(Guest(lab.socket, 5)) as guest, \
                contextlib.ExitStack() as stack:
            guest.arp()
            for i in range(1000 * LONGER):
                s = stack.enter_context(lab.outside.connect(HOST4, PORT, 5))
                if i % 2:
                    Conn.accept(guest, *s.getsockname()[:2], PORT)
                end(s)
            guest.arp()
            guest.ping(SERVER4)


def paused(lab):
    """Given a guest that is paused for ten minutes while data are in flight in
    both directions, then all of them arrive when it continues. The clock of
    passt runs faster meanwhile."""
    clocks = Clocks(lab)
    passt = lab.passt("-u", str(PORT), env=clocks.env)
    guest = lab.attach()
    results = {}

    def download(port):
        digest = hashlib.sha256()
        with lab.guest.connect(SERVER4, port, 60) as s:
            while part := s.recv(1 << 18):
                digest.update(part)
                time.sleep(0.01)
        results["to guest"] = digest.hexdigest()

    def upload(port):
        with lab.guest.connect(SERVER4, port, 60) as s:
            for at in range(0, len(DATA), 1 << 18):
                s.sendall(DATA[at:at + (1 << 18)])
                time.sleep(0.01)
            s.shutdown(socket.SHUT_WR)
            results["from guest"] = s.recv(64).decode()
    with check("a guest paused for ten minutes loses nothing"), \
            Server(lab.outside.bind(SERVER4), give) as gives, \
            Server(lab.outside.bind(SERVER4), take_and_tell) as takes, \
            lab.outside.connect(HOST4, PORT, 1, socket.SOCK_DGRAM) as wake:
        threads = [threading.Thread(target=way, args=(server.port,))
                   for way, server in ((download, gives), (upload, takes))]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        os.kill(guest.pid, signal.SIGSTOP)
        expect("over before the pause", results, {})
        for _ in range(PAUSE // STEP):
            clocks.add(STEP)
            wake.send(b"let a pass of the loop begin")
            time.sleep(0.01)
        load = passt.load(1)
        os.kill(guest.pid, signal.SIGCONT)
        for thread in threads:
            thread.join(60)
        expect("SHA-256", results, {"to guest": DIGEST, "from guest": DIGEST})
        expect_below("its share of a CPU, %", load, 1)
        serves(lab)


def story():
    with Lab() as lab:
        passt = lab.passt("-t", str(PORT), "-u", str(PORT))
        for part in leaves, byte_by_byte, masses:
            part(lab, passt)
    with Lab() as lab:
        paused(lab)


if __name__ == "__main__":
    main(story)
