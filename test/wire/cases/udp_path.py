# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests of UDP's header fields, ICMP errors and GSO batches (doc/design.md: U1
to U5)."""
import socket
import struct

from lib import packet
from lib.case import Failure, both, main, test
from lib.guest import fresh_port
from lib.netns import DEAD, HOST, PEER, PEER2
from lib.packet import ICMP, ICMPV6, UDP

HLEN = {4: 20, 6: 40}
UNREACH = {4: 3, 6: 1}
UDP_SEGMENT = 103           # linux/udp.h
MARKS = ((1, 0, True), (64, 0xb8, False), (255, 0x03, True),
         (2, 0xff, False), (2, 0xff, False), (2, 0xff, True))


def port_of(s):
    return s.getsockname()[1]


def sniffer(w, v):
    """Makes a packet socket that receives all IP packets on the veth."""
    kind = 0x0800 if v == 4 else 0x86dd

    def make():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                          socket.htons(kind))
        s.bind(("v1", kind))
        return s
    return w.keep(w.net.in_ns(w.net.outside, make))


def seen(s, v, dport):
    """Waits for a datagram to this port on the veth. Returns its IP packet."""
    while True:
        b = s.recv(65536)
        if b[9 if v == 4 else 6] == UDP and \
                b[HLEN[v] + 2:HLEN[v] + 4] == struct.pack("!H", dport):
            return b


def header(b, v, df):
    """TTL, TOS and DF of an IP packet; with IPv6, @df in place of DF."""
    if v == 4:
        return b[8], b[1], bool(b[6] & 0x40)
    return b[7], int.from_bytes(b[:2], "big") >> 4 & 0xff, df


def marked(v, ttl, tos, df):
    kw = {"frag": 0x4000 if df else 0} if v == 4 else {}
    return dict(kw, ttl=ttl, tos=tos)


def knock(w, g, v, s, port, dst=None):
    """A peer sends a datagram to a forwarded port. Returns the packet that the
    guest gets."""
    s.sendto(b"knock", (HOST[v], port))
    return g.expect(lambda p: p.udp and p.v == v and p.udp.dport == port,
                    "datagram for the forwarded port")


@test("U3", both)
def ttl_tos_and_df_go_out(w, v):
    g, s = w.guest(), sniffer(w, v)
    me = fresh_port()
    for ttl, tos, df in MARKS:
        g.send_udp(DEAD[v], me, 33434, b"look at my header",
                   **marked(v, ttl, tos, df))
        got = header(seen(s, v, 33434), v, df)
        if got != (ttl, tos, df):
            raise Failure(f"TTL, TOS, DF are {got}, not {ttl, tos, df}")


@test("U3", both)
def ttl_tos_and_df_go_out_in_one_batch(w, v):
    """Each datagram is longer than the one before, so that they form no GSO
    batch, of which the sniffer would see only one packet."""
    g, s = w.guest(), sniffer(w, v)
    me = fresh_port()
    g.send_frames([g.udp_frame(DEAD[v], me, 33435, b"x" * n,
                               **marked(v, *m))
                   for n, m in enumerate(MARKS * 4)])
    for m in MARKS * 4:
        got = header(seen(s, v, 33435), v, m[2])
        if got != m:
            raise Failure(f"TTL, TOS, DF are {got}, not {m}")


@test("U3", both)
def headers_of_answers_from_a_forwarded_port_go_out(w, v):
    g, s, sniff = w.guest("-u", "7600"), w.udp(v), sniffer(w, v)
    p = knock(w, g, v, s, 7600)
    for m in MARKS:
        g.send_udp(p.src, 7600, port_of(s), b"look at my header",
                   src=p.dst, **marked(v, *m))
        got = header(seen(sniff, v, port_of(s)), v, m[2])
        if got != m:
            raise Failure(f"TTL, TOS, DF are {got}, not {m}")


@test("U3", both)
def ttl_and_tos_come_in(w, v):
    """The guest gets TTL and TOS of the peer's datagrams, including ECN."""
    g, s, me = w.guest("-u", "7600"), w.udp(v), fresh_port()
    level = socket.IPPROTO_IP if v == 4 else socket.IPPROTO_IPV6
    g.send_udp(PEER[v], me, port_of(s), b"hello")
    who = s.recvfrom(100)[1]
    for to in (who, (HOST[v], 7600)):
        for ttl, tos in ((7, 0), (200, 0xb8), (200, 0xbb), (64, 0x02)):
            s.setsockopt(level, socket.IP_TTL if v == 4 else
                         socket.IPV6_UNICAST_HOPS, ttl)
            s.setsockopt(level, socket.IP_TOS if v == 4 else
                         socket.IPV6_TCLASS, tos)
            s.sendto(b"look at my header", to)
            p = g.expect(g.is_udp(PEER[v], port_of(s)), "datagram")
            if (p.ttl, p.tos) != (ttl, tos):
                raise Failure(f"TTL {p.ttl}, TOS {p.tos}, not {ttl}, {tos}")


@test("U3", both)
def too_long_for_the_hosts_interface(w, v):
    """Given datagrams with DF, then the guest gets an error with the MTU for
    each of them, which quotes the datagram."""
    g, me = w.guest(), fresh_port()
    kw = marked(v, 64, 0, True)
    kind = 3 if v == 4 else 2
    for n in (1, 3):            # also for each one of a batch
        g.send_frames([g.udp_frame(DEAD[v], me, 9, bytes(2000), **kw)] * n)
        for _ in range(n):
            p = g.expect(g.is_icmp(kind), "too big")
            if (p.icmp.code, p.icmp.body[:4]) != (
                    4 if v == 4 else 0, struct.pack("!I", 1500)):
                raise Failure(f"other error: {p} {p.icmp.body[:4].hex()}")
            q = p.icmp.data
            if q[HLEN[v]:HLEN[v] + 6] != struct.pack("!HHH", me, 9, 2008):
                raise Failure(f"it quotes {q.hex()}")
    g.silence(g.is_icmp(kind), "it is said twice", 0.2)


@test("U3", both)
def the_first_that_is_too_long_arrives(w, v):
    """The first datagram that is too long arrives nevertheless, because the
    guest could not know the MTU; the next one does not."""
    g, kind, kw = w.guest("-u", "7600"), {4: 3, 6: 2}[v], marked(v, 64, 0, True)
    for sport in (fresh_port(), 7600):
        s = w.udp(v, PEER[v] if sport == 7600 else PEER2[v])
        dst, port = s.getsockname()[:2]
        for n in (5000, 2000):
            g.send_udp(dst, sport, port, bytes(n), **kw)
            p = g.expect(g.is_icmp(kind), "too big")
            if p.icmp.body[:4] != struct.pack("!I", 1500):
                raise Failure(f"other error: {p} {p.icmp.body[:4].hex()}")
        g.send_udp(dst, sport, port, b"short", **kw)
        got = [len(s.recv(65536)) for _ in range(2)]
        if got != [5000, 5]:
            raise Failure(f"lengths {got}: the second must be lost")


@test("U3", both)
def too_long_from_a_forwarded_port(w, v):
    g, s = w.guest("-u", "7600"), w.udp(v)
    p = knock(w, g, v, s, 7600)
    g.send_udp(p.src, 7600, port_of(s), bytes(2000), src=p.dst,
               **marked(v, 64, 0, True))
    p = g.expect(g.is_icmp(3 if v == 4 else 2), "too big")
    if p.icmp.body[:4] != struct.pack("!I", 1500):
        raise Failure(f"other error: {p} {p.icmp.body[:4].hex()}")


# ICMP errors that a router may send about a datagram: type, code, second word
# of the header.
ERRORS = {
    4: ((3, 0, 0), (3, 1, 0), (3, 4, 1400), (3, 9, 0), (3, 13, 0),
        (11, 0, 0), (12, 0, 9 << 24)),
    6: ((1, 0, 0), (1, 1, 0), (1, 3, 0), (1, 5, 0), (2, 0, 1400), (3, 0, 0),
        (4, 1, 40)),
}


def router_says(w, v, kind, code, rest, about):
    """Sends the host an ICMP error from PEER2, which acts as a router."""
    raw = w.keep(w.net.socket(v, socket.SOCK_RAW, proto=ICMP if v == 4
                              else ICMPV6))
    raw.bind((PEER2[v], 0))
    raw.sendto(packet.icmp(PEER2[v], HOST[v], kind, code,
                           struct.pack("!I", rest) + about), (HOST[v], 0))


def expect_error(g, v, error, me, port):
    """Fails unless the guest gets this error from the router, and it quotes the
    guest's datagram."""
    kind, code, rest = error
    p = g.expect(g.is_icmp(kind, PEER2[v]), f"error {kind}, {code}")
    if (p.icmp.code, p.icmp.body[:4]) != (code, struct.pack("!I", rest)):
        raise Failure(f"other error: {p} {p.icmp.body[:4].hex()}")
    q = p.icmp.data
    if q[HLEN[v]:HLEN[v] + 4] != struct.pack("!HH", me, port):
        raise Failure(f"it quotes {q.hex()}")
    quoted = packet.ip(g.addr[v], DEAD[v], UDP, b"")
    at, end = (12, 20) if v == 4 else (8, 40)
    if q[at:end] != quoted[at:end]:
        raise Failure(f"it quotes addresses {q.hex()}")
    return q


@test("U3", both)
def errors_come_from_the_router_that_sent_them(w, v):
    """The guest gets the router's error with the same type, code, MTU and
    pointer; it quotes the guest's datagram."""
    g, s = w.guest(), sniffer(w, v)
    for n, error in enumerate(ERRORS[v]):
        me = fresh_port()
        g.send_udp(DEAD[v], me, 33440 + n, b"is this the way?", tos=0xb8)
        router_says(w, v, *error, seen(s, v, 33440 + n))
        q = expect_error(g, v, error, me, 33440 + n)
        if not q.endswith(b"is this the way?"):
            raise Failure(f"it quotes {q.hex()}")
        if (q[1] if v == 4 else q[0] << 4 & 0xf0 | q[1] >> 4) != 0xb8:
            raise Failure(f"it quotes another type of service: {q.hex()}")


@test("U3", both)
def errors_of_forwarded_ports_reach_the_guest(w, v):
    """Flows of a forwarded port share its socket; the guest gets the error of
    each flow."""
    g, s = w.guest("-u", "7600"), sniffer(w, v)
    for n, error in enumerate(ERRORS[v]):
        g.send_udp(DEAD[v], 7600, 33450 + n, b"is this the way?")
        router_says(w, v, *error, seen(s, v, 33450 + n))
        expect_error(g, v, error, 7600, 33450 + n)
    peer = w.udp(v)
    knock(w, g, v, peer, 7600)


@test("U3", both)
def a_closed_port_behind_a_forwarded_one(w, v):
    """When the guest answers a peer that has closed its socket, then the guest
    gets 'port unreachable'."""
    g, s = w.guest("-u", "7600"), w.udp(v)
    p = knock(w, g, v, s, 7600)
    port = port_of(s)
    s.close()
    g.send_udp(p.src, 7600, port, b"are you there?", src=p.dst)
    q = g.expect(g.is_icmp(UNREACH[v], PEER[v]), "port unreachable")
    if q.icmp.data[HLEN[v]:HLEN[v] + 4] != struct.pack("!HH", 7600, port):
        raise Failure(f"it quotes {q.icmp.data.hex()}")


@test("U3", both)
def an_error_is_no_obstacle_for_others(w, v):
    """When the socket has a pending error of another datagram, then the guest's
    next datagram is sent anyway."""
    g, sniff, good = w.guest("-u", "7600"), sniffer(w, v), w.udp(v)
    g.send_udp(DEAD[v], 7600, 33460, b"is this the way?")
    about = seen(sniff, v, 33460)
    for n in range(20):
        router_says(w, v, UNREACH[v], 1, 0, about)
        g.send_udp(PEER[v], 7600, port_of(good), b"%d" % n)
        if good.recv(100) != b"%d" % n:
            raise Failure("another datagram")
        good.sendto(b"%d" % n, (HOST[v], 7600))
        g.expect(g.is_udp(PEER[v], port_of(good)), f"answer {n}")


@test("U1", both)
def one_port_to_many_peers_is_one_port_outside(w, v):
    """All peers see the same port of the host (RFC 4787 REQ-1), and the guest
    sees each peer's own address."""
    g, me = w.guest(), fresh_port()
    peers = [w.udp(v, a) for a in (PEER[v], PEER2[v]) for _ in range(10)]
    for s in peers:
        g.send_udp(s.getsockname()[0], me, port_of(s), b"hello")
        who = s.recvfrom(100)[1]
        if who[:2] != (HOST[v], me):
            raise Failure(f"{s.getsockname()[:2]} sees {who[:2]}, not {me}")
    for s in reversed(peers):
        s.sendto(b"hi", (HOST[v], me))
        g.expect(g.is_udp(s.getsockname()[0], port_of(s), me), "an answer")


@test("U2", both)
def rows_towards_the_guest_keep_their_borders(w, v):
    """Given a GSO batch of a peer, which passt may receive as one, then the
    guest gets the single datagrams."""
    g, s, me = w.guest(), w.udp(v), fresh_port()
    g.send_udp(PEER[v], me, port_of(s), b"hello")
    who = s.recvfrom(100)[1]
    text = bytes(i * 7 + (i >> 8) & 0xff for i in range(45 * 1400 + 77))
    for size in (1400, 1000, 1):
        whole = text[:60 * size + (77 if size > 77 else 0)][:60000]
        s.sendmsg([whole], [(socket.IPPROTO_UDP, UDP_SEGMENT,
                             struct.pack("H", size))], 0, who)
        for at in range(0, len(whole), size):
            p = g.expect(g.is_udp(PEER[v], port_of(s), me), "a datagram")
            if p.udp.data != whole[at:at + size]:
                raise Failure(f"datagram at {at} of {size}: {p}")


@test("U2", both)
def rows_from_a_forwarded_port_keep_their_borders(w, v):
    g, s = w.guest("-u", "7600"), w.udp(v)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    p = knock(w, g, v, s, 7600)
    texts = [bytes([n]) * (1400 if n % 20 else 700) for n in range(1, 100)]
    g.send_frames([g.udp_frame(p.src, 7600, port_of(s), t, src=p.dst)
                   for t in texts])
    for n, t in enumerate(texts):
        if s.recv(65536) != t:
            raise Failure(f"datagram {n}")


if __name__ == "__main__":
    main()
