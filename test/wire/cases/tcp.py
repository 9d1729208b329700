# SPDX-License-Identifier: AGPL-3.0-or-later
"""
Tests of TCP that need several flows, statistics, or measurements of time. All
others are in scripts/.
"""
import hashlib
import random
import socket
import struct
import time

from lib import packet, tcp
from lib.case import Failure, both, main, test
from lib.guest import fresh_port
from lib.netns import GATEWAY, PEER, PEER2
from lib.packet import ACK, FIN, PSH, RST, SYN, TCP
from lib.passt import SLOW
from lib.tcp import Conn, diff32


def open_flow(w, v, g=None, rcvbuf=None, peer=None, **kw):
    """Opens a connection. Returns guest, Conn, and the peer's socket."""
    g = g or w.guest()
    server = w.server(v, addr=peer, rcvbuf=rcvbuf)
    c = Conn(g, peer or PEER[v], server.getsockname()[1],
             mss=kw.pop("mss", 1460), **kw)
    c.connect()
    s, _ = w.accept(server)
    return g, c, s


# --- T1

@test("T1", both)
def an_address_that_can_be_no_peer_does_no_harm(w, v):
    """passt survives SYNs to multicast, broadcast, loopback and unspecified
    addresses (RFC 9293 3.9.2.3)."""
    g = w.guest()
    local = w.server(v, {4: "127.0.0.1", 6: "::1"}[v], where=w.net.host)
    port = local.getsockname()[1]
    local.settimeout(0.5)
    for dst in {4: ("127.0.0.1", "127.9.9.9", "224.0.0.1", "239.1.1.1",
                    "255.255.255.255", "0.0.0.0", "192.0.2.255"),
                6: ("::1", "ff02::1", "ff05::2", "::",
                    "::ffff:127.0.0.1")}[v]:
        c = Conn(g, dst, port, mss=1460, addr=g.addr[v])
        c.syn()
        p = g.recv(c.mine, 0.15)
        if p and p.tcp.flags & SYN:
            raise Failure(f"SYN-ACK from {dst}")
    try:
        local.accept()
        raise Failure("the host's loopback was reached")
    except TimeoutError:
        pass
    Conn(g, GATEWAY[v], port, mss=1460).connect()


@test("T1", both)
def many_connections_at_once(w, v):
    g = w.guest()
    server = w.server(v, backlog=300)
    port = server.getsockname()[1]
    conns = [Conn(g, PEER[v], port, mss=1460) for _ in range(200)]
    for c in conns:
        c.syn()
    for c in conns:
        c.expect(SYN | ACK, seq=0, ack=1)
        c.send(ACK)
    peers = {}
    for _ in conns:
        s, who = w.accept(server)
        peers[who[1]] = s
    for i, c in enumerate(conns):
        c.send(ACK | PSH, data=b"flow %3d" % i)
    for s in peers.values():
        s.sendall(s.recv(100))
    for i, c in enumerate(conns):
        if c.read(8) != b"flow %3d" % i:
            raise Failure(f"flow {i} got {c.got}")


# --- T3

@test("T3", both)
def initial_numbers_differ_by_tuple_and_grow_with_time(w, v):
    """RFC 6528 3: ISN = M + F(addresses, ports, secret)"""
    g = w.guest()
    server = w.server(v, backlog=100)
    port = server.getsockname()[1]

    def isn(sport):
        c = Conn(g, PEER[v], port, port=sport, mss=1460)
        c.syn()
        c.expect(SYN | ACK, ack=1)
        c.send(RST, seq=1)
        return c.irs, time.monotonic()

    ports = [fresh_port() for _ in range(20)]
    first = [isn(p)[0] for p in ports]
    gaps = [abs(diff32(a, b)) for a, b in zip(first, first[1:])]
    if sum(gap < 1 << 22 for gap in gaps) > 4:
        raise Failure(f"numbers of other flows are near: {first[:5]}")
    # The same flow again: M has grown by 250,000 per second, F is the same.
    same = fresh_port()
    a, then = isn(same)
    time.sleep(0.3)
    b, now = isn(same)
    grown = diff32(b, a) / (now - then)
    if not 50_000 < grown < 1_000_000:
        raise Failure(f"grew by {grown:.0f} a second, about 250,000 wanted")


@test("T3", both)
def initial_numbers_do_not_survive_a_restart(w, v):
    """passt has a new random secret after each start."""
    seen = set()
    sport, server = fresh_port(), w.server(v)
    for _ in range(2):
        p = w.start()
        p.wait_ready()
        g = w.join(p)
        c = Conn(g, PEER[v], server.getsockname()[1], port=sport, mss=1460)
        c.syn()
        c.expect(SYN | ACK)
        seen.add(c.irs >> 21)
        g.close()
        p.stop()
    if len(seen) != 2:
        raise Failure("the same number after a restart")


@test("T3", both)
def a_megabyte_each_way_across_the_wrap(w, v):
    g, c, s = open_flow(w, v, iss=0xfffc0000, wscale=7, win=65535)
    data = tcp.stream(0, 1 << 20)
    got = bytearray()
    s.setblocking(False)

    def sink():
        try:
            while True:
                b = s.recv(1 << 20)
                if not b:
                    return
                got.extend(b)
        except BlockingIOError:
            pass

    at = 0
    while at < len(data):
        c.write(data[at:at + 30000])
        at += 30000
        sink()
    s.settimeout(5)
    while len(got) < len(data):
        got.extend(s.recv(1 << 20))
    if got != data:
        raise Failure("other bytes arrived")
    c.win = 1 << 20
    c.send(ACK)
    s.settimeout(5)
    for at in range(0, len(data), 65536):
        s.sendall(data[at:at + 65536])
        c.read(min(65536, len(data) - at))
    if bytes(c.got) != data:
        raise Failure("other bytes reached the guest")


# --- T4

def challenges(w, v, make):
    """Sends 3,000 segments within about a second. Returns the number of
    answers.

    @make: makes segment i
    """
    g, c, s = open_flow(w, v)
    frames = [make(c, i) for i in range(3000)]
    for i in range(0, 3000, 100):
        g.send_frames(frames[i:i + 100])
    n = 0
    while True:
        t = c.recv(0.2)
        if t is None:
            break
        if t.flags & RST:
            raise Failure("the flow was reset")
        n += 1
    time.sleep(1)
    c.drain()
    c.send(ACK | PSH, seq=1, data=b"still here")
    c.snd_nxt = c.snd_max = 11
    s.settimeout(5)
    if s.recv(100) != b"still here":
        raise Failure("the flow is broken")
    return n


@test("T4", both)
def challenges_to_rst_are_limited(w, v):
    """RFC 5961 7"""
    n = challenges(w, v, lambda c, i: c.segment(RST, seq=2 + i))
    if not 0 < n < 1500:
        raise Failure(f"{n} challenges for 3000 segments")


@test("T4", both)
def challenges_to_syn_are_limited(w, v):
    def make(c, i):
        f = c.segment(SYN, seq=100 + i)
        c.snd_nxt, c.snd_max = 1, 4000
        return f
    n = challenges(w, v, make)
    if not 0 < n < 1500:
        raise Failure(f"{n} challenges for 3000 segments")


@test("T4", both)
def a_blind_rst_across_the_window_hits_only_one_number(w, v):
    """A RST with any number but RCV.NXT does not reset the connection (RFC 5961
    3)."""
    g, c, s = open_flow(w, v)
    r = random.Random(5)
    for _ in range(5):
        g.send_frames([c.segment(RST, seq=r.choice(
            (r.randrange(2, 60000), r.randrange(1 << 32) or 2)))
            for _ in range(100)])
    c.drain()
    c.send(ACK | PSH, seq=1, data=b"x")
    if s.recv(10) != b"x":
        raise Failure("no data")


@test("T4", both)
def garbage_in_an_open_flow(w, v):
    """Given segments with random flags, numbers and options, then passt
    survives, even if the flow does not."""
    g, c, s = open_flow(w, v)
    c.strict = False
    r = random.Random(v)
    for _ in range(20):
        g.send_frames([c.segment(
            r.randrange(256), seq=r.choice((1, 5, 70000, r.getrandbits(32))),
            ack=r.choice((0, 1, 2, r.getrandbits(32))),
            data=r.randbytes(r.choice((0, 1, 100))),
            options=r.randbytes(r.choice((0, 4, 12, 40))),
            win=r.randrange(65536), urg=r.randrange(65536))
            for _ in range(50)])
    g.flush()
    open_flow(w, v, g)


# --- T5

@test("T5", both)
def random_segments_of_a_stream_assemble(w, v):
    """Given segments in any order, with overlaps and losses, then the peer gets
    the right stream."""
    g, c, s = open_flow(w, v, iss=0xffffc000)
    r, size = random.Random(11), 60000
    data = tcp.stream(0, size)
    una = 1
    s.setblocking(False)
    got = bytearray()
    end = time.monotonic() + 20 * SLOW
    while una <= size:
        if time.monotonic() > end:
            raise Failure(f"acknowledged only to {una}")
        frames = []
        for _ in range(r.randrange(1, 12)):
            at = max(1, una + r.randrange(-2000, 4000))
            n = min(r.randrange(1, 1460), size + 1 - at,
                    c.their_edge - at)
            if n > 0:
                frames.append(c.segment(ACK, seq=at,
                                        data=data[at - 1:at - 1 + n]))
        n = min(700, size + 1 - una, c.their_edge - una)
        if n > 0 and r.random() < 0.5:
            frames.append(c.segment(ACK, seq=una,
                                    data=data[una - 1:una - 1 + n]))
        if frames:
            g.send_frames(frames)
        while True:
            t = c.recv(0.005)
            if t is None:
                break
            una = max(una, t.rack)
        try:
            got += s.recv(1 << 20)
        except BlockingIOError:
            pass
    s.settimeout(5)
    while len(got) < size:
        got += s.recv(1 << 20)
    if got != data:
        raise Failure("other bytes arrived")


@test("T5", both)
def nothing_is_acknowledged_that_the_peer_cannot_get(w, v):
    """
    Given a peer that does not read for a long time, when it reads at last, then
    it gets all data that passt has acknowledged.
    """
    g, c, s = open_flow(w, v, rcvbuf=4096)
    una = fill(c, 8 << 20)
    got = 0
    while got < una - 1:
        data = s.recv(1 << 16)
        if data != tcp.stream(got, got + len(data)):
            raise Failure(f"other bytes at {got}")
        got += len(data)


def fill(c, most, quiet=1.0):
    """
    Sends data as the window permits, also again if they are not acknowledged,
    until there is no progress. Returns the last number that was acknowledged.
    """
    una, idle = c.snd_nxt, time.monotonic()
    while time.monotonic() - idle < quiet * SLOW:
        frames = []
        while c.snd_nxt < c.their_edge and len(frames) < 30 and \
                c.snd_nxt < most:
            n = min(1460, c.their_edge - c.snd_nxt)
            frames.append(c.segment(ACK, data=tcp.stream(
                c.snd_nxt - 1, c.snd_nxt - 1 + n)))
        if frames:
            c.g.send_frames(frames)
        t = c.recv(0.2)
        if t is None and una < c.snd_nxt:
            c.snd_nxt = una
        elif t is not None and t.rack > una:
            una, idle = t.rack, time.monotonic()
        if una >= most:
            break
    c.last_room = t.room if t else None
    return una


@test("T5", both)
def what_is_kept_ahead_of_gaps_is_bounded(w, v):
    """All flows together may have 64 MiB of data out of order
    (doc/design.md)."""
    g = w.guest()
    server = w.server(v, backlog=200)
    before, conns = g.passt.rss(), []
    for _ in range(100):
        c = Conn(g, PEER[v], server.getsockname()[1], mss=65000, wscale=10)
        c.connect()
        conns.append(c)
        edge = min(c.their_edge, 2 << 20)
        for at in range(2, edge, 60000):
            g.send_frame(c.segment(ACK, seq=at, data=tcp.stream(
                at - 1, min(at - 1 + 60000, edge - 1))))
    g.flush()
    if g.passt.rss() - before > 70 << 10:
        raise Failure(f"{(g.passt.rss() - before) >> 10} MiB are kept")
    for c in conns:
        c.send(RST, seq=1)
    open_flow(w, v, g)


# --- T6

@test("T6", both)
def a_peer_that_does_not_read_closes_the_window(w, v):
    """The window closes. (Conn checks that its right edge never moves left.)"""
    g, c, s = open_flow(w, v, rcvbuf=8192, wscale=7)
    una = fill(c, 16 << 20)
    if una >= 16 << 20:
        raise Failure("16 MiB were acknowledged that nobody read")
    c.drain()
    # The keep-alive makes passt send an ACK, which shows the present window.
    c.send(ACK, seq=una - 1)
    t = c.expect(ACK)
    if t.room > 1 << 20:
        raise Failure(f"a window of {t.room} for a peer that does not read")
    if t.rack + t.room > una + (1 << 20):
        raise Failure("the window is far open")


@test("T6", both)
def an_opening_window_is_told_at_once(w, v):
    """When the peer reads, then passt sends an ACK with the open window,
    without a segment from the guest."""
    g, c, s = open_flow(w, v, rcvbuf=8192, wscale=7)
    una = fill(c, 16 << 20)
    c.drain()
    edge = c.their_edge
    got, deadline = 0, time.monotonic() + 10 * SLOW
    s.settimeout(1)
    while got < una - 1 and time.monotonic() < deadline:
        got += len(s.recv(1 << 20))
    t = c.recv(0.5 * SLOW)
    while t is not None and t.rack + t.room <= edge:
        t = c.recv(0.5 * SLOW)
    if t is None:
        raise Failure(f"no ACK that opens the window beyond {edge}")
    before = c.snd_nxt
    c.write(tcp.stream(before - 1, before + 4999))
    while got < before + 4999:
        data = s.recv(1 << 20)
        if not data:
            raise Failure("EOF")
        got += len(data)


@test("T6", both)
def one_stuck_peer_does_not_hold_up_another(w, v):
    g, c, s = open_flow(w, v, rcvbuf=8192)
    fill(c, 16 << 20, quiet=0.5)
    g, c2, s2 = open_flow(w, v, g)
    began = time.monotonic()
    for i in range(20):
        c2.write(b"ping%04d" % i)
        if s2.recv(8) != b"ping%04d" % i:
            raise Failure("other bytes")
    if time.monotonic() - began > 2 * SLOW:
        raise Failure(f"20 exchanges took {time.monotonic() - began:.1f} s")


@test("T6", both)
def a_stuck_peer_costs_no_processor_time(w, v):
    g, c, s = open_flow(w, v, rcvbuf=8192)
    fill(c, 16 << 20, quiet=0.5)
    before = g.passt.cpu()
    time.sleep(1)
    if g.passt.cpu() - before > 0.1:
        raise Failure(f"{g.passt.cpu() - before:.2f} s in a second")


# --- T7

def transmissions(c, seconds):
    """Returns the times at which data come during @seconds. The guest sends no
    ACK."""
    end, out = time.monotonic() + seconds, []
    while True:
        t = c.recv(max(end - time.monotonic(), 0))
        if t is None:
            return out
        if t.data or t.flags & FIN:
            out.append(time.monotonic())


@test("T7", both)
def timeouts_back_off(w, v):
    """Each timeout is twice as long as the one before (RFC 6298 5.5)."""
    g, c, s = open_flow(w, v)
    s.sendall(b"x" * 100)
    at = transmissions(c, 8)
    gaps = [b - a for a, b in zip(at, at[1:])]
    if len(gaps) < 2:
        raise Failure(f"only {len(at)} transmissions in 8 s")
    for a, b in zip(gaps, gaps[1:]):
        if b < 1.5 * a:
            raise Failure(f"gaps {[round(x, 2) for x in gaps]}")
    if gaps[0] > 3:
        raise Failure(f"the first timeout took {gaps[0]:.1f} s")
    c.send(ACK, ack=101)
    s.sendall(b"y")
    if c.read(1)[100:] != b"y":
        raise Failure("the flow does not go on")


@test("T7", both)
def two_losses_in_one_window(w, v):
    """Given two lost segments and a guest that acknowledges as a real one does,
    then it gets all data soon."""
    g, c, s = open_flow(w, v, mss=1000, win=30000)
    s.sendall(tcp.stream(0, 100000))
    lost, have, nxt = {5001, 9001}, {}, 1
    began = time.monotonic()
    while nxt <= 100000:
        t = c.recv(5 * SLOW)
        if t is None:
            raise Failure(f"stuck at {nxt}")
        if not t.data:
            continue
        if t.rseq in lost:
            lost.remove(t.rseq)
            continue
        have[t.rseq] = t.rseq + len(t.data)
        while any(a <= nxt < b for a, b in have.items()):
            nxt = max(b for a, b in have.items() if a <= nxt < b)
            have = {a: b for a, b in have.items() if b > nxt}
        c.send(ACK, ack=nxt)
    took = time.monotonic() - began
    if took > 6 * SLOW:
        raise Failure(f"took {took:.1f} s")


@test("T7", both)
def every_tenth_segment_lost(w, v):
    """Given random losses of 10 %, then a guest that acknowledges each segment
    gets all data."""
    g, c, s = open_flow(w, v, mss=1000, win=20000)
    size, r = 60000, random.Random(3)
    s.sendall(tcp.stream(0, size))
    have, nxt = {}, 1
    end = time.monotonic() + 60 * SLOW
    while nxt <= size:
        t = c.recv(max(end - time.monotonic(), 0))
        if t is None:
            raise Failure(f"stuck at {nxt}")
        if not t.data or r.random() < 0.1:
            continue
        have[t.rseq] = max(have.get(t.rseq, 0), t.rseq + len(t.data))
        while any(a <= nxt < b for a, b in have.items()):
            nxt = max(b for a, b in have.items() if a <= nxt < b)
            have = {a: b for a, b in have.items() if b > nxt}
        c.send(ACK, ack=nxt)


@test("T7", both)
def retransmission_does_not_follow_a_window_that_was_cut(w, v):
    """Given duplicate ACKs, then passt sends the first segment again, and then
    new data in order."""
    g, c, s = open_flow(w, v, mss=1000, win=10000)
    s.sendall(tcp.stream(0, 8000))
    seen = 0
    while seen < 8000:
        seen += len(c.expect(ACK).data)
    c.win = 10000
    g.send_frames([c.segment(ACK, ack=1) for _ in range(10)])
    first = c.expect(ACK, timeout=1 * SLOW)
    if first.rseq != 1:
        raise Failure(f"sent again from {first.rseq}")
    c.send(ACK, ack=8001)
    s.sendall(tcp.stream(8000, 9000))
    while c.expect(ACK).rseq < 8001:
        pass


# --- T8

@test("T8", both)
def probes_of_a_closed_window_back_off(w, v):
    """RFC 9293 3.8.6.1"""
    g, c, s = open_flow(w, v)
    c.win = 0
    c.send(ACK)
    s.sendall(b"x" * 100)
    at, end = [time.monotonic()], time.monotonic() + 9
    while time.monotonic() < end:
        t = c.recv(max(end - time.monotonic(), 0))
        if t is not None:
            at.append(time.monotonic())
            c.send(ACK, ack=1, win=0)
    gaps = [b - a for a, b in zip(at, at[1:])]
    if len(gaps) < 3:
        raise Failure(f"only {len(gaps)} probes in 9 s")
    if len(gaps) > 20 or gaps[-1] < 1.5 * gaps[1]:
        raise Failure(f"gaps {[round(x, 2) for x in gaps]}")
    c.win = 65535
    c.send(ACK, ack=1)
    began = time.monotonic()
    if c.read(100) != b"x" * 100:
        raise Failure("other bytes")
    if time.monotonic() - began > 0.3 * SLOW:
        raise Failure("no immediate resume")


# --- T9

@test("T9", both)
def a_guest_that_does_not_read_stops_the_sender(w, v):
    """Given a guest whose window stays closed, then the peer can't send more
    than a bounded amount, and passt's memory does not grow."""
    g, c, s = open_flow(w, v)
    before = g.passt.rss()
    c.win = 0
    c.send(ACK)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    s.setblocking(False)
    sent, end = 0, time.monotonic() + 1.5
    while time.monotonic() < end and sent < 64 << 20:
        try:
            sent += s.send(bytes(65536))
        except BlockingIOError:
            time.sleep(0.05)
    if sent > 16 << 20:
        raise Failure(f"{sent >> 20} MiB were taken for nobody")
    if g.passt.rss() - before > 4096:
        raise Failure(f"{g.passt.rss() - before} KiB more memory")
    c.win = 60000
    c.send(ACK)
    c.read(sent, timeout=20)


@test("T9", both)
def a_link_that_is_not_read_stops_the_sender(w, v):
    """Given a guest that does not read its link, then no data are lost, passt
    uses no CPU, and its memory is bounded."""
    g, c, s = open_flow(w, v, wscale=10, win=60 << 20)
    before = g.passt.rss()
    c.win = 60 << 20
    c.send(ACK)
    s.setblocking(False)
    sent, end = 0, time.monotonic() + 1.5
    while time.monotonic() < end:
        try:
            sent += s.send(tcp.stream(sent, sent + 65536))
        except BlockingIOError:
            time.sleep(0.05)
    cpu = g.passt.cpu()
    time.sleep(1)
    if g.passt.cpu() - cpu > 0.1:
        raise Failure("processor time goes by")
    if sent > 24 << 20:
        raise Failure(f"{sent >> 20} MiB were taken for nobody")
    if g.passt.rss() - before > 8192:
        raise Failure(f"{g.passt.rss() - before} KiB more memory")
    if c.read(sent, timeout=20) != tcp.stream(0, sent):
        raise Failure("other bytes")


# --- T10, T11

def timer_of(v, peer, port):
    """The type of the timer that the host's kernel has for the socket to the
    peer, from /proc/net/tcp: 2 is keep-alive."""
    want = packet.pton(peer)
    with open(f"/proc/net/tcp{'6' if v == 6 else ''}") as f:
        for line in f.readlines()[1:]:
            words = line.split()
            addr, rport = words[2].split(":")
            raw = b"".join(bytes.fromhex(addr[i:i + 8])[::-1]
                           for i in range(0, len(addr), 8))
            if raw == want and int(rport, 16) == port:
                return int(words[5].split(":")[0], 16)
    raise Failure("the host has no such connection")


@test("T10", both)
def the_guests_keep_alive_turns_on_ours(w, v):
    """When the guest sends a keep-alive, then passt sets SO_KEEPALIVE on its
    socket, because the guest wants to know whether the peer is alive."""
    g, c, s = open_flow(w, v)
    c.write(b"x")
    s.recv(1)
    port = s.getsockname()[1]
    time.sleep(0.3)         # until the ACK of the byte has ended its timer
    c.send(ACK, seq=c.snd_nxt - 1)
    c.expect(ACK, ack=2)
    time.sleep(0.1)
    if timer_of(v, PEER[v], port) != 2:
        raise Failure("SO_KEEPALIVE is off outside")


@test("T10", both)
def half_closed_and_idle_costs_no_processor_time(w, v):
    """When one end has closed and the other has not, then passt uses no
    CPU."""
    g, c, s = open_flow(w, v)
    s.shutdown(socket.SHUT_WR)
    c.expect(FIN | ACK)
    c.send(ACK)
    before = g.passt.cpu()
    time.sleep(1)
    if g.passt.cpu() - before > 0.05:
        raise Failure(f"{g.passt.cpu() - before:.2f} s in a second")
    g, c, s = open_flow(w, v, g)
    c.send(FIN | ACK)
    if s.recv(1) != b"":
        raise Failure("no EOF")
    before = g.passt.cpu()
    time.sleep(1)
    if g.passt.cpu() - before > 0.05:
        raise Failure(f"{g.passt.cpu() - before:.2f} s in a second")


@test("T10", both)
def descriptors_come_back_after_every_kind_of_end(w, v):
    g = w.guest()
    open_flow(w, v, g)
    before = g.passt.fds()
    for i in range(40):
        _, c, s = open_flow(w, v, g)
        if i % 4 == 0:
            s.close()
            c.expect(FIN | ACK)
            c.send(FIN | ACK)
            c.expect(ACK, ack=2)
        elif i % 4 == 1:
            c.send(FIN | ACK)
            s.recv(1)
            s.close()
            c.expect(FIN | ACK)
            c.send(ACK)
        elif i % 4 == 2:
            c.send(RST, seq=1)
        else:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         struct.pack("ii", 1, 0))
            s.close()
            c.expect(RST | ACK)
    time.sleep(0.5)
    if g.passt.fds() is not None and g.passt.fds() > before:
        raise Failure(f"{g.passt.fds()} descriptors, {before} before")


@test("T11", both)
def reset_with_data_unread_on_both_sides(w, v):
    g, c, s = open_flow(w, v)
    c.send(ACK, data=b"x" * 1000)
    c.expect(ACK, ack=1001)
    s.sendall(b"y" * 1000)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    while True:
        t = c.recv()
        if t is None:
            raise Failure("no RST")
        if t.flags & RST:
            break


# --- T12

@test("T12", both)
def the_mss_we_announce_follows_the_mtu(w, v):
    """The MSS is the MTU minus 40, or minus 60 with IPv6 (RFC 9293 3.7.1)."""
    for mtu in (1280, 1500, 9000):
        p = w.start("-m", str(mtu))
        p.wait_ready()
        g = w.join(p)
        server = w.server(v)
        c = Conn(g, PEER[v], server.getsockname()[1], mss=65480)
        t = c.connect()
        want = mtu - {4: 40, 6: 60}[v]
        if t.mss != want:
            raise Failure(f"MSS {t.mss} for an MTU of {mtu}, not {want}")
        g.close()
        p.stop()


@test("T12", both)
def no_packet_is_larger_than_the_mtu(w, v):
    """This holds even if the guest announces a larger MSS."""
    g = w.guest("-m", "1500")
    _, c, s = open_flow(w, v, g, mss=65000)
    s.sendall(bytes(100000))
    n = 0
    while n < 100000 - 65535:
        p = g.expect(c.mine, "data")
        n += len(p.tcp.data)
        if len(p.raw) - 14 > 1500:
            raise Failure(f"packet of {len(p.raw) - 14} bytes")


# --- T13

@test("T13", both)
def acks_are_few_while_data_streams(w, v):
    g, c, s = open_flow(w, v, wscale=7)
    data, sent, acks = tcp.stream(0, 400000), 0, 0
    frames = 0
    while c.snd_nxt <= len(data):
        batch = []
        while len(batch) < 40 and c.snd_nxt <= len(data) and \
                c.snd_nxt + 1460 < c.their_edge:
            at = c.snd_nxt - 1
            batch.append(c.segment(ACK, data=data[at:at + 1460]))
        frames += len(batch)
        if batch:
            g.send_frames(batch)
        t = c.recv(1 * SLOW)
        acks += t is not None
        while sent < len(data):
            s.setblocking(False)
            try:
                sent += len(s.recv(1 << 20))
            except BlockingIOError:
                break
        if t is None:
            raise Failure("no ACK for a second")
    while c.recv(0.2):
        acks += 1
    if acks > frames / 3:
        raise Failure(f"{acks} ACKs for {frames} segments")


@test("T13", both)
def order_of_two_flows_in_one_write(w, v):
    """Given one write with segments of two flows in turn, then both streams
    arrive unchanged."""
    g, a, sa = open_flow(w, v)
    _, b, sb = open_flow(w, v, g, peer=PEER2[v])
    frames = []
    for i in range(50):
        frames.append(a.segment(ACK, data=tcp.stream(i * 200, i * 200 + 200)))
        frames.append(b.segment(ACK, data=tcp.stream(i * 300, i * 300 + 300)))
    g.send_frames(frames)
    for c, s, n in ((a, sa, 10000), (b, sb, 15000)):
        h, got = hashlib.sha256(), 0
        while got < n:
            data = s.recv(1 << 16)
            h.update(data)
            got += len(data)
        if h.digest() != hashlib.sha256(tcp.stream(0, n)).digest():
            raise Failure("other bytes")
        c.expect(ACK, ack=n + 1)


@test("TCP", both)
def no_tcp_is_silence(w, v):
    g = w.guest("--no-tcp")
    server = w.server(v)
    c = Conn(g, PEER[v], server.getsockname()[1], mss=1460)
    c.syn()
    c.silence(0.5, "TCP is off")
    c.send(ACK, seq=1, ack=1)
    c.silence(0.3, "TCP is off")


# What programs write that tell their peer an address or a port. Some NATs
# rewrite it.
ADDRESSES = {
    21: b"PORT 192,0,2,15,4,1\r\nEPRT |1|192.0.2.15|1025|\r\n",
    113: b"1025 , 6667\r\n",
    514: b"1023\0",
    554: b"SETUP rtsp://x/ RTSP/1.0\r\nTransport: client_port=1-65535\r\n",
    1720: b"\3\0\0\x0c\2\0\0\0\x0a\0\2\x0f",
    5060: b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.15:1025\r\n",
    6667: b"PRIVMSG a :\1DCC CHAT chat 3221225999 1025\1\r\n"
          b"PRIVMSG a :\1DCC SEND %s 3221225999 1 99999999999999999999\1\r\n",
    7070: b"PNA\0\x0a\0\0\1\0\2\4\1\0\0" + b"R" * 100,
}


@test("TCP", both)
def no_port_is_special(w, v):
    """passt does not read what a connection carries, whatever its port."""
    g = w.guest()
    for port, text in ADDRESSES.items():
        server = w.server(v, port=port)
        c = Conn(g, PEER[v], port, mss=1460)
        c.connect()
        s, _ = w.accept(server)
        c.send(ACK | PSH, data=text)
        s.sendall(s.recv(1000) + b"!")
        if c.read(len(text) + 1) != text + b"!":
            raise Failure(f"port {port}: {c.got}")
        server.close()


@test("TCP", both)
def lone_fragments_of_segments_are_not_delivered(w, v):
    """U6 holds for TCP, too."""
    g = w.guest()
    server = w.server(v)
    port, sport = server.getsockname()[1], fresh_port()
    seg = packet.tcp(g.addr[v], PEER[v], sport, port, 1, 0, SYN)
    if v == 4:
        g.send_ip(PEER[4], TCP, seg, frag=0x2000)
        g.send_ip(PEER[4], TCP, seg, frag=0x0001)
    else:
        g.send_ip(PEER[6], 44, bytes([TCP, 0, 0, 1, 0, 0, 0, 1]) + seg)
        g.send_ip(PEER[6], 44, bytes([TCP, 0, 0, 9, 0, 0, 0, 1]) + seg)
    g.silence(lambda p: p.tcp and p.tcp.dport == sport,
              "fragments are dropped")


if __name__ == "__main__":
    main()
