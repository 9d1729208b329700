#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""sleep.py - The host sleeps, or passt is stopped, while a guest is connected.

    guest ==== passt (host) ---- servers (outside)

A library (clockshift.c) lets an hour pass for passt in a moment: for all
clocks, as if passt was stopped, or for CLOCK_BOOTTIME alone, as if the host was
suspended. passt then tells the guest its network again, and no flow ends only
because passt did not run.
"""

import contextlib
import hashlib
import mmap
import os
import re
import select
import signal
import socket
import struct
import subprocess
import threading
import time

import ownroot
from netlab import (Lab, SERVER4, SERVER6, Server, check, echo_tcp,
                    echoes, expect, main, preload, receive, rests, wait_for)
from traffic import DATA, DIGEST, digest_of, give, take_and_tell

RESOLV = "/etc/resolv.conf"
HOUR = 3600             # s
SOON = 3.5              # s: RFC 4861 6.2.6 demands 3 s between advertisements
STOP = 6                # s: enough that passt notices it
SHORT = 2.0             # s: too short for that, longer than TCP's timeouts
RA = 134
ABORT = struct.pack("ii", 1, 0)         # SO_LINGER: close() is RST
UDP = socket.SOCK_DGRAM


class Clocks:
    """The clocks of a passt. @env: environment for lab.passt()"""

    def __init__(self, lab):
        path, self.wakeup = f"{lab.dir}/clocks", f"{lab.dir}/wakeup"
        with open(path, "w+b") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(bytes(16))
            file.flush()
            self.shift = mmap.mmap(file.fileno(), 16)
        os.mkfifo(self.wakeup)
        os.chmod(self.wakeup, 0o666)
        self.env = preload(lab, "clockshift.c", CLOCKSHIFT_FILE=path,
                           CLOCKSHIFT_WAKEUP=self.wakeup)

    def add(self, seconds, monotonic=True):
        """Lets time pass, for CLOCK_BOOTTIME and maybe for CLOCK_MONOTONIC."""
        before = struct.unpack("qq", self.shift)
        self.shift[:] = struct.pack(
            "qq", before[0] + monotonic * seconds * 1000,
            before[1] + seconds * 1000)

    def wake(self):
        """Tells passt that the real-time clock has jumped."""
        fd = os.open(self.wakeup, os.O_WRONLY | os.O_NONBLOCK)
        os.write(fd, b"!")
        os.close(fd)


@contextlib.contextmanager
def stopped(passt):
    os.kill(passt.pid, signal.SIGSTOP)
    wait_for("stop", lambda: passt.status("State")[0] == "T")
    try:
        yield
    finally:
        os.kill(passt.pid, signal.SIGCONT)


class Pauses:
    """Counts what passt logs, and what it advertises, after one pause."""

    def __init__(self, lab):
        self.lab = lab
        self.seen = len(lab.messages())
        with lab.guest:
            self.sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW,
                                      socket.IPPROTO_ICMPV6)

    def advertised(self, seconds):
        """Number of router advertisements in the next @seconds."""
        end, n = time.monotonic() + seconds, 0
        while (left := end - time.monotonic()) > 0:
            if select.select([self.sock], [], [], left)[0]:
                n += self.sock.recv(2000)[0] == RA
        return n

    def lines(self):
        return re.findall(r"(?:The host has slept|passt was stopped).*",
                          self.lab.messages()[self.seen:])

    def told(self, *want):
        """Fails unless one advertisement comes soon, and passt has logged
        these lines."""
        expect("advertisements", self.advertised(SOON), 1)
        expect("messages", self.lines(), list(want))
        self.sock.close()


@contextlib.contextmanager
def flows(lab):
    """A TCP connection, a UDP flow after one query, and a UDP stream, all open.
    Fails unless all of them are the same and still work at the end."""
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(Server(lab.outside.bind(SERVER6), echo_tcp))
        conn = stack.enter_context(lab.guest.connect(SERVER6, tcp.port))
        udp = stack.enter_context(lab.outside.bind(SERVER4, 0, UDP))
        udp.settimeout(5)
        query, stream = [stack.enter_context(lab.guest.connect(
            SERVER4, udp.getsockname()[1], 5, UDP)) for _ in range(2)]
        peers = {}

        def ask(sock):
            sock.send(b"question")
            return udp.recvfrom(100)[1]

        def answer(sock):
            udp.sendto(b"answer", peers[sock])

        echoes(conn)
        for _ in range(4):
            peers[stream] = ask(stream)
            answer(stream)
            stream.recv(100)
        peers[query] = ask(query)
        yield lambda: answer(query)
        expect("answer to the query", query.recv(100), b"answer")
        for sock in stream, query:
            answer(sock)
            expect("answer", sock.recv(100), b"answer")
            expect("source of a datagram", ask(sock), peers[sock])
        echoes(conn)


class Transfers:
    """32 MiB in each direction, so slow that they last some seconds."""

    def __init__(self, lab, seconds):
        self.lab, self.step = lab, seconds / 64
        self.results, self.stack = {}, contextlib.ExitStack()

    def upload(self, port):
        with self.lab.guest.connect(SERVER4, port, 60) as s:
            for i in range(64):
                s.sendall(DATA[i * len(DATA) // 64:(i + 1) * len(DATA) // 64])
                time.sleep(self.step)
            s.shutdown(socket.SHUT_WR)
            self.results["from guest"] = receive(s, 64).decode()

    def download(self, port):
        digest = hashlib.sha256()
        with self.lab.guest.connect(SERVER4, port, 60) as s:
            while part := s.recv(len(DATA) // 64):
                digest.update(part)
                time.sleep(self.step * len(part) * 64 / len(DATA))
        self.results["to guest"] = digest.hexdigest()

    def __enter__(self):
        take, gives = [self.stack.enter_context(
            Server(self.lab.outside.bind(SERVER4), each))
            for each in (take_and_tell, give)]
        self.threads = [threading.Thread(target=way, args=(server.port,))
                        for way, server in ((self.upload, take),
                                            (self.download, gives))]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join()
        self.stack.close()


def duplicates(lab):
    """How often the guest's kernel has received TCP data twice."""
    with lab.guest, open("/proc/thread-self/net/netstat") as file:
        rows = [line.split() for line in file if line.startswith("TcpExt:")]
    return int(dict(zip(*rows))["TCPDSACKOldSent"])


def seconds(lab, passt):
    """Given data in flight, idle flows and ping, when passt is stopped for some
    seconds, then everything goes on and nothing is lost."""
    with check("stopped for some seconds: no byte is lost"):
        pings = lab.guest.spawn("ping", "-c", "20", "-i", "0.5", SERVER4,
                                stdout=subprocess.PIPE, text=True)
        with flows(lab) as answer, Transfers(lab, 3) as transfers:
            time.sleep(1)
            pause = Pauses(lab)
            with stopped(passt):
                answer()
                time.sleep(STOP)
            expect("advertisements", pause.advertised(SOON), 1)
        expect("SHA-256", transfers.results,
               {"from guest": DIGEST, "to guest": DIGEST})
        expect("replies to 20 pings", re.search(
            r"(\d+) received", pings.communicate()[0])[1], "20")
        lines = pause.lines()
        expect("messages", len(lines), 1)
        expect("seconds", STOP <= int(re.search(
            r"up to (\d+) s", lines[0])[1]) <= STOP + 2, True)
        rests(passt)


def moment(lab, passt):
    """Given data whose acknowledgments wait for passt, when passt is stopped
    for a time that it does not notice, then it sends nothing again."""
    with check("stopped for a moment: nothing is sent again, or told"):
        before, pause = duplicates(lab), Pauses(lab)
        with Server(lab.outside.bind(SERVER4), give) as server, \
                lab.guest.connect(SERVER4, server.port, 60) as s:
            for _ in range(3):
                receive(s, 4 << 20)
                with stopped(passt):
                    time.sleep(SHORT)
            digest_of(s)
        expect("segments received twice", duplicates(lab) - before, 0)
        expect("advertisements", pause.advertised(0.1), 0)
        expect("messages", pause.lines(), [])


def without_timers(lab, passt, clocks):
    """Given no guest, so that passt waits without a timeout, when it is
    stopped, then it notices that by the signal that lets it continue."""
    with check("stopped while no timer runs"):
        time.sleep(0.5)         # passt has read the host after its start
        pause = Pauses(lab)
        with stopped(passt):
            clocks.add(10)
        wait_for("message", pause.lines, 1)


def hour(lab, passt, clocks):
    """Given flows, when passt is stopped for an hour, then they live on; a
    connection that the peer has reset meanwhile ends at once."""
    conns = []
    with check("stopped for an hour: flows live on"), flows(lab) as answer, \
            Server(lab.outside.bind(SERVER4),
                   lambda s: conns.append(s.accept()[0])) as other:
        with lab.guest.connect(SERVER4, other.port, 2) as reset:
            wait_for("connection", lambda: conns)
            pause = Pauses(lab)
            with stopped(passt):
                clocks.add(HOUR)
                answer()
                conns[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                conns[0].close()
            with contextlib.suppress(ConnectionResetError):
                expect("the end", reset.recv(1), "RST")
        pause.told("passt was stopped, for up to 3600 s")
    with check("after that hour, passt rests"):
        rests(passt)


def frozen(lab, passt, clocks):
    """Given a host that is a virtual machine, when it was paused, then passt
    notices it with the next event."""
    with check("an hour without a signal"), flows(lab) as answer:
        pause = Pauses(lab)
        clocks.add(HOUR)
        answer()
        pause.told("passt was stopped, for up to 3600 s")


def suspended(lab, passt, clocks):
    """Given a host whose resolvers change unnoticed, when it has slept, then
    passt reads it at once."""
    with check("the host sleeps for an hour: it is read again"), \
            flows(lab) as answer:
        ownroot.mount("/etc/other", RESOLV, None, ownroot.MS_BIND)
        time.sleep(0.5)
        expect("resolver before", lab.dhcp()["dns"], SERVER4)
        pause = Pauses(lab)
        clocks.add(HOUR, monotonic=False)
        clocks.wake()
        wait_for("resolver", lambda: lab.dhcp()["dns"] == "198.51.100.77", 1)
        answer()
        pause.told("The host has slept for 3600 s")
    with check("the host's clock is set: no sleep"):
        pause = Pauses(lab)
        clocks.wake()
        expect("advertisements", pause.advertised(1), 0)
        expect("messages", pause.lines(), [])
        rests(passt)


def dead(lab, passt, clocks):
    """Given a connection with data in flight to a peer that does not answer,
    when the clocks jump, then the connection does not end: only the host's
    kernel decides that the peer is dead."""
    with check("a peer without an answer is the kernel's business"), \
            Server(lab.outside.bind(SERVER4), echo_tcp) as server, \
            lab.guest.connect(SERVER4, server.port, 20) as conn:
        echoes(conn)
        lab.outside.ip("link set eth0 down")
        conn.sendall(b"into the dark")
        time.sleep(0.2)
        for monotonic in True, False:
            pause = Pauses(lab)
            with stopped(passt):
                clocks.add(4 * HOUR, monotonic)
                clocks.wake()
            time.sleep(1)
            expect("messages", len(pause.lines()), 1)
        expect("ends", select.select([conn], [], [], 1)[0], [])
        lab.outside.ip("link set eth0 up")
        expect("echo", receive(conn, 13), b"into the dark")
        echoes(conn)


def story():
    ownroot.enter()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(RESOLV)
    for path, addr in (RESOLV, SERVER4), ("/etc/other", "198.51.100.77"):
        with open(path, "w", encoding="ascii") as file:
            file.write(f"nameserver {addr}\n")
    with Lab() as lab:
        clocks = Clocks(lab)
        passt = lab.passt(env=clocks.env)
        without_timers(lab, passt, clocks)
        lab.attach()
        time.sleep(1)           # the first advertisement is sent
        hour(lab, passt, clocks)
        frozen(lab, passt, clocks)
        suspended(lab, passt, clocks)
        moment(lab, passt)
        seconds(lab, passt)
        dead(lab, passt, clocks)


if __name__ == "__main__":
    main(story)
