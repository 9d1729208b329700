#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""renewals.py - Lets Debian's DHCP clients renew their lease by themselves.

With a lease of 20 s, clients renew the lease after 10 s (T1), although most of
them do not request the option for T1. For systemd-networkd, the lease is 40 s,
and T1 is 20 s. Then another passt, with other addresses for the guest, replaces
the first one: at the next renewal, the guest must learn that its address has
changed, and get the new one.
"""

import contextlib
import os
import subprocess
import sys
import time

import ownroot
from clients import (DHCPCD, TYPES4, UDHCPC, Capture, addresses,
                     dhclient_files, networkd_running, running, script, works)
from netlab import (HOST4, HOST6, Lab, SERVER4, SERVER6, check, expect, main,
                    wait_for)

MOVED4, MOVED6 = "192.0.2.77", "2001:db8:77::77"
LEASE = 20                                              # seconds
# systemd-networkd allows its timers to be 10 s late: the one for T2, 16 s, may
# end together with the one for T1, 10 s, and then it does not send a RENEW.
NETWORKD_LEASE = 40
RENEW4, RENEW6 = ("REQUEST", "ACK"), ("RENEW", "REPLY")


class World:
    """A guest, and one passt after the other."""

    def __init__(self, lab, lease):
        self.lab, self.moved, self.count = lab, False, 0
        self.lease = lease
        self.start()
        lab.attach("--reconnect", configure=False)
        time.sleep(0.1)
        self.capture = Capture(self.path)

    def start(self):
        self.path = f"{self.lab.dir}/capture{self.count}"
        self.count += 1
        options = ["-a", MOVED4 + "/24", "-a", MOVED6 + "/64"] \
            if self.moved else []
        self.passt = self.lab.passt("--lease-time", str(self.lease),
                                    "--pcap", self.path, *options)

    def move(self):
        """Replaces passt by one that gives the guest other addresses."""
        self.passt.kill()
        self.moved = not self.moved
        self.start()
        wait_for("capture", lambda: os.path.exists(self.path))
        self.capture = Capture(self.path)

    def addresses(self):
        return [MOVED4, MOVED6] if self.moved else [HOST4, HOST6]


@contextlib.contextmanager
def udhcpc(lab):
    path = script(f"{lab.dir}/udhcpc", UDHCPC)
    with running(lab, "busybox", "udhcpc", "-i", "tap0", "-s", path, "-f",
                 "-t", "8", "-T", "1"):
        yield


@contextlib.contextmanager
def dhclient(lab, version):
    files = dhclient_files(version)
    lab.guest.run("dhclient", f"-{version}", "-1", *files, "tap0")
    yield
    lab.guest.run("dhclient", f"-{version}", "-x", *files, "tap0")


@contextlib.contextmanager
def dhclient4(lab):
    with dhclient(lab, 4):
        yield


@contextlib.contextmanager
def dhclient6(lab):
    lab.slaac()
    with dhclient(lab, 6):
        yield


@contextlib.contextmanager
def dhcpcd(lab):
    conf = script("/etc/dhcpcd-test.conf", DHCPCD)
    with running(lab, "dhcpcd", "-B", "-f", conf, "tap0"):
        yield


@contextlib.contextmanager
def networkd(lab):
    with networkd_running(lab):
        yield


def serves(world, families):
    """Fails unless the guest gets its addresses, and is connected."""
    for address, server in zip(world.addresses(), (SERVER4, SERVER6)):
        if (6 if ":" in address else 4) in families:
            works(world.lab, address, server)


def learns(world, families):
    """Waits until the guest has its new addresses. Fails if an IPv4 client does
    not begin anew at the first NAK, or if an IPv6 client must wait for T2."""
    new = {a for a in world.addresses() if (6 if ":" in a else 4) in families}
    wait_for(f"{new}", lambda: new <= set(addresses(world.lab)),
             2 * world.lease)
    heard = world.capture.messages()
    if 4 in families:
        four = [m for m in heard if m in TYPES4]
        expect("messages before DISCOVER", four[:four.index("DISCOVER")],
               ["REQUEST", "NAK", "NAK"])
    if 6 in families and "REBIND" in heard:
        raise AssertionError(f"REBIND: {heard}")


def left(world, old, families):
    """Waits until the guest has none of the old addresses."""
    gone = [a for a in old if (6 if ":" in a else 4) in families]
    wait_for(f"end of {gone}",
             lambda: not set(gone) & set(addresses(world.lab)),
             2 * world.lease)


def renews(world, name, client, families):
    messages = RENEW4 * (4 in families) + RENEW6 * (6 in families)
    with client(world.lab):
        with check(f"{name}: has a lease"):
            serves(world, families)
            world.capture.messages()
        with check(f"{name}: renews it by itself, twice"):
            for _ in range(2):
                world.capture.hears(*messages, timeout=world.lease)
        with check(f"{name}: still has it"):
            serves(world, families)
        with check(f"{name}: gets another address when it renews"):
            old = world.addresses()
            world.move()
            learns(world, families)
            serves(world, families)
        with check(f"{name}: has lost the old one"):
            left(world, old, families)


CLIENTS = {
    "udhcpc": (udhcpc, (4,), LEASE), "dhclient4": (dhclient4, (4,), LEASE),
    "dhclient6": (dhclient6, (6,), LEASE), "dhcpcd": (dhcpcd, (4, 6), LEASE),
    "networkd": (networkd, (4, 6), NETWORKD_LEASE),
}


def one(name):
    """Tests one client."""
    client, families, lease = CLIENTS[name]
    ownroot.enter()
    with Lab() as lab:
        renews(World(lab, lease), name, client, families)


def story():
    """Tests all clients at once, because each of them mostly waits."""
    running = {name: subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), name], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for name in CLIENTS}
    for name, process in running.items():
        with check(f"{name} ran to its end"):
            said, _ = process.communicate(timeout=300)
            print(said.rpartition("ok renewals")[0], end="", flush=True)
            expect(f"exit status of {name}", process.returncode, 0)


if __name__ == "__main__":
    if os.geteuid():
        print("skip renewals: they need root, and users of their own")
        sys.exit(0)
    main(story if len(sys.argv) < 2 else lambda: one(sys.argv[1]))
