#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""multicast.py - Tests service discovery by multicast: mDNS, SSDP and LLMNR.

    guest            host               outside
  +--------+       +-------+          +------------------+
  | tap0 ==|=passt=| eth0 -|----------|- eth0            |
  | members|       | (its  |          | 192.0.2.9, .10   |
  +--------+       | own?) |          | fe80::9, fe80::a |
                   +-------+          | members of all   |
                                      | groups           |
                                      +------------------+

Members are sockets as responders and queriers have them: some are members of
the group, bound to the service's port; others only send, from another address
or port. Messages are those of the protocols, but passt does not parse them.
"""

import contextlib
import os
import re
import signal
import socket
import struct
import time

from netlab import HOST4, Lab, check, expect, main, rests, wait_for

IP_RECVTTL, IP_MULTICAST_ALL = 12, 49
ALONE = {"4": ("192.0.2.9", "192.0.2.10"), "6": ("fe80::9", "fe80::a")}
TIME = 3            # s in which an expected datagram must come
QUIET = 0.4         # s in which no datagram may come
ONE_SHOT = 10       # s for which passt waits for answers to a query
FLOOD = 300         # queries from as many ports


def dns(name, ident=0, flags=0, question=True, qclass=1):
    """A query, or a response with one A record (RFC 1035 4.1)."""
    qname = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    qname += b"\0" + struct.pack("!HH", 1, qclass)
    if question:
        return struct.pack("!6H", ident, flags, 1, 0, 0, 0) + qname
    return struct.pack("!6H", ident, flags, 0, 1, 0, 0) + qname + \
        struct.pack("!IH4B", 120, 4, 192, 0, 2, 9)


M_SEARCH = (b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n"
            b"MAN: \"ssdp:discover\"\r\nMX: 2\r\nST: ssdp:all\r\n\r\n")
FOUND = (b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nUSN: uuid:1\r\n"
         b"LOCATION: http://192.0.2.9/\r\nCACHE-CONTROL: max-age=60\r\n\r\n")
NOTIFY = (b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n"
          b"NTS: ssdp:alive\r\nNT: upnp:rootdevice\r\nUSN: uuid:1\r\n\r\n")


class Service:
    """A service at one multicast group.

    @ttl: TTL of its datagrams
    @query, @answer, @news: messages: question, its answer, announcement
    """

    def __init__(self, name, family, group, port, ttl, query, answer, news):
        self.name, self.family = name, family
        self.group, self.port, self.ttl = group, port, ttl
        self.query, self.answer, self.news = query, answer, news

    def __str__(self):
        return f"{self.name} {self.group}"


MDNS = (5353, 255, dns("printer.local", qclass=0x8001),
        dns("printer.local", flags=0x8400, question=False),
        dns("printer.local", flags=0x8400, question=False, qclass=0x8001))
SSDP = (1900, 2, M_SEARCH, FOUND, NOTIFY)
LLMNR = (5355, 1, dns("printer", 4711), dns("printer", 4711, 0x8000, False),
         dns("printer", 4712))
SERVICES = [Service(name, f, group, *how) for name, how, groups in (
    ("mDNS", MDNS, ("224.0.0.251", "ff02::fb")),
    ("SSDP", SSDP, ("239.255.255.250", "ff02::c", "ff05::c")),
    ("LLMNR", LLMNR, ("224.0.0.252", "ff02::1:3")))
    for group in groups for f in ("6" if ":" in group else "4")]


class Member:
    """A socket of a namespace, on its interface to the other namespaces.

    @hears: it is a member of the group, on the port of the service
    """

    def __init__(self, ns, service, addr=None, port=None, hears=False,
                 ttl=None, loop=0, ifname=None):
        v6 = service.family == "6"
        self.v6, self.service = v6, service
        with ns:
            self.sock = socket.socket(
                socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
            ifname = ifname or ("tap0" if ns.is_guest else "eth0")
            self.scope = socket.if_nametoindex(ifname)
        self.options(v6, ttl or service.ttl, loop)
        port = service.port if hears else port or 0
        if port:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(self.at(addr or ("::" if v6 else "0.0.0.0"), port))
        if hears:
            self.join(service.group)
        self.port = self.sock.getsockname()[1]

    def options(self, v6, ttl, loop):
        s = self.sock
        if v6:
            for option, value in (
                    (socket.IPV6_V6ONLY, 1), (socket.IPV6_RECVHOPLIMIT, 1),
                    (socket.IPV6_MULTICAST_IF, self.scope),
                    (socket.IPV6_MULTICAST_HOPS, ttl),
                    (socket.IPV6_MULTICAST_LOOP, loop)):
                s.setsockopt(socket.IPPROTO_IPV6, option, value)
        else:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                         struct.pack("=4s4si", bytes(4), bytes(4), self.scope))
            for option, value in ((IP_RECVTTL, 1), (IP_MULTICAST_ALL, 0),
                                  (socket.IP_MULTICAST_TTL, ttl),
                                  (socket.IP_MULTICAST_LOOP, loop)):
                s.setsockopt(socket.IPPROTO_IP, option, value)

    def at(self, addr, port):
        return (addr, port, 0, self.scope) if self.v6 else (addr, port)

    def join(self, group):
        packed = socket.inet_pton(self.sock.family, group)
        if self.v6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                                 packed + struct.pack("=I", self.scope))
        else:
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                                 packed + struct.pack("=4si", bytes(4),
                                                      self.scope))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def tell(self, data, to=None):
        """Sends @data to the group, or to @to: (address, port)."""
        to = to or (self.service.group, self.service.port)
        self.sock.sendto(data, self.at(*to[:2]))

    def hear(self, data, timeout=TIME):
        """Receives the next datagram, which must be @data. Returns address and
        port of its sender, and its TTL."""
        self.sock.settimeout(timeout)
        got, control, _, who = self.sock.recvmsg(65536, 256)
        expect("datagram", got, data)
        ttl = [struct.unpack("=i", c)[0] for level, kind, c in control
               if (level, kind) in ((socket.IPPROTO_IP, socket.IP_TTL),
                                    (socket.IPPROTO_IPV6,
                                     socket.IPV6_HOPLIMIT))]
        return who[0].partition("%")[0], who[1], ttl[0]

    def quiet(self, seconds=QUIET):
        """Fails if anything comes in the next @seconds."""
        self.sock.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            data, who = self.sock.recvfrom(65536)
            raise AssertionError(f"heard {data[:40]!r} from {who}")


class Talk:
    """Makes members of a service, and closes them after one check."""

    def __init__(self, lab, service):
        self.lab, self.service = lab, service
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def member(self, ns, **kw):
        return self.stack.enter_context(Member(ns, self.service, **kw))

    def guest(self, **kw):
        return self.member(self.lab.guest, **kw)

    def host(self, **kw):
        return self.member(self.lab.host, **kw)

    def peer(self, n=0, **kw):
        """A peer outside, with the @n-th of its addresses."""
        return self.member(self.lab.outside,
                           addr=ALONE[self.service.family][n], **kw)

    def ear(self):
        """A peer outside that is a member of the group."""
        return self.member(self.lab.outside, hears=True)

    def is_host(self, addr):
        """Fails unless @addr is an address of the host."""
        if self.service.family == "4":
            expect("source", addr, HOST4)
        elif addr not in self.lab.host_addresses:
            raise AssertionError(f"source {addr} is not the host's")


def counters(lab, passt):
    """Makes passt log its counters by SIGUSR1. Returns them, by name."""
    before = lab.messages().count("counters: flows")
    os.kill(passt.pid, signal.SIGUSR1)
    wait_for("counters in the log",
             lambda: lab.messages().count("counters: flows") > before)
    time.sleep(0.1)
    text = lab.messages().rpartition("counters: flows")[2]
    return {name: int(n) for name, n in
            re.findall(r"counters: (\S+) (\d+)", text)}


def neighbours(lab):
    """Gives the outside namespace the addresses of several machines."""
    for addr in ALONE["4"]:
        lab.outside.ip(f"addr add {addr}/24 dev eth0")
    for addr in ALONE["6"]:
        lab.outside.ip(f"addr add {addr}/64 dev eth0 nodad")
    out = lab.host.run("ip", "-o", "-6", "addr", "show", "dev", "eth0")
    lab.host_addresses = re.findall(r"inet6 (\S+)/", out)
    for ns in lab.guest, lab.host, lab.outside:
        ns.is_guest = ns is lab.guest


#
# Stories. Each begins with: given passt --multicast and members on both sides,
#

def guest_asks_as_member(lab, service):
    """...when the guest asks from the service's port, then members outside
    receive the query, and the guest receives their multicast and unicast
    answers."""
    with Talk(lab, service) as t:
        ear, peer = t.ear(), t.peer(port=service.port)
        guest = t.guest(hears=True)
        guest.tell(service.query)
        who, port, ttl = ear.hear(service.query)
        t.is_host(who)
        expect("source port", port, service.port)
        expect("TTL", ttl, service.ttl)
        peer.tell(service.news)
        expect("answer to all", guest.hear(service.news),
               (ALONE[service.family][0], service.port, service.ttl))
        peer.tell(service.answer, (who, port))
        who, port, _ = guest.hear(service.answer)
        expect("answer to the guest alone", (who, port),
               (ALONE[service.family][0], service.port))


def guest_asks_from_any_port(lab, service):
    """...when the guest asks from another port, then it receives all peers'
    answers on that port, and its socket on the service's port gets nothing."""
    with Talk(lab, service) as t:
        ear, guest, other = t.ear(), t.guest(), t.guest(hears=True)
        guest.tell(service.query)
        who, port, ttl = ear.hear(service.query)
        t.is_host(who)
        expect("source port", port, guest.port)
        expect("TTL", ttl, service.ttl)
        for n in 0, 1:
            with t.peer(n, port=service.port) as peer:
                peer.tell(service.answer, (who, port))
            expect("answer", guest.hear(service.answer)[:2],
                   (ALONE[service.family][n], service.port))
        other.quiet()


def others_ask(lab, service):
    """...when a peer outside sends a query to the group, then the guest
    receives it. The guest's answers, to that peer and to the group, have the
    service's port as their source port."""
    with Talk(lab, service) as t:
        ear, peer = t.ear(), t.peer()
        guest = t.guest(hears=True)
        peer.tell(service.query)
        ear_heard = guest.hear(service.query)
        expect("question", ear_heard, (ALONE[service.family][0], peer.port,
                                       service.ttl))
        guest.tell(service.answer, ear_heard)
        who, port, _ = peer.hear(service.answer)
        t.is_host(who)
        expect("source port of the answer", port, service.port)
        guest.tell(service.news)
        who, port, _ = ear.hear(service.news)
        t.is_host(who)
        expect("source port of the news", port, service.port)


def host_is_apart(lab, service):
    """...when guest and host send to the group, then neither receives the
    other's datagrams, and the guest does not receive its own."""
    with Talk(lab, service) as t:
        host, guest = t.host(hears=True, loop=1), t.guest(hears=True)
        ear = t.ear()
        guest.tell(service.query)
        ear.hear(service.query)
        host.quiet()
        guest.quiet()
        host.tell(service.news)
        ear.hear(service.news)
        guest.quiet()


def unasked(lab, service):
    """...when a peer outside sends to the service's port by unicast, and the
    guest has asked nothing, then the guest receives nothing."""
    with Talk(lab, service) as t:
        guest, peer = t.guest(hears=True), t.peer(port=service.port)
        host = HOST4 if service.family == "4" else lab.host_addresses[-1]
        peer.tell(service.answer, (host, service.port))
        guest.quiet()


def not_relayed(lab, passt):
    """...when the guest sends to the broadcast address, to other groups, or to
    these groups on other ports, then passt drops and counts it."""
    v4, v6 = SERVICES[0], SERVICES[1]
    before = counters(lab, passt).get("udp_multicast", 0)
    with Talk(lab, v4) as t4, Talk(lab, v6) as t6:
        ears = [t4.ear(), t6.ear()]
        for ear, group in zip(ears, ("239.1.2.3", "ff02::4321")):
            ear.join(group)
        g4, g6 = t4.guest(), t6.guest()
        g4.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        g4.tell(b"all", ("255.255.255.255", 5353))
        g4.tell(b"others", ("239.1.2.3", 5353))
        g4.tell(b"another port", ("224.0.0.251", 1900))
        g6.tell(b"others", ("ff02::4321", 5353))
        g6.tell(b"all nodes", ("ff02::1", 5353))
        for ear in ears:
            ear.quiet()
    expect("more counted", counters(lab, passt)["udp_multicast"] - before, 5)


def flood(lab, passt):
    """...when the guest asks from very many ports, then passt closes the
    sockets for these queries later."""
    service = SERVICES[0]
    idle = passt.descriptors()
    with Talk(lab, service) as t:
        for _ in range(FLOOD):
            with t.guest() as guest:
                guest.tell(service.query)
        wait_for("sockets for the queries",
                 lambda: passt.descriptors() >= idle + FLOOD // 2)
    wait_for("descriptors back", lambda: passt.descriptors() <= idle,
             ONE_SHOT + 5, 0.2)


def without(lab):
    """Given no --multicast, then passt drops and counts multicast datagrams."""
    passt = lab.passt()
    lab.attach()
    for service in SERVICES:
        with check(f"without the option: {service} passes neither way"):
            before = counters(lab, passt).get("udp_multicast", 0)
            with Talk(lab, service) as t:
                ear, peer = t.ear(), t.peer()
                guest, other = t.guest(hears=True), t.guest()
                guest.tell(service.query)
                other.tell(service.query)
                ear.quiet()
                peer.tell(service.query)
                guest.quiet()
            expect("more counted",
                   counters(lab, passt)["udp_multicast"] - before, 2)
    passt.kill(signal.SIGTERM)


def beside_responder(lab):
    """Given a responder on the host that was started before passt, or after it,
    then guest and responder both work; unicast answers go to the responder."""
    for service in SERVICES[:2]:
        for when in "before", "after":
            with check(f"{service}: with a responder of the host's, {when}"), \
                    Talk(lab, service) as t:
                if when == "before":
                    host = t.host(hears=True, loop=1)
                passt = lab.passt("--multicast")
                stand_in = lab.attach()
                if when == "after":
                    host = t.host(hears=True, loop=1)
                ear, peer = t.ear(), t.peer(port=service.port)
                guest = t.guest(hears=True)
                guest.tell(service.query)
                who, port, _ = ear.hear(service.query)
                expect("source port", port, service.port)
                peer.tell(service.news)
                guest.hear(service.news)
                host.hear(service.news)
                peer.tell(service.answer, (who, port))
                host.hear(service.answer)
                guest.quiet()
            stand_in.kill()
            passt.kill(signal.SIGTERM)


def beside_forwarded(lab):
    """Given --multicast, and the service's port forwarded, then the guest
    receives each datagram once."""
    passt = lab.passt("--multicast", "-u", "5353,1900")
    stand_in = lab.attach()
    for service in SERVICES[:5]:
        with check(f"{service}: beside the forwarded port"), \
                Talk(lab, service) as t:
            ear, peer = t.ear(), t.peer(port=service.port)
            guest = t.guest(hears=True)
            peer.tell(service.query)
            peer_at = guest.hear(service.query)
            guest.quiet()
            guest.tell(service.answer, peer_at)
            who, port, _ = peer.hear(service.answer)
            expect("source port", port, service.port)
            guest.tell(service.news)
            ear.hear(service.news)
            peer.tell(b"to the host", (who, port))
            guest.hear(b"to the host")
            guest.quiet()
    stand_in.kill()
    passt.kill(signal.SIGTERM)


STORIES = (
    ("the guest asks from the service's port", guest_asks_as_member),
    ("the guest asks from any port", guest_asks_from_any_port),
    ("others ask, the guest answers", others_ask),
    ("host and guest are apart", host_is_apart),
)


def story():
    with Lab() as lab:
        neighbours(lab)
        passt = lab.passt("--multicast")
        stand_in = lab.attach()
        for service in SERVICES:
            with check(f"{service}: unasked, to the host alone"):
                unasked(lab, service)
        for service in SERVICES:
            for name, tell in STORIES:
                with check(f"{service}: {name}"):
                    tell(lab, service)
        with check("everything else is dropped and counted"):
            not_relayed(lab, passt)
        with check(f"queries from {FLOOD} ports leave nothing behind"):
            flood(lab, passt)
        with check("at rest after all that"):
            rests(passt)
        stand_in.kill()
        passt.kill(signal.SIGTERM)
        beside_responder(lab)
        beside_forwarded(lab)
        without(lab)


if __name__ == "__main__":
    main(story)
