# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests of IP fragments from and to the guest (doc/design.md: U6, U9)."""
import os
import random
import socket
import struct
import time

from lib import packet
from lib.case import (Failure, both, hears_nothing, main, only4, only6,
                      test)
from lib.guest import fresh_port
from lib.netns import GATEWAY, PEER
from lib.packet import FRAGMENT, ICMP, ICMPV6, TCP, UDP
from lib.tcp import Conn

HEADERS = {4: 20, 6: 48}
WAIT = 15               # s for which passt waits for other fragments


def port_of(s):
    return s.getsockname()[1]


def pattern(n):
    return bytes(i * 7 + (i >> 8) & 0xff for i in range(n))


class Cut:
    """A datagram of the guest, which can be cut into any fragments."""

    def __init__(self, g, v, proto, l4, dst=None):
        self.g, self.v, self.proto, self.l4 = g, v, proto, l4
        self.dst = dst or PEER[v]
        self.ident = random.randrange(1, 1 << 16)

    def part(self, off, end, more=None, data=None, proto=None):
        """Makes a frame with the fragment from offset off to end."""
        data = data or self.l4[off:end]
        more = end < len(self.l4) if more is None else more
        proto = proto or self.proto
        if self.v == 4:
            return self.g.frame(self.dst, proto, data, ident=self.ident,
                                frag=more << 13 | off // 8)
        return self.g.frame(self.dst, FRAGMENT, struct.pack(
            "!BBHI", proto, 0, off | more, self.ident) + data)

    def parts(self, size=1400):
        """Makes frames with all fragments, in order."""
        size = size // 8 * 8
        return [self.part(at, min(at + size, len(self.l4)))
                for at in range(0, len(self.l4), size)]


def datagram(g, v, s, text, sport=None):
    return Cut(g, v, UDP, packet.udp(g.addr[v], PEER[v], sport or
                                     fresh_port(), port_of(s), text))


def hears(s, text):
    data = s.recv(65536)
    if data != text:
        raise Failure(f"the peer got {len(data)} bytes: {data[:40]!r}")


def roomy(w, v):
    s = w.udp(v)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    return s


# --- from the guest

@test("U6", both)
def fragments_arrive_as_one_datagram(w, v):
    """Fragments may come in any order, in one batch or one by one."""
    g, s, text = w.guest(), w.udp(v), pattern(5000)
    for order in (list, lambda p: p[::-1],
                  lambda p: random.sample(p, len(p))):
        g.send_frames(order(datagram(g, v, s, text).parts()))
        hears(s, text)
        for frame in order(datagram(g, v, s, text).parts()):
            g.send_frame(frame)
        hears(s, text)


@test("U6", both)
def sizes_from_two_fragments_to_the_largest(w, v):
    g, s = w.guest(), roomy(w, v)
    for n in (9, 1473, 8972, 9000, 32768, 65507):
        text = pattern(n)
        g.send_frames(datagram(g, v, s, text).parts(1472 if n > 9 else 8))
        hears(s, text)


@test("U6", both)
def several_at_a_time_are_not_mixed_up(w, v):
    g, s = w.guest(), roomy(w, v)
    texts = [pattern(3000 + i) for i in range(20)]
    cut = [datagram(g, v, s, t).parts() for t in texts]
    for step in range(3):
        g.send_frames([parts[step] for parts in cut])
    for t in texts:
        hears(s, t)


@test("U6", both)
def an_answer_comes_to_the_flow_of_the_fragments(w, v):
    g, s, me = w.guest(), w.udp(v), fresh_port()
    g.send_frames(datagram(g, v, s, pattern(2000), me).parts())
    data, who = s.recvfrom(65536)
    s.sendto(b"answer", who)
    p = g.expect(g.is_udp(PEER[v], port_of(s), me), "the answer")
    if p.udp.data != b"answer":
        raise Failure(str(p))


@test("U6", both)
def duplicates_do_no_harm(w, v):
    g, s, text = w.guest(), w.udp(v), pattern(4000)
    parts = datagram(g, v, s, text).parts()
    g.send_frames(parts[:2] + parts[1:2] + parts[:1] + parts[2:])
    hears(s, text)
    hears_nothing(s, "it was one datagram")


@test("U6", both)
def overlaps_discard_the_datagram(w, v):
    """Given overlapping fragments, then passt discards the datagram (RFC 5722),
    and also its later fragments."""
    g, s, text = w.guest(), w.udp(v), pattern(4000)
    for off, end, more in ((8, 1400, True), (0, 1392, True),
                           (1392, 2800, True), (8, 4008, False),
                           (1400, 2800, False)):
        cut = datagram(g, v, s, text)
        frames = cut.parts()
        g.send_frames([frames[0], frames[2], cut.part(off, end, more),
                       frames[1]])
        hears_nothing(s, f"{off} to {end} overlaps")
        g.send_frames(frames)
        hears_nothing(s, "all of it was discarded")
    cut = datagram(g, v, s, text)
    frames = cut.parts()
    g.send_frames([frames[0], cut.part(0, 1400, data=bytes(1400)),
                   *frames[1:]])
    hears_nothing(s, "the same place with other bytes")
    g.send_frames(datagram(g, v, s, text).parts())
    hears(s, text)


@test("U6", both)
def fragments_that_cannot_be_do_no_harm(w, v):
    """passt survives fragments of wrong lengths, the ping of death, and
    a datagram with a wrong checksum."""
    g, s, text = w.guest(), w.udp(v), pattern(3000)
    cut = datagram(g, v, s, text)
    g.send_frame(cut.part(0, 1401, True))
    g.send_frame(cut.part(65528, 66528, False, data=bytes(1000)))
    hears_nothing(s, "these are no datagrams")
    cut = datagram(g, v, s, text)
    cut.l4 = cut.l4[:-1] + bytes([cut.l4[-1] ^ 1])
    g.send_frames(cut.parts())
    hears_nothing(s, "the checksum is wrong")
    g.send_frames(datagram(g, v, s, text).parts())
    hears(s, text)


@test("U6", both)
def the_65th_pushes_out_the_oldest(w, v):
    g, s, text = w.guest(), roomy(w, v), pattern(2000)
    cut = [datagram(g, v, s, text) for _ in range(65)]
    for i, c in enumerate(cut):
        c.ident = 1000 + i
    g.send_frames([c.parts()[0] for c in cut])
    g.send_frames([c.parts()[1] for c in cut[1:]])
    for _ in cut[1:]:
        hears(s, text)
    g.send_frame(cut[0].parts()[1])
    hears_nothing(s, "its first half had to go")


@test("U6", both)
def a_flood_of_halves_takes_little_memory(w, v):
    """The fragments are far from the start of their datagrams, where they need
    the most memory."""
    g, s, text = w.guest(), w.udp(v), pattern(3000)
    g.send_frames(datagram(g, v, s, text).parts())
    hears(s, text)
    before = g.passt.rss()
    for _ in range(40):
        frames = []
        for _ in range(100):
            c = datagram(g, v, s, b"")
            frames.append(c.part(64000, 64008, True, data=bytes(8)))
        g.send_frames(frames)
    g.send_frames(datagram(g, v, s, text).parts())
    hears(s, text)
    # 1 MiB for fragments, and 1 MiB for memory that the C library keeps. With
    # a sanitizer, freed memory stays in use, so don't check.
    if "ASAN_OPTIONS" not in os.environ and g.passt.rss() > before + 2048:
        raise Failure(f"{g.passt.rss() - before} KiB more")


@test("U6", only6)
def the_rest_may_take_15_seconds(w, v):
    """Given two first fragments, when the other one comes after 12 s for one
    and after 16 s for the other, then only the first datagram arrives."""
    g, s, text = w.guest(), w.udp(v), pattern(2000)
    late, later = datagram(g, v, s, text), datagram(g, v, s, text)
    later.ident = late.ident + 1
    g.send_frames([late.parts()[0], later.parts()[0]])
    time.sleep(WAIT - 3)
    g.send_frame(late.parts()[1])
    hears(s, text)
    time.sleep(4)
    g.send_frame(later.parts()[1])
    hears_nothing(s, "the first half is forgotten")


@test("U6", both)
def a_new_guest_does_not_complete_what_the_last_one_began(w, v):
    p = w.start()
    p.wait_ready()
    g, s = w.join(p), w.udp(v)
    cut = datagram(g, v, s, pattern(2000))
    g.send_frame(cut.parts()[0])
    g.close()
    g = w.join(p)
    g.send_frame(cut.parts()[1])
    hears_nothing(s, "the other half was another guest's")


@test("U6", both)
def tcp_segments_in_fragments_are_put_together(w, v):
    """passt answers a SYN that came in fragments."""
    g, me = w.guest(), fresh_port()
    port = port_of(w.server(v))
    syn = packet.tcp(g.addr[v], PEER[v], me, port, seq=1, flags=packet.SYN,
                     options=packet.opt_mss(1400))
    if v == 6:      # RFC 7112: the first fragment must have the whole header
        syn = packet.tcp(g.addr[6], PEER[6], me, port, seq=1,
                         flags=packet.SYN, data=b"x" * 40)
    g.send_frames(Cut(g, v, TCP, syn).parts(24 if v == 6 else 8))
    g.expect(lambda p: p.tcp and p.tcp.dport == me and
             p.tcp.has(packet.SYN | packet.ACK), "SYN-ACK")


@test("U6", only4)
def df_in_fragments_is_no_obstacle(w, v):
    """passt reassembles fragments that have DF: some senders make them,
    although RFC 791 does not provide for them."""
    g, s, text = w.guest(), w.udp(v), pattern(2000)
    cut = datagram(g, v, s, text)
    for at, end, flags in ((0, 1400, 0x6000), (1400, 2008, 0x4000)):
        g.send_ip(PEER[4], UDP, cut.l4[at:end], ident=cut.ident,
                  frag=flags | at // 8)
    hears(s, text)


@test("U6", only6)
def atomic_fragments_are_whole(w, v):
    """passt handles an atomic fragment at once, although another datagram of
    the same identifier is incomplete (RFC 6946)."""
    g, s = w.guest(), w.udp(v)
    cut = datagram(g, v, s, pattern(2000))
    g.send_frame(cut.parts()[1])
    atom = datagram(g, v, s, b"atomic")
    atom.ident = cut.ident
    g.send_frame(atom.part(0, len(atom.l4), False))
    hears(s, b"atomic")
    g.send_frame(cut.parts()[0])
    hears(s, pattern(2000))


@test("U6", only6)
def the_first_fragment_holds_all_headers(w, v):
    """If it does not, then passt drops the datagram (RFC 7112)."""
    g, s = w.guest(), w.udp(v)
    cut = datagram(g, v, s, pattern(2000))
    cut.l4 = bytes((UDP, 1, 1, 12)) + bytes(12) + cut.l4
    cut.proto = 60
    g.send_frames([cut.part(0, 16), cut.part(16, len(cut.l4))])
    hears_nothing(s, "UDP's header was not in it")
    cut.ident += 1
    g.send_frames([cut.part(0, 24), cut.part(24, len(cut.l4))])
    hears(s, pattern(2000))


@test("U6", only6)
def neighbour_discovery_in_fragments_is_dropped(w, v):
    """RFC 6980"""
    g = w.guest()
    target = "fe80::1"
    src, dst = g.link_local, packet.solicited_node(target)
    body = b"\0\0\0\0" + packet.pton(target) + b"\x01\x01" + packet.mac(g.mac)
    ns = packet.icmp(src, dst, 135, 0, body)
    g.send_ip(dst, FRAGMENT, struct.pack("!BBHI", ICMPV6, 0, 0, 1) + ns,
              src=src, ttl=255, dmac=packet.multicast_mac(dst))
    g.silence(lambda p: p.icmp and p.icmp.kind == 136, "it was answered")


# --- to the guest

def is_fragment(v, src):
    return lambda p: p.frag and p.v == v and p.src == src


def gets_fragments(g, v, mtu, src=None):
    """Receives fragments until the last one. Returns the reassembled packet."""
    parts = []
    while True:
        p = g.expect(is_fragment(v, src or PEER[v]), "fragment")
        if len(p.raw) - 14 > mtu:
            raise Failure(f"{len(p.raw) - 14} bytes, the MTU is {mtu}")
        parts.append(p)
        if not p.frag.more:
            break
    for p in parts[:-1]:
        if len(p.raw) - 14 + 8 <= mtu:
            raise Failure(f"{p} is not as long as can be")
    return packet.join(parts)


@test("U6", both)
def echo_longer_than_the_mtu_goes_and_comes_in_fragments(w, v):
    g, text = w.guest("--mtu", "1500"), pattern(5000)
    proto = ICMP if v == 4 else ICMPV6
    g.send_frames(Cut(g, v, proto, packet.echo(
        g.addr[v], PEER[v], 99, 1, text)).parts(1400))
    p = gets_fragments(g, v, 1500)
    if not p.icmp or p.icmp.data != text or p.icmp.ident != 99:
        raise Failure(str(p))


@test("U6", both)
def datagrams_longer_than_the_mtu_come_in_fragments(w, v):
    """Shorter ones come in one frame."""
    g, s, me = w.guest("--mtu", "1500"), w.udp(v), fresh_port()
    g.send_udp(PEER[v], me, port_of(s), b"hello")
    who = s.recvfrom(100)[1]
    fits = 1500 - 8 - (20 if v == 4 else 40)
    s.sendto(pattern(fits), who)
    p = g.expect(g.is_udp(PEER[v], port_of(s), me), "a whole datagram")
    if p.udp.data != pattern(fits):
        raise Failure(str(p))
    idents = set()
    for n in (fits + 1, 3000, 9000, 65507):
        s.sendto(pattern(n), who)
        p = gets_fragments(g, v, 1500)
        if not p.udp or p.udp.data != pattern(n):
            raise Failure(f"{n} bytes: {p}")
        idents.add(p.raw)
    if len(idents) != 4:
        raise Failure("fragments of different datagrams are alike")


@test("U6", both)
def the_longest_datagram_over_the_largest_mtu(w, v):
    """A datagram of 65,507 bytes comes in fragments: with its headers it is
    longer than the largest MTU."""
    g, s, me = w.guest(), roomy(w, v), fresh_port()
    g.show_mtu()
    g.send_frames(datagram(g, v, s, pattern(65507), me).parts(32768))
    data, who = s.recvfrom(65536)
    s.sendto(data, who)
    p = gets_fragments(g, v, 65520)
    if p.udp.data != pattern(65507):
        raise Failure(str(p))


def knocks(w, g, v, s, who, n):
    """A peer sends a datagram of n bytes to the guest. Returns "whole" or
    "fragments"."""
    s.sendto(pattern(n), who)
    p = g.expect(lambda p: is_fragment(v, PEER[v])(p) or
                 (p.udp and p.src == PEER[v]), "a datagram")
    if p.udp and p.udp.data == pattern(n):
        return "whole"
    return "fragments"


@test("U9", both)
def until_it_shows_more_the_guest_takes_1500_bytes(w, v):
    """passt sends at most 1500 bytes per packet, until the guest has shown that
    it takes more: by the MSS of a SYN, by a packet, or by a fragment."""
    hlen = {4: 20, 6: 40}[v]
    for shows in ("mss", "packet", "fragment"):
        g, s, me = w.guest(), w.udp(v), fresh_port()
        g.send_udp(PEER[v], me, port_of(s), b"hello")
        who = s.recvfrom(100)[1]
        if knocks(w, g, v, s, who, 1500 - hlen - 8) != "whole":
            raise Failure("1500 bytes come in fragments")
        s.sendto(pattern(7000), who)
        if gets_fragments(g, v, 1500).udp.data != pattern(7000):
            raise Failure("other bytes")
        if shows == "mss":
            Conn(g, PEER[v], w.free_port(v), mss=9000 - hlen - 20).syn()
            g.expect(lambda p: p.tcp, "RST")
        elif shows == "packet":
            g.show_mtu(9000)
        else:
            d = datagram(g, v, s, pattern(12000))
            g.send_frames(d.parts(9000 - hlen - 8 & ~7))
            s.recv(65536)
        g.send_udp(PEER[v], me, port_of(s), b"after that")
        s.recv(65536)
        if knocks(w, g, v, s, who, 8900) != "whole":
            raise Failure(f"a {shows} shows 9000 bytes, but 8900 come in "
                          "fragments")
        if knocks(w, g, v, s, who, 9100) == "whole":
            raise Failure("9000 bytes are exceeded")
        g.close()


@test("U9", both)
def the_guest_is_asked_to_show_its_mtu(w, v):
    """passt sends the guest an echo request from the gateway's address, as long
    as the announced MTU, after 32 datagrams in fragments, and after 1024."""
    g, s, me = w.guest(), w.udp(v), fresh_port()
    g.send_udp(PEER[v], me, port_of(s), b"hello")
    who = s.recvfrom(100)[1]
    asked = []
    for n in range(1, 1100):
        s.sendto(pattern(1500), who)
        for _ in range(2):
            p = g.expect(lambda p: is_fragment(v, PEER[v])(p) or
                         g.is_icmp({4: 8, 6: 128}[v])(p),
                         f"fragment of datagram {n}")
            if p.icmp:
                asked.append(n)
                if p.src != GATEWAY[v] or len(p.raw) != 14 + 65520:
                    raise Failure(f"{p} of {len(p.raw)} bytes")
                g.expect(is_fragment(v, PEER[v]), "fragment")
    if len(asked) != 2 or asked[0] not in (32, 33) or \
       asked[1] not in (1024, 1025):
        raise Failure(f"asked at {asked}")
    g.show_mtu()
    g.send_udp(PEER[v], me, port_of(s), b"after that")
    s.recv(65536)
    g.flush()
    if knocks(w, g, v, s, who, 3000) != "whole":
        raise Failure("in fragments, though it answers")


if __name__ == "__main__":
    main()
