# SPDX-License-Identifier: AGPL-3.0-or-later
"""hostnet.py - Helpers for tests in which the host's network changes: what the
guest gets and reaches, and a second interface of the host."""

import contextlib
import json

from netlab import FAMILIES, Server, expect, wait_for

SOON = 4.5              # s: a change has reached the guest
SECOND4, SECOND6 = "100.64.7.2", "2001:db8:7::2"
PEER4, PEER6 = "100.64.7.1", "2001:db8:7::1"
# An argument of ip(8); the gap is for the path of the outside's namespace.
SECOND_LINK = "link add eth1 type veth peer name eth1 netns {}"


def echo(listener):
    """Answers each byte of one connection with the address it came from."""
    conn, peer = listener.accept()
    with conn, contextlib.suppress(OSError):
        while conn.recv(1):
            conn.sendall(peer[0].encode() + b"\n")


def seen_as(conn):
    """The address as which the server sees this connection; None if the
    connection is over."""
    try:
        conn.sendall(b"x")
        with conn.makefile("rb") as file:
            return file.readline().decode().strip() or None
    except OSError:
        return None


def address4(lab):
    """The IPv4 address that DHCP gives now."""
    return lab.dhcp()["ip"]


def prefix6(lab):
    """The first 64 bits of the guest's preferred IPv6 addresses, as text."""
    out = lab.guest.run("ip", "-j", "-6", "addr", "show", "dev", "tap0",
                        "scope", "global")
    return {a["local"].rsplit(":", 4)[0] for link in json.loads(out)
            for a in link.get("addr_info", ()) if "local" in a
            and not a.get("tentative") and not a.get("deprecated")}


def gets(lab, addr4=None, prefix=None):
    """Fails unless the guest soon gets this address, and this prefix."""
    if addr4:
        wait_for(f"lease of {addr4}", lambda: address4(lab) == addr4, SOON)
    if prefix:
        wait_for(f"prefix {prefix}", lambda: prefix6(lab) == {prefix}, SOON)


@contextlib.contextmanager
def connection(lab, n, source):
    """A new connection of the guest, by IPv4 (@n: 0) or IPv6 (1). Fails unless
    it reaches the server from this address."""
    addr = FAMILIES[n][1]
    with Server(lab.outside.bind(addr), echo) as server, \
            lab.guest.connect(addr, server.port) as conn:
        expect("source address", seen_as(conn), source)
        yield conn


def reaches(lab, *sources):
    """Fails unless connections by IPv4 and IPv6 have these source addresses."""
    for n, source in enumerate(sources):
        with connection(lab, n, source):
            pass


def batch(lab, ns, *lines):
    """Runs ip(8) with these command lines in a namespace, within a few
    milliseconds."""
    path = f"{lab.dir}/batch"
    with open(path, "w", encoding="ascii") as file:
        file.writelines(line + "\n" for line in lines)
    ns.run("ip", "-batch", path)


def make_second(lab):
    """Makes a second interface of the host, eth1, connected to the outside."""
    lab.host.ip(SECOND_LINK.format(lab.outside.path()))


def configure_peer(lab):
    """Gives the outside's end of eth1 its addresses, and sets it up."""
    lab.outside.ip(f"addr add {PEER4}/24 dev eth1",
                   f"addr add {PEER6}/64 dev eth1 nodad", "link set eth1 up")


def configure_second(lab):
    """Gives both ends of eth1 their addresses, and sets them up."""
    lab.host.ip(f"addr add {SECOND4}/24 dev eth1",
                f"addr add {SECOND6}/64 dev eth1 nodad", "link set eth1 up")
    configure_peer(lab)
