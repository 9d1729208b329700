# SPDX-License-Identifier: AGPL-3.0-or-later
"""
Runs TCP tests that are text files; scripts/README describes their notation. The
first two words of a line, such as 'guest sends', name the method of Script that
runs it: guest_sends(). An unknown word is an error.
"""
import operator
import os
import re
import select
import shlex
import socket
import struct
import threading
import time

from . import netns, packet, tcp
from .guest import SILENCE, fresh_port
from .packet import ACK, FIN, PSH, RST, SYN, URG
from .passt import Failure, SLOW
from .tcp import Conn

# Ports that are forwarded to the guest; each script uses the next one.
FORWARDED = range(7000, 7200)
DEFAULT = ("-t", f"{FORWARDED[0]}-{FORWARDED[-1]}")
# Initial sequence number of the guest: it wraps early in every script (T3).
ISS = 0xffffff00

FLAGS = {"SYN": SYN, "ACK": ACK, "FIN": FIN, "RST": RST, "PSH": PSH,
         "URG": URG, "none": 0}
OPS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt,
       ">": operator.gt, "=": operator.eq, "!=": operator.ne}
UNITS = {"ms": 0.001, "s": 1, "us": 0.000001}


class Wrong(Exception):
    """The script itself has a mistake."""


class Words:
    """The words of one line, taken from the left."""

    def __init__(self, text):
        self.words = shlex.split(text)

    def __bool__(self):
        return bool(self.words)

    def peek(self):
        return self.words[0] if self.words else None

    def next(self, what="a word"):
        if not self.words:
            raise Wrong(f"{what} is missing at the end")
        return self.words.pop(0)

    def accept(self, *words):
        """Takes these words if they come next."""
        if self.words[:len(words)] == list(words):
            del self.words[:len(words)]
            return True
        return False

    def need(self, *words):
        if not self.accept(*words):
            raise Wrong(f"expected '{' '.join(words)}' before "
                        f"'{' '.join(self.words)}'")

    def number(self):
        w = self.next("a number")
        try:
            return int(w, 0)
        except ValueError:
            raise Wrong(f"'{w}' is not a number") from None

    def time(self):
        n, unit = float(self.next("a time")), self.next("ms or s")
        if unit not in UNITS:
            raise Wrong(f"'{unit}' is not a unit of time")
        return n * UNITS[unit]

    def flags(self):
        out, w = 0, self.next("flags")
        for name in w.split("-"):
            if name not in FLAGS:
                raise Wrong(f"'{w}' are not flags")
            out |= FLAGS[name]
        return out

    def condition(self):
        """Parses '5' or '>= 5'. Returns a function that tests a number, and the
        condition as text."""
        op = "="
        if self.peek() in OPS:
            op = self.next()
        n = self.number()
        return (lambda x: x is not None and OPS[op](x, n)), \
            (f"{op} {n}" if op != "=" else str(n))

    def span(self):
        """Parses '1..1001'. Returns (1, 1001), the end is not included."""
        w = self.next("a range such as 1..1001")
        m = re.fullmatch(r"(\d+)\.\.(\d+)", w)
        if not m:
            raise Wrong(f"'{w}' is not a range such as 1..1001")
        return int(m[1]), int(m[2])

    def spans(self):
        """Parses '1..1001,2001..3001', or 'none'. Returns a list of ranges."""
        w = self.next("ranges such as 1..1001,2001..3001")
        if w == "none":
            return []
        out = []
        for part in w.split(","):
            out.append(Words(part).span())
        return out

    def end(self):
        if self.words:
            raise Wrong(f"'{' '.join(self.words)}' is not understood")


def parse_blocks(text):
    """Parses lines into a list of (number, text, block); block has the lines
    that are indented under a line, in the same form."""
    root = []
    stack = [(-1, root)]
    for number, line in enumerate(text.splitlines(), 1):
        body = re.sub(r"(^|\s)#.*", "", line).rstrip()
        if not body.strip():
            continue
        indent = len(body) - len(body.lstrip())
        while indent <= stack[-1][0]:
            stack.pop()
        node = (number, body.strip(), [])
        stack[-1][1].append(node)
        stack.append((indent, node[2]))
    return root


def title(text):
    """Parses the first comment line, '# PROMISE: what holds'."""
    for line in text.splitlines():
        m = re.match(r"# (\S+): (.*)", line)
        if m and not line.startswith("# SPDX"):
            return f"{m[1]} {m[2]}"
    raise Wrong("no title line such as '# T1: what holds'")


class Script:
    """Runs one script over one family."""
    _next_port = 0

    def __init__(self, w, text, v):
        self.w, self.v = w, v
        self.lines = parse_blocks(text)
        self.options = DEFAULT
        self.guest = self.conn = None
        self.iss = ISS
        self.remote, self.rport = netns.PEER[v], None
        self.where = None
        self.server = self.sock = self.gport = None
        self.addr_index = None
        self.peer_read = 0          # bytes of the guest's stream
        self.peer_wrote = 0         # bytes of the peer's stream
        self.writer, self.written = None, 0
        self.fin_reported = False

    # --- running

    def run(self):
        self.block(self.lines)

    def block(self, lines):
        for number, text, inner in lines:
            try:
                self.line(text, inner)
            except Failure as e:
                raise Failure(f"line {number}, '{text}': {e}") from None
            except (Wrong, OSError, EOFError) as e:
                raise Failure(f"line {number}, '{text}': "
                              f"{type(e).__name__}: {e}") from e

    def line(self, text, inner):
        words = Words(text.rstrip(":"))
        if words.accept("after"):
            time.sleep(words.time())
            if not words:
                return
        who = words.next()
        if who == "repeat":
            for _ in range(words.number()):
                self.block(inner)
            return
        if who == "passt":
            words.need("with")
            self.options = tuple(
                o.replace("GATEWAY", "192.0.2.1") for o in words.words)
            return
        if who not in ("guest", "peer"):
            raise Wrong(f"'{who}' is nobody")
        verb = words.next("a verb")
        method = getattr(self, f"{who}_{verb}", None)
        if method is None:
            raise Wrong(f"{who} can't '{verb}'")
        if verb == "batches":
            method(words, inner)
        elif inner:
            raise Wrong("nothing can be indented under this line")
        else:
            method(words)
        words.end()

    def need_guest(self):
        if self.guest is None:
            self.guest = self.w.guest(*self.options)
        return self.guest

    def need_conn(self):
        if self.conn is None:
            if self.gport:
                raise Wrong("no SYN has come yet")
            if self.rport is None:
                raise Wrong("say first what the peer does")
            self.conn = Conn(self.need_guest(), self.remote, self.rport,
                             iss=self.iss)
        return self.conn

    # --- the guest sends

    def guest_starts(self, words):
        """guest starts at N: sets its initial sequence number"""
        words.need("at")
        self.iss = words.number()

    def guest_uses(self, words):
        """guest uses the same port again: for a new connection"""
        words.need("the", "same", "port", "again")
        old = self.need_conn()
        if words.accept("at"):
            iss = old.iss + words.number()
        else:
            iss = self.iss + 0x01000000
        self.conn = Conn(self.guest, self.remote, self.rport, port=old.port,
                         iss=iss & 0xffffffff)
        self._forget()

    def guest_takes(self, words):
        """guest takes a fresh port: for a new connection to the same peer"""
        words.need("a", "fresh", "port")
        self.conn = None
        self._forget()

    def _forget(self):
        self.peer_read = self.peer_wrote = 0
        self.fin_reported = False
        self.sock = None

    def guest_answers(self, words):
        """guest answers quietly: switches Conn's checks off"""
        words.need("quietly")
        self.need_conn().strict = False

    def guest_sends(self, words):
        self.need_guest().send_frames(self._segments(words))

    def guest_batches(self, words, inner):
        """guest batches: sends several segments in one write"""
        frames = []
        for number, text, more in inner:
            if more:
                raise Wrong(f"line {number}: too deep")
            w = Words(text)
            frames += self._segments(w)
            w.end()
        self.need_guest().send_frames(frames)

    def _option(self, key, words):
        """The option of a segment that this word begins"""
        c = self.conn
        if key == "mss":
            c.mss = words.number()
            return packet.opt_mss(c.mss)
        if key == "wscale":
            n = words.number()
            c.wscale = min(n, 14)
            return packet.opt_wscale(n)
        if key == "sackok":
            c.sackok = True
            return packet.opt_sackok()
        if key == "sack":
            return packet.opt_sack(
                [(c.irs + a, c.irs + b) for a, b in words.spans()])
        if key == "ts":
            return packet.opt_timestamp(words.number(), words.number())
        if key == "option":
            return bytes.fromhex(words.next("hex digits"))
        raise Wrong(f"'{key}' is no field of a segment")

    def _segments(self, words):
        """Makes frames for 'FLAGS seq N ack N ... times N'"""
        flags = words.flags()
        c = self.need_conn()
        kw, options, size, garbage, times = {}, b"", 0, False, 1
        step = 0
        while words:
            key = words.next()
            if key in ("seq", "ack", "urg", "offset"):
                kw[key] = words.number()
            elif key == "win":
                n = words.number()
                c.win = n
                if flags & SYN and n > 65535:
                    raise Wrong("the window of a SYN is never scaled")
            elif key == "data":
                size = words.number()
            elif key == "garbage":
                garbage = True
            elif key == "bad":
                words.need("checksum")
                kw["bad_sum"] = True
            elif key == "times":
                times = words.number()
            elif key == "each":
                step = words.number()
            else:
                options += self._option(key, words)
        if flags & ACK and "ack" not in kw:
            kw["ack"] = c.rcv_nxt
        if "seq" not in kw:
            # A second SYN is a retransmission: it has the same number.
            kw["seq"] = 0 if flags & SYN else c.snd_nxt
        out = []
        for _ in range(times):
            data = tcp.stream(kw["seq"] - 1, kw["seq"] - 1 + size) \
                if size else b""
            if garbage:
                data = bytes(b ^ 0xff for b in data)
            nxt, top = c.snd_nxt, c.snd_max
            out.append(c.segment(flags, data=data, options=options, **kw))
            if garbage or kw.get("bad_sum"):
                c.snd_nxt, c.snd_max = nxt, top
            kw["seq"] += size or step
        return out

    # --- the guest receives

    def guest_ignores(self, words):
        """guest ignores what came so far: drops all segments"""
        words.need("what", "came", "so", "far")
        self.need_conn().drain()

    def guest_receives(self, words):
        g = self.need_guest()
        if words.accept("nothing"):
            return self._nothing(self._for(words))
        if words.accept("no"):
            return self._none_of(words)
        if words.accept("ICMP"):
            return self._icmp(words)
        if words.accept("data"):
            return self._data(words)
        if words.accept("at", "most"):
            return self._at_most(words)
        if words.peek() == "SYN" and self.conn is None and self.gport:
            # The first segment of a connection from outside: make its Conn.
            p = g.expect(lambda p: p.tcp and p.v == self.v and
                         p.tcp.dport == self.gport, "SYN", 5 * SLOW)
            self.conn = Conn(g, p.src, p.tcp.sport, port=self.gport,
                             addr=p.dst, iss=self.iss)
            g.inbox.insert(0, p)
        if words.accept("reset"):
            return self._reset(words)
        return self._segment(words)

    @staticmethod
    def _for(words):
        return words.time() if words.accept("for") else SILENCE

    def _watch(self):
        """Matches segments of the connection; if there is no Conn yet, all TCP
        segments of this family."""
        return self.conn.mine if self.conn else \
            (lambda p: p.tcp and p.v == self.v)

    def _nothing(self, seconds):
        if self.conn:
            return self.conn.silence(seconds)
        return self.guest.silence(self._watch(), "nothing expected", seconds)

    def _at_most(self, words):
        """guest receives at most N segments for T"""
        most, n = words.number(), 0
        words.need("segments")
        end = time.monotonic() + self._for(words)
        while self.need_conn().recv(max(end - time.monotonic(), 0)):
            n += 1
        if not 0 < n <= most:
            raise Failure(f"{n} came")

    def _none_of(self, words):
        """guest receives no data, or no FLAGS: other segments may come"""
        if words.accept("data"):
            bad, what = lambda t: t.data, "data"
        else:
            what = words.peek()
            flags = words.flags()
            bad = lambda t: t.has(flags)        # noqa: E731
        end = time.monotonic() + self._for(words)
        while True:
            left = max(end - time.monotonic(), 0)
            t = self.need_conn().recv(left)
            if t is None:
                return
            if bad(t):
                raise Failure(f"no {what} expected, but got "
                              + self.conn.text(t))

    def _icmp(self, words):
        """guest receives ICMP: an error about the SYN (RFC 792, 4443 3.1)"""
        codes = {"unreachable": {4: (0, 1), 6: (0, 3)},
                 "prohibited": {4: (9, 10, 13), 6: (1,)}}
        what = words.next("unreachable or prohibited")
        if what not in codes:
            raise Wrong(f"'{what}' is no ICMP error here")
        c = self.need_conn()
        kind = 3 if self.v == 4 else 1
        p = self.guest.expect(
            lambda p: p.icmp and p.v == self.v and
            p.icmp.kind == kind, f"ICMP {what}", self._within(words))
        if p.icmp.code not in codes[what][self.v]:
            raise Failure(f"code {p.icmp.code}, expected one of "
                          f"{codes[what][self.v]}")
        if p.dst != c.addr:
            raise Failure(f"sent to {p.dst}")
        self._quote(p.icmp.data)

    def _quote(self, inner):
        """Fails unless @inner begins like our SYN: addresses, and first 8 bytes
        of TCP."""
        c = self.conn
        want = struct.pack("!HHI", c.port, c.rport, c.iss)
        if self.v == 4:
            at, proto, addrs = (inner[0] & 15) * 4, inner[9], inner[12:20]
            if inner[0] >> 4 != 4:
                raise Failure(f"quotes no IPv4 packet: {inner.hex()}")
        else:
            at, proto, addrs = 40, inner[6], inner[8:40]
        if proto != packet.TCP or inner[at:at + 8] != want or \
                addrs != packet.pton(c.addr) + packet.pton(c.remote):
            raise Failure(f"does not quote the SYN: {inner.hex()}")

    @staticmethod
    def _within(words):
        return words.time() * SLOW if words.accept("within") else 5 * SLOW

    def _data(self, words):
        """guest receives data A..B [and acknowledges] [in segments of N]
        [within T]"""
        first, last = words.span()
        acks = size = None
        timeout = 5 * SLOW
        while words:
            if words.accept("and", "acknowledges"):
                acks = True
            elif words.accept("in", "segments", "of"):
                size = words.number()
            elif words.peek() == "within":
                timeout = self._within(words)
            else:
                words.end()
        self._collect(first, last, acks, size, timeout)

    def _collect(self, first, last, acks, size, timeout):
        c, seen = self.need_conn(), set()
        end = time.monotonic() + timeout
        while len(seen) < last - first:
            t = c.recv(max(end - time.monotonic(), 0))
            if t is None:
                missing = next(i for i in range(first, last)
                               if i not in seen)
                raise Failure(f"byte {missing} did not come")
            if t.flags & (RST | SYN):
                raise Failure("got " + c.text(t))
            if not t.data:
                continue
            past = t.rseq + len(t.data)
            if past > last:
                raise Failure(f"data beyond {last}: {c.text(t)}")
            if size and len(t.data) != size and past != last:
                raise Failure(f"segment of {len(t.data)} bytes")
            self._right_bytes(t)
            seen.update(range(max(t.rseq, first), past))
            if acks:
                c.send(ACK)

    def _right_bytes(self, t):
        if t.data != tcp.stream(t.rseq - 1, t.rseq - 1 + len(t.data)):
            raise Failure(f"wrong bytes at {t.rseq}")

    def _reset(self, words):
        """guest receives reset: RST with or without ACK"""
        conds = self._conditions(words)
        end = time.monotonic() + conds.pop("within", 5 * SLOW)
        c = self.need_conn()
        while True:
            t = c.recv(max(end - time.monotonic(), 0))
            if t is None:
                raise Failure("no reset")
            if t.flags & RST:
                break
        self._check(t, conds)

    def _conditions(self, words):
        out = {}
        while words:
            key = words.next()
            if key in ("seq", "ack", "len", "win", "mss", "wscale", "urg"):
                out[key] = words.condition()
            elif key == "sack":
                want = words.spans()
                out[key] = (lambda got, want=want: got == want,
                            str(want))
            elif key == "sackok":
                out[key] = (lambda got: got, "permitted")
            elif key == "within":
                out[key] = words.time() * SLOW
            elif key == "not":
                words.need("before")
                out["not before"] = words.time()
            elif key == "eventually":
                out[key] = True
            else:
                raise Wrong(f"'{key}' is no field to look at")
        return out

    FIELDS = {"seq": lambda t: t.rseq, "ack": lambda t: t.rack,
              "len": lambda t: len(t.data), "win": lambda t: t.room,
              "mss": lambda t: t.mss, "wscale": lambda t: t.wscale,
              "urg": lambda t: t.urg, "sack": lambda t: t.blocks,
              "sackok": lambda t: t.sackok}

    def _misses(self, t, conds):
        """Returns the first condition that does not hold, or None."""
        for key, (good, text) in conds.items():
            if not good(self.FIELDS[key](t)):
                return f"{key} {text}"
        return None

    def _check(self, t, conds):
        why = self._misses(t, conds)
        if why:
            raise Failure(f"wanted {why}, got {self.conn.text(t)}")

    def _segment(self, words):
        """guest receives FLAGS with conditions: skips other ACKs without
        data"""
        flags = words.flags()
        conds = self._conditions(words)
        began = time.monotonic()
        end = began + conds.pop("within", 5 * SLOW)
        early = conds.pop("not before", 0)
        skip = conds.pop("eventually", False)
        c, last = self.need_conn(), None
        if flags == FIN | ACK and self._fin_came_with_data(conds):
            return
        while True:
            t = c.recv(max(end - time.monotonic(), 0))
            if t is None:
                raise Failure("did not come" + (
                    f", the last was {c.text(last)}" if last else ""))
            last = t
            if t.data:
                self._right_bytes(t)
            if (t.flags ^ flags) & (SYN | FIN | RST | ACK) == 0 and \
                    self._misses(t, conds) is None:
                break
            plain = t.flags & ~PSH == ACK and not t.data
            if not plain and (not skip or t.flags & RST):
                raise Failure(f"got {c.text(t)}"
                              + (f", wanted {self._misses(t, conds)}"
                                 if self._misses(t, conds) else ""))
        if flags & FIN:
            self.fin_reported = True
        if time.monotonic() - began < early:
            raise Failure(f"came after {time.monotonic() - began:.3f} s")

    def _fin_came_with_data(self, conds):
        """Whether the expected FIN came with data that an earlier line of the
        script has received."""
        c = self.conn
        if c.fin_at is None or self.fin_reported:
            return False
        self.fin_reported = True
        if "seq" in conds and not conds["seq"][0](c.fin_at):
            raise Failure(f"FIN is at {c.fin_at}")
        return True

    # --- the peer

    def peer_listens(self, words):
        """peer listens [on loopback] [with receive buffer N]"""
        buf = None
        if words.accept("on", "loopback"):
            self.where = self.w.net.host
            self.remote = netns.GATEWAY[self.v]
            addr = netns.LOOPBACK[self.v]
        else:
            addr = self.remote
        if words.accept("with", "receive", "buffer"):
            buf = words.number()
        self.server = self.w.server(self.v, addr, where=self.where,
                                    rcvbuf=buf, port=self.rport or 0)
        self.rport = self.server.getsockname()[1]
        if self.conn:
            self.conn.rport = self.rport

    def peer_is(self, words):
        """peer is absent, dead, unreachable, prohibited"""
        state = words.next()
        self.rport = fresh_port()
        if state == "absent":
            Script._next_port += 1
            n = 10 + Script._next_port
            self.remote = {4: f"198.51.100.{n}", 6: f"2001:db8:2::{n}"}[
                self.v]
        elif state == "dead":
            self.remote = netns.DEAD[self.v]
        elif state == "unreachable":
            self.remote = netns.UNREACHABLE[self.v]
        elif state == "prohibited":
            self.remote = netns.PROHIBITED[self.v]
        else:
            raise Wrong(f"peer can't be '{state}'")

    def peer_does(self, words):
        """peer does not listen"""
        words.need("not", "listen")
        self.rport = self.w.free_port(self.v)

    def peer_appears(self, words):
        """peer appears: an absent peer gets its address, and listens"""
        self.w.net.add_peer(self.remote)
        self.peer_listens(words)

    def peer_connects(self, words):
        """peer connects: from outside to the next forwarded port"""
        if words.accept("from", "loopback"):
            addr, self.where = netns.LOOPBACK[self.v], self.w.net.host
            source = addr
        else:
            addr, source = netns.HOST[self.v], netns.PEER[self.v]
        self.need_guest()
        self.gport = FORWARDED[Script._next_port % len(FORWARDED)]
        Script._next_port += 1
        self.sock = self.w.sock(self.v, socket.SOCK_STREAM, self.where)
        if words.accept("with", "receive", "buffer"):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                 words.number())
        self.sock.bind((source, 0))
        self.sock.connect((addr, self.gport))

    def peer_accepts(self, words):
        if words.accept("nothing"):
            seconds = self._for(words)
            if select.select([self.server], [], [], seconds)[0]:
                raise Failure("a connection came")
            return
        self.sock, who = self.w.accept(self.server)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def peer_writes(self, words):
        """peer writes N [urgent] / peer writes N in the background"""
        n = words.number()
        data = tcp.stream(self.peer_wrote, self.peer_wrote + n)
        self.peer_wrote += n
        if words.accept("in", "the", "background"):
            self.writer = threading.Thread(
                target=self._write_all, args=(self.sock, data), daemon=True)
            self.writer.start()
            return
        if words.accept("urgent"):
            self.sock.send(data, socket.MSG_OOB)
            return
        self.sock.sendall(data)

    def _write_all(self, sock, data):
        sock.settimeout(60)
        try:
            while data:
                n = sock.send(data[:65536])
                self.written += n
                data = data[n:]
        except OSError:
            pass

    def peer_has(self, words):
        """peer has written all / at most N"""
        words.need("written")
        if words.accept("all"):
            self.writer.join(30 * SLOW)
            if self.writer.is_alive():
                raise Failure(f"only {self.written} written")
            return
        words.need("at", "most")
        n = words.number()
        if self.written > n:
            raise Failure(f"{self.written} bytes written")

    def peer_reads(self, words):
        """peer reads N | EOF | reset | nothing [for T]"""
        if words.accept("EOF"):
            data = self.sock.recv(1)
            if data:
                raise Failure(f"read {data!r}, no EOF")
        elif words.accept("reset"):
            self._reads_reset()
        elif words.accept("nothing"):
            seconds = self._for(words)
            if select.select([self.sock], [], [], seconds)[0]:
                raise Failure(f"read {self.sock.recv(100)!r}")
        else:
            self._reads(words.number())

    def _reads_reset(self):
        try:
            data = self.sock.recv(1)
        except ConnectionResetError:
            return
        raise Failure(f"read {data!r}, no reset")

    def _reads(self, n):
        got = b""
        while len(got) < n:
            try:
                data = self.sock.recv(min(n - len(got), 1 << 20))
            except TimeoutError:
                raise Failure(f"read only {len(got)} bytes") from None
            if not data:
                raise Failure(f"EOF after {len(got)} bytes")
            got += data
        if got != tcp.stream(self.peer_read, self.peer_read + n):
            raise Failure(f"read other bytes: {got[:40].hex()}")
        self.peer_read += n

    def peer_shuts(self, words):
        words.need("down")
        self.sock.shutdown(socket.SHUT_WR)

    def peer_closes(self, words):
        self.sock.close()

    def peer_resets(self, words):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()




def scripts():
    """Yields title and text of each script, in the order of file names."""
    where = os.path.join(os.path.dirname(__file__), "../scripts")
    for name in sorted(os.listdir(where)):
        if name.endswith(".wire"):
            with open(os.path.join(where, name)) as f:
                text = f.read()
            yield title(text), text
