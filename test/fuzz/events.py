# SPDX-License-Identifier: AGPL-3.0-or-later
"""events.py - Inputs that are sequences of events: of a guest and its peers, of
a stream socket, of netlink and of inotify. seeds.py writes them to files."""

import socket
import struct

# ---- test/fuzz/guest.c ----

UDP, TCP, ICMP = 0, 1, 2                        # protocols of packet()
SYN, ACK, DATA, FIN, RST, SYN_ACK = range(6)    # flags of put_tcp()
# Descriptors, see start_world(). Those of groups and flows come after the
# listeners, in the order in which they are opened. With NO_HOST, all are one
# more.
NO_HOST = 0xf0
GROUPS = 7
TCP_22, TCP_80, UDP_53, UDP_5353, FIRST_FREE = range(4, 9)


def frame(data):
    return b"\0" + struct.pack("!H", len(data)) + data


def packet(proto, v6=0, ports=0, peer=0, length=5, flags=None, text=b""):
    kind = v6 | proto << 1 | (16 if text else 0)
    out = bytes((1, kind, ports, peer, length))
    if flags is not None:
        out += bytes((flags,))
    return out + text[:12].ljust(min(length, 12), b"\0") if text else out


def from_peer(data=b"hello", peer=0, port=0, controls=3, value=64):
    return bytes((len(data),)) + data + bytes((peer | port << 3, controls,
                                               value))


def error(which, kind, code, info=0, data=b"quoted!!", peer=0, port=0):
    return bytes((which, kind, code, info)) + from_peer(data, peer, port) + \
        bytes((3 | port << 3,))


def event(fd, messages=(), errors=(), stream=None, more=0, extra=b""):
    what = len(messages) | len(errors) << 2 | more
    out = bytes((3, fd, what))
    if stream is not None:
        out += bytes((stream,))
    return out + b"".join(messages) + b"".join(errors) + extra


def accept(fd, peer=0, port=1):
    return bytes((5, fd, peer | port << 3))


def wait(ms):
    return b"\6" + struct.pack("!H", ms)


NEXT_TIMER, STALL, LEAVE, STAY_AWAY = b"\x46", b"\x47\1", b"\x47\0", b"\x47\x08"


def fail(errno, times=0, at=0):
    return bytes((7, errno | times << 4, at))


def change(bits):
    return bytes((0x47, 4 | bits << 3))


def to_group(index, length=5, port=None):
    """@port: index of a port of the guest; None: the service's port."""
    return bytes((0x45, index if port is None else 64 | port << 4 | index,
                  length))


def to_querier():
    return bytes((0x45, 128, 9))


def heard(fd, *messages):
    return bytes((0xc5, fd, len(messages) - 1)) + b"".join(messages)


def to_host(how=0, peer=0, port=1):
    """A datagram to the host; @how: 1 to the group, 2 by another interface,
    4 long, 8 too long, 16 to all."""
    return bytes((how,)) + (b"" if how & 4 else b"\x20") + bytes(
        (peer | port << 3,))


def groups():
    """--multicast, and changes of its interfaces."""
    on, first, flow = b"\x08", FIRST_FREE, FIRST_FREE + GROUPS
    for i in range(GROUPS):
        v6 = i in (1, 3, 4, 6)
        sock = first + i
        yield f"group-{i}", on + heard(sock, to_host(1)) + to_querier() + \
            heard(sock, *(to_host(how) for how in (0, 1, 2, 3))) + \
            heard(sock, *(to_host(how) for how in (5, 13, 4, 16))) + \
            wait(10001) * 4 + to_querier() + heard(sock, to_host(0)) + \
            to_group(i) + heard(sock, to_host(0, 5)) + LEAVE + \
            heard(sock, to_host(0)) + to_querier()
        yield f"query-{i}", on + to_group(i, 5, 0) * 2 + heard(
            flow, *(to_host(how) for how in (0, 1, 2, 16))) + wait(
            9000) + heard(flow, to_host()) + wait(9000) + to_group(
            i, 5, 3) + to_group(i, 5, 1)
        yield f"group-event-{i}", on + to_group(i) + event(
            sock, [from_peer(value=4)] * 2) + event(
            sock, [from_peer(controls=0)])
        yield f"group-off-{i}", b"\0" + to_group(i) + to_group(i, 5, 0)
        yield f"group-fails-{i}", on + b"".join(
            fail(errno) + to_group(i) + to_group(i, 5, port)
            for errno, port in ((2, 0), (3, 1), (11, 3)))
        yield f"no-host-{i}", bytes((NO_HOST | 8,)) + heard(
            sock + 1, to_host(1)) + \
            to_querier() + packet(UDP, v6)
    for bits in (0x90, 0x91, 0x92, 0xd2):
        yield f"eth-{bits}", on + b"".join(
            bytes((0x47, b | 4)) + to_group(0) + to_group(1, 5, 0) + heard(
                first, to_host(1), to_host()) for b in (bits, 0x80, 0x81))
    for at in range(32):
        yield f"eth-fails-{at}", on + b"\x47\x86" + fail(
            4 if at & 1 else 3, 0, at) + b"\x47\x84" + to_group(
            at % GROUPS) + b"\x47\x86" + to_group(at % GROUPS)
        yield f"query-fails-{at}", on + fail(2, 0, at) + to_group(
            at % GROUPS, 5, 0) + to_group(at % GROUPS, 5, 0)
    yield "group-no-guest", on + STAY_AWAY + heard(
        first, to_host(1), to_host()) + LEAVE + heard(first, to_host(1))
    yield "group-port-0", on + heard(first, b"\1\x20\x40\0\0")


def captures():
    """--pcap."""
    life = packet(UDP) + event(FIRST_FREE + 1, [from_peer()] * 3) + packet(
        TCP, 1, 4, flags=SYN) + packet(ICMP) + LEAVE + packet(UDP)
    long = bytes((1, UDP << 1 | 40, 0, 0, 200, 64))
    for space in (0, 1, 2, 7, 20, 255):
        yield f"pcap-{space}", bytes((1, space)) + life
        yield f"pcap-segmenting-{space}", bytes((3, space)) + life + long
    yield "pcap-fails", b"\1\xff" + packet(UDP) + fail(2) + life
    yield "pcap-groups", b"\x09\xff" + to_group(0) + heard(
        FIRST_FREE, to_host(1), to_host(5), to_host(0))


def guests(frames):
    """What test/fuzz/guest.c reads."""
    yield from groups()
    yield from captures()
    for v6 in (0, 1):
        for start in (b"\0", b"\2", bytes((NO_HOST,))):
            name = f"{'v6' if v6 else 'v4'}-{start[0]}"
            flow = FIRST_FREE + (start[0] == NO_HOST)
            ask = packet(UDP, v6)
            yield f"udp-{name}", start + ask + event(
                flow, [from_peer()]) * 4 + ask * 3 + wait(20000)
            tcp = packet(TCP, v6, 4, flags=SYN)
            yield f"tcp-{name}", start + tcp + event(
                flow, stream=0, more=16) + packet(
                TCP, v6, 4, flags=ACK) + packet(
                TCP, v6, 4, length=100, flags=DATA) + event(
                flow, stream=40) + packet(TCP, v6, 4, flags=ACK) * 2 + \
                packet(TCP, v6, 4, flags=FIN) + event(
                    flow, stream=1, more=96, extra=b"\x80") + NEXT_TIMER * 3
        flow = FIRST_FREE
        yield f"ping-{v6}", b"\0" + packet(ICMP, v6, 0) * 2 + event(
            flow, [from_peer(b"\0\0\0\0\0\0\0\0hello")])
        yield f"dns-{v6}", b"\0" + packet(UDP, v6, 0, 2, 17, text=b"\x12\x34"
                                          b"\1\0\0\1\0\0\0\0\0\0") + \
            NEXT_TIMER * 4 + event(flow, [from_peer(b"\x12\x34\x81\x80",
                                                    3)])
        yield f"dns-tcp-{v6}", b"\0" + packet(TCP, v6, 0, 2, flags=SYN) + \
            event(flow, stream=0, more=64, extra=b"\2")
        for which in range(7):
            yield f"error-{v6}-{which}", b"\0" + packet(UDP, v6) + event(
                flow, [], [error(which, 3 - 2 * v6, which, 20)]) + packet(
                UDP, v6)
        yield f"ping-error-{v6}", b"\0" + packet(ICMP, v6) + event(
            flow, [], [error(1, 11, 0, 0, b"\x08\0\0\0\0\1\0\1")])
        yield f"no-guest-{v6}", b"\0" + packet(UDP, v6) + STAY_AWAY + event(
            UDP_53, [from_peer(controls=7)]) + accept(TCP_22) + event(
            flow, [from_peer()]) + NEXT_TIMER + STAY_AWAY + LEAVE + packet(
            UDP, v6)
        ask = packet(UDP, v6, 3 << 2)           # TFTP
        yield f"all-ports-{v6}", b"\0" + ask + event(
            flow, [from_peer(port=3), from_peer(port=1)]) + ask * 2 + event(
            flow, [from_peer(port=p) for p in range(3)]) + event(
            flow, [from_peer(peer=3, port=1), from_peer(peer=1)]) + packet(
            UDP, v6, 1 << 2) + packet(UDP, v6, 3 << 2, 1) + event(
            flow, [from_peer(peer=5, port=1)])
        yield f"local-{v6}", b"\0" + packet(UDP, v6) + event(
            flow, [], [error(128, 2, 0, 0)])
        yield f"inbound-{v6}", b"\0" + event(
            UDP_53, [from_peer(controls=7)] * 3) + packet(
            UDP, v6, 2) + event(UDP_53, [], [error(0, 3, 3)]) + event(
            UDP_5353, [from_peer(controls=15)])
        yield f"accept-{v6}", b"\0" + accept(TCP_22) + accept(
            TCP_80) + packet(
            TCP, v6, 1 | 1 << 2, flags=SYN_ACK) + packet(
            TCP, v6, 1 | 1 << 2, flags=DATA) + NEXT_TIMER * 4
        yield f"change-{v6}", b"\0" + b"".join(
            packet(UDP, v6, peer=2) + packet(TCP, v6, flags=SYN) + change(
                bits) + packet(UDP, v6, peer=2) for bits in range(1, 16))
        yield f"gso-{v6}", b"\0" + b"".join(
            bytes((1, v6 | proto << 1 | 40, 0, 0, 20)) + more
            for proto, more in ((UDP, b"\x40"), (UDP, b"\x7f"), (
                TCP, b"\0\x40"), (TCP, bytes((DATA, 64)))))
        for errno in range(16):
            yield f"send-fails-{v6}-{errno}", b"\0" + b"".join(
                packet(proto, v6, peer=peer) + (
                    fail(errno, times) + packet(proto, v6, peer=peer)) * 2
                for times in range(4) for proto in (UDP, ICMP)
                for peer in (0, 2))
    for errno in range(16):
        yield f"fail-{errno}", b"\0" + b"".join(
            fail(errno, 0, at) + packet(proto, at & 1, at & 12, 0, flags=SYN if
                                     proto == TCP else None)
            for at in range(12) for proto in (UDP, TCP, ICMP))
    yield "leave", b"\0" + packet(UDP) + packet(TCP, flags=SYN) + LEAVE + \
        packet(UDP) + STALL + event(flow, [from_peer()]) + STALL
    for name, data in frames:
        yield f"frame-{name}", b"\0" + frame(data) * 2 + NEXT_TIMER


# ---- test/fuzz/stream.c ----

RECV, FILL, FAIL, SLOTS, FLUSH, REFILL, SEND_FAILS, EVENT = range(8)


def streams(frames):
    """What test/fuzz/stream.c reads."""
    sent = b"".join(struct.pack("!I", len(f)) + f for _, f in frames[:6])

    def steps(*pairs):
        return bytes((len(pairs),)) + b"".join(map(bytes, pairs))

    yield "whole", steps((RECV, 127), (REFILL, 0), (REFILL, 0)) + sent
    yield "bytes", steps(*((RECV, 1),) * 40) + sent
    yield "filled", steps((RECV, 127), *((FILL, n) for n in (8, 1, 9, 200, 7,
                                                             255))) + sent
    yield "errors", steps((RECV, 20), *((FAIL, n) for n in range(4)),
                          (RECV, 127), (FAIL, 6)) + sent
    yield "reset", steps((RECV, 127), (FAIL, 4)) + sent
    for name, length in (("zero", 0), ("long", 65536), ("huge", 0xffffffff)):
        yield name, steps((RECV, 127), (REFILL, 0), (REFILL, 0)) + sent[
            :4 + len(frames[0][1])] + struct.pack("!I", length)
    yield "to-guest", steps((SLOTS, 3), (FLUSH, 7), (FLUSH, 255), (SLOTS, 15),
                            (SLOTS | 64, 200), (FLUSH | 64, 90), (SLOTS, 1),
                            (FLUSH, 255), (SLOTS | 128, 9), (FLUSH, 255))
    for error in range(6):
        yield f"send-fails-{error}", steps(
            (SLOTS, 3), (SEND_FAILS, 8 * 9 + error), (EVENT, 32), (
                FLUSH, 255), (EVENT, 2), (EVENT, 48), (RECV, 127), (
                EVENT, 32), (SLOTS, 1), (FLUSH, 255)) + sent


# ---- test/fuzz/netlink.c ----

NEWADDR, NEWROUTE, ERROR, DONE = 20, 24, 2, 3
MULTIPATH = 9


def attr(kind, data):
    out = struct.pack("HH", 4 + len(data), kind) + data
    return out + bytes(-len(out) % 4)


def message(kind, body, seq=0):
    return struct.pack("IHHII", 16 + len(body), kind, 2, seq, 0) + body


def address(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else
                            socket.AF_INET, text)


def route(gw="192.0.2.1", oif=3, metric=100, dst_len=0, table=254, kind=1,
          more=b""):
    family = socket.AF_INET6 if ":" in gw else socket.AF_INET
    return message(NEWROUTE, struct.pack("BBBBBBBBI", family, dst_len, 0, 0,
                                         table, 0, 0, kind, 0) +
                   attr(5, address(gw)) + attr(4, struct.pack("I", oif)) +
                   attr(6, struct.pack("I", metric)) + more)


def host_address(text="192.0.2.5", length=24, flags=128, scope=0, index=1,
                 more=b""):
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return message(NEWADDR, struct.pack("BBBBI", family, length, flags & 255,
                                        scope, index) +
                   attr(1, address(text)) + attr(8, struct.pack("I", flags)) +
                   more)


def hop(gw, index, weight):
    body = attr(5, address(gw))
    return struct.pack("HBBi", 8 + len(body), 0, weight, index) + body


def answers():
    """What test/fuzz/netlink.c reads."""
    def whole(pick, *datagrams):
        return bytes((pick,)) + b"".join(struct.pack("!H", len(d)) + d
                                         for d in datagrams)

    done = message(DONE, bytes(4))
    hops = attr(MULTIPATH, hop("192.0.2.1", 2, 1) + hop("192.0.2.9", 3, 9))
    routes = {
        "default": route(), "six": route("fe80::1", 2),
        "two": route(metric=9) + route("192.0.2.7", 2, 5),
        "hops": route(more=hops),
        "table": route(more=attr(15, struct.pack("I", 100))),
        "source": route(more=attr(7, address("192.0.2.5"))),
        "prefix": route(dst_len=24, more=attr(1, address("192.0.2.0"))),
        "blackhole": route(kind=6),
    }
    addrs = {
        "four": host_address(), "six": host_address("2001:db8::5", 64),
        "link": host_address("fe80::5", 64, scope=253),
        "temporary": host_address("2001:db8::6", 64, 1),
        "tentative": host_address("2001:db8::7", 64, 0x40),
        "deprecated": host_address("2001:db8::8", 64, 0x20),
        "unique": host_address("fd00::5", 64),
        "loopback": host_address("127.0.0.1", 8, scope=254),
        "local": host_address(more=attr(2, address("198.51.100.1"))),
        "long": host_address(length=33),
        "mapped": host_address("::ffff:192.0.2.5", 128),
    }
    for name, data in routes.items():
        for pick in (0, 4, 0x20, 0x24, 0x09, 0x19, 0x1d, 0x3d):
            yield f"route-{name}-{pick}", whole(pick, data, done)
    for name, data in addrs.items():
        for pick in (2, 6, 10, 14, 3, 0x82, 0x86):
            yield f"addr-{name}-{pick}", whole(pick, data + data, done)
    none = message(ERROR, struct.pack("i", -101) + bytes(16), 1)
    for name, data in routes.items():
        for pick in (0x20, 0x24, 0x29, 0x2d):
            yield f"dump-{name}-{pick}", whole(
                pick, *(none,) * 4, data, done)
    short = message(ERROR, struct.pack("i", -105) + bytes(16))
    for pick in (0, 2, 3, 9, 0x42):
        yield f"no-memory-{pick}", whole(pick, short)
        yield f"not-sent-{pick}", whole(pick, b"", done)
    yield "left-over", whole(0x42, done, b"", *addrs.values(), done)
    every = b"".join(addrs.values())
    yield "all", whole(3, every, every, done)
    yield "error", whole(2, message(ERROR, struct.pack("i", -1) + bytes(16)))
    yield "cut", whole(2, every[:50]) + every[50:70]
    yield "long", b"\2\xff\xff"


# ---- test/fuzz/watch.c ----

NEWNEIGH, DELNEIGH, NDA_DST, NTF_ROUTER = 28, 29, 1, 0x80
FROM_NETLINK, FROM_INOTIFY, LINK, PATH = range(4)
IN_MODIFY, IN_DELETE_SELF, IN_IGNORED = 0x2, 0x400, 0x8000


def neighbour(kind=NEWNEIGH, family=socket.AF_INET6, flags=0, more=b""):
    return message(kind, struct.pack("BBHiHBB", family, 0, 0, 2, 2, flags,
                                     1) + more)


def inotify_event(mask, name=b""):
    return struct.pack("iIII", 1, mask, 0, len(name)) + name


def changes():
    """What test/fuzz/watch.c reads."""
    def parts(pick, *some):
        return bytes((pick,)) + b"".join(struct.pack("!H", kind << 14 | len(
            data)) + data for kind, data in some)

    link_local = attr(NDA_DST, address("fe80::1"))
    messages = {
        "route": route(), "address": host_address(),
        "router": neighbour(flags=NTF_ROUTER), "host": neighbour(),
        "gone": neighbour(DELNEIGH, flags=NTF_ROUTER),
        "four": neighbour(family=socket.AF_INET, flags=NTF_ROUTER),
        "link-local": neighbour(more=link_local),
        "global": neighbour(more=attr(NDA_DST, address("2001:db8::5"))),
        "both": neighbour(more=link_local + attr(NDA_DST, address("::5"))),
        "short": neighbour()[:26], "cut": neighbour(more=link_local)[:40],
        "long": neighbour(more=struct.pack("HH", 99, NDA_DST) + bytes(16)),
        "odd": neighbour(more=attr(NDA_DST, b"\xfe\x80") + link_local),
        "empty": b"",
    }
    for name, data in messages.items():
        for pick in (0, 0x10, 2):
            yield f"netlink-{name}-{pick}", parts(pick, (FROM_NETLINK, data))
    yield "netlink-many", parts(0, *((FROM_NETLINK, neighbour()),) * 65,
                                (FROM_NETLINK, route()))
    events = {
        "modify": inotify_event(IN_MODIFY, b"resolv.conf".ljust(16, b"\0")),
        "ignored": inotify_event(IN_IGNORED), "cut": inotify_event(2)[:9],
        "deleted": inotify_event(IN_DELETE_SELF) + inotify_event(IN_IGNORED),
        "beyond": inotify_event(2, bytes(16))[:20], "empty": b"",
    }
    for name, data in events.items():
        for pick in (0, 1, 8, 2):
            yield f"inotify-{name}-{pick}", parts(pick, (FROM_INOTIFY, data))
    far = b"d/" * 1020
    paths = {
        "link": ((LINK, b"/run/resolve/stub"),), "none": ((PATH, b""),),
        "relative": ((LINK, b"../run/stub"), (LINK, b"other"), (LINK, b"")),
        "loop": ((LINK, b"resolv.conf"),) * 10,
        "long": ((PATH, far + b"x"), (LINK, far + far)),
        "too-long": ((PATH, far + far + b"resolv.conf123456789"),),
        "deep": ((PATH, b"a/b/c/d/e"), (LINK, b"/x/y/z")),
        "root": ((PATH, b"x"), (LINK, b"/"), (LINK, b"/")),
    }
    for name, some in paths.items():
        for pick in (0, 128):
            yield f"path-{name}-{pick}", parts(pick, *some)
    for pick in (1, 2, 3, 4, 0x20, 0x30, 0x40):
        yield f"pick-{pick}", parts(pick, (FROM_NETLINK, route()))


def draws():
    """What test/fuzz/tcp_walk.c and tcp_world.c read."""
    for i in range(32):
        yield f"draws-{i}", bytes((i * 7 + n * n * (2 * i + 1)) >> 2 & 255
                                  for n in range(32 + 11 * i))
