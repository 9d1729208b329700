# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests of forwarded ports (-t and -u), and of the addresses that the guest
sees."""
import errno
import os
import socket
import time

from lib import dhcp, netns, packet, tcp
from lib.case import Failure, Skip, both, main, only4, test
from lib.guest import fresh_port
from lib.netns import GATEWAY, HOST, LOOPBACK, PEER, PEER2
from lib.packet import ACK, RST, SYN, UDP
from lib.passt import SLOW

IPV6_HDRINCL = 36           # linux/in6.h

# Another address of the host, which the guest does not hold.
SECOND = {4: "192.0.2.3", 6: "2001:db8:1::3"}


def second_address(w):
    if not getattr(w, "has_second", False):
        w.has_second = True
        netns.run(f"ip addr add {SECOND[4]}/24 dev v0")
        # preferred_lft 0: the kernel does not choose it as a source.
        netns.run(f"ip addr add {SECOND[6]}/64 dev v0 nodad "
                  "preferred_lft 0")


def connect(w, v, addr, port, source=None, where=None):
    s = w.sock(v, socket.SOCK_STREAM, where)
    if source:
        s.bind((source, 0))
    s.connect((addr, port))
    return s


def refused(w, v, addr, port, where=None):
    s = w.sock(v, socket.SOCK_STREAM, where)
    e = s.connect_ex((addr, port))
    if e != errno.ECONNREFUSED:
        raise Failure(f"{addr} port {port}: "
                      f"{errno.errorcode.get(e, 'connected')}, not refused")


def arrives(w, g, v, s, gport, seen):
    """Fails unless the connection of socket s reaches the guest's port from one
    of the addresses in @seen, and works. Returns the guest's Conn."""
    c, _ = tcp.from_syn(g, gport, v, mss=1460)
    if c.remote not in seen:
        raise Failure(f"comes from {c.remote}, not {seen}")
    if c.addr not in (g.addr[v], g.link_local):
        raise Failure(f"goes to {c.addr}")
    c.answer_syn()
    c.expect(ACK, seq=1, ack=1)
    s.sendall(b"question")
    c.read(8)
    c.write(b"answer")
    if s.recv(100) != b"answer":
        raise Failure("other bytes")
    return c


# --- TCP

@test("section 5 -t", both)
def the_peers_address_and_port_are_kept(w, v):
    g = w.guest("-t", "7300")
    s = connect(w, v, HOST[v], 7300, PEER[v])
    c = arrives(w, g, v, s, 7300, (PEER[v],))
    if c.rport != s.getsockname()[1]:
        raise Failure(f"port {c.rport}")


@test("section 5 -t", both)
def from_the_hosts_loopback_it_is_the_gateway(w, v):
    g = w.guest("-t", "7300")
    s = connect(w, v, LOOPBACK[v], 7300, where=w.net.host)
    arrives(w, g, v, s, 7300, (GATEWAY[v],))


@test("section 5 -t", both)
def from_the_address_that_the_guest_holds_it_is_the_gateway(w, v):
    """A client that uses the host's address appears as the gateway, because the
    guest has this address itself."""
    g = w.guest("-t", "7300")
    s = connect(w, v, HOST[v], 7300, where=w.net.host)
    arrives(w, g, v, s, 7300, (GATEWAY[v],))


# Addresses of a container behind the guest, and of a second machine on the
# guest's link (macvlan); MAC address of the latter.
CONTAINER = {4: "172.17.0.2", 6: "fd00:17::2"}
MACVLAN = {4: "192.0.2.77", 6: "2001:db8:1::77"}
SECOND_MAC = "52:54:00:77:77:77"


def leaks(w, g, v, src, mac=None):
    """Sends a datagram of the guest with the source address @src. Returns the
    peer's socket, which has received it."""
    s = w.udp(v)
    frame = g.udp_frame(PEER[v], fresh_port(), s.getsockname()[1], b"leak",
                        src=src)
    g.send_frame(frame[:6] + packet.mac(mac or g.mac) + frame[12:])
    s.recv(100)
    return s


@test("section 5 -t", both)
def one_packet_of_a_container_redirects_nothing(w, v):
    g = w.guest("-t", "7300")
    leaks(w, g, v, CONTAINER[v])
    arrives(w, g, v, connect(w, v, HOST[v], 7300, PEER[v]), 7300, (PEER[v],))


@test("section 5 -u", both)
def nor_a_forwarded_datagram(w, v):
    g = w.guest("-u", "7390")
    leaks(w, g, v, CONTAINER[v])
    s = w.udp(v)
    s.sendto(b"question", (HOST[v], 7390))
    p = g.expect(g.is_udp(PEER[v]), "datagram")
    if p.dst != g.addr[v]:
        raise Failure(f"goes to {p.dst}")


@test("section 5 -t", both)
def one_frame_of_a_second_machine_redirects_nothing(w, v):
    """Open and new connections still go to the guest. The second machine gets
    answers to its own datagrams."""
    g = w.guest("-t", "7300")
    g.macs.add(SECOND_MAC)
    s = connect(w, v, HOST[v], 7300, PEER[v])
    c = arrives(w, g, v, s, 7300, (PEER[v],))

    sock = w.udp(v)
    port = fresh_port()
    frame = g.udp_frame(PEER[v], port, sock.getsockname()[1], b"hello",
                        src=MACVLAN[v])
    for f in (packet.eth(packet.BROADCAST, SECOND_MAC, packet.ETH_ARP,
                         packet.arp(1, SECOND_MAC, MACVLAN[4],
                                    "00:00:00:00:00:00", GATEWAY[4])),
              frame[:6] + packet.mac(SECOND_MAC) + frame[12:]):
        g.send_frame(f)
    _, who = sock.recvfrom(100)
    sock.sendto(b"answer", who)
    p = g.expect(lambda p: p.udp and p.udp.data == b"answer", "answer")
    if (p.dst, p.eth_dst) != (MACVLAN[v], SECOND_MAC):
        raise Failure(f"answer to {p.dst} at {p.eth_dst}")
    g.expect(lambda p: p.arp and p.eth_dst == SECOND_MAC, "its ARP reply")

    g.macs.discard(SECOND_MAC)      # from now on a frame to it is a failure
    s.sendall(b"more")
    c.read(4)
    arrives(w, g, v, connect(w, v, HOST[v], 7300, PEER[v]), 7300, (PEER[v],))


@test("section 5 -t", both)
def one_frame_with_the_guests_address_moves_nothing(w, v):
    """passt does not change the guest's MAC address at once if another machine
    uses its address, but does so after a second."""
    g = w.guest("-t", "7300")
    s = connect(w, v, HOST[v], 7300, PEER[v])
    c = arrives(w, g, v, s, 7300, (PEER[v],))
    leaks(w, g, v, g.addr[v], SECOND_MAC)
    s.sendall(b"more")
    c.read(4)
    leaks(w, g, v, g.addr[v], SECOND_MAC)
    time.sleep(1.1 * SLOW)
    leaks(w, g, v, g.addr[v], SECOND_MAC)
    g.mac = SECOND_MAC
    arrives(w, g, v, connect(w, v, HOST[v], 7300, PEER[v]), 7300, (PEER[v],))


@test("section 5 -t", both)
def a_guest_with_an_address_of_its_own_choice_is_reached(w, v):
    g = w.guest("-t", "7300", hello=False)
    g.addr = {4: "10.9.8.7", 6: "fd00:9::7"}
    leaks(w, g, v, g.addr[v])
    arrives(w, g, v, connect(w, v, HOST[v], 7300, PEER[v]), 7300, (PEER[v],))


@test("section 5 -t")
def a_guest_that_releases_its_lease_may_choose_another_address(w):
    g = w.guest("-t", "7300")
    dhcp.send(g, dhcp.message(g.mac, [dhcp.kind(dhcp.RELEASE)],
                              ciaddr=g.addr[4]), src=g.addr[4],
              dst=GATEWAY[4])
    time.sleep(0.1 * SLOW)
    g.addr = {**g.addr, 4: "10.9.8.7"}
    leaks(w, g, 4, g.addr[4])
    arrives(w, g, 4, connect(w, 4, HOST[4], 7300, PEER[4]), 7300, (PEER[4],))


@test("section 5 -t", both)
def other_ports_stay_closed(w, v):
    w.guest("-t", "7300")
    refused(w, v, HOST[v], 7299)
    refused(w, v, HOST[v], 7301)


@test("section 5 -t", both)
def nothing_is_forwarded_unless_asked(w, v):
    w.guest()
    for port in (22, 80, 6999, 65535):
        refused(w, v, HOST[v], port)
    w.guest("-t", "none", "-u", "none")
    refused(w, v, HOST[v], 6999)


def bound_sockets(pid):
    """Returns the local addresses of a process's TCP sockets that listen, and
    of its UDP sockets."""
    mine, found = set(), []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        kind, _, inode = os.readlink(f"/proc/{pid}/fd/{fd}").partition(":")
        if kind == "socket":
            mine.add(inode.strip("[]"))
    for table in "tcp", "tcp6", "udp", "udp6":
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as f:
            for row in list(f)[1:]:
                word = row.split()
                if word[9] in mine and (table[0] == "u" or word[3] == "0A"):
                    found.append(f"{table} {word[1]}")
    return found


@test("section 5 -t")
def it_listens_nowhere_unless_asked(w):
    """passt binds no port that no option names, not even on the loopback: there
    is no control port. 1B60 is 7008."""
    for options, ports in (((), 0), (("-t", "none", "-u", "none",
                                      "--dns-forward", "192.0.2.53"), 0),
                           (("-t", "7008", "-u", "7008"), 2)):
        g = w.guest(*options)
        if g.passt.fds() is None:
            raise Skip("needs the right to read its descriptors")
        g.send_arp(GATEWAY[4])
        g.expect(g.is_arp(GATEWAY[4]), "ARP reply")
        found = bound_sockets(g.passt.pid)
        if len(found) != ports or \
                any(not row.endswith(":1B60") for row in found):
            raise Failure(f"{' '.join(options)}: {found}")


@test("section 5 -t", both)
def a_port_leads_to_another(w, v):
    g = w.guest("-t", "7310:7410")
    arrives(w, g, v, connect(w, v, HOST[v], 7310, PEER[v]), 7410, (PEER[v],))
    refused(w, v, HOST[v], 7410)


@test("section 5 -t", both)
def ranges_lists_and_exclusions(w, v):
    g = w.guest("-t", "7320-7330,7340,7350-7352:7450-7452,~7322,~7325-7327")
    for host, gport in ((7320, 7320), (7324, 7324), (7330, 7330),
                        (7340, 7340), (7350, 7450), (7352, 7452)):
        s = connect(w, v, HOST[v], host, PEER[v])
        arrives(w, g, v, s, gport, (PEER[v],))
    for port in (7319, 7322, 7325, 7326, 7327, 7331, 7353, 7450):
        refused(w, v, HOST[v], port)


@test("section 5 -t", both)
def given_twice_both_count(w, v):
    g = w.guest("-t", "7355", "-t", "7356:7357")
    arrives(w, g, v, connect(w, v, HOST[v], 7355, PEER[v]), 7355, (PEER[v],))
    arrives(w, g, v, connect(w, v, HOST[v], 7356, PEER[v]), 7357, (PEER[v],))


@test("section 5 -t", both)
def bound_to_one_address(w, v):
    port = 7360 + v
    g = w.guest("-t", f"{HOST[v]}/{port}")
    arrives(w, g, v, connect(w, v, HOST[v], port, PEER[v]), port, (PEER[v],))
    refused(w, v, LOOPBACK[v], port, w.net.host)
    refused(w, 10 - v, HOST[10 - v], port)


@test("section 5 -t", both)
def bound_to_loopback(w, v):
    g = w.guest("-t", f"{LOOPBACK[v]}/7361")
    refused(w, v, HOST[v], 7361)
    s = connect(w, v, LOOPBACK[v], 7361, where=w.net.host)
    arrives(w, g, v, s, 7361, (GATEWAY[v],))


@test("section 5 -t", both)
def bound_to_an_interface(w, v):
    g = w.guest("-t", "%v0/7362")
    arrives(w, g, v, connect(w, v, HOST[v], 7362, PEER[v]), 7362, (PEER[v],))
    refused(w, v, LOOPBACK[v], 7362, w.net.host)


@test("section 5 -t", both)
def fifty_connections_to_one_port(w, v):
    g = w.guest("-t", "7300")
    socks = [connect(w, v, HOST[v], 7300, PEER[v]) for _ in range(50)]
    conns = []
    for _ in socks:
        c, _ = tcp.from_syn(g, 7300, v, mss=1460)
        c.answer_syn()
        conns.append(c)
    by_port = {s.getsockname()[1]: s for s in socks}
    if {c.rport for c in conns} != set(by_port):
        raise Failure("ports differ")
    for c in conns:
        c.expect(ACK, ack=1)
        by_port[c.rport].sendall(b"%05d" % c.rport)
    for c in conns:
        if c.read(5) != b"%05d" % c.rport:
            raise Failure(f"{c.got} on {c}")


@test("section 5 -t", both)
def the_guest_may_connect_out_from_a_forwarded_port(w, v):
    """The guest has a server that also connects to peers from its port."""
    g = w.guest("-t", "7300")
    server = w.server(v)
    c = tcp.Conn(g, PEER[v], server.getsockname()[1], port=7300, mss=1460)
    c.connect()
    w.accept(server)


@test("section 5 -t", both)
def a_port_that_is_taken_is_an_error_that_names_it(w, v):
    taken = w.server(v, HOST[v], where=w.net.host)
    port = taken.getsockname()[1]
    p = w.start("-t", f"{HOST[v]}/{port}")
    status = p.proc.wait(5 * SLOW)
    lines = [x for x in p.log().splitlines() if str(port) in x]
    if status != 1 or not lines:
        raise Failure(f"exit status {status}: {p.log()[-300:]}")


@test("section 5 -t")
def all_binds_what_is_free_and_says_how_many(w):
    taken = w.server(4, "0.0.0.0", port=7777, where=w.net.host)
    p = w.start("-t", "all")
    p.wait_ready()
    g = w.join(p)
    if not any("port" in x and any(c.isdigit() for c in x)
               for x in p.log().splitlines()):
        raise Failure(f"no word of how many: {p.log()[-600:]}")
    s = connect(w, 4, HOST[4], 7778, PEER[4])
    arrives(w, g, 4, s, 7778, (PEER[4],))
    taken.close()


# --- UDP

def delivered(g, v, sport, dport, text, seen):
    p = g.expect(lambda p: p.udp and p.v == v and p.udp.dport == dport,
                 "datagram for the guest")
    if p.udp.data != text or p.src not in seen or p.udp.sport != sport:
        raise Failure(f"{p} {p.udp.data[:40]!r}, from {seen} wanted")
    if p.dst not in (g.addr[v], g.link_local):
        raise Failure(f"goes to {p.dst}")
    return p


def exchange(w, g, v, s, addr, hport, gport, seen):
    """Sends a datagram from socket s to a port of the host; fails unless the
    guest gets it, and its answer comes from the same address."""
    s.sendto(b"question", (addr, hport))
    sport = s.getsockname()[1]
    p = delivered(g, v, sport, gport, b"question", seen)
    g.send_udp(p.src, gport, sport, b"answer", src=p.dst)
    data, who = s.recvfrom(100)
    if data != b"answer" or who[:2] != (addr, hport):
        raise Failure(f"the answer {data} comes from {who}, not from "
                      f"{addr} port {hport}")


@test("U5", both)
def a_forwarded_datagram_and_its_answer(w, v):
    g = w.guest("-u", "7500")
    exchange(w, g, v, w.udp(v), HOST[v], 7500, 7500, (PEER[v],))


@test("U5", both)
def answers_leave_from_the_address_that_was_addressed(w, v):
    """The answer comes from the address that the client has used, which may be
    any address of the host or its loopback (pktinfo)."""
    second_address(w)
    g = w.guest("-u", "7500")
    exchange(w, g, v, w.udp(v), SECOND[v], 7500, 7500, (PEER[v],))
    exchange(w, g, v, w.udp(v), HOST[v], 7500, 7500, (PEER[v],))
    if v == 4:
        s = w.udp(4, "127.0.0.1", where=w.net.host)
        exchange(w, g, 4, s, "127.0.0.5", 7500, 7500, (GATEWAY[4],))


@test("U1", both)
def one_peer_at_two_addresses_of_the_host(w, v):
    """They are two flows: the guest can tell them apart by their source ports,
    and each answer leaves from the right address."""
    second_address(w)
    g, s = w.guest("-u", "7500"), w.udp(v)
    sport, seen = s.getsockname()[1], {}
    for addr in (HOST[v], SECOND[v]) * 2:
        s.sendto(b"question", (addr, 7500))
        p = g.expect(lambda p: p.udp and p.v == v and p.udp.dport == 7500,
                     "datagram")
        if seen.setdefault(addr, p.udp.sport) != p.udp.sport:
            raise Failure(f"{seen} and {p.udp.sport} are one flow")
    if seen[HOST[v]] != sport or seen[SECOND[v]] == sport:
        raise Failure(f"source ports {seen}, the peer's is {sport}")
    for addr, port in seen.items():
        g.send_udp(PEER[v], 7500, port, b"answer", src=p.dst)
        who = s.recvfrom(100)[1]
        if who[:2] != (addr, 7500):
            raise Failure(f"the answer comes from {who}, not {addr}")


@test("U1", only4)
def who_looks_like_the_peer_does_not_take_its_place(w, v):
    """The gateway, and a service on the host's loopback that has the same port,
    would have the same address for the guest; so one gets another port."""
    g = w.guest("-u", "7500")
    s = w.udp(v, LOOPBACK[v], where=w.net.host)
    port = s.getsockname()[1]
    other = w.udp(v, GATEWAY[v], port)
    for _ in range(2):
        g.send_udp(GATEWAY[v], 7500, port, b"for the host only")
        if s.recv(100) != b"for the host only":
            raise Failure("other bytes")
        other.sendto(b"for me", (HOST[v], 7500))
        p = g.expect(lambda p: p.udp and p.udp.dport == 7500, "datagram")
        if p.udp.sport == port:
            raise Failure("the guest can't tell them apart")
    g.send_udp(GATEWAY[v], 7500, p.udp.sport, b"for you")
    if other.recv(100) != b"for you":
        raise Failure("what was for the host went outside")


def forge(w, v, where, src, sport, dst, dport):
    """Sends a datagram with a forged source address, from the host's namespace
    or from outside."""
    s = w.keep(w.net.socket(v, socket.SOCK_RAW, where, socket.IPPROTO_RAW))
    level = socket.IPPROTO_IP if v == 4 else socket.IPPROTO_IPV6
    s.setsockopt(level, socket.IP_HDRINCL if v == 4 else IPV6_HDRINCL, 1)
    s.sendto(packet.ip(src, dst, UDP, packet.udp(src, dst, sport, dport,
                                                 b"forged")), (dst, 0))


@test("U1", both)
def a_datagram_from_our_own_port_is_dropped(w, v):
    """Otherwise passt would send the guest's answer to its own port, and that
    answer to the guest, and so on for ever."""
    second_address(w)
    p = w.start("-u", "7571,7572", "-u", f"{LOOPBACK[v]}/7573")
    g = w.join(p.wait_ready())
    dropped = g.passt.counter("udp_from_own_port")
    n = 0
    for where in (w.net.host, w.net.outside):
        if v == 4 and where == w.net.outside:
            continue        # the kernel drops such packets itself
        for src, dst in ((HOST[v], HOST[v]), (SECOND[v], HOST[v]),
                         (HOST[v], SECOND[v])):
            for sport in (7571, 7572):
                forge(w, v, where, src, sport, dst, 7571)
                n += 1
    forge(w, v, w.net.host, LOOPBACK[v], 7573, LOOPBACK[v], 7571)
    g.silence(lambda p: p.udp and p.v == v and p.udp.dport == 7571,
              "from passt itself")
    dropped = g.passt.counter("udp_from_own_port") - dropped
    if dropped != n + 1:
        raise Failure(f"{dropped} of {n + 1} are counted")


@test("U1", both)
def a_peer_with_the_number_of_our_port_is_heard(w, v):
    """passt relays datagrams of a peer whose port has the number of a forwarded
    port. The peer may be another host, or a program at an address of the host
    at which this port is not forwarded."""
    p = w.start("-u", "7574", "-u", f"{HOST[v]}/7575")
    g = w.join(p.wait_ready())
    exchange(w, g, v, w.udp(v, port=7574), HOST[v], 7574, 7574, (PEER[v],))
    s = w.udp(v, LOOPBACK[v], 7575, w.net.host)
    exchange(w, g, v, s, LOOPBACK[v], 7574, 7574, (GATEWAY[v],))


@test("U1", both)
def the_guest_does_not_talk_to_itself_through_our_socket(w, v):
    """passt drops the guest's datagrams to the gateway if they would come back
    to a socket of passt: from a forwarded port to itself or to another one, and
    from a port to itself. Other programs on the host get them."""
    g = w.guest("-u", "7576,7577")
    me = fresh_port()
    dropped = g.passt.counter("udp_from_own_port")
    for sport, dport in ((7576, 7576), (7576, 7577), (me, me)):
        g.send_udp(GATEWAY[v], sport, dport, b"is this me?")
    g.silence(lambda p: p.udp and p.v == v, "it is itself")
    dropped = g.passt.counter("udp_from_own_port") - dropped
    if dropped != 3:
        raise Failure(f"{dropped} of 3 are counted")
    s = w.udp(v, LOOPBACK[v], where=w.net.host)
    g.send_udp(GATEWAY[v], 7576, s.getsockname()[1], b"hello")
    if s.recvfrom(100)[1][:2] != (LOOPBACK[v], 7576):
        raise Failure("it comes from another port")
    # From other ports, the guest reaches itself by a forwarded port.
    g.send_udp(GATEWAY[v], me, 7576, b"hairpin")
    delivered(g, v, me, 7576, b"hairpin", (GATEWAY[v],))


@test("section 5 -u", both)
def from_the_hosts_loopback_it_is_the_gateway_udp(w, v):
    g = w.guest("-u", "7500")
    s = w.udp(v, LOOPBACK[v], where=w.net.host)
    exchange(w, g, v, s, LOOPBACK[v], 7500, 7500, (GATEWAY[v],))


@test("section 5 -u", both)
def a_port_leads_to_another_udp(w, v):
    g = w.guest("-u", "7510:7610,7512-7513:7612-7613")
    exchange(w, g, v, w.udp(v), HOST[v], 7510, 7610, (PEER[v],))
    exchange(w, g, v, w.udp(v), HOST[v], 7513, 7613, (PEER[v],))


@test("section 5 -u", both)
def many_peers_of_one_port(w, v):
    """Each peer gets its own answer."""
    g = w.guest("-u", "7500")
    peers = [w.udp(v, a) for a in (PEER[v], PEER2[v]) for _ in range(10)]
    for i, s in enumerate(peers):
        s.sendto(b"from %02d" % i, (HOST[v], 7500))
    for _ in peers:
        p = g.expect(lambda p: p.udp and p.udp.dport == 7500, "datagram")
        g.send_udp(p.src, 7500, p.udp.sport, b"to" + p.udp.data[4:],
                   src=p.dst)
    for i, s in enumerate(peers):
        data, who = s.recvfrom(100)
        if data != b"to %02d" % i or who[:2] != (HOST[v], 7500):
            raise Failure(f"{data} from {who} at {i}")


@test("section 5 -u", both)
def without_u_no_udp_port_is_forwarded(w, v):
    g, s = w.guest("-t", "7520,7521:7621"), w.udp(v)
    for port in 7520, 7521:
        s.sendto(b"x", (HOST[v], port))
    g.silence(lambda p: p.udp and p.v == v, "not forwarded")


@test("section 5 -u", both)
def with_u_only_those_are_forwarded(w, v):
    g = w.guest("-t", "7530", "-u", "7531")
    s = w.udp(v)
    s.sendto(b"x", (HOST[v], 7530))
    g.silence(lambda p: p.udp and p.udp.dport == 7530, "not forwarded")
    exchange(w, g, v, s, HOST[v], 7531, 7531, (PEER[v],))


@test("section 5 -u", both)
def the_guest_may_speak_first_from_a_forwarded_port(w, v):
    g = w.guest("-u", "7500")
    s = w.udp(v)
    g.send_udp(PEER[v], 7500, s.getsockname()[1], b"hello")
    data, who = s.recvfrom(100)
    if data != b"hello":
        raise Failure(f"{data}")
    s.sendto(b"hello yourself", who)
    delivered(g, v, s.getsockname()[1], 7500, b"hello yourself", (PEER[v],))


@test("section 5 -u", both)
def large_forwarded_datagrams(w, v):
    g = w.guest("-u", "7500")
    g.show_mtu()
    s = w.udp(v)
    for n in (0, 1, 1472, 9000, 60000):
        text = bytes(i & 0xff for i in range(n))
        s.sendto(text, (HOST[v], 7500))
        p = delivered(g, v, s.getsockname()[1], 7500, text, (PEER[v],))
        text = text[::-1] if v == 4 else text[1400::-1]
        g.send_udp(p.src, 7500, p.udp.sport, text, src=p.dst,
                   **({"frag": 0} if v == 4 else {}))
        if s.recv(65536) != text:
            raise Failure(f"answer of {len(text)} bytes")


@test("section 5 -u", both)
def datagrams_before_there_is_a_guest_are_dropped(w, v):
    p = w.start("-u", "7540")
    p.wait_ready()
    s = w.udp(v)
    for _ in range(20):
        s.sendto(b"early", (HOST[v], 7540))
    time.sleep(0.3)     # until passt has read them, even on a busy machine
    g = w.join(p)
    g.flush()
    exchange(w, g, v, s, HOST[v], 7540, 7540, (PEER[v],))


@test("section 5 -t", both)
def connections_before_there_is_a_guest_do_no_harm(w, v):
    p = w.start("-t", "7541")
    p.wait_ready()
    for _ in range(20):
        s = w.sock(v, socket.SOCK_STREAM)
        s.connect_ex((HOST[v], 7541))
    g = w.join(p)
    g.flush()
    s = connect(w, v, HOST[v], 7541, PEER[v])
    sport = s.getsockname()[1]
    q = g.expect(lambda q: q.tcp and q.tcp.sport == sport, "SYN")
    if not q.tcp.flags & SYN or q.tcp.flags & (ACK | RST):
        raise Failure(str(q))


# --- addresses of peers, as the guest uses them

@test("section 5", both)
def no_map_gw_leads_to_the_real_gateway(w, v):
    """The guest reaches the real gateway, not the host's loopback."""
    g = w.guest("--no-map-gw")
    local = w.server(v, LOOPBACK[v], where=w.net.host)
    port = local.getsockname()[1]
    c = tcp.Conn(g, GATEWAY[v], port, mss=1460)
    c.syn()
    c.expect(RST | ACK, ack=1, what="nobody listens on the real gateway")


@test("section 5", both)
def map_host_loopback_is_another_address(w, v):
    alias = {4: "192.0.2.77", 6: "2001:db8:1::77"}[v]
    g = w.guest("--map-host-loopback", alias)
    local = w.server(v, LOOPBACK[v], where=w.net.host)
    port = local.getsockname()[1]
    tcp.Conn(g, alias, port, mss=1460).connect()
    w.accept(local)


@test("section 5", both)
def map_guest_addr_is_the_hosts_own_copy(w, v):
    """The option sets an address by which the guest reaches the host at the
    address that both have."""
    alias = {4: "192.0.2.78", 6: "2001:db8:1::78"}[v]
    g = w.guest("--map-guest-addr", alias)
    local = w.server(v, HOST[v], where=w.net.host)
    tcp.Conn(g, alias, local.getsockname()[1], mss=1460).connect()
    w.accept(local)


@test("--dns-forward", both)
def dns_ports_of_an_address_lead_to_the_resolver(w, v):
    """Ports of DNS and of DNS over TLS, with UDP and TCP, lead to the
    resolver."""
    alias = {4: "192.0.2.8", 6: "2001:db8:1::8"}[v]
    g = w.guest("--dns-forward", alias, "--dns-host", PEER[v])
    for port in 53, 853:
        s, me = w.udp(v, PEER[v], port), fresh_port()
        g.send_udp(alias, me, port, b"question")
        data, who = s.recvfrom(100)
        s.sendto(b"answer", who)
        p = g.expect(g.is_udp(alias, port, me), f"answer of UDP port {port}")
        if (data, p.udp.data) != (b"question", b"answer"):
            raise Failure(f"{data} arrived, and {p.udp.data} came back")
        server = w.server(v, PEER[v], port)
        tcp.Conn(g, alias, port, mss=1460).connect()
        w.accept(server)


@test("--outbound-if", both)
def an_outbound_interface_may_come_into_being_later(w, v):
    g = w.guest(f"--outbound-if{v}", "late0", "-i", "v0")
    server = w.server(v)
    port = server.getsockname()[1]
    tcp.Conn(g, PEER[v], port, mss=1460).syn()
    p = g.expect(g.is_icmp({4: 3, 6: 1}[v]), "no interface so far")
    if p.icmp.code:
        raise Failure(f"code {p.icmp.code} is neither network unreachable nor "
                      "no route")
    netns.run("ip link property add dev v0 altname late0")
    w.undo.append(lambda: netns.run(
        "ip link property del dev v0 altname late0"))
    tcp.Conn(g, PEER[v], port, mss=1460).connect()
    w.accept(server)


@test("section 5 -o", both)
def the_source_address_of_our_sockets(w, v):
    second_address(w)
    g = w.guest("-o", SECOND[v])
    server = w.server(v)
    tcp.Conn(g, PEER[v], server.getsockname()[1], mss=1460).connect()
    _, who = w.accept(server)
    if who[0] != SECOND[v]:
        raise Failure(f"TCP from {who[0]}")
    s = w.udp(v)
    g.send_udp(PEER[v], fresh_port(), s.getsockname()[1], b"x")
    _, who = s.recvfrom(10)
    if who[0] != SECOND[v]:
        raise Failure(f"UDP from {who[0]}")


@test("section 5", both)
def a_guest_with_another_address_is_served(w, v):
    """The guest uses an address that passt did not assign; answers and
    forwarded connections go to that address."""
    g = w.guest("-t", "7300", hello=False)
    other = {4: "192.0.2.41", 6: "2001:db8:1::41"}[v]
    g.addr[v] = other
    server = w.server(v)
    c = tcp.Conn(g, PEER[v], server.getsockname()[1], mss=1460)
    c.connect()
    s, _ = w.accept(server)
    s.sendall(b"hello")
    c.read(5)
    s = connect(w, v, HOST[v], 7300, PEER[v])
    p = g.expect(lambda p: p.tcp and p.tcp.dport == 7300, "SYN")
    if p.dst != other:
        raise Failure(f"SYN for {p.dst}")


if __name__ == "__main__":
    main()
