#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""udpflood.py - Floods passt with datagrams of the guest.

    guest: flood, TCP clients ==== passt (host) ---- servers (outside)

The flood comes from random ports of the guest, and goes to servers, closed
ports, the host, dead or unreachable networks, and multicast groups. At the same
time, TCP streams in both directions must keep their pace. After that the guest
sends queries from distinct ports, as many as a busy resolver does. In the end
passt must have closed its sockets and be idle.

	udpflood.py [--minutes N] [--rate N]

Without --minutes, the flood takes 20 s, and there are 6,000 queries. With it,
the flood takes N minutes, and there are 30,000 queries in about a minute.
"""

import argparse
import contextlib
import hashlib
import os
import random
import resource
import socket
import struct
import subprocess
import sys
import threading
import time

from netlab import (DEAD4, DEAD6, FAMILIES, HOST4, Lab, ROUTER4, SANITIZED,
                    SERVER4, SERVER6, Server, UNREACHABLE4, UNREACHABLE6,
                    check, echo_udp, expect, expect_below, main, rests,
                    serves, tcp_each, wait_for)

DESCRIPTORS = 8192      # passt's limit; UDP flows may use half of them
MEMORY = 16 << 20 if not SANITIZED else 1 << 30
PACE = 2 << 20          # bytes per second of each TCP stream
BLOCK = 64 << 10
STALL = 2.0             # seconds that a stream may pause
ECHO_PORT = 7
QUERIES_A_SECOND = 500
ONE_SHOT = 10           # seconds until passt ends the flow of a query


#
# The flood, in a process of its own: "udpflood.py --send RATE SECONDS".
#

def destinations():
    """Random destinations: (address, port)."""
    yield SERVER4, ECHO_PORT
    yield SERVER6, ECHO_PORT
    for addr in (SERVER4, SERVER6, ROUTER4, DEAD4, DEAD6, UNREACHABLE4,
                 UNREACHABLE6, "255.255.255.255", "ff02::fb", "2001:db8::1"):
        yield addr, random.randrange(1, 65536)
    for net in DEAD4, UNREACHABLE4, SERVER4, HOST4:
        yield (f"{net.rsplit('.', 1)[0]}.{random.randrange(256)}",
               random.randrange(1, 65536))
    yield (socket.inet_ntoa(random.randbytes(4)), random.randrange(65536))
    for net in DEAD6, UNREACHABLE6:
        yield f"{net}{random.randrange(1000)}", random.randrange(65536)


class Flood:
    """Sends by raw sockets, which can use any source port without a socket for
    each."""

    def __init__(self):
        self.out4 = socket.socket(socket.AF_INET, socket.SOCK_RAW,
                                  socket.IPPROTO_RAW)
        self.out4.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.out6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW,
                                  socket.IPPROTO_UDP)
        # The offset at which the kernel writes the checksum (RFC 3542 3.1).
        self.out6.setsockopt(socket.IPPROTO_IPV6, 7, 6)     # IPV6_CHECKSUM
        self.out6.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
        self.own4 = socket.inet_aton(HOST4)
        self.data = random.randbytes(9000)

    def payload(self):
        size = random.choice((0, 12, 40, 40, 100, 512, 1200, 1400))
        if random.random() < 0.01:
            size = 9000
        return self.data[:size]

    def send(self, addr, port):
        data = self.payload()
        datagram = struct.pack("!HHHH", random.randrange(1024, 65536), port,
                               8 + len(data), 0) + data
        with contextlib.suppress(OSError):
            if ":" in addr:
                self.out6.sendto(datagram, (addr, 0))
                return
            head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram),
                               0, 0, 64, 17, 0, self.own4,
                               socket.inet_aton(addr))
            self.out4.sendto(head + datagram, (addr, 0))

    def run(self, rate, seconds):
        """Sends @rate datagrams per second. Returns their number."""
        start, sent = time.monotonic(), 0
        while (now := time.monotonic() - start) < seconds:
            if sent >= now * rate:
                time.sleep(0.002)
                continue
            for addr, port in destinations():
                self.send(addr, port)
                sent += 1
        return sent


@contextlib.contextmanager
def flooding(lab, rate, seconds):
    """Runs the flood during a block, and waits for its end."""
    p = lab.guest.spawn(sys.executable, os.path.abspath(__file__), "--send",
                        str(rate), str(seconds), stdout=subprocess.PIPE)
    try:
        yield
        out = p.communicate(timeout=seconds + 30)[0]
        print(f"flood: {int(out)} datagrams in {seconds} s", flush=True)
        expect_below("half of what was meant", rate * seconds / 2, int(out))
    finally:
        p.kill()
        p.wait()


#
# TCP at the same time.
#

def block(n):
    return hashlib.shake_128(struct.pack("!I", n % 64)).digest(BLOCK)


BLOCKS = [block(n) for n in range(64)]


def give(conn, seconds):
    """Sends blocks at PACE for some seconds, then FIN."""
    start, n = time.monotonic(), 0
    while (now := time.monotonic() - start) < seconds:
        if n * BLOCK >= now * PACE:
            time.sleep(0.01)
            continue
        conn.sendall(BLOCKS[n % 64])
        n += 1
    conn.shutdown(socket.SHUT_WR)


class Reader:
    """Reads a stream, compares its data, and measures pauses.

    @size: bytes so far
    @stall: longest pause, seconds
    @error: exception that ended it, if any
    """

    def __init__(self):
        self.size, self.stall, self.error = 0, 0.0, None
        self.ended = threading.Event()

    def read(self, conn):
        try:
            last = time.monotonic()
            while data := conn.recv(BLOCK):
                now = time.monotonic()
                self.stall = max(self.stall, now - last)
                last = now
                self.compare(data)
        except Exception as e:
            self.error = e
        self.ended.set()

    def compare(self, data):
        while data:
            at = self.size % BLOCK
            want = BLOCKS[self.size // BLOCK % 64][at:at + len(data)]
            expect(f"data from byte {self.size}", data[:len(want)], want)
            self.size += len(want)
            data = data[len(want):]


class Streams:
    """TCP streams between guest and server, one per direction and family."""

    def __init__(self, lab, seconds):
        self.seconds = seconds
        self.readers = {}
        self.stack = contextlib.ExitStack()
        for family, addr in FAMILIES:
            self.out(lab, f"out{family}", addr)
            self.into(lab, f"in{family}", addr)

    def start(self, function, *args):
        threading.Thread(target=function, args=args, daemon=True).start()

    def out(self, lab, name, addr):
        reader = self.readers[name] = Reader()
        server = Server(lab.outside.bind(addr), tcp_each(reader.read))
        self.stack.enter_context(server)
        conn = lab.guest.connect(addr, server.port, 30)
        self.stack.enter_context(conn)
        self.start(give, conn, self.seconds)

    def into(self, lab, name, addr):
        reader = self.readers[name] = Reader()
        server = Server(lab.outside.bind(addr), tcp_each(
            lambda conn: (give(conn, self.seconds), conn.recv(1))))
        self.stack.enter_context(server)
        conn = lab.guest.connect(addr, server.port, 30)
        self.stack.enter_context(conn)
        self.start(reader.read, conn)

    def verdict(self):
        """Fails unless each stream arrived unchanged, with its pace and without
        a long pause."""
        for name, reader in self.readers.items():
            if not reader.ended.wait(self.seconds + 20):
                raise AssertionError(f"{name}: not at its end after "
                                     f"{reader.size} bytes")
            print(f"TCP {name}: {reader.size / self.seconds / 1e6:.2f} MB/s, "
                  f"longest pause {reader.stall:.2f} s", flush=True)
        for name, reader in self.readers.items():
            if reader.error:
                raise AssertionError(f"{name}: {reader.error}")
            expect_below(f"{name}: 95 % of its pace, bytes",
                         0.95 * PACE * self.seconds, reader.size)
            expect_below(f"{name}: longest pause", reader.stall, STALL)
        self.stack.close()


class Watch:
    """Measures passt's memory and descriptors twice per second.

    @samples: (RSS in bytes, descriptors), the oldest first
    """

    def __init__(self, passt):
        self.samples = []
        self.ended = threading.Event()
        threading.Thread(target=self.loop, args=(passt,), daemon=True).start()

    def loop(self, passt):
        while not self.ended.wait(0.5):
            with contextlib.suppress(OSError):
                self.samples.append((passt.rss(), passt.descriptors()))

    def most(self):
        """Stops. Returns the largest memory and number of descriptors."""
        self.ended.set()
        return [max(values) for values in zip(*self.samples)]

    def growth(self):
        """Bytes by which memory grew in the second half of the time."""
        half = len(self.samples) // 2
        return max(rss for rss, _ in self.samples[half:]) - max(
            rss for rss, _ in self.samples[:half])


#
# The stories.
#

def settles(passt, idle, what):
    """Given the end of a flood, then all its flows expire soon, and passt
    becomes idle."""
    start = time.monotonic()
    with check(f"{what}: CPU below 1 % within 15 s"):
        wait_for("CPU below 1 %", lambda: passt.load(1) < 1, 15, 0)
        print(f"{what}: at rest after {time.monotonic() - start:.0f} s",
              flush=True)
    with check(f"{what}: descriptors are given back"):
        wait_for(f"descriptors back to {idle}, of {passt.descriptors()}",
                 lambda: passt.descriptors() <= idle + 8, 2 * ONE_SHOT)
    with check(f"{what}: still at rest"):
        rests(passt)


def queue_drops(lab):
    """How many frames the queue of the guest's tap has dropped."""
    with lab.guest, open("/proc/thread-self/net/dev") as f:
        line = next(line for line in f if "tap0:" in line)
    return int(line.split(":")[1].split()[11])


def flood(lab, passt, idle, rate, seconds):
    """Given a flood, then TCP streams keep their pace, and passt's memory and
    descriptors are bounded."""
    watch = Watch(passt)
    drops, cpu = queue_drops(lab), passt.cpu()
    with check("flood: TCP beside it is whole, and keeps its pace"):
        with flooding(lab, rate, seconds):
            # The streams begin after the flood has begun, and end before it
            # ends.
            time.sleep(1)
            streams = Streams(lab, seconds - 3)
            streams.verdict()
    print(f"flood: {queue_drops(lab) - drops} dropped by the guest's queue; "
          f"passt used {(passt.cpu() - cpu) / seconds:.0%} of a CPU",
          flush=True)
    memory, descriptors = watch.most()
    print(f"flood: at most {memory >> 10} KiB, {descriptors} descriptors; "
          f"{watch.growth() >> 10} KiB more in its second half", flush=True)
    with check("flood: memory stays bounded"):
        expect_below("RSS, bytes", memory, MEMORY)
        expect_below("growth in the second half", watch.growth(), 1 << 20)
    with check("flood: half of the descriptors at most"):
        expect_below("a tenth of them, or there was no flood",
                     DESCRIPTORS // 10, descriptors)
        expect_below("descriptors", descriptors, DESCRIPTORS // 2 + 100)
    settles(passt, idle, "flood")
    with check("flood: a guest is served after it"):
        serves(lab)


def sockets_of(lab):
    """Number of UDP sockets in the host's namespace."""
    with lab.host:
        lines = []
        for name in "udp", "udp6":
            with open(f"/proc/thread-self/net/{name}") as f:
                lines += f.readlines()[1:]
    return len(lines)


def query(lab, port):
    """Sends a query from this port, and waits for its answer."""
    _, addr = FAMILIES[port % 2]
    with lab.guest:
        s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET,
                          socket.SOCK_DGRAM)
    with s:
        s.settimeout(5)
        s.bind(("", port))
        s.connect((addr, 53))
        data = b"query from port %d" % port
        s.send(data)
        expect("answer", s.recv(512), data)


def queries(lab, passt, idle, count):
    """Given queries from distinct ports, then each is answered, and soon passt
    has closed the sockets for them."""
    before = sockets_of(lab)
    start = time.monotonic()
    watch = Watch(passt)
    with check(f"{count} queries from distinct ports, {count} answers"), \
            contextlib.ExitStack() as stack:
        for _, addr in FAMILIES:
            stack.enter_context(Server(lab.outside.bind(
                addr, 53, socket.SOCK_DGRAM), echo_udp))
        for n in range(count):
            query(lab, 20000 + n)
            time.sleep(max(0, start + n / QUERIES_A_SECOND -
                           time.monotonic()))
        took = time.monotonic() - start
        _, descriptors = watch.most()
        print(f"queries: {count} in {took:.0f} s, at most {descriptors} "
              "descriptors", flush=True)
        expect_below("seconds for 30,000", took * 30000 / count, 66)
    with check("queries: what the last ones left is bounded"):
        # Flows of the last 10 s, those of one more period of the timer, and
        # some more because of delays.
        expect_below("descriptors", descriptors - idle, min(
            DESCRIPTORS // 2 + 100, QUERIES_A_SECOND * (ONE_SHOT + 2)))
    settles(passt, idle, "queries")
    with check("queries: the host's ports are free again"):
        wait_for("sockets gone", lambda: sockets_of(lab) <= before + 2, 5)


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--rate", type=int, default=4000)
    parser.add_argument("--send", nargs=2, type=int)
    return parser.parse_args()


def story():
    given = options()
    seconds = int(given.minutes * 60) if given.minutes else 20
    count = 30000 if given.minutes else 6000
    with Lab() as lab:
        passt = lab.passt(preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS)))
        lab.attach()
        idle = passt.descriptors()
        with contextlib.ExitStack() as stack:
            for _, addr in FAMILIES:
                stack.enter_context(Server(lab.outside.bind(
                    addr, ECHO_PORT, socket.SOCK_DGRAM), echo_udp))
            flood(lab, passt, idle, given.rate, seconds)
        queries(lab, passt, idle, count)
        with check("what was said of all that is not much"):
            expect_below("bytes of log", len(lab.messages()), 64 << 10)
            if "runtime error" in lab.messages():
                raise AssertionError(lab.messages())


if __name__ == "__main__":
    if "--send" in sys.argv:
        print(Flood().run(*options().send))
    else:
        main(story)
