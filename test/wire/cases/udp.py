# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests of UDP (doc/design.md: U1 to U8)."""
import socket
import struct
import time

from lib import packet
from lib.case import Failure, both, hears_nothing, main, only4, test
from lib.guest import fresh_port
from lib.netns import DEAD, GATEWAY, HOST, LOOPBACK, PEER, PEER2
from lib.packet import UDP


def port_of(s):
    return s.getsockname()[1]


def say(g, s, v, text, sport, dst=None, **kw):
    """Sends a datagram of the guest to a peer. Returns the source that the peer
    sees."""
    g.send_udp(dst or PEER[v], sport, port_of(s), text, **kw)
    data, who = s.recvfrom(65536)
    if data != text:
        raise Failure(f"the peer got {data[:40]!r}")
    return who


def answer(g, s, v, text, who, sport, src=None):
    s.sendto(text, who)
    p = g.expect(g.is_udp(src or PEER[v], port_of(s), sport), "the answer")
    if p.udp.data != text or p.dst != g.addr[v]:
        raise Failure(f"the guest got {p}")
    return p


@test("U1", both)
def a_datagram_and_its_answer(w, v):
    g, s, me = w.guest(), w.udp(v), fresh_port()
    who = say(g, s, v, b"question", me)
    answer(g, s, v, b"answer", who, me)


@test("U1", both)
def the_source_port_is_kept(w, v):
    g, s, me = w.guest(), w.udp(v), fresh_port()
    who = say(g, s, v, b"hello", me)
    if who[1] != me:
        raise Failure(f"port {who[1]}, the guest used {me}")
    if who[0] != HOST[v]:
        raise Failure(f"from {who[0]}")


@test("U1", both)
def a_source_port_that_is_taken_is_replaced(w, v):
    """The flow works with another port."""
    g, s = w.guest(), w.udp(v)
    taken = w.udp(v, {4: "0.0.0.0", 6: "::"}[v], where=w.net.host)
    me = port_of(taken)
    who = say(g, s, v, b"hello", me)
    if who[1] == me:
        raise Failure("somebody else's port was used")
    answer(g, s, v, b"answer", who, me)


@test("U1", both)
def one_source_port_to_many_peers(w, v):
    """The guest sends from one port to many peers, as games do: each peer has
    its own flow."""
    g, me = w.guest(), fresh_port()
    peers = [w.udp(v) for _ in range(10)]
    peers += [w.udp(v, PEER2[v]) for _ in range(10)]
    who = {}
    for i, s in enumerate(peers):
        who[i] = say(g, s, v, b"to %d" % i, me, s.getsockname()[0])
    for i, s in enumerate(peers):
        answer(g, s, v, b"from %d" % i, who[i], me, s.getsockname()[0])


@test("U1", both)
def nobody_else_can_answer(w, v):
    """The guest gets no datagrams from other ports and addresses: the socket is
    connected."""
    g, s, me = w.guest(), w.udp(v), fresh_port()
    who = say(g, s, v, b"hello", me)
    for other in (w.udp(v), w.udp(v, PEER2[v]),
                  w.udp(v, PEER2[v], port=port_of(s))):
        other.sendto(b"forged", who)
    g.silence(lambda p: p.udp and p.v == v and p.udp.dport == me,
              "only the peer may answer")
    answer(g, s, v, b"genuine", who, me)


@test("U8", both)
def a_tftp_server_answers_from_a_port_of_its_own(w, v):
    """The guest gets answers from any port of the server, but not from other
    hosts; several transfers run at the same time, from one port."""
    g, server, me = w.guest(), w.udp(v, port=69), fresh_port()
    other = w.udp(v, PEER2[v])
    transfers = []
    for n in range(3):
        s = w.udp(v)
        who = say(g, server, v, b"read file %d" % n, me)
        other.sendto(b"forged", who)
        answer(g, s, v, b"block 1", who, me)
        transfers.append((s, who))
    for n in range(2, 6):
        for s, who in transfers:
            if say(g, s, v, b"got block %d" % n, me) != who:
                raise Failure("the server sees another port")
            answer(g, s, v, b"block %d" % n, who, me)
    g.silence(lambda p: p.udp and p.src == PEER2[v], "only the server answers")


@test("U8", both)
def a_host_without_a_tftp_server_says_so(w, v):
    g, me = w.guest(), fresh_port()
    g.send_udp(PEER[v], me, 69, b"read file")
    p = g.expect(g.is_icmp({4: 3, 6: 1}[v], PEER[v]), "port unreachable")
    at = {4: 20, 6: 40}[v]
    if p.icmp.data[at:at + 4] != struct.pack("!HH", me, 69):
        raise Failure(f"it quotes {p.icmp.data.hex()}")


@test("U1", both)
def empty_datagrams_pass(w, v):
    g, s, me = w.guest(), w.udp(v), fresh_port()
    who = say(g, s, v, b"", me)
    answer(g, s, v, b"", who, me)


@test("U1", both)
def sizes_from_one_byte_to_the_largest(w, v):
    """
    The largest datagram fills the default MTU of 65520. With IPv6 the guest
    sends no more than the host's MTU, because IPv6 always implies DF.
    """
    g, s, me = w.guest(), w.udp(v), fresh_port()
    g.show_mtu()
    largest = 65520 - {4: 28, 6: 48}[v]
    kw = {"frag": 0} if v == 4 else {}
    for n in (1, 2, 3, 511, 1399, 1400, 1452, 1472, 1473, 9000, 32767,
              largest):
        text = bytes(i * 7 & 0xff for i in range(n))
        if v == 4 or n <= 1452:
            who = say(g, s, v, text, me, **kw)
        answer(g, s, v, text[::-1], who, me)


@test("U2", both)
def runs_of_equal_datagrams_keep_their_borders(w, v):
    """Datagrams that passt sends together arrive with their own lengths."""
    g, s, me = w.guest(), w.udp(v), fresh_port()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sizes = [1000] * 20 + [500] + [1000] * 5 + [1] * 10 + [1400, 0, 1400]
    texts = [struct.pack("!I", i)[:n] + bytes(max(0, n - 4))
             for i, n in enumerate(sizes)]
    g.send_frames([g.udp_frame(PEER[v], me, port_of(s), t) for t in texts])
    for i, t in enumerate(texts):
        if s.recv(65536) != t:
            raise Failure(f"datagram {i} of {len(texts)}")


@test("U2", both)
def runs_of_several_flows_in_one_write(w, v):
    g = w.guest()
    socks = [w.udp(v) for _ in range(5)]
    frames = []
    for i in range(60):
        s = socks[i * 7 % 5]
        frames.append(g.udp_frame(PEER[v], 25000, port_of(s), b"%03d" % i))
    g.send_frames(frames)
    for i in range(60):
        if socks[i * 7 % 5].recv(100) != b"%03d" % i:
            raise Failure(f"datagram {i}")


@test("U2", both)
def a_burst_towards_the_guest_keeps_order_and_borders(w, v):
    g, s, me = w.guest(), w.udp(v), fresh_port()
    who = say(g, s, v, b"hello", me)
    for i in range(100):
        s.sendto(b"%04d" % i + bytes(i * 10), who)
    for i in range(100):
        p = g.expect(g.is_udp(PEER[v]), f"datagram {i}")
        if p.udp.data != b"%04d" % i + bytes(i * 10):
            raise Failure(f"datagram {i}: {p}")


@test("U3", both)
def a_closed_port_is_a_port_unreachable(w, v):
    """The guest gets 'port unreachable', which quotes its packet (RFC 1122
    4.1.3.1, RFC 4443 3.1)."""
    g, me = w.guest(), fresh_port()
    s = w.udp(v)
    port = port_of(s)
    s.close()
    g.send_udp(PEER[v], me, port, b"anybody?")
    kind, code = {4: (3, 3), 6: (1, 4)}[v]
    p = g.expect(lambda p: p.icmp and p.v == v and p.icmp.kind == kind,
                 "port unreachable")
    if p.icmp.code != code or p.dst != g.addr[v]:
        raise Failure(str(p))
    at = 20 if v == 4 else 40
    if p.icmp.data[at:at + 4] != struct.pack("!HH", me, port):
        raise Failure(f"quotes {p.icmp.data.hex()}")
    if p.src != PEER[v]:
        raise Failure(f"from {p.src}")


@test("U4", both)
def a_dead_peer_is_silence(w, v):
    g, me = w.guest(), fresh_port()
    for _ in range(3):
        g.send_udp(DEAD[v], me, 1234, b"anybody?")
    g.silence(lambda p: p.v == v and (p.udp or (p.icmp and p.icmp.kind in (
        3, 1))), "nobody is there")


@test("U4", both)
def a_thousand_queries_then_a_new_one(w, v):
    """Given a thousand flows of queries, then a new one still works."""
    g, s = w.guest(), w.udp(v)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    for i in range(0, 1000, 50):
        g.send_frames([g.udp_frame(PEER[v], 40000 + i + j, port_of(s),
                                   b"q%04d" % (i + j)) for j in range(50)])
        for _ in range(50):
            data, who = s.recvfrom(100)
            s.sendto(b"a" + data[1:], who)
        for _ in range(50):
            p = g.expect(g.is_udp(PEER[v]), "an answer")
            if p.udp.data != b"a%04d" % (p.udp.dport - 40000):
                raise Failure(f"wrong answer {p.udp.data!r}")
    me = fresh_port()
    answer(g, s, v, b"new", say(g, s, v, b"new", me), me)


@test("U4", both)
def one_shot_flows_give_their_descriptors_back(w, v):
    """passt closes their sockets after some seconds (10, says
    doc/design.md)."""
    g, s = w.guest(), w.udp(v)
    before = g.passt.fds()
    if before is None:
        return
    for i in range(50):
        who = say(g, s, v, b"q", 50000 + i)
        answer(g, s, v, b"a", who, 50000 + i)
    if g.passt.fds() < before + 50:
        raise Failure("fewer sockets than flows")
    end = time.monotonic() + 16
    while g.passt.fds() > before and time.monotonic() < end:
        time.sleep(0.2)
    if g.passt.fds() > before:
        raise Failure(f"{g.passt.fds() - before} sockets left after 16 s")


@test("U4", both)
def thirty_thousand_queries_leave_ports_and_descriptors_free(w, v):
    """Sends the queries of a busy resolver's minute, each from another port, in
    a few seconds."""
    g, s = w.guest(), w.udp(v)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    before, right = g.passt.fds(), 0
    for first in range(30000, 60000, 50):
        g.send_frames([g.udp_frame(PEER[v], first + j, port_of(s), b"query")
                       for j in range(50)])
        for _ in range(50):
            s.sendto(b"answer", s.recvfrom(100)[1])
        for _ in range(50):
            p = g.expect(g.is_udp(PEER[v]), "an answer")
            right += first <= p.udp.dport < first + 50
    if right != 30000:
        raise Failure(f"{right} answers to the right port")
    if before is not None and g.passt.fds() - before > 30000:
        raise Failure(f"{g.passt.fds() - before} descriptors")
    end = time.monotonic() + 16
    while (before is not None and g.passt.fds() > before
           and time.monotonic() < end):
        time.sleep(0.2)
    if before is not None and g.passt.fds() > before:
        raise Failure(f"{g.passt.fds() - before} sockets left after 16 s")
    for port in range(30000, 60000, 1000):
        w.udp(v, HOST[v], port, where=w.net.host)
    me = fresh_port()
    answer(g, s, v, b"new", say(g, s, v, b"new", me), me)


@test("U4", both)
def a_conversation_outlives_a_query(w, v):
    """Given several datagrams in both directions, then the flow lives for three
    minutes, so it still works after 15 s."""
    g, s, me = w.guest(), w.udp(v), fresh_port()
    for i in range(4):
        who = say(g, s, v, b"talk %d" % i, me)
        answer(g, s, v, b"talk back %d" % i, who, me)
    time.sleep(14)
    answer(g, s, v, b"still there?", who, me)


@test("U6", both)
def lone_fragments_are_not_delivered(w, v):
    g, s, me = w.guest(), w.udp(v), fresh_port()
    seg = packet.udp(g.addr[v], PEER[v], me, port_of(s), b"x" * 64)
    if v == 4:
        for frag in (0x2000, 0x2001, 0x0001, 0x1fff, 0x6000):
            g.send_ip(PEER[4], UDP, seg, frag=frag)
    else:
        for off in (1, 8, 9, 0xfff8):
            g.send_ip(PEER[6], 44, struct.pack("!BBHI", UDP, 0, off, 7)
                      + seg)
    hears_nothing(s, "fragments alone are no datagram")
    say(g, s, v, b"whole", me)


@test("UDP", both)
def bad_checksums_and_lengths_are_dropped(w, v):
    g, s, me = w.guest(), w.udp(v), fresh_port()
    port = port_of(s)
    g.send_udp(PEER[v], me, port, b"bad", bad_sum=True)
    good = packet.udp(g.addr[v], PEER[v], me, port, b"x" * 32)
    for length in (0, 7, 8 + 33, 65535):
        wrong = good[:4] + struct.pack("!H", length)
        g.send_ip(PEER[v], UDP, wrong + good[6:])
        if v == 4:  # without a checksum, only the length is wrong
            g.send_ip(PEER[4], UDP, wrong + b"\0\0" + good[8:])
    if v == 6:      # UDP without a checksum needs IPv4 (RFC 8200 8.1)
        g.send_ip(PEER[6], UDP, good[:6] + b"\0\0" + good[8:])
    hears_nothing(s, "these are no datagrams")


@test("UDP", only4)
def a_datagram_without_checksum_is_accepted(w, v):
    """A checksum of zero means: no checksum (RFC 768)."""
    g, s, me = w.guest(), w.udp(4), fresh_port()
    good = packet.udp(g.addr[4], PEER[4], me, port_of(s), b"no checksum")
    g.send_ip(PEER[4], UDP, good[:6] + b"\0\0" + good[8:])
    if s.recv(100) != b"no checksum":
        raise Failure("other bytes")


@test("UDP", only4)
def ip_options_are_passed_over(w, v):
    g, s, me = w.guest(), w.udp(4), fresh_port()
    seg = packet.udp(g.addr[4], PEER[4], me, port_of(s), b"options")
    g.send_ip(PEER[4], UDP, seg, options=b"\x01" * 8)
    if s.recv(100) != b"options":
        raise Failure("other bytes")
    # passt drops packets whose options have impossible lengths.
    g.send_ip(PEER[4], UDP, seg, options=b"\x07\x00\x04\x00")
    g.send_ip(PEER[4], UDP, seg, options=b"\x07\xff\x04\x00")


@test("UDP", both)
def padding_after_the_packet_is_no_payload(w, v):
    g, s, me = w.guest(), w.udp(v), fresh_port()
    g.send_frame(g.udp_frame(PEER[v], me, port_of(s), b"abc") + bytes(30))
    if s.recv(100) != b"abc":
        raise Failure("padding was delivered")


@test("UDP", both)
def sources_that_cannot_be_are_dropped(w, v):
    """passt drops datagrams of the guest from multicast, loopback and
    unspecified addresses."""
    g, s = w.guest(), w.udp(v)
    for src in {4: ("127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0"),
                6: ("::1", "ff02::1", "::", "::ffff:127.0.0.1")}[v]:
        g.send_udp(PEER[v], 33333, port_of(s), b"bad", src=src)
    hears_nothing(s, "nobody has these addresses")


@test("UDP", both)
def destinations_that_cannot_be_do_no_harm(w, v):
    """Datagrams of the guest to loopback, unspecified, broadcast and multicast
    addresses do not reach the host's loopback."""
    g = w.guest()
    s = w.udp(v, LOOPBACK[v], where=w.net.host)
    for dst in {4: ("127.0.0.1", "127.1.2.3", "0.0.0.0", "255.255.255.255",
                    "224.0.0.1", "239.255.255.250"),
                6: ("::1", "::", "ff02::1", "ff02::fb",
                    "::ffff:127.0.0.1")}[v]:
        g.send_udp(dst, fresh_port(), port_of(s), b"bad", src=g.addr[v])
    hears_nothing(s, "the host's loopback is its own")
    s = w.udp(v)
    say(g, s, v, b"alive", fresh_port())


@test("UDP", both)
def port_zero_does_no_harm(w, v):
    g, s = w.guest(), w.udp(v)
    g.send_udp(PEER[v], 0, port_of(s), b"from 0")
    g.send_udp(PEER[v], 1000, 0, b"to 0")
    g.flush()
    say(g, s, v, b"alive", fresh_port())


@test("UDP", both)
def no_udp_is_silence(w, v):
    g, s = w.guest("--no-udp"), w.udp(v)
    g.send_udp(PEER[v], fresh_port(), port_of(s), b"hello")
    hears_nothing(s, "UDP is off")


@test("section 5", both)
def the_gateway_is_the_hosts_loopback(w, v):
    g, me = w.guest(), fresh_port()
    s = w.udp(v, LOOPBACK[v], where=w.net.host)
    who = say(g, s, v, b"hello host", me, GATEWAY[v])
    if who[0] != LOOPBACK[v]:
        raise Failure(f"from {who}")
    s.sendto(b"hello guest", who)
    p = g.expect(g.is_udp(GATEWAY[v], port_of(s), me), "the answer")
    if p.udp.data != b"hello guest":
        raise Failure(str(p))


@test("section 5", both)
def no_map_gw_leaves_loopback_alone(w, v):
    g, me = w.guest("--no-map-gw"), fresh_port()
    s = w.udp(v, LOOPBACK[v], where=w.net.host)
    g.send_udp(GATEWAY[v], me, port_of(s), b"hello host")
    hears_nothing(s, "the gateway is not the host")


if __name__ == "__main__":
    main()
