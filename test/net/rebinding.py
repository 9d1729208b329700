#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""rebinding.py - Forwarded ports whose address or interface goes and comes
back while passt runs, or is not there when passt starts.

    guest ==== passt (host) ---- eth0, eth1 ---- clients (outside)
    (servers)
"""

import contextlib
import re
import socket
import time

from hostnet import SECOND4, SECOND6, SOON, configure_second, make_second
from netlab import (Lab, Server, check, echo_tcp, echo_udp, expect,
                    expect_below, main, rests, wait_exit, wait_for)

OWN4, OWN6 = "192.0.2.9", "2001:db8:1::9"
PORT, ALL = 7000, 1500          # a named port; one of the first in 'all'
ADD = f"addr add {OWN4}/24 dev eth0", f"addr add {OWN6}/64 dev eth0 nodad"
LOSE = f"addr del {OWN4}/24 dev eth0", f"addr del {OWN6}/64 dev eth0"
CHANGES = 20                    # changes of the host, each handled alone


def forwarded(lab, addr, port, kind):
    """Whether a client outside gets an echo from the guest through a port."""
    try:
        with lab.outside.connect(addr, port, 0.5, kind) as s:
            s.send(b"x")
            return s.recv(1) == b"x"
    except OSError:
        return False


def serves(lab, *addrs, port=PORT, kinds=(socket.SOCK_STREAM,
                                          socket.SOCK_DGRAM)):
    """Fails unless the guest's servers are soon reached by these addresses."""
    for addr in addrs:
        for kind in kinds:
            wait_for(f"{addr}, {kind.name}",
                     lambda: forwarded(lab, addr, port, kind), SOON)


def sockets(lab):
    """The host's bound sockets, as {name of port: inode}."""
    out = lab.host.run("ss", "-Hlntue")
    return dict(re.findall(r"(\S+:\d+) +\S+:\*.* ino:(\d+)", out))


@contextlib.contextmanager
def servers(lab, *ports):
    """Runs echo servers in the guest."""
    with contextlib.ExitStack() as stack:
        for port in ports:
            for kind, answer in ((socket.SOCK_STREAM, echo_tcp),
                                 (socket.SOCK_DGRAM, echo_udp)):
                for addr in "0.0.0.0", "::":
                    stack.enter_context(Server(bound(lab, addr, port, kind),
                                               answer))
        yield


def bound(lab, addr, port, kind):
    """A server's socket of the guest; that of IPv6 leaves IPv4 alone."""
    if addr != "::":
        return lab.guest.bind(addr, port, kind)
    with lab.guest:
        s = socket.socket(socket.AF_INET6, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.settimeout(10)
    s.bind((addr, port))
    if kind == socket.SOCK_STREAM:
        s.listen()
    return s


def fails(lab, *options):
    """The one line that passt prints when it does not start."""
    p = lab.passt(*options, wait=False)
    expect("exit status", wait_exit(p.pid), 1)
    lines = lab.messages().splitlines()
    expect("number of lines", len(lines), 1)
    return lines[0]


def at_start(lab):
    """Given a named port whose address or interface the host lacks, then passt
    does not start, and says what is missing."""
    cases = ((f"{OWN4}/{PORT}", f"TCP port {PORT} of {OWN4}",
              "give an address that the host has"),
             (f"{OWN6}/{PORT}", f"TCP port {PORT} of {OWN6}",
              "give an address that the host has"),
             (f"%eth1/{PORT}", f"TCP port {PORT} of %eth1",
              "give an interface that the host has"),
             (OWN4 + "/all", "no port can be forwarded",
              "the host has no such address or interface"))
    for spec, *words in cases:
        with check(f"-t {spec}: does not start"):
            line = fails(lab, "-t", spec)
            expect(f"missing in '{line}'",
                   [w for w in words if w not in line], [])


def freebind(lab):
    """Given --freebind, then passt starts without the address, and the port is
    forwarded as soon as the host has it."""
    passt = lab.passt("--freebind", *(
        x for addr in (OWN4, OWN6) for kind in "tu"
        for x in (f"-{kind}", f"{addr}/{PORT}")))
    lab.attach()
    with check("--freebind: the port works once the address comes"), \
            servers(lab, PORT):
        lab.host.ip(*ADD)
        serves(lab, OWN4, OWN6)
    passt.kill()


def address(lab):
    """Given ports of an address, when it goes and comes back, then they are
    forwarded through the same sockets as before."""
    passt = lab.passt(*(x for addr in (OWN4, OWN6) for kind in "tu"
                        for x in (f"-{kind}", f"{addr}/{PORT}")))
    lab.attach()
    with check("address: gone and back"), servers(lab, PORT):
        serves(lab, OWN4, OWN6)
        before = sockets(lab)
        for pause in 0, 2:
            lab.host.ip(*LOSE)
            for addr in OWN4, OWN6:
                expect(f"{addr} works", forwarded(lab, addr, PORT,
                                                  socket.SOCK_STREAM), False)
            time.sleep(pause)
            lab.host.ip(*ADD)
            serves(lab, OWN4, OWN6)
        expect("sockets", sockets(lab), before)
        expect("word of it", "can't be bound" in lab.messages(), False)
    passt.kill()


def interface(lab):
    """Given ports of an interface, and of an address on it, when it is deleted
    and made anew, and its addresses come later, then the ports are forwarded
    as soon as they can be bound."""
    make_second(lab)
    configure_second(lab)
    passt = lab.passt(*(x for spec in ("%eth1", SECOND4 + "%eth1",
                                       SECOND6 + "%eth1") for kind in "tu"
                        for x in (f"-{kind}", f"{spec}/{PORT + len(spec)}")))
    lab.attach()
    ports = [PORT + n for n in (5, len(SECOND4) + 5, len(SECOND6) + 5)]

    def all_serve():
        serves(lab, SECOND4, SECOND6, port=ports[0])
        serves(lab, SECOND4, port=ports[1])
        serves(lab, SECOND6, port=ports[2])

    with servers(lab, *ports):
        with check("interface: ports wait while it is deleted"):
            all_serve()
            lab.host.ip("link del eth1")
            wait_for("a message", lambda: "forwarded ports that wait until they"
                     " can be bound: 6" in lab.messages(), SOON)
        with check("interface: ports of its addresses wait for these"):
            make_second(lab)
            wait_for("a message", lambda: "forwarded ports that wait until they"
                     " can be bound: 4" in lab.messages(), SOON)
        with check("interface: all ports are back, IPv6 after its DAD"):
            configure_second(lab)
            lab.host.ip(f"addr del {SECOND6}/64 dev eth1",
                        f"addr add {SECOND6}/64 dev eth1")
            all_serve()
            wait_for("a message",
                     lambda: "ports are bound again" in lab.messages(), SOON)
    passt.kill()
    lab.host.ip("link del eth1")


def best_effort(lab):
    """Given -t all for an address that the host lacks, and for an interface:
    when the host gets the address, then the address's ports are forwarded. When
    the interface is deleted and made anew, then the interface's ports are
    forwarded again. Meanwhile, changes of the host cost passt little time."""
    make_second(lab)
    configure_second(lab)
    passt = lab.passt("-t", "%eth1/all", "-t", f"{OWN4}%eth0/all",
                      "-t", f"{OWN6}%eth0/all")
    lab.attach()
    tcp = (socket.SOCK_STREAM,)
    with servers(lab, ALL):
        with check("all: an address that comes"):
            serves(lab, SECOND4, SECOND6, port=ALL, kinds=tcp)
            lab.host.ip(*ADD)
            serves(lab, OWN4, OWN6, port=ALL, kinds=tcp)
        with check("all: an interface is deleted"):
            lab.host.ip("link del eth1")
            wait_for("a message", lambda: "forwarded ports closed until their "
                     "interface is back" in lab.messages(), SOON)
            expect("ports of eth1", "%eth1" in lab.host.run("ss", "-Hltn"),
                   False)
        with check("all: changes meanwhile cost little"):
            before = passt.cpu()
            for i in range(CHANGES):
                lab.host.ip(f"addr add 203.0.115.{i + 1}/32 dev eth0")
                time.sleep(0.12)
            expect_below("s of CPU", passt.cpu() - before, 1)
        with check("all: an interface is made anew"):
            make_second(lab)
            configure_second(lab)
            serves(lab, SECOND4, SECOND6, port=ALL, kinds=tcp)
        with check("all: afterwards passt rests"):
            rests(passt)
    passt.kill()


def story():
    with Lab() as lab:
        for part in at_start, freebind, address, interface, best_effort:
            with check(f"{part.__name__} ran to its end"):
                part(lab)
            if part is address:
                lab.host.ip(*LOSE)


if __name__ == "__main__":
    main(story)
