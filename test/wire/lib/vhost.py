# SPDX-License-Identifier: AGPL-3.0-or-later
"""A vhost-user front-end that can make every possible error.

A Front can send any message, with any payload and descriptors, and can write
anything to its memory and rings. start() does everything right, in the order of
qemu 10. VhostGuest is a Guest (guest.py) behind such a front-end.

A byte of guest memory has an offset in the shared file, a guest-physical
address (gpa), which descriptors use, and an address of the front-end (uva),
which SET_VRING_ADDR uses. The distances between the three are different in each
region, so that a test fails if passt confuses them.
"""
import array
import mmap
import os
import select
import socket
import struct
import time

from . import packet
from .guest import Guest
from .passt import Failure, SLOW

# Requests of the front-end.
(GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE,
 SET_LOG_BASE, SET_LOG_FD, SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE,
 GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR,
 GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM,
 SET_VRING_ENABLE, SEND_RARP, NET_SET_MTU, SET_BACKEND_REQ_FD, IOTLB_MSG,
 SET_VRING_ENDIAN, GET_CONFIG, SET_CONFIG) = range(1, 26)
GET_INFLIGHT_FD, SET_INFLIGHT_FD, RESET_DEVICE = 31, 32, 34
GET_MAX_MEM_SLOTS, ADD_MEM_REG, REM_MEM_REG = 36, 37, 38
SET_STATUS, GET_STATUS = 39, 40
VERSION, REPLY, NEED_REPLY = 1, 4, 8
NO_FD = 1 << 8                  # flag in the payload of KICK, CALL, ERR

# Features, as bits.
CSUM, GUEST_CSUM, F_MTU = 0, 1, 3
GUEST_TSO4, GUEST_TSO6, GUEST_ECN = 7, 8, 9
HOST_TSO4, HOST_TSO6, HOST_ECN, MRG_RXBUF = 11, 12, 13, 15
GUEST_ANNOUNCE, LOG_ALL, INDIRECT, EVENT_IDX, PROTOCOL = 21, 26, 28, 29, 30
VERSION_1, GUEST_USO4, GUEST_USO6, HOST_USO = 32, 54, 55, 56
P_MQ, P_REPLY_ACK, P_MTU, P_BACKEND_REQ, P_RESET, P_SLOTS, P_STATUS = \
    0, 3, 4, 5, 13, 15, 16

PLAIN = (MRG_RXBUF, PROTOCOL, VERSION_1)
NEXT, WRITE, IN_TABLE = 1, 2, 4     # flags of descriptors
NEEDS_CSUM, DATA_VALID = 1, 2       # flags of the virtio-net header
VNET = 12                       # bytes of the virtio-net header
RX, TX = 0, 1
RINGS, BUFFERS = 0x400000, 0x4000000        # bytes of the two regions


def bits(*names):
    return sum(1 << n for n in names)


def u64(value):
    return struct.pack("=Q", value)


def state(index, num=0):
    return struct.pack("=II", index, num)


class Region:
    """A region of guest memory, at @offset in the file, at @gpa and at @uva."""

    def __init__(self, gpa, uva, offset, size):
        self.gpa, self.uva, self.offset, self.size = gpa, uva, offset, size

    def wire(self):
        return struct.pack("=QQQQ", self.gpa, self.size, self.uva,
                           self.offset)


class Ring:
    """A split virtqueue in the first region, at offset @at."""

    def __init__(self, front, index, size, at):
        self.front, self.index, self.size = front, index, size
        self.desc = at
        self.avail = at + 16 * size
        self.used = self.avail + 2 * size + 8
        self.avail_idx = self.last_used = 0
        self.kick, self.call = (os.eventfd(0, os.EFD_NONBLOCK)
                                for _ in range(2))

    def close(self):
        os.close(self.kick)
        os.close(self.call)

    def uva(self, at):
        return self.front.rings.uva + at

    def addr(self, **other):
        """The payload of SET_VRING_ADDR. @other: fields with wrong values."""
        f = {"index": self.index, "flags": 0, "desc": self.uva(self.desc),
             "used": self.uva(self.used), "avail": self.uva(self.avail),
             "log": 0, **other}
        return struct.pack("=IIQQQQ", f["index"], f["flags"], f["desc"],
                           f["used"], f["avail"], f["log"])

    def write_desc(self, i, addr, length, flags=0, following=0):
        self.front.put(self.desc + 16 * i, struct.pack(
            "=QIHH", addr, length, flags, following))

    def show(self, *heads, kick=True):
        """Makes chains available. @heads: their first descriptors."""
        for head in heads:
            self.front.put(self.avail + 4 + 2 * (self.avail_idx % self.size),
                           struct.pack("=H", head))
            self.avail_idx = (self.avail_idx + 1) & 0xffff
        self.show_index(self.avail_idx)
        if kick:
            self.notify()

    def show_index(self, index):
        self.front.put(self.avail + 2, struct.pack("=H", index))

    def notify(self):
        os.eventfd_write(self.kick, 1)

    def want_call(self):
        """Asks passt to notify at the next used buffer, with or without
        EVENT_IDX."""
        self.front.put(self.avail, struct.pack("=H", 0))
        self.front.put(self.avail + 4 + 2 * self.size,
                       struct.pack("=H", self.last_used))

    def used_index(self):
        return struct.unpack("=H", self.front.get(self.used + 2, 2))[0]

    def take(self):
        """Takes the next used buffer: (head, bytes); None if there is none."""
        if self.used_index() == self.last_used:
            return None
        at = self.used + 4 + 8 * (self.last_used % self.size)
        self.last_used = (self.last_used + 1) & 0xffff
        return struct.unpack("=II", self.front.get(at, 8))

    def used_within(self, timeout=2 * SLOW):
        """Waits for a used buffer, and takes it; fails if none comes."""
        end = time.monotonic() + timeout
        while True:
            used = self.take()
            if used:
                return used
            if time.monotonic() > end:
                raise Failure(f"ring {self.index}: no used buffer within "
                              f"{timeout:g} s")
            self.wait_call(0.05)

    def wait_call(self, timeout):
        """Sleeps until passt notifies, at most @timeout seconds."""
        self.want_call()
        if self.used_index() == self.last_used:
            select.select([self.call, self.front.sock], [], [], timeout)
        self.calls()

    def calls(self):
        """Number of notifications from passt since the last time."""
        try:
            return os.eventfd_read(self.call)
        except BlockingIOError:
            return 0


class Front:
    """A front-end, with one pair of queues.

    @want, @protocol: numbers of features to accept if passt offers them
    @size: entries of each ring
    @buffer: bytes of each receive buffer
    """

    def __init__(self, path, want=PLAIN, protocol=(P_REPLY_ACK,), size=256,
                 buffer=4096):
        self.path, self.size, self.buffer = path, size, buffer
        self.want, self.want_protocol = bits(*want), bits(*protocol)
        self.features = self.protocol = 0
        self.file = os.memfd_create("guest", os.MFD_CLOEXEC)
        os.ftruncate(self.file, RINGS + BUFFERS)
        self.memory = mmap.mmap(self.file, RINGS + BUFFERS)
        self.rings = Region(0x40000000, 0x7f0000000000, 0, RINGS)
        self.buffers = Region(0x100000000, 0x7e0000000000, RINGS, BUFFERS)
        self.queue = [Ring(self, i, size, i * RINGS // 2) for i in range(2)]
        self.sock = None

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(5 * SLOW)
        self.sock.connect(self.path)
        return self

    def close(self):
        if self.sock:
            self.sock.close()
            self.sock = None
        for ring in self.queue:
            ring.close()
        self.queue = []
        self.memory.close()
        os.close(self.file)

    # --- memory; @at is an offset in the file

    def put(self, at, data):
        self.memory[at:at + len(data)] = data

    def get(self, at, length):
        return self.memory[at:at + length]

    def gpa(self, at):
        r = self.rings if at < RINGS else self.buffers
        return r.gpa + at - r.offset

    # --- messages

    def send(self, request, payload=b"", fds=(), flags=VERSION, size=None):
        """Sends any message. @size: a wrong length for its header."""
        header = struct.pack("=III", request, flags,
                             len(payload) if size is None else size)
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                    array.array("i", fds))] if fds else []
        self.sock.sendmsg([header + payload], control)

    def receive(self, request):
        """Receives the answer to a message. Returns its payload."""
        header = self.exactly(12)
        got, flags, size = struct.unpack("=III", header)
        if got != request or flags != VERSION | REPLY:
            raise Failure(f"answer to {request}: {got}, flags {flags:#x}")
        return self.exactly(size)

    def exactly(self, length):
        data = b""
        while len(data) < length:
            part = self.sock.recv(length - len(data))
            if not part:
                raise EOFError("passt closed the link")
            data += part
        return data

    def ask(self, request, payload=b"", fds=()):
        """Sends a message. Returns the number in the answer."""
        self.send(request, payload, fds)
        return struct.unpack("=Q", self.receive(request))[0]

    def sure(self, request, payload=b"", fds=()):
        """Sends a message. Returns whether passt accepted it; true if REPLY_ACK
        was not negotiated."""
        if not self.protocol & bits(P_REPLY_ACK):
            self.send(request, payload, fds)
            return True
        self.send(request, payload, fds, VERSION | NEED_REPLY)
        return struct.unpack("=Q", self.receive(request))[0] == 0

    def alive(self):
        """Whether passt has kept the link open: it still answers."""
        try:
            self.sock.settimeout(5 * SLOW)
            self.ask(GET_FEATURES)
            return True
        except (EOFError, ConnectionError):
            return False

    def closed(self, timeout=5 * SLOW):
        """Whether passt closes the link within @timeout; ignores messages
        before that."""
        self.sock.settimeout(timeout)
        try:
            while self.sock.recv(4096):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True

    # --- a correct start

    def negotiate(self):
        """Exchanges the messages that come before the guest's driver starts."""
        self.features = self.ask(GET_FEATURES) & self.want
        self.protocol = self.ask(GET_PROTOCOL_FEATURES) & self.want_protocol
        self.send(SET_PROTOCOL_FEATURES, u64(self.protocol))
        self.send(SET_OWNER)
        for i in RX, TX:
            self.send(SET_VRING_CALL, u64(i), [self.queue[i].call])

    def share(self):
        """Gives passt the memory."""
        if self.protocol & bits(P_SLOTS):
            for region in self.rings, self.buffers:
                self.sure(ADD_MEM_REG, u64(0) + region.wire(), [self.file])
            return
        self.sure(SET_MEM_TABLE, state(2) + self.rings.wire() +
                  self.buffers.wire(), [self.file, self.file])

    def set_up(self, i, base=0):
        """Sends all that a ring needs before its first notification."""
        ring = self.queue[i]
        self.send(SET_VRING_NUM, state(i, self.size))
        self.send(SET_VRING_BASE, state(i, base))
        self.send(SET_VRING_ADDR, ring.addr())
        self.send(SET_VRING_KICK, u64(i), [ring.kick])
        self.send(SET_VRING_CALL, u64(i), [ring.call])

    def enable(self, on=True):
        for i in RX, TX:
            self.sure(SET_VRING_ENABLE, state(i, on))

    def start(self):
        """Connects, negotiates, starts the rings, posts receive buffers."""
        self.connect()
        self.negotiate()
        self.send(SET_FEATURES, u64(self.features))
        self.share()
        for i in RX, TX:
            self.set_up(i)
        self.enable()
        self.post_all()
        self.queue[TX].notify()
        return self

    # --- frames

    def rx_at(self, i):
        return RINGS + i * self.buffer

    def tx_at(self, i):
        return RINGS + BUFFERS // 2 + i % 256 * 0x11000

    def post(self, i):
        """Writes the descriptor of the @i-th receive buffer."""
        self.queue[RX].write_desc(i, self.gpa(self.rx_at(i)), self.buffer,
                                  WRITE)

    def post_all(self):
        for i in range(self.size):
            self.post(i)
        self.queue[RX].show(*range(self.size))

    def send_frames(self, frames, header=bytes(VNET)):
        """Sends frames, each after this virtio-net header, with one
        notification if they fit in the ring."""
        ring, heads = self.queue[TX], []
        for frame in frames:
            while self.in_flight() + len(heads) >= min(self.size, 256):
                if heads:
                    ring.show(*heads)
                    heads = []
                ring.used_within()
            i = (ring.avail_idx + len(heads)) % self.size
            self.put(self.tx_at(i), header + frame)
            ring.write_desc(i, self.gpa(self.tx_at(i)), VNET + len(frame))
            heads.append(i)
        ring.show(*heads)

    def in_flight(self):
        ring = self.queue[TX]
        while ring.take():
            pass
        return (ring.avail_idx - ring.last_used) & 0xffff

    def recv_frame(self, timeout=2 * SLOW):
        """Receives a frame: (virtio-net header, frame); None if none comes."""
        ring, end = self.queue[RX], time.monotonic() + timeout
        while True:
            used = ring.take()
            if used:
                return self.gather(used)
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.check_link()
            ring.wait_call(min(left, 0.05))

    def check_link(self):
        """Raises EOFError if passt has closed the link."""
        if select.select([self.sock], [], [], 0)[0] and \
                not self.sock.recv(1, socket.MSG_PEEK):
            raise EOFError("passt closed the link")

    def gather(self, used):
        """Collects a frame from all its buffers, and posts them again."""
        head, length = used
        data = self.get(self.rx_at(head), length)
        heads = [head]
        header, frame = data[:VNET], data[VNET:]
        for _ in range(1, struct.unpack_from("=H", header, 10)[0]):
            head, length = self.queue[RX].used_within(0.1)
            frame += self.get(self.rx_at(head), length)
            heads.append(head)
        for head in heads:
            self.post(head)
        self.queue[RX].show(*heads)
        return header, frame


class VhostGuest(Guest):
    """A guest without offloads, so that frames are as on a wire."""

    want = PLAIN
    front = None

    def connect(self, hello=True):
        end = time.monotonic() + 5 * SLOW
        while True:
            try:
                self.front = Front(self.passt.path, self.want)
                self.front.start()
                if not hello or self._hello():
                    return
            except (ConnectionError, FileNotFoundError, EOFError,
                    TimeoutError):
                pass
            self.close()
            if not self.passt.alive():
                raise Failure("passt is gone: " + self.passt.log()[-400:])
            if time.monotonic() > end:
                raise Failure("no answer from passt on a new link")
            time.sleep(0.01)

    def close(self):
        if self.front:
            self.front.close()
            self.front = None

    def send_frames(self, frames):
        for f in frames:
            self._note(">", packet.describe(f))
        self.front.send_frames(frames)

    def _frame(self, deadline):
        got = self.front.recv_frame(max(deadline - time.monotonic(), 0))
        if got is None:
            return None
        header, frame = got
        flags = DATA_VALID if GUEST_CSUM in self.want else 0
        if header[0] & ~flags or header[1:10] != bytes(9):
            raise Failure("virtio-net header of what was not negotiated: "
                          + header.hex())
        return frame
