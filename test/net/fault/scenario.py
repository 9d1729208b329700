# SPDX-License-Identifier: AGPL-3.0-or-later
"""scenario.py - All that a guest and its peers do, in 21 steps within a
fraction of a second.

    this program ==socket== passt (host) ---- this program (outside)

Each step stands alone: if one fails because of a fault, the next one begins
anew.
"""

import contextlib
import os
import socket
import struct
import time

import ownroot
from guest import PORTS, Conn, Gone, Guest, Silent, fragments, mine
from netlab import (FAMILIES, HOST4, HOST6, SERVER4, UNREACHABLE4, Process,
                    wait_for)
from rawguest import seeds, tcp, udp, SYN, OPTIONS

PORT = 8001             # forwarded
CLOSED = 4              # nobody listens there
DNS = "192.0.2.53"      # of --dns-forward
IN = {"4": HOST4, "6": HOST6}
OPTIONS_OF_PASST = ("-t", str(PORT), "-u", str(PORT), "--multicast",
                    "--dns-forward", DNS, "--dns-host", SERVER4)
BULK = bytes(range(256)) * 800          # 200 KB
MDNS = struct.pack("!6H", 0, 0, 1, 0, 0, 0) + b"\5local\0\0\1\0\1"
FOLLOW_GATHER = 0.12    # s, follow.h
FLOWS = 20              # more than KEEP_EMPTY, flow/table.c
LISTS = 4               # blocks that passt keeps once it has needed them
ABORT = struct.pack("ii", 1, 0)         # SO_LINGER: close() is RST
RTM_NEWADDR, RTM_DELADDR = 20, 21
DGRAM = socket.SOCK_DGRAM


class Peers:
    """Servers and clients outside, without threads."""

    def __init__(self, lab, patience):
        self.lab = lab
        self.tcp = {f: lab.outside.bind(addr) for f, addr in FAMILIES}
        self.udp = {f: lab.outside.bind(addr, 0, DGRAM)
                    for f, addr in FAMILIES}
        self.dns = lab.outside.bind(SERVER4, 53, DGRAM)
        with lab.host:
            self.netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.be_patient(patience)

    def be_patient(self, patience):
        """Sets the timeout of all sockets to @patience seconds."""
        self.patience = patience
        for sock in (*self.tcp.values(), *self.udp.values(), self.dns):
            sock.settimeout(patience)

    def clear(self):
        """Forgets what earlier steps have left in the queues."""
        self.be_patient(0)
        for sock in (*self.udp.values(), self.dns):
            with contextlib.suppress(OSError):
                while True:
                    sock.recv(65536)
        for sock in self.tcp.values():
            with contextlib.suppress(OSError):
                while True:
                    sock.accept()[0].close()

    def accept(self, family):
        conn, _ = self.tcp[family].accept()
        conn.settimeout(self.patience)
        return conn

    def port(self, family, kind="tcp"):
        return getattr(self, kind)[family].getsockname()[1]

    def address(self, what, last):
        """Adds an address to the host's lo, or deletes it."""
        flags = 5 | (0x600 if what == RTM_NEWADDR else 0)
        body = struct.pack("=BBBBi", socket.AF_INET, 32, 0, 0, 1) + \
            struct.pack("=HH4s", 8, 2, bytes((10, 9, 9, last)))
        self.netlink.send(struct.pack("=IHHII", 16 + len(body), what, flags, 1,
                                      0) + body)
        self.netlink.recv(4096)


def hear(sock, mark):
    """Receives the next datagram that begins with @mark; others come from
    earlier steps. Returns it, and its source."""
    while True:
        got, peer = sock.recvfrom(65536)
        if got.startswith(mark):
            return got, peer


def take(sock, size):
    """Receives @size bytes of a stream."""
    data = b""
    while len(data) < size:
        part = sock.recv(1 << 18)
        if not part:
            raise Silent("the peer's data end")
        data += part
    return data


def same(got, want):
    """Fails unless passt has transferred the right bytes. A fault may lose
    data with their flow, but never change them."""
    if got != want:
        raise AssertionError(f"{len(got)} bytes are not the {len(want)} that "
                             f"were sent: {got[:60]!r}")


#
# The steps. Each gets the guest and the peers.
#

def host_changes(_, peers):
    peers.address(RTM_NEWADDR, 1)
    peers.address(RTM_DELADDR, 1)


def resolv_changes(_, peers):
    with open("/etc/resolv.conf", "a", encoding="ascii") as file:
        file.write("#\n")


def arp(guest, _):
    guest.arp()


def solicit_neighbour(guest, _):
    guest.send(seeds.ndp(135, bytes(4) + seeds.pton6("fe80::1") + seeds.LLA,
                         seeds.LL6, "ff02::1:ff00:1"))
    guest.icmp6(136, "a neighbour advertisement")


def solicit_router(guest, _):
    guest.send(seeds.ndp(133, bytes(4) + seeds.LLA, seeds.LL6, "ff02::2"))
    guest.icmp6(134, "a router advertisement")


def dhcp(guest, _):
    for kind in 1, 3:
        guest.send(seeds.dhcp(kind, b"\x32\4" + socket.inet_aton(seeds.A4)))
        guest.datagram("192.0.2.1", 67, "a DHCP answer")


def dhcpv6(guest, _):
    guest.send(seeds.dhcpv6(1, b"\0\x0e\0\0"))
    guest.datagram("fe80::1", 547, "a DHCPv6 answer")


def pings(guest, _):
    for _, addr in FAMILIES:
        guest.ping(addr)


def udp_out(guest, peers):
    for family, addr in FAMILIES:
        port, sport = peers.port(family, "udp"), next(PORTS)
        mark = b"%d" % sport
        for data in [mark], [mark.ljust(1000)] * 4:
            guest.send(*(udp(mine(addr), addr, sport, port, d) for d in data))
            for want in data:
                got, peer = hear(peers.udp[family], mark)
                same(got, want)
                peers.udp[family].sendto(got, peer)
            for want in data:
                same(guest.datagram(addr, port, "an echo", sport)[2], want)


def many_flows(guest, peers):
    """So many flows that their table gives memory back when they end."""
    port = peers.port("4", "udp")
    for _ in range(FLOWS):
        sport = next(PORTS)
        mark = b"%d" % sport
        guest.send(udp(seeds.A4, SERVER4, sport, port, mark))
        same(hear(peers.udp["4"], mark)[0], mark)


def udp_in(guest, peers):
    for family, addr in IN.items():
        with peers.lab.outside.connect(addr, PORT, peers.patience,
                                       DGRAM) as s:
            s.send(b"from outside")
            src, port = s.getsockname()[:2]
            got = guest.datagram(src, port, "a datagram")
            same(got[2], b"from outside")
            guest.send(udp(mine(src), src, PORT, port, b"from inside"))
            same(s.recv(100), b"from inside")


def dns(guest, peers):
    sport = next(PORTS)
    query = struct.pack("!6H", sport, 0x100, 1, 0, 0, 0) + b"\1a\0\0\1\0\1"
    guest.send(udp(seeds.A4, DNS, sport, 53, query))
    got, peer = hear(peers.dns, b"")
    same(got[2:], query[2:])
    peers.dns.sendto(got[:2] + b"\x81\x80" + got[4:], peer)
    same(guest.datagram(DNS, 53, "an answer", sport)[2][:2], query[:2])


def tcp_out(guest, peers):
    for family, addr in FAMILIES:
        conn = Conn.open(guest, addr, peers.port(family))
        with peers.accept(family) as peer:
            conn.write(b"question")
            same(take(peer, 8), b"question")
            peer.sendall(b"answer")
            same(conn.read(6), b"answer")
            peer.shutdown(socket.SHUT_WR)
            conn.finish()
            if peer.recv(1):
                raise AssertionError("data after the end")


def tcp_in(guest, peers):
    for family, addr in IN.items():
        with peers.lab.outside:
            s = socket.socket(socket.AF_INET6 if family == "6"
                              else socket.AF_INET)
        with s:
            s.settimeout(peers.patience)
            s.connect((addr, PORT))
            conn = Conn.accept(guest, *s.getsockname()[:2], PORT)
            s.sendall(b"question")
            same(conn.read(8), b"question")
            conn.write(b"answer")
            same(take(s, 6), b"answer")
            s.shutdown(socket.SHUT_WR)
            conn.finish()


def bulk(guest, peers):
    """200 KB in each direction."""
    conn = Conn.open(guest, SERVER4, peers.port("4"))
    with peers.accept("4") as peer:
        conn.write(BULK[:60000])
        same(take(peer, 60000), BULK[:60000])
        peer.sendall(BULK)
        same(conn.read(len(BULK)), BULK)
        conn.write(BULK[60000:])
        same(take(peer, len(BULK) - 60000), BULK[60000:])
        conn.reset()


def in_fragments(guest, peers):
    for family, addr in FAMILIES:
        port, sport = peers.port(family, "udp"), next(PORTS)
        data = b"%d" % sport + bytes(range(256)) * 12
        guest.send(*fragments(addr, sport, port, data))
        got, peer = hear(peers.udp[family], data[:5])
        same(got, data)
        peers.udp[family].sendto(got, peer)
        # Until it has told the guest its MTU, passt sends fragments, too.
        got = guest.datagram(addr, port, "an echo", sport)[2]
        same(got, data[:max(len(got), 1000)])


def refused(guest, _):
    for _, addr in FAMILIES:
        with contextlib.suppress(Silent):
            Conn.open(guest, addr, CLOSED)
        guest.send(udp(mine(addr), addr, next(PORTS), CLOSED, b"closed"))
        guest.get(lambda f: f[12:14] == b"\x08\x00" and f[23] == 1
                  and f[34] == 3 or f[12:14] == b"\x86\xdd" and f[20] == 58
                  and f[54] == 1, "an ICMP error")


def unreachable(guest, _):
    with contextlib.suppress(Silent):
        guest.send(tcp(seeds.A4, UNREACHABLE4, next(PORTS), 80, SYN, 1,
                       options=OPTIONS))
        guest.get(lambda f: f[12:14] == b"\x08\x00" and f[23] in (1, 6),
                  "an error", 0.02)


def aborted(guest, peers):
    """Connections that one of the two ends resets."""
    for by_guest in True, False:
        conn = Conn.open(guest, SERVER4, peers.port("4"))
        with peers.accept("4") as peer:
            if by_guest:
                conn.reset()
                with contextlib.suppress(ConnectionResetError):
                    peer.recv(1)
                continue
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        with contextlib.suppress(Silent):
            conn.read(1)


def multicast(guest, peers):
    for group, mac in ("224.0.0.251", "01005e0000fb"), ("ff02::fb",
                                                        "3333000000fb"):
        frame = udp(seeds.LL6 if ":" in group else seeds.A4, group, 5353, 5353,
                    MDNS)
        guest.send(bytes.fromhex(mac) + frame[6:])


def second_guest(guest, peers):
    """A second guest is turned away."""
    guest.arp()
    with contextlib.closing(Guest(peers.lab.socket, peers.patience)) as second:
        with contextlib.suppress(Gone):
            second.receive(peers.patience)
            raise Silent("a second guest is not turned away")


def later(guest, _):
    """passt reads the host again a while after its last change."""
    time.sleep(FOLLOW_GATHER)
    guest.arp()


STEPS = (host_changes, resolv_changes, arp, solicit_neighbour, solicit_router,
         dhcp, dhcpv6, pings, udp_out, many_flows, dns, udp_in, tcp_out, tcp_in,
         multicast, bulk, in_fragments, refused, unreachable, aborted,
         second_guest)
HOST_STEPS = (host_changes, resolv_changes, later)
OUTBOUND = (arp, pings, udp_out, tcp_out)
ESSENTIAL = (*OUTBOUND, tcp_in, udp_in)


class Scenario:
    """A guest that does all steps, again and again.

    @patience: seconds to wait for anything while a call fails
    """

    def __init__(self, lab, peers, patience):
        self.lab, self.peers, self.patience = lab, peers, patience
        self.guest = None
        self.disconnects = 0

    def connect(self, patience):
        """Connects the guest, unless it is connected, and sets its patience."""
        if not self.guest:
            self.guest = Guest(self.lab.socket, patience)
        self.guest.patience = patience
        self.guest.sock.settimeout(4 * patience)

    def disconnect(self):
        if self.guest:
            self.guest.close()
        self.guest = None

    def step(self, step, patience):
        """Does one step. Returns why it has failed, or None."""
        try:
            self.connect(patience)
            self.peers.be_patient(patience)
            step(self.guest, self.peers)
            return None
        except Gone:
            self.disconnects += 1
            self.disconnect()
            return f"{step.__name__}: the link was closed"
        except (Silent, OSError) as e:
            return f"{step.__name__}: {e}"

    def run(self, steps=STEPS):
        """Does all steps; the guest leaves at the end, so that this happens,
        too. Returns why some have failed."""
        failed = list(filter(None, (self.step(step, self.patience)
                                    for step in steps)))
        self.disconnect()
        self.peers.clear()
        return failed

    def works(self, steps=ESSENTIAL):
        """Fails unless the guest can do what is essential. The first attempts
        may meet what earlier steps have left in queues."""
        for step in steps:
            for patience in 0.15, 0.3, 0.6, 1.2, 2.4:
                why = self.step(step, patience)
                if not why:
                    break
                self.peers.clear()
            else:
                raise AssertionError(f"not served: {why}")
        self.disconnect()


class Health:
    """What passt holds while no guest is connected, and whether it is the same
    later."""

    def __init__(self, lab, passt, orders):
        self.lab, self.passt, self.orders = lab, passt, orders
        self.measure()

    def measure(self):
        self.descriptors = self.passt.descriptors()
        self.blocks = self.orders.memory.live
        self.bytes = self.said()
        self.rss = self.passt.rss()

    def said(self):
        return os.path.getsize(f"{self.lab.dir}/passt.log")

    def idle(self, window=0.03):
        """Fails unless passt soon uses less than 1 % of a CPU."""
        for seconds in (window, 0.1, 0.3, 0.5, 1, 1, 2, 2):
            load = self.passt.load(seconds)
            if load < 1:
                return
        raise AssertionError(f"uses {load:.1f} % CPU, and does not settle")

    def check(self, log):
        """Fails unless passt holds no more than before, and rests. @log: bytes
        that it may have logged."""
        try:
            wait_for("descriptors", lambda: self.passt.descriptors()
                     == self.descriptors, 5, 0.002)
        except AssertionError as e:
            raise AssertionError(
                f"{self.descriptors} descriptors have become "
                f"{self.passt.descriptors()}") from e
        wait_for("blocks of memory", lambda: self.orders.memory.live
                 <= self.blocks + LISTS, 3, 0.002)
        self.idle()
        if self.said() - self.bytes > log:
            raise AssertionError(f"logged {self.said() - self.bytes} bytes")
        self.bytes = self.said()


def private_etc():
    """Gives this program an /etc of its own, where it may change resolv.conf;
    call it before any thread is started."""
    ownroot.enter()
    with contextlib.suppress(FileNotFoundError):
        os.unlink("/etc/resolv.conf")
    with open("/etc/resolv.conf", "w", encoding="ascii") as file:
        file.write(f"nameserver {SERVER4}\n")


def alive(passt: Process):
    if not passt.alive():
        raise AssertionError("passt has ended")
