#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""seeds.py DIR TARGET - Writes the inputs that fuzzing starts from.

It writes each input to a file. For most targets, inputs are frames of a guest,
of every kind that passt handles, and some that it must drop. test/net/flood.py
calls frames() itself. For vhost_msg and vhost_ring, inputs are lists of steps
(test/fuzz/steps.h). events.py and texts.py have the inputs of other targets.
"""

import os
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import events  # noqa: E402
import texts  # noqa: E402

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
    for name, floods in (
            ("many", ((1, 0, 0, 70), (4, 8, 0, 70))),
            ("long", ((1, 60000, 0, 30), (5, 30000, 255, 30))),
            *((f"oldest-{n}", ((1, 0, 0, 1), (1, 60000, 0, n), (
                5, 62000, 0, 1))) for n in (13, 14, 15)),
            ("grow", ((1, 0, 0, 30), (1, 30000, 0, 14), (5, 62000, 9, 30))),
            ("late", ((9, 8000, 0, 60), (9, 8000, 0, 60), (12, 16, 0, 79)))):
        yield f"flood-{name}", b"\2" + b"".join(
            struct.pack("!BHBB", *flood) for flood in floods)


def step(op, a=0, b=0, c=0, x=0, y=0, z=0, w=0):
    """struct step of test/fuzz/steps.h"""
    return struct.pack("<BBBBHHHH", op, a, b, c, x, y, z, w)


def numbers(names, often):
    """Bytes for steps: those that are not done often begin at 192."""
    names = names.split()
    rare = 192 + -192 % len(names)
    return {name: i if i < often else rare + i for i, name in enumerate(names)}


RING = numbers("""DESC AVAIL INDEX POST SEND POKE EVENT RACE REFILL BURST COMMIT
               FLUSH STALLED KICK STOP START ENABLE RESET FEATURES MEMORY AGAIN
               CUT""", 13)
NO_MERGE, NO_EVENTS, NO_CSUM, NO_TSO, NO_V1 = 1, 2, 4, 8, 32
BOTH_64 = 0x66                  # entries of both rings
DOWN, UP = 0, 1                 # rings


def rings():
    """What test/fuzz/vhost_ring.c reads."""
    def post(n=8, size=1600, first=0, others=1, table=0, at=0x2000,
             distance=None, flags=0):
        return step(RING["POST"], n - 1 | flags, first, others, at, size, table,
                    size if distance is None else distance)

    def send(kind=0, size=100, first=0, others=1, at=0x9000, flags=0):
        return step(RING["SEND"], kind << 1 | flags, first, others, at, size)

    def commit(n=2, size=1000, meta=0, slots=None):
        return step(RING["COMMIT"], meta | 64, (slots or n) - 1, n, size)

    flush, burst, refill = (step(RING[x]) for x in ("FLUSH", "BURST",
                                                    "REFILL"))
    to_guest = post() + commit() + flush + commit(3, 60, 1) + flush
    from_guest = b"".join(send(kind, at=0x9000 + 0x200 * kind)
                          for kind in range(6)) + burst + refill
    for name, less in (("all", 0), ("no-merge", NO_MERGE),
                       ("no-events", NO_EVENTS), ("no-csum", NO_CSUM),
                       ("old", NO_MERGE | NO_V1 | NO_TSO)):
        begin = step(0, less, BOTH_64)
        yield f"{name}-to-guest", begin + to_guest
        yield f"{name}-from-guest", begin + from_guest
    begin = step(0, 0, BOTH_64, w=0xfff0)
    yield "gso-to-guest", begin + post(30, 2048) + commit(1, 40000, 2) + flush
    yield "gso-from-guest", begin + send(0, 9000, flags=32) + send(
        1, 9000, flags=32, at=0x2000) + burst + send(2, 9000, flags=96) + burst
    yield "indirect", begin + post(others=4, table=0x6000, distance=0) + \
        commit() + flush + send(others=128 + 3) + burst
    yield "short-pieces", begin + post(others=40, size=80) + commit(
        3, 200) + flush + send(others=100) + burst
    yield "headers-apart", begin + post(first=12) + commit() + flush + \
        send(first=12) + burst
    yield "many-pieces", begin + 3 * post(3, 1000, others=250, table=0x4001,
                                          distance=0) + commit(
        5, 600, slots=8) + flush
    yield "two-regions", begin + post(1, 1400, others=235, table=0x4000,
                                      at=0x7fff, flags=32) + commit(1, 600)
    yield "many-bounces", begin + post(31, 80, first=12) + post(
        31, 80, first=12) + commit(1, 60) + 6 * commit(0, 60, slots=16) + flush
    yield "given-back", begin + post() + commit(1, 500, slots=8) + commit(
        2, 300) + flush
    yield "blocked", begin + commit() + post() + step(
        RING["KICK"]) + commit() + flush + step(RING["STALLED"])
    yield "told", begin + step(RING["EVENT"], DOWN, 2) + to_guest + step(
        RING["EVENT"], UP, 0) + from_guest
    yield "lies", begin + send(0, 500, flags=96) + send(4, 100, flags=64) + \
        burst
    yield "bad", begin + step(RING["DESC"], UP, 3, 0, 0xffff, 100) + step(
        RING["AVAIL"], UP, 3) + burst
    yield "loop", begin + step(RING["DESC"], UP | 1 << 2, 3, 3, 0x2000,
                               1) + step(RING["AVAIL"], UP, 3) + refill
    yield "beyond", begin + step(RING["DESC"], UP | 1 << 2, 3, 64, 0x2000,
                                 1) + step(RING["AVAIL"], UP, 3) + refill
    yield "head-beyond", begin + step(RING["AVAIL"], UP, 64) + refill
    yield "jump", begin + step(RING["INDEX"], UP, x=0x8000) + refill
    yield "race", begin + post() + step(RING["RACE"], 128 | 1, 0xff, 0,
                                        0x18) + commit(4) + flush
    yield "race-from-guest", begin + from_guest + send() + send() + step(
        RING["RACE"], 128 | 1, 7, 1, 0x68) + burst
    yield "stopped", begin + post() + commit() + step(
        RING["STOP"], DOWN) + commit() + step(RING["START"], DOWN) + \
        commit() + flush
    yield "disabled", begin + post() + commit() + step(
        RING["ENABLE"], DOWN, 0) + commit() + send() + step(
        RING["ENABLE"], UP, 0) + burst
    yield "reset", begin + post() + commit() + step(RING["RESET"]) + commit()
    yield "features", begin + post() + commit() + step(
        RING["FEATURES"], NO_MERGE | NO_EVENTS) + commit() + flush
    yield "memory", begin + post() + commit() + step(
        RING["MEMORY"], 1, 2) + step(RING["MEMORY"], 2, 2) + step(
        RING["MEMORY"], 0, 7) + commit() + flush
    yield "again", begin + post() + commit() + step(
        RING["AGAIN"], DOWN, 1, x=0) + step(RING["KICK"]) + commit() + flush
    yield "cut", begin + post() + send() + commit() + step(
        RING["CUT"], 65, 3, 3, x=0x3000, y=1000)
    yield "second-pair", step(0, 0, BOTH_64, 8) + to_guest + from_guest + step(
        RING["ENABLE"], DOWN, 0) + step(RING["STOP"], UP)
    yield "elsewhere", step(0, 0, BOTH_64, 4, 0x8000, 0x8400, 0x8600) + \
        to_guest


MSG = numbers("""SAY HEAR KICK POST SEND POKE REFILL COMMIT FLUSH RAW CUT
              LEAVE""", 10)
GET_FEATURES, SET_MEM_TABLE = 1, 5
(SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK,
 SET_VRING_CALL, SET_VRING_ERR) = range(8, 15)
SET_VRING_ENABLE, SET_BACKEND_REQ_FD = 18, 21
ADD_MEM_REG, REM_MEM_REG = 37, 38
REQUESTS = (*range(1, 6), *range(8, 19), 20, 21, 34, 36, 37, 38, 39, 40, 63)
(WANT_REPLY, WRONG_BYTES, WRONG_SIZE, WRONG_COUNT, WRONG_FD, NOT_HEARD, IN_TWO,
 FDS_TWICE) = (1 << i for i in range(8))
ALL_RIGHT, NO_BEGINNING = 254, 255      # which message of the beginning is not


def messages():
    """What test/fuzz/vhost_msg.c reads."""
    def say(request, ring=0, a=0, c=0, **fields):
        return step(MSG["SAY"], a, request | ring << 6, c, **fields)

    begin = step(ALL_RIGHT)
    frames = step(MSG["POST"], 3, 12, x=0, y=1600) + step(
        MSG["KICK"]) + step(MSG["COMMIT"], 3, 2, x=1000) + step(
        MSG["FLUSH"]) + step(MSG["SEND"], 2, 12, x=0x4000, y=100) + step(
        MSG["KICK"], UP) + step(MSG["REFILL"])
    yield "frames", begin + frames
    for i, request in enumerate(REQUESTS):
        yield f"message-{request}", begin + frames[:36] + say(
            request, i & 1, WANT_REPLY) + frames
    for name, how in (("bytes", WRONG_BYTES), ("size", WRONG_SIZE),
                      ("count", WRONG_COUNT), ("fd", WRONG_FD),
                      ("two", IN_TWO),
                      ("twice", IN_TWO | FDS_TWICE | WRONG_COUNT)):
        yield f"wrong-{name}", begin + say(
            SET_MEM_TABLE, 0, how, 0x55, y=9, z=0xff, w=20) + frames
    for name, fields in (("wraps", {"y": 15, "z": 0xff, "w": 0xff00}),
                         ("empty", {"y": 17, "z": 0x80}),
                         ("overlaps", {"y": 41, "z": 0x80})):
        yield f"region-{name}", begin + say(SET_MEM_TABLE, 0, WRONG_BYTES,
                                            **fields) + frames
    for fd in range(16):
        yield f"fd-{fd}", begin + b"".join(
            say(request, 1, WRONG_FD, fd) for request in (
                SET_VRING_CALL, SET_VRING_KICK, SET_BACKEND_REQ_FD)) + frames
    for request in (SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE,
                    GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL,
                    SET_VRING_ERR, SET_VRING_ENABLE):
        yield f"no-ring-{request}", begin + say(
            request, 0, WRONG_BYTES, y=0, z=32) + frames
    yield "second-pair", begin + b"".join(
        say(request, ring) for ring in (2, 3) for request in (
            SET_VRING_NUM, SET_VRING_BASE, SET_VRING_ADDR, SET_VRING_KICK,
            SET_VRING_CALL, SET_VRING_ENABLE)) + step(
        MSG["POST"], 3, 12, 1, x=0, y=1600) + step(MSG["KICK"]) + step(
        MSG["COMMIT"], 3, 2, 1, x=1000) + frames
    yield "beyond-the-file", begin + say(REM_MEM_REG, x=2) + say(
        ADD_MEM_REG, 0, WRONG_BYTES, x=2, y=33, z=0x30) + frames
    yield "slots", begin + say(REM_MEM_REG, x=2) + say(
        ADD_MEM_REG, x=2) + frames
    yield "restart", begin + frames + say(GET_VRING_BASE, UP) + say(
        SET_VRING_BASE, UP, x=0) + say(SET_VRING_KICK, UP) + frames
    yield "ring-gone", begin + frames + say(REM_MEM_REG, x=0) + frames
    yield "no-descriptor", begin + say(SET_VRING_KICK, x=1) + say(
        SET_VRING_CALL, x=1) + frames
    yield "raw", begin + step(MSG["RAW"], 0x50, 1, 0, x=1, z=0) + frames
    yield "unfinished", begin + step(MSG["RAW"], 1, 99, 1, x=1, y=264,
                                     z=260) + frames
    yield "too-long", begin + step(MSG["RAW"], 1, 2, 1, x=1, y=299,
                                   z=299) + frames
    yield "cut", begin + frames + step(MSG["CUT"], 0, x=0x3000) + frames
    yield "leave", begin + frames[:48] + step(MSG["LEAVE"])
    yield "nothing", step(NO_BEGINNING) + say(GET_FEATURES)
    for i in range(24):
        yield f"without-{i}", step(i, 0, 1) + frames


def inputs(target):
    """Name and bytes of each seed."""
    if target == "vhost_ring":
        return rings()
    if target == "vhost_msg":
        return messages()
    if target == "guest":
        return events.guests([*frames()])
    if target == "stream":
        return events.streams([*frames()])
    if target == "netlink":
        return events.answers()
    if target == "watch":
        return events.changes()
    if target in ("tcp_walk", "tcp_world", "sched", "apply"):
        return events.draws()
    if target in ("rule", "resolv", "conf", "cmdline"):
        return ((f"text-{i}", text.encode())
                for i, text in enumerate(texts.texts(target)))
    if target == "fragments":
        return sequences()
    return frames()


def main(path, target):
    os.makedirs(path, exist_ok=True)
    for name, data in inputs(target):
        with open(os.path.join(path, name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
