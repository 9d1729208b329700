#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""maxflows.py - Tests --max-flows with 64 flows. The guest and peers can open
as many connections as the manual says, and all others are refused at once.
Afterwards, passt serves the guest as before.
"""

import contextlib
import socket

from netlab import (HOST4, Lab, SERVER4, Server, check, echo_tcp, echo_udp,
                    expect, main, serves)

FLOWS = 64
TCP_FLOWS = FLOWS - FLOWS // 8          # the rest is for UDP and ping
PEER_FLOWS = FLOWS - FLOWS // 4         # the rest is for the guest
PORT = 8001
TRIES = 100


def opened(space, addr, port, stack):
    """Opens TRIES connections one after the other. Returns those that succeed
    and echo a byte; the others must be refused, and not time out."""
    alive = []
    for _ in range(TRIES):
        try:
            s = stack.enter_context(space.connect(addr, port, timeout=5))
            s.sendall(b"x")
            if s.recv(1) == b"x":
                alive.append(s)
        except (ConnectionRefusedError, ConnectionResetError):
            pass
    return alive


def from_guest(lab):
    """When the guest opens more connections than there are flows for TCP, then
    the others are refused, and UDP and ping still work."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(lab.outside.bind(SERVER4),
                                            echo_tcp))
        with check(f"{TRIES} connections of the guest: {TCP_FLOWS} are open"):
            alive = opened(lab.guest, SERVER4, server.port, stack)
            expect("open", len(alive), TCP_FLOWS)
        with check("beside them, UDP and ping work"):
            udp = stack.enter_context(Server(
                lab.outside.bind(SERVER4, 0, socket.SOCK_DGRAM), echo_udp))
            s = stack.enter_context(lab.guest.connect(
                SERVER4, udp.port, kind=socket.SOCK_DGRAM))
            s.send(b"datagram")
            expect("echo", s.recv(100), b"datagram")
            lab.guest.run("ping", "-c1", "-W2", SERVER4)
        with check("they still echo"):
            for s in alive:
                s.sendall(b"y")
            expect("echoes", {s.recv(1) for s in alive}, {b"y"})


def from_peers(lab):
    """When peers open more connections than there are flows for them, then the
    others are refused, and the guest still can open connections."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(Server(lab.guest.bind("::", PORT), echo_tcp))
        with check(f"{TRIES} connections of peers: {PEER_FLOWS} are open"):
            alive = opened(lab.outside, HOST4, PORT, stack)
            expect("open", len(alive), PEER_FLOWS)
        with check("beside them, the guest is served"):
            server = stack.enter_context(Server(lab.outside.bind(SERVER4),
                                                echo_tcp))
            mine = opened(lab.guest, SERVER4, server.port, stack)
            expect("open", len(mine), TCP_FLOWS - PEER_FLOWS)


def story():
    with Lab() as lab:
        lab.passt("--max-flows", str(FLOWS), "-t", str(PORT))
        lab.attach()
        from_guest(lab)
        with check("afterwards, the guest is served"):
            serves(lab)
        from_peers(lab)
        with check("afterwards again"):
            serves(lab)
        with check("a line says which option to raise"):
            expect("named", "raise --max-flows" in lab.messages(), True)


if __name__ == "__main__":
    main(story)
