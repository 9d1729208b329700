# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests of pings (doc/design.md: I1 and I2)."""
import os
import socket
import struct
import time

from lib import packet
from lib.case import Failure, Skip, both, main, only4, test
from lib.guest import fresh_port
from lib.netns import (DEAD, GATEWAY, HOST, PEER, PEER2, UNREACHABLE,
                       sysctl)
from lib.packet import ICMP, ICMPV6

HLEN = {4: 20, 6: 40}


def is_reply(v, src=None, ident=None):
    kind = 0 if v == 4 else 129
    return lambda p: (p.icmp and p.v == v and p.icmp.kind == kind and
                      (src is None or p.src == src) and
                      (ident is None or p.icmp.ident == ident))


def ping(g, v, dst, ident, seq, data=b"payload", **kw):
    g.send_echo(dst, ident, seq, data, **kw)
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
    """Given an echo request, then every size up to the path MTU works."""
    g = w.guest()
    for n in (0, 1, 7, 56, 1400, 1500 - HLEN[v] - 8):
        ping(g, v, PEER[v], 77, n & 0xffff, os.urandom(n))


@test("I1", only4)
def longer_than_the_way_takes_without_df(w, v):
    """The host's kernel fragments the request, the peer's reassembles it."""
    g = w.guest()
    for n in (1473, 9000, 40000):
        ping(g, v, PEER[v], 77, n & 0xffff, os.urandom(n), frag=0)


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
    """The host answers; the real gateway gets nothing."""
    g = w.guest()
    ping(g, v, GATEWAY[v], 5, 1)


@test("I1", both)
def no_reply_from_a_dead_host(w, v):
    """passt must not answer for a host that does not exist."""
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
    """passt answers no pings to loopback, multicast, broadcast and unspecified
    addresses."""
    g = w.guest()
    for dst in {4: ("127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0"),
                6: ("::1", "ff02::1", "::", "ff05::1")}[v]:
        g.send_echo(dst, 6, 1, b"anybody?", src=g.addr[v])
    g.silence(is_reply(v), "a reply came")


@test("I1", both)
def replies_that_nobody_asked_for_stay_outside(w, v):
    """When another host sends a reply with the right identifier, then the guest
    does not get it."""
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


def asked(s, v):
    """Waits for an echo request on the veth. Returns its IP packet."""
    s.settimeout(3)
    while True:
        b = s.recv(65536)
        kind = 8 if v == 4 else 128
        proto = b[9] if v == 4 else b[6]
        if proto in (ICMP, ICMPV6) and b[HLEN[v]] == kind:
            return b


def asked_identifier(s, v):
    """Waits for an echo request on the veth. Returns its identifier."""
    at = HLEN[v]
    return int.from_bytes(asked(s, v)[at + 4:at + 6], "big")


def router_says(w, v, kind, code, rest, about):
    """Sends the host an ICMP error from PEER2, which acts as a router.

    @rest: second word of the ICMP header
    @about: packet of the host that the error quotes
    """
    raw = w.keep(w.net.socket(v, socket.SOCK_RAW, proto=ICMP if v == 4
                              else ICMPV6))
    raw.bind((PEER2[v], 0))
    raw.sendto(packet.icmp(PEER2[v], HOST[v], kind, code,
                           struct.pack("!I", rest) + about), (HOST[v], 0))


# ICMP errors that a router may send about an echo request: type, code, second
# word of the header.
ERRORS = {
    4: ((3, 0, 0), (3, 1, 0), (3, 4, 1400), (3, 4, 0), (3, 9, 0), (3, 13, 0),
        (11, 0, 0), (12, 0, 9 << 24)),
    6: ((1, 0, 0), (1, 1, 0), (1, 3, 0), (1, 5, 0), (2, 0, 1400), (3, 0, 0),
        (4, 1, 40)),
}


@test("I1", both)
def errors_come_from_the_router_that_sent_them(w, v):
    """The guest gets the router's error with the same type, code, MTU and
    pointer; it quotes the guest's request."""
    g = w.guest()
    s = w.keep(w.net.in_ns(w.net.outside, sniffer, v))
    for n, (kind, code, rest) in enumerate(ERRORS[v]):
        g.send_echo(DEAD[v], 0x4242, n, b"who is there?", tos=0xb8)
        router_says(w, v, kind, code, rest, asked(s, v))
        p = g.expect(g.is_icmp(kind, PEER2[v]), f"error {kind}, {code}")
        if (p.icmp.code, p.icmp.body[:4]) != (code, struct.pack("!I", rest)):
            raise Failure(f"other error: {p} {p.icmp.body[:4].hex()}")
        q = p.icmp.data
        quoted = packet.ip(g.addr[v], DEAD[v], ICMP if v == 4 else ICMPV6,
                           packet.echo(g.addr[v], DEAD[v], 0x4242, n,
                                       b"who is there?"), tos=0xb8)
        if q[HLEN[v]:] != quoted[HLEN[v]:]:
            raise Failure(f"it quotes {q.hex()}")
        ttl = q[8 if v == 4 else 7]
        if ttl != (1 if kind == (11 if v == 4 else 3) else 64):
            raise Failure(f"it quotes a TTL of {ttl}")
        # All fields but identification, TTL and header checksum are equal.
        if v == 4 and (q[:4] + q[6:8] + q[9:10] + q[12:20] !=
                       quoted[:4] + quoted[6:8] + quoted[9:10] +
                       quoted[12:20] or packet.fold(q[:20]) != 0xffff):
            raise Failure(f"it quotes the header {q[:20].hex()}")
        if v == 6 and q[:7] + q[8:40] != quoted[:7] + quoted[8:40]:
            raise Failure(f"it quotes the header {q[:40].hex()}")


@test("I1", both)
def no_error_is_longer_than_may_be(w, v):
    """The longest error has 576 bytes (RFC 1812 4.3.2.3), or 1280 with IPv6
    (RFC 4443 2.4 (c))."""
    g = w.guest()
    s = w.keep(w.net.in_ns(w.net.outside, sniffer, v))
    g.send_echo(DEAD[v], 3, 1, bytes(1300))
    router_says(w, v, 11 if v == 4 else 3, 0, 0, asked(s, v)[:1232])
    p = g.expect(g.is_icmp(11 if v == 4 else 3, PEER2[v]), "error")
    if len(p.l4) + HLEN[v] != (576 if v == 4 else 1280):
        raise Failure(f"{len(p.l4) + HLEN[v]} bytes")


@test("I1", both)
def errors_about_what_was_not_asked_stay_outside(w, v):
    """The guest gets no error about a request to another host, with another
    identifier, or about something that is no echo request."""
    g = w.guest()
    s = w.keep(w.net.in_ns(w.net.outside, sniffer, v))
    g.send_echo(DEAD[v], 0x4242, 1, b"who is there?")
    about = asked(s, v)
    at, kind = HLEN[v], 11 if v == 4 else 3
    other = bytearray(about)
    other[at - 1] ^= 0x40
    router_says(w, v, kind, 0, 0, bytes(other))
    other = bytearray(about)
    other[at + 4] ^= 0x40
    router_says(w, v, kind, 0, 0, bytes(other))
    other = bytearray(about)
    other[at] = 0 if v == 4 else 129
    router_says(w, v, kind, 0, 0, bytes(other))
    router_says(w, v, kind, 0, 0, about[:at + 4])
    g.silence(g.is_icmp(kind), "an error about what was not asked", 0.5)
    router_says(w, v, kind, 0, 0, about)
    g.expect(g.is_icmp(kind, PEER2[v]), "an error about what was")


@test("I1", both)
def errors_do_not_cost_the_next_request(w, v):
    """When the socket has a pending error of an earlier request, then the next
    request is sent anyway."""
    g = w.guest()
    s = w.keep(w.net.in_ns(w.net.outside, sniffer, v))
    g.send_echo(DEAD[v], 0x4242, 0, b"who is there?")
    about = asked(s, v)
    for seq in range(1, 20):
        router_says(w, v, 3 if v == 4 else 1, 1, 0, about)
        ping(g, v, PEER[v], 0x4242, seq)


@test("I1", both)
def ttl_tos_and_df_go_out(w, v):
    g = w.guest()
    s = w.keep(w.net.in_ns(w.net.outside, sniffer, v))
    for ttl, tos, df in ((1, 0, True), (64, 0xb8, False), (255, 0x03, True),
                         (2, 0xff, False)):
        kw = {"frag": 0x4000 if df else 0} if v == 4 else {}
        g.send_echo(DEAD[v], 8, ttl, b"look at my header", ttl=ttl, tos=tos,
                    **kw)
        b = asked(s, v)
        if v == 4:
            seen = b[8], b[1], bool(b[6] & 0x40)
        else:
            seen = b[7], int.from_bytes(b[:2], "big") >> 4 & 0xff, df
        if seen != (ttl, tos, df):
            raise Failure(f"TTL, TOS, DF are {seen}, not {ttl, tos, df}")


@test("I1", both)
def ttl_and_tos_come_back(w, v):
    """The guest gets TTL and TOS of the reply. Linux replies with the TOS of
    the request, and with TTL 64."""
    g = w.guest()
    for tos in (0, 0xb8, 0x01, 0):
        g.send_echo(PEER[v], 9, tos, b"x", tos=tos)
        p = g.expect(is_reply(v, PEER[v], 9), "echo reply")
        if (p.ttl, p.tos) != (64, tos):
            raise Failure(f"TTL {p.ttl}, TOS {p.tos}, not 64, {tos}")


@test("I1", both)
def too_long_for_the_hosts_interface(w, v):
    """The guest gets an error with the MTU, which quotes its request. Only the
    first such request is answered, too, as the guest did not know the MTU."""
    g = w.guest()
    kw = {"frag": 0x4000} if v == 4 else {}
    g.send_echo(PEER[v], 10, 1, bytes(2000), **kw)
    p = g.expect(g.is_icmp(3 if v == 4 else 2), "too big")
    if (p.icmp.code, p.icmp.body[:4]) != (4 if v == 4 else 0,
                                          struct.pack("!I", 1500)):
        raise Failure(f"other error: {p} {p.icmp.body[:4].hex()}")
    q = p.icmp.data
    if q[HLEN[v] + 4:HLEN[v] + 8] != b"\0\x0a\0\x01":
        raise Failure(f"it quotes {q.hex()}")
    g.expect(is_reply(v, PEER[v], 10), "the reply to the first")
    g.silence(g.is_icmp(3 if v == 4 else 2), "it is said twice", 0.2)
    g.send_echo(PEER[v], 10, 1, bytes(2000), **kw)
    g.expect(g.is_icmp(3 if v == 4 else 2), "too big")
    g.silence(is_reply(v, PEER[v], 10), "the guest knew the MTU", 0.2)
    ping(g, v, PEER[v], 10, 2)


@test("I1", both)
def replies_from_the_guest_are_dropped(w, v):
    """passt drops echo replies that the guest sends."""
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
    """passt survives every type of ICMP, with several codes and random
    bodies."""
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
def lone_fragments_of_echo_are_not_delivered(w, v):
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
