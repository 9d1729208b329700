# SPDX-License-Identifier: AGPL-3.0-or-later
"""Echo (DESIGN 5, rules I1 and I2)."""
import os
import socket
import struct
import time

from lib import packet
from lib.case import Failure, Skip, both, main, test
from lib.guest import fresh_port
from lib.netns import DEAD, GATEWAY, PEER, PEER2, UNREACHABLE, sysctl
from lib.packet import ICMP, ICMPV6


def is_reply(v, src=None, ident=None):
    kind = 0 if v == 4 else 129
    return lambda p: (p.icmp and p.v == v and p.icmp.kind == kind and
                      (src is None or p.src == src) and
                      (ident is None or p.icmp.ident == ident))


def ping(g, v, dst, ident, seq, data=b"payload"):
    g.send_echo(dst, ident, seq, data)
    p = g.expect(is_reply(v, dst, ident), f"echo reply {seq} from {dst}")
    if p.icmp.seq != seq or p.icmp.data != data:
        raise Failure(f"other reply: {p} {p.icmp.data!r}")
    if p.dst not in (g.addr[v], g.link_local):
        raise Failure(f"reply to {p.dst}")
    return p


@test("I1", both)
def identifier_sequence_and_payload_come_back(w, v):
    g = w.guest()
    for seq in (0, 1, 2, 65535):
        ping(g, v, PEER[v], 0x1234, seq, b"payload %d" % seq)


@test("I1", both)
def every_size(w, v):
    g = w.guest()
    for n in (0, 1, 7, 56, 1400, 1473, 9000, 40000):
        ping(g, v, PEER[v], 77, n & 0xffff, os.urandom(n))


@test("I1", both)
def two_identifiers_and_two_hosts_at_once(w, v):
    g = w.guest()
    want = set()
    for i in range(20):
        dst = (PEER, PEER2)[i & 1][v]
        ident = 100 + i // 2
        g.send_echo(dst, ident, i, b"%d" % i)
        want.add((dst, ident, i, b"%d" % i))
    while want:
        p = g.expect(is_reply(v), "reply")
        want.remove((p.src, p.icmp.ident, p.icmp.seq, p.icmp.data))


@test("I1", both)
def one_identifier_to_two_hosts(w, v):
    g = w.guest()
    for i in range(3):
        ping(g, v, PEER[v], 4711, i)
        ping(g, v, PEER2[v], 4711, i)


@test("I1", both)
def the_gateway_is_the_hosts_loopback(w, v):
    """And answers although the real gateway would not have to."""
    g = w.guest()
    ping(g, v, GATEWAY[v], 5, 1)


@test("I1", both)
def no_reply_from_a_dead_host(w, v):
    """Nobody but the host asked answers."""
    g = w.guest()
    for seq in range(3):
        g.send_echo(DEAD[v], 6, seq, b"anybody?")
    g.silence(is_reply(v), "a reply was forged", 1.5)


@test("I1", both)
def no_reply_from_an_unreachable_host(w, v):
    g = w.guest()
    g.send_echo(UNREACHABLE[v], 6, 1, b"anybody?")
    g.silence(is_reply(v), "a reply was forged", 1)


@test("I1", both)
def no_reply_for_the_guests_own_address(w, v):
    """Or for addresses that can't be asked."""
    g = w.guest()
    for dst in {4: ("127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0"),
                6: ("::1", "ff02::1", "::", "ff05::1")}[v]:
        g.send_echo(dst, 6, 1, b"anybody?", src=g.addr[v])
    g.silence(is_reply(v), "a reply came")


@test("I1", both)
def replies_that_nobody_asked_for_stay_outside(w, v):
    """A raw socket outside sends replies with a known identifier."""
    g = w.guest()
    seen = w.net.in_ns(w.net.outside, sniffer, v)
    w.keep(seen)
    ping(g, v, PEER[v], 321, 1)
    ident = asked_identifier(seen, v)
    raw = w.keep(w.net.socket(v, socket.SOCK_RAW, proto=ICMP if v == 4
                              else ICMPV6))
    raw.bind((PEER2[v], 0))
    body = struct.pack("!HH", ident, 1) + b"forged"
    me = g.addr[v]
    raw.sendto(packet.icmp(PEER2[v], me, 0 if v == 4 else 129, 0, body),
               (me, 0))
    g.silence(is_reply(v), "a reply from another host", 0.5)
    ping(g, v, PEER[v], 321, 2)


def sniffer(v):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                      socket.htons(0x0800 if v == 4 else 0x86dd))
    s.bind(("v1", 0x0800 if v == 4 else 0x86dd))
    return s


def asked_identifier(s, v):
    """The identifier of the first echo request on the veth."""
    s.settimeout(3)
    while True:
        b = s.recv(65536)
        at = 20 if v == 4 else 40
        kind = 8 if v == 4 else 128
        proto = b[9] if v == 4 else b[6]
        if proto in (ICMP, ICMPV6) and b[at] == kind:
            return int.from_bytes(b[at + 4:at + 6], "big")


@test("I1", both)
def replies_from_the_guest_are_dropped(w, v):
    """The guest answers nobody's question."""
    g = w.guest()
    s = w.keep(w.net.in_ns(w.net.outside, sniffer, v))
    me = g.addr[v]
    g.send_ip(PEER[v], ICMP if v == 4 else ICMPV6, packet.echo(
        me, PEER[v], 9, 9, b"unasked", reply=True))
    s.settimeout(0.4)
    end = time.monotonic() + 0.4
    try:
        while time.monotonic() < end:
            b = s.recv(65536)
            if b"unasked" in b:
                raise Failure("the reply left the host")
    except TimeoutError:
        pass
    ping(g, v, PEER[v], 10, 1)


@test("I1", both)
def malformed_echo_is_dropped(w, v):
    g = w.guest()
    proto, kind = (ICMP, 8) if v == 4 else (ICMPV6, 128)
    me = g.addr[v]
    good = packet.echo(me, PEER[v], 11, 1, b"x" * 16)
    g.send_ip(PEER[v], proto, good[:2] + bytes([good[2] ^ 1]) + good[3:])
    for n in range(0, 8):
        body = packet.icmp(me, PEER[v], kind, 0, b"\0\x0b\0\x01")[:n]
        if body:
            g.send_ip(PEER[v], proto, body)
    g.send_ip(PEER[v], proto, packet.icmp(me, PEER[v], kind, 5,
                                          b"\0\x0b\0\x01code"))
    p = g.recv(is_reply(v), 0.3)
    if p is not None and p.icmp.data != b"code":
        raise Failure(f"a reply came: {p}")


@test("I1", both)
def other_kinds_do_no_harm(w, v):
    """Every type and a few codes, with odd bodies"""
    g = w.guest()
    proto, me = (ICMP if v == 4 else ICMPV6), g.addr[v]
    for kind in range(256):
        if v == 6 and 133 <= kind <= 137 or kind == (8 if v == 4 else 128):
            continue
        g.send_ip(PEER[v], proto, packet.icmp(
            me, PEER[v], kind, kind & 3, bytes(4) + os.urandom(kind & 31)))
    ping(g, v, PEER[v], 12, 1)


@test("I1", both)
def a_hundred_identifiers(w, v):
    g = w.guest()
    before = g.passt.fds()
    for i in range(100):
        ping(g, v, PEER[v], 2000 + i, 1)
    after = g.passt.fds()
    if after is not None and after - before > 110:
        raise Failure(f"{after - before} descriptors for 100 flows")


@test("I1", both)
def fragments_of_echo_are_dropped(w, v):
    g = w.guest()
    me = g.addr[v]
    m = packet.echo(me, PEER[v], 13, 1, b"x" * 16)
    if v == 4:
        g.send_ip(PEER[4], ICMP, m, frag=0x2000)
    else:
        g.send_ip(PEER[6], 44, struct.pack("!BBHI", ICMPV6, 0, 1, 7) + m)
    g.silence(is_reply(v), "a fragment was answered")


@test("I1", both)
def no_icmp_is_silence(w, v):
    g = w.guest("--no-icmp", hello=v == 4)
    g.send_echo(PEER[v], 14, 1, b"hello", src=g.addr[v])
    g.silence(is_reply(v), "ICMP is off")
    g.send_udp(PEER[v], fresh_port(), 1, b"x")
    g.flush()


@test("I2")
def without_permission_start_up_says_which_sysctl(w):
    with open("/proc/sys/net/ipv4/ping_group_range") as f:
        old = f.read()
    try:
        sysctl("net.ipv4.ping_group_range", "1 0")
    except OSError as e:
        raise Skip(f"ping_group_range can't be set: {e}") from None
    w.undo.append(lambda: sysctl("net.ipv4.ping_group_range", old))
    p = w.start()
    p.wait_ready()
    g = w.join(p)
    g.send_echo(PEER[4], 15, 1, b"hello")
    g.silence(is_reply(4), "no ping sockets, no reply")
    if "ping_group_range" not in p.log():
        raise Failure(f"the sysctl is not named: {p.log()[-300:]}")
    s = w.udp(4)
    g.send_udp(PEER[4], fresh_port(), s.getsockname()[1], b"goes on")
    if s.recv(100) != b"goes on":
        raise Failure("other bytes")


if __name__ == "__main__":
    main()
