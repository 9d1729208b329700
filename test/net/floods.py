#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""floods.py - Floods of ten kinds, from the guest and from outside.

    guest: flood, TCP clients ==== passt (host) ---- servers, flood (outside)

Before and during each flood, an established connection carries a stream whose
rate is PACE, and another one requests and answers. The stream must keep half of
its rate, and the median of the answers' latency must stay within 5 times what
it was. passt's memory is bounded, and after the flood it serves as before.

	floods.py [KIND...]

FLOODS=SECONDS sets the length of each flood (2), RATE=N its frames per second.
"""

import contextlib
import os
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "wire"))

from netlab import (HOST4, HOST6, Lab, SERVER4,   # noqa: E402
                    Server, check, echo_tcp, echo_udp, expect,
                    expect_below, main, serves, wait_for)
from lib import dhcp, packet                                        # noqa: E402

SECONDS = float(os.environ.get("FLOODS", 2))
RATE = int(os.environ.get("RATE", 10000))
PACE = 8 << 20          # bytes per second of the stream
BLOCK = 64 << 10
MEMORY = 48 << 20       # bytes
LOG = 64 << 10          # bytes of messages about all floods
LATE = 30               # s in which a new connection has its 100 answers
FLOOR = 0.003           # s: a latency below this is never too long
TCP_PORT, UDP_PORT = 8001, 8002
PASST_MAC = "9a:55:9a:55:9a:55"
SYN = 2


#
# The floods: each makes one frame of the guest, or sends one message outside.
#

def near():
    """A random address of the servers' network."""
    return f"198.51.100.{random.randrange(2, 255)}"


def port():
    return random.randrange(1024, 65536)


def number(bits):
    return random.getrandbits(bits)


def from_guest(l4, proto, dst, **kw):
    return packet.ETH_IP, packet.ip4(HOST4, dst, proto, l4, **kw)


def syn():
    """A SYN, but not to a port that a server of a test may have: such a server
    would serve it like another client."""
    dst = random.choice((SERVER4, near()))
    dport = random.randrange(1024, 32768)
    return from_guest(packet.tcp(HOST4, dst, port(), dport, seq=number(32),
                                 flags=SYN), packet.TCP, dst)


def udp():
    dst = random.choice((SERVER4, near()))
    return from_guest(packet.udp(HOST4, dst, port(), port(), b"flood"),
                      packet.UDP, dst)


def ping():
    dst = random.choice((SERVER4, near()))
    return from_guest(packet.echo(HOST4, dst, number(16), 1, b"flood"),
                      packet.ICMP, dst)


def fragment():
    """The first fragment of a datagram whose others never come."""
    l4 = packet.udp(HOST4, SERVER4, port(), port(), bytes(1400))
    return from_guest(l4[:1024], packet.UDP, SERVER4, frag=0x2000)


def arp():
    return packet.ETH_ARP, packet.arp(
        1, "52:54:00:12:34:56", HOST4, "00:00:00:00:00:00",
        f"192.0.2.{random.randrange(256)}")


def solicit():
    """A neighbour solicitation for a random address."""
    target = f"2001:db8:1::{number(16):x}"
    dst = packet.solicited_node(target)
    body = bytes(4) + packet.pton(target) + bytes([1, 1]) + number(48).to_bytes(
        6, "big")
    return packet.ETH_IPV6, packet.ip6(HOST6, dst, packet.ICMPV6, packet.icmp(
        HOST6, dst, 135, 0, body), ttl=255)


def discover():
    data = dhcp.message("52:54:00:" + ":".join(
        f"{number(8):02x}" for _ in range(3)), [dhcp.kind(dhcp.DISCOVER)])
    l4 = packet.udp("0.0.0.0", "255.255.255.255", 68, 67, data)
    return packet.ETH_IP, packet.ip4("0.0.0.0", "255.255.255.255", packet.UDP,
                                     l4)


GUEST = {"SYN": syn, "UDP": udp, "ping": ping, "fragments": fragment,
         "ARP": arp, "neighbour solicitations": solicit, "DHCP": discover}
NEW_FLOWS = ("SYN", "UDP", "ping")      # floods that open flows


def connections():
    """Opens connections to the forwarded port, which end by RST."""
    linger = struct.pack("ii", 1, 0)
    socks = []
    while True:
        s = socket.socket()
        s.setblocking(False)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        s.connect_ex((HOST4, TCP_PORT))
        socks.append(s)
        if len(socks) > 200:
            socks.pop(0).close()
        yield


def datagrams():
    """Sends datagrams to the forwarded port, from random ports."""
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    while True:
        l4 = packet.udp(SERVER4, HOST4, port(), UDP_PORT, b"flood")
        s.sendto(packet.ip4(SERVER4, HOST4, packet.UDP, l4), (HOST4, 0))
        yield


def errors():
    """Sends ICMP errors about datagrams that passt may have sent."""
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    while True:
        quoted = packet.ip4(HOST4, SERVER4, random.choice((6, 17)),
                            struct.pack("!HHI", port(), port(), number(32)))
        l4 = packet.icmp(SERVER4, HOST4, 3, random.randrange(4),
                         bytes(4) + quoted)
        s.sendto(packet.ip4(SERVER4, HOST4, packet.ICMP, l4), (HOST4, 0))
        yield


OUTSIDE = {"connections": connections, "datagrams": datagrams,
           "ICMP errors": errors}


def frames(make):
    """Sends frames of the guest, by its network card. They are made before,
    because that takes longer than sending them, and are so many that none is
    sent twice."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind(("tap0", 0))
    mac = packet.mac_text(s.getsockname()[4])
    ready = [packet.eth(PASST_MAC, mac, *make())
             for _ in range(int(RATE * (SECONDS + 2)))]
    while True:
        for frame in ready:
            with contextlib.suppress(OSError):
                s.send(frame)
            yield


def flood(kind):
    """Floods until SIGTERM, and prints how much. This runs in a process of its
    own."""
    step = frames(GUEST[kind]) if kind in GUEST else OUTSIDE[kind]()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    start, sent = time.monotonic(), 0
    next(step)
    print("begun", flush=True)
    while not ended.is_set():
        if sent >= (time.monotonic() - start) * RATE:
            time.sleep(0.001)
            continue
        for _ in range(20):
            next(step)
        sent += 20
    print(f"{sent / (time.monotonic() - start):.0f} per second", flush=True)


@contextlib.contextmanager
def flooding(lab, kind):
    """Runs a flood during a block."""
    space = lab.guest if kind in GUEST else lab.outside
    p = space.spawn(sys.executable, os.path.abspath(__file__), "--flood", kind,
                    stdout=subprocess.PIPE, text=True)
    try:
        expect("the flood's first line", p.stdout.readline(), "begun\n")
        yield
        p.terminate()
        print(f"# {kind}: {p.communicate(timeout=10)[0].strip()}", flush=True)
        expect("the flood's exit status", p.returncode, 0)
    finally:
        p.kill()
        p.wait()


class Established:
    """Two connections from the guest: a stream with a rate, and requests."""

    def __init__(self, lab, stack):
        self.received = 0
        self.quit = threading.Event()
        sink = stack.enter_context(Server(lab.outside.bind(SERVER4), self.sink))
        echo = stack.enter_context(Server(lab.outside.bind(SERVER4), echo_tcp))
        self.stream = stack.enter_context(
            lab.guest.connect(SERVER4, sink.port, 30))
        self.request = stack.enter_context(
            lab.guest.connect(SERVER4, echo.port, 30))
        stack.callback(self.quit.set)
        threading.Thread(target=self.give, daemon=True).start()

    def sink(self, sock):
        conn, _ = sock.accept()
        with conn, contextlib.suppress(OSError):
            while data := conn.recv(BLOCK):
                self.received += len(data)

    def give(self):
        start, sent = time.monotonic(), 0
        with contextlib.suppress(OSError):
            while not self.quit.is_set():
                if sent >= (time.monotonic() - start) * PACE:
                    time.sleep(0.005)
                    continue
                self.stream.sendall(bytes(BLOCK))
                sent += BLOCK

    def measure(self, seconds):
        """Returns the stream's bytes per second, and the median of the
        requests' latency, in seconds."""
        before, start = self.received, time.monotonic()
        latencies = []
        while time.monotonic() - start < seconds:
            at = time.monotonic()
            self.request.sendall(b"x")
            expect("the answer", self.request.recv(1), b"x")
            latencies.append(time.monotonic() - at)
            time.sleep(0.01)
        rate = (self.received - before) / (time.monotonic() - start)
        return rate, statistics.median(latencies)


def one_flood(lab, passt, established, kind):
    rate, latency = established.measure(1)
    peak = 0
    with check(f"{kind}: the stream keeps half of its rate, answers come in "
               "time"), flooding(lab, kind):
        time.sleep(0.5)
        during, slower = established.measure(SECONDS)
        peak = passt.rss()
        print(f"# {kind}: stream {during / rate:.2f}, latency "
              f"{slower / latency:.2f} of {latency * 1000:.2f} ms, memory "
              f"{peak >> 10} KiB", flush=True)
        expect_below("half of the rate before, bytes/s", rate / 2, during)
        expect_below("latency, s", slower, max(5 * latency, FLOOR))
    with check(f"{kind}: memory is bounded"):
        expect_below("bytes", peak, MEMORY)
    with check(f"{kind}: afterwards, all is served"):
        wait_for("service", lambda: served(lab), 20)


def late(lab, kind):
    """Given a flood and no other flow, then a connection that begins during the
    flood is served."""
    with check(f"{kind}: a connection that begins meanwhile"), \
            Server(lab.outside.bind(SERVER4), echo_tcp) as echo, \
            flooding(lab, kind):
        time.sleep(0.5)
        start = time.monotonic()
        latencies = []
        with lab.guest.connect(SERVER4, echo.port, LATE) as s:
            for _ in range(100):
                at = time.monotonic()
                s.sendall(b"x")
                expect("the answer", s.recv(1), b"x")
                latencies.append(time.monotonic() - at)
        print(f"# {kind}: 100 answers in {time.monotonic() - start:.2f} s, "
              f"the last 50 in {sum(latencies[50:]):.2f} s", flush=True)
        expect_below("time, s", time.monotonic() - start, LATE)


def served(lab):
    """Whether new flows can be opened in both directions."""
    with contextlib.suppress(OSError, AssertionError):
        serves(lab)
        with lab.outside.connect(HOST4, TCP_PORT, 5) as s:
            s.sendall(b"x")
            return s.recv(1) == b"x"
    return False


def story():
    kinds = sys.argv[1:] or [*GUEST, *OUTSIDE]
    with Lab() as lab:
        passt = lab.passt("-t", str(TCP_PORT), "-u", str(UDP_PORT))
        lab.attach()
        for kind in NEW_FLOWS:
            if kind in kinds:
                late(lab, kind)
        with contextlib.ExitStack() as stack:
            stack.enter_context(Server(lab.guest.bind("::", TCP_PORT),
                                       echo_tcp))
            stack.enter_context(Server(
                lab.guest.bind("::", UDP_PORT, socket.SOCK_DGRAM), echo_udp))
            established = Established(lab, stack)
            for kind in kinds:
                one_flood(lab, passt, established, kind)
        with check("what was said of all that is not much"):
            expect_below("bytes", len(lab.messages()), LOG)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--flood"]:
        flood(sys.argv[2])
    else:
        main(story)
