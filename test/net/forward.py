#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""forward.py - Tests ports of the host that lead to servers in the guest.

    client (outside) ---- passt (host) ==== guest: servers
    client (host's loopback) ---'

It tests lists and ranges of ports, different ports in the guest, exceptions,
ports of one address or interface only, and 'all'.
"""

import re
import resource
import socket
import time

from netlab import (HOST4, HOST6, Lab, NEIGHBOUR6, ROUTER4, ROUTER6, Server,
                    check, echo_tcp, echo_udp, echoes, expect, expect_below,
                    main, receive, rests, serves, tcp_each)
from traffic import DATA, DIGEST, digest_of, give, take_and_tell

UDP = socket.SOCK_DGRAM
HOST = (("4", HOST4), ("6", HOST6))


class Guest:
    """Echo servers in the guest, of both families, on some ports."""

    def __init__(self, lab, tcp=(), udp=()):
        self.servers = [Server(lab.guest.bind("::", port), echo_tcp)
                        for port in tcp]
        self.servers += [Server(lab.guest.bind("::", port, UDP), echo_udp)
                         for port in udp]

    def __enter__(self):
        return self

    def __exit__(self, *args):
        for server in self.servers:
            server.__exit__(*args)


def echoes_udp(client, addr, port):
    """Sends a datagram; fails unless it comes back from the same address."""
    with client.connect(addr, port, 3, UDP) as s:
        s.send(b"datagram")
        expect("echo", s.recv(100), b"datagram")


def closed(client, addr, port, kind=socket.SOCK_STREAM):
    """Fails unless the host refuses the connection."""
    try:
        with client.connect(addr, port, 3, kind) as s:
            if kind == UDP:
                s.send(b"datagram")
                s.recv(100)
    except ConnectionRefusedError:
        return
    raise AssertionError(f"port {port} is open")


def lists(lab):
    """Given lists and ranges of ports, then each leads to its target."""
    lab.passt("-t", "8001,8010-8012,8020:9020,8030-8032:9030-9032",
              "-t", "8060-8069,~8065", "-t", "127.0.0.1/8050",
              "-t", "%eth0/8051", "-u", "8001,8040:9040,8041-8042:9041-9042")
    lab.attach()
    ways = {8001: 8001, 8010: 8010, 8012: 8012, 8020: 9020, 8030: 9030,
            8032: 9032, 8060: 8060, 8069: 8069}
    udp_ways = {8001: 8001, 8040: 9040, 8042: 9042}
    with Guest(lab, {*ways.values(), 8050, 8051, 8065},
               udp_ways.values()):
        for family, addr in HOST:
            for port, inner in ways.items():
                with check(f"tcp{family} port {port} leads to {inner}"):
                    with lab.outside.connect(addr, port) as s:
                        echoes(s)
            for port, inner in udp_ways.items():
                with check(f"udp{family} port {port} leads to {inner}"):
                    echoes_udp(lab.outside, addr, port)
            for port in 8009, 8013, 8065, 9020, 8040:
                with check(f"tcp{family} port {port} is not forwarded"):
                    closed(lab.outside, addr, port)
            for port in 8010, 9040:
                with check(f"udp{family} port {port} is not forwarded"):
                    closed(lab.outside, addr, port, UDP)
        with check("tcp one address: open there"):
            with lab.host.connect("127.0.0.1", 8050) as s:
                echoes(s)
        with check("tcp one address: closed elsewhere"):
            closed(lab.outside, HOST4, 8050)
        with check("tcp one interface: open there"):
            with lab.outside.connect(HOST4, 8051) as s:
                echoes(s)
        with check("tcp one interface: closed elsewhere"):
            closed(lab.host, "127.0.0.1", 8051)
    sources(lab)
    bulk(lab)
    no_server(lab)


@tcp_each
def who_are_you(conn):
    conn.sendall(conn.getpeername()[0].encode())


def sources(lab):
    """Given a client, then the guest sees its address, or the gateway's if the
    client is on the host."""
    cases = (("outside 4", lab.outside, HOST4, f"::ffff:{ROUTER4}"),
             ("outside 6", lab.outside, HOST6, NEIGHBOUR6),
             ("loopback 4", lab.host, "127.0.0.1", f"::ffff:{ROUTER4}"),
             ("loopback 6", lab.host, "::1", ROUTER6))
    with Server(lab.guest.bind("::", 8001), who_are_you):
        for name, client, addr, want in cases:
            with check(f"source address: client from {name}"):
                with client.connect(addr, 8001) as s:
                    expect("source", s.recv(100).decode().split("%")[0], want)


def bulk(lab):
    """Given a forwarded port, then 32 MiB arrive unchanged."""
    for family, addr in HOST:
        with check(f"tcp{family} 32 MiB to the guest"):
            with Server(lab.guest.bind("::", 8010), take_and_tell), \
                    lab.outside.connect(addr, 8010, 60) as s:
                s.sendall(DATA)
                s.shutdown(socket.SHUT_WR)
                expect("SHA-256", receive(s, 64).decode(), DIGEST)
        with check(f"tcp{family} 32 MiB from the guest"):
            with Server(lab.guest.bind("::", 8010), give), \
                    lab.outside.connect(addr, 8010, 60) as s:
                expect("SHA-256", digest_of(s), DIGEST)


def no_server(lab):
    """Given no server in the guest, then the client is reset at once (T2)."""
    for family, addr in HOST:
        with check(f"tcp{family} no server in the guest: reset at once"):
            start = time.monotonic()
            try:
                with lab.outside.connect(addr, 8011, 5) as s:
                    expect("read", s.recv(1), "a reset")
            except (ConnectionResetError, ConnectionRefusedError):
                expect_below("time, s", time.monotonic() - start, 0.5)


def tcp_alone(lab):
    """Given -t without -u, then no UDP port is forwarded."""
    lab.passt("-t", "8100-8101")
    lab.attach()
    with Guest(lab, (8100,), (8100,)):
        with check("udp is not forwarded without -u"):
            with lab.outside.connect(HOST4, 8100) as s:
                echoes(s)
            closed(lab.outside, HOST4, 8100, UDP)
            closed(lab.outside, HOST6, 8100, UDP)


def everything(lab):
    """Given -t all -u all, then all ports lead to the guest, except those in
    use, below 1024, or ephemeral."""
    lab.host.sysctl(net__ipv4__ip_local_port_range="6000 65535")
    taken = lab.host.bind("0.0.0.0", 2000)
    with taken, Server(taken, echo_tcp):
        passt = lab.passt("-t", "all", "-u", "all")
        lab.attach()
        for kind in "tcp", "udp":
            with check(f"{kind} all: every free port from 1024 to 5999"):
                out = lab.host.run("ss", "-Hln", "--" + kind)
                ports = {int(line.split()[3].rsplit(":", 1)[1])
                         for line in out.splitlines()}
                expect("ports missing",
                       sorted(set(range(1024, 6000)) - ports), [])
                expect("ports beyond", [p for p in ports if p > 5999], [])
        with check("all: one socket each, for both families"):
            expect_below("descriptors", passt.descriptors(), 2 * 4976 + 32)
        with check("all: start-up says how many"):
            if not re.search(r"4,97[0-9]", lab.messages()):
                raise AssertionError(lab.messages())
        with Guest(lab, (1024, 5999), (1024, 5999)):
            for family, addr in HOST:
                for port in 1024, 5999:
                    with check(f"tcp{family} and udp{family} port {port}"):
                        with lab.outside.connect(addr, port) as s:
                            echoes(s)
                        echoes_udp(lab.outside, addr, port)
        with check("all: the port in use stays the host's"):
            with lab.outside.connect(HOST4, 2000) as s:
                echoes(s)
        with check("all: the guest itself gets out"):
            serves(lab)
        with check("all: at rest"):
            rests(passt)


def limited(lab, limit, *options):
    """Starts passt with a limit of descriptors. Returns its Process, and the
    number of forwarded ports by protocol, from its log."""
    passt = lab.passt(*options, preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (limit, limit)))
    said = re.search(r"ports forwarded: (.*)", lab.messages())
    if not said:
        raise AssertionError(lab.messages())
    return passt, {proto: int(n.replace(",", "")) for proto, n in re.findall(
        r"(TCP|UDP) ([0-9,]*[0-9])", said[1])}


def shares(lab):
    """Given a limit of descriptors and 'all', then TCP and UDP get equally many
    ports, or TCP all if there is no -u."""
    with check("-t all -u all, 20,000 descriptors: starts within 3 s"):
        passt, ports = limited(lab, 20000, "-t", "all", "-u", "all")
        expect_below("processor time, s", passt.cpu(), 3)
    with check("-t all -u all: TCP and UDP get equally far"):
        expect_below("difference", abs(ports["TCP"] - ports["UDP"]), 2)
        expect_below("descriptors left", 20000 - sum(ports.values()), 5100)
    with check("-t all -u all: as many are bound as it says"):
        for proto in "TCP", "UDP":
            out = lab.host.run("ss", "-Hln", "--" + proto.lower())
            expect(proto, len(out.splitlines()), ports[proto])
    passt.kill()
    with check("-t all alone: TCP gets all descriptors"):
        passt, ports = limited(lab, 20000, "-t", "all")
        expect("protocols", list(ports), ["TCP"])
        expect_below("descriptors left", 20000 - ports["TCP"], 5100)
    passt.kill()


def few_descriptors(lab):
    """Given few descriptors and 'all', then passt leaves some descriptors for
    flows, and logs where it stopped."""
    limit = 2048
    passt, _ = limited(lab, limit, "-t", "all", "-u", "all")
    lab.attach()
    with check("few descriptors: room is left"):
        expect_below("descriptors", passt.descriptors(), limit - 100)
    with check("few descriptors: start-up says where it stopped"):
        if not re.search(r"limit|descriptor", lab.messages()):
            raise AssertionError(lab.messages())
    with check("few descriptors: the guest gets out"):
        serves(lab)
    with check("few descriptors: at rest"):
        rests(passt)


def story():
    for part in lists, tcp_alone, everything, shares, few_descriptors:
        with check(f"{part.__name__} ran to its end"), Lab() as lab:
            part(lab)


if __name__ == "__main__":
    main(story)
