# SPDX-License-Identifier: AGPL-3.0-or-later
"""
The guest's end of one TCP connection. It sends only the segments that a test
asks for. Sequence numbers are relative: our SYN and passt's SYN have number 0,
the first byte of data has 1.

Conn._judge() checks every segment from passt against rules that any TCP must
follow, whatever the test is about.
"""
import random

from . import packet
from .guest import SILENCE, fresh_port
from .packet import ACK, FIN, PSH, RST, SYN, TCP, flag_text
from .passt import Failure, SLOW

# Known data: byte n of every stream is _STREAM[n % len(_STREAM)].
_r = random.Random(42)
_STREAM = bytes(_r.randrange(256) for _ in range(65521))


def stream(first, last):
    """Bytes [first, last) of the test stream."""
    n = len(_STREAM)
    reps = (last - first) // n + 2
    at = first % n
    return (_STREAM * reps)[at:at + last - first]


def diff32(a, b):
    """a - b modulo 2^32, signed."""
    d = (a - b) & 0xffffffff
    return d - 2**32 if d & 0x80000000 else d


class Conn:
    def __init__(self, guest, remote, rport, port=None, iss=None, mss=None,
                 wscale=None, win=65535, addr=None):
        self.g = guest
        self.v = packet.family(remote)
        self.remote, self.rport = remote, rport
        self.addr = addr or guest.addr[self.v]
        self.port = port or fresh_port()
        self.iss = random.getrandbits(32) if iss is None else iss
        self.irs = None
        self.snd_nxt = 0            # our next sequence number
        self.snd_max = 0            # the highest that we have ever sent
        self.rcv_nxt = 0            # the next that we expect from passt
        self.win = win              # the window that we advertise, bytes
        self.mss, self.wscale = mss, wscale
        self.their_mss = self.their_wscale = None
        self.their_edge = None      # right edge of passt's window
        self.edge = None            # largest right edge of our window so far
        self.shift = 0              # window scale of our segments
        self.got = bytearray()      # data from passt in order, from number 1
        self.ahead = {}             # data out of order: {number: bytes}
        self.fin_at = None          # sequence number of passt's FIN
        self.reset = False
        self.sackok = False         # we have offered SACK
        self.their_sackok = False
        self.strict = True

    def __str__(self):
        return f"{self.addr}:{self.port} - {self.remote}:{self.rport}"

    # --- sending

    def segment(self, flags, seq=None, ack=None, data=b"", win=None,
                options=b"", **kw):
        """Makes a frame with a segment, and updates our state as if it were
        sent."""
        if seq is None:
            seq = self.snd_nxt
        if ack is None:
            ack = self.rcv_nxt if flags & ACK else 0
        if win is None:
            win = self.win if flags & SYN else min(self.win >> self.shift,
                                                   65535)
        end = seq + len(data) + bool(flags & SYN) + bool(flags & FIN)
        if not flags & RST:
            self.snd_nxt = max(self.snd_nxt, end)
            self.snd_max = max(self.snd_max, end)
        if flags & ACK and not flags & RST and self.irs is not None:
            edge = ack + (win << (0 if flags & SYN else self.shift))
            self.edge = max(self.edge or 0, edge)
        absack = 0
        if flags & ACK:
            absack = (self.irs or 0) + ack
        return self.g.frame(self.remote, TCP, packet.tcp(
            self.addr, self.remote, self.port, self.rport, self.iss + seq,
            absack, flags, win, data, options, **kw), src=self.addr)

    def send(self, flags, seq=None, ack=None, data=b"", **kw):
        self.g.send_frame(self.segment(flags, seq, ack, data, **kw))

    def syn(self, seq=0, options=None, flags=SYN, **kw):
        if options is None:
            options = b""
            if self.mss is not None:
                options += packet.opt_mss(self.mss)
            if self.wscale is not None:
                options += packet.opt_wscale(self.wscale)
            if self.sackok:
                options += packet.opt_sackok()
        self.send(flags, seq=seq, options=options, win=min(self.win, 65535),
                  **kw)

    # --- receiving

    def mine(self, p):
        return (p.tcp and p.src == self.remote and p.dst == self.addr and
                p.tcp.sport == self.rport and p.tcp.dport == self.port)

    def recv(self, timeout=5 * SLOW):
        """Receives the next segment of this connection; None if none comes."""
        p = self.g.recv(self.mine, timeout)
        if p is None:
            return None
        t = p.tcp
        if self.irs is None or (t.flags & SYN and not t.flags & RST
                                and self.rcv_nxt <= 1):
            if t.flags & SYN:
                self._their_syn(t)
        base = self.irs if self.irs is not None else 0
        t.rseq = diff32(t.seq, base)
        t.rack = diff32(t.ack, self.iss) if t.flags & ACK else None
        t.blocks = [(diff32(a, self.iss), diff32(b, self.iss))
                    for a, b in t.sack]
        t.room = t.win << (0 if t.flags & SYN or self.their_wscale is None
                           else self.their_wscale)
        if self.strict:
            self._judge(t)
        self._take(t)
        return t

    def _their_syn(self, t):
        self.irs = t.seq
        self.their_mss = t.mss
        if t.wscale is not None and self.wscale is not None:
            self.their_wscale = t.wscale
            self.shift = self.wscale
        self.their_sackok = t.sackok
        self.rcv_nxt = 1

    def _judge(self, t):
        """Fails if a segment breaks a rule that holds for any TCP."""
        def no(why):
            raise Failure(f"{why}: {self} {self.text(t)}")

        if t.flags & SYN and self.wscale is None and t.wscale is not None \
                and t.flags & ACK:
            no("window scale that was not offered (RFC 7323 2.2)")
        if t.sackok and t.flags & ACK and not self.sackok:
            no("SACK-permitted that was not offered (RFC 2018 2)")
        if t.sack and not (self.sackok and self.their_sackok):
            no("SACK that was not agreed on (RFC 2018 4)")
        for a, b in t.blocks:
            if not t.rack < a < b <= self.snd_max:
                no(f"SACK block {a}..{b} (RFC 2018 4)")
        if self.reset:
            no("a segment after RST")
        if t.flags & RST:
            self.reset = True
            return
        if t.flags & ACK and t.rack > self.snd_max:
            no(f"ACK of what was never sent ({self.snd_max})")
        if self.irs is None:
            return
        if t.data and not t.flags & ACK:
            no("data without ACK")
        limit = self.mss or (536 if self.v == 4 else 1220)
        if len(t.data) > limit:
            no(f"{len(t.data)} bytes of data, MSS is {limit}")
        end = t.rseq + len(t.data)
        # A zero window probe may carry one byte (RFC 9293 3.8.6.1).
        probe = 1 if len(t.data) == 1 else 0
        if t.data and self.edge is not None and end > self.edge + probe:
            no(f"data to {end}, window ends at {self.edge}")
        if t.flags & ACK:
            edge = t.rack + t.room
            slack = (1 << self.their_wscale) - 1 if self.their_wscale else 0
            if self.their_edge is not None and edge + slack < self.their_edge:
                no(f"window's right edge went back from {self.their_edge} to "
                   f"{edge}")
            self.their_edge = max(self.their_edge or 0, edge)
        if t.data and self.fin_at is not None and end > self.fin_at:
            no(f"data after FIN at {self.fin_at}")

    def _take(self, t):
        if t.flags & RST or self.irs is None:
            return
        if t.data:
            at = t.rseq - 1
            known = bytes(self.got[max(at, 0):at + len(t.data)])
            if at < 0 or known != t.data[:len(known)]:
                raise Failure(f"other bytes than before at {t.rseq}")
            self.ahead[t.rseq] = max(self.ahead.get(t.rseq, b""), t.data,
                                     key=len)
        if t.flags & FIN:
            at = t.rseq + len(t.data)
            if self.fin_at not in (None, at):
                raise Failure(f"FIN moved from {self.fin_at} to {at}")
            self.fin_at = at
        self._in_order()

    def _in_order(self):
        for seq in sorted(self.ahead):
            if seq > len(self.got) + 1:
                break
            data = self.ahead.pop(seq)
            self.got += data[len(self.got) + 1 - seq:]
        self.rcv_nxt = len(self.got) + 1
        if self.fin_at == self.rcv_nxt:
            self.rcv_nxt += 1

    @staticmethod
    def text(t):
        ack = "" if t.rack is None else f" ack {t.rack}"
        opts = "".join(f" {n} {v}" for n, v in (
            ("mss", t.mss), ("wscale", t.wscale)) if v is not None)
        opts += "".join(f" sack {a}..{b}" for a, b in t.blocks)
        return (f"{flag_text(t.flags)} seq {t.rseq}{ack} len {len(t.data)} "
                f"win {t.room}{opts}")

    def expect(self, flags, seq=None, ack=None, size=None, timeout=5 * SLOW,
               what=None):
        """
        Waits for a segment with these flags (PSH is ignored), and with these
        numbers if they are given. Skips other ACKs without data; any other
        segment is a failure.
        """
        want = flag_text(flags) + "".join(
            f" {n} {v}" for n, v in (("seq", seq), ("ack", ack),
                                     ("len", size)) if v is not None)
        while True:
            t = self.recv(timeout)
            if t is None:
                raise Failure(f"no {want} within {timeout:g} s"
                              + (f": {what}" if what else ""))
            good = ((t.flags ^ flags) & (SYN | FIN | RST | ACK) == 0
                    and (seq is None or t.rseq == seq)
                    and (ack is None or t.rack == ack)
                    and (size is None or len(t.data) == size))
            if good:
                return t
            if t.flags & ~PSH == ACK and not t.data:
                continue        # window updates and intermediate ACKs
            raise Failure(f"expected {want}, got {self.text(t)}")

    def silence(self, seconds=SILENCE, what="nothing expected"):
        t = self.recv(seconds)
        if t is not None:
            raise Failure(f"{what}, but got {self.text(t)}")

    def drain(self):
        """Receives and drops all segments that have come."""
        while self.recv(0.02):
            pass

    # --- longer conversations

    def connect(self, **kw):
        """Does the three-way handshake, started by the guest."""
        self.syn(**kw)
        t = self.expect(SYN | ACK, ack=1)
        self.send(ACK)
        return t

    def await_syn(self, timeout=5 * SLOW):
        """Waits for the SYN of a forwarded connection; does not answer it."""
        return self.expect(SYN, timeout=timeout)

    def answer_syn(self, **kw):
        self.syn(flags=SYN | ACK, **kw)

    def write(self, data, timeout=10 * SLOW, mss=None):
        """Sends data, as passt's window and MSS permit, until passt has
        acknowledged all."""
        size = mss or min(self.their_mss or 536, 32768)
        first, una = self.snd_nxt, self.snd_nxt
        end = first + len(data)
        while una < end:
            batch = []
            while self.snd_nxt < min(end, self.their_edge) and \
                    len(batch) < 32:
                at = self.snd_nxt
                n = min(size, end - at, self.their_edge - at)
                batch.append(self.segment(
                    ACK | PSH, data=data[at - first:at - first + n]))
            if batch:
                self.g.send_frames(batch)
            t = self.recv(timeout)
            if t is None:
                raise Failure(f"acknowledged only to {una} of {end}")
            if t.flags & RST:
                raise Failure("reset while writing")
            if t.rack > una:
                una = t.rack
            elif una < self.snd_nxt and not batch:
                self.snd_nxt = una      # send it again, as after a timeout

    def read(self, size, timeout=10 * SLOW):
        """Receives and acknowledges size more bytes. Returns all data."""
        goal = len(self.got) + size
        while len(self.got) < goal:
            t = self.recv(timeout)
            if t is None or t.flags & RST:
                raise Failure(f"{len(self.got)} of {goal} bytes came, then "
                              + ("nothing" if t is None else "RST"))
            if t.seglen:
                self.send(ACK)
        return bytes(self.got)

    def read_fin(self, timeout=10 * SLOW):
        """Receives and acknowledges data until FIN. Returns all data."""
        while self.fin_at is None or self.rcv_nxt <= self.fin_at:
            t = self.recv(timeout)
            if t is None or t.flags & RST:
                raise Failure("no FIN: " + ("silence" if t is None
                                            else "RST"))
            if t.seglen:
                self.send(ACK)
        return bytes(self.got)


def incoming(guest, rport, remote, gport, **kw):
    """The guest's end of a connection from a peer to the guest's port gport."""
    return Conn(guest, remote, rport, port=gport, **kw)


def from_syn(guest, gport, v, timeout=5 * SLOW, **kw):
    """Waits for any SYN to gport. Returns a Conn, and the segment."""
    p = guest.recv(lambda p: p.tcp and p.v == v and p.tcp.dport == gport and
                   p.tcp.flags & SYN, timeout)
    if p is None:
        raise Failure(f"no SYN for port {gport}")
    c = Conn(guest, p.src, p.tcp.sport, port=gport, addr=p.dst, **kw)
    guest.inbox.insert(0, p)
    return c, c.expect(SYN)
