# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests of DHCP (RFC 2131, 2132, 3442, 4039)."""
import struct

from lib import dhcp
from lib.case import Failure, main, test
from lib.dhcp import (ACK, DECLINE, DISCOVER, INFORM, NAK, OFFER, RELEASE,
                      REQUEST, address, ask, kind, wanted)
from lib.netns import DNS, GATEWAY, HOST, SEARCH

ALL = (1, 3, 6, 12, 15, 26, 119)


def answered(got, what, want):
    p, m = got
    if m is None:
        raise Failure(f"no answer to {what}")
    if m.kind != want:
        raise Failure(f"message type {m.kind} in answer to {what}")
    if p.src != GATEWAY[4] or p.udp.sport != 67:
        raise Failure(f"answer from {p.src} port {p.udp.sport}")
    return m


def offered(m, g):
    """Checks the options that every lease must have."""
    if m.yiaddr != HOST[4]:
        raise Failure(f"yiaddr {m.yiaddr}")
    if m.chaddr != g.mac or m.hlen != 6 or m.htype != 1:
        raise Failure(f"chaddr {m.chaddr}")
    if m.addrs(54) != [GATEWAY[4]]:
        raise Failure(f"server identifier {m.addrs(54)}")
    if m.addrs(1) != ["255.255.255.0"] or m.addrs(3) != [GATEWAY[4]]:
        raise Failure(f"mask {m.addrs(1)}, router {m.addrs(3)}")
    if m.addrs(6) != [DNS[4]]:
        raise Failure(f"resolvers {m.addrs(6)}")
    lease = m.number(51)
    if not 0 < m.number(58) < m.number(59) < lease:
        raise Failure(f"T1 {m.number(58)}, T2 {m.number(59)}, {lease}")


def lease(g):
    m = answered(ask(g, [kind(DISCOVER), wanted(*ALL)]), "DISCOVER", OFFER)
    return m.addrs(54)[0]


@test("DHCP")
def discover_is_offered_the_hosts_address(w):
    """RFC 2131 4.3.1"""
    g = w.guest(hello=False)
    offered(answered(ask(g, [kind(DISCOVER), wanted(*ALL)]), "DISCOVER",
                     OFFER), g)


@test("DHCP")
def request_of_what_was_offered_is_acknowledged(w):
    """RFC 2131 4.3.2, SELECTING"""
    g = w.guest(hello=False)
    server = lease(g)
    offered(answered(ask(g, [
        kind(REQUEST), address(54, server), address(50, HOST[4]),
        wanted(*ALL)]), "REQUEST", ACK), g)


@test("DHCP")
def without_a_parameter_list_the_basics_come(w):
    g = w.guest(hello=False)
    offered(answered(ask(g, [kind(DISCOVER)]), "DISCOVER", OFFER), g)


@test("DHCP")
def another_servers_offer_was_chosen(w):
    """passt sends no answer, not even NAK (RFC 2131 4.3.2)."""
    g = w.guest(hello=False)
    p, _ = ask(g, [kind(REQUEST), address(54, "192.0.2.200"),
                   address(50, HOST[4])], timeout=0.3)
    if p:
        raise Failure("answered a REQUEST to another server")


@test("DHCP")
def reboot_with_the_right_address(w):
    """RFC 2131 4.3.2, INIT-REBOOT"""
    g = w.guest(hello=False)
    offered(answered(ask(g, [kind(REQUEST), address(50, HOST[4])]),
                     "REQUEST", ACK), g)


def refused(got):
    """Fails unless the answer is NAK, without address and lease (RFC 2131 table
    3)."""
    m = answered(got, "REQUEST", NAK)
    p = got[0]
    if m.yiaddr != "0.0.0.0" or 51 in m.opt:
        raise Failure(f"NAK with address {m.yiaddr} or lease")
    if m.addrs(54) != [GATEWAY[4]]:
        raise Failure("NAK without server identifier")
    if p.dst != "255.255.255.255":
        raise Failure(f"NAK to {p.dst}, RFC 2131 4.1 wants a broadcast")


@test("DHCP")
def reboot_with_a_wrong_address_is_refused(w):
    g = w.guest(hello=False)
    refused(ask(g, [kind(REQUEST), address(50, "10.9.8.7")]))
    refused(ask(g, [kind(REQUEST), address(50, "192.0.2.99")]))


@test("DHCP")
def request_of_another_address_than_offered_is_refused(w):
    g = w.guest(hello=False)
    server = lease(g)
    refused(ask(g, [kind(REQUEST), address(54, server),
                    address(50, "192.0.2.99")]))


@test("DHCP")
def renewal_by_unicast(w):
    """The answer goes to ciaddr (RFC 2131 4.3.2, RENEWING)."""
    g = w.guest()
    got = ask(g, [kind(REQUEST), wanted(*ALL)], ciaddr=HOST[4], src=HOST[4],
              dst=GATEWAY[4])
    offered(answered(got, "renewal", ACK), g)
    if got[0].dst != HOST[4]:
        raise Failure(f"answer to {got[0].dst}")


@test("DHCP")
def rebinding_by_broadcast(w):
    g = w.guest()
    offered(answered(ask(g, [kind(REQUEST), wanted(*ALL)], ciaddr=HOST[4],
                         src=HOST[4]), "rebinding", ACK), g)


@test("DHCP")
def renewal_of_a_wrong_address_is_refused(w):
    g = w.guest()
    g.addr[4] = "192.0.2.99"
    m = answered(ask(g, [kind(REQUEST)], ciaddr="192.0.2.99",
                     src="192.0.2.99"), "renewal", NAK)
    if m.yiaddr != "0.0.0.0":
        raise Failure(f"NAK with {m.yiaddr}")


@test("DHCP")
def a_client_that_renews_hears_nak_at_its_address(w):
    """Some clients do not receive broadcasts while they renew (RENEWING)."""
    g = w.guest()
    g.addr[4] = "192.0.2.99"
    xid = 0x99
    dhcp.send(g, dhcp.message(g.mac, [kind(REQUEST)], xid=xid,
                              ciaddr="192.0.2.99"),
              src="192.0.2.99", dst=GATEWAY[4])
    for dst in "255.255.255.255", "192.0.2.99":
        p = g.expect(dhcp.is_reply(xid), "NAK")
        if dhcp.Message(p.udp.data).kind != NAK or p.dst != dst:
            raise Failure(f"{p}, expected NAK to {dst}")


@test("DHCP")
def inform_is_answered_without_a_lease(w):
    """RFC 2131 4.3.5"""
    g = w.guest()
    got = ask(g, [kind(INFORM), wanted(*ALL)], ciaddr=HOST[4], src=HOST[4])
    m = answered(got, "INFORM", ACK)
    if m.yiaddr != "0.0.0.0" or {51, 58, 59} & set(m.opt):
        raise Failure(f"address {m.yiaddr} or lease in answer to INFORM")
    if m.addrs(6) != [DNS[4]]:
        raise Failure(f"resolvers {m.addrs(6)}")
    if got[0].dst != HOST[4]:
        raise Failure(f"answer to {got[0].dst}, not to ciaddr")


@test("DHCP")
def release_and_decline_are_silent_and_change_nothing(w):
    """RFC 2131 4.3.3, 4.3.4"""
    g = w.guest()
    for k, kw in ((RELEASE, {"ciaddr": HOST[4], "src": HOST[4],
                             "dst": GATEWAY[4]}), (DECLINE, {})):
        p, _ = ask(g, [kind(k), address(54, GATEWAY[4]),
                       address(50, HOST[4])], timeout=0.3, **kw)
        if p:
            raise Failure(f"answer to message type {k}")
        lease(g)


@test("DHCP")
def types_that_only_servers_send_are_ignored(w):
    g = w.guest()
    for k in (OFFER, ACK, NAK, 0, 9, 200):
        p, _ = ask(g, [kind(k)], timeout=0.15)
        if p:
            raise Failure(f"answer to message type {k}")
    p, _ = ask(g, [kind(DISCOVER)], op=2, timeout=0.15)
    if p:
        raise Failure("answer to a BOOTREPLY")


@test("DHCP")
def bootp_gets_an_address_without_a_lease(w):
    """The answer has at least 300 bytes (RFC 1534 2, RFC 1542 2.1)."""
    g = w.guest(hello=False)
    p, m = ask(g, [], pad=300)
    if m is None:
        raise Failure("no answer to BOOTP")
    if m.kind is not None or 51 in m.opt:
        raise Failure("DHCP options in answer to BOOTP")
    if m.yiaddr != HOST[4] or m.addrs(1) != ["255.255.255.0"] or \
            m.addrs(3) != [GATEWAY[4]]:
        raise Failure(f"{m.yiaddr} {m.opt}")
    if m.size < 300:
        raise Failure(f"{m.size} bytes")


@test("DHCP")
def options_come_in_the_order_asked_for(w):
    """Options have the order of the request (RFC 2132 9.8), but the mask comes
    before the router (3.3)."""
    g = w.guest(hello=False)
    for order, expected in (((1, 3, 6, 26), None), ((26, 6, 1, 3), None),
                            ((6, 1, 119, 3), None), ((3, 119, 6), None),
                            ((26, 3, 1, 6), (26, 1, 3, 6))):
        m = answered(ask(g, [kind(DISCOVER), wanted(*order)]), "DISCOVER",
                     OFFER)
        got = tuple(c for c in m.order if c in order)
        if got != (expected or order):
            raise Failure(f"asked for {order}, got {m.order}")


@test("DHCP")
def mtu(w):
    """Option 26 has the MTU, 65520 by default."""
    g = w.guest(hello=False)
    m = answered(ask(g, [kind(DISCOVER), wanted(26)]), "DISCOVER", OFFER)
    if m.number(26) != 65520:
        raise Failure(f"MTU {m.number(26)}")


@test("DHCP")
def search_list(w):
    """Option 119 has the search list (RFC 3397), option 15 its first name."""
    g = w.guest(hello=False)
    m = answered(ask(g, [kind(DISCOVER), wanted(119, 15)]), "DISCOVER",
                 OFFER)
    if 119 not in m.opt or dhcp.names(m.opt[119]) != SEARCH:
        raise Failure(f"search list {m.opt.get(119)}")
    if 15 in m.opt and m.opt[15].decode() not in SEARCH:
        raise Failure(f"domain {m.opt[15]}")


@test("DHCP")
def rapid_commit(w):
    """passt answers DISCOVER with option 80 by ACK (RFC 4039)."""
    g = w.guest(hello=False)
    m = answered(ask(g, [kind(DISCOVER), (80, b""), wanted(*ALL)]),
                 "DISCOVER with rapid commit", ACK)
    if 80 not in m.opt:
        raise Failure("ACK without option 80")
    offered(m, g)


@test("DHCP")
def without_rapid_commit_no_option_80(w):
    g = w.guest(hello=False)
    m = answered(ask(g, [kind(DISCOVER), wanted(80)]), "DISCOVER", OFFER)
    if 80 in m.opt:
        raise Failure("option 80 in an OFFER")


@test("DHCP")
def gateway_outside_the_prefix_comes_with_routes(w):
    """Option 121 has first a route to the gateway, then the default route (RFC
    3442)."""
    g = w.guest("-a", "192.0.2.2", "-n", "255.255.255.255", hello=False)
    m = answered(ask(g, [kind(DISCOVER), wanted(1, 121, 3)]), "DISCOVER",
                 OFFER)
    if m.addrs(1) != ["255.255.255.255"] or 121 not in m.opt:
        raise Failure(f"mask {m.addrs(1)}, routes {m.opt.get(121)}")
    if m.addrs(3) != [GATEWAY[4]]:
        raise Failure(f"router {m.addrs(3)}: not every client knows 121")
    r = m.routes()
    if r != [(f"{GATEWAY[4]}/32", "0.0.0.0"), ("0.0.0.0/0", GATEWAY[4])]:
        raise Failure(f"routes {r}")


@test("DHCP")
def broadcast_flag(w):
    """RFC 2131 4.1"""
    g = w.guest(hello=False)
    got = ask(g, [kind(DISCOVER)], flags=0x8000)
    answered(got, "DISCOVER", OFFER)
    p, m = got
    if p.dst != "255.255.255.255" or not m.flags & 0x8000:
        raise Failure(f"answer to {p.dst}, flags {m.flags:#x}")
    if not int(p.eth_dst[1], 16) & 1 and p.eth_dst != g.mac:
        raise Failure(f"answer to {p.eth_dst}")


@test("DHCP")
def a_small_maximum_size_is_respected(w):
    """A client can't set less than 576 bytes (RFC 2132 9.10)."""
    g = w.guest(hello=False)
    p, m = ask(g, [kind(DISCOVER), (57, struct.pack("!H", 576)),
                   wanted(*range(1, 122))])
    if not m or len(p.raw) - 14 > 576:
        raise Failure("no answer, or one that is too long")
    p, m = ask(g, [kind(DISCOVER), (57, struct.pack("!H", 0)),
                   wanted(*range(1, 255))])
    if not m:
        raise Failure("no answer to an impossible maximum")


LONG = " ".join(f"{i}-{'x' * 40}.example.org" for i in range(4))


@test("DHCP")
def a_long_search_list_costs_no_route(w):
    """With option 52, other fields of the message have space for options (RFC
    2132 9.3)."""
    g = w.guest("-a", "192.0.2.2", "-n", "255.255.255.255", "-S", LONG,
                "-H", "guest-with-a-name", hello=False)
    p, m = ask(g, [kind(DISCOVER), wanted(1, 121, 3, 6, 12, 15, 26, 119)])
    if not m or len(p.raw) - 14 > 576:
        raise Failure("no answer, or one that is too long")
    for code in (1, 3, 121, 6, 12, 15, 26, 119):
        if code not in m.opt:
            raise Failure(f"no option {code}, only {sorted(m.opt)}")
    if dhcp.names(m.opt[119]) != LONG.split():
        raise Failure(f"search list {dhcp.names(m.opt[119])}")


@test("DHCP")
def no_answer_is_cut_into_fragments(w):
    """A client need not reassemble, but must accept 576 bytes."""
    for mtu in (68, 300, 575, 576, 900):
        g = w.guest("-m", str(mtu), "-S", LONG, hello=False)
        for extra in ((), ((57, struct.pack("!H", 1500)),)):
            p, m = ask(g, [kind(DISCOVER), *extra, wanted(*range(1, 122))])
            if not m or m.number(26) != mtu:
                raise Failure(f"with MTU {mtu}: {p}, {m and m.opt}")
            if len(p.raw) - 14 > max(mtu, 576):
                raise Failure(f"{len(p.raw) - 14} bytes with MTU {mtu}")
        g.close()


@test("DHCP")
def malformed_messages_are_dropped(w):
    g = w.guest(hello=False)
    good = dhcp.message(g.mac, [kind(DISCOVER), wanted(*ALL)], xid=0x4242)

    def silent(msg, what):
        dhcp.send(g, msg)
        p = g.recv(dhcp.is_reply(0x4242), 0.05)
        if p:
            raise Failure(f"answer to {what}")

    for n in range(0, 236, 5):
        silent(good[:n], f"{n} bytes")
    silent(dhcp.message(g.mac, [(55, b"")], end=bytes([53, 200, 1]),
                        xid=0x4242), "an option beyond the end")
    for hlen in (0, 5, 16, 17, 255):        # no harm, whatever is answered
        dhcp.send(g, dhcp.message(g.mac, [kind(DISCOVER)], hlen=hlen))
    g.flush()
    lease(g)


@test("DHCP")
def odd_options_do_no_harm(w):
    """passt survives padding, and empty, long and repeated options."""
    g = w.guest(hello=False)
    m = answered(ask(g, [(12, b""), (61, bytes(200)), kind(DISCOVER),
                         (12, b"a" * 255), (60, b"x"), (250, bytes(99)),
                         wanted(*range(255, 0, -1))]), "DISCOVER", OFFER)
    if m.yiaddr != HOST[4]:
        raise Failure(m.yiaddr)


@test("DHCP")
def the_hostname_that_was_set(w):
    """Options 12 and 81 (RFC 4702)"""
    g = w.guest("-H", "guest1", "--fqdn", "guest1.example.org", hello=False)
    m = answered(ask(g, [kind(DISCOVER), wanted(12, 81), (81, bytes([
        1, 0, 0]) + b"x")]), "DISCOVER", OFFER)
    if m.opt.get(12) != b"guest1":
        raise Failure(f"option 12 is {m.opt.get(12)}")
    v = m.opt.get(81)
    if v is None or b"guest1" not in v:
        raise Failure(f"option 81 is {v}")


if __name__ == "__main__":
    main()
