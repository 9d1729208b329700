#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""lease.py - Tests what real DHCP and SLAAC clients get, and whether it works.

    guest: udhcpc, dhclient -4 and -6, the kernel's SLAAC ==== passt (host)

They must get the host's own addresses, unless options of passt say otherwise.
"""

import json
import os
import socket

from netlab import (HOST4, HOST6, Lab, ROUTER4, ROUTER6, SERVER6, Server,
                    check, echo_tcp, echoes, expect, main, serves, wait_for)

DHCLIENT = """#!/bin/sh
# dhclient calls this: it writes the lease to a file.
case $reason in
BOUND|BOUND6) env | grep ^new_ >"$LEASE" ;;
esac
exit 0
"""
DNS4, DNS6, SEARCH = "198.51.100.53", "2001:db8:2::53", "example.org a.example"


def dhclient(lab, version):
    """Runs ISC's client. Returns its lease, a dictionary of strings."""
    script, lease = f"{lab.dir}/script", f"{lab.dir}/lease{version}"
    if not os.path.exists(script):
        with open(os.open(script, os.O_CREAT | os.O_WRONLY, 0o755), "w") as f:
            f.write(DHCLIENT)
    lab.guest.run("dhclient", f"-{version}", "-1", "-v", "-cf", "/dev/null",
                  "-e", f"LEASE={lease}", "-sf", script, "-lf",
                  f"{lease}.db", "--no-pid", "tap0")
    with open(lease) as f:
        return dict(line.rstrip("\n").removeprefix("new_").split("=", 1)
                    for line in f)


def expect_fields(got, **want):
    """Fails unless the fields have these values."""
    expect("lease", {key: got.get(key) for key in want}, want)


def link_local(lab):
    """Waits until the guest may use its link-local address."""
    wait_for("link-local address", lambda: any(
        "local" in a and not a.get("tentative") for link in json.loads(
            lab.guest.run("ip", "-j", "-6", "addr", "show", "dev", "tap0",
                          "scope", "link")) for a in link["addr_info"]))


def clients(lab):
    """Given no addresses on the command line, then each client gets those of
    the host."""
    lab.passt("-D", DNS4, "-D", DNS6, "-S", SEARCH, "-m", "9000")
    lab.attach(mtu=9000, configure=False)
    with check("udhcpc"):
        expect_fields(lab.dhcp(), ip=HOST4, mask="24", router=ROUTER4,
                      dns=DNS4, search=SEARCH, mtu="9000")
    with check("dhclient -4"):
        expect_fields(dhclient(lab, 4), ip_address=HOST4,
                      subnet_mask="255.255.255.0", routers=ROUTER4,
                      domain_name_servers=DNS4)
    with check("SLAAC: an address in the host's prefix"):
        addr = lab.slaac()
        expect("prefix", addr.startswith("2001:db8:1:"), True)
    with check("SLAAC: the router, and the MTU"):
        route, = json.loads(lab.guest.run("ip", "-j", "-6", "route", "show",
                                          "default"))
        expect("router", route["gateway"], ROUTER6)
        with lab.guest, open("/proc/sys/net/ipv6/conf/tap0/mtu") as f:
            expect("MTU", f.read(), "9000\n")
    with check("dhclient -6"):
        link_local(lab)
        expect_fields(dhclient(lab, 6), ip6_address=HOST6,
                      dhcp6_name_servers=DNS6, dhcp6_domain_search=" ".join(
                          f"{d}." for d in SEARCH.split()))
    with check("both IPv6 addresses work"):
        lab.guest.ip(f"addr add {HOST6}/128 dev tap0 nodad")
        with Server(lab.outside.bind(SERVER6), echo_tcp) as server:
            for source in HOST6, addr:
                with lab.guest:
                    s = socket.socket(socket.AF_INET6)
                with s:
                    s.bind((source, 0))
                    s.settimeout(5)
                    s.connect((SERVER6, server.port))
                    echoes(s)


def given(lab):
    """Given addresses that differ from the host's, then the guest gets them,
    and passt translates them."""
    lab.passt("-a", "10.1.2.3", "-n", "255.255.0.0", "-g", "10.1.0.1",
              "-a", "fd00:1::3")
    lab.attach(configure=False)
    with check("given addresses are leased"):
        expect_fields(lab.dhcp(), ip="10.1.2.3", mask="16",
                      router="10.1.0.1")
        expect("prefix", lab.slaac().startswith("fd00:1:"), True)
    with check("given addresses get out"):
        serves(lab)


def story():
    for part in clients, given:
        with check(f"{part.__name__} ran to its end"), Lab() as lab:
            part(lab)


if __name__ == "__main__":
    main(story)
