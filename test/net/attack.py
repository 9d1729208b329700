#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""attack.py - Attacks by hostile guests and peers that once succeeded.

    raw guest ==socket== passt (host) ---- peers (outside)

Each of these attacks once stopped, misled or crashed an earlier version of
passt, or another program like it. After each one passt must serve as before,
then be idle, and must have told neither side anything that is not true.
"""

import contextlib
import os
import resource
import signal
import socket
import struct
import threading
import time

from netlab import (DEAD4, HOST4, Lab, SERVER4, check, expect,
                    expect_below, main, preload, receive, rests, wait_for)
from rawguest import (ACK, FIN, MASK, OPTIONS, RST, SYN, RawConn, RawGuest,
                      seeds, segment_of, tcp, udp)

PORT = 7777
LOG = 8 << 10           # bytes that passt may log in one story
SPARED = 64             # descriptors that TCP leaves to others
ABORT = struct.pack("ii", 1, 0)         # SO_LINGER: close() is RST

# Makes setsockopt(SO_PEEK_OFF) on TCP sockets fail as before Linux 6.9.
OLD_KERNEL = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>

int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	int (*real)(int, int, int, const void *, socklen_t);

	if (level == SOL_SOCKET && option == SO_PEEK_OFF) {
		errno = EOPNOTSUPP;
		return -1;
	}
	real = dlsym(RTLD_NEXT, "setsockopt");
	return real(fd, level, option, value, len);
}
"""


def old_kernel(lab):
    """Arguments for lab.passt() that simulate a kernel without SO_PEEK_OFF."""
    source = f"{lab.dir}/old.c"
    with open(source, "w") as f:
        f.write(OLD_KERNEL)
    return {"env": preload(lab, source)}


def limited(number, what=resource.RLIMIT_NOFILE):
    """Arguments for lab.passt() that set a resource limit."""
    return {"preexec_fn": lambda: resource.setrlimit(what, (number, number))}


def abort(sock):
    """Closes a connection with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    sock.close()


@contextlib.contextmanager
def connected(lab, guest, buffer=None, **kw):
    """Opens a connection of the guest. Yields the guest's RawConn, and the
    peer's socket."""
    with lab.outside.bind(SERVER4, PORT) as listener:
        if buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        conn = RawConn(guest, SERVER4, PORT, **kw)
        peer, _ = listener.accept()
    peer.settimeout(5)
    with peer:
        yield conn, peer
    conn.send(RST)


@contextlib.contextmanager
def attacked(lab, *options, **kw):
    """Runs passt with a raw guest during a block. Fails unless passt answers
    the guest, is idle, and has closed its sockets after it."""
    passt = lab.passt(*options, **kw)
    idle = passt.descriptors()
    try:
        with RawGuest(lab.socket) as guest:
            guest.answers()
            yield passt, guest
            rests(passt)
            guest.answers()
        wait_for("descriptors", lambda: passt.descriptors() <= idle)
    except BaseException:
        passt.kill()
        print(lab.messages()[-2000:], flush=True)
        raise
    expect("exit status", passt.kill(signal.SIGTERM), 0)
    expect_below("bytes it said", len(lab.messages()), LOG)


#
# Attacks that make passt stop.
#

def tiny_frames(lab):
    """Given more frames at once than one pass takes, then later passes take
    the others."""
    with check("200,000 frames of one byte"), attacked(lab) as (_, guest):
        guest.sock.sendall(b"\0\0\0\1x" * 200000)
        guest.answers()


def sack_round_the_world(lab, kw, name):
    """Given a SACK block of half the sequence space, then passt does not pause.

    A valid block in front of it keeps passt from ignoring the option as old.
    """
    options = b"\x02\x04\x00\x30\x04\x02\x01\x01"      # MSS 48
    with check(f"SACK block of 2 GiB, {name}"), \
            attacked(lab, **kw) as (_, guest), \
            connected(lab, guest, options=options) as (conn, peer):
        peer.sendall(b"x" * 5000)
        conn.receive(lambda s: s.data)
        una = conn.ack
        edges = una + 48, una + 96, una + (1 << 30), una + (3 << 30) - 1
        conn.send(ACK, options=b"\x01\x01\x05\x12" + struct.pack(
            "!4I", *(edge & MASK for edge in edges)))
        expect_below("seconds for an ARP reply", guest.answers(60), 2)


def flooded(lab, guest, passt):
    """Takes every descriptor that TCP may have."""
    for i in range(2000):
        guest.send(tcp(seeds.A4, DEAD4, 1024 + i, 80, SYN, 5,
                       options=OPTIONS))
    guest.answers()
    wait_for("no descriptors", lambda: passt.descriptors() > 256 - SPARED - 8)


def no_descriptors(lab):
    """Given a flood of SYNs to dead addresses, then other flows continue."""
    with check("SYN flood: others go on"), \
            attacked(lab, "-t", "8001", **limited(256)) as (passt, guest), \
            connected(lab, guest) as (conn, peer):
        flooded(lab, guest, passt)
        rests(passt)

        conn.send(ACK, b"still here")
        expect("data", receive(peer, 10), b"still here")
        with lab.outside.bind(SERVER4, 53, socket.SOCK_DGRAM) as server:
            guest.send(udp(seeds.A4, SERVER4, 5353, 53, b"query"))
            expect("query", server.recv(100), b"query")
        for _ in range(50):
            with contextlib.suppress(ConnectionResetError), \
                    lab.outside.connect(HOST4, 8001, 3) as client:
                expect("read", client.recv(1), b"")
        with socket.socket(socket.AF_UNIX) as second:
            second.connect(lab.socket)
            second.settimeout(3)
            expect("read by a second client", second.recv(1), b"")

        for i in range(2000):   # the guest gives up its connections
            guest.send(tcp(seeds.A4, DEAD4, 1024 + i, 80, RST, 6))
        wait_for("descriptors", lambda: passt.descriptors() < 32)


def no_slots(lab):
    """Given pings and datagrams to many addresses, then a TCP connection can
    still be opened."""
    with check("echo and UDP floods: TCP has room"), \
            attacked(lab, **limited(256)) as (_, guest):
        for i in range(10000):
            echo = seeds.icmp(8, struct.pack("!HH", i, 1))
            guest.send(
                seeds.ethernet(0x0800, seeds.ip4(
                    1, echo, dst=f"203.0.{113 + i % 2}.{i % 256}")),
                udp(seeds.A4, SERVER4, 1024 + i, 9))
        guest.answers()
        with connected(lab, guest) as (conn, peer):
            conn.send(ACK, b"room")
            expect("data", receive(peer, 4), b"room")


#
# Attacks that make passt report something that is not true.
#

def fin_of_slow_reader(lab):
    """Given a slow reader that closes its end, then it gets all its data.

    The guest acknowledges the peer's last bytes together with its FIN. passt
    must read those bytes from its socket before it closes it: a socket that is
    closed with unread data sends RST, and the peer would lose data.
    """
    data = os.urandom(30000)
    with check("both FIN, the peer still reads"), \
            attacked(lab) as (_, guest), \
            connected(lab, guest, 4096) as (conn, peer):
        for at in range(0, len(data), 1000):
            conn.send(ACK, data[at:at + 1000], seq=conn.seq + at)
        conn.send(ACK | FIN, seq=conn.seq + len(data))
        conn.seq += len(data) + 1
        conn.receive(lambda s: s.ack == conn.seq)
        peer.sendall(b"done")
        peer.shutdown(socket.SHUT_WR)
        conn.receive(lambda s: s.flags & FIN)
        conn.ack += 5
        conn.send(ACK)
        guest.answers()
        expect("data is what was sent", receive(peer, len(data)) == data, True)
        expect("end", peer.recv(1), b"")


def no_fin(conn):
    """Fails unless the guest was sent RST, and no FIN."""
    conn.receive(lambda s: s.flags & RST)
    expect("FINs", [s for s in conn.segments() if s.flags & FIN], [])


def rst_is_no_fin(lab, kw, name):
    """Given a peer that resets the connection, then the guest gets RST, and no
    FIN before it."""
    with check(f"RST under data, {name}"), \
            attacked(lab, **kw) as (_, guest), \
            connected(lab, guest) as (conn, peer):
        peer.sendall(b"x" * 1000)
        conn.receive(lambda s: s.data)
        abort(peer)
        no_fin(conn)
    with check(f"RST when the socket was full, {name}"), \
            attacked(lab, **kw) as (_, guest), \
            connected(lab, guest, 4096) as (conn, peer):
        for at in range(0, 60000, 64):
            conn.send(ACK, b"x" * 64, seq=conn.seq + at)
        guest.answers()
        peer.sendall(b"x" * 1000)
        conn.receive(lambda s: s.data)
        abort(peer)
        no_fin(conn)


def urgent(lab, kw, name):
    """Given urgent data, then the guest gets it in its place in the stream, and
    passt does not take it for the end.

    On a kernel without SO_PEEK_OFF, passt sees urgent data only after it has
    read all data in front of it.
    """
    with check(f"urgent data, {name}"), \
            attacked(lab, **kw) as (_, guest), \
            connected(lab, guest) as (conn, peer):
        peer.sendall(b"before")
        conn.receive(lambda s: s.data)
        peer.send(b"!", socket.MSG_OOB)
        guest.answers()
        conn.ack += 6
        conn.send(ACK)
        conn.receive(lambda s: s.data.endswith(b"!"))
        conn.ack += 1
        conn.send(ACK)
        peer.sendall(b"after")
        conn.receive(lambda s: s.data == b"after")
        expect("FINs", [s for s in conn.segments() if s.flags & FIN], [])
        peer.send(b"?", socket.MSG_OOB)
        peer.shutdown(socket.SHUT_WR)
        guest.answers()
        conn.ack += 5
        conn.send(ACK)
        last = conn.receive(lambda s: s.data == b"?")
        conn.ack += 1
        conn.send(ACK)
        fin = conn.receive(lambda s: s.flags & FIN)
        expect("FIN", fin.seq + len(fin.data), last.seq + 1)


def guest_without_address(lab):
    """Given a guest that has used no IPv6 address, when a client connects by
    IPv6, then passt sends no segment to the address ::."""
    with check("nothing goes to the address ::"), \
            attacked(lab, "-t", "8001") as (_, guest):
        with contextlib.suppress(OSError), \
                lab.host.connect("::1", 8001, 2) as client:
            client.recv(1)
        expect("segments", [s for s in map(segment_of, list(guest.frames))
                            if s and s.dst == "::"], [])


#
# The link, and the log.
#

def comes_again(lab):
    """Given a guest that reconnects at once, then passt accepts it."""
    passt = lab.passt()
    idle = passt.descriptors()
    with check("a guest that comes again at once is served"):
        frame = seeds.arp(1, "192.0.2.1")
        for _ in range(200):
            with socket.socket(socket.AF_UNIX) as first, \
                    contextlib.suppress(BrokenPipeError):
                first.connect(lab.socket)
                first.sendall(struct.pack("!I", len(frame)) + frame)
            with RawGuest(lab.socket) as guest:
                guest.answers()
    with check("guests that come and go fill no log"):
        expect_below("bytes", len(lab.messages()), LOG)
    with check("guests that come and go leave nothing"):
        wait_for("descriptors", lambda: passt.descriptors() <= idle)
        rests(passt)
    passt.kill()


def no_space_for_log(lab):
    """Given a log file that can't grow, then passt continues without it."""
    with check("log file at RLIMIT_FSIZE"), \
            attacked(lab, "-d", "-l", f"{lab.dir}/log",
                     **limited(4000, resource.RLIMIT_FSIZE)) as (_, guest):
        for i in range(500):
            guest.send(tcp(seeds.A4, SERVER4, 1024 + i, 1, SYN, 5))


def silent_link(lab):
    """Given a guest that reads nothing, then passt drops datagrams to it, and
    still handles signals and new clients."""
    with check("guest reads nothing: others are heard"), \
            attacked(lab, "-u", "8001") as (passt, guest):
        stopped, go_on = threading.Event(), threading.Event()

        def stop(_):
            stopped.set()
            go_on.wait(30)
        keep, guest.hook = guest.hook, stop
        guest.send(seeds.arp(1, "192.0.2.1"))
        stopped.wait(5)
        with lab.outside.connect(HOST4, 8001, 1, socket.SOCK_DGRAM) as s:
            for _ in range(20000):
                s.send(b"x" * 1400)
        rests(passt)
        os.kill(passt.pid, signal.SIGUSR1)
        wait_for("counters", lambda: "counters" in lab.messages(), 3)
        with socket.socket(socket.AF_UNIX) as second:
            second.connect(lab.socket)
            second.settimeout(3)
            expect("read by a second client", second.recv(1), b"")
        guest.hook = keep
        go_on.set()
        time.sleep(0.5)


def story():
    with Lab() as lab:
        kernels = [({}, "this kernel")]
        with check("an old kernel can be had"):
            kernels.append((old_kernel(lab), "old kernel"))
        for kw, name in kernels:
            sack_round_the_world(lab, kw, name)
            rst_is_no_fin(lab, kw, name)
            urgent(lab, kw, name)
        for part in (tiny_frames, no_descriptors, no_slots,
                     fin_of_slow_reader, guest_without_address, comes_again,
                     no_space_for_log, silent_link):
            part(lab)


if __name__ == "__main__":
    main(story)
