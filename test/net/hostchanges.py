#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""hostchanges.py - One change of the host's network after the other, while a
guest with ordinary clients runs: udhcpc, and the kernel's SLAAC.

    guest ==== passt (host) ---- eth0, and later eth1 ---- the router (outside)

After each change, the network that passt's log says is in force must be the one
that a second passt logs that starts now, and the guest must have it once its
DHCP client has asked again. Open connections must live on where the host's own
would.
"""

import contextlib
import json
import os
import re
import signal
import socket
import struct
import time

from hostnet import (PEER4, PEER6, SECOND4, SECOND6, SOON, batch,
                     configure_second, connection, make_second, seen_as)
from netlab import (HOST4, HOST6, Lab, ROUTER4, ROUTER6, check, expect, main,
                    new_log, rests, spawn_user, wait_exit, wait_for)

MORE4, MORE6 = "192.0.2.50", "2001:db8:5::50"
NEW_ROUTER4, NEW_ROUTER6 = "192.0.2.254", "fe80::254"
PASST6 = "fe80::1"                      # OFFLINE_GATEWAY6 of conf/derive.c
NEW_MAC = "02:00:00:00:00:99"
RA, ALL_NODES = 134, "ff02::1"          # RFC 4861 4.2
ASKED = 5.0             # s: a client has asked for a lease
OFF, BRIEF, ON = 0, 4, 1800             # router lifetimes, s

UDHCPC = """#!/bin/sh
# udhcpc calls this. It runs all the time, and applies each lease.
ip -4 addr flush dev "$interface"
case $1 in bound|renew)
	ip addr add "$ip/$mask" dev "$interface"
	ip route add default via "$router" dev "$interface"
	echo "$dns" >DIR/dns
esac
"""


#
# What is in force, what a passt that starts now would say, what the guest has.
#

def block(text):
    """The lines of the last "Guest:" summary in a log."""
    lines = text.rpartition("Guest:\n")[2].splitlines()
    end = next(i for i, line in enumerate(lines)
               if not re.match(r"  |IPv[46], ", line))
    return lines[:end]


def in_force(lab, passt):
    seen = lab.messages().count("counters: flows")
    os.kill(passt.pid, signal.SIGUSR1)
    wait_for("counters",
             lambda: lab.messages().count("counters: flows") > seen)
    return block(lab.messages())


def fresh(lab):
    """The summary of a passt that starts now."""
    with new_log(f"{lab.dir}/fresh.log") as log:
        p = spawn_user(lab.host, [lab.passt_bin, "-f", "-s",
                                  f"{lab.dir}/fresh"], stderr=log, stdout=log)

        def ready():
            log.seek(0)
            text = log.read().decode()
            return "Now start" in text and text
        text = wait_for("start of a second passt", ready)
        p.terminate()
        wait_exit(p.pid)
    return block(text)


def shown(lines, family, what):
    """Values of a summary: those of an item, of one family."""
    text = "\n".join(lines) + "\nIPv"
    part = text.partition(f"{family}, ")[2].partition("\nIPv")[0]
    return re.findall(rf"^  {what} +(.*)$", part, re.M)


def guest_has(lab):
    """The guest's addresses, routers and resolver of IPv4, and prefixes and
    routers of IPv6, without deprecated ones."""
    out = json.loads(lab.guest.run("ip", "-j", "addr", "show", "dev", "tap0",
                                   "scope", "global"))
    addrs = [a for link in out for a in link.get("addr_info", ())
             if "local" in a and not a.get("deprecated")]
    routes = [[r["gateway"] for r in json.loads(
        lab.guest.run("ip", "-j", f"-{v}", "route", "show", "default"))]
        for v in (4, 6)]
    with open(f"{lab.dir}/dns", encoding="ascii") as file:
        dns = file.read().split()
    return {
        "addresses": [f"{a['local']}/{a['prefixlen']}" for a in addrs
                      if a["family"] == "inet"],
        "router": routes[0], "resolvers": dns,
        "prefixes": sorted(prefix(a["local"]) for a in addrs
                           if a["family"] == "inet6"),
        "router6": routes[1],
    }


def prefix(addr):
    return socket.inet_pton(socket.AF_INET6, addr)[:8].hex(":", 2)


def guest_should_have(lines):
    six = [a.split("/") for a in shown(lines, "IPv6", "address")]
    return {
        "addresses": shown(lines, "IPv4", "address"),
        "router": shown(lines, "IPv4", "router"),
        "resolvers": ", ".join(shown(lines, "IPv4", "DNS")).split(", "),
        "prefixes": sorted(prefix(a) for a, n in six if n == "64"),
        "router6": [r.split(",")[0] for r in shown(lines, "IPv6", "router")]
                   if six else [],
    }


class World:
    """The lab, with passt, a guest and its DHCP client.

    @online: the host has IPv6, so the guest gets a prefix
    """

    def __init__(self, lab, *options, online=True):
        self.lab = lab
        self.passt = lab.passt(*options)
        lab.attach(configure=False)
        script = f"{lab.dir}/udhcpc-all"
        with open(os.open(script, os.O_CREAT | os.O_WRONLY, 0o755), "w",
                  encoding="ascii") as file:
            file.write(UDHCPC.replace("DIR", lab.dir))
        self.client = lab.guest.spawn(
            "busybox", "udhcpc", "-i", "tap0", "-s", script, "-f", "-t", "8",
            "-T", "1", stdout=lab.guest_log, stderr=lab.guest_log)
        wait_for("lease", lambda: os.path.exists(f"{lab.dir}/dns"))
        if online:
            lab.slaac()

    def follows(self, addr4=None, router4=None, addr6=None, router6=None,
                ask=True):
        """Fails unless what is in force is soon what a new passt would have,
        with these values among it, and, if its client may @ask, the guest has
        it."""
        want = fresh(self.lab)
        wait_for(f"this network: {want}",
                 lambda: in_force(self.lab, self.passt) == want, SOON)
        for family, item, value in (("IPv4", "address", addr4),
                                    ("IPv4", "router", router4),
                                    ("IPv6", "address", addr6),
                                    ("IPv6", "router", router6)):
            if value:
                expect(f"{item} of {family}", shown(want, family, item),
                       [value])
        if ask:
            self.guest_gets(want)

    def guest_gets(self, want):
        """Lets the guest's client ask. Fails unless the guest then has what
        this summary says."""
        # Release the lease, then ask for one. If the client renewed its lease,
        # it would sleep for 3 s after a NAK.
        self.client.send_signal(signal.SIGUSR2)
        time.sleep(0.05)
        self.client.send_signal(signal.SIGUSR1)
        should = guest_should_have(want)
        try:
            wait_for("guest", lambda: guest_has(self.lab) == should, ASKED)
        except AssertionError:
            expect("the guest's network", guest_has(self.lab), should)

    def changes(self):
        """How often passt has logged a change so far."""
        return self.lab.messages().count("The host has changed")


@contextlib.contextmanager
def survives(lab, source4, source6):
    """Opens connections by IPv4 and IPv6 from these addresses; fails unless
    they still work after the block."""
    with connection(lab, 0, source4) as conn4, \
            connection(lab, 1, source6) as conn6:
        yield
        expect("connections of before", [seen_as(conn4), seen_as(conn6)],
               [source4, source6])


#
# The changes.
#

def addresses(w):
    """Given a host, when it gets second addresses and loses the first ones,
    then the guest has what a guest of a new passt would have."""
    host = w.lab.host
    with check("a second address of each family"), survives(w.lab, HOST4,
                                                            HOST6):
        host.ip(f"addr add {MORE4}/24 dev eth0",
                f"addr add {MORE6}/64 dev eth0 nodad")
        w.lab.outside.ip(f"-6 route add {MORE6}/64 dev eth0")
        w.follows(addr4=f"{HOST4}/24")
    with check("the first one of two addresses is gone"):
        host.ip(f"addr del {HOST4}/24 dev eth0",
                f"addr del {HOST6}/64 dev eth0")
        w.follows(f"{MORE4}/24", ROUTER4, f"{MORE6}/64", ROUTER6)
    with check("it is back, and the other one is gone"):
        host.ip(f"addr add {HOST4}/24 dev eth0",
                f"addr add {HOST6}/64 dev eth0 nodad",
                f"addr del {MORE4}/24 dev eth0",
                f"addr del {MORE6}/64 dev eth0")
        w.follows(f"{HOST4}/24", ROUTER4, f"{HOST6}/64", ROUTER6)
    for n4, n6 in (25, 80), (24, 64):
        with check(f"prefixes of {n4} and {n6} bits"), survives(w.lab, HOST4,
                                                                HOST6):
            out = host.run("ip", "-o", "addr", "show", "dev", "eth0")
            old4, old6 = (re.search(rf"{a}/\d+", out)[0]
                          for a in (HOST4, HOST6))
            batch(w.lab, host, f"addr del {old4} dev eth0",
                  f"addr del {old6} dev eth0",
                  f"addr add {HOST4}/{n4} dev eth0",
                  f"addr add {HOST6}/{n6} dev eth0 nodad",
                  f"route replace default via {ROUTER4}")
            w.follows(f"{HOST4}/{n4}", ROUTER4, f"{HOST6}/{n6}", ROUTER6)


def carrier_changes(ns, interface):
    """How often the carrier of an interface came or went."""
    out = ns.run("ip", "-s", "-s", "-j", "link", "show", "dev", interface)
    return json.loads(out)[0]["stats64"]["tx"]["carrier_changes"]


def link(w):
    """Given connections, when the MTU or the carrier of the host's interface
    changes, or the router's MAC address, then the guest notices nothing."""
    before = w.changes()
    ups = carrier_changes(w.lab.guest, "tap0")
    for mtu in 1400, 1500:
        with check(f"an MTU of {mtu}"), survives(w.lab, HOST4, HOST6):
            w.lab.host.ip(f"link set eth0 mtu {mtu}")
            w.follows(ask=False)
    with check("the carrier is gone for 2 s"), survives(w.lab, HOST4, HOST6):
        w.lab.outside.ip("link set eth0 down")
        time.sleep(2)
        expect("carrier", "NO-CARRIER" in w.lab.host.run(
            "ip", "link", "show", "eth0"), True)
        w.follows(f"{HOST4}/24", ROUTER4, f"{HOST6}/64", ROUTER6, ask=False)
        w.lab.outside.ip("link set eth0 up",
                         f"addr add {ROUTER6}/64 dev eth0 nodad")
    with check("the router's MAC address"), survives(w.lab, HOST4, HOST6):
        w.lab.outside.ip(f"link set eth0 address {NEW_MAC}")
        w.follows()
    with check("the guest has noticed nothing of that"):
        expect("changes of the guest's network", w.changes(), before)
        expect("changes of the guest's carrier",
               carrier_changes(w.lab.guest, "tap0"), ups)


def interface_down(w):
    """Given an interface that is set down and up, then the guest has what
    a guest of a new passt would have."""
    with check("the interface is set down"):
        w.lab.host.ip("link set eth0 down")
        w.follows()
    with check("the interface is set up"):
        w.lab.host.ip("link set eth0 up", f"route add default via {ROUTER4}",
                      f"addr add {HOST6}/64 dev eth0 nodad",
                      f"route add default via {ROUTER6} dev eth0")
        w.follows(f"{HOST4}/24", ROUTER4, f"{HOST6}/64", ROUTER6)
        with survives(w.lab, HOST4, HOST6):
            pass


def router(w):
    """Given connections, when the router gets another address, of one family or
    of both, then the guest gets that router, and the connections live on."""
    old4, old6 = ROUTER4, ROUTER6
    for r4, r6 in ((NEW_ROUTER4, ROUTER6), (NEW_ROUTER4, NEW_ROUTER6),
                   (ROUTER4, ROUTER6)):
        with check(f"router {r4} and {r6}"), survives(w.lab, HOST4, HOST6):
            batch(w.lab, w.lab.outside, f"addr replace {r4}/24 dev eth0",
                  f"addr replace {r6}/64 dev eth0 nodad")
            batch(w.lab, w.lab.host,
                  *([f"route replace default via {r4}"] if r4 != old4 else []),
                  *([f"route replace default via {r6} dev eth0"]
                    if r6 != old6 else []))
            batch(w.lab, w.lab.outside,
                  *([f"addr del {old4}/24 dev eth0"] if r4 != old4 else []),
                  *([f"addr del {old6}/64 dev eth0"] if r6 != old6 else []))
            w.follows(f"{HOST4}/24", r4, f"{HOST6}/64", r6)
        old4, old6 = r4, r6


def advertise(lab, lifetime):
    """Sends a router advertisement from outside to the host's network, from an
    address that passt would not choose by itself."""
    with lab.outside:
        s = socket.socket(socket.AF_INET6, socket.SOCK_RAW,
                          socket.IPPROTO_ICMPV6)
        index = socket.if_nametoindex("eth0")
    with s:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        s.bind((NEW_ROUTER6, 0, 0, index))
        s.sendto(struct.pack("!BBHBBHII", RA, 0, 0, 64, 0, lifetime, 0, 0),
                 (ALL_NODES, 0, 0, index))


def router6(w):
    """Given a default route by router advertisement, when the router says that
    it is none any more, or its lifetime ends, then the guest has what a guest
    of a new passt would have: passt itself as router, at its own address."""
    def has_route():
        return w.lab.host.run("ip", "-6", "route", "show", "default")

    w.lab.host.sysctl(net__ipv6__conf__eth0__accept_ra=2,
                      net__ipv6__route__gc_interval=1)
    w.lab.host.ip(f"-6 route del default via {ROUTER6} dev eth0")
    w.lab.outside.ip(f"addr add {NEW_ROUTER6}/64 dev eth0 nodad")
    for lifetime in ON, BRIEF:
        with check(f"IPv6: a router advertises itself for {lifetime} s"):
            advertise(w.lab, lifetime)
            wait_for("route", has_route)
            w.follows(addr6=f"{HOST6}/64", router6=NEW_ROUTER6,
                      ask=lifetime == ON)
        with check("IPv6: " + ("the router says that it is none any more"
                               if lifetime == ON else "its lifetime ends")):
            if lifetime == ON:
                advertise(w.lab, OFF)
            wait_for("end of the route", lambda: not has_route())
            w.follows(addr6=f"{HOST6}/64", router6=PASST6)
    with check("IPv6: the router is back"):
        advertise(w.lab, ON)
        wait_for("route", has_route)
        w.follows(addr6=f"{HOST6}/64", router6=NEW_ROUTER6)
        with survives(w.lab, HOST4, HOST6):
            pass
    w.lab.host.ip(f"route replace default via {ROUTER6} dev eth0")


def moved(w):
    """Given connections, when the default route moves to another interface and
    back, then they live on. Those whose address is gone then end."""
    make_second(w.lab)
    configure_second(w.lab)
    other = (f"route prepend default via {PEER4}",
             f"-6 route add default via {PEER6} metric 1")
    first = f"{HOST4}/24", ROUTER4, f"{HOST6}/64", ROUTER6
    with contextlib.ExitStack() as held:
        with check("the default route moves"):
            held.enter_context(survives(w.lab, HOST4, HOST6))
            w.lab.host.ip(*other)
            w.follows(f"{SECOND4}/24", PEER4, f"{SECOND6}/64", ask=False)
            conns = [held.enter_context(connection(w.lab, n, source))
                     for n, source in enumerate((SECOND4, SECOND6))]
        with check("the default route moves back"):
            w.lab.host.ip(*(re.sub("prepend|add", "del", o) for o in other))
            w.follows(*first, ask=False)
            expect("connections by eth1", [seen_as(c) for c in conns],
                   [SECOND4, SECOND6])
        with check("connections end whose address is gone, and no others"):
            w.lab.host.ip("addr flush dev eth1 scope global")
            for conn in conns:
                conn.settimeout(SOON)
                with contextlib.suppress(ConnectionResetError):
                    expect("data", conn.recv(1), None)
            w.follows(*first)
            held.close()


def story():
    with Lab() as lab:
        for ns in lab.host, lab.outside:
            ns.sysctl(net__ipv4__conf__all__promote_secondaries=1)
        lab.outside.sysctl(net__ipv6__conf__all__keep_addr_on_down=1,
                           net__ipv4__conf__all__arp_notify=1,
                           net__ipv6__conf__all__ndisc_notify=1)
        w = World(lab)
        for part in addresses, link, interface_down, router, router6, moved:
            with check(f"{part.__name__} ran to its end"):
                part(w)
        with check("after all, passt rests"):
            rests(w.passt)


if __name__ == "__main__":
    main(story)
