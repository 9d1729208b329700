#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""many.py - Tests 3,000 connections at once, and memory and CPU when idle.

    guest: 3,000 clients ==== passt (host) ---- echo server (outside)

All connections echo data and stay open. Then passt must have one descriptor for
each, and be idle. When all have ended, it must have closed these descriptors.
"""

import contextlib
import errno
import resource
import select
import socket
import time

from netlab import (FAMILIES, HOST4, Lab, SANITIZED, SERVER4, Server, check,
                    echo_udp, expect, expect_below, main, rests, serves,
                    wait_for)

COUNT = 3000
PAYLOAD = 64


class Clients:
    """Many connections from the guest to servers outside, in one loop."""

    def __init__(self, lab, count):
        self.poll = select.epoll()
        self.handlers = {}
        self.clients, self.servers = [], []
        self.connected = 0
        self.listeners = [lab.outside.bind(addr) for _, addr in FAMILIES]
        for listener in self.listeners:
            listener.setblocking(False)
            self.watch(listener, self.accept, select.EPOLLIN)
        self.answers = {}
        with lab.guest:
            for i in range(count):
                self.clients.append(self.open(self.listeners[i % 2]))

    def watch(self, sock, handler, events):
        self.handlers[sock.fileno()] = (sock, handler)
        self.poll.register(sock, events)

    def open(self, listener):
        """Starts a non-blocking connect(). Returns the socket."""
        s = socket.socket(listener.family)
        s.setblocking(False)
        error = s.connect_ex(listener.getsockname()[:2])
        if error not in (0, errno.EINPROGRESS):
            raise OSError(error, "connect")
        self.watch(s, self.connects, select.EPOLLOUT)
        return s

    def connects(self, sock):
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "connect")
        self.connected += 1
        self.handlers[sock.fileno()] = (sock, self.collect)
        self.poll.modify(sock, select.EPOLLIN)

    def accept(self, listener):
        with contextlib.suppress(BlockingIOError):
            while True:
                conn, _ = listener.accept()
                conn.setblocking(False)
                self.servers.append(conn)
                self.watch(conn, self.echo, select.EPOLLIN)

    def echo(self, conn):
        data = conn.recv(65536)
        if data:
            conn.sendall(data)
        else:
            self.poll.unregister(conn)
            conn.close()

    def collect(self, sock):
        data = sock.recv(65536)
        if not data:
            raise AssertionError("a connection ended by itself")
        self.answers[sock] = self.answers.get(sock, b"") + data

    def until(self, what, condition):
        """Serves all connections until @condition()."""
        def step():
            for fd, _ in self.poll.poll(0.05, 1024):
                sock, handler = self.handlers[fd]
                handler(sock)
            return condition()
        wait_for(what, step, 60, 0)

    def open_all(self):
        """Serves all connections until each is open at both ends."""
        count = len(self.clients)
        self.until(f"{count} connections", lambda: self.connected == count
                   and len(self.servers) == count)

    def echo_all(self, text):
        """Sends different data on each connection; fails unless the same data
        come back."""
        self.answers = {}
        want = {s: f"{text} {i}".ljust(PAYLOAD).encode()
                for i, s in enumerate(self.clients)}
        for s, data in want.items():
            s.sendall(data)
        self.until(f"{len(want)} echoes", lambda: sum(
            map(len, self.answers.values())) >= PAYLOAD * len(want))
        expect("echoes that are wrong",
               sum(self.answers[s] != data for s, data in want.items()), 0)

    def close(self):
        for s in self.clients + self.listeners:
            self.poll.unregister(s)
            s.close()
        self.until("all servers ended",
                   lambda: all(s.fileno() < 0 for s in self.servers))


def crowd(lab, passt):
    """Given 3,000 connections, then all of them echo, and passt has one
    descriptor for each."""
    idle = passt.descriptors()
    with check("3,000 connections open"):
        many = Clients(lab, COUNT)
        many.open_all()
    with check("3,000 connections, each echoes"):
        many.echo_all("first")
    with check("3,000 connections, one descriptor each"):
        used = passt.descriptors() - idle
        expect_below("descriptors beyond one each", used - COUNT, 8)
        expect_below("connections without", COUNT - used, 1)
    with check("3,000 connections, idle: CPU below 1 %"):
        rests(passt, 5)
    with check("3,000 connections, each echoes again"):
        many.echo_all("second")
    with check("3,000 connections, memory"):
        expect_below("RSS, bytes", passt.rss(),
                     (4 << 20) + COUNT * 1024 if not SANITIZED else 1 << 30)
    with check("3,000 connections end, so do the servers'"):
        many.close()
    with check("3,000 descriptors are given back"):
        wait_for("descriptors", lambda: passt.descriptors() < idle + 8, 30)
    with check("served after that"):
        serves(lab)
    with check("at rest after that"):
        rests(passt)


def idle(lab):
    """Given all ports forwarded, then passt needs less than 4 MiB and no CPU,
    without and with a guest."""
    passt = lab.passt("-t", "all", "-u", "all")
    limit = 4 << 20 if not SANITIZED else 1 << 30
    with check("idle without a guest: RSS below 4 MB, no CPU"):
        expect_below("RSS, bytes", passt.rss(), limit)
        rests(passt)
    lab.attach()
    with check("idle with a guest: RSS below 4 MB, no CPU"):
        expect_below("RSS, bytes", passt.rss(), limit)
        rests(passt, 5)
    print(f"idle: {passt.rss() // 1024} KiB, {passt.descriptors()} "
          "descriptors", flush=True)


def more_peers_than_descriptors(lab):
    """Given more peers at one forwarded port than passt has descriptors, then
    the guest can still open connections, and the first peers stay connected."""
    limit, port = 512, 5003
    passt = lab.passt("-t", str(port), preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (limit, limit)))
    lab.attach()
    with check("many peers at a port: the guest opens its own connections"), \
            lab.guest.bind("0.0.0.0", port) as server, \
            contextlib.ExitStack() as stack:
        server.listen(1024)
        peers = []
        for _ in range(600):
            with lab.outside:
                s = stack.enter_context(socket.socket(socket.AF_INET))
            s.setblocking(False)
            s.connect_ex((HOST4, port))
            peers.append(s)
        wait_for("as many as may be",
                 lambda: passt.descriptors() > limit // 2)
        time.sleep(1)
        few = Clients(lab, 50)
        few.open_all()
        few.echo_all("from the guest")
        kept = sum(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
                   for s in peers)
        print(f"many peers: {kept} of 600 are served", flush=True)
        if not limit // 2 < kept < limit * 3 // 4:
            raise AssertionError(f"{kept} peers are served")
        server.settimeout(5)
        with server.accept()[0] as first:
            first.sendall(b"x" * 10)
            peers[0].settimeout(5)
            expect("sent to the first peer", peers[0].recv(10), b"x" * 10)
        few.close()
    with check("many peers at a port: at rest when they have gone"):
        wait_for("descriptors back", lambda: passt.descriptors() < 64)
        rests(passt)


def more_than_descriptors(lab):
    """Given more connections of the guest than passt has descriptors, then the
    first ones stay, and UDP works."""
    limit = 512
    passt = lab.passt(preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (limit, limit)))
    lab.attach()
    with check("beyond the limit: old connections stay, UDP works"):
        few = Clients(lab, 200)
        few.open_all()
        refused = 0
        burst = []
        for i in range(600):
            with lab.guest:
                s = socket.socket(socket.AF_INET)
            s.setblocking(False)
            s.connect_ex(few.listeners[0].getsockname()[:2])
            burst.append(s)
        few.until("as many as possible",
                  lambda: passt.descriptors() > limit - 100)
        few.echo_all("still here")
        with Server(lab.outside.bind(SERVER4, 0, socket.SOCK_DGRAM),
                    echo_udp) as server:
            with lab.guest.connect(SERVER4, server.port, 3,
                                   socket.SOCK_DGRAM) as s:
                s.send(b"a query")
                expect("answer by UDP", s.recv(100), b"a query")
        rests(passt)
        for s in burst:
            refused += s.getsockopt(socket.SOL_SOCKET,
                                    socket.SO_ERROR) != 0
            s.close()
        print(f"beyond the limit: {refused} of 600 refused", flush=True)
    with check("beyond the limit: served when there is room again"):
        few.until("descriptors back", lambda: passt.descriptors() < 256)
        serves(lab)
        few.close()


def story():
    with Lab() as lab:
        passt = lab.passt()
        lab.attach()
        crowd(lab, passt)
    for part in (idle, more_than_descriptors, more_peers_than_descriptors):
        with check(f"{part.__name__} ran to its end"), Lab() as lab:
            part(lab)


if __name__ == "__main__":
    main(story)
