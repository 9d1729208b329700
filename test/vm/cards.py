#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""cards.py - Tests every network card that qemu 10 emulates for x86, and two
things that need this qemu: its option to reconnect, and network boot by iPXE.

    guest ==== card 1 ==== passt 1 (host) ---- servers (outside)
          ==== card 2 ==== passt 2 (host) ----

One guest has all cards, each in its own network namespace in the guest, so that
one boot is enough. netlab.py has the topology, newer.py qemu.
"""

import contextlib
import http.server
import os
import re
import socket
import struct
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "net"))

import guest as vm                                          # noqa: E402
import newer                                                # noqa: E402
from netlab import (Lab, ROUTER4, SERVER4, Server,          # noqa: E402
                    check, echo_tcp, expect, spawn_user, wait_for)

AGAIN = 20.0            # s until qemu has reconnected; it tries twice a second

# Network devices of qemu that this test does not use, and why
LEFT_OUT = {
    "i82551": "Linux wants firmware for it that is not free; iPXE boots by it",
    "ne2k_isa": "the chip of ne2k_pci, without a way to find it",
    "rocker": "a switch",
    "virtio-net-device": "for machines without PCI",
    "xen-net-device": "for Xen",
}

LONG = 8000             # bytes of a datagram

# A script for the guest that tests one card: with the smallest frames, and with
# a datagram that is longer than the longest frame of many cards. It prints the
# name of each step that succeeds. Its arguments are the card's MAC address, and
# address and port of the servers. It ignores the first byte of the MAC address,
# because USB cards change it. It waits for the card, because on a busy host the
# guest finds USB cards late.
TRY = r"""
state=/tmp/card.$1
mkdir -p "$state"
if [ ! -e "$state/pid" ]; then
	find_card() {
		grep -l "^..${1#??}$" /sys/class/net/*/address
	}
	i=0
	until path=$(find_card "$1") || [ $((i += 1)) -gt 80 ]; do sleep 0.5; done
	name=$(basename "${path%/address}")
	unshare -n sleep 1000 >/dev/null &
	until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/$$/ns/net)" ]
	do sleep 0.2; done
	ip link set "$name" netns $!
	echo $name >"$state/name"
	echo $! >"$state/pid"
fi
name=$(cat "$state/name")
inside() {
	nsenter -t "$(cat "$state/pid")" -n "$@"
}
inside ip link set "$name" up
i=0
until inside ip link show "$name" | grep -q LOWER_UP ||
      [ $((i += 1)) -gt 20 ]; do sleep 0.5; done
export STATE=$state RESOLV=/dev/null
inside udhcpc -i "$name" -s /bin/lease4 -f -q -n -t 8 -T 2 \
	>"$state/udhcpc" 2>&1 && echo dhcp
inside arping -f -c 5 -w 10 -I "$name" ROUTER >/dev/null && echo arp
inside ping -c 1 -s 0 -W 5 "$2" >/dev/null && echo ping
[ "$(printf x | inside socat -t 5 - UDP:$2:$3,readbytes=LONG | wc -c)" \
	-eq LONG ] && echo udp
[ "$(printf x | inside socat -t 5 - TCP:$2:$3,connect-timeout=5)" = x ] &&
	echo tcp
""".replace("ROUTER", ROUTER4).replace("LONG", str(LONG))


class Cards:
    """A guest with all cards, each of which has its own passt."""

    def __init__(self, lab, models):
        self.lab = lab
        self.models = models
        self.passts = [self.passt(i) for i in range(len(models))]

    def path(self, i):
        return f"{self.lab.dir}/socket{i}"

    def passt(self, i):
        process = spawn_user(self.lab.host, [
            self.lab.passt_bin, "-f", "-q", "-s", self.path(i)])
        wait_for(f"passt {i}", lambda: os.path.exists(self.path(i)))
        return process

    @staticmethod
    def mac(i):
        return f"52:54:00:00:00:{i:02x}"

    def network(self):
        """qemu's arguments for all cards."""
        found = []
        for i, model in enumerate(self.models):
            found += ["-netdev", f"stream,id=n{i},server=off,addr.type=unix,"
                      f"addr.path={self.path(i)},reconnect-ms=500"]
            # No boot ROM: we don't boot from it, and it delays the guest by
            # a second.
            place = ",romfile="
            if model.startswith("usb-"):
                found += ["-device", "qemu-xhci"]
                place = ""
            elif model == "igb":
                found += ["-device", "pcie-root-port,id=slot0,chassis=1"]
                place += ",bus=slot0"    # its virtual functions need a bus
            found += ["-device",
                      f"{model},netdev=n{i},mac={self.mac(i)}{place}"]
        return found

    def boot(self):
        self.guest = vm.Guest("tcg", self.lab.guest.spawn, self.network(),
                              image=vm.FULL)

    def tried(self, numbers, port):
        """Runs TRY for these cards. Returns its output for each."""
        # Without this, a driver that lacks its firmware would wait a minute.
        self.guest.run(f"cat >/tmp/try <<'END'\n{TRY}END\n"
                       "echo 1 >/sys/class/firmware/timeout || true")
        script = "".join(f"timeout 90 sh /tmp/try {self.mac(i)} {SERVER4} "
                         f"{port} >/tmp/tried.{i} 2>/dev/null & "
                         for i in numbers)
        self.guest.run(script + "wait", 150)
        return [self.guest.run(f"cat /tmp/tried.{i}") for i in numbers]


def network_models():
    """Names of all network devices that qemu has."""
    said = subprocess.run([vm.EMULATOR, "-machine", "q35", "-device", "help"],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    block = re.search(r"^Network devices:\n(.*?)^$", said, re.M | re.S)[1]
    return re.findall(r'^name "([^"]+)"', block, re.M)


def each_card(cards):
    """When the guest uses a card, then DHCP, ARP, ping, UDP and TCP work."""
    with Server(cards.lab.outside.bind(SERVER4), echo_tcp) as server, \
            Server(cards.lab.outside.bind(SERVER4, server.port,
                                          socket.SOCK_DGRAM),
                   lambda s: s.sendto(bytes(LONG), s.recvfrom(100)[1])):
        tried = cards.tried(range(len(cards.models)), server.port)
    for model, said in zip(cards.models, tried):
        with check(f"{model}: DHCP, ARP, an empty ping, a datagram of {LONG} "
                   "bytes, one byte of TCP"):
            expect("what works", said.split(),
                   ["dhcp", "arp", "ping", "udp", "tcp"])


def reconnects(cards):
    """When passt is killed and started again, then qemu reconnects, and the
    card works again."""
    number = cards.models.index("virtio-net-pci")
    with check("reconnect-ms: over a restart of passt, the guest goes on"):
        cards.passts[number].kill()
        cards.passts[number].wait()
        os.unlink(cards.path(number))
        cards.passts[number] = cards.passt(number)
        with Server(cards.lab.outside.bind(SERVER4), echo_tcp) as server:
            wait_for("the network", lambda: "tcp" in cards.tried(
                [number], server.port)[0].split(), AGAIN)


def all_cards(lab):
    with check("every network device of qemu is tried, or left out"):
        models = [model for model in network_models()
                  if model not in LEFT_OUT]
        expect("the first of them", models[0], "e1000")
    cards = Cards(lab, models)
    with check("a guest with all cards boots"):
        cards.boot()
        try:
            each_card(cards)
            reconnects(cards)
        finally:
            cards.guest.kill()


#
# Boot by iPXE. It loads a script by TFTP, in several blocks. The script loads
# a program by HTTP, which ends qemu with the exit status BOOTED * 2 + 1.
#

IPXE = "/usr/lib/ipxe/ipxe.lkrn"
BOOTED = 42
SCRIPT = f"#!ipxe\ndhcp && chain tftp://{SERVER4}/small.ipxe\n"
SECOND = ("#!ipxe\n" + "# a line of a file that takes several blocks\n" * 50 +
          f"chain http://{SERVER4}/program\n")
PROGRAM = bytes([0xb0, BOOTED, 0xe6, 0xf4, 0xf4])   # mov al; out 0xf4, al; hlt

# Cards that boot, and the length of the program in bytes: several TCP segments.
# For the i82551 there must be at most 4, the number of its buffers in iPXE:
# otherwise it drops segments, and sometimes its receiver stops for ever.
BOOTS = {
    "virtio-net-pci": 20000,
    "e1000": 20000,
    "ne2k_pci": 20000,
    "i82551": 2000,
}
DATA, BLOCK = 3, 512


def serve_tftp(lab):
    """Runs a TFTP server for SECOND; it answers each request from a new port
    (RFC 1350, 4)."""
    def send(peer):
        with lab.outside.bind(SERVER4, 0, socket.SOCK_DGRAM) as s:
            s.settimeout(1)
            data = SECOND.encode()
            for start in range(0, len(data) + 1, BLOCK):
                packet = struct.pack("!HH", DATA, start // BLOCK + 1) + \
                    data[start:start + BLOCK]
                for _ in range(5):
                    s.sendto(packet, peer)
                    with contextlib.suppress(TimeoutError):
                        if s.recv(4)[2:] == packet[2:4]:
                            break

    def answer(sock):
        query, peer = sock.recvfrom(1500)
        if query.startswith(b"\0\1small.ipxe\0"):
            threading.Thread(target=send, args=(peer,), daemon=True).start()
    return Server(lab.outside.bind(SERVER4, 69, socket.SOCK_DGRAM), answer)


class Program(http.server.BaseHTTPRequestHandler):
    """Serves one file, of the length that is set at the server."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200 if self.path == "/program" else 404)
        self.send_header("Content-Length", str(self.server.length))
        self.end_headers()
        self.wfile.write(PROGRAM.ljust(self.server.length, b"\0"))

    def log_message(self, *_):
        pass


class Web(http.server.ThreadingHTTPServer):
    """Ignores errors: a client may leave when it has the program."""

    def handle_error(self, *_):
        pass


@contextlib.contextmanager
def serve_http(lab):
    with lab.outside:
        server = Web((SERVER4, 80), Program)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def boots(lab, model, script):
    """Boots by iPXE with this card. Returns qemu's exit status."""
    lab.passt()
    process = lab.guest.spawn(
        vm.EMULATOR, "-machine", "pc,accel=tcg", "-m", "128", "-nodefaults",
        "-no-user-config", "-display", "none", "-kernel", IPXE, "-initrd",
        script, "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-netdev", "stream,id=n,server=off,addr.type=unix,"
        f"addr.path={lab.socket}", "-device", f"{model},netdev=n,romfile=")
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"no boot: {lab.messages()[-300:]}") from None
    finally:
        process.kill()
        process.wait()


def network_boot(lab):
    """Given a TFTP server and a web server outside, then iPXE boots from
    them with each card."""
    script = f"{lab.dir}/script.ipxe"
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT)
    with serve_tftp(lab), serve_http(lab) as server:
        for model, server.length in BOOTS.items():
            with check(f"{model}: iPXE boots by TFTP and HTTP"):
                # isa-debug-exit makes this status of the value BOOTED.
                expect("exit status", boots(lab, model, script),
                       BOOTED << 1 | 1)


def story():
    newer.enter()
    with Lab() as lab:
        all_cards(lab)
    with Lab() as lab:
        network_boot(lab)


if __name__ == "__main__":
    newer.run("cards", story, vm.FULL)
