# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests of the stream link, where each frame follows its length (4 bytes)."""
import os
import random
import socket
import struct
import time

from lib import packet
from lib.case import Failure, both, main, test
from lib.guest import Guest, fresh_port
from lib.netns import GATEWAY, PEER
from lib.packet import ETH_ARP
from lib.tcp import Conn


def arp_for(g, who=GATEWAY[4]):
    return packet.eth(packet.BROADCAST, g.mac, ETH_ARP, packet.arp(
        1, g.mac, g.addr[4], "00:00:00:00:00:00", who))


def prefixed(frame):
    return struct.pack("!I", len(frame)) + frame


def answers(g, who=GATEWAY[4]):
    g.send_arp(who)
    g.expect(g.is_arp(who), f"ARP reply for {who}")


@test("link")
def a_frame_split_at_any_byte_is_one_frame(w):
    g = w.guest()
    raw = prefixed(arp_for(g))
    for cut in range(1, len(raw)):
        g.send_raw(raw[:cut])
        if cut < 8:
            time.sleep(0.005)
        g.send_raw(raw[cut:])
        g.expect(g.is_arp(GATEWAY[4]), f"reply to a frame cut at {cut}")
    g.silence(g.is_arp(), "one reply for each")


@test("link")
def a_frame_that_comes_byte_by_byte(w):
    g = w.guest()
    for b in prefixed(arp_for(g)):
        g.send_raw(bytes([b]))
        time.sleep(0.001)
    g.expect(g.is_arp(GATEWAY[4]), "ARP reply")


@test("link")
def many_frames_in_one_write_are_all_served_in_order(w):
    g = w.guest()
    who = [f"192.0.2.{i}" for i in range(10, 210)]
    g.send_frames([arp_for(g, a) for a in who])
    for a in who:
        p = g.expect(g.is_arp(), "ARP reply")
        if p.arp.sip != a:
            raise Failure(f"reply for {p.arp.sip}, {a} was next")


@test("link")
def frames_cut_at_random_places_of_one_stream(w):
    g, r = w.guest(), random.Random(1)
    who = [f"192.0.2.{i}" for i in range(10, 210)]
    raw = b"".join(prefixed(arp_for(g, a)) for a in who)
    at = 0
    while at < len(raw):
        n = r.choice((1, 2, 3, 7, 40, 46, 47, 300))
        g.send_raw(raw[at:at + n])
        at += n
    for a in who:
        g.expect(g.is_arp(a), f"ARP reply for {a}")


@test("link")
def replies_wait_for_a_guest_that_reads_late(w):
    """When the socket is full, then frames are not cut or reordered."""
    g = w.guest()
    s = w.udp(4)
    g.send_udp(PEER[4], fresh_port(), s.getsockname()[1], b"hello")
    _, who = s.recvfrom(100)
    for i in range(600):
        s.sendto(struct.pack("!I", i) + bytes(1396), who)
        if i % 20 == 0:
            time.sleep(0.002)
    time.sleep(0.3)
    last, n = -1, 0
    while True:
        p = g.recv(g.is_udp(PEER[4]), 0.3)
        if p is None:
            break
        i, = struct.unpack("!I", p.udp.data[:4])
        if i <= last or len(p.udp.data) != 1400:
            raise Failure(f"datagram {i} after {last}")
        last, n = i, n + 1
    if n < 50:
        raise Failure(f"only {n} datagrams came")
    answers(g)


@test("link")
def a_frame_of_65535_bytes_is_accepted(w):
    """passt drops the frame, as its EtherType is unknown, but keeps the link,
    as its length is legal."""
    g = w.guest()
    g.send_frame(packet.eth(g.passt.mac, g.mac, 0x88b5, bytes(65535 - 14)))
    answers(g)


def impossible(w, raw, what):
    """Given a frame with an impossible length, then passt closes the link, logs
    one line, and serves the next guest."""
    p = w.passt()
    g = w.join(p)
    before = p.log()
    g.send_raw(raw)
    g.expect_eof()
    lines = [x for x in p.log()[len(before):].splitlines() if x.strip()]
    g.close()
    g = w.join(p)
    answers(g)
    g.close()
    # Ignore messages about guests that connect and leave.
    said = [x for x in lines if "length" in x.lower() or
            "frame" in x.lower()]
    if len(said) != 1:
        raise Failure(f"{what}: expected one line that names the length, "
                      f"got {lines}")


@test("link")
def length_zero_closes_the_link_with_one_line(w):
    impossible(w, b"\0\0\0\0", "length 0")


@test("link")
def a_frame_without_a_whole_header_is_dropped(w):
    """Given frames of less than 14 bytes, then passt keeps the link."""
    g = w.guest()
    for n in range(1, 14):
        g.send_raw(struct.pack("!I", n) + bytes(n))
    answers(g)


@test("link")
def huge_length_closes_the_link(w):
    """With length 0, these are as many messages as the rate limit of log.h
    permits."""
    for n in (0x00010100, 0x7fffffff, 0x80000000, 0xffffffff):
        impossible(w, struct.pack("!I", n) + bytes(64), f"length {n}")


@test("link")
def impossible_length_after_good_frames(w):
    p = w.passt()
    g = w.join(p)
    g.send_raw(prefixed(arp_for(g)) * 3 + b"\xff\xff\xff\xff")
    g.expect_eof()
    answers(w.join(p))


@test("link")
def frame_of_headers_only_is_dropped(w):
    """passt drops a frame that has only an Ethernet header, and keeps the
    link."""
    g = w.guest()
    for etype in (0x0800, 0x0806, 0x86dd):
        g.send_frame(packet.eth(g.passt.mac, g.mac, etype, b""))
    answers(g)


@test("link")
def second_client_is_turned_away_and_the_first_served(w):
    g = w.guest()
    for _ in range(5):
        s = w.keep(socket.socket(socket.AF_UNIX))
        s.connect(g.passt.path)
        if s.recv(1) != b"":
            raise Failure("a second client was sent something")
        s.close()
        answers(g)


@test("link")
def second_client_cannot_send_anything(w):
    g = w.guest()
    s = w.keep(socket.socket(socket.AF_UNIX))
    s.connect(g.passt.path)
    try:
        s.sendall(prefixed(arp_for(g, "192.0.2.77")))
        if s.recv(1) != b"":
            raise Failure("a second client was answered")
    except ConnectionError:
        pass
    g.silence(g.is_arp("192.0.2.77"), "the frame was not of this guest")
    answers(g)


@test("link")
def guests_come_and_go_fifty_times(w):
    p = w.passt()
    w.join(p).close()
    time.sleep(0.2)
    before = p.fds()
    for i in range(50):
        g = w.join(p)
        answers(g)
        if i % 3 == 0:          # in the middle of a frame
            g.send_raw(prefixed(arp_for(g))[:20])
        g.close()
    time.sleep(0.2)
    if p.fds() is not None and p.fds() > before:
        raise Failure(f"{p.fds()} descriptors, {before} before")


@test("link")
def the_next_guest_may_come_at_once(w):
    """A restarted qemu may connect before passt has noticed that the previous
    connection has ended."""
    p = w.passt()
    w.join(p).close()
    time.sleep(0.1)
    for i in range(30):
        s = w.keep(socket.socket(socket.AF_UNIX))
        s.connect(p.path)
        g = Guest(p)
        g.sock = s
        try:
            answers(g)
        except (ConnectionError, EOFError):
            raise Failure(f"guest {i} was turned away") from None
        g.send_frames([arp_for(g)] * (i % 3) * 20)
        s.close()


@test("link")
def a_guest_that_leaves_unread_frames_behind(w):
    p = w.passt()
    for _ in range(5):
        g = w.join(p)
        g.send_frames([arp_for(g)] * 500)
        g.close()
    answers(w.join(p))


@test("link")
def flows_of_a_guest_that_left_are_gone(w):
    p = w.passt()
    server = w.server(4)
    g = w.join(p)
    before = p.fds()
    conns = []
    for _ in range(10):
        c = Conn(g, PEER[4], server.getsockname()[1], mss=1460)
        c.connect()
        conns.append(w.accept(server)[0])
    g.close()
    for s in conns:
        try:
            if s.recv(1) != b"":
                raise Failure("data from nowhere")
        except ConnectionResetError:
            pass
    w.join(p)
    if p.fds() is not None and p.fds() > before:
        raise Failure(f"{p.fds()} descriptors, {before} before")


def tagged(frame, *tags):
    """Inserts tags (type, TCI) after the addresses of a frame."""
    return frame[:12] + b"".join(struct.pack("!HH", *t) for t in tags) + \
        frame[12:]


PRIORITY_ONLY = (
    ((0x8100, 0),), ((0x8100, 7 << 13),), ((0x8100, 1 << 12),),
    ((0x88a8, 5 << 13),), ((0x88a8, 0), (0x8100, 3 << 13)))


@test("link")
def a_priority_tag_is_skipped(w):
    """passt accepts a frame with an 802.1Q tag for VLAN 0, which only sets
    a priority. The answer has no tag."""
    g = w.guest()
    for tags in PRIORITY_ONLY:
        g.send_frame(tagged(arp_for(g), *tags))
        g.expect(g.is_arp(GATEWAY[4]), f"ARP reply to {tags}")


@test("link", both)
def a_datagram_with_a_priority_tag_is_forwarded(w, v):
    g, s = w.guest(), w.udp(v)
    port = s.getsockname()[1]
    for tags in PRIORITY_ONLY:
        g.send_frame(tagged(g.udp_frame(PEER[v], fresh_port(), port, b"tag"),
                            *tags))
        data, who = s.recvfrom(100)
        if data != b"tag":
            raise Failure(f"got {data}")
        s.sendto(b"back", who)
        g.expect(lambda p: p.udp and p.udp.data == b"back", "answer")


@test("link", both)
def fragments_with_a_priority_tag_are_reassembled(w, v):
    """They are reassembled even if only some of them have the tag."""
    g, s = w.guest(), w.udp(v)
    whole = packet.udp(g.addr[v], PEER[v], fresh_port(), s.getsockname()[1],
                       bytes(range(200)))
    for first, second in ((True, True), (True, False), (False, True)):
        ident = random.randrange(1, 1 << 16)
        for off, tag in ((0, first), (104, second)):
            part, more = whole[off:off + 104], off == 0
            f = g.frame(PEER[v], packet.UDP, part, ident=ident,
                        frag=more << 13 | off // 8) if v == 4 else \
                g.frame(PEER[v], packet.FRAGMENT, struct.pack(
                    "!BBHI", packet.UDP, 0, off | more, ident) + part)
            g.send_frame(tagged(f, (0x8100, 6 << 13)) if tag else f)
        if s.recv(1000) != bytes(range(200)):
            raise Failure("other bytes than the guest sent")


@test("link")
def a_frame_of_a_vlan_is_dropped_and_counted(w):
    g = w.guest()
    before = g.passt.counter("from_guest_vlan")
    vlans = ((0x8100, 1), (0x8100, 7 << 13 | 4094), (0x88a8, 2),
             (0x8100, 0xfff))
    for tag in vlans:
        g.send_frame(tagged(arp_for(g), tag))
    g.send_frame(tagged(arp_for(g), (0x8100, 0), (0x8100, 9)))
    g.silence(g.is_arp(), "a VLAN is not ours")
    moved = g.passt.counter("from_guest_vlan") - before
    if moved != len(vlans) + 1:
        raise Failure(f"the counter moved by {moved}")


@test("link")
def a_tag_that_is_cut_short_is_dropped(w):
    g = w.guest()
    f = tagged(arp_for(g), (0x8100, 0), (0x8100, 0))
    for n in range(14, 24):
        g.send_frame(f[:n])
    # More tags than headers have space.
    g.send_frame(tagged(arp_for(g), *[(0x8100, 0)] * 100))
    g.silence(g.is_arp(), "no frame was complete")
    answers(g)


MINIMUM = 60            # bytes of a frame on Ethernet, without FCS


@test("link", both)
def no_frame_to_the_guest_is_shorter_than_ethernet_allows(w, v):
    """It tests ARP, the shortest UDP and ICMP packets, and TCP without data
    and with one byte. (packet.py checks that the padding is zero.)"""
    g, s, server = w.guest(), w.udp(v), w.server(v)
    frames = []
    if v == 4:
        g.send_arp("192.0.2.99")
        frames.append(g.expect(g.is_arp(), "ARP reply"))
    for size in (0, 1, 17, 18, 19):
        g.send_udp(PEER[v], 7000 + size, s.getsockname()[1], b"?")
        s.sendto(bytes(size), s.recvfrom(100)[1])
        frames.append(g.expect(lambda p: p.udp and len(p.udp.data) == size,
                               f"datagram of {size} bytes"))
    g.send_echo(PEER[v], 77, 1)
    frames.append(g.expect(lambda p: p.icmp and p.icmp.ident == 77, "reply"))
    c = Conn(g, PEER[v], server.getsockname()[1], mss=1460)
    c.connect()
    peer, _ = w.accept(server)
    peer.sendall(b"x")
    frames.append(g.expect(lambda p: p.tcp and p.tcp.data == b"x", "a byte"))
    g.send_ip(PEER[v], packet.TCP, packet.tcp(
        g.addr[v], PEER[v], fresh_port(), 9, 1, 1, packet.ACK))
    frames.append(g.expect(lambda p: p.tcp and p.tcp.has(packet.RST), "RST"))
    for p in frames:
        if len(p.raw) < MINIMUM:
            raise Failure(f"{len(p.raw)} bytes: {p}")


@test("link")
def garbage_is_dropped_and_the_next_frame_served(w):
    g, r = w.guest(), random.Random(7)
    for _ in range(2000):
        n = r.randrange(14, 200)
        body = bytearray(r.randbytes(n))
        if r.random() < 0.8:
            body[12:14] = struct.pack("!H", r.choice(
                (0x0800, 0x0806, 0x86dd)))
            if n > 14:
                body[14] = r.choice((0x45, 0x46, 0x4f, 0x60, 0x44))
        g.send_raw(prefixed(bytes(body)))
    g.flush()
    answers(g)


@test("link")
def frames_cut_short_anywhere_are_dropped(w):
    """passt drops every prefix of a valid packet of each kind."""
    g = w.guest()
    for v in (4, 6):
        dst = PEER[v]
        for frame in (
                g.udp_frame(dst, 1111, 2222, b"x" * 20),
                g.frame(dst, packet.TCP, packet.tcp(
                    g.addr[v], dst, 1111, 2222, 1, 0, packet.SYN,
                    options=packet.opt_mss(1460)))):
            for n in range(14, len(frame)):
                g.send_raw(prefixed(frame[:n]))
    g.send_raw(b"".join(prefixed(arp_for(g)[:n]) for n in range(14, 42)))
    g.flush()
    answers(g)


@test("link")
def many_bad_frames_make_few_log_lines(w):
    g = w.guest()
    before = len(g.passt.log().splitlines())
    bad = packet.eth(g.passt.mac, g.mac, 0x0800, b"\x45" + bytes(30))
    for _ in range(20):
        g.send_frames([bad] * 100)
    answers(g)
    lines = len(g.passt.log().splitlines()) - before
    if lines > 50:
        raise Failure(f"{lines} lines for 2000 bad frames")


@test("link -1")
def one_off_ends_when_its_guest_leaves(w):
    p = w.start("-1")
    p.wait_ready()
    g = w.join(p)
    answers(g)
    g.close()
    status = p.proc.wait(5)
    if status:
        raise Failure(f"exit status {status}")


@test("link -s")
def a_stale_socket_is_reused(w):
    p = w.start()
    p.wait_ready()
    p.proc.kill()
    p.proc.wait()
    if not os.path.exists(p.path):
        raise Failure("no stale socket to try this with")
    q = w.start(socket_path=p.path)
    q.wait_ready()
    answers(w.join(q))


@test("link -p")
def frames_of_both_directions_are_captured(w):
    cap = f"/tmp/wire.{os.getpid()}.pcap"
    w.undo.append(lambda: os.path.exists(cap) and os.unlink(cap))
    p = w.start("-p", cap)
    p.wait_ready()
    g = w.join(p)
    answers(g, "192.0.2.99")
    p.stop()
    with open(cap, "rb") as f:
        raw = f.read()
    magic, major, _, _, _, snap, linktype = struct.unpack("=IHHiIII",
                                                          raw[:24])
    if magic not in (0xa1b2c3d4, 0xa1b23c4d) or major != 2 or linktype != 1:
        raise Failure(f"pcap header {raw[:24].hex()}")
    at, ops = 24, []
    while at < len(raw):
        _, _, caplen, length = struct.unpack("=IIII", raw[at:at + 16])
        frame = raw[at + 16:at + 16 + caplen]
        if len(frame) != caplen or caplen > length or caplen > snap:
            raise Failure("pcap record cut short")
        if frame[12:14] == b"\x08\x06":
            ops.append((frame[21], packet.ntop(frame[38:42]),
                        packet.ntop(frame[28:32])))
        at += 16 + caplen
    if not any(o == (1, "192.0.2.99", g.addr[4]) for o in ops) or \
            not any(o[0] == 2 and o[2] == "192.0.2.99" for o in ops):
        raise Failure(f"request and reply are not both there: {ops}")


if __name__ == "__main__":
    main()
