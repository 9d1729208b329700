# SPDX-License-Identifier: AGPL-3.0-or-later
"""rawguest.py - A guest without a kernel, so that it can send any frame.

    RawGuest ==socket== passt

test/fuzz/seeds.py makes its frames. A RawConn is the guest's end of a TCP
connection: it sends only the segments that a test asks for, and does not check
those that it receives. (Tests of correct behaviour use the guest in test/wire,
which checks every frame; this one is for attacks and errors.)
"""

import collections
import contextlib
import os
import random
import socket
import struct
import sys
import threading
import time

from netlab import ROUTER4, TOP

sys.path.insert(0, os.path.join(TOP, "test/fuzz"))
import seeds  # noqa: E402

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MASK = 0xffffffff
# MSS 65480, window scale 14, SACK permitted
OPTIONS = b"\x02\x04\xff\xc8\x01\x03\x03\x0e\x01\x01\x04\x02"

Segment = collections.namedtuple(
    "Segment", "src dst sport dport flags seq ack wnd options data")


def tcp(src, dst, sport, dport, flags, seq, ack=0, data=b"", wnd=65535,
        options=b""):
    """A frame with a TCP segment."""
    segment = struct.pack("!HHIIBBHHH", sport, dport, seq & MASK, ack & MASK,
                          (20 + len(options)) // 4 << 4, flags, wnd, 0,
                          0) + options + data
    return ip(6, seeds.sealed(6, segment, 16, src, dst), src, dst)


def udp(src, dst, sport, dport, data=b""):
    """A frame with a UDP datagram."""
    return ip(17, seeds.udp(src, dst, data, sport, dport), src, dst)


def ip(proto, payload, src, dst):
    if ":" in src:
        return seeds.ethernet(0x86dd, seeds.ip6(proto, payload, src, dst))
    return seeds.ethernet(0x0800, seeds.ip4(proto, payload, src, dst))


def segment_of(frame):
    """The TCP segment in a frame, or None. Ignores Ethernet's padding after the
    packet."""
    if frame[12:14] == b"\x08\x00" and frame[23] == 6:
        addrs = [socket.inet_ntoa(frame[i:i + 4]) for i in (26, 30)]
        at = 14 + (frame[14] & 15) * 4
        end = 14 + int.from_bytes(frame[16:18], "big")
    elif frame[12:14] == b"\x86\xdd" and frame[20] == 6:
        addrs = [socket.inet_ntop(socket.AF_INET6, frame[i:i + 16])
                 for i in (22, 38)]
        at = 54
        end = 54 + int.from_bytes(frame[18:20], "big")
    else:
        return None
    sport, dport, seq, ack, offset, flags, wnd = struct.unpack(
        "!HHIIBBH", frame[at:at + 16])
    data = at + (offset >> 4) * 4
    return Segment(*addrs, sport, dport, flags, seq, ack, wnd,
                   frame[at + 20:data], frame[data:end])


def is_arp_reply(frame):
    return frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2"


class RawGuest:
    """A connection to passt's socket; a thread reads all frames.

    @frames: the frames that @hook has put there
    @hook: the thread calls this function with each frame. Unless a test
        replaces it, it appends the frame to @frames
    """

    def __init__(self, path):
        self.frames = collections.deque()
        self.hook = self.frames.append
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.ended = threading.Event()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        with contextlib.suppress(OSError), self.sock.makefile("rb") as stream:
            while head := stream.read(4):
                self.hook(stream.read(struct.unpack("!I", head)[0]))
        self.ended.set()

    def send(self, *frames):
        self.sock.sendall(b"".join(struct.pack("!I", len(frame)) + frame
                                   for frame in frames))

    def wait(self, condition, timeout=5.0, seen=0):
        """Waits until @condition is true for a frame in @frames. Returns the
        first such frame, or None after the timeout.

        @seen: ignore this number of frames at the start of @frames
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            frames = list(self.frames)
            for frame in frames[seen:]:
                if condition(frame):
                    return frame
            seen = len(frames)
            time.sleep(0.005)
        return None

    def answers(self, timeout=5.0):
        """Sends an ARP request, and waits for the reply. Returns the seconds
        that this took; fails if there is no reply."""
        seen, start = len(self.frames), time.monotonic()
        self.send(seeds.arp(1, ROUTER4))
        if not self.wait(is_arp_reply, timeout, seen):
            raise AssertionError(f"no ARP reply within {timeout} s")
        return time.monotonic() - start

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.ended.wait(5)
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class RawConn:
    """The guest's end of a connection that it opens.

    @seq, @ack: numbers of the next segment, unless the caller gives others
    @window: passt's window in its SYN-ACK, bytes
    """

    def __init__(self, guest, addr, port, isn=1000, options=OPTIONS):
        self.guest, self.addr, self.port = guest, addr, port
        self.src = seeds.A6 if ":" in addr else seeds.A4
        self.sport = random.randrange(1024, 65536)
        self.seq, self.ack = isn, 0
        self.send(SYN, options=options)
        answer = self.receive(lambda s: s.flags & SYN)
        self.seq, self.ack = (isn + 1) & MASK, (answer.seq + 1) & MASK
        self.window = answer.wnd
        self.send(ACK)

    def make(self, flags, data=b"", seq=None, ack=None, **kw):
        """Makes a frame with a segment of this connection; does not send it."""
        return tcp(self.src, self.addr, self.sport, self.port, flags,
                   self.seq if seq is None else seq,
                   self.ack if ack is None else ack, data, **kw)

    def send(self, flags, data=b"", **kw):
        self.guest.send(self.make(flags, data, **kw))

    def mine(self, frame):
        """The segment in a frame if it belongs to this connection, or None."""
        s = segment_of(frame)
        return s if s and (s.src, s.sport, s.dport) == (
            self.addr, self.port, self.sport) else None

    def segments(self):
        """All segments of this connection that are in the guest's @frames."""
        return [s for s in map(self.mine, list(self.guest.frames)) if s]

    def receive(self, condition, timeout=5.0):
        """Waits for a segment for which @condition is true, and returns the
        first such segment; fails if there is none."""
        def takes(frame):
            s = self.mine(frame)
            return s and condition(s)
        frame = self.guest.wait(takes, timeout)
        if not frame:
            raise AssertionError("the segment did not come: "
                                 f"{self.segments()[-3:]}")
        return self.mine(frame)
