# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests the checks of lib/, which must notice errors. Needs no passt."""
import random
import struct

from lib import dhcp, packet, script, tcp
from lib.case import Failure, both, main, test
from lib.netns import HOST, PEER
from lib.packet import ACK, ETH_IP, ETH_IPV6, SYN, Malformed, Packet
from lib.tcp import Conn

US, GUEST = "9a:55:9a:55:9a:55", "52:54:00:12:34:56"


def frames(v):
    """Yields a valid frame of each kind, as passt might send it."""
    def ip(proto, l4, **kw):
        return packet.eth(GUEST, US, ETH_IP if v == 4 else ETH_IPV6,
                          packet.ip(PEER[v], HOST[v], proto, l4, **kw))
    a, b = PEER[v], HOST[v]
    yield ip(packet.TCP, packet.tcp(a, b, 80, 1024, 1, 2, SYN | ACK,
                                    options=packet.opt_mss(1460)))
    yield ip(packet.TCP, packet.tcp(a, b, 80, 1024, 1, 2, ACK,
                                    data=b"odd number of bytes"))
    yield ip(packet.UDP, packet.udp(a, b, 53, 1024, b"answer"))
    yield ip(packet.ICMP if v == 4 else packet.ICMPV6,
             packet.echo(a, b, 1, 2, b"payload", reply=True))


def refuses(frame, what):
    try:
        Packet(frame)
    except Malformed:
        return
    raise Failure(f"not noticed: {what}")


@test("checker", both)
def good_frames_pass(w, v):
    for f in frames(v):
        p = Packet(f)
        if (p.src, p.dst, p.eth_src) != (PEER[v], HOST[v], US):
            raise Failure(str(p))


@test("checker", both)
def every_flipped_bit_is_noticed(w, v):
    """It skips bits that no checksum covers: MAC addresses, and IPv6 traffic
    class, flow label and hop limit."""
    for f in frames(v):
        for byte in range(12, len(f)):
            if v == 6 and (byte in (14, 15, 16, 17, 21)):
                continue
            for bit in range(8):
                bad = bytearray(f)
                bad[byte] ^= 1 << bit
                refuses(bytes(bad), f"byte {byte} bit {bit}")


@test("checker", both)
def every_truncation_is_noticed(w, v):
    for f in frames(v):
        for n in range(len(f)):
            refuses(f[:n], f"{n} of {len(f)} bytes")
        refuses(f + b"x", "a byte too many")
        refuses(f + bytes(80), "padding beyond the minimum")


@test("checker")
def dhcp_messages_are_taken_apart(w):
    good = bytearray(dhcp.message(GUEST, [dhcp.kind(2)]))
    good[0] = 2
    if dhcp.Message(bytes(good)).kind != 2:
        raise Failure("a good one")
    for bad in (good[:-1], good[:239], good[:-4] + b"\x01\x03abc\xff",
                good[:236] + b"abcd" + good[240:], good + b"x"):
        try:
            dhcp.Message(bytes(bad))
        except Malformed:
            continue
        raise Failure(f"not noticed: {bytes(bad[236:])!r}")


class Deaf:
    """A guest without a link: the test makes its packets."""
    def __init__(self, v):
        self.addr, self.v, self.queue = HOST, v, []

    def frame(self, *args, **kw):
        return b""

    def send_frame(self, frame):
        pass

    def recv(self, match, timeout):
        return self.queue.pop(0) if self.queue else None

    def segment(self, c, flags, seq, ack, **kw):
        self.queue.append(Packet(packet.eth(
            GUEST, US, ETH_IP if self.v == 4 else ETH_IPV6, packet.ip(
                c.remote, c.addr, packet.TCP, packet.tcp(
                    c.remote, c.addr, c.rport, c.port, seq, ack, flags,
                    **kw)))))


@test("checker", both)
def segments_that_no_tcp_may_send_are_noticed(w, v):
    ours, theirs = 0xffffff00, 0xfffffff0
    for what, flags, seq, ack, kw in (
            ("ACK of the future", ACK, 1, 500, {}),
            ("data beyond the window", ACK, 65000, 1, {"data": b"x" * 999}),
            ("data beyond the MSS", ACK, 1, 1, {"data": b"x" * 1461}),
            ("a window that shrinks", ACK, 1, 1, {"win": 100}),
            ("unasked SACK", ACK, 1, 1,
             {"options": packet.opt_sack([(ours + 2, ours + 3)])}),
            ("other bytes", ACK, 1, 1, {"data": b"zzzz"})):
        g = Deaf(v)
        c = Conn(g, PEER[v], 80, iss=ours, mss=1460)
        c.syn()
        g.segment(c, SYN | ACK, theirs, ours + 1, win=30000)
        c.expect(SYN | ACK, seq=0, ack=1)
        c.send(ACK)
        g.segment(c, ACK, theirs + 1, ours + 1, data=b"abcd", win=30000)
        c.expect(ACK, seq=1, size=4)
        kw.setdefault("win", 30000)
        g.segment(c, flags, theirs + seq, ours + ack, **kw)
        try:
            c.recv()
        except Failure:
            continue
        raise Failure(f"not noticed: {what}")


@test("checker")
def a_script_with_a_mistake_is_an_error(w):
    for line in ("guest dances", "nobody sends SYN", "guest sends SIN",
                 "guest sends SYN seq", "guest sends SYN sequence 5",
                 "peer is fine", "guest receives data 1-5",
                 "after 5 peer closes", "peer reads EOF twice"):
        s = script.Script.__new__(script.Script)
        s.v, s.sock, s.rport, s.remote = 4, None, 80, PEER[4]
        s.guest = s.conn = Conn(Deaf(4), PEER[4], 80)
        s.gport, s.iss = None, 0
        s.guest.send_frames = lambda f: None
        s.sock = type("S", (), {"recv": lambda self, n: b""})()
        try:
            s.block(script.parse_blocks(line))
        except Failure as e:
            if "Wrong" in str(e):
                continue
            raise
        raise Failure(f"not noticed: {line}")


@test("checker")
def streams_are_what_they_were(w):
    r = random.Random(1)
    whole = tcp.stream(0, 200000)
    for _ in range(100):
        a = r.randrange(200000)
        b = r.randrange(a, 200001)
        if tcp.stream(a, b) != whole[a:b]:
            raise Failure(f"{a}..{b}")
    if tcp.diff32(5, 0xfffffffb) != 10 or tcp.diff32(0xfffffffb, 5) != -10:
        raise Failure("diff32")
    if packet.checksum(struct.pack("!H", 0)) != 0xffff:
        raise Failure("checksum")


if __name__ == "__main__":
    main()
