#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""seeds.py DIR - Writes the frames that fuzzing and mutation start from.

It writes each frame to a file: frames of a guest, of every kind that passt
handles, and some that it must drop. test/net/flood.py calls frames() itself.
"""

import os
import socket
import struct
import sys

GUEST, OURS = bytes.fromhex("525400123456"), bytes.fromhex("9a559a559a55")
ALL = b"\xff" * 6
A4, B4 = "192.0.2.2", "198.51.100.1"
A6, B6, LL6 = "2001:db8:1::2", "2001:db8:2::1", "fe80::5054:ff:fe12:3456"


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H",
                              data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ethernet(etype, payload, dst=OURS):
    return dst + GUEST + struct.pack("!H", etype) + payload


def ip4(proto, payload, src=A4, dst=B4, options=b"", frag=0x4000):
    header = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0,
                         20 + len(options) + len(payload), 1, frag, 64, proto,
                         0, socket.inet_aton(src), socket.inet_aton(dst))
    header += options
    return (header[:10] + struct.pack("!H", checksum(header)) + header[12:] +
            payload)


def ip6(proto, payload, src=A6, dst=B6, hops=64, ext=b""):
    return struct.pack("!IHBB", 6 << 28, len(ext) + len(payload), proto,
                       hops) + pton6(src) + pton6(dst) + ext + payload


def pton6(addr):
    return socket.inet_pton(socket.AF_INET6, addr)


def sealed(proto, segment, at, src, dst):
    """Fills in the checksum of a segment, at offset @at."""
    pack = pton6 if ":" in src else socket.inet_aton
    pseudo = pack(src) + pack(dst) + struct.pack("!IHBB", len(segment), 0, 0,
                                                 proto)
    check = checksum(pseudo + segment) or 0xffff
    return segment[:at] + struct.pack("!H", check) + segment[at + 2:]


def tcp(src, dst, flags, payload=b"", options=b"", sport=40000, dport=7,
        seq=1, ack=0):
    segment = struct.pack("!HHIIBBHHH", sport, dport, seq, ack,
                          (20 + len(options)) // 4 << 4, flags, 65535, 0,
                          0) + options + payload
    return sealed(6, segment, 16, src, dst)


def udp(src, dst, payload, sport=40000, dport=7):
    return sealed(17, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
                  + payload, 6, src, dst)


def icmp(kind, payload, code=0):
    message = struct.pack("!BBH", kind, code, 0) + payload
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def icmp6(kind, payload, src, dst):
    return sealed(58, struct.pack("!BBH", kind, 0, 0) + payload, 2, src, dst)


def arp(op, target, sender=A4):
    return ethernet(0x0806, struct.pack("!HHBBH", 1, 0x0800, 6, 4, op) +
                    GUEST + socket.inet_aton(sender) + bytes(6) +
                    socket.inet_aton(target), ALL)


def dhcp(kind, options=b""):
    payload = struct.pack("!BBBBIHH", 1, 1, 6, 0, 0x12345678, 0, 0x8000) + \
        bytes(16) + GUEST + bytes(10 + 64 + 128) + b"\x63\x82\x53\x63" + \
        bytes((53, 1, kind)) + options + b"\x37\x07\x01\x03\x06\x0c\x0f\x1a" \
        b"\x77\xff"
    return ethernet(0x0800, ip4(17, udp("0.0.0.0", "255.255.255.255", payload,
                                        68, 67), "0.0.0.0",
                                "255.255.255.255"), ALL)


def dhcpv6(kind, options=b""):
    dst = "ff02::1:2"
    payload = bytes((kind,)) + b"\x11\x22\x33" + \
        struct.pack("!HHHH", 1, 10, 3, 1) + GUEST + \
        struct.pack("!HHIII", 3, 12, 1, 0, 0) + \
        struct.pack("!HHHH", 6, 4, 23, 24) + options
    return ethernet(0x86dd, ip6(17, udp(LL6, dst, payload, 546, 547), LL6,
                                dst, 1), bytes.fromhex("333300010002"))


def ndp(kind, payload, src, dst):
    return ethernet(0x86dd, ip6(58, icmp6(kind, payload, src, dst), src, dst,
                                255), b"\x33\x33" + pton6(dst)[12:])


MSS = b"\x02\x04\x05\xb4\x01\x03\x03\x07"
LLA = b"\x01\x01" + GUEST


def arp_frames():
    yield "arp-request", arp(1, "192.0.2.1")
    yield "arp-probe", arp(1, A4, "0.0.0.0")
    yield "arp-reply", arp(2, "192.0.2.1")


def tcp_frames():
    flags_of = {"syn": 2, "ack": 16, "data": 24, "fin": 17, "rst": 4,
                "null": 0, "xmas": 63}
    for name, flags in flags_of.items():
        data = b"hello" if name == "data" else b""
        options = MSS if name == "syn" else b""
        yield f"tcp4-{name}", ethernet(0x0800, ip4(
            6, tcp(A4, B4, flags, data, options)))
        yield f"tcp6-{name}", ethernet(0x86dd, ip6(
            6, tcp(A6, B6, flags, data, options)))
    yield "tcp4-padded", ethernet(0x0800, ip4(6, tcp(A4, B4, 16))) + bytes(6)


def udp_frames():
    yield "udp4", ethernet(0x0800, ip4(17, udp(A4, B4, b"hello")))
    yield "udp4-empty", ethernet(0x0800, ip4(17, udp(A4, B4, b"")))
    yield "udp6", ethernet(0x86dd, ip6(17, udp(A6, B6, b"hello")))
    yield "udp6-extension", ethernet(0x86dd, ip6(
        0, udp(A6, B6, b"hello"), ext=b"\x3c\0\1\4\0\0\0\0\x11\0\1\4\0\0\0\0"))
    yield "udp4-options", ethernet(0x0800, ip4(
        17, udp(A4, B4, b"hello"), options=b"\x94\4\0\0"))
    yield "udp4-fragment", ethernet(0x0800, ip4(
        17, udp(A4, B4, b"hello"), frag=0x2000))
    yield "udp6-fragment", ethernet(0x86dd, ip6(
        44, udp(A6, B6, b"hello"), ext=b"\x11\0\0\1\0\0\0\7"))
    yield "udp6-atomic", ethernet(0x86dd, ip6(
        44, udp(A6, B6, b"hello"), ext=b"\x11\0\0\0\0\0\0\7"))


def icmp_frames():
    yield "echo4", ethernet(0x0800, ip4(1, icmp(8, b"\1\2\0\1payload")))
    yield "echo6", ethernet(0x86dd, ip6(58, icmp6(
        128, b"\1\2\0\1payload", A6, B6)))
    yield "unreachable4", ethernet(0x0800, ip4(1, icmp(
        3, bytes(4) + ip4(17, udp(B4, A4, b"hello"), B4, A4), 3)))


def dhcp_frames():
    for name, kind in (("discover", 1), ("request", 3), ("decline", 4),
                       ("release", 7), ("inform", 8)):
        yield f"dhcp-{name}", dhcp(kind, b"\x32\4" + socket.inet_aton(A4))
    for name, kind in (("solicit", 1), ("request", 3), ("confirm", 4),
                       ("renew", 5), ("rebind", 6), ("release", 8),
                       ("decline", 9), ("information", 11)):
        options = b"\0\x0e\0\0" if kind == 1 else b""
        if kind in (3, 5, 8, 9):
            options = struct.pack("!HHHH", 2, 10, 3, 1) + OURS
        yield f"dhcpv6-{name}", dhcpv6(kind, options)


def ndp_frames():
    solicited = "ff02::1:ff00:1"
    yield "rs", ndp(133, bytes(4) + LLA, LL6, "ff02::2")
    yield "ns", ndp(135, bytes(4) + pton6("fe80::1") + LLA, LL6, solicited)
    yield "ns-dad", ndp(135, bytes(4) + pton6(A6), "::", "ff02::1:ff00:2")
    yield "na", ndp(136, b"\x60\0\0\0" + pton6(LL6) + b"\2\1" + GUEST, LL6,
                    "ff02::1")
    yield "mld", ethernet(0x86dd, ip6(0, icmp6(
        143, b"\0\0\0\1\4\0\0\0" + pton6(solicited), LL6, "ff02::16"), LL6,
        "ff02::16", 1, b"\x3a\0\5\2\0\0\1\0"), bytes.fromhex("333300000016"))
    yield "ns-atomic", ethernet(0x86dd, ip6(44, icmp6(
        135, bytes(4) + pton6("fe80::1"), LL6, solicited), LL6, solicited,
        255, b"\x3a\0\0\0\0\0\0\7"))


def tagged_frames():
    yield "vlan", ethernet(0x8100, b"\0\1\x08\0" + ip4(6, tcp(A4, B4, 2)))
    yield "priority4", ethernet(0x8100, b"\xe0\0\x08\0" + ip4(
        17, udp(A4, B4, b"hello"), frag=0x2000))
    yield "priority6", ethernet(0x88a8, b"\x20\0\x81\0\0\0\x86\xdd" + ip6(
        17, udp(A6, B6, b"hello")))


def frames():
    """Yields the name and the bytes of each seed."""
    for some in (arp_frames, tcp_frames, udp_frames, icmp_frames, dhcp_frames,
                 ndp_frames, tagged_frames):
        yield from some()
    yield "short", GUEST


def fragments4(segment):
    """Cuts a segment into IPv4 fragments of 16 bytes."""
    for off in range(0, len(segment), 16):
        part = segment[off:off + 16]
        more = 0x2000 if off + 16 < len(segment) else 0
        yield ethernet(0x0800, ip4(17, part, frag=more | off // 8))


def fragments6(segment):
    for off in range(0, len(segment), 16):
        part = segment[off:off + 16]
        yield ethernet(0x86dd, ip6(44, part, ext=struct.pack(
            "!BBHI", 17, 0, off | (off + 16 < len(segment)), 7)))


def sequences():
    """Yields inputs for test/fuzz/fragments.c: lists of frames, and a list of
    fragments for its model."""
    for name, parts in (
            ("v4", fragments4(udp(A4, B4, bytes(range(50))))),
            ("v6", fragments6(udp(A6, B6, bytes(range(50)))))):
        parts = [struct.pack("!H", len(p)) + p for p in parts]
        yield f"sequence-{name}", b"\1" + b"".join(parts)
        yield f"sequence-{name}-back", b"\1" + b"".join(parts[::-1])
        yield f"sequence-{name}-twice", b"\1" + b"".join(parts[:2] * 2)
    yield "model", b"\0" + b"".join(
        bytes((kind | key << 1, unit, 0, 0, 0))
        for key in range(4) for kind, unit in ((32, 0), (32, 1), (0, 2)))


def main(path):
    os.makedirs(path, exist_ok=True)
    for name, frame in [*frames(), *sequences()]:
        with open(os.path.join(path, name), "wb") as f:
            f.write(frame)


if __name__ == "__main__":
    main(sys.argv[1])
