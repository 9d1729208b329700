# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests of multicast and limited broadcast (doc/design.md: U7)."""
import socket
import struct
import time

from lib import netns, packet
from lib.case import Failure, both, hears_nothing, main, test
from lib.guest import MAC, fresh_port
from lib.netns import FAMILY, HOST, PEER, PEER2

RELAY = ("--multicast",)
MDNS = {4: "224.0.0.251", 6: "ff02::fb"}
SSDP = {4: "239.255.255.250", 6: "ff05::c"}
LLMNR = {4: "224.0.0.252", 6: "ff02::1:3"}
SERVICES = ((MDNS, 5353), (SSDP, 1900), (LLMNR, 5355))
IP_RECVTTL, ONE_SHOT = 12, 10


def cable(w):
    """Waits until both ends of the veth are up: no program sends multicast
    again that is lost before."""
    end = time.monotonic() + 5
    for ns, name in (w.net.host, "v0"), (w.net.outside, "v1"):
        while "state UP" not in w.net.in_ns(ns, netns.run,
                                            f"ip link show {name}"):
            if time.monotonic() > end:
                raise Failure(f"{name} does not come up")
            time.sleep(0.02)


def member(w, v, group, port, where=None):
    """Makes a socket that is a member of a group, outside or in @where."""
    cable(w)
    s = w.sock(v, socket.SOCK_DGRAM, where)
    name = "v0" if where else "v1"
    scope = w.net.in_ns(where or w.net.outside, socket.if_nametoindex, name)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    raw = packet.pton(group)
    if v == 6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                     raw + struct.pack("=I", scope))
    else:
        s.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     raw + struct.pack("=4si", bytes(4), scope))
    s.bind(({4: "0.0.0.0", 6: "::"}[v], port))
    return s


def peer(w, v, addr=None, ttl=255, tos=0, port=0):
    """Makes a socket outside that can send to groups."""
    cable(w)
    s = w.sock(v, socket.SOCK_DGRAM)
    scope = w.net.in_ns(w.net.outside, socket.if_nametoindex, "v1")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(port > 0))
    if v == 6:
        for option, value in ((socket.IPV6_MULTICAST_IF, scope),
                              (socket.IPV6_MULTICAST_HOPS, ttl),
                              (socket.IPV6_UNICAST_HOPS, ttl),
                              (socket.IPV6_MULTICAST_LOOP, 0),
                              (socket.IPV6_TCLASS, tos)):
            s.setsockopt(socket.IPPROTO_IPV6, option, value)
    else:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                     struct.pack("=4s4si", bytes(4), bytes(4), scope))
        for option, value in ((socket.IP_MULTICAST_TTL, ttl),
                              (socket.IP_MULTICAST_LOOP, 0),
                              (socket.IP_TTL, ttl), (socket.IP_TOS, tos)):
            s.setsockopt(socket.IPPROTO_IP, option, value)
    s.bind((addr or PEER[v], port))
    return s


def hear(s, text):
    """Receives the next datagram, which must be @text. Returns its sender, TTL
    and TOS."""
    data, control, _, who = s.recvmsg(65536, 256)
    if data != text:
        raise Failure(f"heard {data[:40]!r}")
    values = {kind: c[0] for _, kind, c in control}
    ttl = values.get(socket.IP_TTL, values.get(socket.IPV6_HOPLIMIT))
    tos = values.get(socket.IP_TOS, values.get(socket.IPV6_TCLASS))
    return who, ttl, tos


def ask(g, v, group, sport, port, text=b"who is there?", **kw):
    """Sends a query of the guest to a group. Returns its source address, which
    depends on the group's scope."""
    src = g.link_local if group.startswith("ff02") else g.addr[v]
    g.send_udp(group, sport, port, text, src=src,
               dmac=packet.multicast_mac(group), **kw)
    return src


def to_group(group, port, text):
    return lambda p: (p.udp and p.dst == group and p.udp.dport == port and
                      p.udp.data == text)


@test("U7", both)
def without_the_option_nothing_passes(w, v):
    """Without --multicast, passt drops and counts datagrams to groups in both
    directions."""
    g = w.guest()
    for group, port in SERVICES:
        ear, s = member(w, v, group[v], port), peer(w, v)
        before = g.passt.counter("udp_multicast")
        ask(g, v, group[v], port, port)
        ask(g, v, group[v], fresh_port(), port)
        hears_nothing(ear, "nothing goes out")
        s.sendto(b"news", (group[v], port))
        g.silence(lambda p: p.udp and p.v == v, "nothing comes in")
        moved = g.passt.counter("udp_multicast") - before
        if moved != 2:
            raise Failure(f"the counter moved by {moved}")


@test("U7", both)
def a_datagram_to_a_group_goes_out_as_it_is(w, v):
    """It has the guest's port, TTL and type of service, and an address of the
    host."""
    g = w.guest(*RELAY)
    for group, port in SERVICES:
        ear = member(w, v, group[v], port)
        for sport in port, fresh_port():
            for ttl, tos in ((255, 0), (1, 0x48)):
                ask(g, v, group[v], sport, port, b"%d" % ttl, ttl=ttl,
                    tos=tos)
                who, got, service = hear(ear, b"%d" % ttl)
                if who[1] != sport or (got, service) != (ttl, tos):
                    raise Failure(f"port {who[1]} for {sport}, TTL {got} for "
                                  f"{ttl}, {service:#x} for {tos:#x}")
                if v == 4 and who[0] != HOST[4]:
                    raise Failure(f"from {who[0]}")


@test("U7", both)
def a_datagram_for_a_group_comes_in_as_it_is(w, v):
    """It has the peer's address, port, TTL and type of service, in a frame to
    the group's MAC address."""
    g = w.guest(*RELAY)
    for group, port in SERVICES:
        s = peer(w, v, ttl=7, tos=0x28)
        s.sendto(b"news", (group[v], port))
        p = g.expect(to_group(group[v], port, b"news"), "datagram")
        if (p.src, p.udp.sport) != (PEER[v], s.getsockname()[1]):
            raise Failure(f"from {p.src}, port {p.udp.sport}")
        if (p.ttl, p.tos) != (7, 0x28):
            raise Failure(f"TTL {p.ttl}, type of service {p.tos:#x}")
        if p.eth_dst != packet.multicast_mac(group[v]):
            raise Failure(f"frame to {p.eth_dst}")


@test("U7", both)
def whoever_answers_a_query_is_heard(w, v):
    g = w.guest(*RELAY)
    for group, port in SERVICES:
        ear, me = member(w, v, group[v], port), fresh_port()
        src = ask(g, v, group[v], me, port)
        who, _, _ = hear(ear, b"who is there?")
        for addr in PEER[v], PEER2[v]:
            s = peer(w, v, addr, ttl=9, tos=0x10)
            if who[0].startswith("fe80"):
                s = w.sock(v, socket.SOCK_DGRAM)
                addr = None
            s.sendto(b"me", who)
            p = g.expect(lambda p: p.udp and p.udp.data == b"me", "answer")
            if addr and (p.src != addr or (p.ttl, p.tos) != (9, 0x10)):
                raise Failure(f"answer {p}, TTL {p.ttl}")
            if (p.dst, p.udp.dport) != (src, me) or p.eth_dst != MAC:
                raise Failure(f"answer to {p.dst} port {p.udp.dport}")


@test("U7", both)
def what_is_no_answer_is_not_heard(w, v):
    """When the guest has sent no query, then it gets no datagrams that a peer
    sends to the service's port of the host."""
    g = w.guest(*RELAY)
    for group, port in SERVICES:
        s = peer(w, v, port=port)
        s.sendto(b"unasked", (HOST[v], port))
        g.silence(lambda p: p.udp, "nobody asked")
    if not g.passt.counter("udp_unasked"):
        raise Failure("it is not counted")


@test("U7", both)
def answers_leave_from_the_services_port(w, v):
    """When the guest answers a peer that has asked the group, then the answer
    comes from the service's port, and the guest gets the peer's next
    datagram."""
    g = w.guest(*RELAY)
    for group, port in SERVICES:
        s = peer(w, v)
        s.sendto(b"who?", (group[v], port))
        p = g.expect(to_group(group[v], port, b"who?"), "question")
        g.send_udp(p.src, port, p.udp.sport, b"me")
        data, who = s.recvfrom(100)
        if data != b"me" or who[:2] != (HOST[v], port):
            raise Failure(f"{data!r} from {who}")
        s.sendto(b"and then?", who)
        p = g.expect(g.is_udp(PEER[v], s.getsockname()[1], port), "more")
        if p.dst != g.addr[v]:
            raise Failure(f"to {p.dst}")


@test("U7", both)
def to_whom_did_not_ask_it_is_a_flow_like_others(w, v):
    """When the guest sends from the service's port to a peer that has not asked
    the group, then passt uses another port, and only that peer can answer."""
    g = w.guest(*RELAY)
    for _, port in SERVICES:
        s = peer(w, v)
        g.send_udp(PEER[v], port, s.getsockname()[1], b"query")
        data, who = s.recvfrom(100)
        if data != b"query" or who[1] == port:
            raise Failure(f"{data!r} from {who}")
        s.sendto(b"reply", who)
        g.expect(g.is_udp(PEER[v], s.getsockname()[1], port), "the reply")
        other = peer(w, v)
        other.sendto(b"unasked", who)
        g.silence(lambda p: p.udp, "nobody else is heard")


@test("U7", both)
def sixty_four_hosts_can_be_answered(w, v):
    """passt remembers 64 queriers; one more, and it forgets the oldest."""
    g, port = w.guest(*RELAY), 5353
    asked = []
    for i in range(65):
        s = peer(w, v)
        s.sendto(b"%d" % i, (MDNS[v], port))
        p = g.expect(to_group(MDNS[v], port, b"%d" % i), f"question {i}")
        asked.append((s, p))
    for i, (s, p) in enumerate(asked):
        g.send_udp(p.src, port, p.udp.sport, b"me")
        data, who = s.recvfrom(100)
        if data != b"me" or (who[1] == port) != (i > 0):
            raise Failure(f"answer {i}: {data!r} from {who}")


@test("U7", both)
def the_next_guest_hears_no_answers_of_the_last(w, v):
    group, port = MDNS[v], 5353
    g, ear = w.guest(*RELAY), member(w, v, group, port)
    ask(g, v, group, port, port)
    hear(ear, b"who is there?")
    g.close()
    g = w.guest(*RELAY)
    s = peer(w, v, port=port)
    s.sendto(b"late", (HOST[v], port))
    g.silence(lambda p: p.udp and p.udp.data == b"late",
              "that was for another guest")


@test("U7", both)
def other_groups_and_ports_stay_inside(w, v):
    g = w.guest(*RELAY)
    before = g.passt.counter("udp_multicast")
    other = {4: "239.1.2.3", 6: "ff02::4321"}[v]
    ears = [member(w, v, other, 5353), member(w, v, MDNS[v], 1900)]
    ask(g, v, other, 5353, 5353)
    ask(g, v, MDNS[v], fresh_port(), 1900)
    ask(g, v, {4: "255.255.255.255", 6: "ff02::1"}[v], 1900, 1900)
    for ear in ears:
        hears_nothing(ear, "that is not relayed")
    moved = g.passt.counter("udp_multicast") - before
    if moved != 3:
        raise Failure(f"the counter moved by {moved}")
    peer(w, v).sendto(b"x", (other, 5353))
    g.silence(lambda p: p.udp, "that is not relayed either")


@test("U7", both)
def impossible_ports_stay_inside(w, v):
    g, ear = w.guest(*RELAY), member(w, v, MDNS[v], 5353)
    ask(g, v, MDNS[v], 0, 5353)
    ask(g, v, MDNS[v], 5353, 0)
    hears_nothing(ear, "there is no port 0")


@test("U7", both)
def the_host_and_the_guest_are_apart(w, v):
    """Neither of them gets datagrams that the other sends to a group."""
    group, port = MDNS[v], 5353
    g = w.guest(*RELAY)
    ear, own = member(w, v, group, port), member(w, v, group, port,
                                                 w.net.host)
    ask(g, v, group, port, port, b"the guest's")
    hear(ear, b"the guest's")
    hears_nothing(own, "the guest is not the host's concern")
    g.silence(lambda p: p.udp, "its own words don't come back")
    scope = w.net.in_ns(w.net.host, socket.if_nametoindex, "v0")
    if v == 6:
        own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, scope)
    own.sendto(b"the host's", (group, port))
    hear(ear, b"the host's")
    g.silence(lambda p: p.udp, "the host is not the guest's concern")


@test("U7", both)
def sizes_up_to_what_services_send(w, v):
    """Payloads up to 9,216 bytes pass; passt drops longer ones to the guest."""
    group, port = MDNS[v], 5353
    g, ear, s = w.guest(*RELAY), member(w, v, group, port), peer(w, v)
    for n in (0, 1, 1400, 9000, 9216):
        text = bytes(i * 7 & 0xff for i in range(n))
        ask(g, v, group, port, port, text)
        hear(ear, text)
        s.sendto(text, (group, port))
        g.expect(to_group(group, port, text), f"{n} bytes")
    s.sendto(bytes(9217), (group, port))
    g.silence(lambda p: p.udp, "that is too long")


@test("U7", both)
def a_run_to_a_group_keeps_order_and_borders(w, v):
    group, port = MDNS[v], 5353
    g, ear = w.guest(*RELAY), member(w, v, group, port)
    src = {4: g.addr[4], 6: g.link_local}[v]
    for sport in port, fresh_port():
        texts = [b"%03d" % i * (i % 7 + 1) for i in range(40)]
        g.send_frames([g.udp_frame(group, sport, port, t, src=src)
                       for t in texts])
        for t in texts:
            hear(ear, t)


@test("U7", both)
def beside_a_forwarded_port_all_is_heard_once(w, v):
    """Given the service's port forwarded, for both families or for one, then
    the guest gets each datagram once."""
    if RELAY in w.running:      # that passt has bound the port
        w.running.pop(RELAY).cleanup()
    for options in (), (("-4",) if v == 4 else ("-6",)):
        p = w.start(*RELAY, "-u", "5353", *options).wait_ready()
        g = w.join(p, hello=not options)
        g.send_udp(PEER[v], 5353, 9, b"this is my address")
        s = peer(w, v)
        s.sendto(b"to all", (MDNS[v], 5353))
        g.expect(to_group(MDNS[v], 5353, b"to all"), "datagram")
        g.silence(lambda p: p.udp, "once is enough")
        s.sendto(b"to one", (HOST[v], 5353))
        g.expect(lambda p: p.udp and p.dst == g.addr[v], "forwarded one")
        g.silence(lambda p: p.udp, "once is enough")
        g.close()
        p.stop()


@test("U7", both)
def answers_leave_from_the_services_port_be_another_forwarded(w, v):
    """Given port 15353 forwarded to the guest's 5353, then other flows from
    5353 leave from 15353, but answers to queriers leave from 5353."""
    if RELAY in w.running:
        w.running.pop(RELAY).cleanup()
    g, s = w.guest(*RELAY, "-u", "15353:5353"), peer(w, v)
    g.send_udp(PEER[v], 5353, s.getsockname()[1], b"flow")
    _, who = s.recvfrom(100)
    if who[1] != 15353:
        raise Failure(f"a flow from port {who[1]}")
    s.sendto(b"who?", (MDNS[v], 5353))
    p = g.expect(to_group(MDNS[v], 5353, b"who?"), "question")
    g.send_udp(p.src, 5353, p.udp.sport, b"me")
    data, who = s.recvfrom(100)
    if data != b"me" or who[1] != 5353:
        raise Failure(f"{data!r} from {who}")


@test("U7", both)
def only_families_and_protocols_in_use(w, v):
    """With --ipv4-only, --ipv6-only or --no-udp, passt relays no multicast of
    the other family, or none at all."""
    group, port = MDNS[v], 5353
    for options in (("-4",) if v == 6 else ("-6",)), ("--no-udp",):
        p = w.start(*RELAY, *options).wait_ready()
        g = w.join(p, hello=False)
        ear, s = member(w, v, group, port), peer(w, v)
        ask(g, v, group, port, port)
        hears_nothing(ear, f"not with {options[0]}")
        s.sendto(b"news", (group, port))
        g.silence(lambda p: p.udp, f"not with {options[0]}")
        if "not relayed" in p.log():
            raise Failure(p.log())


@test("U7", both)
def a_query_that_nobody_answers_ends(w, v):
    """passt closes the socket for the query after 10 s; the guest gets no ICMP
    error."""
    g, me = w.guest(*RELAY), fresh_port()
    idle = g.passt.fds()
    ear = member(w, v, LLMNR[v], 5355)
    ask(g, v, LLMNR[v], me, 5355)
    who, _, _ = hear(ear, b"who is there?")
    g.silence(lambda p: p.udp or p.icmp and p.icmp.kind in (1, 3),
              "no error about a group", ONE_SHOT + 1)
    if idle is not None and g.passt.fds() > idle:
        raise Failure(f"{g.passt.fds()} descriptors, before {idle}")
    ear.sendto(b"late", who)
    g.silence(lambda p: p.udp, "nobody waits any longer")


if __name__ == "__main__":
    main()
