#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""outbound.py - The address of --outbound, or the interface of --outbound-if4
and --outbound-if6, goes and comes back while passt runs.

    guest ==== passt (host) ---- eth0, and sometimes eth1 ---- servers (outside)

While the host lacks them, TCP, UDP and pings of the guest are refused by ICMP:
network unreachable, or no route. Afterwards all of them work again, also from
sockets that the guest had open all the time.
"""

import contextlib
import errno
import os
import re
import signal
import socket
import time

from hostnet import (PEER4, PEER6, SECOND4, SECOND6, SECOND_LINK, SOON,
                     batch, configure_peer, connection, echo, seen_as)
from netlab import (FAMILIES, HOST6, Lab, Server, check, expect,
                    expect_below, main, rests, wait_for)

OUT4, OUT6 = "192.0.2.9", "2001:db8:1::9"
OTHER4 = "192.0.2.10"
IP_RECVERR, IPV6_RECVERR = 11, 25       # linux/in.h, linux/in6.h
NO_ROUTE = ("Destination Net Unreachable", "Destination unreachable: No route")
REFUSED = ["ENETUNREACH"] * 2
AT_ONCE = 0.5           # s
GATHERED = 0.5          # s: passt has noticed a change


def echo_from(sock):
    """Answers a datagram with the address that it came from."""
    _, peer = sock.recvfrom(10)
    sock.sendto(peer[0].encode(), peer)


class Servers:
    """Servers for TCP and UDP outside, by IPv4 and IPv6, and UDP sockets of the
    guest that stay open."""

    def __init__(self, lab):
        self.lab = lab
        self.tcp = [Server(lab.outside.bind(a), echo) for _, a in FAMILIES]
        self.udp = [Server(lab.outside.bind(a, 0, socket.SOCK_DGRAM), echo_from)
                    for _, a in FAMILIES]
        self.held = [self.udp_socket(n) for n in (0, 1)]

    def udp_socket(self, n):
        s = self.lab.guest.connect(FAMILIES[n][1], self.udp[n].port, 1,
                                   socket.SOCK_DGRAM)
        s.setsockopt(*((socket.IPPROTO_IP, IP_RECVERR) if n == 0 else
                       (socket.IPPROTO_IPV6, IPV6_RECVERR)), 1)
        return s

    def by_tcp(self, n):
        """As which address a server sees a new connection of the guest; or the
        name of the error that the guest gets."""
        began = time.monotonic()
        try:
            with self.lab.guest.connect(FAMILIES[n][1], self.tcp[n].port,
                                        2) as conn:
                return seen_as(conn)
        except TimeoutError:
            return "silence"
        except OSError as e:
            expect_below("seconds", time.monotonic() - began, AT_ONCE)
            return errno.errorcode[e.errno]

    @staticmethod
    def exchange(s):
        """As which address a server sees a datagram from the open socket @s;
        or the name of the error that the guest gets."""
        try:
            s.send(b"x")
            return s.recv(100).decode()
        except TimeoutError:
            return "silence"
        except OSError as e:
            return errno.errorcode[e.errno]

    def by_udp(self, n):
        with self.udp_socket(n) as s:
            return self.exchange(s)

    def pings(self, n):
        """What ping says: a reply's TTL, or an error."""
        out = self.lab.guest.run("ping", "-n", "-c1", "-W1", FAMILIES[n][1],
                                 status=None)
        found = re.search(r"ttl=\d+|(?<=icmp_seq=1 )Dest.*", out)
        return found[0] if found else "silence"


def works(servers, *sources):
    """Fails unless TCP, UDP and ping leave the host from these addresses."""
    for n, source in enumerate(sources):
        wait_for("UDP", lambda: servers.by_udp(n) == source, SOON)
        expect("TCP", servers.by_tcp(n), source)
        expect("ping", servers.pings(n), "ttl=64")


def refused(servers):
    """Fails unless the guest is told that it can reach nothing."""
    for n in 0, 1:
        expect("TCP", servers.by_tcp(n), "ENETUNREACH")
        expect("UDP", servers.by_udp(n), "ENETUNREACH")
        expect("ping", servers.pings(n), NO_ROUTE[n])


def held(servers, *want):
    """Fails unless the guest's open UDP sockets soon get this."""
    for n, outcome in enumerate(want):
        wait_for(f"{outcome} for the open UDP socket",
                 lambda: servers.exchange(servers.held[n]) == outcome, SOON)


class Pings:
    """A ping of each family that goes on all the time, and its outcome."""

    def __init__(self, lab):
        self.lab, self.names, self.all = lab, [], []
        for n, addr in FAMILIES:
            self.names.append(f"{lab.dir}/ping{n}")
            with open(self.names[-1], "wb") as file:
                self.all.append(lab.guest.spawn("ping", "-n", "-i", "0.2", addr,
                                                stdout=file))

    def fail_or_work(self, *want):
        """Fails unless each ping soon prints this text anew."""
        for name, text in zip(self.names, want):
            at = os.path.getsize(name)

            def prints():
                with open(name, encoding="ascii") as file:
                    file.seek(at)
                    return text in file.read()
            wait_for(f"'{text}' of a ping that goes on", prints, SOON)

    def end(self):
        for p in self.all:
            p.send_signal(signal.SIGINT)
            p.wait()


def says(lab, *texts):
    wait_for(" and ".join(texts), lambda: all(
        text in lab.messages() for text in texts), SOON)


def address(lab):
    """Given an outbound address that the host lacks when passt starts, when it
    comes, goes and comes back, then so do the guest's connections."""
    add = (f"addr add {OUT4}/24 dev eth0",
           f"addr add {OUT6}/64 dev eth0 nodad")
    lose = f"addr del {OUT4}/24 dev eth0", f"addr del {OUT6}/64 dev eth0"
    passt = lab.passt("-o", OUT4, "-o", OUT6)
    lab.attach()
    servers = Servers(lab)
    with check("address: passt starts without it, and says so"):
        says(lab, f"--outbound {OUT4}: the host has no such address yet",
             f"--outbound {OUT6}: the host has no such address yet")
        refused(servers)
        held(servers, *REFUSED)
    pings = Pings(lab)
    with check("address: when it comes, all works"):
        lab.host.ip(*add)
        works(servers, OUT4, OUT6)
        held(servers, OUT4, OUT6)
        says(lab, f"--outbound {OUT4} is there", f"--outbound {OUT6} is there")
        pings.fail_or_work("ttl=64", "ttl=64")
    with check("address: when it goes, all is refused"), \
            connection(lab, 0, OUT4) as conn4, \
            connection(lab, 1, OUT6) as conn6:
        lab.host.ip(*lose)
        refused(servers)
        held(servers, *REFUSED)
        pings.fail_or_work(*NO_ROUTE)
        expect("ends", [seen_as(conn4), seen_as(conn6)], [None, None])
        says(lab, f"--outbound {OUT4} is gone", f"--outbound {OUT6} is gone")
    with check("address: when it is back, all works again"):
        lab.host.ip(*add)
        works(servers, OUT4, OUT6)
        held(servers, OUT4, OUT6)
        pings.fail_or_work("ttl=64", "ttl=64")
    with check("address: other addresses of the host change nothing"):
        lab.host.ip(f"addr add {OTHER4}/24 dev eth0",
                    f"addr del {OTHER4}/24 dev eth0",
                    f"addr del {HOST6}/64 dev eth0")
        time.sleep(GATHERED)
        works(servers, OUT4, OUT6)
    pings.end()
    with check("address: afterwards passt rests"):
        rests(passt)


def appear(lab, *first):
    """Makes eth1 with addresses and routes, within a few milliseconds. @first:
    ip(8) commands to run before that."""
    batch(lab, lab.host, *first, SECOND_LINK.format(lab.outside.path()),
          f"addr add {SECOND4}/24 dev eth1",
          f"addr add {SECOND6}/64 dev eth1 nodad", "link set eth1 up")
    configure_peer(lab)
    lab.host.ip(f"route add default via {PEER4} dev eth1 metric 500",
                f"-6 route add default via {PEER6} dev eth1 metric 5000")


def interface(lab):
    """Given an outbound interface that the host lacks when passt starts, when
    it is made, deleted and made anew, then so are the guest's connections."""
    passt = lab.passt("--outbound-if4", "eth1", "--outbound-if6", "eth1")
    lab.attach()
    servers = Servers(lab)
    with check("interface: passt starts without it, and says so"):
        says(lab, "--outbound-if4 eth1: the host has no such interface yet",
             "--outbound-if6 eth1: the host has no such interface yet")
        refused(servers)
        held(servers, *REFUSED)
    with check("interface: when it comes, all works"):
        appear(lab)
        works(servers, SECOND4, SECOND6)
        held(servers, SECOND4, SECOND6)
    pings = Pings(lab)
    with check("interface: when it is deleted, all is refused"), \
            connection(lab, 0, SECOND4) as conn4, \
            connection(lab, 1, SECOND6) as conn6:
        pings.fail_or_work("ttl=64", "ttl=64")
        lab.host.ip("link del eth1")
        refused(servers)
        held(servers, *REFUSED)
        pings.fail_or_work(*NO_ROUTE)
        expect("ends", [seen_as(conn4), seen_as(conn6)], [None, None])
        says(lab, "--outbound-if4 eth1 is gone")
    with check("interface: when it is made anew, all works again"):
        appear(lab)
        works(servers, SECOND4, SECOND6)
        held(servers, SECOND4, SECOND6)
        pings.fail_or_work("ttl=64", "ttl=64")
    with check("interface: deleted and made anew at once, all works again"), \
            connection(lab, 0, SECOND4) as conn4, \
            connection(lab, 1, SECOND6) as conn6:
        appear(lab, "link del eth1")
        time.sleep(GATHERED)
        for n, source in enumerate((SECOND4, SECOND6)):
            expect("the open UDP socket", servers.exchange(servers.held[n]),
                   source)
        works(servers, SECOND4, SECOND6)
        pings.fail_or_work("ttl=64", "ttl=64")
        for conn in conn4, conn6:
            conn.settimeout(SOON)
            with contextlib.suppress(ConnectionResetError):
                expect("data", conn.recv(1), None)
    pings.end()
    with check("interface: afterwards passt rests"):
        rests(passt)


def story():
    for part in address, interface:
        with check(f"{part.__name__} ran to its end"), Lab() as lab:
            for ns in lab.host, lab.outside:
                ns.sysctl(net__ipv6__conf__default__accept_dad=0)
            part(lab)


if __name__ == "__main__":
    main(story)
