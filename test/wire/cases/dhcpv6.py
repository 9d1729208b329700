# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests of DHCPv6 (RFC 8415)."""
import struct

from lib import dhcp
from lib.case import Failure, main, test
from lib.dhcp import (ADVERTISE, CONFIRM, DECLINE6, INFORMATION, REBIND,
                      RELEASE6, RENEW, REPLY, REQUEST6, SOLICIT, ask6, duid,
                      ia_na, iaaddr, opt6, oro)
from lib.netns import DNS, GATEWAY, HOST, SEARCH

SUCCESS, NO_ADDRS, NO_BINDING, NOT_ON_LINK = 0, 2, 3, 4


def answered(got, what, want):
    p, m = got
    if m is None:
        raise Failure(f"no answer to {what}")
    if m.kind != want:
        raise Failure(f"message type {m.kind} in answer to {what}")
    if p.src != GATEWAY[6] or p.udp.sport != 547 or p.udp.dport != 546:
        raise Failure(f"answer {p}")
    if 2 not in m.opt or len(m.opt[2]) < 3:
        raise Failure("no server identifier")
    return m


def leased(m, g, iaid=1):
    if m.opt.get(1) != duid(g.mac):
        raise Failure("the client identifier is not ours")
    if iaid not in m.ias():
        raise Failure(f"no IA_NA {iaid}")
    _, _, addrs, status = m.ias()[iaid]
    if status not in (None, SUCCESS) or len(addrs) != 1 or \
            addrs[0][0] != HOST[6] or not addrs[0][2]:
        raise Failure(f"{addrs}, status {status}")


def server(g):
    """The server identifier"""
    return opt6(2, answered(ask6(g, SOLICIT, ia_na()), "SOLICIT",
                            ADVERTISE).opt[2])


def silent(got, what):
    if got[0]:
        raise Failure(f"answer to {what}")


@test("DHCPv6")
def solicit_is_advertised_the_hosts_address(w):
    """RFC 8415 18.3.1, 18.3.9"""
    g = w.guest()
    got = ask6(g, SOLICIT, ia_na(7), oro(23, 24))
    m = answered(got, "SOLICIT", ADVERTISE)
    leased(m, g, 7)
    if got[0].dst != g.link_local:
        raise Failure(f"answer to {got[0].dst}")
    if m.addrs(23) != [DNS[6]]:
        raise Failure(f"resolvers {m.addrs(23)}")
    if dhcp.names(m.opt.get(24, b"")) != SEARCH:
        raise Failure(f"search list {m.opt.get(24)}")


@test("DHCPv6")
def request_is_replied(w):
    """RFC 8415 18.3.2"""
    g = w.guest()
    leased(answered(ask6(g, REQUEST6, server(g), ia_na(
        3, iaaddr(HOST[6]))), "REQUEST", REPLY), g, 3)


@test("DHCPv6")
def request_to_another_server_is_ignored(w):
    """RFC 8415 16.4"""
    g = w.guest()
    silent(ask6(g, REQUEST6, opt6(2, duid("02:00:00:00:00:99")), ia_na(),
                timeout=0.3), "a REQUEST to another server")
    silent(ask6(g, REQUEST6, ia_na(), timeout=0.3),
           "a REQUEST without server identifier")


@test("DHCPv6")
def invalid_solicits_are_ignored(w):
    """RFC 8415 16.2"""
    g = w.guest()
    silent(ask6(g, SOLICIT, server(g), ia_na(), timeout=0.3),
           "a SOLICIT with server identifier")
    silent(ask6(g, SOLICIT, ia_na(), client=False, timeout=0.3),
           "a SOLICIT without client identifier")


@test("DHCPv6")
def rapid_commit(w):
    """RFC 8415 18.3.1"""
    g = w.guest()
    m = answered(ask6(g, SOLICIT, opt6(14), ia_na()),
                 "SOLICIT with rapid commit", REPLY)
    leased(m, g)
    if 14 not in m.opt:
        raise Failure("REPLY without rapid commit")


@test("DHCPv6")
def confirm_on_link(w):
    """RFC 8415 18.3.3"""
    g = w.guest()
    m = answered(ask6(g, CONFIRM, ia_na(1, iaaddr(HOST[6]))), "CONFIRM",
                 REPLY)
    if m.status != SUCCESS:
        raise Failure(f"status {m.status}")


@test("DHCPv6")
def confirm_not_on_link(w):
    g = w.guest()
    m = answered(ask6(g, CONFIRM, ia_na(1, iaaddr("2001:db8:99::1"))),
                 "CONFIRM", REPLY)
    if m.status != NOT_ON_LINK:
        raise Failure(f"status {m.status}")


@test("DHCPv6")
def confirm_of_nothing_is_ignored(w):
    """A CONFIRM without addresses gets no answer (RFC 8415 18.3.3)."""
    g = w.guest()
    silent(ask6(g, CONFIRM, ia_na(), timeout=0.3), "an empty CONFIRM")


@test("DHCPv6")
def renew(w):
    """RFC 8415 18.3.4"""
    g = w.guest()
    leased(answered(ask6(g, RENEW, server(g), ia_na(1, iaaddr(HOST[6]))),
                    "RENEW", REPLY), g)


@test("DHCPv6")
def renew_of_a_wrong_address_ends_it(w):
    """The answer has lifetimes of zero for the address (RFC 8415 18.3.4)."""
    g = w.guest()
    wrong = "2001:db8:1::bad"
    m = answered(ask6(g, RENEW, server(g), ia_na(1, iaaddr(wrong, 9, 9))),
                 "RENEW", REPLY)
    _, _, addrs, status = m.ias()[1]
    kept = [a for a in addrs if a[0] == wrong and a[2]]
    if kept or (status != NO_BINDING and wrong not in [a[0] for a in addrs]):
        raise Failure(f"{addrs}, status {status}")


@test("DHCPv6")
def rebind(w):
    """REBIND has no server identifier (RFC 8415 18.3.5)."""
    g = w.guest()
    leased(answered(ask6(g, REBIND, ia_na(1, iaaddr(HOST[6]))), "REBIND",
                    REPLY), g)
    silent(ask6(g, REBIND, server(g), ia_na(1, iaaddr(HOST[6])),
                timeout=0.3), "a REBIND with server identifier")


@test("DHCPv6")
def release_and_decline_succeed_and_change_nothing(w):
    """RFC 8415 18.3.7, 18.3.8"""
    g = w.guest()
    for k, what in ((RELEASE6, "RELEASE"), (DECLINE6, "DECLINE")):
        m = answered(ask6(g, k, server(g), ia_na(1, iaaddr(HOST[6]))), what,
                     REPLY)
        if m.status != SUCCESS:
            raise Failure(f"status {m.status} for {what}")
        leased(answered(ask6(g, REQUEST6, server(g), ia_na()), "REQUEST",
                        REPLY), g)


@test("DHCPv6")
def information_request(w):
    """A client identifier is optional (RFC 8415 18.3.6)."""
    g = w.guest()
    for client in (True, False):
        m = answered(ask6(g, INFORMATION, oro(23, 24), client=client),
                     "INFORMATION-REQUEST", REPLY)
        if m.addrs(23) != [DNS[6]] or m.ias():
            raise Failure(f"resolvers {m.addrs(23)}, {m.ias()}")
        if client != (1 in m.opt):
            raise Failure("client identifier")


@test("DHCPv6")
def information_request_with_an_ia_is_ignored(w):
    """RFC 8415 16.12"""
    g = w.guest()
    silent(ask6(g, INFORMATION, ia_na(), timeout=0.3),
           "an INFORMATION-REQUEST with IA_NA")


@test("DHCPv6")
def no_prefix_is_delegated(w):
    """passt has no prefix for an IA_PD (RFC 8415 18.3.9)."""
    g = w.guest()
    m = answered(ask6(g, SOLICIT, ia_na(), opt6(25, struct.pack(
        "!III", 5, 0, 0))), "SOLICIT", ADVERTISE)
    leased(m, g)
    for code, val in m.options:
        if code == 25 and any(c == 26 for c, _ in dhcp.options6(val[12:])):
            raise Failure("a prefix was delegated")


@test("DHCPv6")
def several_ias(w):
    """One IA gets the only address; the answers to others are well formed."""
    g = w.guest()
    m = answered(ask6(g, SOLICIT, *[ia_na(i) for i in range(1, 20)]),
                 "SOLICIT", ADVERTISE)
    given = [i for i, v in m.ias().items() if any(a[2] for a in v[2])]
    if not given:
        raise Failure(f"no address: {m.ias()}")
    for i, (_, _, addrs, status) in m.ias().items():
        if not addrs and status not in (NO_ADDRS,):
            raise Failure(f"IA {i} without address has status {status}")


@test("DHCPv6")
def types_that_only_servers_send_are_ignored(w):
    g = w.guest()
    for k in (0, ADVERTISE, REPLY, 10, 12, 13, 36, 255):
        silent(ask6(g, k, ia_na(), timeout=0.1), f"message type {k}")


@test("DHCPv6")
def malformed_messages_are_dropped(w):
    g = w.guest()
    for what, raw in (
            ("option beyond the end",
             lambda m: m + struct.pack("!HH", 3, 100) + bytes(12)),
            ("IA_NA too short", lambda m: m + opt6(3, bytes(5))),
            ("half an option header", lambda m: m + b"\0\x03"),
            ("IAADDR too short",
             lambda m: m + opt6(3, bytes(12) + opt6(5, bytes(10)))),
            ("inner option beyond its IA",
             lambda m: m + opt6(3, bytes(12) + b"\0\x05\0\x40" + bytes(4)))):
        ask6(g, SOLICIT, raw=raw, timeout=0.1)
        del what
    for n in range(0, 20):
        ask6(g, SOLICIT, ia_na(), raw=lambda m, n=n: m[:n], timeout=0.01)
    leased(answered(ask6(g, SOLICIT, ia_na()), "SOLICIT", ADVERTISE), g)


@test("DHCPv6")
def a_long_client_identifier_is_echoed(w):
    """It may have 128 bytes after the type (RFC 8415 11.1)."""
    g = w.guest()
    ident = bytes(range(130))
    m = answered(ask6(g, SOLICIT, opt6(1, ident), ia_na(), client=False),
                 "SOLICIT", ADVERTISE)
    if m.opt.get(1) != ident:
        raise Failure(f"identifier {m.opt.get(1)}")


@test("DHCPv6")
def the_name_that_was_set(w):
    """Option 39 (RFC 4704)"""
    g = w.guest("--fqdn", "guest1.example.org")
    m = answered(ask6(g, SOLICIT, ia_na(), oro(39), opt6(39, b"\1\1x\0")),
                 "SOLICIT", ADVERTISE)
    v = m.opt.get(39)
    if v is None or "guest1.example.org" not in ".".join(dhcp.names(v[1:])):
        raise Failure(f"option 39 is {v}")


if __name__ == "__main__":
    main()
