#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""hosttimes.py [REPEATS] - Measures how long the guest is without network after
a change of the host's network: from the end of the change to the first new
connection of the guest that a server answers. Prints median and worst time for
each kind of change. The figures in doc/host-changes.md are of 20 repeats;
without an argument, each change is made twice.

    guest ==== passt (host) ---- eth0, eth1 ---- server (outside)
"""

import contextlib
import statistics
import sys
import time

from hostnet import (PEER4, PEER6, SECOND4, SECOND6, batch, configure_second,
                     make_second)
from netlab import (FAMILIES, HOST4, HOST6, Lab, ROUTER4, ROUTER6, Server,
                    check, expect_below, main, tcp_each)

OTHER4, OTHER6 = "192.0.2.77", "2001:db8:5::77"
SETTLED = 0.5           # s: passt has followed the last change
ADVERTISED = 6.5        # s: passt has sent two router advertisements, 3 s apart,
                        # and may send another one at once
RETRY = 0.005           # s
BOUND = 5.0             # s: far more than any change takes


@tcp_each
def tell_source(conn):
    """Answers with the address that a connection came from."""
    conn.sendall(conn.getpeername()[0].encode() + b"\n")


def connects(lab, n, port, source):
    """Tries until a server has answered a connection of the guest from this
    address. Returns the seconds until then."""
    began = time.monotonic()
    while time.monotonic() - began < 2 * BOUND:
        with contextlib.suppress(OSError), \
                lab.guest.connect(FAMILIES[n][1], port, 0.3) as conn:
            if conn.recv(100).decode().strip() == source:
                return time.monotonic() - began
        time.sleep(RETRY)
    raise AssertionError(f"no connection from {source}")


# For each kind of change: the family to measure (0: IPv4, 1: IPv6); commands
# and the source address afterwards; commands that take the change back.
ONLINE4 = ("link set eth0 up", f"addr replace {HOST4}/24 dev eth0",
           f"route replace default via {ROUTER4} dev eth0")
ONLINE6 = ("link set eth0 up", f"addr replace {HOST6}/64 dev eth0 nodad",
           f"route replace default via {ROUTER6} dev eth0")
KINDS = {
    "IPv4 address replaced": (
        0, (f"addr del {HOST4}/24 dev eth0", f"addr add {OTHER4}/24 dev eth0",
            f"route replace default via {ROUTER4}"), OTHER4,
        (f"addr del {OTHER4}/24 dev eth0", *ONLINE4)),
    "IPv6 address replaced": (
        1, (f"addr del {HOST6}/64 dev eth0",
            f"addr add {OTHER6}/64 dev eth0 nodad"), OTHER6,
        (f"addr del {OTHER6}/64 dev eth0", *ONLINE6)),
    "IPv4 default route moved": (
        0, (f"route prepend default via {PEER4}",), SECOND4,
        (f"route del default via {PEER4}",)),
    "IPv6 default route moved": (
        1, (f"route add default via {PEER6} metric 1",), SECOND6,
        (f"route del default via {PEER6} metric 1",)),
    "IPv4 offline to online": (
        0, ONLINE4, HOST4, ("addr flush dev eth0 scope global",
                            "link set eth0 down")),
    "IPv6 offline to online": (
        1, ONLINE6, HOST6, ("addr flush dev eth0 scope global",
                            "link set eth0 down")),
}


def measure(lab, name, ports, repeats):
    n, change, source, back = KINDS[name]
    times = []
    if "offline" in name:
        lab.host.ip("link set eth1 down")
        batch(lab, lab.host, *back)
    for _ in range(repeats):
        time.sleep(ADVERTISED if name == "IPv6 offline to online" else SETTLED)
        batch(lab, lab.host, *change)
        times.append(connects(lab, n, ports[n], source))
        batch(lab, lab.host, *back)
    batch(lab, lab.host, *ONLINE4)
    batch(lab, lab.host, *ONLINE6)
    print(f"{name}: median {statistics.median(times):.3f} s, "
          f"worst {max(times):.3f} s")
    expect_below("worst time, s", max(times), BOUND)


def story():
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    with Lab() as lab:
        make_second(lab)
        configure_second(lab)
        lab.outside.ip(f"-6 route add {OTHER6}/64 dev eth0")
        lab.passt()
        lab.attach()
        with contextlib.ExitStack() as stack:
            ports = [stack.enter_context(
                Server(lab.outside.bind(addr), tell_source)).port
                for _, addr in FAMILIES]
            for name in KINDS:
                with check(name):
                    measure(lab, name, ports, repeats)


if __name__ == "__main__":
    main(story)
