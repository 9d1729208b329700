# SPDX-License-Identifier: AGPL-3.0-or-later
"""guest.py - A guest without a kernel and without threads, fast enough to do
all that a guest does within a few milliseconds. Its frames come from
rawguest.py, which has a guest for attacks."""

import contextlib
import itertools
import select
import socket
import struct
import time

from netlab import ROUTER4
from rawguest import (ACK, FIN, MASK, OPTIONS, RST, SYN, ip, seeds, segment_of,
                      tcp, udp)

PORTS = itertools.cycle(range(20000, 60000))
KEPT = 4000             # frames that were not expected, and may be later


class Gone(Exception):
    """passt has closed the link."""


class Silent(Exception):
    """What should have come did not come in time."""


def addresses(frame):
    """(source, protocol, bytes after the IP header) of a frame without
    extension headers, or None."""
    if frame[12:14] == b"\x08\x00":
        at = 14 + (frame[14] & 15) * 4
        end = 14 + int.from_bytes(frame[16:18], "big")
        return socket.inet_ntoa(frame[26:30]), frame[23], frame[at:end]
    if frame[12:14] == b"\x86\xdd":
        end = 54 + int.from_bytes(frame[18:20], "big")
        return (socket.inet_ntop(socket.AF_INET6, frame[22:38]), frame[20],
                frame[54:end])
    return None


def mine(addr):
    """The guest's own address of the same family."""
    return seeds.A6 if ":" in addr else seeds.A4


def fragments(addr, sport, dport, data, size=1400):
    """The frames of a UDP datagram that is sent in fragments."""
    segment = seeds.udp(mine(addr), addr, data, sport, dport)
    for at in range(0, len(segment), size):
        part, more = segment[at:at + size], at + size < len(segment)
        if ":" in addr:
            yield seeds.ethernet(0x86dd, seeds.ip6(
                44, part, dst=addr, ext=struct.pack("!BBHI", 17, 0, at | more,
                                                    sport)))
        else:
            yield seeds.ethernet(0x0800, seeds.ip4(
                17, part, dst=addr, frag=0x2000 * more | at // 8))


class Guest:
    """A connection to passt's socket.

    @patience: seconds to wait for one frame, or for a peer
    """

    def __init__(self, path, patience):
        self.patience = patience
        self.waiting = []
        self.bytes = bytearray()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.sock.settimeout(4 * patience)
        try:
            self.sock.connect(path)
        except BaseException:
            self.sock.close()
            raise

    def close(self):
        self.sock.close()

    def send(self, *frames):
        try:
            self.sock.sendall(b"".join(struct.pack("!I", len(frame)) + frame
                                       for frame in frames))
        except TimeoutError as e:
            raise Silent("passt reads nothing") from e
        except OSError as e:
            raise Gone from e

    def receive(self, timeout):
        """Waits for bytes, and adds the frames that are whole to @waiting."""
        if not select.select([self.sock], [], [], max(timeout, 0))[0]:
            return
        try:
            new = self.sock.recv(1 << 20)
        except OSError as e:
            raise Gone from e
        if not new:
            raise Gone
        self.bytes += new
        at = 0
        while at + 4 <= len(self.bytes):
            size = int.from_bytes(self.bytes[at:at + 4], "big")
            if at + 4 + size > len(self.bytes):
                break
            self.waiting.append(bytes(self.bytes[at + 4:at + 4 + size]))
            at += 4 + size
        del self.bytes[:at]
        del self.waiting[:-KEPT]

    def get(self, wanted, what="a frame", patience=None):
        """Returns the first true result of @wanted(frame), and forgets that
        frame; raises Silent if there is none in time."""
        end = time.monotonic() + (patience or self.patience)
        seen = 0
        while True:
            for i in range(seen, len(self.waiting)):
                result = wanted(self.waiting[i])
                if result:
                    del self.waiting[i]
                    return result
            seen = len(self.waiting)
            left = end - time.monotonic()
            if left <= 0:
                raise Silent(what)
            self.receive(left)
            seen = min(seen, len(self.waiting))

    def arp(self):
        self.send(seeds.arp(1, ROUTER4))
        self.get(lambda f: f[12:14] == b"\x08\x06" and f[20:22] == b"\0\2",
                 "an ARP reply")

    def icmp6(self, kind, what):
        """Waits for a message of ICMPv6."""
        return self.get(lambda f: f[12:14] == b"\x86\xdd" and f[20] == 58
                        and f[54] == kind and f, what)

    def datagram(self, src, sport, what, dport=0):
        """Waits for a datagram from this address and port to this port (0:
        any). Returns the guest's port, the peer's port, and the data."""
        def wanted(frame):
            packet = addresses(frame)
            if not packet or packet[:2] != (src, 17):
                return None
            fields = struct.unpack("!HHHH", packet[2][:8])
            return sport in (0, fields[0]) and dport in (0, fields[1]) and (
                fields[1], fields[0], packet[2][8:])
        return self.get(wanted, what)

    def ping(self, addr):
        """Sends an echo request, and waits for the reply."""
        ident = next(PORTS)
        payload = struct.pack("!HH", ident, 1) + bytes(range(40))
        v6 = ":" in addr
        message = seeds.icmp6(128, payload, seeds.A6, addr) if v6 else \
            seeds.icmp(8, payload)
        self.send(ip(58 if v6 else 1, message, mine(addr), addr))

        def wanted(frame):
            packet = addresses(frame)
            return packet and packet[1] == (58 if v6 else 1) and \
                packet[2][0] == (129 if v6 else 0) and \
                packet[2][4:] == payload
        self.get(wanted, f"a reply to a ping to {addr}")


class Conn:
    """The guest's end of a TCP connection, which is right as long as no frame
    is lost."""

    def __init__(self, guest, addr, port, sport):
        self.guest, self.addr, self.port, self.sport = guest, addr, port, sport
        self.seq, self.ack = 5000, 0
        self.acked = self.seq
        self.data, self.ended = b"", False

    @classmethod
    def open(cls, guest, addr, port):
        conn = cls(guest, addr, port, next(PORTS))
        conn.say(SYN, options=OPTIONS)
        conn.seq += 1
        conn.handle(conn.segment(lambda s: s.flags & (SYN | RST), "a SYN-ACK"))
        conn.say(ACK)
        return conn

    @classmethod
    def accept(cls, guest, addr, sport, port):
        """Takes the connection of a peer to a port of the guest."""
        def wanted(frame):
            s = segment_of(frame)
            return s and s.flags & (SYN | ACK) == SYN and \
                (s.src, s.sport, s.dport) == (addr, sport, port) and s
        s = guest.get(wanted, "a SYN")
        conn = cls(guest, addr, s.sport, port)
        conn.ack = s.seq + 1 & MASK
        conn.say(SYN | ACK, options=OPTIONS)
        conn.seq += 1
        return conn

    def say(self, flags, data=b"", **kw):
        self.guest.send(tcp(mine(self.addr), self.addr, self.sport, self.port,
                            flags, self.seq, self.ack, data, **kw))

    def segment(self, condition, what):
        def wanted(frame):
            s = segment_of(frame)
            return s and (s.src, s.sport, s.dport) == (
                self.addr, self.port, self.sport) and condition(s) and s
        return self.guest.get(wanted, what)

    def handle(self, s):
        """Takes a segment into account."""
        if s.flags & RST:
            raise Silent("the connection was reset")
        self.acked = s.ack
        if s.flags & SYN:
            self.ack = s.seq + 1 & MASK
            return
        if s.seq == self.ack:
            self.data += s.data
            self.ack = self.ack + len(s.data) & MASK
            if s.flags & FIN:
                self.ended = True
                self.ack = self.ack + 1 & MASK
        if s.data or s.flags & FIN:
            self.say(ACK)

    def write(self, data):
        """Sends data, at most 60,000 bytes beyond what passt has
        acknowledged, as its window may be this small."""
        for at in range(0, len(data), 60000):
            while at and self.acked != self.seq:
                self.handle(self.segment(lambda s: True, "an acknowledgment"))
            part = data[at:at + 60000]
            self.say(ACK, part)
            self.seq = self.seq + len(part) & MASK

    def read(self, size):
        """Reads until there are @size bytes; returns and forgets them."""
        while len(self.data) < size:
            if self.ended:
                raise Silent("the end came too early")
            self.handle(self.segment(lambda s: True, "data"))
        result, self.data = self.data[:size], self.data[size:]
        return result

    def finish(self):
        """Ends both directions; the peer must end its own."""
        self.say(FIN | ACK)
        self.seq = self.seq + 1 & MASK
        while not self.ended:
            self.handle(self.segment(lambda s: True, "a FIN"))

    def reset(self):
        with contextlib.suppress(Gone, Silent):
            self.say(RST)
