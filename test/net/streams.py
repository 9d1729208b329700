#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""streams.py - TCP streams of a guest that does all that TCP permits.

    raw guest ==socket== passt (host) ---- peers (outside)

Streams from the guest (Up) have segments in any order and of any size, which
overlap, come twice and cross the wrap of the sequence numbers, while the peers
read irregularly. Streams to the guest (Down) meet losses, SACK and reneging,
windows that open and close, and ACKs of data that was never sent. All data are
compared. Then a random walk sends segments that no TCP would send. SEED=N seeds
the random numbers.
"""

import collections
import contextlib
import os
import random
import socket
import struct
import time

from netlab import (DEAD4, HOST4, Lab, ROUTER4, SERVER4, SERVER6, check,
                    expect, main, rests, wait_for)
from rawguest import (ACK, FIN, MASK, OPTIONS, PSH, RST, SYN, RawConn,
                      RawGuest, seeds, segment_of, tcp)

SEED = int(os.environ.get("SEED", 1))
FLOWS = 12
UP, DOWN, WALK = 1 << 20, 1 << 20, 4000     # bytes, bytes, steps
TIME = 120              # seconds for each story
PORT = 7777
ABORT = struct.pack("ii", 1, 0)


def ahead(a, b):
    """a - b modulo 2^32, signed."""
    return ((a - b + (1 << 31)) & MASK) - (1 << 31)


class Up:
    """A stream from the guest. Offsets count from its first byte.

    @una, @edge: first offset that is not acknowledged; end of the window
    @got: bytes that the peer has read
    @wrong: what went wrong, if anything
    """

    def __init__(self, rng, guest, listener, number):
        buffer = rng.choice((4096, 20000, 100000, 1 << 20))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        isn = (MASK - 100000, (1 << 31) - 50000, 0, 5)[number % 4]
        self.conn = RawConn(guest, SERVER4, PORT, isn)
        self.peer, _ = listener.accept()
        self.peer.setblocking(False)
        self.base, self.edge = self.conn.seq, self.conn.window
        self.una = self.got = self.pause = 0
        self.moved = time.monotonic()
        self.wrong = None

    def take(self, s):
        """Notes what passt acknowledges; it must not be more than all data."""
        una = ahead(s.ack, self.base)
        if s.flags & (RST | FIN) or una > UP:
            self.wrong = f"flags {s.flags}, ACK of {una}"
        if una > self.una:
            self.una, self.moved = una, time.monotonic()
        self.edge = max(self.edge, una + (s.wnd << 8))

    def some(self, rng):
        """A frame with a random part of the data that the window permits."""
        room = min(self.edge, UP) - self.una
        at = rng.choice((0, rng.randrange(20000), rng.randrange(1 << 20),
                         -rng.randrange(3000)))
        at = max(self.una + at % room if at > 0 else self.una + at, 0)
        size = min(rng.choice((1, 1, 2, 100, 1400, 9000, 60000)),
                   self.una + room - at)
        return self.piece(at, size)

    def piece(self, at, size):
        return self.conn.make(ACK, self.data[at:at + size],
                              seq=self.base + at)

    def send(self, rng):
        if self.edge > self.una < UP:
            self.conn.guest.send(*[self.some(rng) for _ in range(
                rng.choice((1, 2, 8, 40)))])
        if time.monotonic() - self.moved > 0.5 and self.una < UP:
            self.conn.guest.send(self.piece(self.una, 1400))
            self.moved = time.monotonic()

    def read(self, rng):
        if time.monotonic() < self.pause:
            return
        if rng.random() < 0.02:
            self.pause = time.monotonic() + rng.random() * 0.3
        with contextlib.suppress(BlockingIOError):
            data = self.peer.recv(rng.choice((100, 5000, 1 << 20)))
            if not data or data != self.data[self.got:self.got + len(data)]:
                self.wrong = f"other bytes, or the end, after {self.got}"
            self.got += len(data)

    def step(self, rng):
        self.send(rng)
        self.read(rng)

    def done(self):
        return self.wrong or self.got == UP


class Down:
    """A stream to the guest, and its FIN. Offsets count from its first byte.

    @next: offset of the first byte that the guest has not received
    @have: ranges that it received beyond a gap, [start, end), sorted
    @edge: end of the largest window that it has announced
    @wrong: what went wrong, if anything
    """

    def __init__(self, rng, guest, listener, number):
        self.loss = rng.choice((0, 0.01, 0.1, 0.2))
        self.sack = number % 3 > 0
        self.shift = rng.choice((0, 2, 7, 14))
        self.conn = RawConn(guest, SERVER4, PORT, options=b"\x02\x04" +
                            struct.pack("!H", rng.choice((536, 1460, 65480))) +
                            bytes((1, 3, 3, self.shift)) +
                            b"\x01\x01\x04\x02" * self.sack)
        self.peer, _ = listener.accept()
        self.peer.setblocking(False)
        self.base, self.edge = self.conn.ack, 65535
        self.next = self.sent = self.told = 0
        self.have = []
        self.queue = collections.deque()
        self.wrong = None

    def take(self, s):
        self.queue.append(s)

    def look(self, s):
        """Checks that a segment has the right data, and is within the window.
        Returns its start and end."""
        at = ahead(s.seq, self.base)
        end = at + len(s.data) + bool(s.flags & FIN)
        data = s.data[max(0, -at):]
        if s.flags & RST or end > DOWN + 1 or end > self.edge + 1:
            self.wrong = f"flags {s.flags}, to {end}, window to {self.edge}"
        elif data != self.data[max(0, at):max(0, at) + len(data)]:
            self.wrong = f"other bytes at {at}"
        elif s.flags & FIN and end != DOWN + 1:
            self.wrong = f"FIN at {end - 1}"
        return at, end

    def store(self, at, end):
        joined = []
        for a, b in sorted(self.have + [(at, end)]):
            if joined and a <= joined[-1][1]:
                a, b = joined[-1][0], max(b, joined.pop()[1])
            joined.append((a, b))
        if joined[0][0] <= self.next:
            self.next = max(self.next, joined.pop(0)[1])
        self.have = joined

    def blocks(self, rng):
        """The SACK option for some of @have; empty if there is none."""
        if not self.sack or not self.have or rng.random() < 0.1:
            return b""
        some = rng.sample(self.have, min(3, len(self.have)))
        return bytes((1, 1, 5, 2 + 8 * len(some))) + b"".join(
            struct.pack("!II", (self.base + a) & MASK, (self.base + b) & MASK)
            for a, b in some)

    def acknowledge(self, rng):
        wnd = rng.choice((65535,) * 18 + (0, rng.choice((1, 10, 1000))))
        self.edge = max(self.edge, self.next + (wnd << self.shift))
        self.conn.send(ACK, ack=self.base + self.next, wnd=wnd,
                       options=self.blocks(rng))
        self.told = time.monotonic()
        if rng.random() < 0.002:
            self.have = []                      # reneging (RFC 2018 8)
        if rng.random() < 0.05:
            self.conn.send(ACK, wnd=0, ack=self.base + self.next +
                           rng.choice((-100000, 1 << 30, 1 << 31)))

    def write(self, rng):
        if self.sent < DOWN:
            with contextlib.suppress(BlockingIOError):
                self.sent += self.peer.send(self.data[
                    self.sent:self.sent + rng.choice((1, 10000, 500000))])
            if self.sent == DOWN:
                self.peer.shutdown(socket.SHUT_WR)

    def step(self, rng):
        self.write(rng)
        probe = False
        for _ in range(min(len(self.queue), 50)):
            at, end = self.look(self.queue.popleft())
            probe |= end == at
            if end > at and rng.random() >= self.loss:
                self.store(at, end)
                probe = True
        if probe or time.monotonic() - self.told > 0.5:
            self.acknowledge(rng)

    def done(self):
        return self.wrong or self.next == DOWN + 1


def streams(lab, kind, size, name):
    """Given a dozen streams at the same time, then their data arrive unchanged.

    @kind: Up or Down
    """
    rng = random.Random(SEED)
    kind.data = rng.randbytes(size)
    passt = lab.passt()
    with RawGuest(lab.socket) as guest, \
            lab.outside.bind(SERVER4, PORT) as listener, check(name):
        guest.answers()
        flows = [kind(rng, guest, listener, n) for n in range(FLOWS)]
        by_port = {flow.conn.sport: flow for flow in flows}

        def hook(frame):
            s = segment_of(frame)
            if s and s.dport in by_port and not s.flags & SYN:
                by_port[s.dport].take(s)
        guest.hook = hook
        end = time.monotonic() + TIME
        while time.monotonic() < end:
            going = [flow for flow in flows if not flow.done()]
            if not going:
                break
            for flow in going:
                flow.step(rng)
            time.sleep(0.0005)
        expect("streams that did not end well",
               [(vars(flow).get("wrong") or "late", flow.__dict__.get("next"))
                for flow in flows if flow.wrong or not flow.done()], [])
        guest.hook = guest.frames.append
        rests(passt)
    passt.kill()


class Walk:
    """Sends random segments. Their sequence and acknowledgement numbers are
    near those that the connections expect.

    @conns: (una, nxt) of each connection: what passt acknowledged last, and the
        end of what it sent last
    """

    def __init__(self, lab, guest):
        self.lab, self.guest = lab, guest
        self.rng = random.Random(SEED)
        self.conns, self.peers = {}, []
        self.listeners = [lab.outside.bind(addr, PORT)
                          for addr in (SERVER4, SERVER6)]
        for listener in self.listeners:
            listener.setblocking(False)
        guest.hook = self.hook

    def hook(self, frame):
        """Notes in @conns what a segment of passt says."""
        s = segment_of(frame)
        if s:
            end = s.seq + len(s.data) + bool(s.flags & (SYN | FIN))
            key = s.src, s.sport, s.dst, s.dport
            self.conns[key] = (s.ack, end & MASK)

    def open(self):
        addr = self.rng.choice((SERVER4, SERVER4, SERVER6, ROUTER4, DEAD4))
        src = seeds.A6 if ":" in addr else seeds.A4
        isn = self.rng.choice((1, MASK, 1 << 31, self.rng.getrandbits(32)))
        key = addr, PORT, src, self.rng.randrange(1, 65536)
        self.conns[key] = (isn + 1, 0)
        self.guest.send(tcp(src, addr, key[3], PORT, SYN, isn,
                            options=self.rng.choice((OPTIONS, b""))))

    def sack(self, seq):
        blocks = [seq + self.rng.choice((-1460, 0, 1, 65480, 1 << 30,
                                         1 << 31)) for _ in range(4)]
        return b"\x01\x01\x05\x12" + struct.pack(
            "!4I", *(edge & MASK for edge in blocks))

    def segment(self):
        rng = self.rng
        (addr, port, src, sport), (una, nxt) = rng.choice(
            list(self.conns.items()))
        flags = rng.choices((ACK, ACK | PSH, ACK | FIN, RST, SYN, SYN | ACK,
                             FIN, 0, 63), (60, 20, 4, 2, 2, 1, 1, 1, 1))[0]
        seq = una + rng.choice((0, 0, 0, 1, -1, 1400, 30000, 65535, 1 << 24,
                                1 << 31))
        ack = nxt + rng.choice((0, 0, 0, 0, 1, -1, -1000, 100000, 1 << 31))
        return tcp(src, addr, sport, port, flags, seq, ack,
                   rng.randbytes(rng.choice((0, 0, 1, 100, 1400, 60000))),
                   rng.choice((0, 1, 100, 65535, 65535)),
                   rng.choice((b"", b"", self.sack(nxt))))

    def accept(self):
        for listener in self.listeners:
            with contextlib.suppress(BlockingIOError):
                while True:
                    peer, _ = listener.accept()
                    peer.setblocking(False)
                    self.peers.append(peer)

    def connect(self):
        with self.lab.outside:
            peer = socket.socket()
        peer.setblocking(False)
        peer.connect_ex((HOST4, 8001))
        self.peers.append(peer)

    def peer_acts(self):
        rng = self.rng
        peer = rng.choice(self.peers)
        with contextlib.suppress(OSError):
            rng.choice((
                lambda: peer.send(rng.randbytes(rng.choice((1, 1000, 60000)))),
                lambda: peer.recv(rng.choice((1, 1 << 20))),
                lambda: peer.send(b"!", socket.MSG_OOB),
                lambda: peer.shutdown(rng.choice((0, 1, 2))),
                lambda: peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                        ABORT)))()
        if rng.random() < 0.1:
            self.peers.remove(peer)
            peer.close()

    def step(self):
        if len(self.conns) < 20 or self.rng.random() < 0.02:
            self.open()
        if self.rng.random() < 0.05:
            self.connect()
        self.guest.send(*[self.segment() for _ in range(
            self.rng.choice((1, 1, 2, 30)))])
        self.accept()
        for _ in range(min(3, len(self.peers))):
            self.peer_acts()
        if len(self.conns) > 300:
            self.conns.clear()

    def close(self):
        for sock in self.peers + self.listeners:
            sock.close()


def walk(lab):
    """Given segments that no TCP sends, then passt survives, becomes idle, and
    closes all sockets."""
    passt = lab.passt("-t", "8001")
    idle = passt.descriptors()
    with check(f"{WALK} steps at random"), RawGuest(lab.socket) as guest:
        guest.answers()
        walker = Walk(lab, guest)
        with contextlib.closing(walker):
            for _ in range(WALK):
                walker.step()
            rests(passt)
        rests(passt)
        guest.hook = guest.frames.append
        guest.answers()
    with check("steps at random: all is given back"):
        expect("alive", passt.alive(), True)
        wait_for("descriptors", lambda: passt.descriptors() <= idle)
    passt.kill()


def story():
    with Lab() as lab:
        streams(lab, Up, UP, f"{FLOWS} streams up, in every order")
        streams(lab, Down, DOWN, f"{FLOWS} streams down, with every loss")
        walk(lab)


if __name__ == "__main__":
    main(story)
