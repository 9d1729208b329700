#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""clients.py - Lets Debian's DHCP clients get, renew and release a lease.

    guest: udhcpc, dhclient, dhcpcd, systemd-networkd ==== passt (host)

What they write to /etc, /var and /run is kept in memory only. The test reads
their messages and passt's answers from passt's capture file.
"""

import contextlib
import json
import os
import pwd
import signal
import struct
import subprocess
import sys
import time

import ownroot
from netlab import (HOST4, HOST6, Lab, MNT_DETACH, SERVER4, SERVER6, Server,
                    call, check, echo_tcp, echoes, main, wait_for)

DNS4, DNS6 = "198.51.100.53", "2001:db8:2::53"
TYPES4 = ["", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK",
          "RELEASE", "INFORM"]
TYPES6 = ["", "SOLICIT", "ADVERTISE", "REQUEST6", "CONFIRM", "RENEW", "REBIND",
          "REPLY", "RELEASE6", "DECLINE6", "RECONFIGURE", "INFORMATION"]


#
# The capture.
#

def udp_payload(frame):
    """(family, ports, payload) of the UDP datagram in a frame, or None."""
    kind, = struct.unpack("!H", frame[12:14])
    if kind == 0x0800 and frame[23] == 17:
        udp = frame[14 + (frame[14] & 15) * 4:]
    elif kind == 0x86dd and frame[20] == 17:
        udp = frame[54:]
    else:
        return None
    return (4 if kind == 0x0800 else 6), struct.unpack("!HH", udp[:4]), udp[8:]


def option(options, wanted):
    """A DHCP option's value (RFC 2132)."""
    at = 0
    while at < len(options) and options[at] != 255:
        if options[at] == 0:
            at += 1
            continue
        if options[at] == wanted:
            return options[at + 2:at + 2 + options[at + 1]]
        at += 2 + options[at + 1]
    return None


def message_of(frame):
    """The name of the DHCP or DHCPv6 message in a frame, or None."""
    found = udp_payload(frame)
    if not found:
        return None
    family, ports, data = found
    if family == 4 and 67 in ports:
        return TYPES4[option(data[240:], 53)[0]]
    if family == 6 and 547 in ports:
        return TYPES6[data[0]]
    return None


class Capture:
    """Reads DHCP messages from passt's capture file while it grows."""

    def __init__(self, path):
        self.file = open(path, "rb")
        self.file.seek(24)

    def messages(self):
        found = []
        while True:
            start = self.file.tell()
            head = self.file.read(16)
            size = struct.unpack("<4I", head)[2] if len(head) == 16 else 0
            frame = self.file.read(size)
            if len(head) < 16 or len(frame) < size:
                self.file.seek(start)
                return found
            message = message_of(frame)
            if message:
                found.append(message)

    def hears(self, *wanted, timeout=20):
        """Waits for these messages, among any others."""
        heard = []

        def all_of_them():
            heard.extend(self.messages())
            return set(wanted) <= set(heard)
        try:
            wait_for(", ".join(wanted), all_of_them, timeout, 0.1)
        except AssertionError as e:
            raise AssertionError(f"{e}; heard {heard}") from None


#
# The guest's network, as the clients leave it.
#

def addresses(lab):
    said = json.loads(lab.guest.run("ip", "-j", "addr", "show", "dev", "tap0",
                                    "scope", "global"))
    return [a["local"] for link in said for a in link.get("addr_info", ())
            if "local" in a and not a.get("tentative")]


def works(lab, address, server):
    """Fails unless the guest gets this address and reaches a server soon."""
    def through():
        with contextlib.suppress(OSError), \
                lab.guest.connect(server, running.port) as s:
            echoes(s)
            return address in addresses(lab)
    with Server(lab.outside.bind(server), echo_tcp) as running:
        wait_for(f"traffic, and {address}", through, 20)


def works4(lab):
    works(lab, HOST4, SERVER4)


def works6(lab):
    works(lab, HOST6, SERVER6)


def released(lab, address):
    wait_for(f"end of {address}", lambda: address not in addresses(lab))


def resolvers(*wanted):
    """Waits until /etc/resolv.conf has these addresses."""
    def said():
        with open("/etc/resolv.conf") as file:
            lines = file.read().splitlines()
        return all(f"nameserver {addr}" in lines for addr in wanted)
    wait_for(f"{wanted} in resolv.conf", said, 20)


@contextlib.contextmanager
def running(lab, *cmd, ns=None, **kw):
    """Runs a client during a block, then terminates it.

    @ns: namespace to run it in; default: the guest's
    """
    with open(f"{lab.dir}/client.log", "w+") as log:
        process = (ns or lab.guest).spawn(*cmd, stdout=log, stderr=log, **kw)
        try:
            yield process
        except AssertionError as e:
            log.seek(0)
            raise AssertionError(f"{e}; {cmd[0]}: {log.read()[-300:]}"
                                 ) from None
        finally:
            ended(process)


def ended(process):
    """Terminates a process. dhcpcd loses signals during the seconds in which it
    announces an address, so the signal may have to be sent again."""
    for _ in range(8):
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(4)
            return
    raise AssertionError(f"{process.args[0]} does not end")


def cleared(lab):
    """Resets the guest's network for the next client."""
    lab.guest.ip("addr flush dev tap0", "link set tap0 down",
                 "link set tap0 up")


#
# The clients.
#

UDHCPC = """#!/bin/sh
ip addr flush dev "$interface" scope global
case $1 in bound|renew)
	ip addr add "$ip/$mask" dev "$interface"
	ip route add default via "$router" dev "$interface"
esac
"""


def script(path, text):
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o755), "w") as file:
        file.write(text)
    return path


def udhcpc(lab, capture):
    path = script(f"{lab.dir}/udhcpc", UDHCPC)
    with running(lab, "busybox", "udhcpc", "-i", "tap0", "-s", path, "-f",
                 "-t", "8", "-T", "1") as client:
        with check("udhcpc: lease"):
            capture.hears("DISCOVER", "OFFER", "REQUEST", "ACK")
            works4(lab)
        with check("udhcpc: renewal"):
            client.send_signal(signal.SIGUSR1)
            capture.hears("REQUEST", "ACK")
            works4(lab)
        with check("udhcpc: release"):
            client.send_signal(signal.SIGUSR2)
            capture.hears("RELEASE")
            released(lab, HOST4)


def dhclient_files(version):
    return ["-lf", f"/var/lib/dhcp/{version}", "-pf", f"/run/dhclient{version}",
            "-cf", "/dev/null"]


def dhclient4(lab, capture):
    files = dhclient_files(4)
    with check("dhclient -4: lease"):
        lab.guest.run("dhclient", "-4", "-1", *files, "tap0")
        capture.hears("DISCOVER", "OFFER", "REQUEST", "ACK")
        works4(lab)
        resolvers(DNS4)
    with check("dhclient -4: begun again, it asks for the same"):
        lab.guest.run("dhclient", "-4", "-x", *files, "tap0")
        capture.messages()
        lab.guest.run("dhclient", "-4", "-1", *files, "tap0")
        capture.hears("REQUEST", "ACK")
        works4(lab)
    with check("dhclient -4: release"):
        lab.guest.run("dhclient", "-4", "-r", *files, "tap0")
        capture.hears("RELEASE")
        released(lab, HOST4)


def dhclient6(lab, capture):
    files = dhclient_files(6)
    lab.slaac()
    with check("dhclient -6: lease"):
        lab.guest.run("dhclient", "-6", "-1", *files, "tap0")
        capture.hears("SOLICIT", "ADVERTISE", "REQUEST6", "REPLY")
        works6(lab)
        resolvers(DNS6)
    with check("dhclient -6: begun again, it confirms what it has"):
        lab.guest.run("dhclient", "-6", "-x", *files, "tap0")
        capture.messages()
        lab.guest.run("dhclient", "-6", "-1", *files, "tap0")
        capture.hears("CONFIRM", "REPLY")
        works6(lab)
    with check("dhclient -6: release"):
        lab.guest.run("dhclient", "-6", "-r", *files, "tap0")
        capture.hears("RELEASE6", "REPLY")
        released(lab, HOST6)


DHCPCD = """
option domain_name_servers, interface_mtu, classless_static_routes
ipv6rs
ia_na 1
noipv4ll
"""


def told(client, sig, capture, *wanted):
    """Sends dhcpcd a signal until the @wanted messages follow. It loses signals
    during the seconds in which it announces an address."""
    capture.messages()
    for _ in range(8):
        client.send_signal(sig)
        with contextlib.suppress(AssertionError):
            capture.hears(*wanted, timeout=4)
            return
    raise AssertionError(f"never {wanted}")


def dhcpcd(lab, capture):
    conf = script("/etc/dhcpcd-test.conf", DHCPCD)
    with running(lab, "dhcpcd", "-B", "-f", conf, "tap0") as client:
        with check("dhcpcd: lease, IPv4 and IPv6"):
            capture.hears("DISCOVER", "OFFER", "REQUEST", "ACK", "SOLICIT",
                          "ADVERTISE", "REQUEST6", "REPLY")
            works4(lab)
            works6(lab)
            resolvers(DNS4, DNS6)
        with check("dhcpcd: renewal"):
            # dhcpcd -N sends this signal.
            told(client, signal.SIGUSR1, capture, "REQUEST", "ACK", "RENEW",
                 "REPLY")
            works4(lab)
            works6(lab)
        with check("dhcpcd: release"):
            # dhcpcd -k sends this signal.
            told(client, signal.SIGALRM, capture, "RELEASE", "RELEASE6")
            released(lab, HOST4)


NETWORKD = """
[Match]
Name=tap0
[Network]
DHCP=yes
IPv6AcceptRA=yes
[DHCPv4]
SendRelease=yes
"""
CAPABILITIES = "+net_admin,+net_bind_service,+net_broadcast,+net_raw"


@contextlib.contextmanager
def networkd_running(lab, ns=None, network=NETWORKD):
    """Runs systemd-networkd during a block. It needs D-Bus, and its own
    user.

    @ns: namespace to run it in; default: the guest's
    @network: contents of its only .network file
    """
    ns = ns or lab.guest
    uid = pwd.getpwnam("systemd-network").pw_uid
    for path in ("/run/dbus", "/run/systemd/network", "/run/systemd/netif/links",
                 "/run/systemd/netif/leases", "/run/systemd/netif/lldp"):
        os.makedirs(path, exist_ok=True)
        if "netif" in path:
            for folder in path, os.path.dirname(path):
                os.chown(folder, uid, uid)
    script("/run/systemd/network/test.network", network)
    with ns:
        # Mount /sys read-only: with a writable one, networkd would wait until
        # udev has initialised the link, and no udev runs here.
        ownroot.mount("sysfs", "/sys", "sysfs", ownroot.MS_RDONLY)
    try:
        with running(lab, "dbus-daemon", "--system", "--nofork", "--nopidfile",
                     "--nosyslog", ns=ns):
            wait_for("D-Bus", lambda: os.path.exists(
                "/run/dbus/system_bus_socket"))
            with running(lab, "setpriv", f"--reuid={uid}", f"--regid={uid}",
                         "--clear-groups", "--inh-caps", CAPABILITIES,
                         "--ambient-caps", CAPABILITIES,
                         "/lib/systemd/systemd-networkd", ns=ns) as client:
                yield client
    finally:
        call("umount2", b"/sys", MNT_DETACH)


def networkd(lab, capture):
    with networkd_running(lab) as client:
        with check("systemd-networkd: lease, IPv4 and IPv6"):
            capture.hears("DISCOVER", "OFFER", "REQUEST", "ACK")
            works4(lab)
            works6(lab)
        with check("systemd-networkd: renewal"):
            capture.messages()
            lab.guest.run("networkctl", "renew", "tap0")
            capture.hears("REQUEST", "ACK")
            works4(lab)
        with check("systemd-networkd: release"):
            capture.messages()
            client.terminate()
            capture.hears("RELEASE")


def story():
    ownroot.enter()
    with Lab() as lab:
        path = f"{lab.dir}/capture"
        lab.passt("-D", DNS4, "-D", DNS6, "--pcap", path)
        lab.attach(configure=False)
        time.sleep(0.1)
        capture = Capture(path)
        for client in udhcpc, dhclient4, dhclient6, dhcpcd, networkd:
            capture.messages()
            with check(f"{client.__name__} ran to its end"):
                client(lab, capture)
            cleared(lab)


if __name__ == "__main__":
    if os.geteuid():
        print("skip clients: they need root, and users of their own")
        sys.exit(0)
    main(story)
