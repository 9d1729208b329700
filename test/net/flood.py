#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""flood.py - Sends hundreds of thousands of hostile frames to passt.

    this program ==socket== passt (host) ---- servers (outside)

It takes frames of each kind from test/fuzz/seeds.py, and truncates or extends
them, flips bits, changes lengths, or replaces parts by random bytes. In half of
them it then corrects the checksums, so that passt does not drop them early.
After that, passt must still work. FLOOD=N sets the number of frames, SEED=N
seeds the random numbers.
"""

import os
import random
import socket
import struct
import sys
import threading
import time

from netlab import (Lab, SANITIZED, TOP, check, expect,
                    expect_below, main, rests, serves, wait_for)

sys.path.insert(0, os.path.join(TOP, "test/fuzz"))
import seeds  # noqa: E402

COUNT = int(os.environ.get("FLOOD", 200000))
SEED = int(os.environ.get("SEED", 1))
ROUND = 5000            # frames between two checks that passt still answers
MEMORY = 32 << 20 if not SANITIZED else 1 << 30
LOG = 64 << 10          # bytes that passt may log about all frames
LENGTHS = (0, 1, 2, 19, 20, 27, 28, 255, 256, 1279, 0x7fff, 0xfffe, 0xffff)


def flip(rng, frame):
    for _ in range(rng.choice((1, 1, 2, 8))):
        frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)


def replace(rng, frame):
    frame[rng.randrange(len(frame))] = rng.choice((0, 1, 0x7f, 0x80, 0xff))


def lie(rng, frame):
    """Replaces a random 16-bit field, perhaps a length, by one of LENGTHS."""
    at = rng.randrange(12, max(13, len(frame) - 1))
    frame[at:at + 2] = struct.pack("!H", rng.choice(LENGTHS))


def truncate(rng, frame):
    del frame[rng.randrange(1, len(frame) + 1):]


def extend(rng, frame):
    frame += rng.randbytes(rng.choice((1, 7, 100, 1500, 9000)))


def noise(rng, frame):
    frame[14:] = rng.randbytes(rng.randrange(0, 200))


def garbage(rng, frame):
    frame[:] = rng.randbytes(rng.randrange(1, 100))


def splice(rng, frame):
    other = rng.choice(FRAMES)
    at = rng.randrange(len(frame))
    frame[at:] = other[at:] or other[-1:]


FRAMES = [frame for _, frame in seeds.frames()]
MUTATIONS = (flip, flip, replace, replace, lie, lie, truncate, extend, noise,
             garbage, splice)


def set_checksum(frame, at, value):
    frame[at:at + 2] = struct.pack("!H", value)


def repair(frame):
    """Corrects the checksums, if the frame still looks like a packet."""
    if len(frame) < 34:
        return
    if frame[12:14] == b"\x08\x00":
        l4 = 14 + (frame[14] & 15) * 4
        set_checksum(frame, 24, 0)
        set_checksum(frame, 24, seeds.checksum(bytes(frame[14:l4])))
        proto, addrs = frame[23], bytes(frame[26:34])
    elif frame[12:14] == b"\x86\xdd" and len(frame) >= 54:
        l4, proto, addrs = 54, frame[20], bytes(frame[22:54])
    else:
        return
    at = {6: 16, 17: 6, 1: 2, 58: 2}.get(proto)
    if at is None or len(frame) < l4 + at + 2:
        return
    set_checksum(frame, l4 + at, 0)
    segment = bytes(frame[l4:])
    pseudo = b"" if proto == 1 else addrs + struct.pack(
        "!II", len(segment), proto)
    set_checksum(frame, l4 + at, seeds.checksum(pseudo + segment))


def mutated(rng):
    frame = bytearray(rng.choice(FRAMES))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if frame:
            rng.choice(MUTATIONS)(rng, frame)
    if rng.random() < 0.5:
        repair(frame)
    # Passt would close the link at a length that no frame can have, so make
    # the frame at least as long as an Ethernet header.
    return bytes(frame.ljust(14, b"\0"))


class Link:
    """A guest that sends given frames and waits for ARP replies."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.replies = 0
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        stream = self.sock.makefile("rb")
        while head := stream.read(4):
            frame = stream.read(struct.unpack("!I", head)[0])
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2":
                self.replies += 1

    def send(self, frames):
        self.sock.sendall(b"".join(struct.pack("!I", len(f)) + f
                                   for f in frames))

    def answers(self):
        """Sends an ARP request; fails unless it is answered."""
        before = self.replies
        self.send([seeds.arp(1, "192.0.2.1")])
        wait_for("ARP reply", lambda: self.replies > before)

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.sock.close()


def flood(lab, passt):
    """Given mutated frames, then passt still answers."""
    rng = random.Random(SEED)
    link = Link(lab.socket)
    link.answers()
    memory = 0
    with check(f"{COUNT} mutated frames, answers all the while"):
        for start in range(0, COUNT, ROUND):
            for _ in range(0, min(ROUND, COUNT - start), 100):
                link.send([mutated(rng) for _ in range(100)])
            link.answers()
            memory = max(memory, passt.rss())
    link.close()
    print(f"flood: at most {memory >> 10} KiB resident", flush=True)
    with check("mutated frames: memory stays bounded"):
        expect_below("RSS, bytes", memory, MEMORY)


def impossible(lab, passt):
    """Given impossible lengths, then passt closes the link with one line."""
    lengths = (0, 65536, 1 << 20, 1 << 31, (1 << 32) - 1)
    with check("impossible lengths close the link, with a line"):
        for length in lengths:
            before = len(lab.messages().splitlines())
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(3)
                s.connect(lab.socket)
                time.sleep(0.1)
                s.sendall(struct.pack("!I", length) + b"x" * 64)
                try:
                    while s.recv(65536):
                        pass
                except ConnectionResetError:
                    pass
            said = lab.messages().splitlines()[before:]
            about = [line for line in said if str(length) in line]
            if len(about) != 1:
                raise AssertionError(f"length {length}: {said}")
    with check("noise instead of frames: 300 links"):
        rng = random.Random(SEED)
        for _ in range(300):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(lab.socket)
                try:
                    s.sendall(rng.randbytes(rng.randrange(1, 5000)))
                except OSError:
                    pass
    with check("impossible lengths: passt lives"):
        expect("alive", passt.alive(), True)


def story():
    with Lab() as lab:
        passt = lab.passt()
        idle = passt.descriptors()
        flood(lab, passt)
        impossible(lab, passt)
        with check("after that: descriptors are given back"):
            wait_for("descriptors", lambda: passt.descriptors() <= idle, 30)
        with check("after that: at rest"):
            rests(passt)
        with check("after that: a guest gets its lease and is served"):
            lab.attach()
            serves(lab)
        with check("all that was said is not much"):
            expect_below("bytes of log", len(lab.messages()), LOG)
            if "runtime error" in lab.messages():
                raise AssertionError(lab.messages())


if __name__ == "__main__":
    main(story)
