# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests of vhost-user: an error of a front-end or guest must have no worse
result than a closed link.

Each case() is a test: given a link that works, when the front-end or guest
makes one error, then passt closes the link (or does not, if the protocol says
so), closes all descriptors of it, and serves the next guest.
"""
import os
import socket
import struct
import time

from lib import packet
from lib.case import Failure, add_test, main, test
from lib.guest import fresh_port
from lib.netns import GATEWAY, PEER
from lib.packet import ETH_ARP
from lib.passt import SLOW
from lib.vhost import (ADD_MEM_REG, EVENT_IDX, F_MTU, Front, GET_FEATURES,
                       GET_PROTOCOL_FEATURES, GET_QUEUE_NUM, GET_STATUS,
                       GET_VRING_BASE, INDIRECT, IN_TABLE,
                       NEED_REPLY, NET_SET_MTU, NEXT, NO_FD, PLAIN, P_MTU,
                       P_REPLY_ACK, P_RESET, P_SLOTS, P_STATUS, REM_MEM_REG,
                       RESET_DEVICE, RINGS, RX, SET_FEATURES, SET_MEM_TABLE,
                       SET_OWNER, SET_PROTOCOL_FEATURES, SET_STATUS,
                       SET_VRING_ADDR, SET_VRING_BASE, SET_VRING_CALL,
                       SET_VRING_ENABLE, SET_VRING_ERR, SET_VRING_KICK,
                       SET_VRING_NUM, TX, VERSION, VNET,
                       VhostGuest, WRITE, state, u64)

OPTIONS = ("--vhost-user",)
ALL = (*PLAIN, INDIRECT, EVENT_IDX)
SLOTS = (P_REPLY_ACK, P_SLOTS, P_STATUS, P_RESET)
MANY = 253                      # SCM_MAX_FD: most descriptors in one message
CLOSED, OPEN, EITHER = "closed", "open", "either"


def arp_request(g):
    return packet.eth(packet.BROADCAST, g.mac, ETH_ARP, packet.arp(
        1, g.mac, g.addr[4], "00:00:00:00:00:00", GATEWAY[4]))


def served(w, p):
    """Fails unless passt answers a new guest."""
    g = VhostGuest(p)
    w.guests.append(g)
    g.connect()
    g.send_arp(GATEWAY[4])
    g.expect(g.is_arp(GATEWAY[4]), "ARP reply for the next guest")
    g.close()


def settled_fds(p, want):
    """Fails unless passt soon has no more descriptors than @want."""
    end = time.monotonic() + 3 * SLOW
    while want is not None and p.fds() > want:
        if time.monotonic() > end:
            raise Failure(f"{p.fds()} descriptors, {want} before")
        time.sleep(0.02)


def attempt(w, wrong, outcome, front=None):
    """Given a running link, when @wrong(front) makes an error, then the link is
    as @outcome says, and passt serves the next guest.

    @outcome: CLOSED, OPEN or EITHER
    @front: makes a front-end, if a running one is not suitable
    """
    p = w.passt(*OPTIONS)
    served(w, p)
    before = p.fds()
    f = front(p.path) if front else Front(p.path, ALL).start()
    try:
        try:
            wrong(f)
        except (BrokenPipeError, ConnectionResetError, EOFError):
            if outcome == OPEN:
                raise
        if outcome == CLOSED and not f.closed():
            raise Failure("the link is still open")
        if outcome == OPEN and not f.alive():
            raise Failure("the link was closed")
        if outcome == EITHER:
            time.sleep(0.05)
    finally:
        f.close()
    if not p.alive():
        raise Failure(f"passt ended with {p.proc.returncode}")
    settled_fds(p, before)
    served(w, p)


def case(name, wrong, outcome=CLOSED, front=None):
    add_test(f"vhost {name}", lambda w: attempt(w, wrong, outcome, front))


def connected(path):
    return Front(path, ALL).connect()


def negotiated(path):
    f = Front(path, ALL).connect()
    f.negotiate()
    return f


def with_slots(path):
    return Front(path, ALL, SLOTS).start()


#
# Messages.
#

ADDR = struct.Struct("=IIQQQQ")
TABLE = state(2) + bytes(2 * 32)

# For each request, a payload of the right size.
PAYLOADS = {
    SET_FEATURES: u64(0), SET_PROTOCOL_FEATURES: u64(0),
    SET_MEM_TABLE: TABLE, SET_VRING_NUM: state(0, 256),
    SET_VRING_ADDR: bytes(ADDR.size), SET_VRING_BASE: state(0),
    GET_VRING_BASE: state(0), SET_VRING_KICK: u64(0), SET_VRING_CALL: u64(0),
    SET_VRING_ERR: u64(0), SET_VRING_ENABLE: state(0, 1),
    NET_SET_MTU: u64(1500), ADD_MEM_REG: bytes(40), REM_MEM_REG: bytes(40),
    SET_STATUS: u64(0),
}
EMPTY = (GET_FEATURES, SET_OWNER, GET_PROTOCOL_FEATURES, GET_QUEUE_NUM,
         GET_STATUS, RESET_DEVICE)
TAKES_FD = (SET_MEM_TABLE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR,
            ADD_MEM_REG, REM_MEM_REG)


def sends(request, payload=b"", count=0, **kw):
    """Makes a function for case() that sends one message with @count
    descriptors."""
    def wrong(f):
        f.send(request, payload, [f.file] * count, **kw)
    return wrong


for number, right in PAYLOADS.items():
    for what, payload in (("none", b""), ("one less", right[:-1]),
                          ("one more", right + b"\0"),
                          ("a page", right.ljust(4096, b"\0"))):
        case(f"message {number} with a payload of {what}",
             sends(number, payload, int(number in TAKES_FD)),
             front=with_slots)
for number in EMPTY:
    case(f"message {number} with a payload", sends(number, bytes(8)),
         front=with_slots)
for number in (*PAYLOADS, *EMPTY):
    if number not in TAKES_FD:
        case(f"message {number} with a descriptor",
             sends(number, PAYLOADS.get(number, b""), 1), front=with_slots)
        case(f"message {number} with {MANY} descriptors",
             sends(number, PAYLOADS.get(number, b""), MANY),
             front=with_slots)

case("header of version 0", sends(GET_FEATURES, flags=0))
case("header of version 2", sends(GET_FEATURES, flags=2))
case("size of 4 GiB", sends(SET_FEATURES, u64(0), size=0xffffffff))
case("size of one more than was sent, then the end",
     lambda f: (f.send(SET_FEATURES, u64(0), size=9),
                f.sock.shutdown(socket.SHUT_WR)))
case("half a header, then the end",
     lambda f: (f.sock.send(b"\1\0\0\0\1\0"),
                f.sock.shutdown(socket.SHUT_WR)), front=connected)
case("nothing at all, then the end",
     lambda f: f.sock.shutdown(socket.SHUT_WR), front=connected)
case("a frame of the stream link",
     lambda f: f.sock.send(struct.pack("!I", 60) + bytes(60)),
     front=connected)


def in_pieces(f):
    """Sends a valid message byte by byte; passt must accept it."""
    message = struct.pack("=III", GET_FEATURES, VERSION, 0)
    for i in range(12):
        f.sock.send(message[i:i + 1])
        time.sleep(0.002)
    f.receive(GET_FEATURES)


def two_at_once(f):
    f.sock.send(2 * struct.pack("=III", GET_FEATURES, VERSION, 0))
    for _ in range(2):
        f.receive(GET_FEATURES)


def unknown_with_reply(f):
    f.send(99, u64(0), flags=VERSION | NEED_REPLY)
    if f.receive(99) == u64(0):
        raise Failure("an unknown message went well")


case("a message byte by byte", in_pieces, OPEN)
case("two messages at once", two_at_once, OPEN)
case("an unknown message", sends(99, u64(0)), OPEN)
case("an unknown message that needs a reply", unknown_with_reply, OPEN)

#
# Indices, sizes, addresses.
#

for index in 32, 255, 0x10000, 0x7fffffff, 0xffffffff:
    for number in (SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE,
                   SET_VRING_ENABLE):
        case(f"message {number} for ring {index:#x}",
             sends(number, state(index, 1)))
    case(f"addresses for ring {index:#x}",
         lambda f, i=index: f.send(SET_VRING_ADDR,
                                   f.queue[RX].addr(index=i)))
for index in 32, 254, 255:
    for number in SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR:
        case(f"descriptor {number} for ring {index}",
             sends(number, u64(index), 1))

for size in 0, 3, 255, 1 << 16, 0xffffffff:
    case(f"ring of {size} entries", sends(SET_VRING_NUM, state(0, size)))


def addresses(part, address):
    def wrong(f):
        f.send(GET_VRING_BASE, state(TX))
        f.receive(GET_VRING_BASE)
        f.send(SET_VRING_ADDR, f.queue[TX].addr(**{part: address(f)}))
        f.send(SET_VRING_KICK, u64(TX), [f.queue[TX].kick])
        f.queue[TX].notify()
    return wrong


for part in "desc", "avail", "used":
    for what, address in (
            ("nowhere", lambda f: 0x1000),
            ("at the end of memory", lambda f: f.rings.uva + RINGS - 16),
            ("at the end of all addresses", lambda f: (1 << 64) - 16),
            ("guest-physical", lambda f: f.rings.gpa),
            ("odd", lambda f: f.rings.uva + 1)):
        case(f"{part} {what}", addresses(part, address))

#
# Descriptors and memory.
#

for number in SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR:
    case(f"message {number} without a descriptor", sends(number, u64(0)))
    case(f"message {number} with two descriptors", sends(number, u64(0), 2))
    case(f"message {number} with {MANY} descriptors",
         sends(number, u64(0), MANY))
    case(f"message {number} that says it has none, and has one",
         sends(number, u64(NO_FD), 1))
for count in 0, 1, 3, 8, MANY:
    case(f"two regions with {count} descriptors",
         lambda f, n=count: f.send(
             SET_MEM_TABLE, state(2) + f.rings.wire() + f.buffers.wire(),
             [f.file] * n))
for count in 0, 3, 9, 0xffffffff:
    case(f"two regions that are said to be {count:#x}",
         lambda f, n=count: f.send(
             SET_MEM_TABLE, state(n) + f.rings.wire() + f.buffers.wire(),
             [f.file] * 2))


def region(**other):
    """Makes a function for case() that shares a wrong second region.

    @other: wrong values of its attributes
    """
    def wrong(f):
        for key, value in other.items():
            setattr(f.buffers, key, value)
        f.send(SET_MEM_TABLE, state(2) + f.rings.wire() + f.buffers.wire(),
               [f.file, f.file])
    return wrong


case("region of no bytes", region(size=0))
case("region of 2^63 bytes", region(size=1 << 63))
case("region of 2^64 - 1 bytes", region(size=(1 << 64) - 1))
case("region that ends beyond all addresses", region(gpa=(1 << 64) - 4096))
case("region whose offset is beyond all", region(offset=(1 << 64) - 4096))
case("two regions at one guest-physical address", region(gpa=0x40000000))
case("two regions at one address of the front-end",
     region(uva=0x7f0000000000))


def of_other_kind(opener):
    def wrong(f):
        fd = opener()
        try:
            f.send(SET_MEM_TABLE, state(2) + f.rings.wire() +
                   f.buffers.wire(), [f.file, fd])
        finally:
            os.close(fd)
    return wrong


case("memory that is a directory", of_other_kind(
    lambda: os.open("/", os.O_RDONLY)))
case("memory that is an eventfd", of_other_kind(lambda: os.eventfd(0)))
case("memory that can't be written", of_other_kind(
    lambda: os.open("/proc/self/exe", os.O_RDONLY)))


def removed_twice(f):
    for _ in range(2):
        f.send(REM_MEM_REG, u64(0) + f.buffers.wire())


def added_without_end(f):
    """Adds more regions than any back-end takes; some take 512."""
    for i in range(600):
        f.send(ADD_MEM_REG, u64(0) + struct.pack(
            "=QQQQ", (i + 1) << 40, 4096, (i + 1) << 41, 0), [f.file])


case("region that was removed already", removed_twice, front=with_slots)
case("regions without end", added_without_end, front=with_slots)
case("region that is there already", lambda f: f.send(
    ADD_MEM_REG, u64(0) + f.buffers.wire(), [f.file]), front=with_slots)


def truncated(f):
    """Truncates the shared file, so that passt has mapped memory beyond its
    end."""
    os.ftruncate(f.file, RINGS + 4096)
    f.queue[TX].write_desc(0, f.buffers.gpa + (1 << 20), 64)
    f.queue[TX].show(0)


def truncated_to_nothing(f):
    tx = f.queue[TX]
    f.queue[TX].write_desc(0, f.gpa(f.tx_at(0)), 64)
    os.ftruncate(f.file, 0)
    tx.notify()


case("memory that was truncated", truncated)
case("rings that were truncated", truncated_to_nothing)

#
# Rings. If a guest writes something wrong, passt may close the link or drop it.
#


def chain(*descs, index=TX, table=(), heads=(0,)):
    """Makes a function for case() that writes descriptors, and makes chains
    available.

    @descs: (number, address, bytes, flags, next) of each descriptor
    @table: the same without number, for an indirect table
    @heads: first descriptors of the chains
    """
    def wrong(f):
        ring = f.queue[index]
        for at, (addr, length, flags, following) in enumerate(table):
            f.put(f.tx_at(200) + 16 * at, struct.pack(
                "=QIHH", addr or f.gpa(f.tx_at(1)), length, flags, following))
        for i, addr, length, flags, following in descs:
            ring.write_desc(i, addr(f), length, flags, following)
        ring.show(*heads)
        time.sleep(0.05)
        f.ask(GET_FEATURES)
    return wrong


def here(f):
    return f.gpa(f.tx_at(0))


def table_at(f):
    return f.gpa(f.tx_at(200))


for name, wrong in {
        "head beyond the ring": chain(heads=(256,)),
        "head of 65535": chain(heads=(0xffff,)),
        "chain to itself": chain((0, here, 64, NEXT, 0)),
        "chain of two to itself": chain((0, here, 64, NEXT, 1),
                                        (1, here, 64, NEXT, 0)),
        "chain beyond the ring": chain((0, here, 64, NEXT, 256)),
        "chain of all entries": chain(
            *((i, here, 300, NEXT, i + 1) for i in range(255)),
            (255, here, 300, 0, 0)),
        "buffer nowhere": chain((0, lambda f: 0x1000, 64, 0, 0)),
        "buffer at an address of the front-end": chain(
            (0, lambda f: f.buffers.uva, 64, 0, 0)),
        "buffer that ends beyond its region": chain(
            (0, lambda f: f.rings.gpa + RINGS - 32, 64, 0, 0)),
        "buffer at the end of all addresses": chain(
            (0, lambda f: (1 << 64) - 32, 64, 0, 0)),
        "buffer of 4 GiB": chain((0, here, 0xffffffff, 0, 0)),
        "buffer of no bytes": chain((0, here, 0, 0, 0)),
        "buffer of 256 KiB": chain((0, here, 1 << 18, 0, 0)),
        "buffer shorter than a header": chain((0, here, VNET - 1, 0, 0)),
        "buffer of a header alone": chain((0, here, VNET, 0, 0)),
        "buffer to send that is written": chain((0, here, 64, WRITE, 0)),
        "buffer to receive that is read": chain((0, here, 64, 0, 0),
                                                index=RX),
        "header in pieces": chain((0, here, 5, NEXT, 1), (1, here, 1, NEXT, 2),
                                  (2, here, 60, 0, 0)),
        "empty pieces": chain((0, here, 0, NEXT, 1), (1, here, 64, NEXT, 2),
                              (2, here, 0, 0, 0)),
        "one buffer twice": chain((0, here, 64, 0, 0), heads=(0, 0)),
        "table of no bytes": chain((0, table_at, 0, IN_TABLE, 0)),
        "table of half an entry": chain((0, table_at, 8, IN_TABLE, 0)),
        "table of 4 GiB": chain((0, table_at, 0xfffffff0, IN_TABLE, 0)),
        "table nowhere": chain((0, lambda f: 0x1000, 16, IN_TABLE, 0)),
        "table that is followed by more": chain(
            (0, table_at, 16, IN_TABLE | NEXT, 1), (1, here, 64, 0, 0),
            table=((0, 64, 0, 0),)),
        "table in a table": chain(
            (0, table_at, 16, IN_TABLE, 0), table=((0, 16, IN_TABLE, 0),)),
        "loop in a table": chain(
            (0, table_at, 32, IN_TABLE, 0),
            table=((0, 64, NEXT, 1), (0, 64, NEXT, 0))),
        "next beyond a table": chain(
            (0, table_at, 16, IN_TABLE, 0), table=((0, 64, NEXT, 9),)),
        "table of 1000 entries": chain(
            (0, table_at, 16000, IN_TABLE, 0),
            table=tuple((0, 64, NEXT if i < 999 else 0, i + 1)
                        for i in range(1000))),
}.items():
    case(name, wrong, EITHER)


def jump(by):
    def wrong(f):
        ring = f.queue[TX]
        ring.show_index((ring.avail_idx + by) & 0xffff)
        ring.notify()
        time.sleep(0.05)
        f.ask(GET_FEATURES)
    return wrong


for by in 257, 1000, 32768, 65535:
    case(f"index that jumps by {by}", jump(by), EITHER)


def header(**other):
    """Makes a function for case() that sends frames with a wrong virtio-net
    header.

    @other: fields that are not zero
    """
    f = {"flags": 0, "gso_type": 0, "hdr_len": 0, "gso_size": 0,
         "csum_start": 0, "csum_offset": 0, "buffers": 0, **other}
    raw = struct.pack("=BBHHHHH", *f.values())

    def wrong(front):
        g = VhostGuest(None)
        for frame in arp_request(g), bytes(60), bytes(1514), b"":
            front.send_frames([frame], raw)
        front.queue[TX].used_within()
        front.ask(GET_FEATURES)
    return wrong


for name, fields in {
        "all ones": {"flags": 255, "gso_type": 255, **dict.fromkeys(
            ("hdr_len", "gso_size", "csum_start", "csum_offset", "buffers"),
            65535)},
        "partial checksum": {"flags": 1, "csum_start": 34, "csum_offset": 16},
        "checksum beyond the frame": {"flags": 1, "csum_start": 60000,
                                      "csum_offset": 60000},
        "checksum at the end": {"flags": 1, "csum_start": 58,
                                "csum_offset": 1},
        "segments of no bytes": {"flags": 1, "gso_type": 1, "csum_start": 34,
                                 "csum_offset": 16},
        "segments of one byte": {"flags": 1, "gso_type": 1, "gso_size": 1,
                                 "csum_start": 34, "csum_offset": 16},
        "segments without a partial checksum": {"gso_type": 1,
                                                "gso_size": 1448},
        "segments of an unknown type": {"flags": 1, "gso_type": 77,
                                        "gso_size": 1448},
        "UFO": {"flags": 1, "gso_type": 3, "gso_size": 1448},
        "USO": {"flags": 1, "gso_type": 5, "gso_size": 1448},
        "headers longer than the frame": {"flags": 1, "gso_type": 4,
                                          "hdr_len": 65535, "gso_size": 1448},
        "number of buffers": {"buffers": 3},
}.items():
    case(f"header: {name}", header(**fields), OPEN)

#
# Things that must work.
#


def started(w, *args, **kw):
    """Starts a front-end correctly. Returns passt and the front-end."""
    p = w.passt(*OPTIONS)
    f = Front(p.path, *args, **kw)
    w.undo.append(f.close)
    end = time.monotonic() + 5 * SLOW
    while True:
        try:
            return p, f.start()
        except (ConnectionError, EOFError):
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def asks(f, g, timeout=2 * SLOW):
    """Sends an ARP request. Returns whether passt answers."""
    f.send_frames([arp_request(g)])
    end = time.monotonic() + timeout
    while True:
        got = f.recv_frame(max(end - time.monotonic(), 0))
        if got is None:
            return False
        p = packet.parse(got[1])
        if p.arp and p.arp.sip == GATEWAY[4]:
            return True


def needs(ok, what):
    if not ok:
        raise Failure(what)


@test("vhost")
def every_ring_size_is_served(w):
    for size in 2, 4, 64, 256, 1024, 32768:
        _, f = started(w, ALL, size=size, buffer=2048)
        needs(asks(f, VhostGuest(None)), f"no answer in a ring of {size}")
        f.sock.close()


@test("vhost")
def memory_in_slots_is_served(w):
    _, f = started(w, ALL, SLOTS)
    needs(asks(f, VhostGuest(None)), "no answer")


@test("vhost")
def nothing_is_touched_after_a_ring_was_stopped(w):
    _, f = started(w, ALL)
    g = VhostGuest(None)
    needs(asks(f, g), "no answer")
    f.send(GET_VRING_BASE, state(TX))
    index, base = struct.unpack("=II", f.receive(GET_VRING_BASE))
    needs((index, base) == (TX, f.queue[TX].avail_idx), f"stopped at {base}")
    used = f.queue[TX].used_index()
    f.send_frames([arp_request(g)])
    f.ask(GET_FEATURES)
    time.sleep(0.1)
    needs(f.queue[TX].used_index() == used, "a stopped ring was used")
    f.set_up(TX, base)
    f.queue[TX].notify()
    needs(f.queue[TX].used_within(), "not used after a new start")


@test("vhost")
def a_disabled_ring_drops_and_gives_nothing(w):
    _, f = started(w, ALL)
    g = VhostGuest(None)
    needs(asks(f, g), "no answer")
    f.enable(False)
    needs(not asks(f, g, 0.3), "an answer while disabled")
    needs(f.in_flight() == 0, "what was sent was not consumed")
    f.enable(True)
    needs(asks(f, g), "no answer after rings were enabled")


@test("vhost")
def the_call_may_be_replaced_while_a_ring_runs(w):
    _, f = started(w, ALL)
    g = VhostGuest(None)
    for _ in range(20):
        ring = f.queue[RX]
        os.close(ring.call)
        ring.call = os.eventfd(0, os.EFD_NONBLOCK)
        f.send(SET_VRING_CALL, u64(RX), [ring.call])
        needs(asks(f, g), "no answer")


@test("vhost")
def features_may_be_set_again_while_rings_run(w):
    _, f = started(w, ALL)
    for _ in range(3):
        f.send(SET_FEATURES, u64(f.features))
        needs(asks(f, VhostGuest(None)), "no answer")


@test("vhost")
def status_comes_back_as_it_was_set(w):
    _, f = started(w, ALL, SLOTS)
    for status in 8, 15, 7:
        f.send(SET_STATUS, u64(status))
        needs(f.ask(GET_STATUS) == status, f"status {status} was lost")


@test("vhost")
def an_mtu_is_acknowledged(w):
    _, f = started(w, (*ALL, F_MTU), (P_REPLY_ACK, P_MTU))
    needs(f.sure(NET_SET_MTU, u64(1500)), "an MTU of 1500 was refused")


@test("vhost")
def a_frame_in_many_pieces_is_one_frame(w):
    _, f = started(w, ALL)
    g = VhostGuest(None)
    data = bytes(VNET) + arp_request(g)
    for size in 1, 2, 5, 11, 12, 13, 40:
        ring, f.tx = f.queue[TX], 0
        parts = [data[i:i + size] for i in range(0, len(data), size)]
        for i, part in enumerate(parts):
            f.put(f.tx_at(i), part)
            ring.write_desc(i, f.gpa(f.tx_at(i)), len(part),
                            NEXT if i + 1 < len(parts) else 0, i + 1)
        ring.show(0)
        got = f.recv_frame()
        needs(got and packet.parse(got[1]).arp, f"no answer to pieces of "
              f"{size}")


@test("vhost")
def a_frame_in_an_indirect_table_is_one_frame(w):
    _, f = started(w, ALL)
    needs(f.features >> INDIRECT & 1, "no indirect descriptors")
    data = bytes(VNET) + arp_request(VhostGuest(None))
    f.put(f.tx_at(0), data)
    for i in range(len(data)):
        f.put(f.tx_at(1) + 16 * i, struct.pack(
            "=QIHH", f.gpa(f.tx_at(0)) + i, 1,
            NEXT if i + 1 < len(data) else 0, i + 1))
    f.queue[TX].write_desc(0, f.gpa(f.tx_at(1)), 16 * len(data), IN_TABLE)
    f.queue[TX].show(0)
    got = f.recv_frame()
    needs(got and packet.parse(got[1]).arp, "no answer")


@test("vhost")
def a_long_frame_takes_several_buffers(w):
    """Given small buffers, then a datagram that is longer than one buffer
    comes in several (MRG_RXBUF)."""
    _, f = started(w, ALL, buffer=512)
    g = VhostGuest(w.passt(*OPTIONS))
    g.front = f
    w.guests.append(g)
    with w.udp(4) as s:
        port = fresh_port()
        g.send_udp(PEER[4], port, s.getsockname()[1], b"x")
        _, who = s.recvfrom(10)
        s.sendto(bytes(range(256)) * 5, who)
        p = g.expect(g.is_udp(PEER[4]), "datagram")
        needs(p.udp.data == bytes(range(256)) * 5, "other data")
    g.front = None


@test("vhost")
def indices_wrap(w):
    """More than 65,536 buffers go through a small ring, so that its 16-bit
    indices wrap."""
    _, f = started(w, PLAIN, size=64)
    frame = packet.eth(packet.BROADCAST, "52:54:00:12:34:56", 0x88b5,
                       bytes(50))
    for _ in range(1100):
        f.send_frames([frame] * 60)
    needs(asks(f, VhostGuest(None)), "no answer")


@test("vhost")
def a_flood_of_notifications_ends(w):
    p, f = started(w, ALL)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        for ring in f.queue:
            ring.notify()
    needs(asks(f, VhostGuest(None)), "no answer")
    before = p.cpu()
    time.sleep(0.5)
    needs(p.cpu() - before < 0.05, "passt goes on after the flood")


@test("vhost")
def a_kick_that_cannot_be_read_costs_nothing(w):
    """Given a file or a closed pipe in place of a kick eventfd, then passt does
    not loop."""
    for opener in (lambda: os.open("/dev/zero", os.O_RDONLY),
                   lambda: os.open("/dev/null", os.O_RDONLY),
                   lambda: os.pipe()[0]):
        p, f = started(w, ALL)
        fd = opener()
        f.send(SET_VRING_KICK, u64(TX), [fd])
        os.close(fd)
        time.sleep(0.1)
        before = p.cpu()
        time.sleep(0.5)
        needs(p.cpu() - before < 0.1, "passt spins")
        f.sock.close()


if __name__ == "__main__":
    main()
