# SPDX-License-Identifier: AGPL-3.0-or-later
"""
Builds frames of a guest, and parses frames from passt. parse() checks every
length and every checksum, and raises Malformed at any error.
"""
import os
import socket
import struct

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << i for i in range(8))
TCP, UDP, ICMP, ICMPV6, FRAGMENT = 6, 17, 1, 58, 44
ETH_IP, ETH_ARP, ETH_IPV6 = 0x0800, 0x0806, 0x86dd
BROADCAST = "ff:ff:ff:ff:ff:ff"


class Malformed(Exception):
    """A frame that passt must never send."""


def need(cond, why):
    if not cond:
        raise Malformed(why)


# --- addresses and sums

def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def mac_text(raw):
    return ":".join(f"{b:02x}" for b in raw)


def family(addr):
    return 6 if ":" in addr else 4


def pton(addr):
    return socket.inet_pton(
        socket.AF_INET6 if ":" in addr else socket.AF_INET, addr)


def ntop(raw):
    return socket.inet_ntop(
        socket.AF_INET6 if len(raw) == 16 else socket.AF_INET, raw)


def fold(data):
    """Ones' complement sum of 16-bit words (RFC 1071)."""
    if len(data) & 1:
        data += b"\0"
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return s


def checksum(data):
    return ~fold(data) & 0xffff


def pseudo(src, dst, proto, length):
    src, dst = pton(src), pton(dst)
    if len(src) == 16:
        return src + dst + struct.pack("!II", length, proto)
    return src + dst + struct.pack("!BBH", 0, proto, length)


def multicast_mac(addr):
    raw = pton(addr)
    if len(raw) == 16:
        return mac_text(b"\x33\x33" + raw[12:])
    return mac_text(b"\x01\x00\x5e" + bytes([raw[1] & 0x7f]) + raw[2:])


def solicited_node(addr):
    """The solicited-node address of @addr (RFC 4291 2.7.1)."""
    return ntop(pton("ff02::1:ff00:0")[:13] + pton(addr)[13:])


# --- building

def eth(dst, src, etype, payload):
    return mac(dst) + mac(src) + struct.pack("!H", etype) + payload


def ip4(src, dst, proto, l4, ttl=64, tos=0, ident=None, frag=0x4000,
        options=b""):
    if ident is None:
        ident = int.from_bytes(os.urandom(2), "big")
    h = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, tos,
                    20 + len(options) + len(l4), ident, frag, ttl, proto, 0,
                    pton(src), pton(dst)) + options
    return h[:10] + struct.pack("!H", checksum(h)) + h[12:] + l4


def ip6(src, dst, proto, l4, ttl=64, tos=0, label=0):
    return struct.pack("!IHBB16s16s", 6 << 28 | tos << 20 | label, len(l4),
                       proto, ttl, pton(src), pton(dst)) + l4


def ip(src, dst, proto, l4, **kw):
    return (ip6 if family(src) == 6 else ip4)(src, dst, proto, l4, **kw)


def _summed(src, dst, proto, l4, at):
    c = checksum(pseudo(src, dst, proto, len(l4)) + l4)
    if proto == UDP and not c:
        c = 0xffff
    return l4[:at] + struct.pack("!H", c) + l4[at + 2:]


def tcp(src, dst, sport, dport, seq=0, ack=0, flags=0, win=65535, data=b"",
        options=b"", urg=0, offset=None, bad_sum=False):
    options += b"\0" * (-len(options) % 4)
    if offset is None:
        offset = 5 + len(options) // 4
    h = struct.pack("!HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32,
                    offset << 4, flags, win, 0, urg)
    seg = _summed(src, dst, TCP, h + options + data, 16)
    if bad_sum:
        seg = seg[:16] + bytes([seg[16] ^ 0x55]) + seg[17:]
    return seg


def udp(src, dst, sport, dport, data=b"", bad_sum=False):
    h = struct.pack("!HHHH", sport, dport, 8 + len(data), 0)
    seg = _summed(src, dst, UDP, h + data, 6)
    if bad_sum:
        seg = seg[:6] + bytes([seg[6] ^ 0x55]) + seg[7:]
    return seg


def icmp(src, dst, kind, code, body):
    if family(src) == 6:
        return _summed(src, dst, ICMPV6, bytes([kind, code, 0, 0]) + body, 2)
    m = bytes([kind, code, 0, 0]) + body
    return m[:2] + struct.pack("!H", checksum(m)) + m[4:]


def echo(src, dst, ident, seq, data=b"", reply=False):
    kind = (129 if reply else 128) if family(src) == 6 else (
        0 if reply else 8)
    return icmp(src, dst, kind, 0, struct.pack("!HH", ident, seq) + data)


def arp(op, smac, sip, tmac, tip):
    return struct.pack("!HHBBH6s4s6s4s", 1, ETH_IP, 6, 4, op, mac(smac),
                       pton(sip), mac(tmac), pton(tip))


def opt_mss(n):
    return struct.pack("!BBH", 2, 4, n)


def opt_wscale(n):
    return bytes([1, 3, 3, n])


def opt_sackok():
    return bytes([1, 1, 4, 2])


def opt_sack(blocks):
    return bytes([1, 1, 5, 2 + 8 * len(blocks)]) + b"".join(
        struct.pack("!II", a % 2**32, b % 2**32) for a, b in blocks)


def opt_timestamp(val, ecr):
    return bytes([1, 1]) + struct.pack("!BBII", 8, 10, val, ecr)


# --- parsing

class Arp:
    def __init__(self, b):
        need(len(b) >= 28, "ARP too short")
        (hrd, pro, hln, pln, self.op, smac, sip, tmac, tip) = struct.unpack(
            "!HHBBH6s4s6s4s", b[:28])
        need((hrd, pro, hln, pln) == (1, ETH_IP, 6, 4), "ARP header")
        self.smac, self.tmac = mac_text(smac), mac_text(tmac)
        self.sip, self.tip = ntop(sip), ntop(tip)

    def __str__(self):
        return f"arp op {self.op} {self.sip} is {self.smac} for {self.tip}"


def flag_text(flags):
    return "-".join(n for i, n in enumerate(
        ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"))
        if flags >> i & 1) or "none"


class Tcp:
    def __init__(self, b):
        need(len(b) >= 20, "TCP header too short")
        (self.sport, self.dport, self.seq, self.ack, off, self.flags,
         self.win, _, self.urg) = struct.unpack("!HHIIBBHHH", b[:20])
        hlen = (off >> 4) * 4
        need(20 <= hlen <= len(b), f"TCP data offset {hlen}")
        need(not off & 0x0f, "TCP reserved bits set")
        self.options = self._options(b[20:hlen])
        self.data = b[hlen:]
        self.mss = self.wscale = None
        self.sackok, self.sack = False, []
        for kind, val in self.options:
            if kind == 2:
                need(len(val) == 2, "MSS option length")
                self.mss = int.from_bytes(val, "big")
            elif kind == 3:
                need(len(val) == 1 and val[0] <= 14, "window scale option")
                self.wscale = val[0]
            elif kind == 4:
                need(not val, "SACK-permitted option length")
                self.sackok = True
            elif kind == 5:
                need(val and len(val) % 8 == 0, "SACK option length")
                n = struct.unpack(f"!{len(val) // 4}I", val)
                self.sack = list(zip(n[::2], n[1::2]))
        need(not (self.flags & SYN and self.flags & (RST | FIN)),
             "SYN with RST or FIN")
        need(self.flags & (SYN | RST | ACK), "neither SYN, RST nor ACK")
        # These options are allowed only with SYN (RFC 9293 3.2, RFC 7323 2.2).
        need(self.flags & SYN or self.mss is None, "MSS without SYN")
        need(self.flags & SYN or self.wscale is None, "scale without SYN")
        need(self.flags & SYN or not self.sackok, "SACK-permitted, no SYN")
        need(not self.flags & SYN or not self.sack, "SACK with SYN")

    @staticmethod
    def _options(b):
        out, i = [], 0
        while i < len(b):
            if b[i] == 0:
                need(not any(b[i:]), "TCP options after end of list")
                break
            if b[i] == 1:
                i += 1
                continue
            need(i + 1 < len(b) and 2 <= b[i + 1] <= len(b) - i,
                 "TCP option length")
            out.append((b[i], b[i + 2:i + b[i + 1]]))
            i += b[i + 1]
        return out

    def has(self, flags):
        return self.flags & flags == flags

    @property
    def seglen(self):
        return (len(self.data) + bool(self.flags & SYN)
                + bool(self.flags & FIN))

    def __str__(self):
        opts = "".join(f" {n} {v}" for n, v in (
            ("mss", self.mss), ("wscale", self.wscale)) if v is not None)
        opts += " sackok" * self.sackok
        opts += "".join(f" sack {a}..{b}" for a, b in self.sack)
        return (f"tcp {self.sport} > {self.dport} {flag_text(self.flags)} "
                f"seq {self.seq} ack {self.ack} win {self.win} "
                f"len {len(self.data)}{opts}")


class Udp:
    def __init__(self, b):
        need(len(b) >= 8, "UDP header too short")
        self.sport, self.dport, length, self.sum = struct.unpack(
            "!HHHH", b[:8])
        need(length == len(b), f"UDP length {length}, packet has {len(b)}")
        self.data = b[8:]

    def __str__(self):
        return f"udp {self.sport} > {self.dport} len {len(self.data)}"


class Icmp:
    def __init__(self, b):
        need(len(b) >= 8, "ICMP too short")
        self.kind, self.code = b[0], b[1]
        self.body = b[4:]
        self.ident, self.seq = struct.unpack("!HH", b[4:8])
        self.data = b[8:]

    def __str__(self):
        return (f"icmp type {self.kind} code {self.code} id {self.ident} "
                f"seq {self.seq} len {len(self.data)}")


class Fragment:
    """A fragment: the fields of its header, and its bytes."""

    def __init__(self, ident, off, more, data):
        self.ident, self.off, self.more, self.data = ident, off, more, data
        need(data, "empty fragment")
        need(not more or len(data) % 8 == 0, f"fragment of {len(data)} bytes")
        need(off + len(data) <= 65535, "fragment beyond the longest packet")

    def __str__(self):
        return (f"fragment {self.ident:#x}, {self.off}..."
                f"{self.off + len(self.data)}{' more' * self.more}")


def join(packets):
    """Reassembles a packet from its fragments, which may be in any order."""
    parts = sorted(packets, key=lambda p: p.frag.off)
    first, l4 = parts[0], b""
    for p in parts:
        need(p.frag.off == len(l4), f"{p} does not follow {len(l4)} bytes")
        need((p.frag.ident, p.src, p.dst, p.proto, p.ttl, p.tos) == (
            first.frag.ident, first.src, first.dst, first.proto, first.ttl,
            first.tos), f"{p} is not of {first}")
        need(p.frag.more == (p is not parts[-1]), f"the last one is not {p}")
        l4 += p.frag.data
    whole = ip(first.src, first.dst, first.proto, l4, ttl=first.ttl,
               tos=first.tos)
    return Packet(first.raw[:14] + whole)


class Packet:
    """A frame from passt. The constructor checks all lengths and checksums."""

    def __init__(self, frame):
        self.raw = frame
        self.arp = self.tcp = self.udp = self.icmp = self.frag = None
        self.v = self.src = self.dst = self.proto = self.l4 = None
        need(len(frame) >= 14, "Ethernet header too short")
        self.eth_dst = mac_text(frame[:6])
        self.eth_src = mac_text(frame[6:12])
        self.etype = int.from_bytes(frame[12:14], "big")
        body = frame[14:]
        if self.etype == ETH_ARP:
            self.arp = Arp(body)
            self._trailer(body[28:])
        elif self.etype == ETH_IP:
            self._ip4(body)
        elif self.etype == ETH_IPV6:
            self._ip6(body)
        else:
            raise Malformed(f"Ethernet type {self.etype:#06x}")
        if self.frag:
            return
        if self.v and self.proto in (TCP, UDP, ICMPV6):
            need(fold(pseudo(self.src, self.dst, self.proto, len(self.l4))
                      + self.l4) == 0xffff, "checksum of protocol "
                 f"{self.proto}")
        if self.proto == TCP:
            self.tcp = Tcp(self.l4)
        elif self.proto == UDP:
            self.udp = Udp(self.l4)
            need(self.udp.sum, "UDP without a checksum")
        elif self.proto == ICMP:
            need(self.v == 4, "ICMP over IPv6")
            need(fold(self.l4) == 0xffff, "ICMP checksum")
            self.icmp = Icmp(self.l4)
        elif self.proto == ICMPV6:
            need(self.v == 6, "ICMPv6 over IPv4")
            self.icmp = Icmp(self.l4)
        elif self.v:
            raise Malformed(f"IP protocol {self.proto}")

    def _trailer(self, rest):
        """Checks that the bytes after the packet are Ethernet's padding:
        zeroes, in a frame of at most 60 bytes."""
        need(not any(rest) and (not rest or len(self.raw) <= 60),
             f"{len(rest)} bytes after the packet")

    def _ip4(self, b):
        need(len(b) >= 20 and b[0] == 0x45, "IPv4 header")
        (_, self.tos, length, self.ident, frag, self.ttl, self.proto, _, src,
         dst) = struct.unpack("!BBHHHBBH4s4s", b[:20])
        need(fold(b[:20]) == 0xffff, "IPv4 header checksum")
        need(20 <= length <= len(b), f"IPv4 length {length} of {len(b)}")
        self._trailer(b[length:])
        need(self.ttl, "IPv4 TTL 0")
        self.df = bool(frag & 0x4000)
        self.v, self.src, self.dst = 4, ntop(src), ntop(dst)
        self.l4 = b[20:length]
        if frag & 0x3fff:
            need(not frag & 0xc000, "IPv4 fragment with DF")
            self.frag = Fragment(self.ident, (frag & 0x1fff) * 8,
                                 bool(frag & 0x2000), self.l4)

    def _ip6(self, b):
        need(len(b) >= 40 and b[0] >> 4 == 6, "IPv6 header")
        word, length, self.proto, self.ttl, src, dst = struct.unpack(
            "!IHBB16s16s", b[:40])
        need(40 + length <= len(b), f"IPv6 length {length} of {len(b)}")
        self._trailer(b[40 + length:])
        need(self.ttl, "IPv6 hop limit 0")
        self.tos, self.df = word >> 20 & 0xff, True
        self.v, self.src, self.dst = 6, ntop(src), ntop(dst)
        self.l4 = b[40:40 + length]
        if self.proto == FRAGMENT:
            need(length > 8, "IPv6 fragment header")
            self.proto, reserved, off, ident = struct.unpack(
                "!BBHI", self.l4[:8])
            need(not reserved and not off & 6, "IPv6 fragment header")
            need(off, "atomic fragment")
            self.frag = Fragment(ident, off & 0xfff8, bool(off & 1),
                                 self.l4[8:])

    def __str__(self):
        if self.arp:
            return str(self.arp)
        return (f"{self.src} > {self.dst} "
                f"{self.tcp or self.udp or self.icmp or self.frag}")


def parse(frame):
    return Packet(frame)


def describe(frame):
    """Describes a frame that we send, which may be malformed, in one line."""
    try:
        return str(Packet(frame))
    except (Malformed, struct.error, ValueError) as e:
        return f"{len(frame)} bytes ({e}): {frame[:64].hex()}"
