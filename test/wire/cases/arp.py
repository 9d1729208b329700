# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests of ARP (RFC 826, RFC 5227): passt answers for every address but the
guest's own."""
import struct

from lib import packet
from lib.case import Failure, main, test
from lib.netns import DNS, GATEWAY, HOST, PEER
from lib.packet import ETH_ARP


@test("ARP")
def reply_for_the_gateway(w):
    g = w.guest()
    g.send_arp(GATEWAY[4])
    p = g.expect(g.is_arp(), "ARP reply")
    a = p.arp
    if (a.op, a.smac, a.sip, a.tmac, a.tip) != (
            2, g.passt.mac, GATEWAY[4], g.mac, g.addr[4]):
        raise Failure(f"wrong reply: {p}")
    if p.eth_dst != g.mac:
        raise Failure(f"reply to {p.eth_dst}")


@test("ARP")
def every_other_address_is_ours(w):
    g = w.guest()
    for who in ("192.0.2.77", "192.0.2.254", PEER[4], DNS[4], "10.1.2.3",
                "169.254.1.1"):
        g.send_arp(who)
        g.expect(g.is_arp(who), f"ARP reply for {who}")


@test("ARP")
def probe_for_the_guests_own_address_is_unanswered(w):
    """If passt answered, the guest would give up the address (RFC 5227
    2.1.1)."""
    g = w.guest(hello=False)
    g.send_arp(HOST[4], sip="0.0.0.0")
    g.silence(g.is_arp(), "a probe is not answered")


@test("ARP")
def announcement_is_unanswered(w):
    """The guest announces its own address (RFC 5227 2.3)."""
    g = w.guest(hello=False)
    g.send_arp(HOST[4], sip=HOST[4])
    g.send_arp(HOST[4], sip=HOST[4], op=2)
    g.silence(g.is_arp(), "an announcement is not answered")


@test("ARP")
def an_address_that_the_guest_took_is_its_own(w):
    """The guest uses an address that passt did not assign; passt learns it from
    the guest's packets."""
    g = w.guest(hello=False)
    g.addr[4] = "192.0.2.40"
    g.send_arp(GATEWAY[4])
    g.expect(g.is_arp(GATEWAY[4]), "ARP reply")
    g.send_arp("192.0.2.40", sip="0.0.0.0")
    g.silence(g.is_arp("192.0.2.40"), "a probe is not answered")


@test("ARP")
def replies_are_not_answered(w):
    g = w.guest()
    g.send_arp(GATEWAY[4], op=2)
    g.send_arp("192.0.2.77", op=2)
    g.silence(g.is_arp(), "nothing answers a reply")


@test("ARP")
def impossible_packets_are_dropped(w):
    g = w.guest()
    good = packet.arp(1, g.mac, g.addr[4], "00:00:00:00:00:00", GATEWAY[4])
    for at, fmt, val in ((0, "!H", 6), (2, "!H", 0x86dd), (4, "!B", 8),
                         (4, "!B", 0), (5, "!B", 16), (5, "!B", 0),
                         (6, "!H", 0), (6, "!H", 3), (6, "!H", 9)):
        raw = bytearray(good)
        struct.pack_into(fmt, raw, at, val)
        g.send_frame(packet.eth(packet.BROADCAST, g.mac, ETH_ARP,
                                bytes(raw)))
    for n in range(len(good)):
        g.send_frame(packet.eth(packet.BROADCAST, g.mac, ETH_ARP, good[:n]))
    g.silence(g.is_arp(), "nothing is answered")
    g.send_arp(GATEWAY[4])
    g.expect(g.is_arp(GATEWAY[4]), "reply to a good one")


@test("ARP")
def padded_request_is_answered(w):
    """passt ignores Ethernet's padding to 60 bytes."""
    g = w.guest()
    raw = packet.eth(packet.BROADCAST, g.mac, ETH_ARP, packet.arp(
        1, g.mac, g.addr[4], "00:00:00:00:00:00", GATEWAY[4]))
    g.send_frame(raw + bytes(60 - len(raw)))
    g.expect(g.is_arp(GATEWAY[4]), "ARP reply")


@test("ARP")
def the_guests_mac_is_learned(w):
    """Each guest of the same passt gets frames to its own MAC address."""
    p = w.passt()
    for mac in ("52:54:00:aa:bb:01", "02:00:00:00:00:02"):
        g = w.join(p, mac=mac)
        s = w.udp(4)
        g.send_udp(PEER[4], 30001, s.getsockname()[1], b"ping")
        _, who = s.recvfrom(100)
        s.sendto(b"pong", who)
        p2 = g.expect(g.is_udp(PEER[4]), "the answer")
        if p2.eth_dst != mac:
            raise Failure(f"answer to {p2.eth_dst}")
        g.close()


@test("ARP")
def our_mac_may_be_the_guests(w):
    """-M may be the guest's own MAC address, as libvirt sets it."""
    g = w.guest("-M", "52:54:00:12:34:56")
    g.send_arp(GATEWAY[4])
    p = g.expect(g.is_arp(GATEWAY[4]), "ARP reply")
    if p.arp.smac != g.mac or p.eth_dst != g.mac:
        raise Failure(f"wrong reply: {p}")


if __name__ == "__main__":
    main()
