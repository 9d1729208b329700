# SPDX-License-Identifier: AGPL-3.0-or-later
"""The guest at the other end of passt's socket: sends and receives frames."""
import itertools
import random
import socket
import struct
import time

from . import packet
from .netns import GATEWAY, HOST
from .packet import (ETH_ARP, ETH_IP, ETH_IPV6, ICMPV6, UDP, Malformed)
from .passt import Failure, SLOW

MAC = "52:54:00:12:34:56"
LINK_LOCAL = "fe80::5054:ff:fe12:3456"
SILENCE = 0.3

# Each test gets new ports, so that it does not see flows of an earlier test.
_ports = itertools.cycle(range(random.randrange(20000, 22000), 32000))


def fresh_port():
    return next(_ports)


class Guest:
    def __init__(self, passt, mac=MAC):
        self.passt = passt
        self.mac = mac
        self.macs = set()       # MAC addresses of other machines on the link
        self.addr = dict(HOST)
        self.link_local = LINK_LOCAL
        self.inbox = []         # packets that no recv() has returned yet
        self.trace = []         # the last frames, to print if a test fails
        self.sock = None
        self.buf = b""
        self.started = time.monotonic()

    # --- the link

    def connect(self, hello=True):
        """Connects. Tries again if passt closes the connection, as it does
        until it has noticed that the previous guest has left."""
        end = time.monotonic() + 5 * SLOW
        while True:
            try:
                self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self.sock.settimeout(2 * SLOW)
                self.sock.connect(self.passt.path)
                self.buf = b""
                if self._hello() if hello else self._welcome():
                    return
            except (ConnectionError, FileNotFoundError, EOFError,
                    TimeoutError):
                pass
            self.sock.close()
            if not self.passt.alive():
                raise Failure("passt is gone: " + self.passt.log()[-400:])
            if time.monotonic() > end:
                raise Failure("no answer from passt on a new link")
            time.sleep(0.01)

    def _welcome(self):
        """Whether passt keeps the connection open; sends nothing."""
        self.sock.settimeout(0.05)
        try:
            return self.sock.recv(1, socket.MSG_PEEK) != b""
        except TimeoutError:
            return True

    def _hello(self):
        """Sends ARP and NDP requests, from which passt learns our addresses.
        Returns whether it answers."""
        self.send_arp(GATEWAY[4])
        for src in (self.addr[6], self.link_local):
            self.send_ns(GATEWAY[6], src)
        heard = self.recv(lambda p: (p.arp and p.arp.sip == GATEWAY[4]) or
                          (p.icmp and p.icmp.kind == 136), 1 * SLOW)
        if heard:
            # Drop the other answers, so that no test sees them.
            self.recv(lambda p: p.icmp and p.icmp.kind == 136
                      and p.dst == self.link_local, 0.05)
            self.flush()
        return bool(heard)

    def close(self):
        if self.sock:
            self.sock.close()
            self.sock = None

    def send_raw(self, data):
        self.sock.settimeout(10 * SLOW)
        self.sock.sendall(data)

    def send_frames(self, frames):
        """Sends all frames in one write, so that passt may handle them in one
        batch."""
        for f in frames:
            self._note(">", packet.describe(f))
        self.send_raw(b"".join(struct.pack("!I", len(f)) + f for f in frames))

    def send_frame(self, frame):
        self.send_frames([frame])

    def _note(self, way, text):
        self.trace.append(
            f"{time.monotonic() - self.started:8.3f} {way} {text}")
        del self.trace[:-200]

    def _frame(self, deadline):
        """The bytes of the next frame; None if none comes until @deadline."""
        while True:
            if len(self.buf) >= 4:
                n = int.from_bytes(self.buf[:4], "big")
                if not 14 <= n <= 65535 + 14:
                    raise Failure(f"frame length {n} from passt")
                if len(self.buf) >= 4 + n:
                    frame, self.buf = self.buf[4:4 + n], self.buf[4 + n:]
                    return frame
            left = deadline - time.monotonic()
            if left <= 0:
                self.sock.setblocking(False)
            else:
                self.sock.settimeout(left)
            try:
                data = self.sock.recv(1 << 18)
            except (BlockingIOError, TimeoutError):
                return None
            if not data:
                raise EOFError("passt closed the link")
            self.buf += data

    def _next(self, deadline):
        frame = self._frame(deadline)
        if frame is None:
            return None
        try:
            p = packet.parse(frame)
        except Malformed as e:
            raise Failure(f"malformed frame, {e}: {frame.hex()}") from None
        self._note("<", p)
        if p.eth_src != self.passt.mac:
            raise Failure(f"frame from {p.eth_src}: {p}")
        if p.eth_dst not in (self.mac, *self.macs) and \
                not int(p.eth_dst[1], 16) & 1:
            raise Failure(f"frame for {p.eth_dst}: {p}")
        return p

    def recv(self, match=None, timeout=5 * SLOW):
        """
        Returns the first packet that matches, or None after @timeout. Packets
        that do not match stay in the inbox, in order.
        """
        match = match or (lambda p: True)
        for i, p in enumerate(self.inbox):
            if match(p):
                return self.inbox.pop(i)
        deadline = time.monotonic() + timeout
        while True:
            p = self._next(deadline)
            if p is None:
                return None
            if match(p):
                return p
            self.inbox.append(p)
            del self.inbox[:-100000]

    def expect(self, match, what, timeout=5 * SLOW):
        p = self.recv(match, timeout)
        if p is None:
            raise Failure(f"no {what} within {timeout:g} s")
        return p

    def silence(self, match, what, seconds=SILENCE):
        p = self.recv(match, seconds)
        if p is not None:
            raise Failure(f"{what}, but got: {p}")

    def flush(self):
        """Drops all packets that have come so far."""
        while self._next(time.monotonic()):
            pass
        self.inbox.clear()

    def expect_eof(self, timeout=5 * SLOW):
        """Fails unless passt closes the link."""
        deadline = time.monotonic() + timeout
        try:
            while time.monotonic() < deadline:
                self._next(deadline)
        except (EOFError, ConnectionError):
            return
        raise Failure(f"the link is still open after {timeout:g} s")

    # --- packets of the guest

    def frame(self, dst, proto, l4, src=None, dmac=None, **kw):
        """Makes a frame with an IP packet to dst, addressed to passt's MAC."""
        v = packet.family(dst)
        if src is None:
            src = self.addr[v]
            if v == 6 and packet.pton(dst)[:2] in (b"\xfe\x80", b"\xff\x02"):
                src = self.link_local
        return packet.eth(dmac or self.passt.mac, self.mac,
                          ETH_IPV6 if v == 6 else ETH_IP,
                          packet.ip(src, dst, proto, l4, **kw))

    def send_ip(self, dst, proto, l4, **kw):
        self.send_frame(self.frame(dst, proto, l4, **kw))

    def udp_frame(self, dst, sport, dport, data=b"", src=None, bad_sum=False,
                  **kw):
        s = src or self.addr[packet.family(dst)]
        return self.frame(dst, UDP, packet.udp(s, dst, sport, dport, data,
                                               bad_sum), src=s, **kw)

    def send_udp(self, *args, **kw):
        self.send_frame(self.udp_frame(*args, **kw))

    def send_echo(self, dst, ident, seq, data=b"", src=None, **kw):
        v = packet.family(dst)
        s = src or (self.link_local if dst.startswith("fe80")
                    else self.addr[v])
        self.send_ip(dst, ICMPV6 if v == 6 else packet.ICMP,
                     packet.echo(s, dst, ident, seq, data), src=s, **kw)

    def show_mtu(self, n=65520):
        """Sends an unsolicited echo reply of n bytes. passt learns from it that
        the guest can receive packets of this length without fragmentation."""
        self.send_ip(GATEWAY[4], packet.ICMP,
                     packet.echo(self.addr[4], GATEWAY[4], 1, 1, bytes(n - 28),
                                 reply=True))

    def send_arp(self, who, sip=None, op=1, sender=None):
        self.send_frame(packet.eth(
            packet.BROADCAST, self.mac, ETH_ARP, packet.arp(
                op, sender or self.mac, sip or self.addr[4],
                "00:00:00:00:00:00", who)))

    def send_ns(self, target, src=None, dst=None, lladdr=True):
        """Sends a neighbour solicitation (RFC 4861 4.3)."""
        src = src or self.link_local
        dst = dst or packet.solicited_node(target)
        body = b"\0\0\0\0" + packet.pton(target)
        if lladdr:
            body += b"\x01\x01" + packet.mac(self.mac)
        self.send_ip(dst, ICMPV6, packet.icmp(src, dst, 135, 0, body),
                     src=src, ttl=255, dmac=packet.multicast_mac(dst)
                     if packet.pton(dst)[0] == 0xff else None)

    # --- conditions for recv() and expect()

    def is_udp(self, src, sport=None, dport=None):
        return lambda p: (p.udp and p.src == src and
                          (sport is None or p.udp.sport == sport) and
                          (dport is None or p.udp.dport == dport))

    @staticmethod
    def is_arp(sip=None):
        return lambda p: p.arp and (sip is None or p.arp.sip == sip)

    @staticmethod
    def is_icmp(kind=None, src=None):
        return lambda p: (p.icmp and (kind is None or p.icmp.kind == kind)
                          and (src is None or p.src == src))
