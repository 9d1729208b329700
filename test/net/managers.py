#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""managers.py - systemd-networkd manages the host's network while passt runs.

    guest ==== passt (host) ---- eth0 ---- dnsmasq, DHCP and RA (outside)
               systemd-networkd

passt starts before the host has an address. Then networkd gets a lease and a
prefix, sets the interface down and up, and begins anew, and gets another
lease. The guest must have what a guest of a new passt would have.
"""

import contextlib
import json
import os
import sys

import ownroot
from clients import networkd_running
from hostchanges import World
from hostnet import connection
from netlab import Lab, check, expect, main, wait_for

NETWORK = """
[Match]
Name=eth0
[Network]
DHCP=ipv4
IPv6AcceptRA=yes
[DHCPv4]
UseHostname=no
"""
SLOW = 20.0             # s: networkd has done what it shall


def addresses(lab, family):
    """The host's global addresses on eth0, with prefix lengths."""
    out = json.loads(lab.host.run("ip", "-j", family, "addr", "show", "dev",
                                  "eth0", "scope", "global"))
    return [f"{a['local']}/{a['prefixlen']}" for link in out
            for a in link.get("addr_info", ()) if "local" in a
            and not a.get("tentative") and not a.get("deprecated")]


@contextlib.contextmanager
def dnsmasq(lab, first, last):
    """Serves leases from @first to @last, and announces the prefix of the
    router's address."""
    with open(f"{lab.dir}/dnsmasq.log", "w", encoding="ascii") as log:
        p = lab.outside.spawn(
            "dnsmasq", "-d", "-C", "/dev/null", "-p", "0", "--user=root",
            f"--dhcp-range=192.0.2.{first},192.0.2.{last},2m",
            "--dhcp-authoritative", "--dhcp-leasefile=" + os.devnull,
            "--dhcp-range=::,constructor:eth0,ra-only,64,2m", "--enable-ra",
            "--ra-param=eth0,5,600", "--interface=eth0", "--no-ping",
            stdout=log, stderr=log)
    try:
        yield
    finally:
        p.terminate()
        p.wait()


def lease_in(lab, first, last):
    """Waits until networkd has given the host an address of this range, and
    one by SLAAC; returns both."""
    def has():
        four = [a for a in addresses(lab, "-4")
                if first <= int(a.split(".")[3].split("/")[0]) <= last]
        return four and addresses(lab, "-6") and four
    four = wait_for(f"lease from {first} to {last}", has, SLOW)
    return four[0], addresses(lab, "-6")


def follows(world, first, last):
    """Fails unless the guest follows the host to an address of this range, and
    reaches a server from there."""
    four, six = lease_in(world.lab, first, last)
    world.follows(addr4=four)
    with connection(world.lab, 0, four.split("/")[0]):
        pass
    with connection(world.lab, 1, six[0].split("/")[0]):
        pass


def networkd(lab):
    lab.host.ip("addr flush dev eth0 scope global", "link set eth0 down",
                "route flush table main")
    world = World(lab, online=False)
    with contextlib.ExitStack() as stack:
        with dnsmasq(lab, 100, 110):
            with check("networkd: passt starts offline, then there is a lease"):
                stack.enter_context(networkd_running(lab, lab.host, NETWORK))
                follows(world, 100, 110)
            with check("networkd: down"):
                lab.host.run("networkctl", "down", "eth0")
                wait_for("end of the lease", lambda: not addresses(lab, "-4"),
                         SLOW)
                world.follows()
            with check("networkd: up"):
                lab.host.run("networkctl", "up", "eth0")
                follows(world, 100, 110)
        with dnsmasq(lab, 200, 210), check("networkd: another lease"):
            lab.host.run("networkctl", "reconfigure", "eth0")
            follows(world, 200, 210)


def story():
    ownroot.enter()
    with Lab() as lab:
        networkd(lab)


if __name__ == "__main__":
    if os.geteuid():
        print("skip managers: they need root, and users of their own")
        sys.exit(0)
    main(story)
