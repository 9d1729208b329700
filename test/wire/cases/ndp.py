# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests of neighbour discovery (RFC 4861, 4862, 8106)."""
import struct

from lib import dhcp, packet
from lib.case import Failure, main, test
from lib.guest import LINK_LOCAL
from lib.netns import DNS, GATEWAY, HOST, PEER, SEARCH
from lib.packet import ICMPV6, need

ROUTERS = "ff02::2"
NODES = "ff02::1"
UNSPECIFIED = "::"


def options(b):
    """Parses NDP options. Returns a list of (type, bytes after the length)."""
    out = []
    while b:
        need(len(b) >= 8 and b[1] and b[1] * 8 <= len(b), "NDP option length")
        out.append((b[0], b[2:b[1] * 8]))
        b = b[b[1] * 8:]
    return out


class Advert:
    """A parsed neighbour advertisement."""
    def __init__(self, p):
        need(p.ttl == 255 and p.icmp.code == 0, "hop limit or code")
        need(len(p.l4) >= 24, "too short")
        flags = p.l4[4]
        self.router, self.solicited, self.override = (
            bool(flags & b) for b in (0x80, 0x40, 0x20))
        self.target = packet.ntop(p.l4[8:24])
        self.options = dict(options(p.l4[24:]))


class RouterAdvert:
    def __init__(self, p):
        need(p.ttl == 255 and p.icmp.code == 0, "hop limit or code")
        need(p.src.startswith("fe80:"), "source is not link-local")
        need(len(p.l4) >= 16, "too short")
        self.hops, self.flags, self.lifetime = struct.unpack("!BBH",
                                                             p.l4[4:8])
        self.options = options(p.l4[16:])
        self.opt = dict(self.options)

    def prefix(self):
        v = self.opt.get(3)
        if v is None:
            return None
        need(len(v) == 30, "prefix option")
        n, flags, valid, pref = struct.unpack("!BBII", v[:10])
        need(pref <= valid, "preferred beyond valid")
        return f"{packet.ntop(v[14:30])}/{n}", flags, valid, pref


def rs(g, src=None, dst=ROUTERS, lladdr=None, ttl=255, code=0, extra=b""):
    src = src or g.link_local
    body = bytes(4) + extra
    if lladdr if lladdr is not None else src != UNSPECIFIED:
        body += b"\x01\x01" + packet.mac(g.mac)
    g.send_ip(dst, ICMPV6, packet.icmp(src, dst, 133, code, body), src=src,
              ttl=ttl, dmac=packet.multicast_mac(dst))


def is_na(g, target=None):
    return lambda p: (p.icmp and p.v == 6 and p.icmp.kind == 136 and
                      (target is None or p.l4[8:24] == packet.pton(target)))


def is_ra(dst):
    return lambda p: (p.icmp and p.v == 6 and p.icmp.kind == 134 and
                      p.dst == dst)


def solicited_ra(g):
    rs(g)
    return g.expect(is_ra(g.link_local), "router advertisement")


@test("NDP")
def solicitation_for_the_gateway_is_answered(w):
    """RFC 4861 7.2.4"""
    g = w.guest()
    g.send_ns(GATEWAY[6])
    p = g.expect(is_na(g), "neighbour advertisement")
    a = Advert(p)
    if a.target != GATEWAY[6] or p.dst != g.link_local:
        raise Failure(f"{p}, target {a.target}")
    if not a.solicited or not a.router:
        raise Failure("flags solicited and router are expected")
    if a.options.get(2) != packet.mac(g.passt.mac):
        raise Failure(f"target link-layer address {a.options}")


@test("NDP")
def every_other_address_is_ours(w):
    g = w.guest()
    for who in ("fe80::77", "2001:db8:1::99", PEER[6], DNS[6]):
        g.send_ns(who)
        p = g.expect(is_na(g, who), f"advertisement for {who}")
        if not Advert(p).solicited:
            raise Failure("not solicited")


@test("NDP")
def unicast_solicitation_is_answered(w):
    """A guest confirms reachability by unicast solicitations (RFC 4861 7.3)."""
    g = w.guest()
    g.send_ns(GATEWAY[6], dst=GATEWAY[6])
    g.expect(is_na(g, GATEWAY[6]), "advertisement")
    g.send_ns(GATEWAY[6], dst=GATEWAY[6], lladdr=False)
    g.expect(is_na(g, GATEWAY[6]), "advertisement without an option")


@test("NDP")
def the_guests_own_addresses_stay_unanswered(w):
    g = w.guest()
    for who in (HOST[6], LINK_LOCAL):
        g.send_ns(who, src=g.addr[6])
        g.send_ns(who)
    g.silence(is_na(g), "the guest's own address is not answered")


@test("NDP")
def duplicate_address_detection_succeeds(w):
    """If passt answered, the guest could not use the address (RFC 4862 5.4)."""
    g = w.guest(hello=False)
    for who in (LINK_LOCAL, HOST[6], "2001:db8:1:0:5054:ff:fe12:3456"):
        g.send_ns(who, src=UNSPECIFIED, lladdr=False)
    g.silence(is_na(g), "detection is not answered", 1)


@test("NDP")
def detection_for_our_own_address_is_answered_to_all(w):
    """The answer goes to all nodes, and is not marked as solicited (RFC 4861
    7.2.4)."""
    g = w.guest(hello=False)
    g.send_ns(GATEWAY[6], src=UNSPECIFIED, lladdr=False)
    p = g.expect(is_na(g, GATEWAY[6]), "advertisement")
    a = Advert(p)
    if p.dst != NODES or a.solicited:
        raise Failure(f"to {p.dst}, solicited: {a.solicited}")
    if a.options.get(2) != packet.mac(g.passt.mac):
        raise Failure("no target link-layer address")


@test("NDP")
def invalid_solicitations_are_dropped(w):
    """RFC 4861 7.1.1"""
    g = w.guest()
    t, me = "2001:db8:1::88", g.link_local
    dst = packet.solicited_node(t)

    def send(src=me, dst=dst, ttl=255, code=0, target=t, opts=b"", cut=None):
        m = packet.icmp(src, dst, 135, code,
                        (bytes(4) + packet.pton(target) + opts)[:cut])
        g.send_ip(dst, ICMPV6, m, src=src, ttl=ttl)

    send(ttl=254)
    send(ttl=1)
    send(code=1)
    send(target="ff02::1")
    send(opts=b"\x01\x00" + packet.mac(g.mac))
    send(opts=b"\x01\x02" + packet.mac(g.mac))
    send(opts=b"\x01\x01\x00")
    send(src=UNSPECIFIED, opts=b"\x01\x01" + packet.mac(g.mac))
    send(src=UNSPECIFIED, dst=t)
    for n in range(4, 20):
        send(cut=n)
    bad = bytearray(packet.icmp(me, dst, 135, 0, bytes(4) + packet.pton(t)))
    bad[2] ^= 1
    g.send_ip(dst, ICMPV6, bytes(bad), src=me, ttl=255)
    g.silence(is_na(g), "none of these is answered")
    send()
    g.expect(is_na(g, t), "advertisement for a good one")


@test("NDP RA")
def router_solicitation_is_answered(w):
    """The answer has prefix, MTU and link-layer address (RFC 4861 6.2.6)."""
    g = w.guest()
    p = solicited_ra(g)
    ra = RouterAdvert(p)
    if p.src != GATEWAY[6]:
        raise Failure(f"from {p.src}")
    if not ra.lifetime:
        raise Failure("router lifetime 0: no default route")
    prefix, flags, valid, pref = ra.prefix()
    if prefix != "2001:db8:1::/64" or flags & 0xc0 != 0xc0 or not valid:
        raise Failure(f"prefix {prefix} flags {flags:#x} valid {valid}")
    if ra.opt.get(1) != packet.mac(g.passt.mac):
        raise Failure("source link-layer address")
    if ra.opt.get(5) != struct.pack("!HI", 0, 65520):
        raise Failure(f"MTU option {ra.opt.get(5)}")
    if not ra.flags & 0x80:
        raise Failure("managed flag: there is DHCPv6")


@test("NDP RA")
def resolvers_and_search_list(w):
    """RFC 8106 5.1 and 5.2"""
    g = w.guest()
    ra = RouterAdvert(solicited_ra(g))
    v = ra.opt.get(25)
    if v is None or v[6:] != packet.pton(DNS[6]):
        raise Failure(f"RDNSS {v}")
    if not int.from_bytes(v[2:6], "big"):
        raise Failure("RDNSS lifetime 0")
    v = ra.opt.get(31)
    if v is None or dhcp.names(v[6:]) != SEARCH:
        raise Failure(f"DNSSL {v}")


@test("NDP RA")
def solicitation_without_address_is_answered_to_all(w):
    g = w.guest()
    rs(g, src=UNSPECIFIED)
    RouterAdvert(g.expect(is_ra(NODES), "router advertisement", 4))


@test("NDP RA")
def a_new_guest_hears_without_asking(w):
    """passt sends unsolicited advertisements to a new guest, at most 16 seconds
    apart (RFC 4861 6.2.4)."""
    g = w.guest(hello=False)
    RouterAdvert(g.expect(is_ra(NODES), "advertisement", 17))


@test("NDP RA")
def invalid_router_solicitations_are_dropped(w):
    """RFC 4861 6.1.1"""
    g = w.guest()
    rs(g, ttl=254)
    rs(g, code=1)
    rs(g, src=UNSPECIFIED, lladdr=True)
    rs(g, extra=b"\x01\x00" + bytes(6))
    rs(g, extra=b"\x0e\x07" + bytes(6))
    g.silence(is_ra(g.link_local), "none of these is answered")


@test("NDP RA")
def advertisements_of_the_guest_change_nothing(w):
    """passt ignores router and neighbour advertisements of the guest."""
    g = w.guest()
    g.send_ip(NODES, ICMPV6, packet.icmp(
        g.link_local, NODES, 134, 0,
        struct.pack("!BBHII", 64, 0, 1800, 0, 0)), src=g.link_local, ttl=255)
    g.send_ip(NODES, ICMPV6, packet.icmp(
        g.link_local, NODES, 136, 0, b"\x20\0\0\0"
        + packet.pton(g.link_local)), src=g.link_local, ttl=255)
    g.send_ns(GATEWAY[6])
    g.expect(is_na(g, GATEWAY[6]), "advertisement")


@test("NDP")
def solicitation_with_a_hop_by_hop_header(w):
    """passt parses a solicitation after a hop-by-hop header."""
    g = w.guest()
    t, dst = "2001:db8:1::89", packet.solicited_node("2001:db8:1::89")
    m = packet.icmp(g.link_local, dst, 135, 0, bytes(4) + packet.pton(t))
    hop = bytes([ICMPV6, 0, 5, 2, 0, 0, 1, 0])      # router alert, PadN
    g.send_ip(dst, 0, hop + m, src=g.link_local, ttl=255)
    g.expect(is_na(g, t), "advertisement")


if __name__ == "__main__":
    main()
