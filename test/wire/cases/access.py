# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests of --no-host-access: the guest reaches no address of the host."""
import random
import socket
import struct
import time

from lib import netns, packet, tcp
from lib.case import (Failure, both, hears_nothing, main, only4, only6,
                      test)
from lib.guest import fresh_port
from lib.netns import GATEWAY, HOST, LOOPBACK, PEER
from lib.packet import ACK, ICMP, ICMPV6, RST, SYN, TCP, UDP
from lib.passt import SLOW

OPTION = "--no-host-access"
LATE = {4: "203.0.113.99", 6: "2001:db8:dead::99"}
# Addresses of the host: two on its interface, one on a bridge, one on the
# loopback interface, and one by a route of type local. BROADCAST has the
# broadcast addresses of its networks.
OWN = {4: [HOST[4], "192.0.2.3", "172.17.0.1", "198.18.0.1", "198.18.9.9"],
       6: [HOST[6], "2001:db8:1::3", "fd00:17::1", "fd00:18::1",
           "fd00:19::9"]}
BROADCAST = ["192.0.2.255", "172.17.255.255", "172.17.0.0"]


def make_addresses(w):
    if getattr(w, "has_addresses", False):
        return
    w.has_addresses = True
    netns.run("ip link add br7 type bridge")
    netns.sysctl("net.ipv6.conf.br7.accept_dad", 0)
    netns.run("ip link set br7 up")
    netns.run(f"ip addr add {OWN[4][1]}/24 dev v0")
    netns.run(f"ip addr add {OWN[6][1]}/64 dev v0 nodad preferred_lft 0")
    netns.run(f"ip addr add {OWN[4][2]}/16 dev br7 brd 172.17.255.255")
    netns.run(f"ip addr add {OWN[6][2]}/64 dev br7 nodad")
    netns.run(f"ip addr add {OWN[4][3]}/32 dev lo")
    netns.run(f"ip addr add {OWN[6][3]}/128 dev lo nodad preferred_lft 0")
    netns.run(f"ip route add local {OWN[4][4]}/32 dev lo")
    netns.run(f"ip route add local {OWN[6][4]}/128 dev lo")


def link_local(dev="v0"):
    """The host's link-local address on @dev. Waits for the end of duplicate
    address detection: before that, the host does not have the address."""
    for _ in range(100):
        out = netns.run(f"ip -6 -o addr show dev {dev} scope link")
        if "inet6" in out and "tentative" not in out:
            break
        time.sleep(0.1)
    return out.split("inet6 ")[1].split("/")[0]


def add_late_address(w, v):
    """The host gets one more address, until the test ends."""
    addr = LATE[v] + {4: "/32", 6: "/128"}[v]
    netns.run(f"ip addr add {addr} dev v0" + (" nodad" if v == 6 else ""))
    w.undo.append(lambda: netns.run(f"ip addr del {addr} dev v0"))


class Listeners:
    """A TCP and a UDP socket that are bound to all addresses of the host."""

    def __init__(self, w, v):
        wild = "::" if v == 6 else "0.0.0.0"
        self.tcp = w.server(v, wild, where=w.net.host)
        self.port = self.tcp.getsockname()[1]
        self.udp = w.local(v, socket.SOCK_DGRAM)
        self.udp.bind((wild, self.port))
        for s in self.tcp, self.udp:
            s.settimeout(0.1)

    def heard(self):
        """Which of the two sockets have received something."""
        out = []
        for s, what in (self.tcp.accept, "TCP"), (lambda: self.udp.recv(9),
                                                  "UDP"):
            try:
                s()
                out.append(what)
            except TimeoutError:
                pass
        return out

    def hears_nothing(self):
        heard = self.heard()
        if heard:
            raise Failure(f"the host heard {heard}")


def prohibited(g, dst, proto, what):
    """Fails unless the guest gets an ICMP error, 'prohibited', about a packet
    of protocol @proto to @dst."""
    v = packet.family(dst)
    kind, codes = (3, (9, 10, 13)) if v == 4 else (1, (1,))

    def is_error(p):
        if not p.icmp or p.icmp.kind != kind or p.icmp.code not in codes:
            return False
        quoted = p.icmp.data
        at = quoted[16:20] if v == 4 else quoted[24:40]
        return (quoted[9 if v == 4 else 6] == proto and
                packet.ntop(at) == dst)

    g.expect(is_error, f"error about {what} to {dst}")


def syn(g, dst, port, src=None):
    src = src or (g.link_local if dst.startswith("fe80") else
                  g.addr[packet.family(dst)])
    g.send_ip(dst, TCP, packet.tcp(src, dst, fresh_port(), port, 1, 0, SYN,
                                   options=packet.opt_mss(1400)), src=src)


def denied(g, dst, port):
    """Fails unless TCP, UDP and pings to @dst are prohibited."""
    v = packet.family(dst)
    syn(g, dst, port)
    prohibited(g, dst, TCP, "TCP")
    src = g.link_local if dst.startswith("fe80") else g.addr[v]
    g.send_udp(dst, fresh_port(), port, b"x", src=src)
    prohibited(g, dst, UDP, "UDP")
    g.send_echo(dst, random.randrange(1, 60000), 1)
    prohibited(g, dst, ICMPV6 if v == 6 else ICMP, "an echo request")


def reached(w, g, v, dst, port):
    c = tcp.Conn(g, dst, port, mss=1400)
    c.connect()
    return c


@test("access", both)
def without_the_option_the_hosts_addresses_are_reached(w, v):
    """Without --no-host-access, the guest reaches addresses of the host."""
    make_addresses(w)
    g, s = w.guest(), Listeners(w, v)
    for dst in OWN[v][2:4]:
        reached(w, g, v, dst, s.port)
        if s.heard() != ["TCP"]:
            raise Failure(f"{dst} was not reached")


@test("access", both)
def no_address_of_the_host_is_reached(w, v):
    make_addresses(w)
    g, s = w.guest(OPTION, hello=False), Listeners(w, v)
    g.addr = {4: "10.11.12.13", 6: "fd00:11::13"}   # not an address of the host
    g.send_arp("192.0.2.9")
    g.flush()
    for dst in OWN[v]:
        denied(g, dst, s.port)
    s.hears_nothing()


@test("access", only6)
def no_link_local_address_of_the_host_is_reached(w, _):
    make_addresses(w)
    g, s = w.guest(OPTION), Listeners(w, 6)
    denied(g, link_local(), s.port)
    s.hears_nothing()


@test("access", only4)
def no_broadcast_address_of_a_network_is_reached(w, _):
    make_addresses(w)
    g, s = w.guest(OPTION), Listeners(w, 4)
    for dst in BROADCAST:
        g.send_udp(dst, fresh_port(), s.port, b"x")
        syn(g, dst, s.port)
        g.send_echo(dst, 77, 1)
    g.silence(lambda p: p.udp or (p.icmp and p.icmp.kind == 0),
              "nobody answers")
    s.hears_nothing()


@test("access", both)
def nor_its_loopback(w, v):
    """The guest reaches the host's loopback neither by loopback addresses, nor
    by the gateway's address, which now leads to the real gateway."""
    g, s = w.guest(OPTION), Listeners(w, v)
    syn(g, LOOPBACK[v], s.port)
    g.send_udp(LOOPBACK[v], fresh_port(), s.port, b"x")
    if v == 4:
        syn(g, "127.9.9.9", s.port)
    else:       # an IPv4 address, mapped to IPv6
        g.send_frame(packet.eth(g.passt.mac, g.mac, packet.ETH_IPV6, packet.ip6(
            g.addr[6], "::ffff:172.17.0.1", UDP, packet.udp(
                g.addr[6], "::ffff:172.17.0.1", 7, s.port, b"x"))))
    if v == 4:
        gw = w.server(v, GATEWAY[v], port=s.port)
        reached(w, g, v, GATEWAY[v], s.port)
        w.accept(gw)
    else:
        syn(g, GATEWAY[v], s.port)
    s.hears_nothing()


@test("access", both)
def others_are_reached(w, v):
    g = w.guest(OPTION)
    server, u = w.server(v), w.udp(v)
    reached(w, g, v, PEER[v], server.getsockname()[1])
    w.accept(server)
    g.send_udp(PEER[v], fresh_port(), u.getsockname()[1], b"hello")
    _, who = u.recvfrom(10)
    u.sendto(b"answer", who)
    g.expect(g.is_udp(PEER[v]), "answer")
    g.send_echo(PEER[v], 88, 1)
    g.expect(lambda p: p.icmp and p.icmp.ident == 88, "echo reply")


@test("access", both)
def what_the_network_refuses_is_refused_as_before(w, v):
    g = w.guest(OPTION)
    syn(g, netns.UNREACHABLE[v], 80)
    p = g.expect(lambda p: p.icmp and p.icmp.kind in (1, 3), "error")
    if (p.icmp.kind, p.icmp.code) not in ((3, 1), (1, 0), (3, 0), (1, 3)):
        raise Failure(f"error {p.icmp}")


@test("access", both)
def an_address_added_while_running_is_closed(w, v):
    """passt refuses new flows to the address at once, and closes existing flows
    within a second."""
    g, s = w.guest(OPTION), Listeners(w, v)
    sport, ident = fresh_port(), random.randrange(1, 60000)
    g.send_udp(LATE[v], sport, s.port, b"before")
    g.send_echo(LATE[v], ident, 1)
    add_late_address(w, v)
    syn(g, LATE[v], s.port)
    prohibited(g, LATE[v], TCP, "TCP")
    time.sleep(1.1 * SLOW)
    g.send_udp(LATE[v], sport, s.port, b"after")
    prohibited(g, LATE[v], UDP, "UDP")
    g.send_echo(LATE[v], ident, 2)
    prohibited(g, LATE[v], ICMPV6 if v == 6 else ICMP, "an echo request")
    s.hears_nothing()


@test("access", both)
def a_connect_that_ends_at_an_address_added_since_is_refused(w, v):
    """The host's kernel sends the SYN again after the address was added, so its
    own listener answers; passt must not connect the guest to it."""
    g, s = w.guest(OPTION), Listeners(w, v)
    syn(g, LATE[v], s.port)
    time.sleep(0.2)
    add_late_address(w, v)
    p = g.recv(lambda p: (p.tcp and p.tcp.sport == s.port) or p.icmp,
               4 * SLOW)
    if p and p.tcp and not p.tcp.has(RST):
        raise Failure(f"connected to the host: {p}")


@test("access", both)
def the_host_reaches_forwarded_ports_of_tcp(w, v):
    """The option does not forbid connections that the host opens to the
    guest."""
    g = w.guest(OPTION, "-t", "7395")
    for addr in LOOPBACK[v], HOST[v]:
        s = w.local(v)
        s.connect((addr, 7395))
        c, _ = tcp.from_syn(g, 7395, v, mss=1400)
        if c.remote != GATEWAY[v]:
            raise Failure(f"comes from {c.remote}")
        c.answer_syn()
        c.expect(ACK, seq=1, ack=1)
        s.sendall(b"question")
        c.read(8)


@test("access", both)
def the_guest_does_not_answer_the_host_by_udp(w, v):
    """The guest's answer to a datagram of the host is dropped: otherwise it
    could send the host any datagram as long as the flow lives."""
    g = w.guest(OPTION, "-u", "7396")
    s = w.local(v, socket.SOCK_DGRAM)
    s.bind((LOOPBACK[v], 0))
    s.sendto(b"question", (LOOPBACK[v], 7396))
    p = g.recv(lambda p: p.udp and p.udp.data == b"question", 1)
    if p:
        g.send_udp(p.src, 7396, p.udp.sport, b"answer",
                   src=g.link_local if v == 6 else None)
    hears_nothing(s, "the guest must not answer")


@test("access", both)
def a_resolver_on_the_host_that_was_asked_for_is_reached(w, v):
    u = w.local(v, socket.SOCK_DGRAM)
    u.bind((LOOPBACK[v], 53))
    via = {4: "192.0.2.8", 6: "2001:db8:1::8"}[v]
    g = w.guest(OPTION, "--dns-forward", via, "--dns-host", LOOPBACK[v])
    g.send_udp(via, fresh_port(), 53, b"query")
    data, who = u.recvfrom(100)
    u.sendto(b"answer", who)
    g.expect(g.is_udp(via), "answer of the resolver")


@test("access")
def options_that_open_the_host_contradict_it(w):
    for opts in (("--map-host-loopback", "192.0.2.9"),
                 ("--map-guest-addr", "192.0.2.9")):
        p = w.start(OPTION, *opts)
        if p.proc.wait(5 * SLOW) != 1:
            raise Failure(f"{opts}: status {p.proc.returncode}")
        lines = p.log().splitlines()
        if len(lines) != 1 or OPTION not in lines[0]:
            raise Failure(f"{opts}: {lines}")
    p = w.start(OPTION, "--map-host-loopback", "none", "--no-map-gw")
    p.wait_ready()


if __name__ == "__main__":
    main()
