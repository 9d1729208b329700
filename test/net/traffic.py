#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""traffic.py - Real traffic of a guest through passt, in both directions.

    guest ==== passt (host) ---- router and servers (outside)

TCP (data compared by SHA-256, iperf3, 50 curls at once), UDP echo, DNS with
dig, and ping, over IPv4 and IPv6, at MTU 65520 and 1500. netlab.py draws the
topology.
"""

import errno
import hashlib
import json
import os
import socket
import struct
import subprocess
import threading

from netlab import (FAMILIES, Lab, ROUTER4, ROUTER6, SERVER4, Server, check,
                    echo_udp, expect, expect_below, main, receive, rests,
                    tcp_each, wait_for)

SIZE = 32 << 20
DATA = hashlib.shake_256(b"32 MiB that compress to nothing").digest(SIZE)
DIGEST = hashlib.sha256(DATA).hexdigest()


def digest_of(conn):
    """Reads a stream to its end. Returns its SHA-256."""
    digest = hashlib.sha256()
    while part := conn.recv(1 << 18):
        digest.update(part)
    return digest.hexdigest()


@tcp_each
def take_and_tell(conn):
    """A server that reads a stream to its end, and answers with its SHA-256."""
    conn.sendall(digest_of(conn).encode())


@tcp_each
def give(conn):
    """A server that sends DATA and closes the connection."""
    conn.sendall(DATA)


def tcp_sums(lab, name):
    """Given 32 MiB, when sent in either direction, then they arrive
    unchanged."""
    for family, addr in FAMILIES:
        with check(f"{name} tcp{family} guest to server, 32 MiB"):
            with Server(lab.outside.bind(addr), take_and_tell) as server, \
                    lab.guest.connect(addr, server.port, 60) as s:
                s.sendall(DATA)
                s.shutdown(socket.SHUT_WR)
                expect("SHA-256", receive(s, 64).decode(), DIGEST)
        with check(f"{name} tcp{family} server to guest, 32 MiB"):
            with Server(lab.outside.bind(addr), give) as server, \
                    lab.guest.connect(addr, server.port, 60) as s:
                expect("SHA-256", digest_of(s), DIGEST)


def iperf(lab, addr, *options):
    """Runs iperf3 from the guest. Returns Mbit/s, as the receiver measured."""
    server = lab.outside.spawn("iperf3", "-s", "-1", "-B", addr,
                               stdout=subprocess.DEVNULL)
    try:
        wait_for("iperf3 server", lambda: lab.outside.run(
            "ss", "-Hltn", "sport = 5201").strip())
        out = json.loads(lab.guest.run("iperf3", "-c", addr, "-J", "-t", "1",
                                       *options))
    finally:
        server.kill()
        server.wait()
    if "error" in out:
        raise AssertionError(out["error"])
    return out["end"]["sum_received"]["bits_per_second"] / 1e6


def tcp_iperf(lab, name):
    """Given iperf3, when it runs in either direction, then it has more than
    100 Mbit/s."""
    for family, addr in FAMILIES:
        for way, options in (("out", ()), ("in", ("-R",)),
                             ("in, 4 streams", ("-R", "-P4"))):
            with check(f"{name} iperf3 tcp{family} {way}"):
                expect_below("100 Mbit/s", 100, iperf(lab, addr, *options))


def echo(s, data):
    """Sends a datagram. Returns the reply. Ignores the EMSGSIZE that the socket
    returns first, if the guest was told the path MTU."""
    s.send(data)
    try:
        return s.recv(65536)
    except OSError as e:
        if e.errno != errno.EMSGSIZE:
            raise
        return s.recv(65536)


def udp_echo(lab, name, sizes):
    """Given a UDP echo server, then every size comes back unchanged."""
    for family, addr in FAMILIES:
        with check(f"{name} udp{family} echo"):
            sock = lab.outside.bind(addr, 0, socket.SOCK_DGRAM)
            with Server(sock, echo_udp) as server, \
                    lab.guest.connect(addr, server.port, 5,
                                      socket.SOCK_DGRAM) as s:
                for size in sizes:
                    expect(f"echo of {size} bytes", echo(s, DATA[:size]),
                           DATA[:size])


def dns_answer(query, addr):
    """Makes an answer to a DNS query: always @addr, for any name."""
    end = query.index(b"\0", 12) + 5
    return (query[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, 1, 0, 0) +
            query[12:end] + b"\xc0\x0c" +
            struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(addr))


def dns_udp(addr):
    def answer(sock):
        query, peer = sock.recvfrom(4096)
        sock.sendto(dns_answer(query, addr), peer)
    return answer


def dns_tcp(addr):
    @tcp_each
    def answer(conn):
        size, = struct.unpack("!H", receive(conn, 2))
        reply = dns_answer(receive(conn, size), addr)
        conn.sendall(struct.pack("!H", len(reply)) + reply)
    return answer


def dig(lab, resolver, *options):
    return lab.guest.run("dig", f"@{resolver}", "+short", "+tries=1",
                         "+time=5", *options, "name.example.", "A").strip()


def dns(lab):
    """Given resolvers outside and on the host's loopback, when the guest asks
    either, then it gets the answer."""
    outside, loopback = "192.0.2.53", "192.0.2.54"
    with Server(lab.outside.bind(SERVER4, 53, socket.SOCK_DGRAM),
                dns_udp(outside)), \
            Server(lab.outside.bind(SERVER4, 53), dns_tcp(outside)), \
            Server(lab.host.bind("127.0.0.1", 53, socket.SOCK_DGRAM),
                   dns_udp(loopback)), \
            Server(lab.host.bind("127.0.0.1", 53), dns_tcp(loopback)), \
            Server(lab.host.bind("::1", 53, socket.SOCK_DGRAM),
                   dns_udp(loopback)):
        with check("dns udp, resolver outside"):
            expect("answer", dig(lab, SERVER4), outside)
        with check("dns tcp, resolver outside"):
            expect("answer", dig(lab, SERVER4, "+tcp"), outside)
        with check("dns udp, the gateway's address is the host's loopback"):
            expect("answer", dig(lab, ROUTER4), loopback)
        with check("dns tcp, the gateway's address is the host's loopback"):
            expect("answer", dig(lab, ROUTER4, "+tcp"), loopback)
        with check("dns udp, the IPv6 gateway's is, too"):
            expect("answer", dig(lab, f"{ROUTER6}%tap0"), loopback)
        with check("dns, 200 queries in a row get 200 answers"):
            for _ in range(200):
                with lab.guest.connect(SERVER4, 53, 5,
                                       socket.SOCK_DGRAM) as s:
                    query = os.urandom(2) + b"\1\0\0\1" + bytes(6) + \
                        b"\4name\0\0\1\0\1"
                    s.send(query)
                    expect("identifier", s.recv(512)[:2], query[:2])


def ping(lab):
    """Given peers that answer pings, then the guest gets one reply per
    request."""
    for family, addr in FAMILIES:
        with check(f"ping{family} server"):
            out = lab.guest.run("ping", "-c", "5", "-i", "0.2", "-W", "2",
                                addr)
            if "5 received" not in out or "DUP!" in out:
                raise AssertionError(out)
        with check(f"ping{family} server, 1400 bytes"):
            lab.guest.run("ping", "-c", "2", "-i", "0.2", "-W", "2", "-s",
                          "1400", addr)
    for family, addr in ("4", ROUTER4), ("6", f"{ROUTER6}%tap0"):
        with check(f"ping{family} gateway: the host's loopback answers"):
            lab.guest.run("ping", "-c", "2", "-i", "0.2", "-W", "2", addr)


def curls(lab):
    """Given a web server, when 50 curls fetch 1 MiB at once, then each gets
    it."""
    body = DATA[:1 << 20]

    @tcp_each
    def http(conn):
        request = b""
        while b"\r\n\r\n" not in request:
            request += receive(conn, 1)
        conn.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n"
                     % len(body) + body)
        conn.shutdown(socket.SHUT_WR)
        conn.recv(1)

    for family, addr in FAMILIES:
        with check(f"50 curls at once, tcp{family}"), \
                Server(lab.outside.bind(addr), http) as server:
            host = f"[{addr}]" if ":" in addr else addr
            url = f"http://{host}:{server.port}/"
            running = [lab.guest.spawn("curl", "-sS", "-m", "30", url,
                                       stdout=subprocess.PIPE)
                       for _ in range(50)]
            bodies = []
            readers = [threading.Thread(
                target=lambda p=p: bodies.append(p.communicate()[0]))
                for p in running]
            for r in readers:
                r.start()
            for r in readers:
                r.join()
            expect("exit status of each", [p.returncode for p in running],
                   [0] * 50)
            expect("bodies that are right", bodies.count(body), 50)


def short_connections(lab):
    """Given hundreds of short connections, one after another, then each has its
    answer and its end."""
    for family, addr in FAMILIES:
        with check(f"300 short connections in a row, tcp{family}"):
            @tcp_each
            def hello(conn):
                conn.sendall(conn.recv(100)[::-1])

            with Server(lab.outside.bind(addr), hello) as server:
                for _ in range(300):
                    with lab.guest.connect(addr, server.port) as s:
                        s.sendall(b"olleh")
                        expect("answer", receive(s, 5), b"hello")
                        expect("end", s.recv(1), b"")


def faults(ppm):
    """Options of the stand-in guest: each kind of fault, in each direction,
    hits @ppm of a million frames (T7)."""
    for kind in "drop", "dup", "swap", "corrupt":
        for way in "in", "out":
            yield from (f"--{kind}-{way}", str(ppm))


def story():
    with Lab() as lab:
        passt = lab.passt()
        lab.attach()
        idle = passt.descriptors()
        tcp_sums(lab, "mtu 65520")
        tcp_iperf(lab, "mtu 65520")
        udp_echo(lab, "mtu 65520", (1, 17, 512, 1472, 9000, 60000))
        dns(lab)
        ping(lab)
        curls(lab)
        short_connections(lab)
        with check("at rest after all that"):
            rests(passt)
        with check("TCP sockets are given back"):
            wait_for(f"descriptors back to about {idle}",
                     lambda: passt.descriptors() < idle + 300, 30)

    with Lab() as lab:
        passt = lab.passt("-m", "1500")
        lab.attach(mtu=1500)
        tcp_sums(lab, "mtu 1500")
        tcp_iperf(lab, "mtu 1500")
        udp_echo(lab, "mtu 1500", (1, 512, 1400, 1452))

    with Lab() as lab:
        passt = lab.passt("-m", "1500")
        lab.attach("--offload", mtu=1500)
        tcp_sums(lab, "mtu 1500, offload in the guest")
        tcp_iperf(lab, "mtu 1500, offload in the guest")
        with check("at rest after bulk transfers"):
            rests(passt)

    with Lab() as lab:
        passt = lab.passt("-m", "1500")
        lab.attach(*faults(2000), mtu=1500)
        tcp_sums(lab, "mtu 1500, 0.8 % faults each way")
        with check("at rest after faults"):
            rests(passt)


if __name__ == "__main__":
    main(story)
