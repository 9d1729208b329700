#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""qemu.py - Tests the network of a real guest in qemu.

    guest in qemu ==== qrap ==== passt (host) ---- servers (outside)

It checks addresses, traffic in both directions and forwarded ports, over IPv4
and IPv6; the same for a second guest after the first one was killed; then less
with qemu's own -netdev stream, and with qrap in place of the emulator.
netlab.py has the topology, guest.py the guest.
"""

import os
import socket
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "net"))

import guest as vm                                          # noqa: E402
from netlab import (B, FAMILIES, HOST4, HOST6, Lab, ROUTER4,  # noqa: E402
                    SERVER4, SERVER6, Server, check, echo_udp, echoes,
                    expect, expect_below, main, receive, rests, tcp_each)
from traffic import DATA, DIGEST, SIZE, give, take_and_tell  # noqa: E402
from world import NAME, NAME4, NAME6, answer_dns            # noqa: E402

QRAP = os.path.join(B, os.environ.get("QRAP", "qrap"))
AT_ONCE = 50                    # connections
MAC = "52:54:00:70:61:73"

# Ports of the host. *_MAPPED lead to other ports of the guest: plus MAPPED.
TCP_PORT, TCP_MAPPED, UDP_PORT, UDP_MAPPED = 7001, 7011, 7002, 7012
MAPPED = 1000
OPTIONS = ["-t", f"{TCP_PORT},{TCP_MAPPED}:{TCP_MAPPED + MAPPED}",
           "-u", f"{UDP_PORT},{UDP_MAPPED}:{UDP_MAPPED + MAPPED}",
           "-D", SERVER4, "-D", SERVER6, "-S", "example.test"]

# Bits of the features that a Linux guest accepts if they are offered.
FEATURES = {"CSUM": 0, "GUEST_CSUM": 1, "GUEST_TSO4": 7, "GUEST_TSO6": 8,
            "HOST_TSO4": 11, "HOST_TSO6": 12, "MRG_RXBUF": 15,
            "INDIRECT_DESC": 28, "EVENT_IDX": 29, "VERSION_1": 32}


def at(addr):
    """An address in the notation of socat and URLs."""
    return f"[{addr}]" if ":" in addr else addr


def settings(text):
    """Parses lines NAME=VALUE. Returns a dictionary."""
    return dict(line.split("=", 1) for line in text.splitlines()
                if "=" in line)


#
# Checks of a running guest.
#

def addresses(guest, name):
    """When the guest configures its network, then it gets the addresses of the
    host."""
    with check(f"{name}: the guest configures its network"):
        guest.run("net", 60)
    with check(f"{name}: DHCP lease"):
        lease = settings(guest.run("cat /run/lease4"))
        expect("address", f"{lease['ip']}/{lease['mask']}", f"{HOST4}/24")
        expect("router", lease["router"], ROUTER4)
        expect("resolver", lease["dns"], SERVER4)
        expect("search list", lease["search"], "example.test")
        expect("MTU", lease["mtu"], "65520")
    with check(f"{name}: router advertisement"):
        heard = " ".join(guest.run("cat /run/ra").split())
        for what in (f"Recursive DNS server : {SERVER6}",
                     "DNS search list : example.test",
                     "Prefix : 2001:db8:1::/64", "MTU : 65520"):
            expect(f"'{what}' in {heard}", what in heard, True)
        own = guest.run("ip -6 addr show dev eth0")
        expect("address from the prefix advertised",
               f"inet6 2001:db8:1:0:{eui64(MAC)}/64" in
               own.replace("2001:db8:1::", "2001:db8:1:0:"), True)
        expect("default route", "default via fe80:" in
               guest.run("ip -6 route"), True)
    with check(f"{name}: DHCPv6 lease"):
        lease = settings(guest.run("cat /run/lease6"))
        expect("address", lease["new_ip6_address"], HOST6)
        expect("resolver", lease["new_dhcp6_name_servers"], SERVER6)
        expect("search list", lease["new_dhcp6_domain_search"].strip("."),
               "example.test")


def eui64(mac):
    """The interface identifier for a MAC address (RFC 4291, 2.5.1)."""
    b = bytes.fromhex(mac.replace(":", ""))
    b = bytes([b[0] ^ 2]) + b[1:3] + b"\xff\xfe" + b[3:]
    return ":".join(f"{n:x}" for n in struct.unpack("!4H", b))


def ping(guest, name):
    """When the guest pings a peer outside, then each ping is answered."""
    for family, addr in FAMILIES:
        with check(f"{name}: ping{family} a host outside"):
            out = guest.run(f"ping -c 3 -W 5 {addr}")
            expect("answers in " + out, "3 packets received" in out, True)


def transfers(lab, guest, name):
    """When 32 MiB are sent in either direction, then they arrive unchanged."""
    guest.run(f"head -c {SIZE} /dev/urandom >/tmp/data")
    sent = guest.run("sha256sum </tmp/data").split()[0]
    for family, addr in FAMILIES:
        with check(f"{name}: tcp{family}, 32 MiB out"), \
                Server(lab.outside.bind(addr), take_and_tell) as server:
            got = guest.run(f"socat -t 60 - TCP:{at(addr)}:{server.port} "
                            "</tmp/data", 120)
            expect("SHA-256", got, sent)
        with check(f"{name}: tcp{family}, 32 MiB in"), \
                Server(lab.outside.bind(addr), give) as server:
            got = guest.run(f"socat -u TCP:{at(addr)}:{server.port} - | "
                            "sha256sum", 120)
            expect("SHA-256", got.split()[0], DIGEST)


def udp(lab, guest, name):
    """When the guest sends datagrams, then each comes back unchanged."""
    for family, addr in FAMILIES:
        with check(f"{name}: udp{family} echo"), \
                Server(lab.outside.bind(addr, 0, socket.SOCK_DGRAM),
                       echo_udp) as server:
            to = f"UDP:{at(addr)}:{server.port}"
            for size in 1400, 9000:
                echo = (f"head -c {size} /tmp/data | socat -b 65536 -t 2 - "
                        f"{to},shut-none,readbytes={size}")
                # The guest's MTU is 65520. It learns the path MTU when its
                # first long datagram, which has DF, is lost.
                if size > 1400:
                    guest.run(f"{echo} >/dev/null 2>&1 || true")
                got = guest.run(f"{echo} | sha256sum")
                expect(f"SHA-256 of {size} bytes", got,
                       guest.run(f"head -c {size} /tmp/data | sha256sum"))


def forwarded(lab, guest, name):
    """When ports are forwarded, then clients outside reach the guest."""
    pids = []
    for port in TCP_PORT, TCP_MAPPED + MAPPED:
        pids += guest.run(f"socat TCP6-LISTEN:{port},fork,ipv6only=0,"
                          "reuseaddr EXEC:cat >/dev/null 2>&1 & "
                          "echo $!").split()
    for port in UDP_PORT, UDP_MAPPED + MAPPED:
        pids += guest.run(f"socat UDP6-LISTEN:{port},fork,ipv6only=0 "
                          "EXEC:cat >/dev/null 2>&1 & echo $!").split()
    guest.run("until [ $(netstat -ltnu | grep -c ':[78]0[01]') -ge 4 ]; do "
              "sleep 0.1; done", 10)

    for family, addr in ("4", HOST4), ("6", HOST6):
        for port in TCP_PORT, TCP_MAPPED:
            with check(f"{name}: tcp{family} port {port} forwarded"), \
                    lab.outside.connect(addr, port) as s:
                echoes(s)
        for port in UDP_PORT, UDP_MAPPED:
            with check(f"{name}: udp{family} port {port} forwarded"), \
                    lab.outside.connect(addr, port, 10,
                                        socket.SOCK_DGRAM) as s:
                s.send(DATA[:1000])
                expect("echo", s.recv(65536), DATA[:1000])
    guest.run(f"kill {' '.join(pids)}")


def dns(lab, guest, name):
    """When the guest looks up a name, then its resolvers answer."""
    for family, addr in FAMILIES:
        with check(f"{name}: the resolver given over IPv{family}"):
            known = guest.run("cat /etc/resolv.conf")
            expect(f"{addr} in {known}", f"nameserver {addr}\n" in known, True)
        with check(f"{name}: dns{family} lookup"), \
                Server(lab.outside.bind(addr, 53, socket.SOCK_DGRAM),
                       answer_dns):
            out = guest.run(f"nslookup {NAME} {addr}")
            for answer in NAME4, NAME6:
                expect(f"{answer} in {out}", answer in out, True)
    with check(f"{name}: dns as resolv.conf has it"), \
            Server(lab.outside.bind(SERVER4, 53, socket.SOCK_DGRAM),
                   answer_dns), \
            Server(lab.outside.bind(SERVER6, 53, socket.SOCK_DGRAM),
                   answer_dns):
        out = guest.run(f"nslookup {NAME}")
        expect(f"{NAME4} in {out}", NAME4 in out, True)


def at_once(lab, guest, name):
    """When 50 clients connect, half of them over each family, then all get an
    answer. The servers answer only when all of them are connected.
    """
    everyone = threading.Barrier(AT_ONCE)

    @tcp_each
    def answer(conn):
        who = receive(conn, 8)
        everyone.wait(60)
        conn.sendall(b"hello, " + who)

    with check(f"{name}: {AT_ONCE} connections at once"), \
            Server(lab.outside.bind(SERVER4), answer) as server4, \
            Server(lab.outside.bind(SERVER6), answer) as server6:
        script = "rm -rf /tmp/all; mkdir /tmp/all; "
        for i in range(AT_ONCE):
            server, addr = ((server4, SERVER4), (server6, SERVER6))[i % 2]
            script += (f"printf %08d {i} | socat -t 60 - "
                       f"TCP:{at(addr)}:{server.port} >/tmp/all/{i:03} & ")
        guest.run(script + "wait", 120)
        expect("answers", guest.run("cat /tmp/all/*"),
               "".join(f"hello, {i:08}" for i in range(AT_ONCE)))


def refused(guest, name):
    """When the guest connects to a closed port, then it is refused at once."""
    for family, addr in FAMILIES:
        with check(f"{name}: tcp{family} to a closed port is refused"):
            began = time.monotonic()
            _, out = guest.agent.run(f"socat - TCP:{at(addr)}:1")
            expect(f"refusal in {out}", "Connection refused" in out, True)
            expect_below("seconds", time.monotonic() - began, 3)


def reaches(lab, guest):
    """Whether the guest now gets an answer from a server outside."""
    with Server(lab.outside.bind(SERVER4), take_and_tell) as server:
        status, _ = guest.agent.run(
            f"echo hello | socat -t 3 -T 3 - TCP:{SERVER4}:{server.port},"
            "connect-timeout=2 | grep -q .", 10)
        return status == 0


def offloads(guest, name):
    """Given a Linux guest, then it accepts all offloads that passt offers."""
    with check(f"{name}: the guest takes all offloads"):
        bits = guest.run("for d in /sys/bus/virtio/drivers/virtio_net/"
                         "virtio*; do cat $d/features; done").strip()
        expect("not taken", [feature for feature, bit in FEATURES.items()
                             if bits[bit] != "1"], [])


def one_at_a_time(lab, guest, name):
    """When a second guest connects, then it is turned away, and the first one
    still works."""
    with check(f"{name}: a second guest is turned away"):
        p = subprocess.run([QRAP, "5", "true"], capture_output=True, text=True,
                           env=dict(os.environ, PASST_SOCKET=lab.socket))
        expect("exit status", p.returncode, 1)
        expect(f"reason in {p.stderr}", "serves another guest" in p.stderr,
               True)
        guest.run(f"ping -c 1 -W 5 {SERVER4}")


def everything(lab, guest, name):
    addresses(guest, name)
    ping(guest, name)
    transfers(lab, guest, name)
    udp(lab, guest, name)
    forwarded(lab, guest, name)
    dns(lab, guest, name)
    at_once(lab, guest, name)
    refused(guest, name)
    one_at_a_time(lab, guest, name)


def some(lab, guest, name):
    """Fewer checks, which show that the guest's network works."""
    addresses(guest, name)
    ping(guest, name)
    for family, addr in FAMILIES:
        with check(f"{name}: tcp{family}, 32 MiB in"), \
                Server(lab.outside.bind(addr), give) as server:
            got = guest.run(f"socat -u TCP:{at(addr)}:{server.port} - | "
                            "sha256sum", 120)
            expect("SHA-256", got.split()[0], DIGEST)


#
# Places on qemu's buses that qrap chooses for its device. qemu must accept
# them; no guest boots.
#

PORTS = [
    "-device", '{"driver":"pcie-root-port","chassis":1,"id":"pci.1",'
               '"bus":"pcie.0","multifunction":true,"addr":"0x1"}',
    "-device", '{"driver":"pcie-root-port","chassis":2,"id":"pci.2",'
               '"bus":"pcie.0","addr":"0x1.0x1"}',
    "-device", '{"driver":"virtio-serial-pci","bus":"pci.1","addr":"0x0"}',
]

# (name, arguments, bus and address of the one network device)
PLACES = [
    ("q35, libvirt's ports",
     ["-machine", "q35", *PORTS], "pci.2 00.0"),
    ("q35, slot of the old device",
     ["-machine", "q35", *PORTS, "-netdev", "user,id=hostnet0", "-device",
      "e1000e,netdev=hostnet0,id=net0,bus=pci.2,addr=0x0"],
     "pci.2 00.0"),
    ("q35 without ports", ["-machine", "q35"], "pcie.0 1e.0"),
    ("i440fx, slot of the old device",
     ["-machine", "pc", "-device", '{"driver":"rtl8139","addr":"0x7"}'],
     "pci.0 07.0"),
    ("i440fx", ["-machine", "pc", "-nic", "user"], "pci.0 1e.0"),
]


def network_devices(qtree):
    """Parses 'info qtree'. Returns bus and address of each virtio-net-pci."""
    found, bus, network = [], {}, False
    for line in qtree.splitlines():
        depth = len(line) - len(line.lstrip())
        kind, _, rest = line.strip().partition(" ")
        if kind == "bus:":
            bus[depth + 2] = rest
        elif kind == "dev:":
            network = rest.startswith("virtio-net-pci") and bus[depth]
        elif kind == "addr" and network:
            found.append(f"{network} {rest.removeprefix('= ')}")
    return found


def places(lab):
    """When qrap adds a device, then qemu has it at the expected place."""
    for name, args, place in PLACES:
        with check(f"qrap's device: {name}"):
            p = subprocess.run(
                [QRAP, *args, "-S", "-nodefaults", "-display", "none",
                 "-monitor", "stdio"], input="info qtree\nquit\n", text=True,
                capture_output=True, timeout=30,
                env=dict(os.environ, PASST_SOCKET=lab.socket))
            expect(f"network device, {p.stderr}", network_devices(p.stdout),
                   [place])


#
# The guests.
#

DEVICE = f"virtio-net-pci,netdev=n,mac={MAC}"


class Guests:
    """Starts guests in the guest's namespace, which has no other network."""

    def __init__(self, lab):
        self.lab = lab
        self.accel = vm.accelerator()

    def spawn(self, *cmd, **kw):
        env = dict(os.environ, PASST_SOCKET=self.lab.socket)
        return self.lab.guest.spawn(*cmd, env=env, **kw)

    def run(self, name, story, network, wrap=(), image=vm.CLOUD):
        """Boots a guest, runs @story with it, and kills it."""
        guest = None
        with check(f"{name}: boots"):
            guest = vm.Guest(self.accel, self.spawn, network, wrap, image)
        if not guest:
            return
        try:
            story(self.lab, guest, name)
        finally:
            guest.kill()

    def through_qrap(self, name):
        self.run(name, everything,
                 ["-netdev", "socket,id=n,fd=5", "-device", DEVICE],
                 [QRAP, "5"])

    def stream(self, name):
        self.run(name, some,
                 ["-netdev", "stream,id=n,server=off,addr.type=unix,"
                  f"addr.path={self.lab.socket}", "-device", DEVICE])

    def emulator(self, name):
        """Runs qrap in place of qemu, with a network that it must replace."""
        argv = vm.argv
        vm.argv = lambda *args: [QRAP] + argv(*args)[1:]
        try:
            self.run(name, some, ["-netdev", "user,id=n", "-device",
                                  f"e1000,netdev=n,mac={MAC}"])
        finally:
            vm.argv = argv


def story():
    """Given passt, when guests connect and leave one after another, then the
    network of each works."""
    with Lab() as lab:
        passt = lab.passt(*OPTIONS)
        if vm.EMULATOR == "qemu-system-x86_64":
            places(lab)
        guests = Guests(lab)
        guests.through_qrap("first guest")
        with check("after the first guest was killed, passt rests"):
            rests(passt)
        guests.through_qrap("second guest")
        guests.stream("netdev stream")
        guests.emulator("qrap as emulator")
        with check("after all, passt is there and rests"):
            expect("alive", passt.alive(), True)
            rests(passt)


if __name__ == "__main__":
    try:
        vm.build()
        subprocess.run([vm.EMULATOR, "-version"], check=True,
                       stdout=subprocess.DEVNULL)
    except (vm.Missing, FileNotFoundError) as e:
        print(f"skip qemu: needs {e}")
        sys.exit(0)
    main(story)
