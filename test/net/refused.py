#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""refused.py - Tests peers that can't be reached: closed ports, dead hosts.

    guest ==== passt (host) ---- router ---- servers, with closed ports
                                    |------- 203.0.113.0/24: a black hole
                                    `------- 203.0.114.0/24: "unreachable"

The guest must see what the host itself would see (T1): a refusal at once,
silence, or an ICMP error. passt must never invent an answer.
"""

import contextlib
import errno
import socket
import time

from netlab import (DEAD4, DEAD6, FAMILIES, Lab, ROUTER4, ROUTER6,
                    UNREACHABLE4, UNREACHABLE6, check, expect, expect_below,
                    main, rests, serves, wait_for)

AT_ONCE = 0.25          # seconds; a timer would take 1 or more
ONE_RETRY = 1.5         # seconds: enough for one more SYN. Between namespaces
                        # an ICMP error may arrive before connect() returns,
                        # and Linux heeds it only after the second SYN
SILENCE = 3             # seconds: beyond the guest's first retransmission


def outcome(lab, addr, port, timeout=SILENCE, kind=socket.SOCK_STREAM):
    """Lets the guest try a peer. Returns the name of the error that it gets,
    and the seconds until then."""
    start = time.monotonic()
    try:
        with lab.guest.connect(addr, port, timeout, kind) as s:
            if kind == socket.SOCK_DGRAM:
                s.send(b"is anybody there?")
                s.recv(100)
        what = "answer"
    except TimeoutError:
        what = "silence"
    except OSError as e:
        what = errno.errorcode[e.errno]
    return what, time.monotonic() - start


def refused(lab):
    """Given a closed port, when the guest tries it, then it is refused at
    once."""
    for family, addr in FAMILIES:
        with check(f"tcp{family} closed port is refused at once"):
            for _ in range(5):
                what, took = outcome(lab, addr, 4)
                expect("outcome", what, "ECONNREFUSED")
                expect_below("time, s", took, AT_ONCE)
        with check(f"udp{family} closed port is refused at once"):
            what, took = outcome(lab, addr, 4, kind=socket.SOCK_DGRAM)
            expect("outcome", what, "ECONNREFUSED")
            expect_below("time, s", took, AT_ONCE)
    for family, addr in ("4", ROUTER4), ("6", f"{ROUTER6}%tap0"):
        with check(f"tcp{family} closed port on the host's loopback"):
            what, took = outcome(lab, addr, 4)
            expect("outcome", what, "ECONNREFUSED")
            expect_below("time, s", took, AT_ONCE)


def dead(lab, passt):
    """Given a dead peer, when the guest tries it, then passt sends no answer,
    and uses no CPU."""
    for family, addr in ("4", DEAD4), ("6", DEAD6):
        with check(f"tcp{family} dead host stays silent"):
            before = passt.cpu()
            what, took = outcome(lab, addr, 80)
            expect("outcome", what, "silence")
            expect_below("CPU meanwhile, s", passt.cpu() - before, 0.02)
        with check(f"udp{family} dead host stays silent"):
            what, _ = outcome(lab, addr, 80, 1, socket.SOCK_DGRAM)
            expect("outcome", what, "silence")
        with check(f"ping{family} dead host: no answer is invented"):
            out = lab.guest.run("ping", "-c", "2", "-i", "0.2", "-W", "1",
                                addr, status=1)
            if " 0 received" not in out:
                raise AssertionError(out)


def unreachable(lab):
    """Given a router that answers with an ICMP error, then the guest gets the
    same error."""
    # The router's kernel sends 'host unreachable' with IPv4, 'no route' with
    # IPv6.
    for family, addr, error in (("4", UNREACHABLE4, "EHOSTUNREACH"),
                                ("6", UNREACHABLE6, "ENETUNREACH")):
        with check(f"tcp{family} unreachable host: told so"):
            what, took = outcome(lab, addr, 80, 2)
            expect("outcome", what, error)
            expect_below("time, s", took, ONE_RETRY)


def lost_route(lab):
    """Given that the host loses its default route, when the guest connects,
    then it gets an error at once."""
    lab.host.ip("route del default", "-6 route del default")
    for family, addr in ("4", DEAD4), ("6", DEAD6):
        with check(f"tcp{family} no route: told so at once"):
            what, took = outcome(lab, addr, 80, 2)
            expect("outcome", what, "ENETUNREACH")
            expect_below("time, s", took, AT_ONCE)
    lab.host.ip(f"route add default via {ROUTER4}",
                f"-6 route add default via {ROUTER6} dev eth0")
    with check("served again when the route is back"):
        serves(lab)


def reset_by_linger(lab):
    """Given SO_LINGER 0, when one end closes, then the other end is reset
    (T11)."""
    linger = b"\1\0\0\0\0\0\0\0"
    for family, addr in FAMILIES:
        for way in "guest", "server":
            with check(f"tcp{family} reset by the {way} crosses"):
                listener = lab.outside.bind(addr)
                with listener, contextlib.ExitStack() as ends:
                    s = lab.guest.connect(addr, listener.getsockname()[1], 5)
                    c, _ = listener.accept()
                    ends.enter_context(s)
                    ends.enter_context(c)
                    c.settimeout(5)
                    one, other = (s, c) if way == "guest" else (c, s)
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   linger)
                    one.close()
                    try:
                        expect("read", other.recv(1), "a reset")
                    except ConnectionResetError:
                        pass


def story():
    with Lab() as lab:
        passt = lab.passt()
        lab.attach()
        idle = passt.descriptors()
        refused(lab)
        unreachable(lab)
        reset_by_linger(lab)
        with check("refused connections leave no descriptor"):
            wait_for("descriptors", lambda: passt.descriptors() <= idle + 40)
        dead(lab, passt)
        lost_route(lab)
        with check("at rest after all that"):
            rests(passt)


if __name__ == "__main__":
    main(story)
